//! The access log: every attempt, granted or denied, recorded before it is answered (L1).
//!
//! Cores hand batches of records to bounded rings; one writer thread takes them out, frames them
//! into chunks of segment files and flushes; a search reads what is on disk, and [live
//! views](hub) are shown it. Nothing here reads a clock for what it writes: a record's time is its check's.
//!
//! What can be relied on:
//!
//! - In [`Mode::Strict`] a ticket is fulfilled when its batch is on disk. Who answers only then has told nobody of an
//!   attempt that a power cut could take out of the log.
//! - In [`Mode::Relaxed`] who answers without waiting risks the records of the last 50 ms and of the flush on the way;
//!   [`AccessLog::status`] says how many those are.
//! - A full ring makes its producers wait. Nothing is dropped, not even when the disk is slow.
//! - When a write or a flush fails, the log goes on in a new segment with what memory still holds. If that fails too,
//!   because the disk is full or broken, the log says so, takes nothing more, and tries again every second; what it had
//!   taken is written then. If it is shut down before, the records without a fulfilled ticket may be missing.
//! - Damage found in a file never keeps the log from opening. It is reported, and what is good around it is read.

mod anchor;
mod bytes;
mod catalog;
mod disk;
mod gaps;
pub mod hub;
mod mend;
pub mod record;
pub mod ring;
pub mod search;
mod segment;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use keyward_protocol::id::PortfolioId;

use self::catalog::{Catalog, Expected, Inspection, Segment, Times, inspect, with_ends};
use self::disk::{Disk, RealDisk};
use self::gaps::Gaps;
pub use self::gaps::{GAPS_FILE, Gap};
pub use self::hub::{DoorSecond, LiveBatch, SharedView, Subscription, TooManySubscriptions, View};
pub use self::mend::{Mend, Piece, plan as plan_mend};
pub use self::record::{CredentialKind, Outcome, Record, Who};
use self::ring::Ring;
pub use self::ring::{Batch, Ended, LogError, Producer, PushError, Ticket};
use self::search::Reader;
pub use self::search::{Cursor, Page, Query, Span, Totals, Wanted};
pub use self::segment::{Damage, FORMAT_VERSION, Lineage};
use self::segment::{Hash, SEGMENT_HEADER_BYTES, SegmentHeader, genesis, parse_file_name};
use self::shared::Shared;
use self::writer::{Open, Place, Writer};

/// A segment is followed by a new one once it has this many bytes.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// A segment is followed by a new one once its records span this many seconds.
pub const SEGMENT_SECONDS: i64 = 3_600;
/// Batches that one ring holds.
pub const RING_BATCHES: usize = 256;

/// When a batch counts as recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// When it is on disk: answers wait for that. The default.
    #[default]
    Strict,
    /// When it was handed over; it is on disk some 50 ms later.
    Relaxed,
}

impl Mode {
    /// How far apart flushes are in [`Mode::Relaxed`].
    pub const RELAXED_FLUSH_EVERY: Duration = Duration::from_millis(50);
}

/// How the log is kept; [`Config::default`] but for `mode` and `shards`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// When a batch counts as recorded.
    pub mode: Mode,
    /// How many rings there are: one for each core that judges checks. At least 1.
    pub shards: usize,
    /// See [`RING_BATCHES`]. At least 1.
    pub ring_batches: usize,
    /// See [`SEGMENT_BYTES`].
    pub segment_bytes: u64,
    /// See [`SEGMENT_SECONDS`].
    pub segment_seconds: i64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            mode: Mode::Strict,
            shards: 1,
            ring_batches: RING_BATCHES,
            segment_bytes: SEGMENT_BYTES,
            segment_seconds: SEGMENT_SECONDS,
        }
    }
}

/// What was found when the log was opened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OpenReport {
    /// Segments that can be read.
    pub segments: usize,
    /// The number of the record that comes next.
    pub next_sequence: u64,
    /// A write that was cut short by a stop: nobody was told that its records were kept.
    pub torn: Option<Torn>,
    /// What can't be read in the last segment, or is missing before the first. Older ones are checked by [`AccessLog::verify`], and by every search
    /// as far as it reads them.
    pub damage: Vec<Damage>,
}

/// The end of a segment that was cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Torn {
    /// The segment.
    pub file: PathBuf,
    /// Where it ends now.
    pub byte: u64,
    /// How many bytes there were behind that.
    pub bytes: u64,
}

/// Why the log can't be opened. Damage is no reason.
#[derive(Debug, thiserror::Error)]
#[error("the access log in `{}` can't be opened: {cause}", directory.display())]
pub struct OpenError {
    /// The log's directory.
    pub directory: PathBuf,
    /// What the system said.
    #[source]
    pub cause: io::Error,
}

/// How the log is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogStatus {
    /// When a batch counts as recorded.
    pub mode: Mode,
    /// The log takes nothing until its disk works again, which failed twice.
    pub failed: bool,
    /// Segments that were abandoned since the log was opened, because the disk failed.
    pub alarms: u64,
    /// Records handed over since the log was opened.
    pub accepted: u64,
    /// How many of those are on disk.
    pub durable: u64,
    /// How many are not: what a power cut would take now.
    pub exposed: u64,
    /// The number of the record that comes next; those before it are on disk.
    pub next_sequence: u64,
    /// Segment files.
    pub segments: usize,
}

/// The log. Clones are handles of the same one; the last one that is dropped shuts it down.
#[derive(Clone)]
pub struct AccessLog(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    gaps: Gaps,
    lineage: Lineage,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl AccessLog {
    /// Opens the log in `directory` and starts its writer. Nothing else may have it open.
    pub fn open(
        directory: &Path,
        lineage: Lineage,
        mode: Mode,
        shards: usize,
    ) -> Result<(AccessLog, OpenReport), OpenError> {
        AccessLog::open_with(directory, lineage, Config { mode, shards, ..Config::default() })
    }

    /// [`AccessLog::open`] with everything to choose.
    pub fn open_with(directory: &Path, lineage: Lineage, config: Config) -> Result<(AccessLog, OpenReport), OpenError> {
        AccessLog::open_at(&crate::disk::Disk::new(), directory, lineage, config)
    }

    /// [`AccessLog::open_with`], with the disk as an argument.
    pub fn open_at(
        disk: &crate::disk::Disk,
        directory: &Path,
        lineage: Lineage,
        config: Config,
    ) -> Result<(AccessLog, OpenReport), OpenError> {
        AccessLog::open_on(Box::new(RealDisk(disk.clone())), directory, lineage, config)
    }

    fn open_on(
        disk: Box<dyn Disk>,
        directory: &Path,
        lineage: Lineage,
        config: Config,
    ) -> Result<(AccessLog, OpenReport), OpenError> {
        let place = Place { directory: directory.to_owned(), lineage };
        start(disk, place, config).map_err(|cause| OpenError { directory: directory.to_owned(), cause })
    }

    /// The way into the log for the core with this number; numbers past the last shard begin at the first again.
    pub fn producer(&self, shard: usize) -> Producer {
        Producer::new(self.shared().clone(), shard)
    }

    /// Watches `portfolio` live, as far as `view` sees at each moment (L3). A batch has at most `grants_max` grants.
    pub fn subscribe(
        &self,
        portfolio: PortfolioId,
        view: SharedView,
        grants_max: usize,
    ) -> Result<Subscription, TooManySubscriptions> {
        self.shared().hub.subscribe(portfolio, view, grants_max)
    }

    /// Searches what is on disk (L3). Reads files: not for a thread that serves connections.
    pub fn search(&self, query: &Query) -> io::Result<Page> {
        self.read(|reader| reader.search(query))
    }

    /// Adds up what is on disk, of one portfolio or of all. Reads files, like [`AccessLog::search`].
    pub fn totals(&self, portfolio: Option<PortfolioId>, span: &Span) -> io::Result<Totals> {
        self.read(|reader| reader.totals(portfolio, span))
    }

    /// Calls `each` with the portfolio, the number and every record of `span` in the order of arrival; gives back
    /// the places that could not be read.
    pub fn visit(&self, span: &Span, each: impl FnMut(PortfolioId, u64, &Record)) -> io::Result<Vec<Damage>> {
        self.read(|reader| reader.visit(span, each))
    }

    /// Reads the whole log but for the segment that is being written, and says where it isn't what was written.
    pub fn verify(&self) -> io::Result<Vec<Damage>> {
        let segments = self.shared().catalog.load();
        let mut damage = self.0.gaps.missing_first().into_iter().collect::<Vec<_>>();
        for (segment, end) in with_ends(&segments).filter(|(_, end)| *end != u64::MAX) {
            let expected = Expected::before(end, segment.first, &self.0.gaps);
            damage.extend(inspect(&segment.path, expected, &self.0.lineage)?.damage);
        }
        Ok(damage)
    }

    /// The number of the record that comes next; those before it are on disk.
    pub fn next_sequence(&self) -> u64 {
        self.shared().next_sequence.load(Ordering::Acquire)
    }

    /// Records that were handed over and aren't on disk yet.
    pub fn exposed(&self) -> u64 {
        self.status().exposed
    }

    /// How the log is doing.
    pub fn status(&self) -> LogStatus {
        let shared = self.shared();
        // In this order: what is durable was accepted before.
        let durable = shared.durable_records.load(Ordering::Acquire);
        let accepted = shared.accepted();
        LogStatus {
            mode: shared.mode,
            failed: shared.is_failed(),
            alarms: shared.alarms.load(Ordering::Acquire),
            accepted,
            durable,
            exposed: accepted.saturating_sub(durable),
            next_sequence: self.next_sequence(),
            segments: shared.catalog.load().len(),
        }
    }

    /// Takes no more batches, puts those that were handed over on disk, ends live views and waits for the writer to
    /// end. Blocks; calling it again does nothing.
    pub fn shutdown(&self) -> Result<(), LogError> {
        self.0.shutdown()
    }

    fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> io::Result<T>) -> io::Result<T> {
        let segments = self.shared().catalog.load();
        read(&Reader { segments: &segments, gaps: &self.0.gaps, lineage: &self.0.lineage })
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}

impl Inner {
    fn shutdown(&self) -> Result<(), LogError> {
        self.shared.close();
        // Held until the writer has ended: whoever else calls this waits as well.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = writer.take().is_none_or(|writer| writer.join().is_ok());
        if ended && !self.shared.is_failed() { Ok(()) } else { Err(LogError::Failed) }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.shutdown() {
            tracing::error!(%error, "the access log ended without writing everything");
        }
    }
}

/// What there is of a log, read whole while nothing has it open. Changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Examined {
    /// Segment files.
    pub segments: usize,
    /// The number of the record that comes next.
    pub next_sequence: u64,
    /// Bytes of a write at the end that was cut short: nobody was told that its records were kept.
    pub torn_bytes: u64,
    /// What can't be read.
    pub damage: Vec<Damage>,
    /// What a repair told as lost.
    pub gaps: Vec<Gap>,
}

/// Reads every segment in `directory`. A directory that is not there holds none.
pub fn examine(directory: &Path, lineage: &Lineage) -> io::Result<Examined> {
    let mut found = Examined { next_sequence: 1, ..Examined::default() };
    if !directory.is_dir() {
        return Ok(found);
    }
    let files = begun(list(directory)?)?;
    let gaps = Gaps::read(directory, &files, lineage)?;
    let anchored = anchor::read(directory, lineage)?.unwrap_or(0);
    found.damage.extend(gaps.damage.clone());
    found.damage.extend(gaps.missing_first());
    for segment in with_next(&files) {
        let (_, inspection) = inspected(segment, &gaps, anchored, lineage)?;
        found.segments += 1;
        found.next_sequence = found.next_sequence.max(inspection.kept.next);
        found.torn_bytes = inspection.torn_bytes;
        found.damage.extend(inspection.damage);
    }
    if files.is_empty() && gaps.reach(anchored) > 1 {
        found.damage.push(missing(directory, 1));
    }
    found.next_sequence = found.next_sequence.max(gaps.end()).max(anchored);
    found.gaps = gaps.all;
    Ok(found)
}

/// Each segment with the record that the next one begins with; `u64::MAX` for the last.
fn with_next(files: &[(u64, PathBuf)]) -> impl Iterator<Item = (u64, &Path, u64)> {
    let ends = files.iter().skip(1).map(|(first, _)| *first).chain([u64::MAX]);
    files.iter().zip(ends).map(|((first, path), end)| (*first, path.as_path(), end))
}

/// A segment [with its next](with_next), and which record has to be behind those that are there; `anchored` is that of
/// the whole log.
fn inspected(
    (first, path, end): (u64, &Path, u64),
    gaps: &Gaps,
    anchored: u64,
    lineage: &Lineage,
) -> io::Result<(u64, Inspection)> {
    let expected = match end == u64::MAX {
        true => Expected::last(first, anchored, gaps),
        false => Expected::before(end, first, gaps),
    };
    Ok((expected.reach, inspect(path, expected, lineage)?))
}

/// The segments but for one at the end that a stop left before it had a whole header: nothing was in it.
fn begun(mut files: Vec<(u64, PathBuf)>) -> io::Result<Vec<(u64, PathBuf)>> {
    while let Some((_, path)) = files.last() {
        let file = fs::File::open(path)?;
        if file.metadata()?.len() > SEGMENT_HEADER_BYTES as u64 || SegmentHeader::read(&file, path)?.is_some() {
            break;
        }
        files.pop();
    }
    Ok(files)
}

fn start(mut disk: Box<dyn Disk>, place: Place, config: Config) -> io::Result<(AccessLog, OpenReport)> {
    disk.create_directory(&place.directory)?;
    let found = Found::look(&place, disk.as_mut())?;
    let resumed = match &found.last {
        Some((info, inspection)) if found.can_go_on(inspection, &place.lineage) => {
            let file = disk.resume(&info.path, inspection.kept.bytes)?;
            Some(Open { file, info: info.clone(), bytes: inspection.kept.bytes, times: inspection.kept.times })
        }
        _ => None,
    };
    let report = found.report;
    let rings = (0..config.shards.max(1)).map(|_| Ring::new(config.ring_batches.max(1))).collect();
    let catalog = Catalog::new(found.segments);
    let shared = Arc::new(Shared::new(config.mode, rings, catalog, report.next_sequence));
    let lineage = place.lineage;
    let writer = Writer::new(shared.clone(), disk, place, config, resumed, found.previous)?;
    let thread = thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run())?;
    let inner = Inner { shared, gaps: found.gaps, lineage, writer: Mutex::new(Some(thread)) };
    Ok((AccessLog(Arc::new(inner)), report))
}

/// What stands in the log's directory.
struct Found {
    segments: Vec<Arc<Segment>>,
    /// The last segment, read whole.
    last: Option<(Arc<Segment>, Inspection)>,
    /// The hash of the last chunk.
    previous: Hash,
    gaps: Gaps,
    report: OpenReport,
}

impl Found {
    fn look(place: &Place, disk: &mut dyn Disk) -> io::Result<Found> {
        let mut files = list(&place.directory)?;
        let begun = begun(files.clone())?;
        let mut found = Found {
            segments: Vec::new(),
            last: None,
            previous: genesis(&place.lineage),
            gaps: Gaps::read(&place.directory, &begun, &place.lineage)?,
            report: OpenReport { next_sequence: 1, ..OpenReport::default() },
        };
        found.report.damage.extend(found.gaps.damage.clone());
        found.report.damage.extend(found.gaps.missing_first());
        let anchored = anchor::read(&place.directory, &place.lineage)?.unwrap_or(0);
        let reach = found.gaps.reach(anchored);
        while let Some((first, path)) = files.pop() {
            let expected = Expected::last(first, anchored, &found.gaps);
            let inspection = inspect(&path, expected, &place.lineage)?;
            if inspection.header.is_none() && inspection.kept.next == first {
                found.set_aside(disk, first, &path, inspection)?;
                continue;
            }
            found.keep(first, path, inspection);
            break;
        }
        let older = files.into_iter().map(|(first, path)| {
            // Read for its version alone: what a later release wrote is no damage.
            let file = fs::File::open(&path)?;
            SegmentHeader::read(&file, &path)?;
            let bytes = file.metadata()?.len();
            Ok(Arc::new(Segment::found(path, first, bytes)))
        });
        let older: Vec<Arc<Segment>> = older.collect::<io::Result<_>>()?;
        found.segments.splice(0..0, older);
        found.report.segments = found.segments.len();
        if found.report.next_sequence < reach {
            let missing = || missing(&place.directory, found.report.next_sequence);
            found.report.damage.extend(found.report.damage.is_empty().then(missing));
        }
        // What was numbered is not numbered again.
        found.report.next_sequence = found.report.next_sequence.max(anchored).max(found.gaps.end());
        Ok(found)
    }

    /// Puts a file with nothing to read out of the way: its name would say that the log goes on there. A stop while
    /// a segment was begun leaves one that isn't longer than a header; any other is damage.
    fn set_aside(&mut self, disk: &mut dyn Disk, first: u64, path: &Path, inspection: Inspection) -> io::Result<()> {
        let bytes = fs::metadata(path)?.len();
        let file = disk.set_aside(path)?;
        if bytes > SEGMENT_HEADER_BYTES as u64 {
            let damage = inspection.damage.into_iter().map(|damage| Damage { file: file.clone(), ..damage });
            self.report.damage.extend(damage);
            // What it held was numbered from here on, at most up to what has room in it.
            self.report.next_sequence = self.report.next_sequence.max(first.saturating_add(segment::room_in(bytes)));
        }
        Ok(())
    }

    fn keep(&mut self, first: u64, path: PathBuf, inspection: Inspection) {
        let kept = inspection.kept;
        if inspection.torn_bytes > 0 {
            self.report.torn = Some(Torn { file: path.clone(), byte: kept.bytes, bytes: inspection.torn_bytes });
        }
        self.report.damage.extend(inspection.damage.iter().cloned());
        self.report.next_sequence = self.report.next_sequence.max(kept.next);
        self.previous = kept.hash.unwrap_or(self.previous);
        let segment = Arc::new(Segment::empty(path, first));
        // Nobody knows of what time the records are that can't be read: every search looks.
        let times = if inspection.damage.is_empty() { kept.times } else { Times::ALL };
        segment.publish(times, kept.bytes);
        self.segments.push(segment.clone());
        self.last = Some((segment, inspection));
    }

    /// Whether the last segment may be appended to. A damaged one is left as it is; what is wrong elsewhere is no reason.
    fn can_go_on(&self, inspection: &Inspection, lineage: &Lineage) -> bool {
        inspection.damage.is_empty()
            && self.report.next_sequence == inspection.kept.next
            && inspection.header.as_ref().is_some_and(|header| header.lineage == *lineage)
    }
}

/// Every segment with the log's last records is gone.
fn missing(directory: &Path, sequence: u64) -> Damage {
    let what = "the records from here on are missing";
    Damage { file: directory.to_owned(), byte: 0, sequence, what }
}

/// The segments in `directory`, by their first records.
fn list(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        files.extend(parse_file_name(&path).map(|first| (first, path)));
    }
    files.sort();
    Ok(files)
}
