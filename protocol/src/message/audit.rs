//! The audit trail (L5): what managers did and what they were refused, a page at a time, and as an export whose chain
//! anybody can check.

#![allow(missing_docs, reason = "rkyv's derive writes twins without documentation")]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use core::fmt::Write;

use super::manage::Made;
use crate::{id::*, time::Moment};

/// What was done, or refused. New ones are added at the end: the journal keeps them.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub enum Act {
    /// A portfolio was made, or a whole site put in.
    SiteLoaded,
    PersonMade,
    PersonChanged,
    PersonSuspended,
    PersonResumed,
    PersonDeleted,
    /// Somebody became a Portfolio Manager, or stopped being one.
    PortfolioManagerSet,
    PropertyMade,
    PropertyChanged,
    PropertyRemoved,
    HolidaysSet,
    /// A property opted in to deliveries, or out.
    DeliveriesSet,
    DoorMade,
    DoorChanged,
    DoorRemoved,
    ScheduleMade,
    ScheduleChanged,
    ScheduleDeleted,
    KeyMade,
    KeyChanged,
    KeyDeleted,
    /// A Key was given, or a giving changed.
    KeyGiven,
    KeyRevoked,
    /// One Key was given and another revoked.
    KeyMoved,
    /// A Key was shared, or a share changed.
    KeyShared,
    ShareEnded,
    /// The clock ended givings and shares.
    Expired,
    /// The quarantine of deleted codes was over.
    QuarantineEnded,
    LockedDown,
    LockdownLifted,
    LevelSet,
    /// A lock was registered, disabled or enabled.
    LockSet,
    /// A door code was shown to somebody.
    CodeRevealed,
    /// Something was looked at, or for: only what was refused is kept.
    Looked,
    /// A token to join with was made.
    TokenMade,
    /// A token to join with was taken back.
    TokenRevoked,
    /// A key joined by a token.
    Joined,
    /// A key that had joined was disabled or enabled.
    IdentitySet,
    /// A person has another mobile identity.
    MobileRenewed,
    /// The authority that signs certificates was replaced.
    AuthorityRotated,
}

/// Who did it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum ActedBy {
    /// Whoever runs the server, on the machine itself.
    Administrator,
    /// A person of the portfolio.
    Person(PersonId),
    /// Nobody: the time had come.
    Clock,
    /// A person of the portfolio, as the holder of their own Keys.
    Holder(PersonId),
    /// A lock, which joined.
    Lock(LockId),
}

/// One thing that was another before, in the words of that moment.
#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Fact {
    /// Of what: ``Key `Lobby` ``.
    pub of: String,
    /// Which side of it: `name`, ``door `Gym` ``.
    pub what: String,
    /// Before; `None`: it was not there.
    pub before: Option<String>,
    /// Afterwards; `None`: it is gone.
    pub after: Option<String>,
}

/// One act.
#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct AuditRow {
    /// When, by the server's clock.
    pub at: Moment,
    /// Who.
    pub by: ActedBy,
    /// Their name and email at that moment.
    pub name: String,
    /// The address that they were connected from; `None` on the server's own machine.
    pub from: Option<String>,
    /// The portfolio's revision afterwards; what changes nothing does not move it. 0: not known.
    pub revision: u64,
    /// What.
    pub act: Act,
    /// Where, when it is one property's and the viewer sees that.
    pub property: Option<PropertyId>,
    /// What it was about, where that has an id.
    pub about: Option<Made>,
    /// Before and after, and what followed.
    pub facts: Vec<Fact>,
    /// Why it was refused, as they were told; `None`: it was done.
    pub refused: Option<String>,
    /// So many more attempts of theirs were refused before this one and have no row of their own.
    pub more: u64,
    /// Only in an export: stands for this row and everything before it.
    pub link: Option<Link>,
}

/// A hash that stands for everything up to a place in the trail.
pub type Link = [u8; 32];

/// What to look for. Every condition that is given must hold.
#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct AuditSearch {
    /// From this moment on.
    pub from: Moment,
    /// To before this moment.
    pub until: Moment,
    /// What this person did.
    pub by: Option<PersonId>,
    /// What was done in this property.
    pub property: Option<PropertyId>,
    /// Acts of this kind.
    pub act: Option<Act>,
    /// What was refused, or what was done.
    pub refused: Option<bool>,
    /// Backwards from the end, as people look, or forwards.
    pub newest_first: bool,
    /// At most so many rows: 1 to [`crate::limits::ROWS_PER_ANSWER_MAX`].
    pub most: u32,
    /// Go on where another page of the same search ended ([`AuditPage::next`]).
    pub after: Option<Vec<u8>>,
    /// All of it from the beginning, with links: for Portfolio Managers, forwards and without conditions.
    pub export: bool,
}

impl AuditSearch {
    /// The newest rows of everything that may be seen.
    pub fn newest(most: u32) -> AuditSearch {
        AuditSearch {
            from: Moment::MIN,
            until: Moment::MAX,
            by: None,
            property: None,
            act: None,
            refused: None,
            newest_first: true,
            most,
            after: None,
            export: false,
        }
    }

    /// Everything, with links, from the beginning.
    pub fn export(most: u32) -> AuditSearch {
        AuditSearch { newest_first: false, export: true, ..AuditSearch::newest(most) }
    }

    /// Whether an export asks for nothing but that.
    pub fn exports_all(&self) -> bool {
        AuditSearch { after: None, ..self.clone() } == AuditSearch::export(self.most)
    }
}

/// A page of the audit trail.
#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct AuditPage {
    /// The rows that match.
    pub rows: Vec<AuditRow>,
    /// Where to go on; `None`: there are no more. Means something to this server, for this asker, until it ends.
    pub next: Option<Vec<u8>>,
    /// How far this page has looked, where there is more: rows may be far apart.
    pub searched_to: Option<Moment>,
    /// An export's first page: its first line, which its links begin with, and that line's link.
    pub beginning: Option<(Link, String)>,
}

impl AuditRow {
    /// The row as one line of JSON, which its link is made of. The same row is the same line, in every release.
    pub fn line(&self) -> String {
        let mut line = Line::begin();
        line.text("at", &self.at.to_string());
        match self.by {
            ActedBy::Administrator => line.text("by", "administrator"),
            ActedBy::Person(person) => line.text("by", &person.to_string()),
            ActedBy::Clock => line.text("by", "clock"),
            ActedBy::Holder(person) => line.text("by", &format!("{person} as holder")),
            ActedBy::Lock(lock) => line.text("by", &lock.to_string()),
        }
        line.text("name", &self.name);
        line.optional("from", self.from.as_deref());
        line.raw("revision", &self.revision.to_string());
        line.text("act", &format!("{:?}", self.act));
        line.optional("property", self.property.map(|id| id.to_string()).as_deref());
        line.optional("about", self.about.map(about).as_deref());
        let facts: Vec<String> = self.facts.iter().map(Fact::line).collect();
        line.raw("facts", &format!("[{}]", facts.join(",")));
        line.optional("refused", self.refused.as_deref());
        line.raw("more", &self.more.to_string());
        line.end()
    }
}

impl Fact {
    fn line(&self) -> String {
        let mut line = Line::begin();
        line.text("of", &self.of);
        line.text("what", &self.what);
        line.optional("before", self.before.as_deref());
        line.optional("after", self.after.as_deref());
        line.end()
    }
}

fn about(about: Made) -> String {
    match about {
        Made::Person(id) => id.to_string(),
        Made::Property(id) => id.to_string(),
        Made::Door(id) => id.to_string(),
        Made::Schedule(id) => id.to_string(),
        Made::Key(id) => id.to_string(),
        Made::Giving(id) => id.to_string(),
        Made::Share(id) => id.to_string(),
        Made::Lockdown(id) => id.to_string(),
        Made::Lock(id) => id.to_string(),
        Made::Token(id) => id.to_string(),
        Made::Identity(id) => id.to_string(),
    }
}

/// A line of an export, with the link that stands for it and everything before it.
pub fn exported(link: &Link, line: &str) -> String {
    format!("{} {line}", hex(link))
}

/// Bytes in hexadecimal, as links and histories are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first line of an export.
pub fn beginning(portfolio: &str, lineage: &str) -> String {
    let mut line = Line::begin();
    line.raw("keyward_audit", "1");
    line.text("portfolio", portfolio);
    line.text("lineage", lineage);
    line.end()
}

/// An object of JSON, field by field.
struct Line(String);

impl Line {
    fn begin() -> Line {
        Line("{".to_owned())
    }

    fn raw(&mut self, name: &str, value: &str) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        _ = write!(self.0, "{comma}\"{name}\":{value}");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.raw(name, &quoted(value));
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        self.raw(name, &value.map_or_else(|| "null".to_owned(), quoted));
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => _ = write!(quoted, "\\u{:04x}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    // L5
    #[test]
    fn a_row_is_one_line_of_json_whatever_stands_in_it() {
        let row = AuditRow {
            at: Moment::from_micros(1_795_000_000_000_001),
            by: ActedBy::Person(PersonId(7)),
            name: "Dana \"D\" <dana@harbor.example>".to_owned(),
            from: Some("[::1]:4433".to_owned()),
            revision: 12,
            act: Act::KeyChanged,
            property: Some(PropertyId(1)),
            about: Some(Made::Key(KeyId(5))),
            facts: vec![Fact {
                of: "Key `A\\B`".to_owned(),
                what: "name".to_owned(),
                before: Some("A\nB".to_owned()),
                after: None,
            }],
            refused: None,
            more: 0,
            link: Some([1; 32]),
        };
        let line = concat!(
            r#"{"at":"2026-11-18T11:06:40.000001Z","by":"person-7","name":"Dana \"D\" <dana@harbor.example>","#,
            r#""from":"[::1]:4433","revision":12,"act":"KeyChanged","property":"property-1","about":"key-5","#,
            r#""facts":[{"of":"Key `A\\B`","what":"name","before":"A\u000aB","after":null}],"refused":null,"more":0}"#
        );
        assert_eq!(row.line(), line);
        assert_eq!(beginning("H", "ab"), r#"{"keyward_audit":1,"portfolio":"H","lineage":"ab"}"#);
        assert!(AuditSearch::export(5).exports_all());
        assert!(!AuditSearch { by: Some(PersonId(1)), ..AuditSearch::export(5) }.exports_all());
    }
}
