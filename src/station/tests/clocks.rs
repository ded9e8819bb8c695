//! Clocks that are wrong: the station's, and our own.

use super::*;
use ChargingState::{Charging, EvConnected, OutOfService, SuspendedEv};

const HOUR: i64 = 3600;
const IN_1970: i64 = -1_795_262_400;

/// Registers of the curve rounded, with its findings: `0:1000 1200:3000 clock-corrected`.
fn told(site: &mut Site) -> String {
    match site.meter(1) {
        Ok(curve) => {
            let points: Vec<String> = registers(&curve).into_iter().map(|(at, register)| format!("{at}:{register}")).collect();
            format!("{} {}", points.join(" "), codes(&curve.findings).join(" ")).trim().to_owned()
        }
        Err(code) => format!("held {code}"),
    }
}

/// A 1.6 session of 40 minutes, from 120 s on: a status a minute before, a sample every ten minutes. The station's clock is off by
/// `off` seconds, as a function of the true time.
fn session(site: &mut Site, off: impl Fn(i64) -> i64) {
    for at in [0, 60] {
        site.say(at, Fact::Status(status(1, "Preparing", Some(EvConnected), at + off(at))));
    }
    site.tx(120, start(1, "TAG", 120 + off(120), "1000"));
    for minutes in [10, 20, 30] {
        let at = 120 + minutes * 60;
        site.tx(at, values(1, Some("1001"), at + off(at), &(1000 + minutes * 100).to_string()));
    }
    site.tx(2520, stop(Some("1001"), 2520 + off(2520), "5000"));
}

const WHOLE: &str = "120:1000 720:2000 1320:3000 1920:4000 2520:5000";

#[test]
fn a_constant_offset_is_corrected_everywhere() {
    for off in [0, 12 * HOUR, -12 * HOUR, 25 * HOUR, -90 * 24 * HOUR, IN_1970] {
        let mut site = Site::new(Version::V16);
        session(&mut site, |_| off);
        let expected = if off == 0 { WHOLE.to_owned() } else { format!("{WHOLE} clock-corrected") };
        assert_eq!(told(&mut site), expected, "{off}");
        // Also for a daemon that started anew meanwhile.
        let mut site = Site { entries: site.entries.clone(), sessions: site.sessions.clone(), ..Site::new(Version::V16) };
        site.restart();
        assert_eq!(told(&mut site), expected, "{off}");
    }
}

#[test]
fn a_clock_set_in_mid_session_is_followed() {
    for jump in [12 * HOUR, -12 * HOUR, -HOUR] {
        let mut site = Site::new(Version::V16);
        session(&mut site, |at| if at > 900 { jump } else { 0 });
        assert_eq!(told(&mut site), format!("{WHOLE} clock-corrected"), "{jump}");
        // Set right, and said wrong before.
        let mut site = Site::new(Version::V16);
        session(&mut site, |at| if at > 900 { 0 } else { jump });
        assert_eq!(told(&mut site), format!("{WHOLE} clock-corrected clock-stepped"), "{jump}");
    }
}

#[test]
fn a_queue_is_no_clock_that_is_off() {
    let mut site = Site::new(Version::V16);
    let sent = 12 * HOUR;
    site.tx(sent, start(1, "TAG", 0, "1000"));
    for minutes in [10, 20, 30] {
        site.tx(sent + 1, values(1, Some("1001"), minutes * 60, &(1000 + minutes * 100).to_string()));
    }
    site.tx(sent + 2, stop(Some("1001"), 2400, "5000"));
    assert_eq!(told(&mut site), "0:1000 600:2000 1200:3000 1800:4000 2400:5000");
}

#[test]
fn an_end_ahead_is_its_receipt_while_the_station_is_heard() {
    for (silence, expected) in [
        (60, "0:1000 1200:2500 1260:3000 clock-corrected"),
        (14 * 60, "0:1000 1200:2500 2040:3000 clock-corrected"),
        (HOUR, "held time-doubtful"),
    ] {
        let mut site = Site::new(Version::V16);
        site.tx(0, start(1, "TAG", 0, "1000"));
        site.tx(1200, values(1, Some("1001"), 1200, "2500"));
        site.tx(1200 + silence, stop(Some("1001"), 23 * HOUR, "3000"));
        assert_eq!(told(&mut site), expected, "{silence}");
    }
}

#[test]
fn an_end_set_back_before_what_came_live_is_its_receipt_or_held() {
    for (silence, expected) in [(60, "0:1000 1200:2500 1260:3000 clock-corrected"), (HOUR, "held time-doubtful")] {
        let mut site = Site::new(Version::V16);
        site.tx(0, start(1, "TAG", 0, "1000"));
        site.tx(1200, values(1, Some("1001"), 1200, "2500"));
        site.tx(1200 + silence, stop(Some("1001"), -12 * HOUR, "3000"));
        assert_eq!(told(&mut site), expected, "{silence}");
    }
}

#[test]
fn a_station_in_1970_that_was_offline_is_held() {
    // Started live, stopped offline: the stop came when the station was back, with the time of no clock.
    let mut site = Site::new(Version::V16);
    site.tx(0, start(1, "TAG", IN_1970, "1000"));
    site.tx(1200, values(1, Some("1001"), IN_1970 + 1200, "2500"));
    site.tx(6 * HOUR, stop(Some("1001"), IN_1970 + 1500, "3000"));
    assert_eq!(told(&mut site), "held time-doubtful");
}

#[test]
fn while_our_own_clock_is_wrong_no_station_is_judged_by_it() {
    // 30 h behind, and in 1970.
    for ours in [-30 * HOUR, IN_1970] {
        let mut site = Site::new(Version::V16);
        site.proven = false;
        let lines = site.tx(ours, start(1, "TAG", 0, "1000"));
        assert_eq!(lines, ["> tx 1001 Accepted", "opened 1 open", "evidence 1 start"], "no finding blames the station");
        site.tx(ours + 600, values(1, Some("1001"), 600, "2000"));
        site.tx(ours + 1200, stop(Some("1001"), 1200, "3000"));
        assert_eq!(told(&mut site), "0:1000 600:2000 1200:3000");
        // Set right in mid-session.
        let mut site = Site::new(Version::V16);
        site.proven = false;
        site.tx(ours, start(1, "TAG", 0, "1000"));
        site.tx(ours + 600, values(1, Some("1001"), 600, "2000"));
        site.proven = true;
        site.tx(1201, stop(Some("1001"), 1200, "3000"));
        assert_eq!(told(&mut site), "0:1000 600:2000 1200:3000");
        // The station's clock was set meanwhile: nobody knows by how much it had been off.
        let mut site = Site::new(Version::V16);
        site.proven = false;
        site.tx(ours, start(1, "TAG", -12 * HOUR, "1000"));
        site.tx(ours + 1200, stop(Some("1001"), 1200, "3000"));
        assert_eq!(told(&mut site), "held time-doubtful");
    }
}

#[test]
fn what_is_said_of_connector_0_takes_every_session_out_of_service() {
    let mut site = Site::new(Version::V16);
    site.tx(0, start(1, "ONE", 0, "1000"));
    site.tx(0, start(2, "TWO", 0, "5000"));
    for connector in [1, 2] {
        site.say(0, Fact::Status(status(connector, "Charging", Some(Charging), 0)));
    }
    site.tx(3600, values(1, Some("1001"), 3600, "8000"));
    site.tx(3600, values(2, Some("1002"), 3600, "9000"));
    site.say(3600, Fact::Status(status(2, "SuspendedEV", Some(SuspendedEv), 3600)));
    let whole = |at, name, charging| Fact::Status(status(0, name, Some(charging), at));
    assert_eq!(site.say(5400, whole(5400, "Faulted", OutOfService)), ["> ok", "evidence - update", "connector 0.1 Faulted"]);
    site.say(9000, whole(9000, "Available", ChargingState::Idle));
    site.say(9000, Fact::Status(status(1, "SuspendedEV", Some(SuspendedEv), 9000)));
    site.tx(10_800, stop(Some("1001"), 10_800, "8000"));
    site.tx(10_800, stop(Some("1002"), 10_800, "9000"));
    let activity = |site: &mut Site, number| {
        let curve = site.meter(number).unwrap();
        assert!(codes(&curve.findings).contains(&"out-of-service"), "{:?}", curve.findings);
        curve.metered.activity().iter().map(|(at, what)| format!("{} {what:?}", (*at - t(0)).num_seconds())).collect::<Vec<_>>()
    };
    assert_eq!(activity(&mut site, 2), ["0 Charging", "3600 Idle", "5400 Paused", "9000 Idle"]);
    // Nothing flowed from the first hour on, and no state says that the vehicle was full.
    assert_eq!(activity(&mut site, 1), ["0 Charging", "3600 Paused", "9000 Idle"]);
}
