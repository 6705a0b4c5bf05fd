//! Management streams: one request, one answer.

use keyward_protocol::{
    codec::Status,
    limits::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX},
};
use quinn::{RecvStream, SendStream};

use super::{Limits, Manage, Peer, io, io::Unread};
use crate::identity::Principal;

pub(super) async fn serve(
    manage: &dyn Manage,
    who: &Peer,
    send: &mut SendStream,
    receive: &mut RecvStream,
    limits: &Limits,
) {
    let Some(payload) = request(who, send, receive, REQUEST_BYTES_MAX, limits).await else { return };
    let answer = manage.request(who, payload).await;
    if answer.len() > RESPONSE_BYTES_MAX {
        return io::refuse(send, Status::AnswerTooLarge, "the answer is too long: ask for less", limits.pace).await;
    }
    let accepted = io::write(send, &[Status::Accepted as u8], limits.pace).await;
    if accepted && io::write_payload(send, &answer, limits.pace).await {
        let _ = send.finish();
    }
}

/// An operator's request; `None` when it was refused, and the peer told why.
pub(super) async fn request(
    who: &Peer,
    send: &mut SendStream,
    receive: &mut RecvStream,
    bytes_max: usize,
    limits: &Limits,
) -> Option<Vec<u8>> {
    if let Principal::Lock { .. } = who.principal {
        let why = "a lock's certificate may ask for checks only: use an operator's or a holder's";
        io::refuse(send, Status::NotPermitted, why, limits.pace).await;
        return None;
    }
    match io::read_payload(receive, bytes_max, limits.pace).await {
        Ok(payload) => Some(payload),
        Err(Unread::TooLarge) => {
            let why = format!("the request is too long: send at most {bytes_max} bytes");
            io::refuse(send, Status::TooLarge, &why, limits.pace).await;
            None
        }
        Err(Unread::Incomplete) => {
            io::refuse(send, Status::Incomplete, "the request ended early or came too slowly", limits.pace).await;
            None
        }
    }
}
