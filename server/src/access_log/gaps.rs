//! Which records a repair told as lost: a small file beside the segments. What it names is no damage any more, and every
//! search that comes past it says that records are missing there.
//!
//! ```text
//! 0          16       20     24
//! | preamble | crc32c | zero | entries, 48 bytes each, to the end
//!
//! entry   0       8                 16      24       32     40              44
//!         | first | record after it | after | before | told | 1 for at most | zero |
//! ```
//!
//! Numbers are little-endian; the checksum is of everything behind it. Moments are microseconds; the least and the
//! greatest stand where no bound is known. Numbers of records go on over lineages, and so does this file.
//!
//! What a segment holds of lost records again, since it was put back from a backup, is lost no more. It counts when the
//! segment begins among them, or begins before and joins the next one by its hash. A segment that was abandoned after a
//! failed write may have chunks with those numbers too, which nobody was answered for: they do not join, and count as
//! little as before.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use keyward_protocol::time::Moment;

use super::bytes::{Fields, Put};
use super::catalog::Times;
use super::segment::{Chunk, Damage, Lineage, Met, NUMBER_MAX, SegmentHeader, Walk};
use super::with_next;
use crate::format::{self, Beginning, NewerFormat, PREAMBLE_BYTES, begin, preamble};

const MAGIC: [u8; 8] = *b"kwloggap";
const VERSION: u32 = 1;
const ENTRY_BYTES: usize = 48;
const HEAD_BYTES: usize = PREAMBLE_BYTES + 8;

/// Records that can't be read any more, and that a repair told so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Gap {
    /// The first of them.
    pub first: u64,
    /// The record after the last. The same as the first where none is missing, and what stands before may not be what was
    /// written there: the chain does not join.
    pub end: u64,
    /// None of them is from before this moment, as the chunks beside them have it; the least where that is not known.
    pub after: Moment,
    /// None of them is from after this moment; the greatest where that is not known.
    pub before: Moment,
    /// When it was told.
    pub told: Moment,
    /// There were no more than that, and perhaps fewer.
    pub at_most: bool,
}

impl Gap {
    /// Whether no record is missing.
    pub fn is_empty(&self) -> bool {
        self.first == self.end
    }

    /// How many there are, or at most are.
    pub fn count(&self) -> u64 {
        self.end.saturating_sub(self.first)
    }

    /// Whether something that is lost may be of this time.
    pub fn may_be_within(&self, times: &Range<Moment>) -> bool {
        self.before >= times.start && self.after < times.end
    }
}

/// `records 11 to 20 (10) between ... and ... can't be read`.
impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last, count) = (self.first, self.end.saturating_sub(1), self.count());
        match (self.is_empty(), self.at_most) {
            (true, _) => {
                write!(f, "what stands before record {first} may not be what was written there, none is missing,")?
            }
            (false, false) => write!(f, "records {first} to {last} ({count})")?,
            (false, true) => write!(f, "the records from {first} on, at most {count}: how many is not known,")?,
        }
        match (self.after > Moment::MIN, self.before < Moment::MAX) {
            (true, true) => write!(f, " between {} and {}", self.after, self.before)?,
            (true, false) => write!(f, " after {}", self.after)?,
            (false, true) => write!(f, " before {}", self.before)?,
            (false, false) => write!(f, " at a time that is not known")?,
        }
        f.write_str(if self.is_empty() { "" } else { " can't be read" })
    }
}

/// What the file of a log says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Gaps {
    /// In order.
    pub all: Vec<Gap>,
    /// The file is there and can't be read.
    pub damage: Option<Damage>,
    path: PathBuf,
    /// The record that the first segment begins with; 1 without any.
    begins: u64,
}

/// The file's name, in the log's directory.
pub const GAPS_FILE: &str = "gaps";

/// Where the gaps of the log in `directory` are.
pub(super) fn path_of(directory: &Path) -> PathBuf {
    directory.join(GAPS_FILE)
}

pub(super) fn encode(gaps: &[Gap]) -> Vec<u8> {
    let mut entries = vec![0; gaps.len() * ENTRY_BYTES];
    for (to, gap) in entries.chunks_exact_mut(ENTRY_BYTES).zip(gaps) {
        Put::new(to)
            .u64(gap.first)
            .u64(gap.end)
            .i64(gap.after.as_micros())
            .i64(gap.before.as_micros())
            .i64(gap.told.as_micros())
            .u32(u32::from(gap.at_most))
            .u32(0);
    }
    let rest = [&[0; 4][..], &entries].concat();
    [&preamble(MAGIC, VERSION)[..], &crc32c::crc32c(&rest).to_le_bytes(), &rest].concat()
}

fn decode(bytes: &[u8]) -> Option<Vec<Gap>> {
    let (head, entries) = bytes.split_at_checked(HEAD_BYTES)?;
    let (crc, zero) = head.get(PREAMBLE_BYTES..)?.split_at_checked(4)?;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(zero), entries).to_le_bytes();
    if crc != checksum || !entries.len().is_multiple_of(ENTRY_BYTES) {
        return None;
    }
    let entry = |bytes| {
        let mut fields = Fields::new(bytes);
        let moment = |fields: &mut Fields<'_>| Some(Moment::from_micros(fields.i64()?));
        let gap = Gap {
            first: fields.u64()?,
            end: fields.u64()?,
            after: moment(&mut fields)?,
            before: moment(&mut fields)?,
            told: moment(&mut fields)?,
            at_most: fields.u32()? == 1,
        };
        (gap.first <= gap.end && gap.end <= NUMBER_MAX).then_some(gap)
    };
    entries.chunks_exact(ENTRY_BYTES).map(entry).collect()
}

/// How far apart the clocks of two chunks that follow each other may be: cores hand over their batches on their own, and
/// a clock is set right by seconds. More than that says that a clock was set back.
const CLOCKS_APART_SECONDS: i64 = 60;

/// Between which moments records are that lay between chunks of these times, some of which may not be there. `known` are
/// times of the lost records themselves, where a chunk's header outlived what it held.
///
/// Nothing is known where the clock was set back between the two. A clock that went forth and back while only lost records
/// were written leaves no trace.
pub(super) fn bounds(before: Option<Times>, behind: Option<Times>, known: Option<Times>) -> (Moment, Moment) {
    let set_back = |before: Times, behind: Times| behind.earliest.plus_seconds(CLOCKS_APART_SECONDS) < before.latest;
    if before.zip(behind).is_some_and(|(before, behind)| set_back(before, behind)) {
        return (Moment::MIN, Moment::MAX);
    }
    let mut all = Times::NONE;
    for times in [before, behind, known].into_iter().flatten() {
        all.add(times.earliest, times.latest);
    }
    let after = before.map_or(Moment::MIN, |_| all.earliest.plus_seconds(-CLOCKS_APART_SECONDS));
    let before = behind.map_or(Moment::MAX, |_| all.latest.plus_seconds(CLOCKS_APART_SECONDS));
    (after, before)
}

/// What of a gap is left without records that are there, in order. One that is empty stays.
pub(super) fn less(gap: Gap, there: &[Range<u64>]) -> Vec<Gap> {
    if gap.is_empty() {
        return vec![gap];
    }
    let mut rest = Vec::new();
    let mut first = gap.first;
    for there in there {
        let end = there.start.min(gap.end);
        rest.extend((first < end).then_some(Gap { first, end, ..gap }));
        first = first.max(there.end);
    }
    rest.extend((first < gap.end).then_some(Gap { first, ..gap }));
    rest
}

/// Each number once: of gaps that overlap the earlier one has it.
fn apart(mut gaps: Vec<Gap>) -> Vec<Gap> {
    gaps.sort();
    gaps.dedup();
    let mut end = 0;
    gaps.retain_mut(|gap| {
        let is_apart = gap.is_empty() && gap.first >= end;
        gap.first = gap.first.max(end.min(gap.end));
        end = end.max(gap.end);
        is_apart || !gap.is_empty()
    });
    gaps
}

/// What a segment has of gaps.
struct There {
    /// The numbers that it has chunks for and that count, in order.
    ranges: Vec<Range<u64>>,
    /// Its last chunk before the next segment is the one that that one names; `None` where it doesn't matter.
    joins: Option<bool>,
}

/// What the segment at `path`, which begins with record `first`, has of gaps. The next one begins with `next`.
fn there(
    gaps: &[Gap],
    (first, path, next): (u64, &Path, u64),
    follower: Option<&Path>,
    lineage: &Lineage,
) -> io::Result<There> {
    let file = fs::File::open(path)?;
    let lineage = SegmentHeader::read(&file, path)?.map_or(*lineage, |header| header.lineage);
    let mut walk = Walk::new(&file, &lineage, file.metadata()?.len());
    let mut chunks: Vec<Chunk> = Vec::new();
    while let Some(met) = walk.step()? {
        match met {
            Met::Chunk(chunk) if chunk.header.sequence >= next => break,
            Met::Chunk(chunk) => chunks.extend((chunk.header.sequence >= first).then_some(chunk)),
            Met::Bad { .. } => {}
        }
    }
    let joins = || -> io::Result<bool> {
        let Some(follower) = follower else { return Ok(true) };
        let header = SegmentHeader::read(&fs::File::open(follower)?, follower)?;
        let last = chunks.iter().rev().find(|chunk| chunk.header.end() == next);
        let (Some(header), Some(last)) = (header, last) else { return Ok(false) };
        Ok(walk.read(last)?.is_some_and(|body| body.hash == header.previous))
    };
    // Where it goes on past the beginning of a gap.
    let cut = gaps.iter().map(|gap| gap.first).filter(|gap| *gap > first).min().unwrap_or(u64::MAX);
    let goes_past = chunks.iter().any(|chunk| chunk.header.sequence >= cut);
    let ends_at_one = gaps.iter().any(|gap| gap.is_empty() && gap.first == next);
    let joins = (goes_past || ends_at_one).then(joins).transpose()?;
    let counted = chunks.iter().filter(|chunk| joins == Some(true) || chunk.header.sequence < cut);
    let mut ranges: Vec<Range<u64>> =
        counted.map(|chunk| chunk.header.sequence..chunk.header.end().min(next)).collect();
    ranges.sort_by_key(|range| range.start);
    Ok(There { ranges, joins })
}

/// What is lost still, where the log has these segments.
pub(super) fn lost_still(mut gaps: Vec<Gap>, files: &[(u64, PathBuf)], lineage: &Lineage) -> io::Result<Vec<Gap>> {
    let followers = files.iter().skip(1).map(|(_, path)| Some(path.as_path())).chain([None]);
    for ((first, path, next), follower) in with_next(files).zip(followers) {
        let may_hold = |gap: &Gap| first <= gap.end && gap.first <= next;
        if !gaps.iter().any(may_hold) {
            continue;
        }
        let There { ranges, joins } = there(&gaps, (first, path, next), follower, lineage)?;
        // Where the chain did not join: it does now, or one segment has both sides and says itself whether it does.
        let is_within = |gap: &Gap| first < gap.first && ranges.iter().any(|range| range.start == gap.first);
        let is_joined = |gap: &Gap| is_within(gap) || (gap.first == next && joins == Some(true));
        gaps.retain(|gap| !(gap.is_empty() && is_joined(gap)));
        gaps = gaps.into_iter().flat_map(|gap| less(gap, &ranges)).collect();
    }
    Ok(gaps)
}

impl Gaps {
    /// Those of the log in `directory`, which has these segments. What was put back since is no gap.
    pub fn read(directory: &Path, files: &[(u64, PathBuf)], lineage: &Lineage) -> io::Result<Gaps> {
        let path = path_of(directory);
        let begins = files.first().map_or(1, |(first, _)| *first);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Gaps { path, begins, ..Gaps::default() });
            }
            read => read?,
        };
        let found = match begin(&mut format::Fields(&bytes), MAGIC, VERSION) {
            Beginning::Newer(found) => {
                let newer = NewerFormat { file: path, found, known: VERSION };
                return Err(io::Error::new(io::ErrorKind::Unsupported, newer));
            }
            Beginning::Readable => decode(&bytes),
            Beginning::Damaged => None,
        };
        let what = "the list of lost records is not what was written";
        let damage = found.is_none().then(|| Damage { file: path.clone(), byte: 0, sequence: 0, what });
        let all = lost_still(apart(found.unwrap_or_default()), files, lineage)?;
        Ok(Gaps { all, damage, path, begins })
    }

    /// How far the records before `next` have to be there: up to the gaps that end with it.
    pub fn reach(&self, next: u64) -> u64 {
        self.all.iter().rev().fold(next, |next, gap| if gap.end >= next { next.min(gap.first) } else { next })
    }

    /// Whether this record is lost: whatever has its number doesn't count.
    pub fn has(&self, sequence: u64) -> bool {
        self.all.iter().any(|gap| (gap.first..gap.end).contains(&sequence))
    }

    /// The record that the first segment begins with; 1 without any.
    pub fn begins(&self) -> u64 {
        self.begins
    }

    /// The records before the first segment, where they are not told as lost: no segment is ever removed.
    pub fn missing_first(&self) -> Option<Damage> {
        let what = "the segments with the records from here on are missing";
        let file = self.path.with_file_name("");
        (self.reach(self.begins) > 1).then_some(Damage { file, byte: 0, sequence: 1, what })
    }

    /// The record after the last gap; 0 without any.
    pub fn end(&self) -> u64 {
        self.all.iter().map(|gap| gap.end).max().unwrap_or(0)
    }

    /// What a search says of the gaps that it comes past.
    pub fn told(&self, passes: impl Fn(&Gap) -> bool) -> impl Iterator<Item = Damage> {
        let what = "records are lost here, as a repair told";
        let passed = self.all.iter().filter(move |gap| !gap.is_empty() && passes(gap));
        passed.map(move |gap| Damage { file: self.path.clone(), byte: 0, sequence: gap.first, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(first: u64, end: u64) -> Gap {
        let at = |second: u64| Moment::from_micros(second as i64 * 1_000_000);
        Gap { first, end, after: at(first), before: at(end), told: at(99), at_most: end == 40 }
    }

    fn read(bytes: &[u8]) -> Gaps {
        let directory = tempfile::tempdir().unwrap();
        fs::write(path_of(directory.path()), bytes).unwrap();
        Gaps::read(directory.path(), &[], &[4; 16]).unwrap()
    }

    #[test]
    fn gaps_come_back_as_they_were_and_no_bit_can_change() {
        let all = vec![gap(3, 7), gap(7, 7), gap(20, 40)];
        let bytes = encode(&all);
        assert_eq!(read(&bytes).all, all);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let found = read(&bad);
            assert!(found.all.is_empty() && found.damage.is_some(), "bit {bit}");
        }
        assert!((0..bytes.len()).all(|length| read(&bytes[..length]).damage.is_some()));
        let none = read(&encode(&[]));
        assert_eq!((none.all, none.damage), (vec![], None));
    }

    #[test]
    fn the_list_stands_as_the_golden_file_has_it_and_a_newer_one_is_named() {
        let all = vec![gap(3, 7), Gap { after: Moment::MIN, before: Moment::MAX, ..gap(20, 40) }];
        let bytes = encode(&all);
        let pieces = [
            ("magic", bytes[..8].to_vec()),
            ("version", bytes[8..12].to_vec()),
            ("crc32c of magic and version", bytes[12..16].to_vec()),
            ("crc32c of what follows", bytes[16..20].to_vec()),
            ("zero", bytes[20..24].to_vec()),
            ("records 3 to 6: first, the one after, after, before, told, exact, zero", bytes[24..72].to_vec()),
            ("at most records 20 to 39, at a time that is not known", bytes[72..].to_vec()),
        ];
        let kept = crate::golden::check("access-log-gaps.1.hex", "DATA/log/gaps, format 1", &pieces).concat();
        assert_eq!(read(&kept).all, all);
        let newer = [&preamble(MAGIC, 2)[..], &kept[PREAMBLE_BYTES..]].concat();
        let directory = tempfile::tempdir().unwrap();
        fs::write(path_of(directory.path()), newer).unwrap();
        let told = Gaps::read(directory.path(), &[], &[4; 16]).unwrap_err().to_string();
        assert!(told.contains("has format 2, and this keyward reads up to 1"), "{told}");
    }

    #[test]
    fn a_segment_reaches_to_the_gaps_behind_it() {
        let gaps = read(&encode(&[gap(3, 7), gap(7, 9), gap(20, 40)]));
        assert_eq!([9, 8, 10, 20, 40, 39, 41].map(|next| gaps.reach(next)), [3, 3, 10, 20, 20, 20, 41]);
        assert_eq!(gaps.end(), 40);
        assert_eq!(
            [2, 3, 8, 9, 19, 20, 39, 40].map(|number| gaps.has(number)),
            [false, true, true, false, false, true, true, false]
        );
    }

    #[test]
    fn each_number_is_told_once_and_none_is_beyond_what_a_log_can_have() {
        let of = |ranges: &[(u64, u64)]| {
            let gaps = ranges.iter().map(|(first, end)| Gap { first: *first, end: *end, ..gap(1, 2) });
            let gaps = read(&encode(&gaps.collect::<Vec<_>>()));
            (gaps.all.iter().map(|gap| (gap.first, gap.end)).collect::<Vec<_>>(), gaps.damage.is_some())
        };
        let told = of(&[(20, 30), (3, 7), (5, 9), (5, 6), (9, 9), (22, 22), (25, 26), (29, 31), (3, 7)]);
        assert_eq!(told, (vec![(3, 7), (7, 9), (9, 9), (20, 30), (30, 31)], false));
        assert_eq!(of(&[(3, NUMBER_MAX)]), (vec![(3, NUMBER_MAX)], false));
        assert_eq!(of(&[(3, 7), (3, NUMBER_MAX + 1)]), (vec![], true));
        assert_eq!(of(&[(3, u64::MAX)]), (vec![], true));
        assert_eq!(of(&[(7, 3)]), (vec![], true));
    }

    #[test]
    fn what_is_there_is_taken_out_of_a_gap() {
        let less = |there: &[Range<u64>]| -> Vec<(u64, u64)> {
            less(gap(10, 20), there).into_iter().map(|gap| (gap.first, gap.end)).collect()
        };
        assert_eq!(less(&[]), [(10, 20)]);
        assert_eq!(less(&[1..10, 20..22]), [(10, 20)]);
        assert_eq!(less(&[1..12, 13..15, 14..16, 18..30]), [(12, 13), (16, 18)]);
        assert_eq!(less(&[9..10, 10..20]), []);
        assert_eq!(
            super::less(gap(10, 10), &[1..20, 20..30]),
            [gap(10, 10)],
            "where the chain does not join none is missing"
        );
    }

    #[test]
    fn times_are_bounded_by_the_chunks_beside_and_by_nothing_where_the_clock_was_set_back() {
        let at = |second: i64| Moment::from_micros(second * 1_000_000);
        let times = |earliest, latest| Some(Times { earliest: at(earliest), latest: at(latest) });
        let within = |from, to| (at(from), at(to));
        assert_eq!(bounds(times(100, 110), times(300, 320), None), within(40, 380));
        assert_eq!(bounds(times(100, 110), times(90, 120), None), within(30, 180), "two cores");
        assert_eq!(bounds(times(100, 110), times(300, 320), times(250, 900)), within(40, 960), "a header is left");
        assert_eq!(bounds(times(100, 900), times(839, 850), None), (Moment::MIN, Moment::MAX), "set back");
        assert_eq!(bounds(times(100, 110), None, None), (at(40), Moment::MAX));
        assert_eq!(bounds(None, times(100, 110), None), (Moment::MIN, at(170)));
        assert_eq!(bounds(None, None, times(100, 110)), (Moment::MIN, Moment::MAX));
    }
}
