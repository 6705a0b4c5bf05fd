//! Joining by a token and renewing: who may have a certificate, and which.
//!
//! A token is used up durably before its certificate is made. If the answer is lost on the way, the key that joined is
//! known, and renewing it needs no earlier certificate: nobody is left with neither.

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use keyward_protocol::{
    codec::CHALLENGE_BYTES,
    entry::{Party, Refusal, Sha256},
    id::PortfolioId,
    message::join::{Certified, JoinAnswer, JoinRequest, to_sign},
    time::Moment,
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use zeroize::Zeroizing;

use crate::{
    clock::Clock,
    domain::{
        command::Command,
        directory::{Directory, Identity, Portfolio},
        event::Actor,
        joining::{self, Joiner},
    },
    engine::Engine,
    identity::{Authority, Principal, Proof, Subject, Validity, holds, sha256, verify_signature},
    net::{self, Later},
};

/// A certificate of a lock or a holder that ran out may be renewed for so long, in seconds: 180 days. Nobody drives to a
/// door because a building was closed for a season.
const LATE_SECONDS: i64 = 180 * 86_400;

/// Lets keys join, and renews their certificates.
pub struct Joining {
    /// Where tokens and keys are known.
    pub engine: Engine,
    /// What signs.
    pub authority: Arc<ArcSwap<Authority>>,
    /// By which clock.
    pub clock: Clock,
}

/// Why there is no certificate.
struct Refused {
    why: String,
    later: bool,
}

impl Refused {
    fn for_good(why: impl Into<String>) -> Refused {
        Refused { why: why.into(), later: false }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused { later: matches!(refusal, Refusal::Unavailable(_)), why: refusal.to_string() }
    }
}

impl net::Join for Joining {
    fn join<'a>(
        &'a self,
        from: SocketAddr,
        challenge: &'a [u8; CHALLENGE_BYTES],
        payload: Vec<u8>,
    ) -> Later<'a, Vec<u8>> {
        let (engine, authority, challenge) = (self.engine.clone(), self.authority.load_full(), *challenge);
        let clock = Arc::clone(&self.clock);
        Box::pin(async move {
            // The engine is waited for, and signing takes a while: not on a thread that serves locks.
            let answer = move || match answer(&engine, &authority, &clock, from, &challenge, &payload) {
                Ok(certified) => JoinAnswer::Certified(certified),
                Err(Refused { why, later }) => {
                    tracing::info!(%from, why, "somebody could not join or renew");
                    JoinAnswer::Refused { why, later }
                }
            };
            let answered = tokio::task::spawn_blocking(answer).await;
            let stopping = || JoinAnswer::Refused { why: "the server is going away".to_owned(), later: true };
            answered.unwrap_or_else(|_| stopping()).encode()
        })
    }
}

fn answer(
    engine: &Engine,
    authority: &Authority,
    clock: &Clock,
    from: SocketAddr,
    challenge: &[u8; CHALLENGE_BYTES],
    payload: &[u8],
) -> Result<Certified, Refused> {
    let request = JoinRequest::decode(payload).map_err(|error| Refused::for_good(error.to_string()))?;
    let (JoinRequest::Join { key, proof, .. } | JoinRequest::Renew { key, proof, .. }) = &request;
    if !holds(key) {
        return Err(Refused::for_good("the public key is no P-256 key (DER SubjectPublicKeyInfo)"));
    }
    if !verify_signature(key, &to_sign(challenge), proof) {
        return Err(Refused::for_good("the signature over the challenge is not this key's"));
    }
    let now = clock();
    match &request {
        JoinRequest::Join { secret, role, key, label, .. } => {
            let joiner = Joiner { token: sha256(secret), role: role.clone(), key: sha256(key), label: label.clone() };
            join(engine, authority, joiner, key, Some(from), now)
        }
        JoinRequest::Renew { key, certificate, .. } => {
            renew(&engine.directory(), authority, key, certificate.as_deref(), now)
        }
    }
}

/// Uses a token up and certifies the key.
fn join(
    engine: &Engine,
    authority: &Authority,
    joiner: Joiner,
    key: &[u8],
    from: Option<SocketAddr>,
    now: Moment,
) -> Result<Certified, Refused> {
    let directory = engine.directory();
    let has_token = |portfolio: &&Arc<Portfolio>| portfolio.admissions.token(&joiner.token).is_some();
    let portfolio = directory.portfolios.values().find(has_token).ok_or_else(joining::unknown_token)?.id;
    let hash = joiner.key;
    engine.join(portfolio, joiner, from)?;
    let directory = engine.directory();
    let (portfolio, identity) = known(&directory, &hash).ok_or_else(joining::unknown_token)?;
    certify(authority, portfolio, identity, key, now)
}

fn renew(
    directory: &Directory,
    authority: &Authority,
    key: &[u8],
    certificate: Option<&[u8]>,
    now: Moment,
) -> Result<Certified, Refused> {
    let unknown = || Refused::for_good("this key is not known here, or was replaced: ask for a token and join again");
    let hash = sha256(key);
    let (portfolio, identity) = known(directory, &hash).ok_or_else(unknown)?;
    if identity.disabled {
        return Err(Refused::for_good("this identity is disabled: ask a manager to enable it, or for a new token"));
    }
    // Suspended, or without a level for a while: that may pass.
    joining::may_join(portfolio, identity.party)
        .map_err(|refusal| Refused { why: refusal.to_string(), later: true })?;
    let first_end = Validity::of(identity.party, identity.joined).until();
    let shown = certificate.filter(|der| authority.signed(der, now)).and_then(|der| Proof::from_certificate(der).ok());
    let shown =
        shown.filter(|proof| proof.key == hash && proof.principal == Principal::of(portfolio.id, identity.party));
    let end = shown.map_or(first_end, |proof| proof.until.max(first_end));
    if now > end.plus_seconds(LATE_SECONDS) {
        let why = "the last certificate ran out more than 180 days ago: ask for a token and join again";
        return Err(Refused::for_good(why));
    }
    certify(authority, portfolio, identity, key, now)
}

fn known<'a>(directory: &'a Directory, key: &Sha256) -> Option<(&'a Portfolio, &'a Identity)> {
    let of = |portfolio: &'a Arc<Portfolio>| Some((portfolio.as_ref(), portfolio.admissions.by_key(key)?.as_ref()));
    directory.portfolios.values().find_map(of)
}

/// A certificate for a key that is known.
fn certify(
    authority: &Authority,
    portfolio: &Portfolio,
    identity: &Identity,
    key: &[u8],
    now: Moment,
) -> Result<Certified, Refused> {
    let join_again = match identity.party {
        Party::Operator(_) => Some(identity.joined.plus_seconds(joining::OPERATOR_SECONDS)),
        Party::Lock(_) | Party::Holder(_) => None,
    };
    let usual = Validity::of(identity.party, now);
    let left = join_again.map_or(i64::MAX, |at| (at.as_micros() - now.as_micros()).div_euclid(1_000_000));
    if left <= 0 {
        return Err(Refused::for_good("30 days are over since you joined: join again with a new token"));
    }
    let validity = Validity { now, seconds: usual.seconds.min(left) };
    let principal = Principal::of(portfolio.id, identity.party);
    let issued = authority.issue(&principal, validity, &Subject::PublicKeyDer(key)).map_err(|error| {
        tracing::error!(%error, "a certificate could not be made");
        Refused { why: "the server could not make a certificate: try again".to_owned(), later: true }
    })?;
    let name = match identity.party {
        Party::Lock(lock) => portfolio.locks.get(&lock).map(|lock| lock.name.clone()),
        Party::Operator(person) | Party::Holder(person) => {
            portfolio.people.get(&person).map(|found| found.name.clone())
        }
    };
    Ok(Certified {
        party: identity.party,
        name: name.unwrap_or_default(),
        portfolio: portfolio.name.clone(),
        certificate_pem: issued.certificate_pem,
        authorities_pem: authority.certificate_pem().to_owned(),
        lineage: authority.lineage().to_owned(),
        valid_until: validity.until(),
        renew_at: validity.renew_at(),
        join_again,
    })
}

/// A certificate with its key, and whom to trust: all that a client connects with.
pub struct Pass {
    /// The authority's certificate.
    pub ca_pem: String,
    /// The certificate.
    pub certificate_pem: String,
    /// Its secret key.
    pub key_pem: Zeroizing<String>,
}

/// Lets a fresh key join on the server's own machine: for a demo, a load test, a benchmark.
pub fn join_here(
    engine: &Engine,
    authority: &Authority,
    portfolio: PortfolioId,
    party: Party,
    now: Moment,
) -> Result<Pass, Refusal> {
    let unavailable = |error: &dyn ToString| Refusal::Unavailable(error.to_string());
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| unavailable(&error))?;
    let mut secret = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *secret).map_err(|error| unavailable(&error))?;
    let token = sha256(&*secret);
    let command = Command::MakeToken { party, hash: token, until: now.plus_seconds(600) };
    engine.run(portfolio, Actor::Administrator, command)?;
    let public = key.subject_public_key_info();
    let label = "the server's own machine".to_owned();
    let joiner = Joiner { token, role: party.as_str().to_owned(), key: sha256(&public), label };
    let certified = join(engine, authority, joiner, &public, None, now);
    let certified = certified.map_err(|refused| Refusal::Unavailable(refused.why))?;
    let Certified { authorities_pem: ca_pem, certificate_pem, .. } = certified;
    Ok(Pass { ca_pem, certificate_pem, key_pem: Zeroizing::new(key.serialize_pem()) })
}
