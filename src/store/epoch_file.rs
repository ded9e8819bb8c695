//! The epoch file: epoch and end of the chain, kept outside the store, beside the signing key. It finds out an older copy of the
//! store that was put back, before a number is signed a second time.
//!
//! Rule: a record leaves only after the epoch file that names it (or a later one) is on disk. So the epoch file may be behind the
//! store, and it is never behind what the world has seen; a store that is behind the epoch file is an older copy.
//! It is written whole to a file beside and renamed, so a power cut leaves the old one or the new one.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::{error, info};

use crate::record::Hash;

/// An epoch file that could not be written is tried again; its records wait meanwhile.
const RETRY: Duration = Duration::from_secs(1);

/// Where a chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChainEnd {
    pub(super) epoch: i64,
    pub(super) seq: u64,
    /// `None` exactly for `seq` 0.
    pub(super) hash: Option<Hash>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EpochFile {
    pub(super) site: String,
    pub(super) epoch: i64,
    pub(super) seq: u64,
    pub(super) hash: Option<String>,
}

/// `Ok(None)`: there is none, or it cannot be read as one.
pub(super) fn read(path: &Path, site: &str) -> io::Result<Option<EpochFile>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(serde_json::from_slice::<EpochFile>(&text).ok().filter(|epoch_file| epoch_file.site == site))
}

pub(super) fn write(path: &Path, site: &str, end: &ChainEnd) -> io::Result<()> {
    let hash = end.hash.map(|hash| hash.to_string());
    let epoch_file = EpochFile { site: site.to_owned(), epoch: end.epoch, seq: end.seq, hash };
    let text = serde_json::to_string(&epoch_file)? + "\n";
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

/// Keeps the epoch file up to date; what it names may leave then. Ends with the writer.
pub(super) async fn keep(
    path: PathBuf,
    site: String,
    mut ends: watch::Receiver<ChainEnd>,
    epoch: watch::Sender<i64>,
    records: watch::Sender<u64>,
) {
    let mut failing = false;
    while ends.changed().await.is_ok() {
        loop {
            let end = ends.borrow_and_update().clone();
            let (to, whose, what) = (path.clone(), site.clone(), end.clone());
            let written = tokio::task::spawn_blocking(move || write(&to, &whose, &what)).await;
            let problem = match written {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            match problem {
                None => {
                    if failing {
                        info!(path = %path.display(), "the epoch file of the chain can be written again");
                        failing = false;
                    }
                    records.send_replace(end.seq);
                    epoch.send_if_modified(|known| std::mem::replace(known, end.epoch) != end.epoch);
                    break;
                }
                Some(error) => {
                    if !failing {
                        error!(path = %path.display(), error, "the epoch file of the chain cannot be written; records wait until it can");
                        failing = true;
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_file_comes_back_and_another_sites_does_not_count() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("key.pem.s.epoch");
        assert_eq!(read(&path, "s").expect("read"), None);
        let end = ChainEnd { epoch: 7, seq: 3, hash: Some(Hash::of(b"x")) };
        write(&path, "s", &end).expect("write");
        let found = read(&path, "s").expect("read").expect("an epoch file");
        assert_eq!((found.epoch, found.seq, found.hash), (7, 3, Some(Hash::of(b"x").to_string())));
        assert_eq!(read(&path, "t").expect("read"), None);
        std::fs::write(&path, "{").expect("write");
        assert_eq!(read(&path, "s").expect("read"), None);
    }
}
