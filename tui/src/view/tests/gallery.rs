//! Every screen, every part of a page and every dialog, at the usual sizes: in colours, without them and in ASCII.
//!
//! Drawn into `drawings/gallery/`. A picture has its text as a Unicode terminal shows it, the lines of an ASCII one that are
//! not the same but for [its signs](as_ascii), and the styles in colours; without colours they are the same less the
//! colours, which is looked at everywhere. What opens by a chord of any of them and has no picture fails a test.

use std::{collections::BTreeSet, time::Duration};

use ratatui::{buffer::Cell, style::Style};

use super::*;
use crate::{
    app::{App, Dialog, Event, ReadOnly, Shell, testing, undo::contact_of},
    keymap::{Action, Chord},
    remote::{Failure, LinkTold, Told},
    view::{drawn, render},
};
use keyward_protocol::{
    entry::{Command, Level},
    id::PersonId,
};

/// Pictures that stand in one file.
struct Group {
    file: &'static str,
    /// What there is before the chords.
    begin: fn(&mut Client),
    /// The [chords](testing::key) to each picture; `~` lets half a second go by, since reviews are deaf at first.
    chords: &'static [&'static str],
}

const fn usual(file: &'static str, chords: &'static [&'static str]) -> Group {
    Group { file, begin: connected, chords }
}

const GALLERY: &[Group] = &[
    usual("keys", &["", "j j", "jjj", "jjjj", "ss", "/key\n", "/key", "P"]),
    usual("key", &["\n", "\n j j", "\nV j", "\n\t", "\n\tj", "\n\t\t", "jjj\n\t\t"]),
    usual("key-forms", &["r", "g", "glee", "g\t", "\nm", "\nr~", "n", "D", "O"]),
    usual("key-draft", &["e", "e j", "jjje", "ea", "eA", "eN", "e e", "jjjejje", "es"]),
    usual(
        "key-reviews",
        &[
            "\nr",
            "\n  r",
            "\nmkey b\n\n\n\n\n",
            "glee\n\n\n\n\n",
            "\nr~DEL",
            "\n   mkey b\n\n\n\n\n~>",
            "\n   mkey b\n\n\n\n\n~>s~k",
        ],
    ),
    usual("schedules", &["S", "Sj", "S\t", "S\tn", "S\te", "S\tD", "SjD"]),
    usual("week", &["Sn", "Sje", "Sje\t\tjj ", "Sje\t\t\t\t", "Sn\tMon,"]),
    usual("matrix", &["v", "vjll", "vP", "vss"]),
    usual("people", &["2", "2jj", "2/ana\n", "2ss", "2a", "2P"]),
    usual("person", &["2\n", "2\n\t", "2\n\t\t", "2\n\t\t\t", "2\n\t\t\tc", "2\n\t\t\t\t", "2\nP"]),
    usual("people-forms", &["2g", "2n", "2e", "2r", "2m", "2\nilee\n", "2T", "2f", "2x", "2\n\t\t\tx"]),
    usual("people-reviews", &["2S", "2\n\tE", "2jj D", "2\nr", "2T\n\n", "2M"]),
    usual("doors", &["3", "3j", "3/unit\n", "3sss"]),
    usual("door", &["3\n", "3\n\t", "3j\n\t", "3\n\tT2026-12-01 08:00\n\n", "3\n\t\t", "3j\n\t\t"]),
    usual(
        "doors-forms",
        &["3n", "3jje", "3L", "3L\t", "3L\t\t\n", "3U", "3jx", "3\n\tT", "3\n\tT2026-12-01 08:00\n\nx"],
    ),
    usual("doors-reviews", &["3jjo", "3D", "3L\t\t\n\t\n", "3U\n\n"]),
    usual("live-log", &["4", "4jm", "4 ", "4/since:x\nEm", "4E=", "4/door", "4P"]),
    Group { file: "history", begin: recorded, chords: &["4T", "4T\n\n", "4T\n\nkkm=", "4T\n\nE"] },
    usual(
        "explain",
        &[
            "4EEx",
            "4EEx\t",
            "4EExT",
            "4EExg",
            "4EExj",
            "4x",
            "4xP",
            ":explain lee garage 18:00\n",
            EXPLAINED,
            EXPLAINED_NOW,
        ],
    ),
    usual("histogram", &["4i", "4i\t", "4i\t\tj", "4i\t\t\t", "4i\n"]),
    Group { file: "histogram-of-history", begin: recorded, chords: &["4T\n\ni", "4T\n\n/allow\ni"] },
    usual("exports", &["4EmX", "4X\n\n\n:jobs\n", ":jobs\n"]),
    usual("server", &[":server\n"]),
    usual("managers", &["5", "5j", "5P"]),
    usual("manager", &["5\n", "5kk\n", "5kk\n\t", "5kk\n\tj", "5kk\nc  \n\n jj "]),
    usual("managers-forms", &["5a", "5kk\n\n", "5n", "5n\n\n\n", "5n\n~\n~\n"]),
    usual("managers-reviews", &["5kk\n\td", "5kk\nc  \n\n s", "5kkM"]),
    usual("locks", &["6", "6j", "6\t", "6\tj", "6P"]),
    usual("locks-forms", &["6n", "6nRoof", "6nRoof\n\n \n\n\n ", "6nRoof\n\n\n\n\n", "6T"]),
    usual("locks-reviews", &["6d", "6\tr"]),
    usual("audit", &["7", "7jj", "7/refused", "7\n", "7jj\n", "7P\n", "7X"]),
    usual("commands", &[":", ":rev", ":zzz", "?", "?jjj", "4?"]),
    usual("undo", &["2S~\nu", "u"]),
    Group { file: "limited", begin: limited, chords: &["", "?", "2", "3", "5", "6", "7", "n"] },
    Group { file: "connecting", begin: |_| (), chords: &["", "4", "?", "g"] },
    Group { file: "lost", begin: lost, chords: &["", "\n", "4", "g", ":server\n"] },
    Group { file: "refused", begin: refusing, chords: &["2S~\n", "\nr~DELETE 1\n"] },
    Group { file: "overtaken", begin: overtaken, chords: &["2S~\n"] },
    usual("two-editors", &["2e&\t\t\t\tdoor\t\n", "2e\t\t\t\tdoor\t\n&~\n"]),
    Group { file: "read-only", begin: read_only, chords: &["", "?", "g", "2S", "3", "4", ":revoke"] },
    Group { file: "asking", begin: waiting, chords: &["2", "\n", "2S", "7"] },
    Group { file: "doing", begin: connected, chords: &["2S~!\n"] },
    Group { file: "nothing-configured", begin: welcome, chords: &["", "?"] },
    Group { file: "interrupted", begin: connected, chords: &["\x03"] },
];

/// The form is gone through.
const EXPLAINED: &str = ":explain lee garage 18:00\n\n\n\n\n\n";
const EXPLAINED_NOW: &str = ":explain lee garage\n\n\n\n\n\n";

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 12)];

fn connected(client: &mut Client) {
    client.up();
    client.tell(batch());
}

fn recorded(client: &mut Client) {
    client.recorded = 500;
    connected(client);
}

fn limited(client: &mut Client) {
    (client.level, client.portfolio_manager) = (Some(Level::Limited), false);
    connected(client);
}

fn lost(client: &mut Client) {
    connected(client);
    let down = LinkTold::Down("the server closed the connection".into(), Duration::from_secs(4));
    client.tell(Event::Told(Told::Link(down)));
    client.later(95_000);
}

fn refusing(client: &mut Client) {
    connected(client);
    client.refusals.push(Failure::Unknown("the connection was lost".into()));
}

fn overtaken(client: &mut Client) {
    connected(client);
    client.refusals.push(testing::moved_on());
}

fn read_only(client: &mut Client) {
    client.app.shell.read_only = ReadOnly::Flag;
    connected(client);
}

fn waiting(client: &mut Client) {
    connected(client);
    client.silent = true;
}

fn welcome(client: &mut Client) {
    let (width, height) = (client.app.shell.width, client.app.shell.height);
    client.app = App::welcome(Shell::new("no server", Theme::MONOCHROME, Glyphs::UNICODE));
    client.tell(Event::Resize { width, height });
    client.later(0);
}

fn shown(group: &Group, chords: &str, (width, height): (u16, u16)) -> Client {
    let mut client = Client::unconnected(Glyphs::UNICODE, width, height);
    (group.begin)(&mut client);
    for c in chords.chars() {
        match c {
            '~' => client.later(500),
            // A colleague enters another phone number of Tracy's.
            '&' => {
                let Command::EditPerson(person, mut spec) = contact_of(&testing::person_detail(PersonId(1))) else {
                    unreachable!("contact data is entered by no other command")
                };
                spec.phone = Some("555 0100".to_owned());
                client.edited.push(Command::EditPerson(person, spec));
            }
            // From here on nothing is answered.
            '!' => client.silent = true,
            '\x03' => client.tell(Event::Key(crossterm::event::KeyEvent::new(
                KeyCode::Char('c'),
                crossterm::event::KeyModifiers::CONTROL,
            ))),
            c => client.key_at_once(testing::key(c)),
        }
    }
    client
}

fn buffer(client: &mut Client, theme: Theme, glyphs: Glyphs) -> Buffer {
    (client.app.shell.theme, client.app.shell.glyphs) = (theme, glyphs);
    let area = Rect::new(0, 0, client.app.shell.width, client.app.shell.height);
    let mut buffer = Buffer::empty(area);
    render(&client.app, area, &mut buffer);
    buffer
}

/// What an ASCII terminal shows in the place of our own signs.
fn as_ascii(line: &str) -> String {
    let (from, to) = (Glyphs::UNICODE, Glyphs::ASCII);
    let corners = from.corners.into_iter().zip(to.corners).chain(from.joints.into_iter().zip(to.joints));
    let signs = [
        (from.across, to.across),
        (from.down, to.down),
        (from.cursor, to.cursor),
        (from.marked, to.marked),
        (from.cursor_marked, to.cursor_marked),
        (from.sorted, to.sorted),
        ("…", "~"),
    ];
    corners.chain(signs).fold(line.to_owned(), |line, (from, to)| line.replace(from, to))
}

/// A style in a few words: `bold`, `red+bold`, `-` for plain text.
fn style(cell: &Cell) -> String {
    let style = Style::new().fg(cell.fg).bg(cell.bg);
    let mut words = Vec::new();
    words.extend(style.fg.filter(|fg| *fg != Color::Reset).map(|fg| fg.to_string().to_lowercase()));
    words.extend(style.bg.filter(|bg| *bg != Color::Reset).map(|bg| format!("on-{}", bg.to_string().to_lowercase())));
    words.extend(cell.modifier.iter_names().map(|(name, _)| name.to_lowercase()));
    if words.is_empty() { "-".to_owned() } else { words.join("+") }
}

/// The styles of a row from left to right, each with how many cells have it.
fn styles(buffer: &Buffer, y: u16) -> String {
    let cells: Vec<String> = (0..buffer.area.width).map(|x| style(&buffer[(x, y)])).collect();
    let runs = cells.chunk_by(|one, next| one == next).map(|run| format!("{} {}", run.len(), run[0]));
    runs.collect::<Vec<_>>().join(", ")
}

/// Each line with how many of the same follow it.
fn runs<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(&'a str, usize)> {
    let mut runs: Vec<(&str, usize)> = Vec::new();
    for line in lines {
        match runs.last_mut() {
            Some((last, more)) if *last == line => *more += 1,
            _ => runs.push((line, 0)),
        }
    }
    runs
}

/// One picture, looked at from all sides.
fn picture(group: &Group, chords: &str, size: (u16, u16)) -> String {
    let mut client = shown(group, chords, size);
    let context = format!("{} {chords:?} {}x{}", group.file, size.0, size.1);
    let ascii = buffer(&mut client, Theme::MONOCHROME, Glyphs::ASCII);
    let ascii_text = client.drawn();
    let mono = buffer(&mut client, Theme::MONOCHROME, Glyphs::UNICODE);
    let colours = buffer(&mut client, Theme::COLOURS, Glyphs::UNICODE);
    let text = client.drawn();

    assert!(ascii_text.is_ascii(), "{context}: an ASCII terminal can't show\n{ascii_text}");
    for (plain, coloured) in mono.content().iter().zip(colours.content()) {
        assert_eq!(plain.symbol(), coloured.symbol(), "{context}: colours change no words");
        assert_eq!(plain.modifier, coloured.modifier, "{context}: nothing is told by colour alone");
    }
    for cell in mono.content().iter().chain(ascii.content()) {
        assert!(cell.fg == Color::Reset && cell.bg == Color::Reset, "{context}: there are colours");
    }

    let mut picture = format!("=== {chords:?} {}x{}\n", size.0, size.1);
    for (line, more) in runs(text.lines()) {
        let more = if more > 0 { format!("\n  ... and {more} more of the same") } else { String::new() };
        picture.push_str(&format!("{line}{more}\n"));
    }
    let differ =
        text.lines().zip(ascii_text.lines()).enumerate().filter(|(_, (line, ascii))| as_ascii(line) != **ascii);
    let lines: String = differ.map(|(at, (_, ascii))| format!("{at:>3}  {ascii}\n")).collect();
    if !lines.is_empty() {
        picture.push_str(&format!("--- in ASCII\n{lines}"));
    }
    picture.push_str("--- styles\n");
    let rows: Vec<String> = (0..size.1).map(|y| styles(&colours, y)).collect();
    let mut at = 0;
    for (row, more) in runs(rows.iter().map(String::as_str)) {
        let places = if more == 0 { format!("{at}") } else { format!("{at}-{}", at + more) };
        picture.push_str(&format!("{places:>5}  {row}\n"));
        at += more + 1;
    }
    picture
}

#[test]
fn every_picture_is_as_it_was_looked_at() {
    for group in GALLERY {
        let pictures = group.chords.iter().flat_map(|chords| SIZES.map(|size| picture(group, chords, size)));
        drawn::same_as(&format!("src/view/drawings/gallery/{}.txt", group.file), &pictures.collect::<String>());
    }
}

/// What lies over the screen, as far as it has a picture of its own.
fn kind(app: &App) -> Option<String> {
    let kind = match app.dialog()? {
        Dialog::Help { .. } => "the help".to_owned(),
        Dialog::Palette(_) => "the palette".to_owned(),
        Dialog::Form(form) => format!("the form {:?} of {:?}", form.act.0, form.owner),
        Dialog::Review(review) => format!("a review of {:?} {}", review.owner, review.kind()),
        Dialog::Week(_) => "the week".to_owned(),
        Dialog::Server(_) => "the server".to_owned(),
        Dialog::Token(_) => "a token".to_owned(),
        Dialog::Jobs { .. } => "the exports".to_owned(),
    };
    Some(kind)
}

/// Each picture's client, at the usual size.
fn all() -> impl Iterator<Item = (&'static Group, &'static str, Client)> {
    let pictures = GALLERY.iter().flat_map(|group| group.chords.iter().map(move |chords| (group, *chords)));
    pictures.map(|(group, chords)| (group, chords, shown(group, chords, (80, 24))))
}

#[test]
fn whatever_opens_by_a_chord_has_its_picture() {
    let pictured: BTreeSet<String> = all().filter_map(|(_, _, client)| kind(&client.app)).collect();
    let mut missing = BTreeSet::new();
    let mut opened = 0;
    for (group, chords, client) in all().filter(|(_, _, client)| client.app.dialog().is_none()) {
        let keys = client.app.bindings().into_iter().filter(|bound| bound.row.action != Action::Quit);
        for chord in keys.flat_map(|bound| bound.chords.first().copied()).collect::<Vec<Chord>>() {
            let mut client = shown(group, chords, (80, 24));
            client.tell(Event::Key(chord.key()));
            if let Some(kind) = kind(&client.app) {
                opened += 1;
                if !pictured.contains(&kind) {
                    missing.insert(format!("{kind}: {} {chords:?} {}", group.file, chord.shown()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "no picture of: {missing:#?}");
    assert!(opened > 300, "only {opened} dialogs were opened");
}

#[test]
fn every_screen_has_its_picture_and_none_says_too_little() {
    let shown: BTreeSet<String> = all().map(|(_, _, client)| format!("{:?}", client.app.screen_id())).collect();
    let every: BTreeSet<String> = crate::app::ScreenId::ALL.iter().map(|screen| format!("{screen:?}")).collect();
    assert_eq!(shown, every);
    for (group, chords, client) in all() {
        let Some(dialog) = kind(&client.app) else { continue };
        for size in SIZES {
            let drawn = self::shown(group, chords, size).drawn();
            let leaves = drawn.contains("Esc") || drawn.contains("being done");
            assert!(leaves, "{dialog}, {} {chords:?}: it doesn't say how to leave it\n{drawn}", group.file);
        }
    }
}

#[test]
fn nothing_is_too_small_to_be_drawn() {
    for (group, chords, _) in all() {
        for size in [(1, 1), (2, 5), (20, 5), (9, 3), (33, 7), (300, 2)] {
            let client = shown(group, chords, size);
            assert_eq!(client.drawn().lines().count(), usize::from(size.1), "{} {chords:?}", group.file);
        }
    }
}
