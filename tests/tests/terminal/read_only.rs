//! The client that was started to look and change nothing, against a server process.

use keyward::{
    remote::{Failure, LinkTold, Order, Remote, Ticket, Told},
    servers::Known,
};
use keyward_protocol::{
    entry::Command,
    id::CodeId,
    message::{
        audit::AuditSearch,
        manage::{Answer, Part, Request, Rows},
    },
};

use crate::{
    harness::{Terminal, boss, keyward, site, tracy},
    serving::text,
};

// C8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_changed_nor_shown_that_the_audit_trail_would_have_and_it_stays_read_only() {
    let (_dir, site) = site();
    let serving = site.serve();
    let boss = boss(&site, &serving).await;
    let trail = async || match boss.ask_for(&Request::Audit(AuditSearch::newest(100))).await.unwrap() {
        Answer::Audit(page) => page.rows,
        other => panic!("{other:?}"),
    };
    let before = (tracy(&boss).await, trail().await);

    let identity = site.root.join("boss@example.example");
    let address = serving.address.to_string();
    let arguments = ["--read-only", "open", "--identity", identity.to_str().unwrap(), "--address", &address];
    let mut terminal = Terminal::open(&site.root, &arguments, (24, 80));
    terminal.until_it_says("Key B");
    terminal.until_it_says("[READ-ONLY]");
    terminal.press("\r");
    terminal.until_it_says("Tracy Ortiz");
    terminal.press("r");
    terminal.until_it_says("read-only: it was started with --read-only");
    terminal.press("2");
    terminal.until_it_says("[2 People]");
    terminal.until_it_says("tracy@mail.example");
    terminal.press(":suspend\r");
    terminal.until_it_says("read-only: it was started with --read-only");
    terminal.press("\r");
    terminal.until_it_says("People > ");
    terminal.press("\t\t\tc");
    terminal.until_it_says("read-only: it was started with --read-only");
    terminal.press(":read-only\r");
    terminal.until_it_says("still read-only: it was started with --read-only: quit, and start it");
    assert!(terminal.text().contains("[READ-ONLY]"), "{}", terminal.text());
    assert_eq!((tracy(&boss).await, trail().await), before, "nothing was changed or shown");
    terminal.press("q");
    terminal.until("the list of people", |screen| !screen.contains("People > "));
    terminal.quit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_lets_no_change_out_whatever_the_screen_orders() {
    let (_dir, site) = site();
    let serving = site.serve();
    let boss = boss(&site, &serving).await;
    let me = boss.overview().await.unwrap().me;
    let people = boss.people(None, Rows::all()).await.unwrap().rows;
    let tracy = people.iter().find(|row| row.name == "Tracy Ortiz").unwrap().id;
    let known = Known::in_directory(&site.root.join("boss@example.example"), &serving.address.to_string()).unwrap();
    let (remote, mut told) = Remote::start(known).unwrap();
    while !matches!(told.recv().await, Some(Told::Link(LinkTold::Up(_)))) {}
    let mut last = 0;
    let mut asked = async |request: Request| {
        last += 1;
        remote.order(Order::Ask(Ticket(last), request)).unwrap();
        loop {
            if let Told::Answer(Ticket(ticket), answer) = told.recv().await.unwrap() {
                assert_eq!(ticket, last);
                return *answer;
            }
        }
    };
    let change = || Request::Do { command: Command::Suspend(tracy, true), pinned: None, part: Part::FIRST };
    remote.read_only(true);
    assert_eq!(asked(change()).await, Err(Failure::ReadOnly));
    assert_eq!(asked(Request::Reveal(CodeId(1))).await, Err(Failure::ReadOnly));
    assert!(asked(Request::Person(me)).await.is_ok(), "it is looked at as before");
    remote.read_only(false);
    assert!(matches!(asked(change()).await, Ok(Answer::Done(_))));
}

#[test]
fn nobody_joins_a_server_read_only() {
    let home = tempfile::tempdir().unwrap();
    let output = keyward(home.path(), &["--read-only", "login", "kwj1.token"]);
    assert!(!output.status.success() && text(&output.stderr).contains("leave --read-only out"), "{output:?}");
}
