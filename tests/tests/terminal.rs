//! The terminal client as an operator runs it: a process in a pseudo-terminal, against a server process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

mod serving;

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use keyward_protocol::{
    client::{ClientIdentity, Connection},
    id::{KeyId, PersonId, PropertyId},
    message::manage::{CodeRow, Rows},
};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use serving::{KEYWARD, SERVER, Serving, Site, run, text};

/// Nothing on the screen takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

const SITE: &str = r#"keyward = 1

[portfolio]
name = "Row House"
managers = ["boss@example.example"]

[[person]]
name = "Boss"
email = "boss@example.example"

[[person]]
name = "Tracy Ortiz"
email = "tracy@mail.example"

[[property]]
name = "Row House"
time_zone = "America/New_York"

  [[property.door]]
  name = "Door 1"
  kind = "entrance"

  [[property.door]]
  name = "Door 2"
  kind = "entrance"

  [[property.key]]
  name = "Key A"
  doors = [{ door = "Door 1", schedule = "always" }, { door = "Door 2", schedule = "always" }]

  [[property.key]]
  name = "Key B"
  doors = [{ door = "Door 1", schedule = "always" }, { door = "Door 2", schedule = "always" }]

  [[property.giving]]
  key = "Key A"
  person = "tracy@mail.example"
"#;

/// The client in a terminal of its own.
struct Terminal {
    screen: vt100::Parser,
    bytes: Receiver<Vec<u8>>,
    keyboard: Box<dyn Write + Send>,
    pty: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
}

impl Terminal {
    fn open(home: &Path, arguments: &[&str], (rows, cols): (u16, u16)) -> Terminal {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(KEYWARD);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        for place in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            command.env(place, home.join(place));
        }
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
        Terminal { screen: vt100::Parser::new(rows, cols, 0), bytes, keyboard, pty: pair.master, child }
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Reads until the screen says so.
    fn until(&mut self, what: &str, says: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !says(&self.text()) {
            let left = end.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(_) => panic!("the screen never said {what}:\n{}", self.text()),
            }
        }
    }

    fn until_it_says(&mut self, text: &str) {
        self.until(text, |screen| screen.contains(text));
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Presses a key until the screen says so: a review is deaf for a moment after it opens.
    fn press_until(&mut self, keys: &str, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.text().contains(text) {
            assert!(Instant::now() < end, "the screen never said {text}:\n{}", self.text());
            self.press(keys);
            while let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(400)) {
                self.screen.process(&bytes);
                if self.text().contains(text) {
                    return;
                }
            }
        }
    }

    /// Quits, and gives back what the terminal was sent last.
    fn quit(mut self) -> Vec<u8> {
        self.press("q");
        let mut rest = Vec::new();
        while let Ok(bytes) = self.bytes.recv_timeout(PATIENCE) {
            rest.extend(bytes);
        }
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A site with Tracy, and where the operator's identity lies.
fn site() -> (tempfile::TempDir, Site) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("site.toml");
    fs::write(&file, SITE).unwrap();
    let site = Site::at(dir.path(), file.to_str().unwrap(), "Row House");
    site.operator("boss@example.example").save(&site.root.join("boss@example.example")).unwrap();
    (dir, site)
}

fn open(site: &Site, serving: &Serving, size: (u16, u16)) -> Terminal {
    let identity = site.root.join("boss@example.example");
    let address = serving.address.to_string();
    Terminal::open(&site.root, &["open", "--identity", identity.to_str().unwrap(), "--address", &address], size)
}

async fn boss(site: &Site, serving: &Serving) -> Connection {
    let identity = ClientIdentity::load(&site.root.join("boss@example.example")).unwrap();
    Connection::connect(serving.address, &identity, Duration::from_secs(10)).await.unwrap()
}

/// Tracy's codes, and the Keys she holds.
async fn tracy(boss: &Connection) -> (Vec<CodeRow>, Vec<KeyId>) {
    let search = Rows { search: "tracy@mail.example".to_owned(), ..Rows::all() };
    let found: PersonId =
        boss.people(Some(PropertyId(1)), search).await.unwrap().rows.first().map_or(PersonId(2), |row| row.id);
    let detail = boss.person(found).await.unwrap();
    (detail.codes, detail.holds.iter().map(|held| held.key).collect())
}

// C4 C5 K9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_keeps_her_codes_and_a_revoke_deletes_them_only_when_that_was_typed() {
    let (_dir, site) = site();
    let serving = site.serve();
    let boss = boss(&site, &serving).await;
    let (codes, held) = tracy(&boss).await;
    assert_eq!((codes.len(), held.len()), (2, 1));

    let mut terminal = open(&site, &serving, (24, 80));
    terminal.until_it_says("Key B");
    terminal.press("\r");
    terminal.until_it_says("Tracy Ortiz");
    terminal.press("m");
    terminal.until_it_says("To Key");
    terminal.press("Key B");
    terminal.press("\r");
    terminal.until_it_says("< as the Key says");
    terminal.press("\r\r\r\r");
    terminal.until_it_says("KEEPS CODE");
    terminal.press_until("\r", "moved Tracy Ortiz to \"Key B\"");
    let (moved, now_held) = tracy(&boss).await;
    assert_eq!(moved, codes, "the same ids are the same digits");
    assert!(now_held.len() == 1 && now_held != held);

    // Back to the list, to Key B, and take it from her.
    terminal.press("\x1b");
    terminal.until("the list of Keys", |screen| screen.contains("Key A") && screen.contains("SEEN USED"));
    terminal.press("jj\r");
    terminal.until_it_says("Tracy Ortiz");
    terminal.press("r");
    terminal.until_it_says("Type  DELETE 2  to confirm");
    terminal.press_until("D", "confirm: > D");
    terminal.press("ELETE 1\r");
    terminal.until_it_says("nothing was changed: type DELETE 2");
    assert_eq!(tracy(&boss).await.0, codes, "nothing was changed");
    terminal.press("\x7f2\r");
    terminal.until_it_says("revoked \"Key B\" from Tracy Ortiz");
    let (codes, held) = tracy(&boss).await;
    assert_eq!((codes, held), (Vec::new(), Vec::new()));

    terminal.press("\x1b");
    terminal.until_it_says("SEEN USED");
    let rest = terminal.quit();
    let text = String::from_utf8_lossy(&rest);
    assert!(text.contains("\x1b[?1049l") && text.contains("\x1b[?25h"), "the terminal is given back: {text:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_outlives_its_server_and_follows_the_size_of_its_terminal() {
    let (_dir, site) = site();
    let serving = site.serve();
    let mut terminal = open(&site, &serving, (24, 80));
    terminal.until_it_says("Key B");
    serving.kill();
    terminal.press("R");
    terminal.until_it_says("[DOWN");
    assert!(terminal.text().contains("Key B"), "what was told stays");
    let size = PtySize { rows: 12, cols: 40, pixel_width: 0, pixel_height: 0 };
    terminal.pty.resize(size).unwrap();
    terminal.screen.screen_mut().set_size(12, 40);
    terminal.until("the small screen", |screen| screen.lines().next().is_some_and(|line| line.starts_with(" [DOWN")));
    assert!(terminal.text().contains("Key B"));
    terminal.quit();
}

#[test]
fn without_a_server_the_client_says_what_to_do_next() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(home.path(), &[], (24, 80));
    terminal.until_it_says("keyward login TOKEN");
    terminal.until_it_says("keyward demo");
    terminal.quit();
}

// M7
#[test]
fn login_joins_once_and_the_client_opens_what_was_joined_until_it_is_disabled() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("site.toml");
    fs::write(&file, SITE).unwrap();
    let site = Site::at(dir.path(), file.to_str().unwrap(), "Row House");
    let serving = site.serve();
    let token = site.token(&["operator", "--email", "boss@example.example"]).expose();
    let keyward = |arguments: &[&str]| {
        let mut command = Command::new(KEYWARD);
        command.args(arguments).stdin(Stdio::null());
        for place in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            command.env(place, site.root.join(place));
        }
        command.output().unwrap()
    };
    let joined = keyward(&["login", &token]);
    assert!(joined.status.success(), "{}", text(&joined.stderr));
    assert!(text(&joined.stdout).contains("You are Boss of Row House") && text(&joined.stdout).contains("`row-house`"));
    assert!(!text(&joined.stdout).contains(token.as_str()), "a token is not shown again");
    let again = keyward(&["login", &token]);
    assert!(!again.status.success() && text(&again.stderr).contains("was used or revoked"), "{}", text(&again.stderr));
    let nonsense = keyward(&["login", "kwj1.abc"]);
    assert!(text(&nonsense.stderr).contains("copy all of it"), "{}", text(&nonsense.stderr));
    assert!(text(&keyward(&["server", "list"]).stdout).starts_with("* row-house"));

    let mut terminal = Terminal::open(&site.root, &[], (24, 80));
    terminal.until_it_says("Key B");
    let data = site.data();
    let data = data.to_str().unwrap();
    let identities = text(&run(SERVER, &["identity", "list", "--data", data]).stdout);
    let own = identities.lines().find(|line| line.contains("operator")).unwrap();
    assert!(own.contains("boss@example.example") && own.contains("connected from"), "{own}");
    let number = own.split_whitespace().next().unwrap();
    assert!(run(SERVER, &["identity", "disable", "--data", data, number]).status.success());
    terminal.until_it_says("DOWN");
    terminal.quit();
    serving.terminate();
}
