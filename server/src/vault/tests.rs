//! The vault as a whole: the rules it keeps, and every crash that it has to come back from.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use keyward_protocol::limits::{CODE_DIGITS_MAX, CODE_DIGITS_MIN};
use rand::{Rng, RngExt};

use super::*;

const ID: VaultId = [9; 16];
const OF: PortfolioId = PortfolioId(0x0909_0909);

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn wanted(code: u64, door: u32, digits: u8) -> Wanted {
    Wanted { code: CodeId(code), door: DoorId(door), person: PersonId(code as u32 + 100), digits }
}

fn codes(ids: &[u64]) -> Vec<CodeId> {
    ids.iter().copied().map(CodeId).collect()
}

/// What the journal would keep of codes that were made.
fn journalled(wanted: &[Wanted], made: &[Commitment]) -> Vec<(CodeId, DoorId, PersonId, Commitment)> {
    wanted.iter().zip(made).map(|(wanted, made)| (wanted.code, wanted.door, wanted.person, *made)).collect()
}

fn in_memory() -> (MemoryDisk, Vault) {
    let disk = MemoryDisk::default();
    let vault = Vault::create_on(Box::new(disk.clone()), &RootSecret::fixed(1), ID, &mut rng(0)).unwrap();
    (disk, vault)
}

fn reopened(disk: &MemoryDisk, root: u8) -> Result<Vault, VaultError> {
    Unread::open_on(Box::new(disk.clone()), &RootSecret::fixed(root))?.read()
}

/// The secret half of a code's slot as it stands in the file.
fn secret_half(disk: &MemoryDisk, vault: &Vault, code: u64) -> Vec<u8> {
    let at = slot::offset(vault.codes[&CodeId(code)]) as usize + SECRET_AT;
    disk.state().seen[at..at + SECRET_BYTES].to_vec()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

// C2
#[test]
fn codes_have_the_length_asked_for_and_are_never_trivial() {
    let (_, mut vault) = in_memory();
    let all: Vec<Wanted> = (0..2_100).map(|n| wanted(n + 1, 1, CODE_DIGITS_MIN + (n % 7) as u8)).collect();
    vault.make(&all, &mut rng(1)).unwrap();
    for wanted in &all {
        let digits = vault.reveal(wanted.code).unwrap();
        assert_eq!(digits.expose().len(), usize::from(wanted.digits));
        assert!(!digits.is_trivial());
    }
    for digits in [0, CODE_DIGITS_MIN - 1, CODE_DIGITS_MAX + 1] {
        let refused = vault.make(&[wanted(9_000, 1, digits)], &mut rng(1));
        assert!(matches!(refused, Err(MakeError::Length { .. })), "{digits}");
    }
}

// C2, C6: no code is handed out twice at a door, neither while it lives nor in quarantine; a full door says so.
#[test]
fn codes_are_unique_at_a_door_among_live_and_quarantined() {
    let (_, mut vault) = in_memory();
    let (mut drawn, mut next, mut source) = (HashSet::new(), 1, rng(2));
    while let Ok(made) = vault.make(&[wanted(next, 1, 4)], &mut source) {
        assert_eq!(made.len(), 1);
        assert!(drawn.insert(vault.reveal(CodeId(next)).unwrap().expose().to_vec()), "handed out twice");
        // Every other one is deleted at once: in quarantine it stays taken.
        if next % 2 == 0 {
            vault.destroy(&[CodeId(next)]).unwrap();
        }
        next += 1;
    }
    let possible = (0..10_000).filter(|n| !Digits::parse(format!("{n:04}").as_bytes()).unwrap().is_trivial()).count();
    assert!(drawn.len() > possible * 9 / 10 && drawn.len() <= possible, "{} of {possible}", drawn.len());

    // A step that asks for one code too many makes none.
    let refused = vault.make(&[wanted(50_000, 2, 4), wanted(50_001, 1, 4)], &mut source);
    assert!(matches!(refused, Err(MakeError::NoFreeCode { door: DoorId(1) })));
    assert_eq!(vault.tags().count(), drawn.len());
    // Another door has codes of its own, and a quarantine that is over frees codes.
    vault.make(&[wanted(next + 1, 2, 4)], &mut source).unwrap();
    let deleted: Vec<CodeId> = (1..next).filter(|n| n % 2 == 0).map(CodeId).collect();
    vault.forget(&deleted).unwrap();
    let again = [wanted(next + 2, 1, 4)];
    vault.make(&again, &mut source).unwrap();
    assert!(drawn.contains(vault.reveal(again[0].code).unwrap().expose()));
}

#[test]
fn an_id_is_used_once() {
    let (_, mut vault) = in_memory();
    vault.make(&[wanted(1, 1, 7)], &mut rng(3)).unwrap();
    for bad in [vec![wanted(1, 2, 7)], vec![wanted(0, 1, 7)], vec![wanted(2, 1, 7), wanted(2, 2, 7)]] {
        assert!(matches!(vault.make(&bad, &mut rng(3)), Err(MakeError::Used(_))));
    }
    assert_eq!(vault.tags().count(), 1);
}

// C3, C6: after a deletion not even the root brings the digits back; the tag stays for the quarantine.
#[test]
fn a_destroyed_code_is_gone_for_good() {
    let (disk, mut vault) = in_memory();
    let both = [wanted(1, 1, 7), wanted(2, 1, 7)];
    let made = vault.make(&both, &mut rng(4)).unwrap();
    let digits = vault.reveal(CodeId(1)).unwrap();
    let half = secret_half(&disk, &vault, 1);
    let (salt, sealed) = (&half[..16], &half[16..64]);
    assert!(contains(&disk.state().kept, salt) && contains(&disk.state().kept, sealed));

    vault.destroy(&[CodeId(1)]).unwrap();
    for part in [salt, sealed, &half[64..]] {
        assert!(!contains(&disk.state().kept, part), "still on the disk");
    }
    assert!(matches!(vault.reveal(CodeId(1)), Err(RevealError::Destroyed(_))));
    let tag = vault.tagger().tag(DoorId(1), &digits);
    assert!(vault.tags().any(|found| found == (CodeId(1), DoorId(1), tag, false)));

    let mut vault = reopened(&disk, 1).unwrap();
    let reconciled = vault.reconcile(&journalled(&both, &made)[1..], &[CodeId(1)]).unwrap();
    assert_eq!(reconciled, Reconciled::default());
    assert!(matches!(vault.reveal(CodeId(1)), Err(RevealError::Destroyed(_))));
    assert!(vault.reveal(CodeId(2)).is_ok());
    assert!(vault.tags().any(|found| found == (CodeId(1), DoorId(1), tag, false)));

    vault.forget(&[CodeId(1)]).unwrap();
    assert!(!contains(&disk.state().kept, &tag.0));
    assert!(matches!(vault.reveal(CodeId(1)), Err(RevealError::Unknown(_))));
    vault.make(&[wanted(3, 5, 7)], &mut rng(5)).unwrap();
    assert_eq!(vault.slots.len(), 2, "the slot is used again");
}

// C8
#[test]
fn no_digits_stand_in_the_file_or_in_what_is_printed() {
    let (disk, mut vault) = in_memory();
    let all: Vec<Wanted> = (1..=500).map(|n| wanted(n, 1 + (n % 3) as u32, 8)).collect();
    vault.make(&all, &mut rng(6)).unwrap();
    vault.rotate_with(&RootSecret::fixed(2), &mut rng(7)).unwrap();
    let (file, printed) = (disk.state().kept.clone(), format!("{vault:?}"));
    for wanted in &all {
        let digits = vault.reveal(wanted.code).unwrap();
        let plain: Vec<u8> = digits.expose().iter().map(|digit| digit - b'0').collect();
        assert!(!contains(&file, digits.expose()) && !contains(&file, &plain));
        assert!(!printed.contains(core::str::from_utf8(digits.expose()).unwrap()));
    }
    let lengths: HashSet<usize> = all.iter().map(|w| secret_half(&disk, &vault, w.code.0).len()).collect();
    assert_eq!(lengths.len(), 1, "lengths don't show");
}

// C8: a commitment in the journal and everything in the vault's file don't suffice to test a guess, and it binds.
#[test]
fn a_commitment_hides_the_digits_and_binds_code_door_and_person() {
    let digits = Digits::parse(b"4820195").unwrap();
    let secret = Secret::new(&digits, &mut rng(8));
    let commit = |vault, code, door, person| secret.commitment(&vault, CodeId(code), DoorId(door), PersonId(person));
    let made = commit(ID, 1, 1, 1);
    for other in [commit([8; 16], 1, 1, 1), commit(ID, 2, 1, 1), commit(ID, 1, 2, 1), commit(ID, 1, 1, 2)] {
        assert_ne!(made, other);
    }
    let blind = Secret::new(&digits, &mut rng(9));
    assert_ne!(made, blind.commitment(&ID, CodeId(1), DoorId(1), PersonId(1)), "the same digits, another blind");
}

#[test]
fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let root = RootSecret::generate().unwrap();
    let mut vault = Vault::create(&path, &root, ID).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Vault::create(&path, &root, ID), Err(VaultError::Exists)));
    let all: Vec<Wanted> = (1..=40).map(|n| wanted(n, n as u32 % 4, 7)).collect();
    let made = vault.make(&all, &mut rng(10)).unwrap();
    let digits: Vec<Digits> = all.iter().map(|wanted| vault.reveal(wanted.code).unwrap()).collect();
    drop(vault);

    let mut vault = Vault::open(&path, &root, OF).unwrap();
    assert_eq!(vault.id(), ID);
    assert_eq!(vault.reconcile(&journalled(&all, &made), &[]).unwrap(), Reconciled::default());
    for (wanted, digits) in all.iter().zip(&digits) {
        assert!(vault.reveal(wanted.code).unwrap() == *digits);
        let tag = vault.tagger().tag(wanted.door, digits);
        assert!(vault.tags().any(|found| found == (wanted.code, wanted.door, tag, true)));
    }

    // A rotation leaves everything but the root as it was, and old bytes nowhere.
    let new_root = RootSecret::generate().unwrap();
    let old_file = fs::read(&path).unwrap();
    assert!(vault.rotate(&new_root).unwrap().is_empty());
    assert!(matches!(Vault::open(&path, &root, OF), Err(VaultError::WrongRoot)));
    let new_file = fs::read(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no file is left over");
    for old in old_file[HEADER_AREA_BYTES..].chunks(SLOT_BYTES) {
        assert!(!contains(&new_file, &old[SECRET_AT..][..16]) && !contains(&new_file, &old[SECRET_AT + 16..][..48]));
    }
    for mut vault in [vault, Vault::open(&path, &new_root, OF).unwrap()] {
        assert_eq!(vault.reconcile(&journalled(&all, &made), &[]).unwrap(), Reconciled::default());
        assert!(all.iter().zip(&digits).all(|(wanted, digits)| vault.reveal(wanted.code).unwrap() == *digits));
    }
}

#[test]
fn what_no_event_knows_is_shredded_and_what_was_deleted_destroyed_again() {
    let (disk, mut vault) = in_memory();
    let all: Vec<Wanted> = (1..=5).map(|n| wanted(n, 1, 7)).collect();
    let made = vault.make(&all, &mut rng(11)).unwrap();
    let halves: Vec<Vec<u8>> = (1..=5).map(|code| secret_half(&disk, &vault, code)).collect();
    let mut live = journalled(&all, &made);
    live[1].3 = [0; 32]; // Another commitment.
    live[2].2 = PersonId(7); // Another person.
    let mut vault = reopened(&disk, 1).unwrap();
    // Code 4 was deleted, 5 never journalled, 6 and 7 never were in this file.
    live.truncate(4);
    live.push((CodeId(6), DoorId(1), PersonId(1), [1; 32]));
    let reconciled = vault.reconcile(&live, &codes(&[4, 7])).unwrap();
    let expected = Reconciled { lost: codes(&[2, 3, 6]), untagged: codes(&[7]), shredded: 1, destroyed_again: 1 };
    assert_eq!(reconciled, expected);
    assert!(vault.reveal(CodeId(1)).is_ok());
    for code in [2, 3] {
        assert!(matches!(vault.reveal(CodeId(code)), Err(RevealError::Lost(_))));
        vault.destroy(&[CodeId(code)]).unwrap();
    }
    for half in &halves[1..] {
        assert!(!contains(&disk.state().kept, &half[..16]) && !contains(&disk.state().kept, &half[16..64]));
    }
    assert!(vault.tags().all(|(code, .., alive)| alive == (code == CodeId(1))));
}

// A damaged byte costs at most the code of its slot, wherever it is; it never makes another code of it.
#[test]
fn a_damaged_slot_loses_its_code_and_no_other() {
    let (disk, mut vault) = in_memory();
    let all: Vec<Wanted> = (1..=3).map(|n| wanted(n, 1, 7)).collect();
    let made = vault.make(&all, &mut rng(12)).unwrap();
    let live = journalled(&all, &made);
    let good = disk.state().kept.clone();
    let begin = slot::offset(vault.codes[&CodeId(2)]) as usize;
    for byte in begin..begin + SLOT_BYTES {
        disk.hold(&good);
        disk.state().seen[byte] ^= 0x40;
        let mut vault = reopened(&disk, 1).unwrap();
        assert_eq!(vault.damaged_slots(), 1, "byte {byte}");
        assert_eq!(vault.reconcile(&live, &[]).unwrap().lost, codes(&[2]), "byte {byte}");
        assert!(vault.reveal(CodeId(1)).is_ok() && vault.reveal(CodeId(2)).is_err(), "byte {byte}");
        // Deleted later, it is gone as any other.
        vault.destroy(&[CodeId(2)]).unwrap();
        assert!(!contains(&disk.state().kept, &good[begin + SECRET_AT..][..16]), "byte {byte}");
    }
}

// The end of the file may be cut anywhere, and a slot that stands in another's place is not taken for it.
#[test]
fn cut_and_shuffled_files_open() {
    let (disk, mut vault) = in_memory();
    let all: Vec<Wanted> = (1..=4).map(|n| wanted(n, 1, 7)).collect();
    let made = vault.make(&all, &mut rng(13)).unwrap();
    let live = journalled(&all, &made);
    let good = disk.state().kept.clone();
    for length in HEADER_AREA_BYTES..good.len() {
        disk.hold(&good[..length]);
        let lost = reopened(&disk, 1).unwrap().reconcile(&live, &[]).unwrap().lost;
        let whole = (length - HEADER_AREA_BYTES) / SLOT_BYTES;
        assert_eq!(lost, live[whole..].iter().map(|live| live.0).collect::<Vec<_>>(), "{length} bytes");
    }
    let mut swapped = good.clone();
    let (left, right) = swapped[HEADER_AREA_BYTES..].split_at_mut(SLOT_BYTES);
    left.swap_with_slice(&mut right[..SLOT_BYTES]);
    disk.hold(&swapped);
    assert_eq!(reopened(&disk, 1).unwrap().reconcile(&live, &[]).unwrap().lost, codes(&[1, 2]));
    let second = slot::write_lookup(&vault.keys, 4, CodeId(1), DoorId(1), Tag([5; TAG_BYTES]));
    let twice = [&good[..], &second].concat();
    disk.hold(&twice);
    let reconciled = reopened(&disk, 1).unwrap().reconcile(&live, &[]).unwrap();
    assert!(reconciled.lost.is_empty() && reconciled.shredded == 1);
}

// M9: files that changed places are told, before a slot of theirs is taken for an orphan and shredded.
#[test]
fn another_portfolios_vault_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let root = RootSecret::generate().unwrap();
    let path = |of: u32| directory.path().join(format!("vault-{of}"));
    for of in [1, 2] {
        let mut vault = Vault::create(&path(of), &root, new_id(PortfolioId(of), [7; 12])).unwrap();
        vault.make(&[wanted(1, 1, 7)], &mut rng(17)).unwrap();
    }
    let before = fs::read(path(2)).unwrap();
    let refused = Vault::open(&path(2), &root, PortfolioId(1)).unwrap_err();
    assert!(matches!(refused, VaultError::AnotherPortfolios { of: 1, found: 2 }), "{refused}");
    assert_eq!(fs::read(path(2)).unwrap(), before);
    // The number can't be changed: every seal hangs on it.
    let mut forged = before;
    for header in [0, 4_096] {
        forged[header + 16] = 1;
        let checksum = blake3::hash(&forged[header..header + 96]);
        forged[header + 96..header + 112].copy_from_slice(&checksum.as_bytes()[..16]);
    }
    fs::write(path(2), forged).unwrap();
    assert!(matches!(Vault::open(&path(2), &root, PortfolioId(1)), Err(VaultError::WrongRoot)));
    assert!(Vault::open(&path(1), &root, PortfolioId(1)).is_ok());
}

#[test]
fn wrong_roots_and_foreign_files_are_refused() {
    let (disk, _) = in_memory();
    assert!(matches!(reopened(&disk, 2), Err(VaultError::WrongRoot)));
    let good = disk.state().kept.clone();
    // One copy of the header may be damaged, the other takes over.
    for byte in (0..112).chain(4_096..4_096 + 112) {
        disk.hold(&good);
        disk.state().seen[byte] ^= 1;
        assert_eq!(reopened(&disk, 1).unwrap().id(), ID, "byte {byte}");
    }
    disk.hold(&good);
    (disk.state().seen[50], disk.state().seen[4_096 + 50]) = (0, 0);
    disk.state().seen[51] ^= 1;
    disk.state().seen[4_096 + 51] ^= 1;
    assert!(matches!(reopened(&disk, 1), Err(VaultError::HeaderDamaged)));
    for foreign in [&b""[..], b"keyw", &[0; 9_000]] {
        disk.hold(foreign);
        assert!(matches!(reopened(&disk, 1), Err(VaultError::NotAVault)));
    }
    for length in 0..HEADER_AREA_BYTES {
        disk.hold(&good[..length]);
        let opened = reopened(&disk, 1);
        assert_eq!(opened.is_ok(), length >= 112, "{length} bytes");
    }
}

// Any bytes at all may be in the file: it opens or is refused, and nothing in it is taken for a code.
#[test]
fn random_slots_are_damaged_slots() {
    let (disk, _) = in_memory();
    let good = disk.state().kept.clone();
    let mut source = rng(14);
    for _ in 0..50 {
        let mut noise = vec![0; source.random_range(0..2_000)];
        source.fill_bytes(&mut noise);
        disk.hold(&[&good[..], &noise].concat());
        let mut vault = reopened(&disk, 1).unwrap();
        assert_eq!((vault.tags().count(), vault.damaged_slots()), (0, noise.len().div_ceil(SLOT_BYTES)));
        vault.reconcile(&[], &[]).unwrap();
        assert!(disk.state().kept[HEADER_AREA_BYTES..].iter().all(|byte| *byte == 0));
    }
}

// 50,000 people at one door with 9 digits.
#[test]
fn fifty_thousand_codes_at_one_door() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let root = RootSecret::generate().unwrap();
    let mut vault = Vault::create(&path, &root, ID).unwrap();
    let all: Vec<Wanted> = (1..=50_000).map(|n| wanted(n, 1, 9)).collect();
    let live = timed("make", || journalled(&all, &vault.make(&all, &mut rng(15)).unwrap()));
    assert_eq!(vault.tags().map(|(_, _, tag, _)| tag).collect::<HashSet<_>>().len(), 50_000);
    timed("make one more", || vault.make(&[wanted(50_001, 1, 9)], &mut rng(16)).unwrap());
    let mut vault = timed("open", || Vault::open(&path, &root, OF).unwrap());
    let reconciled = timed("reconcile", || vault.reconcile(&live, &[]).unwrap());
    assert_eq!(reconciled, Reconciled { shredded: 1, ..Reconciled::default() });
    timed("rotate", || vault.rotate(&RootSecret::generate().unwrap()).unwrap());
    let half: Vec<CodeId> = (1..=50_000).filter(|n| n % 2 == 0).map(CodeId).collect();
    timed("destroy half", || vault.destroy(&half).unwrap());
    timed("forget half", || vault.forget(&half).unwrap());
    assert_eq!((vault.tags().count(), vault.free.len()), (25_000, 25_000));
    let tagger = vault.tagger();
    let digits = vault.reveal(CodeId(1)).unwrap();
    timed("1,000,000 tags", || (0..1_000_000).fold(0, |sum, n| sum ^ tagger.tag(DoorId(n), &digits).0[0]));
}

fn timed<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = act();
    println!("{what}: {:?}", start.elapsed());
    done
}

/// A journal as far as the vault needs one, and what was promised to whom.
#[derive(Default)]
struct Story {
    live: Vec<(CodeId, DoorId, PersonId, Commitment)>,
    quarantined: Vec<CodeId>,
    /// Digits of every code that was acknowledged.
    digits: HashMap<CodeId, Digits>,
    tags: HashMap<CodeId, Tag>,
    /// Every secret half that ever stood in the file, by code.
    halves: Vec<(CodeId, Vec<u8>)>,
    /// Codes whose destruction was acknowledged.
    destroyed: Vec<CodeId>,
}

impl Story {
    /// Goes through a vault's life until the disk fails. Deletions are journalled before they reach the vault and
    /// codes after they were made, as the engine does it.
    fn play(&mut self, disk: &MemoryDisk, vault: &mut Vault, source: &mut StdRng) -> Result<(), MakeError> {
        self.make(disk, vault, &[(1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3)], source)?;
        self.delete(vault, &[2, 4, 5])?;
        self.make(disk, vault, &[(7, 1)], source)?;
        self.forget(vault, &[2, 5])?;
        self.make(disk, vault, &[(8, 2), (9, 2), (10, 4)], source)?;
        self.delete(vault, &[9])?;
        vault.rotate_with(&RootSecret::fixed(2), source)?;
        self.note(disk, vault);
        self.delete(vault, &[1, 6, 8])?;
        self.forget(vault, &[4, 6, 9])?;
        self.make(disk, vault, &[(11, 1), (12, 1)], source)
    }

    fn make(
        &mut self,
        disk: &MemoryDisk,
        vault: &mut Vault,
        codes: &[(u64, u32)],
        source: &mut StdRng,
    ) -> Result<(), MakeError> {
        let wanted: Vec<Wanted> = codes.iter().map(|&(code, door)| wanted(code, door, 7)).collect();
        let made = vault.make(&wanted, source)?;
        self.live.extend(journalled(&wanted, &made));
        for wanted in &wanted {
            let digits = vault.reveal(wanted.code).expect("the disk reads well until it crashes");
            self.tags.insert(wanted.code, vault.tagger().tag(wanted.door, &digits));
            self.digits.insert(wanted.code, digits);
        }
        self.note(disk, vault);
        Ok(())
    }

    fn delete(&mut self, vault: &mut Vault, gone: &[u64]) -> Result<(), VaultError> {
        let gone = codes(gone);
        self.live.retain(|live| !gone.contains(&live.0));
        self.quarantined.extend(&gone);
        vault.destroy(&gone)?;
        self.destroyed.extend(&gone);
        Ok(())
    }

    fn forget(&mut self, vault: &mut Vault, over: &[u64]) -> Result<(), VaultError> {
        self.quarantined.retain(|code| !over.contains(&code.0));
        vault.forget(&codes(over))
    }

    fn note(&mut self, disk: &MemoryDisk, vault: &Vault) {
        let alive = vault.tags().filter(|(.., alive)| *alive);
        self.halves.extend(alive.map(|(code, ..)| (code, secret_half(disk, vault, code.0))));
    }

    /// Nothing of these codes can be unsealed from the file any more.
    fn assert_gone(&self, disk: &MemoryDisk, gone: impl Fn(CodeId) -> bool, when: &str) {
        let kept = disk.state().kept.clone();
        for (code, half) in self.halves.iter().filter(|(code, _)| gone(*code)) {
            assert!(!contains(&kept, &half[..16]) && !contains(&kept, &half[16..64]), "{code} {when}");
        }
    }

    fn assert_right(&self, disk: &MemoryDisk, vault: &Vault, when: &str) {
        for (code, ..) in &self.live {
            assert!(vault.reveal(*code).is_ok_and(|digits| digits == self.digits[code]), "{code} {when}");
        }
        for code in &self.quarantined {
            assert!(vault.reveal(*code).is_err(), "{code} {when}");
            let found = vault.tags().find(|found| found.0 == *code).map(|found| (found.2, found.3));
            assert_eq!(found, Some((self.tags[code], false)), "{code} {when}");
        }
        assert_eq!(vault.tags().count(), self.live.len() + self.quarantined.len(), "{when}");
        assert_eq!(vault.damaged_slots(), 0, "{when}");
        self.assert_gone(disk, |code| self.live.iter().all(|live| live.0 != code), when);
    }
}

// C3, C6, C8: the disk fails at every operation in turn, tears what it was writing, and forgets what was not
// flushed; then it fails again while the vault is put right. Nothing that was acknowledged is lost, nothing
// that was deleted can be read.
#[test]
fn every_crash_leaves_a_vault_that_can_be_put_right() {
    let mut n = 0;
    for fail_at in 0.. {
        let mut finished = true;
        for seed in 0..12 {
            n += 1;
            finished &= crash(fail_at, seed);
        }
        if finished {
            assert!(fail_at > 30, "the story asks the disk for more than that");
            println!("{n} crashes");
            return;
        }
    }
}

/// Whether the story came to its end before the disk failed.
fn crash(fail_at: usize, seed: u64) -> bool {
    let when = format!("after operation {fail_at}, seed {seed}");
    let (disk, mut vault) = in_memory();
    let mut story = Story::default();
    disk.fail_at(fail_at, seed);
    let ended = story.play(&disk, &mut vault, &mut rng(20));
    if ended.is_err() && vault.failed {
        assert!(matches!(vault.destroy(&codes(&[1])), Err(VaultError::Failed)), "{when}");
        assert!(vault.make(&[wanted(99, 1, 7)], &mut rng(0)).is_err(), "{when}");
    }
    drop(vault);
    disk.crash();
    story.assert_gone(&disk, |code| story.destroyed.contains(&code), &when);

    for again in (0..seed as usize % 4).rev() {
        disk.fail_at(again, seed + 100);
        let mut vault = open_with_either_root(&disk);
        let _ = vault.reconcile(&story.live, &story.quarantined);
        drop(vault);
        disk.crash();
    }
    let mut vault = open_with_either_root(&disk);
    let reconciled = vault.reconcile(&story.live, &story.quarantined).unwrap();
    assert!(reconciled.lost.is_empty() && reconciled.untagged.is_empty(), "{reconciled:?} {when}");
    story.assert_right(&disk, &vault, &when);

    // And it goes on.
    story.make(&disk, &mut vault, &[(20, 1), (21, 2)], &mut rng(seed)).unwrap();
    story.delete(&mut vault, &[20]).unwrap();
    story.assert_right(&disk, &vault, &when);
    ended.is_ok()
}

fn open_with_either_root(disk: &MemoryDisk) -> Vault {
    match reopened(disk, 1) {
        Err(VaultError::WrongRoot) => reopened(disk, 2).unwrap(),
        opened => opened.unwrap(),
    }
}

// A full disk while the vault is rewritten changes nothing, and it can be tried again.
#[test]
fn a_rotation_that_could_not_be_staged_may_be_repeated() {
    let (disk, mut vault) = in_memory();
    vault.make(&[wanted(1, 1, 7)], &mut rng(21)).unwrap();
    disk.fail_at(2, 0);
    assert!(vault.rotate_with(&RootSecret::fixed(2), &mut rng(22)).is_err());
    disk.crash();
    vault.rotate_with(&RootSecret::fixed(3), &mut rng(23)).unwrap();
    assert!(vault.reveal(CodeId(1)).is_ok());
    assert!(reopened(&disk, 3).unwrap().reveal(CodeId(1)).is_ok());
}

// Which file stands there is unknown, so the old keys must not write to it.
#[test]
fn a_vault_that_failed_refuses_everything_until_it_is_opened_again() {
    let (disk, mut vault) = in_memory();
    vault.make(&[wanted(1, 1, 7)], &mut rng(24)).unwrap();
    disk.fail_at(3, 0);
    assert!(matches!(vault.rotate_with(&RootSecret::fixed(2), &mut rng(25)), Err(VaultError::Io(_))));
    disk.crash();
    assert!(matches!(vault.make(&[wanted(2, 1, 7)], &mut rng(26)), Err(MakeError::Vault(VaultError::Failed))));
    assert!(matches!(vault.reveal(CodeId(1)), Err(RevealError::Vault(VaultError::Failed))));
    assert!(matches!(vault.destroy(&codes(&[1])), Err(VaultError::Failed)));
    assert!(matches!(vault.forget(&codes(&[1])), Err(VaultError::Failed)));
    assert!(matches!(vault.rotate_with(&RootSecret::fixed(2), &mut rng(25)), Err(VaultError::Failed)));
    assert!(matches!(vault.reconcile(&[], &[]), Err(VaultError::Failed)));
    assert!(open_with_either_root(&disk).reveal(CodeId(1)).is_ok());
}

/// A disk that keeps what was flushed and, after a crash, any part of the rest. Clones are the same disk.
#[derive(Clone, Default)]
struct MemoryDisk(Arc<Mutex<MemoryState>>);

#[derive(Default)]
struct MemoryState {
    /// What reads see.
    seen: Vec<u8>,
    /// What a crash surely leaves.
    kept: Vec<u8>,
    /// Writes since the last flush, in order.
    pending: Vec<(usize, Vec<u8>)>,
    staged: Vec<u8>,
    /// The operation that fails, counted from now.
    fail_in: Option<usize>,
    down: bool,
    source: Option<StdRng>,
}

impl MemoryDisk {
    fn state(&self) -> MutexGuard<'_, MemoryState> {
        self.0.lock().unwrap()
    }

    /// Makes the file these bytes.
    fn hold(&self, bytes: &[u8]) {
        let mut state = self.state();
        (state.seen, state.kept) = (bytes.to_vec(), bytes.to_vec());
    }

    fn fail_at(&self, operation: usize, seed: u64) {
        let mut state = self.state();
        (state.fail_in, state.source) = (Some(operation), Some(rng(seed)));
    }

    /// The machine goes down and comes up: of what was not flushed, any part of any write is there.
    fn crash(&self) {
        let mut state = self.state();
        let pending = core::mem::take(&mut state.pending);
        for (at, bytes) in pending {
            let kept = state.some_of(&bytes);
            let from = if kept.len() < bytes.len() && state.coin() { bytes.len() - kept.len() } else { 0 };
            let part = bytes[from..from + kept.len()].to_vec();
            write_at(&mut state.kept, at + from, &part);
        }
        state.seen = state.kept.clone();
        (state.down, state.fail_in) = (false, None);
    }
}

impl MemoryState {
    /// Whether this operation is done; it fails when its turn has come, and so does everything after it.
    fn works(&mut self) -> bool {
        self.down |= self.fail_in == Some(0);
        self.fail_in = self.fail_in.map(|left| left.saturating_sub(1));
        !self.down
    }

    fn coin(&mut self) -> bool {
        self.source.as_mut().is_some_and(|source| source.random_bool(0.5))
    }

    /// All, nothing, or a beginning.
    fn some_of(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(source) = &mut self.source else { return Vec::new() };
        let length = match source.random_range(0..3) {
            0 => 0,
            1 => bytes.len(),
            _ => source.random_range(0..=bytes.len()),
        };
        bytes[..length].to_vec()
    }
}

impl Disk for MemoryDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().seen.len() as u64)
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let there = state.seen.get(at as usize..at as usize + buffer.len());
        buffer.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let was_down = state.down;
        let works = state.works();
        if !was_down {
            write_at(&mut state.seen, at as usize, bytes);
            state.pending.push((at as usize, bytes.to_vec()));
        }
        if works { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        if !state.works() {
            return Err(io::ErrorKind::Other.into());
        }
        state.seen.truncate(length as usize);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.state();
        if !state.works() {
            return Err(io::ErrorKind::Other.into());
        }
        state.kept = state.seen.clone();
        state.pending.clear();
        Ok(())
    }

    fn stage(&mut self) -> io::Result<()> {
        let mut state = self.state();
        state.staged.clear();
        if state.works() { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
    }

    fn stage_more(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.staged.extend_from_slice(bytes);
        if state.works() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn keep(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn unstage(&mut self) -> io::Result<()> {
        self.state().staged.clear();
        Ok(())
    }

    fn install(&mut self) -> io::Result<()> {
        let mut state = self.state();
        let was_down = state.down;
        let works = state.works();
        if works || (!was_down && state.coin()) {
            let staged = core::mem::take(&mut state.staged);
            state.pending.clear();
            (state.seen, state.kept) = (staged.clone(), staged);
        }
        if works { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
    }
}

fn write_at(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let needed = file.len().max(at + bytes.len());
    file.resize(needed, 0);
    file[at..at + bytes.len()].copy_from_slice(bytes);
}
