//! The client with settings of the user's, against a server process: what it remembers, takes back, and asks of the
//! terminal.

use std::{fs, path::Path};

use keyward_protocol::{
    entry::{Command, DoorSpec},
    id::{DoorId, KeyId, PropertyId},
    message::manage::Rows,
};

use crate::{
    harness::{Terminal, boss, keyward, site_of},
    serving::{Serving, Site, text},
};

/// What the terminal is asked for, and what gives it back.
const MOUSE: [&str; 2] = ["\x1b[?1000h", "\x1b[?1000l"];

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
"#;

/// Opens the client on the server that was joined.
fn opened(home: &Path) -> Terminal {
    Terminal::open(home, &[], (24, 80))
}

/// Waits for the end, and gives back all that the terminal was told.
fn told_until_the_end(mut terminal: Terminal) -> String {
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    text(&terminal.sent)
}

/// Where the terminal is told of the mouse, and where to tell of it no more.
fn of_the_mouse(told: &str) -> [Vec<usize>; 2] {
    MOUSE.map(|sequence| told.match_indices(sequence).map(|found| found.0).collect())
}

/// The site's server, and the home of its manager, who joined and has an identity to look beside the client too.
fn joined(site: &Site) -> (Serving, &Path) {
    site.operator("boss@example.example").save(&site.root.join("boss@example.example")).unwrap();
    let serving = site.serve();
    let token = site.token(&["operator", "--email", "boss@example.example"]).expose();
    assert!(keyward(&site.root, &["login", &token]).status.success());
    (serving, &site.root)
}

fn set(home: &Path, settings: &str) {
    let directory = home.join("XDG_CONFIG_HOME/keyward");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("config.toml"), settings).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_taken_back_and_the_next_start_goes_on_where_this_one_ended() {
    let (_dir, site) = site_of(SITE);
    let (serving, home) = joined(&site);
    set(
        home,
        "mouse = true\n[columns]\ndoors = ['labels', 'name']\n[chords]\ndoors.edit-door = 'ctrl-e'\nundo = 'f6'\n",
    );
    let boss = boss(&site, &serving).await;
    let labels = async || boss.door(DoorId(1)).await.unwrap().row.labels;

    let mut terminal = opened(home);
    terminal.until_it_says("Key A");
    terminal.press("3");
    terminal.until_it_says("LABELS");
    terminal.until_it_says("Ctrl-e edit");
    assert!(!terminal.text().contains("KIND"), "{}", terminal.text());
    // By the user's chord: labels, which have no order.
    terminal.press("\x05");
    terminal.until_it_says("EDIT Door 1");
    terminal.press("\t\t\tnorth, east");
    terminal.press("\r");
    terminal.press_until("\r", "Nobody gains or loses the door");
    terminal.press_until("\r", "edited Door 1");
    assert_eq!(labels().await, ["east", "north"]);
    // F6.
    terminal.press("\x1b[17~");
    terminal.until_it_says("UNDO EDIT Door 1");
    terminal.press_until("\r", "undone");
    assert_eq!(labels().await, Vec::<String>::new());
    // Somebody else changes it: that is not undone with it.
    terminal.press("\x1b[17~");
    terminal.until_it_says("REDO EDIT Door 1");
    terminal.press_until("\r", "done again");
    assert_eq!(labels().await, ["east", "north"]);
    let door = boss.doors(PropertyId(1), Rows::all()).await.unwrap().rows.remove(0);
    let labelled = vec!["cellar".to_owned()];
    let spec = DoorSpec { name: door.name, kind: door.kind, occupied: door.occupied, labels: labelled };
    let edit = Command::EditDoor(DoorId(1), spec);
    boss.carry_out(edit, None).await.unwrap();
    assert_eq!(labels().await, ["cellar"]);
    terminal.press("\x1b[17~");
    terminal.until_it_says("not undone: somebody changed it since");
    // A click on the second row, and the wheel; then what is remembered.
    terminal.press("\x1b[<0;6;6M\x1b[<0;6;6m");
    terminal.until_it_says("DOOR Door 2");
    terminal.press("s/Door 2\r");
    terminal.until_it_says("filter: Door 2");
    terminal.press("q");
    let [on, off] = of_the_mouse(&told_until_the_end(terminal));
    assert!(on.len() == 1 && off.len() == 1 && on < off, "{on:?} {off:?}");

    set(home, "");
    let mut terminal = opened(home);
    terminal.until_it_says("[3 Doors]");
    terminal.until_it_says("filter: Door 2");
    terminal.until_it_says("1 shown of 2 doors");
    terminal.press("q");
    let of_the_mouse = of_the_mouse(&told_until_the_end(terminal));
    assert!(of_the_mouse.iter().all(Vec::is_empty), "nobody asked for the mouse: {of_the_mouse:?}");

    // A damaged file is told in a line, and forgotten with the server.
    let state = home.join("XDG_STATE_HOME/keyward/screens/row-house.toml");
    fs::write(&state, "version = 1\nscreen = ").unwrap();
    let mut terminal = opened(home);
    terminal.until_it_says("how the screens were is not known");
    terminal.until_it_says("[1 Keys]");
    terminal.press("q");
    told_until_the_end(terminal);
    assert!(fs::read_to_string(&state).unwrap().contains("screen = \"keys\""));
    assert!(keyward(home, &["server", "remove", "row-house"]).status.success());
    assert!(!state.exists());
    serving.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_to_be_remembered_any_more_is_taken_away_and_so_is_what_a_killed_client_left() {
    let (_dir, site) = site_of(SITE);
    let (serving, home) = joined(&site);
    let state = home.join("XDG_STATE_HOME/keyward/screens");
    let mut terminal = opened(home);
    terminal.until_it_says("Key A");
    terminal.press("2/Tracy\r");
    terminal.until_it_says("filter: Tracy");
    terminal.press("q");
    told_until_the_end(terminal);
    assert!(fs::read_to_string(state.join("row-house.toml")).unwrap().contains("Tracy"));
    let left = fs::File::create(state.join("row-house.1.next")).unwrap();
    left.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3_600)).unwrap();
    set(home, "remember = false\n");
    let mut terminal = opened(home);
    terminal.until_it_says("Key A");
    terminal.press("q");
    told_until_the_end(terminal);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
    serving.terminate();
}

// K3 K11 U8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_lockdowns_and_suspensions_are_taken_back_as_the_server_had_them() {
    let (_dir, site) = site_of(SITE);
    let (serving, home) = joined(&site);
    let boss = boss(&site, &serving).await;
    let key = async || boss.key(KeyId(1)).await.unwrap();
    let lockdowns = async || boss.property(PropertyId(1)).await.unwrap().lockdowns.len();
    let mut everybody = boss.people(None, Rows::all()).await.unwrap().rows;
    everybody.retain(|row| row.name.starts_with("Tracy"));
    let tracy = everybody.pop().unwrap().id;
    let suspended = async || boss.person(tracy).await.unwrap().row.suspended;

    let mut terminal = opened(home);
    terminal.until_it_says("2 (2 listed)");
    let before = key().await;
    terminal.press("e");
    terminal.until_it_says("DRAFT");
    // No code at Door 1.
    terminal.press("e");
    terminal.until_it_says("Door code");
    terminal.press("\t\x1b[C");
    terminal.until_it_says("< no code here >");
    terminal.press("\t\r");
    terminal.until_it_says("NOT SAVED");
    terminal.press("s");
    terminal.until_it_says("EDIT \"Key A\"");
    terminal.press_until("\r", "edited \"Key A\"");
    assert_ne!(key().await.listed, before.listed);
    terminal.press("u");
    terminal.until_it_says("UNDO EDIT \"Key A\"");
    terminal.press_until("\r", "undone");
    assert_eq!(key().await.listed, before.listed);
    terminal.press("u");
    terminal.until_it_says("REDO EDIT \"Key A\"");
    terminal.press("\x1b");
    terminal.until_it_says("Enter open");

    terminal.press("3");
    terminal.until_it_says("Door 2");
    terminal.press("L");
    terminal.until_it_says("these doors");
    terminal.press("\t\t\t\r");
    terminal.until_it_says("Type  LOCK DOWN");
    terminal.press_until("L", "confirm: > L");
    terminal.press("OCK DOWN\r");
    terminal.until_it_says("locked down Door 1");
    assert_eq!(lockdowns().await, 1);
    terminal.press("u");
    terminal.until_it_says("UNDO LOCK DOWN Door 1");
    terminal.press_until("\r", "undone");
    assert_eq!(lockdowns().await, 0);

    terminal.press("2");
    terminal.until_it_says("[2 People]");
    terminal.press("a");
    terminal.until_it_says("Tracy Ortiz");
    terminal.press("/Tracy\r");
    terminal.until_it_says("1 shown of");
    terminal.press("S");
    terminal.until_it_says("SUSPEND Tracy Ortiz");
    terminal.press_until("\r", "suspended Tracy Ortiz");
    assert!(suspended().await);
    terminal.press("u");
    terminal.until_it_says("UNDO SUSPEND Tracy Ortiz");
    terminal.press_until("\r", "undone");
    assert!(!suspended().await);
    terminal.press("q");
    told_until_the_end(terminal);
    serving.terminate();
}

#[test]
fn a_panic_gives_the_mouse_back_to_the_terminal_where_it_was_asked_for() {
    for (settings, asked) in [("mouse = true\n", true), ("", false)] {
        let home = tempfile::tempdir().unwrap();
        set(home.path(), settings);
        let variables = [("KEYWARD_UNDER_TEST_PANIC", "here"), ("RUST_BACKTRACE", "0")];
        let mut terminal = Terminal::open_with(home.path(), &[], &variables, (24, 80));
        assert_eq!(terminal.ended(), 101);
        let told = text(&terminal.sent);
        assert!(told.contains("WELCOME") && told.contains("a test lets the screen fall"), "{told:?}");
        let [on, off] = of_the_mouse(&told);
        let expected = usize::from(asked);
        assert!(on.len() == expected && off.len() == expected && on <= off, "{settings:?}: {on:?} {off:?} in {told:?}");
        let fell = told.find("a test lets the screen fall");
        assert!(off.iter().all(|off| Some(*off) < fell), "before it is said what happened: {told:?}");
        assert_eq!(terminal.screen.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    }
}

#[test]
fn settings_that_cant_be_are_told_before_anything_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let cases = [
        ("\n[chords]\n\"keys.giv\" = \"g\"", "line 3: there is no command `keys.giv`: did you mean `keys.give`?"),
        ("[chords]\nsort = 'ctlr-o'", "line 2: `sort`: there is no chord `ctlr-o`: did you mean `ctrl-o`?"),
        ("[chords]\nsort = 'y'", "line 2: on the Keys screen `y` would stand for both `sort` and `copy`"),
        ("[columns]\nkeys = ['nmae']", "line 2: there is no column of `keys` `nmae`: did you mean `name`?"),
    ];
    for (settings, told) in cases {
        set(home.path(), settings);
        let output = keyward(home.path(), &[]);
        assert!(
            !output.status.success() && text(&output.stderr).contains(told),
            "{settings}: {}",
            text(&output.stderr)
        );
    }
    // What is printed as settings is read as settings.
    set(home.path(), "[chords]\nsort = 'ctrl-o'\n");
    let printed = text(&keyward(home.path(), &["settings"]).stdout);
    assert!(printed.contains("\"sort\" = \"ctrl-o\""), "{printed}");
    set(home.path(), &printed);
    assert_eq!(text(&keyward(home.path(), &["settings"]).stdout), printed);
}
