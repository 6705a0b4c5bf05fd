//! Where things lie: the data directory, and the secrets beside it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use keyward_protocol::id::PortfolioId;

use crate::vault;

const VAULT_PREFIX: &str = "vault-";
const VAULT_SUFFIX: &str = ".kwv";

/// The places of one server's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    data: PathBuf,
    secrets: PathBuf,
}

impl Layout {
    /// Data in `data`, secrets in a directory beside it: `DATA.secrets`.
    pub fn new(data: &Path) -> Layout {
        let mut secrets = data.as_os_str().to_owned();
        secrets.push(".secrets");
        Layout { data: data.to_owned(), secrets: secrets.into() }
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The secrets directory: the root, the authority's key, the anchor. Back it up apart from the data.
    pub fn secrets(&self) -> &Path {
        &self.secrets
    }

    /// The file whose lock says that a server runs here.
    pub fn lock(&self) -> PathBuf {
        self.data.join("keyward.lock")
    }

    /// There while `init` makes everything else: nothing of that counts before this is gone.
    pub fn unfinished(&self) -> PathBuf {
        self.data.join("init.unfinished")
    }

    /// The journal's segments.
    pub fn journal(&self) -> PathBuf {
        self.data.join("journal")
    }

    /// The journal's anchor, kept in the second place.
    pub fn anchor(&self) -> PathBuf {
        self.secrets.join("anchor")
    }

    /// Snapshots of the Directory.
    pub fn snapshots(&self) -> PathBuf {
        self.data.join("snapshots")
    }

    /// The persisted index.
    pub fn index(&self) -> PathBuf {
        self.data.join("index")
    }

    /// The local administrator's socket, while a server runs.
    pub fn control(&self) -> PathBuf {
        self.data.join("control.sock")
    }

    /// The access log.
    pub fn log(&self) -> PathBuf {
        self.data.join("log")
    }

    /// Where a repair makes what it puts in the place of damaged files.
    pub fn repairing(&self) -> PathBuf {
        self.data.join("repairing")
    }

    /// The root under which door codes are sealed.
    pub fn root(&self) -> PathBuf {
        self.secrets.join("root.key")
    }

    /// The root that a rotation is about to put in its place.
    pub fn next_root(&self) -> PathBuf {
        self.secrets.join("root.key.next")
    }

    /// The root that a rotation replaced, until it is destroyed.
    pub fn old_root(&self) -> PathBuf {
        self.secrets.join("root.key.old")
    }

    /// One portfolio's vault under the root that a rotation puts in its place.
    pub fn next_vault(&self, portfolio: PortfolioId) -> PathBuf {
        vault::next_path(&self.vault(portfolio))
    }

    /// One portfolio's vault.
    pub fn vault(&self, portfolio: PortfolioId) -> PathBuf {
        self.data.join(format!("{VAULT_PREFIX}{}{VAULT_SUFFIX}", portfolio.0))
    }

    /// Every file that is named like a vault, or like one followed by `more`, with the portfolio that it names.
    pub fn vaults_there(&self, more: &str) -> io::Result<Vec<(PortfolioId, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.data)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.strip_suffix(more).and_then(|name| name.strip_suffix(VAULT_SUFFIX));
            let number = number.and_then(|name| name.strip_prefix(VAULT_PREFIX)).and_then(|text| text.parse().ok());
            // As it is written: `vault-01.kwv` is nobody's.
            let is_vault = |id: &PortfolioId| {
                self.vault(*id).file_name().is_some_and(|own| name.strip_suffix(more) == own.to_str())
            };
            found.extend(number.map(PortfolioId).filter(is_vault).map(|id| (id, path.clone())));
        }
        found.sort();
        Ok(found)
    }
}
