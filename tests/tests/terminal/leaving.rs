//! How the client begins where there is nothing to show, and how it gives the terminal back.

use crate::{
    harness::{SITE, Terminal, keyward, site, site_of},
    serving::{SERVER, run, text},
};

#[test]
fn without_a_server_the_client_says_what_to_do_next() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(home.path(), &[], (24, 80));
    terminal.until_it_says("keyward login TOKEN");
    terminal.until_it_says("keyward demo");
    terminal.quit();
}

/// Fails unless the terminal is as it was before the client came: what the screen says then, in lines.
fn given_back(terminal: &Terminal) -> Vec<String> {
    let screen = terminal.screen.screen();
    assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
    assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    assert_eq!(terminal.modes(), terminal.modes_before, "raw mode is off");
    screen.contents().lines().map(str::to_owned).collect()
}

/// The client has the terminal: without this, giving it back would prove nothing.
fn taken(terminal: &Terminal) {
    let screen = terminal.screen.screen();
    assert!(screen.alternate_screen() && screen.hide_cursor());
    assert_ne!(terminal.modes(), terminal.modes_before, "raw mode is on");
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_says_what_happened() {
    let home = tempfile::tempdir().unwrap();
    let variables = [("KEYWARD_UNDER_TEST_PANIC", "here"), ("RUST_BACKTRACE", "0")];
    let mut terminal = Terminal::open_with(home.path(), &[], &variables, (24, 80));
    assert_eq!(terminal.ended(), 101);
    let sent = text(&terminal.sent);
    let (drawn, after) = sent.split_once("\x1b[?1049l").expect("it leaves the alternate screen");
    assert!(drawn.contains("\x1b[?1049h") && drawn.contains("WELCOME"), "{drawn:?}");
    assert!(!drawn.contains("a test lets"), "it was told on the screen that is gone: {drawn:?}");
    assert!(after.contains("a test lets the screen fall"), "{after:?}");
    let lines = given_back(&terminal);
    assert!(lines.iter().any(|line| line.contains("a test lets the screen fall")), "{lines:?}");
    // Each line begins at the left: raw mode was off when it was written.
    assert!(lines.iter().any(|line| line.starts_with("note: run with `RUST_BACKTRACE=1`")), "{lines:?}");
}

#[test]
fn a_panic_of_another_thread_leaves_the_screen_alone_and_is_told_when_it_is_left() {
    let home = tempfile::tempdir().unwrap();
    let variables = [("KEYWARD_UNDER_TEST_PANIC", "elsewhere"), ("RUST_BACKTRACE", "0")];
    let mut terminal = Terminal::open_with(home.path(), &[], &variables, (24, 80));
    terminal.until_it_says("No server is known yet");
    // The clock goes on: it is drawn after the panic, and nothing of that is on the screen.
    let drawn = terminal.text();
    terminal.until("a later second", |screen| screen != drawn);
    taken(&terminal);
    assert!(!terminal.text().contains("a test lets"), "{}", terminal.text());
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    let lines = given_back(&terminal);
    assert!(lines.iter().any(|line| line.contains("a test lets another thread fall")), "{lines:?}");
}

#[test]
fn ctrl_c_quits_when_it_is_pressed_twice_and_gives_the_terminal_back() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(home.path(), &[], (24, 80));
    terminal.until_it_says("No server is known yet");
    taken(&terminal);
    terminal.press("\x03");
    terminal.until_it_says("Ctrl-c again quits");
    // Something else in between, and it is forgotten.
    terminal.press("j");
    terminal.until("what else there is", |screen| !screen.contains("Ctrl-c again quits"));
    terminal.press("\x03");
    terminal.until_it_says("Ctrl-c again quits");
    taken(&terminal);
    terminal.press("\x03");
    assert_eq!(terminal.ended(), 0);
    given_back(&terminal);
}

#[test]
fn what_ends_the_process_from_outside_gives_the_terminal_back() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::open(home.path(), &[], (24, 80));
    terminal.until_it_says("No server is known yet");
    taken(&terminal);
    assert!(run("kill", &["-TERM", &terminal.process().to_string()]).status.success());
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    given_back(&terminal);
}

#[test]
fn a_wrong_word_and_an_address_where_nobody_answers_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, hint) in [
        (&["--glyph", "ascii"][..], "'--glyphs'"),
        (&["sever", "list"], "'server'"),
        (&["--glyphs", "colour"], "[possible values: auto, ascii, unicode]"),
        (&["open"], "--identity <DIR>"),
        (&["--server", "nowhere"], "nowhere"),
        (&["open", "--identity", "/nowhere", "--address", "127.0.0.1:1"], "/nowhere"),
    ] {
        let mut terminal = Terminal::open(dir.path(), arguments, (24, 80));
        assert_ne!(terminal.ended(), 0, "{arguments:?}");
        assert!(terminal.text().contains(hint), "{arguments:?}: {}", terminal.text());
        assert!(!text(&terminal.sent).contains("\x1b[?1049h"), "{arguments:?}: there is nothing to show");
    }

    // Nothing listens at an address that was just let go.
    let (_dir, site) = site();
    let serving = site.serve();
    let address = serving.address.to_string();
    serving.kill();
    let identity = site.root.join("boss@example.example");
    let arguments = ["open", "--identity", identity.to_str().unwrap(), "--address", &address];
    let mut terminal = Terminal::open(&site.root, &arguments, (24, 80));
    terminal.until_it_says("[DOWN");
    terminal.until_it_says("R connects anew");
    assert!(terminal.text().contains(&address), "which server is meant: {}", terminal.text());
    terminal.quit();
}

// M7
#[test]
fn login_joins_once_and_the_client_opens_what_was_joined_until_it_is_disabled() {
    let (_dir, site) = site_of(SITE);
    let serving = site.serve();
    let token = site.token(&["operator", "--email", "boss@example.example"]).expose();
    let keyward = |arguments: &[&str]| keyward(&site.root, arguments);
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
