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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::{mpsc as tokio_mpsc, oneshot, watch};
use tracing::{error, info, warn};

use super::bounds::Keep;
use super::calls::{CallEnd, NewCall, QueuedCall, TooManyCalls};
use super::clock::ClockNews;
use super::epoch_file::{self, ChainEnd};
use super::failure::{is_damage, is_storage_failure};
use super::file::StoreFile;
use super::journal::KnownStation;
use super::ledger::{ReceiptOutcome, Refusal};
use super::life::{self, Life};
use super::live::Missed;
use super::open::{self, OpenError, SiteFacts};
use super::quarantine::Raw;
use super::{StoreError, restore, sessions};
use crate::record::{Draft, Signer};
use crate::session::overlap::Span;
use crate::session::{Answer, Fact, Machine, Origin, Policy};
use crate::units::{Decimal, Finding, Now, Received, StationId, Time, Version, time};

/// Jobs per transaction.
pub const MAX_GROUP: usize = 512;
/// Jobs that get a transaction each after one of ours failed.
const ONE_BY_ONE: usize = 4 * MAX_GROUP;
/// How often a store that refused a commit is tried again.
const PROBE: Duration = Duration::from_secs(1);
/// `site.alive_at` tells afterwards when a gateway lost power.
const ALIVE: Duration = Duration::from_secs(60);

/// Turns the machine's answer into the frame to send; `None` when none is due.
pub type Encode = Box<dyn FnOnce(&Answer) -> Option<String> + Send>;

/// A frame from a station.
pub struct Message {
    pub station: StationId,
    pub version: Version,
    pub received: Received,
    /// `None`: not readable as a CALL.
    pub action: Option<Box<str>>,
    /// The message id of a transaction message: the same id with the same text again is a repeat and gets the same answer.
    pub repeatable: Option<Box<str>>,
    pub text: String,
    /// As received, when that was not UTF-8.
    pub bytes: Option<Box<[u8]>>,
    pub content: Content,
    pub findings: Vec<Finding>,
}

pub enum Content {
    Fact {
        fact: Fact,
        encode: Encode,
    },
    /// Nothing to decide: journaled with the answer it gets.
    Fixed {
        answer: Option<String>,
        keep: Keep,
    },
}

/// The verdict on an ended session.
pub struct Settlement {
    pub session: i64,
    pub outcome: Result<Bill, (&'static str, String)>,
    /// The last message the verdict rests on: when another came since, the session is judged again.
    pub last_message: Option<i64>,
    pub at: Time,
}

/// What becomes a record.
pub struct Bill {
    pub draft: Draft,
    pub span: Span,
    /// The most power that the station measured, in kW.
    pub highest_kw: Option<Decimal>,
}

pub enum Job {
    Message(Box<Message>, oneshot::Sender<Option<String>>),
    Connected {
        station: StationId,
        version: Version,
        peer: String,
        at: Time,
    },
    Disconnected {
        station: StationId,
        at: Time,
    },
    /// A sign of life that is not worth a journal row.
    Seen {
        station: StationId,
        at: Time,
    },
    Problem {
        kind: &'static str,
        station: Option<StationId>,
        subject: String,
        detail: String,
        at: Time,
    },
    Settle(Box<Settlement>),
    Receipt {
        epoch: i64,
        through: u64,
        root: String,
        rejected: Vec<(u64, String)>,
        at: Time,
        reply: oneshot::Sender<ReceiptOutcome>,
    },
    /// The broker refused this record, or (`None`) has taken it after all; completes when that is on disk.
    Undelivered {
        epoch: i64,
        seq: u64,
        refusal: Option<Refusal>,
        reply: oneshot::Sender<()>,
    },
    Link {
        up: bool,
        error: Option<String>,
        /// Highest record number that the broker has taken.
        sent: u64,
        at: Time,
    },
    /// Somebody asks for a call; the reply comes when it is on disk and may be sent.
    Call(Box<NewCall>, oneshot::Sender<Result<QueuedCall, TooManyCalls>>),
    /// The frame may leave when this is on disk.
    CallSent {
        number: i64,
        at: Time,
        reply: oneshot::Sender<()>,
    },
    CallEnded {
        number: i64,
        end: CallEnd,
        at: Time,
    },
    /// An answer to a call that nobody waits for any more.
    LateAnswer {
        station: StationId,
        message_id: String,
        end: CallEnd,
        at: Time,
    },
    /// Calls of a station that wait since before it connected.
    WaitingCalls(StationId, oneshot::Sender<Vec<QueuedCall>>),
    /// Completes when it is on disk.
    Clock(Box<ClockNews>, oneshot::Sender<()>),
    /// Completes when everything submitted before it is on disk.
    Flush(oneshot::Sender<()>),
}

/// A reply whose transaction is on disk.
pub enum Released {
    Message(oneshot::Sender<Option<String>>, Option<String>),
    Receipt(oneshot::Sender<ReceiptOutcome>, ReceiptOutcome),
    Call(oneshot::Sender<Result<QueuedCall, TooManyCalls>>, Result<QueuedCall, TooManyCalls>),
    WaitingCalls(oneshot::Sender<Vec<QueuedCall>>, Vec<QueuedCall>),
    Flush(oneshot::Sender<()>),
}

impl Released {
    /// Hands the reply over; one that nobody waits for any more is dropped, which is what a closed connection means.
    pub fn send(self) {
        match self {
            Self::Message(reply, answer) => drop(reply.send(answer)),
            Self::Receipt(reply, verdict) => drop(reply.send(verdict)),
            Self::Call(reply, call) => drop(reply.send(call)),
            Self::WaitingCalls(reply, calls) => drop(reply.send(calls)),
            Self::Flush(reply) => drop(reply.send(())),
        }
    }
}

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

/// The way in. Cheap to clone.
#[derive(Clone)]
pub struct WriterHandle {
    jobs: tokio_mpsc::UnboundedSender<Job>,
    available: Arc<AtomicBool>,
}

impl WriterHandle {
    /// Queues a job. When the writer is gone the job is dropped with its reply, which tells the waiting side.
    pub fn submit(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    /// Stores a message; the answer frame once it is on disk, an error when it could not be stored.
    pub fn store(&self, message: Box<Message>) -> oneshot::Receiver<Option<String>> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Message(message, reply));
        answer
    }

    /// Puts a call on record; it may be sent then.
    pub async fn call(&self, call: NewCall) -> Result<Result<QueuedCall, TooManyCalls>, Unavailable> {
        let (reply, queued) = oneshot::channel();
        self.submit(Job::Call(Box::new(call), reply));
        queued.await.map_err(|_| Unavailable)
    }

    /// Completes when everything submitted so far is on disk.
    pub async fn flush(&self) -> Result<(), Unavailable> {
        let (reply, done) = oneshot::channel();
        self.submit(Job::Flush(reply));
        done.await.map_err(|_| Unavailable)
    }

    /// False while the store cannot commit: new connections are turned away.
    pub fn available(&self) -> bool {
        self.available.load(Ordering::Relaxed)
    }
}

/// Hands jobs to the writer thread. It runs after the connections that were ready have spoken, so what they submitted goes over
/// in one piece: one wake-up of the thread and one transaction instead of one per message.
async fn gather(mut submitted: tokio_mpsc::UnboundedReceiver<Job>, groups: mpsc::Sender<Vec<Job>>) {
    loop {
        let mut jobs = Vec::new();
        if submitted.recv_many(&mut jobs, MAX_GROUP).await == 0 || groups.send(jobs).is_err() {
            return;
        }
    }
}

/// The message is not on disk.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot commit")]
pub struct Unavailable;

pub struct Writer {
    pub(super) site: String,
    /// Dropped before `file`, whose lock guards it.
    pub(super) connection: Connection,
    file: StoreFile,
    pub(super) epoch: i64,
    tx_offset: i64,
    /// Once per life: a receipt that names records this store does not have has closed its epoch.
    pub(super) closed_by_receipt: bool,
    epoch_file: PathBuf,
    ends: watch::Sender<ChainEnd>,
    pub(super) machine: Machine,
    pub(super) signing: Signing,
    pub(super) stations: HashMap<StationId, KnownStation>,
    signals: Signals,
    released: tokio_mpsc::UnboundedSender<Vec<Released>>,
    available: Arc<AtomicBool>,
    /// Jobs that still get a transaction each, because one of ours failed lately.
    one_by_one: usize,
    /// Live state that a failed group would have written.
    missed: Missed,
    /// Why no further group is taken.
    fatal: Option<String>,
    alive_at: Time,
    pub(super) now: Now,
}

/// What a writer works with.
pub struct Parts {
    pub policy: Box<dyn Policy>,
    pub signing: Signing,
    pub signals: Signals,
    /// Where replies go when their transaction is on disk.
    pub released: tokio_mpsc::UnboundedSender<Vec<Released>>,
    pub now: Now,
    pub begin: open::Begin,
}

/// What a group did, known good only after its commit.
#[derive(Default)]
pub(super) struct Outcome {
    released: Vec<Released>,
    /// The end of the chain has moved.
    pub(super) sealed: bool,
    pub(super) due: bool,
}

impl Writer {
    /// Opens (creates, migrates) the store and restores the machine from it. Nothing runs yet.
    pub fn open(path: &Path, facts: &SiteFacts, parts: Parts) -> Result<Self, OpenError> {
        let Parts { policy, signing, signals, released, now, begin } = parts;
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
            signing,
            stations: HashMap::new(),
            signals,
            released,
            available: Arc::new(AtomicBool::new(true)),
            one_by_one: 0,
            missed: Missed::default(),
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
        let handle = WriterHandle { jobs, available: Arc::clone(&self.available) };
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
        tokio::spawn(gather(submitted, groups));
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
            while group.len() < MAX_GROUP
                && let Ok(jobs) = queue.try_recv()
            {
                group.extend(jobs);
            }
            if !group.is_empty() {
                self.commit(&mut group);
            }
        }
        if self.fatal.is_none() {
            info!("store closed");
        }
    }

    fn commit(&mut self, group: &mut Vec<Job>) {
        if self.one_by_one == 0 {
            if let Err(failure) = self.transaction(group) {
                self.fail(&failure);
            }
            return;
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
    fn transaction(&mut self, group: &mut Vec<Job>) -> Result<(), StoreError> {
        self.missed.join(group);
        let outcome = self.apply_all(group);
        // Also when the transaction did not even begin: a job that is dropped with its reply is a job that is not stored.
        group.clear();
        let outcome = outcome?;
        if let Some(what) = self.file.displaced() {
            self.abandon(what);
            return Ok(());
        }
        self.missed.committed();
        self.file.commits(true);
        // One wake-up of the runtime for the whole group.
        let _ = self.released.send(outcome.released);
        if outcome.sealed {
            let (seq, hash) = restore::chain_tail(&self.connection, self.epoch)?;
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
    fn idle(&mut self) {
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
            catch_unwind(AssertUnwindSafe(|| self.apply(job, &mut outcome))).unwrap_or(Err(StoreError::Panic))?;
        }
        if ((self.now)() - self.alive_at).abs().to_std().unwrap_or_default() >= ALIVE {
            self.alive()?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(outcome)
    }

    fn apply(&mut self, job: Job, outcome: &mut Outcome) -> Result<(), StoreError> {
        match job {
            Job::Message(message, reply) => {
                if let Some(answer) = self.message(*message, outcome)? {
                    outcome.released.push(Released::Message(reply, answer));
                }
            }
            Job::Connected { station, version, peer, at } => {
                let number = self.station(&station, at)?.number;
                self.connection
                    .prepare_cached(
                        "UPDATE station SET version = ?2, connected_at = ?3, disconnected_at = NULL, peer = ?4, connects = connects + 1 WHERE number = ?1",
                    )?
                    .execute(params![number, version.number(), time::to_millis(at), peer])?;
            }
            Job::Disconnected { station, at } => {
                self.tell_left_out(&station, true, at)?;
                // One that said nothing has no row, and needs none.
                let last = self.stations.get(&station).and_then(|known| known.last_message_at);
                self.connection
                    .prepare_cached(
                        "UPDATE station SET connected_at = NULL, disconnected_at = ?2, last_message_at = coalesce(?3, last_message_at) WHERE name = ?1",
                    )?
                    .execute(params![station.as_str(), time::to_millis(at), last])?;
            }
            Job::Seen { station, at } => {
                self.machine.heard(&station, at);
                self.prove(&station, at)?;
                self.seen(&station, at)?;
            }
            Job::Problem { kind, station, subject, detail, at } => {
                let number = match station {
                    Some(station) => Some(self.station(&station, at)?.number),
                    None => None,
                };
                self.problem(kind, number, &subject, &detail, at)?;
            }
            Job::Settle(settlement) => self.settle(*settlement, outcome)?,
            Job::Receipt { epoch, through, root, rejected, at, reply } => {
                let verdict = self.receipt(epoch, through, &root, &rejected, at, outcome)?;
                outcome.released.push(Released::Receipt(reply, verdict));
            }
            Job::Undelivered { epoch, seq, refusal, reply } => {
                self.undelivered(epoch, seq, refusal.as_ref())?;
                outcome.released.push(Released::Flush(reply));
            }
            Job::Link { up, error, sent, at } => {
                self.connection.execute(
                    "INSERT INTO uplink (id, up, since, error, sent) VALUES (1, ?1, ?2, ?3, ?4) \
                     ON CONFLICT (id) DO UPDATE SET since = CASE WHEN up = excluded.up THEN since ELSE excluded.since END, up = excluded.up, \
                     error = excluded.error, sent = excluded.sent",
                    params![up, time::to_millis(at), error, sent],
                )?;
            }
            Job::Call(call, reply) => {
                let call = self.call(&call)?;
                outcome.released.push(Released::Call(reply, call));
            }
            Job::CallSent { number, at, reply } => {
                self.call_sent(number, at)?;
                outcome.released.push(Released::Flush(reply));
            }
            Job::CallEnded { number, end, at } => self.call_ended(number, &end, at)?,
            Job::LateAnswer { station, message_id, end, at } => self.late_answer(&station, &message_id, &end, at)?,
            Job::WaitingCalls(station, reply) => {
                let calls = self.waiting_calls(&station)?;
                outcome.released.push(Released::WaitingCalls(reply, calls));
            }
            Job::Clock(news, reply) => {
                self.clock(&news)?;
                outcome.due |= news.proven;
                outcome.released.push(Released::Flush(reply));
            }
            Job::Flush(reply) => outcome.released.push(Released::Flush(reply)),
        }
        Ok(())
    }

    /// Brings machine and memory to what the store says. Reads only: it runs when the disk is full, too.
    pub(super) fn restore(&mut self) -> Result<(), StoreError> {
        if let Some(Life { epoch, tx_offset }) = life::read(&self.connection)? {
            (self.epoch, self.tx_offset) = (epoch, tx_offset);
        }
        self.machine.reset(restore::origin(&self.connection, self.tx_offset)?);
        for session in sessions::open_sessions(&self.connection)? {
            self.machine.load(session);
        }
        for (station, evse, in_use) in restore::connectors(&self.connection, None)? {
            self.machine.load_connector(&station, evse, in_use);
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
