//! Payloads with a length before them, each read and written within a time that its size allows.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use core::time::Duration;

use keyward_protocol::codec::Status;
use quinn::{ReadExactError, RecvStream, SendStream};
use tokio::time::{Instant, timeout, timeout_at};

/// Past the first moments, peers on slow lines must keep up with this: 128 KiB a second.
const BYTES_PER_MILLISECOND_MIN: usize = 128;

/// Why there is no payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unread {
    /// Longer than it may be.
    TooLarge,
    /// The stream ended, or the connection did, or it took too long.
    Incomplete,
}

/// Reads a payload. Memory grows with what really came, not with the length that was claimed.
pub(super) async fn read_payload(
    receive: &mut RecvStream,
    bytes_max: usize,
    pace: Duration,
) -> Result<Vec<u8>, Unread> {
    let begun = Instant::now();
    let mut length = [0; 4];
    let read: Result<Result<(), ReadExactError>, _> = timeout_at(begun + pace, receive.read_exact(&mut length)).await;
    read.map_err(|_| Unread::Incomplete)?.map_err(|_| Unread::Incomplete)?;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| Unread::TooLarge)?;
    if length > bytes_max {
        return Err(Unread::TooLarge);
    }
    let end = begun + pace_for(length, pace);
    let mut payload = Vec::new();
    while payload.len() < length {
        let chunk = timeout_at(end, receive.read_chunk(length - payload.len(), true)).await;
        let chunk = chunk.map_err(|_| Unread::Incomplete)?.map_err(|_| Unread::Incomplete)?;
        payload.extend_from_slice(&chunk.ok_or(Unread::Incomplete)?.bytes);
    }
    Ok(payload)
}

/// Writes all of `bytes`; `false` when the peer is gone or takes too long.
pub(super) async fn write(send: &mut SendStream, bytes: &[u8], pace: Duration) -> bool {
    matches!(timeout(pace_for(bytes.len(), pace), send.write_all(bytes)).await, Ok(Ok(())))
}

/// Writes a payload with its length before it.
pub(super) async fn write_payload(send: &mut SendStream, payload: &[u8], pace: Duration) -> bool {
    let Ok(length) = u32::try_from(payload.len()) else { return false };
    write(send, &length.to_le_bytes(), pace).await && write(send, payload, pace).await
}

/// Answers with a status and a text that says why, and ends the stream.
pub(super) async fn refuse(send: &mut SendStream, status: Status, why: &str, pace: Duration) {
    if write(send, &[status as u8], pace).await && write_payload(send, why.as_bytes(), pace).await {
        let _ = send.finish();
    }
}

fn pace_for(bytes: usize, pace: Duration) -> Duration {
    pace + Duration::from_millis((bytes / BYTES_PER_MILLISECOND_MIN) as u64)
}
