//! The terminal client as an operator runs it: a process in a pseudo-terminal, against a server process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

#[path = "terminal/harness.rs"]
mod harness;
#[path = "terminal/lasting.rs"]
mod lasting;
#[path = "terminal/leaving.rs"]
mod leaving;
#[path = "terminal/looks.rs"]
mod looks;
#[path = "terminal/read_only.rs"]
mod read_only;
mod serving;
#[path = "terminal/settings.rs"]
mod settings;

use std::time::Duration;

use harness::{boss, open, site, tracy};
use keyward_protocol::{
    client::Connection,
    entry::{Command as Edit, Period},
    id::PropertyId,
    message::manage::{CodeRow, Rows},
};

// C4 C5 K9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_keeps_her_codes_and_a_revoke_deletes_them_only_when_that_was_typed() {
    let (_dir, site) = site();
    let serving = site.serve();
    let boss = boss(&site, &serving).await;
    let (codes, held) = tracy(&boss).await;
    assert_eq!((codes.len(), held.len()), (2, 1));

    let mut terminal = open(&site, &serving, (24, 80));
    terminal.until_it_says("Key B");
    terminal.press("\r");
    terminal.until_it_says("Tracy Ortiz");
    terminal.press("m");
    terminal.until_it_says("To Key");
    terminal.press("Key B");
    terminal.press("\r");
    terminal.until_it_says("< as the Key says");
    terminal.press("\r\r\r\r");
    terminal.until_it_says("KEEPS CODE");
    terminal.press_until("\r", "moved Tracy Ortiz to \"Key B\"");
    let (moved, now_held) = tracy(&boss).await;
    assert_eq!(moved, codes, "the same ids are the same digits");
    assert!(now_held.len() == 1 && now_held != held);

    // Back to the list, to Key B, and take it from her.
    terminal.press("\x1b");
    terminal.until("the list of Keys", |screen| screen.contains("Key A") && screen.contains("SEEN USED"));
    terminal.press("j\r");
    terminal.until_it_says("Tracy Ortiz");
    terminal.press("r");
    terminal.until_it_says("Type  DELETE 2  to confirm");
    terminal.press_until("D", "confirm: > D");
    terminal.press("ELETE 1\r");
    terminal.until_it_says("nothing was changed: type DELETE 2");
    assert_eq!(tracy(&boss).await.0, codes, "nothing was changed");
    terminal.press("\x7f2\r");
    terminal.until_it_says("revoked \"Key B\" from Tracy Ortiz");
    let (codes, held) = tracy(&boss).await;
    assert_eq!((codes, held), (Vec::new(), Vec::new()));

    terminal.press("\x1b");
    terminal.until_it_says("SEEN USED");
    let rest = terminal.quit();
    let text = String::from_utf8_lossy(&rest);
    assert!(text.contains("\x1b[?1049l") && text.contains("\x1b[?25h"), "the terminal is given back: {text:?}");
}

// K9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_changes_during_a_review_is_reviewed_again_before_anything_is_done() {
    let (_dir, site) = site();
    let deputy = site.operator("deputy@example.example");
    let serving = site.serve();
    let boss = boss(&site, &serving).await;
    let before = tracy(&boss).await;
    let mut terminal = open(&site, &serving, (24, 80));
    terminal.until_it_says("Key B");
    terminal.press("\r");
    terminal.until_it_says("Tracy Ortiz");
    terminal.press("r");
    terminal.until_it_says("Type  DELETE 2  to confirm");

    // Key C, which the deputy gives her meanwhile, has one of the two doors and a third: one code less would be lost now.
    let deputy = Connection::connect(serving.address, &deputy, Duration::from_secs(10)).await.unwrap();
    let keys = deputy.keys(PropertyId(1), Rows::all()).await.unwrap().rows;
    let key = keys.iter().find(|key| key.name == "Key C").unwrap().id;
    let person = deputy.find_person("tracy@mail.example").await.unwrap().id;
    deputy.carry_out(Edit::Give { key, person, may_share: None, period: Period::default() }, None).await.unwrap();
    let now = tracy(&boss).await;
    assert_eq!((now.0.len(), now.1.len()), (before.0.len() + 1, 2));

    terminal.press_until("D", "confirm: > D");
    terminal.press("ELETE 2\r");
    terminal.until_it_says("Type  DELETE 1  to confirm");
    assert!(terminal.text().contains("The data moved on since you looked"), "{}", terminal.text());
    assert!(!terminal.text().contains("> DELETE 2"), "what was typed for the other list is gone");
    assert_eq!(tracy(&boss).await, now, "nothing was changed");
    terminal.press_until("D", "confirm: > D");
    terminal.press("ELETE 2\r");
    terminal.until_it_says("nothing was changed: type DELETE 1");
    assert_eq!(tracy(&boss).await, now, "the number of before confirms nothing");
    terminal.press("\x7f1\r");
    terminal.until_it_says("revoked \"Key A\" from Tracy Ortiz");
    let (codes, held) = tracy(&boss).await;
    assert_eq!(held, [key]);
    let kept: Vec<&CodeRow> = codes.iter().filter(|code| before.0.contains(code)).collect();
    assert!(codes.len() == 2 && kept.len() == 1, "the code of Door 1 is kept: {codes:?}");
    terminal.press("\x1b");
    terminal.until_it_says("SEEN USED");
    terminal.quit();
}
