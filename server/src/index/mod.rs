//! The compiled index: what answers a check.
//!
//! [`flatten`] turns a property of the Directory into the plain form of [`source`], [`compile`] makes an
//! [`archive`] of it, [`publish`] replaces what readers see, and [`lookup`] judges.

pub mod archive;
pub mod codes;
pub mod compile;
mod filter;
pub mod flatten;
pub mod lookup;
mod memory;
mod passes;
mod place;
mod prefetch;
pub mod publish;
pub mod source;
#[cfg(test)]
mod testing;
