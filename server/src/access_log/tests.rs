//! The log as a whole: what was acknowledged is there, whatever the disk does.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, OpenOptions};
use std::future::Future;
use std::os::unix::fs::FileExt;
use std::pin::pin;
use std::sync::Condvar;
use std::task::{Context, Poll, Waker};

use keyward_protocol::decision::Reason;
use keyward_protocol::id::{DoorId, KeyId, PersonId};
use keyward_protocol::time::Moment;
use tempfile::TempDir;

use super::disk::DiskFile;
use super::record::tests::{denied, record};
use super::*;

mod mend;

const LINEAGE: Lineage = [4; 16];
const MINE: PortfolioId = PortfolioId(1);
const OTHER: PortfolioId = PortfolioId(2);

/// A disk that fails when it is told to, and remembers what was flushed.
#[derive(Clone, Default)]
struct FaultyDisk(Arc<Faults>);

#[derive(Default)]
struct Faults {
    state: Mutex<FaultState>,
    changed: Condvar,
}

#[derive(Default)]
struct FaultState {
    /// Appends and flushes, counted from 1, that fail.
    failing: HashSet<u64>,
    /// Every append and flush from this one on fails.
    failing_from: Option<u64>,
    /// A failing append leaves this many bytes.
    torn_bytes: usize,
    operations: u64,
    /// Flushes wait while this is set.
    held: bool,
    waiting: usize,
    /// What a power cut leaves of each file.
    flushed: BTreeMap<PathBuf, u64>,
}

struct FaultyFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    faults: Arc<Faults>,
}

impl FaultyDisk {
    fn set<T>(&self, change: impl FnOnce(&mut FaultState) -> T) -> T {
        let done = change(&mut self.0.state.lock().unwrap());
        self.0.changed.notify_all();
        done
    }

    /// From now on flushes wait until the guard is dropped. Make it after the log: a log that is dropped flushes.
    fn hold(&self) -> Held {
        self.set(|state| state.held = true);
        Held(self.clone())
    }

    /// Returns once a flush is waiting.
    fn wait_for_flush(&self) {
        let state = self.0.state.lock().unwrap();
        drop(self.0.changed.wait_while(state, |state| state.waiting == 0).unwrap());
    }

    /// What a power cut would leave: each file as far as it was flushed, and `more` bytes of what wasn't.
    fn after_power_cut(&self, directory: &Path, more: u64) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for (path, flushed) in self.set(|state| state.flushed.clone()) {
            assert_eq!(path.parent(), Some(directory));
            let mut bytes = fs::read(&path).unwrap();
            bytes.truncate(usize::try_from(flushed + more).unwrap());
            fs::write(copy.path().join(path.file_name().unwrap()), bytes).unwrap();
        }
        copy
    }
}

struct Held(FaultyDisk);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.set(|state| state.held = false);
    }
}

impl Disk for FaultyDisk {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = RealDisk(crate::disk::Disk::new()).create(path)?;
        self.set(|state| state.flushed.insert(path.to_owned(), 0));
        Ok(Box::new(FaultyFile { file, path: path.to_owned(), faults: self.0.clone() }))
    }

    fn resume(&mut self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = RealDisk(crate::disk::Disk::new()).resume(path, length)?;
        self.set(|state| state.flushed.insert(path.to_owned(), length));
        Ok(Box::new(FaultyFile { file, path: path.to_owned(), faults: self.0.clone() }))
    }

    fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        RealDisk(crate::disk::Disk::new()).create_directory(path)
    }

    fn set_aside(&mut self, path: &Path) -> io::Result<PathBuf> {
        RealDisk(crate::disk::Disk::new()).set_aside(path)
    }

    fn write_whole(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        RealDisk(crate::disk::Disk::new()).write_whole(path, bytes)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        RealDisk(crate::disk::Disk::new()).remove(path)
    }
}

impl FaultState {
    /// Counts an operation; whether it succeeds.
    fn operate(&mut self) -> bool {
        self.operations += 1;
        !self.failing.contains(&self.operations) && self.failing_from.is_none_or(|from| self.operations < from)
    }
}

impl DiskFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.faults.state.lock().unwrap();
        if state.operate() {
            return self.file.append(bytes);
        }
        self.file.append(&bytes[..state.torn_bytes.min(bytes.len())])?;
        Err(io::Error::other("the disk is full, for a test"))
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.faults.state.lock().unwrap();
        state.waiting += 1;
        self.faults.changed.notify_all();
        let mut state = self.faults.changed.wait_while(state, |state| state.held).unwrap();
        state.waiting -= 1;
        if !state.operate() {
            return Err(io::Error::other("the flush failed, for a test"));
        }
        self.file.flush()?;
        let length = fs::metadata(&self.path)?.len();
        state.flushed.insert(self.path.clone(), length);
        Ok(())
    }
}

fn config() -> Config {
    Config { ring_batches: 8, ..Config::default() }
}

fn open(directory: &Path) -> (AccessLog, OpenReport) {
    AccessLog::open_with(directory, LINEAGE, config()).unwrap()
}

fn open_on(disk: &FaultyDisk, directory: &Path, config: Config) -> AccessLog {
    AccessLog::open_on(Box::new(disk.clone()), directory, LINEAGE, config).unwrap().0
}

fn mine(records: impl IntoIterator<Item = Record>) -> Batch {
    Batch { portfolio: MINE, records: records.into_iter().collect() }
}

/// Pushes a batch and waits until it is on disk.
fn put(log: &AccessLog, batch: Batch) {
    let producer = log.producer(0);
    let ticket = producer.push_blocking(batch).unwrap();
    producer.durable_blocking(ticket).unwrap();
}

/// The numbers that [`record`] was given, as found in the log.
fn numbers(log: &AccessLog) -> Vec<u32> {
    let mut numbers = Vec::new();
    let damage = log.visit(&Span::Sequences(0..u64::MAX), |_, _, record| numbers.push(number(record))).unwrap();
    assert_eq!(damage, []);
    numbers
}

fn number(record: &Record) -> u32 {
    record.who.person().map_or(0, |person| person.0)
}

fn everything(portfolio: PortfolioId) -> Query {
    Query {
        portfolio,
        from: Moment::MIN,
        until: Moment::MAX,
        view: View::all(),
        wanted: Wanted::default(),
        limit: PAGE,
        newest_first: false,
        after: None,
    }
}

const PAGE: usize = 10_000;

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn only_segment(directory: &Path) -> PathBuf {
    let files = list(directory).unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].1.clone()
}

// L1
#[test]
fn what_was_recorded_is_there_after_a_restart_and_numbers_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let (log, report) = open(directory.path());
    assert_eq!(report, OpenReport { next_sequence: 1, ..OpenReport::default() });
    put(&log, mine((1..=300).map(|number| record(1, 0, number))));
    put(&log, mine([denied(2, 5, Reason::NoKey)]));
    log.shutdown().unwrap();

    let (log, report) = open(directory.path());
    assert_eq!(report, OpenReport { segments: 1, next_sequence: 302, ..OpenReport::default() });
    put(&log, mine([record(1, 1, 9)]));
    assert_eq!(numbers(&log), (1..=300).chain([1, 9]).collect::<Vec<_>>());
    assert_eq!(log.next_sequence(), 303);
    let totals = log.totals(Some(MINE), &Span::Sequences(1..303)).unwrap();
    assert_eq!((totals.granted, totals.denied, totals.damage), (301, [(Reason::NoKey, 1)].into(), vec![]));
}

/// As after a kill: what the last writes left was not anchored yet.
fn forget_anchor(directory: &Path) {
    _ = fs::remove_file(anchor::path_of(directory));
}

// L1
#[test]
fn a_torn_end_is_cut_off_wherever_it_tore_and_the_log_goes_on_there() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let mut ends = vec![SEGMENT_HEADER_BYTES as u64];
    let file = only_segment(directory.path());
    for batch in [1..=2, 3..=3, 4..=6] {
        put(&log, mine(batch.map(|number| record(1, 0, number))));
        ends.push(fs::metadata(&file).unwrap().len());
    }
    drop(log);
    let bytes = fs::read(&file).unwrap();
    let counts = [0_u64, 2, 3, 6];
    for length in 0..=bytes.len() {
        fs::write(&file, &bytes[..length]).unwrap();
        forget_anchor(directory.path());
        let (log, report) = open(directory.path());
        let length = length as u64;
        let whole = ends.iter().rposition(|end| *end <= length);
        let kept = whole.map_or(0, |whole| counts[whole]);
        assert_eq!((report.next_sequence, &report.damage[..]), (kept + 1, &[][..]), "cut at {length}");
        let torn = whole.map_or(0, |whole| length - ends[whole]);
        assert_eq!(report.torn.map_or(0, |torn| torn.bytes), torn, "cut at {length}");
        put(&log, mine([record(1, 0, 77)]));
        assert_eq!(numbers(&log).len() as u64, kept + 1, "cut at {length}");
        assert_eq!(numbers(&log).last(), Some(&77));
    }
}

// L1
#[test]
fn a_last_chunk_with_any_byte_wrong_is_taken_for_torn() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let file = only_segment(directory.path());
    put(&log, mine([record(1, 0, 1)]));
    let good = fs::metadata(&file).unwrap().len();
    put(&log, mine([record(1, 0, 2)]));
    drop(log);
    let bytes = fs::read(&file).unwrap();
    for byte in usize::try_from(good).unwrap()..bytes.len() {
        let mut bad = bytes.clone();
        bad[byte] ^= 0x10;
        fs::write(&file, &bad).unwrap();
        forget_anchor(directory.path());
        let (log, report) = open(directory.path());
        assert_eq!(report.torn, Some(Torn { file: file.clone(), byte: good, bytes: 128 }), "byte {byte}");
        assert_eq!(numbers(&log), [1]);
    }
}

// L1
#[test]
fn damage_in_the_middle_is_reported_and_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let file = only_segment(directory.path());
    let mut starts = Vec::new();
    for number in 1..=4 {
        starts.push(fs::metadata(&file).unwrap().len());
        put(&log, mine([record(1, 0, number)]));
    }
    drop(log);
    let bytes = fs::read(&file).unwrap();
    for byte in starts[1]..starts[2] {
        let copy = tempfile::tempdir().unwrap();
        let file = copy.path().join(file.file_name().unwrap());
        fs::write(&file, &bytes).unwrap();
        let at = usize::try_from(byte).unwrap();
        OpenOptions::new().write(true).open(&file).unwrap().write_all_at(&[bytes[at] ^ 1], byte).unwrap();
        let before = fs::read(&file).unwrap();

        let (log, report) = open(copy.path());
        let [damage] = &report.damage[..] else { panic!("{report:?}") };
        assert_eq!((&damage.file, damage.byte, damage.sequence), (&file, starts[1], 2));
        assert_eq!((report.torn.as_ref(), report.next_sequence), (None, 5));
        put(&log, mine([record(1, 0, 5)]));
        assert_eq!(fs::read(&file).unwrap(), before, "a damaged segment is left as it is");
        assert_eq!(log.status().segments, 2);
        let page = log.search(&everything(MINE)).unwrap();
        assert_eq!(page.rows.iter().map(number).collect::<Vec<_>>(), [1, 3, 4, 5]);
        assert_eq!(page.damage.len(), 1, "a search says where it could not read");
        assert_eq!(log.verify().unwrap(), report.damage);
        drop(log);
        let (_log, report) = open(copy.path());
        assert_eq!((report.damage, report.next_sequence), (vec![], 6), "the new segment is a good one");
    }
}

#[test]
fn a_header_that_is_damaged_keeps_its_chunks_readable() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let file = only_segment(directory.path());
    put(&log, mine([record(1, 0, 1)]));
    drop(log);
    let whole = fs::read(&file).unwrap();
    OpenOptions::new().write(true).open(&file).unwrap().write_all_at(b"x", 20).unwrap();
    let (log, report) = open(directory.path());
    assert_eq!((report.damage.len(), report.next_sequence), (1, 2));
    put(&log, mine([record(1, 0, 2)]));
    assert_eq!(numbers(&log), [1, 2]);
    drop(log);

    // Nothing in it is whole: it is set aside, and its numbers are not used again.
    let lost = tempfile::tempdir().unwrap();
    fs::write(lost.path().join(file.file_name().unwrap()), vec![7; whole.len()]).unwrap();
    let (log, report) = open(lost.path());
    assert_eq!(report.damage.len(), 1);
    assert!(report.damage[0].file.exists() && report.next_sequence == 2, "{report:?}");
    put(&log, mine([record(1, 0, 3)]));
    assert_eq!(numbers(&log), [3]);
    drop(log);

    // Nor are those of the last one where an earlier one that is set aside as well had less room.
    fs::write(lost.path().join(segment::file_name(1)), vec![7; whole.len()]).unwrap();
    fs::write(lost.path().join(segment::file_name(2)), vec![7; whole.len()]).unwrap();
    forget_anchor(lost.path());
    let (_log, report) = open(lost.path());
    assert_eq!((report.damage.len(), report.next_sequence), (2, 3));
}

#[test]
fn a_chunk_that_was_cut_out_or_exchanged_shows() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let file = only_segment(directory.path());
    (1..=3).for_each(|number| put(&log, mine([record(1, 0, number)])));
    drop(log);
    let bytes = fs::read(&file).unwrap();
    let chunk = |index: usize| 96 + index * 128..96 + (index + 1) * 128;

    let without_second = [&bytes[..chunk(1).start], &bytes[chunk(2)]].concat();
    fs::write(&file, without_second).unwrap();
    let damage = inspect(&file, Expected::last(1, 0, &Gaps::default()), &LINEAGE).unwrap().damage;
    assert_eq!((damage.len(), damage[0].sequence, damage[0].what), (1, 2, "records are missing before this chunk"));

    // Another log of the same lineage, with another second record.
    let elsewhere = tempfile::tempdir().unwrap();
    let (log, _) = open(elsewhere.path());
    [1, 9].into_iter().for_each(|number| put(&log, mine([record(1, 0, number)])));
    drop(log);
    let other = fs::read(only_segment(elsewhere.path())).unwrap();
    let exchanged = [&bytes[..chunk(1).start], &other[chunk(1)], &bytes[chunk(2)]].concat();
    fs::write(&file, exchanged).unwrap();
    let damage = inspect(&file, Expected::last(1, 0, &Gaps::default()), &LINEAGE).unwrap().damage;
    assert_eq!((damage.len(), damage[0].what), (1, "the chain of hashes does not join here"));
}

// L1
#[test]
fn strict_waits_until_the_disk_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let log = open_on(&disk, directory.path(), config());
    let held = disk.hold();
    let producer = log.producer(0);
    let ticket = producer.try_push(mine([record(1, 0, 1), record(1, 0, 2)])).unwrap();
    disk.wait_for_flush();
    assert_eq!(producer.is_durable(ticket), Ok(false));
    assert!(poll_once(producer.durable(ticket)).is_pending());
    assert_eq!((log.exposed(), log.next_sequence()), (2, 1));
    assert_eq!(log.search(&everything(MINE)).unwrap(), Page::default(), "nothing is shown before it is kept");
    drop(held);
    producer.durable_blocking(ticket).unwrap();
    assert_eq!((log.exposed(), log.next_sequence()), (0, 3));
}

#[tokio::test]
async fn many_tasks_wait_for_the_same_flush() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let log = open_on(&disk, directory.path(), Config { shards: 2, ..config() });
    let held = disk.hold();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let producer = log.producer(number as usize);
        tasks.spawn(async move {
            let ticket = producer.push(mine([record(1, 0, number)])).await.unwrap();
            producer.durable(ticket).await
        });
    }
    tokio::task::yield_now().await;
    drop(held);
    while let Some(done) = tasks.join_next().await {
        assert_eq!(done.unwrap(), Ok(()));
    }
    let mut found = numbers(&log);
    found.sort_unstable();
    assert_eq!(found, (0..200).collect::<Vec<_>>());
}

// L1
#[test]
fn a_full_ring_makes_the_producer_wait_and_gives_the_batch_back() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let log = open_on(&disk, directory.path(), Config { ring_batches: 2, ..config() });
    let held = disk.hold();
    let producer = log.producer(0);
    let first = producer.try_push(mine([record(1, 0, 1)])).unwrap();
    disk.wait_for_flush();
    let _second = producer.try_push(mine([record(1, 0, 2)])).unwrap();
    let third = producer.try_push(mine([record(1, 0, 3)])).unwrap();
    let Err(PushError::Full(batch)) = producer.try_push(mine([record(1, 0, 4)])) else { panic!("there was room") };
    let mut push = pin!(producer.push(batch));
    let mut context = Context::from_waker(Waker::noop());
    assert!(push.as_mut().poll(&mut context).is_pending());
    drop(held);
    producer.durable_blocking(first).unwrap();
    producer.durable_blocking(third).unwrap();
    // The writer has emptied the ring: the waiting push has its place.
    let Poll::Ready(Ok(fourth)) = push.as_mut().poll(&mut context) else { panic!("there is room") };
    producer.durable_blocking(fourth).unwrap();
    assert_eq!(numbers(&log), [1, 2, 3, 4]);
}

// L1
#[test]
fn nothing_is_lost_when_four_threads_push_more_than_the_rings_hold() {
    const THREADS: u32 = 4;
    const EACH: u32 = 25_600;
    for mode in [Mode::Strict, Mode::Relaxed] {
        let directory = tempfile::tempdir().unwrap();
        let config = Config { mode, shards: 2, ring_batches: 3, segment_bytes: 1 << 20, ..config() };
        let (log, _) = AccessLog::open_with(directory.path(), LINEAGE, config).unwrap();
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let producer = log.producer(thread as usize);
                scope.spawn(move || {
                    for start in (0..EACH).step_by(64) {
                        let mut records = producer.buffer();
                        records.extend((start..start + 64).map(|number| record(thread, 0, number)));
                        let _ = producer.push_blocking(mine(records)).unwrap();
                    }
                });
            }
        });
        log.shutdown().unwrap();
        let status = log.status();
        assert_eq!((status.accepted, status.exposed), (u64::from(THREADS * EACH), 0));
        assert!(status.segments > 2, "{status:?}");
        let mut next = [0; THREADS as usize];
        let damage = log.visit(&Span::Sequences(0..u64::MAX), |_, sequence, record| {
            let thread = record.door.0 as usize;
            assert_eq!(number(record), next[thread], "each thread's records come in its order: record {sequence}");
            next[thread] += 1;
        });
        assert_eq!((damage.unwrap(), next), (vec![], [EACH; THREADS as usize]));
        assert_eq!(log.verify().unwrap(), []);
    }
}

// L1
#[test]
fn a_power_cut_takes_nothing_that_was_acknowledged() {
    for more in [0, 1, 95, 96, 100, 128, 200, 100_000] {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        let config = Config { segment_bytes: 600, ..config() };
        let log = open_on(&disk, directory.path(), config);
        let producer = log.producer(0);
        (1..=20).for_each(|number| put(&log, mine([record(1, 0, number)])));
        let held = disk.hold();
        let _unanswered = producer.try_push(mine([record(1, 0, 21)])).unwrap();
        let _unanswered = producer.try_push(Batch { portfolio: OTHER, records: vec![record(1, 0, 22)] }).unwrap();
        disk.wait_for_flush();
        let left = disk.after_power_cut(directory.path(), more);
        let (again, report) = open(left.path());
        assert_eq!(report.damage, []);
        let found = numbers(&again);
        assert_eq!(found[..20], (1..=20).collect::<Vec<_>>());
        assert_eq!(again.verify().unwrap(), []);
        put(&again, mine([record(1, 0, 99)]));
        assert_eq!(numbers(&again).len(), found.len() + 1);
        drop(held);
    }
}

#[test]
fn a_power_cut_that_keeps_only_the_later_half_of_a_write_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let log = open_on(&disk, directory.path(), config());
    let file = only_segment(directory.path());
    put(&log, mine([record(1, 0, 1)]));
    let flushed = fs::metadata(&file).unwrap().len();
    // One round with two chunks; the page with the first of them never got to the disk.
    let held = disk.hold();
    let _ = log.producer(0).try_push(mine([record(1, 0, 2)])).unwrap();
    disk.wait_for_flush();
    let _ = log.producer(0).try_push(mine([record(1, 0, 3)])).unwrap();
    let _ = log.producer(0).try_push(Batch { portfolio: OTHER, records: vec![record(1, 0, 4)] }).unwrap();
    drop(held);
    log.shutdown().unwrap();
    drop(log);
    let write = |byte| OpenOptions::new().write(true).open(&file).unwrap().write_all_at(&[0; 128], byte).unwrap();

    write(flushed + 128);
    forget_anchor(directory.path());
    let (log, report) = open(directory.path());
    assert_eq!((&report.damage[..], report.torn.map(|torn| torn.byte)), (&[][..], Some(flushed + 128)));
    assert_eq!(numbers(&log), [1, 2]);
    drop(log);

    // The chunk before was acknowledged when the next one was framed: without it that is damage.
    put(&open(directory.path()).0, mine([record(1, 0, 5)]));
    write(flushed);
    forget_anchor(directory.path());
    let (_log, report) = open(directory.path());
    assert_eq!((report.damage.len(), report.torn), (1, None));
}

// L1
#[test]
fn a_failed_write_or_flush_goes_on_in_a_new_segment_and_raises_an_alarm() {
    // Operations 1 and 2 are the first segment's header; each put is an append and a flush.
    for failing in [3, 4, 5, 6, 7, 8] {
        for torn_bytes in [0, 50, 128] {
            let directory = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::default();
            disk.set(|state| (state.failing, state.torn_bytes) = ([failing].into(), torn_bytes));
            let log = open_on(&disk, directory.path(), config());
            (1..=3).for_each(|number| put(&log, mine([record(1, 0, number)])));
            assert_eq!(numbers(&log), [1, 2, 3], "operation {failing}");
            let status = log.status();
            assert_eq!((status.alarms, status.failed, status.exposed), (1, false, 0));
            assert_eq!(log.verify().unwrap(), [], "operation {failing}, {torn_bytes} bytes left");
            let left = disk.after_power_cut(directory.path(), 0);
            assert_eq!(numbers(&open(left.path()).0), [1, 2, 3], "after a power cut");
            drop(log);
            assert_eq!(numbers(&open(directory.path()).0), [1, 2, 3], "after a restart");
        }
    }
}

// L1
#[test]
fn relaxed_writes_again_what_an_abandoned_segment_had_not_flushed() {
    for spacing in 5..9 {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        let log = open_on(&disk, directory.path(), Config { mode: Mode::Relaxed, ..config() });
        // A rescue takes four operations: there is room for one between failures.
        disk.set(|state| state.failing = (4..400).filter(|operation| operation % spacing == 4).collect());
        let producer = log.producer(0);
        for number in 1..=40 {
            let _ = producer.push_blocking(mine([record(1, 0, number)])).unwrap();
        }
        log.shutdown().unwrap();
        let status = log.status();
        assert!(status.alarms > 0 && !status.failed && status.exposed == 0, "{status:?}, one in {spacing} fails");
        assert_eq!(numbers(&log), (1..=40).collect::<Vec<_>>(), "one in {spacing} fails");
        assert_eq!(log.verify().unwrap(), []);
    }
}

// L1
#[test]
fn a_second_failure_stops_the_log_and_everyone_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let log = open_on(&disk, directory.path(), config());
    let mut live = log.subscribe(MINE, Arc::new(View::all().into_shared()), 10).unwrap();
    put(&log, mine([record(1, 0, 1)]));
    disk.set(|state| state.failing_from = Some(state.operations + 1));
    let producer = log.producer(0);
    let ticket = producer.push_blocking(mine([record(1, 0, 2)])).unwrap();
    assert_eq!(producer.durable_blocking(ticket), Err(LogError::Failed));
    let Err(ended) = producer.push_blocking(mine([record(1, 0, 3)])) else { panic!("a failed log took a batch") };
    assert_eq!((ended.why, ended.batch.records.len()), (LogError::Failed, 1));
    assert!(matches!(producer.try_push(ended.batch), Err(PushError::Ended(_))));
    let status = log.status();
    assert_eq!((status.failed, status.alarms, status.exposed), (true, 1, 1));
    assert_eq!(numbers(&log), [1], "what is there can still be read");
    let shown: Vec<u32> =
        std::iter::from_fn(|| live.take()).flat_map(|batch| batch.rows).map(|row| number(&row)).collect();
    assert_eq!(shown, [1], "nobody is shown what wasn't kept");
    assert_eq!(log.shutdown(), Err(LogError::Failed));
    drop(log);
    let found = numbers(&open(directory.path()).0);
    assert!(found.starts_with(&[1]), "{found:?}");
}

// L1
#[test]
fn a_log_whose_disk_was_full_goes_on_when_there_is_room() {
    for full in 1..8 {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        let log = open_on(&disk, directory.path(), config());
        put(&log, mine([record(1, 0, 1)]));
        disk.set(|state| (state.failing_from, state.torn_bytes) = (Some(state.operations + full), 40));
        let producer = log.producer(0);
        let mut last = 1;
        let refused = loop {
            let pushed = producer.push_blocking(mine([record(1, 0, last + 1)]));
            let Ok(ticket) = pushed else { break pushed };
            last += 1;
            if producer.durable_blocking(ticket) == Err(LogError::Failed) {
                break producer.push_blocking(mine([record(1, 0, last + 1)]));
            }
        };
        assert!(matches!(refused, Err(Ended { why: LogError::Failed, .. })), "operation {full}");
        assert_eq!(numbers(&log), (1..last).collect::<Vec<_>>(), "what is there can still be read");
        disk.set(|state| state.failing_from = None);
        let ticket = loop {
            match producer.push_blocking(mine([record(1, 0, last + 1)])) {
                Ok(ticket) => break ticket,
                Err(Ended { why, .. }) => assert_eq!(why, LogError::Failed),
            }
            thread::yield_now();
        };
        producer.durable_blocking(ticket).unwrap();
        assert!(!log.status().failed && log.status().exposed == 0);
        assert_eq!(numbers(&log), (1..=last + 1).collect::<Vec<_>>(), "what waited was written");
        assert_eq!(log.verify().unwrap(), []);
        log.shutdown().unwrap();
        let (log, report) = open(directory.path());
        assert_eq!((report.damage, numbers(&log)), (vec![], (1..=last + 1).collect::<Vec<_>>()));
        let files = fs::read_dir(directory.path()).unwrap().count();
        assert!(files <= 4, "{files} files: trying again leaves none behind");
    }
}

// L1
#[test]
fn an_end_that_is_lost_at_the_edge_of_a_chunk_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let mut edges = vec![SEGMENT_HEADER_BYTES as u64];
    let file = directory.path().join(segment::file_name(1));
    for number in 1..=3 {
        put(&log, mine([record(1, 0, number)]));
        edges.push(fs::metadata(&file).unwrap().len());
    }
    log.shutdown().unwrap();
    drop(log);
    for (kept, edge) in (0..3).zip(edges) {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        let cut = copy.path().join(segment::file_name(1));
        OpenOptions::new().write(true).open(&cut).unwrap().set_len(edge).unwrap();
        assert_eq!(examine(copy.path(), &LINEAGE).unwrap().damage.len(), 1, "cut to {kept} records");
        let (log, report) = open(copy.path());
        assert_eq!((report.damage.len(), report.next_sequence), (1, 4), "numbers are used once");
        put(&log, mine([record(1, 0, 4)]));
        let page = log.search(&everything(MINE)).unwrap();
        let rows: Vec<u32> = page.rows.iter().map(number).collect();
        assert_eq!((rows, page.damage.len()), ((1..=kept).chain([4]).collect(), 1), "a search tells it as well");
        let (from, until) = (Moment::MIN, record(1, 0, 1).time);
        assert_eq!(log.search(&Query { from, until, ..everything(MINE) }).unwrap().damage.len(), 1, "at any time");
        assert_eq!(log.verify().unwrap().len(), 1, "it is told from then on");
        // Without the anchor it would look whole.
        drop(log);
        let whole = tempfile::tempdir().unwrap();
        fs::copy(&file, whole.path().join(segment::file_name(1))).unwrap();
        OpenOptions::new().write(true).open(whole.path().join(segment::file_name(1))).unwrap().set_len(edge).unwrap();
        assert_eq!(examine(whole.path(), &LINEAGE).unwrap().damage, []);
    }
}

#[test]
fn a_log_that_was_shut_down_takes_nothing_and_keeps_what_it_took() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = AccessLog::open(directory.path(), LINEAGE, Mode::Relaxed, 1).unwrap();
    let producer = log.producer(0);
    let tickets = (1..=5).map(|number| producer.try_push(mine([record(1, 0, number)])).unwrap()).collect::<Vec<_>>();
    log.shutdown().unwrap();
    log.shutdown().unwrap();
    assert!(tickets.iter().all(|ticket| producer.is_durable(*ticket) == Ok(true)));
    let Err(ended) = producer.push_blocking(mine([record(1, 0, 6)])) else { panic!("a closed log took a batch") };
    assert_eq!(ended.why, LogError::ShutDown);
    assert_eq!(numbers(&log), [1, 2, 3, 4, 5]);
}

// L1
#[test]
fn a_log_dropped_without_a_word_has_everything_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..10_u32 {
        let (log, report) = open(directory.path());
        assert_eq!((report.torn, report.next_sequence), (None, u64::from(round) * 10 + 1));
        (0..10).for_each(|number| put(&log, mine([record(1, 0, round * 10 + number)])));
    }
    assert_eq!(numbers(&open(directory.path()).0), (0..100).collect::<Vec<_>>());
}

// L3
#[test]
fn a_search_finds_by_time_and_door_over_many_segments_both_ways_and_page_by_page() {
    let directory = tempfile::tempdir().unwrap();
    let small = Config { segment_bytes: 2_000, ..config() };
    let all: Vec<Record> =
        (0..500).map(|number| record(1 + number % 7, i64::from(number / 3) * 60, number + 1)).collect();
    let (log, _) = AccessLog::open_with(directory.path(), LINEAGE, small).unwrap();
    all[..300].chunks(9).for_each(|records| put(&log, mine(records.to_vec())));
    drop(log);
    // Half of it is found by a log that was opened anew.
    let (log, _) = AccessLog::open_with(directory.path(), LINEAGE, small).unwrap();
    all[300..].chunks(9).for_each(|records| put(&log, mine(records.to_vec())));
    assert!(log.status().segments > 5);

    let minute = |minute: i64| Moment::from_micros(minute * 60_000_000);
    let views = [View::all(), View::of_doors([DoorId(2), DoorId(5)]), View::of_doors([DoorId(99)])];
    for (from, until) in [(0, 167), (10, 11), (60, 130), (165, 900), (20, 20), (-5, 0)] {
        for view in &views {
            let expected: Vec<Record> = all
                .iter()
                .filter(|record| (minute(from)..minute(until)).contains(&record.time) && view.sees(Some(record.door)))
                .copied()
                .collect();
            for (newest_first, limit) in [(false, PAGE), (false, 7), (true, 1_000), (true, 4)] {
                let mut query = Query {
                    from: minute(from),
                    until: minute(until),
                    view: view.clone(),
                    limit,
                    newest_first,
                    ..everything(MINE)
                };
                let mut found = Vec::new();
                loop {
                    let page = log.search(&query).unwrap();
                    assert!(page.rows.len() <= limit && page.damage.is_empty());
                    found.extend(page.rows);
                    query.after = page.next;
                    if query.after.is_none() {
                        break;
                    }
                }
                if newest_first {
                    found.reverse();
                }
                assert_eq!(found, expected, "{from}..{until}, {view:?}, newest first {newest_first}, limit {limit}");
            }
            if view.doors.is_none() {
                let totals = log.totals(None, &Span::Times(minute(from)..minute(until))).unwrap();
                assert_eq!(totals.records(), expected.len() as u64);
            }
        }
    }
}

// L3
#[test]
fn a_search_finds_by_person_key_decision_and_reason() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let guest = Who::Guest { person: PersonId(5), host: PersonId(6) };
    let all: Vec<Record> = (0..900_u32)
        .map(|n| Record {
            who: if n % 9 == 0 { guest } else { Who::Person(PersonId(n % 7 + 1)) },
            key: KeyId(n % 4),
            ..if n % 3 == 0 {
                denied(1, n.into(), if n % 2 == 0 { Reason::NoKey } else { Reason::Expired })
            } else {
                record(1, n.into(), 1)
            }
        })
        .collect();
    all.chunks(50).for_each(|records| put(&log, mine(records.iter().copied())));
    let holds = |wanted: Wanted, truth: &dyn Fn(&Record) -> bool| {
        let expected: Vec<Record> = all.iter().filter(|record| truth(record)).copied().collect();
        let mut query = Query { wanted, limit: 40, ..everything(MINE) };
        let mut found = Vec::new();
        loop {
            let page = log.search(&query).unwrap();
            found.extend(page.rows);
            assert_eq!(page.next.is_some(), page.searched_to.is_some());
            let Some(next) = page.next else { break };
            query.after = Some(next);
        }
        assert_eq!(found, expected, "{wanted:?}");
        assert!(!expected.is_empty() && expected.len() < all.len());
    };
    let nothing = Wanted::default();
    holds(Wanted { person: Some(PersonId(3)), ..nothing }, &|record| record.who == Who::Person(PersonId(3)));
    holds(Wanted { person: Some(PersonId(6)), ..nothing }, &|record| {
        record.who == guest || record.who == Who::Person(PersonId(6))
    });
    holds(Wanted { key: Some(KeyId(2)), ..nothing }, &|record| record.key == KeyId(2));
    holds(Wanted { granted: Some(true), ..nothing }, &|record| record.outcome == Outcome::Granted);
    holds(Wanted { granted: Some(false), ..nothing }, &|record| record.outcome != Outcome::Granted);
    let reason = Wanted { reason: Some(Reason::Expired), key: Some(KeyId(1)), ..nothing };
    holds(reason, &|record| record.outcome == Outcome::Denied(Reason::Expired) && record.key == KeyId(1));
}

// L1 M9
#[test]
fn a_search_shows_one_portfolio_and_keeps_other_locks_attempts_out_of_a_door_s_log() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let theirs = Batch { portfolio: OTHER, records: vec![record(1, 0, 50), denied(1, 0, Reason::NoKey)] };
    put(&log, mine([record(1, 0, 1), denied(1, 0, Reason::UnknownDoor)]));
    put(&log, theirs);
    let rows = |query: &Query| log.search(query).unwrap().rows;
    assert_eq!(rows(&everything(MINE)), [record(1, 0, 1), denied(1, 0, Reason::UnknownDoor)]);
    assert_eq!(rows(&everything(OTHER)), [record(1, 0, 50), denied(1, 0, Reason::NoKey)]);
    assert_eq!(rows(&everything(PortfolioId(3))), []);
    let of_door = Query { view: View::of_doors([DoorId(1)]), ..everything(MINE) };
    assert_eq!(rows(&of_door), [record(1, 0, 1)]);
    let totals = log.totals(Some(OTHER), &Span::Times(Moment::MIN..Moment::MAX)).unwrap();
    assert_eq!((totals.granted, totals.records()), (1, 2));
}

#[test]
fn segments_roll_by_the_hour_of_their_records() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    // What begins each segment, not how many there are: a segment that holds an hour is ended at any time before the next
    // record is taken.
    let begun = || list(directory.path()).unwrap().into_iter().map(|(first, _)| first).collect::<Vec<_>>();
    for second in [0, 3_599, 3_600, 3_601, 7_200, 7_201, 7_202] {
        put(&log, mine([record(1, second, 1)]));
    }
    drop(log);
    assert_eq!(begun(), [1, 4, 7], "seconds 0, 3,601 and 7,202");
    let (log, _) = open(directory.path());
    assert_eq!(log.status().segments, 3, "a restart changes nothing");
    put(&log, mine([record(1, 10_900, 1)]));
    put(&log, mine([record(1, 10_901, 1)]));
    assert_eq!(log.status().segments, 4);
    drop(log);
    assert_eq!(begun(), [1, 4, 7, 9], "second 10,901");
}

// L3 L6
#[tokio::test]
async fn a_live_view_counts_everything_that_is_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let view = Arc::new(View::of_doors([DoorId(1), DoorId(2)]).into_shared());
    let mut live = log.subscribe(MINE, view, 3).unwrap();
    let producer = log.producer(0);
    let pushing = tokio::spawn(async move {
        for round in 0..50_u32 {
            let records = (0..20).map(|number| record(1 + number % 3, i64::from(round), number));
            let _ = producer.push(mine(records.chain([denied(2, 1, Reason::Expired)]))).await.unwrap();
        }
    });
    let (mut granted, mut denied, mut shown, mut left_out, mut last) = (0, 0, 0, 0, 0);
    while granted < 50 * 14 || denied < 50 {
        let batch = live.next().await.unwrap();
        assert_eq!(batch.sequence, last + 1);
        last = batch.sequence;
        granted += batch.counts.iter().map(|sum| sum.granted).sum::<u64>();
        denied += batch.counts.iter().map(|sum| sum.denied).sum::<u64>();
        shown += batch.shown;
        left_out += batch.passed_over + batch.dropped;
    }
    pushing.await.unwrap();
    assert_eq!((granted, denied, shown + left_out), (700, 50, 750));
    log.shutdown().unwrap();
    assert_eq!(live.next().await, None);
}

impl View {
    fn into_shared(self) -> arc_swap::ArcSwap<View> {
        arc_swap::ArcSwap::from_pointee(self)
    }
}
