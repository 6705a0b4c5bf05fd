//! What the network asks, put together.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;

use super::{admission::Admission, join::Joining, judge::Judge, manage::Manage, watch::Watch};
use crate::{
    access_log::AccessLog,
    clock::Clock,
    engine::Engine,
    identity::Authority,
    net::{Handle, Hooks},
};

/// Everything that the network asks of this server.
pub fn hooks(
    engine: Engine,
    (log, journal, connections): (AccessLog, PathBuf, Handle),
    authority: Arc<ArcSwap<Authority>>,
    clock: Clock,
    judge: Judge,
) -> Hooks<Judge> {
    let portfolios = judge.portfolios();
    Hooks {
        judge,
        manage: Arc::new(Manage::new(
            engine.clone(),
            log.clone(),
            journal,
            portfolios,
            connections,
            Arc::clone(&clock),
        )),
        watch: Arc::new(Watch::new(engine.clone(), log)),
        directory: Arc::new(Admission { engine: engine.clone(), clock: Arc::clone(&clock) }),
        join: Arc::new(Joining { engine, authority, clock }),
    }
}
