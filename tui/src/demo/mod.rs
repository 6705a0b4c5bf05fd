//! `keyward demo`: a server on loopback, the example building, and a fleet of simulated locks that talk to it over
//! real QUIC. The only part of the client that names the server.

mod fleet;
mod town;

use std::{
    fs,
    io::{self, IsTerminal, Write},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use etcetera::BaseStrategy;
use fleet::{Fleet, Tally};
use keyward_protocol::{client::ClientIdentity, id::PortfolioId};
use keyward_server::{
    access_log::{Mode, Span, Totals},
    clock,
    domain::{directory::Party, site::Site},
    engine::Layout,
    service::{self, Inside, Options, Server},
};
use serde_json::json;
use tokio::sync::watch;

use crate::{
    app::{App, ReadOnly, ScreenId, Shell},
    cli::DemoOptions,
    remote::Remote,
    servers::Known,
    terminal::{self, ScreenOptions, theme_from_env},
};

/// The example building: 1800 Main St.
const SITE: &str = include_str!("../../../tests/scenarios/1800-main-st.toml");
const PORTFOLIO: PortfolioId = PortfolioId(1);
const HEADLESS_SECONDS: u64 = 10;
/// An operator's certificate that is as old as this is renewed at a start; it is good for 12 hours.
const RENEW_OPERATOR: Duration = Duration::from_secs(60);

/// Runs the demo until its time is over or Ctrl-C, and prints the summary.
pub fn run(options: &DemoOptions) -> Result<(), String> {
    let headless = options.headless || !io::stdout().is_terminal();
    let layout = prepare(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime can't be started: {error}"))?;
    let summary = runtime.block_on(play(&layout, options, headless))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{summary}").map_err(|error| format!("the summary can't be written: {error}"))
}

/// Finds the demo's data, or makes it.
fn prepare(options: &DemoOptions) -> Result<Layout, String> {
    let home = match &options.data {
        Some(directory) => directory.clone(),
        None => default_home()?,
    };
    let layout = Layout::new(&home.join("server"));
    if options.fresh {
        remove(layout.data())?;
        remove(layout.secrets())?;
        // Of those who joined the server that is gone.
        let joined = home.join("joined");
        if joined.is_dir() {
            fs::remove_dir_all(&joined).map_err(|error| format!("`{}`: {error}", joined.display()))?;
        }
    }
    if !layout.data().is_dir() {
        progress("making the example building, 1800 Main St");
        fs::create_dir_all(&home).map_err(|error| format!("`{}`: {error}", home.display()))?;
        let site = Site::parse("1800-main-st.toml", SITE).map_err(|errors| {
            errors.first().map_or_else(|| "the example is not right".to_owned(), ToString::to_string)
        })?;
        service::init(layout.data(), &site, clock::now()).map_err(|error| error.to_string())?;
    }
    Ok(layout)
}

fn default_home() -> Result<PathBuf, String> {
    let base = etcetera::choose_base_strategy().map_err(|error| format!("{error}: name a directory with --data"))?;
    Ok(base.data_dir().join("keyward").join("demo"))
}

/// Removes what an earlier demo made; only directories that look like one of a server's.
fn remove(directory: &Path) -> Result<(), String> {
    let ours = ["keyward.lock", "authority.pem", "root.key"].iter().any(|name| directory.join(name).exists());
    if !directory.exists() {
        return Ok(());
    }
    if !ours {
        return Err(format!("`{}` is not a demo's data: nothing was removed", directory.display()));
    }
    fs::remove_dir_all(directory).map_err(|error| format!("`{}`: {error}", directory.display()))
}

fn progress(what: &str) {
    eprintln!("keyward demo: {what}");
}

/// Serves, lets the fleet ask, and says in one line of JSON what came of it.
async fn play(layout: &Layout, demo: &DemoOptions, headless: bool) -> Result<String, String> {
    let options = Options { address: (Ipv4Addr::LOCALHOST, 0).into(), mode: Mode::Strict, clock: clock::system() };
    let server = Server::bind(layout, options).map_err(|error| error.to_string())?;
    let inside = server.inside();
    let (stop_server, mut stopped) = watch::channel(false);
    let serving = tokio::spawn(server.serve(async move { _ = stopped.wait_for(|stop| *stop).await }));
    let first = inside.log.next_sequence();

    let kept = layout.data().with_file_name("joined");
    let town = town::Town::of(&inside, &kept).await?;
    progress(&format!("{} locks connect to {}", town.locks.len(), inside.address));
    let fleet = Fleet::start(Arc::new(town), &inside).await?;
    if headless {
        wait(demo).await;
    } else {
        show(&inside, &kept, demo).await?;
    }
    let tally = fleet.stop().await;

    let totals = totals(&inside, first).await?;
    let directory = inside.engine.directory();
    let revision = directory.portfolios.get(&PORTFOLIO).map_or(0, |portfolio| portfolio.revision);
    _ = stop_server.send(true);
    serving.await.map_err(|error| format!("the server ended with a panic: {error}"))?;
    Ok(summary(&tally, &totals, revision))
}

async fn totals(inside: &Inside, first: u64) -> Result<Totals, String> {
    let log = inside.log.clone();
    let totals = tokio::task::spawn_blocking(move || {
        let span = Span::Sequences(first..log.next_sequence());
        log.totals(Some(PORTFOLIO), &span)
    });
    let totals = totals.await.map_err(|error| format!("the log could not be read: {error}"))?;
    totals.map_err(|error| format!("the log could not be read: {error}"))
}

/// Shows the client, which talks to the demo's server as to any other, until its user leaves or the time is over.
async fn show(inside: &Inside, kept: &Path, options: &DemoOptions) -> Result<(), String> {
    let identity = operator(inside, kept).await?;
    let known = Known { name: "demo".to_owned(), addresses: vec![inside.address.to_string()], identity, kept: None };
    let connected = Remote::start(known).map_err(|error| format!("the connection can't be started: {error}"))?;
    let mut shell = Shell::new("demo", theme_from_env(), options.glyphs.glyphs());
    shell.read_only = if options.read_only { ReadOnly::Flag } else { ReadOnly::Off };
    let app = App::new(shell).at(ScreenId::Logs);
    let options = ScreenOptions { ends_after: options.seconds.map(Duration::from_secs), ..ScreenOptions::default() };
    let shown = tokio::task::spawn_blocking(move || terminal::show(app, Some(connected), options)).await;
    shown.map_err(|error| error.to_string())?.map_err(|error| format!("the terminal can't be used: {error}"))
}

/// The identity of the example's first Portfolio Manager, which lies in `kept` from one start to the next.
async fn operator(inside: &Inside, kept: &Path) -> Result<ClientIdentity, String> {
    let directory = inside.engine.directory();
    let portfolio = directory.portfolios.get(&PORTFOLIO).ok_or("the demo's portfolio is gone: start with --fresh")?;
    let person = *portfolio.managers.iter().next().ok_or("the demo has no Portfolio Manager: start with --fresh")?;
    town::joined(inside, &kept.join("operator"), Party::Operator(person), RENEW_OPERATOR).await
}

/// Waits until the time is over, or for SIGTERM or Ctrl-C.
async fn wait(options: &DemoOptions) {
    let seconds = options.seconds.unwrap_or(HEADLESS_SECONDS);
    tokio::select! {
        () = stopped() => {}
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
    }
}

/// Resolves at SIGTERM or Ctrl-C.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => _ = tokio::signal::ctrl_c().await,
    }
}

fn summary(tally: &Tally, totals: &Totals, revision: u64) -> String {
    let denied: serde_json::Map<String, serde_json::Value> =
        totals.denied.iter().map(|(reason, count)| (reason.as_str().to_owned(), json!(count))).collect();
    let answered = tally.granted + tally.denied;
    json!({
        "checks": answered,
        "granted": totals.granted,
        "denied": denied,
        "records": totals.records(),
        "lost": answered.saturating_sub(totals.records()),
        "p50_us": tally.latency_us.value_at_quantile(0.50),
        "p99_us": tally.latency_us.value_at_quantile(0.99),
        "revision": revision,
    })
    .to_string()
}
