//! Whether `serve` would start as it is called, and what to do where it would not. Changes nothing.

use std::{
    fmt, fs,
    fs::{File, TryLockError},
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use crate::{
    access_log::Mode,
    disk::CutShort,
    engine::{self, Layout, StartError},
    identity::Authority,
    net::BindError,
};

const CUT_SHORT: &str = "a rotation of the root was cut short";
const AUTHORITY_CUT_SHORT: &str = "a replacement of the authority was cut short";

/// How a setting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// As it should be.
    Right,
    /// It works, and may not be what is meant.
    Note,
    /// `serve` refuses to start, or gives something away.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// How it stands.
    pub standing: Standing,
    /// Which setting.
    pub part: &'static str,
    /// What there is.
    pub what: String,
    /// What to do; empty where there is nothing to do, or `what` says it.
    pub cure: String,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.standing {
            Standing::Right => "ok",
            Standing::Note => "note",
            Standing::Wrong => "WRONG",
        };
        write!(f, "{word:<8} {}: {}", self.part, self.what)?;
        if self.cure.is_empty() { Ok(()) } else { write!(f, "\n         -> {}", self.cure) }
    }
}

/// Looks at everything that `serve` is given and needs.
pub fn check(layout: &Layout, listen: SocketAddr, log: Mode) -> Vec<Checked> {
    let mut all = Report(Vec::new());
    let runs = data(layout, &mut all);
    if layout.journal().is_dir() {
        secrets(layout, &mut all);
    }
    if runs {
        all.note("listen", "not tried: the server that runs may have it".to_owned(), "");
    } else {
        address(listen, &mut all);
    }
    match log {
        Mode::Strict => all.right("log", "strict: an answer waits until its record is on disk".to_owned()),
        Mode::Relaxed => {
            all.note("log", "relaxed: a power cut may take the records of the last 50 ms".to_owned(), "");
        }
    }
    all.0
}

struct Report(Vec<Checked>);

impl Report {
    fn add(&mut self, standing: Standing, part: &'static str, what: String, cure: &str) {
        self.0.push(Checked { standing, part, what, cure: cure.to_owned() });
    }

    fn right(&mut self, part: &'static str, what: String) {
        self.add(Standing::Right, part, what, "");
    }

    fn note(&mut self, part: &'static str, what: String, cure: &str) {
        self.add(Standing::Note, part, what, cure);
    }

    fn wrong(&mut self, part: &'static str, what: String, cure: &str) {
        self.add(Standing::Wrong, part, what, cure);
    }
}

/// The data directory; says whether a server runs there.
fn data(layout: &Layout, all: &mut Report) -> bool {
    if let Err(error) = engine::unless_unfinished(layout) {
        all.wrong("data", error.to_string(), "");
        return matches!(error, StartError::Running(_));
    }
    if !layout.journal().is_dir() {
        all.wrong("data", StartError::nothing_in(layout.data()).to_string(), "");
        return false;
    }
    let lock = match File::options().write(true).open(layout.lock()) {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::NotFound => return found(layout, all),
        Err(error) => {
            let what = format!("`{}` can't be written: {error}", layout.lock().display());
            all.wrong(
                "data",
                what,
                "run keyward-server as the user that `init` ran as, or give that user the directory",
            );
            return false;
        }
    };
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => {
            all.wrong("data", StartError::Running(layout.data().to_owned()).to_string(), "");
            true
        }
        _ => found(layout, all),
    }
}

fn found(layout: &Layout, all: &mut Report) -> bool {
    let what = format!("`{}`; `keyward-server verify` says whether it is whole", layout.data().display());
    all.right("data", what);
    is_private(layout.data(), 0o700, all);
    false
}

fn secrets(layout: &Layout, all: &mut Report) {
    let before = all.0.len();
    is_private(layout.secrets(), 0o700, all);
    match engine::root_found(layout) {
        Ok(found) => cut_short(CUT_SHORT, found.cut_short, all),
        Err(error) => all.wrong("secrets", error.to_string(), ""),
    }
    match Authority::found(layout.secrets()) {
        Ok(found) => {
            is_private(&found.key, 0o600, all);
            cut_short(AUTHORITY_CUT_SHORT, found.cut_short, all);
        }
        Err(error) => all.wrong("secrets", error.to_string(), "restore the secrets from their backup"),
    }
    if all.0.len() == before {
        all.right("secrets", format!("`{}`, nobody else's to read", layout.secrets().display()));
    }
}

fn cut_short(what: &str, cut_short: Option<CutShort>, all: &mut Report) {
    match cut_short {
        None => {}
        Some(CutShort::Finished) => all.note("secrets", what.to_owned(), "the start finishes it"),
        Some(CutShort::Undone) => all.note("secrets", what.to_owned(), "the start undoes it; do it again then"),
    }
}

/// Nobody but the owner may look into it.
fn is_private(path: &Path, mode: u32, all: &mut Report) {
    let Ok(found) = fs::metadata(path) else { return };
    if found.permissions().mode() & 0o077 != 0 {
        let what = format!("others on this machine may look into `{}`", path.display());
        all.wrong("permissions", what, &format!("chmod {mode:o} {}", path.display()));
    }
}

/// Tried by binding it, which is over before this returns.
fn address(listen: SocketAddr, all: &mut Report) {
    if let Err(source) = UdpSocket::bind(listen) {
        return all.wrong("listen", BindError::Address { address: listen, source }.to_string(), "");
    }
    if listen.port() == 0 {
        let what = "port 0 takes another free port at each start".to_owned();
        return all.note("listen", what, "give locks a port that stays: --listen ADDRESS:4433");
    }
    if listen.ip().is_loopback() {
        let what = format!("`{listen}` is reached from this machine only");
        return all.note("listen", what, "for locks elsewhere: --listen 0.0.0.0:4433, or the machine's own address");
    }
    all.right("listen", format!("`{listen}` (UDP) is free"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, domain::site::Site, service};

    fn made(dir: &Path) -> Layout {
        let site = Site::parse("site.toml", crate::testing::SITE).unwrap();
        service::init(&dir.join("data"), &site, clock::now()).unwrap()
    }

    fn free() -> SocketAddr {
        UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    fn wrong(layout: &Layout, listen: SocketAddr) -> Vec<String> {
        let all = check(layout, listen, Mode::Strict);
        all.iter().filter(|checked| checked.standing == Standing::Wrong).map(ToString::to_string).collect()
    }

    #[test]
    fn what_init_makes_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let layout = made(dir.path());
        assert_eq!(wrong(&layout, free()), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_wrong_is_told_with_its_cure() {
        let dir = tempfile::tempdir().unwrap();
        let told = |layout: &Layout, listen: SocketAddr, words: &[&str]| {
            let wrong = wrong(layout, listen);
            assert_eq!(wrong.len(), 1, "{wrong:#?}");
            assert!(words.iter().all(|word| wrong[0].contains(word)), "{wrong:#?}");
        };
        let (missing, foreign) = (Layout::new(&dir.path().join("none")), dir.path().join("other"));
        told(&missing, free(), &["there is no keyward in", "none`", "keyward-server init"]);
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("holiday.jpg"), "beach").unwrap();
        told(&Layout::new(&foreign), free(), &["other`", "no keyward's", "keyward-server init"]);

        let layout = made(dir.path());
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        told(&layout, taken.local_addr().unwrap(), &["can't listen on", "another program", "--listen"]);
        told(&layout, "192.0.2.1:4433".parse().unwrap(), &["can't listen on", "not this machine's"]);
        let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (path, mode) in [
            (layout.data().to_owned(), 0o700),
            (layout.secrets().to_owned(), 0o700),
            (layout.root(), 0o600),
            (layout.secrets().join("authority.key"), 0o600),
        ] {
            chmod(&path, mode | 0o044);
            told(&layout, free(), &[path.to_str().unwrap(), &format!("chmod {mode:o}")]);
            chmod(&path, mode);
        }
        fs::rename(layout.root(), layout.secrets().join("away")).unwrap();
        told(&layout, free(), &["root.key"]);
        fs::rename(layout.secrets().join("away"), layout.root()).unwrap();

        let (books, _) = crate::engine::Books::open(&layout).unwrap();
        told(&layout, taken.local_addr().unwrap(), &["another keyward-server runs in", "stop it first"]);
        drop(books);
        assert_eq!(wrong(&layout, free()), Vec::<String>::new());
    }
}
