//! The toy model: what the rules say must follow from a command, in plain maps and by trying everything. It shares no
//! code with the server's domain: only the words in which commands are written.

use std::collections::{BTreeMap, BTreeSet};

use keyward_protocol::{
    entry::*,
    id::*,
    schedule::{Hours, OnHolidays, Span},
    time::{Date, Moment},
};

const MINUTE_MICROS: i64 = 60_000_000;
const DAY_MINUTES: i64 = 24 * 60;
/// Micros of 24 hours.
pub const DAY: i64 = DAY_MINUTES * MINUTE_MICROS;
/// Zones without daylight saving, with their offset in minutes: the toy's clock is a sum.
pub const ZONES: [(&str, i64); 3] = [("Etc/UTC", 0), ("Asia/Kathmandu", 345), ("America/Phoenix", -420)];

/// A portfolio as the toy has it.
#[derive(Clone, Debug, Default)]
pub struct Toy {
    pub people: BTreeMap<PersonId, ToyPerson>,
    pub managers: BTreeSet<PersonId>,
    pub properties: BTreeMap<PropertyId, ToyProperty>,
    pub locks: BTreeMap<LockId, String>,
    /// Every id is one more than the last of its kind, for good.
    pub next: Next,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Next {
    pub person: u32,
    pub property: u32,
    pub door: u32,
    pub schedule: u32,
    pub key: u32,
    pub giving: u32,
    pub share: u32,
    pub lockdown: u32,
    pub lock: u32,
}

#[derive(Clone, Debug)]
pub struct ToyPerson {
    pub spec: PersonSpec,
    pub suspended: bool,
}

#[derive(Clone, Debug)]
pub struct ToyProperty {
    pub spec: PropertySpec,
    pub holidays: Vec<Holiday>,
    pub deliveries: Option<KeyId>,
    pub doors: BTreeMap<DoorId, DoorSpec>,
    pub schedules: BTreeMap<ScheduleId, (String, Hours)>,
    pub keys: BTreeMap<KeyId, KeySpec>,
    pub held: BTreeMap<GivingId, Held>,
    pub guests: BTreeMap<ShareId, Guest>,
    pub lockdowns: BTreeMap<LockdownId, Closed>,
    pub levels: BTreeMap<PersonId, Level>,
    /// Live codes: which, and its digits.
    pub live: BTreeMap<(PersonId, DoorId), (CodeId, Vec<u8>)>,
    /// Deleted codes in quarantine.
    pub gone: BTreeMap<CodeId, Gone>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub key: KeyId,
    pub person: PersonId,
    pub may_share: bool,
    pub period: Period,
    pub ended: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Guest {
    pub giving: GivingId,
    pub guest: PersonId,
    pub doors: Option<BTreeSet<DoorId>>,
    pub period: Period,
    pub ended: bool,
}

#[derive(Clone, Debug)]
pub struct Closed {
    pub doors: Option<BTreeSet<DoorId>>,
    pub except: BTreeSet<KeyId>,
}

#[derive(Clone, Debug)]
pub struct Gone {
    pub door: DoorId,
    pub person: PersonId,
    pub digits: Vec<u8>,
    pub until: Moment,
}

/// A place in the lists of what follows.
pub type At = (PropertyId, PersonId, DoorId);

/// What must follow from a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Follows {
    pub doors_lost: BTreeSet<At>,
    pub doors_gained: BTreeSet<At>,
    pub codes_deleted: BTreeSet<At>,
    pub codes_made: BTreeSet<At>,
    pub shares_ended: BTreeSet<ShareId>,
    pub sight_lost: BTreeSet<At>,
}

type Refused = &'static str;

fn must(holds: bool, why: Refused) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(why) }
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

impl Toy {
    /// The step on a copy, and what follows from it; or why it is refused.
    pub fn step(&self, command: &Command, now: Moment) -> Result<(Toy, Follows), Refused> {
        let mut after = self.clone();
        after.put(command, now)?;
        let follows = after.settle_after(self, now);
        for (id, property) in &after.properties {
            let here = |at: &&At| at.0 == *id;
            for door in follows.codes_made.iter().filter(here).map(|at| at.2).collect::<BTreeSet<_>>() {
                let live = property.live.keys().filter(|(_, at)| *at == door).count();
                let new = follows.codes_made.iter().filter(|at| at.2 == door).count();
                let digits = property.spec.codes.digits;
                let most = property.spec.codes.limit.map_or(10_u64.pow(digits.into()) / 5_000, u64::from);
                must((live + new) as u64 <= most, "C2: too many codes at a door")?;
            }
        }
        Ok((after, follows))
    }

    /// What the clock has ended by `now` (K7, G4, C6), and what follows.
    pub fn settle(&mut self, now: Moment) -> Follows {
        let before = self.clone();
        for property in self.properties.values_mut() {
            for held in property.held.values_mut() {
                held.ended |= over(held.period, now);
            }
            for guest in property.guests.values_mut() {
                guest.ended |= property.held[&guest.giving].ended || over(guest.period, now);
            }
        }
        let follows = self.settle_after(&before, now);
        self.properties.values_mut().for_each(|property| property.gone.retain(|_, gone| now < gone.until));
        follows
    }

    /// Takes out what can't be any more, compares coverage before and after (C3, C7) and deletes codes.
    fn settle_after(&mut self, before: &Toy, now: Moment) -> Follows {
        let mut follows = Follows::default();
        for property in self.properties.values_mut() {
            let held = property.held.clone();
            property.guests.retain(|_, guest| held.get(&guest.giving).is_some_and(|held| held.may_share));
            // G4: a door out of the Key leaves its shares too.
            let doors_of = property.doors_of_keys();
            for guest in property.guests.values_mut() {
                let all = &doors_of[&held[&guest.giving].key];
                if let Some(doors) = &mut guest.doors {
                    doors.retain(|door| all.contains_key(door));
                }
            }
            property.guests.retain(|_, guest| guest.doors.as_ref().is_none_or(|doors| !doors.is_empty()));
        }
        for (id, was) in &before.properties {
            let is = self.properties.get(id);
            let live = |property: &ToyProperty| -> BTreeSet<ShareId> {
                property.guests.iter().filter(|(_, guest)| !guest.ended).map(|(id, _)| *id).collect()
            };
            follows.shares_ended.extend(live(was).difference(&is.map(live).unwrap_or_default()));
            for person in before.people.keys() {
                let seen = is.map(|is| self.sight(is, *person)).unwrap_or_default();
                let lost = before.sight(was, *person).into_iter().filter(|door| !seen.contains(door));
                follows.sight_lost.extend(lost.map(|door| (*id, *person, door)));
            }
        }
        let ids: BTreeSet<PropertyId> = before.properties.keys().chain(self.properties.keys()).copied().collect();
        for id in ids {
            let cover = |toy: &Toy| toy.properties.get(&id).map(ToyProperty::coverage).unwrap_or_default();
            let (was, is) = (cover(before), cover(self));
            let at = |(person, door): &(PersonId, DoorId)| (id, *person, *door);
            follows.doors_lost.extend(was.keys().filter(|place| !is.contains_key(*place)).map(at));
            follows.doors_gained.extend(is.keys().filter(|place| !was.contains_key(*place)).map(at));
            let coded = |cover: &BTreeMap<(PersonId, DoorId), bool>| -> BTreeSet<(PersonId, DoorId)> {
                cover.iter().filter(|(_, code)| **code).map(|(place, _)| *place).collect()
            };
            let (was, is) = (coded(&was), coded(&is));
            follows.codes_deleted.extend(was.difference(&is).map(at));
            follows.codes_made.extend(is.difference(&was).map(at));
            let Some(property) = self.properties.get_mut(&id) else { continue };
            let until = now.plus_micros(i64::from(property.spec.codes.quarantine_days) * DAY);
            for place in was.difference(&is) {
                if let Some((code, digits)) = property.live.remove(place) {
                    property.gone.insert(code, Gone { door: place.1, person: place.0, digits, until });
                }
            }
        }
        follows
    }

    /// The doors whose log a person sees (L2): M1-M4, and a Portfolio Manager's Full unless set otherwise.
    fn sight(&self, property: &ToyProperty, person: PersonId) -> BTreeSet<DoorId> {
        let manages = |key: &KeyId| match property.levels.get(&person) {
            Some(Level::Full | Level::Limited) => true,
            Some(Level::Specific(keys)) => keys.contains(key),
            None => self.managers.contains(&person),
        };
        let doors = property.doors_of_keys();
        doors.into_iter().filter(|(key, _)| manages(key)).flat_map(|(_, doors)| doors.into_keys()).collect()
    }

    pub fn property_of_door(&self, door: DoorId) -> Option<PropertyId> {
        self.properties.iter().find(|(_, property)| property.doors.contains_key(&door)).map(|(id, _)| *id)
    }

    /// The property of a Key that people may touch.
    fn touch_key(&mut self, key: KeyId) -> Result<&mut ToyProperty, Refused> {
        must(self.properties.values().all(|property| property.deliveries != Some(key)), "V2: the Deliveries Key")?;
        self.properties.values_mut().find(|property| property.keys.contains_key(&key)).ok_or("no such Key")
    }

    fn touch_property(&mut self, property: PropertyId) -> Result<&mut ToyProperty, Refused> {
        self.properties.get_mut(&property).ok_or("no such property")
    }

    fn is_person(&self, person: PersonId) -> Result<(), Refused> {
        must(self.people.contains_key(&person), "no such person")
    }

    fn put(&mut self, command: &Command, now: Moment) -> Result<(), Refused> {
        use Command as C;
        match command {
            C::MakePerson(spec) => {
                let id = PersonId(bump(&mut self.next.person));
                self.put_person(id, spec, false)
            }
            C::EditPerson(person, spec) => {
                self.is_person(*person)?;
                self.put_person(*person, spec, self.people[person].suspended)
            }
            C::Suspend(person, on) => {
                self.people.get_mut(person).ok_or("no such person")?.suspended = *on;
                Ok(())
            }
            C::DeletePerson(person) => self.delete_person(*person),
            C::SetPortfolioManager(person, on) => {
                self.is_person(*person)?;
                if *on {
                    self.managers.insert(*person)
                } else {
                    self.managers.remove(person)
                };
                must(!self.managers.is_empty(), "M6: the last Portfolio Manager")
            }
            C::MakeProperty(spec) => {
                let id = PropertyId(bump(&mut self.next.property));
                self.put_property(id, spec)
            }
            C::EditProperty(property, spec) => {
                self.touch_property(*property)?;
                self.put_property(*property, spec)
            }
            C::RemoveProperty(property) => self.properties.remove(property).map(|_| ()).ok_or("no such property"),
            C::SetHolidays(property, holidays) => {
                must(holidays.iter().all(|holiday| holiday.from <= holiday.to), "a holiday ends before it starts")?;
                self.touch_property(*property)?.holidays.clone_from(holidays);
                Ok(())
            }
            C::SetDeliveries(property, on) => {
                let next = self.next.key + 1;
                let property = self.touch_property(*property)?;
                match (on, property.deliveries) {
                    (true, None) => {
                        property.deliveries = Some(KeyId(next));
                        self.next.key = next;
                    }
                    (true, Some(_)) => {}
                    (false, _) => property.deliveries = None,
                }
                Ok(())
            }
            C::MakeDoor(property, spec) => {
                let id = DoorId(bump(&mut self.next.door));
                self.touch_property(*property)?.put_door(id, spec)
            }
            C::EditDoor(door, spec) => {
                let property = self.property_of_door(*door).ok_or("no such door")?;
                self.touch_property(property)?.put_door(*door, spec)
            }
            C::RemoveDoor(door) => {
                let property = self.property_of_door(*door).ok_or("no such door")?;
                self.touch_property(property)?.remove_door(*door)
            }
            C::MakeSchedule(property, name, hours) => {
                let id = ScheduleId(bump(&mut self.next.schedule));
                self.touch_property(*property)?.put_schedule(id, name, hours)
            }
            C::EditSchedule(property, schedule, name, hours) => {
                let property = self.touch_property(*property)?;
                must(property.schedules.contains_key(schedule), "no such schedule")?;
                property.put_schedule(*schedule, name, hours)
            }
            C::DeleteSchedule(property, schedule) => {
                let property = self.touch_property(*property)?;
                let used = |opening: &Opening| opening.schedule == ScheduleRef::Named(*schedule);
                must(!property.keys.values().flat_map(openings).any(|opening| used(&opening)), "a Key uses it")?;
                property.schedules.remove(schedule).map(|_| ()).ok_or("no such schedule")
            }
            C::MakeKey(property, spec) => {
                let id = KeyId(bump(&mut self.next.key));
                self.touch_property(*property)?.put_key(id, spec)
            }
            C::EditKey(key, spec) => self.touch_key(*key)?.put_key(*key, spec),
            C::DeleteKey(key) => {
                self.touch_key(*key)?.delete_key(*key);
                Ok(())
            }
            C::Give { key, person, may_share, period } => self.give(*key, *person, *may_share, *period, now),
            C::Revoke { key, person } => self.revoke(*key, *person),
            C::Move { person, from, to, may_share, period } => {
                must(from != to, "a move to the same Key")?;
                self.give(*to, *person, *may_share, *period, now)?;
                self.revoke(*from, *person)
            }
            C::Share { key, host, guest, doors, period } => {
                self.share(*key, *host, *guest, doors.as_deref(), *period, now)
            }
            C::EndShare { key, host, guest } => {
                let property = self.touch_key(*key)?;
                let giving = property.giving(*key, *host).ok_or("the Key is not held")?;
                let share = property.share(giving, *guest).ok_or("there is no such share")?;
                property.guests.remove(&share);
                Ok(())
            }
            C::LockDown { property, doors, except_keys } => {
                let id = LockdownId(bump(&mut self.next.lockdown));
                let property = self.touch_property(*property)?;
                must(except_keys.iter().all(|key| property.keys.contains_key(key)), "no such Key to except")?;
                must(doors.iter().flatten().all(|door| property.doors.contains_key(door)), "no such door")?;
                must(doors.as_ref().is_none_or(|doors| !doors.is_empty()), "a lockdown of no doors")?;
                let doors = doors.as_ref().map(|doors| doors.iter().copied().collect());
                property.lockdowns.insert(id, Closed { doors, except: except_keys.iter().copied().collect() });
                Ok(())
            }
            C::LiftLockdown(property, lockdown) => {
                let property = self.touch_property(*property)?;
                property.lockdowns.remove(lockdown).map(|_| ()).ok_or("no such lockdown")
            }
            C::SetLevel(property, person, level) => {
                self.is_person(*person)?;
                let property = self.touch_property(*property)?;
                if let Some(Level::Specific(keys)) = level {
                    must(keys.iter().all(|key| property.keys.contains_key(key)), "no such Key")?;
                }
                match level {
                    Some(level) => property.levels.insert(*person, level.clone()),
                    None => property.levels.remove(person),
                };
                Ok(())
            }
            C::MakeLock { name, scope } => {
                must(!self.locks.values().any(|other| same(other, name)), "the name is taken")?;
                match scope {
                    LockScope::Property(property) => _ = self.touch_property(*property)?,
                    LockScope::Doors(doors) => {
                        must(doors.iter().all(|door| self.property_of_door(*door).is_some()), "no such door")?;
                    }
                }
                self.locks.insert(LockId(bump(&mut self.next.lock)), name.clone());
                Ok(())
            }
            C::DisableLock(lock, _) => must(self.locks.contains_key(lock), "no such lock"),
            // What it is, the toy does not know: the index, the judge and the replay have to agree on it.
            C::RenewMobile(person) => self.is_person(*person),
            C::MakeToken { .. } | C::RevokeToken(_) | C::DisableIdentity(..) => Err("the toy lets nobody join"),
        }
    }

    fn put_person(&mut self, id: PersonId, spec: &PersonSpec, suspended: bool) -> Result<(), Refused> {
        for (_, other) in self.people.iter().filter(|(other, _)| **other != id) {
            must(!same(&other.spec.email, &spec.email), "the email is taken")?;
            must(!spec.cards.iter().any(|card| other.spec.cards.contains(card)), "the card is taken")?;
        }
        self.people.insert(id, ToyPerson { spec: spec.clone(), suspended });
        Ok(())
    }

    fn delete_person(&mut self, person: PersonId) -> Result<(), Refused> {
        self.people.remove(&person).ok_or("no such person")?;
        self.managers.remove(&person);
        must(!self.managers.is_empty(), "M6: the last Portfolio Manager")?;
        for property in self.properties.values_mut() {
            property.levels.remove(&person);
            property.held.retain(|_, held| held.person != person);
            property.guests.retain(|_, guest| guest.guest != person);
        }
        Ok(())
    }

    fn put_property(&mut self, id: PropertyId, spec: &PropertySpec) -> Result<(), Refused> {
        let mut others = self.properties.iter().filter(|(other, _)| **other != id);
        must(!others.any(|(_, other)| same(&other.spec.name, &spec.name)), "the name is taken")?;
        must(ZONES.iter().any(|(zone, _)| *zone == spec.zone), "no time zone")?;
        let CodePolicy { digits, limit, .. } = spec.codes;
        must((4..=10).contains(&digits), "C2: 4 to 10 digits")?;
        must(digits >= 6 || limit.is_some(), "C2: few digits without a limit")?;
        must(limit.is_none_or(|limit| 0 < limit && u64::from(limit) <= 10_u64.pow(digits.into()) / 10), "a limit")?;
        match self.properties.get_mut(&id) {
            Some(known) => known.spec = spec.clone(),
            None => _ = self.properties.insert(id, ToyProperty::new(spec)),
        }
        Ok(())
    }

    fn give(
        &mut self,
        key: KeyId,
        person: PersonId,
        may_share: Option<bool>,
        period: Period,
        now: Moment,
    ) -> Result<(), Refused> {
        self.is_person(person)?;
        sound(period, now)?;
        let next = self.next.giving + 1;
        let property = self.touch_key(key)?;
        // K6, K7: what is held is changed in its place; what has ended is given anew.
        let known = property.giving(key, person);
        if let Some(live) = known.and_then(|id| property.held.get_mut(&id)).filter(|held| !held.ended) {
            live.may_share = may_share.unwrap_or(live.may_share);
            live.period = period;
            return Ok(());
        }
        if let Some(ended) = known {
            property.held.remove(&ended);
        }
        let may_share = may_share.unwrap_or(property.keys[&key].may_share);
        property.held.insert(GivingId(next), Held { key, person, may_share, period, ended: false });
        self.next.giving = next;
        Ok(())
    }

    fn revoke(&mut self, key: KeyId, person: PersonId) -> Result<(), Refused> {
        let property = self.touch_key(key)?;
        let giving = property.giving(key, person).ok_or("the Key is not held")?;
        property.held.remove(&giving);
        Ok(())
    }

    fn share(
        &mut self,
        key: KeyId,
        host: PersonId,
        guest: PersonId,
        doors: Option<&[DoorId]>,
        period: Period,
        now: Moment,
    ) -> Result<(), Refused> {
        self.is_person(guest)?;
        sound(period, now)?;
        must(host != guest, "the guest is the holder")?;
        let next = self.next.share + 1;
        let property = self.touch_key(key)?;
        let giving = property.giving(key, host).ok_or("the Key is not held")?;
        let held = &property.held[&giving];
        must(held.may_share && !held.ended, "G2: no right to share")?;
        must(doors != Some(&[]), "a share of no doors")?;
        let all = &property.doors_of_keys()[&key];
        must(doors.unwrap_or_default().iter().all(|door| all.contains_key(door)), "not a door of the Key")?;
        let doors = doors.map(|doors| doors.iter().copied().collect());
        let known = property.share(giving, guest);
        let changed = Guest { giving, guest, doors, period, ended: false };
        // G1: sharing again changes it; one that the clock ended is made anew.
        match known.filter(|id| !property.guests[id].ended) {
            Some(id) => _ = property.guests.insert(id, changed),
            None => {
                known.map(|ended| property.guests.remove(&ended));
                property.guests.insert(ShareId(next), changed);
                self.next.share = next;
            }
        }
        Ok(())
    }

    /// The Key by which a person opens a door, and the host where it is a share (U1, U2, U8, K2, K7, K11, G1).
    pub fn opens(
        &self,
        door: DoorId,
        person: PersonId,
        by_code: bool,
        at: Moment,
    ) -> Option<(KeyId, Option<PersonId>)> {
        let property = &self.properties[&self.property_of_door(door)?];
        let suspended = |person: PersonId| self.people.get(&person).is_none_or(|person| person.suspended);
        if suspended(person) {
            return None;
        }
        let lets_in = |held: &Held| {
            let openings = property.openings_at(held.key, door);
            let mut usable = openings.iter().filter(|opening| opening.code || !by_code);
            let excepted = property.lockdowns.values().all(|lockdown| !lockdown.at(door) || lockdown.has(held.key));
            let in_time = !held.ended && begun(held.period, at) && !over(held.period, at);
            in_time && excepted && usable.any(|opening| property.is_open(opening.schedule, at))
        };
        let own = property.held.values().find(|held| held.person == person && lets_in(held));
        if let Some(own) = own {
            return Some((own.key, None));
        }
        let guest = property.guests.values().find(|guest| {
            let host = &property.held[&guest.giving];
            let in_time = !guest.ended && begun(guest.period, at) && !over(guest.period, at);
            let has = guest.doors.as_ref().is_none_or(|doors| doors.contains(&door));
            guest.guest == person && has && in_time && !suspended(host.person) && lets_in(host)
        })?;
        let host = &property.held[&guest.giving];
        Some((host.key, Some(host.person)))
    }

    /// The Deliveries Key, where it opens a door to carriers (V3, U8).
    pub fn opens_to_carriers(&self, door: DoorId) -> Option<KeyId> {
        let property = &self.properties[&self.property_of_door(door)?];
        let labelled = property.doors[&door].labels.iter().any(|label| label == "deliveries");
        let shut = property.lockdowns.values().any(|lockdown| lockdown.at(door));
        property.deliveries.filter(|_| labelled && !shut)
    }

    /// Every moment at which something ends or is released.
    pub fn ends(&self) -> Vec<Moment> {
        let mut ends = Vec::new();
        for property in self.properties.values() {
            ends.extend(property.held.values().flat_map(|held| [held.period.from, held.period.until]).flatten());
            ends.extend(property.guests.values().flat_map(|guest| [guest.period.from, guest.period.until]).flatten());
            ends.extend(property.gone.values().map(|gone| gone.until));
        }
        ends
    }
}

impl ToyProperty {
    fn new(spec: &PropertySpec) -> ToyProperty {
        ToyProperty {
            spec: spec.clone(),
            holidays: Vec::new(),
            deliveries: None,
            doors: BTreeMap::new(),
            schedules: BTreeMap::new(),
            keys: BTreeMap::new(),
            held: BTreeMap::new(),
            guests: BTreeMap::new(),
            lockdowns: BTreeMap::new(),
            levels: BTreeMap::new(),
            live: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    fn put_door(&mut self, id: DoorId, spec: &DoorSpec) -> Result<(), Refused> {
        let mut others = self.doors.iter().filter(|(other, _)| **other != id);
        must(!others.any(|(_, other)| same(&other.name, &spec.name)), "the name is taken")?;
        must(!spec.occupied || spec.kind == DoorKind::Unit, "only a unit can be occupied")?;
        self.doors.insert(id, spec.clone());
        Ok(())
    }

    fn remove_door(&mut self, door: DoorId) -> Result<(), Refused> {
        self.doors.remove(&door).ok_or("no such door")?;
        for key in self.keys.values_mut() {
            key.doors.retain(|entry| entry.door != door);
            key.rules.iter_mut().for_each(|rule| rule.except.retain(|other| *other != door));
            must(!key.doors.is_empty() || !key.rules.is_empty(), "K1: the last door of a Key")?;
        }
        for lockdown in self.lockdowns.values_mut() {
            lockdown.doors.as_mut().map(|doors| doors.remove(&door));
        }
        self.lockdowns.retain(|_, lockdown| lockdown.doors.as_ref().is_none_or(|doors| !doors.is_empty()));
        Ok(())
    }

    fn put_schedule(&mut self, id: ScheduleId, name: &str, hours: &Hours) -> Result<(), Refused> {
        let mut others = self.schedules.iter().filter(|(other, _)| **other != id);
        must(!others.any(|(_, other)| same(&other.0, name)), "the name is taken")?;
        must(!same(name, "always"), "S1: always is taken")?;
        self.schedules.insert(id, (name.to_owned(), hours.clone()));
        Ok(())
    }

    fn put_key(&mut self, id: KeyId, spec: &KeySpec) -> Result<(), Refused> {
        let mut others = self.keys.iter().filter(|(other, _)| **other != id);
        must(!others.any(|(_, other)| same(&other.name, &spec.name)), "the name is taken")?;
        must(!same(&spec.name, "Deliveries"), "V4: Deliveries is taken")?;
        must(!spec.doors.is_empty() || !spec.rules.is_empty(), "K1: a Key of no doors")?;
        let listed: BTreeSet<DoorId> = spec.doors.iter().map(|entry| entry.door).collect();
        must(listed.len() == spec.doors.len(), "K4: a door twice")?;
        let named = listed.iter().chain(spec.rules.iter().flat_map(|rule| &rule.except));
        for door in named {
            must(self.doors.contains_key(door), "no such door")?;
        }
        for rule in &spec.rules {
            let units = rule.kind.is_none_or(|kind| kind == DoorKind::Unit);
            must(units || rule.occupied.is_none(), "only units are vacant")?;
        }
        for opening in openings(spec) {
            if let ScheduleRef::Named(schedule) = opening.schedule {
                must(self.schedules.contains_key(&schedule), "no such schedule")?;
            }
        }
        self.keys.insert(id, spec.clone());
        Ok(())
    }

    fn delete_key(&mut self, key: KeyId) {
        self.keys.remove(&key);
        self.held.retain(|_, held| held.key != key);
        for level in self.levels.values_mut() {
            if let Level::Specific(keys) = level {
                keys.retain(|other| *other != key);
            }
        }
        for lockdown in self.lockdowns.values_mut() {
            lockdown.except.remove(&key);
        }
    }

    fn giving(&self, key: KeyId, person: PersonId) -> Option<GivingId> {
        self.held.iter().find(|(_, held)| held.key == key && held.person == person).map(|(id, _)| *id)
    }

    fn share(&self, giving: GivingId, guest: PersonId) -> Option<ShareId> {
        self.guests.iter().find(|(_, share)| share.giving == giving && share.guest == guest).map(|(id, _)| *id)
    }

    /// How a Key opens a door: by its entry, or else by any rule that names the door (K10).
    fn openings_at(&self, key: KeyId, door: DoorId) -> Vec<Opening> {
        let (key, spec) = (&self.keys[&key], &self.doors[&door]);
        let listed: Vec<Opening> =
            key.doors.iter().filter(|entry| entry.door == door).map(|entry| entry.opening).collect();
        if !listed.is_empty() {
            return listed;
        }
        let names = |rule: &&DoorRule| {
            rule.kind.is_none_or(|kind| kind == spec.kind)
                && rule.occupied.is_none_or(|occupied| spec.kind == DoorKind::Unit && spec.occupied == occupied)
                && rule.labels.iter().all(|label| spec.labels.contains(label))
                && !rule.except.contains(&door)
        };
        key.rules.iter().filter(names).map(|rule| rule.opening).collect()
    }

    /// The doors of each Key, and whether with a code.
    pub fn doors_of_keys(&self) -> BTreeMap<KeyId, BTreeMap<DoorId, bool>> {
        let doors = |key: KeyId| {
            let openings = self.doors.keys().map(|door| (*door, self.openings_at(key, *door)));
            let has = openings.filter(|(_, openings)| !openings.is_empty());
            has.map(|(door, openings)| (door, openings.iter().any(|opening| opening.code))).collect()
        };
        self.keys.keys().map(|key| (*key, doors(*key))).collect()
    }

    /// Who is covered where, and whether with a code: the future and the suspended too, what has ended not (C3, K7).
    pub fn coverage(&self) -> BTreeMap<(PersonId, DoorId), bool> {
        let mut covered = BTreeMap::new();
        let doors_of = self.doors_of_keys();
        for held in self.held.values().filter(|held| !held.ended) {
            for (door, code) in &doors_of[&held.key] {
                *covered.entry((held.person, *door)).or_default() |= code;
            }
        }
        for guest in self.guests.values().filter(|guest| !guest.ended) {
            for (door, code) in &doors_of[&self.held[&guest.giving].key] {
                if guest.doors.as_ref().is_none_or(|doors| doors.contains(door)) {
                    *covered.entry((guest.guest, *door)).or_default() |= code;
                }
            }
        }
        covered
    }

    fn is_open(&self, schedule: ScheduleRef, at: Moment) -> bool {
        let ScheduleRef::Named(schedule) = schedule else { return true };
        let (_, hours) = &self.schedules[&schedule];
        let offset = ZONES.iter().find(|(zone, _)| *zone == self.spec.zone).map_or(0, |(_, offset)| *offset);
        let minute = at.as_micros().div_euclid(MINUTE_MICROS) + offset;
        let today = minute.div_euclid(DAY_MINUTES);
        [today, today - 1].into_iter().any(|day| {
            let since = minute - day * DAY_MINUTES;
            self.spans_on(hours, day).iter().any(|span| {
                let (from, to) = (i64::from(span.from_minute()), i64::from(span.to_minute()));
                let to = if to <= from { to + DAY_MINUTES } else { to };
                (from..to).contains(&since)
            })
        })
    }

    /// What starts on a day (S1, S3); days are counted from the first of 1970, a Thursday.
    fn spans_on(&self, hours: &Hours, day: i64) -> Vec<Span> {
        let holiday = self.holidays.iter().any(|holiday| (number(holiday.from)..=number(holiday.to)).contains(&day));
        let weekday = (day + 3).rem_euclid(7) as u8;
        let usual = hours.windows.iter().filter(|window| window.days.contains(weekday)).map(|window| window.span);
        match &hours.on_holidays {
            OnHolidays::Closed if holiday => Vec::new(),
            OnHolidays::Own(spans) if holiday => spans.clone(),
            _ => usual.collect(),
        }
    }
}

impl Closed {
    fn at(&self, door: DoorId) -> bool {
        self.doors.as_ref().is_none_or(|doors| doors.contains(&door))
    }

    fn has(&self, key: KeyId) -> bool {
        self.except.contains(&key)
    }
}

fn bump(last: &mut u32) -> u32 {
    *last += 1;
    *last
}

fn openings(spec: &KeySpec) -> impl Iterator<Item = Opening> {
    spec.doors.iter().map(|entry| entry.opening).chain(spec.rules.iter().map(|rule| rule.opening))
}

fn begun(period: Period, at: Moment) -> bool {
    period.from.is_none_or(|from| from <= at)
}

fn over(period: Period, at: Moment) -> bool {
    period.until.is_some_and(|until| until <= at)
}

fn sound(period: Period, now: Moment) -> Result<(), Refused> {
    let empty = period.from.zip(period.until).is_some_and(|(from, until)| until <= from);
    must(!empty && !over(period, now), "a period that is over")
}

fn number(date: Date) -> i64 {
    let text = format!("{:04}-{:02}-{:02}T00:00:00Z", date.year, date.month, date.day);
    Moment::parse(&text).unwrap().as_micros().div_euclid(DAY)
}
