//! Damage of each kind, what a repair says of it, and what is there afterwards.

use std::fs;

use keyward_protocol::{entry::Period, time::Moment};

use super::*;
use crate::{
    access_log::{AccessLog, Batch, CredentialKind, Mode, Outcome, Record, Who},
    disk::{Disk, Verdict, fault::StopAt},
    domain::{command::Command, event::Actor, site::Site},
    engine::{Books, Severity, verify},
};

const NOW: Moment = Moment::from_micros(1_795_000_000_000_000);
const PORTFOLIO: PortfolioId = PortfolioId(1);
const TRACY: PersonId = PersonId(2);

/// A data directory with six frames, and what stood in the books after each.
struct World {
    dir: tempfile::TempDir,
    layout: Layout,
    /// The Directory after frame `n` at `n - 1`.
    directories: Vec<Directory>,
}

impl World {
    /// Tracy's Key is revoked and given in turn; snapshots are taken after some frames.
    fn new(snapshots: &[u64]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(&dir.path().join("data"));
        let site = Site::parse("site.toml", crate::golden::SITE).unwrap();
        let mut books = Books::create(&layout, &site, NOW).unwrap();
        let mut directories = vec![books.directory().clone()];
        while books.sequence() < 6 {
            World::step(&mut books);
            directories.push(books.directory().clone());
            if snapshots.contains(&books.sequence()) {
                books.write_snapshot().unwrap();
            }
        }
        books.write_anchor().unwrap();
        World { dir, layout, directories }
    }

    fn step(books: &mut Books) {
        let (key, person) = (KeyId(1), TRACY);
        let command = match books.sequence() % 2 {
            1 => Command::Revoke { key, person },
            _ => Command::Give { key, person, may_share: None, period: Period::default() },
        };
        let now = NOW.plus_seconds(i64::try_from(books.sequence()).unwrap());
        books.decide(PORTFOLIO, Actor::Person(PersonId(1)), &command, now, None).unwrap();
        let committed = books.commit().unwrap().unwrap();
        books.destroy(&committed).unwrap();
    }

    /// A copy of data and secrets, as a backup has it.
    fn back_up(&self) -> PathBuf {
        let to = self.dir.path().join("backup");
        copy_all(self.layout.data(), &to);
        copy_all(self.layout.secrets(), Layout::new(&to).secrets());
        to
    }

    fn segment(&self) -> PathBuf {
        self.layout.journal().join("0000000000000001.kwj")
    }

    /// Changes a byte in the middle of a frame.
    fn damage_frame(&self, frame: u64) -> Vec<u8> {
        let mut bytes = fs::read(self.segment()).unwrap();
        let mut at = 76;
        for _ in 1..frame {
            at += 56 + u32::from_le_bytes(*bytes[at + 8..].first_chunk().unwrap()) as usize;
        }
        bytes[at + 60] ^= 1;
        fs::write(self.segment(), &bytes).unwrap();
        bytes
    }

    /// An access log with four chunks of five records in one segment, the third of which is damaged.
    fn damage_log(&self) {
        let lineage = journal::lineage_of(&self.layout.journal()).unwrap();
        let (log, _) = AccessLog::open(&self.layout.log(), lineage, Mode::Strict, 1).unwrap();
        for second in 0..4 {
            let time = NOW.plus_seconds(second);
            let (door, key, lock, who) = (DoorId(1), KeyId(1), LockId(1), Who::Person(TRACY));
            let (kind, outcome) = (CredentialKind::Mobile, Outcome::Granted);
            let records = vec![Record { time, revision: 3, door, who, key, lock, kind, outcome }; 5];
            let ticket = log.producer(0).try_push(Batch { portfolio: PORTFOLIO, records }).unwrap();
            while !log.producer(0).is_durable(ticket).unwrap() {
                std::thread::yield_now();
            }
        }
        log.shutdown().unwrap();
        drop(log);
        assert!(is_whole(&self.layout) && self.plan(None).is_empty());
        let segment = self.layout.log().join("0000000000000001.kwl");
        let mut bytes = fs::read(&segment).unwrap();
        bytes[96 + 2 * 256 + 100] ^= 1;
        fs::write(&segment, bytes).unwrap();
    }

    fn plan(&self, backup: Option<&Path>) -> Repair {
        Repair::plan(&self.layout, backup).unwrap()
    }

    /// Repairs, looks through everything, and opens what is there.
    fn repair(&self, backup: Option<&Path>) -> (String, Books, books::OpenReport) {
        let before = listing(self.dir.path());
        let plan = self.plan(backup);
        assert_eq!(listing(self.dir.path()), before, "a plan changes nothing");
        let told = plan.to_string();
        let aside = plan.carry_out(NOW).unwrap();
        assert!(aside.ends_with("damaged-20261118T110640Z"), "{}", aside.display());
        let left = listing(self.dir.path());
        for (name, bytes) in before.iter().filter(|(name, _)| !name.ends_with("lock")) {
            let is_kept = left
                .iter()
                .any(|(other, kept)| kept == bytes && Path::new(other).file_name() == Path::new(name).file_name());
            assert!(is_kept, "{name} is gone");
        }
        let (books, report) = Books::open(&self.layout).unwrap();
        assert!(self.layout.repairing().read_dir().is_err(), "what was made beside is in place");
        (told, books, report)
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let there = to.join(entry.file_name().unwrap());
        if entry.is_dir() { copy_all(&entry, &there) } else { _ = fs::copy(&entry, &there).unwrap() }
    }
}

fn listing(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            all.extend(listing(&path));
        } else {
            all.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    all
}

fn is_whole(layout: &Layout) -> bool {
    let findings = verify(layout).unwrap();
    findings.iter().all(|finding| finding.severity < Severity::Damaged)
}

fn code_of(directory: &Directory, person: PersonId) -> CodeId {
    directory.portfolios[&PORTFOLIO].properties[&PropertyId(1)].code_of[&(person, DoorId(1))]
}

/// The Directory but for its numbers.
fn but_for_numbers(directory: &Directory) -> Directory {
    let mut directory = directory.clone();
    let portfolio = Arc::make_mut(directory.portfolios.get_mut(&PORTFOLIO).unwrap());
    (portfolio.revision, portfolio.next) = (0, Default::default());
    directory
}

// K3 C4
#[test]
fn a_journal_that_is_damaged_before_a_snapshot_loses_nothing() {
    let world = World::new(&[3, 5]);
    let damaged = world.damage_frame(3);
    assert!(Books::open(&world.layout).is_err());
    assert!(!is_whole(&world.layout));
    let digits = code_of(&world.directories[5], PersonId(1));
    let (told, books, report) = world.repair(None);
    assert!(told.contains("The books go to frame 6 of 6") && !told.contains("LOST"), "{told}");
    assert_eq!(*books.directory(), world.directories[5]);
    assert!(report.lost.is_empty() && report.warnings.is_empty(), "{report:?}");
    assert!(books.reveal(PORTFOLIO, digits).is_ok());
    drop(books);
    assert!(is_whole(&world.layout));
    let kept = world.layout.data().join("damaged-20261118T110640Z/journal/0000000000000001.kwj");
    assert_eq!(fs::read(kept).unwrap(), damaged);
    // A second look finds nothing, and the books go on.
    assert!(world.plan(None).is_empty());
    let (mut books, _) = Books::open(&world.layout).unwrap();
    let (key, may_share, period) = (KeyId(1), None, Period::default());
    let give = Command::Give { key, person: TRACY, may_share, period };
    books.decide(PORTFOLIO, Actor::Administrator, &give, NOW.plus_seconds(60), None).unwrap();
    books.commit().unwrap();
}

// C3 C4 C8
#[test]
fn changes_behind_the_damage_are_told_and_no_deleted_code_comes_back() {
    let world = World::new(&[]);
    world.damage_frame(4);
    // Frame 4 revoked what frame 3 had given, with its code: the vault has destroyed it.
    let deleted = code_of(&world.directories[2], TRACY);
    for backup in [None, Some(world.back_up())] {
        let plan = world.plan(backup.as_deref());
        assert!(plan.to_string().contains("The books go to frame 3 of 6"), "{plan}");
    }
    let (told, books, report) = world.repair(None);
    for words in [
        "frames 4 to 6 of the journal",
        "frame 4: can't be read",
        "frame 5: 2026-11-18 11:06:44Z by ana@harbor.example: Key `Resident` was given to tracy@mail.example; 1 door codes",
        "frame 6: 2026-11-18 11:06:45Z by ana@harbor.example: ",
        "REVOKED",
        "the code of tracy@mail.example at door `Entrance`",
    ] {
        assert!(told.contains(words), "{words} is not in:\n{told}");
    }
    assert_eq!(but_for_numbers(books.directory()), but_for_numbers(&world.directories[2]));
    let lost: Vec<CodeId> = report.lost.iter().map(|lost| lost.code).collect();
    assert_eq!(lost, [deleted]);
    assert!(books.reveal(PORTFOLIO, deleted).is_err());
    assert!(books.reveal(PORTFOLIO, code_of(books.directory(), PersonId(1))).is_ok());
    let next = books.directory().portfolios[&PORTFOLIO].next;
    assert!(next.lock > 1_000_000 && next.code > 1_000_000, "no number is given out twice");
}

// C4
#[test]
fn a_backup_fills_the_gap_that_is_damaged_here() {
    let world = World::new(&[]);
    let backup = world.back_up();
    world.damage_frame(2);
    let mut vault = fs::read(world.layout.vault(PORTFOLIO)).unwrap();
    vault.iter_mut().take(8_192).for_each(|byte| *byte = 0);
    fs::write(world.layout.vault(PORTFOLIO), vault).unwrap();
    let (told, books, report) = world.repair(Some(&backup));
    assert!(told.contains("frame 6 of 6") && told.contains("The backup's is put in its place"), "{told}");
    assert!(!told.contains("LOST") && report.lost.is_empty(), "{told}");
    assert_eq!(*books.directory(), world.directories[5]);
    assert!(books.reveal(PORTFOLIO, code_of(books.directory(), PersonId(1))).is_ok());
}

#[test]
fn a_damaged_snapshot_is_taken_out_and_nothing_is_lost() {
    for which in [5, 3] {
        let world = World::new(&[3, 5]);
        let file = world.layout.snapshots().join(format!("{which:016}.kws"));
        let mut bytes = fs::read(&file).unwrap();
        bytes[100] ^= 1;
        fs::write(&file, bytes).unwrap();
        let (told, books, report) = world.repair(None);
        assert!(told.contains(&format!("{which:016}.kws")) && !told.contains("LOST"), "{told}");
        assert_eq!(*books.directory(), world.directories[5]);
        assert!(report.warnings.is_empty() && report.lost.is_empty(), "{report:?}");
        drop(books);
        assert!(is_whole(&world.layout) && world.plan(None).is_empty());
    }
}

#[test]
fn a_whole_snapshot_that_is_not_what_the_journal_says_is_told_and_taken_out() {
    let world = World::new(&[3, 5]);
    let lineage = journal::lineage_of(&world.layout.journal()).unwrap();
    let other = encode_directory(&world.directories[1]);
    snapshot::write(&world.layout.snapshots(), 3, lineage, &other).unwrap();
    let findings = verify(&world.layout).unwrap();
    let damaged = findings.iter().find(|finding| finding.severity == Severity::Damaged).unwrap();
    assert!(damaged.what.contains("the one of frame 3 is not what the journal says"), "{damaged}");
    let (told, books, report) = world.repair(None);
    assert!(told.contains("0000000000000003.kws") && !told.contains("LOST"), "{told}");
    assert_eq!(*books.directory(), world.directories[5]);
    assert!(report.warnings.is_empty(), "{report:?}");
    drop(books);
    assert!(is_whole(&world.layout) && world.plan(None).is_empty());
}

// C3 C4
#[test]
fn a_damaged_slot_is_told_by_person_and_door_or_taken_over_from_a_backup() {
    let world = World::new(&[5]);
    let backup = world.back_up();
    let (digits, ana) = {
        let (books, _) = Books::open(&world.layout).unwrap();
        let ana = code_of(books.directory(), PersonId(1));
        (books.reveal(PORTFOLIO, ana).unwrap(), ana)
    };
    let path = world.layout.vault(PORTFOLIO);
    let mut bytes = fs::read(&path).unwrap();
    let slots = bytes[8_192..].chunks(128).position(|slot| slot[..8] == ana.0.to_le_bytes());
    bytes[8_192 + slots.unwrap() * 128 + 70] ^= 1;
    fs::write(&path, bytes).unwrap();
    let plan = world.plan(None);
    assert!(plan.is_empty() && plan.lost().len() == 1, "{plan}");
    assert!(plan.lost()[0].contains("the code of ana@harbor.example at door `Entrance`"), "{plan}");
    drop(plan);
    let (told, books, report) = world.repair(Some(&backup));
    assert!(told.contains("1 door codes are taken over from the backup") && !told.contains("LOST"), "{told}");
    assert!(report.lost.is_empty());
    assert_eq!(books.reveal(PORTFOLIO, ana).unwrap(), digits);
    drop(books);
    assert!(is_whole(&world.layout));
}

// C3: the backup's vault has a code that was deleted since.
#[test]
fn what_was_deleted_since_the_backup_stays_deleted() {
    let world = World::new(&[]);
    let (mut books, _) = Books::open(&world.layout).unwrap();
    World::step(&mut books);
    let tracys = code_of(books.directory(), TRACY);
    books.write_anchor().unwrap();
    drop(books);
    let backup = world.back_up();
    let (mut books, _) = Books::open(&world.layout).unwrap();
    World::step(&mut books);
    books.write_anchor().unwrap();
    drop(books);
    fs::remove_file(world.layout.vault(PORTFOLIO)).unwrap();
    let (told, books, report) = world.repair(Some(&backup));
    assert!(told.contains("The backup's is put in its place") && report.lost.is_empty(), "{told}");
    assert!(books.reveal(PORTFOLIO, tracys).is_err(), "it came back");
    assert!(books.reveal(PORTFOLIO, code_of(books.directory(), PersonId(1))).is_ok());
}

// L1 U7
#[test]
fn a_damaged_log_keeps_what_is_whole_and_what_is_lost_is_told_from_then_on() {
    let world = World::new(&[5]);
    world.damage_log();
    assert!(!is_whole(&world.layout));
    let (told, books, _) = world.repair(None);
    for words in [
        "repair   access log: `log/0000000000000001.kwl` is damaged and taken out",
        "the 15 records in that which are whole are kept, in 2 segments",
        "LOST     access log: records 11 to 15 (5) between 2026-11-18T11:05:41Z and 2026-11-18T11:07:43Z can't be read",
        "Searches and exports over that time say that records are missing",
        "no longer count at their doors",
    ] {
        assert!(told.contains(words), "{words} is not in:\n{told}");
    }
    assert_eq!(*books.directory(), world.directories[5]);
    drop(books);
    let findings = verify(&world.layout).unwrap();
    let of_log: Vec<String> =
        findings.iter().filter(|finding| finding.part == "access log").map(ToString::to_string).collect();
    assert!(is_whole(&world.layout) && world.plan(None).is_empty(), "{of_log:?}");
    assert!(of_log[0].contains("15 records in 2 segments"), "{of_log:?}");
    assert!(of_log[1].contains("note     access log: records 11 to 15 (5)"), "{of_log:?}");
}

/// A roll that was stopped left a file without a header, whose name a kept piece of the segment before is to have.
// L1
#[test]
fn what_is_kept_of_a_damaged_log_takes_the_place_of_a_file_in_which_nothing_was_begun() {
    let world = World::new(&[5]);
    world.damage_log();
    fs::write(world.layout.log().join("0000000000000010.kwl"), b"").unwrap();
    let (told, ..) = world.repair(None);
    assert!(told.contains("the 15 records in that which are whole are kept, in 2 segments"), "{told}");
    let findings = verify(&world.layout).unwrap();
    let of_log: Vec<String> =
        findings.iter().filter(|finding| finding.part == "access log").map(ToString::to_string).collect();
    assert!(of_log[0].contains("15 records in 2 segments"), "{of_log:?}");
    assert!(is_whole(&world.layout) && world.plan(None).is_empty(), "{of_log:?}");
}

#[test]
fn a_lost_anchor_is_written_anew_and_told() {
    let world = World::new(&[5]);
    fs::remove_file(world.layout.anchor()).unwrap();
    let (told, books, report) = world.repair(None);
    assert!(told.contains("anchor: missing or damaged") && !told.contains("LOST"), "{told}");
    assert!(report.warnings.is_empty(), "{report:?}");
    assert_eq!(*books.directory(), world.directories[5]);
}

// C8
#[test]
fn without_the_root_every_code_is_told_as_lost() {
    let world = World::new(&[5]);
    fs::remove_file(world.layout.root()).unwrap();
    let (told, books, report) = world.repair(None);
    assert!(told.contains("put it back instead") && told.matches("LOST").count() == 1, "{told}");
    assert_eq!(report.lost.len(), 1);
    assert_eq!(*books.directory(), world.directories[5]);
}

#[test]
fn a_repair_that_is_stopped_anywhere_is_finished_by_the_next() {
    let mut finished = false;
    for operation in 0.. {
        let world = World::new(&[3]);
        world.damage_frame(2);
        let disk = Disk::witnessed(StopAt::new(operation, Verdict::Fail));
        finished = world.plan(None).carry_out_on(&disk, NOW).is_ok();
        if !finished {
            // Nothing starts on files of two histories.
            let is_untouched = !world.layout.repairing().join(MOVES).exists();
            assert_eq!(is_untouched, !matches!(Books::open(&world.layout), Err(StartError::Repairing(_))));
            world.plan(None).carry_out(NOW).unwrap();
        }
        let (books, report) = Books::open(&world.layout).unwrap();
        assert_eq!(*books.directory(), world.directories[5], "operation {operation}");
        assert!(report.lost.is_empty());
        drop(books);
        assert!(is_whole(&world.layout) && world.plan(None).is_empty(), "operation {operation}");
        if finished {
            assert!(operation > 10, "there were too few operations to stop at");
            break;
        }
    }
    assert!(finished);
}

#[test]
fn what_is_not_keywards_is_not_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Repair::plan(&Layout::new(&dir.path().join("none")), None).err().unwrap();
    assert!(refused.to_string().contains("there is no keyward in"), "{refused}");
    fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    let refused = Repair::plan(&Layout::new(dir.path()), None).err().unwrap();
    assert!(refused.to_string().contains("no keyward's data"), "{refused}");
    assert_eq!(listing(dir.path()).len(), 1, "nothing was made there");
}
