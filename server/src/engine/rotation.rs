//! Another root for every vault, all at once or not at all.
//!
//! The vaults are written anew beside the ones in use (`vault-N.kwv.next`), under a new root that stands beside the one in
//! force (`root.key.next`). When all of them are on disk, the new root takes its place in two renames, and only then do the
//! vaults: at each moment either root and vaults of before are there, or those of afterwards. Which of the two it is, is
//! read from what stands there, since whatever a crash left opens under one of the roots and not the other:
//!
//! | `root.key` | `root.key.old` | `root.key.next` | then | a start |
//! | --- | --- | --- | --- | --- |
//! | before | - | new, or part of it | the vaults are being written | removes the new vaults, then the new root |
//! | - | before | new | between the two renames | makes the second, goes on as below |
//! | new | before | - | the new vaults take their place | has the others take theirs, destroys the old root |
//! | new | part of it | - | the old root is being destroyed | destroys it |

use std::{
    io,
    path::{Path, PathBuf},
};

use keyward_protocol::id::PortfolioId;

use super::{Layout, books::StartError};
use crate::{
    disk::{CutShort, Disk, parent_of},
    vault::{RootError, RootSecret, Unread},
};

/// The root in force, and whether a rotation was cut short.
pub struct Found {
    /// The root.
    pub root: RootSecret,
    /// What a start makes of the rotation.
    pub cut_short: Option<CutShort>,
}

/// What is there, as a start would have it. Changes nothing.
pub fn found(layout: &Layout) -> Result<Found, RootError> {
    let (key, next, old) = (layout.root(), layout.next_root(), layout.old_root());
    if !key.exists() && old.exists() {
        return Ok(match RootSecret::read(&next) {
            Ok(root) => Found { root, cut_short: Some(CutShort::Finished) },
            Err(_) => Found { root: RootSecret::read(&old)?, cut_short: Some(CutShort::Undone) },
        });
    }
    let root = RootSecret::read(&key)?;
    // One that is the same under another name is half of a rename: nothing is in force yet.
    let cut_short = match (old.exists() && !is_same(&old, &root), old.exists() || next.exists()) {
        (true, _) => Some(CutShort::Finished),
        (false, true) => Some(CutShort::Undone),
        (false, false) => None,
    };
    Ok(Found { root, cut_short })
}

/// The file that a portfolio's vault is in under the root in force.
pub fn vault(layout: &Layout, root: &RootSecret, portfolio: PortfolioId) -> PathBuf {
    let (path, next) = (layout.vault(portfolio), layout.next_vault(portfolio));
    if next.exists() && is_vault(&Disk::new(), &next, root, portfolio) { next } else { path }
}

/// Finishes or undoes a rotation that was cut short, and says which, if one was. To be called before a vault is opened.
pub fn settle(
    disk: &Disk,
    layout: &Layout,
    portfolios: impl Iterator<Item = PortfolioId>,
) -> Result<Option<CutShort>, StartError> {
    let (key, next, old) = (layout.root(), layout.next_root(), layout.old_root());
    let vaults = layout.vaults_there(NEXT).map_err(|cause| io_at(layout.data(), cause))?;
    if !next.exists() && !old.exists() && vaults.is_empty() {
        return Ok(None);
    }
    let Found { root, cut_short } = found(layout)?;
    if !key.exists() {
        let from = if is_same(&next, &root) { &next } else { &old };
        rename(disk, from, &key)?;
    }
    // Names of the root in force that a rename left behind go without what they name.
    for path in [&old, &next] {
        if path.exists() && is_same(path, &root) {
            remove(disk, path)?;
        }
    }
    for (id, path) in vaults {
        if is_vault(disk, &path, &root, id) {
            rename(disk, &path, &layout.vault(id))?;
        } else {
            remove(disk, &path)?;
        }
    }
    let mut portfolios = portfolios;
    let all_are_there = portfolios.all(|id| is_vault(disk, &layout.vault(id), &root, id));
    for path in [&old, &next] {
        // Where a vault is not this root's, nobody knows what for the other one is still needed: the start says why.
        if path.exists() && all_are_there {
            RootSecret::destroy_on(disk, path)?;
        }
    }
    Ok(cut_short)
}

/// What the name of a file ends with that is to take another's place.
pub const NEXT: &str = ".next";

/// Moves the new root into its place. After an error nobody knows which is in force, and a start finds out.
pub fn switch(disk: &Disk, layout: &Layout) -> io::Result<()> {
    let (key, next, old) = (layout.root(), layout.next_root(), layout.old_root());
    disk.rename(&key, &old)?;
    disk.sync_directory(layout.secrets())?;
    disk.rename(&next, &key)?;
    disk.sync_directory(layout.secrets())
}

fn is_vault(disk: &Disk, path: &Path, root: &RootSecret, of: PortfolioId) -> bool {
    Unread::open_at(disk, path, root, of).is_ok()
}

fn is_same(path: &Path, root: &RootSecret) -> bool {
    RootSecret::read(path).is_ok_and(|found| found.is(root))
}

fn rename(disk: &Disk, from: &Path, to: &Path) -> Result<(), StartError> {
    let renamed = disk.rename(from, to).and_then(|()| disk.sync_directory(parent_of(to)));
    renamed.map_err(|cause| io_at(from, cause))
}

fn remove(disk: &Disk, path: &Path) -> Result<(), StartError> {
    let removed = disk.remove(path).and_then(|()| disk.sync_directory(parent_of(path)));
    removed.map_err(|cause| io_at(path, cause))
}

fn io_at(path: &Path, cause: io::Error) -> StartError {
    StartError::Io { path: path.to_owned(), cause }
}
