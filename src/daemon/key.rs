//! The signing key's file: read, or made on the first start.

use std::fs::{File, OpenOptions, Permissions};
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
    // Reading by the group may be wanted; systemd hands out credentials so.
    if mode & 0o037 != 0 {
        warn!(path = %path.display(), mode = format!("{:o}", mode & 0o777), "other users can read or change the signing key; chmod 600 it");
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
        // What lies there from a first start that was cut short, or was put there, is not written into: its mode, its owner or the
        // place it links to would be those of the key.
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| KeyFileError::File { path: path.to_owned(), source })?;
    info!(path = %path.display(), "signing key made");
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Signer as _;

    /// A draft that others can read, or that leads elsewhere, does not become the key.
    #[test]
    fn what_lies_in_the_way_of_a_new_key_is_not_written_into() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = SigningKeyFile { path: dir.path().join("signing-key.pem"), made_when_absent: true };
        let (draft, elsewhere) = (dir.path().join("signing-key.new"), dir.path().join("elsewhere"));
        std::fs::write(&draft, "old").expect("a draft");
        std::fs::set_permissions(&draft, Permissions::from_mode(0o666)).expect("loose");
        let first = load_or_make(&file).expect("a key");
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&file.path), 0o600);
        assert!(!draft.exists());
        assert_eq!(load_or_make(&file).expect("read again").kid(), first.kid());

        std::fs::remove_file(&file.path).expect("removed");
        std::fs::write(&elsewhere, "theirs").expect("a file");
        std::os::unix::fs::symlink(&elsewhere, &draft).expect("a link");
        load_or_make(&file).expect("a key");
        assert_eq!(std::fs::read_to_string(&elsewhere).expect("text"), "theirs");
        assert_eq!(mode(&file.path), 0o600);
        assert!(file.path.symlink_metadata().expect("there").is_file());
    }
}
