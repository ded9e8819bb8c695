//! Tariff files and foreign CDRs on the command line: the real binary, real files.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{CommandOutput, run_to_end};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }
}

fn forecourt(args: &[&str]) -> CommandOutput {
    run_to_end(Command::new(env!("CARGO_BIN_EXE_forecourt")).args(args).env_remove("FORECOURT__SITE__ID"))
}

const HEAD: &str = r#""country_code":"DE","party_id":"ABC","id":"T","currency":"EUR","last_updated":"2026-01-01T00:00:00Z","#;

fn tariff(elements: &str) -> String {
    format!("{{{HEAD}\n\"elements\":[\n{elements}\n]}}")
}

#[test]
fn check_names_file_line_and_fix() {
    let folder = Folder::new();
    let night = r#"{"price_components":[{"type":"ENERGY","price":-0.3,"vat":19,"step_size":1}],
        "restrictions":{"start_time":"06:00","end_time":"23:59"}}"#;
    let odd = folder.file("odd.json", &tariff(night));
    let said = forecourt(&["tariff", "check", &odd]).ok();
    for words in [
        "odd.json:4: tariff-last-minute: elements[0].restrictions.end_time: ",
        "; write 00:00 for the end of the day",
        "odd.json:3: tariff-price-negative: elements[0].price_components[0]: ",
    ] {
        assert!(said.out.contains(words), "{words}: {said:?}");
    }
    assert!(said.err.contains("1 file read, 0 refused, 2 remarks"), "{said:?}");
    let misspelt = folder.file("misspelt.json", &format!("{{{HEAD}\n\"max_prise\":{{\"excl_vat\":10}},\n\"elements\":[]}}"));
    let said = forecourt(&["tariff", "check", &odd, &misspelt]);
    assert_eq!(said.code, 4);
    assert!(said.out.contains("misspelt.json:2: refused: max_prise: is not known"), "{said:?}");
    assert!(said.out.contains("(did you mean max_price?)"), "{said:?}");
    let rows = forecourt(&["tariff", "check", &odd, &misspelt, "--json"]).json();
    assert_eq!((rows[0]["code"].as_str(), rows[2]["line"].as_i64()), (Some("tariff-last-minute"), Some(2)), "{rows}");
    let hourly = folder.file("hourly.json", &tariff(r#"{"price_components":[{"type":"TIME","price":3,"step_size":1}]}"#));
    assert!(forecourt(&["tariff", "check", &hourly]).ok().err.contains("0 remarks"));
    assert!(forecourt(&["tariff", "check", &hourly, "--power", "50"]).ok().out.contains("tariff-ad-hoc-per-kwh"));
    assert_eq!(forecourt(&["tariff", "check", "/nowhere.json"]).code, 3);
}

#[test]
fn five_thousand_elements_take_no_seconds() {
    let folder = Folder::new();
    let element = |at: usize| {
        format!(r#"{{"price_components":[{{"type":"ENERGY","price":0.3,"step_size":1}}],"restrictions":{{"min_kwh":{at}}}}}"#)
    };
    let elements: Vec<String> = (0..5000).map(element).collect();
    let large = folder.file("large.json", &tariff(&elements.join(",\n")));
    let begin = Instant::now();
    assert!(forecourt(&["tariff", "check", &large]).ok().err.contains("1 file read, 0 refused, 0 remarks"));
    // A debug build on a busy machine; the square took half a minute.
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[test]
fn explain_and_diff_speak_plainly() {
    let folder = Folder::new();
    let day = |price: &str| {
        tariff(&format!(
            r#"{{"price_components":[{{"type":"ENERGY","price":{price},"vat":19,"step_size":1}}],"restrictions":{{"start_time":"06:00","end_time":"22:00"}}}},
               {{"price_components":[{{"type":"ENERGY","price":0.39,"vat":19,"step_size":1}}]}}"#
        ))
    };
    let (before, after) = (folder.file("before.json", &day("0.59")), folder.file("after.json", &day("0.65")));
    let said = forecourt(&["tariff", "explain", &before, "--week", "2026-06-03"]).ok().out;
    assert!(said.contains("element 1, 06:00-22:00: 0.59 EUR/kWh, 19 % VAT"), "{said}");
    let rows = forecourt(&["tariff", "explain", &before, "--json"]).ok().json();
    assert_eq!(
        rows[1],
        json!({"dimension": "ENERGY", "from": "06:00", "until": "22:00", "mon": "0.59", "tue": "0.59", "wed": "0.59",
        "thu": "0.59", "fri": "0.59", "sat": "0.59", "sun": "0.59"})
    );
    let said = forecourt(&["tariff", "diff", &before, &after]).ok().out;
    assert_eq!(said.trim(), "element 1, 06:00-22:00: 0.59 EUR/kWh, 19 % VAT -> 0.65 EUR/kWh, 19 % VAT");
    assert!(forecourt(&["tariff", "diff", &before, &before]).ok().err.contains("both price every session alike"));
}

/// One hour of charging with 10 kWh and half an hour parked, at 0.25 per kWh + 10 % and 2.00 per hour parked + 20 %.
fn cdr() -> Value {
    let tariff: Value = serde_json::from_str(&tariff(
        r#"{"price_components":[{"type":"ENERGY","price":0.25,"vat":10,"step_size":1},{"type":"PARKING_TIME","price":2,"vat":20,"step_size":1}]}"#,
    ))
    .unwrap();
    json!({"country_code": "NL", "party_id": "TNM", "id": "C-1", "start_date_time": "2026-06-01T10:00:00Z",
        "end_date_time": "2026-06-01T11:30:00Z", "currency": "EUR", "tariffs": [tariff],
        "charging_periods": [
            {"start_date_time": "2026-06-01T10:00:00Z", "dimensions": [{"type": "ENERGY", "volume": 10}, {"type": "TIME", "volume": 1}]},
            {"start_date_time": "2026-06-01T11:00:00Z", "dimensions": [{"type": "PARKING_TIME", "volume": 0.5}]}],
        "total_cost": {"excl_vat": 3.5, "incl_vat": 3.95}, "total_energy_cost": {"excl_vat": 2.5, "incl_vat": 2.75},
        "total_parking_cost": {"excl_vat": 1.0, "incl_vat": 1.2}, "total_energy": 10, "total_time": 1.5, "total_parking_time": 0.5})
}

#[test]
fn a_foreign_cdr_is_priced_again_line_by_line() {
    let folder = Folder::new();
    let verify = |cdr: &Value, more: &[&str]| {
        let file = folder.file("cdr.json", &cdr.to_string());
        forecourt(&[&["cdr", "verify", &file, "--time-zone", "Europe/Amsterdam"], more].concat())
    };
    let said = verify(&cdr(), &[]).ok();
    assert!(said.err.contains("1 CDRs, 0 of them differ"), "{said:?}");
    // In a list and in a response, too.
    verify(&json!([cdr(), cdr()]), &[]).ok();
    verify(&json!({"data": cdr(), "status_code": 1000}), &[]).ok();
    // A cent is tolerated, five are not, unless they are said to be.
    let mut off = cdr();
    off["total_cost"] = json!({"excl_vat": 3.55, "incl_vat": 3.96});
    let said = verify(&off, &["--json"]);
    let rows = said.json();
    assert_eq!((said.code, &rows[0]["difference"], &rows[0]["verdict"]), (6, &json!("0.05"), &json!("differs")));
    assert_eq!(rows[1]["verdict"], json!("agrees"));
    verify(&off, &["--tolerance", "0.05"]).ok();
    // By another tariff.
    let dear = folder.file("dear.json", &tariff(r#"{"price_components":[{"type":"ENERGY","price":0.5,"step_size":1}]}"#));
    let rows = verify(&cdr(), &["--tariff", &dear, "--json"]).json();
    assert_eq!((&rows[0]["computed"], &rows[0]["stated"]), (&json!("5"), &json!("3.5")));
    // What is odd about it is said: order, and a price that changes inside a period.
    let mut odd = cdr();
    odd["charging_periods"].as_array_mut().unwrap().reverse();
    assert!(verify(&odd, &[]).ok().out.contains("not in order of time"));
    let late = r#"{"price_components":[{"type":"ENERGY","price":0.25,"step_size":1}],"restrictions":{"start_time":"12:15"}}"#;
    let late = folder.file("late.json", &tariff(late));
    assert!(verify(&cdr(), &["--tariff", &late]).out.contains("the price changes at 2026-06-01T10:15:00Z (time-of-day)"));
    // A credit takes back the whole; only its total is negated.
    let mut credit = cdr();
    (credit["credit"], credit["credit_reference_id"]) = (json!(true), json!("C-1"));
    credit["total_cost"] = json!({"excl_vat": -3.5, "incl_vat": -3.95});
    verify(&credit, &[]).ok();
    assert_eq!(verify(&json!({"id": "x"}), &[]).code, 6);
}

#[test]
fn cdrs_of_2_1_1_and_2_3_are_read() {
    let folder = Folder::new();
    let verify =
        |name: &str, text: &str| forecourt(&["cdr", "verify", &folder.file(name, text), "--time-zone", "Europe/Brussels"]);
    // The example of OCPI 2.1.1 mod_cdrs: 1.973 hours in steps of five minutes are two hours.
    let old = r#"{"id":"12345","start_date_time":"2015-06-29T21:39:09Z","stop_date_time":"2015-06-29T23:37:32Z","currency":"EUR",
        "tariffs":[{"id":"12","currency":"EUR","elements":[{"price_components":[{"type":"TIME","price":2.00,"step_size":300}]}],
        "last_updated":"2015-02-02T14:15:01Z"}],"charging_periods":[{"start_date_time":"2015-06-29T21:39:09Z",
        "dimensions":[{"type":"TIME","volume":1.973}]}],"total_cost":4.00,"total_energy":0,"total_time":1.973}"#;
    verify("old.json", old).ok();
    let mut new = cdr();
    new["total_cost"] = json!({"before_taxes": 3.5, "taxes": [{"name": "VAT", "amount": 0.45}]});
    for part in ["total_energy_cost", "total_parking_cost"] {
        new[part] = json!({"before_taxes": new[part]["excl_vat"]});
    }
    new["tariffs"][0]["tax_included"] = json!("NO");
    verify("new.json", &new.to_string()).ok();
}
