//! What lies over screen 1, as it is drawn.

use super::*;
use crate::view::drawn::{self, SIZES};

/// The usual terminal and a small one.
const USUAL: [(u16, u16, Glyphs); 2] = [(80, 24, Glyphs::ASCII), (40, 12, Glyphs::ASCII)];

#[test]
fn the_week_of_a_key() {
    drawn::check("key-week", &["j\n\t\t", "jjj\n\t\t"], &SIZES);
}

#[test]
fn a_key_that_is_written() {
    drawn::check("key-draft", &["jjje", "e j"], &SIZES);
    drawn::check("key-draft-forms", &["n", "ea", "eA", "jjjejje", "e e", "eN"], &USUAL);
    drawn::check("key-reviews", &["es", "D", "O"], &USUAL);
}

#[test]
fn schedules_and_holidays() {
    drawn::check("schedules", &["S", "Sj", "S\t"], &SIZES);
    drawn::check("schedules-forms", &["S\tn", "S\te", "S\tD"], &USUAL);
}

#[test]
fn the_week_that_is_painted() {
    drawn::check("week", &["Sn", "Sje", "Sje\t\tjj ", "Sje\t\t\t\t", "Sn\tMon,"], &SIZES);
}

#[test]
fn people_against_doors() {
    drawn::check("matrix", &["v", "vjll", "vP", "vss"], &SIZES);
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
