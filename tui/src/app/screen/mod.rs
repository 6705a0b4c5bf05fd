//! The screens: one module each. A screen that is not in [`SCREENS`] does not exist.

pub mod audit;
pub mod doors;
pub mod holding;
pub mod hours;
pub mod keys;
pub mod locks;
pub mod logs;
pub mod managers;
mod paged;
pub mod people;

use std::fmt;

use keyward_protocol::message::{manage::Answer, watch::LiveBatch};

use super::{Shell, Step, form::Form, remembered::Kept, week::Week};
use crate::{
    keymap::{Act, Action, Binding},
    remote::{Failure, Ticket, WatchId},
    view::{layout::Layout, layout::Wants, painter::Painter},
};

/// Every screen that there will be, by the number that shows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ScreenId {
    /// The Keys of the property.
    Keys,
    /// People.
    People,
    /// Doors.
    Doors,
    /// The access log.
    Logs,
    /// Managers.
    Managers,
    /// Locks.
    Locks,
    /// The audit trail.
    Audit,
}

impl ScreenId {
    /// All of them, in the order of their numbers.
    pub const ALL: [ScreenId; 7] = [
        ScreenId::Keys,
        ScreenId::People,
        ScreenId::Doors,
        ScreenId::Logs,
        ScreenId::Managers,
        ScreenId::Locks,
        ScreenId::Audit,
    ];

    /// The one that is called this, in small letters.
    pub fn named(name: &str) -> Option<ScreenId> {
        ScreenId::ALL.into_iter().find(|screen| screen.name().to_lowercase() == name)
    }

    /// The number that shows it.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            ScreenId::Keys => "Keys",
            ScreenId::People => "People",
            ScreenId::Doors => "Doors",
            ScreenId::Logs => "Logs",
            ScreenId::Managers => "Managers",
            ScreenId::Locks => "Locks",
            ScreenId::Audit => "Audit",
        }
    }
}

/// Every table of chords that a screen has: one is in force at a time, by what is open on it.
pub fn tables(screen: ScreenId) -> &'static [&'static [Binding]] {
    match screen {
        ScreenId::Keys => keys::TABLES,
        ScreenId::People => people::TABLES,
        ScreenId::Doors => doors::TABLES,
        ScreenId::Logs => logs::TABLES,
        ScreenId::Managers => managers::TABLES,
        ScreenId::Locks => locks::TABLES,
        ScreenId::Audit => audit::TABLES,
    }
}

/// Makes a screen.
type Make = fn() -> Box<dyn Screen>;

/// The screens that are built, in the order of their numbers.
pub const SCREENS: &[(ScreenId, Make)] = &[
    (ScreenId::Keys, || Box::<keys::Keys>::default()),
    (ScreenId::People, || Box::<people::People>::default()),
    (ScreenId::Doors, || Box::<doors::Doors>::default()),
    (ScreenId::Logs, || Box::<logs::LogScreen>::default()),
    (ScreenId::Managers, || Box::<managers::Managers>::default()),
    (ScreenId::Locks, || Box::<locks::Locks>::default()),
    (ScreenId::Audit, || Box::<audit::Audit>::default()),
];

/// Stands in the place of a count that the server did not tell yet: 0 would be a claim.
pub const UNTOLD: &str = "...";

/// A screen: its own state, what events make of it, and how it looks. What it wants done outside it asks of the shell.
pub trait Screen: fmt::Debug + Send {
    /// Its own chords, which stand before everybody's.
    fn bindings(&self) -> &'static [Binding];

    /// Where we are, after the property: `Keys`, `Employee All Access`.
    fn crumbs(&self) -> Vec<String>;

    /// Whether `q` closes something here, and doesn't quit.
    fn is_deep(&self) -> bool {
        self.crumbs().len() > 1
    }

    /// What there is at a glance, beside the crumbs; from the fullest way to say it to the shortest.
    fn summary(&self, shell: &Shell) -> Vec<String>;

    /// Which parts of the terminal it would like.
    fn wants(&self) -> Wants;

    /// Draws it.
    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>);

    /// Asks for what is missing. Called after every event while it is open: it must not ask twice.
    fn ask(&mut self, _shell: &mut Shell) {}

    /// The data may have moved on: what is shown is to be asked for anew, and stays until that is here. Also called when
    /// the screen is opened and when the connection stands again.
    fn refresh(&mut self, shell: &mut Shell);

    /// Another property is looked at: nothing that is here counts any more.
    fn forget(&mut self, shell: &mut Shell);

    /// Takes what came of a request of its own.
    fn answered(&mut self, _ticket: Ticket, _answer: Result<Answer, Failure>, _shell: &mut Shell) {}

    /// A review of its own was carried out as a whole; says whether what it came from is over.
    fn done(&mut self, _shell: &mut Shell) -> bool {
        false
    }

    /// A week of its own was drawn.
    ///
    /// # Errors
    ///
    /// What is wrong with it: it stays open and says so.
    fn week(&mut self, _week: &Week, _shell: &mut Shell) -> Result<(), String> {
        Ok(())
    }

    /// A key of the keyboard was pressed, whatever it is for: what is only shown until then goes.
    fn pressed(&mut self, _shell: &mut Shell) {}

    /// Takes more of a live view of its own. Views of others come by here, too.
    fn live(&mut self, _watch: WatchId, _batch: &LiveBatch, _shell: &mut Shell) {}

    /// Why this can't be done here now: it is dimmed, and doing it anyway says why.
    fn forbidden(&self, _action: Action, _shell: &Shell) -> Option<String> {
        None
    }

    /// Which of its acts Enter comes to here, where it does not open what it is on.
    fn enters(&self) -> Option<Act> {
        None
    }

    /// Whether what every screen has makes no sense here: it is not there then.
    fn lacks(&self, _action: Action) -> bool {
        false
    }

    /// Does what the chord asks for.
    fn act(&mut self, action: Action, shell: &mut Shell);

    /// A form of its own is filled in.
    ///
    /// # Errors
    ///
    /// What is wrong with it: it stays open and says so.
    fn submitted(&mut self, _form: &Form, _shell: &mut Shell) -> Result<(), String> {
        Ok(())
    }

    /// Moves the cursor.
    fn step(&mut self, step: Step, shell: &mut Shell);

    /// Fits it to another size of the terminal.
    fn settle(&mut self, shell: &mut Shell);

    /// What is said beside the filter while it is typed.
    fn filter_terms(&self) -> &'static str {
        "Enter keeps, Esc clears"
    }

    /// What is said at the foot, before everything else, and whether it needs an eye; `short` where room is short.
    fn status(&self, _shell: &Shell, _short: bool) -> Vec<(String, bool)> {
        Vec::new()
    }

    /// What it is filtered by.
    fn filtered(&self) -> &str;

    /// Filters it from now on.
    fn filter(&mut self, needle: &str, shell: &mut Shell);

    /// Shows what has this name in its list; says whether it could leave what is open for that.
    fn find(&mut self, name: &str, shell: &mut Shell) -> bool {
        self.filter(name, shell);
        true
    }

    /// What is shown as JSON, where it has such a form.
    fn saved(&self, _shell: &Shell) -> Option<String> {
        None
    }

    /// People were hidden or are shown again: everything that finds people is filtered anew, also what lies under a page.
    fn refilter(&mut self, shell: &mut Shell) {
        let needle = self.filtered().to_owned();
        self.filter(&needle, shell);
    }

    /// How its list is sorted and filtered, to be remembered until the next start.
    fn kept(&self) -> Kept {
        Kept::default()
    }

    /// Sorts its list by this one of its sorts, where it has it.
    fn sort_by(&mut self, _sort: Option<usize>, _shell: &mut Shell) {}

    /// Closes what is open within it; says whether anything was.
    fn back(&mut self, _shell: &mut Shell) -> bool {
        false
    }

    /// Takes marks away; says whether there were any.
    fn unmark(&mut self) -> bool {
        false
    }

    /// How many rows are marked.
    fn marked(&self) -> usize {
        0
    }

    /// Whether it has parts that Tab goes through.
    fn has_parts(&self) -> bool {
        false
    }

    /// Whether the rows of its list are seen, and not something that lies over them.
    fn has_rows(&self) -> bool {
        true
    }

    /// The row under the cursor, for the clipboard.
    fn copied(&self, _shell: &Shell) -> Option<String> {
        None
    }
}
