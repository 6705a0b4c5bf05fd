//! What a disk holds at any moment of a recorded run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::disk::{Operation, Verdict, Witness};

/// What a disk writes as one.
const SECTOR_BYTES: usize = 512;

/// Directories and files, by their paths below some root.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub directories: BTreeSet<PathBuf>,
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// Names of files that have an earlier name too, which comes first.
    pub linked: Vec<(PathBuf, PathBuf)>,
}

/// An operation that was done, with paths below the root.
#[derive(Clone, Debug)]
pub(super) enum Owned {
    Create(PathBuf),
    Write(PathBuf, usize, Vec<u8>),
    Truncate(PathBuf, usize),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    CreateDirectory(PathBuf),
    SyncDirectory(PathBuf),
}

/// What was promised to whom, at its place between operations.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// Everything up to this boundary was acknowledged.
    Acknowledged(usize),
    /// So many records' attempts were answered.
    Answered(u64),
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Did(Owned),
    Mark(Mark),
}

/// Notes every operation; lets one fail, or all from that one on.
pub(super) struct Recorder {
    root: PathBuf,
    events: Mutex<Vec<Event>>,
    seen: AtomicUsize,
    failing: usize,
    verdict: Verdict,
    for_good: bool,
    /// From the failing operation on there is no room for more bytes and names; what is there can be written over.
    full: AtomicBool,
}

impl Image {
    /// Everything below `root`; nothing if there is no such directory.
    pub fn read(root: &Path) -> Image {
        let mut image = Image::default();
        let mut open = vec![root.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().map(|entry| entry.unwrap().path()) {
                let name = entry.strip_prefix(root).unwrap().to_owned();
                if entry.is_dir() {
                    image.directories.insert(name);
                    open.push(entry);
                } else {
                    image.files.insert(name, fs::read(&entry).unwrap());
                }
            }
        }
        image
    }

    pub fn lay_out(&self, root: &Path) {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        for directory in std::iter::once(Path::new("")).chain(self.directories.iter().map(PathBuf::as_path)) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(root.join(directory)).unwrap();
        }
        for (name, bytes) in &self.files {
            let options = &mut fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(root.join(name)).unwrap();
            std::io::Write::write_all(&mut &file, bytes).unwrap();
        }
        for (first, name) in &self.linked {
            fs::remove_file(root.join(name)).unwrap();
            fs::hard_link(root.join(first), root.join(name)).unwrap();
        }
    }
}

impl Recorder {
    pub fn new(root: &Path) -> Arc<Recorder> {
        Recorder::failing(root, usize::MAX, Verdict::Proceed, false)
    }

    pub fn failing(root: &Path, operation: usize, verdict: Verdict, for_good: bool) -> Arc<Recorder> {
        let (events, seen) = (Mutex::default(), AtomicUsize::new(0));
        let (root, full) = (root.to_owned(), AtomicBool::new(false));
        Arc::new(Recorder { root, events, seen, failing: operation, verdict, for_good, full })
    }

    /// The disk is full from an operation on, until there is [room](Self::make_room).
    pub fn full(root: &Path, operation: usize) -> Arc<Recorder> {
        let (events, seen) = (Mutex::default(), AtomicUsize::new(0));
        let (root, full) = (root.to_owned(), AtomicBool::new(true));
        Arc::new(Recorder { root, events, seen, failing: operation, verdict: Verdict::NoRoom(0), for_good: true, full })
    }

    pub fn make_room(&self) {
        self.full.store(false, Ordering::SeqCst);
    }

    /// What a full disk says to an operation; half of a write finds room.
    fn when_full(operation: Operation<'_>) -> Verdict {
        match operation {
            Operation::Write(path, at, bytes) => {
                let there = fs::metadata(path).map_or(0, |found| found.len());
                let grows = at + bytes.len() as u64 > there;
                if grows { Verdict::NoRoom(bytes.len() / 2) } else { Verdict::Proceed }
            }
            Operation::Create(_) | Operation::CreateDirectory(_) | Operation::Rename(..) => Verdict::NoRoom(0),
            _ => Verdict::Proceed,
        }
    }

    pub fn mark(&self, mark: Mark) {
        self.events.lock().unwrap().push(Event::Mark(mark));
    }

    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    fn owned(&self, operation: Operation<'_>) -> Owned {
        let below = |path: &Path| path.strip_prefix(&self.root).unwrap_or(path).to_owned();
        match operation {
            Operation::Create(path) => Owned::Create(below(path)),
            Operation::Write(path, at, bytes) => Owned::Write(below(path), at as usize, bytes.to_vec()),
            Operation::Truncate(path, length) => Owned::Truncate(below(path), length as usize),
            Operation::Sync(path) => Owned::Sync(below(path)),
            Operation::Rename(from, to) => Owned::Rename(below(from), below(to)),
            Operation::Remove(path) => Owned::Remove(below(path)),
            Operation::CreateDirectory(path) => Owned::CreateDirectory(below(path)),
            Operation::SyncDirectory(path) => Owned::SyncDirectory(below(path)),
        }
    }
}

impl Witness for Recorder {
    fn before(&self, operation: Operation<'_>) -> Verdict {
        let number = self.seen.fetch_add(1, Ordering::SeqCst);
        if matches!(self.verdict, Verdict::NoRoom(_)) {
            let full = number >= self.failing && self.full.load(Ordering::SeqCst);
            return if full { Recorder::when_full(operation) } else { Verdict::Proceed };
        }
        if number == self.failing || (self.for_good && number > self.failing) {
            return if number == self.failing { self.verdict } else { Verdict::Fail };
        }
        self.events.lock().unwrap().push(Event::Did(self.owned(operation)));
        Verdict::Proceed
    }
}

impl fmt::Display for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owned::Create(path) => write!(f, "create `{}`", path.display()),
            Owned::Write(path, at, bytes) => write!(f, "write {} bytes at {at} of `{}`", bytes.len(), path.display()),
            Owned::Truncate(path, length) => write!(f, "cut `{}` to {length}", path.display()),
            Owned::Sync(path) => write!(f, "flush `{}`", path.display()),
            Owned::Rename(from, to) => write!(f, "rename `{}` to `{}`", from.display(), to.display()),
            Owned::Remove(path) => write!(f, "remove `{}`", path.display()),
            Owned::CreateDirectory(path) => write!(f, "make directory `{}`", path.display()),
            Owned::SyncDirectory(path) => write!(f, "flush directory `{}`", path.display()),
        }
    }
}

/// A machine: what its processes see, and what is on its disk.
#[derive(Clone)]
pub(super) struct Machine {
    files: Vec<File>,
    live: Names,
    durable: Names,
    /// Changes of names since their directory's last flush.
    pending: Vec<Renaming>,
}

/// Directories have no file.
type Names = BTreeMap<PathBuf, Option<usize>>;

#[derive(Clone)]
enum Renaming {
    Put(PathBuf, Option<usize>),
    Gone(PathBuf),
    /// A directory with all that is in it.
    Moved(PathBuf, PathBuf),
}

#[derive(Clone, Default)]
struct File {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Machine {
    /// One on whose disk this is.
    pub fn new(image: &Image) -> Machine {
        let mut machine = Machine { files: Vec::new(), live: Names::new(), durable: Names::new(), pending: Vec::new() };
        machine.live.extend(image.directories.iter().map(|name| (name.clone(), None)));
        for (name, bytes) in &image.files {
            machine.live.insert(name.clone(), Some(machine.files.len()));
            machine.files.push(File { live: bytes.clone(), durable: bytes.clone(), pending: Vec::new() });
        }
        for (first, name) in &image.linked {
            let file = machine.live[first];
            machine.live.insert(name.clone(), file);
        }
        machine.durable.clone_from(&machine.live);
        machine
    }

    pub fn apply(&mut self, did: &Owned) {
        match did {
            Owned::Create(path) => match self.live.get(path).copied().flatten() {
                Some(_) => self.change(path, Change::Truncate(0)),
                None => {
                    self.files.push(File::default());
                    self.put(path, Some(self.files.len() - 1));
                }
            },
            Owned::Write(path, at, bytes) => self.change(path, Change::Write(*at, bytes.clone())),
            Owned::Truncate(path, length) => self.change(path, Change::Truncate(*length)),
            Owned::Sync(path) => {
                let file = self.file(path);
                file.durable.clone_from(&file.live);
                file.pending.clear();
            }
            Owned::Rename(from, to) => {
                let file = self.live.get(from).copied().expect("what is renamed is there");
                if file.is_none() {
                    let moved = Renaming::Moved(from.clone(), to.clone());
                    moved.apply(&mut self.live);
                    self.pending.push(moved);
                    return;
                }
                // The kernel does both at once.
                self.put(to, file);
                self.gone(from);
            }
            Owned::Remove(path) => self.gone(path),
            Owned::CreateDirectory(path) => self.put(path, None),
            Owned::SyncDirectory(directory) => {
                let (now, later) = std::mem::take(&mut self.pending)
                    .into_iter()
                    .partition::<Vec<_>, _>(|renaming| renaming.path().parent() == Some(directory));
                now.iter().for_each(|renaming| renaming.apply(&mut self.durable));
                self.pending = later;
            }
        }
    }

    /// What each file holds for the processes of this machine.
    pub fn live_files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        let files = self.live.iter().filter_map(|(path, file)| Some((path, &self.files[(*file)?])));
        files.map(|(path, file)| (path.as_path(), file.live.as_slice()))
    }

    /// What the next process finds when this one is killed within `next`: everything that was written, and half of
    /// what was being written.
    pub fn killed(&self, next: Option<&Owned>) -> Image {
        self.after_a_kill(next).seen()
    }

    /// What the next start finds when the power fails within `next`: what was flushed, and by the seed some of what
    /// was not.
    pub fn powerless(&self, next: Option<&Owned>, seed: Option<u64>) -> Image {
        let Some(seed) = seed else { return self.image(&self.durable, |file| file.durable.clone()) };
        let mut machine = self.clone();
        if let Some(next) = next.filter(|next| !matches!(next, Owned::Sync(_) | Owned::SyncDirectory(_))) {
            machine.apply(next);
        }
        let mut random = StdRng::seed_from_u64(seed);
        let mut names = machine.durable.clone();
        // A file system keeps the order of its names.
        let kept = random.random_range(0..=machine.pending.len());
        machine.pending[..kept].iter().for_each(|renaming| renaming.apply(&mut names));
        let random = std::cell::RefCell::new(random);
        machine.image(&names, |file| {
            let mut bytes = file.durable.clone();
            file.pending.iter().for_each(|change| change.keep_some(&mut bytes, &mut random.borrow_mut()));
            bytes
        })
    }

    /// The same machine for the process after one that was killed within `next`: what was not flushed is still not.
    pub fn after_a_kill(&self, next: Option<&Owned>) -> Machine {
        let mut machine = self.clone();
        if let Some(Owned::Write(path, at, bytes)) = next {
            machine.apply(&Owned::Write(path.clone(), *at, bytes[..bytes.len() / 2].to_vec()));
        }
        machine
    }

    /// What every process of this machine sees.
    pub fn seen(&self) -> Image {
        self.image(&self.live, |file| file.live.clone())
    }

    fn image(&self, names: &Names, content: impl Fn(&File) -> Vec<u8>) -> Image {
        let mut image = Image::default();
        // What lies in a directory without a name has none either.
        let reachable = |path: &Path| {
            path.ancestors().skip(1).all(|above| above.as_os_str().is_empty() || names.contains_key(above))
        };
        let mut first_names: BTreeMap<usize, PathBuf> = BTreeMap::new();
        for (path, file) in names.iter().filter(|(path, _)| reachable(path)) {
            match file {
                Some(file) => {
                    if let Some(first) = first_names.get(file) {
                        image.linked.push((first.clone(), path.clone()));
                    } else {
                        first_names.insert(*file, path.clone());
                    }
                    image.files.insert(path.clone(), content(&self.files[*file]));
                }
                None => _ = image.directories.insert(path.clone()),
            }
        }
        image
    }

    fn file(&mut self, path: &Path) -> &mut File {
        let file = self.live.get(path).copied().flatten();
        &mut self.files[file.unwrap_or_else(|| panic!("`{}` is there", path.display()))]
    }

    fn change(&mut self, path: &Path, change: Change) {
        let file = self.file(path);
        change.apply(&mut file.live);
        file.pending.push(change);
    }

    fn put(&mut self, path: &Path, file: Option<usize>) {
        self.live.insert(path.to_owned(), file);
        self.pending.push(Renaming::Put(path.to_owned(), file));
    }

    fn gone(&mut self, path: &Path) {
        self.live.remove(path);
        self.pending.push(Renaming::Gone(path.to_owned()));
    }
}

impl Renaming {
    fn path(&self) -> &Path {
        match self {
            Renaming::Put(path, _) | Renaming::Gone(path) | Renaming::Moved(_, path) => path,
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Renaming::Put(path, file) => _ = names.insert(path.clone(), *file),
            Renaming::Gone(path) => _ = names.remove(path),
            Renaming::Moved(from, to) => {
                let inside: Vec<PathBuf> = names.keys().filter(|path| path.starts_with(from)).cloned().collect();
                for path in inside {
                    let file = names.remove(&path).flatten();
                    let below = path.strip_prefix(from).expect("it begins with it");
                    let moved = if below.as_os_str().is_empty() { to.clone() } else { to.join(below) };
                    names.insert(moved, file);
                }
            }
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, written) => {
                bytes.resize(bytes.len().max(at + written.len()), 0);
                bytes[*at..at + written.len()].copy_from_slice(written);
            }
            Change::Truncate(length) => bytes.resize(*length, 0),
        }
    }

    /// Each sector of a write is there or is not; a file's length may be there without its bytes.
    fn keep_some(&self, bytes: &mut Vec<u8>, random: &mut StdRng) {
        match self {
            Change::Truncate(_) if random.random_bool(0.5) => {}
            Change::Truncate(_) => self.apply(bytes),
            Change::Write(at, written) => {
                let end = at + written.len();
                if random.random_bool(0.5) {
                    bytes.resize(bytes.len().max(end), 0);
                }
                let mut from = *at;
                while from < end {
                    let to = end.min((from / SECTOR_BYTES + 1) * SECTOR_BYTES);
                    if random.random_bool(0.5) {
                        bytes.resize(bytes.len().max(to), 0);
                        bytes[from..to].copy_from_slice(&written[from - at..to - at]);
                    }
                    from = to;
                }
            }
        }
    }
}
