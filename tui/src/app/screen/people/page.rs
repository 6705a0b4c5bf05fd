//! One person: the Keys they hold, the Keys they are a guest of, their guests and their door codes.

use keyward_protocol::{
    id::KeyId,
    message::manage::{CodeRow, GuestRow, HeldRow, PersonDetail, PersonRow},
};

use super::paged;
use crate::app::{
    Step,
    list::{Counts, List, Row, SortKey},
};

/// Which part of a person's page has the cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The Keys they hold.
    Keys,
    /// The Keys they are a guest of.
    GuestOf,
    /// Who is a guest of theirs.
    Guests,
    /// Their door codes.
    Codes,
    /// What is known of them: where there is no room for it beside a list.
    Contact,
}

impl Part {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Part::Keys => "Keys",
            Part::GuestOf => "guest of",
            Part::Guests => "guests",
            Part::Codes => "codes",
            Part::Contact => "contact",
        }
    }

    /// The part after it; after the last the first.
    pub fn next(self) -> Part {
        match self {
            Part::Keys => Part::GuestOf,
            Part::GuestOf => Part::Guests,
            Part::Guests => Part::Codes,
            Part::Codes => Part::Contact,
            Part::Contact => Part::Keys,
        }
    }
}

/// A share with the name of its Key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shared {
    /// The share.
    pub row: GuestRow,
    /// The Key's name.
    pub key: String,
}

impl Row for Shared {
    fn id(&self) -> u32 {
        self.row.share.0
    }

    fn texts(&self) -> Vec<&str> {
        vec![&self.row.guest_name, &self.row.host_name, &self.key]
    }

    fn sort_key(&self, _: usize) -> SortKey {
        SortKey::Text
    }
}

/// A person that is open.
#[derive(Clone, Debug)]
pub struct Page {
    /// Who.
    pub person: PersonRow,
    /// Which part has the cursor.
    pub part: Part,
    /// The Keys they hold.
    pub holds: List<HeldRow>,
    /// The Keys they are a guest of.
    pub guest_of: List<Shared>,
    /// Who is a guest of theirs.
    pub guests: List<Shared>,
    /// Their door codes: that they are, not what they are.
    pub codes: List<CodeRow>,
    /// What it is filtered by.
    pub needle: String,
}

/// Does the same with the list of the part that has the cursor.
macro_rules! with_part {
    ($page:expr, $list:ident => $what:expr) => {
        match $page.part {
            Part::Keys => {
                let $list = &mut $page.holds;
                $what
            }
            Part::GuestOf => {
                let $list = &mut $page.guest_of;
                $what
            }
            Part::Guests => {
                let $list = &mut $page.guests;
                $what
            }
            Part::Codes => {
                let $list = &mut $page.codes;
                $what
            }
            Part::Contact => Default::default(),
        }
    };
}

impl Page {
    /// A person of whom no more is known.
    pub fn of(person: PersonRow) -> Page {
        Page {
            person,
            part: Part::Keys,
            holds: List::default(),
            guest_of: List::default(),
            guests: List::default(),
            codes: List::default(),
            needle: String::new(),
        }
    }

    /// Takes what was told of the person; Keys that they are a guest of are named by `keys`.
    pub fn take(&mut self, facts: &PersonDetail, keys: &[(KeyId, String)], height: usize) {
        let named = |row: &GuestRow| {
            let known = keys.iter().find(|(key, _)| *key == row.key);
            let key = known.map_or_else(|| row.key.to_string(), |(_, name)| name.clone());
            Shared { row: row.clone(), key }
        };
        let guests = |held: &HeldRow| -> Vec<Shared> {
            held.guests.iter().map(|row| Shared { row: row.clone(), key: held.name.clone() }).collect()
        };
        self.person = facts.row.clone();
        self.holds.replace(facts.holds.clone(), height);
        self.guest_of.replace(facts.guest_of.iter().map(named).collect(), height);
        self.guests.replace(facts.holds.iter().flat_map(guests).collect(), height);
        self.codes.replace(facts.codes.clone(), height);
    }

    /// How much there is of each part.
    pub fn summary(&self) -> Vec<String> {
        let shown = |counts: Counts| if self.needle.is_empty() { counts.total } else { counts.shown };
        let count = |counts: Counts, one: &str, more: &str| match shown(counts) {
            1 => format!("1 {one}"),
            some => format!("{some} {more}"),
        };
        let keys = count(self.holds.counts(), "Key", "Keys");
        let guests = count(self.guests.counts(), "guest", "guests");
        let codes = count(self.codes.counts(), "code", "codes");
        let guest_of = shown(self.guest_of.counts());
        vec![format!("{keys}  guest of {guest_of}  {guests}  {codes}"), format!("{keys}  {codes}"), keys]
    }

    /// Marks the row under the cursor.
    pub fn mark(&mut self, height: usize) {
        with_part!(self, list => list.mark(height));
    }

    /// Begins or ends a range of marks.
    pub fn range(&mut self) {
        with_part!(self, list => list.range());
    }

    /// Takes all marks away; says whether there were any.
    pub fn unmark(&mut self) -> bool {
        with_part!(self, list => list.unmark())
    }

    /// How many rows are marked.
    pub fn marked(&self) -> usize {
        match self.part {
            Part::Keys => self.holds.marked(),
            Part::GuestOf => self.guest_of.marked(),
            Part::Guests => self.guests.marked(),
            Part::Codes => self.codes.marked(),
            Part::Contact => 0,
        }
    }

    /// The other sort.
    pub fn sort(&mut self, height: usize) {
        with_part!(self, list => list.sort_next(1, height));
    }

    /// Filters every part. What is hidden isn't searched: a filter that finds people would name them.
    pub fn filter(&mut self, needle: &str, hidden: bool, height: usize) {
        needle.clone_into(&mut self.needle);
        self.holds.filter(needle, height);
        self.codes.filter(needle, height);
        let people = if hidden { "" } else { needle };
        self.guest_of.filter(people, height);
        self.guests.filter(people, height);
    }

    /// The name under the cursor.
    pub fn copied(&self) -> Option<String> {
        match self.part {
            Part::Keys => self.holds.selected().map(|row| row.name.clone()),
            Part::GuestOf => self.guest_of.selected().map(|shared| shared.row.host_name.clone()),
            Part::Guests => self.guests.selected().map(|shared| shared.row.guest_name.clone()),
            Part::Codes => self.codes.selected().map(|row| row.name.clone()),
            Part::Contact => Some(format!("{} <{}>", self.person.name, self.person.email)),
        }
    }
}

impl paged::Page for Page {
    fn step(&mut self, step: Step, height: usize) {
        with_part!(self, list => list.step(step, height));
    }

    fn settle(&mut self, height: usize) {
        self.holds.settle(height);
        self.guest_of.settle(height);
        self.guests.settle(height);
        self.codes.settle(height);
    }

    fn needle(&self) -> &str {
        &self.needle
    }
}
