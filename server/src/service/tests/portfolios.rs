//! Two portfolios side by side on one server, with the same ids in both: nothing of one reaches the other (M9). And what
//! locks notice of a rotation of the root that all vaults have in common: nothing.

use keyward_protocol::{
    code::{Card, Digits},
    id::CodeId,
    message::{audit::AuditSearch, mine::Mine},
};

use crate::domain::directory::Portfolio;

use super::{
    matrix::{NEVER, OTHER, PEOPLE, acts, asked, id, places, text},
    *,
};
use crate::{
    disk::{Disk, Operation, Witness},
    vault::staged_path,
};

/// What stands in every name of one portfolio and nowhere in the other.
const ZEBRA: &str = "zebra";
const WALRUS: &str = "walrus";
/// Everybody who manages something.
const ROLES: [&str; 6] = ["pm", "pmlimited", "pmspecific", "full", "limited", "specific"];

/// One of the two.
#[derive(Clone, Copy)]
struct Side {
    id: PortfolioId,
    mark: &'static str,
}

/// The matrix's town with a mark in each name, and a card that both towns' Tracys have.
fn marked(mark: &str) -> Site {
    let text = [
        ("h.example", format!("{mark}.example")),
        ("Harbor", format!("Harbor {mark}")),
        ("\"Main", format!("\"{mark} Main")),
        ("\"Door ", format!("\"{mark} Door ")),
        ("\"Key ", format!("\"{mark} Key ")),
        ("canary", format!("{mark}-canary")),
        (" person\"", format!(" {mark} person\"")),
        ("name = \"tracy", "cards = [\"04a2c3d4\"]\nname = \"tracy".to_owned()),
    ]
    .into_iter()
    .fold(text(), |text, (from, to)| text.replace(from, &to));
    Site::parse("site.toml", &text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

impl Side {
    fn run(&self, server: &Running, command: Command) {
        server.inside.engine.run(self.id, Actor::Administrator, command).unwrap();
    }

    fn portfolio(&self, server: &Running) -> Arc<Portfolio> {
        server.inside.engine.directory().portfolios[&self.id].clone()
    }

    fn mobile(&self, server: &Running, person: PersonId) -> Credential {
        Credential::Mobile(self.portfolio(server).people[&person].mobile)
    }

    fn codes(&self, server: &Running) -> Vec<(DoorId, Digits)> {
        let portfolio = self.portfolio(server);
        let codes = portfolio.properties.values().flat_map(|property| property.codes.values());
        codes.map(|code| (code.door, server.inside.engine.reveal(self.id, code.id).unwrap())).collect()
    }

    /// What must not be read in anything that goes to the other side.
    fn canaries(&self, server: &Running) -> Vec<Vec<u8>> {
        let portfolio = self.portfolio(server);
        let mut canaries = vec![self.mark.as_bytes().to_vec()];
        canaries.extend(portfolio.people.values().map(|person| person.mobile.to_le_bytes().to_vec()));
        canaries.extend(self.codes(server).iter().map(|(_, digits)| digits.expose().to_vec()));
        // The first has 1, which may stand anywhere.
        if self.id != PORTFOLIO {
            canaries.push(self.id.0.to_le_bytes().to_vec());
            canaries.push(self.id.0.to_string().into_bytes());
        }
        canaries
    }
}

/// A server with both, made as whoever runs it makes them.
async fn two() -> (Running, [Side; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let layout = init(&dir.path().join("data"), &marked(ZEBRA), clock::now()).unwrap();
    let mut server = start(&layout).await;
    server._dir = Some(dir);
    let walrus = server.inside.engine.make_portfolio(marked(WALRUS)).unwrap();
    let sides = [Side { id: PORTFOLIO, mark: ZEBRA }, Side { id: walrus, mark: WALRUS }];
    let lockdown = |property, door| Command::LockDown { property, doors: Some(vec![door]), except_keys: Vec::new() };
    for side in sides {
        side.run(&server, Command::Suspend(id("suspended"), true));
        side.run(&server, lockdown(MAIN, DoorId(2)));
        side.run(&server, lockdown(OTHER, DoorId(4)));
    }
    (server, sides)
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Everything that can be looked at, with each property, door, Key and person there is.
fn looks(portfolio: &Portfolio, at: Moment) -> Vec<Request> {
    let at = Some(at);
    let rows = Rows::all;
    let mut all = vec![
        Request::People(None, rows()),
        Request::Locks(rows()),
        Request::LockActivity(rows()),
        Request::Search(Search::newest(1_000)),
        Request::Search(Search { newest_first: false, ..Search::newest(2) }),
        Request::Audit(AuditSearch::newest(1_000)),
        Request::Audit(AuditSearch { newest_first: false, ..AuditSearch::newest(2) }),
        Request::Alerts,
    ];
    for property in portfolio.properties.keys().copied().chain([PropertyId(NEVER)]) {
        all.extend([
            Request::Property(property),
            Request::Keys(property, rows()),
            Request::Doors(property, rows()),
            Request::Schedules(property, rows()),
            Request::People(Some(property), rows()),
        ]);
    }
    for door in (1..=8).map(DoorId) {
        all.extend([Request::Door(door), Request::WhoCan(door, at, rows())]);
        all.extend((1..=12).step_by(3).map(|person| Request::Explain {
            person: PersonId(person),
            door,
            by_code: person % 2 == 0,
            at,
        }));
    }
    all.extend((1..=8).flat_map(|key| [Request::Key(KeyId(key)), Request::Holders(KeyId(key), rows())]));
    all.extend((1..=13).flat_map(|who| [Request::Person(PersonId(who)), Request::WhatCan(PersonId(who), at, rows())]));
    all
}

/// Attempts of every kind at a portfolio's own lock, with its own people and with the other's.
async fn attempts(server: &Running, lock: &Connection, own: Side, other: Side) {
    for door in [1, 2, 3, 4, 5, 7, 99] {
        for side in [own, other] {
            ask(lock, door, side.mobile(server, id("tracy"))).await;
        }
    }
    for (door, code) in other.codes(server).into_iter().take(3).chain(own.codes(server).into_iter().take(3)) {
        ask(lock, door.0, Credential::Code(code)).await;
    }
}

// M7, M8, M9, M10, L1, L5, C8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_one_portfolio_reaches_another_whoever_asks_for_what() {
    let (server, sides) = two().await;
    for (own, other) in [(sides[0], sides[1]), (sides[1], sides[0])] {
        let name = format!("{} gateway", own.mark);
        let (_, lock) = server.lock_of(own.id, &name, LockScope::Property(MAIN)).await;
        let elsewhere = server.lock_of(other.id, &format!("{} gate", other.mark), LockScope::Property(MAIN)).await.1;
        let own_canaries = own.canaries(&server);
        let mut canaries = other.canaries(&server);
        // Two codes may happen to be the same.
        canaries.retain(|canary| !own_canaries.contains(canary));
        let mut received: Vec<(String, Vec<u8>)> = Vec::new();
        for role in ROLES {
            let connection = server.as_person_of(own.id, id(role)).await.unwrap();
            let subscribe = Subscribe { every_ms: 50, ..Subscribe::all() };
            let mut watching = connection.watch(&subscribe.encode()).await.unwrap();
            attempts(&server, &elsewhere, other, own).await;
            attempts(&server, &lock, own, other).await;
            let steps = places().into_iter().flat_map(|(_, place)| acts(place));
            let reveals = (1..=12).map(|code| Request::Reveal(CodeId(code)));
            for request in steps
                .map(|(_, request)| request)
                .chain(looks(&own.portfolio(&server), clock::now().plus_seconds(86_400)))
                .chain(reveals)
            {
                received.push((format!("{role}: {request:?}"), asked(&connection, &request).await.0));
                // As a step too: what is refused, and what is done to what never was.
                if let Request::Preview(command, part) = request
                    && !matches!(command, Command::DeletePerson(_) | Command::RemoveProperty(_))
                    && role == "specific"
                {
                    let request = Request::Do { command, pinned: None, part };
                    received.push((format!("{role}: {request:?}"), asked(&connection, &request).await.0));
                }
            }
            // Somebody of the other portfolio is nobody here.
            let find = |mark: &str| Request::FindPerson(format!("sam@{mark}.example"));
            let theirs = asked(&connection, &find(other.mark)).await.1;
            assert_eq!(theirs, asked(&connection, &find("nobody")).await.1, "{role}");
            assert!(matches!(theirs, Answer::Refused(Refusal::NotFound(_))));
            let (mut rows, mut sequence) = (0, 0);
            while rows == 0 {
                let batch =
                    tokio::time::timeout(Duration::from_secs(20), watching.next()).await.unwrap().unwrap().unwrap();
                let decoded = LiveBatch::decode(&batch).unwrap();
                sequence += 1;
                assert_eq!(decoded.sequence, sequence, "each subscription counts its own");
                rows += decoded.rows.len();
                received.push((format!("{role}: a live batch"), batch));
            }
        }
        for (what, bytes) in &received {
            let found = canaries.iter().find(|canary| holds(bytes, canary));
            assert!(found.is_none(), "{}: {what} has {found:?}: {:?}", own.mark, String::from_utf8_lossy(bytes));
        }
        let told = |canary: &[u8]| received.iter().filter(|(_, bytes)| holds(bytes, canary)).count();
        assert!(told(own.mark.as_bytes()) > 100, "names are looked for");
        assert!(own_canaries.iter().any(|digits| digits.len() == 7 && told(digits) > 0), "and digits");
        assert!(received.len() > 1_500, "{}", received.len());
    }
    server.stop().await;
}

// M9, U3, L1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_numbers_cards_and_doors_are_each_portfolios_own() {
    let (server, [zebra, walrus]) = two().await;
    let locks = [
        server.lock_of(zebra.id, "Gate", LockScope::Property(MAIN)).await,
        server.lock_of(walrus.id, "Gate", LockScope::Property(MAIN)).await,
    ];
    assert_eq!(locks[0].0, locks[1].0, "the same number");
    // Door 7 is in zebra's Key A, and in nobody's Key at walrus.
    let opening = Opening { schedule: ScheduleRef::Always, code: true };
    let doors = |doors: &[u32]| doors.iter().map(|door| KeyDoor { door: DoorId(*door), opening }).collect();
    for side in [zebra, walrus] {
        for name in ["Six", "Seven"] {
            let (name, kind) = (format!("{} {name}", side.mark), DoorKind::Office);
            let door = DoorSpec { name, kind, occupied: false, labels: Vec::new() };
            side.run(&server, Command::MakeDoor(MAIN, door));
        }
        let spec = |listed: &[u32]| KeySpec {
            name: format!("{} Key A", side.mark),
            may_share: true,
            doors: doors(listed),
            rules: Vec::new(),
        };
        side.run(&server, Command::EditKey(KEY_A, spec(if side.mark == ZEBRA { &[1, 7] } else { &[1, 6] })));
    }
    let card = || Credential::Card(Card::new(&[0x04, 0xa2, 0xc3, 0xd4]).unwrap());
    let [zebras, walruses] = [&locks[0].1, &locks[1].1];
    let answers = async |lock: &Connection, shown: Credential| {
        let mut answers = Vec::new();
        for door in [1, 6, 7] {
            answers.push(ask(lock, door, shown.clone()).await == Outcome::Granted);
        }
        answers
    };
    assert_eq!(answers(zebras, card()).await, [true, false, true]);
    assert_eq!(answers(walruses, card()).await, [true, true, false]);
    // A person of one is nobody at the other, by whatever they show.
    for (lock, of) in [(zebras, walrus), (walruses, zebra)] {
        assert_eq!(answers(lock, of.mobile(&server, id("tracy"))).await, [false; 3]);
    }
    // The same card ends in one and goes on in the other.
    walrus.run(&server, Command::Revoke { key: KEY_A, person: id("tracy") });
    assert_eq!(answers(zebras, card()).await, [true, false, true]);
    assert_eq!(answers(walruses, card()).await, [false; 3]);
    // So does a door's budget for wrong codes (U7).
    let codes =
        |side: Side| side.codes(&server).into_iter().filter(|(door, _)| *door == DoorId(1)).map(|(_, code)| code);
    let theirs = codes(zebra).next().unwrap();
    let wrong = (0..).map(|number| Digits::parse((9_130_572 + number * 11).to_string().as_bytes()).unwrap());
    let taken: Vec<Digits> = codes(zebra).chain(codes(walrus)).collect();
    for code in wrong.filter(|code| !taken.contains(code)).take(12) {
        ask(walruses, 1, Credential::Code(code)).await;
    }
    assert_eq!(ask(zebras, 1, Credential::Code(theirs)).await, Outcome::Granted);
    let (zebra_pm, walrus_pm) = (
        server.as_person_of(zebra.id, id("pm")).await.unwrap(),
        server.as_person_of(walrus.id, id("pm")).await.unwrap(),
    );
    let alerts = async |pm: &Connection| pm.alerts().await.unwrap().len();
    assert_eq!((alerts(&zebra_pm).await, alerts(&walrus_pm).await), (0, 1));
    server.stop().await;
}

// M9, C2, C3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_digits_are_two_peoples_codes_and_end_apart() {
    // So many codes of four digits at one door in each portfolio that some are in both.
    const PEOPLE_EACH: usize = 400;
    let site = |mark: &str| {
        let person = |n: usize| format!("[[person]]\nname = \"{mark} {n}\"\nemail = \"{n}@{mark}.example\"\n");
        let giving = |n: usize| format!("  [[property.giving]]\n  key = \"All\"\n  person = \"{n}@{mark}.example\"\n");
        let people: String = (0..PEOPLE_EACH).map(person).collect();
        let givings: String = (0..PEOPLE_EACH).map(giving).collect();
        let text = format!(
            "keyward = 1\n[portfolio]\nname = \"{mark}\"\nmanagers = [\"0@{mark}.example\"]\n{people}[[property]]\n\
             name = \"Main\"\ntime_zone = \"UTC\"\ncode_digits = 4\ncode_limit = 1000\n  [[property.door]]\n  \
             name = \"Door\"\n  kind = \"entrance\"\n  [[property.key]]\n  name = \"All\"\n  \
             doors = [{{ door = \"Door\", schedule = \"always\" }}]\n{givings}"
        );
        Site::parse("site.toml", &text).unwrap_or_else(|errors| panic!("{errors:?}"))
    };
    let dir = tempfile::tempdir().unwrap();
    let layout = init(&dir.path().join("data"), &site(ZEBRA), clock::now()).unwrap();
    let server = start(&layout).await;
    let walrus = server.inside.engine.make_portfolio(site(WALRUS)).unwrap();
    let (zebra, walrus) = (Side { id: PORTFOLIO, mark: ZEBRA }, Side { id: walrus, mark: WALRUS });
    let (_, zebras) = server.lock_of(zebra.id, "Gate", LockScope::Property(MAIN)).await;
    let (_, walruses) = server.lock_of(walrus.id, "Gate", LockScope::Property(MAIN)).await;
    let of = |side: Side| {
        let portfolio = side.portfolio(&server);
        let codes = portfolio.properties[&MAIN].codes.values().map(|code| (code.id, code.person)).collect::<Vec<_>>();
        codes
            .into_iter()
            .map(|(code, person)| {
                (server.inside.engine.reveal(side.id, code).unwrap().expose().to_vec(), (code, person))
            })
            .collect::<BTreeMap<_, _>>()
    };
    let (ours, theirs) = (of(zebra), of(walrus));
    let (digits, (code, person)) = ours.iter().find(|(digits, _)| theirs.contains_key(*digits)).unwrap();
    let shown = Credential::Code(server.inside.engine.reveal(zebra.id, *code).unwrap());
    assert!(ask(&zebras, 1, shown.clone()).await == Outcome::Granted);
    zebra.run(&server, Command::Revoke { key: KEY_A, person: *person });
    assert_eq!(ask(&zebras, 1, shown.clone()).await, Outcome::Denied);
    assert_eq!(ask(&walruses, 1, shown.clone()).await, Outcome::Granted, "it is somebody else's there");
    let (_, (code, _)) = theirs.iter().find(|(digits, _)| !ours.contains_key(*digits)).unwrap();
    let alone = Credential::Code(server.inside.engine.reveal(walrus.id, *code).unwrap());
    assert_eq!(ask(&zebras, 1, alone.clone()).await, Outcome::Denied);
    assert_eq!(ask(&walruses, 1, alone).await, Outcome::Granted);
    // Each log has its own attempts, under its own people.
    let logged = async |side: Side| {
        let pm = server.as_person_of(side.id, PersonId(1)).await.unwrap();
        let rows = pm.search_log(Search { newest_first: false, ..Search::newest(100) }).await.unwrap().rows;
        rows.into_iter().map(|row| (row.who, row.denied)).collect::<Vec<_>>()
    };
    use keyward_protocol::message::watch::Who;
    let (_, somebody) = theirs[digits];
    let expected = [
        (Who::Person(*person), None),
        (Who::Person(*person), Some(Reason::DeletedCode)),
        (Who::Nobody, Some(Reason::UnknownCredential)),
    ];
    assert_eq!(logged(zebra).await, expected);
    assert_eq!(logged(walrus).await[0], (Who::Person(somebody), None));
    server.stop().await;
}

/// What stands in an answer once what follows from the moment of asking, and what is sealed, is left out.
fn settled(answer: Answer) -> Answer {
    match answer {
        Answer::Overview(overview) => {
            Answer::Overview(keyward_protocol::message::manage::Overview { now: Moment::MIN, ..overview })
        }
        Answer::History(mut history) => {
            history.next = history.next.map(|sealed| vec![0; sealed.len()]);
            Answer::History(history)
        }
        Answer::Audit(mut page) => {
            page.next = page.next.map(|sealed| vec![0; sealed.len()]);
            Answer::Audit(page)
        }
        answer => answer,
    }
}

// M9, U4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_busy_one_portfolio_is_shows_in_no_number_of_another() {
    let (server, [zebra, walrus]) = two().await;
    let (_, lock) = server.lock_of(zebra.id, "Gate", LockScope::Property(MAIN)).await;
    let (_, elsewhere) = server.lock_of(walrus.id, "Gate", LockScope::Property(MAIN)).await;
    attempts(&server, &lock, zebra, walrus).await;
    let mut roles = Vec::new();
    for role in ROLES {
        roles.push((role, server.as_person_of(zebra.id, id(role)).await.unwrap()));
    }
    let tomorrow = clock::now().plus_seconds(86_400);
    let requests = || looks(&zebra.portfolio(&server), tomorrow).into_iter().chain([Request::Overview]);
    let all = async || {
        let mut answers = Vec::new();
        for (role, connection) in &roles {
            for request in requests() {
                let answer = settled(asked(connection, &request).await.1);
                answers.push((*role, request, answer));
            }
        }
        answers
    };
    let revision = server.inside.engine.directory().portfolios[&zebra.id].revision;
    let pm = &roles[0].1;
    let rows_of = async |search: AuditSearch| pm.search_audit(search).await.unwrap();
    let trail_before = rows_of(AuditSearch::newest(10_000)).await;
    let history_before = pm.search_log(Search::newest(10_000)).await.unwrap();
    let page = |after| Search { after, ..Search::newest(3) };
    let audit_page = |after| AuditSearch { after, ..AuditSearch::newest(3) };
    let (first, first_acts) = (pm.search_log(page(None)).await.unwrap(), rows_of(audit_page(None)).await);
    let mut view = pm.watch_log(&Subscribe { every_ms: 50, ..Subscribe::all() }).await.unwrap();
    let check = [Check { door: DoorId(1), credential: zebra.mobile(&server, id("tracy")) }];
    let before = lock.check_batch(&check).await;

    // Now the other is busy, in every way.
    let busy = server.as_person_of(walrus.id, id("pm")).await.unwrap();
    let watching = busy.watch_log(&Subscribe { every_ms: 50, ..Subscribe::all() }).await.unwrap();
    for round in 0..30 {
        attempts(&server, &elsewhere, walrus, zebra).await;
        let door =
            DoorSpec { name: format!("walrus {round}"), kind: DoorKind::Office, occupied: false, labels: Vec::new() };
        busy.carry_out(Command::MakeDoor(MAIN, door), None).await.unwrap();
        busy.carry_out(give(KEY_B, id("sam")), None).await.unwrap();
        busy.carry_out(Command::Revoke { key: KEY_B, person: id("sam") }, None).await.unwrap();
        busy.preview(Command::DeleteKey(KeyId(NEVER)), Part::FIRST).await.unwrap_err();
        busy.search_log(page(None)).await.unwrap();
        busy.search_audit(audit_page(None)).await.unwrap();
    }
    drop(watching);

    // Nothing that zebra's people are told is different, nor longer, nor numbered otherwise.
    let after = lock.check_batch(&check).await;
    assert_eq!((before.revision, before.outcomes), (after.revision, after.outcomes));
    assert_eq!(zebra.portfolio(&server).revision, revision);
    let history = pm.search_log(Search::newest(10_000)).await.unwrap();
    assert_eq!(history.rows[2..], history_before.rows[..], "two attempts more, both zebra's own");
    assert_eq!(rows_of(AuditSearch::newest(10_000)).await, trail_before);
    let (second, second_acts) =
        (pm.search_log(page(first.next)).await.unwrap(), rows_of(audit_page(first_acts.next)).await);
    assert_eq!(second.rows[..], history_before.rows[3..6], "a page goes on where it ended");
    assert_eq!(second_acts.rows[..], trail_before.rows[3..6]);
    let (mut rows, mut batches) = (Vec::new(), 0);
    while rows.len() < 2 {
        let batch = tokio::time::timeout(Duration::from_secs(20), view.next()).await.unwrap().unwrap().unwrap();
        batches += 1;
        assert_eq!((batch.sequence, batch.dropped, batch.passed_over, batch.sampled_one_in), (batches, 0, 0, 1));
        let counted: u64 = batch.counts.iter().map(|count| count.granted + count.denied).sum();
        assert_eq!(counted, batch.rows.len() as u64);
        rows.extend(batch.rows);
    }
    assert_eq!(rows.len(), 2);
    // Numbers go on where they were.
    let door = DoorSpec { name: "zebra Six".to_owned(), kind: DoorKind::Office, occupied: false, labels: Vec::new() };
    let made = pm.carry_out(Command::MakeDoor(MAIN, door), None).await.unwrap();
    let next = PEOPLE.len() as u32 + 1;
    assert_eq!((made.revision, &made.made), (revision + 1, &Some(Made::Door(DoorId(6)))));
    let person = PersonSpec {
        name: "zebra new".to_owned(),
        email: "new@zebra.example".to_owned(),
        phone: None,
        note: None,
        cards: Vec::new(),
    };
    let made = pm.carry_out(Command::MakePerson(person), None).await.unwrap();
    assert_eq!(made.made, Some(Made::Person(PersonId(next))));
    // What all roles see, twice with the other busy in between; what is refused them stands in the trail.
    let listed = |answers: Vec<(&'static str, Request, Answer)>| {
        let is_list = |request: &Request| !matches!(request, Request::Search(_) | Request::Audit(_));
        answers.into_iter().filter(|(_, request, _)| is_list(request)).collect::<Vec<_>>()
    };
    let lists = listed(all().await);
    for round in 0..10 {
        busy.carry_out(Command::SetHolidays(MAIN, Vec::new()), None).await.unwrap();
        attempts(&server, &elsewhere, walrus, zebra).await;
        busy.carry_out(give(KEY_B, id("sam")), None).await.unwrap();
        busy.carry_out(Command::Revoke { key: KEY_B, person: id("sam") }, None).await.unwrap_or_else(|error| {
            panic!("round {round}: {error}");
        });
    }
    for (before, after) in lists.into_iter().zip(listed(all().await)) {
        assert_eq!(after, before);
    }
    server.stop().await;
}

// When others did something is not read from how far a search of the trail came.
// M8, M9, L5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_far_the_trail_was_searched_is_told_by_ones_own_acts() {
    let (server, [zebra, walrus]) = two().await;
    let (zebras, walruses) = (
        server.as_person_of(zebra.id, id("pm")).await.unwrap(),
        server.as_person_of(walrus.id, id("pm")).await.unwrap(),
    );
    for _ in 0..3 {
        for pm in [&walruses, &zebras, &walruses] {
            pm.carry_out(Command::SetHolidays(MAIN, Vec::new()), None).await.unwrap();
        }
    }
    for pm in [&zebras, &walruses] {
        let all = pm.search_audit(AuditSearch::newest(1_000)).await.unwrap().rows;
        for newest_first in [true, false] {
            let (mut after, mut told) = (None, 0);
            loop {
                let search = AuditSearch { newest_first, after, ..AuditSearch::newest(1) };
                let page = pm.search_audit(search).await.unwrap();
                if let Some(to) = page.searched_to {
                    assert!(all.iter().any(|row| row.at == to), "{to} is nobody's act here");
                    told += 1;
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert!(told > 0);
        }
    }
    server.stop().await;
}

/// A disk that stops where a vault was written anew, until the test lets it go on.
struct Gate {
    path: PathBuf,
    reached: crossbeam_channel::Sender<()>,
    go_on: crossbeam_channel::Receiver<()>,
}

impl Witness for Gate {
    fn before(&self, operation: Operation<'_>) -> Verdict {
        if operation == Operation::Sync(&self.path) {
            _ = self.reached.send(());
            _ = self.go_on.recv();
        }
        Verdict::Proceed
    }
}

// U4, C8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_are_answered_while_the_root_is_rotated_and_changes_wait() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
    let layout = init(&dir.path().join("data"), &site, clock::now()).unwrap();
    let (reached, is_reached) = crossbeam_channel::bounded(1);
    let (go, go_on) = crossbeam_channel::bounded(1);
    let gate = Gate { path: staged_path(&layout.vault(PORTFOLIO)), reached, go_on };
    let medium = Medium { disk: Disk::witnessed(Arc::new(gate)), ..Medium::default() };
    let server = start_on(&medium, &layout).await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let shown = [server.mobile(TRACY), server.tracys_code(1)];
    let asked = async |wanted: Outcome| {
        for shown in &shown {
            assert_eq!(ask(&lock, 1, shown.clone()).await, wanted);
        }
    };
    let (engine, revoke) = (server.inside.engine.clone(), Command::Revoke { key: KEY_A, person: server.person(TRACY) });
    let rotating = {
        let engine = engine.clone();
        tokio::task::spawn_blocking(move || engine.rotate())
    };
    tokio::task::spawn_blocking(move || is_reached.recv()).await.unwrap().unwrap();
    asked(Outcome::Granted).await;
    let changing = tokio::task::spawn_blocking(move || engine.run(PORTFOLIO, Actor::Administrator, revoke));
    asked(Outcome::Granted).await;
    assert!(!rotating.is_finished() && !changing.is_finished());
    go.send(()).unwrap();
    assert_eq!(rotating.await.unwrap().unwrap().vaults, 1);
    changing.await.unwrap().unwrap();
    asked(Outcome::Denied).await;
    server.stop().await;
}

// M9 C8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_of_one_portfolio_is_told_nothing_of_the_other() {
    let (server, sides) = two().await;
    for (side, other) in [(sides[0], sides[1]), (sides[1], sides[0])] {
        let tracy = id("tracy");
        let pass = server.inside.join(side.id, Party::Holder(tracy)).unwrap();
        let app = connect(&server, &identity(pass)).await;
        let codes_of = |side: &Side| -> Vec<CodeId> {
            let portfolio = side.portfolio(&server);
            let all = portfolio.properties.values().flat_map(|property| property.codes.values());
            all.filter(|code| code.person == tracy).map(|code| code.id).collect()
        };
        let mut requests = vec![Request::Mine(Mine::Access), Request::Mine(Mine::Code(CodeId(u64::from(NEVER))))];
        requests
            .extend(codes_of(&side).into_iter().chain(codes_of(&other)).map(|code| Request::Mine(Mine::Code(code))));
        requests.extend([Request::Overview, Request::Mine(Mine::EndShare { key: KeyId(NEVER), guest: tracy })]);
        let mut bytes = 0;
        for request in &requests {
            let (answer, _) = asked(&app, request).await;
            bytes += answer.len();
            let told = String::from_utf8_lossy(&answer).into_owned();
            assert!(!told.contains(other.mark), "{request:?}: {told}");
        }
        let mine = app.my_access().await.unwrap();
        assert!(mine.portfolio.contains(side.mark) && !mine.keys.is_empty() && bytes > 500);
        assert_eq!(mine.revision, side.portfolio(&server).revision);
    }
    server.stop().await;
}
