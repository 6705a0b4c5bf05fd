//! Screen 6: the locks that are registered, how they are connected, and the tokens that wait to be used.

use crossterm::event::KeyCode;
use keyward_protocol::{
    entry::{Command, LockScope, Party},
    id::{DoorId, LockId, PropertyId},
    message::{
        admission::TokenRow,
        manage::{Answer, DoorRow, LockRow, PersonDetail, Request},
    },
};

use super::{Screen, ScreenId, Shell, Step, UNTOLD, managers::until};
use crate::{
    app::{
        Dialog,
        explain::Asked,
        form::{Field, Form, Pickable},
        list::List,
        lock_activity::Activities,
        remembered::Kept,
        review::{Review, Step as ReviewStep},
        token::{For, LENGTHS},
    },
    keymap::{Act, Action, Binding, act, letter, plain, write},
    remote::{Failure, Ticket},
    view::{
        self,
        layout::{Layout, Wants},
        painter::Painter,
        text::{counted, grouped},
    },
};

const ENROL: Act = Act("enrol");
const TOKEN: Act = Act("token");
const DISABLE: Act = Act("disable");
const REVOKE: Act = Act("revoke token");
const PART: Act = Act("part");
const CHOOSE: Act = Act("choose");
const SAVE: Act = Act("save");

const ROW_ENROL: Binding =
    write(&[letter('n')], "n", ENROL, Some("enrol"), "register a lock, and make the token that it joins with");

const ROW_PART: Binding =
    act(&[plain(KeyCode::Tab)], "Tab", PART, Some("locks, tokens"), "the tokens that were not used, or the locks");

const BINDINGS: &[Binding] = &[
    ROW_ENROL,
    write(&[letter('T')], "T", TOKEN, Some("token"), "a token that the lock joins with anew, shown once"),
    write(&[letter('d')], "d", DISABLE, Some("disable"), "refuse the lock at once, or take it again"),
    ROW_PART,
];
const TOKEN_BINDINGS: &[Binding] =
    &[ROW_ENROL, write(&[letter('r')], "r", REVOKE, Some("revoke"), "nobody joins with the token any more"), ROW_PART];
const DOOR_BINDINGS: &[Binding] = &[
    write(&[letter(' ')], "Space", CHOOSE, Some("choose"), "choose the door, or leave it out"),
    write(&[letter('s')], "s", SAVE, Some("save"), "register the lock with the doors chosen"),
];

/// Every table of its chords.
pub const TABLES: &[&[Binding]] = &[BINDINGS, TOKEN_BINDINGS, DOOR_BINDINGS];

const ONLY_PORTFOLIO: &str = "only Portfolio Managers see, register and disable locks";
const SCOPES: &[&str] = &["every door of the property, future ones too", "some of its doors: choose them next"];
/// How many sorts the list of locks has: name.
const SORTS: usize = 1;
const SOME_DOORS: usize = 1;

/// Which part has the cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Part {
    /// The locks.
    #[default]
    Locks,
    /// The tokens that were not used.
    Tokens,
}

/// The doors of a lock that is to be registered, being chosen. The list's marks are those chosen.
#[derive(Clone, Debug)]
pub struct Choosing {
    name: String,
    property: (PropertyId, String),
    length: usize,
    /// The property's doors.
    pub doors: List<DoorRow>,
    needle: String,
}

/// The screen.
#[derive(Clone, Debug)]
pub struct Locks {
    part: Part,
    locks: List<LockRow>,
    tokens: List<TokenRow>,
    needle: String,
    me: Asked<Box<PersonDetail>>,
    choosing: Option<Box<Choosing>>,
    activities: Activities,
}

impl Default for Locks {
    fn default() -> Locks {
        let (locks, tokens) = (List::default(), List::eager());
        let (needle, activities) = (String::new(), Activities::default());
        Locks { part: Part::Locks, locks, tokens, needle, me: Asked::Not, choosing: None, activities }
    }
}

impl Locks {
    /// Which part has the cursor.
    pub fn part(&self) -> Part {
        self.part
    }

    /// The locks.
    pub fn locks(&self) -> &List<LockRow> {
        &self.locks
    }

    /// What the locks ask.
    pub fn activities(&self) -> &Activities {
        &self.activities
    }

    /// The tokens that were not used.
    pub fn tokens(&self) -> &List<TokenRow> {
        &self.tokens
    }

    /// The doors that are being chosen.
    pub fn choosing(&self) -> Option<&Choosing> {
        self.choosing.as_deref()
    }

    /// Why there are no locks to be seen, where there are none.
    pub fn none(&self, shell: &Shell) -> String {
        match self.is_portfolio_manager() {
            Some(false) => ONLY_PORTFOLIO.to_owned(),
            _ => format!("No lock is registered: {} registers one.", shell.chord(ScreenId::Locks, Action::Act(ENROL))),
        }
    }

    fn is_portfolio_manager(&self) -> Option<bool> {
        self.me.here().map(|me| me.row.portfolio_manager)
    }

    fn enrol_form(&self, shell: &mut Shell) {
        let here = shell.property_row().map(|row| row.name.clone()).unwrap_or_default();
        let lengths: Vec<&'static str> = LENGTHS.iter().map(|(words, _)| *words).collect();
        let fields = vec![
            Field::line("Name", "what people call it"),
            Field::pick("Property", Pickable::Properties).typed(&here),
            Field::choice("Doors", SCOPES),
            Field::choice("Token for", &lengths),
        ];
        shell.open(Dialog::Form(Box::new(Form::new(ScreenId::Locks, ENROL, "ENROL a lock", fields))));
    }

    fn token_form(&self, shell: &mut Shell) {
        let Some(row) = self.locks.selected() else { return };
        let lengths: Vec<&'static str> = LENGTHS.iter().map(|(words, _)| *words).collect();
        let fields = vec![Field::choice("Good for", &lengths)];
        let form = Form::new(ScreenId::Locks, TOKEN, format!("TOKEN for {}", row.name), fields);
        shell.open(Dialog::Form(Box::new(form.about(row.id.0, &row.name))));
    }

    fn enrolled(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        let name = keyward_protocol::name::clean(form.text(0)).map_err(|error| format!("the name: {error}"))?;
        let property = form.picked(1).ok_or("choose a property")?;
        let (property, length) = ((PropertyId(property.id), property.name.clone()), form.choice(3));
        if form.choice(2) == SOME_DOORS {
            let (doors, needle) = (List::eager(), String::new());
            self.choosing = Some(Box::new(Choosing { name, property, length, doors, needle }));
            return Ok(());
        }
        let of = format!("every door of {}, future ones too", property.1);
        review_enrol(name, LockScope::Property(property.0), &of, length, shell)
    }

    fn save(&mut self, shell: &mut Shell) {
        let Some(choosing) = self.choosing.take() else { return };
        let doors: Vec<DoorId> = choosing.doors.marked_ids().iter().map(|id| DoorId(*id)).collect();
        if doors.is_empty() {
            self.choosing = Some(choosing);
            return shell.warn("choose a door");
        }
        let of = format!("{} of {}", counted(doors.len() as u64, "door", "doors"), choosing.property.1);
        let saved = review_enrol(choosing.name, LockScope::Doors(doors), &of, choosing.length, shell);
        if let Err(why) = saved {
            shell.warn(why);
        }
    }

    fn review_disable(&self, shell: &mut Shell) {
        let Some(row) = self.locks.selected() else { return };
        let (word, done, about) = match row.disabled {
            true => ("ENABLE", "enabled", "It is answered again."),
            false => ("DISABLE", "disabled", "It is refused at once: its doors open for nobody who asks by it."),
        };
        let step = ReviewStep::new(row.name.clone(), Command::DisableLock(row.id, !row.disabled));
        let mut review = Review::new(ScreenId::Locks, format!("{word} {}", row.name), vec![step]);
        review.about = about.to_owned();
        review.afterwards = format!("{} is {done}", row.name);
        shell.open(Dialog::Review(Box::new(review)));
    }

    fn review_revoke(&self, shell: &mut Shell) {
        let Some(row) = self.tokens.selected() else { return };
        let whose = whose(row, shell);
        let step = ReviewStep::new(whose.clone(), Command::RevokeToken(row.id));
        let mut review = Review::new(ScreenId::Locks, format!("REVOKE THE TOKEN of {whose}"), vec![step]);
        review.about = "Nobody joins with it any more. Who has joined stays.".to_owned();
        review.afterwards = format!("the token of {whose} is revoked");
        shell.open(Dialog::Review(Box::new(review)));
    }
}

/// Whose a token is, for people.
pub fn whose(row: &TokenRow, shell: &Shell) -> String {
    if shell.people_hidden && !matches!(row.party, Party::Lock(_)) {
        return view::HIDDEN.to_owned();
    }
    row.name.clone()
}

fn review_enrol(name: String, scope: LockScope, of: &str, length: usize, shell: &mut Shell) -> Result<(), String> {
    let until = until(length, shell)?;
    let step = ReviewStep::new(name.clone(), Command::MakeLock { name: name.clone(), scope });
    let mut review = Review::new(ScreenId::Locks, format!("ENROL {name}: {of}"), vec![step]);
    review.about = "The token that it joins with is made then, and shown once.".to_owned();
    review.afterwards = format!("{name} is registered, and its token is made");
    shell.open_with_token(review, For { party: None, until, whose: name });
    Ok(())
}

fn height(shell: &Shell) -> usize {
    view::rows_of(shell, Wants::LIST)
}

impl Screen for Locks {
    fn bindings(&self) -> &'static [Binding] {
        match (&self.choosing, self.part) {
            (Some(_), _) => DOOR_BINDINGS,
            (None, Part::Locks) => BINDINGS,
            (None, Part::Tokens) => TOKEN_BINDINGS,
        }
    }

    fn crumbs(&self) -> Vec<String> {
        match (&self.choosing, self.part) {
            (Some(choosing), _) => vec!["Locks".to_owned(), choosing.name.clone(), "doors".to_owned()],
            (None, Part::Locks) => vec!["Locks".to_owned()],
            (None, Part::Tokens) => vec!["Locks".to_owned(), "tokens".to_owned()],
        }
    }

    fn summary(&self, _: &Shell) -> Vec<String> {
        if let Some(choosing) = &self.choosing {
            let (chosen, total) = (choosing.doors.marked_ids().len() as u64, choosing.doors.counts().total);
            return vec![format!("{} of {} doors", grouped(chosen), grouped(total))];
        }
        if self.locks.is_unknown() {
            // Who may not see the locks sees the tokens for their own machines.
            let tokens = counted(self.tokens.counts().total, "token", "tokens");
            let own = self.is_portfolio_manager() == Some(false);
            return vec![if own { format!("{tokens} waiting") } else { UNTOLD.to_owned() }];
        }
        let rows = self.locks.rows();
        let connected = rows.iter().filter(|row| row.connected.is_some()).count() as u64;
        let waiting = self.tokens.counts().total;
        let locks = counted(self.locks.counts().total, "lock", "locks");
        vec![
            format!("{locks}  {} connected  {} waiting", grouped(connected), counted(waiting, "token", "tokens")),
            locks,
        ]
    }

    fn wants(&self) -> Wants {
        Wants::LIST
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        view::screen::locks::render(self, shell, layout, painter);
    }

    fn ask(&mut self, shell: &mut Shell) {
        let Some(me) = shell.overview.as_ref().map(|overview| overview.me) else { return };
        let height = height(shell);
        self.me.ask(|| shell.ask(ScreenId::Locks, Request::Person(me)));
        // Asked by who may not see them, it would stand in the audit trail as an attempt.
        if self.is_portfolio_manager() == Some(true)
            && let Some(rows) = self.locks.wanted(height)
            && let Some(ticket) = shell.ask(ScreenId::Locks, Request::Locks(rows))
        {
            self.locks.asked(ticket);
        }
        if self.is_portfolio_manager() == Some(true) && shell.is_up() {
            let now = shell.now;
            self.activities.ask(now, |request| shell.ask(ScreenId::Locks, request));
        }
        if let Some(rows) = self.tokens.wanted(height)
            && let Some(ticket) = shell.ask(ScreenId::Locks, Request::Tokens(rows))
        {
            self.tokens.asked(ticket);
        }
        if let Some(choosing) = &mut self.choosing
            && let Some(rows) = choosing.doors.wanted(height)
            && let Some(ticket) = shell.ask(ScreenId::Locks, Request::Doors(choosing.property.0, rows))
        {
            choosing.doors.asked(ticket);
        }
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, Failure>, shell: &mut Shell) {
        let height = height(shell);
        if self.activities.expects(ticket) {
            return self.activities.take(&answer);
        }
        match answer {
            Ok(Answer::Person(found)) if self.me.expects(ticket) => {
                if !found.row.portfolio_manager {
                    self.locks.replace(Vec::new(), height);
                }
                self.me = Asked::Here(Box::new(found));
            }
            Err(failure) if self.me.expects(ticket) => self.me.take(Err(&failure)),
            Ok(Answer::Locks(list)) if self.locks.expects(ticket) => self.locks.receive(list, height),
            Ok(Answer::Tokens(list)) if self.tokens.expects(ticket) => self.tokens.receive(list, height),
            Ok(Answer::Doors(list)) => {
                if let Some(choosing) = self.choosing.as_mut().filter(|choosing| choosing.doors.expects(ticket)) {
                    choosing.doors.receive(list, height);
                }
            }
            Ok(_) => {}
            Err(failure) => {
                if self.locks.expects(ticket) {
                    self.locks.failed();
                }
                if self.tokens.expects(ticket) {
                    self.tokens.failed();
                }
                if let Some(choosing) = self.choosing.as_mut().filter(|choosing| choosing.doors.expects(ticket)) {
                    choosing.doors.failed();
                }
                if let Failure::Refused(_) | Failure::Unreadable(_) = failure {
                    shell.warn(failure.to_string());
                }
            }
        }
    }

    fn refresh(&mut self, _: &mut Shell) {
        self.me = Asked::Not;
        self.locks.refresh();
        self.tokens.refresh();
    }

    // They are of all properties.
    fn forget(&mut self, _: &mut Shell) {}

    fn forbidden(&self, action: Action, _: &Shell) -> Option<String> {
        let Action::Act(act) = action else { return None };
        match (act, self.is_portfolio_manager()) {
            (CHOOSE | SAVE | PART, _) => None,
            (REVOKE, _) => self.tokens.selected().is_none().then(|| "there is no token here".to_owned()),
            (_, Some(false)) => Some(ONLY_PORTFOLIO.to_owned()),
            (_, None) => Some("it is not known yet what you may do".to_owned()),
            (TOKEN | DISABLE, Some(true)) if self.locks.selected().is_none() => {
                Some("there is no lock here".to_owned())
            }
            (_, Some(true)) => None,
        }
    }

    fn lacks(&self, action: Action) -> bool {
        matches!(action, Action::Range | Action::Mark | Action::Open)
            || (action == Action::Sort && self.choosing.is_some())
    }

    fn act(&mut self, action: Action, shell: &mut Shell) {
        let height = height(shell);
        match (action, &mut self.choosing) {
            (Action::Act(ENROL), _) => self.enrol_form(shell),
            (Action::Act(TOKEN), _) => self.token_form(shell),
            (Action::Act(DISABLE), _) => self.review_disable(shell),
            (Action::Act(REVOKE), _) => self.review_revoke(shell),
            (Action::Act(SAVE), _) => self.save(shell),
            (Action::Act(CHOOSE), Some(choosing)) => choosing.doors.mark(height),
            (Action::Act(PART), None) => {
                self.part = if self.part == Part::Locks { Part::Tokens } else { Part::Locks };
                let needle = self.needle.clone();
                self.filter(&needle, shell);
            }
            (Action::Sort, None) if self.part == Part::Locks => self.locks.sort_next(SORTS, height),
            (Action::Sort, None) => self.tokens.sort_next(1, height),
            _ => {}
        }
    }

    fn submitted(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        match form.act {
            ENROL => self.enrolled(form, shell),
            TOKEN => {
                let (id, name) = form.subject.first().cloned().ok_or("the form is about no lock")?;
                let until = until(form.choice(0), shell)?;
                let mut review = Review::new(ScreenId::Locks, format!("TOKEN for {name}"), Vec::new());
                review.about = "When it joins with it, the key that it had before is refused.".to_owned();
                review.afterwards = "the token is made".to_owned();
                let party = Some(Party::Lock(LockId(id)));
                shell.open_with_token(review, For { party, until, whose: name });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn step(&mut self, step: Step, shell: &mut Shell) {
        let height = height(shell);
        match (&mut self.choosing, self.part) {
            (Some(choosing), _) => choosing.doors.step(step, height),
            (None, Part::Locks) => self.locks.step(step, height),
            (None, Part::Tokens) => self.tokens.step(step, height),
        }
    }

    fn settle(&mut self, shell: &mut Shell) {
        let height = height(shell);
        self.locks.settle(height);
        self.tokens.settle(height);
        if let Some(choosing) = &mut self.choosing {
            choosing.doors.settle(height);
        }
    }

    fn filtered(&self) -> &str {
        self.choosing.as_ref().map_or(&self.needle, |choosing| &choosing.needle)
    }

    fn filter(&mut self, needle: &str, shell: &mut Shell) {
        let height = height(shell);
        if let Some(choosing) = &mut self.choosing {
            choosing.needle = needle.to_owned();
            let chosen = choosing.doors.marked_ids().clone();
            choosing.doors.filter(needle, height);
            return choosing.doors.mark_only(chosen);
        }
        self.needle = needle.to_owned();
        self.locks.filter(needle, height);
        // What is hidden isn't searched: a filter that finds people would name them.
        self.tokens.filter(if shell.people_hidden { "" } else { needle }, height);
    }

    fn refilter(&mut self, shell: &mut Shell) {
        self.tokens.filter(if shell.people_hidden { "" } else { &self.needle }, height(shell));
    }

    fn kept(&self) -> Kept {
        Kept { sort: self.locks.sort(), filter: self.needle.clone() }
    }

    fn sort_by(&mut self, sort: Option<usize>, shell: &mut Shell) {
        self.locks.sort_by(sort, SORTS, height(shell));
    }

    fn back(&mut self, shell: &mut Shell) -> bool {
        if self.choosing.take().is_some() {
            shell.say("nothing was changed");
            return true;
        }
        std::mem::take(&mut self.part) == Part::Tokens
    }

    fn copied(&self, shell: &Shell) -> Option<String> {
        match (&self.choosing, self.part) {
            (Some(choosing), _) => choosing.doors.selected().map(|row| row.name.clone()),
            (None, Part::Locks) => self.locks.selected().map(|row| format!("{} {}", row.name, row.id)),
            (None, Part::Tokens) => self.tokens.selected().map(|row| format!("{} {}", whose(row, shell), row.id)),
        }
    }
}
