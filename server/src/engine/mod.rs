//! The single writer. One thread owns the Directory: it decides, makes durable, publishes, acknowledges, in that order.
//!
//! For each batch of commands: the vault has the new codes' digits on disk, then the journal has the change, then
//! readers see it, then deleted codes' secrets are destroyed, then whoever asked is told. A failed write ends the
//! process: nothing that may be on disk is ever rolled back, and a restart finds the last durable state. Only a write
//! that a full disk did not take, and that left nothing there, is refused instead.

mod books;
mod layout;
mod publisher;
mod repair;
mod replay;
mod rotation;
mod shelf;
mod trail;
mod vaults;
mod verify;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use keyward_protocol::{code::Digits, id::*, time::Moment};

pub use books::{
    Books, CarrierStep, Committed, Medium, OpenReport, ReplayError, Rotated, Shown, StartError, WriteError,
    unless_unfinished,
};
pub use layout::Layout;
pub use publisher::{Publisher, Started};
pub use repair::{Repair, RepairError};
pub use replay::{PastError, portfolio_at};
pub use rotation::found as root_found;
pub use shelf::Keeper;
pub use vaults::{Lost, VaultsRead};
pub use verify::{Finding, Severity, verify};

use crate::{
    clock::Clock,
    domain::{
        audit::{Attempt, By},
        command::Command,
        decide::Refusal,
        directory::{Carrier, Directory, Party},
        effects::Effects,
        event::{Actor, Cause},
        joining::Joiner,
        since::Proviso,
        site::Site,
    },
    index::publish::Published,
    vault::Tagger,
};

/// What a step came to.
#[derive(Clone, Debug)]
pub struct Done {
    /// The portfolio's revision after it.
    pub revision: u64,
    /// What was done, with the ids that were given.
    pub causes: Vec<Cause>,
    /// What followed.
    pub effects: Effects,
}

/// Told when a command is durable and in force, or refused.
pub type Reply<T> = Box<dyn FnOnce(Result<T, Refusal>) + Send>;

/// Who asks for a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Who.
    pub actor: Actor,
    /// People who hold nothing that the actor sees, whom they may give a first Key
    /// ([`Sight::having_met`](crate::domain::permission::Sight::having_met)).
    pub met: Vec<PersonId>,
    /// Where they are connected from; `None` on the server's own machine.
    pub from: Option<SocketAddr>,
}

impl Asker {
    fn by(&self, at: Moment) -> By {
        By { actor: self.actor, from: self.from.map(|address| address.to_string()), at }
    }
}

impl From<Actor> for Asker {
    fn from(actor: Actor) -> Asker {
        Asker { actor, met: Vec::new(), from: None }
    }
}

enum Request {
    Command { portfolio: PortfolioId, asker: Asker, command: Box<Command>, proviso: Box<Proviso>, reply: Reply<Done> },
    Carrier { name: String, reply: Reply<CarrierId> },
    Reveal { portfolio: PortfolioId, code: CodeId, reply: Reply<Digits> },
    Show { portfolio: PortfolioId, asker: Asker, code: CodeId, reply: Reply<Shown> },
    Refused { portfolio: PortfolioId, asker: Asker, attempt: Attempt, why: Refusal, reply: Reply<()> },
    Join { portfolio: PortfolioId, joiner: Joiner, from: Option<SocketAddr>, reply: Reply<Party> },
    Stop,
    Portfolio { site: Box<Site>, reply: Reply<PortfolioId> },
    CarrierStep { step: CarrierStep, reply: Reply<Carrier> },
    Rotate { reply: Reply<Rotated> },
    RotateEvery { micros: i64 },
}

/// How many commands may wait for the engine.
const QUEUE: usize = 1_024;
/// How many commands share one flush.
const BATCH: usize = 256;
/// How far the anchor may be behind the journal.
const ANCHOR_EVERY: Duration = Duration::from_secs(1);
/// After so many changes a snapshot is taken.
const SNAPSHOT_EVERY: u64 = 1_000;
/// Compiled openings are renewed when the server's clock has gone so far, on or back: long before it reaches an end
/// of what was compiled. Not time that passes elsewhere: a clock that is set, or a machine that slept, leaps.
const RENEW_EVERY_MICROS: u64 = 6 * 3_600 * 1_000_000;

/// After a rotation that was refused it is tried again.
const ROTATE_AGAIN_MICROS: i64 = 3_600 * 1_000_000;

/// How the door codes are. They come after everything else of a start: until then a code is answered `retry`, and
/// commands wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoorCodes {
    /// The vaults are being read.
    BeingRead,
    /// They were read; what is wrong with them stands here.
    Read(VaultsRead),
}

/// A running engine. Clones are handles of the same one.
#[derive(Clone)]
pub struct Engine {
    requests: SyncSender<Request>,
    door_codes: Arc<ArcSwap<DoorCodes>>,
    directory: Arc<ArcSwap<Directory>>,
    published: Arc<Published>,
    head: Arc<AtomicU64>,
    taggers: Arc<ArcSwap<BTreeMap<PortfolioId, Tagger>>>,
}

/// Ends the engine and waits for it.
pub struct Running {
    requests: SyncSender<Request>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the writer's thread with books that were opened. It begins with the vaults, where they were not read yet.
    pub fn start(books: Books, publisher: Publisher, clock: Clock) -> (Engine, Running) {
        Engine::start_with(books, publisher, clock, ON_FAILED_WRITE)
    }

    /// [`Engine::start`] where something else happens after a failed write.
    fn start_with(books: Books, publisher: Publisher, clock: Clock, failed: Failed) -> (Engine, Running) {
        // The standard library's: what waits there when the engine ends is dropped with it, and so whoever waits for a
        // reply is told. A bounded channel of crossbeam keeps it for as long as anybody could send.
        let (requests, queue) = mpsc::sync_channel(QUEUE);
        let directory = Arc::new(ArcSwap::from_pointee(books.directory().clone()));
        let published = publisher.published();
        let renewed = clock();
        let door_codes = Arc::new(ArcSwap::from_pointee(DoorCodes::BeingRead));
        let head = Arc::new(AtomicU64::new(books.sequence()));
        let taggers = Arc::new(ArcSwap::from_pointee(books.taggers()));
        let writer = Writer {
            head: Arc::clone(&head),
            door_codes: Arc::clone(&door_codes),
            books,
            publisher,
            clock,
            queue,
            directory: Arc::clone(&directory),
            taggers: Arc::clone(&taggers),
            unsnapshotted: 0,
            renewed,
            rotation: None,
            failed,
            full: false,
        };
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || writer.run())
            .expect("a thread can be started while the server starts");
        let running = Running { requests: requests.clone(), thread: Some(thread) };
        (Engine { requests, door_codes, directory, published, head, taggers }, running)
    }

    /// The Directory at a durable revision: for lists, previews and explanations, off the engine.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    /// The same without counting a reference: for the way of a check.
    pub fn directory_now(&self) -> arc_swap::Guard<Arc<Directory>> {
        self.directory.load()
    }

    /// Whether the door codes are there.
    pub fn door_codes(&self) -> Arc<DoorCodes> {
        self.door_codes.load_full()
    }

    /// What checks are judged by.
    pub fn published(&self) -> &Arc<Published> {
        &self.published
    }

    /// Asks for a step; `reply` is told when it is durable and in force, or refused.
    pub fn submit(
        &self,
        portfolio: PortfolioId,
        asker: impl Into<Asker>,
        command: Command,
        proviso: impl Into<Proviso>,
        reply: Reply<Done>,
    ) {
        let (asker, command, proviso) = (asker.into(), Box::new(command), Box::new(proviso.into()));
        self.send(Request::Command { portfolio, asker, command, proviso, reply });
    }

    /// [`Engine::submit`] that waits for the reply. Not for threads that serve connections.
    pub fn run(&self, portfolio: PortfolioId, asker: impl Into<Asker>, command: Command) -> Result<Done, Refusal> {
        let (asker, command) = (asker.into(), Box::new(command));
        self.wait(|reply| Request::Command { portfolio, asker, command, proviso: Box::default(), reply })
    }

    /// Makes a carrier of the server (V3); the one with that name, where there is one.
    pub fn make_carrier(&self, name: &str) -> Result<CarrierId, Refusal> {
        self.wait(|reply| Request::Carrier { name: name.to_owned(), reply })
    }

    /// Lets a key join by a token (single use): told once it is durable, whom it proves somebody to be.
    pub fn join(&self, portfolio: PortfolioId, joiner: Joiner, from: Option<SocketAddr>) -> Result<Party, Refusal> {
        self.wait(|reply| Request::Join { portfolio, joiner, from, reply })
    }

    /// Makes a further portfolio from a site, with its own vault (M9).
    pub fn make_portfolio(&self, site: Site) -> Result<PortfolioId, Refusal> {
        self.wait(|reply| Request::Portfolio { site: Box::new(site), reply })
    }

    /// Makes a carrier of the server, or gives one a new identity: then the old one opens nothing (V3).
    pub fn step_carrier(&self, step: CarrierStep) -> Result<Carrier, Refusal> {
        self.wait(|reply| Request::CarrierStep { step, reply })
    }

    /// Seals every vault under a new root and destroys the old one. Checks are answered meanwhile, changes wait.
    pub fn rotate(&self) -> Result<Rotated, Refusal> {
        self.wait(|reply| Request::Rotate { reply })
    }

    /// From now on rotates by itself whenever the root in force is so old, by the age of its file.
    pub fn rotate_every(&self, days: u16) {
        self.send(Request::RotateEvery { micros: i64::from(days) * 24 * 3_600 * 1_000_000 });
    }

    /// What makes the tags of a portfolio's codes. There before anything of a portfolio is published.
    pub fn tagger(&self, portfolio: PortfolioId) -> Option<Tagger> {
        self.taggers.load().get(&portfolio).cloned()
    }

    /// The digits of a live code for somebody who may be shown them (C8): told once the audit trail has it.
    pub fn show(&self, portfolio: PortfolioId, asker: impl Into<Asker>, code: CodeId) -> Result<Shown, Refusal> {
        let asker = asker.into();
        self.wait(|reply| Request::Show { portfolio, asker, code, reply })
    }

    /// Puts something in the audit trail that somebody was refused and that was no command (M7); returns when it is there.
    pub fn note_refused(&self, portfolio: PortfolioId, asker: Asker, attempt: Attempt, why: Refusal) {
        // A server that stops, or has no room, refuses all the same.
        _ = self.wait(|reply| Request::Refused { portfolio, asker, attempt, why, reply });
    }

    /// The last frame of the journal that is durable: for reading the audit trail.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// The digits of a live code, for whoever runs the server. The audit trail has nothing of it: see [`Engine::show`].
    pub fn reveal(&self, portfolio: PortfolioId, code: CodeId) -> Result<Digits, Refusal> {
        self.wait(|reply| Request::Reveal { portfolio, code, reply })
    }

    fn wait<T: Send + 'static>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, Refusal> {
        let (send, receive) = mpsc::sync_channel(1);
        self.send(request(Box::new(move |done| _ = send.send(done))));
        receive.recv().unwrap_or_else(|_| Err(stopped()))
    }

    fn send(&self, request: Request) {
        // A request that can't be handed over is dropped with its reply; `wait` then says that the server stops.
        if let Err(unsent) = self.requests.send(request)
            && let Request::Command { reply, .. } = unsent.0
        {
            reply(Err(stopped()));
        }
    }
}

fn later(moment: Moment, micros: i64) -> Moment {
    Moment::from_micros(moment.as_micros().saturating_add(micros))
}

fn stopped() -> Refusal {
    Refusal::Unavailable("the server is shutting down".to_owned())
}

impl Running {
    /// Lets the engine finish what was handed over, writes the anchor and a snapshot, and waits for its end.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        _ = self.requests.send(Request::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the engine ended with a panic");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

/// Tells whoever asked that it is durable and in force, or that nothing was changed.
type Acknowledge = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

struct Writer {
    books: Books,
    head: Arc<AtomicU64>,
    publisher: Publisher,
    clock: Clock,
    queue: Receiver<Request>,
    directory: Arc<ArcSwap<Directory>>,
    door_codes: Arc<ArcSwap<DoorCodes>>,
    taggers: Arc<ArcSwap<BTreeMap<PortfolioId, Tagger>>>,
    unsnapshotted: u64,
    /// When openings were last compiled for every property.
    renewed: Moment,
    /// How old a root may get, and from when on it is to be replaced.
    rotation: Option<(i64, Moment)>,
    failed: Failed,
    /// The disk had no room the last time that something was to be written.
    full: bool,
}

impl Writer {
    fn run(mut self) {
        self.read_vaults();
        let mut anchored = Instant::now();
        loop {
            let batch = self.next_batch();
            let stop = batch.iter().any(|request| matches!(request, Request::Stop));
            self.round(batch);
            if anchored.elapsed() >= ANCHOR_EVERY {
                self.write_anchor();
                anchored = Instant::now();
            }
            if self.unsnapshotted >= SNAPSHOT_EVERY || (stop && self.unsnapshotted > 0) {
                match self.books.write_snapshot() {
                    Ok(()) => {}
                    // A snapshot only bounds how much a start replays: the journal has everything.
                    Err(error) => tracing::warn!(%error, "no snapshot could be written"),
                }
                self.unsnapshotted = 0;
            }
            if stop {
                self.write_anchor();
                return;
            }
        }
    }

    /// Locks are answered already; their codes follow now, and then commands, which need to know what is in the vault.
    fn read_vaults(&mut self) {
        let read = self.books.read_vaults();
        for lost in &read.lost {
            tracing::warn!(door = %lost.door, person = %lost.person, "a door code is lost: it opens nothing");
        }
        for why in read.failed.values() {
            tracing::error!(
                why,
                "the door codes can't be read: they are answered `retry`, and none is shown, made or deleted; \
                 everything else goes on. Run `keyward-server verify` on the stopped server"
            );
        }
        self.publisher.publish_codes(&self.books, (self.clock)());
        self.door_codes.store(Arc::new(DoorCodes::Read(read)));
    }

    /// Waits for work: commands, or the moment at which something ends.
    fn next_batch(&self) -> Vec<Request> {
        let now = (self.clock)();
        let until_due = self.books.next_due().map_or(ANCHOR_EVERY, |due| {
            let micros = due.as_micros().saturating_sub(now.as_micros()).max(0);
            Duration::from_micros(u64::try_from(micros).unwrap_or(0)).min(ANCHOR_EVERY)
        });
        // What is due and found no room is tried again, but not all the time.
        let until_due = if self.full { ANCHOR_EVERY } else { until_due };
        let mut batch = match self.queue.recv_timeout(until_due) {
            Ok(request) => vec![request],
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => vec![Request::Stop],
        };
        batch.extend(self.queue.try_iter().take(BATCH));
        batch
    }

    /// Decides a batch, makes it durable with one flush of the journal, publishes it and tells who asked.
    fn round(&mut self, batch: Vec<Request>) {
        let now = (self.clock)();
        if now.as_micros().abs_diff(self.renewed.as_micros()) >= RENEW_EVERY_MICROS {
            self.publisher.renew(&self.books, now);
            self.renewed = now;
        }
        if let Some((micros, due)) = self.rotation
            && now >= due
        {
            self.rotate_by_itself(micros, now);
        }
        let mut acknowledgements: Vec<Acknowledge> = Vec::new();
        // Ends that are due are in the books before anything else is decided, so that effects see data only.
        if let Err(refusal) = self.books.apply_due(now) {
            tracing::error!(%refusal, "ends that are due could not be put in the books");
        }
        for request in batch {
            match request {
                Request::Command { portfolio, asker, command, proviso, reply } => {
                    match self.books.decide(portfolio, asker.clone(), &command, now, *proviso) {
                        Ok(done) => acknowledgements.push(Box::new(move |durable| reply(durable.map(|()| done)))),
                        Err(refusal) => {
                            self.note_refused(portfolio, &asker, &command, &refusal, now);
                            acknowledgements.push(Box::new(move |_| reply(Err(refusal))));
                        }
                    }
                }
                Request::Show { portfolio, asker, code, reply } => {
                    match self.books.show(portfolio, &asker, code, now) {
                        Ok(shown) => acknowledgements.push(Box::new(move |durable| reply(durable.map(|()| shown)))),
                        Err(refusal) => {
                            let attempt = Attempt::reveal(code);
                            self.books.note_refused(portfolio, &asker, attempt, &refusal, now);
                            acknowledgements.push(Box::new(move |_| reply(Err(refusal))));
                        }
                    }
                }
                Request::Refused { portfolio, asker, attempt, why, reply } => {
                    self.books.note_refused(portfolio, &asker, attempt, &why, now);
                    acknowledgements.push(Box::new(move |_| reply(Ok(()))));
                }
                Request::Join { portfolio, joiner, from, reply } => {
                    match self.books.join(portfolio, &joiner, from, now) {
                        Ok(party) => acknowledgements.push(Box::new(move |durable| reply(durable.map(|()| party)))),
                        Err(refusal) => acknowledgements.push(Box::new(move |_| reply(Err(refusal)))),
                    }
                }
                Request::Carrier { name, reply } => match self.books.make_carrier(&name) {
                    Ok(carrier) => acknowledgements.push(Box::new(move |durable| reply(durable.map(|()| carrier)))),
                    Err(refusal) => reply(Err(refusal)),
                },
                Request::Portfolio { site, reply } => match self.books.make_portfolio(&site, now) {
                    Ok(made) => acknowledgements.push(Box::new(move |durable| reply(durable.map(|()| made)))),
                    Err(refusal) => reply(Err(refusal)),
                },
                Request::CarrierStep { step, reply } => match self.books.step_carrier(&step) {
                    Ok(carrier) => acknowledgements.push(Box::new(move |durable| reply(durable.map(|()| carrier)))),
                    Err(refusal) => reply(Err(refusal)),
                },
                // Codes that the batch made before it are carried over like any other.
                Request::Rotate { reply } => {
                    let rotated = self.books.rotate();
                    reply(self.done(rotated));
                }
                Request::RotateEvery { micros } => {
                    self.rotation = Some((micros, later(self.books.root_made(), micros)))
                }
                Request::Reveal { portfolio, code, reply } => reply(self.books.reveal(portfolio, code)),
                Request::Stop => {}
            }
        }
        self.books.note_unsaid(now);
        let committed = self.books.commit();
        if let Err(error) = &committed
            && error.is_no_room()
        {
            self.note_room(Some(error));
            acknowledgements.into_iter().for_each(|refuse| refuse(Err(books::disk_is_full())));
            return;
        }
        if let Some(committed) = self.done(committed) {
            self.note_room(None);
            self.head.store(self.books.sequence(), Ordering::Release);
            // Without a change, what was written is for the audit trail alone.
            if committed.changes > 0 {
                self.unsnapshotted += committed.changes;
                if !committed.begun.is_empty() {
                    self.taggers.store(Arc::new(self.books.taggers()));
                }
                self.publisher.publish(&self.books, &committed, now);
                self.directory.store(Arc::new(self.books.directory().clone()));
                let destroyed = self.books.destroy(&committed);
                self.done(destroyed);
            }
        }
        acknowledgements.into_iter().for_each(|acknowledge| acknowledge(Ok(())));
    }

    fn rotate_by_itself(&mut self, every_micros: i64, now: Moment) {
        let rotated = self.books.rotate();
        let next_micros = match self.done(rotated) {
            Ok(Rotated { vaults, codes }) => {
                tracing::info!(vaults, codes, "the vaults have a new root: back it up");
                every_micros
            }
            Err(refusal) => {
                tracing::warn!(%refusal, "the root is tried to be rotated again in an hour");
                ROTATE_AGAIN_MICROS
            }
        };
        self.rotation = Some((every_micros, later(now, next_micros)));
    }

    /// The audit trail has what somebody was refused (M7), unless it is the server that could not.
    fn note_refused(&mut self, portfolio: PortfolioId, asker: &Asker, command: &Command, why: &Refusal, now: Moment) {
        let directory = self.books.directory();
        let Some(found) = directory.portfolios.get(&portfolio) else { return };
        if !matches!(why, Refusal::Unavailable(_)) {
            let attempt = Attempt::step(found, command);
            self.books.note_refused(portfolio, asker, attempt, why, now);
        }
    }

    /// Without room the anchor stays behind; the journal goes on only when there is some.
    fn write_anchor(&mut self) {
        match self.books.write_anchor() {
            Err(error) if error.is_no_room() => self.note_room(Some(&error)),
            written => self.done(written),
        }
    }

    /// Tells once when the disk is full, and once when it no longer is.
    fn note_room(&mut self, full: Option<&WriteError>) {
        match (full, self.full) {
            (Some(error), false) => {
                tracing::error!(%error, "the disk is full: changes are refused until there is room")
            }
            (None, true) => tracing::info!("there is room on the disk again: changes are taken"),
            (Some(_), true) | (None, false) => {}
        }
        self.full = full.is_some();
    }

    /// A failed write ends the process.
    fn done<T>(&self, done: Result<T, WriteError>) -> T {
        done.unwrap_or_else(|error| (self.failed)(&error))
    }
}

/// What happens after a failed write, before anybody who waits is told anything.
type Failed = fn(&WriteError) -> !;

#[cfg(not(test))]
const ON_FAILED_WRITE: Failed = end_the_process;
/// A test that fails drops its data beneath the server that it started: that ends this server and no other test. That a
/// real one ends its process is seen from outside it.
#[cfg(test)]
const ON_FAILED_WRITE: Failed = end_the_engine;

/// What is on disk is the truth, and a start finds it.
#[cfg(not(test))]
fn end_the_process(error: &WriteError) -> ! {
    tracing::error!(%error, "the disk refused a write: the server stops, nothing acknowledged is lost");
    eprintln!("keyward-server: {error}: the server stops, nothing acknowledged is lost");
    std::process::abort()
}

/// Without the hook of a panic: nothing is wrong with the engine.
#[cfg(test)]
fn end_the_engine(error: &WriteError) -> ! {
    std::panic::resume_unwind(Box::new(error.to_string()))
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod tests;
