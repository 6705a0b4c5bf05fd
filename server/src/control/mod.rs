//! The local administrator's socket: what is done on the server's own machine while it runs.
//!
//! A socket file in the data directory that only the server's own user, or root, may use: the file's mode says so, and
//! the peer's credentials are asked as well. One line of JSON each way a connection:
//!
//! ```text
//! {"version":1,"ask":{"tokens":{"portfolio":1}}}
//! {"Ok":{"tokens":[...]}}      or {"Err":"why not"}
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

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    time::timeout,
};
use zeroize::{Zeroize, Zeroizing};

pub use task::{CarrierRow, PortfolioRow, Task, Told, choose};

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
    /// Make a token that somebody may join with, once.
    MakeToken {
        /// Whose.
        portfolio: u32,
        /// Who is to join.
        role: JoinRole,
        /// Where the server is found, `host:port`; where it listens unless told.
        address: Option<String>,
        /// How long the token is good for.
        seconds: i64,
    },
    /// The tokens that were not used.
    Tokens {
        /// Whose.
        portfolio: u32,
    },
    /// Take a token back.
    RevokeToken {
        /// Whose.
        portfolio: u32,
        /// Which.
        token: u32,
    },
    /// The keys that joined.
    Identities {
        /// Whose.
        portfolio: u32,
    },
    /// Disable a key that joined, or enable it again.
    DisableIdentity {
        /// Whose.
        portfolio: u32,
        /// Which.
        identity: u32,
        /// Whether it is refused from now on.
        disabled: bool,
    },
    /// Put a new authority in the place of the one that signs certificates.
    RotateAuthority {},
    /// Do something to all of the server.
    Task(Task),
}

/// Who is to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JoinRole {
    /// A lock or gateway; registered with the property and doors, or known already and then without them.
    Lock {
        /// Its name, unique in the portfolio.
        name: String,
        /// The property's name.
        property: Option<String>,
        /// The names of its doors; every door of the property when there are none.
        doors: Vec<String>,
    },
    /// A manager.
    Operator {
        /// Who, by email.
        email: String,
    },
    /// Somebody who holds Keys, or is a guest.
    Holder {
        /// Who, by email.
        email: String,
    },
}

/// What was done or found.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// A token was made. Holds its secret: not printed but to who asked.
    Token {
        /// Its number.
        token: u32,
        /// What joins with it.
        role: String,
        /// Who.
        name: String,
        /// When it is over.
        until: String,
        /// The token.
        text: String,
    },
    /// The tokens that were not used.
    Tokens(Vec<TokenLine>),
    /// The keys that joined.
    Identities(Vec<IdentityLine>),
    /// It was done, in words.
    Done(String),
    /// A [`Task`] was done.
    #[serde(untagged)]
    Told(Told),
}

/// A token that was not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenLine {
    /// Its number.
    pub token: u32,
    /// What joins with it.
    pub role: String,
    /// Who.
    pub name: String,
    /// When it is over.
    pub until: String,
    /// Whether it is.
    pub over: bool,
}

/// A key that joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityLine {
    /// Its number.
    pub identity: u32,
    /// What it proves somebody to be.
    pub role: String,
    /// Whom.
    pub name: String,
    /// What its machine calls itself.
    pub label: String,
    /// When it joined.
    pub joined: String,
    /// Whether it is refused.
    pub disabled: bool,
    /// Where it is connected from, when it is.
    pub connected_from: Option<String>,
    /// The end of the certificate that it is connected with.
    pub certificate_until: Option<String>,
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Reply::Token { text, .. } = self {
            text.zeroize();
        }
    }
}

/// An answer: what was done or found, or why nothing was.
pub type Answer = Result<Reply, String>;

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
        Request::Tokens { portfolio: 1 }
    }

    #[test]
    fn the_lines_stand_as_they_are_written_down() {
        let line = r#"{"version":1,"ask":{"tokens":{"portfolio":1}}}"#;
        let asked = Asked { version: VERSION, ask: request() };
        assert_eq!(serde_json::to_string(&asked).unwrap(), line);
        assert_eq!(read(line), Ok(request()));
        let line = r#"{"version":1,"ask":{"make_token":{"portfolio":1,"role":{"lock":{"name":"G","property":"Main",
            "doors":["Pool"]}},"address":null,"seconds":60}}}"#;
        let (name, property, doors) = ("G".to_owned(), Some("Main".to_owned()), vec!["Pool".to_owned()]);
        let role = JoinRole::Lock { name, property, doors };
        assert_eq!(read(line), Ok(Request::MakeToken { portfolio: 1, role, address: None, seconds: 60 }));
        assert_eq!(read(r#"{"version":1,"ask":{"rotate_authority":{}}}"#), Ok(Request::RotateAuthority {}));
        assert_eq!(serde_json::to_string(&done(request())).unwrap(), r#"{"Ok":{"done":"it is done"}}"#);
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
            let read = serde_json::from_str::<Answer>(&line).unwrap().unwrap_or_else(|why| panic!("{why}"));
            assert!(read == Reply::Told(told.clone()), "{line}");
            assert_eq!(serde_json::to_string::<Answer>(&Ok(Reply::Told(told))).unwrap(), line);
        }
    }

    fn done(request: Request) -> Answer {
        assert_eq!(request, self::request());
        Ok(Reply::Done("it is done".to_owned()))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_administrator_is_answered_and_nonsense_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        assert!(ask(&path, &request()).is_none(), "no server, no answer");
        fs::write(&path, "a leftover").unwrap();
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let serving = tokio::spawn(socket.serve(Arc::new(done)));
        let asking = path.clone();
        let answer = tokio::task::spawn_blocking(move || ask(&asking, &request())).await.unwrap();
        let Some(Ok(answer)) = answer else { panic!("no answer") };
        assert!(answer == Reply::Done("it is done".to_owned()));
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
