//! How long a server with a million givings takes to answer its first check, and to be rebuilt from its journal.
//!
//! Makes a data directory through the engine's own books: the example building again and again, each door, Key, person
//! and giving a change of its own, with the door codes that follow. Then processes of their own start a server there,
//! as it was left, and with snapshots and indexes taken away, and ask it over QUIC until it answers.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command as Process, ExitCode},
    time::{Duration, Instant},
};

use clap::Parser;
use keyward_protocol::{
    client::{ClientIdentity, Connection},
    code::{Card, Credential},
    entry::*,
    id::*,
    message::check::{Check, Outcome},
    time::Moment,
};
use keyward_server::{
    access_log::Mode,
    clock,
    domain::{directory::Portfolio, event::Actor, site::Site},
    engine::{Books, Engine, Keeper, Layout, Medium, Publisher},
    identity::Authority,
    progress::Progress,
    service::{self, Options, Server},
};
use tokio::sync::oneshot;

const SITE: &str = include_str!("../../../tests/scenarios/1800-main-st.toml");
const PORTFOLIO: PortfolioId = PortfolioId(1);
/// Changes that share a flush of the journal, as under load.
const BATCH: u64 = 256;
/// Until the first check is answered.
const GOAL_START: Duration = Duration::from_secs(5);
/// The same, with nothing but the journal.
const GOAL_REBUILD: Duration = Duration::from_secs(30);

/// Measure how a large server starts.
#[derive(Parser, Debug)]
#[command(name = "keyward-start", version)]
struct Arguments {
    /// Givings to make.
    #[arg(long, default_value_t = 1_000_000)]
    givings: u64,
    /// Where to make the data, or where it was made before; a temporary directory (in memory, if there is one) unless
    /// told.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Only start the server in this data directory, ask it, and say how long it took.
    #[arg(long, value_name = "DATA", hide = true)]
    measure: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.measure {
        Some(data) => measure(&Layout::new(data)),
        None => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("keyward-start: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let memory = Path::new("/dev/shm");
    let temporary = match &arguments.dir {
        Some(_) => None,
        None if memory.is_dir() => Some(tempfile::tempdir_in(memory).map_err(told)?),
        None => Some(tempfile::tempdir().map_err(told)?),
    };
    let dir = temporary.as_ref().map(tempfile::TempDir::path).or(arguments.dir.as_deref()).unwrap_or(memory);
    let layout = Layout::new(&dir.join("data"));
    if !layout.data().exists() {
        build(&layout, arguments.givings)?;
    }
    for (part, path) in [("journal", layout.journal()), ("snapshots", layout.snapshots()), ("index", layout.index())] {
        println!("{part}: {} MB", bytes(&path) >> 20);
    }
    println!("vault: {} MB", bytes(&layout.vault(PORTFOLIO)) >> 20);
    println!("as it was left (goal: the first check within {} s)", GOAL_START.as_secs());
    start_in_a_process(layout.data())?;
    // Set aside, not removed: a directory that is kept can be measured again.
    let aside = |path: &Path| path.with_extension("aside");
    for path in [layout.snapshots(), layout.index()] {
        fs::rename(&path, aside(&path)).map_err(told)?;
    }
    println!("from the journal and the vault alone (goal: the first check within {} s)", GOAL_REBUILD.as_secs());
    let started = start_in_a_process(layout.data());
    for path in [layout.snapshots(), layout.index()] {
        _ = fs::remove_dir_all(&path);
        fs::rename(aside(&path), &path).map_err(told)?;
    }
    started
}

fn start_in_a_process(data: &Path) -> Result<(), String> {
    let this = std::env::current_exe().map_err(told)?;
    let status = Process::new(this).arg("--measure").arg(data).status().map_err(told)?;
    if status.success() { Ok(()) } else { Err("the server did not start".to_owned()) }
}

/// Starts a server and asks it until it answers, a mobile identity first and then a code.
fn measure(layout: &Layout) -> Result<(), String> {
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(told)?;
    runtime.block_on(async {
        let options = Options { address: (Ipv4Addr::LOCALHOST, 0).into(), mode: Mode::Strict, clock: clock::system() };
        let server = Server::bind_on(&Medium::default(), layout, options, Progress::on_stderr()).map_err(told)?;
        let inside = server.inside();
        let bound = began.elapsed();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(async move { _ = stopped.await }));
        let directory = inside.engine.directory();
        let portfolio = directory.portfolios.get(&PORTFOLIO).ok_or("there is no portfolio")?;
        let identity = ClientIdentity::load(&operator(layout)).map_err(told)?;
        let connection = Connection::connect(inside.address, &identity, Duration::from_secs(60)).await.map_err(told)?;
        let property = portfolio.properties.values().next_back().ok_or("there is no property")?;
        let code = property.codes.values().next_back().ok_or("there is no code")?;
        let person = portfolio.people.get(&code.person).ok_or("the code is nobody's")?;
        let mobile = Check { door: code.door, credential: Credential::Mobile(person.mobile) };
        let first = connection.check(mobile.door, mobile.credential).await.outcome;
        let answered = began.elapsed();
        if !matches!(first, Outcome::Granted | Outcome::Denied) {
            return Err(format!("the first check was answered {first:?}"));
        }
        let (engine, id) = (inside.engine.clone(), code.id);
        let digits = tokio::task::spawn_blocking(move || engine.reveal(PORTFOLIO, id)).await.map_err(told)?;
        let typed = connection.check(code.door, Credential::Code(digits.map_err(told)?)).await.outcome;
        let codes = began.elapsed();
        if !matches!(typed, Outcome::Granted | Outcome::Denied) {
            return Err(format!("the first code was answered {typed:?}"));
        }
        let givings: usize = portfolio.properties.values().map(|property| property.givings.len()).sum();
        let codes_live: usize = portfolio.properties.values().map(|property| property.codes.len()).sum();
        let (revision, properties) = (portfolio.revision, portfolio.properties.len());
        println!("  {givings} givings, {codes_live} codes, {properties} properties, revision {revision}");
        println!(
            "  bound after {:.2} s, first check answered after {:.2} s, codes after {:.2} s, at most {} MB of memory",
            bound.as_secs_f64(),
            answered.as_secs_f64(),
            codes.as_secs_f64(),
            peak_megabytes(),
        );
        connection.close();
        _ = stop.send(());
        serving.await.map_err(told)
    })
}

/// Makes the data directory, a snapshot and the index.
fn build(layout: &Layout, givings: u64) -> Result<(), String> {
    let began = Instant::now();
    let site = Site::parse("1800-main-st.toml", SITE).map_err(|_| "the example site is not right")?;
    let now = clock::now();
    let mut builder = Builder { books: Books::create(layout, &site, now).map_err(told)?, now, undecided: 0 };
    let example = site.portfolio(PORTFOLIO);
    Progress::on_stderr().during("making the data", "givings", |counter| {
        let mut made = example.properties.values().map(|property| property.givings.len() as u64).sum::<u64>();
        let mut copy = 0;
        while made < givings {
            counter.at(made, givings);
            copy += 1;
            made += builder.copy(&example, copy)?;
        }
        builder.commit()
    })?;
    let books = builder.books;
    let (shelf, _) = Keeper::open(&layout.index(), books.lineage());
    let publisher = Publisher::new(&books, now, (1, 2), shelf);
    let manager = example.managers.iter().next().ok_or("nobody manages the example")?;
    let (engine, running) = Engine::start(books, publisher, clock::system());
    // Somebody to ask with: who joins a server that has just started waits for its door codes.
    let authority = Authority::open(layout.secrets()).map_err(told)?;
    let pass = service::join_here(&engine, &authority, PORTFOLIO, Party::Operator(*manager), now).map_err(told)?;
    let identity = ClientIdentity::new(pass.ca_pem.as_str(), pass.certificate_pem.as_str(), pass.key_pem.as_str());
    identity.save(&operator(layout)).map_err(told)?;
    running.stop();
    println!("made in {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Where the identity lies that the measuring asks with.
fn operator(layout: &Layout) -> PathBuf {
    layout.data().with_file_name("operator")
}

struct Builder {
    books: Books,
    now: Moment,
    undecided: u64,
}

impl Builder {
    /// One more building with its people; how many givings it has.
    fn copy(&mut self, example: &Portfolio, copy: u64) -> Result<u64, String> {
        let Some(property) = example.properties.values().next() else { return Ok(0) };
        let ids = self.next()?;
        let here = PropertyId(ids.property);
        // Ids are given in order, here as in the example.
        let person = |id: PersonId| PersonId(id.0 - 1 + ids.person);
        let door = |id: DoorId| DoorId(id.0 - 1 + ids.door);
        let schedule = |id: ScheduleId| ScheduleId(id.0 - 1 + ids.schedule);
        let facts = property.facts.clone();
        let (name, zone, codes) = (format!("{} {copy}", facts.name), facts.zone, facts.codes);
        self.run(Command::MakeProperty(PropertySpec { name, zone, codes, on_log_failure: facts.on_log_failure }))?;
        self.run(Command::SetHolidays(here, property.holidays.clone()))?;
        for other in example.people.values() {
            let cards =
                other.cards.iter().enumerate().map(|(at, _)| card(copy, other.id, at)).collect::<Result<_, _>>();
            let (name, email) = (other.name.clone(), format!("b{copy}.{}", other.email));
            let spec = PersonSpec { name, email, phone: other.phone.clone(), note: other.note.clone(), cards: cards? };
            self.run(Command::MakePerson(spec))?;
        }
        for other in property.doors.values() {
            let (name, labels) = (other.name.clone(), other.labels.clone());
            self.run(Command::MakeDoor(here, DoorSpec { name, kind: other.kind, occupied: other.occupied, labels }))?;
        }
        for other in property.schedules.values() {
            self.run(Command::MakeSchedule(here, other.name.clone(), other.hours.clone()))?;
        }
        let scheduled = |opening: Opening| match opening.schedule {
            ScheduleRef::Named(id) => Opening { schedule: ScheduleRef::Named(schedule(id)), ..opening },
            ScheduleRef::Always => opening,
        };
        let mut keys = std::collections::BTreeMap::new();
        for other in property.keys.values() {
            keys.insert(other.id, KeyId(self.next()?.key));
            let doors = other.doors.iter();
            let doors = doors.map(|entry| KeyDoor { door: door(entry.door), opening: scheduled(entry.opening) });
            let rules = other.rules.iter().map(|rule| DoorRule {
                opening: scheduled(rule.opening),
                except: rule.except.iter().map(|except| door(*except)).collect(),
                ..rule.clone()
            });
            let (name, may_share) = (other.name.clone(), other.may_share);
            let (doors, rules) = (doors.collect(), rules.collect());
            self.run(Command::MakeKey(here, KeySpec { name, may_share, doors, rules }))?;
        }
        self.run(Command::SetDeliveries(here, property.deliveries.is_some()))?;
        let key = |id: KeyId| keys.get(&id).copied().unwrap_or_default();
        for giving in property.givings.values() {
            let over = giving.until.is_some_and(|until| until <= self.now);
            let period = if over { Period::default() } else { Period { from: giving.from, until: giving.until } };
            let (key, person) = (key(giving.key), person(giving.person));
            self.run(Command::Give { key, person, may_share: Some(giving.may_share), period })?;
        }
        for share in property.shares.values() {
            let Some(giving) = property.givings.get(&share.giving) else { continue };
            let (key, host, guest) = (key(giving.key), person(giving.person), person(share.guest));
            let doors = share.doors.as_ref().map(|doors| doors.iter().map(|one| door(*one)).collect());
            self.run(Command::Share { key, host, guest, doors, period: Period::default() })?;
        }
        Ok(property.givings.len() as u64)
    }

    fn next(&self) -> Result<keyward_server::domain::directory::NextIds, String> {
        let portfolio = self.books.directory().portfolios.get(&PORTFOLIO);
        Ok(portfolio.ok_or("there is no portfolio")?.next)
    }

    fn run(&mut self, command: Command) -> Result<(), String> {
        let decided = self.books.decide(PORTFOLIO, Actor::Administrator, &command, self.now, None);
        decided.map_err(|refusal| format!("{command:?}: {refusal}"))?;
        self.undecided += 1;
        if self.undecided.is_multiple_of(BATCH) { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), String> {
        if let Some(committed) = self.books.commit().map_err(told)? {
            self.books.destroy(&committed).map_err(told)?;
        }
        Ok(())
    }
}

/// A card of its own: 7 bytes that no other one has.
fn card(copy: u64, person: PersonId, at: usize) -> Result<Card, String> {
    let number = format!("{copy:06x}{:06x}{at:02x}", person.0);
    Card::parse_hex(&number).ok_or_else(|| format!("`{number}` is no card"))
}

fn bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return fs::metadata(path).map_or(0, |found| found.len()) };
    entries.flatten().map(|entry| bytes(&entry.path())).sum()
}

fn peak_megabytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() >> 10
}

fn told(error: impl ToString) -> String {
    error.to_string()
}
