//! The review of what would follow (K9), before it is done: the list, the totals, and where somebody loses something a
//! confirmation that has to be typed.

use std::collections::{BTreeMap, BTreeSet};

mod steps;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use keyward_protocol::{
    entry::{Command, Party, Refusal},
    id::{DoorId, KeyId, PersonId},
    message::manage::{Answer, CodeRow, Done, Effects, KeyOpens, Made, Part, Request, Totals},
    time::Moment,
};
use tui_input::Input;

use super::{
    Dialog, DialogDone, ScreenId, Shell,
    cursor::{Cursor, Step as Scroll},
    form::{Form, typed},
    since,
    token::{For, Fresh, Token},
    undo::{self, Last, Opposite},
};
use crate::remote::{Failure, Ticket};

/// Chords typed so soon after a review opens were meant for what was there before.
const DEAF_MICROS: i64 = 300_000;
/// So many previews are asked for at a time.
const PREVIEWS_AT_A_TIME: usize = 16;

/// One step, done as one.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is, in a few words: over its lines where there are several steps.
    pub what: String,
    /// What is done.
    pub command: Command,
    /// What it starts from: the command that would make of it what was read (K12).
    was: Option<Command>,
    effects: Option<Effects>,
    waiting: Option<Ticket>,
    before: Before,
}

/// How things stood before a step, where that is needed to take it back.
#[derive(Clone, Debug, Default)]
enum Before {
    #[default]
    Unknown,
    Asked(Ticket),
    Told(Box<Answer>),
}

impl Step {
    /// A step that was not previewed yet.
    pub fn new(what: impl Into<String>, command: Command) -> Step {
        Step { what: what.into(), command, was: None, effects: None, waiting: None, before: Before::Unknown }
    }

    /// A step that is refused where something is not any more what was read, where that is known.
    #[must_use]
    pub fn since(mut self, was: impl Into<Option<Command>>) -> Step {
        self.was = was.into();
        self
    }

    fn preview(&self) -> Request {
        match self.was.clone().map(Box::new) {
            None => Request::Preview(self.command.clone(), Part::FIRST),
            Some(was) => Request::PreviewSince { was, command: Box::new(self.command.clone()), part: Part::FIRST },
        }
    }

    /// The request that does it, pinned to what was read. What nobody entered a change of starts from what was there when
    /// it was previewed.
    fn carry_out(&self) -> Request {
        let (command, pinned) = (self.command.clone(), self.effects.as_ref().map(|effects| effects.digest));
        let part = Part { skip: 0, most: 0 };
        let previewed = || match &self.before {
            Before::Told(answer) => undo::as_it_is(&command, answer).filter(Command::tells_a_state),
            Before::Unknown | Before::Asked(_) => None,
        };
        match self.was.clone().or_else(previewed).map(Box::new) {
            None => Request::Do { command, pinned, part },
            Some(was) => Request::DoSince { was, command: Box::new(command), pinned, part },
        }
    }

    /// What takes it back, now that it is done.
    fn opposite(&self, done: &Done) -> Result<Option<Opposite>, String> {
        let before = match &self.before {
            Before::Told(answer) => Some(answer.as_ref()),
            Before::Unknown | Before::Asked(_) => None,
        };
        let opposite = undo::opposite(&self.command, before, done)?;
        Ok(opposite.map(|command| Opposite { what: self.what.clone(), done: self.command.clone(), command }))
    }
}

/// Where the review is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The server works out what would follow.
    Asking,
    /// The reader reads.
    Reading,
    /// It is being done.
    Doing(Ticket),
    /// It was refused, or it is not known what became of it.
    Stopped(String),
}

/// What has the focus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Focus {
    /// Leave it.
    Cancel,
    /// The confirmation's input; without one, the button.
    Confirm,
}

/// What one line of the list says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A step's name.
    Step,
    /// A door code is permanently deleted.
    LosesCode,
    /// A door is lost that no code was for.
    LosesDoor,
    /// A guest's share ends.
    LosesGuest,
    /// A manager loses sight of a door's log.
    LosesSight,
    /// A door code stays as it is.
    KeepsCode,
    /// A door is gained, with a new code.
    MakesCode,
    /// A door is gained.
    GainsDoor,
    /// The list goes on at the server.
    More,
}

impl Kind {
    /// The words before the line.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Step | Kind::More => "",
            Kind::LosesCode => "LOSES CODE",
            Kind::LosesDoor => "LOSES DOOR",
            Kind::LosesGuest => "ENDS SHARE",
            Kind::LosesSight => "LOSES LOG",
            Kind::KeepsCode => "KEEPS CODE",
            Kind::MakesCode => "NEW CODE",
            Kind::GainsDoor => "GAINS DOOR",
        }
    }

    /// Whether somebody loses something.
    pub fn loses(self) -> bool {
        matches!(self, Kind::LosesCode | Kind::LosesDoor | Kind::LosesGuest | Kind::LosesSight)
    }
}

/// One line of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// What it says.
    pub kind: Kind,
    /// Of whom; hidden with people.
    pub person: String,
    /// The rest.
    pub text: String,
}

/// Another way that loses less, offered within the review.
#[derive(Clone, Debug)]
pub struct SafeWay {
    /// What it is.
    pub text: String,
    /// The form that it opens.
    pub form: Form,
}

/// Whose codes at which Key's doors are told as kept, beside what the server lists.
#[derive(Clone, Debug)]
struct Kept {
    person: PersonId,
    waiting: [Option<Ticket>; 2],
    codes: Option<Vec<CodeRow>>,
    opens: Option<Vec<KeyOpens>>,
}

/// A review.
#[derive(Clone, Debug)]
pub struct Review {
    /// Whose data changes: its screen is refreshed afterwards.
    pub owner: ScreenId,
    /// The line over it.
    pub title: String,
    /// What is said under the title.
    pub about: String,
    /// Said in place of the list where nothing follows.
    pub nothing: &'static str,
    /// Said when all is done.
    pub afterwards: String,
    steps: Vec<Step>,
    done: usize,
    phase: Phase,
    focus: Focus,
    input: Input,
    opened_at: Option<Moment>,
    moved_on: bool,
    safe_way: Option<SafeWay>,
    /// What becomes of taking back the steps that are done, in their order.
    opposites: Vec<Result<Option<Opposite>, String>>,
    /// It takes back what was done last.
    undoing: bool,
    /// Where it was entered.
    entered: Option<Box<Dialog>>,
    /// What a refused step is about is read again: with what it was.
    reading: Option<(Ticket, Command)>,
    /// How that is now, and what of it is something else.
    reread: Option<(Command, String)>,
    kept: Option<Kept>,
    lines: Vec<Line>,
    scroll: Cursor,
    /// Which step is chosen, where there are several.
    at: usize,
    /// How whom it is about is said, where steps can be left out.
    naming: Option<steps::Naming>,
    /// The token that is shown when all is done.
    token: Option<(Fresh, For)>,
}

impl Review {
    /// What its first step does: the command's name.
    #[cfg(test)]
    pub fn kind(&self) -> String {
        let command = self.steps.first().map(|step| format!("{:?}", step.command)).unwrap_or_default();
        command.chars().take_while(|c| c.is_alphanumeric()).collect()
    }

    /// A review of these steps, in their order.
    pub fn new(owner: ScreenId, title: impl Into<String>, steps: Vec<Step>) -> Review {
        Review {
            owner,
            title: title.into(),
            about: String::new(),
            nothing: "Nobody loses anything, and no code changes.",
            afterwards: "done".to_owned(),
            steps,
            done: 0,
            phase: Phase::Asking,
            focus: Focus::Cancel,
            input: Input::default(),
            opened_at: None,
            moved_on: false,
            safe_way: None,
            opposites: Vec::new(),
            undoing: false,
            entered: None,
            reading: None,
            reread: None,
            kept: None,
            lines: Vec::new(),
            scroll: Cursor::default(),
            at: 0,
            naming: None,
            token: None,
        }
    }

    /// Ends with this token being made, which is shown then.
    #[must_use]
    pub fn with_token(mut self, fresh: Fresh, of: For) -> Review {
        if let Some(party) = of.party {
            self.steps.push(token_step(party, &fresh, &of));
        }
        self.token = Some((fresh, of));
        self
    }

    /// Offers another way.
    #[must_use]
    pub fn or_rather(mut self, text: impl Into<String>, form: Form) -> Review {
        self.safe_way = Some(SafeWay { text: text.into(), form });
        self
    }

    /// Takes back what was done last: nothing that it came from is over by it.
    #[must_use]
    pub fn undoing(mut self) -> Review {
        self.undoing = true;
        self
    }

    /// It is what was entered here.
    pub(super) fn came_of(&mut self, dialog: Dialog) {
        self.entered = Some(Box::new(dialog));
    }

    /// Whether it takes back what was done last.
    pub fn is_undoing(&self) -> bool {
        self.undoing
    }

    /// Tells which of the person's codes at the Key's doors are kept.
    #[must_use]
    pub fn telling_kept(mut self, person: PersonId, key: KeyId, shell: &mut Shell) -> Review {
        let codes = shell.ask_for_dialog(Request::Person(person));
        let opens = shell.ask_for_dialog(Request::Key(key));
        self.kept = Some(Kept { person, waiting: [codes, opens], codes: None, opens: None });
        self
    }

    /// Where it is.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// What has the focus.
    pub fn focus(&self) -> Focus {
        self.focus
    }

    /// What was typed.
    pub fn typed(&self) -> &str {
        self.input.value()
    }

    /// The list, and the first line that is seen.
    pub fn lines(&self) -> (&[Line], usize) {
        (&self.lines, self.scroll.at())
    }

    /// How many steps are done, and how many are left.
    pub fn steps(&self) -> (usize, usize) {
        (self.done, self.steps.len())
    }

    /// Another way that is offered.
    pub fn safe_way(&self) -> Option<&SafeWay> {
        self.safe_way.as_ref()
    }

    /// Whether the data moved on under an earlier look at it.
    pub fn moved_on(&self) -> bool {
        self.moved_on
    }

    /// The revision it was worked out at.
    pub fn revision(&self) -> Option<u64> {
        self.steps.iter().filter_map(|step| step.effects.as_ref()).map(|effects| effects.revision).max()
    }

    /// What follows from all steps together, as far as they were previewed.
    pub fn totals(&self) -> Totals {
        let mut all = Totals::default();
        for totals in self.steps.iter().filter_map(|step| step.effects.as_ref()).map(|effects| effects.totals) {
            all.doors_lost += totals.doors_lost;
            all.doors_gained += totals.doors_gained;
            all.codes_deleted += totals.codes_deleted;
            all.codes_made += totals.codes_made;
            all.shares_ended += totals.shares_ended;
            all.sight_lost += totals.sight_lost;
            all.people_losing += totals.people_losing;
        }
        all
    }

    /// What has to be typed, where somebody loses something: the number makes people read.
    pub fn phrase(&self) -> Option<String> {
        let totals = self.totals();
        match (totals.codes_deleted, totals.people_losing, totals.is_harmless()) {
            (_, _, true) => self.steps.iter().find_map(|step| grave(&step.command)).map(str::to_owned),
            (0, 0, false) => Some(format!("REVOKE {}", totals.sight_lost)),
            (0, people, false) => Some(format!("REVOKE {people}")),
            (codes, _, false) => Some(format!("DELETE {codes}")),
        }
    }

    /// Whether it may be done now.
    fn is_confirmed(&self) -> bool {
        self.phase == Phase::Reading && self.phrase().is_none_or(|phrase| self.input.value().trim() == phrase)
    }

    /// Asks for what was not asked for yet.
    pub fn ask(&mut self, shell: &mut Shell) {
        let waiting = self.steps.iter().filter(|step| step.waiting.is_some()).count();
        let unasked = self.steps.iter_mut().filter(|step| step.effects.is_none() && step.waiting.is_none());
        for step in unasked.take(PREVIEWS_AT_A_TIME.saturating_sub(waiting)) {
            let before = undo::look(&step.command).and_then(|request| shell.ask_for_dialog(request));
            step.before = before.map_or(Before::Unknown, Before::Asked);
            step.waiting = shell.ask_for_dialog(step.preview());
            if step.waiting.is_none() {
                self.phase = Phase::Stopped("there is no connection: nothing was changed".to_owned());
                return;
            }
        }
    }

    /// Takes an answer.
    pub fn answered(&mut self, ticket: Ticket, answer: &Result<Answer, Failure>, shell: &mut Shell) -> DialogDone {
        if self.phase == Phase::Doing(ticket) {
            return self.carried_out(answer, shell);
        }
        if let Some((_, was)) = self.reading.take_if(|(reading, _)| *reading == ticket) {
            self.read_again(&was, answer, shell);
            return DialogDone::Stays;
        }
        self.take_kept(ticket, answer);
        let asks = |step: &&mut Step| matches!(step.before, Before::Asked(asked) if asked == ticket);
        if let Some(step) = self.steps.iter_mut().find(asks) {
            step.before = answer.as_ref().map_or(Before::Unknown, |told| Before::Told(Box::new(told.clone())));
            return DialogDone::Stays;
        }
        let Some(step) = self.steps.iter_mut().find(|step| step.waiting == Some(ticket)) else {
            self.list();
            return DialogDone::Stays;
        };
        step.waiting = None;
        match answer {
            Ok(Answer::Preview(effects)) => step.effects = Some(effects.clone()),
            Err(Failure::Refused(Refusal::ChangedSince)) => {
                let step = step.clone();
                self.changed_since(&step, shell);
            }
            Ok(_) => self.phase = Phase::Stopped("the server answers something else".to_owned()),
            Err(failure) => self.phase = Phase::Stopped(format!("{}{failure}", at(&step.what, shell))),
        }
        if self.phase == Phase::Asking {
            self.ask(shell);
            if self.steps.iter().all(|step| step.effects.is_some()) {
                self.open(shell);
            }
        }
        DialogDone::Stays
    }

    /// A step would write over what somebody else changed: that is read again, and what was entered stays.
    fn changed_since(&mut self, step: &Step, shell: &mut Shell) {
        let before = if self.done > 0 { format!("{} done before. ", self.done) } else { String::new() };
        self.phase = Phase::Stopped(format!("{before}{}: {}", step.what, since::CHANGED));
        let asked = step.was.as_ref().and_then(undo::look).and_then(|request| shell.ask_for_dialog(request));
        self.reading = asked.zip(step.was.clone());
    }

    fn read_again(&mut self, was: &Command, answer: &Result<Answer, Failure>, shell: &Shell) {
        let now = answer.as_ref().ok().and_then(|answer| undo::as_it_is(was, answer));
        let (Some(now), Phase::Stopped(why)) = (now, &mut self.phase) else { return };
        let told = since::told(was, &now, shell.people_hidden);
        why.push_str(&told);
        self.reread = Some((now, told));
    }

    /// All is here: from now on it can be read.
    fn open(&mut self, shell: &Shell) {
        self.phase = Phase::Reading;
        self.opened_at = shell.now;
        self.input.reset();
        // As the list, it is read from the beginning.
        self.at = 0;
        // Where nobody loses anything Enter alone does it.
        self.focus = if self.phrase().is_none() { Focus::Confirm } else { Focus::Cancel };
        self.list();
    }

    fn carried_out(&mut self, answer: &Result<Answer, Failure>, shell: &mut Shell) -> DialogDone {
        let what = self.steps.first().map(|step| at(&step.what, shell)).unwrap_or_default();
        match answer {
            Ok(Answer::Done(done)) => {
                let step = self.steps.remove(0);
                self.done += 1;
                self.opposites.push(step.opposite(done));
                let steps = self.opposites.iter().filter_map(|one| one.clone().transpose()).collect();
                shell.undo.done(Last { owner: self.owner, title: self.title.clone(), steps });
                if let (Some(Made::Lock(lock)), Some((fresh, of))) = (done.made, &mut self.token)
                    && of.party.is_none()
                {
                    // Only now is it known whom the token is for.
                    let party = Party::Lock(lock);
                    of.party = Some(party);
                    self.steps.push(token_step(party, fresh, of));
                }
                if !self.steps.is_empty() {
                    self.carry_out(shell);
                    return DialogDone::Stays;
                }
                shell.say(self.afterwards.clone());
                if let Some((fresh, of)) = self.token.take() {
                    shell.open(Dialog::Token(Box::new(Token { token: fresh.token, of })));
                }
                DialogDone::Submitted
            }
            Err(Failure::Refused(Refusal::MovedOn)) => {
                // Something else would follow now: it is looked at again.
                (self.moved_on, self.phase) = (true, Phase::Asking);
                self.steps.iter_mut().for_each(|step| step.effects = None);
                self.ask(shell);
                DialogDone::Stays
            }
            Err(Failure::Refused(Refusal::ChangedSince)) => {
                if let Some(step) = self.steps.first().cloned() {
                    self.changed_since(&step, shell);
                }
                DialogDone::Stays
            }
            other => {
                if !matches!(other, Err(Failure::Refused(_))) {
                    let steps = Err("it is not known what became of it".to_owned());
                    shell.undo.done(Last { owner: self.owner, title: self.title.clone(), steps });
                }
                let why = match other {
                    Err(failure) => failure.to_string(),
                    Ok(_) => "the server answers something else: look whether it was done".to_owned(),
                };
                let before = if self.done > 0 { format!("{} done before. ", self.done) } else { String::new() };
                self.phase = Phase::Stopped(format!("{before}{what}{why}"));
                DialogDone::Stays
            }
        }
    }

    /// Does the first step that is left, pinned to what was read.
    fn carry_out(&mut self, shell: &mut Shell) {
        let Some(step) = self.steps.first() else { return };
        self.phase = match shell.ask_for_dialog(step.carry_out()) {
            Some(ticket) => Phase::Doing(ticket),
            None => Phase::Stopped("there is no connection: this was not done".to_owned()),
        };
    }

    /// Takes a key of the keyboard; `height` lines of the list are seen.
    pub fn key(&mut self, key: KeyEvent, height: usize, shell: &mut Shell) -> DialogDone {
        match (&self.phase, key.code) {
            // What is under way can't be taken back: its end is waited for.
            (Phase::Doing(_), _) => return DialogDone::Stays,
            (_, KeyCode::Esc) => return self.left(),
            (Phase::Stopped(_), KeyCode::Enter | KeyCode::Char('q')) => return self.left(),
            (Phase::Reading, _) => {}
            _ => return DialogDone::Stays,
        }
        let deaf = match (self.opened_at, shell.now) {
            (Some(then), Some(now)) => now.as_micros().saturating_sub(then.as_micros()) < DEAF_MICROS,
            _ => false,
        };
        if deaf {
            return DialogDone::Stays;
        }
        match (key.code, self.focus) {
            (KeyCode::Tab | KeyCode::BackTab, Focus::Cancel) => self.focus = Focus::Confirm,
            (KeyCode::Tab | KeyCode::BackTab, Focus::Confirm) => self.focus = Focus::Cancel,
            (KeyCode::Up, _) => self.scroll(Scroll::Up, height),
            (KeyCode::Down, _) => self.scroll(Scroll::Down, height),
            (KeyCode::PageUp, _) => self.scroll(Scroll::PageUp, height),
            (KeyCode::PageDown, _) => self.scroll(Scroll::PageDown, height),
            (code, focus)
                if (focus == Focus::Cancel || self.phrase().is_none()) && self.step_key(code, height, shell) => {}
            (KeyCode::Enter, Focus::Cancel) => return self.left(),
            (KeyCode::Enter, Focus::Confirm) if self.is_confirmed() => self.carry_out(shell),
            (KeyCode::Enter, Focus::Confirm) => {
                let phrase = self.phrase().unwrap_or_default();
                shell.warn(format!("nothing was changed: type {phrase} to confirm, or Esc"));
            }
            (KeyCode::Char('q'), Focus::Cancel) => return self.left(),
            (KeyCode::Char('m'), Focus::Cancel) => {
                if let Some(way) = self.safe_way.take() {
                    return DialogDone::Instead(Box::new(way.form));
                }
            }
            // The confirmation is in capitals: whoever begins it means it, wherever the focus is.
            (KeyCode::Char(c), Focus::Cancel) if c.is_ascii_uppercase() && self.phrase().is_some() => {
                self.focus = Focus::Confirm;
                typed(&mut self.input, key);
            }
            (_, Focus::Confirm) if self.phrase().is_some() && !key.modifiers.contains(KeyModifiers::ALT) => {
                typed(&mut self.input, key);
            }
            _ => {}
        }
        DialogDone::Stays
    }

    fn left(&mut self) -> DialogDone {
        if let (Some((now, told)), Some(entered)) = (self.reread.take(), self.entered.take())
            && let Some(again) = since::again(*entered, now, &told)
        {
            return DialogDone::Again(Box::new(again));
        }
        if self.done > 0 || matches!(self.phase, Phase::Stopped(_)) {
            DialogDone::Submitted
        } else {
            DialogDone::Closed
        }
    }

    fn scroll(&mut self, step: Scroll, height: usize) {
        let tops = (self.lines.len() + 1).saturating_sub(height.max(1)).max(1);
        self.scroll.step(step, tops, height);
    }

    fn take_kept(&mut self, ticket: Ticket, answer: &Result<Answer, Failure>) {
        let Some(kept) = &mut self.kept else { return };
        match answer {
            Ok(Answer::Person(person)) if kept.waiting[0] == Some(ticket) => kept.codes = Some(person.codes.clone()),
            Ok(Answer::Key(key)) if kept.waiting[1] == Some(ticket) => kept.opens = Some(key.opens.clone()),
            _ => {}
        }
    }

    /// Writes the list out.
    fn list(&mut self) {
        let mut lines = Vec::new();
        let several = self.steps.len() > 1;
        for step in &self.steps {
            let Some(effects) = &step.effects else { continue };
            if several {
                lines.push(Line { kind: Kind::Step, person: String::new(), text: step.what.clone() });
            }
            lines.extend(told(effects));
        }
        if let (Some(kept), [step]) = (&self.kept, self.steps.as_slice()) {
            lines.extend(step.effects.iter().flat_map(|effects| kept.told(effects)));
        }
        self.lines = lines;
        self.scroll = Cursor::default();
    }
}

/// What has to be typed even where nobody loses anything: it can't be taken back, or many stand before closed doors.
fn grave(command: &Command) -> Option<&'static str> {
    match command {
        Command::DeleteKey(_) => Some("DELETE KEY"),
        Command::DeleteSchedule(..) => Some("DELETE SCHEDULE"),
        Command::DeletePerson(_) => Some("DELETE PERSON"),
        Command::RemoveDoor(_) => Some("REMOVE"),
        Command::RenewMobile(_) => Some("RENEW"),
        Command::LockDown { .. } => Some("LOCK DOWN"),
        Command::SetDeliveries(_, false) => Some("OPT OUT"),
        _ => None,
    }
}

/// At which step something stopped, before why it did. It is mostly somebody's name, which is not said while people are
/// hidden.
fn at(what: &str, shell: &Shell) -> String {
    if shell.people_hidden { String::new() } else { format!("{what}: ") }
}

fn token_step(party: Party, fresh: &Fresh, of: &For) -> Step {
    let command = Command::MakeToken { party, hash: fresh.hash, until: of.until };
    Step::new(format!("a token for {}", of.whose), command)
}

impl Kept {
    fn told(&self, effects: &Effects) -> Vec<Line> {
        let (Some(codes), Some(opens)) = (&self.codes, &self.opens) else { return Vec::new() };
        let at: BTreeSet<DoorId> = opens.iter().map(|open| open.door).collect();
        let mut touched = effects.codes_deleted.iter().chain(&effects.codes_made);
        let gone: BTreeSet<DoorId> = touched.by_ref().filter(|at| at.person == self.person).map(|at| at.door).collect();
        let kept = codes.iter().filter(|code| at.contains(&code.door) && !gone.contains(&code.door));
        let line = |code: &CodeRow| Line { kind: Kind::KeepsCode, person: String::new(), text: code.name.clone() };
        kept.map(line).collect()
    }
}

/// What follows from one step, line by line, what is lost first.
fn told(effects: &Effects) -> Vec<Line> {
    let people: BTreeMap<PersonId, &str> = effects.people.iter().map(|(id, name)| (*id, name.as_str())).collect();
    let doors: BTreeMap<DoorId, &str> = effects.doors.iter().map(|(id, name)| (*id, name.as_str())).collect();
    let person = |id: PersonId| people.get(&id).map_or_else(|| id.to_string(), |name| (*name).to_owned());
    let door = |id: DoorId| doors.get(&id).map_or_else(|| id.to_string(), |name| (*name).to_owned());
    let deleted: BTreeSet<_> = effects.codes_deleted.iter().copied().collect();
    let made: BTreeSet<_> = effects.codes_made.iter().copied().collect();
    let totals = effects.totals;
    let mut lines = Vec::new();
    let mut list = |kind: Kind, rows: Vec<(PersonId, String)>, missing: u64, of: &str| {
        lines.extend(rows.into_iter().map(|(id, text)| Line { kind, person: person(id), text }));
        if missing > 0 {
            lines.push(Line { kind: Kind::More, person: String::new(), text: format!("and {missing} more {of}") });
        }
    };
    let missing = |total: u64, here: usize| total.saturating_sub(here as u64);
    let rows = |list: &[keyward_protocol::message::manage::At]| -> Vec<(PersonId, String)> {
        list.iter().map(|at| (at.person, door(at.door))).collect()
    };
    let without = |list: &[keyward_protocol::message::manage::At], told: &BTreeSet<_>| -> Vec<(PersonId, String)> {
        list.iter().filter(|at| !told.contains(*at)).map(|at| (at.person, door(at.door))).collect()
    };
    let short = missing(totals.codes_deleted, effects.codes_deleted.len());
    list(Kind::LosesCode, rows(&effects.codes_deleted), short, "codes that are deleted");
    let short = missing(totals.doors_lost, effects.doors_lost.len());
    list(Kind::LosesDoor, without(&effects.doors_lost, &deleted), short, "doors that are lost");
    let guests = effects.shares_ended.iter().map(|(_, guest)| (*guest, "is a guest no more".to_owned())).collect();
    let short = missing(totals.shares_ended, effects.shares_ended.len());
    list(Kind::LosesGuest, guests, short, "shares that end");
    let short = missing(totals.sight_lost, effects.sight_lost.len());
    list(Kind::LosesSight, rows(&effects.sight_lost), short, "logs that are lost sight of");
    let short = missing(totals.codes_made, effects.codes_made.len());
    list(Kind::MakesCode, rows(&effects.codes_made), short, "codes that are made");
    let short = missing(totals.doors_gained, effects.doors_gained.len());
    list(Kind::GainsDoor, without(&effects.doors_gained, &made), short, "doors that are gained");
    lines
}
