//! What the network asks besides checks: who may be here.

use std::{path::PathBuf, sync::Arc};

use super::{judge::Judge, manage::Manage, watch::Watch};
use crate::{
    access_log::AccessLog,
    clock::Clock,
    domain::permission,
    engine::Engine,
    identity::Principal,
    net::{self, Hooks, Peer},
};

/// Everything that the network asks of this server.
pub fn hooks(engine: Engine, log: AccessLog, journal: PathBuf, clock: Clock, judge: Judge) -> Hooks<Judge> {
    let portfolios = judge.portfolios();
    Hooks {
        judge,
        manage: Arc::new(Manage::new(engine.clone(), log.clone(), journal, portfolios, clock)),
        watch: Arc::new(Watch::new(engine.clone(), log)),
        directory: Arc::new(Admission { engine }),
    }
}

/// Admits registered, enabled locks, and everybody who manages something. What they may is asked at each request.
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
                let bulk = portfolio.managers.contains(person);
                permission::is_manager(portfolio, *person).then(|| Peer { bulk, ..Peer::new(*principal) })
            }
        }
    }
}
