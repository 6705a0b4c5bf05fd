//! The live log as the screen holds it: bounded, filtered, and standing still while paused.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keyward_protocol::{
    decision::Reason,
    id::{DoorId, PersonId},
    message::watch::{LiveRow, Who},
    time::Moment,
};

use super::{
    cursor::{Cursor, Step},
    log_filter::{self, LogFilter},
};

/// So many rows are kept; the oldest go first. As many wait behind a pause.
pub const ROWS_MAX: usize = 50_000;

/// One line of the access log, as far as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRow {
    /// The row as the server tells it, with its ids.
    pub of: LiveRow,
    /// When the check was decided.
    pub at: Moment,
    /// Whether the door opened.
    pub granted: bool,
    /// Why not, when it stayed shut.
    pub reason: Option<Reason>,
    /// The door's name.
    pub door: String,
    /// The person's name; empty when nobody was known by what was shown.
    pub person: String,
    /// The person who shared the Key, for a guest.
    pub host: Option<String>,
    /// The name of the Key that decided; empty when none did.
    pub key: String,
    /// What was shown at the door: `code`, `card`, `phone`.
    pub kind: &'static str,
}

impl LogRow {
    /// The ids of who came and, for a guest, of who shared the Key.
    pub fn people(&self) -> (Option<u32>, Option<u32>) {
        match self.of.who {
            Who::Nobody | Who::Carrier(_) => (None, None),
            Who::Person(person) => (Some(person.0), None),
            Who::Guest { person, host } => (Some(person.0), Some(host.0)),
        }
    }

    /// Whether `word`, folded, stands in the door, the person, the Key or the reason. Hidden people aren't searched: a
    /// filter that finds them would name them.
    pub fn holds(&self, word: &str, people_hidden: bool) -> bool {
        let holds = |text: &str| log_filter::holds(text, word);
        holds(&self.door)
            || holds(&self.key)
            || self.reason.is_some_and(|reason| reason.as_str().contains(word))
            || (!people_hidden && (holds(&self.person) || self.host.as_deref().is_some_and(holds)))
    }
}

/// Which rows are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Wanted {
    filter: LogFilter,
    people_hidden: bool,
}

/// The rows of the live log, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    rows: VecDeque<LogRow>,
    /// The number of the oldest row kept: rows are numbered from 0 in the order in which they came.
    first: u64,
    /// The numbers of the rows that are wanted, oldest first.
    matching: VecDeque<u64>,
    wanted: Wanted,
    /// What came since the pause.
    waiting: VecDeque<LogRow>,
    came_since_pause: u64,
    /// So many of them are wanted.
    wanted_since_pause: u64,
    paused: bool,
    cursor: Cursor,
    /// The numbers of the rows that are marked.
    marks: BTreeSet<u64>,
    /// The number of the newest row in which each Key, by its name, opened a door: lists of Keys ask for many.
    last_granted: BTreeMap<String, u64>,
    /// The same of each person, by id, who opened a door.
    last_opened: BTreeMap<u32, u64>,
    /// The number of the newest row about each door, by id.
    last_asked: BTreeMap<u32, u64>,
}

impl Logs {
    /// Takes new rows, newest last. While paused nothing that is seen moves.
    pub fn receive(&mut self, rows: Vec<LogRow>, height: usize) {
        if self.paused {
            self.came_since_pause += rows.len() as u64;
            let wanted = rows.iter().filter(|row| self.wanted.filter.matches(row, self.wanted.people_hidden)).count();
            self.wanted_since_pause += wanted as u64;
            self.waiting.extend(rows);
            let too_many = self.waiting.len().saturating_sub(ROWS_MAX);
            self.waiting.drain(..too_many);
        } else {
            rows.into_iter().for_each(|row| self.append(row));
            self.cursor.step(Step::Last, self.matching.len(), height);
        }
    }

    /// Stands still from now on.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Shows the newest rows again, with all that came since the pause.
    pub fn follow(&mut self, height: usize) {
        self.paused = false;
        (self.came_since_pause, self.wanted_since_pause) = (0, 0);
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().for_each(|row| self.append(row));
        self.cursor.step(Step::Last, self.matching.len(), height);
    }

    /// Moves the cursor. Who looks around wants the rows to stand still; who goes to the last row, to follow.
    pub fn step(&mut self, step: Step, height: usize) {
        if step == Step::Last {
            return self.follow(height);
        }
        self.pause();
        self.cursor.step(step, self.matching.len(), height);
    }

    /// Goes to the nearest row before or behind the cursor that `is` holds for; says whether there is one.
    pub fn seek(&mut self, forwards: bool, is: impl Fn(&LogRow) -> bool, height: usize) -> bool {
        let holds = |place: &usize| self.matching.get(*place).and_then(|number| self.row(*number)).is_some_and(&is);
        let found = match forwards {
            true => (self.cursor.at() + 1..self.matching.len()).find(holds),
            false => (0..self.cursor.at().min(self.matching.len())).rev().find(holds),
        };
        if let Some(place) = found {
            self.pause();
            self.cursor.put(place, self.matching.len(), height);
        }
        found.is_some()
    }

    /// Marks the row under the cursor, or takes its mark away.
    pub fn mark(&mut self) {
        if let Some(number) = self.matching.get(self.cursor.at()).copied()
            && !self.marks.remove(&number)
        {
            self.marks.insert(number);
        }
    }

    /// Takes all marks away; says whether there were any.
    pub fn unmark(&mut self) -> bool {
        !std::mem::take(&mut self.marks).is_empty()
    }

    /// The marked rows that are still kept, oldest first.
    pub fn marked(&self) -> impl Iterator<Item = &LogRow> {
        self.marks.iter().filter_map(|number| self.row(*number))
    }

    /// Wants the rows that the filter leaves, from now on and among those kept. The cursor stays on its row where that is
    /// still wanted, else on the next.
    pub fn want(&mut self, filter: LogFilter, people_hidden: bool, height: usize) {
        let wanted = Wanted { filter, people_hidden };
        if wanted == self.wanted {
            return;
        }
        let under_cursor = self.matching.get(self.cursor.at()).copied();
        self.wanted = wanted;
        self.matching = (self.first..)
            .zip(&self.rows)
            .filter(|(_, row)| self.wanted.filter.matches(row, self.wanted.people_hidden))
            .map(|(number, _)| number)
            .collect();
        let waiting = self.waiting.iter().filter(|row| self.wanted.filter.matches(row, self.wanted.people_hidden));
        self.wanted_since_pause = waiting.count() as u64;
        let at = match under_cursor {
            Some(number) if self.paused => self.matching.partition_point(|other| *other < number),
            _ => self.matching.len(),
        };
        self.cursor.put(at, self.matching.len(), height);
    }

    /// Fits what is seen to a window of another height.
    pub fn settle(&mut self, height: usize) {
        self.cursor.settle(self.matching.len(), height);
    }

    /// The rows that are wanted, from number `from` among them.
    pub fn wanted_from(&self, from: usize) -> impl Iterator<Item = &LogRow> {
        self.matching.iter().skip(from).filter_map(|number| self.row(*number))
    }

    /// The same, each with whether it is marked.
    pub fn shown_from(&self, from: usize) -> impl Iterator<Item = (&LogRow, bool)> {
        let numbers = self.matching.iter().skip(from);
        numbers.filter_map(|number| Some((self.row(*number)?, self.marks.contains(number))))
    }

    /// The newest rows, whatever is wanted, newest last.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &LogRow> {
        self.rows.iter().skip(self.rows.len().saturating_sub(count))
    }

    /// The newest row kept in which `key` opened a door.
    pub fn last_granted_by(&self, key: &str) -> Option<&LogRow> {
        // One that is kept no more is no row.
        self.last_granted.get(key).and_then(|number| self.row(*number))
    }

    /// The newest row kept in which this person, and not a guest of theirs, opened a door.
    pub fn last_opened_by(&self, person: PersonId) -> Option<&LogRow> {
        self.last_opened.get(&person.0).and_then(|number| self.row(*number))
    }

    /// The newest row kept about this door, however it came out.
    pub fn last_at(&self, door: DoorId) -> Option<&LogRow> {
        self.last_asked.get(&door.0).and_then(|number| self.row(*number))
    }

    /// The row under the cursor.
    pub fn selected(&self) -> Option<&LogRow> {
        self.matching.get(self.cursor.at()).and_then(|number| self.row(*number))
    }

    /// The cursor among the rows that are wanted.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// How many rows are wanted, and how many are kept (those behind a pause not counted).
    pub fn counts(&self) -> (usize, usize) {
        (self.matching.len(), self.rows.len())
    }

    /// How many rows came since the pause; `None` while following.
    pub fn paused(&self) -> Option<u64> {
        self.paused.then_some(self.came_since_pause)
    }

    /// How many of those are wanted. After a change of what is wanted it is so many of the newest [`ROWS_MAX`] and of
    /// what comes then.
    pub fn wanted_since_pause(&self) -> u64 {
        self.wanted_since_pause
    }

    fn row(&self, number: u64) -> Option<&LogRow> {
        let place = number.checked_sub(self.first)?;
        self.rows.get(usize::try_from(place).ok()?)
    }

    fn append(&mut self, row: LogRow) {
        if self.rows.len() >= ROWS_MAX {
            self.rows.pop_front();
            if self.matching.front() == Some(&self.first) {
                self.matching.pop_front();
            }
            self.marks.remove(&self.first);
            self.first += 1;
        }
        let number = self.first + self.rows.len() as u64;
        self.last_asked.insert(row.of.door.0, number);
        if let (true, Some(person)) = (row.granted, row.people().0) {
            self.last_opened.insert(person, number);
        }
        if row.granted {
            match self.last_granted.get_mut(&row.key) {
                Some(last) => *last = number,
                None => _ = self.last_granted.insert(row.key.clone(), number),
            }
        }
        if self.wanted.filter.matches(&row, self.wanted.people_hidden) {
            self.matching.push_back(number);
        }
        self.rows.push_back(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: i64) -> LogRow {
        let granted = number % 2 == 0;
        let of = LiveRow {
            time: Moment::from_micros(number),
            revision: 1,
            door: keyward_protocol::id::DoorId(1),
            who: Who::Nobody,
            key: None,
            another_key: false,
            lock: None,
            shown: keyward_protocol::message::watch::Shown::Code,
            denied: None,
        };
        LogRow {
            of,
            at: Moment::from_micros(number),
            granted,
            reason: (!granted).then_some(Reason::NoKey),
            door: format!("Door {number}"),
            person: "Tracy Ortiz".into(),
            host: None,
            key: if granted { "Key A".into() } else { String::new() },
            kind: "code",
        }
    }

    fn filter(text: &str) -> LogFilter {
        LogFilter::parse(text, None, &jiff::tz::TimeZone::UTC)
    }

    fn rows(numbers: std::ops::Range<i64>) -> Vec<LogRow> {
        numbers.map(row).collect()
    }

    fn seen(logs: &Logs) -> Vec<i64> {
        logs.wanted_from(logs.cursor().top()).take(4).map(|row| row.at.as_micros()).collect()
    }

    #[test]
    fn following_shows_the_newest_and_pausing_stands_still_whatever_comes() {
        let mut logs = Logs::default();
        logs.receive(rows(0..10), 4);
        assert_eq!(seen(&logs), [6, 7, 8, 9]);
        logs.step(Step::Up, 4);
        for batch in 0..3 {
            logs.receive(rows(10 + batch * 40_000..10 + (batch + 1) * 40_000), 4);
            assert_eq!(seen(&logs), [6, 7, 8, 9]);
        }
        assert_eq!(logs.paused(), Some(120_000));
        assert_eq!(logs.selected().unwrap().at.as_micros(), 8);
        logs.step(Step::Last, 4);
        assert_eq!(seen(&logs), [120_006, 120_007, 120_008, 120_009]);
        assert_eq!((logs.paused(), logs.counts()), (None, (ROWS_MAX, ROWS_MAX)));
    }

    #[test]
    fn the_buffer_and_what_is_wanted_of_it_are_bounded() {
        let mut logs = Logs::default();
        logs.want(filter("NO_KEY"), false, 4);
        logs.receive(rows(0..ROWS_MAX as i64 + 7), 4);
        assert_eq!(logs.counts(), (ROWS_MAX / 2, ROWS_MAX));
        assert_eq!(logs.wanted_from(0).next().unwrap().at.as_micros(), 7);
    }

    #[test]
    fn a_filter_keeps_the_row_under_the_cursor_or_takes_the_next() {
        let mut logs = Logs::default();
        logs.receive(rows(0..10), 4);
        logs.step(Step::Up, 4);
        logs.want(filter("no_key"), false, 4);
        assert_eq!(logs.selected().unwrap().at.as_micros(), 9);
        logs.want(filter(""), false, 4);
        assert_eq!(logs.selected().unwrap().at.as_micros(), 9);
        logs.want(filter("\"door 2\""), false, 4);
        assert_eq!(logs.selected().unwrap().at.as_micros(), 2);
    }

    #[test]
    fn the_newest_row_that_a_key_opened_a_door_in_is_known_as_long_as_it_is_kept() {
        let mut logs = Logs::default();
        logs.receive(rows(0..11), 4);
        assert_eq!(logs.last_granted_by("Key A").unwrap().at.as_micros(), 10);
        assert!(logs.last_granted_by("").is_none() && logs.last_granted_by("Key B").is_none());
        let denied = (0..ROWS_MAX as i64 - 1).map(|number| row(2 * number + 11)).collect();
        logs.receive(denied, 4);
        assert_eq!(logs.last_granted_by("Key A").unwrap().at.as_micros(), 10);
        logs.receive(vec![row(11)], 4);
        assert!(logs.last_granted_by("Key A").is_none());
    }

    #[test]
    fn the_newest_row_about_a_door_and_the_newest_that_a_person_opened_one_in_are_known() {
        let at = |number: i64, door, who| {
            let row = row(number);
            LogRow { of: LiveRow { door: DoorId(door), who, ..row.of }, ..row }
        };
        let (lee, guest) = (PersonId(2), PersonId(9));
        let mut logs = Logs::default();
        logs.receive(
            vec![
                at(2, 1, Who::Person(lee)),
                // Odd ones are denied.
                at(3, 1, Who::Person(lee)),
                at(4, 5, Who::Guest { person: guest, host: lee }),
                at(6, 5, Who::Nobody),
            ],
            4,
        );
        let micros = |row: Option<&LogRow>| row.map(|row| row.at.as_micros());
        assert_eq!(micros(logs.last_opened_by(lee)), Some(2), "neither a denial nor a guest's");
        assert_eq!(micros(logs.last_opened_by(guest)), Some(4));
        assert_eq!(micros(logs.last_opened_by(PersonId(7))), None);
        assert_eq!((micros(logs.last_at(DoorId(1))), micros(logs.last_at(DoorId(5)))), (Some(3), Some(6)));
        let others = (0..ROWS_MAX as i64).map(|number| at(2 * number + 11, 8, Who::Nobody)).collect();
        logs.receive(others, 4);
        assert_eq!((micros(logs.last_opened_by(lee)), micros(logs.last_at(DoorId(1)))), (None, None), "kept no more");
    }

    #[test]
    fn seeking_and_marking_stand_still() {
        let mut logs = Logs::default();
        logs.receive(rows(0..10), 4);
        assert!(logs.seek(false, |row| row.at.as_micros() == 3, 4) && logs.paused().is_some());
        logs.mark();
        assert!(!logs.seek(false, |row| row.at.as_micros() == 5, 4));
        assert!(logs.seek(true, |row| row.at.as_micros() == 5, 4));
        logs.mark();
        logs.mark();
        assert_eq!(logs.marked().map(|row| row.at.as_micros()).collect::<Vec<_>>(), [3]);
        logs.follow(4);
        logs.receive(rows(10..ROWS_MAX as i64 + 10), 4);
        assert!(logs.marked().next().is_none(), "what is gone isn't marked");
        assert!(!logs.unmark());
    }
}
