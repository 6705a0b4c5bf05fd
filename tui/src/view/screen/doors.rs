//! Screen 3, drawn.

use keyward_protocol::{
    id::DoorId,
    message::manage::{DoorKeyRow, DoorRow, WhoRow},
};
use ratatui::style::Style;

use crate::{
    app::{
        Shell,
        screen::{
            doors::{Detail, Doors, Page, Part},
            hours,
        },
    },
    view::{
        HIDDEN,
        columns::{Listed, Table},
        facts::{self, Fact},
        head::{age, ago, date, whole},
        layout::{Band, Layout},
        log,
        painter::Painter,
        table::{self, NONE, column},
        text::grouped,
    },
};

/// The lists here that the settings can name.
pub fn lists() -> Vec<Listed> {
    vec![DOOR_COLUMNS.listed(), KEY_COLUMNS.listed(), WHO_COLUMNS.listed()]
}

/// Draws it.
pub fn render(screen: &Doors, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
    let facts = screen.door().map(|row| door_facts(screen, row, shell)).unwrap_or_default();
    match screen.page() {
        None => list(screen, shell, layout.list, painter),
        Some(page) => match page.part {
            Part::Keys => keys(screen, page, layout.list, painter),
            Part::People => people(page, shell, layout.list, painter),
            Part::Facts => facts::panel("FACTS", facts.clone(), layout.list, painter),
        },
    }
    let title = screen.door().map_or_else(|| "DOOR".to_owned(), |row| format!("DOOR {}", row.name));
    facts::panel(&title, facts, layout.detail, painter);
    log::strip(shell, layout.strip, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DoorField {
    Name,
    Kind,
    State,
    Labels,
    Keys,
    Codes,
    Seen,
}

const DOOR_COLUMNS: Table<'static, DoorField> = Table::named(
    "doors",
    &[
        column(DoorField::Name, "NAME", 14, 40, 0),
        column(DoorField::Kind, "KIND", 8, 14, 2),
        column(DoorField::State, "STATE", 11, 11, 1),
        column(DoorField::Keys, " KEYS", 5, 5, 3),
        column(DoorField::Codes, " CODES", 6, 6, 5),
        column(DoorField::Labels, "LABELS", 10, 40, 4),
        column(DoorField::Seen, "SEEN EVENT", 12, 12, 6),
    ],
);

fn list(screen: &Doors, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: DoorField, row: &DoorRow, painter: &Painter<'_>| -> (String, Style) {
        let theme = painter.theme;
        let alert = screen.alert(row.id).is_some();
        match field {
            DoorField::Name => (row.name.clone(), theme.text),
            DoorField::Kind => (row.kind.as_str().to_owned(), theme.text),
            DoorField::State if row.locked_down => ("LOCKED DOWN".to_owned(), theme.alert),
            DoorField::State if alert => ("WRONG CODES".to_owned(), theme.alert),
            DoorField::State => (vacancy(row).to_owned(), theme.text),
            DoorField::Keys => (format!("{:>5}", grouped(row.keys)), theme.text),
            DoorField::Codes => (format!("{:>6}", grouped(row.codes)), theme.text),
            DoorField::Seen => match shell.feed.logs.last_at(row.id) {
                None => (NONE.to_owned(), theme.text),
                Some(last) if last.granted => (format!("{} ALLOW", age(shell, last.at)), theme.text),
                Some(last) => (format!("{} DENY", age(shell, last.at)), theme.text),
            },
            DoorField::Labels => (row.labels.join(", "), theme.text),
        }
    };
    table::list(screen.list(), &DOOR_COLUMNS, "There is no door here.", band, cell, painter);
}

/// Whether a unit is let; nothing for other doors.
fn vacancy(row: &DoorRow) -> &'static str {
    use keyward_protocol::entry::DoorKind;
    match (row.kind, row.occupied) {
        (DoorKind::Unit, true) => "occupied",
        (DoorKind::Unit, false) => "vacant",
        _ => "",
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum KeyField {
    Name,
    Hours,
}

const KEY_COLUMNS: Table<'static, KeyField> = Table::named(
    "doors.keys",
    &[column(KeyField::Name, "KEY", 14, 48, 0), column(KeyField::Hours, "HOURS", 10, 60, 1)],
);

fn keys(screen: &Doors, page: &Page, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: KeyField, row: &DoorKeyRow, painter: &Painter<'_>| -> (String, Style) {
        let text = match field {
            KeyField::Name => row.name.clone(),
            KeyField::Hours => hours::told(screen.schedules(), &row.openings),
        };
        (text, painter.theme.text)
    };
    table::list(&page.keys, &KEY_COLUMNS, "No Key that you may see has it.", band, cell, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WhoField {
    Name,
    Email,
    Key,
    Host,
    Code,
}

const WHO_COLUMNS: Table<'static, WhoField> = Table::named(
    "doors.people",
    &[
        column(WhoField::Name, "NAME", 12, 32, 0),
        column(WhoField::Email, "EMAIL", 14, 36, 4),
        column(WhoField::Key, "BY KEY", 12, 36, 1),
        column(WhoField::Host, "GUEST OF", 8, 24, 2),
        column(WhoField::Code, "CODE", 4, 4, 3),
    ],
);

fn people(page: &Page, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let person = |text: &str| if shell.people_hidden { HIDDEN.to_owned() } else { text.to_owned() };
    let cell = |field: WhoField, row: &WhoRow, painter: &Painter<'_>| -> (String, Style) {
        let text = match field {
            WhoField::Name => person(&row.name),
            WhoField::Email => person(&row.email),
            WhoField::Key => row.how.key.as_ref().map_or_else(|| "another Key".to_owned(), |key| key.name.clone()),
            WhoField::Host => row.how.host.as_ref().map_or_else(|| NONE.to_owned(), |(_, name)| person(name)),
            WhoField::Code => if row.how.by_code { "yes" } else { "no" }.to_owned(),
        };
        (text, painter.theme.text)
    };
    let Some(problem) = &page.problem else {
        return table::list(&page.people, &WHO_COLUMNS, "Nobody can open it then.", band, cell, painter);
    };
    // Whatever was told before is not to be taken for an answer.
    let (first, height) = painter.panel(band, "WHO CAN OPEN IT");
    let (left, inner) = painter.inner();
    if height > 0 {
        painter.put(left + 1, first, inner.saturating_sub(1), problem, painter.theme.alert);
    }
}

fn door_facts(screen: &Doors, row: &DoorRow, shell: &Shell) -> Vec<Fact> {
    let detail = screen.detail();
    let told = detail.and_then(|detail| detail.facts.as_ref());
    let kind = match vacancy(row) {
        "" => row.kind.as_str().to_owned(),
        vacancy => format!("{}, {vacancy}", row.kind.as_str()),
    };
    let codes = match told {
        Some(told) => format!("{} of at most {}", grouped(row.codes), grouped(told.codes_max)),
        None => grouped(row.codes),
    };
    let labels = if row.labels.is_empty() { NONE.to_owned() } else { row.labels.join(", ") };
    let state = if row.locked_down { "LOCKED DOWN" } else { "no lockdown" };
    let moment = screen.page().filter(|page| page.part == Part::People).map(|page| match (page.at, page.told_at) {
        (None, None) => "now".to_owned(),
        (None, Some(told)) => format!("now, {}", date(shell, told)),
        (Some(at), _) => whole(shell, at),
    });
    let mut facts = vec![
        ("Kind", kind),
        ("Lock", state.to_owned()),
        ("Keys", grouped(row.keys)),
        ("Codes", codes),
        ("Labels", labels),
        ("Last", last_check(row.id, detail, shell)),
    ];
    if let Some(alert) = screen.alert(row.id) {
        let more = alert.more_at.map(|at| format!(", more {}", date(shell, at))).unwrap_or_default();
        facts.insert(0, ("ALERT", format!("{} codes left{more}", alert.left)));
        facts.insert(1, ("Ran out", date(shell, alert.ran_out)));
    }
    if let Some(moment) = moment {
        facts.insert(0, ("At", moment));
    }
    facts
}

fn last_check(door: DoorId, detail: Option<&Detail>, shell: &Shell) -> String {
    let told = detail.and_then(|detail| detail.last.as_ref());
    log::newest(told, shell.feed.logs.last_at(door), "nothing in the log", |row| {
        let who = if shell.people_hidden { HIDDEN } else { row.person.as_str() };
        let result = row.reason.map_or("ALLOW", |reason| reason.as_str());
        format!("{}, {result} {who} ({})", ago(shell, row.at), date(shell, row.at))
    })
}
