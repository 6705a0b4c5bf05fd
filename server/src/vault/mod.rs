//! The vault: what the door codes are. Which of them live is the journal's to say.
//!
//! One file a portfolio, sealed under a [`RootSecret`] that lives outside the data directory. A code is made here
//! before the journal names it and destroyed here after the journal deleted it, so whatever a crash leaves is put
//! right by [`Vault::reconcile`] at the next start, which comes before anything else is asked of an opened vault:
//!
//! | a crash | leaves | and `reconcile` |
//! | --- | --- | --- |
//! | while making, or before the journal has the codes | slots that no event knows, whole or torn | shreds them |
//! | after the journal deleted a code, before it was destroyed | its slot, whole or half zeroed | destroys it again |
//! | after the journal ended a quarantine, before the tag was zeroed | a tag that no event knows | shreds it |
//! | while the vault is rewritten under a new root | the old file or the new one, whole | needs the root of the one that stands: the engine's `rotation` keeps the two together |
//!
//! A code's digits and salt stand nowhere but here, and the digits only sealed. Its lookup tag stands here in the
//! clear: the key that tags are made with is sealed in the header, and the door is part of what is hashed, so
//! without the root a tag tells nothing, not even that two doors have the same code. In memory there are tags and
//! keys, never digits: each reveal reads and unseals one slot.
//!
//! What is gone when: zeroed in the live file once [`Vault::destroy`] returned, worthless on copied disks once
//! the root was rotated and the old one destroyed. Until the quarantine ends the tag stands, and who has both the
//! file and the root can test a guess against it. The tag key is carried over by a rotation, so that also holds
//! for a copy of the file made in that time.

mod disk;
mod draw;
mod root;
mod slot;
mod tag;
#[cfg(test)]
mod tests;

use core::fmt;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use keyward_protocol::code::Digits;
use keyward_protocol::id::{CodeId, DoorId, PersonId, PortfolioId};
use rand::rngs::StdRng;
use rand::{CryptoRng, SeedableRng};
use rustc_hash::FxHashMap;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::disk::is_no_room;
use crate::format::NewerFormat;
use crate::parallel;
use disk::{Disk, FileDisk};
use slot::{HEADER_AREA_BYTES, Keys, SECRET_AT, SECRET_BYTES, SLOT_BYTES, Secret, SecretHalf, Slot, SlotBytes};

pub use disk::{next_path, staged_path};
pub use root::{RootError, RootSecret};
pub use tag::{TAG_BYTES, Tag, Tagger};

/// Names a vault for good: its portfolio's number (little-endian), and 12 random bytes that are drawn when it is made.
/// Every seal is bound to it, so a vault can't be passed off as another portfolio's.
pub type VaultId = [u8; 16];

/// The id of a new vault; `random` is drawn for it.
pub fn new_id(of: PortfolioId, random: [u8; 12]) -> VaultId {
    let mut id = [0; 16];
    let (number, rest) = id.split_at_mut(4);
    number.copy_from_slice(&of.0.to_le_bytes());
    rest.copy_from_slice(&random);
    id
}

/// Whose the vault with this id is.
fn portfolio_of([a, b, c, d, ..]: VaultId) -> PortfolioId {
    PortfolioId(u32::from_le_bytes([a, b, c, d]))
}

/// What the journal keeps of a code: it binds vault, code, door, person and digits, and tells nothing of the
/// digits to whoever has no key to the vault's slot, however many they try.
pub type Commitment = [u8; 32];

/// Draws for one code before its door counts as full. With nine in ten codes taken this gives up once in 10^45.
const DRAWS_MAX: usize = 1_000;
/// Slots that are read or written at once.
const SLOTS_AT_ONCE: usize = 8_192;

/// A portfolio's door codes. See the [module](self).
pub struct Vault {
    id: VaultId,
    keys: Keys,
    tagger: Tagger,
    disk: Box<dyn Disk>,
    /// What each slot holds, as far as it may be known without unsealing anything.
    slots: Vec<Held>,
    /// The slot of each code. Ids are given in order, by us: nobody chooses them to collide.
    codes: FxHashMap<CodeId, u32>,
    /// The slots of each door: only the tags of one door have to differ.
    doors: FxHashMap<DoorId, Vec<u32>>,
    /// Slots that are zero on the disk.
    free: BTreeSet<u32>,
    /// Slots that could not be read; shredded when the vault is reconciled.
    damaged: Vec<u32>,
    /// A write or flush failed: what the disk holds is unknown.
    failed: bool,
}

/// A vault that is known to be whole enough and sealed under the root that was given, and whose slots, which take long,
/// were not read yet.
pub struct Unread {
    keys: Keys,
    tagger: Tagger,
    disk: Box<dyn Disk>,
}

/// A slot in memory.
#[derive(Clone, Copy)]
struct Held {
    code: CodeId,
    door: DoorId,
    tag: Tag,
    half: SecretHalf,
}

impl Held {
    const NOTHING: Held =
        Held { code: CodeId::NONE, door: DoorId::NONE, tag: Tag([0; TAG_BYTES]), half: SecretHalf::Destroyed };
}

/// A code that is to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Its id, never used before.
    pub code: CodeId,
    /// Where it will be typed.
    pub door: DoorId,
    /// Who will type it.
    pub person: PersonId,
    /// How many digits it gets: 4 to 10.
    pub digits: u8,
}

/// What the journal says of a live code.
type Live = (CodeId, DoorId, PersonId, Commitment);

/// Live codes by their ids.
struct ByCode<'a>(Cow<'a, [Live]>);

/// A slot, held against what the journal says of its code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It says nothing.
    Unknown,
    /// It is what the journal committed to.
    Kept,
    /// It is not.
    Wrong,
}

/// The places of slots that are not as the journal says.
struct SortedSlots {
    /// The codes in quarantine.
    deleted: HashSet<CodeId>,
    /// How many live codes are as the journal says.
    kept: usize,
    /// No event knows their code, or they are damaged.
    shred: Vec<u32>,
    /// Their code was deleted, and can still be read.
    destroy: Vec<u32>,
    /// They are not what the journal committed to.
    wrong: Vec<u32>,
}

/// A vault as it was written anew under another root, beside the file in use: [`Vault::rewrite`].
pub struct Rewritten {
    keys: Keys,
    slots: Vec<Held>,
    lost: Vec<CodeId>,
}

impl Rewritten {
    /// Codes that could be read when the vault was opened and can't any more: they are not in what was written.
    pub fn lost(&self) -> &[CodeId] {
        &self.lost
    }
}

/// What [`Vault::reconcile`] found and did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reconciled {
    /// Live codes that open nothing, because their slot is missing, damaged or another code's. In the order given.
    pub lost: Vec<CodeId>,
    /// Codes in quarantine of which no tag is left, so that their digits may be drawn again. In the order given.
    pub untagged: Vec<CodeId>,
    /// Slots zeroed whole: no event knows their code, or they were damaged.
    pub shredded: usize,
    /// Deleted codes that still could be read, or half of them.
    pub destroyed_again: usize,
}

/// Why a vault could not be made, opened or changed.
#[derive(Debug, Error)]
pub enum VaultError {
    /// There is a file where the vault was to be made.
    #[error("there is a vault already; move it away first")]
    Exists,
    /// The file is something else.
    #[error("not a vault; check the path")]
    NotAVault,
    /// The file was written by a later version.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// Both copies of the header are damaged, and with them the key to every tag.
    #[error("the vault's header is damaged; restore the vault from a backup")]
    HeaderDamaged,
    /// The file is a vault, but another portfolio's.
    #[error("it is the vault of portfolio {found}, not of portfolio {of}; put each vault back in its own place")]
    AnotherPortfolios {
        /// Whose it should be.
        of: u32,
        /// Whose it is.
        found: u32,
    },
    /// The vault was sealed under another root.
    #[error("the root secret is not this vault's; give the one that it was made with or last rotated to")]
    WrongRoot,
    /// The disk refused.
    #[error("vault: {0}")]
    Io(#[from] io::Error),
    /// The disk is full. Nothing was made.
    #[error("the disk is full")]
    NoRoom,
    /// An earlier write or flush failed, so that nobody knows what the disk holds.
    #[error("the vault failed before; restart, so that it is read and put right again")]
    Failed,
}

/// Why codes were not made. None of them was.
#[derive(Debug, Error)]
pub enum MakeError {
    /// Nearly every code of that length is taken at the door or trivial.
    #[error("{door} has no free code left; give its property longer codes")]
    NoFreeCode {
        /// Where.
        door: DoorId,
    },
    /// Codes have 4 to 10 digits.
    #[error("codes of {digits} digits can't be made for {door}; ask for 4 to 10")]
    Length {
        /// Where.
        door: DoorId,
        /// How many digits were asked for.
        digits: u8,
    },
    /// A code's id is used once, ever.
    #[error("{0} was made before, or is no code's id")]
    Used(CodeId),
    /// The file can hold no more slots.
    #[error("the vault is full")]
    Full,
    /// See [`VaultError`].
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Why a code was not revealed.
#[derive(Debug, Error)]
pub enum RevealError {
    /// No such code is kept here.
    #[error("{0} is not in the vault")]
    Unknown(CodeId),
    /// The code was deleted: nothing can bring it back.
    #[error("{0} was destroyed")]
    Destroyed(CodeId),
    /// Its slot is damaged.
    #[error("{0} is lost: its slot is damaged; make a new code")]
    Lost(CodeId),
    /// See [`VaultError`].
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Vault {
    /// Makes an empty vault at `path`, readable by its owner only, and waits until it is on disk. A file that is
    /// there is left alone.
    pub fn create(path: &Path, root: &RootSecret, vault_id: VaultId) -> Result<Vault, VaultError> {
        Vault::create_at(&crate::disk::Disk::new(), path, root, vault_id)
    }

    /// [`Vault::create`], with the disk as an argument.
    pub fn create_at(
        disk: &crate::disk::Disk,
        path: &Path,
        root: &RootSecret,
        vault_id: VaultId,
    ) -> Result<Vault, VaultError> {
        let disk = FileDisk::create(disk, path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => VaultError::Exists,
            _ => VaultError::Io(error),
        })?;
        Vault::create_on(Box::new(disk), root, vault_id, &mut random()?)
    }

    /// Opens the vault at `path` and reads all of it. Damaged slots don't keep it from opening: their codes are lost,
    /// which [`Self::reconcile`] tells. That comes next, before anything else.
    ///
    /// The root may be the one before or after a rotation that a crash cut short: on [`VaultError::WrongRoot`]
    /// try the other.
    pub fn open(path: &Path, root: &RootSecret, of: PortfolioId) -> Result<Vault, VaultError> {
        Unread::open_at(&crate::disk::Disk::new(), path, root, of)?.read()
    }

    /// [`Vault::open`], with the disk as an argument.
    #[cfg(test)]
    pub(crate) fn open_on_disk(
        disk: &crate::disk::Disk,
        path: &Path,
        root: &RootSecret,
        of: PortfolioId,
    ) -> Result<Vault, VaultError> {
        Unread::open_at(disk, path, root, of)?.read()
    }

    /// [`Vault::create`] with everything that is drawn given: for golden files.
    #[cfg(test)]
    pub(crate) fn create_with(
        path: &Path,
        root: &RootSecret,
        vault_id: VaultId,
        rng: &mut impl CryptoRng,
    ) -> Result<Vault, VaultError> {
        let disk = FileDisk::create(&crate::disk::Disk::new(), path)?;
        Vault::create_on(Box::new(disk), root, vault_id, rng)
    }

    /// The vault's id.
    pub fn id(&self) -> VaultId {
        self.id
    }

    /// Makes this vault's tags, for the index and for the way of a check.
    pub fn tagger(&self) -> Tagger {
        self.tagger.clone()
    }

    /// Slots that can't be read, whole or in part, or that hold something else than the journal says.
    pub fn damaged_slots(&self) -> usize {
        self.damaged.len() + self.slots.iter().filter(|held| held.half == SecretHalf::Damaged).count()
    }

    /// Every code here with its door and tag, and whether it is still there to be revealed; the others are in
    /// quarantine or lost. In no order.
    pub fn tags(&self) -> impl Iterator<Item = (CodeId, DoorId, Tag, bool)> {
        let used = self.slots.iter().filter(|held| held.code != CodeId::NONE);
        used.map(|held| (held.code, held.door, held.tag, held.half == SecretHalf::Sealed))
    }

    /// The tag of a code that is here, and whether its digits are too: without them it is in quarantine, or lost.
    pub fn tag(&self, code: CodeId) -> Option<(Tag, bool)> {
        let held = self.held(*self.codes.get(&code)?);
        Some((held.tag, held.half == SecretHalf::Sealed))
    }

    /// Makes all of `wanted` and returns their commitments, in that order, when they are on disk: the journal may
    /// name them now. Digits come from `rng`, are never trivial, and differ from every code that is live or in
    /// quarantine at the door (C2). After an error nothing was made.
    pub fn make(&mut self, wanted: &[Wanted], rng: &mut impl CryptoRng) -> Result<Vec<Commitment>, MakeError> {
        self.check_wanted(wanted)?;
        let places = self.places(wanted.len())?;
        let mut taken: HashMap<DoorId, HashSet<Tag>> = HashMap::new();
        let (mut written, mut made, mut commitments) = (Vec::new(), Vec::new(), Vec::new());
        for (&Wanted { code, door, person, digits }, &place) in wanted.iter().zip(&places) {
            let taken = taken.entry(door).or_insert_with(|| self.tags_of(door));
            let (drawn, tag) = self.draw(door, digits, taken, rng)?;
            let secret = Secret::new(&drawn, rng);
            let mut bytes = slot::write_lookup(&self.keys, place, code, door, tag);
            slot::write_secret(&self.keys, place, (code, door), &secret, slot::draw_salt(rng), &mut bytes);
            commitments.push(secret.commitment(&self.id, code, door, person));
            written.push((place, bytes));
            made.push((place, Held { code, door, tag, half: SecretHalf::Sealed }));
        }
        self.write_made(&written)?;
        made.into_iter().for_each(|(place, held)| self.hold(place, held));
        Ok(commitments)
    }

    /// Destroys what could bring back the digits of `codes`, which the journal has deleted, and returns when that
    /// is on disk (C3). Their tags stay for the quarantine (C6). Codes that aren't here, or were destroyed
    /// before, need nothing.
    pub fn destroy(&mut self, codes: &[CodeId]) -> Result<(), VaultError> {
        let mut places: Vec<u32> = codes.iter().filter_map(|code| self.codes.get(code).copied()).collect();
        places.retain(|&place| self.held(place).half != SecretHalf::Destroyed);
        self.destroy_places(places)
    }

    /// Zeroes the slots of `codes`, whose quarantine is over, and frees them; returns when that is on disk. Codes
    /// that aren't here need nothing.
    pub fn forget(&mut self, codes: &[CodeId]) -> Result<(), VaultError> {
        self.shred(codes.iter().filter_map(|code| self.codes.get(code).copied()).collect())
    }

    /// The digits of a code (C8: the caller has made sure that whoever asks may see them, and records it).
    pub fn reveal(&self, code: CodeId) -> Result<Digits, RevealError> {
        let place = *self.codes.get(&code).ok_or(RevealError::Unknown(code))?;
        match self.held(place).half {
            SecretHalf::Destroyed => Err(RevealError::Destroyed(code)),
            SecretHalf::Damaged => Err(RevealError::Lost(code)),
            SecretHalf::Sealed => {
                self.working()?;
                let secret = self.secret(place)?.ok_or(RevealError::Lost(code))?;
                secret.digits().ok_or(RevealError::Lost(code))
            }
        }
    }

    /// What [`Vault::reconcile`] would find, without changing anything.
    pub fn examine(&self, live: &[Live], quarantined: &[CodeId]) -> Result<Reconciled, VaultError> {
        let slots = self.sort_slots(quarantined, &self.judged(&ByCode::of(live))?);
        let wrong: HashSet<CodeId> = slots.wrong.iter().map(|&place| self.held(place).code).collect();
        Ok(Reconciled {
            lost: self.lost(live, &slots, |code| wrong.contains(&code)),
            untagged: self.untagged(quarantined),
            shredded: slots.shred.len(),
            destroyed_again: slots.destroy.len(),
        })
    }

    /// Puts the file right after a start, by what the journal says: `live` codes with what it keeps of each, and
    /// the deleted codes whose quarantine lasts. What no event knows is shredded, what was deleted is destroyed
    /// again, and live codes that are not to be had are named. A code that stands in both lists was deleted.
    pub fn reconcile(&mut self, live: &[Live], quarantined: &[CodeId]) -> Result<Reconciled, VaultError> {
        self.working()?;
        let judged = self.judged(&ByCode::of(live))?;
        self.put_right(live, quarantined, &judged)
    }

    fn put_right(
        &mut self,
        live: &[Live],
        quarantined: &[CodeId],
        judged: &[Verdict],
    ) -> Result<Reconciled, VaultError> {
        let slots = self.sort_slots(quarantined, judged);
        let (shredded, destroyed_again) = (slots.shred.len(), slots.destroy.len());
        self.shred(slots.shred.clone())?;
        self.destroy_places(slots.destroy.clone())?;
        self.damaged.clear();
        slots.wrong.iter().for_each(|&place| self.give_up(place));
        // Even with nothing to change: slots that read as zero must be zero on the disk before they are used.
        self.durably(|_| Ok(()))?;
        let lost = self.lost(live, &slots, |_| false);
        Ok(Reconciled { lost, untagged: self.untagged(quarantined), shredded, destroyed_again })
    }

    /// Every slot held against what the journal says, in order.
    fn judged(&self, live: &ByCode<'_>) -> Result<Vec<Verdict>, VaultError> {
        let slots = u32::try_from(self.slots.len()).map_err(|_| VaultError::NotAVault)?;
        let judged = in_chunks(&*self.disk, slots, |first, chunk| {
            let mut near = 0;
            let judge = |(place, bytes)| judge(&self.keys, &self.held(place), live, &mut near, bytes);
            (first..).zip(chunk).map(judge).collect::<Vec<_>>()
        })?;
        Ok(judged.concat())
    }

    fn sort_slots(&self, quarantined: &[CodeId], judged: &[Verdict]) -> SortedSlots {
        let deleted: HashSet<CodeId> = quarantined.iter().copied().collect();
        let mut sorted =
            SortedSlots { deleted, kept: 0, shred: self.damaged.clone(), destroy: Vec::new(), wrong: Vec::new() };
        for ((place, held), verdict) in (0..).zip(&self.slots).zip(judged) {
            match verdict {
                _ if held.code == CodeId::NONE => {}
                _ if sorted.deleted.contains(&held.code) => {
                    sorted.destroy.extend((held.half != SecretHalf::Destroyed).then_some(place));
                }
                Verdict::Kept => sorted.kept += 1,
                Verdict::Wrong => sorted.wrong.push(place),
                Verdict::Unknown => sorted.shred.push(place),
            }
        }
        sorted
    }

    /// Live codes that are not to be had, in the order given.
    fn lost(&self, live: &[Live], slots: &SortedSlots, is_wrong: impl Fn(CodeId) -> bool) -> Vec<CodeId> {
        let codes = || live.iter().map(|&(code, ..)| code).filter(|code| !slots.deleted.contains(code));
        // As good as always, and there may be millions.
        if codes().count() == slots.kept {
            return Vec::new();
        }
        codes().filter(|&code| is_wrong(code) || !self.readable(code)).collect()
    }

    /// Codes in quarantine of which no tag is left, in the order given.
    fn untagged(&self, quarantined: &[CodeId]) -> Vec<CodeId> {
        quarantined.iter().copied().filter(|code| !self.codes.contains_key(code)).collect()
    }

    /// Takes over from an older copy of this vault what is lost here of the `live` codes, as the journal says them now, and
    /// says which codes that was. To be called on a vault that was [reconciled](Self::reconcile), with everything that
    /// lives: what was deleted since the copy was made must not be among it.
    pub fn recover(&mut self, older: &Vault, live: &[Live]) -> Result<Vec<CodeId>, VaultError> {
        self.working()?;
        let missing = live.iter().filter(|(code, ..)| older.id == self.id && !self.readable(*code));
        let missing: HashMap<CodeId, &Live> = missing.map(|live| (live.0, live)).collect();
        let mut found = Vec::new();
        for (place, held) in (0..).zip(&older.slots) {
            let Some(expected) = missing.get(&held.code) else { continue };
            let bytes = older.bytes(place)?;
            if is_kept(&older.keys, held, expected, &bytes) {
                found.extend(slot::unseal(&older.keys, held.code, held.door, &bytes).map(|secret| (*held, secret)));
            }
        }
        let mut rng = random()?;
        let end = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let mut free = self.free.iter().copied().chain(end..u32::MAX);
        let (mut written, mut taken) = (Vec::new(), Vec::new());
        for (held, secret) in found {
            let here = self.codes.get(&held.code).copied();
            let Some(place) = here.or_else(|| free.next()) else { break };
            let mut bytes = slot::write_lookup(&self.keys, place, held.code, held.door, held.tag);
            let salt = slot::draw_salt(&mut rng);
            slot::write_secret(&self.keys, place, (held.code, held.door), &secret, salt, &mut bytes);
            written.push((place, bytes));
            taken.push((place, held, here.is_none()));
        }
        written.sort_unstable_by_key(|(place, _)| *place);
        self.durably(|disk| write_slots(disk, &written))?;
        for (place, held, is_new) in &taken {
            match self.slots.get_mut(*place as usize) {
                Some(slot) if !is_new => *slot = *held,
                _ => self.hold(*place, *held),
            }
        }
        Ok(taken.into_iter().map(|(_, held, _)| held.code).collect())
    }

    /// Rewrites the vault under `new_root`: a new file beside the old one, put in its place when it is on disk.
    /// Returns the live codes that could not be unsealed and are lost by it, which is none unless the disk went
    /// bad since the vault was opened.
    ///
    /// The caller keeps both roots until this returned, then destroys the old one. After an error either root may
    /// be the one that opens the file.
    pub fn rotate(&mut self, new_root: &RootSecret) -> Result<Vec<CodeId>, VaultError> {
        self.rotate_with(new_root, &mut random()?)
    }

    /// Writes the vault anew under `new_root`, beside the file in use, and returns when all of it is on disk. The vault
    /// goes on as it is until [`Self::adopt`], and nothing is to be made or destroyed in between.
    pub fn rewrite(&mut self, new_root: &RootSecret) -> Result<Rewritten, VaultError> {
        self.working()?;
        let rewritten = self.stage_all(new_root, &mut random()?)?;
        self.disk.keep()?;
        Ok(rewritten)
    }

    /// Puts what was rewritten in the place of the file in use, and goes on with it. After an error the process has to
    /// end: either may stand there.
    pub fn adopt(&mut self, rewritten: Rewritten) -> Result<(), VaultError> {
        self.working()?;
        let installed = self.disk.install();
        self.failed = installed.is_err();
        installed?;
        self.keys = rewritten.keys;
        self.slots.clear();
        self.codes.clear();
        self.doors.clear();
        self.free.clear();
        self.damaged.clear();
        (0..).zip(rewritten.slots).for_each(|(place, held)| self.hold(place, held));
        Ok(())
    }

    /// Removes what was rewritten, or of it what there is.
    pub fn forget_rewritten(&mut self) -> Result<(), VaultError> {
        Ok(self.disk.unstage()?)
    }

    /// How many codes can be revealed.
    pub fn live(&self) -> usize {
        self.slots.iter().filter(|held| held.half == SecretHalf::Sealed).count()
    }
}

impl Unread {
    /// Opens the vault at `path` and reads its header: whether it is a vault, whole enough, this root's, and this
    /// portfolio's.
    pub fn open_at(
        disk: &crate::disk::Disk,
        path: &Path,
        root: &RootSecret,
        of: PortfolioId,
    ) -> Result<Unread, VaultError> {
        let unread = Unread::open_on(Box::new(FileDisk::open(disk, path)?), root).map_err(|error| match error {
            VaultError::Newer(newer) => NewerFormat { file: path.to_owned(), ..newer }.into(),
            error => error,
        })?;
        match portfolio_of(unread.keys.vault()) {
            found if found == of => Ok(unread),
            found => Err(VaultError::AnotherPortfolios { of: of.0, found: found.0 }),
        }
    }

    fn open_on(disk: Box<dyn Disk>, root: &RootSecret) -> Result<Unread, VaultError> {
        let length = disk.len()?;
        let mut header = vec![0; HEADER_AREA_BYTES.min(usize::try_from(length).unwrap_or(HEADER_AREA_BYTES))];
        disk.read(0, &mut header)?;
        let (keys, tagger) = slot::read_header(&header, root)?;
        Ok(Unread { keys, tagger, disk })
    }

    /// See [`Vault::tagger`].
    pub fn tagger(&self) -> Tagger {
        self.tagger.clone()
    }

    /// Reads every slot. [`Vault::reconcile`] comes next.
    pub fn read(self) -> Result<Vault, VaultError> {
        Ok(self.read_judged(&ByCode::of(&[]), &|_, _| {})?.0)
    }

    /// Reads every slot and puts the file right, as [`Vault::reconcile`] does, and tells `progress` now and then how
    /// many slots of how many were read. In one pass on every core: where there are millions, both take long.
    pub fn settle(
        self,
        live: &[Live],
        quarantined: &[CodeId],
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(Vault, Reconciled), VaultError> {
        let (mut vault, judged) = self.read_judged(&ByCode::of(live), progress)?;
        let reconciled = vault.put_right(live, quarantined, &judged)?;
        Ok((vault, reconciled))
    }

    fn read_judged(
        self,
        live: &ByCode<'_>,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(Vault, Vec<Verdict>), VaultError> {
        let length = self.disk.len()?;
        // A slot that the end of the file cuts short is read as if zeros followed.
        let slots = length.saturating_sub(HEADER_AREA_BYTES as u64).div_ceil(SLOT_BYTES as u64);
        let slots = u32::try_from(slots).map_err(|_| VaultError::NotAVault)?;
        let Unread { keys, tagger, disk } = self;
        let done = AtomicU64::new(0);
        let read = in_chunks(&*disk, slots, |first, chunk| {
            let mut near = 0;
            let read = (first..).zip(chunk).map(|(place, bytes)| {
                let slot = slot::read_slot(&keys, place, bytes);
                let held = if let Slot::Code { code, door, tag, half } = slot {
                    Some(Held { code, door, tag, half })
                } else {
                    None
                };
                let verdict = held.map_or(Verdict::Unknown, |held| judge(&keys, &held, live, &mut near, bytes));
                (slot, verdict)
            });
            let read: Vec<(Slot, Verdict)> = read.collect();
            progress(done.fetch_add(read.len() as u64, Ordering::Relaxed) + read.len() as u64, slots.into());
            read
        })?;
        let mut vault = Vault::empty(keys.vault(), keys, tagger, disk);
        vault.slots = vec![Held::NOTHING; slots as usize];
        vault.codes.reserve(slots as usize);
        let mut judged = Vec::with_capacity(slots as usize);
        for (place, (slot, verdict)) in (0..slots).zip(read.into_iter().flatten()) {
            judged.push(verdict);
            match slot {
                Slot::Free => {
                    vault.free.insert(place);
                }
                // Ids are used once: a second slot of a code is as wrong as a damaged one.
                Slot::Code { code, door, tag, half } if !vault.codes.contains_key(&code) => {
                    vault.hold(place, Held { code, door, tag, half });
                }
                Slot::Code { .. } | Slot::Damaged => vault.damaged.push(place),
            }
        }
        Ok((vault, judged))
    }
}

impl<'a> ByCode<'a> {
    fn of(live: &'a [Live]) -> ByCode<'a> {
        if live.is_sorted_by_key(|(code, ..)| *code) {
            return ByCode(Cow::Borrowed(live));
        }
        let mut sorted = live.to_vec();
        sorted.sort_unstable_by_key(|(code, ..)| *code);
        ByCode(Cow::Owned(sorted))
    }

    /// What the journal says of a code. Slots mostly stand in their codes' order: `near` is where to look first.
    fn get(&self, code: CodeId, near: &mut usize) -> Option<&Live> {
        if self.0.get(*near).is_none_or(|live| live.0 != code) {
            *near = self.0.binary_search_by_key(&code, |live| live.0).ok()?;
        }
        let found = self.0.get(*near);
        *near += 1;
        found
    }
}

/// A slot held against what the journal says of its code.
fn judge(keys: &Keys, held: &Held, live: &ByCode<'_>, near: &mut usize, bytes: &SlotBytes) -> Verdict {
    match live.get(held.code, near) {
        None => Verdict::Unknown,
        Some(expected) if is_kept(keys, held, expected, bytes) => Verdict::Kept,
        Some(_) => Verdict::Wrong,
    }
}

/// Whether the slot holds what the journal says of the code.
fn is_kept(keys: &Keys, held: &Held, (_, door, person, commitment): &Live, bytes: &SlotBytes) -> bool {
    let sealed = held.door == *door && held.half == SecretHalf::Sealed;
    let secret = sealed.then(|| slot::unseal(keys, held.code, held.door, bytes)).flatten();
    secret.is_some_and(|secret| secret.commitment(&keys.vault(), held.code, *door, *person) == *commitment)
}

/// What `work` makes of the file's slots, some thousands at a time with the place of the first, in order; on every
/// core. Bytes that the file lacks are zero.
fn in_chunks<R: Send>(
    disk: &dyn Disk,
    slots: u32,
    work: impl Fn(u32, &[SlotBytes]) -> R + Sync,
) -> Result<Vec<R>, VaultError> {
    let length = disk.len()?;
    let chunks: Vec<u32> = (0..slots).step_by(SLOTS_AT_ONCE).collect();
    let made = parallel::each(&chunks, |&first| -> io::Result<R> {
        let at = slot::offset(first);
        let here = SLOTS_AT_ONCE.min((slots - first) as usize);
        let mut bytes = vec![0; here * SLOT_BYTES];
        let there = usize::try_from(length.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
        disk.read(at, bytes.get_mut(..there).unwrap_or_default())?;
        Ok(work(first, bytes.as_chunks::<SLOT_BYTES>().0))
    });
    made.into_iter().map(|made| Ok(made?)).collect()
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("codes", &self.codes.len()).finish_non_exhaustive()
    }
}

/// Making.
impl Vault {
    fn create_on(
        mut disk: Box<dyn Disk>,
        root: &RootSecret,
        id: VaultId,
        rng: &mut impl CryptoRng,
    ) -> Result<Vault, VaultError> {
        let keys = Keys::derive(root, id);
        let mut tag_key = Zeroizing::new([0; tag::TAG_KEY_BYTES]);
        rng.fill_bytes(&mut *tag_key);
        let tagger = Tagger::new(*tag_key);
        disk.stage()?;
        disk.stage_more(&slot::write_header(&keys, &tagger, slot::draw_salt(rng)))?;
        disk.install()?;
        Ok(Vault::empty(id, keys, tagger, disk))
    }

    fn empty(id: VaultId, keys: Keys, tagger: Tagger, disk: Box<dyn Disk>) -> Vault {
        Vault {
            id,
            keys,
            tagger,
            disk,
            slots: Vec::new(),
            codes: FxHashMap::default(),
            doors: FxHashMap::default(),
            free: BTreeSet::new(),
            damaged: Vec::new(),
            failed: false,
        }
    }
}

/// Making codes.
impl Vault {
    fn check_wanted(&self, wanted: &[Wanted]) -> Result<(), MakeError> {
        self.working()?;
        let mut seen = HashSet::with_capacity(wanted.len());
        let used = |code: CodeId| code == CodeId::NONE || self.codes.contains_key(&code);
        match wanted.iter().find(|wanted| used(wanted.code) || !seen.insert(wanted.code)) {
            Some(wanted) => Err(MakeError::Used(wanted.code)),
            None => Ok(()),
        }
    }

    /// Writes slots that were free and waits until they are on disk. When there is no room for all of them, none of them
    /// is left, and the vault goes on as it was.
    fn write_made(&mut self, written: &[(u32, SlotBytes)]) -> Result<(), VaultError> {
        self.working()?;
        let length = self.disk.len()?;
        match write_slots(&mut *self.disk, written) {
            Ok(()) => self.durably(|_| Ok(())),
            Err(error) if is_no_room(&error) => {
                let zeros = written.iter().map(|(place, _)| (*place, [0; SLOT_BYTES]));
                let zeros: Vec<_> = zeros.filter(|(place, _)| slot::offset(*place) < length).collect();
                self.durably(|disk| write_slots(disk, &zeros).and_then(|()| disk.truncate(length)))?;
                Err(VaultError::NoRoom)
            }
            Err(error) => {
                self.failed = true;
                Err(error.into())
            }
        }
    }

    /// Slots for `count` codes: free ones first, then new ones at the end.
    fn places(&self, count: usize) -> Result<Vec<u32>, MakeError> {
        let end = u32::try_from(self.slots.len()).map_err(|_| MakeError::Full)?;
        let places: Vec<u32> = self.free.iter().copied().chain(end..u32::MAX).take(count).collect();
        if places.len() == count { Ok(places) } else { Err(MakeError::Full) }
    }

    fn tags_of(&self, door: DoorId) -> HashSet<Tag> {
        self.doors.get(&door).into_iter().flatten().map(|&place| self.held(place).tag).collect()
    }

    /// Digits that are not trivial and not taken; they are taken now.
    fn draw(
        &self,
        door: DoorId,
        digits: u8,
        taken: &mut HashSet<Tag>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Digits, Tag), MakeError> {
        for _ in 0..DRAWS_MAX {
            let drawn = draw::draw(digits, rng).ok_or(MakeError::Length { door, digits })?;
            let tag = self.tagger.tag(door, &drawn);
            if !drawn.is_trivial() && taken.insert(tag) {
                return Ok((drawn, tag));
            }
        }
        Err(MakeError::NoFreeCode { door })
    }
}

/// Ending codes.
impl Vault {
    /// Memory first: should the disk fail, nothing here reveals them any more.
    fn destroy_places(&mut self, mut places: Vec<u32>) -> Result<(), VaultError> {
        self.working()?;
        if places.is_empty() {
            return Ok(());
        }
        places.sort_unstable();
        places.dedup();
        for &place in &places {
            if let Some(held) = self.slots.get_mut(place as usize) {
                held.half = SecretHalf::Destroyed;
            }
        }
        self.durably(|disk| {
            let at = |place| slot::offset(place) + SECRET_AT as u64;
            places.iter().try_for_each(|&place| disk.write(at(place), &[0; SECRET_BYTES]))
        })
    }

    fn shred(&mut self, mut places: Vec<u32>) -> Result<(), VaultError> {
        self.working()?;
        if places.is_empty() {
            return Ok(());
        }
        places.sort_unstable();
        places.dedup();
        let touched: HashSet<DoorId> = places.iter().map(|&place| self.held(place).door).collect();
        for &place in &places {
            self.codes.remove(&self.held(place).code);
            if let Some(held) = self.slots.get_mut(place as usize) {
                *held = Held::NOTHING;
            }
        }
        for door in touched {
            let Some(slots) = self.doors.get_mut(&door) else { continue };
            slots.retain(|&place| self.slots.get(place as usize).is_some_and(|held| held.code != CodeId::NONE));
        }
        self.doors.retain(|_, slots| !slots.is_empty());
        let zeros: Vec<(u32, SlotBytes)> = places.iter().map(|&place| (place, [0; SLOT_BYTES])).collect();
        self.durably(|disk| write_slots(disk, &zeros))?;
        // Only now: a slot that is used again before its zeros are on disk might come back as its old self.
        self.free.extend(places);
        Ok(())
    }
}

/// Rewriting.
impl Vault {
    fn rotate_with(&mut self, new_root: &RootSecret, rng: &mut impl CryptoRng) -> Result<Vec<CodeId>, VaultError> {
        self.working()?;
        let rewritten = self.stage_all(new_root, rng)?;
        let lost = rewritten.lost.clone();
        self.adopt(rewritten)?;
        Ok(lost)
    }

    /// Stages every code's slot under another root, grouped by door, and says what each new slot holds. What is left of
    /// a destroyed code is its lookup half, as before; a code that can't be unsealed keeps only that too.
    fn stage_all(&mut self, new_root: &RootSecret, rng: &mut impl CryptoRng) -> Result<Rewritten, VaultError> {
        let keys = Keys::derive(new_root, self.id);
        let mut order: Vec<u32> = self.codes.values().copied().collect();
        order.sort_unstable_by_key(|&place| (self.held(place).door, self.held(place).code));
        let (mut rewritten, mut lost) = (Vec::with_capacity(order.len()), Vec::new());
        self.disk.stage()?;
        self.disk.stage_more(&slot::write_header(&keys, &self.tagger, slot::draw_salt(rng)))?;
        let mut new_places = 0_u32..;
        for places in order.chunks(SLOTS_AT_ONCE) {
            let mut staged = Vec::with_capacity(places.len() * SLOT_BYTES);
            for (&place, new_place) in places.iter().zip(&mut new_places) {
                let (held, bytes) = self.reseal(place, &keys, new_place, rng)?;
                let was_sealed = self.held(place).half == SecretHalf::Sealed;
                lost.extend((was_sealed && held.half != SecretHalf::Sealed).then_some(held.code));
                staged.extend_from_slice(&bytes);
                rewritten.push(held);
            }
            self.disk.stage_more(&staged)?;
        }
        Ok(Rewritten { keys, slots: rewritten, lost })
    }

    fn reseal(
        &self,
        place: u32,
        keys: &Keys,
        new_place: u32,
        rng: &mut impl CryptoRng,
    ) -> Result<(Held, SlotBytes), VaultError> {
        let held = self.held(place);
        let secret = if held.half == SecretHalf::Sealed { self.secret(place)? } else { None };
        let mut bytes = slot::write_lookup(keys, new_place, held.code, held.door, held.tag);
        let Some(secret) = secret else {
            return Ok((Held { half: SecretHalf::Destroyed, ..held }, bytes));
        };
        slot::write_secret(keys, new_place, (held.code, held.door), &secret, slot::draw_salt(rng), &mut bytes);
        Ok((held, bytes))
    }
}

/// Slots and the disk.
impl Vault {
    fn held(&self, place: u32) -> Held {
        self.slots.get(place as usize).copied().unwrap_or(Held::NOTHING)
    }

    fn readable(&self, code: CodeId) -> bool {
        self.codes.get(&code).is_some_and(|&place| self.held(place).half == SecretHalf::Sealed)
    }

    fn hold(&mut self, place: u32, held: Held) {
        let needed = self.slots.len().max(place as usize + 1);
        self.slots.resize(needed, Held::NOTHING);
        if let Some(slot) = self.slots.get_mut(place as usize) {
            *slot = held;
        }
        self.free.remove(&place);
        self.codes.insert(held.code, place);
        self.doors.entry(held.door).or_default().push(place);
    }

    /// Counts the slot's code as lost. The file keeps what it has until the code is deleted: a mistake about what
    /// lives must not be what destroys it.
    fn give_up(&mut self, place: u32) {
        if let Some(held) = self.slots.get_mut(place as usize)
            && held.half == SecretHalf::Sealed
        {
            held.half = SecretHalf::Damaged;
        }
    }

    /// What is sealed in the slot; `None` if it can't be unsealed as what memory says it is.
    fn secret(&self, place: u32) -> Result<Option<Secret>, VaultError> {
        let held = self.held(place);
        Ok(slot::unseal(&self.keys, held.code, held.door, &self.bytes(place)?))
    }

    /// The slot as it stands in the file; of one that the file's end cuts short, as if zeros followed.
    fn bytes(&self, place: u32) -> Result<SlotBytes, VaultError> {
        let (mut bytes, at) = ([0; SLOT_BYTES], slot::offset(place));
        let there = usize::try_from(self.disk.len()?.saturating_sub(at)).unwrap_or(SLOT_BYTES).min(SLOT_BYTES);
        self.disk.read(at, bytes.get_mut(..there).unwrap_or_default())?;
        Ok(bytes)
    }

    fn working(&self) -> Result<(), VaultError> {
        if self.failed { Err(VaultError::Failed) } else { Ok(()) }
    }

    /// Writes and waits until it is on disk. After an error nobody knows what is there, and nothing more is tried.
    fn durably(&mut self, write: impl FnOnce(&mut dyn Disk) -> io::Result<()>) -> Result<(), VaultError> {
        self.working()?;
        let done = write(&mut *self.disk).and_then(|()| self.disk.flush());
        self.failed = done.is_err();
        Ok(done?)
    }
}

/// Writes slots, which are in order, as few writes as there are gaps between them.
fn write_slots(disk: &mut dyn Disk, slots: &[(u32, SlotBytes)]) -> io::Result<()> {
    for run in slots.chunk_by(|(place, _), (next, _)| *next == place + 1) {
        let Some((first, _)) = run.first() else { continue };
        let bytes: Vec<u8> = run.iter().flat_map(|(_, bytes)| *bytes).collect();
        disk.write(slot::offset(*first), &bytes)?;
    }
    Ok(())
}

/// What could bring back a code's digits, as it stands in a vault's file: each code with its salt and what is sealed.
/// For tests that look for it elsewhere.
#[cfg(test)]
pub(crate) fn secrets_in(file: &[u8]) -> Vec<(CodeId, [Vec<u8>; 2])> {
    let slots = file.get(HEADER_AREA_BYTES..).unwrap_or_default().as_chunks::<SLOT_BYTES>().0;
    let secrets = slots.iter().map(|slot| {
        let code = u64::from_le_bytes(*slot.first_chunk().expect("a slot is longer"));
        let (salt, rest) = slot[SECRET_AT..].split_at(16);
        (CodeId(code), [salt.to_vec(), rest[..48].to_vec()])
    });
    secrets.filter(|(code, [salt, _])| *code != CodeId::NONE && salt.iter().any(|byte| *byte != 0)).collect()
}

fn random() -> Result<StdRng, VaultError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| io::Error::other(format!("no random bytes: {error}")))?;
    Ok(StdRng::from_seed(*seed))
}
