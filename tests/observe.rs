//! What `forecourt status` knows of a running daemon, of one that cannot be asked, and of one that is gone.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use serde_json::{Value, json};
use support::socket::Socket;
use support::{Site, until};

fn status(site: &Site) -> Value {
    site.forecourt(&["status", "--json"]).ok().json()
}

/// Answered, refused, broken, not stored.
fn counts(live: &Value, version: &str, action: &str) -> Vec<u64> {
    let rows = live["messages"].as_array().unwrap();
    let row = rows.iter().find(|row| row["ocpp_version"] == version && row["action"] == action);
    let names = ["answered", "refused", "broken", "not_stored"];
    row.map(|row| names.iter().map(|name| row[*name].as_u64().unwrap()).collect()).unwrap_or_default()
}

#[tokio::test]
async fn status_shows_what_the_running_daemon_counts() {
    let site = Site::running().await;
    let before = status(&site)["live"].clone();
    assert_eq!(before["messages"], json!([]), "{before}");
    assert_eq!(before["stations"]["connected"], json!([]));

    let mut one = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    one.call("1", "BootNotification", json!({"chargePointVendor": "V", "chargePointModel": "M"})).await;
    for id in ["2", "3", "4"] {
        one.call(id, "Heartbeat", json!({})).await;
    }
    let mut two = Socket::station(site.port, "CP-2", "ocpp2.0.1").await;
    let boot = json!({"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}});
    two.call("1", "BootNotification", boot).await;
    // What stations invent gets no counter of its own.
    for number in 0..5 {
        one.send(&format!(r#"[2,"x{number}","Invented{number}",{{}}]"#)).await;
        assert!(one.text().await.unwrap().starts_with("[4,"));
    }
    one.send(r#"[2,"y","BootNotification","#).await;
    assert!(one.text().await.unwrap().starts_with("[4,"));
    one.call("5", "Heartbeat", json!({})).await;
    // The same start again: its answer was lost.
    let start = json!({"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2020-01-01T00:00:00Z"});
    let answer = one.call("6", "StartTransaction", start.clone()).await;
    assert_eq!(one.call("6", "StartTransaction", start).await, answer);

    let said = status(&site);
    let live = &said["live"];
    assert_eq!(counts(live, "1.6", "Heartbeat"), [4, 0, 0, 0], "{live:#}");
    assert_eq!(counts(live, "1.6", "StartTransaction"), [2, 0, 0, 0]);
    assert_eq!(counts(live, "2.0.1", "BootNotification"), [1, 0, 0, 0]);
    assert_eq!(counts(live, "1.6", "other")[1], 5);
    let broken: u64 = live["messages"].as_array().unwrap().iter().map(|row| row["broken"].as_u64().unwrap()).sum();
    assert_eq!((broken, live["messages"].as_array().unwrap().len()), (1, 5), "{live:#}");
    assert_eq!((&live["repeats"], &live["sessions_opened"]), (&json!(1), &json!(1)));
    assert_eq!(live["findings"]["refused"], json!(5));
    assert_eq!(live["stations"]["by_version"], json!({"1.6": 1, "2.0.1": 1}));
    assert_eq!((&live["store"]["commits_work"], &live["store"]["queue"]), (&json!(true), &json!(0)));
    assert!(live["store"]["commits"].as_u64() > before["store"]["commits"].as_u64());
    let last = live["store"]["commit_times"]["at_most_ms"].as_array().unwrap().last().unwrap().clone();
    assert!(last[1].as_u64() <= live["store"]["commits"].as_u64() && last[0] == 5_000, "{last}");
    let shown = site.forecourt(&["status"]).ok().out;
    assert!(shown.contains("now: 2 stations connected (1 x 1.6, 1 x 2.0.1)"), "{shown}");
    assert!(shown.contains("1 repeated"), "{shown}");

    drop(two);
    until("one station", || status(&site)["live"]["stations"]["by_version"] == json!({"1.6": 1})).await;
    let stations = status(&site)["stations"].clone();
    let state = |id: &str| stations.as_array().unwrap().iter().find(|row| row["station"] == id).unwrap()["state"].clone();
    assert_eq!((state("CP-1"), state("CP-2")), (json!("connected"), json!("disconnected")));
}

#[tokio::test]
async fn a_daemon_that_cannot_be_asked_is_not_invented() {
    let mut site = Site::running().await;
    let mut one = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    one.call("1", "BootNotification", json!({"chargePointVendor": "V", "chargePointModel": "M"})).await;
    // The socket is gone, the daemon is not: the store still says who is connected.
    std::fs::remove_file(site.dir.path().join("control.sock")).unwrap();
    let said = status(&site);
    assert_eq!((&said["daemon_running"], &said["live"]), (&json!(true), &Value::Null), "{said:#}");
    assert_eq!(said["stations"][0]["state"], json!("connected"));
    let shown = site.forecourt(&["status"]).ok();
    assert!(shown.err.contains("its control socket") && !shown.out.contains("now:"), "{}{}", shown.out, shown.err);

    site.kill9();
    let said = status(&site);
    assert_eq!((&said["daemon_running"], &said["live"]), (&json!(false), &Value::Null), "{said:#}");
    assert_eq!(said["stations"][0]["state"], json!("disconnected"));
    let shown = site.forecourt(&["status"]).ok();
    assert!(shown.out.contains("not running") && !shown.out.contains("since the start:"), "{}", shown.out);
}
