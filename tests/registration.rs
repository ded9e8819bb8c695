//! Who is served: the real binary between stations on real WebSockets and whoever decides about them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use serde_json::{Value, json};
use support::socket::Socket;
use support::{Plan, Site, run_to_end, transaction, until};

const V16: &str = "ocpp1.6";
const V201: &str = "ocpp2.0.1";

async fn boot(socket: &mut Socket, version: &str) -> Value {
    let payload = match version {
        V16 => json!({"chargePointVendor": "Voltwerk", "chargePointModel": "V7"}),
        _ => json!({"reason": "PowerUp", "chargingStation": {"vendorName": "Voltwerk", "model": "V7"}}),
    };
    socket.call(&format!("b-{}", fastrand::u64(..)), "BootNotification", payload).await
}

async fn registered(socket: &mut Socket, version: &str) -> (String, u64) {
    let answer = boot(socket, version).await;
    (answer["status"].as_str().unwrap().to_owned(), answer["interval"].as_u64().unwrap())
}

async fn authorized(socket: &mut Socket, version: &str) -> String {
    let id = format!("a-{}", fastrand::u64(..));
    let answer = match version {
        V16 => socket.call(&id, "Authorize", json!({"idTag": "04AA"})).await["idTagInfo"].clone(),
        _ => {
            let token = json!({"idToken": {"idToken": "04AA", "type": "ISO14443"}});
            socket.call(&id, "Authorize", token).await["idTokenInfo"].clone()
        }
    };
    answer["status"].as_str().unwrap().to_owned()
}

fn site(unknown: &str) -> Site {
    let ocpp = format!("unknown_stations = \"{unknown}\"\nboot_retry_s = 17\nheartbeat_s = 200\nonboarding = false");
    let stations = "[[station]]\nid = \"KNOWN\"\nlabel = \"Left of the entrance\"\narea = \"north\"\n".to_owned();
    Site::new(&Plan { ocpp, stations, ..Plan::default() })
}

fn registrations(site: &Site) -> Vec<String> {
    let rows = site.query("SELECT station || ' ' || coalesce(registration, '-') FROM v_station ORDER BY station", &[]);
    rows.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

#[tokio::test]
async fn an_unknown_station_waits_in_the_inbox_until_it_is_adopted() {
    for version in [V16, V201] {
        let mut site = site("inbox");
        site.start().await;
        let mut known = Socket::station(site.port, "KNOWN", version).await;
        assert_eq!(registered(&mut known, version).await, ("Accepted".to_owned(), 200));
        let mut new = Socket::station(site.port, "NEW", version).await;
        assert_eq!(registered(&mut new, version).await, ("Pending".to_owned(), 17));
        assert_eq!(
            (authorized(&mut known, version).await, authorized(&mut new, version).await),
            ("Accepted".to_owned(), "Invalid".to_owned())
        );
        assert_eq!(registrations(&site), ["KNOWN accepted", "NEW pending"]);
        let listed = site.forecourt(&["stations"]).ok().out;
        assert!(listed.contains("connected, pending") && listed.contains("Left of the entrance"), "{listed}");
        let problems = site.forecourt(&["problems"]).ok().out;
        assert!(problems.contains("forecourt station adopt ID") && problems.contains("Voltwerk V7"), "{problems}");

        // Whoever charges there all the same is recorded, and nobody pays for it before a person has looked.
        let (action, payload) = transaction::start(version, "tx-1", 1_000, "2026-11-20T08:00:00Z");
        let answer = new.call("s", action, payload).await;
        let (action, payload) = transaction::stop(version, "tx-1", &answer, 6_000, "2026-11-20T08:30:00Z");
        new.call("e", action, payload).await;
        site.settled().await;
        assert_eq!(site.value("SELECT hold_reason FROM v_session", &[]).as_deref(), Some("not-authorized"));

        let sessions = site.forecourt(&["sessions", "--json"]).ok().json();
        assert_eq!((&sessions[0]["station"], &sessions[0]["station_label"]), (&json!("NEW"), &Value::Null));
        let (action, payload) = transaction::start(version, "tx-2", 1_000, "2026-11-20T08:00:00Z");
        known.call("s", action, payload).await;
        let listed = run_to_end(site.command(&["sessions"]).env("COLUMNS", "200")).ok().out;
        assert!(listed.contains("Left of the entrance"), "{listed}");

        // Neither a reconnect nor a restart makes it known, nor does it have to boot anew.
        site.kill9();
        site.start().await;
        let mut new = Socket::station(site.port, "new", version).await;
        assert_eq!(authorized(&mut new, version).await, "Invalid");
        let said = site.forecourt(&["station", "adopt", "new", "--reason", "the new one at the gate"]).ok();
        assert_eq!(said.out, "NEW is accepted (was pending)\n");
        assert_eq!(authorized(&mut new, version).await, "Accepted");
        assert_eq!(registered(&mut new, version).await, ("Accepted".to_owned(), 200));
        assert_eq!(site.count("SELECT count(*) FROM v_problem WHERE kind = 'station-pending'", &[]), 0);
        site.kill9();
        site.start().await;
        let mut new = Socket::station(site.port, "NEW", version).await;
        assert_eq!(authorized(&mut new, version).await, "Accepted");

        // The last word is a person's, also on what the configuration names.
        for (id, socket) in [("NEW", &mut new), ("KNOWN", &mut Socket::station(site.port, "KNOWN", version).await)] {
            site.forecourt(&["station", "block", id]).ok();
            assert_eq!(authorized(socket, version).await, "Invalid");
            assert_eq!(registered(socket, version).await, ("Rejected".to_owned(), 17));
        }
        assert_eq!(registrations(&site), ["KNOWN rejected", "NEW rejected"]);
        let said = site.forecourt(&["station", "adopt", "NOBODY"]);
        assert_eq!((said.code, said.err.contains("no station NOBODY has connected")), (3, true), "{said:?}");
        let audit = site.query("SELECT action, object, before, after, reason FROM v_audit ORDER BY audit_id LIMIT 1", &[]);
        let audit: Vec<String> = audit[0].iter().map(|cell| cell.clone().unwrap_or_default()).collect();
        assert_eq!(audit, ["station registration", "NEW", "Pending", "Accepted", "the new one at the gate"]);
        site.stop().await;
    }
}

#[tokio::test]
async fn who_was_accepted_once_stays_so_when_an_inbox_is_set_up() {
    let mut site = site("accept");
    site.start().await;
    let mut old = Socket::station(site.port, "OLD", V16).await;
    assert_eq!(registered(&mut old, V16).await, ("Accepted".to_owned(), 200));
    site.stop().await;
    let config = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), config.replace("\"accept\"\nboot", "\"inbox\"\nboot")).unwrap();
    site.start().await;
    let mut old = Socket::station(site.port, "OLD", V16).await;
    assert_eq!(authorized(&mut old, V16).await, "Accepted");
    assert_eq!(registered(&mut old, V16).await, ("Accepted".to_owned(), 200));
    let mut new = Socket::station(site.port, "NEW", V16).await;
    assert_eq!(registered(&mut new, V16).await, ("Pending".to_owned(), 17));
    site.stop().await;
}

#[tokio::test]
async fn a_station_that_was_turned_away_may_connect_once_it_is_adopted() {
    let mut site = site("reject");
    site.start().await;
    let refused = Socket::open(site.port, "/ocpp/NEW", &[V16]).await.map(drop).unwrap_err();
    assert!(refused.0 == 404 && refused.1.contains("nor adopted"), "{refused:?}");
    until("it is listed", || registrations(&site).len() == 2).await;
    site.forecourt(&["station", "adopt", "NEW"]).ok();
    for restarted in [false, true] {
        let mut new = Socket::station(site.port, "NEW", V16).await;
        assert_eq!(registered(&mut new, V16).await, ("Accepted".to_owned(), 200));
        if !restarted {
            site.kill9();
            site.start().await;
        }
    }
    site.forecourt(&["station", "block", "NEW"]).ok();
    let refused = Socket::open(site.port, "/ocpp/NEW", &[V16]).await.map(drop).unwrap_err();
    assert_eq!(refused.0, 404);
    site.stop().await;
}

/// A 2.x transaction need not name a token; at a station that nobody has accepted it is held all the same.
#[tokio::test]
async fn who_charges_without_a_token_in_the_inbox_is_not_billed() {
    let mut site = site("inbox");
    site.start().await;
    let mut new = Socket::station(site.port, "NEW", V201).await;
    assert_eq!(registered(&mut new, V201).await.0, "Pending");
    for (tx, decision) in [("tx-1", None), ("tx-2", Some("block"))] {
        if let Some(decision) = decision {
            site.forecourt(&["station", decision, "NEW", "--reason", "test"]).ok();
        }
        let hour = if tx == "tx-1" { 8 } else { 9 };
        let (action, mut payload) = transaction::start(V201, tx, 1_000, &format!("2026-11-20T0{hour}:00:00Z"));
        payload.as_object_mut().unwrap().remove("idToken");
        let answer = new.call(&format!("{tx}-s"), action, payload).await;
        let (action, mut payload) = transaction::stop(V201, tx, &answer, 6_000, &format!("2026-11-20T0{hour}:30:00Z"));
        payload.as_object_mut().unwrap().remove("idToken");
        new.call(&format!("{tx}-e"), action, payload).await;
    }
    site.settled().await;
    assert_eq!(site.count("SELECT count(*) FROM v_session WHERE hold_reason = 'not-authorized'", &[]), 2);
    assert_eq!(site.count("SELECT count(*) FROM v_record", &[]), 0);
    site.stop().await;
}
