//! The one writer: a thread that owns the connection and the session machine.
//!
//! ```text
//! submit ──▶ gather ──▶ [ take all that waits ] ──▶ BEGIN … COMMIT (one fsync) ──▶ release every reply in one message
//! ```
//! Whatever gathers while one commit runs is the next group; no timer is involved. A reply that is dropped instead of
//! sent means "not stored": the connection is closed and the station will repeat. When a commit fails, everything in that
//! group is dropped so, the machine begins again from the store, and [`WriterHandle::available`] is false until a probe commits.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use tokio::sync::{mpsc as tokio_mpsc, watch};
use tracing::{error, info, warn};

use super::epoch_file::{self, ChainEnd};
use super::epochs::{self, Life, SiteFacts};
use super::errors::{OpenError, StoreError, is_damage, is_storage_failure};
use super::file::StoreFile;
use super::handle::{self, WriterHandle};
use super::jobs::{Calls, Job, MAX_GROUP, Raw, Reply};
use super::known_station::KnownStation;
use super::missed::Missed;
use super::open;
use super::tally::{Tally, Watch};
use super::{listed_tokens, registrations, restore, sessions};
use crate::record::Signer;
use crate::session::Origin;
use crate::station::{Machine, Policy};
use crate::units::{Now, StationId, Time, time};

/// Jobs that get a transaction each after one of ours failed.
const ONE_BY_ONE: usize = 4 * MAX_GROUP;
/// How often a store that refused a commit is tried again.
const PROBE: Duration = Duration::from_secs(1);
/// `site.alive_at` tells afterwards when a gateway lost power.
pub const ALIVE: Duration = Duration::from_secs(60);

/// The key that signs records, and its public half as a JWK for those who verify.
pub struct Signing {
    pub signer: Box<dyn Signer + Send>,
    pub jwk: String,
}

/// What changed, for the stages behind the store.
pub struct Signals {
    /// The epoch that is in use.
    pub epoch: watch::Sender<i64>,
    /// Sequence number of the last record of it that may leave: the last one that the epoch file names.
    pub records: watch::Sender<u64>,
    /// Rings when a session may have become due for settlement; one waiting ring is enough.
    pub due: mpsc::SyncSender<()>,
    /// Why the writer has ended: nothing is stored or answered any more, and the process should end.
    pub failed: watch::Sender<Option<String>>,
}

pub struct Writer {
    pub(super) site: String,
    /// Dropped before `file`, whose lock guards it.
    pub(super) connection: Connection,
    file: StoreFile,
    pub(super) epoch: i64,
    pub(super) tx_offset: i64,
    /// Once per life: a receipt that names records this store does not have has closed its epoch.
    pub(super) closed_by_receipt: bool,
    epoch_file: PathBuf,
    ends: watch::Sender<ChainEnd>,
    pub(super) machine: Machine,
    pub(super) calls: Calls,
    pub(super) signing: Signing,
    pub(super) stations: HashMap<StationId, KnownStation>,
    signals: Signals,
    released: tokio_mpsc::UnboundedSender<Vec<Reply>>,
    available: Arc<AtomicBool>,
    /// Jobs that wait for their commit.
    queue: Arc<AtomicUsize>,
    watch: Box<dyn Watch>,
    /// Jobs that still get a transaction each, because one of ours failed lately.
    one_by_one: usize,
    /// Live state that a failed group would have written.
    missed: Missed,
    /// Memory was read anew from the store, and the journal does not say so yet.
    pub(super) begun_anew: bool,
    /// Why no further group is taken.
    fatal: Option<String>,
    alive_at: Time,
    pub(super) now: Now,
}

/// What a writer works with.
pub struct Parts {
    pub policy: Policy,
    pub calls: Calls,
    pub signing: Signing,
    pub signals: Signals,
    /// Where replies go when their transaction is on disk.
    pub released: tokio_mpsc::UnboundedSender<Vec<Reply>>,
    pub now: Now,
    pub begin: open::Begin,
    pub watch: Box<dyn Watch>,
}

/// What a group did, known good only after its commit.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) released: Vec<Reply>,
    /// The end of the chain has moved.
    pub(super) sealed: bool,
    pub(super) due: bool,
    pub(super) tally: Tally,
}

impl Writer {
    /// Opens (creates, migrates) the store and restores the machine from it. Nothing runs yet.
    pub fn open(path: &Path, facts: &SiteFacts, parts: Parts) -> Result<Self, OpenError> {
        let Parts { policy, calls, signing, signals, released, now, begin, watch } = parts;
        let opened = open::open_for_writing(path, facts, begin)?;
        let bad = |error| OpenError::of(path, error);
        let Life { epoch, tx_offset } = opened.life;
        let mut writer = Self {
            site: facts.site.clone(),
            connection: opened.connection,
            file: opened.file,
            epoch,
            tx_offset,
            closed_by_receipt: false,
            epoch_file: facts.epoch_file.clone(),
            ends: watch::Sender::new(ChainEnd { epoch, seq: 0, hash: None }),
            machine: Machine::new(policy, Origin { next_number: 1, tx_offset: 0, day: None }),
            calls,
            signing,
            stations: HashMap::new(),
            signals,
            released,
            available: Arc::new(AtomicBool::new(true)),
            queue: Arc::default(),
            watch,
            one_by_one: 0,
            missed: Missed::default(),
            begun_anew: true,
            fatal: None,
            alive_at: now(),
            now,
        };
        writer.begin_run(&facts.stations).map_err(|error| bad(error.into()))?;
        writer.restore().map_err(bad)?;
        let begun = (writer.now)();
        writer.end_calls_of_the_last_run(begun).map_err(bad)?;
        let (last, _) = restore::chain_tail(&writer.connection, writer.epoch).map_err(bad)?;
        writer.signals.epoch.send_replace(epoch);
        writer.signals.records.send_replace(last);
        Ok(writer)
    }

    #[cfg(test)]
    pub(super) fn available(&self) -> bool {
        self.available.load(Ordering::Relaxed)
    }

    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Remembers tariff versions, so that sessions can be locked to them.
    pub fn keep_tariffs(&mut self, tariffs: &[(String, String, String)], now: Time) -> Result<(), StoreError> {
        for (hash, id, json) in tariffs {
            self.connection.execute(
                "INSERT INTO tariff (hash, id, json, loaded_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![hash, id, json, time::to_millis(now)],
            )?;
        }
        Ok(())
    }

    /// Starts the thread. It ends when every [`WriterHandle`] is gone and the queue is empty. Call it on the runtime.
    pub fn start(mut self) -> std::io::Result<(WriterHandle, JoinHandle<()>)> {
        let (jobs, submitted) = tokio_mpsc::unbounded_channel();
        let (groups, queue) = mpsc::channel();
        let handle = WriterHandle { jobs, available: Arc::clone(&self.available), queue: Arc::clone(&self.queue) };
        let (epoch, records) = (self.signals.epoch.clone(), self.signals.records.clone());
        tokio::spawn(epoch_file::keep(self.epoch_file.clone(), self.site.clone(), self.ends.subscribe(), epoch, records));
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| self.run(&queue))).is_err() {
                // Without a writer nothing can be answered; the supervisor starts us anew from what is on disk.
                error!("the store thread panicked; stopping");
                self.fatal = Some("the store thread panicked".to_owned());
            }
            self.available.store(false, Ordering::Relaxed);
            if let Some(why) = self.fatal.take() {
                self.signals.failed.send_replace(Some(why));
            }
        })?;
        tokio::spawn(handle::gather(submitted, groups));
        Ok((handle, thread))
    }

    fn run(&mut self, queue: &mpsc::Receiver<Vec<Job>>) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        while self.fatal.is_none() {
            let wait = if self.available.load(Ordering::Relaxed) { ALIVE } else { PROBE };
            match queue.recv_timeout(wait) {
                Ok(jobs) => group.extend(jobs),
                Err(mpsc::RecvTimeoutError::Timeout) => self.idle(),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if group.len() > 1 {
                // Under load the runtime has more to hand over and the same core to do it on: a larger group costs one fsync less.
                std::thread::yield_now();
            }
            while group.len() < MAX_GROUP
                && let Ok(jobs) = queue.try_recv()
            {
                group.extend(jobs);
            }
            if !group.is_empty() {
                let taken = group.len();
                self.commit(&mut group);
                self.queue.fetch_sub(taken, Ordering::Relaxed);
            }
        }
        if self.fatal.is_none() {
            info!("store closed");
        }
    }

    pub(super) fn commit(&mut self, group: &mut Vec<Job>) {
        if self.one_by_one == 0 {
            if let Err(failure) = self.transaction(group) {
                self.fail(&failure);
            }
            return;
        }
        // What nobody waits for comes first, each alone: it must not take a message down with it.
        for job in self.missed.take() {
            self.missed.put(job);
            if let Err(failure) = self.transaction(&mut Vec::new()) {
                self.fail(&failure);
            }
            if self.fatal.is_some() {
                return;
            }
        }
        for job in group.drain(..) {
            self.one_by_one = self.one_by_one.saturating_sub(1);
            let raw = Raw::of(&job);
            if let Err(failure) = self.transaction(&mut vec![job]) {
                self.fail(&failure);
                if let Some(raw) = raw.filter(|_| !is_storage_failure(&failure)) {
                    self.quarantine(&raw, &failure);
                }
            }
            if self.fatal.is_some() {
                return;
            }
        }
    }

    /// Applies and commits a group; releases its replies once it is on disk.
    pub(super) fn transaction(&mut self, group: &mut Vec<Job>) -> Result<(), StoreError> {
        self.missed.join(group);
        let (jobs, began) = (group.len(), Instant::now());
        let policy = group.iter().any(|job| matches!(job, Job::Policy(..))).then(|| self.machine.policy().clone());
        let outcome = self.apply_all(group);
        if let (Err(_), Some(policy)) = (&outcome, policy) {
            // Not in the store, from which all else is read anew.
            self.machine.set_policy(policy);
        }
        // Also when the transaction did not even begin: a job that is dropped with its reply is a job that is not stored.
        group.clear();
        let mut outcome = outcome?;
        if let Some(what) = self.file.displaced() {
            self.abandon(what);
            return Ok(());
        }
        self.missed.committed();
        self.file.commits(true);
        (outcome.tally.jobs, outcome.tally.took) = (jobs, began.elapsed());
        self.watch.committed(&outcome.tally);
        // One wake-up of the runtime for the whole group.
        let _ = self.released.send(outcome.released);
        if outcome.sealed {
            let (seq, hash) = restore::chain_tail(&self.connection, self.epoch)?;
            self.watch.sealed(self.epoch, seq);
            self.ends.send_replace(ChainEnd { epoch: self.epoch, seq, hash });
        }
        if outcome.due {
            let _ = self.signals.due.try_send(());
        }
        if !self.available.swap(true, Ordering::Relaxed) {
            info!("store commits again");
        }
        Ok(())
    }

    /// What is committed now goes into a file that nobody will find: nothing more is answered.
    fn abandon(&mut self, what: String) {
        error!(error = what, "the store is not where it was; stopping");
        self.available.store(false, Ordering::Relaxed);
        self.file.commits(false);
        // Into the file that we have: if only its -wal was taken, nothing is lost, and if another file stands in its place, that
        // one must not be given our log.
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            error!(%error, "the write-ahead log could not be written back");
        }
        self.fatal = Some(format!("{what}; nothing is answered until the store is in order and the daemon has started again"));
    }

    /// A failed group leaves nothing behind: not on disk, not in memory, no reply. If the world is at fault, stations are turned
    /// away until a commit works again; if we are, the next jobs get a transaction each, so that the culprit fails alone.
    fn fail(&mut self, failure: &StoreError) {
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.watch.failed();
        let is_storage = is_storage_failure(failure);
        self.missed.failed(is_storage);
        if is_storage {
            self.file.commits(false);
            if self.available.swap(false, Ordering::Relaxed) {
                error!(error = %failure, "commit failed; stations are turned away until the store works again");
            } else {
                warn!(error = %failure, "store still refuses to commit");
            }
        } else {
            error!(error = %failure, "a group of messages could not be applied; they are taken one by one now");
            self.one_by_one = ONE_BY_ONE;
        }
        let restored = self.restore();
        if is_damage(failure) || restored.is_err() {
            // Nobody knows what reached the disk: the supervisor restarts us and everything is read anew.
            error!(error = %failure, "the store cannot be trusted any more; stopping");
            self.available.store(false, Ordering::Relaxed);
            self.fatal = Some(format!("the store cannot be trusted any more: {failure}"));
        }
    }

    /// A sign of life, and while commits fail the probe that tells when they work again.
    pub(super) fn idle(&mut self) {
        if !self.available.load(Ordering::Relaxed) {
            self.alive_at = Time::default();
        }
        if let Err(failure) = self.transaction(&mut Vec::new()) {
            self.fail(&failure);
        }
    }

    /// Tells afterwards when a gateway lost power.
    pub(super) fn alive(&mut self) -> Result<(), StoreError> {
        let now = (self.now)();
        self.connection.prepare_cached("UPDATE site SET alive_at = ?1")?.execute([time::to_millis(now)])?;
        self.alive_at = now;
        Ok(())
    }

    fn apply_all(&mut self, group: &mut Vec<Job>) -> Result<Outcome, StoreError> {
        let mut outcome = Outcome { released: Vec::with_capacity(group.len()), ..Outcome::default() };
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for job in group.drain(..) {
            self.note_begin()?;
            catch_unwind(AssertUnwindSafe(|| self.apply(job, &mut outcome))).unwrap_or(Err(StoreError::Panic))?;
        }
        if ((self.now)() - self.alive_at).abs().to_std().unwrap_or_default() >= ALIVE {
            self.alive()?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(outcome)
    }

    /// Brings machine and memory to what the store says. Reads only: it runs when the disk is full, too.
    pub(super) fn restore(&mut self) -> Result<(), StoreError> {
        if let Some(Life { epoch, tx_offset }) = epochs::read(&self.connection)? {
            (self.epoch, self.tx_offset) = (epoch, tx_offset);
        }
        self.begun_anew = true;
        self.machine.reset(restore::origin(&self.connection, self.tx_offset)?);
        for session in sessions::open_sessions(&self.connection)? {
            self.machine.load(session);
        }
        for (station, evse, in_use) in restore::connectors(&self.connection, None)? {
            self.machine.load_connector(&station, evse, in_use);
        }
        for listed in listed_tokens::all(&self.connection)? {
            self.machine.set_token(listed);
        }
        for (station, registered) in registrations::all(&self.connection)? {
            self.machine.load_registration(station, registered);
        }
        self.stations.clear();
        let mut damaged = Vec::new();
        for remembered in restore::recent_messages(&self.connection, &mut damaged)? {
            self.cache_message(remembered);
        }
        for row in damaged {
            self.missed.damaged(row, (self.now)());
        }
        Ok(())
    }
}
