//! Compiled indexes over a restart: written behind the publisher's back, read at the next start.
//!
//! An index is kept with a digest of everything that it was compiled from, and is used again only where that data,
//! digested anew, agrees: whatever was lost, restored or changed meanwhile, nothing is judged by an index of other
//! data. What does not agree is compiled; the worst that the shelf can do costs time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use keyward_protocol::{id::*, time::Moment};

use crate::{
    domain::{
        directory::{Portfolio, Property},
        hours::days_later,
    },
    index::archive::{self, Loaded},
    store::{Shelf, ShelfError, ShelfKey, record::encode_without_codes},
};

/// Indexes are put on the shelf together, this long after the first of them was published.
const TOGETHER: Duration = Duration::from_secs(1);
/// An index from the shelf must hold for so many days more; else it is compiled anew.
const DAYS_LEFT_MIN: i64 = 8;
/// And must have held for so many already, for a clock that is set back after the start.
const DAYS_HELD_MIN: i64 = 1;

/// Keeps compiled indexes on the shelf, from a thread of its own.
pub struct Keeper {
    shelf: Arc<Shelf>,
    lineage: [u8; 16],
    jobs: Sender<Job>,
    thread: Option<JoinHandle<()>>,
}

/// A property's index as it was published.
struct Kept {
    portfolio: Arc<Portfolio>,
    sequence: u64,
    index: Arc<Loaded>,
}

enum Job {
    /// Put it, or take it off the shelf.
    Keep(ShelfKey, Option<Kept>),
    Stop,
}

impl Keeper {
    /// Opens the shelf in `path`. `None` when it can't be used: then everything is compiled at each start. Says where
    /// a damaged one was set aside.
    pub fn open(path: &Path, lineage: [u8; 16]) -> (Option<Keeper>, Option<PathBuf>) {
        let opened = match Shelf::open(path) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(%error, "the persisted index can't be used: every start compiles it");
                return (None, None);
            }
        };
        let shelf = Arc::new(opened.shelf);
        let (jobs, queue) = crossbeam_channel::unbounded();
        let writer = Writer { shelf: Arc::clone(&shelf), lineage, queue };
        let thread = std::thread::Builder::new().name("index-shelf".into()).spawn(move || writer.run());
        match thread {
            Ok(thread) => (Some(Keeper { shelf, lineage, jobs, thread: Some(thread) }), opened.set_aside),
            Err(error) => {
                tracing::warn!(%error, "the persisted index can't be used: every start compiles it");
                (None, opened.set_aside)
            }
        }
    }

    /// The index of a property as its data is now, if it is on the shelf and holds for days to come.
    pub fn load(&self, portfolio: &Portfolio, property: &Property, now: Moment) -> Option<Loaded> {
        let shelved = self.shelf.get(key(portfolio.id, property.id()))?;
        // Checked like any bytes that come from outside.
        let loaded = Loaded::new(&shelved.bytes).ok().filter(|loaded| loaded.property() == property.id())?;
        let (from, to) = loaded.horizon();
        let holds = from <= days_later(now, -DAYS_HELD_MIN) && days_later(now, DAYS_LEFT_MIN) < to;
        (holds && shelved.digest == digest(&self.lineage, portfolio, property, (from, to))).then_some(loaded)
    }

    /// Keeps a property's index, which was published at this frame of the journal; soon, and not here.
    pub fn keep(&self, portfolio: &Arc<Portfolio>, sequence: u64, index: &Arc<Loaded>) {
        let kept = Kept { portfolio: Arc::clone(portfolio), sequence, index: Arc::clone(index) };
        // The thread ends with this handle only.
        _ = self.jobs.send(Job::Keep(key(portfolio.id, index.property()), Some(kept)));
    }

    /// Takes a property off the shelf.
    pub fn remove(&self, portfolio: PortfolioId, property: PropertyId) {
        _ = self.jobs.send(Job::Keep(key(portfolio, property), None));
    }

    /// Takes everything off the shelf that `is_there` does not know.
    pub fn retain(&self, is_there: impl Fn(PortfolioId, PropertyId) -> bool) {
        for key in self.shelf.keys().unwrap_or_default() {
            let (portfolio, property) = (PortfolioId(key.portfolio), PropertyId(key.property));
            if !is_there(portfolio, property) {
                self.remove(portfolio, property);
            }
        }
    }
}

impl Drop for Keeper {
    /// Puts what waits on the shelf.
    fn drop(&mut self) {
        _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the persisted index ended with a panic");
        }
    }
}

fn key(portfolio: PortfolioId, property: PropertyId) -> ShelfKey {
    ShelfKey { portfolio: portfolio.0, property: property.0 }
}

/// Of everything that a property's index is compiled from: its record (codes have a table of their own, which is never
/// kept; who has one matters), its people's credentials and suspensions, the changes of its zone's clock within the
/// horizon, the layout.
fn digest(lineage: &[u8; 16], portfolio: &Portfolio, property: &Property, horizon: (Moment, Moment)) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("keyward compiled index 2");
    hasher.update(lineage);
    hasher.update(&archive::FORMAT.to_le_bytes());
    let record = encode_without_codes(property);
    hasher.update(&(record.len() as u64).to_le_bytes());
    hasher.update(&record);
    let hosts = property.givings.values().map(|giving| giving.person);
    let guests = property.shares.values().map(|share| share.guest);
    let coded = property.code_of.keys().map(|(person, _)| *person);
    let mut people: Vec<PersonId> = hosts.chain(guests).chain(coded).collect();
    people.sort_unstable();
    people.dedup();
    // In one piece: the hash takes a few bytes at a time much slower.
    let mut credentials = Vec::with_capacity(people.len() * 32);
    for person in people.iter().filter_map(|id| portfolio.people.get(id)) {
        credentials.extend(person.id.0.to_le_bytes());
        credentials.push(u8::from(person.suspended));
        credentials.extend(person.mobile.to_le_bytes());
        credentials.extend((person.cards.len() as u64).to_le_bytes());
        for card in &person.cards {
            credentials.extend((card.bytes().len() as u64).to_le_bytes());
            credentials.extend_from_slice(card.bytes());
        }
    }
    hasher.update(&credentials);
    let (from, to) = (horizon.0.timestamp(), horizon.1.timestamp());
    hasher.update(&horizon.0.as_micros().to_le_bytes());
    hasher.update(&horizon.1.as_micros().to_le_bytes());
    hasher.update(&property.zone.to_offset(from).seconds().to_le_bytes());
    for change in property.zone.following(from).take_while(|change| change.timestamp() < to) {
        hasher.update(&change.timestamp().as_second().to_le_bytes());
        hasher.update(&change.offset().seconds().to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Puts on the shelf what was published.
struct Writer {
    shelf: Arc<Shelf>,
    lineage: [u8; 16],
    queue: Receiver<Job>,
}

impl Writer {
    fn run(self) {
        let mut stop = false;
        while !stop {
            // Only the last index of each property counts.
            let mut waiting: BTreeMap<ShelfKey, Option<Kept>> = BTreeMap::new();
            let mut until: Option<Instant> = None;
            loop {
                let next = match until {
                    None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    Some(until) => self.queue.recv_deadline(until),
                };
                match next {
                    Ok(Job::Keep(key, kept)) => {
                        waiting.insert(key, kept);
                        until.get_or_insert_with(|| Instant::now() + TOGETHER);
                    }
                    Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => {
                        stop = true;
                        break;
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            if let Err(error) = self.put(waiting) {
                tracing::warn!(%error, "compiled indexes can't be kept: the next start compiles them again");
            }
        }
    }

    fn put(&self, waiting: BTreeMap<ShelfKey, Option<Kept>>) -> Result<(), ShelfError> {
        if waiting.is_empty() {
            return Ok(());
        }
        for (key, kept) in waiting {
            let property = |kept: &Kept| kept.portfolio.properties.get(&kept.index.property()).cloned();
            match kept.as_ref().and_then(|kept| Some((kept, property(kept)?))) {
                Some((kept, property)) => {
                    let digest = digest(&self.lineage, &kept.portfolio, &property, kept.index.horizon());
                    self.shelf.put(key, kept.sequence, digest, kept.index.bytes())?;
                }
                None => self.shelf.remove(key)?,
            }
        }
        self.shelf.flush()
    }
}
