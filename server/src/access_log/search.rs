//! Search: what was recorded, back in time. Reads only what is on disk, through files of its own, so the writer
//! never waits for it.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use keyward_protocol::decision::Reason;
use keyward_protocol::id::{KeyId, PersonId, PortfolioId};
use keyward_protocol::time::Moment;

use super::catalog::{Segment, Times, with_ends};
use super::gaps::{Gap, Gaps};
use super::hub::View;
use super::record::{Outcome, Record, Who};
use super::segment::{Chunk, ChunkHeader, Damage, Lineage, Met, SegmentHeader, Walk};

/// The most rows of a page.
pub const PAGE_ROWS_MAX: usize = 10_000;

/// The most records that one page reads: where few match, a page ends early and says where to go on.
pub const PAGE_READ_MAX: u64 = 1_000_000;

/// Which records of those that may be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Where this person showed a credential, or is the host whose share decided.
    pub person: Option<PersonId>,
    /// Where this Key decided.
    pub key: Option<KeyId>,
    /// The granted ones, or the denied ones.
    pub granted: Option<bool>,
    /// Denied for this reason.
    pub reason: Option<Reason>,
}

impl Wanted {
    fn has(&self, record: &Record) -> bool {
        let about = |person: PersonId| match record.who {
            Who::Person(found) => found == person,
            Who::Guest { person: guest, host } => guest == person || host == person,
            Who::Nobody | Who::Carrier(_) => false,
        };
        let reason = match record.outcome {
            Outcome::Granted => None,
            Outcome::Denied(reason) => Some(reason),
        };
        self.person.is_none_or(about)
            && self.key.is_none_or(|key| record.key == key)
            && self.granted.is_none_or(|granted| granted == reason.is_none())
            && self.reason.is_none_or(|wanted| reason == Some(wanted))
    }
}

/// What to search for.
#[derive(Clone, Debug)]
pub struct Query {
    /// In this portfolio's records only (M9).
    pub portfolio: PortfolioId,
    /// From this moment on.
    pub from: Moment,
    /// To before this moment.
    pub until: Moment,
    /// What the asker may see, narrowed to the doors that they ask for.
    pub view: View,
    /// Which of these.
    pub wanted: Wanted,
    /// The most rows of the page; never more than [`PAGE_ROWS_MAX`].
    pub limit: usize,
    /// Backwards from the end, as people look, or forwards, as exports go.
    pub newest_first: bool,
    /// Go on where another page of the same query ended.
    pub after: Option<Cursor>,
}

/// A place in a search. It counts records of *all* portfolios and doors, so it must not be shown to who sees only some
/// of them (M8, M9): keep it on the server's side, or seal it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor(pub u64);

/// Some rows of a search, in the order of arrival (or its reverse): neighbours that came from different cores may be
/// milliseconds out of order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Record>,
    /// Where to go on; `None` when this was all. There may be rows after it, or none.
    pub next: Option<Cursor>,
    /// The time of the last record that was read and may be seen, where there is anywhere to go on.
    pub searched_to: Option<Moment>,
    /// Places that could not be read: rows may be missing there.
    pub damage: Vec<Damage>,
}

/// Which records to add up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Span {
    /// By their numbers in the log; see [`super::AccessLog::next_sequence`].
    Sequences(Range<u64>),
    /// By their times.
    Times(Range<Moment>),
}

/// How many records there are, by outcome.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Attempts that were granted.
    pub granted: u64,
    /// Attempts that were denied, by reason.
    pub denied: BTreeMap<Reason, u64>,
    /// Places that could not be read: records may be missing there.
    pub damage: Vec<Damage>,
}

impl Totals {
    /// All of them.
    pub fn records(&self) -> u64 {
        self.granted + self.denied.values().sum::<u64>()
    }
}

/// What a page may still take.
struct Left {
    rows: usize,
    records: u64,
}

impl Left {
    fn is_nothing(&self) -> bool {
        self.rows == 0 || self.records == 0
    }
}

/// The segments to search, as they were at one moment.
pub(super) struct Reader<'a> {
    pub segments: &'a [Arc<Segment>],
    /// What a repair told as lost.
    pub gaps: &'a Gaps,
    /// For segments whose own header can't be read.
    pub lineage: &'a Lineage,
}

impl Reader<'_> {
    pub fn search(&self, query: &Query) -> io::Result<Page> {
        let mut page = self.search_segments(query)?;
        let is_at_begin = if query.newest_first { page.next.is_none() } else { query.after.is_none() };
        page.damage.extend(self.gaps.missing_first().filter(|_| is_at_begin));
        page.damage.extend(self.gaps.told(|gap| query.comes_past(gap, page.next)));
        Ok(page)
    }

    fn search_segments(&self, query: &Query) -> io::Result<Page> {
        let mut page = Page::default();
        let limit = query.limit.clamp(1, PAGE_ROWS_MAX);
        let segments: Vec<(&Arc<Segment>, u64)> = if query.newest_first {
            with_ends(self.segments).rev().collect()
        } else {
            with_ends(self.segments).collect()
        };
        let mut left = Left { rows: limit, records: PAGE_READ_MAX };
        for (segment, end) in segments {
            if query.may_find_in(segment, end) {
                self.search_segment(segment, end, query, &mut left, &mut page)?;
            }
            if left.is_nothing() {
                return Ok(page);
            }
        }
        (page.next, page.searched_to) = (None, None);
        Ok(page)
    }

    fn search_segment(
        &self,
        segment: &Segment,
        end: u64,
        query: &Query,
        left: &mut Left,
        page: &mut Page,
    ) -> io::Result<()> {
        let opened = Opened::new(segment, end, self)?;
        let mut chunks = opened.chunks(|header| query.may_find_among(header), &mut page.damage)?;
        if query.newest_first {
            chunks.reverse();
        }
        for chunk in chunks {
            let mut records = opened.records(&chunk, &mut page.damage)?;
            if query.newest_first {
                records.reverse();
            }
            for (sequence, record) in records {
                if left.is_nothing() {
                    return Ok(());
                }
                if !query.goes_on_within(sequence, sequence + 1) {
                    continue;
                }
                left.records -= 1;
                page.next = Some(Cursor(sequence));
                if query.view.sees(record.door_of_log()) {
                    page.searched_to = Some(record.time);
                }
                if query.finds(sequence, &record) {
                    left.rows -= 1;
                    page.rows.push(record);
                }
            }
        }
        Ok(())
    }

    /// Calls `each` with the portfolio, the number and every record of `span` in the order of arrival; gives back
    /// the places that could not be read.
    pub fn visit(&self, span: &Span, mut each: impl FnMut(PortfolioId, u64, &Record)) -> io::Result<Vec<Damage>> {
        let mut damage: Vec<Damage> = self.gaps.told(|gap| span.may_be_in_gap(gap)).collect();
        damage.extend(self.gaps.missing_first().filter(|_| span.may_be_in_first(self.gaps.begins())));
        for (segment, end) in with_ends(self.segments) {
            if !span.may_be_in(segment, end) {
                continue;
            }
            let opened = Opened::new(segment, end, self)?;
            for chunk in opened.chunks(|header| span.may_be_among(header), &mut damage)? {
                let records = opened.records(&chunk, &mut damage)?;
                for (sequence, record) in records.iter().filter(|(sequence, record)| span.has(*sequence, record)) {
                    each(chunk.header.portfolio, *sequence, record);
                }
            }
        }
        Ok(damage)
    }

    pub fn totals(&self, portfolio: Option<PortfolioId>, span: &Span) -> io::Result<Totals> {
        let mut totals = Totals::default();
        totals.damage = self.visit(span, |of, _, record| {
            if portfolio.is_none_or(|portfolio| portfolio == of) {
                match record.outcome {
                    Outcome::Granted => totals.granted += 1,
                    Outcome::Denied(reason) => *totals.denied.entry(reason).or_default() += 1,
                }
            }
        })?;
        Ok(totals)
    }
}

impl Query {
    fn may_find_in(&self, segment: &Segment, end: u64) -> bool {
        self.goes_on_within(segment.first, end) && segment.may_overlap(self.from, self.until)
    }

    fn may_find_among(&self, header: &ChunkHeader) -> bool {
        header.portfolio == self.portfolio
            && header.latest >= self.from
            && header.earliest < self.until
            && self.goes_on_within(header.sequence, header.end())
    }

    /// Whether records numbered from `first` to before `end` are, at least in part, past the cursor.
    fn goes_on_within(&self, first: u64, end: u64) -> bool {
        self.after.is_none_or(|Cursor(after)| if self.newest_first { first < after } else { after + 1 < end })
    }

    /// Whether a page of this query that ends at `next` leaves a gap behind it. No page ends within one.
    fn comes_past(&self, gap: &Gap, next: Option<Cursor>) -> bool {
        let begins = |Cursor(sequence): Cursor| sequence < gap.first;
        let between = match self.newest_first {
            true => !self.after.is_some_and(begins) && next.is_none_or(begins),
            false => self.after.is_none_or(begins) && !next.is_some_and(begins),
        };
        between && gap.may_be_within(&(self.from..self.until))
    }

    fn finds(&self, sequence: u64, record: &Record) -> bool {
        (self.from..self.until).contains(&record.time)
            && self.goes_on_within(sequence, sequence + 1)
            && self.view.sees(record.door_of_log())
            && self.wanted.has(record)
    }
}

impl Span {
    fn may_be_in(&self, segment: &Segment, end: u64) -> bool {
        match self {
            Span::Sequences(range) => {
                // One that nothing was kept in may be gone already.
                segment.durable_bytes() > 0 && segment.first < range.end && end > range.start
            }
            Span::Times(range) => segment.may_overlap(range.start, range.end),
        }
    }

    fn may_be_in_gap(&self, gap: &Gap) -> bool {
        match self {
            Span::Sequences(range) => gap.first < range.end && gap.end > range.start,
            Span::Times(range) => gap.may_be_within(range),
        }
    }

    /// Whether it has what is missing before the first segment. When that was nobody knows.
    fn may_be_in_first(&self, begins: u64) -> bool {
        match self {
            Span::Sequences(range) => range.start < begins && !range.is_empty(),
            Span::Times(range) => !range.is_empty(),
        }
    }

    fn may_be_among(&self, header: &ChunkHeader) -> bool {
        match self {
            Span::Sequences(range) => header.sequence < range.end && header.end() > range.start,
            Span::Times(range) => header.latest >= range.start && header.earliest < range.end,
        }
    }

    fn has(&self, sequence: u64, record: &Record) -> bool {
        match self {
            Span::Sequences(range) => range.contains(&sequence),
            Span::Times(range) => range.contains(&record.time),
        }
    }
}

/// A segment's file, open for reading.
struct Opened<'a> {
    segment: &'a Segment,
    end: u64,
    bytes: u64,
    file: File,
    lineage: Lineage,
    gaps: &'a Gaps,
}

impl<'a> Opened<'a> {
    fn new(segment: &'a Segment, end: u64, reader: &Reader<'a>) -> io::Result<Self> {
        // Before the file is opened: it may grow meanwhile, and what is read has to be on disk.
        let bytes = segment.durable_bytes();
        let file = File::open(&segment.path)?;
        let lineage = SegmentHeader::read(&file, &segment.path)?.map_or(*reader.lineage, |header| header.lineage);
        Ok(Opened { segment, end, bytes, file, lineage, gaps: reader.gaps })
    }

    /// The chunks that are `wanted`, by their headers alone.
    fn chunks(&self, wanted: impl Fn(&ChunkHeader) -> bool, damage: &mut Vec<Damage>) -> io::Result<Vec<Chunk>> {
        let damage_before = damage.len();
        let (mut chunks, mut times) = (Vec::new(), Times::NONE);
        let mut next = self.segment.first;
        let mut walk = self.walk();
        while let Some(met) = walk.step()? {
            match met {
                Met::Chunk(chunk) if chunk.header.sequence >= self.end => break,
                Met::Chunk(chunk) if self.gaps.has(chunk.header.sequence) => next = next.max(chunk.header.end()),
                Met::Chunk(chunk) => {
                    next = next.max(chunk.header.end());
                    times.add(chunk.header.earliest, chunk.header.latest);
                    chunks.extend(wanted(&chunk.header).then_some(chunk));
                }
                // What comes after the place where the next segment takes over doesn't count, and what is lost is told.
                Met::Bad { .. } if next >= self.end => break,
                Met::Bad { .. } if self.gaps.has(next) => {}
                Met::Bad { byte } => damage.push(self.damage(byte, next)),
            }
        }
        if self.end != u64::MAX && next < self.gaps.reach(self.end) {
            let what = "records are missing at the end of the segment";
            damage.push(Damage { what, ..self.damage(self.bytes, next) });
        }
        // A damaged segment is looked into each time, so that every search says so.
        if self.end != u64::MAX && damage.len() == damage_before {
            self.segment.settle(times);
        }
        Ok(chunks)
    }

    /// The numbered records of `chunk` that count; none when they are damaged.
    fn records(&self, chunk: &Chunk, damage: &mut Vec<Damage>) -> io::Result<Vec<(u64, Record)>> {
        // A segment that was abandoned may have a chunk that goes on past where the next one takes over.
        let counts = |(sequence, _): &(u64, Record)| *sequence < self.end;
        match self.walk().read(chunk)? {
            Some(body) => Ok((chunk.header.sequence..).zip(body.records).take_while(counts).collect()),
            None => {
                damage.push(self.damage(chunk.at, chunk.header.sequence));
                Ok(Vec::new())
            }
        }
    }

    fn walk(&self) -> Walk<'_> {
        Walk::new(&self.file, &self.lineage, self.bytes)
    }

    fn damage(&self, byte: u64, sequence: u64) -> Damage {
        Damage { file: self.segment.path.clone(), byte, sequence, what: "a chunk is not what was written" }
    }
}
