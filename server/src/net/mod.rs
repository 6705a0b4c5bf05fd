//! QUIC: locks and operators connect, checks are judged, requests are answered, views are fed.
//!
//! This module carries bytes. What they mean is somebody else's: [`Judge`] judges checks, [`Manage`] answers
//! requests, [`Watch`] feeds live views, [`Directory`] says who may be here at all. A principal is fixed by the
//! certificate (U3); nothing that a peer sends can change it.
//!
//! Every wait has an end: handshakes, frames and requests that were begun, answers that nobody takes, shutting down.

mod activity;
mod check;
mod connection;
mod endpoint;
mod io;
mod join;
mod manage;
mod watch;

use core::{net::SocketAddr, pin::Pin, time::Duration};
use std::sync::Arc;

pub use activity::Activity;
pub use connection::Connected;
pub use endpoint::{BindError, Handle, Listener};
pub use join::Join;
use keyward_protocol::{frame::Batch, id::IdentityId, message::check::AnswerWriter};
use tokio::sync::mpsc;

use crate::identity::{Principal, Proof};

/// A future that is boxed, so that hooks can be trait objects where speed is not the point.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who is connected, as [`Directory::admit`] resolved it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Who they proved to be.
    pub principal: Principal,
    /// By which of their keys; none outside a connection.
    pub identity: IdentityId,
    /// Whether answers may carry reasons and Keys: managers and load tests, never locks.
    pub details: bool,
    /// Whether the connection may have more bytes in flight ([`Limits::bulk_window_bytes`]).
    pub bulk: bool,
    /// Where they connected from; unknown outside a connection.
    pub address: Option<SocketAddr>,
}

impl Peer {
    /// The usual terms: operators get details, nobody gets the larger window.
    pub fn new(principal: Principal) -> Peer {
        let details = matches!(principal, Principal::Operator { .. });
        Peer { principal, identity: IdentityId::NONE, details, bulk: false, address: None }
    }
}

/// Judges checks.
pub trait Judge: Send + Sync + 'static {
    /// Resolves when the answers may be written, and says how. It is polled in place, so it must be [`Unpin`]:
    /// [`core::future::Ready`] where nothing is waited for, a counter that a flush moves, a oneshot receiver.
    type Ticket: Future<Output = Settled> + Unpin + Send + 'static;

    /// Judges every check of `batch`, which is all that came in one wake-up, in order: for each frame
    /// [`AnswerWriter::begin`], then one answer a check. What is left out is denied.
    ///
    /// Runs between two reads of the stream, so it may not wait; the ring of the access log is the one exception,
    /// and holding up the stream is then what is wanted. Reading goes on while the ticket is open.
    fn judge(&self, who: &Peer, batch: &Batch<'_>, answers: &mut AnswerWriter) -> Self::Ticket;
}

/// What becomes of a batch's answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// They are written as they are.
    Answer,
    /// They are all written as denials: their records could not be kept.
    Deny,
    /// They are not written, and the stream is cut off, which who asked takes for denials.
    Drop,
}

/// Answers management requests.
pub trait Manage: Send + Sync + 'static {
    /// The answer to one request of an operator. Refusals are answers, too. It is finished even when the peer goes
    /// away meanwhile; only a shutdown that took too long drops it.
    fn request<'a>(&'a self, who: &'a Peer, payload: Vec<u8>) -> Later<'a, Vec<u8>>;
}

/// Feeds live views.
pub trait Watch: Send + Sync + 'static {
    /// What an operator may watch by this request, or a text that says why they may not.
    fn subscribe(&self, who: &Peer, payload: Vec<u8>) -> Result<Box<dyn Feed>, String>;
}

/// What one live view gets.
pub trait Feed: Send {
    /// The next payload; `None` at the end. Asked for again only when the one before was taken by the peer, so a slow
    /// one is for the feed to see: it counts what it leaves out (L6). May be dropped and called again without loss.
    fn next(&mut self) -> Later<'_, Option<Vec<u8>>>;
}

impl Feed for mpsc::Receiver<Vec<u8>> {
    fn next(&mut self) -> Later<'_, Option<Vec<u8>>> {
        Box::pin(self.recv())
    }
}

/// Knows who may connect.
pub trait Directory: Send + Sync + 'static {
    /// The peer that whoever proves this is; or why there is none and what to do, which they are told.
    ///
    /// Whoever disables one first makes this say so and then calls [`Handle::disconnect`]: no connection slips
    /// through between the two, because a connection is listed before it is admitted.
    fn admit(&self, proof: &Proof) -> Result<Peer, &'static str>;
}

/// Everything that the network asks.
pub struct Hooks<J> {
    /// Judges checks.
    pub judge: J,
    /// Answers requests.
    pub manage: Arc<dyn Manage>,
    /// Feeds live views.
    pub watch: Arc<dyn Watch>,
    /// Says who may be here.
    pub directory: Arc<dyn Directory>,
    /// Lets keys join, and renews their certificates.
    pub join: Arc<dyn Join>,
}

/// Where to listen, and within which limits.
pub struct Config {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// From [`crate::identity::Authority::server_tls`].
    pub tls: rustls::ServerConfig,
    /// Limits.
    pub limits: Limits,
}

/// The network's limits. The defaults are for thousands of locks that are mostly idle.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections_max: usize,
    /// Streams that a peer may have open at a time.
    pub streams_max: u32,
    /// Bytes in flight on one stream. QUIC fixes it before anybody knows who connects, so it is the same for all.
    pub stream_window_bytes: u32,
    /// Bytes in flight on one connection.
    pub connection_window_bytes: u32,
    /// The same for peers that are [`Peer::bulk`].
    pub bulk_window_bytes: u32,
    /// Batches of one stream that may wait for their tickets; past it the stream is not read.
    pub batches_max: usize,
    /// Requests and subscriptions of one connection in work at a time.
    pub requests_max: usize,
    /// A connection on which nothing is heard for so long is gone.
    pub idle: Duration,
    /// A handshake takes at most so long.
    pub handshake: Duration,
    /// Handshakes that wait to be taken up, and handshakes in work; past either, newcomers are refused.
    pub incoming_max: usize,
    /// Who join or renew at a time; the next ones are told to try again.
    pub joins_max: usize,
    /// With more handshakes than this in work, newcomers must first show that their address is theirs.
    pub handshakes_before_retry: usize,
    /// A frame that was begun must be whole after so long, answers must be taken, a request's beginning must be here.
    pub pace: Duration,
    /// Shutting down takes at most so long before what is left is cut off.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 50_000,
            streams_max: 64,
            stream_window_bytes: 16 << 10,
            connection_window_bytes: 256 << 10,
            bulk_window_bytes: 2 << 20,
            batches_max: 64,
            requests_max: 16,
            idle: Duration::from_secs(30),
            handshake: Duration::from_secs(5),
            incoming_max: 4_096,
            joins_max: 64,
            handshakes_before_retry: 256,
            pace: Duration::from_secs(2),
            drain: Duration::from_secs(5),
        }
    }
}

/// Listens and serves until `shutdown` resolves; `bound` is told the address. See [`Listener`] for the pieces.
pub async fn serve<J: Judge>(
    config: Config,
    hooks: Hooks<J>,
    shutdown: impl Future<Output = ()>,
    bound: impl FnOnce(SocketAddr, Handle),
) -> Result<(), BindError> {
    let listener = Listener::bind(config)?;
    bound(listener.local_address(), listener.handle());
    listener.serve(hooks, shutdown).await;
    Ok(())
}

#[cfg(test)]
mod tests;
