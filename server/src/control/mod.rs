//! The local administrator's socket: what is done on the server's own machine while it runs.
//!
//! A socket file in the data directory that only the server's own user, or root, may use: the file's mode says so, and
//! the peer's credentials are asked as well. One line of JSON each way a connection:
//!
//! ```text
//! {"version":1,"ask":{"issue_operator":{"portfolio":1,"email":"..."}}}
//! {"Ok":{"lock":null,"ca_pem":"...","certificate_pem":"...","key_pem":"..."}}      or {"Err":"why not"}
//! ```

mod task;

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keyward_protocol::id::{LockId, PortfolioId};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    time::timeout,
};
use zeroize::{Zeroize, Zeroizing};

pub use task::{CarrierRow, PortfolioRow, Task, Told, choose};

use crate::identity::Issued;

/// The version of the lines.
const VERSION: u32 = 1;
/// The longest line that asks: it may hold a site file.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// A request must come, and its answer be taken, within this time.
const PACE: Duration = Duration::from_secs(5);
/// How long the administrator's command waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same for a [`Task`]: a large site has millions of door codes.
const TASK_PATIENCE: Duration = Duration::from_secs(600);

/// What the administrator asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Register a lock and make its certificate.
    IssueLock {
        /// Whose.
        portfolio: u32,
        /// Its name, unique in the portfolio.
        name: String,
        /// The property's name.
        property: String,
        /// The names of its doors; every door of the property when there are none.
        doors: Vec<String>,
    },
    /// Make a manager's certificate.
    IssueOperator {
        /// Whose.
        portfolio: u32,
        /// Who, by email.
        email: String,
    },
    /// Do something to all of the server.
    Task(Task),
}

/// What was done.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answered {
    /// A certificate was made.
    Identity(Identity),
    /// A [`Task`] was done.
    Told(Told),
}

/// A certificate that was made. Holds a secret key: not printed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The lock that was registered, where one was.
    pub lock: Option<u32>,
    /// The authority's certificate.
    pub ca_pem: String,
    /// The certificate.
    pub certificate_pem: String,
    /// Its key.
    pub key_pem: String,
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.key_pem.zeroize();
    }
}

impl Identity {
    /// What is handed over of a certificate that the authority made.
    pub fn new(lock: Option<LockId>, ca_pem: &str, issued: &Issued) -> Identity {
        Identity {
            lock: lock.map(|lock| lock.0),
            ca_pem: ca_pem.to_owned(),
            certificate_pem: issued.certificate_pem.clone(),
            key_pem: issued.key_pem.as_deref().cloned().unwrap_or_default(),
        }
    }
}

impl Request {
    /// The portfolio it is about; none where it is about all of the server.
    pub fn portfolio(&self) -> PortfolioId {
        match self {
            Request::IssueLock { portfolio, .. } | Request::IssueOperator { portfolio, .. } => PortfolioId(*portfolio),
            Request::Task(_) => PortfolioId::NONE,
        }
    }
}

/// An answer: what was made, or why nothing was.
pub type Answer = Result<Answered, String>;

/// Answers the administrator; may take its time.
pub type Answerer = Arc<dyn Fn(Request) -> Answer + Send + Sync>;

/// A socket that listens. Dropping it takes its file away.
pub struct Socket {
    path: PathBuf,
    listener: UnixListener,
    owner: u32,
}

impl Socket {
    /// Makes the socket. What stands there is a leftover: whoever calls this holds the data directory's lock.
    pub fn bind(path: &Path) -> io::Result<Socket> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let owner = fs::metadata(path)?.uid();
        Ok(Socket { path: path.to_owned(), listener, owner })
    }

    /// Answers, one connection after the other, until it is dropped.
    pub async fn serve(self, answerer: Answerer) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => self.converse(stream, &answerer).await,
                Err(error) => {
                    tracing::warn!(%error, "the control socket can't take a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn converse(&self, mut stream: UnixStream, answerer: &Answerer) {
        let allowed = stream.peer_cred().is_ok_and(|peer| peer.uid() == self.owner || peer.uid() == 0);
        if !allowed {
            tracing::warn!("the control socket refused another user");
            return;
        }
        let mut line = String::new();
        let reading = async { tokio::io::BufReader::new(&mut stream).take(LINE_BYTES_MAX).read_line(&mut line).await };
        let Ok(Ok(_)) = timeout(PACE, reading).await else { return };
        let answer = match read(&line) {
            Ok(request) => {
                let answerer = Arc::clone(answerer);
                let answered = tokio::task::spawn_blocking(move || answerer(request)).await;
                answered.unwrap_or_else(|_| Err("the server is shutting down".to_owned()))
            }
            Err(told) => Err(told),
        };
        let mut line = Zeroizing::new(serde_json::to_vec(&answer).unwrap_or_default());
        line.push(b'\n');
        _ = timeout(PACE, stream.write_all(&line)).await;
    }
}

/// A line that asks, whatever version of a request it holds.
#[derive(Serialize, Deserialize)]
struct Asked<T> {
    version: u32,
    ask: T,
}

fn read(line: &str) -> Result<Request, String> {
    let unreadable = |error: serde_json::Error| format!("the request can't be read: {error}");
    let asked = serde_json::from_str::<Asked<serde_json::Value>>(line).map_err(unreadable)?;
    if asked.version != VERSION {
        return Err(format!(
            "the command speaks version {} of the control socket and the running server {VERSION}: use the \
             keyward-server that runs",
            asked.version
        ));
    }
    serde_json::from_value(asked.ask).map_err(unreadable)
}

impl Drop for Socket {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.path);
    }
}

/// Asks the server that runs at this socket; `None` when none does. Blocks.
pub fn ask(path: &Path, request: &Request) -> Option<Answer> {
    let stream = std::os::unix::net::UnixStream::connect(path).ok()?;
    let told = |error: io::Error| format!("the running server does not answer on its control socket: {error}");
    let conversation = || -> io::Result<Zeroizing<String>> {
        let patience = if matches!(request, Request::Task(_)) { TASK_PATIENCE } else { PATIENCE };
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(PACE))?;
        let mut line = serde_json::to_vec(&Asked { version: VERSION, ask: request })?;
        line.push(b'\n');
        (&stream).write_all(&line)?;
        let mut answer = Zeroizing::new(String::new());
        BufReader::new(&stream).read_line(&mut answer)?;
        Ok(answer)
    };
    let answer = match conversation() {
        Ok(answer) => answer,
        Err(error) => return Some(Err(told(error))),
    };
    Some(serde_json::from_str::<Answer>(&answer).unwrap_or_else(|error| Err(told(error.into()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request::IssueOperator { portfolio: 1, email: "ana@harbor.example".to_owned() }
    }

    #[test]
    fn the_lines_stand_as_they_are_written_down() {
        let line = r#"{"version":1,"ask":{"issue_operator":{"portfolio":1,"email":"ana@harbor.example"}}}"#;
        let asked = Asked { version: VERSION, ask: request() };
        assert_eq!(serde_json::to_string(&asked).unwrap(), line);
        assert_eq!(read(line), Ok(request()));
        let line =
            r#"{"version":1,"ask":{"issue_lock":{"portfolio":1,"name":"G","property":"Main","doors":["Pool"]}}}"#;
        let (name, property, doors) = ("G".to_owned(), "Main".to_owned(), vec!["Pool".to_owned()]);
        assert_eq!(read(line), Ok(Request::IssueLock { portfolio: 1, name, property, doors }));
        let answer = r#"{"Ok":{"lock":7,"ca_pem":"ca","certificate_pem":"certificate","key_pem":"key"}}"#;
        assert_eq!(serde_json::to_string(&identity(request())).unwrap(), answer);
        assert!(matches!(serde_json::from_str::<Answer>(r#"{"Err":"why not"}"#), Ok(Err(why)) if why == "why not"));
        let tasks = [
            (Task::ListPortfolios, r#""list_portfolios""#),
            (Task::ListCarriers, r#""list_carriers""#),
            (Task::RotateVaults, r#""rotate_vaults""#),
            (Task::RenewCarrier { name: "UPS".to_owned() }, r#"{"renew_carrier":{"name":"UPS"}}"#),
            (Task::CreateCarrier { name: "UPS".to_owned() }, r#"{"create_carrier":{"name":"UPS"}}"#),
            (
                Task::CreatePortfolio { site: "s".to_owned(), text: "t".to_owned() },
                r#"{"create_portfolio":{"site":"s","text":"t"}}"#,
            ),
            (
                Task::BeginPortfolio { name: "P".to_owned(), manager: "M".to_owned(), email: "m@p".to_owned() },
                r#"{"begin_portfolio":{"name":"P","manager":"M","email":"m@p"}}"#,
            ),
        ];
        for (task, text) in tasks {
            let line = format!(r#"{{"version":1,"ask":{{"task":{text}}}}}"#);
            assert_eq!(read(&line), Ok(Request::Task(task)));
        }
        let row = PortfolioRow { id: 1, name: "P".to_owned(), properties: 2, people: 3, locks: 4 };
        let answers = [
            (
                Told::Portfolios(vec![row]),
                r#"{"portfolios":[{"id":1,"name":"P","properties":2,"people":3,"locks":4}]}"#,
            ),
            (
                Told::Carriers(vec![CarrierRow::new("UPS", 1)]),
                r#"{"carriers":[{"name":"UPS","identity":"0000000000000001"}]}"#,
            ),
        ];
        let rotated = (Told::Rotated { vaults: 2, codes: 7 }, r#"{"rotated":{"vaults":2,"codes":7}}"#);
        for (told, text) in answers.into_iter().chain([rotated]) {
            let line = format!(r#"{{"Ok":{text}}}"#);
            let Ok(Ok(Answered::Told(read))) = serde_json::from_str::<Answer>(&line) else { panic!("{line}") };
            assert_eq!(read, told);
            assert_eq!(serde_json::to_string::<Answer>(&Ok(Answered::Told(told))).unwrap(), line);
        }
    }

    fn identity(request: Request) -> Answer {
        assert_eq!(request, self::request());
        let (ca_pem, certificate_pem) = ("ca".to_owned(), "certificate".to_owned());
        Ok(Answered::Identity(Identity { lock: Some(7), ca_pem, certificate_pem, key_pem: "key".to_owned() }))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_administrator_is_answered_and_nonsense_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        assert!(ask(&path, &request()).is_none(), "no server, no answer");
        fs::write(&path, "a leftover").unwrap();
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let serving = tokio::spawn(socket.serve(Arc::new(identity)));
        let asking = path.clone();
        let answer = tokio::task::spawn_blocking(move || ask(&asking, &request())).await.unwrap();
        let Some(Ok(Answered::Identity(answer))) = answer else { panic!("no answer") };
        assert_eq!((answer.lock, answer.key_pem.as_str()), (Some(7), "key"));
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"{\"shut_down\":{}}\n").await.unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        assert!(told.contains("can't be read"), "{told}");
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"{\"version\":2,\"ask\":{\"anything\":[]}}\n").await.unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        assert!(told.contains("version 2") && told.contains("server 1") && told.contains("that runs"), "{told}");
        serving.abort();
        _ = serving.await;
        assert!(!path.exists(), "its file goes with it");
    }
}
