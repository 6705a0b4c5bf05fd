//! A schedule as it is being drawn: its name, a grid of the week that is painted, and the same as text, to the minute.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use keyward_protocol::{
    entry::Command,
    id::ScheduleId,
    limits::WINDOWS_PER_SCHEDULE_MAX,
    schedule::{Hours, OnHolidays, Span, Window},
};
use tui_input::Input;

use super::{
    DialogDone, ScreenId,
    form::typed,
    grid::{self, DAY},
};

/// The rows of the grid: seven days, and the holidays' own.
pub const ROWS: u8 = 8;
/// With so many columns of the terminal a cell is half an hour, else an hour.
const HALF_HOURS_FROM: u16 = 62;

/// What has the focus.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Focus {
    /// The name.
    Name,
    /// The windows, as text.
    Text,
    /// The grid.
    Grid,
    /// What holidays change.
    Holidays,
    /// The windows of holidays, as text.
    Own,
    /// The button.
    Button,
}

/// A schedule that is drawn.
#[derive(Clone, Debug)]
pub struct Week {
    /// Whose `week` gets it.
    pub owner: ScreenId,
    /// Which schedule; `None`: a new one.
    pub schedule: Option<ScheduleId>,
    /// The line over it.
    pub title: String,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// The schedule as it was read: the command that would make it so (K12).
    pub read: Option<Command>,
    name: Input,
    hours: Hours,
    text: Input,
    own: Vec<Span>,
    own_text: Input,
    focus: Focus,
    /// The cell under the cursor: the row, and the first minute.
    cell: (u8, u16),
}

impl Week {
    /// An empty schedule, or the one of this id, name and hours.
    pub fn new(owner: ScreenId, edited: Option<(ScheduleId, &str, &Hours)>) -> Week {
        let (schedule, name, hours) = match edited {
            Some((id, name, hours)) => (Some(id), name, hours.clone()),
            None => (None, "", Hours::default()),
        };
        let own = match &hours.on_holidays {
            OnHolidays::Own(spans) => spans.clone(),
            OnHolidays::AsUsual | OnHolidays::Closed => Vec::new(),
        };
        let title = if schedule.is_some() { format!("EDIT {name}") } else { "NEW SCHEDULE".to_owned() };
        let mut week = Week {
            owner,
            schedule,
            title,
            problem: None,
            read: None,
            name: Input::new(name.to_owned()),
            hours,
            text: Input::default(),
            own,
            own_text: Input::default(),
            focus: Focus::Name,
            cell: (0, 8 * 60),
        };
        week.write();
        week
    }

    /// The schedule as it was read.
    #[must_use]
    pub fn since(mut self, read: Command) -> Week {
        self.read = Some(read);
        self
    }

    /// What has the focus.
    pub fn focus(&self) -> Focus {
        self.focus
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name.value().trim()
    }

    /// The windows as they are typed.
    pub fn text(&self) -> &str {
        self.text.value()
    }

    /// The windows of holidays as they are typed.
    pub fn own_text(&self) -> &str {
        self.own_text.value()
    }

    /// The hours as they stand.
    pub fn hours(&self) -> &Hours {
        &self.hours
    }

    /// The cell under the cursor: the row, and its first minute.
    pub fn cell(&self) -> (u8, u16) {
        self.cell
    }

    /// How many minutes a cell of the grid is long, on a terminal so wide.
    pub fn cell_minutes(width: u16) -> u16 {
        if width >= HALF_HOURS_FROM { 30 } else { 60 }
    }

    /// How many minutes of `from..to` of a row are open.
    pub fn open_minutes(&self, row: u8, from: u16, to: u16) -> u16 {
        match (&self.hours.on_holidays, row) {
            (OnHolidays::Own(spans), 7) => grid::open_minutes_of(spans, from, to),
            (_, 7) => 0,
            _ => grid::open_minutes(&self.hours.windows, row, from, to),
        }
    }

    /// What holidays change, in words.
    pub fn on_holidays(&self) -> &'static str {
        match self.hours.on_holidays {
            OnHolidays::AsUsual => "as usual",
            OnHolidays::Closed => "closed",
            OnHolidays::Own(_) => "own hours",
        }
    }

    /// Whether holidays have their own hours.
    pub fn has_own(&self) -> bool {
        matches!(self.hours.on_holidays, OnHolidays::Own(_))
    }

    /// Takes a key of the keyboard, on a terminal so wide.
    pub fn key(&mut self, key: KeyEvent, width: u16) -> DialogDone {
        let back = key.code == KeyCode::BackTab || (key.code == KeyCode::Tab && key.modifiers == KeyModifiers::SHIFT);
        match key.code {
            KeyCode::Esc => return DialogDone::Closed,
            KeyCode::Enter if self.focus == Focus::Button => return self.submit(),
            _ if back => self.leave(false),
            KeyCode::Tab | KeyCode::Enter => self.leave(true),
            _ => match self.focus {
                Focus::Grid => self.grid_key(key.code, Week::cell_minutes(width)),
                Focus::Holidays => match key.code {
                    KeyCode::Left => self.turn(2),
                    KeyCode::Right | KeyCode::Char(' ') => self.turn(1),
                    code => self.up_or_down(code),
                },
                Focus::Button => self.up_or_down(key.code),
                Focus::Name | Focus::Text | Focus::Own => self.line_key(key),
            },
        }
        DialogDone::Stays
    }

    fn line_key(&mut self, key: KeyEvent) {
        if matches!(key.code, KeyCode::Up | KeyCode::Down) {
            return self.up_or_down(key.code);
        }
        let input = match self.focus {
            Focus::Name => &mut self.name,
            Focus::Own => &mut self.own_text,
            _ => &mut self.text,
        };
        typed(input, key);
        // The grid follows what is typed as soon as it can be read.
        self.problem = self.read().err();
    }

    fn grid_key(&mut self, code: KeyCode, minutes: u16) {
        let (row, from) = (self.cell.0, self.cell.1 / minutes * minutes);
        let last = if self.has_own() { ROWS - 1 } else { ROWS - 2 };
        match code {
            KeyCode::Up | KeyCode::Char('k') if row == 0 => self.leave(false),
            KeyCode::Down | KeyCode::Char('j') if row >= last => self.leave(true),
            KeyCode::Up | KeyCode::Char('k') => self.cell.0 -= 1,
            KeyCode::Down | KeyCode::Char('j') => self.cell.0 += 1,
            KeyCode::Left | KeyCode::Char('h') => self.cell.1 = from.saturating_sub(minutes),
            KeyCode::Right | KeyCode::Char('l') => self.right(minutes),
            KeyCode::Home => self.cell.1 = 0,
            KeyCode::End => self.cell.1 = DAY - minutes,
            KeyCode::Char(' ') => {
                self.toggle(row, from, from + minutes);
                self.right(minutes);
            }
            KeyCode::Char('d') if (1..7).contains(&row) => self.like_above(row),
            _ => {}
        }
    }

    fn right(&mut self, minutes: u16) {
        self.cell.1 = (self.cell.1 / minutes * minutes + minutes).min(DAY - minutes);
    }

    fn toggle(&mut self, row: u8, from: u16, to: u16) {
        let open = self.open_minutes(row, from, to) == to - from;
        match &mut self.hours.on_holidays {
            OnHolidays::Own(spans) if row == 7 => *spans = grid::toggle_spans(spans, from, to),
            _ if open => self.hours.windows = grid::wipe(&self.hours.windows, row, from, to),
            _ => self.hours.windows = grid::paint(&self.hours.windows, row, from, to),
        }
        self.write();
    }

    /// Makes a day start the windows that the day above starts, and no others.
    fn like_above(&mut self, row: u8) {
        use keyward_protocol::schedule::Days;
        let windows = self.hours.windows.iter().filter_map(|window| {
            let bit = 1 << row;
            let above = window.days.contains(row - 1);
            let bits = if above { window.days.bits() | bit } else { window.days.bits() & !bit };
            Some(Window { days: Days::from_bits(bits)?, span: window.span })
        });
        self.hours.windows = windows.collect();
        self.write();
    }

    /// The next thing that holidays may change, or the one so many on.
    fn turn(&mut self, on: usize) {
        let at = match &self.hours.on_holidays {
            OnHolidays::AsUsual => 0,
            OnHolidays::Closed => 1,
            OnHolidays::Own(spans) => {
                self.own.clone_from(spans);
                2
            }
        };
        self.hours.on_holidays = match (at + on) % 3 {
            0 => OnHolidays::AsUsual,
            1 => OnHolidays::Closed,
            _ => OnHolidays::Own(self.own.clone()),
        };
        self.cell.0 = self.cell.0.min(6);
        self.write();
    }

    fn up_or_down(&mut self, code: KeyCode) {
        match code {
            KeyCode::Up => self.leave(false),
            KeyCode::Down => self.leave(true),
            _ => {}
        }
    }

    /// Goes to the next thing, or the one before; text that can't be read is not left.
    fn leave(&mut self, forward: bool) {
        if let Err(problem) = self.read() {
            self.problem = Some(problem);
            return;
        }
        self.problem = None;
        self.write();
        const ORDER: [Focus; 6] = [Focus::Name, Focus::Text, Focus::Grid, Focus::Holidays, Focus::Own, Focus::Button];
        let own = self.has_own();
        let mut order = ORDER.iter().filter(|focus| own || **focus != Focus::Own);
        let next = match forward {
            true => order.find(|focus| **focus > self.focus),
            false => order.rfind(|focus| **focus < self.focus),
        };
        self.focus = next.copied().unwrap_or(self.focus);
    }

    fn submit(&mut self) -> DialogDone {
        self.problem = match self.read() {
            Err(problem) => Some(problem),
            Ok(()) if self.name().is_empty() => Some("a schedule has a name".to_owned()),
            Ok(()) if !self.hours.within_limits() => {
                Some(format!("a schedule has at most {WINDOWS_PER_SCHEDULE_MAX} windows"))
            }
            Ok(()) => return DialogDone::Submitted,
        };
        DialogDone::Stays
    }

    /// Takes the windows from their texts.
    fn read(&mut self) -> Result<(), String> {
        let parts = |text: &str| -> Vec<String> {
            text.split([';', ',']).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let mut windows = Vec::new();
        let mut days = String::new();
        // A comma stands between days, too: what has no times yet goes before what follows.
        for part in parts(self.text.value()) {
            days.push_str(&part);
            if part.contains(char::is_whitespace) {
                windows.push(Window::parse(&std::mem::take(&mut days)).map_err(|error| error.to_string())?);
            } else {
                days.push(',');
            }
        }
        if !days.is_empty() {
            return Err(Window::parse(days.trim_end_matches(',')).map_or_else(|error| error.to_string(), |_| days));
        }
        let own: Result<Vec<Span>, _> = parts(self.own_text.value()).iter().map(|part| Span::parse(part)).collect();
        let own = own.map_err(|error| error.to_string())?;
        self.hours.windows = windows;
        if let OnHolidays::Own(spans) = &mut self.hours.on_holidays {
            *spans = own;
        }
        Ok(())
    }

    /// Writes the windows as text.
    fn write(&mut self) {
        let windows: Vec<String> = self.hours.windows.iter().map(Window::to_string).collect();
        self.text = Input::new(windows.join(", "));
        let own = match &self.hours.on_holidays {
            OnHolidays::Own(spans) => spans.iter().map(Span::to_string).collect::<Vec<_>>().join(", "),
            OnHolidays::AsUsual | OnHolidays::Closed => String::new(),
        };
        self.own_text = Input::new(own);
    }
}
