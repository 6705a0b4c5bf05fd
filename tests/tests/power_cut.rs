//! Power cuts: a server is asked and changed as fast as it goes on a file system of its own, in an image, and at any
//! moment the image's bytes are copied. The copy is what a disk would hold if the power had failed then: what the file
//! system had written by that time, and nothing that only stood in memory. It is mounted, which replays the file
//! system's journal, and a start on it has to find everything that was answered or acknowledged.
//!
//! The disk of this test keeps whatever it was handed; one that loses what it was not told to flush is for the crash
//! matrix to show.
//!
//! `KEYWARD_POWER_CUTS` asks for more than the usual 20, `KEYWARD_SEED` repeats the moments. Needs Linux, root, loop
//! devices and ext4; where one of those is missing the test says so and shows nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

mod serving;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use keyward_protocol::{
    client::Connection,
    code::{Credential, Digits},
    id::{CodeId, DoorId, KeyId, PersonId, PortfolioId},
    message::check::{Check, Outcome},
};
use keyward_server::engine::{Books, Layout, Severity, verify};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use serving::{Serving, Site, connect, give_and_revoke, run, text};

const PORTFOLIO: PortfolioId = PortfolioId(1);
const IMAGE_BYTES: u64 = 64 << 20;

/// A file system in an image, mounted through a loop device.
struct Mounted {
    device: String,
    point: PathBuf,
}

impl Mounted {
    fn new(image: &Path, point: &Path) -> Result<Mounted, String> {
        let made = tool("losetup", &["--find", "--show", path(image)])?;
        let mounted = Mounted { device: made.trim().to_owned(), point: point.to_owned() };
        fs::create_dir_all(point).map_err(|error| error.to_string())?;
        tool("mount", &["-t", "ext4", &mounted.device, path(point)])?;
        Ok(mounted)
    }

    /// Requests that the device has had, and whether one is on its way.
    fn requests(&self) -> (String, bool) {
        let of = self.device.trim_start_matches("/dev/");
        let stat = fs::read_to_string(format!("/sys/block/{of}/stat")).unwrap();
        let fields: Vec<&str> = stat.split_whitespace().collect();
        // Writes, sectors written and flushes tell whether anything changed; the ninth is what is in flight.
        ([4, 6, 15].map(|at| *fields.get(at).unwrap_or(&"")).join(" "), fields[8] != "0")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        _ = tool("umount", &[path(&self.point)]).or_else(|_| tool("umount", &["--lazy", path(&self.point)]));
        _ = tool("losetup", &["--detach", &self.device]);
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn tool(name: &str, arguments: &[&str]) -> Result<String, String> {
    let done = Command::new(name).args(arguments).output().map_err(|error| format!("no `{name}`: {error}"))?;
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(format!("`{name}`: {}", text(&done.stderr).trim())) }
}

/// A new image with a file system on it.
fn image(room: &Path) -> Result<PathBuf, String> {
    let image = room.join("disk.img");
    fs::File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES)).map_err(|error| error.to_string())?;
    tool("mkfs.ext4", &["-q", "-F", path(&image)])?;
    Ok(image)
}

/// Stops a process where it stands, and goes on with it when dropped.
struct Stopped(String);

impl Stopped {
    fn new(process: u32) -> Stopped {
        let id = process.to_string();
        assert!(run("kill", &["-STOP", &id]).status.success());
        let began = Instant::now();
        let state = || fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        while !state().rsplit(") ").next().unwrap().starts_with('T') {
            assert!(began.elapsed() < Duration::from_secs(10), "the process does not stop");
            std::thread::yield_now();
        }
        Stopped(id)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        run("kill", &["-CONT", &self.0]);
    }
}

/// Copies the image while the process stands still. The kernel may be writing behind its back: a copy counts when the
/// device did nothing while it was made.
fn cut(image: &Path, mounted: &Mounted, to: &Path) {
    for _ in 0..1_000 {
        let before = mounted.requests();
        fs::copy(image, to).unwrap();
        if !before.1 && mounted.requests() == before {
            return;
        }
    }
    panic!("the device never rests");
}

/// What was promised by the time of a cut, and what may have been done beyond.
struct Promised {
    answered: u64,
    asked: u64,
    revision: u64,
}

/// Starts from the copy and looks for everything that was promised.
async fn check(copy: &Path, room: &Path, promised: &Promised, codes: &mut BTreeMap<CodeId, Digits>, context: &str) {
    let mounted = Mounted::new(copy, &room.join("after")).unwrap();
    let site = Site::found(&mounted.point);
    let layout = Layout::new(&site.data());
    let findings = verify(&layout).unwrap();
    let damaged = findings.iter().find(|finding| finding.severity == Severity::Damaged);
    assert!(damaged.is_none(), "{context}: {damaged:?}");
    {
        let (books, report) = Books::open(&layout).unwrap();
        assert!(report.lost.is_empty(), "{context}: {report:?}");
        let portfolio = &books.directory().portfolios[&PORTFOLIO];
        let (revision, least) = (portfolio.revision, promised.revision);
        assert!((least..=least + 1).contains(&revision), "{context}: {revision} after {least}");
        let property = portfolio.properties.values().next().unwrap();
        let held = property.giving_of(KeyId(1), PersonId(1)).is_some();
        assert_eq!(held, revision % 2 == 1, "{context}: a step is half done");
        // The same ids are the same digits, and what was deleted is gone.
        for code in property.codes.keys() {
            let digits = books.reveal(PORTFOLIO, *code).unwrap_or_else(|why| panic!("{context}: {code}: {why}"));
            assert_eq!(*codes.entry(*code).or_insert(digits.clone()), digits, "{context}: {code}");
        }
        for code in codes.keys().filter(|code| !property.codes.contains_key(*code)) {
            assert!(books.reveal(PORTFOLIO, *code).is_err(), "{context}: {code} was deleted and is back");
        }
        for (code, _, _, alive) in books.vault(PORTFOLIO).unwrap().tags() {
            assert_eq!(alive, property.codes.contains_key(&code), "{context}: {code}");
        }
    }
    let (records, possible) = (site.records(), promised.answered..=promised.asked);
    assert!(possible.contains(&records), "{context}: {records} records, and {possible:?} were answered or asked");
    let serving = site.serve();
    let answer = connect(&site, &serving).await.check(DoorId(1), Credential::Mobile(7)).await;
    assert_eq!((answer.outcome, answer.error), (Outcome::Denied, None), "{context}");
    serving.kill();
}

/// Asks and changes until the server is gone, counting what it promises.
struct Load {
    answered: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
    acknowledged: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn new(site: &Site, serving: &Serving, boss: keyward_protocol::client::ClientIdentity) -> Load {
        let [answered, asked, acknowledged] = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
        let lock = connect(site, serving).await;
        let counters = (Arc::clone(&answered), Arc::clone(&asked));
        let asking = tokio::spawn(async move {
            let checks = vec![Check { door: DoorId(1), credential: Credential::Mobile(7) }; 16];
            loop {
                counters.1.fetch_add(16, Ordering::SeqCst);
                if lock.check_batch(&checks).await.error.is_some() {
                    return;
                }
                counters.0.fetch_add(16, Ordering::SeqCst);
            }
        });
        let operator = Connection::connect(serving.address, &boss, Duration::from_secs(10)).await.unwrap();
        let last = operator.overview().await.unwrap().revision;
        acknowledged.store(last, Ordering::SeqCst);
        let known = Arc::clone(&acknowledged);
        let changing = tokio::spawn(async move { give_and_revoke(&operator, last, &known).await });
        Load { answered, asked, acknowledged, tasks: vec![asking, changing] }
    }

    fn promised(&self) -> Promised {
        let read = |counter: &Arc<AtomicU64>| counter.load(Ordering::SeqCst);
        let (answered, revision) = (read(&self.answered), read(&self.acknowledged));
        Promised { answered, asked: read(&self.asked), revision }
    }
}

// L1 L5 K3 C3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_nothing_that_was_answered_or_acknowledged() {
    let number = |name: &str, otherwise| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (cuts, seed): (u64, u64) = (number("KEYWARD_POWER_CUTS", 20), number("KEYWARD_SEED", rand::rng().next_u64()));
    println!("KEYWARD_SEED={seed} KEYWARD_POWER_CUTS={cuts}");
    let mut random = StdRng::seed_from_u64(seed);
    let room = tempfile::tempdir().unwrap();
    let made = image(room.path()).and_then(|image| Ok((Mounted::new(&image, &room.path().join("disk"))?, image)));
    let (mounted, image) = match made {
        Ok(made) => made,
        Err(why) => {
            println!("no power cut was tried, for it needs Linux, root, loop devices and ext4: {why}");
            return;
        }
    };
    let copy = room.path().join("copy.img");
    let mut codes = BTreeMap::new();
    let site = Site::at(&mounted.point, "sharing.toml", "Row");
    // Right after `init` and `issue` have said that they are done.
    cut(&image, &mounted, &copy);
    let books = Layout::new(&site.data());
    let revision = Books::open(&books).unwrap().0.directory().portfolios[&PORTFOLIO].revision;
    let promised = Promised { answered: 0, asked: 0, revision };
    check(&copy, room.path(), &promised, &mut codes, "after `init`").await;
    let boss = site.operator("boss@example.example");
    let serving = site.serve();
    let load = Load::new(&site, &serving, boss).await;
    for cut_number in 1..cuts {
        let context = format!("KEYWARD_SEED={seed} cut {cut_number}");
        tokio::time::sleep(Duration::from_micros(random.random_range(0..150_000))).await;
        let stopped = Stopped::new(serving.child.id());
        cut(&image, &mounted, &copy);
        // Whatever has come by now was promised before the copy was made.
        let promised = load.promised();
        drop(stopped);
        check(&copy, room.path(), &promised, &mut codes, &context).await;
        let ended = load.tasks.iter().any(tokio::task::JoinHandle::is_finished);
        assert!(!ended, "{context}: the load ended");
    }
    let Promised { answered, revision, .. } = load.promised();
    println!("{answered} records, revision {revision}, {} codes", codes.len());
    assert!(cuts < 2 || (answered > 16 * cuts && revision > cuts), "too little happened between the cuts");
    load.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    serving.kill();
}
