//! People and doors against each other: who has which door by how many Keys. Only what is seen is asked for.

use std::collections::{BTreeMap, BTreeSet};

use crossterm::event::KeyCode;
use keyward_protocol::{
    id::{DoorId, KeyId, PersonId, PropertyId},
    message::manage::{Answer, DoorRow, PersonDetail, PersonRow, Request},
};

use super::super::{Screen, ScreenId, Shell, Step, UNTOLD};
use crate::{
    app::list::List,
    keymap::{Act, Action, Binding, act, letter, plain},
    remote::{Failure, Ticket},
    view::{
        self,
        layout::{Layout, Wants},
        painter::Painter,
        text::grouped,
    },
};

const LEFT: Act = Act("door to the left");
const RIGHT: Act = Act("door to the right");
const PAGE_LEFT: Act = Act("doors to the left");
const PAGE_RIGHT: Act = Act("doors to the right");

/// Its own chords.
pub const BINDINGS: &[Binding] = &[
    act(&[plain(KeyCode::Left), letter('h')], "Left h", LEFT, None, "one door to the left"),
    act(&[plain(KeyCode::Right), letter('l')], "Right l", RIGHT, None, "one door to the right"),
    act(&[letter('H')], "H", PAGE_LEFT, None, "a page of doors to the left"),
    act(&[letter('L')], "L", PAGE_RIGHT, None, "a page of doors to the right"),
];

/// So many people and Keys are asked for at a time.
const AT_A_TIME: usize = 8;
const WANTS: Wants = Wants::PAGE;

/// What a request was about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum About {
    Person(PersonId),
    Key(KeyId),
}

/// Something that was told, and in which round of asking: after a refresh it stays until it is told again.
#[derive(Clone, Debug)]
struct Told<T> {
    round: u64,
    /// `None`: it is not told to us.
    what: Option<T>,
}

/// What somebody has to do with a door.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cell {
    /// Keys of their own with the door.
    pub own: Vec<String>,
    /// Hosts whose shares have it.
    pub hosts: Vec<String>,
}

/// The matrix.
#[derive(Clone, Debug)]
pub struct Matrix {
    property: PropertyId,
    /// The rows.
    pub people: List<PersonRow>,
    /// The columns.
    pub doors: List<DoorRow>,
    persons: BTreeMap<PersonId, Told<PersonDetail>>,
    keys: BTreeMap<KeyId, Told<BTreeSet<DoorId>>>,
    asked: BTreeMap<Ticket, About>,
    round: u64,
    /// Whether the filter is of the doors.
    of_doors: bool,
    needles: [String; 2],
}

impl Matrix {
    /// That of this property.
    pub fn of(property: PropertyId) -> Matrix {
        Matrix {
            property,
            people: List::default(),
            doors: List::default(),
            persons: BTreeMap::new(),
            keys: BTreeMap::new(),
            asked: BTreeMap::new(),
            round: 0,
            of_doors: false,
            needles: [String::new(), String::new()],
        }
    }

    /// What the person has to do with the door; `None` while that is not known.
    pub fn cell(&self, person: PersonId, door: DoorId) -> Option<Cell> {
        let told = self.persons.get(&person)?.what.as_ref()?;
        let mut cell = Cell::default();
        for held in told.holds.iter().filter(|held| held.property == self.property && !held.terms.ended) {
            if self.keys.get(&held.key)?.what.as_ref()?.contains(&door) {
                cell.own.push(held.name.clone());
            }
        }
        let shares = told.guest_of.iter().filter(|share| !share.ended);
        for share in shares.filter(|share| share.doors.as_ref().is_none_or(|doors| doors.contains(&door))) {
            // A share of another property's Key has none of these doors.
            if self.keys.get(&share.key)?.what.as_ref().is_some_and(|doors| doors.contains(&door)) {
                cell.hosts.push(share.host_name.clone());
            }
        }
        Some(cell)
    }

    /// Everything that is seen and not known yet, as far as it is not under way.
    fn missing(&self, height: usize) -> Vec<About> {
        let rows = self.people.shown_from(self.people.cursor().top()).take(height.max(1));
        let mut missing = Vec::new();
        for person in rows.map(|(row, _)| row.id) {
            let told = self.persons.get(&person);
            if told.is_none_or(|told| told.round < self.round) {
                missing.push(About::Person(person));
            }
            let Some(told) = told.and_then(|told| told.what.as_ref()) else { continue };
            let held = told.holds.iter().filter(|held| held.property == self.property).map(|held| held.key);
            for key in held.chain(told.guest_of.iter().map(|share| share.key)) {
                let fresh = self.keys.get(&key).is_some_and(|told| told.round == self.round);
                if !fresh && !missing.contains(&About::Key(key)) {
                    missing.push(About::Key(key));
                }
            }
        }
        missing.retain(|about| !self.asked.values().any(|asked| asked == about));
        missing
    }

    fn ask_missing(&mut self, shell: &mut Shell) {
        let room = AT_A_TIME.saturating_sub(self.asked.len());
        for about in self.missing(height(shell)).into_iter().take(room) {
            let request = match about {
                About::Person(person) => Request::Person(person),
                About::Key(key) => Request::Key(key),
            };
            if let Some(ticket) = shell.ask(ScreenId::Keys, request) {
                self.asked.insert(ticket, about);
            }
        }
    }

    fn took(&mut self, about: About, answer: Result<Answer, Failure>) {
        let round = self.round;
        match (about, answer) {
            (About::Person(id), answer) => {
                let what = match answer {
                    Ok(Answer::Person(person)) => Some(person),
                    _ => None,
                };
                self.persons.insert(id, Told { round, what });
            }
            (About::Key(id), answer) => {
                let what = match answer {
                    Ok(Answer::Key(key)) => Some(key.opens.iter().map(|open| open.door).collect()),
                    _ => None,
                };
                self.keys.insert(id, Told { round, what });
            }
        }
    }
}

/// How many people are seen under the names of the doors.
fn height(shell: &Shell) -> usize {
    view::rows_of(shell, WANTS).saturating_sub(usize::from(view::screen::matrix::head_rows(shell.height)))
}

/// How many doors are seen side by side.
fn width(shell: &Shell) -> usize {
    usize::from(view::screen::matrix::columns(shell.width))
}

impl Screen for Matrix {
    fn bindings(&self) -> &'static [Binding] {
        BINDINGS
    }

    fn crumbs(&self) -> Vec<String> {
        let filter = if self.of_doors { "filter: doors" } else { "filter: people" };
        vec!["Keys".to_owned(), "people x doors".to_owned(), filter.to_owned()]
    }

    fn summary(&self, _: &Shell) -> Vec<String> {
        if self.people.is_unknown() || self.doors.is_unknown() {
            return vec![UNTOLD.to_owned()];
        }
        let (people, doors) = (self.people.counts().total, self.doors.counts().total);
        vec![format!("{} people  {} doors", grouped(people), grouped(doors))]
    }

    fn wants(&self) -> Wants {
        WANTS
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        view::screen::matrix::render(self, shell, layout, painter);
    }

    fn ask(&mut self, shell: &mut Shell) {
        if let Some(rows) = self.people.wanted(height(shell))
            && let Some(ticket) = shell.ask(ScreenId::Keys, Request::People(Some(self.property), rows))
        {
            self.people.asked(ticket);
        }
        if let Some(rows) = self.doors.wanted(width(shell))
            && let Some(ticket) = shell.ask(ScreenId::Keys, Request::Doors(self.property, rows))
        {
            self.doors.asked(ticket);
        }
        self.ask_missing(shell);
    }

    fn refresh(&mut self, _: &mut Shell) {
        self.people.refresh();
        self.doors.refresh();
        self.round += 1;
        self.asked.clear();
    }

    fn forget(&mut self, _: &mut Shell) {}

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, Failure>, shell: &mut Shell) {
        if let Some(about) = self.asked.remove(&ticket) {
            return self.took(about, answer);
        }
        match answer {
            Ok(Answer::People(list)) if self.people.expects(ticket) => self.people.receive(list, height(shell)),
            Ok(Answer::Doors(list)) if self.doors.expects(ticket) => self.doors.receive(list, width(shell)),
            Err(_) if self.people.expects(ticket) => self.people.failed(),
            Err(_) if self.doors.expects(ticket) => self.doors.failed(),
            _ => {}
        }
    }

    fn act(&mut self, action: Action, shell: &mut Shell) {
        let width = width(shell);
        match action {
            Action::Act(LEFT) => self.doors.step(Step::Up, width),
            Action::Act(RIGHT) => self.doors.step(Step::Down, width),
            Action::Act(PAGE_LEFT) => self.doors.step(Step::PageUp, width),
            Action::Act(PAGE_RIGHT) => self.doors.step(Step::PageDown, width),
            Action::NextPart => self.of_doors = !self.of_doors,
            Action::Sort => self.people.sort_next(2, height(shell)),
            _ => {}
        }
    }

    fn step(&mut self, step: Step, shell: &mut Shell) {
        self.people.step(step, height(shell));
    }

    fn settle(&mut self, shell: &mut Shell) {
        self.people.settle(height(shell));
        self.doors.settle(width(shell));
    }

    fn filtered(&self) -> &str {
        let [people, doors] = &self.needles;
        if self.of_doors { doors } else { people }
    }

    fn filter(&mut self, needle: &str, shell: &mut Shell) {
        let [people, doors] = &mut self.needles;
        if self.of_doors {
            needle.clone_into(doors);
            self.doors.filter(needle, width(shell));
        } else {
            needle.clone_into(people);
        }
        // What is hidden isn't searched: a filter that finds people would name them.
        let needle = if shell.people_hidden { "" } else { people.as_str() };
        self.people.filter(needle, height(shell));
    }

    fn has_parts(&self) -> bool {
        true
    }
}
