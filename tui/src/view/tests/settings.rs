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
