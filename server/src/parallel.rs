//! The same work on many things, on every core. For what a start has to do before the first check is answered.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ScopedJoinHandle},
};

/// What `work` makes of each thing, in their order.
pub fn each<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut made = Vec::new();
        while let Some((at, thing)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, things.get(at)?)))
        {
            made.push((at, work(thing)));
        }
        made
    };
    let others = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(things.len()).saturating_sub(1);
    let mut made = thread::scope(|scope| {
        // Where a thread can't be had, those that are there do its share.
        let spawn = |_| thread::Builder::new().name("start".into()).spawn_scoped(scope, take).ok();
        let handles: Vec<_> = (0..others).filter_map(spawn).collect();
        let mut made = take();
        for handle in handles {
            made.extend(joined(handle));
        }
        made
    });
    made.sort_unstable_by_key(|(at, _)| *at);
    made.into_iter().map(|(_, made)| made).collect()
}

/// What each of two works comes to, done beside each other.
pub fn both<A: Send, B>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    // Where a thread can't be had, this one does both: the work waits in a place where either finds it.
    let one = Mutex::new(Some(one));
    let take = || {
        let work = one.lock().unwrap_or_else(PoisonError::into_inner).take();
        work.map(|work| work())
    };
    thread::scope(|scope| {
        let handle = thread::Builder::new().name("start".into()).spawn_scoped(scope, take).ok();
        let other = other();
        let theirs = handle.and_then(joined);
        let one = theirs.or_else(take).expect("whoever took the work has done it, or its panic went on");
        (one, other)
    })
}

/// What a thread came to; its panic goes on here.
pub fn joined<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_done_once() {
        let mut counted = 0;
        let (one, other) = both(
            || {
                counted += 1;
                counted
            },
            || "other",
        );
        assert_eq!((one, other, counted), (1, "other", 1));
    }

    #[test]
    fn each_thing_is_done_once_and_in_order() {
        for count in [0, 1, 2, 1_000_u64] {
            let things: Vec<u64> = (0..count).collect();
            let done = AtomicUsize::new(0);
            let made = each(&things, |thing| {
                done.fetch_add(1, Ordering::SeqCst);
                thing * 2
            });
            assert_eq!(made, things.iter().map(|thing| thing * 2).collect::<Vec<_>>());
            assert_eq!(done.into_inner(), things.len());
        }
    }
}
