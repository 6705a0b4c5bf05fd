//! The shared words of keyward: ids, moments, schedules, credentials, decisions, limits and wire messages.
//!
//! Without the `client` feature this crate has no IO, no clock and no async: it can be used by a lock, a
//! server and a terminal alike.

pub mod code;
pub mod decision;
pub mod id;
pub mod limits;
pub mod name;
pub mod schedule;
pub mod time;
