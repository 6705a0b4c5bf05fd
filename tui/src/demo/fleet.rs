//! The fleet: one QUIC connection a lock, asking as people come to its doors.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use keyward_protocol::{
    client::{ClientIdentity, Connection},
    code::{Credential, Digits},
    id::DoorId,
    message::check::Outcome,
};
use keyward_server::service::Inside;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{sync::watch, task::JoinSet};

use super::town::Town;

/// The longest pause between two people at one lock.
const PAUSE_MAX: Duration = Duration::from_millis(200);
const DEADLINE: Duration = Duration::from_secs(10);

/// What the fleet was answered.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Doors that opened.
    pub granted: u64,
    /// Doors that the server kept shut.
    pub denied: u64,
    /// Checks that were not answered: the door stays shut.
    pub unanswered: u64,
    /// Microseconds from asking to the answer.
    pub latency_us: Histogram<u64>,
}

/// Every lock of the building at work.
pub struct Fleet {
    locks: JoinSet<()>,
    stop: watch::Sender<bool>,
    tally: Arc<Mutex<Tally>>,
}

impl Fleet {
    /// Connects every lock and lets people come.
    pub async fn start(town: Arc<Town>, inside: &Inside) -> Result<Fleet, String> {
        let (stop, stopped) = watch::channel(false);
        let latency_us = Histogram::new_with_bounds(1, 60_000_000, 3).map_err(|error| error.to_string())?;
        let tally = Arc::new(Mutex::new(Tally { granted: 0, denied: 0, unanswered: 0, latency_us }));
        let mut locks = JoinSet::new();
        for (number, (identity, doors)) in town.locks.iter().enumerate() {
            let connection = connect(inside, identity).await?;
            let lock = Lock {
                connection,
                doors: doors.clone(),
                town: Arc::clone(&town),
                random: StdRng::seed_from_u64(number as u64),
                tally: Arc::clone(&tally),
            };
            locks.spawn(lock.work(stopped.clone()));
        }
        Ok(Fleet { locks, stop, tally })
    }

    /// What was answered so far.
    fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets every lock finish the check in hand, and says what was answered.
    pub async fn stop(mut self) -> Tally {
        _ = self.stop.send(true);
        while self.locks.join_next().await.is_some() {}
        self.tally()
    }
}

async fn connect(inside: &Inside, identity: &ClientIdentity) -> Result<Connection, String> {
    Connection::connect(inside.address, identity, DEADLINE).await.map_err(|error| error.to_string())
}

struct Lock {
    connection: Connection,
    doors: Vec<DoorId>,
    town: Arc<Town>,
    random: StdRng,
    tally: Arc<Mutex<Tally>>,
}

impl Lock {
    async fn work(mut self, stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            let pause = self.random.random_range(Duration::ZERO..PAUSE_MAX);
            tokio::time::sleep(pause).await;
            let Some(door) = self.doors.choose(&mut self.random).copied() else { return };
            let credential = self.somebody(door);
            let asked = Instant::now();
            let answer = self.connection.check(door, credential).await;
            let micros = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            match (answer.error, answer.outcome) {
                (Some(_), _) | (None, Outcome::Retry | Outcome::Behind) => tally.unanswered += 1,
                (None, Outcome::Granted) => tally.granted += 1,
                (None, Outcome::Denied) => tally.denied += 1,
            }
            tally.latency_us.saturating_record(micros);
        }
        self.connection.close();
    }

    /// Whoever comes to the door: mostly people who have it, some who don't, a driver, a stranger, a wrong code.
    fn somebody(&mut self, door: DoorId) -> Credential {
        let random = &mut self.random;
        let of = |list: &[Credential], random: &mut StdRng| list.choose(random).cloned();
        let chosen = match random.random_range(0..100) {
            0..90 => self.town.at_door.get(&door).and_then(|list| of(list, random)),
            90..93 => of(&self.town.everyone, random),
            93..94 => of(&self.town.carriers, random),
            94..98 => wrong_code(random),
            _ => None,
        };
        chosen.unwrap_or_else(|| Credential::Mobile(random.next_u64()))
    }
}

fn wrong_code(random: &mut StdRng) -> Option<Credential> {
    let digits = format!("{:07}", random.random_range(0..10_000_000));
    Digits::parse(digits.as_bytes()).map(Credential::Code)
}
