//! What is asked daily, and in which form programs get it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

mod support;

use chrono::{TimeDelta, Utc};
use rusqlite::Connection;
use serde_json::{Value, json};
use support::socket::Socket;
use support::transaction::{start, stop};
use support::{Plan, Site, run_to_end, tools, until};

fn minutes_ago(minutes: i64) -> String {
    (Utc::now() - TimeDelta::minutes(minutes)).to_rfc3339()
}

async fn session(site: &Site, station: &str, version: &str, first: i64, last: i64) {
    let mut socket = Socket::station(site.port, station, version).await;
    let (action, payload) = start(version, station, first, &minutes_ago(60));
    let answer = socket.call("1", action, payload).await;
    let (action, payload) = stop(version, station, &answer, last, &minutes_ago(1));
    socket.call("2", action, payload).await;
}

/// Two billed sessions, one of a fraction of a Wh, and one held.
async fn busy(plan: &Plan) -> Site {
    let mut site = Site::new(plan);
    site.start().await;
    session(&site, "CP-1", "ocpp1.6", 0, 1_000).await;
    session(&site, "CP-2", "ocpp2.0.1", 0, 2_000).await;
    session(&site, "CP-4", "ocpp1.6", 5_000, 4_000).await;
    site.settled().await;
    site
}

const LISTS: [&[&str]; 11] = [
    &["stations"],
    &["sessions"],
    &["records"],
    &["problems"],
    &["messages"],
    &["calls"],
    &["tokens"],
    &["audit", "list"],
    &["outbox", "list"],
    &["sessions", "--until", "2020-01-01"],
    &["messages", "--station", "nobody"],
];

/// A parser that takes nothing but RFC 4180, with the lines of one width.
fn strict_csv(text: &str) -> Vec<Vec<String>> {
    assert!(text.ends_with('\n'), "{text:?}");
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                assert!(cell.is_empty(), "a quote within {cell:?}");
                loop {
                    match characters.next().expect("a closing quote") {
                        '"' if characters.peek() == Some(&'"') => cell.extend(characters.next()),
                        '"' => break,
                        c => cell.push(c),
                    }
                }
                assert!(matches!(characters.peek(), Some(',' | '\n')), "text after a quote: {cell:?}");
            }
            ',' => row.push(std::mem::take(&mut cell)),
            '\n' => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    assert!(rows.iter().all(|row: &Vec<String>| row.len() == rows[0].len()), "{text}");
    rows
}

#[tokio::test]
async fn csv_and_json_lines_are_what_they_say_and_a_thing_has_one_type() {
    let site = busy(&Plan::default()).await;
    let store = Connection::open(site.store()).unwrap();
    let nasty = "INSERT INTO problem (kind, subject, detail, first_at, last_at) VALUES ('security-event', 'a,\"b\"', 'x' || char(10) || 'y', 1, 2)";
    store.execute(nasty, []).unwrap();
    for args in LISTS {
        let ask = |form: &str| site.forecourt(&[args, &[form]].concat()).ok().out;
        let rows = ask("--json");
        let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
        let lines: Vec<Value> = ask("--jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, rows, "{args:?}");
        let csv = strict_csv(&ask("--csv"));
        assert_eq!(csv.len(), rows.len() + 1, "{args:?}: a line of names, however many rows");
        for (row, cells) in rows.iter().zip(&csv[1..]) {
            let names: Vec<&String> = row.as_object().unwrap().keys().collect();
            assert_eq!(names, csv[0].iter().collect::<Vec<_>>(), "{args:?}");
            for (name, cell) in csv[0].iter().zip(cells) {
                let value = &row[name];
                if matches!(name.as_str(), "connected" | "configured" | "acknowledged" | "listed" | "closed") {
                    assert!(value.is_boolean() && cell == &value.to_string(), "{args:?} {name}: {value} {cell}");
                }
                if name.ends_with("_wh") {
                    assert!(value.is_null() || value.is_number(), "{args:?} {name}: {value}");
                }
            }
        }
    }
    let energy = |args: &[&str]| site.forecourt(&[args, &["--json"]].concat()).ok().json();
    assert_eq!(energy(&["records"])[0]["energy_wh"], json!(1000));
    assert_eq!(energy(&["session", "show", "1"])["session"]["energy_wh"], json!(1000));
    assert_eq!(energy(&["session", "show", "1"])["session"]["acknowledged"], json!(false));
    // Views have no booleans: SQLite has none.
    assert_eq!(site.value("SELECT DISTINCT acknowledged FROM v_record", &[]).as_deref(), Some("0"));
}

#[tokio::test]
async fn times_are_utc_for_programs_unless_they_want_the_sites() {
    let site = busy(&Plan::default()).await;
    let at = |args: &[&str], part: fn(&Value) -> &Value| {
        part(&site.forecourt(&[args, &["--json"]].concat()).ok().json()).as_str().unwrap().to_owned()
    };
    for (args, part) in [
        (&["sessions"][..], (|found| &found[0]["started_at"]) as fn(&Value) -> &Value),
        (&["session", "show", "1"], |found| &found["session"]["started_at"]),
        (&["messages"], |found| &found[0]["received_at"]),
        (&["status"], |found| &found["started_at"]),
    ] {
        let utc = at(args, part);
        let local = at(&[args, &["--local"]].concat(), part);
        assert!(utc.ends_with('Z'), "{args:?}: {utc}");
        assert!(local.ends_with("+01:00") || local.ends_with("+02:00"), "{args:?}: {local}");
        let instant = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap();
        assert_eq!(instant(&utc), instant(&local), "{args:?}");
    }
    assert!(site.forecourt(&["sessions", "--csv", "--local"]).ok().out.contains("+01:00"));
    assert_eq!(site.forecourt(&["sessions", "--local", "--utc"]).code, 2);
}

#[tokio::test]
async fn problems_say_what_they_mean_and_what_to_do() {
    let site = busy(&Plan::default()).await;
    let rows = site.forecourt(&["problems", "--json"]).ok().json();
    let row = &rows[0];
    assert_eq!((&row["kind"], &row["station"]), (&json!("session-held"), &json!("CP-4")), "{rows}");
    assert!(row["meaning"].as_str().unwrap().contains("register at the end is below"), "{rows}");
    assert!(row["next_step"].as_str().unwrap().contains("meter was reset"), "{rows}");
    let said = site.forecourt(&["problems"]).ok().out;
    for words in ["session-held", "what to do: ask whether the meter", "CP-4", "FIRST"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let explained = site.forecourt(&["session", "explain", row["subject"].as_str().unwrap()]);
    assert!(explained.ok().out.contains("what to do: ask whether the meter was reset"));
    let explained = site.forecourt(&["session", "explain", row["subject"].as_str().unwrap(), "--json"]).ok().json();
    assert!(explained["hold_next_step"].as_str().unwrap().contains("meter was reset"), "{explained}");

    // Every kind that the program reports has its words.
    let store = Connection::open(site.store()).unwrap();
    for kind in [
        "broken-frame",
        "connectors-too-many",
        "frame-no-room",
        "frame-too-large",
        "gateway-clock",
        "internal-error",
        "messages-left-out",
        "new-epoch",
        "receipt-refused",
        "security-event",
        "setting-refused",
        "signing-key-changed",
        "station-error",
        "station-refused",
        "store-damaged",
    ] {
        let insert = "INSERT INTO problem (kind, subject, detail, first_at, last_at) VALUES (?1, 's', 'd', 1, 2)";
        store.execute(insert, [kind]).unwrap();
    }
    store.execute("INSERT INTO record_fault VALUES ((SELECT epoch FROM site), 1, 'code', 'detail', 1)", []).unwrap();
    store.execute("INSERT INTO undelivered VALUES ((SELECT epoch FROM site), 2, 'too large', 1, 1, 1, 1)", []).unwrap();
    let silent = site.query("SELECT kind FROM v_problem WHERE meaning IS NULL OR next_step IS NULL", &[]);
    assert!(silent.is_empty(), "{silent:?}");
    assert_eq!(site.count("SELECT count(*) FROM v_problem", &[]), 18);
}

#[tokio::test]
async fn messages_are_found_by_station_and_time_each_with_its_answer() {
    let mut site = Site::running().await;
    site.no_replay = Some("the times of its messages are rewritten");
    let mut quiet = Socket::station(site.port, "CP-9", "ocpp1.6").await;
    quiet.call("boot", "BootNotification", json!({"chargePointVendor": "V", "chargePointModel": "M"})).await;
    let mut busy = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    for number in 0..60 {
        let status =
            json!({"connectorId": 1, "errorCode": "NoError", "status": if number % 2 == 0 { "Available" } else { "Preparing" }});
        busy.call(&format!("c{number}"), "StatusNotification", status).await;
    }
    busy.send("[2,\"bad\",\"NoSuchAction\",{}]").await;
    busy.text().await.expect("an answer");
    let mut command = site.command(&["station", "call", "CP-1", "ClearCache"]);
    let said = tokio::task::spawn_blocking(move || run_to_end(&mut command));
    let asked: Value = serde_json::from_str(&busy.text().await.unwrap()).unwrap();
    busy.send(&json!([3, asked[1], {"status": "Accepted"}]).to_string()).await;
    said.await.unwrap().ok();
    until("the answer is kept", || site.count("SELECT count(*) FROM v_call WHERE state = 'answered'", &[]) == 1).await;

    let ask = |args: &[&str]| -> Vec<Value> {
        let rows = site.forecourt(&[&["messages", "--json"], args].concat()).ok().json();
        rows.as_array().unwrap().clone()
    };
    let of_quiet = ask(&["--station", "cp-9", "--limit", "50"]);
    assert_eq!(of_quiet.len(), 1);
    assert_eq!(
        (&of_quiet[0]["action"], &of_quiet[0]["outcome"], &of_quiet[0]["status"]),
        (&json!("BootNotification"), &json!("answered"), &json!("Accepted"))
    );
    let last = ask(&["--station", "CP-1", "--since", "1h", "--limit", "2"]);
    let shown: Vec<_> = last.iter().map(|row| (&row["direction"], &row["action"], &row["outcome"], &row["status"])).collect();
    let (bad, call) = (json!("NoSuchAction"), json!("ClearCache"));
    assert_eq!(shown[0].0, &json!("in"));
    assert_eq!((shown[0].1, shown[0].2), (&bad, &json!("call-error")));
    assert_eq!(shown[1], (&json!("out"), &call, &json!("answered"), &json!("Accepted")));
    assert!(
        last[1]["text"].as_str().unwrap().starts_with("[2,") && last[1]["answer"].as_str().unwrap().starts_with("[3,"),
        "{last:?}"
    );
    assert_eq!(ask(&["--station", "CP-1", "--since", "1h"]).len(), 62);
    assert_eq!(ask(&["--since", "1h"]).len(), 63);
    assert!(ask(&["--station", "CP-1", "--until", "1h"]).is_empty());
    // The middle of the journal, by its times.
    let store = Connection::open(site.store()).unwrap();
    store.execute("UPDATE message SET received_at = 1700000000000 + id * 1000", []).unwrap();
    let (first, next) = (store.query_row("SELECT min(id) + 10 FROM message", [], |row| row.get::<_, i64>(0)).unwrap(), 5);
    let at = |id: i64| chrono::DateTime::from_timestamp(1_700_000_000 + id, 0).unwrap().to_rfc3339();
    let middle = ask(&["--since", &at(first), "--until", &at(first + next)]);
    let ids: Vec<i64> = middle.iter().map(|row| row["message_id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (first..first + next).collect::<Vec<_>>());
    // Nothing before the station's last sign of life is missed.
    assert_eq!(ask(&["--station", "CP-9", "--limit", "5"]).len(), 1);
    assert_eq!(site.forecourt(&["messages", "--since", "soon"]).code, 2);
    let table = run_to_end(site.command(&["messages", "--station", "CP-1"]).env("COLUMNS", "120")).ok().out;
    assert!(table.contains("OUTCOME") && table.contains("STATUS") && table.contains("Accepted"), "{table}");
}

/// How SQLite would answer: along an index or the journal, never by reading and sorting a whole table.
#[tokio::test]
async fn no_daily_question_sorts_the_journal_or_walks_the_sessions() {
    let mut site = Site::running().await;
    site.stop().await;
    let plan = |sql: &str| {
        let rows = site.query(&format!("EXPLAIN QUERY PLAN {sql}"), &[]);
        rows.into_iter().map(|row| row[3].clone().unwrap()).collect::<Vec<_>>().join("\n")
    };
    let last = "ORDER BY message_id DESC, call_number DESC LIMIT 50";
    for sql in [
        format!("SELECT * FROM v_message {last}"),
        format!("SELECT * FROM v_message WHERE message_id >= 5 AND message_id <= 9 AND station = 'CP-1' COLLATE NOCASE {last}"),
    ] {
        let plan = plan(&sql);
        assert!(plan.contains("MERGE (UNION ALL)") && !plan.contains("m USING AUTOMATIC"), "{sql}:\n{plan}");
        let inbound = plan.split("RIGHT").next().unwrap();
        assert!(!inbound.contains("TEMP B-TREE"), "{sql}:\n{plan}");
    }
    for (sql, index) in [
        ("SELECT * FROM v_day", "COVERING INDEX session_day"),
        ("SELECT * FROM v_kpi_daily", "COVERING INDEX session_day"),
        ("SELECT * FROM v_day WHERE local_date = '2026-11-21'", "SEARCH session USING COVERING INDEX session_day"),
        ("SELECT * FROM v_token", "COVERING INDEX session_token"),
    ] {
        let plan = plan(sql);
        assert!(plan.contains(index), "{sql}:\n{plan}");
    }
    let problems = plan("SELECT * FROM v_problem");
    assert!(!problems.contains("SCAN r"), "{problems}");
}

#[tokio::test]
async fn stations_say_since_when() {
    let stations = "[[station]]\nid = \"CP-1\"\n[[station]]\nid = \"CP-7\"\n".to_owned();
    let site = busy(&Plan { stations, ..Plan::default() }).await;
    let store = Connection::open(site.store()).unwrap();
    let refused = "INSERT INTO problem (kind, subject, detail, first_at, last_at) VALUES ('station-refused', 'CP-X', 'why', 1700000000000, 1700000009000)";
    store.execute(refused, []).unwrap();
    until("CP-1 has gone", || {
        site.count("SELECT count(*) FROM v_station WHERE station = 'CP-1' AND state = 'disconnected'", &[]) == 1
    })
    .await;
    let rows = site.forecourt(&["stations", "--json"]).ok().json();
    let of = |name: &str| rows.as_array().unwrap().iter().find(|row| row["station"] == json!(name)).unwrap().clone();
    assert_eq!(of("CP-1")["since_at"], of("CP-1")["disconnected_at"]);
    assert_eq!((&of("CP-7")["state"], &of("CP-7")["since_at"]), (&json!("never-connected"), &Value::Null));
    assert_eq!((&of("CP-X")["state"], &of("CP-X")["since_at"]), (&json!("refused"), &json!("2023-11-14T22:13:20Z")));
}

#[tokio::test]
async fn check_says_what_it_found_and_what_is_hardly_meant() {
    let hourly = r#"step_size":1},{"type":"TIME","price":1.20,"vat":19,"step_size":1}"#;
    let other =
        support::PLAIN.replace("\"TST\"", "\"OTH\"").replace("\"plain\"", "\"other\"").replace(r#"step_size":1}"#, hourly);
    let plan = Plan {
        stations: "[[station]]\nid = \"CP-1\"\n[[station]]\nid = \"DC-1\"\ntariff = \"other\"\nmax_power_kw = 150\n".to_owned(),
        tariffs: vec![("plain.json".into(), support::PLAIN.into()), ("other.json".into(), other)],
        mqtt_url: "mqtt://mq.example:1883".to_owned(),
        ..Plan::default()
    };
    let site = Site::new(&plan);
    let check = |args: &[&str], env: &[(&str, &str)]| run_to_end(site.command(args).envs(env.iter().copied()));
    let said = check(&["check"], &[]).ok();
    assert!(said.err.contains("the configuration is valid; 2 remarks on tariffs"), "{said:?}");
    let said = said.out;
    for words in [
        "CP-1: tariff plain",
        "DC-1: tariff other, at most 150 kW",
        "broker mqtt://mq.example:1883",
        "are accepted (ocpp.unknown_tokens)",
        "tariff other is of party DE*OTH, the site's is DE*TST",
        "station DC-1, tariff other: tariff-ad-hoc-per-kwh: elements[0].price_components[1]: ",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let env =
        [("FORECOURT__MQTT__USERNAME", "site"), ("FORECOURT_MQTT_URL", "mqtt://x"), ("FORECOURT_OCPP__LISTEN", "1.2.3.4:1")];
    let found = check(&["check", "--json"], &env).ok().json();
    let warnings = found["warnings"].to_string();
    let codes: Vec<&Value> = found["tariff_remarks"].as_array().unwrap().iter().map(|remark| &remark["code"]).collect();
    assert_eq!(codes, [&json!("tariff-foreign-party"), &json!("tariff-ad-hoc-per-kwh")]);
    assert!(found["tariff_remarks"][0]["line"].is_u64(), "{found}");
    for words in
        ["without mqtt.password_file", "did you mean FORECOURT__MQTT__URL", "did you mean FORECOURT__OCPP__LISTEN", "without TLS"]
    {
        assert!(warnings.contains(words), "{words}: {warnings}");
    }
    assert_eq!(found["stations"][1], json!({"station": "DC-1", "tariff_id": "other", "max_power_kw": "150"}));
    let missing = check(&["check", "--json"], &[("FORECOURT__STORE__PATH", "/nowhere/at/all/f.db")]).ok().json();
    assert!(missing["warnings"].to_string().contains("the folder /nowhere/at/all does not exist"), "{missing}");
    let refused = check(&["check"], &[("FORECOURT__MQT__URL", "mqtt://x")]);
    assert_eq!((refused.code, refused.err.contains("FORECOURT__MQTT__URL")), (4, true), "{refused:?}");
    let config = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), config.replace("[mqtt]\n", "[mqtt]\npassword = \"x\"\n")).unwrap();
    let refused = check(&["check"], &[]);
    assert!(refused.code == 4 && refused.err.contains("mqtt.password_file"), "{refused:?}");
    assert!(!site.store().exists(), "a check makes nothing");
}

#[tokio::test]
async fn verify_begins_at_a_number_and_shows_how_far_it_is_to_a_person_only() {
    let mut site = busy(&Plan::default()).await;
    site.no_replay = Some("rows are altered at the end");
    site.stop().await;
    let from = |from: &str| site.forecourt(&["verify", "--all", "--from", from, "--json"]);
    assert_eq!(from("2").ok().json()["records"], json!(1));
    assert_eq!(from("1").ok().json()["records"], json!(2));
    assert_eq!(from("9").code, 3);
    assert_eq!(site.forecourt(&["verify", "--file", "x", "--from", "1"]).code, 2);
    let piped = site.forecourt(&["verify", "--all"]).ok();
    assert_eq!(piped.err, "");
    if let Some(script) = tools::tool("script") {
        let config = site.config();
        let line = |more: &str| format!("{} --config {} verify --all {more}", support::BINARY, config.display());
        let shown = run_to_end(std::process::Command::new(&script).args(["-qec", &line(""), "/dev/null"])).ok().out;
        assert!(shown.contains("\u{1b}[K"), "{shown:?}");
        let quiet = run_to_end(std::process::Command::new(&script).args(["-qec", &line("-q"), "/dev/null"])).ok().out;
        assert!(!quiet.contains("\u{1b}[K"), "{quiet:?}");
    }
    // What was altered is named in the order of the rows, and only where it is looked at.
    let store = Connection::open(site.store()).unwrap();
    assert!(store.execute("UPDATE record SET cost_incl_vat = '0.01' WHERE seq = 1", []).is_err(), "records are never edited");
    store.execute_batch("DROP TRIGGER record_never_edited; UPDATE record SET cost_incl_vat = '0.01' WHERE seq = 1").unwrap();
    store.execute("UPDATE message SET text = text || ' ' WHERE id IN (1, 2)", []).unwrap();
    drop(store);
    let all = site.forecourt(&["verify", "--all", "--json"]);
    let faults = all.json()["faults"].clone();
    let texts: Vec<&str> = faults.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(all.code == 6 && texts.len() == 3, "{texts:?}");
    assert!(
        texts[0].contains("record 1") && texts[1].starts_with("message 1:") && texts[2].starts_with("message 2:"),
        "{texts:?}"
    );
    assert_eq!(from("2").ok().json()["fault_count"], json!(0));
}
