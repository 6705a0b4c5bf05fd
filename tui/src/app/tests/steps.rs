//! Reviews of several steps: one is left out, somebody keeps both Keys, and the list goes into a file.

use keyward_protocol::entry::Period;

use super::*;
use crate::app::testing::moved_on;

/// Three people of Key A are to be moved to Key B: their review.
fn moving() -> Client {
    let mut client = client();
    client.chords("\n   mkey b\n\n\n\n\n");
    client.later(1_000);
    client
}

fn move_of(person: u32) -> Command {
    let (from, to) = (KeyId(1), KeyId(2));
    Command::Move { person: PersonId(person), from, to, may_share: None, period: Period::default() }
}

fn give_to(person: u32) -> Command {
    Command::Give { key: KeyId(2), person: PersonId(person), may_share: None, period: Period::default() }
}

fn commands(client: &Client) -> Vec<Command> {
    let done = client.done();
    assert!(done.iter().all(|(_, pinned)| *pinned));
    done.into_iter().map(|(command, _)| command.clone()).collect()
}

#[test]
fn somebody_is_left_out_and_the_rest_is_done() {
    let mut client = moving();
    assert!(client.drawn().contains("MOVE 3 people: \"Key A\" -> \"Key B\""), "{}", client.drawn());
    // The second of them.
    client.chords(">s");
    let drawn = client.drawn();
    assert!(drawn.contains("MOVE 2 people") && drawn.contains("Lee is left out: nothing changes for them"), "{drawn}");
    assert!(client.done().is_empty(), "nothing is changed by that");
    // What was left out a moment ago is not done by a chord that was on its way.
    client.key_at_once(KeyCode::Enter);
    assert!(client.done().is_empty());
    client.later(1_000);
    client.key(KeyCode::Enter);
    assert_eq!(commands(&client), [move_of(1), move_of(3)]);
    assert!(client.drawn().contains("moved 2 people to \"Key B\""), "{}", client.drawn());
    // The last one stays: a review of nothing is left by Esc.
    let mut client = moving();
    for _ in 0..5 {
        client.chords("s");
        client.later(1_000);
    }
    assert!(client.drawn().contains("MOVE Ana: "), "{}", client.drawn());
}

#[test]
fn somebody_keeps_the_key_they_have_and_is_given_the_other() {
    let mut client = moving();
    client.chords("k");
    let drawn = client.drawn();
    assert!(drawn.contains("MOVE 2 people") && drawn.contains("Tracy, who keeps the Key they have"), "{drawn}");
    client.later(1_000);
    client.key(KeyCode::Enter);
    assert_eq!(commands(&client), [give_to(1), move_of(2), move_of(3)]);
    // Somebody has to be moved: giving alone has a form of its own.
    let mut client = moving();
    for _ in 0..4 {
        client.chords("k>");
        client.later(1_000);
    }
    client.key(KeyCode::Enter);
    assert_eq!(commands(&client), [give_to(1), give_to(2), move_of(3)]);
}

#[test]
fn what_has_to_be_typed_follows_and_is_typed_anew_and_the_other_way_is_offered_no_more() {
    let mut client = client();
    client.chords("\n   r");
    client.later(1_000);
    assert!(client.drawn().contains("DELETE 3") && client.drawn().contains("[m] move"), "{}", client.drawn());
    client.press("DEL");
    client.key(KeyCode::Tab);
    client.press("s");
    let drawn = client.drawn();
    assert!(drawn.contains("DELETE 2") && !drawn.contains("DEL_") && !drawn.contains("[m] move"), "{drawn}");
    client.later(1_000);
    client.press("DELETE 3");
    client.key(KeyCode::Enter);
    assert!(client.done().is_empty() && client.drawn().contains("nothing was changed"), "{}", client.drawn());
    (0..8).for_each(|_| client.key(KeyCode::Backspace));
    client.press("DELETE 2");
    client.key(KeyCode::Enter);
    let revoke = |person| Command::Revoke { key: KeyId(1), person: PersonId(person) };
    assert_eq!(commands(&client), [revoke(2), revoke(3)]);
}

#[test]
fn the_list_goes_into_a_file_and_hidden_people_do_not() {
    let saved = |chords: &str| {
        let mut client = client();
        client.chords(chords);
        client.later(1_000);
        client.press("x");
        assert!(matches!(client.app.dialog(), Some(Dialog::Review(_))), "it stays open");
        match client.effects.pop() {
            Some(Effect::Save { name, ending: "csv", text }) if name == "review" => text,
            other => panic!("{other:?}"),
        }
    };
    let all = saved("\n  r");
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(
        lines[..3],
        ["step,what,person,of", "Tracy,loses code,Tracy,Garage", "Tracy,ends share,Visitor,is a guest no more"]
    );
    assert!(lines[3].starts_with("Lee,loses code,"), "{all}");
    let hidden = saved("P\n  r");
    assert!(
        !hidden.contains("Tracy") && !hidden.contains("Lee") && hidden.contains("(hidden),loses code,(hidden),Garage")
    );
    // While the phrase is typed, letters are typed.
    let mut client = client();
    client.chords("\nr");
    client.later(1_000);
    client.press("Dx");
    assert!(!client.effects.iter().any(|effect| matches!(effect, Effect::Save { .. })), "{:?}", client.effects);
}

#[test]
fn where_some_were_done_before_the_data_moved_on_the_first_of_those_that_are_left_is_chosen() {
    let mut client = moving();
    client.chords(">>");
    client.silent = true;
    client.key(KeyCode::Enter);
    client.answer_first_waiting();
    client.refusals.push(moved_on());
    client.answer_waiting();
    client.later(1_000);
    let drawn = client.drawn();
    assert!(drawn.contains("The data moved on") && !drawn.contains("Tracy"), "{drawn}");
    client.press("s");
    assert!(client.drawn().contains("Lee is left out"), "{}", client.drawn());
    client.later(1_000);
    client.key(KeyCode::Enter);
    assert_eq!(commands(&client), [move_of(1), move_of(2), move_of(3)], "the second was refused, and left out");
}
