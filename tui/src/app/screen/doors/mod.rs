//! Screen 3: the doors of the property, and one of them with its Keys and who can open it.

mod acts;
mod page;

use keyward_protocol::{
    entry::{Level, Refusal},
    id::DoorId,
    message::{
        manage::{AlertRow, Answer, DoorDetail, DoorRow, Request, Rows},
        watch::Search,
    },
};

use self::acts::{BINDINGS, EDIT, LIFT, LOCK_DOWN, NEW, REMOVE, VACANCY, WHEN};
pub use self::page::{Page, Part};
use super::{
    Screen, ScreenId, Shell, Step, UNTOLD, hours,
    paged::{self, height, page_height},
};
use crate::{
    app::{LogRow, Named, form::Form, list::List, remembered::Kept, screen::logs::EXPLAIN},
    keymap::{Action, Binding},
    remote::{Failure, Ticket},
    view::{
        self,
        layout::{Layout, Wants},
        painter::Painter,
        text::grouped,
    },
};

/// Every table of its chords.
pub const TABLES: &[&[Binding]] = &[BINDINGS];
/// How many sorts the list of doors has: name, Keys, codes.
const SORTS: usize = 3;

/// The screen.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    list: List<DoorRow>,
    needle: String,
    schedules: hours::Schedules,
    schedules_asked: Option<Ticket>,
    alerts: Vec<AlertRow>,
    alerts_asked: Option<Ticket>,
    detail: Option<Detail>,
    page: Option<Page>,
}

/// What was asked about the door under the cursor, or the one that is open.
#[derive(Clone, Debug)]
pub struct Detail {
    door: DoorId,
    asked: [Option<Ticket>; 2],
    /// The door, once it was told.
    pub facts: Option<DoorDetail>,
    /// The newest check there; `Some(None)`: none is known.
    pub last: Option<Option<LogRow>>,
}

impl Doors {
    /// The doors.
    pub fn list(&self) -> &List<DoorRow> {
        &self.list
    }

    /// The door that is open.
    pub fn page(&self) -> Option<&Page> {
        self.page.as_ref()
    }

    /// The door that is open, else the one under the cursor.
    pub fn door(&self) -> Option<&DoorRow> {
        match &self.page {
            Some(page) => Some(&page.door),
            None => self.list.selected(),
        }
    }

    /// What is known of that door.
    pub fn detail(&self) -> Option<&Detail> {
        let door = self.door()?;
        self.detail.as_ref().filter(|detail| detail.door == door.id)
    }

    /// Whether the door ran out of wrong codes within a day (U7).
    pub fn alert(&self, door: DoorId) -> Option<&AlertRow> {
        self.alerts.iter().find(|alert| alert.door == door)
    }

    /// The property's named schedules.
    pub fn schedules(&self) -> &hours::Schedules {
        &self.schedules
    }

    fn open(&mut self) {
        let Some(row) = self.list.selected() else { return };
        let mut page = Page::of(row.clone());
        if let Some(facts) = self.detail().and_then(|detail| detail.facts.as_ref()) {
            page.take(facts, 0);
        }
        self.page = Some(page);
    }

    fn ask_lists(&mut self, shell: &mut Shell) {
        let Some(property) = shell.property else { return };
        if let Some(rows) = self.list.wanted(height(shell))
            && let Some(ticket) = shell.ask(ScreenId::Doors, Request::Doors(property, rows))
        {
            self.list.asked(ticket);
        }
        if self.schedules_asked.is_none() {
            self.schedules_asked = shell.ask(ScreenId::Doors, Request::Schedules(property, Rows::all()));
        }
        if self.alerts_asked.is_none() {
            self.alerts_asked = shell.ask(ScreenId::Doors, Request::Alerts);
        }
        if let Some(page) = &mut self.page
            && page.part == Part::People
            && let Some(rows) = page.people.wanted(page_height(shell))
            && let Some(ticket) = shell.ask(ScreenId::Doors, Request::WhoCan(page.door.id, page.at, rows))
        {
            page.people.asked(ticket);
        }
    }

    fn ask_detail(&mut self, shell: &mut Shell) {
        let Some(door) = self.door().map(|row| row.id) else { return };
        // One at a time: who runs through the list needs none of those passed by.
        let waits = self.detail.as_ref().is_some_and(|detail| detail.asked.iter().any(Option::is_some));
        if waits || self.detail.as_ref().is_some_and(|detail| detail.door == door) {
            return;
        }
        let last = Search { doors: Some(vec![door]), ..Search::newest(1) };
        let facts = shell.ask(ScreenId::Doors, Request::Door(door));
        let last = facts.and_then(|_| shell.ask(ScreenId::Doors, Request::Search(last)));
        if facts.is_some() {
            self.detail = Some(Detail { door, asked: [facts, last], facts: None, last: None });
        }
    }

    fn took(&mut self, ticket: Ticket, answer: Answer, shell: &Shell) {
        match answer {
            Answer::Doors(list) if self.list.expects(ticket) => self.list.receive(list, height(shell)),
            Answer::Schedules(list) if self.schedules_asked == Some(ticket) => self.schedules = hours::by_id(list.rows),
            Answer::Alerts(alerts) if self.alerts_asked == Some(ticket) => self.alerts = alerts,
            Answer::Door(door) => {
                let Some(mine) = self.detail.as_mut().filter(|mine| mine.asked[0] == Some(ticket)) else { return };
                mine.asked[0] = None;
                if let Some(page) = self.page.as_mut().filter(|page| page.door.id == door.row.id) {
                    page.take(&door, page_height(shell));
                }
                mine.facts = Some(door);
            }
            Answer::History(history) => {
                if let Some(mine) = self.detail.as_mut().filter(|mine| mine.asked[1] == Some(ticket)) {
                    mine.asked[1] = None;
                    let named = Named::of(&history.names);
                    // A page that looked and found nothing yet doesn't say that there is none.
                    let found = history.rows.first().map(|row| named.row(row));
                    mine.last = (found.is_some() || history.next.is_none()).then_some(found);
                }
            }
            Answer::WhoCan(who) => {
                if let Some(page) = self.page.as_mut().filter(|page| page.people.expects(ticket)) {
                    (page.told_at, page.carriers) = (Some(who.at), who.carriers);
                    page.people.receive(who.people, page_height(shell));
                }
            }
            _ => {}
        }
    }

    fn failed(&mut self, ticket: Ticket, failure: &Failure) {
        if self.list.expects(ticket) {
            self.list.failed();
        }
        if let Some(page) = self.page.as_mut().filter(|page| page.people.expects(ticket)) {
            page.people.failed();
            page.problem = Some(failure.to_string());
        }
        if let Some(detail) = &mut self.detail {
            // What is not there any more, or not for us, can't stay open.
            let gone = matches!(failure, Failure::Refused(Refusal::NotFound(_)));
            if gone && detail.asked[0] == Some(ticket) {
                self.page = None;
            }
            detail.asked.iter_mut().for_each(|asked| *asked = asked.filter(|asked| *asked != ticket));
        }
    }

    /// Whether a refusal of this belongs on the page or nowhere, and not at the foot of the screen.
    fn is_beside(&self, ticket: Ticket) -> bool {
        let of_log = self.detail.as_ref().is_some_and(|detail| detail.asked[1] == Some(ticket));
        of_log || self.page.as_ref().is_some_and(|page| page.people.expects(ticket))
    }
}

impl Screen for Doors {
    fn bindings(&self) -> &'static [Binding] {
        BINDINGS
    }

    fn crumbs(&self) -> Vec<String> {
        match &self.page {
            None => vec!["Doors".to_owned()],
            Some(page) => vec!["Doors".to_owned(), page.door.name.clone(), page.part.name().to_owned()],
        }
    }

    fn summary(&self, shell: &Shell) -> Vec<String> {
        if let Some(page) = &self.page {
            return vec![page.summary()];
        }
        if self.list.is_unknown() {
            return vec![UNTOLD.to_owned()];
        }
        let counts = self.list.counts();
        let doors = match counts.total {
            1 => "1 door".to_owned(),
            some => format!("{} doors", grouped(some)),
        };
        let mut words =
            if self.needle.is_empty() { doors } else { format!("{} shown of {doors}", grouped(counts.shown)) };
        let shorter = words.clone();
        match shell.property_row().map_or(0, |row| row.lockdowns) {
            0 => {}
            1 => words.push_str("  1 LOCKDOWN"),
            some => words.push_str(&format!("  {some} LOCKDOWNS")),
        }
        match self.alerts.iter().filter(|alert| Some(alert.property) == shell.property).count() {
            0 => {}
            1 => words.push_str("  1 wrong-code alert"),
            some => words.push_str(&format!("  {some} wrong-code alerts")),
        }
        vec![words, shorter]
    }

    fn wants(&self) -> Wants {
        if self.page.is_some() { Wants::PAGE } else { Wants::LIST }
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        view::screen::doors::render(self, shell, layout, painter);
    }

    fn ask(&mut self, shell: &mut Shell) {
        self.ask_lists(shell);
        if shell.property.is_some() {
            self.ask_detail(shell);
        }
    }

    fn refresh(&mut self, _: &mut Shell) {
        self.list.refresh();
        (self.detail, self.schedules_asked, self.alerts_asked) = (None, None, None);
        if let Some(page) = &mut self.page {
            page.problem = None;
            page.people.refresh();
        }
    }

    fn forget(&mut self, _: &mut Shell) {
        let mut list = std::mem::take(&mut self.list);
        list.restart();
        *self = Doors { list, ..Doors::default() };
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, Failure>, shell: &mut Shell) {
        match answer {
            Ok(answer) => self.took(ticket, answer, shell),
            Err(failure) => {
                let beside = self.is_beside(ticket);
                self.failed(ticket, &failure);
                if let (Failure::Refused(_) | Failure::Unreadable(_), false) = (&failure, beside) {
                    shell.warn(failure.to_string());
                }
            }
        }
    }

    fn forbidden(&self, action: Action, shell: &Shell) -> Option<String> {
        let Action::Act(act) = action else { return None };
        let level = match shell.level() {
            Some(Level::Full) => None,
            Some(Level::Limited) => Some("Limited: can't change doors or lock them down"),
            Some(Level::Specific(_)) => Some("Specific: can't change doors or lock them down"),
            None => Some("you manage no Keys of this property"),
        };
        let level = level.map(str::to_owned);
        let none = self.door().is_none().then(|| "there is no door here to do that with".to_owned());
        let unit = self.list.chosen().iter().any(|row| row.kind == keyward_protocol::entry::DoorKind::Unit);
        match act {
            NEW | REMOVE if shell.is_portfolio_manager() == Some(false) => {
                Some("adding and removing doors is for Portfolio Managers".to_owned())
            }
            NEW => None,
            REMOVE => none,
            LIFT if shell.property_row().is_some_and(|row| row.lockdowns == 0) => {
                Some("there is no lockdown to lift".to_owned())
            }
            LOCK_DOWN | LIFT => level,
            EDIT => level.or(none),
            EXPLAIN => none,
            VACANCY if self.page.is_none() && !unit => Some("only units are vacant or occupied".to_owned()),
            VACANCY => level.or(none),
            WHEN if self.page.as_ref().is_none_or(|page| page.part != Part::People) => {
                let tab = shell.chord(ScreenId::Doors, Action::NextPart);
                Some(format!("open the door and go to who can open it ({tab}) to choose a moment"))
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, shell: &mut Shell) {
        let (list_height, page_height) = (height(shell), page_height(shell));
        match (action, &mut self.page) {
            (Action::Act(act), _) => self.do_act(act, shell),
            (Action::Open, None) => self.open(),
            (Action::NextPart, Some(page)) => page.part = page.part.next(),
            (Action::Mark, None) => self.list.mark(list_height),
            (Action::Range, None) => self.list.range(),
            (Action::Sort, None) => self.list.sort_next(SORTS, list_height),
            (Action::Sort, Some(page)) => page.sort(page_height),
            _ => {}
        }
    }

    fn submitted(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        self.filled_in(form, shell)
    }

    fn step(&mut self, step: Step, shell: &mut Shell) {
        paged::step(&mut self.list, self.page.as_mut(), step, shell);
    }

    fn settle(&mut self, shell: &mut Shell) {
        paged::settle(&mut self.list, self.page.as_mut(), shell);
    }

    fn filtered(&self) -> &str {
        paged::filtered(&self.needle, self.page.as_ref())
    }

    fn filter(&mut self, needle: &str, shell: &mut Shell) {
        match &mut self.page {
            None => {
                self.needle = needle.to_owned();
                self.list.filter(needle, height(shell));
            }
            Some(page) => page.filter(needle, shell.people_hidden, page_height(shell)),
        }
    }

    fn refilter(&mut self, shell: &mut Shell) {
        // The list itself finds nobody.
        if let Some(page) = &mut self.page {
            page.filter(&page.needle.clone(), shell.people_hidden, page_height(shell));
        }
    }

    fn kept(&self) -> Kept {
        Kept { sort: self.list.sort(), filter: self.needle.clone() }
    }

    fn sort_by(&mut self, sort: Option<usize>, shell: &mut Shell) {
        self.list.sort_by(sort, SORTS, height(shell));
    }

    fn back(&mut self, _: &mut Shell) -> bool {
        self.page.take().is_some()
    }

    fn unmark(&mut self) -> bool {
        self.page.is_none() && self.list.unmark()
    }

    fn marked(&self) -> usize {
        if self.page.is_some() { 0 } else { self.list.marked() }
    }

    fn has_parts(&self) -> bool {
        self.page.is_some()
    }

    fn copied(&self, shell: &Shell) -> Option<String> {
        match &self.page {
            None => self.door().map(|door| door.name.clone()),
            Some(page) if page.part == Part::Keys => page.keys.selected().map(|row| row.name.clone()),
            Some(_) if shell.people_hidden => None,
            Some(page) if page.part == Part::People => {
                page.people.selected().map(|row| format!("{} <{}>", row.name, row.email))
            }
            Some(page) => Some(page.door.name.clone()),
        }
    }
}
