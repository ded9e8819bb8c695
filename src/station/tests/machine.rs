//! 1.6 transactions, statuses, and what concerns no transaction.

use super::*;

fn site() -> Site {
    Site::new(Version::V16)
}

#[test]
fn a_session_starts_is_metered_and_stops() {
    let mut site = site();
    assert_eq!(site.tx(1, start(1, "TAG", 0, "1000")), ["> tx 1001 Accepted", "opened 1 open", "evidence 1 start"]);
    assert_eq!(site.tx(601, values(1, Some("1001"), 600, "2000")), ["> ok", "updated 1 open", "evidence 1 update"]);
    assert_eq!(site.tx(901, values(1, Some("1001"), 900, "2500")), ["> ok", "evidence 1 update"]);
    assert_eq!(site.tx(1201, stop(Some("1001"), 1200, "3000").by("TAG")), ["> Accepted", "updated 1 ended", "evidence 1 stop"]);
    let session = site.session(1);
    assert_eq!((session.id.as_str(), session.tx.as_str(), session.evse), ("S-20261121-0001", "1001", 1));
    assert_eq!((session.started_at, session.stopped_at), (Some(t(0)), Some(t(1200))));
    assert_eq!((session.start_register, session.stop_register), (Some(MilliWh(1_000_000)), Some(MilliWh(3_000_000))));
    assert_eq!((session.stop_reason.as_deref(), session.token_status), (Some("Local"), Some(AuthStatus::Accepted)));
    assert_eq!(session.tariff, Some(TariffRef::of(&tariff())));
    assert_eq!(codes(&session.findings), Vec::<&str>::new());
}

#[test]
fn the_same_start_gets_the_same_id() {
    let mut site = site();
    let first = || start(1, "TAG", 0, "1000");
    site.tx(1, first());
    assert_eq!(site.tx(30, first()), ["> tx 1001 Accepted", "! duplicate-start"]);
    assert_eq!(site.tx(31, start(1, "tag", 0, "1000.0")), ["> tx 1001 Accepted", "! duplicate-start"]);
    // Also after its stop, and after a restart.
    site.tx(600, stop(Some("1001"), 599, "1500"));
    assert_eq!(site.tx(700, first()), ["> tx 1001 Accepted", "! duplicate-start"]);
    site.restart();
    assert_eq!(site.tx(800, first()), ["> tx 1001 Accepted", "! duplicate-start"]);
    // Another connector, tag, time or register is another start.
    for (place, other) in
        [start(2, "TAG", 0, "1000"), start(1, "TAG2", 0, "1000"), start(1, "TAG", 700, "1000"), start(1, "TAG", 0, "1001")]
            .into_iter()
            .enumerate()
    {
        assert_eq!(site.tx(801, other)[0], format!("> tx {} Accepted", place + 1002));
    }
}

#[test]
fn a_start_without_a_believable_time_is_the_same_only_while_it_runs() {
    for at in [None, Some(t(0) - TimeDelta::days(20_000)), Some(t(0) + TimeDelta::days(2))] {
        let mut site = site();
        let untimed = || start(1, "TAG", 0, "0").with(|fact| fact.reported_at = at);
        let code = if at.is_none() { "! time-missing" } else { "! clock-implausible" };
        assert_eq!(site.tx(5, untimed()), ["> tx 1001 Accepted", "opened 1 open", "evidence 1 start", code]);
        assert_eq!(site.session(1).started_at, Some(t(5)));
        assert_eq!(site.tx(9, untimed()), ["> tx 1001 Accepted", code, "! duplicate-start"]);
        site.tx(600, stop(Some("1001"), 600, "500"));
        assert_eq!(site.tx(900, untimed())[..2], ["> tx 1002 Accepted", "opened 2 open"]);
    }
}

#[test]
fn the_first_stop_stands() {
    let mut site = site();
    site.tx(0, start(1, "TAG", 0, "1000"));
    site.tx(600, stop(Some("1001"), 600, "2000"));
    assert_eq!(site.tx(700, stop(Some("1001"), 600, "2000")), ["> ok", "updated 1 ended", "evidence 1 stop", "! duplicate-stop"]);
    assert_eq!(site.tx(701, stop(Some("1001"), 600, "2000")), ["> ok", "evidence 1 stop", "! duplicate-stop"]);
    site.restart();
    assert_eq!(
        site.tx(800, stop(Some("1001"), 790, "9000")),
        ["> ok", "updated 1 ended", "evidence 1 stop", "! conflicting-stop"]
    );
    assert_eq!(site.session(1).stop_register, Some(MilliWh(2_000_000)));
    assert_eq!(energy(&site.meter(1).unwrap()), MilliWh(1_000_000));
}

#[test]
fn a_stop_without_an_id_ends_the_only_session_it_can_mean() {
    let only = |site: &mut Site| site.tx(600, stop(None, 600, "2000"));
    let mut one = site();
    one.tx(0, start(1, "TAG", 0, "1000"));
    assert_eq!(only(&mut one), ["> ok", "updated 1 ended", "evidence 1 stop", "! stop-matched"]);

    let mut two = site();
    two.tx(0, start(1, "ONE", 0, "1000"));
    two.tx(0, start(2, "TWO", 0, "1000"));
    assert_eq!(only(&mut two), ["> ok", "opened 3 held start-missing", "evidence 3 stop"]);
    // The tag, the connector, the register or the time tells which.
    assert_eq!(two.tx(610, stop(None, 610, "2000").by("two"))[1], "updated 2 ended");
    two.tx(620, start(2, "TWO", 620, "50000"));
    assert_eq!(two.tx(700, stop(None, 700, "3000"))[1], "updated 1 ended");
    two.tx(800, start(1, "ONE", 800, "3000"));
    assert_eq!(two.tx(810, stop(None, 790, "51000"))[1], "updated 4 ended");

    // Nobody else's session: another tag, another connector, before the start.
    let mut none = site();
    none.tx(0, start(1, "TAG", 0, "1000"));
    assert_eq!(none.tx(5, stop(None, 5, "1000").by("OTHER"))[1], "opened 2 held start-missing");
    assert_eq!(none.tx(6, stop(None, 6, "1000").with(|fact| fact.evse = Some(2)))[1], "opened 3 held start-missing");
    assert_eq!(none.tx(7, stop(None, -60, "1000"))[1], "opened 4 held start-missing");
    assert!(none.session(1).is_open());
}

#[test]
fn an_orphan_stop_is_kept_once() {
    let mut site = site();
    let orphan = || stop(Some("77"), 600, "2000").by("TAG");
    assert_eq!(site.tx(600, orphan()), ["> Accepted", "opened 1 held start-missing", "evidence 1 stop"]);
    assert_eq!(site.session(1).token, token("TAG"));
    assert_eq!(codes(&site.session(1).findings), ["token-at-stop"]);
    site.tx(601, orphan());
    site.restart();
    assert_eq!(site.tx(602, orphan()), ["> Accepted", "evidence 1 stop", "! duplicate-stop"]);
    let nameless = || stop(None, 900, "5000");
    assert_eq!(site.tx(900, nameless())[1], "opened 2 held start-missing");
    assert_eq!(site.tx(901, nameless())[3..], ["! duplicate-stop"]);
    site.restart();
    assert_eq!(site.tx(902, nameless())[2..], ["! duplicate-stop"]);
    assert_eq!(site.meter(1), Err(hold::START_MISSING));
}

#[test]
fn another_start_on_the_connector_holds_the_older_session_until_its_stop() {
    let mut site = site();
    site.tx(0, start(1, "TAG", 0, "1000"));
    assert_eq!(
        site.tx(900, start(1, "TAG", 900, "3000")),
        ["> tx 1002 Accepted", "updated 1 held stop-missing", "opened 2 open", "evidence 2 start"]
    );
    site.restart();
    assert_eq!(site.tx(950, values(1, None, 950, "3100")), ["> ok", "evidence 2 update"]);
    assert_eq!(site.tx(960, stop(Some("1001"), 800, "2500")), ["> ok", "updated 1 ended", "evidence 1 stop"]);
    assert_eq!(energy(&site.meter(1).unwrap()), MilliWh(1_500_000));
    assert!(site.session(2).is_open());
    assert_eq!(site.tx(970, start(2, "TAG", 970, "0"))[1], "opened 3 open");
}

#[test]
fn samples_find_their_session() {
    let mut site = site();
    assert_eq!(site.tx(0, values(1, None, 0, "900")), ["> ok", "evidence - update"]);
    site.tx(1, start(1, "TAG", 1, "1000"));
    site.tx(1, start(2, "TAG", 1, "5000"));
    assert_eq!(site.tx(2, values(2, None, 2, "5001")), ["> ok", "evidence 2 update"]);
    // The main meter is nobody's.
    assert_eq!(site.tx(3, values(0, None, 3, "900000")), ["> ok", "evidence - update"]);
    // An id of another backend, on an outlet where something runs, and on one where nothing does.
    let foreign = values(1, Some("9223372036854775807"), 4, "1004");
    assert_eq!(site.tx(4, foreign), ["> ok", "updated 1 open", "evidence 1 update", "! tx-unknown"]);
    assert_eq!(site.tx(5, values(3, Some("555"), 5, "7000")), ["> ok", "opened 3 open", "evidence 3 update"]);
    assert_eq!(site.tx(6, stop(Some("555"), 6, "7001")), ["> ok", "updated 3 held start-missing", "evidence 3 stop"]);
    // Late ones stay evidence and do not extend the bill.
    site.tx(600, stop(Some("1001"), 600, "2000"));
    assert_eq!(site.tx(660, values(1, Some("1001"), 660, "2100")), ["> ok", "evidence 1 update"]);
    assert_eq!(energy(&site.meter(1).unwrap()), MilliWh(1_000_000));
}

#[test]
fn connector_0_is_the_outlet_of_a_station_with_one() {
    let mut site = site();
    site.tx(0, start(0, "TAG", 0, "1000"));
    assert_eq!(site.tx(60, values(1, None, 60, "1100")), ["> ok", "evidence 1 update"]);
    let suspended = || status(1, "SuspendedEV", Some(ChargingState::SuspendedEv), 70);
    assert_eq!(site.say(70, Fact::Status(suspended())), ["> ok", "evidence 1 update", "connector 1.1 SuspendedEV"]);
    site.tx(80, start(1, "TAG", 80, "9000"));
    assert_eq!(site.tx(90, values(2, None, 90, "500")), ["> ok", "evidence - update"]);
    assert_eq!(site.tx(100, start(0, "TAG", 100, "2000"))[1..3], ["updated 2 held stop-missing", "opened 3 open"]);
}

#[test]
fn a_refused_token_is_recorded_and_held() {
    let mut site = site();
    assert_eq!(site.tx(0, start(1, "BAD", 0, "1000")), ["> tx 1001 Blocked", "opened 1 open", "evidence 1 start"]);
    assert_eq!(site.tx(600, stop(Some("1001"), 600, "1500"))[1], "updated 1 ended");
    assert_eq!(site.meter(1), Err(hold::NOT_AUTHORIZED));
    // No tag, and something unreadable for a register: still an id, still a record of it.
    let bare = TxFact::new(Phase::Start).with(|fact| fact.findings = vec![Finding::new("field-missing", "connectorId")]);
    assert_eq!(
        site.tx(700, bare),
        ["> tx 1002 Accepted", "opened 2 open", "evidence 2 start", "! field-missing", "! time-missing"]
    );
    assert_eq!(codes(&site.session(2).findings), ["field-missing", "time-missing"]);
}

#[test]
fn a_status_is_evidence_for_what_runs_and_ends_nothing() {
    let mut site = site();
    let say = |site: &mut Site, name: &str, charging| site.say(10, Fact::Status(status(1, name, charging, 10)));
    assert_eq!(say(&mut site, "Preparing", Some(ChargingState::EvConnected)), ["> ok", "connector 1.1 Preparing"]);
    site.tx(0, start(1, "TAG", 0, "1000"));
    for (name, charging) in [("Charging", ChargingState::Charging), ("SuspendedEV", ChargingState::SuspendedEv)] {
        assert_eq!(
            say(&mut site, name, Some(charging)),
            ["> ok".to_owned(), "evidence 1 update".to_owned(), format!("connector 1.1 {name}")]
        );
    }
    assert_eq!(say(&mut site, "Available", Some(ChargingState::Idle))[1], "evidence 1 update");
    assert_eq!(say(&mut site, "Faulted", None), ["> ok", "connector 1.1 Faulted"]);
    let station = status(0, "Available", Some(ChargingState::Idle), 10);
    assert_eq!(site.say(10, Fact::Status(station)), ["> ok", "evidence - update", "connector 0.1 Available"]);
    let mut broken = status(1, "Faulted", None, 10);
    broken.error = Some("GroundFailure".into());
    assert_eq!(site.say(10, Fact::Status(broken)), ["> ok", "problem station-error: GroundFailure", "connector 1.1 Faulted"]);
    assert!(site.session(1).is_open());
}

#[test]
fn the_rest_is_answered() {
    let mut site = site();
    assert_eq!(site.say(0, Fact::Boot(Boot::default())), ["> Accepted 300", "booted"]);
    assert_eq!(site.say(0, Fact::Heartbeat), ["> now"]);
    assert_eq!(site.say(0, Fact::Authorize { token: token("BAD").unwrap() }), ["> Blocked"]);
    assert_eq!(site.say(0, Fact::Noted), ["> ok"]);
    assert_eq!(site.say(0, Fact::DataTransfer { vendor: "x".into() }), ["> unknown vendor"]);
    let statuses = vec![status(1, "Occupied", None, 0), status(2, "Available", None, 0)];
    assert_eq!(site.say(0, Fact::Events { statuses }), ["> ok", "connector 1.1 Occupied", "connector 2.1 Available"]);
    let alarm = Fact::SecurityEvent { kind: "TamperDetectionActivated".into(), detail: None, reported_at: None };
    assert_eq!(site.say(0, alarm), ["> ok", "problem security-event: TamperDetectionActivated"]);
}

#[test]
fn one_event_that_takes_two_evses_out_of_service_counts_for_both_sessions() {
    let mut site = Site::new(Version::V201);
    site.tx(0, event(Phase::Start, "a", 0, 0));
    site.tx(0, event(Phase::Start, "b", 0, 0).with(|fact| fact.evse = Some(2)));
    let out = |evse| status(evse, "Faulted", Some(ChargingState::OutOfService), 60);
    let said = site.say(60, Fact::Events { statuses: vec![out(1), out(2)] });
    assert_eq!(said, ["> ok", "evidence - update", "connector 1.1 Faulted", "connector 2.1 Faulted"]);
    // One of them alone is said of its session.
    let said = site.say(90, Fact::Events { statuses: vec![out(2)] });
    assert_eq!(said, ["> ok", "evidence 2 update", "connector 2.1 Faulted"]);
}

#[test]
fn sessions_are_named_by_the_local_day_and_never_twice() {
    let mut site = site();
    let mut name = |now: i64, evse: u32| {
        site.tx(now, start(evse, "TAG", now, "0"));
        site.sessions.last().unwrap().id.as_str().to_owned()
    };
    assert_eq!(name(0, 1), "S-20261121-0001");
    assert_eq!(name(10 * 3600, 2), "S-20261121-0002");
    // Midnight in Berlin is 23:00 UTC.
    assert_eq!(name(11 * 3600, 3), "S-20261122-0001");
    // Our clock is set back over midnight.
    assert_eq!(name(11 * 3600 - 5, 4), "S-20261122-0002");
    site.restart();
    site.tx(11 * 3600 + 9, start(5, "TAG", 11 * 3600 + 9, "0"));
    assert_eq!(site.sessions[4].id.as_str(), "S-20261122-0003");
    assert_eq!(site.sessions[4].tx.as_str(), "1005");
}

#[test]
fn sessions_belong_to_their_station() {
    let mut site = site();
    site.tx(0, start(1, "TAG", 0, "1000"));
    site.station = StationId::new("CP-2");
    assert_eq!(site.tx(600, stop(Some("1001"), 600, "2000"))[1], "opened 2 held start-missing");
    assert!(site.session(1).is_open());
}

#[test]
fn many_open_sessions_leave_memory_but_not_the_store() {
    let mut site = site();
    for evse in 1..=100 {
        site.tx(i64::from(evse), start(evse, "TAG", i64::from(evse), "0"));
    }
    assert_eq!(site.tx(200, stop(Some("1001"), 200, "10"))[1], "updated 1 ended");
    assert_eq!(site.tx(200, start(1, "TAG", 1, "0"))[0], "> tx 1001 Accepted");
}
