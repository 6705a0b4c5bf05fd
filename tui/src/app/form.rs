//! A form: fields one under the other, then a button. Nothing is changed by a form: it leads to a review.

mod many;

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyModifiers};
use jiff::{civil, tz::TimeZone};
use keyward_protocol::{
    entry::Command,
    id::{KeyId, PersonId, PropertyId},
    message::manage::{Answer, LockdownRow, Request, Rows},
    name::fold,
    time::Moment,
};
use tui_input::{Input, backend::crossterm::EventHandler};

pub use self::many::Many;

use super::{DialogDone, ScreenId, Shell};
use crate::{
    keymap::Act,
    remote::{Failure, Ticket},
};

/// So many things are offered at a time; typing finds the others.
const OFFERED_MAX: u32 = 50;
/// Longer input is not taken.
const INPUT_CHARS_MAX: usize = 400;

/// A form.
#[derive(Clone, Debug)]
pub struct Form {
    /// Whose `submitted` gets it.
    pub owner: ScreenId,
    /// What it is for: what the owner tells its forms apart by.
    pub act: Act,
    /// The line over it.
    pub title: String,
    /// What it is about, by id and name: the owner's own affair.
    pub subject: Vec<(u32, String)>,
    /// The fields.
    pub fields: Vec<Field>,
    /// The word on the button.
    pub button: &'static str,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// What is edited, as it was read: the command that would make it so (K12).
    pub read: Option<Command>,
    at: usize,
}

/// A field of a form.
#[derive(Clone, Debug)]
pub struct Field {
    /// Before it.
    pub label: &'static str,
    /// What is entered.
    pub entry: Entry,
}

/// What is entered in a field.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A line of text; what it says while it is empty.
    Line(Input, &'static str),
    /// One of a few words.
    Choice(Vec<&'static str>, usize),
    /// Something the server has.
    Pick(Box<Pick>),
    /// Any number of things that the server has.
    Many(Box<Many>),
}

/// Something the server has, found by a part of its name.
#[derive(Clone, Debug)]
pub struct Pick {
    of: Pickable,
    input: Input,
    offered: Vec<Offer>,
    at: usize,
    chosen: Option<Offer>,
    waiting: Option<Ticket>,
    asked: Option<String>,
    /// Enter was pressed before the server had told what matches: the first that does is meant.
    first_is_meant: bool,
    /// The server told what matches.
    told: bool,
}

/// What may be picked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pickable {
    /// Anybody of the portfolio: by name, or by the exact email even who is not seen otherwise.
    People,
    /// Those who hold a Key.
    Holders(KeyId),
    /// A property's Keys, but for one.
    Keys(PropertyId, Option<KeyId>),
    /// A property's doors.
    Doors(PropertyId),
    /// The doors that a Key opens.
    DoorsOf(KeyId),
    /// The Keys that somebody holds in a property.
    HeldBy(PersonId, PropertyId),
    /// A property's lockdowns.
    Lockdowns(PropertyId),
    /// A property's named schedules, and before them [`ALWAYS`].
    Schedules(PropertyId),
    /// The properties.
    Properties,
}

/// Offered before the named schedules: it has no id of its own.
pub const ALWAYS: &str = "always";

/// One that may be picked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// What tells it from others of the same name.
    pub note: String,
}

impl Field {
    /// A line of text.
    pub fn line(label: &'static str, placeholder: &'static str) -> Field {
        Field { label, entry: Entry::Line(Input::default(), placeholder) }
    }

    /// One of a few words, the first chosen.
    pub fn choice(label: &'static str, words: &[&'static str]) -> Field {
        Field { label, entry: Entry::Choice(words.to_vec(), 0) }
    }

    /// Something the server has.
    pub fn pick(label: &'static str, of: Pickable) -> Field {
        Field { label, entry: Entry::Pick(Box::new(Pick::new(of))) }
    }

    /// Any number of things that the server has; what it says while there are none.
    pub fn many(label: &'static str, of: Pickable, none: &'static str) -> Field {
        Field { label, entry: Entry::Many(Box::new(Many::new(of, none))) }
    }

    /// The field with this in it already: a text, the number of a word, or something the server has.
    #[must_use]
    pub fn with(mut self, filled: Filled) -> Field {
        match (&mut self.entry, filled) {
            (Entry::Line(input, _), Filled::Text(text)) => *input = Input::new(text),
            (Entry::Choice(words, at), Filled::Word(word)) => *at = word.min(words.len().saturating_sub(1)),
            (Entry::Pick(pick), Filled::Offer(offer)) => pick.chosen = Some(offer),
            (Entry::Many(many), Filled::Offers(offers)) => many.put(offers),
            _ => {}
        }
        self
    }
}

/// What is in a field already when its form opens.
#[derive(Clone, Debug)]
pub enum Filled {
    /// In a line.
    Text(String),
    /// Which word of a choice.
    Word(usize),
    /// Something the server has.
    Offer(Offer),
    /// Several of them.
    Offers(Vec<Offer>),
}

impl Field {
    /// With this typed in already: nothing is picked by that, only searched for.
    #[must_use]
    pub fn typed(mut self, text: &str) -> Field {
        match &mut self.entry {
            Entry::Line(input, _) => *input = Input::new(text.to_owned()),
            Entry::Pick(pick) => pick.input = Input::new(text.to_owned()),
            Entry::Choice(..) | Entry::Many(_) => {}
        }
        self
    }
}

impl Pickable {
    fn request(self, rows: Rows) -> Request {
        match self {
            Pickable::People => Request::People(None, rows),
            Pickable::Holders(key) => Request::Holders(key, rows),
            Pickable::Keys(property, _) => Request::Keys(property, rows),
            Pickable::Doors(property) => Request::Doors(property, rows),
            Pickable::DoorsOf(key) => Request::Key(key),
            Pickable::HeldBy(person, _) => Request::Person(person),
            Pickable::Lockdowns(property) => Request::Property(property),
            Pickable::Schedules(property) => Request::Schedules(property, rows),
            Pickable::Properties => Request::Overview,
        }
    }

    /// What the answer offers for what was typed: some answers hold more than was searched for.
    fn offers(self, answer: &Answer, needle: &str) -> Vec<Offer> {
        let offer = |id: u32, name: &str, note: &str| Offer { id, name: name.to_owned(), note: note.to_owned() };
        let needle = fold(needle.trim());
        let matches = |offer: &Offer| fold(&offer.name).contains(&needle);
        match (self, answer) {
            (Pickable::People, Answer::People(list)) => {
                list.rows.iter().map(|row| offer(row.id.0, &row.name, &row.email)).collect()
            }
            (Pickable::People, Answer::Found(row)) => vec![offer(row.id.0, &row.name, &row.email)],
            (Pickable::Holders(_), Answer::Holders(list)) => {
                list.rows.iter().map(|row| offer(row.person.0, &row.name, &row.email)).collect()
            }
            (Pickable::Keys(_, except), Answer::Keys(list)) => {
                let rows = list.rows.iter().filter(|row| !row.system && Some(row.id) != except);
                rows.map(|row| offer(row.id.0, &row.name, row.hours.as_deref().unwrap_or("several hours"))).collect()
            }
            (Pickable::Doors(_), Answer::Doors(list)) => {
                list.rows.iter().map(|row| offer(row.id.0, &row.name, row.kind.as_str())).collect()
            }
            (Pickable::DoorsOf(_), Answer::Key(key)) => {
                key.opens.iter().map(|open| offer(open.door.0, &open.name, "")).filter(matches).collect()
            }
            (Pickable::HeldBy(_, property), Answer::Person(person)) => {
                let held = person.holds.iter().filter(|held| held.property == property);
                let note = |ended: bool| if ended { "ended" } else { "" };
                held.map(|held| offer(held.key.0, &held.name, note(held.terms.ended))).filter(matches).collect()
            }
            (Pickable::Lockdowns(_), Answer::Property(property)) => {
                let name = |doors: Option<usize>| match doors {
                    None => "the whole property".to_owned(),
                    Some(1) => "1 door".to_owned(),
                    Some(some) => format!("{some} doors"),
                };
                let note = |row: &LockdownRow| match row.except_keys.len() {
                    0 => row.id.to_string(),
                    some => format!("{}, {some} Keys excepted", row.id),
                };
                let rows = property.lockdowns.iter();
                rows.map(|row| offer(row.id.0, &name(row.doors.as_ref().map(Vec::len)), &note(row))).collect()
            }
            (Pickable::Schedules(_), Answer::Schedules(list)) => {
                let rows = list.rows.iter().map(|row| offer(row.id.0, &row.name, &row.hours.to_string()));
                [offer(0, ALWAYS, "")].into_iter().filter(matches).chain(rows).collect()
            }
            (Pickable::Properties, Answer::Overview(overview)) => {
                overview.properties.iter().map(|row| offer(row.id.0, &row.name, &row.zone)).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Pick {
    fn new(of: Pickable) -> Pick {
        let (input, offered) = (Input::default(), Vec::new());
        Pick { of, input, offered, at: 0, chosen: None, waiting: None, asked: None, first_is_meant: false, told: false }
    }

    /// What was picked.
    pub fn chosen(&self) -> Option<&Offer> {
        self.chosen.as_ref()
    }

    /// What is offered, and which of them the cursor is on.
    pub fn offered(&self) -> (&[Offer], usize) {
        (&self.offered, self.at)
    }

    /// What was typed.
    pub fn typed(&self) -> &str {
        self.input.value()
    }

    /// Whether an answer is waited for.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether the server told what matches: without that nobody knows whether anything does.
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// Whether people are picked.
    pub fn is_of_people(&self) -> bool {
        matches!(self.of, Pickable::People | Pickable::Holders(_))
    }

    fn ask(&mut self, shell: &mut Shell) {
        let needle = self.input.value().trim().to_owned();
        if self.chosen.is_none() && self.asked.as_ref() != Some(&needle) {
            let rows = Rows { search: needle.clone(), after: 0, most: OFFERED_MAX };
            self.waiting = shell.ask_for_dialog(self.of.request(rows));
            self.asked = self.waiting.map(|_| needle);
            self.told &= self.asked.is_some();
        }
    }

    fn answered(&mut self, answer: &Result<Answer, Failure>) {
        self.waiting = None;
        self.at = 0;
        self.told = answer.is_ok();
        let offered = answer.as_ref().map(|answer| self.of.offers(answer, self.input.value()));
        self.offered = offered.unwrap_or_default();
        if self.of == Pickable::Properties {
            // All of them are told, whatever is looked for.
            let needle = fold(self.input.value());
            self.offered.retain(|offer| fold(&offer.name).contains(&needle));
        }
    }

    /// Enter: says whether it has to wait. Somebody whom nobody offered is asked for by their whole email, and only here:
    /// what is refused stands in the audit trail, and each letter would be an attempt.
    fn enter(&mut self, shell: &mut Shell) -> bool {
        let needle = self.input.value().trim().to_owned();
        let unseen = self.of == Pickable::People && self.chosen.is_none() && self.offered.is_empty();
        match self.waiting {
            Some(_) => self.first_is_meant = true,
            None if unseen && needle.contains('@') => {
                self.waiting = shell.ask_for_dialog(Request::FindPerson(needle));
            }
            None => {}
        }
        self.waiting.is_some()
    }

    fn choose(&mut self) {
        if self.chosen.is_none() {
            self.chosen = self.offered.get(self.at).cloned();
        }
    }

    fn key(&mut self, key: KeyEvent) -> bool {
        match key.code {
            KeyCode::Up if self.chosen.is_none() && self.at > 0 => self.at -= 1,
            KeyCode::Down if self.chosen.is_none() && self.at + 1 < self.offered.len() => self.at += 1,
            KeyCode::Up | KeyCode::Down => return false,
            _ => {
                self.first_is_meant = false;
                let begun_anew = self.chosen.take().is_some();
                if begun_anew {
                    self.input.reset();
                }
                if !begun_anew || matches!(key.code, KeyCode::Char(_)) {
                    typed(&mut self.input, key);
                }
            }
        }
        true
    }
}

impl Form {
    /// An empty form.
    pub fn new(owner: ScreenId, act: Act, title: impl Into<String>, fields: Vec<Field>) -> Form {
        let title = title.into();
        Form { owner, act, title, subject: Vec::new(), fields, button: "Continue", problem: None, read: None, at: 0 }
    }

    /// What it is about.
    #[must_use]
    pub fn about(mut self, id: u32, name: &str) -> Form {
        self.subject.push((id, name.to_owned()));
        self
    }

    /// What is edited, as it was read.
    #[must_use]
    pub fn since(mut self, read: Command) -> Form {
        self.read = Some(read);
        self
    }

    /// With the focus on the first thing that is still to be picked, or on the button where none is.
    #[must_use]
    pub fn at_first_unpicked(mut self) -> Form {
        let unpicked = |field: &Field| matches!(&field.entry, Entry::Pick(pick) if pick.chosen().is_none());
        self.at = self.fields.iter().position(unpicked).unwrap_or(self.fields.len());
        self
    }

    /// Which field has the focus; as many as there are fields: the button.
    pub fn focus(&self) -> usize {
        self.at
    }

    /// Whether the field in focus is one for many.
    pub fn is_of_many(&self) -> bool {
        matches!(self.fields.get(self.at).map(|field| &field.entry), Some(Entry::Many(_)))
    }

    /// Whether more of what was asked for is to be put in: less than that is not meant.
    fn collects(&self) -> bool {
        self.fields.iter().any(|field| matches!(&field.entry, Entry::Many(many) if many.collects()))
    }

    /// What was picked in a field.
    pub fn picked(&self, field: usize) -> Option<&Offer> {
        match &self.fields.get(field)?.entry {
            Entry::Pick(pick) => pick.chosen(),
            _ => None,
        }
    }

    /// What was picked in a field for many.
    pub fn picked_many(&self, field: usize) -> Vec<Offer> {
        match self.fields.get(field).map(|field| &field.entry) {
            Some(Entry::Many(many)) => many.chosen().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Which word was chosen in a field.
    pub fn choice(&self, field: usize) -> usize {
        match self.fields.get(field).map(|field| &field.entry) {
            Some(Entry::Choice(_, at)) => *at,
            _ => 0,
        }
    }

    /// What was typed into a field.
    pub fn text(&self, field: usize) -> &str {
        match self.fields.get(field).map(|field| &field.entry) {
            Some(Entry::Line(input, _)) => input.value().trim(),
            _ => "",
        }
    }

    /// The moment that was typed into a field, if any: RFC 3339, or a date and time of the property's.
    ///
    /// # Errors
    ///
    /// It can't be read, or the property's clocks skip or repeat that minute.
    pub fn moment(&self, field: usize, zone: &TimeZone) -> Result<Option<Moment>, String> {
        match self.text(field) {
            "" => Ok(None),
            text => moment(text, zone).map(Some),
        }
    }

    /// Asks what the picker in focus offers.
    pub fn ask(&mut self, shell: &mut Shell) {
        match self.fields.get_mut(self.at).map(|field| &mut field.entry) {
            Some(Entry::Pick(pick)) => pick.ask(shell),
            Some(Entry::Many(many)) => many.ask(shell),
            _ => {}
        }
    }

    /// Takes an answer.
    pub fn answered(&mut self, ticket: Ticket, answer: &Result<Answer, Failure>, shell: &mut Shell) {
        for (place, field) in self.fields.iter_mut().enumerate() {
            if let Entry::Many(many) = &mut field.entry
                && many.expects(ticket)
            {
                if let Err(failure) = answer {
                    self.problem = Some(failure.to_string());
                }
                many.answered(answer, shell);
            }
            if let Entry::Pick(pick) = &mut field.entry
                && pick.waiting == Some(ticket)
            {
                if let Err(failure) = answer {
                    self.problem = Some(failure.to_string());
                }
                pick.answered(answer);
                if std::mem::take(&mut pick.first_is_meant) && place == self.at && !pick.offered.is_empty() {
                    pick.choose();
                    self.at += 1;
                }
            }
        }
    }

    /// Takes a key of the keyboard.
    pub fn key(&mut self, key: KeyEvent, shell: &mut Shell) -> DialogDone {
        self.problem = None;
        let back = key.code == KeyCode::BackTab || (key.code == KeyCode::Tab && key.modifiers == KeyModifiers::SHIFT);
        let leaves = back || matches!(key.code, KeyCode::Esc | KeyCode::Enter | KeyCode::Tab);
        let taken = match self.fields.get_mut(self.at).map(|field| &mut field.entry) {
            Some(Entry::Pick(pick)) if !leaves => pick.key(key),
            Some(Entry::Pick(pick)) if key.code == KeyCode::Enter => pick.enter(shell),
            Some(Entry::Many(many)) if !leaves => many.key(key, shell),
            Some(Entry::Many(many)) if key.code == KeyCode::Enter => many.enter(),
            _ => false,
        };
        let collects = self.collects();
        match (key.code, self.fields.get_mut(self.at).map(|field| &mut field.entry)) {
            _ if taken => {}
            (KeyCode::Esc, _) => return DialogDone::Closed,
            (KeyCode::Enter, None) if collects => {
                self.problem = Some("all that match are still on their way".to_owned());
            }
            (KeyCode::Enter, None) => return DialogDone::Submitted,
            _ if back => self.at = self.at.saturating_sub(1),
            (KeyCode::Enter | KeyCode::Tab, Some(Entry::Pick(pick))) => {
                pick.choose();
                self.at += 1;
            }
            (KeyCode::Enter | KeyCode::Tab, Some(_)) => self.at += 1,
            (KeyCode::Up, None) => self.at = self.at.saturating_sub(1),
            (_, None) => {}
            (KeyCode::Left, Some(Entry::Choice(words, at))) => *at = (*at + words.len() - 1) % words.len().max(1),
            (KeyCode::Right | KeyCode::Char(' '), Some(Entry::Choice(words, at))) => {
                *at = (*at + 1) % words.len().max(1);
            }
            (KeyCode::Up, Some(_)) => self.at = self.at.saturating_sub(1),
            (KeyCode::Down, Some(_)) => self.at += 1,
            (_, Some(Entry::Line(input, _))) => typed(input, key),
            (_, Some(_)) => {}
        }
        self.ask(shell);
        DialogDone::Stays
    }
}

/// Gives a key of the keyboard to a line of input.
pub fn typed(input: &mut Input, key: KeyEvent) {
    let grows = matches!(key.code, KeyCode::Char(_)) && !key.modifiers.contains(KeyModifiers::CONTROL);
    if !grows || input.value().chars().count() < INPUT_CHARS_MAX {
        input.handle_event(&TerminalEvent::Key(key));
    }
}

/// A moment as people type it: RFC 3339, or a date with or without a time of day in `zone`.
///
/// # Errors
///
/// It can't be read, or the zone's clocks skip or repeat that minute.
pub fn moment(text: &str, zone: &TimeZone) -> Result<Moment, String> {
    let no_offset = !text.ends_with(['Z', 'z']) && !text.get(11..).is_some_and(|rest| rest.contains(['+', '-']));
    if !no_offset {
        return Moment::parse_exact(text).map_err(|error| error.to_string());
    }
    let wrong = || format!("`{text}` is no moment: write it like `2026-12-01 08:00`, or with an offset");
    let civil = match text.parse::<civil::DateTime>() {
        Ok(civil) => civil,
        Err(_) => text.parse::<civil::Date>().map_err(|_| wrong())?.to_datetime(civil::Time::midnight()),
    };
    let found = zone.to_ambiguous_timestamp(civil).unambiguous();
    let found = found.map_err(|_| format!("the clocks skip or repeat `{text}` there: write it with its offset"))?;
    Moment::parse_exact(&found.to_string()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    // S5
    #[test]
    fn moments_are_of_the_propertys_zone_and_never_guessed() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let told = |text: &str| moment(text, &zone).map(|moment| moment.rfc3339(&zone));
        assert_eq!(told("2026-12-01 08:00").as_deref(), Ok("2026-12-01T08:00:00-05:00"));
        assert_eq!(told("2026-07-01").as_deref(), Ok("2026-07-01T00:00:00-04:00"));
        assert_eq!(told("2026-07-01T08:00:00Z").as_deref(), Ok("2026-07-01T04:00:00-04:00"));
        // Twice, and never.
        assert!(told("2026-11-01 01:30").unwrap_err().contains("skip or repeat"));
        assert!(told("2026-03-08 02:30").unwrap_err().contains("skip or repeat"));
        assert!(told("2026-11-01T01:30:00-05:00").is_ok());
        for bad in ["soon", "2026-13-01", "08:00", "2026-12-01 08:00 tomorrow"] {
            assert!(told(bad).unwrap_err().contains("is no moment"), "{bad}");
        }
    }
}
