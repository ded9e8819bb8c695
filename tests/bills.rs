//! Stations that say what is not so: what is billed is what the measurements prove, or the session is held with a reason. The real
//! binary, real WebSockets, the real store, under a clock that the script moves on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use serde_json::json;
use support::charging::{HOUR, INTERVAL, MIN, ScriptedSite};

const V16: &str = "ocpp1.6";
const V201: &str = "ocpp2.0.1";
const V21: &str = "ocpp2.1";

/// SuspendedEV for a quarter of an hour, then Charging, which got lost (1.6 StatusNotification is not queued offline).
#[tokio::test]
async fn a_lost_charging_status_sells_no_parking_while_energy_flows() {
    let site = ScriptedSite::open().await;
    let mut station = site.station("CP-1", V16).await;
    let tx = station.start(0, 1, "04-AAAA", 1000).await;
    station.status(5, 1, "Charging").await;
    let mut register = 1000;
    for quarter in 1..=31 {
        let at = quarter * 15 * MIN;
        site.at(at);
        // 7 kW, but not in the second quarter.
        register += if quarter == 2 { 0 } else { 1750 };
        station.register(at, 1, Some(tx), register).await;
        if quarter == 1 {
            station.status(at, 1, "SuspendedEV").await;
        }
    }
    station.stop(31 * 15 * MIN, tx, "04-AAAA", register).await;
    let sessions = site.sessions("CP-1").await;
    assert_eq!(sessions[0].text, "AAAA: 52500 Wh, parked 0.25 h");
    assert!(sessions[0].findings.contains("charging-unreported"), "{}", sessions[0].findings);
}

/// The same for a station that measures power and no register on the way: in which half hour nothing flowed is known from its power
/// alone, and that is not enough to sell it as parking.
#[tokio::test]
async fn a_lost_charging_status_sells_no_parking_while_power_is_measured() {
    let site = ScriptedSite::open().await;
    site.at(500 * MIN);
    let mut station = site.station("CP-1", V16).await;
    let tx = station.start(0, 1, "04-AAAA", 1000).await;
    station.status(0, 1, "Charging").await;
    station.status(15 * MIN, 1, "SuspendedEV").await;
    for quarter in 1..=31 {
        let watts = if matches!(quarter, 2 | 3) { 0 } else { 7000 };
        station.value(quarter * 15 * MIN, 1, Some(tx), "Power.Active.Import", watts).await;
    }
    station.stop(31 * 15 * MIN, tx, "04-AAAA", 53_500).await;
    assert_eq!(site.bills("CP-1").await, ["AAAA: 52500 Wh"]);
}

#[tokio::test]
async fn lost_updates_of_2x_sell_no_parking_while_energy_flows() {
    let site = ScriptedSite::open().await;
    // A queue: sent at once, each message with its own time.
    site.at(31 * 15 * MIN);
    for (id, version) in [("CP-1", V201), ("CP-2", V21)] {
        let mut station = site.station(id, version).await;
        station.event(0, ("Started", "t", 0), Some(1000), json!({"state": "Charging", "tag": "04-AAAA"})).await;
        station.event(15 * MIN, ("Updated", "t", 1), Some(2750), json!({"state": "SuspendedEV"})).await;
        station.event(30 * MIN, ("Updated", "t", 2), Some(2750), json!({})).await;
        // 3 said that the vehicle charges again.
        for seq in 4..=30 {
            station.event(seq * 15 * MIN, ("Updated", "t", seq), Some(2750 + (seq - 2) * 1750), json!({})).await;
        }
        station.event(31 * 15 * MIN, ("Ended", "t", 31), Some(53_500), json!({"tag": "04-AAAA"})).await;
    }
    site.at(31 * 15 * MIN + 11 * MIN);
    for id in ["CP-1", "CP-2"] {
        let sessions = site.sessions(id).await;
        assert_eq!(sessions[0].text, "AAAA: 52500 Wh, parked 0.25 h");
        assert!(sessions[0].findings.contains("events-missing"), "{}", sessions[0].findings);
    }
}

/// An hour of charging, a quarter full, 9.5 h of a dead station, a quarter full.
#[tokio::test]
async fn time_in_which_the_station_could_not_deliver_is_not_sold() {
    let site = ScriptedSite::open().await;
    for state in ["Faulted", "Unavailable", "Reserved"] {
        let (full, charging) = (format!("FULL-{state}"), format!("CHARGING-{state}"));
        let (mut one, mut two) = (site.station(&full, V16).await, site.station(&charging, V16).await);
        site.at(660 * MIN);
        let tx = one.start(0, 1, "04-AAAA", 1000).await;
        one.status(5, 1, "Charging").await;
        one.register(60 * MIN, 1, Some(tx), 8000).await;
        one.status(60 * MIN, 1, "SuspendedEV").await;
        one.status(75 * MIN, 1, state).await;
        one.status(645 * MIN, 1, "SuspendedEV").await;
        one.stop(660 * MIN, tx, "04-AAAA", 8000).await;
        // While it charges the same: the second hour is not sold as charging. Here connector 0 reports it.
        let tx = two.start(0, 1, "04-BBBB", 1000).await;
        two.status(5, 1, "Charging").await;
        two.register(60 * MIN, 1, Some(tx), 8000).await;
        two.status(60 * MIN, 0, state).await;
        two.stop(120 * MIN, tx, "04-BBBB", 8000).await;
    }
    for state in ["Faulted", "Unavailable", "Reserved"] {
        let full = site.sessions(&format!("FULL-{state}")).await.remove(0);
        assert_eq!((&*full.text, &*full.charging_h), ("AAAA: 7000 Wh, parked 0.5 h", "1"), "{state}");
        let charging = site.sessions(&format!("CHARGING-{state}")).await.remove(0);
        assert_eq!((&*charging.text, &*charging.charging_h), ("BBBB: 7000 Wh", "1"), "{state}");
        for session in [full, charging] {
            assert!(session.findings.contains("out-of-service"), "{state}: {}", session.findings);
        }
    }
}

#[tokio::test]
async fn time_in_which_a_2x_station_could_not_deliver_is_not_sold() {
    let site = ScriptedSite::open().await;
    site.at(700 * MIN);
    for (id, version) in [("CP-1", V201), ("CP-2", V21)] {
        let mut station = site.station(id, version).await;
        station.event(0, ("Started", "t", 0), Some(1000), json!({"tag": "04-AAAA", "state": "Charging"})).await;
        station.event(60 * MIN, ("Updated", "t", 1), Some(8000), json!({"state": "SuspendedEV"})).await;
        for (at, state) in [(75, "Faulted"), (645, "Occupied")] {
            let at = station.stamp(at * MIN);
            let status = json!({"evseId": 1, "connectorId": 1, "connectorStatus": state, "timestamp": at});
            station.call("StatusNotification", status).await;
        }
        station.event(645 * MIN, ("Updated", "t", 2), Some(8000), json!({"state": "SuspendedEV"})).await;
        station.event(660 * MIN, ("Ended", "t", 3), Some(8000), json!({"tag": "04-AAAA"})).await;
        assert_eq!(site.bills(id).await, ["AAAA: 7000 Wh, parked 0.5 h"], "{id}");
    }
}

#[tokio::test]
async fn a_start_register_of_zero_that_the_samples_disprove_is_not_billed_from() {
    let site = ScriptedSite::open().await;
    site.at(70 * MIN);
    let mut old = site.station("CP-16", V16).await;
    let mut new = site.station("CP-201", V201).await;
    let tx = old.start(0, 1, "04-AAAA", 0).await;
    new.event(0, ("Started", "t", 0), Some(0), json!({"tag": "04-AAAA", "state": "Charging"})).await;
    for minute in (5..60).step_by(5) {
        // 7.5 kW; the register was 939,000 Wh at the start.
        let register = 939_000 + minute * 125;
        old.register(minute * MIN, 1, Some(tx), register).await;
        new.event(minute * MIN, ("Updated", "t", minute / 5), Some(register), json!({})).await;
    }
    old.stop(60 * MIN, tx, "04-AAAA", 946_500).await;
    new.event(60 * MIN, ("Ended", "t", 12), Some(946_500), json!({})).await;
    for id in ["CP-16", "CP-201"] {
        let sessions = site.sessions(id).await;
        assert_eq!(sessions[0].text, "AAAA: 6875 Wh", "from the first sample on");
        assert!(sessions[0].findings.contains("start-register-disproved"), "{}", sessions[0].findings);
    }
}

#[tokio::test]
async fn what_is_said_after_the_bill_does_not_change_what_was_billed() {
    let site = ScriptedSite::open().await;
    site.at(70 * MIN);
    let mut station = site.station("CP-1", V16).await;
    let tx = station.start(0, 1, "04-AAAA", 0).await;
    for minute in (5..60).step_by(5) {
        station.register(minute * MIN, 1, Some(tx), 939_000 + minute * 125).await;
    }
    station.stop(60 * MIN, tx, "04-AAAA", 946_500).await;
    assert_eq!(site.bills("CP-1").await, ["AAAA: 6875 Wh"]);
    let row =
        || site.inner.query("SELECT started_at, stopped_at, start_register_wh, stop_register_wh, energy_wh FROM v_session", &[]);
    let billed = row();
    assert_eq!(billed[0][2].as_deref(), Some("939625"), "{billed:?}");
    // The same stop again, and another one.
    station.stop(60 * MIN, tx, "04-AAAA", 946_500).await;
    station.stop(65 * MIN, tx, "04-AAAA", 999_000).await;
    assert_eq!(row(), billed);
}

#[tokio::test]
async fn an_end_23_hours_ahead_is_the_time_of_its_receipt() {
    let site = ScriptedSite::open().await;
    let mut station = site.station("CP-1", V201).await;
    station.event(0, ("Started", "t", 0), Some(1000), json!({"tag": "04-AAAA", "state": "Charging"})).await;
    for minute in [5, 10, 15, 20] {
        site.at(minute * MIN);
        let state = if minute == 20 { "SuspendedEV" } else { "Charging" };
        station.event(minute * MIN, ("Updated", "t", minute / 5), Some(1000 + minute * 100), json!({"state": state})).await;
    }
    site.at(31 * MIN + 30);
    station.event(23 * HOUR, ("Ended", "t", 5), Some(3000), json!({})).await;
    let sessions = site.sessions("CP-1").await;
    assert_eq!(sessions[0].text, "AAAA: 2000 Wh, parked 0.2 h", "twelve begun minutes");
    assert!(sessions[0].findings.contains("clock-corrected"), "{}", sessions[0].findings);
}

#[tokio::test]
async fn an_end_that_is_ahead_after_a_long_silence_is_held() {
    let site = ScriptedSite::open().await;
    let mut station = site.station("CP-1", V16).await;
    let tx = station.start(0, 1, "04-AAAA", 1000).await;
    site.at(60 * MIN);
    station.stop(23 * HOUR, tx, "04-AAAA", 3000).await;
    assert_eq!(site.bills("CP-1").await, ["AAAA: held time-doubtful"]);
}

#[tokio::test]
async fn a_clock_twelve_hours_off_throughout_is_corrected() {
    let site = ScriptedSite::open().await;
    let (mut behind, mut ahead) = (site.station("BEHIND", V16).await, site.station("AHEAD", V16).await);
    for (station, off) in [(&mut behind, -12 * HOUR), (&mut ahead, 12 * HOUR)] {
        station.status(off, 1, "Available").await;
    }
    site.at(2 * MIN);
    for (station, off) in [(&mut behind, -12 * HOUR), (&mut ahead, 12 * HOUR)] {
        station.status(off + 2 * MIN, 1, "Preparing").await;
    }
    site.at(3 * MIN);
    let mut running = Vec::new();
    for (station, off) in [(&mut behind, -12 * HOUR), (&mut ahead, 12 * HOUR)] {
        running.push(station.start(off + 3 * MIN, 1, "04-AAAA", 1000).await);
    }
    for minute in [10, 20, 30] {
        site.at(minute * MIN);
        for ((station, off), tx) in [(&mut behind, -12 * HOUR), (&mut ahead, 12 * HOUR)].into_iter().zip(&running) {
            station.register(off + minute * MIN, 1, Some(*tx), 1000 + minute * 100).await;
        }
    }
    site.at(40 * MIN);
    for ((station, off), tx) in [(&mut behind, -12 * HOUR), (&mut ahead, 12 * HOUR)].into_iter().zip(&running) {
        station.stop(off + 40 * MIN, *tx, "04-AAAA", 5000).await;
    }
    for id in ["BEHIND", "AHEAD"] {
        let session = site.sessions(id).await.remove(0);
        assert_eq!(session.text, "AAAA: 4000 Wh", "{id}");
        let (start, end) = session.span.unwrap();
        assert!((3 * MIN..3 * MIN + 10).contains(&start) && (40 * MIN..40 * MIN + 10).contains(&end), "{id}: {start} {end}");
        assert!(session.findings.contains("clock-corrected"), "{id}: {}", session.findings);
    }
}

#[tokio::test]
async fn a_clock_set_by_twelve_hours_in_mid_session_is_followed() {
    let site = ScriptedSite::open().await;
    for (place, jump) in [-12 * HOUR, 12 * HOUR].into_iter().enumerate() {
        let from = i64::try_from(place).unwrap() * HOUR;
        let id = format!("CP-{place}");
        let mut station = site.station(&id, V16).await;
        site.at(from);
        let tx = station.start(from, 1, "04-AAAA", 1000).await;
        for minute in [5, 10, 15, 20, 25] {
            let now = from + minute * MIN;
            site.at(now);
            let said = if minute > 12 { now + jump } else { now };
            station.register(said, 1, Some(tx), 1000 + minute * 100).await;
        }
        site.at(from + 30 * MIN);
        station.stop(from + 30 * MIN + jump, tx, "04-AAAA", 4000).await;
        let session = site.sessions(&id).await.remove(0);
        assert_eq!(session.text, "AAAA: 3000 Wh", "{jump}");
        let (start, end) = session.span.unwrap();
        assert!((from..from + 10).contains(&start) && (from + 30 * MIN..from + 30 * MIN + 10).contains(&end), "{start} {end}");
        assert!(session.findings.contains("clock-corrected"), "{}", session.findings);
    }
}

#[tokio::test]
async fn missing_events_are_found_unless_they_come_in_time() {
    let site = ScriptedSite::open().await;
    site.at(60 * MIN);
    for id in ["LOST", "LATE"] {
        let mut station = site.station(id, V201).await;
        station.event(0, ("Started", "t", 0), Some(1000), json!({"tag": "04-AAAA", "state": "Charging"})).await;
        station.event(20 * MIN, ("Updated", "t", 2), Some(2000), json!({})).await;
        station.event(50 * MIN, ("Ended", "t", 3), Some(3000), json!({})).await;
        if id == "LATE" {
            station.event(10 * MIN, ("Updated", "t", 1), Some(1500), json!({})).await;
        }
    }
    let late = "SELECT state FROM v_session WHERE station = ?1";
    assert_eq!(site.inner.value(late, &[&"LOST"]).as_deref(), Some("waiting"));
    site.at(71 * MIN);
    for (id, is_missing) in [("LOST", true), ("LATE", false)] {
        let session = site.sessions(id).await.remove(0);
        assert_eq!((&*session.text, session.findings.contains("events-missing")), ("AAAA: 2000 Wh", is_missing), "{id}");
    }
}

/// Power gone at 109 minutes, back at 150; the station stamps the stop when it is back.
#[tokio::test]
async fn the_dark_time_of_a_power_cut_is_not_sold() {
    let site = ScriptedSite::open().await;
    let (mut old, mut new) = (site.station("CP-16", V16).await, site.station("CP-201", V201).await);
    let tx = old.start(0, 1, "04-AAAA", 1000).await;
    new.event(0, ("Started", "t", 0), Some(1000), json!({"tag": "04-AAAA", "state": "Charging"})).await;
    old.status(0, 1, "Charging").await;
    for quarter in 1..=7 {
        // The last sign of life is at 104.5 minutes, 44.5 after the vehicle was full: 45 begun minutes.
        let at = quarter * 15 * MIN - if quarter == 7 { 30 } else { 0 };
        site.at(at);
        let register = 1000 + quarter.min(4) * 1750;
        old.register(at, 1, Some(tx), register).await;
        let state = if quarter < 4 { "Charging" } else { "SuspendedEV" };
        new.event(at, ("Updated", "t", quarter), Some(register), json!({"state": state})).await;
        if quarter == 4 {
            old.status(at, 1, "SuspendedEV").await;
        }
    }
    drop((old, new));
    site.at(150 * MIN);
    let (mut old, mut new) = (site.station("CP-16", V16).await, site.station("CP-201", V201).await);
    old.boot_16().await;
    new.boot_2().await;
    site.at(155 * MIN);
    old.stop_for(155 * MIN, tx, "", 8000, "PowerLoss").await;
    new.event(155 * MIN, ("Ended", "t", 8), Some(8000), json!({"reason": "PowerLoss", "triggerReason": "AbnormalCondition"}))
        .await;
    for id in ["CP-16", "CP-201"] {
        let session = site.sessions(id).await.remove(0);
        assert_eq!(session.text, "AAAA: 7000 Wh, parked 0.75 h", "{id}");
        let (_, end) = session.span.unwrap();
        assert!((104 * MIN..105 * MIN).contains(&end), "{id}: {end}");
        assert!(session.findings.contains("ended-by-reboot"), "{id}: {}", session.findings);
    }
}

#[tokio::test]
async fn dark_time_in_mid_session_is_not_parking_and_a_reason_shows_a_lost_boot() {
    let site = ScriptedSite::open().await;
    let mut station = site.station("CP-1", V16).await;
    let tx = station.start(0, 1, "04-AAAA", 1000).await;
    station.status(0, 1, "Charging").await;
    site.at(60 * MIN);
    station.register(60 * MIN, 1, Some(tx), 8000).await;
    station.status(60 * MIN + 30, 1, "SuspendedEV").await;
    site.at(105 * MIN);
    station.register(105 * MIN, 1, Some(tx), 8000).await;
    // Power gone; the session goes on after it.
    site.at(150 * MIN);
    station.boot_16().await;
    site.at(165 * MIN);
    station.register(165 * MIN, 1, Some(tx), 8000).await;
    site.at(180 * MIN);
    station.stop(180 * MIN, tx, "04-AAAA", 8000).await;
    // The next one: the BootNotification got lost.
    site.at(200 * MIN);
    let tx = station.start(200 * MIN, 1, "04-BBBB", 8000).await;
    station.status(200 * MIN, 1, "Charging").await;
    site.at(230 * MIN);
    station.register(230 * MIN, 1, Some(tx), 11_000).await;
    station.status(230 * MIN, 1, "SuspendedEV").await;
    site.at(600 * MIN);
    station.stop_for(600 * MIN, tx, "", 11_000, "PowerLoss").await;
    // 44.5 and 30 minutes.
    assert_eq!(site.bills("CP-1").await, ["AAAA: 7000 Wh, parked 1.25 h", "BBBB: 3000 Wh"]);
}

#[tokio::test]
async fn exchanged_registers_of_two_connectors_are_disproved() {
    let site = ScriptedSite::open().await;
    site.at(100 * MIN);
    // Samples until shortly before the stop, or until long before it.
    for (id, last) in [("SHORTLY", 55), ("LONG", 20)] {
        let mut station = site.station(id, V16).await;
        let one = station.start(0, 1, "04-AAAA", 1000).await;
        let two = station.start(0, 2, "04-BBBB", 1_270_000).await;
        for minute in (5..=last).step_by(5) {
            station.register(minute * MIN, 1, Some(one), 1000 + minute * 100).await;
            station.register(minute * MIN, 2, Some(two), 1_270_000 + minute * 100).await;
        }
        station.stop(60 * MIN, one, "04-AAAA", 1_276_000).await;
        station.stop(60 * MIN, two, "04-BBBB", 7000).await;
        let proven = if last == 55 { "AAAA: 5500 Wh" } else { "AAAA: held register-disproved" };
        assert_eq!(site.bills(id).await, [proven, "BBBB: held register-decreased"], "{id}");
    }
    // Without samples: 1,275 kWh in an hour are more than an unknown station is taken to deliver.
    let mut station = site.station("NONE", V16).await;
    let one = station.start(0, 1, "04-AAAA", 1000).await;
    let two = station.start(0, 2, "04-BBBB", 1_270_000).await;
    station.stop(60 * MIN, one, "04-AAAA", 1_276_000).await;
    station.stop(60 * MIN, two, "04-BBBB", 7000).await;
    assert_eq!(site.bills("NONE").await, ["AAAA: held implausible-power", "BBBB: held register-decreased"]);
}

#[tokio::test]
async fn a_start_register_in_kwh_is_disproved() {
    let site = ScriptedSite::open().await;
    site.at(100 * MIN);
    for (id, first) in [("SHORTLY", 5), ("LONG", 40)] {
        let mut station = site.station(id, V16).await;
        let tx = station.start(0, 1, "04-AAAA", 2222).await;
        for minute in (first..60).step_by(5) {
            station.register(minute * MIN, 1, Some(tx), 2_222_000 + minute * 100).await;
        }
        station.stop(60 * MIN, tx, "04-AAAA", 2_228_000).await;
        let proven = if first == 5 { "AAAA: 5500 Wh" } else { "AAAA: held register-disproved" };
        assert_eq!(site.bills(id).await, [proven], "{id}");
    }
}

#[tokio::test]
async fn energies_of_intervals_show_when_it_flowed_and_stand_in_for_a_register() {
    let site = ScriptedSite::open().await;
    site.at(100 * MIN);
    let mut station = site.station("REGISTER", V16).await;
    let tx = station.start(0, 1, "04-AAAA", 1000).await;
    station.status(0, 1, "Charging").await;
    for quarter in 1..=4 {
        let at = quarter * 15 * MIN;
        station.value(at, 1, Some(tx), INTERVAL, if quarter == 2 { 0 } else { 1750 }).await;
        if quarter == 1 {
            // The Charging after it got lost.
            station.status(at, 1, "SuspendedEV").await;
        }
    }
    station.stop(60 * MIN, tx, "04-AAAA", 6250).await;
    assert_eq!(site.bills("REGISTER").await, ["AAAA: 5250 Wh, parked 0.25 h"]);

    // No register at all.
    let mut station = site.station("NONE", V16).await;
    let start = json!({"connectorId": 1, "idTag": "04-AAAA", "timestamp": station.stamp(0)});
    let tx = station.call("StartTransaction", start).await["transactionId"].as_i64().unwrap();
    for quarter in 1..=4 {
        station.value(quarter * 15 * MIN, 1, Some(tx), INTERVAL, 1750).await;
    }
    let stop = json!({"transactionId": tx, "idTag": "04-AAAA", "timestamp": station.stamp(60 * MIN)});
    station.call("StopTransaction", stop).await;
    let session = site.sessions("NONE").await.remove(0);
    assert_eq!(session.text, "AAAA: 7000 Wh");
    assert!(session.findings.contains("register-from-intervals"), "{}", session.findings);
}

#[tokio::test]
async fn samples_sent_again_under_a_new_message_id_are_kept_once() {
    let site = ScriptedSite::open().await;
    site.at(100 * MIN);
    let mut station = site.station("CP-1", V16).await;
    let tx = station.start(0, 1, "04-AAAA", 1000).await;
    for _ in 0..3 {
        station.register(10 * MIN, 1, Some(tx), 2000).await;
    }
    station.register(20 * MIN, 1, Some(tx), 2500).await;
    station.stop(30 * MIN, tx, "04-AAAA", 3000).await;
    assert_eq!(site.bills("CP-1").await, ["AAAA: 2000 Wh"]);
    let values = site.inner.query("SELECT value FROM v_meter_value WHERE session_id IS NOT NULL ORDER BY measured_at", &[]);
    assert_eq!(values, ["2000", "2500"].map(|value| [Some(value.to_owned())]));
    let repeats = "SELECT count(*) FROM v_message WHERE findings LIKE '%duplicate-samples%'";
    assert_eq!(site.inner.count(repeats, &[]), 2);
}

/// SuspendedEV was reported, then energy flowed, then it stood: whether the vehicle or the station paused, nobody said.
#[tokio::test]
async fn a_state_that_energy_disproved_does_not_hold_again() {
    let site = ScriptedSite::open().await;
    site.at(500 * MIN);
    let mut station = site.station("CP-1", V16).await;
    let tx = station.start(0, 1, "04-AAAA", 1000).await;
    station.status(1, 1, "Charging").await;
    station.register(30 * MIN, 1, Some(tx), 4003).await;
    station.status(30 * MIN, 1, "SuspendedEV").await;
    for (minute, register) in [(45, 4003), (60, 4003), (75, 5501), (90, 7000), (120, 7000), (240, 7000)] {
        station.register(minute * MIN, 1, Some(tx), register).await;
    }
    station.stop(300 * MIN, tx, "04-AAAA", 7000).await;
    assert_eq!(site.bills("CP-1").await, ["AAAA: 6000 Wh, parked 0.5 h"]);
}

/// What a queue says without a time, nobody can date.
#[tokio::test]
async fn an_end_without_a_time_from_a_queue_is_held() {
    let site = ScriptedSite::open().await;
    let mut station = site.station("CP-1", V16).await;
    let tx = station.start(0, 1, "04-AAAA", 1000).await;
    site.at(600 * MIN);
    station.register(60 * MIN, 1, Some(tx), 4000).await;
    let stop = json!({"transactionId": tx, "idTag": "04-AAAA", "meterStop": 6000, "timestamp": ""});
    station.call("StopTransaction", stop).await;
    assert_eq!(site.bills("CP-1").await, ["AAAA: held time-doubtful"]);
}
