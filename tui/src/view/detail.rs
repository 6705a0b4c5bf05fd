//! The row under the cursor, in full.

use keyward_protocol::decision::Reason;

use super::{layout::Band, painter::Painter, table::HIDDEN, text::grouped};
use crate::app::{App, KeyRow, LogRow, Screen};

/// Labels are so many columns wide.
const LABEL: u16 = 9;
/// From so many columns on, facts stand in two columns.
const TWO_COLUMNS_FROM: u16 = 76;

type Fact = (&'static str, String);

/// What there is to know about the row under the cursor, as many facts as there is room for.
pub fn panel(app: &App, band: Band, painter: &mut Painter<'_>) {
    let facts = match app.screen {
        Screen::Keys => app.keys.selected().map(|row| key_facts(app, row)),
        Screen::Logs => app.logs.selected().map(|row| log_facts(app, row)),
    };
    let (first, height) = painter.panel(band, "DETAIL");
    let (left, inner) = painter.inner();
    let columns = if inner >= TWO_COLUMNS_FROM { 2 } else { 1 };
    let width = inner.saturating_sub(1) / columns;
    // Whole lines first, so that facts that belong together stand side by side.
    let places = (0..height).flat_map(|line| (0..columns).map(move |column| (line, column)));
    for ((label, value), (line, column)) in facts.unwrap_or_default().into_iter().zip(places) {
        let x = left + 1 + column * width;
        painter.put(x, first + line, LABEL, label, painter.theme.quiet);
        let room = width.saturating_sub(LABEL + 1);
        painter.put(x + LABEL, first + line, room, &value, painter.theme.text);
    }
}

fn log_facts(app: &App, row: &LogRow) -> Vec<Fact> {
    let person = |name: &str| match (name, app.people_hidden) {
        ("", _) => "--".to_owned(),
        (_, true) => HIDDEN.to_owned(),
        (name, false) => name.to_owned(),
    };
    let result = match row.reason {
        _ if row.granted => "ALLOW".to_owned(),
        Some(reason) => format!("DENY {reason}"),
        None => "DENY".to_owned(),
    };
    let mut facts = vec![("Time", row.at.rfc3339(&app.zone)), ("Result", result)];
    if let Some(reason) = row.reason.filter(|_| !row.granted) {
        facts.push(("Why", explained(reason).to_owned()));
    }
    facts.push(("Door", row.door.clone()));
    facts.push(("Person", person(&row.person)));
    facts.push(("Key", if row.key.is_empty() { "--".into() } else { row.key.clone() }));
    facts.push(("With", row.kind.to_owned()));
    if let Some(host) = &row.host {
        facts.push(("Guest of", person(host)));
    }
    facts
}

fn key_facts(app: &App, row: &KeyRow) -> Vec<Fact> {
    let last = match app.logs.last_granted_by(&row.name) {
        Some(last) => format!("{} {}", super::head::clock(app, last.at), last.door),
        None => "not in the rows kept".to_owned(),
    };
    let share = match (row.system, row.may_share) {
        (true, _) => "the system's own: nobody gives or edits it",
        (false, true) => "holders may share it",
        (false, false) => "holders may not share it",
    };
    vec![
        ("Name", row.name.clone()),
        ("Hours", row.hours.clone()),
        ("Doors", grouped(row.doors)),
        ("People", if row.system { "--".into() } else { grouped(row.people) }),
        ("Share", share.to_owned()),
        ("Opened", last),
    ]
}

/// The reason in a sentence.
fn explained(reason: Reason) -> &'static str {
    match reason {
        Reason::UnknownDoor => "the lock asked about a door it doesn't have",
        Reason::TooManyWrongCodes => "too many wrong codes at this door",
        Reason::Lockdown => "the door or its property is locked down",
        Reason::PersonSuspended => "the person is suspended",
        Reason::DeletedCode => "the code was deleted",
        Reason::OutsideSchedule => "a Key has the door, but not at this time",
        Reason::NotYetValid => "a Key has the door, but not yet",
        Reason::Expired => "a Key had the door, but it has ended",
        Reason::NoKey => "no Key of theirs has this door",
        Reason::UnknownCredential => "nobody is known by what was shown",
    }
}
