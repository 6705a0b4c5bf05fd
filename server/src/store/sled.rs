//! The shelf: compiled indexes kept over a restart, in sled. The only file that names sled.
//!
//! sled is not trusted here. Its `flush` does not wait for the disk, a damaged database may lose values in silence,
//! panic, or never finish opening. So:
//!
//! - Nothing lives here alone. Whatever is missing is compiled again, and the worst that sled can do costs time.
//! - Each value carries a checksum of ours over its key, what it stands for and all its bytes; one that doesn't
//!   agree is as good as none.
//! - sled runs on a thread of its own. Everyone else waits for it with a time limit, a panic ends there, and after
//!   either the shelf answers nothing any more and is set aside at the next start.
//! - Values are cut into pieces that stay below the size at which sled would put them into files of their own, which
//!   nothing ever flushes; and a flush ends with `fdatasync` of sled's file.
//!
//! A property's key is its portfolio and its own number, big-endian, so that properties stand in order. Behind it
//! follows a piece's number: 0 is the header, pieces count from 1.
//!
//! ```text
//! header    0        4         8          16                48               56                    88
//!           | crc32c | version | sequence | digest as given | bytes of value | blake3 of all of it
//! ```
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::sled::Db;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use rkyv::util::AlignedVec;

use crate::{
    disk::parent_of,
    format::{Fields, Hash},
};

/// How long opening and reading may take before the database is held to be damaged.
pub const READ_LIMIT: Duration = Duration::from_secs(10);
/// How long writing and flushing may take; disks under load are slow at that.
const WRITE_LIMIT: Duration = Duration::from_secs(60);
/// How long another process, or a thread of sled that is ending, may still hold the database's lock.
const LOCK_LIMIT: Duration = Duration::from_secs(2);

/// sled's own unit of writing. What one page of it holds becomes a blob file above a quarter of this.
const SEGMENT_BYTES: usize = 2 << 20;
/// The most values on a page: it is split when more than 16 stand on it, and takes in a neighbour of at most 4.
const PAGE_VALUES_MAX: usize = 17 + 4;
/// Bytes of a piece.
const PIECE_BYTES: usize = 16 << 10;
/// sled's cache holds pages that were read or written once and will not be read again.
const CACHE_BYTES: u64 = 32 << 20;
const HEADER_BYTES: usize = 88;
/// The version of a header and its pieces. One of another version is as good as none: its property is compiled.
const FORMAT_VERSION: u32 = 1;

// Half of a page that is just small enough is room for keys and sled's own words.
const _: () = assert!(PAGE_VALUES_MAX * PIECE_BYTES < SEGMENT_BYTES / 4 * 3 / 4, "no page becomes a blob file");

/// Which property a compiled index is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShelfKey {
    /// The portfolio's number.
    pub portfolio: u32,
    /// The property's number in it.
    pub property: u32,
}

/// A compiled index as it was put.
pub struct Shelved {
    /// The frame of the journal that it stands for, as given.
    pub sequence: u64,
    /// The digest, as given; what it is of is the caller's business.
    pub digest: Hash,
    /// The archive, aligned to a cache line.
    pub bytes: AlignedVec<64>,
}

/// A shelf that was opened.
pub struct Opened {
    /// The shelf; empty if another was set aside.
    pub shelf: Shelf,
    /// Where a database that could not be used was moved. Nothing reads it again; it may be deleted.
    pub set_aside: Option<PathBuf>,
}

/// Why a shelf does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Another process has it open.
    #[error("the index at `{}` is in use: stop the server that has it open", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// It is out of order for the rest of this process; the next start begins an empty one.
    #[error("the persisted index is damaged or hangs: it is set aside at the next start")]
    OutOfOrder,
    /// sled refused, say for want of space.
    #[error("the persisted index can't be used: {0}")]
    Sled(String),
    /// The disk refused.
    #[error("can't read or write the persisted index")]
    Io(#[from] io::Error),
}

/// The persisted index. Shared freely between threads; calls are done one after the other.
pub struct Shelf {
    path: PathBuf,
    work: Option<Sender<Work>>,
    ended: Receiver<()>,
    out_of_order: AtomicBool,
    limit: Duration,
}

/// Done by sled's thread.
type Work = Box<dyn FnOnce(&Db) + Send>;

impl Shelf {
    /// Opens the shelf in the directory `path`, or makes it. One that can't be opened is moved to
    /// `PATH.damaged-N` and an empty one takes its place; only a shelf that is in use, or a disk that refuses, is an
    /// error.
    pub fn open(path: &Path) -> Result<Opened, ShelfError> {
        Self::open_within(path, READ_LIMIT)
    }

    /// [`Self::open`], with the time that opening and reading may take.
    pub fn open_within(path: &Path, limit: Duration) -> Result<Opened, ShelfError> {
        fs::create_dir_all(path)?;
        if !is_distrusted(path) {
            match Self::start(path, limit) {
                Ok(shelf) => return Ok(Opened { shelf, set_aside: None }),
                Err(refusal @ (ShelfError::InUse { .. } | ShelfError::Io(_))) => return Err(refusal),
                Err(_) => {}
            }
        }
        let set_aside = set_aside(path)?;
        fs::create_dir_all(path)?;
        let shelf = Self::start(path, limit)?;
        Ok(Opened { shelf, set_aside: Some(set_aside) })
    }

    /// Keeps a property's compiled index instead of the one before. Survives a power cut after [`Self::flush`].
    pub fn put(&self, key: ShelfKey, sequence: u64, digest: Hash, bytes: &[u8]) -> Result<(), ShelfError> {
        let header = encode_header(key, sequence, &digest, bytes);
        let pieces: Vec<::sled::IVec> = bytes.chunks(PIECE_BYTES).map(Into::into).collect();
        self.run(WRITE_LIMIT, move |db| write_pieces(db, key, &header, pieces))?.map_err(sled_error)
    }

    /// A property's compiled index, unless it is missing or damaged, or the shelf is out of order.
    pub fn get(&self, key: ShelfKey) -> Option<Shelved> {
        self.run(self.limit, move |db| read_pieces(db, key)).ok()?
    }

    /// The properties that have something on the shelf, in order; it may still turn out to be damaged.
    pub fn keys(&self) -> Result<Vec<ShelfKey>, ShelfError> {
        self.run(self.limit, list_keys)?.map_err(sled_error)
    }

    /// Takes a property off the shelf; nothing happens when it is not on it.
    pub fn remove(&self, key: ShelfKey) -> Result<(), ShelfError> {
        self.run(WRITE_LIMIT, move |db| {
            db.remove(piece_key(key, 0))?;
            remove_pieces(db, key, 1)
        })?
        .map_err(sled_error)
    }

    /// Makes durable what was put and removed.
    pub fn flush(&self) -> Result<(), ShelfError> {
        self.run(WRITE_LIMIT, |db| db.flush().map(drop))?.map_err(sled_error)?;
        sync(&database(&self.path)?)?;
        Ok(())
    }

    /// Starts sled's thread and waits until it has opened the database.
    fn start(path: &Path, limit: Duration) -> Result<Self, ShelfError> {
        let database = database(path)?;
        let (work, works) = unbounded();
        let (ending, ended) = bounded(0);
        let (opening, opened) = bounded(1);
        let path_there = database.clone();
        thread::Builder::new().name("shelf".to_owned()).spawn(move || {
            serve(&path_there, &opening, &works);
            drop(ending);
        })?;
        match opened.recv_timeout(limit) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error),
            // It hangs, or it panicked. A thread that hangs stays behind and can only reach what is set aside.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(ShelfError::OutOfOrder),
        }
        sync(&database)?;
        let out_of_order = AtomicBool::new(false);
        Ok(Self { path: path.to_owned(), work: Some(work), ended, out_of_order, limit })
    }

    /// Has sled's thread do something, and waits for it no longer than `limit`.
    fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        task: impl FnOnce(&Db) -> T + Send + 'static,
    ) -> Result<T, ShelfError> {
        if self.out_of_order.load(Ordering::Acquire) {
            return Err(ShelfError::OutOfOrder);
        }
        let (reply, answer) = bounded(1);
        let work: Work = Box::new(move |db| drop(reply.send(task(db))));
        let sent = self.work.as_ref().is_some_and(|sender| sender.send(work).is_ok());
        match answer.recv_timeout(limit) {
            Ok(done) if sent => Ok(done),
            _ => {
                self.out_of_order.store(true, Ordering::Release);
                distrust(&self.path);
                Err(ShelfError::OutOfOrder)
            }
        }
    }
}

impl Drop for Shelf {
    /// Closes the database, so that it can be opened again, unless sled hangs.
    fn drop(&mut self) {
        self.work = None;
        if !self.out_of_order.load(Ordering::Acquire) {
            let _ = self.ended.recv_timeout(WRITE_LIMIT);
        }
    }
}

/// The life of sled's thread: open, do what is asked until nobody asks or something panics, close.
fn serve(database: &Path, opening: &Sender<Result<(), ShelfError>>, works: &Receiver<Work>) {
    // Nothing that sled holds is touched again after a panic, so a broken state is seen by nobody.
    let Ok(opened) = catch_unwind(|| open_database(database)) else { return };
    let db = match opened {
        Ok(db) => db,
        Err(error) => return drop(opening.send(Err(error))),
    };
    if opening.send(Ok(())).is_err() {
        return;
    }
    let worked = catch_unwind(AssertUnwindSafe(|| works.iter().for_each(|work| work(&db))));
    match worked {
        Ok(()) => drop(catch_unwind(AssertUnwindSafe(|| drop(db)))),
        // Closing a database that has panicked may panic again: it is left as it is, and set aside at the next start.
        Err(_) => std::mem::forget(db),
    }
}

fn open_database(path: &Path) -> Result<Db, ShelfError> {
    let config = ::sled::Config::new().path(path).segment_size(SEGMENT_BYTES).cache_capacity(CACHE_BYTES);
    let begun = Instant::now();
    loop {
        match config.open() {
            Ok(db) => return Ok(db),
            Err(::sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                if begun.elapsed() > LOCK_LIMIT {
                    return Err(ShelfError::InUse { path: path.to_owned() });
                }
                thread::sleep(Duration::from_millis(10));
            }
            // That says nothing about what is on the disk.
            Err(::sled::Error::Io(error)) if error.kind() == io::ErrorKind::StorageFull => return Err(error.into()),
            Err(error) => return Err(sled_error(error)),
        }
    }
}

/// The header goes last: until it is there, the old one does not agree with the pieces.
fn write_pieces(db: &Db, key: ShelfKey, header: &[u8], pieces: Vec<::sled::IVec>) -> ::sled::Result<()> {
    let mut number = 0;
    for piece in pieces {
        number += 1;
        db.insert(piece_key(key, number), piece)?;
    }
    remove_pieces(db, key, number + 1)?;
    db.insert(piece_key(key, 0), header).map(drop)
}

fn remove_pieces(db: &Db, key: ShelfKey, from: u32) -> ::sled::Result<()> {
    let surplus: Result<Vec<_>, _> = db.range(piece_key(key, from)..=piece_key(key, u32::MAX)).keys().collect();
    surplus?.into_iter().try_for_each(|piece| db.remove(piece).map(drop))
}

fn read_pieces(db: &Db, key: ShelfKey) -> Option<Shelved> {
    let header = Header::parse(&db.get(piece_key(key, 0)).ok()??)?;
    let mut bytes = AlignedVec::<64>::new();
    for piece in db.range(piece_key(key, 1)..=piece_key(key, u32::MAX)) {
        let (_, piece) = piece.ok()?;
        if (bytes.len() + piece.len()) as u64 > header.length {
            return None;
        }
        bytes.extend_from_slice(&piece);
    }
    let agrees = header.checksum == checksum(key, header.sequence, &header.digest, &bytes);
    agrees.then_some(Shelved { sequence: header.sequence, digest: header.digest, bytes })
}

fn list_keys(db: &Db) -> ::sled::Result<Vec<ShelfKey>> {
    let mut keys: Vec<ShelfKey> = Vec::new();
    let mut from = piece_key(ShelfKey { portfolio: 0, property: 0 }, 0);
    while let Some(first) = db.range(from..).keys().next().transpose()? {
        let Some(key) = parse_key(&first) else { break };
        keys.push(key);
        // Skips the rest of its pieces; the last possible one is never written.
        from = piece_key(key, u32::MAX);
    }
    Ok(keys)
}

fn piece_key(key: ShelfKey, number: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    let fields = [key.portfolio, key.property, number].into_iter().flat_map(u32::to_be_bytes);
    bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    bytes
}

fn parse_key(bytes: &[u8]) -> Option<ShelfKey> {
    let mut fields = Fields(bytes);
    let (portfolio, property) = (fields.take()?, fields.take()?);
    Some(ShelfKey { portfolio: u32::from_be_bytes(portfolio), property: u32::from_be_bytes(property) })
}

struct Header {
    sequence: u64,
    digest: Hash,
    length: u64,
    checksum: Hash,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let expected = fields.u32()?;
        if fields.0.len() != HEADER_BYTES - 4 || crc32c::crc32c(fields.0) != expected {
            return None;
        }
        if fields.u32()? != FORMAT_VERSION {
            return None;
        }
        Some(Self { sequence: fields.u64()?, digest: fields.take()?, length: fields.u64()?, checksum: fields.take()? })
    }
}

fn encode_header(key: ShelfKey, sequence: u64, digest: &Hash, bytes: &[u8]) -> Vec<u8> {
    let mut fields = FORMAT_VERSION.to_le_bytes().to_vec();
    fields.extend(sequence.to_le_bytes());
    fields.extend(digest);
    fields.extend((bytes.len() as u64).to_le_bytes());
    fields.extend(checksum(key, sequence, digest, bytes));
    let mut header = crc32c::crc32c(&fields).to_le_bytes().to_vec();
    header.append(&mut fields);
    header
}

fn checksum(key: ShelfKey, sequence: u64, digest: &Hash, bytes: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&piece_key(key, 0)).update(&sequence.to_le_bytes()).update(digest).update(bytes);
    *hasher.finalize().as_bytes()
}

/// sled's directory, in a shelf's own: numbered, so that a thread which hung on one database and wakes up later
/// finds its path gone and can't write into the one that came after it.
fn database(path: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with("sled-")) {
            return Ok(entry.path());
        }
    }
    let number = (1..).find(|number| !damaged(path, *number).exists()).unwrap_or(0);
    Ok(path.join(format!("sled-{number}")))
}

/// sled 0.34.7 calls `sync_file_range`, which is not enough after a power cut, and never flushes the names.
fn sync(database: &Path) -> io::Result<()> {
    for file in ["db", "conf"] {
        File::open(database.join(file))?.sync_data()?;
    }
    File::open(database)?.sync_all()?;
    File::open(parent_of(database))?.sync_all()
}

/// Left in a shelf that failed while it was in use.
const DISTRUSTED: &str = "distrusted";

fn is_distrusted(path: &Path) -> bool {
    path.join(DISTRUSTED).exists()
}

/// If this can't be written either, the next start finds out for itself.
fn distrust(path: &Path) {
    let _ = File::create(path.join(DISTRUSTED));
}

fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let target = (1..).map(|number| damaged(path, number)).find(|target| !target.exists());
    let target = target.ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(path, &target)?;
    Ok(target)
}

fn damaged(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".damaged-{number}"));
    PathBuf::from(name)
}

fn sled_error(error: ::sled::Error) -> ShelfError {
    ShelfError::Sled(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: Hash = [9; 32];

    fn key(portfolio: u32, property: u32) -> ShelfKey {
        ShelfKey { portfolio, property }
    }

    #[test]
    fn an_entry_stands_as_the_golden_file_has_it_and_one_of_another_version_is_none() {
        let header = encode_header(key(1, 2), 7, &DIGEST, b"an index");
        let made = [
            ("the key of piece 1: portfolio, property, piece, big-endian", piece_key(key(1, 2), 1).to_vec()),
            ("the header, under the key of piece 0", header),
        ];
        let kept = crate::golden::check("shelf-entry.1.hex", "DATA/index: an entry of the shelf, version 1", &made);
        assert_eq!(parse_key(&kept[0]), Some(key(1, 2)));
        let read = Header::parse(&kept[1]).unwrap();
        assert_eq!((read.sequence, read.digest, read.length), (7, DIGEST, 8));
        assert_eq!(read.checksum, checksum(key(1, 2), 7, &DIGEST, b"an index"));
        let mut newer = kept[1].clone();
        newer[4] += 1;
        let sum = crc32c::crc32c(&newer[4..]).to_le_bytes();
        newer[..4].copy_from_slice(&sum);
        assert!(Header::parse(&newer).is_none(), "compiled anew");
    }

    fn open(path: &Path) -> Shelf {
        let opened = Shelf::open(path).unwrap();
        assert_eq!(opened.set_aside, None);
        opened.shelf
    }

    /// Bytes that differ from place to place, so that pieces in the wrong order show.
    fn value(seed: u32, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        reader.fill(&mut bytes);
        bytes
    }

    fn assert_holds(shelf: &Shelf, key: ShelfKey, sequence: u64, bytes: &[u8]) {
        let shelved = shelf.get(key).unwrap();
        assert_eq!((shelved.sequence, shelved.digest), (sequence, DIGEST), "{key:?}");
        assert!(shelved.bytes.as_slice() == bytes, "{key:?}");
        assert!(bytes.is_empty() || (shelved.bytes.as_ptr() as usize).is_multiple_of(64), "{key:?}");
    }

    fn blob_files(path: &Path) -> usize {
        fs::read_dir(database(path).unwrap().join("blobs")).unwrap().count()
    }

    #[test]
    fn what_was_put_comes_back_aligned_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index");
        let lengths = [0, 1, 22, 23, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 1_000_003];
        let shelf = open(&path);
        for (property, length) in (1..).zip(lengths) {
            shelf.put(key(1, property), 70, DIGEST, &value(property, length)).unwrap();
        }
        shelf.flush().unwrap();
        drop(shelf);
        let shelf = open(&path);
        for (property, length) in (1..).zip(lengths) {
            assert_holds(&shelf, key(1, property), 70, &value(property, length));
        }
        assert!(shelf.get(key(2, 1)).is_none());
    }

    #[test]
    fn a_value_replaces_the_one_before_whatever_their_lengths() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = open(&directory.path().join("index"));
        for (sequence, length) in (1..).zip([0, 100_000, 300_000, 5, 300_000, 100_000]) {
            let bytes = value(sequence, length);
            shelf.put(key(1, 1), u64::from(sequence), DIGEST, &bytes).unwrap();
            assert_holds(&shelf, key(1, 1), u64::from(sequence), &bytes);
        }
    }

    #[test]
    fn keys_are_listed_in_order_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = open(&directory.path().join("index"));
        let all = [key(0, 0), key(1, 2), key(1, 300), key(2, 1), key(u32::MAX, u32::MAX)];
        for (seed, key) in (1..).zip(all.into_iter().rev()) {
            shelf.put(key, 1, DIGEST, &value(seed, 40_000)).unwrap();
        }
        assert_eq!(shelf.keys().unwrap(), all);
        shelf.remove(key(1, 300)).unwrap();
        shelf.remove(key(7, 7)).unwrap();
        assert!(shelf.get(key(1, 300)).is_none());
        assert_eq!(shelf.keys().unwrap(), [all[0], all[1], all[3], all[4]]);
    }

    #[test]
    fn no_value_becomes_a_blob_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index");
        let shelf = open(&path);
        for round in 0..3 {
            for property in 0..12 {
                shelf.put(key(1, property), round, DIGEST, &value(property, 30_000 << (property % 6))).unwrap();
            }
            for property in (0..12).step_by(3) {
                shelf.remove(key(1, property)).unwrap();
            }
            shelf.flush().unwrap();
            assert_eq!(blob_files(&path), 0);
        }
    }

    #[test]
    fn a_value_that_is_not_whole_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = open(&directory.path().join("index"));
        let put = || shelf.put(key(1, 1), 5, DIGEST, &value(1, 50_000)).unwrap();
        let spoil = |task: fn(&Db) -> ::sled::Result<()>| {
            put();
            assert!(shelf.get(key(1, 1)).is_some());
            shelf.run(READ_LIMIT, task).unwrap().unwrap();
            assert!(shelf.get(key(1, 1)).is_none());
        };
        spoil(|db| db.remove(piece_key(key(1, 1), 0)).map(drop));
        spoil(|db| db.remove(piece_key(key(1, 1), 2)).map(drop));
        spoil(|db| db.insert(piece_key(key(1, 1), 2), &[0; PIECE_BYTES][..]).map(drop));
        spoil(|db| db.insert(piece_key(key(1, 1), 9), &b"surplus"[..]).map(drop));
        spoil(|db| db.insert(piece_key(key(1, 1), 0), &b"short"[..]).map(drop));
        // One property's value in the place of another's.
        put();
        shelf
            .run(READ_LIMIT, |db| {
                for number in 0..=4 {
                    let piece = db.get(piece_key(key(1, 1), number)).unwrap().unwrap();
                    db.insert(piece_key(key(1, 2), number), piece).unwrap();
                }
            })
            .unwrap();
        assert!(shelf.get(key(1, 2)).is_none());
    }

    #[test]
    fn a_second_opening_is_told_that_it_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index");
        let _shelf = open(&path);
        assert!(matches!(Shelf::open(&path).err().unwrap(), ShelfError::InUse { .. }));
        assert!(path.exists());
    }

    #[test]
    fn a_panic_inside_ends_the_shelf_and_the_next_start_sets_it_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index");
        let shelf = open(&path);
        shelf.put(key(1, 1), 5, DIGEST, b"archive").unwrap();
        assert!(shelf.run(READ_LIMIT, |_| panic!("as sled does on damaged pages")).is_err());
        assert!(shelf.get(key(1, 1)).is_none());
        assert!(matches!(shelf.put(key(1, 1), 6, DIGEST, b"archive"), Err(ShelfError::OutOfOrder)));
        drop(shelf);
        let opened = Shelf::open(&path).unwrap();
        assert_eq!(opened.set_aside, Some(directory.path().join("index.damaged-1")));
        assert!(opened.shelf.keys().unwrap().is_empty());
        opened.shelf.put(key(1, 1), 7, DIGEST, b"archive").unwrap();
        drop(opened);
        assert_holds(&open(&path), key(1, 1), 7, b"archive");
    }

    #[test]
    fn what_hangs_is_given_up_after_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index");
        let shelf = open(&path);
        let (_never, forever) = bounded::<()>(0);
        let hang = move |_: &Db| forever.recv().is_ok();
        assert!(matches!(shelf.run(Duration::ZERO, hang), Err(ShelfError::OutOfOrder)));
        assert!(shelf.get(key(1, 1)).is_none());
        drop(shelf);
        assert!(Shelf::open(&path).unwrap().set_aside.is_some());
    }

    #[test]
    fn a_damaged_database_never_gives_a_wrong_value_and_never_stops_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let whole = directory.path().join("whole");
        let shelf = open(&whole);
        let bytes = value(1, 30_000);
        for property in 0..20 {
            shelf.put(key(1, property), 5, DIGEST, &bytes).unwrap();
        }
        drop(shelf);
        let source = database(&whole).unwrap();
        for fault in 0..24_usize {
            let path = directory.path().join(format!("index-{fault}"));
            let target = path.join("sled-1");
            fs::create_dir_all(target.join("blobs")).unwrap();
            for entry in fs::read_dir(&source).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
                let mut content = fs::read(entry.path()).unwrap();
                spoil(&mut content, fault);
                fs::write(target.join(entry.file_name()), content).unwrap();
            }
            let opened = Shelf::open_within(&path, Duration::from_secs(3)).unwrap();
            for property in 0..20 {
                if let Some(shelved) = opened.shelf.get(key(1, property)) {
                    assert!(shelved.bytes.as_slice() == bytes && shelved.sequence == 5, "fault {fault}");
                }
            }
            drop(opened);
        }
    }

    /// Flips, zeroes or cuts, at places spread over the file.
    fn spoil(content: &mut Vec<u8>, fault: usize) {
        let at = content.len() * (fault / 3) / 8;
        match fault % 3 {
            0 => content[at..].iter_mut().step_by(4_001).for_each(|byte| *byte ^= 0x20),
            1 => content[at..].iter_mut().take(5_000).for_each(|byte| *byte = 0),
            _ => content.truncate(at),
        }
    }
}
