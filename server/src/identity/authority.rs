//! The authority: the key that signs every certificate, and what it signs.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use keyward_protocol::{codec::SERVER_NAME, time::Moment};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
};
use time::OffsetDateTime;
use x509_parser::pem::parse_x509_pem;
use zeroize::Zeroizing;

use super::Principal;

/// The files in the secrets directory.
const KEY_FILE: &str = "authority.key";
const CERTIFICATE_FILE: &str = "authority.pem";
/// Certificates are valid from a little before they are made: locks' clocks are not ours.
const BACKDATED_SECONDS: i64 = 15 * 60;
/// The authority and, because its key lives no longer than the process, the server: 20 years.
const AUTHORITY_SECONDS: i64 = 20 * 365 * 86_400;
/// `keyward authority LINEAGE` is the authority's name.
const COMMON_NAME: &str = "keyward authority ";

/// The authority of one server, whose key never leaves its secrets directory.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    lineage: String,
}

/// Why there is no authority, or no certificate from it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The lineage would not do as part of a host name.
    #[error("`{0}` is no lineage: use 1 to 32 lower-case letters and digits")]
    Lineage(String),
    /// A file of the secrets directory can't be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Certificate and key in the secrets directory don't belong together, or one is damaged.
    #[error("`{0}` is not this authority's: restore the secrets directory from its backup")]
    Damaged(PathBuf),
    /// The public key to be certified is no P-256 key.
    #[error("the public key is not one: send a P-256 key as PEM or DER SubjectPublicKeyInfo")]
    PublicKey,
    /// A validity that ends before it begins, or past what certificates can say.
    #[error("the validity is out of range: give 1 second to 20 years")]
    Validity,
    /// The cryptographic library refused.
    #[error("the certificate could not be made: {0}")]
    Crypto(String),
}

/// How long a certificate is valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// The server's clock.
    pub now: Moment,
    /// Seconds from then on.
    pub seconds: i64,
}

impl Validity {
    /// A lock's: 90 days.
    pub const fn lock(now: Moment) -> Validity {
        Validity { now, seconds: 90 * 86_400 }
    }

    /// An operator's: 12 hours.
    pub const fn operator(now: Moment) -> Validity {
        Validity { now, seconds: 12 * 3_600 }
    }
}

/// Whose key is certified.
pub enum Subject<'a> {
    /// A key pair is made, and handed out with the certificate.
    Fresh,
    /// The holder's public key, as PEM. Nothing but the key is taken from it.
    PublicKeyPem(&'a str),
    /// The holder's public key, as DER SubjectPublicKeyInfo.
    PublicKeyDer(&'a [u8]),
}

/// A certificate that was made.
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// Its secret key, when it was made here.
    pub key_pem: Option<Zeroizing<String>>,
}

impl Authority {
    /// Makes a new authority and keeps it in `directory`, which is created when missing (0700, the key 0600).
    /// Refused when there is one already.
    pub fn create(directory: &Path, lineage: &str, now: Moment) -> Result<Authority, AuthorityError> {
        check_lineage(lineage)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = authority_params(lineage);
        (params.not_before, params.not_after) = bounds(Validity { now, seconds: AUTHORITY_SECONDS })?;
        params.serial_number = Some(serial()?);
        let certificate_pem = params.self_signed(&key)?.pem();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|source| AuthorityError::File { path: directory.to_owned(), source })?;
        write_new(&directory.join(KEY_FILE), Zeroizing::new(key.serialize_pem()).as_bytes(), 0o600)?;
        write_new(&directory.join(CERTIFICATE_FILE), certificate_pem.as_bytes(), 0o644)?;
        sync_directory(directory)?;
        Ok(Authority { issuer: Issuer::new(params, key), certificate_pem, lineage: lineage.to_owned() })
    }

    /// Opens the authority in `directory`.
    pub fn open(directory: &Path) -> Result<Authority, AuthorityError> {
        let (key_path, certificate_path) = (directory.join(KEY_FILE), directory.join(CERTIFICATE_FILE));
        let key_pem = Zeroizing::new(read(&key_path)?);
        let certificate_pem = read(&certificate_path)?;
        let key = KeyPair::from_pem(&key_pem).map_err(|_| AuthorityError::Damaged(key_path))?;
        let damaged = || AuthorityError::Damaged(certificate_path.clone());
        let (_, pem) = parse_x509_pem(certificate_pem.as_bytes()).map_err(|_| damaged())?;
        let certificate = pem.parse_x509().map_err(|_| damaged())?;
        if certificate.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(damaged());
        }
        let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let lineage = name.and_then(|name| name.strip_prefix(COMMON_NAME)).ok_or_else(damaged)?.to_owned();
        check_lineage(&lineage)?;
        Ok(Authority { issuer: Issuer::new(authority_params(&lineage), key), certificate_pem, lineage })
    }

    /// The authority's certificate: all that a client needs to know the server by.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The lineage that this authority was made for.
    pub fn lineage(&self) -> &str {
        &self.lineage
    }

    /// Makes a certificate that says `principal`, for clients only.
    pub fn issue(
        &self,
        principal: &Principal,
        validity: Validity,
        subject: &Subject<'_>,
    ) -> Result<Issued, AuthorityError> {
        let uri = principal.to_string().try_into().map_err(crypto)?;
        let mut params = leaf_params(&principal.to_string(), validity)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let sign = |key: &dyn PublicKeyData| params.signed_by(&key, &self.issuer).map(|made| made.pem());
        match subject {
            Subject::Fresh => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                Ok(Issued { certificate_pem: sign(&key)?, key_pem: Some(Zeroizing::new(key.serialize_pem())) })
            }
            Subject::PublicKeyPem(pem) => {
                let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|_| AuthorityError::PublicKey)?;
                Ok(Issued { certificate_pem: sign(&read_key(&pem.contents)?)?, key_pem: None })
            }
            Subject::PublicKeyDer(der) => Ok(Issued { certificate_pem: sign(&read_key(der)?)?, key_pem: None }),
        }
    }

    /// A server certificate with a key of its own, both as DER. Made anew at each start, so the key is never stored.
    pub(super) fn issue_server(&self, now: Moment) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), AuthorityError> {
        let mut params = leaf_params(SERVER_NAME, Validity { now, seconds: AUTHORITY_SECONDS })?;
        let names = [SERVER_NAME.to_owned(), format!("{}.{SERVER_NAME}", self.lineage)];
        for name in names {
            params.subject_alt_names.push(SanType::DnsName(name.try_into().map_err(crypto)?));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.der().to_vec(), Zeroizing::new(key.serialize_der())))
    }
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> AuthorityError {
        crypto(error)
    }
}

fn crypto(error: impl ToString) -> AuthorityError {
    AuthorityError::Crypto(error.to_string())
}

fn check_lineage(lineage: &str) -> Result<(), AuthorityError> {
    let fits = (1..=32).contains(&lineage.len())
        && lineage.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    fits.then_some(()).ok_or_else(|| AuthorityError::Lineage(lineage.to_owned()))
}

fn authority_params(lineage: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("{COMMON_NAME}{lineage}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(name: &str, validity: Validity) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = bounds(validity)?;
    params.serial_number = Some(serial()?);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn bounds(validity: Validity) -> Result<(OffsetDateTime, OffsetDateTime), AuthorityError> {
    if !(1..=AUTHORITY_SECONDS).contains(&validity.seconds) {
        return Err(AuthorityError::Validity);
    }
    let at = |moment: Moment| {
        let seconds = moment.as_micros().div_euclid(1_000_000);
        OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| AuthorityError::Validity)
    };
    Ok((at(validity.now.plus_seconds(-BACKDATED_SECONDS))?, at(validity.now.plus_seconds(validity.seconds))?))
}

/// 127 random bits: positive, and never the same twice.
fn serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(crypto)?;
    let [first, ..] = &mut bytes;
    *first = *first & 0x7f | 0x01;
    Ok(SerialNumber::from_slice(&bytes))
}

/// A P-256 public key: the point, uncompressed.
struct PublicKey<'a>(&'a [u8]);

impl PublicKeyData for PublicKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// Everything before the point in a P-256 SubjectPublicKeyInfo: DER has one way to write it.
const P256_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// The P-256 key in a SubjectPublicKeyInfo. A point that lies on no curve passes: nobody can use its certificate.
fn read_key(der: &[u8]) -> Result<PublicKey<'_>, AuthorityError> {
    let coordinates = der.strip_prefix(&P256_PREFIX).filter(|coordinates| coordinates.len() == 64);
    let point = coordinates.and_then(|_| der.get(P256_PREFIX.len() - 1..));
    point.map(PublicKey).ok_or(AuthorityError::PublicKey)
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    fs::read_to_string(path).map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), AuthorityError> {
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}

fn sync_directory(directory: &Path) -> Result<(), AuthorityError> {
    let sync = || fs::File::open(directory)?.sync_all();
    sync().map_err(|source| AuthorityError::File { path: directory.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use keyward_protocol::id::{LockId, PersonId, PortfolioId};

    use super::*;
    use crate::identity::PrincipalError;

    const NOW: Moment = Moment::from_micros(1_795_000_000_000_000);

    fn lock() -> Principal {
        Principal::Lock { portfolio: PortfolioId(3), lock: LockId(17) }
    }

    fn authority() -> (tempfile::TempDir, Authority) {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::create(&directory.path().join("secrets"), "a1b2", NOW).unwrap();
        (directory, authority)
    }

    fn der(pem: &str) -> Vec<u8> {
        parse_x509_pem(pem.as_bytes()).unwrap().1.contents
    }

    #[test]
    fn principals_come_back_from_their_certificates() {
        let (_directory, authority) = authority();
        for principal in [lock(), Principal::Operator { portfolio: PortfolioId(1), person: PersonId(2) }] {
            let issued = authority.issue(&principal, Validity::lock(NOW), &Subject::Fresh).unwrap();
            assert_eq!(Principal::from_certificate(&der(&issued.certificate_pem)), Ok(principal));
        }
    }

    #[test]
    fn certificates_say_what_they_should_and_no_more() {
        let (_directory, authority) = authority();
        let issue = || der(&authority.issue(&lock(), Validity::lock(NOW), &Subject::Fresh).unwrap().certificate_pem);
        let (one, two) = (issue(), issue());
        let parse = |der| x509_parser::parse_x509_certificate(der).unwrap().1;
        let (one, two) = (parse(&one), parse(&two));
        assert_ne!(one.raw_serial(), two.raw_serial());
        let usage = one.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth && !usage.any);
        assert!(!one.is_ca());
        assert_eq!(one.validity().not_before.timestamp(), NOW.as_micros() / 1_000_000 - 900);
        assert_eq!(one.validity().not_after.timestamp(), NOW.as_micros() / 1_000_000 + 90 * 86_400);
    }

    #[test]
    fn a_public_key_is_certified_and_nothing_else_is_taken() {
        let (_directory, authority) = authority();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let subject = Subject::PublicKeyPem(&key.public_key_pem());
        let issued = authority.issue(&lock(), Validity::lock(NOW), &subject).unwrap();
        assert!(issued.key_pem.is_none());
        let der = der(&issued.certificate_pem);
        let parsed = x509_parser::parse_x509_certificate(&der).unwrap().1;
        assert_eq!(parsed.public_key().subject_public_key.data.as_ref(), key.public_key_raw());
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().public_key_pem();
        for bad in [ed25519.as_str(), "", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
            let refused = authority.issue(&lock(), Validity::lock(NOW), &Subject::PublicKeyPem(bad));
            assert!(matches!(refused, Err(AuthorityError::PublicKey)), "{bad}");
        }
    }

    #[test]
    fn an_authority_is_kept_and_never_overwritten() {
        let (directory, authority) = authority();
        let secrets = directory.path().join("secrets");
        let opened = Authority::open(&secrets).unwrap();
        assert_eq!((opened.certificate_pem(), opened.lineage()), (authority.certificate_pem(), "a1b2"));
        assert!(matches!(Authority::create(&secrets, "a1b2", NOW), Err(AuthorityError::File { .. })));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&secrets), mode(&secrets.join(KEY_FILE))), (0o700, 0o600));
    }

    #[test]
    fn a_key_of_another_authority_is_noticed() {
        let (directory, _authority) = authority();
        let (other, _other) = self::authority();
        let file = |directory: &tempfile::TempDir| directory.path().join("secrets").join(KEY_FILE);
        fs::copy(file(&other), file(&directory)).unwrap();
        let opened = Authority::open(&directory.path().join("secrets"));
        assert!(matches!(opened, Err(AuthorityError::Damaged(_))));
    }

    #[test]
    fn certificates_with_other_names_name_nobody() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let uri = || SanType::URI("keyward://portfolio/3/lock/17".try_into().unwrap());
        let dns = SanType::DnsName("keyward-server".try_into().unwrap());
        let foreign = SanType::URI("https://example.org/lock/17".try_into().unwrap());
        let cases = [
            (vec![], PrincipalError::NotOneName),
            (vec![uri(), uri()], PrincipalError::NotOneName),
            (vec![uri(), dns], PrincipalError::NotOneName),
            (vec![foreign], PrincipalError::Unknown),
        ];
        for (names, error) in cases {
            let mut params = CertificateParams::default();
            params.subject_alt_names = names;
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(Principal::from_certificate(certificate.der()), Err(error));
        }
        assert_eq!(Principal::from_certificate(b"no certificate"), Err(PrincipalError::Unreadable));
    }
}
