//! What `u` takes back, and what it says of what it can't.

use keyward_protocol::{
    entry::{DoorKind, DoorSpec, Level, Refusal},
    message::manage::Totals,
};

use super::*;
use crate::app::{
    screen::keys::draft::spec_of,
    testing::{self, key_detail},
    testing_site,
};

fn after(chords: &str) -> Client {
    let mut client = Client::unconnected(Glyphs::ASCII, 120, 40);
    client.up();
    client.chords(chords);
    client
}

fn unit(occupied: bool, labels: &[&str]) -> Command {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    Command::EditDoor(DoorId(4), DoorSpec { name: "Unit 206".into(), kind: DoorKind::Unit, occupied, labels })
}

#[test]
fn the_opposite_is_reviewed_and_done_pinned_and_undone_again() {
    let property = PropertyId(1);
    let lock_down = |doors, keys| Command::LockDown { property, doors, except_keys: keys };
    let residences = Command::EditKey(KeyId(4), spec_of(&key_detail(KeyId(4))));
    let nights = testing_site::schedules().remove(1);
    let winter = testing_site::property(testing::overview(Some(Level::Full)).properties.remove(0)).holidays;
    // What is done, what is typed, what takes it back, and what is typed for that.
    let cases: Vec<(&str, &str, Command, &str)> = vec![
        ("3jjjo", "", unit(false, &["floor 2"]), ""),
        ("3jjje\t\t\t, attic\n\n", "", unit(false, &["floor 2"]), ""),
        ("2S", "", Command::Suspend(PersonId(1), false), ""),
        ("3L\t\t\t\n", "LOCK DOWN", Command::LiftLockdown(property, LockdownId(7)), ""),
        ("3U\n\n", "", lock_down(Some(vec![DoorId(2)]), vec![KeyId(1), KeyId(3)]), "LOCK DOWN"),
        ("O", "OPT OUT", Command::SetDeliveries(property, true), ""),
        ("jjjexs", "", residences, ""),
        ("Sje\t\t\t>\t\n", "", { Command::EditSchedule(property, ScheduleId(2), nights.name, nights.hours) }, ""),
        ("S\tD", "", Command::SetHolidays(property, winter), ""),
        ("2gemployee all\n\n\n\n\n", "", Command::Revoke { key: KeyId(3), person: PersonId(1) }, "DELETE 1"),
    ];
    for (chords, typed, opposite, confirmed) in cases {
        let mut client = after(chords);
        client.press(typed);
        client.key(KeyCode::Enter);
        let [(done, true)] = client.done()[..] else { panic!("{chords:?}\n{}", client.drawn()) };
        let done = done.clone();
        client.press("u");
        assert!(matches!(client.app.dialog(), Some(Dialog::Review(_))), "{chords:?}\n{}", client.drawn());
        assert!(client.drawn().contains("UNDO "), "{}", client.drawn());
        assert_eq!(client.done().len(), 1, "{chords:?}: a review changes nothing");
        client.later(1_000);
        client.press(confirmed);
        client.key(KeyCode::Enter);
        assert_eq!(client.done()[1..], [(&opposite, true)], "{chords:?}\n{}", client.drawn());
        if matches!(opposite, Command::Revoke { .. }) {
            continue;
        }
        assert!(client.drawn().contains("undone"), "{}", client.drawn());
        client.press("u");
        assert!(client.drawn().contains("REDO "), "{chords:?}\n{}", client.drawn());
        client.later(1_000);
        client.press(typed);
        client.key(KeyCode::Enter);
        // A lockdown that is made anew has another id, and so has its lifting.
        let again = match &done {
            Command::LiftLockdown(property, _) => Command::LiftLockdown(*property, LockdownId(7)),
            // Labels have no order: the server's is that of the alphabet.
            Command::EditDoor(door, spec) => {
                let mut spec = spec.clone();
                spec.labels.sort();
                Command::EditDoor(*door, spec)
            }
            done => done.clone(),
        };
        assert_eq!(client.done()[2..], [(&again, true)], "{chords:?}\n{}", client.drawn());
    }
}

#[test]
fn steps_of_one_review_are_taken_back_together_the_last_first() {
    let mut client = after("2  kkS\nu");
    client.later(1_000);
    client.key(KeyCode::Enter);
    let suspended = [(1, true), (2, true), (2, false), (1, false)];
    let suspended = suspended.map(|(person, on)| Command::Suspend(PersonId(person), on));
    let done: Vec<&Command> = client.done().into_iter().map(|(command, _)| command).collect();
    assert_eq!(done, suspended.each_ref());
    // Unit 206 was vacant before: there is nothing to take back of it.
    let mut client = after("3V");
    client.key(KeyCode::End);
    client.chords("Vo\nu");
    client.later(1_000);
    client.key(KeyCode::Enter);
    let doors: Vec<DoorId> = client.done().iter().filter_map(|(command, _)| door(command)).collect();
    assert_eq!(doors, [DoorId(3), DoorId(4), DoorId(3)]);
    let client = after("3jjjoo\x1b3jjje\n\n\n\n\n\nu");
    assert!(client.drawn().contains("the last change changed nothing"), "{}", client.drawn());
}

fn door(command: &Command) -> Option<DoorId> {
    match command {
        Command::EditDoor(door, _) => Some(*door),
        _ => None,
    }
}

#[test]
fn what_cant_be_undone_says_why_and_opens_nothing() {
    let cases = [
        ("", "", "nothing was changed yet"),
        // C3, C6
        ("\nr", "DELETE 1", "a new giving or share would not be the one that ended"),
        // C1
        ("2gkey b\n\n\n\n\n", "", "it made 1 door code, and it would be deleted for good"),
        ("3jD", "REMOVE", "what was taken away is gone for good"),
        ("3nBike room\n\n\n\n\n", "", "what was made is taken away by an act of its own"),
        ("\nmkey b\n\n\n\n\n", "", "it is changed back by an act of its own"),
    ];
    for (chords, typed, why) in cases {
        let mut client = after(chords);
        client.press(typed);
        if !chords.is_empty() {
            client.key(KeyCode::Enter);
            assert_eq!(client.done().len(), 1, "{chords:?}\n{}", client.drawn());
        }
        client.press("u");
        assert!(client.app.dialog().is_none(), "{chords:?}\n{}", client.drawn());
        assert!(client.drawn().contains(why), "{chords:?}\n{}", client.drawn());
    }
}

#[test]
fn what_somebody_changed_since_is_not_undone() {
    let mut client = after("3jjjo\n");
    client.edited.push(unit(true, &["floor 2", "loft"]));
    client.press("u");
    assert!(client.app.dialog().is_none());
    assert!(client.drawn().contains("not undone: somebody changed it since"), "{}", client.drawn());
    // Without a connection nothing is opened either.
    let mut client = after("3jjjo\n");
    down(&mut client);
    client.press("u");
    assert!(client.drawn().contains("not undone: there is no connection"), "{}", client.drawn());
}

#[test]
fn no_review_opens_under_the_hands_of_somebody_who_went_on() {
    let mut client = after("3jjjo\n");
    client.silent = true;
    client.press("uj");
    client.answer_waiting();
    assert!(client.app.dialog().is_none(), "{}", client.drawn());
    assert!(client.drawn().contains("something else was pressed meanwhile"), "{}", client.drawn());
    // It can be undone still.
    client.press("u");
    assert!(matches!(client.app.dialog(), Some(Dialog::Review(_))), "{}", client.drawn());
}

#[test]
fn a_change_of_which_nothing_is_known_hides_the_one_before() {
    let mut client = after("3jjjo\n");
    client.refusals.push(Failure::Unknown("no answer in time".into()));
    client.chords("ko\n\x1bu");
    assert!(client.drawn().contains("it is not known what became of it"), "{}", client.drawn());
    // One that was refused changed nothing: what was done before it is still the last.
    let mut client = after("3jjjo\n");
    client.refusals.push(Failure::Refused(Refusal::Invalid("no".into())));
    client.chords("ko\n\x1bu");
    assert!(client.drawn().contains("UNDO Unit 206 IS OCCUPIED"), "{}", client.drawn());
}

#[test]
fn a_draft_and_the_choice_of_keys_have_an_undo_of_their_own() {
    let client = after("3jjjo\n1jjjexu");
    assert!(client.app.dialog().is_none(), "{}", client.drawn());
    assert!(client.drawn().contains("DRAFT"), "{}", client.drawn());
    // An undo on another screen leaves the draft where it is.
    let mut client = after("O");
    client.press("OPT OUT");
    client.chords("\njjjex3u");
    client.later(1_000);
    client.key(KeyCode::Enter);
    assert_eq!(client.done().len(), 2, "{}", client.drawn());
    client.press("1");
    assert!(client.drawn().contains("DRAFT"), "{}", client.drawn());
}

#[test]
fn nobody_is_named_while_people_are_hidden() {
    let mut client = after("2S\nPu");
    assert!(client.drawn().contains("UNDO THE LAST CHANGE"), "{}", client.drawn());
    assert!(!client.drawn().contains("Tracy"), "{}", client.drawn());
    client.later(1_000);
    client.key(KeyCode::Enter);
    assert!(!client.drawn().contains("Tracy"), "{}", client.drawn());
}

// K6, K7
#[test]
fn a_giving_that_was_changed_gets_its_terms_back() {
    let before = Period::default();
    let held = Command::Give { key: KeyId(3), person: PersonId(1), may_share: Some(true), period: before };
    let mut client = after("");
    client.edited.push(held.clone());
    client.chords("2gemployee all\n>>\n\n\n\n\n");
    assert_eq!(client.done().len(), 1, "{}", client.drawn());
    client.press("u");
    client.later(1_000);
    client.key(KeyCode::Enter);
    assert_eq!(client.done()[1..], [(&held, true)], "{}", client.drawn());
}

#[test]
fn levels_and_totals_decide_what_can_be_taken_back() {
    use crate::app::undo::{look, opposite};
    use keyward_protocol::message::manage::{Done, Effects};
    let done = |totals| Done {
        revision: 1,
        made: None,
        effects: Effects {
            revision: 1,
            digest: [0; 32],
            totals,
            doors_lost: vec![],
            doors_gained: vec![],
            codes_deleted: vec![],
            codes_made: vec![],
            shares_ended: vec![],
            sight_lost: vec![],
            people: vec![],
            doors: vec![],
        },
    };
    let none = Totals::default();
    let cases = [
        (Totals { doors_lost: 3, people_losing: 1, ..none }, None),
        (Totals { sight_lost: 3, ..none }, None),
        (Totals { codes_deleted: 2, ..none }, Some("it deleted 2 door codes for good")),
        (Totals { codes_made: 2, ..none }, Some("it made 2 door codes, and they would be deleted for good")),
        (Totals { shares_ended: 1, ..none }, Some("it ended 1 share")),
    ];
    let property = PropertyId(1);
    let before = Answer::Property(testing_site::property(testing::overview(None).properties.remove(0)));
    for (totals, why) in cases {
        let command = Command::LiftLockdown(property, LockdownId(3));
        let back = opposite(&command, Some(&before), &done(totals));
        assert_eq!(back.as_ref().err().map(String::as_str), why);
        assert!(why.is_some() || matches!(back, Ok(Some(Command::LockDown { .. }))), "{back:?}");
    }
    // Whether somebody else shut it out before, or again since, is not known.
    assert!(opposite(&Command::DisableLock(LockId(1), true), None, &done(none)).is_err());
    // Without knowing how it was nothing is guessed.
    let command = Command::SetLevel(PropertyId(1), PersonId(3), Some(Level::Full));
    assert_eq!(look(&command), Some(Request::Person(PersonId(3))));
    assert_eq!(opposite(&command, None, &done(none)), Err("how it was before is not known".to_owned()));
}
