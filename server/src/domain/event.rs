//! What is journalled: causes, and the change that carries them.
//!
//! A cause says what was done, with every id already chosen; what follows from it (shares that end, codes that are
//! made or deleted) is not in it, but computed by [`effects::step`](super::effects::step) whenever it is needed.

#![allow(missing_docs, reason = "rkyv's derive writes twins without documentation")]

use keyward_protocol::{id::*, time::Moment};

use super::directory::*;

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Actor {
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

impl Actor {
    /// The person, when it is one.
    pub fn person(self) -> Option<PersonId> {
        match self {
            Actor::Person(person) | Actor::Holder(person) => Some(person),
            Actor::Administrator | Actor::Clock | Actor::Lock(_) => None,
        }
    }
}

/// One edit of one portfolio's data.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Cause {
    /// A portfolio begins.
    PortfolioMade {
        /// Its name.
        name: String,
    },
    /// A person is there, as described; replaces the one with the same id.
    PersonPut(Person),
    /// A person and everything they hold, host or manage is gone.
    PersonDeleted(PersonId),
    /// A person becomes a Portfolio Manager, or stops being one.
    PortfolioManagerSet {
        /// Who.
        person: PersonId,
        /// Whether they are one from now on.
        on: bool,
    },
    /// A property is there, with these facts.
    PropertyPut(PropertyFacts),
    /// A property and everything in it is gone.
    PropertyRemoved(PropertyId),
    /// A property's holidays are these.
    HolidaysSet {
        /// Where.
        property: PropertyId,
        /// All of them.
        holidays: Vec<Holiday>,
    },
    /// A property opted in (its Deliveries Key gets this id) or out (V1).
    DeliveriesSet {
        /// Where.
        property: PropertyId,
        /// The Deliveries Key while opted in.
        key: Option<KeyId>,
    },
    /// A door is there, as described.
    DoorPut {
        /// Where.
        property: PropertyId,
        /// The door.
        door: Door,
    },
    /// A door is gone, out of every Key too.
    DoorRemoved {
        /// Where.
        property: PropertyId,
        /// Which.
        door: DoorId,
    },
    /// A named schedule is there, as described (S2).
    SchedulePut {
        /// Where.
        property: PropertyId,
        /// The schedule.
        schedule: Schedule,
    },
    /// A named schedule that no Key uses is gone.
    ScheduleRemoved {
        /// Where.
        property: PropertyId,
        /// Which.
        schedule: ScheduleId,
    },
    /// A Key is there, as described.
    KeyPut {
        /// Where.
        property: PropertyId,
        /// The Key.
        key: Key,
    },
    /// A Key is gone, from everyone (K8).
    KeyDeleted {
        /// Where.
        property: PropertyId,
        /// Which.
        key: KeyId,
    },
    /// A person holds a Key; replaces the giving with the same id (K6).
    Given {
        /// Where.
        property: PropertyId,
        /// The giving.
        giving: Giving,
    },
    /// A giving is gone.
    Revoked {
        /// Where.
        property: PropertyId,
        /// Which.
        giving: GivingId,
    },
    /// A guest has a share; replaces the one with the same id.
    Shared {
        /// Where.
        property: PropertyId,
        /// The share.
        share: Share,
    },
    /// A share is gone by an act.
    ShareEnded {
        /// Where.
        property: PropertyId,
        /// Which.
        share: ShareId,
    },
    /// The clock ended these (K7, G4): they cover nothing and are remembered.
    Expired {
        /// Where.
        property: PropertyId,
        /// Givings whose end has come.
        givings: Vec<GivingId>,
        /// Shares whose end, or whose host's, has come.
        shares: Vec<ShareId>,
    },
    /// The quarantine of these deleted codes is over (C6).
    QuarantineEnded {
        /// Where.
        property: PropertyId,
        /// Which.
        codes: Vec<CodeId>,
    },
    /// A lockdown is in force (U8).
    LockedDown {
        /// Where.
        property: PropertyId,
        /// The lockdown.
        lockdown: Lockdown,
    },
    /// A lockdown is lifted.
    LockdownLifted {
        /// Where.
        property: PropertyId,
        /// Which.
        lockdown: LockdownId,
    },
    /// A manager's level in a property (M1); none takes it away.
    LevelSet {
        /// Where.
        property: PropertyId,
        /// Who.
        person: PersonId,
        /// What they may do there.
        level: Option<Level>,
    },
    /// A lock's registration (U3).
    LockPut(Lock),
    /// A token that somebody may join with.
    TokenMade(Token),
    /// A token is gone: used, revoked, or over.
    TokenGone(TokenId),
    /// A key proves somebody to be who they are; replaces the identity with the same id. Boxed, so that every cause
    /// keeps the length in the journal that it has always had.
    IdentityPut(Box<Identity>),
    /// An identity is gone: another one took its place.
    IdentityGone(IdentityId),
}

/// One journalled change: what was done, by whom, and what can't be computed again.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Change {
    /// Whose data it changes.
    pub portfolio: PortfolioId,
    /// Who did it.
    pub actor: Actor,
    /// When, by the server's clock.
    pub at: Moment,
    /// What was done, in order; compared before and after as a whole (C7).
    pub causes: Vec<Cause>,
    /// The commitments of the codes made, in the order in which the effects list them.
    pub commitments: Vec<[u8; 32]>,
    /// The digest of the effects; a replay that computes another one stops.
    pub digest: [u8; 32],
}
