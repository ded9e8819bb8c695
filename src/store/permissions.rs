//! Who may read the store's files: their owner, and its group where an operator allows it (`chmod g+r`). They hold tokens.
//!
//! - Made here: 0600 whatever the umask says; SQLite gives `-wal` and `-shm` the mode of the store itself.
//! - Found here: left as they are, as somebody may have reasons, and warned of when others can read them.
//! - Who may read the store may also ask whether a daemon runs: its locks are on these files.

use std::fs::{File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tracing::warn;

const OWN: u32 = 0o600;
/// What nobody beyond owner and group should have, nor the group beyond reading.
const LOOSE: u32 = 0o037;

/// Opens the store file, making an empty one where there is none, before SQLite does it with a mode of its own.
pub fn open(store: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).mode(OWN);
    match options.clone().create_new(true).open(store) {
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(OWN))?;
            Ok(file)
        }
        // Also where a symbolic link leads.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.create(true).truncate(false).open(store),
        Err(error) => Err(error),
    }
}

/// Warns of files of the store that anybody can read or the group can write.
pub fn check(store: &Path) {
    let beside = |suffix: &str| {
        let mut name = store.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let loose: Vec<String> = [store.to_owned(), beside("-wal"), beside("-shm")]
        .iter()
        .filter_map(|path| Some((path, path.metadata().ok()?.permissions().mode() & 0o777)))
        .filter(|(_, mode)| mode & LOOSE != 0)
        .map(|(path, mode)| format!("{} ({mode:o})", path.display()))
        .collect();
    if !loose.is_empty() {
        let files = loose.join(", ");
        warn!(
            files,
            "other users can read or change the store, which holds tokens; chmod 600 these files (640: the group may read)"
        );
    }
}
