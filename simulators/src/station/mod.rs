//! A charging station as a CSMS sees it: one WebSocket, one outstanding CALL, an offline queue, stubborn retries.
//!
//! ```text
//!            call() ──▶ ordinary, now or never ─┐
//!                                               ├─▶ link ─▶ CSMS      ordinary calls overtake the queue
//! send_transaction() ──▶ queue (in order) ──────┘
//! ```
//! Invariants: transaction messages leave in order, one at a time, and each is dropped only when it was answered; a retry
//! has the same message id and payload; nothing but BootNotification is sent before the registration is accepted; every
//! answer is checked, and what is wrong with it becomes a complaint. A CALLERROR is no answer to a transaction message: it
//! is tried again, and given up after [`Options::error_attempts`], with a complaint.
//!
//! Not done: TLS, OCPP 2.1 SEND and CALLRESULTERROR, heartbeats by itself. The queue is lost with the process.
//! Limits: 100,000 queued messages, 100,000 remembered answers, 10,000 complaints and calls, frames of 1 MiB.

mod check;
mod dial;
mod frame;
mod link;
mod memory;
#[cfg(test)]
mod tests;
mod version;

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::clock::Clock;

pub use dial::DialError;
pub use frame::Reply;
pub use memory::{Answer, Answered, Received};
pub use version::Version;

use memory::{Memory, Queued};

/// Answers a CALL of the CSMS, given action and payload.
pub type Answerer = Arc<dyn Fn(&str, &Value) -> Reply + Send + Sync>;

#[derive(Clone)]
pub struct Options {
    /// `ws://host:port/ocpp`; the identity is appended.
    pub url: String,
    pub id: String,
    pub version: Version,
    /// HTTP Basic, with the identity as user name.
    pub password: Option<String>,
    pub clock: Clock,
    /// The registration was accepted in an earlier connection: no BootNotification is needed.
    pub registered: bool,
    /// Real time, as the next three.
    pub answer_timeout: Duration,
    /// Wait before a transaction message that was not answered goes out again, times the attempts so far.
    pub retry_interval: Duration,
    pub first_backoff: Duration,
    pub longest_backoff: Duration,
    /// CALLERRORs after which a transaction message is given up.
    pub error_attempts: u32,
    pub answerer: Answerer,
}

impl Options {
    pub fn new(url: impl Into<String>, id: impl Into<String>, version: Version) -> Self {
        Self {
            url: url.into(),
            id: id.into(),
            version,
            password: None,
            clock: Clock::real(),
            registered: false,
            answer_timeout: Duration::from_secs(30),
            retry_interval: Duration::from_secs(1),
            first_backoff: Duration::from_millis(100),
            longest_backoff: Duration::from_secs(10),
            error_attempts: 3,
            answerer: Arc::new(|action, _| frame::refuse(action)),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) at {}", self.id, self.version, self.url)
    }
}

/// What can be seen from outside at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub connected: bool,
    pub registered: bool,
    /// Transaction messages not answered yet.
    pub queued: usize,
    /// Answers and CALLs so far.
    pub answered: usize,
    pub received: usize,
    /// Connections so far.
    pub connections: usize,
    /// Why the last attempt to connect failed.
    pub last_error: Option<String>,
}

/// Why an ordinary call brought no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    #[error("not connected")]
    Offline,
    #[error("connection lost before the answer")]
    LinkLost,
    #[error("no answer in time")]
    Timeout,
    #[error("CALLERROR {code}: {description}")]
    Refused { code: String, description: String },
    #[error("the station has ended")]
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StationError {
    #[error("patience ended waiting {for_what}: {snapshot:?}")]
    Patience { for_what: &'static str, snapshot: Box<Snapshot> },
    #[error("the queue is full")]
    QueueFull,
    #[error("boot: {0}")]
    Boot(String),
    #[error("the station has ended")]
    Ended,
}

/// A transaction message that a station has to deliver.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionMessage {
    pub action: String,
    pub payload: Value,
    /// The station's own name of the transaction. In 1.6 its number, learned from the answer to the message that `opens`
    /// it, is put into the later ones when they are first sent; -1 when it was never learned.
    pub tx: Option<String>,
    pub opens: bool,
    /// `None` = a fresh one.
    pub message_id: Option<String>,
}

#[derive(Debug)]
enum Order {
    Call { message_id: String, action: String, payload: Value, reply: oneshot::Sender<Result<Value, CallError>> },
    Online(bool),
}

struct Shared {
    memory: std::sync::Mutex<Memory>,
    snapshot: watch::Sender<Snapshot>,
    /// The queue or the registration changed.
    changed: Notify,
}

/// A running station. Dropping it is pulling its plug.
#[derive(Debug)]
pub struct Station {
    options: Options,
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    work: JoinHandle<()>,
}

impl Station {
    /// Connects to `url/id` and waits up to 30 s for it. Sends nothing yet.
    pub async fn connect(url: &str, id: &str, version: Version) -> Result<Self, StationError> {
        let station = Self::start(Options::new(url, id, version));
        station.connected(Duration::from_secs(30)).await?;
        Ok(station)
    }

    /// Starts to connect, and keeps at it.
    pub fn start(options: Options) -> Self {
        let snapshot = Snapshot { registered: options.registered, ..Snapshot::default() };
        let shared = Arc::new(Shared {
            memory: std::sync::Mutex::default(),
            snapshot: watch::Sender::new(snapshot),
            changed: Notify::new(),
        });
        let (orders, orders_rx) = mpsc::channel(64);
        let work = tokio::spawn(link::Link::new(options.clone(), shared.clone(), orders_rx).work());
        Self { options, shared, orders, work }
    }

    /// One attempt to connect, as an outcome: what does this CSMS say to this identity, version and password?
    pub async fn try_connect(options: &Options) -> Result<(), DialError> {
        dial::dial(options).await.map(drop)
    }

    pub fn id(&self) -> &str {
        &self.options.id
    }

    pub fn version(&self) -> Version {
        self.options.version
    }

    pub fn clock(&self) -> &Clock {
        &self.options.clock
    }

    /// An ordinary CALL: sent now, before what is queued, or failed. Returns the checked answer.
    pub async fn call(&self, action: &str, payload: Value) -> Result<Value, CallError> {
        self.call_as(&fresh_id(), action, payload).await
    }

    /// The same with a given message id.
    pub async fn call_as(&self, message_id: &str, action: &str, payload: Value) -> Result<Value, CallError> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Call { message_id: message_id.to_owned(), action: action.to_owned(), payload, reply };
        self.orders.send(order).await.map_err(|_| CallError::Ended)?;
        answer.await.map_err(|_| CallError::Ended)?
    }

    /// BootNotification, again after each interval until it is accepted. Returns the accepting answer.
    pub async fn boot(&self) -> Result<Value, StationError> {
        let reason = if self.options.version.is_2x() { "PowerUp" } else { "" };
        self.boot_because(reason).await
    }

    /// The same with a 2.x boot reason.
    pub async fn boot_because(&self, reason: &str) -> Result<Value, StationError> {
        self.register(false);
        loop {
            let answer = self.call("BootNotification", self.boot_payload(reason)).await;
            let answer = answer.map_err(|error| StationError::Boot(error.to_string()))?;
            match answer["status"].as_str() {
                Some("Accepted") => {
                    self.register(true);
                    return Ok(answer);
                }
                Some("Pending" | "Rejected") => {
                    let interval = answer["interval"].as_u64().filter(|seconds| *seconds > 0).unwrap_or(10);
                    self.options.clock.sleep(Duration::from_secs(interval)).await;
                }
                _ => return Err(StationError::Boot(format!("answered {answer}"))),
            }
        }
    }

    fn boot_payload(&self, reason: &str) -> Value {
        // 1.6: chargePointSerialNumber <= 25; 2.x: serialNumber <= 25.
        let serial: String = format!("SN-{}", self.options.id).chars().take(25).collect();
        if self.options.version.is_2x() {
            json!({"reason": reason, "chargingStation":
                {"vendorName": "Simulator", "model": "Sim 2", "serialNumber": serial, "firmwareVersion": "1.0"}})
        } else {
            json!({"chargePointVendor": "Simulator", "chargePointModel": "Sim 16", "chargePointSerialNumber": serial,
                "firmwareVersion": "1.0", "meterSerialNumber": serial})
        }
    }

    /// Puts a transaction message into the queue and returns its message id.
    pub fn send_transaction(&self, message: TransactionMessage) -> Result<String, StationError> {
        let id = message.message_id.clone().unwrap_or_else(fresh_id);
        self.shared.memory().enqueue(Queued::new(id.clone(), message))?;
        self.shared.count();
        self.shared.changed.notify_one();
        Ok(id)
    }

    /// Cuts the connection, without a closing handshake, and stays offline.
    pub async fn disconnect(&self) -> Result<(), StationError> {
        self.online(false).await?;
        self.until(Duration::from_secs(10), "to be offline", |now| !now.connected).await.map(drop)
    }

    /// Connects again and waits for it.
    pub async fn reconnect(&self, patience: Duration) -> Result<(), StationError> {
        self.online(true).await?;
        self.connected(patience).await
    }

    /// Connects again in its own time.
    pub async fn online(&self, online: bool) -> Result<(), StationError> {
        self.orders.send(Order::Online(online)).await.map_err(|_| StationError::Ended)
    }

    pub async fn connected(&self, patience: Duration) -> Result<(), StationError> {
        self.until(patience, "for the connection", |now| now.connected).await.map(drop)
    }

    /// Waits until every transaction message is answered.
    pub async fn drained(&self, patience: Duration) -> Result<(), StationError> {
        self.until(patience, "for the queue to empty", |now| now.queued == 0).await.map(drop)
    }

    /// Waits until the snapshot is as wanted.
    pub async fn until(
        &self,
        patience: Duration,
        for_what: &'static str,
        wanted: impl FnMut(&Snapshot) -> bool,
    ) -> Result<Snapshot, StationError> {
        let mut changes = self.shared.snapshot.subscribe();
        match timeout_at(Instant::now() + patience, changes.wait_for(wanted)).await {
            Ok(Ok(snapshot)) => Ok(snapshot.clone()),
            Ok(Err(_)) => Err(StationError::Ended),
            Err(_) => Err(StationError::Patience { for_what, snapshot: Box::new(self.snapshot()) }),
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot.borrow().clone()
    }

    /// Every message that was answered, in order of the answers.
    pub fn answered(&self) -> Vec<Answered> {
        self.shared.memory().answered.clone()
    }

    /// Every CALL of the CSMS.
    pub fn received(&self) -> Vec<Received> {
        self.shared.memory().received.clone()
    }

    /// What was wrong with what the CSMS sent.
    pub fn complaints(&self) -> Vec<String> {
        self.shared.memory().complaints.clone()
    }

    /// The CSMS's number of a 1.6 transaction, by the station's own name of it.
    pub fn transaction_number(&self, tx: &str) -> Option<i64> {
        self.shared.memory().numbers.get(tx).copied()
    }

    fn register(&self, registered: bool) {
        self.shared.snapshot.send_modify(|now| now.registered = registered);
        self.shared.changed.notify_one();
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", *self.snapshot.borrow())
    }
}

impl Shared {
    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        // Every change under the lock is whole.
        self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Brings the snapshot up to the memory.
    fn count(&self) {
        let memory = self.memory();
        let (queued, answered, received) = (memory.queue.len(), memory.answered.len(), memory.received.len());
        drop(memory);
        self.snapshot.send_modify(|now| (now.queued, now.answered, now.received) = (queued, answered, received));
    }
}

/// Unique over all connections and runs; 36 characters at most.
pub fn fresh_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}
