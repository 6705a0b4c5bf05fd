//! The operator terminal of keyward.
//!
//! The client is [`app::update`], which turns events into state and effects, and [`view::render`], which draws the
//! state into a buffer: both pure. [`terminal`] alone touches the terminal, [`remote`] alone the network, [`servers`],
//! [`config`], [`state`] and [`files`] the user's files. `DESIGN.md` beside this crate says how a screen, an act or a chord is added.

pub mod app;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod files;
pub mod keymap;
pub mod login;
pub mod remote;
pub mod servers;
pub mod state;
pub mod terminal;
pub mod theme;
pub mod view;
