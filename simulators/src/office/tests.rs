//! The office against the broker of this crate, with records signed by a test key. Every test first shows that good
//! records pass, so that a refusal means what it says.

use std::time::Duration;

use mqtt5::{MqttClient, PublishOptions, QoS, SubscribeOptions};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Event, Fault, Office, Options, digest};
use crate::{base64::encode_url, broker::Broker};

const PATIENCE: Duration = Duration::from_secs(10);
const SITE: &str = "S1";
const EPOCH: i64 = 1_784_721_600_000;

/// A site as it should be: signs, chains, publishes.
struct Site {
    key: SigningKey,
    client: MqttClient,
    receipts: mpsc::UnboundedReceiver<Value>,
    asked: mpsc::UnboundedReceiver<Value>,
}

impl Site {
    async fn online(broker: &Broker) -> Self {
        let client = MqttClient::new("site-S1");
        client.connect(&broker.url()).await.unwrap();
        let receipts = subscribe(&client, "receipt").await;
        let asked = subscribe(&client, "cmd/resend").await;
        Self { key: SigningKey::from_slice(&[7; 32]).unwrap(), client, receipts, asked }
    }

    fn jwk(&self) -> Value {
        let point = self.key.verifying_key().to_sec1_point(false);
        let (x, y) = (encode_url(point.x().unwrap()), encode_url(point.y().unwrap()));
        let kid = digest(&format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig", "alg": "ES256"})
    }

    async fn publish(&self, topic: &str, payload: &str, retain: bool) {
        let options = PublishOptions { qos: QoS::AtLeastOnce, retain, ..PublishOptions::default() };
        self.client.publish_with_options(format!("forecourt/v1/{SITE}/{topic}"), payload, options).await.unwrap();
    }

    async fn publish_keys(&self) {
        self.publish("keys", &json!({"keys": [self.jwk()]}).to_string(), true).await;
    }

    async fn publish_record(&self, jws: &str) {
        self.publish("records/charge", jws, false).await;
    }

    fn sign(&self, payload: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": self.jwk()["kid"], "typ": "forecourt-record+json"});
        let signed = format!("{}.{}", encode_url(header.to_string().as_bytes()), encode_url(payload.to_string().as_bytes()));
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", encode_url(&signature.to_bytes()))
    }

    /// A chain of `count` charges, each of a different amount.
    fn chain(&self, count: u64) -> Vec<String> {
        let mut records = Vec::<String>::new();
        for seq in 1..=count {
            let prev = records.last().map(|jws| digest(jws));
            records.push(self.sign(&payload(seq, prev)));
        }
        records
    }
}

fn payload(seq: u64, prev: Option<String>) -> Value {
    let (price, amount) = (json!({"excl_vat": seq, "incl_vat": seq}), seq.to_string());
    json!({
        "schema": "forecourt.record/1", "kind": "charge", "site": SITE, "epoch": EPOCH, "seq": seq, "prev": prev,
        "record_id": format!("0192d3a0-7b1c-7def-8abc-{seq:012}"), "created_at": "2026-07-22T12:00:00Z",
        "cdr": {"currency": "EUR", "total_energy": seq, "total_cost": price, "total_fixed_cost": price},
        "lines": [{"dimension": "FLAT", "amount_excl_vat": amount, "vat": "0", "amount_incl_vat": amount}],
    })
}

async fn subscribe(client: &MqttClient, topic: &str) -> mpsc::UnboundedReceiver<Value> {
    let (tx, rx) = mpsc::unbounded_channel();
    let options = SubscribeOptions { qos: QoS::AtLeastOnce, ..SubscribeOptions::default() };
    let forward = move |message: mqtt5::Message| drop(tx.send(serde_json::from_slice(&message.payload).unwrap()));
    client.subscribe_with_options(format!("forecourt/v1/{SITE}/{topic}"), options, forward).await.unwrap();
    rx
}

async fn receipt_through(receipts: &mut mpsc::UnboundedReceiver<Value>, through: u64) -> Value {
    let wanted = async {
        loop {
            let receipt = receipts.recv().await.unwrap();
            assert!(receipt["through"].as_u64() <= Some(through), "receipt beyond what is due: {receipt}");
            if receipt["through"] == through {
                return receipt;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("no receipt through {through}"))
}

async fn next_bad(events: &mut tokio::sync::broadcast::Receiver<Event>) -> Fault {
    let wanted = async {
        loop {
            if let Event::Bad { fault, .. } = events.recv().await.unwrap() {
                return fault;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wanted).await.expect("no alarm")
}

async fn setup() -> (Broker, Site, Office) {
    let broker = Broker::start().await.unwrap();
    let site = Site::online(&broker).await;
    site.publish_keys().await;
    let options = Options { check_gaps: Duration::from_millis(50), ..Options::new(broker.url()) };
    let office = Office::open(options).await.unwrap();
    (broker, site, office)
}

#[tokio::test]
async fn good_records_are_verified_and_receipted() {
    let (_broker, mut site, office) = setup().await;
    let records = site.chain(5);
    for jws in &records {
        site.publish_record(jws).await;
    }
    let held = office.until_verified(5, PATIENCE).await.unwrap();
    assert_eq!(held.iter().map(|record| record.jws.clone()).collect::<Vec<_>>(), records);
    assert_eq!(held[2].summary(), "charge 3 kWh 3 EUR");
    let receipt = receipt_through(&mut site.receipts, 5).await;
    assert_eq!(receipt, json!({"site": SITE, "epoch": EPOCH, "through": 5, "root": digest(&records[4])}));
    assert_eq!(office.faults(), Vec::<String>::new());
    office.close().await.unwrap();
}

/// More than the broker may have in flight to us, and more than one commit takes.
#[tokio::test]
async fn a_long_chain_arrives_whole() {
    let (_broker, mut site, office) = setup().await;
    let records = site.chain(600);
    for jws in &records {
        site.publish_record(jws).await;
    }
    let wanted = async { while site.receipts.recv().await.unwrap()["through"] != 600 {} };
    tokio::time::timeout(PATIENCE, wanted).await.expect("no receipt through 600");
    assert_eq!(office.records().last().unwrap().hash, digest(&records[599]));
    assert_eq!((office.tally().verified, office.tally().bad, office.tally().waiting), (600, 0, 0));
}

#[tokio::test]
async fn redelivery_is_a_duplicate_and_repeats_the_receipt() {
    let (_broker, mut site, office) = setup().await;
    let records = site.chain(2);
    for jws in [&records[0], &records[1]] {
        site.publish_record(jws).await;
    }
    receipt_through(&mut site.receipts, 2).await;
    site.publish_record(&records[0]).await;
    receipt_through(&mut site.receipts, 2).await;
    let tally = office.until(PATIENCE, |tally| tally.duplicates == 1).await.unwrap();
    assert_eq!((tally.verified, tally.bad), (2, 0));
}

#[tokio::test]
async fn altered_bytes_are_refused() {
    let (_broker, site, office) = setup().await;
    let mut events = office.events();
    let [first, second] = site.chain(2).try_into().unwrap();
    site.publish_record(&first).await;
    let parts: Vec<_> = second.split('.').collect();
    let cheaper = encode_url(payload(2, Some(digest(&first))).to_string().replace("\"2\"", "\"1\"").as_bytes());
    site.publish_record(&[parts[0], &cheaper, parts[2]].join(".")).await;
    assert_eq!(next_bad(&mut events).await, Fault::Jws(super::jws::JwsError::Signature));
    assert_eq!(office.through(SITE, EPOCH), 1);
    site.publish_record(&second).await;
    office.until_verified(2, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn the_same_seq_with_other_bytes_is_an_alarm() {
    let (_broker, site, office) = setup().await;
    let mut events = office.events();
    let [first, second] = site.chain(2).try_into().unwrap();
    let mut other = payload(1, None);
    other["record_id"] = json!("0192d3a0-7b1c-7def-8abc-ffffffffffff");
    for jws in [&first, &site.sign(&other), &second] {
        site.publish_record(jws).await;
    }
    assert_eq!(next_bad(&mut events).await, Fault::Fork { seq: 1 });
    let held = office.until_verified(2, PATIENCE).await.unwrap();
    assert_eq!(held[0].jws, first, "what is held stays");
}

#[tokio::test]
async fn disorder_and_gaps_delay_the_receipt() {
    let (_broker, mut site, office) = setup().await;
    let records = site.chain(4);
    for at in [0, 3, 2] {
        site.publish_record(&records[at]).await;
    }
    let tally = office.until(PATIENCE, |tally| tally.waiting == 2).await.unwrap();
    assert_eq!(tally.verified, 1);
    assert_eq!(receipt_through(&mut site.receipts, 1).await["root"], digest(&records[0]));
    let asked = tokio::time::timeout(PATIENCE, site.asked.recv()).await.unwrap().unwrap();
    assert_eq!(asked, json!({"epoch": EPOCH, "from": 2, "to": 2}));
    site.publish_record(&records[1]).await;
    receipt_through(&mut site.receipts, 4).await;
    assert_eq!(office.tally().waiting, 0);
}

#[tokio::test]
async fn a_broken_chain_and_wrong_sums_hold_the_receipt_and_are_named_in_it() {
    let (_broker, mut site, office) = setup().await;
    let mut events = office.events();
    let first = site.sign(&payload(1, None));
    site.publish_record(&first).await;
    receipt_through(&mut site.receipts, 1).await;
    let mut dear = payload(2, Some(digest(&first)));
    dear["cdr"]["total_cost"]["incl_vat"] = json!(3);
    site.publish_record(&site.sign(&dear)).await;
    assert!(matches!(next_bad(&mut events).await, Fault::Sum { .. }));
    let receipt = receipt_through(&mut site.receipts, 1).await;
    assert_eq!(receipt["rejected"], json!([{"seq": 2, "code": "sums"}]));
    site.publish_record(&site.sign(&payload(2, Some(digest("another"))))).await;
    assert_eq!(next_bad(&mut events).await, Fault::Chain { seq: 2 });
    assert_eq!(receipt_through(&mut site.receipts, 1).await["rejected"], json!([{"seq": 2, "code": "chain"}]));
    assert_eq!(office.records().len(), 1);
}

#[tokio::test]
async fn records_wait_for_their_keys() {
    let broker = Broker::start().await.unwrap();
    let site = Site::online(&broker).await;
    let office = Office::open(Options::new(broker.url())).await.unwrap();
    for jws in site.chain(2) {
        site.publish_record(&jws).await;
    }
    let tally = office.until(PATIENCE, |tally| tally.keyless == 2).await.unwrap();
    assert_eq!((tally.verified, tally.bad), (0, 0));
    site.publish_keys().await;
    office.until_verified(2, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn pinned_keys_do_not_yield_to_the_topic() {
    let (broker, site, _office) = setup().await;
    let pinned = Options { jwks: Some(r#"{"keys":[]}"#.into()), ..Options::new(broker.url()) };
    let office = Office::open(pinned).await.unwrap();
    let mut events = office.events();
    site.publish_record(&site.chain(1)[0]).await;
    assert!(matches!(next_bad(&mut events).await, Fault::Jws(super::jws::JwsError::UnknownKey(_))));
}

#[tokio::test]
async fn what_was_kept_survives_a_restart_and_a_new_broker() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, site, first_office) = setup().await;
    drop(first_office);
    let keep = Some(dir.path().join("kept.jsonl"));
    let office = Office::open(Options { keep: keep.clone(), ..Options::new(broker.url()) }).await.unwrap();
    let records = site.chain(3);
    site.publish_record(&records[0]).await;
    site.publish_record(&records[1]).await;
    office.until_verified(2, PATIENCE).await.unwrap();
    drop(office);
    broker.stop().await;

    let broker = Broker::start().await.unwrap();
    let mut site = Site::online(&broker).await;
    let office = Office::open(Options { keep, ..Options::new(broker.url()) }).await.unwrap();
    assert_eq!(receipt_through(&mut site.receipts, 2).await["root"], digest(&records[1]));
    site.publish_record(&records[2]).await;
    assert_eq!(office.until_verified(3, PATIENCE).await.unwrap()[2].jws, records[2], "the kept keys still serve");
}

#[tokio::test]
async fn a_dropped_office_leaves_its_place_at_the_broker_to_the_next() {
    let (broker, mut site, first) = setup().await;
    drop(first);
    let records = site.chain(3);
    for (jws, through) in records.iter().zip(1..) {
        let office = Office::open(Options { client_id: "the-one".into(), ..Options::new(broker.url()) }).await.unwrap();
        // A new office without a kept file starts from the first record.
        for held in records.iter().take_while(|held| *held != jws) {
            site.publish_record(held).await;
        }
        site.publish_record(jws).await;
        let wanted = async { while site.receipts.recv().await.unwrap()["through"] != through {} };
        tokio::time::timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("office {through}: {:?}", office.tally()));
    }
}

#[tokio::test]
async fn the_broker_may_go_and_come_back() {
    let (broker, site, office) = setup().await;
    let records = site.chain(2);
    site.publish_record(&records[0]).await;
    office.until_verified(1, PATIENCE).await.unwrap();
    let addr = broker.addr();
    drop(site.client.disconnect().await);
    broker.stop().await;
    office.until(PATIENCE, |tally| !tally.connected).await.unwrap();
    let broker = Broker::start_on(addr).await.unwrap();
    let mut events = office.events();
    let mut site = Site::online(&broker).await;
    receipt_through(&mut site.receipts, 1).await;
    // The new broker knows no subscription of ours; the retained status comes when it does.
    site.publish("status", &json!({"online": true}).to_string(), true).await;
    let subscribed = async { while !matches!(events.recv().await.unwrap(), Event::Status { online: true, .. }) {} };
    tokio::time::timeout(PATIENCE, subscribed).await.expect("not subscribed again");
    site.publish_record(&records[1]).await;
    receipt_through(&mut site.receipts, 2).await;
}

#[tokio::test]
async fn an_office_that_withholds_receipts_keeps_nothing_from_being_verified() {
    let (_broker, mut site, office) = setup().await;
    office.answer_with_receipts(false).await.unwrap();
    site.publish_record(&site.chain(1)[0]).await;
    office.until_verified(1, PATIENCE).await.unwrap();
    assert_eq!(office.tally().receipted, 0);
    assert!(site.receipts.try_recv().is_err());
    office.answer_with_receipts(true).await.unwrap();
    receipt_through(&mut site.receipts, 1).await;
}
