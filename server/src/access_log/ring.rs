//! Rings: how a batch of records gets from the core that judged it to the log's writer.
//!
//! Each core shard has one bounded queue. Handing a batch over takes no lock: a place in the queue is taken by one
//! compare-and-swap (`tokio::sync::Semaphore::try_acquire`), and the batch is put into it by another
//! (`crossbeam_queue::ArrayQueue::push`). When no place is free the producer waits, first come first served; nothing
//! is ever dropped.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crossbeam_queue::ArrayQueue;
use keyward_protocol::id::PortfolioId;
use tokio::sync::{Notify, Semaphore, TryAcquireError};

use super::record::Record;
use super::shared::Shared;

/// Records of one portfolio, handed over together.
#[derive(Debug)]
pub struct Batch {
    /// Whose records they are.
    pub portfolio: PortfolioId,
    /// In the order in which they were judged. Take the vector from [`Producer::buffer`].
    pub records: Vec<Record>,
}

/// A batch that was taken out of a ring and isn't on disk yet.
pub(super) struct Handed {
    pub shard: usize,
    pub batch: Batch,
}

/// Stands for a batch that was handed over; [`Producer::durable`] waits until it is on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[must_use = "in `strict`, answers wait until the ticket's batch is on disk"]
pub struct Ticket(pub(super) u64);

/// Why a batch was not taken. It is given back: nothing of it was recorded.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The ring is full: wait with [`Producer::push`].
    #[error("the access log is busy: the ring is full")]
    Full(Batch),
    /// The log takes nothing, for now or any more.
    #[error(transparent)]
    Ended(Ended),
}

/// A batch that came after the log's end, or while its disk takes nothing.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Ended {
    /// The batch, given back.
    pub batch: Batch,
    /// What the log ended with.
    #[source]
    pub why: LogError,
}

/// Why records are not on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LogError {
    /// The disk failed twice: what is done about it is up to the property (`deny` or `answer_and_count`). The log tries
    /// again every second.
    #[error("the access log has failed: its disk refuses writes")]
    Failed,
    /// The log was shut down.
    #[error("the access log was shut down")]
    ShutDown,
}

/// One shard's queue. Aligned so that shards don't share a cache line.
#[repr(align(128))]
pub(super) struct Ring {
    queue: ArrayQueue<Batch>,
    /// One permit for each free place in the queue.
    room: Semaphore,
    /// Vectors to be used again.
    pool: ArrayQueue<Vec<Record>>,
    /// Records that were handed over here since the log was opened.
    pub accepted: AtomicU64,
    /// Told whenever a round is complete.
    pub progress: Notify,
}

impl Ring {
    pub fn new(batches: usize) -> Self {
        Ring {
            queue: ArrayQueue::new(batches),
            room: Semaphore::new(batches),
            pool: ArrayQueue::new(batches),
            accepted: AtomicU64::new(0),
            progress: Notify::new(),
        }
    }

    /// Moves every batch that was here when the call began to `to`.
    pub fn drain(&self, shard: usize, to: &mut Vec<Handed>) {
        let before = to.len();
        let batches = std::iter::from_fn(|| self.queue.pop()).take(self.queue.capacity());
        to.extend(batches.map(|batch| Handed { shard, batch }));
        // INVARIANT: a permit comes back only after its place is free, so a push with a permit finds one.
        self.room.add_permits(to.len() - before);
    }

    /// Whether nothing is here and nobody is about to put something here.
    pub fn is_quiet(&self) -> bool {
        self.room.available_permits() == self.queue.capacity()
    }

    /// Lets no more batches in; who waits for room is told.
    pub fn close(&self) {
        self.room.close();
    }

    /// Keeps a vector for the next [`Producer::buffer`].
    pub fn recycle(&self, mut records: Vec<Record>) {
        records.clear();
        // A full pool lets it go.
        let _ = self.pool.push(records);
    }

    fn is_half_full(&self) -> bool {
        self.queue.len() * 2 >= self.queue.capacity()
    }
}

/// Hands one shard's batches to the log. Cheap to clone.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
    shard: usize,
}

impl Producer {
    pub(super) fn new(shared: Arc<Shared>, shard: usize) -> Self {
        Producer { shard: shard % shared.rings.len(), shared }
    }

    /// An empty vector for the records of a batch, used before where possible.
    pub fn buffer(&self) -> Vec<Record> {
        self.ring().pool.pop().unwrap_or_default()
    }

    /// Hands `batch` over, or gives it back when there is no room.
    pub fn try_push(&self, batch: Batch) -> Result<Ticket, PushError> {
        if self.shared.is_failed() {
            return Err(PushError::Ended(Ended { batch, why: LogError::Failed }));
        }
        match self.ring().room.try_acquire() {
            Ok(permit) => {
                permit.forget();
                Ok(self.put(batch))
            }
            Err(TryAcquireError::NoPermits) => Err(PushError::Full(batch)),
            Err(TryAcquireError::Closed) => Err(PushError::Ended(Ended { batch, why: self.shared.why_ended() })),
        }
    }

    /// Hands `batch` over as soon as there is room. Dropping the future before it is done hands nothing over.
    pub async fn push(&self, batch: Batch) -> Result<Ticket, Ended> {
        if self.shared.is_failed() {
            return Err(Ended { batch, why: LogError::Failed });
        }
        match self.ring().room.acquire().await {
            Ok(permit) => {
                permit.forget();
                Ok(self.put(batch))
            }
            Err(_closed) => Err(Ended { batch, why: self.shared.why_ended() }),
        }
    }

    /// [`Producer::push`] for threads outside of a runtime.
    pub fn push_blocking(&self, batch: Batch) -> Result<Ticket, Ended> {
        block_on(self.push(batch))
    }

    /// Whether the ticket's batch is on disk.
    pub fn is_durable(&self, ticket: Ticket) -> Result<bool, LogError> {
        self.shared.is_durable(ticket)
    }

    /// Returns when the ticket's batch is on disk, or surely won't be. May be dropped and called again.
    pub async fn durable(&self, ticket: Ticket) -> Result<(), LogError> {
        loop {
            // Made before the question is asked: what happens in between is not missed.
            let progress = self.ring().progress.notified();
            if self.shared.is_durable(ticket)? {
                return Ok(());
            }
            progress.await;
        }
    }

    /// [`Producer::durable`] for threads outside of a runtime.
    pub fn durable_blocking(&self, ticket: Ticket) -> Result<(), LogError> {
        block_on(self.durable(ticket))
    }

    /// Puts a batch into the place that a permit was taken for.
    fn put(&self, batch: Batch) -> Ticket {
        let ring = self.ring();
        ring.accepted.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
        ring.queue.push(batch).expect("a permit is a free place in the queue");
        let ticket = self.shared.ticket();
        self.shared.ring_the_bell(ring.is_half_full());
        ticket
    }

    fn ring(&self) -> &Ring {
        self.shared.rings.get(self.shard).expect("a shard is one of the log's")
    }
}

/// Runs a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        thread::park();
    }
}
