//! Head office: subscribes to the records of every site, verifies each with nothing but its public keys, keeps it, and answers with
//! cumulative retained receipts, after its own commit (docs/head-office.md).
//!
//! ```text
//! broker ─▶ wire ─▶ subscriber: signature (jws) → content and sums (bill) → [ keep: append, sync ] → chain (ledger)
//!                                                                              └▶ MQTT ack ─▶ receipt {through, root}
//! ```
//! Invariants: nothing unverified is kept; no receipt before the sync; a receipt covers only what chains without a gap
//! from seq 1 of its epoch; the same (site, epoch, seq) with other bytes is an alarm. Redelivery and disorder are normal.
//!
//! Trust: keys come from the retained topic `keys` of the site unless [`Options::jwks`] pins them. Whoever may write that
//! topic may introduce a key; pin them where that matters. Not done: Ed25519, receipts signed by an office key.
//! Limits: 1,000 records waiting for a key, 1,000 faults remembered, 4,096 events for a slow listener, and the ledger's.

mod bill;
mod json;
mod jws;
mod keep;
mod ledger;
mod subscriber;
#[cfg(test)]
mod tests;
mod wire;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinHandle,
};

pub use bill::{Fault, Record};
pub use jws::{KeyError, Keys, digest};

const EVENTS: usize = 4096;

/// Who an office is at its broker.
#[derive(Clone)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}, …)", self.user)
    }
}

/// How an office is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// `mqtt://host:port` or `mqtts://host:port`.
    pub broker: String,
    pub topic_prefix: String,
    /// Names the session that the broker keeps for us.
    pub client_id: String,
    /// Name and password at the broker.
    pub login: Option<Login>,
    /// PEM certificates that the broker's must come from (`mqtts://`), instead of those that the system trusts.
    pub ca: Option<String>,
    /// JSON lines file of everything verified, synced before each receipt; `None` = memory only.
    pub keep: Option<PathBuf>,
    /// JWK set to trust instead of what the topic `keys` says.
    pub jwks: Option<String>,
    /// Answer with receipts. Without them the sites keep and resend.
    pub receipts: bool,
    /// Ask a site (`cmd/resend`) for records that stay missing. Forecourt does not take this command yet: it sends again
    /// by itself what has no receipt.
    pub resend: bool,
    /// How often gaps are looked for.
    pub check_gaps: Duration,
}

impl Options {
    pub fn new(broker: impl Into<String>) -> Self {
        Self {
            broker: broker.into(),
            topic_prefix: "forecourt/v1".into(),
            client_id: format!("office-{:016x}", fastrand::u64(..)),
            login: None,
            ca: None,
            keep: None,
            jwks: None,
            receipts: true,
            resend: true,
            check_gaps: Duration::from_secs(2),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Connected,
    Disconnected {
        reason: String,
    },
    /// Keys of a site that were not known before.
    Keys {
        site: String,
        kids: Vec<String>,
    },
    Status {
        site: String,
        online: bool,
        text: String,
    },
    /// Signature, content, sums and place in the chain are in order.
    Verified {
        seq: u64,
        kind: String,
        summary: String,
        record: Arc<Record>,
    },
    /// In order, but `missing` has not come yet.
    Waiting {
        site: String,
        epoch: i64,
        seq: u64,
        missing: u64,
    },
    Duplicate {
        site: String,
        epoch: i64,
        seq: u64,
    },
    Bad {
        topic: String,
        seq: Option<u64>,
        fault: Fault,
        reason: String,
    },
    /// The broker has our receipt.
    Receipted {
        site: String,
        epoch: i64,
        through: u64,
    },
    /// A site was asked to send these again.
    Asked {
        site: String,
        epoch: i64,
        from: u64,
        to: u64,
    },
}

/// Counts since the start; a kept file counts as verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub verified: usize,
    pub waiting: usize,
    pub duplicates: usize,
    pub bad: usize,
    /// Waiting for the keys of their site.
    pub keyless: usize,
    /// Records that the last receipts cover.
    pub receipted: u64,
    /// The broker accepted us; the subscriptions follow within the same second.
    pub connected: bool,
}

/// What an open office shares with its task.
#[derive(Debug)]
struct Shared {
    ledger: std::sync::Mutex<ledger::Ledger>,
    events: broadcast::Sender<Event>,
    tally: watch::Sender<Tally>,
    faults: std::sync::Mutex<Vec<String>>,
}

enum Order {
    Receipts(bool),
    Close,
}

/// An open head office. Dropping it leaves what is in hand undone, like a crash; [`Office::close`] is polite.
#[derive(Debug)]
pub struct Office {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<Result<()>>,
}

impl Office {
    /// Opens the kept file and connects. Fails when either cannot be had; later losses of the broker are ridden out.
    pub async fn open(options: Options) -> Result<Self> {
        let shared = Arc::new(Shared {
            ledger: std::sync::Mutex::default(),
            events: broadcast::Sender::new(EVENTS),
            tally: watch::Sender::default(),
            faults: std::sync::Mutex::default(),
        });
        let (orders, orders_rx) = mpsc::channel(16);
        let subscriber = subscriber::Subscriber::open(options, shared.clone()).await?;
        Ok(Self { shared, orders, task: tokio::spawn(subscriber.work(orders_rx)) })
    }

    /// Events from now on. A listener that falls 4,096 behind loses the oldest; [`Office::records`] loses none.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// All verified records, by site, epoch and seq.
    pub fn records(&self) -> Vec<Arc<Record>> {
        self.shared.ledger().verified()
    }

    /// Every alarm so far, in words (the first 1,000).
    pub fn faults(&self) -> Vec<String> {
        self.shared.faults.lock().map(|faults| faults.clone()).unwrap_or_default()
    }

    pub fn tally(&self) -> Tally {
        *self.shared.tally.borrow()
    }

    /// The highest seq of this chain up to which everything is verified.
    pub fn through(&self, site: &str, epoch: i64) -> u64 {
        let ledger = self.shared.ledger();
        ledger.chains().find(|((s, e), _)| s == site && *e == epoch).map_or(0, |(_, through)| through)
    }

    /// Waits until the counts are as wanted.
    pub async fn until(&self, patience: Duration, wanted: impl FnMut(&Tally) -> bool) -> Result<Tally> {
        let mut changes = self.shared.tally.subscribe();
        let result = match tokio::time::timeout(patience, changes.wait_for(wanted)).await {
            Ok(Ok(tally)) => return Ok(*tally),
            Ok(Err(_)) => "the office closed",
            Err(_) => "patience ended",
        };
        bail!("{result}: {:?}, faults {:?}", self.tally(), self.faults())
    }

    /// Waits until `count` records are verified.
    pub async fn until_verified(&self, count: usize, patience: Duration) -> Result<Vec<Arc<Record>>> {
        self.until(patience, |tally| tally.verified >= count).await?;
        Ok(self.records())
    }

    /// Stops or resumes answering with receipts; resuming sends the current ones.
    pub async fn answer_with_receipts(&self, on: bool) -> Result<()> {
        self.orders.send(Order::Receipts(on)).await.context("the office has closed")
    }

    /// Finishes what it holds in hand, disconnects from the broker, and reports a failed disk.
    pub async fn close(mut self) -> Result<()> {
        // A task that has ended by itself says why below.
        self.orders.send(Order::Close).await.ok();
        (&mut self.task).await.context("the office broke")?
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn ledger(&self) -> std::sync::MutexGuard<'_, ledger::Ledger> {
        // A panic while holding it leaves whole records only.
        self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
