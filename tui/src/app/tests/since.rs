//! Two who edit one thing (K12): the second is told, what they entered stays, and nothing is written over.

use keyward_protocol::{
    entry::{DoorSpec, Holiday, PersonSpec},
    time::Date,
};

use super::*;
use crate::app::{
    since::CHANGED,
    testing,
    testing_site::{self, schedules},
    undo::{contact_of, door_of},
};

fn after(chords: &str) -> Client {
    let mut client = Client::unconnected(Glyphs::ASCII, 140, 40);
    client.up();
    client.chords(chords);
    client
}

/// Tracy's contact data with another phone number.
fn phoned(number: &str) -> Command {
    match contact_of(&testing::person_detail(PersonId(1))) {
        Command::EditPerson(person, mut spec) => {
            spec.phone = Some(number.to_owned());
            Command::EditPerson(person, spec)
        }
        other => panic!("{other:?} is no contact data"),
    }
}

fn labelled(door: u32, label: &str) -> Command {
    match door_of(&testing_site::door(DoorId(door)).row) {
        Command::EditDoor(door, spec) => Command::EditDoor(door, DoorSpec { labels: vec![label.to_owned()], ..spec }),
        other => panic!("{other:?} is no door"),
    }
}

fn holiday(name: &str, day: i8) -> Holiday {
    let day = Date { year: 2026, month: 11, day };
    Holiday { name: name.to_owned(), from: day, to: day }
}

fn told(client: &Client, words: &str) {
    assert!(client.drawn().contains(words), "{words} is not in\n{}", client.drawn());
}

// K12
#[test]
fn what_was_entered_stays_beside_what_it_is_now_and_is_done_when_it_is_entered_again() {
    let winter = testing_site::property(testing::overview(None).properties.remove(0)).holidays;
    let set = |holidays: &[Holiday]| Command::SetHolidays(PropertyId(1), holidays.to_vec());
    let eve = holiday("Eve", 30);
    let nights = schedules().remove(1);
    let schedule = |name: &str| Command::EditSchedule(PropertyId(1), ScheduleId(2), name.into(), nights.hours.clone());
    let merged = [&[eve.clone()][..], &winter, &[holiday("Thanksgiving", 26)]].concat();
    // What is entered, up to the review; what a colleague does meanwhile; what is told of that; what is done in the end.
    let cases = [
        ("2e\t\t\t\tdoor\x08", phoned("555 0100"), "Phone is `555 0100` now", None),
        ("3jjje\t\t\t, attic\t", labelled(4, "loft"), "Labels is `loft` now", None),
        (
            "S\tnThanksgiving\t2026-11-26\t\t",
            set(&[&[eve.clone()][..], &winter].concat()),
            "new are: Eve",
            Some(merged),
        ),
        ("Sje\t\t\t\t\t", schedule("Late"), "Name is `Late` now", None),
    ];
    for (chords, colleagues, words, finally) in cases {
        for early in [true, false] {
            let chords = chords.trim_end_matches('\x08');
            let mut client = after(chords);
            if early {
                client.edited.push(colleagues.clone());
                client.chords("\n");
            } else {
                client.chords("\n");
                client.later(1_000);
                client.edited.push(colleagues.clone());
                client.chords("\n");
            }
            told(&client, CHANGED);
            told(&client, words);
            assert_eq!(client.edited.len(), 1, "{chords:?}: nothing was done");
            client.chords("\x1b");
            told(&client, "somebody changed it meanwhile");
            // What was entered is what is done now, in the knowledge of what it is.
            client.chords("\n");
            client.later(1_000);
            assert!(matches!(client.app.dialog(), Some(Dialog::Review(_))), "{chords:?}\n{}", client.drawn());
            client.chords("\n");
            assert_eq!(client.edited.len(), 2, "{chords:?}\n{}", client.drawn());
            if let Some(all) = &finally {
                assert_eq!(client.edited[1], set(all));
            }
        }
    }
}

// K12
#[test]
fn a_holiday_is_found_again_by_what_it_was_and_one_that_is_gone_is_told() {
    let winter = testing_site::property(testing::overview(None).properties.remove(0)).holidays;
    let set = |holidays: Vec<Holiday>| Command::SetHolidays(PropertyId(1), holidays);
    let mut client = after("S\te break\t\t\t");
    client.edited.push(set([&[holiday("Eve", 30)][..], &winter].concat()));
    client.chords("\n\x1b\n");
    client.later(1_000);
    client.chords("\n");
    let [_, Command::SetHolidays(_, all)] = &client.edited[..] else { panic!("{}", client.drawn()) };
    let names: Vec<&str> = all.iter().map(|day| day.name.as_str()).collect();
    assert_eq!(names, ["Eve", "Winter break break"]);
    let mut client = after("S\te break\t\t\t");
    client.edited.push(set(Vec::new()));
    client.chords("\n");
    told(&client, "gone are: Winter break");
    client.chords("\x1b");
    assert!(client.app.dialog().is_none(), "{}", client.drawn());
    assert_eq!(client.edited.len(), 1);
}

// K12
#[test]
fn of_many_doors_those_before_are_done_and_the_one_that_was_changed_is_not() {
    let mut client = after("3V");
    client.key(KeyCode::End);
    client.chords("Vo");
    client.later(1_000);
    client.edited.push(labelled(4, "loft"));
    client.chords("\n");
    told(&client, "1 done before. Unit 206: somebody changed it since you read it");
    assert!(!client.edited.iter().skip(2).any(|command| matches!(command, Command::EditDoor(DoorId(4), _))));
}

// K12
#[test]
fn a_key_that_was_changed_after_the_review_is_not_saved_and_the_draft_stays() {
    let mut client = after("jjjexs");
    client.later(1_000);
    let mut colleagues = crate::app::screen::keys::draft::spec_of(&testing::key_detail(KeyId(4)));
    colleagues.may_share ^= true;
    client.edited.push(Command::EditKey(KeyId(4), colleagues));
    client.chords("\n");
    told(&client, CHANGED);
    client.chords("\x1b");
    told(&client, "CHANGED BY SOMEBODY ELSE");
    assert_eq!(client.edited.len(), 1);
}

// K12
#[test]
fn an_undo_takes_back_nothing_of_what_a_colleague_did_at_any_moment() {
    // I gave Tracy a number; a colleague puts in another one.
    let mine = |client: &mut Client| {
        client.chords("2e\t\t0\t\t\n\n");
        assert_eq!(client.edited.len(), 1, "{}", client.drawn());
    };
    let mut client = after("");
    mine(&mut client);
    client.edited.push(phoned("555 0100"));
    client.press("u");
    told(&client, "not undone: somebody changed it since");
    // Between the look and what is worked out by it.
    let mut client = after("");
    mine(&mut client);
    client.silent = true;
    client.press("u");
    client.answer_once();
    client.edited.push(phoned("555 0100"));
    client.answer_waiting();
    told(&client, CHANGED);
    client.later(1_000);
    client.chords("\n");
    assert_eq!(client.edited.last(), Some(&phoned("555 0100")), "nothing was done");
    // After that.
    let mut client = after("");
    mine(&mut client);
    client.silent = true;
    client.press("u");
    client.answer_waiting();
    assert!(matches!(client.app.dialog(), Some(Dialog::Review(_))), "{}", client.drawn());
    client.later(1_000);
    client.edited.push(phoned("555 0100"));
    client.chords("\n");
    told(&client, CHANGED);
    told(&client, "Phone is `555 0100` now");
    assert_eq!(client.edited.last(), Some(&phoned("555 0100")), "nothing was done");
    client.chords("\x1b");
    assert!(client.app.dialog().is_none(), "{}", client.drawn());
}

// K12
#[test]
fn what_changed_while_it_was_read_is_not_done_though_nobody_entered_it() {
    // Suspending reads nothing beforehand: what the review saw is what it starts from.
    let mut client = after("2S");
    client.later(1_000);
    client.chords("\n");
    let sent = client.asked.iter().any(|request| match request {
        Request::DoSince { was, command, .. } => {
            **was == Command::Suspend(PersonId(1), false) && **command == Command::Suspend(PersonId(1), true)
        }
        _ => false,
    });
    assert!(sent, "{:?}", client.asked.last());
}

// K12
#[test]
fn a_note_of_several_lines_is_drawn_harmlessly_and_sent_back_as_it_came() {
    let noted = |name: &str| match phoned("+1 212 555 0147") {
        Command::EditPerson(person, spec) => {
            let note = Some("by the back door\nafter six".to_owned());
            Command::EditPerson(person, PersonSpec { note, name: name.to_owned(), ..spec })
        }
        other => panic!("{other:?} is no contact data"),
    };
    let mut client = after("");
    client.edited.push(noted("Tracy"));
    client.chords("2eB\t\t\t");
    told(&client, "by the back door|after six");
    client.chords("\t\n");
    client.later(1_000);
    client.chords("\n");
    assert_eq!(client.done(), [(&noted("TracyB"), true)], "{}", client.drawn());
}
