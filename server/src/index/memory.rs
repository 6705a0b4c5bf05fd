//! The memory that checks read most: compiled indexes and code tables, on huge pages where the system has them.
//!
//! With thousands of properties nearly every check reads lines whose pages no processor remembers the place of, and
//! looking that up takes as long as reading. Pages of 2 MiB are few enough to be remembered. Indexes are far smaller
//! than that, so they share regions, which a general allocator divides. Only whoever makes or drops an index takes its
//! lock; checks read.

use std::{alloc::Layout, mem::ManuallyDrop, ops::Deref};

use allocator_api2::vec::Vec;
use memmap2::MmapMut;
use parking_lot::RawMutex;
use talc::{
    TalcLock,
    base::{Talc, binning::Binning},
    source::Source,
};

/// Where lists of lines are kept that checks read.
pub(super) type Memory = &'static TalcLock<RawMutex, Regions>;

/// The process's one.
pub(super) static MEMORY: TalcLock<RawMutex, Regions> = TalcLock::new(Regions);

/// What a huge page has on x86-64, and on others mostly.
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Address space that is asked for at a time; memory is taken of it a page at a time, as it is first written.
const REGION_BYTES: usize = 32 * HUGE_PAGE_BYTES;

/// Gets more memory from the system. What it got stays: what is dropped is used again.
#[derive(Debug)]
pub(super) struct Regions;

// SAFETY: it speaks to no allocator but the process's own, which is another.
#[expect(unsafe_code, reason = "memory on huge pages; benches/benches/index.rs shows what it is worth")]
unsafe impl Source for Regions {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // Room for the allocator's own notes, and for where the first line begins.
        let wanted = layout.size().checked_add(layout.align() + HUGE_PAGE_BYTES).ok_or(())?;
        let bytes = wanted.max(REGION_BYTES).checked_next_multiple_of(HUGE_PAGE_BYTES).ok_or(())?;
        let mut region = ManuallyDrop::new(MmapMut::map_anon(bytes).map_err(drop)?);
        prefer_huge_pages(&region);
        // SAFETY: the region was mapped for this, can be read and written, is never unmapped, and nobody else knows it.
        unsafe { talc.claim(region.as_mut_ptr(), bytes) }.map(drop).ok_or(())
    }
}

/// A hint: where it is refused, pages are small, and checks are answered the same.
#[cfg(target_os = "linux")]
fn prefer_huge_pages(region: &MmapMut) {
    _ = region.advise(memmap2::Advice::HugePage);
}

#[cfg(not(target_os = "linux"))]
fn prefer_huge_pages(_region: &MmapMut) {}

/// Bytes that begin where a cache line does.
pub(super) struct LineBytes {
    bytes: Vec<u8, Memory>,
    from: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;

impl LineBytes {
    /// A copy of these.
    pub fn copy(bytes: &[u8]) -> LineBytes {
        let mut copy: Vec<u8, Memory> = Vec::with_capacity_in(bytes.len() + LINE, &MEMORY);
        let from = copy.as_ptr().align_offset(LINE);
        copy.resize(from, 0);
        copy.extend_from_slice(bytes);
        LineBytes { bytes: copy, from }
    }
}

impl Deref for LineBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn what_is_kept_stays_as_it_was_while_others_come_and_go() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut kept: std::vec::Vec<(LineBytes, u8)> = std::vec::Vec::new();
        for round in 0..2_000 {
            let (len, byte) = (rng.random_range(0..200_000), rng.random());
            kept.push((LineBytes::copy(&vec![byte; len]), byte));
            if round > 100 {
                let (gone, byte) = kept.swap_remove(rng.random_range(0..kept.len()));
                assert!(gone.iter().all(|other| *other == byte));
            }
        }
        for (bytes, byte) in &kept {
            assert!(bytes.iter().all(|other| other == byte));
            assert_eq!(bytes.as_ptr().align_offset(LINE), 0);
        }
    }

    #[test]
    fn more_than_a_region_has_is_there_too() {
        let bytes = vec![7; REGION_BYTES + 1];
        assert_eq!(*LineBytes::copy(&bytes), bytes[..]);
    }

    #[test]
    fn threads_share_it() {
        std::thread::scope(|scope| {
            for byte in 0..4 {
                scope.spawn(move || {
                    let all: std::vec::Vec<LineBytes> =
                        (0..500).map(|len| LineBytes::copy(&vec![byte; len * 97])).collect();
                    assert!(all.iter().all(|bytes| bytes.iter().all(|other| *other == byte)));
                });
            }
        });
    }
}
