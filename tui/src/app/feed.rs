//! The live log, as the strip and the log's screen show it: rows, rates and how honest it is.

use std::collections::BTreeMap;

use keyward_protocol::{
    decision::Reason,
    message::watch::{LiveBatch, LiveRow, Names, Shown, Who},
};

use super::{LogRow, Logs, Rates};

/// What came by the live view.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// The rows.
    pub logs: Logs,
    /// Granted and denied checks over the last minutes.
    pub rates: Rates,
    /// Granted since the view was opened.
    pub granted: u64,
    /// Denied since the view was opened.
    pub denied: u64,
    /// Denied by reason, among the rows that came.
    pub by_reason: BTreeMap<Reason, u64>,
    /// One grant in so many is shown; 0 and 1 mean all.
    pub shown_one_in: u64,
    /// Rows that should have been shown and were dropped.
    pub dropped: u64,
}

impl Feed {
    /// Takes a batch; `height` rows of the log are seen.
    pub fn receive(&mut self, batch: LiveBatch, height: usize) {
        // The view's own beginning is where counting starts, and not its first batch.
        self.rates.totals(self.granted, self.denied);
        for count in &batch.counts {
            self.granted = self.granted.saturating_add(count.granted);
            self.denied = self.denied.saturating_add(count.denied);
        }
        for reason in batch.rows.iter().filter_map(|row| row.denied) {
            *self.by_reason.entry(reason).or_default() += 1;
        }
        self.rates.totals(self.granted, self.denied);
        self.shown_one_in = batch.sampled_one_in;
        self.dropped = self.dropped.saturating_add(batch.dropped);
        let named = Named::of(&batch.names);
        let rows: Vec<LogRow> = batch.rows.iter().map(|row| named.row(row)).collect();
        if !rows.is_empty() {
            self.logs.receive(rows, height);
        }
    }
}

/// Names by id.
pub struct Named<'a> {
    people: BTreeMap<u32, &'a str>,
    doors: BTreeMap<u32, &'a str>,
    keys: BTreeMap<u32, &'a str>,
    carriers: BTreeMap<u32, &'a str>,
}

impl<'a> Named<'a> {
    /// The names that came with rows.
    pub fn of(names: &'a Names) -> Named<'a> {
        Named {
            people: names.people.iter().map(|(id, name)| (id.0, name.as_str())).collect(),
            doors: names.doors.iter().map(|(id, name)| (id.0, name.as_str())).collect(),
            keys: names.keys.iter().map(|(id, name)| (id.0, name.as_str())).collect(),
            carriers: names.carriers.iter().map(|(id, name)| (id.0, name.as_str())).collect(),
        }
    }

    /// A row of the log with its names.
    pub fn row(&self, row: &LiveRow) -> LogRow {
        let name = |names: &BTreeMap<u32, &str>, id: u32| names.get(&id).copied().unwrap_or_default().to_owned();
        let (person, host) = match row.who {
            Who::Nobody => (String::new(), None),
            Who::Person(person) => (name(&self.people, person.0), None),
            Who::Guest { person, host } => (name(&self.people, person.0), Some(name(&self.people, host.0))),
            Who::Carrier(carrier) => (name(&self.carriers, carrier.0), None),
        };
        let door = self.doors.get(&row.door.0).map_or_else(|| row.door.to_string(), |name| (*name).to_owned());
        let key = match row.key {
            Some(key) => name(&self.keys, key.0),
            None if row.another_key => "another Key".to_owned(),
            None => String::new(),
        };
        let kind = match row.shown {
            Shown::Mobile => "phone",
            Shown::Card => "card",
            Shown::Code => "code",
            Shown::Carrier => "carrier",
        };
        let of = *row;
        LogRow { of, at: row.time, granted: row.denied.is_none(), reason: row.denied, door, person, host, key, kind }
    }
}
