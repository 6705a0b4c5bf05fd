//! The command line of `keyward`.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    app::{App, ReadOnly, Shell},
    config::Config,
    login,
    remote::Remote,
    servers::{Known, Places, ServerName, Servers},
    state::{Found, StateFile},
    terminal::{self, ScreenOptions, glyphs_from_env, theme_from_env},
    theme::Glyphs,
    view::WELCOME,
};

/// Access control for buildings: the operator's client.
#[derive(Parser, Debug)]
#[command(name = "keyward", version)]
struct Arguments {
    /// The server to open; the current one unless told.
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// The characters that lines and bars are drawn with.
    #[arg(long, value_enum)]
    glyphs: Option<GlyphChoice>,
    /// Look, and change nothing: every command that would change something is refused.
    #[arg(long)]
    read_only: bool,
    #[command(subcommand)]
    command: Option<Commands>,
}

#[derive(Subcommand, Debug)]
enum Commands {
    /// Join a server with a token that a Portfolio Manager, or whoever runs it, made for you.
    ///
    /// A key is made here and never leaves this machine. Its certificate is renewed by itself for 30 days.
    Login {
        /// The token, as it was handed over; `-` reads it from standard input, so that it stays out of the shell's
        /// history.
        token: String,
        /// What to call the server here; the portfolio's name unless told.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Where the server answers, when the token does not say, or says something else.
        #[arg(long, value_name = "HOST:PORT")]
        address: Option<String>,
    },
    /// The servers that are known.
    #[command(subcommand)]
    Server(ServerCommands),
    /// Print the settings as they are, every command with its chords: a file to begin one's own from.
    Settings,
    /// Open a server with an identity that lies in a directory.
    Open {
        /// The directory with ca.pem, certificate.pem and key.pem.
        #[arg(long, value_name = "DIR")]
        identity: PathBuf,
        /// Where the server answers.
        #[arg(long, value_name = "HOST:PORT")]
        address: String,
    },
    /// Start a server on loopback with the example building and a fleet of simulated locks, and show what happens.
    #[cfg(feature = "demo")]
    Demo(DemoOptions),
}

#[derive(Subcommand, Debug)]
enum ServerCommands {
    /// Show them, the current one marked.
    List,
    /// Make one the current one.
    Use {
        /// Which.
        name: String,
    },
    /// Forget one, and the identity that you have there.
    Remove {
        /// Which.
        name: String,
    },
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
    /// Look, and change nothing: every command that would change something is refused.
    #[arg(long)]
    pub read_only: bool,
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

/// What is wanted of this one start, beside the settings.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    glyphs: Option<GlyphChoice>,
    read_only: bool,
}

/// Runs the command that the process was called with and says how it ended.
pub fn run() -> ExitCode {
    match run_command(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("keyward: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run_command(arguments: Arguments) -> Result<(), String> {
    let wanted = Wanted { glyphs: arguments.glyphs, read_only: arguments.read_only };
    match arguments.command {
        #[cfg(feature = "demo")]
        Some(Commands::Demo(mut options)) => {
            // It counts wherever it is written: nobody is to take it for said who wrote it before the command.
            options.read_only |= wanted.read_only;
            crate::demo::run(&options)
        }
        // Joining registers a key there: who says that nothing is to be changed means that, too.
        Some(Commands::Login { .. }) if wanted.read_only => {
            Err("joining a server changes something there: leave --read-only out".to_owned())
        }
        Some(Commands::Login { token, name, address }) => login::run(&token, name.as_deref(), address),
        Some(Commands::Server(command)) => servers(&command),
        Some(Commands::Settings) => {
            print!("{}", Config::read(&Places::of_user()?.config)?.written());
            Ok(())
        }
        Some(Commands::Open { identity, address }) => {
            let known = Known::in_directory(&identity, &address).map_err(|error| error.to_string())?;
            open(known, &Config::read(&Places::of_user()?.config)?, wanted)
        }
        None => open_current(arguments.server.as_deref(), wanted),
    }
}

fn servers(command: &ServerCommands) -> Result<(), String> {
    let places = Places::of_user()?;
    let servers = Servers::new(&places);
    let told = |error: crate::servers::ServersError| error.to_string();
    match command {
        ServerCommands::List => {
            let config = Config::read(&places.config)?;
            let current = servers.current(config.server.as_deref()).map_err(told)?;
            let names = servers.names().map_err(told)?;
            if names.is_empty() {
                println!("no server is known: join one with `keyward login TOKEN`");
            }
            for name in names {
                let sign = if Some(&name) == current.as_ref() { '*' } else { ' ' };
                match servers.get(name.as_str()) {
                    Ok(known) => println!("{sign} {name}  {}", known.addresses.join(" ")),
                    Err(error) => println!("{sign} {name}  {error}"),
                }
            }
        }
        ServerCommands::Use { name } => {
            println!("{} is the current server", servers.use_from_now_on(name).map_err(told)?);
        }
        ServerCommands::Remove { name } => {
            let name = servers.remove(name).map_err(told)?;
            StateFile::of(&places, &name).forget()?;
            println!("{name} is forgotten");
        }
    }
    Ok(())
}

/// Opens the server that is named, else the current one; without any, says what to do next.
fn open_current(named: Option<&str>, wanted: Wanted) -> Result<(), String> {
    let places = Places::of_user()?;
    let config = Config::read(&places.config)?;
    let servers = Servers::new(&places);
    let told = |error: crate::servers::ServersError| error.to_string();
    let name = match named {
        Some(name) => Some(name.to_owned()),
        None => servers.current(config.server.as_deref()).map_err(told)?.map(|name| name.to_string()),
    };
    match name {
        Some(name) => open(servers.get(&name).map_err(told)?, &config, wanted),
        None if !servers.names().map_err(told)?.is_empty() => {
            Err("several servers are known: name one with --server, or `keyward server use NAME`".to_owned())
        }
        None if io::stdout().is_terminal() => {
            let app = App::welcome(shell("no server", &config, wanted));
            terminal::show(app, None, ScreenOptions::default()).map_err(unusable)
        }
        None => {
            println!("{WELCOME}");
            Ok(())
        }
    }
}

fn open(known: Known, config: &Config, wanted: Wanted) -> Result<(), String> {
    if !io::stdout().is_terminal() {
        return Err("there is no terminal to show the client on".to_owned());
    }
    let (app, state) = remembering(App::new(shell(&known.name, config, wanted)), &known.name, config)?;
    let connected = Remote::start(known).map_err(|error| format!("the connection can't be started: {error}"))?;
    terminal::show(app, Some(connected), ScreenOptions { state, ..ScreenOptions::default() }).map_err(unusable)
}

/// The client as it was the last time, and where it is written how it is; where the user wants that, and the server has a
/// name to remember it under.
fn remembering(app: App, server: &str, config: &Config) -> Result<(App, Option<StateFile>), String> {
    let Ok(name) = ServerName::parse(server) else { return Ok((app, None)) };
    let file = StateFile::of(&Places::of_user()?, &name);
    file.sweep();
    if !config.remember {
        // What is not to be remembered is not kept from before, either.
        let mut app = app;
        if let Err(why) = file.forget() {
            app.shell.warn(format!("what was remembered stays: {why}"));
        }
        return Ok((app, None));
    }
    Ok(match file.read() {
        Found::Nothing => (app.remembering(None), Some(file)),
        Found::Remembered(read) => (app.remembering(Some(*read)), Some(file)),
        Found::Unread(why, may_be_written_over) => {
            let mut app = if may_be_written_over { app.remembering(None) } else { app };
            app.shell.say(why);
            (app, may_be_written_over.then_some(file))
        }
    })
}

/// What all screens share, as the user has set it.
fn shell(server: &str, config: &Config, wanted: Wanted) -> Shell {
    let mut shell =
        Shell::new(server, config.theme.theme(theme_from_env()), wanted.glyphs.unwrap_or(config.glyphs).glyphs());
    config.apply(&mut shell);
    if wanted.read_only {
        shell.read_only = ReadOnly::Flag;
    }
    shell
}

fn unusable(error: io::Error) -> String {
    format!("the terminal can't be used: {error}")
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
        assert!(WELCOME.lines().count() <= 18 && WELCOME.lines().all(|line| line.len() <= 77));
    }
}
