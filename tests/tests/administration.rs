//! What whoever runs the server does with its commands, while it runs and while it does not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

mod serving;

use std::time::Duration;

use keyward_protocol::{
    client::{self, Connection, JoinAs},
    code::Credential,
    id::DoorId,
    message::{check::Outcome, join::JoinToken},
};
use serving::{SERVER, Serving, Site, connect, run, scenario, text};

/// Runs a command on a site's data; what it printed.
fn done(site: &Site, arguments: &[&str]) -> String {
    let ran = run(SERVER, &[arguments, &["--data", site.data().to_str().unwrap()]].concat());
    assert!(ran.status.success(), "{arguments:?}: {}", text(&ran.stderr));
    text(&ran.stdout)
}

/// The same for one that is refused; what it said.
fn refused(site: &Site, arguments: &[&str]) -> String {
    let ran = run(SERVER, &[arguments, &["--data", site.data().to_str().unwrap()]].concat());
    assert_eq!(ran.status.code(), Some(1), "{arguments:?}: {}", text(&ran.stdout));
    text(&ran.stderr)
}

fn lock<'a>(portfolio: &[&'a str], name: &'a str, property: &'a str) -> Vec<&'a str> {
    [&["token", "create", "lock", "--quiet", "--name", name, "--property", property][..], portfolio].concat()
}

/// Joins with a token that a command printed, and connects.
async fn joined(serving: &Serving, token: &str, role: JoinAs) -> Connection {
    let (token, patience): (JoinToken, _) = (token.parse().unwrap(), Duration::from_secs(20));
    let joined = client::join(serving.address, &token, role, "a test", patience).await.unwrap();
    Connection::connect(serving.address, &joined.identity, patience).await.unwrap()
}

/// The identity in what a carrier's command printed, as its drivers' devices show it.
fn carriers(printed: &str) -> Credential {
    let (identity, _) = printed.split_once("  ").unwrap();
    Credential::Mobile(u64::from_str_radix(identity, 16).unwrap())
}

async fn opens(lock: &Connection, shown: &Credential) -> bool {
    lock.check(DoorId(1), shown.clone()).await.outcome == Outcome::Granted
}

// M9 V3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn portfolios_and_carriers_are_made_while_the_server_runs_and_while_it_does_not() {
    let site = Site::new("parcels.toml", "Takes parcels");
    let parcels = done(&site, &["portfolio", "list"]);
    assert!(parcels.starts_with("Parcels: 2 properties, 2 people, 1 lock\n"), "{parcels}");
    let ups = carriers(&done(&site, &["carrier", "create", "UPS"]));

    let serving = site.serve();
    let own = connect(&site, &serving).await;
    let dhl = carriers(&done(&site, &["carrier", "create", "DHL"]));
    assert!(opens(&own, &ups).await && opens(&own, &dhl).await);
    // A whole site file, in the running server: its locks and carriers work at once.
    let file = scenario("parcels.toml");
    let named = std::fs::read_to_string(&file).unwrap().replacen("name = \"Parcels\"", "name = \"Pine Living\"", 1);
    let pine = site.root.join("pine.toml");
    std::fs::write(&pine, named).unwrap();
    let taken = refused(&site, &["portfolio", "create", "--site", file.to_str().unwrap()]);
    assert!(taken.contains("`Parcels`") && taken.contains("taken"), "{taken}");
    let made = done(&site, &["portfolio", "create", "--site", pine.to_str().unwrap()]);
    assert!(made.starts_with("Pine Living: 2 properties, 2 people, 0 locks\n"), "{made}");
    let told = refused(&site, &lock(&[], "Gateway", "Takes parcels"));
    assert!(told.contains("--portfolio") && told.contains("`Parcels`, `Pine Living`"), "{told}");
    let told = refused(&site, &lock(&["--portfolio", "Oak"], "Gateway", "Takes parcels"));
    assert!(told.contains("`Oak`") && told.contains("`Pine Living`"), "{told}");
    let token = done(&site, &lock(&["--portfolio", "pine living"], "Gateway", "Takes parcels"));
    let theirs = joined(&serving, &token, JoinAs::Lock).await;
    assert!(opens(&theirs, &ups).await && opens(&theirs, &dhl).await);
    // Another root, meanwhile: locks are answered as before, and the old root is nowhere.
    let secret = || std::fs::read(site.root.join("data.secrets/root.key")).unwrap()[16..48].to_vec();
    let old = secret();
    let told = done(&site, &["vault", "rotate"]);
    assert!(
        told.starts_with("done: 2 vaults with ") && told.contains("root.key") && told.contains("destroy"),
        "{told}"
    );
    assert_ne!(secret(), old);
    assert!(opens(&own, &dhl).await && opens(&theirs, &dhl).await);
    // A renewed carrier's old identity opens nothing at once, anywhere.
    let renewed = carriers(&done(&site, &["carrier", "renew", "ups"]));
    for lock in [&own, &theirs] {
        assert!(!opens(lock, &ups).await && opens(lock, &renewed).await && opens(lock, &dhl).await);
    }
    serving.terminate();

    // An empty one, while nobody serves.
    let begin = |name: &'static str, manager: &'static str| {
        ["portfolio", "create", "--name", name, "--manager", manager, "--manager-name", "Olga Oak"]
    };
    assert!(refused(&site, &begin("Oak", "olga")).contains("`olga` is no email address"));
    assert!(done(&site, &begin("Oak", "olga@oak.example")).starts_with("Oak: 0 properties, 1 person, 0 locks\n"));
    assert!(done(&site, &["vault", "rotate"]).starts_with("done: 3 vaults with "));
    let listed = done(&site, &["portfolio", "list"]);
    let names: Vec<&str> = listed.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
    assert_eq!(names, ["Oak", "Parcels", "Pine Living"]);
    let listed = done(&site, &["carrier", "list"]);
    assert_eq!(listed.lines().map(|line| &line[18..]).collect::<Vec<_>>(), ["UPS", "DHL"]);
    assert!(matches!(carriers(&listed), Credential::Mobile(_)) && carriers(&listed) == renewed);
    let operator = ["token", "create", "operator", "--quiet", "--portfolio", "Oak", "--email", "olga@oak.example"];
    let token = done(&site, &operator);
    let looked = done(&site, &["verify"]);
    assert!(
        looked.contains("of `Oak`") && looked.contains("of `Pine Living`") && looked.contains("everything is whole")
    );

    let serving = site.serve();
    let olga = joined(&serving, &token, JoinAs::Operator).await;
    let overview = olga.overview().await.unwrap();
    // Begun, a token made, joined.
    assert_eq!((overview.name.as_str(), overview.revision, overview.people), ("Oak", 3, 1));
    serving.terminate();
}
