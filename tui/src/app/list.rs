//! A list that the server tells in pages: fetched as it is scrolled, filtered, sorted and marked, with a cursor that
//! stays on its row whatever comes and goes.

use std::{cmp::Ordering, collections::BTreeSet};

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
    /// The texts that a filter looks into: the same that the server does. The first is the one that it is sorted by.
    fn texts(&self) -> Vec<&str>;
    /// What it is sorted by, by the number of the sort.
    fn sort_key(&self, sort: usize) -> SortKey;
    /// The column that shows what it is sorted by, as the settings call it; `None`: the one with the first of its texts.
    fn sort_column(_sort: usize) -> Option<&'static str> {
        None
    }
}

/// What a row is sorted by. Numbers go from the highest, texts from the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortKey {
    /// A count, highest first.
    Number(u64),
    /// The first of its texts, in any case.
    Text,
}

/// The first bytes of a text as a number, in the same order: most rows are told apart by that alone.
fn beginning(folded: &str) -> u128 {
    let mut first = [0; 16];
    first.iter_mut().zip(folded.bytes()).for_each(|(place, byte)| *place = byte);
    u128::from_be_bytes(first)
}

/// The texts of rows as they are compared, in one piece: of 200,000 rows, folding each, or only going to each of as many
/// places, at every letter that is typed would be felt.
#[derive(Clone, Debug, Default)]
struct Folded {
    /// Each text of a row on a line of its own: nothing that is typed holds the end of a line.
    text: String,
    /// Where the rows end.
    ends: Vec<usize>,
}

impl Folded {
    fn extend<R: Row>(&mut self, rows: &[R]) {
        for row in rows {
            for text in row.texts() {
                self.text.push_str(&name::fold(text));
                self.text.push('\n');
            }
            self.ends.push(self.text.len());
        }
    }

    fn get(&self, place: usize) -> &str {
        let begin = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(place).and_then(|end| self.text.get(begin..*end)).unwrap_or_default()
    }
}

/// A refresh or another search that is on its way: shown when there is enough of it.
#[derive(Clone, Debug)]
struct Incoming<R> {
    rows: Vec<R>,
    folded: Folded,
    next: u32,
    /// It takes the place of what is shown when it has so many rows, or ends.
    enough: usize,
    needle: String,
}

/// The list.
#[derive(Clone, Debug)]
pub struct List<R> {
    rows: Vec<R>,
    folded: Folded,
    /// Places in `rows` of all rows, in the chosen sort.
    order: Vec<usize>,
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
            folded: Folded::default(),
            order: Vec::new(),
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
        let mut list = List::default();
        list.replace(rows, 1);
        list
    }

    /// Takes all rows anew, for a list whose rows are told as a whole.
    pub fn replace(&mut self, rows: Vec<R>, height: usize) {
        let held = self.held();
        (self.total, self.next) = (rows.len() as u64, None);
        self.folded = Folded::default();
        self.folded.extend(&rows);
        self.rows = rows;
        self.arrange_anew();
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
                incoming.folded.extend(&page.rows);
                incoming.rows.extend(page.rows);
                match page.next {
                    Some(next) if incoming.rows.len() < incoming.enough => {
                        self.incoming = Some(Incoming { next, ..incoming });
                        return;
                    }
                    next => {
                        (self.rows, self.next, self.asked_needle) = (incoming.rows, next, incoming.needle);
                        self.folded = incoming.folded;
                        self.arrange_anew();
                    }
                }
            }
            None => {
                self.folded.extend(&page.rows);
                self.order.extend(self.rows.len()..self.rows.len() + page.rows.len());
                self.rows.extend(page.rows);
                self.next = page.next;
                self.arrange();
            }
        }
        if self.next.is_none() && self.asked_needle.is_empty() && !self.marks.is_empty() {
            // What is gone can't be marked.
            let mut there: Vec<u32> = self.rows.iter().map(Row::id).collect();
            there.sort_unstable();
            self.marks.retain(|id| there.binary_search(id).is_ok());
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
        let before = std::mem::replace(&mut self.needle, name::fold(needle));
        // Before anything was asked: the first page is of all rows, and says whether they are all here.
        let unasked = self.is_unknown() && self.in_flight.is_none() && self.incoming.is_none();
        let known = self.next.is_none() && self.wanted_needle().is_empty();
        if !(self.eager || unasked || known || self.needle == self.wanted_needle()) {
            self.begin(0);
        }
        // What doesn't hold a part of it doesn't hold all of it.
        if !before.is_empty() && self.needle.contains(&before) {
            self.narrow()
        } else {
            self.sift()
        }
        self.put_back(held, height);
    }

    /// Goes on to the next of `sorts` sorts, and after the last back to the server's own order.
    pub fn sort_next(&mut self, sorts: usize, height: usize) {
        let held = self.held();
        self.sort = match self.sort {
            None => Some(0),
            Some(sort) => Some(sort + 1).filter(|next| *next < sorts),
        };
        self.arrange_anew();
        self.sift();
        self.put_back(held, height);
    }

    /// Sorts by this one of `sorts`, or as the server does; where there is none such, nothing changes.
    pub fn sort_by(&mut self, sort: Option<usize>, sorts: usize, height: usize) {
        if sort.is_none_or(|sort| sort < sorts) {
            let held = self.held();
            self.sort = sort;
            self.arrange_anew();
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
        let range = self.range_shown();
        let rows = self.shown.iter().enumerate().skip(from);
        let rows = rows.filter_map(|(number, place)| Some((number, self.rows.get(*place)?)));
        rows.map(move |(number, row)| (row, self.marks.contains(&row.id()) || range.contains(&number)))
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
        self.marks.len() + self.ranged().filter(|id| !self.marks.contains(id)).count()
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
        let needle = if self.eager || self.next.is_none() && self.asked_needle.is_empty() {
            String::new()
        } else {
            self.needle.clone()
        };
        self.in_flight = None;
        self.stalled = false;
        self.incoming = Some(Incoming { rows: Vec::new(), folded: Folded::default(), next: 0, enough, needle });
    }

    /// The ids in the range that is not ended yet.
    fn ranged(&self) -> impl Iterator<Item = u32> {
        let range = self.range_shown();
        let shown = self.shown.iter().skip(range.start).take(range.len());
        shown.filter_map(|place| self.rows.get(*place).map(Row::id))
    }

    /// Where that lies among what is shown.
    fn range_shown(&self) -> std::ops::Range<usize> {
        let id = |place: &usize| self.rows.get(*place).map(Row::id);
        let from = self.range_from.and_then(|from| self.shown.iter().position(|place| id(place) == Some(from)));
        from.map_or(0..0, |from| from.min(self.cursor.at())..from.max(self.cursor.at()) + 1)
    }

    /// Brings all rows into the chosen sort, whatever their order was.
    fn arrange_anew(&mut self) {
        self.order = (0..self.rows.len()).collect();
        self.arrange();
    }

    /// Brings all rows into the chosen sort. Those that are in it already, before the others, are only merged with them.
    fn arrange(&mut self) {
        let Some(sort) = self.sort else { return };
        let mut by_text = false;
        let mut key = |place: usize| match self.rows.get(place).map(|row| row.sort_key(sort)) {
            Some(SortKey::Number(number)) => u128::from(u64::MAX - number),
            Some(SortKey::Text) => {
                by_text = true;
                beginning(self.folded.get(place))
            }
            None => 0,
        };
        let mut keyed: Vec<(u128, usize)> = self.order.iter().map(|place| (key(*place), *place)).collect();
        keyed.sort_by(|(one, at), (other, beside)| match one.cmp(other) {
            Ordering::Equal if by_text => self.folded.get(*at).cmp(self.folded.get(*beside)),
            order => order,
        });
        self.order = keyed.into_iter().map(|(_, place)| place).collect();
    }

    /// Shows what the filter leaves of all rows.
    fn sift(&mut self) {
        self.shown.clone_from(&self.order);
        if !self.needle.is_empty() {
            self.narrow();
        }
    }

    /// Shows what the filter leaves of what is shown.
    fn narrow(&mut self) {
        let List { shown, folded, needle, .. } = self;
        shown.retain(|place| folded.get(*place).contains(needle.as_str()));
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
            SortKey::Text
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
    fn whatever_was_typed_and_sorted_before_what_is_shown_is_what_a_look_at_each_row_leaves() {
        // The last letters tell them apart: what they begin with, as a number, is the same.
        let name = |id: u32| format!("Somebody with a long name {:03}", id * 37 % 300);
        let people: Vec<Person> = (1..=300).map(|id| Person(id, name(id))).collect();
        let mut list = List::default();
        for page in people.chunks(70) {
            list.receive(
                Page { revision: 1, total: 300, rows: page.to_vec(), next: page.last().map(|row| row.0) },
                HEIGHT,
            );
            list.sort_next(usize::MAX, HEIGHT);
        }
        for needle in ["", "S", "so", "NAME", "name 1", "name 12", "name 1", "2", "", "29", "nobody", "n"] {
            list.filter(needle, HEIGHT);
            let mut expected: Vec<&Person> =
                people.iter().filter(|person| name::fold(&person.1).contains(&name::fold(needle))).collect();
            expected.sort_by_key(|person| &person.1);
            let shown: Vec<u32> = list.shown_from(0).map(|(person, _)| person.0).collect();
            assert_eq!(shown, expected.iter().map(|person| person.0).collect::<Vec<_>>(), "{needle:?}");
        }
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
        list.refresh();
        list.filter("person 99998", HEIGHT);
        settle(&mut list, 5_000, &[]);
        assert_eq!(list.counts().here, 5_000);
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
