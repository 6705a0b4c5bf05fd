//! The compiled index: what answers a check.
//!
//! [`source`] is the plain form that a property is compiled from.

pub mod flatten;
pub mod source;
