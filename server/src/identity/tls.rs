//! The server's side of TLS.

use std::sync::Arc;

use keyward_protocol::{codec::ALPN, time::Moment};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};

use super::{Authority, AuthorityError};

impl Authority {
    /// TLS for the server: 1.3 only, clients must show a certificate of this authority, nothing is ever resumed.
    ///
    /// The server's own certificate and key are made here, and live as long as the process.
    pub fn server_tls(&self, now: Moment) -> Result<ServerConfig, AuthorityError> {
        let crypto = |error: &dyn ToString| AuthorityError::Crypto(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let root = CertificateDer::from_pem_slice(self.certificate_pem().as_bytes()).map_err(|e| crypto(&e))?;
        let mut roots = RootCertStore::empty();
        roots.add(root).map_err(|e| crypto(&e))?;
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let clients = clients.build().map_err(|e| crypto(&e))?;
        let (certificate, mut key) = self.issue_server(now)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(std::mem::take(&mut *key)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| crypto(&e))?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![CertificateDer::from(certificate)], key)
            .map_err(|e| crypto(&e))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would not show its certificate again, and so outlive its disabling.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        Ok(config)
    }
}
