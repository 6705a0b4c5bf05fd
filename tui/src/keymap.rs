//! The chords of the terminal screen: one table that input, hints and help are made from.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a chord asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Stop or follow the live log.
    Pause,
    /// Open the filter's input.
    Filter,
    /// Open or close the help.
    Help,
    /// Leave.
    Quit,
    /// Show the Keys.
    ShowKeys,
    /// Show the live log.
    ShowLogs,
    /// Show the row under the cursor in full.
    Detail,
    /// Hide or show people's names.
    HidePeople,
    /// Close what is open; else clear the filter.
    Back,
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
    /// The last row; in the live log, follow it.
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

/// One row of the table.
#[derive(Debug)]
pub struct Binding {
    /// Every chord for it.
    pub chords: &'static [Chord],
    /// The chords as people read them.
    pub shown: &'static str,
    /// What it asks for.
    pub action: Action,
    /// The word or two at the foot of the screen, for those that belong there; the first ones survive longest.
    pub hint: Option<(&'static str, &'static str)>,
    /// The sentence in the help.
    pub help: &'static str,
}

const fn plain(code: KeyCode) -> Chord {
    Chord { code, ctrl: false }
}

const fn letter(c: char) -> Chord {
    plain(KeyCode::Char(c))
}

const fn ctrl(c: char) -> Chord {
    Chord { code: KeyCode::Char(c), ctrl: true }
}

/// The table. Order: hints from left to right, help from top to bottom.
pub const BINDINGS: &[Binding] = &[
    Binding { chords: &[letter('?')], shown: "?", action: Action::Help, hint: Some(("?", "help")), help: "this help" },
    Binding {
        chords: &[letter('q')],
        shown: "q",
        action: Action::Quit,
        hint: Some(("q", "quit")),
        help: "close what is open, then quit",
    },
    Binding {
        chords: &[letter(' ')],
        shown: "Space",
        action: Action::Pause,
        hint: Some(("Space", "pause")),
        help: "stop the live log, or follow it again",
    },
    Binding {
        chords: &[letter('/')],
        shown: "/",
        action: Action::Filter,
        hint: Some(("/", "filter")),
        help: "filter by door, person, Key or reason; Enter keeps it",
    },
    Binding {
        chords: &[plain(KeyCode::Enter)],
        shown: "Enter",
        action: Action::Detail,
        hint: Some(("Enter", "detail")),
        help: "show the row in full",
    },
    Binding {
        chords: &[letter('1')],
        shown: "1",
        action: Action::ShowKeys,
        hint: Some(("1", "Keys")),
        help: "the Keys of the property",
    },
    Binding {
        chords: &[letter('4')],
        shown: "4",
        action: Action::ShowLogs,
        hint: Some(("4", "Logs")),
        help: "the live access log",
    },
    Binding {
        chords: &[letter('P')],
        shown: "P",
        action: Action::HidePeople,
        hint: Some(("P", "people")),
        help: "hide people's names, or show them again",
    },
    Binding {
        chords: &[plain(KeyCode::Esc)],
        shown: "Esc",
        action: Action::Back,
        hint: None,
        help: "close what is open; else clear the filter",
    },
    Binding {
        chords: &[plain(KeyCode::Up), letter('k')],
        shown: "Up k",
        action: Action::Up,
        hint: None,
        help: "one row up; the live log stops",
    },
    Binding {
        chords: &[plain(KeyCode::Down), letter('j')],
        shown: "Down j",
        action: Action::Down,
        hint: None,
        help: "one row down",
    },
    Binding {
        chords: &[plain(KeyCode::Left), letter('h')],
        shown: "Left h",
        action: Action::Left,
        hint: None,
        help: "the screen to the left",
    },
    Binding {
        chords: &[plain(KeyCode::Right), letter('l')],
        shown: "Right l",
        action: Action::Right,
        hint: None,
        help: "the screen to the right",
    },
    Binding {
        chords: &[plain(KeyCode::PageUp), ctrl('b')],
        shown: "PgUp",
        action: Action::PageUp,
        hint: None,
        help: "one page up",
    },
    Binding {
        chords: &[plain(KeyCode::PageDown), ctrl('f')],
        shown: "PgDn",
        action: Action::PageDown,
        hint: None,
        help: "one page down",
    },
    Binding {
        chords: &[plain(KeyCode::Home), letter('g')],
        shown: "Home g",
        action: Action::First,
        hint: None,
        help: "the first row",
    },
    Binding {
        chords: &[plain(KeyCode::End), letter('G')],
        shown: "End G",
        action: Action::Last,
        hint: None,
        help: "the last row; the live log is followed again",
    },
    Binding {
        chords: &[ctrl('l')],
        shown: "Ctrl-l",
        action: Action::Repaint,
        hint: None,
        help: "draw everything anew",
    },
    Binding {
        chords: &[ctrl('c')],
        shown: "Ctrl-c",
        action: Action::Interrupt,
        hint: None,
        help: "twice: quit from anywhere",
    },
];

/// What the chord asks for, if it asks for anything.
pub fn action(chord: Chord) -> Option<Action> {
    BINDINGS.iter().find(|binding| binding.chords.contains(&chord)).map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_chord_stands_twice_and_every_chord_is_found() {
        for (place, binding) in BINDINGS.iter().enumerate() {
            for chord in binding.chords {
                assert_eq!(action(*chord), Some(binding.action), "{}", binding.shown);
                let later = BINDINGS.iter().skip(place + 1).any(|other| other.chords.contains(chord));
                assert!(!later, "{} stands twice", binding.shown);
            }
        }
    }

    #[test]
    fn shift_belongs_to_the_character_and_alt_is_nobodys() {
        let shifted = KeyEvent::new(KeyCode::Char('P'), KeyModifiers::SHIFT);
        assert_eq!(Chord::pressed(shifted).and_then(action), Some(Action::HidePeople));
        assert_eq!(Chord::pressed(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT)), None);
        let both = KeyEvent::new(KeyCode::Char('C'), KeyModifiers::CONTROL | KeyModifiers::SHIFT);
        assert_eq!(Chord::pressed(both).and_then(action), Some(Action::Interrupt));
    }
}
