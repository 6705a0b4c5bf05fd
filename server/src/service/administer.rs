//! What the local administrator asks: done through the control socket while a server runs, directly while none does.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use keyward_protocol::{
    entry::Party,
    id::{IdentityId, LockId, PersonId, PortfolioId, TokenId},
    message::join::JoinToken,
    time::Moment,
};
use zeroize::Zeroizing;

use super::tasks;
use crate::{
    clock::Clock,
    control::{Answer, IdentityLine, JoinRole, Reply, Request, TokenLine},
    domain::{
        command::Command,
        decide::Refusal,
        directory::{Directory, LockScope, Portfolio},
        event::{Actor, Cause},
    },
    engine::{Done, Engine},
    identity::{Authority, AuthorityError, sha256},
    net::Handle,
};

/// What the administrator's commands reach.
pub struct Administrator {
    /// The writer.
    pub engine: Engine,
    /// What signs certificates.
    pub authority: Arc<ArcSwap<Authority>>,
    /// Where its key is kept.
    pub secrets: PathBuf,
    /// Where the server listens; not a place to connect to when it listens everywhere, or does not run.
    pub address: Option<SocketAddr>,
    /// Its connections, while it runs.
    pub connections: Option<Handle>,
    /// Its clock.
    pub clock: Clock,
}

/// Does it, or says why not.
pub fn administer(administrator: &Administrator, request: Request) -> Answer {
    match request {
        Request::MakeToken { portfolio, role, address, seconds } => {
            make_token(administrator, PortfolioId(portfolio), role, address, seconds)
        }
        Request::Tokens { portfolio } => {
            let directory = administrator.engine.directory();
            let (found, now) = (portfolio_of(&directory, portfolio)?, (administrator.clock)());
            let lines = found.admissions.tokens.values().map(|token| TokenLine {
                token: token.id.0,
                role: token.party.as_str().to_owned(),
                name: name_of(found, token.party),
                until: token.until.to_string(),
                over: token.until <= now,
            });
            Ok(Reply::Tokens(lines.collect()))
        }
        Request::RevokeToken { portfolio, token } => {
            run(administrator, portfolio, Command::RevokeToken(TokenId(token)))?;
            Ok(Reply::Done(format!("{}: nobody joins with it any more", TokenId(token))))
        }
        Request::Identities { portfolio } => identities(administrator, portfolio),
        Request::DisableIdentity { portfolio, identity, disabled } => {
            run(administrator, portfolio, Command::DisableIdentity(IdentityId(identity), disabled))?;
            let what = if disabled { "refused from now on, its connections are closed" } else { "taken again" };
            Ok(Reply::Done(format!("{}: {what}", IdentityId(identity))))
        }
        Request::RotateAuthority {} => rotate_authority(administrator),
        Request::Task(task) => tasks::perform(&administrator.engine, task).map(Reply::Told),
    }
}

fn run(administrator: &Administrator, portfolio: u32, command: Command) -> Result<Done, String> {
    let done = administrator.engine.run(PortfolioId(portfolio), Actor::Administrator, command);
    done.map_err(|refusal| refusal.to_string())
}

fn portfolio_of(directory: &Directory, portfolio: u32) -> Result<&Portfolio, String> {
    let found = directory.portfolios.get(&PortfolioId(portfolio)).map(AsRef::as_ref);
    found.ok_or_else(|| "there is no portfolio".to_owned())
}

fn name_of(portfolio: &Portfolio, party: Party) -> String {
    let name = match party {
        Party::Lock(lock) => portfolio.locks.get(&lock).map(|lock| lock.name.clone()),
        Party::Operator(person) | Party::Holder(person) => {
            portfolio.people.get(&person).map(|person| format!("{} <{}>", person.name, person.email))
        }
    };
    name.unwrap_or_default()
}

fn identities(administrator: &Administrator, portfolio: u32) -> Answer {
    let directory = administrator.engine.directory();
    let found = portfolio_of(&directory, portfolio)?;
    let connected = administrator.connections.as_ref().map(Handle::connected).unwrap_or_default();
    let lines = found.admissions.identities.values().map(|identity| {
        let here = connected.iter().find(|open| open.proof.key == identity.key);
        IdentityLine {
            identity: identity.id.0,
            role: identity.party.as_str().to_owned(),
            name: name_of(found, identity.party),
            label: identity.label.clone(),
            joined: identity.joined.to_string(),
            disabled: identity.disabled,
            connected_from: here.map(|open| open.address.to_string()),
            certificate_until: here.map(|open| open.proof.until.to_string()),
        }
    });
    Ok(Reply::Identities(lines.collect()))
}

fn make_token(
    administrator: &Administrator,
    portfolio: PortfolioId,
    role: JoinRole,
    address: Option<String>,
    seconds: i64,
) -> Answer {
    let now = (administrator.clock)();
    let party = party(administrator, portfolio, role)?;
    let mut secret = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *secret).map_err(|error| error.to_string())?;
    let until = now.plus_seconds(seconds);
    let done = run(administrator, portfolio.0, Command::MakeToken { party, hash: sha256(&*secret), until })?;
    let made = |cause: &Cause| if let Cause::TokenMade(token) = cause { Some(token.id) } else { None };
    let id = done.causes.iter().find_map(made).unwrap_or_default();
    let listens = administrator.address.filter(|address| !address.ip().is_unspecified() && address.port() != 0);
    let address = address.or_else(|| listens.map(|address| address.to_string()));
    let authority = administrator.authority.load().fingerprint().map_err(|error| error.to_string())?;
    let token = JoinToken { secret, authority, address };
    Ok(Reply::Token {
        token: id.0,
        role: party.as_str().to_owned(),
        name: name_of(
            administrator.engine.directory().portfolios.get(&portfolio).ok_or("there is no portfolio")?,
            party,
        ),
        until: until.to_string(),
        text: token.expose().to_string(),
    })
}

/// Who is to join; a lock that is not known is registered.
fn party(administrator: &Administrator, portfolio: PortfolioId, role: JoinRole) -> Result<Party, String> {
    let directory = administrator.engine.directory();
    let found = portfolio_of(&directory, portfolio.0)?;
    match role {
        JoinRole::Operator { email } => Ok(Party::Operator(person(found, &email)?)),
        JoinRole::Holder { email } => Ok(Party::Holder(person(found, &email)?)),
        JoinRole::Lock { name, property, doors } => {
            let same = |text: &str| keyward_protocol::name::fold(text) == keyward_protocol::name::fold(&name);
            let known = found.locks.values().find(|lock| same(&lock.name));
            match (known, property) {
                (Some(lock), None) => Ok(Party::Lock(lock.id)),
                (Some(_), Some(_)) => Err(format!(
                    "the lock `{name}` is registered already: leave the property out to let it join anew, or choose \
                     another name"
                )),
                (None, None) => {
                    Err(format!("there is no lock `{name}`: name the property that it belongs to, to register it"))
                }
                (None, Some(property)) => {
                    let command = Command::MakeLock { scope: lock_scope(found, &property, &doors)?, name };
                    let done = run(administrator, portfolio.0, command)?;
                    let made = |cause: &Cause| if let Cause::LockPut(lock) = cause { Some(lock.id) } else { None };
                    Ok(Party::Lock(done.causes.iter().find_map(made).unwrap_or(LockId::NONE)))
                }
            }
        }
    }
}

fn person(portfolio: &Portfolio, email: &str) -> Result<PersonId, String> {
    let found = portfolio.person_by_email(email).map(|person| person.id);
    found.ok_or_else(|| Refusal::NotFound(format!("person `{email}`")).to_string())
}

fn lock_scope(portfolio: &Portfolio, property: &str, doors: &[String]) -> Result<LockScope, String> {
    let found = portfolio.property_by_name(property).ok_or_else(|| format!("there is no property `{property}`"))?;
    if doors.is_empty() {
        return Ok(LockScope::Property(found.id()));
    }
    let find = |name: &String| found.door_by_name(name).map(|door| door.id).ok_or(format!("there is no door `{name}`"));
    Ok(LockScope::Doors(doors.iter().map(find).collect::<Result<_, _>>()?))
}

/// Puts a new authority in the place of the one that signs. Handshakes that begin afterwards know it; who is connected
/// stays, and learns of it by renewing.
fn rotate_authority(administrator: &Administrator) -> Answer {
    let now: Moment = (administrator.clock)();
    let before = administrator.authority.load_full();
    let rotated = before.rotate(&administrator.secrets, now).map_err(|error| match error {
        AuthorityError::File { .. } => format!("{error}. Do it again: what was begun is finished or undone then"),
        error => error.to_string(),
    })?;
    if let Some(connections) = &administrator.connections {
        let tls = rotated.server_tls(now).map_err(|error| error.to_string())?;
        connections.set_tls(tls).map_err(|error| error.to_string())?;
    }
    administrator.authority.store(Arc::new(rotated));
    Ok(Reply::Done(
        "the authority was replaced, and the key of the one before is gone. Locks, operators and holders change over by \
         themselves as they renew, within 90 days; certificates of the one before are taken for 270 days. Back the \
         secrets up again, and destroy older copies of `authority.key`"
            .to_owned(),
    ))
}
