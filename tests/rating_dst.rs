//! To the cent by hand: a session over a tariff's evening edge, midnight, the day of the week, the October clock change, a new
//! tariff version, and a parked car. A station reports it all days later, from its queue.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use rusqlite::ToSql;
use serde_json::{Value, json};
use support::socket::Socket;
use support::{Plan, Site};

/// Prices excl. VAT. 2026-10-24 is a Saturday. In the night to Sunday clocks go back from 03:00 CEST to 02:00 CET, so the times
/// from 02:00 to 03:00 come twice. Parking is billed in steps of five minutes.
const OLD: &str = r#"{"country_code":"DE","party_id":"TST","id":"night","currency":"EUR","last_updated":"2026-01-01T00:00:00Z",
"elements":[
 {"price_components":[{"type":"ENERGY","price":0.44,"vat":19,"step_size":1}],
  "restrictions":{"day_of_week":["SATURDAY"],"start_time":"06:00","end_time":"22:00"}},
 {"price_components":[{"type":"ENERGY","price":0.36,"vat":19,"step_size":1}],
  "restrictions":{"day_of_week":["SATURDAY"],"start_time":"22:00","end_time":"00:00"}},
 {"price_components":[{"type":"ENERGY","price":0.333,"vat":19,"step_size":1}],
  "restrictions":{"day_of_week":["SUNDAY"],"start_time":"00:00","end_time":"02:00"}},
 {"price_components":[{"type":"ENERGY","price":0.105,"vat":19,"step_size":1}],
  "restrictions":{"start_time":"02:00","end_time":"02:30"}},
 {"price_components":[{"type":"ENERGY","price":0.205,"vat":19,"step_size":1}]},
 {"price_components":[{"type":"PARKING_TIME","price":3.00,"vat":19,"step_size":300}]}
]}"#;

/// From midnight (CEST) on: a session fee and one price.
const NEW: &str = r#"{"country_code":"DE","party_id":"TST","id":"night","currency":"EUR","last_updated":"2026-10-20T00:00:00Z",
"start_date_time":"2026-10-24T22:00:00Z",
"elements":[{"price_components":[{"type":"FLAT","price":1.00,"vat":19,"step_size":1},{"type":"ENERGY","price":0.50,"vat":19,"step_size":1}]}]}"#;

/// The meter runs at 6 kW, 100 Wh a minute, from 21:07 CEST to 05:30 CET; nobody reads it at the edges. Then the car is full, and
/// goes at 06:22 CET. Times are UTC: CEST is +2, CET is +1.
const STARTED: (&str, i64) = ("2026-10-24T19:07:00Z", 1_000_000);
const READ: [(&str, i64); 5] = [
    ("2026-10-24T19:40:00Z", 1_003_300), // 33 min
    ("2026-10-24T21:20:00Z", 1_013_300), // 1 h 40 min
    ("2026-10-24T22:40:00Z", 1_021_300), // 1 h 20 min
    ("2026-10-25T00:10:00Z", 1_030_300), // 1 h 30 min
    ("2026-10-25T04:30:00Z", 1_056_300), // 4 h 20 min
];
const FULL: &str = "2026-10-25T04:30:00Z";
const STOPPED: (&str, i64) = ("2026-10-25T05:22:00Z", 1_056_300);

/// By hand, with the version in force at the start, although another became valid at midnight:
///
/// | local time                                       | hours | kWh  | price | exact | line |
/// |--------------------------------------------------|-------|------|-------|-------|------|
/// | Sat 21:07 to 22:00 CEST                          | 0:53  | 5.3  | 0.44  | 2.332 | 2.33 |
/// | Sat 22:00 to 24:00 CEST                          | 2:00  | 12   | 0.36  | 4.32  | 4.32 |
/// | Sun 00:00 to 02:00 CEST                          | 2:00  | 12   | 0.333 | 3.996 | 4.00 |
/// | Sun 02:00 to 02:30 CEST, 02:00 to 02:30 CET      | 1:00  | 6    | 0.105 | 0.63  | 0.63 |
/// | Sun 02:30 to 03:00 CEST, 02:30 to 05:30 CET      | 3:30  | 21   | 0.205 | 4.305 | 4.31 |
/// | parked 05:30 to 06:22 CET: 52 min, billed as 55  | 0:55  |      | 3.00  | 2.75  | 2.75 |
///
/// 8 h 23 min by the local clock, 9 h 23 min in truth: 56.3 kWh. Sum 18.34; VAT 19 % of it 3.4846, 3.48; together 21.82.
const LINES: [[&str; 5]; 6] = [
    ["ENERGY", "5.3", "0.44", "2.33", "element 1: Sat 06:00-22:00; 5.3 kWh at 0.44 EUR/kWh"],
    ["ENERGY", "12", "0.36", "4.32", "element 2: Sat 22:00-24:00; 12 kWh at 0.36 EUR/kWh"],
    ["ENERGY", "12", "0.333", "4.00", "element 3: Sun 00:00-02:00; 12 kWh at 0.333 EUR/kWh"],
    ["ENERGY", "6", "0.105", "0.63", "element 4: 02:00-02:30; 6 kWh at 0.105 EUR/kWh"],
    ["ENERGY", "21", "0.205", "4.31", "element 5: always; 21 kWh at 0.205 EUR/kWh"],
    [
        "PARKING_TIME",
        "0.916667",
        "3.00",
        "2.75",
        "element 6: always; 52 min connected without charging at 3.00 EUR/h, billed as 55 min (steps of 300 s over the session)",
    ],
];

/// Two hours later on the Sunday: 10 kWh under the new version. 1.00 + 5.00 = 6.00; VAT 1.14; together 7.14.
const LATER: [(&str, i64); 2] = [("2026-10-25T07:00:00Z", 1_056_300), ("2026-10-25T08:00:00Z", 1_066_300)];

#[tokio::test]
async fn a_night_with_the_clock_change_is_priced_to_the_cent() {
    let mut site = Site::new(&Plan {
        tariffs: vec![("night-1.json".into(), OLD.into()), ("night-2.json".into(), NEW.into())],
        default_tariff: "night".into(),
        ..Plan::default()
    });
    site.start().await;
    let mut station = Socket::station(site.port, "CP-16", "ocpp1.6").await;
    deliver_v16(&mut station).await;
    for version in ["ocpp2.0.1", "ocpp2.1"] {
        let mut station = Socket::station(site.port, version, version).await;
        deliver_v2(&mut station).await;
    }
    site.settled().await;
    for station in ["CP-16", "ocpp2.0.1", "ocpp2.1"] {
        the_night_is_billed(&site, station);
        the_morning_is_billed(&site, station);
    }
    let verified = site.forecourt(&["verify", "--all", "--json"]).ok().json();
    assert_eq!(verified["records"], json!(6));
    site.stop().await;
}

/// 1.6: the queue holds starts, stops, readings and the status that says that the car no longer charges.
async fn deliver_v16(station: &mut Socket) {
    let start = |at: &str, wh: i64| json!({"connectorId": 1, "idTag": "04AABBCC", "meterStart": wh, "timestamp": at});
    let status = |at: &str, status: &str| json!({"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": at});
    let tx = station.call("1", "StartTransaction", start(STARTED.0, STARTED.1)).await["transactionId"].clone();
    station.call("2", "StatusNotification", status(STARTED.0, "Charging")).await;
    for (number, (at, wh)) in READ.iter().enumerate() {
        let values = json!([{"timestamp": at, "sampledValue": [{"value": wh.to_string()}]}]);
        let payload = json!({"connectorId": 1, "transactionId": tx, "meterValue": values});
        station.call(&format!("3-{number}"), "MeterValues", payload).await;
    }
    station.call("4", "StatusNotification", status(FULL, "SuspendedEV")).await;
    let stop = |tx: &Value, (at, wh): (&str, i64)| json!({"transactionId": tx, "meterStop": wh, "timestamp": at});
    station.call("5", "StopTransaction", stop(&tx, STOPPED)).await;
    let tx = station.call("6", "StartTransaction", start(LATER[0].0, LATER[0].1)).await["transactionId"].clone();
    station.call("7", "StopTransaction", stop(&tx, LATER[1])).await;
}

/// 2.x: the same in transaction events that say of themselves that they were made offline.
async fn deliver_v2(station: &mut Socket) {
    let event = |kind: &str, tx: &str, seq: usize, (at, wh): (&str, i64), context: &str| {
        json!({"eventType": kind, "timestamp": at, "triggerReason": "Trigger", "seqNo": seq, "offline": true,
            "transactionInfo": {"transactionId": tx}, "evse": {"id": 1, "connectorId": 1},
            "meterValue": [{"timestamp": at, "sampledValue": [{"value": wh, "context": context}]}]})
    };
    let mut events = vec![event("Started", "night", 0, STARTED, "Transaction.Begin")];
    events[0]["transactionInfo"]["chargingState"] = json!("Charging");
    events[0]["idToken"] = json!({"idToken": "04AABBCC", "type": "ISO14443"});
    events.extend(READ.iter().map(|reading| event("Updated", "night", 0, *reading, "Sample.Periodic")));
    let mut full = event("Updated", "night", 0, (FULL, STOPPED.1), "Other");
    full["transactionInfo"]["chargingState"] = json!("SuspendedEV");
    events.push(full);
    events.push(event("Ended", "night", 0, STOPPED, "Transaction.End"));
    for (seq, event) in events.iter_mut().enumerate() {
        event["seqNo"] = json!(seq);
        event["triggerReason"] = json!("MeterValuePeriodic");
    }
    events.push(event("Started", "morning", 0, LATER[0], "Transaction.Begin"));
    events.push(event("Ended", "morning", 1, LATER[1], "Transaction.End"));
    for (number, event) in events.into_iter().enumerate() {
        station.call(&number.to_string(), "TransactionEvent", event).await;
    }
}

fn the_night_is_billed(site: &Site, station: &str) {
    let values: &[&dyn ToSql] = &[&station];
    let session = site
        .query(
            "SELECT energy_wh, cost_excl_vat, cost_incl_vat, duration_s, started_at, stopped_at, session_id, record_seq \
             FROM v_session WHERE station = ?1 ORDER BY started_at LIMIT 1",
            values,
        )
        .remove(0);
    // 9 h 23 min + 52 min = 36,900 s of real time.
    let wanted = ["56300", "18.34", "21.82", "36900", STARTED.0, STOPPED.0].map(|text| Some(text.to_owned()));
    assert_eq!(session[..6], wanted, "{station}");
    let id = session[6].as_deref().unwrap();

    let lines = site.query(
        "SELECT dimension, quantity, unit_price, amount_excl_vat, reason FROM v_price_line WHERE session_id = ?1 ORDER BY line",
        &[&id],
    );
    assert_eq!(lines, LINES.map(|line| line.map(|text| Some(text.to_owned()))), "{station}");
    let vat = site.query("SELECT vat, amount_incl_vat, vat_percent FROM v_price_line WHERE session_id = ?1", &[&id]);
    let cents = |column: usize| vat.iter().map(|line| cents(line[column].as_deref().unwrap())).sum::<i64>();
    assert_eq!((cents(0), cents(1)), (348, 2182), "VAT of the lines adds up to the cent: {vat:?}");
    // The half hour that came twice is one line from its first to its last instant.
    let twice = site.query("SELECT period_start, period_end FROM v_price_line WHERE session_id = ?1 AND line = 4", &[&id]);
    assert_eq!(twice, [["2026-10-25T00:00:00Z", "2026-10-25T01:30:00Z"].map(|text| Some(text.to_owned()))]);

    let explained = site.forecourt(&["session", "explain", id]).ok().out;
    for wanted in [
        "2.33 EUR  5.3 x 0.44 per kWh: element 1: Sat 06:00-22:00",
        "0.63 EUR  6 x 0.105 per kWh: element 4: 02:00-02:30",
        "4.31 EUR  21 x 0.205 per kWh: element 5: always",
        "2.75 EUR  0.916667 x 3.00 per h: element 6",
        "18.34 EUR excl. VAT, 21.82 EUR incl. VAT; tariff night; record",
        "from 2026-10-24 21:07:00 CEST to 2026-10-25 06:22:00 CET, 56300 Wh (register 1000000 to 1056300)",
    ] {
        assert!(explained.contains(wanted), "{wanted:?} is not in\n{explained}");
    }
    let record = site.forecourt(&["record", "show", session[7].as_deref().unwrap(), "--json"]).ok().out;
    for wanted in [r#""total_cost":{"excl_vat":18.34,"incl_vat":21.82}"#, r#""total_energy":56.3"#, r#""price":0.333"#] {
        assert!(record.contains(wanted), "{wanted} is not in\n{record}");
    }
    assert!(!record.contains(r#""price":0.50"#), "the version that became valid meanwhile is not in the record");
}

fn the_morning_is_billed(site: &Site, station: &str) {
    let sql = "SELECT energy_wh, cost_excl_vat, cost_incl_vat FROM v_session WHERE station = ?1 ORDER BY started_at DESC LIMIT 1";
    let session = site.query(sql, &[&station]);
    assert_eq!(session, [["10000", "6.00", "7.14"].map(|text| Some(text.to_owned()))], "{station}");
}

/// "4.31" in cents.
fn cents(text: &str) -> i64 {
    let (whole, cents) = text.split_once('.').expect("two decimals");
    assert_eq!(cents.len(), 2, "{text}");
    whole.parse::<i64>().unwrap() * 100 + cents.parse::<i64>().unwrap()
}
