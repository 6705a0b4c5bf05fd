//! What whoever runs the server has made of it: further portfolios (M9), and carriers (V3).

use std::{collections::BTreeSet, path::Path, sync::Arc};

use keyward_protocol::{entry::Refusal, id::*, name, time::Moment};
use rand::{Rng, rngs::StdRng};

use super::{Books, disk_is_full, random_bytes};
use crate::{
    disk::{is_no_room, parent_of},
    domain::{
        decide::{self, Decided},
        directory::{Carrier, Portfolio},
        event::{Actor, Cause},
        site::Site,
    },
    store::record::Entry,
    vault::{self, RootSecret, Unread, Vault, VaultError},
};

/// Later portfolios have larger numbers than this: the first has 1, and whoever sees a number learns nothing from it.
const NUMBERS_FROM: u32 = 1 << 16;

/// What is done about a carrier of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CarrierStep {
    /// It is there from now on; refused where it is there already.
    Create(String),
    /// It gets a new mobile identity, and the old one opens nothing.
    Renew(String),
}

/// The causes that make a site's portfolio, with mobile identities drawn for its people.
pub(super) fn causes_of(site: &Site, now: Moment, random: &mut StdRng) -> Vec<Cause> {
    let mut mobiles = BTreeSet::new();
    site.causes(now, || {
        loop {
            let mobile = random.next_u64();
            if mobile != 0 && mobiles.insert(mobile) {
                break mobile;
            }
        }
    })
}

impl Books {
    /// Makes a further portfolio from a site, with a vault of its own, which is on disk before the journal names the
    /// portfolio. What a crash in between leaves is a vault that is nobody's, which a start clears away.
    pub fn make_portfolio(&mut self, site: &Site, now: Moment) -> Result<PortfolioId, Refusal> {
        let known = |portfolio: &&Arc<Portfolio>| name::fold(&portfolio.name) == name::fold(site.name());
        if let Some(known) = self.directory.portfolios.values().find(known) {
            return Err(Refusal::Taken(format!("the name `{}`: choose another for this portfolio", known.name)));
        }
        let id = self.unused_portfolio();
        let fresh = Portfolio::new(id, String::new());
        let causes = causes_of(site, now, &mut self.random);
        let decided = decide::decide_causes(&fresh, causes, now, None)?;
        let vault = self.make_vault(id)?;
        self.vaults.add(id, vault);
        self.directory.portfolios.insert(id, Arc::new(fresh));
        self.begin(id, decided, now).inspect_err(|_| {
            self.directory.portfolios.remove(&id);
            self.remove_vault(id);
        })
    }

    fn begin(&mut self, id: PortfolioId, decided: Decided, now: Moment) -> Result<PortfolioId, Refusal> {
        self.enter(id, &Actor::Administrator.into(), decided, now)?;
        self.pending.begun.push(id);
        Ok(id)
    }

    /// A number that no portfolio has, nor had before a repair that lost its making: certificates may name it.
    fn unused_portfolio(&mut self) -> PortfolioId {
        loop {
            let id = PortfolioId(self.random.next_u32());
            let is_taken = self.directory.portfolios.contains_key(&id) || self.layout.vault(id).exists();
            if id.0 >= NUMBERS_FROM && !is_taken {
                return id;
            }
        }
    }

    /// Nothing that was acknowledged hangs on a vault that is being made: what fails is refused, and the server goes on.
    fn make_vault(&self, id: PortfolioId) -> Result<Vault, Refusal> {
        let root = RootSecret::read(&self.layout.root()).map_err(|error| Refusal::Unavailable(error.to_string()))?;
        let path = self.layout.vault(id);
        let made = Vault::create_at(&self.disk, &path, &root, vault::new_id(id, random_bytes()));
        made.map_err(|error| {
            self.remove_vault_file(&path);
            self.remove_vault_file(&vault::staged_path(&path));
            match error {
                VaultError::Io(error) if is_no_room(&error) => disk_is_full(),
                error => Refusal::Unavailable(format!("no vault can be made, nothing was changed: {error}")),
            }
        })
    }

    /// The vault of a portfolio that never began goes.
    pub(super) fn remove_vault(&mut self, id: PortfolioId) {
        self.vaults.remove(id);
        self.remove_vault_file(&self.layout.vault(id));
    }

    /// One that can't be removed is nobody's, which the next start mends.
    fn remove_vault_file(&self, path: &Path) {
        if path.exists()
            && let Err(error) = self.disk.remove(path).and_then(|()| self.disk.sync_directory(parent_of(path)))
        {
            tracing::warn!(%error, path = %path.display(), "a vault that is nobody's could not be removed");
        }
    }

    /// Removes vaults that are no portfolio's: what a crash left of one that was being made. Without the anchor nobody
    /// knows whether the journal has lost a portfolio: then they stay. Says what stays, and why.
    pub(super) fn clear_vaults(&self, root: &RootSecret, journal_is_whole: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        let is_known = |id: &PortfolioId| self.directory.portfolios.contains_key(id);
        for (_, path) in self.layout.vaults_there(".new").unwrap_or_default().iter().filter(|(id, _)| !is_known(id)) {
            self.remove_vault_file(path);
        }
        for (id, path) in self.layout.vaults_there("").unwrap_or_default().iter().filter(|(id, _)| !is_known(id)) {
            match Unread::open_at(&self.disk, path, root, *id) {
                Ok(_) if journal_is_whole => self.remove_vault_file(path),
                Ok(_) => warnings.push(format!(
                    "`{}` is no portfolio's vault, and without the anchor nobody knows whether one is lost: it stays",
                    path.display()
                )),
                Err(error) => warnings.push(format!("`{}` is no portfolio's vault: {error}", path.display())),
            }
        }
        warnings
    }

    /// Makes a carrier of the server; the one with that name, where there is one.
    pub fn make_carrier(&mut self, text: &str) -> Result<CarrierId, Refusal> {
        let name = name::clean(text).map_err(|error| Refusal::Invalid(error.to_string()))?;
        if let Some(known) = self.carrier(&name) {
            return Ok(known.id);
        }
        let last = self.directory.carriers.keys().next_back().map_or(0, |id| id.0);
        Ok(self.put_carrier(CarrierId(last + 1), name).id)
    }

    /// Makes a carrier, or gives one a new identity.
    pub fn step_carrier(&mut self, step: &CarrierStep) -> Result<Carrier, Refusal> {
        let (CarrierStep::Create(text) | CarrierStep::Renew(text)) = step;
        let name = name::clean(text).map_err(|error| Refusal::Invalid(error.to_string()))?;
        match (step, self.carrier(&name).cloned()) {
            (CarrierStep::Create(_), Some(known)) => Err(Refusal::Taken(format!("the name `{}`", known.name))),
            (CarrierStep::Create(_), None) => {
                let id = self.make_carrier(text)?;
                let made = self.directory.carriers.get(&id).cloned();
                made.ok_or_else(|| Refusal::NotFound(format!("carrier `{name}`")))
            }
            (CarrierStep::Renew(_), Some(known)) => Ok(self.put_carrier(known.id, known.name)),
            (CarrierStep::Renew(_), None) => Err(Refusal::NotFound(format!("carrier `{name}`"))),
        }
    }

    fn carrier(&self, name: &str) -> Option<&Carrier> {
        self.directory.carriers.values().find(|carrier| name::fold(&carrier.name) == name::fold(name))
    }

    /// A carrier is there with an identity that nobody has.
    fn put_carrier(&mut self, id: CarrierId, name: String) -> Carrier {
        let is_taken = |mobile: &u64| {
            let carriers = self.directory.carriers.values();
            *mobile == 0
                || carriers.map(|carrier| carrier.mobile).any(|known| known == *mobile)
                || self.directory.portfolios.values().any(|portfolio| portfolio.mobiles.contains_key(mobile))
        };
        let mobile = loop {
            let mobile = self.random.next_u64();
            if !is_taken(&mobile) {
                break mobile;
            }
        };
        let carrier = Carrier { id, name, mobile };
        self.entries.push(Entry::Carrier(carrier.clone()).encode());
        self.pending.changes += 1;
        self.directory.carriers.insert(id, carrier.clone());
        self.pending.carriers = true;
        carrier
    }
}
