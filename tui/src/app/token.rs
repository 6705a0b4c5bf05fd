//! Tokens to join with: made outside, told to the server by their hash, and shown once.

use crossterm::event::{KeyCode, KeyEvent};
use keyward_protocol::{
    entry::{Party, Sha256},
    message::join::JoinToken,
    time::Moment,
};

use super::{DialogDone, Effect, Shell};

/// A token that nobody knows of yet, with the hash that the server is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fresh {
    /// The token.
    pub token: JoinToken,
    /// Of its secret.
    pub hash: Sha256,
}

/// What a token is to be for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct For {
    /// Whoever joins with it is this; `None`: the lock that the review registers first.
    pub party: Option<Party>,
    /// When it is over.
    pub until: Moment,
    /// Whose it is, for people.
    pub whose: String,
}

/// A token, shown once.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub token: JoinToken,
    /// What it is for.
    pub of: For,
}

/// For how long tokens are good: the words, and seconds. A server allows seven days by its own clock.
pub const LENGTHS: [(&str, i64); 3] = [("an hour", 3_600), ("a day", 86_400), ("six days", 6 * 86_400)];

impl Token {
    /// Takes a key of the keyboard.
    pub fn key(&self, key: KeyEvent, shell: &mut Shell) -> DialogDone {
        match key.code {
            KeyCode::Char('y') => {
                shell.effect(Effect::Copy(self.token.expose().to_string()));
                shell.say("sent to the terminal's clipboard");
                DialogDone::Stays
            }
            KeyCode::Esc | KeyCode::Char('q') => DialogDone::Closed,
            // It is never shown again: a stray key doesn't close it.
            _ => DialogDone::Stays,
        }
    }
}
