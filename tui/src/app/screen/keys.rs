//! Screen 1: the Keys of the property, one Key with its doors and holders, and giving, revoking and moving.

use std::collections::BTreeMap;

use keyward_protocol::{
    entry::{Command, Opening, Period, ScheduleRef},
    id::{KeyId, PersonId, PropertyId, ScheduleId},
    message::{
        manage::{Answer, HolderRow, KeyDetail, KeyOpens, KeyRow, Request, Rows},
        watch::Search,
    },
};

use super::{Screen, ScreenId, Shell, Step};
use crate::{
    app::{
        Dialog, LogRow, Named,
        form::{Field, Form, Pickable},
        list::List,
        review::{Review, Step as ReviewStep},
    },
    keymap::{Act, Action, Binding, act, letter},
    remote::{Failure, Ticket},
    view::{
        self,
        layout::{Layout, Wants},
        painter::Painter,
        text::grouped,
    },
};

const GIVE: Act = Act("give");
const REVOKE: Act = Act("revoke");
const MOVE: Act = Act("move");

const BINDINGS: &[Binding] = &[
    act(&[letter('g')], "g", GIVE, Some("give"), "give the Key to somebody"),
    act(&[letter('r')], "r", REVOKE, Some("revoke"), "revoke the Key; what would follow is shown first"),
    act(&[letter('m')], "m", MOVE, Some("move"), "move holders to another Key, codes kept where both have the door"),
];

/// How many sorts the list of Keys has: name, doors, people.
const KEY_SORTS: usize = 3;
const DELIVERIES: &str = "Deliveries is managed by the system: nobody gives, edits or deletes it";
const NEW_CODES: &str = "Deleted codes never come back: giving the Key again makes NEW ones.";

/// The screen.
#[derive(Clone, Debug)]
pub struct Keys {
    list: List<KeyRow>,
    needle: String,
    schedules: BTreeMap<ScheduleId, String>,
    schedules_asked: Option<Ticket>,
    detail: Option<Detail>,
    page: Option<Page>,
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

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            list: List::eager(),
            needle: String::new(),
            schedules: BTreeMap::new(),
            schedules_asked: None,
            detail: None,
            page: None,
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

    /// When an opening opens, in words.
    pub fn hours(&self, openings: &[Opening]) -> String {
        let words = openings.iter().map(|opening| {
            let hours = match opening.schedule {
                ScheduleRef::Always => "always".to_owned(),
                ScheduleRef::Named(id) => self.schedules.get(&id).cloned().unwrap_or_else(|| id.to_string()),
            };
            if opening.code { hours } else { format!("{hours} (no code)") }
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// Who an act is about: the holders that are marked or under the cursor, where holders are shown.
    fn holders(&self) -> Vec<(PersonId, String)> {
        let people = self.page.as_ref().filter(|page| page.part == Part::People).map(|page| page.people.chosen());
        people.unwrap_or_default().into_iter().map(|row| (row.person, row.name.clone())).collect()
    }

    fn give(&self, shell: &mut Shell) {
        let Some(key) = self.key() else { return };
        let fields = vec![
            Field::pick("Person", Pickable::People),
            Field::choice("May share", share_words(key)),
            Field::line("From", "at once; or 2026-12-01 08:00"),
            Field::line("Until", "without an end; or 2026-12-31"),
        ];
        let form = Form::new(ScreenId::Keys, GIVE, format!("GIVE \"{}\"", key.name), fields);
        shell.open(Dialog::Form(Box::new(form.about(key.id.0, &key.name))));
    }

    fn revoke(&self, shell: &mut Shell) {
        let Some(key) = self.key() else { return };
        let holders = self.holders();
        if holders.is_empty() {
            let fields = vec![Field::pick("From whom", Pickable::Holders(key.id))];
            let form = Form::new(ScreenId::Keys, REVOKE, format!("REVOKE \"{}\"", key.name), fields);
            shell.open(Dialog::Form(Box::new(form.about(key.id.0, &key.name))));
        } else {
            self.review_revoke(key, &holders, shell);
        }
    }

    fn review_revoke(&self, key: &KeyRow, holders: &[(PersonId, String)], shell: &mut Shell) {
        let steps = holders
            .iter()
            .map(|(person, name)| ReviewStep::new(name.clone(), Command::Revoke { key: key.id, person: *person }));
        let title = format!("REVOKE \"{}\" FROM {}", key.name, whom(holders, shell));
        let mut review = Review::new(ScreenId::Keys, title, steps.collect());
        review.about = NEW_CODES.to_owned();
        review.afterwards = format!("revoked \"{}\" from {}", key.name, whom(holders, shell));
        if let Some(form) = self.move_form(key, holders, shell) {
            review = review.or_rather("move to another Key instead: codes stay where both have the door", form);
        }
        if let [(person, _)] = holders {
            review = review.telling_kept(*person, key.id, shell);
        }
        shell.open(Dialog::Review(Box::new(review)));
    }

    fn move_form(&self, key: &KeyRow, holders: &[(PersonId, String)], shell: &Shell) -> Option<Form> {
        let property = shell.property?;
        let mut fields = vec![
            Field::pick("To Key", Pickable::Keys(property, Some(key.id))),
            Field::choice("May share", &["as the Key says", "yes", "no"]),
            Field::line("From", "at once; or 2026-12-01 08:00"),
            Field::line("Until", "without an end; or 2026-12-31"),
        ];
        let title = match holders {
            [] => format!("MOVE somebody FROM \"{}\"", key.name),
            some => format!("MOVE {} FROM \"{}\"", whom(some, shell), key.name),
        };
        if holders.is_empty() {
            fields.insert(0, Field::pick("Person", Pickable::Holders(key.id)));
        }
        let form = Form::new(ScreenId::Keys, MOVE, title, fields).about(key.id.0, &key.name);
        Some(holders.iter().fold(form, |form, (person, name)| form.about(person.0, name)))
    }

    fn given(&self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        let (key, key_name) = subject(form)?;
        let person = form.picked(0).ok_or("choose a person: type a part of the name, or the whole email")?;
        let may_share = share_chosen(form.choice(1));
        let period = period(form, 2, shell)?;
        let command = Command::Give { key, person: PersonId(person.id), may_share, period };
        let people = [(PersonId(person.id), person.name.clone())];
        let to = whom(&people, shell);
        let title = format!("GIVE \"{key_name}\" TO {to}");
        let mut review = Review::new(ScreenId::Keys, title, vec![ReviewStep::new(person.name.clone(), command)]);
        review.about = period_told(period, shell);
        review.afterwards = format!("gave \"{key_name}\" to {to}");
        shell.open(Dialog::Review(Box::new(review)));
        Ok(())
    }

    fn moved(&self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        let (from, from_name) = subject(form)?;
        let mut people: Vec<(PersonId, String)> =
            form.subject.iter().skip(1).map(|(id, name)| (PersonId(*id), name.clone())).collect();
        let mut first = 0;
        if people.is_empty() {
            let person = form.picked(0).ok_or("choose whom to move")?;
            people.push((PersonId(person.id), person.name.clone()));
            first = 1;
        }
        let to = form.picked(first).ok_or("choose the Key to move to")?;
        let may_share = share_chosen(form.choice(first + 1));
        let period = period(form, first + 2, shell)?;
        let step = |(person, name): &(PersonId, String)| {
            let command = Command::Move { person: *person, from, to: KeyId(to.id), may_share, period };
            ReviewStep::new(name.clone(), command)
        };
        let who = whom(&people, shell);
        let title = format!("MOVE {who}: \"{from_name}\" -> \"{}\"", to.name);
        let mut review = Review::new(ScreenId::Keys, title, people.iter().map(step).collect());
        review.about = "Given first, then revoked, in one step: codes stay where both have the door.".to_owned();
        review.afterwards = format!("moved {who} to \"{}\"", to.name);
        if let [(person, _)] = people.as_slice() {
            review = review.telling_kept(*person, from, shell);
        }
        shell.open(Dialog::Review(Box::new(review)));
        Ok(())
    }

    fn revoked(&self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        let (key, _) = subject(form)?;
        let person = form.picked(0).ok_or("choose from whom")?;
        let row = self.list.rows().iter().find(|row| row.id == key).ok_or("the Key is not there any more")?;
        self.review_revoke(row, &[(PersonId(person.id), person.name.clone())], shell);
        Ok(())
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
                self.schedules = list.rows.into_iter().map(|row| (row.id, row.name)).collect();
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

/// The word that pre-fills sharing says what the Key's default is.
fn share_words(key: &KeyRow) -> &'static [&'static str] {
    if key.may_share { &["as the Key says: yes", "yes", "no"] } else { &["as the Key says: no", "yes", "no"] }
}

fn share_chosen(choice: usize) -> Option<bool> {
    match choice {
        1 => Some(true),
        2 => Some(false),
        _ => None,
    }
}

fn subject(form: &Form) -> Result<(KeyId, String), String> {
    let (id, name) = form.subject.first().ok_or("the form is about no Key")?;
    Ok((KeyId(*id), name.clone()))
}

/// The period in two fields of a form, of which the first is `field`.
fn period(form: &Form, field: usize, shell: &Shell) -> Result<Period, String> {
    let zone = shell.property_zone();
    Ok(Period { from: form.moment(field, zone)?, until: form.moment(field + 1, zone)? })
}

/// A period with its offsets (S5).
fn period_told(period: Period, shell: &Shell) -> String {
    let told = |moment: keyward_protocol::time::Moment| moment.rfc3339(shell.property_zone());
    match (period.from, period.until) {
        (None, None) => "At once and without an end.".to_owned(),
        (Some(from), None) => format!("From {} on, without an end.", told(from)),
        (None, Some(until)) => format!("At once, until {}.", told(until)),
        (Some(from), Some(until)) => format!("From {} until {}.", told(from), told(until)),
    }
}

fn whom(people: &[(PersonId, String)], shell: &Shell) -> String {
    match people {
        [_] if shell.people_hidden => view::HIDDEN.to_owned(),
        [(_, name)] => name.clone(),
        some => format!("{} people", grouped(some.len() as u64)),
    }
}

fn height(shell: &Shell) -> usize {
    view::rows_of(shell, Wants::LIST)
}

fn page_height(shell: &Shell) -> usize {
    view::rows_of(shell, Wants::PAGE)
}

impl Screen for Keys {
    fn bindings(&self) -> &'static [Binding] {
        BINDINGS
    }

    fn crumbs(&self) -> Vec<String> {
        let name = self.key().map(|key| key.name.clone()).unwrap_or_default();
        match &self.page {
            None => vec!["Keys".to_owned()],
            Some(Page { part: Part::People, .. }) => vec!["Keys".to_owned(), name, "people".to_owned()],
            Some(Page { part: Part::Doors, .. }) => vec!["Keys".to_owned(), name, "doors".to_owned()],
        }
    }

    fn summary(&self, shell: &Shell) -> Vec<String> {
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
        if self.page.is_some() {
            return vec![format!("{shown}{}", grouped(counts.total))];
        }
        let here = self.list.rows();
        let held = here.iter().filter(|row| row.people > 0).count() as u64;
        let unused = here.iter().filter(|row| row.people == 0 && !row.system).count() as u64;
        let used = format!("{shown}{keys}  {} in use  {} unused", grouped(held), grouped(unused));
        vec![used, format!("{shown}{keys}")]
    }

    fn wants(&self) -> Wants {
        if self.page.is_some() { Wants::PAGE } else { Wants::LIST }
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        view::screen::keys::render(self, shell, layout, painter);
    }

    fn ask(&mut self, shell: &mut Shell) {
        let Some(property) = shell.property else { return };
        self.ask_list(property, shell);
        self.ask_page(shell);
        self.ask_detail(shell);
    }

    fn refresh(&mut self, _: &mut Shell) {
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

    fn forbidden(&self, action: Action, shell: &Shell) -> Option<String> {
        let Action::Act(_) = action else { return None };
        match (self.key(), shell.level()) {
            (None, _) => Some("there is no Key here to do that with".to_owned()),
            (Some(key), _) if key.system => Some(DELIVERIES.to_owned()),
            (Some(_), None) => Some("you manage no Keys of this property".to_owned()),
            _ => None,
        }
    }

    fn act(&mut self, action: Action, shell: &mut Shell) {
        let (list_height, page_height) = (height(shell), page_height(shell));
        match (action, &mut self.page) {
            (Action::Act(GIVE), _) => self.give(shell),
            (Action::Act(REVOKE), _) => self.revoke(shell),
            (Action::Act(MOVE), _) => {
                let holders = self.holders();
                if let Some(form) = self.key().and_then(|key| self.move_form(key, &holders, shell)) {
                    shell.open(Dialog::Form(Box::new(form)));
                }
            }
            (Action::Open, None) => self.open(),
            (Action::NextPart, Some(page)) => {
                page.part = if page.part == Part::People { Part::Doors } else { Part::People };
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
        match form.act {
            GIVE => self.given(form, shell),
            REVOKE => self.revoked(form, shell),
            MOVE => self.moved(form, shell),
            _ => Ok(()),
        }
    }

    fn step(&mut self, step: Step, shell: &mut Shell) {
        let height = page_height(shell);
        match &mut self.page {
            None => self.list.step(step, self::height(shell)),
            Some(page) if page.part == Part::People => page.people.step(step, height),
            Some(page) => page.doors.step(step, height),
        }
    }

    fn settle(&mut self, shell: &mut Shell) {
        self.list.settle(height(shell));
        if let Some(page) = &mut self.page {
            page.people.settle(page_height(shell));
            page.doors.settle(page_height(shell));
        }
    }

    fn filtered(&self) -> &str {
        self.page.as_ref().map_or(&self.needle, |page| &page.needle)
    }

    fn filter(&mut self, needle: &str, shell: &mut Shell) {
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

    fn back(&mut self, _: &mut Shell) -> bool {
        self.page.take().is_some()
    }

    fn unmark(&mut self) -> bool {
        self.page.as_mut().is_some_and(|page| page.people.unmark())
    }

    fn marked(&self) -> usize {
        self.page.as_ref().map_or(0, |page| page.people.marked())
    }

    fn has_parts(&self) -> bool {
        self.page.is_some()
    }

    fn copied(&self, shell: &Shell) -> Option<String> {
        match &self.page {
            None => self.key().map(|key| key.name.clone()),
            Some(page) if page.part == Part::Doors => page.doors.selected().map(|door| door.name.clone()),
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
