//! Fixed layouts, read and written: checks, detailed answers, questions, and the first bytes of each stream.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use crate::{
    code::{Card, Credential, Digits},
    decision::Reason,
    error::CountError,
    frame::{FLAG_DETAILED, FRAME_VERSION, Header},
    id::{DoorId, KeyId},
    limits::{CHECK_BYTES, CHECKS_PER_FRAME_MAX, DETAILED_ANSWER_BYTES, FRAME_HEADER_BYTES},
    message::check::{Check, DetailedAnswer, Outcome},
    time::Moment,
};

/// The protocol's name in the TLS handshake.
pub const ALPN: &[u8] = b"keyward/1";
/// What joining and renewing speak, where nobody shows a certificate.
pub const JOIN_ALPN: &[u8] = b"keyward-join/1";
/// Bytes of what the server has a joiner sign.
pub const CHALLENGE_BYTES: usize = 32;
/// The name that every server certificate carries. Beside it stands one with the server's lineage before it.
pub const SERVER_NAME: &str = "keyward-server";

/// [`Credential::Mobile`]: 8 bytes, little-endian.
pub const KIND_MOBILE: u8 = 1;
/// [`Credential::Card`]: 1 to 10 bytes as the card has them.
pub const KIND_CARD: u8 = 2;
/// [`Credential::Code`]: 4 to 10 ASCII digits.
pub const KIND_CODE: u8 = 3;

/// What a bidirectional stream is for: its first byte, from who opened it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum StreamKind {
    /// Frames of checks, as long as both sides like.
    Check = 1,
    /// One management request and its answer.
    Manage = 2,
    /// One subscription and what it sees.
    Watch = 3,
    /// One request to join or to renew; the only kind where [`JOIN_ALPN`] is spoken, and unknown elsewhere.
    Join = 4,
}

impl StreamKind {
    /// The kind that this byte stands for.
    pub fn from_u8(byte: u8) -> Option<StreamKind> {
        use StreamKind::{Check, Join, Manage, Watch};
        [Check, Manage, Watch, Join].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The first byte of the answer on a management or watch stream. Every status but [`Status::Accepted`] is followed
/// by one payload: a text that says why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Status {
    /// What follows is the answer.
    Accepted = 0,
    /// This identity may not open streams of this kind, or may not watch this.
    NotPermitted = 1,
    /// The request is longer than it may be.
    TooLarge = 2,
    /// Too many requests are in work for this connection.
    Busy = 3,
    /// The server is going away.
    ShuttingDown = 4,
    /// The request ended too early.
    Incomplete = 5,
    /// The answer is longer than it may be.
    AnswerTooLarge = 6,
}

impl Status {
    /// The status that this byte stands for.
    pub fn from_u8(byte: u8) -> Option<Status> {
        use Status::{Accepted, AnswerTooLarge, Busy, Incomplete, NotPermitted, ShuttingDown, TooLarge};
        [Accepted, NotPermitted, TooLarge, Busy, ShuttingDown, Incomplete, AnswerTooLarge]
            .into_iter()
            .find(|status| *status as u8 == byte)
    }
}

/// Why a connection was closed or a stream was cut off: QUIC application error codes.
pub mod close {
    /// The side that closes is done.
    pub const DONE: u32 = 0;
    /// The server knows no such identity, or it is disabled.
    pub const REFUSED: u32 = 1;
    /// The server is going away.
    pub const SHUTTING_DOWN: u32 = 2;
    /// The identity was disabled while it was connected.
    pub const DISABLED: u32 = 3;
    /// A stream's first byte names no kind of stream.
    pub const UNKNOWN_STREAM: u32 = 16;
    /// A frame or request was begun and not finished in time, or answers were not taken in time.
    pub const TOO_SLOW: u32 = 17;
    /// The access log can't keep records at the moment, so nothing is answered.
    pub const LOG_FAILED: u32 = 18;
    /// What was sent can't be read.
    pub const MALFORMED: u32 = 19;
}

/// The door of a check.
pub fn door(bytes: &[u8; CHECK_BYTES]) -> DoorId {
    let [a, b, c, d, ..] = *bytes;
    DoorId(u32::from_le_bytes([a, b, c, d]))
}

/// The kind byte of a check: [`KIND_MOBILE`], [`KIND_CARD`], [`KIND_CODE`], or what else a peer sent.
pub fn kind(bytes: &[u8; CHECK_BYTES]) -> u8 {
    let [_, _, _, _, kind, ..] = *bytes;
    kind
}

/// What a check shows; `None` where the bytes are no credential. There is one way to write each: bytes past the
/// length must be zero.
pub fn credential(bytes: &[u8; CHECK_BYTES]) -> Option<Credential> {
    let [_, _, _, _, kind, length, shown @ ..] = bytes;
    let (shown, padding) = shown.split_at_checked(usize::from(*length))?;
    if padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    match *kind {
        KIND_MOBILE => Some(Credential::Mobile(u64::from_le_bytes(shown.try_into().ok()?))),
        KIND_CARD => Card::new(shown).map(Credential::Card),
        KIND_CODE => Digits::parse(shown).map(Credential::Code),
        _ => None,
    }
}

/// A check's bytes.
pub fn encode_check(check: &Check) -> [u8; CHECK_BYTES] {
    match &check.credential {
        Credential::Mobile(identity) => lay_out(check.door, KIND_MOBILE, &identity.to_le_bytes()),
        Credential::Card(card) => lay_out(check.door, KIND_CARD, card.bytes()),
        Credential::Code(digits) => lay_out(check.door, KIND_CODE, digits.expose()),
    }
}

fn lay_out(door: DoorId, kind: u8, shown: &[u8]) -> [u8; CHECK_BYTES] {
    let length = u8::try_from(shown.len()).expect("credentials have at most 10 bytes");
    let head = door.0.to_le_bytes().into_iter().chain([kind, length]);
    let mut bytes = [0; CHECK_BYTES];
    bytes.iter_mut().zip(head.chain(shown.iter().copied())).for_each(|(to, from)| *to = from);
    bytes
}

/// What stands in the header of a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Question {
    /// Comes back with the answer.
    pub request: u64,
    /// Ask for details; only some identities get them.
    pub detailed: bool,
    /// The least revision to be judged at (U4); 0 for any.
    pub minimum_revision: u64,
}

/// Appends a frame of checks to `out`.
pub fn encode_question(question: Question, checks: &[Check], out: &mut Vec<u8>) -> Result<(), CountError> {
    let count = u16::try_from(checks.len()).ok().filter(|count| (1..=CHECKS_PER_FRAME_MAX).contains(&(*count).into()));
    let count = count.ok_or(CountError(checks.len()))?;
    let length = FRAME_HEADER_BYTES + checks.len() * CHECK_BYTES;
    let header = Header {
        length: u32::try_from(length).expect("the longest frame is shorter than 64 KiB"),
        version: FRAME_VERSION,
        flags: if question.detailed { FLAG_DETAILED } else { 0 },
        count,
        request: question.request,
        revision: question.minimum_revision,
    };
    out.reserve(length);
    out.extend_from_slice(&header.encode());
    checks.iter().for_each(|check| out.extend_from_slice(&encode_check(check)));
    Ok(())
}

/// A detailed answer's bytes: status, reason (0 for none), two zeros, Key (0 for none), stands-until in microseconds.
pub fn encode_detailed(answer: &DetailedAnswer) -> [u8; DETAILED_ANSWER_BYTES] {
    let [k0, k1, k2, k3] = answer.key.0.to_le_bytes();
    let [t0, t1, t2, t3, t4, t5, t6, t7] = answer.stands_until.as_micros().to_le_bytes();
    let reason = answer.reason.map_or(0, |reason| reason as u8);
    [answer.outcome as u8, reason, 0, 0, k0, k1, k2, k3, t0, t1, t2, t3, t4, t5, t6, t7]
}

/// Reads a detailed answer. Reasons that this side doesn't know are none.
pub fn decode_detailed(bytes: &[u8; DETAILED_ANSWER_BYTES]) -> DetailedAnswer {
    let [status, reason, _, _, k0, k1, k2, k3, t0, t1, t2, t3, t4, t5, t6, t7] = *bytes;
    DetailedAnswer {
        outcome: Outcome::from_u8(status),
        reason: Reason::from_u8(reason),
        key: KeyId(u32::from_le_bytes([k0, k1, k2, k3])),
        stands_until: Moment::from_micros(i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::check::RawCheck;

    fn round_trip(credential: Credential) {
        let check = Check { door: DoorId(0xfedc_ba98), credential };
        assert_eq!(RawCheck::new(&encode_check(&check)).check(), Some(check));
    }

    #[test]
    fn every_credential_comes_back_whole() {
        round_trip(Credential::Mobile(0));
        round_trip(Credential::Mobile(u64::MAX));
        for length in 1..=10 {
            round_trip(Credential::Card(Card::new(&[0xff; 10][..length]).unwrap()));
            round_trip(Credential::Card(Card::new(&[0; 10][..length]).unwrap()));
        }
        for length in 4..=10 {
            round_trip(Credential::Code(Digits::parse(&b"0123456789"[..length]).unwrap()));
        }
    }

    #[test]
    fn bytes_that_are_no_credential_are_none() {
        let good = encode_check(&Check { door: DoorId(1), credential: Credential::Mobile(7) });
        let with = |at: usize, byte: u8| {
            let mut bytes = good;
            bytes[at] = byte;
            credential(&bytes)
        };
        assert!(with(6, 8).is_some());
        // Kind, then length, then padding.
        for (at, byte) in [(4, 0), (4, 4), (4, 255), (5, 7), (5, 9), (5, 255), (14, 1), (15, 1)] {
            assert_eq!(with(at, byte), None, "byte {at} = {byte}");
        }
        for (kind, shown) in [(KIND_CARD, &b""[..]), (KIND_CODE, b"123"), (KIND_CODE, b"12a4567"), (KIND_MOBILE, b"1")]
        {
            assert_eq!(credential(&lay_out(DoorId(1), kind, shown)), None);
        }
    }

    #[test]
    fn a_hundred_thousand_random_checks_do_no_harm() {
        let mut state = 0x5eed_0002_u64;
        println!("seed {state:#x}");
        for _ in 0..100_000 {
            let mut bytes = [0; CHECK_BYTES];
            for byte in &mut bytes {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (state >> 56) as u8;
            }
            bytes[4] %= 4;
            bytes[5] %= 12;
            // What can be read is written back byte for byte: there is one way to write each credential.
            if let Some(check) = RawCheck::new(&bytes).check() {
                assert_eq!(encode_check(&check), bytes);
            }
        }
    }

    #[test]
    fn a_question_has_1_to_1024_checks() {
        let check = Check { door: DoorId(1), credential: Credential::Mobile(7) };
        let encode = |count: usize| encode_question(Question::default(), &vec![check.clone(); count], &mut Vec::new());
        assert_eq!(encode(0), Err(CountError(0)));
        assert_eq!(encode(1_024), Ok(()));
        assert_eq!(encode(1_025), Err(CountError(1_025)));
        assert_eq!(encode(65_536 + 1), Err(CountError(65_537)));
    }

    #[test]
    fn the_documents_example_is_what_is_sent() {
        let document = include_str!("../WIRE.md");
        let example = document.split("```text\n").find(|block| block.starts_with("28 00 00 00")).unwrap();
        let hex = example.split("```").next().unwrap().split_whitespace();
        let bytes: Vec<u8> = hex.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let check = Check { door: DoorId(17), credential: Credential::Mobile(7) };
        let mut sent = Vec::new();
        encode_question(Question { request: 1, ..Question::default() }, &[check], &mut sent).unwrap();
        assert_eq!(sent, bytes);
    }
}
