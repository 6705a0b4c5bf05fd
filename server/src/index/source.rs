//! What a property is compiled from: plain lists, with every rule already turned into slots, rows and moments.
//!
//! Slots number a property's Keys and rows its doors, both from 0 and for one compilation only.

use keyward_protocol::{
    code::Card,
    id::{DoorId, KeyId, PersonId, PropertyId},
    time::Moment,
};

/// One property, flattened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PropertySource {
    /// Which property.
    pub property: PropertyId,
    /// `[from, to)`: openings are complete inside. Outside it a schedule is taken for closed; `always` stays open.
    pub horizon: (Moment, Moment),
    /// The Key of each slot.
    pub keys: Vec<KeyId>,
    /// The Deliveries Key, where the property opted in (V1).
    pub deliveries: Option<KeyId>,
    /// Each distinct schedule once, as openings `[from, to)`: sorted, disjoint, none empty.
    pub schedules: Vec<Vec<(Moment, Moment)>>,
    /// Sorted by id; the position is the row.
    pub doors: Vec<DoorSource>,
    /// Everyone who holds something here, sorted by id.
    pub people: Vec<PersonSource>,
}

/// When something opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opens {
    /// At no moment.
    Never,
    /// At every moment, past the horizon too.
    Always,
    /// By this one of [`PropertySource::schedules`].
    At(u16),
}

/// A Key that has a door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DoorKey {
    /// The Key.
    pub slot: u16,
    /// For mobile identities and cards.
    pub any: Opens,
    /// For door codes; [`Opens::Never`] where the Key's entry says "no code".
    pub code: Opens,
    /// Whether the Key's entry for the door has codes (C1). Without, a giving of the Key does not have the door as
    /// far as a code is concerned.
    pub has_code: bool,
}

/// A door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DoorSource {
    /// Which door.
    pub id: DoorId,
    /// The Keys that have it, sorted by slot, each once.
    pub keys: Vec<DoorKey>,
    /// Whether the Deliveries Key has it (V3). Counts only where the property opted in.
    pub delivers: bool,
    /// When it is locked down (U8), the slots that are excepted, sorted, each once.
    pub lockdown: Option<Vec<u16>>,
}

/// A giving or a share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holding {
    /// The Key.
    pub slot: u16,
    /// Opens nothing before; [`Moment::MIN`] where it has no first moment.
    pub from: Moment,
    /// Has ended from here on; [`Moment::MAX`] where it never ends, [`Moment::MIN`] where the books say that it has
    /// ended. A share's is already cut by its host's giving (G1).
    pub until: Moment,
    /// Whose share it is; [`PersonId::NONE`] for an own giving.
    pub host: PersonId,
    /// The rows that a share is cut to, sorted, each once; `None` for all the doors of the Key.
    pub doors: Option<Vec<u16>>,
}

/// A person who holds something in the property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PersonSource {
    /// Who.
    pub id: PersonId,
    /// Suspended: opens nothing (K11).
    pub suspended: bool,
    /// The mobile identity.
    pub mobile: u64,
    /// The cards.
    pub cards: Vec<Card>,
    /// In the order of U2: own givings by place, then shares by place. Shares of suspended hosts are left out.
    pub holdings: Vec<Holding>,
}

/// A door code that is live or in quarantine, known by its tag only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CodeSource {
    /// The keyed hash of door and digits.
    pub tag: [u8; 16],
    /// Where it was made for.
    pub door: DoorId,
    /// Whose it is or was.
    pub person: PersonId,
    /// Whether it opens.
    pub state: CodeState,
}

/// Whether a code opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeState {
    /// It does, where a giving or share does.
    Live,
    /// Deleted: known as that person's until this moment, and opens nothing ever again (C6).
    Quarantined {
        /// The end of the quarantine.
        until: Moment,
    },
}

/// A person of the portfolio with everything they can show at any door but codes: for checks at properties where
/// they hold nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownPerson {
    /// Who.
    pub id: PersonId,
    /// Suspended (K11).
    pub suspended: bool,
    /// The mobile identity.
    pub mobile: u64,
    /// The cards.
    pub cards: Vec<Card>,
}
