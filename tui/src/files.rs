//! The files of exports: written as their lines come, and named only when they are whole.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::app::jobs::{JobId, Writing};

/// What comes after the name of a file that is not whole yet.
const PART: &str = ".part";

/// The files that are being written. Those that are not ended are taken away when this is dropped.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    open: BTreeMap<JobId, Open>,
}

#[derive(Debug)]
struct Open {
    file: BufWriter<File>,
    name: String,
}

impl Files {
    /// Files of this directory.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Files {
        Files { directory: directory.into(), open: BTreeMap::new() }
    }

    /// Does something with a job's file. At its end says what it is called, and where something is wrong, what.
    pub fn write(&mut self, job: JobId, writing: Writing) -> Option<Result<String, String>> {
        let done = match writing {
            Writing::Begin { name, extension } => self.begin(job, name, extension).map(|()| None),
            Writing::More(text) => self.more(job, &text).map(|()| None),
            Writing::End => self.end(job),
            Writing::Drop => {
                self.drop_file(job);
                Ok(None)
            }
        };
        match done {
            Ok(None) => None,
            Ok(Some(path)) => Some(Ok(path)),
            Err(error) => {
                self.drop_file(job);
                Some(Err(error.to_string()))
            }
        }
    }

    fn begin(&mut self, job: JobId, name: &str, extension: &str) -> io::Result<()> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("keyward-{name}-{}-{}.{extension}", since_1970.as_micros(), job.0);
        let path = self.directory.join(format!("{name}{PART}"));
        let file = File::options().create_new(true).write(true).mode(0o600).open(path)?;
        self.open.insert(job, Open { file: BufWriter::new(file), name });
        Ok(())
    }

    fn more(&mut self, job: JobId, text: &str) -> io::Result<()> {
        // One that could not be begun was told already.
        self.open.get_mut(&job).map_or(Ok(()), |open| open.file.write_all(text.as_bytes()))
    }

    fn end(&mut self, job: JobId) -> io::Result<Option<String>> {
        let Some(open) = self.open.get_mut(&job) else { return Ok(None) };
        open.file.flush()?;
        open.file.get_ref().sync_all()?;
        let (name, path) = (open.name.clone(), self.directory.join(&open.name));
        fs::rename(self.directory.join(format!("{name}{PART}")), path)?;
        self.open.remove(&job);
        Ok(Some(name))
    }

    fn drop_file(&mut self, job: JobId) {
        if let Some(open) = self.open.remove(&job) {
            // What can't be taken away stays, under a name that says that it is no whole file.
            _ = fs::remove_file(self.directory.join(format!("{}{PART}", open.name)));
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let jobs: Vec<JobId> = self.open.keys().copied().collect();
        jobs.into_iter().for_each(|job| self.drop_file(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Files::in_directory(directory.path());
        let (one, other) = (JobId(1), JobId(2));
        for job in [one, other] {
            assert_eq!(files.write(job, Writing::Begin { name: "log", extension: "csv" }), None);
            assert_eq!(files.write(job, Writing::More("a\r\n".into())), None);
        }
        assert!(names(&directory).iter().all(|name| name.ends_with(".csv.part")));
        let name = files.write(one, Writing::End).unwrap().unwrap();
        assert!(name.starts_with("keyward-log-") && name.ends_with("-1.csv"), "{name}");
        assert_eq!(fs::read_to_string(directory.path().join(&name)).unwrap(), "a\r\n");
        assert_eq!(files.write(other, Writing::Drop), None);
        assert_eq!(files.write(other, Writing::End), None);
        assert_eq!(names(&directory), [name]);
        files.write(JobId(3), Writing::Begin { name: "log", extension: "csv" });
        drop(files);
        assert_eq!(names(&directory).len(), 1, "what was begun and not ended is gone");
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_once() {
        let mut files = Files::in_directory("/nowhere/at/all");
        let told = files.write(JobId(1), Writing::Begin { name: "log", extension: "csv" });
        assert!(told.unwrap().is_err());
        assert_eq!(files.write(JobId(1), Writing::More("a".into())), None);
        assert_eq!(files.write(JobId(1), Writing::End), None);
    }
}
