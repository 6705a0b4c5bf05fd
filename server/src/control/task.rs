//! What whoever runs the server has done to all of it: portfolios and carriers.
//!
//! ```text
//! {"version":1,"ask":{"task":{"create_portfolio":{"site":"site.toml","text":"keyward = 1 ..."}}}}
//! {"version":1,"ask":{"task":{"begin_portfolio":{"name":"...","manager":"...","email":"..."}}}}
//! {"version":1,"ask":{"task":"list_portfolios"}}
//! {"version":1,"ask":{"task":{"create_carrier":{"name":"..."}}}}          renew_carrier alike
//! {"version":1,"ask":{"task":"list_carriers"}}
//! {"Ok":{"portfolios":[{"id":1,"name":"...","properties":2,"people":40,"locks":3}]}}
//! {"Ok":{"carriers":[{"name":"...","identity":"00000000000000ff"}]}}
//! {"version":1,"ask":{"task":"rotate_vaults"}}
//! {"Ok":{"rotated":{"vaults":2,"codes":4012}}}
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Make a further portfolio from a site file.
    CreatePortfolio {
        /// The file's name, for what is wrong in it.
        site: String,
        /// What stands in it.
        text: String,
    },
    /// Make a further portfolio with nothing in it but its first Portfolio Manager.
    BeginPortfolio {
        /// Its name.
        name: String,
        /// The manager's name.
        manager: String,
        /// And email.
        email: String,
    },
    /// Say which portfolios there are.
    ListPortfolios,
    /// Make a carrier.
    CreateCarrier {
        /// Its name.
        name: String,
    },
    /// Give a carrier a new identity.
    RenewCarrier {
        /// Its name.
        name: String,
    },
    /// Say which carriers there are.
    ListCarriers,
    /// Seal every vault under a new root.
    RotateVaults,
}

/// What was done, or is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Told {
    /// The portfolio that was made, or all of them by name.
    Portfolios(Vec<PortfolioRow>),
    /// The carrier that was made or renewed, or all of them.
    Carriers(Vec<CarrierRow>),
    /// Every vault is sealed under a new root.
    Rotated {
        /// How many vaults.
        vaults: u64,
        /// How many live door codes stand in them.
        codes: u64,
    },
}

/// A portfolio, for whoever runs the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortfolioRow {
    /// Its number, which certificates name.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// How many properties it has.
    pub properties: u64,
    /// How many people.
    pub people: u64,
    /// How many registered locks.
    pub locks: u64,
}

/// A carrier. What opens doors is not printed by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarrierRow {
    /// Its name.
    pub name: String,
    /// What its drivers' devices show to a lock: a mobile identity, 16 hexadecimal digits.
    pub identity: String,
}

impl CarrierRow {
    /// A carrier with its identity written out.
    pub fn new(name: &str, mobile: u64) -> CarrierRow {
        CarrierRow { name: name.to_owned(), identity: format!("{mobile:016x}") }
    }
}

impl Drop for CarrierRow {
    fn drop(&mut self) {
        self.identity.zeroize();
    }
}

impl fmt::Debug for CarrierRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarrierRow").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The portfolio that a command means: by its name, or the only one there is.
pub fn choose<'a>(there: &'a [PortfolioRow], wanted: Option<&str>) -> Result<&'a PortfolioRow, String> {
    use keyward_protocol::name::fold;
    let known = || there.iter().map(|row| format!("`{}`", row.name)).collect::<Vec<_>>().join(", ");
    match (wanted, there) {
        (Some(wanted), _) => {
            let found = there.iter().find(|row| fold(&row.name) == fold(wanted));
            found.ok_or_else(|| format!("there is no portfolio `{wanted}`: there is {}", known()))
        }
        (None, [only]) => Ok(only),
        (None, []) => Err("there is no portfolio".to_owned()),
        (None, _) => Err(format!("there are several portfolios, name one with --portfolio: {}", known())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u32, name: &str) -> PortfolioRow {
        PortfolioRow { id, name: name.to_owned(), properties: 0, people: 1, locks: 0 }
    }

    #[test]
    fn the_only_portfolio_needs_no_name_and_several_are_listed() {
        let (one, two) = (vec![row(1, "Harbor")], vec![row(1, "Harbor"), row(70_000, "Pine Living")]);
        assert_eq!(choose(&one, None), Ok(&one[0]));
        assert_eq!(choose(&two, Some(" PINE living")), Ok(&two[1]));
        let told = choose(&two, None).unwrap_err();
        assert!(told.contains("--portfolio") && told.contains("`Harbor`, `Pine Living`"), "{told}");
        let told = choose(&two, Some("Oak")).unwrap_err();
        assert!(told.contains("`Oak`") && told.contains("`Harbor`"), "{told}");
        assert!(choose(&[], None).is_err());
    }

    #[test]
    fn a_carriers_identity_is_written_out_and_not_printed() {
        let row = CarrierRow::new("UPS", 255);
        assert_eq!(row.identity, "00000000000000ff");
        assert!(!format!("{row:?}").contains("ff"));
    }
}
