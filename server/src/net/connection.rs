//! One connection: who it is, and its streams.

use core::time::Duration;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use keyward_protocol::codec::{Status, StreamKind, close};
use quinn::{Connection, RecvStream, SendStream};
use rustls::pki_types::CertificateDer;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use super::{Hooks, Judge, Limits, Peer, check, io, manage, watch as live};
use crate::identity::Principal;

/// The open connections by principal, so that disabling one closes them. Touched when connections come and go only.
#[derive(Default)]
pub(super) struct Connections {
    open: Mutex<HashMap<Principal, Vec<Connection>>>,
}

impl Connections {
    fn change<T>(&self, change: impl FnOnce(&mut HashMap<Principal, Vec<Connection>>) -> T) -> T {
        // Each change leaves the map whole, so a panic elsewhere does not spoil it.
        change(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, principal: Principal, connection: Connection) {
        self.change(|open| open.entry(principal).or_default().push(connection));
    }

    fn remove(&self, principal: Principal, connection: &Connection) {
        self.change(|open| {
            let Some(others) = open.get_mut(&principal) else { return };
            others.retain(|other| other.stable_id() != connection.stable_id());
            if others.is_empty() {
                open.remove(&principal);
            }
        });
    }

    /// Closes every connection of `principal`; says how many there were.
    pub(super) fn disconnect(&self, principal: &Principal) -> usize {
        let connections = self.change(|open| open.remove(principal)).unwrap_or_default();
        connections.iter().for_each(|open| open.close(close::DISABLED.into(), b"this identity is disabled"));
        connections.len()
    }

    /// How many connections there are.
    pub(super) fn count(&self) -> usize {
        self.change(|open| open.values().map(Vec::len).sum())
    }
}

/// Says when the server is going away.
#[derive(Clone)]
pub(super) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    pub(super) fn new(receiver: watch::Receiver<bool>) -> Stopping {
        Stopping(receiver)
    }

    /// Resolves when the server is going away.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut receiver = self.0.clone();
        async move {
            // An error says that whoever could stop us is gone, which is the same to us.
            let _ = receiver.wait_for(|stopping| *stopping).await;
        }
    }

    /// When the server is going away, the connection closes next, and that would lose bytes on their way: waits
    /// until the peer has them.
    pub(super) async fn delivered(&self, send: &SendStream, pace: Duration) {
        if *self.0.borrow() {
            let _ = timeout(pace, send.stopped()).await;
        }
    }
}

/// Serves a connection whose handshake is done, until either side closes it.
pub(super) async fn serve<J: Judge>(
    connection: Connection,
    hooks: Arc<Hooks<J>>,
    connections: Arc<Connections>,
    server_stopping: Stopping,
    limits: Limits,
) {
    let Some(principal) = principal(&connection) else {
        return connection.close(close::REFUSED.into(), b"the certificate names no lock and no operator");
    };
    // Listed first, admitted second: whoever disables the principal meanwhile finds the connection in the list.
    connections.add(principal, connection.clone());
    let address = connection.remote_address();
    match hooks.directory.admit(&principal) {
        Some(peer) => {
            let peer = Peer { address: Some(address), ..peer };
            tracing::debug!(%principal, %address, "connected");
            serve_streams(&connection, peer, hooks, server_stopping, limits).await;
            tracing::debug!(%principal, %address, reason = ?connection.close_reason(), "disconnected");
        }
        None => {
            tracing::info!(%principal, %address, "refused: unknown or disabled");
            connection.close(close::REFUSED.into(), b"this identity is unknown or disabled");
        }
    }
    connections.remove(principal, &connection);
}

fn principal(connection: &Connection) -> Option<Principal> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    Principal::from_certificate(chain.first()?).ok()
}

async fn serve_streams<J: Judge>(
    connection: &Connection,
    peer: Peer,
    hooks: Arc<Hooks<J>>,
    server_stopping: Stopping,
    limits: Limits,
) {
    if peer.bulk {
        connection.set_receive_window(limits.bulk_window_bytes.into());
    }
    // A signal of the connection's own: streams of different connections share nothing while they work.
    let (stop, stopping) = watch::channel(false);
    let requests = Arc::new(Semaphore::new(limits.requests_max));
    let mut streams = JoinSet::new();
    let stopped = server_stopping.stopped();
    tokio::pin!(stopped);
    let going_away = loop {
        tokio::select! {
            accepted = connection.accept_bi() => match accepted {
                Ok((send, receive)) => {
                    let (hooks, stopping) = (hooks.clone(), Stopping::new(stopping.clone()));
                    let stream = Stream { send, receive, stopping, requests: requests.clone() };
                    streams.spawn(async move { stream.serve(&hooks, &peer, &limits).await });
                }
                Err(_) => break false,
            },
            Some(_) = streams.join_next(), if !streams.is_empty() => {}
            () = &mut stopped => break true,
        }
    };
    stop.send_replace(true);
    // What was begun is finished, even for a peer that is gone: a change half asked for would be worse.
    let finished = async { while streams.join_next().await.is_some() {} };
    let _ = timeout(limits.drain, finished).await;
    if going_away {
        connection.close(close::SHUTTING_DOWN.into(), b"the server is going away");
    }
    // A request that takes longer than draining goes on where nobody cuts it off.
    streams.detach_all();
}

struct Stream {
    send: SendStream,
    receive: RecvStream,
    stopping: Stopping,
    requests: Arc<Semaphore>,
}

impl Stream {
    async fn serve<J: Judge>(mut self, hooks: &Hooks<J>, who: &Peer, limits: &Limits) {
        let mut kind = [0];
        let read = timeout(limits.pace, self.receive.read_exact(&mut kind)).await;
        if !matches!(read, Ok(Ok(()))) {
            return self.cut_off(close::TOO_SLOW);
        }
        let [kind] = kind;
        match StreamKind::from_u8(kind) {
            Some(StreamKind::Check) => {
                check::serve(&hooks.judge, who, self.send, self.receive, self.stopping, limits).await;
            }
            Some(kind) => self.request(kind, hooks, who, limits).await,
            // Later versions may know it; the connection and its other streams go on.
            None => self.cut_off(close::UNKNOWN_STREAM),
        }
    }

    async fn request<J: Judge>(mut self, kind: StreamKind, hooks: &Hooks<J>, who: &Peer, limits: &Limits) {
        let Ok(_permit) = self.requests.clone().try_acquire_owned() else {
            let why = "too many requests are in work on this connection: wait for their answers";
            return io::refuse(&mut self.send, Status::Busy, why, limits.pace).await;
        };
        let (send, receive) = (&mut self.send, &mut self.receive);
        match kind {
            StreamKind::Watch => live::serve(&*hooks.watch, who, send, receive, &self.stopping, limits).await,
            StreamKind::Manage | StreamKind::Check => {
                manage::serve(&*hooks.manage, who, send, receive, limits).await;
            }
        }
        self.stopping.delivered(&self.send, limits.pace).await;
    }

    fn cut_off(&mut self, code: u32) {
        let _ = self.send.reset(code.into());
        let _ = self.receive.stop(code.into());
    }
}
