//! Screen 3 as it is drawn.

use super::*;
use crate::view::drawn;

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
