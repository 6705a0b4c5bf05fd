//! What is shown once, and never again: a token that somebody may join with.

use crossterm::event::{KeyCode, KeyEvent};
use keyward_protocol::message::join::JoinToken;

use super::{DialogDone, Effect, Shell};

/// A token on the screen. Nothing but Esc closes it: a stray chord would lose it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Secret {
    /// The line over it.
    pub title: String,
    /// What it is for and how long it is good.
    pub about: Vec<String>,
    /// What is handed over.
    pub token: JoinToken,
}

impl Secret {
    /// Takes a key of the keyboard.
    pub fn key(&mut self, key: KeyEvent, shell: &mut Shell) -> DialogDone {
        match key.code {
            KeyCode::Esc => return DialogDone::Closed,
            KeyCode::Char('y') => {
                shell.say("sent to the terminal's clipboard");
                shell.effect(Effect::Copy(self.token.expose().to_string()));
            }
            _ => shell.say("Esc closes it, y copies it; it is not shown again"),
        }
        DialogDone::Stays
    }
}
