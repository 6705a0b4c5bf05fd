//! Snapshots: the Directory as it was after one frame of the journal, so that a start replays only what came later.
//!
//! A directory of files, each named by that frame, such as `0000000000000420.kws`. All numbers are little-endian.
//!
//! ```text
//! 0          16        32         40                 48                         80
//! | preamble | lineage | sequence | bytes of payload | blake3 of 0-48 + payload | payload
//! ```
//!
//! A file appears under its name only when it is whole and flushed, and the two newest are kept: whatever happens
//! while one is written, another is there. When none can be read, the journal alone is enough.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{
    disk::Disk,
    format::{Beginning, Fields, Lineage, NewerFormat, begin, preamble},
};

/// The newest version that can be read, and the one that is written.
pub const FORMAT_VERSION: u32 = 1;
/// How many snapshots are kept.
pub const KEPT: usize = 2;

const MAGIC: [u8; 8] = *b"kwsnapsh";
const HEADER_BYTES: usize = 80;
const EXTENSION: &str = "kws";

/// A snapshot that was read and is whole.
pub struct Snapshot {
    /// The file.
    pub file: PathBuf,
    /// The last frame of the journal that is in it.
    pub sequence: u64,
    /// The history that it belongs to; the caller compares it with the journal's.
    pub lineage: Lineage,
    /// All of the file.
    bytes: Vec<u8>,
}

impl Snapshot {
    /// What was given to [`write()`].
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or_default()
    }
}

/// What [`newest`] found.
pub struct Found {
    /// The newest snapshot that is whole.
    pub snapshot: Option<Snapshot>,
    /// Newer ones that are not, newest first.
    pub damaged: Vec<Damaged>,
}

/// A snapshot that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Why snapshots can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The newest was written by a later release.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// The disk refused.
    #[error("can't read snapshots at `{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Writes the snapshot that stands for everything up to frame `sequence`, and removes older ones but one. When this
/// returns it is durable; when it fails those that were there still are, and the server may go on without.
pub fn write(directory: &Path, sequence: u64, lineage: Lineage, payload: &[u8]) -> io::Result<PathBuf> {
    write_on(&Disk::new(), directory, sequence, lineage, payload)
}

/// [`write()`], with the disk as an argument.
pub fn write_on(disk: &Disk, directory: &Path, sequence: u64, lineage: Lineage, payload: &[u8]) -> io::Result<PathBuf> {
    disk.create_directory(directory)?;
    let mut header = preamble(MAGIC, FORMAT_VERSION).to_vec();
    header.extend(lineage);
    header.extend(sequence.to_le_bytes());
    header.extend((payload.len() as u64).to_le_bytes());
    let checksum = checksum(&header, payload);
    header.extend(checksum);
    let file = directory.join(format!("{sequence:016}.{EXTENSION}"));
    disk.write_whole(&file, &[&header, payload])?;
    remove_older(disk, directory, sequence)?;
    Ok(file)
}

/// Reads the newest snapshot that is whole. A directory that is not there holds none.
pub fn newest(directory: &Path) -> Result<Found, ReadError> {
    let mut damaged = Vec::new();
    for (_, file) in files(directory).map_err(at(directory))?.into_iter().rev() {
        let bytes = fs::read(&file).map_err(at(&file))?;
        match parse(&file, bytes) {
            Parsed::Whole(snapshot) => return Ok(Found { snapshot: Some(snapshot), damaged }),
            Parsed::Newer(found) => return Err(NewerFormat { file, found, known: FORMAT_VERSION }.into()),
            Parsed::Damaged(what) => damaged.push(Damaged { file, what }),
        }
    }
    Ok(Found { snapshot: None, damaged })
}

/// Every snapshot that is whole, newest first, and those that are not.
pub fn all(directory: &Path) -> Result<(Vec<Snapshot>, Vec<Damaged>), ReadError> {
    let (mut whole, mut damaged) = (Vec::new(), Vec::new());
    for (_, file) in files(directory).map_err(at(directory))?.into_iter().rev() {
        let bytes = fs::read(&file).map_err(at(&file))?;
        match parse(&file, bytes) {
            Parsed::Whole(snapshot) => whole.push(snapshot),
            Parsed::Newer(found) => return Err(NewerFormat { file, found, known: FORMAT_VERSION }.into()),
            Parsed::Damaged(what) => damaged.push(Damaged { file, what }),
        }
    }
    Ok((whole, damaged))
}

enum Parsed {
    Whole(Snapshot),
    Newer(u32),
    Damaged(&'static str),
}

fn parse(file: &Path, bytes: Vec<u8>) -> Parsed {
    let mut fields = Fields(&bytes);
    match begin(&mut fields, MAGIC, FORMAT_VERSION) {
        Beginning::Readable => {}
        Beginning::Newer(found) => return Parsed::Newer(found),
        Beginning::Damaged => return Parsed::Damaged("this is not the beginning of a snapshot"),
    }
    match checked(&bytes, fields) {
        Some((lineage, sequence)) => Parsed::Whole(Snapshot { file: file.to_owned(), sequence, lineage, bytes }),
        None => Parsed::Damaged("the checksum is wrong"),
    }
}

/// Lineage and sequence, where the checksum is right. `fields` are those of `bytes` behind the preamble.
fn checked(bytes: &[u8], mut fields: Fields<'_>) -> Option<(Lineage, u64)> {
    let lineage = fields.take()?;
    let (sequence, length) = (fields.u64()?, fields.u64()?);
    let expected: [u8; 32] = fields.take()?;
    let found = checksum(bytes.get(..HEADER_BYTES - 32)?, fields.0);
    (length == fields.0.len() as u64 && found == expected).then_some((lineage, sequence))
}

fn checksum(header: &[u8], payload: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(header).update(payload).finalize().as_bytes()
}

/// Removes what is older than the two newest up to `sequence`.
fn remove_older(disk: &Disk, directory: &Path, sequence: u64) -> io::Result<()> {
    let mut older = files(directory)?;
    older.retain(|(of, _)| *of <= sequence);
    older.truncate(older.len().saturating_sub(KEPT));
    older.iter().try_for_each(|(_, file)| disk.remove(file))
}

/// The snapshots of a directory by sequence, oldest first.
fn files(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let listed = match fs::read_dir(directory) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in listed {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION)
            && let Some(sequence) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            files.push((sequence, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ReadError {
    let path = path.to_owned();
    move |source| ReadError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Verdict;
    use crate::disk::fault::StopAt;
    use crate::format::PREAMBLE_BYTES;

    const LINEAGE: Lineage = [7; 16];

    fn newest_sequence(directory: &Path) -> Option<u64> {
        newest(directory).unwrap().snapshot.map(|snapshot| snapshot.sequence)
    }

    #[test]
    fn what_was_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("made/as/needed");
        assert!(newest(&directory).unwrap().snapshot.is_none());
        for payload in [&b""[..], b"x", &[5; 100_000]] {
            write(&directory, 3, LINEAGE, payload).unwrap();
            let found = newest(&directory).unwrap();
            let snapshot = found.snapshot.unwrap();
            assert_eq!((snapshot.sequence, snapshot.lineage), (3, LINEAGE));
            assert_eq!(snapshot.payload(), payload);
            assert!(found.damaged.is_empty());
        }
    }

    #[test]
    fn two_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        for sequence in [1, 20, 300, 4_000] {
            write(directory.path(), sequence, LINEAGE, b"state").unwrap();
        }
        let kept: Vec<u64> = files(directory.path()).unwrap().into_iter().map(|(sequence, _)| sequence).collect();
        assert_eq!(kept, [300, 4_000]);
        assert_eq!(newest_sequence(directory.path()), Some(4_000));
    }

    #[test]
    fn any_damaged_byte_leads_to_the_older_one() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), 1, LINEAGE, b"older").unwrap();
        let file = write(directory.path(), 2, LINEAGE, b"newer").unwrap();
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            for bytes in [&flipped[..], &whole[..at]] {
                fs::write(&file, bytes).unwrap();
                let found = newest(directory.path()).unwrap();
                assert_eq!(found.snapshot.unwrap().payload(), b"older", "byte {at}");
                assert_eq!(found.damaged.len(), 1);
                assert_eq!(found.damaged[0].file, file);
            }
        }
        fs::write(directory.path().join("0000000000000001.kws"), b"").unwrap();
        fs::write(&file, b"").unwrap();
        let found = newest(directory.path()).unwrap();
        assert!(found.snapshot.is_none());
        assert_eq!(found.damaged.len(), 2);
    }

    #[test]
    fn a_newer_format_is_refused_and_not_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), 1, LINEAGE, b"older").unwrap();
        let file = write(directory.path(), 2, LINEAGE, b"newer").unwrap();
        let mut bytes = fs::read(&file).unwrap();
        bytes[..PREAMBLE_BYTES].copy_from_slice(&preamble(MAGIC, FORMAT_VERSION + 1));
        fs::write(&file, &bytes).unwrap();
        let refusal = newest(directory.path()).err().unwrap();
        let told = refusal.to_string();
        assert!(
            told.contains("0000000000000002.kws` has format 2, and this keyward reads up to 1: start it with"),
            "{told}"
        );
    }

    #[test]
    fn whatever_fails_while_one_is_written_the_one_before_is_there() {
        let mut finished = false;
        for operation in 0.. {
            for verdict in [Verdict::Fail, Verdict::Tear(1)] {
                let directory = tempfile::tempdir().unwrap();
                for sequence in [1, 2] {
                    write(directory.path(), sequence, LINEAGE, b"before").unwrap();
                }
                let disk = Disk::witnessed(StopAt::new(operation, verdict));
                finished = write_on(&disk, directory.path(), 3, LINEAGE, b"after").is_ok();
                let found = newest(directory.path()).unwrap();
                assert!(found.damaged.is_empty(), "operation {operation}");
                assert!(matches!(found.snapshot.unwrap().sequence, 2 | 3), "operation {operation}");
            }
            if finished {
                assert!(operation > 4, "the run has to have had operations to fail");
                break;
            }
        }
    }
}
