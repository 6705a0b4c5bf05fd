//! What the log's writer and everyone else share: the rings, how far the disk has come, and the doorbell.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::Mode;
use super::catalog::Catalog;
use super::hub::Hub;
use super::ring::{LogError, Ring, Ticket};

/// The writer works in rounds: it takes every batch that is in the rings, writes and flushes them. Rounds are
/// numbered, and a batch that was pushed while round `n` was the last one begun is on disk when round `n + 1` is
/// complete, at the latest.
pub(super) struct Shared {
    pub mode: Mode,
    pub rings: Box<[Ring]>,
    pub catalog: Catalog,
    pub hub: Hub,
    /// Records that are on disk, of those accepted since the log was opened.
    pub durable_records: AtomicU64,
    /// The sequence of the next record; what is before it is on disk.
    pub next_sequence: AtomicU64,
    /// Segments that had to be abandoned.
    pub alarms: AtomicU64,
    /// The last round that was begun.
    begun: AtomicU64,
    /// The last round whose batches, and those of all rounds before it, are on disk.
    complete: AtomicU64,
    closing: AtomicBool,
    failed: AtomicBool,
    ended: AtomicBool,
    bell: Bell,
}

/// A round of the writer.
pub(super) struct Round {
    /// Counts from 1.
    pub number: u64,
    /// Whether the log is to end once everything is written.
    pub closing: bool,
}

impl Shared {
    pub fn new(mode: Mode, rings: Box<[Ring]>, catalog: Catalog, next_sequence: u64) -> Self {
        Shared {
            mode,
            rings,
            catalog,
            hub: Hub::default(),
            durable_records: AtomicU64::new(0),
            next_sequence: AtomicU64::new(next_sequence),
            alarms: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            complete: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            bell: Bell::default(),
        }
    }

    /// Records handed over since the log was opened.
    pub fn accepted(&self) -> u64 {
        self.rings.iter().map(|ring| ring.accepted.load(Ordering::Relaxed)).sum()
    }

    /// The ticket of a batch that has just been pushed.
    ///
    /// INVARIANT: either this sees the number of a round, or that round's drain sees the batch: each side has a
    /// sequentially consistent fence between its write and its read.
    pub fn ticket(&self) -> Ticket {
        fence(Ordering::SeqCst);
        Ticket(self.begun.load(Ordering::SeqCst) + 1)
    }

    pub fn is_durable(&self, ticket: Ticket) -> Result<bool, LogError> {
        // The end first: once it is set, what is complete changes no more.
        let ended = self.ended.load(Ordering::Acquire);
        if self.complete.load(Ordering::Acquire) >= ticket.0 {
            return Ok(true);
        }
        if ended || self.is_failed() { Err(self.why_ended()) } else { Ok(false) }
    }

    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub fn why_ended(&self) -> LogError {
        if self.is_failed() { LogError::Failed } else { LogError::ShutDown }
    }

    /// Asks the writer to write what is there and end.
    pub fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.rings.iter().for_each(Ring::close);
        self.ring_the_bell(true);
    }

    /// Tells the writer that there is something to do. `pressing` also wakes it from a nap.
    pub fn ring_the_bell(&self, pressing: bool) {
        self.bell.ring(pressing);
    }

    // From here on: for the writer only.

    /// Begins a round; what was pushed before this call is in its drain.
    ///
    /// INVARIANT: the bell is silenced first and everything it can ring for is looked at after that, so whatever comes
    /// later rings again. The other way round, a close between the two is neither seen nor heard.
    pub fn begin_round(&self) -> Round {
        self.bell.heard();
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        fence(Ordering::SeqCst);
        Round { number, closing: self.closing.load(Ordering::SeqCst) }
    }

    /// Everything up to round `round` is on disk: tells who waits for it.
    pub fn complete_round(&self, round: u64) {
        self.complete.store(round, Ordering::Release);
        self.rings.iter().for_each(|ring| ring.progress.notify_waiters());
    }

    /// Sleeps until the bell rings, or for so long; returns at once when it rang since the round began.
    pub fn sleep(&self, at_most: Option<Duration>) {
        self.bell.sleep(at_most);
    }

    /// Sleeps for so long unless something presses.
    pub fn nap(&self, duration: Duration) {
        self.bell.nap(duration);
    }

    /// The disk takes nothing: everyone who waits is told, and nobody hands anything over until [`Self::recover`].
    pub fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.rings.iter().for_each(|ring| ring.progress.notify_waiters());
    }

    /// The disk takes records again.
    pub fn recover(&self) {
        self.failed.store(false, Ordering::SeqCst);
    }

    /// The last word: nothing will be written any more.
    pub fn end(&self, failed: bool) {
        self.failed.store(failed, Ordering::Release);
        self.rings.iter().for_each(Ring::close);
        self.ended.store(true, Ordering::Release);
        self.rings.iter().for_each(|ring| ring.progress.notify_waiters());
        self.hub.close();
    }
}

/// Wakes the writer, and costs one swap while it is awake.
#[derive(Default)]
struct Bell {
    state: AtomicU8,
    pressing: AtomicBool,
    writer: OnceLock<Thread>,
}

const QUIET: u8 = 0;
const RUNG: u8 = 1;
const ASLEEP: u8 = 2;

impl Bell {
    fn ring(&self, pressing: bool) {
        let wake_from_nap = pressing && !self.pressing.swap(true, Ordering::SeqCst);
        if self.state.swap(RUNG, Ordering::SeqCst) == ASLEEP || wake_from_nap {
            self.writer.get().inspect(|writer| writer.unpark());
        }
    }

    fn heard(&self) {
        self.writer.get_or_init(thread::current);
        self.pressing.store(false, Ordering::SeqCst);
        self.state.store(QUIET, Ordering::SeqCst);
    }

    fn sleep(&self, at_most: Option<Duration>) {
        let asleep = self.state.compare_exchange(QUIET, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        let until = at_most.map(|at_most| Instant::now() + at_most);
        while asleep && self.state.load(Ordering::SeqCst) == ASLEEP {
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(left) if left.is_zero() => return,
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    fn nap(&self, duration: Duration) {
        let until = Instant::now() + duration;
        while !self.pressing.load(Ordering::SeqCst) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    /// A writer that only goes through its rounds and tells when it ends.
    fn spawn_idle_writer(shared: &Arc<Shared>) -> mpsc::Receiver<()> {
        let (ended, end) = mpsc::channel();
        let shared = shared.clone();
        thread::spawn(move || {
            loop {
                let round = shared.begin_round();
                if round.closing {
                    break;
                }
                shared.complete_round(round.number);
                shared.sleep(None);
            }
            // Nobody listens any more once the test has failed.
            let _ = ended.send(());
        });
        end
    }

    // A close once fell between the writer's look for it and the silencing of the bell: the writer slept, and
    // whoever shut the log down waited for it for ever. Rounds are short here and the bell rings all the time, so
    // that the close falls into every part of a round.
    #[test]
    fn a_close_is_noticed_at_any_moment_of_a_round() {
        for attempt in 0..20_000 {
            let shared = Arc::new(Shared::new(Mode::Strict, Box::new([Ring::new(1)]), Catalog::new(Vec::new()), 1));
            let end = spawn_idle_writer(&shared);
            for _ in 0..attempt % 64 {
                shared.ring_the_bell(false);
                thread::yield_now();
            }
            shared.close();
            let ended = end.recv_timeout(Duration::from_secs(60));
            assert!(ended.is_ok(), "the writer sleeps through a close, attempt {attempt}");
        }
    }

    #[test]
    fn a_bell_that_rang_during_a_round_keeps_the_writer_awake() {
        let shared = Shared::new(Mode::Strict, Box::new([Ring::new(1)]), Catalog::new(Vec::new()), 1);
        assert!(!shared.begin_round().closing);
        shared.ring_the_bell(false);
        shared.sleep(None);
        shared.close();
        assert!(shared.begin_round().closing);
    }
}
