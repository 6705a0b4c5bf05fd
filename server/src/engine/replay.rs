//! Doing again what the journal says was done, and holding what follows from it against what followed then (K9).
//!
//! A start from the journal alone does every change there ever was. Reading and decoding frames goes on in front of
//! that, on a thread of its own; each thread frees what it allocated, since few allocators like it otherwise.

use std::{io, path::Path, sync::Arc, thread};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use keyward_protocol::{id::PortfolioId, time::Moment};

use super::books::ReplayError;
use crate::{
    domain::{
        directory::{Directory, Portfolio},
        effects::{self, KeyDoorsMemo},
        event::Change,
    },
    parallel,
    store::{
        journal::{self, OpenError, Visit},
        record::{Entry, add_part, decode_directory, only_tells},
    },
};

/// Entries that go to the other thread together.
const TOGETHER: usize = 256;
/// Such groups that may wait there.
const WAITING: usize = 16;

/// Entries with their frames' numbers.
type Entries = Vec<(u64, Entry)>;

/// A Directory to which the journal's entries are done one after the other.
#[derive(Default)]
pub(super) struct Replay {
    pub directory: Directory,
    doors_of: KeyDoorsMemo,
}

impl Replay {
    /// Goes on from a Directory.
    pub fn from(directory: Directory) -> Replay {
        Replay { directory, doors_of: KeyDoorsMemo::default() }
    }

    /// Does what an entry says. After an error nothing here is worth anything.
    pub fn entry(&mut self, bytes: &[u8]) -> Result<(), ReplayError> {
        self.apply(&Entry::decode(bytes)?)
    }

    /// Does what `read` shows: it reads the journal, on this thread. Says what `read` came to, and how many entries
    /// there were. The first error ends it all.
    pub fn all<R>(
        &mut self,
        read: impl FnOnce(&mut Visit<'_, ReplayError>) -> Result<R, OpenError<ReplayError>>,
    ) -> Result<(R, u64), AllError> {
        let (decoded, to_do) = bounded(WAITING);
        let (done, to_free) = unbounded();
        thread::scope(|scope| {
            let named = thread::Builder::new().name("replay".to_owned());
            let doing = named.spawn_scoped(scope, move || self.do_all(&to_do, &done)).map_err(AllError::Thread)?;
            let read = decode_all(read, decoded, &to_free);
            // What stands before an error in reading is done too: it may have one itself, which comes before.
            parallel::joined(doing).map_err(AllError::Entry)?;
            read
        })
    }

    fn do_all(&mut self, entries: &Receiver<Entries>, done: &Sender<Entries>) -> Result<(), (u64, ReplayError)> {
        for entries in entries {
            for (sequence, entry) in &entries {
                self.apply(entry).map_err(|why| (*sequence, why))?;
            }
            // At the end nobody takes them back any more.
            _ = done.send(entries);
        }
        Ok(())
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), ReplayError> {
        match entry {
            Entry::Acted(_) => Ok(()),
            Entry::Carrier(carrier) => {
                self.directory.carriers.insert(carrier.id, carrier.clone());
                Ok(())
            }
            Entry::Restored(restored) => {
                add_part(&mut self.directory, decode_directory(&restored.part)?);
                Ok(())
            }
            Entry::Change(change) => self.change(change),
        }
    }

    fn change(&mut self, change: &Change) -> Result<(), ReplayError> {
        // Taken out: where nobody else has what was before, the step's codes are put in without copying what is there.
        let before = self.directory.portfolios.remove(&change.portfolio);
        let before = before.unwrap_or_else(|| Arc::new(Portfolio::new(change.portfolio, String::new())));
        let stepped = effects::step_with(&mut self.doors_of, &before, &change.causes, change.at);
        if stepped.effects.digest() != change.digest || stepped.effects.codes_made.len() != change.commitments.len() {
            return Err(ReplayError::Differs);
        }
        drop(before);
        let after = effects::finish(stepped, &change.commitments, change.at);
        self.directory.portfolios.insert(change.portfolio, Arc::new(after));
        Ok(())
    }
}

/// Why there is no portfolio of a past moment.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// It was not there yet, or what was then is not in this journal: a repair began it later.
    #[error("nothing is known of that moment")]
    Before,
    /// The journal can't be read, or done again.
    #[error("{0}")]
    Unreadable(String),
}

/// A portfolio as it was at a moment (U6): everything that its journal says up to then, done again. Reads beside a running
/// server, up to the frame `head`; takes as long as a start without snapshots does.
pub fn portfolio_at(
    journal: &Path,
    head: u64,
    portfolio: PortfolioId,
    at: Moment,
) -> Result<Arc<Portfolio>, PastError> {
    enum Stop {
        Reached,
        Before,
        Replay(ReplayError),
    }
    let mut replay = Replay::default();
    let read = journal::read(journal, 0, &mut |sequence, bytes| {
        if only_tells(bytes) {
            return Ok(());
        }
        match Entry::decode(bytes).map_err(|error| Stop::Replay(error.into()))? {
            _ if sequence > head => Err(Stop::Reached),
            Entry::Restored(restored) if restored.at > at => Err(Stop::Before),
            Entry::Change(change) if change.portfolio != portfolio => Ok(()),
            Entry::Change(change) if change.at > at => Err(Stop::Reached),
            entry => replay.apply(&entry).map_err(Stop::Replay),
        }
    });
    match read {
        Ok(_) | Err(OpenError::Visit { cause: Stop::Reached, .. }) => {}
        Err(OpenError::Visit { cause: Stop::Before, .. }) => return Err(PastError::Before),
        Err(OpenError::Visit { cause: Stop::Replay(error), .. }) => {
            return Err(PastError::Unreadable(error.to_string()));
        }
        Err(OpenError::Journal(error)) => return Err(PastError::Unreadable(error.to_string())),
    }
    replay.directory.portfolios.get(&portfolio).cloned().ok_or(PastError::Before)
}

/// Why not everything could be done again.
#[derive(Debug)]
pub(super) enum AllError {
    /// The journal can't be read.
    Read(OpenError<ReplayError>),
    /// This frame has an entry that can't be done, or from which something else follows now.
    Entry((u64, ReplayError)),
    /// The machine has no thread left.
    Thread(io::Error),
}

fn decode_all<R>(
    read: impl FnOnce(&mut Visit<'_, ReplayError>) -> Result<R, OpenError<ReplayError>>,
    decoded: Sender<Entries>,
    to_free: &Receiver<Entries>,
) -> Result<(R, u64), AllError> {
    let (mut together, mut count) = (Vec::with_capacity(TOGETHER), 0);
    let read = read(&mut |sequence, bytes| {
        // The audit trail's: nothing follows from it, and the frame's checksum has been looked at.
        if only_tells(bytes) {
            return Ok(());
        }
        together.push((sequence, Entry::decode(bytes)?));
        count += 1;
        if together.len() == TOGETHER {
            let next = to_free.try_iter().last().map_or_else(|| Vec::with_capacity(TOGETHER), cleared);
            // Nobody does them any more: there was an error, which is told there.
            decoded.send(std::mem::replace(&mut together, next)).map_err(|_| ReplayError::Differs)?;
        }
        Ok(())
    });
    _ = decoded.send(together);
    Ok((read.map_err(AllError::Read)?, count))
}

fn cleared(mut entries: Entries) -> Entries {
    entries.clear();
    entries
}
