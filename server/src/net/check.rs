//! Check streams: frames in, answers out, as long as both sides like.
//!
//! One task a stream. Everything that one wake-up brings is one batch; its answers are written, in order, when its
//! ticket resolves, and meanwhile the stream is read on.

use core::{future::poll_fn, pin::Pin};
use std::collections::VecDeque;

use keyward_protocol::{
    codec::close,
    frame::{FrameKind, Framer},
    message::check::AnswerWriter,
};
use quinn::{RecvStream, SendStream};
use tokio::time::{Instant, sleep_until};

use super::{Judge, Limits, Peer, Settled, activity::Asked, connection::Stopping, io};
use crate::clock;

/// A batch that was judged and not answered.
struct Judged<T> {
    ticket: T,
    answers: AnswerWriter,
}

/// Why reading ended.
enum Ending {
    /// The peer is done, or we are: answer what was read, then end the stream.
    Orderly,
    /// The frames can't be read on: answer what was read, then say so.
    Broken,
    /// A frame was begun and not finished.
    TooSlow,
    /// The peer or the connection is gone.
    Gone,
}

pub(super) async fn serve<J: Judge>(
    judge: &J,
    (who, asked): (&Peer, &Asked),
    (mut send, mut receive): (SendStream, RecvStream),
    stopping: Stopping,
    limits: &Limits,
) {
    let mut framer = Framer::new(FrameKind::Checks);
    let mut judged: VecDeque<Judged<J::Ticket>> = VecDeque::new();
    let mut spare: Vec<AnswerWriter> = Vec::new();
    let mut ending = None;
    // When the frame that is unfinished was begun.
    let mut begun: Option<Instant> = None;
    let stopped = stopping.stopped();
    tokio::pin!(stopped);
    loop {
        let reading = ending.is_none();
        if !reading && judged.is_empty() {
            break;
        }
        let frame_end = begun.map(|begun| begun + limits.pace);
        tokio::select! {
            biased;
            () = &mut stopped, if reading => ending = Some(Ending::Orderly),
            settled = settle_first(&mut judged), if !judged.is_empty() => {
                let Some(Judged { mut answers, .. }) = judged.pop_front() else { continue };
                match settled {
                    Settled::Answer => {}
                    Settled::Deny => answers.deny_all(),
                    Settled::Drop => return cut_off(&mut send, &mut receive, close::LOG_FAILED),
                }
                if !io::write(&mut send, answers.bytes(), limits.pace).await {
                    return cut_off(&mut send, &mut receive, close::TOO_SLOW);
                }
                answers.clear();
                spare.push(answers);
            }
            read = receive.read(framer.space()), if reading && judged.len() < limits.batches_max => match read {
                Ok(Some(count)) => {
                    framer.filled(count);
                    let batch = framer.batch();
                    let whole = !batch.is_empty();
                    if whole {
                        let mut answers = spare.pop().unwrap_or_else(|| AnswerWriter::new(who.details));
                        let ticket = judge.judge(who, &batch, &mut answers);
                        answers.complete(&batch);
                        asked.count(batch.item_count(), clock::now());
                        judged.push_back(Judged { ticket, answers });
                    }
                    // A frame's time runs from its first byte; bytes that trickle in don't prolong it.
                    begun = framer.mid_frame().then(|| begun.filter(|_| !whole).unwrap_or_else(Instant::now));
                    ending = framer.broken().map(|_| Ending::Broken);
                }
                Ok(None) => ending = Some(Ending::Orderly),
                Err(_) => ending = Some(Ending::Gone),
            },
            () = sleep_until(frame_end.unwrap_or_else(Instant::now)), if reading && frame_end.is_some() => {
                ending = Some(Ending::TooSlow);
            }
        }
    }
    match ending {
        Some(Ending::Broken) => {
            let mut refusal = AnswerWriter::default();
            framer.broken().into_iter().for_each(|broken| refusal.refuse(broken));
            let _ = receive.stop(close::MALFORMED.into());
            io::write(&mut send, refusal.bytes(), limits.pace).await;
        }
        Some(Ending::TooSlow) => return cut_off(&mut send, &mut receive, close::TOO_SLOW),
        Some(Ending::Gone) => return,
        Some(Ending::Orderly) | None => {}
    }
    let _ = receive.stop(close::SHUTTING_DOWN.into());
    let _ = send.finish();
    stopping.delivered(&send, limits.pace).await;
}

/// Waits for the ticket of the oldest batch.
async fn settle_first<T: Future<Output = Settled> + Unpin>(judged: &mut VecDeque<Judged<T>>) -> Settled {
    poll_fn(|context| match judged.front_mut() {
        Some(first) => Pin::new(&mut first.ticket).poll(context),
        None => core::task::Poll::Pending,
    })
    .await
}

fn cut_off(send: &mut SendStream, receive: &mut RecvStream, code: u32) {
    let _ = send.reset(code.into());
    let _ = receive.stop(code.into());
}
