//! What somebody who holds Keys asks about their own: their Keys and door codes, their mobile identity, their guests.

#![allow(missing_docs, reason = "rkyv's derive writes twins without documentation")]

use core::fmt;

use zeroize::Zeroize;

use crate::{entry::Period, id::*, time::Moment};

/// What a holder asks. Ids are those of their own [`MyAccess`].
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Mine {
    /// Everything that is theirs: [`MyAccess`].
    Access,
    /// The digits of a live door code of theirs (C8); in the audit trail before they are answered.
    Code(CodeId),
    /// Another mobile identity: the one before opens nothing any more.
    RenewMobile,
    /// Share a Key of theirs, or change the share (G1).
    Share {
        /// Which.
        key: KeyId,
        /// With whom, by email. Somebody who is not known yet is entered with this name.
        email: String,
        /// Their name, should they not be known.
        name: String,
        /// Some of its doors, or all.
        doors: Option<Vec<DoorId>>,
        /// When.
        period: Period,
    },
    /// End a share of theirs.
    EndShare {
        /// Of which Key.
        key: KeyId,
        /// With whom.
        guest: PersonId,
    },
}

/// Everything that is somebody's own.
#[derive(Clone, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct MyAccess {
    /// The portfolio's revision that it was read at.
    pub revision: u64,
    /// The server's time, in whole microseconds.
    pub now: Moment,
    /// Who they are.
    pub me: PersonId,
    /// Their name.
    pub name: String,
    /// The portfolio's name.
    pub portfolio: String,
    /// What their phone shows to a lock. Whoever has it opens their doors.
    pub mobile: u64,
    /// The Keys they hold, earliest given first (U2).
    pub keys: Vec<MyKey>,
    /// Shares they have as a guest.
    pub guest_of: Vec<MyShare>,
}

/// A Key that is held.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct MyKey {
    /// Which.
    pub key: KeyId,
    /// Its name.
    pub name: String,
    /// The property's name.
    pub property: String,
    /// Its IANA time zone, in which hours are meant.
    pub zone: String,
    /// Whether it may be shared (K5).
    pub may_share: bool,
    /// When it is held (K7).
    pub period: Period,
    /// It has ended: it opens nothing.
    pub ended: bool,
    /// Its doors.
    pub doors: Vec<MyDoor>,
    /// Whom it is shared with.
    pub guests: Vec<MyGuest>,
}

/// A door that a Key or a share opens.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct MyDoor {
    /// Which.
    pub door: DoorId,
    /// Its name.
    pub name: String,
    /// When it opens, in words; any of them.
    pub hours: Vec<String>,
    /// The door code there, when there is one: [`Mine::Code`] shows it.
    pub code: Option<CodeId>,
}

/// Somebody whom a Key is shared with.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct MyGuest {
    /// Who.
    pub guest: PersonId,
    /// Their email.
    pub email: String,
    /// Some of the Key's doors, or all.
    pub doors: Option<Vec<DoorId>>,
    /// When.
    pub period: Period,
    /// It has ended (G4).
    pub ended: bool,
}

/// A share that somebody has as a guest.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct MyShare {
    /// The Key's name.
    pub key: String,
    /// Who shares it.
    pub host: String,
    /// The property's name.
    pub property: String,
    /// Its IANA time zone.
    pub zone: String,
    /// When, cut by the host's own period (G1).
    pub period: Period,
    /// It has ended (G4).
    pub ended: bool,
    /// Its doors.
    pub doors: Vec<MyDoor>,
}

impl fmt::Debug for MyAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keys, shares) = (self.keys.len(), self.guest_of.len());
        write!(f, "MyAccess({}, {keys} Keys, {shares} shares, ...)", self.me)
    }
}

impl Drop for MyAccess {
    fn drop(&mut self) {
        self.mobile.zeroize();
    }
}
