//! A data directory made by a fixed script, through the real writers, held against golden files byte for byte; and read
//! back from those files as a start reads it.

#[path = "../../tests/golden/golden.rs"]
mod file;

use std::{fs, path::Path, sync::Arc};

use keyward_protocol::{code::Digits, id::*, message::manage::Made, time::Moment};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

pub(crate) use file::check;

use crate::{
    access_log::{self, AccessLog, Batch, CredentialKind, Mode, Outcome, Record, Span, Who},
    domain::{
        audit::{Act, Acted, Fact},
        decide::{Decided, decide_causes},
        directory::{Carrier, Directory, Identity, Party, Portfolio, Token},
        effects,
        event::{Actor, Cause, Change},
        site::Site,
    },
    engine::{Books, Layout, StartError},
    identity::{Authority, Principal, Subject, Validity},
    store::{
        journal::{AnchorFound, Journal, inspect},
        record::{Entry, Restored, add_part, decode_directory, encode_directory, parts},
        snapshot,
    },
    vault::{self, RootSecret, Vault, Wanted},
};

const LINEAGE: [u8; 16] = *b"golden lineage 1";
const NOW: Moment = Moment::from_micros(1_795_000_000_123_456);
const PORTFOLIO: PortfolioId = PortfolioId(1);
/// Changed with the files only: every byte of them follows from it.
pub(crate) const SITE: &str = r#"keyward = 1
[portfolio]
name = "Harbor"
managers = ["ana@harbor.example"]
[[person]]
name = "Ana"
email = "ana@harbor.example"
cards = ["04a2"]
[[person]]
name = "Tracy"
email = "tracy@mail.example"
[[property]]
name = "Main"
time_zone = "America/New_York"
  [[property.door]]
  name = "Entrance"
  kind = "entrance"
  labels = ["street"]
  [[property.schedule]]
  name = "day"
  windows = ["Mon-Fri 08:00-18:00"]
  [[property.key]]
  name = "Resident"
  doors = [{ door = "Entrance", schedule = "day", code = true }]
  [[property.giving]]
  key = "Resident"
  person = "tracy@mail.example"
  [[property.giving]]
  key = "Resident"
  person = "ana@harbor.example"
"#;

/// What each golden file is of, and where it lies.
fn places(layout: &Layout) -> Vec<(&'static str, std::path::PathBuf)> {
    vec![
        ("root-secret.2.hex", layout.root()),
        ("anchor.1.hex", layout.anchor()),
        ("journal-segment.1.hex", layout.journal().join("0000000000000001.kwj")),
        ("snapshot.1.hex", layout.snapshots().join("0000000000000002.kws")),
        ("vault.1.hex", layout.vault(PORTFOLIO)),
        ("access-log-segment.1.hex", layout.log().join("0000000000000001.kwl")),
        ("access-log-anchor.1.hex", layout.log().join("anchor")),
    ]
}

/// Makes the directory: three frames, a snapshot after the second, one live code, one made anew, one in quarantine.
struct Script {
    layout: Layout,
    directory: Directory,
    vault: Vault,
    journal: Journal,
    random: ChaCha20Rng,
}

impl Script {
    fn run(root: &Path) -> Script {
        let layout = Layout::new(&root.join("data"));
        for directory in [layout.data(), layout.secrets()] {
            fs::create_dir(directory).unwrap();
        }
        let secret = RootSecret::fixed(0x5a);
        secret.write(&layout.root()).unwrap();
        let mut random = ChaCha20Rng::seed_from_u64(1);
        let vault = Vault::create_with(
            &layout.vault(PORTFOLIO),
            &secret,
            vault::new_id(PORTFOLIO, *b"golden vault"),
            &mut random,
        )
        .unwrap();
        let journal = Journal::create(&layout.journal(), &layout.anchor(), LINEAGE).unwrap();
        let mut script = Script { layout, directory: Directory::default(), vault, journal, random };
        let empty = Portfolio::new(PORTFOLIO, String::new());
        script.directory.portfolios.insert(PORTFOLIO, Arc::new(empty));
        let mut mobiles = 0x0123_4567_89ab_cdef_u64..;
        let site = Site::parse("site.toml", SITE).unwrap();
        let made = script.change(Actor::Administrator, NOW, site.causes(NOW, || mobiles.next().unwrap()));
        script.journal.append(&[&made]).unwrap();
        script.carrier_and_revoke();
        let directory = encode_directory(&script.directory);
        snapshot::write(&script.layout.snapshots(), 2, LINEAGE, &directory).unwrap();
        script.give_again();
        script.journal.write_anchor().unwrap();
        script.log();
        script
    }

    fn carrier_and_revoke(&mut self) {
        let carrier = Carrier { id: CarrierId(1), name: "Parcel".to_owned(), mobile: 77 };
        self.directory.carriers.insert(carrier.id, carrier.clone());
        let portfolio = &self.directory.portfolios[&PORTFOLIO];
        let (property, giving) = (PropertyId(1), *portfolio.properties[&PropertyId(1)].givings.keys().next().unwrap());
        let revoked =
            self.change(Actor::Person(PersonId(1)), NOW.plus_seconds(60), vec![Cause::Revoked { property, giving }]);
        self.journal.append(&[&Entry::Carrier(carrier).encode(), &revoked]).unwrap();
        let portfolio = &self.directory.portfolios[&PORTFOLIO];
        let deleted: Vec<CodeId> = portfolio.properties[&property].deleted_codes.keys().copied().collect();
        assert_eq!(deleted.len(), 1);
        self.vault.destroy(&deleted).unwrap();
    }

    fn give_again(&mut self) {
        let property = &self.directory.portfolios[&PORTFOLIO].properties[&PropertyId(1)];
        let kept = *property.givings.values().next().unwrap();
        let person = if kept.person == PersonId(1) { PersonId(2) } else { PersonId(1) };
        let giving = crate::domain::directory::Giving { id: GivingId(3), person, ..kept };
        let given = self.change(
            Actor::Person(PersonId(1)),
            NOW.plus_seconds(120),
            vec![Cause::Given { property: PropertyId(1), giving }],
        );
        self.journal.append(&[&given]).unwrap();
    }

    /// What the engine does between a decision and the journal.
    fn change(&mut self, actor: Actor, at: Moment, causes: Vec<Cause>) -> Vec<u8> {
        let before = Arc::clone(&self.directory.portfolios[&PORTFOLIO]);
        let Decided { causes, stepped } = decide_causes(&before, causes, at, None).unwrap();
        let made = stepped.effects.codes_made.iter();
        let wanted: Vec<Wanted> = made
            .map(|code| Wanted { code: code.code, door: code.door, person: code.person, digits: code.digits })
            .collect();
        let commitments = self.vault.make(&wanted, &mut self.random).unwrap();
        let digest = stepped.effects.digest();
        let after = effects::finish(stepped, &commitments, at);
        self.directory.portfolios.insert(PORTFOLIO, Arc::new(after));
        Entry::Change(Change { portfolio: PORTFOLIO, actor, at, causes, commitments, digest }).encode()
    }

    fn log(&self) {
        let (log, _) = AccessLog::open(&self.layout.log(), LINEAGE, Mode::Strict, 1).unwrap();
        for records in [&records()[..2], &records()[2..]] {
            let producer = log.producer(0);
            let ticket = producer.try_push(Batch { portfolio: PORTFOLIO, records: records.to_vec() }).unwrap();
            while !producer.is_durable(ticket).unwrap() {
                std::thread::yield_now();
            }
        }
        log.shutdown().unwrap();
    }
}

fn records() -> Vec<Record> {
    let granted = Record {
        time: NOW.plus_seconds(130),
        revision: 3,
        door: DoorId(1),
        who: Who::Person(PersonId(2)),
        key: KeyId(1),
        lock: LockId(4),
        kind: CredentialKind::Code,
        outcome: Outcome::Granted,
    };
    let denied = Outcome::Denied(keyward_protocol::decision::Reason::UnknownCredential);
    let guest = Who::Guest { person: PersonId(1), host: PersonId(2) };
    vec![
        granted,
        Record { time: NOW.plus_seconds(131), who: Who::Nobody, key: KeyId::NONE, outcome: denied, ..granted },
        Record { time: NOW.plus_seconds(140), who: guest, kind: CredentialKind::Mobile, ..granted },
        Record { who: Who::Carrier(CarrierId(1)), kind: CredentialKind::Carrier, ..granted },
    ]
}

/// Cuts bytes into fields of these lengths; what is left is the last piece.
fn fields(bytes: &[u8], lengths: &[(&'static str, usize)], rest: &'static str) -> Vec<(&'static str, Vec<u8>)> {
    let (mut pieces, mut bytes) = (Vec::new(), bytes);
    for (what, length) in lengths {
        let (field, behind) = bytes.split_at(*length);
        pieces.push((*what, field.to_vec()));
        bytes = behind;
    }
    pieces.push((rest, bytes.to_vec()));
    pieces
}

const PREAMBLE: [(&str, usize); 3] = [("magic", 8), ("version", 4), ("crc32c of magic and version", 4)];

/// A file's fields, by its golden file's name.
fn cut(name: &str, bytes: &[u8]) -> (&'static str, Vec<(&'static str, Vec<u8>)>) {
    let with = |more: &[(&'static str, usize)]| [&PREAMBLE[..], more].concat();
    match name {
        "root-secret.2.hex" => {
            ("DATA.secrets/root.key, format 2", fields(bytes, &with(&[("secret", 32)]), "checksum of the secret"))
        }
        "anchor.1.hex" => {
            let more = with(&[("lineage", 16), ("sequence", 8), ("hash of that frame", 32)]);
            ("DATA.secrets/anchor, format 1", fields(bytes, &more, "crc32c"))
        }
        "journal-segment.1.hex" => {
            let head = [("lineage", 16), ("first sequence", 8), ("hash before the first frame", 32), ("crc32c", 4)];
            let frame = |at: usize| u32::from_le_bytes(*bytes[at + 8..].first_chunk().unwrap()) as usize + 56;
            let (first, second) = (frame(76), frame(76 + frame(76)));
            let frames = [
                ("frame 1: the portfolio as the site file says, two codes", first),
                ("frame 2: a carrier; a giving revoked, a code deleted", second),
            ];
            let rest = "frame 3: a giving, a code";
            ("DATA/journal/0000000000000001.kwj, format 1", fields(bytes, &with(&[&head[..], &frames].concat()), rest))
        }
        "snapshot.1.hex" => {
            let more = [("lineage", 16), ("sequence", 8), ("bytes of payload", 8), ("blake3", 32), ("layout", 1)];
            ("DATA/snapshots/0000000000000002.kws, format 1", fields(bytes, &with(&more), "the Directory, archived"))
        }
        "access-log-anchor.1.hex" => {
            let more = with(&[("lineage", 16), ("the record after all", 8)]);
            ("DATA/log/anchor, format 1", fields(bytes, &more, "crc32c"))
        }
        "vault.1.hex" => {
            let header: [(&str, usize); 10] = [
                ("magic", 8),
                ("version", 4),
                ("zero", 4),
                ("vault id", 16),
                ("salt", 16),
                ("tag key, sealed", 48),
                ("checksum", 16),
                ("unused", 4_096 - 112),
                ("the header again, and nothing behind it", 4_096),
                ("slot 0: a code in quarantine, its secret half zeroed", 128),
            ];
            let more = [("slot 1: a live code", 128)];
            ("DATA/vault-1.kwv, format 1", fields(bytes, &[&header[..], &more].concat(), "slot 2: a live code"))
        }
        _ => {
            let header = [
                ("magic", 8),
                ("version", 4),
                ("zero", 4),
                ("lineage", 16),
                ("first sequence", 8),
                ("hash before", 32),
                ("zero", 20),
                ("crc32c", 4),
                ("chunk: two records", 96 + 64),
            ];
            ("DATA/log/0000000000000001.kwl, format 1", fields(bytes, &header, "chunk: two more"))
        }
    }
}

/// Puts the golden files where they belong.
fn lay_out(root: &Path, files: &[(&'static str, Vec<u8>)]) -> Layout {
    use std::os::unix::fs::PermissionsExt;
    let layout = Layout::new(&root.join("data"));
    for (name, path) in places(&layout) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (_, bytes) = files.iter().find(|(file, _)| *file == name).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    layout
}

/// Every golden file of the data directory as it is kept.
fn kept() -> Vec<(&'static str, Vec<u8>)> {
    let names = places(&Layout::new(Path::new("data"))).into_iter().map(|(name, _)| name);
    names.map(|name| (name, file::read(name).into_iter().flat_map(|(_, bytes)| bytes).collect())).collect()
}

#[test]
fn the_writers_still_make_these_bytes_and_a_start_reads_them() {
    let made = tempfile::tempdir().unwrap();
    let script = Script::run(made.path());
    let mut files = Vec::new();
    for (name, path) in places(&script.layout) {
        let (about, pieces) = cut(name, &fs::read(path).unwrap());
        files.push((name, check(name, about, &pieces).concat()));
    }
    let (directory, layout) = (script.directory.clone(), script.layout.clone());
    drop(script);

    let dir = tempfile::tempdir().unwrap();
    let there = lay_out(dir.path(), &files);
    let report = inspect(&there.journal(), &there.anchor(), &mut |_, _| Ok::<(), ()>(())).unwrap();
    assert_eq!((report.head.sequence, report.anchor, report.torn_bytes), (3, AnchorFound::Agrees, 0));
    assert_ne!(layout, there);
    let (books, report) = Books::open(&there).unwrap();
    assert_eq!(*books.directory(), directory);
    assert_eq!((report.replayed, report.lost.len(), report.warnings.len()), (1, 0, 0), "frame 3 alone is replayed");
    reads_as_it_should(&books, &there);
}

/// What these files say, in words that do not come from the script.
fn reads_as_it_should(books: &Books, layout: &Layout) {
    let portfolio = &books.directory().portfolios[&PORTFOLIO];
    assert_eq!((portfolio.name.as_str(), portfolio.revision), ("Harbor", 3));
    let names: Vec<&str> = portfolio.people.values().map(|person| person.name.as_str()).collect();
    assert_eq!(names, ["Ana", "Tracy"]);
    assert_eq!(books.directory().carriers[&CarrierId(1)].name, "Parcel");
    let property = &portfolio.properties[&PropertyId(1)];
    let digits = |person| {
        let code = property.code_of[&(PersonId(person), DoorId(1))];
        let digits: Digits = books.reveal(PORTFOLIO, code).unwrap();
        String::from_utf8(digits.expose().to_vec()).unwrap()
    };
    assert_eq!([digits(1), digits(2)], ["1499229", "9277432"]);
    assert!(property.deleted_codes.keys().all(|code| books.reveal(PORTFOLIO, *code).is_err()));
    let examined = access_log::examine(&layout.log(), &LINEAGE).unwrap();
    assert_eq!((examined.next_sequence, examined.torn_bytes, examined.damage), (5, 0, Vec::new()));
    let (log, _) = AccessLog::open(&layout.log(), LINEAGE, Mode::Strict, 1).unwrap();
    let mut read = Vec::new();
    let damage = log.visit(&Span::Sequences(0..u64::MAX), |_, _, record| read.push(*record)).unwrap();
    assert_eq!((read, damage), (records(), Vec::new()));
}

#[test]
fn a_root_secret_of_format_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<(&str, Vec<u8>)> = kept()
        .into_iter()
        .map(|(name, bytes)| match name {
            "root-secret.2.hex" => (name, file::read("root-secret.1.hex").into_iter().flat_map(|(_, b)| b).collect()),
            _ => (name, bytes),
        })
        .collect();
    let layout = lay_out(dir.path(), &files);
    let (books, report) = Books::open(&layout).unwrap();
    assert!(report.lost.is_empty());
    reads_as_it_should(&books, &layout);
}

/// The same file with the next version in its header, its checksums made anew.
fn of_a_later_release(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let version = u32::from_le_bytes(*bytes[8..].first_chunk().unwrap()) + 1;
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    match name {
        "vault.1.hex" => {
            let check = *blake3::hash(&bytes[..96]).as_bytes().first_chunk::<16>().unwrap();
            bytes[96..112].copy_from_slice(&check);
            bytes.copy_within(..112, 4_096);
        }
        "access-log-segment.1.hex" => {
            let check = crc32c::crc32c(&bytes[..92]);
            bytes[92..96].copy_from_slice(&check.to_le_bytes());
        }
        _ => {
            let check = crc32c::crc32c(&bytes[..12]);
            bytes[12..16].copy_from_slice(&check.to_le_bytes());
        }
    }
    bytes
}

#[test]
fn a_newer_file_is_named_with_both_versions_and_what_to_do() {
    for (newer, _) in places(&Layout::new(Path::new("data"))) {
        let dir = tempfile::tempdir().unwrap();
        let mut files = kept();
        let (_, bytes) = files.iter_mut().find(|(name, _)| *name == newer).unwrap();
        *bytes = of_a_later_release(newer, bytes);
        let layout = lay_out(dir.path(), &files);
        let (_, path) = places(&layout).into_iter().find(|(name, _)| *name == newer).unwrap();
        let before = fs::read(&path).unwrap();
        let told = match newer {
            "access-log-segment.1.hex" | "access-log-anchor.1.hex" => {
                AccessLog::open(&layout.log(), LINEAGE, Mode::Strict, 1).err().unwrap().to_string()
            }
            _ => Books::open(&layout).err().unwrap().to_string(),
        };
        let known: u32 = newer.split('.').nth(1).unwrap().parse().unwrap();
        let expected = format!(
            "`{}` has format {}, and this keyward reads up to {known}: start it with the keyward that wrote it, or a \
             newer one",
            path.display(),
            known + 1
        );
        assert!(told.contains(&expected), "{newer}: {told}");
        assert_eq!(fs::read(&path).unwrap(), before, "{newer} was touched");
        // Looking through the directory says it, too.
        let findings = crate::engine::verify(&layout).unwrap();
        assert!(findings.iter().any(|finding| finding.to_string().contains(&expected)), "{newer}: {findings:#?}");
    }
}

#[test]
fn a_newer_entry_or_directory_inside_is_told_as_well() {
    for inside in ["entry", "directory"] {
        let dir = tempfile::tempdir().unwrap();
        let layout = Script::run(dir.path()).layout;
        if inside == "entry" {
            let opened = Journal::open(&layout.journal(), &layout.anchor(), 3, &mut |_, _| Ok::<(), ()>(()));
            opened.unwrap().0.append(&[&[9, 1, 2]]).unwrap();
        } else {
            snapshot::write(&layout.snapshots(), 3, LINEAGE, &[9, 1, 2]).unwrap();
        }
        let refused = Books::open(&layout).err().unwrap();
        assert!(matches!(refused, StartError::Replay { .. } | StartError::NewerDirectory { .. }), "{refused}");
        let told = refused.to_string();
        let file = if inside == "entry" { "0000000000000001.kwj`" } else { "0000000000000003.kws`" };
        assert!(told.contains(file) && told.contains("has format 9, and this keyward reads up to"), "{told}");
        let findings = crate::engine::verify(&layout).unwrap();
        assert!(findings.iter().any(|finding| finding.to_string().contains("has format 9")), "{findings:#?}");
    }
}

// L5
#[test]
fn acts_of_the_audit_trail() {
    let fact = Fact {
        of: "Key `Resident`".to_owned(),
        what: "door `Entrance`".to_owned(),
        before: Some("day".to_owned()),
        after: None,
    };
    let done = Acted {
        portfolio: PORTFOLIO,
        at: NOW,
        actor: Actor::Person(PersonId(1)),
        name: "Ana <ana@harbor.example>".to_owned(),
        from: Some("192.0.2.7:50123".to_owned()),
        revision: 9,
        act: Act::KeyChanged,
        property: Some(PropertyId(1)),
        about: Some(Made::Key(KeyId(1))),
        facts: vec![fact],
        refused: None,
        more: 0,
    };
    let refused = Acted {
        act: Act::Looked,
        property: None,
        about: None,
        facts: Vec::new(),
        refused: Some("there is no such door: list what there is and name one of them".to_owned()),
        more: 12,
        ..done.clone()
    };
    let acts = [("done", done), ("refused, and twelve before it", refused)];
    let made = acts.clone().map(|(what, acted)| (what, Entry::Acted(acted).encode()));
    let kept = check("journal-act.3.hex", "An entry of the journal that tells what was done, layout 3", &made);
    for ((what, acted), bytes) in acts.into_iter().zip(kept) {
        assert_eq!(Entry::decode(&bytes), Ok(Entry::Acted(acted)), "{what}");
    }
}

/// A Directory in which somebody joined, and somebody may.
fn admitting() -> Directory {
    let dir = tempfile::tempdir().unwrap();
    let mut directory = Script::run(dir.path()).directory;
    let mut portfolio = Portfolio::clone(&directory.portfolios[&PORTFOLIO]);
    let admissions = &mut portfolio.admissions;
    let parties = [Party::Lock(LockId(4)), Party::Operator(PersonId(1)), Party::Holder(PersonId(2))];
    for (number, party) in (1..).zip(parties) {
        let (id, hash) = (TokenId(number), [0xa0 + number as u8; 32]);
        admissions.tokens.insert(id, Token { id, hash, party, until: NOW.plus_seconds(3_600) });
        let (id, key, joined) = (IdentityId(number), [0xb0 + number as u8; 32], NOW.plus_seconds(60));
        let identity = Identity { id, party, key, label: format!("key {number}"), joined, disabled: number == 2 };
        admissions.identity_of_key.insert(key, id);
        admissions.identities.insert(id, Arc::new(identity));
    }
    (admissions.next_token, admissions.next_identity) = (9, 5);
    directory.portfolios.insert(PORTFOLIO, Arc::new(portfolio));
    directory
}

// L5
#[test]
fn a_directory_with_tokens_and_keys_that_joined() {
    let directory = admitting();
    let bytes = encode_directory(&directory);
    let pieces = fields(&bytes, &[("layout", 1)], "portfolios and carriers; tokens and keys that joined; archived");
    let about = "A snapshot's Directory in which somebody joined or may, layout 4";
    let kept = check("snapshot-directory.4.hex", about, &pieces).concat();
    assert_eq!(decode_directory(&kept), Ok(directory.clone()));
    // In words that do not come from the script.
    let admissions = &decode_directory(&kept).unwrap().portfolios[&PORTFOLIO].admissions;
    let disabled: Vec<&str> =
        admissions.identities.values().filter(|one| one.disabled).map(|one| &*one.label).collect();
    assert_eq!((admissions.tokens.len(), disabled, admissions.next_token), (3, vec!["key 2"], 9));
    assert_eq!(admissions.identities[&IdentityId(3)].party, Party::Holder(PersonId(2)));
}

// L5
#[test]
fn what_a_repair_puts_at_the_beginning_of_a_history() {
    let directory = admitting();
    let restored = |part: &Directory| {
        let (at, part) = (NOW.plus_seconds(600), encode_directory(part));
        Entry::Restored(Restored { lineage: LINEAGE, sequence: 3, lost: 2, at, part }).encode()
    };
    let parts: Vec<Vec<u8>> = parts(&directory).iter().map(restored).collect();
    let what = ["the carriers", "a portfolio: its name, tokens, and keys that joined", "its people", "its property"];
    assert_eq!(parts.len(), what.len());
    let made: Vec<(&str, Vec<u8>)> = what.into_iter().zip(parts).collect();
    let about = "Entries of the journal that put a Directory at a history's beginning, layout 2";
    let mut whole = Directory::default();
    for bytes in check("journal-restored.2.hex", about, &made) {
        let Ok(Entry::Restored(found)) = Entry::decode(&bytes) else { panic!("it is another entry") };
        assert_eq!((found.lineage, found.sequence, found.lost), (LINEAGE, 3, 2));
        assert_eq!(found.at, NOW.plus_seconds(600));
        add_part(&mut whole, decode_directory(&found.part).unwrap());
    }
    assert_eq!(whole, directory);
}

/// What is signed can't be made anew byte for byte: these two are kept, and have to be read.
#[test]
fn an_authority_that_took_another_s_place_is_read() {
    const KEPT: &str = "authority-rotated.1.hex";
    let dir = tempfile::tempdir().unwrap();
    let files = ["authority.key", "authority.pem"];
    if file::read(KEPT).is_empty() {
        let first = Authority::create(dir.path(), "a1b2", NOW).unwrap();
        first.rotate(dir.path(), NOW.plus_seconds(86_400)).unwrap();
    } else {
        for ((_, bytes), name) in file::read(KEPT).iter().zip(files) {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
    }
    let made = files.map(|name| (name, fs::read(dir.path().join(name)).unwrap()));
    check(
        KEPT,
        "DATA.secrets/authority.key and authority.pem after a rotation: the authority, the cross certificate, the one before",
        &made,
    );
    let now = NOW.plus_seconds(2 * 86_400);
    let authority = Authority::open(dir.path()).unwrap();
    assert_eq!((authority.lineage(), authority.taken_pem(now).len()), ("a1b2", 2));
    assert!(authority.certificate_pem() != authority.taken_pem(now)[1]);
    let lock = Principal::Lock { portfolio: PORTFOLIO, lock: LockId(4) };
    let issued = authority.issue(&lock, Validity::lock(now), &Subject::Fresh).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(issued.certificate_pem.as_bytes()).unwrap();
    assert!(authority.signed(&pem.contents, now));
    // Both the one before and this one as that one signed it are there, or it would be damaged.
    assert_eq!(fs::read_to_string(dir.path().join("authority.pem")).unwrap().matches("BEGIN CERT").count(), 3);
}
