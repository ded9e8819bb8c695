//! Calls to stations: the real binary between `forecourt station call` and a station on a real WebSocket.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};
use support::socket::Socket;
use support::{CommandOutput, Site, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

const V16: &str = "ocpp1.6";
const V201: &str = "ocpp2.0.1";
const V21: &str = "ocpp2.1";

/// A station that has said who it is, so that it can be called.
async fn station(site: &Site, id: &str, version: &str) -> Socket {
    let mut socket = Socket::station(site.port, id, version).await;
    socket.boot().await;
    socket
}

/// `forecourt station call …` in a process of its own.
fn call(site: &Site, args: &[&str]) -> JoinHandle<CommandOutput> {
    let mut command = site.command(&[&["station", "call"][..], args].concat());
    tokio::task::spawn_blocking(move || support::run_to_end(&mut command))
}

/// The next call that comes is the one that is made now.
async fn nothing_else_came(site: &Site, socket: &mut Socket) {
    let said = call(site, &["CP-1", "GetConfiguration"]);
    let (id, action, _) = socket.next_call().await;
    assert_eq!(action, "GetConfiguration");
    socket.answer(&id, json!({})).await;
    said.await.unwrap().ok();
}

fn states(site: &Site) -> Vec<String> {
    let rows = site.query("SELECT action || ' ' || state || coalesce(' ' || status, '') FROM v_call ORDER BY call_number", &[]);
    rows.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

#[tokio::test]
async fn a_station_of_each_version_is_called_and_its_answer_shown() {
    let site = Site::running().await;
    for (id, version, action, payload) in [
        ("CP-16", V16, "ChangeConfiguration", r#"{"key":"HeartbeatInterval","value":"300"}"#),
        ("CP-201", V201, "GetVariables", r#"{"getVariableData":[{"component":{"name":"A"},"variable":{"name":"B"}}]}"#),
        ("CP-21", V21, "UnlockConnector", r#"{"evseId":1,"connectorId":1}"#),
    ] {
        let mut socket = station(&site, id, version).await;
        let said = call(&site, &[id, action, payload, "--reason", "a test", "--json"]);
        let (message, sent, content) = socket.next_call().await;
        assert_eq!((sent.as_str(), content.to_string()), (action, payload.parse::<Value>().unwrap().to_string()));
        assert!(message.len() <= 36, "{message}");
        socket.answer(&message, json!({"status": "Accepted", "ours": [1.50]})).await;
        let expected = json!({"station": id, "action": action, "outcome": "answered", "status": "Accepted",
            "payload": {"status": "Accepted", "ours": [1.50]}, "error": null});
        assert_eq!(said.await.unwrap().ok().json(), expected);

        // No, and an error, are 9 and say what the station said.
        let said = call(&site, &[id, "ClearCache"]);
        let (message, ..) = socket.next_call().await;
        socket.answer(&message, json!({"status": "Rejected"})).await;
        let said = said.await.unwrap();
        assert_eq!((said.code, said.err), (9, format!("forecourt: {id} answered Rejected\n")));
        let said = call(&site, &[id, "ClearCache", "--json"]);
        let (message, ..) = socket.next_call().await;
        socket.send(&json!([4, message, "NotImplemented", "no \u{1b}[1m cache", {}]).to_string()).await;
        let said = said.await.unwrap();
        assert_eq!((said.code, &said.json()["outcome"]), (9, &json!("call-error")));
        assert_eq!(said.json()["error"], json!({"code": "NotImplemented", "description": "no \u{1b}[1m cache", "details": {}}));
        assert!(!said.err.contains('\u{1b}'), "{}", said.err);
    }
    let both: Vec<_> =
        site.query("SELECT direction, action, text, answer FROM v_message WHERE station = 'CP-16' ORDER BY message_id", &[]);
    let text = |row: usize, column: usize| both[row][column].clone().unwrap_or_default();
    assert_eq!((text(0, 0), text(0, 1)), ("in".to_owned(), "BootNotification".to_owned()));
    assert_eq!((text(1, 0), text(1, 1)), ("out".to_owned(), "ChangeConfiguration".to_owned()));
    let (sent, answered): (Value, Value) = (text(1, 2).parse().unwrap(), text(1, 3).parse().unwrap());
    assert_eq!(
        (&sent[0], &sent[2], &answered[0], &answered[2]["ours"]),
        (&json!(2), &json!("ChangeConfiguration"), &json!(3), &json!([1.50]))
    );
    let audit = site.forecourt(&["audit", "list", "--json"]).ok().json();
    assert_eq!(
        (audit.as_array().unwrap().len(), &audit[0]["object"], &audit[0]["reason"]),
        (9, &json!("CP-16"), &json!("a test"))
    );
    assert!(audit[0]["actor"].as_str().unwrap().contains("uid "), "{audit}");
    let calls = site.forecourt(&["calls", "--station", "CP-21", "--state", "call-error", "--csv"]).ok();
    assert_eq!(calls.out.lines().count(), 2, "{}", calls.out);
}

#[tokio::test]
async fn what_breaks_the_schema_is_not_sent_and_the_rule_is_named() {
    let site = Site::running().await;
    let mut socket = station(&site, "CP-1", V16).await;
    for (args, code, why) in [
        (&["CP-1", "Reset", r#"{"type":"Warm"}"#][..], 2, "Reset was not sent: $.type must be one of: Hard, Soft"),
        (&["CP-1", "Reset"], 2, "Reset was not sent: $.type is required"),
        (&["CP-1", "Reset", r#"{"type":"Soft","now":true}"#], 2, "$.now is not a member here"),
        (&["CP-1", "Reset", "{type: Soft}"], 2, "the payload is not JSON"),
        (
            &["CP-1", "GetVariables"],
            2,
            "GetVariables: OCPP 1.6 has no such message to a station (OCPP 2.0.1 and 2.1 has); did you mean GetConfiguration or",
        ),
        (&["CP-1", "ClearCache", "--timeout", "0"], 2, "the time-out must be 1 to 600 seconds"),
        (&["CP-2", "ClearCache"], 3, "no station CP-2"),
    ] {
        let said = call(&site, args).await.unwrap();
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.err.contains(why), "{said:?}");
    }
    assert_eq!(states(&site), [""; 0]);
    // Nothing came before this. Whose token it is, only the frame says.
    let said = call(&site, &["cp-1", "RemoteStartTransaction", r#"{"idTag":"SECRET-1234"}"#]);
    let (message, action, payload) = socket.next_call().await;
    assert_eq!((action.as_str(), payload), ("RemoteStartTransaction", json!({"idTag": "SECRET-1234"})));
    socket.answer(&message, json!({"status": "Accepted"})).await;
    said.await.unwrap().ok();
    for list in [&["calls"][..], &["calls", "--json"], &["audit", "list"], &["audit", "list", "--csv"]] {
        let said = site.forecourt(list).ok();
        assert!(said.out.contains("…1234") && !said.out.contains("SECRET"), "{said:?}");
    }
    let said = call(&site, &["cp-1", "ClearCache"]);
    let (message, action, _) = socket.next_call().await;
    assert_eq!(action, "ClearCache");
    socket.answer(&message, json!({"status": "Accepted"})).await;
    said.await.unwrap().ok();
}

#[tokio::test]
async fn a_payload_that_is_too_long_is_the_callers_mistake() {
    let site = Site::running().await;
    let _socket = station(&site, "CP-1", V16).await;
    let payload = "{ printf '{\"vendorId\":\"'; head -c 2000000 /dev/zero | tr '\\0' a; printf '\"}'; }";
    let call = site.command(&["station", "call", "CP-1", "DataTransfer", "-"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("{payload} | \"$0\" \"$@\"")]).arg(call.get_program()).args(call.get_args());
    let said = support::run_to_end(shell.current_dir(site.dir.path()));
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("bytes long; at most 1048576 are taken"), "{said:?}");
    assert_eq!(states(&site), [""; 0]);
}

/// Both sides ask at the same time, and the station gets one call of ours at a time.
#[tokio::test]
async fn calls_cross_and_a_station_gets_one_at_a_time() {
    let site = Site::running().await;
    let mut socket = station(&site, "CP-1", V16).await;
    let first = call(&site, &["CP-1", "ClearCache"]);
    let (one, ..) = socket.next_call().await;
    let second = call(&site, &["CP-1", "GetConfiguration"]);
    until("the second call waits", || states(&site).len() == 2).await;
    assert_eq!(states(&site), ["ClearCache sent", "GetConfiguration queued"]);
    // Its own message comes between, and is answered first.
    let status = json!({"connectorId": 1, "errorCode": "NoError", "status": "Available"});
    assert_eq!(socket.call("7", "StatusNotification", status).await, json!({}));
    socket.answer("nobody-asked", json!({"status": "Accepted"})).await;
    socket.answer(&one, json!({"status": "Accepted"})).await;
    let (two, action, _) = socket.next_call().await;
    assert_eq!(action, "GetConfiguration");
    socket.answer(&two, json!({"configurationKey": []})).await;
    first.await.unwrap().ok();
    second.await.unwrap().ok();
    assert_eq!(states(&site), ["ClearCache answered Accepted", "GetConfiguration answered"]);
}

/// While the disk is slow a message of the station waits for its commit; the result of a call is read all the same, in time.
#[tokio::test]
async fn a_result_is_read_while_a_message_waits_for_its_commit() {
    let site = Site::running().await;
    let mut socket = station(&site, "CP-1", V16).await;
    let said = call(&site, &["CP-1", "ClearCache", "--timeout", "1"]);
    let (id, ..) = socket.next_call().await;
    let lock = rusqlite::Connection::open(site.store()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    socket.send(r#"[2,"8","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Charging"}]"#).await;
    socket.answer(&id, json!({"status": "Accepted"})).await;
    // Longer than the call's time-out, shorter than the store waits for the lock.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(socket.text().await.unwrap(), r#"[3,"8",{}]"#);
    said.await.unwrap().ok();
    assert_eq!(states(&site), ["ClearCache answered Accepted"]);
}

#[tokio::test]
async fn without_an_answer_it_is_a_time_out_and_a_late_answer_still_counts() {
    let site = Site::running().await;
    let mut socket = station(&site, "CP-1", V201).await;
    let said = call(&site, &["CP-1", "ClearCache", "--timeout", "1", "--json"]);
    let (id, ..) = socket.next_call().await;
    let said = said.await.unwrap();
    assert_eq!((said.code, &said.json()["outcome"]), (7, &json!("timeout")));
    assert_eq!(states(&site), ["ClearCache timeout"]);
    socket.answer(&id, json!({"status": "Accepted"})).await;
    until("the answer is kept", || states(&site) == ["ClearCache answered Accepted"]).await;
    // The connection ends before the answer: it may have been done.
    let said = call(&site, &["CP-1", "ClearCache", "--json"]);
    socket.next_call().await;
    drop(socket);
    let said = said.await.unwrap();
    assert_eq!((said.code, &said.json()["outcome"]), (7, &json!("unknown")));
    assert!(said.err.contains("it may have done it"), "{said:?}");
    until("the station has gone", || site.count("SELECT count(*) FROM v_station WHERE state = 'connected'", &[]) == 0).await;
    let said = call(&site, &["CP-1", "ClearCache", "--json"]).await.unwrap();
    assert_eq!((said.code, &said.json()["outcome"]), (7, &json!("not-connected")));
    assert_eq!(states(&site), ["ClearCache answered Accepted", "ClearCache unknown"]);
}

/// SIGKILL with calls outstanding: nobody knows what came of them. What only reads is asked again, once; the rest is not.
#[tokio::test]
async fn after_a_kill_a_call_is_unknown_and_only_a_harmless_one_is_asked_again() {
    let mut site = Site::running().await;
    let (mut reads, mut does) = (station(&site, "CP-1", V16).await, station(&site, "CP-2", V16).await);
    let read = call(&site, &["CP-1", "GetConfiguration"]);
    let (id, ..) = reads.next_call().await;
    let reset = call(&site, &["CP-2", "Reset", r#"{"type":"Hard"}"#]);
    does.next_call().await;
    site.kill9();
    for said in [read, reset] {
        let said = said.await.unwrap();
        assert_eq!(said.code, 7, "{said:?}");
    }
    site.start().await;
    let mut reads = Socket::station(site.port, "CP-1", V16).await;
    let (again, action, _) = reads.next_call().await;
    assert_eq!((action.as_str(), again == id), ("GetConfiguration", false));
    assert_eq!(states(&site), ["GetConfiguration unknown", "Reset unknown", "GetConfiguration sent"]);
    assert_eq!(site.value("SELECT repeats FROM v_call WHERE call_number = 3", &[]).as_deref(), Some("1"));
    let audit = site.query("SELECT actor, object, after, reason FROM v_audit ORDER BY audit_id DESC LIMIT 1", &[]);
    let audit: Vec<&str> = audit[0].iter().flatten().map(String::as_str).collect();
    assert_eq!(audit[..3], ["forecourt", "CP-1", "GetConfiguration {}"]);
    let role = "SELECT role FROM v_audit ORDER BY audit_id DESC LIMIT 2";
    assert_eq!(site.query(role, &[]), ["program", "operator"].map(|role| [Some(role.to_owned())]));
    assert!(audit[3].contains("asked again after a restart: the answer to call 1 of"), "{audit:?}");
    // Killed again before the answer: that was once.
    site.kill9();
    site.start().await;
    let mut reads = Socket::station(site.port, "CP-1", V16).await;
    let mut does = Socket::station(site.port, "CP-2", V16).await;
    for (socket, id) in [(&mut reads, "CP-1"), (&mut does, "CP-2")] {
        let said = call(&site, &[id, "ClearCache"]);
        let (message, action, _) = socket.next_call().await;
        assert_eq!(action, "ClearCache", "{id}");
        socket.answer(&message, json!({"status": "Accepted"})).await;
        said.await.unwrap().ok();
    }
    // The answer to the first, after all.
    reads.answer(&id, json!({"configurationKey": []})).await;
    until("the answer is kept", || states(&site)[0] == "GetConfiguration answered").await;
    assert_eq!(states(&site)[1..3], ["Reset unknown", "GetConfiguration unknown"]);
}

/// The command line and the views show what a station said as it said it, and one strange answer keeps nobody from reading the others.
#[tokio::test]
async fn numbers_keep_their_digits_and_depth_breaks_no_query() {
    let site = Site::running().await;
    let mut socket = station(&site, "CP-1", V201).await;
    let payload = "{\"status\":\"Accepted\",\n \"ours\":[1.50,1e2,12345678901234567890.10]}";
    for (form, wanted) in [
        ("--json", "1.50,\n      1e2,\n      12345678901234567890.10"),
        ("--jsonl", "[1.50,1e2,12345678901234567890.10]"),
        ("--csv", "[1.50,1e2,12345678901234567890.10]"),
        ("-v", "[1.50,1e2,12345678901234567890.10]"),
    ] {
        let said = call(&site, &["CP-1", "ClearCache", form]);
        let (id, ..) = socket.next_call().await;
        socket.send(&format!("[3,\"{id}\",{payload}]")).await;
        let out = said.await.unwrap().ok().out;
        assert!(out.replace("        ", "      ").contains(wanted) || out.contains(wanted), "{form}: {out}");
    }
    let answer = site.value("SELECT answer FROM v_call WHERE call_number = 1", &[]).unwrap();
    assert!(answer.contains("[1.50,1e2,12345678901234567890.10]"), "{answer}");
    let listed = site.forecourt(&["calls", "--csv"]).ok().out;
    assert!(listed.contains("1.50,1e2,12345678901234567890.10"), "{listed}");

    let deep = format!("{}1.50{}", "[".repeat(5_000), "]".repeat(5_000));
    let said = call(&site, &["CP-1", "ClearCache", "--jsonl"]);
    let (id, ..) = socket.next_call().await;
    socket.send(&format!("[4,\"{id}\",\"InternalError\",\"deep\",{{\"x\":{deep}}}]")).await;
    let said = said.await.unwrap();
    assert_eq!(said.code, 9, "{said:?}");
    assert!(said.out.contains("1.50]]]"), "{said:?}");
    let said = call(&site, &["CP-1", "ClearCache", "--jsonl"]);
    let (id, ..) = socket.next_call().await;
    socket.send(&format!("[3,\"{id}\",{{\"status\":\"Accepted\",\"x\":{deep}}}]")).await;
    assert!(said.await.unwrap().out.contains("1.50]]]"));
    socket.send(&format!("[2,\"deep\",\"DataTransfer\",{{\"vendorId\":\"V\",\"data\":{deep}}}]")).await;
    socket.text().await.expect("an answer");
    for what in ["calls", "messages"] {
        let rows = site.forecourt(&[what, "--jsonl"]).ok().out;
        assert!(rows.lines().count() >= 6 && rows.contains("deep"), "{what}: {rows}");
    }
    assert_eq!(site.count("SELECT count(*) FROM v_meter_value", &[]), 0);
}

/// One command and its reply on the control socket.
async fn command(site: &Site, line: &str) -> Value {
    let mut socket = UnixStream::connect(site.dir.path().join("control.sock")).await.unwrap();
    socket.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).await.unwrap();
    serde_json::from_str(&reply).unwrap_or_else(|error| panic!("{error}: {reply}"))
}

#[tokio::test]
async fn the_control_socket_gives_one_reasoned_reply_and_has_limits() {
    let site = Site::running().await;
    let mode = std::fs::metadata(site.dir.path().join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    for line in [" ", "{", r#"{"command":"format-disk"}"#, r#"{"command":"station-call","station":"CP-1"}"#] {
        let reply = command(&site, line).await;
        assert_eq!(reply["outcome"], "usage", "{line}: {reply}");
        assert!(reply["reason"].as_str().unwrap().starts_with("not a command: "), "{reply}");
    }
    let mut socket = station(&site, "CP-1", V16).await;
    let line = r#"{"command":"station-call","station":"CP-1","action":"ClearCache","payload":"{}","timeout_s":20,"reason":""}"#;
    let mut waiting = Vec::new();
    for _ in 0..32 {
        let mut asked = UnixStream::connect(site.dir.path().join("control.sock")).await.unwrap();
        asked.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        waiting.push(asked);
    }
    until("32 calls wait", || states(&site).len() == 32).await;
    let reply = command(&site, line).await;
    assert_eq!((&reply["outcome"], states(&site).len()), (&json!("refused"), 32));
    assert!(reply["reason"].as_str().unwrap().contains("32 calls to this station have not ended yet"), "{reply}");
    // Those who asked have gone: what has left waits for its answer, the rest is withdrawn.
    drop(waiting);
    until("31 are withdrawn", || states(&site).iter().filter(|state| *state == "ClearCache withdrawn").count() == 31).await;
    let (id, ..) = socket.next_call().await;
    socket.answer(&id, json!({"status": "Accepted"})).await;
    until("the first is answered", || states(&site)[0] == "ClearCache answered Accepted").await;
    // None of the others came after it.
    nothing_else_came(&site, &mut socket).await;
}

/// Behind a call that is not answered another one waits no longer than it was given.
#[tokio::test]
async fn a_call_whose_time_passes_behind_others_is_withdrawn_and_never_sent() {
    let site = Site::running().await;
    let mut socket = station(&site, "CP-1", V16).await;
    let slow = call(&site, &["CP-1", "ClearCache", "--timeout", "20"]);
    let (id, ..) = socket.next_call().await;
    let said = call(&site, &["CP-1", "Reset", r#"{"type":"Hard"}"#, "--timeout", "1", "--json"]).await.unwrap();
    assert_eq!((said.code, &said.json()["outcome"]), (7, &json!("timeout")));
    assert!(said.err.contains("this one was withdrawn, and not sent"), "{said:?}");
    // An answer to what was never sent is none.
    let withdrawn = site.value("SELECT call_id FROM v_call WHERE call_number = 2", &[]).unwrap();
    socket.answer(&withdrawn, json!({"status": "Accepted"})).await;
    socket.answer(&id, json!({"status": "Accepted"})).await;
    slow.await.unwrap().ok();
    assert_eq!(states(&site), ["ClearCache answered Accepted", "Reset withdrawn"]);
    nothing_else_came(&site, &mut socket).await;
}

/// Answers that say no, nothing, or what cannot be read are no success; passwords in them are shown to nobody but who asked.
#[tokio::test]
async fn only_a_known_yes_is_a_success() {
    let site = Site::running().await;
    let mut socket = station(&site, "CP-1", V16).await;
    let nested = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for (payload, why) in [
        (r#"{"status":"Rejected"}"#.to_owned(), "CP-1 answered Rejected"),
        (r#"{"status":"line1\nforecourt: fine"}"#.to_owned(), r"CP-1 answered line1\nforecourt: fine"),
        ("{}".to_owned(), "CP-1 answered without saying that it did it"),
        ("null".to_owned(), "CP-1 answered without saying that it did it"),
        (format!(r#"{{"status":"Accepted","x":{nested}}}"#), "CP-1 answered without saying that it did it"),
    ] {
        let said = call(&site, &["CP-1", "ClearCache"]);
        let (id, ..) = socket.next_call().await;
        socket.send(&format!(r#"[3,"{id}",{payload}]"#)).await;
        let said = said.await.unwrap();
        assert_eq!((said.code, said.err.as_str()), (9, format!("forecourt: {why}\n").as_str()), "{payload}");
    }
    let said = call(&site, &["CP-1", "GetConfiguration", "--json"]);
    let (id, ..) = socket.next_call().await;
    let answered = json!({"configurationKey": [{"key": "AUTHORIZATIONKEY", "readonly": false, "value": "secret"}]});
    socket.answer(&id, answered.clone()).await;
    assert_eq!(said.await.unwrap().ok().json()["payload"], answered);
    let list = site.forecourt(&["calls", "--json"]).ok();
    assert!(list.out.contains("AUTHORIZATIONKEY") && !list.out.contains("secret"), "{}", list.out);
}

/// What stands where the control socket should be is left alone, and `check` names it.
#[tokio::test]
async fn a_file_at_the_place_of_the_control_socket_is_not_removed() {
    let mut site = Site::new(&support::Plan::default());
    let file = site.dir.path().join("control.sock");
    std::fs::write(&file, "precious").unwrap();
    let said = site.forecourt(&["check"]);
    assert_eq!(said.code, 4);
    assert!(said.err.contains("site.control_socket") && said.err.contains("not a socket"), "{said:?}");
    site.start().await;
    site.logged(&["no commands can be given to this daemon", "not a socket"]).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

/// A socket that cannot be made is no reason not to serve stations; one of another daemon is not taken away.
#[tokio::test]
async fn stations_are_served_without_a_control_socket() {
    let mut site = Site::new(&support::Plan::default());
    std::fs::create_dir(site.dir.path().join("control.sock")).unwrap();
    site.start().await;
    site.logged(&["no commands can be given to this daemon", "control.sock"]).await;
    station(&site, "CP-1", V16).await;
    let said = call(&site, &["CP-1", "ClearCache"]).await.unwrap();
    assert_eq!(said.code, 7);
    assert!(said.err.contains("the daemon cannot be reached at"), "{said:?}");
}

/// The daemon would run without commands: nobody should learn that only when the first one is needed.
#[test]
fn check_says_when_the_folder_of_the_control_socket_is_missing() {
    let site = Site::new(&support::Plan::default());
    let config = std::fs::read_to_string(site.config()).unwrap();
    let moved = config.replace("\"control.sock\"", "\"nowhere/control.sock\"");
    assert!(!site.forecourt(&["check"]).ok().out.contains("control_socket"));
    std::fs::write(site.config(), moved).unwrap();
    let said = site.forecourt(&["check"]).ok().out;
    assert!(said.contains("nowhere/control.sock") && said.contains("no commands could be given"), "{said}");
}
