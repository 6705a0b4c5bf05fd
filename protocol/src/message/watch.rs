//! Live views of the access log: one subscription a stream, then batches until either side ends it.
//!
//! Payloads are framed as [management messages](super::manage) are.

#![allow(missing_docs, reason = "rkyv's derive writes twins without documentation")]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use rkyv::rancor;

use super::manage::{PayloadError, archive, encode, malformed};
use crate::{decision::Reason, entry::Senseless, id::*, time::Moment};

/// The most grants that one batch may ask for.
pub const LIVE_GRANTS_MAX: u32 = 1_000;
/// The shortest and the longest time between two batches, in milliseconds.
pub const LIVE_EVERY_MS: core::ops::RangeInclusive<u32> = 50..=10_000;

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Subscribe {
    /// One property's doors; all that may be seen for `None`.
    pub property: Option<PropertyId>,
    /// Only these doors of them; all for `None`.
    pub doors: Option<Vec<DoorId>>,
    /// At most so many grants a batch, up to [`LIVE_GRANTS_MAX`]; denials all come.
    pub grants_max: u32,
    /// Batches are at least so many milliseconds apart: [`LIVE_EVERY_MS`].
    pub every_ms: u32,
}

impl Subscribe {
    /// Everything that may be seen, four times a second.
    pub fn all() -> Subscribe {
        Subscribe { property: None, doors: None, grants_max: 100, every_ms: 250 }
    }

    /// The subscription as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        encode(|writer| rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, writer))
    }

    /// Reads a subscription that anybody may have sent.
    pub fn decode(payload: &[u8]) -> Result<Subscribe, PayloadError> {
        let subscribe = rkyv::from_bytes::<Subscribe, rancor::Error>(archive(payload)?).map_err(malformed)?;
        if subscribe.grants_max > LIVE_GRANTS_MAX || !LIVE_EVERY_MS.contains(&subscribe.every_ms) {
            return Err(Senseless("limits of the view").into());
        }
        Ok(subscribe)
    }
}

/// What happened since the last batch. Everything counted was shown, passed over or dropped (L6):
/// `granted + denied = shown + passed_over + dropped` over all of `counts`.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct LiveBatch {
    /// Counts this subscription's batches from 1; no number is left out.
    pub sequence: u64,
    /// Everything that the viewer may see, by door and second.
    pub counts: Vec<DoorSecond>,
    /// All denials and a sample of the grants, by time, less what was dropped.
    pub rows: Vec<LiveRow>,
    /// One grant in so many is among the rows; 1 when all are.
    pub sampled_one_in: u64,
    /// Grants that are not among the rows, since they would be more than was asked for.
    pub passed_over: u64,
    /// Attempts whose rows were dropped, because this subscriber was slow.
    pub dropped: u64,
    /// What is named in the rows and counts.
    pub names: Names,
}

/// Attempts at one door within one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct DoorSecond {
    /// The door; `None` for attempts that are kept against a lock (L1).
    pub door: Option<DoorId>,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub second: i64,
    /// Attempts that were granted.
    pub granted: u64,
    /// Attempts that were denied.
    pub denied: u64,
}

/// One unlock attempt (L1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct LiveRow {
    /// The server's time of the check.
    pub time: Moment,
    /// The revision of the portfolio that it was judged at.
    pub revision: u64,
    /// The door that was asked for.
    pub door: DoorId,
    /// Who showed the credential, where anybody is known by it.
    pub who: Who,
    /// The Key that decided; `None` when no Key did, or when it is another Key than the viewer manages.
    pub key: Option<KeyId>,
    /// Whether a Key decided that the viewer does not manage.
    pub another_key: bool,
    /// The lock that asked; `None` for an operator.
    pub lock: Option<LockId>,
    /// What was shown.
    pub shown: Shown,
    /// Why it was denied; `None` when it was granted.
    pub denied: Option<Reason>,
}

/// What to search the access log for (L3). Every condition that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Search {
    /// From this moment on.
    pub from: Moment,
    /// To before this moment.
    pub until: Moment,
    /// One property's doors; all that may be seen for `None`.
    pub property: Option<PropertyId>,
    /// Only these doors of them; all for `None`.
    pub doors: Option<Vec<DoorId>>,
    /// Where this person showed a credential, or is the host whose share decided.
    pub person: Option<PersonId>,
    /// Where this Key decided. One that the asker doesn't manage is found nowhere.
    pub key: Option<KeyId>,
    /// The granted ones, or the denied ones.
    pub granted: Option<bool>,
    /// Denied for this reason.
    pub reason: Option<Reason>,
    /// Backwards from the end, as people look, or forwards, as exports go.
    pub newest_first: bool,
    /// At most so many rows: 1 to [`crate::limits::ROWS_PER_ANSWER_MAX`].
    pub most: u32,
    /// Go on where another page of the same search ended ([`History::next`]).
    pub after: Option<Vec<u8>>,
}

impl Search {
    /// The newest rows of everything that may be seen.
    pub fn newest(most: u32) -> Search {
        Search {
            from: Moment::MIN,
            until: Moment::MAX,
            property: None,
            doors: None,
            person: None,
            key: None,
            granted: None,
            reason: None,
            newest_first: true,
            most,
            after: None,
        }
    }
}

/// A page of the access log, by time as it was written: attempts at different cores may be milliseconds out of order.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct History {
    /// The rows that match.
    pub rows: Vec<LiveRow>,
    /// What is named in them.
    pub names: Names,
    /// Where to go on; `None`: there are no more. Means something to this server, for this asker, until it ends.
    pub next: Option<Vec<u8>>,
    /// How far this page has looked, where there is more: rows may be far apart.
    pub searched_to: Option<Moment>,
    /// Places of the log that could not be read: rows may be missing there.
    pub damaged: u64,
}

/// The names of what rows are about.
#[derive(Clone, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Names {
    /// Of the people, hosts included.
    pub people: Vec<(PersonId, String)>,
    /// Of the doors.
    pub doors: Vec<(DoorId, String)>,
    /// Of the Keys, the system's included. One that the viewer does not manage has none: it is "another Key" (L2).
    pub keys: Vec<(KeyId, String)>,
    /// Of the carriers.
    pub carriers: Vec<(CarrierId, String)>,
}

/// Who showed a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Who {
    /// Nobody is known by it.
    Nobody,
    /// A person.
    Person(PersonId),
    /// A guest, by a share of the host's (G5).
    Guest {
        /// The guest.
        person: PersonId,
        /// Who shared.
        host: PersonId,
    },
    /// A delivery partner (V3).
    Carrier(CarrierId),
}

/// What kind of credential was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Shown {
    /// A mobile identity.
    Mobile,
    /// A card number.
    Card,
    /// A door code.
    Code,
    /// A carrier's credential.
    Carrier,
}

impl LiveBatch {
    /// The batch as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        encode(|writer| rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, writer))
    }

    /// Reads a batch.
    pub fn decode(payload: &[u8]) -> Result<LiveBatch, PayloadError> {
        rkyv::from_bytes::<LiveBatch, rancor::Error>(archive(payload)?).map_err(malformed)
    }
}
