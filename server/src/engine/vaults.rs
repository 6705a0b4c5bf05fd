//! The portfolios' vaults. Their headers are read before the server answers anybody, their slots while it answers.
//!
//! Reading every slot and holding it against the journal takes seconds where there are millions, and nobody but who
//! types a code, or changes who has one, needs it. So a start opens the vaults (a wrong root or a file that is no vault
//! still refuses it), and the engine reads them before its first command. A vault that then can't be read keeps its
//! portfolio's codes at `retry` and refuses what would make or delete a code; everything else goes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use keyward_protocol::{entry::Refusal, id::*};

use super::Layout;
use crate::{
    disk::Disk,
    domain::directory::{Directory, Portfolio},
    vault::{Commitment, RootSecret, Tagger, Unread, Vault, VaultError},
};

/// Every portfolio's vault.
pub(super) struct Vaults(BTreeMap<PortfolioId, Held>);

struct Held {
    tagger: Tagger,
    state: State,
}

enum State {
    Unread(Unread),
    Read(Vault),
    Failed(VaultError),
}

/// What reading the vaults came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaultsRead {
    /// Codes that are lost.
    pub lost: Vec<Lost>,
    /// Portfolios whose vault can't be read, and why.
    pub failed: BTreeMap<PortfolioId, String>,
}

/// A live code whose digits are gone: it opens nothing, and is made anew only by an operator's act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Whose data.
    pub portfolio: PortfolioId,
    /// Which code.
    pub code: CodeId,
    /// Where.
    pub door: DoorId,
    /// Whose.
    pub person: PersonId,
}

/// Why a portfolio's codes can't be had.
pub(super) enum Missing<'a> {
    NoPortfolio,
    Unread,
    Failed(&'a VaultError),
}

impl Vaults {
    /// Of a portfolio that was just made.
    pub fn of(portfolio: PortfolioId, vault: Vault) -> Vaults {
        Vaults(BTreeMap::from([(portfolio, Held { tagger: vault.tagger(), state: State::Read(vault) })]))
    }

    /// Opens the vault of each portfolio and reads nothing but its header.
    pub fn open(
        disk: &Disk,
        layout: &Layout,
        root: &RootSecret,
        portfolios: impl Iterator<Item = PortfolioId>,
    ) -> Result<Vaults, VaultError> {
        let mut vaults = BTreeMap::new();
        for id in portfolios {
            let unread = Unread::open_at(disk, &layout.vault(id), root, id)?;
            vaults.insert(id, Held { tagger: unread.tagger(), state: State::Unread(unread) });
        }
        Ok(Vaults(vaults))
    }

    /// Takes in the vault of a portfolio that begins.
    pub fn add(&mut self, portfolio: PortfolioId, vault: Vault) {
        self.0.insert(portfolio, Held { tagger: vault.tagger(), state: State::Read(vault) });
    }

    /// Lets go of the vault of a portfolio that never began.
    pub fn remove(&mut self, portfolio: PortfolioId) {
        self.0.remove(&portfolio);
    }

    /// What makes the tags of every portfolio's codes.
    pub fn taggers(&self) -> BTreeMap<PortfolioId, Tagger> {
        self.0.iter().map(|(id, held)| (*id, held.tagger.clone())).collect()
    }

    /// Reads those that were not read yet, and puts them right by what the books say. `progress` is told how many slots
    /// of how many, vault by vault.
    pub fn read(&mut self, directory: &Directory, progress: &(dyn Fn(u64, u64) + Sync)) -> VaultsRead {
        let mut found = VaultsRead::default();
        for (id, held) in &mut self.0 {
            // What stands there while it is read is never seen: nobody else has these books.
            held.state = match std::mem::replace(&mut held.state, State::Failed(VaultError::Failed)) {
                State::Unread(unread) => {
                    let expected = directory.portfolios.get(id).map(|found| Expected::of(found)).unwrap_or_default();
                    unread.settle(&expected.live, &expected.quarantined, progress).map_or_else(
                        |error| {
                            found.failed.insert(*id, error.to_string());
                            State::Failed(error)
                        },
                        |(vault, reconciled)| {
                            found.lost.extend(expected.lost(*id, &reconciled.lost.into_iter().collect()));
                            State::Read(vault)
                        },
                    )
                }
                read => read,
            };
        }
        found
    }

    /// Why a vault can't be read, if one can't; whichever comes first.
    pub fn into_failure(self) -> Result<Vaults, VaultError> {
        let mut vaults = BTreeMap::new();
        for (id, held) in self.0 {
            match held.state {
                State::Failed(error) => return Err(error),
                state => _ = vaults.insert(id, Held { state, ..held }),
            }
        }
        Ok(Vaults(vaults))
    }

    /// What makes the tags of a portfolio's codes.
    pub fn tagger(&self, portfolio: PortfolioId) -> Option<Tagger> {
        self.0.get(&portfolio).map(|held| held.tagger.clone())
    }

    /// A portfolio's vault, once it was read.
    pub fn get(&self, portfolio: PortfolioId) -> Result<&Vault, Missing<'_>> {
        match self.0.get(&portfolio).map(|held| &held.state) {
            Some(State::Read(vault)) => Ok(vault),
            Some(State::Unread(_)) => Err(Missing::Unread),
            Some(State::Failed(error)) => Err(Missing::Failed(error)),
            None => Err(Missing::NoPortfolio),
        }
    }

    /// The same, to make or destroy codes.
    pub fn get_mut(&mut self, portfolio: PortfolioId) -> Result<&mut Vault, Missing<'_>> {
        match self.0.get_mut(&portfolio).map(|held| &mut held.state) {
            Some(State::Read(vault)) => Ok(vault),
            Some(State::Unread(_)) => Err(Missing::Unread),
            Some(State::Failed(error)) => Err(Missing::Failed(error)),
            None => Err(Missing::NoPortfolio),
        }
    }

    /// Whether codes can be made and destroyed.
    pub fn is_read(&self, portfolio: PortfolioId) -> bool {
        self.get(portfolio).is_ok()
    }
}

/// What who asked for a change is told.
impl From<Missing<'_>> for Refusal {
    fn from(missing: Missing<'_>) -> Refusal {
        match missing {
            Missing::NoPortfolio => Refusal::NotFound("portfolio".into()),
            Missing::Unread => Refusal::Unavailable("the door codes are still being read: try again soon".into()),
            Missing::Failed(error) => Refusal::Unavailable(format!(
                "the door codes could not be read ({error}), so none is shown, made or deleted until the server was \
                 restarted with a vault that can be read; suspending people and locking doors down goes on"
            )),
        }
    }
}

impl fmt::Debug for Vaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The codes that a portfolio's vault has to have, by the books.
#[derive(Default)]
pub(super) struct Expected {
    /// Live codes, with what the journal committed to.
    pub live: Vec<(CodeId, DoorId, PersonId, Commitment)>,
    /// Deleted codes whose quarantine lasts.
    pub quarantined: Vec<CodeId>,
}

impl Expected {
    pub fn of(portfolio: &Portfolio) -> Expected {
        let properties = || portfolio.properties.values();
        let codes = properties().flat_map(|property| property.codes.values());
        let live = codes.map(|code| (code.id, code.door, code.person, code.commitment)).collect();
        let quarantined = properties().flat_map(|property| property.deleted_codes.keys().copied()).collect();
        Expected { live, quarantined }
    }

    fn lost(&self, portfolio: PortfolioId, lost: &BTreeSet<CodeId>) -> impl Iterator<Item = Lost> {
        let lost = self.live.iter().filter(|code| lost.contains(&code.0));
        lost.map(move |(code, door, person, _)| Lost { portfolio, code: *code, door: *door, person: *person })
    }
}
