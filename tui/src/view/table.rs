//! Tables, which every list is drawn as.

use ratatui::style::Style;

use super::{
    columns::{self, Column, Placed, Table},
    layout::Band,
    painter::Painter,
};
use crate::app::list::{List, Row};

/// Stands where there is nothing to tell.
pub const NONE: &str = "--";

/// A column that a table would like to show.
pub const fn column<T>(field: T, title: &'static str, narrowest: u16, widest: u16, rank: u8) -> Column<T> {
    Column { field, title, narrowest, widest, rank }
}

/// A list as a table; `none` is said where there is nothing in it.
pub fn list<T: Copy, R: Row>(
    list: &List<R>,
    table: &Table<'_, T>,
    none: &str,
    band: Band,
    cell: impl Fn(T, &R, &Painter<'_>) -> (String, Style),
    painter: &mut Painter<'_>,
) {
    let cursor = list.cursor();
    let empty = match (list.is_unknown(), list.counts().here) {
        (true, _) => "Not told yet.",
        (_, 0) => none,
        _ => "Nothing matches the filter: Esc clears it.",
    };
    let mut columns = painter.chosen(table);
    let sorted = list.sort().and_then(|sort| table.shows(R::sort_column(sort)));
    if let Some(sorted) = &sorted {
        columns::keep(&mut columns, sorted.title);
    }
    let placed = columns::place(&columns, painter.inner().1.saturating_sub(1));
    let at = Some(cursor.at().saturating_sub(cursor.top()));
    self::table(&placed, band, list.shown_from(cursor.top()), at, empty, cell, painter);
    if let Some(sorted) = sorted {
        mark_sort(&placed, &sorted, band, painter);
    }
}

/// Says in the line of titles what the list is sorted by: beside its title, or at the end where the user's columns are
/// without it.
fn mark_sort<T>(placed: &[Placed<T>], sorted: &Column<T>, band: Band, painter: &mut Painter<'_>) {
    if band.height == 0 {
        return;
    }
    let (left, inner) = painter.inner();
    let width = |text: &str| u16::try_from(text.len()).unwrap_or(u16::MAX);
    let Some((_, title, x, room)) = placed.iter().find(|(_, title, _, _)| *title == sorted.title) else {
        let text = format!(" by {} ", sorted.name());
        let taken = placed.last().map_or(0, |(_, title, x, _)| x + 1 + width(title));
        if taken + width(&text) < inner {
            painter.put_right(left + inner.saturating_sub(1), band.y, &text, painter.theme.strong);
        }
        return;
    };
    // Titles of numbers stand at the right, so that the sign stands before them.
    let place = match (title.starts_with(' '), width(title)) {
        (true, long) => width(title.trim_start()).abs_diff(long).saturating_sub(1),
        (false, long) => (long + 1).min(*room),
    };
    painter.put(left + 1 + x + place, band.y, 1, painter.glyphs.sorted, painter.theme.strong);
}

/// A table under its titles; each row with whether it is marked. The row under the cursor and marked ones have a sign
/// before them, besides their style.
pub fn table<'r, T: Copy, R: 'r>(
    placed: &[Placed<T>],
    band: Band,
    rows: impl Iterator<Item = (&'r R, bool)>,
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
    for (row, marked) in rows.take(usize::from(height)) {
        let y = first + drawn;
        for (field, _, x, width) in placed {
            let (text, style) = cell(*field, row, painter);
            painter.put(left + 1 + x, y, *width, &text, style);
        }
        let under_cursor = cursor == Some(usize::from(drawn));
        let sign = match (under_cursor, marked) {
            (true, false) => painter.glyphs.cursor,
            (true, true) => painter.glyphs.cursor_marked,
            (false, true) => painter.glyphs.marked,
            (false, false) => " ",
        };
        painter.put(left, y, 1, sign, painter.theme.strong);
        if under_cursor {
            painter.overlay(left, y, inner, painter.theme.cursor);
        }
        drawn += 1;
    }
    if drawn == 0 && height > 0 {
        painter.put(left + 1, first, inner.saturating_sub(1), empty, painter.theme.quiet);
    }
}
