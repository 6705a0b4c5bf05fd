//! Screen 2 as it is drawn.

use ratatui::style::Color;

use super::*;
use crate::view::drawn::{self, SIZES};

#[test]
fn hidden_people_are_nowhere_on_their_screen() {
    for chords in ["2P", "2\nP", "2\nP\t", "2\nP\t\t", "2Pg", "2\nPr", "2PS", "2PD", "2PT\n\n", "2Px"] {
        let screen = drawn::after(chords, Glyphs::ASCII, 120, 40).drawn();
        for name in ["Tracy", "tracy@", "Visitor", "Lee", "212 555"] {
            assert!(!screen.contains(name), "{name} after {chords:?}:\n{screen}");
        }
    }
}

#[test]
fn who_is_suspended_stands_out_in_colour_and_in_words() {
    let mut client = drawn::after("2", Glyphs::ASCII, 80, 24);
    client.app.shell.theme = Theme::COLOURS;
    let screen = client.drawn();
    let row = screen.lines().position(|line| line.contains("SUSPENDED")).unwrap();
    let column = screen.lines().nth(row).unwrap().find("SUSPENDED").unwrap();
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    assert_eq!(buffer[(u16::try_from(column).unwrap(), u16::try_from(row).unwrap())].fg, Color::Magenta);
}

#[test]
fn hostile_names_are_harmless_among_people() {
    harmless(&[
        "2",
        "2\n",
        "2\n\t",
        "2\n\t\t",
        "2\n\t\t\tc",
        "2\n\t\t\t\t",
        "2g",
        "2e",
        "2\nr",
        "2D",
        "2\ni",
        "2\nx",
        "2\n\t\t\tx",
        "2T\n\n",
    ]);
}

#[test]
fn a_token_is_drawn_whole_at_every_size() {
    for (width, height, glyphs) in SIZES {
        let mut client = drawn::after("2T\n\n", glyphs, width, height);
        client.later(1_000);
        client.key_at_once(KeyCode::Enter);
        let screen = client.drawn();
        let letters: String = screen.chars().filter(|c| c.is_ascii_graphic() && *c != '|').collect();
        let token = crate::app::testing::fresh();
        assert!(letters.contains(token.token.expose().as_str()), "{screen}");
        assert!(width < 80 || screen.contains("can't be shown again"), "{screen}");
    }
}
