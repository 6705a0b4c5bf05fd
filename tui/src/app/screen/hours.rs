//! When Keys open, in words.

use std::collections::BTreeMap;

use keyward_protocol::{
    entry::{Opening, ScheduleRef},
    id::ScheduleId,
    message::manage::ScheduleRow,
};

use crate::app::form::ALWAYS;

/// The names of a property's schedules.
pub type Names = BTreeMap<ScheduleId, String>;

/// The names of these.
pub fn names(rows: Vec<ScheduleRow>) -> Names {
    rows.into_iter().map(|row| (row.id, row.name)).collect()
}

/// A schedule in a word.
pub fn schedule(names: &Names, schedule: ScheduleRef) -> String {
    match schedule {
        ScheduleRef::Always => ALWAYS.to_owned(),
        ScheduleRef::Named(id) => names.get(&id).cloned().unwrap_or_else(|| id.to_string()),
    }
}

/// Openings in words: any of them opens.
pub fn told(names: &Names, openings: &[Opening]) -> String {
    let words = openings.iter().map(|opening| {
        let hours = schedule(names, opening.schedule);
        if opening.code { hours } else { format!("{hours} (no code)") }
    });
    words.collect::<Vec<_>>().join(", ")
}
