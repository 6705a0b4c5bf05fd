//! The Directory: everything a server knows of its portfolios, as immutable snapshots that share structure.
//!
//! Cloning any part is cheap; the engine edits a clone and publishes it. Only [`edit`](super::edit) and
//! [`effects`](super::effects) change a Directory, everything else reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use imbl::{OrdMap, OrdSet};
use jiff::tz::TimeZone;
pub use keyward_protocol::entry::{
    CodePolicy, DoorKind, DoorRule, Holiday, KeyDoor, Level, LockScope, OnLogFailure, Opening, Party, ScheduleRef,
    Sha256,
};
use keyward_protocol::{
    code::Card,
    id::*,
    name::{fold, fold_email},
    schedule::Hours,
    time::Moment,
};

/// Everything a server holds.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Directory {
    /// The portfolios, fully apart (M9).
    pub portfolios: OrdMap<PortfolioId, Arc<Portfolio>>,
    /// Delivery partners, set up by whoever runs the server.
    pub carriers: OrdMap<CarrierId, Carrier>,
}

/// Everything one customer runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Portfolio {
    /// Its id, which never leaves the server but in certificates.
    pub id: PortfolioId,
    /// Its name.
    pub name: String,
    /// Counts the changes of this portfolio's data.
    pub revision: u64,
    /// Portfolio Managers (M6); never empty once loaded.
    pub managers: OrdSet<PersonId>,
    /// The contacts.
    pub people: OrdMap<PersonId, Arc<Person>>,
    /// The sites.
    pub properties: OrdMap<PropertyId, Arc<Property>>,
    /// Registered locks and gateways (U3).
    pub locks: OrdMap<LockId, Arc<Lock>>,
    /// Folded email to person. Shared text: changing a map of this kind copies many of its entries.
    pub emails: OrdMap<Arc<str>, PersonId>,
    /// Mobile identity to person.
    pub mobiles: OrdMap<u64, PersonId>,
    /// Card number to person.
    pub cards: OrdMap<Card, PersonId>,
    /// Which property a door belongs to.
    pub property_of_door: OrdMap<DoorId, PropertyId>,
    /// Which property a Key belongs to; the Deliveries Keys among them.
    pub property_of_key: OrdMap<KeyId, PropertyId>,
    /// Who may prove to be whom: keys that joined, and tokens to join with.
    pub admissions: Admissions,
    /// The next number of each kind of id.
    pub next: NextIds,
}

/// Who may prove to be whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Admissions {
    /// Tokens that were not used; those whose time is over stay until another is made.
    pub tokens: OrdMap<TokenId, Token>,
    /// Keys that joined.
    pub identities: OrdMap<IdentityId, Arc<Identity>>,
    /// Which identity a key is.
    pub identity_of_key: OrdMap<Sha256, IdentityId>,
    /// The next token's number.
    pub next_token: u32,
    /// The next identity's number.
    pub next_identity: u32,
}

/// A single-use token that somebody may join with. The secret itself is kept nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Of its secret.
    pub hash: Sha256,
    /// Whom whoever joins with it is.
    pub party: Party,
    /// When it is over.
    pub until: Moment,
}

/// A key that proves somebody to be a lock, an operator or a holder.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Identity {
    /// Its id.
    pub id: IdentityId,
    /// Whom it proves them to be.
    pub party: Party,
    /// Of the public key (DER SubjectPublicKeyInfo).
    pub key: Sha256,
    /// What the machine it is on calls itself.
    pub label: String,
    /// When it joined.
    pub joined: Moment,
    /// Refused at once.
    pub disabled: bool,
}

impl Default for Admissions {
    fn default() -> Admissions {
        Admissions {
            tokens: OrdMap::new(),
            identities: OrdMap::new(),
            identity_of_key: OrdMap::new(),
            next_token: 1,
            next_identity: 1,
        }
    }
}

impl Admissions {
    /// The identity of a key, disabled or not.
    pub fn by_key(&self, key: &Sha256) -> Option<&Arc<Identity>> {
        self.identity_of_key.get(key).and_then(|id| self.identities.get(id))
    }

    /// The unused token of this hash, its time over or not.
    pub fn token(&self, hash: &Sha256) -> Option<&Token> {
        self.tokens.values().find(|token| token.hash == *hash)
    }

    /// The identities of one party.
    pub fn of(&self, party: Party) -> impl Iterator<Item = &Arc<Identity>> {
        self.identities.values().filter(move |identity| identity.party == party)
    }

    /// Whether this identity stands for that party now.
    pub fn proves(&self, identity: IdentityId, party: Party) -> bool {
        self.identities.get(&identity).is_some_and(|found| found.party == party && !found.disabled)
    }
}

/// The next number of each kind of id; numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct NextIds {
    /// See [`NextIds`].
    pub person: u32,
    /// See [`NextIds`].
    pub property: u32,
    /// See [`NextIds`].
    pub door: u32,
    /// See [`NextIds`].
    pub schedule: u32,
    /// See [`NextIds`].
    pub key: u32,
    /// See [`NextIds`].
    pub giving: u32,
    /// See [`NextIds`].
    pub share: u32,
    /// See [`NextIds`].
    pub lockdown: u32,
    /// See [`NextIds`].
    pub lock: u32,
    /// See [`NextIds`].
    pub code: u64,
}

impl Default for NextIds {
    fn default() -> Self {
        NextIds {
            person: 1,
            property: 1,
            door: 1,
            schedule: 1,
            key: 1,
            giving: 1,
            share: 1,
            lockdown: 1,
            lock: 1,
            code: 1,
        }
    }
}

/// A contact: resident, employee, vendor, guest or manager.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Person {
    /// Its id.
    pub id: PersonId,
    /// The name shown to managers.
    pub name: String,
    /// Known by this within the portfolio; ASCII case is ignored.
    pub email: String,
    /// Optional.
    pub phone: Option<String>,
    /// Optional.
    pub note: Option<String>,
    /// Opens nothing meanwhile, nor do their guests; keeps Keys, codes and shares (K11).
    pub suspended: bool,
    /// Card numbers, each one person's.
    pub cards: Vec<Card>,
    /// The random mobile identity that a phone shows to a lock.
    pub mobile: u64,
}

/// A delivery partner.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Carrier {
    /// Its id.
    pub id: CarrierId,
    /// As logs show it.
    pub name: String,
    /// What its drivers' devices show to a lock, as a mobile identity.
    pub mobile: u64,
}

/// A registered lock or gateway: which doors it may ask about is the server's knowledge (U3).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Lock {
    /// Its id, named by its certificate.
    pub id: LockId,
    /// For people.
    pub name: String,
    /// The doors it may ask about.
    pub scope: LockScope,
    /// A disabled lock is refused at once.
    pub disabled: bool,
}

/// One site.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// What stands in one record: name, zone, policies.
    pub facts: PropertyFacts,
    /// The zone of [`PropertyFacts::zone`], resolved.
    pub zone: TimeZone,
    /// Holidays (S3); overlaps allowed.
    pub holidays: Vec<Holiday>,
    /// The Deliveries Key, while opted in (V1).
    pub deliveries: Option<KeyId>,
    /// The doors.
    pub doors: OrdMap<DoorId, Arc<Door>>,
    /// Named schedules (S2).
    pub schedules: OrdMap<ScheduleId, Arc<Schedule>>,
    /// The Keys that people made; the Deliveries Key is not among them.
    pub keys: OrdMap<KeyId, Arc<Key>>,
    /// Who holds which Key, ended givings included (K7).
    pub givings: OrdMap<GivingId, Giving>,
    /// Guests' access, ended shares included (G4).
    pub shares: OrdMap<ShareId, Arc<Share>>,
    /// Lockdowns in force (U8).
    pub lockdowns: OrdMap<LockdownId, Arc<Lockdown>>,
    /// Key management, manager by manager (M1).
    pub levels: OrdMap<PersonId, Level>,
    /// Live door codes.
    pub codes: OrdMap<CodeId, Code>,
    /// Deleted door codes in their quarantine (C6).
    pub deleted_codes: OrdMap<CodeId, DeletedCode>,
    /// Givings by Key.
    pub givings_of_key: OrdSet<(KeyId, GivingId)>,
    /// Givings by person.
    pub givings_of_person: OrdSet<(PersonId, GivingId)>,
    /// Shares by the giving they came from.
    pub shares_of_giving: OrdSet<(GivingId, ShareId)>,
    /// Shares by guest.
    pub shares_of_guest: OrdSet<(PersonId, ShareId)>,
    /// The one live code of a person at a door (C1).
    pub code_of: OrdMap<(PersonId, DoorId), CodeId>,
    /// Live codes at each door (C2).
    pub live_codes: OrdMap<DoorId, u32>,
}

/// What a property is, apart from what is in it.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PropertyFacts {
    /// Its id.
    pub id: PropertyId,
    /// Unique in the portfolio (compared as K4 says).
    pub name: String,
    /// IANA time zone.
    pub zone: String,
    /// How door codes are made here (C2, C6).
    pub codes: CodePolicy,
    /// What checks are answered with when the access log can't be written.
    pub on_log_failure: OnLogFailure,
}

/// One lock of one property.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Door {
    /// Its id.
    pub id: DoorId,
    /// Unique in its property (compared as K4 says).
    pub name: String,
    /// What it leads to.
    pub kind: DoorKind,
    /// Units only; false elsewhere.
    pub occupied: bool,
    /// Sorted, without repeats.
    pub labels: Vec<String>,
}

/// The label that puts a door into the Deliveries Key (V3).
pub const DELIVERIES_LABEL: &str = "deliveries";
/// The Deliveries Key's name, which no person may use (V4).
pub const DELIVERIES_NAME: &str = "Deliveries";

impl Door {
    /// Whether carriers may open it while the property has opted in (V3).
    pub fn takes_deliveries(&self) -> bool {
        self.labels.iter().any(|label| label == DELIVERIES_LABEL)
    }

    /// Whether a Key's rule names this door (K10): every condition that is given must match.
    pub fn is_named_by(&self, rule: &DoorRule) -> bool {
        let kind = rule.kind.is_none_or(|kind| kind == self.kind);
        let vacancy = rule.occupied.is_none_or(|occupied| self.kind == DoorKind::Unit && self.occupied == occupied);
        let labels = rule.labels.iter().all(|label| self.labels.contains(label));
        kind && vacancy && labels && !rule.except.contains(&self.id)
    }
}

/// A named schedule (S2).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// Unique in its property (compared as K4 says); never `always`.
    pub name: String,
    /// When it opens.
    pub hours: Hours,
}

/// A Key: doors of one property, each with its schedule, and rules that name more of them.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// Unique in its property (K4).
    pub name: String,
    /// Pre-fills givings (K5).
    pub may_share: bool,
    /// Listed doors, sorted by door, each once (K4).
    pub doors: Vec<KeyDoor>,
    /// Doors by rule (K10).
    pub rules: Vec<DoorRule>,
}

/// One person holds one Key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Giving {
    /// Its id, which is its place (U2).
    pub id: GivingId,
    /// The Key held.
    pub key: KeyId,
    /// By whom.
    pub person: PersonId,
    /// Whether the holder may share it (K5).
    pub may_share: bool,
    /// First moment (K7).
    pub from: Option<Moment>,
    /// The moment at which it has ended (K7).
    pub until: Option<Moment>,
    /// The books have it as ended (K7): it covers nothing and its codes are gone.
    pub ended: bool,
}

/// A guest's access, from a giving that may be shared.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Share {
    /// Its id, which is its place (U2).
    pub id: ShareId,
    /// The giving it came from: the Key and the host are that giving's.
    pub giving: GivingId,
    /// Who may come in.
    pub guest: PersonId,
    /// Some of the Key's doors, sorted; all of them, as the Key changes, when `None`.
    pub doors: Option<Vec<DoorId>>,
    /// First moment.
    pub from: Option<Moment>,
    /// The moment at which it has ended.
    pub until: Option<Moment>,
    /// The books have it as ended by the clock (G4).
    pub ended: bool,
}

/// A property or some of its doors closed to all but named Keys (U8).
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Lockdown {
    /// Its id.
    pub id: LockdownId,
    /// These doors, sorted; the whole property when `None`.
    pub doors: Option<Vec<DoorId>>,
    /// Whose holders go on by their own schedules, sorted.
    pub except_keys: Vec<KeyId>,
}

impl Lockdown {
    /// Whether it closes this door.
    pub fn covers(&self, door: DoorId) -> bool {
        self.doors.as_ref().is_none_or(|doors| doors.contains(&door))
    }
}

/// A live door code: that it is, not what it is (C8). The vault has the digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Code {
    /// Its id, never used again.
    pub id: CodeId,
    /// Where it opens.
    pub door: DoorId,
    /// Whose it is.
    pub person: PersonId,
    /// When it was made.
    pub made_at: Moment,
    /// What the vault's slot must match; says nothing about the digits.
    pub commitment: [u8; 32],
}

/// A deleted door code: it opens nothing ever again, and is known until its quarantine ends (C6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct DeletedCode {
    /// Its id.
    pub id: CodeId,
    /// Where it was.
    pub door: DoorId,
    /// Whose it was.
    pub person: PersonId,
    /// When it was deleted.
    pub deleted_at: Moment,
    /// When its digits may be handed out again.
    pub quarantined_until: Moment,
}

/// What opens a Key's doors: for each door, the openings that apply (K10: any of them).
pub type KeyDoors = BTreeMap<DoorId, Vec<Opening>>;

impl Portfolio {
    /// An empty portfolio.
    pub fn new(id: PortfolioId, name: String) -> Portfolio {
        Portfolio {
            id,
            name,
            revision: 0,
            managers: OrdSet::new(),
            people: OrdMap::new(),
            properties: OrdMap::new(),
            locks: OrdMap::new(),
            emails: OrdMap::new(),
            mobiles: OrdMap::new(),
            cards: OrdMap::new(),
            property_of_door: OrdMap::new(),
            property_of_key: OrdMap::new(),
            admissions: Admissions::default(),
            next: NextIds::default(),
        }
    }

    /// The person with this email address.
    pub fn person_by_email(&self, email: &str) -> Option<&Arc<Person>> {
        self.emails.get(fold_email(email).as_str()).and_then(|id| self.people.get(id))
    }

    /// The property with this name (compared as K4 says).
    pub fn property_by_name(&self, name: &str) -> Option<&Arc<Property>> {
        let folded = fold(name);
        self.properties.values().find(|property| fold(&property.facts.name) == folded)
    }

    /// The property that has this door.
    pub fn property_with_door(&self, door: DoorId) -> Option<&Arc<Property>> {
        self.property_of_door.get(&door).and_then(|id| self.properties.get(id))
    }

    /// The property that has this Key, the Deliveries Key included.
    pub fn property_with_key(&self, key: KeyId) -> Option<&Arc<Property>> {
        self.property_of_key.get(&key).and_then(|id| self.properties.get(id))
    }

    /// Whether a person is suspended; someone who is not there is not.
    pub fn is_suspended(&self, person: PersonId) -> bool {
        self.people.get(&person).is_some_and(|person| person.suspended)
    }
}

/// The IANA time zone of this name. The database's `Etc/Unknown` is the place of nothing, and no zone here.
pub fn time_zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())
}

impl Property {
    /// A property without anything in it; `None` where the zone is not an IANA time zone.
    pub fn new(facts: PropertyFacts) -> Option<Property> {
        Some(Property {
            zone: time_zone(&facts.zone)?,
            facts,
            holidays: Vec::new(),
            deliveries: None,
            doors: OrdMap::new(),
            schedules: OrdMap::new(),
            keys: OrdMap::new(),
            givings: OrdMap::new(),
            shares: OrdMap::new(),
            lockdowns: OrdMap::new(),
            levels: OrdMap::new(),
            codes: OrdMap::new(),
            deleted_codes: OrdMap::new(),
            givings_of_key: OrdSet::new(),
            givings_of_person: OrdSet::new(),
            shares_of_giving: OrdSet::new(),
            shares_of_guest: OrdSet::new(),
            code_of: OrdMap::new(),
            live_codes: OrdMap::new(),
        })
    }

    /// Its id.
    pub fn id(&self) -> PropertyId {
        self.facts.id
    }

    /// The door with this name (compared as K4 says).
    pub fn door_by_name(&self, name: &str) -> Option<&Arc<Door>> {
        let folded = fold(name);
        self.doors.values().find(|door| fold(&door.name) == folded)
    }

    /// The Key with this name (compared as K4 says); the Deliveries Key is not found.
    pub fn key_by_name(&self, name: &str) -> Option<&Arc<Key>> {
        let folded = fold(name);
        self.keys.values().find(|key| fold(&key.name) == folded)
    }

    /// The schedule with this name (compared as K4 says).
    pub fn schedule_by_name(&self, name: &str) -> Option<&Arc<Schedule>> {
        let folded = fold(name);
        self.schedules.values().find(|schedule| fold(&schedule.name) == folded)
    }

    /// A Key's name as logs and answers show it, the Deliveries Key's included.
    pub fn key_name(&self, key: KeyId) -> Option<&str> {
        if self.deliveries == Some(key) {
            return Some(DELIVERIES_NAME);
        }
        self.keys.get(&key).map(|key| key.name.as_str())
    }

    /// The doors that a Key opens now, by list and by rule: a listed door takes its entry, a door that only rules
    /// name is opened by any of them (K10).
    pub fn key_doors(&self, key: &Key) -> KeyDoors {
        let mut doors: KeyDoors = KeyDoors::new();
        for entry in &key.doors {
            doors.insert(entry.door, vec![entry.opening]);
        }
        if key.rules.is_empty() {
            return doors;
        }
        let listed: BTreeSet<DoorId> = doors.keys().copied().collect();
        for door in self.doors.values().filter(|door| !listed.contains(&door.id)) {
            for rule in key.rules.iter().filter(|rule| door.is_named_by(rule)) {
                let openings = doors.entry(door.id).or_default();
                if !openings.contains(&rule.opening) {
                    openings.push(rule.opening);
                }
            }
        }
        doors
    }

    /// The openings of one door in a Key, as [`Property::key_doors`] has them; empty when the Key lacks the door.
    pub fn openings_of(&self, key: &Key, door: &Door) -> Vec<Opening> {
        if let Some(entry) = key.doors.iter().find(|entry| entry.door == door.id) {
            return vec![entry.opening];
        }
        key.rules.iter().filter(|rule| door.is_named_by(rule)).map(|rule| rule.opening).collect()
    }

    /// The givings of a person, earliest made first (U2).
    pub fn givings_of(&self, person: PersonId) -> impl Iterator<Item = &Giving> {
        self.givings_of_person
            .range((person, GivingId::NONE)..=(person, GivingId(u32::MAX)))
            .filter_map(|(_, id)| self.givings.get(id))
    }

    /// The givings of a Key, earliest made first.
    pub fn holders_of(&self, key: KeyId) -> impl Iterator<Item = &Giving> {
        self.givings_of_key
            .range((key, GivingId::NONE)..=(key, GivingId(u32::MAX)))
            .filter_map(|(_, id)| self.givings.get(id))
    }

    /// The shares that a person has as a guest, earliest made first (U2).
    pub fn shares_to(&self, guest: PersonId) -> impl Iterator<Item = &Arc<Share>> {
        self.shares_of_guest
            .range((guest, ShareId::NONE)..=(guest, ShareId(u32::MAX)))
            .filter_map(|(_, id)| self.shares.get(id))
    }

    /// The shares that came from a giving, earliest made first.
    pub fn shares_from(&self, giving: GivingId) -> impl Iterator<Item = &Arc<Share>> {
        self.shares_of_giving
            .range((giving, ShareId::NONE)..=(giving, ShareId(u32::MAX)))
            .filter_map(|(_, id)| self.shares.get(id))
    }

    /// The giving of this Key to this person, ended or not; there is one at the most (K6).
    pub fn giving_of(&self, key: KeyId, person: PersonId) -> Option<&Giving> {
        self.givings_of(person).find(|giving| giving.key == key)
    }

    /// The share of this giving to this guest, ended or not; there is one at the most (G1).
    pub fn share_of(&self, giving: GivingId, guest: PersonId) -> Option<&Arc<Share>> {
        self.shares_from(giving).find(|share| share.guest == guest)
    }

    /// When a share's period begins and ends: its own, cut by its giving's (G1).
    pub fn share_period(&self, share: &Share) -> (Moment, Moment) {
        let own = (share.from.unwrap_or(Moment::MIN), share.until.unwrap_or(Moment::MAX));
        match self.givings.get(&share.giving) {
            Some(giving) => {
                (own.0.max(giving.from.unwrap_or(Moment::MIN)), own.1.min(giving.until.unwrap_or(Moment::MAX)))
            }
            None => own,
        }
    }

    /// Whether the property can be shown to have no people, Keys or codes in it.
    pub fn holds(&self, person: PersonId) -> bool {
        self.givings_of(person).next().is_some()
            || self.shares_to(person).next().is_some()
            || self.code_of.range((person, DoorId::NONE)..=(person, DoorId(u32::MAX))).next().is_some()
    }
}
