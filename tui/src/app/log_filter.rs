//! What rows of the access log are wanted, as people type it: `door:garage* deny since:15m`.

use jiff::tz::TimeZone;
use keyward_protocol::{decision::Reason, name, time::Moment};

use super::{LogRow, form};

/// A thing by its name or id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// `#12`: this one, whatever it is called.
    Id(u32),
    /// `"Garage"`: the whole name.
    Whole(String),
    /// `garage*`: the whole name, where each `*` stands for anything.
    Pattern(String),
    /// `garage`: a part of the name.
    Part(String),
}

/// Which rows are wanted. Of several doors, people, Keys or reasons any will do; everything else must hold together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogFilter {
    /// Each stands somewhere in the row.
    pub words: Vec<String>,
    /// At one of these doors.
    pub doors: Vec<Wanted>,
    /// Of one of these people, as guest or host.
    pub people: Vec<Wanted>,
    /// By one of these Keys.
    pub keys: Vec<Wanted>,
    /// Denied for one of these reasons.
    pub reasons: Vec<Reason>,
    /// Granted, or denied.
    pub granted: Option<bool>,
    /// From this moment on.
    pub from: Option<Moment>,
    /// To before this moment.
    pub until: Option<Moment>,
    /// What could not be read, and was left out.
    pub problem: Option<String>,
}

/// Whether `folded`, which was [folded](name::fold) already, stands in `text` however that is written.
pub(super) fn holds(text: &str, folded: &str) -> bool {
    if !text.is_ascii() {
        return name::fold(text).contains(folded);
    }
    let (text, part) = (text.trim().as_bytes(), folded.as_bytes());
    part.is_empty() || text.windows(part.len()).any(|place| place.eq_ignore_ascii_case(part))
}

impl Wanted {
    /// Reads what was typed after the colon.
    pub fn parse(text: &str, quoted: bool) -> Wanted {
        match text.strip_prefix('#').map(str::parse) {
            Some(Ok(id)) if !quoted => Wanted::Id(id),
            _ if quoted => Wanted::Whole(name::fold(text)),
            _ if text.contains('*') => Wanted::Pattern(name::fold(text)),
            _ => Wanted::Part(name::fold(text)),
        }
    }

    /// Whether it is wanted.
    pub fn is(&self, id: Option<u32>, name: &str) -> bool {
        match self {
            Wanted::Id(wanted) => id == Some(*wanted),
            Wanted::Whole(wanted) => name::fold(name) == *wanted,
            Wanted::Pattern(pattern) => like(pattern, &name::fold(name)),
            Wanted::Part(part) => holds(name, part),
        }
    }

    /// What the server is asked for to find it by its name: nothing where it has to tell all.
    pub fn searched(&self) -> &str {
        match self {
            Wanted::Whole(text) | Wanted::Part(text) => text,
            Wanted::Id(_) | Wanted::Pattern(_) => "",
        }
    }
}

/// Whether the text is like the pattern, in which each `*` stands for anything.
fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        match rest.find(part).and_then(|at| rest.get(at + part.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// What terms are about that are no words.
pub const TERMS: &str = "door: person: key: reason: allow deny since: from: until:";

impl LogFilter {
    /// Reads what was typed. What can't be read is left out and told as a problem.
    pub fn parse(text: &str, now: Option<Moment>, zone: &TimeZone) -> LogFilter {
        let mut filter = LogFilter::default();
        for (term, quoted) in terms(text) {
            filter.take(&term, quoted, now, zone);
        }
        filter
    }

    fn take(&mut self, term: &str, quoted: bool, now: Option<Moment>, zone: &TimeZone) {
        let (name, value) = term.split_once(':').unwrap_or(("", term));
        let about = match name.to_ascii_lowercase().as_str() {
            "door" => Some(&mut self.doors),
            "person" => Some(&mut self.people),
            "key" => Some(&mut self.keys),
            _ => None,
        };
        match (about, name.to_ascii_lowercase().as_str(), value) {
            // Still being typed.
            (Some(_), _, "") | (_, "reason" | "since" | "from" | "until", "") => {}
            (Some(about), ..) => about.push(Wanted::parse(value, quoted)),
            (_, "reason", value) => {
                let value = value.to_ascii_lowercase();
                let found = Reason::ALL.into_iter().filter(|reason| reason.as_str().starts_with(&value));
                let before = self.reasons.len();
                self.reasons.extend(found);
                if self.reasons.len() == before {
                    self.problem = Some(format!("there is no reason `{value}`"));
                }
            }
            (_, "since", value) => match (ago(value), now) {
                (Some(seconds), Some(now)) => self.from = Some(now.plus_seconds(-seconds)),
                _ => self.problem = Some("write it like since:15m, 2h or 7d".to_owned()),
            },
            (_, "from", value) => match moment(value, now, zone) {
                Ok(at) => self.from = Some(at),
                Err(why) => self.problem = Some(why),
            },
            (_, "until", value) => match moment(value, now, zone) {
                Ok(at) => self.until = Some(at),
                Err(why) => self.problem = Some(why),
            },
            (_, "", "allow") if !quoted => self.granted = Some(true),
            (_, "", "deny") if !quoted => self.granted = Some(false),
            // Also what only looks like a term: names may have colons.
            _ if !term.is_empty() => self.words.push(name::fold(term)),
            _ => {}
        }
    }

    /// Whether the row is wanted. Hidden people aren't searched: a filter that finds them would name them.
    pub fn matches(&self, row: &LogRow, people_hidden: bool) -> bool {
        let (person, host) = row.people();
        let any = |wanted: &[Wanted], is: &dyn Fn(&Wanted) -> bool| wanted.is_empty() || wanted.iter().any(is);
        let within = self.from.is_none_or(|from| row.at >= from) && self.until.is_none_or(|until| row.at < until);
        let of_person = |wanted: &Wanted| {
            let named = |id, name: &str| match people_hidden {
                true => matches!(wanted, Wanted::Id(_)) && wanted.is(id, ""),
                false => !(name.is_empty() && id.is_none()) && wanted.is(id, name),
            };
            named(person, &row.person) || named(host, row.host.as_deref().unwrap_or_default())
        };
        within
            && self.granted.is_none_or(|granted| row.granted == granted)
            && (self.reasons.is_empty() || row.reason.is_some_and(|reason| self.reasons.contains(&reason)))
            && any(&self.doors, &|door| door.is(Some(row.of.door.0), &row.door))
            && any(&self.people, &of_person)
            && any(&self.keys, &|key| !row.key.is_empty() && key.is(row.of.key.map(|key| key.0), &row.key))
            && self.words.iter().all(|word| row.holds(word, people_hidden))
    }
}

/// The terms of what was typed, and whether quotes stood in each: blanks part them, but for those within quotes.
pub fn terms(text: &str) -> Vec<(String, bool)> {
    let mut terms = Vec::new();
    let (mut term, mut within, mut quoted) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            '"' => (within, quoted) = (!within, true),
            ' ' if !within => {
                if !term.is_empty() || quoted {
                    terms.push((std::mem::take(&mut term), quoted));
                }
                quoted = false;
            }
            c => term.push(c),
        }
    }
    if !term.is_empty() {
        // A quote that is still open is still being typed.
        terms.push((term, quoted && !within));
    }
    terms
}

/// A length of time in seconds: `90s`, `15m`, `2h`, `7d`.
pub fn ago(text: &str) -> Option<i64> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    i64::from(number).checked_mul(seconds)
}

/// A moment as people type it: as in [`form::moment`], or `18:00`, which is today's.
///
/// # Errors
///
/// It can't be read, or the clocks skip or repeat that minute.
pub fn moment(text: &str, now: Option<Moment>, zone: &TimeZone) -> Result<Moment, String> {
    let clock = text.len() <= 8 && text.contains(':') && !text.contains('-');
    match now {
        Some(now) if clock => {
            let today = zone.to_datetime(now.timestamp()).date();
            form::moment(&format!("{today} {text}"), zone)
        }
        _ => form::moment(text, zone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::{self, noon};

    fn parse(text: &str) -> LogFilter {
        LogFilter::parse(text, Some(noon()), &TimeZone::get("America/New_York").unwrap())
    }

    #[test]
    fn a_part_is_found_however_it_is_written() {
        for text in ["", " Unit 1 ", "UNIT 1", "Café", "a", "ü"] {
            for part in ["", "unit", "1", "t 1", "x", "é", "CAFÉ", "unit 1 and more", " "] {
                let part = name::fold(part);
                assert_eq!(holds(text, &part), name::fold(text).contains(&part), "{text} {part}");
            }
        }
    }

    #[test]
    fn terms_are_read_and_what_is_wrong_is_told() {
        assert_eq!(
            parse("door:Garage* deny"),
            LogFilter { doors: vec![Wanted::Pattern("garage*".into())], granted: Some(false), ..LogFilter::default() }
        );
        assert_eq!(
            parse("person:#7 person:\"Tracy O\" key:b"),
            LogFilter {
                people: vec![Wanted::Id(7), Wanted::Whole("tracy o".into())],
                keys: vec![Wanted::Part("b".into())],
                ..LogFilter::default()
            }
        );
        let times = parse("since:15m until:12:00");
        let told = |at: Option<Moment>| at.unwrap().to_string();
        assert_eq!(
            (told(times.from), told(times.until)),
            (noon().plus_seconds(-900).to_string(), "2026-11-20T17:00:00Z".into())
        );
        assert_eq!(parse("reason:out").reasons, [Reason::OutsideSchedule]);
        assert_eq!(parse("a:b \"allow\" Garage").words, ["a:b", "allow", "garage"]);
        assert_eq!(parse("door: since: \"").problem, None);
        for (text, problem) in [
            ("reason:weather", "no reason `weather`"),
            ("since:soon", "since:15m"),
            ("from:never", "is no moment"),
            ("from:2026-03-08T02:30", "skip or repeat"),
        ] {
            assert!(parse(text).problem.unwrap().contains(problem), "{text}");
        }
    }

    #[test]
    fn stars_stand_for_anything() {
        let cases = [
            ("garage*", "garage g1", true),
            ("garage*", "the garage", false),
            ("*garage", "the garage", true),
            ("g*e*1", "garage g1", true),
            ("g*1*1", "garage g1", false),
            ("*", "", true),
            ("a*a", "a", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn filters_find_rows_by_what_they_name_and_hidden_people_only_by_id() {
        let rows = testing::log_rows();
        let found = |text: &str, hidden: bool| -> Vec<usize> {
            let filter = parse(text);
            (0..rows.len()).filter(|at| filter.matches(&rows[*at], hidden)).collect()
        };
        let cases: &[(&str, &[usize])] = &[
            ("", &[0, 1, 2, 3]),
            ("allow", &[2, 3]),
            ("deny reason:out", &[0]),
            ("person:lee", &[0]),
            ("person:tracy", &[2, 3]),
            ("person:#1 allow", &[2, 3]),
            ("person:#9", &[2]),
            ("key:\"key a\"", &[3]),
            ("key:key", &[3]),
            ("door:main door:roof", &[0, 1, 2, 3]),
            ("door:#2", &[]),
            ("since:10s", &[2, 3]),
            ("TRACY", &[2, 3]),
            ("unknown", &[1]),
        ];
        for (text, expected) in cases {
            assert_eq!(found(text, false), *expected, "{text}");
        }
        assert_eq!(found("person:tracy", true), [0_usize; 0]);
        assert_eq!(found("tracy", true), [0_usize; 0]);
        assert_eq!(found("person:#9", true), [2]);
    }
}
