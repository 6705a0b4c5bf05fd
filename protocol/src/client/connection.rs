//! A connection to a server.

use core::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use std::sync::Arc;

use quinn::{
    ClientConfig, Endpoint, IdleTimeout, RecvStream, SendStream, TransportConfig, VarInt,
    crypto::rustls::QuicClientConfig,
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use super::{
    BatchAnswer, CheckAnswer, CheckStream, ClientError, ClientIdentity, IdentityError, client_tls, shared::Shared,
};
use crate::{
    code::Credential,
    codec::{Status, StreamKind, close},
    id::DoorId,
    limits::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX},
    message::check::{Check, Outcome},
};

/// A connection on which nothing is heard for so long is gone.
const IDLE: Duration = Duration::from_secs(30);
/// Well inside [`IDLE`], so that a quiet lock stays connected.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// What the server may have in flight to us.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// A connection to a server. Cheap to clone; closed when the last clone and everything that came from it is dropped.
#[derive(Clone)]
pub struct Connection {
    quic: quinn::Connection,
    // Kept so that the socket lives as long as the connection.
    _endpoint: Endpoint,
    checks: Arc<Mutex<Option<Shared>>>,
    deadline: Duration,
}

/// What a subscription sees.
pub struct Watching {
    receive: RecvStream,
    // The bytes of the payload that has begun, and its length's: kept here so that `next` may be dropped.
    pending: Vec<u8>,
}

impl Connection {
    /// Connects. `deadline` is how long this and each later wait for an answer may take.
    ///
    /// A server that refuses the certificate may say so only after this has succeeded: the first answer then is
    /// [`ClientError::Refused`].
    pub async fn connect(
        address: SocketAddr,
        identity: &ClientIdentity,
        deadline: Duration,
    ) -> Result<Connection, ClientError> {
        Connection::connect_hearing(address, identity, deadline, KEEP_ALIVE).await
    }

    /// Connects, and has the server say something at least every `hear_every`: for who wants to know soon that it is gone
    /// without a word, by [`Connection::until_silent`].
    pub async fn connect_hearing(
        address: SocketAddr,
        identity: &ClientIdentity,
        deadline: Duration,
        hear_every: Duration,
    ) -> Result<Connection, ClientError> {
        let (tls, name) = (client_tls(identity)?, identity.server_name());
        let (quic, endpoint) = dial(address, tls, &name, deadline, hear_every).await?;
        Ok(Connection { quic, _endpoint: endpoint, checks: Arc::default(), deadline })
    }

    /// May what is shown open this door now? Anything but a whole answer in time is a denial.
    ///
    /// All tasks share one stream, and don't wait for each other's answers.
    pub async fn check(&self, door: DoorId, credential: Credential) -> CheckAnswer {
        let batch = self.check_batch(&[Check { door, credential }]).await;
        let outcome = batch.outcomes.first().copied().unwrap_or_default();
        CheckAnswer { outcome, revision: batch.revision, error: batch.error }
    }

    /// Asks 1 to 1,024 checks in one frame.
    pub async fn check_batch(&self, checks: &[Check]) -> BatchAnswer {
        self.check_batch_at(checks, 0).await
    }

    /// Like [`Connection::check_batch`], judged at no older a revision than `minimum_revision` (U4).
    pub async fn check_batch_at(&self, checks: &[Check], minimum_revision: u64) -> BatchAnswer {
        let asked = timeout(self.deadline, self.ask(checks, minimum_revision)).await;
        match asked.unwrap_or(Err(ClientError::TimedOut)) {
            Ok((outcomes, revision)) => BatchAnswer { outcomes, revision, error: None },
            Err(error) => {
                BatchAnswer { outcomes: vec![Outcome::Denied; checks.len()], revision: 0, error: Some(error) }
            }
        }
    }

    async fn ask(&self, checks: &[Check], minimum_revision: u64) -> Result<(Vec<Outcome>, u64), ClientError> {
        let answers = self.shared().await?.ask(checks, minimum_revision).await?;
        Ok((answers.outcomes(checks.len()), answers.revision))
    }

    /// The shared stream; a new one where the last has ended.
    async fn shared(&self) -> Result<Shared, ClientError> {
        let mut checks = self.checks.lock().await;
        match &*checks {
            Some(shared) if !shared.failed() => Ok(shared.clone()),
            _ => Ok(checks.insert(Shared::new(self.check_stream().await?)).clone()),
        }
    }

    /// Opens a check stream of one's own, with many frames in flight.
    pub async fn check_stream(&self) -> Result<CheckStream, ClientError> {
        let (send, receive) = self.open(StreamKind::Check).await?;
        Ok(CheckStream::new(send, receive))
    }

    /// Sends a management request and returns its answer. An error leaves open whether the request was carried out.
    pub async fn request(&self, payload: &[u8]) -> Result<Vec<u8>, ClientError> {
        self.request_within(payload, self.deadline).await
    }

    /// Like [`Connection::request`], for requests that may take longer than the connection's deadline.
    pub async fn request_within(&self, payload: &[u8], deadline: Duration) -> Result<Vec<u8>, ClientError> {
        let exchange = async {
            let mut receive = self.begin(StreamKind::Manage, payload).await?;
            let answer = read_payload(&mut receive, RESPONSE_BYTES_MAX).await?;
            Ok(answer)
        };
        timeout(deadline, exchange).await.unwrap_or(Err(ClientError::TimedOut))
    }

    /// Subscribes to a live view.
    pub async fn watch(&self, payload: &[u8]) -> Result<Watching, ClientError> {
        let begun = timeout(self.deadline, self.begin(StreamKind::Watch, payload)).await;
        let receive = begun.unwrap_or(Err(ClientError::TimedOut))?;
        Ok(Watching { receive, pending: Vec::new() })
    }

    /// Why the connection is over; `None` while it is not.
    pub fn closed(&self) -> Option<ClientError> {
        self.quic.close_reason().map(ClientError::from)
    }

    /// Resolves when the connection is over, and says why.
    pub async fn until_closed(&self) -> ClientError {
        self.quic.closed().await.into()
    }

    /// Resolves when nothing at all was heard of the server for so long, acknowledgements neither: a server that takes long
    /// for an answer is heard all the same.
    pub async fn until_silent(&self, longest: Duration) {
        let heard = || self.quic.stats().udp_rx.datagrams;
        let (mut last, mut since) = (heard(), Instant::now());
        while since.elapsed() < longest {
            sleep(longest / 8).await;
            if heard() != last {
                (last, since) = (heard(), Instant::now());
            }
        }
    }

    /// How long a packet and its acknowledgement take at present, as QUIC measures it.
    pub fn round_trip(&self) -> Duration {
        self.quic.rtt()
    }

    /// Closes the connection. What was asked and not answered counts as denied.
    pub fn close(&self) {
        self.quic.close(close::DONE.into(), b"");
    }

    async fn open(&self, kind: StreamKind) -> Result<(SendStream, RecvStream), ClientError> {
        let opened = async {
            let (mut send, receive) = self.quic.open_bi().await?;
            send.write_all(&[kind as u8]).await?;
            Ok((send, receive))
        };
        timeout(self.deadline, opened).await.unwrap_or(Err(ClientError::TimedOut))
    }

    /// Sends a request and reads the status of its answer.
    async fn begin(&self, kind: StreamKind, payload: &[u8]) -> Result<RecvStream, ClientError> {
        let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= REQUEST_BYTES_MAX);
        let length = length.ok_or(ClientError::TooLarge(payload.len()))?;
        let (mut send, mut receive) = self.open(kind).await?;
        // A server that refuses stops reading: then its answer, and not our failed write, says why.
        let written = async {
            send.write_all(&length.to_le_bytes()).await?;
            send.write_all(payload).await
        };
        let written = written.await;
        let _ = send.finish();
        let mut status = [0];
        match receive.read_exact(&mut status).await {
            Ok(()) => {}
            Err(error) => return Err(written.err().map_or_else(|| error.into(), ClientError::from)),
        }
        let [status] = status;
        match Status::from_u8(status) {
            Some(Status::Accepted) => Ok(receive),
            Some(Status::ShuttingDown) => Err(ClientError::ShuttingDown),
            Some(status) => {
                let message = read_payload(&mut receive, REQUEST_BYTES_MAX).await?;
                Err(ClientError::Rejected { status, message: String::from_utf8_lossy(&message).into_owned() })
            }
            None => Err(ClientError::Malformed("unknown status")),
        }
    }
}

impl Watching {
    /// The next payload; `None` when the server has ended the view. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            let length = self.pending.first_chunk().map(|length| payload_length(*length, RESPONSE_BYTES_MAX));
            let length = length.transpose()?;
            let wanted = 4 + length.unwrap_or(0);
            if length.is_some() && self.pending.len() == wanted {
                let payload = self.pending.split_off(4);
                self.pending.clear();
                return Ok(Some(payload));
            }
            match self.receive.read_chunk(wanted - self.pending.len(), true).await? {
                Some(chunk) => self.pending.extend_from_slice(&chunk.bytes),
                None if self.pending.is_empty() => return Ok(None),
                None => return Err(ClientError::Short),
            }
        }
    }
}

/// Connects with these TLS settings to a server of this name.
pub(super) async fn dial(
    address: SocketAddr,
    tls: rustls::ClientConfig,
    name: &str,
    deadline: Duration,
    keep_alive: Duration,
) -> Result<(quinn::Connection, Endpoint), ClientError> {
    let crypto = QuicClientConfig::try_from(tls);
    let crypto = crypto.map_err(|error| IdentityError::Certificate(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport(keep_alive)));
    let local = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let endpoint = Endpoint::client(local).map_err(|error| ClientError::Unreachable(error.to_string()))?;
    let connecting = endpoint.connect_with(config, address, name)?;
    let quic = timeout(deadline, connecting).await.map_err(|_| ClientError::TimedOut)??;
    Ok((quic, endpoint))
}

fn payload_length(bytes: [u8; 4], bytes_max: usize) -> Result<usize, ClientError> {
    let length = usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    if length > bytes_max { Err(ClientError::TooLarge(length)) } else { Ok(length) }
}

pub(super) async fn read_payload(receive: &mut RecvStream, bytes_max: usize) -> Result<Vec<u8>, ClientError> {
    let mut length = [0; 4];
    receive.read_exact(&mut length).await?;
    let length = payload_length(length, bytes_max)?;
    let mut payload = Vec::new();
    while payload.len() < length {
        let chunk = receive.read_chunk(length - payload.len(), true).await?;
        payload.extend_from_slice(&chunk.ok_or(ClientError::Short)?.bytes);
    }
    Ok(payload)
}

fn transport(keep_alive: Duration) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(STREAM_WINDOW_BYTES.into())
        .receive_window(CONNECTION_WINDOW_BYTES.into())
        .max_idle_timeout(Some(IdleTimeout::try_from(IDLE).expect("30 s fit QUIC's idle timeout")))
        .keep_alive_interval(Some(keep_alive))
        .datagram_receive_buffer_size(None);
    transport
}
