//! The terminal client as an operator runs it: a process in a pseudo-terminal, against a server process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

#[path = "terminal/harness.rs"]
mod harness;
mod serving;

use std::{
    fs,
    process::{Command, Stdio},
};

use harness::{SITE, Terminal, boss, open, site, tracy};
use portable_pty::PtySize;
use serving::{KEYWARD, SERVER, Site, run, text};

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
