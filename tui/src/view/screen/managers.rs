//! Screen 5, drawn.

use keyward_protocol::{
    entry::{Level, Party},
    message::{admission::IdentityRow, manage::KeyRow},
};
use ratatui::style::Style;

use crate::{
    app::{
        ScreenId, Shell,
        explain::Asked,
        screen::managers::{Card, Choosing, Managed, Manager, Managers, Part, TOKEN},
    },
    view::{
        HIDDEN,
        columns::{Listed, Table},
        facts::{self, Fact},
        head::date,
        layout::{Band, Layout},
        log,
        painter::Painter,
        table::{self, NONE, column},
        text::{counted, grouped},
    },
};

/// The lists here that the settings can name.
pub fn lists() -> Vec<Listed> {
    vec![MANAGER_COLUMNS.listed(), LEVEL_COLUMNS.listed(), MACHINE_COLUMNS.listed()]
}

/// Draws it.
pub fn render(screen: &Managers, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
    match screen.card() {
        None => {
            list(screen, shell, layout.list, painter);
            facts::panel("MANAGERS", list_facts(screen, shell), layout.detail, painter);
        }
        Some(card) => {
            match (&card.choosing, card.part) {
                (Some(choosing), _) => keys(choosing, layout.list, painter),
                (None, Part::Levels) => levels(card, layout.list, painter),
                (None, Part::Machines) => machines(card, shell, layout.list, painter),
            }
            facts::panel("CONTACT", contact(card, shell), layout.detail, painter);
        }
    }
    log::strip(shell, layout.strip, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ManagerField {
    Name,
    Email,
    Manages,
}

const MANAGER_COLUMNS: Table<'static, ManagerField> = Table::named(
    "managers",
    &[
        column(ManagerField::Name, "NAME", 14, 32, 0),
        column(ManagerField::Email, "EMAIL", 14, 36, 2),
        column(ManagerField::Manages, "MANAGES", 14, 40, 1),
    ],
);

fn list(screen: &Managers, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: ManagerField, row: &Manager, painter: &Painter<'_>| -> (String, Style) {
        let theme = painter.theme;
        let person = |text: &str| if shell.people_hidden { HIDDEN.to_owned() } else { text.to_owned() };
        let text = match field {
            ManagerField::Name => person(&row.name),
            ManagerField::Email if row.email.is_empty() => NONE.to_owned(),
            ManagerField::Email => person(&row.email),
            ManagerField::Manages => manages(row),
        };
        (text, if row.suspended { theme.quiet } else { theme.text })
    };
    table::list(screen.list(), &MANAGER_COLUMNS, "Nobody is told yet.", band, cell, painter);
}

fn manages(row: &Manager) -> String {
    let set = counted(row.levels, "property", "properties");
    let suspended = if row.suspended { "SUSPENDED, " } else { "" };
    match (row.portfolio, row.levels) {
        (true, 0) => format!("{suspended}portfolio"),
        (true, _) => format!("{suspended}portfolio, set in {set}"),
        (false, _) => format!("{suspended}{set}"),
    }
}

fn list_facts(screen: &Managers, shell: &Shell) -> Vec<Fact> {
    let portfolio = screen.list().rows().iter().filter(|row| row.portfolio).count() as u64;
    let mine = match screen.is_portfolio_manager() {
        Some(true) => "Portfolio Manager".to_owned(),
        Some(false) => "you see your own levels; Portfolio Managers see everybody's".to_owned(),
        None => "...".to_owned(),
    };
    let properties = shell.overview.as_ref().map_or(0, |overview| overview.properties.len() as u64);
    let all = format!("{}, {} of the portfolio", grouped(screen.list().counts().total), grouped(portfolio));
    // The longest last: it has a line of its own.
    vec![("Managers", all), ("In", counted(properties, "property", "properties")), ("You", mine)]
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LevelField {
    Property,
    Keys,
    Level,
    CanDo,
    LogDoors,
}

const LEVEL_COLUMNS: Table<'static, LevelField> = Table::named(
    "managers.levels",
    &[
        column(LevelField::Property, "PROPERTY", 12, 32, 0),
        column(LevelField::Keys, "    KEYS", 8, 9, 2),
        column(LevelField::Level, "LEVEL", 8, 16, 1),
        column(LevelField::CanDo, "CAN DO", 18, 40, 3),
        column(LevelField::LogDoors, "LOG DOORS", 9, 9, 4),
    ],
);

fn levels(card: &Card, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: LevelField, row: &Managed, painter: &Painter<'_>| -> (String, Style) {
        let text = match field {
            LevelField::Property => row.name.clone(),
            LevelField::Keys => format!("{:>8}", keys_of(row)),
            LevelField::Level => match &row.level {
                Some(Level::Full) if row.by_default => "Full (portf.)".to_owned(),
                Some(Level::Full) => "Full".to_owned(),
                Some(Level::Limited) => "Limited".to_owned(),
                Some(Level::Specific(keys)) => format!("Specific({})", keys.len()),
                None => "-- none --".to_owned(),
            },
            LevelField::CanDo => can_do(row),
            LevelField::LogDoors => {
                let doors = card.log_doors(row).map_or_else(|| NONE.to_owned(), grouped);
                format!("{doors:>9}")
            }
        };
        (text, if row.level.is_some() { painter.theme.text } else { painter.theme.quiet })
    };
    let none = match &card.detail {
        Asked::Failed(why) => why.as_str(),
        _ => "Not told yet.",
    };
    table::list(&card.levels, &LEVEL_COLUMNS, none, band, cell, painter);
}

fn keys_of(row: &Managed) -> String {
    match row.keys {
        (keys, 0) => grouped(keys),
        (keys, system) => format!("{} + {system}", grouped(keys)),
    }
}

fn can_do(row: &Managed) -> String {
    match &row.level {
        Some(Level::Full) => "everything with all Keys".to_owned(),
        Some(Level::Limited) => "give and revoke all Keys".to_owned(),
        Some(Level::Specific(keys)) => format!("give and revoke {}", counted(keys.len() as u64, "Key", "Keys")),
        None => "nothing: Enter sets a level".to_owned(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum MachineField {
    Label,
    As,
    State,
    Connected,
    Certificate,
}

const MACHINE_COLUMNS: Table<'static, MachineField> = Table::named(
    "managers.machines",
    &[
        column(MachineField::Label, "MACHINE", 12, 30, 0),
        column(MachineField::As, "AS", 8, 8, 3),
        column(MachineField::State, "STATE", 8, 8, 1),
        column(MachineField::Connected, "CONNECTED", 12, 40, 2),
        column(MachineField::Certificate, "CERTIFICATE UNTIL", 17, 17, 4),
    ],
);

fn machines(card: &Card, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: MachineField, row: &IdentityRow, painter: &Painter<'_>| -> (String, Style) {
        let text = match field {
            MachineField::Label => row.label.clone(),
            MachineField::As => if matches!(row.party, Party::Holder(_)) { "holder" } else { "manager" }.to_owned(),
            MachineField::State => if row.disabled { "DISABLED" } else { "enabled" }.to_owned(),
            MachineField::Connected => match &row.connected {
                Some(open) => format!("{} since {}", open.address, date(shell, open.since)),
                None => format!("{NONE} (joined {})", date(shell, row.joined)),
            },
            MachineField::Certificate => {
                row.connected.as_ref().map_or_else(|| NONE.to_owned(), |open| date(shell, open.certificate_until))
            }
        };
        (text, if row.disabled { painter.theme.quiet } else { painter.theme.text })
    };
    let none = format!("No machine of theirs joined: {} makes a token.", painter.chord(ScreenId::Managers, TOKEN));
    table::list(&card.machines, &MACHINE_COLUMNS, &none, band, cell, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum KeyField {
    Chosen,
    Name,
    Doors,
    People,
    Was,
}

const KEY_COLUMNS: Table<'static, KeyField> = Table::fixed(&[
    column(KeyField::Chosen, "", 3, 3, 0),
    column(KeyField::Name, "KEY", 14, 40, 0),
    column(KeyField::Doors, " DOORS", 6, 6, 2),
    column(KeyField::People, " PEOPLE", 7, 7, 3),
    column(KeyField::Was, "", 10, 28, 4),
]);

fn keys(choosing: &Choosing, band: Band, painter: &mut Painter<'_>) {
    let chosen = choosing.keys.marked_ids();
    let cell = |field: KeyField, row: &KeyRow, painter: &Painter<'_>| -> (String, Style) {
        let (is, was) = (chosen.contains(&row.id.0), choosing.before.contains(&row.id.0));
        let text = match field {
            KeyField::Chosen if row.system => "[-]".to_owned(),
            KeyField::Chosen => if is { "[x]" } else { "[ ]" }.to_owned(),
            KeyField::Name => row.name.clone(),
            KeyField::Doors => format!("{:>6}", grouped(row.doors)),
            KeyField::People if row.system => format!("{NONE:>7}"),
            KeyField::People => format!("{:>7}", grouped(row.people)),
            KeyField::Was if row.system => "carrier-managed".to_owned(),
            KeyField::Was => match (was, is) {
                (true, false) => "<- was chosen",
                (false, true) => "<- new",
                _ => "",
            }
            .to_owned(),
        };
        let style = match (row.system, field) {
            (true, _) => painter.theme.quiet,
            (_, KeyField::Was) => painter.theme.alert,
            _ => painter.theme.text,
        };
        (text, style)
    };
    table::list(&choosing.keys, &KEY_COLUMNS, "There is no Key here.", band, cell, painter);
}

fn contact(card: &Card, shell: &Shell) -> Vec<Fact> {
    let hide = |text: &str| if shell.people_hidden { HIDDEN.to_owned() } else { text.to_owned() };
    let Some(detail) = card.detail.here() else { return vec![("Name", hide(&card.person.1))] };
    let signed_in = card.machines.rows().iter().filter_map(|row| row.connected.as_ref()).max_by_key(|open| open.since);
    let client = match signed_in {
        Some(open) => format!("connected since {} from {}", date(shell, open.since), open.address),
        None => "not connected".to_owned(),
    };
    let role = match (detail.row.suspended, detail.row.portfolio_manager) {
        (true, _) => "SUSPENDED",
        (false, true) => "Portfolio Manager",
        (false, false) => "manager by levels",
    };
    let holds = match detail.holds.as_slice() {
        [] => "no Key (managing a Key is not holding it)".to_owned(),
        [one] => one.name.clone(),
        [one, rest @ ..] => format!("{} and {} more", one.name, rest.len()),
    };
    vec![
        ("Name", hide(&detail.row.name)),
        ("Is", role.to_owned()),
        ("Email", hide(&detail.row.email)),
        ("Client", client),
        ("Phone", detail.phone.as_deref().map_or_else(|| NONE.to_owned(), hide)),
        ("Holds", holds),
    ]
}
