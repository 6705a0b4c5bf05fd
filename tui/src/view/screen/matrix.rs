//! People and doors against each other, drawn: names of doors from top to bottom, people beside their rows.

use keyward_protocol::message::manage::{DoorRow, PersonRow};

use crate::{
    app::{
        Shell,
        list::Row,
        screen::keys::matrix::{Cell, Matrix},
    },
    view::{
        HIDDEN,
        facts::{self, Fact},
        layout::{Band, Layout},
        log,
        painter::Painter,
    },
};

/// From so many columns on people have more room.
const WIDE: u16 = 60;
/// Columns of the screen for each door.
const DOOR: u16 = 2;

/// Room for people's names.
fn names(width: u16) -> u16 {
    if width >= WIDE { 22 } else { 14 }
}

/// How many doors are seen side by side on a terminal so wide.
pub fn columns(width: u16) -> u16 {
    let inner = if width >= WIDE { width.saturating_sub(2) } else { width };
    inner.saturating_sub(names(width) + 2) / DOOR
}

/// How many rows the names of doors take on a terminal so high.
pub fn head_rows(height: u16) -> u16 {
    match height {
        32.. => 12,
        20.. => 7,
        _ => 3,
    }
}

/// Draws it.
pub fn render(screen: &Matrix, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
    matrix(screen, shell, layout.list, painter);
    facts::panel("UNDER THE CURSOR", under_cursor(screen, shell), layout.detail, painter);
    log::strip(shell, layout.strip, painter);
}

fn matrix(screen: &Matrix, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, "");
    let (left, inner) = painter.inner();
    if let Some(sort) = screen.people.sort().filter(|_| band.height > 0) {
        let text = format!(" by {} ", PersonRow::sort_column(sort).unwrap_or("name"));
        painter.put_right(left + inner.saturating_sub(1), band.y, &text, painter.theme.strong);
    }
    let room = names(painter.width());
    let head = head_rows(shell.height).min(height);
    let x = |column: u16| left + 1 + room + 1 + column * DOOR;
    let (people, doors) = (screen.people.cursor(), screen.doors.cursor());
    let columns = columns(painter.width());
    let shown: Vec<&DoorRow> =
        screen.doors.shown_from(doors.top()).take(usize::from(columns)).map(|(row, _)| row).collect();
    for (door, column) in shown.iter().zip(0_u16..) {
        let under = usize::from(column) + doors.top() == doors.at();
        let style = if under { painter.theme.strong } else { painter.theme.quiet };
        downwards(&door.name, (x(column), first, head), style, painter);
    }
    let rows = screen.people.shown_from(people.top()).map(|(row, _)| row);
    let mut drawn = 0;
    for (row, line) in rows.zip(head..height) {
        let y = first + line;
        let under_row = people.top() + usize::from(line - head) == people.at();
        let style = if row.suspended { painter.theme.quiet } else { painter.theme.text };
        let name = if shell.people_hidden { HIDDEN } else { row.name.as_str() };
        painter.put(left, y, 1, if under_row { painter.glyphs.cursor } else { " " }, painter.theme.strong);
        painter.put(left + 1, y, room, name, style);
        for (door, column) in shown.iter().zip(0_u16..) {
            let sign = sign(screen.cell(row.id, door.id).as_ref());
            painter.put(x(column), y, 1, &sign, style);
            if under_row && usize::from(column) + doors.top() == doors.at() {
                painter.overlay(x(column), y, 1, painter.theme.cursor);
            }
        }
        drawn += 1;
    }
    if drawn == 0 && height > head {
        let said = if screen.people.is_unknown() { "Not told yet." } else { "Nobody." };
        painter.put(left + 1, first + head, room, said, painter.theme.quiet);
    }
}

/// How many Keys have the door; `g` for guests, and nothing while it is not known.
fn sign(cell: Option<&Cell>) -> String {
    match cell.map(|cell| (cell.own.len(), cell.hosts.len())) {
        None => " ".to_owned(),
        Some((0, 0)) => ".".to_owned(),
        Some((0, _)) => "g".to_owned(),
        Some((own @ 1..=9, _)) => own.to_string(),
        Some(_) => "+".to_owned(),
    }
}

/// The end of a name, one character under the other, down to the last of these rows: numbers stand at the end.
fn downwards(name: &str, (x, y, rows): (u16, u16, u16), style: ratatui::style::Style, painter: &mut Painter<'_>) {
    let characters: Vec<char> = name.chars().collect();
    let cut = characters.len().saturating_sub(usize::from(rows));
    let tail = characters.get(cut..).unwrap_or_default();
    let gap = rows.saturating_sub(u16::try_from(tail.len()).unwrap_or(rows));
    for (character, line) in tail.iter().zip(gap..rows) {
        painter.put(x, y + line, DOOR, &character.to_string(), style);
    }
}

fn under_cursor(screen: &Matrix, shell: &Shell) -> Vec<Fact> {
    let (Some(person), Some(door)) = (screen.people.selected(), screen.doors.selected()) else { return Vec::new() };
    let hide = |text: &str| if shell.people_hidden { HIDDEN.to_owned() } else { text.to_owned() };
    let told = screen.cell(person.id, door.id);
    let or_none = |words: Vec<String>| if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    let (own, hosts) = match told {
        None => ("...".to_owned(), "...".to_owned()),
        Some(cell) => (or_none(cell.own), or_none(cell.hosts.iter().map(|host| hide(host)).collect())),
    };
    let mut facts =
        vec![("Person", hide(&person.name)), ("Door", door.name.clone()), ("By Key", own), ("Guest of", hosts)];
    if person.suspended {
        facts.push(("State", "SUSPENDED: opens nothing".to_owned()));
    }
    facts
}
