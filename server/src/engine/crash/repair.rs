//! A repair that stops: it is gone on with, and nothing that it replaced is missing.

use std::fs;

use super::*;
use crate::{
    access_log::{self, AccessLog, Batch, Mode, Span},
    domain::command::Command,
};

const NOW: Moment = Moment::from_micros(1_795_000_000_000_000);
const ATTEMPTS: u32 = 24;

/// Something that happens to a server's files.
type Damage = fn(&Layout);

/// A damaged server with a backup of it from before.
struct Damaged {
    image: Image,
    /// The Directory, and its live codes, as they are once it is repaired.
    directory: Vec<u8>,
    codes: BTreeMap<CodeId, Digits>,
    /// The records that can be read.
    records: Vec<u32>,
}

/// So many attempts in chunks of two, in several segments.
fn record_attempts(layout: &Layout, lineage: [u8; 16]) {
    let log = script::open_log(&Disk::new(), layout, lineage).unwrap();
    for first in (1..=ATTEMPTS).step_by(2) {
        let records = (first..first + 2).map(|number| script::record(number, NOW)).collect();
        let producer = log.producer(0);
        let ticket = producer.push_blocking(Batch { portfolio: script::PORTFOLIO, records }).unwrap();
        producer.durable_blocking(ticket).unwrap();
    }
    log.shutdown().unwrap();
}

fn records(layout: &Layout, lineage: [u8; 16]) -> Vec<u32> {
    let (log, _) = AccessLog::open(&layout.log(), lineage, Mode::Strict, 1).unwrap();
    let mut all = Vec::new();
    log.visit(&Span::Sequences(0..u64::MAX), |_, _, record| all.push(record.door.0)).unwrap();
    all
}

fn layouts(root: &Path) -> (Layout, Layout) {
    (Layout::new(&root.join("data")), Layout::new(&root.join("backup")))
}

fn codes(books: &Books) -> BTreeMap<CodeId, Digits> {
    let portfolio = &books.directory().portfolios[&script::PORTFOLIO];
    let all = portfolio.properties.values().flat_map(|of| of.codes.keys().copied());
    all.filter_map(|code| Some((code, books.reveal(script::PORTFOLIO, code).ok()?))).collect()
}

/// Some steps, the last of which deletes codes, and then damage.
fn damaged(damage: Damage) -> Damaged {
    let root = room();
    let (layout, _) = layouts(root.path());
    let mut books = script::create(&Medium::default(), &layout);
    let steps: [fn(PersonId) -> Command; 3] = [
        |ana| Command::Give { key: KeyId(2), person: ana, may_share: None, period: Default::default() },
        |ana| Command::Suspend(ana, true),
        |ana| Command::Revoke { key: KeyId(2), person: ana },
    ];
    for step in steps {
        let portfolio = &books.directory().portfolios[&script::PORTFOLIO];
        let ana = portfolio.person_by_email("ana@harbor.example").unwrap().id;
        books.decide(script::PORTFOLIO, Actor::Administrator, &step(ana), NOW, None).unwrap();
        let committed = books.commit().unwrap().unwrap();
        books.destroy(&committed).unwrap();
    }
    books.write_anchor().unwrap();
    let (directory, codes, lineage) = (encode_directory(books.directory()), codes(&books), books.lineage());
    drop(books);
    record_attempts(&layout, lineage);
    let all = Image::read(root.path());
    for (name, bytes) in all.files {
        let name = name.to_string_lossy().replacen("data", "backup", 1);
        fs::create_dir_all(root.path().join(&name).parent().unwrap()).unwrap();
        fs::write(root.path().join(&name), bytes).unwrap();
    }
    damage(&layout);
    let image = Image::read(root.path());
    // A log that is opened is changed.
    let records = records(&layout, lineage);
    Damaged { image, directory, codes, records }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

impl Damaged {
    /// Repairs on a recorded disk, and then what each moment of that leaves.
    fn go_through(&self, what: &str) -> Vec<String> {
        let room = super::room();
        self.image.lay_out(room.path());
        let (layout, backup) = layouts(room.path());
        let recorder = Recorder::new(room.path());
        let plan = Repair::plan(&layout, Some(backup.data())).unwrap();
        plan.carry_out_on(&Disk::witnessed(recorder.clone()), NOW).unwrap();
        let events = recorder.take();
        assert!(events.len() > 15, "{what}: {} operations are too few", events.len());
        let mut machine = Machine::new(&self.image);
        let mut images: Vec<(String, Image)> = Vec::new();
        for (at, event) in events.iter().map(Some).chain([None]).enumerate() {
            let next = match event {
                Some(Event::Did(did)) => Some(did),
                _ => None,
            };
            let told = next.map_or("the end".to_owned(), ToString::to_string);
            let mut add = |kind: &str, image| images.push((format!("{what}: {kind} at operation {at}, {told}"), image));
            add("a kill", machine.killed(next));
            add("a power cut", machine.powerless(next, None));
            add("a power cut that kept some", machine.powerless(next, Some(at as u64)));
            if let Some(next) = next {
                machine.apply(next);
            }
        }
        println!("{what}: {} operations", events.len());
        each_on_every_core(images.len(), |at| {
            let (context, image) = &images[at];
            self.is_repaired(image).map_err(|why| format!("{context}: {why}"))
        })
    }

    /// The next repair finishes what a stopped one left; then all is there.
    fn is_repaired(&self, image: &Image) -> Result<(), String> {
        let room = super::room();
        image.lay_out(room.path());
        let (layout, backup) = layouts(room.path());
        let plan = || Repair::plan(&layout, Some(backup.data())).map_err(|error| error.to_string());
        let first = plan()?;
        // The plan has the lock.
        match first.is_empty() {
            true => drop(first),
            false => _ = first.carry_out(NOW).map_err(|error| error.to_string())?,
        }
        // What was put in place was whole.
        let second = plan()?;
        if !second.is_empty() {
            return Err(format!("there is more to repair: {second}"));
        }
        drop(second);
        let (books, report) = Books::open(&layout).map_err(|error| format!("no start: {error}"))?;
        if encode_directory(books.directory()) != self.directory || !report.lost.is_empty() || report.torn_bytes > 0 {
            return Err(format!("the books differ: {report:?}"));
        }
        if codes(&books) != self.codes {
            return Err("the codes differ".to_owned());
        }
        let lineage = books.lineage();
        drop(books);
        let log = access_log::examine(&layout.log(), &lineage).map_err(|error| error.to_string())?;
        if !log.damage.is_empty() || log.next_sequence != u64::from(ATTEMPTS) + 1 {
            return Err(format!("the log: {log:?}"));
        }
        let lost: u64 = log.gaps.iter().map(access_log::Gap::count).sum();
        if lost + self.records.len() as u64 != u64::from(ATTEMPTS) || records(&layout, lineage) != self.records {
            return Err(format!("{:?} of the log could be read, {:?} are told as lost", self.records, log.gaps));
        }
        let findings = verify(&layout).map_err(|error| error.to_string())?;
        match findings.iter().find(|finding| finding.severity == Severity::Damaged) {
            Some(damaged) => Err(damaged.to_string()),
            None => Ok(()),
        }
    }
}

// L5 C3
#[test]
fn whenever_a_repair_stops_the_next_one_finishes_it() {
    let vault = |layout: &Layout| fs::remove_file(layout.vault(script::PORTFOLIO)).unwrap();
    let frame = |layout: &Layout| flip(&layout.journal().join("0000000000000001.kwj"), 200);
    let snapshot = |layout: &Layout| {
        flip(&layout.snapshots().join("0000000000000001.kws"), 100);
        fs::remove_file(layout.anchor()).unwrap();
    };
    let slot = |layout: &Layout| {
        // The secret half of each: those that live come from the backup.
        let slots = (fs::metadata(layout.vault(script::PORTFOLIO)).unwrap().len() as usize - 8_192) / 128;
        (0..slots).for_each(|slot| flip(&layout.vault(script::PORTFOLIO), 8_192 + slot * 128 + 70));
    };
    let root = |layout: &Layout| fs::remove_file(layout.root()).unwrap();
    let authority = |layout: &Layout| fs::write(layout.secrets().join("authority.pem"), "").unwrap();
    let log = |layout: &Layout| {
        let mut segments: Vec<std::path::PathBuf> =
            fs::read_dir(layout.log()).unwrap().map(|entry| entry.unwrap().path()).collect();
        segments.retain(|path| path.extension().is_some_and(|ending| ending == "kwl"));
        segments.sort();
        assert!(segments.len() > 2, "{segments:?}");
        // A record of the second chunk, a header, and a segment.
        flip(&segments[0], 96 + 96 + 64 + 96 + 5);
        flip(&segments[1], 20);
        fs::remove_file(segments.last().unwrap()).unwrap();
    };
    let all: [(&str, Damage); 7] = [
        ("the log", log),
        ("a frame", frame),
        ("a snapshot and the anchor", snapshot),
        ("the vault", vault),
        ("its slots", slot),
        ("the root", root),
        ("the authority", authority),
    ];
    let failures: Vec<String> = all.into_iter().flat_map(|(what, damage)| damaged(damage).go_through(what)).collect();
    assert_none(&failures);
}
