//! The judge, slow and obvious, against the compiled index, and against `keyward-server evaluate --explain` on the site
//! file that the portfolio is written down as: random portfolios, random checks, every kind of credential (a site file
//! has no codes), at the edges of windows and periods and inside changes of the clock.
//!
//! `KEYWARD_DIFFERENTIAL_CHECKS` asks for a longer run, `KEYWARD_SEED` repeats one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

use std::{collections::BTreeMap, env, sync::Arc};

use keyward_protocol::{
    code::{Card, Credential, Digits},
    decision::{Decision, Reason},
    id::*,
    schedule::{Days, Hours, OnHolidays, Span, Window},
    time::{Date, Moment},
};
use keyward_server::{
    domain::{
        directory::*,
        effects,
        event::Cause,
        explain,
        hours::{days_later, openings},
        policy::{self, Judgement, Shown},
        site,
    },
    evaluate,
    index::{
        archive::Loaded,
        compile::compile,
        flatten::{flatten, known_person},
        lookup::{self, Outcome, Question, Scope, Verdict, check_batch},
        publish::PortfolioPublication,
        source::{CodeSource, CodeState},
    },
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Checks that all three judge; those by code, which two judge, come on top.
const CHECKS: u64 = 100_000;
const CHECKS_PER_WORLD: u64 = 400;
const ZONES: [&str; 6] = [
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Africa/Casablanca",
    "Pacific/Auckland",
];

fn granted_by(judgement: &Judgement) -> Option<(KeyId, Option<PersonId>)> {
    match judgement.decision {
        Decision::Granted { key } => Some((key, judgement.host)),
        Decision::Denied { .. } => None,
    }
}

/// A random portfolio with what its people show.
struct World {
    portfolio: Portfolio,
    /// The digits of every code ever made, by code.
    codes: BTreeMap<CodeId, (DoorId, Digits)>,
    /// Some givings are in the books as ended: before now, a site file says otherwise.
    clock_ended: bool,
    now: Moment,
    random: StdRng,
}

/// A check that the judge and the index agree on, kept for `evaluate`.
struct Asked {
    /// As a line of a file of checks.
    line: String,
    property: PropertyId,
    door: DoorId,
    shown: Shown,
    moment: Moment,
    expected: Judgement,
    context: String,
}

// K2, K7, K10, K11, C1, C6, S1, S3, S4, G1, G4, G5, U1, U2, U5, U6, U8, V3
#[test]
fn the_index_answers_as_the_judge() {
    let number =
        |name: &str, otherwise: u64| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let seed = number("KEYWARD_SEED", rand::rng().next_u64());
    let checks = number("KEYWARD_DIFFERENTIAL_CHECKS", CHECKS);
    println!("KEYWARD_SEED={seed} KEYWARD_DIFFERENTIAL_CHECKS={checks}");
    let (mut done, mut evaluated, mut granted) = (0, 0, 0);
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for number in 0.. {
        let mut world = World::new(seed.wrapping_add(number));
        let publication = world.publish();
        let mut asked = Vec::new();
        for _ in 0..CHECKS_PER_WORLD {
            let (answer, check) = world.compare(&publication, seed, number);
            asked.extend(check);
            done += 1;
            match answer {
                Decision::Granted { .. } => granted += 1,
                Decision::Denied { reason } => *reasons.entry(reason.to_string()).or_default() += 1,
            }
        }
        world.compare_evaluate(&asked);
        evaluated += asked.len() as u64;
        if evaluated >= checks {
            break;
        }
    }
    println!("{done} checks agree, {evaluated} of them by all three: {granted} granted, denied: {reasons:?}");
    assert!(granted > done / 20, "the worlds are too closed to show much");
    assert!(reasons.len() >= 9, "not every reason came up: {reasons:?}");
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = StdRng::seed_from_u64(seed);
        let year = random.random_range(2024..2030);
        let start = Moment::parse(&format!("{year}-01-01T00:00:00Z")).unwrap();
        // One in two worlds is near a change of the clock in spring or autumn of either hemisphere.
        let day = match random.random_range(0..6) {
            0 => random.random_range(66..72),
            1 => random.random_range(304..311),
            2 => random.random_range(90..98),
            _ => random.random_range(0..365),
        };
        let now = days_later(start, day).plus_seconds(random.random_range(0..86_400));
        let portfolio = Portfolio::new(PortfolioId(1), String::new());
        let mut world = World { portfolio, codes: BTreeMap::new(), clock_ended: false, now, random };
        let causes = world.causes();
        world.step(&causes);
        world.change_something();
        world
    }

    /// Does a step with codes of known digits, as the engine does with the vault's.
    fn step(&mut self, causes: &[Cause]) {
        let stepped = effects::step(&self.portfolio, causes, self.now.plus_seconds(-60));
        for made in &stepped.effects.codes_made {
            let digits = format!("{:07}", 1_000_000 + made.code.0);
            self.codes.insert(made.code, (made.door, Digits::parse(digits.as_bytes()).unwrap()));
        }
        let commitments = vec![[0; 32]; stepped.effects.codes_made.len()];
        self.portfolio = effects::finish(stepped, &commitments, self.now.plus_seconds(-60));
    }

    fn causes(&mut self) -> Vec<Cause> {
        let mut causes = vec![Cause::PortfolioMade { name: "Harbor".into() }];
        let people: u32 = self.random.random_range(3..14);
        for id in 1..=people {
            let cards = (0..self.random.random_range(0..3)).map(|n| Card::new(&[id as u8, n, 7, 7]).unwrap()).collect();
            causes.push(Cause::PersonPut(Person {
                id: PersonId(id),
                name: format!("Person {id}"),
                email: format!("p{id}@example.example"),
                phone: None,
                note: None,
                suspended: self.random.random_range(0..8) == 0,
                cards,
                mobile: u64::from(id) * 1_000_003,
            }));
        }
        causes.push(Cause::PortfolioManagerSet { person: PersonId(1), on: true });
        let mut door = 1;
        let mut giving = 1;
        let mut share = 1;
        for property in 1..=self.random.random_range(1..3_u32) {
            self.property(PropertyId(property), people, (&mut door, &mut giving, &mut share), &mut causes);
        }
        causes
    }

    fn property(
        &mut self,
        property: PropertyId,
        people: u32,
        next: (&mut u32, &mut u32, &mut u32),
        causes: &mut Vec<Cause>,
    ) {
        let (next_door, next_giving, next_share) = next;
        let zone = (*ZONES.choose(&mut self.random).unwrap()).to_owned();
        causes.push(Cause::PropertyPut(PropertyFacts {
            id: property,
            name: property.to_string(),
            zone,
            codes: CodePolicy::default(),
            on_log_failure: OnLogFailure::Deny,
        }));
        let today = TimeZoneDate::of(self.now);
        let holidays = (0..self.random.random_range(0..3)).map(|_| {
            let from = today.plus(self.random.random_range(-3..4));
            Holiday { name: "Holiday".into(), from: from.date(), to: from.plus(self.random.random_range(0..2)).date() }
        });
        let holidays = holidays.collect();
        causes.push(Cause::HolidaysSet { property, holidays });
        let schedules: Vec<ScheduleId> = (1..=4).map(|n| ScheduleId(property.0 * 10 + n)).collect();
        for id in &schedules {
            let hours = self.hours();
            causes.push(Cause::SchedulePut { property, schedule: Schedule { id: *id, name: id.to_string(), hours } });
        }
        let doors: Vec<DoorId> = (0..self.random.random_range(2..12)).map(|n| DoorId(*next_door + n)).collect();
        *next_door += doors.len() as u32;
        let mut built: Vec<Door> = Vec::new();
        for id in &doors {
            let kind = *DoorKind::ALL.choose(&mut self.random).unwrap();
            let occupied = kind == DoorKind::Unit && self.random.random();
            let labels = if self.random.random_range(0..3) == 0 { vec![DELIVERIES_LABEL.to_owned()] } else { vec![] };
            built.push(Door { id: *id, name: id.to_string(), kind, occupied, labels });
        }
        causes.extend(built.iter().map(|door| Cause::DoorPut { property, door: door.clone() }));
        let keys: Vec<KeyId> = (0..self.random.random_range(1..16)).map(|n| KeyId(property.0 * 1_000 + n)).collect();
        let mut doors_of: BTreeMap<KeyId, Vec<DoorId>> = BTreeMap::new();
        for id in &keys {
            let key = self.key(*id, &doors, &schedules);
            let has = |door: &&Door| {
                key.doors.iter().any(|entry| entry.door == door.id)
                    || key.rules.iter().any(|rule| door.is_named_by(rule))
            };
            doors_of.insert(*id, built.iter().filter(has).map(|door| door.id).collect());
            causes.push(Cause::KeyPut { property, key });
        }
        if self.random.random() {
            causes.push(Cause::DeliveriesSet { property, key: Some(KeyId(property.0 * 1_000 + 999)) });
        }
        for person in 1..=people {
            // Some hold nothing, some nearly everything: the index keeps few in place and many elsewhere.
            let share_of_keys = *[0, 10, 30, 90].choose(&mut self.random).unwrap();
            for key in keys.iter().copied() {
                if self.random.random_range(0..100) < share_of_keys {
                    let (from, until) = self.period();
                    let giving = Giving {
                        id: GivingId(*next_giving),
                        key,
                        person: PersonId(person),
                        may_share: self.random.random(),
                        from,
                        until,
                        ended: false,
                    };
                    *next_giving += 1;
                    causes.push(Cause::Given { property, giving });
                    if giving.may_share && self.random.random_range(0..3) == 0 {
                        self.share(property, &giving, people, &doors_of[&key], next_share, causes);
                    }
                }
            }
        }
        for id in 1..=self.random.random_range(0..3_u32) {
            if self.random.random_range(0..4) == 0 {
                let some = self.random.random::<bool>().then(|| self.some(&doors)).filter(|some| !some.is_empty());
                let lockdown =
                    Lockdown { id: LockdownId(property.0 * 10 + id), doors: some, except_keys: self.some(&keys) };
                causes.push(Cause::LockedDown { property, lockdown });
            }
        }
    }

    fn share(
        &mut self,
        property: PropertyId,
        giving: &Giving,
        people: u32,
        doors: &[DoorId],
        next: &mut u32,
        causes: &mut Vec<Cause>,
    ) {
        let guest = PersonId(self.random.random_range(1..=people));
        if guest == giving.person {
            return;
        }
        let (from, until) = self.period();
        let doors = self.random.random::<bool>().then(|| self.some(doors)).filter(|doors| !doors.is_empty());
        let share = Share { id: ShareId(*next), giving: giving.id, guest, doors, from, until, ended: false };
        *next += 1;
        causes.push(Cause::Shared { property, share });
    }

    fn some<T: Copy + Ord>(&mut self, of: &[T]) -> Vec<T> {
        of.iter().copied().filter(|_| self.random.random()).collect()
    }

    fn hours(&mut self) -> Hours {
        let span = |random: &mut StdRng| {
            loop {
                // Small hours, quarter hours and midnight are where clocks and days change.
                let minute = |random: &mut StdRng| match random.random_range(0..3) {
                    0 => random.random_range(0..14) * 15,
                    1 => *[0, 1_440, 120, 180].choose(random).unwrap(),
                    _ => random.random_range(0..1_440),
                };
                if let Some(span) = Span::new(minute(random), minute(random)) {
                    return span;
                }
            }
        };
        let windows = (0..self.random.random_range(0..4))
            .map(|_| Window {
                days: Days::from_bits(self.random.random_range(1..128)).unwrap(),
                span: span(&mut self.random),
            })
            .collect();
        let on_holidays = match self.random.random_range(0..3) {
            0 => OnHolidays::AsUsual,
            1 => OnHolidays::Closed,
            _ => OnHolidays::Own((0..2).map(|_| span(&mut self.random)).collect()),
        };
        Hours { windows, on_holidays }
    }

    fn key(&mut self, id: KeyId, doors: &[DoorId], schedules: &[ScheduleId]) -> Key {
        let opening = |random: &mut StdRng| {
            let schedule = match random.random_range(0..3) {
                0 => ScheduleRef::Always,
                _ => ScheduleRef::Named(*schedules.choose(random).unwrap()),
            };
            Opening { schedule, code: random.random_range(0..5) != 0 }
        };
        let mut listed = self.some(doors);
        let mut rules = Vec::new();
        let count = self.random.random_range(0..3);
        if listed.is_empty() && count == 0 {
            listed.push(*doors.choose(&mut self.random).unwrap());
        }
        for _ in 0..count {
            let kind = self.random.random::<bool>().then(|| *DoorKind::ALL.choose(&mut self.random).unwrap());
            let occupied = (kind == Some(DoorKind::Unit) && self.random.random::<bool>()).then(|| self.random.random());
            let except = if self.random.random_range(0..4) == 0 { self.some(doors) } else { vec![] };
            let labels = if self.random.random_range(0..4) == 0 { vec![DELIVERIES_LABEL.to_owned()] } else { vec![] };
            rules.push(DoorRule { kind, occupied, labels, except, opening: opening(&mut self.random) });
        }
        let doors = listed.into_iter().map(|door| KeyDoor { door, opening: opening(&mut self.random) }).collect();
        Key { id, name: id.to_string(), may_share: false, doors, rules }
    }

    fn period(&mut self) -> (Option<Moment>, Option<Moment>) {
        let mut bound = |odds: u32| {
            (self.random.random_range(0..10) < odds)
                .then(|| self.now.plus_seconds(self.random.random_range(-2 * 86_400..2 * 86_400)))
        };
        match (bound(3), bound(3)) {
            (Some(from), Some(until)) if until <= from => (Some(until), Some(from.plus_micros(1))),
            bounds => bounds,
        }
    }

    /// Revokes some and lets the clock's ends into the books of others, so that deleted codes and ended givings exist.
    fn change_something(&mut self) {
        let mut causes = Vec::new();
        let clock = self.random.random_range(0..3) == 0;
        for property in self.portfolio.properties.values() {
            for giving in property.givings.values() {
                if self.random.random_range(0..6) == 0 {
                    causes.push(Cause::Revoked { property: property.id(), giving: giving.id });
                } else if clock && giving.until.is_some_and(|until| until <= self.now) && self.random.random() {
                    self.clock_ended = true;
                    let (givings, shares) = (vec![giving.id], vec![]);
                    causes.push(Cause::Expired { property: property.id(), givings, shares });
                }
            }
        }
        self.step(&causes);
    }

    fn publish(&self) -> PortfolioPublication {
        let mut publication = PortfolioPublication::default();
        publication.revision = self.portfolio.revision;
        let horizon = (days_later(self.now, -6), days_later(self.now, 6));
        for property in self.portfolio.properties.values() {
            let source = flatten(&self.portfolio, property, horizon).unwrap();
            let loaded = Loaded::new(&compile(&source, (1, 2)).unwrap()).unwrap();
            publication.put_property(Arc::new(loaded));
            let live = property.codes.values().map(|code| (code.id, code.person, CodeState::Live));
            let deleted = property.deleted_codes.values();
            let deleted =
                deleted.map(|code| (code.id, code.person, CodeState::Quarantined { until: code.quarantined_until }));
            let codes: Vec<CodeSource> = live
                .chain(deleted)
                .map(|(code, person, state)| {
                    let (door, digits) = &self.codes[&code];
                    CodeSource { tag: tag(*door, digits), door: *door, person, state }
                })
                .collect();
            publication.set_codes(property.id(), Some(&codes));
        }
        for person in self.portfolio.people.values() {
            publication.put_person(known_person(person));
        }
        publication.set_carriers(Arc::new([(CARRIER, CarrierId(1))].into_iter().collect()));
        publication
    }

    /// Asks the judge and the index something; yields what `evaluate` can be asked too.
    fn compare(&mut self, publication: &PortfolioPublication, seed: u64, number: u64) -> (Decision, Option<Asked>) {
        let moment = self.moment();
        let door = match self.random.random_range(0..20) {
            0 => DoorId(self.random.random_range(1..99)),
            _ => **self.portfolio.property_of_door.keys().collect::<Vec<_>>().choose(&mut self.random).unwrap(),
        };
        let (credential, shown) = self.credential(door);
        let property = self.portfolio.property_with_door(door);
        let property = property.unwrap_or_else(|| self.portfolio.properties.values().next().unwrap());
        let expected = policy::judge(&self.portfolio, property, door, shown, moment);
        let question = Question { door, shown: lookup::Shown::from(&credential) };
        let mut out = [Verdict::DENIED];
        check_batch(publication, Scope::Portfolio, moment, &[question], tag, &mut out);
        let context = format!("KEYWARD_SEED={seed} world {number}: {credential:?} ({shown:?}) at {door} at {moment}");
        assert_eq!(out[0].outcome, Outcome::Decided(expected.decision), "{context}");
        assert_eq!(out[0].host.some(), expected.host, "{context}");
        let until = lookup::stands_until(publication, Scope::Portfolio, moment, &question, tag);
        if self.random.random_range(0..50) == 0
            && let Some(flip) = policy::next_flip(&self.portfolio, property, door, shown, moment)
        {
            // U4: never later than the answer really stands.
            assert!(until <= flip, "{context}: stands until {until}, flips at {flip}");
        }
        if let (Shown::Person(person) | Shown::LiveCode(person), true) = (shown, self.random.random_range(0..8) == 0) {
            let by_code = matches!(shown, Shown::LiveCode(_));
            self.check_explained(property, door, person, by_code, moment, &expected, &context);
        }
        let (decision, property) = (expected.decision, property.id());
        let line = self.line(property, door, &credential, shown, moment);
        let asked = line.map(|line| Asked { line, property, door, shown, moment, expected, context });
        (decision, asked)
    }

    /// U5, U6: what explains a check says what the check says, and what it tells of each Key bears it out.
    #[expect(clippy::too_many_arguments, reason = "a check has as many parts")]
    fn check_explained(
        &self,
        property: &Property,
        door: DoorId,
        person: PersonId,
        by_code: bool,
        moment: Moment,
        expected: &Judgement,
        context: &str,
    ) {
        let Some(door) = property.doors.get(&door) else { return };
        let explained = explain::explain(&self.portfolio, property, door, person, by_code, moment);
        assert_eq!((explained.decision, explained.host), (expected.decision, expected.host), "{context}");
        let suspended = self.portfolio.is_suspended(person);
        let opens = explained.held.iter().find(|held| held.refuses.is_none() && held.excepted && !suspended);
        assert_eq!(opens.map(|held| (held.key, held.host)), granted_by(expected), "{context}: {explained:?}");
        if opens.is_none() && !suspended && explained.lockdowns.is_empty() {
            let worst = explained.held.iter().filter(|held| !held.openings.is_empty());
            let worst = worst.filter_map(|held| held.refuses).filter(|why| *why != Reason::PersonSuspended).min();
            let reason = worst.unwrap_or(Reason::NoKey);
            assert_eq!(explained.decision, Decision::Denied { reason }, "{context}: {explained:?}");
        }
        let can = explain::opens(&self.portfolio, property, door, person, moment);
        match by_code {
            false => assert_eq!(can.map(|can| (can.key, can.host)), granted_by(expected), "{context}"),
            true => assert_eq!(can.is_some_and(|can| can.by_code), expected.is_granted(), "{context}"),
        }
        // Were another of the Keys that would open theirs, it would.
        if let Some(key) = explain::keys_that_open(property, door, false, moment).first() {
            let mut world = self.portfolio.clone();
            let id = GivingId(u32::MAX - 1);
            let giving = Giving { id, key: *key, person, may_share: false, from: None, until: None, ended: false };
            let had = property.givings_of(person).any(|giving| giving.key == *key);
            if !had && !suspended {
                let given = Cause::Given { property: property.id(), giving };
                let stepped = effects::step(&world, &[given], self.now);
                let commitments = vec![[0; 32]; stepped.effects.codes_made.len()];
                world = effects::finish(stepped, &commitments, self.now);
                let property = &world.properties[&property.id()];
                let judged = policy::judge(&world, property, door.id, Shown::Person(person), moment);
                assert!(judged.is_granted(), "{context}: {key} would open");
            }
        }
    }

    /// The check as a line for `evaluate`, where a site file can say what it is about.
    fn line(
        &mut self,
        property: PropertyId,
        door: DoorId,
        credential: &Credential,
        shown: Shown,
        moment: Moment,
    ) -> Option<String> {
        if self.clock_ended && moment < self.now {
            return None;
        }
        let (field, value) = match (credential, shown) {
            (Credential::Code(_), _) => return None,
            (Credential::Card(card), _) => ("card", card.to_string()),
            (Credential::Mobile(_), Shown::Person(person)) => ("person", self.portfolio.people[&person].email.clone()),
            (Credential::Mobile(_), Shown::Carrier) => ("carrier", "UPS".to_owned()),
            (Credential::Mobile(_), _) => ("person", "nobody@example.example".to_owned()),
        };
        let found = &self.portfolio.properties[&property];
        let at = if self.random.random() { moment.rfc3339(&found.zone) } else { moment.to_string() };
        let mut names = [found.facts.name.clone(), door.to_string(), value];
        for name in &mut names {
            if self.random.random_range(0..4) == 0 && field != "carrier" {
                *name = name.to_uppercase();
            }
        }
        let [property, door, value] = names;
        let mut check = serde_json::json!({ "property": property, "door": door, "at": at });
        check[field] = value.into();
        Some(check.to_string())
    }

    /// Writes the portfolio down and lets `evaluate` judge by that.
    fn compare_evaluate(&mut self, asked: &[Asked]) {
        let written = site::write(&self.portfolio);
        let checks: String = asked.iter().map(|asked| format!("{}\n", asked.line)).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit =
            evaluate::run(("site", &written), ("checks", &mut checks.as_bytes()), true, &mut out, &mut err).unwrap();
        let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
        assert_eq!((exit, err.as_str(), out.lines().count()), (evaluate::EXIT_DONE, "", asked.len()), "{written}");
        for (asked, line) in asked.iter().zip(out.lines()) {
            let answer: serde_json::Value = serde_json::from_str(line).unwrap();
            let next =
                answer.get("next_change").or(answer.get("next_opening")).expect("every answer says what is next");
            let next = next.as_str().map(|text| Moment::parse_exact(text).unwrap());
            assert_eq!(answer, self.answer(asked, next), "{}: {}", asked.context, asked.line);
            self.check_flip(asked, next);
        }
    }

    /// What `evaluate --explain` must answer, by the judge, if `next` is the moment at which that flips.
    fn answer(&self, asked: &Asked, next: Option<Moment>) -> serde_json::Value {
        let property = &self.portfolio.properties[&asked.property];
        let next = next.map(|next| next.rfc3339(&property.zone));
        let email = |host: Option<PersonId>| host.map(|host| self.portfolio.people[&host].email.clone());
        let because = asked.expected.because.iter().map(|yielded| {
            serde_json::json!({
                "key": property.key_name(yielded.key).unwrap(),
                "host": email(yielded.host),
                "yields": yielded.refuses.map_or("granted", Reason::as_str),
            })
        });
        let because: Vec<serde_json::Value> = because.collect();
        match asked.expected.decision {
            Decision::Granted { key } => serde_json::json!({
                "decision": "granted",
                "key": property.key_name(key).unwrap(),
                "host": email(asked.expected.host),
                "next_change": next,
                "because": because,
            }),
            Decision::Denied { reason } => serde_json::json!({
                "decision": "denied",
                "reason": reason.as_str(),
                "next_opening": next,
                "because": because,
            }),
        }
    }

    /// That the judge's answer flips at `next`, neither a microsecond earlier nor, as far as is looked, in between.
    fn check_flip(&mut self, asked: &Asked, next: Option<Moment>) {
        let property = &self.portfolio.properties[&asked.property];
        let flipped = |moment| {
            let judged = policy::judge(&self.portfolio, property, asked.door, asked.shown, moment);
            judged.is_granted() != asked.expected.is_granted()
        };
        let end = days_later(asked.moment, policy::HORIZON_DAYS);
        if let Some(next) = next {
            let stands = next > asked.moment && next <= end && !flipped(next.plus_micros(-1));
            assert!(stands && flipped(next), "{}: does not flip first at {next}", asked.context);
        }
        // Mostly near, where periods and holidays are.
        let last = next.map_or(end, |next| next.plus_micros(-1));
        for reach in [last, last.min(days_later(asked.moment, 8)), last.min(days_later(asked.moment, 1))] {
            let between = self.random.random_range(asked.moment.as_micros()..=reach.as_micros());
            let between = Moment::from_micros(between);
            assert!(!flipped(between), "{}: flips by {between}, not first at {next:?}", asked.context);
        }
    }

    /// A moment near now: any, or at an edge of some opening or period, or a microsecond or a second beside one.
    fn moment(&mut self) -> Moment {
        let any = self.now.plus_seconds(self.random.random_range(-4 * 86_400..4 * 86_400));
        let mut edges: Vec<Moment> = Vec::new();
        let properties: Vec<&Arc<Property>> = self.portfolio.properties.values().collect();
        let Some(property) = properties.choose(&mut self.random) else { return any };
        match self.random.random_range(0..3) {
            0 => return any,
            1 => {
                let periods = property.givings.values().flat_map(|giving| [giving.from, giving.until]);
                let shares = property.shares.values().flat_map(|share| [share.from, share.until]);
                edges.extend(periods.chain(shares).flatten());
            }
            _ => {
                let schedules: Vec<&Arc<Schedule>> = property.schedules.values().collect();
                if let Some(schedule) = schedules.choose(&mut self.random) {
                    let (from, to) = (days_later(self.now, -4), days_later(self.now, 4));
                    let open = openings(&schedule.hours, &property.holidays, &property.zone, from, to);
                    edges.extend(open.into_iter().flat_map(|(from, to)| [from, to]));
                }
            }
        }
        let beside = *[0, -1, 1, -1_000_000, 1_000_000].choose(&mut self.random).unwrap();
        edges.choose(&mut self.random).map_or(any, |edge| edge.plus_micros(beside))
    }

    fn credential(&mut self, door: DoorId) -> (Credential, Shown) {
        let people: Vec<&Arc<Person>> = self.portfolio.people.values().collect();
        let person = *people.choose(&mut self.random).unwrap();
        match self.random.random_range(0..10) {
            0..4 => (Credential::Mobile(person.mobile), Shown::Person(person.id)),
            4..6 => match person.cards.choose(&mut self.random) {
                Some(card) => (Credential::Card(*card), Shown::Person(person.id)),
                None => (Credential::Card(Card::new(&[255, 1]).unwrap()), Shown::Unknown),
            },
            6..8 => self.code(door),
            8 => (Credential::Mobile(CARRIER), Shown::Carrier),
            _ => (Credential::Mobile(5), Shown::Unknown),
        }
    }

    /// One of the codes of the door, or one of another door, which nobody has here.
    fn code(&mut self, door: DoorId) -> (Credential, Shown) {
        let property = self.portfolio.property_with_door(door);
        let here: Vec<(&CodeId, &(DoorId, Digits))> = self.codes.iter().filter(|(_, (at, _))| *at == door).collect();
        let Some((code, (_, digits))) = here.choose(&mut self.random).copied() else {
            return (Credential::Code(Digits::parse(b"9999999").unwrap()), Shown::Unknown);
        };
        let live = property.and_then(|property| property.codes.get(code));
        let deleted = property.and_then(|property| property.deleted_codes.get(code));
        let shown = match (live, deleted) {
            (Some(live), _) => Shown::LiveCode(live.person),
            (None, Some(deleted)) => Shown::DeletedCode(deleted.person, *code),
            (None, None) => Shown::Unknown,
        };
        (Credential::Code(digits.clone()), shown)
    }
}

const CARRIER: u64 = 77;

/// Any injective tag will do here.
fn tag(door: DoorId, digits: &Digits) -> [u8; 16] {
    let mut tag = [0; 16];
    tag[..digits.expose().len()].copy_from_slice(digits.expose());
    tag[12..].copy_from_slice(&door.0.to_le_bytes());
    tag
}

/// A date that can be moved by days.
struct TimeZoneDate(Moment);

impl TimeZoneDate {
    fn of(moment: Moment) -> TimeZoneDate {
        TimeZoneDate(moment)
    }

    fn plus(&self, days: i64) -> TimeZoneDate {
        TimeZoneDate(days_later(self.0, days))
    }

    fn date(&self) -> Date {
        let text = self.0.to_string();
        let mut parts = text[..10].split('-').map(|part| part.parse::<i16>().unwrap());
        let (year, month, day) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        Date { year, month: month as i8, day: day as i8 }
    }
}
