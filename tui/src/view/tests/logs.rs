//! Screen 4 as it is drawn: history, the explanation, exports.

use ratatui::{buffer::Buffer, layout::Rect, style::Color};

use super::after;
use crate::{
    theme::{Glyphs, Theme},
    view::render,
};

const ASCII: Glyphs = Glyphs::ASCII;

#[test]
fn hostile_names_in_history_and_explanations_are_drawn_harmlessly() {
    super::harmless(&["4T\n\n", "4T\n\nx", "4T\n\nx\t", "4T\n\n=", "4T\n\nX\n\n\n:jobs\n", ":server\n"]);
}

#[test]
fn an_explanation_in_colours_has_the_same_words_and_what_refuses_stands_out() {
    let mut client = after("4EEx", ASCII, 80, 24);
    let plain = client.drawn();
    client.app.shell.theme = Theme::COLOURS;
    assert_eq!(client.drawn(), plain);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    let row = plain.lines().position(|line| line.contains("business hours") && line.contains("NO")).unwrap();
    let at = plain.lines().nth(row).unwrap().find("NO").unwrap();
    assert_eq!(buffer[(u16::try_from(at).unwrap(), u16::try_from(row).unwrap())].fg, Color::Red);
}
