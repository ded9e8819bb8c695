//! From the journal alone the same sessions and the same bills: every store that a test leaves behind is replayed
//! (`forecourt::daemon::replay` says what is compared). Part of `Site`'s end; a test whose store cannot pass says so with a reason.

use std::path::Path;

use forecourt::config::Config;
use forecourt::daemon::replay::replay;
use tempfile::TempDir;

/// A folder where an fsync costs nothing, if there is one: nothing of a replay has to outlive it.
pub fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Fails when the store, or the site's configuration, does not give the same again. `env`: of the daemon.
pub fn check(config: &Path, store: &Path, env: &[(String, String)]) {
    // A store that was never made has nothing to say.
    if !store.exists() {
        return;
    }
    let folder = in_memory();
    let config = Config::load(config, true, env.iter().cloned(), &[]).unwrap_or_else(|error| panic!("replay: {error}"));
    let differences = replay(&config, store, folder.path()).unwrap_or_else(|error| panic!("replay: {error}"));
    assert!(differences.is_empty(), "the journal does not give what the store holds:\n{}", differences.join("\n"));
}
