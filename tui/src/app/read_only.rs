//! Read-only by choice: nothing that changes something, or leaves an entry in the audit trail, goes out from here.
//!
//! Which commands these are stands in the tables of chords (`writes`). What is refused is refused here: before it does
//! anything ([`Shell::refused`]), before a dialog for it opens ([`Shell::open`]), and once more by the connection.

use super::{Dialog, ScreenId, Shell};
use crate::keymap::{self, Action};

/// What a refusal begins with.
pub const READ_ONLY: &str = "read-only: ";

/// Whether changes are refused, and by whose choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReadOnly {
    /// They are not.
    #[default]
    Off,
    /// By the command, which also ends it.
    Chosen,
    /// From the start on, by `--read-only`: it stays until the end.
    Flag,
    /// From the start on, by the settings: it stays until the end.
    Settings,
}

impl ReadOnly {
    /// Whether changes are refused.
    pub fn is_on(self) -> bool {
        self != ReadOnly::Off
    }

    /// How it is left, where the command doesn't.
    fn left_by(self) -> Option<&'static str> {
        match self {
            ReadOnly::Off | ReadOnly::Chosen => None,
            ReadOnly::Flag => Some("it was started with --read-only: quit, and start it without"),
            ReadOnly::Settings => Some("config.toml says `read-only = true`: take that out, and start anew"),
        }
    }
}

/// Whether the dialog is a part of a change. Anything else that opens is only looked at.
fn writes(dialog: &Dialog) -> bool {
    match dialog {
        Dialog::Review(_) | Dialog::Week(_) => true,
        Dialog::Form(form) => keymap::writes(form.owner, Action::Act(form.act)),
        Dialog::Help { .. } | Dialog::Palette(_) | Dialog::Server(_) | Dialog::Token(_) | Dialog::Jobs { .. } => false,
    }
}

impl Shell {
    /// Why this is refused while nothing is to be changed from here.
    pub fn refused(&self, screen: ScreenId, action: Action) -> Option<String> {
        let refused = self.read_only.is_on() && keymap::writes(screen, action);
        refused.then(|| self.why_read_only())
    }

    /// Why this dialog does not open.
    pub(super) fn refused_dialog(&self, dialog: &Dialog) -> Option<String> {
        (self.read_only.is_on() && writes(dialog)).then(|| self.why_read_only())
    }

    fn why_read_only(&self) -> String {
        format!("{READ_ONLY}{}", self.read_only.left_by().unwrap_or(":read-only leaves that"))
    }

    /// Changes nothing from now on, or again; where that was said at the start, says how it ends.
    pub(super) fn toggle_read_only(&mut self) {
        if let Some(how) = self.read_only.left_by() {
            return self.warn(format!("still read-only: {how}"));
        }
        self.read_only = if self.read_only.is_on() { ReadOnly::Off } else { ReadOnly::Chosen };
        self.say(match self.read_only.is_on() {
            true => "read-only: nothing is changed from here until :read-only is said again",
            false => "changes can be made again",
        });
        self.effect(super::Effect::ReadOnly(self.read_only.is_on()));
    }
}
