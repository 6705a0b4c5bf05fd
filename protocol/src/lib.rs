//! The shared words of keyward: ids, moments, schedules, credentials, decisions, limits and wire messages.
//!
//! Without the `client` feature this crate has no IO, no clock and no async: it can be used by a lock, a
//! server and a terminal alike.

#[cfg(feature = "client")]
pub mod client;
pub mod code;
pub mod codec;
pub mod decision;
pub mod entry;
pub mod error;
pub mod frame;
pub mod id;
pub mod limits;
pub mod message;
pub mod name;
pub mod schedule;
pub mod time;
