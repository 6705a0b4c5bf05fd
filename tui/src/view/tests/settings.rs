//! What the user's settings make of the screens.

use crate::{
    app::testing::Client,
    theme::Glyphs,
    view::drawn::{self, SIZES},
};

#[test]
fn columns_of_the_users_stand_in_their_order_and_drop_as_ours_do() {
    let settings = "[columns]\nkeys = ['doors', 'hours', 'name', 'people']\n\"keys.people\" = ['email', 'period', 'name']\n\
                    logs = ['door', 'result', 'time']";
    drawn::check_with("columns", settings, &["", "\n", "4"], &SIZES);
}

#[test]
fn what_a_list_is_sorted_by_is_said_where_the_users_columns_are_without_it() {
    let settings = "[columns]\nkeys = ['name', 'hours']";
    drawn::check_with("columns-sorted", settings, &["ss"], &SIZES);
}

#[test]
fn every_sort_of_every_list_is_shown_in_its_head() {
    // Chords to the list, then the title with its sign for each time that `s` is pressed.
    let cases: &[(&str, &[&str])] = &[
        ("", &["NAME-v-", "vDOORS", "vPEOPLE"]),
        ("\n", &["NAME-v-"]),
        ("\n\t", &["DOOR-v-"]),
        ("S", &["SCHEDULE-v-", "vKEYS"]),
        ("2", &["NAME-v-", "vKEYS"]),
        ("2\n", &["KEY-v-"]),
        ("2\n\t", &["KEY-v-"]),
        ("2\n\t\t", &["GUEST-v-"]),
        ("2\n\t\t\t", &["DOOR-v-"]),
        ("3", &["NAME-v-", "vKEYS", "vCODES"]),
        ("3\n", &["KEY-v-"]),
        ("3\n\t", &["NAME-v-"]),
        ("5", &["NAME-v-", "MANAGES-v-"]),
        ("6", &["NAME-v-"]),
        ("6\t", &["FOR-v-"]),
    ];
    for (chords, heads) in cases {
        for (width, height) in [(80, 24), (40, 12)] {
            let mut client = drawn::after(chords, Glyphs::ASCII, width, height);
            let head = |client: &Client| {
                let screen = client.drawn();
                let head = screen.lines().find(|line| {
                    ["NAME", "DOOR", "KEY", "GUEST", "SCHEDULE", "FOR"]
                        .iter()
                        .any(|title| line.contains(&format!("-{title}-")))
                });
                head.unwrap_or_else(|| panic!("{chords:?}\n{screen}")).to_owned()
            };
            let unsorted = head(&client);
            assert!(!unsorted.contains('v'), "{chords:?} {unsorted}");
            for expected in *heads {
                client.press("s");
                let head = head(&client);
                assert!(head.contains(expected) && head.matches('v').count() == 1, "{chords:?} {expected}: {head}");
            }
            client.press("s");
            assert_eq!(head(&client), unsorted, "{chords:?}: as the server has it");
        }
    }
}

#[test]
fn chords_of_the_users_stand_in_hints_help_and_palette() {
    let settings = "[chords]\nkeys.give = 'ctrl-g'\nkeys.move = []\nfilter = ['F', 'ctrl-f']\npage-down = 'pagedown'";
    drawn::check_with("chords", settings, &["", "?", ":give"], &SIZES);
}
