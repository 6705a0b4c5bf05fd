//! Tokens to join with, the keys that joined, and the authority that signs for them.

use std::path::PathBuf;

use clap::Subcommand;
use keyward_protocol::id::TokenId;

use super::administer::Administrator;
use crate::control::{self, JoinRole, Request};

/// Whose, of what data directory.
#[derive(clap::Args, Debug)]
pub struct Whose {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Whose; may be left out where there is one portfolio.
    #[arg(long, value_name = "NAME")]
    portfolio: Option<String>,
}

/// `keyward-server token`.
#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Make a token, and print it: whoever has it may join with it, once.
    Create {
        #[command(subcommand)]
        role: TokenFor,
    },
    /// The tokens that were not used.
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Take a token back.
    Revoke {
        #[command(flatten)]
        whose: Whose,
        /// Its number, as `token list` shows it.
        token: u32,
    },
}

/// Who is to join.
#[derive(Subcommand, Debug)]
pub enum TokenFor {
    /// For a lock or gateway; one that is not known is registered.
    Lock {
        /// The lock's name, unique in the portfolio.
        #[arg(long)]
        name: String,
        /// The property it belongs to; left out for a lock that is registered, whose earlier key is then replaced.
        #[arg(long)]
        property: Option<String>,
        /// A door it may ask about; may be given again. Every door of the property unless told.
        #[arg(long = "door", value_name = "DOOR", requires = "property")]
        doors: Vec<String>,
        #[command(flatten)]
        terms: TokenTerms,
    },
    /// For a manager's client: `keyward login TOKEN`.
    Operator {
        /// Who, by email.
        #[arg(long)]
        email: String,
        #[command(flatten)]
        terms: TokenTerms,
    },
    /// For the app of somebody who holds Keys, or is a guest.
    Holder {
        /// Who, by email.
        #[arg(long)]
        email: String,
        #[command(flatten)]
        terms: TokenTerms,
    },
}

/// What every token has.
#[derive(clap::Args, Debug)]
pub struct TokenTerms {
    #[command(flatten)]
    whose: Whose,
    /// Where the server is found from outside, told in the token; where it listens unless told.
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// How long the token is good for, in minutes; at most 7 days.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=10_080))]
    minutes: i64,
    /// Print the token alone.
    #[arg(long)]
    quiet: bool,
}

/// `keyward-server identity`.
#[derive(Subcommand, Debug)]
pub enum IdentityCommand {
    /// Every key that joined.
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Refuse a key from now on, in open connections too.
    Disable {
        #[command(flatten)]
        whose: Whose,
        /// Its number, as `identity list` shows it.
        identity: u32,
    },
    /// Take a key again.
    Enable {
        #[command(flatten)]
        whose: Whose,
        /// Its number, as `identity list` shows it.
        identity: u32,
    },
}

/// `keyward-server authority`.
#[derive(Subcommand, Debug)]
pub enum AuthorityCommand {
    /// Put a new authority in the place of the one that signs. Nobody has to be visited: certificates change over as they
    /// are renewed.
    Rotate {
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

impl Whose {
    /// Has it done for this portfolio.
    fn ask(&self, request: impl FnOnce(u32) -> Request) -> control::Answer {
        let administrator = Administrator::of(&self.data);
        let portfolio = administrator.portfolio(self.portfolio.as_deref())?;
        administrator.ask(request(portfolio))
    }
}

/// `token create`, `token list` and `token revoke`.
pub fn token(command: TokenCommand) -> Result<u8, String> {
    let (role, terms) = match command {
        TokenCommand::List { whose } => return tell(whose.ask(|portfolio| Request::Tokens { portfolio })),
        TokenCommand::Revoke { whose, token } => {
            return tell(whose.ask(|portfolio| Request::RevokeToken { portfolio, token }));
        }
        TokenCommand::Create { role: TokenFor::Lock { name, property, doors, terms } } => {
            (JoinRole::Lock { name, property, doors }, terms)
        }
        TokenCommand::Create { role: TokenFor::Operator { email, terms } } => (JoinRole::Operator { email }, terms),
        TokenCommand::Create { role: TokenFor::Holder { email, terms } } => (JoinRole::Holder { email }, terms),
    };
    let TokenTerms { whose, address, minutes, quiet } = terms;
    let made = whose.ask(|portfolio| Request::MakeToken { portfolio, role, address, seconds: minutes * 60 })?;
    match &made {
        control::Reply::Token { text, .. } if quiet => println!("{text}"),
        _ => return tell(Ok(made)),
    }
    Ok(0)
}

/// `identity list`, `identity disable` and `identity enable`.
pub fn identity(command: IdentityCommand) -> Result<u8, String> {
    let set = |identity, disabled| move |portfolio| Request::DisableIdentity { portfolio, identity, disabled };
    tell(match command {
        IdentityCommand::List { whose } => whose.ask(|portfolio| Request::Identities { portfolio }),
        IdentityCommand::Disable { whose, identity } => whose.ask(set(identity, true)),
        IdentityCommand::Enable { whose, identity } => whose.ask(set(identity, false)),
    })
}

/// `authority rotate`.
pub fn authority(command: AuthorityCommand) -> Result<u8, String> {
    let AuthorityCommand::Rotate { data } = command;
    tell(Administrator::of(&data).ask(Request::RotateAuthority {}))
}

/// Shows what was done or found.
fn tell(answer: control::Answer) -> Result<u8, String> {
    match &answer? {
        control::Reply::Token { token, role, name, until, text } => {
            println!("{text}");
            println!();
            println!("{}: lets {role} `{name}` join, once, until {until}.", TokenId(*token));
            println!("Whoever has it can use it: hand it over, don't post it.");
            if role == "operator" {
                let at = if text.contains('@') { "" } else { " --address HOST:PORT" };
                println!("On the manager's machine: keyward login{at} TOKEN");
            }
        }
        control::Reply::Tokens(tokens) => {
            for line in tokens {
                let over = if line.over { ", over" } else { "" };
                println!("{:<6} {:<9} {}  until {}{over}", line.token, line.role, line.name, line.until);
            }
            if tokens.is_empty() {
                println!("no token waits to be used");
            }
        }
        control::Reply::Identities(identities) => {
            identities.iter().for_each(tell_identity);
            if identities.is_empty() {
                println!("nobody has joined");
            }
        }
        control::Reply::Done(what) => println!("{what}"),
        control::Reply::Told(_) => return Err(super::administer::UNEXPECTED.to_owned()),
    }
    Ok(0)
}

fn tell_identity(line: &control::IdentityLine) {
    let now = match (&line.connected_from, line.disabled) {
        (_, true) => "disabled".to_owned(),
        (Some(from), false) => format!("connected from {from}"),
        (None, false) => "not connected".to_owned(),
    };
    let until = line.certificate_until.as_ref().map(|until| format!(", certificate until {until}")).unwrap_or_default();
    let (name, label, joined) = (&line.name, &line.label, &line.joined);
    println!("{:<6} {:<9} {name} on {label}, joined {joined}, {now}{until}", line.identity, line.role);
}
