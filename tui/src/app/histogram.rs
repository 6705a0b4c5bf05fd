//! What was denied, counted by reason, by door, by person or by hour.
//!
//! Only denials are counted: of grants the live log shows a sample. A bar says by which term of a filter its rows are
//! found, and the cursor stands on a bar by that, so that it stays on it while counts grow.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use keyward_protocol::{decision::Reason, time::Moment};

use super::{LogRow, Step, cursor::Cursor, screen::logs::door_term};

/// Hours begin at a whole quarter of UTC in every zone that there is.
const QUARTER_SECONDS: i64 = 900;
const MICROS: i64 = 1_000_000;

/// What is counted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum By {
    /// Why it was denied.
    #[default]
    Reason,
    /// Where.
    Door,
    /// Whom.
    Person,
    /// When, hour by hour.
    Hour,
}

impl By {
    /// The next one, and after the last the first.
    pub fn next(self) -> By {
        match self {
            By::Reason => By::Door,
            By::Door => By::Person,
            By::Person => By::Hour,
            By::Hour => By::Reason,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            By::Reason => "reason",
            By::Door => "door",
            By::Person => "person",
            By::Hour => "hour",
        }
    }
}

/// One bar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bar {
    /// What it stands for.
    pub name: String,
    /// The term that finds its rows; `None` where none does.
    pub term: Option<String>,
    /// How many were denied.
    pub count: u64,
}

/// What was counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counted {
    /// The most first; hours from the newest on.
    pub bars: Vec<Bar>,
    /// How many were denied.
    pub denied: u64,
}

/// The histogram that is open.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// What is counted by.
    pub by: By,
    /// What the cursor is on, by its name and term.
    on: Option<(String, Option<String>)>,
    cursor: Cursor,
}

impl Histogram {
    /// Counts by the next thing.
    pub fn turn(&mut self) {
        *self = Histogram { by: self.by.next(), ..Histogram::default() };
    }

    /// The cursor among these bars, of which `height` are seen.
    pub fn cursor(&self, bars: &[Bar], height: usize) -> Cursor {
        let place = |(name, term): &(String, Option<String>)| {
            bars.iter().position(|bar| bar.name == *name && bar.term == *term)
        };
        let mut cursor = self.cursor;
        cursor.put(self.on.as_ref().and_then(place).unwrap_or(self.cursor.at()), bars.len(), height);
        cursor
    }

    /// Moves the cursor.
    pub fn step(&mut self, step: Step, bars: &[Bar], height: usize) {
        self.cursor = self.cursor(bars, height);
        self.cursor.step(step, bars.len(), height);
        self.on = bars.get(self.cursor.at()).map(|bar| (bar.name.clone(), bar.term.clone()));
    }

    /// The bar that the cursor is on.
    pub fn selected<'b>(&self, bars: &'b [Bar]) -> Option<&'b Bar> {
        bars.get(self.cursor(bars, bars.len()).at())
    }
}

/// Counts the denied ones among these rows.
pub fn counted<'r>(rows: impl Iterator<Item = &'r LogRow>, by: By, zone: &TimeZone) -> Counted {
    let denied = rows.filter(|row| !row.granted);
    let mut bars = match by {
        By::Reason => by_reason(denied),
        By::Door => by_door(denied),
        By::Person => by_person(denied),
        By::Hour => by_hour(denied, zone),
    };
    if by != By::Hour {
        bars.sort_by(|one, other| (other.count, &one.name).cmp(&(one.count, &other.name)));
    }
    let denied = bars.iter().map(|bar| bar.count).sum();
    Counted { bars, denied }
}

fn by_reason<'r>(denied: impl Iterator<Item = &'r LogRow>) -> Vec<Bar> {
    let mut counts: BTreeMap<Option<Reason>, u64> = BTreeMap::new();
    denied.for_each(|row| *counts.entry(row.reason).or_default() += 1);
    let bar = |(reason, count): (Option<Reason>, u64)| Bar {
        name: reason.map_or("--", |reason| reason.as_str()).to_owned(),
        term: reason.map(|reason| format!("reason:{reason}")),
        count,
    };
    counts.into_iter().map(bar).collect()
}

fn by_door<'r>(denied: impl Iterator<Item = &'r LogRow>) -> Vec<Bar> {
    let mut counts: BTreeMap<u32, (&LogRow, u64)> = BTreeMap::new();
    denied.for_each(|row| counts.entry(row.of.door.0).or_insert((row, 0)).1 += 1);
    let bar = |(row, count): (&LogRow, u64)| Bar { name: row.door.clone(), term: Some(door_term(row)), count };
    counts.into_values().map(bar).collect()
}

/// By who came, a guest by themselves; carriers by their name, and all of whom nobody is known together.
fn by_person<'r>(denied: impl Iterator<Item = &'r LogRow>) -> Vec<Bar> {
    let mut counts: BTreeMap<(Option<u32>, &str), (&LogRow, u64)> = BTreeMap::new();
    for row in denied {
        let id = row.people().0;
        let name = if id.is_some() { "" } else { row.person.as_str() };
        counts.entry((id, name)).or_insert((row, 0)).1 += 1;
    }
    let bar = |((id, _), (row, count)): ((Option<u32>, &str), (&LogRow, u64))| {
        let term = match (id, row.person.as_str()) {
            (Some(id), _) => Some(format!("person:#{id}")),
            (None, "") => None,
            (None, name) => (!name.contains('"')).then(|| format!("person:\"{name}\"")),
        };
        let name = if row.person.is_empty() { "nobody who is known".to_owned() } else { row.person.clone() };
        Bar { name, term, count }
    };
    counts.into_iter().map(bar).collect()
}

/// Hour by hour of the zone, the newest first. An hour that the clocks repeat is two.
fn by_hour<'r>(denied: impl Iterator<Item = &'r LogRow>, zone: &TimeZone) -> Vec<Bar> {
    let mut quarters: BTreeMap<i64, u64> = BTreeMap::new();
    denied.for_each(|row| *quarters.entry(row.at.as_micros().div_euclid(QUARTER_SECONDS * MICROS)).or_default() += 1);
    let mut hours: BTreeMap<Moment, u64> = BTreeMap::new();
    for (quarter, count) in quarters {
        let at = Moment::from_micros(quarter.saturating_mul(QUARTER_SECONDS * MICROS));
        let minute = i64::from(zone.to_datetime(at.timestamp()).minute());
        *hours.entry(at.plus_seconds(-60 * minute)).or_default() += count;
    }
    let bar = |(from, count): (Moment, u64)| {
        let civil = zone.to_datetime(from.timestamp());
        let until = from.plus_seconds(3_600);
        Bar {
            name: format!("{} {:02}:00", civil.date(), civil.hour()),
            term: Some(format!("from:{} until:{}", from.rfc3339(zone), until.rfc3339(zone))),
            count,
        }
    };
    hours.into_iter().rev().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{log_filter::LogFilter, testing};

    fn zone() -> TimeZone {
        TimeZone::get("America/New_York").unwrap()
    }

    /// Denials of the played log again and again, spread over hours.
    fn rows() -> Vec<LogRow> {
        let mut rows = Vec::new();
        for turn in 0..7_i64 {
            for (place, mut row) in testing::log_rows().into_iter().enumerate() {
                if turn % (place as i64 + 1) == 0 {
                    row.at = row.at.plus_seconds(-2_400 * turn);
                    rows.push(row);
                }
            }
        }
        rows
    }

    #[test]
    fn every_denial_is_in_one_bar_and_the_bars_term_finds_just_those() {
        let rows = rows();
        let denied = rows.iter().filter(|row| !row.granted).count() as u64;
        assert!(denied > 5 && denied < rows.len() as u64);
        for by in [By::Reason, By::Door, By::Person, By::Hour] {
            let counted = counted(rows.iter(), by, &zone());
            assert_eq!(counted.denied, denied, "{by:?}");
            for bar in &counted.bars {
                let Some(term) = &bar.term else {
                    assert_eq!(bar.name, "nobody who is known");
                    continue;
                };
                let filter = LogFilter::parse(&format!("deny {term}"), Some(testing::noon()), &zone());
                assert_eq!(filter.problem, None, "{term}");
                let found = rows.iter().filter(|row| filter.matches(row, false)).count() as u64;
                assert_eq!(found, bar.count, "{by:?} {bar:?}");
            }
        }
        assert_eq!(By::Reason.next().next().next().next(), By::Reason);
    }

    #[test]
    fn the_most_comes_first_and_hours_from_the_newest_on() {
        let rows = rows();
        let names = |by| -> Vec<(String, u64)> {
            counted(rows.iter(), by, &zone()).bars.into_iter().map(|bar| (bar.name, bar.count)).collect()
        };
        assert_eq!(names(By::Reason), [("outside_schedule".to_owned(), 7), ("unknown_credential".to_owned(), 4)]);
        assert_eq!(names(By::Person), [("Lee".to_owned(), 7), ("nobody who is known".to_owned(), 4)]);
        let hours = names(By::Hour);
        assert_eq!(hours.first().map(|(name, _)| name.as_str()), Some("2026-11-20 11:00"));
        assert!(hours.is_sorted_by(|one, other| one.0 > other.0), "{hours:?}");
    }

    #[test]
    fn an_hour_that_the_clocks_repeat_is_two_and_one_of_a_half_hours_zone_is_whole() {
        let row = |time: &str| LogRow { at: Moment::parse(time).unwrap(), ..testing::log_rows().remove(0) };
        let rows = ["2026-11-01T05:10:00Z", "2026-11-01T05:50:00Z", "2026-11-01T06:20:00Z"].map(row);
        let counts = |zone: &TimeZone| -> Vec<(String, u64)> {
            let bars = counted(rows.iter(), By::Hour, zone).bars;
            bars.into_iter().map(|bar| (bar.term.unwrap(), bar.count)).collect()
        };
        let told = counts(&zone());
        assert_eq!(told[0], ("from:2026-11-01T01:00:00-05:00 until:2026-11-01T02:00:00-05:00".to_owned(), 1));
        assert_eq!(told[1], ("from:2026-11-01T01:00:00-04:00 until:2026-11-01T01:00:00-05:00".to_owned(), 2));
        let told = counts(&TimeZone::get("Asia/Kathmandu").unwrap());
        assert_eq!(told.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn the_cursor_stays_on_its_bar_while_others_grow() {
        let bar = |name: &str, count| Bar { name: name.into(), term: None, count };
        let mut histogram = Histogram::default();
        let before = [bar("a", 9), bar("b", 5), bar("c", 1)];
        histogram.step(Step::Down, &before, 2);
        assert_eq!(histogram.selected(&before).unwrap().name, "b");
        let after = [bar("c", 20), bar("a", 9), bar("b", 5)];
        assert_eq!((histogram.selected(&after).unwrap().name.as_str(), histogram.cursor(&after, 2).top()), ("b", 1));
        histogram.step(Step::Last, &[], 2);
        assert_eq!(histogram.selected(&[]), None);
    }
}
