//! The rules, pure: plain functions over plain data. Nothing here reads a clock, a file, a socket or a random source;
//! moments, seeds and secrets come in as arguments.
//!
//! [`decide`] turns a [`Command`](command::Command) into causes or a refusal; [`effects::step`] says what follows from
//! causes, and is what a preview shows, what a step does and what a replay repeats; [`policy`] answers any check
//! slowly and obviously, and judges the compiled index.

pub mod audit;
pub mod command;
pub mod decide;
pub mod directory;
pub mod edit;
pub mod effects;
pub mod event;
pub mod explain;
pub mod hours;
pub mod joining;
pub mod permission;
pub mod policy;
pub mod since;
pub mod site;

#[cfg(test)]
mod tests;
