//! Weeks drawn as bars: the grid that schedules are painted in, and the hours of Keys.

use super::{head, layout::Band, painter::Painter};
use crate::app::{
    grid::DAY,
    week::{Focus, ROWS, Week},
};

/// The days as the grid names them; the last stands for holidays.
pub const DAYS: [&str; 8] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Hol"];
/// Room for labels of lines.
const LABEL: u16 = 9;
/// Room for the names of days.
const DAY_NAME: u16 = 4;

/// How a cell looks of which so many minutes of `all` are open.
pub fn glyph(open: u16, all: u16, painter: &Painter<'_>) -> &'static str {
    match (open, painter.glyphs.unicode) {
        (0, true) => "·",
        (0, false) => ".",
        (open, true) if open >= all => "█",
        (open, false) if open >= all => "#",
        (_, true) => "▄",
        (_, false) => ":",
    }
}

/// A row of cells of one day, so many minutes each; `open` says how many minutes of a stretch are open.
pub fn bar(open: impl Fn(u16, u16) -> u16, cell: u16, painter: &Painter<'_>) -> String {
    let cells = (0..DAY / cell).map(|place| (place * cell, (place + 1) * cell));
    cells.map(|(from, to)| glyph(open(from, to), cell, painter)).collect()
}

/// The hours over a bar: `0`, `6`, `12`, `18`.
pub fn scale(cell: u16) -> String {
    let mut scale = String::new();
    for hour in [0, 6, 12, 18] {
        let column = usize::from(hour * 60 / cell);
        scale = format!("{scale:<column$}{hour}");
    }
    scale
}

/// Under so many rows the grid and the lines take turns.
const ROOMY: u16 = 13;

/// The dialog in which a schedule is drawn.
pub fn dialog(week: &Week, band: Band, painter: &mut Painter<'_>) {
    let in_grid = week.focus() == Focus::Grid;
    let title = if in_grid { format!("{}  {}", week.title, cell_told(week)) } else { week.title.clone() };
    let (first, height) = painter.panel(band, &title);
    let left = painter.inner().0;
    let roomy = height >= ROOMY;
    let mut y = first;
    let end = first + height;
    if roomy || !in_grid {
        line("Name", week.name(), "", week.focus() == Focus::Name, (left, y), painter);
        line("Windows", week.text(), "never open", week.focus() == Focus::Text, (left, y + 1), painter);
        y += 2;
    }
    if roomy || in_grid {
        y = grid(week, (left + 1, y, end), roomy, painter);
    }
    if roomy || !in_grid {
        foot(week, (left, y, end), painter);
    }
}

/// The cell under the cursor: `Mon 08:00`.
fn cell_told(week: &Week) -> String {
    let (row, from) = week.cell();
    let day = DAYS.get(usize::from(row)).copied().unwrap_or_default();
    format!("{day} {:02}:{:02}", from / 60, from % 60)
}

/// The grid, as many rows as there is room for around the cursor; says in which row it ends.
fn grid(week: &Week, (x, mut y, end): (u16, u16, u16), roomy: bool, painter: &mut Painter<'_>) -> u16 {
    let cell = Week::cell_minutes(painter.width());
    let theme = painter.theme;
    let room = painter.inner().1.saturating_sub(DAY_NAME + 1);
    if roomy {
        painter.put(x + DAY_NAME, y, room, &scale(cell), theme.quiet);
        y += 1;
    }
    let rows = if week.has_own() { ROWS } else { ROWS - 1 };
    let (at, from) = week.cell();
    let seen = u8::try_from(end.saturating_sub(y)).unwrap_or(u8::MAX);
    let top = (at + 1).saturating_sub(seen);
    for (row, name) in (0..rows).zip(DAYS).skip(usize::from(top)).take(usize::from(seen)) {
        let here = week.focus() == Focus::Grid && at == row;
        painter.put(x, y, DAY_NAME, name, if here { theme.strong } else { theme.quiet });
        let bar = bar(|from, to| week.open_minutes(row, from, to), cell, painter);
        painter.put(x + DAY_NAME, y, room, &bar, theme.text);
        if here {
            painter.overlay(x + DAY_NAME + from / cell, y, 1, theme.cursor);
        }
        y += 1;
    }
    y
}

/// What holidays change, the button, and what is wrong.
fn foot(week: &Week, (left, mut y, end): (u16, u16, u16), painter: &mut Painter<'_>) {
    let (x, room, theme) = (left + 1, painter.inner().1.saturating_sub(2), painter.theme);
    let focus = week.focus() == Focus::Holidays;
    let words = if focus { format!("< {} >", week.on_holidays()) } else { week.on_holidays().to_owned() };
    label("Holidays", focus, (left, y), painter);
    painter.put(x + LABEL, y, room.saturating_sub(LABEL), &words, theme.text);
    y += 1;
    if week.has_own() {
        line("Then", week.own_text(), "closed", week.focus() == Focus::Own, (left, y), painter);
        y += 1;
    }
    let style = if week.focus() == Focus::Button { theme.cursor } else { theme.text };
    painter.put(x, y.min(end.saturating_sub(1)), room, "[ Continue ]", style);
    if let (Some(problem), true) = (&week.problem, y + 1 < end) {
        painter.put(x, y + 1, room, problem, theme.alert);
    }
}

fn label(text: &str, focus: bool, (left, y): (u16, u16), painter: &mut Painter<'_>) {
    let style = if focus { painter.theme.strong } else { painter.theme.quiet };
    painter.put(left, y, 1, if focus { painter.glyphs.cursor } else { " " }, painter.theme.strong);
    painter.put(left + 1, y, LABEL, text, style);
}

fn line(name: &str, text: &str, none: &str, focus: bool, (left, y): (u16, u16), painter: &mut Painter<'_>) {
    label(name, focus, (left, y), painter);
    let x = left + 1 + LABEL;
    let room = painter.inner().1.saturating_sub(LABEL + 2);
    match (focus, text.is_empty()) {
        (true, _) => head::input("", text, none, x, y, painter),
        (false, true) => _ = painter.put(x, y, room, none, painter.theme.quiet),
        (false, false) => _ = painter.put(x, y, room, text, painter.theme.text),
    }
}
