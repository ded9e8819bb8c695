//! What stations should not send: each piece of it gets the right answer, a log line that names the station, and a place in the
//! journal; the connection lives on where OCPP allows it, and a session that cannot be billed is held with its reason.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

mod support;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use support::socket::Socket;
use support::transaction::{VERSIONS, start, stop};
use support::{Plan, Site, until};
use tokio_tungstenite::tungstenite::Message;

/// What comes back.
enum Back {
    /// A CALLERROR with this id and code.
    Error(&'static str, &'static str),
    Nothing,
}

/// Frames that are no message, or no message for us: the frame, the answer, words of the log line.
fn nonsense(version: &str) -> Vec<(String, Back, &'static [&'static str])> {
    use Back::{Error, Nothing};
    let is_v16 = version == "ocpp1.6";
    let by_version = |v16, v2| if is_v16 { v16 } else { v2 };
    let framing = by_version("FormationViolation", "RpcFrameworkError");
    let nameless = || if is_v16 { Nothing } else { Error("-1", framing) };
    let token = by_version(r#"{"idTag":{"a":1}}"#, r#"{"idToken":{"idToken":{"a":1},"type":"ISO14443"}}"#);
    let broken: &[_] = &["broken frame"];
    vec![
        ("what?".into(), nameless(), broken),
        (r#"{"not":"an array"}"#.into(), nameless(), broken),
        (r#"[2,"cut","Authorize",{"idTag":"A"#.into(), Error("cut", framing), broken),
        (r#"[2,"few"]"#.into(), Error("few", framing), broken),
        (
            r#"[9,"type","Authorize",{}]"#.into(),
            if version == "ocpp2.0.1" { Error("type", "MessageTypeNotSupported") } else { Nothing },
            broken,
        ),
        (r#"[2,"unknown","MakeCoffee",{"sugar":1}]"#.into(), Error("unknown", "NotImplemented"), &["MakeCoffee"]),
        (r#"[2,"ours","Reset",{"type":"Hard"}]"#.into(), Error("ours", "NotSupported"), &["Reset"]),
        (
            r#"[2,"list","Authorize",[1,2]]"#.into(),
            Error("list", by_version("FormationViolation", "FormatViolation")),
            &["Authorize", "not an object"],
        ),
        (
            r#"[2,"missing","BootNotification",{}]"#.into(),
            Error("missing", by_version("OccurenceConstraintViolation", "OccurrenceConstraintViolation")),
            &["BootNotification", "required"],
        ),
        (
            format!(r#"[2,"wrong","Authorize",{token}]"#),
            Error("wrong", "TypeConstraintViolation"),
            &["Authorize", "cannot be read"],
        ),
        (format!(r#"[2,"large","MakeTea",{{"x":"{}"}}]"#, "x".repeat(900_000)), Error("large", "NotImplemented"), &["MakeTea"]),
    ]
}

async fn nonsense_is_answered_and_kept(version: &str) {
    let mut site = Site::new(&Plan { log_level: "debug".into(), ..Plan::default() });
    site.start().await;
    let mut station = Socket::station(site.port, "BAD-1", version).await;
    // Of a station that never said anything valid only short frames are taken.
    station.unanswered().await;
    let mut stored = Vec::new();
    for (frame, back, words) in nonsense(version) {
        let answer = match back {
            Back::Error(id, code) => {
                let answer = station.ask(&frame).await;
                assert_eq!((&answer[0], &answer[1], &answer[2]), (&json!(4), &json!(id), &json!(code)), "{answer}");
                assert!(answer[3].is_string() && answer[4] == json!({}) && answer.as_array().unwrap().len() == 5, "{answer}");
                Some(answer)
            }
            Back::Nothing => {
                station.send(&frame).await;
                station.unanswered().await;
                None
            }
        };
        site.logged(&[&["BAD-1"], words].concat()).await;
        stored.push((frame, answer));
    }

    // A binary frame that holds text is a message all the same; one that does not is a broken frame.
    let frame = json!([2, "binary", "StatusNotification", status(version)]).to_string();
    station.send_frame(Message::binary(frame.clone().into_bytes())).await.unwrap();
    assert_eq!(station.text().await.as_deref(), Some(r#"[3,"binary",{}]"#));
    stored.push((frame, Some(json!([3, "binary", {}]))));
    station.send_frame(Message::binary(b"\xff\xfe?".to_vec())).await.unwrap();
    let answer = match version {
        "ocpp1.6" => None,
        _ => Some(serde_json::from_str(&station.text().await.unwrap()).unwrap()),
    };
    assert!(answer.as_ref().is_none_or(|answer: &Value| answer[1] == "-1" && answer[2] == "RpcFrameworkError"), "{answer:?}");
    stored.push(("ÿþ?".to_owned(), answer));
    station.unanswered().await;
    for empty in ["", " \r\n"] {
        station.send(empty).await;
        station.unanswered().await;
    }
    site.logged(&["BAD-1", "empty frame"]).await;

    let journal = site.query("SELECT text, answer, findings FROM v_message WHERE station = 'BAD-1' ORDER BY message_id", &[]);
    assert_eq!(journal.len(), stored.len());
    for (row, (frame, answer)) in journal.iter().zip(&stored) {
        // Of a long frame that nobody understands the beginning is kept.
        let kept = if frame.len() > 100_000 { &frame[..4096] } else { frame };
        assert_eq!(row[0].as_deref(), Some(kept), "byte for byte");
        assert_eq!(row[1].as_deref().map(|text| serde_json::from_str::<Value>(text).unwrap()), *answer);
    }
    let odd = journal.iter().filter(|row| row[2].is_some()).count();
    assert_eq!(odd, journal.len() - 1, "what was odd is said with the message");

    // After all this, on the same connection, a session like any other.
    let at = |minutes: i64| (Utc::now() - TimeDelta::minutes(minutes)).to_rfc3339();
    let (action, payload) = start(version, "good", 1000, &at(60));
    let answer = station.call("good-1", action, payload).await;
    let (action, payload) = stop(version, "good", &answer, 3000, &at(1));
    station.call("good-2", action, payload).await;
    site.settled().await;
    let bill = site.query("SELECT state, energy_wh, record_seq, findings FROM v_session", &[]);
    assert_eq!(bill, [[Some("done".into()), Some("2000".into()), Some("1".into()), Some("[]".into())]].map(no_findings));
    site.stop().await;
}

/// No findings are NULL or an empty list.
fn no_findings(mut row: [Option<String>; 4]) -> [Option<String>; 4] {
    row[3] = None;
    row
}

/// `München` in Latin-1, as some firmware writes it: the frame is journaled with its bytes, mended, and ends its session.
#[tokio::test]
async fn a_stop_that_is_not_utf8_ends_its_session() {
    let mut site = Site::running().await;
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let id = format!("LATIN-{number}");
        let mut station = Socket::station(site.port, &id, version).await;
        let at = |minutes: i64| (Utc::now() - TimeDelta::minutes(minutes)).to_rfc3339();
        let (action, payload) = start(version, &id, 1000, &at(60));
        let answer = station.call("1", action, payload).await;
        let (action, mut payload) = stop(version, &id, &answer, 3000, &at(1));
        payload["idTag"] = json!("M?nchen");
        let bytes = json!([2, "2", action, payload]).to_string().replace('?', "\u{fc}");
        let bytes: Vec<u8> = bytes.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        // Whole, and again in fragments after a lost answer: one session, one row.
        for fragment in [1 << 20, 7] {
            station.send_bytes(&bytes, fragment).await;
            let answer: Value = serde_json::from_str(&station.text().await.unwrap()).unwrap();
            assert_eq!((&answer[0], &answer[1]), (&json!(3), &json!("2")), "{answer}");
        }
        station.unanswered().await;
        site.settled().await;
        let bill = site.query("SELECT state, energy_wh, record_seq FROM v_session WHERE station = ?1", &[&id]);
        assert_eq!(bill, [["done", "2000", &(number + 1).to_string()].map(|text| Some(text.to_owned()))]);
        let rows = "SELECT text, findings, repeats, message_id FROM v_message WHERE station = ?1 AND call_id = '2'";
        let row = site.query(rows, &[&id]).remove(0);
        assert!(row[0].as_deref().is_some_and(|text| text.contains("München")), "{row:?}");
        assert!(row[1].as_deref().is_some_and(|text| text.contains("invalid-utf8") && text.contains("fc at byte")), "{row:?}");
        assert_eq!(row[2].as_deref(), Some("1"));
        let kept = site.value("SELECT hex(bytes) FROM message_bytes WHERE message = ?1", &[&row[3]]);
        let wanted: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(kept, Some(wanted));
        // Outside a string nothing can be mended: answered as other broken transaction messages, and kept.
        station.send_bytes(&[&b"[2,\"3\",\""[..], action.as_bytes(), b"\",{\"x\":\xfc}]"].concat(), 1 << 20).await;
        let answer: Value = serde_json::from_str(&station.text().await.unwrap()).unwrap();
        assert_eq!((&answer[0], &answer[1]), (&json!(3), &json!("3")), "{answer}");
        site.logged(&[&id, "broken frame"]).await;
        station.unanswered().await;
    }
    site.stop().await;
}

fn status(version: &str) -> Value {
    let at = Utc::now().to_rfc3339();
    if version == "ocpp1.6" {
        json!({"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": at})
    } else {
        json!({"evseId": 1, "connectorId": 1, "connectorStatus": "Available", "timestamp": at})
    }
}

#[tokio::test]
async fn nonsense_in_ocpp_16() {
    nonsense_is_answered_and_kept("ocpp1.6").await;
}

#[tokio::test]
async fn nonsense_in_ocpp_201() {
    nonsense_is_answered_and_kept("ocpp2.0.1").await;
}

#[tokio::test]
async fn nonsense_in_ocpp_21() {
    nonsense_is_answered_and_kept("ocpp2.1").await;
}

#[tokio::test]
async fn a_frame_of_two_megabytes_costs_the_connection_and_nothing_else() {
    let mut site = Site::running().await;
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let id = format!("BIG-{number}");
        let now = || Utc::now().to_rfc3339();
        let mut station = Socket::station(site.port, &id, version).await;
        let (action, payload) = start(version, &id, 1000, &now());
        let answer = station.call("1", action, payload).await;
        let frame = format!(r#"[2,"big","DataTransfer",{{"vendorId":"{}"}}]"#, "x".repeat(2 << 20));
        // The daemon may close before it has read everything.
        let _ = station.send_frame(Message::text(frame)).await;
        assert!(matches!(station.closed().await, Some(1009) | None));
        let line = site.logged(&[&id, "frame too large"]).await;
        assert!(line.contains("1048576"), "the limit is named: {line}");
        let mut station = Socket::station(site.port, &id, version).await;
        let (action, payload) = stop(version, &id, &answer, 1100, &now());
        station.call("2", action, payload).await;
    }
    site.settled().await;
    let billed = site.query("SELECT station, state, energy_wh FROM v_session WHERE record_seq IS NOT NULL ORDER BY station", &[]);
    assert_eq!(billed, ["BIG-0", "BIG-1", "BIG-2"].map(|id| [id, "done", "100"].map(|text| Some(text.to_owned()))));
    let problems =
        site.query("SELECT station, count, detail FROM v_problem WHERE kind = 'frame-too-large' ORDER BY station", &[]);
    assert_eq!(problems.len(), 3);
    assert!(problems[0][2].as_deref().is_some_and(|detail| detail.contains("ocpp.max_message_kb")), "{problems:?}");
    site.stop().await;
}

/// Transaction messages are never refused: what makes no sense is answered as usual, journaled, and held.
#[tokio::test]
async fn senseless_transactions_are_answered_kept_and_held() {
    let mut site = Site::running().await;
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let at = |minutes: i64| (Utc::now() - TimeDelta::minutes(minutes)).to_rfc3339();
        let cases = [
            // what, register and time of the start, of the stop, reason, detail
            ("negative", json!(-5), at(60), json!(100), at(1), "register-negative", "-5"),
            ("shrunk", json!(5000), at(60), json!(4000), at(1), "register-decreased", "4000"),
            ("words", json!("many"), at(60), json!(100), at(1), "register-missing", "start"),
            ("lightning", json!(0), at(2), json!(900_000), at(1), "implausible-power", "900 kWh"),
        ];
        for (what, first, started, last, stopped, reason, detail) in cases {
            let id = format!("ODD-{number}-{what}");
            let mut station = Socket::station(site.port, &id, version).await;
            let (action, payload) = start(version, &id, first, &started);
            let answer = station.call("start", action, payload).await;
            let (action, payload) = stop(version, &id, &answer, last, &stopped);
            station.call("stop", action, payload).await;
            let held = || site.query("SELECT hold_reason, hold_detail, session_id FROM v_session WHERE station = ?1", &[&id]);
            until("the session is held", || held()[0][0].is_some()).await;
            let row = held().remove(0);
            assert_eq!(row[0].as_deref(), Some(reason), "{id}: {row:?}");
            assert!(row[1].as_deref().is_some_and(|text| text.contains(detail)), "{id}: {row:?}");
            let why = site.forecourt(&["session", "explain", row[2].as_deref().unwrap()]).ok();
            assert!(why.out.contains("held, not billed") && why.out.contains(reason), "{why:?}");
            assert_eq!(site.count("SELECT count(*) FROM v_message WHERE station = ?1", &[&id]), 2);
            site.logged(&["session held", reason]).await;
        }
    }
    assert_eq!(site.count("SELECT count(*) FROM v_record", &[]), 0);
    assert_eq!(site.count("SELECT count(*) FROM v_problem WHERE kind = 'session-held'", &[]), 12);
    let status = site.forecourt(&["status", "--json"]).ok().json();
    assert_eq!(status["held_sessions"], json!(12));
    site.stop().await;
}

/// A stop an hour before a start that came live: the clock was set back. It came seconds after the start, so the session ended
/// between two receipts that lie seconds apart, and is billed until the second.
#[tokio::test]
async fn a_stop_before_its_live_start_ended_when_it_came() {
    let mut site = Site::running().await;
    for version in VERSIONS {
        let mut station = Socket::station(site.port, version, version).await;
        let started = Utc::now();
        let (action, payload) = start(version, "backwards", 1000, &started.to_rfc3339());
        let answer = station.call("start", action, payload).await;
        let (action, payload) = stop(version, "backwards", &answer, 1100, &(started - TimeDelta::minutes(60)).to_rfc3339());
        station.call("stop", action, payload).await;
        site.settled().await;
        let row = site.query("SELECT state, energy_wh, record_seq FROM v_session WHERE station = ?1", &[&version]);
        assert_eq!((row[0][0].as_deref(), row[0][1].as_deref()), (Some("done"), Some("100")), "{row:?}");
        let record = site.forecourt(&["record", "show", row[0][2].as_deref().unwrap(), "--json"]).ok().json();
        assert!(record["findings"].to_string().contains("clock-corrected"), "{record}");
        let ended: chrono::DateTime<Utc> = record["session"]["ended_at"].as_str().unwrap().parse().unwrap();
        assert!((started - TimeDelta::seconds(1)..=Utc::now()).contains(&ended), "{record}");
    }
    site.stop().await;
}

/// A clock that was never set: the time of receipt stands in, and the record says so.
#[tokio::test]
async fn a_start_in_1970_is_taken_at_its_arrival() {
    let mut site = Site::running().await;
    for version in VERSIONS {
        let mut station = Socket::station(site.port, version, version).await;
        let before = Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let (action, payload) = start(version, "clock", 1000, "1970-01-01T00:00:10Z");
        let answer = station.call("start", action, payload).await;
        let (action, payload) = stop(version, "clock", &answer, 2000, &(Utc::now() + TimeDelta::minutes(5)).to_rfc3339());
        station.call("stop", action, payload).await;
        site.logged(&[version, "clock-implausible"]).await;
        site.settled().await;
        let row = site.query("SELECT state, started_at >= ?2, findings FROM v_session WHERE station = ?1", &[&version, &before]);
        assert_eq!((row[0][0].as_deref(), row[0][1].as_deref()), (Some("done"), Some("1")), "{row:?}");
        assert!(row[0][2].as_deref().is_some_and(|text| text.contains("clock-implausible")), "{row:?}");
        let payload = site.forecourt(&["record", "show", "1", "--json"]).ok().json();
        assert!(payload["findings"].to_string().contains("1970-01-01T00:00:10Z"), "{payload}");
    }
    site.stop().await;
}
