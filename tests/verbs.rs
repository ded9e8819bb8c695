//! `forecourt station reset CP-1` and its like: the real binary between the command line and stations on real WebSockets.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

mod support;

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use support::socket::Socket;
use support::{CommandOutput, Site, until};
use tokio::task::JoinHandle;

const V16: &str = "ocpp1.6";
const V201: &str = "ocpp2.0.1";

async fn station(site: &Site, id: &str, version: &str) -> Socket {
    let mut socket = Socket::station(site.port, id, version).await;
    let boot = if version == V16 {
        json!({"chargePointVendor": "V", "chargePointModel": "M"})
    } else {
        json!({"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}})
    };
    socket.call("boot", "BootNotification", boot).await;
    socket
}

/// `forecourt station …` in a process of its own.
fn verb(site: &Site, line: &str) -> JoinHandle<CommandOutput> {
    let mut command = site.command(&[&["station"][..], &line.split(' ').collect::<Vec<_>>()].concat());
    tokio::task::spawn_blocking(move || support::run_to_end(&mut command))
}

async fn next_call(socket: &mut Socket) -> (String, String, Value) {
    let frame: Value = serde_json::from_str(&socket.text().await.expect("a call")).unwrap();
    assert_eq!(frame[0], 2, "{frame}");
    (frame[1].as_str().unwrap().to_owned(), frame[2].as_str().unwrap().to_owned(), frame[3].clone())
}

/// The next call is this one, and is answered so.
async fn asked(socket: &mut Socket, action: &str, payload: Value, answer: Value) {
    let (id, sent, content) = next_call(socket).await;
    assert_eq!((sent.as_str(), &content), (action, &payload));
    socket.send(&json!([3, id, answer]).to_string()).await;
}

fn ago(minutes: i64) -> String {
    (Utc::now() - TimeDelta::minutes(minutes)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Asked to start for a token, the station charges under it; asked to stop, it ends; the bill is the token's.
#[tokio::test]
async fn what_was_started_from_afar_is_billed_under_its_token() {
    let mut site = Site::running().await;
    let yes = json!({"status": "Accepted"});
    let mut old = station(&site, "CP-16", V16).await;
    let said = verb(&site, "start CP-16 REMOTE-0016 --evse 1 --reason hotline");
    asked(&mut old, "RemoteStartTransaction", json!({"idTag": "REMOTE-0016", "connectorId": 1}), yes.clone()).await;
    let said = said.await.unwrap().ok();
    assert!(said.out.starts_with("CP-16 start: Accepted; it will begin when the vehicle is plugged in"), "{said:?}");
    let start = json!({"connectorId": 1, "idTag": "REMOTE-0016", "meterStart": 1000, "timestamp": ago(60)});
    let tx = old.call("1", "StartTransaction", start).await["transactionId"].clone();
    // By the number of the EVSE.
    let said = verb(&site, "stop CP-16 1");
    asked(&mut old, "RemoteStopTransaction", json!({"transactionId": tx}), yes.clone()).await;
    said.await.unwrap().ok();
    let stop = json!({"transactionId": tx, "meterStop": 6000, "timestamp": ago(1), "reason": "Remote"});
    old.call("2", "StopTransaction", stop).await;

    let mut new = station(&site, "CP-201", V201).await;
    let said = verb(&site, "start CP-201 REMOTE-0201 --evse 1 --json");
    let (id, action, payload) = next_call(&mut new).await;
    assert_eq!(action, "RequestStartTransaction");
    assert_eq!((&payload["idToken"], &payload["evseId"]), (&json!({"idToken": "REMOTE-0201", "type": "Central"}), &json!(1)));
    new.send(&json!([3, id, yes]).to_string()).await;
    let said = said.await.unwrap().ok().json();
    assert_eq!((&said["outcome"], &said["status"], &said["action"]), (&json!("answered"), &json!("Accepted"), &json!(action)));
    let event = |kind: &str, seq: u32, register: u32, context: &str, at: String, trigger: &str, more: Value| {
        let mut event = json!({"eventType": kind, "timestamp": at, "triggerReason": trigger, "seqNo": seq,
            "transactionInfo": {"transactionId": "TX-9", "remoteStartId": payload["remoteStartId"]}, "evse": {"id": 1, "connectorId": 1},
            "meterValue": [{"timestamp": at, "sampledValue": [{"value": register, "context": context}]}]});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let token = json!({"idToken": {"idToken": "REMOTE-0201", "type": "Central"}});
    new.call("1", "TransactionEvent", event("Started", 0, 1000, "Transaction.Begin", ago(60), "RemoteStart", token)).await;
    // By nothing: only one runs.
    let said = verb(&site, "stop CP-201");
    asked(&mut new, "RequestStopTransaction", json!({"transactionId": "TX-9"}), yes).await;
    said.await.unwrap().ok();
    new.call("2", "TransactionEvent", event("Ended", 1, 6000, "Transaction.End", ago(1), "RemoteStop", json!({}))).await;
    site.settled().await;
    let bills = site.query("SELECT station, state, token, energy_wh, cost_incl_vat FROM v_session ORDER BY station", &[]);
    let bill = |station: &str, token: &str| [station, "done", token, "5000", "2.38"].map(|text| Some(text.to_owned())).to_vec();
    assert_eq!(bills, [bill("CP-16", "…0016"), bill("CP-201", "…0201")]);
    for list in [&["calls"][..], &["audit", "list", "--csv"]] {
        let said = site.forecourt(list).ok();
        assert!(!said.out.contains("REMOTE-0"), "{said:?}");
    }
    // Nothing runs any more.
    let said = verb(&site, "stop CP-201 TX-9").await.unwrap();
    assert_eq!((said.code, said.err.contains("no session TX-9 runs at CP-201; none runs")), (3, true), "{said:?}");
    site.stop().await;
}

#[tokio::test]
async fn answers_are_put_into_words_and_what_cannot_be_is_refused() {
    let site = Site::running().await;
    let mut socket = station(&site, "CP-1", V16).await;
    for (line, answer, code, wanted) in [
        ("reset CP-1", json!({"status": "Accepted"}), 0, "CP-1 reset: Accepted; it restarts"),
        ("unlock CP-1 --evse 1", json!({"status": "UnlockFailed"}), 9, "CP-1 answered UnlockFailed: the lock did not open"),
        ("availability CP-1 inoperative", json!({"status": "Scheduled"}), 0, "CP-1 availability: Scheduled; it will when"),
        ("firmware CP-1 ftp://u:geheim@h/f", json!({}), 0, "CP-1 firmware: answered; FirmwareStatusNotification"),
        ("local-list version CP-1", json!({"listVersion": 7}), 0, "\"listVersion\": 7"),
        (
            "trigger CP-1 status",
            json!({"status": "NotImplemented"}),
            9,
            "CP-1 answered NotImplemented: the station does not send this",
        ),
        (
            "profile composite CP-1 --evse 1",
            json!({"status": "Accepted", "scheduleStart": "2026-11-28T12:00:00Z"}),
            0,
            "scheduleStart",
        ),
    ] {
        let said = verb(&site, line);
        let (id, ..) = next_call(&mut socket).await;
        socket.send(&json!([3, id, answer]).to_string()).await;
        let said = said.await.unwrap();
        assert_eq!(said.code, code, "{line}: {said:?}");
        assert!(format!("{}{}", said.out, said.err).contains(wanted), "{line}: {said:?}");
    }
    let said = verb(&site, "clear-cache CP-1");
    let (id, ..) = next_call(&mut socket).await;
    socket.send(&json!([4, id, "NotSupported", "no cache", {}]).to_string()).await;
    let said = said.await.unwrap();
    assert_eq!((said.code, said.err.contains("answered with an error: NotSupported no cache")), (9, true), "{said:?}");
    let before = site.count("SELECT count(*) FROM v_call", &[]);
    for (line, code, wanted) in [
        ("message set CP-1 Hello", 2, "CP-1: OCPP 1.6 has no message for `message set`"),
        ("availability CP-1 off", 2, "ChangeAvailability was not sent: $.type must be one of: Inoperative, Operative"),
        ("unlock CP-1", 2, "--evse <N>"),
        ("unlock CP-1 --evse one", 2, "unlock: evse \"one\" is not a whole number"),
        ("reset CP-9", 3, "no station CP-9"),
        ("stop CP-1", 3, "which session at CP-1?; none runs"),
        ("configure CP-1", 2, "<KEY[=VALUE]>"),
    ] {
        let said = verb(&site, line).await.unwrap();
        assert_eq!(said.code, code, "{line}: {said:?}");
        assert!(said.err.contains(wanted), "{line}: {said:?}");
    }
    assert_eq!(site.count("SELECT count(*) FROM v_call", &[]), before);
    for list in [&["calls", "--json"][..], &["audit", "list", "--json"]] {
        let said = site.forecourt(list).ok();
        assert!(said.out.contains("ftp://…@h/f") && !said.out.contains("geheim"), "{said:?}");
    }
    drop(socket);
    until("the station has gone", || site.count("SELECT count(*) FROM v_station WHERE state = 'connected'", &[]) == 0).await;
    let said = verb(&site, "reset CP-1").await.unwrap();
    assert_eq!((said.code, said.err.contains("CP-1 is not connected")), (7, true), "{said:?}");
}

#[tokio::test]
async fn settings_are_changed_only_where_they_differ_and_read_back() {
    let site = Site::running().await;
    let mut socket = station(&site, "CP-1", V16).await;
    let said = verb(&site, "configure CP-1 A=1 B=2 C=3 D");
    let keys = |values: &[(&str, &str)]| {
        let keys = values.iter().map(|(key, value)| json!({"key": key, "readonly": false, "value": value}));
        json!({"configurationKey": keys.collect::<Vec<_>>()})
    };
    let read = json!({"key": ["A", "B", "C", "D"]});
    asked(&mut socket, "GetConfiguration", read, keys(&[("A", "1"), ("B", "1"), ("C", "1"), ("D", "9")])).await;
    let change = |key: &str, value: &str| json!({"key": key, "value": value});
    asked(&mut socket, "ChangeConfiguration", change("B", "2"), json!({"status": "Accepted"})).await;
    asked(&mut socket, "ChangeConfiguration", change("C", "3"), json!({"status": "Rejected"})).await;
    asked(&mut socket, "GetConfiguration", json!({"key": ["B", "C"]}), keys(&[("B", "2"), ("C", "1")])).await;
    let said = said.await.unwrap();
    assert_eq!((said.code, said.err.as_str()), (9, "forecourt: CP-1 did not take: C\n"), "{said:?}");
    assert_eq!(said.out, "A = 1 already\nB: 1 to 2: Accepted\nC: 1 to 3: Rejected; it is 1\nD = 9\n");
    // What cannot be read is no yes.
    for answer in [json!({"configurationKey": 7}), json!([])] {
        let said = verb(&site, "configure CP-1 A=1");
        let (id, ..) = next_call(&mut socket).await;
        socket.send(&json!([3, id, answer]).to_string()).await;
        assert_eq!(said.await.unwrap().code, 9, "{answer}");
    }
    let mut socket = station(&site, "CP-2", V201).await;
    let said = verb(&site, "configure CP-2 OCPPCommCtrlr.HeartbeatInterval=60 --json");
    let item = json!({"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}});
    let with = |more: Value| {
        let mut item = item.clone();
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    };
    let got = |value: &str| json!({"getVariableResult": [with(json!({"attributeStatus": "Accepted", "attributeValue": value}))]});
    asked(&mut socket, "GetVariables", json!({"getVariableData": [item]}), got("300")).await;
    let set = json!({"setVariableData": [with(json!({"attributeValue": "60"}))]});
    let answer = json!({"setVariableResult": [with(json!({"attributeStatus": "RebootRequired"}))]});
    asked(&mut socket, "SetVariables", set, answer).await;
    asked(&mut socket, "GetVariables", json!({"getVariableData": [item]}), got("300")).await;
    let said = said.await.unwrap().ok().json();
    let wanted = json!([{"setting": "OCPPCommCtrlr.HeartbeatInterval", "before": "300", "wanted": "60", "status": "RebootRequired", "now": "300"}]);
    assert_eq!(said["settings"], wanted);
}

#[tokio::test]
async fn the_local_list_is_that_of_our_tokens_and_read_back() {
    let site = Site::running().await;
    for line in ["add AA --group G", "add BB --status blocked", "add CC --stations CP-9", "add A-token-longer-than-1.6-has"] {
        site.forecourt(&[&["token"][..], &line.split(' ').collect::<Vec<_>>()].concat()).ok();
    }
    let mut socket = station(&site, "CP-1", V16).await;
    let said = verb(&site, "local-list send CP-1");
    asked(&mut socket, "GetLocalListVersion", json!({}), json!({"listVersion": 4})).await;
    let limit = json!({"configurationKey": [{"key": "SendLocalListMaxLength", "readonly": true, "value": "1"}]});
    asked(&mut socket, "GetConfiguration", json!({"key": ["SendLocalListMaxLength"]}), limit).await;
    let list = |version: u32, kind: &str, token: Value| json!({"updateType": kind, "listVersion": version, "localAuthorizationList": [token]});
    let (yes, a) =
        (json!({"status": "Accepted"}), json!({"idTag": "AA", "idTagInfo": {"status": "Accepted", "parentIdTag": "G"}}));
    asked(&mut socket, "SendLocalList", list(5, "Full", a.clone()), yes.clone()).await;
    let b = json!({"idTag": "BB", "idTagInfo": {"status": "Blocked"}});
    asked(&mut socket, "SendLocalList", list(6, "Differential", b), yes).await;
    asked(&mut socket, "GetLocalListVersion", json!({}), json!({"listVersion": 6})).await;
    let said = said.await.unwrap().ok();
    assert_eq!(said.out, "CP-1 has local list 6: 2 tokens, in 2 messages\n");
    // The station refuses: that is the end of it.
    let said = verb(&site, "local-list send CP-1 --chunk 1");
    asked(&mut socket, "GetLocalListVersion", json!({}), json!({"listVersion": 6})).await;
    asked(&mut socket, "SendLocalList", list(7, "Full", a), json!({"status": "VersionMismatch"})).await;
    let said = said.await.unwrap();
    assert_eq!(
        (said.code, said.err.contains("CP-1 answered VersionMismatch: the list that the station has")),
        (9, true),
        "{said:?}"
    );
}

/// SIGKILL between the first and the second message of a verb: nothing is sent a second time, and what was sent is on record.
#[tokio::test]
async fn after_a_kill_a_verb_does_not_go_on() {
    let mut site = Site::running().await;
    let mut socket = station(&site, "CP-1", V16).await;
    let said = verb(&site, "configure CP-1 A=1");
    let keys = json!({"configurationKey": [{"key": "A", "readonly": false, "value": "0"}]});
    asked(&mut socket, "GetConfiguration", json!({"key": ["A"]}), keys).await;
    let (_, action, _) = next_call(&mut socket).await;
    assert_eq!(action, "ChangeConfiguration");
    site.kill9();
    assert_eq!(said.await.unwrap().code, 7);
    site.start().await;
    let mut socket = station(&site, "CP-1", V16).await;
    let said = verb(&site, "clear-cache CP-1");
    asked(&mut socket, "ClearCache", json!({}), json!({"status": "Accepted"})).await;
    said.await.unwrap().ok();
    let states = site.query("SELECT action || ' ' || state FROM v_call ORDER BY call_number", &[]);
    let states: Vec<&str> = states.iter().filter_map(|row| row[0].as_deref()).collect();
    assert_eq!(states, ["GetConfiguration answered", "ChangeConfiguration unknown", "ClearCache answered"]);
}
