//! Random commands for a small world: of ids that are there, mostly, so that they collide, and of some that are not.

use keyward_protocol::{
    code::Card,
    entry::*,
    id::*,
    schedule::{Days, Hours, OnHolidays, Span, Window},
    time::{Date, Moment},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::toy::{DAY, Toy, ToyProperty, ZONES};

/// What sort of command; the rest is drawn when its turn comes, from the world as it is then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    MakePerson,
    EditPerson,
    Suspend,
    DeletePerson,
    SetPortfolioManager,
    MakeProperty,
    EditProperty,
    RemoveProperty,
    SetHolidays,
    SetDeliveries,
    MakeDoor,
    EditDoor,
    RemoveDoor,
    MakeSchedule,
    EditSchedule,
    DeleteSchedule,
    MakeKey,
    EditKey,
    DeleteKey,
    Give,
    Revoke,
    Move,
    Share,
    EndShare,
    LockDown,
    LiftLockdown,
    SetLevel,
    MakeLock,
    DisableLock,
    RenewMobile,
}

/// Every sort, with how often it comes up.
pub const WEIGHTS: [(What, u32); 30] = [
    (What::MakePerson, 4),
    (What::EditPerson, 4),
    (What::Suspend, 8),
    (What::DeletePerson, 3),
    (What::SetPortfolioManager, 2),
    (What::MakeProperty, 1),
    (What::EditProperty, 4),
    (What::RemoveProperty, 1),
    (What::SetHolidays, 2),
    (What::SetDeliveries, 4),
    (What::MakeDoor, 5),
    (What::EditDoor, 8),
    (What::RemoveDoor, 5),
    (What::MakeSchedule, 3),
    (What::EditSchedule, 3),
    (What::DeleteSchedule, 3),
    (What::MakeKey, 6),
    (What::EditKey, 12),
    (What::DeleteKey, 5),
    (What::Give, 60),
    (What::Revoke, 16),
    (What::Move, 12),
    (What::Share, 30),
    (What::EndShare, 8),
    (What::LockDown, 5),
    (What::LiftLockdown, 4),
    (What::SetLevel, 6),
    (What::MakeLock, 1),
    (What::DisableLock, 1),
    (What::RenewMobile, 3),
];

/// Draws what a command is made of.
pub struct Draw<'a> {
    pub toy: &'a Toy,
    pub now: Moment,
    pub random: StdRng,
}

impl<'a> Draw<'a> {
    pub fn new(toy: &'a Toy, now: Moment, dice: u64) -> Draw<'a> {
        Draw { toy, now, random: StdRng::seed_from_u64(dice) }
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    pub fn command(&mut self, what: What) -> Command {
        match what {
            What::MakePerson => Command::MakePerson(self.person_spec()),
            What::EditPerson => Command::EditPerson(self.person(), self.person_spec()),
            What::Suspend => Command::Suspend(self.person(), self.chance(50)),
            What::DeletePerson => Command::DeletePerson(self.person()),
            What::SetPortfolioManager => Command::SetPortfolioManager(self.person(), self.chance(50)),
            What::MakeProperty => Command::MakeProperty(self.property_spec()),
            What::EditProperty => Command::EditProperty(self.property(), self.property_spec()),
            What::RemoveProperty => Command::RemoveProperty(self.property()),
            What::SetHolidays => Command::SetHolidays(self.property(), self.holidays()),
            What::SetDeliveries => Command::SetDeliveries(self.property(), self.chance(60)),
            What::MakeDoor => Command::MakeDoor(self.property(), self.door_spec()),
            What::EditDoor => Command::EditDoor(self.door(), self.door_spec()),
            What::RemoveDoor => Command::RemoveDoor(self.door()),
            What::MakeSchedule => Command::MakeSchedule(self.property(), self.schedule_name(), self.hours()),
            What::EditSchedule => {
                let (property, name, hours) = (self.property(), self.schedule_name(), self.hours());
                Command::EditSchedule(property, self.schedule(property), name, hours)
            }
            What::DeleteSchedule => {
                let property = self.property();
                Command::DeleteSchedule(property, self.schedule(property))
            }
            What::MakeKey => {
                let property = self.property();
                Command::MakeKey(property, self.key_spec(property))
            }
            What::EditKey => {
                let key = self.key();
                let property = self.property_of(key);
                Command::EditKey(key, self.key_spec(property))
            }
            What::DeleteKey => Command::DeleteKey(self.key()),
            What::Give => Command::Give {
                key: self.key(),
                person: self.person(),
                may_share: self.sharing(),
                period: self.period(),
            },
            What::Revoke => {
                let (key, person) = self.held();
                Command::Revoke { key, person }
            }
            What::Move => {
                let (from, person) = self.held();
                Command::Move { person, from, to: self.key(), may_share: self.sharing(), period: self.period() }
            }
            What::Share => {
                let (key, host) = self.held();
                let all = self.known(self.property_of(key)).map(|property| property.doors_of_keys());
                let all = all.and_then(|mut all| all.remove(&key)).unwrap_or_default();
                let doors = self.chance(50).then(|| self.some_doors(all.into_keys().collect(), 60));
                Command::Share { key, host, guest: self.person(), doors, period: self.period() }
            }
            What::EndShare => {
                let shares = self.toy.properties.values().flat_map(|property| {
                    property.guests.values().map(|guest| (property.held[&guest.giving].clone(), guest.guest))
                });
                let shares: Vec<_> = shares.collect();
                match shares.choose(&mut self.random) {
                    Some((held, guest)) => Command::EndShare { key: held.key, host: held.person, guest: *guest },
                    None => Command::EndShare { key: self.key(), host: self.person(), guest: self.person() },
                }
            }
            What::LockDown => {
                let property = self.property();
                let (doors, keys) = self.inside(property);
                let doors = self.chance(60).then(|| self.some_doors(doors, 50));
                let mut except_keys: Vec<KeyId> = keys.into_iter().filter(|_| self.chance(50)).collect();
                if self.chance(8) {
                    except_keys.push(self.key());
                }
                Command::LockDown { property, doors, except_keys }
            }
            What::LiftLockdown => {
                let all = self.toy.properties.iter();
                let all: Vec<_> = all.flat_map(|(id, found)| found.lockdowns.keys().map(|down| (*id, *down))).collect();
                let unknown = (self.property(), LockdownId(self.random.random_range(1..9)));
                let (property, lockdown) = all.choose(&mut self.random).copied().unwrap_or(unknown);
                Command::LiftLockdown(property, lockdown)
            }
            What::SetLevel => {
                let property = self.property();
                let level = match self.random.random_range(0..6) {
                    0 => Some(Level::Full),
                    1 => Some(Level::Limited),
                    2 => None,
                    _ => {
                        let keys = self.inside(property).1;
                        let mut keys: Vec<KeyId> = keys.into_iter().filter(|_| self.chance(50)).collect();
                        if self.chance(8) {
                            keys.push(self.key());
                        }
                        Some(Level::Specific(keys))
                    }
                };
                Command::SetLevel(property, self.person(), level)
            }
            What::MakeLock => {
                let name = self.name(&["Lobby", "lobby", "Gate"]);
                let scope = if self.chance(50) {
                    LockScope::Property(self.property())
                } else {
                    LockScope::Doors(vec![self.door()])
                };
                Command::MakeLock { name, scope }
            }
            What::DisableLock => {
                Command::DisableLock(LockId(self.random.random_range(1..=self.toy.next.lock + 1)), self.chance(50))
            }
            What::RenewMobile => Command::RenewMobile(self.person()),
        }
    }

    /// One that is there, or now and then one that is not, or not any more.
    fn pick<T: Copy>(&mut self, all: Vec<T>, last: u32, unknown: impl Fn(u32) -> T) -> T {
        let stranger = self.random.random_range(1..=last + 1);
        if self.chance(6) {
            return unknown(stranger);
        }
        all.choose(&mut self.random).copied().unwrap_or(unknown(stranger))
    }

    fn person(&mut self) -> PersonId {
        self.pick(self.toy.people.keys().copied().collect(), self.toy.next.person, PersonId)
    }

    fn property(&mut self) -> PropertyId {
        self.pick(self.toy.properties.keys().copied().collect(), self.toy.next.property, PropertyId)
    }

    fn door(&mut self) -> DoorId {
        let all = self.toy.properties.values().flat_map(|property| property.doors.keys().copied());
        self.pick(all.collect(), self.toy.next.door, DoorId)
    }

    fn key(&mut self) -> KeyId {
        let all = self.toy.properties.values().flat_map(|property| property.keys.keys().copied());
        self.pick(all.collect(), self.toy.next.key, KeyId)
    }

    fn schedule(&mut self, property: PropertyId) -> ScheduleId {
        let all = self.known(property).map(|property| property.schedules.keys().copied().collect());
        self.pick(all.unwrap_or_default(), self.toy.next.schedule, ScheduleId)
    }

    /// A Key and who holds it, mostly.
    fn held(&mut self) -> (KeyId, PersonId) {
        let all = self.toy.properties.values().flat_map(|property| property.held.values());
        let all: Vec<_> = all.map(|held| (held.key, held.person)).collect();
        match all.choose(&mut self.random) {
            Some(held) if self.random.random_range(0..10) > 0 => *held,
            _ => (self.key(), self.person()),
        }
    }

    fn known(&self, property: PropertyId) -> Option<&'a ToyProperty> {
        self.toy.properties.get(&property)
    }

    fn property_of(&self, key: KeyId) -> PropertyId {
        let mut all = self.toy.properties.iter();
        all.find(|(_, property)| property.keys.contains_key(&key)).map_or(PropertyId(1), |(id, _)| *id)
    }

    fn inside(&self, property: PropertyId) -> (Vec<DoorId>, Vec<KeyId>) {
        self.known(property).map_or_else(Default::default, |property| {
            (property.doors.keys().copied().collect(), property.keys.keys().copied().collect())
        })
    }

    fn some_doors(&mut self, all: Vec<DoorId>, percent: u32) -> Vec<DoorId> {
        let mut some: Vec<DoorId> = all.into_iter().filter(|_| self.chance(percent)).collect();
        if self.chance(6) {
            some.push(self.door());
        }
        some
    }

    fn name(&mut self, names: &[&str]) -> String {
        (*names.choose(&mut self.random).unwrap()).to_owned()
    }

    fn sharing(&mut self) -> Option<bool> {
        *[None, Some(true), Some(true), Some(false)].choose(&mut self.random).unwrap()
    }

    fn person_spec(&mut self) -> PersonSpec {
        let number = self.random.random_range(1..9);
        let host = self.name(&["mail.example", "MAIL.example"]);
        let cards = (0..6).filter(|_| self.random.random_range(0..8) == 0);
        let cards = cards.map(|number| Card::new(&[4, number]).unwrap()).collect();
        PersonSpec {
            name: format!("Person {number}"),
            email: format!("p{number}@{host}"),
            phone: None,
            note: None,
            cards,
        }
    }

    fn property_spec(&mut self) -> PropertySpec {
        let zone = if self.chance(4) { "Mars/Olympus" } else { ZONES.choose(&mut self.random).unwrap().0 };
        let digits = self.random.random_range(4..=10);
        let limit = *[None, Some(1), Some(3), Some(900), Some(0)].choose(&mut self.random).unwrap();
        PropertySpec {
            name: self.name(&["Main", "MAIN", "Annex", "Tower"]),
            zone: zone.to_owned(),
            codes: CodePolicy {
                digits: if self.chance(4) { 3 } else { digits },
                limit: if digits >= 6 && self.chance(70) { None } else { limit },
                quarantine_days: *[0, 1, 2, 90].choose(&mut self.random).unwrap(),
            },
            on_log_failure: OnLogFailure::Deny,
        }
    }

    fn holidays(&mut self) -> Vec<Holiday> {
        let date = |now: Moment, days: i64| {
            let text = now.plus_micros(days * DAY).to_string();
            let mut parts = text[..10].split('-').map(|part| part.parse::<i16>().unwrap());
            let mut part = || parts.next().unwrap();
            Date { year: part(), month: part() as i8, day: part() as i8 }
        };
        let count = self.random.random_range(0..3);
        let holidays = (0..count).map(|_| {
            let from = self.random.random_range(-2..4);
            let to = if self.chance(5) { from - 1 } else { from + self.random.random_range(0..2) };
            Holiday { name: "Holiday".into(), from: date(self.now, from), to: date(self.now, to) }
        });
        holidays.collect()
    }

    fn door_spec(&mut self) -> DoorSpec {
        let kind =
            *[DoorKind::Unit, DoorKind::Unit, DoorKind::Entrance, DoorKind::Amenity].choose(&mut self.random).unwrap();
        let occupied = if kind == DoorKind::Unit { self.chance(50) } else { self.chance(5) };
        DoorSpec {
            name: self
                .name(&["Door 1", "Door 2", "DOOR 2", "Door 3", "Door 4", "Door 5", "Door 6", "Door 7", "Door 8"]),
            kind,
            occupied,
            labels: self.labels(),
        }
    }

    fn labels(&mut self) -> Vec<String> {
        ["deliveries", "pool"].into_iter().filter(|_| self.chance(25)).map(str::to_owned).collect()
    }

    fn schedule_name(&mut self) -> String {
        self.name(&["business", "Business", "nights", "weekend", "ALWAYS"])
    }

    fn hours(&mut self) -> Hours {
        let daily = |from, to| Window { days: Days::DAILY, span: Span::new(from, to).unwrap() };
        let windows = match self.random.random_range(0..5) {
            0 => vec![daily(0, 1440)],
            1 => vec![daily(8 * 60, 18 * 60)],
            2 => vec![],
            _ => {
                let (from, to) = (self.random.random_range(0..96) * 15, self.random.random_range(0..96) * 15);
                let days = Days::from_bits(self.random.random_range(1..128)).unwrap();
                Span::new(from, to).map(|span| Window { days, span }).into_iter().collect()
            }
        };
        let on_holidays = match self.random.random_range(0..4) {
            0 => OnHolidays::Closed,
            1 => OnHolidays::Own(vec![Span::new(10 * 60, 12 * 60).unwrap()]),
            _ => OnHolidays::AsUsual,
        };
        Hours { windows, on_holidays }
    }

    fn opening(&mut self, property: PropertyId) -> Opening {
        let schedule = if self.chance(60) { ScheduleRef::Always } else { ScheduleRef::Named(self.schedule(property)) };
        Opening { schedule, code: self.chance(80) }
    }

    fn key_spec(&mut self, property: PropertyId) -> KeySpec {
        let doors = self.inside(property).0;
        let percent = *[0, 40, 80].choose(&mut self.random).unwrap();
        let mut listed = self.some_doors(doors.clone(), percent);
        if self.chance(3) {
            listed.extend(listed.first().copied());
        }
        let doors_listed = listed.into_iter().map(|door| KeyDoor { door, opening: self.opening(property) }).collect();
        let count = *[0, 0, 1, 2].choose(&mut self.random).unwrap();
        let rules = (0..count).map(|_| {
            let kind = *[None, Some(DoorKind::Unit), Some(DoorKind::Amenity)].choose(&mut self.random).unwrap();
            let of_units = kind != Some(DoorKind::Amenity) || self.chance(10);
            let occupied = (of_units && self.chance(50)).then(|| self.chance(50));
            let except = if self.chance(25) { self.some_doors(doors.clone(), 40) } else { vec![] };
            let labels = if self.chance(30) { self.labels() } else { vec![] };
            DoorRule { kind, occupied, labels, except, opening: self.opening(property) }
        });
        KeySpec {
            rules: rules.collect(),
            name: self.name(&[
                "Key A",
                "Key B",
                "KEY B",
                "Key C",
                "Key D",
                "Key E",
                "Key F",
                "Key G",
                "Key H",
                "deliveries",
            ]),
            may_share: self.chance(50),
            doors: doors_listed,
        }
    }

    fn period(&mut self) -> Period {
        let mut bound = |percent: u32, from: i64, to: i64| {
            let micros = self.random.random_range(from..to);
            self.chance(percent).then(|| self.now.plus_micros(micros))
        };
        Period { from: bound(20, -DAY, DAY), until: bound(40, -DAY / 40, 3 * DAY) }
    }

    /// Where the clock goes: to an end, a microsecond beside one, some time on, or some back.
    pub fn jump(&mut self) -> Moment {
        let ends: Vec<Moment> = self.toy.ends().into_iter().filter(|end| *end > self.now).collect();
        let soon = ends.iter().copied().min();
        let beside = *[-1, 0, 1].choose(&mut self.random).unwrap();
        match self.random.random_range(0..10) {
            0..4 if let Some(soon) = soon => soon.plus_micros(beside),
            4..7 if let Some(end) = ends.choose(&mut self.random) => end.plus_micros(beside),
            7 => self.now.plus_micros(-self.random.random_range(0..DAY)),
            8 => self.now.plus_micros(self.random.random_range(0..40 * DAY)),
            _ => self.now.plus_micros(self.random.random_range(0..DAY / 4)),
        }
    }
}
