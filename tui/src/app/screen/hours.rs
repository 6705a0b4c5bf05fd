//! When Keys open, and which doors, in words.

use std::collections::BTreeMap;

use keyward_protocol::{
    entry::{DoorRule, Opening, ScheduleRef},
    id::ScheduleId,
    message::manage::ScheduleRow,
    schedule::Window,
};

use crate::app::{form::ALWAYS, grid};

/// A property's named schedules.
pub type Schedules = BTreeMap<ScheduleId, ScheduleRow>;

/// These by id.
pub fn by_id(rows: Vec<ScheduleRow>) -> Schedules {
    rows.into_iter().map(|row| (row.id, row)).collect()
}

/// A schedule in a word.
pub fn schedule(known: &Schedules, schedule: ScheduleRef) -> String {
    match schedule {
        ScheduleRef::Always => ALWAYS.to_owned(),
        ScheduleRef::Named(id) => known.get(&id).map_or_else(|| id.to_string(), |row| row.name.clone()),
    }
}

/// Openings in words: any of them opens.
pub fn told(known: &Schedules, openings: &[Opening]) -> String {
    let words = openings.iter().map(|opening| {
        let hours = schedule(known, opening.schedule);
        if opening.code { hours } else { format!("{hours} (no code)") }
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Which doors a rule names, in words (K10).
pub fn rule(rule: &DoorRule) -> String {
    let kind = rule.kind.map_or("door", |kind| kind.as_str());
    let vacancy = match rule.occupied {
        None => "",
        Some(true) => "occupied ",
        Some(false) => "vacant ",
    };
    let labels = match rule.labels.as_slice() {
        [] => String::new(),
        labels => format!(" labelled {}", labels.join(" and ")),
    };
    let except = match rule.except.len() {
        0 => String::new(),
        1 => ", but for 1 door".to_owned(),
        some => format!(", but for {some} doors"),
    };
    format!("every {vacancy}{kind}{labels}{except}")
}

/// How many minutes of `from..to` of a day (Monday 0) any of the openings is open, in a usual week. Where one is not
/// known yet, that is as if it were shut.
pub fn open_minutes(known: &Schedules, openings: &[Opening], day: u8, from: u16, to: u16) -> u16 {
    let mut windows: Vec<Window> = Vec::new();
    for opening in openings {
        match opening.schedule {
            ScheduleRef::Always => return to - from,
            ScheduleRef::Named(id) => windows.extend(known.get(&id).iter().flat_map(|row| &row.hours.windows)),
        }
    }
    grid::open_minutes(&windows, day, from, to)
}
