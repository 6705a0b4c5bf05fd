//! The one place that touches the terminal: takes it, feeds the screen, draws it, and gives it back whatever happens.

use std::{
    env, fmt,
    fs::File,
    io::{self, BufWriter, Stdout, Write},
    os::unix::fs::OpenOptionsExt,
    panic,
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crossterm::{
    Command,
    clipboard::CopyToClipboard,
    cursor::{Hide, Show},
    event::{self, Event as TerminalEvent, MouseButton, MouseEvent, MouseEventKind},
    execute, queue,
    style::force_color_output,
    terminal::{
        self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen,
    },
};
use keyward_protocol::time::Moment;
use ratatui::{
    backend::{Backend, CrosstermBackend},
    buffer::Buffer,
    layout::Rect,
};
use tokio::sync::mpsc::{self, error::TryRecvError};

use crate::{
    app::{App, Effect, Event, Mouse, update},
    files::Files,
    remote::{Failure, LinkTold, Order, Remote, Told},
    state::StateFile,
    theme::{Glyphs, Theme},
    view::render,
};

/// At most ten frames a second.
const FRAME: Duration = Duration::from_millis(100);
/// Events from elsewhere wait at most so long for the screen to look.
const LOOK: Duration = Duration::from_millis(50);
/// So many events are taken in one go before the keyboard is asked again.
const EVENTS_A_TURN: usize = 1_000;
/// A terminal that doesn't know its size gets the smallest usual one.
const USUAL_SIZE: (u16, u16) = (80, 24);
/// Larger sizes are cut: what a terminal says of its size is not trusted with our memory.
const SIDE_MAX: u16 = 1_000;
/// The messages of so many panics elsewhere are kept until the terminal is given back.
const PANICS_MAX: usize = 10;

/// How the screen is run.
#[derive(Clone, Debug, Default)]
pub struct ScreenOptions {
    /// Leaves by itself after this time.
    pub ends_after: Option<Duration>,
    /// Where it is written how the screens are, for an app that [remembers](App::remembering).
    pub state: Option<StateFile>,
    /// Called after each frame, on the thread that holds the terminal: there tests let the client fall.
    pub drawn: Option<fn(&App)>,
}

/// The connection as the screen has it.
pub type Connected = (Remote, mpsc::Receiver<Told>);

/// The theme that the environment asks for (`NO_COLOR`).
pub fn theme_from_env() -> Theme {
    Theme::for_no_color(env::var("NO_COLOR").ok().as_deref())
}

/// The characters that the terminal can surely show, by the locale and `TERM`.
pub fn glyphs_from_env() -> Glyphs {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    Glyphs::for_terminal(locale.as_deref(), set("TERM").as_deref())
}

/// Shows `app` on the terminal until the user leaves, the time of `options` is over, or the process is told to end.
///
/// Size, keys and clock are added here; `connected` is told and asked what the screen wants of the server. Blocks; call
/// it from a thread of its own or the main one.
///
/// # Errors
///
/// The terminal can't be read or written, or there is none. It is restored then, too.
pub fn show(mut app: App, connected: Option<Connected>, options: ScreenOptions) -> io::Result<()> {
    let stopped = until_stopped()?;
    let mut held = Held::take()?;
    if app.shell.mouse {
        held.mouse(true)?;
    }
    let began = Instant::now();
    let (width, height) = terminal::size()?;
    let (remote, told) = connected.unzip();
    let mut outside = Outside { remote, told };
    outside.read_only(app.shell.read_only.is_on());
    let mut pace = Pace::default();
    let mut files = Files::in_directory(".");
    let mut happened = vec![Event::Tick(now()), resized(width, height)];
    loop {
        for event in std::mem::take(&mut happened) {
            for effect in update(&mut app, event) {
                match effect {
                    Effect::Quit => return Ok(()),
                    Effect::Repaint => {
                        held.frames.forget(app_size(&app));
                        pace.dirty = true;
                    }
                    Effect::Draw => pace.dirty = true,
                    Effect::Order(order) => happened.extend(outside.order(order)),
                    Effect::Copy(text) => held.copy(&text)?,
                    Effect::Mouse(on) => held.mouse(on)?,
                    Effect::ReadOnly(on) => outside.read_only(on),
                    Effect::Save { name, ending, text } => happened.push(Event::Saved(saved(&name, ending, &text))),
                    Effect::Keep(text) => {
                        let outcome =
                            options.state.as_ref().map_or(Ok(()), |file| file.keep(&text, app.shell.people_hidden));
                        happened.extend(outcome.err().map(Event::NotKept));
                    }
                    Effect::Write(job, writing) => {
                        happened.extend(files.write(job, writing).map(|outcome| Event::Written(job, outcome)));
                    }
                }
            }
        }
        if pace.due(Instant::now()) {
            held.frames.draw(&app)?;
            pace.drawn(Instant::now());
            options.drawn.iter().for_each(|drawn| drawn(&app));
        }
        let typed = if event::poll(pace.wait(Instant::now()))? { typed()? } else { Vec::new() };
        // The clock first: a chord is judged by when it was typed.
        happened.push(Event::Tick(now()));
        happened.extend(typed);
        outside.hear(&mut happened);
        let over = options.ends_after.is_some_and(|limit| began.elapsed() >= limit);
        if over || stopped.load(Ordering::Relaxed) {
            happened.push(Event::Stop);
        }
    }
}

/// Becomes true at SIGTERM: the screen then leaves as if its user had, and the terminal is given back. SIGHUP is left to
/// end the process: its terminal is gone, and reading one that is gone never returns.
fn until_stopped() -> io::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let stopped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stopped);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Heard from here on, and not from whenever the thread runs: until then the signal would end the process at once, with
    // the terminal still taken.
    let mut terminate = {
        let _entered = runtime.enter();
        signal(SignalKind::terminate())?
    };
    let work = move || {
        runtime.block_on(terminate.recv());
        seen.store(true, Ordering::Relaxed);
    };
    thread::Builder::new().name("signals".to_owned()).spawn(work)?;
    Ok(stopped)
}

/// Writes a new file in the current directory; says where.
fn saved(name: &str, ending: &str, text: &str) -> Result<String, String> {
    let file = format!("keyward-{name}-{}.{ending}", now().as_micros());
    let told = |error: io::Error| format!("`{file}`: {error}");
    let mut options = File::options();
    let mut made = options.create_new(true).write(true).mode(0o600).open(&file).map_err(told)?;
    made.write_all(text.as_bytes()).map_err(told)?;
    Ok(file)
}

/// What the terminal has to tell, at least one event, without waiting for more.
fn typed() -> io::Result<Vec<Event>> {
    let mut happened = Vec::new();
    loop {
        match event::read()? {
            TerminalEvent::Key(key) => happened.push(Event::Key(key)),
            TerminalEvent::Resize(width, height) => happened.push(resized(width, height)),
            TerminalEvent::Mouse(mouse) => happened.extend(moused(mouse).map(Event::Mouse)),
            // Focus and paste are not asked for.
            _ => {}
        }
        if happened.len() >= EVENTS_A_TURN || !event::poll(Duration::ZERO)? {
            return Ok(happened);
        }
    }
}

/// Clicks of the first button and the wheel; everything else that a mouse does is nothing.
fn moused(mouse: MouseEvent) -> Option<Mouse> {
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => Some(Mouse::Click(mouse.column, mouse.row)),
        MouseEventKind::ScrollUp => Some(Mouse::Wheel { up: true }),
        MouseEventKind::ScrollDown => Some(Mouse::Wheel { up: false }),
        _ => None,
    }
}

fn resized(width: u16, height: u16) -> Event {
    let (width, height) = if width == 0 || height == 0 { USUAL_SIZE } else { (width, height) };
    Event::Resize { width: width.min(SIDE_MAX), height: height.min(SIDE_MAX) }
}

fn app_size(app: &App) -> Rect {
    Rect::new(0, 0, app.shell.width, app.shell.height)
}

fn now() -> Moment {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
}

/// The connection, as long as there is one.
struct Outside {
    remote: Option<Remote>,
    told: Option<mpsc::Receiver<Told>>,
}

impl Outside {
    fn read_only(&self, on: bool) {
        self.remote.iter().for_each(|remote| remote.read_only(on));
    }

    /// Hands an order on; what can't be asked is answered at once.
    fn order(&self, order: Order) -> Option<Event> {
        let refused = match &self.remote {
            Some(remote) => *remote.order(order).err()?,
            None => order,
        };
        match refused {
            Order::Ask(ticket, _) => {
                let failed = Box::new(Err(Failure::NotConnected));
                Some(Event::Told(Told::Answer(ticket, failed)))
            }
            Order::NewToken => {
                let none = "there is no connection".to_owned();
                Some(Event::Told(Told::NewToken(Err(none))))
            }
            Order::Watch(..) | Order::Unwatch(_) | Order::Reconnect => None,
        }
    }

    fn hear(&mut self, happened: &mut Vec<Event>) {
        for _ in 0..EVENTS_A_TURN {
            let Some(told) = &mut self.told else { return };
            match told.try_recv() {
                Ok(told) => happened.push(Event::Told(told)),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    let why = "the connection's task has ended".to_owned();
                    happened.push(Event::Told(Told::Link(LinkTold::Down(why, Duration::ZERO))));
                    self.told = None;
                }
            }
        }
    }
}

/// When to draw: only what changed, and ten times a second at most.
#[derive(Default)]
struct Pace {
    dirty: bool,
    last: Option<Instant>,
}

impl Pace {
    fn due(&self, now: Instant) -> bool {
        self.dirty && self.rest(now).is_zero()
    }

    fn drawn(&mut self, now: Instant) {
        self.dirty = false;
        self.last = Some(now);
    }

    /// How long to wait for the keyboard.
    fn wait(&self, now: Instant) -> Duration {
        if self.dirty { self.rest(now).min(LOOK) } else { LOOK }
    }

    /// How long the last frame still stands.
    fn rest(&self, now: Instant) -> Duration {
        self.last.map_or(Duration::ZERO, |last| FRAME.saturating_sub(now.saturating_duration_since(last)))
    }
}

/// The terminal while it is ours: raw, on its alternate screen, without a cursor. Dropping it gives it back.
///
/// ratatui's own `Terminal` is not used: on every change of size it asks the terminal where its cursor is, and the
/// answer would have to be fished out of the keys. Two buffers and their difference is all that is needed.
struct Held {
    frames: Frames<BufWriter<Stdout>>,
    _restored: Restored,
}

impl Held {
    fn take() -> io::Result<Held> {
        // With NO_COLOR crossterm would undo our modifiers; we keep NO_COLOR ourselves, in the theme.
        force_color_output(true);
        let restored = Restored::from_now_on();
        terminal::enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        let frames = Frames::new(BufWriter::with_capacity(64 * 1024, io::stdout()));
        Ok(Held { frames, _restored: restored })
    }

    /// Hands a text to the terminal's clipboard (OSC 52), in base64: it can't steer anything.
    fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(self.frames.backend, CopyToClipboard::to_clipboard_from(text))
    }

    /// Has the terminal tell of the mouse, or no more.
    fn mouse(&mut self, on: bool) -> io::Result<()> {
        let told = |on| HOLDER.lock().unwrap_or_else(PoisonError::into_inner).mouse = on;
        // Told first: whatever happens in between, it is given back.
        if on {
            told(true);
        }
        execute!(self.frames.backend, TellMouse(on))?;
        if !on {
            told(false);
        }
        Ok(())
    }
}

/// The frames that a terminal is sent: the first as a whole, then what differs. Public for what measures them.
pub struct Frames<W: Write> {
    backend: CrosstermBackend<W>,
    /// What the terminal shows; `None` when that is not known and all is drawn anew.
    shown: Option<Buffer>,
    area: Rect,
}

impl<W: Write> Frames<W> {
    /// Of no size yet: [`Frames::forget`] tells it.
    pub fn new(writer: W) -> Frames<W> {
        Frames { backend: CrosstermBackend::new(writer), shown: None, area: Rect::ZERO }
    }

    /// Draws everything anew next time, into this area.
    pub fn forget(&mut self, area: Rect) {
        self.shown = None;
        self.area = area;
    }

    /// Sends what the state looks like now; nothing, where it looks the same.
    ///
    /// # Errors
    ///
    /// It can't be written.
    pub fn draw(&mut self, app: &App) -> io::Result<()> {
        let mut next = Buffer::empty(self.area);
        render(app, self.area, &mut next);
        let known = self.shown.take();
        let anew = known.is_none();
        let shown = known.unwrap_or_else(|| Buffer::empty(self.area));
        let changed = shown.diff(&next);
        if changed.is_empty() && !anew {
            self.shown = Some(next);
            return Ok(());
        }
        queue!(self.backend, BeginSynchronizedUpdate)?;
        if anew {
            queue!(self.backend, Clear(ClearType::All))?;
        }
        self.backend.draw(changed.into_iter())?;
        queue!(self.backend, EndSynchronizedUpdate)?;
        Write::flush(&mut self.backend)?;
        self.shown = Some(next);
        Ok(())
    }
}

/// Has the terminal tell of buttons and the wheel, in the form that knows every column; or no more. Not of every move
/// between, which crossterm's own command asks for: over a slow line that is a flood.
struct TellMouse(bool);

impl Command for TellMouse {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str(if self.0 { "\x1b[?1000h\x1b[?1006h" } else { "\x1b[?1006l\x1b[?1000l" })
    }
}

/// Gives the terminal back when dropped, and before a panic is told.
struct Restored;

/// Which thread holds the terminal, and what panicked elsewhere meanwhile.
struct Holder {
    thread: Option<ThreadId>,
    /// The terminal tells of the mouse.
    mouse: bool,
    panics: Vec<String>,
}

static HOLDER: Mutex<Holder> = Mutex::new(Holder { thread: None, mouse: false, panics: Vec::new() });
static HOOK: Once = Once::new();

impl Restored {
    fn from_now_on() -> Restored {
        HOLDER.lock().unwrap_or_else(PoisonError::into_inner).thread = Some(thread::current().id());
        HOOK.call_once(|| {
            let tell = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !kept_for_later(info) {
                    give_back();
                    tell(info);
                }
            }));
        });
        Restored
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        give_back();
    }
}

/// A panic of another thread would be told right across the screen, which goes on: it is told when the screen is left.
fn kept_for_later(info: &panic::PanicHookInfo<'_>) -> bool {
    let mut holder = HOLDER.lock().unwrap_or_else(PoisonError::into_inner);
    let elsewhere = holder.thread.is_some_and(|thread| thread != thread::current().id());
    if elsewhere && holder.panics.len() < PANICS_MAX {
        holder.panics.push(info.to_string());
    }
    elsewhere
}

/// Gives the terminal back, once. Errors have nowhere to go: whoever took the terminal away sees that.
fn give_back() {
    let (mouse, panics) = {
        let mut holder = HOLDER.lock().unwrap_or_else(PoisonError::into_inner);
        if holder.thread.take().is_none() {
            return;
        }
        (std::mem::take(&mut holder.mouse), std::mem::take(&mut holder.panics))
    };
    if mouse {
        let _ = execute!(io::stdout(), TellMouse(false));
    }
    let _ = execute!(io::stdout(), EndSynchronizedUpdate, LeaveAlternateScreen, Show);
    let _ = terminal::disable_raw_mode();
    for message in panics {
        eprintln!("keyward: {message}");
    }
}

#[cfg(test)]
mod tests {
    use keyward_protocol::message::manage::Request;

    use super::*;
    use crate::remote::Ticket;

    #[test]
    fn frames_are_drawn_only_when_something_changed_and_a_tenth_of_a_second_apart() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace::default();
        assert!(!pace.due(start));
        assert_eq!(pace.wait(start), LOOK);
        pace.dirty = true;
        assert!(pace.due(start));
        pace.drawn(start);
        pace.dirty = true;
        assert!(!pace.due(after(99)));
        assert_eq!(pace.wait(after(99)), Duration::from_millis(1));
        assert_eq!(pace.wait(after(1)), LOOK);
        assert!(pace.due(after(100)));
    }

    #[test]
    fn a_connection_that_ends_is_told_once_and_what_is_asked_then_has_an_answer() {
        let (sender, told) = mpsc::channel(4);
        let mut outside = Outside { remote: None, told: Some(told) };
        sender.try_send(Told::Link(LinkTold::Connecting)).unwrap();
        drop(sender);
        let mut happened = Vec::new();
        outside.hear(&mut happened);
        outside.hear(&mut happened);
        let told = |event: &Event| matches!(event, Event::Told(Told::Link(_)));
        assert!(happened.len() == 2 && happened.iter().all(told), "{happened:?}");
        let answered = outside.order(Order::Ask(Ticket(7), Request::Overview));
        assert!(matches!(answered, Some(Event::Told(Told::Answer(Ticket(7), _)))));
        assert!(outside.order(Order::Reconnect).is_none());
    }

    #[test]
    fn of_the_mouse_clicks_and_the_wheel_count() {
        let event = |kind| MouseEvent { kind, column: 3, row: 4, modifiers: event::KeyModifiers::NONE };
        let cases = [
            (MouseEventKind::Down(MouseButton::Left), Some(Mouse::Click(3, 4))),
            (MouseEventKind::ScrollUp, Some(Mouse::Wheel { up: true })),
            (MouseEventKind::ScrollDown, Some(Mouse::Wheel { up: false })),
            (MouseEventKind::Down(MouseButton::Right), None),
            (MouseEventKind::Up(MouseButton::Left), None),
            (MouseEventKind::Drag(MouseButton::Left), None),
            (MouseEventKind::Moved, None),
        ];
        for (kind, expected) in cases {
            assert_eq!(moused(event(kind)), expected, "{kind:?}");
        }
        let written = |on| {
            let mut text = String::new();
            TellMouse(on).write_ansi(&mut text).unwrap();
            text
        };
        // What is asked for is given back, the other way round.
        let asked: Vec<String> = written(true).split_inclusive('h').rev().map(|one| one.replace('h', "l")).collect();
        assert_eq!(written(false), asked.concat());
    }

    #[test]
    fn sizes_are_never_nothing_and_never_endless() {
        assert!(matches!(resized(0, 0), Event::Resize { width: 80, height: 24 }));
        assert!(matches!(resized(u16::MAX, 9), Event::Resize { width: SIDE_MAX, height: 9 }));
    }
}
