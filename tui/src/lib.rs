//! keyward's terminal client for operators.

pub mod cli;
#[cfg(feature = "demo")]
pub mod demo;
