//! The state of the client, and what events make of it: pure, without IO and without a clock.
//!
//! [`App`] holds the [`Shell`], which all screens share, the screens, and the dialogs that lie over them. Screens and
//! dialogs ask for what is to be done outside through the shell; [`update`] hands it on as [`Effect`]s.

mod cursor;
mod event;
pub mod explain;
pub mod export;
mod feed;
pub mod form;
pub mod grid;
pub mod histogram;
pub mod history;
pub mod jobs;
pub mod list;
pub mod lock_activity;
pub mod log_filter;
mod log_rows;
pub mod palette;
mod rates;
pub mod read_only;
pub mod remembered;
pub mod review;
pub mod rows;
pub mod screen;
pub mod server;
mod shell;
pub mod since;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod testing_site;
#[cfg(test)]
mod tests;
pub mod token;
pub mod undo;
pub mod week;

use std::collections::BTreeMap;

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use keyward_protocol::{message::manage::Answer, time::Moment};
use tui_input::{Input, backend::crossterm::EventHandler};

pub use self::{
    cursor::{Cursor, Step},
    event::{Dialog, DialogDone, Effect, Event, Mouse},
    feed::{Feed, Named},
    log_rows::{LogRow, Logs, ROWS_MAX},
    rates::{BAR_SECONDS, BARS_A_MINUTE, BARS_MAX, Rates},
    read_only::ReadOnly,
    screen::{SCREENS, Screen, ScreenId},
    shell::{Asker, FEED, Link, Notice, Shell},
};
use self::{
    palette::{Chosen, Palette},
    remembered::{Kept, Memory},
};
use crate::{
    keymap::{self, Action, Bound, Chord},
    remote::{Failure, Order, Ticket, Told},
    view,
};

/// How long the first Ctrl-c waits for the second.
const INTERRUPT_MICROS: i64 = 3_000_000;
/// So many rows are scrolled by a notch of the wheel.
const WHEEL_ROWS: usize = 3;
/// Longer filters are cut off as they are typed.
const FILTER_CHARS_MAX: usize = 100;

/// The state of the client.
#[derive(Debug)]
pub struct App {
    /// What all screens share.
    pub shell: Shell,
    screens: Vec<Box<dyn Screen>>,
    at: usize,
    dialogs: Vec<Dialog>,
    /// The filter's input, while it is typed into.
    typing: Option<Input>,
    interrupted_at: Option<Moment>,
    interrupted: bool,
    /// No server is known: what to do about it is all there is to show.
    welcome: bool,
    memory: Memory,
    /// By screen, the filter that was made while people are hidden: whoever looks has seen it.
    told_filters: BTreeMap<ScreenId, String>,
    /// What was typed into the palette and done, the oldest first. It may name people: it is kept in memory alone, and
    /// forgotten when they are hidden.
    commands: Vec<String>,
}

impl App {
    /// The client at its first screen.
    pub fn new(shell: Shell) -> App {
        let screens = SCREENS.iter().map(|(_, make)| make()).collect();
        App {
            shell,
            screens,
            at: 0,
            dialogs: Vec::new(),
            typing: None,
            interrupted_at: None,
            interrupted: false,
            welcome: false,
            memory: Memory::default(),
            told_filters: BTreeMap::new(),
            commands: Vec::new(),
        }
    }

    /// The client without a server: it says what to do next.
    pub fn welcome(shell: Shell) -> App {
        App { welcome: true, ..App::new(shell) }
    }

    /// The client at another screen than its first, where that is built.
    #[must_use]
    pub fn at(mut self, screen: ScreenId) -> App {
        self.at = SCREENS.iter().position(|(id, _)| *id == screen).unwrap_or(self.at);
        self
    }

    /// The open screen.
    pub fn screen(&self) -> &dyn Screen {
        // INVARIANT: `at` is a place in SCREENS, which `screens` was made from.
        self.screens.get(self.at).expect("`at` is a place in the table of screens").as_ref()
    }

    /// Which screen is open.
    pub fn screen_id(&self) -> ScreenId {
        SCREENS.get(self.at).map_or(ScreenId::Keys, |(id, _)| *id)
    }

    /// The dialog on top.
    pub fn dialog(&self) -> Option<&Dialog> {
        self.dialogs.last()
    }

    /// Knows a command again that was typed, once and as the newest.
    fn remember_command(&mut self, typed: &str) {
        let typed = typed.trim();
        if typed.is_empty() {
            return;
        }
        self.commands.retain(|before| before != typed);
        self.commands.push(typed.to_owned());
        let more = self.commands.len().saturating_sub(palette::HISTORY_MAX);
        self.commands.drain(..more);
    }

    /// What is typed into the filter, while it is.
    pub fn typing(&self) -> Option<&str> {
        self.typing.as_ref().map(Input::value)
    }

    /// Whether Ctrl-c was pressed once.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Whether there is no server to show.
    pub fn is_welcome(&self) -> bool {
        self.welcome
    }

    /// Every chord that does something here.
    pub fn bindings(&self) -> Vec<Bound<'_>> {
        let several = self.shell.overview.as_ref().is_some_and(|overview| overview.properties.len() > 1);
        self.shell.keymap.table(self.screen_id(), self.screen().bindings(), |action| match action {
            // What would be opened is not drawn, and would only swallow the way out.
            action if self.welcome => matches!(action, Action::Quit | Action::Repaint | Action::Interrupt),
            Action::Show(id) => SCREENS.iter().any(|(built, _)| *built == id),
            Action::Property => several,
            Action::NextPart => self.screen().has_parts(),
            action => !self.screen().lacks(action),
        })
    }

    /// Why this can't be done here now: the one place that says what is dimmed, and what is refused.
    pub fn forbidden(&self, action: Action) -> Option<String> {
        let screen = self.screen();
        let action = match screen.enters() {
            Some(act) if action == Action::Open => Action::Act(act),
            _ => action,
        };
        self.shell.refused(self.screen_id(), action).or_else(|| screen.forbidden(action, &self.shell))
    }

    /// What the open screen is filtered by, as it may be drawn: a filter from before people were hidden may name one.
    pub fn told_filter(&self) -> &str {
        if self.is_filter_told() { self.screen().filtered() } else { view::HIDDEN }
    }

    fn is_filter_told(&self) -> bool {
        let filtered = self.screen().filtered();
        let told = || self.told_filters.get(&self.screen_id()).is_some_and(|told| told == filtered);
        !self.shell.people_hidden || filtered.is_empty() || told()
    }

    /// The filter is made from what is seen.
    fn tell_filter(&mut self) {
        if self.shell.people_hidden {
            self.told_filters.insert(self.screen_id(), self.screen().filtered().to_owned());
        }
    }

    fn split(&mut self) -> (&mut dyn Screen, &mut Shell) {
        let screen = self.screens.get_mut(self.at).expect("`at` is a place in the table of screens");
        (screen.as_mut(), &mut self.shell)
    }

    /// What is remembered of a screen.
    fn kept(&self, id: ScreenId) -> Option<Kept> {
        let place = SCREENS.iter().position(|(built, _)| *built == id)?;
        self.screens.get(place).map(|screen| screen.kept())
    }

    fn named(&mut self, id: ScreenId) -> Option<(&mut dyn Screen, &mut Shell)> {
        let place = SCREENS.iter().position(|(built, _)| *built == id)?;
        Some((self.screens.get_mut(place)?.as_mut(), &mut self.shell))
    }
}

/// Makes of the state what the event makes of it, and says what is to be done outside.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    let first = match event {
        Event::Stop => Some(Effect::Quit),
        Event::NotKept(why) => {
            app.not_kept(&why);
            Some(Effect::Draw)
        }
        Event::Tick(now) => tick(app, now),
        Event::Resize { width, height } => {
            (app.shell.width, app.shell.height) = (width, height);
            settle(app);
            Some(Effect::Repaint)
        }
        Event::Key(key) => attended(app, |app| pressed(app, key)),
        Event::Mouse(mouse) => attended(app, |app| moused(app, mouse)),
        Event::Saved(Ok(path)) => {
            app.shell.say(format!("written to {path}"));
            Some(Effect::Draw)
        }
        Event::Saved(Err(why)) => {
            app.shell.warn(format!("not written: {why}"));
            Some(Effect::Draw)
        }
        Event::Written(job, outcome) => {
            match app.shell.jobs.written(job, outcome) {
                Some(Ok(done)) => app.shell.say(done),
                Some(Err(why)) => app.shell.warn(why),
                None => {}
            }
            Some(Effect::Draw)
        }
        Event::Told(told) => {
            hear(app, told);
            Some(Effect::Draw)
        }
    };
    if first != Some(Effect::Quit) {
        follow_up(app);
    }
    let mut effects: Vec<Effect> = first.into_iter().chain(app.shell.take_effects()).collect();
    let quits = effects.contains(&Effect::Quit);
    // Before the end, which nothing comes after.
    effects.splice(0..0, app.keeping(quits));
    effects
}

/// Opens the dialogs and the screen that were asked for, and lets what is open ask for what it needs.
fn follow_up(app: &mut App) {
    if let Some((id, name)) = app.shell.going.take() {
        show(app, id);
        let (screen, shell) = app.split();
        if let Some(name) = name
            && !screen.find(&name, shell)
        {
            shell.warn("something is open here that would be lost: save or leave it first");
        }
    }
    for mut dialog in std::mem::take(&mut app.shell.opening) {
        match &mut dialog {
            Dialog::Form(form) => form.ask(&mut app.shell),
            Dialog::Review(review) => review.ask(&mut app.shell),
            Dialog::Server(server) => server.ask(&mut app.shell),
            Dialog::Help { .. } | Dialog::Palette(_) | Dialog::Week(_) | Dialog::Token(_) | Dialog::Jobs { .. } => {}
        }
        app.dialogs.push(dialog);
    }
    app.shell.drive_jobs();
    let (screen, shell) = app.split();
    screen.ask(shell);
}

/// Time goes on: the clock shows seconds, so a tick within the same second changes nothing that is seen.
fn tick(app: &mut App, now: Moment) -> Option<Effect> {
    let second = |moment: Moment| moment.as_micros().div_euclid(1_000_000);
    let same = app.shell.now.is_some_and(|before| second(before) == second(now));
    app.shell.now = Some(now);
    app.shell.feed.rates.advance(now);
    let waited = app.interrupted_at.map(|then| now.as_micros().saturating_sub(then.as_micros()));
    let forgotten = app.interrupted && waited.is_none_or(|micros| !(0..INTERRUPT_MICROS).contains(&micros));
    app.interrupted &= !forgotten;
    app.shell.look(false);
    (!same || forgotten).then_some(Effect::Draw)
}

/// Takes what the connection tells.
fn hear(app: &mut App, told: Told) {
    match told {
        Told::Link(link) => {
            if app.shell.linked(link) {
                app.shell.look(true);
                let (screen, shell) = app.split();
                screen.refresh(shell);
            }
        }
        Told::Live(FEED, batch) => {
            let height = view::list_rows(app);
            app.shell.feed.receive(*batch, height);
        }
        Told::Live(watch, batch) => {
            for screen in &mut app.screens {
                screen.live(watch, &batch, &mut app.shell);
            }
        }
        Told::NewToken(made) => match (made, app.shell.token_for.take()) {
            (Ok(fresh), Some((review, of))) => app.shell.open(Dialog::Review(Box::new(review.with_token(fresh, of)))),
            (Err(why), Some(_)) => app.shell.warn(format!("no token is made: {why}")),
            (_, None) => {}
        },
        Told::Answer(ticket, answer) => answered(app, ticket, *answer),
    }
}

fn answered(app: &mut App, ticket: Ticket, answer: Result<Answer, Failure>) {
    match app.shell.asker(ticket) {
        None => {}
        Some(Asker::Screen(id)) => {
            if let Some((screen, shell)) = app.named(id) {
                screen.answered(ticket, answer, shell);
            }
        }
        Some(Asker::Undo) => {
            app.shell.undo_answered(ticket, &answer);
            // Whatever was opened meanwhile is what somebody looks at.
            if !app.dialogs.is_empty() {
                app.shell.opening.retain(|dialog| !matches!(dialog, Dialog::Review(review) if review.is_undoing()));
            }
        }
        Some(Asker::Job(job)) => {
            app.shell.jobs.answered(job, &answer);
            if let Some(jobs::State::Failed(why)) = app.shell.jobs.state(job) {
                app.shell.warn(format!("the export is not written: {why}"));
            }
        }
        Some(Asker::Shell) => match answer {
            Ok(Answer::Person(me)) => app.shell.told_me(&me.row),
            Ok(Answer::Overview(overview)) => {
                let (another, moved) = app.shell.overviewed(overview);
                if moved {
                    app.shell.ask_for_me();
                }
                if another {
                    property_changed(app);
                    app.remember_lists();
                } else if moved {
                    let (screen, shell) = app.split();
                    screen.refresh(shell);
                }
            }
            Ok(_) => {}
            // That the connection is lost stands in the head, and it is looked at again when it is back.
            Err(Failure::NotConnected | Failure::Lost(_)) => {}
            Err(failure) => app.shell.warn(failure.to_string()),
        },
        Some(Asker::Dialog) => {
            let done = match app.dialogs.last_mut() {
                Some(Dialog::Form(form)) => {
                    form.answered(ticket, &answer, &mut app.shell);
                    DialogDone::Stays
                }
                Some(Dialog::Review(review)) => review.answered(ticket, &answer, &mut app.shell),
                Some(Dialog::Server(server)) => {
                    server.answered(ticket, &answer);
                    DialogDone::Stays
                }
                _ => DialogDone::Stays,
            };
            finish(app, done);
        }
    }
}

fn property_changed(app: &mut App) {
    for screen in &mut app.screens {
        screen.forget(&mut app.shell);
    }
}

fn pressed(app: &mut App, key: KeyEvent) -> Option<Effect> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let (screen, shell) = app.split();
    screen.pressed(shell);
    let chord = Chord::pressed(key);
    let everywhere = chord.and_then(|chord| app.shell.keymap.everywhere(chord));
    match everywhere {
        Some(Action::Interrupt) if app.interrupted => return Some(Effect::Quit),
        Some(Action::Interrupt) => {
            (app.interrupted, app.interrupted_at) = (true, app.shell.now);
            return Some(Effect::Draw);
        }
        Some(Action::Repaint) => return Some(Effect::Repaint),
        _ => {}
    }
    let said = app.shell.notice.take().is_some() | std::mem::take(&mut app.interrupted);
    if !app.dialogs.is_empty() {
        let done = dialog_key(app, key);
        finish(app, done);
        return Some(Effect::Draw);
    }
    if app.typing.is_some() && filter_key(app, key) {
        return Some(Effect::Draw);
    }
    match chord.and_then(|chord| keymap::asked(&app.bindings(), chord)) {
        Some(action) => act(app, action),
        None => said.then_some(Effect::Draw),
    }
}

/// A click goes to a screen or a row, the wheel scrolls: neither opens nor changes anything.
fn moused(app: &mut App, mouse: Mouse) -> Option<Effect> {
    // What was on its way when the mouse was given up doesn't count.
    if !app.shell.mouse || app.welcome {
        return None;
    }
    let (screen, shell) = app.split();
    screen.pressed(shell);
    app.shell.notice = None;
    match mouse {
        Mouse::Wheel { up } => {
            let (code, step) = if up { (KeyCode::Up, Step::Up) } else { (KeyCode::Down, Step::Down) };
            for _ in 0..WHEEL_ROWS {
                match app.dialogs.last() {
                    None => self::step(app, step),
                    Some(Dialog::Help { .. } | Dialog::Palette(_) | Dialog::Review(_) | Dialog::Jobs { .. }) => {
                        let done = dialog_key(app, KeyEvent::new(code, KeyModifiers::NONE));
                        finish(app, done);
                    }
                    // Arrows choose in these.
                    Some(Dialog::Form(_) | Dialog::Week(_) | Dialog::Server(_) | Dialog::Token(_)) => {}
                }
            }
        }
        Mouse::Click(..) if !app.dialogs.is_empty() => {}
        Mouse::Click(x, y) => match view::under(app, x, y) {
            Some(view::Under::Screen(id)) => show(app, id),
            Some(view::Under::Row(place)) => step(app, Step::Seen(place)),
            None => {}
        },
    }
    Some(Effect::Draw)
}

/// Gives the key to the dialog on top.
fn dialog_key(app: &mut App, key: KeyEvent) -> DialogDone {
    let (help_page, review_page) = (view::help_rows(app), view::review_rows(app));
    let (lines, jobs) = (app.bindings().len(), app.shell.jobs.all().len());
    let everywhere = Chord::pressed(key).and_then(|chord| app.shell.keymap.everywhere(chord));
    match app.dialogs.last_mut() {
        Some(Dialog::Palette(palette)) => palette.key(key),
        Some(Dialog::Form(form)) => form.key(key, &mut app.shell),
        Some(Dialog::Week(week)) => week.key(key, app.shell.width),
        Some(Dialog::Review(review)) => review.key(key, review_page, &mut app.shell),
        Some(Dialog::Help { top }) => scroll(everywhere, top, lines, help_page),
        Some(Dialog::Server(server)) => server.key(key, &mut app.shell),
        Some(Dialog::Token(token)) => token.key(key, &mut app.shell),
        Some(Dialog::Jobs { top }) => scroll(everywhere, top, jobs, help_page),
        None => DialogDone::Stays,
    }
}

/// Scrolls a dialog that is only read; everything else closes it.
fn scroll(asked: Option<Action>, top: &mut usize, lines: usize, page: usize) -> DialogDone {
    let step = match asked {
        Some(Action::Up) => Step::Up,
        Some(Action::Down) => Step::Down,
        Some(Action::PageUp) => Step::PageUp,
        Some(Action::PageDown) => Step::PageDown,
        Some(Action::First) => Step::First,
        Some(Action::Last) => Step::Last,
        _ => return DialogDone::Closed,
    };
    // It scrolls as a whole: its cursor is the first line that is seen.
    let mut cursor = Cursor::default();
    let tops = (lines + 1).saturating_sub(page).max(1);
    cursor.put(*top, tops, page);
    cursor.step(step, tops, page);
    *top = cursor.at();
    DialogDone::Stays
}

/// Closes the dialog on top where it is done, and hands on what came of it.
fn finish(app: &mut App, done: DialogDone) {
    let closed = match done {
        DialogDone::Stays => return,
        DialogDone::Closed => {
            app.dialogs.pop();
            return;
        }
        DialogDone::Instead(form) => {
            app.dialogs.pop();
            return app.shell.open(Dialog::Form(form));
        }
        DialogDone::Again(before) => {
            if let Some(Dialog::Review(review)) = app.dialogs.pop()
                && let Some((screen, shell)) = app.named(review.owner)
            {
                screen.refresh(shell);
            }
            return app.shell.open(*before);
        }
        DialogDone::Submitted => app.dialogs.pop(),
    };
    match closed {
        Some(Dialog::Form(mut form)) => {
            let submitted = app.named(form.owner).map(|(screen, shell)| screen.submitted(&form, shell));
            match submitted {
                Some(Err(problem)) => {
                    form.problem = Some(problem);
                    app.dialogs.push(Dialog::Form(form));
                }
                Some(Ok(())) => entered(&mut app.shell, Dialog::Form(form)),
                None => {}
            }
        }
        Some(Dialog::Week(mut week)) => {
            let drawn = app.named(week.owner).map(|(screen, shell)| screen.week(&week, shell));
            match drawn {
                Some(Err(problem)) => {
                    week.problem = Some(problem);
                    app.dialogs.push(Dialog::Week(week));
                }
                Some(Ok(())) => entered(&mut app.shell, Dialog::Week(week)),
                None => {}
            }
        }
        Some(Dialog::Review(review)) => {
            app.shell.look(true);
            if let Some((screen, shell)) = app.named(review.owner) {
                if review.steps().1 == 0 && !review.is_undoing() {
                    screen.done(shell);
                }
                screen.refresh(shell);
            }
        }
        Some(Dialog::Palette(palette)) => match palette.chosen().inspect(|_| app.remember_command(palette.typed())) {
            Some(Chosen::Action(Action::Explain)) => {
                screen::logs::LogScreen::ask_explain(&mut app.shell, palette.rest())
            }
            Some(Chosen::Action(action)) => {
                if let Some(effect) = act(app, action) {
                    app.shell.effect(effect);
                }
            }
            Some(Chosen::Property(property)) => {
                app.shell.choose(Some(property));
                property_changed(app);
            }
            None => {}
        },
        Some(Dialog::Help { .. } | Dialog::Server(_) | Dialog::Token(_) | Dialog::Jobs { .. }) | None => {}
    }
}

/// The review that a form led to keeps what was entered.
fn entered(shell: &mut Shell, dialog: Dialog) {
    if let Some(Dialog::Review(review)) = shell.opening.last_mut() {
        review.came_of(dialog);
    }
}

/// Gives the key to the filter's input. Keys that are no text and don't edit, arrows and pages, are not taken.
fn filter_key(app: &mut App, key: KeyEvent) -> bool {
    let Some(input) = &mut app.typing else { return false };
    match key.code {
        KeyCode::Esc => {
            input.reset();
            app.typing = None;
            filter(app, "");
            return true;
        }
        KeyCode::Enter => {
            app.typing = None;
            return true;
        }
        KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown | KeyCode::Tab => return false,
        KeyCode::Char(_)
            if !key.modifiers.contains(KeyModifiers::CONTROL) && input.value().chars().count() >= FILTER_CHARS_MAX => {}
        _ => _ = input.handle_event(&TerminalEvent::Key(key)),
    }
    let needle = input.value().to_owned();
    filter(app, &needle);
    app.tell_filter();
    true
}

/// Whoever does something else while it is looked how the last change stands does not get a review under their hands.
fn attended(app: &mut App, act: impl FnOnce(&mut App) -> Option<Effect>) -> Option<Effect> {
    let gave_up = app.shell.undo.give_up();
    let effect = act(app);
    if gave_up && !app.shell.undo.is_looking() {
        app.shell.say("not undone: something else was pressed meanwhile");
    }
    effect
}

fn filter(app: &mut App, needle: &str) {
    let (screen, shell) = app.split();
    screen.filter(needle, shell);
}

fn act(app: &mut App, action: Action) -> Option<Effect> {
    if let Some(reason) = app.forbidden(action) {
        app.shell.warn(reason);
        return Some(Effect::Draw);
    }
    match action {
        Action::Quit => {
            let (screen, shell) = app.split();
            if !screen.back(shell) {
                return Some(Effect::Quit);
            }
        }
        Action::Back => {
            let (screen, shell) = app.split();
            if screen.unmark() {
            } else if !screen.filtered().is_empty() {
                screen.filter("", shell);
            } else {
                screen.back(shell);
            }
        }
        Action::Help => app.shell.open(Dialog::Help { top: 0 }),
        Action::Explain => screen::logs::LogScreen::ask_explain(&mut app.shell, ""),
        Action::Server => app.shell.open(Dialog::Server(Box::default())),
        Action::Jobs => app.shell.open(Dialog::Jobs { top: 0 }),
        Action::Palette => {
            let palette = Palette::new("COMMAND", palette::commands(app)).with_history(&app.commands);
            app.shell.open(Dialog::Palette(Box::new(palette)));
        }
        Action::Undo => app.shell.undo_last(),
        Action::Mouse => {
            app.shell.mouse = !app.shell.mouse;
            app.shell.effect(Effect::Mouse(app.shell.mouse));
            app.shell.say(match app.shell.mouse {
                true => "clicks select, the wheel scrolls; with Shift it marks text as before",
                false => "the mouse is the terminal's again",
            });
        }
        Action::ReadOnly => app.shell.toggle_read_only(),
        Action::Property => {
            let palette = Palette::new("PROPERTY", palette::properties(app));
            app.shell.open(Dialog::Palette(Box::new(palette)));
        }
        Action::Show(id) => show(app, id),
        Action::Left | Action::Right => {
            let last = SCREENS.len() - 1;
            let to = if action == Action::Left { app.at.saturating_sub(1) } else { (app.at + 1).min(last) };
            if let Some((id, _)) = SCREENS.get(to) {
                show(app, *id);
            }
        }
        Action::Filter => {
            // What may name somebody is not drawn to be typed on, either; it stays until something is typed.
            let known = app.is_filter_told();
            app.typing = Some(Input::new(if known { app.screen().filtered().to_owned() } else { String::new() }));
        }
        Action::HidePeople => {
            app.shell.people_hidden = !app.shell.people_hidden;
            app.told_filters.clear();
            app.commands.clear();
            for screen in &mut app.screens {
                screen.refilter(&mut app.shell);
            }
        }
        Action::Zone => app.shell.utc = !app.shell.utc,
        Action::Reconnect => app.shell.effect(Effect::Order(Order::Reconnect)),
        Action::Repaint => return Some(Effect::Repaint),
        Action::Copy => match app.screen().copied(&app.shell) {
            Some(text) => {
                app.shell.say("sent to the terminal's clipboard");
                app.shell.effect(Effect::Copy(text));
            }
            None => app.shell.say("there is nothing to copy"),
        },
        Action::Save => {
            let name = app.screen_id().name().to_lowercase();
            let (text, ending) = match app.screen().saved(&app.shell) {
                Some(json) => (json, "json"),
                None => (view::text(app), "txt"),
            };
            app.shell.effect(Effect::Save { name, ending, text });
        }
        Action::Up => step(app, Step::Up),
        Action::Down => step(app, Step::Down),
        Action::PageUp => step(app, Step::PageUp),
        Action::PageDown => step(app, Step::PageDown),
        Action::First => step(app, Step::First),
        Action::Last => step(app, Step::Last),
        // Seen to before.
        Action::Interrupt => {}
        Action::Act(_) | Action::Open | Action::NextPart | Action::Mark | Action::Range | Action::Sort => {
            let told = app.is_filter_told();
            let (screen, shell) = app.split();
            screen.act(action, shell);
            if told {
                app.tell_filter();
            }
        }
    }
    Some(Effect::Draw)
}

fn show(app: &mut App, id: ScreenId) {
    if let Some(place) = SCREENS.iter().position(|(built, _)| *built == id) {
        app.at = place;
        app.typing = None;
        let (screen, shell) = app.split();
        screen.refresh(shell);
    }
}

fn step(app: &mut App, step: Step) {
    let (screen, shell) = app.split();
    screen.step(step, shell);
}

/// Fits everything to the terminal's size.
fn settle(app: &mut App) {
    let height = view::list_rows(app);
    app.shell.feed.logs.settle(height);
    let (screen, shell) = app.split();
    screen.settle(shell);
    if let Some(Dialog::Help { top }) = app.dialogs.last_mut() {
        *top = 0;
    }
}
