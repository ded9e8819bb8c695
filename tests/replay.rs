//! Sessions and bills follow from the journal. Every test that has a site checks that at its end (`support/replay.rs`); here is what the
//! check itself must notice, and what the journal must say for it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use forecourt::config::Config;
use forecourt::daemon::replay::replay;
use rusqlite::Connection;
use serde_json::json;
use support::charging::{MIN, ScriptedSite};
use support::socket::Socket;
use support::{Site, transaction};

/// Replays the store of a site that has stopped, after a change to a copy of it.
fn after(site: &Site, change: &str) -> Result<Vec<String>, String> {
    let folder = support::replay::in_memory();
    let copy = folder.path().join("copy.db");
    Connection::open(site.store()).unwrap().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    Connection::open(&copy).unwrap().execute_batch(change).unwrap();
    let config = Config::load(&site.config(), true, std::iter::empty(), &[]).unwrap();
    replay(&config, &copy, folder.path()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_does_not_follow_from_the_journal_is_noticed() {
    let mut site = Site::running().await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    let (action, start) = transaction::start("ocpp1.6", "", 0, "2026-11-21T10:00:00Z");
    let answer = station.call("1", action, start).await;
    let (action, stop) = transaction::stop("ocpp1.6", "", &answer, 4000, "2026-11-21T11:00:00Z");
    station.call("2", action, stop).await;
    site.settled().await;
    site.stop().await;
    assert_eq!(after(&site, ""), Ok(Vec::new()));
    for (change, expected) in [
        ("UPDATE session SET stop_register = stop_register + 1000", "session Integer(1), stop_register: stored Integer(4001000)"),
        ("UPDATE message SET answer = replace(answer, 'Accepted', 'Invalid') WHERE id = 1", "message Integer(1), answer"),
        ("UPDATE message SET text = replace(text, '\"meterStop\":4000', '\"meterStop\":3000')", "record"),
        (
            "DELETE FROM message WHERE id = 2",
            "session Integer(1), state: stored Text(\"ended\"), the journal gives Text(\"open\")",
        ),
        ("DELETE FROM journal_note WHERE kind = 'verdict'", "record: 1 rows are stored, 0 follow from the journal"),
        ("UPDATE journal_note SET tx_offset = tx_offset + 1", "session Integer(1), tx"),
    ] {
        let differences = after(&site, change).unwrap().join("\n");
        assert!(differences.contains(expected), "{change}: {differences}");
    }
    let older = after(&site, "UPDATE message SET version = NULL").unwrap_err();
    assert!(older.contains("message 1 is of before schema 4"), "{older}");
}

/// A heartbeat has no row, yet a bill may end with it.
#[tokio::test]
async fn a_bill_that_ends_with_a_heartbeat_follows_from_the_journal() {
    let site = ScriptedSite::open().await;
    let mut station = site.station("CP-1", "ocpp1.6").await;
    let tx = station.start(0, 1, "04-AAAA", 1000).await;
    for quarter in 1..=4 {
        site.at(quarter * 15 * MIN);
        station.register(quarter * 15 * MIN, 1, Some(tx), 1000 + quarter * 1750).await;
    }
    drop(station);
    site.at(90 * MIN);
    let mut station = site.station("CP-1", "ocpp1.6").await;
    station.call("Heartbeat", json!({})).await;
    drop(station);
    site.at(150 * MIN);
    let mut station = site.station("CP-1", "ocpp1.6").await;
    station.boot_16().await;
    station.stop_for(151 * MIN, tx, "", 8000, "PowerLoss").await;
    let session = site.sessions("CP-1").await.remove(0);
    let (_, end) = session.span.unwrap();
    assert!((89 * MIN..=91 * MIN).contains(&end), "{end}: {}", session.text);
    let heard = "SELECT count(*) FROM message WHERE action = 'BootNotification' AND heard_at IS NOT NULL";
    assert_eq!(site.inner.count(heard, &[]), 1);
}
