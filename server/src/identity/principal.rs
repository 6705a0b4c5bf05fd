//! Principals: who a certificate names, as a URI.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use core::{fmt, str::FromStr};

use keyward_protocol::{
    entry::{Party, Sha256},
    id::{LockId, PersonId, PortfolioId},
    time::Moment,
};
use ring::digest;
use x509_parser::{extensions::GeneralName, prelude::FromDer, prelude::X509Certificate};

/// Who holds a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Principal {
    /// A lock or gateway: asks about its own doors (U3), nothing else.
    Lock {
        /// The portfolio whose doors it may ask about.
        portfolio: PortfolioId,
        /// Which lock of it.
        lock: LockId,
    },
    /// A person who manages.
    Operator {
        /// The portfolio that they belong to.
        portfolio: PortfolioId,
        /// Which person of it.
        person: PersonId,
    },
    /// A person who holds Keys or is a guest.
    Holder {
        /// The portfolio that they belong to.
        portfolio: PortfolioId,
        /// Which person of it.
        person: PersonId,
    },
}

/// What a certificate proves: who holds it, by which key, and until when.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Proof {
    /// Who.
    pub principal: Principal,
    /// The SHA-256 of the public key (DER SubjectPublicKeyInfo).
    pub key: Sha256,
    /// The end of the certificate.
    pub until: Moment,
}

/// Why a certificate names nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PrincipalError {
    /// Not X.509, or with something after it.
    #[error("the certificate can't be read")]
    Unreadable,
    /// None, several, or one among other names.
    #[error("the certificate must name exactly one URI and nothing else")]
    NotOneName,
    /// A URI that is not one of ours.
    #[error("the certificate's URI names no lock, no operator and no holder")]
    Unknown,
}

impl Principal {
    /// The portfolio that this principal belongs to. Every id that it sends or gets is numbered in it.
    pub fn portfolio(&self) -> PortfolioId {
        match *self {
            Principal::Lock { portfolio, .. }
            | Principal::Operator { portfolio, .. }
            | Principal::Holder { portfolio, .. } => portfolio,
        }
    }

    /// A party of this portfolio.
    pub fn of(portfolio: PortfolioId, party: Party) -> Principal {
        match party {
            Party::Lock(lock) => Principal::Lock { portfolio, lock },
            Party::Operator(person) => Principal::Operator { portfolio, person },
            Party::Holder(person) => Principal::Holder { portfolio, person },
        }
    }

    /// Which party of its portfolio it is.
    pub fn party(&self) -> Party {
        match *self {
            Principal::Lock { lock, .. } => Party::Lock(lock),
            Principal::Operator { person, .. } => Party::Operator(person),
            Principal::Holder { person, .. } => Party::Holder(person),
        }
    }
}

impl Proof {
    /// What the certificate in `der` proves. Its signature and validity are TLS's business.
    pub fn from_certificate(der: &[u8]) -> Result<Proof, PrincipalError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| PrincipalError::Unreadable)?;
        if !rest.is_empty() {
            return Err(PrincipalError::Unreadable);
        }
        // A second extension of the same kind is an error here, too.
        let names = certificate.subject_alternative_name().map_err(|_| PrincipalError::Unreadable)?;
        let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
        let principal = match names {
            [GeneralName::URI(uri)] => uri.parse()?,
            _ => return Err(PrincipalError::NotOneName),
        };
        let until = certificate.validity().not_after.timestamp().saturating_mul(1_000_000);
        Ok(Proof { principal, key: sha256(certificate.public_key().raw), until: Moment::from_micros(until) })
    }
}

/// The SHA-256 of bytes: of a token's secret, or of a public key (DER SubjectPublicKeyInfo).
pub fn sha256(bytes: &[u8]) -> Sha256 {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// The URI: `keyward://portfolio/3/lock/17`, `keyward://portfolio/3/operator/42` or `keyward://portfolio/3/holder/42`.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::Lock { portfolio, lock } => write!(f, "keyward://portfolio/{}/lock/{}", portfolio.0, lock.0),
            Principal::Operator { portfolio, person } => {
                write!(f, "keyward://portfolio/{}/operator/{}", portfolio.0, person.0)
            }
            Principal::Holder { portfolio, person } => {
                write!(f, "keyward://portfolio/{}/holder/{}", portfolio.0, person.0)
            }
        }
    }
}

impl FromStr for Principal {
    type Err = PrincipalError;

    fn from_str(uri: &str) -> Result<Principal, PrincipalError> {
        read(uri).ok_or(PrincipalError::Unknown)
    }
}

fn read(uri: &str) -> Option<Principal> {
    let mut parts = uri.strip_prefix("keyward://portfolio/")?.split('/');
    let (portfolio, kind, id) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let portfolio = PortfolioId(read_id(portfolio)?);
    match kind {
        "lock" => Some(Principal::Lock { portfolio, lock: LockId(read_id(id)?) }),
        "operator" => Some(Principal::Operator { portfolio, person: PersonId(read_id(id)?) }),
        "holder" => Some(Principal::Holder { portfolio, person: PersonId(read_id(id)?) }),
        _ => None,
    }
}

/// A number from 1, in the one way to write it.
fn read_id(text: &str) -> Option<u32> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    canonical.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_come_back_whole() {
        for uri in [
            "keyward://portfolio/3/lock/17",
            "keyward://portfolio/4294967295/operator/1",
            "keyward://portfolio/2/holder/9",
        ] {
            assert_eq!(uri.parse::<Principal>().unwrap().to_string(), uri);
        }
    }

    #[test]
    fn uris_have_one_spelling() {
        for bad in [
            "",
            "keyward://portfolio/3/lock/0",
            "keyward://portfolio/03/lock/1",
            "keyward://portfolio/+3/lock/1",
            "keyward://portfolio/3/lock/1/",
            "keyward://portfolio/3/lock/",
            "keyward://portfolio/3/lock/4294967296",
            "keyward://portfolio/3/door/1",
            "keyward://portfolio/3/Lock/1",
            "Keyward://portfolio/3/lock/1",
            "keyward://portfolio//lock/1",
            "https://portfolio/3/lock/1",
        ] {
            assert_eq!(bad.parse::<Principal>(), Err(PrincipalError::Unknown), "{bad}");
        }
    }
}
