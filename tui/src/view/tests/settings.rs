//! What the user's settings make of the screens.

use crate::view::drawn::{self, SIZES};

#[test]
fn chords_of_the_users_stand_in_hints_help_and_palette() {
    let settings = "[chords]\nkeys.give = 'ctrl-g'\nkeys.move = []\nfilter = ['F', 'ctrl-f']\npage-down = 'pagedown'";
    drawn::check_with("chords", settings, &["", "?", ":give"], &SIZES);
}
