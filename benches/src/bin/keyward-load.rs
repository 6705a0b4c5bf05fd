//! How many checks a second a server answers over QUIC on this machine, judged and recorded.
//!
//! Starts a server of its own on loopback with the example building in a temporary directory, connects to it with a
//! gateway's certificate, and keeps frames in flight for a while. The load generator runs on the same cores.

use std::{
    net::Ipv4Addr,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use keyward_protocol::{
    client::{ClientIdentity, Connection},
    code::{Credential, Digits},
    codec::{Question, encode_question},
    id::PortfolioId,
    limits::CHECKS_PER_FRAME_MAX,
    message::check::Check,
};
use keyward_server::{
    access_log::{Mode, Span},
    clock,
    domain::{directory::LockScope, site::Site},
    service::{self, Inside, Options, Server},
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::sync::watch;

const SITE: &str = include_str!("../../../tests/scenarios/1800-main-st.toml");
const PORTFOLIO: PortfolioId = PortfolioId(1);
/// Different frames that are sent in turn.
const FRAMES: usize = 64;

/// Load a server over QUIC and print checks a second.
#[derive(Parser, Debug)]
#[command(name = "keyward-load", version)]
struct Arguments {
    /// Checks in a frame.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=CHECKS_PER_FRAME_MAX as i64))]
    frame: u16,
    /// Frames in flight.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    in_flight: u64,
    /// Seconds to measure, after one of warming up.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Answers wait until their records are on disk.
    #[arg(long)]
    strict: bool,
    /// Which checks are asked.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(load(&arguments)),
        Err(error) => Err(error.to_string()),
    };
    match done {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("keyward-load: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn load(arguments: &Arguments) -> Result<String, String> {
    let told = |error: &dyn ToString| error.to_string();
    let dir = tempfile::tempdir().map_err(|error| told(&error))?;
    let site = Site::parse("1800-main-st.toml", SITE).map_err(|_| "the example site is not right")?;
    let layout = service::init(&dir.path().join("data"), &site, clock::now()).map_err(|error| told(&error))?;
    let mode = if arguments.strict { Mode::Strict } else { Mode::Relaxed };
    let options = Options { address: (Ipv4Addr::LOCALHOST, 0).into(), mode, clock: clock::system() };
    let server = Server::bind(&layout, options).map_err(|error| told(&error))?;
    let inside = server.inside();
    let (stop, mut stopped) = watch::channel(false);
    let serving = tokio::spawn(server.serve(async move { _ = stopped.wait_for(|stop| *stop).await }));
    let prepared = inside.clone();
    let (seed, frame) = (arguments.seed, arguments.frame);
    let prepared = tokio::task::spawn_blocking(move || prepare(&prepared, seed, frame)).await;
    let (identity, frames) = prepared.map_err(|error| told(&error))??;
    let connection = Connection::connect(inside.address, &identity, Duration::from_secs(10));
    let connection = connection.await.map_err(|error| told(&error))?;

    eprintln!("keyward-load: warming up for a second, then measuring {} s", arguments.seconds);
    drive(&connection, &frames, arguments, Duration::from_secs(1)).await?;
    let first = inside.log.next_sequence();
    let (answered, took) = drive(&connection, &frames, arguments, Duration::from_secs(arguments.seconds)).await?;
    connection.close();
    _ = stop.send(true);
    serving.await.map_err(|error| told(&error))?;
    let recorded =
        inside.log.totals(Some(PORTFOLIO), &Span::Sequences(first..u64::MAX)).map_err(|error| told(&error))?;
    let a_second = answered as f64 / took.as_secs_f64();
    Ok(serde_json::json!({
        "checks_a_second": a_second.round(),
        "checks": answered,
        "records_from_then_on": recorded.records(),
        "frame": arguments.frame,
        "in_flight": arguments.in_flight,
        "mode": if arguments.strict { "strict" } else { "relaxed" },
        "seed": arguments.seed,
    })
    .to_string())
}

/// A gateway's certificate, and encoded frames of 60 % mobile identities, 20 % codes, 15 % cards, 5 % unknown.
fn prepare(inside: &Inside, seed: u64, frame: u16) -> Result<(ClientIdentity, Vec<Vec<u8>>), String> {
    let directory = inside.engine.directory();
    let portfolio = directory.portfolios.get(&PORTFOLIO).ok_or("there is no portfolio")?;
    let property = portfolio.properties.values().next().ok_or("there is no property")?;
    let scope = LockScope::Property(property.id());
    let (_, pass) = inside.join_lock(PORTFOLIO, "Load", scope).map_err(|error| error.to_string())?;
    let identity = ClientIdentity::new(pass.ca_pem.as_str(), pass.certificate_pem.as_str(), pass.key_pem.as_str());

    let mut random = StdRng::seed_from_u64(seed);
    let doors: Vec<_> = property.doors.keys().copied().collect();
    let people: Vec<_> = portfolio.people.values().collect();
    let with_card: Vec<_> = people.iter().flat_map(|person| person.cards.iter().copied()).collect();
    let mut codes = Vec::new();
    for code in property.codes.values().take(2_000) {
        codes.push((code.door, inside.engine.reveal(PORTFOLIO, code.id).map_err(|error| error.to_string())?));
    }
    let mut check = || -> Option<Check> {
        let door = *doors.choose(&mut random)?;
        Some(match random.random_range(0..100) {
            0..60 => Check { door, credential: Credential::Mobile(people.choose(&mut random)?.mobile) },
            60..80 => {
                let (door, digits): &(_, Digits) = codes.choose(&mut random)?;
                Check { door: *door, credential: Credential::Code(digits.clone()) }
            }
            80..95 => Check { door, credential: Credential::Card(*with_card.choose(&mut random)?) },
            _ => Check { door, credential: Credential::Mobile(random.next_u64()) },
        })
    };
    let mut frames = Vec::with_capacity(FRAMES);
    for request in 0..FRAMES as u64 {
        let checks: Option<Vec<Check>> = (0..frame).map(|_| check()).collect();
        let checks = checks.ok_or("the example has no doors, people, cards or codes")?;
        let mut bytes = Vec::new();
        let question = Question { request, detailed: false, minimum_revision: 0 };
        encode_question(question, &checks, &mut bytes).map_err(|error| error.to_string())?;
        frames.push(bytes);
    }
    Ok((identity, frames))
}

/// Keeps frames in flight on one stream for a while; says how many checks were answered in which time.
async fn drive(
    connection: &Connection,
    frames: &[Vec<u8>],
    arguments: &Arguments,
    length: Duration,
) -> Result<(u64, Duration), String> {
    let stream = connection.check_stream().await.map_err(|error| error.to_string())?;
    let (mut sender, mut receiver) = (stream.sender, stream.receiver);
    let (answered_frames, mut progress) = watch::channel(0_u64);
    let begun = Instant::now();
    let in_flight = arguments.in_flight;
    let send = async {
        let mut sent = 0_u64;
        while begun.elapsed() < length {
            let free = in_flight - (sent - *progress.borrow_and_update());
            if free == 0 {
                progress.changed().await.map_err(|error| error.to_string())?;
                continue;
            }
            for frame in frames.iter().cycle().skip(sent as usize % frames.len()).take(free as usize) {
                sender.send_encoded(frame).await.map_err(|error| error.to_string())?;
            }
            sent += free;
        }
        sender.finish();
        Ok::<u64, String>(sent)
    };
    let receive = async {
        let (mut frames, mut checks) = (0_u64, 0_u64);
        while let Some(count) =
            receiver.receive_each(|view| checks += view.count() as u64).await.map_err(|error| error.to_string())?
        {
            frames += count as u64;
            answered_frames.send_replace(frames);
        }
        Ok::<u64, String>(checks)
    };
    let (sent, checks) = tokio::try_join!(send, receive)?;
    let took = begun.elapsed();
    if checks != sent * u64::from(arguments.frame) {
        return Err(format!("{} checks were asked and {checks} answered", sent * u64::from(arguments.frame)));
    }
    Ok((checks, took))
}
