//! Screen 7 as it is drawn.

use ratatui::{buffer::Buffer, layout::Rect, style::Color};

use super::after;
use crate::{
    theme::{Glyphs, Theme},
    view::render,
};

const ASCII: Glyphs = Glyphs::ASCII;

#[test]
fn hostile_names_in_the_trail_are_drawn_harmlessly() {
    super::harmless(&["7", "7\n", "7@", "7X"]);
}

#[test]
fn the_trail_in_colours_has_the_same_words_and_refusals_stand_out() {
    let mut client = after("7", ASCII, 80, 24);
    let plain = client.drawn();
    client.app.shell.theme = Theme::COLOURS;
    assert_eq!(client.drawn(), plain);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let row = plain.lines().position(|line| line.contains("REFUSED")).unwrap();
    let at = plain.lines().nth(row).unwrap().find("REFUSED").unwrap();
    assert_eq!(buffer[(u16::try_from(at).unwrap(), u16::try_from(row).unwrap())].fg, Color::Red);
}
