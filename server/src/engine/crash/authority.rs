//! A replacement of the authority that stops: one of the two is there whole, whoever had joined goes on, and of the other's
//! key nothing is left.

use std::{fs, net::Ipv4Addr, time::Duration};

use keyward_protocol::{
    client::{ClientIdentity, Connection, renew},
    code::Credential,
    message::check::Outcome,
};
use tokio::sync::oneshot;

use super::*;
use crate::{
    access_log::Mode,
    check_config::{self, Standing},
    clock,
    disk::CutShort,
    domain::{directory::LockScope, site::Site},
    identity::{Authority, FILES, Principal, Subject, Validity},
    progress::Progress,
    service::{self, Pass},
};

const PATIENCE: Duration = Duration::from_secs(20);
const DAY: i64 = 86_400;

/// A server's files, and who had joined before the authority was to be replaced.
struct Joined {
    image: Image,
    lock: ClientIdentity,
    operator: ClientIdentity,
    holder: ClientIdentity,
    /// Tracy's, which opens door 1.
    mobile: Credential,
}

fn layouts(root: &Path) -> (Layout, Layout) {
    (Layout::new(&root.join("data")), Layout::new(&root.join("backup")))
}

fn identity(pass: &Pass) -> ClientIdentity {
    ClientIdentity::new(pass.ca_pem.as_str(), pass.certificate_pem.as_str(), pass.key_pem.as_str())
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.unwrap().block_on(work)
}

/// Starts a server, does something with it, and stops it in order.
async fn with_server<T>(layout: &Layout, with: impl AsyncFnOnce(service::Inside) -> T) -> Result<T, String> {
    let options =
        service::Options { address: (Ipv4Addr::LOCALHOST, 0).into(), mode: Mode::Strict, clock: clock::system() };
    let server = service::Server::bind_on(&Medium::default(), layout, options, Progress::silent());
    let server = server.map_err(|error| format!("no start: {error}"))?;
    let inside = server.inside();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async move { _ = stopped.await }));
    let done = with(inside).await;
    _ = stop.send(());
    serving.await.map_err(|error| error.to_string())?;
    Ok(done)
}

fn joined() -> Joined {
    let root = room();
    let (layout, _) = layouts(root.path());
    let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
    service::init(layout.data(), &site, clock::now()).unwrap();
    let (lock, operator, holder, mobile) = run(with_server(&layout, async |inside| {
        let portfolio = inside.engine.directory().portfolios[&script::PORTFOLIO].clone();
        let person = |email| portfolio.person_by_email(email).unwrap();
        let (_, lock) = inside.join_lock(script::PORTFOLIO, "Gateway", LockScope::Property(PropertyId(1))).unwrap();
        let operator = inside.join(script::PORTFOLIO, Party::Operator(person("ana@harbor.example").id)).unwrap();
        let tracy = person("tracy@mail.example");
        let holder = inside.join(script::PORTFOLIO, Party::Holder(tracy.id)).unwrap();
        (identity(&lock), identity(&operator), identity(&holder), Credential::Mobile(tracy.mobile))
    }))
    .unwrap();
    Joined { image: Image::read(root.path()), lock, operator, holder, mobile }
}

impl Joined {
    /// Everybody who had joined is let in with what they have, and with what they are given when they renew.
    async fn all_go_on(&self, inside: &service::Inside) -> Result<(), String> {
        let address = inside.address;
        for (who, identity) in [("lock", &self.lock), ("operator", &self.operator), ("holder", &self.holder)] {
            let told = |why: &dyn ToString| format!("the {who}: {}", why.to_string());
            let renewed = renew(address, identity, PATIENCE).await.map_err(|why| told(&why))?;
            for identity in [identity, &renewed.identity] {
                let connection = Connection::connect(address, identity, PATIENCE).await.map_err(|why| told(&why))?;
                match who {
                    "lock" => {
                        let answer = connection.check(DoorId(1), self.mobile.clone()).await;
                        if answer.outcome != Outcome::Granted {
                            return Err(told(&format!("{answer:?}")));
                        }
                    }
                    "operator" => drop(connection.overview().await.map_err(|why| told(&why))?),
                    _ => drop(connection.my_access().await.map_err(|why| told(&why))?),
                }
            }
        }
        Ok(())
    }

    /// What a stopped replacement left, looked at and started; then the authority is replaced (again).
    fn check(&self, image: &Image, old: &str, new: &str, told: bool) -> Result<(), String> {
        let room = room();
        image.lay_out(room.path());
        let (layout, backup) = layouts(room.path());
        // Looking changes nothing, and calls nothing of it damage.
        let findings = verify(&layout).map_err(|error| error.to_string())?;
        let damaged = findings.iter().find(|finding| finding.severity == Severity::Damaged).map(ToString::to_string);
        let checked = check_config::check(&layout, (Ipv4Addr::LOCALHOST, 0).into(), Mode::Strict);
        let wrong = checked.iter().find(|checked| checked.standing == Standing::Wrong).map(ToString::to_string);
        if damaged.is_some() || wrong.is_some() {
            return Err(format!("{damaged:?}, {wrong:?}"));
        }
        let plan = Repair::plan(&layout, None).map_err(|error| error.to_string())?;
        if !plan.is_empty() || Image::read(room.path()).files != image.files {
            return Err(format!("looking at it changed something, or there is something to repair: {plan}"));
        }
        drop(plan);
        let told_of = Authority::found(layout.secrets()).map_err(|error| error.to_string())?;
        run(with_server(&layout, async |inside| self.all_go_on(&inside).await))??;
        let there = Authority::found(layout.secrets()).map_err(|error| error.to_string())?;
        let in_force = there.authority.certificate_pem().to_owned();
        if in_force != told_of.authority.certificate_pem() || there.cut_short.is_some() {
            return Err("a start makes something else of it than was said".to_owned());
        }
        if told && in_force != new || ![old, new].contains(&in_force.as_str()) {
            return Err("another authority is in force".to_owned());
        }
        self.has_one_key(&layout, &in_force, old)?;
        // A backup that was taken at that moment has it too.
        copy_all(image, layouts(room.path()).1.data().parent().unwrap());
        fs::write(layout.secrets().join("authority.pem"), "").unwrap();
        let plan = Repair::plan(&layout, Some(backup.data())).map_err(|error| error.to_string())?;
        plan.carry_out(clock::now()).map_err(|error| error.to_string())?;
        let restored = Authority::found(layout.secrets()).map_err(|error| format!("from a backup: {error}"))?;
        if restored.authority.certificate_pem() != in_force || restored.cut_short.is_some() {
            return Err("a backup of that moment restores something else".to_owned());
        }
        // Replacing it works, once a day has gone; and still everybody goes on.
        let again = restored.authority.rotate(layout.secrets(), clock::now().plus_seconds(2 * DAY));
        again.map_err(|error| format!("it can't be replaced any more: {error}"))?;
        run(with_server(&layout, async |inside| self.all_go_on(&inside).await))?
    }

    /// The key of the authority in force is the only one below the secrets and the data.
    fn has_one_key(&self, layout: &Layout, in_force: &str, old: &str) -> Result<(), String> {
        let there: Vec<&str> = FILES.into_iter().filter(|name| layout.secrets().join(name).exists()).collect();
        if there != ["authority.key", "authority.pem"] {
            return Err(format!("there are {there:?}"));
        }
        let old_key = secret_of(&self.image.files[Path::new("data.secrets/authority.key")]);
        for place in [layout.data(), layout.secrets()] {
            let holder = Image::read(place).files.into_iter().find(|(_, bytes)| holds(bytes, &old_key));
            match (holder, in_force == old) {
                (Some((path, _)), true) if path.ends_with("authority.key") => {}
                (None, _) => {}
                (Some((path, _)), _) => return Err(format!("`{}` has the old key", path.display())),
            }
        }
        Ok(())
    }
}

/// The middle of a key's text: what follows its beginning, which all of them share.
fn secret_of(pem: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(pem).unwrap();
    let line = text.lines().nth(2).unwrap();
    assert!(line.len() > 30 && !line.starts_with('-'), "{}", text.lines().count());
    line.as_bytes().to_vec()
}

/// The image's files once more, as the backup's.
fn copy_all(image: &Image, root: &Path) {
    let backup = |path: &Path| root.join(path.to_string_lossy().replacen("data", "backup", 1));
    image.directories.iter().for_each(|path| fs::create_dir_all(backup(path)).unwrap());
    image.files.iter().for_each(|(path, bytes)| fs::write(backup(path), bytes).unwrap());
}

// M7
#[test]
fn whenever_a_replacement_of_the_authority_stops_everybody_goes_on_and_one_key_is_left() {
    let joined = joined();
    let root = room();
    joined.image.lay_out(root.path());
    let (layout, _) = layouts(root.path());
    let before = Authority::open(layout.secrets()).unwrap();
    let recorder = Recorder::new(root.path());
    let after = before.rotate_at(&Disk::witnessed(recorder.clone()), layout.secrets(), clock::now()).unwrap();
    let events = recorder.take();
    let mut machine = Machine::new(&joined.image);
    let mut images: Vec<(String, Image, bool)> = Vec::new();
    for (at, event) in events.iter().map(Some).chain([None]).enumerate() {
        let next = match event {
            Some(Event::Did(did)) => Some(did),
            _ => None,
        };
        let what = next.map_or("the end".to_owned(), ToString::to_string);
        // Many of them are the same.
        let mut add = |kind: &str, image: Image| {
            let told = next.is_none();
            let same = |(_, other, of): &&(String, Image, bool)| {
                (&other.files, &other.linked, *of) == (&image.files, &image.linked, told)
            };
            if images.iter().find(same).is_none() {
                images.push((format!("{kind} at operation {at}, {what}"), image, told));
            }
        };
        add("a kill", machine.killed(next));
        add("a power cut", machine.powerless(next, None));
        // Often enough for every half of a rename.
        (0..4 * MIXED).for_each(|seed| add("a power cut that kept some", machine.powerless(next, Some(seed))));
        if let Some(next) = next {
            machine.apply(next);
        }
    }
    println!("{} operations, {} images", events.len(), images.len());
    let halves = images.iter().filter(|(_, image, _)| !image.linked.is_empty()).count();
    assert!(events.len() > 10 && halves >= 3, "{} operations, {halves} halves of a rename", events.len());
    let failures = each_on_every_core(images.len(), |at| {
        let (context, image, told) = &images[at];
        let checked = joined.check(image, before.certificate_pem(), after.certificate_pem(), *told);
        checked.map_err(|why| format!("{context}: {why}"))
    });
    assert_none(&failures);
}

// M7
#[test]
fn whatever_fails_while_the_authority_is_replaced_both_go_on_and_it_can_be_done_again() {
    let root = room();
    let now = clock::now();
    let begun = Authority::create(&root.path().join("secrets"), "a1b2", now).unwrap();
    let before = Image::read(root.path());
    let principal = Principal::Lock { portfolio: script::PORTFOLIO, lock: LockId(1) };
    let certificate = |authority: &Authority| {
        let issued = authority.issue(&principal, Validity::lock(now), &Subject::Fresh).unwrap();
        x509_parser::pem::parse_x509_pem(issued.certificate_pem.as_bytes()).unwrap().1.contents
    };
    let held = certificate(&begun);
    let ways =
        [(Verdict::Fail, false), (Verdict::Tear(7), false), (Verdict::Tear(40), true), (Verdict::NoRoom(3), false)];
    let mut seen = BTreeSet::new();
    for operation in 0.. {
        let mut done = false;
        for (verdict, for_good) in ways {
            for is_restarted in [false, true] {
                let context = format!("{verdict:?} at operation {operation}, for good: {for_good}");
                let room = room();
                before.lay_out(room.path());
                let secrets = room.path().join("secrets");
                let server = Authority::open(&secrets).unwrap();
                let recorder = match verdict {
                    Verdict::NoRoom(_) => Recorder::full(room.path(), operation),
                    verdict => Recorder::failing(room.path(), operation, verdict, for_good),
                };
                let replaced = server.rotate_at(&Disk::witnessed(recorder.clone()), &secrets, now);
                done = recorder.seen() <= operation;
                // The server that was told of the error goes on with the authority that it has.
                let meanwhile = certificate(replaced.as_ref().unwrap_or(&server));
                let found = Authority::found(&secrets).unwrap_or_else(|error| panic!("{context}: {error}"));
                if replaced.is_err() && !for_good && found.authority.certificate_pem() == server.certificate_pem() {
                    assert!(found.cut_short.is_none(), "{context}: a key that was never in force lies about");
                }
                seen.insert((replaced.is_ok(), format!("{:?}", found.cut_short)));
                let there = match (is_restarted, &replaced) {
                    (true, _) => Authority::open(&secrets).unwrap_or_else(|error| panic!("{context}: {error}")),
                    (false, Ok(_)) => Authority::open(&secrets).unwrap(),
                    (false, Err(_)) => {
                        server.rotate(&secrets, now).unwrap_or_else(|error| panic!("{context}: {error}"))
                    }
                };
                if let Ok(replaced) = &replaced {
                    assert_eq!(replaced.certificate_pem(), there.certificate_pem(), "{context}");
                }
                if !is_restarted {
                    assert_ne!(there.certificate_pem(), server.certificate_pem(), "{context}: it was not replaced");
                }
                let left = Authority::found(&secrets).unwrap();
                assert_eq!(left.authority.certificate_pem(), there.certificate_pem(), "{context}");
                assert_eq!(left.cut_short, None, "{context}");
                for shown in [&held, &meanwhile] {
                    assert!(there.signed(shown, now), "{context}: a certificate that was given is not taken");
                }
            }
        }
        if done {
            assert!(operation > 10, "{operation} operations are too few");
            break;
        }
    }
    let finished = format!("{:?}", Some(CutShort::Finished));
    assert!(seen.contains(&(false, finished.clone())) && seen.contains(&(false, "None".to_owned())), "{seen:?}");
}
