//! Screens drawn into files that stand beside the tests: `drawings/*.txt`. Run the tests with `KEYWARD_DRAW=1` to draw
//! them anew, and read what changed as you would read code.

use std::{env, fs, path::Path};

use crate::{
    app::testing::{Client, batch},
    config::Config,
    theme::Glyphs,
};

/// The usual sizes, with the characters that each is drawn with.
pub const SIZES: [(u16, u16, Glyphs); 3] =
    [(80, 24, Glyphs::ASCII), (120, 40, Glyphs::UNICODE), (40, 12, Glyphs::ASCII)];

/// Compares screens with the file of this name: each after its chords (`\n` is Enter, `\t` Tab, `\x1b` Esc), at every
/// one of the sizes, with these settings of the user's.
pub fn check_with(name: &str, settings: &str, chords: &[&str], sizes: &[(u16, u16, Glyphs)]) {
    let mut drawn = String::new();
    for chords in chords {
        for (width, height, glyphs) in sizes {
            let screen = after_with(settings, chords, *glyphs, *width, *height).drawn();
            let set = if glyphs.unicode { "unicode" } else { "ascii" };
            drawn.push_str(&format!("=== {chords:?} {width}x{height} {set}\n{screen}"));
        }
    }
    same_as(&format!("src/view/drawings/{name}.txt"), &drawn);
}

/// Compares what was drawn with this file of the crate.
pub fn same_as(file: &str, drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if env::var_os("KEYWARD_DRAW").is_some() {
        fs::write(&path, drawn).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let differs = drawn.lines().zip(expected.lines()).position(|(drawn, expected)| drawn != expected);
    let line = differs.unwrap_or_else(|| drawn.lines().count().min(expected.lines().count())) + 1;
    assert!(
        drawn == expected,
        "tui/{file} is not what is drawn, first in line {line}: run this test with KEYWARD_DRAW=1 and read what changed\n{drawn}"
    );
}

/// The client after these chords, all pressed at one moment: clocks and ages stay as they are.
pub fn after(chords: &str, glyphs: Glyphs, width: u16, height: u16) -> Client {
    after_with("", chords, glyphs, width, height)
}

fn after_with(settings: &str, chords: &str, glyphs: Glyphs, width: u16, height: u16) -> Client {
    let mut client = Client::unconnected(glyphs, width, height);
    Config::parse(settings).unwrap().apply(&mut client.app.shell);
    client.up();
    client.tell(batch());
    client.chords_at_once(chords);
    client
}
