//! The command line of `keyward-server`.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::evaluate;

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
}

/// Runs the command that the process was called with and says how it ended.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Commands::Evaluate { site, checks, explain } => evaluate_files(&site, &checks, explain),
    };
    match done {
        Ok(exit) => ExitCode::from(exit),
        Err(message) => {
            eprintln!("keyward-server: {message}");
            ExitCode::from(evaluate::EXIT_INVALID)
        }
    }
}

fn evaluate_files(site: &Path, checks: &Path, explain: bool) -> Result<u8, String> {
    let bytes = fs::read(site).map_err(|error| unreadable(site, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count();
        format!("{}:{line}: the file is not UTF-8: save it as UTF-8", site.display())
    })?;
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

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("`{}` can't be read: {error}", path.display())
}
