//! The journal: an append-only, hash-chained record of every change, and the only thing that makes an
//! acknowledgement true.
//!
//! It is a directory of segments, each named by the first frame in it, such as `0000000000000001.kwj`. A batch of
//! entries is one frame. All numbers are little-endian.
//!
//! ```text
//! segment   0           16        32               40                     72       76
//!           | preamble  | lineage | first sequence | hash of frame before | crc32c | frames ...
//!
//! frame     0        4        8                  12        16         24                     56
//!           | marker | crc32c | bytes of payload | entries | sequence | hash of frame before | payload
//!
//! payload   (bytes of entry: u32, entry) as often as there are entries
//! ```
//!
//! Frames are numbered from 1 without a gap. A frame's hash is blake3 over all its bytes; the one "before" the first
//! is made from the lineage. A frame's checksum begins with the lineage, so that a piece of another journal is never
//! taken for part of this one.
//!
//! # What is believed at a start
//!
//! Each append is flushed before the next is written, so a process or a machine that stops leaves at most one
//! unfinished frame, at the very end, which nobody was told about. That one is cut off. Everything else that isn't
//! right (a bad frame with a good one after it, a gap, a chain that doesn't join) can't come from stopping: it is
//! [`Corrupt`], and nothing is changed. A last frame that was acknowledged and has rotted since looks like an
//! unfinished one; the *anchor*, a small file in another place that follows the head, tells them apart for all but
//! what was written after it.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

pub use crate::format::{Hash, LINEAGE_BYTES, Lineage};
use crate::{
    disk::{Disk, DiskFile, is_no_room, parent_of},
    format::{Beginning, Fields, NewerFormat, PREAMBLE_BYTES, begin, preamble},
};

/// The newest version of segments and anchor that can be read, and the one that is written.
pub const FORMAT_VERSION: u32 = 1;
/// A new segment is begun when a frame would make the present one longer than this.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// The most bytes of one frame's payload.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

const SEGMENT_MAGIC: [u8; 8] = *b"kwjournl";
const ANCHOR_MAGIC: [u8; 8] = *b"kwanchor";
const SEGMENT_HEADER_BYTES: usize = PREAMBLE_BYTES + LINEAGE_BYTES + 8 + 32 + 4;
const FRAME_MARKER: [u8; 4] = *b"kwf:";
const FRAME_HEADER_BYTES: usize = 56;
const EXTENSION: &str = "kwj";

const _: () = assert!(SEGMENT_HEADER_BYTES == 76);
const _: () = assert!((PAYLOAD_BYTES_MAX as u64) < SEGMENT_BYTES && PAYLOAD_BYTES_MAX < u32::MAX as usize);

/// A segment's file, and the first frame in it.
pub type Segment = (PathBuf, u64);

/// Is shown a frame's sequence and one entry of it, for each entry in order; an error ends the reading.
pub type Visit<'a, E> = dyn FnMut(u64, &[u8]) -> Result<(), E> + 'a;

/// Where a journal is, and how it is written.
#[derive(Clone)]
pub struct Place {
    /// The directory of the segments.
    pub directory: PathBuf,
    /// The file of the anchor, better not in that directory.
    pub anchor: PathBuf,
    /// What changes the disk.
    pub disk: Disk,
    /// See [`SEGMENT_BYTES`].
    pub segment_bytes: u64,
}

/// The last frame of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 when there is none yet.
    pub sequence: u64,
    /// Its hash, which stands for everything up to here.
    pub hash: Hash,
}

/// What [`Journal::open`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// Bytes of an unfinished frame that were cut off the end; nobody was told that it was done.
    pub torn_bytes: u64,
    /// The last frame.
    pub head: Head,
    /// Whether there was an anchor to hold the journal against.
    pub anchor: AnchorFound,
}

/// The state of the anchor when the journal was opened. Without a readable one the end of the journal can't be
/// checked, which is worth a warning; it is written anew with the next [`Journal::write_anchor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorFound {
    /// It was there and the journal agrees with it.
    Agrees,
    /// There was none.
    Missing,
    /// It could not be read.
    Damaged,
}

/// Where a journal is damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the journal is damaged at frame {sequence}, byte {byte} of `{}`: {what}; nothing was changed: see what `keyward-server repair` can do, with a backup if there is one",
    file.display()
)]
pub struct Corrupt {
    /// The file in which it shows.
    pub file: PathBuf,
    /// The first byte of that file that can't be believed.
    pub byte: u64,
    /// The frame that should be there.
    pub sequence: u64,
    /// What is wrong.
    pub what: &'static str,
}

/// Why a journal can't be read, made or opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It is damaged. Nothing was changed.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// It was written by a later release.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// Parts of two histories stand beside each other.
    #[error("`{}` belongs to another history than the rest of the journal: put the files of one backup together", file.display())]
    WrongLineage {
        /// The file that is of another lineage.
        file: PathBuf,
    },
    /// There is none.
    #[error("there is no journal in `{}`: make one with `init`, or restore a backup", directory.display())]
    Missing {
        /// The directory.
        directory: PathBuf,
    },
    /// There is one already.
    #[error("there is a journal in `{}` already: open it, or choose another directory", directory.display())]
    Exists {
        /// The directory.
        directory: PathBuf,
    },
    /// Another process has it open.
    #[error("the journal in `{}` is in use: stop the server that has it open", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The disk refused.
    #[error("can't read or write the journal at `{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Why a journal can't be opened or read to its end.
#[derive(Debug, thiserror::Error)]
pub enum OpenError<E> {
    /// The journal's own reasons.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Whoever was shown the entries refused one.
    #[error("frame {sequence} of the journal, in `{}`, can't be applied: {cause}", file.display())]
    Visit {
        /// The segment that it stands in.
        file: PathBuf,
        /// The frame.
        sequence: u64,
        /// What the visitor said.
        cause: E,
    },
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A batch needs an entry. Nothing happened.
    #[error("a batch needs at least one entry")]
    Empty,
    /// The batch is too large. Nothing happened; it may be split.
    #[error("a batch of {bytes} bytes is larger than {PAYLOAD_BYTES_MAX}: split it")]
    TooLarge {
        /// Bytes of its payload.
        bytes: usize,
    },
    /// The disk is full. Nothing happened: it may be tried again when there is room.
    #[error("the disk is full")]
    NoRoom(#[source] io::Error),
    /// The disk refused. Whether the batch is on it shows at the next start; this process has to end.
    #[error("the journal can't be made durable: the server has to stop")]
    Io(#[source] io::Error),
    /// An earlier append failed; this process has to end.
    #[error("the journal failed earlier: the server has to stop")]
    Poisoned,
}

/// An open journal, the only one that writes to its directory.
pub struct Journal {
    place: Place,
    lineage: Lineage,
    head: Head,
    /// The segment that is written, and how long it is.
    segment: DiskFile,
    length: u64,
    /// The frame that the anchor names.
    anchored: AtomicU64,
    poisoned: bool,
    frame: Vec<u8>,
    /// Held for as long as the journal is open.
    _lock: File,
}

/// A journal that was read to its end, and is not opened for writing yet.
pub struct Read {
    place: Place,
    end: End,
    anchor: Option<Anchor>,
    anchor_found: AnchorFound,
    lock: File,
}

impl Read {
    /// The history that the journal tells.
    pub fn lineage(&self) -> Lineage {
        self.end.lineage
    }

    /// Cuts an unfinished frame off the end: the journal is ready to append.
    pub fn settle(self) -> Result<(Journal, OpenReport), JournalError> {
        let Self { place, end, anchor, anchor_found, lock } = self;
        let segment = settle(&place, &end).map_err(at(&end.file))?;
        let report = OpenReport { torn_bytes: end.torn_bytes, head: end.head, anchor: anchor_found };
        let anchored = AtomicU64::new(anchor.map_or(u64::MAX, |anchor| anchor.head.sequence));
        let journal = Journal {
            place,
            lineage: end.lineage,
            head: end.head,
            segment,
            length: end.length,
            anchored,
            poisoned: false,
            frame: Vec::new(),
            _lock: lock,
        };
        Ok((journal, report))
    }
}

impl Place {
    /// A journal on the real disk, in segments of the usual size.
    pub fn new(directory: &Path, anchor: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            anchor: anchor.to_owned(),
            disk: Disk::new(),
            segment_bytes: SEGMENT_BYTES,
        }
    }
}

impl Journal {
    /// Makes a new journal in a directory that has none. See [`Self::create_at`].
    pub fn create(directory: &Path, anchor: &Path, lineage: Lineage) -> Result<Self, JournalError> {
        Self::create_at(Place::new(directory, anchor), lineage)
    }

    /// Makes a new journal in a place that has none, and an anchor for it; directories are made as needed.
    pub fn create_at(place: Place, lineage: Lineage) -> Result<Self, JournalError> {
        for directory in [place.directory.as_path(), parent_of(&place.anchor)] {
            place.disk.create_directory(directory).map_err(at(directory))?;
        }
        let lock = lock(&place.directory)?;
        if !segments(&place.directory)?.is_empty() {
            return Err(JournalError::Exists { directory: place.directory });
        }
        let head = Head { sequence: 0, hash: genesis(&lineage) };
        // The segment comes last: where there is one, the journal is complete.
        write_anchor(&place, &lineage, &head).map_err(at(&place.anchor))?;
        let (segment, length) = begin_segment(&place, &lineage, &head).map_err(at(&place.directory))?;
        let frame = Vec::new();
        Ok(Self {
            place,
            lineage,
            head,
            segment,
            length,
            anchored: AtomicU64::new(0),
            poisoned: false,
            frame,
            _lock: lock,
        })
    }

    /// Opens a journal and shows the entries of all frames after `after`, in order. See [`Self::open_at`].
    pub fn open<E>(
        directory: &Path,
        anchor: &Path,
        after: u64,
        visit: &mut Visit<'_, E>,
    ) -> Result<(Self, OpenReport), OpenError<E>> {
        Self::open_at(Place::new(directory, anchor), after, visit)
    }

    /// Opens a journal: shows `visit` the entries of all frames after `after` with their frame's sequence, in order,
    /// cuts an unfinished frame off the end, and is then ready to append.
    ///
    /// Segments that end before both `after` and the anchor are not looked into. What was shown is worth nothing
    /// when an error is returned: damage may stand behind it.
    pub fn open_at<E>(place: Place, after: u64, visit: &mut Visit<'_, E>) -> Result<(Self, OpenReport), OpenError<E>> {
        Ok(Self::read_at(place, after, visit)?.settle()?)
    }

    /// The first half of [`Self::open_at`], which changes nothing.
    pub fn read_at<E>(place: Place, after: u64, visit: &mut Visit<'_, E>) -> Result<Read, OpenError<E>> {
        if !place.directory.is_dir() {
            return Err(JournalError::Missing { directory: place.directory }.into());
        }
        let lock = lock(&place.directory)?;
        let (anchor, anchor_found) = read_anchor(&place.anchor)?;
        let end = Reader { after, anchor, visit }.read(&place.directory)?;
        Ok(Read { place, end, anchor, anchor_found, lock })
    }

    /// Makes a batch durable as one frame and says its sequence. The batch is all there at the next start, or not
    /// at all.
    ///
    /// After [`AppendError::Io`] nothing more can be appended and the process has to end: what the failed flush
    /// left on the disk is settled by the next start.
    pub fn append(&mut self, entries: &[&[u8]]) -> Result<u64, AppendError> {
        if self.poisoned {
            return Err(AppendError::Poisoned);
        }
        if entries.is_empty() {
            return Err(AppendError::Empty);
        }
        let bytes = entries.iter().map(|entry| 4 + entry.len()).sum();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes });
        }
        let sequence = self.head.sequence + 1;
        encode(&mut self.frame, &self.lineage, sequence, &self.head.hash, entries);
        if let Err(error) = self.write_frame() {
            // What a full disk took of the frame is cut off. Should the process end before that is on disk, the start
            // does it: the frame is not whole.
            if is_no_room(&error) && self.segment.truncate(self.length).is_ok() {
                return Err(AppendError::NoRoom(error));
            }
            self.poisoned = true;
            return Err(AppendError::Io(error));
        }
        self.length += self.frame.len() as u64;
        self.head = Head { sequence, hash: *blake3::hash(&self.frame).as_bytes() };
        Ok(sequence)
    }

    fn write_frame(&mut self) -> io::Result<()> {
        let is_full = self.length + self.frame.len() as u64 > self.place.segment_bytes;
        if is_full && self.length > SEGMENT_HEADER_BYTES as u64 {
            (self.segment, self.length) = begin_segment(&self.place, &self.lineage, &self.head)?;
        }
        self.segment.write_at(self.length, &self.frame)?;
        self.segment.sync()
    }

    /// Brings the anchor up to the head; does nothing when it is there. To be called about once a second and at
    /// the end.
    pub fn write_anchor(&self) -> io::Result<()> {
        if self.anchored.load(Ordering::Relaxed) == self.head.sequence {
            return Ok(());
        }
        write_anchor(&self.place, &self.lineage, &self.head)?;
        self.anchored.store(self.head.sequence, Ordering::Relaxed);
        Ok(())
    }

    /// The last durable frame.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The history that this journal tells.
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// The directory of the segments, for [`read`].
    pub fn directory(&self) -> &Path {
        &self.place.directory
    }
}

/// Shows the entries of every frame there is, as [`read`] does.
pub fn read_all<E>(directory: &Path, visit: &mut Visit<'_, E>) -> Result<Head, OpenError<E>> {
    read(directory, 0, visit)
}

/// Shows the entries of every frame after `after` with their frame's sequence, in order, and says where the journal
/// ends. Changes nothing and needs no exclusive access: beside a running server it ends before the frame that is
/// just being written.
pub fn read<E>(directory: &Path, after: u64, visit: &mut Visit<'_, E>) -> Result<Head, OpenError<E>> {
    Ok(Reader { after, anchor: None, visit }.read(directory)?.head)
}

/// Shows the entries of one of the [`segments`], as [`read`] does.
pub fn read_segment<E>((file, first): &Segment, visit: &mut Visit<'_, E>) -> Result<(), OpenError<E>> {
    let bytes = fs::read(file).map_err(at(file))?;
    Reader { after: 0, anchor: None, visit }.read_segment(file, *first, &bytes, None).map(|_| ())
}

/// Reads every frame there is and holds all of it against the anchor, as [`Journal::open_at`] does; changes nothing.
pub fn inspect<E>(directory: &Path, anchor: &Path, visit: &mut Visit<'_, E>) -> Result<OpenReport, OpenError<E>> {
    let (anchor, anchor_found) = read_anchor(anchor)?;
    let end = Reader { after: 0, anchor, visit }.read(directory)?;
    Ok(OpenReport { torn_bytes: end.torn_bytes, head: end.head, anchor: anchor_found })
}

/// The frame that the anchor names; `None` where it is missing or can't be read. For telling how far reading is.
pub fn anchored(anchor: &Path) -> Option<u64> {
    read_anchor(anchor).ok()?.0.map(|anchor| anchor.head.sequence)
}

/// The history that the journal in `directory` belongs to, by the header of its first segment.
pub fn lineage_of(directory: &Path) -> Option<Lineage> {
    let (file, _) = segments(directory).ok()?.into_iter().next()?;
    let bytes = fs::read(file).ok()?;
    let mut fields = Fields(&bytes);
    match begin(&mut fields, SEGMENT_MAGIC, FORMAT_VERSION) {
        Beginning::Readable => SegmentHeader::parse(&bytes, fields).map(|header| header.lineage),
        Beginning::Newer(_) | Beginning::Damaged => None,
    }
}

/// The segment that has this frame, if the journal has it; else its directory.
pub fn segment_with(directory: &Path, sequence: u64) -> PathBuf {
    let segments = segments(directory).unwrap_or_default();
    let found = segments.into_iter().rev().find(|(_, first)| *first <= sequence);
    found.map_or_else(|| directory.to_owned(), |(file, _)| file)
}

/// A frame that can be read, wherever it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Its number.
    pub sequence: u64,
    /// The hash of the frame before it.
    pub before: Hash,
    /// Its own.
    pub hash: Hash,
    /// Its entries.
    pub entries: Vec<Vec<u8>>,
}

/// What can be read of a journal that is damaged.
#[derive(Debug, Default)]
pub struct Salvage {
    /// The history that it belongs to, by its anchor or the first header that is whole.
    pub lineage: Option<Lineage>,
    /// Every good frame, in the order in which they stand.
    pub frames: Vec<Salvaged>,
    /// The frame that the anchor names.
    pub anchored: Option<Head>,
}

/// Looks for good frames everywhere in a journal, past whatever is damaged. What a later release wrote is refused.
pub fn salvage(directory: &Path, anchor: &Path) -> Result<Salvage, JournalError> {
    let (anchor, _) = read_anchor(anchor)?;
    let anchored = anchor.map(|anchor| anchor.head);
    let mut found = Salvage { lineage: anchor.map(|anchor| anchor.lineage), anchored, ..Salvage::default() };
    let mut contents = Vec::new();
    let segments = if directory.is_dir() { segments(directory)? } else { Vec::new() };
    for (file, _) in segments {
        let bytes = fs::read(&file).map_err(at(&file))?;
        let mut fields = Fields(&bytes);
        match begin(&mut fields, SEGMENT_MAGIC, FORMAT_VERSION) {
            Beginning::Newer(version) => return Err(newer(&file, version)),
            Beginning::Readable => {
                let lineage = SegmentHeader::parse(&bytes, fields).map(|header| header.lineage);
                found.lineage = found.lineage.or(lineage);
            }
            Beginning::Damaged => {}
        }
        contents.push(bytes);
    }
    let Some(lineage) = found.lineage else { return Ok(found) };
    for bytes in contents {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let frame = Frame::at_front(rest, &lineage);
            let length = frame.as_ref().map_or(1, |frame| frame.bytes.len());
            found.frames.extend(frame.and_then(|frame| {
                let entries = frame.entries()?.into_iter().map(<[u8]>::to_vec).collect();
                let hash = *blake3::hash(frame.bytes).as_bytes();
                Some(Salvaged { sequence: frame.sequence, before: frame.before, hash, entries })
            }));
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    Ok(found)
}

/// What the anchor says.
#[derive(Clone, Copy)]
struct Anchor {
    lineage: Lineage,
    head: Head,
}

/// Reads segments in order and holds each frame against the one before, and against the anchor.
struct Reader<'a, E> {
    after: u64,
    anchor: Option<Anchor>,
    visit: &'a mut Visit<'a, E>,
}

/// Where reading ended.
struct End {
    file: PathBuf,
    lineage: Lineage,
    head: Head,
    /// Bytes of the last segment that are good.
    length: u64,
    torn_bytes: u64,
}

impl<E> Reader<'_, E> {
    fn read(mut self, directory: &Path) -> Result<End, OpenError<E>> {
        let segments = self.needed_segments(directory)?;
        let mut end: Option<End> = None;
        for (file, first) in &segments {
            let bytes = fs::read(file).map_err(at(file))?;
            end = Some(self.read_segment(file, *first, &bytes, end)?);
        }
        let end = end.ok_or_else(|| JournalError::Missing { directory: directory.to_owned() })?;
        self.check_end(&end)?;
        Ok(end)
    }

    /// The segments from the one that holds the first frame that is asked for, or the anchor's if that is earlier.
    fn needed_segments(&self, directory: &Path) -> Result<Vec<Segment>, JournalError> {
        let mut segments = segments(directory)?;
        let anchored = self.anchor.map_or(u64::MAX, |anchor| anchor.head.sequence);
        let start = anchored.min(self.after.saturating_add(1)).max(1);
        let earlier = segments.partition_point(|(_, first)| *first <= start);
        if earlier == 0 && !segments.is_empty() {
            let what = "the segment with this frame is missing";
            return Err(Corrupt { file: directory.to_owned(), byte: 0, sequence: start, what }.into());
        }
        Ok(segments.split_off(earlier.saturating_sub(1)))
    }

    fn read_segment(
        &mut self,
        file: &Path,
        first: u64,
        bytes: &[u8],
        before: Option<End>,
    ) -> Result<End, OpenError<E>> {
        let header = self.segment_header(file, first, bytes)?;
        if let Some(before) = &before {
            join(before, file, &header)?;
        }
        let mut end = End {
            file: file.to_owned(),
            lineage: header.lineage,
            head: Head { sequence: header.first - 1, hash: header.before },
            length: SEGMENT_HEADER_BYTES as u64,
            torn_bytes: 0,
        };
        self.check_anchor(&end)?;
        let mut rest = bytes.get(SEGMENT_HEADER_BYTES..).unwrap_or_default();
        while !rest.is_empty() {
            let Some(frame) = Frame::at_front(rest, &end.lineage) else {
                end.torn_bytes = rest.len() as u64;
                unless_good_follows(rest, &end)?;
                break;
            };
            self.take_frame(&frame, &mut end)?;
            rest = rest.get(frame.bytes.len()..).unwrap_or_default();
        }
        Ok(end)
    }

    fn segment_header(&self, file: &Path, first: u64, bytes: &[u8]) -> Result<SegmentHeader, JournalError> {
        let corrupt = |what| Corrupt { file: file.to_owned(), byte: 0, sequence: first, what };
        let mut fields = Fields(bytes);
        match begin(&mut fields, SEGMENT_MAGIC, FORMAT_VERSION) {
            Beginning::Readable => {}
            Beginning::Newer(found) => return Err(newer(file, found)),
            Beginning::Damaged => return Err(corrupt("this is not the beginning of a segment").into()),
        }
        let header = SegmentHeader::parse(bytes, fields).ok_or_else(|| corrupt("the segment's header is damaged"))?;
        if header.first != first || first == 0 {
            return Err(corrupt("the segment is named after another frame than it begins with").into());
        }
        if first == 1 && header.before != genesis(&header.lineage) {
            return Err(corrupt("the first segment does not begin the history that it names").into());
        }
        if self.anchor.is_some_and(|anchor| anchor.lineage != header.lineage) {
            return Err(JournalError::WrongLineage { file: file.to_owned() });
        }
        Ok(header)
    }

    fn take_frame(&mut self, frame: &Frame<'_>, end: &mut End) -> Result<(), OpenError<E>> {
        if Some(frame.sequence) != end.head.sequence.checked_add(1) {
            return Err(end.corrupt("another frame stands in its place").into());
        }
        if frame.before != end.head.hash {
            return Err(end.corrupt("the chain of hashes is broken before it").into());
        }
        let entries = frame.entries().ok_or_else(|| end.corrupt("its entries do not add up"))?;
        end.head = Head { sequence: frame.sequence, hash: *blake3::hash(frame.bytes).as_bytes() };
        self.check_anchor(end)?;
        end.length += frame.bytes.len() as u64;
        if frame.sequence > self.after {
            for entry in entries {
                (self.visit)(frame.sequence, entry).map_err(|cause| OpenError::Visit {
                    file: end.file.clone(),
                    sequence: frame.sequence,
                    cause,
                })?;
            }
        }
        Ok(())
    }

    /// Where the reader stands at the anchor's frame, the hashes have to agree.
    fn check_anchor(&self, end: &End) -> Result<(), Corrupt> {
        match self.anchor {
            Some(anchor) if anchor.head.sequence == end.head.sequence && anchor.head.hash != end.head.hash => {
                let what = "it is another frame than the anchor names";
                Err(Corrupt { file: end.file.clone(), byte: end.length, sequence: end.head.sequence, what })
            }
            _ => Ok(()),
        }
    }

    /// The journal has to reach what was known to be durable.
    fn check_end(&self, end: &End) -> Result<(), Corrupt> {
        let anchored = self.anchor.map_or(0, |anchor| anchor.head.sequence);
        if end.head.sequence < anchored {
            return Err(end.corrupt("the journal ends before it, yet the anchor names a later frame"));
        }
        if end.head.sequence < self.after {
            return Err(end.corrupt("the journal ends before it, yet a snapshot stands for a later frame"));
        }
        Ok(())
    }
}

impl End {
    /// The next frame is not what it should be.
    fn corrupt(&self, what: &'static str) -> Corrupt {
        Corrupt { file: self.file.clone(), byte: self.length, sequence: self.head.sequence.saturating_add(1), what }
    }
}

impl<E> From<Corrupt> for OpenError<E> {
    fn from(corrupt: Corrupt) -> Self {
        Self::Journal(JournalError::Corrupt(corrupt))
    }
}

/// A segment has to go on where the one before it ended.
fn join(before: &End, file: &Path, header: &SegmentHeader) -> Result<(), JournalError> {
    if header.lineage != before.lineage {
        return Err(JournalError::WrongLineage { file: file.to_owned() });
    }
    if before.torn_bytes > 0 {
        return Err(before.corrupt("it is damaged, and a segment follows").into());
    }
    if Some(header.first) != before.head.sequence.checked_add(1) {
        return Err(before.corrupt("the segment ends before it, and the next begins after it").into());
    }
    if header.before != before.head.hash {
        let what = "the segment does not join the one before";
        return Err(Corrupt { file: file.to_owned(), byte: 0, sequence: header.first, what }.into());
    }
    Ok(())
}

/// Bytes that are no frame are an unfinished write if no good frame stands anywhere behind them, and damage if one does.
fn unless_good_follows(rest: &[u8], end: &End) -> Result<(), Corrupt> {
    let follows = (1..rest.len()).filter_map(|offset| rest.get(offset..)).any(|tail| {
        tail.starts_with(&FRAME_MARKER)
            && Frame::at_front(tail, &end.lineage).is_some_and(|frame| frame.sequence > end.head.sequence)
    });
    if follows { Err(end.corrupt("it is damaged, and a good frame follows")) } else { Ok(()) }
}

/// What stands at the beginning of a segment.
struct SegmentHeader {
    lineage: Lineage,
    first: u64,
    before: Hash,
}

impl SegmentHeader {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = preamble(SEGMENT_MAGIC, FORMAT_VERSION).to_vec();
        bytes.extend(self.lineage);
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.before);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    /// `fields` are those of `bytes` behind the preamble.
    fn parse(bytes: &[u8], mut fields: Fields<'_>) -> Option<Self> {
        let header = Self { lineage: fields.take()?, first: fields.u64()?, before: fields.take()? };
        let checked = bytes.get(..SEGMENT_HEADER_BYTES - 4)?;
        (fields.u32()? == crc32c::crc32c(checked)).then_some(header)
    }
}

/// A frame whose checksum is right.
struct Frame<'a> {
    sequence: u64,
    before: Hash,
    entries: u32,
    payload: &'a [u8],
    /// All of it, as it is hashed.
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    fn at_front(bytes: &'a [u8], lineage: &Lineage) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.take()? != FRAME_MARKER {
            return None;
        }
        let checksum = fields.u32()?;
        let length = fields.u32()? as usize;
        let (entries, sequence, before) = (fields.u32()?, fields.u64()?, fields.take()?);
        if length > PAYLOAD_BYTES_MAX {
            return None;
        }
        let payload = fields.slice(length)?;
        let bytes = bytes.get(..FRAME_HEADER_BYTES + length)?;
        let is_right = checksum == frame_checksum(bytes, lineage)?;
        is_right.then_some(Self { sequence, before, entries, payload, bytes })
    }

    fn entries(&self) -> Option<Vec<&'a [u8]>> {
        let mut fields = Fields(self.payload);
        let mut entries = Vec::new();
        for _ in 0..self.entries {
            let length = fields.u32()? as usize;
            entries.push(fields.slice(length)?);
        }
        fields.0.is_empty().then_some(entries)
    }
}

fn encode(frame: &mut Vec<u8>, lineage: &Lineage, sequence: u64, before: &Hash, entries: &[&[u8]]) {
    let length: usize = entries.iter().map(|entry| 4 + entry.len()).sum();
    frame.clear();
    frame.extend(FRAME_MARKER);
    frame.extend([0; 4]);
    frame.extend(length_field(length));
    frame.extend(length_field(entries.len()));
    frame.extend(sequence.to_le_bytes());
    frame.extend(before);
    for entry in entries {
        frame.extend(length_field(entry.len()));
        frame.extend_from_slice(entry);
    }
    let checksum = frame_checksum(frame, lineage).expect("a frame was just written").to_le_bytes();
    frame.iter_mut().skip(4).zip(checksum).for_each(|(to, from)| *to = from);
}

fn length_field(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a payload is limited to less than a u32 counts").to_le_bytes()
}

/// Covers everything behind the checksum itself.
fn frame_checksum(frame: &[u8], lineage: &Lineage) -> Option<u32> {
    Some(crc32c::crc32c_append(crc32c::crc32c(lineage), frame.get(8..)?))
}

/// The hash "before" the first frame.
pub(crate) fn genesis(lineage: &Lineage) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("keyward journal 2025: hash before the first frame");
    hasher.update(lineage);
    *hasher.finalize().as_bytes()
}

/// Cuts off what is unfinished and makes sure that everything that was read is on the disk: after a kill it may have
/// been in memory only, and what was shown to the visitor must not vanish with the next power cut.
fn settle(place: &Place, end: &End) -> io::Result<DiskFile> {
    let segment = place.disk.open(&end.file)?;
    if end.torn_bytes > 0 {
        segment.truncate(end.length)?;
    }
    segment.sync()?;
    place.disk.sync_directory(&place.directory)?;
    Ok(segment)
}

/// Makes the segment that goes on after `head`; says its length.
fn begin_segment(place: &Place, lineage: &Lineage, head: &Head) -> io::Result<(DiskFile, u64)> {
    let first = head.sequence + 1;
    let header = SegmentHeader { lineage: *lineage, first, before: head.hash }.encode();
    let file = place.directory.join(format!("{first:016}.{EXTENSION}"));
    Ok((place.disk.write_whole(&file, &[&header])?, header.len() as u64))
}

/// The segments of a directory with the first frame of each by name, in order.
pub fn segments(directory: &Path) -> Result<Vec<Segment>, JournalError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let path = entry.map_err(at(directory))?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION)
            && let Some(first) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            segments.push((path, first));
        }
    }
    segments.sort_unstable_by_key(|(_, first)| *first);
    Ok(segments)
}

fn write_anchor(place: &Place, lineage: &Lineage, head: &Head) -> io::Result<()> {
    let mut bytes = preamble(ANCHOR_MAGIC, FORMAT_VERSION).to_vec();
    bytes.extend(lineage);
    bytes.extend(head.sequence.to_le_bytes());
    bytes.extend(head.hash);
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend(checksum.to_le_bytes());
    place.disk.write_whole(&place.anchor, &[&bytes]).map(drop)
}

fn read_anchor(file: &Path) -> Result<(Option<Anchor>, AnchorFound), JournalError> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, AnchorFound::Missing)),
        Err(error) => return Err(at(file)(error)),
    };
    let mut fields = Fields(&bytes);
    match begin(&mut fields, ANCHOR_MAGIC, FORMAT_VERSION) {
        Beginning::Readable => {}
        Beginning::Newer(found) => return Err(newer(file, found)),
        Beginning::Damaged => return Ok((None, AnchorFound::Damaged)),
    }
    let anchor = parse_anchor(&bytes, fields);
    Ok((anchor, if anchor.is_some() { AnchorFound::Agrees } else { AnchorFound::Damaged }))
}

/// `fields` are those of `bytes` behind the preamble.
fn parse_anchor(bytes: &[u8], mut fields: Fields<'_>) -> Option<Anchor> {
    let lineage = fields.take()?;
    let head = Head { sequence: fields.u64()?, hash: fields.take()? };
    let checked = bytes.get(..bytes.len().checked_sub(4)?)?;
    let is_right = fields.u32()? == crc32c::crc32c(checked) && fields.0.is_empty();
    is_right.then_some(Anchor { lineage, head })
}

/// Keeps a second process out for as long as the file is open.
fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join("lock");
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(at(&path)(error)),
    }
}

fn newer(file: &Path, found: u32) -> JournalError {
    NewerFormat { file: file.to_owned(), found, known: FORMAT_VERSION }.into()
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fault::{PowerCut, StopAt};
    use crate::disk::{Verdict, Witness};
    use std::convert::Infallible;
    use std::sync::Arc;
    use tempfile::TempDir;

    const LINEAGE: Lineage = [3; 16];

    /// A directory for one journal.
    struct Room {
        root: TempDir,
        segment_bytes: u64,
    }

    type Seen = Vec<(u64, Vec<u8>)>;

    impl Room {
        fn new() -> Self {
            Self::with_segments(300)
        }

        /// Small segments are filled by a few frames.
        fn with_segments(segment_bytes: u64) -> Self {
            Self { root: tempfile::tempdir().unwrap(), segment_bytes }
        }

        fn place(&self) -> Place {
            let root = self.root.path();
            Place {
                segment_bytes: self.segment_bytes,
                ..Place::new(&root.join("data/journal"), &root.join("second/anchor"))
            }
        }

        /// A journal with an anchor at its end; frame `n` has `n` entries.
        fn with_frames(frames: u64, segment_bytes: u64) -> Self {
            let room = Self::with_segments(segment_bytes);
            let mut journal = Journal::create_at(room.place(), LINEAGE).unwrap();
            for sequence in 1..=frames {
                append(&mut journal, sequence);
            }
            journal.write_anchor().unwrap();
            room
        }

        fn open(&self) -> Result<(Journal, OpenReport, Seen), OpenError<Infallible>> {
            self.open_after(0)
        }

        fn open_after(&self, after: u64) -> Result<(Journal, OpenReport, Seen), OpenError<Infallible>> {
            let mut seen = Vec::new();
            let (journal, report) = Journal::open_at(self.place(), after, &mut |sequence, entry| {
                seen.push((sequence, entry.to_owned()));
                Ok(())
            })?;
            Ok((journal, report, seen))
        }

        fn corrupt(&self) -> Corrupt {
            match self.open().err() {
                Some(OpenError::Journal(JournalError::Corrupt(corrupt))) => corrupt,
                other => panic!("expected damage, found {other:?}"),
            }
        }

        fn segments(&self) -> Vec<(PathBuf, u64)> {
            segments(&self.place().directory).unwrap()
        }

        fn forget_anchor(&self) {
            fs::remove_file(self.place().anchor).unwrap();
        }
    }

    fn entries_of(sequence: u64) -> Vec<Vec<u8>> {
        (0..sequence).map(|entry| format!("entry {entry} of frame {sequence}").into_bytes()).collect()
    }

    fn append(journal: &mut Journal, sequence: u64) {
        let entries = entries_of(sequence);
        let slices: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        assert_eq!(journal.append(&slices).unwrap(), sequence);
    }

    fn frames(from: u64, to: u64) -> Seen {
        (from..=to).flat_map(|sequence| entries_of(sequence).into_iter().map(move |entry| (sequence, entry))).collect()
    }

    /// Where each frame of a segment begins.
    fn frame_offsets(bytes: &[u8]) -> Vec<usize> {
        let mut offsets = Vec::new();
        let mut at = SEGMENT_HEADER_BYTES;
        while let Some(frame) = Frame::at_front(&bytes[at..], &LINEAGE) {
            offsets.push(at);
            at += frame.bytes.len();
        }
        offsets
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart_and_goes_on() {
        let room = Room::new();
        drop(Journal::create_at(room.place(), LINEAGE).unwrap());
        for start in 0..4 {
            let (mut journal, report, seen) = room.open().unwrap();
            assert_eq!(seen, frames(1, start * 3));
            assert_eq!((report.torn_bytes, report.head.sequence), (0, start * 3));
            assert_eq!((report.anchor, journal.lineage()), (AnchorFound::Agrees, LINEAGE));
            (1..=3).for_each(|more| append(&mut journal, start * 3 + more));
            journal.write_anchor().unwrap();
        }
        assert!(room.segments().len() > 3, "the segments were meant to be small");
        for after in 0..=12 {
            let (_, report, seen) = room.open_after(after).unwrap();
            assert_eq!((seen, report.head.sequence), (frames(after + 1, 12), 12));
        }
        let mut all = Vec::new();
        let head = read_all::<Infallible>(&room.place().directory, &mut |sequence, entry| {
            all.push((sequence, entry.to_owned()));
            Ok(())
        });
        assert_eq!((all, head.unwrap().sequence), (frames(1, 12), 12));
    }

    #[test]
    fn segments_roll_and_join() {
        let room = Room::with_frames(9, 300);
        let segments = room.segments();
        assert_eq!(segments[0].0.file_name().unwrap(), "0000000000000001.kwj");
        for pair in segments.windows(2) {
            let length = fs::metadata(&pair[0].0).unwrap().len();
            let alone = pair[1].1 - pair[0].1 == 1;
            assert!(length <= 300 || alone, "only a frame that is larger than a segment may be longer");
        }
        // A start that needs only the end does not look at the beginning.
        fs::write(&segments[0].0, b"spoilt").unwrap();
        assert_eq!(room.open_after(8).unwrap().2, frames(9, 9));
        assert_eq!(room.corrupt().sequence, 1);
    }

    #[test]
    fn an_end_torn_anywhere_in_the_last_frame_is_cut_off() {
        for segment_bytes in [300, 1 << 20] {
            let room = Room::with_frames(5, segment_bytes);
            room.forget_anchor();
            let (file, _) = room.segments().pop().unwrap();
            let whole = fs::read(&file).unwrap();
            let last = *frame_offsets(&whole).last().unwrap();
            for cut in last..whole.len() {
                // Cut short, and long enough but with nothing written from there on.
                let mut zeroed = whole.clone();
                zeroed[cut..].fill(0);
                for torn in [&whole[..cut], &zeroed] {
                    fs::write(&file, torn).unwrap();
                    let (mut journal, report, seen) = room.open().unwrap();
                    assert_eq!(report.torn_bytes, (torn.len() - last) as u64, "cut at {cut}");
                    assert_eq!((seen, report.head.sequence), (frames(1, 4), 4));
                    assert_eq!(fs::metadata(&file).unwrap().len(), last as u64, "nothing of it may be left");
                    append(&mut journal, 5);
                    drop(journal);
                    assert_eq!(room.open().unwrap().2, frames(1, 5));
                    assert!(fs::read(&file).unwrap() == whole, "the frame is written as it was");
                }
            }
        }
    }

    #[test]
    fn any_changed_byte_is_refused_with_its_frame_and_place() {
        let room = Room::with_frames(6, 700);
        let segments = room.segments();
        assert!(segments.len() > 1);
        for (file, first) in &segments {
            let whole = fs::read(file).unwrap();
            let offsets = frame_offsets(&whole);
            for at in 0..whole.len() {
                let mut flipped = whole.clone();
                flipped[at] ^= 0x40;
                fs::write(file, &flipped).unwrap();
                let corrupt = room.corrupt();
                let before = offsets.iter().filter(|offset| **offset <= at).count();
                let (byte, sequence) = match before {
                    0 => (0, *first),
                    _ => (offsets[before - 1] as u64, first + before as u64 - 1),
                };
                assert_eq!((&corrupt.file, corrupt.byte, corrupt.sequence), (file, byte, sequence), "byte {at}");
                let message = corrupt.to_string();
                assert!(message.contains(&format!("frame {sequence}, byte {byte} ")) && message.contains("backup"));
                assert!(fs::read(file).unwrap() == flipped, "nothing may be changed");
            }
            fs::write(file, &whole).unwrap();
        }
    }

    #[test]
    fn without_an_anchor_a_changed_byte_counts_as_torn_in_the_last_frame_only() {
        let room = Room::with_frames(4, 1 << 20);
        room.forget_anchor();
        let (file, _) = room.segments().pop().unwrap();
        let whole = fs::read(&file).unwrap();
        let last = *frame_offsets(&whole).last().unwrap();
        for at in SEGMENT_HEADER_BYTES..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&file, &flipped).unwrap();
            match room.open() {
                Ok((_, report, seen)) => {
                    assert!(at >= last, "byte {at}");
                    assert_eq!((report.anchor, seen), (AnchorFound::Missing, frames(1, 3)));
                }
                Err(_) => assert!(at < last, "byte {at}"),
            }
        }
    }

    #[test]
    fn a_journal_that_is_shorter_than_its_anchor_is_refused() {
        let room = Room::with_frames(5, 1 << 20);
        let (file, _) = room.segments().pop().unwrap();
        let whole = fs::read(&file).unwrap();
        let offsets = frame_offsets(&whole);
        for (number, offset) in offsets.iter().enumerate() {
            fs::write(&file, &whole[..*offset]).unwrap();
            let corrupt = room.corrupt();
            assert_eq!((corrupt.byte, corrupt.sequence), (*offset as u64, number as u64 + 1));
            assert_eq!(fs::read(&file).unwrap().len(), *offset, "nothing may be changed");
        }
        fs::write(&file, &whole).unwrap();
        assert_eq!(room.open().unwrap().1.torn_bytes, 0);
    }

    #[test]
    fn a_whole_segment_that_is_gone_is_noticed() {
        let room = Room::with_frames(9, 300);
        for (file, first) in room.segments() {
            let kept = fs::read(&file).unwrap();
            fs::remove_file(&file).unwrap();
            assert_eq!(room.corrupt().sequence, first);
            fs::write(&file, kept).unwrap();
        }
        assert!(room.open().is_ok());
    }

    #[test]
    fn another_end_than_the_anchor_names_is_refused() {
        let room = Room::with_frames(3, 1 << 20);
        let (file, _) = room.segments().pop().unwrap();
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..frame_offsets(&whole)[2]]).unwrap();
        let anchor = fs::read(room.place().anchor).unwrap();
        room.forget_anchor();
        room.open().unwrap().0.append(&[b"another past"]).unwrap();
        fs::write(room.place().anchor, anchor).unwrap();
        let corrupt = room.corrupt();
        assert_eq!((corrupt.sequence, corrupt.what), (3, "it is another frame than the anchor names"));
    }

    #[test]
    fn frames_that_are_whole_but_do_not_join_are_refused() {
        let room = Room::with_frames(3, 1 << 20);
        room.forget_anchor();
        let (file, _) = room.segments().pop().unwrap();
        let whole = fs::read(&file).unwrap();
        let offsets = frame_offsets(&whole);
        // The last frame twice; the middle one left out; a last frame with another past.
        let repeated = [&whole[..], &whole[offsets[2]..]].concat();
        let skipped = [&whole[..offsets[1]], &whole[offsets[2]..]].concat();
        let mut stranger = Vec::new();
        encode(&mut stranger, &LINEAGE, 4, &[1; 32], &[b"entry"]);
        let forked = [&whole[..], &stranger].concat();
        for (bytes, sequence) in [(repeated, 4), (skipped, 2), (forked, 4)] {
            fs::write(&file, bytes).unwrap();
            assert_eq!(room.corrupt().sequence, sequence);
        }
        // What another journal left there is no frame at all.
        encode(&mut stranger, &[8; 16], 4, &[1; 32], &[b"entry"]);
        fs::write(&file, [&whole[..], &stranger].concat()).unwrap();
        assert_eq!(room.open().unwrap().1.torn_bytes, stranger.len() as u64);
    }

    #[test]
    fn a_snapshot_ahead_of_the_journal_is_noticed() {
        let room = Room::with_frames(3, 1 << 20);
        assert!(room.open_after(3).is_ok());
        assert!(matches!(
            room.open_after(4),
            Err(OpenError::Journal(JournalError::Corrupt(Corrupt { sequence: 4, .. })))
        ));
    }

    #[test]
    fn a_newer_format_is_refused_in_clear_words() {
        let room = Room::with_frames(2, 1 << 20);
        let anchor = room.place().anchor;
        let (segment, _) = room.segments().pop().unwrap();
        for (file, magic) in [(anchor, ANCHOR_MAGIC), (segment, SEGMENT_MAGIC)] {
            let whole = fs::read(&file).unwrap();
            let newer = [&preamble(magic, FORMAT_VERSION + 1)[..], &whole[PREAMBLE_BYTES..]].concat();
            fs::write(&file, newer).unwrap();
            let refusal = room.open().err().unwrap().to_string();
            let told = format!("`{}` has format 2, and this keyward reads up to 1: start it with", file.display());
            assert!(refusal.starts_with(&told), "{refusal}");
            fs::write(&file, whole).unwrap();
        }
    }

    #[test]
    fn parts_of_two_histories_are_told_apart() {
        let room = Room::with_frames(2, 1 << 20);
        let other = Room::new();
        drop(Journal::create_at(other.place(), [4; 16]).unwrap());
        fs::copy(other.place().anchor, room.place().anchor).unwrap();
        assert!(matches!(room.open(), Err(OpenError::Journal(JournalError::WrongLineage { .. }))));
    }

    #[test]
    fn a_damaged_anchor_is_reported_and_made_anew() {
        let room = Room::with_frames(2, 1 << 20);
        let whole = fs::read(room.place().anchor).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 2;
            fs::write(room.place().anchor, &flipped).unwrap();
            let (journal, report, _) = room.open().unwrap();
            assert_eq!(report.anchor, AnchorFound::Damaged, "byte {at}");
            journal.write_anchor().unwrap();
            assert!(fs::read(room.place().anchor).unwrap() == whole);
        }
    }

    #[test]
    fn one_process_at_a_time_and_one_journal_a_directory() {
        let room = Room::new();
        assert!(matches!(room.open(), Err(OpenError::Journal(JournalError::Missing { .. }))));
        let journal = Journal::create_at(room.place(), LINEAGE).unwrap();
        assert!(matches!(room.open(), Err(OpenError::Journal(JournalError::InUse { .. }))));
        drop(journal);
        let again = Journal::create_at(room.place(), LINEAGE);
        assert!(matches!(again, Err(JournalError::Exists { .. })));
        fs::remove_file(&room.segments()[0].0).unwrap();
        assert!(matches!(room.open(), Err(OpenError::Journal(JournalError::Missing { .. }))));
    }

    #[test]
    fn batches_that_cannot_be_are_refused_without_harm() {
        let room = Room::new();
        let mut journal = Journal::create_at(room.place(), LINEAGE).unwrap();
        assert!(matches!(journal.append(&[]), Err(AppendError::Empty)));
        let huge = vec![0; PAYLOAD_BYTES_MAX - 3];
        assert!(matches!(journal.append(&[&huge]), Err(AppendError::TooLarge { .. })));
        assert_eq!(journal.append(&[&huge[1..], b""][..1]).unwrap(), 1);
        assert_eq!(journal.append(&[b""]).unwrap(), 2);
        drop(journal);
        assert_eq!(room.open().unwrap().2.len(), 2);
    }

    #[test]
    fn a_visitor_that_refuses_is_named_with_its_frame() {
        let room = Room::with_frames(3, 1 << 20);
        let refused =
            Journal::open_at(room.place(), 0, &mut |sequence, _| if sequence < 2 { Ok(()) } else { Err("no") });
        let told = refused.err().unwrap().to_string();
        assert!(told.starts_with("frame 2 of the journal, in `") && told.ends_with("can't be applied: no"), "{told}");
        assert!(room.open().is_ok());
    }

    /// Makes a journal, appends twelve frames, opens it again in the middle; says how many were acknowledged.
    fn run(room: &Room, witness: Arc<dyn Witness>) -> u64 {
        let place = Place { disk: Disk::witnessed(witness), ..room.place() };
        let mut acknowledged = 0;
        let Ok(mut journal) = Journal::create_at(place.clone(), LINEAGE) else { return 0 };
        for sequence in 1..=12 {
            if sequence == 6 {
                drop(journal);
                let opened = Journal::open_at::<Infallible>(place.clone(), 0, &mut |_, _| Ok(()));
                let Ok((reopened, _)) = opened else { return acknowledged };
                journal = reopened;
            }
            if sequence % 4 == 0 && journal.write_anchor().is_err() {
                return acknowledged;
            }
            if journal.append(&entries_of(sequence).iter().map(Vec::as_slice).collect::<Vec<_>>()).is_err() {
                assert!(matches!(journal.append(&[b"more"]), Err(AppendError::Poisoned)));
                assert_eq!(journal.head().sequence, acknowledged);
                return acknowledged;
            }
            acknowledged = sequence;
        }
        acknowledged
    }

    /// All that was acknowledged is there, at most what was under way besides, and the journal goes on.
    fn assert_kept(room: &Room, acknowledged: u64, of: &str) {
        match room.open() {
            Ok((mut journal, report, seen)) => {
                let head = report.head.sequence;
                assert!(head == acknowledged || head == acknowledged + 1, "{of}: {acknowledged}, found {head}");
                assert_eq!(seen, frames(1, head), "{of}");
                append(&mut journal, head + 1);
            }
            Err(OpenError::Journal(JournalError::Missing { .. })) => {
                assert_eq!(acknowledged, 0, "{of}");
                let mut journal = Journal::create_at(room.place(), LINEAGE).unwrap();
                append(&mut journal, 1);
            }
            Err(error) => panic!("{of}: {error}"),
        }
    }

    #[test]
    fn whichever_operation_fails_or_tears_nothing_acknowledged_is_lost() {
        for verdict in [Verdict::Fail, Verdict::Tear(1), Verdict::Tear(60), Verdict::Tear(100)] {
            for operation in 0.. {
                let room = Room::new();
                let stop = StopAt::new(operation, verdict);
                let acknowledged = run(&room, stop.clone());
                assert_kept(&room, acknowledged, &format!("{verdict:?} at operation {operation}"));
                if stop.seen() <= operation {
                    assert_eq!(acknowledged, 12);
                    assert!(operation > 60, "the run has to have had operations to fail");
                    break;
                }
            }
        }
    }

    #[test]
    fn whenever_the_power_is_cut_nothing_acknowledged_is_lost() {
        for operation in 0.. {
            let (room, left) = (Room::new(), Room::new());
            let power = PowerCut::at(operation);
            let acknowledged = run(&room, power.clone());
            power.leave(room.root.path(), left.root.path());
            assert_kept(&left, acknowledged, &format!("operation {operation}"));
            if !power.happened() {
                assert_eq!(acknowledged, 12);
                break;
            }
        }
    }
    #[test]
    fn what_a_start_has_shown_survives_a_power_cut_right_after_it() {
        for operation in 0.. {
            let (room, left) = (Room::new(), Room::new());
            let power = PowerCut::at(operation);
            run(&room, power.clone());
            let happened = power.happened();
            // The process was killed, so the next one sees what was written, flushed or not.
            power.go_on();
            let place = Place { disk: Disk::witnessed(power.clone()), ..room.place() };
            if let Ok((journal, report)) = Journal::open_at::<Infallible>(place, 0, &mut |_, _| Ok(())) {
                drop(journal);
                power.leave(room.root.path(), left.root.path());
                assert_eq!(left.open().unwrap().1.head, report.head, "operation {operation}");
            }
            if !happened {
                break;
            }
        }
    }
}
