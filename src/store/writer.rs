//! The one writer: a thread that owns the connection and the session machine.
//!
//! ```text
//! submit ──▶ queue ──▶ [ take all that waits ] ──▶ BEGIN … COMMIT (one fsync) ──▶ release every reply in one message
//! ```
//! Whatever gathers while one commit runs is the next group; no timer is involved. A reply that is dropped instead of
//! sent means "not stored": the connection is closed and the station will repeat. When a commit fails, everything in that
//! group is dropped so, the machine begins again from the store, and [`WriterHandle::available`] is false until a probe commits.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc as tokio_mpsc, oneshot, watch};
use tracing::{error, info, warn};

use super::open::{self, OpenError, SiteFacts};
use super::{StoreError, restore, sessions};
use crate::record::{Draft, Signer};
use crate::session::{Answer, Change, Fact, Machine, Policy, hold};
use crate::units::{Finding, MilliWh, StationId, Time, Version, time};

/// Jobs per transaction.
pub const MAX_GROUP: usize = 512;
/// Message ids remembered per station, to recognise a repeated transaction message.
const MAX_REMEMBERED: usize = 32;
/// `station.last_message_at` may lag by this much, to spare a row write per message.
const LAST_MESSAGE_LAG_MS: i64 = 30_000;
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
    pub received_at: Time,
    /// `None`: not readable as a CALL.
    pub action: Option<Box<str>>,
    /// The message id of a transaction message: the same id with the same text again is a repeat and gets the same answer.
    pub repeatable: Option<Box<str>>,
    pub text: String,
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
    },
}

/// The verdict on an ended session.
pub struct Settlement {
    pub session: i64,
    pub outcome: Result<Bill, (&'static str, String)>,
    pub at: Time,
}

/// What becomes a record.
pub struct Bill {
    pub draft: Draft,
    pub start_register: MilliWh,
    pub stop_register: MilliWh,
}

/// What the store made of a receipt from head office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Records up to and including this sequence number are retired.
    Accepted {
        through: u64,
    },
    Refused {
        why: String,
    },
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
        reply: oneshot::Sender<Verdict>,
    },
    Fault {
        seq: u64,
        code: String,
        detail: String,
        at: Time,
    },
    Link {
        up: bool,
        error: Option<String>,
        at: Time,
    },
    /// Completes when everything submitted before it is on disk.
    Flush(oneshot::Sender<()>),
}

/// A reply whose transaction is on disk.
pub enum Released {
    Message(oneshot::Sender<Option<String>>, Option<String>),
    Receipt(oneshot::Sender<Verdict>, Verdict),
    Flush(oneshot::Sender<()>),
}

impl Released {
    /// Hands the reply over; one that nobody waits for any more is dropped, which is what a closed connection means.
    pub fn send(self) {
        match self {
            Self::Message(reply, answer) => drop(reply.send(answer)),
            Self::Receipt(reply, verdict) => drop(reply.send(verdict)),
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
    /// Sequence number of the last record.
    pub records: watch::Sender<u64>,
    /// Rings when a session may have become due for settlement; one waiting ring is enough.
    pub due: mpsc::SyncSender<()>,
}

/// The way in. Cheap to clone.
#[derive(Clone)]
pub struct WriterHandle {
    jobs: mpsc::Sender<Job>,
    available: Arc<AtomicBool>,
}

impl WriterHandle {
    /// Queues a job. When the writer is gone the job is dropped with its reply, which tells the waiting side.
    pub fn submit(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    /// Stores a message; the answer frame once it is on disk, `Err` when it could not be stored.
    pub async fn store(&self, message: Box<Message>) -> Result<Option<String>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Message(message, reply));
        answer.await.map_err(|_| Unavailable)
    }

    /// False while the store cannot commit: new connections are turned away.
    pub fn available(&self) -> bool {
        self.available.load(Ordering::Relaxed)
    }
}

/// The message is not on disk.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot commit")]
pub struct Unavailable;

pub struct Writer {
    connection: Connection,
    _lock: std::fs::File,
    epoch: i64,
    tx_offset: i64,
    machine: Machine,
    signing: Signing,
    stations: HashMap<StationId, Station>,
    signals: Signals,
    released: tokio_mpsc::UnboundedSender<Vec<Released>>,
    available: Arc<AtomicBool>,
    new_uuid: fn() -> uuid::Uuid,
}

struct Station {
    number: i64,
    last_message_at: i64,
    written_at: i64,
    /// (hash of the message id, journal row).
    remembered: VecDeque<(u64, i64)>,
}

/// What a group did, known good only after its commit.
#[derive(Default)]
struct Outcome {
    released: Vec<Released>,
    last_seq: Option<u64>,
    due: bool,
}

impl Writer {
    /// Opens (creates, migrates) the store and restores the machine from it. Nothing runs yet.
    pub fn open(
        path: &Path,
        facts: &SiteFacts,
        now: Time,
        policy: Box<dyn Policy>,
        signing: Signing,
        signals: Signals,
        released: tokio_mpsc::UnboundedSender<Vec<Released>>,
    ) -> Result<Self, OpenError> {
        let opened = open::open_for_writing(path, facts, now)?;
        let bad = |error: StoreError| match error {
            StoreError::Sqlite(source) => OpenError::Sqlite { path: path.to_owned(), source },
            StoreError::Content(text) => OpenError::File { path: path.to_owned(), source: std::io::Error::other(text) },
        };
        let origin = restore::origin(&opened.connection, opened.tx_offset).map_err(bad)?;
        let mut writer = Self {
            connection: opened.connection,
            _lock: opened.lock,
            epoch: opened.epoch,
            tx_offset: opened.tx_offset,
            machine: Machine::new(policy, origin),
            signing,
            stations: HashMap::new(),
            signals,
            released,
            available: Arc::new(AtomicBool::new(true)),
            new_uuid: uuid::Uuid::now_v7,
        };
        writer.restore().map_err(bad)?;
        writer.begin_life(now).map_err(|error| bad(error.into()))?;
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

    /// Starts the thread. It ends when every [`WriterHandle`] is gone and the queue is empty.
    pub fn start(mut self) -> std::io::Result<(WriterHandle, JoinHandle<()>)> {
        let (jobs, queue) = mpsc::channel();
        let handle = WriterHandle { jobs, available: Arc::clone(&self.available) };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || self.run(&queue))?;
        Ok((handle, thread))
    }

    fn run(&mut self, queue: &mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        loop {
            let wait = if self.available.load(Ordering::Relaxed) { ALIVE } else { PROBE };
            match queue.recv_timeout(wait) {
                Ok(job) => group.push(job),
                Err(mpsc::RecvTimeoutError::Timeout) => self.idle(),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            while group.len() < MAX_GROUP
                && let Ok(job) = queue.try_recv()
            {
                group.push(job);
            }
            if !group.is_empty() {
                self.commit(&mut group);
            }
        }
        info!("store closed");
    }

    fn commit(&mut self, group: &mut Vec<Job>) {
        match self.apply_all(group) {
            Ok(outcome) => {
                // One wake-up of the runtime for the whole group.
                let _ = self.released.send(outcome.released);
                if let Some(seq) = outcome.last_seq {
                    self.signals.records.send_replace(seq);
                }
                if outcome.due {
                    let _ = self.signals.due.try_send(());
                }
                if !self.available.swap(true, Ordering::Relaxed) {
                    info!("store commits again");
                }
            }
            Err(failure) => self.fail(&failure),
        }
    }

    /// A failed group leaves nothing behind: not on disk, not in memory, no reply.
    fn fail(&mut self, failure: &StoreError) {
        error!(error = %failure, "commit failed; connections are closed until the store works again");
        self.available.store(false, Ordering::Relaxed);
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        if let Err(again) = self.restore() {
            error!(error = %again, "store cannot be read either");
        }
        if is_damage(failure) {
            // Nobody knows what reached the disk: the supervisor restarts us and everything is verified anew.
            error!("the disk failed; stopping");
            std::process::exit(5);
        }
    }

    fn idle(&mut self) {
        let alive = self.connection.execute("UPDATE site SET alive_at = max(alive_at, unixepoch() * 1000)", []);
        match alive {
            Ok(_) if !self.available.swap(true, Ordering::Relaxed) => info!("store commits again"),
            Ok(_) => {}
            Err(failure) => warn!(error = %failure, "store still refuses to commit"),
        }
    }

    fn apply_all(&mut self, group: &mut Vec<Job>) -> Result<Outcome, StoreError> {
        let mut outcome = Outcome { released: Vec::with_capacity(group.len()), ..Outcome::default() };
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        // Draining drops the jobs (and their replies) of a group that fails half-way.
        for job in group.drain(..) {
            self.apply(job, &mut outcome)?;
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
                let entry = self.station(&station, at)?;
                let (number, last) = (entry.number, entry.last_message_at);
                self.connection
                    .prepare_cached(
                        "UPDATE station SET connected_at = NULL, disconnected_at = ?2, last_message_at = max(coalesce(last_message_at, 0), ?3) WHERE number = ?1",
                    )?
                    .execute(params![number, time::to_millis(at), last])?;
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
                let verdict = self.receipt(epoch, through, &root, &rejected, at)?;
                outcome.released.push(Released::Receipt(reply, verdict));
            }
            Job::Fault { seq, code, detail, at } => self.fault(seq, &code, &detail, at)?,
            Job::Link { up, error, at } => {
                self.connection.execute(
                    "INSERT INTO uplink (id, up, since, error) VALUES (1, ?1, ?2, ?3) \
                     ON CONFLICT (id) DO UPDATE SET since = CASE WHEN up = excluded.up THEN since ELSE excluded.since END, up = excluded.up, error = excluded.error",
                    params![up, time::to_millis(at), error],
                )?;
            }
            Job::Flush(reply) => outcome.released.push(Released::Flush(reply)),
        }
        Ok(())
    }

    /// `None`: a fault of ours, journaled; the reply is dropped, the connection closes, the station repeats later.
    fn message(&mut self, message: Message, outcome: &mut Outcome) -> Result<Option<Option<String>>, StoreError> {
        let at = message.received_at;
        let station = self.station(&message.station, at)?.number;
        self.seen(&message.station, at)?;
        let id_hash = message.repeatable.as_deref().map(hash);
        if let Some(answer) = self.repeat(&message, id_hash)? {
            return Ok(Some(answer));
        }
        let mut findings = message.findings;
        let mut changes = Vec::new();
        let answer = match message.content {
            Content::Fixed { answer } => Some(answer),
            Content::Fact { fact, encode } => {
                if let Some(lookup) = self.machine.lookup(&message.station, &fact)
                    && let Some(session) = sessions::find(&self.connection, &message.station, &lookup)?
                {
                    self.machine.admit(session);
                }
                let machine = &mut self.machine;
                let decided = catch_unwind(AssertUnwindSafe(|| {
                    let effects = machine.handle(&message.station, message.version, fact, at);
                    let frame = encode(&effects.answer);
                    (effects, frame)
                }));
                match decided {
                    Ok((effects, frame)) => {
                        findings.extend(effects.findings);
                        changes = effects.changes;
                        Some(frame)
                    }
                    Err(_) => {
                        error!(station = %message.station, "a message made the session machine panic; it is journaled");
                        findings.push(Finding::new(hold::INTERNAL, hold::meaning(hold::INTERNAL)));
                        self.problem(hold::INTERNAL, Some(station), message.action.as_deref().unwrap_or(""), &message.text, at)?;
                        let open = restore::open_sessions_of(&self.connection, &message.station)?;
                        self.machine.forget(&message.station);
                        open.into_iter().for_each(|session| self.machine.admit(session));
                        None
                    }
                }
            }
        };
        for finding in &findings {
            warn!(station = %message.station, action = message.action.as_deref(), finding = %finding.code, detail = %finding.detail, "odd message");
        }
        self.connection
            .prepare_cached(
                "INSERT INTO message (station, received_at, action, text, answer, findings) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                station,
                time::to_millis(at),
                message.action,
                message.text,
                answer.as_ref().and_then(Option::as_deref),
                sessions::findings_text(&findings)
            ])?;
        let row = self.connection.last_insert_rowid();
        self.remember(&message.station, id_hash, row);
        for change in changes {
            self.change(row, station, change, at, outcome)?;
        }
        Ok(answer)
    }

    /// The same transaction message again (its answer was lost): the same answer, and no second row.
    fn repeat(&mut self, message: &Message, id_hash: Option<u64>) -> Result<Option<Option<String>>, StoreError> {
        let (Some(id_hash), Some(station)) = (id_hash, self.stations.get(&message.station)) else { return Ok(None) };
        for (_, row) in station.remembered.iter().filter(|(known, _)| *known == id_hash) {
            let same: Option<Option<String>> = self
                .connection
                .prepare_cached("SELECT answer FROM message WHERE id = ?1 AND text = ?2")?
                .query_row(params![row, message.text], |row| row.get(0))
                .optional()?;
            if let Some(answer) = same {
                self.connection.prepare_cached("UPDATE message SET repeats = repeats + 1 WHERE id = ?1")?.execute([row])?;
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    fn change(&mut self, message: i64, station: i64, change: Change, at: Time, outcome: &mut Outcome) -> Result<(), StoreError> {
        let connection = &self.connection;
        match change {
            Change::Evidence(evidence) => sessions::insert_evidence(connection, message, station, &evidence)?,
            Change::Opened(session) => {
                outcome.due |= !session.is_open();
                info!(station = %session.station, session = %session.id, tx = %session.tx, evse = session.evse, "session opened");
                sessions::insert(connection, station, &session)?;
            }
            Change::Updated(session) => {
                if !session.is_open() {
                    outcome.due = true;
                    info!(station = %session.station, session = %session.id, state = ?session.state, "session ended");
                }
                sessions::update(connection, &session)?;
            }
            Change::Booted(boot) => {
                connection
                    .prepare_cached(
                        "UPDATE station SET vendor = ?2, model = ?3, serial = ?4, firmware = ?5, meter_serial = coalesce(?6, meter_serial), booted_at = ?7 \
                         WHERE number = ?1",
                    )?
                    .execute(params![station, boot.vendor, boot.model, boot.serial, boot.firmware, boot.meter_serial, time::to_millis(at)])?;
            }
            Change::Connector(status) => {
                // An event older than the present state must not change it (stations replay days-old statuses).
                let since = time::to_millis(status.reported_at.filter(|reported| *reported <= at).unwrap_or(at));
                connection
                    .prepare_cached(
                        "INSERT INTO connector (station, evse, connector, state, error, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                         ON CONFLICT DO UPDATE SET state = excluded.state, error = excluded.error, since = excluded.since WHERE excluded.since >= since",
                    )?
                    .execute(params![station, status.evse, status.connector, status.state, status.error, since])?;
            }
            Change::Problem { kind, subject, detail } => self.problem(kind, Some(station), &subject, &detail, at)?,
        }
        Ok(())
    }

    fn problem(&self, kind: &str, station: Option<i64>, subject: &str, detail: &str, at: Time) -> Result<(), StoreError> {
        let cut = |text: &str| text.chars().take(500).collect::<String>();
        self.connection
            .prepare_cached(
                "INSERT INTO problem (kind, station, subject, detail, first_at, last_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5) \
                 ON CONFLICT (kind, coalesce(station, 0), subject) DO UPDATE SET count = count + 1, last_at = excluded.last_at, detail = excluded.detail",
            )?
            .execute(params![kind, station, cut(subject), cut(detail), time::to_millis(at)])?;
        Ok(())
    }

    /// Writes the record of an ended session, or holds it. Running twice has the same result as running once.
    fn settle(&mut self, settlement: Settlement, outcome: &mut Outcome) -> Result<(), StoreError> {
        let Settlement { session, outcome: judged, at } = settlement;
        let waiting: Option<i64> = self
            .connection
            .prepare_cached("SELECT number FROM session WHERE number = ?1 AND state = 'ended' AND settled IS NULL")?
            .query_row([session], |row| row.get(0))
            .optional()?;
        if waiting.is_none() {
            return Ok(());
        }
        let bill = match judged {
            Ok(bill) => bill,
            Err((code, detail)) => {
                warn!(session, reason = code, detail, "session held");
                self.connection
                    .prepare_cached("UPDATE session SET state = 'held', hold_reason = ?2, hold_detail = ?3, settle_after = NULL WHERE number = ?1")?
                    .execute(params![session, code, detail])?;
                return Ok(());
            }
        };
        let seq = self.append(bill.draft, Some(session), at)?;
        self.connection
            .prepare_cached("UPDATE session SET settled = ?2, start_register = ?3, stop_register = ?4 WHERE number = ?1")?
            .execute(params![session, seq, bill.start_register.0, bill.stop_register.0])?;
        outcome.last_seq = Some(seq);
        Ok(())
    }

    /// Puts a record at the end of the chain: number, link, signature and row in the running transaction.
    fn append(&mut self, draft: Draft, session: Option<i64>, at: Time) -> Result<u64, StoreError> {
        let (last, prev) = restore::chain_tail(&self.connection, self.epoch)?;
        let seq = last + 1;
        let site: String = self.connection.prepare_cached("SELECT site FROM site")?.query_row([], |row| row.get(0))?;
        let place = crate::record::Place {
            site,
            epoch: self.epoch.unsigned_abs(),
            seq,
            prev,
            record_id: (self.new_uuid)(),
            created_at: at,
        };
        let record = draft.seal(&place, self.signing.signer.as_ref()).map_err(|error| StoreError::Content(error.to_string()))?;
        self.connection
            .prepare_cached(
                "INSERT INTO record (epoch, seq, kind, record_id, session, created_at, hash, jws, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                self.epoch,
                seq,
                record.kind.as_str(),
                record.record_id.to_string(),
                session,
                time::to_millis(at),
                record.hash.to_string(),
                record.jws,
                record.payload
            ])?;
        info!(seq, kind = record.kind.as_str(), session, "record sealed");
        Ok(seq)
    }

    /// Head office says that it has committed everything up to `through`; believed only when it names the same bytes.
    fn receipt(&self, epoch: i64, through: u64, root: &str, rejected: &[(u64, String)], at: Time) -> Result<Verdict, StoreError> {
        let refuse = |why: String| Ok(Verdict::Refused { why });
        if epoch != self.epoch {
            return refuse(format!("it is for epoch {epoch}, ours is {}", self.epoch));
        }
        let known: Option<String> = self
            .connection
            .query_row("SELECT hash FROM record WHERE epoch = ?1 AND seq = ?2", params![epoch, through], |row| row.get(0))
            .optional()?;
        match known {
            _ if through == 0 => {}
            None => return refuse(format!("it confirms record {through}, which we never made")),
            Some(hash) if hash != root => return refuse(format!("its root {root} is not the hash of our record {through}")),
            Some(_) => {}
        }
        for (seq, code) in rejected {
            self.fault(*seq, code, "rejected by head office", at)?;
        }
        self.connection.execute(
            "INSERT INTO receipt (epoch, through, root, received_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (epoch) DO UPDATE \
             SET through = excluded.through, root = excluded.root, received_at = excluded.received_at WHERE excluded.through > through",
            params![epoch, through, root, time::to_millis(at)],
        )?;
        Ok(Verdict::Accepted { through })
    }

    fn fault(&self, seq: u64, code: &str, detail: &str, at: Time) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO record_fault (epoch, seq, code, detail, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            params![self.epoch, seq, code, detail, time::to_millis(at)],
        )?;
        Ok(())
    }

    fn station(&mut self, id: &StationId, at: Time) -> Result<&mut Station, StoreError> {
        if !self.stations.contains_key(id) {
            let number = self
                .connection
                .prepare_cached(
                    "INSERT INTO station (name, first_seen_at) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET name = name RETURNING number",
                )?
                .query_row(params![id.as_str(), time::to_millis(at)], |row| row.get(0))?;
            let station = Station { number, last_message_at: 0, written_at: 0, remembered: VecDeque::new() };
            self.stations.insert(id.clone(), station);
        }
        self.stations.get_mut(id).ok_or_else(|| StoreError::Content(format!("station {id} vanished")))
    }

    fn seen(&mut self, id: &StationId, at: Time) -> Result<(), StoreError> {
        let now = time::to_millis(at);
        let station = self.station(id, at)?;
        station.last_message_at = now;
        if now - station.written_at < LAST_MESSAGE_LAG_MS {
            return Ok(());
        }
        station.written_at = now;
        let number = station.number;
        self.connection
            .prepare_cached("UPDATE station SET last_message_at = ?2 WHERE number = ?1")?
            .execute(params![number, now])?;
        Ok(())
    }

    fn remember(&mut self, id: &StationId, id_hash: Option<u64>, row: i64) {
        let (Some(id_hash), Some(station)) = (id_hash, self.stations.get_mut(id)) else { return };
        if station.remembered.len() == MAX_REMEMBERED {
            station.remembered.pop_front();
        }
        station.remembered.push_back((id_hash, row));
    }

    /// Brings machine and memory to what the store says.
    fn restore(&mut self) -> Result<(), StoreError> {
        self.machine.reset(restore::origin(&self.connection, self.tx_offset)?);
        for session in sessions::open_sessions(&self.connection)? {
            self.machine.admit(session);
        }
        self.stations.clear();
        for (id, message_id, row, at) in restore::recent_messages(&self.connection)? {
            self.station(&id, at)?;
            self.remember(&id, Some(hash(&message_id)), row);
        }
        Ok(())
    }

    /// No station is connected yet, the link is not up, and our key is known.
    fn begin_life(&mut self, now: Time) -> rusqlite::Result<()> {
        self.connection.execute("UPDATE station SET connected_at = NULL", [])?;
        self.connection.execute("UPDATE uplink SET up = 0, since = ?1, error = NULL WHERE up", [time::to_millis(now)])?;
        self.connection.execute(
            "INSERT INTO key (kid, jwk, since) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![self.signing.signer.kid(), self.signing.jwk, time::to_millis(now)],
        )?;
        let (last, _) = restore::chain_tail(&self.connection, self.epoch)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        self.signals.records.send_replace(last);
        Ok(())
    }
}

fn hash(message_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    message_id.hash(&mut hasher);
    hasher.finish()
}

/// Errors after which nobody knows what reached the disk.
fn is_damage(error: &StoreError) -> bool {
    let StoreError::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = error else { return false };
    matches!(
        failure.code,
        rusqlite::ErrorCode::SystemIoFailure | rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase
    )
}
