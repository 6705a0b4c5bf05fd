//! The endpoint: listening, taking connections up, shutting down in order.

use core::net::SocketAddr;
use std::{collections::HashMap, io, sync::Arc};

use keyward_protocol::{codec::close, entry::Sha256, time::Moment};
use quinn::{Endpoint, IdleTimeout, Incoming, ServerConfig, TransportConfig, VarInt, crypto::rustls::QuicServerConfig};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::{
    Activity, Config, Hooks, Judge, Limits,
    connection::{self, Connected, Connections, Stopping},
};
use crate::identity::Proof;

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken, or is not this machine's.
    #[error("can't listen on `{address}`: {source}: {}", cure(source))]
    Address {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The TLS settings can't carry QUIC.
    #[error("the TLS settings can't carry QUIC: {0}")]
    Tls(String),
    /// A limit is larger than QUIC can say.
    #[error("the limit `{0}` is out of range")]
    Limit(&'static str),
}

/// What to do when an address can't be had.
fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program, or another keyward-server, listens there: stop it, or choose another port with --listen"
        }
        io::ErrorKind::AddrNotAvailable => "the address is not this machine's: give one that is, or 0.0.0.0",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose a higher one with --listen",
        _ => "choose another address with --listen",
    }
}

/// A bound endpoint that does not serve yet.
pub struct Listener {
    endpoint: Endpoint,
    address: SocketAddr,
    connections: Arc<Connections>,
    limits: Limits,
}

/// Reaches into a running server.
#[derive(Clone)]
pub struct Handle {
    connections: Arc<Connections>,
    endpoint: Endpoint,
    limits: Limits,
}

impl Handle {
    /// Closes at once every connection that `why` says a reason for; says how many there were.
    pub fn disconnect(&self, why: impl Fn(&Proof) -> Option<&'static str>) -> usize {
        self.connections.disconnect(why)
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    /// The connections that there are.
    pub fn connected(&self) -> Vec<Connected> {
        self.connections.all()
    }

    /// What each key that was connected has asked since the server started.
    pub fn activities(&self, now: Moment) -> HashMap<Sha256, Activity> {
        self.connections.activities.told(now)
    }

    /// Has handshakes that begin from now on speak with these settings. Connections that stand go on.
    pub fn set_tls(&self, tls: rustls::ServerConfig) -> Result<(), BindError> {
        self.endpoint.set_server_config(Some(server_config(tls, &self.limits)?));
        Ok(())
    }
}

impl Listener {
    /// Binds the address. Must be called inside a tokio runtime.
    pub fn bind(config: Config) -> Result<Listener, BindError> {
        let Config { address, tls, limits } = config;
        let server = server_config(tls, &limits)?;
        let failed = |source| BindError::Address { address, source };
        let endpoint = Endpoint::server(server, address).map_err(failed)?;
        let address = endpoint.local_addr().map_err(failed)?;
        Ok(Listener { endpoint, address, connections: Arc::new(Connections::new(&limits)), limits })
    }

    /// The address, with the port that was really taken.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// A handle that outlives serving.
    pub fn handle(&self) -> Handle {
        Handle { connections: self.connections.clone(), endpoint: self.endpoint.clone(), limits: self.limits }
    }

    /// Serves until `shutdown` resolves, then stops taking connections, finishes the frames and requests in hand,
    /// closes each connection with a reason, and returns when the peers have heard of it.
    pub async fn serve<J: Judge>(self, hooks: Hooks<J>, shutdown: impl Future<Output = ()>) {
        let hooks = Arc::new(hooks);
        let (stop, stopping) = watch::channel(false);
        // Each handshake in work holds a clone: the count of them is what is in work.
        let handshakes = Arc::new(());
        let mut tasks = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
                incoming = self.endpoint.accept() => {
                    let Some(incoming) = incoming else { break };
                    let in_work = Arc::strong_count(&handshakes) - 1;
                    let Some(incoming) = self.screen(incoming, in_work) else { continue };
                    let handshake = handshakes.clone();
                    let (hooks, connections) = (hooks.clone(), self.connections.clone());
                    let (stopping, limits) = (Stopping::new(stopping.clone()), self.limits);
                    tasks.spawn(async move {
                        let Ok(connecting) = incoming.accept() else { return };
                        let Ok(Ok(connection)) = timeout(limits.handshake, connecting).await else { return };
                        drop(handshake);
                        connection::serve(connection, hooks, connections, stopping, limits).await;
                    });
                }
            }
        }
        stop.send_replace(true);
        self.drain(tasks).await;
    }

    /// Whether to go on with a newcomer. Under a flood, who can't show that their address is theirs is asked to.
    fn screen(&self, incoming: Incoming, in_work: usize) -> Option<Incoming> {
        if self.endpoint.open_connections() >= self.limits.connections_max || in_work >= self.limits.incoming_max {
            tracing::debug!(address = %incoming.remote_address(), "refused: too many connections");
            incoming.refuse();
            return None;
        }
        if in_work >= self.limits.handshakes_before_retry && incoming.may_retry() {
            return incoming.retry().err().map(quinn::RetryError::into_incoming);
        }
        Some(incoming)
    }

    async fn drain(self, mut tasks: JoinSet<()>) {
        let finished = async {
            loop {
                tokio::select! {
                    finished = tasks.join_next() => if finished.is_none() { break },
                    // Newcomers hear at once that they should go elsewhere.
                    Some(incoming) = self.endpoint.accept() => incoming.refuse(),
                }
            }
        };
        // The connections keep to the drain time themselves; a handshake in work has its own.
        let _ = timeout(self.limits.drain + self.limits.handshake, finished).await;
        self.endpoint.close(close::SHUTTING_DOWN.into(), b"the server is going away");
        let _ = timeout(self.limits.pace, self.endpoint.wait_idle()).await;
    }
}

fn server_config(tls: rustls::ServerConfig, limits: &Limits) -> Result<ServerConfig, BindError> {
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| BindError::Tls(error.to_string()))?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server.transport_config(Arc::new(transport(limits)?)).max_incoming(limits.incoming_max);
    Ok(server)
}

fn transport(limits: &Limits) -> Result<TransportConfig, BindError> {
    let idle = IdleTimeout::try_from(limits.idle).map_err(|_| BindError::Limit("idle"))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(limits.streams_max.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(limits.stream_window_bytes.into())
        .receive_window(limits.connection_window_bytes.into())
        .send_window(limits.bulk_window_bytes.into())
        .max_idle_timeout(Some(idle))
        .datagram_receive_buffer_size(None);
    Ok(transport)
}
