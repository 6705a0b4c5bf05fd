//! The segments that are there, and how much of each may be read.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use keyward_protocol::time::Moment;

use super::gaps::Gaps;
use super::segment::{Chunk, Damage, Hash, Lineage, Met, SEGMENT_HEADER_BYTES, SegmentHeader, Walk};

/// One segment file, as readers see it.
pub(super) struct Segment {
    pub path: PathBuf,
    /// The sequence of its first record.
    pub first: u64,
    /// Readers go no further than this byte: what is before it is on disk.
    durable_bytes: AtomicU64,
    /// The times of the records before `durable_bytes`; all of time while that isn't known.
    earliest: AtomicI64,
    latest: AtomicI64,
}

impl Segment {
    /// A segment that is being written; nothing of it may be read yet.
    pub fn empty(path: PathBuf, first: u64) -> Self {
        Segment {
            path,
            first,
            durable_bytes: AtomicU64::new(0),
            earliest: AtomicI64::new(i64::MAX),
            latest: AtomicI64::new(i64::MIN),
        }
    }

    /// A segment of `bytes` bytes whose times nobody has looked at.
    pub fn found(path: PathBuf, first: u64, bytes: u64) -> Self {
        let all = Segment::empty(path, first);
        all.publish(Times::ALL, bytes);
        all
    }

    /// Lets readers go up to `bytes`; the records that this adds have `times`.
    pub fn publish(&self, times: Times, bytes: u64) {
        // Times first: who sees the bytes sees times that cover them.
        self.earliest.fetch_min(times.earliest.as_micros(), Ordering::Release);
        self.latest.fetch_max(times.latest.as_micros(), Ordering::Release);
        self.durable_bytes.store(bytes, Ordering::Release);
    }

    /// Sets the times of a segment that is no longer written, now that somebody has read all its headers.
    pub fn settle(&self, times: Times) {
        self.earliest.store(times.earliest.as_micros(), Ordering::Release);
        self.latest.store(times.latest.as_micros(), Ordering::Release);
    }

    pub fn durable_bytes(&self) -> u64 {
        self.durable_bytes.load(Ordering::Acquire)
    }

    /// Whether a record before `durable_bytes` may have a time from `from` to before `until`.
    pub fn may_overlap(&self, from: Moment, until: Moment) -> bool {
        self.latest.load(Ordering::Acquire) >= from.as_micros()
            && self.earliest.load(Ordering::Acquire) < until.as_micros()
    }
}

/// The earliest and the latest time of some records; empty until one is added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Times {
    pub earliest: Moment,
    pub latest: Moment,
}

impl Times {
    pub const ALL: Times = Times { earliest: Moment::MIN, latest: Moment::MAX };
    pub const NONE: Times = Times { earliest: Moment::MAX, latest: Moment::MIN };

    pub fn add(&mut self, earliest: Moment, latest: Moment) {
        self.earliest = self.earliest.min(earliest);
        self.latest = self.latest.max(latest);
    }
}

/// The segments in order. Readers take the whole list and keep it; the writer puts a new list in its place.
pub(super) struct Catalog(ArcSwap<Vec<Arc<Segment>>>);

impl Catalog {
    pub fn new(segments: Vec<Arc<Segment>>) -> Self {
        Catalog(ArcSwap::from_pointee(segments))
    }

    pub fn load(&self) -> Arc<Vec<Arc<Segment>>> {
        self.0.load_full()
    }

    /// Adds `segment` at the end. One that began with the same record has nothing on disk and gives way.
    pub fn push(&self, segment: Arc<Segment>) {
        let mut segments: Vec<Arc<Segment>> = self.load().as_ref().clone();
        segments.retain(|before| before.first < segment.first);
        segments.push(segment);
        self.0.store(Arc::new(segments));
    }
}

/// Each segment with the sequence at which the next one takes over. What a segment holds from there on was never
/// acknowledged: its flush failed, and the next one has those records again.
pub(super) fn with_ends(segments: &[Arc<Segment>]) -> impl DoubleEndedIterator<Item = (&Arc<Segment>, u64)> {
    let ends = segments.iter().skip(1).map(|next| next.first).chain([u64::MAX]);
    segments.iter().zip(ends.collect::<Vec<_>>())
}

/// What a full reading of one segment found.
pub(super) struct Inspection {
    /// The header, if it is whole.
    pub header: Option<SegmentHeader>,
    /// What can be kept.
    pub kept: Kept,
    /// Bytes after that: a write that was cut short.
    pub torn_bytes: u64,
    pub damage: Vec<Damage>,
}

/// The part of a segment up to some byte.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub bytes: u64,
    /// The sequence after the last record.
    pub next: u64,
    /// The hash of the last chunk, or the one that the segment's header names; `None` when neither is whole.
    pub hash: Option<Hash>,
    pub times: Times,
    /// The first records of the first chunk and of the last one, and the times of those chunks.
    pub ends: Option<[(u64, Times); 2]>,
}

/// Which records a segment is expected to hold.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    /// The one that its name says.
    pub first: u64,
    /// The one that the next segment begins with; `u64::MAX` for the last.
    pub end: u64,
    /// Those before this have to be there: all before `end`, less what a repair told as lost.
    pub reach: u64,
    /// Those before this were on disk, whatever the chunks say.
    pub flushed: u64,
}

impl Expected {
    /// Of a segment with one behind it that begins with record `end`.
    pub fn before(end: u64, first: u64, gaps: &Gaps) -> Expected {
        Expected { first, end, reach: gaps.reach(end), flushed: 0 }
    }

    /// Of the last segment of a log whose records before `anchored` were on disk.
    pub fn last(first: u64, anchored: u64, gaps: &Gaps) -> Expected {
        let reach = gaps.reach(anchored);
        Expected { first, end: u64::MAX, reach, flushed: reach }
    }
}

/// Reads all of a segment.
///
/// Holes past what a later chunk calls flushed were left by a power cut, and nobody was told of the records there:
/// the first of those is where the segment is torn. Every other hole is damage.
pub(super) fn inspect(path: &Path, expected: Expected, lineage: &Lineage) -> io::Result<Inspection> {
    let Expected { first, end, reach, flushed } = expected;
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let header = SegmentHeader::read(&file, path)?.filter(|header| header.first == first);
    let mut walk = Walk::new(&file, header.as_ref().map_or(lineage, |header| &header.lineage), bytes);
    let mut reading = Reading::new(path, first, header.as_ref());
    reading.flushed = flushed;
    while let Some(met) = walk.step()? {
        match met {
            Met::Chunk(chunk) if chunk.header.sequence >= end => break,
            Met::Chunk(chunk) => match walk.read(&chunk)? {
                Some(body) => reading.chunk(&chunk, body.hash),
                None => reading.hole(chunk.at),
            },
            Met::Bad { byte } => reading.hole(byte),
        }
    }
    Ok(reading.finish(header, bytes, reach))
}

/// An inspection on its way.
struct Reading<'a> {
    path: &'a Path,
    kept: Kept,
    /// What stood before each hole.
    holes: Vec<Kept>,
    /// Whether the last thing met was a hole, behind which numbers and hashes don't join.
    behind_hole: bool,
    /// The log was on disk up to this sequence, by the word of the chunks themselves.
    flushed: u64,
    damage: Vec<Damage>,
}

impl<'a> Reading<'a> {
    fn new(path: &'a Path, first: u64, header: Option<&SegmentHeader>) -> Self {
        let hash = header.map(|header| header.previous);
        let kept = Kept { bytes: SEGMENT_HEADER_BYTES as u64, next: first, hash, times: Times::NONE, ends: None };
        let mut reading = Reading { path, kept, holes: Vec::new(), behind_hole: false, flushed: 0, damage: Vec::new() };
        if header.is_none() {
            reading.damage(0, "the segment's header is not one that this release writes");
            reading.behind_hole = true;
        }
        reading
    }

    fn damage(&mut self, byte: u64, what: &'static str) {
        self.damage.push(Damage { file: self.path.to_owned(), byte, sequence: self.kept.next, what });
    }

    fn hole(&mut self, byte: u64) {
        self.holes.push(Kept { bytes: byte, ..self.kept });
        self.behind_hole = true;
    }

    fn chunk(&mut self, chunk: &Chunk, hash: Hash) {
        let header = &chunk.header;
        if header.sequence < self.kept.next {
            self.damage(chunk.at, "a chunk stands here that belongs before the last one");
        } else if header.sequence > self.kept.next && !self.behind_hole {
            self.damage(chunk.at, "records are missing before this chunk");
        } else if self.kept.hash != Some(header.previous) && !self.behind_hole {
            self.damage(chunk.at, "the chain of hashes does not join here");
        }
        self.behind_hole = false;
        self.flushed = self.flushed.max(header.on_disk);
        self.kept.next = self.kept.next.max(header.end());
        self.kept.hash = Some(hash);
        self.kept.times.add(header.earliest, header.latest);
        let this = (header.sequence, Times { earliest: header.earliest, latest: header.latest });
        self.kept.ends = Some([self.kept.ends.map_or(this, |[first, _]| first), this]);
        self.kept.bytes = chunk.at + header.length();
    }

    fn finish(mut self, header: Option<SegmentHeader>, bytes: u64, reach: u64) -> Inspection {
        let torn = self.holes.iter().position(|hole| hole.next >= self.flushed);
        let mut holes = std::mem::take(&mut self.holes);
        if let Some(hole) = torn.and_then(|torn| holes.drain(torn..).next()) {
            self.kept = hole;
        }
        for hole in holes {
            let what = "a chunk is not what was written";
            self.damage.push(Damage { file: self.path.to_owned(), byte: hole.bytes, sequence: hole.next, what });
        }
        if self.kept.next < reach {
            self.damage(self.kept.bytes, "records are missing at the end of the segment");
        }
        let torn_bytes = if torn.is_some() { bytes.saturating_sub(self.kept.bytes) } else { 0 };
        Inspection { header, kept: self.kept, torn_bytes, damage: self.damage }
    }
}
