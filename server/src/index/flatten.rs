//! Flattens a property of the Directory into the form that it is compiled from.

use std::collections::BTreeMap;

use keyward_protocol::{id::*, time::Moment};

use super::source::{DoorKey, DoorSource, Holding, KnownPerson, Opens, PersonSource, PropertySource};
use crate::domain::{
    directory::*,
    hours::{openings, union},
};

/// One property as the compiler takes it, its schedules written out over `[from, to)` of the absolute time line.
pub fn flatten(portfolio: &Portfolio, property: &Property, horizon: (Moment, Moment)) -> PropertySource {
    let keys: Vec<KeyId> = property.keys.keys().copied().collect();
    let slots: BTreeMap<KeyId, u16> = keys.iter().copied().zip(0..).collect();
    let rows: BTreeMap<DoorId, u16> = property.doors.keys().copied().zip(0..).collect();
    let mut schedules = Schedules { property, horizon, known: BTreeMap::new(), lists: Vec::new() };
    let mut doors: Vec<DoorSource> = property
        .doors
        .values()
        .map(|door| DoorSource {
            id: door.id,
            keys: Vec::new(),
            delivers: door.takes_deliveries(),
            lockdown: excepted_slots(property, door.id, &slots),
        })
        .collect();
    for (key, slot) in property.keys.values().zip(0..) {
        for (door, openings) in property.key_doors(key) {
            let row = rows.get(&door).and_then(|row| doors.get_mut(usize::from(*row)));
            if let Some(row) = row {
                row.keys.push(schedules.door_key(slot, &openings));
            }
        }
    }
    let holders: std::collections::BTreeSet<PersonId> = property
        .givings
        .values()
        .map(|giving| giving.person)
        .chain(property.shares.values().map(|share| share.guest))
        .chain(property.codes.values().map(|code| code.person))
        .collect();
    let people = holders
        .into_iter()
        .filter_map(|person| portfolio.people.get(&person))
        .map(|person| PersonSource {
            id: person.id,
            suspended: person.suspended,
            mobile: person.mobile,
            cards: person.cards.clone(),
            holdings: holdings(portfolio, property, person.id, &slots, &rows),
        })
        .collect();
    PropertySource {
        property: property.id(),
        horizon,
        keys,
        deliveries: property.deliveries,
        schedules: schedules.lists,
        doors,
        people,
    }
}

/// A person as the portfolio-wide table of credentials knows them.
pub fn known_person(person: &Person) -> KnownPerson {
    KnownPerson { id: person.id, suspended: person.suspended, mobile: person.mobile, cards: person.cards.clone() }
}

/// The slots named in each lockdown that closes the door; `None` when none does (U8).
fn excepted_slots(property: &Property, door: DoorId, slots: &BTreeMap<KeyId, u16>) -> Option<Vec<u16>> {
    let covering: Vec<&Lockdown> =
        property.lockdowns.values().map(AsRef::as_ref).filter(|lockdown| lockdown.covers(door)).collect();
    let in_each = |key: &KeyId| covering.iter().all(|lockdown| lockdown.except_keys.contains(key));
    (!covering.is_empty()).then(|| slots.iter().filter(|(key, _)| in_each(key)).map(|(_, slot)| *slot).collect())
}

fn holdings(
    portfolio: &Portfolio,
    property: &Property,
    person: PersonId,
    slots: &BTreeMap<KeyId, u16>,
    rows: &BTreeMap<DoorId, u16>,
) -> Vec<Holding> {
    let ended_or = |ended: bool, until: Moment| if ended { Moment::MIN } else { until };
    let own = property.givings_of(person).filter_map(|giving| {
        Some(Holding {
            slot: *slots.get(&giving.key)?,
            from: giving.from.unwrap_or(Moment::MIN),
            until: ended_or(giving.ended, giving.until.unwrap_or(Moment::MAX)),
            host: PersonId::NONE,
            doors: None,
        })
    });
    let shares = property.shares_to(person).filter_map(|share| {
        let giving = property.givings.get(&share.giving)?;
        if portfolio.is_suspended(giving.person) {
            return None;
        }
        let (from, until) = property.share_period(share);
        let doors = share
            .doors
            .as_ref()
            .map(|doors| doors.iter().filter_map(|door| rows.get(door).copied()).collect::<Vec<u16>>());
        Some(Holding {
            slot: *slots.get(&giving.key)?,
            from,
            until: ended_or(share.ended || giving.ended, until),
            host: giving.person,
            doors,
        })
    });
    own.chain(shares).collect()
}

/// Each distinct union of schedules, written out once.
struct Schedules<'a> {
    property: &'a Property,
    horizon: (Moment, Moment),
    known: BTreeMap<Vec<ScheduleRef>, Opens>,
    lists: Vec<Vec<(Moment, Moment)>>,
}

impl Schedules<'_> {
    fn door_key(&mut self, slot: u16, openings: &[Opening]) -> DoorKey {
        let any = openings.iter().map(|opening| opening.schedule).collect();
        let code: Vec<ScheduleRef> =
            openings.iter().filter(|opening| opening.code).map(|opening| opening.schedule).collect();
        let has_code = !code.is_empty();
        DoorKey { slot, any: self.opens(any), code: self.opens(code), has_code }
    }

    fn opens(&mut self, mut schedules: Vec<ScheduleRef>) -> Opens {
        schedules.sort_unstable();
        schedules.dedup();
        if schedules.contains(&ScheduleRef::Always) {
            return Opens::Always;
        }
        if let Some(known) = self.known.get(&schedules) {
            return *known;
        }
        let stretches = union(schedules.iter().flat_map(|schedule| self.written_out(*schedule)).collect());
        let opens = if stretches.is_empty() {
            Opens::Never
        } else {
            let at = self.lists.iter().position(|list| *list == stretches).unwrap_or(self.lists.len());
            if at == self.lists.len() {
                self.lists.push(stretches);
            }
            Opens::At(u16::try_from(at).expect("a property has fewer distinct schedules than Keys times doors allow"))
        };
        self.known.insert(schedules, opens);
        opens
    }

    fn written_out(&self, schedule: ScheduleRef) -> Vec<(Moment, Moment)> {
        let ScheduleRef::Named(id) = schedule else { return Vec::new() };
        let Some(schedule) = self.property.schedules.get(&id) else { return Vec::new() };
        let (from, to) = self.horizon;
        openings(&schedule.hours, &self.property.holidays, &self.property.zone, from, to)
    }
}
