//! What stations are asked and told after boot: the real binary, stations on real WebSockets.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use serde_json::{Value, json};
use support::socket::Socket;
use support::{Plan, Site, until};

const V16: &str = "ocpp1.6";
const V201: &str = "ocpp2.0.1";

/// A site that asks stations how they measure.
async fn site() -> Site {
    let mut site = Site::new(&Plan { ocpp: "onboarding = true\nmeter_interval_s = 30".to_owned(), ..Plan::default() });
    site.start().await;
    site
}

fn calls(site: &Site) -> Vec<String> {
    let rows = site.query(
        "SELECT action || ' ' || state || ' ' || coalesce(status, '-') || ' ' || actor || ' ' || reason FROM v_call ORDER BY call_number",
        &[],
    );
    rows.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

fn variable(name: &str, more: Value) -> Value {
    let mut item = json!({"component": {"name": "SampledDataCtrlr"}, "variable": {"name": name}});
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    item
}

#[tokio::test]
async fn a_2x_station_is_told_to_send_registers_and_what_it_refuses_is_a_problem() {
    let site = site().await;
    let mut socket = Socket::station(site.port, "CP-2", V201).await;
    assert_eq!(socket.boot().await["status"], "Accepted");
    let (id, action, payload) = socket.next_call().await;
    let names = ["TxStartedMeasurands", "TxEndedMeasurands", "TxUpdatedMeasurands", "TxUpdatedInterval"];
    assert_eq!(action, "GetVariables");
    assert_eq!(payload, json!({"getVariableData": names.map(|name| variable(name, json!({})))}));
    // While a call of ours is unanswered the station's own messages are answered.
    assert!(socket.call("beat", "Heartbeat", json!({})).await["currentTime"].is_string());
    let got = [
        variable(names[0], json!({"attributeStatus": "Accepted", "attributeValue": "Voltage"})),
        variable(names[1], json!({"attributeStatus": "Accepted", "attributeValue": "energy.active.import.register"})),
        variable(names[2], json!({"attributeStatus": "UnknownVariable"})),
        variable(names[3], json!({"attributeStatus": "Accepted", "attributeValue": "900"})),
    ];
    socket.answer(&id, json!({"getVariableResult": got})).await;
    let (id, action, payload) = socket.next_call().await;
    assert_eq!(action, "SetVariables");
    let wanted = [(names[0], "Voltage,Energy.Active.Import.Register"), (names[3], "30")];
    let set = wanted.map(|(name, value)| variable(name, json!({"attributeValue": value})));
    assert_eq!(payload, json!({"setVariableData": set}));
    let said =
        [variable(names[0], json!({"attributeStatus": "Rejected"})), variable(names[3], json!({"attributeStatus": "Accepted"}))];
    socket.answer(&id, json!({"setVariableResult": said})).await;
    until("both are problems", || site.count("SELECT count(*) FROM v_problem", &[]) == 2).await;
    let problems = site.query("SELECT kind, station, subject, detail FROM v_problem ORDER BY subject", &[]);
    let text = |row: usize| problems[row].iter().map(|cell| cell.clone().unwrap_or_default()).collect::<Vec<_>>().join(" | ");
    assert_eq!(
        text(0),
        "setting-refused | CP-2 | SampledDataCtrlr.TxStartedMeasurands | should be Voltage,Energy.Active.Import.Register: the \
         station answers Rejected; its sessions will be held (register-missing)"
    );
    assert_eq!(
        text(1),
        "setting-refused | CP-2 | SampledDataCtrlr.TxUpdatedMeasurands | should be Energy.Active.Import.Register,\
         Power.Active.Import: it is unknown to it and cannot be changed; when energy flowed within a session is known coarsely"
    );
    assert_eq!(
        calls(&site),
        ["GetVariables answered UnknownVariable forecourt onboarding", "SetVariables answered Rejected forecourt onboarding"]
    );
    let audit = site.forecourt(&["audit", "list", "--json"]).ok().json();
    assert_eq!(
        (&audit[0]["actor"], &audit[0]["reason"], &audit[0]["object"]),
        (&json!("forecourt"), &json!("onboarding"), &json!("CP-2"))
    );
    // A station that boots all the time is not asked each time: the next frame is the answer to what it says itself.
    assert_eq!(socket.boot().await["status"], "Accepted");
    assert!(socket.call("beat", "Heartbeat", json!({})).await["currentTime"].is_string());
    assert_eq!(calls(&site).len(), 2);
}

#[tokio::test]
async fn a_1_6_station_is_changed_key_by_key_and_one_that_measures_already_is_left_alone() {
    let site = site().await;
    let mut socket = Socket::station(site.port, "CP-1", V16).await;
    assert_eq!(socket.boot().await["status"], "Accepted");
    let (id, action, payload) = socket.next_call().await;
    assert_eq!(
        (action.as_str(), payload),
        ("GetConfiguration", json!({"key": ["MeterValuesSampledData", "MeterValueSampleInterval"]}))
    );
    let keys = json!({"configurationKey": [{"key": "MeterValuesSampledData", "readonly": false, "value": "Voltage"},
        {"key": "MeterValueSampleInterval", "readonly": false, "value": "0"}]});
    socket.answer(&id, keys).await;
    for (key, value) in [
        ("MeterValuesSampledData", "Voltage,Energy.Active.Import.Register,Power.Active.Import"),
        ("MeterValueSampleInterval", "30"),
    ] {
        let (id, action, payload) = socket.next_call().await;
        assert_eq!((action.as_str(), payload), ("ChangeConfiguration", json!({"key": key, "value": value})));
        socket.answer(&id, json!({"status": "Accepted"})).await;
    }
    let mut other = Socket::station(site.port, "CP-3", V16).await;
    assert_eq!(other.boot().await["status"], "Accepted");
    let (id, ..) = other.next_call().await;
    let keys = json!({"configurationKey": [
        {"key": "MeterValuesSampledData", "readonly": true, "value": "Energy.Active.Import.Register, Power.Active.Import"},
        {"key": "MeterValueSampleInterval", "readonly": false, "value": "30"}]});
    other.answer(&id, keys).await;
    until("all calls have ended", || calls(&site).iter().filter(|call| call.contains(" answered ")).count() == 4).await;
    assert!(other.call("beat", "Heartbeat", json!({})).await["currentTime"].is_string());
    assert_eq!(site.count("SELECT count(*) FROM v_problem", &[]), 0);
}

#[tokio::test]
async fn calls_of_a_connection_that_is_lost_are_not_left_behind() {
    let mut site = site().await;
    for round in 0..3 {
        // Each start forgets when the station was asked.
        let mut socket = Socket::station(site.port, "CP-1", V16).await;
        assert_eq!(socket.boot().await["status"], "Accepted");
        let (_, action, _) = socket.next_call().await;
        assert_eq!(action, "GetConfiguration", "round {round}");
        drop(socket);
        until("the call has ended", || calls(&site).iter().all(|call| call.contains(" unknown "))).await;
        site.kill9();
        site.start().await;
    }
    assert_eq!(site.count("SELECT count(*) FROM v_call WHERE state IN ('queued', 'sent')", &[]), 0);
}

#[tokio::test]
async fn a_station_that_does_not_say_how_it_measures_is_a_problem_and_one_that_was_cut_off_is_asked_again() {
    let site = site().await;
    for (id, version, reply, why) in [
        ("CP-1", V201, json!([4, "", "NotSupported", "", {}]), "the station answers with an error to GetVariables"),
        ("CP-2", V16, json!([3, "", []]), "the station gives an answer that cannot be read to GetConfiguration"),
    ] {
        // Cut off before it answers, it is asked again at once.
        let mut socket = Socket::station(site.port, id, version).await;
        assert_eq!(socket.boot().await["status"], "Accepted");
        socket.next_call().await;
        drop(socket);
        let mut socket = Socket::station(site.port, id, version).await;
        assert_eq!(socket.boot().await["status"], "Accepted");
        let (message, ..) = socket.next_call().await;
        let mut reply = reply;
        reply[1] = json!(message);
        socket.send(&reply.to_string()).await;
        let problem = || site.value("SELECT detail FROM v_problem WHERE station = ?1 AND kind = 'setting-refused'", &[&id]);
        until("the problem is shown", || problem().is_some()).await;
        assert!(problem().unwrap().starts_with(&format!("not known, because {why}; unless")), "{:?}", problem());
    }
    // A setting that the answer leaves out is one that the station does not know.
    let mut socket = Socket::station(site.port, "CP-3", V16).await;
    assert_eq!(socket.boot().await["status"], "Accepted");
    let (id, ..) = socket.next_call().await;
    socket
        .answer(&id, json!({"configurationKey": [{"key": "MeterValueSampleInterval", "readonly": false, "value": "30"}]}))
        .await;
    let missing = "SELECT count(*) FROM v_problem WHERE station = 'CP-3' AND subject = 'MeterValuesSampledData'";
    until("the missing one is a problem", || site.count(missing, &[]) == 1).await;
}
