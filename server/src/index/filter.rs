//! Says of most credentials that nobody has them, in one cache line.
//!
//! A line holds a short fingerprint of each thing that falls there. What has no fingerprint in its line is surely not
//! kept; what has one is likely kept: whoever asks looks it up. Lines stand in chunks that clones share, so a change
//! copies one chunk.

use std::sync::Arc;

use super::{place, prefetch::prefetch};

const PER_LINE: usize = 32;
/// On average, when the filter is made anew. Few lines run over before there are twice as many things.
const PER_LINE_FILLED: usize = 8;
const LINES_PER_CHUNK: usize = 64;
/// In a line's first place: more things fell here than it has places, so it tells nothing.
const RAN_OVER: u16 = u16::MAX;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line {
    /// 0 where nothing stands.
    fingerprints: [u16; PER_LINE],
}

/// Fingerprints of things, known by their hashes.
#[derive(Clone, Default)]
pub struct Filter {
    chunks: Vec<Arc<[Line; LINES_PER_CHUNK]>>,
    count: usize,
}

impl Filter {
    /// A filter with room for so many things.
    fn with_room(count: usize) -> Filter {
        let chunks = count / (PER_LINE_FILLED * LINES_PER_CHUNK) + 1;
        let empty = || Arc::new([Line { fingerprints: [0; PER_LINE] }; LINES_PER_CHUNK]);
        Filter { chunks: (0..chunks).map(|_| empty()).collect(), count: 0 }
    }

    /// Adds a thing with this hash. Where the filter has grown too full it is made anew from `all`: the hashes of
    /// everything that is kept by now, this thing too.
    pub fn add(&mut self, hash: u64, all: impl Iterator<Item = u64>) {
        if self.count < self.chunks.len() * LINES_PER_CHUNK * PER_LINE_FILLED * 2 {
            self.insert(hash);
            return;
        }
        let mut anew = Filter::with_room(self.count + 1);
        all.for_each(|hash| anew.insert(hash));
        *self = anew;
    }

    /// Takes one thing with this hash away.
    pub fn remove(&mut self, hash: u64) {
        self.count = self.count.saturating_sub(1);
        let Some(line) = self.line_mut(hash) else { return };
        if line.fingerprints[0] != RAN_OVER {
            let here = line.fingerprints.iter_mut().find(|other| **other == fingerprint(hash));
            here.into_iter().for_each(|here| *here = 0);
        }
    }

    /// Asks for the line that [`Filter::may_have`] reads.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        let at = self.at(hash);
        if let Some(chunk) = self.chunks.get(at / LINES_PER_CHUNK) {
            prefetch(chunk.as_slice(), at % LINES_PER_CHUNK);
        }
    }

    /// Whether a thing with this hash may be kept. Where not, it surely isn't.
    #[inline(always)]
    pub fn may_have(&self, hash: u64) -> bool {
        let at = self.at(hash);
        let chunk = self.chunks.get(at / LINES_PER_CHUNK);
        let Some(line) = chunk.and_then(|chunk| chunk.get(at % LINES_PER_CHUNK)) else { return false };
        let wanted = fingerprint(hash);
        let here = line.fingerprints.iter().fold(false, |here, other| here | (*other == wanted));
        here | (line.fingerprints[0] == RAN_OVER)
    }

    fn insert(&mut self, hash: u64) {
        self.count += 1;
        let Some(line) = self.line_mut(hash) else { return };
        if line.fingerprints[0] == RAN_OVER {
            return;
        }
        match line.fingerprints.iter_mut().find(|other| **other == 0) {
            Some(free) => *free = fingerprint(hash),
            None => line.fingerprints[0] = RAN_OVER,
        }
    }

    #[inline(always)]
    fn at(&self, hash: u64) -> usize {
        place::bucket(hash, self.chunks.len() * LINES_PER_CHUNK)
    }

    fn line_mut(&mut self, hash: u64) -> Option<&mut Line> {
        let at = self.at(hash);
        Arc::make_mut(self.chunks.get_mut(at / LINES_PER_CHUNK)?).get_mut(at % LINES_PER_CHUNK)
    }
}

/// Of the bits that do not choose the line; neither 0 nor [`RAN_OVER`].
#[inline(always)]
fn fingerprint(hash: u64) -> u16 {
    (hash as u16).clamp(1, RAN_OVER - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::RngExt;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn what_is_kept_is_never_denied_and_little_else_is_let_through() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut filter = Filter::default();
        let mut kept: HashSet<u64> = HashSet::new();
        for _ in 0..60_000 {
            if rng.random_bool(0.3)
                && let Some(hash) = kept.iter().next().copied()
            {
                kept.remove(&hash);
                filter.remove(hash);
            } else {
                let hash = rng.random();
                kept.insert(hash);
                filter.add(hash, kept.iter().copied());
            }
        }
        assert!(kept.iter().all(|hash| filter.may_have(*hash)));
        let through = (0..100_000).filter(|_| filter.may_have(rng.random())).count();
        assert!(through < 200, "{through} of 100,000");
        let before = filter.clone();
        kept.iter().for_each(|hash| filter.remove(*hash));
        assert!(kept.iter().all(|hash| before.may_have(*hash)), "a clone stays as it was");
        let left = kept.iter().filter(|hash| filter.may_have(**hash)).count();
        assert!(left < kept.len() / 100, "{left} of {}", kept.len());
    }

    #[test]
    fn a_line_that_ran_over_denies_nothing() {
        let mut filter = Filter::default();
        let all: Vec<u64> = (1..=40).collect();
        for (count, hash) in (1..).zip(&all) {
            filter.add(*hash, all.iter().copied().take(count));
        }
        assert!(all.iter().all(|hash| filter.may_have(*hash)));
        filter.remove(40);
        assert!(filter.may_have(40), "which of them stand in the line is not known any more");
    }
}
