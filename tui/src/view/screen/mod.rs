//! The screens, each drawn from its own state.

pub mod keys;
pub mod logs;
pub mod people;
