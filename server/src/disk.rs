//! The one way in which journal, snapshots, vault and access log change the disk, so that a test can stand in between.
//!
//! Every operation that changes something (a write, a flush, a rename ...) is shown to the [`Witness`] first, if
//! there is one, and the witness may let it happen, make it fail, or tear it. Reading goes around this module.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Permissions of everything that is made here: what stands in these files is nobody else's to read.
const FILE_MODE: u32 = 0o600;
/// The same for directories.
const DIRECTORY_MODE: u32 = 0o700;

/// Access to the disk, cheap to clone.
#[derive(Clone, Default)]
pub struct Disk {
    witness: Option<Arc<dyn Witness>>,
}

/// One change that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// A file is made, or emptied if it exists.
    Create(&'a Path),
    /// Bytes are written into a file at an offset.
    Write(&'a Path, u64, &'a [u8]),
    /// A file is cut to a length.
    Truncate(&'a Path, u64),
    /// A file's content is flushed to the disk.
    Sync(&'a Path),
    /// A file gets another name, replacing what has it.
    Rename(&'a Path, &'a Path),
    /// A file loses its name.
    Remove(&'a Path),
    /// A directory is made, its parents with it.
    CreateDirectory(&'a Path),
    /// A directory's names are flushed to the disk.
    SyncDirectory(&'a Path),
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Proceed,
    /// It fails and changes nothing.
    Fail,
    /// A write puts down only so many of its bytes and then fails; any other operation is as with [`Self::Fail`].
    Tear(usize),
    /// The disk is full: a write puts down only so many of its bytes, anything else changes nothing.
    NoRoom(usize),
}

/// What a start makes of a change of several files that was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutShort {
    /// It was not in force yet: all is as it was before.
    Undone,
    /// It was: what is left to do is done.
    Finished,
}

/// Sees each change before it is made and decides about it; for tests.
pub trait Witness: Send + Sync {
    /// Called before each operation, from whatever thread does it.
    fn before(&self, operation: Operation<'_>) -> Verdict;
}

impl Disk {
    /// The disk as it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk with someone standing in between.
    pub fn witnessed(witness: Arc<dyn Witness>) -> Self {
        Self { witness: Some(witness) }
    }

    /// Makes a file, or empties it if it exists.
    pub fn create(&self, path: &Path) -> io::Result<DiskFile> {
        self.allow(Operation::Create(path))?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
        Ok(DiskFile { disk: self.clone(), path: path.to_owned(), file })
    }

    /// Opens a file that exists, for changing it.
    pub fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(DiskFile { disk: self.clone(), path: path.to_owned(), file })
    }

    /// Gives a file another name, replacing what has it. Durable after [`Self::sync_directory`].
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.allow(Operation::Rename(from, to))?;
        // After a power cut half of a rename may be there: both names, of one file. Renaming one to the other does
        // nothing then, and says that it was done.
        if is_one_file(from, to) { fs::remove_file(from) } else { fs::rename(from, to) }
    }

    /// Removes a file. Durable after [`Self::sync_directory`].
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        self.allow(Operation::Remove(path))?;
        fs::remove_file(path)
    }

    /// Makes a directory and those above it, each durable; nothing happens when it exists.
    pub fn create_directory(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        let parent = parent_of(path);
        self.create_directory(parent)?;
        self.allow(Operation::CreateDirectory(path))?;
        fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path)?;
        self.sync_directory(parent)
    }

    /// Flushes a directory's names.
    pub fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.allow(Operation::SyncDirectory(path))?;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        File::open(path)?.sync_all().map_err(unflushed)
    }

    /// Makes a file with this content appear under `path` at once and for good: either the old content or the
    /// whole new one is there after a power cut, and the new one once this has returned.
    pub fn write_whole(&self, path: &Path, parts: &[&[u8]]) -> io::Result<DiskFile> {
        let temporary = temporary_name(path);
        let written = self.write_temporary(&temporary, parts).and_then(|mut file| {
            file.rename(path)?;
            Ok(file)
        });
        let file = written.inspect_err(|_| {
            // What a full disk could not take must not keep the room that is left.
            _ = self.remove(&temporary);
        })?;
        self.sync_directory(parent_of(path))?;
        Ok(file)
    }

    fn write_temporary(&self, path: &Path, parts: &[&[u8]]) -> io::Result<DiskFile> {
        let file = self.create(path)?;
        let mut offset = 0;
        for part in parts {
            file.write_at(offset, part)?;
            offset += part.len() as u64;
        }
        file.sync()?;
        Ok(file)
    }

    fn allow(&self, operation: Operation<'_>) -> io::Result<()> {
        match self.verdict(operation) {
            Verdict::Proceed => Ok(()),
            Verdict::Fail | Verdict::Tear(_) => Err(refused()),
            Verdict::NoRoom(_) => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn verdict(&self, operation: Operation<'_>) -> Verdict {
        self.witness.as_ref().map_or(Verdict::Proceed, |witness| witness.before(operation))
    }
}

/// A file that is changed through its [`Disk`].
pub struct DiskFile {
    disk: Disk,
    path: PathBuf,
    file: File,
}

impl DiskFile {
    /// Writes all of `bytes` at `offset`.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.disk.verdict(Operation::Write(&self.path, offset, bytes)) {
            Verdict::Proceed => self.file.write_all_at(bytes, offset),
            Verdict::Fail => Err(refused()),
            Verdict::Tear(kept) => {
                self.file.write_all_at(bytes.get(..kept).unwrap_or(bytes), offset)?;
                Err(refused())
            }
            Verdict::NoRoom(kept) => {
                self.file.write_all_at(bytes.get(..kept).unwrap_or(bytes), offset)?;
                Err(io::ErrorKind::StorageFull.into())
            }
        }
    }

    /// Flushes content and length to the disk (`fdatasync`). Whatever fails here is never told as a disk without room:
    /// after a failed flush nobody knows what is there, and [`is_no_room`] means that nothing happened.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.allow(Operation::Sync(&self.path)).and_then(|()| self.file.sync_data()).map_err(unflushed)
    }

    /// Fills `buffer` from the file.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// Bytes of the file.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Cuts the file to a length; durable after [`Self::sync`].
    pub fn truncate(&self, length: u64) -> io::Result<()> {
        self.disk.allow(Operation::Truncate(&self.path, length))?;
        self.file.set_len(length)
    }

    /// Gives the file another name, replacing what has it. Durable after [`Disk::sync_directory`].
    pub fn rename(&mut self, to: &Path) -> io::Result<()> {
        self.disk.rename(&self.path, to)?;
        to.clone_into(&mut self.path);
        Ok(())
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether two names are one file's.
pub fn is_one_file(one: &Path, other: &Path) -> bool {
    let file = |path| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file);
    let place = |found: fs::Metadata| (found.dev(), found.ino());
    file(one).map(place).is_some_and(|found| file(other).map(place) == Some(found))
}

/// The directory that holds `path`'s name; empty for the current one.
pub fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// The name under which a file is written before it gets its own. One that is found later is a leftover of a write
/// that never finished, and worth nothing.
fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Whether a write was refused because the disk is full, or the owner's share of it: freeing some room mends that.
pub fn is_no_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn unflushed(error: io::Error) -> io::Error {
    if is_no_room(&error) { io::Error::other(format!("a flush failed: {error}")) } else { error }
}

fn refused() -> io::Error {
    io::Error::other("this operation was made to fail")
}

/// Stand-ins for a disk that goes wrong, shared by the tests of this folder.
#[cfg(test)]
pub(crate) mod fault {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    /// Lets some operations through, answers the next with a verdict, and fails all that follow: the process would
    /// have ended by then.
    pub(crate) struct StopAt {
        pub(crate) operation: usize,
        pub(crate) verdict: Verdict,
        pub(crate) seen: AtomicUsize,
    }

    impl StopAt {
        pub(crate) fn new(operation: usize, verdict: Verdict) -> Arc<Self> {
            Arc::new(Self { operation, verdict, seen: AtomicUsize::new(0) })
        }

        pub(crate) fn seen(&self) -> usize {
            self.seen.load(Ordering::SeqCst)
        }
    }

    impl Witness for StopAt {
        fn before(&self, _: Operation<'_>) -> Verdict {
            match self.seen.fetch_add(1, Ordering::SeqCst) {
                earlier if earlier < self.operation => Verdict::Proceed,
                this if this == self.operation => self.verdict,
                _ => Verdict::Fail,
            }
        }
    }

    /// Follows what a power cut would leave behind: content as of each file's last flush under the names as of each
    /// directory's last flush. Nothing that was merely written counts.
    pub(crate) struct PowerCut {
        stop: Arc<StopAt>,
        gone_on: AtomicBool,
        state: Mutex<Names>,
    }

    #[derive(Default)]
    struct Names {
        files: Vec<Content>,
        live: BTreeMap<PathBuf, usize>,
        durable: BTreeMap<PathBuf, usize>,
        directories: BTreeSet<PathBuf>,
    }

    #[derive(Default)]
    struct Content {
        live: Vec<u8>,
        durable: Vec<u8>,
    }

    impl PowerCut {
        /// The power fails at an operation.
        pub(crate) fn at(operation: usize) -> Arc<Self> {
            Arc::new(Self {
                stop: StopAt::new(operation, Verdict::Fail),
                gone_on: AtomicBool::new(false),
                state: Mutex::default(),
            })
        }

        /// Only the process ended: what it had written is still in memory, and the next one goes on with it.
        pub(crate) fn go_on(&self) {
            self.gone_on.store(true, Ordering::SeqCst);
        }

        pub(crate) fn happened(&self) -> bool {
            self.stop.seen() > self.stop.operation
        }

        /// Puts what is durable at this moment from below `root` into `target`.
        pub(crate) fn leave(&self, root: &Path, target: &Path) {
            let names = self.state.lock().unwrap();
            for directory in &names.directories {
                fs::create_dir_all(target.join(directory.strip_prefix(root).unwrap())).unwrap();
            }
            for (path, file) in &names.durable {
                let path = target.join(path.strip_prefix(root).unwrap());
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, &names.files[*file].durable).unwrap();
            }
        }
    }

    impl Witness for PowerCut {
        fn before(&self, operation: Operation<'_>) -> Verdict {
            if self.stop.before(operation) == Verdict::Fail && !self.gone_on.load(Ordering::SeqCst) {
                return Verdict::Fail;
            }
            let names = &mut *self.state.lock().unwrap();
            match operation {
                Operation::Create(path) => {
                    names.files.push(Content::default());
                    names.live.insert(path.to_owned(), names.files.len() - 1);
                }
                Operation::Write(path, offset, bytes) => {
                    let live = &mut names.files[names.live[path]].live;
                    let end = offset as usize + bytes.len();
                    live.resize(live.len().max(end), 0);
                    live[offset as usize..end].copy_from_slice(bytes);
                }
                Operation::Truncate(path, length) => {
                    names.files[names.live[path]].live.truncate(length as usize);
                }
                Operation::Sync(path) => {
                    let content = &mut names.files[names.live[path]];
                    content.durable = content.live.clone();
                }
                Operation::Rename(from, to) => {
                    let file = names.live.remove(from).unwrap();
                    names.live.insert(to.to_owned(), file);
                }
                Operation::Remove(path) => {
                    names.live.remove(path);
                }
                Operation::CreateDirectory(path) => {
                    names.directories.insert(path.to_owned());
                }
                Operation::SyncDirectory(path) => {
                    names.durable.retain(|name, _| name.parent() != Some(path));
                    let of_directory = names.live.iter().filter(|(name, _)| name.parent() == Some(path));
                    names.durable.extend(of_directory.map(|(name, file)| (name.clone(), *file)));
                }
            }
            Verdict::Proceed
        }
    }
}
