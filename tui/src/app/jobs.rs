//! Exports that go on in the background: asked for page by page, written as they come.

use jiff::tz::TimeZone;
use keyward_protocol::message::{
    audit::{AuditSearch, exported},
    manage::{Answer, Request},
    watch::Search,
};

use super::{LogRow, Named, export::Format, log_filter::LogFilter};
use crate::remote::{Failure, Ticket};

/// So many are remembered; the oldest that are over go first.
const REMEMBERED_MAX: usize = 20;
/// So many answers in a row may be lost before an export is given up.
const LOST_MAX: u32 = 5;

/// One job, among all of this run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JobId(pub u32);

/// What is to be done with a job's file. A file has its name only when all of it is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Writing {
    /// Begin one with such a name.
    Begin {
        /// The beginning of its name.
        name: &'static str,
        /// How it ends.
        extension: &'static str,
    },
    /// Write more of it.
    More(String),
    /// All of it is there.
    End,
    /// It is not wanted any more.
    Drop,
}

/// How far a job is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// More is asked for.
    Running,
    /// All is told, and the file is being ended.
    Ending,
    /// It is there, under this name.
    Done(String),
    /// It is not, and why.
    Failed(String),
}

/// What is exported.
#[derive(Clone, Debug)]
pub enum What {
    /// What the access log has.
    Log {
        /// What the server looks for.
        search: Box<Search>,
        /// What is left of it.
        filter: Box<LogFilter>,
        /// How it is written.
        format: Format,
        /// The zone of its times.
        zone: TimeZone,
        /// People were hidden when it was asked for.
        people_hidden: bool,
    },
    /// The whole audit trail, as lines that are chained.
    Audit(Box<AuditSearch>),
}

/// An export.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it is, for people.
    pub title: String,
    /// How many rows are written.
    pub rows: u64,
    /// How far it is.
    pub state: State,
    what: Option<What>,
    waiting: Option<Ticket>,
    lost: u32,
}

/// The exports of this run.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    jobs: Vec<Job>,
    last: u32,
    /// What is to be done with files, in order.
    pub(super) writing: Vec<(JobId, Writing)>,
}

impl Jobs {
    /// The jobs, the oldest first.
    pub fn all(&self) -> &[Job] {
        &self.jobs
    }

    /// The job that still runs, the newest of several.
    pub fn running(&self) -> Option<&Job> {
        self.jobs.iter().rev().find(|job| matches!(job.state, State::Running | State::Ending))
    }

    /// How far a job is.
    pub fn state(&self, id: JobId) -> Option<&State> {
        self.jobs.iter().find(|job| job.id == id).map(|job| &job.state)
    }

    /// Writes rows that are here already.
    pub fn write<'r>(
        &mut self,
        title: String,
        format: Format,
        rows: impl Iterator<Item = &'r LogRow>,
        line: impl Fn(&LogRow) -> String,
    ) {
        let id = self.begin(title, None, "log", format.extension());
        let mut text = format.beginning();
        let mut count = 0;
        for row in rows {
            text.push_str(&line(row));
            count += 1;
        }
        self.writing.push((id, Writing::More(text)));
        if let Some(job) = self.job(id) {
            job.rows = count;
        }
        self.end(id);
    }

    /// Begins to export.
    pub fn start(&mut self, title: String, what: What) {
        let (name, extension, beginning) = match &what {
            What::Log { format, .. } => ("log", format.extension(), format.beginning()),
            What::Audit(_) => ("audit", "txt", String::new()),
        };
        let id = self.begin(title, Some(what), name, extension);
        if !beginning.is_empty() {
            self.writing.push((id, Writing::More(beginning)));
        }
    }

    fn begin(&mut self, title: String, what: Option<What>, name: &'static str, extension: &'static str) -> JobId {
        if self.jobs.len() >= REMEMBERED_MAX
            && let Some(over) = self.jobs.iter().position(|job| !matches!(job.state, State::Running | State::Ending))
        {
            self.jobs.remove(over);
        }
        self.last += 1;
        let id = JobId(self.last);
        self.jobs.push(Job { id, title, rows: 0, state: State::Running, what, waiting: None, lost: 0 });
        self.writing.push((id, Writing::Begin { name, extension }));
        id
    }

    fn job(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }

    fn end(&mut self, id: JobId) {
        if let Some(job) = self.job(id) {
            job.state = State::Ending;
            job.what = None;
            self.writing.push((id, Writing::End));
        }
    }

    fn fail(&mut self, id: JobId, why: String) {
        if let Some(job) = self.job(id) {
            job.state = State::Failed(why);
            job.what = None;
            self.writing.push((id, Writing::Drop));
        }
    }

    /// Asks for what is missing: `ask` sends a request where that can be done.
    pub fn ask(&mut self, mut ask: impl FnMut(JobId, Request) -> Option<Ticket>) {
        for job in self.jobs.iter_mut().filter(|job| job.waiting.is_none() && job.state == State::Running) {
            let request = match &job.what {
                Some(What::Log { search, .. }) => Request::Search((**search).clone()),
                Some(What::Audit(search)) => Request::Audit((**search).clone()),
                None => continue,
            };
            job.waiting = ask(job.id, request);
        }
    }

    /// Takes an answer.
    pub fn answered(&mut self, id: JobId, answer: &Result<Answer, Failure>) {
        let Some(job) = self.job(id) else { return };
        job.waiting = None;
        if job.state != State::Running {
            return;
        }
        match answer {
            Ok(answer) => match job.take(answer) {
                Some((text, over)) => {
                    job.lost = 0;
                    if !text.is_empty() {
                        self.writing.push((id, Writing::More(text)));
                    }
                    if over {
                        self.end(id);
                    }
                }
                None => self.fail(id, "the server answers something else".to_owned()),
            },
            // A question may be asked again: nothing is written twice, since nothing came.
            Err(Failure::Lost(_) | Failure::NotConnected) if job.lost < LOST_MAX => job.lost += 1,
            Err(failure) => self.fail(id, failure.to_string()),
        }
    }

    /// The file was written, or it was not. Says what to tell of it.
    pub fn written(&mut self, id: JobId, outcome: Result<String, String>) -> Option<Result<String, String>> {
        let job = self.job(id)?;
        match outcome {
            Ok(path) => {
                job.state = State::Done(path.clone());
                Some(Ok(format!("{}: {} rows written to {path}", job.title, job.rows)))
            }
            Err(_) if matches!(job.state, State::Failed(_)) => None,
            Err(why) => {
                let told = format!("{} is not written: {why}", job.title);
                self.fail(id, why);
                Some(Err(told))
            }
        }
    }
}

impl Job {
    /// What a page comes to, and whether it is the last; where to go on is noted.
    fn take(&mut self, answer: &Answer) -> Option<(String, bool)> {
        let mut text = String::new();
        let (next, rows) = match (self.what.as_mut()?, answer) {
            (What::Log { search, filter, format, zone, people_hidden }, Answer::History(history)) => {
                let named = Named::of(&history.names);
                let rows = history.rows.iter().map(|row| named.row(row));
                let mut count = 0;
                for row in rows.filter(|row| filter.matches(row, *people_hidden)) {
                    text.push_str(&format.line(&row, zone, *people_hidden));
                    count += 1;
                }
                search.after.clone_from(&history.next);
                (history.next.is_some(), count)
            }
            (What::Audit(search), Answer::Audit(page)) => {
                if let Some((link, line)) = &page.beginning {
                    text.push_str(&exported(link, line));
                    text.push('\n');
                }
                for row in &page.rows {
                    text.push_str(&exported(&row.link.unwrap_or_default(), &row.line()));
                    text.push('\n');
                }
                search.after.clone_from(&page.next);
                (page.next.is_some(), page.rows.len() as u64)
            }
            _ => return None,
        };
        self.rows += rows;
        Some((text, !next))
    }
}
