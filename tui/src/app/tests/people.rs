//! What events make of the people's screen.

use keyward_protocol::entry::{Level, Party, PersonSpec};

use super::*;

fn people() -> Client {
    let mut client = client();
    client.press("2");
    client
}

/// Enter, so many times.
fn enter(client: &mut Client, times: usize) {
    (0..times).for_each(|_| client.key(KeyCode::Enter));
}

fn only_done(client: &Client) -> &Command {
    let [(command, true)] = client.done()[..] else { panic!("{:?}", client.done()) };
    command
}

#[test]
fn each_act_is_one_pinned_command_that_was_read_before() {
    let period = Period::default();
    let tracy = PersonId(1);
    let spec = |name: &str, email: &str, phone: Option<&str>| PersonSpec {
        name: name.into(),
        email: email.into(),
        phone: phone.map(str::to_owned),
        note: None,
        cards: Vec::new(),
    };
    let visitor = || Command::EndShare { key: KeyId(1), host: tracy, guest: PersonId(9) };
    let share = |doors| Command::Share { key: KeyId(1), host: tracy, guest: PersonId(2), doors, period };
    // `\n` is Enter, `\t` Tab; the last is what is typed into the review.
    let cases: Vec<(&str, &str, Command)> = vec![
        ("gkey b\n\n\n\n\n", "", Command::Give { key: KeyId(2), person: tracy, may_share: None, period }),
        ("rresid\n\n", "REVOKE 1", Command::Revoke { key: KeyId(4), person: tracy }),
        ("\nr", "DELETE 1", Command::Revoke { key: KeyId(1), person: tracy }),
        (
            "\nmkey b\n\n\n\n\n",
            "",
            Command::Move { person: tracy, from: KeyId(1), to: KeyId(2), may_share: None, period },
        ),
        ("\nilee\n\t\t\t\n", "", share(None)),
        ("\nilee\n\n\t\t\t\n", "", share(Some(vec![DoorId(1)]))),
        ("\nilee\ngar\n\t\t\t\n", "", share(Some(vec![DoorId(2)]))),
        ("\n\t\tE", "", visitor()),
        ("S", "", Command::Suspend(tracy, true)),
        ("jjS", "", Command::Suspend(PersonId(3), false)),
        ("M", "RENEW", Command::RenewMobile(tracy)),
        ("D", "DELETE PERSON", Command::DeletePerson(tracy)),
        ("nKim\nkim@mail.example\n\n\n\n", "", Command::MakePerson(spec("Kim", "kim@mail.example", None))),
        (
            "e Ortiz\n\n\n\n\n",
            "",
            Command::EditPerson(tracy, spec("Tracy Ortiz", "tracy@mail.example", Some("+1 212 555 0147"))),
        ),
        (
            "fnew@mail.example\n\nkey b\n\n\n\n\n",
            "",
            Command::Give { key: KeyId(2), person: PersonId(8), may_share: None, period },
        ),
    ];
    for (chords, typed, command) in cases {
        let mut client = people();
        client.chords(chords);
        assert!(matches!(client.app.dialog(), Some(Dialog::Review(_))), "{chords:?}\n{}", client.drawn());
        assert!(client.done().is_empty(), "{chords:?}: a preview changes nothing");
        client.press(typed);
        enter(&mut client, 1);
        assert_eq!(only_done(&client), &command, "{chords:?}\n{}", client.drawn());
        assert!(client.app.dialog().is_none(), "{chords:?}");
    }
}

// C8
#[test]
fn a_code_is_shown_until_the_next_chord_whatever_it_is() {
    for chord in ["j", "P", "?", "w", "y", "z"] {
        let mut client = people();
        enter(&mut client, 1);
        (0..3).for_each(|_| client.key(KeyCode::Tab));
        assert!(!client.drawn().contains("4071936"));
        client.press("c");
        assert!(client.drawn().contains("4071936"), "{}", client.drawn());
        client.press(chord);
        assert!(!client.drawn().contains("4071936"), "{chord}\n{}", client.drawn());
        let told = |effect: &Effect| match effect {
            Effect::Copy(text) | Effect::Save { text, .. } => text.contains("4071936"),
            _ => false,
        };
        assert!(!client.effects.iter().any(told), "{chord}");
        if chord == "?" {
            client.key(KeyCode::Esc);
            assert!(!client.drawn().contains("4071936"), "it does not come back");
        }
    }
}

// C8
#[test]
fn a_code_that_comes_after_the_next_chord_is_not_shown() {
    let mut client = people();
    enter(&mut client, 1);
    (0..3).for_each(|_| client.key(KeyCode::Tab));
    client.silent = true;
    client.press("cj");
    client.answer_waiting();
    assert!(!client.drawn().contains("4071936"), "{}", client.drawn());
    client.press("P");
    let reveals = |client: &Client| client.asked.iter().filter(|asked| matches!(asked, Request::Reveal(_))).count();
    assert_eq!(reveals(&client), 1);
    client.press("c");
    assert_eq!(reveals(&client), 1, "what is hidden is not asked for");
}

#[test]
fn a_token_is_shown_once_and_only_when_the_server_knows_it() {
    let mut client = people();
    client.refusals.push(Failure::Unknown("no answer in time".into()));
    client.press("T");
    enter(&mut client, 3);
    assert!(client.drawn().contains("unknown whether it was done"), "{}", client.drawn());
    client.key(KeyCode::Esc);
    assert!(!client.drawn().contains("kwj1."), "{}", client.drawn());
    client.press("T");
    enter(&mut client, 2);
    assert!(!client.drawn().contains("kwj1."), "{}", client.drawn());
    enter(&mut client, 1);
    let until = client.app.shell.now.unwrap().plus_seconds(86_400 - 1);
    let made = client.done().last().map(|(command, pinned)| ((*command).clone(), *pinned));
    let party = Party::Holder(PersonId(1));
    assert_eq!(made, Some((Command::MakeToken { party, hash: [3; 32], until }, true)));
    assert!(client.drawn().contains("kwj1."), "{}", client.drawn());
    client.press("j");
    enter(&mut client, 1);
    assert!(client.drawn().contains("kwj1."), "a stray chord does not lose it");
    client.press("y");
    assert!(client.effects.iter().any(|effect| matches!(effect, Effect::Copy(text) if text.starts_with("kwj1."))));
    client.key(KeyCode::Esc);
    assert!(client.app.dialog().is_none() && !client.drawn().contains("kwj1."), "{}", client.drawn());
}

#[test]
fn what_a_manager_may_not_do_says_why_and_opens_nothing() {
    let specific = || Some(Level::Specific(vec![KeyId(1)]));
    let cases: [(Option<Level>, bool, &str, &str); 8] = [
        (Some(Level::Limited), false, "S", "suspending and resuming is for Portfolio Managers"),
        (Some(Level::Full), false, "D", "deleting a person is for Portfolio Managers"),
        (Some(Level::Full), false, "M", "is for Portfolio Managers"),
        (specific(), false, "e", "contact data is seen, not edited"),
        (None, true, "g", "you manage no Keys of this property"),
        (Some(Level::Full), true, "E", "go to a guest (Tab)"),
        (Some(Level::Full), true, "c", "go to a code (Tab)"),
        (Some(Level::Full), true, "\nji", "without the right to share it"),
    ];
    for (level, portfolio_manager, chords, why) in cases {
        let mut client = Client::unconnected(Glyphs::ASCII, 120, 40);
        (client.level, client.portfolio_manager) = (level, portfolio_manager);
        client.up();
        client.press("2");
        for c in chords.chars() {
            if c == '\n' { client.key(KeyCode::Enter) } else { client.press(&c.to_string()) }
        }
        assert!(client.app.dialog().is_none(), "{chords}\n{}", client.drawn());
        assert!(client.drawn().contains(why), "{chords}\n{}", client.drawn());
    }
}

#[test]
fn everybody_is_another_list_and_so_are_the_people_of_the_property() {
    let mut client = people();
    client.press("a");
    let asked = |client: &Client| {
        client.asked.iter().rev().find_map(|asked| match asked {
            Request::People(property, _) => Some(*property),
            _ => None,
        })
    };
    assert_eq!(asked(&client), Some(None));
    assert!(client.drawn().contains("People > everybody"));
    client.press("a");
    assert_eq!(asked(&client), Some(Some(PropertyId(1))));
}

#[test]
fn marked_people_are_given_a_key_together() {
    let mut client = people();
    client.press("  gkey b");
    enter(&mut client, 5);
    assert!(client.drawn().contains("GIVE \"Key B\" TO 2 people"), "{}", client.drawn());
    enter(&mut client, 1);
    assert_eq!(client.done().len(), 2);
}
