//! `keyward demo`: a server on loopback, the example building, and a fleet of simulated locks that talk to it over
//! real QUIC. The only part of the client that names the server.

mod fleet;
mod show;
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
use keyward_protocol::id::PortfolioId;
use keyward_server::{
    access_log::{Mode, Span, Totals},
    clock,
    domain::site::Site,
    engine::Layout,
    service::{self, Inside, Options, Server},
};
use serde_json::json;
use tokio::sync::watch;

use crate::{
    app::{App, Event},
    cli::DemoOptions,
    terminal::{ScreenOptions, demo_screen, theme_from_env},
};

/// The example building: 1800 Main St.
const SITE: &str = include_str!("../../../tests/scenarios/1800-main-st.toml");
const PORTFOLIO: PortfolioId = PortfolioId(1);
const HEADLESS_SECONDS: u64 = 10;
/// So many events may wait for the screen.
const EVENTS_MAX: usize = 64;

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
        // Of locks that joined the server that is gone.
        let locks = home.join("locks");
        if locks.is_dir() {
            fs::remove_dir_all(&locks).map_err(|error| format!("`{}`: {error}", locks.display()))?;
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

    let inside_town = inside.clone();
    let kept = layout.data().with_file_name("locks");
    let town = tokio::task::spawn_blocking(move || town::Town::of(&inside_town, &kept)).await;
    let town = town.map_err(|error| format!("the building could not be read: {error}"))??;
    progress(&format!("{} locks connect to {}", town.locks.len(), inside.address));
    let fleet = Fleet::start(Arc::new(town), &inside).await?;
    if headless {
        wait(demo).await;
    } else {
        show(&inside, &fleet, demo).await?;
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

/// Shows the screen until its user leaves or the time is over.
async fn show(inside: &Inside, fleet: &Fleet, options: &DemoOptions) -> Result<(), String> {
    let (events, screen) = std::sync::mpsc::sync_channel(EVENTS_MAX);
    let terminated = events.clone();
    let feeding = tokio::spawn(show::feed(inside.clone(), fleet.shared_tally(), events));
    // A terminal is given back on SIGTERM, too: the screen leaves as if its user had.
    let watching = tokio::spawn(async move {
        stopped().await;
        _ = terminated.send(Event::Stop);
    });
    let app = App::new(theme_from_env(), options.glyphs.glyphs());
    let options = ScreenOptions { ends_after: options.seconds.map(Duration::from_secs) };
    let shown = tokio::task::spawn_blocking(move || demo_screen(app, screen, options)).await;
    feeding.abort();
    watching.abort();
    shown.map_err(|error| error.to_string())?.map_err(|error| format!("the terminal can't be used: {error}"))
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
