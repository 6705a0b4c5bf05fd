//! What lies over screen 1, as it is drawn.

use super::*;
use crate::view::drawn;

/// The usual terminal and a small one.

#[test]
fn people_against_doors() {
    let screen = drawn::after("vP", Glyphs::ASCII, 120, 40).drawn();
    assert!(!screen.contains("Tracy") && !screen.contains("Lee"), "{screen}");
}

#[test]
fn what_is_shut_and_open_is_told_without_colour() {
    let plain = drawn::after("Sj", Glyphs::ASCII, 80, 24).drawn();
    let mut client = drawn::after("Sj", Glyphs::ASCII, 80, 24);
    client.app.shell.theme = Theme::COLOURS;
    assert_eq!(client.drawn(), plain);
    let friday = plain.lines().find(|line| line.starts_with("| Fri ")).unwrap();
    // 20:10 is within its half hour.
    assert!(friday.contains(&format!("{}:#######", ".".repeat(40))), "{friday}");
}

#[test]
fn hostile_names_are_harmless_over_the_keys() {
    harmless(&["e", "ea", "jjjejje", "S", "Sje", "Sje\t\t", "S\t", "v", "j\n\t\t", "D"]);
}
