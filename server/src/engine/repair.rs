//! Puts a damaged data directory right as far as that can be done, and says what is lost.
//!
//! A plan is made first, which touches nothing. Carrying it out makes what is to stand in the place of damaged files
//! beside them, flushes it, writes down every move, and only then moves: out into `damaged-TIME`, in from `repairing`.
//! Nothing is overwritten or removed, and a repair that is stopped goes on where it was; until then nothing starts.
//!
//! What is believed:
//!
//! - The books are the frames of one history, of the data and of a backup, that follow each other from the beginning or
//!   from a snapshot, as far as they go. What stands behind a gap is not applied: it was decided in a state that nobody
//!   knows. It is told instead.
//! - A vault is never older than the books beside it. What a lost change deleted it has destroyed: that code is lost,
//!   and does not come back. So a backup's vault, which may hold what was deleted since, is asked only when no change
//!   is lost, by the anchor, and only for codes that are live by the books.
//! - Of the access log every record that is whole. Which are lost is written down beside them and told from then on.
//! - Books that were put together begin a new history, whose first entries hold the Directory. Where changes are lost,
//!   its numbers go on far behind those that may have been given out.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod carry_out;
mod names;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use keyward_protocol::id::*;

use self::names::{Names, tell_change};
use super::{
    Layout,
    books::{self, ReplayError, StartError},
    replay::Replay,
    rotation,
    vaults::Expected,
};
use crate::{
    access_log,
    domain::directory::{Directory, Portfolio},
    identity::Authority,
    store::{
        journal::{self, AnchorFound, Hash, JournalError, Lineage, Salvaged},
        record::{Entry, decode_directory, encode_directory},
        snapshot,
    },
    vault::{RootError, RootSecret, Vault, VaultError},
};

/// The moves of a repair that is being carried out, in [`Layout::repairing`].
pub(super) const MOVES: &str = "moves";
/// Numbers that lost changes may have given out are passed over in steps of this.
const NUMBERS_LEFT_OUT: u32 = 1_000_000;

/// Why nothing can be repaired. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// What a start says as well, and a repair can't mend.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No Directory can be put together.
    #[error("neither the journal nor a snapshot can be read: give a backup with `--backup DIR`")]
    Nothing,
    /// The backup is none.
    #[error("`{}` is no backup of a data directory: give the directory with its `journal`", .0.display())]
    Backup(PathBuf),
    /// The Directory does not fit the journal.
    #[error(transparent)]
    Append(#[from] journal::AppendError),
    /// The disk refused.
    #[error("`{}`: {cause}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
}

impl From<JournalError> for RepairError {
    fn from(error: JournalError) -> RepairError {
        StartError::Journal(error).into()
    }
}

impl From<VaultError> for RepairError {
    fn from(error: VaultError) -> RepairError {
        StartError::Vault(error).into()
    }
}

impl From<RootError> for RepairError {
    fn from(error: RootError) -> RepairError {
        StartError::Root(error).into()
    }
}

/// A plan: what is damaged, what is done about it, and what is lost.
pub struct Repair {
    layout: Layout,
    backup: Option<Layout>,
    /// What is done, in words.
    steps: Vec<String>,
    /// What is lost, in words.
    lost: Vec<String>,
    /// What is damaged and stays so.
    left: Vec<String>,
    directory: Directory,
    books: Option<NewBooks>,
    /// An anchor says how far the journal went.
    end_is_known: bool,
    /// Snapshots that are taken out, and whether none is left.
    snapshots: (Vec<PathBuf>, bool),
    /// The journal stands, and its anchor doesn't.
    anchor: bool,
    root: RootSecret,
    new_root: bool,
    vaults: BTreeMap<PortfolioId, NewVault>,
    /// Vaults that are no portfolio's, and may be a lost one's.
    nobodys: Vec<PathBuf>,
    authority: bool,
    /// What is done about the access log.
    log: Option<access_log::Mend>,
    /// The history that the data is of.
    lineage: Lineage,
    resumed: bool,
    /// Held as long as the plan is: no server starts meanwhile.
    _lock: File,
}

/// The journal is made anew.
struct NewBooks {
    lineage: Lineage,
    sequence: u64,
    lost: u64,
}

/// A vault is put in the place of the one that is there.
enum NewVault {
    /// A copy of it, with lost codes taken over from the backup's.
    Recovered,
    /// The backup's.
    Backup,
    /// One without codes.
    Empty,
}

/// What is done, what is lost, what stays.
impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = |f: &mut fmt::Formatter<'_>, word: &str, lines: &[String]| {
            lines.iter().try_for_each(|line| writeln!(f, "{word:<8} {line}"))
        };
        lines(f, "repair", &self.steps)?;
        lines(f, "LOST", &self.lost)?;
        lines(f, "stays", &self.left)
    }
}

/// Frames and snapshots of one history, wherever they were found.
#[derive(Default)]
struct Pool {
    frames: BTreeMap<u64, Vec<Salvaged>>,
    snapshots: BTreeMap<u64, Directory>,
    /// The last frame that is known to have been there.
    end: u64,
}

/// How far the frames of a pool go.
struct Reached {
    directory: Directory,
    sequence: u64,
    hash: Option<Hash>,
}

impl Repair {
    /// Looks at everything and says what can be done. Refused while a server runs, for files of a later release, and
    /// where the rules and not the files differ.
    pub fn plan(layout: &Layout, backup: Option<&Path>) -> Result<Repair, RepairError> {
        books::unless_unfinished(layout)?;
        let is_ours =
            [layout.journal(), layout.snapshots(), layout.vault(PortfolioId(1))].iter().any(|path| path.exists());
        if !is_ours {
            return Err(StartError::nothing_in(layout.data()).into());
        }
        let backup = backup.map(Layout::new);
        if let Some(backup) = backup.as_ref().filter(|backup| !backup.journal().is_dir()) {
            return Err(RepairError::Backup(backup.data().to_owned()));
        }
        let lock = books::lock(layout)?;
        let mut plan = Repair {
            layout: layout.clone(),
            backup,
            steps: Vec::new(),
            lost: Vec::new(),
            left: Vec::new(),
            directory: Directory::default(),
            books: None,
            end_is_known: false,
            snapshots: (Vec::new(), false),
            anchor: false,
            root: RootSecret::generate()?,
            new_root: false,
            vaults: BTreeMap::new(),
            nobodys: Vec::new(),
            authority: false,
            log: None,
            lineage: Lineage::default(),
            resumed: layout.repairing().join(MOVES).exists(),
            _lock: lock,
        };
        if plan.resumed {
            plan.steps.push("a repair was stopped half way: it is finished first; then look again".to_owned());
            return Ok(plan);
        }
        plan.plan_books()?;
        plan.plan_root()?;
        for portfolio in plan.directory.portfolios.clone().values() {
            plan.plan_vault(portfolio)?;
        }
        plan.plan_nobodys_vaults();
        plan.plan_authority();
        plan.plan_log()?;
        Ok(plan)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What is lost, line by line.
    pub fn lost(&self) -> &[String] {
        &self.lost
    }

    fn plan_books(&mut self) -> Result<(), RepairError> {
        let inspected = self.inspect_journal()?;
        let own = journal::salvage(&self.layout.journal(), &self.layout.anchor())?;
        self.end_is_known = own.anchored.is_some();
        let mut lineage = own.lineage;
        let mut pool = Pool::default();
        let damaged = pool.add(own, &self.layout.snapshots(), &mut lineage)?;
        self.snapshots.0 = damaged;
        if let Some(backup) = &self.backup {
            let found = journal::salvage(&backup.journal(), &backup.anchor())?;
            if found.lineage.is_some() && lineage.is_some_and(|own| found.lineage != Some(own)) {
                self.left.push(format!(
                    "the backup `{}` is of another history: it is not used for the books",
                    backup.data().display()
                ));
            } else {
                pool.add(found, &backup.snapshots(), &mut lineage)?;
            }
        }
        let lineage = lineage.ok_or(RepairError::Nothing)?;
        self.lineage = lineage;
        let reached = self.reach(&mut pool, &lineage)?;
        if reached.sequence == 0 {
            return Err(RepairError::Nothing);
        }
        let end = pool.end.max(reached.sequence);
        self.directory = reached.directory;
        let why = match inspected {
            Ok(report) if report.head.sequence == end && reached.sequence == end => {
                if report.anchor != AnchorFound::Agrees {
                    self.anchor = true;
                    self.steps.push(
                        "anchor: missing or damaged, it is written anew; that the journal has its end can't be shown, \
                         compare the revision with what you know"
                            .to_owned(),
                    );
                }
                return self.plan_snapshots();
            }
            Ok(_) => "it ends before what a snapshot or the backup has".to_owned(),
            Err(why) => why,
        };
        self.steps.push(format!(
            "journal: {why}. The books go to frame {} of {end}; a new history begins with them, the old files are kept",
            reached.sequence
        ));
        for path in self.snapshots.0.drain(..) {
            self.steps.push(format!("snapshots: `{}` is damaged and taken out", path.display()));
        }
        self.books = Some(NewBooks { lineage, sequence: reached.sequence, lost: end - reached.sequence });
        self.tell_lost_changes(&pool, reached.sequence, end);
        if !self.end_is_known {
            let what = "whatever was changed after that, if anything was: the anchor, which says how far the journal went, \
                        is missing or damaged";
            self.lost.push(what.to_owned());
        }
        if end > reached.sequence || !self.end_is_known {
            let leave = |portfolio: &Arc<Portfolio>| Arc::new(with_room(Portfolio::clone(portfolio)));
            self.directory.portfolios =
                self.directory.portfolios.iter().map(|(id, portfolio)| (*id, leave(portfolio))).collect();
        }
        Ok(())
    }

    /// The journal as a start sees it, or how it is damaged. What is no damage is an error.
    fn inspect_journal(&self) -> Result<Result<journal::OpenReport, String>, RepairError> {
        let (journal, anchor) = (self.layout.journal(), self.layout.anchor());
        match journal::inspect(&journal, &anchor, &mut |_, _| Ok::<(), Infallible>(())) {
            Ok(report) => Ok(Ok(report)),
            Err(journal::OpenError::Visit { cause, .. }) => match cause {},
            Err(journal::OpenError::Journal(error)) => match error {
                JournalError::Corrupt(at) => Ok(Err(format!(
                    "damaged at frame {}, byte {} of `{}` ({})",
                    at.sequence,
                    at.byte,
                    at.file.display(),
                    at.what
                ))),
                JournalError::Missing { .. } => Ok(Err("it is gone".to_owned())),
                JournalError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                    Ok(Err("it is gone".to_owned()))
                }
                error => Err(error.into()),
            },
        }
    }

    fn plan_snapshots(&mut self) -> Result<(), RepairError> {
        let (whole, _) = snapshot::all(&self.layout.snapshots()).map_err(StartError::Snapshot)?;
        let out = &self.snapshots.0;
        self.snapshots.1 = whole.iter().all(|snapshot| out.contains(&snapshot.file));
        for path in out {
            self.steps.push(format!(
                "snapshots: `{}` is damaged, of another history or not what the journal says: taken out, nothing is lost",
                path.display()
            ));
        }
        if self.snapshots.1 {
            self.steps.push("snapshots: a new one is written".to_owned());
        }
        Ok(())
    }

    /// The Directory after as many frames as follow each other. Snapshots that are not what the frames say are taken out.
    fn reach(&mut self, pool: &mut Pool, lineage: &Lineage) -> Result<Reached, RepairError> {
        let first = Reached { directory: Directory::default(), sequence: 0, hash: Some(journal::genesis(lineage)) };
        let mut unlike = BTreeSet::new();
        let mut best = pool.follow(first, |sequence, directory| {
            let snapshot = pool.snapshots.get(&sequence);
            if snapshot.is_some_and(|snapshot| encode_directory(snapshot) != encode_directory(directory)) {
                unlike.insert(sequence);
            }
        })?;
        for (sequence, directory) in pool.snapshots.range(best.sequence + 1..) {
            let from = Reached { directory: directory.clone(), sequence: *sequence, hash: None };
            let reached = pool.follow(from, |_, _| {})?;
            if reached.sequence > best.sequence {
                best = reached;
            }
        }
        let own = |sequence: u64| self.layout.snapshots().join(format!("{sequence:016}.kws"));
        self.snapshots.0.extend(unlike.into_iter().map(own).filter(|path| path.exists()));
        Ok(best)
    }

    fn tell_lost_changes(&mut self, pool: &Pool, from: u64, end: u64) {
        let lost = from + 1..=end;
        if lost.is_empty() {
            return;
        }
        self.lost.push(format!(
            "frames {} to {end} of the journal: what they changed is as it was before. Do it again by this list, and look \
             above all at access that one of them took away: it is there again",
            from + 1
        ));
        for sequence in lost {
            match pool.frames.get(&sequence).and_then(|found| found.first()) {
                None => self.lost.push(format!("frame {sequence}: can't be read; what it changed is not known")),
                Some(frame) => {
                    for entry in &frame.entries {
                        let told = match Entry::decode(entry) {
                            Ok(Entry::Change(change)) => tell_change(&self.directory, &change),
                            Ok(Entry::Carrier(carrier)) => format!("the carrier {} was made or renewed", carrier.name),
                            Ok(Entry::Restored(_)) => "a restored Directory".to_owned(),
                            // It tells of the change before it, or of something that changed nothing.
                            Ok(Entry::Acted(_)) => continue,
                            Err(error) => error.to_string(),
                        };
                        self.lost.push(format!("frame {sequence}: {told}"));
                    }
                }
            }
        }
    }

    fn plan_root(&mut self) -> Result<(), RepairError> {
        let damaged = match rotation::found(&self.layout) {
            Ok(found) => {
                self.root = found.root;
                return Ok(());
            }
            Err(error @ RootError::Damaged(_)) => error,
            Err(RootError::Io { path, error }) if error.kind() == io::ErrorKind::NotFound => {
                RootError::Io { path, error }
            }
            Err(error) => return Err(error.into()),
        };
        self.new_root = true;
        match self.backup.as_ref().and_then(|backup| rotation::found(backup).ok()) {
            Some(found) => {
                self.root = found.root;
                self.steps.push(format!("root: {damaged}. The backup's is put in its place"));
            }
            None => self.steps.push(format!(
                "root: {damaged}. A new one is made, and nothing that the old one sealed can be read: where you have it \
                 still, put it back instead"
            )),
        }
        Ok(())
    }

    fn plan_vault(&mut self, portfolio: &Arc<Portfolio>) -> Result<(), RepairError> {
        let Expected { live, quarantined } = Expected::of(portfolio);
        // A backup's vault may hold what was deleted since: only books that are whole can tell.
        let is_current = self.end_is_known && self.books.as_ref().is_none_or(|books| books.lost == 0);
        if self.backup.is_some() && !is_current {
            let why = format!(
                "the backup's vault of `{}` is not used: changes are lost, or may be, and it may hold codes that were \
                 deleted",
                portfolio.name
            );
            self.left.push(why);
        }
        let older = is_current.then(|| self.backup_vault(portfolio.id)).flatten();
        let from_backup = older.as_ref().map(|older| older.examine(&live, &quarantined)).transpose()?;
        let path = rotation::vault(&self.layout, &self.root, portfolio.id);
        let lost = match Vault::open(&path, &self.root, portfolio.id) {
            Ok(vault) => {
                let examined = vault.examine(&live, &quarantined)?;
                let gone = |code: &CodeId| {
                    let there = from_backup.as_ref().is_some_and(|found| !found.lost.contains(code));
                    !(there && older.as_ref().is_some_and(|older| older.id() == vault.id()))
                };
                let lost: Vec<CodeId> = examined.lost.iter().copied().filter(gone).collect();
                let recovered = examined.lost.len() - lost.len();
                if recovered > 0 {
                    let of = &portfolio.name;
                    self.steps.push(format!("vault of `{of}`: {recovered} door codes are taken over from the backup"));
                    self.vaults.insert(portfolio.id, NewVault::Recovered);
                }
                lost
            }
            Err(error @ VaultError::Newer(_)) => return Err(error.into()),
            Err(VaultError::Io(cause)) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(RepairError::Io { path, cause });
            }
            Err(error) => match from_backup {
                Some(found) => {
                    self.steps.push(format!("vault: `{}`: {error}. The backup's is put in its place", path.display()));
                    self.vaults.insert(portfolio.id, NewVault::Backup);
                    found.lost
                }
                None => {
                    self.steps.push(format!("vault: `{}`: {error}. An empty one is made", path.display()));
                    self.vaults.insert(portfolio.id, NewVault::Empty);
                    live.iter().map(|(code, ..)| *code).collect()
                }
            },
        };
        for (code, door, person, _) in live.iter().filter(|(code, ..)| lost.contains(code)) {
            let names = Names { portfolio };
            self.lost.push(format!(
                "the code of {} at door `{}` ({code}): it opens nothing and is to be given anew (revoke the Key and give \
                 it again)",
                names.person(*person),
                names.door(*door)
            ));
        }
        Ok(())
    }

    /// A start removes them, unless they may be of a portfolio that is lost: then they are kept, where no start looks.
    fn plan_nobodys_vaults(&mut self) {
        if self.end_is_known && self.books.as_ref().is_none_or(|books| books.lost == 0) {
            return;
        }
        let there = self.layout.vaults_there("").unwrap_or_default();
        for (_, path) in there.into_iter().filter(|(id, _)| !self.directory.portfolios.contains_key(id)) {
            let what = "is of no portfolio that is there, and may be a lost one's: taken out";
            self.steps.push(format!("vault: `{}` {what}", path.display()));
            self.nobodys.push(path);
        }
    }

    fn backup_vault(&self, portfolio: PortfolioId) -> Option<Vault> {
        let backup = self.backup.as_ref()?;
        let (path, root) = self.backup_place(backup, portfolio);
        Vault::open(&path, root.as_ref().unwrap_or(&self.root), portfolio).ok()
    }

    /// A backup's vault, and its root where it is not the one that stands here.
    fn backup_place(&self, backup: &Layout, portfolio: PortfolioId) -> (PathBuf, Option<RootSecret>) {
        let path = rotation::vault(backup, &self.root, portfolio);
        match rotation::found(backup) {
            Ok(found) if Vault::open(&path, &self.root, portfolio).is_err() => {
                (rotation::vault(backup, &found.root, portfolio), Some(found.root))
            }
            _ => (path, None),
        }
    }

    fn plan_authority(&mut self) {
        let Err(error) = Authority::found(self.layout.secrets()) else { return };
        let from_backup = self.backup.as_ref().is_some_and(|backup| Authority::found(backup.secrets()).is_ok());
        self.authority = from_backup;
        match from_backup {
            true => self.steps.push(format!("authority: {error}. The backup's is put in its place")),
            false => self.left.push(format!(
                "authority: {error}. Without it locks and operators need new certificates; put it back from its backup"
            )),
        }
    }

    /// What is whole in a damaged segment is kept in others, what is not is written down as lost.
    fn plan_log(&mut self) -> Result<(), RepairError> {
        let directory = self.layout.log();
        let mend = access_log::plan_mend(&directory, &self.lineage);
        let Some(mend) = mend.map_err(|cause| RepairError::Io { path: directory, cause })? else { return Ok(()) };
        for name in &mend.out {
            self.steps.push(format!("access log: `log/{name}` is damaged and taken out"));
        }
        if !mend.out.is_empty() {
            let (kept, segments) = (mend.kept, mend.segments.len());
            self.steps.push(format!(
                "access log: the {kept} records in that which are whole are kept, in {segments} segments of their own"
            ));
        }
        self.steps.push("access log: which records are lost is written down in `log/gaps`".to_owned());
        for gap in &mend.lost {
            let what = match gap.is_empty() {
                true => "",
                false => {
                    ". Searches and exports over that time say that records are missing; wrong codes among them that were \
                     tried in the last six days no longer count at their doors"
                }
            };
            self.lost.push(format!("access log: {gap}{what}"));
        }
        self.log = Some(mend);
        Ok(())
    }
}

impl Pool {
    /// Adds what was found in one place; says which of its snapshots can't be used.
    fn add(
        &mut self,
        found: journal::Salvage,
        snapshots: &Path,
        lineage: &mut Option<Lineage>,
    ) -> Result<Vec<PathBuf>, RepairError> {
        self.end = self.end.max(found.anchored.map_or(0, |head| head.sequence));
        for frame in found.frames {
            self.end = self.end.max(frame.sequence);
            self.frames.entry(frame.sequence).or_default().push(frame);
        }
        let (whole, damaged) = snapshot::all(snapshots).map_err(StartError::Snapshot)?;
        let mut unusable: Vec<PathBuf> = damaged.into_iter().map(|damaged| damaged.file).collect();
        *lineage = lineage.or(found.lineage).or_else(|| whole.first().map(|snapshot| snapshot.lineage));
        for snapshot in whole {
            match decode_directory(snapshot.payload()) {
                Ok(directory) if Some(snapshot.lineage) == *lineage => {
                    self.end = self.end.max(snapshot.sequence);
                    self.snapshots.entry(snapshot.sequence).or_insert(directory);
                }
                Err(why @ crate::store::record::RecordError::Newer(_)) => {
                    return Err(StartError::NewerDirectory { file: snapshot.file, why }.into());
                }
                _ => unusable.push(snapshot.file),
            }
        }
        Ok(unusable)
    }

    /// Applies frames as long as the next one is there and joins.
    fn follow(&self, from: Reached, mut see: impl FnMut(u64, &Directory)) -> Result<Reached, RepairError> {
        let mut at = from;
        let mut replay = Replay::from(at.directory.clone());
        while let Some(frame) = self.next(&at) {
            for entry in &frame.entries {
                replay.entry(entry).map_err(|why: ReplayError| StartError::Replay {
                    file: PathBuf::from("journal"),
                    sequence: frame.sequence,
                    why,
                })?;
            }
            at = Reached { directory: replay.directory.clone(), sequence: frame.sequence, hash: Some(frame.hash) };
            see(at.sequence, &at.directory);
        }
        Ok(at)
    }

    fn next(&self, at: &Reached) -> Option<&Salvaged> {
        let candidates = self.frames.get(&at.sequence.checked_add(1)?)?;
        candidates.iter().find(|frame| at.hash.is_none_or(|hash| hash == frame.before))
    }
}

/// Numbers that lost changes may have given out, to a lock's certificate say, are not given out again.
fn with_room(mut portfolio: Portfolio) -> Portfolio {
    portfolio.revision = portfolio.revision.saturating_add(NUMBERS_LEFT_OUT.into());
    let next = &mut portfolio.next;
    for number in [
        &mut next.person,
        &mut next.property,
        &mut next.door,
        &mut next.schedule,
        &mut next.key,
        &mut next.giving,
        &mut next.share,
        &mut next.lockdown,
        &mut next.lock,
    ] {
        *number = number.saturating_add(NUMBERS_LEFT_OUT);
    }
    next.code = next.code.saturating_add(NUMBERS_LEFT_OUT.into());
    portfolio
}

#[cfg(test)]
mod tests;
