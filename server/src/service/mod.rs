//! A running server: the engine, the access log and the network, put together and shut down in order.

mod administer;
mod admission;
pub mod audit;
mod cursor;
mod holder;
mod hooks;
mod identities;
mod join;
mod judge;
pub mod lockout;
mod manage;
mod past;
mod portfolios;
mod tasks;
mod watch;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use keyward_protocol::{
    id::{LockId, PortfolioId},
    time::Moment,
};
use zeroize::Zeroizing;

pub use administer::{Administrator, administer};
pub use join::{Pass, join_here};
pub use judge::Judge;
use portfolios::Portfolios;

use crate::{
    access_log::{self, AccessLog},
    clock::{self, Clock},
    control,
    domain::{
        command::Command,
        decide::Refusal,
        directory::{LockScope, Party},
        event::{Actor, Cause},
        site::Site,
    },
    engine::{Books, Engine, Keeper, Layout, Medium, OpenReport, Publisher, Running, StartError},
    identity::{Authority, AuthorityError},
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
    authority: Arc<ArcSwap<Authority>>,
    listener: Listener,
    judge: Judge,
    clock: Clock,
    control: Option<control::Socket>,
    report: OpenReport,
    journal: PathBuf,
    secrets: PathBuf,
}

/// Reaches into a running server from the same process.
#[derive(Clone)]
pub struct Inside {
    /// The writer.
    pub engine: Engine,
    /// The access log.
    pub log: AccessLog,
    /// What signs certificates.
    pub authority: Arc<ArcSwap<Authority>>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its connections.
    pub connections: net::Handle,
}

impl Inside {
    /// Lets a fresh key join as this party, here in the process.
    pub fn join(&self, portfolio: PortfolioId, party: Party) -> Result<Pass, Refusal> {
        join::join_here(&self.engine, &self.authority.load(), portfolio, party, clock::now())
    }

    /// Registers a lock and lets a fresh key join as it.
    pub fn join_lock(&self, portfolio: PortfolioId, name: &str, scope: LockScope) -> Result<(LockId, Pass), Refusal> {
        let command = Command::MakeLock { name: name.to_owned(), scope };
        let done = self.engine.run(portfolio, Actor::Administrator, command)?;
        let made = |cause: &Cause| if let Cause::LockPut(lock) = cause { Some(lock.id) } else { None };
        let lock = done.causes.iter().find_map(made).unwrap_or_default();
        Ok((lock, self.join(portfolio, Party::Lock(lock))?))
    }
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
        let authority = Authority::open_at(&medium.disk, layout.secrets())?;
        let tls = authority.server_tls(now)?;
        let authority = Arc::new(ArcSwap::from_pointee(authority));
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
            secrets: layout.secrets().to_owned(),
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
        let connections = self.listener.handle();
        let sweep = admission::sweep(self.engine.clone(), connections.clone(), Arc::clone(&self.clock));
        let sweep = tokio::spawn(sweep);
        let (engine, authority, clock) = (self.engine.clone(), Arc::clone(&self.authority), Arc::clone(&self.clock));
        let opened = (self.log.clone(), self.journal, connections.clone());
        let hooks = hooks::hooks(engine, opened, authority, self.clock, self.judge);
        let administrator = Administrator {
            engine: self.engine,
            authority: self.authority,
            secrets: self.secrets,
            address: Some(self.listener.local_address()),
            connections: Some(connections),
            clock,
        };
        let answerer: control::Answerer = Arc::new(move |request| administer(&administrator, request));
        let control = self.control.map(|socket| tokio::spawn(socket.serve(answerer)));
        self.listener.serve(hooks, shutdown).await;
        alarm.abort();
        sweep.abort();
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

/// A key of the process for the index's hashes, so that nobody can choose credentials that fall together.
fn hash_key() -> (u64, u64) {
    let mut bytes = Zeroizing::new([0_u8; 16]);
    getrandom::fill(&mut *bytes).expect("the system gives random bytes; it gave the vault's, too");
    let number = u128::from_le_bytes(*bytes);
    ((number >> 64) as u64, number as u64)
}

#[cfg(test)]
mod tests;
