//! What a failure means: is the job at fault or the world, can the file still be trusted, and may it pass by itself?

use std::io;

use rusqlite::ErrorCode;

use super::{OpenError, StoreError};

/// The disk, the file or another process is at fault, not the job.
pub(super) fn is_storage_failure(error: &StoreError) -> bool {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OperationInterrupted, OutOfMemory, PermissionDenied, ReadOnly,
    };
    let StoreError::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = error else { return false };
    is_damage(error)
        || matches!(
            failure.code,
            CannotOpen
                | DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | OperationInterrupted
                | OutOfMemory
                | PermissionDenied
                | ReadOnly
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

impl StoreError {
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Sqlite(source) => sqlite_may_pass(source),
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
