//! Carrying a plan out: what is to stand in the place of damaged files is made beside them, then everything is moved.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
};

use keyward_protocol::{id::*, time::Moment};

use super::{MOVES, NewBooks, NewVault, Repair, RepairError, names::stamp};
use crate::{
    access_log,
    disk::{Disk, is_one_file, parent_of},
    engine::{
        Layout,
        books::{self, StartError},
        rotation,
        vaults::Expected,
    },
    identity::{self, Authority},
    store::{
        journal::{self, Journal, Lineage, Place},
        record::{Entry, Restored, encode_directory, parts},
        snapshot,
    },
    vault::{self, Unread, Vault},
};

/// Parts of the Directory share a frame up to about so many bytes.
const FRAME_BYTES: usize = 4 << 20;

/// Where a file lies: below the data or below the secrets.
#[derive(Clone, Copy, PartialEq)]
enum Root {
    Data,
    Secrets,
}

/// What is moved, in order: from and to, below one of the two.
#[derive(Default)]
struct Moves(Vec<(Root, String, String)>);

impl Moves {
    /// Takes a file out, where it is there, and puts the staged one in its place. What stands in the way would be taken
    /// for the staged one that arrived.
    fn replace(&mut self, layout: &Layout, root: Root, name: &str, aside: &str) {
        self.take_out(layout, root, name, aside);
        self.0.push((root, format!("repairing/{name}"), name.to_owned()));
    }

    /// Takes a file out, where it is there and was not taken out already.
    fn take_out(&mut self, layout: &Layout, root: Root, name: &str, aside: &str) {
        let taken = (root, name.to_owned(), format!("{aside}/{name}"));
        if at(layout, root).join(name).exists() && !self.0.contains(&taken) {
            self.0.push(taken);
        }
    }

    /// The directory that things are taken out to.
    fn aside(&self) -> Option<String> {
        let mut firsts = self.0.iter().filter_map(|(_, _, to)| to.split('/').next());
        firsts.find(|first| first.starts_with("damaged-")).map(str::to_owned)
    }

    fn encode(&self) -> String {
        let lines = self.0.iter().map(|(root, from, to)| {
            let root = if matches!(root, Root::Data) { "data" } else { "secrets" };
            format!("{root}\t{from}\t{to}\n")
        });
        lines.collect()
    }

    fn parse(text: &str) -> Moves {
        let line = |line: &str| {
            let mut words = line.split('\t');
            let root = if words.next()? == "data" { Root::Data } else { Root::Secrets };
            Some((root, words.next()?.to_owned(), words.next()?.to_owned()))
        };
        Moves(text.lines().filter_map(line).collect())
    }

    /// Each move that was not made yet. What has arrived is not moved again.
    fn make(&self, disk: &Disk, layout: &Layout) -> Result<(), RepairError> {
        for (root, from, to) in &self.0 {
            let (from, to) = (at(layout, *root).join(from), at(layout, *root).join(to));
            // Both names of one file are half of a rename, which is made whole.
            if (to.exists() && !is_one_file(&from, &to)) || !from.exists() {
                continue;
            }
            let moved = disk
                .create_directory(parent_of(&to))
                .and_then(|()| disk.rename(&from, &to))
                .and_then(|()| disk.sync_directory(parent_of(&to)))
                .and_then(|()| disk.sync_directory(parent_of(&from)));
            moved.map_err(|cause| RepairError::Io { path: from, cause })?;
        }
        Ok(())
    }
}

fn at(layout: &Layout, root: Root) -> &Path {
    match root {
        Root::Data => layout.data(),
        Root::Secrets => layout.secrets(),
    }
}

/// Carrying it out.
impl Repair {
    /// Does what the plan says; says the directory with what was taken out. Look through everything afterwards.
    pub fn carry_out(self, now: Moment) -> Result<PathBuf, RepairError> {
        self.carry_out_on(&Disk::new(), now)
    }

    /// [`Repair::carry_out`], with the disk as an argument.
    pub(in crate::engine) fn carry_out_on(self, disk: &Disk, now: Moment) -> Result<PathBuf, RepairError> {
        let stage = self.layout.repairing();
        let list = stage.join(MOVES);
        let io = |path: &Path| {
            let path = path.to_owned();
            move |cause| RepairError::Io { path, cause }
        };
        let stages = [stage.clone(), self.layout.secrets().join("repairing")];
        let aside = format!("damaged-{}", stamp(now, "%Y%m%dT%H%M%SZ"));
        let aside = self.unused(&aside);
        if !self.resumed {
            if !self.new_root {
                // What is copied and moved below stands under its own name.
                rotation::settle(disk, &self.layout, self.directory.portfolios.keys().copied())?;
            }
            for stage in &stages {
                // What a repair left that was stopped before it moved anything: only copies.
                if stage.exists() {
                    fs::remove_dir_all(stage).map_err(io(stage))?;
                }
                disk.create_directory(stage).map_err(io(stage))?;
            }
            let moves = self.stage(disk, &stages, &aside, now)?;
            for stage in &stages {
                disk.sync_directory(stage).map_err(io(stage))?;
            }
            disk.write_whole(&list, &[moves.encode().as_bytes()]).map_err(io(&list))?;
        }
        let moves = Moves::parse(&fs::read_to_string(&list).map_err(io(&list))?);
        moves.make(disk, &self.layout)?;
        let aside = moves.aside().unwrap_or(aside);
        disk.remove(&list).map_err(io(&list))?;
        for stage in &stages {
            if stage.exists() {
                fs::remove_dir_all(stage).map_err(io(stage))?;
                disk.sync_directory(parent_of(stage)).map_err(io(stage))?;
            }
        }
        Ok(self.layout.data().join(aside))
    }

    /// A name that neither directory has.
    fn unused(&self, name: &str) -> String {
        let taken =
            |name: &str| [Root::Data, Root::Secrets].iter().any(|root| at(&self.layout, *root).join(name).exists());
        let more = (2..).map(|number: u32| format!("{name}-{number}"));
        std::iter::once(name.to_owned()).chain(more).find(|name| !taken(name)).unwrap_or_default()
    }

    /// Makes everything that is put in place, and says every move.
    fn stage(&self, disk: &Disk, stages: &[PathBuf; 2], aside: &str, now: Moment) -> Result<Moves, RepairError> {
        let [data, secrets] = stages;
        let layout = &self.layout;
        let mut moves = Moves::default();
        let snapshots = data.join("snapshots");
        let io = |path: &Path| {
            let path = path.to_owned();
            move |cause| RepairError::Io { path, cause }
        };
        if let Some(books) = &self.books {
            let (head, lineage) = self.stage_journal(disk, books, (data, secrets), now)?;
            let payload = encode_directory(&self.directory);
            snapshot::write_on(disk, &snapshots, head, lineage, &payload).map_err(io(&snapshots))?;
            for name in ["journal", "snapshots"] {
                moves.replace(layout, Root::Data, name, aside);
            }
            moves.replace(layout, Root::Secrets, "anchor", aside);
        } else {
            for path in &self.snapshots.0 {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                moves.take_out(layout, Root::Data, &format!("snapshots/{name}"), aside);
            }
            if self.snapshots.1 || self.anchor {
                self.stage_beside(disk, (&snapshots, &secrets.join("anchor")), &mut moves, aside)?;
            }
        }
        if self.new_root {
            self.root.write_new_on(disk, &secrets.join("root.key"))?;
            moves.replace(layout, Root::Secrets, "root.key", aside);
        }
        for (portfolio, new) in &self.vaults {
            let staged = Layout::new(data).vault(*portfolio);
            self.stage_vault(disk, *portfolio, new, &staged)?;
            let name = staged.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            moves.replace(layout, Root::Data, name, aside);
        }
        for path in &self.nobodys {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            moves.take_out(layout, Root::Data, name, aside);
        }
        if let Some(backup) = self.backup.as_ref().filter(|_| self.authority) {
            // A backup may be of the middle of a replacement.
            let found = Authority::found(backup.secrets()).map_err(StartError::Authority)?;
            let [key, certificate, beside @ ..] = identity::FILES;
            for (from, name) in [(found.key, key), (found.certificate, certificate)] {
                copy(disk, &from, &secrets.join(name))?;
                moves.replace(layout, Root::Secrets, name, aside);
            }
            beside.iter().for_each(|name| moves.take_out(layout, Root::Secrets, name, aside));
        }
        if let Some(mend) = &self.log {
            let log = data.join("log");
            disk.create_directory(&log).map_err(io(&log))?;
            for name in &mend.out {
                moves.take_out(layout, Root::Data, &format!("log/{name}"), aside);
            }
            for (name, piece) in &mend.segments {
                let path = log.join(name);
                let written = piece.bytes().and_then(|bytes| disk.write_whole(&path, &[&bytes]));
                written.map_err(io(&path))?;
                // One that stays may have the name: a file at the end of the log in which nothing was begun.
                moves.replace(layout, Root::Data, &format!("log/{name}"), aside);
            }
            let gaps = log.join(access_log::GAPS_FILE);
            disk.write_whole(&gaps, &[&mend.gaps(now)]).map_err(io(&gaps))?;
            moves.replace(layout, Root::Data, &format!("log/{}", access_log::GAPS_FILE), aside);
        }
        Ok(moves)
    }

    /// A journal whose first entries hold the Directory; its last frame, and its history's name.
    fn stage_journal(
        &self,
        disk: &Disk,
        books: &NewBooks,
        (data, secrets): (&Path, &Path),
        now: Moment,
    ) -> Result<(u64, Lineage), RepairError> {
        let lineage = books::random_bytes();
        let place = Place { disk: disk.clone(), ..Place::new(&data.join("journal"), &secrets.join("anchor")) };
        let mut journal = Journal::create_at(place, lineage)?;
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        for part in parts(&self.directory) {
            let (sequence, lost, part) = (books.sequence, books.lost, encode_directory(&part));
            let restored = Restored { lineage: books.lineage, sequence, lost, at: now, part };
            let entry = Entry::Restored(restored).encode();
            if !waiting.is_empty() && waiting.iter().map(Vec::len).sum::<usize>() + entry.len() > FRAME_BYTES {
                append(&mut journal, &mut waiting)?;
            }
            waiting.push(entry);
        }
        append(&mut journal, &mut waiting)?;
        journal.write_anchor().map_err(|cause| RepairError::Io { path: secrets.to_owned(), cause })?;
        Ok((journal.head().sequence, lineage))
    }

    /// What the journal that stands says, for a snapshot and an anchor.
    fn stage_beside(
        &self,
        disk: &Disk,
        (snapshots, anchor): (&Path, &Path),
        moves: &mut Moves,
        aside: &str,
    ) -> Result<(), RepairError> {
        // An anchor of its own, so that the one that is there stays as it is until it is moved.
        let place = Place { disk: disk.clone(), ..Place::new(&self.layout.journal(), anchor) };
        let opened = Journal::open_at(place, 0, &mut |_, _| Ok::<(), Infallible>(()));
        let (journal, _) = opened.map_err(|error| match error {
            journal::OpenError::Journal(error) => RepairError::from(error),
            journal::OpenError::Visit { cause, .. } => match cause {},
        })?;
        if self.anchor {
            journal.write_anchor().map_err(|cause| RepairError::Io { path: anchor.to_owned(), cause })?;
            moves.replace(&self.layout, Root::Secrets, "anchor", aside);
        }
        if self.snapshots.1 {
            let (head, payload) = (journal.head(), encode_directory(&self.directory));
            let made = snapshot::write_on(disk, snapshots, head.sequence, journal.lineage(), &payload);
            let made = made.map_err(|cause| RepairError::Io { path: snapshots.to_owned(), cause })?;
            let name = made.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            moves.replace(&self.layout, Root::Data, &format!("snapshots/{name}"), aside);
        }
        Ok(())
    }

    fn stage_vault(
        &self,
        disk: &Disk,
        portfolio: PortfolioId,
        new: &NewVault,
        staged: &Path,
    ) -> Result<(), RepairError> {
        let Some(found) = self.directory.portfolios.get(&portfolio) else { return Ok(()) };
        let Expected { live, quarantined } = Expected::of(found);
        match (new, &self.backup) {
            (NewVault::Recovered, _) => {
                copy(disk, &self.layout.vault(portfolio), staged)?;
                let mut vault = Unread::open_at(disk, staged, &self.root, portfolio)?.read()?;
                vault.reconcile(&live, &quarantined)?;
                if let Some(older) = self.backup_vault(portfolio) {
                    vault.recover(&older, &live)?;
                }
            }
            (NewVault::Backup, Some(backup)) => {
                let (path, root) = self.backup_place(backup, portfolio);
                copy(disk, &path, staged)?;
                let root_of_it = root.as_ref().unwrap_or(&self.root);
                let mut vault = Unread::open_at(disk, staged, root_of_it, portfolio)?.read()?;
                // It may be sealed under the backup's root: then it is rewritten under the one that stands.
                if root.is_some() {
                    vault.rotate(&self.root)?;
                }
                // What was deleted since is destroyed before anything can ask for it.
                vault.reconcile(&live, &quarantined)?;
            }
            _ => {
                let id = vault::new_id(portfolio, books::random_bytes());
                drop(Vault::create_at(disk, staged, &self.root, id)?);
            }
        }
        Ok(())
    }
}

fn append(journal: &mut Journal, waiting: &mut Vec<Vec<u8>>) -> Result<(), RepairError> {
    if !waiting.is_empty() {
        let entries: Vec<&[u8]> = waiting.iter().map(Vec::as_slice).collect();
        journal.append(&entries)?;
        waiting.clear();
    }
    Ok(())
}

/// A copy that only its owner may read, on disk.
fn copy(disk: &Disk, from: &Path, to: &Path) -> Result<(), RepairError> {
    let bytes = fs::read(from).map_err(|cause| RepairError::Io { path: from.to_owned(), cause })?;
    let written = disk.write_whole(to, &[&zeroize::Zeroizing::new(bytes)]);
    written.map(drop).map_err(|cause| RepairError::Io { path: to.to_owned(), cause })
}
