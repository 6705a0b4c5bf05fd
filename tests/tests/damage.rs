//! Damage to what is on disk: found by `verify`, and never a silent wrong answer at a start.
//!
//! Each fault is one changed byte, or a cut, at a random place of one file of a small server that was stopped in order.
//! `KEYWARD_SEED` repeats a run, `KEYWARD_FAULTS` asks for more faults in each kind of file (100 unless told).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use keyward_protocol::{entry::*, id::*, time::Moment};
use keyward_server::{
    access_log::{self, AccessLog, Batch, Config, CredentialKind, Mode, Outcome, Record, Span, Who},
    domain::{directory::Directory, event::Actor, site::Site},
    engine::{Books, Keeper, Layout, Publisher, Repair, Severity, verify},
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

const PORTFOLIO: PortfolioId = PortfolioId(1);

/// A server's files, with what they say.
struct Server {
    dir: tempfile::TempDir,
    directory: Directory,
    /// The digits of every live code.
    codes: BTreeMap<CodeId, Vec<u8>>,
    records: Vec<Record>,
    now: Moment,
    /// What is compiled of each property.
    indexes: Vec<Vec<u8>>,
}

impl Server {
    fn new() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(&dir.path().join("data"));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/sharing.toml");
        let site = Site::parse("sharing.toml", &fs::read_to_string(file).unwrap()).unwrap();
        let now = Moment::parse("2026-11-23T10:00:00-05:00").unwrap();
        let mut books = Books::create(&layout, &site, now).unwrap();
        // Changes after the first snapshot, among them deleted codes; each in a frame of its own.
        for round in 0..12 {
            let portfolio = books.directory().portfolios[&PORTFOLIO].clone();
            let property = portfolio.properties.values().next().unwrap();
            let giving = property.givings.values().nth(round % property.givings.len()).copied().unwrap();
            let (key, person) = (giving.key, giving.person);
            let commands = match round % 3 {
                0 => vec![Command::Suspend(person, true), Command::Suspend(person, false)],
                _ => {
                    let give = Command::Give { key, person, may_share: Some(true), period: Period::default() };
                    vec![Command::Revoke { key, person }, give]
                }
            };
            for command in commands {
                books.decide(PORTFOLIO, Actor::Administrator, &command, now, None).unwrap();
                let committed = books.commit().unwrap().unwrap();
                books.destroy(&committed).unwrap();
            }
            if round == 6 {
                books.write_snapshot().unwrap();
            }
        }
        books.write_anchor().unwrap();
        let (directory, codes) = (books.directory().clone(), codes(&books));
        // Short segments, so that most are closed: what follows one tells where it has to end.
        let config = Config { mode: Mode::Strict, segment_bytes: 1_000, ..Config::default() };
        let (log, _) = AccessLog::open_with(&layout.log(), books.lineage(), config).unwrap();
        let mut records = Vec::new();
        for chunk in 0..20 {
            let batch: Vec<Record> = (0..5).map(|n| record(now.plus_seconds(chunk * 5 + n), n as u32)).collect();
            records.extend(&batch);
            let pushed = log.producer(0).try_push(Batch { portfolio: PORTFOLIO, records: batch });
            let ticket = pushed.unwrap();
            while !log.producer(0).is_durable(ticket).unwrap() {
                std::thread::yield_now();
            }
        }
        log.shutdown().unwrap();
        let (keeper, _) = Keeper::open(&layout.index(), books.lineage());
        let publisher = Publisher::new(&books, now, (1, 2), keeper);
        let indexes = indexes(&publisher);
        Server { dir, directory, codes, records, now, indexes }
    }

    fn layout(&self) -> Layout {
        Layout::new(&self.dir.path().join("data"))
    }

    /// The files of one kind.
    fn files(&self, kind: &str) -> Vec<PathBuf> {
        let layout = self.layout();
        match kind {
            "journal" => list(&layout.journal()).into_iter().filter(|file| has_extension(file, "kwj")).collect(),
            "snapshot" => list(&layout.snapshots()),
            "vault" => vec![layout.vault(PORTFOLIO)],
            "log" | "open log" => {
                let mut segments = list(&layout.log());
                segments.retain(|file| has_extension(file, "kwl"));
                let last = segments.pop().expect("the log has a segment");
                if kind == "log" { segments } else { vec![last] }
            }
            "log anchor" => vec![layout.log().join("anchor")],
            "index" => files_below(&layout.index()),
            _ => vec![layout.anchor()],
        }
    }

    /// Everything, in a directory of its own.
    fn copy(&self) -> tempfile::TempDir {
        let to = tempfile::tempdir().unwrap();
        copy(self.dir.path(), to.path());
        to
    }
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|found| found == extension)
}

fn record(time: Moment, n: u32) -> Record {
    let (door, key, lock) = (DoorId(n + 1), KeyId(1), LockId(1));
    Record {
        time,
        revision: 3,
        door,
        who: Who::Person(PersonId(n + 1)),
        key,
        lock,
        kind: CredentialKind::Mobile,
        outcome: Outcome::Granted,
    }
}

fn codes(books: &Books) -> BTreeMap<CodeId, Vec<u8>> {
    let portfolio = &books.directory().portfolios[&PORTFOLIO];
    let ids = portfolio.properties.values().flat_map(|property| property.codes.keys());
    ids.filter_map(|id| Some((*id, books.reveal(PORTFOLIO, *id).ok()?.expose().to_vec()))).collect()
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for entry in list(from) {
        let there = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            fs::create_dir(&there).unwrap();
            let mode = fs::metadata(&entry).unwrap().permissions();
            fs::set_permissions(&there, mode).unwrap();
            copy(&entry, &there);
        } else {
            fs::copy(&entry, &there).unwrap();
        }
    }
}

/// Changes one byte, or cuts the file; says what was done.
fn damage(file: &Path, random: &mut StdRng) -> String {
    let mut bytes = fs::read(file).unwrap();
    let at = random.random_range(0..bytes.len());
    let what = match random.random_range(0..8) {
        0 => {
            bytes.truncate(at);
            format!("cut to {at} bytes")
        }
        _ => {
            let with = random.random_range(1..=255_u8);
            bytes[at] ^= with;
            format!("byte {at} ^ {with:#04x}")
        }
    };
    fs::write(file, bytes).unwrap();
    what
}

// L1 C3 C6 L5
#[test]
fn damage_is_found_and_never_a_silent_wrong_answer() {
    let number = |name: &str, otherwise| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (seed, faults): (u64, u64) = (number("KEYWARD_SEED", rand::rng().next_u64()), number("KEYWARD_FAULTS", 100));
    println!("KEYWARD_SEED={seed} KEYWARD_FAULTS={faults}");
    let server = Server::new();
    let whole = verify(&server.layout()).unwrap();
    assert!(whole.iter().all(|finding| finding.severity == Severity::Whole), "{whole:#?}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut refused = 0;
    let (mut lost, mut unnoticed, mut missing, mut mended) = (0, 0, 0, 0);
    for kind in ["journal", "snapshot", "vault", "log", "open log", "log anchor", "anchor", "index"] {
        // Most of a small vault is room for its header.
        let faults = if kind == "vault" { faults * 3 } else { faults };
        for fault in 0..faults {
            let there = server.copy();
            let files = server.files(kind);
            let file = files[random.random_range(0..files.len())].strip_prefix(server.dir.path()).unwrap().to_owned();
            let what = damage(&there.path().join(&file), &mut random);
            let context = format!("KEYWARD_SEED={seed} {kind} {fault}: {} {what}", file.display());
            let layout = Layout::new(&there.path().join("data"));
            let findings = verify(&layout).unwrap();
            let worst = findings.iter().map(|finding| finding.severity).max().unwrap();
            // Bytes that mean nothing may change unnoticed: what lies between a vault's header and its first slot.
            let harmless = worst == Severity::Whole;
            unnoticed += u64::from(harmless);
            match Books::open(&layout) {
                // Refused in words: nothing is judged by it.
                Err(_) => {
                    refused += 1;
                    assert_eq!(
                        worst,
                        Severity::Damaged,
                        "{context}: a start is refused, and verify knows nothing of it"
                    );
                }
                Ok((books, report)) => {
                    assert_eq!(*books.directory(), server.directory, "{context}: the books differ");
                    // Each live code is what it was, or is told as lost.
                    let told: Vec<CodeId> = report.lost.iter().map(|lost| lost.code).collect();
                    lost += told.len();
                    let mut expected = server.codes.clone();
                    expected.retain(|code, _| !told.contains(code));
                    assert_eq!(codes(&books), expected, "{context}: codes differ");
                    if !told.is_empty() {
                        assert_eq!(
                            worst,
                            Severity::Damaged,
                            "{context}: codes are lost, and verify knows nothing of it"
                        );
                    }
                    let lineage = books.lineage();
                    if log_is_right_or_told(&layout, &server, lineage, &context) {
                        missing += 1;
                        assert_eq!(worst, Severity::Damaged, "{context}: records are missing, and verify is at ease");
                    }
                    drop(books);
                    if kind.contains("log") {
                        mended += u64::from(log_is_mended(&layout, &server, lineage, &context));
                    }
                    let (books, _) = Books::open(&layout).unwrap();
                    if kind == "index" {
                        index_is_right(&layout, &server, &books, &context);
                    }
                }
            }
        }
    }
    println!("{refused} starts refused, {lost} codes told as lost, {missing} logs that miss records and say so");
    println!("{mended} logs mended, {unnoticed} faults that mean nothing");
    assert!(refused > 0 && lost > 0 && missing > 0 && mended > 0, "the faults hit nothing");
}

/// What is published beside a damaged shelf is to the byte what is published without one.
fn index_is_right(layout: &Layout, server: &Server, books: &Books, context: &str) {
    let (keeper, _) = Keeper::open(&layout.index(), books.lineage());
    let publisher = Publisher::new(books, server.now, (1, 2), keeper);
    assert_eq!(indexes(&publisher), server.indexes, "{context}: the index differs");
}

/// Every property's index.
fn indexes(publisher: &Publisher) -> Vec<Vec<u8>> {
    let published = publisher.published();
    let publication = published.load();
    let portfolio = publication.portfolio(PORTFOLIO).unwrap();
    let each = (1..10).filter_map(|property| portfolio.property(PropertyId(property)));
    each.map(|index| index.bytes().to_vec()).collect()
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    list(directory).into_iter().flat_map(below).filter(|file| fs::metadata(file).unwrap().len() > 0).collect()
}

/// A repair keeps every record that can be read and tells the rest; then all is whole. Whether there was anything to do.
fn log_is_mended(layout: &Layout, server: &Server, lineage: [u8; 16], context: &str) -> bool {
    let read = || {
        let (log, report) = AccessLog::open(&layout.log(), lineage, Mode::Strict, 1).unwrap();
        let mut all = Vec::new();
        log.visit(&Span::Sequences(0..u64::MAX), |_, sequence, record| all.push((sequence, *record))).unwrap();
        (all, report)
    };
    let (before, _) = read();
    let plan = Repair::plan(layout, None).unwrap();
    let is_needed = !plan.is_empty();
    let told = plan.to_string();
    match is_needed {
        true => _ = plan.carry_out(server.now).unwrap(),
        false => drop(plan),
    }
    let findings = verify(layout).unwrap();
    let damaged = findings.iter().find(|finding| finding.severity == Severity::Damaged);
    assert!(damaged.is_none(), "{context}: {told}: {damaged:?}");
    let (after, report) = read();
    assert_eq!((&after, report.damage.as_slice()), (&before, &[][..]), "{context}: {told}");
    let gaps = access_log::examine(&layout.log(), &lineage).unwrap().gaps;
    for number in 1..=server.records.len() as u64 {
        let is_told = gaps.iter().any(|gap| (gap.first..gap.end).contains(&number));
        let is_there = after.iter().any(|(sequence, _)| *sequence == number);
        assert!(is_told != is_there, "{context}: {told}: {number}");
    }
    is_needed
}

/// Every record that is read is one that was written, in its order; missing ones are told. Whether some are missing.
fn log_is_right_or_told(layout: &Layout, server: &Server, lineage: [u8; 16], context: &str) -> bool {
    let examined = access_log::examine(&layout.log(), &lineage).unwrap();
    let (log, _) = AccessLog::open(&layout.log(), lineage, Mode::Strict, 1).unwrap();
    let mut read = Vec::new();
    let span = Span::Sequences(0..u64::MAX);
    let damage = log.visit(&span, |_, _, record| read.push(*record)).unwrap();
    log.shutdown().unwrap();
    let mut written = server.records.iter();
    for record in &read {
        assert!(written.any(|other| other == record), "{context}: {record:?} was never written there");
    }
    let told = !damage.is_empty() || !examined.damage.is_empty() || examined.torn_bytes > 0;
    let missing = read.len() != server.records.len();
    assert!(!missing || told, "{context}: records are missing and nobody says so");
    missing
}
