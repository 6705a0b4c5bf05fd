//! Screen 2: the people of the property or of the portfolio, and one of them with Keys, guests and door codes.

mod acts;
mod page;

use keyward_protocol::{
    entry::{Level, Refusal},
    id::{KeyId, PersonId},
    message::{
        manage::{Answer, PersonDetail, PersonRow, Request, Revealed, Rows},
        watch::Search,
    },
};

use self::acts::{BINDINGS, CODE, DELETE, EDIT, END_SHARE, FIND, RENEW, SUSPEND, TOKEN};
pub use self::{
    acts::{EVERYBODY, NEW},
    page::{Page, Part, Shared},
};
use super::{
    Screen, ScreenId, Shell, Step, UNTOLD,
    holding::{self, GIVE, MOVE, REVOKE, SHARE},
    paged::{self, height, page_height},
};
use crate::{
    app::{LogRow, Named, form::Form, list::List, remembered::Kept},
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
/// How many sorts the list of people has: name, Keys.
const SORTS: usize = 2;

/// The screen.
#[derive(Clone, Debug, Default)]
pub struct People {
    list: List<PersonRow>,
    /// Everybody of the portfolio is listed, not only who holds something in the property.
    everybody: bool,
    needle: String,
    detail: Option<Detail>,
    page: Option<Page>,
    /// The names of Keys that people are guests of.
    keys: Vec<(KeyId, String)>,
    keys_asked: Option<Ticket>,
    /// A code on its way, and one that is shown: until the next chord.
    revealing: Option<Ticket>,
    revealed: Option<Revealed>,
    /// A token that is being made up, with what it is for.
    /// As the shell has it: crumbs are told without it.
    hidden: bool,
}

/// What was asked about the person under the cursor, or the one that is open.
#[derive(Clone, Debug)]
pub struct Detail {
    person: PersonId,
    asked: [Option<Ticket>; 2],
    /// The person, once they were told.
    pub facts: Option<PersonDetail>,
    /// The newest unlock; `Some(None)`: none is known.
    pub last: Option<Option<LogRow>>,
}

impl People {
    /// The people.
    pub fn list(&self) -> &List<PersonRow> {
        &self.list
    }

    /// Whether everybody of the portfolio is listed.
    pub fn is_of_everybody(&self) -> bool {
        self.everybody
    }

    /// The person that is open.
    pub fn page(&self) -> Option<&Page> {
        self.page.as_ref()
    }

    /// The person that is open, else the one under the cursor.
    pub fn person(&self) -> Option<&PersonRow> {
        match &self.page {
            Some(page) => Some(&page.person),
            None => self.list.selected(),
        }
    }

    /// What is known of that person.
    pub fn detail(&self) -> Option<&Detail> {
        let person = self.person()?;
        self.detail.as_ref().filter(|detail| detail.person == person.id)
    }

    /// A code that is shown until the next chord.
    pub fn revealed(&self) -> Option<&Revealed> {
        self.revealed.as_ref()
    }

    fn open(&mut self) {
        let Some(row) = self.list.selected() else { return };
        let mut page = Page::of(row.clone());
        if let Some(facts) = self.detail().and_then(|detail| detail.facts.as_ref()) {
            page.take(facts, &self.keys, 0);
        }
        self.page = Some(page);
    }

    fn ask_list(&mut self, shell: &mut Shell) {
        let property = if self.everybody { None } else { shell.property };
        if let Some(rows) = self.list.wanted(height(shell))
            && let Some(ticket) = shell.ask(ScreenId::People, Request::People(property, rows))
        {
            self.list.asked(ticket);
        }
    }

    fn ask_detail(&mut self, shell: &mut Shell) {
        let Some(person) = self.person().map(|row| row.id) else { return };
        // One at a time: who runs through the list needs none of those passed by.
        let waits = self.detail.as_ref().is_some_and(|detail| detail.asked.iter().any(Option::is_some));
        if waits || self.detail.as_ref().is_some_and(|detail| detail.person == person) {
            return;
        }
        let last = Search { person: Some(person), granted: Some(true), ..Search::newest(1) };
        let facts = shell.ask(ScreenId::People, Request::Person(person));
        let last = facts.and_then(|_| shell.ask(ScreenId::People, Request::Search(last)));
        if facts.is_some() {
            self.detail = Some(Detail { person, asked: [facts, last], facts: None, last: None });
        }
    }

    /// The names of the property's Keys, where a guest's Key would have none.
    fn ask_keys(&mut self, shell: &mut Shell) {
        let guest = self.page.as_ref().is_some_and(|page| !page.guest_of.rows().is_empty());
        if guest
            && self.keys_asked.is_none()
            && let Some(property) = shell.property
        {
            self.keys_asked = shell.ask(ScreenId::People, Request::Keys(property, Rows::all()));
        }
    }

    fn took(&mut self, ticket: Ticket, answer: Answer, shell: &Shell) {
        match answer {
            Answer::People(list) if self.list.expects(ticket) => self.list.receive(list, height(shell)),
            Answer::Keys(list) if self.keys_asked == Some(ticket) => {
                self.keys = list.rows.into_iter().map(|row| (row.id, row.name)).collect();
                self.fill_page(shell);
            }
            Answer::Person(person) => {
                if let Some(mine) = self.detail.as_mut().filter(|mine| mine.asked[0] == Some(ticket)) {
                    mine.asked[0] = None;
                    mine.facts = Some(person);
                    self.fill_page(shell);
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
            Answer::Revealed(code) if self.revealing == Some(ticket) => {
                (self.revealing, self.revealed) = (None, Some(code));
            }
            _ => {}
        }
    }

    fn fill_page(&mut self, shell: &Shell) {
        let facts = self.detail.as_ref().and_then(|detail| detail.facts.as_ref());
        if let (Some(page), Some(facts)) = (&mut self.page, facts)
            && page.person.id == facts.row.id
        {
            page.take(facts, &self.keys, page_height(shell));
        }
    }

    fn failed(&mut self, ticket: Ticket, failure: &Failure) {
        if self.list.expects(ticket) {
            self.list.failed();
        }
        if self.revealing == Some(ticket) {
            self.revealing = None;
        }
        if let Some(detail) = &mut self.detail {
            // Who is not there any more, or not for us, can't stay open.
            let gone = matches!(failure, Failure::Refused(Refusal::NotFound(_)));
            if gone && detail.asked[0] == Some(ticket) {
                self.page = None;
            }
            detail.asked.iter_mut().for_each(|asked| *asked = asked.filter(|asked| *asked != ticket));
        }
    }
}

impl Screen for People {
    fn bindings(&self) -> &'static [Binding] {
        BINDINGS
    }

    fn is_deep(&self) -> bool {
        self.page.is_some()
    }

    fn crumbs(&self) -> Vec<String> {
        match &self.page {
            None if self.everybody => vec!["People".to_owned(), "everybody".to_owned()],
            None => vec!["People".to_owned()],
            Some(page) => {
                let name = if self.hidden { view::HIDDEN.to_owned() } else { page.person.name.clone() };
                vec!["People".to_owned(), name, page.part.name().to_owned()]
            }
        }
    }

    fn summary(&self, _: &Shell) -> Vec<String> {
        if let Some(page) = &self.page {
            return page.summary();
        }
        if self.list.is_unknown() {
            return vec![UNTOLD.to_owned()];
        }
        let counts = self.list.counts();
        let people = match counts.total {
            1 => "1 person".to_owned(),
            some => format!("{} people", grouped(some)),
        };
        if self.needle.is_empty() { vec![people] } else { vec![format!("{} shown of {people}", grouped(counts.shown))] }
    }

    fn wants(&self) -> Wants {
        if self.page.is_some() { Wants::PAGE } else { Wants::LIST }
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        view::screen::people::render(self, shell, layout, painter);
    }

    fn ask(&mut self, shell: &mut Shell) {
        self.hidden = shell.people_hidden;
        if shell.property.is_none() {
            return;
        }
        self.ask_list(shell);
        self.ask_detail(shell);
        self.ask_keys(shell);
    }

    fn refresh(&mut self, _: &mut Shell) {
        self.list.refresh();
        (self.detail, self.keys_asked) = (None, None);
    }

    fn forget(&mut self, _: &mut Shell) {
        let mut list = std::mem::take(&mut self.list);
        list.restart();
        *self = People { list, everybody: self.everybody, hidden: self.hidden, ..People::default() };
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, Failure>, shell: &mut Shell) {
        match answer {
            Ok(answer) => self.took(ticket, answer, shell),
            Err(failure) => {
                self.failed(ticket, &failure);
                if let Failure::Refused(_) | Failure::Unreadable(_) = failure {
                    shell.warn(failure.to_string());
                }
            }
        }
    }

    fn pressed(&mut self, _: &mut Shell) {
        (self.revealing, self.revealed) = (None, None);
    }

    fn forbidden(&self, action: Action, shell: &Shell) -> Option<String> {
        let Action::Act(act) = action else { return None };
        if matches!(act, NEW | EVERYBODY) {
            return None;
        }
        let not_ours = |what: &str| Some(format!("{what} is for Portfolio Managers"));
        let only_portfolio = shell.is_portfolio_manager() == Some(false);
        let no_level = shell.level().is_none().then(|| "you manage no Keys of this property".to_owned());
        if matches!(act, FIND) {
            return no_level;
        }
        if self.person().is_none() {
            return Some("there is nobody here to do that with".to_owned());
        }
        match act {
            GIVE | REVOKE | MOVE => no_level,
            SHARE | END_SHARE => no_level.or_else(|| self.cant_share(act, shell)),
            SUSPEND if only_portfolio => not_ours("suspending and resuming"),
            DELETE if only_portfolio => not_ours("deleting a person"),
            RENEW if only_portfolio => not_ours("renewing somebody's mobile identity"),
            EDIT if only_portfolio && matches!(shell.level(), Some(Level::Specific(_))) => {
                Some("Specific: contact data is seen, not edited".to_owned())
            }
            CODE => self.cant_reveal(shell),
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
            (Action::Mark, Some(page)) => page.mark(page_height),
            (Action::Range, None) => self.list.range(),
            (Action::Range, Some(page)) => page.range(),
            (Action::Sort, None) => self.list.sort_next(SORTS, list_height),
            (Action::Sort, Some(page)) => page.sort(page_height),
            _ => {}
        }
    }

    fn submitted(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        match form.act {
            NEW | EDIT => self.contact(form, shell),
            TOKEN => self.invite(form, shell),
            _ => holding::submitted(form, shell),
        }
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
                // What is hidden isn't searched: a filter that finds people would name them.
                self.list.filter(if shell.people_hidden { "" } else { needle }, height(shell));
            }
            Some(page) => page.filter(needle, shell.people_hidden, page_height(shell)),
        }
    }

    fn refilter(&mut self, shell: &mut Shell) {
        self.list.filter(if shell.people_hidden { "" } else { &self.needle }, height(shell));
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

    fn find(&mut self, name: &str, shell: &mut Shell) -> bool {
        self.page = None;
        self.filter(name, shell);
        true
    }

    fn unmark(&mut self) -> bool {
        match &mut self.page {
            None => self.list.unmark(),
            Some(page) => page.unmark(),
        }
    }

    fn marked(&self) -> usize {
        self.page.as_ref().map_or_else(|| self.list.marked(), Page::marked)
    }

    fn has_parts(&self) -> bool {
        self.page.is_some()
    }

    fn copied(&self, shell: &Shell) -> Option<String> {
        match &self.page {
            Some(page) if matches!(page.part, Part::Keys | Part::Codes) => page.copied(),
            _ if shell.people_hidden => None,
            Some(page) => page.copied(),
            None => self.person().map(|row| format!("{} <{}>", row.name, row.email)),
        }
    }
}
