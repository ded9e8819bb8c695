//! Which session a message means, where ids are used again, lost, foreign or old: nobody pays for another's energy. The real binary,
//! real WebSockets, the real store, under a clock that the script moves on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use serde_json::json;
use support::charging::{HOUR, MIN, ScriptedSite};

const V16: &str = "ocpp1.6";
const V201: &str = "ocpp2.0.1";
const V21: &str = "ocpp2.1";
/// An id that some stations send when they have none (2^63 - 1).
const FOREIGN: i64 = i64::MAX;

#[tokio::test]
async fn a_2x_id_used_again_after_a_lost_end_is_another_session() {
    let site = ScriptedSite::open().await;
    for (id, version, late_register) in [("CP-1", V201, 5000), ("CP-2", V21, 5000), ("CP-3", V201, 8000)] {
        site.at(200 * MIN);
        let mut station = site.station(id, version).await;
        station.event(0, ("Started", "1", 0), Some(1000), json!({"tag": "04-AAAA", "state": "Charging"})).await;
        station.event(30 * MIN, ("Updated", "1", 1), Some(4000), json!({})).await;
        station.event(90 * MIN, ("Started", "1", 0), Some(5000), json!({"tag": "04-BBBB", "state": "Charging"})).await;
        station.event(120 * MIN, ("Updated", "1", 1), Some(7000), json!({})).await;
        station.event(150 * MIN, ("Ended", "1", 2), Some(9000), json!({"tag": "04-BBBB"})).await;
        assert_eq!(site.bills(id).await, ["AAAA: held stop-missing", "BBBB: 4000 Wh"], "{id}");
        // The first end comes after all; with a register that the next driver paid, nobody pays it again.
        station.event(80 * MIN, ("Ended", "1", 2), Some(late_register), json!({"tag": "04-AAAA"})).await;
        let late = if late_register == 5000 { "AAAA: 4000 Wh" } else { "AAAA: held overlap" };
        assert_eq!(site.bills(id).await, [late, "BBBB: 4000 Wh"], "{id}");
    }
}

#[tokio::test]
async fn a_stop_without_an_id_ends_no_session_that_it_does_not_fit() {
    let site = ScriptedSite::open().await;
    site.at(70 * MIN);
    // The session's messages carry its own id, so a stop without one is another's, whatever its register.
    for (id, register) in [("OWN-ID", 6000), ("OWN-ID-FAR", 151_000)] {
        let mut station = site.station(id, V16).await;
        station.status(0, 2, "Available").await;
        let tx = station.start(0, 1, "04-AAAA", 1000).await;
        station.register(30 * MIN, 1, Some(tx), 3000).await;
        station.stop(60 * MIN, -1, "", register).await;
        assert_eq!(site.bills(id).await, ["AAAA: open", "-: held start-missing"], "{id}");
        station.stop(65 * MIN, tx, "04-AAAA", 6000).await;
        assert_eq!(site.bills(id).await, ["AAAA: 5000 Wh", "-: held start-missing"], "{id}");
    }
    // Nothing carries an id; what cannot have flowed in that time, another tag, or a lower register is another's.
    for (id, tag, register) in [("FAR", "", 151_000), ("TAG", "04-BBBB", 6000), ("LOWER", "", 900)] {
        let mut station = site.station(id, V16).await;
        station.start(0, 1, "04-AAAA", 1000).await;
        station.stop(60 * MIN, -1, tag, register).await;
        let bills = site.bills(id).await;
        assert_eq!((&*bills[0], bills.len()), ("AAAA: open", 2), "{id}");
        assert!(bills[1].ends_with(": held start-missing"), "{bills:?}");
    }
    let mut station = site.station("FITS", V16).await;
    station.start(0, 1, "04-AAAA", 1000).await;
    station.stop(60 * MIN, -1, "", 6000).await;
    assert_eq!(site.bills("FITS").await, ["AAAA: 5000 Wh"]);
}

#[tokio::test]
async fn a_foreign_id_that_comes_twice_bills_each_driver_his_own() {
    let site = ScriptedSite::open().await;
    site.at(200 * MIN);
    let mut station = site.station("STARTED", V16).await;
    let mut orphaned = site.station("ORPHANED", V16).await;
    station.start(0, 1, "04-AAAA", 1000).await;
    for station in [&mut station, &mut orphaned] {
        station.stop(30 * MIN, FOREIGN, "04-AAAA", 3000).await;
        station.start(40 * MIN, 1, "04-BBBB", 3000).await;
        station.register(50 * MIN, 1, Some(FOREIGN), 3500).await;
        station.stop(70 * MIN, FOREIGN, "04-BBBB", 5000).await;
    }
    assert_eq!(site.bills("STARTED").await, ["AAAA: 2000 Wh", "BBBB: 2000 Wh"]);
    assert_eq!(site.bills("ORPHANED").await, ["AAAA: held start-missing", "BBBB: 2000 Wh"]);
    // Stops without a tag.
    let mut untagged = site.station("UNTAGGED", V16).await;
    untagged.stop(30 * MIN, FOREIGN, "", 3000).await;
    untagged.start(40 * MIN, 1, "04-BBBB", 3000).await;
    untagged.register(50 * MIN, 1, Some(FOREIGN), 3500).await;
    untagged.stop(70 * MIN, FOREIGN, "", 5000).await;
    assert_eq!(site.bills("UNTAGGED").await, ["-: held start-missing", "BBBB: 2000 Wh"]);
}

#[tokio::test]
async fn a_late_queue_takes_no_status_from_the_running_session() {
    let site = ScriptedSite::open().await;
    let mut station = site.station("CP-1", V16).await;
    let running = station.start(0, 1, "04-BBBB", 9000).await;
    station.status(0, 1, "Charging").await;
    site.at(5 * MIN);
    station.status(5 * MIN, 1, "SuspendedEV").await;
    site.at(10 * MIN);
    let yesterday = station.start(-24 * HOUR, 1, "04-AAAA", 5000).await;
    station.stop(-23 * HOUR, yesterday, "04-AAAA", 8000).await;
    site.at(15 * MIN);
    station.status(15 * MIN, 1, "Charging").await;
    site.at(60 * MIN);
    station.stop(60 * MIN, running, "04-BBBB", 14_000).await;
    assert_eq!(site.bills("CP-1").await, ["BBBB: 5000 Wh, parked 0.167 h", "AAAA: 3000 Wh"]);
}

#[tokio::test]
async fn an_old_known_id_takes_nothing_from_the_running_session() {
    let site = ScriptedSite::open().await;
    site.at(100 * MIN);
    let mut station = site.station("CP-1", V16).await;
    let old = station.start(0, 1, "04-AAAA", 1000).await;
    station.stop(30 * MIN, old, "04-AAAA", 3000).await;
    station.start(40 * MIN, 1, "04-BBBB", 3000).await;
    station.register(50 * MIN, 1, Some(old), 3500).await;
    station.register(60 * MIN, 1, Some(old), 4500).await;
    station.stop(70 * MIN, old, "04-BBBB", 5000).await;
    assert_eq!(site.bills("CP-1").await, ["AAAA: 2000 Wh", "BBBB: 2000 Wh"]);
    let samples = "SELECT count(*) FROM v_meter_value v JOIN v_session s USING (session_id) WHERE s.token LIKE '%BBBB'";
    assert_eq!(site.inner.count(samples, &[]), 2);

    // Also while the older one is open, because its own stop was lost.
    let mut station = site.station("CP-2", V16).await;
    let old = station.start(0, 1, "04-AAAA", 1000).await;
    station.start(40 * MIN, 1, "04-BBBB", 3000).await;
    station.stop(70 * MIN, old, "04-BBBB", 5000).await;
    assert_eq!(site.bills("CP-2").await, ["AAAA: held stop-missing", "BBBB: 2000 Wh"]);
}

/// The start at connector 2 got lost, its status did not: a stop that names nobody may be that session's.
#[tokio::test]
async fn a_stop_without_an_id_may_mean_a_session_whose_start_was_lost() {
    for restart in [false, true] {
        let mut site = ScriptedSite::open().await;
        site.at(300 * MIN);
        let mut station = site.station("CP-1", V16).await;
        station.start(0, 1, "04-AAAA", 0).await;
        station.status(1, 1, "Charging").await;
        station.status(20 * MIN, 2, "Preparing").await;
        station.status(21 * MIN, 2, "Charging").await;
        if restart {
            site.inner.kill9();
            site.inner.start().await;
            station = site.station("CP-1", V16).await;
        }
        station.stop(60 * MIN, -1, "", 4000).await;
        station.status(60 * MIN + 1, 2, "Finishing").await;
        // The other one's, in the same way, now that nobody else is meant.
        station.stop(90 * MIN, -1, "", 9000).await;
        assert_eq!(site.bills("CP-1").await, ["AAAA: 9000 Wh", "-: held start-missing"], "restart: {restart}");
    }
}

/// The end of one transaction and the start of the next got lost, and the station goes on under the old id.
#[tokio::test]
async fn two_vehicles_under_one_id_are_not_billed_to_the_first() {
    let site = ScriptedSite::open().await;
    site.at(400 * MIN);
    let mut station = site.station("CP-1", V16).await;
    let tx = station.start(0, 1, "04-AAAA", 1000).await;
    station.status(1, 1, "Charging").await;
    station.register(30 * MIN, 1, Some(tx), 4000).await;
    station.status(60 * MIN, 1, "Available").await;
    station.status(70 * MIN, 1, "Preparing").await;
    station.status(71 * MIN, 1, "Charging").await;
    station.register(90 * MIN, 1, Some(tx), 6000).await;
    station.stop(120 * MIN, tx, "", 9000).await;
    assert_eq!(site.bills("CP-1").await, ["AAAA: held events-mixed"]);

    for (id, version) in [("CP-2", V201), ("CP-3", V21)] {
        let mut station = site.station(id, version).await;
        let stamps = [station.stamp(60 * MIN), station.stamp(70 * MIN)];
        let state =
            |connector: &str, at: &str| json!({"timestamp": at, "connectorStatus": connector, "evseId": 1, "connectorId": 1});
        station.event(0, ("Started", "t", 0), Some(1000), json!({"state": "Charging", "tag": "04-AAAA"})).await;
        station.call("StatusNotification", state("Available", &stamps[0])).await;
        station.call("StatusNotification", state("Occupied", &stamps[1])).await;
        station.event(71 * MIN, ("Updated", "t", 1), None, json!({"state": "SuspendedEV"})).await;
        station.event(120 * MIN, ("Ended", "t", 2), Some(9000), json!({})).await;
        assert_eq!(site.bills(id).await, ["AAAA: held events-mixed"]);
    }

    // The stop of a vehicle that left came late: nothing is mixed.
    let mut station = site.station("CP-4", V16).await;
    let tx = station.start(0, 1, "04-AAAA", 1000).await;
    station.status(1, 1, "Charging").await;
    station.status(60 * MIN, 1, "Available").await;
    station.status(70 * MIN, 1, "Preparing").await;
    station.stop(60 * MIN, tx, "04-AAAA", 4000).await;
    assert_eq!(site.bills("CP-4").await, ["AAAA: 3000 Wh"]);
}

/// An old session that got the stop of a later one: it would bill what the meter counted before the later one began.
#[tokio::test]
async fn a_bill_that_runs_into_a_later_session_of_the_connector_is_held() {
    let site = ScriptedSite::open().await;
    site.at(1000 * MIN);
    let mut station = site.station("CP-1", V16).await;
    station.start(600 * MIN, 1, "04-AAAA", 20_000).await;
    let old = station.start(0, 1, "04-AAAA", 1000).await;
    station.register(60 * MIN, 1, Some(old), 5000).await;
    station.boot_16().await;
    station.stop_for(700 * MIN, old, "", 26_000, "PowerLoss").await;
    assert_eq!(site.bills("CP-1").await, ["AAAA: open", "AAAA: held overlap"]);
}
