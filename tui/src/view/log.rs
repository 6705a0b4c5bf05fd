//! The rows of the access log, on its screen and beside others, and its rates.

use keyward_protocol::{decision::Reason, time::Moment};
use ratatui::style::Style;

use super::{
    columns::{self, Column, Listed, Placed, Table},
    head::{clock, clock_millis},
    layout::Band,
    painter::Painter,
    table::{NONE, column, table},
    text::grouped,
};
use crate::app::{BARS_A_MINUTE, BARS_MAX, LogRow, Shell};

/// With so many columns for the table, times have their milliseconds.
const MILLIS_FROM: u16 = 70;
/// With so many columns, rows of any day have their whole date.
const DATE_FROM: u16 = 100;
/// Stands for a person while people are hidden.
pub const HIDDEN: &str = "(hidden)";
/// Room for the words before the bars, and for the count after them.
const BEFORE_BARS: u16 = 7;
const AFTER_BARS: u16 = 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LogField {
    Time,
    /// The whole date and time.
    Date,
    /// The day of the year and the time, to the second or, where room is short, to the minute.
    Day,
    Result,
    Reason,
    Door,
    Person,
    Key,
    Kind,
    Host,
}

/// What the settings call the list of the log, live, recorded and beside other screens.
const LIST: &str = "logs";

/// The log as a list that the settings can name.
pub fn listed() -> Listed {
    Table::named(LIST, &log_columns(0, false)).listed()
}

/// The columns of the log; in any width and with any date they are of the same names.
fn log_columns(width: u16, dated: bool) -> [Column<LogField>; 8] {
    // Half a fraction of a second tells nothing: milliseconds are shown whole or not at all.
    let time = if width >= MILLIS_FROM { 12 } else { 8 };
    let time = match dated {
        false => column(LogField::Time, "TIME", time, time, 3),
        true if width >= DATE_FROM => column(LogField::Date, "TIME", 23, 23, 3),
        true if width >= MILLIS_FROM => column(LogField::Day, "TIME", 14, 14, 3),
        true => column(LogField::Day, "TIME", 11, 11, 1),
    };
    [
        time,
        column(LogField::Result, "RESULT", 6, 6, 0),
        column(LogField::Reason, "REASON", 16, 20, 4),
        column(LogField::Door, "DOOR", 12, 36, 1),
        column(LogField::Person, "PERSON", 10, 28, 2),
        column(LogField::Key, "KEY", 10, 32, 5),
        column(LogField::Kind, "WITH", 6, 8, 6),
        column(LogField::Host, "GUEST OF", 10, 24, 7),
    ]
}

fn placed(dated: bool, painter: &Painter<'_>) -> Vec<Placed<LogField>> {
    let width = painter.inner().1.saturating_sub(1);
    columns::place(&painter.chosen(&Table::named(LIST, &log_columns(width, dated))), width)
}

/// Rows of the log, newest last; `cursor` is counted from the first.
pub fn rows<'r>(
    shell: &Shell,
    band: Band,
    rows: impl Iterator<Item = &'r LogRow>,
    cursor: Option<usize>,
    empty: &str,
    painter: &mut Painter<'_>,
) {
    marked_rows(shell, band, rows.map(|row| (row, false)), cursor, empty, painter);
}

/// The same, each with whether it is marked.
pub fn marked_rows<'r>(
    shell: &Shell,
    band: Band,
    rows: impl Iterator<Item = (&'r LogRow, bool)>,
    cursor: Option<usize>,
    empty: &str,
    painter: &mut Painter<'_>,
) {
    let placed = placed(false, painter);
    draw(shell, band, &placed, rows, cursor, empty, painter);
}

/// The same for rows of any day: they have their date.
pub fn recorded_rows<'r>(
    shell: &Shell,
    band: Band,
    rows: impl Iterator<Item = (&'r LogRow, bool)>,
    cursor: Option<usize>,
    empty: &str,
    painter: &mut Painter<'_>,
) {
    let placed = placed(true, painter);
    draw(shell, band, &placed, rows, cursor, empty, painter);
}

fn draw<'r>(
    shell: &Shell,
    band: Band,
    placed: &[Placed<LogField>],
    rows: impl Iterator<Item = (&'r LogRow, bool)>,
    cursor: Option<usize>,
    empty: &str,
    painter: &mut Painter<'_>,
) {
    let cell = |field: LogField, row: &LogRow, painter: &Painter<'_>| log_cell(shell, field, row, painter);
    table(placed, band, rows, cursor, empty, cell, painter);
}

/// The newest rows, beside another screen.
pub fn strip(shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let newest = shell.feed.logs.newest(usize::from(band.height.saturating_sub(1)));
    rows(shell, band, newest, None, "Nothing yet: checks appear here as locks ask them.", painter);
}

fn log_cell(shell: &Shell, field: LogField, row: &LogRow, painter: &Painter<'_>) -> (String, Style) {
    let theme = painter.theme;
    let or_none = |text: &str| if text.is_empty() { NONE.to_owned() } else { text.to_owned() };
    let person = |text: &str| if shell.people_hidden { HIDDEN.to_owned() } else { or_none(text) };
    match field {
        LogField::Time if painter.inner().1 > MILLIS_FROM => (clock_millis(shell, row.at), theme.quiet),
        LogField::Time => (clock(shell, row.at), theme.quiet),
        LogField::Date => (format!("{} {}", day(shell, row.at), clock_millis(shell, row.at)), theme.quiet),
        LogField::Day => {
            let (day, clock) = (day(shell, row.at), clock(shell, row.at));
            let clock =
                if painter.inner().1 > MILLIS_FROM { clock.as_str() } else { clock.get(..5).unwrap_or_default() };
            (format!("{} {clock}", day.get(day.len().saturating_sub(5)..).unwrap_or_default()), theme.quiet)
        }
        LogField::Result if row.granted => ("ALLOW".into(), theme.allow),
        LogField::Result => ("DENY".into(), theme.deny),
        LogField::Reason => (row.reason.map_or(NONE, |reason| reason.as_str()).into(), theme.text),
        LogField::Door => (or_none(&row.door), theme.text),
        LogField::Person => (person(&row.person), theme.text),
        LogField::Key => (or_none(&row.key), theme.text),
        LogField::Kind => (row.kind.into(), theme.quiet),
        LogField::Host => (row.host.as_deref().map_or_else(|| NONE.into(), person), theme.text),
    }
}

/// The newest row about something in a sentence: the one that the server told of, or one that was seen since. `told` is
/// `None` until it was told, `Some(None)` where the log has `none`.
pub fn newest(
    told: Option<&Option<LogRow>>,
    seen: Option<&LogRow>,
    none: &str,
    say: impl Fn(&LogRow) -> String,
) -> String {
    let later = told.and_then(Option::as_ref).into_iter().chain(seen).max_by_key(|row| row.at);
    match later {
        Some(row) => say(row),
        None if told.is_some() => none.to_owned(),
        None => "...".to_owned(),
    }
}

/// The date: `2026-11-20`.
fn day(shell: &Shell, at: Moment) -> String {
    shell.zone().to_datetime(at.timestamp()).date().to_string()
}

/// Bars of granted and denied checks over the last minutes, and what was denied for which reason.
pub fn rates(shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    if band.height == 0 {
        return;
    }
    let (left, inner) = painter.inner();
    let room = usize::from(inner.saturating_sub(BEFORE_BARS + AFTER_BARS + 1)).min(BARS_MAX);
    // Whole minutes read easier, if there is room for one.
    let bars = if room < BARS_A_MINUTE { room } else { room - room % BARS_A_MINUTE };
    let (first, height) = painter.panel(band, &format!("RATE last {} min", bars / BARS_A_MINUTE));
    let (granted, denied) = shell.feed.rates.last_minute();
    let newest: Vec<(u64, u64)> = shell.feed.rates.newest(bars).collect();
    let (theme, offset) = (painter.theme, bars - newest.len());
    let rows = [
        ("ALLOW", theme.allow, newest.iter().map(|bar| bar.0).collect::<Vec<u64>>(), granted),
        ("DENY", theme.deny, newest.iter().map(|bar| bar.1).collect(), denied),
    ];
    for ((word, style, values, minute), line) in rows.into_iter().zip(0..height) {
        let y = first + line;
        painter.put(left + 1, y, BEFORE_BARS, word, style);
        let x = left + BEFORE_BARS;
        painter.put(x + u16::try_from(offset).unwrap_or(0), y, inner, &bars_text(&values, painter), style);
        let end = left + inner.saturating_sub(1);
        painter.put_right(end, y, &format!("{}/min", grouped(minute)), theme.text);
    }
    if height >= 3 {
        reasons(shell, first + 2, painter);
    }
}

/// One character a value, on the scale of the highest. What is not 0 is never drawn as nothing.
fn bars_text(values: &[u64], painter: &Painter<'_>) -> String {
    let glyphs = painter.glyphs.bars;
    let highest = values.iter().copied().max().unwrap_or(0);
    let bar = |value: &u64| {
        let steps = u128::from(*value) * glyphs.len() as u128;
        let height = steps.div_ceil(u128::from(highest).max(1));
        let place = usize::try_from(height).ok().and_then(|height| height.checked_sub(1));
        place.and_then(|place| glyphs.get(place)).copied().unwrap_or(" ")
    };
    values.iter().map(bar).collect()
}

fn reasons(shell: &Shell, y: u16, painter: &mut Painter<'_>) {
    let (left, inner) = painter.inner();
    let mut counted: Vec<(Reason, u64)> =
        shell.feed.by_reason.iter().map(|(reason, count)| (*reason, *count)).collect();
    counted.sort_by_key(|(reason, count)| (u64::MAX - count, *reason));
    let end = left + inner;
    let mut x = left + 1 + painter.put(left + 1, y, inner, "denied so far:", painter.theme.quiet);
    if counted.is_empty() {
        painter.put(x + 1, y, end - x, "none", Style::new());
    }
    for (reason, count) in counted {
        let text = format!("  {reason} {}", grouped(count));
        if x + painter.columns(&text) + 1 > end {
            break;
        }
        x += painter.put(x, y, end - x, &text, painter.theme.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_of_the_same_names_in_any_width_and_with_any_date() {
        for dated in [false, true] {
            for width in [0, 69, 70, 100, 200] {
                assert_eq!(Table::named(LIST, &log_columns(width, dated)).listed(), listed(), "{width} {dated}");
            }
        }
    }
}
