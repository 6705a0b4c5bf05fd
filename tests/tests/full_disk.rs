//! A full disk: changes are refused in words, checks go on as each property wants it, and everything goes on by itself
//! when there is room. On a small file system in memory, whose mounting needs Linux and root; where that can't be had
//! the test says so and shows nothing. (The crash matrix fills a disk at every operation, without any of that.)

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

mod serving;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use keyward_protocol::{
    client::{Connection, ManageError},
    code::{Card, Credential},
    entry::{Command as Edit, OnLogFailure, Period, PersonSpec, PropertySpec},
    id::{DoorId, KeyId, PersonId, PropertyId},
    message::check::Outcome,
};
use keyward_server::engine::{Layout, Severity, verify};
use serving::{Site, connect, run, text};

const PROPERTY: PropertyId = PropertyId(1);
// Opens vacant homes at any hour.
const KEY: KeyId = KeyId(2);
const HOME: DoorId = DoorId(2);
const PERSON: PersonId = PersonId(1);

/// A file system of a few megabytes.
struct Small(PathBuf);

impl Small {
    fn new(point: &Path) -> Result<Small, String> {
        fs::create_dir_all(point).unwrap();
        let arguments = ["-t", "tmpfs", "-o", "size=12m", "keyward-test", point.to_str().unwrap()];
        let mounted =
            std::process::Command::new("mount").args(arguments).output().map_err(|error| error.to_string())?;
        if mounted.status.success() { Ok(Small(point.to_owned())) } else { Err(text(&mounted.stderr)) }
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut file = fs::File::options().create(true).append(true).open(self.filler()).unwrap();
        for bytes in [64 << 10, 4 << 10, 1] {
            while file.write(&vec![1_u8; bytes]).is_ok_and(|written| written > 0) {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run("umount", &["--lazy", self.0.to_str().unwrap()]);
    }
}

fn toggle(held: bool) -> Edit {
    let (key, person) = (KEY, PERSON);
    match held {
        true => Edit::Revoke { key, person },
        false => Edit::Give { key, person, may_share: None, period: Period::default() },
    }
}

/// Makes changes until one is refused; what it was told.
async fn change_until_refused(operator: &Connection, held: &mut bool) -> String {
    for _ in 0..500 {
        match operator.carry_out(toggle(*held), None).await {
            Ok(_) => *held = !*held,
            Err(ManageError::Refused(refusal)) => return refusal.to_string(),
            Err(other) => panic!("{other}"),
        }
    }
    panic!("a full disk took 500 changes");
}

/// Sets how the property's checks are answered while the log can't be written.
async fn set(operator: &Connection, on_log_failure: OnLogFailure) {
    let found = operator.property(PROPERTY).await.unwrap();
    let spec = PropertySpec { name: found.row.name, zone: found.row.zone, codes: found.codes, on_log_failure };
    operator.carry_out(Edit::EditProperty(PROPERTY, spec), None).await.unwrap();
}

// L1 U4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_changes_answers_as_told_and_recovers() {
    for on_log_failure in [OnLogFailure::Deny, OnLogFailure::AnswerAndCount] {
        let room = tempfile::tempdir().unwrap();
        let small = match Small::new(&room.path().join("small")) {
            Ok(small) => small,
            Err(why) => return println!("no disk was filled, for it needs Linux and root: {why}"),
        };
        let site = Site::at(&small.0, "sharing.toml", "Row");
        let boss = site.operator("boss@example.example");
        let serving = site.serve();
        let lock = connect(&site, &serving).await;
        let operator = Connection::connect(serving.address, &boss, Duration::from_secs(10)).await.unwrap();
        set(&operator, on_log_failure).await;
        let card = Card::parse_hex("04a2b9c1d2").unwrap();
        let found = operator.person(PERSON).await.unwrap();
        let (name, email) = (found.row.name, found.row.email);
        let spec = PersonSpec { name, email, phone: found.phone, note: found.note, cards: vec![card] };
        operator.carry_out(Edit::EditPerson(PERSON, spec), None).await.unwrap();
        let shown = Credential::Card(card);
        let mut held = found.holds.iter().any(|row| row.key == KEY);
        assert_eq!(lock.check(HOME, shown.clone()).await.outcome == Outcome::Granted, held);
        small.fill();
        let told = change_until_refused(&operator, &mut held).await;
        assert!(told.contains("disk is full") && told.contains("nothing was changed"), "{told}");
        let found = operator.person(PERSON).await.unwrap();
        assert_eq!(found.holds.iter().any(|row| row.key == KEY), held, "a refused change is there");
        // Only somebody who may open shows what the log's failure does.
        while !held {
            small.make_room();
            operator.carry_out(toggle(held), None).await.unwrap();
            held = true;
            small.fill();
            let told = change_until_refused(&operator, &mut held).await;
            assert!(told.contains("disk is full"), "{told}");
        }
        // The log finds its last page full after a while.
        let mut opened = true;
        for _ in 0..400 {
            opened = lock.check(HOME, shown.clone()).await.outcome == Outcome::Granted;
        }
        let answered = on_log_failure == OnLogFailure::AnswerAndCount;
        assert_eq!(opened, held && answered, "{on_log_failure:?}, held: {held}");
        small.make_room();
        let began = Instant::now();
        operator.carry_out(toggle(held), None).await.unwrap();
        held = !held;
        operator.carry_out(toggle(held), None).await.unwrap();
        held = !held;
        while (lock.check(HOME, shown.clone()).await.outcome == Outcome::Granted) != held {
            assert!(began.elapsed() < Duration::from_secs(20), "checks do not recover");
        }
        let revision = operator.overview().await.unwrap().revision;
        drop((lock, operator));
        serving.kill();
        assert!(site.records() > 0);
        let findings = verify(&Layout::new(&site.data())).unwrap();
        assert!(findings.iter().all(|finding| finding.severity < Severity::Damaged), "{findings:?}");
        let serving = site.serve();
        let operator = Connection::connect(serving.address, &boss, Duration::from_secs(10)).await.unwrap();
        assert_eq!(operator.overview().await.unwrap().revision, revision);
        // A start finds no room either, and goes on all the same.
        serving.kill();
        small.fill();
        let serving = site.serve();
        let lock = connect(&site, &serving).await;
        let operator = Connection::connect(serving.address, &boss, Duration::from_secs(10)).await.unwrap();
        assert!(change_until_refused(&operator, &mut held).await.contains("disk is full"));
        small.make_room();
        operator.carry_out(toggle(held), None).await.unwrap();
        let began = Instant::now();
        while (lock.check(HOME, shown.clone()).await.outcome == Outcome::Granted) == held {
            assert!(began.elapsed() < Duration::from_secs(20), "checks do not recover");
        }
        serving.kill();
    }
}
