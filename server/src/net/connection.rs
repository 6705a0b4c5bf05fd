//! One connection: who it is, and its streams.

use core::{net::SocketAddr, time::Duration};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use keyward_protocol::{
    codec::{JOIN_ALPN, Status, StreamKind, close},
    time::Moment,
};
use quinn::{Connection, RecvStream, SendStream, crypto::rustls::HandshakeData};
use rustls::pki_types::CertificateDer;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use super::{
    Hooks, Judge, Limits, Peer,
    activity::{Activities, Asked},
    check, io, join, manage, watch as live,
};
use crate::{
    clock,
    identity::{PrincipalError, Proof},
};

/// The open connections, so that disabling an identity closes its own. Touched when connections come and go only.
pub(super) struct Connections {
    open: Mutex<HashMap<usize, (Connected, Connection)>>,
    joins: Arc<Semaphore>,
    /// What each key has asked.
    pub(super) activities: Activities,
}

/// An open connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connected {
    /// Who.
    pub proof: Proof,
    /// Where from.
    pub address: SocketAddr,
    /// Since when, by the machine's clock.
    pub since: Moment,
}

impl Connections {
    pub(super) fn new(limits: &Limits) -> Connections {
        Connections {
            open: Mutex::default(),
            joins: Arc::new(Semaphore::new(limits.joins_max)),
            activities: Activities::default(),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<usize, (Connected, Connection)>) -> T) -> T {
        // Each change leaves the map whole, so a panic elsewhere does not spoil it.
        change(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, proof: Proof, connection: Connection) {
        let connected = Connected { proof, address: connection.remote_address(), since: clock::now() };
        self.change(|open| open.insert(connection.stable_id(), (connected, connection)));
    }

    fn remove(&self, connection: &Connection) {
        self.change(|open| open.remove(&connection.stable_id()));
    }

    /// Closes every connection that is told why to be over; says how many there were.
    pub(super) fn disconnect(&self, why: impl Fn(&Proof) -> Option<&'static str>) -> usize {
        let over = |(connected, connection): &(Connected, Connection)| {
            why(&connected.proof).map(|why| connection.close(close::DISABLED.into(), why.as_bytes()))
        };
        // They take themselves off the list as their tasks end.
        self.change(|open| open.values().filter_map(over).count())
    }

    /// Every open connection.
    pub(super) fn all(&self) -> Vec<Connected> {
        self.change(|open| open.values().map(|(connected, _)| *connected).collect())
    }

    /// How many connections there are.
    pub(super) fn count(&self) -> usize {
        self.change(|open| open.len())
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
    if speaks_joining(&connection) {
        let permit = connections.joins.clone().try_acquire_owned().ok();
        let join = permit.is_some().then_some(&*hooks.join);
        return join::serve(&connection, join, &limits).await;
    }
    let proof = match proof(&connection) {
        Some(Ok(proof)) => proof,
        Some(Err(_)) => return connection.close(close::REFUSED.into(), b"the certificate is none of ours: join anew"),
        None => return connection.close(close::REFUSED.into(), b"no certificate was shown: join with a token"),
    };
    // Listed first, admitted second: whoever disables the identity meanwhile finds the connection in the list.
    connections.add(proof, connection.clone());
    let (principal, address) = (proof.principal, connection.remote_address());
    match hooks.directory.admit(&proof) {
        Ok(peer) => {
            let peer = Peer { address: Some(address), ..peer };
            tracing::debug!(%principal, %address, "connected");
            let asked = connections.activities.of(proof.key);
            serve_streams(&connection, (peer, asked), hooks, server_stopping, limits).await;
            tracing::debug!(%principal, %address, reason = ?connection.close_reason(), "disconnected");
        }
        Err(why) => {
            tracing::info!(%principal, %address, why, "refused");
            connection.close(close::REFUSED.into(), why.as_bytes());
        }
    }
    connections.remove(&connection);
}

fn speaks_joining(connection: &Connection) -> bool {
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    data.and_then(|data| data.protocol).as_deref() == Some(JOIN_ALPN)
}

/// What the peer's certificate proves; `None` where none was shown.
fn proof(connection: &Connection) -> Option<Result<Proof, PrincipalError>> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    Some(Proof::from_certificate(chain.first()?))
}

async fn serve_streams<J: Judge>(
    connection: &Connection,
    (peer, asked): (Peer, Arc<Asked>),
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
                    let (requests, asked) = (requests.clone(), asked.clone());
                    let stream = Stream { send, receive, stopping, requests, asked };
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
    asked: Arc<Asked>,
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
                let Stream { send, receive, stopping, asked, .. } = self;
                check::serve(&hooks.judge, (who, &asked), (send, receive), stopping, limits).await;
            }
            Some(kind @ (StreamKind::Manage | StreamKind::Watch)) => self.request(kind, hooks, who, limits).await,
            // Later versions may know it; the connection and its other streams go on.
            Some(StreamKind::Join) | None => self.cut_off(close::UNKNOWN_STREAM),
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
            StreamKind::Manage | StreamKind::Check | StreamKind::Join => {
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
