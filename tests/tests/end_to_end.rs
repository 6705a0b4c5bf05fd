//! The binaries as people run them: processes, files, signals and real QUIC.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

mod serving;

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keyward_protocol::{
    client::{self, Connection, JoinAs},
    code::{Card, Credential, Digits},
    entry::{Command as Edit, DoorKind, Period},
    id::{DoorId, KeyId, PersonId, PortfolioId, PropertyId},
    message::{
        check::{Check, Outcome},
        join::JoinToken,
        manage::{Part, Rows},
        watch::Subscribe,
    },
};
use keyward_server::engine::Layout;
use serving::{KEYWARD, SERVER, Site, connect, give_and_revoke, run, scenario, text};

fn tracys_card() -> Credential {
    Credential::Card(Card::parse_hex("04a2b9c1d2").unwrap())
}

// L1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_no_answered_attempt() {
    let site = Site::new("1800-main-st.toml", "1800 Main St");
    let mut answered = 0;
    for round in 0..5 {
        let serving = site.serve();
        let lock = connect(&site, &serving).await;
        for _ in 0..20 + round * 7 {
            let answer = lock.check(DoorId(1), tracys_card()).await;
            assert_eq!((answer.outcome, answer.error), (Outcome::Granted, None));
            answered += 1;
        }
        serving.kill();
        assert_eq!(site.records(), answered);
        if round == 4 {
            assert_eq!(lock.check(DoorId(1), tracys_card()).await.outcome, Outcome::Denied, "no server, no entry");
        }
    }
}

// K3 C4 L5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_no_acknowledged_change_and_brings_nothing_back() {
    let site = Site::new("1800-main-st.toml", "1800 Main St");
    let operator = site.operator("dana@harbor.example");
    let property = PropertyId(1);
    let mut held = false;
    let mut revision = 0;
    let mut codes_before = Vec::new();
    for round in 0..4 {
        let serving = site.serve();
        if round == 1 {
            // While the server runs, the administrator's commands reach it by its control socket.
            let data = site.data();
            let data = data.to_str().unwrap();
            let create = ["token", "create", "lock", "--quiet", "--data", data, "--name", "Second"];
            let made = run(SERVER, &[&create[..], &["--property", "1800 Main St"]].concat());
            assert!(made.status.success(), "{}", text(&made.stderr));
            let token: JoinToken = text(&made.stdout).parse().unwrap();
            assert_eq!(token.address.as_deref(), Some(serving.address.to_string().as_str()), "it says where to go");
            let patience = Duration::from_secs(10);
            let joined = client::join(serving.address, &token, JoinAs::Lock, "a gateway", patience).await.unwrap();
            let second = Connection::connect(serving.address, &joined.identity, patience).await.unwrap();
            assert_eq!(second.check(DoorId(1), tracys_card()).await.outcome, Outcome::Granted);
            let again = client::join(serving.address, &token, JoinAs::Lock, "a thief", patience).await.unwrap_err();
            assert!(again.to_string().contains("was used or revoked"), "{again}");
            let taken = run(SERVER, &[&create[..], &["--property", "1800 Main St"]].concat());
            assert!(text(&taken.stderr).contains("is registered already"), "{}", text(&taken.stderr));
            // Registered, a token made, joined.
            revision += 2;
            revision += 1;
        }
        let lock = connect(&site, &serving).await;
        let dana = Connection::connect(serving.address, &operator, Duration::from_secs(10)).await.unwrap();
        let overview = dana.overview().await.unwrap();
        assert!(round == 0 || overview.revision == revision, "{} is not {revision}", overview.revision);
        let search = |text: &str| Rows { search: text.to_owned(), ..Rows::all() };
        let keys = dana.keys(property, search("Employee All Access")).await.unwrap();
        let people = dana.people(None, search("tracy@mail.example")).await.unwrap();
        let (key, tracy) = (keys.rows[0].id, people.rows[0].id);
        let shown = dana.person(tracy).await.unwrap();
        assert!(round == 0 || shown.codes == codes_before, "the same ids are the same digits");
        assert_eq!(shown.holds.iter().any(|row| row.key == key), held);
        // A service door, which only employees open.
        let doors = dana.doors(property, Rows::all()).await.unwrap();
        let service = doors.rows.iter().find(|door| door.kind == DoorKind::Service).unwrap().id;
        for _ in 0..3 + round {
            let opens = if held { Outcome::Granted } else { Outcome::Denied };
            assert_eq!(lock.check(service, tracys_card()).await.outcome, opens);
            let command = match held {
                true => Edit::Revoke { key, person: tracy },
                false => Edit::Give { key, person: tracy, may_share: None, period: Period::default() },
            };
            revision = dana.carry_out(command, None).await.unwrap().revision;
            held = !held;
        }
        let opens = if held { Outcome::Granted } else { Outcome::Denied };
        assert_eq!(lock.check(service, tracys_card()).await.outcome, opens);
        codes_before = dana.person(tracy).await.unwrap().codes;
        serving.kill();
    }
}

/// Kills a server that is asked and changed as fast as it goes, at any moment, and looks at its files after each kill.
/// `KEYWARD_KILLS` asks for more than the usual 50, `KEYWARD_SEED` repeats the moments.
// L1 L5 K3 C3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_under_load_loses_nothing_that_was_answered_or_acknowledged() {
    use rand::{Rng, RngExt, SeedableRng};
    let number = |name: &str, otherwise| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (kills, seed): (u64, u64) = (number("KEYWARD_KILLS", 50), number("KEYWARD_SEED", rand::rng().next_u64()));
    println!("KEYWARD_SEED={seed} KEYWARD_KILLS={kills}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let site = Site::new("sharing.toml", "Row");
    let boss = site.operator("boss@example.example");
    let count = |start: u64| Arc::new(AtomicU64::new(start));
    let (answered, asked, acknowledged) = (count(0), count(0), count(0));
    let read = |counter: &Arc<AtomicU64>| counter.load(Ordering::SeqCst);
    for kill in 0..kills {
        let context = format!("KEYWARD_SEED={seed} kill {kill}");
        let serving = site.serve();
        let lock = connect(&site, &serving).await;
        let counters = (Arc::clone(&answered), Arc::clone(&asked));
        let asking = tokio::spawn(async move {
            let checks = vec![Check { door: DoorId(1), credential: Credential::Mobile(7) }; 64];
            loop {
                counters.1.fetch_add(64, Ordering::SeqCst);
                if lock.check_batch(&checks).await.error.is_some() {
                    return;
                }
                counters.0.fetch_add(64, Ordering::SeqCst);
            }
        });
        let operator = Connection::connect(serving.address, &boss, Duration::from_secs(10)).await.unwrap();
        let known = Arc::clone(&acknowledged);
        let changing = tokio::spawn(async move {
            let Ok(overview) = operator.overview().await else { return };
            give_and_revoke(&operator, overview.revision, &known).await;
        });
        tokio::time::sleep(Duration::from_micros(random.random_range(0..120_000))).await;
        serving.kill();
        for task in [asking, changing] {
            task.abort();
            if let Err(ended) = task.await {
                assert!(ended.is_cancelled(), "{context}: {ended}");
            }
        }
        let (records, last) = (site.records(), read(&acknowledged));
        let possible = read(&answered)..=read(&asked);
        assert!(possible.contains(&records), "{context}: {records} records, and {possible:?} were answered or asked");
        // What was asked and not answered may be recorded: from here on it counts as it is.
        answered.store(records, Ordering::SeqCst);
        asked.store(records, Ordering::SeqCst);
        let (books, report) = site.books();
        let portfolio = &books.directory().portfolios[&PortfolioId(1)];
        assert!(report.lost.is_empty(), "{context}: {report:?}");
        let revision = portfolio.revision;
        assert!(last == 0 || (last..=last + 1).contains(&revision), "{context}: {revision} after {last}");
        acknowledged.store(revision, Ordering::SeqCst);
        let property = portfolio.properties.values().next().unwrap();
        let held = property.giving_of(KeyId(1), PersonId(1)).is_some();
        assert_eq!(held, revision % 2 == 1, "{context}: a step is half done");
        let shown = property.code_of.iter().filter(|((person, _), _)| *person == PersonId(1)).map(|(_, code)| *code);
        assert!(shown.into_iter().all(|code| books.reveal(PortfolioId(1), code).is_ok()), "{context}: a code is lost");
    }
    let (records, revision) = (read(&answered), read(&acknowledged));
    println!("{records} records, revision {revision}");
    assert!(records > 64 * kills && revision > kills, "too little happened between the kills");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_orderly_and_a_start_goes_on() {
    let site = Site::new("1800-main-st.toml", "1800 Main St");
    let serving = site.serve();
    let lock = connect(&site, &serving).await;
    assert_eq!(lock.check(DoorId(1), tracys_card()).await.outcome, Outcome::Granted);
    let second = run(SERVER, &["serve", "--listen", "127.0.0.1:0", "--data", site.data().to_str().unwrap()]);
    assert!(text(&second.stderr).contains("another keyward-server runs"), "{}", text(&second.stderr));
    let taken = Site::new("night-shift.toml", "Depot");
    let data = taken.data();
    let taken = run(SERVER, &["serve", "--listen", &serving.address.to_string(), "--data", data.to_str().unwrap()]);
    assert!(!taken.status.success() && text(&taken.stderr).contains("can't listen"), "{}", text(&taken.stderr));
    serving.terminate();
    assert_eq!(site.records(), 1);
    let serving = site.serve();
    assert_eq!(connect(&site, &serving).await.check(DoorId(1), tracys_card()).await.outcome, Outcome::Granted);
    serving.terminate();
}

/// Why a start can't be is said in words, with what to do, by `serve` and before that by `check-config`.
#[test]
fn a_start_that_cannot_be_says_why_and_what_to_do() {
    let told = |command: &str, data: &Path, listen: &str| {
        let done = run(SERVER, &[command, "--data", data.to_str().unwrap(), "--listen", listen]);
        (done.status.code(), text(&done.stdout) + &text(&done.stderr))
    };
    let site = Site::new("night-shift.toml", "Depot");
    let data = site.data();
    let (missing, foreign) = (site.root.join("none"), site.root.join("photos"));
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("beach.jpg"), "sand").unwrap();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let refused = |data: &Path, listen: &str, words: &[&str]| {
        for command in ["serve", "check-config"] {
            let (code, told) = told(command, data, listen);
            assert_eq!(code, Some(1), "{command}: {told}");
            assert!(words.iter().all(|word| told.contains(word)), "{command}: {told}");
        }
    };
    refused(&missing, "127.0.0.1:0", &["there is no keyward in", "keyward-server init"]);
    refused(&foreign, "127.0.0.1:0", &["photos`", "no keyward's data", "keyward-server init"]);
    refused(&data, &taken, &["can't listen on", &taken, "another program", "--listen"]);
    let (code, told_right) = told("check-config", &data, "127.0.0.1:0");
    assert_eq!(code, Some(0), "{told_right}");
    assert!(told_right.contains("`serve` would start"), "{told_right}");
    let serving = site.serve();
    refused(&data, "127.0.0.1:0", &["another keyward-server runs in", "stop it first"]);
    for command in ["verify", "repair"] {
        let done = run(SERVER, &[command, "--data", data.to_str().unwrap()]);
        assert!(!done.status.success() && text(&done.stderr).contains("another keyward-server runs in"));
    }
    serving.terminate();
}

/// A write that fails ends the process at once, without another word on the disk; what it acknowledged is there.
// K3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_write_fails_is_aborted_and_loses_nothing() {
    use std::os::unix::process::ExitStatusExt;
    let site = Site::new("1800-main-st.toml", "1800 Main St");
    let dana = site.operator("dana@harbor.example");
    let serving = site.serve();
    let operator = Connection::connect(serving.address, &dana, Duration::from_secs(10)).await.unwrap();
    let people = operator.people(None, Rows { search: "tracy@mail.example".to_owned(), ..Rows::all() }).await.unwrap();
    // The anchor stands there and is written within a second of a change.
    let layout = Layout::new(&site.data());
    let away = site.root.join("away");
    fs::rename(layout.secrets(), &away).unwrap();
    let done = operator.carry_out(Edit::Suspend(people.rows[0].id, true), None).await.unwrap();
    let (status, told) = tokio::task::spawn_blocking(|| serving.ended()).await.unwrap();
    assert_eq!(status.signal(), Some(6), "{status}");
    assert!(told.contains("the server stops, nothing acknowledged is lost"), "{told}");
    fs::rename(&away, layout.secrets()).unwrap();
    let (books, report) = site.books();
    assert_eq!(books.directory().portfolios[&PortfolioId(1)].revision, done.revision);
    assert!(report.lost.is_empty(), "{report:?}");
}

// K3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repaired_server_serves_what_it_said() {
    let site = Site::new("1800-main-st.toml", "1800 Main St");
    let data = site.data();
    let data = data.to_str().unwrap();
    let layout = Layout::new(&site.data());
    let serving = site.serve();
    assert_eq!(connect(&site, &serving).await.check(DoorId(1), tracys_card()).await.outcome, Outcome::Granted);
    serving.terminate();
    // The first frame, of which snapshots have everything; a good one stands behind it.
    let segment = layout.journal().join("0000000000000001.kwj");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let looked = run(SERVER, &["repair", "--data", data]);
    assert_eq!(looked.status.code(), Some(1));
    let told = text(&looked.stdout);
    assert!(told.contains("journal: damaged at frame 1") && told.contains("add --yes"), "{told}");
    assert_eq!(fs::read(&segment).unwrap(), bytes, "nothing was changed");
    let repaired = run(SERVER, &["repair", "--data", data, "--yes"]);
    let told = text(&repaired.stdout) + &text(&repaired.stderr);
    assert!(repaired.status.success() && told.contains("everything is whole"), "{told}");
    assert!(told.contains("a start works, with 0 door codes lost") && !told.contains("LOST"), "{told}");
    let serving = site.serve();
    // Certificates are good for the new history, and the log goes on.
    assert_eq!(connect(&site, &serving).await.check(DoorId(1), tracys_card()).await.outcome, Outcome::Granted);
    serving.terminate();
    assert_eq!(site.records(), 2);
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn holds(bytes: &[u8], canary: &[u8]) -> bool {
    bytes.windows(canary.len()).any(|window| window == canary)
}

/// What a vault's file has of a code, as `server/src/vault/slot.rs` lays it out.
struct Slot {
    tag: Vec<u8>,
    salt: Vec<u8>,
    sealed: Vec<u8>,
}

impl Slot {
    /// Of every code that can be brought back.
    fn all(vault: &Path) -> Vec<Slot> {
        let bytes = fs::read(vault).unwrap();
        let slots = bytes[8_192..].chunks_exact(128).filter(|slot| slot[48..64].iter().any(|byte| *byte != 0));
        let part = |slot: &[u8], from: usize, to: usize| slot[from..to].to_vec();
        slots
            .map(|slot| Slot { tag: part(slot, 16, 32), salt: part(slot, 48, 64), sealed: part(slot, 64, 112) })
            .collect()
    }
}

// C3 C8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_stands_where_it_may_not() {
    let site = Site::new("sharing.toml", "Row");
    let boss = site.operator("boss@example.example");
    let live = || -> Vec<(DoorId, Digits)> {
        let (books, _) = site.books();
        let portfolio = books.directory().portfolios[&PortfolioId(1)].clone();
        let codes = portfolio.properties.values().flat_map(|property| property.codes.values());
        codes.map(|code| (code.door, books.reveal(PortfolioId(1), code.id).unwrap())).collect()
    };
    let first = live();
    assert!(first.len() > 3, "the example has too few door codes to look for");
    let vault = Layout::new(&site.data()).vault(PortfolioId(1));
    let deleted = Slot::all(&vault);
    assert_eq!(deleted.len(), first.len());
    let serving = site.serve_telling("trace");
    let lock = connect(&site, &serving).await;
    let operator = Connection::connect(serving.address, &boss, Duration::from_secs(10)).await.unwrap();
    let mut view = operator.watch_log(&Subscribe { every_ms: 50, ..Subscribe::all() }).await.unwrap();
    let mut told = String::new();
    for (door, digits) in &first {
        told += &format!("{:?}", lock.check(*door, Credential::Code(digits.clone())).await);
    }
    let wrong = Digits::parse(b"9081726354").unwrap();
    told += &format!("{:?}", lock.check(DoorId(1), Credential::Code(wrong.clone())).await);
    // Every code is deleted, and some are made anew.
    let property = PropertyId(1);
    for key in operator.keys(property, Rows::all()).await.unwrap().rows.into_iter().filter(|key| !key.system) {
        for holder in operator.holders(key.id, Rows::all()).await.unwrap().rows {
            let (key, person) = (key.id, holder.person);
            told += &format!("{:?}", operator.preview(Edit::Revoke { key, person }, Part::FIRST).await);
            told += &format!("{:?}", operator.carry_out(Edit::Revoke { key, person }, None).await);
            let give = Edit::Give { key, person, may_share: None, period: Period::default() };
            told += &format!("{:?}", operator.carry_out(give, None).await);
            told += &format!("{:?}", operator.person(person).await);
        }
    }
    told += &format!("{:?}", view.next().await.unwrap().expect("something was shown"));
    told += &serving.terminate();
    assert!(told.len() > 10_000, "a server that traces says more");
    let second = live();
    assert!(!second.is_empty() && second.iter().all(|code| !first.contains(code)));
    let mut canaries: Vec<(String, Vec<u8>)> = Vec::new();
    for (at, (door, digits)) in first.iter().chain(&second).chain([&(DoorId(1), wrong)]).enumerate() {
        canaries.push((format!("code {at} of {door}"), digits.expose().to_vec()));
    }
    let secrets = Layout::new(&site.data()).secrets().to_owned();
    let root = fs::read(Layout::new(&site.data()).root()).unwrap();
    canaries.extend(root.windows(16).step_by(8).map(|part| ("a part of the root".to_owned(), part.to_vec())));
    for file in
        files(&secrets).iter().filter(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("PRIVATE")))
    {
        let text = fs::read_to_string(file).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("-----"));
        canaries.extend(lines.map(|line| (format!("a line of `{}`", file.display()), line.as_bytes().to_vec())));
    }
    assert!(canaries.iter().any(|(what, _)| what.starts_with("a line")), "the authority's key is looked for");
    // What brought back the codes that were deleted is gone from every byte; of those that live it is in the vault alone,
    // as are the tags of both.
    for slot in &deleted {
        canaries.push(("a deleted code's salt".to_owned(), slot.salt.clone()));
        canaries.push(("a deleted code's digits, sealed".to_owned(), slot.sealed.clone()));
    }
    let mut in_vault: Vec<(String, Vec<u8>)> = Vec::new();
    for slot in deleted.iter().chain(&Slot::all(&vault)) {
        in_vault.push(("a tag".to_owned(), slot.tag.clone()));
    }
    for slot in Slot::all(&vault) {
        in_vault.push(("a salt".to_owned(), slot.salt));
        in_vault.push(("sealed digits".to_owned(), slot.sealed));
    }
    let vault_bytes = fs::read(&vault).unwrap();
    assert!(in_vault.iter().all(|(_, canary)| holds(&vault_bytes, canary)), "the search knows where they stand");
    let people = site.books().0.directory().portfolios[&PortfolioId(1)].clone();
    for person in people.people.values() {
        assert!(!told.contains(&person.mobile.to_string()) && !told.contains(&format!("{:x}", person.mobile)));
    }
    let places = files(&site.data()).into_iter().map(|file| (file.display().to_string(), fs::read(&file).unwrap()));
    let mut found = 0;
    for (place, bytes) in places.chain([("what was told".to_owned(), told.into_bytes())]) {
        // An email is no secret: the search finds what is there.
        found += usize::from(holds(&bytes, b"gil@example.example"));
        for (what, canary) in &canaries {
            assert!(!holds(&bytes, canary), "{what} stands in {place}");
        }
        for (what, canary) in in_vault.iter().filter(|_| Path::new(&place) != vault) {
            assert!(!holds(&bytes, canary), "{what} stands in {place}");
        }
    }
    assert!(found > 0, "the search finds nothing at all");
}

#[test]
fn the_demo_loses_nothing_and_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let demo = || {
        let done = run(KEYWARD, &["demo", "--headless", "--seconds", "2", "--data", dir.path().to_str().unwrap()]);
        assert!(done.status.success(), "{}", text(&done.stderr));
        let out = text(&done.stdout);
        assert_eq!(out.lines().count(), 1, "{out}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    let number = |value: &serde_json::Value, name: &str| value[name].as_u64().unwrap();
    let first = demo();
    let denied: u64 = first["denied"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert!(number(&first, "granted") > 0 && denied > 0);
    assert_eq!(number(&first, "lost"), 0);
    assert_eq!(number(&first, "checks"), number(&first, "records"));
    assert_eq!(number(&first, "records"), number(&first, "granted") + denied);
    let again = demo();
    assert_eq!((number(&again, "lost"), number(&again, "revision")), (0, number(&first, "revision")));
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let missing = run(SERVER, &["serve", "--data", nowhere.to_str().unwrap()]);
    assert!(!missing.status.success() && text(&missing.stderr).contains("keyward-server init"));
    let flag = run(KEYWARD, &["demo", "--headles"]);
    assert_eq!(flag.status.code(), Some(2));
    assert!(text(&flag.stderr).contains("--headless"), "{}", text(&flag.stderr));
    let unreadable = run(SERVER, &["evaluate", "--site", "nowhere.toml", "--checks", "-"]);
    assert_eq!(unreadable.status.code(), Some(2));
    assert!(unreadable.stdout.is_empty() && text(&unreadable.stderr).contains("nowhere.toml"));
    let plain = run(KEYWARD, &[]);
    assert!(plain.status.success() && text(&plain.stdout).contains("keyward demo"));
}

#[test]
fn evaluate_reads_standard_input_and_says_what_differs() {
    use std::io::Write;
    let mut child = Command::new(SERVER)
        .args(["evaluate", "--checks", "-", "--site", scenario("night-shift.toml").to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let check = r#"{"property":"Depot","door":"Gate","person":"nina@night.example","at":"2026-11-23T23:00:00-05:00","expect":"denied"}"#;
    writeln!(child.stdin.take().unwrap(), "{check}").unwrap();
    let mut answer = String::new();
    child.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(answer.starts_with(r#"{"decision":"granted","key":"Nights""#), "{answer}");
    assert_eq!((ended.status.code(), text(&ended.stderr).as_str()), (Some(1), "-:1: expected denied, got granted\n"));
}
