//! Screen 7: what was done and what was refused, by whom, when, from where, and what was another before.

use jiff::tz::TimeZone;
use keyward_protocol::{
    id::{PersonId, PropertyId},
    message::{
        audit::{Act as Done, ActedBy, AuditRow, AuditSearch},
        manage::{Answer, Overview, PersonDetail, Request},
    },
    name,
    time::Moment,
};

use super::{Screen, ScreenId, Shell, Step, UNTOLD};
use crate::{
    app::{
        Cursor, Dialog,
        explain::Asked,
        form::{Field, Form},
        history::End,
        jobs::What,
        log_filter::{self, Wanted},
        remembered::Kept,
    },
    keymap::{Act, Action, Binding, act, letter},
    remote::{Failure, Ticket},
    view::{
        self,
        layout::{Layout, Wants},
        painter::Painter,
        text::counted,
    },
};

const EXPORT: Act = Act("export");
const SAME: Act = Act("same person");

const BINDINGS: &[Binding] = &[
    act(&[letter('@')], "@", SAME, Some("same person"), "only what this person did; again: what everybody did"),
    act(&[letter('X')], "X", EXPORT, Some("export"), "write the whole trail to a file, as lines that are chained"),
];

/// Every table of its chords.
pub const TABLES: &[&[Binding]] = &[BINDINGS];

/// Rows of one page.
const PAGE: u32 = 200;
/// Rows of one page of an export.
const EXPORT_PAGE: u32 = 1_000;
/// So many rows are kept; then a narrower filter is asked for.
const KEPT_MAX: usize = 20_000;
/// So many pages in which nothing is wanted are gone through before somebody has to go on.
const EMPTY_PAGES_MAX: u32 = 40;
/// The server is asked so long after the last letter of a filter.
const SETTLES_MICROS: i64 = 300_000;
const TERMS: &str = "by: property: act: refused done since: from: until:";

/// What rows are wanted: `by:dana property:main act:key refused since:7d`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Each stands somewhere in the row.
    words: Vec<String>,
    by: Vec<Wanted>,
    properties: Vec<Wanted>,
    acts: Vec<String>,
    refused: Option<bool>,
    from: Option<Moment>,
    until: Option<Moment>,
    problem: Option<String>,
}

impl Filter {
    /// Reads what was typed. What can't be read is left out and told as a problem.
    pub fn parse(text: &str, now: Option<Moment>, zone: &TimeZone) -> Filter {
        let mut filter = Filter::default();
        for (term, quoted) in log_filter::terms(text) {
            let (about, value) = term.split_once(':').unwrap_or(("", &term));
            match (about.to_ascii_lowercase().as_str(), value) {
                // Still being typed.
                ("by" | "property" | "act" | "since" | "from" | "until", "") => {}
                ("by", value) => filter.by.push(Wanted::parse(value, quoted)),
                ("property", value) => filter.properties.push(Wanted::parse(value, quoted)),
                ("act", value) => filter.acts.push(name::fold(value)),
                ("since", value) => match (log_filter::ago(value), now) {
                    (Some(seconds), Some(now)) => filter.from = Some(now.plus_seconds(-seconds)),
                    _ => filter.problem = Some("write it like since:15m, 2h or 7d".to_owned()),
                },
                ("from", value) => match log_filter::moment(value, now, zone) {
                    Ok(at) => filter.from = Some(at),
                    Err(why) => filter.problem = Some(why),
                },
                ("until", value) => match log_filter::moment(value, now, zone) {
                    Ok(at) => filter.until = Some(at),
                    Err(why) => filter.problem = Some(why),
                },
                ("", "refused") if !quoted => filter.refused = Some(true),
                ("", "done") if !quoted => filter.refused = Some(false),
                _ => filter.words.push(name::fold(&term)),
            }
        }
        filter
    }

    /// The search as far as the server can do it; the rest is seen to row by row.
    fn search(&self, overview: Option<&Overview>, after: Option<Vec<u8>>) -> AuditSearch {
        let by = match self.by.as_slice() {
            [Wanted::Id(id)] => Some(PersonId(*id)),
            _ => None,
        };
        let rows = overview.into_iter().flat_map(|overview| &overview.properties);
        let wanted = |id: PropertyId, name: &str| self.properties.iter().any(|wanted| wanted.is(Some(id.0), name));
        let mut found = rows.filter(|row| wanted(row.id, &row.name)).map(|row| row.id);
        let property = found.next().filter(|_| found.next().is_none());
        AuditSearch {
            from: self.from.unwrap_or(Moment::MIN),
            until: self.until.unwrap_or(Moment::MAX),
            by,
            property,
            refused: self.refused,
            after,
            ..AuditSearch::newest(PAGE)
        }
    }

    /// Whether the row is wanted. Of rows only the act is searched while people are hidden.
    fn matches(&self, row: &AuditRow, shell: &Shell) -> bool {
        let hidden = shell.people_hidden;
        let property = property_name(row, shell);
        let by = |wanted: &Wanted| match (wanted, acted_id(row)) {
            (Wanted::Id(_), id) => wanted.is(id, ""),
            (_, id) => !hidden && wanted.is(id, &row.name),
        };
        let at = |wanted: &Wanted| wanted.is(row.property.map(|id| id.0), &property);
        let act = act_words(row.act);
        let facts = || {
            row.facts
                .iter()
                .flat_map(|fact| [Some(&fact.of), Some(&fact.what), fact.before.as_ref(), fact.after.as_ref()])
        };
        let holds = |word: &String| {
            let has = |text: &str| name::fold(text).contains(word);
            has(&act)
                || has(&property)
                || (!hidden && (has(&row.name) || row.refused.as_deref().is_some_and(has)))
                || (!hidden && facts().flatten().any(|text| has(text)))
        };
        (self.by.is_empty() || self.by.iter().any(by))
            && (self.properties.is_empty() || (row.property.is_some() && self.properties.iter().any(at)))
            && (self.acts.is_empty() || self.acts.iter().any(|wanted| act.contains(wanted)))
            && self.refused.is_none_or(|refused| row.refused.is_some() == refused)
            && self.words.iter().all(holds)
    }
}

/// The id of the person who did it.
pub fn acted_id(row: &AuditRow) -> Option<u32> {
    match row.by {
        ActedBy::Person(person) | ActedBy::Holder(person) => Some(person.0),
        ActedBy::Administrator | ActedBy::Clock | ActedBy::Lock(_) => None,
    }
}

/// The act in words: `key given`.
pub fn act_words(act: Done) -> String {
    let mut words = String::new();
    for c in format!("{act:?}").chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// The name of the property that it was about.
pub fn property_name(row: &AuditRow, shell: &Shell) -> String {
    let Some(id) = row.property else { return String::new() };
    let rows = shell.overview.iter().flat_map(|overview| &overview.properties);
    let found = rows.into_iter().find(|row| row.id == id);
    found.map_or_else(|| id.to_string(), |row| row.name.clone())
}

/// The screen.
#[derive(Clone, Debug)]
pub struct Audit {
    needle: String,
    filter: Filter,
    /// The newest first.
    rows: Vec<AuditRow>,
    older: End,
    /// What is here may be less than there is: the next page takes its place.
    stale: bool,
    searched_to: Option<Moment>,
    empty: u32,
    cursor: Cursor,
    /// The row under the cursor fills the screen, from this line on.
    open: Option<Cursor>,
    quiet_until: Option<Moment>,
    me: Asked<Box<PersonDetail>>,
}

impl Default for Audit {
    fn default() -> Audit {
        Audit {
            needle: String::new(),
            filter: Filter::default(),
            rows: Vec::new(),
            older: End::Open(None),
            stale: false,
            searched_to: None,
            empty: 0,
            cursor: Cursor::default(),
            open: None,
            quiet_until: None,
            me: Asked::Not,
        }
    }
}

impl Audit {
    /// The rows from the first that is seen, and the cursor among all of them.
    pub fn shown(&self) -> (impl Iterator<Item = &AuditRow>, Cursor) {
        (self.rows.iter().skip(self.cursor.top()), self.cursor)
    }

    /// The row under the cursor.
    pub fn selected(&self) -> Option<&AuditRow> {
        self.rows.get(self.cursor.at())
    }

    /// The first line of the row that fills the screen.
    pub fn open(&self) -> Option<usize> {
        self.open.map(|cursor| cursor.at())
    }

    /// What is said where there is no row.
    pub fn none(&self) -> &str {
        match &self.older {
            End::Stalled(_, why) => why,
            End::Over => "Nothing of this is in the trail.",
            End::Open(_) | End::Asked(..) => "...",
        }
    }

    fn restart(&mut self) {
        (self.older, self.stale, self.empty, self.searched_to) = (End::Open(None), true, 0, None);
    }

    fn go_on(&mut self) {
        self.empty = 0;
        if let End::Stalled(after, _) = &mut self.older {
            self.older = End::Open(after.take());
        }
    }
}

fn height(shell: &Shell) -> usize {
    view::rows_of(shell, Wants::RECORDED)
}

impl Screen for Audit {
    fn bindings(&self) -> &'static [Binding] {
        BINDINGS
    }

    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = vec!["Audit".to_owned()];
        crumbs.extend(self.open.map(|_| "row".to_owned()));
        crumbs
    }

    fn summary(&self, _: &Shell) -> Vec<String> {
        if self.rows.is_empty() && matches!(self.older, End::Asked(..)) {
            return vec![UNTOLD.to_owned()];
        }
        vec![counted(self.rows.len() as u64, "row here", "rows here")]
    }

    fn wants(&self) -> Wants {
        Wants::RECORDED
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        view::screen::audit::render(self, shell, layout, painter);
    }

    fn status(&self, shell: &Shell, _: bool) -> Vec<(String, bool)> {
        let mut said: Vec<(String, bool)> = self.filter.problem.iter().map(|why| (why.clone(), true)).collect();
        let to = self.searched_to.map_or_else(|| "...".to_owned(), |at| view::head::date(shell, at));
        said.push(match &self.older {
            End::Stalled(_, why) => (format!("{why}: move on to ask again"), true),
            _ if self.rows.len() >= KEPT_MAX => ("no more rows are kept here: filter them".to_owned(), true),
            _ if self.empty > EMPTY_PAGES_MAX => (format!("nothing back to {to}: PgDn goes on"), true),
            End::Asked(..) => (format!("looking, back to {to}"), false),
            End::Over => ("back to the beginning".to_owned(), false),
            End::Open(_) => ("more below".to_owned(), false),
        });
        said
    }

    fn ask(&mut self, shell: &mut Shell) {
        let Some(me) = shell.overview.as_ref().map(|overview| overview.me) else { return };
        self.me.ask(|| shell.ask(ScreenId::Audit, Request::Person(me)));
        let settled = match (self.quiet_until, shell.now) {
            (Some(until), Some(now)) => now >= until,
            _ => true,
        };
        let full = self.rows.len() >= KEPT_MAX && !self.stale;
        if !settled || full || self.empty > EMPTY_PAGES_MAX {
            return;
        }
        // The newest are asked for again when they are what is looked at.
        let near = self.stale || self.cursor.at() + 2 * height(shell).max(1) >= self.rows.len();
        if let End::Open(after) = &self.older
            && near
        {
            let after = after.clone();
            let search = self.filter.search(shell.overview.as_ref(), after.clone());
            if let Some(ticket) = shell.ask(ScreenId::Audit, Request::Audit(search)) {
                self.older = End::Asked(ticket, after);
            }
        }
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, Failure>, shell: &mut Shell) {
        let waits = matches!(&self.older, End::Asked(asked, _) if *asked == ticket);
        match answer {
            Ok(Answer::Person(found)) if self.me.expects(ticket) => self.me = Asked::Here(Box::new(found)),
            Err(failure) if self.me.expects(ticket) => self.me.take(Err(&failure)),
            Ok(Answer::Audit(page)) if waits => {
                if std::mem::take(&mut self.stale) {
                    self.rows.clear();
                }
                let rows: Vec<AuditRow> = page.rows.into_iter().filter(|row| self.filter.matches(row, shell)).collect();
                self.empty = if rows.is_empty() { self.empty + 1 } else { 0 };
                self.searched_to = page.searched_to;
                self.rows.extend(rows);
                self.older = page.next.map_or(End::Over, |next| End::Open(Some(next)));
                self.cursor.settle(self.rows.len(), height(shell));
            }
            Err(failure) if waits => {
                if let End::Asked(_, after) = &mut self.older {
                    self.older = End::Stalled(after.take(), failure.to_string());
                }
            }
            _ => {}
        }
    }

    fn refresh(&mut self, _: &mut Shell) {
        if matches!(self.me, Asked::Failed(_)) {
            self.me = Asked::Not;
        }
        // Who reads further down isn't disturbed: the newest are there again when they go to the first row.
        if self.cursor.at() == 0 && self.open.is_none() {
            self.restart();
        } else {
            self.go_on();
        }
    }

    // It is of all properties.
    fn forget(&mut self, _: &mut Shell) {}

    fn forbidden(&self, action: Action, shell: &Shell) -> Option<String> {
        match action {
            Action::Act(EXPORT) if shell.people_hidden => {
                let shows = shell.chord(ScreenId::Audit, Action::HidePeople);
                Some(format!("people are hidden, and the chained lines hold as they are: {shows} shows them"))
            }
            Action::Act(EXPORT) => match self.me.here().map(|me| me.row.portfolio_manager) {
                Some(true) => None,
                Some(false) => Some("only Portfolio Managers export the audit trail".to_owned()),
                None => Some("it is not known yet what you may do".to_owned()),
            },
            Action::Act(SAME) => match self.selected().map(acted_id) {
                Some(Some(_)) => None,
                _ => Some("no person did that".to_owned()),
            },
            _ => None,
        }
    }

    fn lacks(&self, action: Action) -> bool {
        matches!(action, Action::Range | Action::Mark | Action::Sort)
    }

    fn act(&mut self, action: Action, shell: &mut Shell) {
        match action {
            Action::Open => {
                self.open = match self.open {
                    None => self.selected().map(|_| Cursor::default()),
                    Some(_) => None,
                }
            }
            Action::Act(EXPORT) => {
                let fields = vec![Field::choice("What", &["all of it, as lines that are chained to each other"])];
                let mut form = Form::new(ScreenId::Audit, EXPORT, "EXPORT the audit trail", fields);
                form.button = "Write the file";
                shell.open(Dialog::Form(Box::new(form)));
            }
            Action::Act(SAME) => {
                if let Some(id) = self.selected().and_then(acted_id) {
                    let term = format!("by:#{id}");
                    let needle = match self.needle.contains(&term) {
                        true => self.needle.replace(&term, ""),
                        false => format!("{} {term}", self.needle),
                    };
                    self.filter(needle.trim(), shell);
                    self.quiet_until = None;
                }
            }
            _ => {}
        }
    }

    fn submitted(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        if form.act == EXPORT {
            shell.jobs.start("audit trail".to_owned(), What::Audit(Box::new(AuditSearch::export(EXPORT_PAGE))));
            shell.say("it is written in the background: `:jobs` shows how far it is");
        }
        Ok(())
    }

    fn step(&mut self, step: Step, shell: &mut Shell) {
        let lines = self.selected().map_or(0, |row| view::screen::audit::lines(row, shell).len());
        if let Some(cursor) = &mut self.open {
            let page = view::overlay_rows(shell, Wants::RECORDED);
            return cursor.step(step, (lines + 1).saturating_sub(page.max(1)).max(1), page);
        }
        self.go_on();
        self.cursor.step(step, self.rows.len(), height(shell));
        if step == Step::First {
            self.restart();
        }
    }

    fn settle(&mut self, shell: &mut Shell) {
        self.cursor.settle(self.rows.len(), height(shell));
        self.open = self.open.map(|_| Cursor::default());
    }

    fn filter_terms(&self) -> &'static str {
        TERMS
    }

    fn filtered(&self) -> &str {
        &self.needle
    }

    fn filter(&mut self, needle: &str, shell: &mut Shell) {
        self.filter = Filter::parse(needle, shell.now, shell.zone());
        self.needle = needle.to_owned();
        self.quiet_until = shell.now.map(|now| now.plus_micros(SETTLES_MICROS));
        self.rows.retain(|row| self.filter.matches(row, shell));
        self.cursor.put(0, self.rows.len(), height(shell));
        self.open = None;
        self.restart();
    }

    fn has_rows(&self) -> bool {
        self.open.is_none()
    }

    fn kept(&self) -> Kept {
        Kept { sort: None, filter: self.needle.clone() }
    }

    fn back(&mut self, _: &mut Shell) -> bool {
        self.open.take().is_some()
    }

    fn copied(&self, shell: &Shell) -> Option<String> {
        if shell.people_hidden {
            return None;
        }
        self.selected().map(AuditRow::line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_the_server_is_asked_for_what_it_can_do() {
        let now = crate::app::testing::noon();
        let parse = |text: &str| Filter::parse(text, Some(now), &TimeZone::UTC);
        let filter = parse("by:#7 refused since:1h Roof");
        let search = filter.search(None, None);
        assert_eq!((search.by, search.refused, search.from), (Some(PersonId(7)), Some(true), now.plus_seconds(-3_600)));
        assert_eq!((filter.words, search.property, search.act), (vec!["roof".to_owned()], None, None));
        assert_eq!(parse("by:dana by:lee").search(None, None).by, None, "names are looked for row by row");
        assert_eq!(parse("done").refused, Some(false));
        for (text, problem) in [("since:soon", "since:15m"), ("until:never", "is no moment")] {
            assert!(parse(text).problem.unwrap().contains(problem), "{text}");
        }
        assert_eq!(act_words(Done::PortfolioManagerSet), "portfolio manager set");
    }
}
