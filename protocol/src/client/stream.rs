//! Check streams: frames out, answers in, as many in flight as both sides like.

use quinn::{RecvStream, SendStream};

use super::ClientError;
use crate::{
    codec::{Question, encode_question},
    frame::{Batch, FrameKind, Framer},
    message::check::{AnswersView, Check, DetailedAnswer, Outcome},
};

/// A check stream: both halves of it.
pub struct CheckStream {
    /// Sends questions.
    pub sender: CheckSender,
    /// Receives answers, in the order of the questions.
    pub receiver: CheckReceiver,
}

/// Sends frames of checks. Dropping it ends the stream once the answers are here.
pub struct CheckSender {
    send: SendStream,
    frame: Vec<u8>,
    next_request: u64,
}

/// Receives frames of answers.
pub struct CheckReceiver {
    receive: RecvStream,
    framer: Framer,
    ready: std::collections::VecDeque<ReceivedAnswers>,
}

/// One frame of answers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReceivedAnswers {
    /// The question's request id.
    pub request: u64,
    /// The revision that was judged at; 0 where nothing was judged.
    pub revision: u64,
    /// The error number when the server could not read the question, and so ends the stream.
    pub refused: Option<u64>,
    outcomes: Vec<Outcome>,
    details: Vec<DetailedAnswer>,
}

impl ReceivedAnswers {
    fn new(view: AnswersView<'_>, error: u64) -> ReceivedAnswers {
        ReceivedAnswers {
            request: view.request(),
            revision: view.revision(),
            refused: view.refused().then_some(error),
            outcomes: view.outcomes(view.count()).collect(),
            details: (0..view.count()).map_while(|index| view.detail(index)).collect(),
        }
    }

    /// The answer to check number `index`; denied where there is none.
    pub fn outcome(&self, index: usize) -> Outcome {
        self.outcomes.get(index).copied().unwrap_or_default()
    }

    /// The answers to the `asked` checks of the question; those that are missing are denied.
    pub fn outcomes(&self, asked: usize) -> Vec<Outcome> {
        (0..asked).map(|index| self.outcome(index)).collect()
    }

    /// The details, one for each answer, when they were asked for and given; else none.
    pub fn details(&self) -> &[DetailedAnswer] {
        &self.details
    }
}

impl CheckStream {
    pub(super) fn new(send: SendStream, receive: RecvStream) -> CheckStream {
        CheckStream {
            sender: CheckSender { send, frame: Vec::new(), next_request: 1 },
            receiver: CheckReceiver { receive, framer: Framer::new(FrameKind::Answers), ready: Default::default() },
        }
    }
}

impl CheckSender {
    /// Asks, and returns the request id that the answers will carry. Waits only while the server's window is full.
    ///
    /// Not to be dropped half-way: a frame that is cut in two spoils the stream.
    pub async fn send(&mut self, checks: &[Check], detailed: bool, minimum_revision: u64) -> Result<u64, ClientError> {
        let request = self.next_request;
        self.next_request += 1;
        self.frame.clear();
        encode_question(Question { request, detailed, minimum_revision }, checks, &mut self.frame)?;
        self.send.write_all(&self.frame).await?;
        Ok(request)
    }

    /// Sends whole frames that are encoded already, as they are: for load generation. Request ids are the caller's.
    pub async fn send_encoded(&mut self, frames: &[u8]) -> Result<(), ClientError> {
        Ok(self.send.write_all(frames).await?)
    }

    /// Says that no more questions come. Answers still do.
    pub fn finish(&mut self) {
        // It fails only on a stream that is over already.
        let _ = self.send.finish();
    }
}

impl CheckReceiver {
    /// The next answers; `None` when the server has ended the stream in order. May be dropped and called again.
    pub async fn receive(&mut self) -> Result<Option<ReceivedAnswers>, ClientError> {
        while self.ready.is_empty() {
            let Self { receive, framer, ready } = self;
            let Some(batch) = read_batch(receive, framer).await? else { return Ok(None) };
            let answers =
                batch.frames().map(|frame| ReceivedAnswers::new(AnswersView::new(frame), frame.header().revision));
            ready.extend(answers);
        }
        Ok(self.ready.pop_front())
    }

    /// Hands every frame of answers that one read brings to `each`, without a copy: for load generation. Says how
    /// many there were; `None` when the server has ended the stream. Not to be mixed with [`CheckReceiver::receive`].
    pub async fn receive_each(&mut self, mut each: impl FnMut(AnswersView<'_>)) -> Result<Option<usize>, ClientError> {
        let Some(batch) = read_batch(&mut self.receive, &mut self.framer).await? else { return Ok(None) };
        batch.frames().for_each(|frame| each(AnswersView::new(frame)));
        Ok(Some(batch.frame_count()))
    }
}

/// At least one whole frame; `None` at the stream's end.
async fn read_batch<'a>(receive: &mut RecvStream, framer: &'a mut Framer) -> Result<Option<Batch<'a>>, ClientError> {
    while !framer.has_frame() {
        if let Some(broken) = framer.broken() {
            return Err(broken.error.into());
        }
        match receive.read(framer.space()).await? {
            Some(count) => framer.filled(count),
            None if framer.mid_frame() => return Err(ClientError::Short),
            None => return Ok(None),
        }
    }
    Ok(Some(framer.batch()))
}
