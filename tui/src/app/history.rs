//! The access log as it was recorded: fetched around a moment, back and forth, as it is scrolled.

use std::collections::{BTreeSet, VecDeque};

use keyward_protocol::{
    id::{DoorId, KeyId, PersonId, PropertyId},
    message::{
        manage::{Answer, Request, Rows},
        watch::{History, Search},
    },
    time::Moment,
};

use super::{
    LogRow, Named,
    cursor::{Cursor, Step},
    log_filter::{LogFilter, Wanted},
};
use crate::remote::Ticket;

/// Rows of one page.
const PAGE: u32 = 500;
/// So many rows are kept; then a narrower filter or another moment is asked for.
pub const KEPT_MAX: usize = 20_000;
/// So many pages in which nothing is wanted are gone through before somebody has to go on.
const EMPTY_PAGES_MAX: u32 = 40;
/// So many doors are asked for by their ids; more are found row by row.
const DOORS_MAX: usize = 1_000;

/// One end of what is here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// There may be more, from here on.
    Open(Option<Vec<u8>>),
    /// It is asked for.
    Asked(Ticket, Option<Vec<u8>>),
    /// There is no more.
    Over,
    /// Nothing came, and why: the cursor's next step asks again.
    Stalled(Option<Vec<u8>>, String),
}

/// What the server is asked first, to know which ids are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Meant {
    waiting: Vec<(Ticket, About)>,
    doors: Vec<DoorId>,
    keys: Vec<KeyId>,
    asked: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum About {
    Door(Wanted),
    Key(Wanted),
}

/// The log around a moment.
#[derive(Clone, Debug)]
pub struct Past {
    property: Option<PropertyId>,
    /// The moment that was jumped to: the rows before it are above, the others below.
    pub anchor: Moment,
    filter: LogFilter,
    people_hidden: bool,
    named: Meant,
    rows: VecDeque<LogRow>,
    /// The number of the first row: rows keep theirs when older ones come before them.
    first: i64,
    older: End,
    newer: End,
    empty: u32,
    searched_to: Option<Moment>,
    /// How many rows came, wanted or not.
    read: u64,
    damaged: u64,
    cursor: Cursor,
    marks: BTreeSet<i64>,
}

impl Past {
    /// The log around `anchor`, of which nothing is here yet.
    pub fn new(property: Option<PropertyId>, anchor: Moment, filter: LogFilter, people_hidden: bool) -> Past {
        Past {
            property,
            anchor,
            filter,
            people_hidden,
            named: Meant::default(),
            rows: VecDeque::new(),
            first: 0,
            older: End::Open(None),
            newer: End::Open(None),
            empty: 0,
            searched_to: None,
            read: 0,
            damaged: 0,
            cursor: Cursor::default(),
            marks: BTreeSet::new(),
        }
    }

    /// Asks for what is missing: `ask` sends a request where that can be done.
    pub fn ask(&mut self, height: usize, mut ask: impl FnMut(Request) -> Option<Ticket>) {
        if !self.named.asked {
            self.named.waiting.clear();
            for (about, request) in self.questions() {
                let Some(ticket) = ask(request) else { return };
                self.named.waiting.push((ticket, about));
            }
            self.named.asked = true;
        }
        if !self.named.waiting.is_empty() || self.rows.len() >= KEPT_MAX || self.empty > EMPTY_PAGES_MAX {
            return;
        }
        let ahead = 2 * height.max(1);
        let open = |end: &End, near: bool| match end {
            End::Open(after) if near => Some(after.clone()),
            _ => None,
        };
        if let Some(after) = open(&self.older, self.cursor.at() < ahead)
            && let Some(ticket) = ask(Request::Search(self.search(false, after.clone())))
        {
            self.older = End::Asked(ticket, after);
        }
        if let Some(after) = open(&self.newer, self.cursor.at() + ahead >= self.rows.len())
            && let Some(ticket) = ask(Request::Search(self.search(true, after.clone())))
        {
            self.newer = End::Asked(ticket, after);
        }
    }

    /// What the server is asked to know which doors and Keys are meant by their names.
    fn questions(&self) -> Vec<(About, Request)> {
        let Some(property) = self.property else { return Vec::new() };
        let rows = |wanted: &Wanted| Rows { search: wanted.searched().to_owned(), ..Rows::all() };
        let named = |wanted: &&Wanted| !matches!(wanted, Wanted::Id(_));
        let doors = self.filter.doors.iter().filter(named);
        let doors = doors.map(|door| (About::Door(door.clone()), Request::Doors(property, rows(door))));
        let keys = self.filter.keys.iter().filter(named);
        let keys = keys.map(|key| (About::Key(key.clone()), Request::Keys(property, rows(key))));
        doors.chain(keys).collect()
    }

    /// The search as far as the server can do it; the rest is seen to row by row.
    pub fn search(&self, forwards: bool, after: Option<Vec<u8>>) -> Search {
        let filter = &self.filter;
        let (from, until) = (filter.from.unwrap_or(Moment::MIN), filter.until.unwrap_or(Moment::MAX));
        let ids = |wanted: &[Wanted]| -> Vec<u32> {
            let id = |wanted: &Wanted| if let Wanted::Id(id) = wanted { Some(*id) } else { None };
            wanted.iter().filter_map(id).collect()
        };
        let doors: BTreeSet<DoorId> =
            ids(&filter.doors).into_iter().map(DoorId).chain(self.named.doors.iter().copied()).collect();
        let keys: BTreeSet<KeyId> =
            ids(&filter.keys).into_iter().map(KeyId).chain(self.named.keys.iter().copied()).collect();
        // Names of people are looked for row by row: somebody may be in the log who is in no list that we see.
        let person = match filter.people.as_slice() {
            [Wanted::Id(id)] => Some(PersonId(*id)),
            _ => None,
        };
        let reason = match filter.reasons.as_slice() {
            [reason] => Some(*reason),
            _ => None,
        };
        let (from, until) = match forwards {
            true => (from.max(self.anchor), until),
            false => (from, until.min(self.anchor)),
        };
        Search {
            from,
            until,
            property: self.property,
            doors: (!filter.doors.is_empty() && doors.len() <= DOORS_MAX).then(|| doors.into_iter().collect()),
            person,
            key: if keys.len() == 1 { keys.first().copied() } else { None },
            granted: filter.granted,
            reason,
            newest_first: !forwards,
            most: PAGE,
            after,
        }
    }

    /// The same for an export: all of it, oldest first.
    pub fn export(&self) -> (Search, LogFilter) {
        let (from, until) = (self.filter.from.unwrap_or(Moment::MIN), self.filter.until.unwrap_or(Moment::MAX));
        (Search { from, until, ..self.search(true, None) }, self.filter.clone())
    }

    /// Takes an answer; says whether it was for this.
    pub fn answered(&mut self, ticket: Ticket, answer: &Answer, height: usize) -> bool {
        if let Some(at) = self.named.waiting.iter().position(|(waiting, _)| *waiting == ticket) {
            let (_, about) = self.named.waiting.remove(at);
            match (about, answer) {
                (About::Door(wanted), Answer::Doors(list)) => {
                    let found = list.rows.iter().filter(|row| wanted.is(Some(row.id.0), &row.name));
                    self.named.doors.extend(found.map(|row| row.id));
                }
                (About::Key(wanted), Answer::Keys(list)) => {
                    let found = list.rows.iter().filter(|row| wanted.is(Some(row.id.0), &row.name));
                    self.named.keys.extend(found.map(|row| row.id));
                }
                _ => {}
            }
            return true;
        }
        let Answer::History(history) = answer else { return false };
        let forwards = self.is_newer(ticket);
        if !forwards && !self.is_older(ticket) {
            return false;
        }
        self.take(forwards, history, height);
        true
    }

    fn is_newer(&self, ticket: Ticket) -> bool {
        matches!(&self.newer, End::Asked(asked, _) if *asked == ticket)
    }

    fn is_older(&self, ticket: Ticket) -> bool {
        matches!(&self.older, End::Asked(asked, _) if *asked == ticket)
    }

    fn take(&mut self, forwards: bool, history: &History, height: usize) {
        let named = Named::of(&history.names);
        let rows = history.rows.iter().map(|row| named.row(row));
        let rows: Vec<LogRow> = rows.filter(|row| self.filter.matches(row, self.people_hidden)).collect();
        let end = history.next.clone().map_or(End::Over, |next| End::Open(Some(next)));
        self.damaged += history.damaged;
        self.read += history.rows.len() as u64;
        self.empty = if rows.is_empty() { self.empty + 1 } else { 0 };
        let at = if self.rows.is_empty() && forwards { 0 } else { self.cursor.at() };
        if forwards {
            self.newer = end;
            self.rows.extend(rows);
            self.cursor.put(at, self.rows.len(), height);
        } else {
            self.searched_to = history.searched_to;
            self.older = end;
            // Nothing was above: the newest of them is where the eye is.
            let put = at + rows.len() - usize::from(at == 0 && !rows.is_empty() && self.rows.is_empty());
            self.first -= i64::try_from(rows.len()).unwrap_or(0);
            rows.into_iter().for_each(|row| self.rows.push_front(row));
            self.cursor.put(put, self.rows.len(), height);
        }
    }

    /// Nothing came.
    pub fn failed(&mut self, ticket: Ticket, why: &str) {
        if self.named.waiting.iter().any(|(waiting, _)| *waiting == ticket) {
            self.named = Meant::default();
        }
        for end in [&mut self.older, &mut self.newer] {
            if let End::Asked(asked, after) = end
                && *asked == ticket
            {
                *end = End::Stalled(after.take(), why.to_owned());
            }
        }
    }

    /// The connection stands again, or somebody goes on: what stalled is asked for again.
    pub fn go_on(&mut self) {
        self.empty = 0;
        for end in [&mut self.older, &mut self.newer] {
            if let End::Stalled(after, _) = end {
                *end = End::Open(after.take());
            }
        }
    }

    /// Moves the cursor.
    pub fn step(&mut self, step: Step, height: usize) {
        self.go_on();
        self.cursor.step(step, self.rows.len(), height);
    }

    /// Goes to the nearest row before or behind the cursor that `is` holds for; says whether there is one here.
    pub fn seek(&mut self, forwards: bool, is: impl Fn(&LogRow) -> bool, height: usize) -> bool {
        let holds = |place: &usize| self.rows.get(*place).is_some_and(&is);
        let found = match forwards {
            true => (self.cursor.at() + 1..self.rows.len()).find(holds),
            false => (0..self.cursor.at().min(self.rows.len())).rev().find(holds),
        };
        if let Some(place) = found {
            self.cursor.put(place, self.rows.len(), height);
        }
        found.is_some()
    }

    /// Fits what is seen to a window of another height.
    pub fn settle(&mut self, height: usize) {
        self.cursor.settle(self.rows.len(), height);
    }

    /// The cursor among the rows.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The row under the cursor.
    pub fn selected(&self) -> Option<&LogRow> {
        self.rows.get(self.cursor.at())
    }

    /// The rows from number `from` on, each with whether it is marked.
    pub fn shown_from(&self, from: usize) -> impl Iterator<Item = (&LogRow, bool)> {
        let numbers = self.first.saturating_add(i64::try_from(from).unwrap_or(i64::MAX))..;
        self.rows.iter().skip(from).zip(numbers).map(|(row, number)| (row, self.marks.contains(&number)))
    }

    /// Marks the row under the cursor, or takes its mark away.
    pub fn mark(&mut self) {
        let number = self.first + i64::try_from(self.cursor.at()).unwrap_or(0);
        if self.selected().is_some() && !self.marks.remove(&number) {
            self.marks.insert(number);
        }
    }

    /// Takes all marks away; says whether there were any.
    pub fn unmark(&mut self) -> bool {
        !std::mem::take(&mut self.marks).is_empty()
    }

    /// The marked rows, oldest first.
    pub fn marked(&self) -> impl Iterator<Item = &LogRow> {
        let place = |number: &i64| usize::try_from(number - self.first).ok();
        self.marks.iter().filter_map(move |number| self.rows.get(place(number)?))
    }

    /// How many rows are here.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows that are here, oldest first.
    pub fn rows(&self) -> impl Iterator<Item = &LogRow> {
        self.rows.iter()
    }

    /// How many rows were read to find them.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Whether all that is recorded was read.
    pub fn is_whole(&self) -> bool {
        self.damaged == 0 && [&self.older, &self.newer].into_iter().all(|end| matches!(end, End::Over))
    }

    /// What is said where there is no row.
    pub fn none(&self) -> &'static str {
        let over = |end: &End| matches!(end, End::Over);
        if over(&self.older) && over(&self.newer) { "Nothing recorded here." } else { "Nothing yet." }
    }

    /// How far it was looked, and what is in the way; whether that needs an eye.
    pub fn said(&self, when: impl Fn(Moment) -> String) -> (String, bool) {
        let asked = |end: &End| matches!(end, End::Asked(..));
        let stalled = [&self.older, &self.newer].into_iter().find_map(|end| match end {
            End::Stalled(_, why) => Some(why.clone()),
            _ => None,
        });
        if let Some(why) = stalled {
            return (format!("{why}: move on to ask again"), true);
        }
        if self.rows.len() >= KEPT_MAX {
            return ("no more rows are kept here: filter, or jump to another time".to_owned(), true);
        }
        if self.damaged > 0 {
            return (format!("{} places of the log can't be read: rows may be missing", self.damaged), true);
        }
        let to = self.searched_to.map_or_else(|| "...".to_owned(), when);
        if self.empty > EMPTY_PAGES_MAX {
            return (format!("nothing back to {to}: PgUp goes on"), true);
        }
        match (asked(&self.older) || asked(&self.newer) || !self.named.waiting.is_empty(), &self.older) {
            (true, _) => (format!("looking, back to {to}"), false),
            (false, End::Over) => ("from the beginning".to_owned(), false),
            (false, _) => (String::new(), false),
        }
    }
}
