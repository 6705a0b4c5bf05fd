//! What the played server tells of people and doors.

use keyward_protocol::{
    entry::{CodePolicy, Command, DoorKind, DoorRule, DoorSpec, Holiday, OnLogFailure, Opening, ScheduleRef},
    id::*,
    message::manage::*,
    schedule::{Hours, OnHolidays, Span, Window},
    time::{Date, Moment},
};

use super::testing::noon;

/// Tracy holds two Keys and has a guest; she is a guest of Lee's.
pub fn holds(person: PersonId) -> Vec<HeldRow> {
    let held = |giving, key, name: &str, may_share, guests| HeldRow {
        property: PropertyId(1),
        giving: GivingId(giving),
        key: KeyId(key),
        name: name.into(),
        terms: Terms { may_share, from: None, until: None, ended: false },
        guests,
    };
    if person != PersonId(1) {
        return vec![held(9, 2, "Key B", false, Vec::new())];
    }
    let visitor = share(1, 1, (1, "Tracy"), (9, "Visitor"), Some(vec![DoorId(1)]));
    let mut ended = held(7, 5, "Café 東京", false, Vec::new());
    let until = Moment::parse("2026-06-30T18:00:00-04:00").unwrap();
    ended.terms = Terms { may_share: false, from: None, until: Some(until), ended: true };
    vec![held(1, 1, "Key A", true, vec![visitor]), held(6, 4, "Residences", false, Vec::new()), ended]
}

/// See [`holds`].
pub fn guest_of(person: PersonId) -> Vec<GuestRow> {
    if person == PersonId(1) { vec![share(2, 3, (2, "Lee"), (1, "Tracy"), None)] } else { Vec::new() }
}

fn share(id: u32, key: u32, host: (u32, &str), guest: (u32, &str), doors: Option<Vec<DoorId>>) -> GuestRow {
    GuestRow {
        share: ShareId(id),
        key: KeyId(key),
        host: PersonId(host.0),
        host_name: host.1.into(),
        guest: PersonId(guest.0),
        guest_name: guest.1.into(),
        doors,
        from: None,
        until: Some(Moment::parse("2026-12-24T12:00:00-05:00").unwrap()),
        ended: false,
    }
}

/// Whose client it is.
pub fn me() -> PersonRow {
    PersonRow {
        id: PersonId(50),
        name: "Dana".into(),
        email: "dana@mail.example".into(),
        suspended: false,
        portfolio_manager: true,
        keys: 0,
        shares: 0,
    }
}

pub fn revealed(code: CodeId) -> Revealed {
    Revealed { code, person: PersonId(1), door: DoorId(1), digits: "4071936".into() }
}

pub fn doors() -> Vec<DoorRow> {
    let door = |id, name: &str, kind, occupied, labels: &[&str], keys, codes, locked_down| DoorRow {
        id: DoorId(id),
        name: name.into(),
        kind,
        occupied,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        keys,
        codes,
        locked_down,
    };
    vec![
        door(1, "Main entrance", DoorKind::Entrance, false, &["deliveries", "lobby"], 5, 1_403, false),
        door(2, "Garage", DoorKind::Service, false, &[], 2, 42, true),
        door(3, "Unit 205", DoorKind::Unit, true, &["floor 2"], 1, 2, false),
        door(4, "Unit 206", DoorKind::Unit, false, &["floor 2"], 2, 0, false),
        door(5, "屋上 Roof deck", DoorKind::Amenity, false, &[], 1, 362, false),
    ]
}

pub fn door(id: DoorId) -> DoorDetail {
    let row = doors().into_iter().find(|row| row.id == id).unwrap();
    let opening = Opening { schedule: ScheduleRef::Always, code: true };
    let night = Opening { schedule: ScheduleRef::Named(ScheduleId(1)), code: false };
    let key = |id, name: &str, openings: Vec<Opening>| DoorKeyRow { key: KeyId(id), name: name.into(), openings };
    let keys = vec![key(1, "Key A", vec![opening]), key(2, "Key B", vec![night]), key(6, "Deliveries", vec![opening])];
    DoorDetail { revision: 18_204, property: PropertyId(1), row, keys, codes_max: 2_000 }
}

pub fn who_can(at: Option<Moment>) -> WhoCan {
    let who = |id, name: &str, key: Option<(u32, &str)>, host: Option<&str>, by_code| WhoRow {
        person: PersonId(id),
        name: name.into(),
        email: format!("{}@mail.example", name.to_lowercase()),
        how: How {
            key: key.map(|(id, name)| NamedKey { id: KeyId(id), name: name.into() }),
            host: host.map(|name| (PersonId(1), name.to_owned())),
            by_code,
        },
    };
    let rows = vec![
        who(1, "Tracy", Some((1, "Key A")), None, true),
        who(2, "Lee", None, None, false),
        who(9, "Visitor", Some((1, "Key A")), Some("Tracy"), true),
    ];
    let people = List { revision: 18_204, total: 3, rows, next: None };
    WhoCan { at: at.unwrap_or_else(noon), carriers: true, people }
}

pub fn alerts() -> Vec<AlertRow> {
    vec![AlertRow {
        property: PropertyId(1),
        door: DoorId(2),
        name: "Garage".into(),
        left: 0,
        more_at: Some(noon().plus_seconds(840)),
        ran_out: noon().plus_seconds(-60),
    }]
}

/// Puts this text wherever a person's page has one.
pub fn poison_person(person: &mut PersonDetail, text: &str) {
    let texts = [&mut person.row.name, &mut person.row.email];
    let held = person.holds.iter_mut().flat_map(|row| {
        let guests = row.guests.iter_mut().map(|guest| &mut guest.guest_name);
        guests.chain([&mut row.name])
    });
    let hosts = person.guest_of.iter_mut().map(|row| &mut row.host_name);
    let codes = person.codes.iter_mut().map(|row| &mut row.name);
    let optional = person.phone.iter_mut().chain(&mut person.note);
    texts.into_iter().chain(held).chain(hosts).chain(codes).chain(optional).for_each(|place| text.clone_into(place));
}

pub fn property(row: PropertyRow) -> PropertyDetail {
    PropertyDetail {
        revision: 18_204,
        row,
        codes: CodePolicy::default(),
        on_log_failure: OnLogFailure::Deny,
        holidays: vec![Holiday {
            name: "Winter break".into(),
            from: Date { year: 2026, month: 12, day: 24 },
            to: Date { year: 2027, month: 1, day: 1 },
        }],
        deliveries: Some(KeyId(6)),
        lockdowns: vec![LockdownRow {
            id: LockdownId(3),
            doors: Some(vec![DoorId(2)]),
            except_keys: vec![KeyId(1), KeyId(3)],
        }],
        levels: Vec::new(),
    }
}

/// Residences has a rule.
pub fn rules(key: KeyId) -> Vec<DoorRule> {
    let opening = Opening { schedule: ScheduleRef::Named(ScheduleId(2)), code: true };
    let rule = DoorRule {
        kind: Some(DoorKind::Unit),
        occupied: Some(false),
        labels: vec!["floor 2".into()],
        except: vec![DoorId(4)],
        opening,
    };
    if key == KeyId(4) { vec![rule] } else { Vec::new() }
}

pub fn schedules() -> Vec<ScheduleRow> {
    let schedule = |id, name: &str, windows: &[&str], on_holidays, keys| {
        let windows = windows.iter().map(|window| Window::parse(window).unwrap()).collect();
        ScheduleRow { id: ScheduleId(id), name: name.into(), hours: Hours { windows, on_holidays }, keys }
    };
    let own = OnHolidays::Own(vec![Span::parse("10:00-14:00").unwrap()]);
    vec![
        schedule(1, "business hours", &["Mon-Fri 08:00-18:00"], OnHolidays::Closed, 3),
        schedule(2, "Nights", &["Fri,Sat 20:10-02:00", "Sun 20:00-23:30"], own, 0),
    ]
}

/// What is told of a door after this.
pub fn edit_door(told: &mut DoorDetail, command: &Command) {
    if let Command::EditDoor(door, spec) = command
        && *door == told.row.id
    {
        let DoorSpec { name, kind, occupied, mut labels } = spec.clone();
        labels.sort();
        told.row = DoorRow { name, kind, occupied, labels, ..told.row.clone() };
    }
}

/// What is told of a Key after this.
pub fn edit_key(told: &mut KeyDetail, command: &Command) {
    if let Command::EditKey(key, spec) = command
        && *key == told.row.id
    {
        (told.row.name, told.row.may_share) = (spec.name.clone(), spec.may_share);
        (told.listed, told.rules) = (spec.doors.clone(), spec.rules.clone());
    }
}

/// What is told of a person after this.
pub fn edit_person(told: &mut PersonDetail, command: &Command) {
    let me = told.row.id;
    match command {
        Command::Suspend(person, on) if *person == me => told.row.suspended = *on,
        Command::EditPerson(person, spec) if *person == me => {
            (told.row.name, told.row.email) = (spec.name.clone(), spec.email.clone());
            (told.phone, told.note) = (spec.phone.clone(), spec.note.clone());
        }
        Command::Revoke { key, person } if *person == me => told.holds.retain(|held| held.key != *key),
        Command::Give { key, person, may_share, period } if *person == me => {
            let held = told.holds.iter().find(|held| held.key == *key);
            let before = held.is_some_and(|held| held.terms.may_share);
            let terms =
                Terms { may_share: may_share.unwrap_or(before), from: period.from, until: period.until, ended: false };
            let giving = held.map_or(GivingId(99), |held| held.giving);
            told.holds.retain(|held| held.key != *key);
            let (name, guests) = (key.to_string(), Vec::new());
            told.holds.push(HeldRow { property: PropertyId(1), giving, key: *key, name, terms, guests });
        }
        _ => {}
    }
}

/// What is told of a property after this.
pub fn edit_property(told: &mut PropertyDetail, command: &Command) {
    match command {
        Command::SetHolidays(_, holidays) => told.holidays.clone_from(holidays),
        Command::SetDeliveries(_, on) => told.deliveries = on.then_some(KeyId(6)),
        Command::LiftLockdown(_, lockdown) => told.lockdowns.retain(|row| row.id != *lockdown),
        Command::LockDown { doors, except_keys, .. } => {
            let (doors, except_keys) = (doors.clone(), except_keys.clone());
            told.lockdowns.push(LockdownRow { id: LockdownId(7), doors, except_keys });
        }
        _ => {}
    }
}

/// What is told of schedules after this.
pub fn edit_schedules(told: &mut [ScheduleRow], command: &Command) {
    if let Command::EditSchedule(_, schedule, name, hours) = command
        && let Some(row) = told.iter_mut().find(|row| row.id == *schedule)
    {
        (row.name, row.hours) = (name.clone(), hours.clone());
    }
}
