//! What the terminal is sent: colours only where they are wanted, and names that steer nothing.

use std::time::Duration;

use keyward_protocol::{
    client::{self, Connection, JoinAs, ManageError},
    code::{Card, Credential},
    entry::{
        Command as Edit, DoorKind, DoorSpec, Holiday, KeyDoor, KeySpec, Level, LockScope, Opening, Period, PersonSpec,
        ScheduleRef,
    },
    id::{DoorId, PropertyId},
    message::{audit::AuditSearch, manage::Made},
    schedule::Hours,
    time::Date,
};

use crate::{
    harness::{Terminal, boss, open, open_with, site},
    serving::{connect, text},
};

/// The parameters of every SGR sequence.
fn graphics(sent: &[u8]) -> Vec<u32> {
    let text = text(sent);
    let sequences = text.split("\x1b[").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, ';' | ':')))?;
        rest[end..].starts_with('m').then(|| rest[..end].to_owned())
    });
    sequences.flat_map(|all| all.split([';', ':']).map(|one| one.parse().unwrap_or(0)).collect::<Vec<u32>>()).collect()
}

/// Whether a parameter names a colour. 39, 49 and 59 say that there is none.
fn is_colour(parameter: &u32) -> bool {
    matches!(parameter, 30..=38 | 40..=48 | 58 | 90..=97 | 100..=107)
}

/// The rows of the screen that are reversed from end to end of the list.
fn reversed(terminal: &Terminal) -> Vec<u16> {
    let screen = terminal.screen.screen();
    let (rows, cols) = screen.size();
    let is = |row: &u16| (1..cols - 1).all(|col| screen.cell(*row, col).is_some_and(vt100::Cell::inverse));
    (0..rows).filter(is).collect()
}

// L3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_colours_the_row_under_the_cursor_is_reversed_and_no_colour_is_sent() {
    let (_dir, site) = site();
    let serving = site.serve();
    let lock = connect(&site, &serving).await;
    for (no_color, coloured) in [("1", false), ("", true)] {
        let mut terminal = open_with(&site, &serving, &[("NO_COLOR", no_color)], (24, 80));
        terminal.until_it_says("Key B");
        terminal.settled(|terminal| terminal.lines_with("Key A"));
        let under_cursor = |terminal: &Terminal, name: &str| {
            let row = terminal.text().lines().position(|line| line.contains(name)).unwrap();
            assert_eq!(reversed(terminal), [u16::try_from(row).unwrap()], "{}", terminal.text());
        };
        under_cursor(&terminal, "▸Key A");
        terminal.press("j");
        terminal.until_it_says("▸Key B");
        under_cursor(&terminal, "▸Key B");
        // Denied checks are red, where anything is.
        terminal.press("4");
        let row = |terminal: &Terminal| !terminal.lines_with("unknown_credential").is_empty();
        terminal.doing_until("a denied check", row, async || shows(&lock, DoorId(1), "ffffffff").await).await;
        assert_eq!(reversed(&terminal).len(), 1, "{}", terminal.text());
        let sent = terminal.sent.clone();
        terminal.quit();
        let sent = graphics(&sent);
        assert!(sent.contains(&7), "something is reversed: {sent:?}");
        assert_eq!(sent.iter().any(is_colour), coloured, "{sent:?}");
    }
}

async fn shows(lock: &Connection, door: DoorId, card: &str) {
    lock.check(door, Credential::Card(Card::parse_hex(card).unwrap())).await;
}

/// Whether a character shows nothing, or changes how others are shown: it has no business on a terminal.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}')
        || matches!(c, '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
        || matches!(c, '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}')
        || matches!(c, '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// What was drawn, without the sequences that the client itself draws with: places, looks, modes, and clearing. Fails
/// where there is another one.
fn drawn(sent: &[u8]) -> String {
    let text = std::str::from_utf8(sent).expect("what is sent is UTF-8");
    let mut drawn = String::new();
    let mut parts = text.split('\x1b');
    drawn.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let rest = part.strip_prefix('[').unwrap_or_else(|| panic!("no sequence of ours: {part:?}"));
        let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, ';' | '?'))).unwrap();
        assert!(rest[end..].starts_with(['H', 'm', 'h', 'l', 'J']), "no sequence of ours: {part:?}");
        drawn.push_str(&rest[end + 1..]);
    }
    drawn
}

/// What steers terminals and turns text around.
const STEERS: &str = "\u{1b}[2J\u{202e}\u{9b}31m\u{1b}]0;owned\u{7}\u{2066}";
/// What shows nothing: two names can differ by it alone.
const SHOWS_NOTHING: &str = "\u{200d}\u{e0041}\u{200b}\u{2060}\u{ad}";

fn person(name: &str, email: &str) -> PersonSpec {
    let note = Some(format!("first\nsecond{SHOWS_NOTHING}"));
    let cards = vec![Card::parse_hex("0badcafe").unwrap()];
    PersonSpec { name: name.to_owned(), email: email.to_owned(), phone: None, note, cards }
}

async fn made(boss: &Connection, command: Edit) -> Option<Made> {
    boss.carry_out(command, None).await.unwrap().made
}

// M7 C8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_would_steer_the_terminal_or_hide_in_it_are_drawn_harmlessly_on_every_screen() {
    let (_dir, site) = site();
    let serving = site.serve();
    let boss = boss(&site, &serving).await;
    let property = PropertyId(1);
    let named = |name: &str| format!("{name}{SHOWS_NOTHING}!");
    let always = Opening { schedule: ScheduleRef::Always, code: true };
    let door = |name: String| DoorSpec { name, kind: DoorKind::Office, occupied: false, labels: vec![named("Attic")] };
    let key = |name: String, doors: &[DoorId]| {
        let doors = doors.iter().map(|door| KeyDoor { door: *door, opening: always }).collect();
        KeySpec { name, may_share: true, doors, rules: Vec::new() }
    };

    // What steers is not let in at all, whoever enters it.
    for command in [
        Edit::MakePerson(person(&format!("Eve{STEERS}"), "eve@mail.example")),
        Edit::MakePerson(person("Eve", &format!("eve{STEERS}@mail.example"))),
        Edit::MakePerson(PersonSpec { note: Some(STEERS.to_owned()), ..person("Eve", "eve@mail.example") }),
        Edit::MakeDoor(property, door(format!("Den{STEERS}"))),
        Edit::MakeKey(property, key(format!("Keep{STEERS}"), &[DoorId(1)])),
        Edit::MakeLock { name: format!("Lid{STEERS}"), scope: LockScope::Property(property) },
    ] {
        let refused = boss.carry_out(command.clone(), None).await;
        assert!(matches!(refused, Err(ManageError::Refused(_))), "{command:?}: {refused:?}");
    }

    // What only hides is: it stands in names that people have.
    let Some(Made::Person(eve)) = made(&boss, Edit::MakePerson(person(&named("Eve"), "eve@mail.example"))).await else {
        panic!("a person is made")
    };
    let Some(Made::Person(guest)) =
        made(&boss, Edit::MakePerson(PersonSpec { cards: Vec::new(), ..person(&named("Gil"), "gil@mail.example") }))
            .await
    else {
        panic!("a person is made")
    };
    let Some(Made::Door(den)) = made(&boss, Edit::MakeDoor(property, door(named("Den")))).await else {
        panic!("a door is made")
    };
    made(&boss, Edit::MakeSchedule(property, named("Nights"), Hours::default())).await;
    let day = Date { year: 2026, month: 12, day: 24 };
    let feast = Holiday { name: named("Feast"), from: day, to: day };
    made(&boss, Edit::SetHolidays(property, vec![feast])).await;
    let Some(Made::Key(keep)) = made(&boss, Edit::MakeKey(property, key(named(" Keep"), &[den]))).await else {
        panic!("a Key is made")
    };
    let give = Edit::Give { key: keep, person: eve, may_share: Some(true), period: Period::default() };
    made(&boss, give).await;
    let share = Edit::Share { key: keep, host: eve, guest, doors: None, period: Period::default() };
    made(&boss, share).await;
    made(&boss, Edit::SetLevel(property, eve, Some(Level::Specific(vec![keep])))).await;
    made(&boss, Edit::MakeLock { name: named("Lid"), scope: LockScope::Doors(vec![den]) }).await;
    // Eve's own client says what it likes: the audit trail has that she was refused, and not what she would have written.
    let token = site.token(&["operator", "--email", "eve@mail.example"]);
    let patience = Duration::from_secs(20);
    let label = named("Eve's machine");
    let eve_identity =
        client::join(serving.address, &token, JoinAs::Operator, &label, patience).await.unwrap().identity;
    let eve_there = Connection::connect(serving.address, &eve_identity, patience).await.unwrap();
    let refused = eve_there.carry_out(Edit::EditKey(keep, key(format!("Eve's {STEERS}"), &[den])), None).await;
    assert!(matches!(refused, Err(ManageError::Refused(_))), "{refused:?}");
    let trail = boss.search_audit(AuditSearch { refused: Some(true), ..AuditSearch::newest(9) }).await.unwrap();
    assert!(trail.rows.iter().any(|row| row.name.contains("Eve")), "{trail:?}");
    assert!(!format!("{trail:?}").contains("owned"), "{trail:?}");

    let lock = connect(&site, &serving).await;
    let mut terminal = open(&site, &serving, (24, 80));
    terminal.until_it_says("Key B");
    // The live view is there once a row is.
    terminal.press("4");
    let row = |terminal: &Terminal| !terminal.lines_with("Eve").is_empty();
    terminal.doing_until("a row of Eve's", row, async || shows(&lock, den, "0badcafe").await).await;
    // Chords, what the screen then says, and how it is left.
    for (chords, says, leave) in [
        (" \r", "Eve", "\x1b"),
        ("x", "Den", "\x1b"),
        ("T", "When", "\x1b"),
        ("1", "Keep", ""),
        ("v", "Eve", "q"),
        ("S", "Nights", ""),
        ("e", "[ Continue ]", "\x1b"),
        ("\t", "Feast", ""),
        ("e", "Last day", "\x1b"),
        ("q", "SEEN USED", ""),
        ("/Keep\r\r", "Eve", ""),
        ("r", "LOSES CODE", "\x1b"),
        ("m", "To Key", "\x1b"),
        ("q", "SEEN USED", ""),
        ("D", "Eve", "\x1b"),
        ("e", "Keep", "q"),
        ("g", "Person", "Eve"),
        ("\x1b\x1b\x1b", "SEEN USED", ""),
        ("2", "Eve", ""),
        ("/Eve\r\r", "Gil", "q"),
        ("x", "EXPLAIN", "Den"),
        ("\r\r\r\r", "WHY: Eve", "q"),
        ("2T", "Good for", "\r"),
        ("\r", "Whoever joins", "\r"),
        ("", "TOKEN for", "\x1b"),
        ("3", "Den", ""),
        ("/Den\r\r", "Eve", "q"),
        ("5", "Eve", ""),
        ("/Eve\r\r", "CONTACT", ""),
        ("\t", "machine", "q"),
        ("6", "Lid", ""),
        ("7", "Eve", ""),
        (":", "COMMAND", "\x1b"),
        ("?", "HELP", "\x1b"),
    ] {
        terminal.press(chords);
        terminal.until(&format!("{says} after {chords:?}"), |screen| screen.contains(says));
        terminal.read_for(Duration::from_millis(300));
        terminal.press(leave);
        terminal.read_for(Duration::from_millis(300));
    }
    let drawn = drawn(&terminal.sent);
    let bad: Vec<char> = drawn.chars().filter(|c| is_invisible(*c)).collect();
    assert!(bad.is_empty(), "{bad:?} in {drawn:?}");
    for name in ["Eve", "Nights", "Feast", "TOKEN for Eve"] {
        assert!(drawn.contains(&format!("{name}\u{fffd}")), "what hides in {name} is seen: {drawn:?}");
    }
    terminal.press("\x03\x03");
    assert_eq!(terminal.ended(), 0);
}
