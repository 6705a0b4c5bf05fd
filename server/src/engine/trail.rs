//! How much of the audit trail one person can fill (M7, C8).
//!
//! A refused attempt costs its author nothing and the disk a row, so each person has a quota: so many at once, then one a
//! minute. What comes beyond is counted, and the number stands in their next row, which comes within a minute or so even
//! when they have stopped. A kill loses at most the numbers that wait. Codes are shown within a quota too: the trail has
//! every one of them, so past it the code is not shown.

use std::collections::BTreeMap;

use keyward_protocol::{entry::Refusal, id::*, time::Moment};

use crate::domain::audit::{Attempt, By};

/// Rows of refused attempts that one person may fill at once, and how long it takes for one more.
const REFUSED: Allowance = Allowance { at_once: 60, every_micros: 60_000_000 };
/// Codes that one person may be shown at once, and how long it takes for one more.
const SHOWN: Allowance = Allowance { at_once: 1_000, every_micros: 2_000_000 };

type Who = (PortfolioId, PersonId);

/// What each person has left of their quotas.
#[derive(Default)]
pub(super) struct Trail {
    refused: BTreeMap<Who, Attempts>,
    shown: BTreeMap<Who, Left>,
}

/// A row that is to be written.
pub(super) struct Due {
    pub by: By,
    pub attempt: Attempt,
    pub why: Refusal,
    /// Attempts before it that have no row.
    pub more: u64,
}

struct Attempts {
    left: Left,
    /// The last one without a row, and how many there are before it.
    unsaid: Option<Due>,
}

impl Trail {
    /// An attempt: the row to write now, if there is one.
    pub fn refused(&mut self, who: Who, by: By, attempt: Attempt, why: &Refusal) -> Option<Due> {
        let now = by.at;
        let known = self.refused.entry(who).or_insert_with(|| Attempts { left: Left::all(REFUSED, now), unsaid: None });
        let more = known.unsaid.take().map_or(0, |unsaid| unsaid.more + 1);
        let due = Due { by, attempt, why: why.clone(), more };
        if known.left.take(REFUSED, now) {
            return Some(due);
        }
        known.unsaid = Some(due);
        None
    }

    /// The rows for attempts that had none, where there is room for them now. Who has their whole quota again is forgotten.
    pub fn unsaid(&mut self, now: Moment) -> Vec<(PortfolioId, Due)> {
        let mut due = Vec::new();
        self.refused.retain(|who, known| {
            known.left.refill(REFUSED, now);
            if known.unsaid.is_some() && known.left.take(REFUSED, now) {
                due.extend(known.unsaid.take().map(|unsaid| (who.0, unsaid)));
            }
            known.left.count < REFUSED.at_once
        });
        self.shown.retain(|_, left| {
            left.refill(SHOWN, now);
            left.count < SHOWN.at_once
        });
        due
    }

    /// One code more that is shown to somebody.
    pub fn shows(&mut self, who: Who, now: Moment) -> Result<(), Refusal> {
        let left = self.shown.entry(who).or_insert_with(|| Left::all(SHOWN, now));
        let why = "too many door codes were shown to you in a short time: wait a few seconds for each further one";
        left.take(SHOWN, now).then_some(()).ok_or_else(|| Refusal::Unavailable(why.to_owned()))
    }
}

#[derive(Clone, Copy)]
struct Allowance {
    at_once: u32,
    every_micros: i64,
}

struct Left {
    count: u32,
    /// Up to when it was filled up.
    filled: Moment,
}

impl Left {
    fn all(allowance: Allowance, now: Moment) -> Left {
        Left { count: allowance.at_once, filled: now }
    }

    fn refill(&mut self, allowance: Allowance, now: Moment) {
        let passed = now.as_micros().saturating_sub(self.filled.as_micros());
        if passed < 0 {
            // The clock was set back: what passes counts from there.
            self.filled = now;
        }
        let more = passed.max(0) / allowance.every_micros;
        let room = allowance.at_once - self.count.min(allowance.at_once);
        self.count += u32::try_from(more).unwrap_or(u32::MAX).min(room);
        self.filled =
            Moment::from_micros(self.filled.as_micros().saturating_add(more.saturating_mul(allowance.every_micros)));
    }

    fn take(&mut self, allowance: Allowance, now: Moment) -> bool {
        self.refill(allowance, now);
        let some = self.count > 0;
        self.count -= u32::from(some);
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Actor;

    const WHO: Who = (PortfolioId(1), PersonId(2));

    fn by(seconds: i64) -> By {
        By { actor: Actor::Person(WHO.1), from: None, at: at(seconds) }
    }

    fn at(seconds: i64) -> Moment {
        Moment::from_micros(1_795_000_000_000_000).plus_seconds(seconds)
    }

    // M7
    #[test]
    fn a_flood_of_refusals_fills_a_row_a_minute_and_none_goes_uncounted() {
        let mut trail = Trail::default();
        let (mut rows, mut told, mut asked) = (0, 0, 0);
        let mut write = |due: &Due| {
            rows += 1;
            told += 1 + due.more;
        };
        let why = Refusal::MovedOn;
        for second in 0..3_600 {
            for _ in 0..50 {
                asked += 1;
                trail.refused(WHO, by(second), Attempt::look(None, "x"), &why).iter().for_each(&mut write);
            }
            trail.unsaid(at(second)).iter().for_each(|(_, due)| write(due));
        }
        trail.unsaid(at(3_700)).iter().for_each(|(_, due)| write(due));
        assert_eq!((rows, told), (120, asked), "60 at once, 59 while it lasted, and one for the rest");
        assert!(trail.unsaid(at(100_000)).is_empty() && trail.refused.is_empty(), "who is quiet again is forgotten");
        let other = (PortfolioId(1), PersonId(3));
        assert!(trail.refused(other, by(0), Attempt::look(None, "x"), &why).is_some());
    }

    // C8
    #[test]
    fn codes_are_shown_within_a_quota() {
        let mut trail = Trail::default();
        let shown = (0..5_000).filter(|_| trail.shows(WHO, at(0)).is_ok()).count();
        assert_eq!(shown, 1_000);
        assert!(
            trail.shows(WHO, at(1)).is_err() && trail.shows(WHO, at(2)).is_ok() && trail.shows(WHO, at(2)).is_err()
        );
        assert!(trail.shows(WHO, at(-9_000)).is_err(), "a clock that is set back gives nothing away");
    }
}
