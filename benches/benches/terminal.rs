//! From a chord to its frame, and what a terminal is sent, while the live log is at full stream.
//!
//! A real server on loopback holds a portfolio of 200,000 people. The client is driven as its own loop does it
//! (`tui/src/terminal.rs`): the clock, the chord and whatever the connection told meanwhile are one turn, then the frame
//! is drawn, compared with the one before and written, through the real backend into a writer that counts. Every 250 ms of
//! simulated time a batch of the live log is told, as full as the server makes it. Answers are fetched between the turns,
//! and each is a turn of its own: a chord that comes meanwhile waits for it. The measure that ratios are held against is
//! ratatui's own empty frame of the same size, in the same run.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark stops where what it relies on is not there")]

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Write},
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use keyward::{
    app::{App, Effect, Event, FEED, ROWS_MAX, Shell, update},
    remote::{Failure, LinkTold, Order, Ticket, Told},
    terminal::Frames,
    theme::{Glyphs, Theme},
};
use keyward_protocol::{
    client::{ClientIdentity, Connection},
    decision::Reason,
    entry::{Command, Party, PersonSpec},
    id::*,
    message::{
        manage::{Answer, Request},
        watch::{DoorSecond, LiveBatch, LiveRow, Names, Shown, Who},
    },
    time::Moment,
};
use keyward_server::{
    access_log::Mode,
    clock,
    domain::{event::Actor, site::Site},
    engine::{Books, Layout},
    service::{Inside, Options, Server},
};
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};
use tokio::{runtime::Runtime, sync::oneshot};

const SITE: &str = include_str!("../../tests/scenarios/1800-main-st.toml");
const PORTFOLIO: PortfolioId = PortfolioId(1);
const PEOPLE: u32 = 200_000;
/// So many changes share a flush of the journal.
const CHANGES_A_FLUSH: u32 = 256;
const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];
/// As the client asks for it: a batch every so often, with at most so many grants.
const BATCH_MILLIS: i64 = 250;
const GRANTS: u32 = 100;
/// All denials come. So many a second are one try in 0.3 ms: somebody tries codes at every door of a large site.
const DENIALS: u32 = 900;
/// Doors that are counted in a batch.
const DOORS: u32 = 238;
/// Ten chords a second.
const CHORD_MILLIS: i64 = 100;
/// The whole script is gone through so often.
const ROUNDS: usize = 5;
const STREAM_SECONDS: i64 = 60;
const GOAL_P99: Duration = Duration::from_millis(16);
const GOAL_BYTES_A_SECOND: u64 = 30_000;

/// What is pressed, by what it is for: `\n` is Enter, `\t` Tab, `<` page up, `>` page down, `^` Home, `$` End, `~` Esc.
const SCRIPT: &[(&str, &str)] = &[
    ("switching", "1"),
    ("moving", "jjjjjkkkkkjjj"),
    ("switching", "2"),
    ("moving", "jjjjjjjjjjkkkkkjjjjj"),
    ("paging", ">>>>>>>>>><<<<<"),
    ("paging", "$<<<<<<^>>>>>"),
    ("moving", "jjjjjjjjjjkkkkk"),
    ("filtering", "/person 1999~"),
    ("filtering", "/n 7\n"),
    ("moving", "jjjjjkkk"),
    ("paging", ">>><<"),
    ("filtering", "~"),
    ("sorting", "sss"),
    ("marking", "   V>>V~"),
    ("switching", "3"),
    ("moving", "jjjjjjjjkkkk"),
    ("paging", ">>>>$^"),
    ("sorting", "ssss"),
    ("filtering", "/unit 20\n~"),
    ("switching", "4"),
    ("moving", "kkkkjjjj"),
    ("paging", "<<<<<<>>>"),
    ("filtering", "/door:unit deny~"),
    ("following", "$"),
    ("switching", "5671"),
    ("opening", "\n"),
    ("reviewing", "r"),
    ("closing", "~q"),
    ("reviewing", "D"),
    ("closing", "~"),
    ("helping", "?~:people~"),
];

fn main() {
    // `cargo test` runs benchmarks too, to see that they run: this one takes minutes.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let began = Instant::now();
    let served = Served::start(&runtime, &dir.path().join("data"));
    println!("a portfolio of {PEOPLE} people and more is served after {:.1} s", began.elapsed().as_secs_f64());
    for size in SIZES {
        chords(&runtime, &served, size);
    }
    for (size, screen) in [(SIZES[0], '4'), (SIZES[1], '4'), (SIZES[1], '1')] {
        stream(&runtime, &served, size, screen);
    }
    _ = served.stop.send(());
}

struct Served {
    operator: Connection,
    stop: oneshot::Sender<()>,
}

impl Served {
    fn start(runtime: &Runtime, data: &Path) -> Served {
        let layout = Layout::new(data);
        build(&layout);
        runtime.block_on(async {
            let options =
                Options { address: (Ipv4Addr::LOCALHOST, 0).into(), mode: Mode::Strict, clock: clock::system() };
            let server = Server::bind(&layout, options).unwrap();
            let inside = server.inside();
            let (stop, stopped) = oneshot::channel::<()>();
            tokio::spawn(server.serve(async move { _ = stopped.await }));
            let identity = identity(&inside).await;
            let operator = Connection::connect(inside.address, &identity, Duration::from_secs(60)).await.unwrap();
            Served { operator, stop }
        })
    }
}

/// The example building in a portfolio of many more people, each made by a change of their own.
fn build(layout: &Layout) {
    let site = Site::parse("1800-main-st.toml", SITE).unwrap();
    let now = clock::now();
    let mut books = Books::create(layout, &site, now).unwrap();
    for number in 1..=PEOPLE {
        // Names don't come in their order.
        let shuffled = u64::from(number) * 7_919 % 1_000_003;
        let (name, email) = (format!("Person {shuffled:07}"), format!("person{number}@large.example"));
        let spec = PersonSpec { name, email, phone: None, note: None, cards: Vec::new() };
        books.decide(PORTFOLIO, Actor::Administrator, &Command::MakePerson(spec), now, None).unwrap();
        if number % CHANGES_A_FLUSH == 0 || number == PEOPLE {
            let committed = books.commit().unwrap().expect("people were made");
            books.destroy(&committed).unwrap();
        }
    }
}

async fn identity(inside: &Inside) -> ClientIdentity {
    let here = inside.clone();
    let pass = tokio::task::spawn_blocking(move || {
        let directory = here.engine.directory();
        let manager = *directory.portfolios[&PORTFOLIO].managers.iter().next().expect("a portfolio has a manager");
        here.join(PORTFOLIO, Party::Operator(manager)).unwrap()
    });
    let pass = pass.await.unwrap();
    ClientIdentity::new(pass.ca_pem.as_str(), pass.certificate_pem.as_str(), pass.key_pem.as_str())
}

/// A terminal that only counts.
#[derive(Default)]
struct Counter(u64);

impl Write for &mut Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The client, with a clock that goes on when it is told to.
struct Client<'a> {
    app: App,
    frames: Frames<&'a mut Counter>,
    runtime: &'a Runtime,
    served: &'a Served,
    asked: VecDeque<(Ticket, Request)>,
    now: Moment,
    next_batch: Moment,
    batches: i64,
    /// So many rows of people came: the lists that are measured are as long as they are said to be.
    people_told: usize,
}

impl<'a> Client<'a> {
    fn new(
        runtime: &'a Runtime,
        served: &'a Served,
        (width, height): (u16, u16),
        counter: &'a mut Counter,
    ) -> Client<'a> {
        let app = App::new(Shell::new("large", Theme::COLOURS, Glyphs::UNICODE));
        let (frames, now) = (Frames::new(counter), clock::now());
        let mut client = Client {
            app,
            frames,
            runtime,
            served,
            asked: VecDeque::new(),
            now,
            next_batch: now,
            batches: 0,
            people_told: 0,
        };
        let up = Event::Told(Told::Link(LinkTold::Up(Duration::from_millis(1))));
        client.turn(vec![Event::Resize { width, height }, Event::Tick(now), up]);
        client.settle(&mut Vec::new());
        // The log is full, as it is after minutes of this.
        while client.app.shell.feed.logs.counts().1 < ROWS_MAX {
            client.turn(vec![]);
            client.later(BATCH_MILLIS);
        }
        client
    }

    fn later(&mut self, millis: i64) {
        self.now = self.now.plus_micros(millis * 1_000);
    }

    /// One turn of the loop: what happened, with the batch that is due, then the frame.
    fn turn(&mut self, mut happened: Vec<Event>) -> Duration {
        if self.now >= self.next_batch {
            self.next_batch = self.next_batch.plus_micros(BATCH_MILLIS * 1_000);
            self.batches += 1;
            happened.push(Event::Told(Told::Live(FEED, Box::new(batch(self.batches, self.now)))));
        }
        let tick = Event::Tick(self.now);
        let began = Instant::now();
        for event in std::iter::once(tick).chain(happened) {
            for effect in update(&mut self.app, event) {
                match effect {
                    Effect::Order(Order::Ask(ticket, request)) => self.asked.push_back((ticket, request)),
                    Effect::Repaint => {
                        self.frames.forget(Rect::new(0, 0, self.app.shell.width, self.app.shell.height));
                    }
                    Effect::Quit => panic!("nobody wanted to leave"),
                    _ => {}
                }
            }
        }
        self.frames.draw(&self.app).unwrap();
        began.elapsed()
    }

    /// Fetches what was asked until nothing more is; each answer is a turn.
    fn settle(&mut self, turns: &mut Vec<Duration>) {
        while let Some((ticket, request)) = self.asked.pop_front() {
            let answer = self.runtime.block_on(self.served.operator.ask_for(&request));
            let answer = match answer {
                Ok(Answer::Refused(refusal)) => Err(Failure::Refused(refusal)),
                Ok(answer) => {
                    if let Answer::People(list) = &answer {
                        self.people_told += list.rows.len();
                    }
                    Ok(answer)
                }
                Err(error) => panic!("{request:?}: {error}"),
            };
            turns.push(self.turn(vec![Event::Told(Told::Answer(ticket, Box::new(answer)))]));
        }
    }
}

/// A batch of the live log as full as it gets.
fn batch(number: i64, now: Moment) -> LiveBatch {
    // No row is like the one that stood in its place before.
    let dice = |place: u32, sides: u32| {
        let number = u64::try_from(number).unwrap_or(0) * 1_000 + u64::from(place);
        u32::try_from((number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) % u64::from(sides)).unwrap_or(0)
    };
    let row = |place: u32| {
        let granted = dice(place + 7, GRANTS + DENIALS) < GRANTS;
        let reasons = [Reason::NoKey, Reason::OutsideSchedule, Reason::UnknownCredential, Reason::Expired];
        let reason = *reasons.get(dice(place, 4) as usize).unwrap_or(&Reason::NoKey);
        LiveRow {
            time: now.plus_micros(-i64::from((GRANTS + DENIALS - place) * 200)),
            revision: 1,
            door: DoorId(dice(place, DOORS) + 1),
            who: if dice(place, 3) == 0 { Who::Nobody } else { Who::Person(PersonId(dice(place, 400) + 1)) },
            key: granted.then_some(KeyId(dice(place, 200) + 1)),
            another_key: false,
            lock: None,
            shown: if dice(place, 5) < 3 { Shown::Mobile } else { Shown::Code },
            denied: (!granted).then_some(reason),
        }
    };
    let rows: Vec<LiveRow> = (0..GRANTS + DENIALS).map(row).collect();
    let second = now.as_micros().div_euclid(1_000_000);
    let count = |door| DoorSecond { door: Some(DoorId(door)), second, granted: 1_000, denied: 4 };
    let names = Names {
        people: (1..=400).map(|id| (PersonId(id), format!("Person {id:07}"))).collect(),
        doors: (1..=DOORS).map(|id| (DoorId(id), format!("Unit {id}"))).collect(),
        keys: (1..=200).map(|id| (KeyId(id), format!("Key {id}"))).collect(),
        carriers: Vec::new(),
    };
    LiveBatch {
        sequence: u64::try_from(number).unwrap_or(0),
        counts: (1..=DOORS).map(count).collect(),
        rows,
        sampled_one_in: 2_380,
        passed_over: u64::from(DOORS) * 1_000 - u64::from(GRANTS),
        dropped: 0,
        names,
    }
}

fn key(c: char) -> KeyCode {
    match c {
        '\n' => KeyCode::Enter,
        '\t' => KeyCode::Tab,
        '<' => KeyCode::PageUp,
        '>' => KeyCode::PageDown,
        '^' => KeyCode::Home,
        '$' => KeyCode::End,
        '~' => KeyCode::Esc,
        c => KeyCode::Char(c),
    }
}

/// Presses the script, and says how long its turns took.
fn chords(runtime: &Runtime, served: &Served, size: (u16, u16)) {
    let mut counter = Counter::default();
    let mut client = Client::new(runtime, served, size, &mut counter);
    let mut turns: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut answers = Vec::new();
    // Everybody of the portfolio, not only who holds something in the building.
    for c in ['2', 'a'] {
        client.turn(vec![Event::Key(KeyEvent::new(key(c), KeyModifiers::NONE))]);
        client.settle(&mut Vec::new());
    }
    for _ in 0..ROUNDS {
        for (what, chords) in SCRIPT {
            for c in chords.chars() {
                client.later(CHORD_MILLIS);
                let took = client.turn(vec![Event::Key(KeyEvent::new(key(c), KeyModifiers::NONE))]);
                turns.entry(what).or_default().push(took);
                client.settle(&mut answers);
            }
        }
    }
    assert!(client.people_told >= PEOPLE as usize, "{} rows of people came", client.people_told);
    let empty = empty_frame(size);
    println!("\n{}x{}: an empty frame takes {} us (median)", size.0, size.1, empty.as_micros());
    let mut all: Vec<Duration> = turns.values().flatten().copied().collect();
    for (what, turns) in &mut turns {
        tell(what, turns, empty);
    }
    tell("an answer's turn", &mut answers, empty);
    let p99 = tell("all chords", &mut all, empty);
    let met = if p99 < GOAL_P99 { "met" } else { "NOT MET" };
    println!("goal: p99 of all chords below {} ms: {met}", GOAL_P99.as_millis());
}

/// Prints percentiles in microseconds and as times an empty frame; returns the 99th.
fn tell(what: &str, turns: &mut [Duration], empty: Duration) -> Duration {
    turns.sort_unstable();
    let at = |percent: usize| turns.get((turns.len() * percent / 100).min(turns.len().saturating_sub(1))).copied();
    let (p50, p99, worst) = (at(50).unwrap_or_default(), at(99).unwrap_or_default(), at(100).unwrap_or_default());
    let ratio = |took: Duration| took.as_secs_f64() / empty.as_secs_f64();
    println!(
        "{what:>16}: {:>5} turns  p50 {:>6} us ({:>6.1}x)  p99 {:>6} us ({:>6.1}x)  worst {:>7} us ({:>6.1}x)",
        turns.len(),
        p50.as_micros(),
        ratio(p50),
        p99.as_micros(),
        ratio(p99),
        worst.as_micros(),
        ratio(worst)
    );
    p99
}

/// What ratatui takes for a frame with nothing in it.
fn empty_frame((width, height): (u16, u16)) -> Duration {
    let mut counter = Counter::default();
    let area = Rect::new(0, 0, width, height);
    let options = TerminalOptions { viewport: Viewport::Fixed(area) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(&mut counter), options).unwrap();
    let mut frames: Vec<Duration> = (0..2_000)
        .map(|_| {
            let began = Instant::now();
            terminal.draw(|_| {}).unwrap();
            began.elapsed()
        })
        .collect();
    frames.sort_unstable();
    frames[frames.len() / 2]
}

/// Watches the log for a minute of simulated time, and says how much the terminal was sent.
fn stream(runtime: &Runtime, served: &Served, size: (u16, u16), screen: char) {
    let mut counter = Counter::default();
    let mut client = Client::new(runtime, served, size, &mut counter);
    client.turn(vec![Event::Key(KeyEvent::new(key(screen), KeyModifiers::NONE))]);
    client.settle(&mut Vec::new());
    let (app, now) = (client.app, client.now);
    let mut counter = Counter::default();
    let mut client = Client {
        app,
        frames: Frames::new(&mut counter),
        now,
        next_batch: now,
        asked: VecDeque::new(),
        runtime,
        served,
        batches: 0,
        people_told: 0,
    };
    client.frames.forget(Rect::new(0, 0, size.0, size.1));
    let mut frames = 0;
    // A frame every tenth of a second at most: each of these turns draws.
    for _ in 0..STREAM_SECONDS * 10 {
        client.later(100);
        client.turn(vec![]);
        client.settle(&mut Vec::new());
        frames += 1;
    }
    drop(client);
    let a_second = counter.0 / u64::try_from(STREAM_SECONDS).unwrap_or(1);
    let met = if a_second <= GOAL_BYTES_A_SECOND { "met" } else { "NOT MET" };
    println!(
        "\n{}x{} on screen {screen}: {} bytes a second at full stream, in {frames} looks within {STREAM_SECONDS} s; goal at most {GOAL_BYTES_A_SECOND}: {met}",
        size.0, size.1, a_second
    );
}
