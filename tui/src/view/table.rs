//! The lists: Keys, the live log, and the log's strip beside other screens.

use ratatui::style::Style;

use super::{
    columns::{self, Column, Placed},
    head::{clock, clock_millis},
    layout::Band,
    painter::Painter,
    text::grouped,
};
use crate::app::{App, KeyRow, LogRow};

/// Stands where there is nothing to tell.
const NONE: &str = "--";
/// With so many columns for the table, times have their milliseconds.
const MILLIS_FROM: u16 = 70;
/// Stands for a person while people are hidden.
pub const HIDDEN: &str = "(hidden)";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LogField {
    Time,
    Result,
    Reason,
    Door,
    Person,
    Key,
    Kind,
    Host,
}

const fn column<T>(field: T, title: &'static str, narrowest: u16, widest: u16, rank: u8) -> Column<T> {
    Column { field, title, narrowest, widest, rank }
}

fn log_columns(width: u16) -> Vec<Placed<LogField>> {
    // Half a fraction of a second tells nothing: milliseconds are shown whole or not at all.
    let time = if width >= MILLIS_FROM { 12 } else { 8 };
    let columns = [
        column(LogField::Time, "TIME", time, time, 3),
        column(LogField::Result, "RESULT", 6, 6, 0),
        column(LogField::Reason, "REASON", 16, 20, 4),
        column(LogField::Door, "DOOR", 12, 36, 1),
        column(LogField::Person, "PERSON", 10, 28, 2),
        column(LogField::Key, "KEY", 10, 32, 5),
        column(LogField::Kind, "WITH", 6, 8, 6),
        column(LogField::Host, "GUEST OF", 10, 24, 7),
    ];
    columns::place(&columns, width)
}

/// The live log.
pub fn logs(app: &App, band: Band, painter: &mut Painter<'_>) {
    let cursor = app.logs.cursor();
    let rows = app.logs.wanted_from(cursor.top());
    let empty = match (app.filter(), app.logs.counts().1) {
        ("", _) | (_, 0) => "Nothing yet: checks appear here as locks ask them.",
        _ => "Nothing matches the filter: Esc clears it.",
    };
    log_table(app, band, rows, Some(cursor.at().saturating_sub(cursor.top())), empty, painter);
}

/// The newest rows of the log, beside another screen.
pub fn strip(app: &App, band: Band, painter: &mut Painter<'_>) {
    let rows = app.logs.newest(usize::from(band.height.saturating_sub(1)));
    log_table(app, band, rows, None, "Nothing yet.", painter);
}

fn log_table<'r>(
    app: &App,
    band: Band,
    rows: impl Iterator<Item = &'r LogRow>,
    cursor: Option<usize>,
    empty: &str,
    painter: &mut Painter<'_>,
) {
    let placed = log_columns(painter.inner().1.saturating_sub(1));
    let cell = |field: LogField, row: &LogRow, painter: &Painter<'_>| log_cell(app, field, row, painter);
    table(&placed, band, rows, cursor, empty, cell, painter);
}

fn log_cell(app: &App, field: LogField, row: &LogRow, painter: &Painter<'_>) -> (String, Style) {
    let theme = painter.theme;
    let or_none = |text: &str| if text.is_empty() { NONE.to_owned() } else { text.to_owned() };
    let person = |text: &str| if app.people_hidden { HIDDEN.to_owned() } else { or_none(text) };
    match field {
        LogField::Time if painter.inner().1 > MILLIS_FROM => (clock_millis(app, row.at), theme.quiet),
        LogField::Time => (clock(app, row.at), theme.quiet),
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

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum KeyField {
    Name,
    Doors,
    People,
    Share,
    Hours,
}

const KEY_COLUMNS: [Column<KeyField>; 5] = [
    column(KeyField::Name, "NAME", 14, 48, 0),
    column(KeyField::Doors, " DOORS", 6, 6, 1),
    column(KeyField::People, "PEOPLE", 6, 6, 2),
    column(KeyField::Share, "SHARE", 5, 5, 4),
    column(KeyField::Hours, "HOURS", 8, 60, 3),
];

/// The Keys of the property.
pub fn keys(app: &App, band: Band, painter: &mut Painter<'_>) {
    let cursor = app.keys.cursor();
    let rows = app.keys.wanted_from(cursor.top());
    let empty = if app.keys.all().is_empty() {
        "The Keys were not told yet."
    } else {
        "Nothing matches the filter: Esc clears it."
    };
    let placed = columns::place(&KEY_COLUMNS, painter.inner().1.saturating_sub(1));
    let row = cursor.at().saturating_sub(cursor.top());
    table(&placed, band, rows, Some(row), empty, key_cell, painter);
}

fn key_cell(field: KeyField, row: &KeyRow, painter: &Painter<'_>) -> (String, Style) {
    let text = match field {
        KeyField::Name if row.system => format!("{} [system]", row.name),
        KeyField::Name => row.name.clone(),
        KeyField::Doors => format!("{:>6}", grouped(row.doors)),
        KeyField::People if row.system => format!("{NONE:>6}"),
        KeyField::People => format!("{:>6}", grouped(row.people)),
        KeyField::Share if row.system => NONE.into(),
        KeyField::Share => if row.may_share { "yes" } else { "no" }.into(),
        KeyField::Hours => row.hours.clone(),
    };
    (text, painter.theme.text)
}

/// A table under its titles. The row under the cursor has a sign before it, besides its style.
fn table<'r, T: Copy, R: 'r>(
    placed: &[Placed<T>],
    band: Band,
    rows: impl Iterator<Item = &'r R>,
    cursor: Option<usize>,
    empty: &str,
    cell: impl Fn(T, &R, &Painter<'_>) -> (String, Style),
    painter: &mut Painter<'_>,
) {
    if band.height == 0 {
        return;
    }
    let (first, height) = painter.panel(band, "");
    let (left, inner) = painter.inner();
    for (_, title, x, width) in placed {
        // Titles of numbers stand over their last digits; the line shows before them.
        let indent = u16::try_from(title.len() - title.trim_start().len()).unwrap_or(0);
        let room = width.saturating_sub(indent);
        painter.put(left + 1 + x + indent, band.y, room, title.trim_start(), painter.theme.strong);
    }
    let mut drawn = 0;
    for row in rows.take(usize::from(height)) {
        let y = first + drawn;
        for (field, _, x, width) in placed {
            let (text, style) = cell(*field, row, painter);
            painter.put(left + 1 + x, y, *width, &text, style);
        }
        if cursor == Some(usize::from(drawn)) {
            painter.put(left, y, 1, painter.glyphs.cursor, painter.theme.text);
            painter.overlay(left, y, inner, painter.theme.cursor);
        }
        drawn += 1;
    }
    if drawn == 0 && height > 0 {
        painter.put(left + 1, first, inner.saturating_sub(1), empty, painter.theme.quiet);
    }
}
