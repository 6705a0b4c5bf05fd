//! What lost changes did, in words.

use jiff::Timestamp;
use keyward_protocol::{id::*, time::Moment};

use crate::domain::{
    directory::{Directory, Portfolio},
    event::{Actor, Cause, Change},
};

/// What things are called, as far as that is known.
pub(super) struct Names<'a> {
    pub portfolio: &'a Portfolio,
}

impl Names<'_> {
    pub fn person(&self, id: PersonId) -> String {
        self.portfolio.people.get(&id).map_or_else(|| id.to_string(), |person| person.email.clone())
    }

    pub fn door(&self, id: DoorId) -> String {
        let property = self.portfolio.property_with_door(id);
        let door = property.and_then(|property| property.doors.get(&id));
        door.map_or_else(|| id.to_string(), |door| door.name.clone())
    }

    fn key(&self, id: KeyId) -> String {
        let property = self.portfolio.property_with_key(id);
        let key = property.and_then(|property| property.keys.get(&id));
        key.map_or_else(|| id.to_string(), |key| key.name.clone())
    }

    fn giving(&self, property: PropertyId, id: GivingId) -> String {
        let giving = self.portfolio.properties.get(&property).and_then(|property| property.givings.get(&id));
        giving.map_or_else(
            || id.to_string(),
            |giving| format!("Key `{}` of {}", self.key(giving.key), self.person(giving.person)),
        )
    }

    fn cause(&self, cause: &Cause) -> String {
        match cause {
            Cause::PortfolioMade { name } => format!("the portfolio `{name}` was made"),
            Cause::PersonPut(person) => {
                let suspended = if person.suspended { ", suspended" } else { "" };
                format!("{} ({}) was entered or edited{suspended}", person.email, person.name)
            }
            Cause::PersonDeleted(person) => format!("{} was deleted", self.person(*person)),
            Cause::PortfolioManagerSet { person, on } => {
                format!("{} {} Portfolio Manager", self.person(*person), if *on { "became" } else { "is no longer" })
            }
            Cause::DoorPut { door, .. } => format!("door `{}` was made or edited", door.name),
            Cause::DoorRemoved { door, .. } => format!("door `{}` was removed", self.door(*door)),
            Cause::KeyPut { key, .. } => format!("Key `{}` was made or edited", key.name),
            Cause::KeyDeleted { key, .. } => format!("Key `{}` was deleted", self.key(*key)),
            Cause::Given { giving, .. } => {
                format!("Key `{}` was given to {}", self.key(giving.key), self.person(giving.person))
            }
            Cause::Revoked { property, giving } => format!("{} was REVOKED", self.giving(*property, *giving)),
            Cause::Shared { share, .. } => format!("a Key was shared with {}", self.person(share.guest)),
            Cause::ShareEnded { property, share } => {
                let found = self.portfolio.properties.get(property).and_then(|property| property.shares.get(share));
                let guest = found.map_or_else(|| share.to_string(), |share| self.person(share.guest));
                format!("the share of {guest} was ENDED")
            }
            Cause::LockedDown { property, .. } => format!("{property} was LOCKED DOWN"),
            Cause::LockdownLifted { property, .. } => format!("a lockdown of {property} was lifted"),
            Cause::LevelSet { property, person, .. } => {
                format!("what {} may do in {property} was set", self.person(*person))
            }
            Cause::LockPut(lock) => format!("the lock `{}` was registered, edited or disabled", lock.name),
            Cause::SchedulePut { schedule, .. } => format!("schedule `{}` was made or edited", schedule.name),
            Cause::ScheduleRemoved { property, schedule } => format!("{schedule} of {property} was removed"),
            Cause::PropertyPut(facts) => format!("property `{}` was made or edited", facts.name),
            Cause::PropertyRemoved(property) => format!("{property} was removed"),
            Cause::HolidaysSet { property, .. } => format!("the holidays of {property} were set"),
            Cause::DeliveriesSet { property, .. } => format!("deliveries to {property} were opted in or out"),
            Cause::Expired { property, givings, .. } => {
                let ended: Vec<String> = givings.iter().map(|giving| self.giving(*property, *giving)).collect();
                format!("the clock ended {}, and does again", ended.join(", "))
            }
            Cause::QuarantineEnded { property, .. } => format!("deleted codes of {property} were released"),
            Cause::TokenMade(token) => format!("{} to join as {} was made", token.id, token.party.as_str()),
            Cause::TokenGone(token) => format!("{token} was used or revoked"),
            Cause::IdentityPut(identity) => match identity.disabled {
                true => format!("{} (`{}`) was DISABLED", identity.id, identity.label),
                false => format!("{} (`{}`) joined or was enabled", identity.id, identity.label),
            },
            Cause::IdentityGone(identity) => format!("{identity} was replaced"),
        }
    }
}

pub(super) fn tell_change(directory: &Directory, change: &Change) -> String {
    let fresh = Portfolio::new(change.portfolio, String::new());
    let names = Names { portfolio: directory.portfolios.get(&change.portfolio).map_or(&fresh, |found| found) };
    let who = match change.actor {
        Actor::Administrator => "the administrator".to_owned(),
        Actor::Person(person) | Actor::Holder(person) => names.person(person),
        Actor::Lock(lock) => lock.to_string(),
        Actor::Clock => "the clock".to_owned(),
    };
    let what: Vec<String> = change.causes.iter().map(|cause| names.cause(cause)).collect();
    let codes = match change.commitments.len() {
        0 => String::new(),
        made => format!("; {made} door codes were made, which open nothing now"),
    };
    format!("{} by {who}: {}{codes}", stamp(change.at, "%Y-%m-%d %H:%M:%SZ"), what.join("; "))
}

pub(super) fn stamp(at: Moment, format: &str) -> String {
    let seconds = at.as_micros().div_euclid(1_000_000);
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.strftime(format).to_string())
}
