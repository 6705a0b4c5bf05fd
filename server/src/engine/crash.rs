//! The crash matrix: one script through the real writer and the real log, stopped at every single operation on the
//! disk, by an error, by a kill and by a power cut; and what a start makes of what is left.
//!
//! A run is recorded once, operation by operation, with every acknowledgement at its place between them. From that
//! record follows what the disk holds at any moment: what was written (a kill), what was flushed (a power cut), and
//! whatever a power cut may have kept of the rest. Each such disk is laid out and opened. What the server *does* about
//! an error can't be read off a record: for that the script is run anew for each operation that fails.
//!
//! sled does its own input and output. It is only a cache, so it gets rows of its own: every state of the books
//! beside every state of the shelf.

mod again;
mod authority;
mod images;
mod init;
mod repair;
mod script;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{replay::Replay, *};
use crate::{
    disk::{Disk, Verdict},
    store::{journal, record::encode_directory},
    vault::{self, RevealError, RootSecret, Vault},
};
use images::{Event, Image, Machine, Mark, Recorder};
use script::{Boundary, Play, Session, answers, log_numbers};

/// Mixed images at each operation: what a power cut kept of what was not flushed is drawn.
const MIXED: u64 = 3;

/// A directory in memory where there is one: nothing here is about how fast a disk is.
fn room() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// One run of the script, with everything that is needed to lay out what it left at any moment.
struct Recorded {
    /// Everything before the script began.
    before: Image,
    events: Vec<Event>,
    boundaries: Vec<Boundary>,
    /// The Directory after each frame of the journal, with the boundary that it is.
    frames: Vec<(Vec<u8>, Option<usize>)>,
    /// Salt and seal of every code that ever stood in a vault.
    secrets: BTreeMap<(PortfolioId, CodeId), BTreeSet<Vec<u8>>>,
    /// The shelf after each session.
    shelves: Vec<Image>,
    /// The boundary after the first rotation.
    rotated: usize,
}

impl Recorded {
    fn new() -> Recorded {
        let root = room();
        let layout = Layout::new(&root.path().join("data"));
        let plain = Medium { segment_bytes: script::SEGMENT_BYTES, ..Medium::default() };
        drop(script::create(&plain, &layout));
        let before = Image::read(root.path());
        let recorder = Recorder::new(root.path());
        let mut play = Play::new(&layout, Disk::witnessed(recorder.clone()), |mark| recorder.mark(mark));
        let mut shelves = vec![Image::default()];
        for session in script::sessions() {
            play.session(&session, true).unwrap();
            shelves.push(Image::read(&layout.index()));
        }
        let (boundaries, rotated) = (play.boundaries, play.rotated.unwrap());
        let frames = frames(&layout, &boundaries);
        let events = recorder.take();
        let secrets = secrets(&before, &events);
        Recorded { before, events, boundaries, frames, secrets, shelves, rotated }
    }

    /// Shows each moment's machine with how far boundaries were acknowledged and records answered by then.
    fn each_moment(&self, mut see: impl FnMut(usize, &Machine, Option<&images::Owned>, usize, u64)) {
        let mut machine = Machine::new(&self.before);
        let (mut acknowledged, mut answered, mut operation) = (0, 0, 0);
        for event in &self.events {
            match event {
                Event::Mark(Mark::Acknowledged(boundary)) => acknowledged = *boundary,
                Event::Mark(Mark::Answered(records)) => answered = *records,
                Event::Did(did) => {
                    see(operation, &machine, Some(did), acknowledged, answered);
                    machine.apply(did);
                    operation += 1;
                }
            }
        }
        see(operation, &machine, None, acknowledged, answered);
    }

    /// Opens an image as a start does and holds it against what was acknowledged.
    fn check(&self, image: &Image, acknowledged: usize, answered: u64) -> Result<(), String> {
        let room = room();
        image.lay_out(room.path());
        let layout = Layout::new(&room.path().join("data"));
        let (books, report) = Books::open(&layout).map_err(|error| format!("no start: {error}"))?;
        let found = encode_directory(books.directory());
        let frame = self.frames.iter().position(|(directory, _)| *directory == found);
        let frame = frame.ok_or("the books are as they never were")?;
        let promised = &self.boundaries[acknowledged].directory;
        let known = self.frames.iter().position(|(directory, _)| directory == promised).unwrap();
        if frame < known {
            return Err(format!("frame {known} was acknowledged, and {frame} is the last"));
        }
        if frame > known + script::COMMANDS_MAX {
            return Err(format!("frame {known} was acknowledged, and {frame} is there"));
        }
        if !report.lost.is_empty() {
            return Err(format!("codes are lost: {:?}", report.lost));
        }
        self.check_codes(room.path(), &layout, &books)?;
        if let Some(boundary) = self.frames.get(frame).and_then(|(_, boundary)| *boundary) {
            let boundary = &self.boundaries[boundary];
            let publisher = published(&books, boundary.now, None);
            let tagger = |id| books.tagger(id);
            boundary.compare(&answers(&publisher.published(), &tagger, boundary.now, &boundary.asked))?;
        }
        let numbers = log_numbers(&layout, books.lineage())?;
        let expected: Vec<u32> = (1..).take(numbers.len()).collect();
        if numbers != expected || (numbers.len() as u64) < answered {
            return Err(format!("{answered} records were answered, and the log has {numbers:?}"));
        }
        Ok(())
    }

    /// Live codes are there with their digits; nothing of any other code is, neither to the vault nor in any byte.
    fn check_codes(&self, root: &Path, layout: &Layout, books: &Books) -> Result<(), String> {
        let portfolios = &books.directory().portfolios;
        let live: BTreeSet<(PortfolioId, CodeId)> = portfolios
            .iter()
            .flat_map(|(id, of)| of.properties.values().flat_map(|of| of.codes.keys().map(|code| (*id, *code))))
            .collect();
        let known: BTreeMap<(PortfolioId, CodeId), &Digits> = self
            .boundaries
            .iter()
            .flat_map(|boundary| boundary.codes.iter().map(|(id, code)| (*id, &code.1)))
            .collect();
        for (code, digits) in &known {
            let Some(vault) = books.vault(code.0) else { continue };
            match (live.contains(code), vault.reveal(code.1)) {
                (true, Ok(found)) if found == **digits => {}
                (false, Err(RevealError::Unknown(_) | RevealError::Destroyed(_))) => {}
                (lives, found) => return Err(format!("{code:?} lives: {lives}, and the vault says {found:?}")),
            }
        }
        for (id, portfolio) in portfolios {
            let quarantined: BTreeSet<CodeId> =
                portfolio.properties.values().flat_map(|property| property.deleted_codes.keys().copied()).collect();
            let known = |code: CodeId| live.contains(&(*id, code)) || quarantined.contains(&code);
            if let Some((orphan, ..)) = books.vault(*id).unwrap().tags().find(|(code, ..)| !known(*code)) {
                return Err(format!("{orphan} is in the vault, and nobody knows it"));
            }
        }
        let files = Image::read(root);
        for (code, parts) in self.secrets.iter().filter(|(code, _)| !live.contains(code)) {
            let holder = files.files.iter().find(|(_, bytes)| parts.iter().any(|part| holds(bytes, part)));
            if let Some((path, _)) = holder {
                return Err(format!(
                    "{code:?} was deleted, and what could bring it back stands in `{}`",
                    path.display()
                ));
            }
        }
        let vaults: Vec<PortfolioId> = layout.vaults_there("").unwrap().into_iter().map(|(id, _)| id).collect();
        if vaults != portfolios.keys().copied().collect::<Vec<_>>() || !layout.vaults_there(".new").unwrap().is_empty()
        {
            return Err(format!("there are the vaults of {vaults:?}"));
        }
        // Whatever became of a rotation, there is one root, and each vault opens under it again as it was left.
        let left = [layout.next_root(), layout.old_root()].iter().any(|path| path.exists());
        if left || !layout.vaults_there(".next").unwrap().is_empty() {
            return Err("half a rotation is left".into());
        }
        let root = RootSecret::read(&layout.root()).unwrap();
        for id in vaults {
            drop(Vault::open(&layout.vault(id), &root, id).map_err(|error| error.to_string())?);
        }
        Ok(())
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn published(books: &Books, now: Moment, shelf: Option<Keeper>) -> Publisher {
    let mut publisher = Publisher::new(books, now, (1, 2), shelf);
    publisher.publish_codes(books, now);
    publisher
}

/// The Directory after each frame, replayed from the first.
fn frames(layout: &Layout, boundaries: &[Boundary]) -> Vec<(Vec<u8>, Option<usize>)> {
    let mut replay = Replay::default();
    let mut after: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let read = journal::read_all::<Infallible>(&layout.journal(), &mut |sequence, entry| {
        replay.entry(entry).unwrap();
        after.insert(sequence, encode_directory(&replay.directory));
        Ok(())
    });
    read.unwrap();
    let named = |found: &Vec<u8>| boundaries.iter().position(|boundary| boundary.directory == *found);
    after.into_values().map(|directory| (named(&directory), directory)).map(|(named, found)| (found, named)).collect()
}

/// What ever stood in the vaults' files.
fn secrets(before: &Image, events: &[Event]) -> BTreeMap<(PortfolioId, CodeId), BTreeSet<Vec<u8>>> {
    let mut machine = Machine::new(before);
    let mut found: BTreeMap<(PortfolioId, CodeId), BTreeSet<Vec<u8>>> = BTreeMap::new();
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("vault-")?.split('.').next()?.parse().ok();
    let mut note = |machine: &Machine| {
        for (path, content) in machine.live_files() {
            let Some(portfolio) = number(path).map(PortfolioId) else { continue };
            for (code, parts) in vault::secrets_in(content) {
                found.entry((portfolio, code)).or_default().extend(parts);
            }
        }
    };
    note(&machine);
    for event in events {
        let Event::Did(did) = event else { continue };
        machine.apply(did);
        note(&machine);
    }
    found
}

/// Does something with each of many numbers on every core; the failures, in order.
fn each_on_every_core(count: usize, check: impl Fn(usize) -> Result<(), String> + Sync) -> Vec<String> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some(at) = Some(next.fetch_add(1, Ordering::SeqCst)).filter(|at| *at < count) {
            if let Err(why) = check(at) {
                failures.lock().unwrap().insert(at, why);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    failures.into_inner().unwrap().into_values().collect()
}

fn assert_none(failures: &[String]) {
    let shown: Vec<&str> = failures.iter().take(8).map(String::as_str).collect();
    assert!(failures.is_empty(), "{} failures, the first:\n{}", failures.len(), shown.join("\n"));
}

// C3 C4 C6 K3 L1 L5
#[test]
fn whenever_it_stops_nothing_acknowledged_is_lost_and_nothing_deleted_is_left() {
    let run = Recorded::new();
    let mut images: Vec<(String, Image, usize, u64)> = Vec::new();
    run.each_moment(|at, machine, next, acknowledged, answered| {
        let what = next.map_or("the end".to_owned(), ToString::to_string);
        let mut add = |kind: &str, image| {
            images.push((format!("{kind} at operation {at}, {what}"), image, acknowledged, answered))
        };
        add("a kill", machine.killed(next));
        add("a power cut", machine.powerless(next, None));
        (0..MIXED).for_each(|seed| add("a power cut that kept some", machine.powerless(next, Some(seed))));
    });
    let operations = images.len() as u64 / (MIXED + 2);
    println!("{operations} operations, {} images, {} frames", images.len(), run.frames.len());
    assert!(operations > 150 && run.boundaries.len() > 20, "the script does too little");
    assert!(run.secrets.len() > 12, "too few codes are made: {}", run.secrets.len());
    let failures = each_on_every_core(images.len(), |at| {
        let (context, image, acknowledged, answered) = &images[at];
        run.check(image, *acknowledged, *answered).map_err(|why| format!("{context}: {why}"))
    });
    assert_none(&failures);
}

// C3 C4 C6 K3 L1 L5
#[test]
fn whatever_fails_nothing_acknowledged_is_lost_and_nothing_half_done_is_seen() {
    let base = room();
    let layout = Layout::new(&base.path().join("data"));
    let plain = Medium { segment_bytes: script::SEGMENT_BYTES, ..Medium::default() };
    drop(script::create(&plain, &layout));
    let before = Image::read(base.path());
    let sessions = script::sessions();
    let count = fail(&before, &sessions, usize::MAX, Verdict::Fail, false).unwrap();
    assert!(count > 150, "{count} operations are too few");
    println!("{count} operations");
    // An error once, a write that is torn once, and a disk that is gone for good.
    let ways = [(Verdict::Fail, false), (Verdict::Tear(7), false), (Verdict::Tear(40), true)];
    let failures = each_on_every_core(count * ways.len(), |at| {
        let (verdict, for_good) = ways[at % ways.len()];
        let operation = at / ways.len();
        let done = fail(&before, &sessions, operation, verdict, for_good);
        done.map(|_| ()).map_err(|why| format!("{verdict:?} at operation {operation}, for good: {for_good}: {why}"))
    });
    assert_none(&failures);
}

// K3 L1
#[test]
fn a_full_disk_refuses_and_everything_goes_on_when_there_is_room() {
    let base = room();
    let layout = Layout::new(&base.path().join("data"));
    let plain = Medium { segment_bytes: script::SEGMENT_BYTES, ..Medium::default() };
    drop(script::create(&plain, &layout));
    let before = Image::read(base.path());
    let refused = AtomicUsize::new(0);
    // Before anything was written a start has no room for the log: that one is refused in words.
    let failures = each_on_every_core(100, |at| {
        let operation = at + 8;
        let room = room();
        before.lay_out(room.path());
        let layout = Layout::new(&room.path().join("data"));
        let recorder = Recorder::full(room.path(), operation);
        let mut play = Play::new(&layout, Disk::witnessed(recorder.clone()), |_| {});
        let context = |why: String| format!("full from operation {operation}: {why}");
        let session = &script::sessions()[0];
        let count = play.session_when_full(session, || recorder.make_room()).map_err(context)?;
        refused.fetch_add(count as usize, Ordering::SeqCst);
        let Play { boundaries, answered, .. } = play;
        let (books, report) = Books::open(&layout).map_err(|error| context(error.to_string()))?;
        let last = boundaries.last().unwrap();
        if encode_directory(books.directory()) != last.directory || !report.lost.is_empty() || report.torn_bytes > 0 {
            return Err(context(format!("the books differ after a start: {report:?}")));
        }
        let reveals = |(code, (_, digits)): (&(PortfolioId, CodeId), &(DoorId, Digits))| {
            books.reveal(code.0, code.1).is_ok_and(|found| found == *digits)
        };
        if !last.codes.iter().all(reveals) {
            return Err(context("a code is not what it was".into()));
        }
        let (numbers, expected) = (log_numbers(&layout, books.lineage())?, (1..=answered as u32).collect::<Vec<_>>());
        if numbers != expected {
            return Err(context(format!("{answered} attempts, and the log has {numbers:?}")));
        }
        Ok(())
    });
    assert_none(&failures);
    println!("{refused:?} refused");
    // Some 42; fewer where a slow machine has the anchor written in between.
    assert!(refused.into_inner() > 20, "the disk was never full");
}

// C3
#[test]
fn what_an_acknowledgement_deleted_is_destroyed_on_the_disk_by_then() {
    let run = Recorded::new();
    let mut machine = Machine::new(&run.before);
    let mut destroyed = 0;
    let first_root = &run.before.files[Path::new("data.secrets/root.key")][16..48];
    for event in &run.events {
        match event {
            Event::Did(did) => machine.apply(did),
            Event::Mark(Mark::Answered(_)) => {}
            Event::Mark(Mark::Acknowledged(boundary)) => {
                let live = &run.boundaries[*boundary].codes;
                for image in [machine.killed(None), machine.powerless(None, None)] {
                    // Of the root that a rotation replaced nothing is left either.
                    let with_root = image.files.values().any(|bytes| holds(bytes, first_root));
                    assert_eq!(with_root, *boundary < run.rotated, "boundary {boundary}");
                    for (code, parts) in run.secrets.iter().filter(|(code, _)| !live.contains_key(code)) {
                        let holds = |bytes: &Vec<u8>| parts.iter().any(|part| holds(bytes, part));
                        let holder = image.files.iter().find(|(_, bytes)| holds(bytes));
                        assert!(
                            holder.is_none(),
                            "boundary {boundary}: {code:?} stands in {:?}",
                            holder.map(|(name, _)| name)
                        );
                        destroyed += 1;
                    }
                }
            }
        }
    }
    assert!(destroyed > 100, "too little is deleted: {destroyed}");
}

/// Runs the script on a disk whose nth operation fails, and looks at what is left; how many operations there were.
fn fail(
    before: &Image,
    sessions: &[Session],
    operation: usize,
    verdict: Verdict,
    for_good: bool,
) -> Result<usize, String> {
    let room = room();
    before.lay_out(room.path());
    let layout = Layout::new(&room.path().join("data"));
    let recorder = Recorder::failing(room.path(), operation, verdict, for_good);
    let mut play = Play::new(&layout, Disk::witnessed(recorder.clone()), |_| {});
    // Where a session ends early a new process begins with the next, on a disk that works again.
    for session in sessions {
        if play.session(session, false).is_err() {
            break;
        }
    }
    let Play { boundaries, answered, .. } = play;
    let (books, report) = Books::open(&layout).map_err(|error| format!("no start: {error}"))?;
    let found = encode_directory(books.directory());
    if let Some(last) = boundaries.last() {
        let frames = frames(&layout, &boundaries);
        let known = frames.iter().position(|(directory, _)| *directory == last.directory);
        let known = known.ok_or("what was acknowledged is not in the journal")?;
        if frames.last().is_none_or(|(directory, _)| *directory != found)
            || frames.len() > known + 1 + script::COMMANDS_MAX
        {
            return Err(format!("frame {known} was acknowledged, there are {}", frames.len()));
        }
        let live = |(portfolio, code): &(PortfolioId, CodeId)| {
            let of = &books.directory().portfolios[portfolio];
            of.properties.values().any(|property| property.codes.contains_key(code))
        };
        for (code, (_, digits)) in boundaries.iter().flat_map(|boundary| &boundary.codes) {
            match (live(code), books.reveal(code.0, code.1)) {
                (true, Ok(found)) if found == *digits => {}
                (false, Err(_)) => {}
                (lives, found) => return Err(format!("{code:?} lives: {lives}, and the vault says {found:?}")),
            }
        }
    }
    if !report.lost.is_empty() {
        return Err(format!("codes are lost: {:?}", report.lost));
    }
    let numbers = log_numbers(&layout, books.lineage())?;
    let expected: Vec<u32> = (1..).take(numbers.len()).collect();
    if numbers != expected || (numbers.len() as u64) < answered {
        return Err(format!("{answered} records were answered, and the log has {numbers:?}"));
    }
    Ok(recorder.seen())
}

// U4 C3
#[test]
fn whatever_becomes_of_the_shelf_the_index_is_one_built_from_nothing() {
    let run = Recorded::new();
    let mut moments: Vec<(usize, Image)> = Vec::new();
    let mut last = usize::MAX;
    run.each_moment(|_, machine, next, acknowledged, _| {
        if acknowledged != last {
            last = acknowledged;
            moments.push((acknowledged, machine.killed(next)));
        }
    });
    let shelves = shelves(&run.shelves);
    println!("{} moments, {} shelves", moments.len(), shelves.len());
    let used = AtomicUsize::new(0);
    let failures = each_on_every_core(moments.len() * shelves.len(), |at| {
        let (boundary, image) = &moments[at / shelves.len()];
        let (what, shelf) = &shelves[at % shelves.len()];
        let room = room();
        image.lay_out(room.path());
        let layout = Layout::new(&room.path().join("data"));
        shelf.lay_out(&layout.index());
        let context = |why: String| format!("boundary {boundary}, {what}: {why}");
        let (books, _) = Books::open(&layout).map_err(|error| context(error.to_string()))?;
        let boundary = &run.boundaries[*boundary];
        let (keeper, _) = Keeper::open(&layout.index(), books.lineage());
        let publisher = published(&books, boundary.now, keeper);
        used.fetch_add(publisher.started().loaded as usize, Ordering::SeqCst);
        let found = answers(&publisher.published(), &|id| books.tagger(id), boundary.now, &boundary.asked);
        boundary.compare(&found).map_err(context)
    });
    assert_none(&failures);
    println!("{used:?} indexes were taken from a shelf");
    assert!(used.into_inner() > 0, "no shelf was ever of use");
}

/// The shelf after each session, and what may become of the last: cut files, empty ones, missing ones, zeros.
fn shelves(found: &[Image]) -> Vec<(String, Image)> {
    let last = found.last().unwrap();
    let mut shelves: Vec<(String, Image)> = found
        .iter()
        .enumerate()
        .map(|(session, image)| (format!("the shelf of session {session}"), image.clone()))
        .collect();
    for path in last.files.keys() {
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut image = last.clone();
            change(image.files.get_mut(path).unwrap());
            image
        };
        let name = path.display();
        shelves.push((format!("half of `{name}`"), with(&|bytes| bytes.truncate(bytes.len() / 2))));
        shelves.push((format!("nothing in `{name}`"), with(&|bytes| bytes.clear())));
        let half = |bytes: &mut Vec<u8>| {
            let at = bytes.len() / 2;
            bytes[at..].fill(0);
        };
        shelves.push((format!("zeros in `{name}`"), with(&half)));
        let mut without = last.clone();
        without.files.remove(path);
        shelves.push((format!("without `{name}`"), without));
    }
    shelves
}
