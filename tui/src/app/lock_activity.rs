//! What locks ask, as the server counts it: told every few seconds while the locks are looked at.

use std::collections::HashMap;

use keyward_protocol::{
    id::LockId,
    message::manage::{Answer, LockActivity, Request, Rows},
    time::Moment,
};

use crate::remote::{Failure, Ticket};

/// It is asked for again so long after it was.
const EVERY_MICROS: i64 = 10_000_000;

/// What is known of it.
#[derive(Clone, Debug, Default)]
pub struct Activities {
    told: HashMap<LockId, LockActivity>,
    waiting: Option<Ticket>,
    asked_at: Option<Moment>,
    /// The next page begins behind this lock.
    after: u32,
    /// Everything was told once: a lock that is not among it asked nothing since the server started.
    whole: bool,
    /// The server can't tell it.
    untold: bool,
}

impl Activities {
    /// What this lock asked; `None` where it asked nothing, or that is not told.
    pub fn of(&self, lock: LockId) -> Option<&LockActivity> {
        self.told.get(&lock)
    }

    /// Whether a lock that nothing is known of has asked nothing.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Asks for it where it is time.
    pub fn ask(&mut self, now: Option<Moment>, ask: impl FnOnce(Request) -> Option<Ticket>) {
        let due = match (self.asked_at, now) {
            (Some(then), Some(now)) => now.as_micros().saturating_sub(then.as_micros()) >= EVERY_MICROS,
            _ => true,
        };
        if self.untold || self.waiting.is_some() || (self.after == 0 && !due) {
            return;
        }
        self.waiting = ask(Request::LockActivity(Rows { after: self.after, ..Rows::all() }));
        if self.waiting.is_some() && self.after == 0 {
            self.asked_at = now;
        }
    }

    /// Whether this ticket is waited for.
    pub fn expects(&self, ticket: Ticket) -> bool {
        self.waiting == Some(ticket)
    }

    /// Takes what came of it.
    pub fn take(&mut self, answer: &Result<Answer, Failure>) {
        self.waiting = None;
        self.after = 0;
        match answer {
            Ok(Answer::LockActivity(list)) => {
                self.told.extend(list.rows.iter().map(|row| (row.lock, *row)));
                self.after = list.next.unwrap_or(0);
                self.whole |= list.next.is_none();
            }
            // One from before this could be asked.
            Err(Failure::Unreadable(_)) => self.untold = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use keyward_protocol::message::manage::List;

    use super::*;
    use crate::app::testing::noon;

    #[test]
    fn pages_follow_each_other_and_a_server_that_cant_tell_is_asked_once() {
        let row = |lock| LockActivity { lock: LockId(lock), last: noon(), checks: 1, minute: 0 };
        let page = |lock, next| Ok(Answer::LockActivity(List { revision: 1, total: 2, rows: vec![row(lock)], next }));
        let mut activities = Activities::default();
        let mut asked = Vec::new();
        let mut ask = |activities: &mut Activities, second: i64| {
            activities.ask(Some(noon().plus_seconds(second)), |request| {
                let Request::LockActivity(rows) = request else { panic!("{request:?}") };
                asked.push((second, rows.after));
                Some(Ticket(1))
            });
            asked.clone()
        };
        ask(&mut activities, 0);
        assert_eq!(ask(&mut activities, 60), [(0, 0)], "one at a time");
        activities.take(&page(3, Some(3)));
        assert!(!activities.is_whole());
        ask(&mut activities, 60);
        activities.take(&page(4, None));
        assert!(activities.is_whole() && activities.of(LockId(3)).is_some() && activities.of(LockId(4)).is_some());
        assert_eq!(ask(&mut activities, 61), [(0, 0), (60, 3), (61, 0)]);
        activities.take(&Err(Failure::Lost("gone".into())));
        ask(&mut activities, 65);
        assert_eq!(ask(&mut activities, 71), [(0, 0), (60, 3), (61, 0), (71, 0)]);
        activities.take(&Err(Failure::Unreadable("what?".into())));
        assert_eq!(ask(&mut activities, 99).len(), 4, "it is from before this could be asked");
    }
}
