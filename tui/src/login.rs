//! `keyward login`: this machine joins a server, and knows it from then on.

use std::{io, net::SocketAddr, time::Duration};

use keyward_protocol::{
    client::{self, JoinAs, JoinError, Joined},
    limits::LABEL_CHARS_MAX,
    message::join::JoinToken,
};
use tokio::net::lookup_host;

use crate::{
    remote::Scrub,
    servers::{Places, ServerName, Servers},
};

/// How long each address may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Joins with a token, keeps who we are there, and says what to do next.
pub fn run(token: &str, name: Option<&str>, address: Option<String>) -> Result<(), String> {
    let mut typed = String::new();
    let token = match token {
        "-" => {
            io::stdin().read_line(&mut typed).map_err(|error| format!("the token can't be read: {error}"))?;
            typed.as_str()
        }
        given => given,
    };
    let token: JoinToken =
        token.parse().map_err(|error: keyward_protocol::message::join::NoToken| error.to_string())?;
    let address = address.or_else(|| token.address.clone());
    let address = address.ok_or("the token does not say where the server is: add --address HOST:PORT")?;
    let name = name.map(ServerName::parse).transpose().map_err(|error| error.to_string())?;
    let servers = Servers::new(&Places::of_user()?);
    // Asked before the token is used up: it joins once.
    if let Some(name) = &name
        && servers.names().map_err(|error| error.to_string())?.contains(name)
    {
        return Err(format!("there is a server `{name}` already: choose another --name, or remove that one first"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime can't be started: {error}"))?;
    let joined = runtime.block_on(join(&token, &address))?;
    let name = match name {
        Some(name) => name,
        None => free_name(&servers, &joined.certified.portfolio)?,
    };
    servers.add(&name, &[address], &joined).map_err(|error| error.to_string())?;
    let (mut who, mut portfolio) = (joined.certified.name, joined.certified.portfolio);
    who.scrub();
    portfolio.scrub();
    println!("You are {who} of {portfolio}, and this machine knows the server as `{name}`.");
    println!("Next: `keyward` opens it.");
    Ok(())
}

async fn join(token: &JoinToken, address: &str) -> Result<Joined, String> {
    let found = lookup_host(address).await;
    let found: Vec<SocketAddr> = found.map_err(|error| format!("`{address}` is not found: {error}"))?.collect();
    let mut last = format!("`{address}` is not found");
    for socket in found {
        match client::join(socket, token, JoinAs::Operator, &this_machine(), PATIENCE).await {
            Ok(joined) => return Ok(joined),
            Err(JoinError::Refused { why, .. }) => {
                last = why;
                break;
            }
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    last.scrub();
    Err(last)
}

/// What managers see of where a key is: whose account on which machine.
fn this_machine() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let user = std::env::var("USER").unwrap_or_default();
    let label = match (user.trim(), host.trim()) {
        ("", "") => "a terminal".to_owned(),
        ("", host) => host.to_owned(),
        (user, "") => user.to_owned(),
        (user, host) => format!("{user} on {host}"),
    };
    label.chars().take(LABEL_CHARS_MAX).collect()
}

/// The portfolio's name as a server's, with a number where that is taken.
fn free_name(servers: &Servers, portfolio: &str) -> Result<ServerName, String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let words: String = portfolio.chars().map(plain).take(40).collect();
    let words = words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    let stem = if words.is_empty() { "server".to_owned() } else { words };
    let taken = servers.names().map_err(|error| error.to_string())?;
    let numbered = (2_u32..).map(|number| format!("{stem}-{number}"));
    let mut names = std::iter::once(stem.clone()).chain(numbered).filter_map(|name| ServerName::parse(&name).ok());
    names.find(|name| !taken.contains(name)).ok_or_else(|| "no name is free for it: give one with --name".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portfolio_gives_a_name_that_a_directory_can_have() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let servers = Servers::new(&Places { config: at("config"), data: at("data"), state: at("state") });
        let name = |portfolio: &str| free_name(&servers, portfolio).unwrap().to_string();
        assert_eq!(name("Harbor Living"), "harbor-living");
        assert_eq!(name("  ..//Über & Söhne "), "ber-s-hne");
        assert_eq!(name("\u{202e}"), "server");
        std::fs::create_dir_all(at("data").join("servers").join("harbor-living")).unwrap();
        assert_eq!(name("Harbor Living"), "harbor-living-2");
    }
}
