//! What events make of managers, their levels and their machines, and of tokens.

use crossterm::event::KeyCode;
use keyward_protocol::{
    entry::{Command, Level, Party},
    id::{IdentityId, KeyId, PersonId, PropertyId},
    message::manage::Request,
};

use super::client;
use crate::app::{Dialog, Effect, testing::Client};

/// At the card of Ana, who has two Keys by a Specific level.
fn card() -> Client {
    let mut client = client();
    client.press("5kk");
    client.key(KeyCode::Enter);
    client
}

// M1, M4, M6
#[test]
fn keys_of_a_specific_level_are_chosen_reviewed_and_saved() {
    let mut client = card();
    client.press("c  ");
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
    assert!(client.drawn().contains("2 of 6"), "{}", client.drawn());
    // Key A is left out, Key B is chosen.
    client.press("  s");
    let screen = client.drawn();
    assert!(screen.contains("LOSES LOG") && screen.contains("Type  REVOKE 2  to confirm"), "{screen}");
    assert!(client.done().is_empty());
    client.level_set = Some(Level::Specific(vec![KeyId(2), KeyId(4)]));
    client.press("REVOKE 2");
    client.key(KeyCode::Enter);
    let level = Some(Level::Specific(vec![KeyId(2), KeyId(4)]));
    assert_eq!(client.done(), [(&Command::SetLevel(PropertyId(1), PersonId(3), level), true)]);
    client.later(6_000);
    let screen = client.drawn();
    assert!(screen.contains("card > levels") && screen.contains("Specific(2)"), "{screen}");
}

#[test]
fn what_was_chosen_is_kept_over_a_filter_and_undone_and_deliveries_is_nobodys() {
    let mut client = card();
    client.press("c  ");
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
    client.press("/all access");
    client.key(KeyCode::Enter);
    client.press(" ");
    client.key(KeyCode::Esc);
    assert!(client.drawn().contains("3 of 6, unsaved"), "{}", client.drawn());
    client.key(KeyCode::End);
    client.press(" ");
    assert!(client.drawn().contains("can't be assigned"), "{}", client.drawn());
    client.press("u");
    assert!(client.drawn().contains("2 of 6\n"), "{}", client.drawn());
    client.key(KeyCode::Home);
    client.press(" jj s");
    assert!(client.drawn().contains("choose a Key, or take the level away"), "{}", client.drawn());
    assert!(client.done().is_empty() && client.app.dialog().is_none());
}

#[test]
fn full_limited_and_none_are_reviewed_at_once() {
    for (rights, level) in [(0, Some(Level::Full)), (1, Some(Level::Limited)), (3, None)] {
        let mut client = card();
        client.key(KeyCode::Enter);
        (0..rights).for_each(|_| client.key(KeyCode::Right));
        client.key(KeyCode::Enter);
        client.key(KeyCode::Enter);
        client.key(KeyCode::Enter);
        assert_eq!(client.done(), [(&Command::SetLevel(PropertyId(1), PersonId(3), level), true)], "{rights}");
    }
}

#[test]
fn a_property_is_added_for_somebody_who_is_found_by_name() {
    let mut client = client();
    client.press("5asam");
    client.key(KeyCode::Enter);
    client.press("main");
    client.key(KeyCode::Enter);
    (0..4).for_each(|_| client.key(KeyCode::Enter));
    let level = Command::SetLevel(PropertyId(1), PersonId(4), Some(Level::Full));
    assert_eq!(client.done(), [(&level, true)], "{}", client.drawn());
}

// M6
#[test]
fn who_is_no_portfolio_manager_sees_their_own_and_is_told_why_nothing_can_be_changed() {
    let mut client = Client::unconnected(crate::theme::Glyphs::ASCII, 80, 24);
    client.portfolio_manager = false;
    client.up();
    client.press("5");
    let screen = client.drawn();
    assert!(screen.contains("1 manager") && screen.contains("|>Dana") && !screen.contains("Ana"), "{screen}");
    assert!(!client.asked.iter().any(|asked| matches!(asked, Request::People(..) | Request::Property(_))));
    for chord in ["a", "n", "M"] {
        client.press(chord);
        assert!(client.app.dialog().is_none());
        assert!(client.drawn().contains("only Portfolio Managers"), "{}", client.drawn());
    }
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
    assert!(client.drawn().contains("only Portfolio Managers"), "{}", client.drawn());
}

#[test]
fn a_machine_is_disabled_and_taken_again() {
    let mut client = card();
    client.key(KeyCode::Tab);
    client.press("d");
    client.key(KeyCode::Enter);
    client.press("jd");
    client.key(KeyCode::Enter);
    let (off, on) = (Command::DisableIdentity(IdentityId(1), true), Command::DisableIdentity(IdentityId(2), false));
    assert_eq!(client.done(), [(&off, true), (&on, true)]);
}

#[test]
fn a_token_is_shown_once_when_the_server_has_it_and_never_again() {
    let mut client = card();
    client.press("n");
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
    assert!(!client.drawn().contains("kwj1."), "the server doesn't have it yet: {}", client.drawn());
    client.key(KeyCode::Enter);
    let done = client.done();
    let [(Command::MakeToken { party, hash, until }, true)] = done[..] else { panic!("{done:?}") };
    assert_eq!((*party, *hash), (Party::Operator(PersonId(3)), [3; 32]));
    let now = client.app.shell.now.unwrap();
    assert!((3_590..=3_600).contains(&((until.as_micros() - now.as_micros()) / 1_000_000)));
    assert!(matches!(client.app.dialog(), Some(Dialog::Token(_))) && client.drawn().contains("kwj1."));
    client.key(KeyCode::Enter);
    client.press("xy");
    let copied = client.effects.iter().find_map(|effect| match effect {
        Effect::Copy(text) => Some(text.clone()),
        _ => None,
    });
    assert!(copied.unwrap().parse::<keyward_protocol::message::join::JoinToken>().is_ok());
    assert!(client.drawn().contains("kwj1."), "a stray key doesn't lose it");
    client.key(KeyCode::Esc);
    assert!(client.app.dialog().is_none() && !client.drawn().contains("kwj1."));
    assert!(!format!("{:?}", client.app).contains("BwcHBwcH"), "nothing keeps its secret");
}

#[test]
fn a_token_that_is_not_wanted_after_all_is_never_made() {
    let mut client = card();
    client.press("n");
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
    client.key(KeyCode::Esc);
    assert!(client.done().is_empty() && client.app.dialog().is_none());
}
