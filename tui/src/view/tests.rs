//! Screens as they are drawn, without colours.

use crossterm::event::KeyCode;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier},
};

mod audit;
mod doors;
mod gallery;
mod histogram;
mod keys;
mod locks;
mod logs;
mod managers;
mod page;
mod people;
mod settings;

use super::*;
use crate::{
    app::testing::{Client, batch},
    theme::{Glyphs, Theme},
};

pub fn after(chords: &str, glyphs: Glyphs, width: u16, height: u16) -> Client {
    let mut client = Client::new(glyphs, width, height);
    client.tell(batch());
    // All at one moment but for what reviews wait for: clocks and ages stay as they are.
    client.chords_at_once(chords);
    client
}

#[test]
fn hostile_names_are_drawn_harmlessly_at_every_size() {
    harmless(&["", "\n", "\nr", "g", "\nm", "?", ":", "4", "/\u{202e}\u{9b}"]);
}

/// Fails when something is drawn, after these chords, that could steer a terminal or turn text around.
pub fn harmless(chords: &[&str]) {
    let hostile = "\u{1b}[2J\u{202e}evil\u{9b}31m\u{7}\r\n\u{2066}x\u{1b}]52;c;aGk=\u{7}";
    for glyphs in [Glyphs::ASCII, Glyphs::UNICODE] {
        for (width, height) in [(1, 1), (2, 3), (20, 6), (40, 12), (61, 17), (80, 24), (120, 40), (200, 60)] {
            for chords in chords {
                let mut client = Client::unconnected(glyphs, width, height);
                client.poison = Some(hostile.to_owned());
                client.up();
                client.tell(batch());
                client.chords_at_once(chords);
                let screen = client.drawn().replace('\n', "");
                let bad = screen.chars().find(|c| keyward_protocol::name::is_unsafe(*c));
                assert_eq!(bad, None, "{width}x{height} {chords:?}");
                assert!(glyphs.unicode || screen.is_ascii(), "{width}x{height} {chords:?}");
            }
        }
    }
}

#[test]
fn what_is_to_be_typed_is_read_whole_however_narrow_it_is() {
    for (width, height) in [(20, 5), (30, 8), (39, 12), (40, 12), (60, 17), (71, 24), (72, 24), (80, 24)] {
        let mut client = after("\nr", Glyphs::ASCII, width, height);
        client.later(500);
        assert!(client.drawn().contains("DELETE 1"), "{}", client.drawn());
        client.press("DELETE 1");
        let screen = client.drawn();
        // The end of it is what is seen, where there isn't room for all.
        let typed = if width < 30 { "DELETE 1: ELETE 1_" } else { "DELETE 1_" };
        assert!(screen.contains(typed), "{screen}");
    }
}

#[test]
fn without_colours_nothing_but_modifiers_is_drawn_and_the_cursor_is_seen() {
    let client = after("j", Glyphs::ASCII, 80, 24);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let coloured = |cell: &ratatui::buffer::Cell| cell.fg != Color::Reset || cell.bg != Color::Reset;
    assert!(!buffer.content().iter().any(coloured));
    let under_cursor = (0..24).filter(|y| buffer[(5, *y)].modifier.contains(Modifier::REVERSED));
    assert_eq!(under_cursor.collect::<Vec<_>>(), [5]);
}

#[test]
fn with_colours_what_is_lost_stands_out_and_the_words_are_the_same() {
    let mut client = after("\nr", Glyphs::ASCII, 80, 24);
    let plain = client.drawn();
    client.app.shell.theme = Theme::COLOURS;
    assert_eq!(client.drawn(), plain);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let row = plain.lines().position(|line| line.contains("LOSES CODE")).unwrap();
    assert_eq!(buffer[(2, u16::try_from(row).unwrap())].fg, Color::Magenta);
}

#[test]
fn an_area_that_is_not_the_whole_buffer_is_kept_to() {
    let client = after("", Glyphs::ASCII, 40, 12);
    let mut buffer = Buffer::filled(Rect::new(0, 0, 50, 20), ratatui::buffer::Cell::new("x"));
    render(&client.app, Rect::new(5, 5, 40, 12), &mut buffer);
    let outside = |x: u16, y: u16| !(5..45).contains(&x) || !(5..17).contains(&y);
    let cells = (0..50).flat_map(|x| (0..20).map(move |y| (x, y)));
    assert!(cells.filter(|(x, y)| outside(*x, *y)).all(|place| buffer[place].symbol() == "x"));
    // More area than buffer: what doesn't fit is left out.
    render(&client.app, Rect::new(30, 10, 400, 400), &mut buffer);
}
