//! What was denied, in bars, as it is drawn.

use super::*;
use crate::view::drawn::{self, SIZES};

#[test]
fn denials_by_reason_door_person_and_hour() {
    drawn::check("histogram", &["4i", "4i\t", "4i\t\tj", "4i\t\t\t", "4T\n\ni", "4T\n\n/allow\ni", "4i\n"], &SIZES);
}

#[test]
fn in_the_other_characters_at_every_size_too() {
    let sizes = SIZES
        .map(|(width, height, glyphs)| (width, height, if glyphs.unicode { Glyphs::ASCII } else { Glyphs::UNICODE }));
    drawn::check("histogram-otherwise", &["4i", "4i\t\t\t"], &sizes);
}

#[test]
fn hostile_names_in_bars_are_drawn_harmlessly_and_hidden_people_have_none() {
    super::harmless(&["4i\t", "4i\t\t", "4T\n\ni\t"]);
    let hidden = after("P4i\t\t", Glyphs::ASCII, 80, 24).drawn();
    assert!(hidden.contains("People are hidden: P shows them again") && !hidden.contains("Lee"), "{hidden}");
}
