//! Asks the processor to bring a line into its second cache and goes on at once. Into the first, the lines of a group
//! pushed one another out again: a mobile identity's check took a tenth longer.
//!
//! A plain read would do it too, but nothing after a read that misses can retire before the line has come, so few of
//! them overlap. With reads in place of prefetches `benches/benches/index.rs` measures a mobile identity's check at
//! 1.4 times the time.

/// Brings the line where `lines[at]` begins into the cache; where there is none, does nothing.
#[inline(always)]
pub fn prefetch<T>(lines: &[T], at: usize) {
    if let Some(line) = lines.get(at) {
        prefetch_line(line);
    }
}

/// Brings the line where `thing` begins into the cache.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "there is no safe way to prefetch; benches/benches/index.rs shows what it is worth")]
pub fn prefetch_line<T>(thing: &T) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: a prefetch reads and writes nothing that a program can see and never faults, whatever the address; this
    // one is a reference's. The instruction is part of SSE, which every x86-64 has.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(thing).cast()) }
}

/// Elsewhere nothing is brought: checks are answered the same, a little later.
#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
pub fn prefetch_line<T>(_thing: &T) {}

#[cfg(test)]
mod tests {
    use super::*;

    // Run under the address sanitizer too: server/DESIGN.md says how.
    #[test]
    fn prefetching_changes_nothing_and_ends_at_the_end() {
        let lines = vec![7_u64; 100];
        (0..200).for_each(|at| prefetch(&lines, at));
        prefetch(&lines, usize::MAX);
        prefetch::<u64>(&[], 0);
        lines.iter().for_each(prefetch_line);
        assert_eq!(lines, [7; 100]);
    }
}
