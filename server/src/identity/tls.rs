//! The server's side of TLS.

use std::sync::Arc;

use keyward_protocol::{
    codec::{ALPN, JOIN_ALPN},
    time::Moment,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};

use super::{Authority, AuthorityError};

impl Authority {
    /// TLS for the server: 1.3 only, a client's certificate must be one of this authority's or of one that it replaced,
    /// nothing is ever resumed. Who shows none may join, and nothing else: the network sees to that when the handshake
    /// has told what is spoken.
    ///
    /// The server's own certificate and key are made here, and live as long as the process.
    pub fn server_tls(&self, now: Moment) -> Result<ServerConfig, AuthorityError> {
        let crypto = |error: &dyn ToString| AuthorityError::Crypto(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for taken in self.taken_pem(now) {
            let root = CertificateDer::from_pem_slice(taken.as_bytes()).map_err(|e| crypto(&e))?;
            roots.add(root).map_err(|e| crypto(&e))?;
        }
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let clients = clients.allow_unauthenticated().build().map_err(|e| crypto(&e))?;
        let (certificate, mut key) = self.issue_server(now)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(std::mem::take(&mut *key)));
        let mut chain = vec![CertificateDer::from(certificate)];
        for shown in self.shown_pem() {
            chain.push(CertificateDer::from_pem_slice(shown.as_bytes()).map_err(|e| crypto(&e))?);
        }
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| crypto(&e))?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .map_err(|e| crypto(&e))?;
        config.alpn_protocols = vec![ALPN.to_vec(), JOIN_ALPN.to_vec()];
        // A resumed session would not show its certificate again, and so outlive its disabling.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        Ok(config)
    }
}
