//! The uplink under test between an outbox in memory and a subscriber that answers with receipts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use forecourt::mqtt::{
    self, Identity, LinkState, Outbox, OutboxError, Outgoing, Receipt, ReceiptOutcome, Settings, StatusFacts, Timing,
};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, PublishOptions, QoS};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::tools::Mosquitto;

pub const SITE: &str = "site-7";
pub const EPOCH: u64 = 1_700_000_000_000;
pub const BASE: &str = "forecourt/v1/site-7";
/// Only a hang is longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `true`, or fails the test with `what`.
pub async fn until<T>(what: &str, channel: &mut watch::Receiver<T>, holds: impl FnMut(&T) -> bool) {
    let reached = timeout(PATIENCE, channel.wait_for(holds)).await;
    assert!(reached.is_ok_and(|seen| seen.is_ok()), "gave up waiting: {what}");
}

pub fn root(jws: &str) -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, jws.as_bytes()))
}

/// Of an uplink to this broker, with waits short enough for tests.
pub fn settings(broker: &Mosquitto) -> Settings {
    Settings {
        url: broker.url(),
        client_id: "gateway".into(),
        username: None,
        password: None,
        ca_file: None,
        cert_file: None,
        key_file: None,
        topic_prefix: "forecourt/v1".into(),
        window: 20,
        timing: Timing {
            keep_alive: Duration::from_secs(2),
            reconnect: Duration::from_millis(20),
            reconnect_cap: Duration::from_millis(200),
            receipt_wait: Duration::from_millis(300),
            receipt_wait_cap: Duration::from_secs(2),
            pause: Duration::from_millis(50),
            pause_cap: Duration::from_millis(200),
            ack_wait: Duration::from_secs(5),
            quarantine_wait: Duration::from_millis(200),
            quarantine_wait_cap: Duration::from_secs(1),
            lasting: Duration::from_secs(60),
            status_every: Duration::from_millis(100),
        },
    }
}

/// An outbox in memory, with the checks a store makes.
pub struct MemoryOutbox {
    rows: Mutex<Vec<Outgoing>>,
    /// What the broker refused, and how often.
    pub quarantined: watch::Sender<BTreeMap<u64, u32>>,
    pub receipted: watch::Sender<u64>,
    pub links: watch::Sender<Vec<LinkState>>,
    committed: watch::Sender<u64>,
}

impl MemoryOutbox {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::default(),
            quarantined: watch::Sender::default(),
            receipted: watch::Sender::default(),
            links: watch::Sender::default(),
            committed: watch::Sender::default(),
        })
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Outgoing>> {
        self.rows.lock().expect("rows")
    }

    pub fn add(&self, count: u64, size: usize) {
        let mut rows = self.rows();
        for _ in 0..count {
            let seq = rows.len() as u64 + 1;
            let kind = if seq.is_multiple_of(10) { "day-close" } else { "charge" }.to_owned();
            let jws = format!("{seq}.{}", "x".repeat(size));
            rows.push(Outgoing { epoch: EPOCH, seq, kind, record_id: format!("id-{seq}"), jws });
        }
        self.committed.send_replace(rows.len() as u64);
    }

    pub fn last(&self) -> u64 {
        self.rows().len() as u64
    }

    pub fn jws(&self, seq: u64) -> String {
        self.rows()[usize::try_from(seq).expect("seq") - 1].jws.clone()
    }

    pub async fn link(&self, what: &str, mut holds: impl FnMut(&LinkState) -> bool) {
        until(what, &mut self.links.subscribe(), |seen| seen.last().is_some_and(&mut holds)).await;
    }

    /// Waits for a state that may have passed already when we look: any since the first `seen`.
    pub async fn link_since(&self, seen: usize, what: &str, mut holds: impl FnMut(&LinkState) -> bool) {
        until(what, &mut self.links.subscribe(), |links| links[seen..].iter().any(&mut holds)).await;
    }

    pub async fn all_receipted(&self) {
        let last = self.last();
        until("every record has its receipt", &mut self.receipted.subscribe(), |through| *through == last).await;
    }
}

impl Outbox for MemoryOutbox {
    fn identity(&self) -> Identity {
        Identity { site: SITE.into(), epoch: EPOCH }
    }

    fn after(&self, seq: u64, limit: usize) -> Result<Vec<Outgoing>, OutboxError> {
        let rows = self.rows();
        Ok(rows.iter().filter(|row| row.seq > seq).take(limit).cloned().collect())
    }

    fn receipted(&self) -> Result<u64, OutboxError> {
        Ok(*self.receipted.borrow())
    }

    fn receipt(&self, receipt: Receipt) -> Result<ReceiptOutcome, OutboxError> {
        let refused = |why: &str| Ok(ReceiptOutcome::Refused(why.to_owned()));
        if (receipt.site.as_str(), receipt.epoch) != (SITE, EPOCH) {
            return refused("another site or epoch");
        }
        if receipt.through > self.last() {
            return refused("we never gave that number");
        }
        if receipt.through <= *self.receipted.borrow() {
            return Ok(ReceiptOutcome::Known);
        }
        if receipt.root != root(&self.jws(receipt.through)) {
            return refused("its root is not ours");
        }
        self.receipted.send_replace(receipt.through);
        Ok(ReceiptOutcome::Retired(receipt.through))
    }

    fn quarantine(&self, seq: u64, _reason: &str, _wait: Duration) -> Result<(), OutboxError> {
        self.quarantined.send_modify(|quarantined| *quarantined.entry(seq).or_default() += 1);
        Ok(())
    }

    fn taken_after_all(&self, seq: u64) -> Result<(), OutboxError> {
        self.quarantined.send_modify(|quarantined| _ = quarantined.remove(&seq));
        Ok(())
    }

    fn quarantined(&self) -> Result<Vec<(u64, u32)>, OutboxError> {
        Ok(self.quarantined.borrow().iter().map(|(seq, tries)| (*seq, *tries)).collect())
    }

    fn status(&self) -> Result<StatusFacts, OutboxError> {
        let last_seq = self.last();
        let outbox = last_seq - *self.receipted.borrow();
        Ok(StatusFacts { last_seq, outbox, kid: "k1".into(), since: Default::default(), version: "0.1.0".into() })
    }

    fn jwks(&self) -> Result<String, OutboxError> {
        Ok(r#"{"keys":[]}"#.into())
    }

    fn link_changed(&self, state: LinkState) {
        self.links.send_modify(|links| links.push(state));
    }
}

/// The uplink under test.
pub struct Running {
    stop: watch::Sender<bool>,
    pub task: JoinHandle<()>,
}

impl Running {
    pub fn start(settings: Settings, outbox: &Arc<MemoryOutbox>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let records: Arc<dyn Outbox> = Arc::clone(outbox) as _;
        Self { stop, task: tokio::spawn(mqtt::run(settings, records, outbox.committed.subscribe(), stopped)) }
    }

    pub async fn stop(self) {
        self.stop.send_replace(true);
        timeout(Duration::from_secs(5), self.task).await.expect("stops in time").expect("no panic");
    }
}

/// What the subscriber has committed.
#[derive(Default)]
pub struct Committed {
    pub records: BTreeMap<u64, String>,
    pub copies: u64,
    /// First record as it came, for its topic and properties.
    pub sample: Option<Publish>,
}

impl Committed {
    fn through(&self) -> u64 {
        (1..).zip(self.records.keys()).take_while(|(expected, seq)| expected == *seq).last().map_or(0, |(seq, _)| seq)
    }
}

/// In place of head office: commits what it gets, whatever it is, and answers with a receipt. The records of these tests are not
/// signed, so `simulators::office`, which verifies them, would refuse all. It comes back after every broker failure.
pub struct Subscriber {
    pub committed: watch::Sender<Committed>,
    answers: bool,
}

impl Subscriber {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { committed: watch::Sender::default(), answers: true })
    }

    /// Takes records and sends no receipts.
    pub fn silent() -> Arc<Self> {
        Arc::new(Self { committed: watch::Sender::default(), answers: false })
    }

    pub fn open(self: &Arc<Self>, port: u16) -> JoinHandle<()> {
        let subscriber = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let (session, mut events) = client(port, if subscriber.answers { "office" } else { "silent" });
                let _ = subscriber.listen(&session, &mut events).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    async fn listen(&self, session: &AsyncClient, events: &mut EventLoop) -> Result<(), rumqttc::ConnectionError> {
        loop {
            match events.poll().await? {
                Event::Incoming(Packet::ConnAck(_)) => {
                    let _ = session.try_subscribe(format!("{BASE}/records/+"), QoS::AtLeastOnce);
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    let receipt = self.commit(publish);
                    if !self.answers {
                        continue;
                    }
                    let _ =
                        session.try_publish(format!("{BASE}/receipt"), receipt, PublishOptions::new(QoS::AtLeastOnce).retained());
                }
                _ => {}
            }
        }
    }

    fn commit(&self, publish: Publish) -> String {
        let jws = String::from_utf8(publish.payload.to_vec()).expect("text");
        let seq: u64 = jws.split('.').next().expect("seq").parse().expect("number");
        self.committed.send_modify(|committed| {
            committed.copies += 1;
            let kept = committed.records.entry(seq).or_insert_with(|| jws.clone());
            assert_eq!(*kept, jws, "two different records under one number");
            committed.sample.get_or_insert(publish);
        });
        let committed = self.committed.borrow();
        let through = committed.through();
        let root = committed.records.get(&through).map_or(String::new(), |jws| root(jws));
        serde_json::json!({"site": SITE, "epoch": EPOCH, "through": through, "root": root, "rejected": []}).to_string()
    }

    pub async fn has(&self, count: usize) {
        until("head office has the records", &mut self.committed.subscribe(), |committed| committed.records.len() >= count).await;
    }

    /// Nothing missing, nothing else, the same bytes.
    pub fn agrees_with(&self, outbox: &MemoryOutbox) {
        let committed = self.committed.borrow();
        let theirs: Vec<_> = committed.records.iter().map(|(seq, jws)| (*seq, jws.clone())).collect();
        let ours: Vec<_> = (1..=outbox.last()).map(|seq| (seq, outbox.jws(seq))).collect();
        assert!(theirs == ours, "{} records here, {} at head office", ours.len(), theirs.len());
    }
}

fn client(port: u16, id: &str) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, ("127.0.0.1", port));
    options.set_clean_start(true).set_max_packet_size(Some(4 << 20));
    AsyncClient::builder(options).capacity(5_000).build()
}

/// Publishes one retained message as another client and waits for its PUBACK.
pub async fn publish(port: u16, topic: &str, payload: Vec<u8>) {
    let (publisher, mut events) = client(port, "publisher");
    publisher.try_publish(topic, payload, PublishOptions::new(QoS::AtLeastOnce).retained()).expect("queued");
    while !matches!(events.poll().await.expect("broker"), Event::Incoming(Packet::PubAck(_))) {}
}

/// Follows a topic until a message satisfies `holds`.
pub async fn received(port: u16, id: &str, topic: &str, holds: impl Fn(&serde_json::Value) -> bool) {
    let (subscriber, mut events) = client(port, id);
    subscriber.try_subscribe(topic, QoS::AtLeastOnce).expect("queued");
    let listening = async {
        loop {
            if let Event::Incoming(Packet::Publish(publish)) = events.poll().await.expect("broker")
                && holds(&serde_json::from_slice(&publish.payload).expect("json"))
            {
                return;
            }
        }
    };
    assert!(timeout(PATIENCE, listening).await.is_ok(), "gave up waiting for a message on {topic}");
}
