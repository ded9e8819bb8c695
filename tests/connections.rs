//! Who may connect, who is turned away and how, who wins, and what a stop, a dead station or a blocked store does to the others.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

mod support;

use std::time::{Duration, Instant};

use chrono::Utc;
use serde_json::json;
use support::socket::Socket;
use support::transaction::{VERSIONS, start, stop};
use support::{PATIENCE, Plan, Site, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn the_subprotocol_decides_the_version_and_nothing_else_does() {
    let mut site = Site::running().await;
    for (offers, wanted) in [
        (&["ocpp1.6"][..], Some("ocpp1.6")),
        (&["ocpp2.1, ocpp2.0.1"], Some("ocpp2.1")),
        (&["ocpp2.0.1,ocpp2.1"], Some("ocpp2.0.1")),
        (&["ocpp0.1,ocpp1.6"], Some("ocpp1.6")),
        (&["ocpp0.1", "ocpp1.6"], Some("ocpp1.6")),
        (&["ocpp0.1"], None),
        (&["ocpp2.0"], None),
        (&[], None),
    ] {
        let answer = upgrade(site.port, "/ocpp/2.0.1/CP-1", offers).await;
        let chosen = answer.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
        assert_eq!(chosen, wanted, "{offers:?}: {answer}");
        let status = if wanted.is_some() { "http/1.1 101 " } else { "http/1.1 400 " };
        assert!(answer.starts_with(status), "{offers:?}: {answer}");
        assert!(wanted.is_some() || answer.contains("ocpp1.6"), "the station's log may say what is spoken here: {answer}");
    }
    assert_eq!(Socket::open(site.port, "/elsewhere/CP-1", &["ocpp1.6"]).await.map(drop).unwrap_err().0, 404);
    assert_eq!(Socket::open(site.port, "/ocpp/", &["ocpp1.6"]).await.map(drop).unwrap_err().0, 404);
    assert_eq!(Socket::open(site.port, "/ocpp/a%3Ab", &["ocpp1.6"]).await.map(drop).unwrap_err().0, 400);
    site.stop().await;
}

/// The answer to an upgrade request, in lower case. By hand: WebSocket libraries have opinions about offers.
async fn upgrade(port: u16, path: &str, offers: &[&str]) -> String {
    let offers: String = offers.iter().map(|offer| format!("Sec-WebSocket-Protocol: {offer}\r\n")).collect();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offers}\r\n"
    );
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") || answer.starts_with(b"HTTP/1.1 400") {
        let read = tokio::time::timeout(PATIENCE, tcp.read_buf(&mut answer)).await.expect("an answer").unwrap();
        if read == 0 {
            break;
        }
    }
    String::from_utf8(answer).unwrap().to_lowercase()
}

#[tokio::test]
async fn identities_are_decoded_once_and_their_case_does_not_matter() {
    let mut site = Site::running().await;
    for path in ["/ocpp/RDAM%7C%2001", "/ocpp/rdam%7C%2001/", "/ocpp/100%2525"] {
        let mut socket = Socket::open(site.port, path, &["ocpp1.6"]).await.unwrap();
        socket.call("1", "BootNotification", json!({"chargePointVendor": "V", "chargePointModel": path})).await;
    }
    let stations = site.query("SELECT station, model FROM v_station ORDER BY station", &[]);
    let wanted = [["100%25", "/ocpp/100%2525"], ["RDAM| 01", "/ocpp/rdam%7C%2001/"]];
    assert_eq!(stations, wanted.map(|row| row.map(|text| Some(text.to_owned()))));
    for path in ["/ocpp/..", "/ocpp/%2e", "/ocpp/a%2Fb", "/ocpp/a%0aX", "/ocpp/%1b%5b2J", "/ocpp/a%C2%9bm", "/ocpp/%E2%80%AE1-PC"]
    {
        let refused = Socket::open(site.port, path, &["ocpp1.6"]).await.map(drop).unwrap_err();
        assert_eq!(refused.0, 400, "{path}: {refused:?}");
        assert!(refused.1.trim_end().chars().all(|c| !c.is_control() && c != '\u{202e}'), "{refused:?}");
    }
    site.stop().await;
}

#[tokio::test]
async fn unknown_stations_are_turned_away_when_the_site_says_so() {
    let mut site = Site::new(&Plan {
        ocpp: "unknown_stations = \"reject\"".into(),
        stations: "[[station]]\nid = \"Known-1\"".into(),
        ..Plan::default()
    });
    site.start().await;
    let refused = Socket::open(site.port, "/ocpp/Unknown", &["ocpp1.6"]).await.map(drop).unwrap_err();
    assert_eq!(refused.0, 404);
    assert!(refused.1.contains("[[station]]"), "says what to do: {refused:?}");
    site.logged(&["station turned away", "Unknown", "404"]).await;
    let seen =
        "SELECT count(*) FROM v_station WHERE station = 'Unknown' AND state = 'refused' AND refused_reason LIKE '%[[station]]%'";
    until("it is listed with the reason", || site.count(seen, &[]) == 1).await;
    let mut socket = Socket::station(site.port, "KNOWN-1", "ocpp1.6").await;
    socket.unanswered().await;
    site.stop().await;
}

#[tokio::test]
async fn more_connections_than_allowed_get_503_but_a_station_may_come_back() {
    let mut site = Site::new(&Plan { ocpp: "max_connections = 2".into(), ..Plan::default() });
    site.start().await;
    let mut first = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    let mut second = Socket::station(site.port, "CP-2", "ocpp2.0.1").await;
    first.unanswered().await;
    second.unanswered().await;
    let refused = Socket::open(site.port, "/ocpp/CP-3", &["ocpp1.6"]).await.map(drop).unwrap_err();
    assert_eq!(refused.0, 503);
    let mut again = Socket::station(site.port, "CP-2", "ocpp2.0.1").await;
    again.unanswered().await;
    assert_eq!(second.closed().await, Some(1008));
    // A place that is given up can be taken.
    drop(first);
    site.logged(&["station disconnected", "CP-1"]).await;
    let mut third = Socket::station(site.port, "CP-3", "ocpp1.6").await;
    third.unanswered().await;
    site.stop().await;
}

#[tokio::test]
async fn the_newest_connection_of_a_station_wins() {
    let mut site = Site::running().await;
    let now = Utc::now().to_rfc3339();
    let mut old = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    let (action, payload) = start("ocpp1.6", "", 100, &now);
    let answer = old.call("1", action, payload).await;
    let mut new = Socket::station(site.port, "cp-1", "ocpp1.6").await;
    new.unanswered().await;
    assert_eq!(old.closed().await, Some(1008));
    drop(old);
    site.logged(&["station disconnected", "CP-1", "newer connection"]).await;
    // The end of the old connection must not touch the new one, nor the session.
    let (action, payload) = stop("ocpp1.6", "", &answer, 150, &now);
    new.call("2", action, payload).await;
    site.settled().await;
    let station = site.query("SELECT station, connected, connects, open_sessions FROM v_station", &[]);
    assert_eq!(station, [["CP-1", "1", "2", "0"].map(|text| Some(text.to_owned()))]);
    assert_eq!(site.value("SELECT energy_wh FROM v_session", &[]).as_deref(), Some("50"));
    site.stop().await;
}

#[tokio::test]
async fn sigterm_says_goodbye_and_ends_well_even_with_a_station_that_hears_nothing() {
    let mut site = Site::running().await;
    let mut stations = Vec::new();
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let mut station = Socket::station(site.port, &format!("CP-{number}"), version).await;
        station.unanswered().await;
        stations.push(station);
    }
    let mut wedged = Socket::station(site.port, "WEDGED", "ocpp1.6").await;
    wedge(&mut wedged).await;
    let asked = Instant::now();
    site.terminate();
    for station in &mut stations {
        assert_eq!(station.closed().await, Some(1001));
    }
    let (status, log) = site.ended().await;
    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
    // Not a measurement: only that nobody waits half a minute for somebody who is gone.
    assert!(asked.elapsed() < Duration::from_secs(20), "took {:?}", asked.elapsed());
    assert!(log.iter().any(|line| line.contains("stopped")), "{}", log.join("\n"));
    assert!(TcpStream::connect(("127.0.0.1", site.port)).await.is_err(), "nobody listens any more");
    assert_eq!(site.count("SELECT sum(connected) FROM v_station WHERE station LIKE 'CP-%'", &[]), 0);
    let status = site.forecourt(&["status", "--json"]).ok().json();
    assert_eq!(status["daemon_running"], json!(false));
}

/// Asks and never listens, until its own messages are not taken any more.
async fn wedge(station: &mut Socket) {
    // Long messages are taken from stations only.
    station.unanswered().await;
    // The answer is as long as the id.
    let frame = json!([2, "x".repeat(100_000), "Heartbeat", {}]).to_string();
    let stuck = |result: Result<_, _>| matches!(result, Err(tokio::time::error::Elapsed { .. }));
    let start = Instant::now();
    while !stuck(
        tokio::time::timeout(Duration::from_millis(500), station.send_frame(Message::text(frame.clone()))).await.map(drop),
    ) {
        assert!(start.elapsed() < PATIENCE, "the daemon goes on reading from a station that does not read");
    }
}

#[tokio::test]
async fn a_station_that_never_reads_does_not_hold_up_the_others() {
    let mut site = Site::running().await;
    let mut wedged = Socket::station(site.port, "WEDGED", "ocpp1.6").await;
    wedge(&mut wedged).await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp2.0.1").await;
    for number in 0..20 {
        let now = Utc::now().to_rfc3339();
        let tx = format!("tx-{number}");
        let (action, payload) = start("ocpp2.0.1", &tx, number * 100, &now);
        let answer = station.call(&format!("a{number}"), action, payload).await;
        let (action, payload) = stop("ocpp2.0.1", &tx, &answer, number * 100 + 100, &now);
        station.call(&format!("b{number}"), action, payload).await;
    }
    site.settled().await;
    assert_eq!(site.count("SELECT count(*) FROM v_record", &[]), 20);
    assert_eq!(site.value("SELECT connected FROM v_station WHERE station = 'WEDGED'", &[]).as_deref(), Some("1"));
    site.kill9();
}

#[tokio::test]
async fn a_connection_that_never_asks_is_dropped() {
    let mut site = Site::new(&Plan { ocpp: "handshake_s = 1".into(), ..Plan::default() });
    site.start().await;
    let mut silent = TcpStream::connect(("127.0.0.1", site.port)).await.unwrap();
    let read = tokio::time::timeout(PATIENCE, silent.read(&mut [0; 16])).await.expect("the daemon lets go");
    assert_eq!(read.unwrap_or(0), 0);
    site.logged(&["handshake took too long"]).await;
    site.stop().await;
}

/// Somebody else holds the store's write lock for longer than we wait: as good as a full disk, and it can be ended.
#[tokio::test]
async fn a_store_that_cannot_commit_answers_nothing_and_takes_nobody_until_it_can() {
    let mut site = Site::running().await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    station.call("1", "Authorize", json!({"idTag": "T"})).await;
    let blocker = rusqlite::Connection::open(site.store()).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let now = Utc::now().to_rfc3339();
    let (action, payload) = start("ocpp1.6", "", 100, &now);
    let frame = json!([2, "2", action, payload]).to_string();
    station.send(&frame).await;
    assert_eq!(station.closed().await, Some(1011), "closed, not answered");
    site.logged(&["commit failed"]).await;
    let refused = Socket::open(site.port, "/ocpp/CP-1", &["ocpp1.6"]).await.map(drop).unwrap_err();
    assert_eq!(refused.0, 503);
    assert_eq!(site.count("SELECT count(*) FROM v_message WHERE call_id = '2'", &[]), 0);

    blocker.execute_batch("ROLLBACK").unwrap();
    site.logged(&["store commits again"]).await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    let answer = station.ask(&frame).await;
    assert_eq!((&answer[0], &answer[1]), (&json!(3), &json!("2")), "{answer}");
    let (action, payload) = stop("ocpp1.6", "", &answer[2], 200, &now);
    station.call("3", action, payload).await;
    until("billed", || site.count("SELECT count(*) FROM v_record", &[]) == 1).await;
    assert_eq!(site.count("SELECT count(*) FROM v_session", &[]), 1);
    site.stop().await;
}

fn status(version: &str, state: &str, at: &str) -> (&'static str, serde_json::Value) {
    let payload = if version == "ocpp1.6" {
        json!({"connectorId": 1, "errorCode": "NoError", "status": state, "timestamp": at})
    } else {
        json!({"evseId": 1, "connectorId": 1, "connectorStatus": state, "timestamp": at})
    };
    ("StatusNotification", payload)
}

/// While a station is connected its statuses count as they come; only what it kept from before must not hide what is.
#[tokio::test]
async fn a_status_with_an_old_clock_is_shown_and_a_replayed_one_is_not() {
    let mut site = Site::running().await;
    for version in VERSIONS {
        let shown = || site.value("SELECT connectors FROM v_station WHERE station = ?1", &[&version]);
        let ago = |hours: i64| (Utc::now() - chrono::TimeDelta::hours(hours)).to_rfc3339();
        let mut station = Socket::station(site.port, version, version).await;
        for (number, (state, at, wanted)) in [
            ("Available", ago(0), "1 Available"),
            ("Faulted", "1970-01-01T00:00:10Z".to_owned(), "1 Faulted"),
            ("Available", "1970-01-01T00:00:20Z".to_owned(), "1 Available"),
            ("Faulted", "2020-02-02T00:00:00Z".to_owned(), "1 Faulted"),
            ("Available", ago(0), "1 Available"),
        ]
        .into_iter()
        .enumerate()
        {
            let (action, payload) = status(version, state, &at);
            station.call(&number.to_string(), action, payload).await;
            assert_eq!(shown().as_deref(), Some(wanted), "{version}: {state} at {at}");
        }
        let mut station = Socket::station(site.port, version, version).await;
        for (number, (state, at, wanted)) in [
            // What waited since yesterday: first, and after the present state.
            ("Charging", ago(30), "1 Available"),
            ("Unavailable", ago(0), "1 Unavailable"),
            ("Charging", ago(29), "1 Unavailable"),
            ("Faulted", "1970-01-01T00:01:00Z".to_owned(), "1 Faulted"),
            ("Charging", ago(28), "1 Faulted"),
            ("Available", ago(0), "1 Available"),
        ]
        .into_iter()
        .enumerate()
        {
            let (action, payload) = status(version, state, &at);
            station.call(&format!("again-{number}"), action, payload).await;
            assert_eq!(shown().as_deref(), Some(wanted), "{version}: {state} at {at}");
        }
    }
    // A clock that is hours behind is wrong in the same way before and after a reconnect.
    for state in ["Available", "Faulted", "Unavailable"] {
        let mut station = Socket::station(site.port, "BEHIND", "ocpp1.6").await;
        let (action, payload) = status("ocpp1.6", state, &(Utc::now() - chrono::TimeDelta::hours(2)).to_rfc3339());
        station.call(state, action, payload).await;
        let shown = site.value("SELECT connectors FROM v_station WHERE station = 'BEHIND'", &[]);
        assert_eq!(shown, Some(format!("1 {state}")));
    }
    site.stop().await;
}

/// A log line is one line and moves nothing, whatever a station calls its transaction.
#[tokio::test]
async fn text_from_stations_is_escaped_in_the_log() {
    for format in ["text", "json"] {
        let mut site = Site::new(&Plan { stations: format!("format = \"{format}\""), ..Plan::default() });
        site.start().await;
        let tx = "tx\n2026-11-21T00:00:00Z ERROR forged\r\u{1b}[2J\u{9b}31m\u{7}\u{2028}\u{202e}1-PC";
        let mut station = Socket::station(site.port, "CP-1", "ocpp2.0.1").await;
        let (action, payload) = start("ocpp2.0.1", tx, 0, &Utc::now().to_rfc3339());
        station.call("1", action, payload).await;
        let answer = station.ask(&json!([2, "2", format!("Make{tx}"), {}]).to_string()).await;
        assert_eq!(answer[0], json!(4));
        let opened = site.logged(&["session opened", "forged"]).await;
        site.logged(&["message refused", "forged"]).await;
        if format == "json" {
            assert_eq!(serde_json::from_str::<serde_json::Value>(&opened).unwrap()["tx"], json!(tx));
        } else {
            assert!(
                opened.contains(r"tx=tx\n2026-11-21T00:00:00Z ERROR forged\r\x1b[2J\u{9b}31m\x07\u{2028}\u{202e}1-PC"),
                "{opened}"
            );
        }
        let raw = |line: &String| line.contains(|c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}'));
        let log = site.log();
        assert!(!log.iter().any(|line| raw(line) || line.starts_with("2026-11-21T00:00:00Z")), "{}", log.join("\n"));
        site.stop().await;
    }
}
