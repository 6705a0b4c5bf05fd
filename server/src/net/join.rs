//! Joining and renewing: one request of somebody who has proved nothing yet, so everything about it is small.

use core::net::SocketAddr;

use keyward_protocol::{
    codec::{CHALLENGE_BYTES, StreamKind, close},
    limits::JOIN_BYTES_MAX,
    message::join::JoinAnswer,
};
use quinn::Connection;
use tokio::time::timeout;

use super::{Later, Limits, io};

/// Answers who joins or renews.
pub trait Join: Send + Sync + 'static {
    /// The answer to one request, whose proof is over `challenge`. Refusals are answers, too.
    fn join<'a>(
        &'a self,
        from: SocketAddr,
        challenge: &'a [u8; CHALLENGE_BYTES],
        payload: Vec<u8>,
    ) -> Later<'a, Vec<u8>>;
}

/// Serves a connection on which joining is spoken: one request, then it is over. `None` for `join`: too many are at it.
pub(super) async fn serve(connection: &Connection, join: Option<&dyn Join>, limits: &Limits) {
    let exchanged = timeout(limits.handshake + limits.pace, exchange(connection, join, limits)).await;
    if exchanged.is_ok_and(|answered| answered.is_some()) {
        // Whoever asked closes when they have read it.
        _ = timeout(limits.pace, connection.closed()).await;
    }
    connection.close(close::DONE.into(), b"");
}

async fn exchange(connection: &Connection, join: Option<&dyn Join>, limits: &Limits) -> Option<()> {
    let (mut send, mut receive) = connection.accept_bi().await.ok()?;
    let mut kind = [0];
    receive.read_exact(&mut kind).await.ok()?;
    if kind != [StreamKind::Join as u8] {
        let _ = send.reset(close::UNKNOWN_STREAM.into());
        return None;
    }
    let mut challenge = [0; CHALLENGE_BYTES];
    getrandom::fill(&mut challenge).ok()?;
    io::write(&mut send, &challenge, limits.pace).await.then_some(())?;
    let payload = io::read_payload(&mut receive, JOIN_BYTES_MAX, limits.pace).await;
    let answer = match (payload, join) {
        (Ok(payload), Some(join)) => join.join(connection.remote_address(), &challenge, payload).await,
        (Ok(_), None) => {
            let why = "too many are joining at the moment: try again in a while".to_owned();
            JoinAnswer::Refused { why, later: true }.encode()
        }
        (Err(_), _) => {
            let why = "the request is too long, ended early or came too slowly".to_owned();
            JoinAnswer::Refused { why, later: true }.encode()
        }
    };
    io::write_payload(&mut send, &answer, limits.pace).await.then_some(())?;
    send.finish().ok()
}
