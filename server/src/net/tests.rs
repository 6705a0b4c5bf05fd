//! End to end over loopback, with toy hooks: what a mobile identity ends in is what it is answered with.

use core::future::ready;
use std::{
    collections::HashSet,
    sync::{Mutex, atomic::AtomicBool, atomic::Ordering},
};

use keyward_protocol::{
    client::{BatchAnswer, ClientError, ClientIdentity, Connection, client_tls},
    code::Credential,
    codec::{JOIN_ALPN, Question, Status, StreamKind, close, encode_question},
    decision::Reason,
    error::FrameError,
    frame::{FRAME_VERSION, FrameKind, Framer, Header},
    id::{DoorId, KeyId, LockId, PersonId, PortfolioId},
    limits::REQUEST_BYTES_MAX,
    message::check::{AnswersView, Check, DetailedAnswer, Outcome},
    time::Moment,
};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::pki_types::ServerName;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use super::*;
use crate::identity::{Authority, Subject, Validity};

const PATIENCE: Duration = Duration::from_secs(20);
/// This door is left out of the answers.
const FORGOTTEN: DoorId = DoorId(999);

/// Grants what ends in 1, and so on; a lock has the door of its own number only. Tickets wait for `gate` if there
/// is one.
struct Toy {
    gate: Mutex<Option<oneshot::Receiver<Settled>>>,
    batches: Arc<Mutex<Vec<usize>>>,
}

impl Judge for Toy {
    type Ticket = Later<'static, Settled>;

    fn judge(&self, who: &Peer, batch: &Batch<'_>, answers: &mut AnswerWriter) -> Self::Ticket {
        self.batches.lock().unwrap().push(batch.frame_count());
        for frame in batch.frames() {
            answers.begin(frame.header(), 7);
            for check in frame.checks().take_while(|check| check.door() != FORGOTTEN) {
                let outcome = match (check.credential(), who.principal) {
                    (_, Principal::Lock { lock, .. }) if check.door().0 != lock.0 => Outcome::Denied,
                    (Some(Credential::Mobile(identity)), _) => Outcome::from_u8((identity % 10) as u8),
                    _ => Outcome::Denied,
                };
                let reason = (outcome == Outcome::Denied).then_some(Reason::NoKey);
                let detail = DetailedAnswer { outcome, reason, key: KeyId(4), stands_until: Moment::MAX };
                answers.put_detailed(&detail);
            }
        }
        match self.gate.lock().unwrap().take() {
            Some(gate) => Box::pin(async { gate.await.unwrap_or(Settled::Drop) }),
            None => Box::pin(ready(Settled::Answer)),
        }
    }
}

/// Answers with what was asked; feeds one payload a byte of the subscription and then waits, if it ends in `+`.
struct Echo;

impl Manage for Echo {
    fn request<'a>(&'a self, _who: &'a Peer, payload: Vec<u8>) -> Later<'a, Vec<u8>> {
        Box::pin(ready(payload))
    }
}

impl Watch for Echo {
    fn subscribe(&self, _who: &Peer, payload: Vec<u8>) -> Result<Box<dyn Feed>, String> {
        if payload == b"secret" {
            return Err("you see no such door".to_owned());
        }
        Ok(Box::new(Bytes(payload)))
    }
}

struct Bytes(Vec<u8>);

impl Feed for Bytes {
    fn next(&mut self) -> Later<'_, Option<Vec<u8>>> {
        Box::pin(async {
            match self.0.as_slice() {
                [] => None,
                b"+" => core::future::pending().await,
                _ => Some(vec![self.0.remove(0); 1_000]),
            }
        })
    }
}

#[derive(Default)]
struct Disabled(Mutex<HashSet<Principal>>);

impl Directory for Disabled {
    fn admit(&self, proof: &Proof) -> Result<Peer, &'static str> {
        let disabled = self.0.lock().unwrap().contains(&proof.principal);
        if disabled { Err("this identity is disabled") } else { Ok(Peer::new(proof.principal)) }
    }
}

/// Nobody joins here but with an empty request, and is then answered with the challenge.
impl Join for Echo {
    fn join<'a>(&'a self, _: SocketAddr, challenge: &'a [u8; 32], payload: Vec<u8>) -> Later<'a, Vec<u8>> {
        Box::pin(ready(if payload.is_empty() { challenge.to_vec() } else { b"no".to_vec() }))
    }
}

struct Server {
    authority: Authority,
    address: SocketAddr,
    handle: Handle,
    disabled: Arc<Disabled>,
    batches: Arc<Mutex<Vec<usize>>>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

fn now() -> Moment {
    Moment::from_timestamp(jiff::Timestamp::now())
}

fn authority() -> Authority {
    let secrets = tempfile::tempdir().unwrap();
    Authority::create(&secrets.path().join("secrets"), "a1b2", now()).unwrap()
}

fn lock(number: u32) -> Principal {
    Principal::Lock { portfolio: PortfolioId(1), lock: LockId(number) }
}

fn operator() -> Principal {
    Principal::Operator { portfolio: PortfolioId(1), person: PersonId(5) }
}

fn identity(authority: &Authority, principal: Principal) -> ClientIdentity {
    let issued = authority.issue(&principal, Validity::operator(now()), &Subject::Fresh).unwrap();
    let key = issued.key_pem.unwrap();
    ClientIdentity::new(authority.certificate_pem(), issued.certificate_pem, key.as_str())
}

impl Server {
    fn start() -> Server {
        Server::start_with(None, Limits::default())
    }

    fn start_with(gate: Option<oneshot::Receiver<Settled>>, limits: Limits) -> Server {
        let authority = authority();
        let tls = authority.server_tls(now()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(Config { address, tls, limits }).unwrap();
        let (address, handle) = (listener.local_address(), listener.handle());
        assert_ne!(address.port(), 0);
        let (disabled, batches) = (Arc::<Disabled>::default(), Arc::<Mutex<Vec<usize>>>::default());
        let judge = Toy { gate: Mutex::new(gate), batches: batches.clone() };
        let hooks = Hooks {
            judge,
            manage: Arc::new(Echo),
            watch: Arc::new(Echo),
            directory: disabled.clone(),
            join: Arc::new(Echo),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(listener.serve(hooks, async { drop(stopped.await) }));
        Server { authority, address, handle, disabled, batches, stop, running }
    }

    async fn connect(&self, principal: Principal) -> Connection {
        self.connect_as(&identity(&self.authority, principal)).await.unwrap()
    }

    async fn connect_as(&self, identity: &ClientIdentity) -> Result<Connection, ClientError> {
        Connection::connect(self.address, identity, PATIENCE).await
    }

    /// A bare QUIC connection, for what the client would never send.
    async fn connect_raw(&self, tls: rustls::ClientConfig) -> Result<quinn::Connection, quinn::ConnectionError> {
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        endpoint.connect_with(config, self.address, "keyward-server").unwrap().await
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }
}

fn mobile(door: u32, identity: u64) -> Check {
    Check { door: DoorId(door), credential: Credential::Mobile(identity) }
}

fn outcome(identity: u64) -> Outcome {
    Outcome::from_u8((identity % 10) as u8)
}

fn denied(answer: BatchAnswer) -> ClientError {
    assert!(answer.outcomes.iter().all(|outcome| *outcome == Outcome::Denied));
    answer.error.expect("an error says why there is no answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_come_in_order_with_64_frames_in_flight() {
    let server = Server::start();
    let client = server.connect(operator()).await;
    let mut stream = client.check_stream().await.unwrap();
    let frame = |n: u64| (0..256).map(|i| mobile(1, n * 17 + i)).collect::<Vec<_>>();
    let sender = tokio::spawn(async move {
        for n in 0..64 {
            stream.sender.send(&frame(n), n % 2 == 1, 0).await.unwrap();
        }
        stream.sender
    });
    for n in 0..64 {
        let answers = stream.receiver.receive().await.unwrap().unwrap();
        assert_eq!((answers.request, answers.revision), (n + 1, 7));
        let wanted: Vec<Outcome> = (0..256).map(|i| outcome(n * 17 + i)).collect();
        assert_eq!(answers.outcomes(256), wanted);
        assert_eq!(answers.details().len(), if n % 2 == 1 { 256 } else { 0 });
    }
    sender.await.unwrap().finish();
    assert_eq!(stream.receiver.receive().await, Ok(None), "the stream ends in order");
    assert_eq!(server.batches.lock().unwrap().iter().sum::<usize>(), 64);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_a_connection() {
    let server = Server::start();
    let client = server.connect(operator()).await;
    let asked: Vec<_> = (0..64)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.check(DoorId(1), Credential::Mobile(n)).await })
        })
        .collect();
    for (n, answer) in asked.into_iter().enumerate() {
        let answer = answer.await.unwrap();
        assert_eq!((answer.outcome, answer.revision, answer.error), (outcome(n as u64), 7, None));
    }
    server.stop().await;
}

// U3
#[tokio::test]
async fn a_lock_is_who_its_certificate_says() {
    let server = Server::start();
    let client = server.connect(lock(17)).await;
    let answer = client.check_batch(&[mobile(17, 1), mobile(18, 1), mobile(17, 11)]).await;
    assert_eq!(answer.outcomes, [Outcome::Granted, Outcome::Denied, Outcome::Granted]);
    server.stop().await;
}

#[tokio::test]
async fn locks_are_told_no_reasons() {
    let server = Server::start();
    let mut stream = server.connect(lock(17)).await.check_stream().await.unwrap();
    stream.sender.send(&[mobile(17, 0)], true, 0).await.unwrap();
    let answers = stream.receiver.receive().await.unwrap().unwrap();
    assert_eq!((answers.outcomes(1), answers.details()), (vec![Outcome::Denied], &[][..]));
    server.stop().await;
}

// M10
#[tokio::test]
async fn a_lock_may_not_manage_or_watch_and_is_told_so() {
    let server = Server::start();
    let client = server.connect(lock(17)).await;
    let not_permitted = |error| matches!(error, ClientError::Rejected { status: Status::NotPermitted, .. });
    assert!(client.request(b"give me a Key").await.is_err_and(not_permitted));
    assert!(client.request(&vec![0; 1 << 20]).await.is_err_and(not_permitted));
    assert!(client.watch(b"doors").await.err().is_some_and(not_permitted));
    assert!(client.check(DoorId(17), Credential::Mobile(1)).await.opens(), "its checks go on");
    server.stop().await;
}

#[tokio::test]
async fn requests_are_answered() {
    let server = Server::start();
    let client = server.connect(operator()).await;
    for length in [0, 1, 100_000, REQUEST_BYTES_MAX] {
        let payload = vec![3; length];
        assert_eq!(client.request(&payload).await.unwrap(), payload);
    }
    let too_large = client.request(&vec![0; REQUEST_BYTES_MAX + 1]).await;
    assert_eq!(too_large, Err(ClientError::TooLarge(REQUEST_BYTES_MAX + 1)));
    server.stop().await;
}

#[tokio::test]
async fn a_view_is_fed_until_either_side_ends_it() {
    let server = Server::start();
    let client = server.connect(operator()).await;
    let mut short = client.watch(b"ab").await.unwrap();
    for byte in b"ab" {
        assert_eq!(short.next().await.unwrap(), Some(vec![*byte; 1_000]));
    }
    assert_eq!(short.next().await, Ok(None));
    let refused = client.watch(b"secret").await.err().unwrap();
    let message = "you see no such door".to_owned();
    assert_eq!(refused, ClientError::Rejected { status: Status::NotPermitted, message });
    let mut endless = client.watch(b"c+").await.unwrap();
    assert!(endless.next().await.unwrap().is_some());
    let next = tokio::spawn(async move { endless.next().await });
    server.stop().await;
    assert_eq!(next.await.unwrap(), Ok(None), "shutting down ends it in order");
}

#[tokio::test]
async fn what_is_not_answered_is_denied() {
    let server = Server::start();
    let client = server.connect(operator()).await;
    let answer = client.check_batch(&[mobile(1, 1), mobile(FORGOTTEN.0, 1), mobile(1, 1)]).await;
    assert_eq!(answer.outcomes, [Outcome::Granted, Outcome::Denied, Outcome::Denied]);
    assert_eq!(answer.error, None);
    let malformed = client.check_batch(&[]).await;
    assert!(matches!(denied(malformed), ClientError::Count(_)));
    server.stop().await;
}

/// A server that answers each frame with `answer`, whatever it is.
async fn fake_server(answer: fn(u64) -> Vec<u8>) -> (Authority, SocketAddr) {
    let authority = authority();
    let crypto = QuicServerConfig::try_from(authority.server_tls(now()).unwrap()).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = quinn::Endpoint::server(config, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = endpoint.local_addr().unwrap();
    tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        let (mut send, mut receive) = connection.accept_bi().await.unwrap();
        let mut kind = [0];
        receive.read_exact(&mut kind).await.unwrap();
        let mut header = [0; 24];
        receive.read_exact(&mut header).await.unwrap();
        send.write_all(&answer(Header::decode(&header).request)).await.unwrap();
        send.finish().unwrap();
        connection.closed().await;
    });
    (authority, address)
}

fn answer_frame(request: u64, answers: &[u8]) -> Vec<u8> {
    let (length, count) = (24 + answers.len() as u32, answers.len() as u16);
    let header = Header { length, version: FRAME_VERSION, flags: 0, count, request, revision: 3 };
    [&header.encode()[..], answers].concat()
}

#[tokio::test]
async fn short_missing_and_broken_answers_are_denials() {
    type Case = (fn(u64) -> Vec<u8>, [Outcome; 3], Option<ClientError>);
    use Outcome::{Denied, Granted};
    let cases: [Case; 6] = [
        (|request| answer_frame(request, &[1, 1]), [Granted, Granted, Denied], None),
        (|request| answer_frame(request, &[]), [Denied; 3], None),
        (|request| answer_frame(request, &[1, 4, 255]), [Granted, Denied, Denied], None),
        (|request| answer_frame(request + 1, &[1, 1, 1]), [Denied; 3], Some(ClientError::ShuttingDown)),
        (|request| answer_frame(request, &[1, 1, 1])[..26].to_vec(), [Denied; 3], Some(ClientError::Short)),
        (|_| vec![0xff; 64], [Denied; 3], Some(ClientError::Frame(FrameError::Length(u32::MAX)))),
    ];
    for (answer, outcomes, error) in cases {
        let (authority, address) = fake_server(answer).await;
        let client = Connection::connect(address, &identity(&authority, lock(1)), PATIENCE).await.unwrap();
        let answer = client.check_batch(&[mobile(1, 1), mobile(1, 1), mobile(1, 1)]).await;
        assert_eq!((answer.outcomes, answer.error), (outcomes.to_vec(), error));
    }
}

#[tokio::test]
async fn no_server_is_a_denial_with_its_reason() {
    let server = Server::start();
    let (client, address) = (server.connect(lock(17)).await, server.address);
    let identity = identity(&server.authority, lock(17));
    assert!(client.check(DoorId(17), Credential::Mobile(1)).await.opens());
    server.stop().await;
    assert_eq!(client.until_closed().await, ClientError::ShuttingDown);
    assert_eq!(denied(client.check_batch(&[mobile(17, 1)]).await), ClientError::ShuttingDown);
    let gone = Connection::connect(address, &identity, Duration::from_millis(200)).await;
    assert!(gone.is_err());
}

#[tokio::test]
async fn shutting_down_answers_what_is_in_hand() {
    let (settle, gate) = oneshot::channel();
    let server = Server::start_with(Some(gate), Limits::default());
    let client = server.connect(lock(17)).await;
    let asking = tokio::spawn(async move { client.check(DoorId(17), Credential::Mobile(1)).await });
    while server.batches.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let stopping = tokio::spawn(server.stop());
    settle.send(Settled::Answer).unwrap();
    assert!(asking.await.unwrap().opens());
    stopping.await.unwrap();
}

// L1
#[tokio::test]
async fn answers_wait_for_their_ticket_and_reading_goes_on() {
    let (settle, gate) = oneshot::channel();
    let server = Server::start_with(Some(gate), Limits::default());
    let mut stream = server.connect(lock(17)).await.check_stream().await.unwrap();
    stream.sender.send(&[mobile(17, 1)], false, 0).await.unwrap();
    let count = || server.batches.lock().unwrap().len();
    while count() < 1 {
        tokio::task::yield_now().await;
    }
    stream.sender.send(&[mobile(17, 2)], false, 0).await.unwrap();
    while count() < 2 {
        tokio::task::yield_now().await;
    }
    let early = timeout(Duration::from_millis(30), stream.receiver.receive()).await;
    assert!(early.is_err(), "nothing is answered before its ticket, nor out of order");
    settle.send(Settled::Deny).unwrap();
    let answers = [stream.receiver.receive().await, stream.receiver.receive().await];
    let outcomes = answers.map(|answers| answers.unwrap().unwrap().outcome(0));
    assert_eq!(outcomes, [Outcome::Denied, Outcome::Retry], "a failed log denies its own batch only");
    server.stop().await;
}

// L1
#[tokio::test]
async fn a_failed_log_can_drop_answers_which_denies() {
    let (settle, gate) = oneshot::channel();
    let server = Server::start_with(Some(gate), Limits::default());
    let client = server.connect(lock(17)).await;
    settle.send(Settled::Drop).unwrap();
    assert_eq!(denied(client.check_batch(&[mobile(17, 1)]).await), ClientError::LogFailed);
    assert!(client.check(DoorId(17), Credential::Mobile(1)).await.opens(), "a new stream is opened by itself");
    server.stop().await;
}

#[tokio::test]
async fn disabling_closes_connections_and_refuses_new_ones() {
    let server = Server::start();
    let (client, other) = (server.connect(lock(17)).await, server.connect(lock(18)).await);
    assert!(client.check(DoorId(17), Credential::Mobile(1)).await.opens());
    assert!(other.check(DoorId(18), Credential::Mobile(1)).await.opens());
    assert_eq!(server.handle.connections(), 2);
    server.disabled.0.lock().unwrap().insert(lock(17));
    let disabled = |proof: &Proof| (proof.principal == lock(17)).then_some("this identity was disabled");
    assert_eq!(server.handle.disconnect(disabled), 1);
    assert!(matches!(client.until_closed().await, ClientError::Refused(_)));
    assert!(matches!(denied(client.check_batch(&[mobile(17, 1)]).await), ClientError::Refused(_)));
    let again = server.connect(lock(17)).await;
    assert!(matches!(denied(again.check_batch(&[mobile(17, 1)]).await), ClientError::Refused(_)));
    assert!(other.check(DoorId(18), Credential::Mobile(1)).await.opens());
    server.stop().await;
}

#[tokio::test]
async fn strangers_are_refused() {
    let server = Server::start();
    let stranger = authority();
    // A client of another authority that knows our server's certificate.
    let mut foreign = identity(&stranger, lock(17));
    server.authority.certificate_pem().clone_into(&mut foreign.ca_pem);
    let refused = match server.connect_as(&foreign).await {
        Ok(client) => denied(client.check_batch(&[mobile(17, 1)]).await),
        Err(error) => error,
    };
    assert!(matches!(refused, ClientError::Refused(_)), "{refused:?}");
    // A server of another authority.
    let wrong_server = server.connect_as(&identity(&stranger, lock(17))).await;
    assert!(matches!(wrong_server.err(), Some(ClientError::NotOurServer(_))));
    // A server of another lineage, and of the right one.
    let mut ours = identity(&server.authority, lock(17));
    ours.lineage = Some("other".to_owned());
    assert!(matches!(server.connect_as(&ours).await.err(), Some(ClientError::NotOurServer(_))));
    ours.lineage = Some("a1b2".to_owned());
    assert!(server.connect_as(&ours).await.unwrap().check(DoorId(17), Credential::Mobile(1)).await.opens());
    server.stop().await;
}

#[tokio::test]
async fn no_certificate_is_refused() {
    let server = Server::start();
    let with = client_tls(&identity(&server.authority, lock(17))).unwrap();
    let mut without = with.clone();
    without.client_auth_cert_resolver = Arc::new(NoCertificate);
    let error = match server.connect_raw(without).await {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    };
    let error = ClientError::from(error);
    assert!(matches!(&error, ClientError::Refused(why) if why.contains("join with a token")), "{error}");
    assert!(server.connect_raw(with).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn who_shows_no_certificate_may_join_and_nothing_else() {
    let server = Server::start();
    let mut tls = client_tls(&identity(&server.authority, lock(17))).unwrap();
    tls.client_auth_cert_resolver = Arc::new(NoCertificate);
    tls.alpn_protocols = vec![JOIN_ALPN.to_vec()];
    // A check, a request, a subscription: cut off, whatever follows.
    for kind in [StreamKind::Check, StreamKind::Manage, StreamKind::Watch] {
        let connection = server.connect_raw(tls.clone()).await.unwrap();
        let mut bytes = frame(1);
        bytes[0] = kind as u8;
        assert!(exchange(&connection, &bytes).await.is_err());
        connection.closed().await;
    }
    // Joining: a challenge, and an answer to what is sent then.
    let connection = server.connect_raw(tls).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&[StreamKind::Join as u8]).await.unwrap();
    let mut challenge = [0; 32];
    receive.read_exact(&mut challenge).await.unwrap();
    send.write_all(&0_u32.to_le_bytes()).await.unwrap();
    let answer = receive.read_to_end(100).await.unwrap();
    assert_eq!(answer, [&32_u32.to_le_bytes()[..], &challenge].concat());
    // With a certificate, joining is no kind of stream.
    let with = client_tls(&identity(&server.authority, lock(17))).unwrap();
    let connection = server.connect_raw(with).await.unwrap();
    let reset = quinn::ReadToEndError::Read(quinn::ReadError::Reset(close::UNKNOWN_STREAM.into()));
    assert_eq!(exchange(&connection, &[StreamKind::Join as u8]).await, Err(reset));
    server.stop().await;
}

#[derive(Debug)]
struct NoCertificate;

impl rustls::client::ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn there_are_no_tickets_and_no_early_data() {
    let server = Server::start();
    let mut tls = client_tls(&identity(&server.authority, lock(17))).unwrap();
    let tickets = Arc::<Tickets>::default();
    tls.resumption = rustls::client::Resumption::store(tickets.clone());
    tls.enable_early_data = true;
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    for _ in 0..3 {
        let connecting = endpoint.connect_with(config.clone(), server.address, "keyward-server").unwrap();
        let Err(connecting) = connecting.into_0rtt() else { panic!("nothing may be resumed") };
        let connection = connecting.await.unwrap();
        // An answer that came back says that a ticket would have come, too.
        let answers = exchange(&connection, &frame(1)).await.unwrap();
        assert!(answers.iter().all(|(_, refused)| !refused));
        connection.close(0_u32.into(), b"");
    }
    assert!(!tickets.0.load(Ordering::Relaxed));
    server.stop().await;
}

/// Notices tickets.
#[derive(Debug, Default)]
struct Tickets(AtomicBool);

impl rustls::client::ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: rustls::NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<rustls::NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: rustls::client::Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<rustls::client::Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: rustls::client::Tls13ClientSessionValue) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<rustls::client::Tls13ClientSessionValue> {
        None
    }
}

fn frame(request: u64) -> Vec<u8> {
    let mut bytes = vec![1];
    encode_question(Question { request, ..Question::default() }, &[mobile(17, 1)], &mut bytes).unwrap();
    bytes
}

/// Sends these bytes on a stream of their own and reads all answers: request and whether it was refused.
async fn exchange(connection: &quinn::Connection, bytes: &[u8]) -> Result<Vec<(u64, bool)>, quinn::ReadToEndError> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    let _ = send.finish();
    let read = receive.read_to_end(1 << 20).await?;
    let mut framer = Framer::new(FrameKind::Answers);
    framer.space()[..read.len()].copy_from_slice(&read);
    framer.filled(read.len());
    let batch = framer.batch();
    Ok(batch.frames().map(AnswersView::new).map(|answers| (answers.request(), answers.refused())).collect())
}

#[tokio::test]
async fn what_cannot_be_read_gets_an_error_and_the_connection_goes_on() {
    let server = Server::start();
    let tls = client_tls(&identity(&server.authority, lock(17))).unwrap();
    let connection = server.connect_raw(tls).await.unwrap();
    // A good frame, then one of another version: the good one is answered, the other refused.
    let mut bytes = frame(1);
    let mut bad = frame(2).split_off(1);
    bad[4] = 9;
    bytes.extend(bad);
    assert_eq!(exchange(&connection, &bytes).await.unwrap(), [(1, false), (2, true)]);
    // A kind of stream that nobody knows.
    let reset = |code: u32| quinn::ReadToEndError::Read(quinn::ReadError::Reset(code.into()));
    assert_eq!(exchange(&connection, &[77, 1, 2, 3]).await, Err(reset(close::UNKNOWN_STREAM)));
    // A frame that ends in the middle is no frame.
    assert_eq!(exchange(&connection, &frame(3)[..30]).await.unwrap(), []);
    assert_eq!(exchange(&connection, &frame(4)).await.unwrap(), [(4, false)]);
    server.stop().await;
}

#[tokio::test]
async fn who_begins_a_frame_must_finish_it() {
    let limits = Limits { pace: Duration::from_millis(50), ..Limits::default() };
    let server = Server::start_with(None, limits);
    let tls = client_tls(&identity(&server.authority, lock(17))).unwrap();
    let connection = server.connect_raw(tls).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let trickling = Arc::new(AtomicBool::new(true));
    let going_on = trickling.clone();
    // Whole frames may be as far apart as they like; bytes that trickle don't prolong one frame.
    let trickle = tokio::spawn(async move {
        send.write_all(&frame(1)).await.unwrap();
        for byte in frame(2).split_off(1) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if !going_on.load(Ordering::Relaxed) || send.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    });
    let ended = receive.read_to_end(1 << 10).await;
    trickling.store(false, Ordering::Relaxed);
    assert_eq!(ended, Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(close::TOO_SLOW.into()))));
    trickle.await.unwrap();
    server.stop().await;
}

/// Carries datagrams between a client and the server until it is ended: then neither hears of the other any more, and
/// nobody is told.
async fn relay(server: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let [front, back] = [bind().await, bind().await];
    back.connect(server).await.unwrap();
    let address = front.local_addr().unwrap();
    let carrying = tokio::spawn(async move {
        let (mut there, mut here) = ([0; 2_048], [0; 2_048]);
        let mut client = None;
        loop {
            tokio::select! {
                came = front.recv_from(&mut there) => {
                    let (length, from) = came.unwrap();
                    client = Some(from);
                    back.send(&there[..length]).await.unwrap();
                }
                came = back.recv(&mut here) => {
                    let length = came.unwrap();
                    front.send_to(&here[..length], client.unwrap()).await.unwrap();
                }
            }
        }
    });
    (address, carrying)
}

async fn bind() -> tokio::net::UdpSocket {
    tokio::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_long_is_heard_and_one_that_is_gone_without_a_word_is_not() {
    const SILENCE: Duration = Duration::from_millis(1_500);
    let (open, gate) = oneshot::channel();
    let server = Server::start_with(Some(gate), Limits::default());
    let (address, carrying) = relay(server.address).await;
    let identity = identity(&server.authority, lock(5));
    let hear_every = Duration::from_millis(100);
    let connection = Connection::connect_hearing(address, &identity, PATIENCE, hear_every).await.unwrap();
    let asking = tokio::spawn({
        let connection = connection.clone();
        async move { connection.check(DoorId(5), Credential::Mobile(1)).await.outcome }
    });
    let silent = timeout(3 * SILENCE, connection.until_silent(SILENCE)).await;
    assert!(silent.is_err(), "the answer is waited for, and the server is there");
    open.send(Settled::Answer).unwrap();
    assert_eq!(asking.await.unwrap(), Outcome::Granted);
    carrying.abort();
    timeout(PATIENCE, connection.until_silent(SILENCE)).await.expect("it is noticed");
    assert!(connection.closed().is_none(), "before QUIC gives it up");
    server.stop().await;
}
