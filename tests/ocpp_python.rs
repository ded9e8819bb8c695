//! Stations of another hand: the charge-point classes of the PyPI package `ocpp` for 1.6, 2.0.1 and 2.1, which check our answers
//! against the published schemas. What they did is looked for in the store, and their records are verified with Debian's `jose`. And every
//! message that there is a schema for, against docs/messages.md.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::{Site, tools};

#[tokio::test]
async fn python_stations_of_all_versions_charge_and_are_billed() {
    let (Some(python), Some(jose)) = (tools::python(), tools::tool("jose")) else { return };
    let mut site = Site::running().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/stations.py");
    let said = support::run_to_end(Command::new(python).arg(script).arg(site.url()));
    assert_eq!(said.code, 0, "{}", said.err);
    let stations: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(stations.len(), 3, "{}", said.out);
    site.settled().await;

    let jwks = site.dir.path().join("keys.jwks");
    std::fs::write(&jwks, site.jwks()).unwrap();
    for station in &stations {
        let name = station["station"].as_str().unwrap();
        messages_are_kept(&site, name, station);
        let session = site.query(
            "SELECT state, transaction_id, energy_wh, cost_incl_vat, duration_s, ocpp_version, token FROM v_session WHERE station = ?1",
            &[&name],
        );
        let version = name.trim_start_matches("PY-ocpp");
        let token = if version == "1.6" { "…ON16" } else { "…HON2" };
        // 7.5 kWh at 0.40 EUR are 3.00; VAT 0.57.
        let wanted = ["done", station["tx"].as_str().unwrap(), "7500", "3.57", "2700", version, token];
        assert_eq!(session, [wanted.map(|text| Some(text.to_owned()))], "{name}");
        let jws = site.value("SELECT jws FROM v_record WHERE station = ?1", &[&name]).expect("a record");
        let text = tools::jose_verify(&jose, &jws, &jwks).expect("jose verifies the record");
        let record: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&record["session"]["station"], &record["meter"]["energy_wh"]), (&json!(name), &json!("7500")), "{text}");
        assert_eq!(tools::jose_verify(&jose, &tools::altered(&jws), &jwks), None, "an altered record must not verify");
    }
    site.forecourt(&["verify", "--all"]).ok();
    site.stop().await;
}

/// The answers to all messages fit their schemas, and all messages are in the journal.
#[tokio::test]
async fn every_message_of_every_version_is_kept_and_answered() {
    let Some(python) = tools::python() else { return };
    let mut site = Site::running().await;
    let root = env!("CARGO_MANIFEST_DIR");
    let script = format!("{root}/tests/python/messages.py");
    let document = format!("{root}/docs/messages.md");
    let said = support::run_to_end(Command::new(python).arg(script).arg(site.url()).arg(document));
    assert_eq!(said.code, 0, "{}", said.err);
    let stations: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(stations.len(), 3, "{}", said.out);
    for station in &stations {
        let name = station["station"].as_str().unwrap();
        let sent = station["messages"].as_array().unwrap().iter().map(|action| action.as_str().unwrap().to_owned());
        let wanted: Vec<Vec<Option<String>>> = sent
            .filter(|action| action != "Heartbeat")
            .map(|action| {
                let count = if action == "NotifyPeriodicEventStream" { "1" } else { "2" };
                vec![Some(action), Some(count.to_owned())]
            })
            .collect();
        let sql = "SELECT action, count(*) FROM v_message WHERE station = ?1 AND coalesce(findings, '') NOT LIKE '%refused%'
            GROUP BY action ORDER BY action";
        assert_eq!(site.query(sql, &[&name]), wanted, "{name}");
    }
    site.stop().await;
}

/// Every message but the heartbeats is in the journal once, in order, without a finding.
fn messages_are_kept(site: &Site, name: &str, station: &Value) {
    let list =
        |key: &str| station[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let wanted: Vec<Vec<Option<String>>> = list("ids")
        .into_iter()
        .zip(list("actions"))
        .filter(|(_, action)| action != "Heartbeat")
        .map(|(id, action)| vec![Some(id), Some(action), None])
        .collect();
    let sql = "SELECT call_id, action, findings FROM v_message WHERE station = ?1 ORDER BY message_id";
    assert_eq!(site.query(sql, &[&name]), wanted, "{name}");
    let state = site.value("SELECT connectors FROM v_station WHERE station = ?1", &[&name]);
    assert_eq!(state.as_deref(), Some("1 Available"), "{name}");
}

/// The table of what we send is what the schemas say; the marks of messages that only read are ours.
#[test]
fn the_facts_about_what_we_send_are_those_of_the_schemas() {
    let Some(python) = tools::python() else { return };
    let root = env!("CARGO_MANIFEST_DIR");
    for version in ["1.6", "2.0.1", "2.1"] {
        let mut script = Command::new(&python);
        script.args([format!("{root}/tests/python/facts.py"), version.to_owned(), format!("{root}/docs/messages.md")]);
        let said = support::run_to_end(&mut script);
        assert_eq!(said.code, 0, "{}", said.err);
        let table = std::fs::read_to_string(format!("{root}/src/ocpp/facts/{version}.txt")).unwrap();
        let table: Vec<&str> = table.lines().map(|line| line.strip_suffix(" reads").unwrap_or(line)).collect();
        assert_eq!(table, said.out.lines().collect::<Vec<_>>(), "src/ocpp/facts/{version}.txt");
    }
}

/// Every message that can be sent: what its schema takes is sent as it is, what it does not take is refused, and every answer is judged.
#[tokio::test]
async fn every_call_is_checked_as_its_schema_has_it() {
    let Some(python) = tools::python() else { return };
    let mut site = Site::running().await;
    let root = env!("CARGO_MANIFEST_DIR");
    let mut script = Command::new(python);
    script.arg(format!("{root}/tests/python/calls.py")).arg(site.url()).arg(site.dir.path().join("control.sock"));
    let said = support::run_to_end(script.arg(format!("{root}/docs/messages.md")));
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    let counted: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&Value> = counted.iter().map(|version| &version["messages"]).collect();
    assert_eq!(messages, [26, 40, 55], "{}", said.out);
    for version in &counted {
        let at_least = |what: &str, count: u64| assert!(version[what].as_u64().unwrap() >= count, "{version}");
        at_least("sent", 100);
        at_least("refused", 500);
    }
    let shown = "SELECT count(*) FROM v_call WHERE payload LIKE '%secret@%' OR length(status) > 60";
    assert_eq!(site.count(shown, &[]), 0);
    site.stop().await;
}
