//! The log's anchor: a small file beside the segments that names the record which comes next, at most a second behind
//! while the log is written and exact once it was shut down. Without it, a last segment that lost its end at the edge
//! of a chunk looks whole.
//!
//! ```text
//! 0       8         12               16        32                     40       44
//! | magic | version | crc32c of 0-12 | lineage | the record after all | crc32c |
//! ```
//!
//! Numbers are little-endian. One that is missing or damaged says nothing: the log is then believed as it stands. One
//! that a later release wrote is an error: that release may have written the log otherwise, too.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::bytes::{Fields, Put};
use super::segment::{Lineage, seal, sealed};
use crate::format::{self, Beginning, NewerFormat, PREAMBLE_BYTES, begin, preamble};

const BYTES: usize = 44;
const MAGIC: [u8; 8] = *b"kwlogend";
const VERSION: u32 = 1;

/// Where the anchor of the log in `directory` is.
pub(super) fn path_of(directory: &Path) -> PathBuf {
    directory.join("anchor")
}

/// The anchor of a log whose records before `next` are on disk.
pub(super) fn encode(lineage: &Lineage, next: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    Put::new(&mut bytes).bytes(&preamble(MAGIC, VERSION)).bytes(lineage).u64(next);
    seal(&mut bytes, 0);
    bytes
}

/// The record after all that were on disk when the anchor of the log in `directory` was written, if it can be read.
pub(super) fn read(directory: &Path, lineage: &Lineage) -> io::Result<Option<u64>> {
    let path = path_of(directory);
    let Ok(bytes) = fs::read(&path) else { return Ok(None) };
    match begin(&mut format::Fields(&bytes), MAGIC, VERSION) {
        Beginning::Newer(found) => {
            let newer = NewerFormat { file: path, found, known: VERSION };
            Err(io::Error::new(io::ErrorKind::Unsupported, newer))
        }
        Beginning::Readable => Ok(next(&bytes, lineage)),
        Beginning::Damaged => Ok(None),
    }
}

fn next(bytes: &[u8], lineage: &Lineage) -> Option<u64> {
    let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
    let mut fields = Fields::new(sealed(bytes, 0)?);
    fields.array::<PREAMBLE_BYTES>()?;
    let ours = fields.array::<16>()? == *lineage;
    let next = fields.u64()?;
    ours.then_some(next)
}
