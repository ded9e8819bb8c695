//! `[web] listen`, from outside: what the probes and Prometheus get, whatever the disk, the stations and other visitors do.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "web/exposition.rs"]
mod exposition;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use exposition::Exposition;
use serde_json::json;
use support::disk::FaultyDisk;
use support::socket::Socket;
use support::{PATIENCE, Plan, Site, free_port, transaction, until};

struct Answer {
    status: u16,
    head: String,
    body: String,
}

struct Web {
    port: u16,
}

impl Web {
    /// Lets the site's daemon listen, from its next start on.
    fn of(site: &mut Site) -> Self {
        let port = free_port();
        site.env_of_all.push(("FORECOURT__WEB__LISTEN".into(), format!("127.0.0.1:{port}")));
        Self { port }
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    }

    fn raw(&self, request: &str) -> Answer {
        let mut socket = self.connect().unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    fn ask(&self, method: &str, path: &str) -> Answer {
        self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: forecourt\r\n\r\n"))
    }

    /// Status and text.
    fn get(&self, path: &str) -> (u16, String) {
        let answer = self.ask("GET", path);
        (answer.status, answer.body)
    }

    fn metrics(&self) -> Exposition {
        let answer = self.ask("GET", "/metrics");
        assert!(answer.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", answer.head);
        assert_eq!(answer.status, 200);
        Exposition::parse(&answer.body)
    }
}

const OK: (u16, &str) = (200, "ok\n");

async fn boot(site: &Site, id: &str) -> Socket {
    let mut station = Socket::station(site.port, id, "ocpp1.6").await;
    station.call("1", "BootNotification", json!({"chargePointVendor": "V", "chargePointModel": "M"})).await;
    station
}

#[tokio::test]
async fn probes_and_other_requests_are_answered() {
    let mut site = Site::new(&Plan::default());
    let web = Web::of(&mut site);
    site.start().await;
    for path in ["/healthz", "/readyz"] {
        let (status, body) = web.get(path);
        assert_eq!((status, body.as_str()), OK, "{path}");
    }
    let head = web.ask("HEAD", "/metrics");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.contains("version=0.0.4") && head.head.contains("cache-control: no-store"), "{}", head.head);

    for path in ["/", "/metrics/", "/healthz/x", "/sessions"] {
        let (status, body) = web.get(path);
        assert_eq!(status, 404, "{path}");
        assert!(body.contains("/healthz, /readyz and /metrics"), "{body}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let refused = web.ask(method, "/metrics");
        assert_eq!(refused.status, 405, "{method}");
        assert!(refused.head.contains("allow: get,head"), "{}", refused.head);
        assert!(refused.body.contains(method) && refused.body.contains("GET or HEAD"), "{}", refused.body);
    }
    assert_eq!(web.raw("nonsense\r\n\r\n").status, 400);
    let long = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(40_000));
    let mut socket = web.connect().unwrap();
    // The server may have hung up already.
    let _ = socket.write_all(long.as_bytes());
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes);
    let refused = bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 431");
    assert!(refused, "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(web.get("/healthz").0, 200);
    site.stop().await;
    assert!(web.connect().is_err(), "nobody listens after the stop");
}

#[tokio::test]
async fn metrics_say_what_happened_and_a_restart_keeps_what_is_in_the_store() {
    let mut site = Site::new(&Plan::default());
    let web = Web::of(&mut site);
    site.start().await;
    let fresh = web.metrics();
    assert_eq!(fresh.number("forecourt_store_counts_complete", &[]), 1);
    assert_eq!(fresh.number("forecourt_build_info", &[("site", support::SITE), ("version", env!("CARGO_PKG_VERSION"))]), 1);
    assert_eq!(
        (fresh.number("forecourt_sessions_active", &[]), fresh.number("forecourt_outbox_oldest_age_seconds", &[])),
        (0, 0)
    );

    let mut station = boot(&site, "CP-1").await;
    for (id, at, stopped) in [("a", "2026-11-20T10:00:00Z", true), ("b", "2026-11-20T11:00:00Z", false)] {
        let (action, payload) = transaction::start("ocpp1.6", "", 0, at);
        let answer = station.call(&format!("{id}1"), action, payload).await;
        if stopped {
            let (action, payload) = transaction::stop("ocpp1.6", "", &answer, 5_000, "2026-11-20T10:30:00Z");
            station.call(&format!("{id}2"), action, payload).await;
            until("it is billed", || site.count("SELECT count(*) FROM v_record", &[]) == 1).await;
        }
    }
    let busy = web.metrics();
    let message = |metrics: &Exposition, action: &str, result: &str| {
        let labels = [("ocpp_version", "1.6"), ("action", action), ("direction", "in"), ("result", result)];
        metrics.get("forecourt_ocpp_messages_total", &labels).map(str::to_owned)
    };
    assert_eq!(message(&busy, "StartTransaction", "answered").as_deref(), Some("2"));
    assert_eq!(message(&busy, "StopTransaction", "refused").as_deref(), Some("0"));
    assert_eq!(busy.number("forecourt_sessions_opened_total", &[]), 2);
    assert_eq!((busy.number("forecourt_sessions_active", &[]), busy.number("forecourt_sessions_held", &[])), (1, 0));
    assert_eq!((busy.number("forecourt_record_last_seq", &[]), busy.number("forecourt_office_ack_seq", &[])), (1, 0));
    assert_eq!(busy.number("forecourt_outbox_records", &[("state", "waiting")]), 1);
    assert_eq!(busy.get("forecourt_mqtt_connected", &[]), None, "there is no broker");
    assert_eq!(busy.number("forecourt_connections", &[("ocpp_version", "1.6")]), 1);
    assert!(busy.number("forecourt_store_commit_duration_seconds_count", &[]) > 3);
    assert!(busy.number("forecourt_store_bytes", &[]) > 4096);

    site.kill9();
    assert!(web.connect().is_err(), "nobody listens after the kill");
    site.start().await;
    assert_eq!(web.get("/readyz").0, 200);
    let after = web.metrics();
    assert_eq!((after.number("forecourt_sessions_opened_total", &[]), after.number("forecourt_sessions_active", &[])), (0, 1));
    assert_eq!(after.number("forecourt_record_last_seq", &[]), 1);
    assert_eq!(message(&after, "StartTransaction", "answered"), None);
    site.stop().await;
}

#[tokio::test]
async fn what_stations_invent_adds_no_series_and_configured_names_are_escaped() {
    let stations = "[[station]]\nid = 'A\"b\\c'\n[[station]]\nid = 'Säule 2'".to_owned();
    let mut site = Site::new(&Plan { stations, ..Plan::default() });
    let web = Web::of(&mut site);
    site.start().await;
    let before = web.metrics();
    let names: Vec<_> = before.values("station").into_iter().collect();
    assert_eq!(names, ["A\"b\\c", "Säule 2"]);
    let mut known = boot(&site, "A%22b%5Cc").await;
    let mut first = boot(&site, "invented-0").await;
    for (id, station) in [("x", &mut known), ("y", &mut first)] {
        station.send(&format!(r#"[2,"{id}","Invented",{{}}]"#)).await;
        station.text().await;
    }
    until("the station was heard of", || {
        web.metrics().get("forecourt_charger_last_message_timestamp_seconds", &[("station", "A\"b\\c")]).is_some()
    })
    .await;
    let one = web.metrics();
    let connected = |id: &str| one.number("forecourt_charger_connected", &[("station", id)]);
    assert_eq!((connected("A\"b\\c"), connected("Säule 2")), (1, 0));

    let mut others = Vec::new();
    for number in 1..20 {
        let mut station = boot(&site, &format!("invented-{number}")).await;
        station.send(&format!(r#"[2,"x","Invented{number}",{{}}]"#)).await;
        station.text().await;
        let token = json!({"idTag": format!("T{number}")});
        station.call("t", "Authorize", token).await;
        others.push(station);
    }
    first.call("t", "Authorize", json!({"idTag": "T0"})).await;
    let many = web.metrics();
    assert_eq!(many.number("forecourt_connections", &[("ocpp_version", "1.6")]), 21);
    let new: Vec<_> = many.series().difference(&one.series()).map(|(name, labels)| (name.clone(), labels.clone())).collect();
    let authorize =
        |name: &str, action: Option<&String>| name == "forecourt_ocpp_messages_total" && action.is_some_and(|a| a == "Authorize");
    assert!(new.iter().all(|(name, labels)| authorize(name, labels.get("action"))), "{new:#?}");
    assert!(!web.ask("GET", "/metrics").body.to_lowercase().contains("invented"));
    site.stop().await;
}

#[tokio::test]
async fn a_full_disk_is_not_ready_but_healthy_and_ready_again_when_there_is_room() {
    let mut site = Site::new(&Plan::default());
    let web = Web::of(&mut site);
    let disk = FaultyDisk::under(&mut site);
    site.start().await;
    let mut station = boot(&site, "CP-1").await;
    disk.fail("full");
    let frame = json!([2, "2", "DataTransfer", {"vendorId": "x"}]).to_string();
    station.send(&frame).await;
    assert_eq!(station.text().await, None);
    until("it is not ready", || web.get("/readyz").0 == 503).await;
    let body = web.get("/readyz").1;
    assert!(body.starts_with("the store cannot commit") && body.contains("is the disk full"), "{body}");
    assert_eq!(web.get("/healthz").0, 200, "a restart would not help");
    let metrics = web.metrics();
    assert_eq!(metrics.number("forecourt_store_commits_work", &[]), 0);
    assert!(metrics.number("forecourt_store_commits_failed_total", &[]) > 0);
    disk.mend("full");
    until("it is ready again", || web.get("/readyz").0 == 200).await;
    boot(&site, "CP-1").await.ask(&frame).await;
    site.stop().await;
}

/// Nothing that is asked over HTTP waits for the disk.
#[tokio::test]
async fn a_disk_that_does_not_answer_leaves_numbers_out_and_holds_nobody_up() {
    let mut site = Site::new(&Plan::default());
    let web = Web::of(&mut site);
    let disk = FaultyDisk::under(&mut site);
    site.start().await;
    let mut station = boot(&site, "CP-1").await;
    assert_eq!(web.metrics().number("forecourt_store_counts_complete", &[]), 1);
    // What the reader has in memory is out of date then.
    station.call("2", "DataTransfer", json!({"vendorId": "x"})).await;
    disk.fail("reads-hang");
    disk.fail("fsync-hangs");
    station.send(&json!([2, "3", "DataTransfer", {"vendorId": "x"}]).to_string()).await;
    for _ in 0..3 {
        let began = Instant::now();
        let metrics = web.metrics();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert_eq!(metrics.number("forecourt_store_counts_complete", &[]), 0);
        assert_eq!(metrics.get("forecourt_sessions_active", &[]), None, "left out, not invented");
        assert!(metrics.number("forecourt_store_jobs_total", &[]) > 0);
    }
    until("the message waits", || web.metrics().number("forecourt_store_queue", &[]) > 0).await;
    assert_eq!(web.get("/healthz").0, 200, "two minutes have not passed");
    disk.mend("reads-hang");
    disk.mend("fsync-hangs");
    assert!(station.text().await.unwrap().starts_with("[3,\"3\""));
    until("everything is read again", || web.metrics().number("forecourt_store_counts_complete", &[]) == 1).await;
    assert_eq!(web.metrics().number("forecourt_store_queue", &[]), 0);
    site.stop().await;
}

#[tokio::test]
async fn slow_visitors_keep_nobody_out() {
    let mut site = Site::new(&Plan::default());
    let web = Web::of(&mut site);
    site.start().await;
    let slow = || {
        let mut socket = web.connect().unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
        socket
    };
    let mut visitors: Vec<TcpStream> = (0..64).map(|_| slow()).collect();
    // Others ask and do not read.
    for _ in 0..64 {
        let mut socket = web.connect().unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        visitors.push(socket);
    }
    visitors.extend((0..64).map(|_| slow()));
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(web.get("/healthz").0, 200);
        web.metrics();
    }
    boot(&site, "CP-1").await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    // The oldest made room; the newest is closed when its time is over.
    let ends = |socket: &mut TcpStream| !matches!(socket.read(&mut [0; 64]), Ok(1..));
    assert!(visitors.iter_mut().take(64).all(ends));
    let mut newest = slow();
    let began = Instant::now();
    assert!(ends(&mut newest));
    assert!((5..30).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    site.stop().await;
}

#[tokio::test]
async fn it_is_off_by_default_and_an_open_address_is_warned_of() {
    let mut site = Site::new(&Plan::default());
    site.start().await;
    assert!(!site.log().iter().any(|line| line.contains("over HTTP")), "{:?}", site.log());
    site.stop().await;
    assert!(!site.forecourt(&["check"]).ok().out.contains("web.listen"));

    let port = free_port();
    site.env_of_all.push(("FORECOURT__WEB__LISTEN".into(), format!("0.0.0.0:{port}")));
    let told = site.forecourt(&["check"]).ok().out;
    assert!(told.contains(&format!("web.listen 0.0.0.0:{port}")) && told.contains("neither login nor TLS"), "{told}");
    site.start().await;
    site.logged(&["WARN", "web.listen", "neither login nor TLS"]).await;
    site.stop().await;

    // Taken by another program: that may pass.
    let taken = std::net::TcpListener::bind(("0.0.0.0", port)).unwrap();
    site.spawn();
    let (status, log) = site.ended().await;
    assert_eq!(status.code(), Some(75), "{}", log.join("\n"));
    assert!(log.iter().any(|line| line.contains(&format!("web.listen 0.0.0.0:{port}"))), "{}", log.join("\n"));
    drop(taken);
    site.start().await;
    site.stop().await;
}
