//! Publication: the one place where what checks read is replaced.
//!
//! A [`Publication`] is finished before anybody can see it and never changes afterwards. The engine, the only
//! writer, makes the next one beside it and swaps one pointer ([`Published::publish`]). A reader loads that pointer
//! once for a batch ([`Published::load`]) and judges the whole batch by what it got.
//!
//! What a reader may see while a change is published: all of the old state or all of the new, for every property
//! and every kind of credential of a portfolio alike, because one pointer leads to all of it. Never half of an
//! edit, and never the new and then the old again: the pointer only goes forward, and a load after the swap finds
//! the new state. So once `publish` returned, every batch that begins afterwards is judged by the change; a batch
//! that began earlier may still be answered by the state before.
//!
//! Why this is lock-free: `ArcSwap::load` marks one of its thread's few slots and reads the pointer; it waits for
//! nobody, and where it finds all its slots taken it takes a counted reference instead, which does not wait
//! either. What stands behind the pointer is reached through shared references to data that nobody writes. The
//! writer waits for no reader: the old state is dropped by whoever lets go of it last.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use imbl::OrdMap;
use keyward_protocol::{
    code::Card,
    id::{CarrierId, DoorId, PersonId, PortfolioId, PropertyId},
};
use self_cell::self_cell;

use super::{
    archive::{CardNumber, Loaded, View, hash_card, hash_mobile},
    codes::CodeTable,
    filter::Filter,
    prefetch::{prefetch, prefetch_line},
    source::{CodeSource, KnownPerson},
};

/// What all readers share.
#[derive(Default)]
pub struct Published {
    current: ArcSwap<Publication>,
}

impl Published {
    /// What is published now. Take it once for a batch, and let go of it soon: the guard keeps it in memory.
    #[inline]
    pub fn load(&self) -> Guard<Arc<Publication>> {
        self.current.load()
    }

    /// Replaces one portfolio. Batches that begin after this returned are judged by it.
    pub fn publish(&self, portfolio: PortfolioId, next: PortfolioPublication) {
        let next = Arc::new(next);
        self.current.rcu(|current| {
            let mut publication = Publication::clone(current);
            publication.portfolios.insert(portfolio, Arc::clone(&next));
            publication
        });
    }

    /// Takes one portfolio away: every door of it is unknown from here on.
    pub fn withdraw(&self, portfolio: PortfolioId) {
        self.current.rcu(|current| {
            let mut publication = Publication::clone(current);
            publication.portfolios.remove(&portfolio);
            publication
        });
    }
}

/// Every portfolio at one moment.
#[derive(Clone, Default)]
pub struct Publication {
    portfolios: OrdMap<PortfolioId, Arc<PortfolioPublication>>,
}

impl Publication {
    /// One portfolio.
    pub fn portfolio(&self, portfolio: PortfolioId) -> Option<&PortfolioPublication> {
        self.portfolios.get(&portfolio).map(Arc::as_ref)
    }
}

/// The credentials of every carrier of the server.
pub type Carriers = HashMap<u64, CarrierId>;

/// One portfolio at one revision. A clone shares everything with it; the engine changes the clone and publishes it.
#[derive(Clone, Default)]
pub struct PortfolioPublication {
    /// The revision that it stands for.
    pub revision: u64,
    doors: DoorTable,
    properties: Properties,
    slots: OrdMap<PropertyId, u32>,
    /// Slots of properties that went, to be used again.
    free: Vec<u32>,
    known: KnownCredentials,
    carriers: Arc<Carriers>,
}

/// A property's index and its codes.
///
/// INVARIANT: the codes are for this index.
#[derive(Clone)]
struct PublishedProperty {
    index: Arc<Loaded>,
    /// `None` until the vault was read: codes are answered `retry`.
    codes: Option<Arc<CodeTable>>,
}

impl PublishedProperty {
    /// The codes, for another index of the property.
    fn codes_for(&self, index: &Loaded) -> Option<Arc<CodeTable>> {
        let codes = self.codes.as_ref()?;
        Some(match codes.moved(&self.index, index) {
            Cow::Borrowed(_) => Arc::clone(codes),
            Cow::Owned(moved) => Arc::new(moved),
        })
    }
}

/// The same as a check reads it.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct PropertyView<'a> {
    pub view: View<'a>,
    pub codes: Option<&'a CodeTable>,
}

/// The property of doors that are nowhere.
pub(super) static NO_PROPERTY: PropertyView<'static> = PropertyView { view: View::EMPTY, codes: None };

impl PropertyView<'_> {
    /// Asks for the lines that every check needs.
    #[inline(always)]
    pub fn prefetch(&self) {
        prefetch_line(&self.view.doors);
        prefetch_line(&self.view.schedules);
    }

    /// Asks for the line that cards and codes need beside them.
    #[inline(always)]
    pub fn prefetch_more(&self) {
        prefetch_line(&self.view.codes);
    }
}

const PROPERTIES_PER_CHUNK: usize = 64;

type Views<'a> = [PropertyView<'a>; PROPERTIES_PER_CHUNK];

self_cell!(
    /// Some properties with their views side by side: a check finds a property without following a pointer to each.
    struct Chunk {
        owner: Vec<Option<PublishedProperty>>,
        #[covariant]
        dependent: Views,
    }
);

/// Properties by slot, in chunks that publications share: replacing one copies one chunk and the pointers to the rest.
#[derive(Clone, Default)]
struct Properties {
    chunks: Vec<Arc<Chunk>>,
}

impl Properties {
    #[inline(always)]
    fn view(&self, slot: usize) -> Option<&PropertyView<'_>> {
        let chunk = self.chunks.get(slot / PROPERTIES_PER_CHUNK)?;
        chunk.borrow_dependent().get(slot % PROPERTIES_PER_CHUNK)
    }

    fn get(&self, slot: usize) -> Option<&PublishedProperty> {
        let chunk = self.chunks.get(slot / PROPERTIES_PER_CHUNK)?;
        chunk.borrow_owner().get(slot % PROPERTIES_PER_CHUNK)?.as_ref()
    }

    /// Puts a property, or nothing, into a slot; slots up to there are made.
    fn set(&mut self, slot: usize, property: Option<PublishedProperty>) {
        let at = slot / PROPERTIES_PER_CHUNK;
        while self.chunks.len() <= at {
            self.chunks.push(Arc::new(chunk(vec![None; PROPERTIES_PER_CHUNK])));
        }
        let Some(to) = self.chunks.get_mut(at) else { return };
        let mut properties = to.borrow_owner().clone();
        if let Some(place) = properties.get_mut(slot % PROPERTIES_PER_CHUNK) {
            *place = property;
        }
        *to = Arc::new(chunk(properties));
    }
}

fn chunk(properties: Vec<Option<PublishedProperty>>) -> Chunk {
    Chunk::new(properties, |properties| {
        std::array::from_fn(|at| properties.get(at).and_then(Option::as_ref).map_or(NO_PROPERTY, property_view))
    })
}

fn property_view(property: &PublishedProperty) -> PropertyView<'_> {
    let codes = property.codes.as_deref();
    PropertyView { view: View { codes: codes.map_or(&[], CodeTable::lines), ..*property.index.view() }, codes }
}

impl PortfolioPublication {
    /// Puts a property's index in, or replaces it. Its codes stay as they are.
    pub fn put_property(&mut self, index: Arc<Loaded>) {
        let property = index.property();
        let slot = match self.slots.get(&property) {
            Some(slot) => *slot as usize,
            None => self.add_slot(property),
        };
        let before = self.properties.get(slot).cloned();
        let same_doors = before.as_ref().is_some_and(|before| before.index.doors().eq(index.doors()));
        let codes = before.as_ref().and_then(|before| before.codes_for(&index));
        if !same_doors {
            if let Some(before) = &before {
                before.index.doors().for_each(|door| self.doors.clear(door, slot));
            }
            for (row, door) in index.doors().enumerate() {
                self.doors.set(door, slot, row);
            }
        }
        self.properties.set(slot, Some(PublishedProperty { index, codes }));
    }

    /// Takes a property away.
    pub fn remove_property(&mut self, property: PropertyId) {
        let Some(slot) = self.slots.remove(&property) else { return };
        if let Some(before) = self.properties.get(slot as usize) {
            before.index.doors().for_each(|door| self.doors.clear(door, slot as usize));
        }
        self.properties.set(slot as usize, None);
        self.free.push(slot);
    }

    /// Sets a property's codes; `None` while they are being read: codes there are answered `retry` meanwhile. A
    /// property must have been put in before.
    pub fn set_codes(&mut self, property: PropertyId, codes: Option<&[CodeSource]>) {
        let table = codes.and_then(|codes| self.code_table(property, codes));
        self.set_code_table(property, table);
    }

    /// A property's codes as they would be looked up, for [`Self::set_code_table`]; `None` where it has no index.
    pub fn code_table(&self, property: PropertyId, codes: &[CodeSource]) -> Option<Arc<CodeTable>> {
        Some(Arc::new(CodeTable::build(codes, self.property(property)?)))
    }

    /// [`Self::set_codes`], with what [`Self::code_table`] made.
    pub fn set_code_table(&mut self, property: PropertyId, codes: Option<Arc<CodeTable>>) {
        let slot = self.slots.get(&property).copied();
        let Some(slot) = slot.map(|slot| slot as usize) else { return };
        if let Some(before) = self.properties.get(slot) {
            let index = Arc::clone(&before.index);
            self.properties.set(slot, Some(PublishedProperty { index, codes }));
        }
    }

    /// Makes a person's credentials known in the whole portfolio, in place of those known before.
    pub fn put_person(&mut self, person: KnownPerson) {
        self.known.put(person);
    }

    /// Forgets a person.
    pub fn remove_person(&mut self, person: PersonId) {
        self.known.remove(person);
    }

    /// Sets the server's carriers.
    pub fn set_carriers(&mut self, carriers: Arc<Carriers>) {
        self.carriers = carriers;
    }

    /// A property's index.
    pub fn property(&self, property: PropertyId) -> Option<&Arc<Loaded>> {
        let slot = *self.slots.get(&property)?;
        self.properties.get(slot as usize).map(|property| &property.index)
    }

    fn add_slot(&mut self, property: PropertyId) -> usize {
        // Without free ones, the slots below the number of properties are all taken.
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        self.slots.insert(property, slot);
        slot as usize
    }

    #[inline(always)]
    pub(super) fn place(&self, door: DoorId) -> Place {
        self.doors.get(door)
    }

    #[inline(always)]
    pub(super) fn prefetch_place(&self, door: DoorId) {
        self.doors.prefetch(door);
    }

    /// The property at a place. Does not read it.
    #[inline(always)]
    pub(super) fn at(&self, place: Place) -> &PropertyView<'_> {
        self.properties.view((place.property as usize).wrapping_sub(1)).unwrap_or(&NO_PROPERTY)
    }

    pub(super) fn known(&self) -> &KnownCredentials {
        &self.known
    }

    pub(super) fn carrier(&self, credential: u64) -> Option<CarrierId> {
        self.carriers.get(&credential).copied()
    }
}

/// Where a door stands.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// One more than the property's slot; 0 where there is no such door.
    property: u32,
    pub row: u32,
}

const DOORS_PER_CHUNK: usize = 512;

/// Doors by id, which are dense in a portfolio: chunks that publications share.
#[derive(Clone, Default)]
struct DoorTable {
    chunks: Vec<Arc<[Place; DOORS_PER_CHUNK]>>,
}

impl DoorTable {
    #[inline(always)]
    fn get(&self, door: DoorId) -> Place {
        let at = door.0 as usize;
        let chunk = self.chunks.get(at / DOORS_PER_CHUNK);
        chunk.and_then(|chunk| chunk.get(at % DOORS_PER_CHUNK)).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn prefetch(&self, door: DoorId) {
        let at = door.0 as usize;
        if let Some(chunk) = self.chunks.get(at / DOORS_PER_CHUNK) {
            prefetch(chunk.as_slice(), at % DOORS_PER_CHUNK);
        }
    }

    fn set(&mut self, door: DoorId, slot: usize, row: usize) {
        let at = door.0 as usize;
        let chunk = at / DOORS_PER_CHUNK;
        if self.chunks.len() <= chunk {
            // Chunks without a door share one: ids far apart, as damage may make them, cost a pointer a chunk.
            self.chunks.resize(chunk + 1, Arc::new([Place::default(); DOORS_PER_CHUNK]));
        }
        if let Some(place) = self.place_mut(at) {
            *place = Place { property: slot as u32 + 1, row: row as u32 };
        }
    }

    /// Clears a door, unless another property has it by now.
    fn clear(&mut self, door: DoorId, slot: usize) {
        if let Some(place) = self.place_mut(door.0 as usize).filter(|place| place.property == slot as u32 + 1) {
            *place = Place::default();
        }
    }

    fn place_mut(&mut self, at: usize) -> Option<&mut Place> {
        Arc::make_mut(self.chunks.get_mut(at / DOORS_PER_CHUNK)?).get_mut(at % DOORS_PER_CHUNK)
    }
}

/// Who has which credential, in the whole portfolio: asked only where a property's own table knows nobody.
#[derive(Clone, Default)]
pub(super) struct KnownCredentials {
    people: imbl::HashMap<PersonId, Arc<KnownPerson>>,
    mobiles: imbl::HashMap<u64, Holder>,
    cards: imbl::HashMap<Card, Holder>,
    /// Of the mobile identities and cards.
    filter: Filter,
}

/// Whose a credential is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holder {
    pub person: PersonId,
    pub suspended: bool,
}

/// Of the hash that the filter knows credentials by. Nothing hangs on it but how long an unknown one takes.
const FILTER_KEY: (u64, u64) = (0x6b65_7977_6172_6420, 0x6b6e_6f77_6e20_3f20);

fn hash_known_mobile(mobile: u64) -> u64 {
    hash_mobile(FILTER_KEY, mobile)
}

fn hash_known_card(card: &Card) -> u64 {
    hash_card(FILTER_KEY, CardNumber::of(card))
}

impl KnownCredentials {
    pub fn by_mobile(&self, mobile: u64) -> Option<Holder> {
        if self.filter.may_have(hash_known_mobile(mobile)) { self.mobiles.get(&mobile).copied() } else { None }
    }

    pub fn by_card(&self, card: &Card) -> Option<Holder> {
        if self.filter.may_have(hash_known_card(card)) { self.cards.get(card).copied() } else { None }
    }

    /// Asks for what [`KnownCredentials::by_mobile`] reads first.
    #[inline(always)]
    pub fn prefetch_mobile(&self, mobile: u64) {
        self.filter.prefetch(hash_known_mobile(mobile));
    }

    pub fn is_suspended(&self, person: PersonId) -> bool {
        self.people.get(&person).is_some_and(|person| person.suspended)
    }

    fn put(&mut self, person: KnownPerson) {
        self.remove(person.id);
        let holder = Holder { person: person.id, suspended: person.suspended };
        // INVARIANT: the filter has each credential in the maps once.
        if self.mobiles.insert(person.mobile, holder).is_none() {
            self.filter.add(hash_known_mobile(person.mobile), hashes(&self.mobiles, &self.cards));
        }
        for card in &person.cards {
            if self.cards.insert(*card, holder).is_none() {
                self.filter.add(hash_known_card(card), hashes(&self.mobiles, &self.cards));
            }
        }
        self.people.insert(person.id, Arc::new(person));
    }

    fn remove(&mut self, id: PersonId) {
        let Some(person) = self.people.remove(&id) else { return };
        // A credential that somebody else has by now stays theirs.
        if self.mobiles.get(&person.mobile).is_some_and(|holder| holder.person == id) {
            self.mobiles.remove(&person.mobile);
            self.filter.remove(hash_known_mobile(person.mobile));
        }
        for card in &person.cards {
            if self.cards.get(card).is_some_and(|holder| holder.person == id) {
                self.cards.remove(card);
                self.filter.remove(hash_known_card(card));
            }
        }
    }
}

fn hashes(mobiles: &imbl::HashMap<u64, Holder>, cards: &imbl::HashMap<Card, Holder>) -> impl Iterator<Item = u64> {
    mobiles.keys().map(|mobile| hash_known_mobile(*mobile)).chain(cards.keys().map(hash_known_card))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use keyward_protocol::{
        decision::{Decision, Reason},
        id::KeyId,
        time::Moment,
    };

    use super::*;
    use crate::index::{
        compile::compile,
        lookup::{Outcome, Question, Scope, Shown, ShownKind, Verdict, check_batch},
        source::{DoorKey, DoorSource, Holding, Opens, PersonSource, PropertySource},
        testing::tag,
    };

    const PORTFOLIO: PortfolioId = PortfolioId(4);

    /// Doors in one Key that person 9 holds.
    fn source(property: u32, doors: &[u32], key: u32) -> PropertySource {
        let entry = DoorKey { slot: 0, any: Opens::Always, code: Opens::Never, has_code: false };
        let door = |id: &u32| DoorSource { id: DoorId(*id), keys: vec![entry], delivers: false, lockdown: None };
        let holding = Holding { slot: 0, from: Moment::MIN, until: Moment::MAX, host: PersonId::NONE, doors: None };
        PropertySource {
            property: PropertyId(property),
            horizon: (Moment::MIN, Moment::MAX),
            keys: vec![KeyId(key)],
            deliveries: None,
            schedules: Vec::new(),
            doors: doors.iter().map(door).collect(),
            people: vec![PersonSource {
                id: PersonId(9),
                suspended: false,
                mobile: 99,
                cards: Vec::new(),
                holdings: vec![holding],
            }],
        }
    }

    fn loaded(property: u32, doors: &[u32], key: u32) -> Arc<Loaded> {
        Arc::new(Loaded::new(&compile(&source(property, doors, key), (1, 2)).unwrap()).unwrap())
    }

    fn ask(portfolio: &PortfolioPublication, doors: &[u32], mobile: u64) -> Vec<Outcome> {
        let shown = Shown::new(ShownKind::Mobile, &mobile.to_le_bytes());
        let questions: Vec<_> = doors.iter().map(|door| Question { door: DoorId(*door), shown }).collect();
        let mut out = vec![Verdict::DENIED; doors.len()];
        check_batch(portfolio, Scope::Portfolio, Moment::default(), &questions, tag, &mut out);
        out.into_iter().map(|verdict| verdict.outcome).collect()
    }

    fn granted(key: u32) -> Outcome {
        Outcome::Decided(Decision::Granted { key: KeyId(key) })
    }

    fn denied(reason: Reason) -> Outcome {
        Outcome::Decided(Decision::Denied { reason })
    }

    #[test]
    fn properties_and_doors_come_move_and_go() {
        let mut portfolio = PortfolioPublication::default();
        portfolio.put_property(loaded(1, &[1, 700], 5));
        portfolio.put_property(loaded(2, &[2], 6));
        let before = portfolio.clone();
        assert_eq!(ask(&portfolio, &[1, 2, 700], 99), [granted(5), granted(6), granted(5)]);
        portfolio.put_property(loaded(1, &[700, 701], 7));
        let unknown = denied(Reason::UnknownDoor);
        assert_eq!(ask(&portfolio, &[1, 2, 700, 701], 99), [unknown, granted(6), granted(7), granted(7)]);
        portfolio.remove_property(PropertyId(1));
        portfolio.put_property(loaded(3, &[1], 8));
        assert_eq!(ask(&portfolio, &[1, 2, 700], 99), [granted(8), granted(6), unknown]);
        assert!(portfolio.property(PropertyId(1)).is_none() && portfolio.property(PropertyId(3)).is_some());
        assert_eq!(ask(&before, &[1, 2, 700], 99), [granted(5), granted(6), granted(5)], "snapshots stay as they are");
    }

    // U1
    #[test]
    fn people_of_the_portfolio_are_known_everywhere_by_what_they_have_now() {
        let mut portfolio = PortfolioPublication::default();
        portfolio.put_property(loaded(1, &[1], 5));
        let person = |suspended, mobile| KnownPerson { id: PersonId(3), suspended, mobile, cards: Vec::new() };
        assert_eq!(ask(&portfolio, &[1], 33), [denied(Reason::UnknownCredential)]);
        portfolio.put_person(person(false, 33));
        assert_eq!(ask(&portfolio, &[1], 33), [denied(Reason::NoKey)]);
        portfolio.put_person(person(true, 34));
        assert_eq!(ask(&portfolio, &[1], 33), [denied(Reason::UnknownCredential)]);
        assert_eq!(ask(&portfolio, &[1], 34), [denied(Reason::PersonSuspended)]);
        portfolio.remove_person(PersonId(3));
        assert_eq!(ask(&portfolio, &[1], 34), [denied(Reason::UnknownCredential)]);
    }

    // K3
    #[test]
    fn readers_see_each_change_whole_and_never_go_back() {
        let state = |n: u64| {
            let mut portfolio = PortfolioPublication { revision: n, ..PortfolioPublication::default() };
            portfolio.put_property(loaded(1, &[1, 2, 3], n as u32));
            portfolio.put_property(loaded(2, &[600], n as u32));
            portfolio
        };
        let published = Published::default();
        published.publish(PORTFOLIO, state(1));
        let acknowledged = AtomicU64::new(1);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < 300 {
                        let floor = acknowledged.load(Ordering::SeqCst);
                        let publication = published.load();
                        let portfolio = publication.portfolio(PORTFOLIO).unwrap();
                        let revision = portfolio.revision;
                        assert!(revision >= floor && revision >= last, "{revision} after {last}, {floor} was told");
                        assert_eq!(ask(portfolio, &[1, 600, 2, 3], 99), [granted(revision as u32); 4]);
                        last = revision;
                    }
                });
            }
            for n in 2..=300 {
                published.publish(PORTFOLIO, state(n));
                acknowledged.store(n, Ordering::SeqCst);
            }
        });
        published.withdraw(PORTFOLIO);
        assert!(published.load().portfolio(PORTFOLIO).is_none());
    }
}
