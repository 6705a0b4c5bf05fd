//! Where each thing of a fixed set stands in a table: one place a thing, found without probing.
//!
//! A hash picks a bucket of a few things; the bucket's displacement, found when the table was made, sends each of
//! them to a place of its own. So a look-up reads one displacement and one place, hit or miss, and a table can be
//! four fifths full. Whoever looks up compares the whole thing it finds there.

/// Things to a bucket, on average.
const PER_BUCKET: usize = 3;

/// A table's arrangement.
#[derive(Debug)]
pub struct Arrangement {
    /// One for each bucket.
    pub displacements: Vec<u16>,
    /// The position in the input of the thing at each place.
    pub places: Vec<Option<u32>>,
}

/// Arranges things by their hashes; `None` where that can't be done (two equal hashes, above all): hash anew with
/// another key.
pub fn arrange(hashes: &[u64]) -> Option<Arrangement> {
    let bucket_count = hashes.len() / PER_BUCKET + 1;
    let mut buckets: Vec<Vec<u32>> = vec![Vec::new(); bucket_count];
    for (item, hash) in (0_u32..).zip(hashes) {
        buckets.get_mut(bucket(*hash, bucket_count))?.push(item);
    }
    let mut order: Vec<usize> = (0..bucket_count).collect();
    // The largest first, while there is room: they are the hardest to seat.
    order.sort_by_key(|bucket| std::cmp::Reverse(buckets.get(*bucket).map_or(0, Vec::len)));
    let mut made =
        Arrangement { displacements: vec![0; bucket_count], places: vec![None; hashes.len() + hashes.len() / 4 + 1] };
    for bucket in order {
        let items = buckets.get(bucket)?;
        if items.is_empty() {
            break;
        }
        let (displacement, seats) = seat(items, hashes, &made.places)?;
        *made.displacements.get_mut(bucket)? = displacement;
        for (item, seat) in items.iter().zip(seats) {
            *made.places.get_mut(seat)? = Some(*item);
        }
    }
    Some(made)
}

/// The first displacement that seats every item of a bucket at a free place of its own.
fn seat(items: &[u32], hashes: &[u64], places: &[Option<u32>]) -> Option<(u16, Vec<usize>)> {
    let mut seats = Vec::with_capacity(items.len());
    (0..=u16::MAX).find_map(|displacement| {
        seats.clear();
        for item in items {
            let seat = place(*hashes.get(*item as usize)?, displacement, places.len());
            if places.get(seat)?.is_some() || seats.contains(&seat) {
                return None;
            }
            seats.push(seat);
        }
        Some((displacement, std::mem::take(&mut seats)))
    })
}

/// Which of `count` displacements goes with a hash, and of `count` lines the one where its probes begin.
#[inline(always)]
pub fn bucket(hash: u64, count: usize) -> usize {
    scale(hash >> 32, count)
}

/// Which of `count` places a hash and its displacement lead to.
#[inline(always)]
pub fn place(hash: u64, displacement: u16, count: usize) -> usize {
    let mixed =
        (hash ^ u64::from(displacement).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    scale(mixed >> 32, count)
}

/// Scales 32 bits down to `0..count`, without dividing. Counts stay below 2^32.
#[inline(always)]
fn scale(bits: u64, count: usize) -> usize {
    ((bits * count as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn every_thing_has_a_place_of_its_own() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for count in [0, 1, 2, 3, 5, 100, 420, 50_000] {
            let hashes: Vec<u64> = (0..count).map(|_| rng.random()).collect();
            let made = arrange(&hashes).unwrap();
            for (item, hash) in hashes.iter().enumerate() {
                let displacement = made.displacements[bucket(*hash, made.displacements.len())];
                assert_eq!(made.places[place(*hash, displacement, made.places.len())], Some(item as u32));
            }
        }
    }

    #[test]
    fn equal_hashes_are_refused() {
        assert!(arrange(&[1, 5, 5]).is_none());
    }
}
