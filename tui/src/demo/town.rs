//! Who lives and works at the example building, as the fleet needs it: locks, and what people show at their doors.

use std::{collections::BTreeMap, path::Path, time::Duration};

use keyward_protocol::{
    client::{self, ClientIdentity},
    code::Credential,
    id::*,
};
use keyward_server::{
    domain::{
        command::Command,
        directory::{DoorKind, LockScope, Party, Portfolio, Property},
        event::{Actor, Cause},
    },
    service::Inside,
};

use super::PORTFOLIO;

/// Doors of units that share a gateway.
const UNITS_PER_GATEWAY: usize = 20;
/// At most so many people's codes are looked up for a door.
const CODES_PER_DOOR: usize = 12;

/// A lock's certificate that is as old as this is renewed at a start; it is good for 90 days.
const RENEW_LOCK: Duration = Duration::from_secs(30 * 86_400);
const PATIENCE: Duration = Duration::from_secs(20);

/// A lock's name, its id and its doors.
type Post = (String, LockId, Vec<DoorId>);

/// The fleet's view of the building.
pub struct Town {
    /// A certificate and the doors it may ask about, for each lock.
    pub locks: Vec<(ClientIdentity, Vec<DoorId>)>,
    /// What opens, or once opened, each door: the holders' identities, cards and codes.
    pub at_door: BTreeMap<DoorId, Vec<Credential>>,
    /// Everyone's identities: most open nothing at most doors.
    pub everyone: Vec<Credential>,
    /// Delivery partners' credentials.
    pub carriers: Vec<Credential>,
}

impl Town {
    /// Registers the fleet where that was not done before, lets each lock join that has not, and looks people up. What
    /// the locks keep of it lies in `kept`.
    pub async fn of(inside: &Inside, kept: &Path) -> Result<Town, String> {
        let here = inside.clone();
        let town = tokio::task::spawn_blocking(move || Town::people(&here)).await;
        let (mut town, posts) = town.map_err(|error| format!("the building could not be read: {error}"))??;
        for (name, lock, doors) in posts {
            let identity = joined(inside, &kept.join(lock.to_string()), Party::Lock(lock), RENEW_LOCK).await;
            town.locks.push((identity.map_err(|error| format!("{name}: {error}"))?, doors));
        }
        Ok(town)
    }

    /// The people, and each lock that is to join with its name and doors. Blocks.
    fn people(inside: &Inside) -> Result<(Town, Vec<Post>), String> {
        for carrier in ["UPS", "FedEx"] {
            inside.engine.make_carrier(carrier).map_err(|error| error.to_string())?;
        }
        let directory = inside.engine.directory();
        let portfolio =
            directory.portfolios.get(&PORTFOLIO).ok_or("the demo's portfolio is gone: start with --fresh")?;
        let property = portfolio.properties.values().next().ok_or("the demo's property is gone: start with --fresh")?;
        let mut registered = Vec::new();
        for (name, doors) in posts(property) {
            let lock = match portfolio.locks.values().find(|lock| lock.name == name) {
                Some(lock) => lock.id,
                None => register(inside, &name, &doors)?,
            };
            registered.push((name, lock, doors));
        }
        let mut at_door: BTreeMap<DoorId, Vec<Credential>> = BTreeMap::new();
        for door in property.doors.keys() {
            at_door.insert(*door, credentials_at(inside, portfolio, property, *door)?);
        }
        let carriers: Vec<Credential> =
            directory.carriers.values().map(|carrier| Credential::Mobile(carrier.mobile)).collect();
        // Drivers mostly go where parcels are taken.
        for door in property.doors.values().filter(|door| door.takes_deliveries()) {
            let known = at_door.entry(door.id).or_default();
            let drivers = known.len() / 10;
            known.extend(carriers.iter().cycle().take(drivers).cloned());
        }
        let everyone = portfolio.people.values().map(|person| Credential::Mobile(person.mobile)).collect();
        Ok((Town { locks: Vec::new(), at_door, everyone, carriers }, registered))
    }
}

/// A lock for each common door, a gateway for every twenty units.
fn posts(property: &Property) -> Vec<(String, Vec<DoorId>)> {
    let (units, common): (Vec<_>, Vec<_>) = property.doors.values().partition(|door| door.kind == DoorKind::Unit);
    let common = common.into_iter().map(|door| (format!("Lock {}", door.name), vec![door.id]));
    let gateways = units
        .chunks(UNITS_PER_GATEWAY)
        .enumerate()
        .map(|(number, units)| (format!("Gateway {}", number + 1), units.iter().map(|door| door.id).collect()));
    common.chain(gateways).collect()
}

/// The identity in `directory`: renewed where it is older than `renew_after`, joined where there is none that works.
pub async fn joined(
    inside: &Inside,
    directory: &Path,
    party: Party,
    renew_after: Duration,
) -> Result<ClientIdentity, String> {
    let identity = match ClientIdentity::load(directory).ok() {
        Some(known) => {
            let written = directory.join("certificate.pem").metadata().and_then(|found| found.modified());
            let age = written.ok().and_then(|written| written.elapsed().ok());
            if age.is_some_and(|age| age < renew_after) && stands(inside, party) {
                return Ok(known);
            }
            client::renew(inside.address, &known, PATIENCE).await.ok().map(|renewed| renewed.identity)
        }
        None => None,
    };
    let identity = match identity {
        Some(renewed) => renewed,
        None => {
            let here = inside.clone();
            let pass = tokio::task::spawn_blocking(move || here.join(PORTFOLIO, party)).await;
            let pass = pass.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
            ClientIdentity::new(pass.ca_pem.as_str(), pass.certificate_pem.as_str(), pass.key_pem.as_str())
        }
    };
    identity.save(directory).map_err(|error| error.to_string())?;
    Ok(identity)
}

/// Whether the server knows a key of this party: a demo that began anew does not.
fn stands(inside: &Inside, party: Party) -> bool {
    let directory = inside.engine.directory();
    directory.portfolios.get(&PORTFOLIO).is_some_and(|found| found.admissions.of(party).next().is_some())
}

fn register(inside: &Inside, name: &str, doors: &[DoorId]) -> Result<LockId, String> {
    let command = Command::MakeLock { name: name.to_owned(), scope: LockScope::Doors(doors.to_vec()) };
    let done = inside.engine.run(PORTFOLIO, Actor::Administrator, command).map_err(|error| error.to_string())?;
    let made = done.causes.iter().find_map(|cause| match cause {
        Cause::LockPut(lock) => Some(lock.id),
        _ => None,
    });
    made.ok_or_else(|| "the lock was not registered".to_owned())
}

/// What the people who have, or had, the door may show there.
fn credentials_at(
    inside: &Inside,
    portfolio: &Portfolio,
    property: &Property,
    door: DoorId,
) -> Result<Vec<Credential>, String> {
    let mut credentials = Vec::new();
    let with_door = property.keys.values().filter(|key| property.key_doors(key).contains_key(&door));
    let holders = with_door.flat_map(|key| property.holders_of(key.id)).map(|giving| giving.person);
    let guests = property.shares.values().map(|share| share.guest);
    for person in holders.chain(guests).filter_map(|person| portfolio.people.get(&person)) {
        credentials.push(Credential::Mobile(person.mobile));
        credentials.extend(person.cards.iter().copied().map(Credential::Card));
    }
    let codes = property.codes.values().filter(|code| code.door == door).take(CODES_PER_DOOR);
    for code in codes {
        let digits = inside.engine.reveal(PORTFOLIO, code.id).map_err(|error| error.to_string())?;
        credentials.push(Credential::Code(digits));
    }
    Ok(credentials)
}
