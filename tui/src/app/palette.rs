//! The palette: everything that can be done here, found by a part of its name, or called by a word of its own. Also
//! chooses the property.

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
    /// The words that it is called by: what the settings call it, its chord. Only what the palette alone has may be told
    /// more behind it: `explain tracy garage`.
    pub called: Vec<String>,
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
    /// What was typed and done before, the oldest first, and which of it stands in the input.
    history: Vec<String>,
    recalled: Option<usize>,
}

/// So many commands are known again.
pub const HISTORY_MAX: usize = 50;

impl Palette {
    /// A palette of these, in this order while nothing is typed.
    pub fn new(title: &'static str, choices: Vec<Choice>) -> Palette {
        let matching = (0..choices.len()).collect();
        Palette { title, choices, input: Input::default(), matching, at: 0, history: Vec::new(), recalled: None }
    }

    /// The same, with what was typed and done before, the oldest first.
    #[must_use]
    pub fn with_history(mut self, history: &[String]) -> Palette {
        self.history = history.to_vec();
        self
    }

    /// Whether an earlier command would be recalled by Up.
    pub fn recalls(&self) -> bool {
        self.input.value().is_empty() && !self.history.is_empty()
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
            KeyCode::Up if self.recalls() => self.recall(self.history.len() - 1),
            KeyCode::Up if self.recalled.is_some_and(|place| place > 0) => {
                self.recall(self.recalled.unwrap_or_default().saturating_sub(1));
            }
            KeyCode::Down if self.recalled.is_some() => self.recall(self.recalled.unwrap_or_default() + 1),
            KeyCode::Up if self.recalled.is_some() => {}
            KeyCode::Up | KeyCode::BackTab => self.at = self.at.saturating_sub(1),
            KeyCode::Tab if self.complete() => {}
            KeyCode::Down | KeyCode::Tab => self.at = (self.at + 1).min(self.matching.len().saturating_sub(1)),
            // Whoever takes the last character away and goes on has changed their mind.
            KeyCode::Backspace if self.input.value().is_empty() => return DialogDone::Closed,
            _ => {
                self.recalled = None;
                typed(&mut self.input, key);
                self.sift();
            }
        }
        DialogDone::Stays
    }

    /// Puts what stands at this place of the history into the input; nothing behind the newest.
    fn recall(&mut self, place: usize) {
        let command = self.history.get(place).cloned();
        self.recalled = command.is_some().then_some(place);
        self.input = Input::new(command.unwrap_or_default());
        self.sift();
    }

    /// Completes the word as far as all agree that begin with it. Says whether anything came of it.
    fn complete(&mut self) -> bool {
        let word = self.input.value();
        if word.is_empty() || word.contains(' ') {
            return false;
        }
        let mut begin_so = self.choices.iter().flat_map(|choice| &choice.called).filter(|name| name.starts_with(word));
        let Some(first) = begin_so.next() else { return false };
        let common = |common: &str, name: &String| {
            let same = common.chars().zip(name.chars()).take_while(|(one, other)| one == other);
            same.map(|(c, _)| c).collect::<String>()
        };
        let completed = begin_so.fold(first.clone(), |so_far, name| common(&so_far, name));
        if completed == word {
            return false;
        }
        self.input = Input::new(completed);
        self.recalled = None;
        self.sift();
        true
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
                && choice.called.iter().any(|called| called == word)
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
        called: called(bound),
        what: Chosen::Action(bound.row.action),
    };
    useful.map(action).chain(properties(app)).collect()
}

/// The words that call a command: `revoke`, `show-people` and `people`, `q`.
fn called(bound: &Bound<'_>) -> Vec<String> {
    let name = bound.row.name();
    let screen = name.strip_prefix("show-").map(str::to_owned);
    let chords = bound.shown.split(' ').map(|chord| chord.trim_start_matches(':').to_owned());
    let mut all: Vec<String> = [name].into_iter().chain(screen).chain(chords).filter(|word| !word.is_empty()).collect();
    all.dedup();
    all
}

/// The properties, to choose one.
pub(super) fn properties(app: &App) -> Vec<Choice> {
    let rows = app.shell.overview.iter().flat_map(|overview| &overview.properties);
    let choice = |row: &PropertyRow| Choice {
        text: row.name.clone(),
        word: "",
        note: "property".to_owned(),
        called: Vec::new(),
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
            called: vec![if id == 1 { "give" } else { "gather" }.to_owned()],
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

    #[test]
    fn a_word_is_completed_as_far_as_it_can_be_and_what_was_done_is_recalled() {
        let choice = |text: &str, called: &[&str], id: u32| Choice {
            text: text.to_owned(),
            word: "",
            note: String::new(),
            called: called.iter().map(|word| (*word).to_owned()).collect(),
            forbidden: None,
            what: Chosen::Property(PropertyId(id)),
        };
        let choices = vec![
            choice("a page of the guests", &["guests", "g"], 1),
            choice("give the Key to somebody", &["give", "v"], 2),
            choice("give it all up", &["give-up"], 3),
        ];
        let history = ["give tracy".to_owned(), "guests".to_owned()];
        let mut palette = Palette::new("", choices).with_history(&history);
        let press = |palette: &mut Palette, code| {
            palette.key(KeyEvent::new(code, KeyModifiers::NONE));
            (palette.typed().to_owned(), palette.chosen())
        };
        let at = |id: u32| Some(Chosen::Property(PropertyId(id)));
        press(&mut palette, KeyCode::Char('g'));
        assert_eq!(press(&mut palette, KeyCode::Char('i')).0, "gi");
        assert_eq!(press(&mut palette, KeyCode::Tab), ("give".to_owned(), at(2)), "as far as both agree");
        assert_eq!(press(&mut palette, KeyCode::Tab), ("give".to_owned(), at(3)), "then it moves");
        press(&mut palette, KeyCode::Char('-'));
        assert_eq!(press(&mut palette, KeyCode::Tab), ("give-up".to_owned(), at(3)));
        (0..7).for_each(|_| _ = press(&mut palette, KeyCode::Backspace));
        // `g` is a chord, and comes before what only has the letter.
        assert_eq!(press(&mut palette, KeyCode::Char('v')).1, at(2));
        assert!(press(&mut palette, KeyCode::Backspace).0.is_empty() && palette.recalls());
        assert_eq!(press(&mut palette, KeyCode::Up), ("guests".to_owned(), at(1)));
        assert_eq!(press(&mut palette, KeyCode::Up), ("give tracy".to_owned(), at(2)));
        assert_eq!(press(&mut palette, KeyCode::Up).0, "give tracy", "there is nothing before it");
        assert_eq!(press(&mut palette, KeyCode::Down).0, "guests");
        assert_eq!(press(&mut palette, KeyCode::Down).0, "", "and nothing behind the newest");
        assert_eq!(press(&mut palette, KeyCode::Down).1, at(2), "the cursor moves again");
        press(&mut palette, KeyCode::Up);
        assert_eq!(press(&mut palette, KeyCode::Up).0, "give tracy");
        assert_eq!(press(&mut palette, KeyCode::Char('x')).0, "give tracyx", "what was recalled is typed on");
    }
}
