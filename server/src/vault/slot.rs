//! The vault's bytes: its header, its slots, and the keys that both are sealed with.
//!
//! ```text
//! header, at 0 and once more at 4,096 (bytes)          slot, from 8,192 on, 128 bytes each
//!   0  magic "keywvlt1"                                  0  code u64            lookup half
//!   8  version u32, then 4 of zero                       8  door u32, then 4 of zero
//!  16  vault id                                         16  tag
//!  32  salt                                             32  checksum of 0..32
//!  48  the tag key and 16 of zero, sealed (48)          48  salt                secret half
//!  96  checksum of 0..96                                64  digits and blind, sealed (48)
//!                                                      112  checksum of 48..112
//! ```
//!
//! Magic, version and the place and kind of the header's checksum stay in every version, so that an old server can tell
//! a newer vault from a damaged one. Numbers are little-endian. What is sealed is 32 bytes and a Poly1305 tag of 16, under a ChaCha20 key of its own
//! that follows from root, vault and salt. A slot's plain bytes are the number of digits, ten places (zeros after
//! the last digit), five zeros, and the blind, 16 random bytes. The slot's checksums are SipHash-2-4-128 under a
//! key that follows from the root, over the slot's number and the bytes, so that they confirm no guess and a slot
//! that stands in another's place is noticed.
//!
//! The halves are written and damaged apart: destroying a code zeroes the secret half and never touches the
//! lookup half, so a torn write can't lose the tag that the quarantine needs. All zero is a free slot.
//! A slot never spans two disk sectors.
#![deny(clippy::indexing_slicing)]

use std::path::PathBuf;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use keyward_protocol::code::Digits;
use keyward_protocol::id::{CodeId, DoorId, PersonId};
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::draw::{PADDED_BYTES, pad, unpad};
use super::root::RootSecret;
use super::tag::{TAG_BYTES, TAG_KEY_BYTES, Tag, Tagger, keyed_hash};
use super::{Commitment, VaultError, VaultId};
use crate::format::NewerFormat;

/// Bytes of a slot.
pub(super) const SLOT_BYTES: usize = 128;
/// Where a slot's secret half begins.
pub(super) const SECRET_AT: usize = 48;
/// Bytes of a slot's secret half.
pub(super) const SECRET_BYTES: usize = SLOT_BYTES - SECRET_AT;
/// Bytes before the first slot: the header twice, far enough apart that one bad sector can't take both.
pub(super) const HEADER_AREA_BYTES: usize = 8_192;
const SECOND_HEADER_AT: usize = 4_096;

const SALT_BYTES: usize = 16;
const PLAIN_BYTES: usize = 32;
const SEALED_BYTES: usize = PLAIN_BYTES + 16;
const BLIND_AT: usize = 16;
const CHECKSUM_BYTES: usize = 16;
const HEADER_CHECKED_BYTES: usize = 96;
const MAGIC: &[u8; 8] = b"keywvlt1";
const VERSION: u32 = 1;

const _: () = assert!(SECRET_AT == 16 + TAG_BYTES + CHECKSUM_BYTES);
const _: () = assert!(SECRET_BYTES == SALT_BYTES + SEALED_BYTES + CHECKSUM_BYTES);
const _: () = assert!(512 % SLOT_BYTES == 0 && HEADER_AREA_BYTES.is_multiple_of(512));
const _: () = assert!(PADDED_BYTES <= BLIND_AT && TAG_KEY_BYTES <= PLAIN_BYTES);

/// One slot as it stands in the file.
pub(super) type SlotBytes = [u8; SLOT_BYTES];

/// Where slot `index` begins in the file.
pub(super) fn offset(index: u32) -> u64 {
    HEADER_AREA_BYTES as u64 + u64::from(index) * SLOT_BYTES as u64
}

/// What follows from a root for one vault.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Keys {
    #[zeroize(skip)]
    vault: VaultId,
    seal: [u8; 32],
    check: [u8; 16],
}

impl Keys {
    pub(super) fn derive(root: &RootSecret, vault: VaultId) -> Keys {
        let mut hasher = blake3::Hasher::new_derive_key("keyward vault 1: the keys of a vault");
        hasher.update(root.expose()).update(&vault);
        let mut bytes = Zeroizing::new([0; 48]);
        hasher.finalize_xof().fill(&mut *bytes);
        Keys { vault, seal: part(&*bytes, 0), check: part(&*bytes, 32) }
    }

    pub(super) fn vault(&self) -> VaultId {
        self.vault
    }

    /// The nonce is always zero: `salt` is drawn for this one message, and with it the key.
    fn cipher(&self, salt: &[u8; SALT_BYTES], bound_to: &Binding) -> ChaCha20Poly1305 {
        let mut hasher = blake3::Hasher::new_keyed(&self.seal);
        hasher.update(salt).update(bound_to);
        let mut key = Zeroizing::new([0; 32]);
        hasher.finalize_xof().fill(&mut *key);
        ChaCha20Poly1305::new((&*key).into())
    }

    fn seal(&self, salt: &[u8; SALT_BYTES], bound_to: &Binding, plain: &[u8; PLAIN_BYTES]) -> [u8; SEALED_BYTES] {
        let mut text = *plain;
        let check = self
            .cipher(salt, bound_to)
            .encrypt_inout_detached(&Nonce::default(), bound_to, (&mut text[..]).into())
            .expect("ChaCha20 seals 32 bytes: its limit is 256 GiB");
        let mut sealed = [0; SEALED_BYTES];
        put(&mut sealed, 0, &text);
        put(&mut sealed, PLAIN_BYTES, &check);
        sealed
    }

    fn unseal(
        &self,
        salt: &[u8; SALT_BYTES],
        bound_to: &Binding,
        sealed: &[u8; SEALED_BYTES],
    ) -> Option<Zeroizing<[u8; PLAIN_BYTES]>> {
        let mut text = Zeroizing::new(part::<PLAIN_BYTES>(sealed, 0));
        let check = part::<16>(sealed, PLAIN_BYTES);
        self.cipher(salt, bound_to)
            .decrypt_inout_detached(&Nonce::default(), bound_to, (&mut text[..]).into(), &check.into())
            .ok()?;
        Some(text)
    }

    /// The checksum of `bytes`, which stand in slot `index`.
    fn checksum(&self, index: u32, bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
        let mut message = [0; 4 + SLOT_BYTES];
        put(&mut message, 0, &index.to_le_bytes());
        put(&mut message, 4, bytes);
        keyed_hash(&self.check, message.get(..4 + bytes.len()).unwrap_or(&message))
    }
}

/// What a sealed message belongs to; unsealing it as anything else fails.
type Binding = [u8; 32];

fn bind(kind: &[u8; 4], vault: &VaultId, door: DoorId, code: CodeId) -> Binding {
    let mut binding = [0; 32];
    put(&mut binding, 0, kind);
    put(&mut binding, 4, &door.0.to_le_bytes());
    put(&mut binding, 8, &code.0.to_le_bytes());
    put(&mut binding, 16, vault);
    binding
}

/// The bytes before the first slot, with the tag key sealed under `keys`.
pub(super) fn write_header(keys: &Keys, tagger: &Tagger, salt: [u8; SALT_BYTES]) -> Vec<u8> {
    let mut plain = Zeroizing::new([0; PLAIN_BYTES]);
    put(&mut *plain, 0, tagger.key());
    let sealed = keys.seal(&salt, &bind(b"tags", &keys.vault, DoorId::NONE, CodeId::NONE), &plain);
    let mut header = [0; HEADER_CHECKED_BYTES + CHECKSUM_BYTES];
    put(&mut header, 0, MAGIC);
    put(&mut header, 8, &VERSION.to_le_bytes());
    put(&mut header, 16, &keys.vault);
    put(&mut header, 32, &salt);
    put(&mut header, 48, &sealed);
    let check = header_checksum(&part(&header, 0));
    put(&mut header, HEADER_CHECKED_BYTES, &check);
    let mut area = vec![0; HEADER_AREA_BYTES];
    put(&mut area, 0, &header);
    put(&mut area, SECOND_HEADER_AT, &header);
    area
}

/// Vault id, keys and tagger from the bytes before the first slot, whichever copy of the header is good.
pub(super) fn read_header(area: &[u8], root: &RootSecret) -> Result<(Keys, Tagger), VaultError> {
    read_header_copy(area, root)
        .or_else(|first| read_header_copy(area.get(SECOND_HEADER_AT..).unwrap_or_default(), root).map_err(|_| first))
}

fn read_header_copy(bytes: &[u8], root: &RootSecret) -> Result<(Keys, Tagger), VaultError> {
    if !bytes.starts_with(MAGIC) {
        return Err(VaultError::NotAVault);
    }
    let checked = part::<HEADER_CHECKED_BYTES>(bytes, 0);
    if header_checksum(&checked) != part(bytes, HEADER_CHECKED_BYTES) {
        return Err(VaultError::HeaderDamaged);
    }
    match u32::from_le_bytes(part(&checked, 8)) {
        VERSION => {}
        found if found > VERSION => return Err(newer(found)),
        _ => return Err(VaultError::HeaderDamaged),
    }
    let keys = Keys::derive(root, part(&checked, 16));
    let binding = bind(b"tags", &keys.vault, DoorId::NONE, CodeId::NONE);
    let plain = keys.unseal(&part(&checked, 32), &binding, &part(&checked, 48)).ok_or(VaultError::WrongRoot)?;
    let tagger = Tagger::new(part(&*plain, 0));
    Ok((keys, tagger))
}

/// Whoever opened the file names it.
fn newer(found: u32) -> VaultError {
    VaultError::Newer(NewerFormat { file: PathBuf::new(), found, known: VERSION })
}

/// Needs no key: a damaged header must be told from a wrong root, and it holds nothing that could be guessed.
fn header_checksum(bytes: &[u8; HEADER_CHECKED_BYTES]) -> [u8; CHECKSUM_BYTES] {
    part(blake3::hash(bytes).as_bytes(), 0)
}

/// A code's digits with the blind that its commitment hides behind. The blind is sealed with the digits, because
/// the salt is not: whoever has the journal's commitment and a copy of the salt must not be able to try all digits.
pub(super) struct Secret {
    plain: Zeroizing<[u8; PLAIN_BYTES]>,
}

impl Secret {
    pub(super) fn new(digits: &Digits, rng: &mut impl CryptoRng) -> Secret {
        let mut plain = Zeroizing::new([0; PLAIN_BYTES]);
        let (padded, blind) = plain.split_at_mut(BLIND_AT);
        put(padded, 0, &*pad(digits));
        rng.fill_bytes(blind);
        Secret { plain }
    }

    pub(super) fn digits(&self) -> Option<Digits> {
        unpad(&Zeroizing::new(part(&*self.plain, 0)))
    }

    pub(super) fn commitment(&self, vault: &VaultId, code: CodeId, door: DoorId, person: PersonId) -> Commitment {
        let mut hasher = blake3::Hasher::new_derive_key("keyward vault 1: commitment to a door code");
        hasher.update(vault).update(&code.0.to_le_bytes()).update(&door.0.to_le_bytes());
        hasher.update(&person.0.to_le_bytes()).update(&*self.plain);
        *hasher.finalize().as_bytes()
    }
}

/// What a slot's bytes say.
pub(super) enum Slot {
    /// All zero: may be used for another code.
    Free,
    /// Not even whose it was can be told.
    Damaged,
    /// A code's slot.
    Code { code: CodeId, door: DoorId, tag: Tag, half: SecretHalf },
}

/// What the second half of a slot says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SecretHalf {
    /// There is something to unseal.
    Sealed,
    /// Zeroed: the code was destroyed.
    Destroyed,
    /// Neither: half destroyed, or damaged.
    Damaged,
}

/// What slot `index` holds.
pub(super) fn read_slot(keys: &Keys, index: u32, bytes: &SlotBytes) -> Slot {
    if bytes.iter().all(|byte| *byte == 0) {
        return Slot::Free;
    }
    let code = CodeId(u64::from_le_bytes(part(bytes, 0)));
    let good = keys.checksum(index, &part::<32>(bytes, 0)) == part(bytes, 32);
    if !good || code == CodeId::NONE {
        return Slot::Damaged;
    }
    let secret = part::<SECRET_BYTES>(bytes, SECRET_AT);
    let half = if secret.iter().all(|byte| *byte == 0) {
        SecretHalf::Destroyed
    } else if keys.checksum(index, &part::<64>(&secret, 0)) == part(&secret, 64) {
        SecretHalf::Sealed
    } else {
        SecretHalf::Damaged
    };
    Slot::Code { code, door: DoorId(u32::from_le_bytes(part(bytes, 8))), tag: Tag(part(bytes, 16)), half }
}

/// The slot of a code, without its secret half.
pub(super) fn write_lookup(keys: &Keys, index: u32, code: CodeId, door: DoorId, tag: Tag) -> SlotBytes {
    let mut bytes = [0; SLOT_BYTES];
    put(&mut bytes, 0, &code.0.to_le_bytes());
    put(&mut bytes, 8, &door.0.to_le_bytes());
    put(&mut bytes, 16, &tag.0);
    let check = keys.checksum(index, &part::<32>(&bytes, 0));
    put(&mut bytes, 32, &check);
    bytes
}

/// Adds the secret half to the slot of `code` at `door`. A salt is used once.
pub(super) fn write_secret(
    keys: &Keys,
    index: u32,
    (code, door): (CodeId, DoorId),
    secret: &Secret,
    salt: [u8; SALT_BYTES],
    bytes: &mut SlotBytes,
) {
    let sealed = keys.seal(&salt, &bind(b"code", &keys.vault, door, code), &secret.plain);
    put(bytes, SECRET_AT, &salt);
    put(bytes, SECRET_AT + SALT_BYTES, &sealed);
    let check = keys.checksum(index, &part::<64>(bytes, SECRET_AT));
    put(bytes, SECRET_AT + 64, &check);
}

/// What is sealed in the slot of `code` at `door`; `None` if it was not sealed for them under these keys.
pub(super) fn unseal(keys: &Keys, code: CodeId, door: DoorId, bytes: &SlotBytes) -> Option<Secret> {
    let binding = bind(b"code", &keys.vault, door, code);
    let plain = keys.unseal(&part(bytes, SECRET_AT), &binding, &part(bytes, SECRET_AT + SALT_BYTES))?;
    Some(Secret { plain })
}

/// A salt that was never used before.
pub(super) fn draw_salt(rng: &mut impl CryptoRng) -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    rng.fill_bytes(&mut salt);
    salt
}

/// `N` bytes from `at` on; zeros where there are none.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.iter_mut().zip(bytes.iter().skip(at)).for_each(|(to, from)| *to = *from);
    part
}

/// Writes `part` into `bytes` from `at` on, as far as there is room.
fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    bytes.iter_mut().skip(at).zip(part).for_each(|(to, from)| *to = *from);
}
