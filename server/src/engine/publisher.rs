//! Turns the books into what checks are judged by: compiles what was touched and publishes it in one swap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use keyward_protocol::{id::*, time::Moment};

use super::{
    books::{Books, Committed},
    shelf::Keeper,
};
use crate::{
    domain::{
        directory::{Portfolio, Property},
        hours::days_later,
    },
    index::{
        archive::Loaded,
        compile::compile,
        flatten::{flatten, known_person},
        publish::{PortfolioPublication, Published},
        source::{CodeSource, CodeState},
    },
    parallel,
    progress::Counter,
    vault::Vault,
};

/// Indexes of properties.
type Indexes = BTreeMap<(PortfolioId, PropertyId), Arc<Loaded>>;

/// Openings are compiled from this many days ago, for clocks that are set back.
const DAYS_BACK: i64 = 2;
/// Openings are compiled for this many days ahead.
const DAYS_AHEAD: i64 = 21;

/// Compiles and publishes.
pub struct Publisher {
    published: Arc<Published>,
    current: BTreeMap<PortfolioId, PortfolioPublication>,
    hash_key: (u64, u64),
    shelf: Option<Keeper>,
    started: Started,
    /// The door codes are published: a property that appears from now on has its own with it.
    codes_are_there: bool,
}

/// Where the indexes of a start came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// Properties whose index was on the shelf.
    pub loaded: u64,
    /// Properties whose index was compiled.
    pub compiled: u64,
}

impl Publisher {
    /// Publishes all of the books but for the door codes, which are answered `retry` until
    /// [`Publisher::publish_codes`]. `hash_key` is secret. Indexes come from the shelf where it has them.
    pub fn new(books: &Books, now: Moment, hash_key: (u64, u64), shelf: Option<Keeper>) -> Publisher {
        let (published, started) = (Arc::new(Published::default()), Started::default());
        let mut publisher =
            Publisher { published, current: BTreeMap::new(), hash_key, shelf, started, codes_are_there: false };
        if let Some(shelf) = &publisher.shelf {
            let portfolios = &books.directory().portfolios;
            shelf.retain(|id, property| portfolios.get(&id).is_some_and(|id| id.properties.contains_key(&property)));
        }
        let mut everything = Committed::everything(books.directory());
        everything.codes.clear();
        everything.people.clear();
        let (known, (mut there, started)) = books.progress().during("making the index", "properties", |counter| {
            parallel::both(|| known_people(books), || publisher.gather(books, &everything.properties, now, counter))
        });
        publisher.current = known;
        publisher.started = started;
        publisher.publish_with(books, &everything, now, &mut there);
        publisher
    }

    /// The indexes of these properties: from the shelf, or compiled.
    fn gather(
        &self,
        books: &Books,
        properties: &BTreeSet<(PortfolioId, PropertyId)>,
        now: Moment,
        counter: &Counter,
    ) -> (Indexes, Started) {
        let properties: Vec<(PortfolioId, PropertyId)> = properties.iter().copied().collect();
        let done = AtomicU64::new(0);
        let gathered = parallel::each(&properties, |(id, property)| {
            let portfolio = books.directory().portfolios.get(id)?;
            let property = portfolio.properties.get(property)?;
            let shelved = self.shelf.as_ref().and_then(|shelf| shelf.load(portfolio, property, now)).map(Arc::new);
            let was_there = shelved.is_some();
            let index = shelved.or_else(|| self.made(books, portfolio, property, now));
            counter.at(done.fetch_add(1, Ordering::Relaxed) + 1, properties.len() as u64);
            Some((was_there, index))
        });
        let loaded = gathered.iter().flatten().filter(|(was_there, _)| *was_there).count() as u64;
        let started = Started { loaded, compiled: properties.len() as u64 - loaded };
        let there = properties.into_iter().zip(gathered).filter_map(|(place, made)| Some((place, made?.1?)));
        (there.collect(), started)
    }

    /// A property's index, compiled, and put on the shelf.
    fn made(&self, books: &Books, portfolio: &Arc<Portfolio>, property: &Property, now: Moment) -> Option<Arc<Loaded>> {
        let index = self.compiled(portfolio, property, now)?;
        if let Some(shelf) = &self.shelf {
            shelf.keep(portfolio, books.sequence(), &index);
        }
        Some(index)
    }

    /// Where the indexes came from.
    pub fn started(&self) -> Started {
        self.started
    }

    /// Publishes every door code of the vaults that were read, after a start.
    pub fn publish_codes(&mut self, books: &Books, now: Moment) {
        let mut codes = Committed::everything(books.directory());
        codes.properties.clear();
        codes.people.clear();
        codes.carriers = false;
        self.publish(books, &codes, now);
        self.codes_are_there = true;
    }

    /// What readers share.
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    /// Compiles what was touched and swaps it in, a portfolio at a time. Checks that begin after this returned are
    /// judged by the books.
    pub fn publish(&mut self, books: &Books, committed: &Committed, now: Moment) {
        self.publish_with(books, committed, now, &mut Indexes::new());
    }

    /// [`Publisher::publish`], where some of the indexes are there already.
    fn publish_with(&mut self, books: &Books, committed: &Committed, now: Moment, there: &mut Indexes) {
        let directory = books.directory();
        let portfolios: BTreeSet<PortfolioId> = if committed.carriers {
            directory.portfolios.keys().copied().collect()
        } else {
            committed.portfolios.clone()
        };
        let carriers = directory.carriers.values().map(|carrier| (carrier.mobile, carrier.id));
        // A portfolio that begins gets the carriers that are there.
        let with_carriers = committed.carriers || !committed.begun.is_empty();
        let carriers = with_carriers.then(|| Arc::new(carriers.collect()));
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
            let mut with_codes: BTreeSet<PropertyId> = committed.codes.range(here.clone()).map(|at| at.1).collect();
            for (_, property) in committed.properties.range(here) {
                if self.codes_are_there && next.property(*property).is_none() {
                    with_codes.insert(*property);
                }
                if let Some(index) = there.remove(&(id, *property)) {
                    next.put_property(index);
                    continue;
                }
                let found = portfolio.properties.get(property);
                match found.and_then(|property| self.made(books, portfolio, property, now)) {
                    Some(index) => next.put_property(index),
                    // One that can't be compiled opens nothing, rather than what it opened before the change.
                    None => {
                        if let Some(shelf) = &self.shelf {
                            shelf.remove(id, *property);
                        }
                        next.remove_property(*property);
                    }
                }
            }
            let with_codes: Vec<PropertyId> = with_codes.into_iter().collect();
            let tables = parallel::each(&with_codes, |property| {
                let (property, vault) = (portfolio.properties.get(property)?, books.vault(id)?);
                next.code_table(property.id(), &codes(property, vault))
            });
            for (property, table) in with_codes.into_iter().zip(tables) {
                if let Some(table) = table {
                    next.set_code_table(property, Some(table));
                }
            }
            self.published.publish(id, next.clone());
            self.current.insert(id, next);
        }
    }

    /// Compiles every property's openings anew, days before those that were compiled run out.
    pub fn renew(&mut self, books: &Books, now: Moment) {
        for portfolio in books.directory().portfolios.values() {
            let Some(mut next) = self.current.get(&portfolio.id).cloned() else { continue };
            for property in portfolio.properties.values() {
                if let Some(index) = self.made(books, portfolio, property, now) {
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
            .and_then(|bytes| Loaded::new(&bytes).map_err(|error| error.to_string()));
        match loaded {
            Ok(loaded) => Some(Arc::new(loaded)),
            Err(why) => {
                tracing::error!(property = %property.id(), why, "a property can't be compiled: its doors are unknown");
                None
            }
        }
    }
}

/// Every portfolio with its people's credentials, and no property yet.
fn known_people(books: &Books) -> BTreeMap<PortfolioId, PortfolioPublication> {
    let known = books.directory().portfolios.iter().map(|(id, portfolio)| {
        let mut publication = PortfolioPublication::default();
        portfolio.people.values().for_each(|person| publication.put_person(known_person(person)));
        (*id, publication)
    });
    known.collect()
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
