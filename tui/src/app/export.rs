//! Rows of the access log as lines of a file, CSV or JSON Lines, and an explanation as JSON.

use jiff::tz::TimeZone;
use keyward_protocol::{
    decision::Reason,
    message::manage::{Explanation, StandingRow},
    time::Moment,
};
use serde_json::json;

use super::{
    LogRow, Shell,
    explain::{Asked, Explain},
};
use crate::view::HIDDEN;

/// How rows are written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Comma-separated values (RFC 4180), for spreadsheets.
    Csv,
    /// One object of JSON a line.
    JsonLines,
}

/// What the columns are called.
const COLUMNS: [&str; 13] = [
    "time",
    "result",
    "reason",
    "door",
    "door_id",
    "person",
    "person_id",
    "key",
    "key_id",
    "with",
    "guest_of",
    "lock",
    "revision",
];

impl Format {
    /// How names of files end.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::JsonLines => "jsonl",
        }
    }

    /// What a file begins with.
    pub fn beginning(self) -> String {
        match self {
            Format::Csv => csv_line(&COLUMNS.map(str::to_owned)),
            Format::JsonLines => String::new(),
        }
    }

    /// A row as a line, its end included.
    pub fn line(self, row: &LogRow, zone: &TimeZone, people_hidden: bool) -> String {
        let cells = cells(row, zone, people_hidden);
        match self {
            Format::Csv => csv_line(&cells),
            Format::JsonLines => {
                let value = |text: &String| if text.is_empty() { json!(null) } else { json!(text) };
                let pairs = COLUMNS.iter().zip(&cells).map(|(name, text)| ((*name).to_owned(), value(text)));
                format!("{}\n", serde_json::Value::Object(pairs.collect()))
            }
        }
    }
}

/// An explanation as JSON: who and what was asked about, what was recorded, what comes of it by the rules at that moment and
/// now, and what would have opened the door. `null` stands for what is not known.
pub fn explanation(explain: &Explain, shell: &Shell) -> String {
    let zone = shell.zone();
    let name = |text: &str| if shell.people_hidden { HIDDEN.to_owned() } else { text.to_owned() };
    let at = |moment: Option<Moment>| moment.map(|moment| moment.rfc3339(zone));
    let reason = |denied: Option<Reason>| denied.map(|reason| reason.to_string());
    let standing = |row: &StandingRow| {
        json!({
            "key": row.key.as_ref().map(|key| &key.name),
            "key_id": row.key.as_ref().map(|key| key.id.0),
            "shared_by": row.host.as_ref().map(|(_, host)| name(host)),
            "schedules": row.openings.iter().map(|opening| &opening.schedule).collect::<Vec<_>>(),
            "from": at(row.from),
            "until": at(row.until),
            "excepted_from_lockdown": row.excepted,
            "refuses": reason(row.refuses),
        })
    };
    let told = |asked: &Asked<Box<Explanation>>| {
        asked.here().map(|told| {
            json!({
                "at": told.at.rfc3339(zone),
                "revision": told.revision,
                "result": if told.denied.is_none() { "allow" } else { "deny" },
                "reason": reason(told.denied),
                "suspended": told.suspended,
                "no_code": told.no_code,
                "lockdowns": told.lockdowns.len(),
                "keys": told.held.iter().map(standing).collect::<Vec<_>>(),
                "changes_at": at(told.flips_at),
                "would_have_opened": told.would_open.iter().map(|key| &key.name).collect::<Vec<_>>(),
            })
        })
    };
    let recorded = explain.row.as_ref().map(|row| {
        json!({
            "at": row.at.rfc3339(zone),
            "revision": row.of.revision,
            "result": if row.granted { "allow" } else { "deny" },
            "reason": reason(row.reason),
        })
    });
    let all = json!({
        "keyward_explanation": 1,
        "person": name(&explain.person.1),
        "person_id": explain.person.0.0,
        "door": explain.door.1,
        "door_id": explain.door.0.0,
        "by_code": explain.by_code,
        "asked_about": at(explain.at),
        "recorded": recorded,
        "then": told(&explain.then),
        "now": told(&explain.now),
    });
    format!("{all:#}\n")
}

fn cells(row: &LogRow, zone: &TimeZone, people_hidden: bool) -> [String; 13] {
    let (person, _) = row.people();
    let name = |text: &str| if people_hidden && !text.is_empty() { HIDDEN.to_owned() } else { text.to_owned() };
    let id = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
    [
        row.at.rfc3339(zone),
        if row.granted { "allow" } else { "deny" }.to_owned(),
        row.reason.map(|reason| reason.to_string()).unwrap_or_default(),
        row.door.clone(),
        row.of.door.0.to_string(),
        name(&row.person),
        if people_hidden { String::new() } else { id(person) },
        row.key.clone(),
        id(row.of.key.map(|key| key.0)),
        row.kind.to_owned(),
        name(row.host.as_deref().unwrap_or_default()),
        id(row.of.lock.map(|lock| lock.0)),
        row.of.revision.to_string(),
    ]
}

/// A line of CSV, its end included. What a spreadsheet would work out instead of showing is disarmed by a `'`.
pub fn csv_line(cells: &[String]) -> String {
    let cell = |text: &String| {
        let armed = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']);
        let text = if armed { format!("'{text}") } else { text.clone() };
        match text.contains(['"', ',', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text,
        }
    };
    let mut line = cells.iter().map(cell).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::log_rows;

    #[test]
    fn cells_are_quoted_and_formulas_disarmed() {
        let cases = [
            ("Lobby", "Lobby\r\n"),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\"\r\n"),
            ("+1", "'+1\r\n"),
            ("-1", "'-1\r\n"),
            ("@SUM", "'@SUM\r\n"),
            ("a,b", "\"a,b\"\r\n"),
            ("a=b", "a=b\r\n"),
        ];
        for (text, line) in cases {
            assert_eq!(csv_line(&[text.to_owned()]), line);
        }
    }

    #[test]
    fn rows_are_lines_and_hidden_people_stay_hidden() {
        let rows = log_rows();
        let zone = TimeZone::get("America/New_York").unwrap();
        assert_eq!(
            Format::Csv.line(&rows[2], &zone, false),
            "2026-11-20T11:48:51.113-05:00,allow,,Main entrance,1,Visitor,9,Residences,4,code,Tracy,,18204\r\n"
        );
        let hidden = Format::JsonLines.line(&rows[2], &zone, true);
        let value: serde_json::Value = serde_json::from_str(&hidden).unwrap();
        assert_eq!(
            (&value["person"], &value["guest_of"], &value["person_id"]),
            (&json!(HIDDEN), &json!(HIDDEN), &json!(null))
        );
        assert!(!hidden.contains("Tracy") && hidden.ends_with("}\n"));
        assert_eq!(Format::Csv.beginning().split(',').count(), COLUMNS.len());
    }
}
