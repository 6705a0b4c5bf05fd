//! The state of the terminal screen, and what events make of it: pure, without IO and without a clock.

mod cursor;
mod keys;
mod logs;
mod rates;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use jiff::tz::TimeZone;
use keyward_protocol::{decision::Reason, time::Moment};

pub use self::{
    cursor::{Cursor, Step},
    keys::{KeyRow, Keys},
    logs::{LogRow, Logs, ROWS_MAX},
    rates::{BAR_SECONDS, BARS_A_MINUTE, BARS_MAX, Rates},
};
use crate::{
    keymap::{self, Action, Chord},
    theme::{Glyphs, Theme},
    view::layout,
};

/// How long the first Ctrl-c waits for the second.
const INTERRUPT_MICROS: i64 = 3_000_000;
/// Longer filters are cut off as they are typed.
const FILTER_CHARS_MAX: usize = 100;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key of the keyboard.
    Key(KeyEvent),
    /// The terminal has another size.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// It is now so late.
    Tick(Moment),
    /// New rows of the access log, newest last.
    Rows(Vec<LogRow>),
    /// The server's running totals.
    Counts(Counts),
    /// Every Key of the property.
    Keys(Vec<KeyRow>),
    /// Which server and property this is.
    Header(Header),
    /// How the connection is.
    Link(Link),
    /// The work behind the screen is over: leave.
    Stop,
}

/// Running totals since the server began, and how honest the live log is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Counts {
    /// Checks granted.
    pub granted: u64,
    /// Checks denied.
    pub denied: u64,
    /// Denied by reason; reasons with 0 may be left out.
    pub by_reason: Vec<(Reason, u64)>,
    /// Checks a second, lately.
    pub per_second: f64,
    /// One in so many rows is shown; 0 and 1 mean all.
    pub shown_one_in: u64,
    /// Rows that should have been shown and were dropped.
    pub dropped: u64,
    /// Half of the checks were answered within so many microseconds.
    pub p50_us: u64,
    /// 99 of 100 checks were answered within so many microseconds.
    pub p99_us: u64,
    /// The directory's revision.
    pub revision: u64,
}

/// What the head of the screen says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// The server, in a word.
    pub server: String,
    /// The property's name.
    pub property: String,
    /// The property's IANA time zone.
    pub zone: String,
}

/// How the connection to the server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Link {
    /// There was none yet.
    #[default]
    Connecting,
    /// It stands.
    Up {
        /// How long an answer takes, where that was measured.
        round_trip_us: Option<u64>,
    },
    /// It is lost.
    Down {
        /// Since when.
        since: Moment,
    },
}

/// What the terminal shall do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Something that is seen has changed.
    Draw,
    /// Draw everything anew, whatever the terminal shows.
    Repaint,
    /// Leave.
    Quit,
}

/// The screens, in the order of their numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Screen {
    /// The Keys of the property.
    Keys,
    /// The live access log.
    Logs,
}

/// What lies over the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overlay {
    /// The chords, from this line on.
    Help {
        /// The first line that is seen.
        top: usize,
    },
    /// The row under the cursor in full.
    Detail,
}

/// The state of the screen.
#[derive(Clone, Debug)]
pub struct App {
    /// The colours.
    pub theme: Theme,
    /// The characters for lines and bars.
    pub glyphs: Glyphs,
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) now: Option<Moment>,
    pub(crate) header: Header,
    /// The zone that times are shown in: the property's, or UTC where its name is not known.
    pub(crate) zone: TimeZone,
    pub(crate) link: Link,
    pub(crate) screen: Screen,
    pub(crate) overlay: Option<Overlay>,
    /// What is filtered by, for each screen: Keys, Logs.
    filters: [String; 2],
    /// Whether typed text goes to the filter.
    pub(crate) typing: bool,
    pub(crate) people_hidden: bool,
    interrupted_at: Option<Moment>,
    pub(crate) interrupted: bool,
    pub(crate) logs: Logs,
    pub(crate) keys: Keys,
    pub(crate) counts: Option<Counts>,
    pub(crate) rates: Rates,
}

impl App {
    /// An empty screen at the live log, 80 columns by 24 rows until told otherwise.
    pub fn new(theme: Theme, glyphs: Glyphs) -> App {
        App {
            theme,
            glyphs,
            width: 80,
            height: 24,
            now: None,
            header: Header::default(),
            zone: TimeZone::UTC,
            link: Link::default(),
            screen: Screen::Logs,
            overlay: None,
            filters: Default::default(),
            typing: false,
            people_hidden: false,
            interrupted_at: None,
            interrupted: false,
            logs: Logs::default(),
            keys: Keys::default(),
            counts: None,
            rates: Rates::default(),
        }
    }

    /// The filter of the open screen, as it was typed.
    pub fn filter(&self) -> &str {
        match self.screen {
            Screen::Keys => &self.filters[0],
            Screen::Logs => &self.filters[1],
        }
    }

    fn filter_mut(&mut self) -> &mut String {
        match self.screen {
            Screen::Keys => &mut self.filters[0],
            Screen::Logs => &mut self.filters[1],
        }
    }

    /// How many rows of a screen's list are seen.
    fn list_height(&self, screen: Screen) -> usize {
        usize::from(layout::Layout::of(self.width, self.height, screen).list_rows())
    }
}

/// Makes of the state what the event makes of it, and says what the terminal shall do.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    match event {
        Event::Key(key) => return pressed(app, key),
        Event::Tick(now) => return tick(app, now),
        Event::Stop => return vec![Effect::Quit],
        Event::Resize { width, height } => {
            (app.width, app.height) = (width, height);
            settle(app);
            return vec![Effect::Repaint];
        }
        Event::Rows(rows) if rows.is_empty() => return Vec::new(),
        Event::Rows(rows) => app.logs.receive(rows, app.list_height(Screen::Logs)),
        Event::Counts(counts) => {
            app.rates.totals(counts.granted, counts.denied);
            app.counts = Some(counts);
        }
        Event::Keys(rows) => app.keys.replace(rows, app.list_height(Screen::Keys)),
        Event::Header(header) => {
            app.zone = TimeZone::get(&header.zone).unwrap_or(TimeZone::UTC);
            app.header = header;
        }
        Event::Link(link) => app.link = link,
    }
    vec![Effect::Draw]
}

/// Time goes on: the clock shows seconds, so a tick within the same second changes nothing that is seen.
fn tick(app: &mut App, now: Moment) -> Vec<Effect> {
    let second = |moment: Moment| moment.as_micros().div_euclid(1_000_000);
    let same = app.now.is_some_and(|before| second(before) == second(now));
    app.now = Some(now);
    app.rates.advance(now);
    let waited = app.interrupted_at.map(|then| now.as_micros().saturating_sub(then.as_micros()));
    let forgotten = app.interrupted && waited.is_none_or(|micros| !(0..INTERRUPT_MICROS).contains(&micros));
    if forgotten {
        app.interrupted = false;
    }
    if same && !forgotten { Vec::new() } else { vec![Effect::Draw] }
}

fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let action = Chord::pressed(key).and_then(keymap::action);
    if action == Some(Action::Interrupt) {
        return interrupt(app);
    }
    let was_interrupted = std::mem::take(&mut app.interrupted);
    if app.typing && typed(app, key) {
        return vec![Effect::Draw];
    }
    match action {
        Some(action) => act(app, action),
        None if was_interrupted => vec![Effect::Draw],
        None => Vec::new(),
    }
}

fn interrupt(app: &mut App) -> Vec<Effect> {
    if app.interrupted {
        return vec![Effect::Quit];
    }
    app.interrupted = true;
    app.interrupted_at = app.now;
    vec![Effect::Draw]
}

/// Gives the key to the filter's input. Keys that are no text and don't edit, arrows and pages, are not taken.
fn typed(app: &mut App, key: KeyEvent) -> bool {
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let filter = app.filter_mut();
    match key.code {
        KeyCode::Esc => {
            filter.clear();
            app.typing = false;
        }
        KeyCode::Enter => app.typing = false,
        KeyCode::Backspace => {
            filter.pop();
        }
        KeyCode::Char('u') if ctrl => filter.clear(),
        KeyCode::Char('w') if ctrl => {
            let kept = filter.trim_end().rfind(char::is_whitespace).map_or(0, |space| space + 1);
            filter.truncate(kept);
        }
        KeyCode::Char(_) if ctrl => return false,
        KeyCode::Char(c) if filter.chars().count() < FILTER_CHARS_MAX => filter.push(c),
        KeyCode::Char(_) | KeyCode::Left | KeyCode::Right | KeyCode::Home | KeyCode::End => {}
        _ => return false,
    }
    sift(app);
    true
}

fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::Repaint => return vec![Effect::Repaint],
        Action::Quit if app.overlay.is_none() => return vec![Effect::Quit],
        Action::Quit => app.overlay = None,
        // The first Ctrl-c was seen to before.
        Action::Interrupt => {}
        Action::Back if app.overlay.is_some() => app.overlay = None,
        Action::Back => {
            app.filter_mut().clear();
            sift(app);
        }
        Action::Help => {
            let open = matches!(app.overlay, Some(Overlay::Help { .. }));
            app.overlay = (!open).then_some(Overlay::Help { top: 0 });
        }
        Action::Detail => app.overlay = if app.overlay.is_some() { None } else { Some(Overlay::Detail) },
        Action::ShowKeys | Action::Left => show(app, Screen::Keys),
        Action::ShowLogs | Action::Right => show(app, Screen::Logs),
        Action::Filter => {
            app.overlay = None;
            app.typing = true;
        }
        Action::HidePeople => {
            app.people_hidden = !app.people_hidden;
            sift(app);
        }
        Action::Pause if app.logs.paused().is_some() => app.logs.follow(app.list_height(Screen::Logs)),
        Action::Pause => app.logs.pause(),
        Action::Up => step(app, Step::Up),
        Action::Down => step(app, Step::Down),
        Action::PageUp => step(app, Step::PageUp),
        Action::PageDown => step(app, Step::PageDown),
        Action::First => step(app, Step::First),
        Action::Last => step(app, Step::Last),
    }
    vec![Effect::Draw]
}

fn show(app: &mut App, screen: Screen) {
    app.screen = screen;
    app.overlay = None;
    app.typing = false;
}

fn step(app: &mut App, step: Step) {
    let height = app.list_height(app.screen);
    let page = layout::help_page(app.width, app.height, app.screen);
    match (&mut app.overlay, app.screen) {
        (Some(Overlay::Help { top }), _) => {
            // The help scrolls as a whole: its cursor is the first line that is seen.
            let mut cursor = Cursor::default();
            let tops = (keymap::BINDINGS.len() + 1).saturating_sub(page);
            cursor.put(*top, tops, page);
            cursor.step(step, tops, page);
            *top = cursor.at();
        }
        (_, Screen::Keys) => app.keys.step(step, height),
        (_, Screen::Logs) => app.logs.step(step, height),
    }
}

fn sift(app: &mut App) {
    let (keys, logs) = (app.list_height(Screen::Keys), app.list_height(Screen::Logs));
    app.keys.want(&app.filters[0], keys);
    app.logs.want(&app.filters[1], app.people_hidden, logs);
}

fn settle(app: &mut App) {
    let (keys, logs) = (app.list_height(Screen::Keys), app.list_height(Screen::Logs));
    app.keys.settle(keys);
    app.logs.settle(logs);
    if let Some(Overlay::Help { top }) = &mut app.overlay {
        *top = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: KeyModifiers = KeyModifiers::NONE;
    const CTRL: KeyModifiers = KeyModifiers::CONTROL;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(code, modifiers))
    }

    fn letter(c: char) -> Event {
        key(KeyCode::Char(c), PLAIN)
    }

    fn tick(millis: i64) -> Event {
        Event::Tick(Moment::from_micros(1_000_000_000 + millis * 1_000))
    }

    fn rows(doors: &[&str]) -> Event {
        let row = |door: &&str| LogRow {
            at: Moment::default(),
            granted: true,
            reason: None,
            door: (*door).into(),
            person: "Tracy Ortiz".into(),
            host: None,
            key: "Key A".into(),
            kind: "code",
        };
        Event::Rows(doors.iter().map(row).collect())
    }

    fn counts(granted: u64) -> Event {
        Event::Counts(Counts { granted, ..Counts::default() })
    }

    /// What a row of the table may look at.
    fn state(app: &App) -> String {
        let paused = app.logs.paused().map_or("follow".into(), |new| format!("paused+{new}"));
        let typing = if app.typing { " typing" } else { "" };
        let hidden = if app.people_hidden { " hidden" } else { "" };
        let overlay = app.overlay.map_or(String::new(), |overlay| format!(" {overlay:?}"));
        let (wanted, kept) = app.logs.counts();
        format!("{:?} {paused} {wanted}/{kept} [{}]{typing}{hidden}{overlay}", app.screen, app.filter())
    }

    /// One story after the other: each event with the effects and the state that it leads to.
    fn check(story: Vec<(Event, &[Effect], &str)>) {
        let mut app = App::new(Theme::MONOCHROME, Glyphs::ASCII);
        for (event, effects, after) in story {
            let shown = format!("{event:?}");
            assert_eq!(update(&mut app, event), effects, "{shown}");
            assert_eq!(state(&app), after, "{shown}");
        }
    }

    const DRAW: &[Effect] = &[Effect::Draw];
    const QUIT: &[Effect] = &[Effect::Quit];
    const NOTHING: &[Effect] = &[];

    #[test]
    fn a_pause_stops_and_counts_and_following_catches_up() {
        check(vec![
            (rows(&["Lobby", "Garage"]), DRAW, "Logs follow 2/2 []"),
            (letter(' '), DRAW, "Logs paused+0 2/2 []"),
            (rows(&["Gym"]), DRAW, "Logs paused+1 2/2 []"),
            (rows(&[]), NOTHING, "Logs paused+1 2/2 []"),
            (rows(&["Pool", "Roof"]), DRAW, "Logs paused+3 2/2 []"),
            (letter(' '), DRAW, "Logs follow 5/5 []"),
            (letter('k'), DRAW, "Logs paused+0 5/5 []"),
            (letter('G'), DRAW, "Logs follow 5/5 []"),
        ]);
    }

    #[test]
    fn typing_goes_to_the_filter_all_of_it_and_esc_clears() {
        check(vec![
            (rows(&["Lobby", "Garage"]), DRAW, "Logs follow 2/2 []"),
            (letter('/'), DRAW, "Logs follow 2/2 [] typing"),
            (letter('q'), DRAW, "Logs follow 0/2 [q] typing"),
            (letter('?'), DRAW, "Logs follow 0/2 [q?] typing"),
            (key(KeyCode::Char('u'), CTRL), DRAW, "Logs follow 2/2 [] typing"),
            (letter('G'), DRAW, "Logs follow 1/2 [G] typing"),
            (letter(' '), DRAW, "Logs follow 0/2 [G ] typing"),
            (key(KeyCode::Backspace, PLAIN), DRAW, "Logs follow 1/2 [G] typing"),
            (key(KeyCode::Enter, PLAIN), DRAW, "Logs follow 1/2 [G]"),
            (rows(&["Gym", "Pool"]), DRAW, "Logs follow 2/4 [G]"),
            (letter('1'), DRAW, "Keys follow 2/4 []"),
            (letter('4'), DRAW, "Logs follow 2/4 [G]"),
            (key(KeyCode::Esc, PLAIN), DRAW, "Logs follow 4/4 []"),
            (letter('/'), DRAW, "Logs follow 4/4 [] typing"),
            (letter('x'), DRAW, "Logs follow 0/4 [x] typing"),
            (key(KeyCode::Esc, PLAIN), DRAW, "Logs follow 4/4 []"),
        ]);
    }

    #[test]
    fn hidden_people_are_not_searched() {
        check(vec![
            (rows(&["Lobby"]), DRAW, "Logs follow 1/1 []"),
            (letter('/'), DRAW, "Logs follow 1/1 [] typing"),
            (letter('t'), DRAW, "Logs follow 1/1 [t] typing"),
            (key(KeyCode::Enter, PLAIN), DRAW, "Logs follow 1/1 [t]"),
            (letter('P'), DRAW, "Logs follow 0/1 [t] hidden"),
            (letter('P'), DRAW, "Logs follow 1/1 [t]"),
        ]);
    }

    #[test]
    fn q_closes_what_is_open_and_then_quits() {
        check(vec![
            (letter('?'), DRAW, "Logs follow 0/0 [] Help { top: 0 }"),
            (letter('q'), DRAW, "Logs follow 0/0 []"),
            (letter('h'), DRAW, "Keys follow 0/0 []"),
            (letter('l'), DRAW, "Logs follow 0/0 []"),
            (key(KeyCode::Enter, PLAIN), DRAW, "Logs follow 0/0 [] Detail"),
            (key(KeyCode::Esc, PLAIN), DRAW, "Logs follow 0/0 []"),
            (letter('x'), NOTHING, "Logs follow 0/0 []"),
            (letter('q'), QUIT, "Logs follow 0/0 []"),
            (Event::Stop, QUIT, "Logs follow 0/0 []"),
        ]);
    }

    #[test]
    fn ctrl_c_quits_only_when_it_is_pressed_twice_within_three_seconds() {
        let (ctrl_c, idle) = (|| key(KeyCode::Char('c'), CTRL), "Logs follow 0/0 []");
        check(vec![
            (tick(0), DRAW, idle),
            (ctrl_c(), DRAW, idle),
            (letter('j'), DRAW, "Logs paused+0 0/0 []"),
            (letter('G'), DRAW, idle),
            (ctrl_c(), DRAW, idle),
            (tick(3_100), DRAW, idle),
            (ctrl_c(), DRAW, idle),
            (tick(3_200), NOTHING, idle),
            (ctrl_c(), QUIT, idle),
        ]);
        check(vec![
            (letter('/'), DRAW, "Logs follow 0/0 [] typing"),
            (ctrl_c(), DRAW, "Logs follow 0/0 [] typing"),
            (ctrl_c(), QUIT, "Logs follow 0/0 [] typing"),
        ]);
    }

    #[test]
    fn ticks_within_a_second_draw_nothing() {
        let idle = "Logs follow 0/0 []";
        check(vec![
            (tick(0), DRAW, idle),
            (tick(900), NOTHING, idle),
            (tick(1_000), DRAW, idle),
            (counts(4), DRAW, idle),
        ]);
    }

    #[test]
    fn another_size_and_ctrl_l_repaint() {
        let idle = "Logs follow 0/0 []";
        check(vec![
            (Event::Resize { width: 0, height: 0 }, &[Effect::Repaint], idle),
            (Event::Resize { width: 40, height: 12 }, &[Effect::Repaint], idle),
            (key(KeyCode::Char('l'), CTRL), &[Effect::Repaint], idle),
        ]);
    }

    #[test]
    fn the_help_scrolls_as_far_as_its_last_line_and_no_further() {
        let mut app = App::new(Theme::MONOCHROME, Glyphs::ASCII);
        update(&mut app, Event::Resize { width: 40, height: 12 });
        update(&mut app, letter('?'));
        for _ in 0..50 {
            update(&mut app, key(KeyCode::PageDown, PLAIN));
        }
        let page = layout::help_page(40, 12, Screen::Logs);
        assert_eq!(app.overlay, Some(Overlay::Help { top: keymap::BINDINGS.len() - page }));
    }
}
