//! What was denied, in bars, as it is drawn.

use super::*;

#[test]
fn hostile_names_in_bars_are_drawn_harmlessly_and_hidden_people_have_none() {
    super::harmless(&["4i\t", "4i\t\t", "4T\n\ni\t"]);
    let hidden = after("P4i\t\t", Glyphs::ASCII, 80, 24).drawn();
    assert!(hidden.contains("People are hidden: P shows them again") && !hidden.contains("Lee"), "{hidden}");
}
