//! A connection for reading, whose statements end in time.
//!
//! While a statement reads, the write-ahead log cannot be taken up into the file behind it and grows with every commit. So none lasts
//! longer than its limit: SQLite asks us every [`STEPS`] steps. A list of any length is read in pages (`reader.rs`), and a page is
//! in memory before anybody may be slow to take it.
//!
//! Limits: `QUICK` (5 s) for what the daemon reads for itself, `PATIENT` (60 s) for commands and for what a bill rests on, [`VERIFYING`] for
//! one step of `verify --all`, which reads the whole file once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::errors::OpenError;
use super::open;

pub const VERIFYING: Duration = Duration::from_secs(900);
/// Of SQLite's virtual machine: some hundred microseconds.
const STEPS: i32 = 10_000;

pub(super) struct Reading {
    connection: Connection,
    opened: Instant,
    patience: Duration,
    /// When the running statement has to end, in milliseconds after `opened`.
    until: Arc<AtomicU64>,
}

impl Reading {
    pub(super) fn open(path: &Path, patience: Duration) -> Result<Self, OpenError> {
        let mut connection = open::open_read_only(path)?;
        let (opened, until) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let ends = Arc::clone(&until);
        let is_late = move || millis(opened.elapsed()) > ends.load(Ordering::Relaxed);
        let set = connection.progress_handler(STEPS, Some(is_late));
        set.map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
        Ok(Self { connection, opened, patience, until })
    }

    /// For the next statements: they have our patience from now on.
    pub(super) fn connection(&self) -> &Connection {
        self.connection_for(self.patience)
    }

    pub(super) fn connection_for(&self, patience: Duration) -> &Connection {
        self.until.store(millis(self.opened.elapsed() + patience), Ordering::Relaxed);
        &self.connection
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
