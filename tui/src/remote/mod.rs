//! The connection to the server: one task owns it, takes [`Order`]s and tells what comes of them.
//!
//! The screen never waits for it. The task reconnects by itself, opens live views again, and never repeats a request: a
//! question that had no answer is told as lost, a change as unknown.

pub mod backoff;
mod scrub;
mod task;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use keyward_protocol::{
    client::{ClientError, ManageError},
    entry::Refusal,
    message::{
        manage::{Answer, Request},
        watch::{LiveBatch, Subscribe},
    },
};
use tokio::sync::mpsc;

pub use self::scrub::Scrub;
use crate::{app::token::Fresh, servers::Known};

/// So many orders may wait for the task.
const ORDERS_MAX: usize = 1_024;
/// So much that was told may wait for the screen; after that the task waits, and the server drops and counts (L6).
const TOLD_MAX: usize = 256;

/// One request, among all of this run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// One live view, among all of this run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WatchId(pub u32);

/// What the screen wants of the connection.
#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    /// Ask, once.
    Ask(Ticket, Request),
    /// Watch, until told otherwise; again after each reconnect.
    Watch(WatchId, Subscribe),
    /// Stop watching.
    Unwatch(WatchId),
    /// Make a token to join with, of which the server knows nothing yet.
    NewToken,
    /// Connect anew, without waiting any longer.
    Reconnect,
}

/// What the connection tells.
#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    /// How the connection is from now on.
    Link(LinkTold),
    /// What came of a request. Each is told once.
    Answer(Ticket, Box<Result<Answer, Failure>>),
    /// A token that was ordered; else why there is none.
    NewToken(Result<Fresh, String>),
    /// More of a live view.
    Live(WatchId, Box<LiveBatch>),
}

/// How the connection is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkTold {
    /// An attempt is made.
    Connecting,
    /// It stands, and a packet and its acknowledgement take so long.
    Up(Duration),
    /// It is lost, or could not be made: why, and how long until the next attempt.
    Down(String, Duration),
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Nothing was sent, and so nothing was changed.
    NotConnected,
    /// Nothing was sent: nothing is to be changed from here.
    ReadOnly,
    /// A question had no whole answer.
    Lost(String),
    /// A change had no whole answer: whether it was made is not known.
    Unknown(String),
    /// The server refuses; nothing was changed.
    Refused(Refusal),
    /// The server can't read the request; nothing was changed.
    Unreadable(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::NotConnected => f.write_str("not connected: nothing was changed"),
            Failure::ReadOnly => f.write_str("read-only: nothing was changed"),
            Failure::Lost(why) => write!(f, "no answer: {why}"),
            Failure::Unknown(why) => write!(f, "unknown whether it was done, look before doing it again ({why})"),
            Failure::Refused(refusal) => write!(f, "{refusal}"),
            Failure::Unreadable(why) => write!(f, "the server can't read the request: {why}"),
        }
    }
}

/// Whether a request changes something: then no answer leaves open whether it did.
fn changes(request: &Request) -> bool {
    matches!(request, Request::Do { .. } | Request::DoSince { .. })
}

/// Whether a request is refused read-only: it changes something, or the audit trail has it before it is answered. What
/// holders may ask is not for operators, and some of it changes something.
fn leaves_a_trace(request: &Request) -> bool {
    changes(request) || matches!(request, Request::Reveal(_) | Request::Mine(_))
}

/// What an exchange came to.
fn outcome(changes: bool, exchanged: Result<Answer, ManageError>) -> Result<Answer, Failure> {
    let open = |why: String| if changes { Failure::Unknown(why) } else { Failure::Lost(why) };
    match exchanged {
        Ok(Answer::Refused(mut refusal)) => {
            refusal.scrub();
            Err(Failure::Refused(refusal))
        }
        Ok(Answer::Unreadable(mut why)) => {
            why.scrub();
            Err(Failure::Unreadable(why))
        }
        Ok(mut answer) => {
            answer.scrub();
            Ok(answer)
        }
        // These are known before anything is done.
        Err(ManageError::Connection(error @ (ClientError::Rejected { .. } | ClientError::TooLarge(_)))) if changes => {
            Err(Failure::Unreadable(error.to_string()))
        }
        Err(error) => Err(open(error.to_string())),
    }
}

/// The screen's end of the connection.
#[derive(Debug)]
pub struct Remote {
    orders: mpsc::Sender<Order>,
    read_only: Arc<AtomicBool>,
}

impl Remote {
    /// Starts the task on a thread of its own; it ends when this is dropped, or nobody listens any more.
    ///
    /// # Errors
    ///
    /// The thread can't be started.
    pub fn start(server: Known) -> io::Result<(Remote, mpsc::Receiver<Told>)> {
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let (told, heard) = mpsc::channel(TOLD_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let read_only = Arc::new(AtomicBool::new(false));
        let kept = Arc::clone(&read_only);
        let work = move || runtime.block_on(task::run(server, taken, told, kept));
        thread::Builder::new().name("remote".to_owned()).spawn(work)?;
        Ok((Remote { orders, read_only }, heard))
    }

    /// Lets no change out from now on, not even one that was ordered and waits; or again.
    pub fn read_only(&self, on: bool) {
        self.read_only.store(on, Ordering::SeqCst);
    }

    /// Gives an order, without waiting. One that finds no room is handed back.
    ///
    /// # Errors
    ///
    /// The order, when too many wait already.
    pub fn order(&self, order: Order) -> Result<(), Box<Order>> {
        self.orders.try_send(order).map_err(|error| Box::new(error.into_inner()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_or_is_in_the_trail_before_its_answer_is_held_back_read_only() {
        use keyward_protocol::{
            entry::Command,
            id::{CodeId, PersonId},
            message::{manage::Part, mine::Mine},
        };
        let command = || Command::Suspend(PersonId(1), true);
        let done = Request::Do { command: command(), pinned: None, part: Part::FIRST };
        for request in [done, Request::Reveal(CodeId(1)), Request::Mine(Mine::Access)] {
            assert!(leaves_a_trace(&request), "{request:?}");
        }
        for request in [Request::Preview(command(), Part::FIRST), Request::Overview, Request::Alerts] {
            assert!(!leaves_a_trace(&request), "{request:?}");
        }
    }

    #[test]
    fn a_question_is_lost_and_a_change_is_unknown_unless_the_server_said_no() {
        let lost = || Err(ManageError::Connection(ClientError::TimedOut));
        assert_eq!(outcome(false, lost()), Err(Failure::Lost("no answer in time".into())));
        assert_eq!(outcome(true, lost()), Err(Failure::Unknown("no answer in time".into())));
        let refused = Ok(Answer::Refused(Refusal::MovedOn));
        assert_eq!(outcome(true, refused), Err(Failure::Refused(Refusal::MovedOn)));
        let too_large = Err(ManageError::Connection(ClientError::TooLarge(9)));
        assert!(matches!(outcome(true, too_large), Err(Failure::Unreadable(_))));
    }
}
