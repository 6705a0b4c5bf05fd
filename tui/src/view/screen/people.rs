//! Screen 2, drawn.

use keyward_protocol::{
    id::{PersonId, PropertyId},
    message::manage::{CodeRow, HeldRow, PersonRow},
    time::Moment,
};
use ratatui::style::Style;

use crate::{
    app::{
        ScreenId, Shell,
        screen::{
            holding::{GIVE, SHARE},
            people::{Detail, EVERYBODY, NEW, Page, Part, People, Shared},
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
        text::grouped,
    },
};

/// Stands for the digits of a code that is not shown.
const DIGITS: &str = "*******";

/// The lists here that the settings can name.
pub fn lists() -> Vec<Listed> {
    vec![
        PERSON_COLUMNS.listed(),
        HELD_COLUMNS.listed(),
        GUEST_OF_COLUMNS.listed(),
        GUEST_COLUMNS.listed(),
        CODE_COLUMNS.listed(),
    ]
}

/// Draws it.
pub fn render(screen: &People, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
    match screen.page() {
        None => list(screen, shell, layout.list, painter),
        Some(page) => match page.part {
            Part::Keys => holds(page, shell, layout.list, painter),
            Part::GuestOf => shares(page, shell, layout.list, painter),
            Part::Guests => shares(page, shell, layout.list, painter),
            Part::Codes => codes(screen, page, shell, layout.list, painter),
            Part::Contact => {
                facts::panel("CONTACT", person_facts(&page.person, screen.detail(), shell), layout.list, painter);
            }
        },
    }
    let title = match screen.person() {
        Some(row) => format!("PERSON {}", person(shell, &row.name)),
        None => "PERSON".to_owned(),
    };
    let facts = screen.person().map(|row| person_facts(row, screen.detail(), shell)).unwrap_or_default();
    facts::panel(&title, facts, layout.detail, painter);
    log::strip(shell, layout.strip, painter);
}

fn person(shell: &Shell, text: &str) -> String {
    if shell.people_hidden { HIDDEN.to_owned() } else { text.to_owned() }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PersonField {
    Name,
    Email,
    Keys,
    Shares,
    State,
    Seen,
}

const PERSON_COLUMNS: Table<'static, PersonField> = Table::named(
    "people",
    &[
        column(PersonField::Name, "NAME", 14, 36, 0),
        column(PersonField::Email, "EMAIL", 14, 44, 3),
        column(PersonField::Keys, " KEYS", 5, 5, 1),
        column(PersonField::Shares, "GUEST OF", 8, 8, 4),
        column(PersonField::State, "STATE", 9, 20, 2),
        column(PersonField::Seen, "LAST SEEN", 9, 9, 5),
    ],
);

fn list(screen: &People, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: PersonField, row: &PersonRow, painter: &Painter<'_>| -> (String, Style) {
        let theme = painter.theme;
        let style = if row.suspended { theme.quiet } else { theme.text };
        match field {
            PersonField::Name => (person(shell, &row.name), style),
            PersonField::Email => (person(shell, &row.email), style),
            PersonField::Keys => (format!("{:>5}", grouped(row.keys)), style),
            PersonField::Shares => (format!("{:>8}", grouped(row.shares)), style),
            PersonField::State if row.suspended => ("SUSPENDED".into(), theme.alert),
            PersonField::State if row.portfolio_manager => ("Portfolio Manager".into(), style),
            PersonField::State => (String::new(), style),
            PersonField::Seen => {
                let last = shell.feed.logs.last_opened_by(row.id);
                (last.map_or_else(|| NONE.into(), |last| age(shell, last.at)), style)
            }
        }
    };
    let none = if screen.is_of_everybody() {
        format!("There is nobody here: {} makes a new person.", painter.chord(ScreenId::People, NEW))
    } else {
        {
            let lists = painter.chord(ScreenId::People, EVERYBODY);
            format!("Nobody holds anything here: {lists} lists everybody of the portfolio.")
        }
    };
    table::list(screen.list(), &PERSON_COLUMNS, &none, band, cell, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HeldField {
    Key,
    Share,
    Guests,
    Period,
    Property,
}

const HELD_COLUMNS: Table<'static, HeldField> = Table::named(
    "people.keys",
    &[
        column(HeldField::Key, "KEY", 14, 40, 0),
        column(HeldField::Share, "SHARE", 5, 5, 2),
        column(HeldField::Guests, "GUESTS", 6, 6, 4),
        column(HeldField::Period, "PERIOD", 12, 40, 1),
        column(HeldField::Property, "PROPERTY", 12, 24, 3),
    ],
);

fn holds(page: &Page, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: HeldField, row: &HeldRow, painter: &Painter<'_>| -> (String, Style) {
        let style = if row.terms.ended { painter.theme.quiet } else { painter.theme.text };
        let text = match field {
            HeldField::Key => row.name.clone(),
            HeldField::Share => if row.terms.may_share { "yes" } else { "no" }.into(),
            HeldField::Guests => format!("{:>6}", row.guests.iter().filter(|guest| !guest.ended).count()),
            HeldField::Period => period(shell, row.terms.from, row.terms.until, row.terms.ended),
            HeldField::Property => property(shell, row.property),
        };
        (text, style)
    };
    let none = format!("They hold no Key that you manage: {} gives one.", painter.chord(ScreenId::People, GIVE));
    table::list(&page.holds, &HELD_COLUMNS, &none, band, cell, painter);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ShareField {
    Other,
    Key,
    Doors,
    Period,
}

const GUEST_OF_COLUMNS: Table<'static, ShareField> = Table::named(
    "people.guest-of",
    &[
        column(ShareField::Key, "KEY", 14, 40, 0),
        column(ShareField::Other, "SHARED BY", 12, 32, 1),
        column(ShareField::Doors, "DOORS", 5, 5, 3),
        column(ShareField::Period, "PERIOD", 12, 40, 2),
    ],
);

const GUEST_COLUMNS: Table<'static, ShareField> = Table::named(
    "people.guests",
    &[
        column(ShareField::Other, "GUEST", 14, 32, 0),
        column(ShareField::Key, "KEY", 12, 40, 1),
        column(ShareField::Doors, "DOORS", 5, 5, 3),
        column(ShareField::Period, "PERIOD", 12, 40, 2),
    ],
);

/// The shares of a page: those that the person has as a guest, or those with guests of theirs.
fn shares(page: &Page, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let guest_of = page.part == Part::GuestOf;
    let cell = |field: ShareField, shared: &Shared, painter: &Painter<'_>| -> (String, Style) {
        let row = &shared.row;
        let style = if row.ended { painter.theme.quiet } else { painter.theme.text };
        let text = match field {
            ShareField::Other if guest_of => person(shell, &row.host_name),
            ShareField::Other => person(shell, &row.guest_name),
            ShareField::Key => shared.key.clone(),
            ShareField::Doors => row.doors.as_ref().map_or_else(|| "all".into(), |some| format!("{:>5}", some.len())),
            ShareField::Period => period(shell, row.from, row.until, row.ended),
        };
        (text, style)
    };
    match guest_of {
        true => table::list(&page.guest_of, &GUEST_OF_COLUMNS, "A guest of nobody.", band, cell, painter),
        false => {
            let none = format!("No guests: {} shares a Key for them.", painter.chord(ScreenId::People, SHARE));
            table::list(&page.guests, &GUEST_COLUMNS, &none, band, cell, painter);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CodeField {
    Door,
    Code,
    Made,
    Property,
}

const CODE_COLUMNS: Table<'static, CodeField> = Table::named(
    "people.codes",
    &[
        column(CodeField::Door, "DOOR", 12, 44, 0),
        column(CodeField::Code, "CODE", 10, 10, 1),
        column(CodeField::Made, "MADE", 10, 16, 3),
        column(CodeField::Property, "PROPERTY", 12, 24, 2),
    ],
);

fn codes(screen: &People, page: &Page, shell: &Shell, band: Band, painter: &mut Painter<'_>) {
    let cell = |field: CodeField, row: &CodeRow, painter: &Painter<'_>| -> (String, Style) {
        let shown = screen.revealed().filter(|code| code.code == row.id && !shell.people_hidden);
        match (field, shown) {
            (CodeField::Door, _) => (row.name.clone(), painter.theme.text),
            (CodeField::Code, Some(code)) => (code.digits.clone(), painter.theme.strong),
            (CodeField::Code, None) => (DIGITS.to_owned(), painter.theme.quiet),
            (CodeField::Made, _) => (date(shell, row.made_at), painter.theme.text),
            (CodeField::Property, _) => (property(shell, row.property), painter.theme.text),
        }
    };
    table::list(&page.codes, &CODE_COLUMNS, "No door code that you may see.", band, cell, painter);
}

/// When something is held or shared.
fn period(shell: &Shell, from: Option<Moment>, until: Option<Moment>, ended: bool) -> String {
    match (from, until) {
        (_, Some(until)) if ended => format!("ended {}", date(shell, until)),
        _ if ended => "ended".to_owned(),
        (None, None) => "always".to_owned(),
        (Some(from), None) => format!("from {}", date(shell, from)),
        (None, Some(until)) => format!("until {}", date(shell, until)),
        (Some(from), Some(until)) => format!("{} to {}", date(shell, from), date(shell, until)),
    }
}

fn property(shell: &Shell, id: PropertyId) -> String {
    let rows = shell.overview.iter().flat_map(|overview| &overview.properties);
    rows.into_iter().find(|row| row.id == id).map_or_else(|| id.to_string(), |row| row.name.clone())
}

fn person_facts(row: &PersonRow, detail: Option<&Detail>, shell: &Shell) -> Vec<Fact> {
    let told = detail.and_then(|detail| detail.facts.as_ref());
    let waits = || "...".to_owned();
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        some => format!("{some} {what}s"),
    };
    let some = |text: Option<&String>| text.map_or_else(|| NONE.to_owned(), |text| person(shell, text));
    let keys = told.map_or_else(waits, |told| {
        let names: Vec<&str> = told.holds.iter().filter(|row| !row.terms.ended).map(|row| row.name.as_str()).collect();
        if names.is_empty() { "none that you manage".to_owned() } else { names.join(", ") }
    });
    let guests = told.map_or_else(waits, |told| {
        let guests = told.holds.iter().flat_map(|row| &row.guests).filter(|guest| !guest.ended).count();
        let of = told.guest_of.iter().filter(|share| !share.ended).count();
        format!("{}, and a guest of {of}", count(guests, "guest"))
    });
    let codes = told.map_or_else(waits, |told| match told.cards.len() {
        0 => count(told.codes.len(), "door code"),
        cards => format!("{}, {}", count(told.codes.len(), "door code"), count(cards, "card")),
    });
    let state = match (row.suspended, row.portfolio_manager) {
        (true, _) => "SUSPENDED: opens nothing, nor do their guests",
        (false, true) => "Portfolio Manager",
        (false, false) => "active",
    };
    vec![
        ("Email", person(shell, &row.email)),
        ("Phone", told.map_or_else(waits, |told| some(told.phone.as_ref()))),
        ("Keys", keys),
        ("Guests", guests),
        ("Codes", codes),
        ("Opened", last_opened(row.id, detail, shell)),
        ("State", state.to_owned()),
        ("Note", told.map_or_else(waits, |told| some(told.note.as_ref()))),
    ]
}

fn last_opened(person: PersonId, detail: Option<&Detail>, shell: &Shell) -> String {
    let told = detail.and_then(|detail| detail.last.as_ref());
    log::newest(told, shell.feed.logs.last_opened_by(person), "nothing in the log", |row| {
        // The log's search finds the rows of who shared the Key, too.
        let guest = if row.people().1 == Some(person.0) { "a guest, " } else { "" };
        format!("{}, {guest}{} ({})", ago(shell, row.at), row.door, date(shell, row.at))
    })
}
