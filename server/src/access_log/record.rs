//! Records: one unlock attempt in memory, and its 32 bytes on disk.
//!
//! A record on disk counts its time and its revision from the base of the chunk it stands in:
//!
//! ```text
//! 0      4        8                 12    16     20     24         28     29        30
//! | door | person | host or carrier | Key | lock | time | revision | kind | outcome | zero |
//! ```
//!
//! All numbers are little-endian. The top bit of `kind` says that bytes 8 to 11 name a carrier, not a host.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use keyward_protocol::code::Credential;
use keyward_protocol::decision::{Decision, Reason};
use keyward_protocol::id::{CarrierId, DoorId, KeyId, LockId, PersonId};
use keyward_protocol::time::Moment;

use super::bytes::{Fields, Put};

/// Bytes of a record on disk.
pub const RECORD_BYTES: usize = 32;

const CARRIER_FLAG: u8 = 0x80;

/// One unlock attempt (L1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Record {
    /// The server's time of the check.
    pub time: Moment,
    /// The revision of the portfolio that the check was judged at.
    pub revision: u64,
    /// The door that was asked for; see [`Record::door_of_log`].
    pub door: DoorId,
    /// Whose credential it was.
    pub who: Who,
    /// The Key that decided; `NONE` when no Key did.
    pub key: KeyId,
    /// The lock that asked.
    pub lock: LockId,
    /// What was shown to the door.
    pub kind: CredentialKind,
    /// Granted, or why not.
    pub outcome: Outcome,
}

/// Whose credential was shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Who {
    /// Nobody is known by it.
    #[default]
    Nobody,
    /// A person, by a giving of their own.
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
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum CredentialKind {
    /// A person's mobile identity.
    Mobile = 1,
    /// A card number.
    Card = 2,
    /// A door code.
    Code = 3,
    /// A carrier's credential.
    Carrier = 4,
}

/// How the attempt ended. One byte: 0 is granted, the others are [`Reason`]'s numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// The door was opened.
    Granted,
    /// It stayed shut, for this reason.
    Denied(Reason),
}

/// What a chunk's times and revisions are counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Base {
    pub time: Moment,
    pub revision: u64,
}

impl Record {
    /// The door whose log this record belongs to. `None` for an attempt at a door that isn't the asking lock's own:
    /// that one is kept against the lock and never shows in any door's log (L1).
    pub fn door_of_log(&self) -> Option<DoorId> {
        if self.outcome == Outcome::Denied(Reason::UnknownDoor) { None } else { self.door.some() }
    }

    /// This record as it stands in a chunk with `base`; `None` where its time or revision is too far from there.
    pub(super) fn encode(&self, base: Base) -> Option<[u8; RECORD_BYTES]> {
        let time = u32::try_from(self.time.as_micros().checked_sub(base.time.as_micros())?).ok()?;
        let revision = u32::try_from(self.revision.checked_sub(base.revision)?).ok()?;
        let (person, second, flag) = self.who.pack();
        let mut bytes = [0; RECORD_BYTES];
        Put::new(&mut bytes)
            .u32(self.door.0)
            .u32(person)
            .u32(second)
            .u32(self.key.0)
            .u32(self.lock.0)
            .u32(time)
            .u32(revision)
            .bytes(&[self.kind as u8 | flag, self.outcome.as_u8(), 0, 0]);
        Some(bytes)
    }

    /// The record that `bytes` hold in a chunk with `base`; `None` unless they are exactly what [`Record::encode`]
    /// makes.
    pub(super) fn decode(bytes: &[u8], base: Base) -> Option<Record> {
        let mut fields = Fields::new(bytes);
        let door = DoorId(fields.u32()?);
        let (person, second) = (fields.u32()?, fields.u32()?);
        let key = KeyId(fields.u32()?);
        let lock = LockId(fields.u32()?);
        let time = base.time.as_micros().checked_add(i64::from(fields.u32()?))?;
        let revision = base.revision.checked_add(u64::from(fields.u32()?))?;
        let [kind, outcome, 0, 0] = fields.array::<4>()? else { return None };
        if !fields.is_empty() {
            return None;
        }
        Some(Record {
            time: Moment::from_micros(time),
            revision,
            door,
            who: Who::unpack(person, second, kind & CARRIER_FLAG)?,
            key,
            lock,
            kind: CredentialKind::from_u8(kind & !CARRIER_FLAG)?,
            outcome: Outcome::from_u8(outcome)?,
        })
    }
}

impl Who {
    /// The person, be it as themself or as a guest.
    pub fn person(self) -> Option<PersonId> {
        match self {
            Who::Person(person) | Who::Guest { person, .. } => Some(person),
            Who::Nobody | Who::Carrier(_) => None,
        }
    }

    /// Who shared with the guest (G5).
    pub fn host(self) -> Option<PersonId> {
        if let Who::Guest { host, .. } = self { Some(host) } else { None }
    }

    /// The delivery partner (V3).
    pub fn carrier(self) -> Option<CarrierId> {
        if let Who::Carrier(carrier) = self { Some(carrier) } else { None }
    }

    /// Person, host or carrier, and the flag that tells the latter apart.
    fn pack(self) -> (u32, u32, u8) {
        match self.normal() {
            Who::Nobody => (0, 0, 0),
            Who::Person(person) => (person.0, 0, 0),
            Who::Guest { person, host } => (person.0, host.0, 0),
            Who::Carrier(carrier) => (0, carrier.0, CARRIER_FLAG),
        }
    }

    fn unpack(person: u32, second: u32, flag: u8) -> Option<Who> {
        match (person, second, flag != 0) {
            (0, 0, false) => Some(Who::Nobody),
            (person, 0, false) => Some(Who::Person(PersonId(person))),
            (0, _, false) => None,
            (person, host, false) => Some(Who::Guest { person: PersonId(person), host: PersonId(host) }),
            (0, carrier, true) if carrier != 0 => Some(Who::Carrier(CarrierId(carrier))),
            (_, _, true) => None,
        }
    }

    /// The same with ids that are `NONE` left out, so that what is written is what is read back.
    fn normal(self) -> Who {
        match self {
            Who::Guest { person, host } if host == PersonId::NONE => Who::Person(person).normal(),
            Who::Guest { person: PersonId::NONE, .. } | Who::Person(PersonId::NONE) | Who::Carrier(CarrierId::NONE) => {
                Who::Nobody
            }
            who => who,
        }
    }
}

impl CredentialKind {
    /// The word for this kind in logs and exports.
    pub const fn as_str(self) -> &'static str {
        match self {
            CredentialKind::Mobile => "mobile",
            CredentialKind::Card => "card",
            CredentialKind::Code => "code",
            CredentialKind::Carrier => "carrier",
        }
    }

    /// The kind with this number, as records hold it.
    pub fn from_u8(number: u8) -> Option<CredentialKind> {
        use CredentialKind::{Card, Carrier, Code, Mobile};
        [Mobile, Card, Code, Carrier].into_iter().find(|kind| *kind as u8 == number)
    }
}

/// The kind of what a person shows; a carrier's identity has to be told apart by who it belongs to.
impl From<&Credential> for CredentialKind {
    fn from(credential: &Credential) -> Self {
        match credential {
            Credential::Mobile(_) => CredentialKind::Mobile,
            Credential::Card(_) => CredentialKind::Card,
            Credential::Code(_) => CredentialKind::Code,
        }
    }
}

impl Outcome {
    /// This outcome's number: 0 for granted, else the reason's.
    pub fn as_u8(self) -> u8 {
        match self {
            Outcome::Granted => 0,
            Outcome::Denied(reason) => reason as u8,
        }
    }

    /// The outcome with this number.
    pub fn from_u8(number: u8) -> Option<Outcome> {
        if number == 0 { Some(Outcome::Granted) } else { Reason::from_u8(number).map(Outcome::Denied) }
    }

    /// Whether the door was opened.
    pub fn is_granted(self) -> bool {
        self == Outcome::Granted
    }
}

impl From<Decision> for Outcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Granted { .. } => Outcome::Granted,
            Decision::Denied { reason } => Outcome::Denied(reason),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A granted record of `door` at `second`, everything else made from `number`.
    pub fn record(door: u32, second: i64, number: u32) -> Record {
        Record {
            time: Moment::from_micros(second * 1_000_000),
            revision: 7,
            door: DoorId(door),
            who: Who::Person(PersonId(number)),
            key: KeyId(3),
            lock: LockId(9),
            kind: CredentialKind::Mobile,
            outcome: Outcome::Granted,
        }
    }

    pub fn denied(door: u32, second: i64, reason: Reason) -> Record {
        let kind = CredentialKind::Code;
        Record { outcome: Outcome::Denied(reason), key: KeyId::NONE, kind, ..record(door, second, 1) }
    }

    fn base_of(record: &Record) -> Base {
        Base { time: record.time.plus_micros(-5), revision: record.revision - 1 }
    }

    // L1
    #[test]
    fn every_kind_of_record_comes_back_as_it_was() {
        let people = [
            Who::Nobody,
            Who::Person(PersonId(u32::MAX)),
            Who::Guest { person: PersonId(4), host: PersonId(5) },
            Who::Carrier(CarrierId(6)),
        ];
        let outcomes = Reason::ALL.map(Outcome::Denied).into_iter().chain([Outcome::Granted]);
        for outcome in outcomes {
            for who in people {
                for kind in [1, 2, 3, 4].map(|number| CredentialKind::from_u8(number).unwrap()) {
                    let record = Record { who, kind, outcome, ..record(1, -3, 2) };
                    let bytes = record.encode(base_of(&record)).unwrap();
                    assert_eq!(Record::decode(&bytes, base_of(&record)), Some(record));
                }
            }
        }
    }

    #[test]
    fn what_is_too_far_from_the_base_does_not_fit() {
        let record = record(1, 0, 2);
        let base = |time, revision| Base { time: Moment::from_micros(time), revision };
        let far = i64::from(u32::MAX);
        assert!(record.encode(base(-far, 7)).is_some());
        for bad in [base(-far - 1, 7), base(1, 7), base(0, 8), base(i64::MIN, 7)] {
            assert_eq!(record.encode(bad), None, "{bad:?}");
        }
        let late = Record { revision: u64::MAX, ..record };
        assert_eq!(late.encode(base(0, 0)), None);
    }

    #[test]
    fn bytes_that_no_record_has_are_refused() {
        let record = record(1, 0, 2);
        let good = record.encode(base_of(&record)).unwrap();
        let decode = |at: usize, value: u8| {
            let mut bytes = good;
            bytes[at] = value;
            Record::decode(&bytes, base_of(&record))
        };
        assert_eq!(decode(28, 0), None, "no kind");
        assert_eq!(decode(28, 5), None, "unknown kind");
        assert_eq!(decode(28, 0x84), None, "a person and a carrier");
        assert_eq!(decode(29, 11), None, "unknown reason");
        assert_eq!(decode(30, 1), None, "bytes that have to be zero");
        for length in 0..RECORD_BYTES {
            assert_eq!(Record::decode(&good[..length], base_of(&record)), None);
        }
        let end = Base { time: Moment::MAX, revision: u64::MAX };
        assert_eq!(Record::decode(&good, end), None, "past the last moment");
    }

    #[test]
    fn any_bytes_either_fail_or_come_back_the_same() {
        use rand::{RngExt, SeedableRng};
        let seed = 20_261_123;
        println!("seed {seed}");
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let base = Base { time: Moment::from_micros(-1), revision: 12 };
        for _ in 0..20_000 {
            let mut bytes: [u8; RECORD_BYTES] = random.random();
            bytes[28] %= 6;
            bytes[29] %= 12;
            bytes[30] = 0;
            bytes[31] = 0;
            if let Some(record) = Record::decode(&bytes, base) {
                assert_eq!(record.encode(base), Some(bytes));
            }
        }
    }

    // L1
    #[test]
    fn an_attempt_at_a_door_of_another_lock_is_in_no_door_s_log() {
        assert_eq!(record(4, 0, 1).door_of_log(), Some(DoorId(4)));
        assert_eq!(denied(4, 0, Reason::NoKey).door_of_log(), Some(DoorId(4)));
        assert_eq!(denied(4, 0, Reason::UnknownDoor).door_of_log(), None);
    }
}
