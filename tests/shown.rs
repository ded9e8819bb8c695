//! What people and their spreadsheets see: nothing that a station says reaches a terminal or a cell as it came, tables fit their
//! screen, lists for programs are complete, and every state of a session has one name.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

mod support;

use std::process::Command;

use chrono::{TimeDelta, Utc};
use forecourt::units::is_unprintable;
use rusqlite::Connection;
use serde_json::{Value, json};
use support::socket::Socket;
use support::transaction::{start, stop};
use support::{CommandOutput, Plan, Site, run_to_end, tools};

const NASTY: &str = "=1+\u{1b}[2J\u{7}\r\n\u{9b}31m\u{202e}\u{2028}x";
const TABLES: [&[&str]; 9] = [
    &["status"],
    &["stations"],
    &["sessions"],
    &["records"],
    &["outbox", "status"],
    &["outbox", "list"],
    &["problems"],
    &["messages"],
    &["sessions", "--state", "held"],
];

fn minutes_ago(minutes: i64) -> String {
    (Utc::now() - TimeDelta::minutes(minutes)).to_rfc3339()
}

/// One session, from start to stop; `first` above `last` is held.
async fn session(site: &Site, station: &str, version: &str, tx: &str, first: i64, last: i64) {
    let mut socket = Socket::station(site.port, station, version).await;
    let (action, payload) = start(version, tx, first, &minutes_ago(60));
    let answer = socket.call(&format!("{tx}-1"), action, payload).await;
    let (action, payload) = stop(version, tx, &answer, last, &minutes_ago(1));
    socket.call(&format!("{tx}-2"), action, payload).await;
}

fn id_of(site: &Site, station: &str) -> String {
    site.value("SELECT session_id FROM v_session WHERE station = ?1", &[&station]).unwrap()
}

fn at_width(site: &Site, width: usize, args: &[&str]) -> CommandOutput {
    run_to_end(site.command(args).env("COLUMNS", width.to_string())).ok()
}

#[tokio::test]
async fn what_a_station_says_moves_no_cursor_and_runs_in_no_spreadsheet() {
    let mut site = Site::running().await;
    let mut socket = Socket::station(site.port, "CP-1", "ocpp2.0.1").await;
    let station = json!({"vendorName": NASTY, "model": NASTY, "serialNumber": NASTY, "firmwareVersion": NASTY});
    socket.call("1", "BootNotification", json!({"reason": NASTY, "chargingStation": station})).await;
    let status = json!({"evseId": 1, "connectorId": 1, "connectorStatus": NASTY, "timestamp": minutes_ago(61)});
    socket.call("2", "StatusNotification", status).await;
    let event = json!({"type": NASTY, "techInfo": NASTY, "timestamp": minutes_ago(61)});
    socket.call("3", "SecurityEventNotification", event).await;
    let (action, mut payload) = start("ocpp2.0.1", NASTY, 5000, &minutes_ago(60));
    payload["idToken"] = json!({"idToken": NASTY, "type": NASTY});
    let answer = socket.call("4", action, payload).await;
    let (action, mut payload) = stop("ocpp2.0.1", NASTY, &answer, 6000, &minutes_ago(1));
    payload["transactionInfo"]["stoppedReason"] = json!(NASTY);
    socket.call("5", action, payload).await;
    socket.send(&json!([2, "6", NASTY, {}]).to_string()).await;
    socket.text().await;
    session(&site, "CP-2", "ocpp2.0.1", "=A1\u{1b}]0;x\u{7}", 9000, 8000).await;
    site.settled().await;

    let billed = id_of(&site, "CP-1");
    let held = id_of(&site, "CP-2");
    let more: [&[&str]; 5] = [
        &["session", "show", &billed],
        &["session", "explain", &billed],
        &["session", "show", &held],
        &["session", "explain", &held],
        &["record", "show", "1"],
    ];
    for running in [true, false] {
        for args in TABLES.iter().chain(&more) {
            for form in [&[][..], &["-v"], &["--csv"], &["--color", "always"]] {
                let said = site.forecourt(&[args, form].concat());
                // Emphasis is ours.
                let text = (said.out + &said.err).replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
                let bad: Vec<char> = text.chars().filter(|c| is_unprintable(*c) && *c != '\n').collect();
                assert!(bad.is_empty(), "{args:?} {form:?}: {bad:x?} in {text:?}");
            }
        }
        if running {
            site.stop().await;
        }
    }
    let sessions = site.forecourt(&["sessions", "--csv"]).ok().out;
    assert_eq!(sessions.lines().count(), 3, "{sessions}");
    assert!(sessions.contains(",'=1+\\x1b[2J\\x07\\r\\n\\u{9b}31m\\u{202e}\\u{2028}x,"), "{sessions}");
    // For a program it is the text itself.
    let json = site.forecourt(&["session", "show", &billed, "--json"]).ok();
    assert_eq!(json.json()["session"]["transaction_id"], json!(NASTY));
    on_a_terminal(&site, &["session", "show", &billed, "--json"]);
    on_a_terminal(&site, &["messages", "--jsonl"]);
    on_a_terminal(&site, &["sessions", "--json"]);
}

/// JSON on a terminal is escaped further, and means the same.
fn on_a_terminal(site: &Site, args: &[&str]) {
    let Some(script) = tools::tool("script") else { return };
    let command = site.command(args);
    let words: Vec<String> = std::iter::once(support::BINARY.to_owned())
        .chain(command.get_args().map(|arg| arg.to_str().unwrap().to_owned()))
        .map(|word| format!("'{word}'"))
        .collect();
    let shown = run_to_end(Command::new(script).args(["-qec", &words.join(" "), "/dev/null"])).ok().out;
    assert!(!shown.contains(|c| is_unprintable(c) && !matches!(c, '\r' | '\n')), "{shown:?}");
    let piped = site.forecourt(args).ok().out;
    let values = |text: &str| serde_json::Deserializer::from_str(text).into_iter().map(Result::unwrap).collect::<Vec<Value>>();
    assert_eq!(values(&shown), values(&piped), "{args:?}");
}

#[tokio::test]
async fn tables_fit_the_screen_and_ids_stay_whole() {
    let site = Site::running().await;
    for (station, version, first, last) in [
        ("CP-1", "ocpp1.6", 0, 1000),
        ("DE*ABC*E-PARKHAUS-2*00042", "ocpp2.0.1", 0, 86_400),
        ("CP-3", "ocpp2.1", 98_765_432, 1_833),
        ("CP-4", "ocpp1.6", 0, 11_000),
    ] {
        session(&site, station, version, "03ba775a29e21981dc68ce1ab6edf263", first, last).await;
    }
    site.settled().await;
    let ids: Vec<String> = site.query("SELECT session_id FROM v_session", &[]).into_iter().flatten().flatten().collect();
    for width in [60, 80, 120] {
        for args in &TABLES {
            let shown = at_width(&site, width, args).out;
            if args != &["status"] && args != &["outbox", "status"] {
                assert!(shown.lines().all(|line| line.chars().count() <= width), "{args:?} at {width}:\n{shown}");
            }
        }
        let shown = at_width(&site, width, &["sessions"]).out;
        assert!(ids.iter().all(|id| shown.contains(id.as_str())), "{shown}");
        assert!(shown.contains("DE*ABC*E-PARKHAUS-2*00042"), "{shown}");
    }
    // Nobody says how wide: as wide as a terminal always is.
    let shown = run_to_end(site.command(&["sessions"]).env_remove("COLUMNS")).ok().out;
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
}

#[tokio::test]
async fn lists_are_complete_for_programs_and_a_cut_table_says_so() {
    let site = Site::running().await;
    let mut socket = Socket::station(site.port, "CP-1", "ocpp1.6").await;
    for number in 0..55 {
        let (action, payload) = start("ocpp1.6", "", number * 1000, &minutes_ago(300 - number * 4));
        let answer = socket.call(&format!("{number}-1"), action, payload).await;
        let (action, payload) = stop("ocpp1.6", "", &answer, number * 1000 + 1000, &minutes_ago(298 - number * 4));
        socket.call(&format!("{number}-2"), action, payload).await;
    }
    site.settled().await;
    for (what, all) in [("sessions", 55), ("records", 55), ("messages", 110)] {
        let rows = |said: &CommandOutput| said.out.lines().count() - 1;
        let table = at_width(&site, 300, &[what]);
        assert_eq!(rows(&table), 50, "{table:?}");
        assert!(table.err.contains(&format!("showing 50 of {all} {what}; --limit 0 for all")), "{}", table.err);
        let table = at_width(&site, 300, &[what, "--limit", "0"]);
        assert_eq!((rows(&table), table.err.contains("showing")), (all, false), "{what}");
        let csv = site.forecourt(&[what, "--csv"]).ok();
        assert_eq!((rows(&csv), csv.err.as_str()), (all, ""), "{what}");
        assert_eq!(site.forecourt(&[what, "--jsonl"]).ok().out.lines().count(), all, "{what}");
        assert_eq!(site.forecourt(&[what, "--json"]).ok().json().as_array().unwrap().len(), all, "{what}");
        // Who asks for fewer gets fewer, and is informed.
        let few = site.forecourt(&[what, "--limit", "2", "--csv"]).ok();
        assert_eq!((rows(&few), few.err.contains(&format!("showing 2 of {all}"))), (2, true), "{what}: {few:?}");
    }
    // The end of the journal and of the chain is what matters; sessions come newest first.
    assert_eq!(site.forecourt(&["records", "--limit", "1", "--json"]).ok().json()[0]["seq"], json!(55));
    assert_eq!(site.forecourt(&["records", "--from", "7", "--limit", "1", "--json"]).ok().json()[0]["seq"], json!(7));
    assert_eq!(site.forecourt(&["records", "--json"]).ok().json()[0]["seq"], json!(1));
    let of_session = site.forecourt(&["messages", "--session", "55", "--json"]).ok().json();
    assert_eq!(of_session.as_array().unwrap().len(), 2, "{of_session}");
    assert_eq!(site.forecourt(&["messages", "--session", "nobody"]).code, 3);
    assert_eq!(site.forecourt(&["messages", "--station", "cp-1", "--jsonl"]).ok().out.lines().count(), 110);

    let line = site.forecourt(&["record", "show", "1", "--jsonl"]).ok().out;
    assert_eq!(line.lines().count(), 1, "{line}");
    let whole = site.forecourt(&["record", "show", "1", "--json"]).ok();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), whole.json());
    let csv = site.forecourt(&["record", "show", "1", "--csv"]);
    assert!(csv.code == 2 && csv.out.is_empty() && csv.err.contains("records --from 1 --to 1 --csv"), "{csv:?}");
}

#[tokio::test]
async fn a_session_waits_for_its_bill_under_one_name_everywhere() {
    let site = Site::running().await;
    session(&site, "CP-1", "ocpp2.0.1", "billed", 0, 1000).await;
    // The events 1 and 2 are missing: its bill waits for them.
    let mut socket = Socket::station(site.port, "CP-2", "ocpp2.0.1").await;
    let (action, payload) = start("ocpp2.0.1", "gap", 0, &minutes_ago(60));
    let answer = socket.call("1", action, payload).await;
    let (action, mut payload) = stop("ocpp2.0.1", "gap", &answer, 2000, &minutes_ago(1));
    payload["seqNo"] = json!(3);
    socket.call("2", action, payload).await;
    support::until("one record", || site.count("SELECT count(*) FROM v_record", &[]) == 1).await;

    let ask = |args: &[&str]| site.forecourt(&[args, &["--json"]].concat()).ok().json();
    let waiting = ask(&["sessions", "--state", "waiting"]);
    assert_eq!((&waiting[0]["station"], &waiting[0]["state"]), (&json!("CP-2"), &json!("waiting")), "{waiting}");
    let done = ask(&["sessions", "--state", "done"]);
    assert_eq!((done.as_array().unwrap().len(), &done[0]["record_seq"]), (1, &json!(1)), "{done}");
    assert_eq!(ask(&["status"])["waiting_sessions"], json!(1));
    assert!(site.forecourt(&["status"]).ok().out.contains("1 waiting for their bill"));
    let day = site.query("SELECT sessions, open, waiting, done, held, records FROM v_kpi_daily", &[]);
    assert_eq!(day[0].iter().flatten().collect::<Vec<_>>(), ["2", "0", "1", "1", "0", "1"]);
    let sum = site.value("SELECT sum(energy_wh) FROM v_session WHERE state = 'done'", &[]);
    assert_eq!(sum.as_deref(), Some("1000"), "what is not billed is not in the sum");
    assert!(site.forecourt(&["session", "explain", "gap"]).ok().out.contains("its bill is made"));
}

#[tokio::test]
async fn a_held_session_shows_what_was_measured_and_one_connector() {
    let site = Site::running().await;
    session(&site, "CP-1", "ocpp2.0.1", "held", 5000, 4000).await;
    session(&site, "CP-2", "ocpp1.6", "", 0, 1000).await;
    // The station does not say which connector of its EVSE.
    let mut socket = Socket::station(site.port, "CP-3", "ocpp2.1").await;
    let (action, mut payload) = start("ocpp2.1", "third", 0, &minutes_ago(60));
    payload["evse"] = json!({"id": 1});
    let answer = socket.call("1", action, payload).await;
    let (action, payload) = stop("ocpp2.1", "third", &answer, 1000, &minutes_ago(1));
    socket.call("2", action, payload).await;
    site.settled().await;

    let held = site.forecourt(&["session", "show", "held", "--json"]).ok().json()["session"].clone();
    assert_eq!(held["state"], json!("held"));
    assert_eq!((&held["start_register_wh"], &held["stop_register_wh"]), (&json!(5000), &json!(4000)), "{held}");
    let explained = site.forecourt(&["session", "explain", "held"]).ok().out;
    assert!(explained.contains("(register 5000 to 4000)"), "{explained}");
    for seq in ["1", "2"] {
        let record = site.forecourt(&["record", "show", seq, "--json"]).ok().json();
        let session = site.forecourt(&["session", "show", seq, "--json"]).ok().json();
        assert_eq!(record["session"]["connector"], session["session"]["connector"], "{record}");
        assert_eq!(record["session"]["connector"], json!(1));
    }
}

#[tokio::test]
async fn no_amount_loses_the_digits_of_its_currency() {
    for components in [
        r#"{"type":"ENERGY","price":0.40,"vat":0,"step_size":1}"#,
        r#"{"type":"ENERGY","price":0.40,"step_size":1}"#,
        r#"{"type":"ENERGY","price":0,"vat":19,"step_size":1},{"type":"FLAT","price":0,"vat":19,"step_size":1}"#,
    ] {
        let tariff = format!(
            r#"{{"country_code":"DE","party_id":"TST","id":"plain","currency":"EUR","last_updated":"2020-01-01T00:00:00Z","elements":[{{"price_components":[{components}]}}]}}"#
        );
        let mut site = Site::new(&Plan { tariffs: vec![("plain.json".into(), tariff)], ..Plan::default() });
        site.start().await;
        session(&site, "CP-1", "ocpp1.6", "", 0, 1000).await;
        site.settled().await;
        let lines = site.query("SELECT amount_excl_vat, vat, amount_incl_vat FROM v_price_line", &[]);
        let costs = site.query("SELECT cost_excl_vat, cost_incl_vat FROM v_record", &[]);
        assert!(!lines.is_empty() && !costs.is_empty());
        for amount in lines.into_iter().chain(costs).flatten() {
            let amount = amount.unwrap();
            assert_eq!(amount.split_once('.').map(|(_, digits)| digits.len()), Some(2), "{amount} with {components}");
        }
    }
}

#[tokio::test]
async fn stations_that_never_came_and_those_turned_away_are_listed() {
    let stations = "[[station]]\nid = \"CP-1\"\n[[station]]\nid = \"CP-9\"\n".to_owned();
    let mut site = Site::new(&Plan { stations, ..Plan::default() });
    site.start().await;
    session(&site, "cp-1", "ocpp1.6", "", 0, 1000).await;
    session(&site, "CP-2", "ocpp1.6", "", 0, 1000).await;
    site.stop().await;
    let insert =
        "INSERT INTO problem (kind, subject, detail, first_at, last_at) VALUES ('station-refused', ?1, ?2, 1795255089829, ?3)";
    let store = Connection::open(site.store()).unwrap();
    for (name, why, at) in [("CP-X", "not in the list", 1_795_255_089_829_i64), ("cp-2", "wrong subprotocol", 4_795_255_089_829)]
    {
        store.execute(insert, (name, why, at)).unwrap();
    }
    drop(store);
    let listed = site.forecourt(&["stations", "--json"]).ok().json();
    let listed: Vec<_> =
        listed.as_array().unwrap().iter().map(|row| (&row["station"], &row["state"], &row["configured"])).collect();
    assert_eq!(
        listed,
        [
            (&json!("CP-1"), &json!("disconnected"), &json!(true)),
            (&json!("CP-2"), &json!("refused"), &json!(false)),
            (&json!("CP-9"), &json!("never-connected"), &json!(true)),
            (&json!("CP-X"), &json!("refused"), &json!(false)),
        ]
    );
    let table = at_width(&site, 120, &["stations"]).out;
    assert!(table.contains("never-connected") && table.contains("not in the list"), "{table}");
    let status = site.forecourt(&["status"]).ok().out;
    assert!(status.contains("CP-9") && !status.contains("CP-X"), "{status}");
}
