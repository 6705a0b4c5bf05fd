//! A running server: the engine, the access log and the network, put together and shut down in order.

mod administer;
pub mod audit;
mod cursor;
mod hooks;
mod judge;
pub mod lockout;
mod manage;
mod past;
mod portfolios;
mod watch;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keyward_protocol::{
    id::{LockId, PersonId, PortfolioId},
    time::Moment,
};
use zeroize::Zeroizing;

pub use judge::Judge;
use portfolios::Portfolios;

use crate::{
    access_log::{self, AccessLog},
    clock::{self, Clock},
    control,
    domain::{
        command::Command,
        decide::Refusal,
        directory::{Directory, LockScope, Portfolio},
        event::{Actor, Cause},
        permission,
        site::Site,
    },
    engine::{Books, Engine, Keeper, Layout, Medium, OpenReport, Publisher, Running, StartError},
    identity::{Authority, AuthorityError, Issued, Principal, Subject, Validity},
    net::{self, Limits, Listener},
    progress::Progress,
};

/// How a server is started.
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// When an attempt counts as recorded.
    pub mode: access_log::Mode,
    /// What tells the time.
    pub clock: Clock,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The books.
    #[error(transparent)]
    Books(#[from] StartError),
    /// The access log.
    #[error(transparent)]
    Log(#[from] access_log::OpenError),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The network.
    #[error(transparent)]
    Bind(#[from] net::BindError),
}

/// A server that is bound and does not serve yet.
pub struct Server {
    engine: Engine,
    running: Running,
    log: AccessLog,
    authority: Arc<Authority>,
    listener: Listener,
    judge: Judge,
    clock: Clock,
    control: Option<control::Socket>,
    report: OpenReport,
    journal: PathBuf,
}

/// Reaches into a running server from the same process.
#[derive(Clone)]
pub struct Inside {
    /// The writer.
    pub engine: Engine,
    /// The access log.
    pub log: AccessLog,
    /// What signs certificates.
    pub authority: Arc<Authority>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its connections.
    pub connections: net::Handle,
}

/// Makes a data directory from a site, with its secrets beside it.
pub fn init(data: &Path, site: &Site, now: Moment) -> Result<Layout, StartError> {
    init_with(data, site, now, Progress::silent())
}

/// [`init`] that tells how far it is.
pub fn init_with(data: &Path, site: &Site, now: Moment, progress: Progress) -> Result<Layout, StartError> {
    let layout = Layout::new(data);
    Books::create_with(&Medium::default(), &layout, site, now, progress)?;
    Ok(layout)
}

impl Server {
    /// Opens the books and the log and binds the address; the door codes follow while it serves. Must be called inside
    /// a tokio runtime.
    pub fn bind(layout: &Layout, options: Options) -> Result<Server, ServeError> {
        Server::bind_on(&Medium::default(), layout, options, Progress::silent())
    }

    /// [`Server::bind`] on some medium, that tells how far it is.
    pub fn bind_on(
        medium: &Medium,
        layout: &Layout,
        options: Options,
        progress: Progress,
    ) -> Result<Server, ServeError> {
        let (books, report) = Books::open_early(medium, layout, progress)?;
        let now = (options.clock)();
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        let (log, opened) = AccessLog::open(&layout.log(), books.lineage(), options.mode, shards)?;
        for damage in &opened.damage {
            tracing::warn!(?damage, "a part of the access log can't be read");
        }
        let authority = Arc::new(Authority::open(layout.secrets())?);
        let tls = authority.server_tls(now)?;
        let listener = Listener::bind(net::Config { address: options.address, tls, limits: Limits::default() })?;
        let (shelf, set_aside) = Keeper::open(&layout.index(), books.lineage());
        if let Some(file) = set_aside {
            tracing::warn!(file = %file.display(), "the persisted index was damaged: it is set aside and may be deleted");
        }
        let publisher = Publisher::new(&books, now, hash_key(), shelf);
        let started = publisher.started();
        tracing::info!(loaded = started.loaded, compiled = started.compiled, "the index is there");
        let (engine, running) = Engine::start(books, publisher, Arc::clone(&options.clock));
        let producers = (0..shards).map(|shard| log.producer(shard)).collect();
        let clock = Arc::clone(&options.clock);
        let portfolios = Arc::new(Portfolios::new(engine.clone()));
        remember(&log, &portfolios, now);
        let judge = Judge::new(engine.clone(), portfolios, producers, options.mode, options.clock);
        let control = control::Socket::bind(&layout.control()).inspect_err(|error| {
            let path = layout.control();
            tracing::warn!(%error, path = %path.display(), "no control socket: `issue` works while the server is stopped");
        });
        let control = control.ok();
        Ok(Server {
            engine,
            running,
            log,
            authority,
            listener,
            judge,
            clock,
            control,
            report,
            journal: layout.journal(),
        })
    }

    /// What was found when the books were opened. Which codes are lost is known later: [`Engine::door_codes`].
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// From now on seals the vaults under a new root whenever the one in force is so old.
    pub fn rotate_root_every(&self, days: u16) {
        self.engine.rotate_every(days);
    }

    /// A handle that reaches inside while it serves.
    pub fn inside(&self) -> Inside {
        Inside {
            engine: self.engine.clone(),
            log: self.log.clone(),
            authority: Arc::clone(&self.authority),
            address: self.listener.local_address(),
            connections: self.listener.handle(),
        }
    }

    /// Serves until `shutdown` resolves; then no more connections, frames in hand are finished, the log is flushed and
    /// the engine ends.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let alarm = tokio::spawn(sound_alarm(self.engine.clone(), self.judge.portfolios(), Arc::clone(&self.clock)));
        let hooks = hooks::hooks(self.engine.clone(), self.log.clone(), self.journal, self.clock, self.judge);
        let (engine, authority) = (self.engine, self.authority);
        let answerer: control::Answerer = Arc::new(move |request| administer(&engine, &authority, request));
        let control = self.control.map(|socket| tokio::spawn(socket.serve(answerer)));
        self.listener.serve(hooks, shutdown).await;
        alarm.abort();
        if let Some(control) = control {
            control.abort();
            _ = control.await;
        }
        let (log, running) = (self.log, self.running);
        let ended = tokio::task::spawn_blocking(move || {
            let flushed = log.shutdown();
            running.stop();
            flushed
        });
        match ended.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the access log could not be flushed"),
            Err(error) => tracing::error!(%error, "shutting down ended with a panic"),
        }
    }
}

/// Works the budgets for wrong codes out from the log's last days (U7). A long log is read on: codes are told to retry
/// until it is, and everything else is answered.
fn remember(log: &AccessLog, portfolios: &Portfolios, now: Moment) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let (log, all) = (log.clone(), portfolios.load_full());
    let read = move |done: std::sync::mpsc::Sender<()>| {
        let span = access_log::Span::Times(now.plus_seconds(-lockout::REMEMBERED_SECONDS)..Moment::MAX);
        let visited = log.visit(&span, |portfolio, _, record| {
            if let Some(kept) = all.get(&portfolio) {
                kept.budgets.remember(record);
            }
        });
        match visited {
            Ok(damage) if damage.is_empty() => {}
            Ok(_) | Err(_) => {
                tracing::error!("the access log has places that can't be read: wrong codes tried there are forgotten");
            }
        }
        all.values().for_each(|kept| kept.budgets.remembered());
        _ = done.send(());
    };
    let (done, is_done) = std::sync::mpsc::channel();
    match std::thread::Builder::new().name("wrong codes".into()).spawn(move || read(done)) {
        Ok(_) => _ = is_done.recv_timeout(PATIENCE),
        Err(error) => tracing::error!(%error, "no thread can be started: door codes are told to retry"),
    }
}

/// Says in the server's messages when a door's budget for wrong codes has run out (U7), off the way of a check.
async fn sound_alarm(engine: Engine, portfolios: Arc<Portfolios>, clock: Clock) {
    let mut known: BTreeMap<PortfolioId, u64> = BTreeMap::new();
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        for (portfolio, kept) in portfolios.load_full().iter() {
            let budgets = &kept.budgets;
            let times = budgets.times_ran_out();
            if known.insert(*portfolio, times).unwrap_or(0) == times {
                continue;
            }
            let directory = engine.directory();
            let found = directory.portfolios.get(portfolio);
            for alert in budgets.alerts(clock()).into_iter().filter(|alert| alert.left == 0) {
                let property = found.and_then(|found| found.property_with_door(alert.door));
                let name = property.and_then(|of| of.doors.get(&alert.door)).map(|door| door.name.clone());
                let door = name.unwrap_or_default();
                tracing::warn!(door, "too many wrong codes: the door takes none until one more is allowed");
            }
        }
    }
}

/// Does what the local administrator asks: through the control socket while a server runs, directly while none does.
pub fn administer(engine: &Engine, authority: &Authority, request: control::Request) -> control::Answer {
    let (directory, portfolio, now) = (engine.directory(), request.portfolio(), clock::now());
    let (lock, issued) = match request {
        control::Request::IssueLock { name, property, doors, .. } => {
            let found = directory.portfolios.get(&portfolio).ok_or("there is no portfolio")?;
            let scope = lock_scope(found, &property, &doors)?;
            let made =
                issue_lock(engine, authority, portfolio, &name, scope, now).map_err(|error| error.to_string())?;
            (Some(made.lock), made.issued)
        }
        control::Request::IssueOperator { email, .. } => {
            let issued = issue_operator(&directory, authority, portfolio, &email, now);
            (None, issued.map_err(|error| error.to_string())?)
        }
        control::Request::Task(task) => return administer::perform(engine, task).map(control::Answered::Told),
    };
    Ok(control::Answered::Identity(control::Identity::new(lock, authority.certificate_pem(), &issued)))
}

fn lock_scope(portfolio: &Portfolio, property: &str, doors: &[String]) -> Result<LockScope, String> {
    let found = portfolio.property_by_name(property).ok_or_else(|| format!("there is no property `{property}`"))?;
    if doors.is_empty() {
        return Ok(LockScope::Property(found.id()));
    }
    let find = |name: &String| found.door_by_name(name).map(|door| door.id).ok_or(format!("there is no door `{name}`"));
    Ok(LockScope::Doors(doors.iter().map(find).collect::<Result<_, _>>()?))
}

/// A lock's registration and its certificate.
pub struct IssuedLock {
    /// Its id.
    pub lock: LockId,
    /// Its certificate and key.
    pub issued: Issued,
}

/// Registers a lock and makes its certificate, with a key of its own.
pub fn issue_lock(
    engine: &Engine,
    authority: &Authority,
    portfolio: PortfolioId,
    name: &str,
    scope: LockScope,
    now: Moment,
) -> Result<IssuedLock, IssueError> {
    let done = engine.run(portfolio, Actor::Administrator, Command::MakeLock { name: name.to_owned(), scope })?;
    let lock = done
        .causes
        .iter()
        .find_map(|cause| match cause {
            Cause::LockPut(lock) => Some(lock.id),
            _ => None,
        })
        .unwrap_or_default();
    let issued = authority.issue(&Principal::Lock { portfolio, lock }, Validity::lock(now), &Subject::Fresh)?;
    Ok(IssuedLock { lock, issued })
}

/// Makes an operator's certificate, with a key of its own. Whoever manages something gets one: it says who they are, and
/// what they may is asked at each request.
pub fn issue_operator(
    directory: &Directory,
    authority: &Authority,
    portfolio: PortfolioId,
    email: &str,
    now: Moment,
) -> Result<Issued, IssueError> {
    let person = find_manager(directory, portfolio, email)?;
    Ok(authority.issue(&Principal::Operator { portfolio, person }, Validity::operator(now), &Subject::Fresh)?)
}

fn find_manager(directory: &Directory, portfolio: PortfolioId, email: &str) -> Result<PersonId, Refusal> {
    let found = directory.portfolios.get(&portfolio);
    let person = found.and_then(|portfolio| portfolio.person_by_email(email));
    let person = person.ok_or_else(|| Refusal::NotFound(format!("person `{email}`")))?;
    let manages = found.is_some_and(|portfolio| permission::is_manager(portfolio, person.id));
    manages.then_some(person.id).ok_or_else(|| Refusal::NotPermitted("being a manager of a property".to_owned()))
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The rules.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// A key of the process for the index's hashes, so that nobody can choose credentials that fall together.
fn hash_key() -> (u64, u64) {
    let mut bytes = Zeroizing::new([0_u8; 16]);
    getrandom::fill(&mut *bytes).expect("the system gives random bytes; it gave the vault's, too");
    let number = u128::from_le_bytes(*bytes);
    ((number >> 64) as u64, number as u64)
}

#[cfg(test)]
mod tests;
