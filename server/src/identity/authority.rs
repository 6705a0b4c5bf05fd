//! The authority: the key that signs every certificate, and what it signs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use keyward_protocol::{
    codec::SERVER_NAME,
    entry::{Party, Sha256},
    time::Moment,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
};
use time::OffsetDateTime;
use x509_parser::pem::{Pem, parse_x509_pem};
use zeroize::Zeroizing;

use super::Principal;
use crate::disk::{CutShort, Disk, is_one_file};

/// The files in the secrets directory.
const KEY_FILE: &str = "authority.key";
const CERTIFICATE_FILE: &str = "authority.pem";
/// Those that stand beside them while the authority is replaced.
const NEXT_KEY_FILE: &str = "authority.key.next";
const OLD_KEY_FILE: &str = "authority.key.old";
const NEXT_CERTIFICATE_FILE: &str = "authority.pem.next";
/// Every file of an authority, with those of a replacement that was cut short.
pub const FILES: [&str; 5] = [KEY_FILE, CERTIFICATE_FILE, NEXT_KEY_FILE, NEXT_CERTIFICATE_FILE, OLD_KEY_FILE];
/// Certificates are valid from a little before they are made: locks' clocks are not ours.
const BACKDATED_SECONDS: i64 = 15 * 60;
/// What the server shows is valid from two days before: a lock whose clock is behind must be able to trust it. Whether a
/// lock's own certificate holds is judged by the server's clock alone (S5).
const SERVER_BACKDATED_SECONDS: i64 = 2 * 86_400;
/// The authority and, because its key lives no longer than the process, the server: 20 years.
const AUTHORITY_SECONDS: i64 = 20 * 365 * 86_400;
/// Certificates of an authority that was replaced are taken for so long: a lock's 90 days, and 180 to renew in.
const REPLACED_SECONDS: i64 = 270 * 86_400;
/// A client's library follows no longer way from a certificate to what it trusts.
const SHOWN_MAX: usize = 6;
/// `keyward authority LINEAGE` is the authority's name; one that took another's place has its beginning after it.
const COMMON_NAME: &str = "keyward authority ";

/// The authority of one server, whose key never leaves its secrets directory.
///
/// One that took another's place is signed by that one too: the server shows this *cross certificate*, so that clients
/// which know the earlier authority only find the way to this one, and learn of it when they renew. It shows those before
/// it as well, for clients that slept through several. Certificates of an earlier authority are taken for as long as one of
/// them may still be renewed.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    /// This authority's key, certified by the one before; then that one's, certified by the one before it, and so on. None
    /// for the first.
    crosses_pem: Vec<String>,
    /// Earlier authorities whose certificates are still taken, the newest first.
    previous_pem: Vec<String>,
    lineage: String,
}

/// An authority that stands in a directory, and how.
pub struct Found {
    /// The authority in force.
    pub authority: Authority,
    /// The file with its key.
    pub key: PathBuf,
    /// The file with its certificate, the cross certificate and the authorities before.
    pub certificate: PathBuf,
    /// What a start makes of a replacement that was cut short, where one was.
    pub cut_short: Option<CutShort>,
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
    /// An authority that is to be replaced has been, moments ago.
    #[error("the authority was replaced today already: clients need time to renew before it is done again")]
    TooSoon,
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

    /// A holder's: 30 days.
    pub const fn holder(now: Moment) -> Validity {
        Validity { now, seconds: 30 * 86_400 }
    }

    /// A party's usual one.
    pub const fn of(party: Party, now: Moment) -> Validity {
        match party {
            Party::Lock(_) => Validity::lock(now),
            Party::Operator(_) => Validity::operator(now),
            Party::Holder(_) => Validity::holder(now),
        }
    }

    /// The end.
    pub const fn until(&self) -> Moment {
        self.now.plus_seconds(self.seconds)
    }

    /// When a further certificate should be asked for: at a third.
    pub const fn renew_at(&self) -> Moment {
        self.now.plus_seconds(self.seconds / 3)
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
        Authority::create_at(&Disk::new(), directory, lineage, now)
    }

    /// [`Authority::create`], with the disk as an argument.
    pub fn create_at(disk: &Disk, directory: &Path, lineage: &str, now: Moment) -> Result<Authority, AuthorityError> {
        check_lineage(lineage)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = authority_params(lineage);
        (params.not_before, params.not_after) = bounds(Validity { now, seconds: AUTHORITY_SECONDS })?;
        params.serial_number = Some(serial()?);
        let certificate_pem = params.self_signed(&key)?.pem();
        let made = disk.create_directory(directory);
        made.map_err(|source| AuthorityError::File { path: directory.to_owned(), source })?;
        write_new(disk, &directory.join(KEY_FILE), Zeroizing::new(key.serialize_pem()).as_bytes())?;
        write_new(disk, &directory.join(CERTIFICATE_FILE), certificate_pem.as_bytes())?;
        sync_directory(disk, directory)?;
        let (issuer, lineage) = (Issuer::new(params, key), lineage.to_owned());
        Ok(Authority { issuer, certificate_pem, crosses_pem: Vec::new(), previous_pem: Vec::new(), lineage })
    }

    /// Opens the authority in `directory`. A replacement that was cut short is finished or undone first, and what it left
    /// of the other key is destroyed.
    pub fn open(directory: &Path) -> Result<Authority, AuthorityError> {
        Authority::open_at(&Disk::new(), directory)
    }

    /// [`Authority::open`], with the disk as an argument.
    pub fn open_at(disk: &Disk, directory: &Path) -> Result<Authority, AuthorityError> {
        let Found { authority, key, certificate, cut_short } = Authority::found(directory)?;
        if cut_short.is_none() {
            return Ok(authority);
        }
        let own_key = directory.join(KEY_FILE);
        for (from, to) in [(&key, &own_key), (&certificate, &directory.join(CERTIFICATE_FILE))] {
            if from != to {
                rename(disk, from, to)?;
                sync_directory(disk, directory)?;
            }
        }
        for name in [NEXT_KEY_FILE, OLD_KEY_FILE] {
            destroy(disk, &directory.join(name), &own_key)?;
        }
        let next = directory.join(NEXT_CERTIFICATE_FILE);
        if next.exists() {
            disk.remove(&next).map_err(|source| AuthorityError::File { path: next, source })?;
        }
        sync_directory(disk, directory)?;
        Ok(authority)
    }

    /// The authority in `directory` as a start would have it. Changes nothing.
    pub fn found(directory: &Path) -> Result<Found, AuthorityError> {
        let at = |name| directory.join(name);
        // In this order: a key in its own place is in force, with whichever certificate is its. The other pairs are there
        // between the two renames of a replacement, when nothing has the key's name, or nothing whole.
        let pairs = [
            (KEY_FILE, CERTIFICATE_FILE),
            (KEY_FILE, NEXT_CERTIFICATE_FILE),
            (NEXT_KEY_FILE, NEXT_CERTIFICATE_FILE),
            (OLD_KEY_FILE, CERTIFICATE_FILE),
        ];
        let mut why = None;
        for (key, certificate) in pairs {
            match Authority::read(&at(key), &at(certificate)) {
                Ok(authority) => {
                    let is_new = certificate == NEXT_CERTIFICATE_FILE
                        || (at(OLD_KEY_FILE).exists() && !is_one_file(&at(key), &at(OLD_KEY_FILE)));
                    let is_left =
                        || [NEXT_KEY_FILE, OLD_KEY_FILE, NEXT_CERTIFICATE_FILE].iter().any(|name| at(name).exists());
                    let cut_short = match is_new {
                        true => Some(CutShort::Finished),
                        false => is_left().then_some(CutShort::Undone),
                    };
                    return Ok(Found { authority, key: at(key), certificate: at(certificate), cut_short });
                }
                Err(error) => _ = why.get_or_insert(error),
            }
        }
        Err(why.unwrap_or_else(|| AuthorityError::Damaged(at(KEY_FILE))))
    }

    fn read(key: &Path, certificate: &Path) -> Result<Authority, AuthorityError> {
        let pem = Zeroizing::new(read(key)?);
        let found = KeyPair::from_pem(&pem).map_err(|_| AuthorityError::Damaged(key.to_owned()))?;
        Authority::of(found, certificate)
    }

    /// The authority with this key, whose certificate is the first in a file: after it the cross certificates, where there
    /// are any, and the authorities before.
    fn of(key: KeyPair, path: &Path) -> Result<Authority, AuthorityError> {
        let damaged = || AuthorityError::Damaged(path.to_owned());
        let text = read(path)?;
        let all: Result<Vec<Pem>, _> = Pem::iter_from_buffer(text.as_bytes()).collect();
        let all = all.map_err(|_| damaged())?;
        let [own, rest @ ..] = all.as_slice() else { return Err(damaged()) };
        let certificate = own.parse_x509().map_err(|_| damaged())?;
        if certificate.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(damaged());
        }
        let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let lineage = name.and_then(|name| name.strip_prefix(COMMON_NAME)).ok_or_else(damaged)?;
        let lineage = lineage.split(' ').next().unwrap_or_default().to_owned();
        check_lineage(&lineage)?;
        // An authority is signed by itself, a cross certificate by the one before.
        let is_cross = |pem: &Pem| pem.parse_x509().is_ok_and(|found| found.subject() != found.issuer());
        let (crosses, previous): (Vec<&Pem>, Vec<&Pem>) = rest.iter().partition(|pem| is_cross(pem));
        let (crosses_pem, previous_pem) =
            (crosses.into_iter().map(to_pem).collect(), previous.into_iter().map(to_pem).collect());
        let mut params = authority_params(&lineage);
        params.distinguished_name = named(name.unwrap_or_default());
        let (issuer, certificate_pem) = (Issuer::new(params, key), to_pem(own));
        Ok(Authority { issuer, certificate_pem, crosses_pem, previous_pem, lineage })
    }

    /// Puts a new authority in this one's place in `directory`, whose key is gone then. Clients that know this one find
    /// their way to the new one, and learn of it when they renew.
    ///
    /// After an error either may be in force in `directory`. This one may go on being used, since both take what it signed,
    /// and doing it again finishes what was begun: where the new one was in force, that is the result.
    pub fn rotate(&self, directory: &Path, now: Moment) -> Result<Authority, AuthorityError> {
        self.rotate_at(&Disk::new(), directory, now)
    }

    /// [`Authority::rotate`], with the disk as an argument.
    pub fn rotate_at(&self, disk: &Disk, directory: &Path, now: Moment) -> Result<Authority, AuthorityError> {
        let there = Authority::open_at(disk, directory)?;
        if there.certificate_pem != self.certificate_pem {
            let is_next = there.previous_pem.first() == Some(&self.certificate_pem);
            return if is_next { Ok(there) } else { Err(AuthorityError::Damaged(directory.join(CERTIFICATE_FILE))) };
        }
        let begun = not_before(&self.certificate_pem).ok_or(AuthorityError::Validity)?;
        if !self.crosses_pem.is_empty() && now < begun.plus_seconds(BACKDATED_SECONDS + 86_400) {
            return Err(AuthorityError::TooSoon);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = authority_params(&self.lineage);
        // Two authorities must not have one name: who looks for an issuer goes by it.
        let number = now.as_micros().div_euclid(1_000_000);
        params.distinguished_name = named(&format!("{COMMON_NAME}{} {number}", self.lineage));
        (params.not_before, params.not_after) = bounds(Validity { now, seconds: AUTHORITY_SECONDS })?;
        params.serial_number = Some(serial()?);
        let certificate_pem = params.self_signed(&key)?.pem();
        params.serial_number = Some(serial()?);
        let long_ago = now.plus_seconds(-SERVER_BACKDATED_SECONDS);
        let root_bounds = (params.not_before, params.not_after);
        (params.not_before, _) = bounds(Validity { now: long_ago, seconds: AUTHORITY_SECONDS })?;
        let cross_pem = params.signed_by(&key, &self.issuer)?.pem();
        (params.not_before, params.not_after) = root_bounds;
        let previous_pem = still_taken(&[vec![self.certificate_pem.clone()], self.previous_pem.clone()].concat(), now);
        // One that nobody's way leads over any more goes with the authority that signed it.
        let mut crosses_pem = [vec![cross_pem], self.crosses_pem.clone()].concat();
        crosses_pem.truncate(previous_pem.len());
        let whole = [vec![certificate_pem.clone()], crosses_pem.clone(), previous_pem.clone()].concat().concat();
        let written = self.put_in_place(disk, directory, &whole, &Zeroizing::new(key.serialize_pem()));
        written.inspect_err(|_| {
            // A key that never came into force is not left lying about, where the disk still lets it be removed.
            if Authority::found(directory).is_ok_and(|found| found.cut_short == Some(CutShort::Undone)) {
                _ = Authority::open_at(disk, directory);
            }
        })?;
        let (issuer, lineage) = (Issuer::new(params, key), self.lineage.clone());
        Ok(Authority { issuer, certificate_pem, crosses_pem, previous_pem, lineage })
    }

    /// Everything stands beside before the first file takes its place, and at each moment one of the two authorities is
    /// there whole. The key before is destroyed last.
    fn put_in_place(&self, disk: &Disk, directory: &Path, certificates: &str, key: &str) -> Result<(), AuthorityError> {
        let at = |name| directory.join(name);
        write_new(disk, &at(NEXT_CERTIFICATE_FILE), certificates.as_bytes())?;
        write_new(disk, &at(NEXT_KEY_FILE), key.as_bytes())?;
        sync_directory(disk, directory)?;
        for (from, to) in
            [(KEY_FILE, OLD_KEY_FILE), (NEXT_KEY_FILE, KEY_FILE), (NEXT_CERTIFICATE_FILE, CERTIFICATE_FILE)]
        {
            rename(disk, &at(from), &at(to))?;
            sync_directory(disk, directory)?;
        }
        destroy(disk, &at(OLD_KEY_FILE), &at(KEY_FILE))?;
        sync_directory(disk, directory)
    }

    /// The authority's certificate: all that a client needs to know the server by.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The SHA-256 of the authority's public key, by which a token names it.
    pub fn fingerprint(&self) -> Result<Sha256, AuthorityError> {
        let unreadable = || AuthorityError::Crypto("the authority's certificate can't be read".to_owned());
        let (_, pem) = parse_x509_pem(self.certificate_pem.as_bytes()).map_err(|_| unreadable())?;
        let certificate = pem.parse_x509().map_err(|_| unreadable())?;
        Ok(super::sha256(certificate.public_key().raw))
    }

    /// What the server shows beside its own certificate: this authority, or this one as certified by the one before, that
    /// one by the one before it, and so on to the earliest. So clients that trust any of them, and tokens that name any,
    /// find their way.
    pub(super) fn shown_pem(&self) -> Vec<&str> {
        let crosses = self.crosses_pem.get(..SHOWN_MAX).unwrap_or(&self.crosses_pem);
        // What stood in the file of an earlier release ends with a younger one than the earliest.
        let earliest = crosses.len().checked_sub(1).and_then(|last| self.previous_pem.get(last));
        let earliest = earliest.unwrap_or(&self.certificate_pem);
        crosses.iter().chain([earliest]).map(String::as_str).collect()
    }

    /// The authorities whose certificates are taken: this one, and those before it as long as one of theirs may be
    /// renewed.
    pub fn taken_pem(&self, now: Moment) -> Vec<String> {
        still_taken(&[vec![self.certificate_pem.clone()], self.previous_pem.clone()].concat(), now)
    }

    /// Whether this certificate (DER) is one of ours, over or not.
    pub fn signed(&self, der: &[u8], now: Moment) -> bool {
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(der) else { return false };
        self.taken_pem(now).iter().any(|pem| {
            let Ok((_, pem)) = parse_x509_pem(pem.as_bytes()) else { return false };
            let authority = pem.parse_x509();
            authority.is_ok_and(|authority| certificate.verify_signature(Some(authority.public_key())).is_ok())
        })
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
        let now = now.plus_seconds(-SERVER_BACKDATED_SECONDS);
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

/// Of authorities, the newest first, those whose certificates may still be shown or renewed: each was replaced when the
/// one before it in the list began.
fn still_taken(newest_first: &[String], now: Moment) -> Vec<String> {
    let replaced = std::iter::once(None).chain(newest_first.iter().map(|pem| not_before(pem)));
    let taken = |replaced: Option<Moment>| replaced.is_none_or(|at| now <= at.plus_seconds(REPLACED_SECONDS));
    newest_first.iter().zip(replaced).filter(|(_, replaced)| taken(*replaced)).map(|(pem, _)| pem.clone()).collect()
}

fn not_before(pem: &str) -> Option<Moment> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
    let seconds = pem.parse_x509().ok()?.validity().not_before.timestamp();
    Some(Moment::from_micros(seconds.saturating_mul(1_000_000)))
}

fn to_pem(pem: &Pem) -> String {
    let encoded = BASE64.encode(&pem.contents);
    let lines: Vec<&str> =
        (0..encoded.len()).step_by(64).filter_map(|at| encoded.get(at..encoded.len().min(at + 64))).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn rename(disk: &Disk, from: &Path, to: &Path) -> Result<(), AuthorityError> {
    disk.rename(from, to).map_err(|source| AuthorityError::File { path: to.to_owned(), source })
}

/// Overwrites a key that is not in force with zeros and removes it, where there is one. What the storage below keeps of it
/// is beyond a program's reach. A further name of the key in force, which half of a rename leaves, is only removed.
fn destroy(disk: &Disk, path: &Path, in_force: &Path) -> Result<(), AuthorityError> {
    if !path.exists() {
        return Ok(());
    }
    let overwrite = || {
        let file = disk.open(path)?;
        file.write_at(0, &vec![0; usize::try_from(file.length()?).unwrap_or(0)])?;
        file.sync()
    };
    let overwritten = if is_one_file(path, in_force) { Ok(()) } else { overwrite() };
    let destroyed = overwritten.and_then(|()| disk.remove(path));
    destroyed.map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}

/// Whether a public key is one that can be certified: P-256, as DER SubjectPublicKeyInfo.
pub fn holds(der: &[u8]) -> bool {
    read_key(der).is_ok()
}

/// Whether whoever signed `message` has the secret key of this public one (ECDSA, P-256, SHA-256, ASN.1).
pub fn verify_signature(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(PublicKey(point)) = read_key(key) else { return false };
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_ASN1, point);
    key.verify(message, signature).is_ok()
}

fn check_lineage(lineage: &str) -> Result<(), AuthorityError> {
    let fits = (1..=32).contains(&lineage.len())
        && lineage.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    fits.then_some(()).ok_or_else(|| AuthorityError::Lineage(lineage.to_owned()))
}

fn authority_params(lineage: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("{COMMON_NAME}{lineage}"));
    // Those that take its place stand below it for a while, one below the other. RFC 5280 leaves what an anchor says of
    // itself to the client: rustls passes over it, OpenSSL and Mbed TLS count by it.
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
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

fn write_new(disk: &Disk, path: &Path, bytes: &[u8]) -> Result<(), AuthorityError> {
    let write = || {
        if path.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = disk.create(path)?;
        file.write_at(0, bytes)?;
        file.sync()
    };
    write().map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}

fn sync_directory(disk: &Disk, directory: &Path) -> Result<(), AuthorityError> {
    disk.sync_directory(directory).map_err(|source| AuthorityError::File { path: directory.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use keyward_protocol::id::{LockId, PersonId, PortfolioId};

    use super::*;
    use crate::identity::{PrincipalError, Proof};

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
            let proof = Proof::from_certificate(&der(&issued.certificate_pem)).unwrap();
            assert_eq!((proof.principal, proof.until), (principal, Validity::lock(NOW).until()));
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
    fn a_replaced_authority_s_certificates_are_taken_for_a_while_and_a_crash_half_way_is_finished() {
        let (directory, first) = authority();
        let secrets = directory.path().join("secrets");
        let old = der(&first.issue(&lock(), Validity::lock(NOW), &Subject::Fresh).unwrap().certificate_pem);
        let key_before = fs::read(secrets.join(KEY_FILE)).unwrap();
        let second = first.rotate(&secrets, NOW).unwrap();
        assert_ne!(fs::read(secrets.join(KEY_FILE)).unwrap(), key_before);
        assert!(second.signed(&old, NOW) && second.lineage() == "a1b2");
        assert!(matches!(second.rotate(&secrets, NOW.plus_seconds(3_600)), Err(AuthorityError::TooSoon)));
        let opened = Authority::open(&secrets).unwrap();
        assert_eq!(opened.certificate_pem(), second.certificate_pem());
        assert_eq!(opened.taken_pem(NOW), [second.certificate_pem(), first.certificate_pem()]);
        let late = NOW.plus_seconds(REPLACED_SECONDS + 3_600);
        assert!(!opened.signed(&old, late), "nobody renews it any more");
        let new = der(&opened.issue(&lock(), Validity::lock(NOW), &Subject::Fresh).unwrap().certificate_pem);
        assert!(opened.signed(&new, late) && !first.signed(&new, NOW));
        // The key took its place and the certificate did not.
        let later = NOW.plus_seconds(10 * 86_400);
        let before = fs::read(secrets.join(CERTIFICATE_FILE)).unwrap();
        let third = opened.rotate(&secrets, later).unwrap();
        fs::rename(secrets.join(CERTIFICATE_FILE), secrets.join(NEXT_CERTIFICATE_FILE)).unwrap();
        fs::write(secrets.join(CERTIFICATE_FILE), before).unwrap();
        assert_eq!(Authority::open(&secrets).unwrap().certificate_pem(), third.certificate_pem());
        assert!(!secrets.join(NEXT_CERTIFICATE_FILE).exists());
        assert_eq!(Authority::open(&secrets).unwrap().taken_pem(later).len(), 3);
    }

    /// OpenSSL and Mbed TLS count what stands below an authority by what that one says of itself, be it trusted or not.
    #[test]
    fn however_many_replacements_may_stand_below_an_authority_and_below_each_of_them() {
        let (directory, mut newest) = authority();
        let mut all = vec![newest.certificate_pem.clone()];
        for month in 1..=6 {
            newest = newest.rotate(&directory.path().join("secrets"), NOW.plus_seconds(month * 30 * 86_400)).unwrap();
            all.push(newest.certificate_pem.clone());
        }
        assert_eq!(newest.shown_pem().len(), SHOWN_MAX + 1);
        all.extend(newest.shown_pem().into_iter().map(str::to_owned));
        for pem in &all {
            let der = der(pem);
            let certificate = x509_parser::parse_x509_certificate(&der).unwrap().1;
            let constraints = certificate.basic_constraints().unwrap().unwrap();
            assert!(constraints.critical && constraints.value.ca);
            assert_eq!(constraints.value.path_len_constraint, None, "{}", certificate.subject());
        }
    }

    // S5
    #[test]
    fn a_client_whose_clock_is_hours_behind_or_ahead_trusts_what_the_server_shows() {
        let (directory, first) = authority();
        let second = first.rotate(&directory.path().join("secrets"), NOW).unwrap();
        for authority in [&first, &second] {
            let (server, _) = authority.issue_server(NOW).unwrap();
            // An anchor's own validity is not looked at; what stands between it and the server's is.
            let between = authority.crosses_pem.iter().map(|pem| der(pem));
            for shown in std::iter::once(server).chain(between) {
                let validity = x509_parser::parse_x509_certificate(&shown).unwrap().1.validity().clone();
                for hours in [-47, -2, 0, 2, 24 * 365] {
                    let clock = NOW.plus_seconds(hours * 3_600).as_micros() / 1_000_000;
                    assert!(validity.not_before.timestamp() <= clock && clock < validity.not_after.timestamp());
                }
            }
        }
    }

    #[test]
    fn signatures_prove_a_key_and_nothing_else_does() {
        use rcgen::SigningKey;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let public = key.subject_public_key_info();
        let signature = key.sign(b"challenge").unwrap();
        assert!(holds(&public) && verify_signature(&public, b"challenge", &signature));
        assert!(!verify_signature(&public, b"another", &signature) && !verify_signature(&public, b"challenge", b""));
        let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().subject_public_key_info();
        assert!(
            !verify_signature(&other, b"challenge", &signature) && !verify_signature(b"key", b"challenge", &signature)
        );
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
            assert_eq!(Proof::from_certificate(certificate.der()), Err(error));
        }
        assert_eq!(Proof::from_certificate(b"no certificate"), Err(PrincipalError::Unreadable));
    }
}
