//! Joining by a token, and renewing: how a machine comes by its certificate, and keeps it.
//!
//! The secret key is made here and never leaves this machine. A server is known by the authority that the token names;
//! later by the authorities that the last answer named.

use core::{net::SocketAddr, time::Duration};
use std::sync::Arc;

use quinn::{RecvStream, SendStream};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SigningKey};
use ring::digest;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms},
    pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime, pem::PemObject},
};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{
    ClientError, ClientIdentity, IdentityError,
    connection::{KEEP_ALIVE, dial, read_payload},
    tls::trusted,
};
use crate::{
    codec::{CHALLENGE_BYTES, JOIN_ALPN, SERVER_NAME, StreamKind},
    entry::Sha256,
    limits::JOIN_BYTES_MAX,
    message::join::{Certified, JoinAnswer, JoinRequest, JoinToken, to_sign},
};

/// What somebody joins as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinAs {
    /// A lock or gateway.
    Lock,
    /// A manager's client.
    Operator,
    /// The app of somebody who holds Keys.
    Holder,
}

/// An identity that was joined or renewed.
#[derive(Clone, Debug)]
pub struct Joined {
    /// What to connect with.
    pub identity: ClientIdentity,
    /// What the server said of it: who it is, until when, when to renew.
    pub certified: Certified,
}

/// Why there is no certificate.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JoinError {
    /// The server says no, and what to do.
    #[error("{why}")]
    Refused {
        /// Why.
        why: String,
        /// The same may be asked again later.
        later: bool,
    },
    /// No answer. A join may have been done all the same: [`join`] asks for its certificate again by itself.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl From<IdentityError> for JoinError {
    fn from(error: IdentityError) -> JoinError {
        JoinError::Client(error.into())
    }
}

impl JoinAs {
    const fn as_str(self) -> &'static str {
        match self {
            JoinAs::Lock => "lock",
            JoinAs::Operator => "operator",
            JoinAs::Holder => "holder",
        }
    }
}

/// Makes a key and joins with it. `label` is what this machine calls itself, as managers see it.
pub async fn join(
    address: SocketAddr,
    token: &JoinToken,
    role: JoinAs,
    label: &str,
    deadline: Duration,
) -> Result<Joined, JoinError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(no_key)?;
    let ask = |challenge: &[u8; CHALLENGE_BYTES]| {
        Ok(JoinRequest::Join {
            secret: *token.secret,
            role: role.as_str().to_owned(),
            key: key.subject_public_key_info(),
            proof: key.sign(&to_sign(challenge)).map_err(no_key)?,
            label: label.to_owned(),
        })
    };
    let tls = || by_fingerprint(token.authority);
    let certified = match exchange(address, tls()?, SERVER_NAME, deadline, ask).await {
        // The token may be used up and only its answer lost: then the key is known, and that is enough.
        Err(JoinError::Client(lost)) => {
            let again = |challenge: &[u8; CHALLENGE_BYTES]| renewal(&key, None, challenge);
            exchange(address, tls()?, SERVER_NAME, deadline, again).await.map_err(|_| JoinError::Client(lost))
        }
        done => done,
    }?;
    Ok(joined(Zeroizing::new(key.serialize_pem()), certified))
}

/// A further certificate for a key that has joined, whether its last one is over or not.
pub async fn renew(address: SocketAddr, identity: &ClientIdentity, deadline: Duration) -> Result<Joined, JoinError> {
    let key = KeyPair::from_pem(&identity.key_pem).map_err(no_key)?;
    let certificate = CertificateDer::from_pem_slice(identity.cert_pem.as_bytes()).ok().map(|der| der.to_vec());
    let mut tls = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| IdentityError::Authority(error.to_string()))?
        .with_root_certificates(trusted(&identity.ca_pem)?)
        .with_no_client_auth();
    only_joining(&mut tls);
    let ask = |challenge: &[u8; CHALLENGE_BYTES]| renewal(&key, certificate.clone(), challenge);
    let certified = exchange(address, tls, &identity.server_name(), deadline, ask).await?;
    Ok(joined(identity.key_pem.clone(), certified))
}

fn joined(key_pem: Zeroizing<String>, certified: Certified) -> Joined {
    let identity = ClientIdentity {
        ca_pem: certified.authorities_pem.clone(),
        cert_pem: certified.certificate_pem.clone(),
        key_pem,
        lineage: Some(certified.lineage.clone()),
    };
    Joined { identity, certified }
}

fn renewal(
    key: &KeyPair,
    certificate: Option<Vec<u8>>,
    challenge: &[u8; CHALLENGE_BYTES],
) -> Result<JoinRequest, JoinError> {
    let proof = key.sign(&to_sign(challenge)).map_err(no_key)?;
    Ok(JoinRequest::Renew { key: key.subject_public_key_info(), proof, certificate })
}

fn no_key(error: rcgen::Error) -> JoinError {
    IdentityError::Key(error.to_string()).into()
}

async fn exchange(
    address: SocketAddr,
    tls: ClientConfig,
    name: &str,
    deadline: Duration,
    ask: impl Fn(&[u8; CHALLENGE_BYTES]) -> Result<JoinRequest, JoinError>,
) -> Result<Certified, JoinError> {
    // The endpoint is what the connection lives by.
    let (quic, _endpoint) = dial(address, tls, name, deadline, KEEP_ALIVE).await?;
    let exchange = async {
        let (mut send, mut receive) = quic.open_bi().await.map_err(ClientError::from)?;
        let challenge = challenged(&mut send, &mut receive).await?;
        let payload = ask(&challenge)?.encode();
        let length = u32::try_from(payload.len()).map_err(|_| ClientError::TooLarge(payload.len()))?;
        send.write_all(&length.to_le_bytes()).await.map_err(ClientError::from)?;
        send.write_all(&payload).await.map_err(ClientError::from)?;
        // It fails only on a stream that is over already.
        let _ = send.finish();
        let answer = read_payload(&mut receive, JOIN_BYTES_MAX).await?;
        let answer = JoinAnswer::decode(&answer);
        answer.map_err(|_| JoinError::from(ClientError::Malformed("no answer to joining")))
    };
    match timeout(deadline, exchange).await.map_err(|_| ClientError::TimedOut)?? {
        JoinAnswer::Certified(certified) => Ok(certified),
        JoinAnswer::Refused { why, later } => Err(JoinError::Refused { why, later }),
    }
}

async fn challenged(send: &mut SendStream, receive: &mut RecvStream) -> Result<[u8; CHALLENGE_BYTES], ClientError> {
    send.write_all(&[StreamKind::Join as u8]).await?;
    let mut challenge = [0; CHALLENGE_BYTES];
    receive.read_exact(&mut challenge).await?;
    Ok(challenge)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn only_joining(tls: &mut ClientConfig) {
    tls.alpn_protocols = vec![JOIN_ALPN.to_vec()];
    tls.resumption = Resumption::disabled();
    tls.enable_early_data = false;
}

fn by_fingerprint(authority: Sha256) -> Result<ClientConfig, IdentityError> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let verifier = ByFingerprint { authority, algorithms, provider: Arc::clone(&provider) };
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| IdentityError::Authority(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    only_joining(&mut tls);
    Ok(tls)
}

/// Trusts the authority with this public key, which the server sends along, and nobody else.
#[derive(Debug)]
struct ByFingerprint {
    authority: Sha256,
    algorithms: WebPkiSupportedAlgorithms,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ByFingerprint {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for sent in intermediates {
            let mut one = RootCertStore::empty();
            if one.add(sent.clone().into_owned()).is_ok() {
                roots.roots.extend(one.roots.into_iter().filter(|anchor| fingerprint(anchor) == Some(self.authority)));
            }
        }
        if roots.is_empty() {
            return Err(rustls::CertificateError::UnknownIssuer.into());
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
        let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC speaks TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The SHA-256 of a P-256 authority's public key as a token names it. An anchor has what is inside the SEQUENCE.
fn fingerprint(anchor: &TrustAnchor<'_>) -> Option<Sha256> {
    let inside: &[u8] = anchor.subject_public_key_info.as_ref();
    let length = u8::try_from(inside.len()).ok().filter(|length| *length < 0x80)?;
    let whole = [&[0x30, length][..], inside].concat();
    sha256(&whole).into()
}

/// The SHA-256 of bytes: of a token's secret, or of a public key (DER SubjectPublicKeyInfo).
pub fn sha256(bytes: &[u8]) -> Sha256 {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// The fingerprint of the authority in a PEM file, as tokens name it: of the first one, which signs today.
pub fn authority_fingerprint(ca_pem: &str) -> Result<Sha256, IdentityError> {
    let roots = trusted(ca_pem)?;
    let anchor = roots.roots.first().and_then(fingerprint);
    anchor.ok_or_else(|| IdentityError::Authority("it has no P-256 key".to_owned()))
}

/// A fresh token for this authority, and the hash that the server is told.
pub fn new_token(ca_pem: &str, address: Option<String>) -> Result<(JoinToken, Sha256), IdentityError> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *secret).map_err(|error| IdentityError::Key(error.to_string()))?;
    let hash = sha256(&*secret);
    Ok((JoinToken { secret, authority: authority_fingerprint(ca_pem)?, address }, hash))
}
