//! The client in a pseudo-terminal of its own, and the small site that most tests open with it.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use keyward_protocol::{
    client::{ClientIdentity, Connection},
    id::{KeyId, PersonId, PropertyId},
    message::manage::{CodeRow, Rows},
};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::serving::{KEYWARD, Serving, Site};

/// Nothing on the screen takes so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const SITE: &str = r#"keyward = 1

[portfolio]
name = "Row House"
managers = ["boss@example.example", "deputy@example.example"]

[[person]]
name = "Boss"
email = "boss@example.example"

[[person]]
name = "Deputy"
email = "deputy@example.example"

[[person]]
name = "Tracy Ortiz"
email = "tracy@mail.example"
cards = ["04a2b9c1d2"]

[[property]]
name = "Row House"
time_zone = "America/New_York"

  [[property.door]]
  name = "Door 1"
  kind = "entrance"

  [[property.door]]
  name = "Door 2"
  kind = "entrance"

  [[property.door]]
  name = "Door 3"
  kind = "amenity"

  [[property.key]]
  name = "Key A"
  doors = [{ door = "Door 1", schedule = "always" }, { door = "Door 2", schedule = "always" }]

  [[property.key]]
  name = "Key B"
  doors = [{ door = "Door 1", schedule = "always" }, { door = "Door 2", schedule = "always" }]

  [[property.key]]
  name = "Key C"
  doors = [{ door = "Door 1", schedule = "always" }, { door = "Door 3", schedule = "always" }]

  [[property.giving]]
  key = "Key A"
  person = "tracy@mail.example"
"#;

/// The variables that say where the client keeps what it has, and where that is in this home.
pub fn places(home: &Path) -> impl Iterator<Item = (&'static str, PathBuf)> {
    ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"].into_iter().map(|name| (name, home.join(name)))
}

/// What the client says to these arguments, without a terminal.
pub fn keyward(home: &Path, arguments: &[&str]) -> Output {
    Command::new(KEYWARD).args(arguments).stdin(Stdio::null()).envs(places(home)).output().unwrap()
}

/// The client in a terminal of its own.
pub struct Terminal {
    /// Everything that the client sent, as it was sent.
    pub sent: Vec<u8>,
    /// How the terminal was set before.
    pub modes_before: String,
    pub screen: vt100::Parser,
    bytes: Receiver<Vec<u8>>,
    keyboard: Box<dyn Write + Send>,
    pub pty: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
}

impl Terminal {
    pub fn open(home: &Path, arguments: &[&str], size: (u16, u16)) -> Terminal {
        Terminal::open_with(home, arguments, &[], size)
    }

    /// The same, with these variables in its environment.
    pub fn open_with(
        home: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
        (rows, cols): (u16, u16),
    ) -> Terminal {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(KEYWARD);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        for (name, value) in variables {
            command.env(name, value);
        }
        places(home).for_each(|(name, place)| command.env(name, place));
        let modes_before = modes(&*pair.master);
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (told, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if told.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        let sent = Vec::new();
        Terminal {
            sent,
            modes_before,
            screen: vt100::Parser::new(rows, cols, 0),
            bytes,
            keyboard,
            pty: pair.master,
            child,
        }
    }

    pub fn text(&self) -> String {
        self.screen.screen().contents()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.screen.process(bytes);
        self.sent.extend(bytes);
    }

    /// The lines of the screen that hold this, wherever the cursor's sign is.
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(text)).map(|line| line.replace('▸', " ")).collect()
    }

    /// Reads until the screen says so.
    pub fn until(&mut self, what: &str, says: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !says(&self.text()) {
            let left = end.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(_) => panic!("the screen never said {what}:\n{}", self.text()),
            }
        }
    }

    pub fn until_it_says(&mut self, text: &str) {
        self.until(text, |screen| screen.contains(text));
    }

    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// How the terminal is set now.
    pub fn modes(&self) -> String {
        modes(&*self.pty)
    }

    /// The client's process.
    pub fn process(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Reads for a while, whatever comes.
    pub fn read_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(bytes) = self.bytes.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.take(&bytes);
        }
    }

    /// Does something again and again until the screen shows what came of it: a live view shows nothing that was before it.
    pub async fn doing_until(&mut self, what: &str, there: impl Fn(&Terminal) -> bool, again: impl AsyncFn()) {
        let end = Instant::now() + PATIENCE;
        while !there(self) {
            assert!(Instant::now() < end, "the screen never showed {what}:\n{}", self.text());
            again().await;
            self.read_for(Duration::from_millis(400));
        }
    }

    /// What can be read from the screen once that has not changed for a second: nothing more is on its way.
    pub fn settled<T: PartialEq>(&mut self, read: impl Fn(&Terminal) -> T) -> T {
        loop {
            let before = read(self);
            self.read_for(Duration::from_secs(1));
            if read(self) == before {
                return before;
            }
        }
    }

    /// Presses a key until the screen says so: a review is deaf for a moment after it opens.
    pub fn press_until(&mut self, keys: &str, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.text().contains(text) {
            assert!(Instant::now() < end, "the screen never said {text}:\n{}", self.text());
            self.press(keys);
            while let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(400)) {
                self.take(&bytes);
                if self.text().contains(text) {
                    return;
                }
            }
        }
    }

    /// Quits, and gives back what the terminal was sent last.
    pub fn quit(mut self) -> Vec<u8> {
        self.press("q");
        let before = self.sent.len();
        assert_eq!(self.ended(), 0);
        self.sent.split_off(before)
    }

    /// Reads what is still sent until the client has ended; with which status it did.
    pub fn ended(&mut self) -> u32 {
        while let Ok(bytes) = self.bytes.recv_timeout(PATIENCE) {
            self.take(&bytes);
        }
        self.child.wait().unwrap().exit_code()
    }
}

/// How the terminal is set: echo, lines, signals, ends of lines.
fn modes(pty: &dyn MasterPty) -> String {
    format!("{:?}", pty.get_termios().unwrap())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A site with Tracy, and where the operator's identity lies.
pub fn site() -> (tempfile::TempDir, Site) {
    let (dir, site) = site_of(SITE);
    site.operator("boss@example.example").save(&site.root.join("boss@example.example")).unwrap();
    (dir, site)
}

/// The site that is written like this, with nobody's identity.
pub fn site_of(text: &str) -> (tempfile::TempDir, Site) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("site.toml");
    fs::write(&file, text).unwrap();
    let site = Site::at(dir.path(), file.to_str().unwrap(), "Row House");
    (dir, site)
}

pub fn open(site: &Site, serving: &Serving, size: (u16, u16)) -> Terminal {
    open_with(site, serving, &[], size)
}

pub fn open_with(site: &Site, serving: &Serving, variables: &[(&str, &str)], size: (u16, u16)) -> Terminal {
    let identity = site.root.join("boss@example.example");
    let address = serving.address.to_string();
    let arguments = ["open", "--identity", identity.to_str().unwrap(), "--address", &address];
    Terminal::open_with(&site.root, &arguments, variables, size)
}

pub async fn boss(site: &Site, serving: &Serving) -> Connection {
    let identity = ClientIdentity::load(&site.root.join("boss@example.example")).unwrap();
    Connection::connect(serving.address, &identity, Duration::from_secs(10)).await.unwrap()
}

/// Tracy's codes, and the Keys she holds.
pub async fn tracy(boss: &Connection) -> (Vec<CodeRow>, Vec<KeyId>) {
    let search = Rows { search: "tracy@mail.example".to_owned(), ..Rows::all() };
    let found: PersonId =
        boss.people(Some(PropertyId(1)), search).await.unwrap().rows.first().map_or(PersonId(2), |row| row.id);
    let detail = boss.person(found).await.unwrap();
    (detail.codes, detail.holds.iter().map(|held| held.key).collect())
}
