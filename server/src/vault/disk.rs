//! What the vault asks of a disk, small enough that tests can fail and tear each operation.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// One file that is changed in place, or replaced as a whole.
pub(super) trait Disk: Send {
    /// Bytes of the file.
    fn len(&self) -> io::Result<u64>;
    /// Fills `buffer` from the file.
    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes, growing the file where needed. Durable after the next [`Self::flush`]; torn or missing after a
    /// crash before it.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything written is on the disk.
    fn flush(&mut self) -> io::Result<()>;
    /// Begins a new file that may take this one's place, forgetting one begun before.
    fn stage(&mut self) -> io::Result<()>;
    /// Adds to the staged file.
    fn stage_more(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Puts the staged file in the place of this one, all or nothing, durably. After an error either may stand
    /// there.
    fn install(&mut self) -> io::Result<()>;
}

/// A file of the file system.
pub(super) struct FileDisk {
    path: PathBuf,
    /// Nothing before the first [`Disk::install`] of a file that is being made.
    file: Option<File>,
    staged: Option<File>,
}

impl FileDisk {
    /// A file that does not exist until something is installed. Refused when there is one.
    pub(super) fn create(path: &Path) -> io::Result<FileDisk> {
        if path.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(FileDisk { path: path.to_owned(), file: None, staged: None })
    }

    /// The file at `path`. What a crash left of a staged file is removed.
    pub(super) fn open(path: &Path) -> io::Result<FileDisk> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        match fs::remove_file(staged_path(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(FileDisk { path: path.to_owned(), file: Some(file), staged: None })
    }

    fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for FileDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file()?.metadata()?.len())
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file()?.read_exact_at(buffer, at)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all_at(bytes, at)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file()?.sync_data()
    }

    fn stage(&mut self) -> io::Result<()> {
        let path = staged_path(&self.path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.staged = Some(OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?);
        Ok(())
    }

    fn stage_more(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.staged.as_mut().ok_or(io::ErrorKind::NotFound)?.write_all(bytes)
    }

    fn install(&mut self) -> io::Result<()> {
        let staged = self.staged.take().ok_or(io::ErrorKind::NotFound)?;
        staged.sync_all()?;
        fs::rename(staged_path(&self.path), &self.path)?;
        self.file = Some(staged);
        flush_directory_of(&self.path)
    }
}

/// Makes a new or renamed file's name durable.
pub(super) fn flush_directory_of(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

fn staged_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    name.into()
}
