//! Weekly windows as a grid of days and minutes: what is open where, painted and wiped to the minute. Pure.
//!
//! A window belongs to the day it starts on, also where it runs over midnight: on holidays that makes a difference (S3).

use keyward_protocol::schedule::{Days, Span, Window};

/// Minutes of a day.
pub const DAY: u16 = 1_440;

/// A stretch from a minute of the day that it starts on; an end past midnight is more than [`DAY`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Stretch {
    from: u16,
    to: u16,
}

impl Stretch {
    fn of(span: Span) -> Stretch {
        let over = if span.over_midnight() { DAY } else { 0 };
        Stretch { from: span.from_minute(), to: span.to_minute() + over }
    }

    /// As a span; `None` where it is empty, or longer than one can be.
    fn span(self) -> Option<Span> {
        let to = if self.to > DAY { self.to - DAY } else { self.to };
        let fits = self.from < self.to && (self.to <= DAY || to < self.from);
        fits.then(|| Span::new(self.from, to)).flatten()
    }
}

/// The stretches that start on each day, Monday first.
type Week = [Vec<Stretch>; 7];

fn week(windows: &[Window]) -> Week {
    let mut week = Week::default();
    for window in windows {
        let days = (0_u8..).zip(&mut week).filter(|(day, _)| window.days.contains(*day));
        days.for_each(|(_, stretches)| stretches.push(Stretch::of(window.span)));
    }
    week
}

/// Windows that open the same: each stretch once, with all days that it starts on.
fn windows(week: Week) -> Vec<Window> {
    let mut found: Vec<(Stretch, u8)> = Vec::new();
    for (day, mut stretches) in week.into_iter().enumerate() {
        join(&mut stretches);
        for stretch in stretches {
            match found.iter_mut().find(|(known, _)| *known == stretch) {
                Some((_, days)) => *days |= 1 << day,
                None => found.push((stretch, 1 << day)),
            }
        }
    }
    let window = |(stretch, days): (Stretch, u8)| Some(Window { days: Days::from_bits(days)?, span: stretch.span()? });
    found.into_iter().filter_map(window).collect()
}

/// Makes one of stretches that meet, where one can be that long.
fn join(stretches: &mut Vec<Stretch>) {
    stretches.sort_unstable();
    let mut joined: Vec<Stretch> = Vec::new();
    for next in stretches.drain(..) {
        let one = joined.last().map(|last| Stretch { from: last.from, to: last.to.max(next.to) });
        match (joined.last_mut(), one) {
            (Some(last), Some(one)) if next.from <= last.to && one.span().is_some() => *last = one,
            _ => joined.push(next),
        }
    }
    *stretches = joined;
}

/// How many minutes of `from..to` of a day (Monday 0) are open; both are minutes of that day.
pub fn open_minutes(windows: &[Window], day: u8, from: u16, to: u16) -> u16 {
    let before = (day + 6) % 7;
    let own = windows.iter().filter(|window| window.days.contains(day)).map(|window| Stretch::of(window.span));
    let spilled = windows.iter().filter(|window| window.days.contains(before)).map(|window| {
        let stretch = Stretch::of(window.span);
        Stretch { from: stretch.from.saturating_sub(DAY), to: stretch.to.saturating_sub(DAY) }
    });
    covered(own.chain(spilled), from, to)
}

/// How many minutes of `from..to` are in one of these spans, on the day that they start on.
pub fn open_minutes_of(spans: &[Span], from: u16, to: u16) -> u16 {
    covered(spans.iter().map(|span| Stretch::of(*span)), from, to)
}

fn covered(stretches: impl Iterator<Item = Stretch>, from: u16, to: u16) -> u16 {
    let mut cut: Vec<Stretch> = stretches
        .map(|one| Stretch { from: one.from.max(from), to: one.to.min(to) })
        .filter(|one| one.from < one.to)
        .collect();
    cut.sort_unstable();
    let (mut minutes, mut until) = (0, from);
    for one in cut {
        minutes += one.to.max(until) - one.from.max(until);
        until = until.max(one.to);
    }
    minutes
}

/// Opens `from..to` of a day.
pub fn paint(open: &[Window], day: u8, from: u16, to: u16) -> Vec<Window> {
    let mut week = week(open);
    if let Some(stretches) = week.get_mut(usize::from(day)) {
        stretches.push(Stretch { from, to });
    }
    windows(week)
}

/// Closes `from..to` of a day, whichever day the windows started on. What is left of one after the cut starts on the day
/// it is on.
pub fn wipe(open: &[Window], day: u8, from: u16, to: u16) -> Vec<Window> {
    let mut wiped = Week::default();
    for (start, stretches) in (0_u8..).zip(week(open)) {
        for stretch in stretches {
            let (from, to) = match start {
                start if start == day => (from, to),
                start if (start + 1) % 7 == day => (from + DAY, to + DAY),
                _ => (u16::MAX, u16::MAX),
            };
            let left = [
                Stretch { from: stretch.from, to: stretch.to.min(from) },
                Stretch { from: stretch.from.max(to), to: stretch.to },
            ];
            for left in left.into_iter().filter(|left| left.from < left.to) {
                let (day, left) = match left.from {
                    past if past >= DAY => ((start + 1) % 7, Stretch { from: past - DAY, to: left.to - DAY }),
                    _ => (start, left),
                };
                if let Some(stretches) = wiped.get_mut(usize::from(day)) {
                    stretches.push(left);
                }
            }
        }
    }
    windows(wiped)
}

/// Opens or closes `from..to` among spans of one day.
pub fn toggle_spans(spans: &[Span], from: u16, to: u16) -> Vec<Span> {
    // As if it were Monday, and Tuesday always shut: what runs over midnight stays with it.
    let monday = |span: &Span| Days::from_bits(1).map(|days| Window { days, span: *span });
    let open: Vec<Window> = spans.iter().filter_map(monday).collect();
    let shut = open_minutes_of(spans, from, to) < to - from;
    let changed = if shut { paint(&open, 0, from, to) } else { wipe(&open, 0, from, to) };
    changed.into_iter().filter(|window| window.days.contains(0)).map(|window| window.span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<Window> {
        text.split(", ").filter(|text| !text.is_empty()).map(|text| Window::parse(text).unwrap()).collect()
    }

    fn told(windows: &[Window]) -> String {
        windows.iter().map(Window::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The grid says for each minute of the week whether it is open.
    fn minutes(windows: &[Window]) -> Vec<bool> {
        (0..7)
            .flat_map(|day| (0..DAY).map(move |minute| (day, minute)))
            .map(|(day, minute)| open_minutes(windows, day, minute, minute + 1) == 1)
            .collect()
    }

    // S1
    #[test]
    fn painting_and_wiping_changes_those_minutes_and_no_others() {
        let weeks = [
            "",
            "daily 00:00-24:00",
            "Mon-Fri 08:00-18:00, Sat 10:00-14:00",
            "Sun 22:00-06:00, Mon 05:30-07:15",
            "Fri,Sat 20:10-02:50, Sat 01:00-03:00",
            "Mon 10:00-09:59",
        ];
        let cells = [(0, 480, 510), (6, 1_410, 1_440), (0, 0, 30), (5, 120, 180), (4, 0, 1_440), (6, 1_380, 1_440)];
        for text in weeks {
            let open = parse(text);
            let before = minutes(&open);
            for (day, from, to) in cells {
                for (after, is_open) in [(paint(&open, day, from, to), true), (wipe(&open, day, from, to), false)] {
                    let mut expected = before.clone();
                    let start = usize::from(day) * usize::from(DAY);
                    expected[start + usize::from(from)..start + usize::from(to)].fill(is_open);
                    assert!(minutes(&after) == expected, "{text}: {day} {from}-{to} {is_open}: {}", told(&after));
                }
            }
        }
    }

    // S3
    #[test]
    fn a_window_stays_with_the_day_it_starts_on() {
        let cases = [
            // Painted on: one window, still of Friday's.
            (paint(&parse("Fri 22:00-02:00"), 4, 1_260, 1_320), "Fri 21:00-02:00"),
            // After midnight is the next day's own.
            (paint(&parse("Fri 22:00-02:00"), 5, 120, 180), "Fri 22:00-02:00, Sat 02:00-03:00"),
            // The rest after a cut starts where it is.
            (wipe(&parse("Fri 22:00-02:00"), 5, 0, 30), "Fri 22:00-24:00, Sat 00:30-02:00"),
            (wipe(&parse("Sun 22:00-02:00"), 0, 0, 30), "Mon 00:30-02:00, Sun 22:00-24:00"),
            (wipe(&parse("Fri 22:00-02:00"), 4, 1_320, 1_380), "Fri 23:00-02:00"),
            // No window is longer than a day.
            (paint(&parse("Mon 10:00-09:00"), 0, 480, 600), "Mon 08:00-10:00, Mon 10:00-09:00"),
            (paint(&parse("Mon-Fri 08:00-18:00"), 5, 480, 1_080), "Mon-Sat 08:00-18:00"),
        ];
        for (windows, expected) in cases {
            assert_eq!(told(&windows), expected);
        }
    }

    #[test]
    fn spans_of_a_holiday_are_painted_and_wiped_alike() {
        let spans = |texts: &[&str]| texts.iter().map(|text| Span::parse(text).unwrap()).collect::<Vec<_>>();
        assert_eq!(toggle_spans(&[], 600, 630), spans(&["10:00-10:30"]));
        assert_eq!(toggle_spans(&spans(&["10:00-11:00"]), 600, 630), spans(&["10:30-11:00"]));
        assert_eq!(toggle_spans(&spans(&["22:00-02:00"]), 1_290, 1_320), spans(&["21:30-02:00"]));
    }
}
