//! The daemon's way from a frame to a record in one thread, under the caller's clock: without sockets, threads and head office.
//!
//! It takes the very functions that the daemon takes. A replay walks it with what a journal says (`replay.rs`), and the simulators fill a
//! store with a history of years through it.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};

use tokio::sync::{mpsc as tokio_mpsc, oneshot, watch};

use super::key::KeyFileError;
use super::tariffs::{self, TariffsError};
use super::{key, policy, settle};
use crate::billing::SiteTerms;
use crate::config::Config;
use crate::csms::reading::{self, Read};
use crate::rating::{Catalogue, CatalogueError, Tariff};
use crate::record::{KeyError, SigningKey};
use crate::session::TariffRef;
use crate::store::{
    Job, OpenError, PATIENT, Parts, Reader, Reply, Settlement, Signals, Signing, SiteFacts, StoreError, Stored, Writer,
};
use crate::units::{Finding, Received, StationId, Time, Version, time};

/// Messages per transaction.
const GROUP: usize = 256;
/// Sessions billed per transaction, each of another station.
const BATCH: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum InProcessError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a key for the records: {0}")]
    Key(#[from] KeyError),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error(transparent)]
    Tariffs(#[from] TariffsError),
    #[error("tariff {0} was in use, and is not in the store")]
    Tariff(String),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

pub struct InProcess {
    config: Config,
    site: SiteTerms,
    pub(super) writer: Writer,
    pub(super) reader: Reader,
    /// Where the tariffs of past sessions stand.
    tariff_texts: Reader,
    released: tokio_mpsc::UnboundedReceiver<Vec<Reply>>,
    now: Arc<AtomicI64>,
    tariffs: HashMap<String, Arc<Tariff>>,
    /// Stations by the version that they speak.
    versions: HashMap<StationId, Version>,
    pub(super) jobs: Vec<Job>,
}

impl InProcess {
    /// The site of a configuration, as the daemon would find it: its store, its key, its tariffs. Nothing else may use the store.
    pub fn start(config: &Config, at: Time) -> Result<Self, InProcessError> {
        let loaded = tariffs::load(config)?;
        let versions = tariffs::versions(&loaded.catalogue);
        let key = key::load_or_make(&config.signing.key_file)?;
        let mut started = Self::open(config, &config.store.path, super::site_facts(config), key, loaded.catalogue, at)?;
        started.writer.keep_tariffs(&versions, at)?;
        Ok(started)
    }

    /// `facts` names the store's epoch file.
    pub(super) fn open(
        config: &Config,
        store: &Path,
        facts: SiteFacts,
        key: SigningKey,
        catalogue: Catalogue,
        at: Time,
    ) -> Result<Self, InProcessError> {
        let now = Arc::new(AtomicI64::new(time::to_millis(at)));
        let (reads, released) = (Arc::clone(&now), tokio_mpsc::unbounded_channel());
        let jwk = key.jwk().to_json();
        let parts = Parts {
            policy: policy::of(config, catalogue),
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
            begin: Box::new(move |_| Received { at, proven: true }),
            watch: Box::new(()),
        };
        Ok(Self {
            config: config.clone(),
            site: settle::site_terms(config),
            writer: Writer::open(store, &facts, parts)?,
            reader: Reader::open(store, PATIENT)?,
            tariff_texts: Reader::open(store, PATIENT)?,
            released: released.1,
            now,
            tariffs: HashMap::new(),
            versions: HashMap::new(),
            jobs: Vec::new(),
        })
    }

    /// Tariffs of past sessions are read from another store.
    pub(super) fn with_tariffs_of(self, tariff_texts: Reader) -> Self {
        Self { tariff_texts, ..self }
    }

    /// The clock stands there from now on.
    pub fn at(&self, at: Time) {
        self.now.store(time::to_millis(at), Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Time {
        time::from_millis(self.now.load(Ordering::Relaxed))
    }

    /// A frame of a station, which counts as connected from its first one on. `mended`: what was made of bytes that are no text, and they
    /// themselves. Returns where its answer comes out after the next [`Self::flush`]; `None` for what is not stored (heartbeats,
    /// answers).
    pub fn frame(
        &mut self,
        station: &StationId,
        version: Version,
        text: &str,
        mended: Option<(&Finding, &[u8])>,
        received: Received,
    ) -> Result<Option<oneshot::Receiver<Stored>>, InProcessError> {
        self.connect(station, version, received.at);
        if self.jobs.len() >= GROUP {
            self.flush()?;
        }
        self.at(received.at);
        let read = reading::read(station, version, text, mended.map(|(finding, _)| finding), received);
        let Read::Message { mut message, .. } = read else { return Ok(None) };
        message.bytes = mended.map(|(_, bytes)| Box::from(bytes));
        let (reply, answer) = oneshot::channel();
        self.jobs.push(Job::Message(message, reply));
        Ok(Some(answer))
    }

    pub(super) fn connect(&mut self, station: &StationId, version: Version, at: Time) {
        if self.versions.insert(station.clone(), version) != Some(version) {
            self.jobs.push(Job::Connected { station: station.clone(), version, peer: String::new(), at });
        }
    }

    /// Bills or holds every session that has ended by now; returns how many.
    pub fn settle(&mut self) -> Result<usize, InProcessError> {
        self.flush()?;
        let mut judged = 0;
        loop {
            let due = self.reader.due(self.now(), BATCH)?;
            if due.is_empty() {
                return Ok(judged);
            }
            let mut stations = HashSet::new();
            for number in due {
                // What a station's bill says of its power counts for its next one: that is made when this one is on disk.
                if let Some(station) = self.judge(number, &stations)? {
                    stations.insert(station);
                    judged += 1;
                }
            }
            self.flush()?;
        }
    }

    /// Bills or holds one session, with the next [`Self::flush`], unless its station is among those.
    pub(super) fn judge(&mut self, session: i64, but: &HashSet<StationId>) -> Result<Option<StationId>, InProcessError> {
        let Some(due) = self.reader.load_due(session)?.filter(|due| !but.contains(&due.session.station)) else { return Ok(None) };
        let tariff = due.session.tariff.as_ref().map(|tariff| self.tariff(&tariff.0)).transpose()?;
        let outcome = settle::bill(&self.config, &self.site, &due, tariff.as_deref());
        let (last_message, at) = (due.last_message, self.now());
        self.jobs.push(Job::Settle(Box::new(Settlement { session, outcome, last_message, at })));
        Ok(Some(due.session.station))
    }

    /// A tariff version of a past session.
    pub(super) fn tariff(&mut self, hash: &str) -> Result<Arc<Tariff>, InProcessError> {
        if let Some(known) = self.tariffs.get(hash) {
            return Ok(Arc::clone(known));
        }
        let json = self.tariff_texts.tariff(&TariffRef(hash.into()))?;
        let tariff =
            json.and_then(|json| Tariff::parse_stored(&json).ok()).ok_or_else(|| InProcessError::Tariff(hash.to_owned()))?;
        let tariff = Arc::new(tariff);
        self.tariffs.insert(hash.to_owned(), Arc::clone(&tariff));
        Ok(tariff)
    }

    /// Puts what waits on disk, and sends the answers.
    pub fn flush(&mut self) -> Result<(), InProcessError> {
        if !self.jobs.is_empty() {
            self.writer.replay_jobs(std::mem::take(&mut self.jobs))?;
        }
        while let Ok(replies) = self.released.try_recv() {
            replies.into_iter().for_each(Reply::send);
        }
        Ok(())
    }

    /// Head office confirms all that there is, as far as this store can tell.
    pub fn confirm(&mut self) -> Result<(), InProcessError> {
        self.flush()?;
        let epoch = self.writer.epoch();
        let through = self.reader.last_seq(epoch)?;
        let Some(root) = self.reader.record(epoch, through)?.map(|record| record.hash) else { return Ok(()) };
        let (reply, at) = (oneshot::channel().0, self.now());
        self.jobs.push(Job::Receipt { epoch, through, root, rejected: Vec::new(), at, reply });
        self.flush()
    }
}
