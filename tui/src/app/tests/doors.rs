//! What events make of the doors' screen.

use keyward_protocol::{
    entry::{DoorKind, DoorSpec, Level, Refusal},
    time::Moment,
};

use super::*;

fn after(level: Option<Level>, portfolio_manager: bool, chords: &str) -> Client {
    let mut client = Client::unconnected(Glyphs::ASCII, 120, 40);
    (client.level, client.portfolio_manager) = (level, portfolio_manager);
    client.up();
    client.press("3");
    client.chords(chords);
    client
}

fn spec(name: &str, kind: DoorKind, occupied: bool, labels: &[&str]) -> DoorSpec {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    DoorSpec { name: name.into(), kind, occupied, labels }
}

#[test]
fn each_act_is_one_pinned_command_that_was_read_before() {
    let property = PropertyId(1);
    let unit = |occupied, labels: &[&str]| spec("Unit 206", DoorKind::Unit, occupied, labels);
    let lock_down = |doors, keys| Command::LockDown { property, doors, except_keys: keys };
    let cases: Vec<(&str, &str, Command)> = vec![
        ("nBike room\n>>\n\ndeliveries, cold ,\n\n", "", {
            Command::MakeDoor(property, spec("Bike room", DoorKind::Service, false, &["deliveries", "cold"]))
        }),
        ("jjje\t\t>\t, loft\n\n", "", Command::EditDoor(DoorId(4), unit(true, &["floor 2", "loft"]))),
        // Only units are occupied, whatever the form says.
        ("jjje\t>\t>\t\n\n", "", {
            Command::EditDoor(DoorId(4), spec("Unit 206", DoorKind::Office, false, &["floor 2"]))
        }),
        ("jjjo", "", Command::EditDoor(DoorId(4), unit(true, &["floor 2"]))),
        ("jD", "REMOVE", Command::RemoveDoor(DoorId(2))),
        ("L\t\t\t\n", "LOCK DOWN", lock_down(Some(vec![DoorId(1)]), vec![])),
        ("L>\t\tkey b\n\t\n", "LOCK DOWN", lock_down(None, vec![KeyId(2)])),
        // The door that the cursor was on is taken out, and another put in.
        ("L\t\ngar\n\t\t\n", "LOCK DOWN", lock_down(Some(vec![DoorId(2)]), vec![])),
        ("U\n\n", "", Command::LiftLockdown(property, LockdownId(3))),
    ];
    for (chords, typed, command) in cases {
        let mut client = after(Some(Level::Full), true, chords);
        assert!(matches!(client.app.dialog(), Some(Dialog::Review(_))), "{chords:?}\n{}", client.drawn());
        assert!(client.done().is_empty(), "{chords:?}: a preview changes nothing");
        client.press(typed);
        client.key(KeyCode::Enter);
        assert_eq!(client.done(), [(&command, true)], "{chords:?}\n{}", client.drawn());
    }
}

#[test]
fn everything_that_matches_is_put_in_and_taken_out_at_once() {
    let mut client = after(Some(Level::Full), true, "L\tunit");
    let all = crossterm::event::KeyEvent::new(KeyCode::Char('a'), KeyModifiers::CONTROL);
    let shown = |client: &Client, sign: &str| client.drawn().matches(sign).count();
    client.tell(Event::Key(all));
    assert_eq!((shown(&client, "[x] Unit"), shown(&client, "[ ] Unit")), (2, 0), "{}", client.drawn());
    assert!(client.drawn().contains("3 in"), "the one that was in stays: {}", client.drawn());
    client.tell(Event::Key(all));
    assert_eq!((shown(&client, "[x] Unit"), shown(&client, "[ ] Unit")), (0, 2), "{}", client.drawn());
}

#[test]
fn marked_units_change_together_and_other_doors_stay() {
    let mut client = after(Some(Level::Full), true, "V");
    client.key(KeyCode::End);
    client.press("Vo");
    assert!(client.drawn().contains("2 doors ARE VACANT FROM NOW ON"), "{}", client.drawn());
    client.key(KeyCode::Enter);
    let edited = client.done().iter().filter(|(command, _)| matches!(command, Command::EditDoor(..))).count();
    assert_eq!((edited, client.done().len()), (2, 2));
}

#[test]
fn lists_say_what_was_last_seen_and_details_the_newest_that_is_known_whoever_told_it() {
    let mut client = Client::new(Glyphs::ASCII, 120, 40);
    let list = |client: &Client, row: &str| client.drawn().lines().find(|line| line.contains(row)).unwrap().to_owned();
    client.press("3");
    assert!(list(&client, ">Main entrance").contains(" -- "), "nothing came by yet\n{}", client.drawn());
    // The search told of a check at 11:48:54; what comes later by the live view is newer.
    assert!(client.drawn().contains("1s ago, ALLOW Tracy (11:48)"), "{}", client.drawn());
    client.later(60_000);
    client.tell(batch_at(client.app.shell.now.unwrap()));
    client.later(2_000);
    assert!(list(&client, ">Main entrance").contains(" 2s DENY "), "{}", client.drawn());
    assert!(client.drawn().contains("2s ago, no_key Lee (11:49)"), "{}", client.drawn());
    client.press("2jk");
    assert!(list(&client, ">Tracy").contains(" -- "), "{}", client.drawn());
    assert!(client.drawn().contains("1m06s ago, Main entrance (11:48)"), "{}", client.drawn());
    client.press("j");
    assert!(list(&client, ">Lee").contains(" -- "), "who was denied opened nothing: {}", client.drawn());
    let searches = client.asked.iter().filter(|asked| matches!(asked, Request::Search(_))).count();
    assert!(searches <= 6, "one a row that the cursor stood on, whatever is listed: {searches}");
}

#[test]
fn a_guests_opening_is_told_as_that_of_a_guest() {
    let mut client = Client::new(Glyphs::ASCII, 120, 40);
    client.guests_only = true;
    client.press("2");
    assert!(client.drawn().contains("ago, a guest, Main entrance (11:48)"), "{}", client.drawn());
    client.tell(batch());
    assert!(client.drawn().contains("1s ago, Main entrance (11:48)"), "{}", client.drawn());
}

// U6
#[test]
fn who_can_open_a_door_is_asked_for_the_moment_that_was_typed() {
    let mut client = after(Some(Level::Full), true, "\n\tT2026-12-01 08:00\n\n");
    let at = Moment::parse("2026-12-01T08:00:00-05:00").unwrap();
    let asked = |client: &Client| {
        client.asked.iter().rev().find_map(|asked| match asked {
            Request::WhoCan(_, at, _) => Some(*at),
            _ => None,
        })
    };
    assert_eq!(asked(&client), Some(Some(at)));
    assert!(client.drawn().contains("Tue 2026-12-01 08:00 EST"), "{}", client.drawn());
    client.chords("T\n\n");
    assert_eq!(asked(&client), Some(None), "an empty field is now");
}

// L2
#[test]
fn a_door_out_of_sight_says_why_nobody_is_told() {
    let mut client = Client::unconnected(Glyphs::ASCII, 120, 40);
    let missing = "a Key with this door, among those that you manage,";
    client.no_sight = Some(Failure::Refused(Refusal::NotPermitted(missing.into())));
    client.up();
    client.press("3");
    client.chords("\n\t");
    let screen = client.drawn();
    assert!(screen.contains("not permitted: a Key with this door") && !screen.contains("BY KEY"), "{screen}");
}

#[test]
fn what_a_manager_may_not_do_says_why_and_opens_nothing() {
    let specific = || Some(Level::Specific(vec![KeyId(1)]));
    let cases: [(Option<Level>, bool, &str, &str); 7] = [
        (Some(Level::Full), false, "n", "adding and removing doors is for Portfolio Managers"),
        (Some(Level::Full), false, "D", "adding and removing doors is for Portfolio Managers"),
        (Some(Level::Limited), false, "e", "Limited: can't change doors"),
        (specific(), false, "L", "Specific: can't change doors"),
        (Some(Level::Limited), false, "U", "Limited: can't change doors"),
        (Some(Level::Full), true, "o", "only units are vacant or occupied"),
        (Some(Level::Full), true, "T", "go to who can open it (Tab)"),
    ];
    for (level, portfolio_manager, chord, why) in cases {
        let client = after(level, portfolio_manager, chord);
        assert!(client.app.dialog().is_none(), "{chord}\n{}", client.drawn());
        assert!(client.drawn().contains(why), "{chord}\n{}", client.drawn());
    }
}

#[test]
fn a_form_waits_for_everything_that_matches() {
    let mut client = after(Some(Level::Full), true, "L\t");
    client.silent = true;
    client.tell(Event::Key(crossterm::event::KeyEvent::new(KeyCode::Char('a'), KeyModifiers::CONTROL)));
    client.chords("\t\t\n");
    assert!(client.drawn().contains("still on their way"), "{}", client.drawn());
    client.answer_waiting();
    client.chords("\n");
    assert!(client.drawn().contains("LOCK DOWN 5 doors"), "{}", client.drawn());
}
