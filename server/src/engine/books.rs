//! The books: the Directory with everything that makes its changes durable, journal, vaults and snapshots.

mod portfolios;
mod rotation;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use keyward_protocol::{code::Digits, id::*, message::audit::hex, time::Moment};
use rand::{SeedableRng, rngs::StdRng};

use super::{
    Asker, Done, Layout, repair,
    replay::{AllError, Replay},
    rotation as rotations,
    trail::{Due, Trail},
    vaults::{Lost, Vaults, VaultsRead},
};
use crate::{
    disk::{CutShort, Disk, is_no_room},
    domain::{
        audit::{Acted, Attempt},
        command::Command,
        decide::{self, Decided, Refusal},
        directory::{Directory, Party, Portfolio},
        effects,
        event::{Actor, Cause, Change},
        joining::{self, Joiner},
        permission::{self, Sight},
        since::{self, Proviso},
        site::Site,
    },
    identity::Authority,
    progress::Progress,
    store::{
        journal::{self, Journal, JournalError, Place},
        record::{Entry, RecordError, decode_directory, encode_directory},
        snapshot,
    },
    vault::{self, MakeError, RootError, RootSecret, Tagger, Vault, VaultError, Wanted},
};

pub use portfolios::CarrierStep;
pub use rotation::Rotated;

/// Why there are no books to open, or none can be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing was made there yet.
    #[error("there is no keyward in `{}`: make one with `keyward-server init`", .0.display())]
    Missing(PathBuf),
    /// Something else is there.
    #[error("`{}` is there, and no keyward's data: give the directory that `keyward-server init` made", .0.display())]
    NotKeyward(PathBuf),
    /// Something is there already.
    #[error("`{}` exists already: choose another directory, or serve that one", .0.display())]
    Exists(PathBuf),
    /// `init` was stopped half way.
    #[error(
        "an `init` of `{}` was cut short, and nothing there is of use: remove it and `{}`, and do it again",
        data.display(), secrets.display()
    )]
    Unfinished {
        /// The data.
        data: PathBuf,
        /// The secrets.
        secrets: PathBuf,
    },
    /// A repair was stopped half way.
    #[error("a repair of `{}` was stopped half way: run `keyward-server repair --yes` again, which goes on", .0.display())]
    Repairing(PathBuf),
    /// Another process has it open.
    #[error("another keyward-server runs in `{}`: stop it first", .0.display())]
    Running(PathBuf),
    /// A file or directory can't be read or made.
    #[error("`{}`: {cause}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The journal can't be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Snapshots of another server's history lie here.
    #[error("the snapshots in `{}` belong to another server's journal: put the right ones back, or remove them", .0.display())]
    Foreign(PathBuf),
    /// An entry of the journal means nothing here.
    #[error("the journal's frame {sequence}, in `{}`, can't be replayed: {why}", file.display())]
    Replay {
        /// The segment that it stands in.
        file: PathBuf,
        /// The frame.
        sequence: u64,
        /// Why.
        why: ReplayError,
    },
    /// A snapshot's Directory was written by a later release.
    #[error("the Directory in `{}` can't be read: {why}", file.display())]
    NewerDirectory {
        /// The snapshot.
        file: PathBuf,
        /// Which format it has.
        why: RecordError,
    },
    /// Snapshots can't be read.
    #[error(transparent)]
    Snapshot(#[from] snapshot::ReadError),
    /// The root secret can't be read or made.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The vault can't be opened or made.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The authority can't be opened or made.
    #[error(transparent)]
    Authority(#[from] crate::identity::AuthorityError),
    /// The first portfolio can't be loaded.
    #[error("the site can't be loaded: {0}")]
    Site(Refusal),
    /// A write failed.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl StartError {
    /// Why nothing can be opened in a directory without a journal.
    pub fn nothing_in(data: &Path) -> StartError {
        let has_something = fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some());
        match has_something || data.is_file() {
            true => StartError::NotKeyward(data.to_owned()),
            false => StartError::Missing(data.to_owned()),
        }
    }

    fn replaying(layout: &Layout, error: AllError) -> StartError {
        match error {
            AllError::Read(journal::OpenError::Journal(error)) => StartError::Journal(error),
            AllError::Read(journal::OpenError::Visit { file, sequence, cause }) => {
                StartError::Replay { file, sequence, why: cause }
            }
            AllError::Entry((sequence, why)) => {
                StartError::Replay { file: journal::segment_with(&layout.journal(), sequence), sequence, why }
            }
            AllError::Thread(cause) => StartError::Io { path: layout.journal(), cause },
        }
    }
}

/// Why an entry can't be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Its bytes.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The effects computed again differ from those that were journalled (K9): the rules changed, or the file did.
    #[error(
        "what follows from it is not what followed then: this keyward's rules differ, run the version that wrote it"
    )]
    Differs,
}

/// A write that failed: the process must end.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The journal's.
    #[error("the journal can't be written: {0}")]
    Journal(#[from] journal::AppendError),
    /// The vault's.
    #[error("the vault can't be written: {0}")]
    Vault(#[from] VaultError),
    /// Another file's.
    #[error("a file can't be written: {0}")]
    Io(#[from] io::Error),
}

impl WriteError {
    /// The disk is full, and that is all: nothing of what was to be written is there, and the process may go on.
    pub fn is_no_room(&self) -> bool {
        match self {
            WriteError::Journal(error) => matches!(error, journal::AppendError::NoRoom(_)),
            WriteError::Io(error) => is_no_room(error),
            WriteError::Vault(_) => false,
        }
    }
}

/// What was found when the books were opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Bytes of an unfinished frame that were cut off the journal.
    pub torn_bytes: u64,
    /// Changes that were replayed.
    pub replayed: u64,
    /// Codes that are lost.
    pub lost: Vec<Lost>,
    /// Things worth a warning.
    pub warnings: Vec<String>,
}

/// What a commit made durable.
#[derive(Debug, Default)]
pub struct Committed {
    /// How many changes.
    pub changes: u64,
    /// Which properties must be compiled again.
    pub properties: BTreeSet<(PortfolioId, PropertyId)>,
    /// Where codes were made, deleted or released.
    pub codes: BTreeSet<(PortfolioId, PropertyId)>,
    /// Whose credentials or suspension may differ.
    pub people: BTreeSet<(PortfolioId, PersonId)>,
    /// Portfolios whose revision moved.
    pub portfolios: BTreeSet<PortfolioId>,
    /// Portfolios that begin with it.
    pub begun: Vec<PortfolioId>,
    /// The server has other carriers than before.
    pub carriers: bool,
    /// Codes that the vault made.
    made: BTreeMap<PortfolioId, Vec<CodeId>>,
    /// Codes whose secrets are to be destroyed.
    deleted: BTreeMap<PortfolioId, Vec<CodeId>>,
    /// Codes whose quarantine is over.
    released: BTreeMap<PortfolioId, Vec<CodeId>>,
}

/// What the books are kept on: the disk and the sizes there, unless a test has others.
#[derive(Clone)]
pub struct Medium {
    /// What changes files.
    pub disk: Disk,
    /// See [`journal::SEGMENT_BYTES`].
    pub segment_bytes: u64,
}

impl Default for Medium {
    fn default() -> Medium {
        Medium { disk: Disk::new(), segment_bytes: journal::SEGMENT_BYTES }
    }
}

impl Medium {
    fn journal(&self, layout: &Layout) -> Place {
        let (disk, segment_bytes) = (self.disk.clone(), self.segment_bytes);
        Place { disk, segment_bytes, ..Place::new(&layout.journal(), &layout.anchor()) }
    }
}

/// The Directory with everything that makes its changes durable.
pub struct Books {
    disk: Disk,
    layout: Layout,
    directory: Directory,
    /// The Directory as of the last commit.
    durable: Directory,
    journal: Journal,
    vaults: Vaults,
    entries: Vec<Vec<u8>>,
    pending: Committed,
    /// The first moment at which something in a property ends.
    dues: BTreeMap<(PortfolioId, PropertyId), Moment>,
    random: StdRng,
    trail: Trail,
    progress: Progress,
    /// Held while the books are open.
    _lock: File,
}

impl Committed {
    /// Everything in a Directory, as if all of it had just been made.
    pub fn everything(directory: &Directory) -> Committed {
        let mut all = Committed { carriers: true, ..Committed::default() };
        for portfolio in directory.portfolios.values() {
            all.portfolios.insert(portfolio.id);
            all.properties.extend(portfolio.properties.keys().map(|property| (portfolio.id, *property)));
            all.people.extend(portfolio.people.keys().map(|person| (portfolio.id, *person)));
        }
        all.codes.clone_from(&all.properties);
        all
    }

    fn note(&mut self, portfolio: PortfolioId, causes: &[Cause], stepped: &effects::Stepped) {
        self.changes += 1;
        self.portfolios.insert(portfolio);
        self.properties.extend(stepped.touched.iter().map(|property| (portfolio, *property)));
        let made = stepped.effects.codes_made.iter().map(|code| code.property);
        let deleted = stepped.effects.codes_deleted.iter().map(|code| code.property);
        self.codes.extend(made.chain(deleted).map(|property| (portfolio, property)));
        self.made.entry(portfolio).or_default().extend(stepped.effects.codes_made.iter().map(|code| code.code));
        self.deleted.entry(portfolio).or_default().extend(stepped.effects.codes_deleted.iter().map(|code| code.code));
        for cause in causes {
            match cause {
                Cause::PersonPut(person) => _ = self.people.insert((portfolio, person.id)),
                Cause::PersonDeleted(person) => _ = self.people.insert((portfolio, *person)),
                Cause::QuarantineEnded { property, codes } => {
                    self.codes.insert((portfolio, *property));
                    self.released.entry(portfolio).or_default().extend(codes);
                }
                _ => {}
            }
        }
    }
}

impl Books {
    /// Makes a data directory and its secrets, the authority, and the first portfolio from a site.
    pub fn create(layout: &Layout, site: &Site, now: Moment) -> Result<Books, StartError> {
        Books::create_at(&Medium::default(), layout, site, now)
    }

    /// [`Books::create`] on some medium.
    pub fn create_at(medium: &Medium, layout: &Layout, site: &Site, now: Moment) -> Result<Books, StartError> {
        Books::create_with(medium, layout, site, now, Progress::silent())
    }

    /// [`Books::create_at`] that tells how far it is.
    pub fn create_with(
        medium: &Medium,
        layout: &Layout,
        site: &Site,
        now: Moment,
        progress: Progress,
    ) -> Result<Books, StartError> {
        let portfolio = PortfolioId(1);
        let fresh = Portfolio::new(portfolio, String::new());
        let mut random = StdRng::from_seed(random_bytes());
        let causes = portfolios::causes_of(site, now, &mut random);
        // Judged before anything is made: a site that is refused leaves nothing behind.
        let decided = progress
            .during("working out what the site comes to", "", |_| decide::decide_causes(&fresh, causes, now, None))
            .map_err(StartError::Site)?;
        unless_unfinished(layout)?;
        for directory in [layout.data(), layout.secrets()] {
            if fs::exists(directory).unwrap_or(true)
                && fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
            {
                return Err(StartError::Exists(directory.to_owned()));
            }
            // Nobody but the server's own user looks into either.
            let made = medium.disk.create_directory(directory);
            made.map_err(|cause| StartError::Io { path: directory.to_owned(), cause })?;
        }
        let io = |cause| StartError::Io { path: layout.unfinished(), cause };
        begin_init(&medium.disk, layout).map_err(io)?;
        let lock = lock(layout)?;
        let lineage: [u8; 16] = random_bytes();
        let hex = hex(&lineage);
        Authority::create_at(&medium.disk, layout.secrets(), &hex, now)?;
        let root = RootSecret::generate()?;
        root.write_new_on(&medium.disk, &layout.root())?;
        let id = vault::new_id(portfolio, random_bytes());
        let vault = Vault::create_at(&medium.disk, &layout.vault(portfolio), &root, id)?;
        let journal = Journal::create_at(medium.journal(layout), lineage)?;
        let mut books = Books {
            disk: medium.disk.clone(),
            layout: layout.clone(),
            directory: Directory::default(),
            durable: Directory::default(),
            journal,
            vaults: Vaults::of(portfolio, vault),
            entries: Vec::new(),
            pending: Committed::default(),
            dues: BTreeMap::new(),
            random,
            trail: Trail::default(),
            progress: progress.clone(),
            _lock: lock,
        };
        books.directory.portfolios.insert(portfolio, Arc::new(fresh));
        progress
            .during("making the door codes", "", |_| books.enter(portfolio, &Actor::Administrator.into(), decided, now))
            .map_err(StartError::Site)?;
        progress.during("writing everything to the disk", "", |_| -> Result<(), WriteError> {
            books.commit()?;
            books.write_anchor()?;
            books.write_snapshot()
        })?;
        end_init(&medium.disk, layout).map_err(io)?;
        Ok(books)
    }

    /// Opens what [`Books::create`] made: snapshot, journal after it, vaults reconciled with both.
    pub fn open(layout: &Layout) -> Result<(Books, OpenReport), StartError> {
        Books::open_at(&Medium::default(), layout)
    }

    /// [`Books::open`] on some medium.
    pub fn open_at(medium: &Medium, layout: &Layout) -> Result<(Books, OpenReport), StartError> {
        let (mut books, mut report) = Books::open_early(medium, layout, Progress::silent())?;
        report.lost = books.read_vaults().lost;
        books.vaults = books.vaults.into_failure()?;
        Ok((books, report))
    }

    /// [`Books::open_at`] that leaves the vaults to [`Books::read_vaults`], but for their headers: no lost code is
    /// reported yet, and what needs a vault is refused.
    pub fn open_early(medium: &Medium, layout: &Layout, progress: Progress) -> Result<(Books, OpenReport), StartError> {
        unless_half_done(layout)?;
        if !layout.journal().is_dir() {
            return Err(StartError::nothing_in(layout.data()));
        }
        let lock = lock(layout)?;
        let mut report = OpenReport::default();
        let (found, decoded) = progress.during("reading the snapshot", "", |_| {
            snapshot::newest(&layout.snapshots()).map(|found| {
                let decoded = found.snapshot.as_ref().map(|snapshot| decode_directory(snapshot.payload()));
                (found, decoded)
            })
        })?;
        for damaged in &found.damaged {
            report.warnings.push(format!("the snapshot `{}` is damaged: {}", damaged.file.display(), damaged.what));
        }
        let mut lineage = None;
        let (mut directory, mut after) = (Directory::default(), 0);
        if let (Some(snapshot), Some(decoded)) = (found.snapshot, decoded) {
            match decoded {
                Ok(decoded) => {
                    (directory, after) = (decoded, snapshot.sequence);
                    lineage = Some(snapshot.lineage);
                }
                Err(why @ RecordError::Newer(_)) => {
                    return Err(StartError::NewerDirectory { file: snapshot.file, why });
                }
                Err(why) => report.warnings.push(format!("a snapshot can't be read and is passed over: {why}")),
            }
        }
        let frames = journal::anchored(&layout.anchor()).unwrap_or(0);
        let mut replay = Replay::from(directory);
        let (read, replayed) = progress
            .during("reading the journal", "frames", |counter| {
                replay.all(|visit| {
                    Journal::read_at(medium.journal(layout), after, &mut |sequence, entry| {
                        // The anchor may be behind, or missing: then nobody knows of how many.
                        counter.at(sequence, if sequence <= frames { frames } else { 0 });
                        visit(sequence, entry)
                    })
                })
            })
            .map_err(|error| StartError::replaying(layout, error))?;
        if lineage.is_some_and(|lineage| lineage != read.lineage()) {
            return Err(StartError::Foreign(layout.snapshots()));
        }
        // Nothing of the journal is changed before all of it could be done again.
        let (journal, journal_report) = read.settle()?;
        let directory = replay.directory;
        report.torn_bytes = journal_report.torn_bytes;
        report.replayed = replayed;
        if journal_report.anchor != journal::AnchorFound::Agrees {
            report
                .warnings
                .push("the journal's anchor is missing or damaged: its end can't be checked this time".into());
        }
        let ids = || directory.portfolios.keys().copied();
        match rotations::settle(&medium.disk, layout, ids())? {
            Some(CutShort::Finished) => {
                report.warnings.push("a rotation of the root was cut short: it is finished".into())
            }
            Some(CutShort::Undone) => {
                report.warnings.push("a rotation of the root was cut short before it was in force: do it again".into());
            }
            None => {}
        }
        let root = RootSecret::read(&layout.root())?;
        let vaults = Vaults::open(&medium.disk, layout, &root, ids())?;
        let mut books = Books {
            disk: medium.disk.clone(),
            layout: layout.clone(),
            durable: directory.clone(),
            directory,
            journal,
            vaults,
            entries: Vec::new(),
            pending: Committed::default(),
            dues: BTreeMap::new(),
            random: StdRng::from_seed(random_bytes()),
            trail: Trail::default(),
            progress,
            _lock: lock,
        };
        books.note_all_dues();
        let journal_is_whole = journal_report.anchor == journal::AnchorFound::Agrees;
        report.warnings.extend(books.clear_vaults(&root, journal_is_whole));
        Ok((books, report))
    }

    /// The Directory, what was decided and is not durable yet included. Nobody but the engine sees that.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Where the files are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The last frame of the journal.
    pub fn sequence(&self) -> u64 {
        self.journal.head().sequence
    }

    /// The history that these books belong to.
    pub fn lineage(&self) -> [u8; 16] {
        self.journal.lineage()
    }

    /// What makes the tags of a portfolio's codes.
    pub fn tagger(&self, portfolio: PortfolioId) -> Option<Tagger> {
        self.vaults.tagger(portfolio)
    }

    /// What makes the tags of every portfolio's codes.
    pub fn taggers(&self) -> BTreeMap<PortfolioId, Tagger> {
        self.vaults.taggers()
    }

    /// A portfolio's vault, if it was read and could be.
    pub fn vault(&self, portfolio: PortfolioId) -> Option<&Vault> {
        self.vaults.get(portfolio).ok()
    }

    /// Reads the vaults that were not read yet and puts them right by what the books say. To be called before anything
    /// is decided: what a crash left in a vault is told from what it should hold by the books as they were opened.
    pub fn read_vaults(&mut self) -> VaultsRead {
        let Books { vaults, directory, progress, .. } = self;
        progress.behind("reading the door codes", "slots", |counter| {
            vaults.read(directory, &|done, of| counter.at(done, of))
        })
    }

    /// How long steps tell how far they are.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Decides a command against the books as they will be, and puts it in the next commit. What a person's command starts
    /// from has to be there still (K12).
    pub fn decide(
        &mut self,
        portfolio: PortfolioId,
        asker: impl Into<Asker>,
        command: &Command,
        now: Moment,
        proviso: impl Into<Proviso>,
    ) -> Result<Done, Refusal> {
        let seeds = std::array::from_fn(|_| rand::Rng::next_u64(&mut self.random));
        let (asker, before) = (asker.into(), self.portfolio(portfolio)?);
        let Proviso { was, pinned } = proviso.into();
        let command = match asker.actor {
            Actor::Person(person) => {
                let sight = Sight::of(&before, person)?.having_met(&asker.met);
                since::authorize(&sight, command, was.as_ref(), now)?
            }
            Actor::Holder(person) => {
                permission::authorize_holder(&before, person, command)?;
                Cow::Borrowed(command)
            }
            Actor::Administrator | Actor::Clock | Actor::Lock(_) => Cow::Borrowed(command),
        };
        let decided = decide::decide(&before, &command, now, seeds, pinned)?;
        self.enter(portfolio, &asker, decided, now)
    }

    /// Lets a key join by a token, in the next commit. Whom it then proves somebody to be is told.
    pub fn join(
        &mut self,
        portfolio: PortfolioId,
        joiner: &Joiner,
        from: Option<SocketAddr>,
        now: Moment,
    ) -> Result<Party, Refusal> {
        let before = self.portfolio(portfolio)?;
        let (party, causes) = joining::join(&before, joiner, now)?;
        let actor = match party {
            Party::Lock(lock) => Actor::Lock(lock),
            Party::Operator(person) => Actor::Person(person),
            Party::Holder(person) => Actor::Holder(person),
        };
        self.step(portfolio, &Asker { actor, met: Vec::new(), from }, causes, now, None)?;
        Ok(party)
    }

    /// Puts an attempt that was refused in the audit trail, with the next commit: as long as there are not too many of
    /// them, and else as a number in a later one (M7).
    pub fn note_refused(
        &mut self,
        portfolio: PortfolioId,
        asker: &Asker,
        attempt: Attempt,
        why: &Refusal,
        now: Moment,
    ) {
        let Some(person) = asker.actor.person() else { return };
        let by = asker.by(now);
        if let Some(due) = self.trail.refused((portfolio, person), by, attempt, why) {
            self.tell_refused(portfolio, &due);
        }
    }

    /// The numbers of attempts that could not be told one by one, where it is time.
    pub fn note_unsaid(&mut self, now: Moment) {
        for (portfolio, due) in self.trail.unsaid(now) {
            self.tell_refused(portfolio, &due);
        }
    }

    fn tell_refused(&mut self, portfolio: PortfolioId, due: &Due) {
        // Somebody of another server's portfolio has no trail here.
        let Ok(found) = self.portfolio(portfolio) else { return };
        self.entries.push(Entry::Acted(Acted::refused(&due.by, &found, &due.attempt, &due.why, due.more)).encode());
    }

    /// The digits of a live code, for somebody who may be shown them (C8): put in the audit trail with the next commit,
    /// and to be handed out after it.
    pub fn show(&mut self, portfolio: PortfolioId, asker: &Asker, code: CodeId, now: Moment) -> Result<Shown, Refusal> {
        let found = self.portfolio(portfolio)?;
        let with_code = || found.properties.values().find_map(|of| Some((of, of.codes.get(&code)?)));
        let (property, code) = with_code().ok_or_else(|| Refusal::NotFound("door code".to_owned()))?;
        match asker.actor {
            Actor::Person(person) => permission::shows_code(&Sight::of(&found, person)?, property, code)?,
            Actor::Holder(person) if person == code.person => {}
            Actor::Holder(_) => return Err(Refusal::NotFound("door code".to_owned())),
            Actor::Administrator | Actor::Clock | Actor::Lock(_) => {}
        }
        if let Some(person) = asker.actor.person() {
            self.trail.shows((portfolio, person), now)?;
        }
        let digits = self.reveal(portfolio, code.id)?;
        self.entries.push(Entry::Acted(Acted::revealed(&asker.by(now), &found, property, code)).encode());
        Ok(Shown { code: code.id, person: code.person, door: code.door, digits })
    }

    /// Puts ends that are due by `now` in the next commit, where there are any. Where the vault can't be read they have
    /// to wait for a start that can: access ends on time without the books.
    pub fn apply_due(&mut self, now: Moment) -> Result<(), Refusal> {
        let due: Vec<(PortfolioId, PropertyId)> =
            self.dues().filter(|(_, due)| *due <= now).map(|(place, _)| place).collect();
        for (portfolio, property) in due {
            let before = self.portfolio(portfolio)?;
            let causes =
                before.properties.get(&property).map(|property| decide::due_in(property, now)).unwrap_or_default();
            if causes.is_empty() {
                self.note_due(portfolio, property);
            } else {
                self.step(portfolio, &Actor::Clock.into(), causes, now, None)?;
            }
        }
        Ok(())
    }

    /// The first moment at which something ends that can be put in the books.
    pub fn next_due(&self) -> Option<Moment> {
        self.dues().map(|(_, due)| due).min()
    }

    fn dues(&self) -> impl Iterator<Item = ((PortfolioId, PropertyId), Moment)> {
        self.dues.iter().filter(|(place, _)| self.vaults.is_read(place.0)).map(|(place, due)| (*place, *due))
    }

    fn note_due(&mut self, portfolio: PortfolioId, property: PropertyId) {
        let found = self.directory.portfolios.get(&portfolio).and_then(|found| found.properties.get(&property));
        match found.and_then(|property| decide::next_due(property)) {
            Some(due) => self.dues.insert((portfolio, property), due),
            None => self.dues.remove(&(portfolio, property)),
        };
    }

    fn note_all_dues(&mut self) {
        for (portfolio, property) in Committed::everything(&self.directory).properties {
            self.note_due(portfolio, property);
        }
    }

    fn step(
        &mut self,
        portfolio: PortfolioId,
        asker: &Asker,
        causes: Vec<Cause>,
        now: Moment,
        pinned: Option<[u8; 32]>,
    ) -> Result<Done, Refusal> {
        let before = self.portfolio(portfolio)?;
        let decided = decide::decide_causes(&before, causes, now, pinned)?;
        self.enter(portfolio, asker, decided, now)
    }

    /// The digits of a live code.
    pub fn reveal(&self, portfolio: PortfolioId, code: CodeId) -> Result<Digits, Refusal> {
        let vault = self.vaults.get(portfolio)?;
        vault.reveal(code).map_err(|error| Refusal::Unavailable(error.to_string()))
    }

    fn portfolio(&self, portfolio: PortfolioId) -> Result<Arc<Portfolio>, Refusal> {
        self.directory.portfolios.get(&portfolio).cloned().ok_or_else(|| Refusal::NotFound("portfolio".into()))
    }

    /// Has the vault make the codes (on disk before the journal names them), and puts the change in the next commit.
    fn enter(&mut self, portfolio: PortfolioId, asker: &Asker, decided: Decided, now: Moment) -> Result<Done, Refusal> {
        let before = self.portfolio(portfolio)?;
        let Decided { causes, stepped } = decided;
        let effects = stepped.effects.clone();
        let wanted: Vec<Wanted> = effects
            .codes_made
            .iter()
            .map(|code| Wanted { code: code.code, door: code.door, person: code.person, digits: code.digits })
            .collect();
        let released = causes.iter().any(|cause| matches!(cause, Cause::QuarantineEnded { .. }));
        let commitments = if wanted.is_empty() && effects.codes_deleted.is_empty() && !released {
            Vec::new()
        } else {
            // Needed also where codes are only deleted: who is told of it is told that they are destroyed.
            let vault = self.vaults.get_mut(portfolio)?;
            match wanted.is_empty() {
                true => Vec::new(),
                false => vault.make(&wanted, &mut self.random).map_err(|error| unmade(&stepped.after, &error))?,
            }
        };
        let (actor, digest) = (asker.actor, effects.digest());
        let change = Change { portfolio, actor, at: now, causes, commitments, digest };
        self.pending.note(portfolio, &change.causes, &stepped);
        let touched = stepped.touched.clone();
        let after = effects::finish(stepped, &change.commitments, now);
        let revision = after.revision;
        let acted = Acted::done(&asker.by(now), &before, &after, &change.causes, &effects);
        self.directory.portfolios.insert(portfolio, Arc::new(after));
        touched.into_iter().for_each(|property| self.note_due(portfolio, property));
        let causes = change.causes.clone();
        self.entries.push(Entry::Change(change).encode());
        self.entries.push(Entry::Acted(acted).encode());
        Ok(Done { revision, causes, effects })
    }

    /// Makes everything that was decided durable with one flush; `None` when there is nothing. After an error that
    /// [is no room](WriteError::is_no_room) nothing of it is left, in the books neither; after any other the process has
    /// to end.
    pub fn commit(&mut self) -> Result<Option<Committed>, WriteError> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let entries: Vec<&[u8]> = self.entries.iter().map(Vec::as_slice).collect();
        if let Err(error) = self.journal.append(&entries).map_err(WriteError::from) {
            if error.is_no_room() {
                self.forget_undone()?;
            }
            return Err(error);
        }
        self.entries.clear();
        self.durable = self.directory.clone();
        Ok(Some(std::mem::take(&mut self.pending)))
    }

    /// Nothing that was decided since the last commit happened: nobody has seen it, and the codes that were made for it
    /// are shredded.
    fn forget_undone(&mut self) -> Result<(), WriteError> {
        self.entries.clear();
        self.directory = self.durable.clone();
        let undone = std::mem::take(&mut self.pending);
        for portfolio in undone.begun {
            self.remove_vault(portfolio);
        }
        for (portfolio, codes) in undone.made {
            if let Ok(vault) = self.vaults.get_mut(portfolio) {
                vault.forget(&codes)?;
            }
        }
        self.dues.clear();
        self.note_all_dues();
        Ok(())
    }

    /// Destroys what a commit deleted, once it is published: salt and seal, and the tag when its quarantine is over.
    pub fn destroy(&mut self, committed: &Committed) -> Result<(), WriteError> {
        for (portfolio, codes) in committed.deleted.iter().filter(|(_, codes)| !codes.is_empty()) {
            if let Ok(vault) = self.vaults.get_mut(*portfolio) {
                vault.destroy(codes)?;
            }
        }
        for (portfolio, codes) in committed.released.iter().filter(|(_, codes)| !codes.is_empty()) {
            if let Ok(vault) = self.vaults.get_mut(*portfolio) {
                vault.forget(codes)?;
            }
        }
        Ok(())
    }

    /// Writes the journal's head to the second place.
    pub fn write_anchor(&self) -> Result<(), WriteError> {
        Ok(self.journal.write_anchor()?)
    }

    /// Writes a snapshot of the Directory as of the journal's head.
    pub fn write_snapshot(&self) -> Result<(), WriteError> {
        let payload = encode_directory(&self.directory);
        let head = self.journal.head();
        snapshot::write_on(&self.disk, &self.layout.snapshots(), head.sequence, self.journal.lineage(), &payload)?;
        Ok(())
    }
}

/// A door code that somebody may be shown (C8).
#[derive(Clone)]
pub struct Shown {
    /// Which.
    pub code: CodeId,
    /// Whose.
    pub person: PersonId,
    /// Where.
    pub door: DoorId,
    /// What it is.
    pub digits: Digits,
}

/// What whoever asks for a change is told while there is no room for it.
pub(super) fn disk_is_full() -> Refusal {
    let what = "the server's disk is full, nothing was changed: free some room there, then do it again";
    Refusal::Unavailable(what.to_owned())
}

fn unmade(after: &Portfolio, error: &MakeError) -> Refusal {
    let MakeError::NoFreeCode { door } = error else {
        let no_room = matches!(error, MakeError::Vault(VaultError::NoRoom));
        return if no_room { disk_is_full() } else { Refusal::Unavailable(error.to_string()) };
    };
    let property = after.property_with_door(*door);
    let name = property.and_then(|property| property.doors.get(door)).map(|door| door.name.clone());
    Refusal::Invalid(format!(
        "door `{}` has no free code left: set the property to more digits",
        name.unwrap_or_default()
    ))
}

pub(super) fn lock(layout: &Layout) -> Result<File, StartError> {
    let path = layout.lock();
    let io = |cause| StartError::Io { path: path.clone(), cause };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::Running(layout.data().to_owned())),
        Err(TryLockError::Error(cause)) => Err(StartError::Io { path, cause }),
    }
}

pub(super) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes; without them no secret can be made");
    bytes
}

/// What was begun and stopped comes first: until an `init` is done nothing is there, and until a repair is the files are
/// of two histories.
pub(super) fn unless_half_done(layout: &Layout) -> Result<(), StartError> {
    unless_unfinished(layout)?;
    match layout.repairing().join(repair::MOVES).exists() {
        true => Err(StartError::Repairing(layout.data().to_owned())),
        false => Ok(()),
    }
}

/// Refuses what an `init` that was stopped has left; while one is at it, that is said.
pub fn unless_unfinished(layout: &Layout) -> Result<(), StartError> {
    if !layout.unfinished().exists() {
        return Ok(());
    }
    drop(lock(layout)?);
    let (data, secrets) = (layout.data().to_owned(), layout.secrets().to_owned());
    Err(StartError::Unfinished { data, secrets })
}

/// From here on the directory says by itself that it is of no use, until [`end_init`].
fn begin_init(disk: &Disk, layout: &Layout) -> io::Result<()> {
    disk.create(&layout.unfinished())?;
    disk.sync_directory(layout.data())
}

fn end_init(disk: &Disk, layout: &Layout) -> io::Result<()> {
    disk.remove(&layout.unfinished())?;
    disk.sync_directory(layout.data())
}
