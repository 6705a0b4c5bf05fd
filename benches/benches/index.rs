//! A batch of checks against the compiled index, beside one bare hash-map get a check.
//!
//! 1,000 properties of the worked example's size in one portfolio. The map holds one entry a giving, keyed by person
//! and Key, and is asked for as many hits as the index; it knows no schedule, period, code, card or reason. After
//! criterion's own figures the ratio of both is printed, from rounds that take turns. Codes' tags are made by the
//! vault's own function. With `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` both stand on huge pages.

use std::{collections::HashMap, hint::black_box, sync::Arc, time::Instant};

use criterion::{Criterion, Throughput};
use keyward_protocol::{
    code::{Card, Digits},
    decision::Decision,
    id::{DoorId, KeyId, PersonId, PortfolioId, PropertyId},
    time::Moment,
};
use keyward_server::{
    index::{
        archive::Loaded,
        compile::compile,
        lookup::{Outcome, Question, Scope, Shown, ShownKind, Verdict, check_batch},
        publish::{PortfolioPublication, Published},
        source::{
            CodeSource, CodeState, DoorKey, DoorSource, Holding, KnownPerson, Opens, PersonSource, PropertySource,
        },
    },
    vault::Tagger,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

const PROPERTIES: u32 = 1_000;
const DOORS: u32 = 220;
const UNITS: u32 = 200;
const ENTRANCES: u32 = 4;
const PEOPLE: u32 = 420;
const RESIDENTS: u32 = 400;
const KEYS: u32 = 210;
const BATCH: usize = 256;
const BATCHES: usize = 2_048;
const PORTFOLIO: PortfolioId = PortfolioId(1);
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Ten in the morning of the horizon's fourth day.
const NOW: Moment = Moment::from_micros(3 * DAY + 10 * 3_600 * SECOND);
const SEED: u64 = 20_261_123;

fn main() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let world = World::new(&mut rng);
    let checks = world.checks(&mut rng, |rng| rng.random_range(0..100));
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("check");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut turn = 0;
    group.bench_function("index, batches of 256", |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % BATCHES;
            world.ask_index(&checks, turn)
        });
    });
    group.bench_function("bare map, one get a check", |bencher| {
        bencher.iter(|| {
            turn = (turn + 1) % BATCHES;
            world.ask_map(&checks, turn)
        });
    });
    group.finish();
    criterion.final_summary();
    println!("seed {SEED}, {} bytes a property in the archive", world.archive_bytes / PROPERTIES as usize);
    report("mixed", &world, &checks);
    for (kind, at) in [("mobile", 0), ("codes", 60), ("cards", 80), ("unknown", 95)] {
        report(kind, &world, &world.checks(&mut rng, |_| at));
    }
}

/// Rounds that take turns, so that both meet the same noise.
fn report(kind: &str, world: &World, checks: &Checks) {
    let nanos = |ask: &dyn Fn(usize) -> u64| {
        let started = Instant::now();
        (0..BATCHES).for_each(|turn| {
            black_box(ask(turn));
        });
        started.elapsed().as_nanos() as f64 / (BATCHES * BATCH) as f64
    };
    let mut rounds: Vec<(f64, f64)> = (0..15)
        .map(|_| (nanos(&|turn| world.ask_index(checks, turn)), nanos(&|turn| world.ask_map(checks, turn))))
        .collect();
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (index, map) = rounds[rounds.len() / 2];
    let granted: u64 = (0..BATCHES).map(|turn| world.ask_index(checks, turn)).sum();
    let share = granted as f64 * 100.0 / (BATCHES * BATCH) as f64;
    println!("{kind}: index {index:.1} ns, map {map:.1} ns a check, ratio {:.2}; {share:.0} % granted", index / map);
}

struct World {
    published: Published,
    map: FxHashMap<(PersonId, KeyId), u32>,
    tagger: Tagger,
    /// By property: its people with what they hold, and their doors with a code.
    people: Vec<Vec<PersonSource>>,
    archive_bytes: usize,
}

struct Checks {
    questions: Vec<Question>,
    gets: Vec<(PersonId, KeyId)>,
}

impl World {
    fn new(rng: &mut ChaCha8Rng) -> World {
        let mut world = World {
            published: Published::default(),
            map: FxHashMap::default(),
            tagger: Tagger::new([17; 16]),
            people: Vec::new(),
            archive_bytes: 0,
        };
        let mut portfolio = PortfolioPublication::default();
        let mut known = Vec::new();
        for property in 0..PROPERTIES {
            let source = source(property, rng);
            let archive = compile(&source, (rng.random(), rng.random())).expect("the worked example can be compiled");
            world.archive_bytes += archive.len();
            portfolio.put_property(Arc::new(Loaded::new(&archive).expect("what was compiled is right")));
            portfolio.set_codes(source.property, Some(&codes(&source, &world.tagger)));
            for person in &source.people {
                for holding in &person.holdings {
                    let place = world.map.len() as u32;
                    world.map.insert((person.id, source.keys[usize::from(holding.slot)]), place);
                }
                let (id, suspended, mobile) = (person.id, person.suspended, person.mobile);
                known.push(KnownPerson { id, suspended, mobile, cards: person.cards.clone() });
            }
            world.people.push(source.people);
        }
        known.into_iter().for_each(|person| portfolio.put_person(person));
        portfolio.set_carriers(Arc::new(HashMap::new()));
        world.published.publish(PORTFOLIO, portfolio);
        println!("{} givings", world.map.len());
        world
    }

    /// Checks with 60 % mobile identities, 20 % codes, 15 % cards and 5 % unknown ones, chosen by a number of 0 to 99.
    fn checks(&self, rng: &mut ChaCha8Rng, mut mix: impl FnMut(&mut ChaCha8Rng) -> u32) -> Checks {
        let mut checks = Checks { questions: Vec::new(), gets: Vec::new() };
        for _ in 0..BATCHES * BATCH {
            let property = rng.random_range(0..PROPERTIES);
            let people = &self.people[property as usize];
            let person = &people[rng.random_range(0..people.len())];
            let held = person.holdings[rng.random_range(0..person.holdings.len())].slot;
            // Four in five at a door of a Key that the person holds.
            let slot = if rng.random_bool(0.8) { u32::from(held) } else { rng.random_range(0..KEYS) };
            let doors: Vec<u32> = (0..DOORS).filter(|door| has(slot, *door)).collect();
            let door = door_id(property, doors[rng.random_range(0..doors.len())]);
            let shown = match mix(rng) {
                0..60 => Shown::new(ShownKind::Mobile, &person.mobile.to_le_bytes()),
                60..80 => Shown::new(ShownKind::Code, &digits(person.id)),
                80..95 => Shown::new(ShownKind::Card, person.cards[0].bytes()),
                other => match other % 2 {
                    0 => Shown::new(ShownKind::Code, b"0000000"),
                    _ => Shown::new(ShownKind::Mobile, &rng.random::<u64>().to_le_bytes()),
                },
            };
            checks.questions.push(Question { door, shown });
            checks.gets.push((person.id, KeyId(property * KEYS + slot + 1)));
        }
        checks
    }

    fn ask_index(&self, checks: &Checks, batch: usize) -> u64 {
        let publication = self.published.load();
        let portfolio = publication.portfolio(PORTFOLIO).expect("it was published");
        let mut out = [Verdict::DENIED; BATCH];
        let questions = &checks.questions[batch * BATCH..][..BATCH];
        let tag = |door, digits: &Digits| self.tagger.tag(door, digits).0;
        check_batch(portfolio, Scope::Portfolio, NOW, questions, tag, &mut out);
        out.iter().filter(|v| matches!(v.outcome, Outcome::Decided(Decision::Granted { .. }))).count() as u64
    }

    fn ask_map(&self, checks: &Checks, batch: usize) -> u64 {
        let mut out = [None; BATCH];
        for (out, get) in out.iter_mut().zip(&checks.gets[batch * BATCH..][..BATCH]) {
            *out = self.map.get(get).copied();
        }
        out.iter().flatten().count() as u64
    }
}

fn door_id(property: u32, door: u32) -> DoorId {
    DoorId(property * DOORS + door + 1)
}

/// Whether a Key has a door: residents' Keys have their unit, the entrances and three amenities; the other ten
/// have the entrances and what is shared, two of them every unit too.
fn has(slot: u32, door: u32) -> bool {
    let (entrance, shared) = ((UNITS..UNITS + ENTRANCES).contains(&door), door >= UNITS + ENTRANCES);
    match slot {
        0..UNITS => door == slot || entrance || shared && (door + slot).is_multiple_of(5),
        200 | 201 => true,
        _ => entrance || shared && (door + slot).is_multiple_of(2),
    }
}

fn source(property: u32, rng: &mut ChaCha8Rng) -> PropertySource {
    let daily = |from: i64, to: i64| {
        let opening = |day| (Moment::from_micros(day * DAY + from * 3_600 * SECOND), to_moment(day, to));
        (0..14).map(opening).collect()
    };
    let door = |door| DoorSource {
        id: door_id(property, door),
        keys: (0..KEYS).filter(|slot| has(*slot, door)).map(|slot| entry(slot, door)).collect(),
        delivers: door == UNITS,
        lockdown: None,
    };
    PropertySource {
        property: PropertyId(property + 1),
        horizon: (Moment::from_micros(0), Moment::from_micros(14 * DAY)),
        keys: (0..KEYS).map(|slot| KeyId(property * KEYS + slot + 1)).collect(),
        deliveries: None,
        schedules: vec![daily(8, 18), daily(6, 22), daily(9, 12), daily(20, 23), daily(7, 19)],
        doors: (0..DOORS).map(door).collect(),
        people: (0..PEOPLE).map(|person| self::person(property, person, rng)).collect(),
    }
}

fn to_moment(day: i64, hour: i64) -> Moment {
    Moment::from_micros(day * DAY + hour * 3_600 * SECOND)
}

fn entry(slot: u32, door: u32) -> DoorKey {
    let opens = match (slot, door) {
        (0..UNITS, 0..204) => Opens::Always,
        _ => Opens::At(((slot + door) % 5) as u16),
    };
    DoorKey { slot: slot as u16, any: opens, code: opens, has_code: true }
}

fn person(property: u32, person: u32, rng: &mut impl Rng) -> PersonSource {
    let mut slots: Vec<u32> = Vec::new();
    if person < RESIDENTS {
        slots.push(person / 2);
        slots.push(202 + person % 8);
        slots.push(202 + (person + 3) % 8);
    } else {
        slots.extend([200, 201, 202, 203, 204].iter().take(2 + person as usize % 3));
    }
    let holding = |slot| {
        let (from, until) = match rng.random_range(0..10) {
            0 => (to_moment(-30, 0), to_moment(300, 0)),
            _ => (Moment::MIN, Moment::MAX),
        };
        Holding { slot: slot as u16, from, until, host: PersonId::NONE, doors: None }
    };
    let holdings = slots.into_iter().map(holding).collect();
    let id = PersonId(property * PEOPLE + person + 1);
    let card = Card::new(&[&id.0.to_le_bytes()[..], &[1, 2, 3]].concat()).expect("seven bytes are a card");
    PersonSource { id, suspended: false, mobile: rng.random(), cards: vec![card], holdings }
}

/// Everyone's code for every door that a Key of theirs has: the same digits everywhere.
fn codes(source: &PropertySource, tagger: &Tagger) -> Vec<CodeSource> {
    let mut codes = Vec::new();
    for person in &source.people {
        let digits = Digits::parse(&digits(person.id)).expect("seven digits are a code");
        for (number, door) in (0..).zip(&source.doors) {
            if person.holdings.iter().any(|holding| has(u32::from(holding.slot), number)) {
                let (tag, state) = (tagger.tag(door.id, &digits).0, CodeState::Live);
                codes.push(CodeSource { tag, door: door.id, person: person.id, state });
            }
        }
    }
    codes
}

fn digits(person: PersonId) -> Vec<u8> {
    (1_000_000 + person.0).to_string().into_bytes()
}
