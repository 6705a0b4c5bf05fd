//! A chord: what is pressed, what it is called in the settings, and how it is shown.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use keyward_protocol::name;
use unicode_width::UnicodeWidthChar;

use crate::servers::nearest;

/// Keys of the keyboard that are no characters: what each is called in the settings, and how it is shown.
const NAMED: [(&str, &str, KeyCode); 29] = [
    ("enter", "Enter", KeyCode::Enter),
    ("esc", "Esc", KeyCode::Esc),
    ("space", "Space", KeyCode::Char(' ')),
    ("tab", "Tab", KeyCode::Tab),
    ("shift-tab", "Shift-Tab", KeyCode::BackTab),
    ("backspace", "Backspace", KeyCode::Backspace),
    ("insert", "Ins", KeyCode::Insert),
    ("delete", "Del", KeyCode::Delete),
    ("up", "Up", KeyCode::Up),
    ("down", "Down", KeyCode::Down),
    ("left", "Left", KeyCode::Left),
    ("right", "Right", KeyCode::Right),
    ("pageup", "PgUp", KeyCode::PageUp),
    ("pagedown", "PgDn", KeyCode::PageDown),
    ("pgup", "PgUp", KeyCode::PageUp),
    ("home", "Home", KeyCode::Home),
    ("end", "End", KeyCode::End),
    ("f1", "F1", KeyCode::F(1)),
    ("f2", "F2", KeyCode::F(2)),
    ("f3", "F3", KeyCode::F(3)),
    ("f4", "F4", KeyCode::F(4)),
    ("f5", "F5", KeyCode::F(5)),
    ("f6", "F6", KeyCode::F(6)),
    ("f7", "F7", KeyCode::F(7)),
    ("f8", "F8", KeyCode::F(8)),
    ("f9", "F9", KeyCode::F(9)),
    ("f10", "F10", KeyCode::F(10)),
    ("f11", "F11", KeyCode::F(11)),
    ("f12", "F12", KeyCode::F(12)),
];

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

    /// What the terminal tells when it is pressed.
    #[cfg(test)]
    pub fn key(self) -> KeyEvent {
        KeyEvent::new(self.code, if self.ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE })
    }

    /// Reads a chord as the settings have it: `g`, `G`, `ctrl-g`, `space`, `f5`. Only a single character is told apart
    /// by its case, so a reader of chords that ignores case would not do.
    ///
    /// # Errors
    ///
    /// No terminal sends it, or it is not told apart from another one: the message says what may be meant.
    pub fn parse(text: &str) -> Result<Chord, String> {
        let mut characters = text.chars();
        if let (Some(c), None) = (characters.next(), characters.next()) {
            let drawn = !name::is_unsafe(c) && c.width().is_some_and(|width| width > 0);
            return drawn.then_some(letter(c)).ok_or_else(|| "it is a character that can't be shown".to_owned());
        }
        let lower = text.to_ascii_lowercase();
        let key = named(&lower);
        if let Some(code) = key {
            return Ok(plain(code));
        }
        match lower.split_once('-') {
            Some(("ctrl", rest)) => with_ctrl(text, rest),
            Some(("shift", rest)) if rest.len() == 1 => {
                Err(format!("there is no chord `{text}`: Shift is part of the character, write `{}`", upper(rest)))
            }
            Some(("alt" | "meta" | "super" | "cmd", _)) => {
                Err(format!("there is no chord `{text}`: only Ctrl is told apart on every terminal"))
            }
            _ => Err(unknown(text, &lower)),
        }
    }

    /// What the settings call it, so that [`Chord::parse`] reads it.
    pub fn name(self) -> String {
        self.told(|(name, _, _)| name, "ctrl-")
    }

    /// How it is shown: `Ctrl-g`.
    pub fn shown(self) -> String {
        self.told(|(_, shown, _)| shown, "Ctrl-")
    }

    fn told(self, word: impl Fn(&'static (&'static str, &'static str, KeyCode)) -> &'static str, ctrl: &str) -> String {
        let named = NAMED.iter().find(|(_, _, code)| *code == self.code).map(|row| word(row).to_owned());
        let key = match self.code {
            KeyCode::Char(c) => named.unwrap_or_else(|| c.to_string()),
            _ => named.unwrap_or_default(),
        };
        if self.ctrl { format!("{ctrl}{key}") } else { key }
    }

    /// Whether a form would take it for a character that is typed.
    pub fn is_text(self) -> bool {
        !self.ctrl && matches!(self.code, KeyCode::Char(_))
    }
}

fn named(lower: &str) -> Option<KeyCode> {
    NAMED.iter().find(|(name, _, _)| *name == lower).map(|(_, _, code)| *code)
}

fn upper(letter: &str) -> String {
    letter.to_ascii_uppercase()
}

/// What Ctrl makes of a key, as terminals send it.
fn with_ctrl(text: &str, rest: &str) -> Result<Chord, String> {
    let same = |key: &str| Err(format!("terminals can't tell `{text}` from `{key}`: write `{key}`"));
    let mut characters = rest.chars();
    match (characters.next(), characters.next()) {
        (Some('i'), None) => return same("tab"),
        (Some('m' | 'j'), None) => return same("enter"),
        (Some('h'), None) => return same("backspace"),
        (Some(c), None) if c.is_ascii_lowercase() => return Ok(ctrl(c)),
        (Some(_), None) => return Err(format!("there is no chord `{text}`: Ctrl goes with letters")),
        _ => {}
    }
    match named(rest) {
        Some(KeyCode::Enter | KeyCode::Esc | KeyCode::Tab | KeyCode::BackTab | KeyCode::Backspace) => same(rest),
        Some(code) => Ok(Chord { code, ctrl: true }),
        None => Err(unknown(text, &text.to_ascii_lowercase())),
    }
}

fn unknown(text: &str, lower: &str) -> String {
    let (before, key) = match lower.rsplit_once('-') {
        Some((modifier, key)) => (nearest(modifier, ["ctrl"].into_iter()), key),
        None => (None, lower),
    };
    // A single character is right as it is: then the word before it is what was meant otherwise.
    let single = key.chars().count() == 1 && before.is_some();
    let near = if single { Some(key) } else { nearest(key, NAMED.iter().map(|(name, _, _)| *name)) };
    let meant = near.map(|key| before.map_or_else(|| key.to_owned(), |before| format!("{before}-{key}")));
    match meant.filter(|meant| meant != lower) {
        Some(near) => format!("there is no chord `{text}`: did you mean `{near}`?"),
        None => format!("there is no chord `{text}`: a character, `ctrl-x`, `f5`, or a key like `space` or `pageup`"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chords_are_read_as_they_are_written_and_written_as_they_are_read() {
        let f5 = plain(KeyCode::F(5));
        let cases = [
            ("g", letter('g'), "g", "g"),
            ("G", letter('G'), "G", "G"),
            ("é", letter('é'), "é", "é"),
            ("-", letter('-'), "-", "-"),
            ("Ctrl-G", ctrl('g'), "ctrl-g", "Ctrl-g"),
            ("ctrl-space", ctrl(' '), "ctrl-space", "Ctrl-Space"),
            ("ctrl-pgup", Chord { code: KeyCode::PageUp, ctrl: true }, "ctrl-pageup", "Ctrl-PgUp"),
            ("SPACE", letter(' '), "space", "Space"),
            ("shift-tab", plain(KeyCode::BackTab), "shift-tab", "Shift-Tab"),
            ("f5", f5, "f5", "F5"),
        ];
        for (text, chord, name, shown) in cases {
            assert_eq!(Chord::parse(text), Ok(chord), "{text}");
            assert_eq!((chord.name().as_str(), chord.shown().as_str()), (name, shown), "{text}");
            assert_eq!(Chord::parse(&chord.name()), Ok(chord), "{text}");
        }
    }

    #[test]
    fn what_no_terminal_sends_is_told_with_what_may_be_meant() {
        let cases = [
            ("ctlr-g", "there is no chord `ctlr-g`: did you mean `ctrl-g`?"),
            ("ctrl-pagup", "there is no chord `ctrl-pagup`: did you mean `ctrl-pageup`?"),
            ("entre", "there is no chord `entre`: did you mean `enter`?"),
            ("shift-g", "there is no chord `shift-g`: Shift is part of the character, write `G`"),
            ("alt-x", "there is no chord `alt-x`: only Ctrl is told apart on every terminal"),
            ("ctrl-i", "terminals can't tell `ctrl-i` from `tab`: write `tab`"),
            ("ctrl-1", "there is no chord `ctrl-1`: Ctrl goes with letters"),
            ("ctrl-esc", "terminals can't tell `ctrl-esc` from `esc`: write `esc`"),
            ("\u{202e}", "it is a character that can't be shown"),
            ("\u{7}", "it is a character that can't be shown"),
        ];
        for (text, told) in cases {
            assert_eq!(Chord::parse(text), Err(told.to_owned()), "{text}");
        }
        for text in ["", "gg", "ctrl-", "-g", "ctrl-ctrl-g", "hyperspace"] {
            let told = Chord::parse(text).unwrap_err();
            assert!(told.contains("a character, `ctrl-x`") || told.contains("did you mean"), "{text}: {told}");
        }
    }
}
