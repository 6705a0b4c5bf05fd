//! Live views of the access log: what an operator may see of it, as it is written.
//!
//! What may be seen is asked again before each batch is put together (L2): a door that leaves the viewer's Keys is out
//! of the next batch, one that comes is in it, and a view whose owner is no manager any more ends.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use keyward_protocol::{
    decision::Reason,
    entry::Party,
    id::*,
    message::watch::{self, LiveBatch, LiveRow, Names, Shown, Subscribe},
};
use tokio::time::Instant;

use super::manage::taken;
use crate::{
    access_log::{self, AccessLog, CredentialKind, Outcome, Record, SharedView, Subscription, View},
    domain::{
        directory::{Directory, Portfolio},
        permission::{self, Sight},
    },
    engine::Engine,
    identity::Principal,
    net::{self, Feed, Later, Peer},
};

/// Opens live views.
pub struct Watch {
    engine: Engine,
    log: AccessLog,
}

impl Watch {
    /// Views of this log, as far as this engine's Directory lets each viewer see.
    pub fn new(engine: Engine, log: AccessLog) -> Watch {
        Watch { engine, log }
    }
}

impl net::Watch for Watch {
    fn subscribe(&self, who: &Peer, payload: Vec<u8>) -> Result<Box<dyn Feed>, String> {
        let Principal::Operator { portfolio, person } = who.principal else {
            return Err("only an operator's certificate may watch the log: join as one".to_owned());
        };
        let wanted = Subscribe::decode(&payload).map_err(|error| error.to_string())?;
        let viewer = Viewer { portfolio, person, identity: who.identity, wanted };
        let directory = self.engine.directory();
        let manages = directory.portfolios.get(&portfolio).is_some_and(|found| permission::is_manager(found, person));
        if !manages || taken(&directory, who).is_err() {
            return Err("not permitted: being a manager is missing".to_owned());
        }
        // Nothing until what may be seen is worked out, before the first batch.
        let view: SharedView = Arc::new(ArcSwap::from_pointee(View::of_doors([])));
        let grants_max = viewer.wanted.grants_max as usize;
        let subscription = self.log.subscribe(portfolio, Arc::clone(&view), grants_max);
        Ok(Box::new(Live {
            engine: self.engine.clone(),
            seen: None,
            viewer: Arc::new(viewer),
            view,
            subscription: subscription.map_err(|error| error.to_string())?,
            not_before: Instant::now(),
        }))
    }
}

/// Who watches, and what of it they want.
struct Viewer {
    portfolio: PortfolioId,
    person: PersonId,
    /// By which of their keys they are here: the view ends with it.
    identity: IdentityId,
    wanted: Subscribe,
}

/// What of the log somebody may see and wants; `None` for somebody who is no manager.
pub(super) fn view(
    portfolio: &Portfolio,
    person: PersonId,
    property: Option<PropertyId>,
    doors: Option<&[DoorId]>,
) -> Option<View> {
    let sight = Sight::of(portfolio, person).ok()?;
    let wanted: Option<HashSet<DoorId>> = doors.map(|doors| doors.iter().copied().collect());
    let doors = (sight.properties())
        .filter(|of| property.is_none_or(|wanted| wanted == of.id()))
        .flat_map(|of| sight.doors_in_sight(of))
        .filter(|door| wanted.as_ref().is_none_or(|wanted| wanted.contains(door)));
    // Attempts that are kept against a lock are for Portfolio Managers (L1), unless some doors are asked for.
    let strays = sight.is_portfolio_manager() && property.is_none() && wanted.is_none();
    Some(View { doors: Some(doors.collect()), strays })
}

impl Viewer {
    fn revision(&self, directory: &Directory) -> Option<u64> {
        directory.portfolios.get(&self.portfolio).map(|portfolio| portfolio.revision)
    }

    fn view(&self, directory: &Directory) -> Option<View> {
        let portfolio = directory.portfolios.get(&self.portfolio)?;
        portfolio.admissions.proves(self.identity, Party::Operator(self.person)).then_some(())?;
        view(portfolio, self.person, self.wanted.property, self.wanted.doors.as_deref())
    }
}

/// One live view.
struct Live {
    engine: Engine,
    viewer: Arc<Viewer>,
    view: SharedView,
    /// The portfolio's revision that `view` was worked out at.
    seen: Option<u64>,
    subscription: Subscription,
    /// Batches come no faster than was asked for.
    not_before: Instant,
}

impl Feed for Live {
    fn next(&mut self) -> Later<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            loop {
                tokio::time::sleep_until(self.not_before).await;
                let goes_on = self.subscription.arrived().await;
                let mut directory = self.engine.directory();
                // Until it is that of the data as it is: what was taken out of a view does not show in it once more.
                while self.viewer.revision(&directory) != self.seen {
                    // Large portfolios take their time: not on a thread that serves locks.
                    let (viewer, there) = (Arc::clone(&self.viewer), Arc::clone(&directory));
                    let view = tokio::task::spawn_blocking(move || viewer.view(&there)).await.ok()?;
                    self.view.store(Arc::new(view?));
                    self.seen = self.viewer.revision(&directory);
                    directory = self.engine.directory();
                }
                if let Some(batch) = self.subscription.take() {
                    self.not_before = Instant::now() + Duration::from_millis(self.viewer.wanted.every_ms.into());
                    let portfolio = directory.portfolios.get(&self.viewer.portfolio)?;
                    return Some(shown(&directory, portfolio, self.viewer.person, batch).encode());
                }
                if !goes_on {
                    return None;
                }
            }
        })
    }
}

/// A batch as this viewer is shown it: Keys that they don't manage are another's (L2), and what is named in it.
fn shown(directory: &Directory, portfolio: &Portfolio, person: PersonId, batch: access_log::LiveBatch) -> LiveBatch {
    let rows: Vec<LiveRow> = batch.rows.iter().map(|record| row(portfolio, person, record)).collect();
    let count = |count: &access_log::DoorSecond| watch::DoorSecond {
        door: count.door,
        second: count.second,
        granted: count.granted,
        denied: count.denied,
    };
    LiveBatch {
        sequence: batch.sequence,
        names: names(directory, portfolio, &rows, batch.counts.iter().filter_map(|count| count.door)),
        counts: batch.counts.iter().map(count).collect(),
        rows,
        sampled_one_in: batch.sampled_one_in,
        passed_over: batch.passed_over,
        dropped: batch.dropped,
    }
}

/// The names of what stands in the rows, and of these doors.
pub(super) fn names(
    directory: &Directory,
    portfolio: &Portfolio,
    rows: &[LiveRow],
    doors: impl Iterator<Item = DoorId>,
) -> Names {
    let mut people = BTreeSet::new();
    let mut carriers = BTreeSet::new();
    for row in rows {
        match row.who {
            watch::Who::Nobody => {}
            watch::Who::Person(person) => _ = people.insert(person),
            watch::Who::Guest { person, host } => people.extend([person, host]),
            watch::Who::Carrier(carrier) => _ = carriers.insert(carrier),
        }
    }
    let known_doors = rows.iter().filter(|row| row.denied != Some(Reason::UnknownDoor)).map(|row| row.door);
    let doors: BTreeSet<DoorId> = known_doors.chain(doors).collect();
    let keys: BTreeSet<KeyId> = rows.iter().filter_map(|row| row.key).collect();
    let person_name = |id: PersonId| Some((id, portfolio.people.get(&id)?.name.clone()));
    let door_name = |id: DoorId| Some((id, portfolio.property_with_door(id)?.doors.get(&id)?.name.clone()));
    let key_name = |id: KeyId| Some((id, portfolio.property_with_key(id)?.key_name(id)?.to_owned()));
    let carrier_name = |id: CarrierId| Some((id, directory.carriers.get(&id)?.name.clone()));
    Names {
        people: people.into_iter().filter_map(person_name).collect(),
        doors: doors.into_iter().filter_map(door_name).collect(),
        keys: keys.into_iter().filter_map(key_name).collect(),
        carriers: carriers.into_iter().filter_map(carrier_name).collect(),
    }
}

/// A record as this viewer is shown it.
pub(super) fn row(portfolio: &Portfolio, viewer: PersonId, record: &Record) -> LiveRow {
    let decided = record.key.some();
    let key = decided.filter(|key| permission::manages(portfolio, viewer, *key));
    LiveRow {
        time: record.time,
        revision: record.revision,
        door: record.door,
        who: match record.who {
            access_log::Who::Nobody => watch::Who::Nobody,
            access_log::Who::Person(person) => watch::Who::Person(person),
            access_log::Who::Guest { person, host } => watch::Who::Guest { person, host },
            access_log::Who::Carrier(carrier) => watch::Who::Carrier(carrier),
        },
        key,
        another_key: decided.is_some() && key.is_none(),
        lock: record.lock.some(),
        shown: match record.kind {
            CredentialKind::Mobile => Shown::Mobile,
            CredentialKind::Card => Shown::Card,
            CredentialKind::Code => Shown::Code,
            CredentialKind::Carrier => Shown::Carrier,
        },
        denied: match record.outcome {
            Outcome::Granted => None,
            Outcome::Denied(reason) => Some(reason),
        },
    }
}
