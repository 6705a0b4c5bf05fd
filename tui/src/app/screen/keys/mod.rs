//! Screen 1: the Keys of the property, one Key with its doors, holders and week. Over it lie a Key that is being written,
//! the schedules, and people against doors: screens of their own, until they are left.

mod acts;
pub mod draft;
pub mod matrix;
pub mod schedules;

use keyward_protocol::{
    entry::{Level, Opening},
    id::{KeyId, PersonId, PropertyId},
    message::{
        manage::{Answer, HolderRow, KeyDetail, KeyOpens, KeyRow, Request, Rows},
        watch::Search,
    },
};

use self::acts::{BINDINGS, DELETE, DELIVERIES, DUPLICATE, EDIT, MATRIX, NEW, SCHEDULES};
use super::{
    Screen, ScreenId, Shell, Step, UNTOLD,
    holding::{self, GIVE, Holding, KeyNamed, MOVE, REVOKE},
    hours,
    paged::{self, height, page_height},
};
use crate::{
    app::{LogRow, Named, form::Form, list::List, remembered::Kept, week::Week},
    keymap::{Act, Action, Binding},
    remote::{Failure, Ticket},
    view::{
        self,
        layout::{Layout, Wants},
        painter::Painter,
        text::grouped,
    },
};

/// Every table of its chords.
pub const TABLES: &[&[Binding]] = &[BINDINGS, draft::BINDINGS, schedules::BINDINGS, matrix::BINDINGS];
/// How many sorts the list of Keys has: name, doors, people.
const KEY_SORTS: usize = 3;
const NOBODYS: &str = "Deliveries is managed by the system: nobody gives, edits or deletes it";

/// The screen.
#[derive(Debug)]
pub struct Keys {
    list: List<KeyRow>,
    needle: String,
    schedules: hours::Schedules,
    schedules_asked: Option<Ticket>,
    detail: Option<Detail>,
    page: Option<Page>,
    /// What lies over it.
    over: Option<Box<dyn Screen>>,
}

/// What was asked about the Key under the cursor.
#[derive(Clone, Debug)]
pub struct Detail {
    key: KeyId,
    asked: [Option<Ticket>; 2],
    /// The Key, once it was told.
    pub facts: Option<KeyDetail>,
    /// The newest unlock by it; `Some(None)`: none is known.
    pub last: Option<Option<LogRow>>,
}

/// Which part of a Key's page has the cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Who holds it.
    People,
    /// What it opens.
    Doors,
    /// When it opens them.
    Week,
}

/// One Key, with its doors and holders.
#[derive(Clone, Debug)]
pub struct Page {
    key: KeyId,
    /// Which part has the cursor.
    pub part: Part,
    /// The doors.
    pub doors: List<KeyOpens>,
    /// The holders.
    pub people: List<HolderRow>,
    needle: String,
    asked: Option<Ticket>,
    stale: bool,
}

impl paged::Page for Page {
    fn step(&mut self, step: Step, height: usize) {
        match self.part {
            Part::People => self.people.step(step, height),
            Part::Doors | Part::Week => self.doors.step(step, height),
        }
    }

    fn settle(&mut self, height: usize) {
        self.people.settle(height);
        self.doors.settle(height);
    }

    fn needle(&self) -> &str {
        &self.needle
    }
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            list: List::eager(),
            needle: String::new(),
            schedules: hours::Schedules::new(),
            schedules_asked: None,
            detail: None,
            page: None,
            over: None,
        }
    }
}

impl Keys {
    /// The Keys.
    pub fn list(&self) -> &List<KeyRow> {
        &self.list
    }

    /// What is known of the Key under the cursor, or of the one that is open.
    pub fn detail(&self) -> Option<&Detail> {
        let key = self.key()?;
        self.detail.as_ref().filter(|detail| detail.key == key.id)
    }

    /// The Key that is open.
    pub fn page(&self) -> Option<&Page> {
        self.page.as_ref()
    }

    /// The Key that is open, else the one under the cursor.
    pub fn key(&self) -> Option<&KeyRow> {
        match &self.page {
            Some(page) => self.list.rows().iter().find(|row| row.id == page.key),
            None => self.list.selected(),
        }
    }

    /// The property's named schedules.
    pub fn schedules(&self) -> &hours::Schedules {
        &self.schedules
    }

    /// When an opening opens, in words.
    pub fn hours(&self, openings: &[Opening]) -> String {
        hours::told(&self.schedules, openings)
    }

    /// Who an act is about: the holders that are marked or under the cursor, where holders are shown.
    fn holders(&self) -> Vec<(PersonId, String)> {
        let people = self.page.as_ref().filter(|page| page.part == Part::People).map(|page| page.people.chosen());
        people.unwrap_or_default().into_iter().map(|row| (row.person, row.name.clone())).collect()
    }

    /// What giving, revoking and moving are about here.
    fn holding(&self, shell: &Shell) -> Option<Holding> {
        let key = self.key()?;
        let key = KeyNamed { id: key.id, name: key.name.clone(), may_share: Some(key.may_share) };
        Some(Holding { owner: ScreenId::Keys, property: shell.property?, key: Some(key), people: self.holders() })
    }

    fn open(&mut self) {
        let Some(row) = self.list.selected() else { return };
        let part = if row.system { Part::Doors } else { Part::People };
        let (doors, people) = (List::default(), List::default());
        self.page = Some(Page { key: row.id, part, doors, people, needle: String::new(), asked: None, stale: true });
    }

    fn ask_detail(&mut self, shell: &mut Shell) {
        let Some(key) = self.key().map(|row| row.id) else { return };
        // One at a time: who runs through the list needs none of those passed by.
        let waits = self.detail.as_ref().is_some_and(|detail| detail.asked.iter().any(Option::is_some));
        if waits || self.detail.as_ref().is_some_and(|detail| detail.key == key) {
            return;
        }
        let last = Search { key: Some(key), granted: Some(true), ..Search::newest(1) };
        let facts = shell.ask(ScreenId::Keys, Request::Key(key));
        let last = facts.and_then(|_| shell.ask(ScreenId::Keys, Request::Search(last)));
        if facts.is_some() {
            self.detail = Some(Detail { key, asked: [facts, last], facts: None, last: None });
        }
    }

    fn ask_page(&mut self, shell: &mut Shell) {
        let height = page_height(shell);
        let Some(page) = &mut self.page else { return };
        if page.stale && page.asked.is_none() {
            page.asked = shell.ask(ScreenId::Keys, Request::Key(page.key));
            page.stale = page.asked.is_none();
        }
        if let Some(rows) = page.people.wanted(height)
            && let Some(ticket) = shell.ask(ScreenId::Keys, Request::Holders(page.key, rows))
        {
            page.people.asked(ticket);
        }
    }

    fn took(&mut self, ticket: Ticket, answer: Answer, height: usize, page_height: usize) {
        match answer {
            Answer::Keys(list) if self.list.expects(ticket) => self.list.receive(list, height),
            Answer::Schedules(list) if self.schedules_asked == Some(ticket) => {
                self.schedules = hours::by_id(list.rows);
            }
            Answer::Key(detail) => {
                if let Some(page) = self.page.as_mut().filter(|page| page.asked == Some(ticket)) {
                    page.asked = None;
                    page.doors.replace(detail.opens.clone(), page_height);
                }
                if let Some(mine) = self.detail.as_mut().filter(|mine| mine.asked[0] == Some(ticket)) {
                    mine.asked[0] = None;
                    mine.facts = Some(detail);
                }
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
            Answer::Holders(list) => {
                if let Some(page) = self.page.as_mut().filter(|page| page.people.expects(ticket)) {
                    page.people.receive(list, page_height);
                }
            }
            _ => {}
        }
    }

    fn failed(&mut self, ticket: Ticket) {
        if self.list.expects(ticket) {
            self.list.failed();
        }
        if let Some(page) = &mut self.page {
            if page.people.expects(ticket) {
                page.people.failed();
            }
            page.asked = page.asked.filter(|asked| *asked != ticket);
        }
        if let Some(detail) = &mut self.detail {
            detail.asked.iter_mut().for_each(|asked| *asked = asked.filter(|asked| *asked != ticket));
        }
    }
}

impl Screen for Keys {
    fn bindings(&self) -> &'static [Binding] {
        self.over.as_ref().map_or(BINDINGS, |over| over.bindings())
    }

    fn crumbs(&self) -> Vec<String> {
        if let Some(over) = &self.over {
            return over.crumbs();
        }
        let name = self.key().map(|key| key.name.clone()).unwrap_or_default();
        match &self.page {
            None => vec!["Keys".to_owned()],
            Some(Page { part: Part::People, .. }) => vec!["Keys".to_owned(), name, "people".to_owned()],
            Some(Page { part: Part::Doors, .. }) => vec!["Keys".to_owned(), name, "doors".to_owned()],
            Some(Page { part: Part::Week, .. }) => vec!["Keys".to_owned(), name, "a usual week".to_owned()],
        }
    }

    fn summary(&self, shell: &Shell) -> Vec<String> {
        if let Some(over) = &self.over {
            return over.summary(shell);
        }
        let Some(property) = shell.property_row() else { return Vec::new() };
        let keys = match property.system_keys {
            0 => format!("{} Keys", grouped(property.keys)),
            system => format!("{} + {system} Keys", grouped(property.keys)),
        };
        let counts = match &self.page {
            Some(page) if page.part == Part::People => page.people.counts(),
            Some(page) => page.doors.counts(),
            None => self.list.counts(),
        };
        let shown =
            if self.filtered().is_empty() { String::new() } else { format!("{} shown of ", grouped(counts.shown)) };
        if let Some(page) = &self.page {
            let untold = if page.part == Part::People { page.people.is_unknown() } else { page.doors.is_unknown() };
            return vec![if untold { UNTOLD.to_owned() } else { format!("{shown}{}", grouped(counts.total)) }];
        }
        if self.list.is_unknown() {
            return vec![keys];
        }
        let here = self.list.rows();
        let held = here.iter().filter(|row| row.people > 0).count() as u64;
        let unused = here.iter().filter(|row| row.people == 0 && !row.system).count() as u64;
        let used = format!("{shown}{keys}  {} in use  {} unused", grouped(held), grouped(unused));
        vec![used, format!("{shown}{keys}")]
    }

    fn wants(&self) -> Wants {
        if let Some(over) = &self.over {
            return over.wants();
        }
        if self.page.is_some() { Wants::PAGE } else { Wants::LIST }
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        match &self.over {
            Some(over) => over.render(shell, layout, painter),
            None => view::screen::keys::render(self, shell, layout, painter),
        }
    }

    fn ask(&mut self, shell: &mut Shell) {
        if let Some(over) = &mut self.over {
            return over.ask(shell);
        }
        let Some(property) = shell.property else { return };
        self.ask_list(property, shell);
        self.ask_page(shell);
        self.ask_detail(shell);
    }

    fn refresh(&mut self, shell: &mut Shell) {
        if let Some(over) = &mut self.over {
            over.refresh(shell);
        }
        self.list.refresh();
        self.schedules_asked = None;
        self.detail = None;
        if let Some(page) = &mut self.page {
            page.people.refresh();
            (page.stale, page.asked) = (true, None);
        }
    }

    fn forget(&mut self, _: &mut Shell) {
        let mut list = std::mem::take(&mut self.list);
        list.restart();
        *self = Keys { list, ..Keys::default() };
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, Failure>, shell: &mut Shell) {
        if let Some(over) = &mut self.over {
            over.answered(ticket, answer.clone(), shell);
        }
        match answer {
            Ok(answer) => self.took(ticket, answer, height(shell), page_height(shell)),
            Err(failure) => {
                self.failed(ticket);
                if let Failure::Refused(_) | Failure::Unreadable(_) = failure {
                    shell.warn(failure.to_string());
                }
            }
        }
    }

    fn done(&mut self, shell: &mut Shell) -> bool {
        if self.over.as_mut().is_some_and(|over| over.done(shell)) {
            self.over = None;
        }
        false
    }

    fn week(&mut self, week: &Week, shell: &mut Shell) -> Result<(), String> {
        self.over.as_mut().map_or(Ok(()), |over| over.week(week, shell))
    }

    fn forbidden(&self, action: Action, shell: &Shell) -> Option<String> {
        if let Some(over) = &self.over {
            return over.forbidden(action, shell);
        }
        let Action::Act(act) = action else { return None };
        let full = match shell.level() {
            Some(Level::Full) => None,
            Some(Level::Limited) => Some("Limited: can't make, edit or delete Keys and schedules".to_owned()),
            Some(Level::Specific(_)) => Some("Specific: can't make, edit or delete Keys and schedules".to_owned()),
            None => Some("you manage no Keys of this property".to_owned()),
        };
        match act {
            MATRIX => return shell.level().is_none().then(|| "you manage no Keys of this property".to_owned()),
            DELIVERIES if shell.is_portfolio_manager() == Some(false) => {
                return Some("opting in and out of deliveries is for Portfolio Managers".to_owned());
            }
            DELIVERIES => return None,
            NEW | SCHEDULES => return full,
            _ => {}
        }
        match (self.key(), shell.level()) {
            (None, _) => Some("there is no Key here to do that with".to_owned()),
            (Some(key), _) if key.system => Some(NOBODYS.to_owned()),
            (Some(_), None) => Some("you manage no Keys of this property".to_owned()),
            _ if matches!(act, EDIT | DUPLICATE | DELETE) => full,
            _ => None,
        }
    }

    fn enters(&self) -> Option<Act> {
        self.over.as_ref().and_then(|over| over.enters())
    }

    fn act(&mut self, action: Action, shell: &mut Shell) {
        if let Some(over) = &mut self.over {
            return over.act(action, shell);
        }
        let (list_height, page_height) = (height(shell), page_height(shell));
        match (action, &mut self.page) {
            (Action::Act(act @ (GIVE | REVOKE | MOVE)), _) => {
                let Some(holding) = self.holding(shell) else { return };
                match act {
                    GIVE => Holding { people: Vec::new(), ..holding }.give(shell),
                    REVOKE => holding.revoke(shell),
                    _ => holding.move_away(shell),
                }
            }
            (Action::Act(act), _) => self.do_act(act, shell),
            (Action::Open, None) => self.open(),
            (Action::NextPart, Some(page)) => {
                page.part = match page.part {
                    Part::People => Part::Doors,
                    Part::Doors => Part::Week,
                    Part::Week => Part::People,
                };
            }
            (Action::Mark, Some(page)) if page.part == Part::People => page.people.mark(page_height),
            (Action::Range, Some(page)) if page.part == Part::People => page.people.range(),
            (Action::Sort, None) => self.list.sort_next(KEY_SORTS, list_height),
            (Action::Sort, Some(page)) if page.part == Part::People => page.people.sort_next(1, page_height),
            (Action::Sort, Some(page)) => page.doors.sort_next(1, page_height),
            (Action::Mark | Action::Range, _) => shell.say("open a Key to mark the people who hold it"),
            _ => {}
        }
    }

    fn submitted(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        match &mut self.over {
            Some(over) => over.submitted(form, shell),
            None => holding::submitted(form, shell),
        }
    }

    fn step(&mut self, step: Step, shell: &mut Shell) {
        if let Some(over) = &mut self.over {
            return over.step(step, shell);
        }
        paged::step(&mut self.list, self.page.as_mut(), step, shell);
    }

    fn settle(&mut self, shell: &mut Shell) {
        if let Some(over) = &mut self.over {
            over.settle(shell);
        }
        paged::settle(&mut self.list, self.page.as_mut(), shell);
    }

    fn filtered(&self) -> &str {
        if let Some(over) = &self.over {
            return over.filtered();
        }
        paged::filtered(&self.needle, self.page.as_ref())
    }

    fn filter(&mut self, needle: &str, shell: &mut Shell) {
        if let Some(over) = &mut self.over {
            return over.filter(needle, shell);
        }
        let (list_height, page_height) = (height(shell), page_height(shell));
        match &mut self.page {
            None => {
                self.needle = needle.to_owned();
                self.list.filter(needle, list_height);
            }
            Some(page) => {
                page.needle = needle.to_owned();
                // What is hidden isn't searched: a filter that finds people would name them.
                page.people.filter(if shell.people_hidden { "" } else { needle }, page_height);
                page.doors.filter(needle, page_height);
            }
        }
    }

    fn has_rows(&self) -> bool {
        self.over.as_ref().is_none_or(|over| over.has_rows())
    }

    fn refilter(&mut self, shell: &mut Shell) {
        if let Some(over) = &mut self.over {
            over.refilter(shell);
        }
        // The list itself finds nobody.
        if let Some(page) = &mut self.page {
            page.people.filter(if shell.people_hidden { "" } else { &page.needle }, page_height(shell));
        }
    }

    fn kept(&self) -> Kept {
        Kept { sort: self.list.sort(), filter: self.needle.clone() }
    }

    fn sort_by(&mut self, sort: Option<usize>, shell: &mut Shell) {
        self.list.sort_by(sort, KEY_SORTS, height(shell));
    }

    fn back(&mut self, shell: &mut Shell) -> bool {
        if let Some(over) = &mut self.over {
            if !over.back(shell) {
                self.over = None;
            }
            return true;
        }
        self.page.take().is_some()
    }

    fn find(&mut self, name: &str, shell: &mut Shell) -> bool {
        if self.over.is_some() {
            return false;
        }
        self.page = None;
        self.filter(name, shell);
        true
    }

    fn unmark(&mut self) -> bool {
        if let Some(over) = &mut self.over {
            return over.unmark();
        }
        self.page.as_mut().is_some_and(|page| page.people.unmark())
    }

    fn marked(&self) -> usize {
        if let Some(over) = &self.over {
            return over.marked();
        }
        self.page.as_ref().map_or(0, |page| page.people.marked())
    }

    fn has_parts(&self) -> bool {
        if let Some(over) = &self.over {
            return over.has_parts();
        }
        self.page.is_some()
    }

    fn copied(&self, shell: &Shell) -> Option<String> {
        if let Some(over) = &self.over {
            return over.copied(shell);
        }
        match &self.page {
            None => self.key().map(|key| key.name.clone()),
            Some(page) if page.part != Part::People => page.doors.selected().map(|door| door.name.clone()),
            Some(_) if shell.people_hidden => None,
            Some(page) => page.people.selected().map(|row| format!("{} <{}>", row.name, row.email)),
        }
    }
}

impl Keys {
    fn ask_list(&mut self, property: PropertyId, shell: &mut Shell) {
        if let Some(rows) = self.list.wanted(height(shell))
            && let Some(ticket) = shell.ask(ScreenId::Keys, Request::Keys(property, rows))
        {
            self.list.asked(ticket);
        }
        if self.schedules_asked.is_none() {
            self.schedules_asked = shell.ask(ScreenId::Keys, Request::Schedules(property, Rows::all()));
        }
    }
}
