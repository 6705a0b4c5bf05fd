//! What the client remembers of a server between two starts: `$XDG_STATE_HOME/keyward/screens/NAME.toml`.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use crate::{
    app::remembered::{BYTES_MAX, Remembered, Unread},
    servers::{Places, ServerName, write_private},
};

/// Writing takes a moment: what is not whole after this time never will be.
const LEFT_AFTER: Duration = Duration::from_secs(60);

/// The file of one server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateFile {
    path: PathBuf,
}

/// What was in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// There is none yet.
    Nothing,
    /// What was remembered.
    Remembered(Box<Remembered>),
    /// It is not taken, and what is to be said about it; whether it may be written over.
    Unread(String, bool),
}

impl StateFile {
    /// That of a server.
    pub fn of(places: &Places, server: &ServerName) -> StateFile {
        StateFile { path: places.state.join("screens").join(format!("{server}.toml")) }
    }

    /// Reads it. Whatever is in it is no error.
    pub fn read(&self) -> Found {
        let path = self.path.display();
        let text = match limited(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(error) => return Found::Unread(format!("how the screens were is not known: `{path}`: {error}"), false),
        };
        match Remembered::parse(&text) {
            Ok(read) => Found::Remembered(Box::new(read)),
            Err(Unread::Damaged) => {
                Found::Unread(format!("how the screens were is not known: `{path}` is damaged"), true)
            }
            Err(Unread::Newer) => {
                let newer = format!("how the screens were is not known: `{path}` is of a newer keyward, and stays");
                Found::Unread(newer, false)
            }
        }
    }

    /// Writes it anew, whole or not at all.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub fn write(&self, text: &str) -> Result<(), String> {
        let told = |error: io::Error| format!("`{}`: {error}", self.path.display());
        fs::create_dir_all(self.path.parent().unwrap_or(Path::new("."))).map_err(told)?;
        // Of each process another one: two clients may show the same server.
        let next = self.path.with_extension(format!("{}.next", process::id()));
        _ = fs::remove_file(&next);
        let written = write_private(&next, text).and_then(|()| fs::rename(&next, &self.path));
        written.map_err(|error| {
            _ = fs::remove_file(&next);
            told(error)
        })
    }

    /// Writes it anew. Where that fails while people are hidden, what stands there is taken away: it may name somebody.
    ///
    /// # Errors
    ///
    /// The disk refuses; the message says whether something stays that should not.
    pub fn keep(&self, text: &str, people_hidden: bool) -> Result<(), String> {
        let Err(why) = self.write(text) else { return Ok(()) };
        if !people_hidden {
            return Err(why);
        }
        Err(match self.forget() {
            Ok(()) => format!("{why}; what was remembered is gone"),
            Err(_) => format!("{why}; what stands there may name people: remove it"),
        })
    }

    /// Takes away what clients left here that were killed as they wrote.
    pub fn sweep(&self) {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let stem = self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(stem)?.strip_prefix('.')?.strip_suffix(".next"));
            let ours = rest.is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()));
            let age = entry.metadata().and_then(|of| of.modified()).ok().and_then(|then| then.elapsed().ok());
            // Another client may be writing this moment.
            if ours && age.is_some_and(|age| age >= LEFT_AFTER) {
                _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Takes it away, where it is there.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub fn forget(&self) -> Result<(), String> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("`{}`: {error}", self.path.display())),
            _ => Ok(()),
        }
    }
}

/// The text of a file, of one that is too long only the beginning, which is then no text of ours.
fn limited(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let whole = bytes.len() <= BYTES_MAX;
    Ok(String::from_utf8(bytes).ok().filter(|_| whole).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TEXT: &str = "version = 1\nscreen = \"doors\"\nutc = true\npeople-hidden = false\n";

    fn file(home: &Path) -> StateFile {
        let places = Places { config: home.join("c"), data: home.join("d"), state: home.join("s") };
        StateFile::of(&places, &ServerName::parse("prod").unwrap())
    }

    #[test]
    fn what_is_written_is_read_again_and_is_nobody_elses_to_read() {
        let home = tempfile::tempdir().unwrap();
        let file = file(home.path());
        assert_eq!(file.read(), Found::Nothing);
        for _ in 0..2 {
            file.write(TEXT).unwrap();
            assert_eq!(file.read(), Found::Remembered(Box::new(Remembered::parse(TEXT).unwrap())));
        }
        let path = home.path().join("s/screens/prod.toml");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left there");
        file.forget().unwrap();
        file.forget().unwrap();
        assert_eq!(file.read(), Found::Nothing);
    }

    #[test]
    fn a_file_that_is_damaged_or_newer_is_told_and_only_the_first_is_written_over() {
        let home = tempfile::tempdir().unwrap();
        let file = file(home.path());
        let long = format!("{TEXT}# {}", "x".repeat(BYTES_MAX));
        let half = &TEXT[..30];
        for (text, told, over) in [
            ("version = 2\nanything = [1]\n", "is of a newer keyward, and stays", false),
            ("", "is damaged", true),
            (half, "is damaged", true),
            (&long, "is damaged", true),
        ] {
            file.write(text).unwrap();
            let Found::Unread(said, may) = file.read() else { panic!("{text}") };
            assert!(said.contains(told) && !said.contains('\n') && may == over, "{text}: {said}");
        }
        fs::write(home.path().join("s/screens/prod.toml"), b"version = 1 # \xff").unwrap();
        assert!(matches!(file.read(), Found::Unread(_, true)));
    }

    #[test]
    fn what_may_name_somebody_is_gone_when_people_are_hidden_and_nothing_can_be_written() {
        let home = tempfile::tempdir().unwrap();
        let file = file(home.path());
        let directory = home.path().join("s/screens");
        let next = directory.join(format!("prod.{}.next", process::id()));
        file.write(TEXT).unwrap();
        // What can't be removed stands where it would be written first.
        fs::create_dir_all(next.join("in the way")).unwrap();
        assert!(!file.keep(TEXT, false).unwrap_err().contains("gone"));
        assert!(matches!(file.read(), Found::Remembered(_)), "it names nobody who is hidden");
        assert!(file.keep(TEXT, true).unwrap_err().contains("what was remembered is gone"));
        assert_eq!(file.read(), Found::Nothing);
        fs::create_dir_all(directory.join("prod.toml/kept")).unwrap();
        assert!(file.keep(TEXT, true).unwrap_err().contains("may name people: remove it"));
    }

    #[test]
    fn what_a_killed_client_left_is_swept_away_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let file = file(home.path());
        file.write(TEXT).unwrap();
        let directory = home.path().join("s/screens");
        let names = ["prod.17.next", "prod.18.next", "prod.x.next", "prod..next", "prod.2.19.next", "prodding.20.next"];
        for name in names {
            let left = File::create(directory.join(name)).unwrap();
            if name != "prod.18.next" {
                left.set_modified(std::time::SystemTime::now() - LEFT_AFTER).unwrap();
            }
        }
        file.sweep();
        let there = |name: &&str| directory.join(name).exists();
        assert_eq!(names.iter().filter(|name| !there(name)).collect::<Vec<_>>(), [&"prod.17.next"]);
        assert!(matches!(file.read(), Found::Remembered(_)));
    }

    #[test]
    fn where_nothing_can_be_written_that_is_an_error_and_nothing_is_left() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("s"), "a file where the directory would be").unwrap();
        assert!(file(home.path()).write(TEXT).unwrap_err().contains("prod.toml"));
        // A directory in its place can't be read, is not taken for damage, and stays.
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("s/screens/prod.toml/kept")).unwrap();
        assert!(matches!(file(home.path()).read(), Found::Unread(_, false)));
        assert!(file(home.path()).write(TEXT).is_err());
        assert_eq!(fs::read_dir(home.path().join("s/screens")).unwrap().count(), 1);
    }
}
