//! The smallest useful lock: it joins with a token once, keeps its identity, and asks the server about what is shown.
//!
//! ```text
//! cargo run -p keyward-protocol --features client --example lock -- join TOKEN DIR [HOST:PORT]
//! cargo run -p keyward-protocol --features client --example lock -- ask DIR HOST:PORT
//! ```
//!
//! `ask` reads lines from standard input: a door's number and what is shown there (`mobile 123`, `card 04a2b9c1d2`,
//! `code 4820195`), and writes `open` or `shut` for each. It opens for a grant and for nothing else; it connects again by
//! itself, and renews its certificate once a day.

use std::{env, net::SocketAddr, path::Path, process::ExitCode, time::Duration};

use keyward_protocol::{
    client::{self, ClientIdentity, Connection, JoinAs},
    code::{Card, Credential, Digits},
    id::DoorId,
    message::join::JoinToken,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::lookup_host,
    time::{Instant, sleep},
};

/// How long each answer may take: whoever stands at the door does not wait longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest wait between two attempts to connect.
const RETRY_MAX: Duration = Duration::from_secs(2);
const RENEW_EVERY: Duration = Duration::from_secs(86_400);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["join", token, directory] => join(token, directory, None).await,
        ["join", token, directory, address] => join(token, directory, Some(address)).await,
        ["ask", directory, address] => ask(directory, address).await,
        _ => Err("usage: lock join TOKEN DIR [HOST:PORT] | lock ask DIR HOST:PORT".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("lock: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Makes a key and joins with it; the key never leaves the directory.
async fn join(token: &str, directory: &str, address: Option<&str>) -> Result<(), String> {
    let token: JoinToken = token.parse().map_err(told)?;
    let address = address.or(token.address.as_deref()).ok_or("the token does not say where the server is: name it")?;
    let joined = client::join(resolve(address).await?, &token, JoinAs::Lock, "a lock", PATIENCE).await.map_err(told)?;
    joined.identity.save(Path::new(directory)).map_err(told)?;
    println!("joined as `{}`, until {}", joined.certified.name, joined.certified.valid_until);
    Ok(())
}

/// Asks about what is shown, line by line.
async fn ask(directory: &str, address: &str) -> Result<(), String> {
    let mut identity = ClientIdentity::load(Path::new(directory)).map_err(told)?;
    let mut renewed: Option<Instant> = None;
    let mut server: Option<Connection> = None;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.map_err(told)? {
        let Some((door, shown)) = read(&line) else {
            println!("shut: write a door's number, then `mobile`, `card` or `code`, and what is shown");
            continue;
        };
        if renewed.is_none_or(|at| at.elapsed() >= RENEW_EVERY) {
            renewed = Some(Instant::now());
            // A certificate that ran out is renewed as well; without an answer the one at hand is tried.
            if let Ok(joined) = client::renew(resolve(address).await?, &identity, PATIENCE).await {
                joined.identity.save(Path::new(directory)).map_err(told)?;
                identity = joined.identity;
            }
        }
        if server.as_ref().is_none_or(|open| open.closed().is_some()) {
            server = connect(address, &identity).await;
        }
        let answer = match &server {
            Some(open) => open.check(door, shown).await,
            None => client::CheckAnswer::default(),
        };
        match (answer.opens(), answer.error) {
            (true, _) => println!("open"),
            (false, Some(error)) => println!("shut: {error}"),
            (false, None) => println!("shut"),
        }
    }
    Ok(())
}

/// A few attempts, each later than the one before: a door does not keep somebody waiting for a server that is gone.
async fn connect(address: &str, identity: &ClientIdentity) -> Option<Connection> {
    let mut wait = Duration::from_millis(100);
    loop {
        let socket = resolve(address).await.ok()?;
        match Connection::connect(socket, identity, PATIENCE).await {
            Ok(open) => return Some(open),
            Err(error) => eprintln!("lock: {error}"),
        }
        if wait > RETRY_MAX {
            return None;
        }
        sleep(wait).await;
        wait *= 3;
    }
}

async fn resolve(address: &str) -> Result<SocketAddr, String> {
    let mut found = lookup_host(address).await.map_err(|error| format!("`{address}` is not found: {error}"))?;
    found.next().ok_or_else(|| format!("`{address}` is not found"))
}

fn read(line: &str) -> Option<(DoorId, Credential)> {
    let mut words = line.split_whitespace();
    let (door, kind, shown) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let credential = match kind {
        "mobile" => Credential::Mobile(shown.parse().ok()?),
        "card" => Credential::Card(Card::parse_hex(shown)?),
        "code" => Credential::Code(Digits::parse(shown.as_bytes())?),
        _ => return None,
    };
    Some((DoorId(door), credential))
}

fn told(error: impl ToString) -> String {
    error.to_string()
}
