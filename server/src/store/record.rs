//! What the journal's entries and the snapshots mean, and the bytes they are written as.
//!
//! The first byte of each is the version of its layout. A later version must go on reading every earlier one.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use keyward_protocol::{id::*, name::fold_email, time::Moment};
use rkyv::{
    de::Pool,
    rancor::{Error as RkyvError, Strategy},
};
use rustc_hash::FxHashMap;

use crate::{
    domain::{audit::Acted, directory::*, event::Change},
    parallel,
};

/// The newest layout that is read. Changes, carriers and Directories without tokens and keys that joined are written in
/// the first, which has them as they were; what only later releases know is written in the layout that brought it.
const VERSION: u8 = 4;
const FIRST: u8 = 1;
const WITH_RESTORED: u8 = 2;
const WITH_ACTED: u8 = 3;
const WITH_ADMISSIONS: u8 = 4;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A change of one portfolio's data.
    Change(Change),
    /// A carrier of the server.
    Carrier(Carrier),
    /// A repair put this part of a Directory at the beginning of a new history.
    Restored(Restored),
    /// An act in the audit trail (L5): what the change before it in the frame was, or what left everything as it is.
    Acted(Acted),
}

/// What the first two layouts have. An archived enum is as long as its longest variant: nothing can be added to it.
#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
enum Stored {
    Change(Change),
    Carrier(Carrier),
    Restored(Restored),
}

/// Where a history begins that goes on from another: with a Directory, in parts.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[allow(missing_docs, reason = "rkyv's derive writes twins without documentation")]
pub struct Restored {
    /// The history before.
    pub lineage: [u8; 16],
    /// Its last frame that is in the Directory.
    pub sequence: u64,
    /// Frames after that which are known to have been there, and are lost.
    pub lost: u64,
    /// When.
    pub at: Moment,
    /// A part of the Directory, as [`encode_directory`] writes one.
    pub part: Vec<u8>,
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a later keyward.
    #[error(
        "it has format {0}, and this keyward reads up to {VERSION}: start it with the keyward that wrote it, or a newer one"
    )]
    Newer(u8),
    /// Not what this version writes.
    #[error("it is damaged: restore it from a backup")]
    Damaged,
}

impl Entry {
    /// The bytes that the journal keeps.
    pub fn encode(self) -> Vec<u8> {
        const FLAT: &str = "flat lists can always be written to memory";
        let stored = |version, stored: Stored| (version, rkyv::to_bytes::<RkyvError>(&stored).expect(FLAT));
        let (version, body) = match self {
            Entry::Change(change) => stored(FIRST, Stored::Change(change)),
            Entry::Carrier(carrier) => stored(FIRST, Stored::Carrier(carrier)),
            Entry::Restored(restored) => stored(WITH_RESTORED, Stored::Restored(restored)),
            Entry::Acted(acted) => (WITH_ACTED, rkyv::to_bytes::<RkyvError>(&acted).expect(FLAT)),
        };
        with_version(version, &body)
    }

    /// Reads what [`Entry::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Entry, RecordError> {
        let body = body(bytes)?;
        if only_tells(bytes) {
            let acted = rkyv::from_bytes::<Acted, RkyvError>(body).map_err(|_| RecordError::Damaged)?;
            return Ok(Entry::Acted(acted));
        }
        Ok(match rkyv::from_bytes::<Stored, RkyvError>(body).map_err(|_| RecordError::Damaged)? {
            Stored::Change(change) => Entry::Change(change),
            Stored::Carrier(carrier) => Entry::Carrier(carrier),
            Stored::Restored(restored) => Entry::Restored(restored),
        })
    }
}

/// Whether an entry only tells what was done, and changes nothing itself.
pub fn only_tells(entry: &[u8]) -> bool {
    entry.first() == Some(&WITH_ACTED)
}

fn with_version(version: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 1);
    bytes.push(version);
    bytes.extend_from_slice(body);
    bytes
}

fn body(bytes: &[u8]) -> Result<&[u8], RecordError> {
    match bytes.split_first() {
        Some((FIRST..=VERSION, body)) => Ok(body),
        Some((&version, _)) if version > VERSION => Err(RecordError::Newer(version)),
        _ => Err(RecordError::Damaged),
    }
}

/// A Directory written flat, as snapshots keep it.
#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct DirectoryRecord {
    portfolios: Vec<PortfolioRecord>,
    carriers: Vec<Carrier>,
}

/// A Directory in which somebody joined, or may: what the first layout has, and who may prove to be whom.
#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct AdmittingRecord {
    directory: DirectoryRecord,
    admissions: Vec<AdmissionsRecord>,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct AdmissionsRecord {
    portfolio: PortfolioId,
    tokens: Vec<Token>,
    identities: Vec<Identity>,
    next_token: u32,
    next_identity: u32,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct PortfolioRecord {
    id: PortfolioId,
    name: String,
    revision: u64,
    managers: Vec<PersonId>,
    people: Vec<Person>,
    properties: Vec<PropertyRecord>,
    locks: Vec<Lock>,
    next: NextIds,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct PropertyRecord {
    facts: PropertyFacts,
    holidays: Vec<Holiday>,
    deliveries: Option<KeyId>,
    doors: Vec<Door>,
    schedules: Vec<Schedule>,
    keys: Vec<Key>,
    givings: Vec<Giving>,
    shares: Vec<Share>,
    lockdowns: Vec<Lockdown>,
    levels: Vec<(PersonId, Level)>,
    codes: Vec<Code>,
    deleted_codes: Vec<DeletedCode>,
}

/// The bytes that a snapshot keeps of a Directory.
pub fn encode_directory(directory: &Directory) -> Vec<u8> {
    let record = DirectoryRecord {
        portfolios: directory.portfolios.values().map(|portfolio| portfolio_record(portfolio)).collect(),
        carriers: directory.carriers.values().cloned().collect(),
    };
    const FLAT: &str = "flat lists can always be written to memory";
    let admitting = directory.portfolios.values().filter(|portfolio| portfolio.admissions != Admissions::default());
    let admissions: Vec<AdmissionsRecord> = admitting.map(|portfolio| admissions_record(portfolio)).collect();
    if admissions.is_empty() {
        return with_version(FIRST, &rkyv::to_bytes::<RkyvError>(&record).expect(FLAT));
    }
    let record = AdmittingRecord { directory: record, admissions };
    with_version(WITH_ADMISSIONS, &rkyv::to_bytes::<RkyvError>(&record).expect(FLAT))
}

fn admissions_record(portfolio: &Portfolio) -> AdmissionsRecord {
    let admissions = &portfolio.admissions;
    AdmissionsRecord {
        portfolio: portfolio.id,
        tokens: admissions.tokens.values().copied().collect(),
        identities: admissions.identities.values().map(|identity| Identity::clone(identity)).collect(),
        next_token: admissions.next_token,
        next_identity: admissions.next_identity,
    }
}

fn admissions_of(record: AdmissionsRecord) -> Admissions {
    let AdmissionsRecord { tokens, identities, next_token, next_identity, .. } = record;
    Admissions {
        tokens: tokens.into_iter().map(|token| (token.id, token)).collect(),
        identity_of_key: identities.iter().map(|identity| (identity.key, identity.id)).collect(),
        identities: identities.into_iter().map(|identity| (identity.id, Arc::new(identity))).collect(),
        next_token,
        next_identity,
    }
}

/// A property as a snapshot keeps it, but for its door codes: equal bytes where everything else is equal.
pub fn encode_without_codes(property: &Property) -> Vec<u8> {
    let record = record_without_codes(property);
    with_version(FIRST, &rkyv::to_bytes::<RkyvError>(&record).expect("flat lists can always be written to memory"))
}

/// Reads what [`encode_directory`] wrote.
pub fn decode_directory(bytes: &[u8]) -> Result<Directory, RecordError> {
    let body = body(bytes)?;
    if bytes.first() != Some(&WITH_ADMISSIONS) {
        let record = rkyv::access::<ArchivedDirectoryRecord, RkyvError>(body).map_err(|_| RecordError::Damaged)?;
        return directory_of(record, Vec::new());
    }
    let record = rkyv::access::<ArchivedAdmittingRecord, RkyvError>(body).map_err(|_| RecordError::Damaged)?;
    directory_of(&record.directory, read(&record.admissions)?)
}

fn directory_of(record: &ArchivedDirectoryRecord, admissions: Vec<AdmissionsRecord>) -> Result<Directory, RecordError> {
    let mut admissions: FxHashMap<PortfolioId, AdmissionsRecord> =
        admissions.into_iter().map(|record| (record.portfolio, record)).collect();
    let mut directory = Directory::default();
    for portfolio in record.portfolios.iter() {
        let mut portfolio = portfolio_of(portfolio)?;
        if let Some(record) = admissions.remove(&portfolio.id) {
            portfolio.admissions = admissions_of(record);
        }
        directory.portfolios.insert(portfolio.id, Arc::new(portfolio));
    }
    let carriers: Vec<Carrier> = read(&record.carriers)?;
    directory.carriers = carriers.into_iter().map(|carrier| (carrier.id, carrier)).collect();
    Ok(directory)
}

/// A Directory in parts of a bounded size, which [`add_part`] puts together again: each portfolio, its people some
/// thousands at a time, each of its properties.
pub fn parts(directory: &Directory) -> Vec<Directory> {
    const PEOPLE_AT_ONCE: usize = 10_000;
    let mut parts = vec![Directory { carriers: directory.carriers.clone(), ..Directory::default() }];
    for portfolio in directory.portfolios.values() {
        let part = |fill: &dyn Fn(&mut Portfolio)| {
            let fresh = Portfolio::new(portfolio.id, portfolio.name.clone());
            let mut part = Portfolio { revision: portfolio.revision, next: portfolio.next, ..fresh };
            fill(&mut part);
            let mut directory = Directory::default();
            directory.portfolios.insert(part.id, Arc::new(part));
            directory
        };
        parts.push(part(&|part| {
            part.managers = portfolio.managers.clone();
            part.locks = portfolio.locks.clone();
            part.admissions = portfolio.admissions.clone();
        }));
        let people: Vec<_> = portfolio.people.iter().collect();
        for some in people.chunks(PEOPLE_AT_ONCE) {
            parts.push(part(&|part| part.people = some.iter().map(|(id, who)| (**id, Arc::clone(who))).collect()));
        }
        for (id, property) in &portfolio.properties {
            parts.push(part(&|part| _ = part.properties.insert(*id, Arc::clone(property))));
        }
    }
    parts
}

/// Adds a part, as it was read, to what is there of a Directory.
pub fn add_part(directory: &mut Directory, part: Directory) {
    directory.carriers.extend(part.carriers);
    for (id, part) in part.portfolios {
        let Some(there) = directory.portfolios.get(&id) else {
            directory.portfolios.insert(id, part);
            continue;
        };
        let (mut whole, part) = (Portfolio::clone(there), Portfolio::clone(&part));
        // They stand in one part whole.
        if part.admissions != Admissions::default() {
            whole.admissions = part.admissions;
        }
        whole.managers.extend(part.managers);
        whole.people.extend(part.people);
        whole.properties.extend(part.properties);
        whole.locks.extend(part.locks);
        whole.emails.extend(part.emails);
        whole.mobiles.extend(part.mobiles);
        whole.cards.extend(part.cards);
        whole.property_of_door.extend(part.property_of_door);
        whole.property_of_key.extend(part.property_of_key);
        directory.portfolios.insert(id, Arc::new(whole));
    }
}

/// A part of a record that was checked.
fn read<T: rkyv::Archive>(part: &T::Archived) -> Result<T, RecordError>
where
    T::Archived: rkyv::Deserialize<T, Strategy<Pool, RkyvError>>,
{
    rkyv::deserialize::<T, RkyvError>(part).map_err(|_| RecordError::Damaged)
}

fn portfolio_record(portfolio: &Portfolio) -> PortfolioRecord {
    PortfolioRecord {
        id: portfolio.id,
        name: portfolio.name.clone(),
        revision: portfolio.revision,
        managers: portfolio.managers.iter().copied().collect(),
        people: portfolio.people.values().map(|person| Person::clone(person)).collect(),
        properties: portfolio.properties.values().map(|property| property_record(property)).collect(),
        locks: portfolio.locks.values().map(|lock| Lock::clone(lock)).collect(),
        next: portfolio.next,
    }
}

fn property_record(property: &Property) -> PropertyRecord {
    PropertyRecord {
        codes: property.codes.values().copied().collect(),
        deleted_codes: property.deleted_codes.values().copied().collect(),
        ..record_without_codes(property)
    }
}

fn record_without_codes(property: &Property) -> PropertyRecord {
    PropertyRecord {
        facts: property.facts.clone(),
        holidays: property.holidays.clone(),
        deliveries: property.deliveries,
        doors: property.doors.values().map(|door| Door::clone(door)).collect(),
        schedules: property.schedules.values().map(|schedule| Schedule::clone(schedule)).collect(),
        keys: property.keys.values().map(|key| Key::clone(key)).collect(),
        givings: property.givings.values().copied().collect(),
        shares: property.shares.values().map(|share| Share::clone(share)).collect(),
        lockdowns: property.lockdowns.values().map(|lockdown| Lockdown::clone(lockdown)).collect(),
        levels: property.levels.iter().map(|(person, level)| (*person, level.clone())).collect(),
        codes: Vec::new(),
        deleted_codes: Vec::new(),
    }
}

fn portfolio_of(record: &ArchivedPortfolioRecord) -> Result<Portfolio, RecordError> {
    let mut portfolio = Portfolio::new(read(&record.id)?, read(&record.name)?);
    portfolio.revision = record.revision.into();
    portfolio.managers = read::<Vec<PersonId>>(&record.managers)?.into_iter().collect();
    portfolio.next = read(&record.next)?;
    portfolio.locks = read::<Vec<Lock>>(&record.locks)?.into_iter().map(|lock| (lock.id, Arc::new(lock))).collect();
    // Givings and codes by the million: on every core, and people beside them.
    let (people, properties) = parallel::both(
        || people_of(&mut portfolio, &record.people),
        || parallel::each(&record.properties, property_of),
    );
    people?;
    for property in properties {
        let property = property?;
        let id = property.id();
        portfolio.property_of_door.extend(property.doors.keys().map(|door| (*door, id)));
        portfolio.property_of_key.extend(property.keys.keys().chain(&property.deliveries).map(|key| (*key, id)));
        portfolio.properties.insert(id, Arc::new(property));
    }
    Ok(portfolio)
}

fn people_of(portfolio: &mut Portfolio, people: &[ArchivedPerson]) -> Result<(), RecordError> {
    let (mut emails, mut mobiles, mut cards): (Vec<(Arc<str>, PersonId)>, Vec<_>, Vec<_>) = Default::default();
    filling(people, |person| {
        let person: Person = read(person)?;
        emails.push((fold_email(&person.email).into(), person.id));
        mobiles.push((person.mobile, person.id));
        cards.extend(person.cards.iter().map(|card| (*card, person.id)));
        portfolio.people.insert(person.id, Arc::new(person));
        Ok(())
    })?;
    portfolio.emails = map_of(emails);
    portfolio.mobiles = map_of(mobiles);
    portfolio.cards = map_of(cards);
    Ok(())
}

/// The long lists one by one: together they are as large again as what is made of them.
fn property_of(record: &ArchivedPropertyRecord) -> Result<Property, RecordError> {
    let mut property = Property::new(read(&record.facts)?).ok_or(RecordError::Damaged)?;
    property.holidays = read(&record.holidays)?;
    property.deliveries = read(&record.deliveries)?;
    let doors: Vec<Door> = read(&record.doors)?;
    property.doors = doors.into_iter().map(|door| (door.id, Arc::new(door))).collect();
    let schedules: Vec<Schedule> = read(&record.schedules)?;
    property.schedules = schedules.into_iter().map(|schedule| (schedule.id, Arc::new(schedule))).collect();
    let keys: Vec<Key> = read(&record.keys)?;
    property.keys = keys.into_iter().map(|key| (key.id, Arc::new(key))).collect();
    let lockdowns: Vec<Lockdown> = read(&record.lockdowns)?;
    property.lockdowns = lockdowns.into_iter().map(|lockdown| (lockdown.id, Arc::new(lockdown))).collect();
    let levels: Vec<(PersonId, Level)> = read(&record.levels)?;
    property.levels = levels.into_iter().collect();
    let (mut of_key, mut of_person): (Vec<_>, Vec<_>) = Default::default();
    filling(&record.givings, |giving| {
        let giving: Giving = read(giving)?;
        of_key.push((giving.key, giving.id));
        of_person.push((giving.person, giving.id));
        property.givings.insert(giving.id, giving);
        Ok(())
    })?;
    property.givings_of_key = set_of(of_key);
    property.givings_of_person = set_of(of_person);
    for share in read::<Vec<Share>>(&record.shares)? {
        property.shares_of_giving.insert((share.giving, share.id));
        property.shares_of_guest.insert((share.guest, share.id));
        property.shares.insert(share.id, Arc::new(share));
    }
    let mut live: FxHashMap<DoorId, u32> = FxHashMap::default();
    let mut code_of = Vec::with_capacity(record.codes.len());
    filling(&record.codes, |code| {
        let code: Code = read(code)?;
        *live.entry(code.door).or_default() += 1;
        code_of.push(((code.person, code.door), code.id));
        property.codes.insert(code.id, code);
        Ok(())
    })?;
    property.code_of = map_of(code_of);
    property.live_codes = live.into_iter().collect();
    filling(&record.deleted_codes, |code| {
        let code: DeletedCode = read(code)?;
        property.deleted_codes.insert(code.id, code);
        Ok(())
    })?;
    Ok(property)
}

/// Does every other one of `sorted` first, and then the rest. A node of a map that is full splits in halves: what is put
/// in one after the other leaves every node half empty, while the second half put in this way fills them. With millions of
/// codes, memory is what a start takes its time for.
fn filling<T>(sorted: &[T], mut put: impl FnMut(&T) -> Result<(), RecordError>) -> Result<(), RecordError> {
    [0, 1].into_iter().try_for_each(|first| sorted.iter().skip(first).step_by(2).try_for_each(&mut put))
}

/// A map that takes little memory, of entries in any order.
fn map_of<K: Ord + Clone, V: Clone>(mut entries: Vec<(K, V)>) -> OrdMap<K, V> {
    entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let every_other = |first| entries.iter().skip(first).step_by(2).cloned();
    every_other(0).chain(every_other(1)).collect()
}

/// A set that takes little memory, of entries in any order.
fn set_of<K: Ord + Clone>(mut entries: Vec<K>) -> OrdSet<K> {
    entries.sort_unstable();
    let every_other = |first| entries.iter().skip(first).step_by(2).cloned();
    every_other(0).chain(every_other(1)).collect()
}

#[cfg(test)]
mod tests {
    use keyward_protocol::time::Moment;

    use super::*;
    use crate::domain::event::{Actor, Cause};

    #[test]
    fn a_directory_comes_back_as_it_was() {
        let site = crate::domain::site::Site::parse("site.toml", crate::testing::SITE).unwrap();
        let mut portfolio = site.portfolio(PortfolioId(1));
        let (party, until) = (Party::Operator(PersonId(1)), Moment::from_micros(9));
        let admissions = &mut portfolio.admissions;
        admissions.tokens.insert(TokenId(3), Token { id: TokenId(3), hash: [4; 32], party, until });
        let (id, key, joined) = (IdentityId(5), [6; 32], Moment::from_micros(8));
        let identity = Identity { id, party, key, label: "laptop".to_owned(), joined, disabled: true };
        admissions.identity_of_key.insert(key, id);
        admissions.identities.insert(id, Arc::new(identity));
        (admissions.next_token, admissions.next_identity) = (7, 8);
        let mut directory = Directory::default();
        directory.portfolios.insert(portfolio.id, Arc::new(portfolio));
        assert_eq!(decode_directory(&encode_directory(&directory)).unwrap(), directory);
        let mut whole = Directory::default();
        for part in parts(&directory) {
            add_part(&mut whole, decode_directory(&encode_directory(&part)).unwrap());
        }
        assert_eq!(whole, directory);
    }

    #[test]
    fn entries_come_back_and_damage_is_refused() {
        let entry = Entry::Change(Change {
            portfolio: PortfolioId(1),
            actor: Actor::Administrator,
            at: Moment::from_micros(5),
            causes: vec![Cause::PortfolioMade { name: "Harbor".into() }],
            commitments: vec![[1; 32]],
            digest: [2; 32],
        });
        let bytes = entry.clone().encode();
        assert_eq!(Entry::decode(&bytes), Ok(entry));
        let newer: Vec<u8> = std::iter::once(9).chain(bytes.iter().skip(1).copied()).collect();
        assert_eq!(Entry::decode(&newer), Err(RecordError::Newer(9)));
        // A cut record may still read as another one: the journal's checksums are what refuses it. It never panics.
        for cut in 0..bytes.len() {
            _ = Entry::decode(&bytes[..cut]);
        }
    }
}
