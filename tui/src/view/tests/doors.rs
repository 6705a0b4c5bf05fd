//! Screen 3 as it is drawn.

use super::*;
use crate::view::drawn::{self, SIZES};

#[test]
fn the_doors() {
    drawn::check("doors", &["3", "3j", "3/unit\n", "3sss"], &SIZES);
}

#[test]
fn a_door_with_its_keys_and_who_can_open_it() {
    drawn::check("door", &["3\n", "3j\n\t", "3\n\tT2026-12-01 08:00\n\n", "3j\n\t\t"], &SIZES);
}

#[test]
fn what_is_done_with_doors_begins_in_a_form_and_ends_in_a_review() {
    let usual = [(80, 24, Glyphs::ASCII), (40, 12, Glyphs::ASCII)];
    drawn::check(
        "doors-forms",
        &["3n", "3jje", "3L", "3L\t", "3L\t\t\n", "3U", "3jx", "3\n\tT2026-12-01 08:00\n\nx"],
        &usual,
    );
    drawn::check("doors-reviews", &["3jjo", "3D", "3L\t\t\n\t\n", "3U\n\n"], &usual);
}

#[test]
fn hidden_people_are_nowhere_on_the_doors_screen() {
    for chords in ["3P", "3P\n\t", "3\n\tP", "3\nP\t\t", "3P\n\tx"] {
        let screen = drawn::after(chords, Glyphs::ASCII, 120, 40).drawn();
        for name in ["Tracy", "tracy@", "Visitor", "Lee"] {
            assert!(!screen.contains(name), "{name} after {chords:?}:\n{screen}");
        }
    }
}

#[test]
fn a_lockdown_stands_out_in_colour_and_in_words() {
    let mut client = drawn::after("3", Glyphs::ASCII, 80, 24);
    client.app.shell.theme = Theme::COLOURS;
    let screen = client.drawn();
    let (row, line) = screen.lines().enumerate().find(|(_, line)| line.contains("LOCKED DOWN")).unwrap();
    let column = line.find("LOCKED DOWN").unwrap();
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    assert_eq!(buffer[(u16::try_from(column).unwrap(), u16::try_from(row).unwrap())].fg, Color::Magenta);
}

#[test]
fn hostile_names_are_harmless_among_doors() {
    harmless(&["3", "3\n", "3\n\t", "3\n\t\t", "3e", "3L", "3L\t", "3U", "3D", "3jjo", "3x", "3\n\tx"]);
}
