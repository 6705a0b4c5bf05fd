//! One door: the Keys with it, and who can open it.

use keyward_protocol::{
    message::manage::{DoorDetail, DoorKeyRow, DoorRow, WhoRow},
    time::Moment,
};

use super::{UNTOLD, paged};
use crate::{
    app::{Step, list::List},
    view::text::grouped,
};

/// Which part of a door's page has the cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The Keys with it.
    Keys,
    /// Who can open it.
    People,
    /// What is known of it: where there is no room for it beside a list.
    Facts,
}

impl Part {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Part::Keys => "Keys",
            Part::People => "who can open it",
            Part::Facts => "facts",
        }
    }

    /// The part after it; after the last the first.
    pub fn next(self) -> Part {
        match self {
            Part::Keys => Part::People,
            Part::People => Part::Facts,
            Part::Facts => Part::Keys,
        }
    }
}

/// A door that is open.
#[derive(Clone, Debug)]
pub struct Page {
    /// Which.
    pub door: DoorRow,
    /// Which part has the cursor.
    pub part: Part,
    /// The Keys with it.
    pub keys: List<DoorKeyRow>,
    /// Who can open it.
    pub people: List<WhoRow>,
    /// For which moment that is asked; `None` for now.
    pub at: Option<Moment>,
    /// For which moment it was told.
    pub told_at: Option<Moment>,
    /// Carriers can open it, too (V3).
    pub carriers: bool,
    /// Why it is not told who can open it.
    pub problem: Option<String>,
    /// What it is filtered by.
    pub needle: String,
}

impl Page {
    /// A door of which no more is known.
    pub fn of(door: DoorRow) -> Page {
        Page {
            door,
            part: Part::Keys,
            keys: List::default(),
            people: List::default(),
            at: None,
            told_at: None,
            carriers: false,
            problem: None,
            needle: String::new(),
        }
    }

    /// Takes what was told of the door.
    pub fn take(&mut self, facts: &DoorDetail, height: usize) {
        self.door = facts.row.clone();
        self.keys.replace(facts.keys.clone(), height);
    }

    /// Asks for another moment from now on.
    pub fn ask_for(&mut self, at: Option<Moment>) {
        (self.at, self.told_at, self.problem) = (at, None, None);
        self.people.restart();
    }

    /// How much there is of the part.
    pub fn summary(&self) -> String {
        let counts = match self.part {
            Part::Keys if self.keys.is_unknown() => return UNTOLD.to_owned(),
            Part::People if self.people.is_unknown() && self.problem.is_none() => return UNTOLD.to_owned(),
            Part::Keys => self.keys.counts(),
            Part::People if self.problem.is_some() => return "not told".to_owned(),
            Part::People => self.people.counts(),
            Part::Facts => return String::new(),
        };
        let what = match (self.part, counts.total) {
            (Part::Keys, 1) => "1 Key".to_owned(),
            (Part::Keys, some) => format!("{} Keys", grouped(some)),
            (_, 1) => "1 person".to_owned(),
            (_, some) => format!("{} people", grouped(some)),
        };
        let carriers = if self.part == Part::People && self.carriers { " and carriers" } else { "" };
        if self.needle.is_empty() {
            format!("{what}{carriers}")
        } else {
            format!("{} shown of {what}{carriers}", grouped(counts.shown))
        }
    }

    /// The other sort.
    pub fn sort(&mut self, height: usize) {
        match self.part {
            Part::Keys => self.keys.sort_next(1, height),
            Part::People => self.people.sort_next(1, height),
            Part::Facts => {}
        }
    }

    /// Filters every part. What is hidden isn't searched: a filter that finds people would name them.
    pub fn filter(&mut self, needle: &str, hidden: bool, height: usize) {
        needle.clone_into(&mut self.needle);
        self.keys.filter(needle, height);
        self.people.filter(if hidden { "" } else { needle }, height);
    }
}

impl paged::Page for Page {
    fn step(&mut self, step: Step, height: usize) {
        match self.part {
            Part::Keys => self.keys.step(step, height),
            Part::People => self.people.step(step, height),
            Part::Facts => {}
        }
    }

    fn settle(&mut self, height: usize) {
        self.keys.settle(height);
        self.people.settle(height);
    }

    fn needle(&self) -> &str {
        &self.needle
    }
}
