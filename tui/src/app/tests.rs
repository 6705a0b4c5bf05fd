//! What events make of the client.

mod audit;
mod doors;
mod hidden;
mod keys;
mod locks;
mod logs;
mod managers;
mod mouse;
mod people;
mod read_only;
mod remembered;
mod since;
mod steps;
mod undo;

use crossterm::event::{KeyCode, KeyModifiers};
use keyward_protocol::{
    entry::{Period, Refusal},
    id::*,
};

use super::{
    testing::{Client, batch, batch_at, moved_on},
    *,
};
use crate::keymap::Binding;
use crate::{
    config::Config,
    remote::{LinkTold, Told},
    theme::{Glyphs, Theme},
};
use keyward_protocol::{entry::Command, message::manage::Request};

fn client() -> Client {
    Client::new(Glyphs::ASCII, 80, 24)
}

fn down(client: &mut Client) {
    let down = LinkTold::Down("the server can't be reached: gone".into(), std::time::Duration::from_secs(1));
    client.tell(Event::Told(Told::Link(down)));
}

#[test]
fn what_is_asked_is_asked_once_and_again_only_when_the_data_moved_on() {
    let mut client = client();
    let keys = |client: &Client| client.asked.iter().filter(|asked| matches!(asked, Request::Keys(..))).count();
    assert_eq!(keys(&client), 1);
    client.press("jjk");
    client.later(20_000);
    assert_eq!(keys(&client), 1, "the revision is the same");
    down(&mut client);
    client.up();
    assert_eq!(keys(&client), 2, "a new connection may tell something else");
}

#[test]
fn a_move_is_one_step_that_is_pinned_and_needs_no_typing_where_nothing_is_lost() {
    let mut client = client();
    client.key(KeyCode::Enter);
    client.press("mkey b");
    client.key(KeyCode::Enter);
    (0..4).for_each(|_| client.key(KeyCode::Enter));
    assert!(client.drawn().contains("MOVE Tracy: \"Key A\" -> \"Key B\""), "{}", client.drawn());
    assert!(client.done().is_empty(), "a preview changes nothing");
    client.key(KeyCode::Enter);
    let period = Period::default();
    let moved = Command::Move { person: PersonId(1), from: KeyId(1), to: KeyId(2), may_share: None, period };
    assert_eq!(client.done(), [(&moved, true)]);
    assert!(client.drawn().contains("moved Tracy to \"Key B\""), "{}", client.drawn());
}

#[test]
fn a_revoke_that_deletes_a_code_is_done_only_when_that_was_typed() {
    let mut client = client();
    client.key(KeyCode::Enter);
    client.press("r");
    assert!(client.drawn().contains("Type  DELETE 1  to confirm"), "{}", client.drawn());
    // The focus is on Cancel, and no single key changes anything.
    client.press("Dxyz");
    client.key(KeyCode::Enter);
    assert!(client.drawn().contains("nothing was changed: type DELETE 1"), "{}", client.drawn());
    (0..4).for_each(|_| client.key(KeyCode::Backspace));
    client.press("DELETE 1");
    assert!(client.done().is_empty());
    client.key(KeyCode::Enter);
    assert_eq!(client.done(), [(&Command::Revoke { key: KeyId(1), person: PersonId(1) }, true)]);
    assert!(client.app.dialog().is_none());
}

#[test]
fn a_revoke_that_takes_doors_but_no_code_asks_for_the_number_of_people() {
    let mut client = client();
    client.press("jjj");
    client.key(KeyCode::Enter);
    client.press("r");
    assert!(client.drawn().contains("Type  REVOKE 1  to confirm"), "{}", client.drawn());
}

#[test]
fn chords_within_300_ms_of_a_review_are_ignored_and_enter_on_cancel_leaves_it() {
    let mut client = client();
    client.key(KeyCode::Enter);
    client.press("r");
    client.later(250);
    client.key_at_once(KeyCode::Enter);
    assert!(matches!(client.app.dialog(), Some(Dialog::Review(_))));
    client.later(60);
    client.key_at_once(KeyCode::Enter);
    assert!(client.app.dialog().is_none() && client.done().is_empty());
}

#[test]
fn data_that_moved_on_opens_the_review_again_and_what_was_typed_is_gone() {
    let mut client = client();
    client.refusals.push(moved_on());
    client.key(KeyCode::Enter);
    client.press("rDELETE 1");
    client.key(KeyCode::Enter);
    let screen = client.drawn();
    assert!(screen.contains("The data moved on") && screen.contains("Type  DELETE 1"), "{screen}");
    client.key(KeyCode::Enter);
    assert_eq!((client.done().len(), client.app.dialog().is_none()), (1, true), "Cancel had the focus");
}

#[test]
fn a_change_without_an_answer_is_told_as_unknown_and_never_repeated() {
    let mut client = client();
    client.refusals.push(Failure::Unknown("no answer in time".into()));
    client.key(KeyCode::Enter);
    client.press("rDELETE 1");
    client.key(KeyCode::Enter);
    assert!(client.drawn().contains("unknown whether it was done"), "{}", client.drawn());
    down(&mut client);
    client.up();
    client.key(KeyCode::Enter);
    assert_eq!((client.done().len(), client.app.dialog().is_none()), (1, true));
}

#[test]
fn a_look_that_was_lost_with_the_connection_covers_nothing_at_the_foot_and_a_refused_one_is_told() {
    let mut client = client();
    client.press("4 ");
    for (failure, told) in [
        (Failure::Lost("no answer in time".into()), None),
        (Failure::NotConnected, None),
        (Failure::Refused(Refusal::NotPermitted("you are disabled".into())), Some("you are disabled")),
    ] {
        client.silent = true;
        client.later(6_000);
        assert_eq!(client.asked.last(), Some(&Request::Overview));
        client.fail_waiting(&failure);
        let screen = client.drawn();
        assert_eq!(screen.contains("PAUSED +0 new"), told.is_none(), "{screen}");
        assert!(told.is_none_or(|told| screen.contains(told)), "{screen}");
    }
}

#[test]
fn without_a_server_nothing_opens_and_the_first_q_leaves() {
    let mut app = App::welcome(Shell::new("no server", Theme::MONOCHROME, Glyphs::ASCII));
    let mut press =
        |c| update(&mut app, Event::Key(crossterm::event::KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
    for c in ":?/gn1234567pP".chars() {
        assert_eq!(press(c), [], "{c}");
    }
    assert_eq!(press('q'), [Effect::Quit]);
}

#[test]
fn marked_people_are_revoked_one_after_the_other_with_one_total() {
    let mut client = client();
    client.key(KeyCode::Enter);
    client.press("  r");
    let screen = client.drawn();
    assert!(screen.contains("FROM 2 people") && screen.contains("Type  DELETE 2  to confirm"), "{screen}");
    client.press("DELETE 2");
    client.key(KeyCode::Enter);
    assert_eq!(client.done().len(), 2);
}

#[test]
fn the_safe_way_is_offered_within_the_revoke() {
    let mut client = client();
    client.key(KeyCode::Enter);
    client.press("rm");
    assert!(matches!(client.app.dialog(), Some(Dialog::Form(_))));
    assert!(client.drawn().contains("MOVE Tracy FROM \"Key A\""), "{}", client.drawn());
}

// V2
#[test]
fn deliveries_is_locked_and_says_why() {
    let mut client = client();
    client.key(KeyCode::End);
    for chord in ["g", "r", "m"] {
        client.press(chord);
        assert!(client.app.dialog().is_none());
        assert!(client.drawn().contains("managed by the system: nobody gives"), "{}", client.drawn());
    }
}

#[test]
fn giving_needs_a_person_and_says_when_from_and_until_with_offsets() {
    let mut client = client();
    client.press("gzzzz");
    (0..5).for_each(|_| client.key(KeyCode::Enter));
    assert!(client.drawn().contains("choose a person"), "{}", client.drawn());
    client.key(KeyCode::Esc);
    client.press("glee");
    client.key(KeyCode::Enter);
    client.key(KeyCode::Right);
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
    client.press("2026-12-31");
    (0..2).for_each(|_| client.key(KeyCode::Enter));
    let screen = client.drawn();
    assert!(screen.contains("At once, until 2026-12-31T00:00:00-05:00."), "{screen}");
    client.key(KeyCode::Enter);
    let given = client.done();
    assert!(
        matches!(given[..], [(Command::Give { person: PersonId(2), may_share: Some(true), .. }, true)]),
        "{given:?}"
    );
}

#[test]
fn somebody_unseen_is_asked_for_by_email_only_at_enter() {
    let mut client = client();
    client.press("gnew@mail.example");
    let finds = |client: &Client| client.asked.iter().filter(|asked| matches!(asked, Request::FindPerson(_))).count();
    assert_eq!(finds(&client), 0, "each refused attempt stands in the audit trail");
    client.key(KeyCode::Enter);
    assert_eq!(finds(&client), 1);
    client.key(KeyCode::Enter);
    assert!(client.drawn().contains("Newcomer"), "{}", client.drawn());
}

#[test]
fn enter_before_the_answer_means_the_first_that_matches_and_never_what_was_offered_before() {
    let mut client = client();
    client.press("g");
    client.silent = true;
    client.press("lee");
    client.key(KeyCode::Enter);
    assert!(!client.drawn().contains("< as the Key says"), "Tracy was offered first: {}", client.drawn());
    client.answer_waiting();
    let screen = client.drawn();
    assert!(screen.contains("Lee  lee@mail.example") && screen.contains("< as the Key says"), "{screen}");
}

#[test]
fn without_a_connection_nothing_is_asked_and_what_is_here_stays() {
    let mut client = client();
    down(&mut client);
    let asked = client.asked.len();
    client.press("jj");
    client.key(KeyCode::Enter);
    client.press("r");
    assert_eq!(client.asked.len(), asked);
    client.later(75_000);
    assert!(client.drawn().contains("[DOWN 1m"), "{}", client.drawn());
    client.key(KeyCode::Esc);
    client.key(KeyCode::Esc);
    assert!(client.drawn().contains("Employee All Access"));
    client.press("R");
    assert!(client.effects.contains(&Effect::Order(Order::Reconnect)));
}

#[test]
fn typing_goes_to_the_filter_all_of_it_and_esc_clears() {
    let mut client = client();
    client.press("/q?1 r");
    assert_eq!(client.app.typing(), Some("q?1 r"));
    client.key(KeyCode::Esc);
    client.press("/key");
    client.key(KeyCode::Enter);
    assert_eq!((client.app.typing(), client.app.screen().filtered()), (None, "key"));
    let screen = client.drawn();
    assert!(screen.contains("Key B") && !screen.contains("Residences"), "{screen}");
    client.key(KeyCode::Esc);
    assert!(client.drawn().contains("Residences"));
}

#[test]
fn the_palette_does_what_a_chord_would() {
    let mut client = client();
    client.press(":hide people");
    client.key(KeyCode::Enter);
    assert!(client.app.shell.people_hidden);
    client.press(":give");
    client.key(KeyCode::Enter);
    assert!(matches!(client.app.dialog(), Some(Dialog::Form(_))));
}

#[test]
fn ctrl_c_quits_only_when_it_is_pressed_twice_within_three_seconds() {
    let ctrl_c = || Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    let mut client = client();
    client.press("r");
    client.tell(ctrl_c());
    assert!(client.drawn().contains("Ctrl-c again quits"));
    client.later(3_100);
    client.tell(ctrl_c());
    assert!(!client.effects.contains(&Effect::Quit));
    client.tell(ctrl_c());
    assert!(client.effects.contains(&Effect::Quit), "from within a dialog, too");
}

#[test]
fn q_closes_what_is_open_and_then_quits() {
    let mut client = client();
    client.press("?");
    assert!(client.app.dialog().is_some());
    client.press("q");
    client.key(KeyCode::Enter);
    client.press("q");
    assert!(client.app.dialog().is_none() && !client.effects.contains(&Effect::Quit));
    client.press("q");
    assert!(client.effects.contains(&Effect::Quit));
}

#[test]
fn ticks_within_a_second_draw_nothing() {
    let mut client = client();
    client.effects.clear();
    client.later(10);
    assert!(!client.effects.contains(&Effect::Draw));
    client.later(1_000);
    assert!(client.effects.contains(&Effect::Draw));
}

#[test]
fn hidden_people_are_neither_shown_nor_copied_nor_searched() {
    let mut client = client();
    client.tell(batch());
    client.key(KeyCode::Enter);
    client.press("Py");
    assert!(
        !client.drawn().contains("Tracy") && !client.effects.iter().any(|effect| matches!(effect, Effect::Copy(_)))
    );
    client.press("r");
    assert!(!client.drawn().contains("Tracy"), "{}", client.drawn());
    client.key(KeyCode::Esc);
    client.press("4");
    assert!(!client.drawn().contains("Tracy"), "{}", client.drawn());
}

#[test]
fn every_screens_chords_stand_in_its_tables() {
    for (id, make) in SCREENS {
        let names = |table: &[Binding]| table.iter().map(|row| row.name()).collect::<Vec<_>>();
        let own = names(make().bindings());
        assert!(super::screen::tables(*id).iter().any(|table| names(table) == own), "{id:?}");
    }
}

/// The client with chords of the user's.
fn with_chords(settings: &str) -> Client {
    let mut client = client();
    Config::parse(&format!("[chords]\n{settings}")).unwrap().apply(&mut client.app.shell);
    client
}

fn with_ctrl(client: &mut Client, c: char) {
    client.later(1_000);
    client.tell(Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)));
}

#[test]
fn the_users_chords_do_what_ours_did_and_ours_nothing_any_more() {
    let mut client =
        with_chords("keys.give = 'ctrl-g'\nkeys.sort = ['z', 'f5']\ncopy = []\nreconnect = 'f9'\nredraw = 'f8'");
    client.press("gsy");
    assert!(client.app.dialog().is_none() && !client.effects.iter().any(|effect| matches!(effect, Effect::Copy(_))));
    with_ctrl(&mut client, 'g');
    assert!(matches!(client.app.dialog(), Some(Dialog::Form(_))), "{}", client.drawn());
    // In a form a chord is what is typed, and what counts everywhere still does.
    client.effects.clear();
    with_ctrl(&mut client, 'l');
    assert!(!client.effects.contains(&Effect::Repaint));
    client.key(KeyCode::F(8));
    assert!(client.effects.contains(&Effect::Repaint));
    client.key(KeyCode::Esc);
    // Without a chord it is in the palette.
    client.press(":copy the row");
    client.key(KeyCode::Enter);
    assert!(client.effects.iter().any(|effect| matches!(effect, Effect::Copy(_))));
    down(&mut client);
    client.press("j");
    assert!(client.drawn().contains("F9 connects anew"), "{}", client.drawn());
    // Another screen has its own.
    client.up();
    client.press("2g");
    assert!(matches!(client.app.dialog(), Some(Dialog::Form(_))), "{}", client.drawn());
}

#[test]
fn what_is_said_of_a_chord_names_the_users() {
    let cases = [
        ("hide-people = 'ctrl-p'", "2c", "open the person and go to a code (Tab)"),
        ("next-part = 'f2'", "2c", "open the person and go to a code (F2)"),
        ("next-part = []", "3T", "go to who can open it (:next-part)"),
        ("hide-people = 'Q'", "Q2e", "people are hidden: Q shows them again"),
        ("keys.save-key = 'ctrl-s'", "jjje", "acts for all who hold it; Ctrl-s saves it"),
        ("keys.save-key = 'ctrl-s'\nkeys.undo = []", "jjjexq", "once more leaves it, Ctrl-s saves it"),
        ("hide-people = 'Q'", "7QX", "the chained lines hold as they are: Q shows them"),
    ];
    for (settings, chords, said) in cases {
        let mut client = with_chords(settings);
        client.tell(Event::Resize { width: 120, height: 40 });
        client.press(chords);
        assert!(client.drawn().contains(said), "{settings} {chords}\n{}", client.drawn());
    }
}

#[test]
fn commands_are_called_by_their_words_and_known_again_until_people_are_hidden() {
    let typed = |client: &Client| match client.app.dialog() {
        Some(Dialog::Palette(palette)) => palette.typed().to_owned(),
        other => panic!("{other:?} is open"),
    };
    let mut client = Client::new(Glyphs::ASCII, 80, 24);
    client.chords(":people\n");
    assert_eq!(client.app.screen_id(), ScreenId::People);
    client.chords(":explain tracy\n\x1b:explain lee\n\x1b:explain tracy\n\x1b");
    client.chords(":^");
    assert_eq!(typed(&client), "explain tracy");
    client.chords("^^");
    assert_eq!(typed(&client), "people", "each is known once");
    client.chords("\x1b:P\x1b");
    client.chords("P:^");
    assert_eq!(typed(&client), "", "what may name somebody is forgotten");
    client.chords("\x1b");
    client.effects.clear();
    client.chords(":q\n");
    assert!(client.effects.contains(&Effect::Quit), "{:?}", client.effects);
}
