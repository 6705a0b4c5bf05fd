//! Decisions: what a check is answered with, and why.

use core::fmt;

use crate::{id::KeyId, time::Moment};

/// Why a check was denied. The order of the variants is the order in which reasons are given (U1): the first
/// that is true is the one that is told.
///
/// A lock is never told the reason; it stands in the access log and is shown to managers.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
#[repr(u8)]
pub enum Reason {
    /// The door is not in the property, or is not one of the asking lock's.
    UnknownDoor = 1,
    /// The door's budget for wrong codes is spent (U7); the code was not looked up.
    TooManyWrongCodes = 2,
    /// The door or its property is locked down (U8).
    Lockdown = 3,
    /// The person is suspended (K11).
    PersonSuspended = 4,
    /// A deleted code in its quarantine (C6).
    DeletedCode = 5,
    /// A Key held has the door, but not at this time.
    OutsideSchedule = 6,
    /// A Key held has the door, but its giving has not begun.
    NotYetValid = 7,
    /// A Key held had the door, and its giving has ended (K7).
    Expired = 8,
    /// The person holds no Key with this door.
    NoKey = 9,
    /// Nobody is known by what was shown.
    UnknownCredential = 10,
}

impl Reason {
    /// Every reason, in the order of U1.
    pub const ALL: [Reason; 10] = [
        Reason::UnknownDoor,
        Reason::TooManyWrongCodes,
        Reason::Lockdown,
        Reason::PersonSuspended,
        Reason::DeletedCode,
        Reason::OutsideSchedule,
        Reason::NotYetValid,
        Reason::Expired,
        Reason::NoKey,
        Reason::UnknownCredential,
    ];

    /// The word for this reason in logs, files and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::UnknownDoor => "unknown_door",
            Reason::TooManyWrongCodes => "too_many_wrong_codes",
            Reason::Lockdown => "lockdown",
            Reason::PersonSuspended => "person_suspended",
            Reason::DeletedCode => "deleted_code",
            Reason::OutsideSchedule => "outside_schedule",
            Reason::NotYetValid => "not_yet_valid",
            Reason::Expired => "expired",
            Reason::NoKey => "no_key",
            Reason::UnknownCredential => "unknown_credential",
        }
    }

    /// The reason that `word` names.
    pub fn parse(word: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// The reason with this number, as fixed layouts hold it.
    pub fn from_u8(number: u8) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| *reason as u8 == number)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one check is answered with. Whatever is unknown, unreadable or stale is denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The door opens, by this Key (U2).
    Granted {
        /// The Key that decided.
        key: KeyId,
    },
    /// The door stays shut.
    Denied {
        /// The first reason that is true (U1).
        reason: Reason,
    },
}

/// A decision with what a manager may ask beside it (U4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Granted or denied.
    pub decision: Decision,
    /// The moment until which the decision surely stands if nothing is changed.
    pub stands_until: Moment,
}
