//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// The wait after the first failure, before jitter.
const FIRST: Duration = Duration::from_millis(500);
/// No wait is longer.
pub const LONGEST: Duration = Duration::from_secs(30);

/// How long to wait after so many failures in a row (1 for the first). `dice` is 0.0 to 1.0: half of the wait is left to
/// it, so that clients that lost a server together don't come back together.
pub fn wait(failures: u32, dice: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    full / 2 + (full / 2).mul_f64(dice.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_and_half_of_each_is_left_to_the_dice() {
        let shortest: Vec<u64> = (1..=9).map(|failures| wait(failures, 0.0).as_millis() as u64).collect();
        assert_eq!(shortest, [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
        for failures in [0, 1, 2, 7, 8, 100, u32::MAX] {
            for dice in [-1.0, 0.0, 0.3, 1.0, 7.0, f64::INFINITY] {
                let wait = wait(failures, dice);
                assert!(wait >= FIRST / 2 && wait <= LONGEST, "{failures} {dice} {wait:?}");
            }
        }
        assert_eq!((wait(1, 1.0), wait(50, 1.0)), (FIRST, LONGEST));
        assert!(wait(3, 0.2) < wait(3, 0.8));
    }
}
