//! Screen 6 as it is drawn.

use ratatui::{buffer::Buffer, layout::Rect, style::Color};

use super::after;
use crate::{
    theme::{Glyphs, Theme},
    view::render,
};

const ASCII: Glyphs = Glyphs::ASCII;

#[test]
fn hostile_names_of_locks_and_tokens_are_drawn_harmlessly() {
    super::harmless(&["6", "6\t", "6d", "6\tr", "6nA\n\n \n\n\n", "6T\n\n"]);
}

#[test]
fn the_locks_in_colours_have_the_same_words_and_what_needs_an_eye_stands_out() {
    let mut client = after("6", ASCII, 80, 24);
    let plain = client.drawn();
    client.app.shell.theme = Theme::COLOURS;
    assert_eq!(client.drawn(), plain);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let row = plain.lines().position(|line| line.contains("DISABLED")).unwrap();
    let at = plain.lines().nth(row).unwrap().find("DISABLED").unwrap();
    assert_eq!(buffer[(u16::try_from(at).unwrap(), u16::try_from(row).unwrap())].fg, Color::Magenta);
}
