//! Site files: a portfolio written down in TOML, read into the causes that make it, and written again from it.
//!
//! Reading reports everything that is wrong at once, each with its line, what is wrong and what would be right, and
//! yields nothing unless the whole file is right. Ids are given in the order of the file, so that its order of givings
//! is the order of making (U2).

mod entries;
mod fields;
mod write;

use keyward_protocol::{
    entry::{PersonSpec, Refusal},
    id::{PersonId, PortfolioId},
    name,
    time::Moment,
};

use super::{decide, directory::Portfolio, effects, event::Cause};

pub use write::write;

/// Something wrong in a site file. Shown as `FILE:LINE: what is wrong and what would be right`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct SiteError {
    /// The file's name, as it was given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A site file that is right, as the causes that make its portfolio from nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// In an order in which each names only what came before.
    causes: Vec<Cause>,
}

impl Site {
    /// Reads a site file. `file` is its name in errors.
    pub fn parse(file: &str, text: &str) -> Result<Site, Vec<SiteError>> {
        let mut reader = fields::Reader::new(file, text);
        let causes = entries::read(&mut reader);
        let mut errors = reader.into_errors();
        if errors.is_empty() {
            return Ok(Site { causes });
        }
        errors.sort();
        errors.dedup();
        Err(errors)
    }

    /// What a file with nothing but a portfolio's name and its first Portfolio Manager says.
    pub fn of_manager(portfolio: &str, manager: &str, email: &str) -> Result<Site, Refusal> {
        let name = name::clean(portfolio).map_err(|error| Refusal::Invalid(format!("the portfolio: {error}")))?;
        let contact = PersonSpec {
            name: manager.to_owned(),
            email: email.to_owned(),
            phone: None,
            note: None,
            cards: Vec::new(),
        };
        let (fresh, person) = (Portfolio::new(PortfolioId::NONE, String::new()), PersonId(1));
        let manager = decide::checked_person(&fresh, person, &contact, false, 0)?;
        let causes = vec![
            Cause::PortfolioMade { name },
            Cause::PersonPut(manager),
            Cause::PortfolioManagerSet { person, on: true },
        ];
        Ok(Site { causes })
    }

    /// The portfolio's name.
    pub fn name(&self) -> &str {
        let made = self.causes.iter().find_map(|cause| match cause {
            Cause::PortfolioMade { name } => Some(name.as_str()),
            _ => None,
        });
        made.unwrap_or_default()
    }

    /// The causes that make the portfolio at `now`: a giving or share that is over by then is remembered as expired and
    /// gets no codes (K7). Each person gets the next number of `mobiles` as their mobile identity; they must be
    /// different from each other and from 0.
    pub fn causes(&self, now: Moment, mut mobiles: impl FnMut() -> u64) -> Vec<Cause> {
        let over = |until: Option<Moment>| until.is_some_and(|until| until <= now);
        let mut ended_givings = std::collections::BTreeSet::new();
        let mut causes = self.causes.clone();
        for cause in &mut causes {
            match cause {
                Cause::PersonPut(person) => person.mobile = mobiles(),
                Cause::Given { giving, .. } if over(giving.until) => {
                    giving.ended = true;
                    ended_givings.insert(giving.id);
                }
                Cause::Shared { share, .. } => share.ended = over(share.until) || ended_givings.contains(&share.giving),
                _ => {}
            }
        }
        causes
    }

    /// The portfolio that the file describes, for judging checks at any moment: nothing is in the books as ended, and
    /// its codes have no digits.
    pub fn portfolio(&self, id: PortfolioId) -> Portfolio {
        let mut next_mobile = 0;
        let causes = self.causes(Moment::MIN, || {
            next_mobile += 1;
            next_mobile
        });
        let stepped = effects::step(&Portfolio::new(id, String::new()), &causes, Moment::MIN);
        let commitments = vec![[0; 32]; stepped.effects.codes_made.len()];
        effects::finish(stepped, &commitments, Moment::MIN)
    }
}

#[cfg(test)]
mod tests;
