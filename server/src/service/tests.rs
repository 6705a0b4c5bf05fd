//! The whole path over real QUIC: certificate, frame, decision, record.

use std::{net::Ipv4Addr, time::Duration};

use keyward_protocol::{
    client::{ClientError, ClientIdentity, Connection, LiveView, ManageError},
    code::Credential,
    codec::Status,
    decision::Reason,
    entry::{DoorKind, DoorSpec, KeyDoor, KeySpec, Level, Opening, Period, PersonSpec, ScheduleRef},
    id::{DoorId, GivingId, KeyId, PersonId, PropertyId},
    message::{
        check::{Check, Outcome},
        manage::{Answer, At, DoorCodes, Effects, Made, Part, Request, Rows},
        watch::{LiveBatch, LiveRow, Search, Subscribe},
    },
};
use tokio::sync::oneshot;

use super::*;
use crate::{
    access_log::{Span, Who},
    clock,
    disk::Verdict,
    identity::{Principal, Subject, Validity},
};

mod flows;
mod joining;
mod matrix;
mod past;
mod portfolios;
mod trail;

const PORTFOLIO: PortfolioId = PortfolioId(1);
const TRACY: &str = "tracy@mail.example";

struct Running {
    inside: Inside,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
    _dir: Option<tempfile::TempDir>,
}

async fn start(layout: &Layout) -> Running {
    start_on(&Medium::default(), layout).await
}

async fn start_on(medium: &Medium, layout: &Layout) -> Running {
    start_with(medium, layout, clock::system()).await
}

async fn start_by(layout: &Layout, clock: Clock) -> Running {
    start_with(&Medium::default(), layout, clock).await
}

async fn start_with(medium: &Medium, layout: &Layout, clock: Clock) -> Running {
    let options = Options { address: (Ipv4Addr::LOCALHOST, 0).into(), mode: access_log::Mode::Strict, clock };
    let server = Server::bind_on(medium, layout, options, Progress::silent()).unwrap();
    let inside = server.inside();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(server.serve(async move { _ = stopped.await }));
    Running { inside, stop, task, _dir: None }
}

async fn fresh() -> (Layout, Running) {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
    let layout = init(&dir.path().join("data"), &site, clock::now()).unwrap();
    let mut running = start(&layout).await;
    running._dir = Some(dir);
    (layout, running)
}

impl Running {
    async fn stop(self) -> Option<tempfile::TempDir> {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        self._dir
    }

    /// A lock that joined here.
    fn lock_identity(&self, name: &str, scope: LockScope) -> (LockId, ClientIdentity) {
        let (lock, pass) = self.inside.join_lock(PORTFOLIO, name, scope).unwrap();
        (lock, identity(pass))
    }

    async fn lock(&self, name: &str, scope: LockScope) -> (LockId, Connection) {
        self.lock_of(PORTFOLIO, name, scope).await
    }

    async fn lock_of(&self, portfolio: PortfolioId, name: &str, scope: LockScope) -> (LockId, Connection) {
        let (lock, pass) = self.inside.join_lock(portfolio, name, scope).unwrap();
        (lock, connect(self, &identity(pass)).await)
    }

    fn mobile(&self, email: &str) -> Credential {
        let directory = self.inside.engine.directory();
        Credential::Mobile(directory.portfolios[&PORTFOLIO].person_by_email(email).unwrap().mobile)
    }

    fn person_is_there(&self, person: PersonId) -> bool {
        self.inside.engine.directory().portfolios[&PORTFOLIO].people.contains_key(&person)
    }

    fn person(&self, email: &str) -> PersonId {
        self.inside.engine.directory().portfolios[&PORTFOLIO].person_by_email(email).unwrap().id
    }
}

fn identity(pass: Pass) -> ClientIdentity {
    ClientIdentity::new(pass.ca_pem.as_str(), pass.certificate_pem.as_str(), pass.key_pem.as_str())
}

async fn connect(server: &Running, identity: &ClientIdentity) -> Connection {
    Connection::connect(server.inside.address, identity, Duration::from_secs(10)).await.unwrap()
}

async fn ask(connection: &Connection, door: u32, credential: Credential) -> Outcome {
    connection.check(DoorId(door), credential).await.outcome
}

/// It drops its data beneath a server that runs, which then can't write: that ends neither the other tests nor their
/// process.
#[test]
fn a_test_that_fails_fails_alone() {
    let failed = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (_, server) = fresh().await;
            let tracy = server.person(TRACY);
            server.inside.engine.run(PORTFOLIO, Actor::Administrator, Command::Suspend(tracy, true)).unwrap();
            // Without the hook of a panic: nothing is wrong.
            std::panic::resume_unwind(Box::new("what it expects is not there"))
        })
    });
    let why = failed.join().unwrap_err();
    assert_eq!(why.downcast_ref(), Some(&"what it expects is not there"));
}

// L3 L6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_past_what_a_repair_told_as_lost_says_that_records_are_missing() {
    let (layout, server) = fresh().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(PropertyId(1))).await;
    for _ in 0..3 {
        assert_eq!(ask(&lock, 1, server.mobile(TRACY)).await, Outcome::Granted);
    }
    let _dir = server.stop().await;
    let segment = layout.log().join("0000000000000001.kwl");
    let mut bytes = std::fs::read(&segment).unwrap();
    assert_eq!(bytes.len(), 96 + 3 * (96 + 32));
    bytes[96 + 96 + 32 + 96] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let lost = crate::engine::Repair::plan(&layout, None).unwrap();
    assert!(lost.lost()[0].contains("record"), "{lost}");
    lost.carry_out(clock::now()).unwrap();
    let server = start(&layout).await;
    let ana = server.inside.join(PORTFOLIO, Party::Operator(server.person("ana@harbor.example"))).unwrap();
    let ana = connect(&server, &identity(ana)).await;
    let all = ana.search_log(Search::newest(10)).await.unwrap();
    assert_eq!((all.rows.len(), all.damaged), (2, 1));
    let first = ana.search_log(Search::newest(1)).await.unwrap();
    assert_eq!((first.rows.len(), first.damaged), (1, 0), "it is behind this page");
    let (_, lock) = server.lock("Gateway 2", LockScope::Property(PropertyId(1))).await;
    assert_eq!(ask(&lock, 1, server.mobile(TRACY)).await, Outcome::Granted);
    assert_eq!(ana.search_log(Search::newest(10)).await.unwrap().rows.len(), 3);
    server.stop().await;
}

// U1, L1, G5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grant_revoke_and_the_very_next_check_is_denied_and_all_of_it_is_logged() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(PropertyId(1))).await;
    let tracy = server.mobile(TRACY);
    assert_eq!(ask(&lock, 1, tracy.clone()).await, Outcome::Granted);
    assert_eq!(ask(&lock, 1, server.mobile("sam@mail.example")).await, Outcome::Granted);
    let revoke = Command::Revoke { key: KeyId(1), person: server.person(TRACY) };
    server.inside.engine.run(PORTFOLIO, Actor::Administrator, revoke).unwrap();
    assert_eq!(ask(&lock, 1, tracy).await, Outcome::Denied);
    assert_eq!(ask(&lock, 1, server.mobile("sam@mail.example")).await, Outcome::Denied);
    let mut records = Vec::new();
    let end = server.inside.log.next_sequence();
    server.inside.log.visit(&Span::Sequences(0..end), |_, _, record| records.push(*record)).unwrap();
    assert_eq!(records.len(), 4, "in strict, what was answered is on disk");
    let host = server.person(TRACY);
    assert!(matches!(records[1].who, Who::Guest { host: found, .. } if found == host));
    assert_eq!(records[2].outcome, access_log::Outcome::Denied(Reason::NoKey));
    server.stop().await;
}

// U3, L1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_asks_about_its_own_doors_only() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Door 2's lock", LockScope::Doors(vec![DoorId(2)])).await;
    let tracy = server.mobile(TRACY);
    assert_eq!(ask(&lock, 2, tracy.clone()).await, Outcome::Granted);
    assert_eq!(ask(&lock, 1, tracy.clone()).await, Outcome::Denied);
    assert_eq!(ask(&lock, 99, tracy).await, Outcome::Denied);
    let mut doors = Vec::new();
    let span = Span::Sequences(0..server.inside.log.next_sequence());
    server.inside.log.visit(&span, |_, _, record| doors.push(record.door_of_log())).unwrap();
    assert_eq!(doors, [Some(DoorId(2)), None, None], "an attempt at another's door is in no door's log");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_each_lock_asked_is_counted_over_its_connections_until_the_server_ends() {
    let (_, server) = fresh().await;
    let operator = server.operator().await;
    let told = async || {
        let list = operator.lock_activity(Rows::all()).await.unwrap();
        assert_eq!((list.total, list.next), (list.rows.len() as u64, None));
        list.rows.iter().map(|row| (row.lock, row.checks, row.last)).collect::<Vec<_>>()
    };
    let (first, lock) = server.lock("Front", LockScope::Property(PropertyId(1))).await;
    let (second, identity) = server.lock_identity("Back", LockScope::Doors(vec![DoorId(2)]));
    let (_, _silent) = server.lock("Attic", LockScope::Doors(vec![DoorId(2)])).await;
    assert_eq!(told().await, [], "connecting is not asking");
    let tracy = server.mobile(TRACY);
    let begun = clock::now();
    for _ in 0..3 {
        assert_eq!(ask(&lock, 1, tracy.clone()).await, Outcome::Granted);
    }
    for _ in 0..2 {
        // A connection of its own each time; what is denied was asked as well.
        let lock = connect(&server, &identity).await;
        assert_eq!(ask(&lock, 1, tracy.clone()).await, Outcome::Denied);
    }
    let rows = told().await;
    assert_eq!(rows.iter().map(|(lock, checks, _)| (*lock, *checks)).collect::<Vec<_>>(), [(first, 3), (second, 2)]);
    assert!(rows.iter().all(|(_, _, last)| *last >= begun && *last <= clock::now()), "{rows:?}");
    assert_eq!(operator.lock_activity(Rows { after: first.0, ..Rows::all() }).await.unwrap().rows.len(), 1);
    server.stop().await;
}

// U3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_lock_gets_nothing() {
    let (_, server) = fresh().await;
    let (id, lock) = server.lock("Gateway", LockScope::Property(PropertyId(1))).await;
    let tracy = server.mobile(TRACY);
    assert_eq!(ask(&lock, 1, tracy.clone()).await, Outcome::Granted);
    server.inside.engine.run(PORTFOLIO, Actor::Administrator, Command::DisableLock(id, true)).unwrap();
    assert_eq!(ask(&lock, 1, tracy).await, Outcome::Denied);
    // Its connection is closed by itself, and says why.
    let closed = tokio::time::timeout(Duration::from_secs(20), lock.until_closed()).await.unwrap();
    assert!(matches!(&closed, ClientError::Refused(why) if why.contains("disabled")), "{closed}");
    server.stop().await;
}

// C4, C6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracys_code_opens_through_a_move_and_never_after_its_deletion() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(PropertyId(1))).await;
    let tracy = server.person(TRACY);
    let code = {
        let directory = server.inside.engine.directory();
        let id = directory.portfolios[&PORTFOLIO].properties[&PropertyId(1)].code_of[&(tracy, DoorId(1))];
        Credential::Code(server.inside.engine.reveal(PORTFOLIO, id).unwrap())
    };
    let run = |command| server.inside.engine.run(PORTFOLIO, Actor::Administrator, command).unwrap();
    assert_eq!(ask(&lock, 1, code.clone()).await, Outcome::Granted);
    run(Command::Move { person: tracy, from: KeyId(1), to: KeyId(2), may_share: None, period: Default::default() });
    assert_eq!(ask(&lock, 1, code.clone()).await, Outcome::Granted);
    run(Command::Revoke { key: KeyId(2), person: tracy });
    run(Command::Give { key: KeyId(2), person: tracy, may_share: None, period: Default::default() });
    assert_eq!(ask(&lock, 1, code).await, Outcome::Denied);
    server.stop().await;
}

// U4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_yet_answers_behind_and_a_stop_keeps_everything() {
    let (layout, server) = fresh().await;
    let (_, identity) = server.lock_identity("Gateway", LockScope::Property(PropertyId(1)));
    let lock = connect(&server, &identity).await;
    let check = [Check { door: DoorId(1), credential: server.mobile(TRACY) }];
    // Registered, a token made, joined.
    let answer = lock.check_batch_at(&check, 4).await;
    assert_eq!((answer.outcomes.as_slice(), answer.revision), ([Outcome::Granted].as_slice(), 4));
    assert_eq!(lock.check_batch_at(&check, 5).await.outcomes, [Outcome::Behind]);
    let _dir = server.stop().await;
    assert_eq!(lock.check_batch(&check).await.outcomes, [Outcome::Denied], "no server, no entry");
    let again = start(&layout).await;
    assert_eq!(again.inside.log.totals(None, &Span::Sequences(0..u64::MAX)).unwrap().records(), 1);
    let lock = connect(&again, &identity).await;
    assert_eq!(lock.check_batch(&check).await.outcomes, [Outcome::Granted]);
    again.stop().await;
}

// M7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_managers_join_as_operators() {
    let (_, server) = fresh().await;
    let join = |email: &str| server.inside.join(PORTFOLIO, Party::Operator(server.person(email)));
    assert!(matches!(join(TRACY).err(), Some(Refusal::Invalid(why)) if why.contains("manages nothing")));
    let operator = connect(&server, &identity(join("ana@harbor.example").unwrap())).await;
    assert_eq!(ask(&operator, 1, server.mobile(TRACY)).await, Outcome::Granted);
    server.stop().await;
}

const MAIN: PropertyId = PropertyId(1);
const KEY_A: KeyId = KeyId(1);
const KEY_B: KeyId = KeyId(2);

impl Running {
    /// Ana's connection: she is the Portfolio Manager.
    async fn operator(&self) -> Connection {
        let ana = Party::Operator(self.person("ana@harbor.example"));
        connect(self, &identity(self.inside.join(PORTFOLIO, ana).unwrap())).await
    }

    /// The digits of Tracy's code at a door, as its owner would be shown them.
    fn tracys_code(&self, door: u32) -> Credential {
        let directory = self.inside.engine.directory();
        let property = &directory.portfolios[&PORTFOLIO].properties[&MAIN];
        let code = property.code_of[&(self.person(TRACY), DoorId(door))];
        Credential::Code(self.inside.engine.reveal(PORTFOLIO, code).unwrap())
    }
}

fn give(key: KeyId, person: PersonId) -> Command {
    Command::Give { key, person, may_share: None, period: Period::default() }
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, ManageError>) -> Refusal {
    match answer {
        Err(ManageError::Refused(refusal)) => refusal,
        other => panic!("{other:?} is no refusal"),
    }
}

/// Refused, or hears already that the connection is over: it is closed a moment after the one or the other.
fn is_shut_out<T>(answer: &Result<T, ManageError>) -> bool {
    let refused = matches!(answer, Err(ManageError::Refused(Refusal::NotPermitted(_))));
    refused || matches!(answer, Err(ManageError::Connection(ClientError::Refused(_))))
}

// K9 U1 U4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_gives_and_revokes_and_the_very_next_check_knows() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let operator = server.operator().await;
    let (sam, tracy) = (server.person("sam@mail.example"), server.person(TRACY));
    let mobile = server.mobile("ana@harbor.example");
    let ana = server.person("ana@harbor.example");
    assert_eq!(ask(&lock, 2, mobile.clone()).await, Outcome::Denied);
    let given = operator.carry_out(give(KEY_B, ana), None).await.unwrap();
    assert!(matches!(given.made, Some(Made::Giving(GivingId(2)))), "{given:?}");
    assert_eq!(given.effects.totals.doors_gained, 2);
    let check = [Check { door: DoorId(2), credential: mobile.clone() }];
    assert_eq!(lock.check_batch_at(&check, given.revision).await.outcomes, [Outcome::Granted]);
    let revoked = operator.carry_out(Command::Revoke { key: KEY_B, person: ana }, None).await.unwrap();
    assert_eq!(revoked.revision, given.revision + 1);
    assert_eq!(ask(&lock, 2, mobile).await, Outcome::Denied);

    // A preview changes nothing and lists what the step then reports.
    let revoke = Command::Revoke { key: KEY_A, person: tracy };
    let preview = operator.preview(revoke.clone(), Part::FIRST).await.unwrap();
    assert_eq!(preview.revision, revoked.revision);
    let lost = |person, door| At { property: MAIN, person, door: DoorId(door) };
    let all = [lost(tracy, 1), lost(tracy, 2), lost(sam, 1), lost(sam, 2)];
    assert_eq!(preview.doors_lost, all, "the guest loses what the host's giving gave");
    assert_eq!((preview.totals.codes_deleted, preview.totals.people_losing), (4, 2));
    assert!(preview.people.contains(&(tracy, "Tracy".to_owned())) && preview.doors.len() == 2);
    let totals = operator.preview(revoke.clone(), Part { skip: 0, most: 0 }).await.unwrap();
    assert_eq!((totals.totals, totals.doors_lost.len()), (preview.totals, 0));
    let second = operator.preview(revoke.clone(), Part { skip: 3, most: 5 }).await.unwrap();
    assert_eq!(second.doors_lost, all[3..]);

    // Pinned to a preview: something that changes the list is in the way, something else is not.
    let pinned = Some(preview.digest);
    operator.carry_out(give(KEY_B, tracy), None).await.unwrap();
    let moved_on = refusal(operator.carry_out(revoke.clone(), pinned).await);
    assert_eq!(moved_on, Refusal::MovedOn, "with Key B, Tracy would keep her doors");
    operator.carry_out(Command::Revoke { key: KEY_B, person: tracy }, None).await.unwrap();
    let suspend = || Command::Suspend(ana, true);
    assert!(matches!(refusal(operator.carry_out(suspend(), None).await), Refusal::Invalid(_)), "nobody would be left");
    operator.carry_out(Command::SetPortfolioManager(sam, true), None).await.unwrap();
    operator.carry_out(suspend(), None).await.unwrap();
    let refused = operator.carry_out(revoke, pinned).await;
    assert!(is_shut_out(&refused), "a suspended manager does nothing any more: {refused:?}");
    assert!(is_shut_out(&operator.overview().await));
    server.stop().await;
}

// K9 L5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_step_reports_the_list_of_its_preview() {
    let (_, server) = fresh().await;
    let operator = server.operator().await;
    for command in
        [Command::DeletePerson(server.person(TRACY)), Command::DeleteKey(KEY_B), Command::RemoveProperty(MAIN)]
    {
        let preview = operator.preview(command.clone(), Part::FIRST).await.unwrap();
        let done = operator.carry_out(command, Some(preview.digest)).await.unwrap();
        assert_eq!(done.effects, Effects { revision: done.revision, ..preview });
    }
    server.stop().await;
}

// C3 C4 C5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracys_codes_through_management_are_kept_by_give_then_revoke_and_new_after_revoke_then_give() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let operator = server.operator().await;
    let tracy = server.person(TRACY);
    let codes = || [1, 2].map(|door| server.tracys_code(door));
    let first = codes();
    let shown = operator.person(tracy).await.unwrap().codes;
    operator.carry_out(give(KEY_B, tracy), None).await.unwrap();
    let done = operator.carry_out(Command::Revoke { key: KEY_A, person: tracy }, None).await.unwrap();
    assert_eq!(done.effects.totals.codes_deleted, 2, "only the guest's, who had them by Key A");
    assert_eq!(codes(), first);
    let back = Command::Move { person: tracy, from: KEY_B, to: KEY_A, may_share: None, period: Period::default() };
    let preview = operator.preview(back.clone(), Part::FIRST).await.unwrap();
    assert!(preview.totals.is_harmless(), "{preview:?}");
    operator.carry_out(back, Some(preview.digest)).await.unwrap();
    assert_eq!(codes(), first);
    assert_eq!(operator.person(tracy).await.unwrap().codes, shown, "the same ids are the same digits");
    operator.carry_out(Command::Revoke { key: KEY_A, person: tracy }, None).await.unwrap();
    operator.carry_out(give(KEY_A, tracy), None).await.unwrap();
    for (door, (old, new)) in (1..).zip(first.into_iter().zip(codes())) {
        assert_ne!(old, new);
        assert_eq!(ask(&lock, door, old).await, Outcome::Denied);
        assert_eq!(ask(&lock, door, new).await, Outcome::Granted);
    }
    server.stop().await;
}

// M7 U3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locks_certificate_manages_nothing_and_watches_nothing() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let before = server.inside.engine.directory().portfolios[&PORTFOLIO].revision;
    let rejected = |error: ManageError| match error {
        ManageError::Connection(ClientError::Rejected { status, message }) => (status, message),
        other => panic!("{other}"),
    };
    let asked = lock.carry_out(give(KEY_B, server.person(TRACY)), None).await.unwrap_err();
    let (status, message) = rejected(asked);
    assert!(status == Status::NotPermitted && message.contains("operator"), "{message}");
    assert_eq!(rejected(lock.overview().await.unwrap_err()).0, Status::NotPermitted);
    assert_eq!(rejected(lock.watch_log(&Subscribe::all()).await.err().unwrap()).0, Status::NotPermitted);
    assert_eq!(server.inside.engine.directory().portfolios[&PORTFOLIO].revision, before);
    server.stop().await;
}

// K4 K10 S2 G1 U8 V2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_an_operator_makes_is_listed_shown_and_in_force() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let operator = server.operator().await;
    let person = PersonSpec {
        name: " Cafe\u{301} Owner ".to_owned(),
        email: "owner@cafe.example".to_owned(),
        phone: None,
        note: None,
        cards: vec![keyward_protocol::code::Card::new(&[1, 2, 3, 4]).unwrap()],
    };
    let made = operator.carry_out(Command::MakePerson(person.clone()), None).await.unwrap().made;
    let Some(Made::Person(owner)) = made else { panic!("{made:?}") };
    assert!(matches!(refusal(operator.carry_out(Command::MakePerson(person), None).await), Refusal::Taken(_)));
    let found = operator.people(None, Rows { search: "CAF\u{e9}".to_owned(), ..Rows::all() }).await.unwrap();
    assert_eq!((found.total, found.rows[0].id, found.rows[0].name.as_str()), (1, owner, "Caf\u{e9} Owner"));

    let hours = keyward_protocol::schedule::Hours::default();
    let schedule = operator.carry_out(Command::MakeSchedule(MAIN, "never".to_owned(), hours), None).await.unwrap();
    let Some(Made::Schedule(never)) = schedule.made else { panic!() };
    let door = DoorSpec { name: "Unit 1".to_owned(), kind: DoorKind::Unit, occupied: false, labels: Vec::new() };
    let Some(Made::Door(unit)) = operator.carry_out(Command::MakeDoor(MAIN, door), None).await.unwrap().made else {
        panic!()
    };
    let always = Opening { schedule: ScheduleRef::Always, code: true };
    let mut spec = KeySpec {
        name: "Unit 1".to_owned(),
        may_share: true,
        doors: vec![KeyDoor { door: unit, opening: always }],
        rules: Vec::new(),
    };
    let Some(Made::Key(key)) = operator.carry_out(Command::MakeKey(MAIN, spec.clone()), None).await.unwrap().made
    else {
        panic!()
    };
    operator.carry_out(give(key, owner), None).await.unwrap();
    let sam = server.person("sam@mail.example");
    let share = Command::Share { key, host: owner, guest: sam, doors: None, period: Period::default() };
    operator.carry_out(share, None).await.unwrap();
    let card = || Credential::Card(keyward_protocol::code::Card::new(&[1, 2, 3, 4]).unwrap());
    assert_eq!(ask(&lock, unit.0, card()).await, Outcome::Granted);
    assert_eq!(ask(&lock, unit.0, server.mobile("sam@mail.example")).await, Outcome::Granted);

    let keys = operator.keys(MAIN, Rows::all()).await.unwrap();
    let names: Vec<(&str, bool)> = keys.rows.iter().map(|row| (row.name.as_str(), row.system)).collect();
    assert_eq!(names, [("Key A", false), ("Key B", false), ("Deliveries", true), ("Unit 1", false)]);
    let row = keys.rows.iter().find(|row| row.id == key).unwrap();
    assert_eq!((row.doors, row.people, row.guests, row.hours.as_deref()), (1, 1, 1, Some("always")));
    let holders = operator.holders(key, Rows::all()).await.unwrap();
    assert_eq!((holders.rows[0].person, holders.rows[0].guests[0].guest), (owner, sam));
    let page = operator.keys(MAIN, Rows { most: 3, ..Rows::all() }).await.unwrap();
    assert_eq!((page.rows.len(), page.total, page.next), (3, 4, Some(3)));
    let rest = operator.keys(MAIN, Rows { most: 3, after: 3, ..Rows::all() }).await.unwrap();
    assert_eq!((rest.rows.len(), rest.next), (1, None));

    spec.doors[0].opening.schedule = ScheduleRef::Named(never);
    operator.carry_out(Command::EditKey(key, spec), None).await.unwrap();
    assert_eq!(ask(&lock, unit.0, card()).await, Outcome::Denied, "K3: at once");
    assert_eq!(operator.key(key).await.unwrap().row.hours.as_deref(), Some("never"));
    assert_eq!(operator.schedules(MAIN, Rows::all()).await.unwrap().rows.last().unwrap().keys, 1);
    assert_eq!(operator.door(unit).await.unwrap().keys[0].key, key);

    let lockdown = Command::LockDown { property: MAIN, doors: Some(vec![DoorId(1)]), except_keys: vec![] };
    let Some(Made::Lockdown(lockdown)) = operator.carry_out(lockdown, None).await.unwrap().made else { panic!() };
    assert_eq!(ask(&lock, 1, server.mobile(TRACY)).await, Outcome::Denied);
    assert!(operator.doors(MAIN, Rows::all()).await.unwrap().rows[0].locked_down);
    operator.carry_out(Command::LiftLockdown(MAIN, lockdown), None).await.unwrap();
    assert_eq!(ask(&lock, 1, server.mobile(TRACY)).await, Outcome::Granted);

    let deliveries = operator.property(MAIN).await.unwrap().deliveries.unwrap();
    assert_eq!(refusal(operator.carry_out(give(deliveries, owner), None).await), Refusal::Deliveries);
    assert_eq!(operator.key(deliveries).await.unwrap().opens.len(), 1);
    let overview = operator.overview().await.unwrap();
    assert_eq!((overview.properties[0].keys, overview.properties[0].system_keys), (3, 1), "M1");
    assert_eq!(operator.locks(Rows::all()).await.unwrap().rows.len(), 1);
    server.stop().await;
}

// M6 M8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_hold_on_the_wire_for_portfolio_managers_too() {
    let (_, server) = fresh().await;
    let operator = server.operator().await;
    let ana = server.person("ana@harbor.example");
    let level = |level| Command::SetLevel(MAIN, ana, level);
    operator.carry_out(level(Some(Level::Specific(vec![KEY_A]))), None).await.unwrap();
    assert!(matches!(refusal(operator.carry_out(level(None), None).await), Refusal::NotPermitted(_)));
    assert!(matches!(refusal(operator.preview(level(Some(Level::Full)), Part::FIRST).await), Refusal::NotPermitted(_)));
    let keys = operator.keys(MAIN, Rows::all()).await.unwrap();
    assert_eq!(keys.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [KEY_A]);
    let unknown = refusal(operator.key(KeyId(99)).await);
    assert_eq!(refusal(operator.key(KEY_B).await), unknown, "what may not be seen does not exist");
    assert_eq!(refusal(operator.carry_out(give(KEY_B, ana), None).await), unknown);
    operator.carry_out(give(KEY_A, ana), None).await.unwrap();
    server.stop().await;
}

// U5 U6 M8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_explained_is_what_the_lock_is_answered() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let operator = server.operator().await;
    let people = ["ana@harbor.example", TRACY, "sam@mail.example"].map(|email| (email, server.person(email)));
    let doors = [DoorId(1), DoorId(2)];
    let run = |command| server.inside.engine.run(PORTFOLIO, Actor::Administrator, command).unwrap();
    let lockdown = Command::LockDown { property: MAIN, doors: Some(vec![DoorId(1)]), except_keys: vec![KEY_B] };
    for step in [
        None,
        Some(give(KEY_B, people[0].1)),
        Some(lockdown),
        Some(Command::Suspend(people[1].1, true)),
        Some(Command::Revoke { key: KEY_A, person: people[1].1 }),
    ] {
        step.map(run);
        for (email, person) in people {
            let can = operator.what_can(person, None, Rows::all()).await.unwrap();
            for door in doors {
                let outcome = ask(&lock, door.0, server.mobile(email)).await;
                let explained = operator.explain(person, door, false, None).await.unwrap();
                assert_eq!(explained.denied.is_none(), outcome == Outcome::Granted, "{explained:?}");
                assert_eq!(can.rows.iter().any(|row| row.door == door), outcome == Outcome::Granted, "{can:?}");
                let who = operator.who_can(door, None, Rows::all()).await.unwrap();
                assert_eq!(who.people.rows.iter().any(|row| row.person == person), outcome == Outcome::Granted);
                let directory = server.inside.engine.directory();
                assert_eq!(explained.suspended, directory.portfolios[&PORTFOLIO].is_suspended(person));
            }
        }
    }
    let tracy = people[1].1;
    let explained = operator.explain(people[0].1, DoorId(1), false, None).await.unwrap();
    let named = explained.held[0].key.as_ref().map(|key| key.name.as_str());
    assert_eq!((named, explained.held[0].excepted, explained.lockdowns.len()), (Some("Key B"), true, 1));
    assert_eq!(explained.held[0].openings[0].schedule, "always");
    let why_not = operator.explain(tracy, DoorId(2), true, None).await.unwrap();
    assert!(why_not.no_code && why_not.held.is_empty() && why_not.denied == Some(Reason::UnknownCredential));
    assert_eq!(why_not.would_open.iter().map(|key| key.id).collect::<Vec<_>>(), [KEY_A, KEY_B]);

    let past = Some(clock::now().plus_seconds(-3_600));
    let before_there_was_anything = operator.explain(tracy, DoorId(1), false, past).await;
    assert!(matches!(refusal(before_there_was_anything), Refusal::Invalid(_)));
    assert!(matches!(refusal(operator.who_can(DoorId(77), None, Rows::all()).await), Refusal::NotFound(_)));

    // Specific to Key A: Ana's own Key B is another Key, and who holds that alone is not there.
    let ana = people[0].1;
    operator.carry_out(Command::SetLevel(MAIN, ana, Some(Level::Specific(vec![KEY_A]))), None).await.unwrap();
    operator.carry_out(give(KEY_A, ana), None).await.unwrap();
    let explained = operator.explain(ana, DoorId(1), false, None).await.unwrap();
    assert_eq!(explained.held.iter().map(|held| held.key.is_none()).collect::<Vec<_>>(), [true, false]);
    assert!(explained.held[0].openings.is_empty() && explained.would_open.is_empty());
    let who = operator.who_can(DoorId(1), None, Rows::all()).await.unwrap();
    assert!(who.people.rows.iter().all(|row| row.person == ana && row.how.key.is_none()) && !who.carriers);
    server.stop().await;
}

// L1 L2 L3 M8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_searched_back_as_far_as_its_doors_are_in_sight_today() {
    let (_, server) = fresh().await;
    let (_, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let operator = server.operator().await;
    let ana = server.person("ana@harbor.example");
    for round in 0..10 {
        ask(&lock, 1 + round % 2, server.mobile(TRACY)).await;
        ask(&lock, 1, server.mobile("ana@harbor.example")).await;
    }
    ask(&lock, 99, server.mobile(TRACY)).await;
    let newest = operator.search_log(Search::newest(100)).await.unwrap();
    assert_eq!((newest.rows.len(), newest.next.is_none(), newest.damaged), (21, true, 0));
    assert_eq!(newest.rows[0].denied, Some(Reason::UnknownDoor), "the newest comes first");
    assert!(newest.names.people.iter().any(|(person, name)| *person == ana && name == "Ana"));
    // Page by page, forwards, one person's.
    let tracys = Search { person: Some(server.person(TRACY)), newest_first: false, ..Search::newest(4) };
    let (mut rows, mut search, mut pages) = (Vec::new(), tracys, 0);
    loop {
        let page = operator.search_log(search.clone()).await.unwrap();
        rows.extend(page.rows);
        pages += 1;
        match page.next {
            Some(next) => search.after = Some(next),
            None => break,
        }
    }
    assert_eq!((rows.len(), pages), (10, 3), "whoever stands at an unknown door is not looked up");
    assert!(rows.is_sorted_by_key(|row| row.time));
    let denied = Search { granted: Some(false), reason: Some(Reason::NoKey), ..Search::newest(100) };
    assert_eq!(operator.search_log(denied).await.unwrap().rows.len(), 10);
    let by_key = |key| Search { key: Some(key), ..Search::newest(100) };
    assert_eq!(operator.search_log(by_key(KEY_A)).await.unwrap().rows.len(), 10);
    let forged = Search { after: Some(vec![7; 36]), ..Search::newest(1) };
    assert!(matches!(refusal(operator.search_log(forged).await), Refusal::Invalid(_)));

    // Specific to Key B, which loses door 1: what happened there is gone from sight, and Key A is another Key.
    operator.carry_out(Command::SetLevel(MAIN, ana, Some(Level::Specific(vec![KEY_B]))), None).await.unwrap();
    let always = Opening { schedule: ScheduleRef::Always, code: true };
    let doors = vec![KeyDoor { door: DoorId(2), opening: always }];
    let spec = KeySpec { name: "Key B".to_owned(), may_share: false, doors, rules: Vec::new() };
    server.inside.engine.run(PORTFOLIO, Actor::Administrator, Command::EditKey(KEY_B, spec)).unwrap();
    let seen = operator.search_log(Search { property: Some(MAIN), ..Search::newest(100) }).await.unwrap();
    assert_eq!(seen.rows.len(), 5);
    assert!(seen.rows.iter().all(|row| row.door == DoorId(2) && row.another_key && row.key.is_none()));
    assert!(seen.names.keys.is_empty() && seen.names.doors.len() == 1);
    assert!(operator.search_log(by_key(KEY_A)).await.unwrap().rows.is_empty(), "another Key's rows aren't told apart");
    server.stop().await;
}

// M10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_as_a_request_is_answered_in_words() {
    use rand::{RngExt, SeedableRng};
    let (_, server) = fresh().await;
    let operator = server.operator().await;
    let mut random = rand::rngs::StdRng::seed_from_u64(20_261_123);
    let spec = PersonSpec {
        name: "N".to_owned(),
        email: "n@mail.example".to_owned(),
        phone: None,
        note: None,
        cards: vec![keyward_protocol::code::Card::new(&[1, 2]).unwrap()],
    };
    let asked = Request::Preview(Command::MakePerson(spec), Part::FIRST).encode();
    let mut unreadable = 0;
    for _ in 0..300 {
        let mut payload = asked.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..payload.len());
            payload[at] = random.random();
        }
        if random.random_bool(0.2) {
            payload.truncate(random.random_range(0..payload.len()));
        }
        let answer = Answer::decode(&operator.request(&payload).await.unwrap()).unwrap();
        unreadable += u32::from(matches!(answer, Answer::Unreadable(_)));
    }
    assert!(unreadable > 50, "{unreadable}");
    let newer = [&[9, 0, 0, 0][..], &asked[4..]].concat();
    let answer = Answer::decode(&operator.request(&newer).await.unwrap()).unwrap();
    assert!(matches!(answer, Answer::Unreadable(why) if why.contains("version 9")));
    assert_eq!(operator.overview().await.unwrap().people, 3, "nothing was changed, and the connection goes on");
    server.stop().await;
}

/// Rows until `count` of them are there.
async fn rows(view: &mut LiveView, count: usize) -> (Vec<LiveRow>, LiveBatch) {
    let mut rows = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(20), view.next()).await.expect("what happened is shown");
        let batch = next.unwrap().expect("the view goes on");
        rows.extend(batch.rows.iter().copied());
        if rows.len() >= count {
            return (rows, batch);
        }
    }
}

// L1 L2 L3 L6 G5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_view_shows_what_its_owner_may_see_and_no_more() {
    let (_, server) = fresh().await;
    let (lock_id, lock) = server.lock("Gateway", LockScope::Property(MAIN)).await;
    let operator = server.operator().await;
    let ana = server.person("ana@harbor.example");
    let quick = Subscribe { every_ms: 50, ..Subscribe::all() };
    let mut view = operator.watch_log(&quick).await.unwrap();
    ask(&lock, 1, server.mobile("sam@mail.example")).await;
    ask(&lock, 2, server.mobile("ana@harbor.example")).await;
    ask(&lock, 99, server.mobile(TRACY)).await;
    let (seen, batch) = rows(&mut view, 3).await;
    let by_guest = |row: &LiveRow| matches!(row.who, keyward_protocol::message::watch::Who::Guest { .. });
    assert!(by_guest(&seen[0]) && seen[0].key == Some(KEY_A) && seen[0].lock == Some(lock_id));
    assert_eq!((seen[1].denied, seen[2].denied), (Some(Reason::NoKey), Some(Reason::UnknownDoor)));
    assert!(batch.sequence >= 1 && batch.dropped == 0);

    // Specific to Key B, and Key B loses door 1: only door 2 is seen, and Key A is "another Key".
    operator.carry_out(Command::SetLevel(MAIN, ana, Some(Level::Specific(vec![KEY_B]))), None).await.unwrap();
    let always = Opening { schedule: ScheduleRef::Always, code: true };
    let doors = vec![KeyDoor { door: DoorId(2), opening: always }];
    let spec = KeySpec { name: "Key B".to_owned(), may_share: false, doors, rules: Vec::new() };
    server.inside.engine.run(PORTFOLIO, Actor::Administrator, Command::EditKey(KEY_B, spec)).unwrap();
    ask(&lock, 1, server.mobile(TRACY)).await;
    ask(&lock, 2, server.mobile(TRACY)).await;
    let (seen, batch) = rows(&mut view, 1).await;
    assert_eq!((seen[0].door, seen[0].key, seen[0].another_key), (DoorId(2), None, true));
    assert!(batch.counts.iter().all(|count| count.door == Some(DoorId(2))) && batch.names.keys.is_empty());

    // The view of somebody who is suspended ends.
    let another = Command::SetPortfolioManager(server.person(TRACY), true);
    server.inside.engine.run(PORTFOLIO, Actor::Administrator, another).unwrap();
    server.inside.engine.run(PORTFOLIO, Actor::Administrator, Command::Suspend(ana, true)).unwrap();
    ask(&lock, 2, server.mobile(TRACY)).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), view.next()).await.expect("it ends");
    // With its connection, or before that is closed.
    let out = matches!(&ended, Ok(None) | Err(ManageError::Connection(ClientError::Refused(_))));
    assert!(out, "{ended:?}");
    server.stop().await;
}

// U1 C1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_answers_before_it_has_read_its_vault_and_tells_codes_to_retry() {
    let (layout, server) = fresh().await;
    let code = server.tracys_code(1);
    let joined = server.inside.join(PORTFOLIO, Party::Operator(server.person("ana@harbor.example"))).unwrap();
    let _dir = server.stop().await;
    let (medium, say) = crate::testing::held_vault(&layout);
    let server = start_on(&medium, &layout).await;
    let operator = connect(&server, &identity(joined)).await;
    assert_eq!(ask(&operator, 1, server.mobile(TRACY)).await, Outcome::Granted);
    assert_eq!(ask(&operator, 1, code.clone()).await, Outcome::Retry);
    assert_eq!(operator.overview().await.unwrap().door_codes, DoorCodes::BeingRead);
    let gives = operator.carry_out(give(KEY_B, server.person("ana@harbor.example")), None);
    let lets_go = async {
        // The step is on its way; it comes after the codes, however late that is.
        say.send(Verdict::Proceed).unwrap();
        drop(say);
    };
    let (given, ()) = tokio::join!(gives, lets_go);
    assert_eq!(given.unwrap().effects.codes_made.len(), 2);
    assert_eq!(ask(&operator, 1, code).await, Outcome::Granted);
    assert_eq!(operator.overview().await.unwrap().door_codes, DoorCodes::There);
    server.stop().await;
}
