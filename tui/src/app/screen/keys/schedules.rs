//! The named schedules of the property, and its holidays.

use keyward_protocol::{
    entry::{Command, Holiday},
    id::PropertyId,
    message::manage::{Answer, Request, ScheduleRow},
    time::Date,
};

use super::super::{Screen, ScreenId, Shell, Step, UNTOLD};
use crate::{
    app::{
        Dialog,
        form::{Field, Filled, Form},
        list::{List, Row, SortKey},
        review::{Review, Step as ReviewStep},
        week::Week,
    },
    keymap::{Act, Action, Binding, letter, write},
    remote::{Failure, Ticket},
    view::{
        self,
        layout::{Layout, Wants},
        painter::Painter,
    },
};

/// A new schedule, or a new holiday.
pub const NEW: Act = Act("new schedule");
const EDIT: Act = Act("edit schedule");
const DELETE: Act = Act("delete schedule");

/// Their own chords.
pub const BINDINGS: &[Binding] = &[
    write(&[letter('n')], "n", NEW, Some("new"), "a new schedule, or a new holiday"),
    write(&[letter('e')], "e", EDIT, Some("edit"), "edit it; what would follow is shown first"),
    write(&[letter('D')], "D", DELETE, Some("delete"), "delete it; a schedule that a Key uses stays"),
];

/// A list with the week of what is under the cursor.
const WANTS: Wants = Wants { detail: &[(20, 10)], strip: &[(40, 11)], rates: &[] };

/// A holiday with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Day {
    place: u32,
    /// The holiday.
    pub holiday: Holiday,
}

impl Row for Day {
    fn id(&self) -> u32 {
        self.place
    }

    fn texts(&self) -> Vec<&str> {
        vec![&self.holiday.name]
    }

    fn sort_key(&self, _: usize) -> SortKey {
        SortKey::Text
    }
}

/// Schedules and holidays.
#[derive(Clone, Debug)]
pub struct Schedules {
    property: PropertyId,
    /// The named schedules.
    pub list: List<ScheduleRow>,
    /// The holidays.
    pub holidays: List<Day>,
    /// Whether the holidays have the cursor.
    pub of_holidays: bool,
    holidays_asked: Option<Ticket>,
    stale: bool,
    needle: String,
}

impl Schedules {
    /// Those of this property.
    pub fn of(property: PropertyId) -> Schedules {
        Schedules {
            property,
            list: List::eager(),
            holidays: List::default(),
            of_holidays: false,
            holidays_asked: None,
            stale: true,
            needle: String::new(),
        }
    }

    fn do_act(&self, act: Act, shell: &mut Shell) {
        match (act, self.of_holidays) {
            (NEW, false) => shell.open(Dialog::Week(Box::new(Week::new(ScreenId::Keys, None)))),
            (EDIT, false) => {
                let Some(row) = self.list.selected() else { return };
                let read = Command::EditSchedule(self.property, row.id, row.name.clone(), row.hours.clone());
                let week = Week::new(ScreenId::Keys, Some((row.id, &row.name, &row.hours))).since(read);
                shell.open(Dialog::Week(Box::new(week)));
            }
            (DELETE, false) => {
                let Some(row) = self.list.selected() else { return };
                let command = Command::DeleteSchedule(self.property, row.id);
                let step = ReviewStep::new(row.name.clone(), command);
                let review = reviewed(format!("DELETE {}", row.name), step, "deleted");
                shell.open(Dialog::Review(Box::new(review)));
            }
            (NEW, true) => self.holiday_form(None, shell),
            (EDIT, true) => self.holiday_form(self.holidays.selected(), shell),
            (DELETE, true) => {
                let Some(day) = self.holidays.selected() else { return };
                let read = self.all_holidays();
                let rest = (1..).zip(&read).filter(|(place, _)| *place != day.place);
                let rest = rest.map(|(_, holiday)| holiday.clone()).collect();
                let title = format!("DELETE {}", day.holiday.name);
                self.review_holidays(title, &day.holiday.name, (read, rest), "deleted", shell);
            }
            _ => {}
        }
    }

    fn holiday_form(&self, day: Option<&Day>, shell: &mut Shell) {
        let text = |text: Option<String>| Filled::Text(text.unwrap_or_default());
        let fields = vec![
            Field::line("Name", "for people").with(text(day.map(|day| day.holiday.name.clone()))),
            Field::line("First day", "2026-12-24").with(text(day.map(|day| day.holiday.from.to_string()))),
            Field::line("Last day", "the same day; or 2026-12-26")
                .with(text(day.map(|day| day.holiday.to.to_string()))),
        ];
        let (act, title) = match day {
            Some(day) => (EDIT, format!("EDIT {}", day.holiday.name)),
            None => (NEW, "NEW HOLIDAY".to_owned()),
        };
        let read = Command::SetHolidays(self.property, self.all_holidays());
        let form = Form::new(ScreenId::Keys, act, title, fields).since(read);
        let form = match day {
            Some(day) => form.about(day.place, &day.holiday.name),
            None => form,
        };
        shell.open(Dialog::Form(Box::new(form)));
    }

    /// In the order that the server has them in: they are set all at once.
    fn all_holidays(&self) -> Vec<Holiday> {
        let mut days: Vec<&Day> = self.holidays.rows().iter().collect();
        days.sort_by_key(|day| day.place);
        days.into_iter().map(|day| day.holiday.clone()).collect()
    }

    /// From these holidays to those.
    fn review_holidays(
        &self,
        title: String,
        name: &str,
        (read, all): (Vec<Holiday>, Vec<Holiday>),
        done: &str,
        shell: &mut Shell,
    ) {
        let [was, command] = [read, all].map(|holidays| Command::SetHolidays(self.property, holidays));
        let review = reviewed(title, ReviewStep::new(name, command).since(was), done);
        shell.open(Dialog::Review(Box::new(review)));
    }
}

fn reviewed(title: String, step: ReviewStep, done: &str) -> Review {
    let afterwards = format!("{done} {}", step.what);
    let mut review = Review::new(ScreenId::Keys, title, vec![step]);
    review.about = "It acts at once for every Key that uses it.".to_owned();
    review.nothing = "No Key, code or share is lost; the hours change.";
    review.afterwards = afterwards;
    review
}

fn date(text: &str) -> Result<Date, String> {
    let civil = text.parse().map_err(|_| format!("`{text}` is no date: write it like 2026-12-24"))?;
    Ok(Date::from_civil(civil))
}

fn height(shell: &Shell) -> usize {
    view::rows_of(shell, WANTS)
}

impl Screen for Schedules {
    fn bindings(&self) -> &'static [Binding] {
        BINDINGS
    }

    fn crumbs(&self) -> Vec<String> {
        let part = if self.of_holidays { "holidays" } else { "schedules" };
        vec!["Keys".to_owned(), part.to_owned()]
    }

    fn summary(&self, _: &Shell) -> Vec<String> {
        if self.list.is_unknown() {
            return vec![UNTOLD.to_owned()];
        }
        let count = |number: u64, what: &str| match number {
            1 => format!("1 {what}"),
            some => format!("{some} {what}s"),
        };
        let schedules = count(self.list.counts().total, "schedule");
        vec![format!("{schedules}  {}", count(self.holidays.counts().total, "holiday")), schedules]
    }

    fn wants(&self) -> Wants {
        WANTS
    }

    fn render(&self, shell: &Shell, layout: &Layout, painter: &mut Painter<'_>) {
        view::screen::schedules::render(self, shell, layout, painter);
    }

    fn ask(&mut self, shell: &mut Shell) {
        if let Some(rows) = self.list.wanted(height(shell))
            && let Some(ticket) = shell.ask(ScreenId::Keys, Request::Schedules(self.property, rows))
        {
            self.list.asked(ticket);
        }
        if self.stale && self.holidays_asked.is_none() {
            self.holidays_asked = shell.ask(ScreenId::Keys, Request::Property(self.property));
            self.stale = self.holidays_asked.is_none();
        }
    }

    fn refresh(&mut self, _: &mut Shell) {
        self.list.refresh();
        (self.stale, self.holidays_asked) = (true, None);
    }

    fn forget(&mut self, _: &mut Shell) {}

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, Failure>, shell: &mut Shell) {
        match answer {
            Ok(Answer::Schedules(list)) if self.list.expects(ticket) => self.list.receive(list, height(shell)),
            Ok(Answer::Property(property)) if self.holidays_asked == Some(ticket) => {
                self.holidays_asked = None;
                let days = (1..).zip(property.holidays).map(|(place, holiday)| Day { place, holiday });
                self.holidays.replace(days.collect(), height(shell));
            }
            Err(_) if self.list.expects(ticket) => self.list.failed(),
            Err(_) if self.holidays_asked == Some(ticket) => self.holidays_asked = None,
            _ => {}
        }
    }

    fn forbidden(&self, action: Action, _: &Shell) -> Option<String> {
        let row = if self.of_holidays { self.holidays.selected().is_some() } else { self.list.selected().is_some() };
        match action {
            Action::Act(EDIT | DELETE) if !row => Some("there is nothing here to do that with".to_owned()),
            Action::Act(DELETE) if !self.of_holidays && self.list.selected().is_some_and(|row| row.keys > 0) => {
                Some("Keys use it: give them other hours first".to_owned())
            }
            _ => None,
        }
    }

    fn enters(&self) -> Option<Act> {
        Some(EDIT)
    }

    fn act(&mut self, action: Action, shell: &mut Shell) {
        match action {
            Action::Act(act) => self.do_act(act, shell),
            Action::Open => self.do_act(EDIT, shell),
            Action::NextPart => self.of_holidays = !self.of_holidays,
            Action::Sort if self.of_holidays => self.holidays.sort_next(1, height(shell)),
            Action::Sort => self.list.sort_next(2, height(shell)),
            _ => {}
        }
    }

    fn submitted(&mut self, form: &Form, shell: &mut Shell) -> Result<(), String> {
        let name = form.text(0).to_owned();
        if name.is_empty() {
            return Err("a holiday has a name".to_owned());
        }
        let from = date(form.text(1))?;
        let to = if form.text(2).is_empty() { from } else { date(form.text(2))? };
        if to < from {
            return Err("the last day is before the first".to_owned());
        }
        let holiday = Holiday { name: name.clone(), from, to };
        let edited = form.subject.first().map(|(place, _)| *place);
        let Some(Command::SetHolidays(_, read)) = form.read.clone() else {
            return Err("the holidays were not here: begin anew".to_owned());
        };
        let kept = (1..).zip(&read).filter(|(place, _)| Some(*place) != edited).map(|(_, holiday)| holiday.clone());
        let all = kept.chain([holiday]).collect();
        let (title, done) = match edited {
            Some(_) => (format!("EDIT {name}"), "edited"),
            None => (format!("NEW HOLIDAY {name}"), "made"),
        };
        self.review_holidays(title, &name, (read, all), done, shell);
        Ok(())
    }

    fn week(&mut self, week: &Week, shell: &mut Shell) -> Result<(), String> {
        let (name, hours) = (week.name().to_owned(), week.hours().clone());
        let (command, title, done) = match week.schedule {
            None => {
                let title = format!("NEW SCHEDULE {name}");
                (Command::MakeSchedule(self.property, name.clone(), hours), title, "made")
            }
            Some(id) => {
                let title = format!("EDIT {name}");
                (Command::EditSchedule(self.property, id, name.clone(), hours), title, "edited")
            }
        };
        let mut review = reviewed(title, ReviewStep::new(name, command).since(week.read.clone()), done);
        if week.schedule.is_none() {
            (review.about, review.nothing) = ("No Key uses it yet.".to_owned(), "Nobody gains or loses anything.");
        }
        shell.open(Dialog::Review(Box::new(review)));
        Ok(())
    }

    fn step(&mut self, step: Step, shell: &mut Shell) {
        if self.of_holidays {
            self.holidays.step(step, height(shell));
        } else {
            self.list.step(step, height(shell));
        }
    }

    fn settle(&mut self, shell: &mut Shell) {
        self.list.settle(height(shell));
        self.holidays.settle(height(shell));
    }

    fn filtered(&self) -> &str {
        &self.needle
    }

    fn filter(&mut self, needle: &str, shell: &mut Shell) {
        needle.clone_into(&mut self.needle);
        self.list.filter(needle, height(shell));
        self.holidays.filter(needle, height(shell));
    }

    fn has_parts(&self) -> bool {
        true
    }

    fn copied(&self, _: &Shell) -> Option<String> {
        match self.of_holidays {
            true => self.holidays.selected().map(|day| day.holiday.name.clone()),
            false => self.list.selected().map(|row| format!("{}: {}", row.name, row.hours)),
        }
    }
}
