//! What each key has asked since the server started: counted batch by batch once it was judged, without a lock.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use keyward_protocol::{entry::Sha256, time::Moment};

const MINUTE_MICROS: i64 = 60_000_000;
/// A window is a minute, counted from 1970, and above it how many checks were asked in it.
const MINUTE_BITS: u32 = 32;

/// What a key has asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Activity {
    /// Checks since the server started.
    pub checks: u64,
    /// When the last of them came, by the machine's clock.
    pub last: Moment,
    /// Checks of the last whole minute.
    pub minute: u64,
}

/// The counters of one key. Every connection of it counts here.
#[derive(Debug, Default)]
pub(super) struct Asked {
    checks: AtomicU64,
    last_micros: AtomicI64,
    /// The minute that is counted, and the one that was counted before it.
    window: AtomicU64,
    window_before: AtomicU64,
}

impl Asked {
    /// Counts checks that came now. A few at the turn of a minute may count for the one or the other.
    pub(super) fn count(&self, checks: usize, now: Moment) {
        let checks = checks as u64;
        self.checks.fetch_add(checks, Relaxed);
        self.last_micros.fetch_max(now.as_micros(), Relaxed);
        let minute = minute(now);
        let window = self.window.load(Relaxed);
        if minute_of(window) == minute {
            self.window.fetch_add(checks << MINUTE_BITS, Relaxed);
        } else if self.window.compare_exchange(window, minute | checks << MINUTE_BITS, Relaxed, Relaxed).is_ok() {
            self.window_before.store(window, Relaxed);
        } else {
            // Another stream of this key began the minute just now.
            self.window.fetch_add(checks << MINUTE_BITS, Relaxed);
        }
    }

    /// What was asked so far; `None` where nothing was.
    fn told(&self, now: Moment) -> Option<Activity> {
        let checks = self.checks.load(Relaxed);
        let last = Moment::from_micros(self.last_micros.load(Relaxed));
        let whole = minute(now).wrapping_sub(1) & u64::from(u32::MAX);
        let windows = [self.window.load(Relaxed), self.window_before.load(Relaxed)];
        let minute = windows.into_iter().find(|window| minute_of(*window) == whole).unwrap_or(0) >> MINUTE_BITS;
        (checks > 0).then_some(Activity { checks, last, minute })
    }
}

fn minute(now: Moment) -> u64 {
    now.as_micros().div_euclid(MINUTE_MICROS).cast_unsigned() & u64::from(u32::MAX)
}

fn minute_of(window: u64) -> u64 {
    window & u64::from(u32::MAX)
}

/// The counters of every key that was connected since the server started. Locked when connections come and when somebody
/// asks, and never by a check.
#[derive(Debug, Default)]
pub(super) struct Activities(Mutex<HashMap<Sha256, Arc<Asked>>>);

impl Activities {
    /// The counters of this key.
    pub(super) fn of(&self, key: Sha256) -> Arc<Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }

    /// What all of them have asked.
    pub(super) fn told(&self, now: Moment) -> HashMap<Sha256, Activity> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(|(key, asked)| Some((*key, asked.told(now)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_counted_with_the_last_moment_and_those_of_the_last_whole_minute() {
        let at = |second: i64| Moment::from_micros(1_795_000_020_000_000 + second * 1_000_000);
        let asked = Asked::default();
        assert_eq!(asked.told(at(0)), None);
        let told = |second| asked.told(at(second)).map(|told| (told.checks, told.last, told.minute)).unwrap();
        asked.count(3, at(1));
        asked.count(4, at(59));
        assert_eq!(told(59), (7, at(59), 0), "the minute is not over");
        assert_eq!(told(60), (7, at(59), 7));
        asked.count(5, at(61));
        assert_eq!(told(62), (12, at(61), 7));
        assert_eq!(told(120), (12, at(61), 5));
        assert_eq!(told(180), (12, at(61), 0), "nothing came in the last one");
        // A clock that is set back takes nothing away.
        asked.count(1, at(30));
        assert_eq!((told(180).0, told(180).1), (13, at(61)));
    }

    #[test]
    fn a_key_counts_over_its_connections_and_others_apart() {
        let activities = Activities::default();
        let now = Moment::from_micros(1_795_000_000_000_000);
        activities.of([1; 32]).count(2, now);
        activities.of([1; 32]).count(2, now);
        activities.of([2; 32]);
        let told = activities.told(now);
        assert_eq!((told.len(), told[&[1; 32]].checks), (1, 4));
    }

    #[test]
    fn many_threads_lose_no_check() {
        let asked = Asked::default();
        let now = Moment::from_micros(1_795_000_000_000_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| asked.count(1, now)));
            }
        });
        assert_eq!(asked.told(now.plus_seconds(60)).unwrap(), Activity { checks: 40_000, last: now, minute: 40_000 });
    }
}
