//! How the server is: what is known of it already, and the doors at which wrong codes ran out.

use crossterm::event::{KeyCode, KeyEvent};
use keyward_protocol::message::manage::{AlertRow, Answer, Request};

use super::{DialogDone, Shell, explain::Asked};
use crate::remote::{Failure, Ticket};

/// What is asked while it is looked at.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// Doors whose budget for wrong codes ran out within a day (U7).
    pub alerts: Asked<Vec<AlertRow>>,
}

impl Server {
    /// Asks for what is missing.
    pub fn ask(&mut self, shell: &mut Shell) {
        self.alerts.ask(|| shell.ask_for_dialog(Request::Alerts));
    }

    /// Takes an answer.
    pub fn answered(&mut self, ticket: Ticket, answer: &Result<Answer, Failure>) {
        if self.alerts.expects(ticket) {
            let odd = Failure::Unreadable("the server answers something else".to_owned());
            self.alerts.take(match answer {
                Ok(Answer::Alerts(rows)) => Ok(rows.clone()),
                Ok(_) => Err(&odd),
                Err(failure) => Err(failure),
            });
        }
    }

    /// Takes a key of the keyboard.
    pub fn key(&mut self, key: KeyEvent, shell: &mut Shell) -> DialogDone {
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') | KeyCode::Enter => DialogDone::Closed,
            _ => {
                self.ask(shell);
                DialogDone::Stays
            }
        }
    }
}
