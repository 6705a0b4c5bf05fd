//! What can be asked of the engine. Ids must be the portfolio's own; everything else is checked by
//! [`decide`](super::decide).

#![allow(missing_docs, reason = "rkyv's derive writes twins without documentation")]

use keyward_protocol::{code::Card, id::*, schedule::Hours, time::Moment};

use super::directory::*;

/// What a person is, as entered.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PersonSpec {
    /// See [`Person::name`].
    pub name: String,
    /// See [`Person::email`].
    pub email: String,
    /// See [`Person::phone`].
    pub phone: Option<String>,
    /// See [`Person::note`].
    pub note: Option<String>,
    /// See [`Person::cards`].
    pub cards: Vec<Card>,
}

/// What a door is, as entered.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct DoorSpec {
    /// See [`Door::name`].
    pub name: String,
    /// See [`Door::kind`].
    pub kind: DoorKind,
    /// See [`Door::occupied`].
    pub occupied: bool,
    /// See [`Door::labels`].
    pub labels: Vec<String>,
}

/// What a Key is, as entered.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct KeySpec {
    /// See [`Key::name`].
    pub name: String,
    /// See [`Key::may_share`].
    pub may_share: bool,
    /// See [`Key::doors`].
    pub doors: Vec<KeyDoor>,
    /// See [`Key::rules`].
    pub rules: Vec<DoorRule>,
}

/// What a property is, as entered.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PropertySpec {
    /// See [`PropertyFacts::name`].
    pub name: String,
    /// See [`PropertyFacts::zone`].
    pub zone: String,
    /// See [`PropertyFacts::codes`].
    pub codes: CodePolicy,
    /// See [`PropertyFacts::on_log_failure`].
    pub on_log_failure: OnLogFailure,
}

/// A period as entered: first moment, and the moment at which it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Period {
    /// First moment.
    pub from: Option<Moment>,
    /// The moment at which it has ended.
    pub until: Option<Moment>,
}

/// One thing to do in one portfolio.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Command {
    /// A new person.
    MakePerson(PersonSpec),
    /// A person as they are from now on.
    EditPerson(PersonId, PersonSpec),
    /// Suspend or resume (K11).
    Suspend(PersonId, bool),
    /// Takes a person out, revoking everything.
    DeletePerson(PersonId),
    /// Makes a person a Portfolio Manager, or no longer one (M6).
    SetPortfolioManager(PersonId, bool),
    /// A new property.
    MakeProperty(PropertySpec),
    /// A property as it is from now on.
    EditProperty(PropertyId, PropertySpec),
    /// Takes a property out with everything in it.
    RemoveProperty(PropertyId),
    /// All of a property's holidays (S3).
    SetHolidays(PropertyId, Vec<Holiday>),
    /// Opts in to automated deliveries, or out (V1).
    SetDeliveries(PropertyId, bool),
    /// A new door.
    MakeDoor(PropertyId, DoorSpec),
    /// A door as it is from now on: kind, labels, vacancy.
    EditDoor(DoorId, DoorSpec),
    /// Takes a door out.
    RemoveDoor(DoorId),
    /// A new named schedule (S2).
    MakeSchedule(PropertyId, String, Hours),
    /// A named schedule as it is from now on; acts at once for all that use it.
    EditSchedule(PropertyId, ScheduleId, String, Hours),
    /// Takes out a named schedule that no Key uses.
    DeleteSchedule(PropertyId, ScheduleId),
    /// A new Key.
    MakeKey(PropertyId, KeySpec),
    /// A Key as it is from now on, for everyone who holds it (K3).
    EditKey(KeyId, KeySpec),
    /// Takes a Key out, from everyone (K8).
    DeleteKey(KeyId),
    /// Gives a Key, or changes a giving (K6). Sharing is the Key's default unless told.
    Give {
        /// Which.
        key: KeyId,
        /// To whom.
        person: PersonId,
        /// Whether they may share it.
        may_share: Option<bool>,
        /// When (K7).
        period: Period,
    },
    /// Takes a Key from a person.
    Revoke {
        /// Which.
        key: KeyId,
        /// From whom.
        person: PersonId,
    },
    /// Gives one Key and revokes another in the safe order, in one step (C5).
    Move {
        /// Who.
        person: PersonId,
        /// The Key they have.
        from: KeyId,
        /// The Key they get.
        to: KeyId,
        /// Whether they may share the new one.
        may_share: Option<bool>,
        /// When the new one is held.
        period: Period,
    },
    /// Shares a Key for its holder, or changes the share (G1).
    Share {
        /// Which.
        key: KeyId,
        /// Whose.
        host: PersonId,
        /// With whom.
        guest: PersonId,
        /// Some of its doors, or all.
        doors: Option<Vec<DoorId>>,
        /// When.
        period: Period,
    },
    /// Ends a share.
    EndShare {
        /// Which Key.
        key: KeyId,
        /// Whose.
        host: PersonId,
        /// With whom.
        guest: PersonId,
    },
    /// Closes a property or some doors to all but named Keys (U8).
    LockDown {
        /// Where.
        property: PropertyId,
        /// Some doors, or all.
        doors: Option<Vec<DoorId>>,
        /// Whose holders go on.
        except_keys: Vec<KeyId>,
    },
    /// Lifts a lockdown.
    LiftLockdown(PropertyId, LockdownId),
    /// A manager's level in a property, or none (M1).
    SetLevel(PropertyId, PersonId, Option<Level>),
    /// Registers a lock (U3).
    MakeLock {
        /// For people.
        name: String,
        /// What it may ask about.
        scope: LockScope,
    },
    /// Disables a lock, or enables it again.
    DisableLock(LockId, bool),
}
