//! The screens, each drawn from its own state.

pub mod audit;
pub mod doors;
pub mod explain;
pub mod histogram;
pub mod keys;
pub mod locks;
pub mod logs;
pub mod managers;
pub mod matrix;
pub mod people;
pub mod schedules;
