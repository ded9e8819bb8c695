//! The same journal again gives the same sessions and the same bills, byte for byte. Or it does not: then the program of today decides
//! otherwise than the one that wrote the store, or something that bills rest on is not in the journal.
//!
//! ```text
//! stored journal, notes ─▶ csms::reading ─▶ ocpp ─▶ Machine ─▶ fresh store ─▶ billing ─▶ record      compared with what is stored
//! ```
//! It takes the very functions that the daemon takes; only threads, sockets and the clock are absent. The store is read only, and may be
//! in use. Beside it the configuration counts, as it is now.
//!
//! Compared: every column of the journal (answers and evidence among them), of sessions, and of the copies of records; of each record its
//! payload, byte by byte, in the order in which they were sealed. Not compared: `record_id`, which names its CDR too, and `prev` (random, and the
//! hash of a text with a random signature), and what follows from no message: states of connections, problems, calls, receipts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::{mpsc as tokio_mpsc, oneshot, watch};

use super::{policy, settle};
use crate::billing::SiteTerms;
use crate::config::Config;
use crate::csms::reading::{self, Read};
use crate::ocpp;
use crate::rating::{Catalogue, CatalogueError, Tariff};
use crate::record::{KeyError, SigningKey};
use crate::session::TariffRef;
use crate::station::Policy;
use crate::store::{
    Job, JournalRow, OpenError, PATIENT, Parts, Reader, Reply, Settlement, Signals, Signing, SiteFacts, Step, StoreError,
    TokenChanges, Writer, compare,
};
use crate::units::{Received, StationId, Time, Version, time};

/// Messages per transaction.
const GROUP: usize = 256;
/// Differences told; more say nothing new.
const MAX_TOLD: usize = 20;

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a key for the replayed records: {0}")]
    Key(#[from] KeyError),
    #[error("tariff {0} was in use, and is not in the store")]
    Tariff(String),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error("message {0} makes nothing that is stored, and yet it is")]
    Message(i64),
}

/// Replays a store into a new one in `folder`, which is empty. Returns where the two differ, each as a sentence.
pub fn replay(config: &Config, store: &Path, folder: &Path) -> Result<Vec<String>, ReplayError> {
    let stored = Reader::open(store, PATIENT)?;
    let path = folder.join("replayed.db");
    let mut replay = Replay::open(config, &stored, &path)?;
    stored.each_step(|step| replay.step(step))?;
    replay.flush()?;
    let mut differences = compare(&stored, &replay.reader, MAX_TOLD)?;
    compare_payloads(&stored, &replay.reader, &mut differences)?;
    Ok(differences)
}

struct Replay<'a> {
    config: &'a Config,
    site: SiteTerms,
    stored: &'a Reader,
    writer: Writer,
    reader: Reader,
    released: tokio_mpsc::UnboundedReceiver<Vec<Reply>>,
    now: Arc<AtomicI64>,
    tariffs: HashMap<String, Tariff>,
    /// Stations by the version that they speak.
    versions: HashMap<StationId, Version>,
    jobs: Vec<Job>,
}

impl<'a> Replay<'a> {
    fn open(config: &'a Config, stored: &'a Reader, path: &Path) -> Result<Self, ReplayError> {
        let now = Arc::new(AtomicI64::new(0));
        let (reads, released) = (Arc::clone(&now), tokio_mpsc::unbounded_channel());
        let key = SigningKey::generate()?.0;
        let jwk = key.jwk().to_json();
        let parts = Parts {
            policy: policy::of(config, Catalogue::default()),
            calls: super::calls,
            signing: Signing { signer: Box::new(key), jwk },
            signals: Signals {
                epoch: watch::Sender::new(0),
                records: watch::Sender::new(0),
                due: mpsc::sync_channel(1).0,
                failed: watch::Sender::new(None),
            },
            released: released.0,
            now: Arc::new(move || time::from_millis(reads.load(Ordering::Relaxed))),
            begin: Box::new(|_| Received { at: Time::default(), proven: true }),
            watch: Box::new(()),
        };
        let facts = SiteFacts { epoch_file: epoch_file(path), ..super::site_facts(config) };
        let mut writer = Writer::open(path, &facts, parts)?;
        writer.replay_from(stored)?;
        Ok(Self {
            config,
            site: settle::site_terms(config),
            stored,
            writer,
            reader: Reader::open(path, PATIENT)?,
            released: released.1,
            now,
            tariffs: HashMap::new(),
            versions: HashMap::new(),
            jobs: Vec::new(),
        })
    }

    fn step(&mut self, step: Step) -> Result<(), ReplayError> {
        match step {
            Step::Message(row) => self.message(&row),
            Step::Begin(begin) => {
                self.flush()?;
                self.at(begin.at);
                self.policy(&begin.tariffs)?;
                Ok(self.writer.replay_begin(&begin, self.stored)?)
            }
            Step::Tariffs(tariffs) => self.policy(&tariffs),
            Step::Token(token, listed) => {
                let (set, remove) = listed.map_or((Vec::new(), vec![token]), |listed| (vec![*listed], Vec::new()));
                let at = time::from_millis(self.now.load(Ordering::Relaxed));
                let (actor, reason) = (String::new(), String::new());
                let changes = TokenChanges { set, block: Vec::new(), remove, actor, reason, at };
                self.jobs.push(Job::Tokens(Box::new(changes), oneshot::channel().0));
                Ok(())
            }
            Step::Verdict { session, at } => {
                self.flush()?;
                self.at(at);
                self.judge(session, at)
            }
        }
    }

    fn at(&self, at: Time) {
        self.now.store(time::to_millis(at), Ordering::Relaxed);
    }

    fn message(&mut self, row: &JournalRow) -> Result<(), ReplayError> {
        let (at, version) = (row.received.at, row.version);
        if self.versions.insert(row.station.clone(), version) != Some(version) {
            self.jobs.push(Job::Connected { station: row.station.clone(), version, peer: String::new(), at });
        }
        if row.is_raw || row.is_boot || self.jobs.len() >= GROUP {
            self.flush()?;
        }
        self.at(at);
        if row.is_raw {
            return Ok(self.writer.replay_raw(row)?);
        }
        if row.is_boot {
            self.writer.replay_heard(row);
        }
        let mended = row.bytes.as_deref().and_then(|bytes| ocpp::text(bytes).1);
        let Read::Message { mut message, .. } = reading::read(&row.station, version, &row.text, mended.as_ref(), row.received)
        else {
            return Err(ReplayError::Message(row.id));
        };
        message.bytes = row.bytes.as_deref().map(Box::from);
        self.jobs.push(Job::Message(message, oneshot::channel().0));
        Ok(())
    }

    fn policy(&mut self, tariffs: &[String]) -> Result<(), ReplayError> {
        let tariffs = tariffs.iter().map(|hash| self.tariff(hash)).collect::<Result<Vec<_>, _>>()?;
        let policy: Policy = policy::of(self.config, Catalogue::new(tariffs)?);
        self.jobs.push(Job::Policy(Box::new(policy), oneshot::channel().0));
        self.flush()
    }

    fn tariff(&mut self, hash: &str) -> Result<Tariff, ReplayError> {
        if let Some(known) = self.tariffs.get(hash) {
            return Ok(known.clone());
        }
        let json = self.stored.tariff(&TariffRef(hash.into()))?;
        let tariff = json.and_then(|json| Tariff::parse(&json).ok()).ok_or_else(|| ReplayError::Tariff(hash.to_owned()))?;
        self.tariffs.insert(hash.to_owned(), tariff.clone());
        Ok(tariff)
    }

    fn judge(&mut self, session: i64, at: Time) -> Result<(), ReplayError> {
        let Some(due) = self.reader.load_due(session)? else { return Ok(()) };
        let tariff = due.session.tariff.as_ref().map(|tariff| self.tariff(&tariff.0)).transpose()?;
        let outcome = settle::bill(self.config, &self.site, &due, tariff.as_ref());
        let last_message = due.last_message;
        self.jobs.push(Job::Settle(Box::new(Settlement { session, outcome, last_message, at })));
        self.flush()
    }

    fn flush(&mut self) -> Result<(), ReplayError> {
        if !self.jobs.is_empty() {
            self.writer.replay_jobs(std::mem::take(&mut self.jobs))?;
        }
        // Nobody waits for them.
        while self.released.try_recv().is_ok() {}
        Ok(())
    }
}

fn epoch_file(store: &Path) -> PathBuf {
    store.with_extension("epoch")
}

/// The signed texts, but for what is new each time.
fn compare_payloads(stored: &Reader, replayed: &Reader, differences: &mut Vec<String>) -> Result<(), StoreError> {
    let before = payloads(stored)?;
    for (name, payload) in payloads(replayed)? {
        let known = before.get(&name);
        if known != Some(&payload) && differences.len() < MAX_TOLD {
            differences.push(format!("record {name}: stored {known:?}, the journal gives {payload:?}"));
        }
    }
    Ok(())
}

fn payloads(store: &Reader) -> Result<HashMap<String, String>, StoreError> {
    let mut payloads = HashMap::new();
    let mut unreadable = None;
    store.each_page_of_records(None, |page| {
        for record in page {
            let name = format!("{}/{}", record.epoch, record.seq);
            let bytes = record.jws.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
            match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
                Some(payload) => drop(payloads.insert(name, without_chance(payload))),
                None => unreadable = Some(name),
            }
        }
    })?;
    match unreadable {
        Some(name) => Err(StoreError::Content(format!("record {name} is no JWS"))),
        None => Ok(payloads),
    }
}

/// Without the values of `record_id` and `prev`, wherever they stand; as members they come before all that others wrote.
fn without_chance(payload: String) -> String {
    let value = |member: &str| Some(payload.split_once(member)?.1.split_once('"')?.0.to_owned());
    let chance = ["\"record_id\":\"", "\"prev\":\""].map(value);
    chance.into_iter().flatten().fold(payload, |payload, value| payload.replace(&value, ""))
}
