//! Which records a repair told as lost: a small file beside the segments. What it names is no damage any more, and every
//! search that comes past it says that records are missing there.
//!
//! ```text
//! 0          16       20     24
//! | preamble | crc32c | zero | entries, 48 bytes each, to the end
//!
//! entry   0       8                 16            24             32     40              44
//!         | first | record after it | last before | first behind | told | 1 for at most | zero |
//! ```
//!
//! Numbers are little-endian; the checksum is of everything behind it. Moments are microseconds; the least and the
//! greatest stand where nothing is recorded before or behind. Numbers of records go on over lineages, and so does this
//! file.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use keyward_protocol::time::Moment;

use super::bytes::{Fields, Put};
use super::segment::Damage;
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
    /// The last moment recorded before them; the least where there is none.
    pub after: Moment,
    /// The first moment recorded behind them; the greatest where there is none.
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

    /// Whether something that is lost may be of this time.
    pub fn may_be_within(&self, times: &Range<Moment>) -> bool {
        self.before >= times.start && self.after < times.end
    }
}

/// `records 11 to 20 (10) between ... and ... can't be read`.
impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last, count) = (self.first, self.end.saturating_sub(1), self.end.saturating_sub(self.first));
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
        (gap.first <= gap.end).then_some(gap)
    };
    entries.chunks_exact(ENTRY_BYTES).map(entry).collect()
}

impl Gaps {
    /// Those of the log in `directory`, whose segments begin with these records. What was put back since is no gap.
    pub fn read(directory: &Path, firsts: impl Iterator<Item = u64> + Clone) -> io::Result<Gaps> {
        let path = path_of(directory);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Gaps { path, ..Gaps::default() }),
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
        let mut all = found.unwrap_or_default();
        all.retain(|gap| !firsts.clone().any(|first| (gap.first..gap.end).contains(&first)));
        all.sort();
        Ok(Gaps { all, damage, path })
    }

    /// How far the records before `next` have to be there: up to the gaps that end with it.
    pub fn reach(&self, next: u64) -> u64 {
        self.all.iter().rev().fold(next, |next, gap| if gap.end >= next { next.min(gap.first) } else { next })
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

    fn read(bytes: &[u8], firsts: &[u64]) -> Gaps {
        let directory = tempfile::tempdir().unwrap();
        fs::write(path_of(directory.path()), bytes).unwrap();
        Gaps::read(directory.path(), firsts.iter().copied()).unwrap()
    }

    #[test]
    fn gaps_come_back_as_they_were_and_no_bit_can_change() {
        let all = vec![gap(3, 7), gap(7, 7), gap(20, 40)];
        let bytes = encode(&all);
        assert_eq!(read(&bytes, &[1, 7, 40]).all, all);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let found = read(&bad, &[]);
            assert!(found.all.is_empty() && found.damage.is_some(), "bit {bit}");
        }
        assert!((0..bytes.len()).all(|length| read(&bytes[..length], &[]).damage.is_some()));
        let none = read(&encode(&[]), &[]);
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
            (
                "records 3 to 6: first, the one after, last before, first behind, told, exact, zero",
                bytes[24..72].to_vec(),
            ),
            ("at most records 20 to 39, at a time that is not known", bytes[72..].to_vec()),
        ];
        let kept = crate::golden::check("access-log-gaps.1.hex", "DATA/log/gaps, format 1", &pieces).concat();
        assert_eq!(read(&kept, &[]).all, all);
        let newer = [&preamble(MAGIC, 2)[..], &kept[PREAMBLE_BYTES..]].concat();
        let directory = tempfile::tempdir().unwrap();
        fs::write(path_of(directory.path()), newer).unwrap();
        let told = Gaps::read(directory.path(), [].into_iter()).unwrap_err().to_string();
        assert!(told.contains("has format 2, and this keyward reads up to 1"), "{told}");
    }

    #[test]
    fn a_segment_reaches_to_the_gaps_behind_it_and_one_that_was_put_back_is_none() {
        let bytes = encode(&[gap(3, 7), gap(7, 9), gap(20, 40)]);
        let gaps = read(&bytes, &[1, 9, 40]);
        assert_eq!([9, 8, 10, 20, 40, 39, 41].map(|next| gaps.reach(next)), [3, 3, 10, 20, 20, 20, 41]);
        assert_eq!(gaps.end(), 40);
        let put_back = read(&bytes, &[1, 3, 9, 40]);
        assert_eq!(put_back.all, [gap(7, 9), gap(20, 40)]);
    }
}
