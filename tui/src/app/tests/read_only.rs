//! What events make of the client while nothing is to be changed from it.

use super::{screen::tables, *};
use crate::keymap::GLOBAL;

/// By screen and table, the chords that lead to where the table is in force.
const PLACES: [(ScreenId, usize, &str); 16] = [
    (ScreenId::Keys, 0, "1"),
    (ScreenId::Keys, 0, "1\n"),
    (ScreenId::Keys, 1, "1e"),
    (ScreenId::Keys, 2, "1S"),
    (ScreenId::Keys, 3, "1v"),
    (ScreenId::People, 0, "2"),
    (ScreenId::People, 0, "2\n\t\t\t"),
    (ScreenId::Doors, 0, "3"),
    (ScreenId::Logs, 0, "4"),
    (ScreenId::Logs, 1, "4T\n\n"),
    (ScreenId::Logs, 2, "4x"),
    (ScreenId::Managers, 0, "5"),
    (ScreenId::Managers, 1, "5\n"),
    (ScreenId::Managers, 2, "5\n\t"),
    (ScreenId::Managers, 3, "5kk\nc>>\n\n"),
    (ScreenId::Locks, 0, "6"),
];
/// The same for places that differ by what is listed.
const MORE: [(ScreenId, usize, &str); 4] = [
    (ScreenId::Logs, 3, "4i"),
    (ScreenId::Locks, 1, "6\t"),
    (ScreenId::Locks, 2, "6nGarage 2\n\n>\n\n\n"),
    (ScreenId::Audit, 0, "7"),
];

fn places() -> impl Iterator<Item = (ScreenId, usize, &'static str)> {
    PLACES.into_iter().chain(MORE)
}

/// The client after these chords, and then by this choice.
fn at(chords: &str, read_only: ReadOnly) -> Client {
    let mut client = Client::new(Glyphs::ASCII, 120, 40);
    client.tell(batch());
    client.chords(chords);
    client.app.shell.read_only = read_only;
    client
}

/// Presses the chord of a row; a row without one is called for by its name.
fn call(client: &mut Client, row: &Binding) {
    match row.chords.first() {
        Some(chord) => client.tell(Event::Key(chord.key())),
        None => client.chords(&format!("{}\n", row.shown)),
    }
}

/// What went out that changes something, or that the audit trail has.
fn traces(client: &Client) -> usize {
    client.asked.iter().filter(|asked| matches!(asked, Request::Do { .. } | Request::Reveal(_))).count()
}

/// Whether something is under way that ends with a change.
fn is_writing(client: &Client) -> bool {
    let draft = client.drawn().contains("DRAFT");
    draft || traces(client) > 0 || matches!(client.app.dialog(), Some(Dialog::Review(_) | Dialog::Week(_)))
}

/// Fills in what opened, with what stands there.
fn fill_in(client: &mut Client) {
    for _ in 0..12 {
        if matches!(client.app.dialog(), Some(Dialog::Form(_))) {
            client.key(KeyCode::Enter);
        }
    }
}

#[test]
fn every_table_of_every_screen_is_among_the_places() {
    for screen in ScreenId::ALL {
        for (number, table) in tables(screen).iter().enumerate() {
            let place = places().find(|(of, at, _)| (*of, *at) == (screen, number));
            let (_, _, chords) = place.unwrap_or_else(|| panic!("{screen:?}: table {number} has no place"));
            let client = at(chords, ReadOnly::Off);
            let actions = |table: &[Binding]| table.iter().map(|row| row.action).collect::<Vec<_>>();
            assert!(client.app.dialog().is_none(), "{chords:?}\n{}", client.drawn());
            assert_eq!(actions(client.app.screen().bindings()), actions(table), "{chords:?}\n{}", client.drawn());
        }
    }
}

#[test]
fn every_act_that_writes_is_refused_with_the_reason_and_nothing_opens_or_goes_out() {
    let mut refused = 0;
    for (screen, number, chords) in places() {
        let rows = tables(screen).get(number).copied().unwrap_or_default().iter().chain(GLOBAL);
        for row in rows.filter(|row| row.writes) {
            let mut client = at(chords, ReadOnly::Chosen);
            let there = client.app.bindings().iter().any(|bound| bound.row.action == row.action);
            if !there {
                continue;
            }
            let why = client.app.forbidden(row.action).unwrap_or_default();
            assert!(why.starts_with("read-only: "), "{screen:?} {:?}: {why:?}", row.action);
            let (before, asked) = (client.app.screen().crumbs(), client.asked.len());
            call(&mut client, row);
            let said = client.app.shell.notice.as_ref().map(|notice| notice.text.as_str());
            assert_eq!(said, Some(why.as_str()), "{screen:?} {:?}\n{}", row.action, client.drawn());
            assert!(client.app.dialog().is_none(), "{screen:?} {:?}\n{}", row.action, client.drawn());
            assert_eq!(client.app.screen().crumbs(), before, "{screen:?} {:?}", row.action);
            assert_eq!(client.asked.len(), asked, "{screen:?} {:?}", row.action);
            refused += 1;
        }
    }
    assert!(refused > 60, "{refused}");
}

#[test]
fn what_is_not_said_to_write_leads_to_no_change() {
    for (screen, number, chords) in places() {
        let rows = tables(screen).get(number).copied().unwrap_or_default().iter().chain(GLOBAL);
        for row in rows.filter(|row| !row.writes) {
            let mut client = at(chords, ReadOnly::Off);
            let enters = client.app.screen().enters().is_some() && row.action == Action::Open;
            let there = client.app.bindings().iter().any(|bound| bound.row.action == row.action);
            // In a draft all is on its way to a change already.
            if enters || !there || is_writing(&client) {
                continue;
            }
            call(&mut client, row);
            fill_in(&mut client);
            assert!(!is_writing(&client), "{screen:?} {chords:?} {:?}\n{}", row.action, client.drawn());
            // And it is not refused for that.
            let client = at(chords, ReadOnly::Chosen);
            let why = client.app.forbidden(row.action).unwrap_or_default();
            assert!(!why.starts_with("read-only") || enters, "{screen:?} {:?}: {why}", row.action);
        }
    }
}

#[test]
fn enter_is_refused_where_it_comes_to_a_change() {
    for chords in ["5\n", "1S", "1e"] {
        let mut client = at(chords, ReadOnly::Chosen);
        client.key(KeyCode::Enter);
        assert!(client.app.dialog().is_none() && client.drawn().contains("read-only: "), "{}", client.drawn());
    }
}

#[test]
fn what_was_begun_before_is_not_ended_and_an_undo_does_not_open() {
    // A draft that was changed before is kept, and not saved.
    let mut client = at("1ex", ReadOnly::Off);
    client.chords(":read-only\n");
    assert_eq!(client.app.shell.read_only, ReadOnly::Chosen);
    client.press("s");
    assert!(client.app.dialog().is_none() && client.drawn().contains("read-only: "), "{}", client.drawn());
    client.press(":read-only");
    client.key(KeyCode::Enter);
    client.press("s");
    assert!(matches!(client.app.dialog(), Some(Dialog::Review(_))), "{}", client.drawn());
    // How the last change stands was asked already.
    let mut client = at("2S\n", ReadOnly::Off);
    assert_eq!(client.done().len(), 1);
    client.silent = true;
    client.press("u");
    client.app.shell.read_only = ReadOnly::Chosen;
    client.answer_waiting();
    assert!(client.app.dialog().is_none() && client.drawn().contains("read-only: "), "{}", client.drawn());
    // A token that is on its way is made for nothing.
    let mut client = at("5n", ReadOnly::Off);
    client.app.shell.read_only = ReadOnly::Chosen;
    fill_in(&mut client);
    assert!(client.app.dialog().is_none() && traces(&client) == 0, "{}", client.drawn());
    assert!(client.drawn().contains("read-only: "), "{}", client.drawn());
}

#[test]
fn it_is_always_seen_and_help_and_palette_say_why() {
    for (width, height) in [(120, 40), (80, 24), (40, 12), (30, 4), (24, 2)] {
        for chords in ["", "?", ":", "2\nr"] {
            let mut client = Client::new(Glyphs::ASCII, width, height);
            client.app.shell.read_only = ReadOnly::Chosen;
            client.chords(chords);
            assert!(client.drawn().contains("[READ-ONLY]"), "{width}x{height} {chords:?}\n{}", client.drawn());
            down(&mut client);
            client.later(100_000);
            assert!(client.drawn().contains("[READ-ONLY]"), "{width}x{height} {chords:?}\n{}", client.drawn());
        }
    }
    for chords in ["?", ":give"] {
        let mut client = at("2", ReadOnly::Chosen);
        client.press(chords);
        let said = "give a Key, or change how one is held (read-only)";
        assert!(client.drawn().contains(said), "{chords}\n{}", client.drawn());
    }
    // Enter in the palette is refused as the chord is.
    let mut client = at("2:give\n", ReadOnly::Off);
    assert!(matches!(client.app.dialog(), Some(Dialog::Form(_))));
    client = at("2", ReadOnly::Chosen);
    client.chords(":give\n");
    assert!(client.app.dialog().is_none() && client.drawn().contains("read-only: "), "{}", client.drawn());
}

#[test]
fn the_command_leaves_what_it_began_and_says_how_the_rest_is_left() {
    let cases = [
        (ReadOnly::Off, ReadOnly::Chosen, "until :read-only is said again", Some(true)),
        (ReadOnly::Chosen, ReadOnly::Off, "changes can be made again", Some(false)),
        (ReadOnly::Flag, ReadOnly::Flag, "still read-only: it was started with --read-only: quit, and start it", None),
        (ReadOnly::Settings, ReadOnly::Settings, "still read-only: config.toml says `read-only = true`", None),
    ];
    for (before, after, said, told) in cases {
        let mut client = at("", before);
        client.effects.clear();
        client.chords(":read-only\n");
        assert_eq!(client.app.shell.read_only, after);
        assert!(client.drawn().contains(said), "{before:?}\n{}", client.drawn());
        let of_it = client.effects.iter().find_map(|effect| match effect {
            Effect::ReadOnly(on) => Some(*on),
            _ => None,
        });
        assert_eq!(of_it, told, "the connection is told");
    }
    let mut shell = at("", ReadOnly::Off).app.shell;
    Config::parse("read-only = true").unwrap().apply(&mut shell);
    assert_eq!(shell.read_only, ReadOnly::Settings);
}
