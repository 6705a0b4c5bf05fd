//! Who may do what and see what: every role, every act, at home and elsewhere, against a table that stands here (M1-M10).

use std::collections::BTreeMap;

use keyward_protocol::{
    entry::{CodePolicy, OnLogFailure, PropertySpec},
    id::{IdentityId, LockdownId, ScheduleId, TokenId},
    message::{audit::AuditSearch, mine::Mine},
    schedule::Hours,
};

use super::*;
use crate::domain::permission::{Sight, authorize};

pub(super) const OTHER: PropertyId = PropertyId(2);
pub(super) const NEVER: u32 = 9_999;

/// Two properties alike: Key A has Door 1, Key B has Door 2, Door 3 is in no Key. What stands in the other one is
/// called a canary.
const TOWN: &str = r#"keyward = 1
[portfolio]
name = "Harbor"
managers = ["pm@h.example", "pmlimited@h.example", "pmspecific@h.example"]
PEOPLE
[[property]]
name = "Main"
time_zone = "America/New_York"
deliveries = true
  [[property.door]]
  name = "Door 1"
  kind = "entrance"
  labels = ["deliveries"]
  [[property.door]]
  name = "Door 2 canary-hidden"
  kind = "amenity"
  [[property.door]]
  name = "Door 3 canary-hidden"
  kind = "service"
  [[property.schedule]]
  name = "canary-hidden business"
  windows = ["daily 08:00-18:00"]
  [[property.key]]
  name = "Key A"
  doors = [{ door = "Door 1", schedule = "always" }]
  [[property.key]]
  name = "Key B canary-hidden"
  doors = [{ door = "Door 2 canary-hidden", schedule = "canary-hidden business" }]
  [[property.giving]]
  key = "Key A"
  person = "tracy@h.example"
  may_share = true
  [[property.giving]]
  key = "Key B canary-hidden"
  person = "tracy@h.example"
  [[property.giving]]
  key = "Key B canary-hidden"
  person = "canary-hidden@h.example"
  [[property.share]]
  key = "Key A"
  host = "tracy@h.example"
  guest = "sam@h.example"
  [[property.manager]]
  person = "pmlimited@h.example"
  level = "limited"
  [[property.manager]]
  person = "pmspecific@h.example"
  level = "specific"
  keys = ["Key A"]
  [[property.manager]]
  person = "full@h.example"
  level = "full"
  [[property.manager]]
  person = "limited@h.example"
  level = "limited"
  [[property.manager]]
  person = "specific@h.example"
  level = "specific"
  keys = ["Key A"]
  [[property.manager]]
  person = "suspended@h.example"
  level = "full"
[[property]]
name = "canary-other"
time_zone = "America/New_York"
deliveries = true
  [[property.door]]
  name = "canary-other Door 1"
  kind = "entrance"
  labels = ["canary-other", "deliveries"]
  [[property.door]]
  name = "canary-other Door 2"
  kind = "amenity"
  [[property.schedule]]
  name = "canary-other hours"
  windows = ["daily 08:00-18:00"]
  [[property.key]]
  name = "canary-other Key"
  doors = [{ door = "canary-other Door 1", schedule = "canary-other hours" }]
  [[property.giving]]
  key = "canary-other Key"
  person = "canary-other@h.example"
"#;

/// In the order of their ids. The roles that the table has, and people to do things to.
pub(super) const PEOPLE: [&str; 12] = [
    "pm",
    "pmlimited",
    "pmspecific",
    "full",
    "limited",
    "specific",
    "suspended",
    "tracy",
    "sam",
    "canary-hidden",
    "canary-other",
    "canary-nobody",
];
pub(super) const ROLES: [&str; 8] =
    ["pm", "pmlimited", "pmspecific", "full", "limited", "specific", "suspended", "tracy"];

pub(super) fn id(name: &str) -> PersonId {
    PersonId(1 + PEOPLE.iter().position(|known| *known == name).expect("a person of the town") as u32)
}

pub(super) fn text() -> String {
    let person = |name: &&str| format!("[[person]]\nname = \"{name} person\"\nemail = \"{name}@h.example\"\n");
    TOWN.replace("PEOPLE", &PEOPLE.iter().map(person).collect::<String>())
}

pub(super) async fn town() -> (Layout, Running) {
    let text = text();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::parse("site.toml", &text).unwrap();
    let layout = init(&dir.path().join("data"), &site, clock::now()).unwrap();
    let mut running = start(&layout).await;
    running._dir = Some(dir);
    running.inside.engine.run(PORTFOLIO, Actor::Administrator, Command::Suspend(id("suspended"), true)).unwrap();
    let run = |command| running.inside.engine.run(PORTFOLIO, Actor::Administrator, command).unwrap();
    let lockdown = |property, door| Command::LockDown { property, doors: Some(vec![door]), except_keys: Vec::new() };
    run(Command::MakeLock { name: "Shed".to_owned(), scope: LockScope::Property(OTHER) });
    let (party, until) = (Party::Lock(LockId(1)), clock::now().plus_seconds(86_400));
    run(Command::MakeToken { party, hash: [9; 32], until });
    run(lockdown(MAIN, DoorId(2)));
    run(lockdown(OTHER, DoorId(4)));
    (layout, running)
}

impl Running {
    /// A certificate says who somebody is, whatever they may: made here for those too who would be given none.
    pub(super) async fn as_person(&self, person: PersonId) -> Result<Connection, ClientError> {
        self.as_person_of(PORTFOLIO, person).await
    }

    pub(super) async fn as_person_of(
        &self,
        portfolio: PortfolioId,
        person: PersonId,
    ) -> Result<Connection, ClientError> {
        let identity = self.inside.join(portfolio, Party::Operator(person)).map(identity).unwrap_or_else(|_| {
            let principal = Principal::Operator { portfolio, person };
            let authority = self.inside.authority.load();
            let issued = authority.issue(&principal, Validity::operator(clock::now()), &Subject::Fresh).unwrap();
            let key = issued.key_pem.unwrap();
            ClientIdentity::new(authority.certificate_pem(), issued.certificate_pem, key.as_str())
        });
        let connection = Connection::connect(self.inside.address, &identity, Duration::from_secs(10)).await?;
        // A refused certificate shows with the first answer.
        connection.overview().await.map(|_| ()).or_else(|error| match error {
            ManageError::Connection(error) => Err(error),
            _ => Ok(()),
        })?;
        Ok(connection)
    }
}

/// What is in a property, by its ids: of the acts' objects.
#[derive(Clone, Copy)]
pub(super) struct Place {
    property: PropertyId,
    key: KeyId,
    door: DoorId,
    schedule: ScheduleId,
    lockdown: LockdownId,
    holder: PersonId,
}

/// Main by what everybody there manages, Main by what Specific managers do not, the other property, and what never was.
pub(super) fn places() -> [(&'static str, Place); 4] {
    let place = |property, key, door, schedule, lockdown, holder| Place {
        property: PropertyId(property),
        key: KeyId(key),
        door: DoorId(door),
        schedule: ScheduleId(schedule),
        lockdown: LockdownId(lockdown),
        holder,
    };
    [
        ("theirs", place(1, 1, 1, 1, 1, id("tracy"))),
        ("hidden", place(1, 2, 2, 1, 1, id("canary-hidden"))),
        ("other", place(2, 4, 4, 2, 2, id("canary-other"))),
        ("never", place(NEVER, NEVER, NEVER, NEVER, NEVER, PersonId(NEVER))),
    ]
}

/// Everything that can be asked about a place, by name.
pub(super) fn acts(at: Place) -> Vec<(&'static str, Request)> {
    let opening = Opening { schedule: ScheduleRef::Always, code: true };
    let key_spec = |name: &str| KeySpec {
        name: name.to_owned(),
        may_share: false,
        doors: vec![KeyDoor { door: at.door, opening }],
        rules: Vec::new(),
    };
    let contact = |name: &str| PersonSpec {
        name: name.to_owned(),
        email: format!("{name}@h.example"),
        phone: None,
        note: None,
        cards: Vec::new(),
    };
    let spec = |name: &str| PropertySpec {
        name: name.to_owned(),
        zone: "UTC".to_owned(),
        codes: CodePolicy::default(),
        on_log_failure: OnLogFailure::Deny,
    };
    let door = |name: &str| DoorSpec { name: name.to_owned(), kind: DoorKind::Office, occupied: false, labels: vec![] };
    let holder = PEOPLE.get(at.holder.0 as usize - 1).copied().unwrap_or("nobody");
    let card = PersonSpec { cards: vec![keyward_protocol::code::Card::new(&[9]).unwrap()], ..contact("carded") };
    let (rows, period) = (Rows::all, Period::default);
    let until = clock::now().plus_seconds(600);
    let token = |party| Command::MakeToken { party, hash: [8; 32], until };
    let command = |name, command| (name, Request::Preview(command, Part::FIRST));
    vec![
        // Of Portfolio Managers, whatever level they have.
        command("make property", Command::MakeProperty(spec("New"))),
        command("edit property", Command::EditProperty(at.property, spec("Renamed"))),
        command("remove property", Command::RemoveProperty(at.property)),
        command("deliveries", Command::SetDeliveries(at.property, false)),
        command("make door", Command::MakeDoor(at.property, door("New"))),
        command("remove door", Command::RemoveDoor(at.door)),
        command("set level", Command::SetLevel(at.property, id("sam"), Some(Level::Full))),
        command("portfolio manager", Command::SetPortfolioManager(at.holder, true)),
        command("make lock", Command::MakeLock { name: "L".to_owned(), scope: LockScope::Property(at.property) }),
        command("disable lock", Command::DisableLock(LockId(1), true)),
        command("delete person", Command::DeletePerson(at.holder)),
        command("suspend", Command::Suspend(at.holder, true)),
        command("make person with card", Command::MakePerson(card)),
        ("list locks", Request::Locks(rows())),
        ("what locks asked", Request::LockActivity(rows())),
        command("token for a lock", token(Party::Lock(LockId(1)))),
        command("token for an operator", token(Party::Operator(at.holder))),
        command("revoke token", Command::RevokeToken(TokenId(1))),
        // Of the Portfolio Manager who joined first.
        command("disable identity", Command::DisableIdentity(IdentityId(1), true)),
        command("enable identity", Command::DisableIdentity(IdentityId(1), false)),
        command("renew mobile", Command::RenewMobile(at.holder)),
        // Of who gives every Key that somebody has.
        command("token for a holder", token(Party::Holder(at.holder))),
        ("list identities", Request::Identities(rows())),
        ("list tokens", Request::Tokens(rows())),
        // Of holders alone.
        ("mine", Request::Mine(Mine::Access)),
        // Of Full.
        command("holidays", Command::SetHolidays(at.property, Vec::new())),
        command("make schedule", Command::MakeSchedule(at.property, "S".to_owned(), Hours::default())),
        command("edit schedule", Command::EditSchedule(at.property, at.schedule, "S".to_owned(), Hours::default())),
        command("delete schedule", Command::DeleteSchedule(at.property, at.schedule)),
        command("make key", Command::MakeKey(at.property, key_spec("New"))),
        command("edit key", Command::EditKey(at.key, key_spec("Renamed"))),
        command("delete key", Command::DeleteKey(at.key)),
        command("edit door", Command::EditDoor(at.door, door("Renamed"))),
        command("lock down", Command::LockDown { property: at.property, doors: None, except_keys: Vec::new() }),
        command("lift lockdown", Command::LiftLockdown(at.property, at.lockdown)),
        // Of Limited, and of Specific where the Key is theirs.
        command("give", Command::Give { key: at.key, person: at.holder, may_share: None, period: period() }),
        command("revoke", Command::Revoke { key: at.key, person: at.holder }),
        command("move", {
            let (person, from, to) = (at.holder, at.key, at.key);
            Command::Move { person, from, to, may_share: None, period: period() }
        }),
        command("share", {
            let (host, guest) = (at.holder, at.holder);
            Command::Share { key: at.key, host, guest, doors: None, period: period() }
        }),
        command("end share", Command::EndShare { key: at.key, host: at.holder, guest: at.holder }),
        command("edit contact", Command::EditPerson(at.holder, contact(holder))),
        // Of everybody who manages anything.
        command("make person", Command::MakePerson(contact("new"))),
        ("find by email", Request::FindPerson("sam@h.example".to_owned())),
        ("overview", Request::Overview),
        // What is there.
        ("property", Request::Property(at.property)),
        ("keys", Request::Keys(at.property, rows())),
        ("doors", Request::Doors(at.property, rows())),
        ("schedules", Request::Schedules(at.property, rows())),
        ("people there", Request::People(Some(at.property), rows())),
        ("key", Request::Key(at.key)),
        ("holders", Request::Holders(at.key, rows())),
        ("door", Request::Door(at.door)),
        ("person", Request::Person(at.holder)),
        ("explain", Request::Explain { person: at.holder, door: at.door, by_code: false, at: None }),
        ("who can", Request::WhoCan(at.door, None, rows())),
        ("what can", Request::WhatCan(at.holder, None, rows())),
        ("difference", Request::Difference { property: at.property, from: clock::now(), until: None, rows: rows() }),
        ("audit trail", Request::Audit(AuditSearch::newest(5))),
        ("export", Request::Audit(AuditSearch::export(5))),
        ("alerts", Request::Alerts),
    ]
}

/// `y` may, `n` is refused and told what is missing, `-` is not there. A column for each of [`ROLES`] but the last two,
/// who may nothing; three tables: what they manage in Main, what a Specific manager does not, and the other property.
const TABLE: &str = "
                        theirs  hidden  other
    make property       yyynnn  yyynnn  yyynnn
    edit property       yyynnn  yyynnn  yyy---
    remove property     yyynnn  yyynnn  yyy---
    deliveries          yyynnn  yyynnn  yyy---
    make door           yyynnn  yyynnn  yyy---
    remove door         yyynnn  yyynn-  yyy---
    set level           yyynnn  yyynnn  yyy---
    portfolio manager   yyynnn  yyynnn  yyynnn
    make lock           yyynnn  yyynnn  yyynnn
    disable lock        yyynnn  yyynnn  yyynnn
    delete person       yyynnn  yyynnn  yyynnn
    suspend             yyynnn  yyynnn  yyynnn
    make person with card yyynnn yyynnn yyynnn
    list locks          yyynnn  yyynnn  yyynnn
    what locks asked    yyynnn  yyynnn  yyynnn
    token for a lock    yyynnn  yyynnn  yyynnn
    token for an operator yyynnn yyynnn yyynnn
    revoke token        yyy---  yyy---  yyy---
    disable identity    yyy---  yyy---  yyy---
    enable identity     yyy---  yyy---  yyy---
    renew mobile        yyynnn  yyynn-  yyy---
    token for a holder  yyyyyn  yyyyy-  yyy---
    list identities     yyyyyy  yyyyyy  yyyyyy
    list tokens         yyyyyy  yyyyyy  yyyyyy
    mine                nnnnnn  nnnnnn  nnnnnn
    holidays            ynnynn  ynnynn  yyy---
    make schedule       ynnynn  ynnynn  yyy---
    edit schedule       ynnynn  ynnynn  yyy---
    delete schedule     ynnynn  ynnynn  yyy---
    make key            ynnynn  ynnynn  yyy---
    edit key            ynnynn  yn-yn-  yyy---
    delete key          ynnynn  yn-yn-  yyy---
    edit door           ynnynn  ynnyn-  yyy---
    lock down           ynnynn  ynnynn  yyy---
    lift lockdown       ynnynn  ynnynn  yyy---
    give                yyyyyy  yy-yy-  yyy---
    revoke              yyyyyy  yy-yy-  yyy---
    move                yyyyyy  yy-yy-  yyy---
    share               yyyyyy  yy-yy-  yyy---
    end share           yyyyyy  yy-yy-  yyy---
    edit contact        yyyyyn  yyyyy-  yyy---
    make person         yyyyyy  yyyyyy  yyyyyy
    find by email       yyyyyy  yyyyyy  yyyyyy
    overview            yyyyyy  yyyyyy  yyyyyy
    property            yyyyyy  yyyyyy  yyy---
    keys                yyyyyy  yyyyyy  yyy---
    doors               yyyyyy  yyyyyy  yyy---
    schedules           yyyyyy  yyyyyy  yyy---
    people there        yyyyyy  yyyyyy  yyy---
    key                 yyyyyy  yy-yy-  yyy---
    holders             yyyyyy  yy-yy-  yyy---
    door                yyyyyy  yyyyy-  yyy---
    person              yyyyyy  yyyyy-  yyy---
    explain             yyyyyy  yynyy-  yyy---
    who can             yyyyyy  yynyy-  yyy---
    what can            yyyyyy  yyyyy-  yyy---
    difference          yyyyyy  yyyyyy  yyy---
    audit trail         yyyyyy  yyyyyy  yyyyyy
    export              yyynnn  yyynnn  yyynnn
    alerts              yyyyyy  yyyyyy  yyyyyy
";

/// What the table says: by act, then by place, then by role.
fn table() -> BTreeMap<&'static str, [&'static str; 3]> {
    let mut table = BTreeMap::new();
    for line in TABLE.lines().skip(2) {
        let Some((rest, other)) = line.trim().rsplit_once(' ') else { continue };
        let (rest, hidden) = rest.trim().rsplit_once(' ').unwrap();
        let (name, theirs) = rest.trim().rsplit_once(' ').unwrap();
        table.insert(name.trim(), [theirs, hidden, other]);
    }
    table
}

/// A refusal by the rules (the period is over, nothing is held) is no refusal of the person.
fn letter(answer: &Answer) -> char {
    match answer {
        Answer::Refused(Refusal::NotPermitted(missing)) => {
            assert!(!missing.is_empty(), "a refusal says what is missing");
            'n'
        }
        Answer::Refused(Refusal::NotFound(what)) if !["giving", "share"].iter().any(|rule| what.starts_with(rule)) => {
            '-'
        }
        _ => 'y',
    }
}

pub(super) async fn asked(connection: &Connection, request: &Request) -> (Vec<u8>, Answer) {
    let bytes = connection.request(&request.encode()).await.unwrap();
    let answer = Answer::decode(&bytes).unwrap();
    (bytes, answer)
}

// M1, M2, M3, M4, M6, M7, M8, M10, L2, V2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_does_and_sees_what_the_table_says_over_the_network_and_no_more() {
    let (_, server) = town().await;
    let table = table();
    let mut connections = Vec::new();
    for role in ROLES {
        connections.push(server.as_person(id(role)).await);
    }
    let revision = || server.inside.engine.directory().portfolios[&PORTFOLIO].revision;
    let before = revision();
    let (mut cells, mut wrong) = (0, Vec::new());
    for ((column, role), connection) in ROLES.iter().enumerate().zip(connections) {
        if column >= 6 {
            assert!(connection.is_err(), "{role} manages nothing and is not let in");
            continue;
        }
        let connection = connection.unwrap();
        for (at, (relation, place)) in places().into_iter().enumerate().take(3) {
            let acts = acts(place);
            assert_eq!(acts.len(), table.len(), "the table has a line for every act");
            for (name, request) in acts {
                let wanted = table[name][at].chars().nth(column).unwrap();
                let (_, answer) = asked(&connection, &request).await;
                if letter(&answer) != wanted {
                    wrong.push(format!("{role}, {name}, {relation}: wanted {wanted}, got {answer:?}"));
                }
                cells += 1;
                // What is refused in a preview is refused as a step too, in the same words, and changes nothing.
                let Request::Preview(command, part) = request else { continue };
                let pure = {
                    let directory = server.inside.engine.directory();
                    let portfolio = &directory.portfolios[&PORTFOLIO];
                    Sight::of(portfolio, id(role)).and_then(|sight| authorize(&sight, &command))
                };
                let pure = pure.err().map_or('y', |refusal| letter(&Answer::Refused(refusal)));
                assert_eq!(pure == 'y', wanted == 'y', "{role}, {name}, {relation}");
                if wanted != 'y' {
                    let (_, done) = asked(&connection, &Request::Do { command, pinned: None, part }).await;
                    assert_eq!(done, answer, "{role}, {name}, {relation}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((cells, revision()), (6 * 3 * table.len(), before), "nothing was changed");
    server.stop().await;
}

// M8, M9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_seen_answers_byte_for_byte_as_what_never_was_and_is_in_no_byte() {
    let (_, server) = town().await;
    let (_, lock) = server.lock("canary-hidden lock", LockScope::Property(MAIN)).await;
    let (_, elsewhere) = server.lock("canary-other lock", LockScope::Property(OTHER)).await;
    let never = acts(places()[3].1);
    let subscribe = Subscribe { every_ms: 50, ..Subscribe::all() };
    for (role, canaries) in [
        ("full", &["canary-other", "canary-nobody"][..]),
        ("limited", &["canary-other", "canary-nobody"]),
        ("specific", &["canary"]),
    ] {
        let connection = server.as_person(id(role)).await.unwrap();
        let mut watching = connection.watch(&subscribe.encode()).await.unwrap();
        // Attempts that are theirs to see, and others.
        for (lock, door, who) in
            [(&lock, 2, "canary-hidden"), (&elsewhere, 4, "canary-other"), (&lock, 99, "canary-nobody")]
        {
            ask(lock, door, server.mobile(&format!("{who}@h.example"))).await;
        }
        ask(&lock, 1, server.mobile("tracy@h.example")).await;
        let mut received = Vec::new();
        let hidden = if role == "specific" { 1..3 } else { 2..3 };
        for at in hidden {
            for ((name, request), (_, of_never)) in acts(places()[at].1).into_iter().zip(&never) {
                let (bytes, answer) = asked(&connection, &request).await;
                if letter(&answer) == '-' {
                    assert_eq!(bytes, asked(&connection, of_never).await.0, "{role}: {name}");
                }
                received.push((name, bytes));
            }
        }
        let (rows, most) = (Rows::all, 1_000);
        let lists = [
            Request::People(None, rows()),
            Request::People(Some(MAIN), rows()),
            Request::Keys(MAIN, rows()),
            Request::Doors(MAIN, rows()),
            Request::Schedules(MAIN, rows()),
            Request::Property(MAIN),
            Request::Person(id("tracy")),
            Request::WhatCan(id("tracy"), None, rows()),
            Request::Explain { person: id("tracy"), door: DoorId(1), by_code: true, at: None },
            Request::Search(Search::newest(most)),
            Request::Search(Search { person: Some(id("canary-other")), ..Search::newest(most) }),
            Request::Search(Search { property: Some(OTHER), ..Search::newest(most) }),
            Request::Search(Search { doors: Some(vec![DoorId(4), DoorId(99)]), ..Search::newest(most) }),
        ];
        for request in lists {
            received.push(("a list", asked(&connection, &request).await.0));
        }
        let mut seen = 0;
        while seen == 0 {
            let batch = tokio::time::timeout(Duration::from_secs(20), watching.next()).await.unwrap().unwrap().unwrap();
            let decoded = LiveBatch::decode(&batch).unwrap();
            seen = decoded.rows.iter().filter(|row| row.door == DoorId(1)).count();
            received.push(("a live batch", batch));
        }
        for (name, bytes) in &received {
            for canary in canaries {
                let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
                assert!(!found, "{role}: {name} has `{canary}`: {:?}", String::from_utf8_lossy(bytes));
            }
        }
        assert!(
            received.iter().any(|(_, bytes)| bytes.windows(5).any(|part| part == b"tracy")),
            "names are looked for"
        );
    }
    server.stop().await;
}

// M8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_specific_manager_counts_what_is_theirs_alone() {
    let (_, server) = town().await;
    let specific = server.as_person(id("specific")).await.unwrap();
    let overview = specific.overview().await.unwrap();
    let row = &overview.properties[0];
    assert_eq!((overview.properties.len(), overview.locks, overview.people), (1, 0, 3), "Tracy, Sam and themselves");
    assert_eq!((row.doors, row.keys, row.system_keys, row.lockdowns), (1, 1, 0, 0));
    assert!(specific.property(MAIN).await.unwrap().lockdowns.is_empty(), "Door 2's is not there");
    let tracy = specific.person(id("tracy")).await.unwrap();
    assert_eq!((tracy.holds.len(), tracy.row.keys), (1, 1));
    assert_eq!(tracy.codes.iter().map(|code| code.door).collect::<Vec<_>>(), [DoorId(1)]);
    // Door 1 comes into Key B: the codes of those who have it by Key B alone are not there.
    let opening = Opening { schedule: ScheduleRef::Always, code: true };
    let doors = [1, 2].map(|door| KeyDoor { door: DoorId(door), opening }).to_vec();
    let spec = KeySpec { name: "Key B".to_owned(), may_share: false, doors, rules: Vec::new() };
    server.inside.engine.run(PORTFOLIO, Actor::Administrator, Command::EditKey(KEY_B, spec)).unwrap();
    let door = specific.door(DoorId(1)).await.unwrap();
    assert_eq!((door.row.codes, door.row.keys, door.keys.len()), (2, 1, 1), "Tracy's and Sam's, by Key A");
    let full = server.as_person(id("full")).await.unwrap();
    let door = full.door(DoorId(1)).await.unwrap();
    assert_eq!((door.row.codes, door.row.keys), (3, 2));
    assert_eq!(full.overview().await.unwrap().properties[0].lockdowns, 1);
    server.stop().await;
}

// M2, M3, M4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_key_is_full_and_limited_managers_and_never_a_specific_ones() {
    let (_, server) = town().await;
    let full = server.as_person(id("full")).await.unwrap();
    let opening = Opening { schedule: ScheduleRef::Always, code: true };
    let doors = vec![KeyDoor { door: DoorId(1), opening }];
    let spec = KeySpec { name: "Later".to_owned(), may_share: false, doors, rules: Vec::new() };
    let Some(Made::Key(later)) = full.carry_out(Command::MakeKey(MAIN, spec), None).await.unwrap().made else {
        panic!()
    };
    for (role, gives) in
        [("full", true), ("limited", true), ("pmlimited", true), ("specific", false), ("pmspecific", false)]
    {
        let connection = server.as_person(id(role)).await.unwrap();
        let done = connection.carry_out(give(later, id("tracy")), None).await;
        assert_eq!(done.is_ok(), gives, "{role}");
        if !gives {
            assert_eq!(refusal(done), Refusal::NotFound("Key".to_owned()));
            assert!(connection.keys(MAIN, Rows::all()).await.unwrap().rows.iter().all(|row| row.id != later));
        }
    }
    server.stop().await;
}

// Somebody who is not there is given a Key by who knows their email, and by nobody who guesses an id.
// M4, M8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_met_by_their_exact_email_or_by_being_made() {
    let (_, server) = town().await;
    for role in ["specific", "limited", "full"] {
        let manager = server.as_person(id(role)).await.unwrap();
        let (nobody, never) = (id("canary-nobody"), PersonId(NEVER));
        let guessed = refusal(manager.carry_out(give(KEY_A, nobody), None).await);
        assert_eq!(guessed, refusal(manager.carry_out(give(KEY_A, never), None).await), "a guessed id tells nothing");
        assert_eq!(guessed, Refusal::NotFound("person".to_owned()));
        assert!(matches!(refusal(manager.find_person("canary-nobod@h.example").await), Refusal::NotFound(_)));
        let found = manager.find_person("CANARY-nobody@h.example").await.unwrap();
        assert_eq!((found.id, found.keys), (nobody, 0));
        assert!(matches!(refusal(manager.person(nobody).await), Refusal::NotFound(_)), "they are not in sight by that");
        manager.preview(give(KEY_A, nobody), Part::FIRST).await.unwrap();
        manager.carry_out(give(KEY_A, nobody), None).await.unwrap();
        assert_eq!(manager.person(nobody).await.unwrap().holds.len(), 1);
        manager.carry_out(Command::Revoke { key: KEY_A, person: nobody }, None).await.unwrap();
        let spec = PersonSpec {
            name: "New".to_owned(),
            email: format!("new-{role}@h.example"),
            phone: None,
            note: None,
            cards: Vec::new(),
        };
        let Some(Made::Person(made)) = manager.carry_out(Command::MakePerson(spec), None).await.unwrap().made else {
            panic!()
        };
        manager.carry_out(give(KEY_A, made), None).await.unwrap();
    }
    server.stop().await;
}

// Managing is not holding, and who manages less than a portfolio tries nothing out.
// M5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_opens_no_door_by_managing_it_and_only_portfolio_managers_ask_about_doors() {
    let (_, server) = town().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    for role in ["pm", "full", "limited", "specific"] {
        assert_eq!(ask(&lock, 1, server.mobile(&format!("{role}@h.example"))).await, Outcome::Denied, "{role}");
    }
    let asks = async |role: &str| {
        let connection = server.as_person(id(role)).await.unwrap();
        ask(&connection, 1, server.mobile("tracy@h.example")).await
    };
    assert_eq!(asks("pm").await, Outcome::Granted);
    assert_eq!((asks("full").await, asks("specific").await), (Outcome::Denied, Outcome::Denied));
    let run = |command| server.inside.engine.run(PORTFOLIO, Actor::Administrator, command).unwrap();
    run(give(KEY_A, id("limited")));
    run(Command::SetLevel(MAIN, id("limited"), None));
    assert_eq!(ask(&lock, 1, server.mobile("limited@h.example")).await, Outcome::Granted, "no Key went with the level");
    server.stop().await;
}

// A door is in the view for as long as it is in a Key of theirs.
// L2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_specific_managers_live_view_follows_the_doors_that_a_full_manager_adds_and_removes() {
    let (_, server) = town().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let full = server.as_person(id("full")).await.unwrap();
    let specific = server.as_person(id("specific")).await.unwrap();
    let mut view = specific.watch_log(&Subscribe { every_ms: 50, ..Subscribe::all() }).await.unwrap();
    let opening = Opening { schedule: ScheduleRef::Always, code: true };
    let (mut expected, mut got, mut marks) = (Vec::new(), Vec::new(), 0);
    for doors in [&[1][..], &[1, 2], &[1], &[1, 2, 3], &[1, 3], &[1]] {
        let listed = doors.iter().map(|door| KeyDoor { door: DoorId(*door), opening }).collect();
        let spec = KeySpec { name: "Key A".to_owned(), may_share: false, doors: listed, rules: Vec::new() };
        full.carry_out(Command::EditKey(KEY_A, spec), None).await.unwrap();
        // Door 1 is always theirs: when its attempt is there, whatever came before it was.
        for door in [2, 3, 2, 1] {
            ask(&lock, door, server.mobile("sam@h.example")).await;
            if doors.contains(&door) {
                expected.push(DoorId(door));
            }
        }
        marks += 1;
        while got.iter().filter(|door| **door == DoorId(1)).count() < marks {
            let batch = tokio::time::timeout(Duration::from_secs(20), view.next()).await.unwrap().unwrap().unwrap();
            let counted: u64 = batch.counts.iter().map(|count| count.granted + count.denied).sum();
            assert_eq!(counted, batch.rows.len() as u64, "no count of what is not shown");
            assert!(batch.names.doors.iter().all(|(door, _)| doors.contains(&door.0)));
            got.extend(batch.rows.iter().map(|row| row.door));
        }
    }
    assert_eq!(got, expected);
    server.stop().await;
}
