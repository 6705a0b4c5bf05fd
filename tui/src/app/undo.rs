//! Taking back what a review did last, where nothing was lost by it. It is never done by itself: the opposite is
//! reviewed like any change, worked out by the server.
//!
//! What was there before is asked while a change is previewed ([`look`]); when it is done, [`opposite`] says what would
//! put that back. Before the opposite is reviewed it is looked whether things are still as the change left them: a
//! command carries a door or a Key as a whole, and what somebody else did since is not undone with it.

use std::collections::BTreeMap;

use keyward_protocol::{
    entry::{Command, DoorRule, DoorSpec, KeySpec, Period, PersonSpec},
    message::manage::{Answer, Done, DoorRow, Made, PersonDetail, Request, Rows, Totals},
    name,
};

use super::{
    Asker, Dialog, ScreenId, Shell,
    review::{Review, Step},
    screen::keys::draft::spec_of,
};
use crate::{
    remote::{Failure, Ticket},
    view::text::counted,
};

const NOTHING_YET: &str = "nothing was changed yet that could be undone";
const CHANGED_SINCE: &str = "not undone: somebody changed it since";

/// One step that was done, and what takes it back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opposite {
    /// What it was about, in a few words.
    pub what: String,
    /// What was done.
    pub done: Command,
    /// What takes it back.
    pub command: Command,
}

/// How each of so many things stands can be asked at once.
const STEPS_MAX: usize = 256;
const TOO_MANY: &str = "it changed more than 256 things";

/// What a review did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Last {
    /// Whose data changed.
    pub owner: ScreenId,
    /// The line over the review.
    pub title: String,
    /// Its steps in the order they were done, or why they can't be taken back.
    pub steps: Result<Vec<Opposite>, String>,
}

/// What was done last, and whether it is looked how that stands.
#[derive(Clone, Debug, Default)]
pub struct Undo {
    last: Option<Last>,
    looking: Option<Looking>,
}

/// What is asked before an opposite is reviewed: by ticket, which step it is about.
#[derive(Clone, Debug)]
struct Looking {
    last: Last,
    waiting: BTreeMap<Ticket, usize>,
}

impl Undo {
    /// A review did this, or did as much of it.
    pub fn done(&mut self, last: Last) {
        (self.last, self.looking) = (Some(last), None);
    }

    /// Nothing is opened any more over what somebody does meanwhile; whether that was under way.
    pub fn give_up(&mut self) -> bool {
        self.looking.take().is_some()
    }

    /// Whether it is looked how the last change stands.
    pub fn is_looking(&self) -> bool {
        self.looking.is_some()
    }

    /// What was done last.
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }
}

impl Shell {
    /// Opens the review of the opposite of what was done last, once it is known that this still stands; else says why it
    /// can't be taken back.
    pub(super) fn undo_last(&mut self) {
        let Some(last) = self.undo.last.clone() else { return self.say(NOTHING_YET) };
        let steps = match &last.steps {
            Ok(steps) if steps.is_empty() => return self.say("the last change changed nothing"),
            Ok(steps) if steps.len() > STEPS_MAX => {
                return self.warn(format!("the last change can't be undone: {TOO_MANY}"));
            }
            Ok(steps) => steps,
            Err(why) => return self.warn(format!("the last change can't be undone: {why}")),
        };
        let mut waiting = BTreeMap::new();
        for (place, step) in steps.iter().enumerate() {
            let Some(request) = look(&step.done) else { continue };
            match self.ask_for(Asker::Undo, request) {
                Some(ticket) => _ = waiting.insert(ticket, place),
                None => return self.warn("not undone: there is no connection, or too much is being asked"),
            }
        }
        self.undo.looking = Some(Looking { last, waiting });
        self.review_undo();
    }

    /// Takes how something stands that was changed last.
    pub(super) fn undo_answered(&mut self, ticket: Ticket, answer: &Result<Answer, Failure>) {
        let Some(looking) = &mut self.undo.looking else { return };
        let Some(place) = looking.waiting.remove(&ticket) else { return };
        let step = looking.last.steps.as_ref().ok().and_then(|steps| steps.get(place));
        let wrong = match (answer, step) {
            (Ok(answer), Some(step)) if stands(&step.done, answer) => None,
            (Ok(_), _) => Some(CHANGED_SINCE.to_owned()),
            (Err(failure), _) => Some(format!("not undone: {failure}")),
        };
        match wrong {
            None => self.review_undo(),
            Some(why) => {
                self.undo.looking = None;
                self.warn(why);
            }
        }
    }

    /// Opens the review when nothing is waited for any more.
    fn review_undo(&mut self) {
        let Some(Looking { last, .. }) = self.undo.looking.take_if(|looking| looking.waiting.is_empty()) else {
            return;
        };
        let Ok(steps) = last.steps else { return };
        let again = last.title.strip_prefix("UNDO ");
        let title = match again {
            // What a name would be told by is not said while people are hidden.
            _ if self.people_hidden => "UNDO THE LAST CHANGE".to_owned(),
            Some(first) => format!("REDO {first}"),
            None => format!("UNDO {}", last.title.strip_prefix("REDO ").unwrap_or(&last.title)),
        };
        // What was done last is taken back first.
        let opposite = |step: Opposite| {
            // Whatever is done between the look and the doing is not taken back either.
            let left = Some(step.done).filter(Command::tells_a_state);
            Step::new(step.what, step.command).since(left)
        };
        let opposites = steps.into_iter().rev().map(opposite).collect();
        let mut review = Review::new(last.owner, title, opposites).undoing();
        review.about = "The opposite of what was done last. What follows is worked out anew.".to_owned();
        review.nothing = "Nobody loses anything, and no code changes: it is as it was before.";
        review.afterwards = if again.is_some() { "done again".to_owned() } else { "undone".to_owned() };
        self.open(Dialog::Review(Box::new(review)));
    }
}

/// What tells how something stands that a command changes; `None` where that is not needed, or can't be taken back.
pub fn look(command: &Command) -> Option<Request> {
    match command {
        Command::EditPerson(person, _)
        | Command::Suspend(person, _)
        | Command::SetPortfolioManager(person, _)
        | Command::SetLevel(_, person, _)
        | Command::Give { person, .. } => Some(Request::Person(*person)),
        Command::EditDoor(door, _) => Some(Request::Door(*door)),
        Command::EditKey(key, _) => Some(Request::Key(*key)),
        Command::EditSchedule(property, ..) => Some(Request::Schedules(*property, Rows::all())),
        Command::SetHolidays(property, _)
        | Command::SetDeliveries(property, _)
        | Command::LiftLockdown(property, _) => Some(Request::Property(*property)),
        _ => None,
    }
}

/// What takes back a command that was done, by what it changed and what was told [before](look); `None` where it changed
/// nothing.
///
/// # Errors
///
/// Why it can't be taken back.
pub fn opposite(command: &Command, before: Option<&Answer>, done: &Done) -> Result<Option<Command>, String> {
    match command {
        // What is said of these does not hang on what followed.
        Command::Revoke { .. } | Command::EndShare { .. } => {
            return Err("a new giving or share would not be the one that ended".to_owned());
        }
        Command::MakePerson(_)
        | Command::MakeProperty(_)
        | Command::MakeDoor(..)
        | Command::MakeSchedule(..)
        | Command::MakeKey(..)
        | Command::MakeLock { .. }
        | Command::MakeToken { .. } => return Err("what was made is taken away by an act of its own".to_owned()),
        Command::DeletePerson(_)
        | Command::RemoveProperty(_)
        | Command::RemoveDoor(_)
        | Command::DeleteSchedule(..)
        | Command::DeleteKey(_)
        | Command::RevokeToken(_)
        | Command::RenewMobile(_) => return Err("what was taken away is gone for good".to_owned()),
        Command::Move { .. } | Command::Share { .. } | Command::EditProperty(..) => {
            return Err("it is changed back by an act of its own".to_owned());
        }
        _ => lossless(&done.effects.totals)?,
    }
    if before.is_some_and(|answer| stands(command, answer)) {
        return Ok(None);
    }
    let opposite = match (command, &done.made, before.and_then(|answer| as_it_is(command, answer))) {
        (Command::LockDown { property, .. }, Some(Made::Lockdown(lockdown)), _) => {
            Command::LiftLockdown(*property, *lockdown)
        }
        // It may have been disabled by somebody else before, or again since: nothing that is looked up tells.
        (Command::DisableLock(..) | Command::DisableIdentity(..), ..) => {
            return Err("whoever else shut it out meant it: change it back by an act of its own".to_owned());
        }
        (_, _, Some(before)) => before,
        _ => return Err("how it was before is not known".to_owned()),
    };
    Ok(Some(opposite))
}

/// Whether nothing was lost by a step, and nothing would be by taking it back.
fn lossless(totals: &Totals) -> Result<(), String> {
    let Totals { codes_deleted, shares_ended, codes_made, .. } = *totals;
    match (codes_deleted, shares_ended, codes_made) {
        (0, 0, 0) => Ok(()),
        (0, 0, made) => {
            let would = if made == 1 { "it would be deleted" } else { "they would be deleted" };
            Err(format!("it made {}, and {would} for good", counted(made, "door code", "door codes")))
        }
        (0, ended, _) => Err(format!("it ended {}", counted(ended, "share", "shares"))),
        (deleted, ..) => Err(format!("it deleted {} for good", counted(deleted, "door code", "door codes"))),
    }
}

/// The command that would put what it changes as this answer tells it; `None`: the answer doesn't say.
pub fn as_it_is(command: &Command, answer: &Answer) -> Option<Command> {
    match (command, answer) {
        (Command::EditDoor(door, _), Answer::Door(found)) if found.row.id == *door => Some(door_of(&found.row)),
        (Command::EditKey(key, _), Answer::Key(found)) if found.row.id == *key => {
            Some(Command::EditKey(*key, spec_of(found)))
        }
        (Command::EditSchedule(property, schedule, ..), Answer::Schedules(found)) => {
            let row = found.rows.iter().find(|row| row.id == *schedule)?;
            Some(Command::EditSchedule(*property, *schedule, row.name.clone(), row.hours.clone()))
        }
        (Command::SetHolidays(property, _), Answer::Property(found)) if found.row.id == *property => {
            Some(Command::SetHolidays(*property, found.holidays.clone()))
        }
        (Command::SetDeliveries(property, _), Answer::Property(found)) if found.row.id == *property => {
            Some(Command::SetDeliveries(*property, found.deliveries.is_some()))
        }
        (Command::LiftLockdown(property, lockdown), Answer::Property(found)) if found.row.id == *property => {
            let row = found.lockdowns.iter().find(|row| row.id == *lockdown)?;
            let (doors, except_keys) = (row.doors.clone(), row.except_keys.clone());
            Some(Command::LockDown { property: *property, doors, except_keys })
        }
        (_, Answer::Person(found)) => of_person(command, found),
        _ => None,
    }
}

/// The command that would make a door what was read of it.
pub fn door_of(row: &DoorRow) -> Command {
    let (name, labels) = (row.name.clone(), row.labels.clone());
    Command::EditDoor(row.id, DoorSpec { name, kind: row.kind, occupied: row.occupied, labels })
}

/// The command that would make somebody's contact data what was read of it.
pub fn contact_of(found: &PersonDetail) -> Command {
    let (name, email) = (found.row.name.clone(), found.row.email.clone());
    let (phone, note, cards) = (found.phone.clone(), found.note.clone(), found.cards.clone());
    Command::EditPerson(found.row.id, PersonSpec { name, email, phone, note, cards })
}

fn of_person(command: &Command, found: &PersonDetail) -> Option<Command> {
    let row = &found.row;
    match command {
        Command::EditPerson(person, _) if row.id == *person => Some(contact_of(found)),
        Command::Suspend(person, _) if row.id == *person => Some(Command::Suspend(*person, row.suspended)),
        Command::SetPortfolioManager(person, _) if row.id == *person => {
            Some(Command::SetPortfolioManager(*person, row.portfolio_manager))
        }
        Command::SetLevel(property, person, _) if row.id == *person => {
            let level = found.levels.iter().find(|(of, _)| of == property).map(|(_, level)| level.clone());
            Some(Command::SetLevel(*property, *person, level))
        }
        Command::Give { key, person, .. } if row.id == *person => {
            // One that has ended is not held: giving it again makes another (K7).
            let held = found.holds.iter().find(|held| held.key == *key && !held.terms.ended);
            Some(match held {
                None => Command::Revoke { key: *key, person: *person },
                Some(held) => {
                    let period = Period { from: held.terms.from, until: held.terms.until };
                    Command::Give { key: *key, person: *person, may_share: Some(held.terms.may_share), period }
                }
            })
        }
        _ => None,
    }
}

/// Whether things are as this command left them.
pub(super) fn stands(command: &Command, answer: &Answer) -> bool {
    let now = as_it_is(command, answer);
    match (command, now) {
        // What is lifted is not there any more.
        (Command::LiftLockdown(..), now) => matches!(answer, Answer::Property(_)) && now.is_none(),
        // What was not said about sharing, the server chose.
        (Command::Give { may_share: None, period, .. }, Some(Command::Give { period: now, .. })) => *period == now,
        (_, now) => now.map(canonical) == Some(canonical(command.clone())),
    }
}

/// The command as the server keeps what it says: what has no order sorted, names cleaned.
fn canonical(command: Command) -> Command {
    let clean = |text: String| name::clean(&text).unwrap_or(text);
    let labels = |labels: Vec<String>| {
        let mut labels: Vec<String> = labels.into_iter().map(clean).collect();
        labels.sort();
        labels.dedup();
        labels
    };
    match command {
        Command::EditDoor(door, spec) => {
            let spec = DoorSpec { name: clean(spec.name), labels: labels(spec.labels), ..spec };
            Command::EditDoor(door, spec)
        }
        Command::EditKey(key, mut spec) => {
            spec.doors.sort_by_key(|entry| entry.door);
            let rule = |mut rule: DoorRule| {
                rule.except.sort_unstable();
                rule.except.dedup();
                DoorRule { labels: labels(rule.labels), ..rule }
            };
            let rules = spec.rules.into_iter().map(rule).collect();
            Command::EditKey(key, KeySpec { name: clean(spec.name), rules, ..spec })
        }
        Command::EditSchedule(property, schedule, name, hours) => {
            Command::EditSchedule(property, schedule, clean(name), hours)
        }
        Command::EditPerson(person, mut spec) => {
            spec.cards.sort_unstable();
            spec.cards.dedup();
            Command::EditPerson(person, PersonSpec { name: clean(spec.name), email: clean(spec.email), ..spec })
        }
        Command::SetHolidays(property, mut days) => {
            days.sort_by(|one, other| (one.from, one.to, &one.name).cmp(&(other.from, other.to, &other.name)));
            Command::SetHolidays(property, days)
        }
        other => other,
    }
}
