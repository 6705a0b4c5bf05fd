//! The chords: tables that input, hints, help and the palette are made from. What every screen has stands here, what one
//! screen has in a table of its own beside it. [`Keymap`] is what the user's settings make of them.

mod chord;
mod user;

use crossterm::event::KeyCode;

pub use self::{
    chord::{Chord, ctrl, letter, plain},
    user::{Bound, Command, Keymap, asked},
};
use crate::app::{ScreenId, screen::tables};

/// What one screen alone can do: a word, which is also how the palette finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Act(pub &'static str);

/// What a chord asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Something of the open screen's own.
    Act(Act),
    /// Open the filter's input.
    Filter,
    /// Open or close the help.
    Help,
    /// Open the palette.
    Palette,
    /// Leave what is open, and then the program.
    Quit,
    /// Leave what is open; else clear marks and filter.
    Back,
    /// Show a screen.
    Show(ScreenId),
    /// Choose the property.
    Property,
    /// Open the row under the cursor.
    Open,
    /// The next part of the page.
    NextPart,
    /// Mark the row under the cursor.
    Mark,
    /// Begin or end a range of marks.
    Range,
    /// The next sort.
    Sort,
    /// Copy the row under the cursor through the terminal.
    Copy,
    /// Write what is shown to a file.
    Save,
    /// Take back what was done last.
    Undo,
    /// Hide or show people's names and codes.
    HidePeople,
    /// Times in the property's zone, or in UTC.
    Zone,
    /// Why somebody can or can't open a door.
    Explain,
    /// The exports of this run.
    Jobs,
    /// How the server is.
    Server,
    /// Let the mouse count, or no more.
    Mouse,
    /// Change nothing from now on, or again.
    ReadOnly,
    /// Connect anew now.
    Reconnect,
    /// The screen to the left.
    Left,
    /// The screen to the right.
    Right,
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
    /// The first row.
    First,
    /// The last row.
    Last,
    /// Draw everything anew.
    Repaint,
    /// Leave when asked twice.
    Interrupt,
}

/// One row of a table.
#[derive(Debug)]
pub struct Binding {
    /// Every chord for it.
    pub chords: &'static [Chord],
    /// The chords as people read them.
    pub shown: &'static str,
    /// What it asks for.
    pub action: Action,
    /// The word at the foot of the screen, for those that belong there; the first ones survive longest.
    pub hint: Option<&'static str>,
    /// The sentence in the help and the palette.
    pub help: &'static str,
    /// Whether it leads to a change, or to an entry in the audit trail: read-only there is none.
    pub writes: bool,
}

impl Binding {
    /// The same row, of something that leads to a change.
    const fn writing(self) -> Binding {
        Binding { writes: true, ..self }
    }

    /// What the settings call it: `give`, `new-key`.
    pub fn name(&self) -> String {
        match self.action {
            Action::Act(act) => act.0.to_lowercase().replace(' ', "-"),
            Action::Show(screen) => format!("show-{}", screen.name().to_lowercase()),
            Action::Filter => "filter".to_owned(),
            Action::Help => "help".to_owned(),
            Action::Palette => "command".to_owned(),
            Action::Quit => "quit".to_owned(),
            Action::Back => "back".to_owned(),
            Action::Property => "property".to_owned(),
            Action::Open => "open".to_owned(),
            Action::NextPart => "next-part".to_owned(),
            Action::Mark => "mark".to_owned(),
            Action::Range => "range".to_owned(),
            Action::Sort => "sort".to_owned(),
            Action::Copy => "copy".to_owned(),
            Action::Save => "save-view".to_owned(),
            Action::Undo => "undo".to_owned(),
            Action::HidePeople => "hide-people".to_owned(),
            Action::Zone => "time-zone".to_owned(),
            Action::Explain => "explain".to_owned(),
            Action::Jobs => "jobs".to_owned(),
            Action::Server => "server".to_owned(),
            Action::Mouse => "mouse".to_owned(),
            Action::ReadOnly => "read-only".to_owned(),
            Action::Reconnect => "reconnect".to_owned(),
            Action::Left => "screen-left".to_owned(),
            Action::Right => "screen-right".to_owned(),
            Action::Up => "up".to_owned(),
            Action::Down => "down".to_owned(),
            Action::PageUp => "page-up".to_owned(),
            Action::PageDown => "page-down".to_owned(),
            Action::First => "first".to_owned(),
            Action::Last => "last".to_owned(),
            Action::Repaint => "redraw".to_owned(),
            Action::Interrupt => "interrupt".to_owned(),
        }
    }
}

/// A row for something of a screen's own.
pub const fn act(
    chords: &'static [Chord],
    shown: &'static str,
    act: Act,
    hint: Option<&'static str>,
    help: &'static str,
) -> Binding {
    Binding { chords, shown, action: Action::Act(act), hint, help, writes: false }
}

/// A row for something of a screen's own that leads to a change.
pub const fn write(
    chords: &'static [Chord],
    shown: &'static str,
    act: Act,
    hint: Option<&'static str>,
    help: &'static str,
) -> Binding {
    self::act(chords, shown, act, hint, help).writing()
}

const fn row(
    chords: &'static [Chord],
    shown: &'static str,
    action: Action,
    hint: Option<&'static str>,
    help: &'static str,
) -> Binding {
    Binding { chords, shown, action, hint, help, writes: false }
}

/// What every screen has. Order: hints from left to right, help from top to bottom. A screen's own table comes before.
pub const GLOBAL: &[Binding] = &[
    row(&[plain(KeyCode::Enter)], "Enter", Action::Open, Some("open"), "open the row under the cursor"),
    row(&[letter('/')], "/", Action::Filter, Some("filter"), "filter by name; Enter keeps it, Esc clears it"),
    row(&[letter(':')], ":", Action::Palette, Some("command"), "find a command by a part of its name"),
    row(&[letter('?')], "?", Action::Help, Some("help"), "this help"),
    row(&[letter('q')], "q", Action::Quit, Some("back"), "close what is open, then quit"),
    row(&[plain(KeyCode::Esc)], "Esc", Action::Back, None, "close what is open; else clear marks and filter"),
    row(&[letter(' ')], "Space", Action::Mark, Some("mark"), "mark the row, or take its mark away"),
    row(&[letter('V')], "V", Action::Range, None, "begin a range of marks here; again ends it"),
    row(&[letter('s')], "s", Action::Sort, Some("sort"), "the next sort; after the last, as the server has it"),
    row(&[plain(KeyCode::Tab)], "Tab", Action::NextPart, None, "the next part of the page"),
    row(&[letter('p')], "p", Action::Property, Some("property"), "choose the property"),
    row(&[letter('y')], "y", Action::Copy, None, "copy the row through the terminal"),
    row(&[letter('w')], "w", Action::Save, None, "write what is shown to a file"),
    row(&[letter('u')], "u", Action::Undo, None, "undo the last change by its opposite, if nothing was lost").writing(),
    row(&[letter('P')], "P", Action::HidePeople, None, "hide people and codes, or show them again"),
    row(&[letter('t')], "t", Action::Zone, None, "times in the property's zone, or in UTC"),
    row(&[letter('R')], "R", Action::Reconnect, None, "connect anew now"),
    row(&[letter('1')], "1", Action::Show(ScreenId::Keys), None, "the Keys of the property"),
    row(&[letter('2')], "2", Action::Show(ScreenId::People), None, "the people"),
    row(&[letter('3')], "3", Action::Show(ScreenId::Doors), None, "the doors"),
    row(&[letter('4')], "4", Action::Show(ScreenId::Logs), None, "the access log"),
    row(&[letter('5')], "5", Action::Show(ScreenId::Managers), None, "the managers"),
    row(&[letter('6')], "6", Action::Show(ScreenId::Locks), None, "the locks"),
    row(&[letter('7')], "7", Action::Show(ScreenId::Audit), None, "the audit trail"),
    row(&[plain(KeyCode::Up), letter('k')], "Up k", Action::Up, None, "one row up"),
    row(&[plain(KeyCode::Down), letter('j')], "Down j", Action::Down, None, "one row down"),
    row(&[plain(KeyCode::Left), letter('h')], "Left h", Action::Left, None, "the screen to the left"),
    row(&[plain(KeyCode::Right), letter('l')], "Right l", Action::Right, None, "the screen to the right"),
    row(&[plain(KeyCode::PageUp), ctrl('b')], "PgUp", Action::PageUp, None, "one page up"),
    row(&[plain(KeyCode::PageDown), ctrl('f')], "PgDn", Action::PageDown, None, "one page down"),
    row(&[plain(KeyCode::Home)], "Home", Action::First, None, "the first row"),
    row(&[plain(KeyCode::End), letter('G')], "End G", Action::Last, None, "the last row"),
    row(&[], ":explain", Action::Explain, None, "explain why somebody can or can't open a door: PERSON DOOR [TIME]"),
    row(&[], ":server", Action::Server, None, "server: how it is, and doors at which wrong codes ran out"),
    row(&[], ":jobs", Action::Jobs, None, "jobs: the exports of this run"),
    row(&[], ":mouse", Action::Mouse, None, "mouse: clicks select and the wheel scrolls, or no more"),
    row(&[], ":read-only", Action::ReadOnly, None, "read-only: nothing can be changed from here, or again"),
    row(&[ctrl('l')], "Ctrl-l", Action::Repaint, None, "draw everything anew"),
    row(&[ctrl('c')], "Ctrl-c", Action::Interrupt, None, "twice: quit from anywhere"),
];

/// Whether what the screen has under this name leads to a change, by the tables.
pub fn writes(screen: ScreenId, action: Action) -> bool {
    let own = tables(screen).iter().flat_map(|table| table.iter());
    own.chain(GLOBAL).any(|row| row.writes && row.action == action)
}

/// The tables as one: a screen's own rows, each with `true`, then those of every screen whose chords it has not taken.
/// Rows that `fits` refuses don't exist.
fn table(own: &'static [Binding], fits: impl Fn(Action) -> bool) -> Vec<(bool, &'static Binding)> {
    let taken = |binding: &Binding| {
        let first = binding.chords.first();
        own.iter().any(|own| first.is_some_and(|first| own.chords.contains(first)))
    };
    let global = GLOBAL.iter().filter(|binding| !taken(binding)).map(|row| (false, row));
    own.iter().map(|row| (true, row)).chain(global).filter(|(_, row)| fits(row.action)).collect()
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyEvent, KeyModifiers};

    use super::*;

    #[test]
    fn no_chord_stands_twice_and_every_row_has_a_name_of_its_own() {
        assert_eq!(Keymap::default().check(), Ok(()));
        let mut names: Vec<String> = Command::all().map(|command| command.to_string()).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn chords_are_shown_as_they_are() {
        let own = ScreenId::ALL.into_iter().flat_map(|screen| tables(screen).iter());
        for row in own.flat_map(|table| table.iter()).chain(GLOBAL) {
            let chords: Vec<String> = row.chords.iter().map(|chord| chord.shown()).collect();
            let is_chord = |word: &str| chords.iter().any(|chord| chord == word);
            let shown = if chords.is_empty() { row.shown.starts_with(':') } else { row.shown.split(' ').all(is_chord) };
            assert!(shown, "{} of {chords:?}", row.shown);
        }
    }

    #[test]
    fn shift_belongs_to_the_character_and_alt_is_nobodys() {
        let found = |key: KeyEvent| Chord::pressed(key).and_then(|chord| Keymap::default().everywhere(chord));
        let shifted = KeyEvent::new(KeyCode::Char('P'), KeyModifiers::SHIFT);
        assert_eq!(found(shifted), Some(Action::HidePeople));
        assert_eq!(Chord::pressed(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT)), None);
        let both = KeyEvent::new(KeyCode::Char('C'), KeyModifiers::CONTROL | KeyModifiers::SHIFT);
        assert_eq!(found(both), Some(Action::Interrupt));
    }

    #[test]
    fn a_screens_own_chord_stands_before_everybodys() {
        const OWN: &[Binding] = &[act(&[letter(' ')], "Space", Act("pause"), None, "stop")];
        let keymap = Keymap::default();
        let both = keymap.table(ScreenId::Logs, OWN, |action| action != Action::Help);
        assert_eq!(asked(&both, letter(' ')), Some(Action::Act(Act("pause"))));
        assert_eq!(asked(&both, letter('?')), None);
        assert_eq!(both.iter().filter(|bound| bound.shown == "Space").count(), 1);
    }
}
