//! Screen 6, drawn.

use keyward_protocol::{
    entry::LockScope,
    message::{
        admission::TokenRow,
        manage::{DoorRow, LockRow},
    },
};
use ratatui::style::Style;

use crate::{
    app::{
        Shell,
        screen::{
            UNTOLD,
            locks::{Choosing, Locks, Part, whose},
        },
    },
    view::{
        columns::{Listed, Table},
        facts::{self, Fact},
        head::{age, ago, date},
        layout::{Band, Layout},
        log,
        painter::Painter,
        table::{self, NONE, column},
        text::{counted, grouped},
    },
};

/// The lists here that the settings can name.
pub fn lists() -> Vec<Listed> {
    vec![LOCK_COLUMNS.listed(), TOKEN_COLUMNS.listed()]
}

/// Draws it.
pub fn render(screen: &Locks, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
    match (screen.choosing(), screen.part()) {
        (Some(choosing), _) => doors(choosing, layout.list, painter),
        (None, Part::Locks) => locks(screen, shell, layout.list, painter),
        (None, Part::Tokens) => tokens(screen, shell, layout.list, painter),
    }
    let row = screen.locks().selected().filter(|_| screen.part() == Part::Locks && screen.choosing().is_none());
    match row {
        Some(row) => {
            facts::panel(&format!("LOCK {}", row.name), lock_facts(row, screen, shell), layout.detail, painter)
        }
        None => facts::panel("", Vec::new(), layout.detail, painter),
    }
    log::strip(shell, layout.strip, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LockField {
    Name,
    Scope,
    State,
    Connected,
    LastSeen,
    Minute,
    Certificate,
}

const LOCK_COLUMNS: Table<'static, LockField> = Table::named(
    "locks",
    &[
        column(LockField::Name, "NAME", 14, 36, 0),
        column(LockField::Scope, "ASKS ABOUT", 12, 32, 3),
        column(LockField::State, "STATE", 12, 12, 1),
        column(LockField::LastSeen, "LAST SEEN", 9, 9, 2),
        column(LockField::Minute, "A MINUTE", 8, 9, 3),
        column(LockField::Connected, "CONNECTED", 9, 40, 5),
        column(LockField::Certificate, "CERTIFICATE UNTIL", 17, 17, 4),
    ],
);

fn locks(screen: &Locks, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: LockField, row: &LockRow, painter: &Painter<'_>| -> (String, Style) {
        let theme = painter.theme;
        let style = if row.disabled { theme.quiet } else { theme.text };
        match field {
            LockField::Name => (row.name.clone(), style),
            LockField::Scope => (scope(&row.scope, shell), style),
            LockField::State => state(row, painter),
            LockField::Connected => {
                let open = row.connected.as_ref();
                (open.map_or_else(|| NONE.to_owned(), |open| format!("since {}", date(shell, open.since))), style)
            }
            LockField::LastSeen => (last_seen(row, screen, shell), style),
            LockField::Minute => (a_minute(row, screen), style),
            LockField::Certificate => {
                let open = row.connected.as_ref();
                (open.map_or_else(|| NONE.to_owned(), |open| date(shell, open.certificate_until)), style)
            }
        }
    };
    table::list(screen.locks(), &LOCK_COLUMNS, &screen.none(shell), band, cell, painter);
}

/// How long ago it asked; `--` where it did not since the server started, `...` where that is not told yet.
fn last_seen(row: &LockRow, screen: &Locks, shell: &Shell) -> String {
    let asked = screen.activities().of(row.id);
    asked.map_or_else(|| unknown(screen).to_owned(), |asked| age(shell, asked.last))
}

/// Its checks of the last whole minute.
fn a_minute(row: &LockRow, screen: &Locks) -> String {
    let asked = screen.activities().of(row.id);
    asked.map_or_else(|| unknown(screen).to_owned(), |asked| grouped(asked.minute))
}

fn unknown(screen: &Locks) -> &'static str {
    if screen.activities().is_whole() { NONE } else { UNTOLD }
}

/// In a word how a lock is: what needs an eye first.
fn state(row: &LockRow, painter: &Painter<'_>) -> (String, Style) {
    let theme = painter.theme;
    match (row.disabled, row.identity, &row.connected) {
        (true, ..) => ("DISABLED".to_owned(), theme.alert),
        (false, None, _) => ("never joined".to_owned(), theme.alert),
        (false, Some(_), None) => ("not here".to_owned(), theme.alert),
        (false, Some(_), Some(_)) => ("connected".to_owned(), theme.text),
    }
}

fn scope(scope: &LockScope, shell: &Shell) -> String {
    match scope {
        LockScope::Property(id) => {
            let properties = shell.overview.iter().flat_map(|overview| &overview.properties);
            let row = properties.into_iter().find(|row| row.id == *id);
            format!("all of {}", row.map_or_else(|| id.to_string(), |row| row.name.clone()))
        }
        LockScope::Doors(doors) => counted(doors.len() as u64, "door", "doors"),
    }
}

fn lock_facts(row: &LockRow, screen: &Locks, shell: &Shell) -> Vec<Fact> {
    let asked = match screen.activities().of(row.id) {
        Some(asked) => format!("{}, {} in all since the server started", ago(shell, asked.last), grouped(asked.checks)),
        None if screen.activities().is_whole() => "nothing since the server started".to_owned(),
        None => UNTOLD.to_owned(),
    };
    let from = row.connected.as_ref().map_or_else(|| NONE.to_owned(), |open| open.address.clone());
    let since = row.connected.as_ref().map_or_else(|| NONE.to_owned(), |open| date(shell, open.since));
    let until = row.connected.as_ref().map_or_else(|| NONE.to_owned(), |open| date(shell, open.certificate_until));
    let identity = row.identity.map_or_else(|| "none: it has not joined".to_owned(), |id| id.to_string());
    vec![
        ("Is", row.id.to_string()),
        ("Identity", identity),
        ("From", from),
        ("Since", since),
        ("Cert. to", until),
        ("Asks", scope(&row.scope, shell)),
        ("Asked", asked),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TokenField {
    For,
    As,
    Until,
}

const TOKEN_COLUMNS: Table<'static, TokenField> = Table::named(
    "locks.tokens",
    &[
        column(TokenField::For, "FOR", 14, 48, 0),
        column(TokenField::As, "JOINS AS", 8, 10, 1),
        column(TokenField::Until, "UNTIL", 16, 24, 2),
    ],
);

fn tokens(screen: &Locks, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: TokenField, row: &TokenRow, painter: &Painter<'_>| -> (String, Style) {
        let text = match field {
            TokenField::For => whose(row, shell),
            TokenField::As => row.party.as_str().to_owned(),
            TokenField::Until => date(shell, row.until),
        };
        (text, painter.theme.text)
    };
    table::list(screen.tokens(), &TOKEN_COLUMNS, "No token waits to be used.", band, cell, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DoorField {
    Chosen,
    Name,
    Kind,
}

const DOOR_COLUMNS: Table<'static, DoorField> = Table::fixed(&[
    column(DoorField::Chosen, "", 3, 3, 0),
    column(DoorField::Name, "DOOR", 14, 48, 0),
    column(DoorField::Kind, "KIND", 8, 10, 1),
]);

fn doors(choosing: &Choosing, band: Band, painter: &mut Painter<'_>) {
    let chosen = choosing.doors.marked_ids();
    let cell = |field: DoorField, row: &DoorRow, painter: &Painter<'_>| -> (String, Style) {
        let text = match field {
            DoorField::Chosen => if chosen.contains(&row.id.0) { "[x]" } else { "[ ]" }.to_owned(),
            DoorField::Name => row.name.clone(),
            DoorField::Kind => row.kind.as_str().to_owned(),
        };
        (text, painter.theme.text)
    };
    table::list(&choosing.doors, &DOOR_COLUMNS, "The property has no door.", band, cell, painter);
}
