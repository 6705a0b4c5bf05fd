//! What people enter: commands and what they are made of, as they cross the wire and as the rules take them.
//!
//! Ids are the portfolio's own. What comes from outside is [checked](Command::check) for meaning before anything looks
//! at it; whether it may be done is the rules' to say.

#![allow(missing_docs, reason = "rkyv's derive writes twins without documentation")]

use crate::{
    code::Card,
    id::*,
    limits,
    schedule::Hours,
    time::{Date, Moment},
};

/// What kind of place a door leads to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub enum DoorKind {
    /// A way into the building.
    Entrance,
    /// Pool, gym, roof deck.
    Amenity,
    /// Where staff and vendors work.
    Service,
    /// A home; vacant or occupied.
    Unit,
    /// An office.
    Office,
}

impl DoorKind {
    /// Every kind.
    pub const ALL: [DoorKind; 5] =
        [DoorKind::Entrance, DoorKind::Amenity, DoorKind::Service, DoorKind::Unit, DoorKind::Office];

    /// The word for it in files and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            DoorKind::Entrance => "entrance",
            DoorKind::Amenity => "amenity",
            DoorKind::Service => "service",
            DoorKind::Unit => "unit",
            DoorKind::Office => "office",
        }
    }

    /// The kind that `word` names.
    pub fn parse(word: &str) -> Option<DoorKind> {
        DoorKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Which schedule an entry uses.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub enum ScheduleRef {
    /// Open at every moment.
    Always,
    /// A named schedule of the property.
    Named(ScheduleId),
}

/// A listed door of a Key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct KeyDoor {
    /// The door.
    pub door: DoorId,
    /// When it may be opened.
    pub opening: Opening,
}

/// When an entry or rule of a Key opens its doors, and whether by door code too.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct Opening {
    /// When.
    pub schedule: ScheduleRef,
    /// Whether it makes, keeps and is opened by a door code (C1).
    pub code: bool,
}

/// Doors by what they are (K10): every condition given must match.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct DoorRule {
    /// Doors of this kind only.
    pub kind: Option<DoorKind>,
    /// Occupied or vacant units only.
    pub occupied: Option<bool>,
    /// Doors that have all of these.
    pub labels: Vec<String>,
    /// But not these, sorted.
    pub except: Vec<DoorId>,
    /// When they may be opened.
    pub opening: Opening,
}

/// How door codes are made at a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct CodePolicy {
    /// Digits of new codes, 4 to 10 (C2).
    pub digits: u8,
    /// The most live codes at a door; one in 5,000 of what the length allows unless told (C2).
    pub limit: Option<u32>,
    /// Days before a deleted code may be handed out again (C6).
    pub quarantine_days: u16,
}

impl Default for CodePolicy {
    fn default() -> Self {
        CodePolicy {
            digits: limits::CODE_DIGITS_DEFAULT,
            limit: None,
            quarantine_days: limits::CODE_QUARANTINE_DAYS_DEFAULT,
        }
    }
}

impl CodePolicy {
    /// The most codes that may be live at a door (C2).
    pub fn live_max(&self) -> u64 {
        self.limit.map_or(10_u64.pow(self.digits.into()) / limits::CODE_SHARE, u64::from)
    }

    /// The fewest digits whose own limit holds `codes` at a door, up to the longest.
    pub fn digits_for(codes: u64) -> u8 {
        (limits::CODE_DIGITS_WITHOUT_LIMIT_MIN..limits::CODE_DIGITS_MAX)
            .find(|digits| 10_u64.pow((*digits).into()) / limits::CODE_SHARE >= codes)
            .unwrap_or(limits::CODE_DIGITS_MAX)
    }
}

/// What checks are answered with when the access log can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum OnLogFailure {
    /// Nobody is let in without a record.
    #[default]
    Deny,
    /// Answer, and count what was not recorded.
    AnswerAndCount,
}

/// A date range on which schedules may do otherwise (S3).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Holiday {
    /// For people.
    pub name: String,
    /// First date.
    pub from: Date,
    /// Last date, inclusive.
    pub to: Date,
}

/// What a lock may ask about.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum LockScope {
    /// Every door of a property, future ones too: a gateway.
    Property(PropertyId),
    /// These doors, sorted.
    Doors(Vec<DoorId>),
}

/// Who a certificate proves somebody to be.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub enum Party {
    /// A lock or gateway: asks about its own doors (U3), nothing else.
    Lock(LockId),
    /// A person who manages.
    Operator(PersonId),
    /// A person who holds Keys or is a guest: sees and shares what is their own.
    Holder(PersonId),
}

impl Party {
    /// The person, unless it is a lock.
    pub fn person(self) -> Option<PersonId> {
        match self {
            Party::Lock(_) => None,
            Party::Operator(person) | Party::Holder(person) => Some(person),
        }
    }

    /// The word for what it is.
    pub const fn as_str(self) -> &'static str {
        match self {
            Party::Lock(_) => "lock",
            Party::Operator(_) => "operator",
            Party::Holder(_) => "holder",
        }
    }
}

/// The SHA-256 of a token's secret, or of a public key (DER SubjectPublicKeyInfo).
pub type Sha256 = [u8; 32];

/// A manager's level in one property (M2-M4).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Level {
    /// Everything with the property's Keys.
    Full,
    /// Give and revoke all Keys.
    Limited,
    /// Give and revoke these Keys only, sorted.
    Specific(Vec<KeyId>),
}

/// What a person is, as entered.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PersonSpec {
    /// The name shown to managers.
    pub name: String,
    /// Known by this within the portfolio; ASCII case is ignored.
    pub email: String,
    /// Optional.
    pub phone: Option<String>,
    /// Optional.
    pub note: Option<String>,
    /// Card numbers, each one person's.
    pub cards: Vec<Card>,
}

/// What a door is, as entered.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct DoorSpec {
    /// Unique in its property (compared as K4 says).
    pub name: String,
    /// What it leads to.
    pub kind: DoorKind,
    /// Units only; false elsewhere.
    pub occupied: bool,
    /// Any order; `deliveries` means automated deliveries (V3).
    pub labels: Vec<String>,
}

/// What a Key is, as entered.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct KeySpec {
    /// Unique in its property (K4).
    pub name: String,
    /// Pre-fills givings (K5).
    pub may_share: bool,
    /// Listed doors, each once (K4).
    pub doors: Vec<KeyDoor>,
    /// Doors by rule (K10).
    pub rules: Vec<DoorRule>,
}

/// What a property is, as entered.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PropertySpec {
    /// Unique in the portfolio (compared as K4 says).
    pub name: String,
    /// IANA time zone.
    pub zone: String,
    /// How door codes are made here (C2, C6).
    pub codes: CodePolicy,
    /// What checks are answered with when the access log can't be written.
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
    /// A token that somebody may join with, once. Its secret is made by who asks, and the server sees it when it is used.
    MakeToken {
        /// Whom whoever joins with it is.
        party: Party,
        /// Of its secret.
        hash: Sha256,
        /// When it is over: at most [`limits::TOKEN_SECONDS_MAX`] away.
        until: Moment,
    },
    /// Nobody joins with this token any more.
    RevokeToken(TokenId),
    /// Refuses who proves themselves by this key, at once and in open connections too, or takes it again.
    DisableIdentity(IdentityId, bool),
    /// Gives a person another mobile identity; the one before opens nothing any more.
    RenewMobile(PersonId),
}

/// Why a command changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Refusal {
    /// What is named is not there (or may not be seen).
    #[error("there is no such {0}: list what there is and name one of them")]
    NotFound(String),
    /// What was entered can't be.
    #[error("{0}")]
    Invalid(String),
    /// Something else has this name, email or card.
    #[error("{0} is taken: choose another")]
    Taken(String),
    /// The Deliveries Key is managed by the system (V2).
    #[error("the Deliveries Key is managed by the system: nobody edits, gives, shares or deletes it")]
    Deliveries,
    /// More codes would be live at a door than may be (C2).
    #[error(
        "door `{door}` would have {wanted} live codes and may have {most}: set the property to {digits} digits, or give \
         the Key to fewer people"
    )]
    TooManyCodes {
        /// The door's name.
        door: String,
        /// How many there would be.
        wanted: u64,
        /// How many there may be.
        most: u64,
        /// A length whose limit would do.
        digits: u8,
    },
    /// What would follow differs from the preview that the step was pinned to (K9).
    #[error("the data moved on since the preview: look at it again")]
    MovedOn,
    /// The actor may not do this (M7).
    #[error("not permitted: {0} is missing")]
    NotPermitted(String),
    /// The server can't make it durable now; nothing was changed.
    #[error("the server can't make changes at the moment: {0}")]
    Unavailable(String),
    /// What it starts from is something else by now (K12).
    #[error("somebody changed it since you read it: nothing was done, look at it again")]
    ChangedSince,
}

/// Something in a command that nobody could have entered: no rule is asked about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the {0} make no sense: this client does not speak as the protocol says")]
pub struct Senseless(pub &'static str);

impl Command {
    /// Whether it says how something is from now on, so that it can also say how that was: what another command starts
    /// from (K12).
    pub fn tells_a_state(&self) -> bool {
        matches!(
            self,
            Command::EditPerson(..)
                | Command::Suspend(..)
                | Command::SetPortfolioManager(..)
                | Command::EditProperty(..)
                | Command::SetHolidays(..)
                | Command::SetDeliveries(..)
                | Command::EditDoor(..)
                | Command::EditSchedule(..)
                | Command::EditKey(..)
                | Command::Give { .. }
                | Command::SetLevel(..)
        )
    }

    /// Whether everything in it could have been entered: what came in an archive may be anything that has its shape.
    pub fn check(&self) -> Result<(), Senseless> {
        let sound = |what, holds: bool| holds.then_some(()).ok_or(Senseless(what));
        let cards = |spec: &PersonSpec| sound("card numbers", spec.cards.iter().all(Card::is_sound));
        match self {
            Command::MakePerson(spec) | Command::EditPerson(_, spec) => cards(spec),
            Command::MakeSchedule(_, _, hours) | Command::EditSchedule(_, _, _, hours) => {
                sound("windows", hours.is_sound())
            }
            Command::SetHolidays(_, holidays) => {
                let dates = |holiday: &Holiday| holiday.from.civil().is_some() && holiday.to.civil().is_some();
                sound("dates", holidays.iter().all(dates))
            }
            Command::Give { period, .. } | Command::Move { period, .. } | Command::Share { period, .. } => {
                let mut bounds = [period.from, period.until].into_iter().flatten();
                sound("moments", bounds.all(Moment::is_civil))
            }
            Command::MakeToken { until, .. } => sound("moments", until.is_civil()),
            Command::Suspend(..)
            | Command::RevokeToken(_)
            | Command::DisableIdentity(..)
            | Command::RenewMobile(_)
            | Command::DeletePerson(_)
            | Command::SetPortfolioManager(..)
            | Command::MakeProperty(_)
            | Command::EditProperty(..)
            | Command::RemoveProperty(_)
            | Command::SetDeliveries(..)
            | Command::MakeDoor(..)
            | Command::EditDoor(..)
            | Command::RemoveDoor(_)
            | Command::DeleteSchedule(..)
            | Command::MakeKey(..)
            | Command::EditKey(..)
            | Command::DeleteKey(_)
            | Command::Revoke { .. }
            | Command::EndShare { .. }
            | Command::LockDown { .. }
            | Command::LiftLockdown(..)
            | Command::SetLevel(..)
            | Command::MakeLock { .. }
            | Command::DisableLock(..) => Ok(()),
        }
    }
}
