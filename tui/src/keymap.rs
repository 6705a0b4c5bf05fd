//! The chords: tables that input, hints, help and the palette are made from. What every screen has stands here, what one
//! screen has in a table of its own beside it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::app::ScreenId;

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

/// A key of the keyboard with or without Ctrl. Shift is part of the character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chord {
    code: KeyCode,
    ctrl: bool,
}

impl Chord {
    /// The chord that was pressed; `None` where Alt and the like make it a chord that the table can't name.
    pub fn pressed(key: KeyEvent) -> Option<Chord> {
        let named = KeyModifiers::SHIFT | KeyModifiers::CONTROL;
        if !named.contains(key.modifiers) {
            return None;
        }
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let code = match key.code {
            // Ctrl with Shift is the same chord: most terminals can't tell them apart.
            KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
            code => code,
        };
        Some(Chord { code, ctrl })
    }
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
}

/// A key of the keyboard by itself.
pub const fn plain(code: KeyCode) -> Chord {
    Chord { code, ctrl: false }
}

/// A character.
pub const fn letter(c: char) -> Chord {
    plain(KeyCode::Char(c))
}

/// A character with Ctrl.
pub const fn ctrl(c: char) -> Chord {
    Chord { code: KeyCode::Char(c), ctrl: true }
}

/// A row for something of a screen's own.
pub const fn act(
    chords: &'static [Chord],
    shown: &'static str,
    act: Act,
    hint: Option<&'static str>,
    help: &'static str,
) -> Binding {
    Binding { chords, shown, action: Action::Act(act), hint, help }
}

const fn row(
    chords: &'static [Chord],
    shown: &'static str,
    action: Action,
    hint: Option<&'static str>,
    help: &'static str,
) -> Binding {
    Binding { chords, shown, action, hint, help }
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
    row(&[ctrl('l')], "Ctrl-l", Action::Repaint, None, "draw everything anew"),
    row(&[ctrl('c')], "Ctrl-c", Action::Interrupt, None, "twice: quit from anywhere"),
];

/// The tables as one: a screen's own rows, then those of every screen whose chords it has not taken. Rows that `fits`
/// refuses don't exist.
pub fn table(own: &'static [Binding], fits: impl Fn(Action) -> bool) -> Vec<&'static Binding> {
    let taken = |binding: &Binding| {
        let first = binding.chords.first();
        own.iter().any(|own| first.is_some_and(|first| own.chords.contains(first)))
    };
    let global = GLOBAL.iter().filter(|binding| !taken(binding));
    own.iter().chain(global).filter(|binding| fits(binding.action)).collect()
}

/// What the chord asks for in a table, if it asks for anything.
pub fn action(table: &[&Binding], chord: Chord) -> Option<Action> {
    table.iter().find(|binding| binding.chords.contains(&chord)).map(|binding| binding.action)
}

/// Fails when a chord stands twice in a table, or in a screen's table and, not as the first, in everybody's.
#[cfg(test)]
pub fn check(own: &'static [Binding]) {
    let table = table(own, |_| true);
    for (place, binding) in table.iter().enumerate() {
        for chord in binding.chords {
            assert_eq!(action(&table, *chord), Some(binding.action), "{} stands twice", binding.shown);
            let later = table.iter().skip(place + 1).any(|other| other.chords.contains(chord));
            assert!(!later, "{} stands twice", binding.shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_chord_stands_twice_and_every_chord_is_found() {
        check(&[]);
    }

    #[test]
    fn shift_belongs_to_the_character_and_alt_is_nobodys() {
        let found = |key: KeyEvent| Chord::pressed(key).and_then(|chord| action(&table(&[], |_| true), chord));
        let shifted = KeyEvent::new(KeyCode::Char('P'), KeyModifiers::SHIFT);
        assert_eq!(found(shifted), Some(Action::HidePeople));
        assert_eq!(Chord::pressed(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT)), None);
        let both = KeyEvent::new(KeyCode::Char('C'), KeyModifiers::CONTROL | KeyModifiers::SHIFT);
        assert_eq!(found(both), Some(Action::Interrupt));
    }

    #[test]
    fn a_screens_own_chord_stands_before_everybodys() {
        const OWN: &[Binding] = &[act(&[letter(' ')], "Space", Act("pause"), None, "stop")];
        let both = table(OWN, |action| action != Action::Help);
        assert_eq!(action(&both, letter(' ')), Some(Action::Act(Act("pause"))));
        assert_eq!(action(&both, letter('?')), None);
        assert_eq!(both.iter().filter(|binding| binding.shown == "Space").count(), 1);
    }
}
