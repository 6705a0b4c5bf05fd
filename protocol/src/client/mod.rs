//! The client: what a lock, an operator's terminal or a load test talks to a server with.
//!
//! A lock opens for [`Outcome::Granted`] and for nothing else. Whatever goes wrong (no connection, no answer, a
//! short one, too late a one) is a denial here, with the error beside it for who wants to know.
//!
//! ```no_run
//! # async fn lock(identity: keyward_protocol::client::ClientIdentity) -> Result<(), keyward_protocol::client::ClientError> {
//! use core::time::Duration;
//! use keyward_protocol::{client::Connection, code::Credential, id::DoorId};
//!
//! let address = "192.0.2.7:7411".parse().expect("a literal address");
//! let server = Connection::connect(address, &identity, Duration::from_secs(5)).await?;
//! if server.check(DoorId(17), Credential::Mobile(0x5a17_93c4_0be2_6d81)).await.opens() {
//!     // Draw the bolt.
//! }
//! # Ok(()) }
//! ```

mod connection;
mod error;
mod files;
mod join;
mod manage;
mod shared;
mod stream;
mod tls;

pub use connection::{Connection, Watching};
pub use error::{ClientError, IdentityError};
pub use files::FileError;
pub use join::{JoinAs, JoinError, Joined, authority_fingerprint, join, new_token, renew, sha256};
pub use manage::{LiveView, ManageError};
pub use stream::{CheckReceiver, CheckSender, CheckStream, ReceivedAnswers};
pub use tls::{ClientIdentity, client_tls};

use crate::message::check::Outcome;

/// The answer to one check.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CheckAnswer {
    /// Denied whenever `error` is there.
    pub outcome: Outcome,
    /// The portfolio's revision that was judged at; 0 where nothing was judged.
    pub revision: u64,
    /// Why there was no answer.
    pub error: Option<ClientError>,
}

impl CheckAnswer {
    /// Whether the door opens.
    pub fn opens(&self) -> bool {
        self.outcome.opens()
    }
}

/// The answers to several checks that were asked together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BatchAnswer {
    /// One for each check, in order; all of them denied whenever `error` is there.
    pub outcomes: Vec<Outcome>,
    /// As in [`CheckAnswer`].
    pub revision: u64,
    /// Why there was no answer.
    pub error: Option<ClientError>,
}
