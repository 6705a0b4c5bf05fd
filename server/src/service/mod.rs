//! A running server: the engine, the access log and the network, put together and shut down in order.

mod hooks;
mod judge;
mod manage;
mod watch;

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc};

use keyward_protocol::{
    id::{LockId, PersonId, PortfolioId},
    time::Moment,
};
use zeroize::Zeroizing;

pub use judge::Judge;

use crate::{
    access_log::{self, AccessLog},
    clock::Clock,
    domain::{
        command::Command,
        decide::Refusal,
        directory::{Directory, LockScope},
        event::{Actor, Cause},
        site::Site,
    },
    engine::{Books, Engine, Layout, OpenReport, Publisher, Running, StartError},
    identity::{Authority, AuthorityError, Issued, Principal, Subject, Validity},
    net::{self, Limits, Listener},
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
    report: OpenReport,
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
    let layout = Layout::new(data);
    Books::create(&layout, site, now)?;
    Ok(layout)
}

impl Server {
    /// Opens the books and the log and binds the address. Must be called inside a tokio runtime.
    pub fn bind(layout: &Layout, options: Options) -> Result<Server, ServeError> {
        let (books, report) = Books::open(layout)?;
        let now = (options.clock)();
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        let (log, opened) = AccessLog::open(&layout.log(), books.lineage(), options.mode, shards)?;
        for damage in &opened.damage {
            tracing::warn!(?damage, "a part of the access log can't be read");
        }
        let authority = Arc::new(Authority::open(layout.secrets())?);
        let tls = authority.server_tls(now)?;
        let listener = Listener::bind(net::Config { address: options.address, tls, limits: Limits::default() })?;
        let taggers: BTreeMap<PortfolioId, _> =
            books.directory().portfolios.keys().filter_map(|id| Some((*id, books.tagger(*id)?))).collect();
        let publisher = Publisher::new(&books, now, hash_key());
        let (engine, running) = Engine::start(books, publisher, Arc::clone(&options.clock));
        let producers = (0..shards).map(|shard| log.producer(shard)).collect();
        let clock = Arc::clone(&options.clock);
        let judge = Judge::new(engine.clone(), taggers, producers, options.mode, options.clock);
        Ok(Server { engine, running, log, authority, listener, judge, clock, report })
    }

    /// What was found when the books were opened.
    pub fn report(&self) -> &OpenReport {
        &self.report
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
        let hooks = hooks::hooks(self.engine.clone(), self.log.clone(), self.clock, self.judge);
        self.listener.serve(hooks, shutdown).await;
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

/// Makes an operator's certificate, with a key of its own. Only a Portfolio Manager gets one.
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
    let manages = found.is_some_and(|portfolio| portfolio.managers.contains(&person.id));
    manages.then_some(person.id).ok_or_else(|| Refusal::NotPermitted("being a Portfolio Manager".to_owned()))
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
