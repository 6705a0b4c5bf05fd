//! Schedules: weekly windows in a property's local time (S1), and what they do on holidays (S3).

use core::fmt;

use crate::limits::WINDOWS_PER_SCHEDULE_MAX;

/// A set of weekdays, Monday the lowest bit.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct Days(u8);

const DAY_NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Days {
    /// Every day of the week.
    pub const DAILY: Days = Days(0x7f);

    /// The days with these bits, Monday the lowest; `None` when empty or past Sunday.
    pub fn from_bits(bits: u8) -> Option<Days> {
        (1..=0x7f).contains(&bits).then_some(Days(bits))
    }

    /// The days as bits, Monday the lowest.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether the day with this number (Monday 0) is among them.
    pub fn contains(self, monday_zero: u8) -> bool {
        monday_zero < 7 && self.0 >> monday_zero & 1 == 1
    }

    fn parse(text: &str) -> Option<Days> {
        if text == "daily" {
            return Some(Days::DAILY);
        }
        let day = |name: &str| DAY_NAMES.iter().position(|known| *known == name);
        let mut bits = 0;
        for part in text.split(',') {
            match part.split_once('-') {
                None => bits |= 1 << day(part)?,
                Some((first, last)) => {
                    let (mut at, last) = (day(first)?, day(last)?);
                    bits |= 1 << at;
                    while at != last {
                        at = (at + 1) % 7;
                        bits |= 1 << at;
                    }
                }
            }
        }
        Days::from_bits(bits)
    }
}

/// As a site file writes them: `daily`, `Mon-Fri`, `Sat-Mon`, `Mon,Wed,Fri`.
impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Days::DAILY {
            return f.write_str("daily");
        }
        let names: Vec<&str> =
            DAY_NAMES.iter().enumerate().filter(|(n, _)| self.0 >> n & 1 == 1).map(|(_, name)| *name).collect();
        // A run of three or more days, around the end of the week or not, is written as a range.
        let starts: Vec<usize> = (0..7).filter(|n| self.0 >> n & 1 == 1 && self.0 >> ((n + 6) % 7) & 1 == 0).collect();
        match starts.as_slice() {
            [first] if names.len() >= 3 => {
                let last = (first + names.len() - 1) % 7;
                write!(f, "{}-{}", DAY_NAMES[*first], DAY_NAMES[last])
            }
            _ => f.write_str(&names.join(",")),
        }
    }
}

/// A stretch of the day: from a minute, inclusive, to a minute, exclusive; an end at or before the start runs over
/// midnight into the next day. The start is 0 to 1439, the end 1 to 1440 (24:00) or, over midnight, 0 upwards.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct Span {
    from: u16,
    to: u16,
}

/// Why a text is no window.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WindowError {
    /// The days can't be read.
    #[error("`{0}` names no days: write Mon, Mon-Fri, Mon,Wed,Fri or daily")]
    Days(String),
    /// The times can't be read.
    #[error("`{0}` is no stretch of time: write it like 08:00-18:00, with 24:00 only as an end")]
    Span(String),
    /// The window has no length.
    #[error("`{0}` starts where it ends: write 00:00-24:00 for the whole day, or leave the window out for never")]
    Empty(String),
    /// No space between days and times.
    #[error("`{0}` is no window: write days, a space and times, like `Mon-Fri 08:00-18:00`")]
    Shape(String),
}

impl Span {
    /// From a minute of the day (0 to 1439) to another (0 to 1440); `None` out of range or when both are equal.
    pub fn new(from: u16, to: u16) -> Option<Span> {
        (from < 1440 && to <= 1440 && from != to).then_some(Span { from, to })
    }

    /// The first minute of the day that is inside, 0 to 1439.
    pub fn from_minute(self) -> u16 {
        self.from
    }

    /// The minute that ends it, 0 to 1440; not after [`Span::from_minute`] when it runs over midnight.
    pub fn to_minute(self) -> u16 {
        self.to
    }

    /// Whether it runs over midnight into the next day.
    pub fn over_midnight(self) -> bool {
        self.to < self.from
    }

    /// Reads `HH:MM-HH:MM`.
    pub fn parse(text: &str) -> Result<Span, WindowError> {
        let (from, to) = text
            .split_once('-')
            .and_then(|(from, to)| Some((parse_minute(from)?, parse_minute(to)?)))
            .ok_or_else(|| WindowError::Span(text.to_owned()))?;
        if from == to {
            return Err(WindowError::Empty(text.to_owned()));
        }
        Span::new(from, to).ok_or_else(|| WindowError::Span(text.to_owned()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

fn parse_minute(text: &str) -> Option<u16> {
    let [a, b, b':', c, d] = text.as_bytes() else { return None };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let (hour, minute) = (digit(a)? * 10 + digit(b)?, digit(c)? * 10 + digit(d)?);
    ((hour < 24 && minute < 60) || (hour == 24 && minute == 0)).then_some(hour * 60 + minute)
}

/// A weekly window: a stretch that starts on each of some days.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct Window {
    /// The days on which it starts.
    pub days: Days,
    /// When, on such a day.
    pub span: Span,
}

impl Window {
    /// Reads `Mon-Fri 08:00-18:00`.
    pub fn parse(text: &str) -> Result<Window, WindowError> {
        let (days, span) =
            text.trim().split_once(char::is_whitespace).ok_or_else(|| WindowError::Shape(text.to_owned()))?;
        let days = Days::parse(days).ok_or_else(|| WindowError::Days(days.to_owned()))?;
        Ok(Window { days, span: Span::parse(span.trim())? })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.days, self.span)
    }
}

/// What a schedule does on the property's holidays (S3): it replaces the windows that *start* on their dates.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum OnHolidays {
    /// As on any other such weekday.
    #[default]
    AsUsual,
    /// No window starts.
    Closed,
    /// These start instead.
    Own(Vec<Span>),
}

/// When a door may be opened: weekly windows in local time, their union. No windows is never.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Hours {
    /// The weekly windows.
    pub windows: Vec<Window>,
    /// What holidays change.
    pub on_holidays: OnHolidays,
}

impl Hours {
    /// Whether every window is one that could have been entered: those that came in an archive may be anything.
    pub(crate) fn is_sound(&self) -> bool {
        let own = match &self.on_holidays {
            OnHolidays::Own(spans) => spans.as_slice(),
            OnHolidays::AsUsual | OnHolidays::Closed => &[],
        };
        let days = self.windows.iter().all(|window| Days::from_bits(window.days.bits()).is_some());
        let mut spans = self.windows.iter().map(|window| &window.span).chain(own);
        days && spans.all(|span| Span::new(span.from, span.to).is_some())
    }

    /// Whether there are no more windows than a schedule may have.
    pub fn within_limits(&self) -> bool {
        let own = match &self.on_holidays {
            OnHolidays::Own(spans) => spans.len(),
            OnHolidays::AsUsual | OnHolidays::Closed => 0,
        };
        self.windows.len() <= WINDOWS_PER_SCHEDULE_MAX && own <= WINDOWS_PER_SCHEDULE_MAX
    }
}

/// For people: `Mon-Fri 08:00-18:00, Sat 10:00-14:00`.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.windows.is_empty() {
            return f.write_str("never");
        }
        let windows: Vec<String> = self.windows.iter().map(Window::to_string).collect();
        f.write_str(&windows.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // S1
    #[test]
    fn windows_are_read_and_written() {
        for text in [
            "Mon-Fri 08:00-18:00",
            "Sat 10:00-14:00",
            "daily 00:00-24:00",
            "Sat-Mon 22:00-02:00",
            "Mon,Wed,Fri 06:30-06:31",
        ] {
            assert_eq!(Window::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Window::parse("Fri,Sat 22:00-00:00").unwrap().to_string(), "Fri,Sat 22:00-00:00");
    }

    // S1
    #[test]
    fn windows_that_mean_nothing_are_refused() {
        assert!(matches!(Window::parse("Mon 08:00-08:00"), Err(WindowError::Empty(_))));
        assert!(matches!(Window::parse("Mon 24:00-08:00"), Err(WindowError::Span(_))));
        assert!(matches!(Window::parse("Mon 08:00-24:01"), Err(WindowError::Span(_))));
        assert!(matches!(Window::parse("Mon 8:00-18:00"), Err(WindowError::Span(_))));
        assert!(matches!(Window::parse("Monday 08:00-18:00"), Err(WindowError::Days(_))));
        assert!(matches!(Window::parse("08:00-18:00"), Err(WindowError::Shape(_))));
    }
}
