//! What can fail, and what a failure means: is the job at fault or the world, can the file still be trusted, and may it pass by itself?

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ErrorCode;

/// How long a statement may read: for the daemon itself, and for commands and what a bill rests on.
pub const QUICK: Duration = Duration::from_secs(5);
pub const PATIENT: Duration = Duration::from_secs(60);

/// What went wrong while working with an open store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("store: {0}")]
    Sqlite(rusqlite::Error),
    #[error(
        "the store was read for too long (limit: {} s within the daemon, {} s for a command) and the read was ended, because the write-ahead log \
         grows while it lasts; ask for less at a time (--since, --station, --limit N), or ask a copy: sqlite3 STORE \".backup COPY\"",
        QUICK.as_secs(), PATIENT.as_secs()
    )]
    TooSlow,
    #[error("store holds something unreadable: {0}")]
    Content(String),
    #[error("a fault of ours (panic) while applying a message")]
    Panic,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("store {path}: no such file; `forecourt run` makes it on its first start")]
    Missing { path: PathBuf },
    #[error("store {path}: another forecourt process is using it")]
    Locked { path: PathBuf },
    #[error(
        "store {path} was written by a newer forecourt (schema {found}, this version knows {known}); install that version or restore a backup"
    )]
    Newer { path: PathBuf, found: i64, known: usize },
    #[error("store {path} is not a forecourt store (application id {found:#x})")]
    Foreign { path: PathBuf, found: i32 },
    #[error("store {path} belongs to site {found}, the configuration says {wanted}; give each site its own store")]
    OtherSite { path: PathBuf, found: String, wanted: String },
    #[error("store {path}: synchronous is {found}, not FULL (2): an answered message could be lost in a power cut")]
    NotDurable { path: PathBuf, found: i64 },
    #[error("store {path}: SQLite offers journal mode {mode}, not WAL; network file systems do that: use a local disk")]
    NotWal { path: PathBuf, mode: String },
    #[error(
        "store {path} was written by an older forecourt (schema {found} of {known}); start the daemon once to bring it up to date"
    )]
    Older { path: PathBuf, found: usize, known: usize },
    #[error(
        "store {path}: what an earlier run wrote cannot be made safe against a power cut: {source}; nothing is answered until it can"
    )]
    Unsure { path: PathBuf, source: std::io::Error },
    #[error(
        "epoch_file of the chain {path}: {source}; without it an older copy of the store could sign its numbers a second time: let the daemon write \
         into that folder"
    )]
    EpochFile { path: PathBuf, source: std::io::Error },
    #[error("store {path}: {source}")]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("store {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
}

impl OpenError {
    pub(super) fn of(path: &Path, error: StoreError) -> Self {
        let path = path.to_owned();
        match error {
            StoreError::Sqlite(source) => Self::Sqlite { path, source },
            other => Self::File { path, source: std::io::Error::new(std::io::ErrorKind::InvalidData, other.to_string()) },
        }
    }
}

/// The disk, the file or another process is at fault, not the job.
pub(super) fn is_storage_failure(error: &StoreError) -> bool {
    use ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, PermissionDenied, ReadOnly};
    let StoreError::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = error else { return false };
    is_damage(error)
        || matches!(
            failure.code,
            CannotOpen | DatabaseBusy | DatabaseLocked | DiskFull | OutOfMemory | PermissionDenied | ReadOnly
        )
}

/// Errors after which nobody knows what reached the disk.
pub(super) fn is_damage(error: &StoreError) -> bool {
    let StoreError::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = error else { return false };
    matches!(failure.code, ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
}

impl OpenError {
    /// Whether waiting may help: a full or failing disk, a file system that is mounted read-only after an error, another program
    /// that holds the store for a while. What a person must mend says no.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } => sqlite_may_pass(source),
            Self::File { source, .. } | Self::Unsure { source, .. } | Self::EpochFile { source, .. } => io_may_pass(source),
            _ => false,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            // Nothing else interrupts a statement of ours.
            rusqlite::Error::SqliteFailure(failure, _) if failure.code == ErrorCode::OperationInterrupted => Self::TooSlow,
            _ => Self::Sqlite(error),
        }
    }
}

impl StoreError {
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Sqlite(source) => sqlite_may_pass(source),
            Self::TooSlow => true,
            Self::Content(_) | Self::Panic => false,
        }
    }
}

fn sqlite_may_pass(error: &rusqlite::Error) -> bool {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OperationInterrupted, OutOfMemory,
        ReadOnly, SystemIoFailure,
    };
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return false };
    matches!(
        failure.code,
        CannotOpen
            | DatabaseBusy
            | DatabaseLocked
            | DiskFull
            | FileLockingProtocolFailed
            | OperationInterrupted
            | OutOfMemory
            | ReadOnly
            | SystemIoFailure
    )
}

/// Whether an error of the operating system may pass by itself. A file that is missing or forbidden stays so.
pub fn io_may_pass(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    !matches!(
        error.kind(),
        Kind::NotFound
            | Kind::PermissionDenied
            | Kind::InvalidInput
            | Kind::InvalidData
            | Kind::IsADirectory
            | Kind::NotADirectory
            | Kind::InvalidFilename
            | Kind::Unsupported
    )
}
