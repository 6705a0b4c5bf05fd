//! The servers that this user has joined: one directory each, and which of them is the current one.

use std::{
    fmt,
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;
use keyward_protocol::{
    client::{ClientIdentity, Joined},
    codec::SERVER_NAME,
    time::Moment,
};
use serde::{Deserialize, Serialize};

/// The longest name of a server, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// The files of an identity.
const AUTHORITY: &str = "ca.pem";
const CERTIFICATE: &str = "certificate.pem";
const SECRET: &str = "key.pem";
const FACTS: &str = "server.toml";

/// Where keyward keeps what is the user's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places {
    /// Settings: `$XDG_CONFIG_HOME/keyward`.
    pub config: PathBuf,
    /// Servers and their identities: `$XDG_DATA_HOME/keyward`.
    pub data: PathBuf,
    /// What is remembered between two runs: `$XDG_STATE_HOME/keyward`.
    pub state: PathBuf,
}

impl Places {
    /// The places that the environment names.
    ///
    /// # Errors
    ///
    /// The user has no home directory.
    pub fn of_user() -> Result<Places, String> {
        let base = etcetera::choose_base_strategy().map_err(|error| format!("{error}: set HOME"))?;
        let state = base.state_dir().unwrap_or_else(|| base.data_dir());
        let own = |directory: PathBuf| directory.join("keyward");
        Ok(Places { config: own(base.config_dir()), data: own(base.data_dir()), state: own(state) })
    }
}

/// What a server is called here: letters, digits, `-`, `_` and `.`, which a directory may be named by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ServerName(String);

impl ServerName {
    /// The name, if it can be one.
    ///
    /// # Errors
    ///
    /// It is empty, too long, begins with a dot or a dash, or has other characters than a name may have.
    pub fn parse(text: &str) -> Result<ServerName, ServersError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        match plain && begins && text.len() <= NAME_BYTES_MAX {
            true => Ok(ServerName(text.to_owned())),
            false => Err(ServersError::Name(text.to_owned())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a server can't be kept or found.
#[derive(Debug)]
pub enum ServersError {
    /// This can't be a name.
    Name(String),
    /// This can't be an address.
    Address(String),
    /// There is one of this name already.
    Taken(ServerName),
    /// There is none of this name; the one that may be meant.
    Unknown(String, Option<ServerName>),
    /// A server's file is not what it should be.
    Unreadable(PathBuf, String),
    /// The disk.
    Disk(PathBuf, io::Error),
}

impl fmt::Display for ServersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServersError::Name(text) => {
                write!(f, "`{text}` can't name a server: use up to 64 letters, digits, `-`, `_` and `.`")
            }
            ServersError::Address(text) => {
                write!(f, "`{text}` is no address: write it like `keyward.example:7411` or `192.0.2.7:7411`")
            }
            ServersError::Taken(name) => {
                write!(f, "there is a server `{name}` already: remove it first, or choose another name")
            }
            ServersError::Unknown(name, Some(near)) => write!(f, "there is no server `{name}`: did you mean `{near}`?"),
            ServersError::Unknown(name, None) => {
                write!(f, "there is no server `{name}`: `keyward server list` shows those there are")
            }
            ServersError::Unreadable(path, why) => write!(f, "`{}` can't be read: {why}", path.display()),
            ServersError::Disk(path, error) => write!(f, "`{}`: {error}", path.display()),
        }
    }
}

impl std::error::Error for ServersError {}

/// A server with what is needed to talk to it.
#[derive(Clone, Debug)]
pub struct Known {
    /// What it is called, here and on the screen.
    pub name: String,
    /// Where it answers, `host:port`, the first tried first.
    pub addresses: Vec<String>,
    /// Who we are there.
    pub identity: ClientIdentity,
    /// When a further certificate should be asked for, and where it is kept then; `None` for an identity that is
    /// somebody else's to look after.
    pub kept: Option<Kept>,
}

/// An identity that is renewed by itself.
#[derive(Clone, Debug)]
pub struct Kept {
    /// From when on a further certificate should be asked for.
    pub renew_at: Moment,
    servers: Servers,
    name: ServerName,
}

impl Kept {
    /// Keeps what the server answered to a renewal.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub fn renewed(&mut self, joined: &Joined) -> Result<(), ServersError> {
        self.servers.renew(&self.name, joined)?;
        self.renew_at = joined.certified.renew_at;
        Ok(())
    }
}

impl Known {
    /// An identity in a directory of its own, for a server at one address.
    ///
    /// # Errors
    ///
    /// The address is none, or a file can't be read.
    pub fn in_directory(directory: &Path, address: &str) -> Result<Known, ServersError> {
        check_address(address)?;
        let identity = read_identity(directory, None)?;
        Ok(Known { name: address.to_owned(), addresses: vec![address.to_owned()], identity, kept: None })
    }
}

/// What `server.toml` holds: a promise, so it has a type of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    addresses: Vec<String>,
    tls_name: String,
    /// From when on a further certificate should be asked for (RFC 3339).
    renew_at: String,
}

/// The servers that are known, in a user's directories.
#[derive(Clone, Debug)]
pub struct Servers {
    directory: PathBuf,
    current: PathBuf,
}

impl Servers {
    /// Those of a user.
    pub fn new(places: &Places) -> Servers {
        Servers { directory: places.data.join("servers"), current: places.state.join("server") }
    }

    /// Keeps a server under a name that is free, and makes it the current one. What was joined is whole or not there.
    ///
    /// # Errors
    ///
    /// The name is taken, an address is none, or the disk refuses.
    pub fn add(&self, name: &ServerName, addresses: &[String], joined: &Joined) -> Result<(), ServersError> {
        let identity = &joined.identity;
        addresses.iter().try_for_each(|address| check_address(address))?;
        let home = self.directory.join(name.as_str());
        if home.exists() {
            return Err(ServersError::Taken(name.clone()));
        }
        // Names never begin with a dot, so this is nobody's.
        let made = self.directory.join(format!(".{name}.new"));
        let disk = |error| ServersError::Disk(made.clone(), error);
        if made.exists() {
            fs::remove_dir_all(&made).map_err(disk)?;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&made).map_err(disk)?;
        let facts = facts_of(addresses, joined).map_err(|why| ServersError::Unreadable(made.clone(), why))?;
        let files = [
            (AUTHORITY, identity.ca_pem.as_str()),
            (CERTIFICATE, &identity.cert_pem),
            (SECRET, &identity.key_pem),
            (FACTS, &facts),
        ];
        for (file, text) in files {
            write_private(&made.join(file), text).map_err(disk)?;
        }
        fs::rename(&made, &home).map_err(|error| ServersError::Disk(home.clone(), error))?;
        self.make_current(name)
    }

    /// Keeps a further certificate of a server that is known: each file takes its place whole.
    fn renew(&self, name: &ServerName, joined: &Joined) -> Result<(), ServersError> {
        let home = self.directory.join(name.as_str());
        let known = self.get(name.as_str())?;
        let identity = &joined.identity;
        let facts = facts_of(&known.addresses, joined).map_err(|why| ServersError::Unreadable(home.clone(), why))?;
        let files = [(AUTHORITY, identity.ca_pem.as_str()), (CERTIFICATE, &identity.cert_pem), (FACTS, &facts)];
        for (file, text) in files {
            let (path, next) = (home.join(file), home.join(format!("{file}.next")));
            _ = fs::remove_file(&next);
            let disk = |error| ServersError::Disk(path.clone(), error);
            write_private(&next, text).map_err(disk)?;
            fs::rename(&next, &path).map_err(disk)?;
        }
        Ok(())
    }

    /// The names, sorted.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub fn names(&self) -> Result<Vec<ServerName>, ServersError> {
        let disk = |error| ServersError::Disk(self.directory.clone(), error);
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(disk(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(disk)?.file_name();
            // What can't be a name was not made by us.
            names.extend(name.to_str().and_then(|name| ServerName::parse(name).ok()));
        }
        names.sort();
        Ok(names)
    }

    /// The server of this name.
    ///
    /// # Errors
    ///
    /// There is none, or its files can't be read.
    pub fn get(&self, name: &str) -> Result<Known, ServersError> {
        let name = self.find(name)?;
        let home = self.directory.join(name.as_str());
        let path = home.join(FACTS);
        let text = fs::read_to_string(&path).map_err(|error| ServersError::Disk(path.clone(), error))?;
        let unreadable = |why: String| ServersError::Unreadable(path.clone(), why);
        let facts: Facts = toml::from_str(&text).map_err(|error| unreadable(error.message().to_owned()))?;
        if facts.addresses.is_empty() {
            return Err(unreadable("it names no address".to_owned()));
        }
        facts.addresses.iter().try_for_each(|address| check_address(address))?;
        let lineage = lineage_of(&facts.tls_name)
            .ok_or_else(|| unreadable(format!("`{}` is no name of a keyward server", facts.tls_name)))?;
        let identity = read_identity(&home, lineage)?;
        let renew_at = Moment::parse(&facts.renew_at).map_err(|error| unreadable(error.to_string()))?;
        let kept = Kept { renew_at, servers: self.clone(), name: name.clone() };
        Ok(Known { name: name.to_string(), addresses: facts.addresses, identity, kept: Some(kept) })
    }

    /// The current server: the one that was used last, else the configured one, else the only one.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub fn current(&self, configured: Option<&str>) -> Result<Option<ServerName>, ServersError> {
        let names = self.names()?;
        let used = fs::read_to_string(&self.current).unwrap_or_default();
        let among = |wanted: &str| names.iter().find(|name| name.as_str() == wanted.trim()).cloned();
        let only = || names.first().filter(|_| names.len() == 1).cloned();
        Ok(among(&used).or_else(|| configured.and_then(among)).or_else(only))
    }

    /// Makes this server the current one.
    ///
    /// # Errors
    ///
    /// There is none of this name, or the disk refuses.
    pub fn use_from_now_on(&self, name: &str) -> Result<ServerName, ServersError> {
        let name = self.find(name)?;
        self.make_current(&name)?;
        Ok(name)
    }

    /// Forgets a server and the identity that we had there.
    ///
    /// # Errors
    ///
    /// There is none of this name, or the disk refuses.
    pub fn remove(&self, name: &str) -> Result<ServerName, ServersError> {
        let name = self.find(name)?;
        let home = self.directory.join(name.as_str());
        // Files that are not ours stay, and then so does the directory.
        for file in [SECRET, CERTIFICATE, AUTHORITY, FACTS] {
            match fs::remove_file(home.join(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(ServersError::Disk(home, error)),
                _ => {}
            }
        }
        fs::remove_dir(&home).map_err(|error| ServersError::Disk(home, error))?;
        Ok(name)
    }

    fn find(&self, text: &str) -> Result<ServerName, ServersError> {
        let names = self.names()?;
        if let Some(found) = names.iter().find(|name| name.as_str() == text) {
            return Ok(found.clone());
        }
        let near = nearest(text, names.iter().map(ServerName::as_str)).map(str::to_owned);
        Err(ServersError::Unknown(text.to_owned(), near.map(ServerName)))
    }

    fn make_current(&self, name: &ServerName) -> Result<(), ServersError> {
        let disk = |error| ServersError::Disk(self.current.clone(), error);
        let directory = self.current.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(disk)?;
        fs::write(&self.current, format!("{name}\n")).map_err(disk)
    }
}

fn facts_of(addresses: &[String], joined: &Joined) -> Result<String, String> {
    let (tls_name, renew_at) = (joined.identity.server_name(), joined.certified.renew_at.to_string());
    let facts = Facts { addresses: addresses.to_vec(), tls_name, renew_at };
    toml::to_string(&facts).map_err(|error| error.to_string())
}

/// The known word that is nearest to what was written, when one is near.
pub fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|word| (strsim::damerau_levenshtein(text, word), word));
    near.filter(|(distance, word)| *distance <= 1 + word.len() / 4).min().map(|(_, word)| word)
}

/// That there is no such thing, with what may be meant, else with all that there are.
pub fn told<'a>(what: &str, text: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(text, known.clone()) {
        Some(near) => format!("there is no {what} `{text}`: did you mean `{near}`?"),
        None => format!("there is no {what} `{text}`: there are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// The lineage in a server's TLS name: none for a server of any lineage; `None` for no name of ours.
fn lineage_of(tls_name: &str) -> Option<Option<String>> {
    if tls_name == SERVER_NAME {
        return Some(None);
    }
    let lineage = tls_name.strip_suffix(SERVER_NAME)?.strip_suffix('.')?;
    (!lineage.is_empty()).then(|| Some(lineage.to_owned()))
}

fn check_address(text: &str) -> Result<(), ServersError> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match parts.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(port)) if port > 0 => Ok(()),
        _ => Err(ServersError::Address(text.to_owned())),
    }
}

fn read_identity(directory: &Path, lineage: Option<String>) -> Result<ClientIdentity, ServersError> {
    let read = |file: &str| {
        let path = directory.join(file);
        fs::read_to_string(&path).map_err(|error| ServersError::Disk(path, error))
    };
    let identity = ClientIdentity::new(read(AUTHORITY)?, read(CERTIFICATE)?, read(SECRET)?);
    Ok(ClientIdentity { lineage, ..identity })
}

/// Writes a new file that nobody else may read, and waits for the disk.
///
/// # Errors
///
/// It is there already, or the disk refuses.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use keyward_protocol::{entry::Party, id::PersonId, message::join::Certified};

    use super::*;

    fn servers() -> (tempfile::TempDir, Servers) {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let places = Places { config: at("config"), data: at("data"), state: at("state") };
        let servers = Servers::new(&places);
        (home, servers)
    }

    fn name(text: &str) -> ServerName {
        ServerName::parse(text).unwrap()
    }

    fn joined(lineage: Option<&str>) -> Joined {
        let certified = Certified {
            party: Party::Operator(PersonId(1)),
            name: "Dana".to_owned(),
            portfolio: "Harbor".to_owned(),
            certificate_pem: String::new(),
            authorities_pem: String::new(),
            lineage: String::new(),
            valid_until: Moment::from_micros(9_000_000),
            renew_at: Moment::from_micros(3_000_000),
            join_again: None,
        };
        Joined { identity: identity(lineage), certified }
    }

    fn identity(lineage: Option<&str>) -> ClientIdentity {
        ClientIdentity { lineage: lineage.map(str::to_owned), ..ClientIdentity::new("authority", "mine", "secret") }
    }

    #[test]
    fn a_server_comes_back_as_it_was_added_and_its_secret_is_the_users_alone() {
        let (home, servers) = servers();
        let addresses = vec!["keyward.example:7411".to_owned(), "[::1]:7411".to_owned()];
        servers.add(&name("prod"), &addresses, &joined(Some("ab12"))).unwrap();
        let known = servers.get("prod").unwrap();
        assert_eq!(known.addresses, addresses);
        assert_eq!(known.identity.lineage.as_deref(), Some("ab12"));
        assert_eq!((known.identity.ca_pem.as_str(), known.identity.key_pem.as_str()), ("authority", "secret"));
        let key = home.path().join("data/servers/prod/key.pem");
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(servers.add(&name("prod"), &addresses, &joined(None)), Err(ServersError::Taken(_))));
    }

    #[test]
    fn the_one_used_last_is_current_then_the_configured_one_then_the_only_one() {
        let (home, servers) = servers();
        assert_eq!(servers.current(Some("prod")).unwrap(), None);
        servers.add(&name("prod"), &["a:1".into()], &joined(None)).unwrap();
        servers.add(&name("test"), &["b:1".into()], &joined(None)).unwrap();
        assert_eq!(servers.current(None).unwrap(), Some(name("test")));
        servers.use_from_now_on("prod").unwrap();
        assert_eq!(servers.current(Some("test")).unwrap(), Some(name("prod")));
        fs::remove_file(home.path().join("state/server")).unwrap();
        assert_eq!(servers.current(Some("test")).unwrap(), Some(name("test")));
        assert_eq!(servers.current(None).unwrap(), None);
        servers.remove("test").unwrap();
        assert_eq!(servers.current(None).unwrap(), Some(name("prod")));
    }

    #[test]
    fn a_server_that_is_not_there_is_told_with_the_one_that_may_be_meant() {
        let (_home, servers) = servers();
        servers.add(&name("production"), &["a:1".into()], &joined(None)).unwrap();
        let told = |text: &str| servers.get(text).unwrap_err().to_string();
        assert_eq!(told("prodution"), "there is no server `prodution`: did you mean `production`?");
        assert_eq!(told("x"), "there is no server `x`: `keyward server list` shows those there are");
    }

    #[test]
    fn names_are_directories_and_nothing_else() {
        for good in ["prod", "a", "Prod-2.example_x"] {
            assert!(ServerName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "-x", "a/b", "a b", "a\u{1b}", &"x".repeat(65)] {
            assert!(ServerName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["keyward.example:7411", "192.0.2.7:1", "[2001:db8::7]:7411"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for bad in ["", "keyward.example", ":7411", "a:0", "a:70000", "a:x"] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
