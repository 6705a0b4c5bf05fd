//! Where a page of the log's history ends, sealed: the place counts what the asker may not see (M8, M9).

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use keyward_protocol::id::{PersonId, PortfolioId};
use zeroize::Zeroizing;

use crate::access_log::Cursor;

const NONCE_BYTES: usize = 12;
const CURSOR_BYTES: usize = 8;
const MAC_BYTES: usize = 16;

/// Seals places for as long as the process runs.
pub struct Seal {
    cipher: ChaCha20Poly1305,
}

impl Seal {
    /// With a key that nobody else has.
    pub fn new() -> Seal {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).expect("a system that served TLS until now has random bytes");
        Seal { cipher: ChaCha20Poly1305::new((&*key).into()) }
    }

    /// A place in the access log, for this person only.
    pub fn seal(&self, who: (PortfolioId, PersonId), Cursor(place): Cursor) -> Vec<u8> {
        self.seal_bytes(who, &place.to_le_bytes())
    }

    /// The place in the access log; `None` where it was not sealed here, for this person.
    pub fn open(&self, who: (PortfolioId, PersonId), sealed: &[u8]) -> Option<Cursor> {
        let place = self.open_bytes(who, sealed, CURSOR_BYTES)?;
        Some(Cursor(u64::from_le_bytes(place.try_into().ok()?)))
    }

    /// A place somewhere, for this person only. Places of different kinds have different lengths.
    pub fn seal_bytes(&self, who: (PortfolioId, PersonId), place: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        // Drawn, not counted: it is sent along, and would tell how much everybody searches. So few bytes do for some
        // billions of pages under one key, which a process never gets to.
        getrandom::fill(&mut nonce).expect("a system that served TLS until now has random bytes");
        let bound_to = bound_to(who);
        let payload = Payload { msg: place, aad: bound_to.as_slice() };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload).expect("a few bytes are not too many");
        [nonce.as_slice(), sealed.as_slice()].concat()
    }

    /// The place of so many bytes; `None` where it was not sealed here, for this person.
    pub fn open_bytes(&self, who: (PortfolioId, PersonId), sealed: &[u8], length: usize) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        if rest.len() != length + MAC_BYTES {
            return None;
        }
        let bound_to = bound_to(who);
        self.cipher.decrypt(&Nonce::from(*nonce), Payload { msg: rest, aad: bound_to.as_slice() }).ok()
    }
}

fn bound_to((portfolio, person): (PortfolioId, PersonId)) -> [u8; 8] {
    let mut bytes = [0; 8];
    let ids = portfolio.0.to_le_bytes().into_iter().chain(person.0.to_le_bytes());
    bytes.iter_mut().zip(ids).for_each(|(to, from)| *to = from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    // M8 M9
    #[test]
    fn a_place_is_opened_by_who_was_given_it_alone_and_tells_nothing() {
        let (seal, me) = (Seal::new(), (PortfolioId(1), PersonId(2)));
        let sealed = seal.seal(me, Cursor(77));
        assert_eq!(seal.open(me, &sealed), Some(Cursor(77)));
        let again = seal.seal(me, Cursor(77));
        let nonce = |sealed: &[u8]| u64::from_le_bytes(*sealed.first_chunk().unwrap());
        assert!(nonce(&again).abs_diff(nonce(&sealed)) > 1_000, "nothing counts what others do");
        assert!(!sealed.windows(8).any(|part| part == 77_u64.to_le_bytes()));
        assert_eq!(seal.open((PortfolioId(1), PersonId(3)), &sealed), None);
        assert_eq!(seal.open((PortfolioId(2), PersonId(2)), &sealed), None);
        assert_eq!(Seal::new().open(me, &sealed), None, "one from before a restart");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(me, &changed), None);
            assert_eq!(seal.open(me, &sealed[..at]), None);
        }
    }
}
