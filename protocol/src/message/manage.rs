//! Management requests and their answers: one of each on a stream.
//!
//! A payload is its version (one byte) and three zero bytes, then an rkyv archive. Archives are validated on their way
//! in, and then [checked](Request::check) for what only looks right: nothing is taken on trust.

#![allow(missing_docs, reason = "rkyv's derive writes twins without documentation")]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use rkyv::rancor;

use super::{
    admission::{ConnectedRow, IdentityRow, TokenRow},
    audit::{AuditPage, AuditSearch},
    mine::{Mine, MyAccess},
    watch::{History, Search},
};
use crate::{
    code::Card,
    decision::Reason,
    entry::{
        CodePolicy, Command, DoorKind, DoorRule, Holiday, KeyDoor, Level, LockScope, OnLogFailure, Opening, Refusal,
        Senseless,
    },
    id::*,
    limits::ROWS_PER_ANSWER_MAX,
    schedule::Hours,
    time::Moment,
};

/// The version of the requests and answers described here.
pub const MANAGE_VERSION: u8 = 1;
const PREFIX_BYTES: usize = 4;

/// A digest of effects: what a step is pinned to its preview by (K9).
pub type Digest = [u8; 32];

/// Which rows of a list. Lists are ordered by id, so that what is made meanwhile comes at the end.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Rows {
    /// Only rows whose name (or email) holds this, compared as names are (K4). Empty: all.
    pub search: String,
    /// Only rows with ids after this one; 0 for the beginning.
    pub after: u32,
    /// At most so many: 1 to [`ROWS_PER_ANSWER_MAX`].
    pub most: u32,
}

impl Rows {
    /// All of a list, as far as one answer goes.
    pub fn all() -> Rows {
        Rows { search: String::new(), after: 0, most: ROWS_PER_ANSWER_MAX }
    }
}

/// Which rows of each list of effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Part {
    /// How many to pass over.
    pub skip: u64,
    /// At most so many: up to [`ROWS_PER_ANSWER_MAX`]; 0 for the totals alone.
    pub most: u32,
}

impl Part {
    /// The beginning of each list, as far as one answer goes.
    pub const FIRST: Part = Part { skip: 0, most: ROWS_PER_ANSWER_MAX };
}

/// What an operator asks.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Request {
    /// The portfolio: [`Overview`].
    Overview,
    /// A property's facts: [`PropertyDetail`].
    Property(PropertyId),
    /// A property's Keys: [`KeyRow`]s.
    Keys(PropertyId, Rows),
    /// One Key: [`KeyDetail`].
    Key(KeyId),
    /// Who holds a Key: [`HolderRow`]s, by giving.
    Holders(KeyId, Rows),
    /// People, of the portfolio or those who hold something in a property: [`PersonRow`]s.
    People(Option<PropertyId>, Rows),
    /// One person: [`PersonDetail`].
    Person(PersonId),
    /// A property's doors: [`DoorRow`]s.
    Doors(PropertyId, Rows),
    /// One door: [`DoorDetail`].
    Door(DoorId),
    /// A property's named schedules: [`ScheduleRow`]s.
    Schedules(PropertyId, Rows),
    /// Registered locks: [`LockRow`]s.
    Locks(Rows),
    /// What would follow (K9): [`Effects`]. Changes nothing.
    Preview(Command, Part),
    /// Do it: [`Done`]. Refused when `pinned` and what follows, computed again, differs from that preview (K9).
    Do {
        /// What.
        command: Command,
        /// The preview's digest.
        pinned: Option<Digest>,
        /// Which rows of the effects to answer with.
        part: Part,
    },
    /// Why someone can or can't open a door (U5): [`Explanation`].
    Explain {
        /// Who.
        person: PersonId,
        /// Which door.
        door: DoorId,
        /// By their door code, not their mobile identity or a card.
        by_code: bool,
        /// When; `None` for now. A past moment by the Keys of that time.
        at: Option<Moment>,
    },
    /// Who can open a door (U6), now, later, or at a past moment by the Keys of that time: [`WhoCan`], by person.
    WhoCan(DoorId, Option<Moment>, Rows),
    /// What someone can open (U6), now, later, or at a past moment by the Keys of that time: [`CanOpenRow`]s, by door.
    WhatCan(PersonId, Option<Moment>, Rows),
    /// What was recorded (L3): [`History`].
    Search(Search),
    /// Anybody by their exact email, to give them a Key: [`PersonRow`].
    FindPerson(String),
    /// What was done and refused (L5): [`AuditPage`].
    Audit(AuditSearch),
    /// The digits of a live door code (C8): [`Revealed`]. In the audit trail before it is answered.
    Reveal(CodeId),
    /// Doors whose budget for wrong codes ran out within a day (U7): [`AlertRow`]s.
    Alerts,
    /// Who gained and who lost which doors of a property between two moments: [`DifferenceRow`]s, by person.
    Difference {
        /// Where.
        property: PropertyId,
        /// The first moment.
        from: Moment,
        /// The second; `None` for now.
        until: Option<Moment>,
        /// Which people.
        rows: Rows,
    },
    /// Keys that joined, as far as the asker lets those parties join: [`IdentityRow`]s.
    Identities(Rows),
    /// Tokens that were not used, likewise: [`TokenRow`]s.
    Tokens(Rows),
    /// For holders, and nothing else is for them: [`MyAccess`], [`Revealed`] or [`Done`].
    Mine(Mine),
    /// [`Request::Preview`] of a change to something as it was read (K12): [`Effects`]. Refused with
    /// [`Refusal::ChangedSince`] where that is something else by now. Boxed, so that every request keeps the length that it
    /// has always had.
    PreviewSince {
        /// The command that would make of it what was read.
        was: Box<Command>,
        /// What.
        command: Box<Command>,
        /// Which rows.
        part: Part,
    },
    /// [`Request::Do`] of a change to something as it was read (K12): [`Done`]. Refused with [`Refusal::ChangedSince`] where
    /// that is something else by now.
    DoSince {
        /// The command that would make of it what was read.
        was: Box<Command>,
        /// What.
        command: Box<Command>,
        /// The preview's digest.
        pinned: Option<Digest>,
        /// Which rows of the effects to answer with.
        part: Part,
    },
    /// What registered locks have asked since the server started: [`LockActivity`], by lock. For who may see the locks.
    LockActivity(Rows),
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Answer {
    /// To [`Request::Overview`].
    Overview(Overview),
    /// To [`Request::Property`].
    Property(PropertyDetail),
    /// To [`Request::Keys`].
    Keys(List<KeyRow>),
    /// To [`Request::Key`].
    Key(KeyDetail),
    /// To [`Request::Holders`].
    Holders(List<HolderRow>),
    /// To [`Request::People`].
    People(List<PersonRow>),
    /// To [`Request::Person`].
    Person(PersonDetail),
    /// To [`Request::Doors`].
    Doors(List<DoorRow>),
    /// To [`Request::Door`].
    Door(DoorDetail),
    /// To [`Request::Schedules`].
    Schedules(List<ScheduleRow>),
    /// To [`Request::Locks`].
    Locks(List<LockRow>),
    /// To [`Request::Preview`] and [`Request::PreviewSince`].
    Preview(Effects),
    /// To [`Request::Do`] and [`Request::DoSince`].
    Done(Done),
    /// Nothing was changed, and why.
    Refused(Refusal),
    /// The request could not be read, and why. Nothing was changed.
    Unreadable(String),
    /// To [`Request::Explain`].
    Explanation(Explanation),
    /// To [`Request::WhoCan`].
    WhoCan(WhoCan),
    /// To [`Request::WhatCan`].
    WhatCan(List<CanOpenRow>),
    /// To [`Request::Search`].
    History(History),
    /// To [`Request::FindPerson`].
    Found(PersonRow),
    /// To [`Request::Audit`].
    Audit(AuditPage),
    /// To [`Request::Reveal`].
    Revealed(Revealed),
    /// To [`Request::Alerts`].
    Alerts(Vec<AlertRow>),
    /// To [`Request::Difference`].
    Difference(List<DifferenceRow>),
    /// To [`Request::Identities`].
    Identities(List<IdentityRow>),
    /// To [`Request::Tokens`].
    Tokens(List<TokenRow>),
    /// To [`Mine::Access`].
    Mine(MyAccess),
    /// To [`Request::LockActivity`].
    LockActivity(List<LockActivity>),
}

/// Somebody who has other doors at a second moment than at a first: doors that a Key or a share of theirs has, at whatever
/// hour; none while suspended.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct DifferenceRow {
    /// Who.
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// Their email.
    pub email: String,
    /// Doors that they have at the second moment only.
    pub gained: Vec<(DoorId, String)>,
    /// Doors that they had at the first moment only.
    pub lost: Vec<(DoorId, String)>,
}

/// A door at which too many wrong codes were tried (U7).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct AlertRow {
    /// Where.
    pub property: PropertyId,
    /// Which door.
    pub door: DoorId,
    /// Its name.
    pub name: String,
    /// How many codes it takes now before it takes none; 0: every code there is denied, right ones too.
    pub left: u8,
    /// When it takes one more.
    pub more_at: Option<Moment>,
    /// When its budget last ran out, to ten minutes.
    pub ran_out: Moment,
}

/// A door code, shown (C8).
#[derive(Clone, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Revealed {
    /// Which.
    pub code: CodeId,
    /// Whose.
    pub person: PersonId,
    /// Where.
    pub door: DoorId,
    /// The digits, as text.
    pub digits: String,
}

impl core::fmt::Debug for Revealed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Revealed({}, {}, {}, ...)", self.code, self.person, self.door)
    }
}

impl Drop for Revealed {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.digits);
    }
}

/// Some rows of a list.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct List<T> {
    /// The portfolio's revision that it was read at.
    pub revision: u64,
    /// How many rows match in all.
    pub total: u64,
    /// The rows.
    pub rows: Vec<T>,
    /// Where to go on ([`Rows::after`]); `None` at the end.
    pub next: Option<u32>,
}

/// A portfolio at a glance.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Overview {
    /// The portfolio's name.
    pub name: String,
    /// Its revision.
    pub revision: u64,
    /// The server's time, in whole microseconds.
    pub now: Moment,
    /// Who asks.
    pub me: PersonId,
    /// Their name.
    pub my_name: String,
    /// How many people there are.
    pub people: u64,
    /// How many locks are registered.
    pub locks: u64,
    /// Whether door codes are judged.
    pub door_codes: DoorCodes,
    /// The properties, by id.
    pub properties: Vec<PropertyRow>,
}

/// Whether a portfolio's door codes are judged: they are read last when a server starts.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum DoorCodes {
    /// They are being read: codes are answered `retry` until then, and changes wait.
    BeingRead,
    /// They are judged.
    There,
    /// They can't be read, and why: codes are answered `retry`, and none is shown, made or deleted.
    Unreadable(String),
}

/// A property in a list.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PropertyRow {
    /// Its id.
    pub id: PropertyId,
    /// Its name.
    pub name: String,
    /// IANA time zone.
    pub zone: String,
    /// How many doors it has.
    pub doors: u64,
    /// How many Keys people made that the asker manages.
    pub keys: u64,
    /// How many Keys the system made (the Deliveries Key).
    pub system_keys: u64,
    /// Lockdowns in force.
    pub lockdowns: u64,
    /// What the asker may do with its Keys; `None` for nothing.
    pub level: Option<Level>,
}

/// A property.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PropertyDetail {
    /// The portfolio's revision that it was read at.
    pub revision: u64,
    /// As in a list.
    pub row: PropertyRow,
    /// How door codes are made here (C2, C6).
    pub codes: CodePolicy,
    /// What checks are answered with when the access log can't be written.
    pub on_log_failure: OnLogFailure,
    /// Holidays (S3).
    pub holidays: Vec<Holiday>,
    /// The Deliveries Key, while opted in (V1).
    pub deliveries: Option<KeyId>,
    /// Lockdowns in force (U8).
    pub lockdowns: Vec<LockdownRow>,
    /// Managers whose level here was set (M1).
    pub levels: Vec<(PersonId, String, Level)>,
}

/// A lockdown (U8).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct LockdownRow {
    /// Its id.
    pub id: LockdownId,
    /// Some doors; all of the property's for `None`.
    pub doors: Option<Vec<DoorId>>,
    /// Keys whose holders go on.
    pub except_keys: Vec<KeyId>,
}

/// A Key in a list.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct KeyRow {
    /// Its id.
    pub id: KeyId,
    /// Its name.
    pub name: String,
    /// How many doors it opens now, by list and by rule (K10).
    pub doors: u64,
    /// How many people hold it, those whose period has not begun included, ended ones not.
    pub people: u64,
    /// How many guests it is shared with.
    pub guests: u64,
    /// Pre-fills givings (K5).
    pub may_share: bool,
    /// Its hours: one schedule's name when all its doors have the same one, `None` when they differ.
    pub hours: Option<String>,
    /// Whether the system manages it: the Deliveries Key (V2).
    pub system: bool,
}

/// A Key.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct KeyDetail {
    /// The portfolio's revision that it was read at.
    pub revision: u64,
    /// Where.
    pub property: PropertyId,
    /// As in a list.
    pub row: KeyRow,
    /// Listed doors, each with its opening.
    pub listed: Vec<KeyDoor>,
    /// Doors by rule (K10).
    pub rules: Vec<DoorRule>,
    /// What it opens now, by door.
    pub opens: Vec<KeyOpens>,
}

/// One door that a Key opens.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct KeyOpens {
    /// The door.
    pub door: DoorId,
    /// Its name.
    pub name: String,
    /// By a rule, not by the list.
    pub by_rule: bool,
    /// When, any of them.
    pub openings: Vec<Opening>,
}

/// One person who holds a Key.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct HolderRow {
    /// The giving, which is its place (U2).
    pub giving: GivingId,
    /// Who.
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// Their email.
    pub email: String,
    /// Suspended (K11).
    pub suspended: bool,
    /// How and when it is held.
    pub terms: Terms,
    /// With whom it is shared.
    pub guests: Vec<GuestRow>,
}

/// How and when a Key is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Terms {
    /// Whether the holder may share it (K5).
    pub may_share: bool,
    /// First moment (K7).
    pub from: Option<Moment>,
    /// The moment at which it has ended (K7).
    pub until: Option<Moment>,
    /// It has ended (K7): remembered, and opens nothing.
    pub ended: bool,
}

/// A share.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct GuestRow {
    /// The share, which is its place (U2).
    pub share: ShareId,
    /// Which Key.
    pub key: KeyId,
    /// Who shares.
    pub host: PersonId,
    /// The host's name.
    pub host_name: String,
    /// Who may come in.
    pub guest: PersonId,
    /// The guest's name.
    pub guest_name: String,
    /// Some of the Key's doors; all of them for `None`.
    pub doors: Option<Vec<DoorId>>,
    /// First moment.
    pub from: Option<Moment>,
    /// The moment at which it has ended.
    pub until: Option<Moment>,
    /// It has ended by the clock (G4).
    pub ended: bool,
}

/// A person in a list.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PersonRow {
    /// Their id.
    pub id: PersonId,
    /// Their name.
    pub name: String,
    /// Their email.
    pub email: String,
    /// Suspended (K11).
    pub suspended: bool,
    /// A Portfolio Manager (M6).
    pub portfolio_manager: bool,
    /// How many Keys they hold, where the list is of.
    pub keys: u64,
    /// How many shares they have as a guest, where the list is of.
    pub shares: u64,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PersonDetail {
    /// The portfolio's revision that it was read at.
    pub revision: u64,
    /// As in the list of the portfolio.
    pub row: PersonRow,
    /// Optional.
    pub phone: Option<String>,
    /// Optional.
    pub note: Option<String>,
    /// Card numbers.
    pub cards: Vec<Card>,
    /// The Keys they hold, by property, earliest given first (U2).
    pub holds: Vec<HeldRow>,
    /// Shares they have as a guest.
    pub guest_of: Vec<GuestRow>,
    /// Live door codes: that they are, not what they are (C8).
    pub codes: Vec<CodeRow>,
    /// Properties where a level was set for them (M1).
    pub levels: Vec<(PropertyId, Level)>,
}

/// A Key that a person holds.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct HeldRow {
    /// Where.
    pub property: PropertyId,
    /// The giving, which is its place (U2).
    pub giving: GivingId,
    /// Which Key.
    pub key: KeyId,
    /// Its name.
    pub name: String,
    /// How and when.
    pub terms: Terms,
    /// With whom it is shared.
    pub guests: Vec<GuestRow>,
}

/// A live door code.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct CodeRow {
    /// Its id, never used again: the same id is the same digits (C4).
    pub id: CodeId,
    /// Where.
    pub property: PropertyId,
    /// At which door.
    pub door: DoorId,
    /// The door's name.
    pub name: String,
    /// When it was made.
    pub made_at: Moment,
}

/// A door in a list.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct DoorRow {
    /// Its id.
    pub id: DoorId,
    /// Its name.
    pub name: String,
    /// What it leads to.
    pub kind: DoorKind,
    /// Units only.
    pub occupied: bool,
    /// Sorted.
    pub labels: Vec<String>,
    /// How many Keys open it.
    pub keys: u64,
    /// How many door codes are live there.
    pub codes: u64,
    /// A lockdown covers it (U8).
    pub locked_down: bool,
}

/// A door.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct DoorDetail {
    /// The portfolio's revision that it was read at.
    pub revision: u64,
    /// Where.
    pub property: PropertyId,
    /// As in a list.
    pub row: DoorRow,
    /// The Keys that open it.
    pub keys: Vec<DoorKeyRow>,
    /// The most codes that may be live there (C2).
    pub codes_max: u64,
}

/// A Key that opens a door.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct DoorKeyRow {
    /// Which.
    pub key: KeyId,
    /// Its name.
    pub name: String,
    /// When, any of them.
    pub openings: Vec<Opening>,
}

/// A named schedule (S2).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct ScheduleRow {
    /// Its id.
    pub id: ScheduleId,
    /// Its name.
    pub name: String,
    /// When it opens.
    pub hours: Hours,
    /// How many Keys use it.
    pub keys: u64,
}

/// A registered lock (U3).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct LockRow {
    /// Its id.
    pub id: LockId,
    /// Its name.
    pub name: String,
    /// What it may ask about.
    pub scope: LockScope,
    /// Refused at once.
    pub disabled: bool,
    /// The key that proves it, once it has joined.
    pub identity: Option<IdentityId>,
    /// How it is connected, when it is.
    pub connected: Option<ConnectedRow>,
}

/// What a lock has asked since the server started. Of one that asked nothing nothing is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct LockActivity {
    /// Which.
    pub lock: LockId,
    /// When it asked last, by the server's clock.
    pub last: Moment,
    /// How many checks.
    pub checks: u64,
    /// How many in the last whole minute.
    pub minute: u64,
}

/// A Key with its name.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct NamedKey {
    /// Which.
    pub id: KeyId,
    /// Its name.
    pub name: String,
}

/// Why someone can or can't open a door at a moment (U5): what a check then would be answered, by the rules.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Explanation {
    /// The portfolio's revision that it was worked out at.
    pub revision: u64,
    /// The moment it is for.
    pub at: Moment,
    /// Who.
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// Which door.
    pub door: DoorId,
    /// Its name.
    pub door_name: String,
    /// By their door code.
    pub by_code: bool,
    /// Why it is denied; `None`: it is granted, by the first of `held` that refuses nothing and is excepted.
    pub denied: Option<Reason>,
    /// The person is suspended (K11).
    pub suspended: bool,
    /// They have no live door code there, where one is asked about.
    pub no_code: bool,
    /// The lockdowns that close the door (U8).
    pub lockdowns: Vec<LockdownId>,
    /// Each Key that they hold in the property: own givings first, then shares, earliest first (U2).
    pub held: Vec<StandingRow>,
    /// When the answer would be the other, if nothing is changed. Searched for 400 days ahead.
    pub flips_at: Option<Moment>,
    /// Where it is denied: Keys the viewer manages that would open the door at that moment to whoever held them and is
    /// not suspended.
    pub would_open: Vec<NamedKey>,
}

/// A Key held, and what it does at a door.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct StandingRow {
    /// Which; `None`: another Key, which the viewer does not manage (M8). Of one, `host`, `openings` and the bounds are
    /// not told.
    pub key: Option<NamedKey>,
    /// Who shares it with them, by name, where it is shared.
    pub host: Option<(PersonId, String)>,
    /// By the names of the schedules, when the Key opens the door; none where it does not have it.
    pub openings: Vec<NamedOpening>,
    /// First moment (K7).
    pub from: Option<Moment>,
    /// The moment at which it has ended (K7).
    pub until: Option<Moment>,
    /// Not closed by the lockdowns, if there are any.
    pub excepted: bool,
    /// Why it does not open the door by itself; `no_key` where it does not have it.
    pub refuses: Option<Reason>,
}

/// When a Key opens a door, with the schedule's name.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct NamedOpening {
    /// When, and whether with a code.
    pub opening: Opening,
    /// The schedule's name.
    pub schedule: String,
}

/// Who can open a door (U6).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct WhoCan {
    /// The moment it is for.
    pub at: Moment,
    /// Carriers can too (V3).
    pub carriers: bool,
    /// The people, by id.
    pub people: List<WhoRow>,
}

/// Someone who can open a door.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct WhoRow {
    /// Who.
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// Their email.
    pub email: String,
    /// How.
    pub how: How,
}

/// A door that someone can open.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct CanOpenRow {
    /// Where.
    pub property: PropertyId,
    /// Which.
    pub door: DoorId,
    /// Its name.
    pub name: String,
    /// How.
    pub how: How,
}

/// How someone can open a door.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct How {
    /// The Key that a check names (U2); `None`: another Key (M8).
    pub key: Option<NamedKey>,
    /// Who shares it with them, by name, where it is shared and not another Key.
    pub host: Option<(PersonId, String)>,
    /// By their door code too.
    pub by_code: bool,
}

/// How long each list of effects is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Totals {
    /// See [`Effects::doors_lost`].
    pub doors_lost: u64,
    /// See [`Effects::doors_gained`].
    pub doors_gained: u64,
    /// See [`Effects::codes_deleted`].
    pub codes_deleted: u64,
    /// See [`Effects::codes_made`].
    pub codes_made: u64,
    /// See [`Effects::shares_ended`].
    pub shares_ended: u64,
    /// See [`Effects::sight_lost`].
    pub sight_lost: u64,
    /// How many people lose a door, a code or a share.
    pub people_losing: u64,
}

impl Totals {
    /// Whether anyone loses anything.
    pub fn is_harmless(&self) -> bool {
        self.doors_lost + self.codes_deleted + self.shares_ended + self.sight_lost == 0
    }
}

/// A person and a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct At {
    /// Where.
    pub property: PropertyId,
    /// Who.
    pub person: PersonId,
    /// Which door.
    pub door: DoorId,
}

/// What follows from a step, or would (K9). Lists are in the order of property, person and door.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Effects {
    /// The portfolio's revision that it was worked out at.
    pub revision: u64,
    /// Equal for equal lists, and only for those: pins a step to its preview.
    pub digest: Digest,
    /// How long the lists are, whatever part of them is here.
    pub totals: Totals,
    /// The doors each person loses.
    pub doors_lost: Vec<At>,
    /// The doors each person gains.
    pub doors_gained: Vec<At>,
    /// Codes that are permanently deleted.
    pub codes_deleted: Vec<At>,
    /// Codes that are made.
    pub codes_made: Vec<At>,
    /// Shares that end, with the guest who loses access.
    pub shares_ended: Vec<(ShareId, PersonId)>,
    /// Managers who lose sight of a door's log.
    pub sight_lost: Vec<At>,
    /// The names of the people in these lists.
    pub people: Vec<(PersonId, String)>,
    /// The names of the doors in these lists.
    pub doors: Vec<(DoorId, String)>,
}

/// A step that was made: durable, and in force for every check from now on.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Done {
    /// The portfolio's revision after it.
    pub revision: u64,
    /// What was made by it, where it made something.
    pub made: Option<Made>,
    /// What followed.
    pub effects: Effects,
}

/// The id of what a step made or put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Made {
    /// A person.
    Person(PersonId),
    /// A property.
    Property(PropertyId),
    /// A door.
    Door(DoorId),
    /// A schedule.
    Schedule(ScheduleId),
    /// A Key.
    Key(KeyId),
    /// A giving.
    Giving(GivingId),
    /// A share.
    Share(ShareId),
    /// A lockdown.
    Lockdown(LockdownId),
    /// A lock.
    Lock(LockId),
    /// A token to join with.
    Token(TokenId),
    /// A key that joined.
    Identity(IdentityId),
}

/// Why a payload can't be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PayloadError {
    /// Another version of the protocol.
    #[error("version {0} of management messages is not spoken here: use a client and a server of the same release")]
    Version(u8),
    /// The bytes are no such message.
    #[error("the message can't be read: {0}")]
    Malformed(String),
    /// They are, but nobody could have meant it.
    #[error(transparent)]
    Senseless(#[from] Senseless),
}

impl Request {
    /// The request as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        encode(|writer| rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, writer))
    }

    /// Reads a request that anybody may have sent.
    pub fn decode(payload: &[u8]) -> Result<Request, PayloadError> {
        let archive = archive(payload)?;
        let request = rkyv::from_bytes::<Request, rancor::Error>(archive).map_err(malformed)?;
        request.check()?;
        Ok(request)
    }

    /// Whether everything in it could have been entered.
    pub fn check(&self) -> Result<(), Senseless> {
        let rows = |most: u32| (1..=ROWS_PER_ANSWER_MAX).contains(&most).then_some(()).ok_or(Senseless("row counts"));
        let moment = |at: &Option<Moment>| at.is_none_or(|at| at.is_civil()).then_some(()).ok_or(Senseless("moments"));
        match self {
            Request::Keys(_, list)
            | Request::Holders(_, list)
            | Request::People(_, list)
            | Request::Doors(_, list)
            | Request::Schedules(_, list)
            | Request::Locks(list)
            | Request::Identities(list)
            | Request::Tokens(list)
            | Request::LockActivity(list) => rows(list.most),
            Request::Mine(Mine::Share { period, .. }) => moment(&period.from).and_then(|()| moment(&period.until)),
            Request::Mine(_) => Ok(()),
            Request::Preview(command, part) | Request::Do { command, part, .. } => {
                rows(part.most.max(1))?;
                command.check()
            }
            Request::PreviewSince { was, command, part } | Request::DoSince { was, command, part, .. } => {
                rows(part.most.max(1))?;
                was.tells_a_state().then_some(()).ok_or(Senseless("states that a change starts from"))?;
                was.check().and_then(|()| command.check())
            }
            Request::Explain { at, .. } => moment(at),
            Request::WhoCan(_, at, list) | Request::WhatCan(_, at, list) => rows(list.most).and_then(|()| moment(at)),
            Request::Search(search) => rows(search.most),
            Request::Overview
            | Request::Property(_)
            | Request::Key(_)
            | Request::Person(_)
            | Request::Door(_)
            | Request::FindPerson(_)
            | Request::Reveal(_)
            | Request::Alerts => Ok(()),
            Request::Audit(search) => rows(search.most),
            Request::Difference { from, until, rows: list, .. } => {
                rows(list.most).and_then(|()| moment(&Some(*from))).and_then(|()| moment(until))
            }
        }
    }
}

impl Answer {
    /// The answer as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        encode(|writer| rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, writer))
    }

    /// Reads an answer.
    pub fn decode(payload: &[u8]) -> Result<Answer, PayloadError> {
        rkyv::from_bytes::<Answer, rancor::Error>(archive(payload)?).map_err(malformed)
    }
}

pub(super) fn encode(write: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, rancor::Error>) -> Vec<u8> {
    write(vec![MANAGE_VERSION, 0, 0, 0]).expect("writing plain lists to memory can't fail")
}

/// What comes after the version.
pub(super) fn archive(payload: &[u8]) -> Result<&[u8], PayloadError> {
    match payload.split_first_chunk::<PREFIX_BYTES>() {
        Some(([MANAGE_VERSION, 0, 0, 0], archive)) => Ok(archive),
        Some(([version, ..], _)) => Err(PayloadError::Version(*version)),
        None => Err(PayloadError::Malformed("it is too short".to_owned())),
    }
}

pub(super) fn malformed(error: rancor::Error) -> PayloadError {
    PayloadError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entry::{Period, PersonSpec},
        schedule::Window,
    };

    fn person(cards: Vec<Card>) -> Command {
        let (name, email) = ("Tracy".to_owned(), "tracy@mail.example".to_owned());
        Command::MakePerson(PersonSpec { name, email, phone: None, note: None, cards })
    }

    fn requests() -> Vec<Request> {
        let hours = Hours { windows: vec![Window::parse("Mon-Fri 08:00-18:00").unwrap()], ..Hours::default() };
        let period = Period { from: Some(Moment::from_micros(5)), until: None };
        vec![
            Request::Overview,
            Request::Keys(PropertyId(1), Rows::all()),
            Request::Explain { person: PersonId(1), door: DoorId(2), by_code: true, at: Some(Moment::from_micros(7)) },
            Request::WhoCan(DoorId(3), None, Rows::all()),
            Request::Preview(person(vec![Card::new(&[4, 0xa2]).unwrap()]), Part::FIRST),
            Request::Preview(Command::MakeSchedule(PropertyId(1), "day".to_owned(), hours), Part::FIRST),
            Request::DoSince {
                was: Box::new(Command::Give { key: KeyId(1), person: PersonId(2), may_share: Some(false), period }),
                command: Box::new(person(vec![Card::new(&[7]).unwrap()])),
                pinned: None,
                part: Part::FIRST,
            },
            Request::Do {
                command: Command::Give { key: KeyId(1), person: PersonId(2), may_share: Some(true), period },
                pinned: Some([7; 32]),
                part: Part { skip: 3, most: 0 },
            },
        ]
    }

    #[test]
    fn requests_come_back_as_they_were_sent() {
        for request in requests() {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        let refused = Answer::Refused(Refusal::MovedOn);
        assert_eq!(Answer::decode(&refused.encode()), Ok(refused));
    }

    #[test]
    fn whatever_bytes_come_what_is_read_could_have_been_entered() {
        let (mut read, mut refused, mut senseless) = (0, 0, 0);
        for request in requests() {
            let bytes = request.encode();
            for at in 0..bytes.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1] {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    match Request::decode(&changed) {
                        Ok(request) => {
                            assert_eq!(request.check(), Ok(()));
                            read += 1;
                        }
                        Err(PayloadError::Senseless(_)) => senseless += 1,
                        Err(_) => refused += 1,
                    }
                }
            }
            for length in 0..bytes.len() {
                _ = Request::decode(&bytes[..length]);
            }
        }
        assert!(read > 100 && refused > 100 && senseless > 10, "{read} {refused} {senseless}");
    }

    #[test]
    fn lists_and_periods_have_bounds() {
        let rows = |most| Request::Locks(Rows { most, ..Rows::all() });
        assert!(rows(0).check().is_err() && rows(ROWS_PER_ANSWER_MAX + 1).check().is_err());
        let period = Period { from: None, until: Some(Moment::MAX) };
        let give = Command::Give { key: KeyId(1), person: PersonId(2), may_share: None, period };
        assert_eq!(Request::Preview(give.clone(), Part::FIRST).check(), Err(Senseless("moments")));
        let since = |was: Command, command: Command| {
            let (was, command) = (Box::new(was), Box::new(command));
            Request::DoSince { was, command, pinned: None, part: Part::FIRST }.check()
        };
        let suspend = Command::Suspend(PersonId(2), true);
        assert_eq!(since(suspend.clone(), suspend.clone()), Ok(()));
        assert_eq!(since(suspend.clone(), give.clone()), Err(Senseless("moments")));
        assert_eq!(since(give, suspend.clone()), Err(Senseless("moments")));
        let deletes = Command::DeletePerson(PersonId(2));
        assert_eq!(since(deletes, suspend), Err(Senseless("states that a change starts from")));
    }
}
