//! How many checks were granted and denied, five seconds by five seconds.

use std::collections::VecDeque;

use keyward_protocol::time::Moment;

/// One bar stands for this many seconds.
pub const BAR_SECONDS: i64 = 5;
/// Bars in a minute.
pub const BARS_A_MINUTE: usize = 12;
/// So many bars are kept: ten minutes.
pub const BARS_MAX: usize = 120;

/// Granted and denied checks over the last minutes, out of the server's running totals.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// (granted, denied) a bar, oldest first; the last is still growing.
    bars: VecDeque<(u64, u64)>,
    /// Which bar the last one is, counted in [`BAR_SECONDS`] since 1970.
    newest: i64,
    /// The totals told last. Only what comes on top of them is counted.
    totals: Option<(u64, u64)>,
}

impl Rates {
    /// Goes on to the bar that `now` lies in.
    pub fn advance(&mut self, now: Moment) {
        let bar = now.as_micros().div_euclid(BAR_SECONDS * 1_000_000);
        let gone_by = bar.saturating_sub(self.newest);
        self.newest = bar;
        if gone_by < 0 || usize::try_from(gone_by).is_ok_and(|bars| bars >= BARS_MAX) {
            // The clock was set, or nothing was heard for longer than is kept.
            self.bars.clear();
            return;
        }
        for _ in 0..gone_by {
            self.push((0, 0));
        }
    }

    /// Takes the running totals. The first ones, and those of a server that began anew, are where counting starts.
    pub fn totals(&mut self, granted: u64, denied: u64) {
        let grown = match self.totals.replace((granted, denied)) {
            Some(before) if before.0 <= granted && before.1 <= denied => (granted - before.0, denied - before.1),
            _ => (0, 0),
        };
        if self.bars.is_empty() {
            self.push((0, 0));
        }
        if let Some(last) = self.bars.back_mut() {
            last.0 = last.0.saturating_add(grown.0);
            last.1 = last.1.saturating_add(grown.1);
        }
    }

    /// Granted and denied a bar, oldest first, the newest `count` of them.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = (u64, u64)> {
        self.bars.iter().skip(self.bars.len().saturating_sub(count)).copied()
    }

    /// Granted and denied in the last minute: eleven whole bars and the one that is still growing.
    pub fn last_minute(&self) -> (u64, u64) {
        self.newest(BARS_A_MINUTE)
            .fold((0, 0), |sum, bar| (u64::saturating_add(sum.0, bar.0), u64::saturating_add(sum.1, bar.1)))
    }

    fn push(&mut self, bar: (u64, u64)) {
        if self.bars.len() == BARS_MAX {
            self.bars.pop_front();
        }
        self.bars.push_back(bar);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment::default().plus_seconds(1_000_000 + seconds)
    }

    #[test]
    fn only_what_comes_on_top_is_counted() {
        let mut rates = Rates::default();
        rates.advance(at(0));
        rates.totals(1_000, 10);
        rates.totals(1_007, 11);
        rates.advance(at(12));
        rates.totals(1_010, 11);
        // The server began anew.
        rates.totals(2, 0);
        rates.totals(3, 1);
        assert_eq!(rates.newest(9).collect::<Vec<_>>(), [(7, 1), (0, 0), (4, 1)]);
        assert_eq!(rates.last_minute(), (11, 2));
        rates.advance(at(65));
        assert_eq!(rates.last_minute(), (4, 1));
    }

    #[test]
    fn a_clock_that_jumps_begins_anew() {
        let mut rates = Rates::default();
        rates.advance(at(0));
        rates.totals(0, 0);
        rates.totals(5, 5);
        rates.advance(at(-60));
        assert_eq!(rates.newest(9).count(), 0);
        rates.totals(6, 5);
        assert_eq!(rates.last_minute(), (1, 0));
    }
}
