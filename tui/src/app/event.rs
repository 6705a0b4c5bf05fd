//! What happens, what is to be done outside, and what lies over the screen: the words that [`update`](super::update)
//! and everybody it asks speak in.

use crossterm::event::KeyEvent;
use keyward_protocol::time::Moment;

use super::{
    form::Form,
    jobs::{JobId, Writing},
    palette::Palette,
    review::Review,
    server::Server,
    token::Token,
    week::Week,
};
use crate::remote::{Order, Told};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key of the keyboard.
    Key(KeyEvent),
    /// The mouse: for who asked for it.
    Mouse(Mouse),
    /// The terminal has another size.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// It is now so late.
    Tick(Moment),
    /// The connection tells something.
    Told(Told),
    /// A file was written, or not.
    Saved(Result<String, String>),
    /// The file of an export is there under this name, or it can't be written.
    Written(JobId, Result<String, String>),
    /// What is remembered can't be written.
    NotKept(String),
    /// The work behind the screen is over: leave.
    Stop,
}

/// What was done with the mouse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mouse {
    /// A click in this column and row of the terminal, counted from 0.
    Click(u16, u16),
    /// The wheel was turned by a notch, towards the first row or the last.
    Wheel {
        /// Towards the first row.
        up: bool,
    },
}

/// What is to be done outside.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Something that is seen has changed.
    Draw,
    /// Draw everything anew, whatever the terminal shows.
    Repaint,
    /// Leave.
    Quit,
    /// Something for the connection.
    Order(Order),
    /// Let the terminal tell what is done with the mouse, or no more.
    Mouse(bool),
    /// Let no change out to the server, or again.
    ReadOnly(bool),
    /// Hand a text to the terminal's clipboard.
    Copy(String),
    /// Write a file whose name begins like this.
    Save {
        /// The beginning of its name.
        name: String,
        /// And its ending, without the dot.
        ending: &'static str,
        /// What it holds.
        text: String,
    },
    /// Write down what is remembered until the next start.
    Keep(String),
    /// Something is to be done with the file of an export.
    Write(JobId, Writing),
}

/// What lies over the screen.
#[derive(Clone, Debug)]
pub enum Dialog {
    /// The chords, from this line on.
    Help {
        /// The first line that is seen.
        top: usize,
    },
    /// Commands, or properties to choose from.
    Palette(Box<Palette>),
    /// Something is entered.
    Form(Box<Form>),
    /// What would follow is read.
    Review(Box<Review>),
    /// A schedule is drawn.
    Week(Box<Week>),
    /// How the server is.
    Server(Box<Server>),
    /// A token to join with, shown once.
    Token(Box<Token>),
    /// The exports of this run, from this one on.
    Jobs {
        /// The first that is seen.
        top: usize,
    },
}

/// What a key of the keyboard came to in a dialog.
#[derive(Clone, Debug)]
pub enum DialogDone {
    /// It stays open.
    Stays,
    /// It is closed, and nothing came of it.
    Closed,
    /// It is closed, and something came of it.
    Submitted,
    /// It is closed, and this form is opened instead.
    Instead(Box<Form>),
    /// It is closed, and what it came of is open again, to be looked at once more.
    Again(Box<Dialog>),
}
