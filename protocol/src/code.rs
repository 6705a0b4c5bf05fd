//! Door codes and card numbers.

use core::fmt;

use zeroize::Zeroize;

use crate::limits::{CARD_BYTES_MAX, CODE_DIGITS_MAX, CODE_DIGITS_MIN};

/// The digits of a door code, each `b'0'..=b'9'`: 4 to 10 of them (C2). A secret: never printed by `Debug`,
/// wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Digits {
    bytes: [u8; CODE_DIGITS_MAX as usize],
    length: u8,
}

impl Digits {
    /// The digits in `text`; `None` unless it is 4 to 10 ASCII digits.
    pub fn parse(text: &[u8]) -> Option<Digits> {
        let length = u8::try_from(text.len()).ok()?;
        let fits = (CODE_DIGITS_MIN..=CODE_DIGITS_MAX).contains(&length) && text.iter().all(u8::is_ascii_digit);
        if !fits {
            return None;
        }
        let mut bytes = [0; CODE_DIGITS_MAX as usize];
        bytes.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        Some(Digits { bytes, length })
    }

    /// The first `length` of these bytes; `None` unless they are 4 to 10 ASCII digits. What stands after them counts
    /// for nothing. On the way of every code check: all bytes at once, and no branch but the last.
    #[inline]
    pub fn from_padded(padded: [u8; CODE_DIGITS_MAX as usize], length: u8) -> Option<Digits> {
        const fn in_each(byte: u8) -> u128 {
            0x0101_0101_0101_0101_0101 * byte as u128
        }
        let [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9] = padded;
        let low = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
        let all = u128::from(low) | u128::from(u16::from_le_bytes([b8, b9])) << 64;
        let counted = (1 << (8 * u32::from(length.min(CODE_DIGITS_MAX)))) - 1;
        // Each byte as the number that the digit stands for; adding sets the highest bit of one above 9. What is carried
        // into the next byte comes from one that was wrong already.
        let numbers = (all ^ in_each(b'0')) & counted;
        let wrong = (numbers | (numbers + in_each(0x80 - 10))) & in_each(0x80) != 0;
        let right = (CODE_DIGITS_MIN..=CODE_DIGITS_MAX).contains(&length) & !wrong;
        let mut bytes = [0; CODE_DIGITS_MAX as usize];
        bytes.iter_mut().zip((all & counted).to_le_bytes()).for_each(|(to, from)| *to = from);
        right.then_some(Digits { bytes, length })
    }

    /// The digits as ASCII. Handle with care: this is the secret itself.
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The digits as ASCII, zeros after them. As secret as they are.
    #[inline]
    pub fn padded(&self) -> &[u8; CODE_DIGITS_MAX as usize] {
        &self.bytes
    }

    /// Whether the code is one that people try first, and so is never handed out (C2): all the same digit, a run
    /// of four or more up or down anywhere in it, a two-digit repeat, or fewer than three different digits.
    pub fn is_trivial(&self) -> bool {
        let digits = self.expose();
        let steps = |by: i16| digits.windows(4).any(|w| w.windows(2).all(|p| i16::from(p[1]) - i16::from(p[0]) == by));
        let different = (b'0'..=b'9').filter(|digit| digits.contains(digit)).count();
        let two_digit_repeat = digits.windows(3).all(|w| w[0] == w[2]);
        steps(1) || steps(-1) || two_digit_repeat || different < 3
    }
}

impl Drop for Digits {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits(****)")
    }
}

/// A card number: 1 to 10 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Card {
    bytes: [u8; CARD_BYTES_MAX],
    length: u8,
}

impl Card {
    /// The card with these bytes; `None` unless there are 1 to 10 of them.
    pub fn new(number: &[u8]) -> Option<Card> {
        let length = u8::try_from(number.len()).ok()?;
        if length == 0 || number.len() > CARD_BYTES_MAX {
            return None;
        }
        let mut bytes = [0; CARD_BYTES_MAX];
        bytes.iter_mut().zip(number).for_each(|(to, from)| *to = *from);
        Some(Card { bytes, length })
    }

    /// The card that `text` names in hex, either case; `None` unless it is 1 to 10 whole bytes.
    pub fn parse_hex(text: &str) -> Option<Card> {
        let digits: Option<Vec<u8>> =
            text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        let digits = digits?;
        if digits.len() % 2 != 0 {
            return None;
        }
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        Card::new(&bytes)
    }

    /// The bytes of the number.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Whether this is a card that [`Card::new`] could have made: one that came in an archive may be anything.
    pub(crate) fn is_sound(&self) -> bool {
        Card::new(self.bytes()).is_some_and(|same| same == *self)
    }
}

/// Lower-case hex.
impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is shown to a door. Compared whole, never by a part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// A person's random 64-bit mobile identity, or a carrier's.
    Mobile(u64),
    /// A card number.
    Card(Card),
    /// A door code, as typed at the door.
    Code(Digits),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_digits_are_the_same_as_those_parsed() {
        for text in
            ["", "123", "1234", "0000000", "123456789", "1234567890", "12345678901", "12a4", "123/", "123:", "é12"]
        {
            for rest in [0, b'7', b'x', 0xFF] {
                let mut padded = [rest; CODE_DIGITS_MAX as usize];
                padded.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
                assert_eq!(Digits::from_padded(padded, text.len() as u8), Digits::parse(text.as_bytes()), "{text}");
            }
        }
    }

    #[test]
    fn a_byte_that_is_no_digit_is_found_wherever_it_stands() {
        for place in 0..CODE_DIGITS_MAX as usize {
            for byte in 0..=u8::MAX {
                let mut padded = [b'9'; CODE_DIGITS_MAX as usize];
                padded[place] = byte;
                for length in 0..=12 {
                    let digits = (4..=10).contains(&length) && padded.iter().take(length).all(u8::is_ascii_digit);
                    assert_eq!(
                        Digits::from_padded(padded, length as u8).is_some(),
                        digits,
                        "{byte} at {place} of {length}"
                    );
                }
            }
        }
    }

    // C2
    #[test]
    fn trivial_codes_are_known() {
        let trivial = |text: &str| Digits::parse(text.as_bytes()).unwrap().is_trivial();
        for bad in ["1111111", "9123407", "7432109", "4747474", "1211221", "0123", "5544554"] {
            assert!(trivial(bad), "{bad}");
        }
        for good in ["1357902", "9081726", "4820", "1230947"] {
            assert!(!trivial(good), "{good}");
        }
    }

    #[test]
    fn digits_and_cards_have_bounds() {
        assert!(Digits::parse(b"123").is_none() && Digits::parse(b"12345678901").is_none());
        assert!(Digits::parse(b"12a4").is_none());
        assert!(Card::parse_hex("04a2b9c1d2").is_some_and(|card| card.to_string() == "04a2b9c1d2"));
        for bad in ["", "0", "0g", "00112233445566778899aa"] {
            assert!(Card::parse_hex(bad).is_none(), "{bad}");
        }
        assert_ne!(Card::parse_hex("00"), Card::parse_hex("0000"));
    }

    // C8
    #[test]
    fn digits_are_not_printed() {
        assert!(!format!("{:?}", Digits::parse(b"4820195").unwrap()).contains("4820195"));
    }
}
