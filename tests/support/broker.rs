//! An MQTT 5 broker that answers each record as the test says: PUBACK codes that no broker at hand can be made to send, and
//! receipts exactly as written. Bytes by hand, just enough for one client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

use super::SITE;

pub const TAKEN: u8 = 0x00;
pub const PAYLOAD_FORMAT_INVALID: u8 = 0x99;

/// What came of a record, in order: its number and the code it was answered with.
pub type Seen = Vec<(u64, u8)>;

pub struct Scripted {
    pub port: u16,
    /// Records that are not taken, and the answer they get.
    pub refused: Arc<Mutex<BTreeMap<u64, u8>>>,
    pub seen: watch::Receiver<Seen>,
    /// The text of each record taken.
    records: Arc<Mutex<BTreeMap<u64, String>>>,
    /// The last receipt, for who subscribes later.
    retained: Arc<Mutex<Option<Vec<u8>>>>,
    out: broadcast::Sender<Vec<u8>>,
}

#[derive(Clone)]
struct Shared {
    refused: Arc<Mutex<BTreeMap<u64, u8>>>,
    records: Arc<Mutex<BTreeMap<u64, String>>>,
    retained: Arc<Mutex<Option<Vec<u8>>>>,
    seen: Arc<watch::Sender<Seen>>,
    out: broadcast::Sender<Vec<u8>>,
}

impl Scripted {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, watched) = watch::channel(Seen::new());
        let (out, _) = broadcast::channel(16);
        let shared =
            Shared { refused: Arc::default(), records: Arc::default(), retained: Arc::default(), seen: Arc::new(seen), out };
        let broker = Self {
            port,
            refused: Arc::clone(&shared.refused),
            records: Arc::clone(&shared.records),
            retained: Arc::clone(&shared.retained),
            seen: watched,
            out: shared.out.clone(),
        };
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let shared = shared.clone();
                // The end of a connection is an event of the test, not an error of ours.
                tokio::spawn(async move { serve(socket, shared).await });
            }
        });
        broker
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Waits until what was answered so far satisfies `holds`.
    pub async fn saw(&self, what: &str, holds: impl Fn(&Seen) -> bool) {
        let mut seen = self.seen.clone();
        let reached = tokio::time::timeout(super::PATIENCE, seen.wait_for(|seen| holds(seen))).await;
        assert!(reached.is_ok(), "gave up waiting: {what}: {:?}", self.seen.borrow());
    }

    /// Head office confirms everything up to `through`: the last record taken under that number, or one that was never sent here.
    pub fn receipt(&self, epoch: &str, through: u64, rejected: &Value) {
        let root = {
            let records = self.records.lock().unwrap();
            let jws = records.get(&through).map_or("", String::as_str);
            let digest = ring::digest::digest(&ring::digest::SHA256, jws.as_bytes());
            URL_SAFE_NO_PAD.encode(digest)
        };
        let epoch: u64 = epoch.parse().unwrap();
        let receipt = json!({"site": SITE, "epoch": epoch, "through": through, "root": root, "rejected": rejected}).to_string();
        let topic = format!("forecourt/v1/{SITE}/receipt");
        let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
        body.extend_from_slice(topic.as_bytes());
        body.push(0); // no properties; QoS 0 has no packet id
        body.extend_from_slice(receipt.as_bytes());
        let mut packet = vec![0x30];
        packet.extend(length(body.len()));
        packet.extend(body);
        let mut kept = packet.clone();
        kept[0] |= 1; // RETAIN
        *self.retained.lock().unwrap() = Some(kept);
        // Nobody may be connected just now.
        let _ = self.out.send(packet);
    }
}

/// Variable byte integer (MQTT 5 §1.5.5).
fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(value % 128).unwrap();
        value /= 128;
        bytes.push(if value > 0 { byte | 0x80 } else { byte });
        if value == 0 {
            return bytes;
        }
    }
}

async fn serve(socket: TcpStream, shared: Shared) -> Option<()> {
    let (mut read, mut write) = socket.into_split();
    let mut out = shared.out.subscribe();
    let (answers, mut queue) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
    let writer = tokio::spawn(async move {
        loop {
            let packet = tokio::select! {
                answer = queue.recv() => answer,
                packet = out.recv() => packet.ok(),
            };
            let Some(packet) = packet else { return };
            if write.write_all(&packet).await.is_err() {
                return;
            }
        }
    });
    let ended = receive(&mut read, &shared, &answers).await;
    writer.abort();
    ended
}

async fn receive(
    read: &mut tokio::net::tcp::OwnedReadHalf,
    shared: &Shared,
    answers: &tokio::sync::mpsc::UnboundedSender<Vec<u8>>,
) -> Option<()> {
    loop {
        let header = read.read_u8().await.ok()?;
        let (mut size, mut shift) = (0, 0);
        loop {
            let byte = read.read_u8().await.ok()?;
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; size];
        read.read_exact(&mut body).await.ok()?;
        let answer = match header >> 4 {
            1 => vec![0x20, 3, 0, 0, 0],                // CONNECT → CONNACK
            3 => publish(&body, shared),                // QoS 1
            8 => vec![0x90, 4, body[0], body[1], 0, 0], // SUBSCRIBE → SUBACK
            12 => vec![0xd0, 0],                        // PINGREQ → PINGRESP
            _ => return Some(()),                       // DISCONNECT
        };
        answers.send(answer).ok()?;
        let kept = shared.retained.lock().unwrap().clone().filter(|_| header >> 4 == 8);
        if let Some(kept) = kept {
            answers.send(kept).ok()?;
        }
    }
}

fn publish(body: &[u8], shared: &Shared) -> Vec<u8> {
    let topic_size = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let topic = String::from_utf8_lossy(&body[2..2 + topic_size]).into_owned();
    let (id, rest) = body[2 + topic_size..].split_at(2);
    if !topic.contains("/records/") {
        return vec![0x40, 2, id[0], id[1]];
    }
    let width = rest.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let properties = rest[..width].iter().rev().fold(0, |sum, byte| sum * 128 + usize::from(byte & 0x7f));
    let jws = String::from_utf8(rest[width + properties..].to_vec()).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(jws.split('.').nth(1).unwrap()).unwrap();
    let seq = serde_json::from_slice::<Value>(&payload).unwrap()["seq"].as_u64().unwrap();
    let code = shared.refused.lock().unwrap().get(&seq).copied().unwrap_or(TAKEN);
    if code == TAKEN {
        shared.records.lock().unwrap().insert(seq, jws);
    }
    shared.seen.send_modify(|seen| seen.push((seq, code)));
    vec![0x40, 3, id[0], id[1], code]
}
