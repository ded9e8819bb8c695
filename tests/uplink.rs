//! The MQTT uplink against a real mosquitto: killed brokers, cut lines, an absent head office, wrong receipts, refused records.
//!
//! Every test ends with the same question: has the subscriber exactly the records we committed, byte for byte?

#[path = "uplink/setup.rs"]
mod setup;
#[allow(clippy::unwrap_used, reason = "a test fails where it stands")]
mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use setup::{BASE, EPOCH, MemoryOutbox, Running, SITE, Subscriber, publish, received, root, settings, until};
use support::tools::{self, Mosquitto};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn a_broker_absent_at_first_and_killed_again_and_again_loses_nothing() {
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    let (outbox, subscriber) = (MemoryOutbox::new(), Subscriber::new());
    outbox.add(30, 600);
    let uplink = Running::start(settings(&broker), &outbox);
    let refused = format!("connect tcp 127.0.0.1:{}: connection refused", broker.port);
    outbox.link("the technician reads why", |link| !link.up && link.error.as_deref() == Some(&refused)).await;

    broker.start().await;
    let task = subscriber.open(broker.port);
    subscriber.has(10).await;
    for _ in 0..6 {
        outbox.add(60, 600);
        let so_far = subscriber.committed.borrow().records.len();
        subscriber.has(so_far + 5).await;
        broker.kill();
        outbox.add(20, 600);
        broker.start().await;
    }
    outbox.all_receipted().await;
    subscriber.agrees_with(&outbox);
    assert_eq!(outbox.last(), 30 + 6 * 80);
    uplink.stop().await;
    task.abort();
}

#[tokio::test]
async fn a_line_cut_at_random_bytes_loses_nothing() {
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    broker.start().await;
    let cuts = Arc::new(AtomicU64::new(0));
    let proxy = cutting_proxy(broker.port, Arc::clone(&cuts), 2_000..60_000).await;
    let (outbox, subscriber) = (MemoryOutbox::new(), Subscriber::new());
    outbox.add(400, 900);
    let task = subscriber.open(broker.port);
    let mut settings = settings(&broker);
    settings.url = format!("mqtt://localhost:{proxy}");
    let uplink = Running::start(settings, &outbox);
    outbox.all_receipted().await;
    subscriber.agrees_with(&outbox);
    assert!(cuts.load(Relaxed) > 5, "{cuts:?} cuts");
    assert!(outbox.quarantined.borrow().is_empty(), "a bad line proves nothing against a record");
    uplink.stop().await;
    task.abort();
}

/// A line that is cut again and again, but carries something each time. The waits may double up to an hour: had they not begun
/// anew after each such connection, thirty cuts would take days.
#[tokio::test]
async fn a_line_that_carries_something_each_time_is_dialled_again_at_once() {
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    broker.start().await;
    let cuts = Arc::new(AtomicU64::new(0));
    let proxy = cutting_proxy(broker.port, Arc::clone(&cuts), 20_000..30_000).await;
    let (outbox, subscriber) = (MemoryOutbox::new(), Subscriber::new());
    outbox.add(600, 900);
    let task = subscriber.open(broker.port);
    let mut settings = settings(&broker);
    settings.url = format!("mqtt://localhost:{proxy}");
    settings.timing.reconnect_cap = Duration::from_secs(3_600);
    let uplink = Running::start(settings, &outbox);
    outbox.all_receipted().await;
    subscriber.agrees_with(&outbox);
    assert!(cuts.load(Relaxed) >= 20, "{cuts:?} cuts");
    uplink.stop().await;
    task.abort();
}

/// Nobody answers: the broker has the records, head office is silent. Not the same as all is well.
#[tokio::test]
async fn a_head_office_that_takes_records_and_sends_no_receipt_is_reported() {
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    broker.start().await;
    let (outbox, subscriber, silent) = (MemoryOutbox::new(), Subscriber::new(), Subscriber::silent());
    let silent_task = silent.open(broker.port);
    outbox.add(3, 300);
    let uplink = Running::start(settings(&broker), &outbox);
    let is_silent =
        |link: &forecourt::mqtt::LinkState| link.error.as_ref().is_some_and(|error| error.contains("no receipt comes"));
    outbox.link("head office is silent", |link| link.up && is_silent(link) && link.sent == 3).await;
    silent_task.abort();
    let task = subscriber.open(broker.port);
    outbox.all_receipted().await;
    outbox.link("all is well again", |link| link.up && link.error.is_none()).await;
    uplink.stop().await;
    task.abort();
}

/// `cargo test` counts a test that found no broker as passed; so it fails where it must not, and says so where it may.
#[test]
fn a_missing_broker_fails_under_ci_and_shows_elsewhere() {
    let test = "a_huge_retained_message_does_not_take_the_uplink_down";
    let run = |ci: &str| {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", test]).env(tools::WITHOUT, "mosquitto").env("CI", ci).output().expect("runs")
    };
    let strict = run("true");
    assert!(!strict.status.success(), "{strict:?}");
    let lenient = run("false");
    assert!(lenient.status.success(), "{lenient:?}");
    let shown = String::from_utf8_lossy(&lenient.stderr).into_owned();
    assert!(shown.contains("SKIPPED") && shown.contains(test) && shown.contains("mosquitto"), "{shown}");
}

#[tokio::test]
async fn a_frozen_broker_with_a_full_socket_is_noticed_and_left() {
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    broker.start().await;
    let (outbox, subscriber) = (MemoryOutbox::new(), Subscriber::new());
    let task = subscriber.open(broker.port);
    let mut settings = settings(&broker);
    // Long enough that no ping is under way, also on a busy computer, before the socket is full.
    settings.timing.keep_alive = Duration::from_secs(3);
    settings.timing.ack_wait = Duration::from_secs(600);
    let uplink = Running::start(settings, &outbox);
    outbox.link("connected", |link| link.up).await;
    broker.signal("-STOP");
    outbox.add(20, 600_000); // more than both socket buffers hold
    // Other states may follow before we look: what happened counts, not what stands last.
    let is_silent = |link: &forecourt::mqtt::LinkState| link.error.as_ref().is_some_and(|error| error.contains("sign of life"));
    outbox.link_since(0, "the silence is noticed", is_silent).await;
    broker.signal("-CONT");
    outbox.all_receipted().await;
    subscriber.agrees_with(&outbox);
    uplink.stop().await;
    task.abort();
}

#[tokio::test]
async fn head_office_may_be_away_and_may_lose_what_it_had_not_committed() {
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    broker.start().await;
    let (outbox, subscriber, silent) = (MemoryOutbox::new(), Subscriber::new(), Subscriber::silent());
    outbox.add(50, 300);
    let uplink = Running::start(settings(&broker), &outbox);
    outbox.link("nobody listens", |link| link.up && link.error.as_ref().is_some_and(|error| error.contains("subscribes"))).await;
    let task = subscriber.open(broker.port);
    outbox.all_receipted().await;
    outbox.link("all is well again", |link| link.up && link.error.is_none()).await;
    subscriber.agrees_with(&outbox);
    task.abort();

    // Somebody took the records, so the broker says yes to each; but head office never committed them.
    let silent_task = silent.open(broker.port);
    outbox.add(50, 300);
    silent.has(50).await;
    silent_task.abort();
    assert_eq!(*outbox.receipted.borrow(), 50);
    let task = subscriber.open(broker.port);
    outbox.all_receipted().await;
    subscriber.agrees_with(&outbox);
    uplink.stop().await;
    task.abort();
}

#[tokio::test]
async fn a_receipt_that_does_not_match_our_chain_retires_nothing() {
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    broker.start().await;
    let outbox = MemoryOutbox::new();
    outbox.add(5, 100);
    let receipt = |through: u64, root: &str| {
        serde_json::json!({"site": SITE, "epoch": EPOCH, "through": through, "root": root}).to_string().into_bytes()
    };
    let topic = format!("{BASE}/receipt");
    publish(broker.port, &topic, receipt(3, "AAAA")).await;
    let uplink = Running::start(settings(&broker), &outbox);
    for (payload, complaint) in [
        (None, "receipt refused: its root is not ours"),
        (Some(receipt(99, "AAAA")), "receipt refused: we never gave that number"),
        (Some(b"{\"site\":".to_vec()), "receipt refused: not a receipt"),
    ] {
        if let Some(payload) = payload {
            publish(broker.port, &topic, payload).await;
        }
        outbox.link(complaint, |link| link.up && link.error.as_ref().is_some_and(|error| error.starts_with(complaint))).await;
        assert_eq!(*outbox.receipted.borrow(), 0);
    }
    publish(broker.port, &topic, receipt(5, &root(&outbox.jws(5)))).await;
    outbox.all_receipted().await;
    uplink.stop().await;
}

#[tokio::test]
async fn a_huge_retained_message_does_not_take_the_uplink_down() {
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    broker.start().await;
    publish(broker.port, &format!("{BASE}/receipt"), vec![b'z'; 1 << 20]).await;
    let (outbox, subscriber) = (MemoryOutbox::new(), Subscriber::new());
    let task = subscriber.open(broker.port);
    outbox.add(30, 300);
    let uplink = Running::start(settings(&broker), &outbox);
    outbox.all_receipted().await;
    assert!(outbox.links.borrow().iter().all(|link| link.up), "never down: {:?}", outbox.links.borrow());
    uplink.stop().await;
    task.abort();
}

#[tokio::test]
async fn one_refused_record_does_not_stop_the_others() {
    // mosquitto answers a payload above this limit with a PUBACK code that ends the connection.
    let Some(mut broker) = Mosquitto::prepare("message_size_limit 2000") else { return };
    broker.start().await;
    let (outbox, subscriber) = (MemoryOutbox::new(), Subscriber::new());
    let task = subscriber.open(broker.port);
    outbox.add(2, 300);
    outbox.add(1, 5_000);
    outbox.add(20, 300);
    let uplink = Running::start(settings(&broker), &outbox);
    until("the refused record is found", &mut outbox.quarantined.subscribe(), |quarantined| !quarantined.is_empty()).await;
    subscriber.has(22).await;
    assert_eq!(outbox.quarantined.borrow().keys().copied().collect::<Vec<_>>(), [3]);
    assert!(!subscriber.committed.borrow().records.contains_key(&3));
    // No receipt can pass it, so it must be tried for ever: somebody may mend the broker at any time.
    until("it is offered again", &mut outbox.quarantined.subscribe(), |quarantined| {
        quarantined.get(&3).is_some_and(|tries| *tries > 2)
    })
    .await;
    outbox.link("a person can read which one", |link| link.error.as_ref().is_some_and(|error| error.contains("record 3"))).await;
    broker.kill();
    broker.configure("");
    broker.start().await;
    outbox.all_receipted().await;
    subscriber.agrees_with(&outbox);
    assert!(outbox.quarantined.borrow().is_empty(), "the broker took it after all");
    outbox.link("all is well", |link| link.up && link.error.is_none()).await;
    uplink.stop().await;
    task.abort();
}

#[tokio::test]
async fn birth_close_and_last_will_say_whether_the_site_is_there() {
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    broker.start().await;
    let (outbox, subscriber) = (MemoryOutbox::new(), Subscriber::new());
    let task = subscriber.open(broker.port);
    outbox.add(3, 300);
    let status = format!("{BASE}/status");
    let uplink = Running::start(settings(&broker), &outbox);
    received(broker.port, "w1", &status, |status| status["online"] == true && status["last_seq"] == 3 && status["outbox"] == 0)
        .await;
    received(broker.port, "w2", &format!("{BASE}/keys"), |keys| keys["keys"].is_array()).await;
    uplink.stop().await;
    received(broker.port, "w3", &status, |status| status["online"] == false && status["epoch"] == EPOCH).await;
    assert!(outbox.links.borrow().last().is_some_and(|link| !link.up && link.error.is_none()));

    let uplink = Running::start(settings(&broker), &outbox);
    received(broker.port, "w4", &status, |status| status["online"] == true).await;
    uplink.task.abort();
    received(broker.port, "w5", &status, |status| status["online"] == false).await;

    let sample = subscriber.committed.borrow().sample.clone().expect("a record");
    assert_eq!(sample.topic, format!("{BASE}/records/charge"));
    let properties = sample.properties.expect("properties");
    assert_eq!(properties.content_type.as_deref(), Some("application/jose"));
    let epoch = EPOCH.to_string();
    let expected = [("site", SITE), ("epoch", &epoch), ("seq", "1"), ("kind", "charge"), ("record_id", "id-1")];
    assert_eq!(properties.user_properties, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    task.abort();
}

#[tokio::test]
async fn tls_with_client_certificates_and_files_renewed_without_a_restart() {
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    let tls = "certfile @/server.pem\nkeyfile @/server.key\ncafile @/ca.pem\nrequire_certificate true\n";
    let dir = broker.file("");
    broker.configure(&tls.replace('@', dir.to_str().expect("a path").trim_end_matches('/')));
    if tools::tool("openssl").is_none() {
        return;
    }
    let made = Command::new("sh").arg("-ec").arg(CERTIFICATES).current_dir(&dir).output();
    if !made.is_ok_and(|output| output.status.success()) {
        return tools::skip("openssl is too old");
    }
    broker.start().await;
    let outbox = MemoryOutbox::new();
    let mut settings = settings(&broker);
    settings.url = format!("mqtts://localhost:{}", broker.port);
    settings.ca_file = Some(broker.file("other-ca.pem"));
    settings.cert_file = Some(broker.file("client.pem"));
    settings.key_file = Some(broker.file("client.key"));
    let uplink = Running::start(settings, &outbox);
    let unknown = |link: &forecourt::mqtt::LinkState| link.error.as_ref().is_some_and(|error| error.contains("UnknownIssuer"));
    outbox.link("a foreign broker is refused", unknown).await;
    std::fs::copy(broker.file("ca.pem"), broker.file("other-ca.pem")).expect("copy");
    outbox.link("the corrected file is enough", |link| link.up).await;
    uplink.stop().await;
}

/// What docs/head-office.md lets people try first: the simulators' head office at a broker as one is run.
#[tokio::test]
async fn the_example_office_logs_in_over_tls_and_shows_no_password() {
    use simulators::office::{Login, Office, Options};
    let Some(mut broker) = Mosquitto::prepare("") else { return };
    let (dir, Some(passwd), Some(_)) = (broker.file(""), tools::tool("mosquitto_passwd"), tools::tool("openssl")) else { return };
    let lines = "certfile @/server.pem\nkeyfile @/server.key\nallow_anonymous false\npassword_file @/passwords\n";
    broker.configure(&lines.replace('@', dir.to_str().expect("a path").trim_end_matches('/')));
    let made = Command::new("sh").arg("-ec").arg(CERTIFICATES).current_dir(&dir).output();
    if !made.is_ok_and(|output| output.status.success()) {
        return tools::skip("openssl is too old");
    }
    let made = Command::new(passwd).args(["-b", "-c", "passwords", "office", "s3cret-word"]).current_dir(&dir).output();
    assert!(made.is_ok_and(|output| output.status.success()));
    let readable = Command::new("chmod").args(["a+r", "passwords"]).current_dir(&dir).status();
    assert!(readable.is_ok_and(|status| status.success()));
    broker.start().await;
    let with = |password: &str| Options {
        login: Some(Login { user: "office".to_owned(), password: password.to_owned() }),
        ca: std::fs::read_to_string(broker.file("ca.pem")).ok(),
        ..Options::new(format!("mqtts://localhost:{}", broker.port))
    };
    let options = with("s3cret-word");
    assert!(!format!("{options:?}").contains("s3cret"), "{options:?}");
    let office = Office::open(options).await.expect("logged in");
    office.close().await.expect("closed");
    let refused = Office::open(with("wrong")).await.err().map(|error| format!("{error:#}"));
    assert!(refused.as_ref().is_some_and(|error| !error.contains("wrong")), "{refused:?}");
    let stranger = Options { ca: std::fs::read_to_string(broker.file("other-ca.pem")).ok(), ..with("s3cret-word") };
    assert!(Office::open(stranger).await.is_err(), "a broker of another authority");
}

const CERTIFICATES: &str = r"
for ca in ca other-ca; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=$ca -keyout $ca.key -out $ca.pem
done
printf 'subjectAltName=DNS:localhost\n' > san
for name in server client; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
  openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile san -out $name.pem
done
chmod a+rX . *.key
";

/// Forwards connections to the broker and cuts each after a random number of bytes, both directions counted.
async fn cutting_proxy(broker: u16, cuts: Arc<AtomicU64>, after: std::ops::Range<usize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((mut site, _)) = listener.accept().await {
            let (cuts, after) = (Arc::clone(&cuts), after.clone());
            tokio::spawn(async move {
                let Ok(mut broker) = TcpStream::connect(("127.0.0.1", broker)).await else { return };
                let mut left = fastrand::usize(after);
                let (mut up, mut down) = ([0; 1_024], [0; 1_024]);
                while left > 0 {
                    let (read, to, from) = tokio::select! {
                        read = site.read(&mut up) => (read, &mut broker, &up),
                        read = broker.read(&mut down) => (read, &mut site, &down),
                    };
                    let count = read.unwrap_or(0).min(left);
                    if count == 0 || to.write_all(&from[..count]).await.is_err() {
                        return;
                    }
                    left -= count;
                }
                cuts.fetch_add(1, Relaxed);
                tokio::time::sleep(Duration::from_millis(1)).await;
            });
        }
    });
    port
}
