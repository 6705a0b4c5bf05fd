//! The client over a lost connection, a server that comes back, and another size of its terminal.

use std::time::{Duration, Instant};

use keyward_protocol::{
    client::Connection,
    code::{Card, Credential},
    id::DoorId,
    message::check::Outcome,
};
use portable_pty::PtySize;

use crate::{
    harness::{Terminal, open, site},
    serving::connect,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_outlives_its_server_and_follows_the_size_of_its_terminal() {
    let (_dir, site) = site();
    let serving = site.serve();
    let mut terminal = open(&site, &serving, (24, 80));
    terminal.until_it_says("Key B");
    serving.kill();
    terminal.press("R");
    terminal.until_it_says("[DOWN");
    assert!(terminal.text().contains("Key B"), "what was told stays");
    let size = PtySize { rows: 12, cols: 40, pixel_width: 0, pixel_height: 0 };
    terminal.pty.resize(size).unwrap();
    terminal.screen.screen_mut().set_size(12, 40);
    terminal.until("the small screen", |screen| screen.lines().next().is_some_and(|line| line.starts_with(" [DOWN")));
    assert!(terminal.text().contains("Key B"));
    terminal.quit();
}

/// How many rows the paused log says are new: those that its filter would show, and all.
fn new_rows(terminal: &Terminal) -> Option<(u64, u64)> {
    let text = terminal.text();
    let (_, after) = text.split_once("PAUSED +")?;
    let told = after.split_once(" new")?.0.replace(',', "");
    let (wanted, all) = told.split_once(" of ").unwrap_or((&told, &told));
    Some((wanted.parse().ok()?, all.parse().ok()?))
}

async fn opens(lock: &Connection, door: u32) {
    let card = Credential::Card(Card::parse_hex("04a2b9c1d2").unwrap());
    assert_eq!(lock.check(DoorId(door), card).await.outcome, Outcome::Granted);
}

async fn stays_shut(lock: &Connection, door: u32) {
    let card = Credential::Card(Card::parse_hex("ffffffff").unwrap());
    assert_eq!(lock.check(DoorId(door), card).await.outcome, Outcome::Denied);
}

// L3 L6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_and_filtered_log_stands_still_over_a_killed_server_and_goes_on_when_it_is_back() {
    let (_dir, site) = site();
    let serving = site.serve();
    let address = serving.address;
    let lock = connect(&site, &serving).await;
    let mut terminal = open(&site, &serving, (24, 80));
    terminal.until_it_says("Key B");
    terminal.press("4");
    terminal.until_it_says("FOLLOWING");
    // The live view is there when the first row is.
    let row = |terminal: &Terminal| !terminal.lines_with("unknown_credential").is_empty();
    terminal.doing_until("a row", row, async || stays_shut(&lock, 3).await).await;
    opens(&lock, 1).await;
    opens(&lock, 2).await;
    terminal.until("both doors", |screen| screen.contains("Door 1 ") && screen.contains("Door 2 "));
    terminal.press("/\"Door 1\"\r");
    terminal.until("one door", |screen| screen.contains("Door 1 ") && !screen.contains("Door 2 "));
    terminal.press(" ");
    terminal.until_it_says("PAUSED +0 new");
    let rows = terminal.lines_with("Door 1 ");
    assert!(rows.len() == 1 && rows[0].contains("ALLOW") && rows[0].contains("Tracy Ortiz"), "{rows:?}");

    serving.kill();
    let killed = Instant::now();
    terminal.until_it_says("[DOWN");
    assert!(killed.elapsed() < Duration::from_secs(20), "that was {:?} after it was killed", killed.elapsed());
    let as_it_was = |terminal: &Terminal| {
        assert!(terminal.text().contains("filter: \"Door 1\""), "{}", terminal.text());
        assert_eq!(terminal.lines_with("Door 1 "), rows, "{}", terminal.text());
        assert!(!terminal.text().contains("Door 2 "), "{}", terminal.text());
    };
    as_it_was(&terminal);
    assert_eq!(new_rows(&terminal), Some((0, 0)), "{}", terminal.text());

    let serving = site.serve_at(address);
    // Nobody presses anything.
    terminal.until_it_says("[up");
    as_it_was(&terminal);
    let lock = connect(&site, &serving).await;
    let came = |terminal: &Terminal| new_rows(terminal) > Some((0, 0));
    terminal.doing_until("new rows", came, async || stays_shut(&lock, 1).await).await;
    let (denied, all) = terminal.settled(new_rows).unwrap();
    assert_eq!(denied, all, "only Door 1 was asked about");
    for (door, times) in [(1, 2), (2, 3)] {
        for _ in 0..times {
            opens(&lock, door).await;
        }
    }
    let said = format!("PAUSED +{} of {} new", denied + 2, all + 5);
    terminal.until("all that came", |screen| screen.contains(&said));
    as_it_was(&terminal);

    terminal.press("G");
    terminal.until_it_says("FOLLOWING");
    let shown = terminal.lines_with("Door 1 ");
    assert!(shown.starts_with(&rows), "what was there stays above what is new: {shown:?}");
    assert_eq!(shown.iter().filter(|row| row.contains("ALLOW")).count(), 3, "{shown:?}");
    assert!(!terminal.text().contains("Door 2 "), "the filter stays: {}", terminal.text());
    opens(&lock, 1).await;
    terminal.until("the row that follows", |screen| {
        screen.lines().filter(|line| line.contains("Door 1 ") && line.contains("ALLOW")).count() == 4
    });
    terminal.quit();
}
