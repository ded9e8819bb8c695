//! The list of tokens: the real binary between `forecourt token` and stations on real WebSockets.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use serde_json::{Value, json};
use support::socket::Socket;
use support::transaction;
use support::{Plan, Site};

const V16: &str = "ocpp1.6";
const V201: &str = "ocpp2.0.1";

async fn authorize(socket: &mut Socket, version: &str, token: &str) -> Value {
    let id = format!("a-{}", fastrand::u64(..));
    match version {
        V16 => socket.call(&id, "Authorize", json!({"idTag": token})).await["idTagInfo"].clone(),
        _ => {
            let token = json!({"idToken": {"idToken": token, "type": "ISO14443"}});
            socket.call(&id, "Authorize", token).await["idTokenInfo"].clone()
        }
    }
}

async fn site(unknown: &str) -> Site {
    let mut site = Site::new(&Plan { ocpp: format!("unknown_tokens = \"{unknown}\""), ..Plan::default() });
    site.start().await;
    site
}

fn audit(site: &Site) -> Vec<String> {
    let rows = site.query("SELECT action, object, before, after, reason FROM v_audit ORDER BY audit_id", &[]);
    let text =
        |row: &Vec<Option<String>>| row.iter().map(|cell| cell.clone().unwrap_or_default()).collect::<Vec<_>>().join(" | ");
    rows.iter().map(text).collect()
}

#[tokio::test]
async fn a_token_gets_what_the_list_says_at_once_and_after_a_restart() {
    let mut site = site("reject").await;
    let mut old = Socket::station(site.port, "CP-1", V16).await;
    let mut new = Socket::station(site.port, "CP-2", V201).await;
    assert_eq!(authorize(&mut old, V16, "04AA01").await, json!({"status": "Invalid"}));
    assert_eq!(authorize(&mut new, V201, "04AA01").await, json!({"status": "Unknown"}));
    let add = ["token", "add", "04aa01", "--type", "ISO14443", "--group", "FLEET", "--reason", "new card"];
    let said = site.forecourt(&add).ok();
    assert_eq!(said.out, "1 added\n");
    assert_eq!(authorize(&mut old, V16, "04AA01").await, json!({"status": "Accepted", "parentIdTag": "FLEET"}));
    let info = json!({"status": "Accepted", "groupIdToken": {"idToken": "FLEET", "type": "Central"}});
    assert_eq!(authorize(&mut new, V201, "04AA01").await, info);
    assert_eq!(site.forecourt(&add).ok().out, "1 unchanged\n");

    // Only where it may charge, and until its time has ended.
    site.forecourt(&["token", "add", "04AA01", "--stations", "cp-2", "--expires", "2099-01-31"]).ok();
    assert_eq!(authorize(&mut old, V16, "04AA01").await["status"], "Invalid");
    let info = json!({"status": "Accepted", "cacheExpiryDateTime": "2099-01-30T23:00:00Z"});
    assert_eq!(authorize(&mut new, V201, "04AA01").await, info);
    site.forecourt(&["token", "add", "04AA02", "--expires", "2020-01-31"]).ok();
    assert_eq!(authorize(&mut old, V16, "04AA02").await["status"], "Expired");
    let why = site.forecourt(&["token", "why", "04AA01", "--station", "CP-1"]).ok();
    assert!(why.out.starts_with("…AA01 at CP-1: Invalid\nit is on the list, and not for this station\n"), "{why:?}");
    let why = site.forecourt(&["token", "why", "04AA03", "--json"]).ok().json();
    assert_eq!((&why["status"], &why["listed"]), (&json!("Unknown"), &Value::Null));

    // A blocked token keeps its place on the list, and its transaction is held, not lost.
    site.forecourt(&["token", "block", "04AA01", "--reason", "stolen"]).ok();
    assert_eq!(authorize(&mut new, V201, "04AA01").await["status"], "Blocked");
    let (action, mut payload) = transaction::start(V201, "tx-1", 1_000, "2026-11-20T08:00:00Z");
    payload["idToken"] = json!({"idToken": "04AA01", "type": "ISO14443"});
    let answer = new.call("s", action, payload).await;
    assert_eq!(answer["idTokenInfo"]["status"], "Blocked");
    let (action, payload) = transaction::stop(V201, "tx-1", &answer, 6_000, "2026-11-20T08:30:00Z");
    new.call("e", action, payload).await;
    site.settled().await;
    assert_eq!(site.value("SELECT hold_reason FROM v_session", &[]).as_deref(), Some("not-authorized"));

    site.kill9();
    site.start().await;
    let mut new = Socket::station(site.port, "CP-2", V201).await;
    assert_eq!(authorize(&mut new, V201, "04Aa01").await["status"], "Blocked");
    let listed = site.forecourt(&["tokens", "--json"]).ok().json();
    assert_eq!(
        (&listed[0]["token"], &listed[0]["status"], &listed[0]["listed"]),
        (&json!("…AA01"), &json!("Blocked"), &json!(true))
    );
    assert_eq!((&listed[0]["stations"], &listed[0]["refused"]), (&json!("[\"cp-2\"]"), &json!(1)));
    assert_eq!(site.forecourt(&["token", "remove", "04AA01"]).ok().out, "1 removed\n");
    assert_eq!(authorize(&mut new, V201, "04AA01").await["status"], "Unknown");
    let said = site.forecourt(&["token", "remove", "04AA01"]);
    assert_eq!((said.code, said.err.contains("no such token is on the list")), (3, true), "{said:?}");
    assert_eq!(
        audit(&site),
        [
            "token add | …aa01 |  | Accepted ISO14443, group FLEET | new card",
            "token change | …AA01 | Accepted ISO14443, group FLEET | Accepted unstated, until 2099-01-30T23:00:00Z, at cp-2 | ",
            "token add | …AA02 |  | Accepted unstated, until 2020-01-30T23:00:00Z | ",
            "token change | …AA01 | Accepted unstated, until 2099-01-30T23:00:00Z, at cp-2 | Blocked unstated, until 2099-01-30T23:00:00Z, \
             at cp-2 | stolen",
            "token remove | …AA01 | Blocked unstated, until 2099-01-30T23:00:00Z, at cp-2 | not on the list | ",
        ]
    );
}

/// OCPP makes tokens of ASCII. Where one has other letters all the same, their case counts, in lists as at the station.
#[tokio::test]
async fn letters_beyond_ascii_are_the_same_token_only_as_they_were_written() {
    let site = site("reject").await;
    let mut station = Socket::station(site.port, "CP-16", V16).await;
    site.forecourt(&["token", "add", "Ärzte-AB1"]).ok();
    assert_eq!(authorize(&mut station, V16, "Ärzte-ab1").await["status"], "Accepted");
    assert_eq!(authorize(&mut station, V16, "ärzte-ab1").await["status"], "Invalid");
    let (action, mut payload) = transaction::start(V16, "tx", 1_000, "2026-11-20T08:00:00Z");
    payload["idTag"] = json!("Ärzte-AB1");
    station.call("s", action, payload).await;
    let listed = site.forecourt(&["tokens", "--json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!((&listed[0]["listed"], &listed[0]["sessions"]), (&json!(true), &json!(1)));
}

/// Authorize names no EVSE in either version; the start of a transaction does.
#[tokio::test]
async fn a_token_may_be_for_one_evse_and_an_evse_may_have_its_own_tariff() {
    let fast =
        json!({"country_code": "DE", "party_id": "TST", "id": "fast", "currency": "EUR", "last_updated": "2020-01-01T00:00:00Z",
        "elements": [{"price_components": [{"type": "ENERGY", "price": 0.9, "step_size": 1}]}]})
        .to_string();
    let tariffs = [Plan::default().tariffs, vec![("fast.json".to_owned(), fast)]].concat();
    let stations =
        ["CP-16", "CP-2"].map(|id| format!("[[station]]\nid = \"{id}\"\nevse_tariffs = [\"plain\", \"fast\"]\n")).concat();
    let mut site = Site::new(&Plan { tariffs, stations, ..Plan::default() });
    site.start().await;
    let said = site.forecourt(&["token", "add", "04AA", "--stations", "CP-2/0"]);
    assert_eq!((said.code, said.err.contains("\"CP-2/0\" is neither STATION nor STATION/EVSE")), (2, true), "{said:?}");
    site.forecourt(&["token", "add", "04AA", "--stations", "cp-16/2,CP-2/2"]).ok();
    for (station, version, verdict) in [("CP-16", V16, "idTagInfo"), ("CP-2", V201, "idTokenInfo")] {
        let mut socket = Socket::station(site.port, station, version).await;
        assert_eq!(authorize(&mut socket, version, "04AA").await["status"], "Accepted");
        for evse in [1, 2] {
            let tx = format!("{station}-tx-{evse}");
            let (action, mut payload) = transaction::start(version, &tx, 1_000, &format!("2026-11-20T0{evse}:00:00Z"));
            if version == V16 {
                payload["connectorId"] = json!(evse);
                payload["idTag"] = json!("04AA");
            } else {
                payload["evse"] = json!({"id": evse, "connectorId": 1});
                payload["idToken"] = json!({"idToken": "04AA", "type": "ISO14443"});
            }
            let answer = socket.call(&format!("{tx}-s"), action, payload).await;
            assert_eq!(answer[verdict]["status"], if evse == 2 { "Accepted" } else { "Invalid" }, "{tx}");
            let (action, mut payload) = transaction::stop(version, &tx, &answer, 6_000, &format!("2026-11-20T0{evse}:30:00Z"));
            // The station does not say again at which EVSE; the token is judged there all the same.
            payload.as_object_mut().unwrap().remove("evse");
            if version == V16 {
                payload["idTag"] = json!("04AA");
            } else {
                payload["idToken"] = json!({"idToken": "04AA", "type": "ISO14443"});
            }
            let answer = socket.call(&format!("{tx}-e"), action, payload).await;
            assert_eq!(answer[verdict]["status"], if evse == 2 { "Accepted" } else { "Invalid" }, "{tx}");
        }
    }
    site.settled().await;
    let rows = site.query("SELECT evse, tariff_id, state, hold_reason FROM v_session ORDER BY session_id", &[]);
    let told: Vec<String> = rows.iter().map(|row| row.iter().flatten().cloned().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(told, ["1 plain held not-authorized", "2 fast done", "1 plain held not-authorized", "2 fast done"]);
    let why = site.forecourt(&["token", "why", "04aa", "--station", "CP-2/1"]).ok();
    assert!(why.out.starts_with("…04AA at CP-2/1: Invalid\n") || why.out.contains("at CP-2/1: Invalid"), "{why:?}");
    assert!(why.out.contains("cp-16/2, CP-2/2"), "{why:?}");
    site.stop().await;
}

#[tokio::test]
async fn a_pin_on_the_list_is_shown_nowhere() {
    let site = site("accept").await;
    let mut station = Socket::station(site.port, "CP-2", V201).await;
    site.forecourt(&["token", "add", "73:46|82", "--type", "KeyCode"]).ok();
    for (number, (token, kind)) in [("91:55|77", "KeyCode"), ("91:55|77", "ISO14443")].into_iter().enumerate() {
        let minute = 10 + 20 * number;
        let at = |minute: usize| format!("2026-11-20T08:{minute}:00Z");
        let (action, mut payload) = transaction::start(V201, &format!("tx-{number}"), 1_000 * number, &at(minute));
        payload["idToken"] = json!({"idToken": token, "type": kind});
        let answer = station.call(&format!("s{number}"), action, payload).await;
        let (action, payload) = transaction::stop(V201, &format!("tx-{number}"), &answer, 1_000 * number + 500, &at(minute + 9));
        station.call(&format!("e{number}"), action, payload).await;
    }
    site.settled().await;
    let shown = [
        site.forecourt(&["token", "why", "73:46|82"]).ok(),
        site.forecourt(&["token", "why", "73:46|82", "--json"]).ok(),
        site.forecourt(&["tokens", "--json"]).ok(),
        site.forecourt(&["token", "remove", "73:46|82"]).ok(),
        site.forecourt(&["audit", "list", "--json"]).ok(),
    ];
    for said in shown {
        assert!(!said.out.contains("|82") && !said.out.contains("|77"), "{said:?}");
    }
}

#[tokio::test]
async fn a_file_is_imported_whole_or_not_at_all_and_what_is_wrong_is_named() {
    let site = site("reject").await;
    let file = site.dir.path().join("tokens.csv");
    let import = || site.forecourt(&["token", "import", file.to_str().unwrap(), "--reason", "from head office"]);
    for (text, expected) in [
        ("card\n04AA\n", "the first line names no column \"token\""),
        ("token,colour\n04AA,red\n", "column \"colour\" is none of token, type,"),
        ("token,expires\n04AA,soon\n", "line 2: soon: not a time"),
        ("token,status\n04AA,accepted\n04BB,lost\n", "token 2: status \"lost\" is none of accepted, blocked, expired, invalid"),
        ("token\n04AA\n04aa\n", "token 2: the same as token 1"),
        ("token,tariff\n04AA,night\n", "token 1: no tariff night is loaded"),
        ("token,group\n04AA,a-group-of-more-than-20\n", "token 1: a group has at most 20 characters"),
        ("[{\"token\":\"04AA\",\"pin\":1}]", "unknown field `pin`"),
        ("[{\"token\":\"\"}]", "token 1: a token has 1 to 255 characters"),
    ] {
        std::fs::write(&file, text).unwrap();
        let said = import();
        assert_eq!(said.code, 2, "{text}: {said:?}");
        assert!(said.err.contains(expected), "{text}: {said:?}");
    }
    assert_eq!(site.count("SELECT count(*) FROM v_token", &[]), 0);
    let rows: Vec<String> = (0..4_500).map(|number| format!("T{number:05},ISO14443,accepted,,,CP-1 CP-2,plain")).collect();
    std::fs::write(&file, format!("\u{feff}token,type,status,group,expires,stations,tariff\r\n{}\r\n", rows.join("\r\n")))
        .unwrap();
    assert_eq!(import().ok().out, "4500 added\n");
    assert_eq!(import().ok().out, "4500 unchanged\n");
    let mut station = Socket::station(site.port, "CP-2", V16).await;
    assert_eq!(authorize(&mut station, V16, "t04499").await["status"], "Accepted");
    // Many stations for each: no command is too long for the socket.
    let stations = (0..60).map(|number| format!("STATION-WITH-A-LONG-NAME-{number:03}")).collect::<Vec<_>>().join(" ");
    let rows: Vec<String> = (0..900).map(|number| format!("U{number:05},{stations}")).collect();
    std::fs::write(&file, format!("token,stations\n{}\n", rows.join("\n"))).unwrap();
    assert_eq!(import().ok().out, "900 added\n");
    std::fs::write(&file, r#"[{"token": "T04499", "status": "blocked"}]"#).unwrap();
    assert_eq!(import().ok().out, "1 changed\n");
    assert_eq!(authorize(&mut station, V16, "t04499").await["status"], "Blocked");
}

#[tokio::test]
async fn a_token_that_is_told_late_has_its_own_tariff_all_the_same() {
    let fleet =
        json!({"country_code": "DE", "party_id": "TST", "id": "fleet", "currency": "EUR", "last_updated": "2020-01-01T00:00:00Z",
        "elements": [{"price_components": [{"type": "ENERGY", "price": 0.1, "step_size": 1}]}]})
        .to_string();
    let tariffs = [Plan::default().tariffs, vec![("fleet.json".to_owned(), fleet)]].concat();
    let mut site = Site::new(&Plan { tariffs, ..Plan::default() });
    site.start().await;
    site.forecourt(&["token", "add", "04FF", "--tariff", "fleet"]).ok();
    let mut station = Socket::station(site.port, "CP-2", V201).await;
    for (tx, late, register) in [("tx-1", Some("04FF"), 0), ("tx-2", Some("04EE"), 10_000), ("tx-3", None, 20_000)] {
        let minute = register / 200;
        let at = |minutes: i64| format!("2026-11-20T{:02}:{:02}:00Z", 8 + (minute + minutes) / 60, (minute + minutes) % 60);
        let (action, mut payload) = transaction::start(V201, tx, register, &at(0));
        payload.as_object_mut().unwrap().remove("idToken");
        let answer = station.call(&format!("{tx}-s"), action, payload).await;
        if let Some(token) = late {
            let event = json!({"eventType": "Updated", "timestamp": at(1), "triggerReason": "Authorized", "seqNo": 1,
                "transactionInfo": {"transactionId": tx}, "idToken": {"idToken": token, "type": "ISO14443"}});
            station.call(&format!("{tx}-u"), "TransactionEvent", event).await;
        }
        let (action, mut payload) = transaction::stop(V201, tx, &answer, register + 10_000, &at(40));
        payload["seqNo"] = json!(if late.is_some() { 2 } else { 1 });
        station.call(&format!("{tx}-e"), action, payload).await;
    }
    site.settled().await;
    let rows = site.query("SELECT tariff_id, energy_wh FROM v_session ORDER BY session_id", &[]);
    let ids: Vec<_> = rows.iter().map(|row| row[0].clone().unwrap_or_default()).collect();
    assert_eq!(ids, ["fleet", "plain", "plain"], "{rows:?}");
    assert_eq!(site.value("SELECT cost_excl_vat FROM v_session ORDER BY session_id LIMIT 1", &[]).as_deref(), Some("1.00"));
    // Told after the bill it changes nothing, and the store is as sound as before.
    let event = json!({"eventType": "Updated", "timestamp": "2026-11-20T10:30:00Z", "triggerReason": "Authorized", "seqNo": 7,
        "transactionInfo": {"transactionId": "tx-3"}, "idToken": {"idToken": "04FF", "type": "ISO14443"}});
    station.call("late", "TransactionEvent", event).await;
    site.forecourt(&["verify", "--all"]).ok();
    assert_eq!(site.value("SELECT tariff_id FROM v_session ORDER BY session_id DESC LIMIT 1", &[]).as_deref(), Some("plain"));
}

/// The EVSE is named after the token (docs/quirks.md Q84), and it is not one of the token's.
#[tokio::test]
async fn a_token_is_judged_again_when_its_evse_is_known() {
    let mut site = Site::new(&Plan::default());
    site.start().await;
    site.forecourt(&["token", "add", "04AA", "--stations", "CP-2/2"]).ok();
    let mut socket = Socket::station(site.port, "CP-2", V201).await;
    for (evse, verdict) in [(5, "Invalid"), (2, "Accepted")] {
        let tx = format!("tx-{evse}");
        let (action, mut payload) = transaction::start(V201, &tx, 1_000, &format!("2026-11-20T0{evse}:00:00Z"));
        payload.as_object_mut().unwrap().remove("evse");
        payload["idToken"] = json!({"idToken": "04AA", "type": "ISO14443"});
        let answer = socket.call(&format!("{tx}-s"), action, payload).await;
        assert_eq!(answer["idTokenInfo"]["status"], "Accepted");
        let (action, mut payload) = transaction::stop(V201, &tx, &answer, 6_000, &format!("2026-11-20T0{evse}:30:00Z"));
        payload.as_object_mut().unwrap().remove("idToken");
        payload["evse"] = json!({"id": evse, "connectorId": 1});
        let answer = socket.call(&format!("{tx}-e"), action, payload).await;
        assert_eq!(answer["idTokenInfo"]["status"], verdict, "{tx}");
    }
    site.settled().await;
    let held = "SELECT group_concat(evse || coalesce(hold_reason, state), ' ') FROM (SELECT * FROM v_session ORDER BY evse)";
    assert_eq!(site.value(held, &[]).as_deref(), Some("2done 5not-authorized"));
    site.stop().await;
}
