//! The rules, step by step, on a small property: what each step does to codes, shares and access.

use std::collections::BTreeSet;

use keyward_protocol::{
    decision::{Decision, Reason},
    id::*,
    schedule::{Hours, OnHolidays, Window},
    time::{Date, Moment},
};

use super::{
    command::*,
    decide::{self, Decided, Refusal},
    directory::*,
    effects::{self, Effects},
    event::Cause,
    hours::{open_at, openings},
    policy::{self, Shown},
};

/// A portfolio under test, with a clock that the test moves.
struct World {
    portfolio: Portfolio,
    now: Moment,
    seed: u64,
    doors_of: effects::KeyDoorsMemo,
}

fn at(text: &str) -> Moment {
    Moment::parse(text).unwrap()
}

impl World {
    /// One property in New York with doors 1 to 4 (entrances) and a `business` schedule, one person of each name.
    fn new() -> World {
        let mut world = World {
            portfolio: Portfolio::new(PortfolioId(1), "Harbor".into()),
            now: at("2026-11-23T10:00:00-05:00"),
            seed: 1,
            doors_of: effects::KeyDoorsMemo::default(),
        };
        world.run(Command::MakeProperty(PropertySpec {
            name: "1800 Main St".into(),
            zone: "America/New_York".into(),
            codes: CodePolicy::default(),
            on_log_failure: OnLogFailure::Deny,
        }));
        for n in 1..=4 {
            world.door(&format!("Door {n}"), DoorKind::Entrance, false, &[]);
        }
        let hours =
            Hours { windows: vec![Window::parse("daily 08:00-18:00").unwrap()], on_holidays: OnHolidays::AsUsual };
        world.run(Command::MakeSchedule(PropertyId(1), "business".into(), hours));
        world
    }

    fn try_run(&mut self, command: Command) -> Result<Effects, Refusal> {
        let due = decide::due(&self.portfolio, self.now);
        if !due.is_empty() {
            let decided = decide::decide_causes(&self.portfolio, due, self.now, None)?;
            self.accept(decided);
        }
        self.seed += 1;
        let seeds = [self.seed, 0, 0, 0];
        let before = self.portfolio.clone();
        let preview = decide::decide(&self.portfolio, &command, self.now, seeds, None)?;
        assert_eq!(before, self.portfolio, "a preview changes nothing");
        let digest = preview.effects().digest();
        let decided = decide::decide(&self.portfolio, &command, self.now, seeds, Some(digest))?;
        assert_eq!(preview.effects(), decided.effects(), "the step reports what its preview listed");
        Ok(self.accept(decided))
    }

    fn accept(&mut self, decided: Decided) -> Effects {
        let effects = decided.stepped.effects.clone();
        let commitments = vec![[7; 32]; effects.codes_made.len()];
        let before = self.portfolio.clone();
        // Steps one after the other, as a replay does them, come to the same as this one alone.
        let replayed = effects::step_with(&mut self.doors_of, &before, &decided.causes, self.now);
        assert_eq!(replayed.effects, effects);
        self.portfolio = effects::finish(decided.stepped, &commitments, self.now);
        let seen = |portfolio: &Portfolio| -> BTreeSet<effects::At> {
            let mut seen = BTreeSet::new();
            for property in portfolio.properties.values() {
                for person in portfolio.people.keys().copied() {
                    let doors = effects::doors_in_sight(portfolio, property, person);
                    seen.extend(doors.into_iter().map(|door| effects::At { property: property.id(), person, door }));
                }
            }
            seen
        };
        let lost: Vec<effects::At> = seen(&before).difference(&seen(&self.portfolio)).copied().collect();
        assert_eq!(effects.sight_lost, lost, "L2: who loses sight of which door");
        effects
    }

    fn run(&mut self, command: Command) -> Effects {
        self.try_run(command).unwrap()
    }

    /// Lets the clock reach a moment and does what is due.
    fn wait_until(&mut self, moment: &str) -> Effects {
        self.now = at(moment);
        let due = decide::due(&self.portfolio, self.now);
        let decided = decide::decide_causes(&self.portfolio, due, self.now, None).unwrap();
        self.accept(decided)
    }

    fn property(&self) -> &Property {
        &self.portfolio.properties[&PropertyId(1)]
    }

    fn door(&mut self, name: &str, kind: DoorKind, occupied: bool, labels: &[&str]) -> DoorId {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.run(Command::MakeDoor(PropertyId(1), DoorSpec { name: name.into(), kind, occupied, labels }));
        self.property().door_by_name(name).unwrap().id
    }

    fn person(&mut self, name: &str) -> PersonId {
        let email = format!("{name}@mail.example");
        self.run(Command::MakePerson(PersonSpec {
            name: name.into(),
            email: email.clone(),
            phone: None,
            note: None,
            cards: vec![],
        }));
        self.portfolio.person_by_email(&email).unwrap().id
    }

    fn key(&mut self, name: &str, doors: &[u32]) -> KeyId {
        self.key_with(name, doors, ScheduleRef::Always, true)
    }

    fn key_with(&mut self, name: &str, doors: &[u32], schedule: ScheduleRef, code: bool) -> KeyId {
        let opening = Opening { schedule, code };
        let doors = doors.iter().map(|door| KeyDoor { door: DoorId(*door), opening }).collect();
        self.run(Command::MakeKey(
            PropertyId(1),
            KeySpec { name: name.into(), may_share: false, doors, rules: vec![] },
        ));
        self.property().key_by_name(name).unwrap().id
    }

    fn rule_key(&mut self, name: &str, kind: Option<DoorKind>, occupied: Option<bool>) -> KeyId {
        let opening = Opening { schedule: ScheduleRef::Always, code: true };
        let rules = vec![DoorRule { kind, occupied, labels: vec![], except: vec![], opening }];
        self.run(Command::MakeKey(
            PropertyId(1),
            KeySpec { name: name.into(), may_share: false, doors: vec![], rules },
        ));
        self.property().key_by_name(name).unwrap().id
    }

    fn give(&mut self, key: KeyId, person: PersonId) -> Effects {
        self.give_with(key, person, false, None, None)
    }

    fn give_with(
        &mut self,
        key: KeyId,
        person: PersonId,
        share: bool,
        from: Option<&str>,
        until: Option<&str>,
    ) -> Effects {
        let period = Period { from: from.map(at), until: until.map(at) };
        self.run(Command::Give { key, person, may_share: Some(share), period })
    }

    fn revoke(&mut self, key: KeyId, person: PersonId) -> Effects {
        self.run(Command::Revoke { key, person })
    }

    fn share(
        &mut self,
        key: KeyId,
        host: PersonId,
        guest: PersonId,
        doors: Option<&[u32]>,
        until: Option<&str>,
    ) -> Result<Effects, Refusal> {
        let doors = doors.map(|doors| doors.iter().copied().map(DoorId).collect());
        self.try_run(Command::Share { key, host, guest, doors, period: Period { from: None, until: until.map(at) } })
    }

    /// The codes that a person has, by door.
    fn codes(&self, person: PersonId) -> Vec<(u32, u64)> {
        let range = (person, DoorId::NONE)..=(person, DoorId(u32::MAX));
        self.property().code_of.range(range).map(|((_, door), code)| (door.0, code.0)).collect()
    }

    fn doors_with_codes(&self, person: PersonId) -> Vec<u32> {
        self.codes(person).into_iter().map(|(door, _)| door).collect()
    }

    fn check(&self, person: PersonId, door: u32) -> Result<KeyId, Reason> {
        self.check_as(Shown::Person(person), door, self.now)
    }

    fn check_as(&self, shown: Shown, door: u32, moment: Moment) -> Result<KeyId, Reason> {
        match policy::judge(&self.portfolio, self.property(), DoorId(door), shown, moment).decision {
            Decision::Granted { key } => Ok(key),
            Decision::Denied { reason } => Err(reason),
        }
    }
}

// K1
#[test]
fn a_key_needs_doors_or_rules_and_keeps_its_last_listed_door() {
    let mut w = World::new();
    let empty = KeySpec { name: "Empty".into(), may_share: false, doors: vec![], rules: vec![] };
    assert!(matches!(w.try_run(Command::MakeKey(PropertyId(1), empty)), Err(Refusal::Invalid(_))));
    w.key("One", &[1]);
    assert!(matches!(w.try_run(Command::RemoveDoor(DoorId(1))), Err(Refusal::Invalid(_))));
    w.run(Command::RemoveDoor(DoorId(2)));
    let rules = w.rule_key("Amenities", Some(DoorKind::Amenity), None);
    assert!(w.property().key_doors(&w.property().keys[&rules]).is_empty(), "a Key with rules may match no door");
}

// K2
#[test]
fn access_is_the_union_of_the_keys_held() {
    let mut w = World::new();
    let tracy = w.person("tracy");
    let closed = w.key_with("Never", &[1], ScheduleRef::Named(ScheduleId(1)), true);
    let open = w.key("Open", &[1, 2]);
    w.give(closed, tracy);
    w.now = at("2026-11-23T20:00:00-05:00");
    assert_eq!(w.check(tracy, 1), Err(Reason::OutsideSchedule));
    w.give(open, tracy);
    assert_eq!(w.check(tracy, 1), Ok(open), "a closed Key never hides an open one");
    assert_eq!(w.check(tracy, 3), Err(Reason::NoKey));
}

// K3, S2
#[test]
fn an_edit_acts_for_everyone_who_holds_the_key() {
    let mut w = World::new();
    let (ann, bob) = (w.person("ann"), w.person("bob"));
    let key = w.key_with("Staff", &[1], ScheduleRef::Named(ScheduleId(1)), true);
    w.give(key, ann);
    w.give(key, bob);
    assert_eq!(w.check(ann, 1), Ok(key));
    let evening =
        Hours { windows: vec![Window::parse("daily 18:00-22:00").unwrap()], on_holidays: OnHolidays::AsUsual };
    let revision = w.portfolio.revision;
    w.run(Command::EditSchedule(PropertyId(1), ScheduleId(1), "business".into(), evening));
    assert_eq!(w.portfolio.revision, revision + 1);
    assert_eq!([w.check(ann, 1), w.check(bob, 1)], [Err(Reason::OutsideSchedule); 2]);
}

// K4, V4
#[test]
fn key_names_are_unique_and_deliveries_is_the_systems() {
    let mut w = World::new();
    w.key("Straße", &[1]);
    let named = |name: &str, doors: &[u32]| {
        let opening = Opening { schedule: ScheduleRef::Always, code: true };
        let doors = doors.iter().map(|door| KeyDoor { door: DoorId(*door), opening }).collect();
        Command::MakeKey(PropertyId(1), KeySpec { name: name.into(), may_share: false, doors, rules: vec![] })
    };
    assert!(matches!(w.try_run(named(" STRASSE ", &[1])), Err(Refusal::Taken(_))));
    assert!(matches!(w.try_run(named("deliveries", &[1])), Err(Refusal::Taken(_))));
    assert!(matches!(w.try_run(named("Twice", &[1, 1])), Err(Refusal::Invalid(_))), "a door stands once in a Key");
}

// K5, K6
#[test]
fn giving_again_changes_the_giving_and_keeps_its_place() {
    let mut w = World::new();
    let (tracy, sam) = (w.person("tracy"), w.person("sam"));
    let (first, second) = (w.key("First", &[1]), w.key("Second", &[1]));
    w.give(first, tracy);
    w.give(second, tracy);
    w.give_with(first, sam, true, None, None);
    let codes = w.codes(tracy);
    w.give_with(first, tracy, true, None, Some("2027-01-01T00:00:00-05:00"));
    assert_eq!(w.property().givings_of(tracy).count(), 2);
    assert_eq!(w.check(tracy, 1), Ok(first), "the earliest made decides");
    assert_eq!(w.codes(tracy), codes);
    assert!(w.property().giving_of(first, tracy).unwrap().may_share);
    assert!(!w.property().giving_of(second, tracy).unwrap().may_share);
}

// K7, C3, C7
#[test]
fn the_clock_ends_a_giving_and_it_is_remembered() {
    let mut w = World::new();
    let tracy = w.person("tracy");
    let key = w.key("Guestroom", &[1]);
    let until = "2026-11-24T10:00:00-05:00";
    w.give_with(key, tracy, false, Some("2026-11-23T12:00:00-05:00"), Some(until));
    assert_eq!(w.check(tracy, 1), Err(Reason::NotYetValid));
    assert_eq!(w.doors_with_codes(tracy), [1], "a future giving covers");
    let end = at(until);
    assert_eq!(w.check_as(Shown::Person(tracy), 1, end.plus_micros(-1)), Ok(key));
    assert_eq!(w.check_as(Shown::Person(tracy), 1, end), Err(Reason::Expired), "the clock ends it, not the books");
    let effects = w.wait_until(until);
    assert_eq!(effects.codes_deleted.len(), 1);
    assert_eq!(w.check(tracy, 1), Err(Reason::Expired));
    let old = w.property().giving_of(key, tracy).unwrap().id;
    w.give(key, tracy);
    assert_ne!(w.property().giving_of(key, tracy).unwrap().id, old, "given again it is a new giving");
    assert_eq!(w.check(tracy, 1), Ok(key));
    w.revoke(key, tracy);
    assert_eq!(w.check(tracy, 1), Err(Reason::NoKey));
}

// K8
#[test]
fn deleting_a_key_revokes_it_from_everyone_in_one_step() {
    let mut w = World::new();
    let people: Vec<PersonId> = ["ann", "bob", "cid"].iter().map(|name| w.person(name)).collect();
    let key = w.key("Doomed", &[1, 2]);
    people.iter().for_each(|person| {
        w.give(key, *person);
    });
    let revision = w.portfolio.revision;
    let effects = w.run(Command::DeleteKey(key));
    assert_eq!(w.portfolio.revision, revision + 1);
    assert_eq!((effects.doors_lost.len(), effects.codes_deleted.len()), (6, 6));
    assert!(people.iter().all(|person| w.check(*person, 1) == Err(Reason::NoKey)));
}

// K9
#[test]
fn a_step_pinned_to_a_preview_is_refused_when_its_list_differs_and_only_then() {
    let mut w = World::new();
    let (tracy, other) = (w.person("tracy"), w.person("other"));
    let (a, b) = (w.key("A", &[1, 2]), w.key("B", &[1]));
    w.give(a, tracy);
    let command = Command::Revoke { key: a, person: tracy };
    let preview = decide::decide(&w.portfolio, &command, w.now, [0; 4], None).unwrap().effects().clone();
    assert_eq!(preview.doors_lost.len(), 2);
    w.give(b, other);
    let pinned = Some(preview.digest());
    assert!(
        decide::decide(&w.portfolio, &command, w.now, [0; 4], pinned).is_ok(),
        "someone else's step changed no list"
    );
    w.give(b, tracy);
    let moved_on = decide::decide(&w.portfolio, &command, w.now, [0; 4], pinned);
    assert!(matches!(moved_on, Err(Refusal::MovedOn)));
}

// K9
#[test]
fn managers_who_lose_sight_of_a_doors_log_are_listed() {
    let mut w = World::new();
    let kim = w.person("kim");
    let (a, b) = (w.key("A", &[1, 2]), w.key("B", &[2]));
    w.run(Command::SetLevel(PropertyId(1), kim, Some(Level::Specific(vec![a, b]))));
    let effects = w.run(Command::SetLevel(PropertyId(1), kim, Some(Level::Specific(vec![b]))));
    assert_eq!(effects.sight_lost.iter().map(|at| at.door.0).collect::<Vec<_>>(), [1]);
    let effects = w.run(Command::DeleteKey(b));
    assert_eq!(effects.sight_lost.iter().map(|at| at.door.0).collect::<Vec<_>>(), [2]);
}

// K9, K10, L2: what a door is, which Keys there are and which doors they list all decide what a log shows; what is
// only added takes nothing away.
#[test]
fn a_manager_loses_sight_of_the_doors_that_no_key_opens_any_more() {
    let mut w = World::new();
    let kim = w.person("kim");
    w.run(Command::SetLevel(PropertyId(1), kim, Some(Level::Full)));
    let lost = |effects: Effects| effects.sight_lost.iter().map(|at| at.door.0).collect::<Vec<_>>();
    let a = w.key("A", &[1, 2]);
    w.rule_key("Tour", Some(DoorKind::Unit), Some(false));
    let home = DoorSpec { name: "101".into(), kind: DoorKind::Unit, occupied: false, labels: vec![] };
    assert!(lost(w.run(Command::MakeDoor(PropertyId(1), home.clone()))).is_empty());
    let door = w.property().door_by_name("101").unwrap().id;
    let taken = DoorSpec { occupied: true, ..home };
    assert_eq!(lost(w.run(Command::EditDoor(door, taken))), [door.0]);
    let opening = Opening { schedule: ScheduleRef::Always, code: true };
    let doors = vec![KeyDoor { door: DoorId(2), opening }];
    let spec = KeySpec { name: "A".into(), may_share: false, doors, rules: vec![] };
    assert_eq!(lost(w.run(Command::EditKey(a, spec))), [1]);
    w.key("B", &[2, 3]);
    assert!(lost(w.run(Command::DeleteKey(a))).is_empty());
}

// K9, M2
#[test]
fn a_deleted_portfolio_manager_who_holds_nothing_is_listed_with_the_logs_they_saw() {
    let mut w = World::new();
    let (kim, ana) = (w.person("kim"), w.person("ana"));
    w.key("A", &[1, 2]);
    w.run(Command::SetPortfolioManager(ana, true));
    w.run(Command::SetPortfolioManager(kim, true));
    let effects = w.run(Command::DeletePerson(kim));
    assert_eq!(effects.sight_lost.iter().map(|at| (at.person, at.door.0)).collect::<Vec<_>>(), [(kim, 1), (kim, 2)]);
}

// K10, C7
#[test]
fn doors_by_rule_follow_the_doors() {
    let mut w = World::new();
    let tracy = w.person("tracy");
    let unit = w.door("Unit 205C", DoorKind::Unit, false, &[]);
    let tour = w.rule_key("Tour", Some(DoorKind::Unit), Some(false));
    w.give(tour, tracy);
    assert_eq!(w.check(tracy, unit.0), Ok(tour));
    assert_eq!(w.doors_with_codes(tracy), [unit.0]);
    let let_out = DoorSpec { name: "Unit 205C".into(), kind: DoorKind::Unit, occupied: true, labels: vec![] };
    let effects = w.run(Command::EditDoor(unit, let_out));
    assert_eq!((effects.doors_lost.len(), effects.codes_deleted.len()), (1, 1));
    assert_eq!(w.check(tracy, unit.0), Err(Reason::NoKey));
}

// K11, C3
#[test]
fn a_suspended_person_opens_nothing_nor_do_their_guests_and_all_is_kept() {
    let mut w = World::new();
    let (tracy, sam) = (w.person("tracy"), w.person("sam"));
    let key = w.key("Home", &[1]);
    w.give_with(key, tracy, true, None, None);
    w.share(key, tracy, sam, None, None).unwrap();
    let codes = (w.codes(tracy), w.codes(sam));
    w.run(Command::Suspend(tracy, true));
    assert_eq!(w.check(tracy, 1), Err(Reason::PersonSuspended));
    assert_eq!(w.check(sam, 1), Err(Reason::NoKey), "a share whose host is suspended counts as absent");
    assert_eq!((w.codes(tracy), w.codes(sam)), codes);
    w.run(Command::Suspend(tracy, false));
    assert_eq!([w.check(tracy, 1), w.check(sam, 1)], [Ok(key); 2]);
}

// C1
#[test]
fn one_code_for_each_door_covered_and_none_where_the_key_says_so() {
    let mut w = World::new();
    let tracy = w.person("tracy");
    let (a, b) = (w.key("A", &[1, 2]), w.key("B", &[2, 3]));
    let without = w.key_with("Lobby by phone", &[4], ScheduleRef::Always, false);
    assert_eq!(w.give(a, tracy).codes_made.len(), 2);
    assert_eq!(w.give(b, tracy).codes_made.len(), 1);
    assert_eq!(w.give(without, tracy).codes_made.len(), 0);
    assert_eq!(w.doors_with_codes(tracy), [1, 2, 3]);
    let with = w.key("Lobby by code", &[4]);
    w.give(with, tracy);
    w.revoke(with, tracy);
    assert_eq!(w.doors_with_codes(tracy), [1, 2, 3], "a `no code` entry keeps no code either");
    assert_eq!(w.check_as(Shown::LiveCode(tracy), 4, w.now), Err(Reason::NoKey), "nor is it opened by one");
    assert_eq!(w.check(tracy, 4), Ok(without));
}

// C2
#[test]
fn past_the_limit_of_live_codes_the_whole_step_is_refused() {
    let mut w = World::new();
    let codes = CodePolicy { digits: 4, limit: Some(2), quarantine_days: 90 };
    let spec = PropertySpec {
        name: "1800 Main St".into(),
        zone: "America/New_York".into(),
        codes,
        on_log_failure: OnLogFailure::Deny,
    };
    w.run(Command::EditProperty(PropertyId(1), spec));
    let key = w.key("All", &[1, 2]);
    let people: Vec<PersonId> = ["ann", "bob", "cid"].iter().map(|name| w.person(name)).collect();
    w.give(key, people[0]);
    w.give(key, people[1]);
    let before = w.portfolio.clone();
    let refused = w.try_run(Command::Give { key, person: people[2], may_share: None, period: Period::default() });
    assert_eq!(refused, Err(Refusal::TooManyCodes { door: "Door 1".into(), wanted: 3, most: 2, digits: 6 }));
    assert_eq!(w.portfolio, before);
    assert_eq!(CodePolicy::default().live_max(), 2_000);
    let short = CodePolicy { digits: 5, limit: None, quarantine_days: 90 };
    assert!(decide::check_code_policy(&short).is_err(), "4 and 5 digits need an explicit limit");
}

// C3, C4
#[test]
fn tracy_keeps_her_codes_when_the_new_key_comes_first() {
    let mut w = World::new();
    let tracy = w.person("tracy");
    let (a, b) = (w.key("Key A", &[1, 2]), w.key("Key B", &[1, 2]));
    w.give(a, tracy);
    let codes = w.codes(tracy);
    w.give(b, tracy);
    assert!(w.revoke(a, tracy).codes_deleted.is_empty());
    assert_eq!(w.codes(tracy), codes);
    // The other way round the old codes are gone for good and the new ones differ.
    assert_eq!(w.revoke(b, tracy).codes_deleted.len(), 2);
    w.give(a, tracy);
    assert!(w.codes(tracy).iter().all(|code| !codes.contains(code)));
}

// C5
#[test]
fn move_is_the_safe_order_in_one_step() {
    let mut w = World::new();
    let tracy = w.person("tracy");
    let (a, b) = (w.key("Key A", &[1, 2, 3]), w.key("Key B", &[2, 3, 4]));
    w.give(a, tracy);
    let before = w.codes(tracy);
    let revision = w.portfolio.revision;
    let effects = w.run(Command::Move { person: tracy, from: a, to: b, may_share: None, period: Period::default() });
    assert_eq!(w.portfolio.revision, revision + 1);
    assert_eq!(effects.codes_deleted.iter().map(|code| code.door.0).collect::<Vec<_>>(), [1]);
    assert_eq!(effects.codes_made.iter().map(|code| code.door.0).collect::<Vec<_>>(), [4]);
    assert_eq!(w.codes(tracy)[..2], before[1..]);
}

// C6
#[test]
fn a_deleted_code_is_known_until_its_quarantine_ends_and_opens_nothing() {
    let mut w = World::new();
    let tracy = w.person("tracy");
    let key = w.key("A", &[1]);
    w.give(key, tracy);
    let (_, code) = w.codes(tracy)[0];
    w.revoke(key, tracy);
    w.give(key, tracy);
    let deleted = Shown::DeletedCode(tracy, CodeId(code));
    assert_eq!(w.check_as(deleted, 1, w.now), Err(Reason::DeletedCode));
    let over = w.property().deleted_codes[&CodeId(code)].quarantined_until;
    assert_eq!(over, w.now.plus_seconds(90 * 86_400));
    assert_eq!(w.check_as(deleted, 1, over), Err(Reason::UnknownCredential));
    w.now = over;
    assert!(matches!(decide::due(&w.portfolio, over)[..], [Cause::QuarantineEnded { .. }]));
    w.run(Command::Suspend(tracy, true));
    assert!(w.property().deleted_codes.is_empty());
}

// C7
#[test]
fn every_way_that_coverage_ends_deletes_the_code() {
    let doors_of = |w: &World, person| w.doors_with_codes(person);
    let mut w = World::new();
    let tracy = w.person("tracy");
    let a = w.key("A", &[1, 2]);
    w.give(a, tracy);
    let opening = Opening { schedule: ScheduleRef::Named(ScheduleId(1)), code: true };
    let only_two = KeySpec {
        name: "A".into(),
        may_share: false,
        doors: vec![KeyDoor { door: DoorId(2), opening }],
        rules: vec![],
    };
    w.run(Command::EditKey(a, only_two));
    assert_eq!(doors_of(&w, tracy), [2], "a door out of the Key; other hours keep the code");
    w.run(Command::DeletePerson(tracy));
    assert!(w.property().codes.is_empty() && w.property().givings.is_empty());
}

fn hours(windows: &[&str], on_holidays: OnHolidays) -> Hours {
    Hours { windows: windows.iter().map(|window| Window::parse(window).unwrap()).collect(), on_holidays }
}

fn zone(name: &str) -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::get(name).unwrap()
}

// S1
#[test]
fn windows_open_at_their_first_moment_and_close_at_their_last() {
    let hours = hours(&["Mon-Fri 08:00-18:00", "Fri 22:00-02:00", "Sun 23:00-24:00"], OnHolidays::AsUsual);
    let open = |text: &str| open_at(&hours, &[], &zone("America/New_York"), at(text));
    assert!(open("2026-11-23T08:00:00-05:00") && open("2026-11-23T17:59:59.999999-05:00"));
    assert!(!open("2026-11-23T18:00:00-05:00") && !open("2026-11-23T07:59:59.999-05:00"));
    assert!(open("2026-11-28T01:59:59-05:00") && !open("2026-11-28T02:00:00-05:00"), "over midnight into Saturday");
    assert!(open("2026-11-22T23:59:59-05:00") && !open("2026-11-23T00:00:00-05:00"));
    assert!(!open_at(&Hours::default(), &[], &zone("UTC"), at("2026-11-23T08:00:00Z")), "no windows is never");
}

// S3
#[test]
fn a_holiday_replaces_what_starts_on_its_dates() {
    let day = |day| Date { year: 2026, month: 11, day };
    let holidays = [Holiday { name: "Thanksgiving".into(), from: day(26), to: day(27) }];
    let open = |hours: &Hours, text: &str| open_at(hours, &holidays, &zone("America/New_York"), at(text));
    let night = &["daily 22:00-02:00"];
    let closed = hours(night, OnHolidays::Closed);
    assert!(open(&closed, "2026-11-26T01:00:00-05:00"), "begun the evening before, it finishes");
    assert!(!open(&closed, "2026-11-26T23:00:00-05:00") && !open(&closed, "2026-11-28T01:00:00-05:00"));
    assert!(open(&hours(night, OnHolidays::AsUsual), "2026-11-26T23:00:00-05:00"));
    let own = hours(night, OnHolidays::Own(vec![keyward_protocol::schedule::Span::parse("10:00-12:00").unwrap()]));
    assert!(open(&own, "2026-11-27T11:00:00-05:00") && !open(&own, "2026-11-27T23:00:00-05:00"));
}

// S4
#[test]
fn openings_are_what_the_wall_clock_says_through_every_change_of_the_clock() {
    let cases = [
        ("America/New_York", "2026-03-08T00:00:00-05:00", 3),
        ("America/New_York", "2026-11-01T00:00:00-04:00", 3),
        ("Australia/Lord_Howe", "2026-04-04T00:00:00Z", 3),
        ("Australia/Lord_Howe", "2026-10-03T00:00:00Z", 3),
        ("Asia/Kathmandu", "2026-11-20T00:00:00Z", 3),
        ("America/St_Johns", "2026-03-07T00:00:00Z", 3),
        ("Africa/Casablanca", "2026-02-14T00:00:00Z", 3),
    ];
    let hours = hours(&["daily 01:30-02:15", "Sat,Sun 22:00-01:45", "Mon 00:00-24:00"], OnHolidays::AsUsual);
    for (name, from, days) in cases {
        let (zone, from) = (zone(name), at(from));
        let to = from.plus_seconds(days * 86_400);
        let open = openings(&hours, &[], &zone, from, to);
        assert!(open.windows(2).all(|pair| pair[0].1 < pair[1].0));
        let mut moment = from;
        while moment < to {
            for moment in [moment, moment.plus_micros(-1).max(from)] {
                let inside = open.iter().any(|(from, to)| *from <= moment && moment < *to);
                assert_eq!(inside, open_at(&hours, &[], &zone, moment), "{name} {moment}");
            }
            moment = moment.plus_seconds(60);
        }
    }
}

// G1, G2, G4, G5
#[test]
fn guests_come_in_by_the_share_and_no_longer_than_their_host() {
    let mut w = World::new();
    let (tracy, sam) = (w.person("tracy"), w.person("sam"));
    let key = w.key("Home", &[1, 2]);
    w.give(key, tracy);
    assert!(matches!(w.share(key, tracy, sam, None, None), Err(Refusal::Invalid(_))), "may_share is off");
    w.give_with(key, tracy, true, None, Some("2026-12-01T00:00:00-05:00"));
    w.share(key, tracy, sam, Some(&[1]), Some("2027-01-01T00:00:00-05:00")).unwrap();
    assert_eq!((w.check(sam, 1), w.check(sam, 2)), (Ok(key), Err(Reason::NoKey)));
    let host = policy::judge(&w.portfolio, w.property(), DoorId(1), Shown::Person(sam), w.now).host;
    assert_eq!(host, Some(tracy));
    let cut = at("2026-12-01T00:00:00-05:00");
    assert_eq!(w.check_as(Shown::Person(sam), 1, cut), Err(Reason::Expired), "cut by the host's own period");
    w.share(key, tracy, sam, None, None).unwrap();
    assert_eq!(w.property().shares.len(), 1, "sharing again changes the share");
    assert_eq!(w.doors_with_codes(sam), [1, 2]);
    let effects = w.give_with(key, tracy, false, None, None);
    assert_eq!((effects.shares_ended.len(), effects.codes_deleted.len()), (1, 2), "it ends with the right to share");
    assert_eq!(w.check(sam, 1), Err(Reason::NoKey), "ended by an act it is gone");
}

// G4, K7
#[test]
fn a_share_whose_host_ran_out_is_remembered_until_the_key_is_given_anew() {
    let mut w = World::new();
    let (tracy, sam) = (w.person("tracy"), w.person("sam"));
    let key = w.key("Home", &[1]);
    w.give_with(key, tracy, true, None, Some("2026-12-01T00:00:00-05:00"));
    w.share(key, tracy, sam, None, None).unwrap();
    let effects = w.wait_until("2026-12-01T00:00:00-05:00");
    assert_eq!((effects.codes_deleted.len(), effects.shares_ended.len()), (2, 1));
    assert_eq!(w.check(sam, 1), Err(Reason::Expired));
    w.give_with(key, tracy, true, None, None);
    assert_eq!(w.check(sam, 1), Err(Reason::NoKey), "no old shares");
}

// G3
#[test]
fn a_guest_cannot_share_on() {
    let mut w = World::new();
    let (tracy, sam, lee) = (w.person("tracy"), w.person("sam"), w.person("lee"));
    let key = w.key("Home", &[1]);
    w.give_with(key, tracy, true, None, None);
    w.share(key, tracy, sam, None, None).unwrap();
    assert!(matches!(w.share(key, sam, lee, None, None), Err(Refusal::NotFound(_))));
}

// G4
#[test]
fn a_door_out_of_the_key_leaves_its_shares_too() {
    let mut w = World::new();
    let (tracy, sam, lee) = (w.person("tracy"), w.person("sam"), w.person("lee"));
    let key = w.key("Home", &[1, 2]);
    w.give_with(key, tracy, true, None, None);
    w.share(key, tracy, sam, Some(&[1]), None).unwrap();
    w.share(key, tracy, lee, None, None).unwrap();
    let opening = Opening { schedule: ScheduleRef::Always, code: true };
    let two = KeySpec {
        name: "Home".into(),
        may_share: false,
        doors: vec![KeyDoor { door: DoorId(2), opening }],
        rules: vec![],
    };
    w.run(Command::EditKey(key, two));
    assert_eq!(w.check(sam, 1), Err(Reason::NoKey));
    assert!(w.property().shares_to(sam).next().is_none(), "a share of no doors has ended");
    assert_eq!((w.check(lee, 1), w.check(lee, 2)), (Err(Reason::NoKey), Ok(key)));
}

// V1, V2, V3
#[test]
fn the_deliveries_key_is_the_systems_and_follows_its_label() {
    let mut w = World::new();
    let dock = w.door("Dock", DoorKind::Service, false, &["deliveries"]);
    let tracy = w.person("tracy");
    assert_eq!(w.check_as(Shown::Carrier, dock.0, w.now), Err(Reason::NoKey));
    w.run(Command::SetDeliveries(PropertyId(1), true));
    let key = w.property().deliveries.unwrap();
    assert_eq!(w.check_as(Shown::Carrier, dock.0, w.now), Ok(key));
    assert_eq!(w.check_as(Shown::Carrier, 1, w.now), Err(Reason::NoKey));
    let spec = KeySpec { name: "Mine".into(), may_share: true, doors: vec![], rules: vec![] };
    let acts = [
        Command::EditKey(key, spec),
        Command::DeleteKey(key),
        Command::Give { key, person: tracy, may_share: None, period: Period::default() },
        Command::Revoke { key, person: tracy },
        Command::Share { key, host: tracy, guest: tracy, doors: None, period: Period::default() },
        Command::LockDown { property: PropertyId(1), doors: None, except_keys: vec![key] },
    ];
    for act in acts {
        assert_eq!(w.try_run(act), Err(Refusal::Deliveries));
    }
    w.run(Command::EditDoor(
        dock,
        DoorSpec { name: "Dock".into(), kind: DoorKind::Service, occupied: false, labels: vec![] },
    ));
    assert_eq!(w.check_as(Shown::Carrier, dock.0, w.now), Err(Reason::NoKey), "it follows as labels change");
    w.run(Command::SetDeliveries(PropertyId(1), false));
    assert_eq!(w.property().deliveries, None);
}

// U1
#[test]
fn reasons_come_in_their_order() {
    let mut w = World::new();
    let tracy = w.person("tracy");
    let past = w.key("Past", &[1]);
    w.give_with(past, tracy, false, None, Some("2026-11-23T11:00:00-05:00"));
    w.wait_until("2026-11-23T12:00:00-05:00");
    assert_eq!(w.check(tracy, 1), Err(Reason::Expired));
    let future = w.key("Future", &[1]);
    w.give_with(future, tracy, false, Some("2027-01-01T00:00:00-05:00"), None);
    assert_eq!(w.check(tracy, 1), Err(Reason::NotYetValid));
    let shut = w.key_with("Shut", &[1], ScheduleRef::Named(ScheduleId(1)), true);
    w.give(shut, tracy);
    w.now = at("2026-11-23T20:00:00-05:00");
    assert_eq!(w.check(tracy, 1), Err(Reason::OutsideSchedule));
    assert_eq!(w.check_as(Shown::Unknown, 1, w.now), Err(Reason::UnknownCredential));
    assert_eq!(w.check_as(Shown::UnlookedCode, 1, w.now), Err(Reason::TooManyWrongCodes));
    w.run(Command::Suspend(tracy, true));
    assert_eq!([w.check(tracy, 1), w.check(tracy, 3)], [Err(Reason::PersonSuspended); 2]);
    w.run(Command::LockDown { property: PropertyId(1), doors: None, except_keys: vec![] });
    assert_eq!([w.check(tracy, 1), w.check_as(Shown::Unknown, 1, w.now)], [Err(Reason::Lockdown); 2]);
    assert_eq!(w.check_as(Shown::UnlookedCode, 1, w.now), Err(Reason::TooManyWrongCodes));
    assert_eq!(w.check(tracy, 99), Err(Reason::UnknownDoor));
}

// U2
#[test]
fn the_earliest_own_giving_decides_and_shares_come_after() {
    let mut w = World::new();
    let (tracy, sam) = (w.person("tracy"), w.person("sam"));
    let (shared, first, second) = (w.key("Shared", &[1]), w.key("First", &[1]), w.key("Second", &[1]));
    w.give_with(shared, tracy, true, None, None);
    w.share(shared, tracy, sam, None, None).unwrap();
    assert_eq!(w.check(sam, 1), Ok(shared));
    w.give(first, sam);
    w.give(second, sam);
    assert_eq!(w.check(sam, 1), Ok(first));
    w.revoke(first, sam);
    assert_eq!(w.check(sam, 1), Ok(second));
}

// U8
#[test]
fn in_a_lockdown_only_keys_named_in_each_go_on_by_their_own_schedules() {
    let mut w = World::new();
    let (guard, tracy) = (w.person("guard"), w.person("tracy"));
    let staff = w.key_with("Staff", &[1, 2], ScheduleRef::Named(ScheduleId(1)), true);
    let home = w.key("Home", &[1, 2]);
    w.give(staff, guard);
    w.give(home, guard);
    w.give(home, tracy);
    w.run(Command::LockDown { property: PropertyId(1), doors: None, except_keys: vec![staff] });
    assert_eq!((w.check(guard, 1), w.check(tracy, 1)), (Ok(staff), Err(Reason::Lockdown)));
    w.now = at("2026-11-23T20:00:00-05:00");
    assert_eq!(w.check(guard, 1), Err(Reason::OutsideSchedule), "the excepted Key's own reason");
    w.run(Command::Suspend(guard, true));
    assert_eq!(w.check(guard, 1), Err(Reason::PersonSuspended));
    w.run(Command::Suspend(guard, false));
    w.run(Command::LockDown { property: PropertyId(1), doors: Some(vec![DoorId(2)]), except_keys: vec![home] });
    assert_eq!(w.check(guard, 2), Err(Reason::Lockdown), "named in each");
    let lockdowns: Vec<LockdownId> = w.property().lockdowns.keys().copied().collect();
    for lockdown in lockdowns {
        w.run(Command::LiftLockdown(PropertyId(1), lockdown));
    }
    assert_eq!(w.check(tracy, 2), Ok(home));
}

// S5, U4
#[test]
fn the_next_change_is_the_first_moment_at_which_the_answer_flips() {
    let mut w = World::new();
    let tracy = w.person("tracy");
    let key = w.key_with("Staff", &[1], ScheduleRef::Named(ScheduleId(1)), true);
    w.give_with(key, tracy, false, None, Some("2026-11-24T12:00:00-05:00"));
    let flip = |moment| policy::next_flip(&w.portfolio, w.property(), DoorId(1), Shown::Person(tracy), moment);
    assert_eq!(flip(w.now), Some(at("2026-11-23T18:00:00-05:00")));
    assert_eq!(flip(at("2026-11-23T18:00:00-05:00")), Some(at("2026-11-24T08:00:00-05:00")));
    assert_eq!(flip(at("2026-11-24T09:00:00-05:00")), Some(at("2026-11-24T12:00:00-05:00")));
    assert_eq!(flip(at("2026-11-24T12:00:00-05:00")), None);
}
