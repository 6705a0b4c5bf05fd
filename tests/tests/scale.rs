//! One property far larger than usual, from its site file to its index: 10,000 doors, 50,000 people with door codes of
//! 9 digits, a person with 300 Keys and a door in 300 Keys. Slower is allowed there, wrong is not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

use std::{
    collections::BTreeSet,
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use keyward_protocol::{
    code::{Credential, Digits},
    decision::{Decision, Reason},
    id::*,
    time::Moment,
};
use keyward_server::{
    domain::{
        decide::{Refusal, decide_causes},
        directory::{Portfolio, Property},
        effects,
        event::Cause,
        hours::days_later,
        policy::{self, Shown},
        site::Site,
    },
    index::{
        archive::Loaded,
        compile::compile,
        flatten::{flatten, known_person},
        lookup::{self, Outcome, Question, Scope, Verdict, check_batch},
        publish::PortfolioPublication,
        source::{CodeSource, CodeState},
    },
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

const DOORS: usize = 10_000;
const PEOPLE: usize = 50_000;
const FLOORS: usize = 300;
/// The porter has every floor's Key; everybody else has one.
const PORTER: &str = "porter@tower.example";

/// A tower: everybody comes in at the lobby and takes the lift, which is in the Key of each floor and open to each
/// floor at hours of its own; the units of a floor are in its Key, without codes.
fn tower() -> String {
    let mut site = String::from(
        "keyward = 1\n[portfolio]\nname = \"Tower\"\nmanagers = [\"porter@tower.example\"]\n\
         [[person]]\nname = \"Porter\"\nemail = \"porter@tower.example\"\ncards = [\"ff01\"]\n",
    );
    for n in 1..PEOPLE {
        write!(site, "[[person]]\nname = \"P {n}\"\nemail = \"p{n}@tower.example\"\n").unwrap();
        if n % 4 == 0 {
            writeln!(site, "cards = [\"{n:08x}\"]").unwrap();
        }
        if n % 50 == 0 {
            site.push_str("suspended = true\n");
        }
    }
    site.push_str("[[property]]\nname = \"Tower\"\ntime_zone = \"Australia/Lord_Howe\"\ncode_digits = 9\n");
    for (name, kind) in [("Lobby", "entrance"), ("Lift", "service")] {
        write!(site, "[[property.door]]\nname = \"{name}\"\nkind = \"{kind}\"\n").unwrap();
    }
    for n in 0..DOORS - 2 {
        write!(site, "[[property.door]]\nname = \"{}\"\nkind = \"unit\"\n", unit(n)).unwrap();
    }
    for shift in 0..24 {
        let (from, to) = (shift, (shift + 3) % 24);
        write!(site, "[[property.schedule]]\nname = \"s{shift}\"\nwindows = [\"daily {from:02}:00-{to:02}:00\"]\n")
            .unwrap();
    }
    site.push_str("[[property.key]]\nname = \"House\"\ndoors = [{ door = \"Lobby\", schedule = \"always\" }]\n");
    for floor in 0..FLOORS {
        let units = (0..DOORS - 2).filter(|n| n % FLOORS == floor);
        let units: Vec<String> =
            units.map(|n| format!("{{ door = \"{}\", schedule = \"always\", code = false }}", unit(n))).collect();
        let lift = format!("{{ door = \"Lift\", schedule = \"s{}\" }}", floor * 7 % 24);
        write!(site, "[[property.key]]\nname = \"Floor {floor}\"\ndoors = [{lift}, {}]\n", units.join(", ")).unwrap();
    }
    let mut give = |key: &str, person: &str| {
        write!(site, "[[property.giving]]\nkey = \"{key}\"\nperson = \"{person}\"\n").unwrap();
    };
    give("House", PORTER);
    (0..FLOORS).for_each(|floor| give(&format!("Floor {floor}"), PORTER));
    for n in 1..PEOPLE {
        give("House", &format!("p{n}@tower.example"));
        give(&format!("Floor {}", n % FLOORS), &format!("p{n}@tower.example"));
    }
    site
}

fn unit(n: usize) -> String {
    format!("Unit {n}")
}

/// The site made at `now` as the engine makes it, limits and all.
fn made(causes: Vec<Cause>, now: Moment) -> Result<Portfolio, Refusal> {
    let decided = decide_causes(&Portfolio::new(PortfolioId(1), String::new()), causes, now, None)?;
    let commitments = vec![[0; 32]; decided.effects().codes_made.len()];
    Ok(effects::finish(decided.stepped, &commitments, now))
}

fn digits(code: CodeId) -> Digits {
    Digits::parse(format!("{:09}", 100_000_000 + code.0 * 7_919 % 899_999_981).as_bytes()).unwrap()
}

/// Spread evenly, as the vault's are: the table of codes is laid out for that.
fn tag(door: DoorId, digits: &Digits) -> [u8; 16] {
    let half = |half: u8| {
        let mut hasher = DefaultHasher::new();
        (half, door, digits.expose()).hash(&mut hasher);
        hasher.finish().to_le_bytes()
    };
    let mut tag = [0; 16];
    tag[..8].copy_from_slice(&half(0));
    tag[8..].copy_from_slice(&half(1));
    tag
}

fn publish(portfolio: &Portfolio, property: &Property, now: Moment) -> PortfolioPublication {
    let mut publication = PortfolioPublication::default();
    publication.revision = portfolio.revision;
    let source = flatten(portfolio, property, (days_later(now, -2), days_later(now, 5))).unwrap();
    publication.put_property(Arc::new(Loaded::new(&compile(&source, (1, 2)).unwrap()).unwrap()));
    let live = property.codes.values().map(|code| CodeSource {
        tag: tag(code.door, &digits(code.id)),
        door: code.door,
        person: code.person,
        state: CodeState::Live,
    });
    let live: Vec<CodeSource> = live.collect();
    publication.set_codes(property.id(), Some(&live));
    portfolio.people.values().for_each(|person| publication.put_person(known_person(person)));
    publication
}

struct Tower {
    portfolio: Portfolio,
    publication: PortfolioPublication,
    now: Moment,
}

impl Tower {
    fn property(&self) -> &Property {
        &self.portfolio.properties[&PropertyId(1)]
    }

    fn door(&self, name: &str) -> DoorId {
        self.property().door_by_name(name).unwrap().id
    }

    /// What is shown, as the lock sends it and as the judge takes it.
    fn credential(&self, random: &mut StdRng, person: PersonId, door: DoorId) -> (Credential, Shown) {
        let found = &self.portfolio.people[&person];
        let code = self.property().code_of.get(&(person, door));
        match (random.random_range(0..3), code, found.cards.first()) {
            (0, Some(code), _) => (Credential::Code(digits(*code)), Shown::LiveCode(person)),
            (1, _, Some(card)) => (Credential::Card(*card), Shown::Person(person)),
            _ => (Credential::Mobile(found.mobile), Shown::Person(person)),
        }
    }

    /// The answer that judge and index agree on.
    fn ask(&self, door: DoorId, (credential, shown): &(Credential, Shown), at: Moment) -> Decision {
        let expected = policy::judge(&self.portfolio, self.property(), door, *shown, at);
        let question = Question { door, shown: lookup::Shown::from(credential) };
        let mut out = [Verdict::DENIED];
        check_batch(&self.publication, Scope::Portfolio, at, &[question], tag, &mut out);
        assert_eq!(out[0].outcome, Outcome::Decided(expected.decision), "{credential:?} at {door} at {at}");
        expected.decision
    }
}

// K2, C2, U1, U2
#[test]
fn a_tower_is_judged_right() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let now = Moment::parse("2026-11-23T10:00:00+11:00").unwrap();
    let site = Site::parse("tower.toml", &tower()).unwrap_or_else(|errors| panic!("{:?}", errors.first()));
    let mut mobile = 0;
    let causes = site.causes(now, || {
        mobile += 1;
        mobile * 1_000_003
    });
    let portfolio = made(causes, now).unwrap();
    let publication = publish(&portfolio, &portfolio.properties[&PropertyId(1)], now);
    let tower = Tower { portfolio, publication, now };
    let (property, lift) = (tower.property(), tower.door("Lift"));
    assert_eq!((property.doors.len(), tower.portfolio.people.len()), (DOORS, PEOPLE));
    assert_eq!(property.live_codes[&tower.door("Lobby")], PEOPLE as u32);
    everybody(&tower, &mut random);
    the_porter(&tower, lift);
}

/// People of every floor at the lobby, the lift, their own floor's units and others'.
fn everybody(tower: &Tower, random: &mut StdRng) {
    let (mut granted, mut refused) = (0, BTreeSet::new());
    for _ in 0..5_000 {
        let n = random.random_range(1..PEOPLE);
        let person = tower.portfolio.person_by_email(&format!("p{n}@tower.example")).unwrap().id;
        let own = DoorId(3 + ((n % FLOORS) + FLOORS * random.random_range(0..33)) as u32);
        let door =
            [DoorId(1), DoorId(2), own, DoorId(random.random_range(3..=DOORS as u32))][random.random_range(0..4)];
        // At the full hours, where shifts begin and end, and just beside them.
        let hour = tower.now.plus_seconds(random.random_range(-24..72) * 3_600);
        let at = hour.plus_micros([0, -1, 1, 1_800_000_000][random.random_range(0..4)]);
        match tower.ask(door, &tower.credential(random, person, door), at) {
            Decision::Granted { .. } => granted += 1,
            Decision::Denied { reason } => _ = refused.insert(reason),
        }
    }
    assert!(granted > 1_000, "{granted}");
    assert_eq!(refused, [Reason::PersonSuspended, Reason::OutsideSchedule, Reason::NoKey].into());
}

/// Who has 300 Keys comes in by the first of them that is open, by any credential, and the lift knows all 300.
fn the_porter(tower: &Tower, lift: DoorId) {
    let property = tower.property();
    let porter = tower.portfolio.person_by_email(PORTER).unwrap();
    assert_eq!(property.givings_of(porter.id).count(), FLOORS + 1);
    assert_eq!(property.keys.values().filter(|key| key.doors.iter().any(|entry| entry.door == lift)).count(), FLOORS);
    let code = Credential::Code(digits(property.code_of[&(porter.id, lift)]));
    let shown = [
        (Credential::Mobile(porter.mobile), Shown::Person(porter.id)),
        (Credential::Card(porter.cards[0]), Shown::Person(porter.id)),
        (code, Shown::LiveCode(porter.id)),
    ];
    let mut keys = BTreeSet::new();
    for hour in 0..24 {
        for credential in &shown {
            match tower.ask(lift, credential, tower.now.plus_seconds(hour * 3_600)) {
                Decision::Granted { key } => _ = keys.insert(key),
                Decision::Denied { reason } => panic!("{reason} at hour {hour}"),
            }
        }
    }
    assert!(keys.len() >= 8, "the first open Key changes through the day: {keys:?}");
    for floor in 0..FLOORS {
        let key = property.key_by_name(&format!("Floor {floor}")).unwrap().id;
        let door = tower.door(&unit(floor));
        assert_eq!(tower.ask(door, &shown[floor % 2], tower.now), Decision::Granted { key });
    }
}

// C2
#[test]
fn codes_too_short_for_so_many_people_are_refused_with_the_length_that_will_do() {
    let people: String =
        (1..2_002).map(|n| format!("[[person]]\nname = \"P {n}\"\nemail = \"p{n}@tower.example\"\n")).collect();
    let givings: String = (1..2_002)
        .map(|n| format!("[[property.giving]]\nkey = \"House\"\nperson = \"p{n}@tower.example\"\n"))
        .collect();
    let site = |digits: u8| {
        let text = format!(
            "keyward = 1\n[portfolio]\nname = \"Tower\"\nmanagers = [\"p1@tower.example\"]\n{people}\
             [[property]]\nname = \"Tower\"\ntime_zone = \"UTC\"\ncode_digits = {digits}\n\
             [[property.door]]\nname = \"Lobby\"\nkind = \"entrance\"\n\
             [[property.key]]\nname = \"House\"\ndoors = [{{ door = \"Lobby\", schedule = \"always\" }}]\n{givings}"
        );
        let mut mobile = 0;
        let causes = Site::parse("tower.toml", &text).unwrap().causes(Moment::from_micros(0), || {
            mobile += 1;
            mobile
        });
        made(causes, Moment::from_micros(0))
    };
    let refusal = site(7).map(|_| ()).unwrap_err();
    assert!(
        matches!(&refusal, Refusal::TooManyCodes { door, wanted: 2_001, most: 2_000, digits: 8 } if door == "Lobby"),
        "{refusal}"
    );
    assert!(site(8).is_ok());
}
