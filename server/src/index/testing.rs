//! Random properties, and a judge that is slow and obviously right.

use std::{collections::HashMap, sync::Arc};

use keyward_protocol::{
    code::{Card, Digits},
    decision::{Decision, Reason},
    id::{CarrierId, DoorId, KeyId, PersonId, PortfolioId, PropertyId},
    time::Moment,
};
use rand::{Rng, RngExt};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use siphasher::sip128::{Hasher128, SipHasher};

use super::{
    archive::Loaded,
    codes::Tag,
    compile::compile,
    lookup::{Outcome, Scope, Shown, ShownKind, Verdict},
    publish::{PortfolioPublication, Published},
    source::{CodeSource, CodeState, DoorKey, DoorSource, Holding, KnownPerson, Opens, PersonSource, PropertySource},
};

pub const PORTFOLIO: PortfolioId = PortfolioId(1);

pub fn tag(door: DoorId, digits: &Digits) -> Tag {
    let mut hasher = SipHasher::new_with_keys(1, u64::from(door.0));
    std::hash::Hasher::write(&mut hasher, digits.expose());
    hasher.finish128().as_bytes()
}

/// A property with its codes and the rest of its portfolio.
pub struct World {
    pub source: PropertySource,
    /// Door, digits, whose, state.
    pub codes: Vec<(DoorId, Vec<u8>, PersonId, CodeState)>,
    /// People of the portfolio who hold nothing here.
    pub strangers: Vec<KnownPerson>,
    pub carriers: HashMap<u64, CarrierId>,
    pub codes_loaded: bool,
}

impl World {
    pub fn code_sources(&self) -> Vec<CodeSource> {
        let code = |(door, digits, person, state): &(DoorId, Vec<u8>, PersonId, CodeState)| CodeSource {
            tag: tag(*door, &Digits::parse(digits).unwrap()),
            door: *door,
            person: *person,
            state: *state,
        };
        self.codes.iter().map(code).collect()
    }

    pub fn publication(&self) -> PortfolioPublication {
        let mut portfolio = PortfolioPublication::default();
        portfolio.put_property(Arc::new(Loaded::new(&compile(&self.source, (11, 13)).unwrap()).unwrap()));
        if self.codes_loaded {
            portfolio.set_codes(self.source.property, Some(&self.code_sources()));
        }
        self.known().into_iter().for_each(|person| portfolio.put_person(person));
        portfolio.set_carriers(Arc::new(self.carriers.clone()));
        portfolio
    }

    pub fn published(&self) -> Published {
        let published = Published::default();
        published.publish(PORTFOLIO, self.publication());
        published
    }

    fn known(&self) -> Vec<KnownPerson> {
        let known = |person: &PersonSource| KnownPerson {
            id: person.id,
            suspended: person.suspended,
            mobile: person.mobile,
            cards: person.cards.clone(),
        };
        self.source.people.iter().map(known).chain(self.strangers.iter().cloned()).collect()
    }

    /// Everything that could be shown, and some things that are nobody's.
    pub fn credentials(&self, rng: &mut impl Rng) -> Shown {
        let known = self.known();
        let person = pick(rng, &known);
        match rng.random_range(0..20) {
            0 => Shown::new(ShownKind::Mobile, &rng.random::<u64>().to_le_bytes()),
            1 => Shown::new(ShownKind::Mobile, &person.map_or(0, |p| p.mobile).to_le_bytes()[..7]),
            2 => Shown::new(ShownKind::Card, &rng.random::<[u8; 7]>()),
            3 => Shown { kind: ShownKind::Card, length: 11, bytes: [7; 10] },
            4 => Shown::new(ShownKind::Code, b"0000000"),
            5 => {
                let carriers: Vec<u64> = self.carriers.keys().copied().collect();
                Shown::new(ShownKind::Mobile, &pick(rng, &carriers).copied().unwrap_or(5).to_le_bytes())
            }
            6..9 => match pick(rng, &self.codes) {
                Some((_, digits, ..)) => Shown::new(ShownKind::Code, digits),
                None => Shown::new(ShownKind::Code, b""),
            },
            9..12 => match person.and_then(|person| pick(rng, &person.cards)) {
                Some(card) => Shown::new(ShownKind::Card, card.bytes()),
                None => Shown::new(ShownKind::Card, b""),
            },
            _ => Shown::new(ShownKind::Mobile, &person.map_or(0, |person| person.mobile).to_le_bytes()),
        }
    }

    /// A moment at an edge of something, a microsecond to either side, or anywhere.
    pub fn moment(&self, rng: &mut impl Rng) -> Moment {
        let source = &self.source;
        let edge = match rng.random_range(0..9) {
            0..4 => pick(rng, &source.schedules).and_then(|openings| pick(rng, openings)).map(|o| [o.0, o.1]),
            4..6 => {
                let holding = pick(rng, &source.people).and_then(|person| pick(rng, &person.holdings));
                holding.map(|holding| [holding.from, holding.until])
            }
            6 => Some([source.horizon.0, source.horizon.1]),
            7 => match pick(rng, &self.codes) {
                Some((_, _, _, CodeState::Quarantined { until })) => Some([*until; 2]),
                _ => None,
            },
            _ => None,
        };
        let anywhere = Moment::from_micros(rng.random_range(-30 * DAY..30 * DAY));
        let edge = edge.map_or(anywhere, |edge| edge[rng.random_range(0..2)]);
        // The last moment of all stands for "never" and is nobody's now.
        edge.plus_micros(rng.random_range(-1..=1)).min(Moment::MAX.plus_micros(-1))
    }
}

pub const DAY: i64 = 86_400_000_000;

fn pick<'a, T>(rng: &mut impl Rng, items: &'a [T]) -> Option<&'a T> {
    if items.is_empty() { None } else { items.get(rng.random_range(0..items.len())) }
}

fn one_of(rng: &mut impl Rng, sizes: &[usize]) -> usize {
    *pick(rng, sizes).unwrap()
}

/// Some of `0..below`, sorted.
fn some_below(rng: &mut impl Rng, below: usize, count: usize) -> Vec<u16> {
    let mut all: Vec<u16> = (0..below as u16).collect();
    for i in 0..count.min(below) {
        let other = rng.random_range(i..below);
        all.swap(i, other);
    }
    all.truncate(count);
    all.sort_unstable();
    all
}

pub fn world(seed: u64) -> World {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rng = &mut rng;
    let horizon = horizon(rng);
    let key_count = one_of(rng, &[1, 2, 3, 8, 9, 15, 16, 17, 40, 130, 300]);
    let door_count = one_of(rng, &[1, 2, 5, 12]);
    let schedules: Vec<_> = (0..rng.random_range(0..6)).map(|_| openings(rng, horizon)).collect();
    let mut door_id = 0;
    let mut doors = Vec::new();
    for _ in 0..door_count {
        door_id += rng.random_range(1..400);
        doors.push(door(rng, DoorId(door_id), key_count, schedules.len()));
    }
    let mut cards = 0_u32;
    let mut people = Vec::new();
    let mut person_id = 0;
    for _ in 0..one_of(rng, &[0, 1, 2, 7, 25]) {
        person_id += rng.random_range(1..4);
        people.push(person(rng, PersonId(person_id), key_count, door_count, &mut cards));
    }
    let source = PropertySource {
        property: PropertyId(rng.random_range(1..9)),
        horizon,
        keys: (0..key_count).map(|slot| KeyId(slot as u32 * 3 + 1)).collect(),
        deliveries: rng.random_bool(0.7).then_some(KeyId(900_000)),
        schedules,
        doors,
        people,
    };
    let strangers: Vec<KnownPerson> = (0..3)
        .map(|n| KnownPerson {
            id: PersonId(person_id + 1 + n),
            suspended: rng.random_bool(0.3),
            mobile: rng.random(),
            cards: new_cards(rng, &mut cards),
        })
        .collect();
    let codes = codes(rng, &source, &strangers);
    // The second carrier has a person's identity: the person comes first.
    let shadowed = source.people.first().map_or(1, |person| person.mobile);
    let carriers = HashMap::from([(rng.random(), CarrierId(1)), (shadowed, CarrierId(2))]);
    World { source, codes, strangers, carriers, codes_loaded: rng.random_bool(0.9) }
}

fn horizon(rng: &mut impl Rng) -> (Moment, Moment) {
    let from = rng.random_range(-3 * DAY..3 * DAY);
    let seconds = |micros: i64| micros.div_euclid(1_000_000) * 1_000_000;
    let (from, to) = match rng.random_range(0..10) {
        0 => (i64::MIN, i64::MAX),
        1 => (from, i64::MAX),
        2 => (from, from),
        3 => (from, from + rng.random_range(1..20 * DAY)),
        _ => (seconds(from), seconds(from) + rng.random_range(1..20) * DAY),
    };
    (Moment::from_micros(from), Moment::from_micros(to))
}

fn openings(rng: &mut impl Rng, horizon: (Moment, Moment)) -> Vec<(Moment, Moment)> {
    let unit = if rng.random_bool(0.2) { 1 } else { 1_000_000 };
    let longest = one_of(rng, &[60, 3_600, 86_400, 400_000]) as i64 * 1_000_000 / unit;
    let count = one_of(rng, &[0, 1, 4, 7, 8, 20, 100]);
    let start = if horizon.0 == Moment::MIN { 0 } else { horizon.0.as_micros() };
    let mut at = start.div_euclid(1_000_000) * 1_000_000 - rng.random_range(0..2 * longest) * unit;
    let mut openings = Vec::new();
    for _ in 0..count {
        // Now and then two openings touch.
        at += if rng.random_bool(0.1) { 0 } else { rng.random_range(1..=longest) * unit };
        let to = at + rng.random_range(1..=longest) * unit;
        openings.push((Moment::from_micros(at), Moment::from_micros(to)));
        at = to;
    }
    if rng.random_bool(0.05) {
        openings.push((Moment::from_micros(at + 1), Moment::MAX));
    }
    openings
}

fn opens(rng: &mut impl Rng, schedules: usize) -> Opens {
    match rng.random_range(0..6) {
        0 => Opens::Never,
        1 | 2 => Opens::Always,
        _ if schedules == 0 => Opens::Always,
        _ => Opens::At(rng.random_range(0..schedules) as u16),
    }
}

fn door(rng: &mut impl Rng, id: DoorId, key_count: usize, schedules: usize) -> DoorSource {
    let count = one_of(rng, &[0, 1, 2, 7, 8, 9, 10, 17, 18, 19, 300]);
    let keys = some_below(rng, key_count, count).into_iter().map(|slot| {
        let has_code = rng.random_bool(0.7);
        let code = if has_code { opens(rng, schedules) } else { Opens::Never };
        DoorKey { slot, any: opens(rng, schedules), code, has_code }
    });
    let keys = keys.collect();
    let excepted = rng.random_range(0..=key_count);
    let lockdown = rng.random_bool(0.3).then(|| some_below(rng, key_count, excepted));
    DoorSource { id, keys, delivers: rng.random_bool(0.5), lockdown }
}

fn person(rng: &mut impl Rng, id: PersonId, key_count: usize, door_count: usize, cards: &mut u32) -> PersonSource {
    let holdings = (0..one_of(rng, &[0, 1, 2, 3, 7, 8, 9, 10, 40])).map(|_| {
        let bound = |rng: &mut dyn FnMut() -> i64| Moment::from_micros(rng() / 1_000_000 * 1_000_000);
        let period = rng.random_bool(0.4);
        let share = rng.random_bool(0.3);
        let mut any = || rng.random_range(-6 * DAY..6 * DAY);
        let (from, until) = if period { (bound(&mut any), bound(&mut any)) } else { (Moment::MIN, Moment::MAX) };
        let until = if period && rng.random_bool(0.1) { Moment::MIN } else { until };
        let rows = rng.random_range(0..=door_count);
        Holding {
            slot: rng.random_range(0..key_count) as u16,
            from,
            until,
            host: if share { PersonId(7_777) } else { PersonId::NONE },
            doors: (share && rng.random_bool(0.5)).then(|| some_below(rng, door_count, rows)),
        }
    });
    let holdings = holdings.collect();
    PersonSource { id, suspended: rng.random_bool(0.15), mobile: rng.random(), cards: new_cards(rng, cards), holdings }
}

/// Cards of every length, some of them the beginning of others.
fn new_cards(rng: &mut impl Rng, cards: &mut u32) -> Vec<Card> {
    let make = |_| {
        *cards += 1;
        let mut bytes = [0; 10];
        bytes[..4].copy_from_slice(&cards.to_le_bytes());
        Card::new(&bytes[..one_of(rng, &[4, 5, 7, 10])]).unwrap()
    };
    (0..2).map(make).collect()
}

fn codes(
    rng: &mut impl Rng,
    source: &PropertySource,
    strangers: &[KnownPerson],
) -> Vec<(DoorId, Vec<u8>, PersonId, CodeState)> {
    let people: Vec<PersonId> = source.people.iter().map(|p| p.id).chain(strangers.iter().map(|p| p.id)).collect();
    let mut codes = Vec::new();
    for (n, (door, person)) in
        source.doors.iter().flat_map(|door| people.iter().map(move |person| (door.id, *person))).enumerate()
    {
        let state = match rng.random_range(0..4) {
            0 => CodeState::Quarantined { until: Moment::from_micros(rng.random_range(-9 * DAY..9 * DAY)) },
            _ => CodeState::Live,
        };
        // Few different digits, so that the same ones are codes at several doors; never twice at one.
        let digits = (1_000_000 + n % people.len()).to_string().into_bytes();
        codes.push((door, digits, person, state));
    }
    codes
}

/// What a check is answered with, read off the source from top to bottom.
pub fn slow_judge(world: &World, scope: Scope<'_>, now: Moment, door_id: DoorId, shown: &Shown) -> Verdict {
    let source = &world.source;
    let in_scope = match scope {
        Scope::Portfolio => true,
        Scope::Property(property) => property == source.property,
        Scope::Doors(doors) => doors.contains(&door_id),
    };
    let row = source.doors.iter().position(|door| door.id == door_id);
    let Some(row) = row.filter(|_| in_scope) else { return Verdict::denied(Reason::UnknownDoor) };
    let door = &source.doors[row];
    let is_code = shown.kind == ShownKind::Code;
    if is_code && !world.codes_loaded {
        return Verdict { outcome: Outcome::Retry, ..Verdict::DENIED };
    }
    let bytes = shown.bytes.get(..usize::from(shown.length));
    let code = world.codes.iter().find(|(at, digits, ..)| is_code && *at == door_id && Some(&digits[..]) == bytes);
    let known = world.known();
    let by_id = |id: PersonId| known.iter().find(|person| person.id == id);
    let mut deleted = false;
    let mut carrier = None;
    let person = match shown.kind {
        ShownKind::Code => match code {
            Some((_, _, person, CodeState::Live)) => by_id(*person),
            Some((_, _, person, CodeState::Quarantined { until })) if now < *until => {
                deleted = true;
                by_id(*person)
            }
            _ => None,
        },
        ShownKind::Card => known.iter().find(|person| person.cards.iter().any(|card| Some(card.bytes()) == bytes)),
        ShownKind::Mobile => known.iter().find(|person| Some(&person.mobile.to_le_bytes()[..]) == bytes),
    };
    if person.is_none() && shown.kind == ShownKind::Mobile {
        let found = world.carriers.iter().find(|(mobile, _)| Some(&mobile.to_le_bytes()[..]) == bytes);
        carrier = found.map(|(_, carrier)| *carrier);
    }
    let verdict = |outcome| Verdict {
        outcome: Outcome::Decided(outcome),
        person: person.map_or(PersonId::NONE, |person| person.id),
        host: PersonId::NONE,
        carrier: carrier.unwrap_or(CarrierId::NONE),
        wrong_code: is_code && !code.is_some_and(|(.., state)| *state == CodeState::Live),
    };
    let deny = |reason| verdict(Decision::Denied { reason });
    if carrier.is_some() {
        return match (&door.lockdown, source.deliveries) {
            (Some(_), _) => deny(Reason::Lockdown),
            (None, Some(key)) if door.delivers => verdict(Decision::Granted { key }),
            (None, _) => deny(Reason::NoKey),
        };
    }
    // (slot, host, why not) of every giving or share that has the door.
    let mut candidates: Vec<(u16, PersonId, Option<Reason>)> = Vec::new();
    let holder = person.filter(|_| !deleted).and_then(|p| source.people.iter().find(|here| here.id == p.id));
    for holding in holder.map_or(&[][..], |person| &person.holdings) {
        let Some(key) = door.keys.iter().find(|key| key.slot == holding.slot) else { continue };
        let subset = holding.doors.as_ref().is_none_or(|rows| rows.contains(&(row as u16)));
        if !subset || (is_code && !key.has_code) {
            continue;
        }
        let open = match if is_code { key.code } else { key.any } {
            Opens::Never => false,
            Opens::Always => true,
            Opens::At(schedule) => {
                let inside = source.schedules[usize::from(schedule)].iter().any(|o| o.0 <= now && now < o.1);
                inside && source.horizon.0 <= now && now < source.horizon.1
            }
        };
        let reason = if holding.until <= now {
            Some(Reason::Expired)
        } else if now < holding.from {
            Some(Reason::NotYetValid)
        } else if open {
            None
        } else {
            Some(Reason::OutsideSchedule)
        };
        candidates.push((holding.slot, holding.host, reason));
    }
    if let Some(excepted) = &door.lockdown {
        candidates.retain(|(slot, ..)| excepted.contains(slot));
    }
    let suspended = person.is_some_and(|person| person.suspended);
    if let Some((slot, host, _)) = candidates.iter().find(|(.., reason)| reason.is_none() && !suspended) {
        let key = source.keys[usize::from(*slot)];
        return Verdict { host: *host, ..verdict(Decision::Granted { key }) };
    }
    let mut reasons: Vec<Reason> = candidates.iter().filter_map(|(.., reason)| *reason).collect();
    if door.lockdown.is_some() {
        let not_ended = candidates.iter().any(|(.., reason)| *reason != Some(Reason::Expired));
        return deny(match (not_ended, suspended) {
            (false, _) => Reason::Lockdown,
            (true, true) => Reason::PersonSuspended,
            (true, false) => reasons.into_iter().min().unwrap(),
        });
    }
    if suspended {
        reasons.push(Reason::PersonSuspended);
    }
    if deleted {
        reasons.push(Reason::DeletedCode);
    }
    reasons.push(if person.is_some() { Reason::NoKey } else { Reason::UnknownCredential });
    deny(reasons.into_iter().min().unwrap())
}
