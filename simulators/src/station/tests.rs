//! The station against the small CSMS of this crate, which answers, keeps silent, or cuts the line as the test says.

use std::sync::Mutex;

use tokio::net::TcpListener;

use super::*;
use crate::csms::{Do, agree, csms, drain, result};

const PATIENCE: Duration = Duration::from_secs(10);

fn options(url: &str, version: Version) -> Options {
    Options {
        first_backoff: Duration::from_millis(2),
        retry_interval: Duration::from_millis(5),
        registered: true,
        ..Options::new(url, "CP01", version)
    }
}

fn event(seq: u64) -> TransactionMessage {
    let payload = json!({"eventType": "Updated", "seqNo": seq});
    TransactionMessage { action: "TransactionEvent".into(), payload, tx: Some("t".into()), opens: false, message_id: None }
}

#[tokio::test]
async fn an_unanswered_message_is_sent_again_word_for_word_and_in_order() {
    let cut_twice = |nth: usize, frame: &Value| if nth < 2 { Do::Cut } else { agree(frame) };
    let (url, mut frames) = csms(cut_twice).await;
    let station = Station::start(options(&url, Version::V201));
    let ids: Vec<_> = (0..3).map(|seq| station.send_transaction(event(seq)).unwrap()).collect();
    station.drained(PATIENCE).await.unwrap();
    let frames = drain(&mut frames);
    assert_eq!(frames.iter().map(|frame| frame[3]["seqNo"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 0, 0, 1, 2]);
    assert_eq!((&frames[0], &frames[1]), (&frames[1], &frames[2]), "same id, same payload");
    let answered = station.answered();
    assert_eq!(answered.iter().map(|answered| &answered.message_id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    assert_eq!((answered[0].attempts, answered[1].attempts, station.snapshot().connections), (3, 1, 3));
    assert_eq!(station.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn silence_is_met_with_a_retry_and_a_complaint() {
    let (url, mut frames) = csms(|nth, frame| if nth == 0 { Do::Nothing } else { agree(frame) }).await;
    let station = Station::start(Options { answer_timeout: Duration::from_millis(30), ..options(&url, Version::V21) });
    station.send_transaction(event(0)).unwrap();
    station.drained(PATIENCE).await.unwrap();
    let frames = drain(&mut frames);
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0], frames[1]);
    assert_eq!(station.complaints().len(), 1);
}

#[tokio::test]
async fn what_was_queued_offline_is_delivered_after_the_reconnect_without_a_boot() {
    let (url, mut frames) = csms(|_, frame| agree(frame)).await;
    let station = Station::connect(&url, "CP01", Version::V16).await.unwrap();
    station.boot().await.unwrap();
    station.disconnect().await.unwrap();
    let message = |action: &str, opens: bool| TransactionMessage {
        action: action.into(),
        payload: json!({"connectorId": 1}),
        tx: Some("t".into()),
        opens,
        message_id: None,
    };
    for (action, opens) in [("StartTransaction", true), ("MeterValues", false), ("StopTransaction", false)] {
        station.send_transaction(message(action, opens)).unwrap();
    }
    assert_eq!(station.call("Heartbeat", json!({})).await, Err(CallError::Offline));
    assert_eq!(station.snapshot().queued, 3);
    station.reconnect(PATIENCE).await.unwrap();
    station.drained(PATIENCE).await.unwrap();
    let frames = drain(&mut frames);
    let actions: Vec<_> = frames.iter().map(|frame| frame[2].as_str().unwrap()).collect();
    assert_eq!(actions, ["BootNotification", "StartTransaction", "MeterValues", "StopTransaction"]);
    assert_eq!(frames[1][3].get("transactionId"), None);
    assert_eq!((&frames[2][3]["transactionId"], &frames[3][3]["transactionId"]), (&json!(4711), &json!(4711)));
    assert_eq!(station.transaction_number("t"), Some(4711));
}

#[tokio::test]
async fn a_call_error_is_retried_and_given_up_in_the_end() {
    let refuse_first = |_: usize, frame: &Value| {
        if frame[3]["seqNo"] == 0 {
            Do::Say(vec![json!([4, frame[1], "InternalError", "no", {}]).to_string()])
        } else {
            agree(frame)
        }
    };
    let (url, mut frames) = csms(refuse_first).await;
    let station = Station::start(options(&url, Version::V201));
    station.send_transaction(event(0)).unwrap();
    station.send_transaction(event(1)).unwrap();
    station.drained(PATIENCE).await.unwrap();
    let sent: Vec<_> = drain(&mut frames).iter().map(|frame| frame[3]["seqNo"].as_u64().unwrap()).collect();
    assert_eq!(sent, [0, 0, 0, 1]);
    assert_eq!(station.complaints().len(), 4);
}

#[tokio::test]
async fn nothing_is_sent_before_the_registration_is_accepted() {
    let pending_once = |nth: usize, frame: &Value| match nth {
        0 => result(frame, json!({"status": "Pending", "currentTime": "2026-07-22T12:00:00Z", "interval": 600})),
        _ => agree(frame),
    };
    let (url, mut frames) = csms(pending_once).await;
    let clock = Clock::instant(chrono::DateTime::from_timestamp(1_784_721_600, 0).unwrap());
    let station = Station::start(Options { registered: false, clock: clock.clone(), ..options(&url, Version::V201) });
    station.connected(PATIENCE).await.unwrap();
    station.send_transaction(event(0)).unwrap();
    station.boot().await.unwrap();
    station.drained(PATIENCE).await.unwrap();
    let actions: Vec<_> = drain(&mut frames).iter().map(|frame| frame[2].as_str().unwrap().to_owned()).collect();
    assert_eq!(actions, ["BootNotification", "BootNotification", "TransactionEvent"]);
    assert_eq!((clock.now() - clock.base()).num_seconds(), 600);
}

#[tokio::test]
async fn wrong_answers_become_complaints() {
    let faults = |nth: usize, frame: &Value| match nth {
        0 => Do::Say(vec![json!([3, "another", {}]).to_string(), json!([3, frame[1], {}]).to_string()]),
        1 => Do::Say(vec!["not json".into(), json!([3, frame[1], {"currentTime": null}]).to_string()]),
        _ => Do::Cut,
    };
    let (url, _frames) = csms(faults).await;
    let station = Station::connect(&url, "CP01", Version::V16).await.unwrap();
    station.call("Heartbeat", json!({})).await.unwrap();
    let after_first = station.complaints();
    assert_eq!(after_first.len(), 2, "{after_first:?}");
    station.call("Heartbeat", json!({})).await.unwrap();
    assert_eq!(station.complaints().len(), 5);
    assert_eq!(station.call("Heartbeat", json!({})).await, Err(CallError::LinkLost));
}

#[tokio::test]
async fn calls_of_the_csms_are_answered_politely() {
    let ask_back = |nth: usize, frame: &Value| match nth {
        0 => Do::Say(vec![
            json!([2, "q1", "Reset", {"type": "Soft"}]).to_string(),
            json!([2, "q2", "Sing", {}]).to_string(),
            json!([3, frame[1], {"currentTime": "2026-07-22T12:00:00Z"}]).to_string(),
        ]),
        _ => Do::Nothing,
    };
    let (url, mut frames) = csms(ask_back).await;
    let station = Station::connect(&url, "CP01", Version::V16).await.unwrap();
    station.call("Heartbeat", json!({})).await.unwrap();
    frames.recv().await.unwrap();
    let (first, second) = (frames.recv().await.unwrap(), frames.recv().await.unwrap());
    assert_eq!((&first[0], &first[1], &first[2]), (&json!(4), &json!("q1"), &json!("NotSupported")));
    assert_eq!((&second[1], &second[2]), (&json!("q2"), &json!("NotImplemented")));
    assert_eq!(station.received().len(), 2);
}

#[tokio::test]
async fn a_test_can_answer_for_the_station() {
    let (url, mut frames) = csms(|nth, frame| match nth {
        0 => Do::Say(vec![json!([2, "q1", "Reset", {"type": "Soft"}]).to_string(), json!([3, frame[1], {}]).to_string()]),
        _ => Do::Nothing,
    })
    .await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let answerer: Answerer = Arc::new(move |action, payload| {
        noted.lock().unwrap().push((action.to_owned(), payload.clone()));
        Reply::Result(json!({"status": "Accepted"}))
    });
    let station = Station::start(Options { answerer, ..options(&url, Version::V16) });
    station.connected(PATIENCE).await.unwrap();
    station.call("DataTransfer", json!({"vendorId": "x"})).await.unwrap();
    frames.recv().await.unwrap();
    assert_eq!(frames.recv().await.unwrap(), json!([3, "q1", {"status": "Accepted"}]));
    assert_eq!(*seen.lock().unwrap(), [("Reset".to_owned(), json!({"type": "Soft"}))]);
}

#[tokio::test]
async fn a_refused_upgrade_is_told_by_its_status() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ocpp", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let length = tcp.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        let known = request.starts_with("GET /ocpp/CP%2001 ") && request.contains("Basic Q1AgMDE6c2VjcmV0");
        let status = if known { "401 Unauthorized" } else { "400 Bad Request" };
        tcp.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await.unwrap();
    });
    let options = Options { password: Some("secret".into()), ..Options::new(url, "CP 01", Version::V16) };
    assert!(matches!(Station::try_connect(&options).await, Err(DialError::Http(401))));
}
