//! Screen 7, drawn.

use keyward_protocol::message::audit::{ActedBy, AuditRow};
use ratatui::style::Style;

use crate::{
    app::{
        Shell,
        screen::audit::{Audit, act_words, property_name},
    },
    view::{
        HIDDEN,
        columns::{self, Listed, Table},
        head::{clock, whole},
        layout::{Band, Layout},
        line_columns,
        painter::Painter,
        table::{self, NONE, column},
        text::{grouped, wrap},
    },
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AuditField {
    Time,
    Outcome,
    Act,
    Who,
    Property,
    From,
    Revision,
}

const COLUMNS: Table<'static, AuditField> = Table::named(
    "audit",
    &[
        column(AuditField::Time, "TIME", 14, 19, 2),
        column(AuditField::Outcome, "OUTCOME", 7, 7, 1),
        column(AuditField::Act, "ACT", 14, 24, 0),
        column(AuditField::Who, "WHO", 12, 40, 3),
        column(AuditField::Property, "PROPERTY", 10, 28, 4),
        column(AuditField::From, "FROM", 14, 24, 6),
        column(AuditField::Revision, "REV", 7, 9, 5),
    ],
);

/// The lists here that the settings can name.
pub fn lists() -> Vec<Listed> {
    vec![COLUMNS.listed()]
}

/// Draws it.
pub fn render(screen: &Audit, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
    let lines = screen.selected().map(|row| lines(row, shell)).unwrap_or_default();
    if let Some(top) = screen.open() {
        return text("ROW", &lines, top, layout.overlay(), painter);
    }
    let placed = columns::place(&painter.chosen(&COLUMNS), painter.inner().1.saturating_sub(1));
    let (rows, cursor) = screen.shown();
    let cell = |field: AuditField, row: &AuditRow, painter: &Painter<'_>| audit_cell(field, row, shell, painter);
    let at = Some(cursor.at().saturating_sub(cursor.top()));
    table::table(&placed, layout.list, rows.map(|row| (row, false)), at, screen.none(), cell, painter);
    text("DETAIL", &lines, 0, layout.detail, painter);
}

fn audit_cell(field: AuditField, row: &AuditRow, shell: &Shell, painter: &Painter<'_>) -> (String, Style) {
    let theme = painter.theme;
    let or_none = |text: String| if text.is_empty() { NONE.to_owned() } else { text };
    match field {
        AuditField::Time => {
            let date = shell.zone().to_datetime(row.at.timestamp()).date().to_string();
            // The year where there is room for it.
            let day = if painter.inner().1 >= 100 { date.as_str() } else { date.get(5..).unwrap_or_default() };
            (format!("{day} {}", clock(shell, row.at)), theme.quiet)
        }
        AuditField::Outcome if row.refused.is_some() => ("REFUSED".to_owned(), theme.deny),
        AuditField::Outcome => ("done".to_owned(), theme.text),
        AuditField::Act => (act_words(row.act), theme.text),
        AuditField::Who => (who(row, shell), theme.text),
        AuditField::Property => (or_none(property_name(row, shell)), theme.text),
        AuditField::From => (or_none(row.from.clone().unwrap_or_default()), theme.quiet),
        AuditField::Revision => {
            let revision = if row.revision == 0 { NONE.to_owned() } else { row.revision.to_string() };
            (format!("{revision:>7}"), theme.quiet)
        }
    }
}

fn who(row: &AuditRow, shell: &Shell) -> String {
    let name = || if shell.people_hidden { HIDDEN.to_owned() } else { row.name.clone() };
    match row.by {
        ActedBy::Administrator => "the server's administrator".to_owned(),
        ActedBy::Clock => "the clock".to_owned(),
        ActedBy::Person(_) => name(),
        ActedBy::Holder(_) => format!("{} as holder", name()),
        ActedBy::Lock(lock) => format!("{} ({lock})", row.name),
    }
}

/// All that is to be read of a row.
pub fn lines(row: &AuditRow, shell: &Shell) -> Vec<(String, Style)> {
    let theme = shell.theme;
    let from = row.from.as_deref().map_or_else(|| "the server's machine".to_owned(), |from| from.to_owned());
    let revision = if row.revision == 0 { "not known".to_owned() } else { row.revision.to_string() };
    let place = property_name(row, shell);
    let place = if place.is_empty() { String::new() } else { format!("  in {place}") };
    let mut lines = vec![
        (format!("{}  {}{place}", act_words(row.act), whole(shell, row.at)), theme.strong),
        (format!("by {}  from {from}  revision {revision}", who(row, shell)), theme.text),
    ];
    // What they say may name people.
    let told = |text: &str| if shell.people_hidden { HIDDEN.to_owned() } else { text.to_owned() };
    if let Some(why) = &row.refused {
        lines.push((format!("REFUSED  {}", told(why)), theme.deny));
    }
    if row.more > 0 {
        lines.push((format!("and {} more were refused before it", grouped(row.more)), theme.alert));
    }
    for fact in &row.facts {
        let (before, after) = (fact.before.as_deref(), fact.after.as_deref());
        let change = match (before, after) {
            (Some(before), Some(after)) => format!("{} -> {}", told(before), told(after)),
            (None, Some(after)) => format!("now {}", told(after)),
            (Some(before), None) => format!("was {}, is gone", told(before)),
            (None, None) => String::new(),
        };
        lines.push((format!("{} {}: {change}", told(&fact.of), told(&fact.what)), theme.text));
    }
    let columns = line_columns(shell);
    let wrapped =
        |(line, style): (String, Style)| wrap(&line, columns, &shell.glyphs).into_iter().map(move |line| (line, style));
    lines.into_iter().flat_map(wrapped).collect()
}

fn text(title: &str, lines: &[(String, Style)], top: usize, band: Band, painter: &mut Painter<'_>) {
    let (first, height) = painter.panel(band, title);
    let (left, inner) = painter.inner();
    for ((line, style), row) in lines.iter().skip(top).zip(0..height) {
        painter.put(left + 1, first + row, inner.saturating_sub(1), line.trim_end(), *style);
    }
    let rest = lines.len().saturating_sub(top + usize::from(height));
    if rest > 0 && height > 0 {
        let more = format!(" {} more ", grouped(rest as u64));
        painter.put_right(left + inner.saturating_sub(1), band.y, &more, painter.theme.strong);
    }
}
