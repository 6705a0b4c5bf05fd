//! Management calls and live views, typed.

use super::{ClientError, Connection, Watching, new_token};
use crate::{
    entry::{Command, Party, Refusal},
    id::*,
    limits::ROWS_PER_ANSWER_MAX,
    message::{
        admission::{IdentityRow, TokenRow},
        audit::{AuditPage, AuditSearch, exported},
        join::JoinToken,
        manage::{
            AlertRow, Answer, CanOpenRow, DifferenceRow, Digest, Done, DoorDetail, DoorRow, Effects, Explanation,
            HolderRow, KeyDetail, KeyRow, List, LockActivity, LockRow, Overview, Part, PayloadError, PersonDetail,
            PersonRow, PropertyDetail, Request, Revealed, Rows, ScheduleRow, WhoCan,
        },
        mine::{Mine, MyAccess},
        watch::{History, LiveBatch, Search, Subscribe},
    },
    time::Moment,
};

/// Why a management call has no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ManageError {
    /// Nothing was changed, and why.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server can't read the request. Nothing was changed.
    #[error("the server can't read the request: {0}")]
    Unreadable(String),
    /// No whole answer came. Whether a change was made is open: look before asking again.
    #[error(transparent)]
    Connection(#[from] ClientError),
    /// An answer came that can't be read, or one to something else. Whether a change was made is open.
    #[error("the server's answer can't be read: {0}")]
    Answer(#[from] PayloadError),
}

/// Sends a request and takes its one right answer.
macro_rules! ask {
    ($connection:expr, $request:expr, $answer:path) => {
        match $connection.ask_for(&$request).await? {
            $answer(found) => Ok(found),
            Answer::Refused(refusal) => Err(refusal.into()),
            Answer::Unreadable(why) => Err(ManageError::Unreadable(why)),
            _ => Err(PayloadError::Malformed("it answers something else".to_owned()).into()),
        }
    };
}

impl Connection {
    /// Sends a request and returns its answer, refusals among them.
    pub async fn ask_for(&self, request: &Request) -> Result<Answer, ManageError> {
        let answer = self.request(&request.encode()).await?;
        Ok(Answer::decode(&answer)?)
    }

    /// The portfolio at a glance.
    pub async fn overview(&self) -> Result<Overview, ManageError> {
        ask!(self, Request::Overview, Answer::Overview)
    }

    /// A property's facts.
    pub async fn property(&self, property: PropertyId) -> Result<PropertyDetail, ManageError> {
        ask!(self, Request::Property(property), Answer::Property)
    }

    /// A property's Keys.
    pub async fn keys(&self, property: PropertyId, rows: Rows) -> Result<List<KeyRow>, ManageError> {
        ask!(self, Request::Keys(property, rows), Answer::Keys)
    }

    /// Keys that joined.
    pub async fn identities(&self, rows: Rows) -> Result<List<IdentityRow>, ManageError> {
        ask!(self, Request::Identities(rows), Answer::Identities)
    }

    /// Tokens that were not used.
    pub async fn tokens(&self, rows: Rows) -> Result<List<TokenRow>, ManageError> {
        ask!(self, Request::Tokens(rows), Answer::Tokens)
    }

    /// Makes a token that somebody may join with: its secret is made here, and the server sees it when it is used.
    /// `address` is told in it: where its user finds the server.
    pub async fn make_token(
        &self,
        ca_pem: &str,
        party: Party,
        until: Moment,
        address: Option<String>,
    ) -> Result<JoinToken, ManageError> {
        let (token, hash) = new_token(ca_pem, address).map_err(ClientError::from)?;
        self.carry_out(Command::MakeToken { party, hash, until }, None).await?;
        Ok(token)
    }

    /// Everything that is the holder's own.
    pub async fn my_access(&self) -> Result<MyAccess, ManageError> {
        ask!(self, Request::Mine(Mine::Access), Answer::Mine)
    }

    /// The digits of a door code of the holder's own (C8).
    pub async fn my_code(&self, code: CodeId) -> Result<Revealed, ManageError> {
        ask!(self, Request::Mine(Mine::Code(code)), Answer::Revealed)
    }

    /// Does something with what is the holder's own: another mobile identity, a share, the end of one.
    pub async fn do_mine(&self, mine: Mine) -> Result<Done, ManageError> {
        ask!(self, Request::Mine(mine), Answer::Done)
    }

    /// One Key.
    pub async fn key(&self, key: KeyId) -> Result<KeyDetail, ManageError> {
        ask!(self, Request::Key(key), Answer::Key)
    }

    /// Who holds a Key.
    pub async fn holders(&self, key: KeyId, rows: Rows) -> Result<List<HolderRow>, ManageError> {
        ask!(self, Request::Holders(key, rows), Answer::Holders)
    }

    /// People: all of the portfolio's, or those who hold something in a property.
    pub async fn people(&self, property: Option<PropertyId>, rows: Rows) -> Result<List<PersonRow>, ManageError> {
        ask!(self, Request::People(property, rows), Answer::People)
    }

    /// One person.
    pub async fn person(&self, person: PersonId) -> Result<PersonDetail, ManageError> {
        ask!(self, Request::Person(person), Answer::Person)
    }

    /// Anybody by their exact email: who is found like that may be given a Key.
    pub async fn find_person(&self, email: &str) -> Result<PersonRow, ManageError> {
        ask!(self, Request::FindPerson(email.to_owned()), Answer::Found)
    }

    /// A property's doors.
    pub async fn doors(&self, property: PropertyId, rows: Rows) -> Result<List<DoorRow>, ManageError> {
        ask!(self, Request::Doors(property, rows), Answer::Doors)
    }

    /// One door.
    pub async fn door(&self, door: DoorId) -> Result<DoorDetail, ManageError> {
        ask!(self, Request::Door(door), Answer::Door)
    }

    /// A property's named schedules.
    pub async fn schedules(&self, property: PropertyId, rows: Rows) -> Result<List<ScheduleRow>, ManageError> {
        ask!(self, Request::Schedules(property, rows), Answer::Schedules)
    }

    /// Registered locks.
    pub async fn locks(&self, rows: Rows) -> Result<List<LockRow>, ManageError> {
        ask!(self, Request::Locks(rows), Answer::Locks)
    }

    /// What registered locks have asked since the server started.
    pub async fn lock_activity(&self, rows: Rows) -> Result<List<LockActivity>, ManageError> {
        ask!(self, Request::LockActivity(rows), Answer::LockActivity)
    }

    /// Why someone can or can't open a door, now, later, or at a past moment by the Keys of that time (U5).
    pub async fn explain(
        &self,
        person: PersonId,
        door: DoorId,
        by_code: bool,
        at: Option<Moment>,
    ) -> Result<Explanation, ManageError> {
        ask!(self, Request::Explain { person, door, by_code, at }, Answer::Explanation)
    }

    /// Who can open a door, now, later, or at a past moment by the Keys of that time (U6).
    pub async fn who_can(&self, door: DoorId, at: Option<Moment>, rows: Rows) -> Result<WhoCan, ManageError> {
        ask!(self, Request::WhoCan(door, at, rows), Answer::WhoCan)
    }

    /// What someone can open, now, later, or at a past moment by the Keys of that time (U6).
    pub async fn what_can(
        &self,
        person: PersonId,
        at: Option<Moment>,
        rows: Rows,
    ) -> Result<List<CanOpenRow>, ManageError> {
        ask!(self, Request::WhatCan(person, at, rows), Answer::WhatCan)
    }

    /// Who gained and who lost which doors of a property between two moments, the second now for `None`.
    pub async fn difference(
        &self,
        property: PropertyId,
        from: Moment,
        until: Option<Moment>,
        rows: Rows,
    ) -> Result<List<DifferenceRow>, ManageError> {
        ask!(self, Request::Difference { property, from, until, rows }, Answer::Difference)
    }

    /// What would follow from a command (K9). Changes nothing.
    pub async fn preview(&self, command: Command, part: Part) -> Result<Effects, ManageError> {
        ask!(self, Request::Preview(command, part), Answer::Preview)
    }

    /// Carries a command out; refused when `pinned` is the digest of a preview and something else would follow now.
    /// When this returns, the change is durable and in force for every check that starts afterwards.
    pub async fn carry_out(&self, command: Command, pinned: Option<Digest>) -> Result<Done, ManageError> {
        ask!(self, Request::Do { command, pinned, part: Part::FIRST }, Answer::Done)
    }

    /// [`Connection::preview`] of a change to something as it was read: `was` is the command that would make of it what was
    /// read. Refused with [`Refusal::ChangedSince`](crate::entry::Refusal::ChangedSince) where it is something else by now (K12).
    pub async fn preview_since(&self, was: Command, command: Command, part: Part) -> Result<Effects, ManageError> {
        let (was, command) = (Box::new(was), Box::new(command));
        ask!(self, Request::PreviewSince { was, command, part }, Answer::Preview)
    }

    /// [`Connection::carry_out`] of a change to something as it was read, refused like [`Connection::preview_since`].
    pub async fn carry_out_since(
        &self,
        was: Command,
        command: Command,
        pinned: Option<Digest>,
    ) -> Result<Done, ManageError> {
        let (was, command) = (Box::new(was), Box::new(command));
        ask!(self, Request::DoSince { was, command, pinned, part: Part::FIRST }, Answer::Done)
    }

    /// Searches the access log (L3): a page at a time.
    pub async fn search_log(&self, search: Search) -> Result<History, ManageError> {
        ask!(self, Request::Search(search), Answer::History)
    }

    /// Searches the audit trail (L5): a page at a time.
    pub async fn search_audit(&self, search: AuditSearch) -> Result<AuditPage, ManageError> {
        ask!(self, Request::Audit(search), Answer::Audit)
    }

    /// Writes the whole audit trail down, line by line: each is the link to the lines before it, in hexadecimal, a blank,
    /// and the row as JSON. `keyward-server verify --audit` holds such a file against itself. For Portfolio Managers.
    pub async fn export_audit(&self, mut write: impl FnMut(&str)) -> Result<(), ManageError> {
        let mut search = AuditSearch::export(ROWS_PER_ANSWER_MAX);
        loop {
            let page = self.search_audit(search.clone()).await?;
            if let Some((link, line)) = page.beginning {
                write(&exported(&link, &line));
            }
            for row in &page.rows {
                write(&exported(&row.link.unwrap_or_default(), &row.line()));
            }
            match page.next {
                Some(next) => search.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Doors whose budget for wrong codes ran out within a day (U7), among those whose log is in sight.
    pub async fn alerts(&self) -> Result<Vec<AlertRow>, ManageError> {
        ask!(self, Request::Alerts, Answer::Alerts)
    }

    /// Shows a door code (C8). The audit trail has it before the answer comes.
    pub async fn reveal(&self, code: CodeId) -> Result<Revealed, ManageError> {
        ask!(self, Request::Reveal(code), Answer::Revealed)
    }

    /// Watches the access log live.
    pub async fn watch_log(&self, subscribe: &Subscribe) -> Result<LiveView, ManageError> {
        Ok(LiveView { watching: self.watch(&subscribe.encode()).await? })
    }
}

/// A live view of the access log.
pub struct LiveView {
    watching: Watching,
}

impl LiveView {
    /// The next batch; `None` when the server has ended the view. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Result<Option<LiveBatch>, ManageError> {
        match self.watching.next().await? {
            Some(payload) => Ok(Some(LiveBatch::decode(&payload)?)),
            None => Ok(None),
        }
    }
}
