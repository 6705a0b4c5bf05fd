//! The operator terminal of keyward.
//!
//! The screen is [`app::update`], which turns events into state and effects, and [`view::render`], which draws the
//! state into a buffer: both pure. [`terminal`] alone touches the terminal.

pub mod app;
pub mod cli;
#[cfg(feature = "demo")]
pub mod demo;
pub mod keymap;
pub mod terminal;
pub mod theme;
pub mod view;
