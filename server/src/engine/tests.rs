//! The writer end to end, without a network: what is acknowledged is in force and survives a restart.

mod portfolios;
mod rotation;

use std::sync::atomic::{AtomicI64, Ordering};

use keyward_protocol::{
    code::Credential,
    decision::{Decision, Reason},
    time::Moment,
};

use super::*;
use crate::{
    disk::Verdict as Fate,
    domain::{
        command::{DoorSpec, KeySpec, Period, PersonSpec, PropertySpec},
        directory::{DoorKind, KeyDoor, Opening, ScheduleRef},
        site::Site,
    },
    index::lookup::{Outcome, Question, Scope, Shown, Verdict, check_batch},
    progress::Progress,
    store::{journal, record::Entry},
    vault::{self, RootSecret, Tagger, Vault, VaultError},
};

const PORTFOLIO: PortfolioId = PortfolioId(1);

/// A server's inside, on a clock that the test moves.
struct Server {
    engine: Engine,
    tagger: Tagger,
    now: Arc<AtomicI64>,
    running: Option<Running>,
    report: OpenReport,
    started: Started,
}

fn at(text: &str) -> Moment {
    Moment::parse(text).unwrap()
}

impl Server {
    fn create(layout: &Layout) -> Server {
        let now = at("2026-11-23T10:00:00-05:00");
        let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
        Server::start(Books::create(layout, &site, now).unwrap(), now, OpenReport::default())
    }

    fn open(layout: &Layout, now: Moment) -> Server {
        let (books, report) = Books::open(layout).unwrap();
        Server::start(books, now, report)
    }

    /// A server whose vault is read when the test says so.
    fn open_held(layout: &Layout, now: Moment) -> (Server, crossbeam_channel::Sender<Fate>) {
        let (medium, say) = crate::testing::held_vault(layout);
        let (books, report) = Books::open_early(&medium, layout, Progress::silent()).unwrap();
        (Server::start_early(books, now, report), say)
    }

    fn start(books: Books, now: Moment, report: OpenReport) -> Server {
        let server = Server::start_early(books, now, report);
        server.wait_for_codes();
        server
    }

    /// Whatever is answered comes after the codes are there.
    fn wait_for_codes(&self) {
        _ = self.engine.reveal(PORTFOLIO, CodeId::NONE);
    }

    fn start_early(books: Books, now: Moment, report: OpenReport) -> Server {
        let clock_now = Arc::new(AtomicI64::new(now.as_micros()));
        let shared = Arc::clone(&clock_now);
        let tagger = books.tagger(PORTFOLIO).unwrap();
        let (shelf, _) = Keeper::open(&books.layout().index(), books.lineage());
        let publisher = Publisher::new(&books, now, (1, 2), shelf);
        let started = publisher.started();
        let clock: Clock = Arc::new(move || Moment::from_micros(shared.load(Ordering::SeqCst)));
        let (engine, running) = Engine::start(books, publisher, clock);
        Server { engine, tagger, now: clock_now, running: Some(running), report, started }
    }

    fn stop(mut self) {
        self.running.take().unwrap().stop();
    }

    fn run(&self, command: Command) -> Done {
        self.engine.run(PORTFOLIO, Actor::Administrator, command).unwrap()
    }

    fn person(&self, email: &str) -> PersonId {
        self.engine.directory().portfolios[&PORTFOLIO].person_by_email(email).unwrap().id
    }

    fn mobile(&self, email: &str) -> Credential {
        Credential::Mobile(self.engine.directory().portfolios[&PORTFOLIO].person_by_email(email).unwrap().mobile)
    }

    fn code(&self, email: &str, door: u32) -> Option<(CodeId, Credential)> {
        let directory = self.engine.directory();
        let property = &directory.portfolios[&PORTFOLIO].properties[&PropertyId(1)];
        let code = *property.code_of.get(&(self.person(email), DoorId(door)))?;
        Some((code, Credential::Code(self.engine.reveal(PORTFOLIO, code).unwrap())))
    }

    fn check(&self, door: u32, shown: &Credential) -> Verdict {
        let publication = self.engine.published().load();
        let question = Question { door: DoorId(door), shown: Shown::from(shown) };
        let mut out = [Verdict::DENIED];
        let now = Moment::from_micros(self.now.load(Ordering::SeqCst));
        let tag = |door, digits: &_| self.tagger.tag(door, digits).0;
        check_batch(publication.portfolio(PORTFOLIO).unwrap(), Scope::Portfolio, now, &[question], tag, &mut out);
        out[0]
    }

    fn reason(&self, door: u32, shown: &Credential) -> Result<KeyId, Reason> {
        match self.check(door, shown).outcome {
            Outcome::Decided(Decision::Granted { key }) => Ok(key),
            Outcome::Decided(Decision::Denied { reason }) => Err(reason),
            Outcome::Retry => panic!("the codes are there"),
        }
    }
}

fn layout() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(&dir.path().join("data"));
    (dir, layout)
}

const TRACY: &str = "tracy@mail.example";

// K3, C3, C6, U1
#[test]
fn a_revoke_that_was_acknowledged_is_in_force_and_survives_a_restart() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let (mobile, (_, code)) = (server.mobile(TRACY), server.code(TRACY, 1).unwrap());
    assert_eq!((server.reason(1, &mobile), server.reason(1, &code)), (Ok(KeyId(1)), Ok(KeyId(1))));
    let done = server.run(Command::Revoke { key: KeyId(1), person: server.person(TRACY) });
    assert_eq!(done.revision, 2);
    let denied = (Err(Reason::NoKey), Err(Reason::DeletedCode));
    assert_eq!((server.reason(1, &mobile), server.reason(1, &code)), denied);
    server.stop();
    let server = Server::open(&layout, at("2026-11-23T11:00:00-05:00"));
    assert_eq!((server.reason(1, &mobile), server.reason(1, &code)), denied);
    assert_eq!(server.engine.directory().portfolios[&PORTFOLIO].revision, 2);
    server.stop();
}

// C4, C5
#[test]
fn tracys_codes_are_the_same_after_give_then_revoke_and_after_a_move() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let tracy = server.person(TRACY);
    let before = [1, 2].map(|door| server.code(TRACY, door).unwrap());
    server.run(Command::Give { key: KeyId(2), person: tracy, may_share: None, period: Period::default() });
    server.run(Command::Revoke { key: KeyId(1), person: tracy });
    assert_eq!([1, 2].map(|door| server.code(TRACY, door).unwrap()), before);
    let moved =
        Command::Move { person: tracy, from: KeyId(2), to: KeyId(1), may_share: None, period: Period::default() };
    server.run(moved);
    assert_eq!([1, 2].map(|door| server.code(TRACY, door).unwrap()), before);
    server.run(Command::Revoke { key: KeyId(1), person: tracy });
    server.run(Command::Give { key: KeyId(1), person: tracy, may_share: None, period: Period::default() });
    let after = [1, 2].map(|door| server.code(TRACY, door).unwrap());
    assert!(after.iter().zip(&before).all(|(new, old)| new.0 != old.0 && new.1 != old.1));
    assert_eq!(server.reason(1, &before[0].1), Err(Reason::DeletedCode));
    server.stop();
}

// K7
#[test]
fn the_clock_ends_access_and_then_the_books_follow() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let (tracy, until) = (server.person(TRACY), at("2026-11-23T12:00:00-05:00"));
    let period = Period { from: None, until: Some(until) };
    server.run(Command::Give { key: KeyId(1), person: tracy, may_share: None, period });
    let mobile = server.mobile(TRACY);
    assert_eq!(server.reason(1, &mobile), Ok(KeyId(1)));
    // Nothing has been recompiled when the clock gets there.
    server.now.store(until.as_micros(), Ordering::SeqCst);
    assert_eq!(server.reason(1, &mobile), Err(Reason::Expired));
    server.run(Command::Suspend(server.person("ana@harbor.example"), true));
    let directory = server.engine.directory();
    let property = &directory.portfolios[&PORTFOLIO].properties[&PropertyId(1)];
    assert!(property.giving_of(KeyId(1), tracy).unwrap().ended && server.code(TRACY, 1).is_none());
    assert_eq!(server.reason(1, &mobile), Err(Reason::Expired));
    server.stop();
}

// V3
#[test]
fn carriers_open_the_doors_with_the_label() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let carrier = server.engine.make_carrier("UPS").unwrap();
    assert_eq!(server.engine.make_carrier("ups").unwrap(), carrier);
    let shown = Credential::Mobile(server.engine.directory().carriers[&carrier].mobile);
    let verdict = server.check(1, &shown);
    assert_eq!((verdict.carrier, server.reason(1, &shown)), (carrier, Ok(KeyId(3))));
    assert_eq!(server.reason(2, &shown), Err(Reason::NoKey));
    server.stop();
}

#[test]
fn a_start_without_an_end_replays_the_journal_to_the_same_directory() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    server.run(Command::Suspend(server.person(TRACY), true));
    server.engine.make_carrier("UPS").unwrap();
    let expected = Directory::clone(&server.engine.directory());
    server.stop();
    // Without any snapshot everything comes from the journal.
    std::fs::remove_dir_all(layout.snapshots()).unwrap();
    std::fs::create_dir_all(layout.snapshots()).unwrap();
    let server = Server::open(&layout, at("2026-11-23T11:00:00-05:00"));
    assert_eq!(*server.engine.directory(), expected);
    assert!(server.report.replayed >= 3 && server.report.lost.is_empty(), "{:?}", server.report);
    server.stop();
}

// K9: a journal from which something else follows than followed then is not believed, and nothing of it is changed.
#[test]
fn a_change_with_other_effects_than_it_had_refuses_the_start_by_file_and_frame() {
    use crate::store::journal::Journal;
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    server.run(Command::Suspend(server.person(TRACY), true));
    server.run(give(2, server.person(TRACY)));
    server.stop();
    std::fs::remove_dir_all(layout.snapshots()).unwrap();
    let mut frames: Vec<(u64, Vec<Entry>)> = Vec::new();
    let read = journal::read_all::<std::convert::Infallible>(&layout.journal(), &mut |sequence, bytes| {
        let entry = Entry::decode(bytes).unwrap();
        match frames.last_mut().filter(|(last, _)| *last == sequence) {
            Some((_, entries)) => entries.push(entry),
            None => frames.push((sequence, vec![entry])),
        }
        Ok(())
    });
    read.unwrap();
    let gives_a_code = |entry: &&mut Entry| matches!(entry, Entry::Change(change) if !change.commitments.is_empty());
    let (wrong, entry) = frames
        .iter_mut()
        .rev()
        .find_map(|(sequence, entries)| Some((*sequence, entries.iter_mut().find(gives_a_code)?)))
        .unwrap();
    let Entry::Change(change) = entry else { unreachable!("it gives a code") };
    change.digest[0] ^= 1;
    let lineage = journal::lineage_of(&layout.journal()).unwrap();
    std::fs::remove_dir_all(layout.journal()).unwrap();
    std::fs::remove_file(layout.anchor()).unwrap();
    let mut journal = Journal::create(&layout.journal(), &layout.anchor(), lineage).unwrap();
    for (_, entries) in &frames {
        let entries: Vec<Vec<u8>> = entries.iter().cloned().map(Entry::encode).collect();
        journal.append(&entries.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    }
    drop(journal);
    // An unfinished write stands at the end: it stays for whoever looks into the matter.
    let file = layout.journal().join("0000000000000001.kwj");
    let torn = [std::fs::read(&file).unwrap(), b"kwf:".to_vec()].concat();
    std::fs::write(&file, &torn).unwrap();
    let Err(StartError::Replay { file: told, sequence, why: ReplayError::Differs }) = Books::open(&layout) else {
        panic!("the start is refused");
    };
    assert_eq!((told, sequence), (file.clone(), wrong));
    let findings = verify(&layout).unwrap();
    let of_journal = findings.iter().find(|finding| finding.part == "journal").unwrap();
    assert_eq!(of_journal.severity, Severity::Damaged, "{of_journal}");
    assert!(of_journal.what.contains(&ReplayError::Differs.to_string()), "{of_journal}");
    assert_eq!(std::fs::read(file).unwrap(), torn);
}

#[test]
fn a_second_server_and_a_second_init_are_refused() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    assert!(matches!(Books::open(&layout), Err(StartError::Running(_))));
    let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
    assert!(matches!(Books::create(&layout, &site, Moment::MIN), Err(StartError::Exists(_))));
    server.stop();
    let elsewhere = Layout::new(&layout.data().join("nowhere"));
    assert!(matches!(Books::open(&elsewhere), Err(StartError::Missing(_))));
}

// C2
#[test]
fn a_site_that_is_refused_leaves_nothing_behind() {
    let (_dir, layout) = layout();
    let now = at("2026-11-23T10:00:00-05:00");
    let crowded =
        crate::testing::SITE.replace("deliveries = true", "deliveries = true\ncode_digits = 4\ncode_limit = 1");
    let site = Site::parse("site.toml", &crowded).unwrap();
    assert!(matches!(Books::create(&layout, &site, now), Err(StartError::Site(Refusal::TooManyCodes { .. }))));
    assert!(!layout.data().exists() && !layout.secrets().exists());
    let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
    assert!(Books::create(&layout, &site, now).is_ok());
}

// S1, S5
#[test]
fn a_clock_that_leaps_past_what_was_compiled_leaves_no_schedule_shut() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let spec = KeySpec {
        name: "Vendors".into(),
        may_share: false,
        doors: vec![KeyDoor {
            door: DoorId(1),
            opening: Opening { schedule: ScheduleRef::Named(ScheduleId(1)), code: false },
        }],
        rules: vec![],
    };
    server.run(Command::MakeKey(PropertyId(1), spec));
    let sam = server.person("sam@mail.example");
    server.run(Command::EndShare { key: KeyId(1), host: server.person(TRACY), guest: sam });
    server.run(Command::Give { key: KeyId(4), person: sam, may_share: None, period: Period::default() });
    for moment in ["2027-03-01T10:00:00-05:00", "2026-11-23T10:00:00-05:00"] {
        server.now.store(at(moment).as_micros(), Ordering::SeqCst);
        // The engine wakes up by itself within a second: this only keeps the test from waiting for that.
        server.run(Command::Suspend(server.person("ana@harbor.example"), false));
        assert_eq!(server.reason(1, &server.mobile("sam@mail.example")), Ok(KeyId(4)), "{moment}");
    }
    server.stop();
}

// U1
#[test]
fn a_code_at_a_property_that_was_just_made_is_judged_before_it_has_any_code() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let facts = server.engine.directory().portfolios[&PORTFOLIO].properties[&PropertyId(1)].facts.clone();
    let spec = PropertySpec {
        name: "Annex".into(),
        zone: facts.zone,
        codes: facts.codes,
        on_log_failure: facts.on_log_failure,
    };
    server.run(Command::MakeProperty(spec));
    let spec = DoorSpec { name: "Gate".into(), kind: DoorKind::Entrance, occupied: false, labels: vec![] };
    server.run(Command::MakeDoor(PropertyId(2), spec));
    let typed = Credential::Code(Digits::parse(b"4820195").unwrap());
    assert_eq!(server.reason(3, &typed), Err(Reason::UnknownCredential));
    server.stop();
}

/// What everyone's identity and Tracy's code answer at both doors: decisions, Keys and hosts.
fn answers(server: &Server) -> Vec<Verdict> {
    let mut shown: Vec<Credential> =
        ["ana@harbor.example", TRACY, "sam@mail.example"].map(|who| server.mobile(who)).into();
    shown.extend(server.code(TRACY, 1).map(|(_, code)| code));
    shown.iter().flat_map(|shown| [1, 2].map(|door| server.check(door, shown))).collect()
}

// U4 C1
#[test]
fn a_start_takes_the_index_from_the_shelf_and_judges_the_same() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    assert_eq!(server.started, Started { loaded: 0, compiled: 1 });
    server.run(Command::Give {
        key: KeyId(2),
        person: server.person("ana@harbor.example"),
        may_share: None,
        period: Period { from: None, until: Some(at("2026-11-24T10:00:00-05:00")) },
    });
    let before = answers(&server);
    server.stop();
    let now = at("2026-11-23T10:00:01-05:00");
    let server = Server::open(&layout, now);
    assert_eq!(server.started, Started { loaded: 1, compiled: 0 });
    assert_eq!(answers(&server), before);
    server.stop();
    // Two weeks later what was compiled then does not reach far enough.
    let server = Server::open(&layout, at("2026-12-08T10:00:00-05:00"));
    assert_eq!(server.started, Started { loaded: 0, compiled: 1 });
    server.stop();
}

// K3
#[test]
fn an_index_of_other_data_or_a_damaged_one_is_never_used() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let tracy = server.person(TRACY);
    server.stop();
    // A revoke that is durable and never reached the shelf, as after a kill.
    let now = at("2026-11-23T10:00:01-05:00");
    let (mut books, _) = Books::open(&layout).unwrap();
    let revoke = Command::Revoke { key: KeyId(1), person: tracy };
    books.decide(PORTFOLIO, Actor::Administrator, &revoke, now, None).unwrap();
    let committed = books.commit().unwrap().unwrap();
    books.destroy(&committed).unwrap();
    drop(books);
    let server = Server::open(&layout, now);
    assert_eq!(server.started, Started { loaded: 0, compiled: 1 });
    assert_eq!(server.reason(1, &server.mobile(TRACY)), Err(Reason::NoKey));
    let before = answers(&server);
    server.stop();
    let mut damaged = 0;
    for entry in walk(&layout.index()) {
        let mut bytes = std::fs::read(&entry).unwrap();
        let places = bytes.len() / 64;
        bytes.iter_mut().step_by(64).take(places).for_each(|byte| *byte ^= 0x5a);
        damaged += places;
        std::fs::write(&entry, bytes).unwrap();
    }
    assert!(damaged > 100);
    let server = Server::open(&layout, now);
    assert_eq!(server.started, Started { loaded: 0, compiled: 1 });
    assert_eq!(answers(&server), before);
    server.stop();
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn give(key: u32, person: PersonId) -> Command {
    Command::Give { key: KeyId(key), person, may_share: None, period: Period::default() }
}

/// A revoke that is durable, and a kill before the vault was told of it.
fn revoke_and_die(layout: &Layout, person: PersonId, now: Moment) {
    let (mut books, _) = Books::open(layout).unwrap();
    let revoke = Command::Revoke { key: KeyId(1), person };
    books.decide(PORTFOLIO, Actor::Administrator, &revoke, now, None).unwrap();
    books.commit().unwrap().unwrap();
}

// C3, C6, U1
#[test]
fn while_the_vault_is_read_checks_are_answered_and_commands_wait() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let (ana, sam, tracy) =
        (server.person("ana@harbor.example"), server.person("sam@mail.example"), server.person(TRACY));
    server.run(give(1, ana));
    let [deleted, live] = [TRACY, "ana@harbor.example"].map(|who| server.code(who, 1).unwrap());
    server.stop();
    let now = at("2026-11-23T10:00:01-05:00");
    revoke_and_die(&layout, tracy, now);

    let (server, say) = Server::open_held(&layout, now);
    let (give_done, done) = crossbeam_channel::bounded(1);
    let reply: Reply<Done> = Box::new(move |done| _ = give_done.send(done));
    server.engine.submit(PORTFOLIO, Actor::Administrator, give(2, sam), None, reply);
    assert_eq!(*server.engine.door_codes(), DoorCodes::BeingRead);
    assert_eq!(server.reason(1, &server.mobile("ana@harbor.example")), Ok(KeyId(1)));
    assert_eq!(server.reason(1, &server.mobile(TRACY)), Err(Reason::NoKey));
    for code in [&deleted.1, &live.1] {
        assert_eq!(server.check(1, code).outcome, Outcome::Retry);
    }
    assert!(done.try_recv().is_err(), "nothing is decided before the vault is there");

    say.send(Fate::Proceed).unwrap();
    drop(say);
    let done = done.recv().unwrap().unwrap();
    assert_eq!(done.effects.codes_made.len(), 2);
    assert_eq!(*server.engine.door_codes(), DoorCodes::Read(VaultsRead::default()));
    assert_eq!(server.reason(1, &live.1), Ok(KeyId(1)));
    assert_eq!(server.reason(1, &deleted.1), Err(Reason::DeletedCode));
    assert!(server.engine.reveal(PORTFOLIO, deleted.0).is_err(), "what could bring it back was destroyed again");
    assert_eq!(server.reason(1, &server.code("sam@mail.example", 1).unwrap().1), Ok(KeyId(2)));
    server.stop();
}

/// What an engine does to the disk that whoever asked must not have been told before.
fn is_told_after(
    layout: &Layout,
    holds: impl Fn(crate::disk::Operation<'_>) -> bool + Send + Sync + 'static,
    ask: impl FnOnce(&Server, Box<dyn FnOnce() + Send>),
    in_force: impl Fn(&Server),
) -> Server {
    let patience = Duration::from_secs(60);
    let (medium, came, gate) = crate::testing::held(holds);
    let now = at("2026-11-23T10:00:00-05:00");
    let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
    let books = Books::create_at(&medium, layout, &site, now).unwrap();
    let server = Server::start(books, now, OpenReport::default());
    // Let go of before the server when this panics: it would wait there for good.
    let say = gate;
    let (tell, told) = crossbeam_channel::bounded(1);
    ask(&server, Box::new(move || _ = tell.send(())));
    let mut held = 0;
    loop {
        crossbeam_channel::select! {
            recv(came) -> came => {
                came.unwrap();
                assert!(told.try_recv().is_err(), "it was told before operation {held} was done");
                in_force(&server);
                held += 1;
                say.send(Fate::Proceed).unwrap();
            }
            recv(told) -> told => {
                told.unwrap();
                break;
            }
            default(patience) => panic!("nothing happens any more"),
        }
    }
    assert!(held > 0, "nothing was held");
    server
}

// C3 K3
#[test]
fn whoever_revokes_is_told_once_the_codes_are_destroyed_and_not_before() {
    use crate::disk::Operation;
    let (_dir, layout) = layout();
    let (vault, destroying) = (layout.vault(PORTFOLIO), std::sync::atomic::AtomicBool::new(false));
    // Zeros over what is sealed, and the flush that makes them last.
    let holds = move |operation: Operation<'_>| match operation {
        Operation::Write(path, _, bytes) if path == vault && bytes.iter().all(|byte| *byte == 0) => {
            destroying.store(true, Ordering::SeqCst);
            true
        }
        Operation::Sync(path) if path == vault => destroying.swap(false, Ordering::SeqCst),
        _ => false,
    };
    let asks = |server: &Server, tell: Box<dyn FnOnce() + Send>| {
        let reply: Reply<Done> = Box::new(|done| {
            assert_eq!(done.unwrap().effects.codes_deleted.len(), 4);
            tell();
        });
        let revoke = Command::Revoke { key: KeyId(1), person: server.person(TRACY) };
        server.engine.submit(PORTFOLIO, Actor::Administrator, revoke, None, reply);
    };
    // Meanwhile it is in force already.
    let in_force = |server: &Server| {
        assert_eq!(server.reason(1, &server.mobile(TRACY)), Err(Reason::NoKey));
    };
    is_told_after(&layout, holds, asks, in_force).stop();
}

// C3
#[test]
fn whoever_rotates_the_root_is_told_once_the_old_one_is_gone_and_not_before() {
    use crate::disk::Operation;
    let (_dir, layout) = layout();
    let (old, secrets) = (layout.old_root(), layout.secrets().to_owned());
    let removed = std::sync::atomic::AtomicBool::new(false);
    let holds = move |operation: Operation<'_>| match operation {
        Operation::Remove(path) if path == old => {
            removed.store(true, Ordering::SeqCst);
            true
        }
        Operation::Write(path, ..) | Operation::Sync(path) => path == old,
        Operation::SyncDirectory(path) => path == secrets && removed.load(Ordering::SeqCst),
        _ => false,
    };
    let asks = |server: &Server, tell: Box<dyn FnOnce() + Send>| {
        let reply = Box::new(|rotated: Result<Rotated, Refusal>| {
            rotated.unwrap();
            tell();
        });
        server.engine.send(Request::Rotate { reply });
    };
    is_told_after(&layout, holds, asks, |_| {}).stop();
    assert!(!layout.old_root().exists());
}

// An engine that ends leaves nobody waiting: what it no longer does is dropped, with its reply.
#[test]
fn whoever_asks_an_engine_that_ends_is_told() {
    let (_dir, layout) = layout();
    Server::create(&layout).stop();
    let (server, say) = Server::open_held(&layout, at("2026-11-23T10:00:01-05:00"));
    server.engine.requests.send(Request::Stop).unwrap();
    let asked = 2 * BATCH + 1;
    let (send, told) = mpsc::sync_channel(asked);
    for number in 0..asked {
        let send = send.clone();
        let reply: Reply<CarrierId> = Box::new(move |made| _ = send.send(made));
        server.engine.send(Request::Carrier { name: format!("Carrier {number}"), reply });
    }
    drop(send);
    say.send(Fate::Proceed).unwrap();
    drop(say);
    // Ends: each reply was used or dropped.
    let made: Vec<Result<CarrierId, Refusal>> = told.iter().collect();
    assert!((BATCH..asked).contains(&made.len()), "{} of {asked} were done", made.len());
    assert!(made.iter().all(Result::is_ok));
    assert!(server.engine.make_carrier("Late").is_err());
    server.stop();
}

// C3, C6, K7, K11, U8
#[test]
fn a_vault_that_cant_be_read_is_told_and_nothing_is_done_that_needs_it() {
    let (_dir, layout) = layout();
    let server = Server::create(&layout);
    let (ana, sam, tracy) =
        (server.person("ana@harbor.example"), server.person("sam@mail.example"), server.person(TRACY));
    let until = at("2026-11-23T12:00:00-05:00");
    let period = Period { from: None, until: Some(until) };
    server.run(Command::Give { key: KeyId(2), person: ana, may_share: None, period });
    let spec =
        PersonSpec { name: "Neo".into(), email: "neo@mail.example".into(), phone: None, note: None, cards: vec![] };
    server.run(Command::MakePerson(spec));
    let new = server.person("neo@mail.example");
    let (id, code) = server.code(TRACY, 1).unwrap();
    server.stop();

    let now = at("2026-11-23T10:00:01-05:00");
    let (server, say) = Server::open_held(&layout, now);
    say.send(Fate::Fail).unwrap();
    drop(say);
    server.wait_for_codes();
    let told = server.engine.door_codes();
    let DoorCodes::Read(read) = &*told else { panic!("{told:?}") };
    assert!(read.failed[&PORTFOLIO].contains("vault"), "{read:?}");
    let refused = |command| {
        let refused = server.engine.run(PORTFOLIO, Actor::Administrator, command).unwrap_err();
        assert!(matches!(&refused, Refusal::Unavailable(why) if why.contains(&read.failed[&PORTFOLIO])), "{refused}");
    };
    refused(give(1, new));
    refused(Command::Revoke { key: KeyId(1), person: tracy });
    assert!(server.engine.reveal(PORTFOLIO, id).is_err());
    assert_eq!(server.engine.directory().portfolios[&PORTFOLIO].revision, 3);
    // What needs no code goes on, and so do checks; the clock ends access without the books.
    server.run(Command::Suspend(sam, true));
    server.run(Command::LockDown { property: PropertyId(1), doors: Some(vec![DoorId(2)]), except_keys: vec![] });
    assert_eq!(server.reason(1, &server.mobile("sam@mail.example")), Err(Reason::PersonSuspended));
    assert_eq!(
        (server.reason(1, &server.mobile(TRACY)), server.check(1, &code).outcome),
        (Ok(KeyId(1)), Outcome::Retry)
    );
    server.now.store(until.as_micros(), Ordering::SeqCst);
    server.run(Command::Suspend(sam, false));
    assert_eq!(server.reason(1, &server.mobile("ana@harbor.example")), Err(Reason::Expired));
    server.stop();

    // A start that can read it goes on where that one stopped.
    let server = Server::open(&layout, until);
    assert_eq!(server.reason(1, &code), Ok(KeyId(1)));
    server.run(Command::Suspend(sam, true));
    let directory = server.engine.directory();
    assert!(directory.portfolios[&PORTFOLIO].properties[&PropertyId(1)].giving_of(KeyId(2), ana).unwrap().ended);
    server.stop();
}

// C8
#[test]
fn another_vault_or_another_root_refuses_the_start() {
    let (_dir, layout) = layout();
    Server::create(&layout).stop();
    let start = || Books::open_early(&Medium::default(), &layout, Progress::silent()).map(|_| ()).unwrap_err();
    let root = std::fs::read(layout.root()).unwrap();
    std::fs::remove_file(layout.root()).unwrap();
    assert!(matches!(start(), StartError::Root(_)));
    RootSecret::generate().unwrap().write(&layout.root()).unwrap();
    assert!(matches!(start(), StartError::Vault(VaultError::WrongRoot)));
    std::fs::write(layout.root(), root).unwrap();
    let vault = std::fs::read(layout.vault(PORTFOLIO)).unwrap();
    std::fs::write(layout.vault(PORTFOLIO), vec![0; vault.len()]).unwrap();
    assert!(matches!(start(), StartError::Vault(VaultError::NotAVault)));
    std::fs::remove_file(layout.vault(PORTFOLIO)).unwrap();
    assert!(matches!(start(), StartError::Vault(VaultError::Io(_))));
    let others = vault::new_id(PortfolioId(2), [0; 12]);
    drop(Vault::create(&layout.vault(PORTFOLIO), &RootSecret::read(&layout.root()).unwrap(), others).unwrap());
    assert!(matches!(start(), StartError::Vault(VaultError::AnotherPortfolios { of: 1, found: 2 })));
    std::fs::write(layout.vault(PORTFOLIO), vault).unwrap();
    Server::open(&layout, at("2026-11-23T11:00:00-05:00")).stop();
}
