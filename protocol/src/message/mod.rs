//! What goes over the wire, one file for each kind of stream.

pub mod admission;
pub mod audit;
pub mod check;
pub mod join;
pub mod manage;
pub mod mine;
pub mod watch;
