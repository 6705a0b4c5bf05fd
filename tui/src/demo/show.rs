//! What the demo's screen is fed with: the live view of the log, running totals, and the Keys.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, TrySendError},
    },
    time::Duration,
};

use keyward_protocol::{
    decision::Reason,
    id::{DoorId, PersonId},
};
use keyward_server::{
    access_log::{CredentialKind, LiveBatch, Outcome, Record, Subscription, View, Who},
    domain::directory::{Directory, Portfolio, Property},
    service::Inside,
};

use super::{PORTFOLIO, fleet::Tally};
use crate::app::{Counts, Event, Header, KeyRow, Link, LogRow};

/// How often the screen is fed.
const EVERY: Duration = Duration::from_millis(200);
/// The most grants that the screen takes at a time; denials always come.
const GRANTS_MAX: usize = 100;
/// Keys and totals are told every so many turns.
const TURNS_A_SECOND: u32 = 5;

/// Feeds the screen until it is gone.
pub async fn feed(inside: Inside, tally: Arc<Mutex<Tally>>, screen: SyncSender<Event>) -> Result<(), String> {
    let view = Arc::new(arc_swap::ArcSwap::from_pointee(View::all()));
    let live = inside.log.subscribe(PORTFOLIO, view, GRANTS_MAX).map_err(|error| error.to_string())?;
    let denied = BTreeMap::new();
    let mut feeder = Feeder { inside, tally, screen, live, denied, granted: 0, dropped: 0, sampled_one_in: 1, last: 0 };
    let mut tick = tokio::time::interval(EVERY);
    for turn in 0_u32.. {
        tick.tick().await;
        let directory = feeder.inside.engine.directory();
        let Some(portfolio) = directory.portfolios.get(&PORTFOLIO) else { return Ok(()) };
        let stays = if turn == 0 { feeder.header(portfolio) } else { true };
        let stays = stays && feeder.rows(portfolio, &directory);
        if !stays || (turn % TURNS_A_SECOND == 0 && !feeder.totals(portfolio)) {
            break;
        }
    }
    Ok(())
}

struct Feeder {
    inside: Inside,
    tally: Arc<Mutex<Tally>>,
    screen: SyncSender<Event>,
    live: Subscription,
    denied: BTreeMap<Reason, u64>,
    granted: u64,
    dropped: u64,
    /// One grant in so many is among the rows, as of the last batch.
    sampled_one_in: u64,
    last: u64,
}

impl Feeder {
    /// Says whether the screen is still there. A screen that is behind misses an event, which is counted.
    fn tell(&mut self, event: Event) -> bool {
        match self.screen.try_send(event) {
            Ok(()) => true,
            Err(TrySendError::Full(Event::Rows(rows))) => {
                self.dropped += rows.len() as u64;
                true
            }
            Err(TrySendError::Full(_)) => true,
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    fn header(&mut self, portfolio: &Portfolio) -> bool {
        let Some(property) = portfolio.properties.values().next() else { return true };
        let (name, zone) = (property.facts.name.clone(), property.facts.zone.clone());
        let server = "demo".to_owned();
        self.tell(Event::Header(Header { server, property: name, zone })) && self.tell(Event::Keys(keys(property)))
    }

    fn rows(&mut self, portfolio: &Portfolio, directory: &Directory) -> bool {
        let Some(batch) = self.live.take() else { return true };
        let LiveBatch { counts, rows, dropped, sampled_one_in, .. } = batch;
        self.sampled_one_in = sampled_one_in;
        self.granted += counts.iter().map(|count| count.granted).sum::<u64>();
        self.dropped += dropped;
        let mut shown = Vec::with_capacity(rows.len());
        for record in &rows {
            if let Outcome::Denied(reason) = record.outcome {
                *self.denied.entry(reason).or_default() += 1;
            }
            shown.push(row(record, portfolio, directory));
        }
        self.tell(Event::Rows(shown))
    }

    fn totals(&mut self, portfolio: &Portfolio) -> bool {
        let (p50_us, p99_us) = {
            let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            (tally.latency_us.value_at_quantile(0.50), tally.latency_us.value_at_quantile(0.99))
        };
        let denied: u64 = self.denied.values().sum();
        let total = self.granted + denied;
        let counts = Counts {
            granted: self.granted,
            denied,
            by_reason: self.denied.iter().map(|(reason, count)| (*reason, *count)).collect(),
            per_second: (total - self.last) as f64,
            shown_one_in: self.sampled_one_in,
            dropped: self.dropped,
            p50_us,
            p99_us,
            revision: portfolio.revision,
        };
        self.last = total;
        let up = Link::Up { round_trip_us: Some(p50_us) };
        self.tell(Event::Link(up)) && self.tell(Event::Counts(counts))
    }
}

fn row(record: &Record, portfolio: &Portfolio, directory: &Directory) -> LogRow {
    let person = |id: PersonId| portfolio.people.get(&id).map(|person| person.name.clone()).unwrap_or_default();
    let property = portfolio.property_with_door(record.door);
    let (name, host) = match record.who {
        Who::Nobody => (String::new(), None),
        Who::Person(id) => (person(id), None),
        Who::Guest { person: guest, host } => (person(guest), Some(person(host))),
        Who::Carrier(id) => (directory.carriers.get(&id).map(|found| found.name.clone()).unwrap_or_default(), None),
    };
    let door = |id: DoorId| property.and_then(|property| property.doors.get(&id)).map(|door| door.name.clone());
    LogRow {
        at: record.time,
        granted: record.outcome.is_granted(),
        reason: match record.outcome {
            Outcome::Granted => None,
            Outcome::Denied(reason) => Some(reason),
        },
        door: door(record.door).unwrap_or_else(|| record.door.to_string()),
        person: name,
        host,
        key: property.and_then(|property| property.key_name(record.key)).unwrap_or_default().to_owned(),
        kind: match record.kind {
            CredentialKind::Mobile => "phone",
            CredentialKind::Card => "card",
            CredentialKind::Code => "code",
            CredentialKind::Carrier => "carrier",
        },
    }
}

fn keys(property: &Property) -> Vec<KeyRow> {
    let mut rows: Vec<KeyRow> = property
        .keys
        .values()
        .map(|key| {
            let doors = property.key_doors(key);
            let mut hours: Vec<String> =
                doors.values().flatten().map(|opening| hours(property, opening.schedule)).collect();
            hours.sort();
            hours.dedup();
            KeyRow {
                name: key.name.clone(),
                doors: doors.len() as u64,
                people: property.holders_of(key.id).filter(|giving| !giving.ended).count() as u64,
                may_share: key.may_share,
                hours: hours.join(" / "),
                system: false,
            }
        })
        .collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(key) = property.deliveries {
        let doors = property.doors.values().filter(|door| door.takes_deliveries()).count() as u64;
        let name = property.key_name(key).unwrap_or_default().to_owned();
        rows.push(KeyRow { name, doors, people: 0, may_share: false, hours: "carrier-managed".into(), system: true });
    }
    rows
}

fn hours(property: &Property, schedule: keyward_server::domain::directory::ScheduleRef) -> String {
    use keyward_server::domain::directory::ScheduleRef;
    match schedule {
        ScheduleRef::Always => "always".to_owned(),
        ScheduleRef::Named(id) => {
            property.schedules.get(&id).map(|schedule| schedule.hours.to_string()).unwrap_or_default()
        }
    }
}
