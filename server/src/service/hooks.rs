//! What the network asks besides checks: who may be here.

use std::sync::Arc;

use super::judge::Judge;
use crate::{
    engine::Engine,
    identity::Principal,
    net::{self, Feed, Hooks, Later, Peer},
};

/// Everything that the network asks of this server.
pub fn hooks(engine: Engine, judge: Judge) -> Hooks<Judge> {
    let closed = Arc::new(Closed);
    Hooks { judge, manage: Arc::clone(&closed) as _, watch: closed, directory: Arc::new(Admission { engine }) }
}

/// Admits registered, enabled locks, and Portfolio Managers.
struct Admission {
    engine: Engine,
}

impl net::Directory for Admission {
    fn admit(&self, principal: &Principal) -> Option<Peer> {
        let directory = self.engine.directory();
        let portfolio = directory.portfolios.get(&principal.portfolio())?;
        match principal {
            Principal::Lock { lock, .. } => {
                let lock = portfolio.locks.get(lock)?;
                (!lock.disabled).then(|| Peer::new(*principal))
            }
            Principal::Operator { person, .. } => {
                let manages = portfolio.managers.contains(person) && !portfolio.is_suspended(*person);
                manages.then(|| Peer { bulk: true, ..Peer::new(*principal) })
            }
        }
    }
}

/// Management and live views over the network are refused in words: this version changes a portfolio from its own
/// machine only.
struct Closed;

const CLOSED: &str = "this version of keyward-server takes no management requests over the network";

impl net::Manage for Closed {
    fn request<'a>(&'a self, _: &'a Peer, _: Vec<u8>) -> Later<'a, Vec<u8>> {
        Box::pin(async { CLOSED.as_bytes().to_vec() })
    }
}

impl net::Watch for Closed {
    fn subscribe(&self, _: &Peer, _: Vec<u8>) -> Result<Box<dyn Feed>, String> {
        Err(CLOSED.to_owned())
    }
}
