//! Checks and their answers.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use crate::{
    code::Credential,
    codec,
    decision::Reason,
    frame::{Batch, Broken, FLAG_DETAILED, FLAG_REFUSED, FRAME_VERSION, Frame, Header},
    id::{DoorId, KeyId},
    limits::{CHECK_BYTES, DETAILED_ANSWER_BYTES, FRAME_HEADER_BYTES},
    time::Moment,
};

/// One unlock check (U1): may what is shown open this door now?
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// The door, numbered within the portfolio that the certificate names.
    pub door: DoorId,
    /// What is shown to it.
    pub credential: Credential,
}

/// One check as it lies in a frame.
#[derive(Clone, Copy, Debug)]
pub struct RawCheck<'a>(&'a [u8; CHECK_BYTES]);

impl<'a> RawCheck<'a> {
    /// The check in these bytes.
    pub fn new(bytes: &'a [u8; CHECK_BYTES]) -> RawCheck<'a> {
        RawCheck(bytes)
    }

    /// The door that is asked about.
    pub fn door(self) -> DoorId {
        codec::door(self.0)
    }

    /// What is shown. `None` where the bytes are no credential (an unknown kind, a bad length, digits that are
    /// none): such a check is judged like any other, as a credential that nobody has, and so denied.
    pub fn credential(self) -> Option<Credential> {
        codec::credential(self.0)
    }

    /// Whether a door code is shown, well-formed or not: it then counts against the door's wrong codes (U7).
    pub fn shows_code(self) -> bool {
        codec::kind(self.0) == codec::KIND_CODE
    }

    /// The whole check; `None` where [`RawCheck::credential`] is.
    pub fn check(self) -> Option<Check> {
        Some(Check { door: self.door(), credential: self.credential()? })
    }
}

/// What a lock is told. Anything but [`Outcome::Granted`] leaves the door shut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Outcome {
    /// The door stays shut. Also what every check counts as that got no answer, a short one or an unreadable one.
    #[default]
    Denied = 0,
    /// The door opens.
    Granted = 1,
    /// No decision: the server can't judge this yet (codes after a start). Stays shut; ask again shortly.
    Retry = 2,
    /// No decision: the server is not at the demanded revision yet (U4). Stays shut; ask again shortly.
    Behind = 3,
}

impl Outcome {
    /// The outcome that this byte stands for; [`Outcome::Denied`] for every byte that stands for none.
    pub fn from_u8(byte: u8) -> Outcome {
        match byte {
            1 => Outcome::Granted,
            2 => Outcome::Retry,
            3 => Outcome::Behind,
            _ => Outcome::Denied,
        }
    }

    /// Whether the door opens.
    pub fn opens(self) -> bool {
        self == Outcome::Granted
    }
}

/// A detailed answer, for managers and load tests only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DetailedAnswer {
    /// What a lock would be told.
    pub outcome: Outcome,
    /// Why it was denied.
    pub reason: Option<Reason>,
    /// The Key that decided (U2), or [`KeyId::NONE`].
    pub key: KeyId,
    /// The moment until which the decision stands if nothing is changed (U4); [`Moment::MIN`] where nobody knows.
    pub stands_until: Moment,
}

impl Default for DetailedAnswer {
    /// A denial without a reason.
    fn default() -> DetailedAnswer {
        DetailedAnswer::from(Outcome::Denied)
    }
}

impl From<Outcome> for DetailedAnswer {
    fn from(outcome: Outcome) -> DetailedAnswer {
        DetailedAnswer { outcome, reason: None, key: KeyId::NONE, stands_until: Moment::MIN }
    }
}

/// Writes answers: whole frames, in the order of the questions.
///
/// Whatever is not answered is denied: a frame that is left short is filled up with denials.
#[derive(Debug, Default)]
pub struct AnswerWriter {
    bytes: Vec<u8>,
    details_allowed: bool,
    detailed: bool,
    missing: u16,
    frames: usize,
}

impl AnswerWriter {
    /// An empty writer. Unless `details_allowed`, questions for details get plain answers.
    pub fn new(details_allowed: bool) -> AnswerWriter {
        AnswerWriter { details_allowed, ..AnswerWriter::default() }
    }

    /// Begins the answers to the next frame, judged at `revision`; ends the ones before.
    pub fn begin(&mut self, question: &Header, revision: u64) {
        self.fill_up();
        self.detailed = self.details_allowed && question.detailed();
        self.missing = question.count;
        self.frames += 1;
        let (flags, item_bytes) = if self.detailed { (FLAG_DETAILED, DETAILED_ANSWER_BYTES) } else { (0, 1) };
        self.header(question.request, flags, question.count, item_bytes, revision);
    }

    /// Whether the frame that was begun gets details: without them nobody needs to find out until when it stands.
    pub fn detailed(&self) -> bool {
        self.detailed
    }

    /// The answer to the next check of the frame that was begun. Ignored when all of them are answered.
    pub fn put(&mut self, outcome: Outcome) {
        if self.detailed {
            self.put_detailed(&DetailedAnswer::from(outcome));
        } else if self.take_place() {
            self.bytes.push(outcome as u8);
        }
    }

    /// Like [`AnswerWriter::put`], with what a manager may be told; the frame decides how much of it is sent.
    pub fn put_detailed(&mut self, answer: &DetailedAnswer) {
        if !self.take_place() {
        } else if self.detailed {
            self.bytes.extend_from_slice(&codec::encode_detailed(answer));
        } else {
            self.bytes.push(answer.outcome as u8);
        }
    }

    /// Answers everything in `batch` that was not answered, with denials.
    pub fn complete(&mut self, batch: &Batch<'_>) {
        for frame in batch.frames().skip(self.frames) {
            self.begin(frame.header(), 0);
        }
        self.fill_up();
    }

    /// Says that a frame could not be read, and why. Ends the answers before.
    pub fn refuse(&mut self, broken: Broken) {
        self.fill_up();
        self.header(broken.request, FLAG_REFUSED, 0, 0, broken.error.number());
    }

    /// Turns every answer into a denial without a reason.
    pub fn deny_all(&mut self) {
        self.fill_up();
        let mut rest = self.bytes.as_mut_slice();
        while let Some((header, after)) = rest.split_first_chunk_mut::<FRAME_HEADER_BYTES>() {
            let length = usize::try_from(Header::decode(header).length).unwrap_or(usize::MAX);
            let body = length.saturating_sub(FRAME_HEADER_BYTES).min(after.len());
            let (body, next) = after.split_at_mut(body);
            body.fill(Outcome::Denied as u8);
            rest = next;
        }
    }

    /// The frames as they are sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties it for the next batch; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.missing, self.frames) = (0, 0);
    }

    fn take_place(&mut self) -> bool {
        let free = self.missing > 0;
        self.missing = self.missing.saturating_sub(1);
        free
    }

    fn fill_up(&mut self) {
        while self.missing > 0 {
            self.put(Outcome::Denied);
        }
    }

    fn header(&mut self, request: u64, flags: u8, count: u16, item_bytes: usize, revision: u64) {
        let length = u32::try_from(FRAME_HEADER_BYTES + usize::from(count) * item_bytes)
            .expect("65,535 answers of 16 bytes are less than 4 GiB");
        let header = Header { length, version: FRAME_VERSION, flags, count, request, revision };
        self.bytes.extend_from_slice(&header.encode());
    }
}

/// A frame of answers, read.
#[derive(Clone, Copy, Debug)]
pub struct AnswersView<'a>(Frame<'a>);

impl<'a> AnswersView<'a> {
    /// The answers in this frame.
    pub fn new(frame: Frame<'a>) -> AnswersView<'a> {
        AnswersView(frame)
    }

    /// The question that is answered.
    pub fn request(&self) -> u64 {
        self.0.header().request
    }

    /// The revision that was judged at; 0 where nothing was judged.
    pub fn revision(&self) -> u64 {
        if self.refused() { 0 } else { self.0.header().revision }
    }

    /// Whether the server could not read the question. All of it is denied, and the stream ends.
    pub fn refused(&self) -> bool {
        self.0.header().refused()
    }

    /// How many answers there are; fewer than were asked for when the answer is short.
    pub fn count(&self) -> usize {
        usize::from(self.0.header().count)
    }

    /// The answer to check number `index`; [`Outcome::Denied`] where there is none.
    pub fn outcome(&self, index: usize) -> Outcome {
        let item_bytes = if self.0.header().detailed() { DETAILED_ANSWER_BYTES } else { 1 };
        let byte = index.checked_mul(item_bytes).and_then(|at| self.0.body().get(at));
        byte.filter(|_| !self.refused()).map_or(Outcome::Denied, |byte| Outcome::from_u8(*byte))
    }

    /// The answers to the `asked` checks of the question; those that are missing are denied.
    pub fn outcomes(&self, asked: usize) -> impl ExactSizeIterator<Item = Outcome> + use<'a> {
        let view = *self;
        (0..asked).map(move |index| view.outcome(index))
    }

    /// The details for check number `index`, where the server gave any.
    pub fn detail(&self, index: usize) -> Option<DetailedAnswer> {
        let detailed = self.0.header().detailed() && !self.refused();
        self.0.body().as_chunks().0.get(index).filter(|_| detailed).map(codec::decode_detailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::FrameError,
        frame::{FrameKind, Framer},
    };

    fn question(count: u16, flags: u8) -> Header {
        Header { length: 0, version: FRAME_VERSION, flags, count, request: 5, revision: 0 }
    }

    fn read(bytes: &[u8], check: impl FnOnce(AnswersView<'_>)) {
        let mut framer = Framer::new(FrameKind::Answers);
        framer.space()[..bytes.len()].copy_from_slice(bytes);
        framer.filled(bytes.len());
        let batch = framer.batch();
        check(AnswersView::new(batch.frames().next().expect("the frame is whole")));
    }

    #[test]
    fn answers_come_back_in_order_and_the_missing_are_denied() {
        let mut writer = AnswerWriter::new(false);
        writer.begin(&question(4, 0), 12);
        [Outcome::Granted, Outcome::Behind, Outcome::Retry].into_iter().for_each(|outcome| writer.put(outcome));
        writer.fill_up();
        writer.put(Outcome::Granted);
        read(writer.bytes(), |answers| {
            assert_eq!((answers.request(), answers.revision(), answers.count()), (5, 12, 4));
            let outcomes: Vec<Outcome> = answers.outcomes(6).collect();
            use Outcome::{Behind, Denied, Granted, Retry};
            assert_eq!(outcomes, [Granted, Behind, Retry, Denied, Denied, Denied]);
            assert_eq!(answers.detail(0), None);
        });
    }

    // U4
    #[test]
    fn details_are_given_where_they_are_allowed_only() {
        let detail = DetailedAnswer {
            outcome: Outcome::Denied,
            reason: Some(Reason::OutsideSchedule),
            key: KeyId(9),
            stands_until: Moment::from_micros(-5),
        };
        for allowed in [false, true] {
            let mut writer = AnswerWriter::new(allowed);
            writer.begin(&question(2, FLAG_DETAILED), 1);
            writer.put_detailed(&detail);
            writer.put(Outcome::Granted);
            read(writer.bytes(), |answers| {
                assert_eq!(answers.detail(0), allowed.then_some(detail));
                assert_eq!(answers.outcomes(2).collect::<Vec<_>>(), [Outcome::Denied, Outcome::Granted]);
            });
        }
    }

    #[test]
    fn a_refusal_and_a_denied_batch_grant_nothing() {
        let mut writer = AnswerWriter::new(true);
        writer.begin(&question(2, FLAG_DETAILED), 1);
        writer.put(Outcome::Granted);
        writer.begin(&question(1, 0), 1);
        writer.put(Outcome::Granted);
        writer.deny_all();
        read(writer.bytes(), |answers| assert!(answers.outcomes(2).all(|outcome| outcome == Outcome::Denied)));
        writer.clear();
        writer.refuse(Broken { error: FrameError::Version(9), request: 3 });
        read(writer.bytes(), |answers| {
            assert!(answers.refused() && answers.request() == 3 && answers.revision() == 0);
            assert!(!answers.outcome(0).opens());
        });
    }
}
