//! What checks need of each portfolio besides what is published: the key of its tags and its doors' budgets for wrong
//! codes.
//!
//! Portfolios are added while the server runs (M9). A batch loads one pointer and waits for nobody; whoever meets a
//! portfolio first that begins puts it in, once.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use keyward_protocol::id::PortfolioId;

use super::lockout::Budgets;
use crate::{engine::Engine, vault::Tagger};

/// What is kept of a portfolio for as long as the server runs.
pub struct Kept {
    /// Makes the tags of its codes.
    pub tagger: Tagger,
    /// Its doors' budgets for wrong codes (U7).
    pub budgets: Budgets,
}

/// By portfolio.
pub type AllKept = BTreeMap<PortfolioId, Arc<Kept>>;

/// Every portfolio's, shared by whoever judges, shows and warns.
pub struct Portfolios {
    engine: Engine,
    kept: ArcSwap<AllKept>,
}

impl Portfolios {
    /// Those that are there. None of their codes is judged until their wrong codes are
    /// [remembered](Budgets::remembered).
    pub fn new(engine: Engine) -> Portfolios {
        let portfolios = Portfolios { engine, kept: ArcSwap::default() };
        let there = portfolios.engine.directory();
        let kept = there.portfolios.keys().filter_map(|id| Some((*id, portfolios.keep(*id)?)));
        portfolios.kept.store(Arc::new(kept.collect()));
        portfolios
    }

    /// What is kept now.
    pub fn load_full(&self) -> Arc<AllKept> {
        self.kept.load_full()
    }

    /// The same with a portfolio that may have begun since. Take it once for a batch: it only allocates for the first
    /// batch of a portfolio that is new.
    pub fn load_with(&self, portfolio: PortfolioId) -> Guard<Arc<AllKept>> {
        let kept = self.kept.load();
        if kept.contains_key(&portfolio) {
            return kept;
        }
        let Some(begun) = self.keep(portfolio) else { return kept };
        // It has no attempts behind it that could count.
        begun.budgets.remembered();
        self.kept.rcu(|kept| {
            let mut kept = AllKept::clone(kept);
            kept.entry(portfolio).or_insert_with(|| Arc::clone(&begun));
            kept
        });
        self.kept.load()
    }

    fn keep(&self, portfolio: PortfolioId) -> Option<Arc<Kept>> {
        let doors = self.engine.directory().portfolios.get(&portfolio)?.next.door;
        Some(Arc::new(Kept { tagger: self.engine.tagger(portfolio)?, budgets: Budgets::new(doors) }))
    }
}
