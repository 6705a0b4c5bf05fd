//! One check stream that many tasks ask on: each waits for its own answer only.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use super::{CheckReceiver, CheckSender, CheckStream, ClientError, ReceivedAnswers};
use crate::{
    codec::{Question, encode_question},
    message::check::Check,
};

/// Questions that wait to be written.
const QUEUE_MAX: usize = 256;

type Reply = Result<ReceivedAnswers, ClientError>;

/// The asking end. The tasks that write and read end when the last clone is dropped and all is answered.
#[derive(Clone)]
pub(super) struct Shared {
    questions: mpsc::Sender<Vec<u8>>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    next_request: u64,
    replies: HashMap<u64, oneshot::Sender<Reply>>,
    failed: Option<ClientError>,
}

/// Takes a question off the list when nobody waits for its answer any more.
struct Asked<'a> {
    shared: &'a Shared,
    request: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        change(&self.shared.waiting, |waiting| waiting.replies.remove(&self.request));
    }
}

impl Shared {
    pub(super) fn new(stream: CheckStream) -> Shared {
        let (questions, queue) = mpsc::channel(QUEUE_MAX);
        let waiting = Arc::<Mutex<Waiting>>::default();
        tokio::spawn(write(stream.sender, queue, waiting.clone()));
        tokio::spawn(read(stream.receiver, waiting.clone()));
        Shared { questions, waiting }
    }

    /// Whether the stream is over.
    pub(super) fn failed(&self) -> bool {
        change(&self.waiting, |waiting| waiting.failed.is_some())
    }

    /// Asks, and waits for the answer. May be dropped at any time: the frame is written by a task of its own.
    pub(super) async fn ask(&self, checks: &[Check], minimum_revision: u64) -> Reply {
        let (reply, answer) = oneshot::channel();
        let request = change(&self.waiting, |waiting| {
            if let Some(error) = &waiting.failed {
                return Err(error.clone());
            }
            waiting.next_request += 1;
            waiting.replies.insert(waiting.next_request, reply);
            Ok(waiting.next_request)
        })?;
        let _asked = Asked { shared: self, request };
        let mut frame = Vec::new();
        encode_question(Question { request, detailed: false, minimum_revision }, checks, &mut frame)?;
        // A closed queue says that the writer failed; the answer's end then says why.
        let _ = self.questions.send(frame).await;
        answer.await.unwrap_or(Err(ClientError::Short))
    }
}

async fn write(mut sender: CheckSender, mut queue: mpsc::Receiver<Vec<u8>>, waiting: Arc<Mutex<Waiting>>) {
    while let Some(frame) = queue.recv().await {
        if let Err(error) = sender.send_encoded(&frame).await {
            return fail(&waiting, error);
        }
    }
    sender.finish();
}

async fn read(mut receiver: CheckReceiver, waiting: Arc<Mutex<Waiting>>) {
    loop {
        match receiver.receive().await {
            Ok(Some(answers)) => match answers.refused {
                Some(error) => return fail(&waiting, ClientError::FrameRefused(error)),
                None => {
                    let reply = change(&waiting, |waiting| waiting.replies.remove(&answers.request));
                    // Nobody waits any more for some answers: they came too late.
                    let _ = reply.map(|reply| reply.send(Ok(answers)));
                }
            },
            Ok(None) => return fail(&waiting, ClientError::ShuttingDown),
            Err(error) => return fail(&waiting, error),
        }
    }
}

/// Ends every wait with `error`, and every later one.
fn fail(waiting: &Mutex<Waiting>, error: ClientError) {
    let replies = change(waiting, |waiting| {
        waiting.failed.get_or_insert_with(|| error.clone());
        std::mem::take(&mut waiting.replies)
    });
    for reply in replies.into_values() {
        let _ = reply.send(Err(error.clone()));
    }
}

fn change<T>(waiting: &Mutex<Waiting>, change: impl FnOnce(&mut Waiting) -> T) -> T {
    // Each change leaves the list whole, so a panic elsewhere does not spoil it.
    change(&mut waiting.lock().unwrap_or_else(PoisonError::into_inner))
}
