//! A list that the server tells in pages: fetched as it is scrolled, filtered, sorted and marked, with a cursor that
//! stays on its row whatever comes and goes.

use std::collections::BTreeSet;

use keyward_protocol::{
    limits::ROWS_PER_ANSWER_MAX,
    message::manage::{List as Page, Rows},
    name,
};

use super::cursor::{Cursor, Step};
use crate::remote::Ticket;

/// The first page; later ones are as long as all before them together.
const FIRST_PAGE: u32 = 200;

/// A row of a list.
pub trait Row {
    /// Its id, which the server's pages go by.
    fn id(&self) -> u32;
    /// The texts that a filter looks into: the same that the server does.
    fn texts(&self) -> Vec<&str>;
    /// What it is sorted by, by the number of the sort.
    fn sort_key(&self, sort: usize) -> SortKey;
}

/// What a row is sorted by. Numbers go from the highest, texts from the first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SortKey {
    /// A count, highest first.
    Number(std::cmp::Reverse<u64>),
    /// A name, in any case.
    Text(String),
}

impl SortKey {
    /// By a count.
    pub fn number(number: u64) -> SortKey {
        SortKey::Number(std::cmp::Reverse(number))
    }

    /// By a name.
    pub fn text(text: &str) -> SortKey {
        SortKey::Text(name::fold(text))
    }
}

/// A refresh or another search that is on its way: shown when there is enough of it.
#[derive(Clone, Debug)]
struct Incoming<R> {
    rows: Vec<R>,
    next: u32,
    /// It takes the place of what is shown when it has so many rows, or ends.
    enough: usize,
    needle: String,
}

/// The list.
#[derive(Clone, Debug)]
pub struct List<R> {
    rows: Vec<R>,
    /// Where the next page begins; `None`: all rows are here.
    next: Option<u32>,
    /// How many there are at the server, as far as it told.
    total: u64,
    /// What the server was asked to search for.
    asked_needle: String,
    incoming: Option<Incoming<R>>,
    in_flight: Option<Ticket>,
    /// The last request failed: nothing is asked until somebody refreshes.
    stalled: bool,
    /// A refresh was asked for while one was under way.
    again: bool,
    /// All rows are fetched, wherever the cursor is.
    eager: bool,
    needle: String,
    sort: Option<usize>,
    /// Places in `rows` of what is shown, in its order.
    shown: Vec<usize>,
    cursor: Cursor,
    /// The cursor follows the end while more comes.
    to_end: bool,
    marks: BTreeSet<u32>,
    range_from: Option<u32>,
}

impl<R> Default for List<R> {
    fn default() -> List<R> {
        List {
            rows: Vec::new(),
            next: Some(0),
            total: 0,
            asked_needle: String::new(),
            incoming: None,
            in_flight: None,
            stalled: false,
            again: false,
            eager: false,
            needle: String::new(),
            sort: None,
            shown: Vec::new(),
            cursor: Cursor::default(),
            to_end: false,
            marks: BTreeSet::new(),
            range_from: None,
        }
    }
}

impl<R: Row> List<R> {
    /// A list of which all rows are fetched, wherever the cursor is: for lists that are counted as a whole.
    pub fn eager() -> List<R> {
        List { eager: true, ..List::default() }
    }

    /// A list whose rows are all here: nothing is ever asked.
    pub fn whole(rows: Vec<R>) -> List<R> {
        let mut list = List { total: rows.len() as u64, next: None, rows, ..List::default() };
        list.sift();
        list
    }

    /// Takes all rows anew, for a list whose rows are told as a whole.
    pub fn replace(&mut self, rows: Vec<R>, height: usize) {
        let held = self.held();
        (self.total, self.next, self.rows) = (rows.len() as u64, None, rows);
        self.sift();
        self.put_back(held, height);
    }

    /// What to ask the server now, if anything. Whoever asks it tells [`List::asked`].
    pub fn wanted(&self, height: usize) -> Option<Rows> {
        if self.in_flight.is_some() || self.stalled {
            return None;
        }
        if let Some(incoming) = &self.incoming {
            let most = page(incoming.rows.len().max(incoming.enough.saturating_sub(incoming.rows.len())));
            return Some(Rows { search: incoming.needle.clone(), after: incoming.next, most });
        }
        let near_end = self.cursor.at() + 2 * height.max(1) >= self.shown.len();
        let wants_all = self.eager || self.sort.is_some() || self.to_end || self.range_from.is_some();
        let after = self.next.filter(|_| near_end || wants_all)?;
        Some(Rows { search: self.asked_needle.clone(), after, most: page(self.rows.len()) })
    }

    /// What was wanted has been asked.
    pub fn asked(&mut self, ticket: Ticket) {
        self.in_flight = Some(ticket);
    }

    /// Whether this is the answer that the list waits for.
    pub fn expects(&self, ticket: Ticket) -> bool {
        self.in_flight == Some(ticket)
    }

    /// Takes a page that was [expected](List::expects).
    pub fn receive(&mut self, page: Page<R>, height: usize) {
        self.in_flight = None;
        self.total = page.total;
        let held = self.held();
        match self.incoming.take() {
            Some(mut incoming) => {
                incoming.rows.extend(page.rows);
                match page.next {
                    Some(next) if incoming.rows.len() < incoming.enough => {
                        self.incoming = Some(Incoming { next, ..incoming });
                        return;
                    }
                    next => {
                        (self.rows, self.next, self.asked_needle) = (incoming.rows, next, incoming.needle);
                    }
                }
            }
            None => {
                self.rows.extend(page.rows);
                self.next = page.next;
            }
        }
        if self.next.is_none() && self.asked_needle.is_empty() {
            // What is gone can't be marked.
            let there: BTreeSet<u32> = self.rows.iter().map(Row::id).collect();
            self.marks.retain(|id| there.contains(id));
        }
        self.sift();
        self.put_back(held, height);
        if std::mem::take(&mut self.again) {
            self.begin(self.rows.len());
        } else if self.next.is_some() && !self.eager && self.needle != self.asked_needle {
            self.begin(0);
        }
    }

    /// Nothing came: the list stands as it is until it is refreshed.
    pub fn failed(&mut self) {
        (self.in_flight, self.stalled) = (None, true);
    }

    /// Asks for all that is here anew; what is shown stays until that is here. Where that is under way already, it is
    /// done once more afterwards: what came so far may be older.
    pub fn refresh(&mut self) {
        let under_way = self.incoming.as_ref().is_some_and(|incoming| !incoming.rows.is_empty());
        if under_way && !self.stalled {
            self.again = true;
            return;
        }
        self.begin(self.rows.len());
    }

    /// Forgets everything: the list is of something else from now on.
    pub fn restart(&mut self) {
        *self = List { sort: self.sort, eager: self.eager, ..List::default() };
    }

    /// Shows only rows that hold `needle`. Where not all rows are here, the server is asked for those, and until it
    /// answers those that are here are shown.
    pub fn filter(&mut self, needle: &str, height: usize) {
        let held = self.held();
        self.needle = name::fold(needle);
        // Before anything was asked: the first page is of all rows, and says whether they are all here.
        let unasked = self.is_unknown() && self.in_flight.is_none() && self.incoming.is_none();
        if !unasked && self.needle != self.wanted_needle() && !(self.next.is_none() && self.wanted_needle().is_empty())
        {
            self.begin(0);
        }
        self.sift();
        self.put_back(held, height);
    }

    /// Goes on to the next of `sorts` sorts, and after the last back to the server's own order.
    pub fn sort_next(&mut self, sorts: usize, height: usize) {
        let held = self.held();
        self.sort = match self.sort {
            None => Some(0),
            Some(sort) => Some(sort + 1).filter(|next| *next < sorts),
        };
        self.sift();
        self.put_back(held, height);
    }

    /// Sorts by this one of `sorts`, or as the server does; where there is none such, nothing changes.
    pub fn sort_by(&mut self, sort: Option<usize>, sorts: usize, height: usize) {
        if sort.is_none_or(|sort| sort < sorts) {
            let held = self.held();
            self.sort = sort;
            self.sift();
            self.put_back(held, height);
        }
    }

    /// Which sort is chosen.
    pub fn sort(&self) -> Option<usize> {
        self.sort
    }

    /// Moves the cursor.
    pub fn step(&mut self, step: Step, height: usize) {
        self.to_end = step == Step::Last && self.next.is_some();
        self.cursor.step(step, self.shown.len(), height);
    }

    /// Fits what is seen to a window of another height.
    pub fn settle(&mut self, height: usize) {
        self.cursor.settle(self.shown.len(), height);
    }

    /// Marks the row under the cursor or takes its mark away, and goes on to the next. Ends a range.
    pub fn mark(&mut self, height: usize) {
        if self.range_from.is_some() {
            return self.range();
        }
        let Some(id) = self.selected().map(Row::id) else { return };
        if !self.marks.remove(&id) {
            self.marks.insert(id);
        }
        self.step(Step::Down, height);
    }

    /// Marks exactly these.
    pub fn mark_only(&mut self, ids: impl IntoIterator<Item = u32>) {
        self.marks = ids.into_iter().collect();
        self.range_from = None;
    }

    /// The ids of the marked rows, whether they are here or not.
    pub fn marked_ids(&self) -> &BTreeSet<u32> {
        &self.marks
    }

    /// Begins a range at the row under the cursor; marks everything of one that was begun.
    pub fn range(&mut self) {
        match self.range_from {
            None => self.range_from = self.selected().map(Row::id),
            Some(_) => {
                let ranged: Vec<u32> = self.ranged().collect();
                self.marks.extend(ranged);
                self.range_from = None;
            }
        }
    }

    /// Takes all marks away; says whether there were any.
    pub fn unmark(&mut self) -> bool {
        let any = !self.marks.is_empty() || self.range_from.is_some();
        self.marks.clear();
        self.range_from = None;
        any
    }

    /// The rows shown from number `from` on, each with whether it is marked.
    pub fn shown_from(&self, from: usize) -> impl Iterator<Item = (&R, bool)> {
        let ranged: BTreeSet<u32> = self.ranged().collect();
        let rows = self.shown.iter().skip(from).filter_map(|place| self.rows.get(*place));
        rows.map(move |row| (row, self.marks.contains(&row.id()) || ranged.contains(&row.id())))
    }

    /// The row under the cursor.
    pub fn selected(&self) -> Option<&R> {
        self.shown.get(self.cursor.at()).and_then(|place| self.rows.get(*place))
    }

    /// The marked rows, those in a range that is not ended yet included; else the one under the cursor.
    pub fn chosen(&self) -> Vec<&R> {
        let marked: BTreeSet<u32> = self.marks.iter().copied().chain(self.ranged()).collect();
        match marked.is_empty() {
            true => self.selected().into_iter().collect(),
            false => self.rows.iter().filter(|row| marked.contains(&row.id())).collect(),
        }
    }

    /// How many rows are marked.
    pub fn marked(&self) -> usize {
        self.marks.iter().copied().chain(self.ranged()).collect::<BTreeSet<u32>>().len()
    }

    /// The cursor among the rows shown.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// How many rows are shown, how many are here, and how many there are at the server.
    pub fn counts(&self) -> Counts {
        let total = self.total.max(self.rows.len() as u64);
        Counts { shown: self.shown.len() as u64, here: self.rows.len() as u64, total }
    }

    /// Whether nothing was told yet.
    pub fn is_unknown(&self) -> bool {
        self.rows.is_empty() && self.next == Some(0)
    }

    /// Every row that is here.
    pub fn rows(&self) -> &[R] {
        &self.rows
    }

    fn wanted_needle(&self) -> &str {
        self.incoming.as_ref().map_or(&self.asked_needle, |incoming| &incoming.needle)
    }

    fn begin(&mut self, enough: usize) {
        // All rows of a short list are better here: then filters need no server.
        let needle =
            if self.next.is_none() && self.asked_needle.is_empty() { String::new() } else { self.needle.clone() };
        self.in_flight = None;
        self.stalled = false;
        self.incoming = Some(Incoming { rows: Vec::new(), next: 0, enough, needle });
    }

    fn ranged(&self) -> impl Iterator<Item = u32> {
        let id = |place: &usize| self.rows.get(*place).map(Row::id);
        let from = self.range_from.and_then(|from| self.shown.iter().position(|place| id(place) == Some(from)));
        let ends = from.map(|from| (from.min(self.cursor.at()), from.max(self.cursor.at())));
        let (first, count) = ends.map_or((0, 0), |(first, last)| (first, last - first + 1));
        self.shown.iter().skip(first).take(count).filter_map(id)
    }

    fn sift(&mut self) {
        let matches = |row: &R| row.texts().iter().any(|text| name::fold(text).contains(&self.needle));
        let all = self.needle.is_empty();
        self.shown = (0..self.rows.len()).filter(|place| all || self.rows.get(*place).is_some_and(matches)).collect();
        if let Some(sort) = self.sort {
            let rows = &self.rows;
            self.shown.sort_by_cached_key(|place| rows.get(*place).map(|row| row.sort_key(sort)));
        }
    }

    /// The row under the cursor, to be found again.
    fn held(&self) -> Option<u32> {
        self.selected().map(Row::id)
    }

    fn put_back(&mut self, held: Option<u32>, height: usize) {
        let place = |place: &usize| held.is_some() && self.rows.get(*place).map(Row::id) == held;
        let found = self.shown.iter().position(place).unwrap_or(self.cursor.at());
        let at = if self.to_end { self.shown.len() } else { found };
        self.to_end &= self.next.is_some();
        self.cursor.put(at, self.shown.len(), height);
    }
}

/// How long a list is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Rows that the filter leaves.
    pub shown: u64,
    /// Rows that were fetched.
    pub here: u64,
    /// Rows that match at the server.
    pub total: u64,
}

/// As many rows as are here already, within what one answer may have.
fn page(here: usize) -> u32 {
    u32::try_from(here).unwrap_or(u32::MAX).clamp(FIRST_PAGE, ROWS_PER_ANSWER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug)]
    struct Person(u32, String);

    impl Row for Person {
        fn id(&self) -> u32 {
            self.0
        }

        fn texts(&self) -> Vec<&str> {
            vec![&self.1]
        }

        fn sort_key(&self, _: usize) -> SortKey {
            SortKey::text(&self.1)
        }
    }

    const HEIGHT: usize = 20;

    /// A server with people 1 to `count`, whose names run backwards.
    fn answer(count: u32, gone: &[u32], rows: &Rows) -> Page<Person> {
        let all =
            (1..=count).filter(|id| !gone.contains(id)).map(|id| Person(id, format!("Person {:06}", 999_999 - id)));
        let needle = name::fold(&rows.search);
        let matches = |person: &Person| needle.is_empty() || name::fold(&person.1).contains(&needle);
        let found: Vec<Person> = all.filter(matches).collect();
        let total = found.len() as u64;
        let mut rest: Vec<Person> = found.into_iter().filter(|person| person.0 > rows.after).collect();
        let more = rest.len() > rows.most as usize;
        rest.truncate(rows.most as usize);
        let next = rest.last().filter(|_| more).map(|person| person.0);
        Page { revision: 1, total, rows: rest, next }
    }

    /// Asks until nothing is wanted; says how often.
    fn settle(list: &mut List<Person>, count: u32, gone: &[u32]) -> usize {
        let mut asked = 0;
        while let Some(rows) = list.wanted(HEIGHT) {
            list.asked(Ticket(asked as u64));
            list.receive(answer(count, gone, &rows), HEIGHT);
            asked += 1;
            assert!(asked < 1_000);
        }
        asked
    }

    fn selected(list: &List<Person>) -> u32 {
        list.selected().map_or(0, |person| person.0)
    }

    #[test]
    fn pages_come_as_they_are_scrolled_to_and_the_end_is_reached_in_few() {
        let mut list = List::default();
        assert_eq!(settle(&mut list, 200_000, &[]), 1);
        assert_eq!(list.counts(), Counts { shown: 200, here: 200, total: 200_000 });
        for _ in 0..9 {
            list.step(Step::PageDown, HEIGHT);
        }
        assert_eq!(settle(&mut list, 200_000, &[]), 1);
        assert_eq!((list.counts().here, selected(&list)), (400, 181));
        list.step(Step::Last, HEIGHT);
        assert!(settle(&mut list, 200_000, &[]) < 30);
        assert_eq!((list.counts().here, selected(&list)), (200_000, 200_000));
    }

    #[test]
    fn the_cursor_and_the_marks_stay_on_their_rows_over_a_refresh() {
        let mut list = List::default();
        settle(&mut list, 50, &[]);
        (0..9).for_each(|_| list.step(Step::Down, HEIGHT));
        list.mark(HEIGHT);
        list.mark(HEIGHT);
        assert_eq!((selected(&list), list.marked()), (12, 2));
        list.refresh();
        assert_eq!(list.counts().shown, 50, "what is shown stays until the rest is here");
        settle(&mut list, 50, &[3, 10]);
        assert_eq!((selected(&list), list.marked(), list.counts().shown), (12, 1, 48));
        settle(&mut list, 50, &[]);
    }

    #[test]
    fn a_filter_of_a_whole_list_asks_nothing_and_of_a_part_asks_the_server() {
        let mut list = List::default();
        settle(&mut list, 50, &[]);
        list.filter("99998", HEIGHT);
        assert_eq!((settle(&mut list, 50, &[]), list.counts().shown), (0, 11));
        let mut list = List::default();
        settle(&mut list, 5_000, &[]);
        list.filter("person 995000", HEIGHT);
        assert_eq!(list.counts().shown, 0);
        assert_eq!(settle(&mut list, 5_000, &[]), 1);
        assert_eq!((list.counts().shown, selected(&list)), (1, 4_999));
        list.filter("", HEIGHT);
        settle(&mut list, 5_000, &[]);
        assert_eq!((list.counts().total, selected(&list)), (5_000, 1));
    }

    #[test]
    fn an_answer_to_an_older_filter_is_not_expected_any_more() {
        let mut list: List<Person> = List::default();
        settle(&mut list, 5_000, &[]);
        list.filter("99", HEIGHT);
        list.asked(Ticket(70));
        list.filter("998", HEIGHT);
        list.asked(Ticket(71));
        assert!(!list.expects(Ticket(70)) && list.expects(Ticket(71)));
    }

    #[test]
    fn a_sort_needs_all_rows_and_keeps_the_cursor_on_its_row() {
        let mut list = List::default();
        settle(&mut list, 1_000, &[]);
        list.step(Step::Down, HEIGHT);
        list.sort_next(1, HEIGHT);
        settle(&mut list, 1_000, &[]);
        assert_eq!((list.counts().here, selected(&list)), (1_000, 2));
        assert_eq!(list.shown_from(0).next().map(|(person, _)| person.0), Some(1_000));
        list.sort_next(1, HEIGHT);
        assert_eq!(list.shown_from(0).next().map(|(person, _)| person.0), Some(1));
    }

    #[test]
    fn a_range_marks_everything_between_its_ends_in_either_direction() {
        let mut list = List::default();
        settle(&mut list, 50, &[]);
        (0..5).for_each(|_| list.step(Step::Down, HEIGHT));
        list.range();
        (0..3).for_each(|_| list.step(Step::Up, HEIGHT));
        assert_eq!(list.marked(), 4);
        assert_eq!(list.chosen().iter().map(|person| person.0).collect::<Vec<_>>(), [3, 4, 5, 6]);
        list.mark(HEIGHT);
        list.step(Step::First, HEIGHT);
        assert_eq!(list.marked(), 4);
        assert!(list.unmark() && !list.unmark());
        assert_eq!(list.chosen().len(), 1, "without marks it is the row under the cursor");
    }

    #[test]
    fn a_filter_before_the_first_page_asks_for_a_search_only_where_there_is_more() {
        let mut list = List::default();
        list.filter("person 99999", HEIGHT);
        assert_eq!(settle(&mut list, 50, &[]), 1);
        assert_eq!(list.counts(), Counts { shown: 9, here: 50, total: 50 });
        let mut list = List::default();
        list.filter("person 99999", HEIGHT);
        assert_eq!(settle(&mut list, 5_000, &[]), 2);
        assert_eq!(list.counts(), Counts { shown: 9, here: 9, total: 9 });
        // A list that is counted as a whole is fetched as a whole.
        let mut list = List::eager();
        list.filter("person 99999", HEIGHT);
        settle(&mut list, 5_000, &[]);
        assert_eq!(list.counts(), Counts { shown: 9, here: 5_000, total: 5_000 });
    }

    #[test]
    fn after_a_failure_nothing_is_asked_until_somebody_refreshes() {
        let mut list: List<Person> = List::default();
        list.asked(Ticket(1));
        list.failed();
        assert_eq!(list.wanted(HEIGHT), None);
        list.refresh();
        assert_eq!(settle(&mut list, 50, &[]), 1);
    }
}
