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

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fmt, fs,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use keyward_protocol::{id::*, time::Moment};

use super::{
    Layout,
    books::{self, ReplayError, StartError},
    replay::Replay,
    rotation,
    vaults::Expected,
};
use crate::{
    access_log,
    disk::{Disk, is_one_file, parent_of},
    domain::{
        directory::{Directory, Portfolio},
        event::{Actor, Cause, Change},
    },
    identity::{self, Authority},
    store::{
        journal::{self, AnchorFound, Hash, Journal, JournalError, Lineage, Place, Salvaged},
        record::{Entry, Restored, decode_directory, encode_directory, parts},
        snapshot,
    },
    vault::{self, RootError, RootSecret, Unread, Vault, VaultError},
};

/// The moves of a repair that is being carried out, in [`Layout::repairing`].
pub(super) const MOVES: &str = "moves";
/// Numbers that lost changes may have given out are passed over in steps of this.
const NUMBERS_LEFT_OUT: u32 = 1_000_000;
/// Parts of the Directory share a frame up to about so many bytes.
const FRAME_BYTES: usize = 4 << 20;

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

/// What things are called, as far as that is known.
struct Names<'a> {
    portfolio: &'a Portfolio,
}

impl Names<'_> {
    fn person(&self, id: PersonId) -> String {
        self.portfolio.people.get(&id).map_or_else(|| id.to_string(), |person| person.email.clone())
    }

    fn door(&self, id: DoorId) -> String {
        let property = self.portfolio.property_with_door(id);
        let door = property.and_then(|property| property.doors.get(&id));
        door.map_or_else(|| id.to_string(), |door| door.name.clone())
    }

    fn key(&self, id: KeyId) -> String {
        let property = self.portfolio.property_with_key(id);
        let key = property.and_then(|property| property.keys.get(&id));
        key.map_or_else(|| id.to_string(), |key| key.name.clone())
    }

    fn giving(&self, property: PropertyId, id: GivingId) -> String {
        let giving = self.portfolio.properties.get(&property).and_then(|property| property.givings.get(&id));
        giving.map_or_else(
            || id.to_string(),
            |giving| format!("Key `{}` of {}", self.key(giving.key), self.person(giving.person)),
        )
    }

    fn cause(&self, cause: &Cause) -> String {
        match cause {
            Cause::PortfolioMade { name } => format!("the portfolio `{name}` was made"),
            Cause::PersonPut(person) => {
                let suspended = if person.suspended { ", suspended" } else { "" };
                format!("{} ({}) was entered or edited{suspended}", person.email, person.name)
            }
            Cause::PersonDeleted(person) => format!("{} was deleted", self.person(*person)),
            Cause::PortfolioManagerSet { person, on } => {
                format!("{} {} Portfolio Manager", self.person(*person), if *on { "became" } else { "is no longer" })
            }
            Cause::DoorPut { door, .. } => format!("door `{}` was made or edited", door.name),
            Cause::DoorRemoved { door, .. } => format!("door `{}` was removed", self.door(*door)),
            Cause::KeyPut { key, .. } => format!("Key `{}` was made or edited", key.name),
            Cause::KeyDeleted { key, .. } => format!("Key `{}` was deleted", self.key(*key)),
            Cause::Given { giving, .. } => {
                format!("Key `{}` was given to {}", self.key(giving.key), self.person(giving.person))
            }
            Cause::Revoked { property, giving } => format!("{} was REVOKED", self.giving(*property, *giving)),
            Cause::Shared { share, .. } => format!("a Key was shared with {}", self.person(share.guest)),
            Cause::ShareEnded { property, share } => {
                let found = self.portfolio.properties.get(property).and_then(|property| property.shares.get(share));
                let guest = found.map_or_else(|| share.to_string(), |share| self.person(share.guest));
                format!("the share of {guest} was ENDED")
            }
            Cause::LockedDown { property, .. } => format!("{property} was LOCKED DOWN"),
            Cause::LockdownLifted { property, .. } => format!("a lockdown of {property} was lifted"),
            Cause::LevelSet { property, person, .. } => {
                format!("what {} may do in {property} was set", self.person(*person))
            }
            Cause::LockPut(lock) => format!("the lock `{}` was registered, edited or disabled", lock.name),
            Cause::SchedulePut { schedule, .. } => format!("schedule `{}` was made or edited", schedule.name),
            Cause::ScheduleRemoved { property, schedule } => format!("{schedule} of {property} was removed"),
            Cause::PropertyPut(facts) => format!("property `{}` was made or edited", facts.name),
            Cause::PropertyRemoved(property) => format!("{property} was removed"),
            Cause::HolidaysSet { property, .. } => format!("the holidays of {property} were set"),
            Cause::DeliveriesSet { property, .. } => format!("deliveries to {property} were opted in or out"),
            Cause::Expired { property, givings, .. } => {
                let ended: Vec<String> = givings.iter().map(|giving| self.giving(*property, *giving)).collect();
                format!("the clock ended {}, and does again", ended.join(", "))
            }
            Cause::QuarantineEnded { property, .. } => format!("deleted codes of {property} were released"),
            Cause::TokenMade(token) => format!("{} to join as {} was made", token.id, token.party.as_str()),
            Cause::TokenGone(token) => format!("{token} was used or revoked"),
            Cause::IdentityPut(identity) => match identity.disabled {
                true => format!("{} (`{}`) was DISABLED", identity.id, identity.label),
                false => format!("{} (`{}`) joined or was enabled", identity.id, identity.label),
            },
            Cause::IdentityGone(identity) => format!("{identity} was replaced"),
        }
    }
}

fn tell_change(directory: &Directory, change: &Change) -> String {
    let fresh = Portfolio::new(change.portfolio, String::new());
    let names = Names { portfolio: directory.portfolios.get(&change.portfolio).map_or(&fresh, |found| found) };
    let who = match change.actor {
        Actor::Administrator => "the administrator".to_owned(),
        Actor::Person(person) | Actor::Holder(person) => names.person(person),
        Actor::Lock(lock) => lock.to_string(),
        Actor::Clock => "the clock".to_owned(),
    };
    let what: Vec<String> = change.causes.iter().map(|cause| names.cause(cause)).collect();
    let codes = match change.commitments.len() {
        0 => String::new(),
        made => format!("; {made} door codes were made, which open nothing now"),
    };
    format!("{} by {who}: {}{codes}", stamp(change.at, "%Y-%m-%d %H:%M:%SZ"), what.join("; "))
}

fn stamp(at: Moment, format: &str) -> String {
    let seconds = at.as_micros().div_euclid(1_000_000);
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.strftime(format).to_string())
}

/// Where a file lies: below the data or below the secrets.
#[derive(Clone, Copy)]
enum Root {
    Data,
    Secrets,
}

/// What is moved, in order: from and to, below one of the two.
#[derive(Default)]
struct Moves(Vec<(Root, String, String)>);

impl Moves {
    /// Takes a file out, where it is there, and puts the staged one in its place.
    fn replace(&mut self, layout: &Layout, root: Root, name: &str, aside: &str) {
        self.take_out(layout, root, name, aside);
        self.0.push((root, format!("repairing/{name}"), name.to_owned()));
    }

    fn take_out(&mut self, layout: &Layout, root: Root, name: &str, aside: &str) {
        if at(layout, root).join(name).exists() {
            self.0.push((root, name.to_owned(), format!("{aside}/{name}")));
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
    pub(super) fn carry_out_on(self, disk: &Disk, now: Moment) -> Result<PathBuf, RepairError> {
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
                moves.0.push((Root::Data, format!("repairing/log/{name}"), format!("log/{name}")));
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
            moves.0.push((Root::Data, format!("repairing/snapshots/{name}"), format!("snapshots/{name}")));
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

#[cfg(test)]
mod tests {
    use keyward_protocol::entry::Period;

    use super::*;
    use crate::{
        access_log::{AccessLog, Batch, CredentialKind, Mode, Outcome, Record, Who},
        disk::{Verdict, fault::StopAt},
        domain::{command::Command, site::Site},
        engine::{Books, Severity, verify},
    };

    const NOW: Moment = Moment::from_micros(1_795_000_000_000_000);
    const PORTFOLIO: PortfolioId = PortfolioId(1);
    const TRACY: PersonId = PersonId(2);

    /// A data directory with six frames, and what stood in the books after each.
    struct World {
        dir: tempfile::TempDir,
        layout: Layout,
        /// The Directory after frame `n` at `n - 1`.
        directories: Vec<Directory>,
    }

    impl World {
        /// Tracy's Key is revoked and given in turn; snapshots are taken after some frames.
        fn new(snapshots: &[u64]) -> World {
            let dir = tempfile::tempdir().unwrap();
            let layout = Layout::new(&dir.path().join("data"));
            let site = Site::parse("site.toml", crate::golden::SITE).unwrap();
            let mut books = Books::create(&layout, &site, NOW).unwrap();
            let mut directories = vec![books.directory().clone()];
            while books.sequence() < 6 {
                World::step(&mut books);
                directories.push(books.directory().clone());
                if snapshots.contains(&books.sequence()) {
                    books.write_snapshot().unwrap();
                }
            }
            books.write_anchor().unwrap();
            World { dir, layout, directories }
        }

        fn step(books: &mut Books) {
            let (key, person) = (KeyId(1), TRACY);
            let command = match books.sequence() % 2 {
                1 => Command::Revoke { key, person },
                _ => Command::Give { key, person, may_share: None, period: Period::default() },
            };
            let now = NOW.plus_seconds(i64::try_from(books.sequence()).unwrap());
            books.decide(PORTFOLIO, Actor::Person(PersonId(1)), &command, now, None).unwrap();
            let committed = books.commit().unwrap().unwrap();
            books.destroy(&committed).unwrap();
        }

        /// A copy of data and secrets, as a backup has it.
        fn back_up(&self) -> PathBuf {
            let to = self.dir.path().join("backup");
            copy_all(self.layout.data(), &to);
            copy_all(self.layout.secrets(), Layout::new(&to).secrets());
            to
        }

        fn segment(&self) -> PathBuf {
            self.layout.journal().join("0000000000000001.kwj")
        }

        /// Changes a byte in the middle of a frame.
        fn damage_frame(&self, frame: u64) -> Vec<u8> {
            let mut bytes = fs::read(self.segment()).unwrap();
            let mut at = 76;
            for _ in 1..frame {
                at += 56 + u32::from_le_bytes(*bytes[at + 8..].first_chunk().unwrap()) as usize;
            }
            bytes[at + 60] ^= 1;
            fs::write(self.segment(), &bytes).unwrap();
            bytes
        }

        fn plan(&self, backup: Option<&Path>) -> Repair {
            Repair::plan(&self.layout, backup).unwrap()
        }

        /// Repairs, looks through everything, and opens what is there.
        fn repair(&self, backup: Option<&Path>) -> (String, Books, books::OpenReport) {
            let before = listing(self.dir.path());
            let plan = self.plan(backup);
            assert_eq!(listing(self.dir.path()), before, "a plan changes nothing");
            let told = plan.to_string();
            let aside = plan.carry_out(NOW).unwrap();
            assert!(aside.ends_with("damaged-20261118T110640Z"), "{}", aside.display());
            let left = listing(self.dir.path());
            for (name, bytes) in before.iter().filter(|(name, _)| !name.ends_with("lock")) {
                let is_kept = left
                    .iter()
                    .any(|(other, kept)| kept == bytes && Path::new(other).file_name() == Path::new(name).file_name());
                assert!(is_kept, "{name} is gone");
            }
            let (books, report) = Books::open(&self.layout).unwrap();
            assert!(self.layout.repairing().read_dir().is_err(), "what was made beside is in place");
            (told, books, report)
        }
    }

    fn copy_all(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
            let there = to.join(entry.file_name().unwrap());
            if entry.is_dir() { copy_all(&entry, &there) } else { _ = fs::copy(&entry, &there).unwrap() }
        }
    }

    fn listing(directory: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                all.extend(listing(&path));
            } else {
                all.insert(path.display().to_string(), fs::read(&path).unwrap());
            }
        }
        all
    }

    fn is_whole(layout: &Layout) -> bool {
        let findings = verify(layout).unwrap();
        findings.iter().all(|finding| finding.severity < Severity::Damaged)
    }

    fn code_of(directory: &Directory, person: PersonId) -> CodeId {
        directory.portfolios[&PORTFOLIO].properties[&PropertyId(1)].code_of[&(person, DoorId(1))]
    }

    /// The Directory but for its numbers.
    fn but_for_numbers(directory: &Directory) -> Directory {
        let mut directory = directory.clone();
        let portfolio = Arc::make_mut(directory.portfolios.get_mut(&PORTFOLIO).unwrap());
        (portfolio.revision, portfolio.next) = (0, Default::default());
        directory
    }

    // K3 C4
    #[test]
    fn a_journal_that_is_damaged_before_a_snapshot_loses_nothing() {
        let world = World::new(&[3, 5]);
        let damaged = world.damage_frame(3);
        assert!(Books::open(&world.layout).is_err());
        assert!(!is_whole(&world.layout));
        let digits = code_of(&world.directories[5], PersonId(1));
        let (told, books, report) = world.repair(None);
        assert!(told.contains("The books go to frame 6 of 6") && !told.contains("LOST"), "{told}");
        assert_eq!(*books.directory(), world.directories[5]);
        assert!(report.lost.is_empty() && report.warnings.is_empty(), "{report:?}");
        assert!(books.reveal(PORTFOLIO, digits).is_ok());
        drop(books);
        assert!(is_whole(&world.layout));
        let kept = world.layout.data().join("damaged-20261118T110640Z/journal/0000000000000001.kwj");
        assert_eq!(fs::read(kept).unwrap(), damaged);
        // A second look finds nothing, and the books go on.
        assert!(world.plan(None).is_empty());
        let (mut books, _) = Books::open(&world.layout).unwrap();
        let (key, may_share, period) = (KeyId(1), None, Period::default());
        let give = Command::Give { key, person: TRACY, may_share, period };
        books.decide(PORTFOLIO, Actor::Administrator, &give, NOW.plus_seconds(60), None).unwrap();
        books.commit().unwrap();
    }

    // C3 C4 C8
    #[test]
    fn changes_behind_the_damage_are_told_and_no_deleted_code_comes_back() {
        let world = World::new(&[]);
        world.damage_frame(4);
        // Frame 4 revoked what frame 3 had given, with its code: the vault has destroyed it.
        let deleted = code_of(&world.directories[2], TRACY);
        for backup in [None, Some(world.back_up())] {
            let plan = world.plan(backup.as_deref());
            assert!(plan.to_string().contains("The books go to frame 3 of 6"), "{plan}");
        }
        let (told, books, report) = world.repair(None);
        for words in [
            "frames 4 to 6 of the journal",
            "frame 4: can't be read",
            "frame 5: 2026-11-18 11:06:44Z by ana@harbor.example: Key `Resident` was given to tracy@mail.example; 1 door codes",
            "frame 6: 2026-11-18 11:06:45Z by ana@harbor.example: ",
            "REVOKED",
            "the code of tracy@mail.example at door `Entrance`",
        ] {
            assert!(told.contains(words), "{words} is not in:\n{told}");
        }
        assert_eq!(but_for_numbers(books.directory()), but_for_numbers(&world.directories[2]));
        let lost: Vec<CodeId> = report.lost.iter().map(|lost| lost.code).collect();
        assert_eq!(lost, [deleted]);
        assert!(books.reveal(PORTFOLIO, deleted).is_err());
        assert!(books.reveal(PORTFOLIO, code_of(books.directory(), PersonId(1))).is_ok());
        let next = books.directory().portfolios[&PORTFOLIO].next;
        assert!(next.lock > 1_000_000 && next.code > 1_000_000, "no number is given out twice");
    }

    // C4
    #[test]
    fn a_backup_fills_the_gap_that_is_damaged_here() {
        let world = World::new(&[]);
        let backup = world.back_up();
        world.damage_frame(2);
        let mut vault = fs::read(world.layout.vault(PORTFOLIO)).unwrap();
        vault.iter_mut().take(8_192).for_each(|byte| *byte = 0);
        fs::write(world.layout.vault(PORTFOLIO), vault).unwrap();
        let (told, books, report) = world.repair(Some(&backup));
        assert!(told.contains("frame 6 of 6") && told.contains("The backup's is put in its place"), "{told}");
        assert!(!told.contains("LOST") && report.lost.is_empty(), "{told}");
        assert_eq!(*books.directory(), world.directories[5]);
        assert!(books.reveal(PORTFOLIO, code_of(books.directory(), PersonId(1))).is_ok());
    }

    #[test]
    fn a_damaged_snapshot_is_taken_out_and_nothing_is_lost() {
        for which in [5, 3] {
            let world = World::new(&[3, 5]);
            let file = world.layout.snapshots().join(format!("{which:016}.kws"));
            let mut bytes = fs::read(&file).unwrap();
            bytes[100] ^= 1;
            fs::write(&file, bytes).unwrap();
            let (told, books, report) = world.repair(None);
            assert!(told.contains(&format!("{which:016}.kws")) && !told.contains("LOST"), "{told}");
            assert_eq!(*books.directory(), world.directories[5]);
            assert!(report.warnings.is_empty() && report.lost.is_empty(), "{report:?}");
            drop(books);
            assert!(is_whole(&world.layout) && world.plan(None).is_empty());
        }
    }

    #[test]
    fn a_whole_snapshot_that_is_not_what_the_journal_says_is_told_and_taken_out() {
        let world = World::new(&[3, 5]);
        let lineage = journal::lineage_of(&world.layout.journal()).unwrap();
        let other = encode_directory(&world.directories[1]);
        snapshot::write(&world.layout.snapshots(), 3, lineage, &other).unwrap();
        let findings = verify(&world.layout).unwrap();
        let damaged = findings.iter().find(|finding| finding.severity == Severity::Damaged).unwrap();
        assert!(damaged.what.contains("the one of frame 3 is not what the journal says"), "{damaged}");
        let (told, books, report) = world.repair(None);
        assert!(told.contains("0000000000000003.kws") && !told.contains("LOST"), "{told}");
        assert_eq!(*books.directory(), world.directories[5]);
        assert!(report.warnings.is_empty(), "{report:?}");
        drop(books);
        assert!(is_whole(&world.layout) && world.plan(None).is_empty());
    }

    // C3 C4
    #[test]
    fn a_damaged_slot_is_told_by_person_and_door_or_taken_over_from_a_backup() {
        let world = World::new(&[5]);
        let backup = world.back_up();
        let (digits, ana) = {
            let (books, _) = Books::open(&world.layout).unwrap();
            let ana = code_of(books.directory(), PersonId(1));
            (books.reveal(PORTFOLIO, ana).unwrap(), ana)
        };
        let path = world.layout.vault(PORTFOLIO);
        let mut bytes = fs::read(&path).unwrap();
        let slots = bytes[8_192..].chunks(128).position(|slot| slot[..8] == ana.0.to_le_bytes());
        bytes[8_192 + slots.unwrap() * 128 + 70] ^= 1;
        fs::write(&path, bytes).unwrap();
        let plan = world.plan(None);
        assert!(plan.is_empty() && plan.lost().len() == 1, "{plan}");
        assert!(plan.lost()[0].contains("the code of ana@harbor.example at door `Entrance`"), "{plan}");
        drop(plan);
        let (told, books, report) = world.repair(Some(&backup));
        assert!(told.contains("1 door codes are taken over from the backup") && !told.contains("LOST"), "{told}");
        assert!(report.lost.is_empty());
        assert_eq!(books.reveal(PORTFOLIO, ana).unwrap(), digits);
        drop(books);
        assert!(is_whole(&world.layout));
    }

    // C3: the backup's vault has a code that was deleted since.
    #[test]
    fn what_was_deleted_since_the_backup_stays_deleted() {
        let world = World::new(&[]);
        let (mut books, _) = Books::open(&world.layout).unwrap();
        World::step(&mut books);
        let tracys = code_of(books.directory(), TRACY);
        books.write_anchor().unwrap();
        drop(books);
        let backup = world.back_up();
        let (mut books, _) = Books::open(&world.layout).unwrap();
        World::step(&mut books);
        books.write_anchor().unwrap();
        drop(books);
        fs::remove_file(world.layout.vault(PORTFOLIO)).unwrap();
        let (told, books, report) = world.repair(Some(&backup));
        assert!(told.contains("The backup's is put in its place") && report.lost.is_empty(), "{told}");
        assert!(books.reveal(PORTFOLIO, tracys).is_err(), "it came back");
        assert!(books.reveal(PORTFOLIO, code_of(books.directory(), PersonId(1))).is_ok());
    }

    // L1 U7
    #[test]
    fn a_damaged_log_keeps_what_is_whole_and_what_is_lost_is_told_from_then_on() {
        let world = World::new(&[5]);
        let lineage = journal::lineage_of(&world.layout.journal()).unwrap();
        let (log, _) = AccessLog::open(&world.layout.log(), lineage, Mode::Strict, 1).unwrap();
        for second in 0..4 {
            let time = NOW.plus_seconds(second);
            let (door, key, lock, who) = (DoorId(1), KeyId(1), LockId(1), Who::Person(TRACY));
            let (kind, outcome) = (CredentialKind::Mobile, Outcome::Granted);
            let records = vec![Record { time, revision: 3, door, who, key, lock, kind, outcome }; 5];
            let ticket = log.producer(0).try_push(Batch { portfolio: PORTFOLIO, records }).unwrap();
            while !log.producer(0).is_durable(ticket).unwrap() {
                std::thread::yield_now();
            }
        }
        log.shutdown().unwrap();
        drop(log);
        assert!(is_whole(&world.layout) && world.plan(None).is_empty());
        let segment = world.layout.log().join("0000000000000001.kwl");
        let mut bytes = fs::read(&segment).unwrap();
        bytes[96 + 2 * 256 + 100] ^= 1;
        fs::write(&segment, bytes).unwrap();
        assert!(!is_whole(&world.layout));
        let (told, books, _) = world.repair(None);
        for words in [
            "repair   access log: `log/0000000000000001.kwl` is damaged and taken out",
            "the 15 records in that which are whole are kept, in 2 segments",
            "LOST     access log: records 11 to 15 (5) between 2026-11-18T11:06:41Z and 2026-11-18T11:06:43Z can't be read",
            "Searches and exports over that time say that records are missing",
            "no longer count at their doors",
        ] {
            assert!(told.contains(words), "{words} is not in:\n{told}");
        }
        assert_eq!(*books.directory(), world.directories[5]);
        drop(books);
        let findings = verify(&world.layout).unwrap();
        let of_log: Vec<String> =
            findings.iter().filter(|finding| finding.part == "access log").map(ToString::to_string).collect();
        assert!(is_whole(&world.layout) && world.plan(None).is_empty(), "{of_log:?}");
        assert!(of_log[0].contains("15 records in 2 segments"), "{of_log:?}");
        assert!(of_log[1].contains("note     access log: records 11 to 15 (5)"), "{of_log:?}");
    }

    #[test]
    fn a_lost_anchor_is_written_anew_and_told() {
        let world = World::new(&[5]);
        fs::remove_file(world.layout.anchor()).unwrap();
        let (told, books, report) = world.repair(None);
        assert!(told.contains("anchor: missing or damaged") && !told.contains("LOST"), "{told}");
        assert!(report.warnings.is_empty(), "{report:?}");
        assert_eq!(*books.directory(), world.directories[5]);
    }

    // C8
    #[test]
    fn without_the_root_every_code_is_told_as_lost() {
        let world = World::new(&[5]);
        fs::remove_file(world.layout.root()).unwrap();
        let (told, books, report) = world.repair(None);
        assert!(told.contains("put it back instead") && told.matches("LOST").count() == 1, "{told}");
        assert_eq!(report.lost.len(), 1);
        assert_eq!(*books.directory(), world.directories[5]);
    }

    #[test]
    fn a_repair_that_is_stopped_anywhere_is_finished_by_the_next() {
        let mut finished = false;
        for operation in 0.. {
            let world = World::new(&[3]);
            world.damage_frame(2);
            let disk = Disk::witnessed(StopAt::new(operation, Verdict::Fail));
            finished = world.plan(None).carry_out_on(&disk, NOW).is_ok();
            if !finished {
                // Nothing starts on files of two histories.
                let is_untouched = !world.layout.repairing().join(MOVES).exists();
                assert_eq!(is_untouched, !matches!(Books::open(&world.layout), Err(StartError::Repairing(_))));
                world.plan(None).carry_out(NOW).unwrap();
            }
            let (books, report) = Books::open(&world.layout).unwrap();
            assert_eq!(*books.directory(), world.directories[5], "operation {operation}");
            assert!(report.lost.is_empty());
            drop(books);
            assert!(is_whole(&world.layout) && world.plan(None).is_empty(), "operation {operation}");
            if finished {
                assert!(operation > 10, "there were too few operations to stop at");
                break;
            }
        }
        assert!(finished);
    }

    #[test]
    fn what_is_not_keywards_is_not_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Repair::plan(&Layout::new(&dir.path().join("none")), None).err().unwrap();
        assert!(refused.to_string().contains("there is no keyward in"), "{refused}");
        fs::write(dir.path().join("letter.txt"), "dear").unwrap();
        let refused = Repair::plan(&Layout::new(dir.path()), None).err().unwrap();
        assert!(refused.to_string().contains("no keyward's data"), "{refused}");
        assert_eq!(listing(dir.path()).len(), 1, "nothing was made there");
    }
}
