//! What whoever runs the server has done: by the running server, or here while none runs.

use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use clap::Subcommand;

use super::read_text;
use crate::{
    clock,
    control::{self, PortfolioRow, Reply, Request, Task, Told},
    engine::{Books, Engine, Layout, Publisher, Running},
    identity::Authority,
    service,
};

/// `keyward-server portfolio`.
#[derive(Subcommand, Debug)]
pub enum PortfolioCommand {
    /// Make a further portfolio, which knows nothing of the others, whether the server runs or not.
    ///
    /// Either all of it from a site file, or with nothing in it but its first Portfolio Manager.
    Create {
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The site file (TOML).
        #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "manager", "manager_name"])]
        site: Option<PathBuf>,
        /// The portfolio's name, no other's on this server.
        #[arg(long, required_unless_present = "site")]
        name: Option<String>,
        /// The first Portfolio Manager's email.
        #[arg(long, value_name = "EMAIL", required_unless_present = "site")]
        manager: Option<String>,
        /// The first Portfolio Manager's name.
        #[arg(long, value_name = "NAME", required_unless_present = "site")]
        manager_name: Option<String>,
    },
    /// List the portfolios.
    List {
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

/// `keyward-server carrier`.
#[derive(Subcommand, Debug)]
pub enum CarrierCommand {
    /// Make a carrier, and print the identity that its drivers' devices show to a lock.
    Create {
        /// Its name, as logs show it.
        name: String,
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// List the carriers with their identities.
    List {
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Give a carrier a new identity; the old one opens nothing from then on.
    Renew {
        /// Its name.
        name: String,
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

/// `keyward-server vault`.
#[derive(Subcommand, Debug)]
pub enum VaultCommand {
    /// Seal every door code under a new root and destroy the old one, whether the server runs or not.
    ///
    /// Door codes stay the same. Copies of the vaults that were made before can be read with a copy of the old root only.
    Rotate {
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

/// Where what is asked is done.
pub struct Administrator {
    layout: Layout,
    /// The engine of this process, once it was needed.
    here: OnceCell<Here>,
}

struct Here {
    administrator: service::Administrator,
    _running: Running,
}

impl Administrator {
    /// Of this data directory.
    pub fn of(data: &Path) -> Administrator {
        Administrator { layout: Layout::new(data), here: OnceCell::new() }
    }

    /// Has the running server do it, or does it here while none runs.
    pub fn ask(&self, request: Request) -> control::Answer {
        if self.here.get().is_none()
            && let Some(answer) = control::ask(&self.layout.control(), &request)
        {
            return answer;
        }
        let here = match self.here.get() {
            Some(here) => here,
            None => {
                let opened = self.open()?;
                self.here.get_or_init(|| opened)
            }
        };
        service::administer(&here.administrator, request)
    }

    fn open(&self) -> Result<Here, String> {
        let (books, _) = Books::open(&self.layout).map_err(|error| error.to_string())?;
        let authority = Authority::open(self.layout.secrets()).map_err(|error| error.to_string())?;
        let publisher = Publisher::new(&books, clock::now(), (0, 0), None);
        let (engine, running) = Engine::start(books, publisher, clock::system());
        let administrator = service::Administrator {
            engine,
            authority: Arc::new(ArcSwap::from_pointee(authority)),
            secrets: self.layout.secrets().to_owned(),
            address: None,
            connections: None,
            clock: clock::system(),
        };
        Ok(Here { administrator, _running: running })
    }

    fn perform(&self, task: Task) -> Result<Told, String> {
        match &self.ask(Request::Task(task))? {
            Reply::Told(told) => Ok(told.clone()),
            _ => Err(UNEXPECTED.to_owned()),
        }
    }

    /// The portfolio that is meant: by its name, or the only one there is.
    pub fn portfolio(&self, wanted: Option<&str>) -> Result<u32, String> {
        Ok(control::choose(&self.portfolios(Task::ListPortfolios)?, wanted)?.id)
    }

    fn portfolios(&self, task: Task) -> Result<Vec<PortfolioRow>, String> {
        match self.perform(task)? {
            Told::Portfolios(rows) => Ok(rows),
            _ => Err(UNEXPECTED.to_owned()),
        }
    }
}

/// What a running server of another build might answer.
pub const UNEXPECTED: &str = "the running server answered something else: use the keyward-server that runs";

/// `portfolio create` and `portfolio list`.
pub fn portfolio(command: PortfolioCommand) -> Result<u8, String> {
    let (data, task) = match command {
        PortfolioCommand::Create { data, site: Some(site), .. } => {
            let text = read_text(&site)?;
            (data, Task::CreatePortfolio { site: site.display().to_string(), text })
        }
        PortfolioCommand::Create { data, name, manager, manager_name, .. } => {
            let (name, email, manager) = (name.unwrap_or_default(), manager.unwrap_or_default(), manager_name);
            (data, Task::BeginPortfolio { name, manager: manager.unwrap_or_default(), email })
        }
        PortfolioCommand::List { data } => (data, Task::ListPortfolios),
    };
    let is_list = task == Task::ListPortfolios;
    let rows = Administrator::of(&data).portfolios(task)?;
    for row in &rows {
        let (properties, people) =
            (count(row.properties, "property", "properties"), count(row.people, "person", "people"));
        println!("{}: {properties}, {people}, {}", row.name, count(row.locks, "lock", "locks"));
    }
    if !is_list {
        println!();
        println!("It has a vault of its own in {}: back that up with the rest.", data.display());
    }
    Ok(0)
}

/// `carrier create`, `carrier list` and `carrier renew`.
pub fn carrier(command: CarrierCommand) -> Result<u8, String> {
    let (data, task, afterwards) = match command {
        CarrierCommand::Create { name, data } => (data, Task::CreateCarrier { name }, CREATED),
        CarrierCommand::List { data } => (data, Task::ListCarriers, ""),
        CarrierCommand::Renew { name, data } => (data, Task::RenewCarrier { name }, RENEWED),
    };
    let Told::Carriers(rows) = Administrator::of(&data).perform(task)? else { return Err(UNEXPECTED.to_owned()) };
    for row in &rows {
        println!("{}  {}", row.identity, row.name);
    }
    print!("{afterwards}");
    Ok(0)
}

/// `vault rotate`.
pub fn vault(command: VaultCommand) -> Result<u8, String> {
    let VaultCommand::Rotate { data } = command;
    let Told::Rotated { vaults, codes } = Administrator::of(&data).perform(Task::RotateVaults)? else {
        return Err(UNEXPECTED.to_owned());
    };
    let (vaults, codes) = (count(vaults, "vault", "vaults"), count(codes, "door code", "door codes"));
    let layout = Layout::new(&data);
    println!("done: {vaults} with {codes} under a new root, and the old root is destroyed");
    println!();
    println!("Back up now, apart from each other: {}, and {}.", layout.data().display(), layout.root().display());
    println!(
        "Backups of the data from before can be read with the old root's backup only: keep that for as long as you"
    );
    println!("would go back to one of them, then destroy it. Whoever has both can read codes that were deleted since.");
    Ok(0)
}

const CREATED: &str = "
That is the mobile identity which its drivers' devices show to a lock: whoever has it opens every door that is labelled
`deliveries` where a property opted in. Hand it over as you would a key.
";
const RENEWED: &str = "
That is its mobile identity from now on; the one before opens nothing any more. Have its drivers' devices show the new one.
";

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
