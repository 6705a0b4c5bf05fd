//! The palette: everything that can be done here, found by a part of its name. Also chooses the property.

use crossterm::event::{KeyCode, KeyEvent};
use keyward_protocol::{id::PropertyId, message::manage::PropertyRow};
use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};
use tui_input::Input;

use super::{App, DialogDone, form::typed};
use crate::keymap::{Action, Bound};

/// What an entry does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chosen {
    /// What a chord would do.
    Action(Action),
    /// Look at this property.
    Property(PropertyId),
}

/// An entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// What is matched and shown.
    pub text: String,
    /// A word that is matched too: the one at the foot of the screen.
    pub word: &'static str,
    /// Beside it: the chord.
    pub note: String,
    /// What it is called by, where it may be told more: `explain tracy garage`.
    pub called: Option<&'static str>,
    /// Why it can't be done now.
    pub forbidden: Option<String>,
    /// What it does.
    pub what: Chosen,
}

/// The palette.
#[derive(Clone, Debug)]
pub struct Palette {
    /// The line over it.
    pub title: &'static str,
    choices: Vec<Choice>,
    input: Input,
    /// Places in `choices` of what matches, best first.
    matching: Vec<usize>,
    at: usize,
}

impl Palette {
    /// A palette of these, in this order while nothing is typed.
    pub fn new(title: &'static str, choices: Vec<Choice>) -> Palette {
        let matching = (0..choices.len()).collect();
        Palette { title, choices, input: Input::default(), matching, at: 0 }
    }

    /// What was typed.
    pub fn typed(&self) -> &str {
        self.input.value()
    }

    /// What matches, best first.
    pub fn matching(&self) -> impl Iterator<Item = &Choice> {
        self.matching.iter().filter_map(|place| self.choices.get(*place))
    }

    /// Which of them the cursor is on.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What the cursor is on.
    pub fn chosen(&self) -> Option<Chosen> {
        self.matching().nth(self.at).map(|choice| choice.what)
    }

    /// What was typed after the command's own word.
    pub fn rest(&self) -> &str {
        self.input.value().split_once(' ').map_or("", |(_, rest)| rest.trim())
    }

    /// Takes a key of the keyboard.
    pub fn key(&mut self, key: KeyEvent) -> DialogDone {
        match key.code {
            KeyCode::Esc => return DialogDone::Closed,
            KeyCode::Enter => return DialogDone::Submitted,
            KeyCode::Up | KeyCode::BackTab => self.at = self.at.saturating_sub(1),
            KeyCode::Down | KeyCode::Tab => self.at = (self.at + 1).min(self.matching.len().saturating_sub(1)),
            // Whoever takes the last character away and goes on has changed their mind.
            KeyCode::Backspace if self.input.value().is_empty() => return DialogDone::Closed,
            _ => {
                typed(&mut self.input, key);
                self.sift();
            }
        }
        DialogDone::Stays
    }

    fn sift(&mut self) {
        let pattern = Pattern::parse(self.input.value(), CaseMatching::Ignore, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut characters = Vec::new();
        let mut scored: Vec<(u32, usize)> = Vec::new();
        let word = self.input.value().split(' ').next().filter(|word| !word.is_empty());
        for (place, choice) in self.choices.iter().enumerate() {
            // `explain tracy garage`: the command's own word, and what it is told.
            if let Some(word) = word
                && choice.called == Some(word)
            {
                scored.push((0, place));
                continue;
            }
            let found_by = format!("{} {}", choice.word, choice.text);
            let score = pattern.score(Utf32Str::new(&found_by, &mut characters), &mut matcher);
            scored.extend(score.map(|score| (u32::MAX - score, place)));
        }
        scored.sort_unstable();
        self.matching = scored.into_iter().map(|(_, place)| place).collect();
        self.at = 0;
    }
}

/// Everything that can be done here, for the palette.
pub(super) fn commands(app: &App) -> Vec<Choice> {
    let bindings = app.bindings();
    let useful = bindings.iter().filter(|bound| !matches!(bound.row.action, Action::Palette | Action::Interrupt));
    let action = |bound: &Bound<'_>| Choice {
        text: bound.row.help.to_owned(),
        forbidden: app.forbidden(bound.row.action),
        word: bound.row.hint.unwrap_or_default(),
        note: bound.shown.to_owned(),
        called: bound.row.shown.strip_prefix(':'),
        what: Chosen::Action(bound.row.action),
    };
    useful.map(action).chain(properties(app)).collect()
}

/// The properties, to choose one.
pub(super) fn properties(app: &App) -> Vec<Choice> {
    let rows = app.shell.overview.iter().flat_map(|overview| &overview.properties);
    let choice = |row: &PropertyRow| Choice {
        text: row.name.clone(),
        word: "",
        note: "property".to_owned(),
        called: None,
        forbidden: None,
        what: Chosen::Property(row.id),
    };
    rows.map(choice).collect()
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyModifiers;

    use super::*;

    #[test]
    fn a_part_of_the_name_finds_it_and_the_best_is_first() {
        let choice = |text: &str, id: u32| Choice {
            text: text.to_owned(),
            word: if id == 2 { "screen" } else { "" },
            note: String::new(),
            called: None,
            forbidden: None,
            what: Chosen::Property(PropertyId(id)),
        };
        let choices =
            vec![choice("give the Key to somebody", 1), choice("hide people", 2), choice("revoke the Key", 3)];
        let mut palette = Palette::new("", choices);
        assert_eq!(palette.chosen(), Some(Chosen::Property(PropertyId(1))));
        for c in "rvk".chars() {
            palette.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
        assert_eq!(palette.chosen(), Some(Chosen::Property(PropertyId(3))));
        palette.key(KeyEvent::new(KeyCode::Char('z'), KeyModifiers::NONE));
        assert_eq!((palette.chosen(), palette.matching().count()), (None, 0));
        (0..4).for_each(|_| _ = palette.key(KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE)));
        for c in "screen".chars() {
            palette.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
        assert_eq!(palette.chosen(), Some(Chosen::Property(PropertyId(2))), "the word at the foot finds it");
    }
}
