//! The root secret: what a vault's file is worth nothing without. It lives outside the data directory.
//!
//! ```text
//! 0        8         12               16       48                              56
//! | magic  | version | crc32c of 0-12 | secret | first bytes of a blake3 of it |
//! ```
//!
//! Format 1 had no version: magic, secret and the blake3 alone, 48 bytes. It is read, and not written.

use core::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::disk::{Disk, parent_of};
use crate::format::{Beginning, Fields, NewerFormat, PREAMBLE_BYTES, begin, preamble};

const ROOT_BYTES: usize = 32;
const MAGIC: [u8; 8] = *b"keywroot";
const CHECK_BYTES: usize = 8;
/// Preamble, secret, checksum.
const FILE_BYTES: usize = PREAMBLE_BYTES + ROOT_BYTES + CHECK_BYTES;
/// The newest version that can be read, and the one that is written.
const FORMAT_VERSION: u32 = 2;

/// 32 random bytes that everything in a vault is sealed under. Never printed, wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct RootSecret {
    bytes: [u8; ROOT_BYTES],
}

/// Why a root secret could not be made, read or written.
#[derive(Debug, Error)]
pub enum RootError {
    /// A secret that exists is never overwritten: what it sealed would be gone.
    #[error("`{}` exists already; a root secret is not overwritten, move it away first", .0.display())]
    Exists(PathBuf),
    /// Others on this machine may read the secret.
    #[error("`{}` may be read by others; run `chmod 600` on it, and rotate the root if anyone else had it", .0.display())]
    Open(PathBuf),
    /// It was written by a later release.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// The file is no root secret, or a damaged one.
    #[error("`{}` is not an undamaged root secret; restore it from where it was backed up", .0.display())]
    Damaged(PathBuf),
    /// The file system refused.
    #[error("root secret `{}`: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was answered.
        error: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(getrandom::Error),
}

impl RootSecret {
    /// A new secret from the operating system's random source.
    pub fn generate() -> Result<RootSecret, RootError> {
        let mut bytes = [0; ROOT_BYTES];
        getrandom::fill(&mut bytes).map_err(RootError::Random)?;
        Ok(RootSecret { bytes })
    }

    /// The secret in the file at `path`, which must be closed to everyone but its owner.
    pub fn read(path: &Path) -> Result<RootSecret, RootError> {
        let io = |error| RootError::Io { path: path.to_owned(), error };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
            return Err(RootError::Open(path.to_owned()));
        }
        // Room for all and one more, so that the secret is never moved to a larger buffer without being wiped.
        let mut contents = Zeroizing::new(Vec::with_capacity(FILE_BYTES + 1));
        file.take(FILE_BYTES as u64 + 1).read_to_end(&mut contents).map_err(io)?;
        parse(path, &contents)
    }

    /// Writes the secret to a new file that only its owner may read, and waits until it is on disk. A file that
    /// exists is never overwritten.
    pub fn write(&self, path: &Path) -> Result<(), RootError> {
        self.write_new_on(&Disk::new(), path)
    }

    /// [`Self::write`], with the disk as an argument.
    pub fn write_new_on(&self, disk: &Disk, path: &Path) -> Result<(), RootError> {
        match path.try_exists() {
            Ok(false) => self.write_on(disk, path),
            Ok(true) => Err(RootError::Exists(path.to_owned())),
            Err(error) => Err(RootError::Io { path: path.to_owned(), error }),
        }
    }

    /// Writes the secret to a file beside the one in force, in place of what a rotation left there, and waits until it
    /// is on disk.
    pub fn write_on(&self, disk: &Disk, path: &Path) -> Result<(), RootError> {
        let contents = self.contents();
        let written = disk.create(path).and_then(|file| {
            file.write_at(0, &contents)?;
            file.sync()?;
            disk.sync_directory(parent_of(path))
        });
        written.map_err(|error| RootError::Io { path: path.to_owned(), error })
    }

    /// Overwrites the file at `path` with zeros and removes it: the end of a root that a rotation replaced. What
    /// the storage below keeps of it is beyond a program's reach.
    pub fn destroy_on(disk: &Disk, path: &Path) -> Result<(), RootError> {
        let destroyed = disk.open(path).and_then(|file| {
            file.write_at(0, &[0; FILE_BYTES])?;
            file.sync()?;
            disk.remove(path)?;
            disk.sync_directory(parent_of(path))
        });
        destroyed.map_err(|error| RootError::Io { path: path.to_owned(), error })
    }

    /// Whether it is the same secret.
    pub fn is(&self, other: &RootSecret) -> bool {
        self.bytes == other.bytes
    }

    fn contents(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&preamble(MAGIC, FORMAT_VERSION)[..], &self.bytes, &checksum(&self.bytes)].concat())
    }

    pub(super) fn expose(&self) -> &[u8; ROOT_BYTES] {
        &self.bytes
    }

    #[cfg(test)]
    pub(crate) fn fixed(byte: u8) -> RootSecret {
        RootSecret { bytes: [byte; ROOT_BYTES] }
    }
}

impl fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootSecret(****)")
    }
}

fn parse(path: &Path, contents: &[u8]) -> Result<RootSecret, RootError> {
    let mut fields = Fields(contents);
    let behind = match begin(&mut fields, MAGIC, FORMAT_VERSION) {
        Beginning::Readable => Some(fields.0),
        Beginning::Newer(found) => {
            return Err(NewerFormat { file: path.to_owned(), found, known: FORMAT_VERSION }.into());
        }
        Beginning::Damaged => contents.strip_prefix(&MAGIC),
    };
    behind.and_then(parse_secret).ok_or_else(|| RootError::Damaged(path.to_owned()))
}

fn parse_secret(bytes: &[u8]) -> Option<RootSecret> {
    let (bytes, check) = bytes.split_first_chunk::<ROOT_BYTES>()?;
    (*check == checksum(bytes)).then_some(RootSecret { bytes: *bytes })
}

/// Tells a damaged file from a wrong one. It stands beside the secret itself, so there is nothing to hide.
fn checksum(secret: &[u8; ROOT_BYTES]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key("keyward vault 1: checksum of a root secret's file");
    hasher.update(secret);
    let mut check = [0; CHECK_BYTES];
    hasher.finalize_xof().fill(&mut check);
    check
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    // C8
    #[test]
    fn a_root_is_private_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root");
        let root = RootSecret::generate().unwrap();
        root.write(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(RootSecret::read(&path).unwrap().bytes, root.bytes);
        assert!(matches!(RootSecret::generate().unwrap().write(&path), Err(RootError::Exists(_))));
        assert_eq!(RootSecret::read(&path).unwrap().bytes, root.bytes);
        assert_eq!(format!("{root:?}"), "RootSecret(****)");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(RootSecret::read(&path), Err(RootError::Open(_))));
        RootSecret::destroy_on(&Disk::new(), &path).unwrap();
        assert!(matches!(RootSecret::read(&path), Err(RootError::Io { .. })));
    }

    #[test]
    fn a_damaged_root_is_told_from_a_wrong_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root");
        RootSecret::fixed(3).write(&path).unwrap();
        let good = fs::read(&path).unwrap();
        for cut in 0..good.len() {
            fs::write(&path, &good[..cut]).unwrap();
            assert!(matches!(RootSecret::read(&path), Err(RootError::Damaged(_))), "{cut}");
            let mut flipped = good.clone();
            flipped[cut] ^= 1;
            fs::write(&path, flipped).unwrap();
            assert!(matches!(RootSecret::read(&path), Err(RootError::Damaged(_))), "{cut}");
        }
        fs::write(&path, [&good[..], b"x"].concat()).unwrap();
        assert!(matches!(RootSecret::read(&path), Err(RootError::Damaged(_))));
    }
}
