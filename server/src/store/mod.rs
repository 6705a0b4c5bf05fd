//! What is durable: the journal, snapshots of the Directory, and the persisted index.
//!
//! Three things of different weight:
//!
//! - [`journal`] is the truth. An acknowledgement means that its frame was flushed; everything else can be made
//!   anew from it. It is also the audit trail, so its segments are never rewritten.
//! - [`snapshot`] bounds how much of the journal a start has to replay. Losing every snapshot costs time, not data.
//! - [`sled`] keeps the compiled indexes, so that a start needn't compile. It is never believed: each value carries
//!   the sequence that it stands for and a checksum of our own, and a database that is damaged is put aside.
//!
//! All of them take payloads as opaque bytes; what the bytes mean is written down in the records. Journal and
//! snapshots touch the disk through [`crate::disk`] only, so that a test can make any single operation fail.

pub mod journal;
pub mod record;
pub mod sled;
pub mod snapshot;

pub use self::sled::{Shelf, ShelfError, ShelfKey};
