//! The script: what is done to a small server, and what it answers after each step.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use keyward_protocol::{
    code::{Credential, Digits},
    entry::*,
    id::*,
    time::Moment,
};

use super::{super::*, Mark};
use crate::{
    access_log::{self, AccessLog, Batch, CredentialKind, Mode, Record, Span, Who},
    disk::Disk,
    domain::{directory::Portfolio, joining::Joiner, site::Site},
    index::lookup::{Question, Scope, Shown, Verdict, check_batch},
    progress::Progress,
    store::record::encode_directory,
    vault::Tagger,
};

pub(super) const PORTFOLIO: PortfolioId = PortfolioId(1);
/// So few bytes of journal and log to a segment that the script fills several.
pub(super) const SEGMENT_BYTES: u64 = 3_000;
const LOG_SEGMENT_BYTES: u64 = 700;
/// The most commands of a step: each may be a frame of its own.
pub(super) const COMMANDS_MAX: usize = 5;
const HOUR: i64 = 3_600;

pub(super) type Session = Vec<Step>;

/// One thing that is done.
pub(super) enum Step {
    /// Commands, handed over together.
    Change(fn(&Portfolio) -> Vec<Command>),
    /// So many attempts in one batch, each answered when it is recorded.
    Attempts(u32),
    /// A carrier of the server.
    Carrier(&'static str),
    /// A key joins by the token of this secret.
    Join(u8),
    /// A carrier's new identity.
    Renew(&'static str),
    /// A further portfolio, like the first but for its name.
    Portfolio(&'static str),
    /// Another root for every vault.
    Rotate,
    /// Commands in that portfolio.
    Elsewhere(fn(&Portfolio) -> Vec<Command>),
    /// The clock goes on by so many hours, with the next step.
    Later(i64),
}

/// A check in a portfolio.
pub(super) type Asked = (PortfolioId, DoorId, Credential);

/// The books between two steps.
pub(super) struct Boundary {
    pub directory: Vec<u8>,
    pub now: Moment,
    /// Live codes.
    pub codes: BTreeMap<(PortfolioId, CodeId), (DoorId, Digits)>,
    pub asked: Vec<Asked>,
    pub answers: Vec<Verdict>,
}

impl Boundary {
    pub fn compare(&self, found: &[Verdict]) -> Result<(), String> {
        let differs = self.asked.iter().zip(&self.answers).zip(found).find(|((_, then), now)| then != now);
        match differs {
            Some((((portfolio, door, shown), then), now)) => {
                Err(format!("{shown:?} at {door} of {portfolio} was {then:?} and is {now:?}"))
            }
            None => Ok(()),
        }
    }
}

/// Why the script does not go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The server ended.
    Ended,
    /// It refuses a change, or takes no more records: its disk is full.
    Full,
}

/// The script on its way.
pub(super) struct Play<M: Fn(Mark)> {
    layout: Layout,
    disk: Disk,
    now: Arc<AtomicI64>,
    mark: M,
    pub boundaries: Vec<Boundary>,
    pub answered: u64,
    /// The boundary after the first rotation.
    pub rotated: Option<usize>,
    asked: Vec<Asked>,
}

struct Server {
    engine: Engine,
    running: Option<Running>,
    log: AccessLog,
}

fn begin() -> Moment {
    Moment::parse("2026-11-23T10:00:00-05:00").unwrap()
}

pub(super) fn create(medium: &Medium, layout: &Layout) -> Books {
    let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
    Books::create_at(medium, layout, &site, begin()).unwrap()
}

fn who(portfolio: &Portfolio, email: &str) -> PersonId {
    portfolio.person_by_email(email).unwrap().id
}

const ANA: &str = "ana@harbor.example";
const TRACY: &str = "tracy@mail.example";
const SAM: &str = "sam@mail.example";
const A: KeyId = KeyId(1);
const B: KeyId = KeyId(2);
const MAIN: PropertyId = PropertyId(1);

/// Of this secret's hash, for Ana.
fn token(secret: u8, portfolio: &Portfolio) -> Command {
    let party = Party::Operator(who(portfolio, ANA));
    Command::MakeToken { party, hash: [secret; 32], until: begin().plus_seconds(24 * HOUR) }
}

fn give(key: KeyId, person: PersonId) -> Command {
    Command::Give { key, person, may_share: Some(true), period: Period::default() }
}

fn until(key: KeyId, person: PersonId, hours: i64) -> Command {
    let period = Period { from: None, until: Some(begin().plus_seconds(hours * HOUR)) };
    Command::Give { key, person, may_share: Some(true), period }
}

fn door(name: &str) -> DoorSpec {
    DoorSpec { name: name.to_owned(), kind: DoorKind::Amenity, occupied: false, labels: vec![] }
}

fn key(name: &str, doors: &[u32]) -> KeySpec {
    let opening = Opening { schedule: ScheduleRef::Always, code: true };
    let doors = doors.iter().map(|door| KeyDoor { door: DoorId(*door), opening }).collect();
    KeySpec { name: name.to_owned(), may_share: true, doors, rules: vec![] }
}

/// Each session ends in order and the next one starts from the files.
pub(super) fn sessions() -> Vec<Session> {
    use Step::{Attempts, Carrier, Change, Elsewhere, Join, Later, Portfolio, Renew, Rotate};
    vec![
        vec![
            Change(|p| vec![give(B, who(p, ANA))]),
            Attempts(3),
            // C4, C5: the codes stay with the second Key, and the share ends.
            Change(|p| vec![give(B, who(p, TRACY))]),
            Change(|p| vec![Command::Revoke { key: A, person: who(p, TRACY) }]),
            Attempts(9),
            Change(|p| {
                let (person, period) = (who(p, TRACY), Period::default());
                vec![Command::Move { person, from: B, to: A, may_share: Some(true), period }]
            }),
            Change(|p| {
                let (host, guest, period) = (who(p, TRACY), who(p, SAM), Period::default());
                vec![Command::Share { key: A, host, guest, doors: None, period }]
            }),
            Attempts(1),
            // C3: codes end.
            Change(|p| vec![Command::Revoke { key: A, person: who(p, TRACY) }]),
            // Each alone: where a disk is full in between, one that is there can't be made again.
            Change(|p| vec![token(7, p)]),
            Change(|p| vec![token(8, p)]),
            Join(7),
            Portfolio("Pine"),
            Change(|p| vec![Command::Suspend(who(p, ANA), true)]),
            Attempts(5),
        ],
        vec![
            Change(|_| vec![Command::LockDown { property: MAIN, doors: None, except_keys: vec![] }]),
            Attempts(2),
            Change(|p| {
                let lockdown = *p.properties[&MAIN].lockdowns.keys().next().unwrap();
                vec![Command::LiftLockdown(MAIN, lockdown), Command::Suspend(who(p, ANA), false)]
            }),
            Join(8),
            Change(|_| vec![Command::DisableIdentity(IdentityId(1), true)]),
            Carrier("UPS"),
            // C3, in the other portfolio.
            Elsewhere(|p| vec![Command::Revoke { key: A, person: who(p, TRACY) }]),
            Portfolio("Oak"),
            Renew("UPS"),
            Rotate,
            // A whole batch in one flush: makes and destroys.
            Change(|p| {
                let (ana, tracy, sam) = (who(p, ANA), who(p, TRACY), who(p, SAM));
                vec![
                    give(A, tracy),
                    give(A, sam),
                    Command::Revoke { key: B, person: ana },
                    until(B, ana, 30),
                    Command::Revoke { key: A, person: sam },
                ]
            }),
            Attempts(12),
            Change(|_| vec![Command::MakeDoor(MAIN, door("Pool"))]),
            Change(|_| vec![Command::EditKey(A, key("Key A", &[1, 3]))]),
            Change(|_| vec![Command::MakeKey(MAIN, key("Night", &[1, 2, 3]))]),
            Change(|p| vec![give(KeyId(4), who(p, SAM)), give(KeyId(4), who(p, TRACY))]),
            Attempts(4),
        ],
        vec![
            Attempts(2),
            // K7: Ana's giving ends with the clock.
            Later(31),
            Change(|p| vec![Command::Suspend(who(p, SAM), true)]),
            Change(|_| vec![Command::DeleteKey(KeyId(4))]),
            Attempts(6),
            // C6: quarantines end.
            Later(24 * 400),
            Change(|p| vec![give(B, who(p, ANA))]),
            Change(|_| vec![Command::RemoveDoor(DoorId(3))]),
            Attempts(1),
            Rotate,
            Change(|p| vec![Command::DeletePerson(who(p, TRACY))]),
            Change(|_| vec![Command::SetDeliveries(MAIN, false)]),
            Attempts(8),
        ],
    ]
}

impl<M: Fn(Mark)> Play<M> {
    pub fn new(layout: &Layout, disk: Disk, mark: M) -> Play<M> {
        let now = Arc::new(AtomicI64::new(begin().as_micros()));
        let layout = layout.clone();
        Play { layout, disk, now, mark, boundaries: Vec::new(), answered: 0, rotated: None, asked: Vec::new() }
    }

    /// Starts a server, plays a session's steps, and stops it in order.
    pub fn session(&mut self, steps: &[Step], shelf: bool) -> Result<(), Stopped> {
        let server = self.start(shelf)?;
        self.note(&server)?;
        for step in steps {
            self.step(&server, step)?;
        }
        server.stop();
        Ok(())
    }

    /// Plays a session's steps on a disk that is full at some of them: what is refused changes nothing, and is done when
    /// there is room. Says how often something was refused.
    pub fn session_when_full(&mut self, steps: &[Step], make_room: impl Fn()) -> Result<u32, String> {
        let stopped = |why: Stopped| format!("stopped: {why:?}");
        let server = self.start(false).map_err(stopped)?;
        self.note(&server).map_err(stopped)?;
        let mut refused = 0;
        for step in steps {
            match self.step(&server, step) {
                Ok(()) => continue,
                Err(Stopped::Full) => refused += 1,
                Err(why) => return Err(stopped(why)),
            }
            let last = self.boundaries.last().expect("the session began with one");
            let several = matches!(step, Step::Change(commands) if commands(&server.portfolio()).len() > 1);
            if !several {
                if encode_directory(&server.engine.directory()) != last.directory {
                    return Err("a refused change is there".into());
                }
                last.compare(&answers(
                    server.engine.published(),
                    &|id| server.engine.tagger(id),
                    last.now,
                    &last.asked,
                ))?;
            }
            make_room();
            match step {
                // The log tries again by itself; what it had taken is written then.
                Step::Attempts(count) => {
                    while server.log.status().failed {
                        std::thread::yield_now();
                    }
                    if server.log.next_sequence() == self.answered + 1 {
                        self.step(&server, step).map_err(stopped)?;
                    } else {
                        self.answered += u64::from(*count);
                    }
                }
                step => self.step(&server, step).map_err(stopped)?,
            }
        }
        server.stop();
        Ok(refused)
    }

    fn start(&self, shelf: bool) -> Result<Server, Stopped> {
        let medium = Medium { disk: self.disk.clone(), segment_bytes: SEGMENT_BYTES };
        // As a server does it: the engine reads the vaults.
        let (books, _) = Books::open_early(&medium, &self.layout, Progress::silent()).map_err(|_| Stopped::Ended)?;
        let log = open_log(&self.disk, &self.layout, books.lineage()).map_err(|_| Stopped::Ended)?;
        let keeper = shelf.then(|| Keeper::open(&self.layout.index(), books.lineage()).0).flatten();
        let publisher = Publisher::new(&books, self.now(), (1, 2), keeper);
        let now = Arc::clone(&self.now);
        let clock: Clock = Arc::new(move || Moment::from_micros(now.load(Ordering::SeqCst)));
        let (engine, running) = Engine::start(books, publisher, clock);
        // Whatever is answered comes after the codes are there.
        _ = engine.reveal(PORTFOLIO, CodeId::NONE);
        Ok(Server { engine, running: Some(running), log })
    }

    fn now(&self) -> Moment {
        Moment::from_micros(self.now.load(Ordering::SeqCst))
    }

    fn step(&mut self, server: &Server, step: &Step) -> Result<(), Stopped> {
        match step {
            Step::Change(commands) => {
                server.run_all(PORTFOLIO, commands(&server.portfolio()))?;
                self.note(server)
            }
            Step::Carrier(name) => {
                server.engine.make_carrier(name).map_err(|_| Stopped::Ended)?;
                self.note(server)
            }
            Step::Join(secret) => {
                let role = Party::Operator(PersonId(1)).as_str().to_owned();
                let joiner = Joiner { token: [*secret; 32], role, key: [!*secret; 32], label: "a laptop".to_owned() };
                server.engine.join(PORTFOLIO, joiner, None).map_err(|refusal| stopped_by(&refusal))?;
                self.note(server)
            }
            Step::Renew(name) => {
                let renewed = server.engine.step_carrier(CarrierStep::Renew((*name).to_owned()));
                renewed.map_err(|_| Stopped::Ended)?;
                self.note(server)
            }
            Step::Portfolio(name) => {
                let text = crate::testing::SITE.replacen("Harbor", name, 1);
                let made = server.engine.make_portfolio(Site::parse("site.toml", &text).unwrap());
                made.map_err(|refusal| stopped_by(&refusal))?;
                self.note(server)
            }
            Step::Rotate => {
                server.engine.rotate().map_err(|refusal| stopped_by(&refusal))?;
                self.rotated.get_or_insert(self.boundaries.len());
                self.note(server)
            }
            Step::Elsewhere(commands) => {
                let directory = server.engine.directory();
                let pine = directory.portfolios.values().find(|found| found.name == "Pine").unwrap();
                server.run_all(pine.id, commands(pine))?;
                self.note(server)
            }
            Step::Attempts(count) => {
                server.attempt(self.answered as u32, *count, self.now())?;
                self.answered += u64::from(*count);
                (self.mark)(Mark::Answered(self.answered));
                Ok(())
            }
            Step::Later(hours) => {
                self.now.fetch_add(hours * HOUR * 1_000_000, Ordering::SeqCst);
                Ok(())
            }
        }
    }

    /// The step is acknowledged: notes what is true from here on.
    fn note(&mut self, server: &Server) -> Result<(), Stopped> {
        let directory = server.engine.directory();
        (self.mark)(Mark::Acknowledged(self.boundaries.len()));
        let mut codes = BTreeMap::new();
        let mut shown: Vec<Asked> = Vec::new();
        for (id, portfolio) in &directory.portfolios {
            for code in portfolio.properties.values().flat_map(|property| property.codes.values()) {
                let digits = server.engine.reveal(*id, code.id).map_err(|_| Stopped::Ended)?;
                codes.insert((*id, code.id), (code.door, digits));
            }
            let mobiles = portfolio.people.values().map(|person| person.mobile);
            for mobile in mobiles.chain(directory.carriers.values().map(|carrier| carrier.mobile)) {
                shown.extend((1..=3).map(|door| (*id, DoorId(door), Credential::Mobile(mobile))));
            }
        }
        shown.extend(codes.iter().map(|((id, _), (door, digits))| (*id, *door, Credential::Code(digits.clone()))));
        for each in shown {
            if !self.asked.contains(&each) {
                self.asked.push(each);
            }
        }
        let (now, asked) = (self.now(), self.asked.clone());
        let answers = answers(server.engine.published(), &|id| server.engine.tagger(id), now, &asked);
        self.boundaries.push(Boundary { directory: encode_directory(&directory), now, codes, asked, answers });
        Ok(())
    }
}

impl Server {
    fn portfolio(&self) -> Arc<Portfolio> {
        self.engine.directory().portfolios[&PORTFOLIO].clone()
    }

    fn run_all(&self, portfolio: PortfolioId, commands: Vec<Command>) -> Result<(), Stopped> {
        let (send, receive) = crossbeam_channel::bounded(commands.len());
        let count = commands.len();
        for command in commands {
            let send = send.clone();
            let reply: Reply<Done> = Box::new(move |done| _ = send.send(done));
            self.engine.submit(portfolio, Actor::Administrator, command, None, reply);
        }
        drop(send);
        // A reply that is dropped tells nobody anything: the writer has ended.
        let told: Vec<Result<Done, Refusal>> = receive.iter().collect();
        match told.iter().find_map(|done| done.as_ref().err()) {
            None if told.len() == count => Ok(()),
            None => Err(Stopped::Ended),
            Some(refusal) => Err(stopped_by(refusal)),
        }
    }

    fn attempt(&self, after: u32, count: u32, now: Moment) -> Result<(), Stopped> {
        let records = (after + 1..=after + count).map(|number| record(number, now)).collect();
        let producer = self.log.producer(0);
        let ticket = producer.push_blocking(Batch { portfolio: PORTFOLIO, records }).map_err(|_| Stopped::Full)?;
        producer.durable_blocking(ticket).map_err(|_| Stopped::Full)
    }

    fn stop(mut self) {
        _ = self.log.shutdown();
        self.running.take().into_iter().for_each(Running::stop);
    }
}

fn stopped_by(refusal: &Refusal) -> Stopped {
    match refusal {
        Refusal::Unavailable(why) if why.contains("disk is full") => Stopped::Full,
        Refusal::Unavailable(_) => Stopped::Ended,
        refusal => panic!("the script is refused: {refusal}"),
    }
}

/// A record that is known by its number.
pub(super) fn record(number: u32, time: Moment) -> Record {
    let (door, key, lock) = (DoorId(number), KeyId(1), LockId(1));
    let (who, kind, outcome) = (Who::Nobody, CredentialKind::Mobile, access_log::Outcome::Granted);
    Record { time, revision: 3, door, who, key, lock, kind, outcome }
}

/// The log as a start opens it.
pub(super) fn open_log(disk: &Disk, layout: &Layout, lineage: [u8; 16]) -> Result<AccessLog, String> {
    let segment_bytes = LOG_SEGMENT_BYTES;
    let config = access_log::Config { mode: Mode::Strict, segment_bytes, ..access_log::Config::default() };
    let opened = AccessLog::open_at(disk, &layout.log(), lineage, config);
    opened.map(|(log, _)| log).map_err(|error| error.to_string())
}

/// The numbers of the records in a log, opened as a start does.
pub(super) fn log_numbers(layout: &Layout, lineage: [u8; 16]) -> Result<Vec<u32>, String> {
    let (log, report) = AccessLog::open(&layout.log(), lineage, Mode::Strict, 1).map_err(|error| error.to_string())?;
    if !report.damage.is_empty() {
        return Err(format!("the log is damaged: {:?}", report.damage));
    }
    let mut numbers = Vec::new();
    let span = Span::Sequences(0..u64::MAX);
    let damage = log.visit(&span, |_, _, record| numbers.push(record.door.0)).map_err(|error| error.to_string())?;
    if damage.is_empty() { Ok(numbers) } else { Err(format!("the log is damaged: {damage:?}")) }
}

pub(super) fn answers(
    published: &Published,
    tagger: &dyn Fn(PortfolioId) -> Option<Tagger>,
    now: Moment,
    asked: &[Asked],
) -> Vec<Verdict> {
    let publication = published.load();
    let ask = |(id, door, shown): &Asked| {
        let question = Question { door: *door, shown: Shown::from(shown) };
        let mut out = [Verdict::DENIED];
        if let (Some(portfolio), Some(tagger)) = (publication.portfolio(*id), tagger(*id)) {
            let tag = |door, digits: &_| tagger.tag(door, digits).0;
            check_batch(portfolio, Scope::Portfolio, now, &[question], tag, &mut out);
        }
        out[0]
    };
    asked.iter().map(ask).collect()
}
