//! What the vault asks of a disk, small enough that tests can fail and tear each operation.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{self, DiskFile, parent_of};

/// One file that is changed in place, or replaced as a whole.
pub(super) trait Disk: Send + Sync {
    /// Bytes of the file.
    fn len(&self) -> io::Result<u64>;
    /// Fills `buffer` from the file.
    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes, growing the file where needed. Durable after the next [`Self::flush`]; torn or missing after a
    /// crash before it.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file to a length; durable after the next [`Self::flush`].
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Returns when everything written is on the disk.
    fn flush(&mut self) -> io::Result<()>;
    /// Begins a new file that may take this one's place, forgetting one begun before.
    fn stage(&mut self) -> io::Result<()>;
    /// Adds to the staged file.
    fn stage_more(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Keeps the staged file beside this one, whole and durably, until it is installed.
    fn keep(&mut self) -> io::Result<()>;
    /// Removes what was staged, where there is anything.
    fn unstage(&mut self) -> io::Result<()>;
    /// Puts the staged file in the place of this one, all or nothing, durably. After an error either may stand
    /// there.
    fn install(&mut self) -> io::Result<()>;
}

/// A file of the file system.
pub(super) struct FileDisk {
    disk: disk::Disk,
    path: PathBuf,
    /// Nothing before the first [`Disk::install`] of a file that is being made.
    file: Option<DiskFile>,
    /// The file that may take its place, with its length.
    staged: Option<(DiskFile, u64)>,
}

impl FileDisk {
    /// A file that does not exist until something is installed. Refused when there is one.
    pub(super) fn create(disk: &disk::Disk, path: &Path) -> io::Result<FileDisk> {
        if path.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(FileDisk { disk: disk.clone(), path: path.to_owned(), file: None, staged: None })
    }

    /// The file at `path`. What a crash left of a staged file is removed.
    pub(super) fn open(disk: &disk::Disk, path: &Path) -> io::Result<FileDisk> {
        let file = disk.open(path)?;
        let opened = FileDisk { disk: disk.clone(), path: path.to_owned(), file: Some(file), staged: None };
        opened.remove_staged()?;
        Ok(opened)
    }

    fn file(&self) -> io::Result<&DiskFile> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove_staged(&self) -> io::Result<()> {
        let path = staged_path(&self.path);
        if path.try_exists()? { self.disk.remove(&path) } else { Ok(()) }
    }
}

impl Disk for FileDisk {
    fn len(&self) -> io::Result<u64> {
        self.file()?.length()
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file()?.read_at(at, buffer)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_at(at, bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file()?.truncate(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file()?.sync()
    }

    fn stage(&mut self) -> io::Result<()> {
        self.remove_staged()?;
        self.staged = Some((self.disk.create(&staged_path(&self.path))?, 0));
        Ok(())
    }

    fn stage_more(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (staged, length) = self.staged.as_mut().ok_or(io::ErrorKind::NotFound)?;
        staged.write_at(*length, bytes)?;
        *length += bytes.len() as u64;
        Ok(())
    }

    fn keep(&mut self) -> io::Result<()> {
        let (staged, _) = self.staged.as_mut().ok_or(io::ErrorKind::NotFound)?;
        staged.sync()?;
        staged.rename(&next_path(&self.path))?;
        self.disk.sync_directory(parent_of(&self.path))
    }

    fn unstage(&mut self) -> io::Result<()> {
        match self.staged.take() {
            Some((staged, _)) => {
                self.disk.remove(staged.path())?;
                self.disk.sync_directory(parent_of(&self.path))
            }
            None => Ok(()),
        }
    }

    fn install(&mut self) -> io::Result<()> {
        let (mut staged, _) = self.staged.take().ok_or(io::ErrorKind::NotFound)?;
        staged.sync()?;
        staged.rename(&self.path)?;
        self.file = Some(staged);
        self.disk.sync_directory(parent_of(&self.path))
    }
}

/// The name that a vault at `path` has while its file is being made.
pub fn staged_path(path: &Path) -> PathBuf {
    with_ending(path, ".new")
}

/// The name of a vault that is whole and is to take the place of the one at `path`.
pub fn next_path(path: &Path) -> PathBuf {
    with_ending(path, ".next")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}
