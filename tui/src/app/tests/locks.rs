//! What events make of locks and tokens.

use crossterm::event::KeyCode;
use keyward_protocol::{
    entry::{Command, LockScope, Party},
    id::{DoorId, LockId, PropertyId, TokenId},
    message::manage::Request,
};

use super::client;
use crate::{
    app::{Dialog, review::Phase, testing::Client},
    remote::Failure,
};

fn locks() -> Client {
    let mut client = client();
    client.press("6");
    client
}

// U3
#[test]
fn a_lock_is_registered_and_its_token_is_shown_once() {
    let mut client = locks();
    client.press("nRoof gateway");
    // Name, property, doors, length, button, and then the review.
    (0..6).for_each(|_| client.key(KeyCode::Enter));
    let done = client.done();
    let [(Command::MakeLock { name, scope }, true), (Command::MakeToken { party, hash, .. }, false)] = done[..] else {
        panic!("{done:?}")
    };
    assert_eq!((name.as_str(), scope), ("Roof gateway", &LockScope::Property(PropertyId(1))));
    assert_eq!((*party, *hash), (Party::Lock(LockId(9)), [3; 32]), "the lock that was made");
    assert!(matches!(client.app.dialog(), Some(Dialog::Token(_))), "{}", client.drawn());
    client.key(KeyCode::Esc);
    assert!(!client.drawn().contains("kwj1."));
}

#[test]
fn a_lock_of_some_doors_is_registered_with_those_chosen() {
    let mut client = locks();
    client.press("nGarage 2");
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
    client.key(KeyCode::Right);
    (0..3).for_each(|_| client.key(KeyCode::Enter));
    client.press("s");
    assert!(client.drawn().contains("choose a door"), "{}", client.drawn());
    client.press("/gar");
    client.key(KeyCode::Enter);
    client.press(" s");
    client.key(KeyCode::Enter);
    let scope = LockScope::Doors(vec![DoorId(2)]);
    assert_eq!(client.done()[0], (&Command::MakeLock { name: "Garage 2".into(), scope }, true));
}

#[test]
fn a_name_that_is_none_is_told_before_anything_is_asked() {
    let mut client = locks();
    client.press("n");
    (0..5).for_each(|_| client.key(KeyCode::Enter));
    assert!(client.drawn().contains("the name: "), "{}", client.drawn());
    assert!(client.done().is_empty());
}

#[test]
fn a_lock_whose_token_cant_be_made_is_told_as_registered() {
    let mut client = locks();
    client.press("nRoof gateway");
    (0..5).for_each(|_| client.key(KeyCode::Enter));
    client.failures = Some(Failure::Unknown("no answer in time".into()));
    client.key(KeyCode::Enter);
    let Some(Dialog::Review(review)) = client.app.dialog() else { panic!("{}", client.drawn()) };
    assert!(matches!(review.phase(), Phase::Stopped(why) if why.starts_with("1 done before")), "{:?}", review.phase());
    client.key(KeyCode::Esc);
    assert!(client.app.dialog().is_none() && client.done().len() == 2, "nothing is done again");
}

#[test]
fn locks_are_disabled_and_join_anew_and_tokens_are_revoked() {
    let mut client = locks();
    client.press("d");
    client.key(KeyCode::Enter);
    client.key(KeyCode::End);
    client.press("d");
    client.key(KeyCode::Enter);
    client.press("T");
    (0..3).for_each(|_| client.key(KeyCode::Enter));
    client.key(KeyCode::Esc);
    client.key(KeyCode::Tab);
    client.press("r");
    client.key(KeyCode::Enter);
    let done = client.done();
    let (off, on) = (Command::DisableLock(LockId(1), true), Command::DisableLock(LockId(4), false));
    assert_eq!(done[..2], [(&off, true), (&on, true)]);
    assert!(matches!(done[2], (Command::MakeToken { party: Party::Lock(LockId(4)), .. }, true)), "{done:?}");
    assert_eq!(done[3..], [(&Command::RevokeToken(TokenId(5)), true)]);
}

// M7
#[test]
fn who_is_no_portfolio_manager_asks_for_no_locks_and_is_told_why() {
    let mut client = Client::unconnected(crate::theme::Glyphs::ASCII, 80, 24);
    client.portfolio_manager = false;
    client.up();
    client.press("6");
    assert!(!client.asked.iter().any(|asked| matches!(asked, Request::Locks(_))), "it would be an attempt");
    client.press("n");
    assert!(client.app.dialog().is_none() && client.drawn().contains("only Portfolio Managers"), "{}", client.drawn());
}

#[test]
fn what_locks_ask_is_asked_for_every_ten_seconds_and_no_more_where_that_is_not_known() {
    let asked = |client: &Client| client.asked.iter().filter(|asked| matches!(asked, Request::LockActivity(_))).count();
    let mut client = client();
    client.press("6");
    assert_eq!(asked(&client), 1);
    let drawn = client.drawn();
    assert!(drawn.contains("3s") && drawn.contains("1,204,331 in all since the server started"), "{drawn}");
    (0..9).for_each(|_| client.later(1_000));
    assert_eq!(asked(&client), 1);
    client.later(1_000);
    assert_eq!(asked(&client), 2);
    // One that asked nothing since the start, and nothing at all where nobody counts.
    client.press("jj");
    assert!(client.drawn().contains("nothing since the server started"), "{}", client.drawn());
    client.press("1");
    client.later(60_000);
    assert_eq!(asked(&client), 2, "nobody looks");
}
