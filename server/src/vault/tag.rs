//! Lookup tags: how a typed code is found without the server knowing any code's digits.

use core::fmt;

use keyward_protocol::code::Digits;
use keyward_protocol::id::DoorId;
use siphasher::sip128::SipHasher24;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::draw::{PADDED_BYTES, pad};

/// Bytes of a [`Tag`].
pub const TAG_BYTES: usize = 16;
/// Bytes of the key that tags are made with.
pub(super) const TAG_KEY_BYTES: usize = 16;

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
    pub(super) fn new(key: [u8; TAG_KEY_BYTES]) -> Tagger {
        Tagger { key }
    }

    pub(super) fn key(&self) -> &[u8; TAG_KEY_BYTES] {
        &self.key
    }

    /// The tag of `digits` at `door`. On the way of every code check: one short SipHash-2-4-128, nothing allocated.
    pub fn tag(&self, door: DoorId, digits: &Digits) -> Tag {
        let padded = pad(digits);
        let mut message = [0; 4 + PADDED_BYTES];
        let (at_door, at_digits) = message.split_at_mut(4);
        at_door.copy_from_slice(&door.0.to_le_bytes());
        at_digits.copy_from_slice(&*padded);
        let tag = Tag(keyed_hash(&self.key, &message));
        message.zeroize();
        tag
    }
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

    // C8
    #[test]
    fn neither_key_nor_tag_is_printed() {
        let tagger = Tagger::new([0x42; 16]);
        let printed = format!("{tagger:?} {:?}", tagger.tag(DoorId(1), &digits("4820195")));
        assert_eq!(printed, "Tagger(****) Tag(****)");
    }
}
