//! Screen 4, drawn.

use keyward_protocol::decision::Reason;

use crate::{
    app::{LogRow, Shell, history::Past, screen::logs::LogScreen},
    view::{
        facts::{self, Fact},
        layout::Layout,
        log::{self, HIDDEN},
        painter::Painter,
        table::NONE,
    },
};

/// Draws it.
pub fn render(screen: &LogScreen, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
    if let Some(explain) = screen.explained() {
        return super::explain::render(explain, shell, layout.overlay(), painter);
    }
    let facts = screen.selected(shell).map(|row| facts_of(shell, row)).unwrap_or_default();
    if let Some(open) = screen.histogram() {
        let (counted, band) = (screen.counted(shell), layout.overlay());
        return super::histogram::render(open, &counted, screen.past(), shell, band, painter);
    }
    if screen.is_open() {
        return facts::panel("ROW", facts, layout.overlay(), painter);
    }
    let logs = &shell.feed.logs;
    let cursor = screen.past().map_or(logs.cursor(), Past::cursor);
    let at = Some(cursor.at().saturating_sub(cursor.top()));
    match screen.past() {
        Some(past) => {
            log::recorded_rows(shell, layout.list, past.shown_from(cursor.top()), at, past.none(), painter);
        }
        None => {
            let empty = match logs.counts() {
                (_, 0) => "Nothing yet: checks appear here as locks ask them.",
                _ => "Nothing matches the filter: Esc clears it.",
            };
            log::marked_rows(shell, layout.list, logs.shown_from(cursor.top()), at, empty, painter);
        }
    }
    facts::panel("DETAIL", facts, layout.detail, painter);
    log::rates(shell, layout.rates, painter);
}

fn facts_of(shell: &Shell, row: &LogRow) -> Vec<Fact> {
    let person = |name: &str| match (name, shell.people_hidden) {
        ("", _) => NONE.to_owned(),
        (_, true) => HIDDEN.to_owned(),
        (name, false) => name.to_owned(),
    };
    let result = match row.reason {
        _ if row.granted => "ALLOW".to_owned(),
        Some(reason) => format!("DENY {reason}"),
        None => "DENY".to_owned(),
    };
    let mut facts = vec![("Time", row.at.rfc3339(shell.zone())), ("Result", result)];
    if let Some(reason) = row.reason.filter(|_| !row.granted) {
        facts.push(("Why", explained(reason).to_owned()));
    }
    facts.push(("Door", row.door.clone()));
    facts.push(("Person", person(&row.person)));
    facts.push(("Key", if row.key.is_empty() { NONE.into() } else { row.key.clone() }));
    facts.push(("With", row.kind.to_owned()));
    if let Some(host) = &row.host {
        facts.push(("Guest of", person(host)));
    }
    facts
}

/// The reason in a sentence.
pub fn explained(reason: Reason) -> &'static str {
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
