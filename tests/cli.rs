//! The command line on the real binary: every read while the daemon runs and while it is down, exit codes, altered records, and the
//! store as plain SQLite.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use chrono::{TimeDelta, Utc};
use rusqlite::Connection;
use serde_json::{Value, json};
use support::socket::Socket;
use support::transaction::{start, stop};
use support::{BINARY, CommandOutput, Plan, Site, run_to_end, tools};

/// A running site with three billed sessions, one held, one open. Returns the ids of a billed, the held and the open session.
async fn busy() -> (Site, [String; 3]) {
    let site = Site::running().await;
    let at = |minutes: i64| (Utc::now() - TimeDelta::minutes(minutes)).to_rfc3339();
    for (station, version, first, last) in [
        ("CP-1", "ocpp1.6", 0, Some(1000)),
        ("CP-2", "ocpp2.0.1", 0, Some(2000)),
        ("CP-3", "ocpp2.1", 0, Some(3000)),
        ("CP-4", "ocpp1.6", 5000, Some(4000)),
        ("CP-5", "ocpp2.0.1", 0, None),
    ] {
        let mut socket = Socket::station(site.port, station, version).await;
        let (action, payload) = start(version, station, first, &at(60));
        let answer = socket.call("1", action, payload).await;
        if let Some(last) = last {
            let (action, payload) = stop(version, station, &answer, last, &at(1));
            socket.call("2", action, payload).await;
        }
    }
    site.settled().await;
    let named = |station: &str| site.value("SELECT session_id FROM v_session WHERE station = ?1", &[&station]).unwrap();
    let ids = ["CP-1", "CP-4", "CP-5"].map(named);
    (site, ids)
}

#[tokio::test]
async fn every_read_works_while_the_daemon_runs_and_while_it_is_down() {
    let (mut site, [billed, held, open]) = busy().await;
    reads(&site, true, [&billed, &held, &open]);
    site.stop().await;
    reads(&site, false, [&billed, &held, &open]);
    // A crash leaves a journal behind, which a reader has to understand too.
    site.start().await;
    site.kill9();
    reads(&site, false, [&billed, &held, &open]);
}

fn reads(site: &Site, running: bool, [billed, held, open]: [&str; 3]) {
    let json = |args: &[&str]| site.forecourt(&[args, &["--json"]].concat()).ok().json();
    let status = json(&["status"]);
    assert_eq!(status["daemon_running"], json!(running));
    for (name, value) in [("last_seq", 3), ("outbox", 3), ("open_sessions", 1), ("held_sessions", 1), ("unsettled_sessions", 0)] {
        assert_eq!(status[name], json!(value), "{name}");
    }
    assert_eq!(json(&["outbox", "status"])["acknowledged_seq"], json!(0));

    for (args, view, count) in [
        (&["stations"][..], "v_station", 5),
        (&["sessions"], "v_session", 5),
        (&["sessions", "--state", "done"], "v_session", 3),
        (&["sessions", "--state", "held"], "v_session", 1),
        (&["sessions", "--station", "cp-5", "--since", "2h"], "v_session", 1),
        (&["sessions", "--until", "2020-01-01"], "v_session", 0),
        (&["sessions", "--limit", "2"], "v_session", 2),
        (&["records"], "v_record", 3),
        (&["records", "--from", "2", "--to", "2"], "v_record", 1),
        (&["outbox", "list"], "v_outbox", 3),
    ] {
        listing(site, args, view, count);
    }

    for (id, state) in [(billed, "done"), (held, "held"), (open, "open")] {
        for verb in ["show", "explain"] {
            let session = json(&["session", verb, id]);
            assert_eq!((&session["session"]["session_id"], &session["session"]["state"]), (&json!(id), &json!(state)));
            let columns: BTreeSet<String> = session["session"].as_object().unwrap().keys().cloned().collect();
            assert_eq!(columns, columns_of(site, "v_session"));
        }
    }
    let lines = json(&["session", "show", billed])["lines"].clone();
    // 1 kWh at 0.40 EUR; VAT 0.076, 0.08.
    assert_eq!(
        (&lines[0]["amount_excl_vat"], &lines[0]["vat"], &lines[0]["amount_incl_vat"]),
        (&json!("0.40"), &json!("0.08"), &json!("0.48"))
    );
    assert_eq!(json(&["session", "show", billed])["messages"].as_array().unwrap().len(), 2);
    assert!(json(&["session", "explain", held])["hold_meaning"].as_str().unwrap().contains("register"));
    // A session has several names.
    let number = json(&["session", "show", billed])["session"]["record_seq"].to_string();
    assert_eq!(json(&["session", "show", &number])["session"]["session_id"], json!(billed));
    assert_eq!(json(&["session", "show", "CP-5"])["session"]["session_id"], json!(open));

    let record = json(&["record", "show", "2"]);
    assert_eq!((&record["schema"], &record["seq"], &record["kind"]), (&json!("forecourt.record/1"), &json!(2), &json!("charge")));
    assert_eq!(json(&["record", "verify", "2"])["ok"], json!(true));
    assert_eq!(
        json(&["verify", "--all"]),
        json!({"ok": true, "records": 3, "keys": 1, "faults": [], "notices": [], "fault_count": 0})
    );
    assert_eq!(json(&["check"])["ok"], json!(true));
    for args in
        [&["status"][..], &["session", "show", billed], &["record", "show", "1"], &["verify", "--all"], &["outbox", "status"]]
    {
        assert!(!site.forecourt(args).ok().out.trim().is_empty(), "{args:?}");
    }
    let store = site.store();
    let by_store = run_to_end(Command::new(BINARY).args(["--store", store.to_str().unwrap(), "status", "--json"])).ok().json();
    assert_eq!(by_store["last_seq"], json!(3));
}

/// A list in all its forms: the same rows, with the columns of the view.
fn listing(site: &Site, args: &[&str], view: &str, count: usize) {
    let ask = |form: &str| site.forecourt(&[args, &[form]].concat()).ok();
    let rows = ask("--json").json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), count, "{args:?}");
    let promised = columns_of(site, view);
    for row in rows {
        assert_eq!(row.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), promised, "{args:?}");
    }
    let lines: Vec<Value> = ask("--jsonl").out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&lines, rows, "{args:?}");
    let csv = ask("--csv").out;
    let header: BTreeSet<String> = csv.lines().next().unwrap().split(',').map(str::to_owned).collect();
    assert_eq!(header, promised, "{args:?}");
    assert_eq!(csv.lines().count(), count + 1, "{args:?}: {csv}");
    site.forecourt(args).ok();
}

fn columns_of(site: &Site, view: &str) -> BTreeSet<String> {
    site.query("SELECT name FROM pragma_table_info(?1)", &[&view]).into_iter().map(|row| row[0].clone().unwrap()).collect()
}

#[tokio::test]
async fn the_store_is_plain_sqlite_with_every_column_of_its_views_explained() {
    let (mut site, _) = busy().await;
    let views: BTreeSet<String> = site
        .query("SELECT name FROM sqlite_schema WHERE type = 'view'", &[])
        .into_iter()
        .map(|row| row[0].clone().unwrap())
        .collect();
    for promised in ["v_station", "v_session", "v_meter_value", "v_message", "v_record", "v_price_line", "v_outbox", "v_problem"]
    {
        assert!(views.contains(promised), "{promised} is missing");
    }
    for view in &views {
        let documented = site.query("SELECT \"column\" FROM doc WHERE view = ?1", &[view]);
        let documented: BTreeSet<String> = documented.into_iter().map(|row| row[0].clone().unwrap()).collect();
        assert_eq!(documented, columns_of(&site, view), "doc of {view}");
    }
    assert_eq!(site.count("SELECT count(*) FROM doc WHERE unit = '' AND meaning = ''", &[]), 0);
    let strange = site.query("SELECT DISTINCT view FROM doc", &[]);
    assert!(strange.iter().all(|row| views.contains(row[0].as_deref().unwrap())), "{strange:?}");

    let Some(sqlite3) = tools::tool("sqlite3") else { return };
    let read = |site: &Site| {
        for view in &views {
            let sql = format!("SELECT * FROM {view}");
            run_to_end(Command::new(&sqlite3).arg("-readonly").arg(site.store()).arg(sql)).ok();
        }
        let sum = "SELECT count(*), sum(energy_wh) FROM v_session WHERE record_seq IS NOT NULL; PRAGMA integrity_check";
        run_to_end(Command::new(&sqlite3).arg("-readonly").arg(site.store()).arg(sum)).ok().out
    };
    assert_eq!(read(&site), "3|6000\nok\n");
    site.stop().await;
    assert_eq!(read(&site), "3|6000\nok\n");
}

#[tokio::test]
async fn what_is_not_there_is_3_and_what_is_not_understood_is_2() {
    let (mut site, _) = busy().await;
    let code = |args: &[&str]| site.forecourt(args).code;
    for args in [
        &["session", "show", "S-19990101-0001"][..],
        &["session", "explain", "nobody", "--json"],
        &["record", "show", "99"],
        &["record", "verify", "0"],
        &["record", "show", "1", "--epoch", "5"],
        &["verify", "--file", "no-such-file"],
    ] {
        assert_eq!(code(args), 3, "{args:?}");
    }
    let missing = site.forecourt(&["session", "show", "S-19990101-0001"]);
    assert!(missing.out.is_empty() && missing.err.contains("S-19990101-0001"), "{missing:?}");
    for args in [
        &["sessions", "--since", "yesterday-ish"][..],
        &["sessions", "--state", "lost"],
        &["frobnicate"],
        &["verify"],
        &["status", "--json", "--csv"],
    ] {
        assert_eq!(code(args), 2, "{args:?}");
    }
    site.stop().await;
}

#[tokio::test]
async fn a_wrong_configuration_is_4_and_says_where() {
    let site = Site::new(&Plan::default());
    let good = std::fs::read_to_string(site.config()).unwrap();
    let line = 1 + good.lines().position(|line| line.starts_with("listen")).unwrap();
    for (from, to, words) in [
        ("listen =", "lissten =", &["lissten", "listen"][..]),
        ("[ocpp]", "[ocp]", &["ocp", "ocpp"]),
        ("time_zone = \"Europe/Berlin\"", "time_zone = \"Europe/Atlantis\"", &["time_zone", "Europe/Atlantis"]),
        ("default = \"plain\"", "default = \"fancy\"", &["fancy", "plain"]),
        ("[ocpp]", "[ocpp", &["forecourt.toml"]),
        ("currency = \"EUR\"", "currency = \"EURO\"", &["currency", "EURO"]),
    ] {
        std::fs::write(site.config(), good.replace(from, to)).unwrap();
        for command in [&["check"][..], &["run"]] {
            let said = site.forecourt(command);
            assert_eq!(said.code, 4, "{to}: {said:?}");
            assert!(words.iter().all(|word| said.err.contains(word)), "{to}: {said:?}");
        }
        let said = site.forecourt(&["check", "--json"]);
        assert_eq!((said.code, &said.json()["ok"]), (4, &json!(false)), "{to}");
        if to == "lissten =" {
            let place = format!("forecourt.toml:{line}");
            assert!(site.forecourt(&["check"]).err.contains(&place), "{place}");
        }
    }
    std::fs::write(site.config(), &good).unwrap();
    site.forecourt(&["check"]).ok();
    assert!(!site.store().exists(), "a check makes nothing");
    let said = run_to_end(
        site.command(&["check"])
            .env("FORECOURT__MQTT__URL", "mqtts://mq.example")
            .env("FORECOURT__MQTT__CA_FILE", "/nowhere/ca.pem"),
    );
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.err.contains("mqtt.ca_file /nowhere/ca.pem"), "{said:?}");
    std::fs::write(site.dir.path().join("tariffs/broken.json"), "{\"id\":").unwrap();
    let said = site.forecourt(&["check"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.err.contains("broken.json"), "{said:?}");
    assert_eq!(said_at(Path::new("/nowhere/forecourt.toml"), &["check"]).code, 4);
}

fn said_at(config: &Path, args: &[&str]) -> CommandOutput {
    run_to_end(Command::new(BINARY).arg("--config").arg(config).args(args))
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_5_and_says_why() {
    let mut site = Site::new(&Plan::default());
    site.no_replay = Some("its bytes are overwritten");
    let fails = |site: &Site, args: &[&str], why: &str| {
        let said = site.forecourt(args);
        assert_eq!(said.code, 5, "{args:?}: {said:?}");
        assert!(said.err.contains(why), "{args:?}: {said:?}");
    };
    fails(&site, &["status"], "no such file");
    assert!(!site.store().exists(), "a read makes no store");

    site.start().await;
    // With the same configuration it is the port that is taken; with another port it is the store.
    let second = site.forecourt(&["run"]);
    assert!(second.code != 0 && second.err.contains(&site.port.to_string()), "{second:?}");
    let listen = format!("127.0.0.1:{}", support::free_port());
    let other_port = ["--config", site.config().to_str().unwrap(), "run"].map(str::to_owned);
    let second = run_to_end(Command::new(BINARY).args(other_port).env("FORECOURT__OCPP__LISTEN", listen));
    assert!(second.code == 5 && second.err.contains("another forecourt process"), "{second:?}");
    site.stop().await;

    let store = Connection::open(site.store()).unwrap();
    let known: i64 = store.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    store.pragma_update(None, "user_version", known + 98).unwrap();
    for args in [&["status"][..], &["sessions"], &["verify", "--all"], &["run"]] {
        fails(&site, args, "newer forecourt");
    }
    store.pragma_update(None, "user_version", known).unwrap();
    site.forecourt(&["status"]).ok();
    store.pragma_update(None, "application_id", 7).unwrap();
    fails(&site, &["run"], "not a forecourt store");
    drop(store);
    std::fs::write(site.store(), "these are not the bytes of a database, however long they are".repeat(100)).unwrap();
    fails(&site, &["status"], "not a database");
    fails(&site, &["run"], "not a database");
}

/// Somebody edits records in the store.
#[tokio::test]
async fn altered_records_are_6_and_the_fault_is_named() {
    let (mut site, _) = busy().await;
    site.stop().await;
    let pristine = site.dir.path().join("pristine.db");
    let live = site.store();
    Connection::open(&live).unwrap().execute("VACUUM INTO ?1", [pristine.to_str().unwrap()]).unwrap();
    for (what, sql, words, exact) in [
        (
            "the signed text",
            "UPDATE record SET jws = replace(jws, substr(jws, 300, 8), 'AAAAAAAA') WHERE seq = 2",
            "record 2",
            true,
        ),
        ("the readable copy", "UPDATE record SET cost_incl_vat = '0.01' WHERE seq = 1", "differ from the signed text", false),
        ("the readable bill", "UPDATE record SET lines = replace(lines, '0.40', '0.10') WHERE seq = 1", "signed text", false),
        ("its kind", "UPDATE record SET kind = 'credit' WHERE seq = 1", "signed text", false),
        ("its id", "UPDATE record SET record_id = replace(record_id, '-7', '-8') WHERE seq = 1", "signed text", false),
        ("its time", "UPDATE record SET created_at = created_at - 86400000 WHERE seq = 1", "signed text", false),
        (
            "its session",
            "UPDATE record SET session = (SELECT session FROM record WHERE seq = 3) + 2 WHERE seq = 3",
            "signed text",
            false,
        ),
        ("a record is gone", "DELETE FROM record WHERE seq = 2", "2", false),
        (
            "the last record is not ours",
            "UPDATE record SET jws = (SELECT jws FROM record WHERE seq = 1) WHERE seq = 3",
            "3",
            false,
        ),
        ("a hash", "UPDATE record SET hash = (SELECT hash FROM record WHERE seq = 1) WHERE seq = 3", "hash", false),
    ] {
        for suffix in ["", "-wal", "-shm"] {
            // Not every file is there.
            let _ = std::fs::remove_file(format!("{}{suffix}", live.display()));
        }
        std::fs::copy(&pristine, &live).unwrap();
        site.forecourt(&["verify", "--all"]).ok();
        let store = Connection::open(&live).unwrap();
        let triggers: Vec<String> = store
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'record'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(!triggers.is_empty(), "records are guarded against edits");
        if sql.starts_with("UPDATE") {
            assert!(store.execute(sql, []).is_err(), "{what}: the store itself refuses");
        }
        for trigger in triggers {
            store.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        store.pragma_update(None, "foreign_keys", 0).unwrap();
        assert_eq!(store.execute(sql, []).unwrap(), 1, "{what}");
        drop(store);
        let said = site.forecourt(&["verify", "--all"]);
        assert_eq!(said.code, 6, "{what}: {said:?}");
        assert!(said.err.contains(words) && said.out.contains("NOT good"), "{what}: {said:?}");
        let machine = site.forecourt(&["verify", "--all", "--json"]);
        assert_eq!((machine.code, &machine.json()["ok"]), (6, &json!(false)), "{what}");
        if exact {
            assert_eq!(site.forecourt(&["record", "verify", "2"]).code, 6);
            assert_eq!(site.forecourt(&["record", "verify", "3"]).code, 6, "its link is broken too");
            assert_eq!(site.forecourt(&["record", "verify", "1"]).code, 0);
        }
    }
}

#[tokio::test]
async fn records_in_a_file_are_verified_with_the_keys_that_are_given() {
    let (mut site, _) = busy().await;
    site.stop().await;
    let file = |name: &str, lines: &[String]| {
        let path = site.dir.path().join(name);
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        path.to_str().unwrap().to_owned()
    };
    let records: Vec<String> =
        site.query("SELECT jws FROM v_record ORDER BY seq", &[]).into_iter().map(|row| row[0].clone().unwrap()).collect();
    let keys = file("keys.json", &[site.jwks()]);
    let other = Site::running().await;
    let foreign = file("foreign.json", &[other.jwks()]);
    let good = file("good", &records);
    let received =
        file("received", &records.iter().map(|jws| format!("forecourt/v1/test-site/records/charge {jws}")).collect::<Vec<_>>());
    let gap = file("gap", &[records[0].clone(), records[2].clone()]);
    let altered = file("altered", &[records[0].clone(), tools::altered(&records[1]), records[2].clone()]);
    // Without a store at hand: only the file and the keys.
    std::fs::remove_file(site.store()).unwrap();
    let verify = |file: &str, keys: &str| site.forecourt(&["verify", "--file", file, "--jwks", keys]).code;
    assert_eq!(verify(&good, &keys), 0);
    assert_eq!(verify(&received, &keys), 0);
    assert_eq!(verify(&gap, &keys), 6);
    assert_eq!(verify(&altered, &keys), 6);
    assert_eq!(verify(&good, &foreign), 6);
    assert_eq!(verify(&good, &good), 2, "not a key set");
    assert_eq!(site.forecourt(&["verify", "--file", &good]).code, 5, "no keys given, no store");
}
