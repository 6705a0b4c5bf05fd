//! Server processes that a test starts, asks, stops and kills, on a data directory of its own.

#![allow(dead_code, reason = "each test takes what it needs of it")]

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use keyward_protocol::{
    client::{self, ClientIdentity, Connection, JoinAs, ManageError},
    entry::{Command as Edit, Period},
    id::{KeyId, PersonId, PortfolioId},
    message::join::JoinToken,
};
use keyward_server::{
    access_log::{AccessLog, Mode, Span},
    engine::{Books, Layout, OpenReport},
};

pub const KEYWARD: &str = env!("CARGO_BIN_EXE_keyward-under-test");
pub const SERVER: &str = env!("CARGO_BIN_EXE_keyward-server-under-test");

pub fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

pub fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A data directory with one lock, and a server process that may be killed and started again.
pub struct Site {
    /// Everything of it lies below.
    pub root: PathBuf,
    /// Removed with the site.
    dir: Option<tempfile::TempDir>,
}

pub struct Serving {
    pub child: Child,
    pub address: SocketAddr,
    /// Everything on standard error, when it has ended.
    telling: Option<JoinHandle<String>>,
}

impl Site {
    pub fn new(scenario_name: &str, property: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::at(dir.path(), scenario_name, property);
        Site { dir: Some(dir), ..site }
    }

    /// One in a directory that somebody else looks after.
    pub fn at(root: &Path, scenario_name: &str, property: &str) -> Site {
        let site = Site::found(root);
        let file = scenario(scenario_name);
        let made = run(SERVER, &["init", "--site", file.to_str().unwrap(), "--data", site.data().to_str().unwrap()]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let lock = ["lock", "--name", "Gateway", "--property", property];
        site.join(&lock, JoinAs::Lock).save(&site.identity_dir()).unwrap();
        site
    }

    /// Makes a token while no server runs, and joins with it.
    pub fn join(&self, role: &[&str], join_as: JoinAs) -> ClientIdentity {
        let token = self.token(role);
        let serving = self.serve();
        // Tests have a runtime of their own, which can't be entered twice.
        let join = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(client::join(serving.address, &token, join_as, "a test", Duration::from_secs(20)))
        };
        let joined = std::thread::scope(|scope| scope.spawn(join).join().unwrap()).unwrap();
        serving.terminate();
        joined.identity
    }

    /// A token, made by the administrator's command.
    pub fn token(&self, role: &[&str]) -> JoinToken {
        let data = self.data();
        let made = run(SERVER, &[&["token", "create"], role, &["--quiet", "--data", data.to_str().unwrap()]].concat());
        assert!(made.status.success(), "{}", text(&made.stderr));
        text(&made.stdout).parse().unwrap()
    }

    /// One that was made before.
    pub fn found(root: &Path) -> Site {
        Site { root: root.to_owned(), dir: None }
    }

    /// The identity of a Portfolio Manager.
    pub fn operator(&self, email: &str) -> ClientIdentity {
        self.join(&["operator", "--email", email], JoinAs::Operator)
    }

    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub fn identity_dir(&self) -> PathBuf {
        self.root.join("gateway")
    }

    pub fn identity(&self) -> ClientIdentity {
        ClientIdentity::load(&self.identity_dir()).unwrap()
    }

    pub fn serve(&self) -> Serving {
        self.serve_telling("info")
    }

    /// Serves and tells what it does at this level.
    pub fn serve_telling(&self, level: &str) -> Serving {
        self.serve_as(level, (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Serves again where an earlier server did: its clients find it by themselves.
    pub fn serve_at(&self, address: SocketAddr) -> Serving {
        self.serve_as("info", address)
    }

    fn serve_as(&self, level: &str, address: SocketAddr) -> Serving {
        let mut child = Command::new(SERVER)
            .args(["serve", "--listen", &address.to_string(), "--data", self.data().to_str().unwrap()])
            .env("RUST_LOG", level)
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = String::new();
        let address = loop {
            let line = lines.next().expect("the server says where it serves").unwrap();
            told.push_str(&line);
            if let Some((_, address)) = line.split_once(" serving").and_then(|(_, rest)| rest.split_once("address=")) {
                break address.trim().parse().unwrap();
            }
        };
        // Somebody must read on, or the server would wait for room in the pipe.
        let telling = std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| told.push_str(&line));
            told
        });
        Serving { child, address, telling: Some(telling) }
    }

    /// The books of a server that has ended. A process that another test begins at that moment has this one's open files,
    /// and with them its locks, until it is another program: then they are free within a moment.
    pub fn books(&self) -> (Books, OpenReport) {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            match Books::open(&Layout::new(&self.data())) {
                Err(error) if error.to_string().contains("stop") && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                opened => return opened.unwrap(),
            }
        }
    }

    /// How many records the log has, read while nothing serves.
    pub fn records(&self) -> u64 {
        let layout = Layout::new(&self.data());
        let (books, _) = self.books();
        let (log, report) = AccessLog::open(&layout.log(), books.lineage(), Mode::Strict, 1).unwrap();
        assert!(report.damage.is_empty(), "{report:?}");
        log.totals(Some(PortfolioId(1)), &Span::Sequences(0..u64::MAX)).unwrap().records()
    }
}

/// Nothing that a test started outlives it.
impl Drop for Serving {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Serving {
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it ends by itself; how it did, and what it told all the while.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "the server goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
        (self.child.wait().unwrap(), self.telling.take().unwrap().join().unwrap())
    }

    /// Stops it in order; what it told all the while.
    pub fn terminate(mut self) -> String {
        assert!(run("kill", &["-TERM", &self.child.id().to_string()]).status.success());
        assert!(self.child.wait().unwrap().success());
        self.telling.take().unwrap().join().unwrap()
    }
}

pub async fn connect(site: &Site, serving: &Serving) -> Connection {
    Connection::connect(serving.address, &site.identity(), Duration::from_secs(5)).await.unwrap()
}

/// Gives a Key and takes it away until the server is gone, from the change after revision `last` on; each that is
/// acknowledged is `known`.
pub async fn give_and_revoke(operator: &Connection, mut last: u64, known: &AtomicU64) {
    let (key, person) = (KeyId(1), PersonId(1));
    loop {
        // Whether it is held after this many changes shows in the revision: each change is one.
        let command = match last % 2 {
            0 => Edit::Give { key, person, may_share: None, period: Period::default() },
            _ => Edit::Revoke { key, person },
        };
        match operator.carry_out(command, None).await {
            Ok(done) => last = done.revision,
            Err(ManageError::Connection(_)) => return,
            Err(other) => panic!("{other}"),
        }
        known.store(last, Ordering::SeqCst);
    }
}
