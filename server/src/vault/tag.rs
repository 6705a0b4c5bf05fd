//! Lookup tags: how a typed code is found without the server knowing any code's digits.

use core::fmt;

use keyward_protocol::code::Digits;
use keyward_protocol::id::DoorId;
use keyward_protocol::limits::CODE_DIGITS_MAX;
use siphasher::sip128::SipHasher24;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::draw::PADDED_BYTES;
use crate::sip::sip_round;

/// Bytes of a [`Tag`].
pub const TAG_BYTES: usize = 16;
/// Bytes of the key that tags are made with.
pub const TAG_KEY_BYTES: usize = 16;

/// What digits look like at one door to whoever has the [`Tagger`]: the same digits give another tag at another
/// door. With the tagger a guess can be tested, so a tag is never printed, logged or sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(pub [u8; TAG_BYTES]);

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(****)")
    }
}

/// Makes [`Tag`]s with one vault's tag key. Cheap to clone; each copy of the key is wiped when it is dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Tagger {
    key: [u8; TAG_KEY_BYTES],
}

impl Tagger {
    /// Makes tags with this key, which is a secret.
    pub fn new(key: [u8; TAG_KEY_BYTES]) -> Tagger {
        Tagger { key }
    }

    pub(super) fn key(&self) -> &[u8; TAG_KEY_BYTES] {
        &self.key
    }

    /// The tag of `digits` at `door`: SipHash-2-4-128 of the door, the number of digits and the digits with zeros after
    /// them. On the way of every code check, so it is written out for this one length: nothing allocated, no copy of
    /// the digits left in memory.
    #[inline]
    pub fn tag(&self, door: DoorId, digits: &Digits) -> Tag {
        let [d0, d1, d2, d3, d4, d5, d6, d7, d8, d9] = *digits.padded();
        let low = u64::from_le_bytes([d0, d1, d2, d3, d4, d5, d6, d7]);
        let places = u128::from(low) | u128::from(u16::from_le_bytes([d8, d9])) << 64;
        let message = u128::from(door.0) | (digits.expose().len() as u128) << 32 | places << 40;
        let [k0, k1] = halves(u128::from_le_bytes(self.key));
        let [first, last] = halves(message);
        Tag(sip_24_128([k0, k1], [first, last | MESSAGE_BYTES << 56]))
    }
}

/// Door, number of digits, digits.
const MESSAGE_BYTES: u64 = 4 + PADDED_BYTES as u64;
const _: () = assert!(MESSAGE_BYTES == 15 && CODE_DIGITS_MAX == 10);

#[inline(always)]
fn halves(whole: u128) -> [u64; 2] {
    [whole as u64, (whole >> 64) as u64]
}

/// SipHash-2-4-128 of two words, of which the second holds the length as SipHash wants it.
#[inline(always)]
fn sip_24_128([k0, k1]: [u64; 2], words: [u64; 2]) -> [u8; 16] {
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d ^ 0xEE,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    for word in words {
        v[3] ^= word;
        v = sip_round(sip_round(v));
        v[0] ^= word;
    }
    v[2] ^= 0xEE;
    v = sip_round(sip_round(sip_round(sip_round(v))));
    let low = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xDD;
    v = sip_round(sip_round(sip_round(sip_round(v))));
    let high = v[0] ^ v[1] ^ v[2] ^ v[3];
    (u128::from(low) | u128::from(high) << 64).to_le_bytes()
}

impl fmt::Debug for Tagger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tagger(****)")
    }
}

/// SipHash-2-4-128 of `message`; also what the slots' checksums are made with.
pub(super) fn keyed_hash(key: &[u8; 16], message: &[u8]) -> [u8; 16] {
    SipHasher24::new_with_key(key).hash(message).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Digits {
        Digits::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_tag_depends_on_door_length_digits_and_key() {
        let tagger = Tagger::new([7; 16]);
        let tag = tagger.tag(DoorId(1), &digits("4820195"));
        assert_eq!(tag, tagger.clone().tag(DoorId(1), &digits("4820195")));
        assert_ne!(tag, tagger.tag(DoorId(2), &digits("4820195")));
        assert_ne!(tag, tagger.tag(DoorId(1), &digits("4820194")));
        assert_ne!(tag, tagger.tag(DoorId(1), &digits("04820195")));
        assert_ne!(tag, Tagger::new([8; 16]).tag(DoorId(1), &digits("4820195")));
    }

    // Vaults keep tags: what makes them must never change.
    #[test]
    fn a_tag_is_siphash_2_4_128_of_door_length_and_padded_digits() {
        let tagger = Tagger::new([7; 16]);
        for text in ["4820", "4820195", "0000000000", "9999999999"] {
            for door in [1, 0x1234_5678, u32::MAX] {
                let padded = super::super::draw::pad(&digits(text));
                let message = [&u32::to_le_bytes(door)[..], &padded[..]].concat();
                assert_eq!(tagger.tag(DoorId(door), &digits(text)), Tag(keyed_hash(&[7; 16], &message)));
            }
        }
    }

    // C8
    #[test]
    fn neither_key_nor_tag_is_printed() {
        let tagger = Tagger::new([0x42; 16]);
        let printed = format!("{tagger:?} {:?}", tagger.tag(DoorId(1), &digits("4820195")));
        assert_eq!(printed, "Tagger(****) Tag(****)");
    }
}
