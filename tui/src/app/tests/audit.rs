//! What events make of the audit trail.

use crossterm::event::KeyCode;
use keyward_protocol::message::{audit::AuditSearch, manage::Request};

use super::client;
use crate::app::{
    Effect, Event,
    jobs::{JobId, Writing},
    testing::Client,
};

fn trail(rows: usize) -> Client {
    let mut client = client();
    client.recorded = rows;
    client.press("7");
    client
}

fn searches(client: &Client) -> Vec<&AuditSearch> {
    let searches = client.asked.iter().filter_map(|request| match request {
        Request::Audit(search) => Some(search),
        _ => None,
    });
    searches.collect()
}

// L5
#[test]
fn the_trail_is_paged_as_it_is_scrolled_and_the_newest_are_asked_for_again_at_the_top() {
    let mut client = trail(450);
    assert_eq!(searches(&client).len(), 1);
    for _ in 0..6 {
        client.key(KeyCode::End);
    }
    assert_eq!(searches(&client).len(), 5);
    assert!(client.drawn().contains("back to the beginning") && client.drawn().contains("450 rows here"));
    client.later(6_000);
    assert_eq!(searches(&client).len(), 5, "who reads further down isn't disturbed");
    client.key(KeyCode::Home);
    assert!(client.drawn().contains("100 rows here"), "{}", client.drawn());
}

#[test]
fn a_filter_is_asked_once_it_is_typed_and_what_the_server_cant_do_is_done_here() {
    let mut client = trail(60);
    client.asked.clear();
    client.press("/");
    for c in "by:lee refused since:30m".chars() {
        client.key_at_once(KeyCode::Char(c));
    }
    assert!(searches(&client).is_empty());
    client.later(400);
    assert_eq!((searches(&client)[0].refused, searches(&client)[0].by), (Some(true), None));
    client.key(KeyCode::Enter);
    // Every fourth is Lee's, every third was refused.
    assert!(client.drawn().contains("2 rows here"), "{}", client.drawn());
    client.key(KeyCode::Esc);
    client.later(400);
    client.press("@");
    assert_eq!(searches(&client).last().unwrap().by.unwrap().0, 1);
    assert!(client.drawn().contains("filter: by:#1"), "{}", client.drawn());
    client.press("P/dana");
    client.later(400);
    assert!(client.drawn().contains("0 rows here") && !client.drawn().contains("dana@"), "{}", client.drawn());
}

#[test]
fn an_export_is_every_page_with_its_links_and_nothing_is_changed_in_it() {
    let mut client = trail(250);
    client.press("X");
    client.key(KeyCode::Enter);
    client.key(KeyCode::Enter);
    let writings: Vec<&Writing> = client
        .effects
        .iter()
        .filter_map(|effect| if let Effect::Write(_, writing) = effect { Some(writing) } else { None })
        .collect();
    assert_eq!(*writings[0], Writing::Begin { name: "audit", extension: "txt" });
    assert_eq!(**writings.last().unwrap(), Writing::End);
    let more = |writing: &&Writing| if let Writing::More(text) = writing { Some(text.clone()) } else { None };
    let text: String = writings.iter().filter_map(more).collect();
    assert_eq!(text.lines().count(), 251, "the beginning, and a line a row");
    assert!(text.lines().skip(1).all(|line| line.starts_with("0101") && line.ends_with('}')));
    assert!(searches(&client).iter().skip(1).all(|search| search.exports_all()));
    client.tell(Event::Written(JobId(1), Ok("keyward-audit-1.txt".into())));
    assert!(client.drawn().contains("250 rows written to keyward-audit-1.txt"), "{}", client.drawn());
}

#[test]
fn an_export_is_for_portfolio_managers_and_not_while_people_are_hidden() {
    let mut client = Client::unconnected(crate::theme::Glyphs::ASCII, 80, 24);
    client.portfolio_manager = false;
    client.up();
    client.press("7X");
    assert!(client.app.dialog().is_none() && client.drawn().contains("only Portfolio Managers export"));
    client.press("PX");
    assert!(client.app.dialog().is_none() && client.drawn().contains("people are hidden"), "{}", client.drawn());
}
