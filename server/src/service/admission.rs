//! Who may be here: asked when somebody connects, at each request, and of every open connection whenever something may
//! have changed.

use std::{sync::Arc, time::Duration};

use keyward_protocol::{entry::Party, id::IdentityId, time::Moment};

use crate::{
    clock::Clock,
    domain::{
        directory::{Directory, Portfolio},
        joining, permission,
    },
    engine::Engine,
    identity::Proof,
    net::{self, Handle, Peer},
};

/// How soon after a change an open connection that is over because of it is closed. What is asked on it meanwhile is
/// refused at once.
const SWEEP_EVERY: Duration = Duration::from_millis(200);
/// How often certificates that ran out are looked for.
const SWEEPS_A_LOOK_AT_TIMES: u32 = 5;

/// Admits keys that joined as registered, enabled locks, as somebody who manages something, or as somebody who holds
/// Keys. What they may is asked at each request.
pub struct Admission {
    /// Whose Directory says so.
    pub engine: Engine,
    /// By which clock keys are over.
    pub clock: Clock,
}

impl net::Directory for Admission {
    fn admit(&self, proof: &Proof) -> Result<Peer, &'static str> {
        let directory = self.engine.directory();
        let (portfolio, identity) = standing(&directory, proof, (self.clock)())?;
        let bulk = matches!(proof.principal.party(), Party::Operator(person) if portfolio.managers.contains(&person));
        Ok(Peer { bulk, identity, ..Peer::new(proof.principal) })
    }
}

/// The identity that a proof is of, with its portfolio, or why it is not taken.
pub fn standing<'a>(
    directory: &'a Directory,
    proof: &Proof,
    now: Moment,
) -> Result<(&'a Portfolio, IdentityId), &'static str> {
    const UNKNOWN: &str = "this identity is unknown or was replaced: ask a manager for a token and join again";
    let portfolio = directory.portfolios.get(&proof.principal.portfolio()).ok_or(UNKNOWN)?;
    let identity = portfolio.admissions.by_key(&proof.key).ok_or(UNKNOWN)?;
    let party = proof.principal.party();
    if identity.party != party {
        return Err(UNKNOWN);
    }
    if identity.disabled {
        return Err("this identity was disabled: ask a manager to enable it, or for a token to join again");
    }
    if proof.until <= now {
        return Err("the certificate's time is over: renew it");
    }
    match party {
        Party::Lock(lock) => {
            let enabled = portfolio.locks.get(&lock).is_some_and(|lock| !lock.disabled);
            enabled.then_some(()).ok_or("this lock was disabled: ask a manager to enable it")?;
        }
        Party::Operator(person) => {
            let manages = permission::is_manager(portfolio, person);
            manages.then_some(()).ok_or("you manage nothing any more, or are suspended: ask a Portfolio Manager")?;
            let over = identity.joined.plus_seconds(joining::OPERATOR_SECONDS) <= now;
            (!over).then_some(()).ok_or("30 days are over since you joined: join again with a new token")?;
        }
        Party::Holder(person) => {
            let there = portfolio.people.get(&person).is_some_and(|person| !person.suspended);
            there.then_some(()).ok_or("you are suspended, or no longer here: ask your manager")?;
        }
    }
    Ok((portfolio, identity.id))
}

/// Closes connections whose identity is no longer taken, as long as the server runs.
pub async fn sweep(engine: Engine, connections: Handle, clock: Clock) {
    let mut seen = engine.directory();
    let mut ticks = 0_u32;
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        ticks = ticks.wrapping_add(1);
        let directory = engine.directory();
        if Arc::ptr_eq(&seen, &directory) && !ticks.is_multiple_of(SWEEPS_A_LOOK_AT_TIMES) {
            continue;
        }
        let now = clock();
        let closed = connections.disconnect(|proof| standing(&directory, proof, now).err());
        if closed > 0 {
            tracing::info!(closed, "connections were closed: their identities are not taken any more");
        }
        seen = directory;
    }
}
