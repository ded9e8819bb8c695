//! The signing key's file: read, or made on the first start.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::config::SigningKeyFile;
use crate::record::{KeyError, SigningKey};

#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("signing key {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("signing key {path}: {source}")]
    Key { path: PathBuf, source: KeyError },
}

/// Reads the key, or makes one with mode 0600 when the file is ours to make. The file is on disk before the key is used: a
/// record whose key got lost could never be verified.
pub fn load_or_make(file: &SigningKeyFile) -> Result<SigningKey, KeyFileError> {
    let path = &file.path;
    match read(path) {
        Ok(pem) => SigningKey::from_pem(&pem).map_err(|source| KeyFileError::Key { path: path.clone(), source }),
        Err(error) if error.kind() == ErrorKind::NotFound && file.made_when_absent => make(path),
        Err(source) => Err(KeyFileError::File { path: path.clone(), source }),
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        warn!(path = %path.display(), mode = format!("{:o}", mode & 0o777), "others can read the signing key; chmod 600 it");
    }
    let mut pem = String::new();
    file.read_to_string(&mut pem)?;
    Ok(pem)
}

fn make(path: &Path) -> Result<SigningKey, KeyFileError> {
    let (key, pem) = SigningKey::generate().map_err(|source| KeyFileError::Key { path: path.to_owned(), source })?;
    let write = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // Written beside and renamed: a power cut leaves a whole key or none.
        let draft = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| KeyFileError::File { path: path.to_owned(), source })?;
    info!(path = %path.display(), "signing key made");
    Ok(key)
}
