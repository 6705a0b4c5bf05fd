//! The command line of `keyward`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};

use crate::{terminal::glyphs_from_env, theme::Glyphs};

/// Access control for buildings: the operator's client.
#[derive(Parser, Debug)]
#[command(name = "keyward", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Commands>,
}

#[derive(Subcommand, Debug)]
enum Commands {
    /// Start a server on loopback with the example building and a fleet of simulated locks, and show what happens.
    #[cfg(feature = "demo")]
    Demo(DemoOptions),
}

/// What `keyward demo` is told.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct DemoOptions {
    /// Where to keep the demo's data; the user's data directory unless told. A second start goes on where it ended.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Throw the demo's earlier data away and begin anew.
    #[arg(long)]
    pub fresh: bool,
    /// Show nothing; end with one line of JSON on standard output. Also without a terminal.
    #[arg(long)]
    pub headless: bool,
    /// Stop by itself after this many seconds (10 when headless).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: Option<u64>,
    /// The characters that lines and bars are drawn with.
    #[arg(long, value_enum, default_value_t)]
    pub glyphs: GlyphChoice,
}

/// Which characters lines and bars are drawn with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum GlyphChoice {
    /// Unicode where locale and terminal surely show it.
    #[default]
    Auto,
    /// For any terminal.
    Ascii,
    /// For terminals that read UTF-8.
    Unicode,
}

impl GlyphChoice {
    /// The characters themselves; for `auto` the environment is asked.
    pub fn glyphs(self) -> Glyphs {
        match self {
            GlyphChoice::Auto => glyphs_from_env(),
            GlyphChoice::Ascii => Glyphs::ASCII,
            GlyphChoice::Unicode => Glyphs::UNICODE,
        }
    }
}

const NOTHING_YET: &str = "\
keyward: access control for buildings.

  keyward demo     see it work: a server, a building and its locks
  keyward --help   everything else

To run a server of your own, start with `keyward-server --help`.";

/// Runs the command that the process was called with and says how it ended.
pub fn run() -> ExitCode {
    let done: Result<(), String> = match Arguments::parse().command {
        #[cfg(feature = "demo")]
        Some(Commands::Demo(options)) => crate::demo::run(&options),
        None => {
            println!("{NOTHING_YET}");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("keyward: {message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_to_do_next_fits_one_screen() {
        assert!(NOTHING_YET.lines().count() <= 24 && NOTHING_YET.lines().all(|line| line.len() <= 80));
    }
}
