//! The client's side of TLS.

use core::fmt;
use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use zeroize::Zeroizing;

use super::IdentityError;
use crate::codec::{ALPN, SERVER_NAME};

/// Who a client is, and whom it trusts: what joining handed out. The key is wiped when dropped.
#[derive(Clone)]
pub struct ClientIdentity {
    /// The authority's certificate, and the next one's while that takes its place: nobody else is trusted.
    pub ca_pem: String,
    /// The client's certificate.
    pub cert_pem: String,
    /// Its secret key.
    pub key_pem: Zeroizing<String>,
    /// The lineage that the server must be of, when it is known: a server that was restored from a backup then is
    /// another one.
    pub lineage: Option<String>,
}

impl ClientIdentity {
    /// An identity that takes a server of any lineage of its authority.
    pub fn new(ca_pem: impl Into<String>, cert_pem: impl Into<String>, key_pem: impl Into<String>) -> ClientIdentity {
        let key_pem = Zeroizing::new(key_pem.into());
        ClientIdentity { ca_pem: ca_pem.into(), cert_pem: cert_pem.into(), key_pem, lineage: None }
    }

    /// The name that the server's certificate must carry.
    pub fn server_name(&self) -> String {
        match &self.lineage {
            Some(lineage) => format!("{lineage}.{SERVER_NAME}"),
            None => SERVER_NAME.to_owned(),
        }
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("lineage", &self.lineage).finish_non_exhaustive()
    }
}

/// The authorities in a PEM file: one, or two while one takes the other's place.
pub(super) fn trusted(ca_pem: &str) -> Result<RootCertStore, IdentityError> {
    let unreadable = |error: &dyn core::fmt::Display| IdentityError::Authority(error.to_string());
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(authority.map_err(|error| unreadable(&error))?).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() { Err(unreadable(&"no certificate is in it")) } else { Ok(roots) }
}

/// TLS for a client: 1.3 only, our authority only, no resumption and no early data.
pub fn client_tls(identity: &ClientIdentity) -> Result<ClientConfig, IdentityError> {
    let roots = trusted(&identity.ca_pem)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.cert_pem.as_bytes()).collect();
    let chain = chain.map_err(|error| IdentityError::Certificate(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes());
    let key = key.map_err(|error| IdentityError::Key(error.to_string()))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| IdentityError::Certificate(error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| IdentityError::Key(error.to_string()))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}
