//! The page of captures, `SCREENS.md`: written from the same small site as all drawings.

use super::*;
use crate::{
    app::{App, Event, Shell},
    view::drawn,
};

/// What is shown: its title, what is said before it, and the chords that lead there.
const PAGE: &[(&str, &str, &str)] = &[
    (
        "Keys",
        "Screen 1: what each Key opens, for how many people, and when it was last seen used. `Enter` opens a Key: the people \
         who hold it, its doors, its week.",
        "",
    ),
    (
        "People",
        "Screen 2: who holds something here; `a` is everybody of the portfolio. Door codes are shown one at a time, and only \
         until the next chord.",
        "2",
    ),
    (
        "A person",
        "`Enter` on a person: the Keys held, with their periods, and on the next parts (`Tab`) guests and door codes. From \
         here Keys are given, revoked, moved and shared.",
        "2\n",
    ),
    (
        "Doors",
        "Screen 3: the Keys and codes of each door, lockdowns, and doors at which wrong codes ran out. `Enter` shows who can \
         open one, now or at a moment that is typed.",
        "3",
    ),
    (
        "Logs",
        "Screen 4: the log as it is written. It says what it leaves out, stands still when it is paused (`Space`), and `T` \
         leads into the past.",
        "4",
    ),
    (
        "What was denied",
        "`i` on the log, live or recorded: denials in bars, by reason, by door, by person, by hour (`Tab`), with what they are \
         counted of. `Enter` on a bar filters the log by it.",
        "4i",
    ),
    (
        "Managers",
        "Screen 5: who may do what. A contact card has the levels, property by property, and the machines that joined.",
        "5",
    ),
    ("Locks", "Screen 6: every lock, how it is connected and until when its certificate is good.", "6"),
    (
        "Audit",
        "Screen 7: what managers did and what they were refused, with what was there before. It is exported as chained lines.",
        "7",
    ),
    (
        "Explain",
        "`x` on a line of the log, on a person or a door, or `:explain PERSON DOOR [TIME]`: why somebody could or could not \
         open a door then, what they could now, and what would have opened it.",
        "4x",
    ),
    ("People against doors", "`v` among the Keys: who can open what, by which Key, at a glance.", "v"),
    (
        "The week of a Key",
        "The third part of a Key's page (`Tab`): when each of its doors is open, hour by hour.",
        "j\n\t\t",
    ),
    (
        "A schedule is painted",
        "`S` among the Keys has the named schedules; `e` opens one as a week that is painted with the arrows and `Space`, or \
         typed to the minute.",
        "Sje\t\tjj ",
    ),
    (
        "The review of a revoke",
        "Nothing is changed before what would follow was shown. Codes that would be gone for good have to be typed, and the \
         way that loses less is offered.",
        "\nr",
    ),
    ("Commands", "`:` finds every command of the screen by a part of its sentence, or by its word at the foot.", ":"),
    ("Help", "`?` lists the chords of the screen, from the same table that input goes by.", "?"),
];

const SIZE: (u16, u16) = (80, 24);

#[test]
fn the_page_of_captures_is_what_is_drawn() {
    let mut page = "\
# The screens

What the client looks like in a terminal of 80 columns and 24 rows. A test draws this page from the small site that all
drawings use, and fails when it isn't what is drawn: `KEYWARD_DRAW=1 cargo test -p keyward --lib page` writes it anew.
"
    .to_owned();
    let mut section = |title: &str, about: &str, screen: &str| {
        page.push_str(&format!("\n## {title}\n\n{about}\n\n```text\n{screen}```\n"));
    };
    for (title, about, chords) in PAGE {
        let screen = drawn::after(chords, Glyphs::UNICODE, SIZE.0, SIZE.1).drawn();
        section(title, about, &screen);
    }
    let mut welcome = Client::unconnected(Glyphs::UNICODE, SIZE.0, SIZE.1);
    welcome.app = App::welcome(Shell::new("no server", Theme::MONOCHROME, Glyphs::UNICODE));
    welcome.tell(Event::Resize { width: SIZE.0, height: SIZE.1 });
    welcome.later(0);
    let about = "`keyward` where no server is known yet says what to do next.";
    section("Nothing configured", about, &welcome.drawn());
    drawn::same_as("SCREENS.md", &page);
}
