//! What changes files: everything that the log's writer does to the disk goes through here, so that tests can let
//! it fail.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{self, parent_of};

/// Makes and reopens files.
pub(super) trait Disk: Send {
    /// Makes a directory and those above it, so that they survive a power cut.
    fn create_directory(&mut self, path: &Path) -> io::Result<()>;

    /// A new, empty file whose name survives a power cut. A file that has the name already is set aside under another
    /// one, never overwritten.
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// A file that is there, cut to `length` bytes, to be appended to; what is left of it is on disk.
    fn resume(&mut self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file that can't be used, so that it is out of the way and can still be looked into.
    fn set_aside(&mut self, path: &Path) -> io::Result<PathBuf>;

    /// Makes a file with this content appear at once and for good, in the place of one that has its name.
    fn write_whole(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Removes a file that nothing was kept in.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
}

/// A file that only grows.
pub(super) trait DiskFile: Send {
    /// Writes all of `bytes` at the end; after an error any part of them may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything appended is on disk. After an error nothing since the last success can be relied on,
    /// and the file isn't to be written again: the system may have thrown the failed pages away.
    fn flush(&mut self) -> io::Result<()>;
}

/// The operating system's files.
pub(super) struct RealDisk(pub disk::Disk);

/// One of them, with its length.
struct Appended {
    file: disk::DiskFile,
    length: u64,
}

impl Disk for RealDisk {
    fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        self.0.create_directory(path)
    }

    fn create(&mut self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if path.try_exists()? {
            self.set_aside(path)?;
        }
        let file = self.0.create(path)?;
        self.0.sync_directory(parent_of(path))?;
        Ok(Box::new(Appended { file, length: 0 }))
    }

    fn resume(&mut self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = self.0.open(path)?;
        if file.length()? != length {
            file.truncate(length)?;
        }
        // What was read of it may have been in memory only, if the process before this one was killed.
        file.sync()?;
        Ok(Box::new(Appended { file, length }))
    }

    fn set_aside(&mut self, path: &Path) -> io::Result<PathBuf> {
        for number in 1_u32.. {
            let aside = path.with_extension(format!("aside-{number}"));
            if !aside.try_exists()? {
                self.0.rename(path, &aside)?;
                self.0.sync_directory(parent_of(path))?;
                return Ok(aside);
            }
        }
        Err(io::Error::other("too many files were set aside: remove some of them"))
    }

    fn write_whole(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.0.write_whole(path, &[bytes]).map(drop)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }
}

impl DiskFile for Appended {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(self.length, bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}
