//! What the user's settings make of the screens.

use crate::view::drawn::{self, SIZES};

#[test]
fn columns_of_the_users_stand_in_their_order_and_drop_as_ours_do() {
    let settings = "[columns]\nkeys = ['doors', 'hours', 'name', 'people']\n\"keys.people\" = ['email', 'period', 'name']\n\
                    logs = ['door', 'result', 'time']";
    drawn::check_with("columns", settings, &["", "\n", "4"], &SIZES);
}

#[test]
fn chords_of_the_users_stand_in_hints_help_and_palette() {
    let settings = "[chords]\nkeys.give = 'ctrl-g'\nkeys.move = []\nfilter = ['F', 'ctrl-f']\npage-down = 'pagedown'";
    drawn::check_with("chords", settings, &["", "?", ":give"], &SIZES);
}

#[test]
fn what_was_done_last_is_taken_back_by_a_review() {
    // A review is deaf for a moment, and these chords come at once: what is drawn was told before.
    let mut drawn = String::new();
    for (width, height, glyphs) in SIZES {
        let mut client = drawn::after("2S", glyphs, width, height);
        client.later(1_000);
        client.key_at_once(crossterm::event::KeyCode::Enter);
        client.press("u");
        drawn.push_str(&format!("=== {width}x{height}\n{}", client.drawn()));
    }
    drawn::same_as("src/view/drawings/undo.txt", &drawn);
}
