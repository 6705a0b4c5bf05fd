//! The command line of `keyward-server`.

mod administer;
mod joining;

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use administer::{CarrierCommand, PortfolioCommand, VaultCommand};
use clap::{Parser, Subcommand, ValueEnum};
use joining::{AuthorityCommand, IdentityCommand, TokenCommand};

use crate::{
    access_log,
    check_config::{self, Standing},
    clock,
    domain::site::Site,
    engine::{self, Books, Layout, Medium, Repair, Severity},
    evaluate,
    progress::Progress,
    service::{self, Options, Server},
};

/// A command that could not be done.
const EXIT_FAILED: u8 = 1;

/// Access control for buildings: the server that locks ask.
#[derive(Parser, Debug)]
#[command(name = "keyward-server", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand, Debug)]
enum Commands {
    /// Judge checks by a site file alone: no server, no database.
    ///
    /// Reads one check a line (JSON Lines), writes one answer a line. Exits 0 when all were judged and are as expected,
    /// 1 where an answer differs from its check's `expect`, 2 when the site file or a check is not valid.
    Evaluate {
        /// The site file (TOML).
        #[arg(long, value_name = "FILE")]
        site: PathBuf,
        /// The checks (JSON Lines); `-` is standard input.
        #[arg(long, value_name = "FILE")]
        checks: PathBuf,
        /// Add `because`: what each giving and share that has the door yields.
        #[arg(long)]
        explain: bool,
    },
    /// Make a data directory, the secrets beside it, the certificate authority, and the first portfolio from a site file.
    Init {
        /// The site file (TOML).
        #[arg(long, value_name = "FILE")]
        site: PathBuf,
        /// The data directory to make; secrets go to DIR.secrets beside it.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Serve locks until SIGTERM or Ctrl-C.
    Serve {
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The address to listen on (UDP); port 0 takes a free one.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4433")]
        listen: SocketAddr,
        /// When an attempt counts as recorded.
        #[arg(long, value_enum, default_value_t = LogMode::Strict)]
        log: LogMode,
        /// Seal the vaults under a new root whenever it is so many days old, as `vault rotate` does. Back the root up as often.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=365))]
        rotate_root: Option<u16>,
    },
    /// Look through a data directory while no server runs: what is there, whether it is whole, and what to do.
    ///
    /// Changes nothing. Exits 0 when everything is whole, 1 when something is damaged or lost.
    Verify {
        /// The data directory.
        #[arg(long, value_name = "DIR", required_unless_present = "audit")]
        data: Option<PathBuf>,
        /// Instead of a data directory: an exported audit trail, held against itself.
        #[arg(long, value_name = "FILE", conflicts_with = "data")]
        audit: Option<PathBuf>,
    },
    /// Put a damaged data directory right as far as that can be done, from its snapshots and a backup.
    ///
    /// Says what would be done and what is lost, by person and door, and changes nothing without --yes. What is taken out
    /// is kept in `damaged-TIME`. Exits 0 when nothing is damaged, or was and is mended, 1 otherwise.
    Repair {
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// A copy of it from earlier, with the copy of its secrets in DIR.secrets.
        #[arg(long, value_name = "DIR")]
        backup: Option<PathBuf>,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
    /// Say whether `serve` would start when called like this, and what to do where it would not.
    ///
    /// Changes nothing. Exits 0 when it would, 1 when something is wrong.
    CheckConfig {
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The address to listen on (UDP).
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4433")]
        listen: SocketAddr,
        /// When an attempt counts as recorded.
        #[arg(long, value_enum, default_value_t = LogMode::Strict)]
        log: LogMode,
        /// Seal the vaults under a new root whenever it is so many days old, as `vault rotate` does. Back the root up as often.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=365))]
        rotate_root: Option<u16>,
    },
    /// Tokens that locks, operators and holders join with, once each. Works whether the server runs or not.
    Token {
        #[command(subcommand)]
        what: TokenCommand,
    },
    /// The keys that joined: who they are, and whether they are taken. Works whether the server runs or not.
    Identity {
        #[command(subcommand)]
        what: IdentityCommand,
    },
    /// The authority that signs every certificate.
    Authority {
        #[command(subcommand)]
        what: AuthorityCommand,
    },
    /// Make and list portfolios: what customers run, each apart from the others.
    Portfolio {
        #[command(subcommand)]
        what: PortfolioCommand,
    },
    /// Make, list and renew carriers: delivery partners of the whole server.
    Carrier {
        #[command(subcommand)]
        what: CarrierCommand,
    },
    /// Look after the vaults, in which door codes are sealed.
    Vault {
        #[command(subcommand)]
        what: VaultCommand,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogMode {
    /// Answers wait until their records are on disk.
    Strict,
    /// A power cut may take the last 50 ms of records.
    Relaxed,
}

impl LogMode {
    fn mode(self) -> access_log::Mode {
        match self {
            LogMode::Strict => access_log::Mode::Strict,
            LogMode::Relaxed => access_log::Mode::Relaxed,
        }
    }
}

/// Runs the command that the process was called with and says how it ended.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Commands::Evaluate { site, checks, explain } => {
            evaluate_files(&site, &checks, explain).map_err(|message| (message, evaluate::EXIT_INVALID))
        }
        Commands::Init { site, data } => init(&site, &data),
        Commands::Serve { data, listen, log, rotate_root } => serve(&data, listen, log, rotate_root).map_err(failed),
        Commands::Verify { data, audit } => match (audit, data) {
            (Some(export), _) => verify_export(&export).map_err(failed),
            (None, data) => verify(&data.unwrap_or_default()).map_err(failed),
        },
        Commands::Repair { data, backup, yes } => repair(&data, backup.as_deref(), yes).map_err(failed),
        Commands::CheckConfig { data, listen, log, rotate_root: _ } => Ok(check_config(&data, listen, log)),
        Commands::Token { what } => joining::token(what).map_err(failed),
        Commands::Identity { what } => joining::identity(what).map_err(failed),
        Commands::Authority { what } => joining::authority(what).map_err(failed),
        Commands::Portfolio { what } => administer::portfolio(what).map_err(failed),
        Commands::Carrier { what } => administer::carrier(what).map_err(failed),
        Commands::Vault { what } => administer::vault(what).map_err(failed),
    };
    match done {
        Ok(exit) => ExitCode::from(exit),
        Err((message, exit)) => {
            eprintln!("keyward-server: {message}");
            ExitCode::from(exit)
        }
    }
}

fn failed(message: String) -> (String, u8) {
    (message, EXIT_FAILED)
}

fn init(site: &Path, data: &Path) -> Result<u8, (String, u8)> {
    let text = read_text(site).map_err(|message| (message, evaluate::EXIT_INVALID))?;
    let progress = Progress::on_stderr();
    let name = site.display().to_string();
    let site = progress.during("reading the site file", "", |_| Site::parse(&name, &text)).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        (format!("the site file is not right, nothing was made\n{}", lines.join("\n")), evaluate::EXIT_INVALID)
    })?;
    let layout = service::init_with(data, &site, clock::now(), progress);
    let layout = layout.map_err(|error| failed(error.to_string()))?;
    println!("made    {}", layout.data().display());
    println!("secrets {}", layout.secrets().display());
    println!();
    println!("Back up both, apart from each other: the data is useless without its secrets, and whoever has both can");
    println!(
        "read every door code. Next: `keyward-server serve`, and `keyward-server token create operator` for a manager."
    );
    Ok(0)
}

fn serve(data: &Path, listen: SocketAddr, log: LogMode, rotate_root: Option<u16>) -> Result<u8, String> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let mode = log.mode();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime can't be started: {error}"))?;
    runtime.block_on(async {
        let options = Options { address: listen, mode, clock: clock::system() };
        let server = Server::bind_on(&Medium::default(), &Layout::new(data), options, Progress::on_stderr());
        let server = server.map_err(|error| error.to_string())?;
        rotate_root.into_iter().for_each(|days| server.rotate_root_every(days));
        let report = server.report();
        for warning in &report.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(replayed = report.replayed, address = %server.inside().address, "serving");
        server.serve(stopped()).await;
        tracing::info!("stopped: everything is on disk");
        Ok(0)
    })
}

fn verify(data: &Path) -> Result<u8, String> {
    let findings = engine::verify(&Layout::new(data)).map_err(|error| error.to_string())?;
    findings.iter().for_each(|finding| println!("{finding}"));
    let damaged = findings.iter().filter(|finding| finding.severity == Severity::Damaged).count();
    match damaged {
        0 => println!("everything is whole"),
        _ => println!("{damaged} damaged"),
    }
    Ok(if damaged == 0 { 0 } else { EXIT_FAILED })
}

fn repair(data: &Path, backup: Option<&Path>, yes: bool) -> Result<u8, String> {
    let told = |error: engine::RepairError| error.to_string();
    let plan = Repair::plan(&Layout::new(data), backup).map_err(told)?;
    print!("{plan}");
    if plan.is_empty() {
        println!("nothing to repair");
        return Ok(if plan.lost().is_empty() { 0 } else { EXIT_FAILED });
    }
    if !yes {
        println!("nothing was changed: add --yes to do it");
        return Ok(EXIT_FAILED);
    }
    let aside = plan.carry_out(clock::now()).map_err(told)?;
    println!("done; what was taken out is in {}", aside.display());
    println!();
    verify(data)?;
    let (_, report) = Books::open(&Layout::new(data)).map_err(|error| error.to_string())?;
    println!("a start works, with {} door codes lost", report.lost.len());
    Ok(0)
}

fn check_config(data: &Path, listen: SocketAddr, log: LogMode) -> u8 {
    let all = check_config::check(&Layout::new(data), listen, log.mode());
    all.iter().for_each(|checked| println!("{checked}"));
    let wrong = all.iter().filter(|checked| checked.standing == Standing::Wrong).count();
    match wrong {
        0 => println!("`serve` would start"),
        _ => println!("{wrong} wrong"),
    }
    if wrong == 0 { 0 } else { EXIT_FAILED }
}

/// Resolves at SIGTERM or Ctrl-C.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => _ = tokio::signal::ctrl_c().await,
    }
}

fn evaluate_files(site: &Path, checks: &Path, explain: bool) -> Result<u8, String> {
    let text = read_text(site)?;
    let mut input: Box<dyn BufRead> = if checks == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(checks).map_err(|error| unreadable(checks, &error))?))
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut err = io::stderr().lock();
    let names = (site.display().to_string(), checks.display().to_string());
    let ran = evaluate::run((&names.0, &text), (&names.1, &mut *input), explain, &mut out, &mut err);
    match ran.and_then(|exit| out.flush().map(|()| exit)) {
        // Whoever read the answers has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(evaluate::EXIT_DONE),
        Err(error) => Err(format!("the answers can't be written: {error}")),
        Ok(exit) => Ok(exit),
    }
}

fn verify_export(export: &Path) -> Result<u8, String> {
    let file = File::open(export).map_err(|error| unreadable(export, &error))?;
    let (rows, link) = service::audit::verify_export(BufReader::new(file).lines())?;
    println!("whole    {rows} acts, each after the one before it; the last link is");
    println!("         {link}");
    println!("         An export that is made later has this link too: keep it, or this file, to compare.");
    Ok(0)
}

fn read_text(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count();
        format!("{}:{line}: the file is not UTF-8: save it as UTF-8", path.display())
    })
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("`{}` can't be read: {error}", path.display())
}
