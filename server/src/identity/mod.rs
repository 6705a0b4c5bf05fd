//! Who somebody is: the authority that signs certificates, and the principals that certificates name.
//!
//! A certificate says *who*; what they may is looked up at each request. Everything is mutual TLS 1.3 under one
//! authority of our own, without session tickets and early data: resumption would skip the client's certificate.

mod authority;
mod principal;
mod tls;

pub use authority::{Authority, AuthorityError, FILES, Found, Issued, Subject, Validity};
pub use authority::{holds, verify_signature};
pub use principal::{Principal, PrincipalError, Proof, sha256};
