//! Screen 4: the access log as it is written and as it was recorded, and why a line came out as it did.

use crossterm::event::KeyCode;
use keyward_protocol::{
    id::{DoorId, PersonId},
    message::manage::Answer,
    time::Moment,
};

use super::{
    Screen, ScreenId, Shell, Step,
    holding::{GIVE, Holding},
};
use crate::{
    app::{
        Dialog, LogRow,
        explain::Explain,
        export::{self, Format},
        form::{Field, Filled, Form, Offer, Pickable},
        histogram::{self, By, Counted, Histogram},
        history::Past,
        jobs::What,
        log_filter::{self, LogFilter},
        remembered::Kept,
    },
    keymap::{Act, Action, Binding, act, letter, plain, write},
    remote::{Failure, Ticket},
    view::{
        self,
        layout::{Layout, Wants},
        painter::Painter,
        text::grouped,
    },
};

const PAUSE: Act = Act("pause");
const LIVE: Act = Act("live");
const JUMP: Act = Act("jump");
/// Why somebody can or can't open a door: other screens have it, too.
pub const EXPLAIN: Act = Act("explain");
const NEXT_DENIED: Act = Act("next denied");
const LAST_DENIED: Act = Act("last denied");
const SAME_DOOR: Act = Act("same door");
const SAME_PERSON: Act = Act("same person");
const MARK: Act = Act("mark");
const EXPORT: Act = Act("export");
const HISTOGRAM: Act = Act("histogram");
const COUNT_BY: Act = Act("count by");
const ONLY: Act = Act("only these");
const WHO: Act = Act("who");
const OTHER_TIME: Act = Act("other time");
const PERSON: Act = Act("person");
const KEY: Act = Act("key");

const ROW_JUMP: Binding = act(&[letter('T')], "T", JUMP, Some("history"), "the log as it was recorded, around a time");
const ROW_EXPLAIN: Binding =
    act(&[letter('x')], "x", EXPLAIN, Some("explain"), "why the line under the cursor came out as it did");
const ROW_NEXT_DENIED: Binding = act(&[letter('e')], "e", NEXT_DENIED, Some("denied"), "the next denied check");
const ROW_LAST_DENIED: Binding = act(&[letter('E')], "E", LAST_DENIED, None, "the denied check before");
const ROW_SAME_DOOR: Binding = act(&[letter('=')], "=", SAME_DOOR, Some("door"), "only this door; again: all doors");
const ROW_SAME_PERSON: Binding =
    act(&[letter('@')], "@", SAME_PERSON, Some("person"), "only this person; again: everybody");
const ROW_MARK: Binding = act(&[letter('m')], "m", MARK, None, "mark the line, to copy or export it");
const ROW_EXPORT: Binding =
    act(&[letter('X')], "X", EXPORT, Some("export"), "write the lines to a file: CSV or JSON Lines");

const ROW_HISTOGRAM: Binding =
    act(&[letter('i')], "i", HISTOGRAM, None, "what was denied in bars: by reason, by door, by person, by hour");

const LIVE_BINDINGS: &[Binding] = &[
    act(&[letter(' ')], "Space", PAUSE, Some("pause"), "stop the live log, or follow it again"),
    ROW_EXPLAIN,
    ROW_JUMP,
    ROW_NEXT_DENIED,
    ROW_LAST_DENIED,
    ROW_SAME_DOOR,
    ROW_SAME_PERSON,
    ROW_EXPORT,
    ROW_MARK,
    ROW_HISTOGRAM,
];
const PAST_BINDINGS: &[Binding] = &[
    act(&[letter(' ')], "Space", LIVE, Some("live"), "back to the live log"),
    ROW_EXPLAIN,
    ROW_JUMP,
    ROW_NEXT_DENIED,
    ROW_LAST_DENIED,
    ROW_SAME_DOOR,
    ROW_SAME_PERSON,
    ROW_EXPORT,
    ROW_MARK,
    ROW_HISTOGRAM,
];
const HISTOGRAM_BINDINGS: &[Binding] = &[
    act(&[plain(KeyCode::Enter)], "Enter", ONLY, Some("only these"), "the rows of the bar under the cursor alone"),
    act(&[plain(KeyCode::Tab)], "Tab", COUNT_BY, Some("count by another"), "count by door, person, hour, reason again"),
    act(&[letter('i')], "i", HISTOGRAM, Some("rows"), "the rows again"),
];
const EXPLAIN_BINDINGS: &[Binding] = &[
    act(&[plain(KeyCode::Tab)], "Tab", WHO, Some("who can open it"), "who can open the door then, or why again"),
    act(&[letter('T')], "T", OTHER_TIME, Some("another time"), "the same at another time"),
    write(
        &[letter('g')],
        "g",
        GIVE,
        Some("give"),
        "give this person a Key; one that would have opened is chosen first",
    ),
    act(&[letter('o')], "o", PERSON, Some("person"), "this person, among the people"),
    act(&[letter('K')], "K", KEY, Some("Key"), "the Key that decides, among the Keys"),
];

/// Every table of its chords.
pub const TABLES: &[&[Binding]] = &[LIVE_BINDINGS, PAST_BINDINGS, EXPLAIN_BINDINGS, HISTOGRAM_BINDINGS];

/// The server is asked so long after the last letter of a filter.
const SETTLES_MICROS: i64 = 300_000;

/// The screen. Live rows are the shell's, since the strip beside other screens shows them too.
#[derive(Clone, Debug, Default)]
pub struct LogScreen {
    needle: String,
    filter: LogFilter,
    /// The row under the cursor fills the screen.
    open: bool,
    past: Option<Past>,
    /// Nothing is asked before this.
    quiet_until: Option<Moment>,
    explain: Option<Explain>,
    histogram: Option<Histogram>,
    /// How many live rows are marked; [`Screen::unmark`] is heard of by the shell's rows in [`Screen::ask`].
    live_marks: usize,
    unmarked: bool,
}

impl LogScreen {
    /// Whether the row under the cursor fills the screen.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// What is explained.
    pub fn explained(&self) -> Option<&Explain> {
        self.explain.as_ref()
    }

    /// What was denied, in bars.
    pub fn histogram(&self) -> Option<&Histogram> {
        self.histogram.as_ref()
    }

    /// What those bars count: of people nothing while they are hidden.
    pub fn counted(&self, shell: &Shell) -> Counted {
        match (&self.histogram, &self.past) {
            (None, _) => Counted::default(),
            (Some(open), _) if open.by == By::Person && shell.people_hidden => Counted::default(),
            (Some(open), Some(past)) => histogram::counted(past.rows(), open.by, shell.zone()),
            (Some(open), None) => histogram::counted(shell.feed.logs.wanted_from(0), open.by, shell.zone()),
        }
    }

    /// The log as it was recorded, where that is shown.
    pub fn past(&self) -> Option<&Past> {
        self.past.as_ref()
    }

    /// The line under the cursor.
    pub fn selected<'a>(&'a self, shell: &'a Shell) -> Option<&'a LogRow> {
        match &self.past {
            Some(past) => past.selected(),
            None => shell.feed.logs.selected(),
        }
    }

    fn height(&self, shell: &Shell) -> usize {
        view::rows_of(shell, self.wants())
    }

    fn marked_rows<'a>(&'a self, shell: &'a Shell) -> Vec<&'a LogRow> {
        match &self.past {
            Some(past) => past.marked().collect(),
            None => shell.feed.logs.marked().collect(),
        }
    }

    /// Wants other rows from now on.
    fn want(&mut self, needle: String, shell: &mut Shell) {
        self.filter = LogFilter::parse(&needle, shell.now, shell.zone());
        self.needle = needle;
        let (height, hidden) = (self.height(shell), shell.people_hidden);
        shell.feed.logs.want(self.filter.clone(), hidden, height);
        if let Some(past) = &mut self.past {
            *past = Past::new(shell.property, past.anchor, self.filter.clone(), hidden);
        }
    }

    /// Adds a term to the filter, or takes it out where it stands there already.
    fn toggle(&mut self, term: &str, shell: &mut Shell) {
        let needle = match self.needle.contains(term) {
            true => self.needle.replace(term, " "),
            false => format!("{} {term}", self.needle),
        };
        self.want(needle.trim().replace("  ", " "), shell);
    }

    /// Wants the rows of the bar under the cursor alone, and shows them.
    fn narrow(&mut self, shell: &mut Shell) {
        let counted = self.counted(shell);
        let bar = self.histogram.as_ref().and_then(|open| open.selected(&counted.bars));
        let Some(term) = bar.and_then(|bar| bar.term.clone()) else { return };
        let mut needle = self.needle.clone();
        for term in ["deny", &term] {
            if !needle.contains(term) {
                needle = format!("{needle} {term}").trim().to_owned();
            }
        }
        self.histogram = None;
        self.want(needle, shell);
    }

    fn on_histogram(&mut self, action: Action, shell: &mut Shell) {
        match (action, &mut self.histogram) {
            (Action::Act(ONLY), _) => self.narrow(shell),
            (Action::Act(COUNT_BY), Some(open)) => open.turn(),
            (Action::Act(HISTOGRAM), open) => *open = None,
            _ => {}
        }
    }

    fn jump(&mut self, at: Option<Moment>, shell: &mut Shell) {
        let Some(anchor) = at.or(shell.now) else { return };
        self.past = Some(Past::new(shell.property, anchor, self.filter.clone(), shell.people_hidden));
        self.quiet_until = None;
        self.open = false;
    }

    fn seek(&mut self, forwards: bool, shell: &mut Shell) {
        let height = self.height(shell);
        let denied = |row: &LogRow| !row.granted;
        let found = match &mut self.past {
            Some(past) => past.seek(forwards, denied, height),
            None => shell.feed.logs.seek(forwards, denied, height),
        };
        if !found {
            shell.say(if forwards {
                "nothing was denied after this"
            } else {
                "nothing was denied before this, as far as is here"
            });
        }
    }

    fn export_form(&self, shell: &mut Shell) {
        let marked = self.marked();
        let what: Vec<&'static str> = match (marked, &self.past) {
            (0, None) => vec!["the rows kept that the filter leaves"],
            (0, Some(_)) => vec!["all that was recorded and the filter leaves"],
            (_, None) => vec!["the marked rows", "the rows kept that the filter leaves"],
            (_, Some(_)) => vec!["the marked rows", "all that was recorded and the filter leaves"],
        };
        let fields = vec![Field::choice("What", &what), Field::choice("As", &["CSV, for spreadsheets", "JSON Lines"])];
        let mut form = Form::new(ScreenId::Logs, EXPORT, "EXPORT the access log", fields);
        form.button = "Write the file";
        shell.open(Dialog::Form(Box::new(form)));
    }

    fn export(&self, form: &Form, shell: &mut Shell) {
        let format = if form.choice(1) == 0 { Format::Csv } else { Format::JsonLines };
        let (zone, people_hidden) = (shell.zone().clone(), shell.people_hidden);
        let marked: Vec<LogRow> = match form.choice(0) {
            0 => self.marked_rows(shell).into_iter().cloned().collect(),
            _ => Vec::new(),
        };
        let title = format!("log of {}", shell.property_row().map_or("", |row| &row.name));
        let line = |row: &LogRow| format.line(row, &zone, people_hidden);
        match &self.past {
            _ if !marked.is_empty() => shell.jobs.write(title, format, marked.iter(), line),
            None => {
                let Shell { jobs, feed, .. } = shell;
                jobs.write(title, format, feed.logs.wanted_from(0), line);
            }
            Some(past) => {
                let (search, filter) = past.export();
                let (search, filter) = (Box::new(search), Box::new(filter));
                let what = What::Log { search, filter, format, zone: zone.clone(), people_hidden };
                shell.jobs.start(title, what);
            }
        }
        shell.say("it is written in the background: `:jobs` shows how far it is");
    }

    /// Opens the form that asks who and which door, with what was typed already.
    pub fn ask_explain(shell: &mut Shell, typed: &str) {
        let terms = log_filter::terms(typed);
        let mut words = terms.iter().map(|(term, _)| term.as_str());
        let (person, door) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let at = words.collect::<Vec<_>>().join(" ");
        let (person, door) = (person.to_owned(), door.to_owned());
        open_explain(shell, |field| field.typed(&person), |field| field.typed(&door), false, &at);
    }

    /// The same with what another screen is at filled in; the focus is on what is still to be chosen.
    pub fn ask_explain_of(shell: &mut Shell, known: Known) {
        let fill = |known: Option<Offer>| {
            move |field: Field| match known {
                Some(offer) => field.with(Filled::Offer(offer)),
                None => field,
            }
        };
        let at = known.at.map(|at| at.rfc3339(shell.zone())).unwrap_or_default();
        open_explain(shell, fill(known.person), fill(known.door), known.by_code, &at);
    }

    fn explain_asked(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        let person = form.picked(0).ok_or("choose a person: type a part of the name")?;
        let door = form.picked(1).ok_or("choose a door: type a part of its name")?;
        let at = time(form.text(3), shell)?;
        let (person, door) = ((PersonId(person.id), person.name.clone()), (DoorId(door.id), door.name.clone()));
        self.explain = Some(Explain::new(person, door, form.choice(2) == 1, at));
        shell.go(ScreenId::Logs);
        Ok(())
    }

    fn on_explain(&mut self, action: Action, shell: &mut Shell) {
        match (action, &mut self.explain) {
            (Action::Act(WHO), Some(explain)) => explain.turn(),
            (Action::Act(GIVE), Some(explain)) => {
                let Some(property) = shell.property else { return };
                let people = vec![explain.person.clone()];
                let rather = explain.told().and_then(|told| told.would_open.first()).map(|key| Offer {
                    id: key.id.0,
                    name: key.name.clone(),
                    note: String::new(),
                });
                Holding { owner: ScreenId::People, property, key: None, people }.give_rather(rather, shell);
            }
            (Action::Act(PERSON), Some(explain)) => shell.go_to(ScreenId::People, &explain.person.1),
            (Action::Act(KEY), Some(explain)) => {
                if let Some(key) = explain.key() {
                    shell.go_to(ScreenId::Keys, &key.name);
                }
            }
            (Action::Act(OTHER_TIME), _) => {
                let fields = vec![Field::line("When", "now; or 2026-12-01 08:00")];
                let mut form = Form::new(ScreenId::Logs, OTHER_TIME, "EXPLAIN the same at another time", fields);
                form.button = "Explain";
                shell.open(Dialog::Form(Box::new(form)));
            }
            _ => {}
        }
    }
}

/// What a screen knows already of what is to be explained.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Who.
    pub person: Option<Offer>,
    /// Which door.
    pub door: Option<Offer>,
    /// By their door code.
    pub by_code: bool,
    /// When; `None` for now.
    pub at: Option<Moment>,
}

/// Opens the form for an explanation, with its pickers as they are filled.
fn open_explain(
    shell: &mut Shell,
    person: impl FnOnce(Field) -> Field,
    door: impl FnOnce(Field) -> Field,
    by_code: bool,
    at: &str,
) {
    let Some(property) = shell.property else { return shell.warn("there is no property") };
    let fields = vec![
        person(Field::pick("Person", Pickable::People)),
        door(Field::pick("Door", Pickable::Doors(property))),
        Field::choice("With", &["phone or card", "door code"]).with(Filled::Word(usize::from(by_code))),
        Field::line("When", "now; or 2026-12-01 08:00").typed(at),
    ];
    let mut form = Form::new(ScreenId::Logs, EXPLAIN, "EXPLAIN why somebody can or can't open a door", fields);
    form.button = "Explain";
    shell.open(Dialog::Form(Box::new(form.at_first_unpicked())));
}

/// A time as it was typed; `None` where nothing was.
fn time(text: &str, shell: &Shell) -> Result<Option<Moment>, String> {
    match text {
        "" | "now" => Ok(None),
        text => match (log_filter::ago(text), shell.now) {
            (Some(seconds), Some(now)) => Ok(Some(now.plus_seconds(-seconds))),
            _ => log_filter::moment(text, shell.now, shell.zone()).map(Some),
        },
    }
}

impl Screen for LogScreen {
    fn bindings(&self) -> &'static [Binding] {
        match (&self.explain, &self.past) {
            (Some(_), _) => EXPLAIN_BINDINGS,
            _ if self.histogram.is_some() => HISTOGRAM_BINDINGS,
            (None, Some(_)) => PAST_BINDINGS,
            (None, None) => LIVE_BINDINGS,
        }
    }

    fn crumbs(&self) -> Vec<String> {
        let page = match (&self.explain, &self.past) {
            (Some(_), _) => "explain",
            _ if self.histogram.is_some() => "histogram",
            _ if self.open => "row",
            (None, Some(_)) => "history",
            (None, None) => "live",
        };
        vec!["Logs".to_owned(), page.to_owned()]
    }

    fn is_deep(&self) -> bool {
        self.explain.is_some() || self.histogram.is_some() || self.open || self.past.is_some()
    }

    fn summary(&self, shell: &Shell) -> Vec<String> {
        if self.explain.is_some() {
            return Vec::new();
        }
        if let Some(past) = &self.past {
            return vec![format!("{} rows here", grouped(past.len() as u64))];
        }
        let (wanted, kept) = shell.feed.logs.counts();
        match self.needle.is_empty() {
            true => vec![format!("{} rows kept", grouped(kept as u64))],
            false => vec![format!("{} of {} rows kept", grouped(wanted as u64), grouped(kept as u64))],
        }
    }

    fn wants(&self) -> Wants {
        if self.past.is_some() { Wants::RECORDED } else { Wants::LOG }
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        view::screen::logs::render(self, shell, layout, painter);
    }

    fn status(&self, shell: &Shell, short: bool) -> Vec<(String, bool)> {
        if self.explain.is_some() {
            return Vec::new();
        }
        let mut said = match &self.past {
            Some(past) => vec![(day(past, shell), false), past.said(|at| view::head::date(shell, at))],
            None => {
                let follows = match shell.feed.logs.paused() {
                    None => ("FOLLOWING".to_owned(), false),
                    Some(new) => {
                        let wanted = shell.feed.logs.wanted_since_pause();
                        let of = if wanted == new { String::new() } else { format!("{} of ", grouped(wanted)) };
                        (format!("PAUSED +{of}{} new", grouped(new)), true)
                    }
                };
                vec![follows, (honesty(shell, short), shell.feed.dropped > 0)]
            }
        };
        if let Some(problem) = &self.filter.problem {
            said.insert(1, (problem.clone(), true));
        }
        said
    }

    fn ask(&mut self, shell: &mut Shell) {
        let height = self.height(shell);
        if std::mem::take(&mut self.unmarked) {
            shell.feed.logs.unmark();
        }
        self.live_marks = shell.feed.logs.marked().count();
        if let Some(explain) = &mut self.explain {
            explain.ask(|request| shell.ask(ScreenId::Logs, request));
        }
        let settled = match (self.quiet_until, shell.now) {
            (Some(until), Some(now)) => now >= until,
            _ => true,
        };
        if let Some(past) = self.past.as_mut().filter(|_| settled) {
            past.ask(height, |request| shell.ask(ScreenId::Logs, request));
        }
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, Failure>, shell: &mut Shell) {
        let height = self.height(shell);
        if let Some(past) = &mut self.past {
            match &answer {
                Ok(answer) => _ = past.answered(ticket, answer, height),
                Err(failure) => past.failed(ticket, &failure.to_string()),
            }
        }
        if let Some(explain) = &mut self.explain {
            match answer {
                Ok(answer) => explain.answered(ticket, Ok(answer)),
                Err(failure) => explain.answered(ticket, Err(&failure)),
            }
        }
    }

    fn refresh(&mut self, shell: &mut Shell) {
        shell.feed.logs.settle(self.height(shell));
        if let Some(past) = &mut self.past {
            past.go_on();
        }
        if let Some(explain) = &mut self.explain {
            explain.refresh();
        }
    }

    fn forget(&mut self, _: &mut Shell) {
        *self = LogScreen::default();
    }

    fn forbidden(&self, action: Action, shell: &Shell) -> Option<String> {
        let nobody = || "nobody is known by what was shown there".to_owned();
        let row = || self.selected(shell).ok_or("there is no line here".to_owned());
        match action {
            Action::Act(EXPLAIN) => row().map_or_else(Some, |row| Explain::of(row).is_none().then(nobody)),
            Action::Act(SAME_PERSON) => row().map_or_else(Some, |row| row.people().0.is_none().then(nobody)),
            Action::Act(SAME_DOOR | MARK) => row().err(),
            Action::Act(GIVE) => shell.level().is_none().then(|| "you manage no Keys of this property".to_owned()),
            Action::Act(PERSON) => shell.people_hidden.then(|| "people are hidden".to_owned()),
            Action::Act(KEY) => {
                let told = self.explain.as_ref().and_then(Explain::key).is_some();
                (!told).then(|| "no Key is told that decides here".to_owned())
            }
            Action::Act(ONLY) => {
                let counted = self.counted(shell);
                match self.histogram.as_ref().and_then(|open| open.selected(&counted.bars)) {
                    None => Some("there is no bar here".to_owned()),
                    Some(bar) => bar.term.is_none().then(|| "no filter finds these alone".to_owned()),
                }
            }
            _ => None,
        }
    }

    fn lacks(&self, action: Action) -> bool {
        let read = matches!(action, Action::Open | Action::Filter | Action::Mark);
        matches!(action, Action::Range | Action::Sort)
            || (self.explain.is_some() && read)
            || (self.histogram.is_some() && matches!(action, Action::Open | Action::Mark))
    }

    fn act(&mut self, action: Action, shell: &mut Shell) {
        let height = self.height(shell);
        if self.explain.is_some() {
            return self.on_explain(action, shell);
        }
        if self.histogram.is_some() {
            return self.on_histogram(action, shell);
        }
        let row = self.selected(shell).cloned();
        match (action, row) {
            (Action::Act(PAUSE), _) if shell.feed.logs.paused().is_some() => shell.feed.logs.follow(height),
            (Action::Act(PAUSE), _) => shell.feed.logs.pause(),
            (Action::Act(LIVE), _) => self.past = None,
            (Action::Act(JUMP), _) => {
                let fields = vec![Field::line("When", "now; or 18:00, 2h, 2026-11-20 18:00")];
                let mut form = Form::new(ScreenId::Logs, JUMP, "HISTORY around a time", fields);
                form.button = "Show";
                shell.open(Dialog::Form(Box::new(form)));
            }
            (Action::Act(EXPORT), _) => self.export_form(shell),
            (Action::Act(HISTOGRAM), _) => (self.histogram, self.open) = (Some(Histogram::default()), false),
            (Action::Act(NEXT_DENIED), _) => self.seek(true, shell),
            (Action::Act(LAST_DENIED), _) => self.seek(false, shell),
            (Action::Act(MARK), _) => {
                match &mut self.past {
                    Some(past) => past.mark(),
                    None => shell.feed.logs.mark(),
                }
                if self.past.is_some() || shell.feed.logs.paused().is_some() {
                    self.step(Step::Down, shell);
                }
            }
            (Action::Act(EXPLAIN), Some(row)) => self.explain = Explain::of(&row),
            (Action::Act(SAME_DOOR), Some(row)) => self.toggle(&door_term(&row), shell),
            (Action::Act(SAME_PERSON), Some(row)) => {
                if let (Some(person), _) = row.people() {
                    self.toggle(&format!("person:#{person}"), shell);
                }
            }
            (Action::Open, _) => self.open = !self.open,
            _ => {}
        }
    }

    fn submitted(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        match form.act {
            JUMP => {
                let at = time(form.text(0), shell)?;
                self.jump(at, shell);
            }
            EXPORT => self.export(form, shell),
            EXPLAIN => return self.explain_asked(form, shell),
            OTHER_TIME => {
                let at = time(form.text(0), shell)?;
                self.explain = self.explain.as_ref().map(|explain| explain.at(at));
            }
            _ => {}
        }
        Ok(())
    }

    fn step(&mut self, step: Step, shell: &mut Shell) {
        let (height, page) = (self.height(shell), view::overlay_rows(shell, self.wants()));
        if let Some(explain) = &mut self.explain {
            let lines = view::screen::explain::lines(explain, shell).len();
            return explain.step(step, lines, page);
        }
        if self.histogram.is_some() {
            let counted = self.counted(shell);
            let rows = view::screen::histogram::rows(page);
            return self.histogram.iter_mut().for_each(|open| open.step(step, &counted.bars, rows));
        }
        match &mut self.past {
            Some(past) => past.step(step, height),
            None => shell.feed.logs.step(step, height),
        }
    }

    fn settle(&mut self, shell: &mut Shell) {
        let height = self.height(shell);
        shell.feed.logs.settle(height);
        if let Some(past) = &mut self.past {
            past.settle(height);
        }
    }

    fn filter_terms(&self) -> &'static str {
        log_filter::TERMS
    }

    fn filtered(&self) -> &str {
        if self.explain.is_some() { "" } else { &self.needle }
    }

    fn filter(&mut self, needle: &str, shell: &mut Shell) {
        if self.explain.is_none() {
            self.quiet_until = shell.now.map(|now| now.plus_micros(SETTLES_MICROS));
            self.want(needle.to_owned(), shell);
        }
    }

    fn has_rows(&self) -> bool {
        self.explain.is_none() && self.histogram.is_none() && !self.open
    }

    fn refilter(&mut self, shell: &mut Shell) {
        self.want(self.needle.clone(), shell);
    }

    fn kept(&self) -> Kept {
        Kept { sort: None, filter: self.needle.clone() }
    }

    fn back(&mut self, _: &mut Shell) -> bool {
        self.explain.take().is_some()
            || self.histogram.take().is_some()
            || std::mem::take(&mut self.open)
            || self.past.take().is_some()
    }

    fn unmark(&mut self) -> bool {
        match &mut self.past {
            Some(past) => past.unmark(),
            None => {
                self.unmarked = true;
                std::mem::take(&mut self.live_marks) > 0
            }
        }
    }

    fn marked(&self) -> usize {
        self.past.as_ref().map_or(self.live_marks, |past| past.marked().count())
    }

    fn saved(&self, shell: &Shell) -> Option<String> {
        self.explain.as_ref().filter(|explain| !explain.who_shown).map(|explain| export::explanation(explain, shell))
    }

    fn copied(&self, shell: &Shell) -> Option<String> {
        if let Some(explain) = &self.explain {
            return Some(view::screen::explain::copied(explain, shell));
        }
        if let Some(open) = &self.histogram {
            let counted = self.counted(shell);
            return open.selected(&counted.bars).map(|bar| format!("{} {} denied", bar.name, bar.count));
        }
        let marked = self.marked_rows(shell);
        let rows = if marked.is_empty() { self.selected(shell).into_iter().collect() } else { marked };
        let line = |row: &LogRow| {
            let result = row.reason.map_or("ALLOW".to_owned(), |reason| format!("DENY {reason}"));
            let person = if shell.people_hidden { view::HIDDEN } else { &row.person };
            format!("{} {result} {} {person} {}", row.at.rfc3339(shell.zone()), row.door, row.key)
        };
        let lines: Vec<String> = rows.into_iter().map(line).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// The term for this door: its name, which is the property's only one, where it can be written.
pub fn door_term(row: &LogRow) -> String {
    match row.door.contains('"') || row.door == row.of.door.to_string() {
        true => format!("door:#{}", row.of.door.0),
        false => format!("door:\"{}\"", row.door),
    }
}

/// Which day is looked at.
fn day(past: &Past, shell: &Shell) -> String {
    let at = past.selected().map_or(past.anchor, |row| row.at);
    format!("HISTORY {}", shell.zone().to_datetime(at.timestamp()).date())
}

/// What of the log is not on the screen (L6).
fn honesty(shell: &Shell, short: bool) -> String {
    let dropped = grouped(shell.feed.dropped);
    match (shell.feed.shown_one_in, short) {
        (0 | 1, _) => format!("all shown, dropped {dropped}"),
        (some, false) => format!("shown 1 in {}, dropped {dropped}", grouped(some)),
        (some, true) => format!("1 in {}, dropped {dropped}", grouped(some)),
    }
}
