//! What clicks and the wheel do, for who asked for them.

use super::*;
use crate::config::Config;

fn mousing(width: u16, height: u16) -> Client {
    let mut client = Client::unconnected(Glyphs::ASCII, width, height);
    Config::parse("mouse = true").unwrap().apply(&mut client.app.shell);
    client.up();
    client.tell(batch());
    client
}

fn click(client: &mut Client, x: u16, y: u16) {
    client.tell(Event::Mouse(Mouse::Click(x, y)));
}

fn wheel(client: &mut Client, up: bool) {
    client.tell(Event::Mouse(Mouse::Wheel { up }));
}

fn line(client: &Client, y: u16) -> String {
    client.drawn().lines().nth(y.into()).unwrap_or_default().to_owned()
}

#[test]
fn a_click_puts_the_cursor_on_the_row_that_is_seen_there() {
    for (width, height) in [(80, 24), (120, 40), (40, 12)] {
        for chords in ["", "\n", "\n\t", "2", "2\n", "3", "3\n", "4", "5", "6", "7", "jjje", "S", "v"] {
            let mut client = mousing(width, height);
            client.chords(chords);
            let before = client.drawn();
            let first = if height >= 24 { 4 } else { 2 };
            let row = first + 1;
            let cursor = |line: &str| line.trim_start_matches('|').starts_with(['>', '#']);
            let there = cursor(&line(&client, first)) || cursor(&line(&client, row)) || cursor(&line(&client, row + 1));
            click(&mut client, 5, row);
            let now = line(&client, row);
            let empty = now.trim_matches(|c| c == '|' || c == ' ').is_empty();
            let told = format!("{chords:?} {width}x{height}\n{before}\n{}", client.drawn());
            assert!(!there || empty || cursor(&now), "{told}");
            // What is no row is nothing.
            let stands = client.drawn();
            for (x, y) in [(5, first - 1), (5, height - 1), (width + 9, height + 9), (5, first + 12)] {
                click(&mut client, x, y);
                let moved = client.drawn() != stands && y != first + 12;
                assert!(!moved, "{chords:?} {x} {y}\n{stands}\n{}", client.drawn());
            }
        }
    }
}

#[test]
fn a_click_on_its_name_opens_a_screen() {
    let mut client = mousing(80, 24);
    for (id, name) in ScreenId::ALL.map(|id| (id, format!("{} {}", id.number(), id.name()))) {
        let at = u16::try_from(line(&client, 1).find(&name).unwrap()).unwrap();
        // The first and the last column of it.
        for x in [at - 1, at + u16::try_from(name.len()).unwrap()] {
            client.press("1");
            click(&mut client, x, 1);
            assert_eq!(client.app.screen_id(), id, "{name} {x}");
        }
    }
    let before = client.app.screen_id();
    click(&mut client, 79, 1);
    assert_eq!(client.app.screen_id(), before);
    // Where the header is one line, there are no names.
    let mut client = mousing(40, 12);
    click(&mut client, 15, 1);
    assert_eq!(client.app.screen_id(), ScreenId::Keys);
}

#[test]
fn the_wheel_scrolls_what_is_seen() {
    let mut client = mousing(80, 24);
    wheel(&mut client, false);
    assert!(line(&client, 7).starts_with("|>"), "{}", client.drawn());
    wheel(&mut client, true);
    assert!(line(&client, 4).starts_with("|>"), "{}", client.drawn());
    client.press("?");
    let top = line(&client, 4);
    wheel(&mut client, false);
    assert_ne!(line(&client, 4), top);
    wheel(&mut client, true);
    assert_eq!(line(&client, 4), top);
    // A dialog that is typed into stays as it is, and so does what lies under it.
    client.key(KeyCode::Esc);
    client.press("g");
    let form = client.drawn();
    wheel(&mut client, false);
    click(&mut client, 5, 6);
    click(&mut client, 15, 1);
    assert_eq!(client.drawn(), form);
}

#[test]
fn no_click_changes_anything() {
    let mut client = mousing(80, 24);
    client.chords("\nr");
    for y in 0..24 {
        for x in 0..80 {
            click(&mut client, x, y);
        }
    }
    wheel(&mut client, false);
    assert!(client.done().is_empty() && matches!(client.app.dialog(), Some(Dialog::Review(_))));
    // A code that is shown goes with whatever comes next.
    let mut client = mousing(120, 40);
    client.chords("2\n\t\t\tc");
    assert!(client.drawn().contains("4071936"), "{}", client.drawn());
    wheel(&mut client, false);
    assert!(!client.drawn().contains("4071936"), "{}", client.drawn());
}

#[test]
fn the_mouse_counts_only_for_who_asked() {
    let mut client = client();
    let before = client.drawn();
    click(&mut client, 15, 1);
    wheel(&mut client, false);
    assert_eq!(client.drawn(), before);
    for (on, said) in [(true, "with Shift it marks text as before"), (false, "the terminal's again")] {
        client.effects.clear();
        client.chords(":mouse\n");
        assert!(client.effects.contains(&Effect::Mouse(on)), "{:?}", client.effects);
        assert!(client.drawn().contains(said), "{}", client.drawn());
        click(&mut client, 15, 1);
        assert_eq!(client.app.screen_id() == ScreenId::People, on);
        client.press("1");
    }
}
