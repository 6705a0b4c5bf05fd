//! Keys that joined and tokens that were not used, as far as a manager may let those parties join.

use std::collections::HashMap;

use keyward_protocol::{
    entry::{Party, Sha256},
    message::{
        admission::{ConnectedRow, IdentityRow, TokenRow},
        manage::{List, Rows},
    },
    time::Moment,
};

use super::manage::Chosen;
use crate::{
    domain::{directory::Portfolio, permission::Sight},
    net::Connected,
};

/// The open connections by key; the newest one of each.
pub struct Open(HashMap<Sha256, ConnectedRow>);

impl Open {
    /// These connections.
    pub fn of(mut connected: Vec<Connected>) -> Open {
        connected.sort_by_key(|open| open.since);
        let row = |open: Connected| {
            let (address, certificate_until) = (open.address.to_string(), open.proof.until);
            (open.proof.key, ConnectedRow { address, since: open.since, certificate_until })
        };
        Open(connected.into_iter().map(row).collect())
    }

    /// How a key is connected, when it is.
    pub fn by(&self, key: &Sha256) -> Option<ConnectedRow> {
        self.0.get(key).cloned()
    }
}

/// The keys that joined.
pub fn identities(sight: &Sight<'_>, open: &Open, rows: &Rows) -> List<IdentityRow> {
    let portfolio = sight.portfolio();
    let seen = portfolio.admissions.identities.values().filter(|known| {
        // One's own are there too: a machine that was lost is disabled by whose it was.
        known.party.person() == Some(sight.me()) || sight.admits(known.party).is_ok()
    });
    let named = seen.map(|known| (known, name(portfolio, known.party))).collect();
    let chosen =
        Chosen::of(named, rows, |(known, _)| known.id.0, |(known, name)| vec![name.as_str(), known.label.as_str()]);
    chosen.list(portfolio, |(known, name)| IdentityRow {
        id: known.id,
        party: known.party,
        name: name.clone(),
        label: known.label.clone(),
        joined: known.joined,
        disabled: known.disabled,
        connected: open.by(&known.key),
    })
}

/// The tokens that may still be used.
pub fn tokens(sight: &Sight<'_>, rows: &Rows, now: Moment) -> List<TokenRow> {
    let portfolio = sight.portfolio();
    let waiting = portfolio.admissions.tokens.values().filter(|token| token.until > now);
    let seen = waiting.filter(|token| sight.admits(token.party).is_ok());
    let named = seen.map(|token| (token, name(portfolio, token.party))).collect();
    let chosen = Chosen::of(named, rows, |(token, _)| token.id.0, |(_, name)| vec![name.as_str()]);
    chosen.list(portfolio, |(token, name)| TokenRow {
        id: token.id,
        party: token.party,
        name: name.clone(),
        until: token.until,
    })
}

fn name(portfolio: &Portfolio, party: Party) -> String {
    let name = match party {
        Party::Lock(lock) => portfolio.locks.get(&lock).map(|lock| lock.name.clone()),
        Party::Operator(person) | Party::Holder(person) => {
            portfolio.people.get(&person).map(|person| person.name.clone())
        }
    };
    name.unwrap_or_default()
}
