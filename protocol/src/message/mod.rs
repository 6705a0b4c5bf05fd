//! What goes over the wire, one file for each kind of stream.

pub mod audit;
pub mod check;
pub mod manage;
pub mod watch;
