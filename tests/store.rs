//! The store under a disk that fails, under people who move its files, and after an older copy of it was put back.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use chrono::{TimeDelta, Utc};
use rusqlite::Connection;
use serde_json::{Value, json};
use simulators::Broker;
use simulators::office::{self, Office};
use support::disk::FaultyDisk;
use support::socket::{Refused, Socket};
use support::{BINARY, PATIENCE, Plan, SITE, Site, run_to_end, until};
use tokio_tungstenite::tungstenite::Message;

fn transfer(id: &str) -> String {
    json!([2, id, "DataTransfer", {"vendorId": "x"}]).to_string()
}

/// Whether a frame gets an answer before the connection ends.
async fn is_answered(station: &mut Socket, frame: &str) -> bool {
    station.send_frame(Message::text(frame.to_owned())).await.is_ok() && station.text().await.is_some()
}

fn calls(site: &Site) -> Vec<String> {
    site.query("SELECT call_id FROM v_message ORDER BY message_id", &[]).into_iter().filter_map(|row| row[0].clone()).collect()
}

/// The page cache keeps what a failed fsync did not bring to disk, and the next start reads it from there. Before anything is
/// answered on top of it, it must be on disk.
#[tokio::test]
async fn what_was_answered_after_a_failed_fsync_survives_a_power_cut() {
    let mut site = Site::new(&Plan::default());
    let disk = FaultyDisk::under(&mut site);
    site.start().await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    station.ask(&transfer("before")).await;
    disk.fail("fsync-fails");
    assert!(!is_answered(&mut station, &transfer("lost")).await);
    let (status, log) = site.ended().await;
    assert_eq!(status.code(), Some(1), "{}", log.join("\n"));

    // While the disk still fails, there is no start; that may pass, so the supervisor tries again.
    site.spawn();
    let (status, log) = site.ended().await;
    assert_eq!(status.code(), Some(75), "{}", log.join("\n"));
    assert!(log.iter().any(|line| line.contains("cannot be made safe against a power cut")), "{}", log.join("\n"));

    disk.mend("fsync-fails");
    site.start().await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    for id in ["after-1", "after-2", "after-3"] {
        station.ask(&transfer(id)).await;
    }
    disk.power_cut(&mut site);
    site.start().await;
    let stored = calls(&site);
    for id in ["before", "after-1", "after-2", "after-3"] {
        assert!(stored.iter().any(|call| call == id), "{id} was answered and is lost: {stored:?}");
    }
    site.stop().await;
}

#[tokio::test]
async fn a_full_disk_turns_stations_away_and_what_is_shown_afterwards_is_true() {
    let mut site = Site::new(&Plan::default());
    let disk = FaultyDisk::under(&mut site);
    site.start().await;
    let mut speaks = Socket::station(site.port, "SPEAKS", "ocpp1.6").await;
    let mut leaves = Socket::station(site.port, "LEAVES", "ocpp1.6").await;
    speaks.ask(&transfer("1")).await;
    leaves.ask(&transfer("1")).await;
    assert_eq!(site.forecourt(&["status", "--json"]).ok().json()["store_commits"], json!(true));

    disk.fail("full");
    assert!(!is_answered(&mut speaks, &transfer("2")).await);
    site.logged(&["commit failed"]).await;
    let refused = Socket::open(site.port, "/ocpp/NEW", &["ocpp1.6"]).await.err();
    assert!(matches!(&refused, Some(Refused(503, _))), "{refused:?}");
    let status = site.forecourt(&["status"]);
    assert!(status.code == 75 && status.out.contains("THE STORE CANNOT COMMIT"), "{status:?}");
    let status = site.forecourt(&["status", "--json"]);
    let facts = status.json();
    assert_eq!((status.code, &facts["daemon_running"], &facts["store_commits"]), (75, &json!(true), &json!(false)));
    // It goes while nothing can be written.
    drop(leaves);
    site.logged(&["station disconnected", "LEAVES"]).await;

    disk.mend("full");
    site.logged(&["store commits again"]).await;
    let connected = || site.count("SELECT count(*) FROM v_station WHERE connected", &[]);
    until("nobody is shown as connected who is not", || connected() == 0).await;
    let mut speaks = Socket::station(site.port, "SPEAKS", "ocpp1.6").await;
    speaks.ask(&transfer("2")).await;
    assert_eq!(connected(), 1);
    site.forecourt(&["status"]).ok();
    assert_eq!(calls(&site), ["1", "1", "2"]);
    site.stop().await;
}

#[tokio::test]
async fn what_may_pass_ends_a_start_with_75() {
    let mut site = Site::running().await;
    site.no_replay = Some("its bytes are overwritten");
    let mut second = site.command(&["run"]);
    let taken = run_to_end(&mut second);
    assert!(taken.code == 75 && taken.err.contains("in use"), "{taken:?}");
    site.stop().await;
    let disk = FaultyDisk::under(&mut site);
    disk.fail("full");
    site.spawn();
    let (status, log) = site.ended().await;
    assert_eq!(status.code(), Some(75), "{}", log.join("\n"));
    disk.mend("full");
    site.start().await;
    site.stop().await;
    // This does not pass by itself.
    std::fs::write(site.store(), "not a database, and long enough that nobody takes it for an empty one".repeat(20)).unwrap();
    site.spawn();
    assert_eq!(site.ended().await.0.code(), Some(5));
}

#[tokio::test]
async fn a_store_has_one_daemon_by_whatever_name() {
    let mut site = Site::running().await;
    let (soft, hard) = (site.dir.path().join("soft.db"), site.dir.path().join("hard.db"));
    std::os::unix::fs::symlink(site.store(), &soft).unwrap();
    std::fs::hard_link(site.store(), &hard).unwrap();
    let _ = std::fs::remove_file(site.dir.path().join("forecourt.db.lock"));
    for name in [site.store(), soft, hard] {
        let mut second = Command::new(BINARY);
        second.arg("--config").arg(site.config()).arg("--store").arg(&name).arg("run");
        second.env("FORECOURT__OCPP__LISTEN", "127.0.0.1:0").current_dir(site.dir.path());
        let refused = run_to_end(&mut second);
        assert!(refused.code == 5 && refused.err.contains("another forecourt process"), "{}: {refused:?}", name.display());
    }
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    station.ask(&transfer("1")).await;
    site.stop().await;
}

#[tokio::test]
async fn nothing_is_answered_into_a_store_that_was_taken_away() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm, &str, bool); 3] = [
        ("the store is removed", |store| std::fs::remove_file(store).unwrap(), "was removed", false),
        (
            "another file takes its place",
            |store| {
                let copy = store.with_extension("copy");
                std::fs::copy(store, &copy).unwrap();
                std::fs::rename(copy, store).unwrap();
            },
            "was replaced",
            false,
        ),
        ("its log is removed", |store| std::fs::remove_file(store.with_extension("db-wal")).unwrap(), "was removed", true),
    ];
    for (what, harm, said, kept) in harms {
        let mut site = Site::running().await;
        let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
        station.ask(&transfer("1")).await;
        harm(&site.store());
        assert!(!is_answered(&mut station, &transfer("2")).await, "{what}");
        let (status, log) = site.ended().await;
        assert_eq!(status.code(), Some(1), "{what}");
        assert!(log.iter().any(|line| line.starts_with("forecourt: ") && line.contains(said)), "{what}: {}", log.join("\n"));
        site.start().await;
        if kept {
            assert_eq!(calls(&site)[0], "1", "{what}: what was answered is there");
        }
        let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
        station.ask(&transfer("2")).await;
        site.stop().await;
    }
}

/// A fault of ours in one message: the others of its group are answered, it stays unanswered and is kept for a person.
#[tokio::test]
async fn a_message_that_cannot_be_applied_fails_alone_and_is_kept() {
    let mut site = Site::running().await;
    let trap = "CREATE TRIGGER trap BEFORE INSERT ON message WHEN NEW.text LIKE '%faulty%' AND NEW.answer IS NOT NULL \
                BEGIN SELECT RAISE(ABORT, 'a trap of the test'); END";
    Connection::open(site.store()).unwrap().execute_batch(trap).unwrap();
    let mut stations = Vec::new();
    for number in 0..8 {
        stations.push(Socket::station(site.port, &format!("CP-{number}"), "ocpp1.6").await);
    }
    let mut culprit = Socket::station(site.port, "CULPRIT", "ocpp1.6").await;
    // The first one fails its whole group; from then on it fails alone.
    assert!(!is_answered(&mut culprit, &transfer("faulty-1")).await);
    let mut culprit = Socket::station(site.port, "CULPRIT", "ocpp1.6").await;
    for station in &mut stations {
        station.send(&transfer("good")).await;
    }
    assert!(!is_answered(&mut culprit, &transfer("faulty-2")).await);
    for station in &mut stations {
        assert!(station.text().await.is_some(), "others are not disturbed");
    }
    let kept = "SELECT count(*) FROM v_message WHERE station = 'CULPRIT' AND answer IS NULL AND findings LIKE '%internal-error%'";
    until("the message is kept in quarantine", || site.count(kept, &[]) >= 1).await;
    assert_eq!(site.count("SELECT count(*) FROM v_problem WHERE kind = 'internal-error' AND severity = 'critical'", &[]), 1);
    until("whoever is gone is shown as gone", || {
        site.count("SELECT count(*) FROM v_station WHERE connected AND station = 'CULPRIT'", &[]) == 0
    })
    .await;
    assert_eq!(site.count("SELECT count(*) FROM v_message WHERE call_id = 'good'", &[]), 8);
    site.stop().await;
}

// ---- older copies ------------------------------------------------------------------------------------------------------------

/// A station that nobody knew comes, charges 1 kWh and goes; the transaction id.
async fn one_session(site: &Site) -> String {
    let mut station = Socket::station(site.port, &format!("CP-{}", fastrand::u32(..)), "ocpp1.6").await;
    let at = |minutes: i64| Utc::now() - TimeDelta::minutes(minutes);
    let start = json!({"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": at(30)});
    let tx = station.call("1", "StartTransaction", start).await["transactionId"].clone();
    station.call("2", "StopTransaction", json!({"transactionId": tx, "meterStop": 1000, "timestamp": at(0)})).await;
    site.settled().await;
    tx.to_string()
}

/// A copy that a careful person takes.
fn back_up(site: &Site, to: &Path) {
    let store = Connection::open(site.store()).unwrap();
    store.execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
}

/// Puts it back into the same file, so that not even its inode shows it.
fn put_back(site: &Site, from: &Path) {
    for ending in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(site.store().with_extension(ending));
    }
    std::fs::copy(from, site.store()).unwrap();
}

fn epochs(site: &Site) -> Vec<Vec<Option<String>>> {
    site.query("SELECT epoch, count(*) FROM v_record GROUP BY epoch ORDER BY epoch", &[])
}

/// No number came to head office with two contents, and no session name.
fn one_of_each(office: &Office) {
    let records = office.records();
    let numbers: BTreeSet<_> = records.iter().map(|record| (record.epoch, record.seq)).collect();
    assert_eq!(numbers.len(), records.len());
    let names: Vec<_> = records.iter().filter_map(|record| record.text("/session/session_id")).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    assert_eq!(office.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn an_older_copy_of_the_store_begins_a_new_epoch() {
    let broker = Broker::start().await.unwrap();
    let office = Office::open(office::Options::new(broker.url())).await.unwrap();
    let mut site = Site::new(&Plan { mqtt_url: broker.url(), ..Plan::default() });
    let copy = site.dir.path().join("backup.db");
    site.start().await;
    let mut given = vec![one_session(&site).await];
    office.until_verified(1, PATIENCE).await.unwrap();
    back_up(&site, &copy);
    for _ in 0..3 {
        given.push(one_session(&site).await);
    }
    office.until_verified(4, PATIENCE).await.unwrap();
    let first = site.value("SELECT max(epoch) FROM v_record", &[]).unwrap();
    site.kill9();

    put_back(&site, &copy);
    site.start().await;
    site.logged(&["ERROR", "a new epoch begins", "older copy"]).await;
    given.push(one_session(&site).await);
    // The first record of the new epoch says why there is one; then the session's.
    office.until_verified(6, PATIENCE).await.unwrap();
    let second = site.value("SELECT max(epoch) FROM v_record", &[]).unwrap();
    assert!(second > first);
    assert_eq!(epochs(&site), [[Some(first), Some("1".into())], [Some(second.clone()), Some("2".into())]]);
    let kinds = site.query("SELECT kind, prev IS NULL FROM v_record WHERE epoch = ?1 ORDER BY seq", &[&second]);
    assert_eq!(kinds[0], [Some("gateway-change".into()), Some("1".into())]);
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len(), "a transaction id was given twice: {given:?}");
    one_of_each(&office);
    until("head office confirms all that the copy had", || site.count("SELECT count(*) FROM v_outbox", &[]) == 0).await;
    assert_eq!(site.count("SELECT count(*) FROM v_problem WHERE kind = 'new-epoch' AND detail LIKE '%older copy%'", &[]), 1);
    let status = site.forecourt(&["status"]).ok();
    assert!(status.out.contains("new epoch since") && status.out.contains("older copy"), "{status:?}");
    assert_eq!(site.forecourt(&["status", "--json"]).ok().json()["epoch_reason"], json!("older-copy"));
    site.forecourt(&["verify", "--all"]).ok();
    site.stop().await;

    // Nothing new happens when nothing happened; and the same copy again is found out again.
    site.start().await;
    assert!(site.log().iter().all(|line| !line.contains("a new epoch begins")));
    site.stop().await;
    put_back(&site, &copy);
    site.start().await;
    site.logged(&["ERROR", "a new epoch begins", "older copy"]).await;
    one_session(&site).await;
    office.until_verified(8, PATIENCE).await.unwrap();
    one_of_each(&office);
    site.stop().await;
}

/// Store and epoch file together are from yesterday: only head office knows better.
#[tokio::test]
async fn a_receipt_beyond_the_last_record_begins_a_new_epoch() {
    let broker = Broker::start().await.unwrap();
    let office = Office::open(office::Options::new(broker.url())).await.unwrap();
    let mut site = Site::new(&Plan { mqtt_url: broker.url(), ..Plan::default() });
    let (copy, epoch_file) = (site.dir.path().join("backup.db"), site.dir.path().join(format!("key.pem.{SITE}.epoch")));
    site.start().await;
    one_session(&site).await;
    office.until_verified(1, PATIENCE).await.unwrap();
    back_up(&site, &copy);
    let known = std::fs::read(&epoch_file).unwrap();
    for _ in 0..2 {
        one_session(&site).await;
    }
    office.until_verified(3, PATIENCE).await.unwrap();
    until("head office's receipt has come", || site.count("SELECT count(*) FROM v_outbox", &[]) == 0).await;
    site.stop().await;

    put_back(&site, &copy);
    std::fs::write(&epoch_file, known).unwrap();
    site.start().await;
    site.logged(&["ERROR", "a new epoch begins", "head office confirms record 3"]).await;
    one_session(&site).await;
    office.until_verified(5, PATIENCE).await.unwrap();
    assert_eq!(office.faults(), Vec::<String>::new());
    assert_eq!(epochs(&site).len(), 2);
    site.stop().await;
}

/// A session that had ended in the copy without a record may have been billed since: it is not billed again.
#[tokio::test]
async fn what_may_have_been_billed_already_is_held() {
    let mut site = Site::new(&Plan::default());
    site.no_replay = Some("the test takes a bill out of it");
    site.start().await;
    let copy = site.dir.path().join("backup.db");
    one_session(&site).await;
    back_up(&site, &copy);
    one_session(&site).await;
    site.stop().await;
    // As it was between the end of the session and its bill.
    Connection::open(&copy)
        .unwrap()
        .execute_batch("UPDATE session SET settled = NULL, settle_after = 0; DELETE FROM record")
        .unwrap();
    put_back(&site, &copy);
    site.start().await;
    site.settled().await;
    let held = site.query("SELECT state, hold_reason FROM v_session", &[]);
    assert_eq!(held, [[Some("held".to_owned()), Some("store-copied".to_owned())]]);
    site.stop().await;
}

/// The schema itself forbids it, whoever writes: a session is charged once, and once more for each credit of a charge.
#[tokio::test]
async fn a_second_charge_is_refused_while_the_first_stands() {
    let mut site = Site::running().await;
    let tx = one_session(&site).await;
    let shown = |site: &Site| {
        let mut explained = site.forecourt(&["session", "explain", &tx, "--json"]).ok().json();
        assert_eq!(explained["lines"].as_array().unwrap().len(), 1);
        explained["records"].take();
        (explained, site.query("SELECT * FROM v_session", &[]))
    };
    site.no_replay = Some("the test writes records into it");
    site.stop().await;
    let before = shown(&site);
    let store = Connection::open(site.store()).unwrap();
    let insert = |seq: i64, kind: &str, id: &str, reference: Option<&str>| {
        let sql = "INSERT INTO record (epoch, seq, kind, record_id, session, created_at, hash, lines, jws, reference) \
             SELECT epoch, ?1, ?2, ?3, session, created_at, hash, lines, jws, ?4 FROM record WHERE seq = 1";
        store.execute(sql, rusqlite::params![seq, kind, id, reference]).map_err(|error| error.to_string())
    };
    let stands = Err("the session has a charge that no credit takes back".to_owned());
    let first: String = store.query_row("SELECT record_id FROM record", [], |row| row.get(0)).unwrap();
    assert_eq!(insert(2, "charge", "second", None), stands);
    assert_eq!(insert(2, "credit", "back", Some("another")), Err("a credit names a charge of its session".to_owned()));
    assert_eq!(insert(2, "credit", "back", Some(&first)), Ok(1));
    assert_eq!(insert(3, "credit", "again", Some(&first)), Err("the charge is taken back already".to_owned()));
    assert_eq!(insert(3, "charge", "second", None), Ok(1));
    assert_eq!(insert(4, "charge", "third", None), stands);
    // Two charges are not two sessions.
    assert_eq!(shown(&site), before);
}

/// Moved by copying: nobody knows whether the other one went on.
#[tokio::test]
async fn a_copied_store_and_a_missing_epoch_file_begin_new_epochs() {
    let mut site = Site::running().await;
    one_session(&site).await;
    site.stop().await;
    let reason = |site: &Site| site.forecourt(&["status", "--json"]).ok().json()["epoch_reason"].clone();
    assert_eq!(reason(&site), Value::Null);

    let elsewhere = site.store().with_extension("moved");
    std::fs::copy(site.store(), &elsewhere).unwrap();
    std::fs::rename(elsewhere, site.store()).unwrap();
    site.start().await;
    assert_eq!(reason(&site), json!("copied"));
    site.stop().await;

    std::fs::remove_file(site.dir.path().join(format!("key.pem.{SITE}.epoch"))).unwrap();
    site.start().await;
    assert_eq!(reason(&site), json!("epoch-file-missing"));
    site.stop().await;

    std::fs::remove_file(site.store()).unwrap();
    site.start().await;
    assert_eq!(reason(&site), json!("store-missing"));
    one_session(&site).await;
    site.forecourt(&["verify", "--all"]).ok();
    site.stop().await;
}

// ---- damage -------------------------------------------------------------------------------------------------------------------

/// Changes bytes of the store's file where a text stands, wherever that is; the file has no log to hide them.
fn damage(site: &Site, find: &str, replace: &[u8]) {
    let store = Connection::open(site.store()).unwrap();
    store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(store);
    let mut bytes = std::fs::read(site.store()).unwrap();
    let places: Vec<usize> = (0..bytes.len() - find.len()).filter(|at| bytes[*at..].starts_with(find.as_bytes())).collect();
    assert!(!places.is_empty(), "{find} is not in the store");
    for place in places {
        bytes[place..place + replace.len()].copy_from_slice(replace);
    }
    std::fs::write(site.store(), bytes).unwrap();
}

#[tokio::test]
async fn a_bad_byte_stops_no_start_and_no_bill_rests_on_it() {
    let mut site = Site::running().await;
    site.no_replay = Some("a byte of it is altered");
    let at = |minutes: i64| Utc::now() - TimeDelta::minutes(minutes);
    let mut transactions = Vec::new();
    for (station, token) in [("CP-1", "DAMAGEDTOKEN"), ("CP-2", "SOUND")] {
        let mut socket = Socket::station(site.port, station, "ocpp1.6").await;
        let start = json!({"connectorId": 1, "idTag": token, "meterStart": 0, "timestamp": at(30)});
        transactions.push(socket.call("1", "StartTransaction", start).await["transactionId"].clone());
    }
    let first = site.count("SELECT min(message_id) FROM v_message WHERE station = 'CP-1'", &[]);
    site.stop().await;
    site.forecourt(&["verify", "--all"]).ok();

    // In the session, too, the name now is another driver's.
    damage(&site, "DAMAGEDTOKEN", b"DAMAGED\xffOKEN");
    let found = site.forecourt(&["verify", "--all"]);
    assert_eq!(found.code, 6, "{found:?}");
    assert!(found.err.contains(&format!("message {first}: its row was altered")), "{found:?}");
    assert!(found.err.contains("session S-") && found.out.contains("NOT good"), "{found:?}");

    site.start().await;
    site.logged(&["ERROR", "altered on the disk"]).await;
    for (station, transaction) in ["CP-1", "CP-2"].iter().zip(transactions) {
        let mut socket = Socket::station(site.port, station, "ocpp1.6").await;
        let stop = json!({"transactionId": transaction, "meterStop": 1000, "timestamp": at(0)});
        socket.call("2", "StopTransaction", stop).await;
    }
    let state =
        |station: &str| site.query("SELECT state, hold_reason, hold_detail FROM v_session WHERE station = ?1", &[&station]);
    until("the damaged session is held", || state("CP-1")[0][0].as_deref() == Some("held")).await;
    let held = state("CP-1").remove(0);
    assert_eq!(held[1].as_deref(), Some("evidence-damaged"));
    assert!(held[2].as_ref().unwrap().contains(&format!("message {first}")), "{held:?}");
    until("the sound one is billed", || site.count("SELECT count(*) FROM v_record", &[]) == 1).await;
    assert_eq!(site.count("SELECT count(*) FROM v_problem WHERE kind = 'store-damaged'", &[]), 1);
    site.stop().await;
}

/// What a session was to be priced by is not what it was locked to.
#[tokio::test]
async fn a_damaged_tariff_prices_nothing() {
    let mut site = Site::running().await;
    site.no_replay = Some("a tariff in it is altered");
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    let at = |minutes: i64| Utc::now() - TimeDelta::minutes(minutes);
    let start = json!({"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": at(30)});
    let transaction = station.call("1", "StartTransaction", start).await["transactionId"].clone();
    site.stop().await;
    damage(&site, "\"price\":0.40", b"\"price\":9.40");
    site.start().await;
    let mut station = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    station.call("2", "StopTransaction", json!({"transactionId": transaction, "meterStop": 1000, "timestamp": at(0)})).await;
    let held = "SELECT count(*) FROM v_session WHERE state = 'held' AND hold_reason = 'evidence-damaged'";
    until("the session is held", || site.count(held, &[]) == 1).await;
    assert_eq!(site.forecourt(&["verify", "--all"]).code, 6);
    site.stop().await;
}
