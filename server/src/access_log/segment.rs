//! Segment files: how records stand on disk, and how to walk through a file that may be damaged.
//!
//! A segment is named by the first record in it, such as `0000000000000001.kwl`. All numbers are little-endian; every
//! part is a multiple of 32 bytes, so that the next good chunk can be found behind damage.
//!
//! ```text
//! segment  0       8         12     16        32               40                     72     92       96
//!          | magic | version | zero | lineage | first sequence | hash of chunk before | zero | crc32c | chunks ...
//!
//! chunk    0        4        8          16       24          28      32         40       48              56
//!          | marker | length | sequence | on disk | portfolio | count | earliest | latest | first revision |
//!          56                     88                  92                 96
//!          | hash of chunk before | crc32c of records | crc32c of header | records ...
//! ```
//!
//! Records are numbered from 1 without a gap, over all portfolios; a chunk's sequence is its first record's. Its
//! times count from `earliest`. Both checksums of a chunk begin with the lineage. `on disk` says which sequence the
//! log was flushed up to when the chunk was framed: what is at or past the highest such number may be missing after a
//! power cut (nobody was told that it was kept), what is before it may not.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use keyward_protocol::id::PortfolioId;
use keyward_protocol::time::Moment;

use super::bytes::{Fields, Put};
use super::record::{Base, RECORD_BYTES, Record};
use crate::format::NewerFormat;

/// Names one history of the server's data.
pub type Lineage = [u8; 16];
/// A blake3 hash.
pub(super) type Hash = [u8; 32];

/// The version of segments that is written, and the only one that is read.
pub const FORMAT_VERSION: u32 = 1;
/// The ending of a segment's name.
pub(super) const EXTENSION: &str = "kwl";
pub(super) const SEGMENT_HEADER_BYTES: usize = 96;
pub(super) const CHUNK_HEADER_BYTES: usize = 96;
/// The most records of a chunk: a search reads a chunk whole.
pub(super) const CHUNK_RECORDS_MAX: usize = 4_096;

/// No record has a number as great as this.
pub(super) const NUMBER_MAX: u64 = 1 << 62;

const SEGMENT_MAGIC: [u8; 8] = *b"kwacclog";
const CHUNK_MARKER: [u8; 4] = *b"kwc:";
const STEP: u64 = RECORD_BYTES as u64;
const SCAN_BYTES: usize = 1 << 20;

const _: () = assert!(SEGMENT_HEADER_BYTES.is_multiple_of(RECORD_BYTES));
const _: () = assert!(CHUNK_HEADER_BYTES.is_multiple_of(RECORD_BYTES));
const _: () = assert!(SCAN_BYTES > CHUNK_HEADER_BYTES);

/// A place in the log that can't be believed. Everything else stays readable.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the access log is damaged at record {sequence}, byte {byte} of `{}`: {what}", file.display())]
pub struct Damage {
    /// The file in which it shows.
    pub file: PathBuf,
    /// The first byte of that file that can't be believed.
    pub byte: u64,
    /// The record that should be there.
    pub sequence: u64,
    /// What is wrong.
    pub what: &'static str,
}

/// The name of the segment that begins with record `first`.
pub(super) fn file_name(first: u64) -> String {
    format!("{first:016x}.{EXTENSION}")
}

/// The first record of the segment with this name; `None` for any other file.
pub(super) fn parse_file_name(path: &Path) -> Option<u64> {
    let first = u64::from_str_radix(path.file_stem()?.to_str()?, 16).ok()?;
    let is_one = (1..NUMBER_MAX).contains(&first) && path.file_name()?.to_str()? == file_name(first);
    is_one.then_some(first)
}

/// How many records a segment of so many bytes holds at most.
pub(super) fn room_in(bytes: u64) -> u64 {
    bytes.saturating_sub((SEGMENT_HEADER_BYTES + CHUNK_HEADER_BYTES) as u64) / RECORD_BYTES as u64
}

/// What the hash before the very first chunk is.
pub(super) fn genesis(lineage: &Lineage) -> Hash {
    *blake3::hash(lineage).as_bytes()
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SegmentHeader {
    pub lineage: Lineage,
    pub first: u64,
    pub previous: Hash,
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        Put::new(&mut bytes)
            .bytes(&SEGMENT_MAGIC)
            .u32(FORMAT_VERSION)
            .u32(0)
            .bytes(&self.lineage)
            .u64(self.first)
            .bytes(&self.previous);
        seal(&mut bytes, 0);
        bytes
    }

    /// What the header says of its own version. Magic, version and checksum stand in these places in every version.
    fn version(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Option<u32> {
        let mut fields = Fields::new(sealed(bytes, 0)?);
        if fields.array()? == SEGMENT_MAGIC { fields.u32() } else { None }
    }

    pub fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Option<SegmentHeader> {
        let mut fields = Fields::new(sealed(bytes, 0)?);
        if fields.array()? != SEGMENT_MAGIC || fields.u32()? != FORMAT_VERSION || fields.u32()? != 0 {
            return None;
        }
        Some(SegmentHeader { lineage: fields.array()?, first: fields.u64()?, previous: fields.array()? })
    }

    /// The header of this file; `None` when it is no segment. One of a later release is an error: nothing may be made
    /// of it, and nothing put in its place.
    pub fn read(file: &File, path: &Path) -> io::Result<Option<SegmentHeader>> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        if file.metadata()?.len() < bytes.len() as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut bytes, 0)?;
        match SegmentHeader::version(&bytes) {
            Some(found) if found > FORMAT_VERSION => {
                let newer = NewerFormat { file: path.to_owned(), found, known: FORMAT_VERSION };
                Err(io::Error::new(io::ErrorKind::Unsupported, newer))
            }
            _ => Ok(SegmentHeader::decode(&bytes)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ChunkHeader {
    pub sequence: u64,
    pub on_disk: u64,
    pub portfolio: PortfolioId,
    pub count: u32,
    pub earliest: Moment,
    pub latest: Moment,
    pub first_revision: u64,
    pub previous: Hash,
    pub records_crc: u32,
}

impl ChunkHeader {
    /// Bytes of the whole chunk.
    pub fn length(&self) -> u64 {
        CHUNK_HEADER_BYTES as u64 + u64::from(self.count) * RECORD_BYTES as u64
    }

    /// The sequence after the last record.
    pub fn end(&self) -> u64 {
        self.sequence + u64::from(self.count)
    }

    pub fn base(&self) -> Base {
        Base { time: self.earliest, revision: self.first_revision }
    }

    fn encode(&self, lineage_crc: u32) -> [u8; CHUNK_HEADER_BYTES] {
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        let length = u32::try_from(self.length()).expect("a chunk of at most 4,096 records is small");
        Put::new(&mut bytes)
            .bytes(&CHUNK_MARKER)
            .u32(length)
            .u64(self.sequence)
            .u64(self.on_disk)
            .u32(self.portfolio.0)
            .u32(self.count)
            .i64(self.earliest.as_micros())
            .i64(self.latest.as_micros())
            .u64(self.first_revision)
            .bytes(&self.previous)
            .u32(self.records_crc);
        seal(&mut bytes, lineage_crc);
        bytes
    }

    fn decode(bytes: &[u8; CHUNK_HEADER_BYTES], lineage_crc: u32) -> Option<ChunkHeader> {
        if !bytes.starts_with(&CHUNK_MARKER) {
            return None;
        }
        let mut fields = Fields::new(sealed(bytes, lineage_crc)?);
        let (_marker, length) = (fields.u32()?, fields.u32()?);
        let header = ChunkHeader {
            sequence: fields.u64()?,
            on_disk: fields.u64()?,
            portfolio: PortfolioId(fields.u32()?),
            count: fields.u32()?,
            earliest: Moment::from_micros(fields.i64()?),
            latest: Moment::from_micros(fields.i64()?),
            first_revision: fields.u64()?,
            previous: fields.array()?,
            records_crc: fields.u32()?,
        };
        let sound = (1..=CHUNK_RECORDS_MAX as u64).contains(&u64::from(header.count))
            && u64::from(length) == header.length()
            && header.sequence.checked_add(u64::from(header.count)).is_some()
            && header.on_disk <= header.sequence
            && header.earliest <= header.latest;
        sound.then_some(header)
    }
}

/// Puts the checksum of a header into its last four bytes.
pub(super) fn seal<const N: usize>(bytes: &mut [u8; N], seed: u32) {
    let (content, crc) = bytes.split_last_chunk_mut::<4>().expect("headers are longer than a checksum");
    *crc = crc32c::crc32c_append(seed, content).to_le_bytes();
}

/// What stands before the checksum of a header, if that is right.
pub(super) fn sealed<const N: usize>(bytes: &[u8; N], seed: u32) -> Option<&[u8]> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    (crc32c::crc32c_append(seed, content).to_le_bytes() == *crc).then_some(content)
}

/// Turns records into chunks, each numbered and chained to the one before.
#[derive(Clone)]
pub(super) struct Framer {
    lineage_crc: u32,
    /// The sequence of the next record.
    pub sequence: u64,
    /// The hash of the last chunk.
    pub previous: Hash,
}

impl Framer {
    pub fn new(lineage: &Lineage, sequence: u64, previous: Hash) -> Self {
        Framer { lineage_crc: crc32c::crc32c(lineage), sequence, previous }
    }

    /// Appends chunks that hold `records`, all of `portfolio`, to `to`.
    pub fn frame<'a, R>(&mut self, to: &mut Vec<u8>, portfolio: PortfolioId, on_disk: u64, mut records: R)
    where
        R: Iterator<Item = &'a Record> + Clone,
    {
        while let Some(run) = Run::first_of(records.clone()) {
            self.frame_run(to, portfolio, on_disk, &run, records.by_ref().take(run.count as usize));
        }
    }

    fn frame_run<'a>(
        &mut self,
        to: &mut Vec<u8>,
        portfolio: PortfolioId,
        on_disk: u64,
        run: &Run,
        records: impl Iterator<Item = &'a Record>,
    ) {
        let start = to.len();
        to.resize(start + CHUNK_HEADER_BYTES, 0);
        let base = Base { time: run.earliest, revision: run.first_revision };
        for record in records {
            to.extend_from_slice(&record.encode(base).expect("a run holds what fits its base"));
        }
        let (header_bytes, body) = to
            .get_mut(start..)
            .and_then(|chunk| chunk.split_first_chunk_mut::<CHUNK_HEADER_BYTES>())
            .expect("room for the header was made above");
        let header = ChunkHeader {
            sequence: self.sequence,
            on_disk,
            portfolio,
            count: run.count,
            earliest: run.earliest,
            latest: run.latest,
            first_revision: run.first_revision,
            previous: self.previous,
            records_crc: crc32c::crc32c_append(self.lineage_crc, body),
        };
        *header_bytes = header.encode(self.lineage_crc);
        self.previous = chunk_hash(header_bytes, body);
        self.sequence = header.end();
    }
}

fn chunk_hash(header: &[u8; CHUNK_HEADER_BYTES], body: &[u8]) -> Hash {
    *blake3::Hasher::new().update(header).update(body).finalize().as_bytes()
}

/// The longest beginning of some records that one chunk can hold: times and revisions stay within what the
/// offsets reach.
struct Run {
    count: u32,
    earliest: Moment,
    latest: Moment,
    first_revision: u64,
}

impl Run {
    fn first_of<'a>(mut records: impl Iterator<Item = &'a Record>) -> Option<Run> {
        let first = records.next()?;
        let mut run = Run { count: 1, earliest: first.time, latest: first.time, first_revision: first.revision };
        let mut last_revision = first.revision;
        let reach = u64::from(u32::MAX);
        for record in records.take(CHUNK_RECORDS_MAX - 1) {
            let (earliest, latest) = (run.earliest.min(record.time), run.latest.max(record.time));
            let (low, high) = (run.first_revision.min(record.revision), last_revision.max(record.revision));
            if latest.as_micros().abs_diff(earliest.as_micros()) > reach || high - low > reach {
                break;
            }
            last_revision = high;
            run = Run { count: run.count + 1, earliest, latest, first_revision: low };
        }
        Some(run)
    }
}

/// A chunk and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    /// The first byte of its header.
    pub at: u64,
    pub header: ChunkHeader,
}

/// The records of a chunk, and its hash.
pub(super) struct Body {
    pub records: Vec<Record>,
    pub hash: Hash,
}

/// One thing met on the way through a segment.
#[derive(Debug)]
pub(super) enum Met {
    /// A chunk whose header is whole; its records haven't been looked at.
    Chunk(Chunk),
    /// Bytes from here on are no chunk; the walk goes on at the next one.
    Bad { byte: u64 },
}

/// A way through the chunks of a segment by their headers, past damage.
pub(super) struct Walk<'a> {
    file: &'a File,
    lineage_crc: u32,
    at: u64,
    end: u64,
}

impl<'a> Walk<'a> {
    /// From the first chunk up to byte `end`.
    pub fn new(file: &'a File, lineage: &Lineage, end: u64) -> Self {
        Walk { file, lineage_crc: crc32c::crc32c(lineage), at: SEGMENT_HEADER_BYTES as u64, end }
    }

    /// The next chunk or damage; `None` at the end.
    pub fn step(&mut self) -> io::Result<Option<Met>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let at = self.at;
        if let Some(header) = self.header_at(at)? {
            self.at = at + header.length();
            return Ok(Some(Met::Chunk(Chunk { at, header })));
        }
        self.at = self.next_header(at + STEP)?;
        Ok(Some(Met::Bad { byte: at }))
    }

    /// The records of `chunk`; `None` when they aren't what was written.
    pub fn read(&self, chunk: &Chunk) -> io::Result<Option<Body>> {
        let mut bytes = vec![0; chunk.header.length() as usize];
        self.file.read_exact_at(&mut bytes, chunk.at)?;
        let Some((header, body)) = bytes.split_first_chunk::<CHUNK_HEADER_BYTES>() else { return Ok(None) };
        if crc32c::crc32c_append(self.lineage_crc, body) != chunk.header.records_crc {
            return Ok(None);
        }
        let base = chunk.header.base();
        let records: Option<Vec<Record>> =
            body.chunks_exact(RECORD_BYTES).map(|bytes| Record::decode(bytes, base)).collect();
        Ok(records.map(|records| Body { records, hash: chunk_hash(header, body) }))
    }

    fn header_at(&self, at: u64) -> io::Result<Option<ChunkHeader>> {
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        if self.end.saturating_sub(at) < bytes.len() as u64 {
            return Ok(None);
        }
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(self.header_in(&bytes, at))
    }

    /// The header in `bytes`, which stand at `at`, if the chunk ends within the file.
    fn header_in(&self, bytes: &[u8; CHUNK_HEADER_BYTES], at: u64) -> Option<ChunkHeader> {
        ChunkHeader::decode(bytes, self.lineage_crc).filter(|header| header.length() <= self.end - at)
    }

    /// Where the first chunk at or after `from` begins; the end when there is none.
    fn next_header(&self, from: u64) -> io::Result<u64> {
        let mut block = vec![0; SCAN_BYTES];
        let mut from = from;
        while from < self.end {
            let length = usize::try_from(self.end - from).map_or(SCAN_BYTES, |left| left.min(SCAN_BYTES));
            let part = block.get_mut(..length).unwrap_or_default();
            self.file.read_exact_at(part, from)?;
            let places = (0_u64..).step_by(RECORD_BYTES).zip(part.windows(CHUNK_HEADER_BYTES).step_by(RECORD_BYTES));
            for (offset, window) in places {
                let header = window.first_chunk().and_then(|bytes| self.header_in(bytes, from + offset));
                if header.is_some() {
                    return Ok(from + offset);
                }
            }
            if length < SCAN_BYTES {
                break;
            }
            // The last places of the block had no room for a whole header in it: begin there again.
            from += (SCAN_BYTES - CHUNK_HEADER_BYTES + RECORD_BYTES) as u64;
        }
        Ok(self.end)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::record::tests::record;
    use super::*;

    const LINEAGE: Lineage = [4; 16];

    /// A file with one chunk for each list of records, and where each chunk begins.
    fn file_of(chunks: &[&[Record]]) -> (File, Vec<u64>, u64) {
        let mut framer = Framer::new(&LINEAGE, 1, genesis(&LINEAGE));
        let header = SegmentHeader { lineage: LINEAGE, first: 1, previous: framer.previous };
        let mut bytes = header.encode().to_vec();
        let mut starts = Vec::new();
        for records in chunks {
            starts.push(bytes.len() as u64);
            framer.frame(&mut bytes, PortfolioId(1), 1, records.iter());
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, starts, bytes.len() as u64)
    }

    fn walk(file: &File, end: u64) -> Vec<Met> {
        let mut walk = Walk::new(file, &LINEAGE, end);
        std::iter::from_fn(|| walk.step().unwrap()).collect()
    }

    #[test]
    fn headers_come_back_as_they_were_and_no_bit_can_change() {
        let header = SegmentHeader { lineage: LINEAGE, first: 77, previous: [9; 32] };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        for bit in 0..SEGMENT_HEADER_BYTES * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn names_are_read_back() {
        assert_eq!(parse_file_name(Path::new("/x/00000000000000ff.kwl")), Some(255));
        for other in [
            "0000000000000000.kwl",
            "4000000000000000.kwl",
            "ff.kwl",
            "00000000000000FF.kwl",
            "00000000000000ff.aside-1",
            "+0000000000000ff.kwl",
            "kwl",
        ] {
            assert_eq!(parse_file_name(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn a_time_or_revision_out_of_reach_begins_a_new_chunk() {
        let hour_and_half = 5_400;
        let far = Record { revision: 1 << 40, ..record(1, hour_and_half, 3) };
        let records = [record(1, 0, 1), record(1, -100, 2), record(1, hour_and_half, 2), far];
        let (file, _, end) = file_of(&[&records]);
        let mut back = Vec::new();
        let mut counts = Vec::new();
        let reader = Walk::new(&file, &LINEAGE, end);
        for met in walk(&file, end) {
            let Met::Chunk(chunk) = met else { panic!("{met:?}") };
            counts.push(chunk.header.count);
            back.extend(reader.read(&chunk).unwrap().unwrap().records);
        }
        assert_eq!(counts, [2, 1, 1]);
        assert_eq!(back, records);
    }

    #[test]
    fn many_records_are_cut_into_chunks_of_bounded_size() {
        let records: Vec<Record> = (0..10_000).map(|number| record(1, 0, number)).collect();
        let (file, _, end) = file_of(&[&records]);
        let counts: Vec<u32> = walk(&file, end)
            .iter()
            .map(|met| if let Met::Chunk(chunk) = met { chunk.header.count } else { panic!("{met:?}") })
            .collect();
        assert_eq!(counts, [4_096, 4_096, 1_808]);
    }

    #[test]
    fn a_walk_goes_on_after_damage_wherever_it_is() {
        let records: Vec<Record> = (0..3).map(|number| record(1, 0, number)).collect();
        let (file, starts, end) = file_of(&[&records, &records, &records]);
        for byte in starts[1]..starts[2] {
            let mut good = [0];
            file.read_exact_at(&mut good, byte).unwrap();
            file.write_all_at(&[good[0] ^ 0x40], byte).unwrap();
            let reader = Walk::new(&file, &LINEAGE, end);
            let found: Vec<u64> = walk(&file, end)
                .iter()
                .filter_map(|met| if let Met::Chunk(chunk) = met { Some(*chunk) } else { None })
                .filter(|chunk| reader.read(chunk).unwrap().is_some())
                .map(|chunk| chunk.header.sequence)
                .collect();
            assert_eq!(found, [1, 7], "byte {byte}");
            file.write_all_at(&good, byte).unwrap();
        }
    }

    #[test]
    fn a_chunk_far_behind_damage_is_found() {
        let many: Vec<Record> = (0..80_000).map(|number| record(1, 0, number)).collect();
        let (file, starts, end) = file_of(&[&many, &many[..1]]);
        let wiped = vec![0; usize::try_from(starts[1] - starts[0]).unwrap()];
        file.write_all_at(&wiped, starts[0]).unwrap();
        let met = walk(&file, end);
        assert!(matches!(met[0], Met::Bad { byte: 96 }), "{met:?}");
        assert!(matches!(met[1], Met::Chunk(chunk) if chunk.at == starts[1]), "{met:?}");
        assert_eq!(met.len(), 2);
    }

    #[test]
    fn a_chunk_of_another_lineage_is_not_taken_for_one_of_ours() {
        let (file, _, end) = file_of(&[&[record(1, 0, 1)]]);
        let mut other = Walk::new(&file, &[5; 16], end);
        assert!(matches!(other.step().unwrap(), Some(Met::Bad { .. })));
    }
}
