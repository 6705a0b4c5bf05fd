//! Looks through a data directory: what is there, whether it is whole, and what to do where it is not.
//!
//! Changes nothing. Everything is read as a start would read it, and more: all of the journal, replayed from its first
//! frame, with each snapshot compared to the Directory at its frame, every slot of the vaults and every record.

use std::{
    fmt, fs,
    fs::{File, TryLockError},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
};

use super::{
    Layout,
    books::{StartError, unless_half_done},
    replay::Replay,
    rotation,
    vaults::Expected,
};
use crate::{
    access_log,
    disk::CutShort,
    domain::directory::{Directory, Portfolio},
    identity::Authority,
    store::{
        journal::{self, AnchorFound},
        record::{RecordError, decode_directory, encode_directory, only_tells},
        snapshot,
    },
    vault::{RootSecret, Vault},
};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Whole,
    /// Worth knowing; nothing is lost.
    Note,
    /// Damaged or missing: something is lost, or a start is refused.
    Damaged,
}

/// What was found of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which part: `journal`, `vault` ...
    pub part: &'static str,
    /// What there is, or what is wrong.
    pub what: String,
    /// What to do; empty where there is nothing to do.
    pub cure: String,
}

/// `ok       journal: 12 frames ...`, and the cure on a line of its own.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Whole => "ok",
            Severity::Note => "note",
            Severity::Damaged => "DAMAGED",
        };
        write!(f, "{word:<8} {}: {}", self.part, self.what)?;
        if self.cure.is_empty() { Ok(()) } else { write!(f, "\n         -> {}", self.cure) }
    }
}

const FROM_BACKUP: &str =
    "`keyward-server repair` says what can be done and what is lost; give it a backup if there is one";

const FROM_BACKUP_OF_THE_LOG: &str = "restore the file from a backup, or `keyward-server repair` keeps what is whole in it and \
                                      says what is lost; until then that is still searched";

/// Looks through everything. Refused while a server runs here, and where nothing is.
pub fn verify(layout: &Layout) -> Result<Vec<Finding>, StartError> {
    unless_half_done(layout)?;
    if !layout.journal().is_dir() {
        return Err(StartError::nothing_in(layout.data()));
    }
    let _lock = lock(layout)?;
    let mut report = Report(Vec::new());
    let directory = books(layout, &mut report);
    secrets(layout, &mut report);
    if let Some(directory) = &directory {
        vaults(layout, directory, &mut report);
    } else {
        let cure = "mend the journal first";
        report.add(
            Severity::Note,
            "vault",
            "not looked into: only the journal knows which codes should be there",
            cure,
        );
    }
    log(layout, &mut report);
    index(layout, &mut report);
    Ok(report.0)
}

struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, severity: Severity, part: &'static str, what: impl Into<String>, cure: &str) {
        self.0.push(Finding { severity, part, what: what.into(), cure: cure.to_owned() });
    }
}

/// The lock of a running server, if there is none. The file is not made where it is missing.
fn lock(layout: &Layout) -> Result<Option<File>, StartError> {
    let path = layout.lock();
    let Ok(file) = File::open(&path) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(StartError::Running(layout.data().to_owned())),
        Err(TryLockError::Error(cause)) => Err(StartError::Io { path, cause }),
    }
}

/// The journal, replayed from its first frame, and the snapshots against it. `None` when it can't be replayed.
fn books(layout: &Layout, report: &mut Report) -> Option<Directory> {
    let snapshots = snapshot::all(&layout.snapshots());
    let (whole, damaged) = match snapshots {
        Ok(found) => found,
        Err(error) => {
            report.add(Severity::Damaged, "snapshots", error.to_string(), "");
            (Vec::new(), Vec::new())
        }
    };
    for snapshot in &whole {
        if let Err(why @ RecordError::Newer(_)) = decode_directory(snapshot.payload()) {
            let what = format!("the Directory in `{}` can't be read: {why}", snapshot.file.display());
            report.add(Severity::Damaged, "snapshots", what, "");
        }
    }
    for damaged in damaged {
        let what = format!("`{}`: {}", damaged.file.display(), damaged.what);
        report.add(Severity::Note, "snapshots", what, "it may be deleted: the journal has everything");
    }
    let mut replay = Replay::default();
    let (mut changes, mut acts) = (0_u64, 0_u64);
    let agrees = |sequence: u64, directory: &Directory| {
        let found = whole.iter().find(|snapshot| snapshot.sequence == sequence);
        let found = found.and_then(|snapshot| decode_directory(snapshot.payload()).ok());
        found.is_some_and(|found| encode_directory(&found) == encode_directory(directory))
    };
    // Each snapshot is compared when the frame after it comes, or at the end.
    let mut due: Vec<u64> = whole.iter().map(|snapshot| snapshot.sequence).collect();
    let mut unlike: Vec<u64> = Vec::new();
    let inspected = journal::inspect(&layout.journal(), &layout.anchor(), &mut |sequence, entry| {
        unlike.extend(due.extract_if(.., |due| *due < sequence).filter(|due| !agrees(*due, &replay.directory)));
        if only_tells(entry) {
            acts += 1
        } else {
            changes += 1
        }
        replay.entry(entry)
    });
    let directory = replay.directory;
    let inspected = match inspected {
        Ok(inspected) => inspected,
        Err(error) => {
            report.add(Severity::Damaged, "journal", error.to_string(), FROM_BACKUP);
            return None;
        }
    };
    let (frames, torn) = (inspected.head.sequence, inspected.torn_bytes);
    report.add(
        Severity::Whole,
        "journal",
        format!("{frames} frames with {changes} changes, each as it was decided, and {acts} acts in the audit trail"),
        "",
    );
    if torn > 0 {
        let what = format!("{torn} bytes of an unfinished write at its end: nobody was told that it was done");
        report.add(Severity::Note, "journal", what, "the next start cuts them off");
    }
    if inspected.anchor != AnchorFound::Agrees {
        let what = "it is missing or damaged: that the journal has its end can't be shown";
        report.add(
            Severity::Note,
            "anchor",
            what,
            "the next start writes it anew; compare the revision with what you know",
        );
    }
    unlike.extend(due.into_iter().filter(|due| *due != frames || !agrees(*due, &directory)));
    for sequence in &unlike {
        let what = format!("the one of frame {sequence} is not what the journal says");
        report.add(Severity::Damaged, "snapshots", what, "move it away: the journal has everything");
    }
    let count = whole.len() - unlike.len();
    report.add(Severity::Whole, "snapshots", format!("{count} agree with the journal"), "");
    Some(directory)
}

fn secrets(layout: &Layout, report: &mut Report) {
    match Authority::found(layout.secrets()) {
        Ok(found) => {
            report.add(Severity::Whole, "authority", "its key and certificate belong together", "");
            if let Some(cut_short) = found.cut_short {
                report.add(Severity::Note, "authority", "a replacement of it was cut short", cure_of(cut_short));
            }
        }
        Err(error) => {
            let cure = "restore the secrets from their backup; without them locks and operators need new certificates";
            report.add(Severity::Damaged, "authority", error.to_string(), cure);
        }
    }
    for path in [layout.data(), layout.secrets()] {
        if let Ok(found) = fs::metadata(path)
            && found.permissions().mode() & 0o077 != 0
        {
            let what = format!("others on this machine may look into `{}`", path.display());
            report.add(Severity::Note, "permissions", what, &format!("chmod 700 {}", path.display()));
        }
    }
}

fn vaults(layout: &Layout, directory: &Directory, report: &mut Report) {
    let (root, cut_short) = match rotation::found(layout) {
        Ok(found) => (found.root, found.cut_short),
        Err(error) => {
            let cure = "restore the secrets from their backup; without the root every door code is lost";
            return report.add(Severity::Damaged, "root", error.to_string(), cure);
        }
    };
    for portfolio in directory.portfolios.values() {
        vault(&rotation::vault(layout, &root, portfolio.id), &root, portfolio, report);
    }
    if let Some(cut_short) = cut_short {
        let what = "a rotation was cut short: each vault was looked at under the root that is in force";
        report.add(Severity::Note, "root", what, cure_of(cut_short));
    }
    let there = layout.vaults_there("").unwrap_or_default();
    for (_, path) in there.iter().filter(|(id, _)| !directory.portfolios.contains_key(id)) {
        let what = format!("`{}` is no portfolio's: one was being made, or the journal has lost it", path.display());
        let cure = "the next start removes it where the anchor shows that the journal has its end; else keep it";
        report.add(Severity::Note, "vault", what, cure);
    }
}

fn cure_of(cut_short: CutShort) -> &'static str {
    match cut_short {
        CutShort::Finished => "the next start finishes it",
        CutShort::Undone => "the next start undoes it; then do it again",
    }
}

fn vault(path: &Path, root: &RootSecret, portfolio: &Arc<Portfolio>, report: &mut Report) {
    let Expected { live, quarantined } = Expected::of(portfolio);
    let examined = Vault::open(path, root, portfolio.id).and_then(|vault| vault.examine(&live, &quarantined));
    let examined = match examined {
        Ok(examined) => examined,
        Err(error) => {
            let what = format!("`{}`: {error}", path.display());
            let cure =
                "restore data and secrets from one backup: codes made since then are lost and are to be made anew";
            return report.add(Severity::Damaged, "vault", what, cure);
        }
    };
    let there = live.len() - examined.lost.len();
    let what = format!("{there} live door codes of `{}`, each as the journal committed to it", portfolio.name);
    report.add(Severity::Whole, "vault", what, "");
    for (code, door, person, _) in live.iter().filter(|(code, ..)| examined.lost.contains(code)) {
        let property = portfolio.property_with_door(*door);
        let door = property.and_then(|property| property.doors.get(door)).map(|door| door.name.clone());
        let person = portfolio.people.get(person).map(|person| person.email.clone());
        let (door, person) = (door.unwrap_or_default(), person.unwrap_or_default());
        let what = format!("the code of {person} at door `{door}` ({code}) is lost: it opens nothing");
        report.add(Severity::Damaged, "vault", what, "revoke the Key and give it again: that makes a new code");
    }
    let leftovers = examined.shredded + examined.destroyed_again;
    if leftovers > 0 {
        let what = format!("{leftovers} slots of codes that the journal never named, or deleted, or that are damaged");
        report.add(Severity::Note, "vault", what, "the next start shreds them");
    }
    if !examined.untagged.is_empty() {
        let what = format!("{} deleted codes are not known by their tags any more", examined.untagged.len());
        report.add(Severity::Note, "vault", what, "who tries one is told that nobody knows it");
    }
}

fn log(layout: &Layout, report: &mut Report) {
    let Some(lineage) = journal::lineage_of(&layout.journal()) else {
        return report.add(Severity::Note, "access log", "not looked into: only the journal says whose it is", "");
    };
    let examined = match access_log::examine(&layout.log(), &lineage) {
        Ok(examined) => examined,
        Err(error) => return report.add(Severity::Damaged, "access log", error.to_string(), "look at the disk"),
    };
    let lost = examined.gaps.iter().fold(0_u64, |lost, gap| lost.saturating_add(gap.count()));
    let (records, segments) = (examined.next_sequence.saturating_sub(1 + lost), examined.segments);
    report.add(Severity::Whole, "access log", format!("{records} records in {segments} segments"), "");
    if examined.torn_bytes > 0 {
        let what = format!("{} bytes of an unfinished write at its end: nobody was answered", examined.torn_bytes);
        report.add(Severity::Note, "access log", what, "the next start cuts them off");
    }
    for damage in examined.damage {
        report.add(Severity::Damaged, "access log", damage.to_string(), FROM_BACKUP_OF_THE_LOG);
    }
    for gap in examined.gaps {
        let what = format!("{}, as a repair told on {}", gap, gap.told);
        report.add(Severity::Note, "access log", what, "searches over that time say that records are missing");
    }
}

fn index(layout: &Layout, report: &mut Report) {
    let what = match layout.index().is_dir() {
        true => "compiled indexes are kept; each is checked when a start uses it, and may be deleted at any time",
        false => "none is kept: the next start compiles it",
    };
    report.add(Severity::Whole, "index", what, "");
}
