//! An identity on disk: `ca.pem`, `certificate.pem`, `key.pem` and `lineage` in a directory that only its owner reads.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::ClientIdentity;

/// Why an identity can't be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {source}", path.display())]
pub struct FileError {
    /// Which file or directory.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

impl ClientIdentity {
    /// Reads what [`ClientIdentity::save`] wrote.
    pub fn load(directory: &Path) -> Result<ClientIdentity, FileError> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(|source| FileError { path, source })
        };
        let lineage = match read("lineage") {
            Ok(lineage) => Some(lineage.trim().to_owned()),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let key_pem = Zeroizing::new(read("key.pem")?);
        Ok(ClientIdentity { ca_pem: read("ca.pem")?, cert_pem: read("certificate.pem")?, key_pem, lineage })
    }

    /// Writes it, over an earlier one too: each file takes its place whole, the key first, so that a crash between them
    /// leaves nothing that a renewal could not put right.
    pub fn save(&self, directory: &Path) -> Result<(), FileError> {
        make_private(directory).map_err(|source| FileError { path: directory.to_owned(), source })?;
        let lineage = self.lineage.as_deref().map(|lineage| ("lineage", lineage));
        let files = [("key.pem", self.key_pem.as_str()), ("ca.pem", &self.ca_pem), ("certificate.pem", &self.cert_pem)];
        for (name, text) in files.into_iter().chain(lineage) {
            let path = directory.join(name);
            replace(&path, text.as_bytes()).map_err(|source| FileError { path, source })?;
        }
        Ok(())
    }
}

fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_extension("next");
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&next)?;
    file.write_all(bytes)?;
    // The key is nowhere else.
    file.sync_all()?;
    fs::rename(&next, path)
}
