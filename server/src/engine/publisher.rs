//! Turns the books into what checks are judged by: compiles what was touched and publishes it in one swap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keyward_protocol::{id::*, time::Moment};

use super::books::{Books, Committed};
use crate::{
    domain::{
        directory::{Directory, Portfolio, Property},
        hours::days_later,
    },
    index::{
        archive::Loaded,
        codes::CodeTable,
        compile::compile,
        flatten::{flatten, known_person},
        publish::{PortfolioPublication, Published},
        source::{CodeSource, CodeState},
    },
    vault::Vault,
};

/// Openings are compiled from this many days ago, for clocks that are set back.
const DAYS_BACK: i64 = 2;
/// Openings are compiled for this many days ahead.
const DAYS_AHEAD: i64 = 21;

/// Compiles and publishes.
pub struct Publisher {
    published: Arc<Published>,
    current: BTreeMap<PortfolioId, PortfolioPublication>,
    hash_key: (u64, u64),
}

impl Publisher {
    /// Publishes all of the books. `hash_key` is secret.
    pub fn new(books: &Books, now: Moment, hash_key: (u64, u64)) -> Publisher {
        let mut publisher = Publisher { published: Arc::new(Published::default()), current: BTreeMap::new(), hash_key };
        publisher.publish(books, &Committed::everything(books.directory()), now);
        publisher
    }

    /// What readers share.
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    /// Compiles what was touched and swaps it in, a portfolio at a time. Checks that begin after this returned are
    /// judged by the books.
    pub fn publish(&mut self, books: &Books, committed: &Committed, now: Moment) {
        let directory = books.directory();
        let portfolios: BTreeSet<PortfolioId> = if committed.carriers {
            directory.portfolios.keys().copied().collect()
        } else {
            committed.portfolios.clone()
        };
        let carriers = directory.carriers.values().map(|carrier| (carrier.mobile, carrier.id));
        let carriers = committed.carriers.then(|| Arc::new(carriers.collect()));
        for id in portfolios {
            let Some(portfolio) = directory.portfolios.get(&id) else { continue };
            let mut next = self.current.get(&id).cloned().unwrap_or_default();
            next.revision = portfolio.revision;
            if let Some(carriers) = &carriers {
                next.set_carriers(Arc::clone(carriers));
            }
            for (_, person) in committed.people.range((id, PersonId::NONE)..=(id, PersonId(u32::MAX))) {
                match portfolio.people.get(person) {
                    Some(person) => next.put_person(known_person(person)),
                    None => next.remove_person(*person),
                }
            }
            let here = (id, PropertyId::NONE)..=(id, PropertyId(u32::MAX));
            for (_, property) in committed.properties.range(here.clone()) {
                match portfolio.properties.get(property).and_then(|property| self.compiled(portfolio, property, now)) {
                    Some(index) => next.put_property(index),
                    // One that can't be compiled opens nothing, rather than what it opened before the change.
                    None => next.remove_property(*property),
                }
            }
            for (_, property) in committed.codes.range(here) {
                if let (Some(property), Some(vault)) = (portfolio.properties.get(property), books.vault(id)) {
                    next.set_codes(property.id(), Some(Arc::new(CodeTable::build(&codes(property, vault)))));
                }
            }
            self.published.publish(id, next.clone());
            self.current.insert(id, next);
        }
    }

    /// Compiles every property's openings anew, days before those that were compiled run out.
    pub fn renew(&mut self, directory: &Directory, now: Moment) {
        for portfolio in directory.portfolios.values() {
            let Some(mut next) = self.current.get(&portfolio.id).cloned() else { continue };
            for property in portfolio.properties.values() {
                if let Some(index) = self.compiled(portfolio, property, now) {
                    next.put_property(index);
                }
            }
            self.published.publish(portfolio.id, next.clone());
            self.current.insert(portfolio.id, next);
        }
    }

    fn compiled(&self, portfolio: &Portfolio, property: &Property, now: Moment) -> Option<Arc<Loaded>> {
        let horizon = (days_later(now, -DAYS_BACK), days_later(now, DAYS_AHEAD));
        let loaded = flatten(portfolio, property, horizon)
            .and_then(|source| compile(&source, self.hash_key))
            .map_err(|error| error.to_string())
            .and_then(|bytes| Loaded::new(bytes).map_err(|error| error.to_string()));
        match loaded {
            Ok(loaded) => Some(Arc::new(loaded)),
            Err(why) => {
                tracing::error!(property = %property.id(), why, "a property can't be compiled: its doors are unknown");
                None
            }
        }
    }
}

/// A property's codes, by their tags. A live code whose digits are lost opens nothing.
fn codes(property: &Property, vault: &Vault) -> Vec<CodeSource> {
    let live = property.codes.values().filter_map(|code| {
        let (tag, alive) = vault.tag(code.id)?;
        let state = CodeState::Live;
        alive.then_some(CodeSource { tag: tag.0, door: code.door, person: code.person, state })
    });
    let deleted = property.deleted_codes.values().filter_map(|code| {
        let (tag, _) = vault.tag(code.id)?;
        let state = CodeState::Quarantined { until: code.quarantined_until };
        Some(CodeSource { tag: tag.0, door: code.door, person: code.person, state })
    });
    live.chain(deleted).collect()
}
