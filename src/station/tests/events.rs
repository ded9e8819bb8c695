//! 2.x transactions: events in any order, with gaps, repeated, and with facts that come late.

use super::*;

use Phase::{Start, Stop, Update};

fn site() -> Site {
    Site::new(Version::V201)
}

#[test]
fn a_session_starts_is_metered_and_ends() {
    let mut site = site();
    let started = event(Start, "abc", 0, 0).by("TAG").register(Context::TransactionBegin, "1000");
    assert_eq!(site.tx(1, started), ["> Accepted", "opened 1 open", "evidence 1 start"]);
    assert_eq!(
        site.tx(602, event(Update, "ABC", 1, 600).register(Context::SamplePeriodic, "2000")),
        ["> ok", "evidence 1 update"]
    );
    let ended = event(Stop, "Abc", 2, 1200)
        .register(Context::TransactionEnd, "3000")
        .with(|fact| fact.stop_reason = Some("Remote".into()));
    assert_eq!(site.tx(1203, ended), ["> ok", "updated 1 ended", "evidence 1 stop"]);
    let session = site.session(1);
    assert_eq!(
        (session.tx.as_str(), session.stop_reason.as_deref(), session.start_key.as_deref()),
        ("abc", Some("Remote"), None)
    );
    let curve = site.meter(1).unwrap();
    assert_eq!(curve.source, "transaction-samples");
    assert_eq!(registers(&curve), [(0, "1000".into()), (600, "2000".into()), (1200, "3000".into())]);
}

#[test]
fn an_end_that_overtakes_waits_for_the_rest() {
    let mut site = site();
    assert_eq!(site.tx(1200, event(Stop, "abc", 2, 1200).by("TAG")), ["> Accepted", "opened 1 ended +600s", "evidence 1 stop"]);
    assert_eq!(codes(&site.session(1).findings), ["token-at-stop"]);
    assert_eq!(site.tx(1201, event(Update, "abc", 1, 600)), ["> ok", "evidence 1 update"]);
    site.restart();
    // The token of the start is the one that counts.
    assert_eq!(site.tx(1202, event(Start, "abc", 0, 0).by("OTHER")), ["> Accepted", "updated 1 ended", "evidence 1 start"]);
    assert_eq!((site.session(1).started_at, site.session(1).token.clone()), (Some(t(0)), token("OTHER")));
    assert_eq!(codes(&site.session(1).findings), Vec::<&str>::new());
    // Events after the end are answered like any other.
    assert_eq!(site.tx(1203, event(Update, "abc", 3, 1210)), ["> ok", "evidence 1 update"]);
}

#[test]
fn a_gap_is_waited_for_and_then_noted() {
    let mut site = site();
    site.tx(0, event(Start, "abc", 0, 0).register(Context::TransactionBegin, "0"));
    let ended = event(Stop, "abc", 2, 600).register(Context::TransactionEnd, "500");
    assert_eq!(site.tx(600, ended)[1], "updated 1 ended +600s");
    assert_eq!(codes(&site.meter(1).unwrap().findings), ["events-missing"]);
    assert_eq!(site.tx(700, event(Update, "abc", 1, 300)), ["> ok", "updated 1 ended", "evidence 1 update"]);
    assert_eq!(codes(&site.meter(1).unwrap().findings), Vec::<&str>::new());
}

#[test]
fn a_held_session_is_judged_again_when_the_missing_event_comes() {
    let mut site = site();
    site.tx(600, event(Stop, "abc", 1, 600).register(Context::TransactionEnd, "500"));
    assert_eq!(site.meter(1), Err(hold::START_MISSING));
    for restart in [false, true] {
        let mut site =
            Site { machine: Machine::new(policy(), Origin { next_number: 2, tx_offset: 1000, day: None }), ..site_of(&site) };
        if restart {
            site.restart();
        }
        assert_eq!(site.tx(9000, event(Start, "abc", 0, 0).register(Context::TransactionBegin, "0"))[1], "updated 1 ended");
        assert_eq!(energy(&site.meter(1).unwrap()), MilliWh(500_000));
    }
}

/// The same books with a fresh memory.
fn site_of(site: &Site) -> Site {
    Site { sessions: site.sessions.clone(), entries: site.entries.clone(), ..Site::new(site.version) }
}

#[test]
fn late_registers_release_a_session_held_for_them() {
    let mut site = site();
    site.tx(0, event(Start, "abc", 0, 0));
    site.tx(600, event(Stop, "abc", 1, 600));
    assert_eq!(site.meter(1), Err(hold::REGISTER_MISSING));
    assert_eq!(site.tx(601, event(Update, "abc", 3, 601)), ["> ok", "evidence 1 update"]);
    let late = event(Update, "abc", 4, 602).register(Context::TransactionBegin, "0").register(Context::TransactionEnd, "700");
    assert_eq!(site.tx(602, late)[1], "updated 1 ended +600s");
    assert_eq!(energy(&site.meter(1).unwrap()), MilliWh(700_000));
}

#[test]
fn repeats_change_nothing() {
    let mut site = site();
    let script = [event(Start, "abc", 0, 0).by("TAG"), event(Update, "abc", 1, 60), event(Stop, "abc", 2, 600)];
    for fact in script.clone() {
        site.tx(0, fact);
    }
    let (sessions, entries) = (site.sessions.clone(), site.entries.len());
    for round in 0..2 {
        for fact in script.clone() {
            let answer = if fact.token.is_some() { "> Accepted" } else { "> ok" };
            assert_eq!(site.tx(700, fact), [answer, "! duplicate-event"], "round {round}");
        }
        site.restart();
    }
    assert_eq!((site.sessions.clone(), site.entries.len()), (sessions, entries));
}

#[test]
fn a_counter_that_begins_anew_loses_no_event() {
    let mut site = site();
    for (phase, seq, at) in [(Start, 0, 0), (Update, 1, 60), (Update, 2, 120), (Update, 0, 300), (Update, 1, 360)] {
        assert_eq!(site.tx(at, event(phase, "abc", seq, at)).len(), if phase == Start { 3 } else { 2 }, "{seq} at {at}");
    }
    assert_eq!(site.tx(600, event(Stop, "abc", 2, 600))[1], "updated 1 ended");
    // A jump instead of a new beginning waits, but settles.
    site.tx(700, event(Start, "def", 7, 700));
    site.tx(760, event(Update, "def", 0, 760));
    assert_eq!(site.tx(800, event(Stop, "def", 1, 800))[1], "updated 2 ended +600s");
    // A number that came twice fills no gap.
    for (phase, seq, at) in [(Start, 0, 900), (Update, 1, 960), (Update, 1, 970)] {
        site.tx(at, event(phase, "ghi", seq, at));
    }
    assert_eq!(site.tx(990, event(Stop, "ghi", 3, 990))[1], "updated 3 ended +600s");
}

#[test]
fn a_transaction_id_may_come_again_after_a_factory_reset() {
    let mut site = site();
    site.tx(0, event(Start, "1", 0, 0));
    site.tx(600, event(Stop, "1", 1, 600));
    // The same start again, even with another number, is the same transaction.
    assert_eq!(site.tx(650, event(Start, "1", 5, 0))[1..], ["updated 1 ended", "evidence 1 start", "! duplicate-start"]);
    site.restart();
    assert_eq!(site.tx(900, event(Start, "1", 0, 900)), ["> ok", "opened 2 open", "evidence 2 start", "! transaction-id-reused"]);
    assert_eq!(site.tx(960, event(Update, "1", 1, 960)), ["> ok", "evidence 2 update"]);
    assert_eq!(site.tx(990, event(Stop, "1", 2, 990))[1], "updated 2 ended");
    // A start without a believable time is never a new transaction of that name.
    let untimed = event(Start, "1", 9, 0).with(|fact| fact.reported_at = None);
    assert_eq!(site.tx(2000, untimed)[1..], ["updated 2 ended", "evidence 2 start", "! time-missing", "! duplicate-start"]);
}

#[test]
fn a_start_later_than_its_end_is_not_another_transaction() {
    let mut site = site();
    site.tx(600, event(Stop, "abc", 1, 600));
    assert_eq!(site.tx(700, event(Start, "abc", 0, 650))[1], "updated 1 ended");
    assert_eq!(site.meter(1), Err(hold::TIME_REVERSED));
}

#[test]
fn evse_connector_and_token_may_come_later() {
    let mut site = site();
    let bare = event(Start, "abc", 0, 0).with(|fact| fact.evse = None);
    assert_eq!(site.tx(0, bare), ["> ok", "opened 1 open", "evidence 1 start"]);
    assert_eq!((site.session(1).evse, site.session(1).token_status), (0, None));
    let plugged = event(Update, "abc", 1, 10).with(|fact| (fact.evse, fact.connector) = (Some(2), Some(1)));
    assert_eq!(site.tx(10, plugged), ["> ok", "updated 1 open", "evidence 1 update"]);
    assert_eq!(site.tx(20, event(Update, "abc", 2, 20).by("TAG")), ["> Accepted", "updated 1 open", "evidence 1 update"]);
    // Another token ends it; a third would be noted.
    let other = event(Update, "abc", 3, 30).by("OTHER").with(|fact| fact.trigger = Some("StopAuthorized".into()));
    assert_eq!(site.tx(30, other), ["> Accepted", "evidence 1 update"]);
    assert_eq!(site.tx(40, event(Update, "abc", 4, 40).by("THIRD"))[1], "updated 1 open");
    let session = site.session(1);
    assert_eq!((session.evse, session.connector, session.token.clone()), (2, 1, token("TAG")));
    assert_eq!(codes(&session.findings), ["token-changed"]);
    assert_eq!(session.token_status, Some(AuthStatus::Accepted));
    site.tx(50, event(Update, "abc", 5, 50).by("BAD"));
    assert_eq!(site.session(1).token_status, Some(AuthStatus::Blocked));
}

#[test]
fn a_refused_token_holds_the_session_in_any_order() {
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let script = [event(Start, "abc", 0, 0), event(Update, "abc", 1, 10).by("BAD"), event(Stop, "abc", 2, 60).by("TAG")];
        let mut site = site();
        for place in order {
            site.tx(60, script[place].clone());
        }
        assert_eq!(site.session(1).token_status, Some(AuthStatus::Blocked), "{order:?}");
        assert_eq!(site.meter(1), Err(hold::NOT_AUTHORIZED), "{order:?}");
    }
}

#[test]
fn sessions_without_an_evse_do_not_end_each_other() {
    let mut site = site();
    for (tx, at) in [("a", 0), ("b", 10)] {
        site.tx(at, event(Start, tx, 0, at).with(|fact| fact.evse = None));
    }
    assert!(site.sessions.iter().all(Session::is_open));
    assert_eq!(site.tx(20, event(Update, "a", 1, 20)), ["> ok", "updated 1 open", "evidence 1 update"]);
    assert_eq!(
        site.tx(30, event(Update, "b", 1, 30)),
        ["> ok", "updated 1 held stop-missing", "updated 2 open", "evidence 2 update"]
    );
    assert_eq!(site.tx(40, event(Stop, "a", 2, 9))[1], "updated 1 ended");
}

#[test]
fn an_older_transaction_that_is_told_later_holds_nobody() {
    let mut site = site();
    site.tx(600, event(Start, "new", 0, 600));
    assert_eq!(site.tx(610, event(Start, "old", 0, 0)), ["> ok", "opened 2 open", "evidence 2 start"]);
    assert_eq!(site.tx(611, event(Stop, "old", 1, 500))[1], "updated 2 ended");
    assert!(site.session(1).is_open());
}

#[test]
fn a_time_told_offline_that_cannot_be_true_holds_the_session() {
    let mut site = site();
    let offline = |fact: TxFact| fact.with(|fact| (fact.offline, fact.reported_at) = (true, Some(t(-1_000_000_000))));
    assert_eq!(site.tx(900, offline(event(Start, "abc", 0, 0)))[3..], ["! clock-implausible", "! offline-time-unknown"]);
    site.tx(901, event(Stop, "abc", 1, 901));
    assert_eq!(site.meter(1), Err(hold::TIME_DOUBTFUL));
}

#[test]
fn an_event_without_an_id_is_kept() {
    let mut site = site();
    let nameless = |fact: TxFact| fact.with(|fact| (fact.tx, fact.seq_no) = (None, None));
    assert_eq!(site.tx(0, nameless(event(Start, "", 0, 0).by("TAG"))), ["> Accepted", "opened 1 open", "evidence 1 start"]);
    assert_eq!(site.tx(1, nameless(event(Start, "", 0, 0).by("TAG"))), ["> Accepted", "! duplicate-start"]);
    assert_eq!(site.tx(60, nameless(event(Update, "", 0, 60).by("TAG"))), ["> Accepted", "evidence 1 update"]);
    assert_eq!(
        site.tx(90, nameless(event(Stop, "", 0, 90)))[1..],
        ["updated 1 ended +600s", "evidence 1 stop", "! stop-matched"]
    );
    assert_eq!(site.tx(95, nameless(event(Stop, "", 0, 95)))[1], "opened 2 ended +600s");
}
