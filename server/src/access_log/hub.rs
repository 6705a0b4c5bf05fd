//! Live views: what is recorded, shown to who watches, without making the log wait.
//!
//! The log's writer gives the hub what is on disk. For each portfolio that someone watches, the hub sums attempts by
//! door and second once, and puts sums and rows into each subscription's backlog, which is bounded: rows that don't
//! fit are left out, sums never are (L6). What a viewer may see is decided when they take a batch, by the view that
//! holds then, so a door that leaves a view is gone from it at once, and nothing about other doors shows: not in sums,
//! not in what was left out, not in the numbers of batches (M8).

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use keyward_protocol::id::{DoorId, PortfolioId};
use tokio::sync::Notify;

use super::record::Record;
use super::ring::Batch;

/// The most live views of one server.
pub const SUBSCRIPTIONS_MAX: usize = 1_024;
/// The most grants, and the most denials, that wait in one subscription's backlog.
pub const BACKLOG_ROWS_MAX: usize = 16_384;
/// The most parts that wait in one subscription's backlog; later ones are only summed.
const BACKLOG_PARTS_MAX: usize = 1_024;
/// The most sums of a door and a second that wait apart; past it a door's seconds are added up.
const SUMS_MAX: usize = 65_536;

/// What someone may see of their portfolio's log (L2).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// These doors' logs; all of them for `None`.
    pub doors: Option<HashSet<DoorId>>,
    /// Also the attempts that are kept against a lock, not a door: for Portfolio Managers (L1).
    pub strays: bool,
}

impl View {
    /// Everything in the portfolio.
    pub fn all() -> View {
        View { doors: None, strays: true }
    }

    /// These doors and nothing else.
    pub fn of_doors(doors: impl IntoIterator<Item = DoorId>) -> View {
        View { doors: Some(doors.into_iter().collect()), strays: false }
    }

    /// Whether a record with this [`Record::door_of_log`] is seen.
    pub fn sees(&self, door: Option<DoorId>) -> bool {
        match (door, &self.doors) {
            (None, _) => self.strays,
            (Some(_), None) => true,
            (Some(door), Some(doors)) => doors.contains(&door),
        }
    }
}

/// A view that can be replaced while it is in use.
pub type SharedView = Arc<ArcSwap<View>>;

/// Attempts at one door within one second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DoorSecond {
    /// The door; `None` for attempts that are kept against a lock.
    pub door: Option<DoorId>,
    /// Seconds since 1970-01-01T00:00:00Z. After a long wait a door's earlier seconds are added to its last one.
    pub second: i64,
    /// Attempts that were granted.
    pub granted: u64,
    /// Attempts that were denied.
    pub denied: u64,
}

/// What happened since the last batch. Every attempt in `counts` was shown, passed over or dropped:
/// `granted + denied = shown + passed_over + dropped`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveBatch {
    /// Counts this subscription's batches from 1; no number is left out.
    pub sequence: u64,
    /// Everything that the viewer may see, by door and second.
    pub counts: Vec<DoorSecond>,
    /// All denials and a sample of the grants, by time, less what was dropped.
    pub rows: Vec<Record>,
    /// How many rows there are.
    pub shown: u64,
    /// One grant in so many is among the rows; 1 when all are.
    pub sampled_one_in: u64,
    /// Grants that are not, since they would be more than the subscriber takes.
    pub passed_over: u64,
    /// Attempts whose rows did not fit into the backlog, because this subscriber was slow.
    pub dropped: u64,
}

/// There are [`SUBSCRIPTIONS_MAX`] live views already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{SUBSCRIPTIONS_MAX} live views are open already: close some first")]
pub struct TooManySubscriptions;

type Watched = HashMap<PortfolioId, Vec<Arc<Backlog>>>;

/// Who watches what.
pub struct Hub {
    watched: Arc<Mutex<Watched>>,
    /// How many subscriptions there are: lets the writer pass by when it is none.
    count: Arc<AtomicUsize>,
    closed: AtomicBool,
    limits: Limits,
}

#[derive(Clone, Copy)]
struct Limits {
    rows: usize,
    parts: usize,
    sums: usize,
}

impl Default for Hub {
    fn default() -> Self {
        Hub::with_limits(Limits { rows: BACKLOG_ROWS_MAX, parts: BACKLOG_PARTS_MAX, sums: SUMS_MAX })
    }
}

impl Hub {
    fn with_limits(limits: Limits) -> Self {
        Hub { watched: Arc::default(), count: Arc::default(), closed: AtomicBool::new(false), limits }
    }

    /// Watches `portfolio` from now on, as far as `view` sees at each moment. A batch has at most `grants_max` grants
    /// (and any number of denials).
    pub fn subscribe(
        &self,
        portfolio: PortfolioId,
        view: SharedView,
        grants_max: usize,
    ) -> Result<Subscription, TooManySubscriptions> {
        let mut watched = lock(&self.watched);
        if self.count.load(Ordering::Acquire) >= SUBSCRIPTIONS_MAX {
            return Err(TooManySubscriptions);
        }
        let backlog = Arc::new(Backlog::new(self.limits));
        if self.closed.load(Ordering::Acquire) {
            backlog.close();
        }
        watched.entry(portfolio).or_default().push(backlog.clone());
        self.count.fetch_add(1, Ordering::AcqRel);
        let (from, count) = (self.watched.clone(), self.count.clone());
        Ok(Subscription { portfolio, view, grants_max, sequence: 0, backlog, from, count })
    }

    /// Shows these batches to who watches. Waits for nobody: a backlog is locked only to move it in or out.
    pub(super) fn publish<'a>(&self, batches: impl Iterator<Item = &'a Batch>) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let watched = lock(&self.watched);
        let mut parts: HashMap<PortfolioId, PartBuilder> = HashMap::new();
        let seen = |batch: &&Batch| !batch.records.is_empty() && watched.contains_key(&batch.portfolio);
        for batch in batches.filter(seen) {
            parts.entry(batch.portfolio).or_default().add(&batch.records);
        }
        for (portfolio, builder) in parts {
            let part = builder.finish();
            watched.get(&portfolio).into_iter().flatten().for_each(|backlog| backlog.put(&part));
        }
    }

    /// Ends every stream once its backlog is taken.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        lock(&self.watched).values().flatten().for_each(|backlog| backlog.close());
    }
}

/// One live view. Dropping it ends it.
pub struct Subscription {
    portfolio: PortfolioId,
    view: SharedView,
    grants_max: usize,
    sequence: u64,
    backlog: Arc<Backlog>,
    from: Arc<Mutex<Watched>>,
    count: Arc<AtomicUsize>,
}

impl Subscription {
    /// The next batch that has something in it for this viewer; `None` once the log was shut down. How often this is
    /// called is how often the viewer hears: what comes in between is put together. May be dropped and called again.
    pub async fn next(&mut self) -> Option<LiveBatch> {
        loop {
            let goes_on = self.arrived().await;
            if let Some(batch) = self.take() {
                return Some(batch);
            }
            if !goes_on {
                return None;
            }
        }
    }

    /// Resolves when something may have come since the last look; `false` once the log was shut down. What came may
    /// be nothing that this viewer sees: [`Subscription::take`] tells. May be dropped and called again.
    pub async fn arrived(&mut self) -> bool {
        if self.backlog.is_empty() && !self.backlog.closed.load(Ordering::Acquire) {
            self.backlog.arrival.notified().await;
        }
        !self.backlog.closed.load(Ordering::Acquire)
    }

    /// What is there now, if anything.
    pub fn take(&mut self) -> Option<LiveBatch> {
        let waiting = self.backlog.take();
        let mut batch = waiting.seen_by(&self.view.load(), self.grants_max)?;
        self.sequence += 1;
        batch.sequence = self.sequence;
        Some(batch)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watched = lock(&self.from);
        if let Some(backlogs) = watched.get_mut(&self.portfolio) {
            backlogs.retain(|backlog| !Arc::ptr_eq(backlog, &self.backlog));
            if backlogs.is_empty() {
                watched.remove(&self.portfolio);
            }
        }
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What waits for one subscriber.
struct Backlog {
    waiting: Mutex<Waiting>,
    arrival: Notify,
    closed: AtomicBool,
    limits: Limits,
}

impl Backlog {
    fn new(limits: Limits) -> Self {
        Backlog { waiting: Mutex::default(), arrival: Notify::new(), closed: AtomicBool::new(false), limits }
    }

    fn put(&self, part: &Part) {
        lock(&self.waiting).put(part, self.limits);
        self.arrival.notify_one();
    }

    fn take(&self) -> Waiting {
        mem::take(&mut *lock(&self.waiting))
    }

    fn is_empty(&self) -> bool {
        let waiting = lock(&self.waiting);
        waiting.parts.is_empty() && waiting.overflow.0.is_empty()
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.arrival.notify_one();
    }
}

#[derive(Default)]
struct Waiting {
    parts: VecDeque<Kept>,
    grants: usize,
    denials: usize,
    /// Sums of the parts that found no place.
    overflow: Sums,
}

/// A part with the rows that fitted.
struct Kept {
    sums: Arc<[DoorSecond]>,
    grants: Option<Arc<[Record]>>,
    denials: Option<Arc<[Record]>>,
}

impl Waiting {
    fn put(&mut self, part: &Part, limits: Limits) {
        if self.parts.len() >= limits.parts {
            part.sums.iter().for_each(|sum| self.overflow.add(sum, sum.granted + sum.denied));
            self.overflow.shrink(limits.sums);
            return;
        }
        // Grants and denials have room of their own: a flood of grants pushes no denial out.
        let keep = |rows: &Arc<[Record]>, held: &mut usize| {
            let fits = *held + rows.len() <= limits.rows;
            fits.then(|| {
                *held += rows.len();
                rows.clone()
            })
        };
        let grants = keep(&part.grants, &mut self.grants);
        let denials = keep(&part.denials, &mut self.denials);
        self.parts.push_back(Kept { sums: part.sums.clone(), grants, denials });
    }

    /// What `view` sees of it; `None` when that is nothing.
    fn seen_by(self, view: &View, grants_max: usize) -> Option<LiveBatch> {
        let mut sums = Sums::default();
        for (key, sum) in self.overflow.0.iter().filter(|(key, _)| view.sees(key.0)) {
            sums.add(&sum.of(*key), sum.dropped);
        }
        let (mut grants, mut rows): (Vec<Record>, Vec<Record>) = (Vec::new(), Vec::new());
        for part in &self.parts {
            for sum in part.sums.iter().filter(|sum| view.sees(sum.door)) {
                let granted = if part.grants.is_none() { sum.granted } else { 0 };
                let denied = if part.denials.is_none() { sum.denied } else { 0 };
                sums.add(sum, granted + denied);
            }
            let seen = |record: &&Record| view.sees(record.door_of_log());
            grants.extend(part.grants.iter().flat_map(|rows| rows.iter()).filter(seen));
            rows.extend(part.denials.iter().flat_map(|rows| rows.iter()).filter(seen));
        }
        if sums.0.is_empty() {
            return None;
        }
        let one_in = if grants_max == 0 { grants.len() + 1 } else { grants.len().div_ceil(grants_max).max(1) };
        // From the `one_in`th on, so that a sample of none is possible.
        let sample = grants.iter().copied().skip(one_in - 1).step_by(one_in);
        let denials = rows.len();
        rows.extend(sample);
        let passed_over = grants.len() + denials - rows.len();
        rows.sort_by_key(|record| record.time);
        Some(LiveBatch {
            sequence: 0,
            dropped: sums.0.values().map(|sum| sum.dropped).sum(),
            counts: sums.listed(),
            shown: rows.len() as u64,
            sampled_one_in: one_in as u64,
            passed_over: passed_over as u64,
            rows,
        })
    }
}

/// What one round of the writer has for one portfolio.
struct Part {
    sums: Arc<[DoorSecond]>,
    grants: Arc<[Record]>,
    denials: Arc<[Record]>,
}

#[derive(Default)]
struct PartBuilder {
    sums: Sums,
    grants: Vec<Record>,
    denials: Vec<Record>,
}

impl PartBuilder {
    fn add(&mut self, records: &[Record]) {
        for record in records {
            let granted = record.outcome.is_granted();
            let sum = DoorSecond {
                door: record.door_of_log(),
                second: record.time.as_micros().div_euclid(1_000_000),
                granted: u64::from(granted),
                denied: u64::from(!granted),
            };
            self.sums.add(&sum, 0);
            if granted { self.grants.push(*record) } else { self.denials.push(*record) }
        }
    }

    fn finish(self) -> Part {
        Part { sums: self.sums.listed().into(), grants: self.grants.into(), denials: self.denials.into() }
    }
}

/// Sums by door and second.
#[derive(Default)]
struct Sums(HashMap<(Option<DoorId>, i64), Sum>);

#[derive(Clone, Copy, Default)]
struct Sum {
    granted: u64,
    denied: u64,
    dropped: u64,
}

impl Sum {
    fn of(&self, (door, second): (Option<DoorId>, i64)) -> DoorSecond {
        DoorSecond { door, second, granted: self.granted, denied: self.denied }
    }
}

impl Sums {
    fn add(&mut self, more: &DoorSecond, dropped: u64) {
        let sum = self.0.entry((more.door, more.second)).or_default();
        sum.granted += more.granted;
        sum.denied += more.denied;
        sum.dropped += dropped;
    }

    /// Adds each door's seconds up into its last one when there are more than `limit` sums. A portfolio's doors are
    /// limited, so that bounds them.
    fn shrink(&mut self, limit: usize) {
        if self.0.len() <= limit {
            return;
        }
        let mut last: HashMap<Option<DoorId>, i64> = HashMap::new();
        for (door, second) in self.0.keys() {
            last.entry(*door).and_modify(|last| *last = (*last).max(*second)).or_insert(*second);
        }
        for ((door, second), sum) in mem::take(&mut self.0) {
            let second = last.get(&door).copied().unwrap_or(second);
            self.add(&sum.of((door, second)), sum.dropped);
        }
    }

    /// By second, then by door.
    fn listed(&self) -> Vec<DoorSecond> {
        let mut listed: Vec<DoorSecond> = self.0.iter().map(|(key, sum)| sum.of(*key)).collect();
        listed.sort_by_key(|sum| (sum.second, sum.door));
        listed
    }
}

/// A panic elsewhere leaves these sums and rows as good as they were.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use keyward_protocol::decision::Reason;

    use super::super::record::tests::{denied, record};
    use super::*;

    const MINE: PortfolioId = PortfolioId(1);

    fn shared(view: View) -> SharedView {
        Arc::new(ArcSwap::from_pointee(view))
    }

    fn batch(portfolio: PortfolioId, records: Vec<Record>) -> Batch {
        Batch { portfolio, records }
    }

    fn show(hub: &Hub, records: Vec<Record>) {
        hub.publish([batch(MINE, records)].iter());
    }

    /// Granted and denied by door.
    fn totals(batches: &[LiveBatch]) -> BTreeMap<Option<DoorId>, (u64, u64)> {
        let mut totals = BTreeMap::new();
        for sum in batches.iter().flat_map(|batch| &batch.counts) {
            let total: &mut (u64, u64) = totals.entry(sum.door).or_default();
            total.0 += sum.granted;
            total.1 += sum.denied;
        }
        totals
    }

    /// Checks that a batch accounts for every attempt.
    fn accounts_for_all(batch: &LiveBatch) {
        let attempts: u64 = batch.counts.iter().map(|sum| sum.granted + sum.denied).sum();
        assert_eq!(attempts, batch.shown + batch.passed_over + batch.dropped, "{batch:?}");
        assert_eq!(batch.shown, batch.rows.len() as u64);
    }

    // L3
    #[test]
    fn a_view_shows_rows_and_sums_by_door_and_second() {
        let hub = Hub::default();
        let mut view = hub.subscribe(MINE, shared(View::all()), 100).unwrap();
        show(&hub, vec![record(1, 5, 1), record(2, 5, 2)]);
        show(&hub, vec![denied(1, 5, Reason::NoKey), record(1, -1, 3)]);
        let batch = view.take().unwrap();
        let sum = |door, second, granted, denied| DoorSecond { door: Some(DoorId(door)), second, granted, denied };
        assert_eq!(batch.counts, [sum(1, -1, 1, 0), sum(1, 5, 1, 1), sum(2, 5, 1, 0)]);
        assert_eq!((batch.sequence, batch.shown, batch.sampled_one_in, batch.dropped), (1, 4, 1, 0));
        assert!(batch.rows.is_sorted_by_key(|row| row.time));
        assert_eq!(view.take(), None);
    }

    // L6
    #[test]
    fn a_viewer_who_takes_few_grants_gets_a_sample_and_every_denial_and_is_told() {
        let hub = Hub::default();
        let mut view = hub.subscribe(MINE, shared(View::all()), 10).unwrap();
        let mut records: Vec<Record> = (0..95).map(|number| record(1, 1, number)).collect();
        records.extend((0..50).map(|_| denied(1, 1, Reason::NoKey)));
        show(&hub, records);
        let batch = view.take().unwrap();
        accounts_for_all(&batch);
        assert_eq!((batch.sampled_one_in, batch.passed_over, batch.dropped), (10, 86, 0));
        assert_eq!(batch.rows.iter().filter(|row| !row.outcome.is_granted()).count(), 50);

        let mut none = hub.subscribe(MINE, shared(View::all()), 0).unwrap();
        show(&hub, vec![record(1, 1, 1), denied(1, 1, Reason::NoKey)]);
        let batch = none.take().unwrap();
        accounts_for_all(&batch);
        assert_eq!((batch.shown, batch.passed_over), (1, 1));
    }

    // L6
    #[test]
    fn sums_stay_true_while_rows_are_dropped_and_the_drops_are_counted() {
        for limits in [
            Limits { rows: 25, parts: 1_000, sums: 1_000 },
            Limits { rows: 1_000_000, parts: 3, sums: 1_000 },
            Limits { rows: 25, parts: 3, sums: 4 },
        ] {
            let hub = Hub::with_limits(limits);
            let mut view = hub.subscribe(MINE, shared(View::all()), 7).unwrap();
            let mut truth: BTreeMap<Option<DoorId>, (u64, u64)> = BTreeMap::new();
            let mut batches = Vec::new();
            for round in 0..200_u32 {
                let door = 1 + round % 5;
                let mut records: Vec<Record> = (0..round % 13).map(|n| record(door, i64::from(round), n)).collect();
                records.extend((0..round % 3).map(|_| denied(door, i64::from(round), Reason::Expired)));
                if !records.is_empty() {
                    let total = truth.entry(Some(DoorId(door))).or_default();
                    total.0 += u64::from(round % 13);
                    total.1 += u64::from(round % 3);
                }
                show(&hub, records);
                if round % 41 == 40 {
                    batches.extend(view.take());
                }
            }
            batches.extend(view.take());
            batches.iter().for_each(accounts_for_all);
            assert_eq!(totals(&batches), truth);
            assert!(batches.iter().any(|batch| batch.dropped > 0));
            assert!(batches.iter().map(|batch| batch.sequence).eq(1..=batches.len() as u64));
        }
    }

    // L6
    #[test]
    fn a_flood_of_grants_pushes_no_denial_out() {
        let hub = Hub::with_limits(Limits { rows: 10, parts: 100, sums: 100 });
        let mut view = hub.subscribe(MINE, shared(View::all()), 5).unwrap();
        for _ in 0..10 {
            let mut records: Vec<Record> = (0..9).map(|number| record(1, 1, number)).collect();
            records.push(denied(1, 1, Reason::Lockdown));
            show(&hub, records);
        }
        let batch = view.take().unwrap();
        accounts_for_all(&batch);
        assert_eq!(batch.rows.iter().filter(|row| !row.outcome.is_granted()).count(), 10);
        assert_eq!(batch.dropped, 81);
    }

    // L2 M8
    #[test]
    fn doors_out_of_view_show_in_nothing() {
        let hub = Hub::with_limits(Limits { rows: 4, parts: 2, sums: 100 });
        let mine = shared(View::of_doors([DoorId(1)]));
        let mut view = hub.subscribe(MINE, mine.clone(), 100).unwrap();
        for second in 0..10 {
            show(&hub, (0..3).map(|number| record(2, second, number)).collect());
        }
        assert_eq!(view.take(), None, "not even an empty batch");
        show(&hub, vec![record(1, 1, 1), record(2, 1, 1), denied(1, 1, Reason::UnknownDoor)]);
        let batch = view.take().unwrap();
        assert_eq!((batch.sequence, batch.shown, batch.dropped), (1, 1, 0));
        assert!(batch.rows.iter().all(|row| row.door == DoorId(1) && row.outcome.is_granted()), "L1: no strays");

        mine.store(Arc::new(View::of_doors([DoorId(2)])));
        show(&hub, vec![record(1, 2, 1), record(2, 2, 1)]);
        let batch = view.take().unwrap();
        assert!(batch.rows.iter().all(|row| row.door == DoorId(2)) && batch.shown == 1);
    }

    // M9
    #[test]
    fn another_portfolio_s_attempts_never_show() {
        let hub = Hub::default();
        let mut mine = hub.subscribe(MINE, shared(View::all()), 100).unwrap();
        let mut other = hub.subscribe(PortfolioId(2), shared(View::all()), 100).unwrap();
        hub.publish(
            [batch(PortfolioId(2), vec![record(1, 1, 1)]), batch(PortfolioId(3), vec![record(1, 1, 1)])].iter(),
        );
        assert_eq!(mine.take(), None);
        assert_eq!(other.take().unwrap().shown, 1);
    }

    #[test]
    fn a_dropped_view_leaves_nothing_behind_and_there_are_only_so_many() {
        let hub = Hub::default();
        let views: Vec<Subscription> =
            (0..SUBSCRIPTIONS_MAX).map(|_| hub.subscribe(MINE, shared(View::all()), 1).unwrap()).collect();
        assert!(hub.subscribe(MINE, shared(View::all()), 1).is_err());
        drop(views);
        assert!(lock(&hub.watched).is_empty());
        assert!(hub.subscribe(MINE, shared(View::all()), 1).is_ok());
    }

    #[tokio::test]
    async fn a_waiting_view_is_woken_and_ends_with_the_log() {
        let hub = Arc::new(Hub::default());
        let mut view = hub.subscribe(MINE, shared(View::of_doors([DoorId(1)])), 1).unwrap();
        let waiting = tokio::spawn(async move {
            let batches = (view.next().await, view.next().await, view.next().await);
            (batches.0.map(|batch| batch.shown), batches.1.is_some(), batches.2)
        });
        show(&hub, vec![record(2, 1, 1)]);
        show(&hub, vec![record(1, 1, 1)]);
        while !lock(&hub.watched).values().flatten().all(|backlog| lock(&backlog.waiting).parts.is_empty()) {
            tokio::task::yield_now().await;
        }
        show(&hub, vec![record(1, 2, 1)]);
        hub.close();
        assert_eq!(waiting.await.unwrap(), (Some(1), true, None));
    }
}
