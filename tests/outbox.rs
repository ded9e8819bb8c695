//! Records between us and head office, seen from outside: refused by the broker, unanswered, rejected. Each is another thing,
//! and each is shown as what it is.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use support::broker::{PAYLOAD_FORMAT_INVALID, Scripted, TAKEN};
use support::socket::Socket;
use support::{Plan, SITE, Site, transaction, until};

/// Sessions of ten minutes, one after the other; each becomes a record.
async fn sessions(site: &Site, count: u32) {
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    let billed = || site.count("SELECT count(*) FROM v_record WHERE kind = 'charge'", &[]);
    let before = u32::try_from(billed()).unwrap();
    for number in before..before + count {
        let hour = 8 + number % 10;
        let (start, stop) = (format!("2026-11-20T{hour:02}:00:00Z"), format!("2026-11-20T{hour:02}:30:00Z"));
        let (action, payload) = transaction::start("ocpp1.6", "", number * 10_000, &start);
        let answer = station.call(&format!("a{number}"), action, payload).await;
        let (action, payload) = transaction::stop("ocpp1.6", "", &answer, number * 10_000 + 5_000, &stop);
        station.call(&format!("b{number}"), action, payload).await;
    }
    let wanted = usize::try_from(before + count).unwrap();
    until("the sessions are billed", || billed() == wanted).await;
}

#[tokio::test]
async fn a_record_that_the_broker_refuses_is_shown_and_offered_again_until_it_is_taken() {
    let broker = Scripted::open().await;
    broker.refused.lock().unwrap().insert(1, PAYLOAD_FORMAT_INVALID);
    let mut site = Site::new(&Plan { mqtt_url: broker.url(), ..Plan::default() });
    site.start().await;
    sessions(&site, 3).await;
    broker.saw("the others are taken", |seen| seen.contains(&(2, TAKEN)) && seen.contains(&(3, TAKEN))).await;
    let row = || site.forecourt(&["outbox", "list", "--json"]).ok().json()[0].clone();
    until("the fault is shown", || row()["state"] == "fault").await;
    let fault = row();
    assert_eq!((&fault["seq"], &fault["fault"], &fault["attempts"]), (&json!(1), &json!("not-sendable"), &json!(1)), "{fault}");
    assert!(fault["fault_detail"].as_str().unwrap().contains("0x99"), "{fault}");
    assert!(fault["next_try_at"].as_str() > fault["last_try_at"].as_str(), "{fault}");
    let status = site.forecourt(&["outbox", "status"]).ok().out;
    assert!(status.contains("not taken by the broker, offered again: 1"), "{status}");
    assert!(status.contains("BUT: the broker does not take record 1"), "{status}");

    // A restart is no reason to forget it, nor to wait.
    let refusals = broker.seen.borrow().iter().filter(|(seq, _)| *seq == 1).count();
    site.kill9();
    site.start().await;
    broker.saw("it is offered again", |seen| seen.iter().filter(|(seq, _)| *seq == 1).count() > refusals).await;
    let row = || site.forecourt(&["outbox", "list", "--json"]).ok().json()[0].clone();
    until("the attempt is counted", || row()["attempts"] == 2).await;

    // The broker is mended: the record leaves by itself, and its fault with it.
    broker.refused.lock().unwrap().clear();
    site.kill9();
    site.start().await;
    broker.saw("it is taken", |seen| seen.contains(&(1, TAKEN))).await;
    let row = || site.forecourt(&["outbox", "list", "--json"]).ok().json()[0].clone();
    until("the fault is gone", || row()["state"] == "waiting").await;
    let epoch = site.value("SELECT epoch FROM v_record", &[]).unwrap();
    broker.receipt(&epoch, 3, &json!([]));
    until("head office has all", || site.count("SELECT count(*) FROM v_outbox", &[]) == 0).await;
    site.stop().await;
}

#[tokio::test]
async fn a_receipt_that_passes_a_refused_record_clears_its_fault() {
    let broker = Scripted::open().await;
    let mut site = Site::new(&Plan { mqtt_url: broker.url(), ..Plan::default() });
    site.start().await;
    sessions(&site, 1).await;
    broker.saw("the first is taken", |seen| seen.contains(&(1, TAKEN))).await;
    // Taken once; from now on the broker refuses what it has: head office confirms it all the same.
    broker.refused.lock().unwrap().insert(1, PAYLOAD_FORMAT_INVALID);
    site.kill9();
    site.start().await;
    until("the fault is shown", || site.count("SELECT count(*) FROM v_outbox WHERE state = 'fault'", &[]) == 1).await;
    let epoch = site.value("SELECT epoch FROM v_record", &[]).unwrap();
    broker.receipt(&epoch, 1, &json!([]));
    until("nothing is left to do", || site.count("SELECT count(*) FROM v_outbox", &[]) == 0).await;
    assert_eq!(site.count("SELECT count(*) FROM v_problem", &[]), 0);
    site.stop().await;
}

#[tokio::test]
async fn status_distinguishes_broker_and_head_office() {
    let broker = Scripted::open().await;
    let mut site = Site::new(&Plan { mqtt_url: broker.url(), ..Plan::default() });
    site.start().await;
    sessions(&site, 2).await;
    let status = || site.forecourt(&["status", "--json"]).ok().json();
    until("both are sent", || status()["sent_seq"] == 2).await;
    let now = status();
    assert_eq!((&now["link_up"], &now["acknowledged_seq"], &now["outbox"]), (&json!(true), &json!(0), &json!(2)), "{now}");
    assert_eq!(now["last_receipt_at"], json!(null), "{now}");
    // Half a minute is what head office has for an answer.
    until("the silence is shown", || status()["link_error"].as_str().is_some_and(|error| error.contains("no receipt comes")))
        .await;
    let text = site.forecourt(&["status"]).ok().out;
    assert!(text.contains("broker connected since") && text.contains("BUT:"), "{text}");
    assert!(text.contains("is the head-office subscriber running?"), "{text}");
    assert!(text.contains("outbox 2") && text.contains("2 of them sent") && text.contains("no receipt so far"), "{text}");

    let epoch = site.value("SELECT epoch FROM v_record", &[]).unwrap();
    broker.receipt(&epoch, 2, &json!([]));
    until("all is well", || status()["link_error"].is_null() && status()["outbox"] == 0).await;
    let text = site.forecourt(&["status"]).ok().out;
    assert!(text.contains("outbox empty, last receipt 20"), "{text}");
    site.stop().await;
}

#[tokio::test]
async fn a_rejected_record_is_never_called_confirmed() {
    let broker = Scripted::open().await;
    let mut site = Site::new(&Plan { mqtt_url: broker.url(), ..Plan::default() });
    site.start().await;
    sessions(&site, 2).await;
    broker.saw("both are taken", |seen| seen.contains(&(1, TAKEN)) && seen.contains(&(2, TAKEN))).await;
    let epoch = site.value("SELECT epoch FROM v_record", &[]).unwrap();
    broker.receipt(&epoch, 2, &json!([{"seq": 1, "code": "unknown-tariff"}]));
    until("the receipt is in", || site.count("SELECT count(*) FROM v_record WHERE acknowledged", &[]) == 1).await;

    let session = |seq: u32| site.value(&format!("SELECT session_id FROM v_record WHERE seq = {seq}"), &[]).unwrap();
    let explained = site.forecourt(&["session", "explain", &session(1)]).ok().out;
    assert!(explained.contains("rejected by head office: unknown-tariff"), "{explained}");
    assert!(!explained.contains("confirmed"), "{explained}");
    let explained = site.forecourt(&["session", "explain", &session(2)]).ok().out;
    assert!(explained.contains("confirmed by head office"), "{explained}");
    let records = site.forecourt(&["records", "--json"]).ok().json();
    assert_eq!((&records[0]["acknowledged"], &records[0]["rejected"]), (&json!(false), &json!("unknown-tariff")), "{records}");
    assert_eq!(records[0]["acknowledged_at"], json!(null), "{records}");
    assert_eq!((&records[1]["acknowledged"], &records[1]["rejected"]), (&json!(true), &json!(null)), "{records}");
    let listed = site.forecourt(&["sessions", "--json"]).ok().json();
    let rejected: Vec<_> = listed.as_array().unwrap().iter().map(|row| (&row["acknowledged"], &row["rejected"])).collect();
    assert!(rejected.contains(&(&json!(false), &json!("unknown-tariff"))), "{listed}");
    let outbox = site.forecourt(&["outbox", "list", "--json"]).ok().json();
    assert_eq!((&outbox[0]["seq"], &outbox[0]["state"]), (&json!(1), &json!("rejected")), "{outbox}");
    let status = site.forecourt(&["outbox", "status"]).ok().out;
    assert!(status.contains("rejected by head office: 1"), "{status}");
    site.stop().await;
}

/// An epoch was closed and the broker refuses a record of it: that is offered again for ever, and the present epoch's records go.
#[tokio::test]
async fn a_record_of_a_closed_epoch_that_is_refused_holds_up_no_later_epoch() {
    let broker = Scripted::open().await;
    let mut site = Site::new(&Plan { mqtt_url: broker.url(), ..Plan::default() });
    site.start().await;
    sessions(&site, 3).await;
    broker.saw("all are taken", |seen| (1..=3).all(|seq| seen.contains(&(seq, TAKEN)))).await;
    let old = site.value("SELECT epoch FROM v_record", &[]).unwrap();
    site.stop().await;
    broker.refused.lock().unwrap().insert(3, PAYLOAD_FORMAT_INVALID);
    std::fs::remove_file(site.dir.path().join(format!("key.pem.{SITE}.epoch"))).unwrap();
    site.start().await;
    site.logged(&["ERROR", "a new epoch begins"]).await;
    let fault = "SELECT count(*) FROM v_outbox WHERE epoch = ?1 AND seq = 3 AND state = 'fault' AND fault = 'not-sendable'";
    until("the fault is shown", || site.count(fault, &[&old]) == 1).await;
    let problem = site.value("SELECT subject FROM v_problem WHERE kind = 'record-undelivered'", &[]);
    assert_eq!(problem, Some(format!("record 3 of epoch {old}")));

    // The record that says why there is a new epoch, and the session's.
    sessions(&site, 1).await;
    let status = || site.forecourt(&["status", "--json"]).ok().json();
    until("the present epoch is sent", || status()["last_seq"] == 2 && status()["sent_seq"] == 2).await;
    assert_eq!(site.count(fault, &[&old]), 1);
    let new = site.value("SELECT max(epoch) FROM v_record", &[]).unwrap();
    broker.receipt(&new, 2, &json!([]));
    until("head office has the present epoch", || status()["outbox"] == 0).await;

    // The broker is mended; nobody restarts anything.
    broker.refused.lock().unwrap().clear();
    let taken = broker.seen.borrow().iter().filter(|seen| **seen == (3, TAKEN)).count();
    broker.saw("it is taken", |seen| seen.iter().filter(|seen| **seen == (3, TAKEN)).count() > taken).await;
    until("the fault is gone", || site.count(fault, &[&old]) == 0).await;
    broker.receipt(&old, 3, &json!([{"seq": 1, "code": "unknown-tariff"}]));
    let left = || site.query("SELECT epoch, seq, state, fault FROM v_outbox", &[]);
    let rejected = [Some(old.clone()), Some("1".into()), Some("rejected".into()), Some("unknown-tariff".into())];
    until("head office has the closed epoch, too", || left() == [rejected.clone()]).await;
    site.stop().await;
}

/// What may stand at head office under the same number with other bytes stays here. It is not called rejected, until it is.
#[tokio::test]
async fn a_doubtful_record_of_a_closed_epoch_is_shown_and_can_be_rejected() {
    let broker = Scripted::open().await;
    let mut site = Site::new(&Plan { mqtt_url: broker.url(), ..Plan::default() });
    site.start().await;
    sessions(&site, 2).await;
    broker.saw("both are taken", |seen| seen.contains(&(1, TAKEN)) && seen.contains(&(2, TAKEN))).await;
    let old = site.value("SELECT epoch FROM v_record", &[]).unwrap();
    broker.receipt(&old, 1, &json!([]));
    until("the receipt is in", || site.count("SELECT count(*) FROM v_record WHERE acknowledged", &[]) == 1).await;
    broker.receipt(&old, 5, &json!([]));
    site.logged(&["ERROR", "a new epoch begins", "head office confirms record 5"]).await;

    let left = || site.query("SELECT seq, state, fault FROM v_outbox", &[]);
    let row = |state: &str, fault: &str| [[Some("2".to_owned()), Some(state.to_owned()), Some(fault.to_owned())]];
    until("it is shown", || left() == row("fault", "epoch-closed")).await;
    let problem = site.query("SELECT subject, detail FROM v_problem WHERE kind = 'record-fault'", &[]).remove(0);
    assert_eq!(problem[0], Some(format!("record 2 of epoch {old}")));
    assert!(problem[1].as_ref().unwrap().contains("another record under this number"), "{problem:?}");
    assert_eq!(site.count("SELECT count(*) FROM v_session WHERE rejected IS NOT NULL", &[]), 0);
    let status = site.forecourt(&["outbox", "status"]).ok().out;
    assert!(status.contains("head office may have others under their numbers: 1"), "{status}");
    assert!(!status.contains("rejected") && !status.contains("not taken"), "{status}");

    // The same bytes after all, and of no use to head office.
    broker.receipt(&old, 2, &json!([{"seq": 2, "code": "unknown-tariff"}]));
    until("it is rejected", || left() == row("rejected", "unknown-tariff")).await;
    assert_eq!(site.count("SELECT count(*) FROM v_session WHERE rejected = 'unknown-tariff'", &[]), 1);
    site.stop().await;
}

/// Outside systemd, whatever the umask.
#[tokio::test]
async fn store_and_key_can_be_read_by_nobody_else() {
    let mut site = Site::new(&Plan::default());
    site.umask = Some(0);
    std::fs::write(site.dir.path().join("key.new"), "left behind").unwrap();
    std::fs::set_permissions(site.dir.path().join("key.new"), PermissionsExt::from_mode(0o666)).unwrap();
    site.start().await;
    sessions(&site, 1).await;
    let mode = |name: &str| site.dir.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
    for name in ["forecourt.db", "forecourt.db-wal", "forecourt.db-shm", "key.pem", &format!("key.pem.{SITE}.epoch")] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    site.stop().await;

    // An operator lets the group read; that is respected. Anybody is too many.
    for name in ["forecourt.db", "forecourt.db-wal", "forecourt.db-shm"] {
        std::fs::set_permissions(site.dir.path().join(name), PermissionsExt::from_mode(0o640)).unwrap();
    }
    site.start().await;
    assert!(!site.log().iter().any(|line| line.contains("WARN")), "{:?}", site.log());
    let mode = |name: &str| site.dir.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("forecourt.db"), mode("forecourt.db-wal")), (0o640, 0o640));
    site.stop().await;
    std::fs::set_permissions(site.store(), PermissionsExt::from_mode(0o644)).unwrap();
    site.start().await;
    site.logged(&["WARN", "other users can read", "forecourt.db (644)", "chmod 600"]).await;
    site.stop().await;
}

#[tokio::test]
async fn a_pin_is_masked_whole_in_record_and_views() {
    // Its last four characters stand in no number, hash or signature by chance.
    const PIN: &str = "7319:6|2";
    let mut site = Site::running().await;
    let mut station = Socket::station(site.port, "CP-2", "ocpp2.0.1").await;
    let (action, mut payload) = transaction::start("ocpp2.0.1", "tx-1", 1_000, "2026-11-20T08:00:00Z");
    payload["idToken"] = json!({"idToken": PIN, "type": "KeyCode"});
    let answer = station.call("a", action, payload).await;
    let (action, mut payload) = transaction::stop("ocpp2.0.1", "tx-1", &answer, 6_000, "2026-11-20T08:30:00Z");
    payload["idToken"] = json!({"idToken": PIN, "type": "KeyCode"});
    station.call("b", action, payload).await;
    until("it is billed", || site.count("SELECT count(*) FROM v_record", &[]) == 1).await;
    for command in [
        &["record", "show", "1"][..],
        &["sessions", "--json"],
        &["session", "explain", "1"],
        &["records", "--json"],
        &["status", "--json"],
    ] {
        let said = site.forecourt(command).ok();
        assert!(!said.out.contains(":6|2"), "{said:?}");
    }
    assert_eq!(
        site.query("SELECT token FROM v_session UNION ALL SELECT token FROM v_token", &[]),
        vec![vec![Some("…".into())]; 2]
    );
    assert!(!site.log().iter().any(|line| line.contains(":6|2")));
    site.stop().await;
}
