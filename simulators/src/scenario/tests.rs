//! Scenarios played against the small CSMS of this crate: what goes over the wire, and the account that comes of it.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::*;
use crate::{
    clock::Clock,
    csms::{Do, Frames, agree, csms, drain, result},
    station::Options,
};

fn noon() -> DateTime<Utc> {
    "2026-07-22T12:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> DateTime<Utc> {
    noon() + chrono::TimeDelta::seconds(seconds)
}

fn station(url: &str, version: Version) -> Station {
    let patient = std::time::Duration::from_millis(2);
    Station::start(Options {
        clock: Clock::instant(noon()),
        first_backoff: patient,
        retry_interval: patient,
        ..Options::new(url, "CP01", version)
    })
}

async fn play(name: &str, version: Version, script: impl FnMut(usize, &Value) -> Do + Send + 'static) -> (Outcome, Vec<Value>) {
    let (url, mut frames): (String, Frames) = csms(script).await;
    let station = station(&url, version);
    let outcome = Scenario::find(name).unwrap().run(&station).await.unwrap();
    (outcome, drain(&mut frames))
}

/// The transaction messages, each with its id and payload.
fn sent(frames: &[Value]) -> Vec<(&str, &Value)> {
    let of_transaction = |frame: &&Value| {
        ["StartTransaction", "MeterValues", "StopTransaction", "TransactionEvent"].iter().any(|a| frame[2] == *a)
    };
    frames.iter().filter(of_transaction).map(|frame| (frame[1].as_str().unwrap(), &frame[3])).collect()
}

fn time(payload: &Value) -> &str {
    payload["timestamp"].as_str().or_else(|| payload["meterValue"][0]["timestamp"].as_str()).unwrap()
}

#[tokio::test]
async fn a_charge_comes_out_exact_in_every_version() {
    for version in Version::ALL {
        let (outcome, frames) = play("charge", version, |_, frame| agree(frame)).await;
        assert_eq!(outcome.complaints, Vec::<String>::new(), "{version}");
        let [session] = outcome.sessions.as_slice() else { panic!("{:?}", outcome.sessions) };
        // 11 kW for 20 minutes are 3,666.67 Wh; the register shows whole ones.
        assert_eq!((session.start_register_wh, session.stop_register_wh), (1_000_000, Some(1_003_666)));
        assert_eq!((session.energy_wh(), session.delivered_wh, session.idle_s), (Some(3_666), 3_666, 0));
        assert_eq!((session.started_at, session.stopped_at), (after(4), Some(after(1204))));
        let sent = sent(&frames);
        assert_eq!((sent.len(), outcome.answered.len()), (22, 22));
        assert_eq!((time(sent[0].1), time(sent[21].1)), ("2026-07-22T12:00:04Z", "2026-07-22T12:20:04Z"));
        assert_eq!(sent[0].0, session.start_message_id);
        assert_eq!(Some(sent[21].0), session.stop_message_id.as_deref());
        if version == Version::V16 {
            assert_eq!((&sent[0].1["meterStart"], &sent[21].1["meterStop"]), (&json!(1_000_000), &json!(1_003_666)));
            assert!(sent[1..].iter().all(|(_, payload)| payload["transactionId"] == 4711));
            assert_eq!(session.tx.as_deref(), Some("4711"));
        } else {
            let seqs: Vec<_> = sent.iter().map(|(_, payload)| payload["seqNo"].as_u64().unwrap()).collect();
            assert_eq!(seqs, (0..22).collect::<Vec<_>>());
            assert!(
                sent.iter().all(|(_, payload)| payload["transactionInfo"]["transactionId"].as_str() == session.tx.as_deref())
            );
        }
    }
}

#[tokio::test]
async fn times_do_not_drift_with_a_clock_that_runs() {
    let (url, mut frames) = csms(|_, frame| agree(frame)).await;
    let clock = Clock::starting(noon(), 10_000);
    let station = Station::start(Options { clock, ..Options::new(&url, "CP01", Version::V201) });
    let outcome = Scenario::find("charge").unwrap().run(&station).await.unwrap();
    let session = &outcome.sessions[0];
    let elapsed = session.stopped_at.unwrap() - session.started_at;
    assert_eq!((elapsed.num_milliseconds(), session.energy_wh()), (1_200_000, Some(3_666)));
    let frames = drain(&mut frames);
    let readings = sent(&frames).into_iter().filter(|(_, payload)| payload["eventType"] == "Updated");
    let times: Vec<DateTime<Utc>> = readings.map(|(_, payload)| time(payload).parse().unwrap()).collect();
    assert!(times.windows(2).all(|pair| (pair[1] - pair[0]).num_seconds() == 60), "{times:?}");
}

#[tokio::test]
async fn idle_time_is_what_passed_between_suspend_and_resume() {
    for version in Version::ALL {
        let (outcome, _) = play("suspend", version, |_, frame| agree(frame)).await;
        let session = &outcome.sessions[0];
        assert_eq!((session.idle_s, session.parked_s), (3600, 0));
        assert_eq!(session.energy_wh(), Some((22_000 * 600 + 7_400 * 1200 + 3_680 * 300) / 3600));
        assert_eq!(session.stopped_at, Some(after(95 * 60)));
    }
}

#[tokio::test]
async fn queued_messages_keep_their_own_times() {
    for version in Version::ALL {
        let (outcome, frames) = play("offline-queue", version, |_, frame| agree(frame)).await;
        assert_eq!(outcome.complaints, Vec::<String>::new());
        let [first, second] = outcome.sessions.as_slice() else { panic!("{:?}", outcome.sessions) };
        assert!(first.offline && second.offline);
        assert_eq!((first.stopped_at, first.energy_wh()), (Some(after(1800)), Some(5_500)));
        assert_eq!((second.started_at, second.energy_wh()), (after(2700), Some(3_700)));
        assert_eq!(second.start_register_wh, 1_005_500);
        let times: Vec<_> = sent(&frames).iter().map(|(_, payload)| time(payload).to_owned()).collect();
        assert!(times.is_sorted(), "{times:?}");
        let queued = |frame: &&Value| frame[3]["offline"] == json!(true);
        assert_eq!(frames.iter().filter(queued).count(), if version.is_2x() { 19 } else { 0 });
        // What a station does not queue is sent as it is after the reconnect.
        let statuses = frames.iter().filter(|frame| frame[2] == "StatusNotification").count();
        assert_eq!(statuses, if version.is_2x() { 2 } else { 3 });
    }
}

#[tokio::test]
async fn a_lost_stop_leaves_an_open_end() {
    let (outcome, frames) = play("lost-stop", Version::V16, |_, frame| agree(frame)).await;
    let [lost, next] = outcome.sessions.as_slice() else { panic!("{:?}", outcome.sessions) };
    assert_eq!((lost.stopped_at, lost.energy_wh(), lost.delivered_wh), (None, None, 2_750));
    assert_eq!((lost.last_register_wh, lost.last_at), (1_002_750, after(900)));
    assert_eq!((next.start_register_wh, next.energy_wh()), (1_002_750, Some(2_200)));
    assert_eq!(frames.iter().filter(|frame| frame[2] == "StopTransaction").count(), 1);
    assert_eq!(frames.iter().filter(|frame| frame[2] == "BootNotification").count(), 2);
}

#[tokio::test]
async fn duplicates_are_identical_and_make_no_session() {
    for version in Version::ALL {
        let (outcome, frames) = play("duplicate", version, |_, frame| agree(frame)).await;
        assert_eq!(outcome.complaints, Vec::<String>::new());
        assert_eq!((outcome.sessions.len(), outcome.sessions[0].energy_wh()), (1, Some(2_200)));
        let sent = sent(&frames);
        // Start, six readings and stop, and seven repeats.
        assert_eq!(sent.len(), 15);
        assert_eq!(sent.iter().map(|(id, _)| id).collect::<HashSet<_>>().len(), 12);
        let distinct: HashSet<_> = sent.iter().map(|(_, payload)| payload.to_string()).collect();
        assert_eq!(distinct.len(), 8, "a repeat says the same");
    }
}

#[tokio::test]
async fn a_csms_that_numbers_a_repeated_start_anew_is_found_out() {
    let forgetful = |nth: usize, frame: &Value| match frame[2].as_str() {
        Some("StartTransaction") => result(frame, json!({"transactionId": nth, "idTagInfo": {"status": "Accepted"}})),
        _ => agree(frame),
    };
    let (outcome, _) = play("duplicate", Version::V16, forgetful).await;
    assert_eq!(outcome.complaints.len(), 3, "{:?}", outcome.complaints);
}

#[tokio::test]
async fn a_refused_token_is_a_complaint_unless_expected() {
    let strict = |_: usize, frame: &Value| match frame[2].as_str() {
        Some("Authorize") => result(frame, json!({"idTagInfo": {"status": "Invalid"}})),
        _ => agree(frame),
    };
    let (outcome, _) = play("charge", Version::V16, strict).await;
    assert_eq!(outcome.complaints.len(), 1);
    let (url, _frames) = csms(strict).await;
    let expected = r#"{"name": "refused", "steps": ["plug", {"authorize": {"expect": "Invalid"}}, "unplug"]}"#;
    let outcome = Scenario::parse_json(expected).unwrap().run(&station(&url, Version::V16)).await.unwrap();
    assert_eq!(outcome.complaints, Vec::<String>::new());
}

#[tokio::test]
async fn a_reset_register_shows_in_the_expected_session() {
    let (outcome, _) = play("register-reset", Version::V201, |_, frame| agree(frame)).await;
    let session = &outcome.sessions[0];
    assert_eq!((session.start_register_wh, session.stop_register_wh), (98_765_432, Some(1_833)));
    assert_eq!(session.delivered_wh, 1_833 + 1_833);
}

#[tokio::test]
async fn a_transaction_may_reach_from_cable_to_cable() {
    let (outcome, frames) = play("parked", Version::V21, |_, frame| agree(frame)).await;
    let session = &outcome.sessions[0];
    assert_eq!((session.started_at, session.stopped_at, session.parked_s), (noon(), Some(after(27 * 60)), 720));
    let sent = sent(&frames);
    assert_eq!(sent[0].1.get("idToken"), None);
    assert_eq!((&sent[1].1["triggerReason"], &sent[1].1["idToken"]["idToken"]), (&json!("Authorized"), &json!(session.token)));
    assert_eq!(sent.last().unwrap().1["transactionInfo"]["stoppedReason"], "Local");
    let (outcome, _) = play("parked", Version::V16, |_, frame| agree(frame)).await;
    assert_eq!((outcome.sessions[0].started_at, outcome.sessions[0].stopped_at), (after(120), Some(after(17 * 60))));
}

#[tokio::test]
async fn a_bad_line_changes_no_expected_session() {
    for version in Version::ALL {
        let (calm, _) = play("suspend", version, |_, frame| agree(frame)).await;
        let (rough, _) = play("suspend", version, |nth, frame| if nth % 3 == 2 { Do::Cut } else { agree(frame) }).await;
        let account = |outcome: &Outcome| {
            let session = &outcome.sessions[0];
            (session.started_at, session.stopped_at, session.stop_register_wh, session.idle_s, outcome.answered.len())
        };
        assert_eq!(account(&calm), account(&rough));
        assert_eq!(rough.complaints, Vec::<String>::new());
    }
}

#[test]
fn a_simulated_clock_starts_where_the_scenario_begins() {
    let scenario = Scenario::find("time-of-use").unwrap();
    let offset: FixedOffset = "+02:00".parse().unwrap();
    let base = scenario.base(noon(), offset).unwrap();
    assert_eq!(base.to_rfc3339(), "2026-07-21T14:40:00+00:00", "16:40 has not come yet today");
    assert_eq!(scenario.begin(base, offset).unwrap(), base);
    assert_eq!(scenario.begin(noon(), offset).unwrap().to_rfc3339(), "2026-07-22T14:40:00+00:00");
}

#[test]
fn a_scenario_with_a_typing_error_is_refused_with_its_place() {
    let slip = |step: &str| format!("{:#}", Scenario::parse_toml(&format!("name = 'x'\nsteps = ['plug', {step}]")).unwrap_err());
    assert!(slip("'plugg'").contains("step 2"));
    assert!(slip("{ meter = { watt = 11000 } }").contains("step 2"));
    assert!(slip("'meter'").contains("watts"));
    assert!(Scenario::find("nothing").unwrap_err().to_string().contains("charge, suspend"));
    assert!(Scenario::parse_toml("name = 'x'\nstart_at = '25:00'\nsteps = []").is_err());
}
