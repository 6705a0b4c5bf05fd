//! Drawing a code's digits, and the one fixed-size form that they have before they are hashed or sealed.

use keyward_protocol::code::Digits;
use keyward_protocol::limits::{CODE_DIGITS_MAX, CODE_DIGITS_MIN};
use rand::{CryptoRng, RngExt};
use zeroize::Zeroizing;

/// Bytes of padded digits: their number, the digits, zeros. The same for every length, so that lengths don't show.
pub(super) const PADDED_BYTES: usize = 11;

const _: () = assert!(PADDED_BYTES == 1 + CODE_DIGITS_MAX as usize);

/// One draw: every code of that many digits is as likely as any other, trivial ones included (the caller draws
/// again). `None` unless the number of digits is one that codes can have.
pub(super) fn draw(digits: u8, rng: &mut impl CryptoRng) -> Option<Digits> {
    if !(CODE_DIGITS_MIN..=CODE_DIGITS_MAX).contains(&digits) {
        return None;
    }
    let number = Zeroizing::new(rng.random_range(0..10_u64.pow(digits.into())));
    let mut text = Zeroizing::new([b'0'; CODE_DIGITS_MAX as usize]);
    let mut rest = Zeroizing::new(*number);
    for place in text.iter_mut().take(digits.into()) {
        // The remainder of a division by ten is below ten.
        *place += (*rest % 10) as u8;
        *rest /= 10;
    }
    Digits::parse(text.get(..digits.into())?)
}

/// The digits as they are hashed and sealed.
pub(super) fn pad(digits: &Digits) -> Zeroizing<[u8; PADDED_BYTES]> {
    let digits = digits.expose();
    let mut padded = Zeroizing::new([0; PADDED_BYTES]);
    if let Some((length, places)) = padded.split_first_mut() {
        // At most ten digits: the number fits.
        *length = digits.len() as u8;
        places.iter_mut().zip(digits).for_each(|(place, digit)| *place = *digit);
    }
    padded
}

/// What [`pad`] made from; `None` for bytes that it never makes.
pub(super) fn unpad(padded: &[u8; PADDED_BYTES]) -> Option<Digits> {
    let (length, places) = padded.split_first()?;
    let (digits, zeros) = places.split_at_checked(usize::from(*length))?;
    zeros.iter().all(|byte| *byte == 0).then(|| Digits::parse(digits)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    // C2
    #[test]
    fn every_length_can_be_drawn_and_padded_and_no_other() {
        let mut rng = StdRng::seed_from_u64(1);
        for length in CODE_DIGITS_MIN..=CODE_DIGITS_MAX {
            let digits = draw(length, &mut rng).unwrap();
            assert_eq!(digits.expose().len(), usize::from(length));
            assert!(unpad(&pad(&digits)).is_some_and(|again| again == digits));
        }
        for length in [0, 3, 11, 255] {
            assert!(draw(length, &mut rng).is_none());
        }
    }

    // C2: each digit in each place as often as any other: chi-square over nine degrees of freedom, 99.99 %.
    #[test]
    fn draws_are_uniform() {
        const DRAWS: usize = 20_000;
        let mut rng = StdRng::seed_from_u64(2);
        let mut seen = [[0_usize; 10]; 7];
        for _ in 0..DRAWS {
            let digits = draw(7, &mut rng).unwrap();
            digits.expose().iter().zip(&mut seen).for_each(|(digit, place)| place[usize::from(digit - b'0')] += 1);
        }
        let expected = DRAWS as f64 / 10.0;
        for place in seen {
            let chi: f64 = place.iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum();
            assert!(chi < 33.7, "{place:?}");
        }
    }

    #[test]
    fn foreign_padding_is_refused() {
        assert!(unpad(&[255; PADDED_BYTES]).is_none());
        assert!(unpad(&[0; PADDED_BYTES]).is_none());
        assert!(unpad(b"\x044821\0\0\0\0\0x").is_none());
        assert!(unpad(b"\x044821\0\0\0\0\0\0").is_some());
    }
}
