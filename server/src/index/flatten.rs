//! Flattens a property of the Directory into the form that it is compiled from.

use std::collections::BTreeMap;

use keyward_protocol::{id::*, time::Moment};

use super::compile::CompileError;
use super::source::{DoorKey, DoorSource, Holding, KnownPerson, Opens, PersonSource, PropertySource};
use crate::domain::{
    directory::*,
    hours::{openings, union},
};

/// One property as the compiler takes it, its schedules written out over `[from, to)` of the absolute time line.
///
/// Refused when it has more Keys, doors or schedules than the index can number: a number that began again at 0 would
/// take one Key for another.
pub fn flatten(
    portfolio: &Portfolio,
    property: &Property,
    horizon: (Moment, Moment),
) -> Result<PropertySource, CompileError> {
    let keys: Vec<KeyId> = property.keys.keys().copied().collect();
    let slots: BTreeMap<KeyId, u16> = numbered(property, keys.iter().copied(), "Keys")?;
    let rows: BTreeMap<DoorId, u16> = numbered(property, property.doors.keys().copied(), "doors")?;
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
    for key in property.keys.values() {
        let Some(slot) = slots.get(&key.id).copied() else { continue };
        for (door, openings) in property.key_doors(key) {
            let row = rows.get(&door).and_then(|row| doors.get_mut(usize::from(*row)));
            if let Some(row) = row {
                row.keys.push(schedules.door_key(slot, &openings)?);
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
    Ok(PropertySource {
        property: property.id(),
        horizon,
        keys,
        deliveries: property.deliveries,
        schedules: schedules.lists,
        doors,
        people,
    })
}

/// Ids with their numbers from 0, as far as 16 bits go; the compiler has one of them for itself.
fn numbered<T: Ord>(
    property: &Property,
    ids: impl Iterator<Item = T>,
    what: &'static str,
) -> Result<BTreeMap<T, u16>, CompileError> {
    let number = |(at, id): (usize, T)| Some((id, u16::try_from(at).ok().filter(|at| *at < u16::MAX)?));
    let numbers: Option<BTreeMap<T, u16>> = ids.enumerate().map(number).collect();
    numbers.ok_or(CompileError::TooMany { property: property.id(), what })
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
    fn door_key(&mut self, slot: u16, openings: &[Opening]) -> Result<DoorKey, CompileError> {
        let any = openings.iter().map(|opening| opening.schedule).collect();
        let code: Vec<ScheduleRef> =
            openings.iter().filter(|opening| opening.code).map(|opening| opening.schedule).collect();
        let has_code = !code.is_empty();
        Ok(DoorKey { slot, any: self.opens(any)?, code: self.opens(code)?, has_code })
    }

    fn opens(&mut self, mut schedules: Vec<ScheduleRef>) -> Result<Opens, CompileError> {
        schedules.sort_unstable();
        schedules.dedup();
        if schedules.contains(&ScheduleRef::Always) {
            return Ok(Opens::Always);
        }
        if let Some(known) = self.known.get(&schedules) {
            return Ok(*known);
        }
        let stretches = union(schedules.iter().flat_map(|schedule| self.written_out(*schedule)).collect());
        let opens = if stretches.is_empty() {
            Opens::Never
        } else {
            let at = self.lists.iter().position(|list| *list == stretches).unwrap_or(self.lists.len());
            if at == self.lists.len() {
                self.lists.push(stretches);
            }
            let too_many = CompileError::TooMany { property: self.property.id(), what: "schedules" };
            Opens::At(u16::try_from(at).map_err(|_| too_many)?)
        };
        self.known.insert(schedules, opens);
        Ok(opens)
    }

    fn written_out(&self, schedule: ScheduleRef) -> Vec<(Moment, Moment)> {
        let ScheduleRef::Named(id) = schedule else { return Vec::new() };
        let Some(schedule) = self.property.schedules.get(&id) else { return Vec::new() };
        let (from, to) = self.horizon;
        openings(&schedule.hours, &self.property.holidays, &self.property.zone, from, to)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    // U1
    #[test]
    fn a_property_with_more_doors_than_can_be_numbered_is_refused_not_wrapped() {
        let site = crate::domain::site::Site::parse("site.toml", crate::testing::SITE).unwrap();
        let portfolio = site.portfolio(PortfolioId(1));
        let mut property = Property::clone(&portfolio.properties[&PropertyId(1)]);
        let horizon = (Moment::from_micros(0), Moment::from_micros(1));
        assert!(flatten(&portfolio, &property, horizon).is_ok());
        let door = Arc::clone(property.doors.values().next().unwrap());
        property.doors.extend((3..=u32::from(u16::MAX) + 1).map(|id| (DoorId(id), Arc::clone(&door))));
        let refused = flatten(&portfolio, &property, horizon);
        assert_eq!(refused, Err(CompileError::TooMany { property: PropertyId(1), what: "doors" }));
    }
}
