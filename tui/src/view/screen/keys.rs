//! Screen 1, drawn.

use keyward_protocol::message::manage::{HolderRow, KeyOpens, KeyRow};
use ratatui::style::Style;

use crate::{
    app::{
        ScreenId, Shell,
        grid::DAY,
        list::List,
        screen::{
            holding::GIVE,
            hours,
            keys::{
                Detail, Keys, Page, Part,
                draft::{ADD, Draft, Line, NAME, RULE, SAVE},
            },
        },
    },
    view::{
        HIDDEN,
        columns::{Listed, Table},
        facts::{self, Fact},
        head::{age, ago, date},
        layout::{Band, Layout},
        log,
        painter::Painter,
        table::{self, NONE, column},
        text::{counted, grouped},
        week,
    },
};

/// The lists here that the settings can name.
pub fn lists() -> Vec<Listed> {
    vec![KEY_COLUMNS.listed(), HOLDER_COLUMNS.listed(), DOOR_COLUMNS.listed()]
}

/// Draws it.
pub fn render(screen: &Keys, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
    match screen.page() {
        None => list(screen.list(), shell, layout.list, painter),
        Some(page) if page.part == Part::People => people(page, shell, layout.list, painter),
        Some(page) if page.part == Part::Week => weeks(screen, page, layout.list, painter),
        Some(page) => doors(screen, page, layout.list, painter),
    }
    if let Some(key) = screen.key() {
        let title = format!("KEY {}", key.name);
        facts::panel(&title, key_facts(screen, key, shell), layout.detail, painter);
    } else {
        facts::panel("KEY", Vec::new(), layout.detail, painter);
    }
    log::strip(shell, layout.strip, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum KeyField {
    Name,
    Doors,
    People,
    Share,
    Hours,
    LastUsed,
}

const KEY_COLUMNS: Table<'static, KeyField> = Table::named(
    "keys",
    &[
        column(KeyField::Name, "NAME", 14, 48, 0),
        column(KeyField::Doors, " DOORS", 6, 6, 1),
        column(KeyField::People, " PEOPLE", 7, 7, 2),
        column(KeyField::Share, "SHARE", 5, 5, 4),
        column(KeyField::Hours, "HOURS", 8, 40, 3),
        column(KeyField::LastUsed, "SEEN USED", 9, 9, 5),
    ],
);

fn list(list: &List<KeyRow>, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: KeyField, row: &KeyRow, painter: &Painter<'_>| -> (String, Style) {
        let style = if row.system { painter.theme.quiet } else { painter.theme.text };
        let text = match field {
            KeyField::Name if row.system => format!("{} [system]", row.name),
            KeyField::Name => row.name.clone(),
            KeyField::Doors => format!("{:>6}", grouped(row.doors)),
            KeyField::People if row.system => format!("{NONE:>7}"),
            KeyField::People => format!("{:>7}", grouped(row.people)),
            KeyField::Share if row.system => NONE.into(),
            KeyField::Share => if row.may_share { "yes" } else { "no" }.into(),
            KeyField::Hours if row.system => "carrier-managed".into(),
            KeyField::Hours => row.hours.clone().unwrap_or_else(|| "several".into()),
            KeyField::LastUsed => {
                let last = shell.feed.logs.last_granted_by(&row.name);
                last.map_or_else(|| NONE.into(), |last| age(shell, last.at))
            }
        };
        (text, style)
    };
    table::list(list, &KEY_COLUMNS, "There is no Key here.", band, cell, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HolderField {
    Name,
    Email,
    Share,
    Guests,
    Period,
}

const HOLDER_COLUMNS: Table<'static, HolderField> = Table::named(
    "keys.people",
    &[
        column(HolderField::Name, "NAME", 14, 32, 0),
        column(HolderField::Email, "EMAIL", 14, 36, 3),
        column(HolderField::Share, "SHARE", 5, 5, 4),
        column(HolderField::Guests, "GUESTS", 6, 6, 5),
        column(HolderField::Period, "PERIOD", 10, 40, 1),
    ],
);

fn people(page: &Page, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: HolderField, row: &HolderRow, painter: &Painter<'_>| -> (String, Style) {
        let theme = painter.theme;
        let person = |text: &str| if shell.people_hidden { HIDDEN.to_owned() } else { text.to_owned() };
        let style = if row.terms.ended || row.suspended { theme.quiet } else { theme.text };
        let text = match field {
            HolderField::Name => person(&row.name),
            HolderField::Email => person(&row.email),
            HolderField::Share => if row.terms.may_share { "yes" } else { "no" }.into(),
            HolderField::Guests => format!("{:>6}", row.guests.iter().filter(|guest| !guest.ended).count()),
            HolderField::Period => period(row, shell),
        };
        (text, style)
    };
    let none = format!("Nobody holds this Key: {} gives it.", painter.chord(ScreenId::Keys, GIVE));
    table::list(&page.people, &HOLDER_COLUMNS, &none, band, cell, painter);
}

/// When somebody holds a Key, and whether they are suspended.
fn period(row: &HolderRow, shell: &Shell) -> String {
    let terms = row.terms;
    let mut words = match (terms.from, terms.until) {
        (_, Some(until)) if terms.ended => format!("ended {}", date(shell, until)),
        (None, None) => "always".to_owned(),
        (Some(from), None) => format!("from {}", date(shell, from)),
        (None, Some(until)) => format!("until {}", date(shell, until)),
        (Some(from), Some(until)) => format!("{} to {}", date(shell, from), date(shell, until)),
    };
    if row.suspended {
        words.insert_str(0, "SUSPENDED, ");
    }
    words
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DoorField {
    Name,
    Hours,
    By,
}

const DOOR_COLUMNS: Table<'static, DoorField> = Table::named(
    "keys.doors",
    &[
        column(DoorField::Name, "DOOR", 14, 48, 0),
        column(DoorField::Hours, "HOURS", 10, 60, 1),
        column(DoorField::By, "NAMED BY", 8, 8, 2),
    ],
);

fn doors(screen: &Keys, page: &Page, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: DoorField, row: &KeyOpens, painter: &Painter<'_>| -> (String, Style) {
        let text = match field {
            DoorField::Name => row.name.clone(),
            DoorField::Hours => screen.hours(&row.openings),
            DoorField::By => if row.by_rule { "rule" } else { "list" }.into(),
        };
        (text, painter.theme.text)
    };
    table::list(&page.doors, &DOOR_COLUMNS, "No door at the moment.", band, cell, painter);
}

/// The hours at each door, as bars: the seven days side by side, Monday first.
fn weeks(screen: &Keys, page: &Page, band: Band, painter: &mut Painter<'_>) {
    // As many cells a day as there is room for, each a whole number of hours.
    let (cell, name, title) = match painter.width() {
        110.. => (120, 24, "A USUAL WEEK, Monday to Sunday, a sign for two hours"),
        78.. => (180, 14, "A USUAL WEEK, Monday to Sunday, a sign for 3 h"),
        _ => (480, 10, "Mon Tue Wed Thu Fri Sat Sun"),
    };
    let days = DAY / cell * 7 + 6;
    let columns = [column(false, "DOOR", name, name, 0), column(true, title, days, days, 1)];
    let cells = |is_week: bool, row: &KeyOpens, painter: &Painter<'_>| -> (String, Style) {
        let day = |day| {
            let open = |from, to| hours::open_minutes(screen.schedules(), &row.openings, day, from, to);
            week::bar(open, cell, painter)
        };
        let text = if is_week { (0..7).map(day).collect::<Vec<_>>().join(" ") } else { row.name.clone() };
        (text, painter.theme.text)
    };
    table::list(&page.doors, &Table::fixed(&columns), "No door at the moment.", band, cells, painter);
}

/// A Key that is being written.
pub fn draft(draft: &Draft, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
    let cell = |field: DoorField, line: &Line, painter: &Painter<'_>| -> (String, Style) {
        let text = match field {
            DoorField::Name => line.what.clone(),
            DoorField::Hours => draft.hours(line.opening),
            DoorField::By => if line.by_rule { "rule" } else { "list" }.into(),
        };
        (text, painter.theme.text)
    };
    let [adds, by_rule, names, saves] = [ADD, RULE, NAME, SAVE].map(|act| painter.chord(ScreenId::Keys, act));
    let none = format!("No door yet: {adds} adds doors, {by_rule} doors by what they are.");
    table::list(draft.lines(), &DOOR_COLUMNS, &none, layout.list, cell, painter);
    let spec = draft.spec();
    let share = if spec.may_share { "yes, unless the giving says otherwise" } else { "no, unless the giving says so" };
    let name = if spec.name.is_empty() { format!("not named yet: {names}") } else { spec.name.clone() };
    let what = if draft.is_new() { "a new Key" } else { "acts for all who hold it" };
    let saved = format!("{what}; {saves} saves it");
    let mut facts = vec![("Name", name), ("Share", share.to_owned()), ("Draft", saved)];
    if let Some(line) = draft.lines().selected() {
        facts.insert(0, ("Entry", line.what.clone()));
        facts.insert(1, ("Hours", draft.hours(line.opening)));
    }
    facts::panel("DRAFT", facts, layout.detail, painter);
    log::strip(shell, layout.strip, painter);
}

fn key_facts(screen: &Keys, key: &KeyRow, shell: &Shell) -> Vec<Fact> {
    if key.system {
        return vec![
            ("Doors", format!("{}, those labelled deliveries", grouped(key.doors))),
            ("Locked", "managed by the system".to_owned()),
            ("Why", "carriers open by it; nobody gives, edits or deletes it".to_owned()),
        ];
    }
    let detail = screen.detail();
    let facts = detail.and_then(|detail| detail.facts.as_ref());
    let doors = match facts {
        Some(facts) => {
            let rules = match facts.rules.len() {
                0 => String::new(),
                1 => ", 1 rule".to_owned(),
                some => format!(", {some} rules"),
            };
            format!("{} ({} listed{rules})", grouped(key.doors), grouped(facts.listed.len() as u64))
        }
        None => grouped(key.doors),
    };
    let share = if key.may_share { "yes, unless the giving says otherwise" } else { "no, unless the giving says so" };
    vec![
        ("Doors", doors),
        ("People", format!("{}, with {}", grouped(key.people), counted(key.guests, "guest", "guests"))),
        ("Hours", key.hours.clone().unwrap_or_else(|| "differ by door".to_owned())),
        ("Share", share.to_owned()),
        ("Opened", last_opened(detail, key, shell)),
    ]
}

fn last_opened(detail: Option<&Detail>, key: &KeyRow, shell: &Shell) -> String {
    let told = detail.and_then(|detail| detail.last.as_ref());
    log::newest(told, shell.feed.logs.last_granted_by(&key.name), "never in the log", |row| {
        let who = if shell.people_hidden { HIDDEN } else { row.person.as_str() };
        format!("{}, {}, {who}", ago(shell, row.at), row.door)
    })
}
