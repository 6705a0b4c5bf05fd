//! Screen 5 as it is drawn, and tokens.

use ratatui::{buffer::Buffer, layout::Rect, style::Color};

use super::after;
use crate::{
    theme::{Glyphs, Theme},
    view::render,
};

const ASCII: Glyphs = Glyphs::ASCII;

#[test]
fn hostile_names_of_machines_and_keys_are_drawn_harmlessly() {
    super::harmless(&["5", "5\n", "5kk\n\t", "5kk\n\td", "5kk\nc  \n\n", "5n\n\n"]);
}

#[test]
fn the_card_in_colours_has_the_same_words_and_what_changes_stands_out() {
    let mut client = after("5kk\nc  \n\n ", ASCII, 80, 24);
    let plain = client.drawn();
    client.app.shell.theme = Theme::COLOURS;
    assert_eq!(client.drawn(), plain);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let row = plain.lines().position(|line| line.contains("<- was chosen")).unwrap();
    let at = plain.lines().nth(row).unwrap().find("<- was").unwrap();
    assert_eq!(buffer[(u16::try_from(at).unwrap(), u16::try_from(row).unwrap())].fg, Color::Magenta);
}
