//! How far a long step is, on stderr: nothing for what takes less than a second, then a line.
//!
//! On a terminal the line is rewritten in place; elsewhere, and for what goes on behind a running server whose log it
//! would garble, there is a new one every few seconds. The step counts, a thread beside it looks at the count and
//! writes: what is counted is not held up, and a step that counts nothing is told of too.

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Steps that are over by then are not told of.
const QUIET: Duration = Duration::from_secs(1);
/// Between two states of a line that is rewritten in place.
const REWRITE_EVERY: Duration = Duration::from_millis(250);
/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Back to the beginning of the line, and nothing left of it.
const CLEAR: &str = "\r\x1b[K";

/// Where long steps tell how far they are. Clones tell it in the same place.
#[derive(Clone, Default)]
pub struct Progress(Option<Place>);

#[derive(Clone)]
struct Place {
    write: Arc<dyn Fn(&str) + Send + Sync>,
    style: Style,
}

/// How far a step is; its thread counts, another one looks.
#[derive(Debug, Default)]
pub struct Counter {
    done: AtomicU64,
    of: AtomicU64,
}

impl Counter {
    /// So many are done, of so many; 0 where nobody knows of how many.
    pub fn at(&self, done: u64, of: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.of.store(of, Ordering::Relaxed);
    }

    fn read(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed))
    }
}

impl Progress {
    /// Tells nobody.
    pub fn silent() -> Progress {
        Progress(None)
    }

    /// On stderr, as a terminal or a file wants it.
    pub fn on_stderr() -> Progress {
        let style = if io::stderr().is_terminal() { Style::InPlace } else { Style::Lines };
        let write = Arc::new(|text: &str| {
            // Nobody reads it: the step goes on all the same.
            _ = io::stderr().write_all(text.as_bytes());
        });
        Progress(Some(Place { write, style }))
    }

    /// Does a step, and tells how far it is if that takes long: `what` as in `reading the journal`, counted in `units`.
    pub fn during<T>(&self, what: &str, units: &str, step: impl FnOnce(&Counter) -> T) -> T {
        match &self.0 {
            None => step(&Counter::default()),
            Some(place) => tell_beside(place, place.style, what, units, step),
        }
    }

    /// [`Progress::during`] for what goes on while the server serves.
    pub fn behind<T>(&self, what: &str, units: &str, step: impl FnOnce(&Counter) -> T) -> T {
        match &self.0 {
            None => step(&Counter::default()),
            Some(place) => tell_beside(place, Style::Lines, what, units, step),
        }
    }
}

fn tell_beside<T>(place: &Place, style: Style, what: &str, units: &str, step: impl FnOnce(&Counter) -> T) -> T {
    let (counter, began) = (Counter::default(), Instant::now());
    let (over, is_over) = crossbeam_channel::bounded::<()>(0);
    thread::scope(|scope| {
        let look = || {
            let mut teller = Teller { style, what, units, told: None };
            let mut told = Vec::new();
            while is_over.recv_timeout(teller.wait(began.elapsed())).is_err_and(|error| error.is_timeout()) {
                told.extend(teller.at(counter.read(), began.elapsed()));
                told.drain(..).for_each(|text: String| (place.write)(&text));
            }
            teller.end(began.elapsed()).into_iter().for_each(|text| (place.write)(&text));
        };
        // Without a thread nobody is told, and the step is done all the same.
        _ = thread::Builder::new().name("progress".into()).spawn_scoped(scope, look);
        let done = step(&counter);
        drop(over);
        done
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    InPlace,
    Lines,
}

/// What is written when. Times are since the step began.
struct Teller<'a> {
    style: Style,
    what: &'a str,
    units: &'a str,
    /// When something was written last.
    told: Option<Duration>,
}

impl Teller<'_> {
    /// How long nothing is to be written yet.
    fn wait(&self, now: Duration) -> Duration {
        let every = if self.style == Style::InPlace { REWRITE_EVERY } else { LINE_EVERY };
        self.told.map_or(QUIET, |told| told + every).saturating_sub(now)
    }

    fn at(&mut self, (done, of): (u64, u64), now: Duration) -> Option<String> {
        if !self.wait(now).is_zero() {
            return None;
        }
        self.told = Some(now);
        let (what, units) = (self.what, self.units);
        let line = match (done, of) {
            (0, 0) => format!("{what} ..."),
            (done, 0) => format!("{what}: {} {units}", grouped(done)),
            (done, of) => format!("{what}: {} of {} {units}", grouped(done), grouped(of)),
        };
        Some(self.line(&line, ""))
    }

    /// Only a step that was told of has an end to tell.
    fn end(&self, now: Duration) -> Option<String> {
        self.told?;
        Some(self.line(&format!("{}: done in {:.1} s", self.what, now.as_secs_f64()), "\n"))
    }

    fn line(&self, text: &str, end: &str) -> String {
        match self.style {
            Style::InPlace => format!("{CLEAR}{text}{end}"),
            Style::Lines => format!("{text}\n"),
        }
    }
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What is written when somebody looks at these moments (milliseconds) and finds these counts.
    fn told(style: Style, looks: &[(u64, u64, u64)], end: u64) -> Vec<String> {
        let mut teller = Teller { style, what: "reading the journal", units: "changes", told: None };
        let looked = looks.iter().map(|(at, done, of)| teller.at((*done, *of), Duration::from_millis(*at)));
        let mut told: Vec<String> = looked.collect::<Vec<_>>().into_iter().flatten().collect();
        told.extend(teller.end(Duration::from_millis(end)));
        told
    }

    #[test]
    fn a_short_step_is_not_told_of() {
        for style in [Style::InPlace, Style::Lines] {
            assert_eq!(told(style, &[(0, 0, 10), (500, 5, 10), (999, 9, 10)], 999), Vec::<String>::new());
        }
    }

    #[test]
    fn a_file_gets_a_line_now_and_then() {
        let looks = [(1_000, 412_000, 1_000_000), (3_000, 500_000, 1_000_000), (6_000, 999_999, 1_000_000)];
        let expected = [
            "reading the journal: 412,000 of 1,000,000 changes\n",
            "reading the journal: 999,999 of 1,000,000 changes\n",
            "reading the journal: done in 7.3 s\n",
        ];
        assert_eq!(told(Style::Lines, &looks, 7_300), expected);
    }

    #[test]
    fn a_terminal_has_its_line_rewritten() {
        let looks = [(1_000, 1, 0), (1_200, 2, 0), (1_250, 1_234, 0)];
        let expected = [
            "\r\x1b[Kreading the journal: 1 changes",
            "\r\x1b[Kreading the journal: 1,234 changes",
            "\r\x1b[Kreading the journal: done in 1.3 s\n",
        ];
        assert_eq!(told(Style::InPlace, &looks, 1_300), expected);
    }

    #[test]
    fn what_is_not_counted_is_told_of_too() {
        let expected = ["reading the journal ...\n", "reading the journal: done in 2.0 s\n"];
        assert_eq!(told(Style::Lines, &[(1_000, 0, 0)], 2_000), expected);
    }

    #[test]
    fn steps_are_done_whether_they_are_told_of_or_not() {
        let written = Arc::new(Mutex::new(String::new()));
        let place = Arc::clone(&written);
        let write = Arc::new(move |text: &str| place.lock().unwrap().push_str(text));
        let telling = Progress(Some(Place { write, style: Style::Lines }));
        for progress in [Progress::silent(), telling] {
            let done = progress.during("counting", "numbers", |counter| {
                counter.at(1, 2);
                7
            });
            assert_eq!(done + progress.behind("counting", "numbers", |_| 1), 8);
        }
        assert_eq!(*written.lock().unwrap(), "", "none of them took a second");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
