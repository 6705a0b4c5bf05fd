//! Watch streams: one subscription, then what it sees until either side ends it.

use keyward_protocol::codec::Status;
use quinn::{RecvStream, SendStream};

use super::{Limits, Peer, Watch, connection::Stopping, io, manage};

/// The most bytes of a subscription's request.
const SUBSCRIPTION_BYTES_MAX: usize = 64 << 10;

pub(super) async fn serve(
    watch: &dyn Watch,
    who: &Peer,
    send: &mut SendStream,
    receive: &mut RecvStream,
    stopping: &Stopping,
    limits: &Limits,
) {
    let Some(payload) = manage::request(who, send, receive, SUBSCRIPTION_BYTES_MAX, limits).await else { return };
    let mut feed = match watch.subscribe(who, payload) {
        Ok(feed) => feed,
        Err(why) => return io::refuse(send, Status::NotPermitted, &why, limits.pace).await,
    };
    if !io::write(send, &[Status::Accepted as u8], limits.pace).await {
        return;
    }
    let gone = send.stopped();
    let stopped = stopping.stopped();
    tokio::pin!(gone, stopped);
    loop {
        let next = tokio::select! {
            next = feed.next() => next,
            _ = &mut gone => return,
            () = &mut stopped => None,
        };
        let Some(payload) = next else { break };
        if !io::write_payload(send, &payload, limits.idle).await {
            return;
        }
    }
    let _ = send.finish();
}
