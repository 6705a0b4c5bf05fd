//! Portfolios as they were (U6): worked out from the journal, one at a time, and the last two kept.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use keyward_protocol::{entry::Refusal, id::PortfolioId, time::Moment};

use crate::{
    domain::directory::Portfolio,
    engine::{Engine, PastError, portfolio_at},
};

/// Two: a difference is asked about two moments, and lists come in pages.
const KEPT: usize = 2;

type Known = VecDeque<((PortfolioId, Moment), Arc<Portfolio>)>;

/// Works out what was.
pub struct Past {
    journal: Arc<PathBuf>,
    known: Mutex<Known>,
}

impl Past {
    /// From this journal.
    pub fn of(journal: Arc<PathBuf>) -> Past {
        Past { journal, known: Mutex::default() }
    }

    /// A portfolio at a moment that has passed. Blocks, and as long as others ask about other moments: each costs what a
    /// start without snapshots does.
    pub fn at(&self, engine: &Engine, portfolio: PortfolioId, at: Moment) -> Result<Arc<Portfolio>, Refusal> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = known.iter().find(|(of, _)| *of == (portfolio, at)) {
            return Ok(Arc::clone(found));
        }
        let found = portfolio_at(&self.journal, engine.head(), portfolio, at).map_err(|error| match error {
            PastError::Before => Refusal::Invalid("nothing is known of that moment: ask about a later one".to_owned()),
            PastError::Unreadable(error) => {
                tracing::error!(error, "the journal can't be read back");
                let why = "the journal can't be read: the server's operator finds why in its messages";
                Refusal::Unavailable(why.to_owned())
            }
        })?;
        known.push_back(((portfolio, at), Arc::clone(&found)));
        if known.len() > KEPT {
            known.pop_front();
        }
        Ok(found)
    }
}
