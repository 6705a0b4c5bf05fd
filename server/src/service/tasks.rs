//! What whoever runs the server has done to all of it, while it runs and while it does not.

use crate::{
    control::{CarrierRow, PortfolioRow, Task, Told},
    domain::{
        directory::{Carrier, Portfolio},
        site::Site,
    },
    engine::{CarrierStep, Engine},
};

/// Does it; after an error nothing was done.
pub fn perform(engine: &Engine, task: Task) -> Result<Told, String> {
    match task {
        Task::CreatePortfolio { site, text } => {
            let site = Site::parse(&site, &text).map_err(|errors| {
                let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
                format!("the site file is not right, nothing was made\n{}", lines.join("\n"))
            })?;
            make_portfolio(engine, site)
        }
        Task::BeginPortfolio { name, manager, email } => {
            let site = Site::of_manager(&name, &manager, &email).map_err(|error| error.to_string())?;
            make_portfolio(engine, site)
        }
        Task::ListPortfolios => {
            let directory = engine.directory();
            let mut rows: Vec<PortfolioRow> = directory.portfolios.values().map(|found| portfolio(found)).collect();
            rows.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(Told::Portfolios(rows))
        }
        Task::CreateCarrier { name } => step_carrier(engine, CarrierStep::Create(name)),
        Task::RenewCarrier { name } => step_carrier(engine, CarrierStep::Renew(name)),
        Task::RotateVaults => {
            let rotated = engine.rotate().map_err(|error| error.to_string())?;
            tracing::info!(vaults = rotated.vaults, codes = rotated.codes, "the vaults have a new root");
            Ok(Told::Rotated { vaults: rotated.vaults, codes: rotated.codes })
        }
        Task::ListCarriers => Ok(Told::Carriers(engine.directory().carriers.values().map(carrier).collect())),
    }
}

fn make_portfolio(engine: &Engine, site: Site) -> Result<Told, String> {
    let made = engine.make_portfolio(site).map_err(|error| error.to_string())?;
    let directory = engine.directory();
    tracing::info!(portfolio = %made, "a portfolio was made");
    Ok(Told::Portfolios(directory.portfolios.get(&made).map(|found| portfolio(found)).into_iter().collect()))
}

fn step_carrier(engine: &Engine, step: CarrierStep) -> Result<Told, String> {
    let made = engine.step_carrier(step).map_err(|error| error.to_string())?;
    tracing::info!(carrier = %made.id, "a carrier has a new identity");
    Ok(Told::Carriers(vec![carrier(&made)]))
}

fn portfolio(found: &Portfolio) -> PortfolioRow {
    let count = |number: usize| number as u64;
    PortfolioRow {
        id: found.id.0,
        name: found.name.clone(),
        properties: count(found.properties.len()),
        people: count(found.people.len()),
        locks: count(found.locks.len()),
    }
}

fn carrier(found: &Carrier) -> CarrierRow {
    CarrierRow::new(&found.name, found.mobile)
}
