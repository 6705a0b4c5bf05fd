//! `keyward-server evaluate`: judges checks by the rules alone, without a server or a database.
//!
//! One check a line comes in, one answer a line goes out, in the same order. People keep such files as tests of their
//! site: a check may say what it expects.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
};

use jiff::tz::TimeZone;
use keyward_protocol::{
    code::Card,
    decision::{Decision, Reason},
    id::{DoorId, PortfolioId, PropertyId},
    name::fold,
    time::Moment,
};
use serde::{Deserialize, Serialize};

use crate::domain::{
    directory::{Portfolio, Property},
    policy::{self, Judgement, Shown},
    site::Site,
};

/// All checks were judged, and each was as expected.
pub const EXIT_DONE: u8 = 0;
/// An answer differs from what its check expects.
pub const EXIT_DIFFERS: u8 = 1;
/// The site file or a check is not valid.
pub const EXIT_INVALID: u8 = 2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    property: String,
    door: String,
    person: Option<String>,
    carrier: Option<String>,
    card: Option<String>,
    at: String,
    expect: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Granted {
        decision: &'static str,
        key: String,
        host: Option<String>,
        next_change: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        because: Option<Vec<Because>>,
    },
    Denied {
        decision: &'static str,
        reason: &'static str,
        next_opening: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        because: Option<Vec<Because>>,
    },
    Error {
        error: String,
    },
}

#[derive(Serialize)]
struct Because {
    key: String,
    host: Option<String>,
    yields: &'static str,
}

/// A portfolio with its names folded once, so that a check on a large site need not go through all of them.
struct Named {
    portfolio: Portfolio,
    properties: BTreeMap<String, (PropertyId, BTreeMap<String, DoorId>)>,
}

impl Named {
    fn new(portfolio: Portfolio) -> Named {
        let doors_of = |property: &Property| property.doors.values().map(|door| (fold(&door.name), door.id)).collect();
        let named = |property: &Property| (fold(&property.facts.name), (property.id(), doors_of(property)));
        let properties = portfolio.properties.values().map(|property| named(property)).collect();
        Named { portfolio, properties }
    }

    /// The property and the door that a check is about, as far as they are known.
    fn find(&self, check: &Check) -> Option<(&Property, DoorId)> {
        let (property, doors) = self.properties.get(&fold(&check.property))?;
        Some((self.portfolio.properties.get(property)?, *doors.get(&fold(&check.door))?))
    }
}

/// Judges every line of `checks` by the site in `site_text` and writes the answers to `out`, what differs or is wrong
/// to `err`. Returns the exit code: [`EXIT_DONE`], [`EXIT_DIFFERS`] or [`EXIT_INVALID`]; fails only where reading or
/// writing does.
pub fn run(
    (site_name, site_text): (&str, &str),
    (checks_name, checks): (&str, &mut dyn BufRead),
    explain: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let site = match Site::parse(site_name, site_text) {
        Ok(site) => site,
        Err(errors) => {
            for error in errors {
                writeln!(err, "{error}")?;
            }
            return Ok(EXIT_INVALID);
        }
    };
    let named = Named::new(site.portfolio(PortfolioId(1)));
    let mut exit = EXIT_DONE;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if checks.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Ok(text) = std::str::from_utf8(&line) else {
            write_answer(out, &Answer::Error { error: "the line is not UTF-8".to_owned() })?;
            exit = EXIT_INVALID;
            continue;
        };
        if text.trim().is_empty() {
            continue;
        }
        let (answer, differs) = match judge_line(&named, text, explain) {
            Ok(judged) => judged,
            Err(error) => {
                exit = EXIT_INVALID;
                (Answer::Error { error }, None)
            }
        };
        if let Some((expected, got)) = differs {
            writeln!(err, "{checks_name}:{number}: expected {expected}, got {got}")?;
            exit = exit.max(EXIT_DIFFERS);
        }
        write_answer(out, &answer)?;
    }
    out.flush()?;
    Ok(exit)
}

fn write_answer(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    serde_json::to_writer(&mut *out, answer).map_err(io::Error::other)?;
    out.write_all(b"\n")
}

/// What was expected, and what came instead.
type Difference = (String, &'static str);

/// The answer to one line, and how it differs from what was expected; or why the line is no check.
fn judge_line(named: &Named, text: &str, explain: bool) -> Result<(Answer, Option<Difference>), String> {
    let check: Check = serde_json::from_str(text).map_err(|error| format!("this is no check: {error}"))?;
    let at = Moment::parse(&check.at).map_err(|error| error.to_string())?;
    let expected = check.expect.as_deref().map(expectation).transpose()?;
    let shown = shown(&named.portfolio, &check)?;
    let answer = match named.find(&check) {
        Some((property, door)) => judge(&named.portfolio, property, door, shown, at, explain),
        None => Answer::Denied {
            decision: "denied",
            reason: Reason::UnknownDoor.as_str(),
            next_opening: None,
            because: explain.then(Vec::new),
        },
    };
    let got = match &answer {
        Answer::Denied { reason, .. } => reason,
        Answer::Granted { .. } | Answer::Error { .. } => "granted",
    };
    let as_expected = match expected {
        None => true,
        Some("denied") => got != "granted",
        Some(word) => got == word,
    };
    let differs = (!as_expected).then(|| (expected.unwrap_or_default().to_owned(), got));
    Ok((answer, differs))
}

fn expectation(word: &str) -> Result<&str, String> {
    let known = word == "granted" || word == "denied" || Reason::parse(word).is_some();
    known.then_some(word).ok_or_else(|| format!("`{word}` can't be expected: write granted, denied or a reason"))
}

fn shown(portfolio: &Portfolio, check: &Check) -> Result<Shown, String> {
    match (&check.person, &check.carrier, &check.card) {
        (Some(email), None, None) => {
            Ok(portfolio.person_by_email(email).map_or(Shown::Unknown, |person| Shown::Person(person.id)))
        }
        (None, Some(_), None) => Ok(Shown::Carrier),
        (None, None, Some(number)) => {
            let card = Card::parse_hex(number)
                .ok_or_else(|| format!("`{number}` is no card number: write 1 to 10 bytes in hex"))?;
            Ok(portfolio.cards.get(&card).map_or(Shown::Unknown, |person| Shown::Person(*person)))
        }
        _ => Err("a check names one of person, carrier and card".to_owned()),
    }
}

fn judge(portfolio: &Portfolio, property: &Property, door: DoorId, shown: Shown, at: Moment, explain: bool) -> Answer {
    let judgement = policy::judge(portfolio, property, door, shown, at);
    let next = policy::next_flip(portfolio, property, door, shown, at);
    let next = next.map(|moment| shown_moment(moment, &property.zone));
    let because = explain.then(|| because(portfolio, property, &judgement));
    match judgement.decision {
        Decision::Granted { key } => Answer::Granted {
            decision: "granted",
            key: property.key_name(key).unwrap_or_default().to_owned(),
            host: judgement.host.and_then(|host| portfolio.people.get(&host)).map(|host| host.email.clone()),
            next_change: next,
            because,
        },
        Decision::Denied { reason } => {
            Answer::Denied { decision: "denied", reason: reason.as_str(), next_opening: next, because }
        }
    }
}

fn shown_moment(moment: Moment, zone: &TimeZone) -> String {
    moment.rfc3339(zone)
}

fn because(portfolio: &Portfolio, property: &Property, judgement: &Judgement) -> Vec<Because> {
    judgement
        .because
        .iter()
        .map(|yielded| Because {
            key: property.key_name(yielded.key).unwrap_or_default().to_owned(),
            host: yielded.host.and_then(|host| portfolio.people.get(&host)).map(|host| host.email.clone()),
            yields: yielded.refuses.map_or("granted", Reason::as_str),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = r#"keyward = 1
[portfolio]
name = "Harbor"
managers = ["ana@harbor.example"]
[[person]]
name = "Ana"
email = "ana@harbor.example"
cards = ["04a2"]
[[property]]
name = "Main"
time_zone = "America/New_York"
deliveries = true
  [[property.door]]
  name = "Lobby"
  kind = "entrance"
  labels = ["deliveries"]
  [[property.schedule]]
  name = "business"
  windows = ["daily 08:00-18:00"]
  [[property.key]]
  name = "Staff"
  doors = [{ door = "Lobby", schedule = "business" }]
  [[property.giving]]
  key = "Staff"
  person = "ana@harbor.example"
"#;

    fn evaluate(site: &str, checks: &str, explain: bool) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut input = checks.as_bytes();
        let exit = run(("site.toml", site), ("checks.jsonl", &mut input), explain, &mut out, &mut err).unwrap();
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    // U1, U2, V3
    #[test]
    fn answers_come_in_order_with_key_and_next_moment() {
        let checks = r#"{"property":"main","door":"LOBBY","person":"ANA@harbor.example","at":"2026-11-23T10:00:00-05:00","expect":"granted"}

{"property":"Main","door":"Lobby","card":"04A2","at":"2026-11-23T18:00:00-05:00","expect":"denied"}
{"property":"Main","door":"Lobby","carrier":"UPS","at":"2026-11-23T03:00:00-05:00","expect":"granted"}
{"property":"Main","door":"Roof","person":"ana@harbor.example","at":"2026-11-23T03:00:00-05:00","expect":"unknown_door"}
{"property":"Main","door":"Lobby","person":"who@harbor.example","at":"2026-11-23T03:00:00-05:00"}
"#;
        let (exit, out, err) = evaluate(SITE, checks, false);
        assert_eq!((exit, err.as_str()), (EXIT_DONE, ""));
        assert_eq!(
            out.lines().collect::<Vec<_>>(),
            [
                r#"{"decision":"granted","key":"Staff","host":null,"next_change":"2026-11-23T18:00:00-05:00"}"#,
                r#"{"decision":"denied","reason":"outside_schedule","next_opening":"2026-11-24T08:00:00-05:00"}"#,
                r#"{"decision":"granted","key":"Deliveries","host":null,"next_change":null}"#,
                r#"{"decision":"denied","reason":"unknown_door","next_opening":null}"#,
                r#"{"decision":"denied","reason":"unknown_credential","next_opening":null}"#,
            ]
        );
    }

    #[test]
    fn what_differs_is_named_with_file_and_line() {
        let check =
            r#"{"property":"Main","door":"Lobby","card":"04a2","at":"2026-11-23T20:00:00-05:00","expect":"granted"}"#;
        let (exit, out, err) = evaluate(SITE, check, true);
        assert_eq!((exit, err.as_str()), (EXIT_DIFFERS, "checks.jsonl:1: expected granted, got outside_schedule\n"));
        assert!(out.contains(r#""because":[{"key":"Staff","host":null,"yields":"outside_schedule"}]"#));
    }

    #[test]
    fn what_is_no_check_is_answered_in_its_place() {
        let good = r#"{"property":"Main","door":"Lobby","card":"04a2","at":"2026-11-23T10:00:00-05:00"}"#;
        let checks = format!("nonsense\n{good}\n{}\n", good.replace("-05:00", ""));
        let (exit, out, _) = evaluate(SITE, &checks, false);
        assert_eq!(exit, EXIT_INVALID);
        let kinds: Vec<bool> = out.lines().map(|line| line.starts_with(r#"{"error":"#)).collect();
        assert_eq!(kinds, [true, false, true]);
    }

    #[test]
    fn a_site_that_is_wrong_prints_no_answers() {
        let (exit, out, err) = evaluate(&SITE.replace("entrance", "gate"), "", false);
        assert_eq!((exit, out.as_str()), (EXIT_INVALID, ""));
        assert!(err.starts_with("site.toml:15: `gate` is no kind of door"));
    }
}
