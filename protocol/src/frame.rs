//! Check frames: their header, and the framer that finds whole frames in a stream's bytes.
//!
//! Pure: bytes in, borrowed frames out. Nothing that a peer sends can make it panic or allocate more than
//! [`Framer::BUFFER_BYTES_MAX`].

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use zeroize::Zeroize;

use crate::{
    error::FrameError,
    limits::{CHECK_BYTES, CHECK_FRAME_BYTES_MAX, CHECKS_PER_FRAME_MAX, DETAILED_ANSWER_BYTES, FRAME_HEADER_BYTES},
    message::check::RawCheck,
};

/// The version of the frame layout.
pub const FRAME_VERSION: u8 = 1;
/// Flag, both ways: 16 bytes an answer instead of one. In an answer it says which of the two it is.
pub const FLAG_DETAILED: u8 = 0x01;
/// Flag, answers only: the frame was not judged, everything in it is denied, and the stream ends. The revision
/// field holds [`FrameError::number`].
pub const FLAG_REFUSED: u8 = 0x80;

/// The 24 bytes before the checks or answers of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Bytes of the whole frame, this header included.
    pub length: u32,
    /// [`FRAME_VERSION`].
    pub version: u8,
    /// [`FLAG_DETAILED`], [`FLAG_REFUSED`].
    pub flags: u8,
    /// Checks or answers that follow.
    pub count: u16,
    /// Chosen by who asks, repeated in the answer; never interpreted.
    pub request: u64,
    /// In a question the least revision it may be judged at (U4; 0 for any), in an answer the one it was judged at.
    pub revision: u64,
}

impl Header {
    /// Reads a header; its meaning is checked by the [`Framer`].
    pub fn decode(bytes: &[u8; FRAME_HEADER_BYTES]) -> Header {
        let [l0, l1, l2, l3, version, flags, c0, c1, rest @ ..] = *bytes;
        let [q0, q1, q2, q3, q4, q5, q6, q7, r0, r1, r2, r3, r4, r5, r6, r7] = rest;
        Header {
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            version,
            flags,
            count: u16::from_le_bytes([c0, c1]),
            request: u64::from_le_bytes([q0, q1, q2, q3, q4, q5, q6, q7]),
            revision: u64::from_le_bytes([r0, r1, r2, r3, r4, r5, r6, r7]),
        }
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let [l0, l1, l2, l3] = self.length.to_le_bytes();
        let [c0, c1] = self.count.to_le_bytes();
        let [q0, q1, q2, q3, q4, q5, q6, q7] = self.request.to_le_bytes();
        let [r0, r1, r2, r3, r4, r5, r6, r7] = self.revision.to_le_bytes();
        [
            l0,
            l1,
            l2,
            l3,
            self.version,
            self.flags,
            c0,
            c1,
            q0,
            q1,
            q2,
            q3,
            q4,
            q5,
            q6,
            q7,
            r0,
            r1,
            r2,
            r3,
            r4,
            r5,
            r6,
            r7,
        ]
    }

    /// Whether 16 bytes an answer are asked for, or given.
    pub fn detailed(&self) -> bool {
        self.flags & FLAG_DETAILED != 0
    }

    /// Whether this answer says that the frame was not judged.
    pub fn refused(&self) -> bool {
        self.flags & FLAG_REFUSED != 0
    }

    /// The frame's length in bytes, once everything in the header makes sense together.
    fn checked_length(&self, kind: FrameKind) -> Result<usize, FrameError> {
        let length = usize::try_from(self.length).map_err(|_| FrameError::Length(self.length))?;
        if !(FRAME_HEADER_BYTES..=CHECK_FRAME_BYTES_MAX).contains(&length) {
            return Err(FrameError::Length(self.length));
        }
        if self.version != FRAME_VERSION {
            return Err(FrameError::Version(self.version));
        }
        let (flags, count_min, item_bytes) = match kind {
            FrameKind::Checks => (FLAG_DETAILED, 1, CHECK_BYTES),
            FrameKind::Answers if self.detailed() => (FLAG_DETAILED | FLAG_REFUSED, 0, DETAILED_ANSWER_BYTES),
            FrameKind::Answers => (FLAG_DETAILED | FLAG_REFUSED, 0, 1),
        };
        let count = usize::from(self.count);
        if self.flags & !flags != 0 {
            return Err(FrameError::Flags(self.flags));
        }
        if !(count_min..=CHECKS_PER_FRAME_MAX).contains(&count) {
            return Err(FrameError::Count(self.count));
        }
        if length != FRAME_HEADER_BYTES + count * item_bytes {
            return Err(FrameError::Mismatch { length: self.length, count: self.count });
        }
        Ok(length)
    }
}

/// Which way a stream's frames go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// From who asks: 16 bytes an item.
    Checks,
    /// From the server: 1 or 16 bytes an item.
    Answers,
}

/// Finds whole frames in a stream's bytes.
///
/// Bytes are read straight into [`Framer::space`], so each is copied once; only the beginning of an unfinished
/// frame is moved, when its rest is about to be read. The buffer begins small and doubles when a read fills it, up to
/// [`Framer::BUFFER_BYTES_MAX`], whatever lengths a peer claims. It is wiped when dropped: door codes were in it.
#[derive(Debug)]
pub struct Framer {
    kind: FrameKind,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    broken: Option<Broken>,
}

/// Where a stream stopped making sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken {
    /// What is wrong.
    pub error: FrameError,
    /// The request id in the header that is wrong, for what it is worth.
    pub request: u64,
}

impl Framer {
    /// The most bytes that are held, and so the most that one batch can have.
    pub const BUFFER_BYTES_MAX: usize = 64 << 10;
    const BUFFER_BYTES_FIRST: usize = 1 << 10;

    /// An empty framer.
    pub const fn new(kind: FrameKind) -> Framer {
        Framer { kind, buffer: Vec::new(), start: 0, end: 0, broken: None }
    }

    /// Where the next bytes go; say how many came with [`Framer::filled`]. Never empty as long as [`Framer::batch`]
    /// was called after the last read.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.grow();
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// The first `count` bytes of [`Framer::space`] are filled.
    pub fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.buffer.len());
        // A read that fills all there is says that more was waiting: the next batch may be larger.
        if self.end == self.buffer.len() {
            self.grow();
        }
    }

    /// Every whole frame that is here: one batch. Each frame is handed out once. Empty from the first broken
    /// header on ([`Framer::broken`]).
    pub fn batch(&mut self) -> Batch<'_> {
        let from = self.start;
        let (mut frames, mut items) = (0, 0);
        while let Some((length, count)) = self.next_frame() {
            self.start += length;
            frames += 1;
            items += usize::from(count);
        }
        Batch { bytes: self.buffer.get(from..self.start).unwrap_or_default(), frames, items }
    }

    /// What broke the stream, if anything did.
    pub fn broken(&self) -> Option<Broken> {
        self.broken
    }

    /// Whether [`Framer::batch`] would hand out a frame.
    pub fn has_frame(&mut self) -> bool {
        self.next_frame().is_some()
    }

    /// Whether a frame has begun and not ended.
    pub fn mid_frame(&self) -> bool {
        self.start < self.end
    }

    /// Length and count of the next frame, if all of it is here.
    fn next_frame(&mut self) -> Option<(usize, u16)> {
        if self.broken.is_some() {
            return None;
        }
        let rest = self.buffer.get(self.start..self.end)?;
        let header = Header::decode(rest.first_chunk()?);
        match header.checked_length(self.kind) {
            Ok(length) => (rest.len() >= length).then_some((length, header.count)),
            Err(error) => {
                self.broken = Some(Broken { error, request: header.request });
                None
            }
        }
    }

    fn grow(&mut self) {
        let size = (self.buffer.len() * 2).clamp(Self::BUFFER_BYTES_FIRST, Self::BUFFER_BYTES_MAX);
        if size > self.buffer.len() {
            let mut larger = vec![0; size];
            larger.iter_mut().zip(&self.buffer).for_each(|(to, from)| *to = *from);
            self.buffer.zeroize();
            self.buffer = larger;
        }
    }
}

impl Drop for Framer {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

// A frame always fits beside the unfinished one before it.
const _: () = assert!(CHECK_FRAME_BYTES_MAX < Framer::BUFFER_BYTES_MAX);

/// Whole frames that were read together.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    bytes: &'a [u8],
    frames: usize,
    items: usize,
}

impl<'a> Batch<'a> {
    /// The frames, in the order in which they came. Cheap to walk twice: once to prefetch, once to judge.
    pub fn frames(&self) -> Frames<'a> {
        Frames { rest: self.bytes }
    }

    /// How many frames there are.
    pub fn frame_count(&self) -> usize {
        self.frames
    }

    /// How many checks or answers there are in all frames together.
    pub fn item_count(&self) -> usize {
        self.items
    }

    /// Whether there is no whole frame.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }
}

/// The frames of a [`Batch`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let header = Header::decode(self.rest.first_chunk()?);
        // The framer has checked that the frame is whole; `?` only saves a proof.
        let (frame, rest) = self.rest.split_at_checked(usize::try_from(header.length).ok()?)?;
        self.rest = rest;
        Some(Frame { header, body: frame.get(FRAME_HEADER_BYTES..)? })
    }
}

/// One whole frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    header: Header,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The bytes after the header.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The checks of a question, in order.
    pub fn checks(&self) -> impl ExactSizeIterator<Item = RawCheck<'a>> + Clone + use<'a> {
        self.body.as_chunks().0.iter().map(RawCheck::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        code::{Card, Credential, Digits},
        codec::{Question, encode_question},
        id::DoorId,
        message::check::Check,
    };

    /// A small generator, so that the mutations need no dependency and repeat exactly.
    pub(crate) struct Dice(pub u64);

    impl Dice {
        pub(crate) fn roll(&mut self, below: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % below
        }
    }

    fn checks(count: usize) -> Vec<Check> {
        (0..count)
            .map(|n| {
                let credential = match n % 3 {
                    0 => Credential::Mobile(n as u64 * 7_919),
                    1 => Credential::Card(Card::new(&[4, n as u8, 9, 1]).unwrap()),
                    _ => Credential::Code(Digits::parse(format!("{:07}", n * 31).as_bytes()).unwrap()),
                };
                Check { door: DoorId(n as u32 + 1), credential }
            })
            .collect()
    }

    fn stream(counts: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (request, count) in counts.iter().enumerate() {
            let question = Question { request: request as u64, detailed: request % 2 == 1, minimum_revision: 9 };
            encode_question(question, &checks(*count), &mut bytes).unwrap();
        }
        bytes
    }

    fn feed(framer: &mut Framer, mut bytes: &[u8], mut each: impl FnMut(Frame<'_>)) {
        while !bytes.is_empty() && framer.broken().is_none() {
            let space = framer.space();
            let count = space.len().min(bytes.len());
            assert!(count > 0, "a framer whose batches are taken always has space");
            space[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            framer.filled(count);
            framer.batch().frames().for_each(&mut each);
        }
    }

    #[test]
    fn frames_are_found_at_every_split_point() {
        let counts = [1, 3, 40];
        let bytes = stream(&counts);
        for split in 0..=bytes.len() {
            let mut framer = Framer::new(FrameKind::Checks);
            let mut seen = Vec::new();
            for part in [&bytes[..split], &bytes[split..]] {
                feed(&mut framer, part, |frame| {
                    let found: Vec<Check> = frame.checks().map(|raw| raw.check().unwrap()).collect();
                    assert_eq!(found, checks(found.len()));
                    assert_eq!(frame.header().revision, 9);
                    seen.push((frame.header().request, found.len()));
                });
            }
            assert_eq!(seen, [(0, 1), (1, 3), (2, 40)], "split at {split}");
            assert!(!framer.mid_frame() && framer.broken().is_none());
        }
    }

    #[test]
    fn one_read_of_many_frames_is_one_batch() {
        let bytes = stream(&[5; 9]);
        let mut framer = Framer::new(FrameKind::Checks);
        framer.space();
        for byte in &bytes {
            framer.space()[0] = *byte;
            framer.filled(1);
        }
        let batch = framer.batch();
        assert_eq!((batch.frame_count(), batch.item_count(), batch.frames().count()), (9, 45, 9));
        assert!(framer.batch().is_empty(), "each frame is handed out once");
    }

    #[test]
    fn every_malformed_header_is_named() {
        let good = Header { length: 40, version: 1, flags: 0, count: 1, request: 77, revision: 0 };
        let cases = [
            (Header { length: 23, ..good }, FrameError::Length(23)),
            (Header { length: u32::MAX, ..good }, FrameError::Length(u32::MAX)),
            (Header { version: 2, ..good }, FrameError::Version(2)),
            (Header { flags: FLAG_REFUSED, ..good }, FrameError::Flags(FLAG_REFUSED)),
            (Header { flags: 0x40, ..good }, FrameError::Flags(0x40)),
            (Header { length: 24, count: 0, ..good }, FrameError::Count(0)),
            (Header { count: 1_025, ..good }, FrameError::Count(1_025)),
            (Header { length: 41, ..good }, FrameError::Mismatch { length: 41, count: 1 }),
        ];
        for (header, error) in cases {
            let mut framer = Framer::new(FrameKind::Checks);
            feed(&mut framer, &header.encode(), |_| panic!("no frame is whole"));
            assert_eq!(framer.broken(), Some(Broken { error, request: 77 }));
        }
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut framer = Framer::new(FrameKind::Checks);
        let header = Header { length: 24 + 1_024 * 16, version: 1, flags: 0, count: 1_024, request: 0, revision: 0 };
        feed(&mut framer, &header.encode(), |_| panic!("no frame is whole"));
        assert!(framer.mid_frame() && framer.buffer.len() <= Framer::BUFFER_BYTES_FIRST * 2);
    }

    #[test]
    fn a_hundred_thousand_mutated_streams_do_no_harm() {
        let seed = 0x5eed_0001;
        println!("seed {seed:#x}");
        let mut dice = Dice(seed);
        let whole = stream(&[1, 2, 7]);
        for _ in 0..100_000 {
            let mut bytes = whole.clone();
            if dice.roll(4) == 0 {
                bytes.iter_mut().for_each(|byte| *byte = dice.roll(256) as u8);
            }
            for _ in 0..dice.roll(5) {
                let at = dice.roll(bytes.len());
                bytes[at] = dice.roll(256) as u8;
            }
            bytes.truncate(1 + dice.roll(bytes.len()));
            let kind = if dice.roll(2) == 0 { FrameKind::Checks } else { FrameKind::Answers };
            let mut framer = Framer::new(kind);
            let split = dice.roll(bytes.len());
            for part in [&bytes[..split], &bytes[split..]] {
                feed(&mut framer, part, |frame| {
                    frame.checks().for_each(|raw| drop((raw.door(), raw.credential())));
                    let answers = crate::message::check::AnswersView::new(frame);
                    answers.outcomes(5).for_each(drop);
                    assert!(answers.detail(3).is_none_or(|detail| detail.outcome == answers.outcome(3)));
                });
            }
            assert!(framer.buffer.len() <= Framer::BUFFER_BYTES_MAX);
        }
    }
}
