//! What can be done by whoever reaches the port and is no station: take places, names, memory, disk. Nothing of it may touch the
//! stations that are known.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

mod support;

use std::net::SocketAddr;

use chrono::Utc;
use serde_json::json;
use support::socket::Socket;
use support::transaction::{start, stop};
use support::{PATIENCE, Plan, Site, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

fn configured(ids: impl IntoIterator<Item = String>) -> String {
    ids.into_iter().map(|id| format!("[[station]]\nid = \"{id}\"\n")).collect()
}

#[tokio::test]
async fn idle_unknown_stations_do_not_keep_known_stations_out() {
    let plan = Plan {
        ocpp: "max_connections = 4\nunknown_silence_s = 600".into(),
        stations: configured(["CONF".to_owned()]),
        ..Plan::default()
    };
    let mut site = Site::new(&plan);
    site.start().await;
    let mut proven = Socket::station(site.port, "PROVEN", "ocpp1.6").await;
    proven.unanswered().await;
    drop(proven);
    site.logged(&["station disconnected", "PROVEN"]).await;
    for restarted in [false, true] {
        let mut unknown = Vec::new();
        for number in 0..3 {
            unknown.push(Socket::station(site.port, &format!("X-{number}"), "ocpp1.6").await);
        }
        let refused = Socket::open(site.port, "/ocpp/X-3", &["ocpp1.6"]).await.map(drop).unwrap_err();
        assert!(refused.0 == 503 && refused.1.contains("[[station]]"), "says what to do: {refused:?}");
        let mut proven = Socket::station(site.port, "proven", "ocpp2.0.1").await;
        proven.unanswered().await;
        assert_eq!(unknown[0].closed().await, Some(1013), "the first one makes room");
        let mut configured = Socket::station(site.port, "CONF", "ocpp2.1").await;
        configured.unanswered().await;
        unknown[2].unanswered().await;
        if !restarted {
            site.stop().await;
            site.start().await;
        }
    }
    // Who said nothing is not remembered.
    let names = || site.query("SELECT station FROM v_station WHERE state <> 'refused' ORDER BY station", &[]);
    until("three are known", || names() == ["CONF", "PROVEN", "X-2"].map(|name| [Some(name.to_owned())])).await;
    site.stop().await;
}

#[tokio::test]
async fn an_unknown_station_that_says_nothing_valid_is_dropped() {
    let plan = Plan { ocpp: "unknown_silence_s = 3".into(), stations: configured(["CONF".to_owned()]), ..Plan::default() };
    let mut site = Site::new(&plan);
    site.start().await;
    let mut known = Socket::station(site.port, "CONF", "ocpp1.6").await;
    let mut speaks = Socket::station(site.port, "SPEAKS", "ocpp1.6").await;
    speaks.unanswered().await;
    let mut silent = Socket::station(site.port, "SILENT", "ocpp1.6").await;
    let mut noisy = Socket::station(site.port, "NOISY", "ocpp2.0.1").await;
    noisy.ask(r#"[2,"1","MakeTea",{}]"#).await;
    assert_eq!(silent.closed().await, Some(1008));
    assert_eq!(noisy.closed().await, Some(1008));
    site.logged(&["station disconnected", "SILENT", "says nothing valid"]).await;
    known.unanswered().await;
    speaks.unanswered().await;
    // For whoever is setting up a station, the first of what it said is there.
    let wanted = [["CONF", "1"], ["NOISY", "0"], ["SPEAKS", "1"]].map(|row| row.map(|text| Some(text.to_owned())));
    let rows = || site.query("SELECT station, proven_at IS NOT NULL FROM v_station ORDER BY station", &[]);
    until("three are known, and one of them not for sure", || rows() == wanted).await;
    assert_eq!(site.count("SELECT count(*) FROM v_message WHERE station = 'NOISY'", &[]), 1);
    site.stop().await;
}

/// Ten thousand names cost nothing: neither those that follow nor the next start.
#[tokio::test]
async fn invented_names_are_forgotten() {
    let mut site = Site::running().await;
    let port = site.port;
    let visits = (0..8).map(|lane| {
        tokio::spawn(async move {
            for number in 0..1_280 {
                let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let request = upgrade(&format!("INVENTED-{lane}-{number}"));
                tcp.write_all(request.as_bytes()).await.unwrap();
                let mut answer = [0; 12];
                tcp.read_exact(&mut answer).await.unwrap();
                assert!(matches!(&answer, b"HTTP/1.1 101" | b"HTTP/1.1 503"), "{answer:?}");
            }
        })
    });
    for visit in visits.collect::<Vec<_>>() {
        visit.await.unwrap();
    }
    // Those who leave something behind: a hundred of them are remembered.
    for number in 0..130 {
        let mut noisy = Socket::station(port, &format!("NOISY-{number}"), "ocpp1.6").await;
        noisy.ask(r#"[2,"1","MakeTea",{}]"#).await;
    }
    for restarted in [false, true] {
        let mut station = Socket::station(port, &format!("NEW-{restarted}"), "ocpp1.6").await;
        station.unanswered().await;
        if !restarted {
            site.stop().await;
            site.start().await;
        }
    }
    let count =
        |like: &str| site.count("SELECT count(*) FROM v_station WHERE station LIKE ?1 AND first_seen_at IS NOT NULL", &[&like]);
    // A heartbeat is answered before it is noted.
    until("both new ones are known", || count("NEW%") == 2).await;
    assert_eq!(count("INVENTED%"), 0);
    assert!((98..=100).contains(&count("NOISY%")), "{}", count("NOISY%"));
    assert!(site.count("SELECT count(*) FROM message", &[]) <= 101);
    site.stop().await;
}

fn upgrade(id: &str) -> String {
    format!(
        "GET /ocpp/{id} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    )
}

/// One text frame of `announced` bytes, of which all but the last come.
async fn half_send(port: u16, id: &str, announced: u32) -> TcpStream {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tcp.write_all(upgrade(id).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert_ne!(tcp.read_buf(&mut answer).await.unwrap(), 0, "{id}");
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    let mut frame = vec![0x81, 0xff, 0, 0, 0, 0];
    frame.extend(announced.to_be_bytes());
    frame.extend([0; 4]);
    frame.resize(frame.len() + announced as usize - 1, b' ');
    // It may be closed before all is taken.
    let _ = tcp.write_all(&frame).await;
    tcp
}

/// The close code of a connection that ends; `None`: ended without one.
async fn close_code(tcp: &mut TcpStream) -> Option<u16> {
    let mut frame = Vec::new();
    let read = async { while matches!(tcp.read_buf(&mut frame).await, Ok(1..)) {} };
    tokio::time::timeout(PATIENCE, read).await.expect("the end in time");
    (frame.len() >= 4 && frame[0] == 0x88).then(|| u16::from_be_bytes([frame[2], frame[3]]))
}

fn resident_kb(site: &Site) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn half_sent_messages_fill_no_memory() {
    let ids = || (0..150).map(|number| format!("CONF-{number}"));
    let plan = Plan { stations: configured(ids()), ..Plan::default() };
    let mut site = Site::new(&plan);
    site.start().await;
    let before = resident_kb(&site);
    let mut held = Vec::new();
    for number in 0..60 {
        // As far as unknown go: the first byte beyond 64 KiB ends it.
        held.push(half_send(site.port, &format!("X-{number}"), 65_536).await);
        let mut tcp = half_send(site.port, &format!("Y-{number}"), 1 << 20).await;
        assert!(matches!(close_code(&mut tcp).await, Some(1009) | None));
    }
    for id in ids() {
        held.push(half_send(site.port, &id, 1 << 20).await);
    }
    let full = site.logged(&["no memory for another large message", "CONF"]).await;
    assert!(!full.contains("CONF-0"), "those who came first have room: {full}");
    // In the meantime business goes on, with messages of the usual size.
    let mut station = Socket::station(site.port, "CONF-149", "ocpp1.6").await;
    let now = Utc::now().to_rfc3339();
    let (action, payload) = start("ocpp1.6", "", 0, &now);
    let answer = station.call("1", action, payload).await;
    let (action, payload) = stop("ocpp1.6", "", &answer, 100, &now);
    station.call("2", action, payload).await;
    site.settled().await;
    let grown = (resident_kb(&site) - before) / 1024;
    assert!(grown < 64, "{grown} MB");
    assert!(site.count("SELECT count(*) FROM v_problem WHERE kind = 'frame-no-room'", &[]) > 50);
    // When the others let go, there is room again.
    drop(held);
    let large = format!(r#"[2,"3","DataTransfer",{{"vendorId":"V","data":"{}"}}]"#, "x".repeat(1_000_000));
    until("connections end", || site.count("SELECT count(*) FROM v_station WHERE connected", &[]) == 1).await;
    assert_eq!(station.ask(&large).await[0], json!(3));
    site.stop().await;
}

#[tokio::test]
async fn noise_is_counted_and_not_kept_but_every_transaction_message_is() {
    let mut site = Site::running().await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    station.unanswered().await;
    let noise = format!(r#"[2,"1","MakeTea",{{"x":"{}"}}]"#, "x".repeat(10_000));
    for _ in 0..400 {
        assert_eq!(station.ask(&noise).await[0], json!(4), "answered all the same");
    }
    for number in 0..200 {
        assert_eq!(station.ask(&format!(r#"[2,"{number}","StopTransaction",{{"meterStop":]"#)).await[0], json!(3));
    }
    let kept = site.count("SELECT count(*) FROM v_message WHERE action = 'MakeTea'", &[]);
    // The minute may have turned in between.
    assert!((60..=180).contains(&kept), "{kept}");
    assert_eq!(site.count("SELECT max(length(text)) FROM v_message WHERE action = 'MakeTea'", &[]), 4096);
    assert_eq!(site.count("SELECT count(*) FROM v_message WHERE action = 'StopTransaction'", &[]), 200);
    drop(station);
    let left_out = "SELECT count FROM v_problem WHERE kind = 'messages-left-out' AND station = 'CP-1'";
    until("the rest is counted", || site.value(left_out, &[]) == Some((400 - kept).to_string())).await;

    // One that is not known: a few rows in all, and then it is no station.
    let mut unknown = Socket::station(site.port, "X-1", "ocpp1.6").await;
    for _ in 0..99 {
        unknown.ask(&noise).await;
    }
    unknown.send(&noise).await;
    assert_eq!(unknown.closed().await, Some(1008));
    assert_eq!(site.count("SELECT count(*) FROM v_message WHERE station = 'X-1'", &[]), 60);
    // Nothing of it that looks like a transaction is answered without being kept.
    let mut unknown = Socket::station(site.port, "X-1", "ocpp1.6").await;
    unknown.send(r#"[2,"1","StopTransaction",{"meterStop":]"#).await;
    assert_eq!(unknown.closed().await, Some(1011));
    site.stop().await;
}

#[tokio::test]
async fn problems_and_connectors_of_a_station_are_bounded() {
    let mut site = Site::running().await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp2.0.1").await;
    for number in 0..300 {
        let now = Utc::now().to_rfc3339();
        let event = json!({"type": format!("Event-{number}"), "timestamp": now});
        station.call(&format!("e{number}"), "SecurityEventNotification", event).await;
        let status = json!({"evseId": number, "connectorId": 1, "connectorStatus": "Available", "timestamp": now});
        station.call(&format!("s{number}"), "StatusNotification", status).await;
    }
    assert!(site.count("SELECT count(*) FROM v_problem WHERE station = 'CP-1'", &[]) <= 100);
    assert_eq!(site.count("SELECT count(*) FROM connector", &[]), 256);
    assert_eq!(site.count("SELECT count FROM v_problem WHERE kind = 'connectors-too-many'", &[]), 44);
    site.stop().await;
}

#[tokio::test]
async fn sockets_that_never_ask_leave_room_for_others() {
    let plan = Plan { ocpp: "handshake_s = 60".into(), ..Plan::default() };
    let mut site = Site::new(&plan);
    site.start().await;
    let connect = async |from: [u8; 4]| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        socket.connect(SocketAddr::from(([127, 0, 0, 1], site.port))).await.unwrap()
    };
    let mut silent = Vec::new();
    for _ in 0..700 {
        silent.push(connect([127, 0, 0, 2]).await);
    }
    site.logged(&["have not said who they are", "127.0.0.2"]).await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    station.unanswered().await;
    assert!(site.log().iter().filter(|line| line.contains("have not said who they are")).count() <= 30, "nor is the log filled");
    site.stop().await;
}
