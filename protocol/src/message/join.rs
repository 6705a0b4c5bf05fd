//! Joining with a token, and renewing what was joined: one request and its answer on a stream of
//! [`JOIN_ALPN`], where the server has proved itself and nobody else has.
//!
//! The server first sends a challenge; the request carries a signature over it by the key that is to be certified. A
//! payload is its version (one byte) and three zero bytes, then an rkyv archive, as management has it.

#![allow(missing_docs, reason = "rkyv's derive writes twins without documentation")]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use core::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use rkyv::rancor;
use zeroize::{Zeroize, Zeroizing};

use super::manage::{PayloadError, archive, encode, malformed};
use crate::{
    codec::{CHALLENGE_BYTES, JOIN_ALPN},
    entry::{Party, Sha256},
    time::Moment,
};

/// What a token begins with.
const PREFIX: &str = "kwj1";

/// A token that lets one key join, once, while its time lasts: its secret, by which authority its server is known, and
/// where that server may be found. Whoever has it can use it: it is shown once and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// 256 random bits.
    pub secret: Zeroizing<[u8; 32]>,
    /// The SHA-256 of the authority's public key (DER SubjectPublicKeyInfo).
    pub authority: Sha256,
    /// The server's address, `host:port`, where whoever made the token knew it.
    pub address: Option<String>,
}

/// Why a text is no token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is no token to join with: one begins with `kwj1.`; copy all of it")]
pub struct NoToken;

impl JoinToken {
    /// The token as it is handed over. Not [`fmt::Display`], so that it can't end in a log by mistake.
    pub fn expose(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(BASE64URL_NOPAD.encode(&*self.secret));
        let authority = BASE64URL_NOPAD.encode(&self.authority);
        let at = self.address.as_ref().map(|address| format!("@{address}")).unwrap_or_default();
        Zeroizing::new(format!("{PREFIX}.{}.{authority}{at}", *secret))
    }
}

impl FromStr for JoinToken {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<JoinToken, NoToken> {
        let (token, address) = match text.trim().split_once('@') {
            Some((token, address)) => (token, Some(address.to_owned())),
            None => (text.trim(), None),
        };
        let mut parts = token.split('.');
        let (Some(PREFIX), Some(secret), Some(authority), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoToken);
        };
        if address.as_deref().is_some_and(|address| address.is_empty() || address.contains(char::is_whitespace)) {
            return Err(NoToken);
        }
        Ok(JoinToken { secret: Zeroizing::new(bytes(secret)?), authority: bytes(authority)?, address })
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken").field("address", &self.address).finish_non_exhaustive()
    }
}

fn bytes(text: &str) -> Result<[u8; 32], NoToken> {
    let mut decoded = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NoToken)?;
    let bytes = decoded.as_slice().try_into().map_err(|_| NoToken);
    decoded.zeroize();
    bytes
}

/// What whoever joins or renews asks.
#[derive(Clone, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum JoinRequest {
    /// A first certificate for a key, by a token.
    Join {
        /// The token's secret.
        secret: [u8; 32],
        /// What the joiner takes itself for: `lock`, `operator` or `holder`. A token of another role is not used up.
        role: String,
        /// The public key: DER SubjectPublicKeyInfo of a P-256 key.
        key: Vec<u8>,
        /// See [`to_sign`].
        proof: Vec<u8>,
        /// What the machine calls itself.
        label: String,
    },
    /// A further certificate for a key that has joined.
    Renew {
        /// The public key.
        key: Vec<u8>,
        /// See [`to_sign`].
        proof: Vec<u8>,
        /// The last certificate (DER), expired or not; without one, how long ago the key joined is what counts.
        certificate: Option<Vec<u8>>,
    },
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum JoinAnswer {
    /// A certificate.
    Certified(Certified),
    /// None, and what to do.
    Refused {
        /// Why.
        why: String,
        /// The same may be asked again later; else something else has to be done first.
        later: bool,
    },
}

/// A certificate, and what whoever holds it needs to know.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Certified {
    /// Whom it proves the holder to be.
    pub party: Party,
    /// The person's or the lock's name.
    pub name: String,
    /// The portfolio's name.
    pub portfolio: String,
    /// The certificate, as PEM.
    pub certificate_pem: String,
    /// Every authority that is to be trusted from now on, as PEM: two while one takes the other's place.
    pub authorities_pem: String,
    /// The server's history: one that was restored from a backup is another.
    pub lineage: String,
    /// The end of the certificate.
    pub valid_until: Moment,
    /// From when on a further one should be asked for.
    pub renew_at: Moment,
    /// From when on the key is not renewed any more, and has to join again; `None`: not by itself.
    pub join_again: Option<Moment>,
}

/// What proves that somebody has the secret key of a public one: an ECDSA signature (P-256, SHA-256, ASN.1) over this.
pub fn to_sign(challenge: &[u8; CHALLENGE_BYTES]) -> Vec<u8> {
    [JOIN_ALPN, challenge].concat()
}

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinRequest::Join { role, label, .. } => write!(f, "Join({role}, {label:?}, ...)"),
            JoinRequest::Renew { .. } => f.write_str("Renew(...)"),
        }
    }
}

impl Drop for JoinRequest {
    fn drop(&mut self) {
        if let JoinRequest::Join { secret, .. } = self {
            secret.zeroize();
        }
    }
}

impl JoinRequest {
    /// The request as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        encode(|writer| rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, writer))
    }

    /// Reads a request.
    pub fn decode(payload: &[u8]) -> Result<JoinRequest, PayloadError> {
        rkyv::from_bytes::<JoinRequest, rancor::Error>(archive(payload)?).map_err(malformed)
    }
}

impl JoinAnswer {
    /// The answer as it is sent.
    pub fn encode(&self) -> Vec<u8> {
        encode(|writer| rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, writer))
    }

    /// Reads an answer.
    pub fn decode(payload: &[u8]) -> Result<JoinAnswer, PayloadError> {
        rkyv::from_bytes::<JoinAnswer, rancor::Error>(archive(payload)?).map_err(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(address: Option<&str>) -> JoinToken {
        JoinToken { secret: Zeroizing::new([7; 32]), authority: [9; 32], address: address.map(str::to_owned) }
    }

    #[test]
    fn tokens_come_back_whole_and_nothing_else_is_one() {
        for address in [None, Some("keys.harbor.example:4433"), Some("[::1]:4433")] {
            let token = token(address);
            assert_eq!(format!(" {}\n", *token.expose()).parse::<JoinToken>(), Ok(token.clone()));
        }
        let good = token(None).expose();
        let cut = good.get(..good.len() - 1).unwrap();
        for bad in ["", "kwj1", "kwj1..", "kwj2.a.b", cut, &format!("{}.x", *good), &format!("{}@", *good), "kwj1.a.b"]
        {
            assert_eq!(bad.parse::<JoinToken>(), Err(NoToken), "{bad}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let secret = format!("{:?}", token(Some("a:1")));
        assert!(!secret.contains('7') && !secret.contains("Bwc"), "{secret}");
        let request = JoinRequest::Join {
            secret: [7; 32],
            role: "lock".to_owned(),
            key: vec![1],
            proof: vec![2],
            label: "gate".to_owned(),
        };
        assert_eq!(format!("{request:?}"), "Join(lock, \"gate\", ...)");
        assert_eq!(JoinRequest::decode(&request.encode()), Ok(request.clone()));
        for cut in 0..request.encode().len() {
            _ = JoinRequest::decode(&request.encode()[..cut]);
        }
    }
}
