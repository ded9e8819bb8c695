//! The same records whatever dies: `kill -9` of the daemon at random moments, a broker that is absent, killed and back.
//!
//! Every test ends with the same questions. Is every message that was answered in the journal, once? Has every finished session
//! one record, and is the chain whole? Does head office hold exactly these records?

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use simulators::office::{self, Office};
use simulators::reconciliation::Reconciliation;
use simulators::scenario::{ExpectedSession, Player};
use simulators::station::{Answer, Options, Station, Version};
use simulators::{Broker, Clock, Scenario};
use support::socket::Socket;
use support::tools::{self, Mosquitto};
use support::{PATIENCE, Plan, SITE, Site, until};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio_tungstenite::tungstenite::Message;

/// Three quarters of an hour with a pause, two dozen messages; played as fast as the daemon answers.
const BUSY: &str = r#"
name = "busy"
steps = [
  "plug", "authorize", "start",
  { meter = { watts = 11000, minutes = 10, every_s = 60 } },
  { suspend = { by = "ev" } },
  { wait = { minutes = 20, every_s = 300 } },
  "resume",
  { meter = { watts = 7000, minutes = 5, every_s = 60 } },
  "stop",
  { wait = { seconds = 30 } },
  "unplug",
]"#;

/// Stations that run one session after the other until it is enough.
struct Fleet {
    stations: Vec<Rc<Station>>,
    finished: Vec<tokio::task::JoinHandle<Vec<ExpectedSession>>>,
    enough: watch::Sender<bool>,
}

impl Fleet {
    /// Connects and boots `count` stations of all three versions and lets them begin. Must run inside a [`LocalSet`].
    async fn begin(url: &str, count: usize) -> Self {
        let (enough, is_enough) = watch::channel(false);
        let mut fleet = Self { stations: Vec::new(), finished: Vec::new(), enough };
        for number in 0..count {
            let version = Version::ALL[number % 3];
            let mut options = Options::new(url, format!("CP-{number:02}-{version}"), version);
            options.clock = Clock::instant(Utc::now() - TimeDelta::days(30));
            options.retry_interval = Duration::from_millis(200);
            options.first_backoff = Duration::from_millis(20);
            options.longest_backoff = Duration::from_millis(200);
            let station = Rc::new(Station::start(options));
            station.connected(PATIENCE).await.unwrap();
            station.boot().await.unwrap();
            fleet.finished.push(tokio::task::spawn_local(play(Rc::clone(&station), is_enough.clone())));
            fleet.stations.push(station);
        }
        fleet
    }

    fn answered(&self) -> usize {
        self.stations.iter().map(|station| station.snapshot().answered).sum()
    }

    /// Every station finishes the session it has begun. What they know to have happened.
    async fn finish(&mut self) -> Vec<ExpectedSession> {
        self.enough.send_replace(true);
        let mut sessions = Vec::new();
        for finished in self.finished.drain(..) {
            sessions.extend(finished.await.unwrap());
        }
        sessions
    }
}

async fn play(station: Rc<Station>, enough: watch::Receiver<bool>) -> Vec<ExpectedSession> {
    let scenario = Scenario::parse_toml(BUSY).unwrap();
    let mut player = Player::new(&station, &scenario);
    player.token = Some(format!("04{}", station.id().replace(['-', '.'], "")));
    let mut sessions = Vec::new();
    while !*enough.borrow() {
        let outcome = player.play(&scenario).await.unwrap();
        assert_eq!(outcome.complaints, Vec::<String>::new(), "{}", station.id());
        sessions.extend(outcome.sessions);
    }
    sessions
}

#[tokio::test]
async fn ten_kills_among_twenty_stations_lose_nothing_and_bill_nothing_twice() {
    let mut random = seeded();
    let broker = Broker::start().await.unwrap();
    let office = Office::open(office::Options::new(broker.url())).await.unwrap();
    let mut site = Site::new(&Plan { mqtt_url: broker.url(), ..Plan::default() });
    site.start().await;
    let work = async {
        let mut fleet = Fleet::begin(&site.url(), 20).await;
        for _ in 0..10 {
            // Far enough that every life of the daemon does some work; then at any instant of a commit, an answer, a bill.
            let target = fleet.answered() + random.usize(40..160);
            until("the stations get answers", || fleet.answered() >= target).await;
            tokio::time::sleep(Duration::from_micros(random.u64(0..30_000))).await;
            site.kill9();
            if random.u8(0..3) == 0 {
                // Again, while it is starting.
                site.spawn();
                tokio::time::sleep(Duration::from_micros(random.u64(0..60_000))).await;
                site.kill9();
            }
            site.start().await;
        }
        let sessions = fleet.finish().await;
        (fleet, sessions)
    };
    let (fleet, sessions) = LocalSet::new().run_until(work).await;

    let retried = fleet.stations.iter().flat_map(|station| station.answered()).filter(|answered| answered.attempts > 1).count();
    assert!(retried > 0, "no kill hit a message on its way: the test proves nothing");
    store_agrees(&site, &fleet, &sessions).await;
    office_agrees(&site, &office, &sessions).await;
    site.stop().await;
    site.forecourt(&["verify", "--all"]).ok();
}

#[tokio::test]
async fn a_broker_absent_and_killed_again_and_again_loses_nothing_and_doubles_nothing() {
    let (Some(mut broker), Some(mosquitto_sub), Some(jose)) =
        (Mosquitto::prepare(""), tools::tool("mosquitto_sub"), tools::tool("jose"))
    else {
        return;
    };
    let mut site = Site::new(&Plan { mqtt_url: broker.url(), ..Plan::default() });
    site.start().await;
    let work = async {
        let mut fleet = Fleet::begin(&site.url(), 3).await;
        let records = || site.count("SELECT count(*) FROM v_record", &[]);
        until("sessions are billed without a broker", || records() >= 3).await;
        let outbox = site.forecourt(&["outbox", "status", "--json"]).ok().json();
        assert_eq!((&outbox["link_up"], &outbox["acknowledged_seq"]), (&json!(false), &json!(0)), "{outbox}");
        assert!(outbox["link_error"].as_str().is_some_and(|error| error.contains("connection refused")), "{outbox}");

        broker.start().await;
        // Head office falls with its broker and opens again with what it had kept. (A simulated office that outlives the broker
        // resumes its session there, and its MQTT library leaves a broker that resends more than it likes, for ever.)
        let mut options = office::Options::new(broker.url());
        options.keep = Some(site.dir.path().join("office.jsonl"));
        for _ in 0..3 {
            options.client_id = format!("office-{}", fastrand::u64(..));
            let office = Office::open(options.clone()).await.unwrap();
            let seen = office.tally().verified;
            office.until_verified(seen + 2, PATIENCE).await.unwrap();
            drop(office);
            broker.kill();
            let before = records();
            until("sessions finish while the broker is dead", || records() > before).await;
            broker.start().await;
        }
        options.client_id = "office-at-last".into();
        let office = Office::open(options).await.unwrap();
        (fleet.finish().await, fleet, office)
    };
    let (sessions, fleet, office) = LocalSet::new().run_until(work).await;
    store_agrees(&site, &fleet, &sessions).await;
    office_agrees(&site, &office, &sessions).await;

    // Somebody with Debian's programs: reads the retained keys, receives one more record, checks it.
    let receive = |topic: &str, how: &[&str]| {
        let mut command = std::process::Command::new(&mosquitto_sub);
        command.args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-i", "debian", "-c", "-q", "1", "-W", "60"]);
        command.args(["-t", &format!("forecourt/v1/{SITE}/{topic}")]).args(how);
        support::run_to_end(&mut command).ok().out.trim_end().to_owned()
    };
    let jwks = site.dir.path().join("received.jwks");
    std::fs::write(&jwks, receive("keys", &["-C", "1"])).unwrap();
    // -E: subscribed, and gone again; the broker keeps what comes meanwhile.
    receive("records/charge", &["-E"]);
    one_session(&site, "LAST").await;
    let jws = receive("records/charge", &["-C", "1"]);
    assert_eq!(site.value("SELECT jws FROM v_record ORDER BY seq DESC LIMIT 1", &[]), Some(jws.clone()));
    let text = tools::jose_verify(&jose, &jws, &jwks).expect("jose verifies the record");
    let record: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&record["site"], &record["session"]["station"]), (&json!(SITE), &json!("LAST")));
    assert_eq!(tools::jose_verify(&jose, &tools::altered(&jws), &jwks), None, "an altered record must not verify");
    site.stop().await;
}

#[tokio::test]
async fn a_session_begun_before_a_kill_is_finished_after_it_and_billed_once() {
    let mut site = Site::running().await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    let start = json!({"connectorId": 1, "idTag": "T1", "meterStart": 1000, "timestamp": Utc::now() - TimeDelta::hours(1)});
    let tx = station.call("a", "StartTransaction", start.clone()).await["transactionId"].clone();
    let session = || site.query("SELECT session_id, state FROM v_session", &[]);
    let before = session();
    assert_eq!(before[0][1].as_deref(), Some("open"));

    site.kill9();
    site.start().await;
    let session = || site.query("SELECT session_id, state FROM v_session", &[]);
    assert_eq!(session(), before, "the open session is as it was");
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    // The answer may have been lost: the station asks again, with the same and with a new message id.
    assert_eq!(station.call("a", "StartTransaction", start.clone()).await["transactionId"], tx);
    assert_eq!(station.call("b", "StartTransaction", start).await["transactionId"], tx);
    let stop = json!({"transactionId": tx, "meterStop": 6000, "timestamp": Utc::now(), "idTag": "T1"});
    station.call("c", "StopTransaction", stop.clone()).await;
    site.settled().await;
    site.kill9();
    site.start().await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    station.call("c", "StopTransaction", stop.clone()).await;
    station.call("d", "StopTransaction", stop).await;
    site.settled().await;
    let bill = site.query("SELECT state, energy_wh, cost_incl_vat, record_seq FROM v_session", &[]);
    // 5 kWh at 0.40 EUR, 19 % VAT on 2.00 EUR.
    assert_eq!(bill, [[Some("done".into()), Some("5000".into()), Some("2.38".into()), Some("1".into())]]);
    assert_eq!(site.count("SELECT count(*) FROM v_record", &[]), 1);
    assert_eq!(site.value("SELECT repeats FROM v_message WHERE call_id = 'a'", &[]).as_deref(), Some("1"));
    site.forecourt(&["verify", "--all"]).ok();
    site.stop().await;
}

/// The very first start makes a key, a store and its schema; killed anywhere on the way, the next one succeeds.
#[tokio::test]
async fn a_first_start_killed_at_any_instant_is_followed_by_a_good_one() {
    let mut random = seeded();
    for _ in 0..15 {
        let mut site = Site::new(&Plan::default());
        site.spawn();
        tokio::time::sleep(Duration::from_micros(random.u64(0..50_000))).await;
        site.kill9();
        site.start().await;
        one_session(&site, "CP-1").await;
        site.settled().await;
        let verified = site.forecourt(&["verify", "--all", "--json"]).ok().json();
        assert_eq!(verified["records"], json!(1));
        site.kill9();
    }
}

/// A disk that fails under a commit: nothing more is answered, the daemon leaves to be restarted by its supervisor, and what was answered
/// is there.
#[tokio::test]
async fn a_failing_disk_loses_nothing_that_was_answered() {
    let mut site = Site::new(&Plan::default());
    site.file_limit = Some(2048);
    site.start().await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp2.0.1").await;
    // Long messages are taken from stations only.
    station.unanswered().await;
    let frame = |id: usize| json!([2, id.to_string(), "DataTransfer", {"vendorId": "x".repeat(50_000)}]).to_string();
    let mut answered = 0;
    loop {
        // The connection may be gone already.
        let _ = station.send_frame(Message::text(frame(answered))).await;
        match station.text().await {
            Some(answer) => assert!(answer.starts_with(&format!("[3,\"{answered}\"")), "{answer}"),
            None => break,
        }
        answered += 1;
        assert!(answered < 1000, "the disk does not fail");
    }
    let (status, log) = site.ended().await;
    assert_eq!(status.code(), Some(1), "{}", log.join("\n"));
    assert!(log.iter().any(|line| line.contains("ERROR") && line.contains("commit failed")), "{}", log.join("\n"));

    site.file_limit = None;
    site.start().await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp2.0.1").await;
    station.ask(&frame(answered)).await;
    let stored = site.query("SELECT call_id FROM v_message ORDER BY message_id", &[]);
    let wanted: Vec<Vec<Option<String>>> = (0..=answered).map(|id| vec![Some(id.to_string())]).collect();
    assert!(answered > 5, "{answered}");
    assert_eq!(stored, wanted);
    site.stop().await;
}

/// A new seed, printed on stderr, or the one of an earlier run.
fn seeded() -> fastrand::Rng {
    let seed = std::env::var("FORECOURT_SEED").ok().map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("FORECOURT_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// A station that comes, charges 1 kWh, and goes.
async fn one_session(site: &Site, id: &str) {
    let mut station = Socket::station(site.port, id, "ocpp1.6").await;
    let at = |minutes: i64| Utc::now() - TimeDelta::minutes(minutes);
    let start = json!({"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": at(30)});
    let tx = station.call("1", "StartTransaction", start).await["transactionId"].clone();
    station.call("2", "StopTransaction", json!({"transactionId": tx, "meterStop": 1000, "timestamp": at(0)})).await;
}

/// Journal, sessions and chain compared with what the stations know.
async fn store_agrees(site: &Site, fleet: &Fleet, sessions: &[ExpectedSession]) {
    site.settled().await;
    let stored = support::reconciliation::sessions(site, sessions);
    assert_eq!(stored.iter().find(|session| session.state != "done"), None, "every finished session is billed");
    support::reconciliation::chain(site, sessions.len());
    let mut journal: HashMap<String, Vec<(String, Option<String>)>> = HashMap::new();
    for row in site.query("SELECT station, call_id, answer FROM v_message ORDER BY message_id", &[]) {
        let [Some(station), Some(call), answer] = <[_; 3]>::try_from(row).unwrap() else { panic!("a message without id") };
        journal.entry(station).or_default().push((call, answer));
    }
    for station in &fleet.stations {
        let rows = &journal[station.id()];
        let answered = station.answered();
        for message in answered.iter().filter(|message| message.action != "Heartbeat") {
            let found: Vec<_> = rows.iter().filter(|(call, _)| call == &message.message_id).collect();
            assert_eq!(found.len(), 1, "{} {} {message:?}", station.id(), message.action);
            let Answer::Result(payload) = &message.answer else { panic!("{}: {message:?}", station.id()) };
            let stored: Value = serde_json::from_str(found[0].1.as_deref().unwrap()).unwrap();
            assert_eq!(&stored[2], payload, "the answer that was sent is the one that was stored");
        }
        let sent: Vec<&str> = answered.iter().filter(|m| m.transaction).map(|m| m.message_id.as_str()).collect();
        let known: BTreeSet<&str> = sent.iter().copied().collect();
        let stored: Vec<&str> = rows.iter().map(|(call, _)| call.as_str()).filter(|call| known.contains(call)).collect();
        assert_eq!(stored, sent, "transaction messages are journaled in the order of the station");
    }
}

/// Head office has confirmed everything, holds the same bytes, and they bill what the stations know.
async fn office_agrees(site: &Site, office: &Office, sessions: &[ExpectedSession]) {
    let count = sessions.len();
    if let Err(error) = office.until_verified(count, PATIENCE).await {
        let outbox = site.forecourt(&["outbox", "status", "--json"]).out;
        let log = site.log().into_iter().filter(|line| !line.contains(" session=")).collect::<Vec<_>>().join("\n");
        panic!("head office lacks records: {error}\n{outbox}\n{log}");
    }
    until("receipts retire the whole outbox", || site.count("SELECT count(*) FROM v_outbox", &[]) == 0).await;
    let outbox = site.forecourt(&["outbox", "status", "--json"]).ok().json();
    assert_eq!((&outbox["outbox"], &outbox["acknowledged_seq"]), (&json!(0), &json!(count)), "{outbox}");
    assert_eq!(office.faults(), Vec::<String>::new());
    let theirs: BTreeMap<u64, String> = office.records().iter().map(|record| (record.seq, record.jws.clone())).collect();
    let ours = site.query("SELECT seq, jws FROM v_record ORDER BY seq", &[]);
    let ours: BTreeMap<u64, String> =
        ours.into_iter().map(|row| (row[0].as_ref().unwrap().parse().unwrap(), row[1].clone().unwrap())).collect();
    assert_eq!(theirs.len(), office.records().len(), "(site, epoch, seq) is unique");
    assert_eq!(theirs, ours);
    let reconciliation = Reconciliation::of(sessions, &office.records());
    assert!(reconciliation.balances(), "{reconciliation:?}");
}
