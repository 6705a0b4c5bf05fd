//! Schedules on the clock: whether one is open at a moment, and its openings as stretches of absolute time.
//!
//! The two are written apart on purpose: [`open_at`] reads the wall clock and is obviously S1, S3 and S4;
//! [`openings`] is what the index is compiled from, and is tested against it.

use jiff::{Timestamp, civil, tz::TimeZone};
use keyward_protocol::{
    schedule::{Hours, OnHolidays, Span},
    time::{Date, Moment},
};

use super::directory::Holiday;

const MINUTE_MICROS: i64 = 60_000_000;
const DAY_MICROS: i64 = 1_440 * MINUTE_MICROS;

/// Whether the schedule is open at this moment, by the wall clock of `zone`.
///
/// A window contains a moment when the wall clock then shows a time inside it: one that shows twice is inside both
/// times, one that never shows is skipped (S4).
pub fn open_at(hours: &Hours, holidays: &[Holiday], zone: &TimeZone, at: Moment) -> bool {
    let wall = zone.to_datetime(at.timestamp());
    let (today, since_midnight) = (wall.date(), micros_since_midnight(wall));
    let starts_today = spans_starting(hours, holidays, today).any(|span| contains(span, since_midnight));
    let began_yesterday = today.yesterday().is_ok_and(|yesterday| {
        spans_starting(hours, holidays, yesterday)
            .filter(|span| span.over_midnight())
            .any(|span| since_midnight < i64::from(span.to_minute()) * MINUTE_MICROS)
    });
    starts_today || began_yesterday
}

fn contains(span: Span, since_midnight: i64) -> bool {
    let from = i64::from(span.from_minute()) * MINUTE_MICROS;
    let to = i64::from(span.to_minute()) * MINUTE_MICROS;
    since_midnight >= from && (span.over_midnight() || since_midnight < to)
}

/// The stretches that start on a date: the weekday's windows, or what the schedule does on holidays (S3).
fn spans_starting<'a>(hours: &'a Hours, holidays: &'a [Holiday], date: civil::Date) -> impl Iterator<Item = Span> + 'a {
    let day = Date::from_civil(date);
    let holiday = holidays.iter().any(|holiday| holiday.from <= day && day <= holiday.to);
    let (usual, own): (bool, &[Span]) = match (&hours.on_holidays, holiday) {
        (_, false) | (OnHolidays::AsUsual, true) => (true, &[]),
        (OnHolidays::Closed, true) => (false, &[]),
        (OnHolidays::Own(spans), true) => (false, spans),
    };
    let weekday = u8::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
    hours
        .windows
        .iter()
        .filter(move |window| usual && window.days.contains(weekday))
        .map(|window| window.span)
        .chain(own.iter().copied())
}

fn micros_since_midnight(wall: civil::DateTime) -> i64 {
    let time = wall.time();
    let minutes = i64::from(time.hour()) * 60 + i64::from(time.minute());
    minutes * MINUTE_MICROS + i64::from(time.second()) * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1_000
}

/// Every opening that meets `[from, to)`, sorted, apart from each other, from inclusive, to exclusive, cut to the range.
pub fn openings(
    hours: &Hours,
    holidays: &[Holiday],
    zone: &TimeZone,
    from: Moment,
    to: Moment,
) -> Vec<(Moment, Moment)> {
    let mut found = Vec::new();
    for (start, end, offset_micros) in constant_offsets(zone, from, to) {
        // Inside this stretch the wall clock is the absolute time moved by a constant.
        let (wall_start, wall_end) = (start.plus_micros(offset_micros), end.plus_micros(offset_micros));
        let Some(mut date) = date_of(wall_start).and_then(|date| date.yesterday().ok()) else { continue };
        while micros_of(date) < wall_end.as_micros() {
            for span in spans_starting(hours, holidays, date) {
                let midnight = micros_of(date);
                let next_day = if span.over_midnight() { DAY_MICROS } else { 0 };
                let opens = midnight + i64::from(span.from_minute()) * MINUTE_MICROS;
                let closes = midnight + i64::from(span.to_minute()) * MINUTE_MICROS + next_day;
                let opens = opens.max(wall_start.as_micros()) - offset_micros;
                let closes = closes.min(wall_end.as_micros()) - offset_micros;
                if opens < closes {
                    found.push((Moment::from_micros(opens), Moment::from_micros(closes)));
                }
            }
            match date.tomorrow() {
                Ok(tomorrow) => date = tomorrow,
                Err(_) => break,
            }
        }
    }
    union(found)
}

/// Sorts stretches and joins those that touch or overlap.
pub fn union(mut stretches: Vec<(Moment, Moment)>) -> Vec<(Moment, Moment)> {
    stretches.sort_unstable();
    let mut joined: Vec<(Moment, Moment)> = Vec::with_capacity(stretches.len());
    for (from, to) in stretches {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// Cuts `[from, to)` where the zone's offset changes: stretches with their offset in microseconds.
fn constant_offsets(zone: &TimeZone, from: Moment, to: Moment) -> Vec<(Moment, Moment, i64)> {
    let mut cuts = vec![from];
    // `following` starts after its argument; a transition exactly at `from` is already in force there.
    cuts.extend(
        zone.following(from.timestamp())
            .map(|transition| Moment::from_timestamp(transition.timestamp()))
            .skip_while(|cut| *cut <= from)
            .take_while(|cut| *cut < to),
    );
    let ends: Vec<Moment> = cuts.iter().skip(1).copied().chain([to]).collect();
    cuts.into_iter()
        .zip(ends)
        .map(|(start, end)| {
            let offset = zone.to_offset(start.timestamp()).seconds();
            (start, end, i64::from(offset) * 1_000_000)
        })
        .collect()
}

/// The date whose midnight, taken as if it were UTC, is at or before this many microseconds.
fn date_of(wall: Moment) -> Option<civil::Date> {
    let timestamp = Timestamp::from_microsecond(wall.as_micros()).ok()?;
    Some(TimeZone::UTC.to_datetime(timestamp).date())
}

/// Microseconds from 1970-01-01 to a date's midnight, both on the wall.
fn micros_of(date: civil::Date) -> i64 {
    let days = civil::Date::constant(1970, 1, 1).until(date).map_or(0, |span| i64::from(span.get_days()));
    days * DAY_MICROS
}

/// The moment `days` times 24 hours later.
pub fn days_later(at: Moment, days: i64) -> Moment {
    at.plus_micros(days.saturating_mul(DAY_MICROS))
}
