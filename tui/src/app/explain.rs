//! Why somebody could or could not open a door, at a moment and now, and who can open it.

use keyward_protocol::{
    id::{DoorId, PersonId},
    message::{
        manage::{Answer, Explanation, NamedKey, Request, Rows, WhoCan},
        watch::Shown,
    },
    time::Moment,
};

use super::{
    LogRow,
    cursor::{Cursor, Step},
};
use crate::remote::{Failure, Ticket};

/// Something that the server is asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Asked<T> {
    /// Not yet.
    #[default]
    Not,
    /// It is on its way.
    Waiting(Ticket),
    /// Here it is.
    Here(T),
    /// It is not coming, and why.
    Failed(String),
}

impl<T> Asked<T> {
    /// Asks, unless that was done.
    pub fn ask(&mut self, ask: impl FnOnce() -> Option<Ticket>) {
        if matches!(self, Asked::Not)
            && let Some(ticket) = ask()
        {
            *self = Asked::Waiting(ticket);
        }
    }

    /// Whether this ticket is waited for.
    pub fn expects(&self, ticket: Ticket) -> bool {
        matches!(self, Asked::Waiting(waiting) if *waiting == ticket)
    }

    /// What is here.
    pub fn here(&self) -> Option<&T> {
        if let Asked::Here(found) = self { Some(found) } else { None }
    }

    /// Takes what came. A lost answer is asked for again.
    pub fn take(&mut self, outcome: Result<T, &Failure>) {
        *self = match outcome {
            Ok(found) => Asked::Here(found),
            Err(Failure::Lost(_) | Failure::NotConnected) => Asked::Not,
            Err(failure) => Asked::Failed(failure.to_string()),
        };
    }
}

/// What is asked and what came of it.
#[derive(Clone, Debug)]
pub struct Explain {
    /// Who.
    pub person: (PersonId, String),
    /// Which door.
    pub door: (DoorId, String),
    /// By their door code, not their mobile identity or a card.
    pub by_code: bool,
    /// When; `None`: now.
    pub at: Option<Moment>,
    /// The line of the log that is explained.
    pub row: Option<LogRow>,
    /// Who can open the door is shown instead.
    pub who_shown: bool,
    /// At that moment.
    pub then: Asked<Box<Explanation>>,
    /// Now.
    pub now: Asked<Box<Explanation>>,
    /// Who can open the door at that moment.
    pub who: Asked<Box<WhoCan>>,
    cursor: Cursor,
}

impl Explain {
    /// About this person at this door.
    pub fn new(person: (PersonId, String), door: (DoorId, String), by_code: bool, at: Option<Moment>) -> Explain {
        Explain {
            person,
            door,
            by_code,
            at,
            row: None,
            who_shown: false,
            then: Asked::Not,
            now: Asked::Not,
            who: Asked::Not,
            cursor: Cursor::default(),
        }
    }

    /// About a line of the log. `None`: nobody is known by what was shown there.
    pub fn of(row: &LogRow) -> Option<Explain> {
        let (person, _) = row.people();
        let person = (PersonId(person?), row.person.clone());
        let door = (row.of.door, row.door.clone());
        let explain = Explain::new(person, door, row.of.shown == Shown::Code, Some(row.at));
        Some(Explain { row: Some(row.clone()), ..explain })
    }

    /// The same at another moment.
    #[must_use]
    pub fn at(&self, at: Option<Moment>) -> Explain {
        Explain::new(self.person.clone(), self.door.clone(), self.by_code, at)
    }

    /// What is told for the moment that is asked about.
    pub fn told(&self) -> Option<&Explanation> {
        if self.at.is_some() { self.then.here() } else { self.now.here() }.map(AsRef::as_ref)
    }

    /// The Key that decides, or the first that is told where none does.
    pub fn key(&self) -> Option<&NamedKey> {
        let held = &self.told()?.held;
        let decides = held.iter().filter(|row| row.refuses.is_none()).find_map(|row| row.key.as_ref());
        decides.or_else(|| held.iter().find_map(|row| row.key.as_ref()))
    }

    /// Asks for what is missing: `ask` sends a request where that can be done.
    pub fn ask(&mut self, mut ask: impl FnMut(Request) -> Option<Ticket>) {
        let request = |at| Request::Explain { person: self.person.0, door: self.door.0, by_code: self.by_code, at };
        if self.at.is_some() {
            self.then.ask(|| ask(request(self.at)));
        }
        self.now.ask(|| ask(request(None)));
        if self.who_shown {
            self.who.ask(|| ask(Request::WhoCan(self.door.0, self.at, Rows::all())));
        }
    }

    /// Takes an answer.
    pub fn answered(&mut self, ticket: Ticket, answer: Result<Answer, &Failure>) {
        let odd = Failure::Unreadable("the server answers something else".to_owned());
        let asked = if self.then.expects(ticket) { &mut self.then } else { &mut self.now };
        if asked.expects(ticket) {
            asked.take(match answer {
                Ok(Answer::Explanation(found)) => Ok(Box::new(found)),
                Ok(_) => Err(&odd),
                Err(failure) => Err(failure),
            });
        } else if self.who.expects(ticket) {
            self.who.take(match answer {
                Ok(Answer::WhoCan(found)) => Ok(Box::new(found)),
                Ok(_) => Err(&odd),
                Err(failure) => Err(failure),
            });
        }
    }

    /// The data may have moved on: what is said of now is asked for again.
    pub fn refresh(&mut self) {
        self.now = Asked::Not;
        if matches!(self.then, Asked::Failed(_)) {
            self.then = Asked::Not;
        }
        if self.at.is_none() || matches!(self.who, Asked::Failed(_)) {
            self.who = Asked::Not;
        }
    }

    /// Shows who can open the door, or why again.
    pub fn turn(&mut self) {
        self.who_shown = !self.who_shown;
        self.cursor = Cursor::default();
    }

    /// Scrolls `lines` of which `height` are seen.
    pub fn step(&mut self, step: Step, lines: usize, height: usize) {
        let tops = (lines + 1).saturating_sub(height.max(1)).max(1);
        self.cursor.step(step, tops, height);
    }

    /// The first line that is seen of so many.
    pub fn top(&self, lines: usize, height: usize) -> usize {
        self.cursor.at().min(lines.saturating_sub(height))
    }
}
