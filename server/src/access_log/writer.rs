//! The writer: one thread that takes batches out of the rings and puts them on disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::anchor;
use super::catalog::{Segment, Times};
use super::disk::{Disk, DiskFile};
use super::ring::{Handed, Ring};
use super::segment::{Framer, Hash, Lineage, SEGMENT_HEADER_BYTES, SegmentHeader, file_name};
use super::shared::{Round, Shared};
use super::{Config, Mode};
use crate::disk::is_no_room;

/// Where the log is, and which one it is.
#[derive(Clone)]
pub(super) struct Place {
    pub directory: PathBuf,
    pub lineage: Lineage,
}

/// The segment that is being written.
pub(super) struct Open {
    pub file: Box<dyn DiskFile>,
    pub info: Arc<Segment>,
    /// Its length, with what isn't flushed yet.
    pub bytes: u64,
    /// The times of its records.
    pub times: Times,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    disk: Box<dyn Disk>,
    place: Place,
    config: Config,
    segment: Open,
    framer: Framer,
    /// The framer as it was at the last flush: where the log goes on if the segment has to be abandoned.
    durable: Framer,
    /// INVARIANT: the batches framed since the last flush, then those that are about to be.
    unflushed: Vec<Handed>,
    /// The times of `unflushed`.
    times: Times,
    last_flush: Option<Instant>,
    /// The record that the anchor names, and when it was last written.
    anchored: u64,
    anchored_at: Option<Instant>,
    bytes: Vec<u8>,
}

/// The disk failed, and so did writing to another file.
struct Failed {
    /// The log is being shut down: there is no later.
    closing: bool,
}

/// How far the anchor may be behind the log.
const ANCHOR_EVERY: Duration = Duration::from_secs(1);
/// How long a log that failed waits before it tries the disk again: room may have been made.
const TRY_AGAIN_EVERY: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 1_000 });

/// What to do after a round.
enum Next {
    Round,
    Sleep,
    Nap(Duration),
    End,
}

impl Writer {
    /// Goes on in `segment`, or begins a new one when there is none that can be appended to. `previous` is the hash of
    /// the last chunk.
    pub fn new(
        shared: Arc<Shared>,
        mut disk: Box<dyn Disk>,
        place: Place,
        config: Config,
        segment: Option<Open>,
        previous: Hash,
    ) -> io::Result<Writer> {
        let framer = Framer::new(&place.lineage, shared.next_sequence.load(Ordering::Acquire), previous);
        let segment = match segment {
            Some(segment) => segment,
            None => {
                let segment = begin_segment(disk.as_mut(), &place, &framer)?;
                shared.catalog.push(segment.info.clone());
                segment
            }
        };
        Ok(Writer {
            shared,
            disk,
            place,
            config,
            segment,
            durable: framer.clone(),
            framer,
            unflushed: Vec::new(),
            times: Times::NONE,
            last_flush: None,
            anchored: 0,
            anchored_at: None,
            bytes: Vec::new(),
        })
    }

    /// Works until the log is shut down. While the disk fails the log takes nothing, keeps what it has, and tries
    /// again now and then.
    pub fn run(mut self) {
        let mut end = End { shared: self.shared.clone(), failed: true };
        loop {
            if self.time_until_anchor().is_some_and(|left| left.is_zero()) {
                self.write_anchor();
            }
            match self.round() {
                Ok(Next::Round) => {}
                Ok(Next::Sleep) => self.shared.sleep(self.time_until_anchor()),
                Ok(Next::Nap(duration)) => self.shared.nap(duration),
                Ok(Next::End) => {
                    self.write_anchor();
                    break end.failed = false;
                }
                Err(Failed { closing: true }) => break,
                Err(Failed { closing: false }) => {
                    self.shared.fail();
                    self.shared.nap(TRY_AGAIN_EVERY);
                }
            }
        }
    }

    /// How long the anchor may stay behind; `None` when it is not.
    fn time_until_anchor(&self) -> Option<Duration> {
        let behind = self.anchored != self.durable.sequence;
        behind.then(|| ANCHOR_EVERY.saturating_sub(self.anchored_at.map_or(ANCHOR_EVERY, |at| at.elapsed())))
    }

    fn write_anchor(&mut self) {
        let next = self.durable.sequence;
        if self.anchored == next {
            return;
        }
        let path = anchor::path_of(&self.place.directory);
        self.anchored_at = Some(Instant::now());
        match self.disk.write_whole(&path, &anchor::encode(&self.place.lineage, next)) {
            Ok(()) => self.anchored = next,
            // It only tells whether the log's end is there.
            Err(cause) => tracing::warn!(%cause, "the access log's anchor could not be written"),
        }
    }

    fn round(&mut self) -> Result<Next, Failed> {
        let Round { number: round, closing } = self.shared.begin_round();
        let failed = |_| Failed { closing };
        if self.shared.is_failed() {
            let fresh = self.drain();
            self.begin_again().map_err(failed)?;
            tracing::info!("the access log can be written again: what waited is on disk");
            self.shared.recover();
            self.shared.complete_round(round);
            self.hand_on();
            return Ok(self.next(fresh, closing));
        }
        self.roll_if_due().map_err(failed)?;
        let fresh = self.drain();
        if fresh > 0 {
            self.write(fresh).map_err(failed)?;
        }
        if self.is_dirty() {
            match self.time_until_flush() {
                Some(left) if !closing => return Ok(Next::Nap(left)),
                _ => self.flush().map_err(failed)?,
            }
        }
        self.shared.complete_round(round);
        self.hand_on();
        Ok(self.next(fresh, closing))
    }

    fn next(&self, fresh: usize, closing: bool) -> Next {
        if !closing {
            return if fresh == 0 { Next::Sleep } else { Next::Round };
        }
        if self.shared.rings.iter().all(Ring::is_quiet) {
            return Next::End;
        }
        // Someone has taken a place in a ring and is about to fill it.
        thread::yield_now();
        Next::Round
    }

    /// Takes what is in the rings, batches of one portfolio side by side; how many.
    fn drain(&mut self) -> usize {
        let before = self.unflushed.len();
        for (shard, ring) in self.shared.rings.iter().enumerate() {
            ring.drain(shard, &mut self.unflushed);
        }
        let fresh = self.unflushed.get_mut(before..).unwrap_or_default();
        // A stable sort: within a portfolio and a shard the order of arrival stays.
        fresh.sort_by_key(|handed| handed.batch.portfolio);
        for record in fresh.iter().flat_map(|handed| &handed.batch.records) {
            self.times.add(record.time, record.time);
        }
        fresh.len()
    }

    /// Writes the last `fresh` batches of `unflushed`.
    fn write(&mut self, fresh: usize) -> io::Result<()> {
        match self.append_from(self.unflushed.len() - fresh) {
            Ok(()) => Ok(()),
            Err(error) => self.rescue(&error),
        }
    }

    /// Frames and appends `unflushed` from this index on.
    fn append_from(&mut self, index: usize) -> io::Result<()> {
        self.bytes.clear();
        let fresh = self.unflushed.get(index..).unwrap_or_default();
        for run in fresh.chunk_by(|a, b| a.batch.portfolio == b.batch.portfolio) {
            let Some(first) = run.first() else { continue };
            let records = run.iter().flat_map(|handed| &handed.batch.records);
            self.framer.frame(&mut self.bytes, first.batch.portfolio, self.durable.sequence, records);
        }
        self.segment.times.add(self.times.earliest, self.times.latest);
        self.segment.bytes += self.bytes.len() as u64;
        self.segment.file.append(&self.bytes)
    }

    fn is_dirty(&self) -> bool {
        self.framer.sequence != self.durable.sequence
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.segment.file.flush() {
            Ok(()) => {
                self.mark_durable();
                Ok(())
            }
            Err(error) => self.rescue(&error),
        }
    }

    /// How long a flush can wait; `None` when it is due.
    fn time_until_flush(&self) -> Option<Duration> {
        match self.shared.mode {
            Mode::Strict => None,
            Mode::Relaxed => {
                Mode::RELAXED_FLUSH_EVERY.checked_sub(self.last_flush?.elapsed()).filter(|left| !left.is_zero())
            }
        }
    }

    fn mark_durable(&mut self) {
        self.last_flush = Some(Instant::now());
        let added = self.framer.sequence - self.durable.sequence;
        self.durable = self.framer.clone();
        self.segment.info.publish(self.times, self.segment.bytes);
        self.times = Times::NONE;
        self.shared.durable_records.fetch_add(added, Ordering::Release);
        self.shared.next_sequence.store(self.durable.sequence, Ordering::Release);
    }

    /// Shows what is on disk to live views, and gives the vectors back.
    fn hand_on(&mut self) {
        self.shared.hub.publish(self.unflushed.iter().map(|handed| &handed.batch));
        for Handed { shard, batch } in self.unflushed.drain(..) {
            self.shared.rings.get(shard).inspect(|ring| ring.recycle(batch.records));
        }
    }

    /// Begins a new segment when this one is full or holds an hour.
    fn roll_if_due(&mut self) -> io::Result<()> {
        if !self.is_roll_due() {
            return Ok(());
        }
        if self.is_dirty() {
            self.flush()?;
        }
        self.hand_on();
        match begin_segment(self.disk.as_mut(), &self.place, &self.framer) {
            Ok(segment) => {
                self.shared.catalog.push(segment.info.clone());
                self.segment = segment;
            }
            Err(error) => self.rescue(&error)?,
        }
        Ok(())
    }

    /// By the records' own times: the log needs no clock for it, and a restart changes nothing.
    fn is_roll_due(&self) -> bool {
        let Times { earliest, latest } = self.segment.times;
        let holds_records = self.segment.bytes > SEGMENT_HEADER_BYTES as u64;
        holds_records
            && (self.segment.bytes >= self.config.segment_bytes
                || latest >= earliest.plus_seconds(self.config.segment_seconds))
    }

    /// Abandons the segment after `cause` and puts what memory still holds into a new one. After a failed flush the
    /// system may report success for pages that it has thrown away, so the old file is never written again.
    fn rescue(&mut self, cause: &io::Error) -> io::Result<()> {
        let alarms = self.shared.alarms.fetch_add(1, Ordering::AcqRel) + 1;
        let file = self.segment.info.path.display();
        tracing::error!(%file, %cause, alarms, "the access log could not be written: going on in a new segment");
        self.begin_again().inspect_err(|cause| {
            let records = self.shared.accepted() - self.shared.durable_records.load(Ordering::Acquire);
            let what = match is_no_room(cause) {
                true => "the access log has no room: free some on its disk; until then it takes no more records",
                false => "the access log has failed: until its disk works again it takes no more records",
            };
            tracing::error!(%cause, records, what);
        })
    }

    /// Puts everything that is not on disk into a new segment. After an error nothing of that segment is left, so that
    /// trying again fills no disk.
    fn begin_again(&mut self) -> io::Result<()> {
        self.framer = self.durable.clone();
        self.segment = begin_segment(self.disk.as_mut(), &self.place, &self.framer)?;
        let written = self.append_from(0).and_then(|()| self.segment.file.flush());
        written.inspect_err(|_| {
            _ = self.disk.remove(&self.segment.info.path);
        })?;
        self.shared.catalog.push(self.segment.info.clone());
        self.mark_durable();
        Ok(())
    }
}

/// Makes a segment that goes on where `framer` stands, on disk with its header.
fn begin_segment(disk: &mut dyn Disk, place: &Place, framer: &Framer) -> io::Result<Open> {
    let path = path_of(&place.directory, framer.sequence);
    let mut file = disk.create(&path)?;
    let header = SegmentHeader { lineage: place.lineage, first: framer.sequence, previous: framer.previous };
    let begun = file.append(&header.encode()).and_then(|()| file.flush());
    begun.inspect_err(|_| {
        // Nothing is in it, and its name is wanted again.
        _ = disk.remove(&path);
    })?;
    let info = Arc::new(Segment::empty(path, framer.sequence));
    Ok(Open { file, info, bytes: SEGMENT_HEADER_BYTES as u64, times: Times::NONE })
}

fn path_of(directory: &Path, first: u64) -> PathBuf {
    directory.join(file_name(first))
}

/// Tells everyone when the writer stops, even by a panic: nobody may wait for it any longer.
struct End {
    shared: Arc<Shared>,
    failed: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.end(self.failed);
    }
}
