//! The schedules and holidays of a property, drawn.

use keyward_protocol::{message::manage::ScheduleRow, schedule::OnHolidays};
use ratatui::style::Style;

use crate::{
    app::{
        ScreenId, Shell, grid,
        screen::keys::schedules::{Day, NEW, Schedules},
        week::Week,
    },
    view::{
        columns::{Listed, Table},
        layout::{Band, Layout},
        log,
        painter::Painter,
        table::{self, column},
        text::grouped,
        week::{self, DAYS},
    },
};

/// The lists here that the settings can name.
pub fn lists() -> Vec<Listed> {
    vec![SCHEDULE_COLUMNS.listed(), DAY_COLUMNS.listed()]
}

/// Draws it.
pub fn render(screen: &Schedules, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
    match screen.of_holidays {
        true => holidays(screen, layout.list, painter),
        false => list(screen, layout.list, painter),
    }
    bars(screen, layout.detail, painter);
    log::strip(shell, layout.strip, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ScheduleField {
    Name,
    Hours,
    Holidays,
    Keys,
}

const SCHEDULE_COLUMNS: Table<'static, ScheduleField> = Table::named(
    "keys.schedules",
    &[
        column(ScheduleField::Name, "SCHEDULE", 14, 28, 0),
        column(ScheduleField::Hours, "OPEN", 14, 60, 1),
        column(ScheduleField::Holidays, "HOLIDAYS", 8, 24, 3),
        column(ScheduleField::Keys, " KEYS", 5, 5, 2),
    ],
);

fn list(screen: &Schedules, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: ScheduleField, row: &ScheduleRow, painter: &Painter<'_>| -> (String, Style) {
        let text = match field {
            ScheduleField::Name => row.name.clone(),
            ScheduleField::Hours => row.hours.to_string(),
            ScheduleField::Holidays => match &row.hours.on_holidays {
                OnHolidays::AsUsual => "as usual".to_owned(),
                OnHolidays::Closed => "closed".to_owned(),
                OnHolidays::Own(spans) if spans.is_empty() => "closed".to_owned(),
                OnHolidays::Own(spans) => spans.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            },
            ScheduleField::Keys => format!("{:>5}", grouped(row.keys)),
        };
        (text, painter.theme.text)
    };
    let none = format!("No named schedule: {} draws one.", painter.chord(ScreenId::Keys, NEW));
    table::list(&screen.list, &SCHEDULE_COLUMNS, &none, band, cell, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DayField {
    Name,
    From,
    To,
}

const DAY_COLUMNS: Table<'static, DayField> = Table::named(
    "keys.holidays",
    &[
        column(DayField::Name, "HOLIDAY", 14, 44, 0),
        column(DayField::From, "FIRST DAY", 10, 12, 1),
        column(DayField::To, "LAST DAY", 10, 12, 2),
    ],
);

fn holidays(screen: &Schedules, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: DayField, row: &Day, painter: &Painter<'_>| -> (String, Style) {
        let text = match field {
            DayField::Name => row.holiday.name.clone(),
            DayField::From => row.holiday.from.to_string(),
            DayField::To => row.holiday.to.to_string(),
        };
        (text, painter.theme.text)
    };
    let none = format!("No holiday: {} makes one.", painter.chord(ScreenId::Keys, NEW));
    table::list(&screen.holidays, &DAY_COLUMNS, &none, band, cell, painter);
}

/// The week of the schedule under the cursor.
fn bars(screen: &Schedules, band: Band, painter: &mut Painter<'_>) {
    let row = screen.list.selected();
    let title = row.map_or_else(|| "WEEK".to_owned(), |row| format!("A USUAL WEEK OF {}", row.name));
    let (first, height) = painter.panel(band, &title);
    let Some(row) = row else { return };
    let (left, inner) = painter.inner();
    let cell = Week::cell_minutes(painter.width());
    let room = inner.saturating_sub(5);
    painter.put(left + 5, first, if height > 0 { room } else { 0 }, &week::scale(cell), painter.theme.quiet);
    for ((day, name), line) in (0..7).zip(DAYS).zip(1..height) {
        painter.put(left + 1, first + line, 3, name, painter.theme.quiet);
        let bar = week::bar(|from, to| grid::open_minutes(&row.hours.windows, day, from, to), cell, painter);
        painter.put(left + 5, first + line, room, &bar, painter.theme.text);
    }
}
