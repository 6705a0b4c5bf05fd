//! What changes files: everything that the log's writer does to the disk goes through here, so that tests can let
//! it fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Makes and reopens files.
pub(super) trait Disk: Send {
    /// A new, empty file whose name survives a power cut. A file that has the name already is set aside under another
    /// one, never overwritten.
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// A file that is there, cut to `length` bytes, to be appended to.
    fn resume(&mut self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>>;
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
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if path.try_exists()? {
            set_aside(path)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        sync_directory_of(path)?;
        Ok(Box::new(file))
    }

    fn resume(&mut self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        if file.metadata()?.len() != length {
            file.set_len(length)?;
            file.sync_all()?;
        }
        file.seek(SeekFrom::Start(length))?;
        Ok(Box::new(file))
    }
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Renames a file that can't be used, so that it is out of the way and can still be looked into.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    for number in 1_u32.. {
        let aside = path.with_extension(format!("aside-{number}"));
        if !aside.try_exists()? {
            fs::rename(path, &aside)?;
            sync_directory_of(path)?;
            return Ok(aside);
        }
    }
    Err(io::Error::other("too many files were set aside: remove some of them"))
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
