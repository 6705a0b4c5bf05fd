//! The screens, each drawn from its own state.

pub mod doors;
pub mod keys;
pub mod logs;
pub mod matrix;
pub mod people;
pub mod schedules;
