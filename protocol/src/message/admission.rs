//! Who may prove to be whom, as managers see it: keys that joined, and tokens that wait to be used.

#![allow(missing_docs, reason = "rkyv's derive writes twins without documentation")]

use crate::{entry::Party, id::*, time::Moment};

/// A key that joined.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct IdentityRow {
    /// Its id.
    pub id: IdentityId,
    /// Whom it proves somebody to be.
    pub party: Party,
    /// The lock's or the person's name.
    pub name: String,
    /// What the machine that it is on calls itself.
    pub label: String,
    /// When it joined.
    pub joined: Moment,
    /// Refused at once.
    pub disabled: bool,
    /// How it is connected, when it is.
    pub connected: Option<ConnectedRow>,
}

/// An open connection.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct ConnectedRow {
    /// Where from.
    pub address: String,
    /// Since when, by the server's clock.
    pub since: Moment,
    /// The end of the certificate that it was opened with.
    pub certificate_until: Moment,
}

/// A token that was not used.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// Whom whoever joins with it is.
    pub party: Party,
    /// The lock's or the person's name.
    pub name: String,
    /// When it is over.
    pub until: Moment,
}
