//! Rotating the root: see [`rotation`].

use std::time::UNIX_EPOCH;

use keyward_protocol::{entry::Refusal, id::PortfolioId, time::Moment};

use super::{Books, WriteError, disk_is_full};
use crate::{
    disk::is_no_room,
    engine::rotation,
    vault::{Rewritten, RootError, RootSecret, VaultError},
};

/// What a rotation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// How many vaults are sealed under the new root.
    pub vaults: u64,
    /// How many live door codes stand in them.
    pub codes: u64,
}

/// Why the new root did not come in force: everything is as it was.
enum Unrotated {
    Root(RootError),
    Vault(VaultError),
    /// So many codes of this portfolio can't be read any more.
    Lost(String, usize),
}

impl Books {
    /// Gives every vault another root, and destroys the one before: then no copy of a vault's file that was made before
    /// can be read any more. Refused, with everything as it was, where a vault can't be read or written anew; after an
    /// error the process has to end, and a start finishes it.
    pub fn rotate(&mut self) -> Result<Result<Rotated, Refusal>, WriteError> {
        let ids: Vec<PortfolioId> = self.directory.portfolios.keys().copied().collect();
        if let Some(missing) = ids.iter().find_map(|id| self.vaults.get(*id).err()) {
            return Ok(Err(missing.into()));
        }
        let rewritten = match self.rewrite(&ids) {
            Ok(rewritten) => rewritten,
            Err(why) => {
                self.forget_rewritten(&ids);
                return Ok(Err(refused(&why)));
            }
        };
        rotation::switch(&self.disk, &self.layout)?;
        let mut rotated = Rotated { vaults: 0, codes: 0 };
        for (id, rewritten) in rewritten {
            if let Ok(vault) = self.vaults.get_mut(id) {
                vault.adopt(rewritten)?;
                rotated.vaults += 1;
                rotated.codes += vault.live() as u64;
            }
        }
        match RootSecret::destroy_on(&self.disk, &self.layout.old_root()) {
            Ok(()) => Ok(Ok(rotated)),
            Err(RootError::Io { error, .. }) => Err(error.into()),
            Err(error) => Err(std::io::Error::other(error.to_string()).into()),
        }
    }

    /// When the root in force was made, by its file; the beginning of time where nobody knows.
    pub fn root_made(&self) -> Moment {
        let modified = std::fs::metadata(self.layout.root()).and_then(|found| found.modified()).ok();
        let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let micros = since.and_then(|since| i64::try_from(since.as_micros()).ok());
        micros.map_or(Moment::MIN, Moment::from_micros)
    }

    /// Every vault anew under a new root, beside the one in use, on disk.
    fn rewrite(&mut self, ids: &[PortfolioId]) -> Result<Vec<(PortfolioId, Rewritten)>, Unrotated> {
        let root = RootSecret::generate().map_err(Unrotated::Root)?;
        root.write_on(&self.disk, &self.layout.next_root()).map_err(Unrotated::Root)?;
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            let Ok(vault) = self.vaults.get_mut(*id) else { continue };
            let rewritten = vault.rewrite(&root).map_err(Unrotated::Vault)?;
            if !rewritten.lost().is_empty() {
                // They can be read neither here nor there; but a start can tell whose they are.
                let of = self.directory.portfolios.get(id).map(|found| found.name.clone()).unwrap_or_default();
                return Err(Unrotated::Lost(of, rewritten.lost().len()));
            }
            all.push((*id, rewritten));
        }
        Ok(all)
    }

    /// What can't be removed now is removed by the next start.
    fn forget_rewritten(&mut self, ids: &[PortfolioId]) {
        let mut forgotten = Ok(());
        for id in ids {
            if let Ok(vault) = self.vaults.get_mut(*id) {
                forgotten = forgotten.and(vault.forget_rewritten());
            }
        }
        let next = self.layout.next_root();
        let destroyed = if next.exists() { RootSecret::destroy_on(&self.disk, &next) } else { Ok(()) };
        if let Some(error) = forgotten.err().map(|error| error.to_string()).or(destroyed.err().map(|e| e.to_string())) {
            tracing::warn!(error, "what a rotation left could not be removed: the next start does");
        }
    }
}

fn refused(why: &Unrotated) -> Refusal {
    let why = match why {
        Unrotated::Root(RootError::Io { error, .. }) | Unrotated::Vault(VaultError::Io(error)) if is_no_room(error) => {
            return disk_is_full();
        }
        Unrotated::Root(error) => error.to_string(),
        Unrotated::Vault(error) => error.to_string(),
        Unrotated::Lost(of, codes) => {
            format!(
                "{codes} door codes of `{of}` can't be read any more: stop the server and run `keyward-server verify`"
            )
        }
    };
    Refusal::Unavailable(format!("the root was not rotated, everything is as it was: {why}"))
}
