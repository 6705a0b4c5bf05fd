//! keyward's server. `server/DESIGN.md` is the map.

pub mod access_log;
pub mod check_config;
pub mod cli;
pub mod clock;
pub mod control;
pub mod disk;
pub mod domain;
pub mod engine;
pub mod evaluate;
mod format;
pub mod identity;
pub mod index;
pub mod net;
mod parallel;
pub mod progress;
pub mod service;
mod sip;
pub mod store;
pub mod vault;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod testing;
