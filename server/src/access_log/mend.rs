//! What can be done about damaged segments: what is whole in them goes into segments of its own, and the records between
//! those are told as [lost](super::gaps).
//!
//! A plan only reads. Chunks are carried over byte for byte, so each hash stays what it was; a segment that begins behind a
//! gap names the chunk before it by the hash that its own first chunk has.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use keyward_protocol::time::Moment;

use super::catalog::{Inspection, Times};
use super::gaps::{self, Gap, Gaps};
use super::segment::{Hash, Lineage, Met, SEGMENT_HEADER_BYTES, SegmentHeader, Walk, file_name, room_in};
use super::{anchor, begun, inspected, list, with_next};

/// A plan for a damaged log.
#[derive(Debug)]
pub struct Mend {
    /// Names of segments that are taken out.
    pub out: Vec<String>,
    /// The segments that take their place, by their names.
    pub segments: Vec<(String, Piece)>,
    /// The records that can't be read, as far as they were not told before; told at no moment yet.
    pub lost: Vec<Gap>,
    /// Those that were told before.
    known: Vec<Gap>,
    /// Whole records in the segments that are taken out.
    pub kept: u64,
}

/// Chunks of a damaged segment that follow each other.
#[derive(Debug)]
pub struct Piece {
    from: PathBuf,
    header: SegmentHeader,
    chunks: Vec<Whole>,
}

/// A chunk that is what was written, and where.
#[derive(Clone, Copy, Debug)]
struct Whole {
    at: u64,
    bytes: u64,
    first: u64,
    end: u64,
    previous: Hash,
    hash: Hash,
    times: Times,
}

impl Mend {
    /// The content of the file with what is lost, told at this moment.
    pub fn gaps(&self, told: Moment) -> Vec<u8> {
        // A clock that was ahead of now when the last record was written was set back since, perhaps while lost ones were.
        let after = |gap: &Gap| if gap.after > told { Moment::MIN } else { gap.after };
        let lost = self.lost.iter().map(|gap| Gap { told, after: after(gap), ..*gap });
        let mut all: Vec<Gap> = self.known.iter().copied().chain(lost).collect();
        all.sort();
        gaps::encode(&all)
    }
}

impl Piece {
    /// The whole segment.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let file = File::open(&self.from)?;
        let mut bytes = self.header.encode().to_vec();
        for chunk in &self.chunks {
            let begin = bytes.len();
            bytes.resize(begin + usize::try_from(chunk.bytes).map_err(io::Error::other)?, 0);
            file.read_exact_at(bytes.get_mut(begin..).unwrap_or_default(), chunk.at)?;
        }
        Ok(bytes)
    }
}

/// What can be done about the log in `directory`; `None` where nothing is damaged.
pub fn plan(directory: &Path, lineage: &Lineage) -> io::Result<Option<Mend>> {
    if !directory.is_dir() {
        return Ok(None);
    }
    let files = begun(list(directory)?)?;
    let gaps = Gaps::read(directory, &files, lineage)?;
    let anchored = anchor::read(directory, lineage)?;
    let mut planning = Planning { lineages: lineages(&files, lineage)?, ..Planning::default() };
    let mut mend = Mend { out: Vec::new(), segments: Vec::new(), lost: Vec::new(), known: Vec::new(), kept: 0 };
    for (first, path, end) in with_next(&files) {
        let (reach, inspection) = inspected((first, path, end), &gaps, anchored.unwrap_or(0), lineage)?;
        if inspection.damage.is_empty() {
            planning.seen.extend(inspection.kept.ends.into_iter().flatten());
            continue;
        }
        let segment = Segment { path, first, end, reach, is_last: end == u64::MAX, anchored, inspection };
        planning.segment(&segment, &gaps, &mut mend)?;
    }
    let begins = gaps.reach(files.first().map_or(1, |(first, _)| *first));
    if begins > 1 {
        planning.lose(1, begins, false);
    }
    if files.is_empty() && gaps.reach(anchored.unwrap_or(0)) > 1 {
        planning.lose(1, gaps.reach(anchored.unwrap_or(0)), false);
    }
    // A segment that a start put aside has left its numbers, and perhaps some more: it was not known how many it had.
    let put_aside = |first: u64| directory.join(file_name(first)).with_extension("aside-1").exists();
    // What was told before is not told again.
    let told: Vec<Range<u64>> = gaps.all.iter().map(|gap| gap.first..gap.end).collect();
    for (first, end, at_most) in std::mem::take(&mut planning.lost) {
        let at_most = at_most || put_aside(first);
        let gap = Gap { first, end, after: Moment::MIN, before: Moment::MAX, told: Moment::MIN, at_most };
        let is_told = gap.is_empty() && told.iter().any(|told| told.start <= first && first <= told.end);
        for gap in gaps::less(gap, &told).into_iter().filter(|_| !is_told) {
            let (after, before) = planning.bounds(gap.first, gap.end);
            mend.lost.push(Gap { after, before, ..gap });
        }
    }
    if mend.out.is_empty() && mend.lost.is_empty() && gaps.damage.is_none() {
        return Ok(None);
    }
    mend.known = gaps.all;
    Ok(Some(mend))
}

/// Every lineage that a segment of the log names: one whose header is gone is of one of them.
fn lineages(files: &[(u64, PathBuf)], own: &Lineage) -> io::Result<Vec<Lineage>> {
    let mut all = vec![*own];
    for (_, path) in files {
        let header = SegmentHeader::read(&File::open(path)?, path)?;
        all.extend(header.map(|header| header.lineage).filter(|lineage| !all.contains(lineage)));
    }
    Ok(all)
}

#[derive(Default)]
struct Planning {
    lineages: Vec<Lineage>,
    /// Times of whole chunks, with the first record of each: those at the ends of whole segments, and all of others.
    seen: Vec<(u64, Times)>,
    /// Times of chunks that are not whole but for their headers.
    known: Vec<(u64, Times)>,
    /// First record, the one after the last, and whether there were at most so many.
    lost: Vec<(u64, u64, bool)>,
}

/// A damaged one.
struct Segment<'a> {
    path: &'a Path,
    first: u64,
    /// What is numbered from here on is in the next one.
    end: u64,
    /// What is before this has to be there.
    reach: u64,
    is_last: bool,
    anchored: Option<u64>,
    inspection: Inspection,
}

impl Planning {
    fn lose(&mut self, first: u64, end: u64, at_most: bool) {
        self.lost.push((first, end, at_most));
    }

    /// Between which moments records from `first` to before `end` are.
    fn bounds(&self, first: u64, end: u64) -> (Moment, Moment) {
        let before = self.seen.iter().filter(|(seen, _)| *seen < first).max_by_key(|(seen, _)| *seen);
        let behind = self.seen.iter().filter(|(seen, _)| *seen >= end).min_by_key(|(seen, _)| *seen);
        let known = self.known.iter().filter(|(seen, _)| (first..end).contains(seen));
        let known = known.map(|(_, times)| *times).reduce(|mut all, times| {
            all.add(times.earliest, times.latest);
            all
        });
        gaps::bounds(before.map(|(_, times)| *times), behind.map(|(_, times)| *times), known)
    }

    fn segment(&mut self, segment: &Segment<'_>, gaps: &Gaps, mend: &mut Mend) -> io::Result<()> {
        let Segment { path, first, .. } = *segment;
        let Chunks { lineage, whole: chunks, broken, is_clean } = self.whole_chunks(segment, gaps)?;
        self.known.extend(broken);
        let header = segment.inspection.header.as_ref();
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut next, mut last) = (first, header.map(|header| header.previous));
        for chunk in in_order(&chunks, last) {
            let joins = chunk.first == next && last.is_none_or(|last| last == chunk.previous);
            match pieces.last_mut() {
                Some(piece) if joins => piece.chunks.push(chunk),
                _ => {
                    if !joins {
                        self.lose(next, chunk.first, false);
                    }
                    let header = SegmentHeader { lineage, first: chunk.first, previous: chunk.previous };
                    pieces.push(Piece { from: path.to_owned(), header, chunks: vec![chunk] });
                }
            }
            self.seen.push((chunk.first, chunk.times));
            (next, last) = (chunk.end, Some(chunk.hash));
        }
        if pieces.is_empty() && segment.is_last && (header.is_none() || segment.anchored.is_none()) {
            // As a start has it: nobody knows how many there were, but for the room that they had. The anchor only says
            // how many there were at least: it may be behind, and so far behind that none of these is before it.
            let most = first.saturating_add(room_in(fs::metadata(path)?.len())).max(segment.reach);
            self.lose(first, most, most != segment.reach);
        } else if next < segment.reach {
            self.lose(next, segment.reach, false);
        }
        let stays = match pieces.as_slice() {
            [piece] => {
                let is_torn = segment.is_last && segment.inspection.torn_bytes > 0;
                is_clean && !is_torn && header == Some(&piece.header)
            }
            _ => false,
        };
        if !stays {
            mend.out.extend(path.file_name().and_then(|name| name.to_str()).map(str::to_owned));
            mend.kept +=
                pieces.iter().flat_map(|piece| &piece.chunks).map(|chunk| chunk.end - chunk.first).sum::<u64>();
            mend.segments.extend(pieces.into_iter().map(|piece| (file_name(piece.header.first), piece)));
        }
        Ok(())
    }

    /// The chunks that are what was written and count here, by whichever lineage finds most of them.
    fn whole_chunks(&self, segment: &Segment<'_>, gaps: &Gaps) -> io::Result<Chunks> {
        let named = segment.inspection.header.as_ref().map(|header| header.lineage);
        let lineages = named.map_or_else(|| self.lineages.clone(), |lineage| vec![lineage]);
        let mut best: Option<Chunks> = None;
        for lineage in lineages {
            let chunks = read_chunks(segment, gaps, lineage)?;
            if best.as_ref().is_none_or(|found| found.whole.len() < chunks.whole.len()) {
                best = Some(chunks);
            }
        }
        Ok(best.unwrap_or_default())
    }
}

/// What stands in a damaged segment.
#[derive(Default)]
struct Chunks {
    lineage: Lineage,
    whole: Vec<Whole>,
    /// First record and times of those that only have their headers.
    broken: Vec<(u64, Times)>,
    /// Nothing else stands among the whole ones.
    is_clean: bool,
}

fn read_chunks(segment: &Segment<'_>, gaps: &Gaps, lineage: Lineage) -> io::Result<Chunks> {
    let file = File::open(segment.path)?;
    // What a stop cut off nobody was answered: it is left out, as a start leaves it out.
    let bytes = match segment.inspection.torn_bytes {
        torn if segment.is_last && torn > 0 && segment.inspection.header.is_some() => segment.inspection.kept.bytes,
        _ => file.metadata()?.len(),
    };
    let mut walk = Walk::new(&file, &lineage, bytes);
    let mut chunks = Chunks { lineage, is_clean: true, ..Chunks::default() };
    while let Some(met) = walk.step()? {
        let Met::Chunk(chunk) = met else {
            chunks.is_clean = false;
            continue;
        };
        let header = chunk.header;
        if header.sequence >= segment.end {
            break;
        }
        let times = Times { earliest: header.earliest, latest: header.latest };
        let counts = header.sequence >= segment.first && !gaps.has(header.sequence);
        match walk.read(&chunk)? {
            Some(body) if counts => {
                let (first, end, previous) = (header.sequence, header.end(), header.previous);
                let begins = chunks.whole.last().map_or(SEGMENT_HEADER_BYTES as u64, |last| last.at + last.bytes);
                chunks.is_clean &= begins == chunk.at;
                chunks.whole.push(Whole {
                    at: chunk.at,
                    bytes: header.length(),
                    first,
                    end,
                    previous,
                    hash: body.hash,
                    times,
                });
            }
            found => {
                chunks.is_clean = false;
                chunks.broken.extend(found.is_none().then_some((header.sequence, times)));
            }
        }
    }
    Ok(chunks)
}

/// Chunks by their numbers, each number once: of several for one the chunk that joins, else the one that stands first.
fn in_order(chunks: &[Whole], before: Option<Hash>) -> Vec<Whole> {
    let mut sorted: Vec<Whole> = chunks.to_vec();
    sorted.sort_by_key(|chunk| chunk.first);
    let mut taken: Vec<Whole> = Vec::new();
    for same in sorted.chunk_by(|one, other| one.first == other.first) {
        let last = taken.last().map(|last| last.hash).or(before);
        let joins = same.iter().find(|chunk| Some(chunk.previous) == last);
        let chosen = joins.or(same.first()).filter(|chunk| taken.last().is_none_or(|last| last.end <= chunk.first));
        taken.extend(chosen);
    }
    taken
}
