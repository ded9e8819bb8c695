//! What the HTTP server shows: the snapshot, the store's counts, and whether everything turns.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle as Task;
use tracing::{info, warn};

use super::beats::Beats;
use super::observer::Observer;
use crate::config::Config;
use crate::observe::Snapshot;
use crate::store::{self, OpenError, QUICK, Reader};
use crate::units::{Now, Time};
use crate::web::{self, Counts, Problems, Source};

/// For all of the store's counts together.
const PATIENCE: Duration = Duration::from_millis(500);
/// For a disk that does not answer: then no limit of a statement is noticed.
const GIVEN_UP: Duration = Duration::from_secs(1);

/// The listener of `[web]`, if there is to be one.
pub async fn bind(config: &Config) -> io::Result<Option<TcpListener>> {
    let Some(address) = config.web.listen else { return Ok(None) };
    let listener = web::bind(address).await?;
    if let Some(warning) = web::without_login(address) {
        warn!("{warning}");
    }
    Ok(Some(listener))
}

/// Answers in a task of its own.
pub fn start(
    listener: TcpListener,
    config: &Config,
    observer: Observer,
    beats: Beats,
    stopping: watch::Receiver<bool>,
) -> Result<Task<()>, OpenError> {
    let watched = Watched {
        beats,
        stations: config.stations.iter().map(|station| station.id.clone()).collect(),
        reader: Arc::new(Mutex::new(Reader::open(&config.store.path, QUICK)?)),
        path: config.store.path.clone(),
        now: observer.clock.as_now(),
        observer,
    };
    let listen = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    info!(listen, "health and metrics are shown over HTTP");
    Ok(tokio::spawn(web::serve(listener, Arc::new(watched), stopping)))
}

struct Watched {
    observer: Observer,
    beats: Beats,
    /// Those of the configuration.
    stations: Arc<[String]>,
    /// Whoever waits for it waits for a read that has begun: reads that hang do not pile up.
    reader: Arc<Mutex<Reader>>,
    path: PathBuf,
    now: Now,
}

impl Source for Watched {
    fn snapshot(&self) -> Snapshot {
        self.observer.snapshot()
    }

    async fn counts(&self) -> Counts {
        let read = async {
            let reader = Arc::clone(&self.reader).lock_owned().await;
            let (stations, path, now) = (Arc::clone(&self.stations), self.path.clone(), (self.now)());
            let read = move || {
                let counts = reader.counts(&stations, Instant::now() + PATIENCE);
                let age = |at: Time| u64::try_from((now - at).num_seconds()).unwrap_or_default();
                let problem = |row: store::Problems| Problems { kind: row.kind, severity: row.severity, count: row.count };
                Counts {
                    sessions_open: counts.open,
                    sessions_waiting: counts.waiting,
                    sessions_held: counts.held,
                    oldest_outbox_age_s: counts.oldest_outbox_at.map(|oldest| oldest.map_or(0, age)),
                    problems: counts.problems.map(|rows| rows.into_iter().map(problem).collect()),
                    heard: counts.heard.map(|rows| rows.into_iter().map(|(station, at)| (station, at.timestamp())).collect()),
                    store_bytes: size(&path),
                }
            };
            tokio::task::spawn_blocking(read).await.unwrap_or_default()
        };
        tokio::time::timeout(GIVEN_UP, read).await.unwrap_or_default()
    }

    fn stations(&self) -> &[String] {
        &self.stations
    }

    fn stalled(&self) -> Vec<String> {
        self.beats.stalled()
    }

    fn unready(&self) -> Vec<String> {
        let Observer { store, csms, .. } = &self.observer;
        let mut reasons = Vec::new();
        if !store.available() {
            reasons.push(
                "the store cannot commit: nothing is answered and stations are turned away; is the disk full, read-only or failing? \
                 The log has the error"
                    .to_owned(),
            );
        }
        let (open, all) = csms.listening();
        if open < all {
            reasons.push(format!("{open} of {all} listeners for stations (ocpp.listen) are open; the log says why"));
        }
        reasons
    }
}

/// With what is in its write-ahead log.
fn size(store: &Path) -> Option<u64> {
    let mut log = store.as_os_str().to_owned();
    log.push("-wal");
    let log = std::fs::metadata(log).map_or(0, |log| log.len());
    Some(std::fs::metadata(store).ok()?.len() + log)
}
