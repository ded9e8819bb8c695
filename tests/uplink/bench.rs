//! A broker that can be killed, a head office with books, and an outbox in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
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

use crate::support::tools;

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

pub struct Broker {
    program: PathBuf,
    pub port: u16,
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Broker {
    /// A broker that does not run yet; `None` where there is no mosquitto.
    pub fn prepare(extra: &str) -> Option<Self> {
        let program = tools::tool("mosquitto")?;
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let dir = tempfile::tempdir().expect("a directory");
        let broker = Self { program, port, dir, child: None };
        broker.configure(extra);
        Some(broker)
    }

    pub async fn start(&mut self) {
        let config = self.file("mosquitto.conf");
        let command = &mut Command::new(&self.program);
        let child = command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("mosquitto");
        self.child = Some(child);
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("mosquitto did not start");
    }

    /// SIGKILL: nothing is saved, nobody is told.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("kill");
            child.wait().expect("wait");
        }
    }

    /// SIGSTOP or SIGCONT: a peer that is there and says nothing.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("running").id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().is_ok_and(|status| status.success()));
    }

    /// Other lines of configuration from the next start on.
    pub fn configure(&self, extra: &str) {
        let port = self.port;
        let config =
            format!("listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\npersistence false\n{extra}\n");
        std::fs::write(self.file("mosquitto.conf"), config).expect("a config");
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn settings(&self) -> Settings {
        Settings {
            url: format!("mqtt://127.0.0.1:{}", self.port),
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
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An outbox in memory, with the checks a store makes.
pub struct Shelf {
    rows: Mutex<Vec<Outgoing>>,
    /// What the broker refused, and how often.
    pub aside: watch::Sender<BTreeMap<u64, u32>>,
    pub receipted: watch::Sender<u64>,
    pub links: watch::Sender<Vec<LinkState>>,
    committed: watch::Sender<u64>,
}

impl Shelf {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::default(),
            aside: watch::Sender::default(),
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

impl Outbox for Shelf {
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
        self.aside.send_modify(|aside| *aside.entry(seq).or_default() += 1);
        Ok(())
    }

    fn taken_after_all(&self, seq: u64) -> Result<(), OutboxError> {
        self.aside.send_modify(|aside| _ = aside.remove(&seq));
        Ok(())
    }

    fn quarantined(&self) -> Result<Vec<(u64, u32)>, OutboxError> {
        Ok(self.aside.borrow().iter().map(|(seq, tries)| (*seq, *tries)).collect())
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
    pub fn start(settings: Settings, shelf: &Arc<Shelf>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let outbox: Arc<dyn Outbox> = Arc::clone(shelf) as _;
        Self { stop, task: tokio::spawn(mqtt::run(settings, outbox, shelf.committed.subscribe(), stopped)) }
    }

    pub async fn stop(self) {
        self.stop.send_replace(true);
        timeout(Duration::from_secs(5), self.task).await.expect("stops in time").expect("no panic");
    }
}

/// What head office has committed.
#[derive(Default)]
pub struct Books {
    pub records: BTreeMap<u64, String>,
    pub copies: u64,
    /// First record as it came, for its topic and properties.
    pub sample: Option<Publish>,
}

impl Books {
    fn through(&self) -> u64 {
        (1..).zip(self.records.keys()).take_while(|(expected, seq)| expected == *seq).last().map_or(0, |(seq, _)| seq)
    }
}

/// Head office: commits what it gets, then answers with a receipt. It comes back after every broker failure.
pub struct Office {
    pub books: watch::Sender<Books>,
    answers: bool,
}

impl Office {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { books: watch::Sender::default(), answers: true })
    }

    /// Takes records and says nothing.
    pub fn mute() -> Arc<Self> {
        Arc::new(Self { books: watch::Sender::default(), answers: false })
    }

    pub fn open(self: &Arc<Self>, port: u16) -> JoinHandle<()> {
        let office = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let (client, mut events) = visitor(port, if office.answers { "office" } else { "mute" });
                let _ = office.listen(&client, &mut events).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    async fn listen(&self, client: &AsyncClient, events: &mut EventLoop) -> Result<(), rumqttc::ConnectionError> {
        loop {
            match events.poll().await? {
                Event::Incoming(Packet::ConnAck(_)) => {
                    let _ = client.try_subscribe(format!("{BASE}/records/+"), QoS::AtLeastOnce);
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    let receipt = self.commit(publish);
                    if !self.answers {
                        continue;
                    }
                    let _ =
                        client.try_publish(format!("{BASE}/receipt"), receipt, PublishOptions::new(QoS::AtLeastOnce).retained());
                }
                _ => {}
            }
        }
    }

    fn commit(&self, publish: Publish) -> String {
        let jws = String::from_utf8(publish.payload.to_vec()).expect("text");
        let seq: u64 = jws.split('.').next().expect("seq").parse().expect("number");
        self.books.send_modify(|books| {
            books.copies += 1;
            let kept = books.records.entry(seq).or_insert_with(|| jws.clone());
            assert_eq!(*kept, jws, "two different records under one number");
            books.sample.get_or_insert(publish);
        });
        let books = self.books.borrow();
        let through = books.through();
        let root = books.records.get(&through).map_or(String::new(), |jws| root(jws));
        serde_json::json!({"site": SITE, "epoch": EPOCH, "through": through, "root": root, "rejected": []}).to_string()
    }

    pub async fn has(&self, count: usize) {
        until("head office has the records", &mut self.books.subscribe(), |books| books.records.len() >= count).await;
    }

    /// Nothing missing, nothing else, the same bytes.
    pub fn agrees_with(&self, shelf: &Shelf) {
        let books = self.books.borrow();
        let theirs: Vec<_> = books.records.iter().map(|(seq, jws)| (*seq, jws.clone())).collect();
        let ours: Vec<_> = (1..=shelf.last()).map(|seq| (seq, shelf.jws(seq))).collect();
        assert!(theirs == ours, "{} records here, {} at head office", ours.len(), theirs.len());
    }
}

fn visitor(port: u16, id: &str) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, ("127.0.0.1", port));
    options.set_clean_start(true).set_max_packet_size(Some(4 << 20));
    AsyncClient::builder(options).capacity(5_000).build()
}

/// Publishes one retained message as somebody else and waits for its PUBACK.
pub async fn publish(port: u16, topic: &str, payload: Vec<u8>) {
    let (client, mut events) = visitor(port, "somebody");
    client.try_publish(topic, payload, PublishOptions::new(QoS::AtLeastOnce).retained()).expect("queued");
    while !matches!(events.poll().await.expect("broker"), Event::Incoming(Packet::PubAck(_))) {}
}

/// Follows a topic until a message satisfies `holds`.
pub async fn heard(port: u16, id: &str, topic: &str, holds: impl Fn(&serde_json::Value) -> bool) {
    let (client, mut events) = visitor(port, id);
    client.try_subscribe(topic, QoS::AtLeastOnce).expect("queued");
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
