//! What our own files have in common: how they begin, and how their fields are read.
//!
//! The first sixteen bytes mean the same in every version of every file, so that an old server can tell a newer
//! file from a damaged one. All numbers are little-endian.
//!
//! ```text
//! 0        8           12              16
//! | magic  | version   | crc32c of 0-12 | what the version says ...
//! ```
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::path::PathBuf;

/// Bytes of what every file begins with.
pub(crate) const PREAMBLE_BYTES: usize = 16;
/// Bytes of a lineage: what tells the history of one installation from that of another.
pub const LINEAGE_BYTES: usize = 16;
/// Names one history; `init` and `restore` draw a new one.
pub type Lineage = [u8; LINEAGE_BYTES];
/// A blake3 hash.
pub type Hash = [u8; 32];

/// How a file begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// As it should.
    Readable,
    /// It is whole, but made by a later release.
    Newer(u32),
    /// It is something else, or damaged.
    Damaged,
}

/// The first bytes of a file.
pub(crate) fn preamble(magic: [u8; 8], version: u32) -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0; PREAMBLE_BYTES];
    let fields = magic.into_iter().chain(version.to_le_bytes());
    let checksum = crc32c::crc32c(&fields.clone().collect::<Vec<u8>>()).to_le_bytes();
    bytes.iter_mut().zip(fields.chain(checksum)).for_each(|(to, from)| *to = from);
    bytes
}

/// A file that a later release wrote. Nothing of it is used, and nothing else in its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` has format {found}, and this keyward reads up to {known}: start it with the keyward that wrote it, or a newer one",
    file.display()
)]
pub struct NewerFormat {
    /// The file.
    pub file: PathBuf,
    /// Its format.
    pub found: u32,
    /// The newest that this release reads.
    pub known: u32,
}

/// Reads the first bytes of a file whose newest known version is `version`.
pub(crate) fn begin(fields: &mut Fields<'_>, magic: [u8; 8], version: u32) -> Beginning {
    let Some(found) = fields.take::<PREAMBLE_BYTES>() else { return Beginning::Damaged };
    let mut inner = Fields(&found);
    let _ = inner.take::<8>();
    match inner.u32() {
        Some(claimed) if found != preamble(magic, claimed) => Beginning::Damaged,
        Some(claimed) if claimed > version => Beginning::Newer(claimed),
        Some(claimed) if claimed == version => Beginning::Readable,
        _ => Beginning::Damaged,
    }
}

/// Takes fields off the front of bytes that may be anything.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    pub(crate) fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_file_is_told_from_a_damaged_one() {
        let begin_with = |bytes: &[u8]| begin(&mut Fields(bytes), *b"kwexampl", 3);
        assert_eq!(begin_with(&preamble(*b"kwexampl", 3)), Beginning::Readable);
        assert_eq!(begin_with(&preamble(*b"kwexampl", 4)), Beginning::Newer(4));
        assert_eq!(begin_with(&preamble(*b"kwanothr", 3)), Beginning::Damaged);
        for at in 0..PREAMBLE_BYTES {
            let mut bytes = preamble(*b"kwexampl", 3);
            bytes[at] ^= 4;
            assert_eq!(begin_with(&bytes), Beginning::Damaged, "byte {at}");
            assert_eq!(begin_with(&bytes[..at]), Beginning::Damaged, "cut at {at}");
        }
    }
}
