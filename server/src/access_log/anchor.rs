//! The log's anchor: a small file beside the segments that names the record which comes next, at most a second behind
//! while the log is written and exact once it was shut down. Without it, a last segment that lost its end at the edge
//! of a chunk looks whole.
//!
//! ```text
//! 0       8         12     16        32                     40       44
//! | magic | version | zero | lineage | the record after all | crc32c |
//! ```
//!
//! Numbers are little-endian. One that is missing or damaged says nothing: the log is then believed as it stands.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::fs;
use std::path::{Path, PathBuf};

use super::bytes::{Fields, Put};
use super::segment::{Lineage, seal, sealed};

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
    Put::new(&mut bytes).bytes(&MAGIC).u32(VERSION).u32(0).bytes(lineage).u64(next);
    seal(&mut bytes, 0);
    bytes
}

/// The record after all that were on disk when the anchor of the log in `directory` was written, if it can be read.
pub(super) fn read(directory: &Path, lineage: &Lineage) -> Option<u64> {
    let bytes: [u8; BYTES] = fs::read(path_of(directory)).ok()?.try_into().ok()?;
    let mut fields = Fields::new(sealed(&bytes, 0)?);
    let known = fields.array()? == MAGIC && fields.u32()? == VERSION && fields.u32()? == 0;
    let ours = fields.array::<16>()? == *lineage;
    let next = fields.u64()?;
    (known && ours).then_some(next)
}
