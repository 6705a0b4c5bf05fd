//! Moments, dates and minutes of the day.

use core::fmt;

use jiff::{Timestamp, tz::TimeZone};

/// A moment: whole microseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// Moments are kept to the microsecond. Bounds of periods that are finer are refused when they are entered
/// ([`Moment::parse_exact`]); the moment of a check is cut to the microsecond it lies in ([`Moment::parse`]),
/// which changes no answer, since every bound lies on a whole microsecond.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct Moment(i64);

/// Why a text is no moment.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MomentError {
    /// Not RFC 3339, or without an offset, or with a zone suffix.
    #[error("`{0}` is no moment: write it like 2026-11-23T10:00:00-05:00, with an offset and no zone name")]
    Format(String),
    /// Outside the years that civil time is kept for (-9999 to 9999).
    #[error("`{0}` is outside the years that keyward can keep")]
    Range(String),
    /// Finer than a microsecond.
    #[error("`{0}` is finer than a microsecond: give at most six digits after the second")]
    TooFine(String),
}

impl Moment {
    /// The earliest moment.
    pub const MIN: Moment = Moment(i64::MIN);
    /// Past every other moment: "never ends".
    pub const MAX: Moment = Moment(i64::MAX);

    /// The moment this many microseconds after 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Moment {
        Moment(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This moment moved by so many microseconds, stopping at the ends of the range.
    pub const fn plus_micros(self, micros: i64) -> Moment {
        Moment(self.0.saturating_add(micros))
    }

    /// This moment moved by so many seconds, stopping at the ends of the range.
    pub const fn plus_seconds(self, seconds: i64) -> Moment {
        Moment(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Whether it lies in the years that civil time is kept for. [`Moment::MIN`] and [`Moment::MAX`] do not.
    pub fn is_civil(self) -> bool {
        Timestamp::from_microsecond(self.0).is_ok()
    }

    /// This moment as jiff's, cut to the years that it keeps.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }

    /// jiff's moment, cut to the microsecond it lies in.
    pub fn from_timestamp(timestamp: Timestamp) -> Moment {
        let nanos = timestamp.as_nanosecond().div_euclid(1_000);
        Moment(i64::try_from(nanos).expect("the years -9999 to 9999 fit 64 bits of microseconds"))
    }

    /// Reads an RFC 3339 moment with an offset; finer fractions are cut to the microsecond.
    pub fn parse(text: &str) -> Result<Moment, MomentError> {
        parse_timestamp(text).map(Moment::from_timestamp)
    }

    /// Reads an RFC 3339 moment with an offset that lies on a whole microsecond: the bound of a period.
    pub fn parse_exact(text: &str) -> Result<Moment, MomentError> {
        let timestamp = parse_timestamp(text)?;
        if timestamp.as_nanosecond().rem_euclid(1_000) != 0 {
            return Err(MomentError::TooFine(text.to_owned()));
        }
        Ok(Moment::from_timestamp(timestamp))
    }

    /// RFC 3339 with the offset that `zone` has at this moment, as answers and exports show it.
    pub fn rfc3339(self, zone: &TimeZone) -> String {
        let seconds = zone.to_offset(self.timestamp()).seconds();
        // RFC 3339 offsets are whole minutes; historical local mean times are shown in UTC instead.
        if seconds % 60 != 0 {
            return self.to_string();
        }
        let sign = if seconds < 0 { '-' } else { '+' };
        let minutes = seconds.abs() / 60;
        let civil = zone.to_datetime(self.timestamp());
        format!("{civil}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// RFC 3339 in UTC.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.timestamp(), f)
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn parse_timestamp(text: &str) -> Result<Timestamp, MomentError> {
    let bytes = text.as_bytes();
    let ends_in_offset = bytes.last().is_some_and(|last| matches!(last, b'Z' | b'z' | b'0'..=b'9'));
    // jiff reads more than RFC 3339 (zone suffixes, other shapes); the shape is checked here.
    if !ends_in_offset || !is_rfc3339(bytes) {
        return Err(MomentError::Format(text.to_owned()));
    }
    text.parse::<Timestamp>().map_err(|_| MomentError::Range(text.to_owned()))
}

/// `YYYY-MM-DDTHH:MM:SS[.f…](Z|±HH:MM)`; the ranges of the numbers are left to jiff.
fn is_rfc3339(bytes: &[u8]) -> bool {
    let shape = |range: core::ops::Range<usize>, pattern: &[u8]| {
        bytes.get(range).is_some_and(|part| {
            part.iter().zip(pattern).all(|(byte, want)| match want {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't' | b' '),
                want => byte == want,
            })
        })
    };
    if !shape(0..19, b"0000-00-00T00:00:00") {
        return false;
    }
    let mut rest = bytes.get(19..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return false;
        }
        rest = fraction.get(digits..).unwrap_or_default();
    }
    match rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', a, b, b':', c, d] => [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// A date without a zone, as a holiday is given.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct Date {
    /// -9999 to 9999.
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
    /// 1 to 31.
    pub day: i8,
}

impl Date {
    /// This date as jiff's; `None` where there is no such date (30 February).
    pub fn civil(self) -> Option<jiff::civil::Date> {
        jiff::civil::Date::new(self.year, self.month, self.day).ok()
    }

    /// jiff's date as ours.
    pub fn from_civil(date: jiff::civil::Date) -> Date {
        Date { year: date.year(), month: date.month(), day: date.day() }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Formats a length of time for people: `41us`, `12ms`, `3s`, `4m11s`, `2h`, `5d`.
pub fn human_micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..1_000_000 => format!("{}ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{}s", micros / 1_000_000),
        60_000_000..3_600_000_000 => format!("{}m{:02}s", micros / 60_000_000, micros / 1_000_000 % 60),
        3_600_000_000..86_400_000_000 => format!("{}h", micros / 3_600_000_000),
        _ => format!("{}d", micros / 86_400_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_need_an_offset_and_take_no_zone_name() {
        for bad in ["2026-11-23T10:00:00", "2026-11-23", "2026-11-23T10:00:00-05:00[America/New_York]", "", "10:00"] {
            assert!(matches!(Moment::parse(bad), Err(MomentError::Format(_))), "{bad}");
        }
        assert!(matches!(Moment::parse("2026-13-23T10:00:00Z"), Err(MomentError::Range(_))));
    }

    #[test]
    fn checks_are_cut_to_the_microsecond_and_bounds_must_lie_on_one() {
        let fine = "2026-11-23T17:59:59.999999999-05:00";
        let cut = Moment::parse(fine).unwrap();
        assert_eq!(cut, Moment::parse("2026-11-23T17:59:59.999999-05:00").unwrap());
        assert!(cut < Moment::parse("2026-11-23T18:00:00-05:00").unwrap());
        assert!(matches!(Moment::parse_exact(fine), Err(MomentError::TooFine(_))));
    }

    #[test]
    fn moments_are_shown_with_the_offset_of_the_zone() {
        let zone = TimeZone::get("Asia/Kathmandu").unwrap();
        let moment = Moment::parse("2026-11-23T10:00:00.5Z").unwrap();
        assert_eq!(moment.rfc3339(&zone), "2026-11-23T15:45:00.5+05:45");
        assert_eq!(Moment::parse(&moment.rfc3339(&zone)).unwrap(), moment);
    }
}
