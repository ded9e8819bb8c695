//! Bills that a person corrects: the real binary, real sessions, and the records that come of it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use serde_json::{Value, json};
use support::charging::{MIN, ScriptedSite};

/// A site with one bill of 10 kWh in an hour: 4.00 + 1.20 excl. VAT, 6.19 incl.
async fn billed() -> ScriptedSite {
    let site = ScriptedSite::open().await;
    site.at(200 * MIN);
    let mut station = site.station("CP-1", "ocpp1.6").await;
    let tx = station.start(0, 1, "04-AAAA", 0).await;
    station.stop(60 * MIN, tx, "04-AAAA", 10_000).await;
    site.inner.settled().await;
    site
}

fn payload(site: &ScriptedSite, seq: u64) -> Value {
    site.inner.forecourt(&["record", "show", &seq.to_string(), "--json"]).ok().json()
}

fn session(site: &ScriptedSite) -> Value {
    site.inner.forecourt(&["sessions", "--json"]).ok().json()[0].clone()
}

#[tokio::test]
async fn a_bill_is_written_off_by_a_credit_and_never_edited() {
    let site = billed().await;
    let before = site.inner.value("SELECT jws FROM v_record WHERE seq = 1", &[]);
    let said = site.inner.forecourt(&["correct", "1", "--reason", "the cable failed", "--write-off"]).ok();
    assert!(said.out.contains("6.19 EUR incl. VAT before, 0 EUR after"), "{said:?}");
    assert!(said.out.contains("record 1 is taken back by record 2; it is not charged anew"), "{said:?}");
    assert_eq!(site.inner.value("SELECT jws FROM v_record WHERE seq = 1", &[]), before);
    let credit = payload(&site, 2);
    let (charge, cdr) = (payload(&site, 1), &credit["cdr"]);
    assert_eq!((&credit["kind"], &cdr["credit"]), (&json!("credit"), &json!(true)));
    assert_eq!((&cdr["credit_reference_id"], &cdr["id"]), (&charge["record_id"], &credit["record_id"]));
    assert_eq!(cdr["total_cost"], json!({"excl_vat": -5.20, "incl_vat": -6.19}));
    assert_eq!(cdr["total_energy_cost"], charge["cdr"]["total_energy_cost"]);
    assert_eq!((&credit["lines"][0]["amount_excl_vat"], &credit["lines"][0]["quantity"]), (&json!("-4.00"), &json!("-10")));
    assert_eq!((&credit["corrects"]["seq"], &credit["corrects"]["reason"]), (&json!(1), &json!("the cable failed")));
    // The list, the explanation, the audit, the chain.
    let row = session(&site);
    assert_eq!((&row["state"], &row["cost_incl_vat"], &row["credit_seq"]), (&json!("done"), &json!("0"), &json!(2)));
    let id = row["session_id"].as_str().unwrap().to_owned();
    let said = site.inner.forecourt(&["session", "explain", &id]).ok().out;
    assert!(said.contains("the bill was taken back") && said.contains(": credit, takes back record 1, -6.19 EUR"), "{said}");
    let audit = site.inner.forecourt(&["audit", "list", "--json"]).ok().json();
    assert_eq!(
        (&audit[0]["action"], &audit[0]["object"], &audit[0]["reason"]),
        (&json!("correct"), &json!(id), &json!("the cable failed"))
    );
    site.inner.forecourt(&["verify", "--all"]).ok();
    // Once.
    let said = site.inner.forecourt(&["correct", "1", "--reason", "again", "--write-off"]);
    assert_eq!(said.code, 8);
    assert!(said.err.contains("record 1 is no charge that stands"), "{said:?}");
    let said = site.inner.forecourt(&["correct", "2", "--reason", "again", "--write-off"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("record 2 is a credit, not a charge"), "{said:?}");
    assert_eq!(site.inner.forecourt(&["correct", "9", "--reason", "x", "--write-off"]).code, 3);
    assert_eq!(site.inner.count("SELECT count(*) FROM v_record", &[]), 2);
}

#[tokio::test]
async fn a_session_is_charged_anew_with_another_energy_and_by_another_tariff() {
    let site = billed().await;
    let correct = |args: &[&str]| site.inner.forecourt(&[&["correct", "--json"], args].concat());
    // Nothing would change.
    let said = correct(&["1", "--reason", "look again"]);
    assert_eq!(said.code, 8);
    assert!(said.err.contains("charged the same"), "{said:?}");
    // Only asked.
    let asked = correct(&["1", "--reason", "meter read by hand", "--energy-wh", "7500", "--dry-run"]).ok().json();
    assert_eq!((&asked["cost_excl_vat_after"], &asked["credit_seq"]), (&json!("4.20"), &Value::Null));
    assert_eq!(site.inner.count("SELECT count(*) FROM v_record", &[]), 1);
    // 7.5 kWh × 0.40 + 1.20
    let made = correct(&["1", "--reason", "meter read by hand", "--energy-wh", "7500"]).ok().json();
    assert_eq!((&made["credit_seq"], &made["new_charge_seq"]), (&json!(2), &json!(3)));
    let (charge, new) = (payload(&site, 1), payload(&site, 3));
    assert_eq!((&new["kind"], &new["corrects"]["record_id"]), (&json!("charge"), &charge["record_id"]));
    assert_eq!((&new["meter"]["source"], &new["meter"]["energy_wh"]), (&json!("person"), &json!("7500")));
    assert!(new["findings"].to_string().contains("energy-stated"), "{new}");
    let row = session(&site);
    assert_eq!((&row["record_seq"], &row["cost_excl_vat"], &row["energy_wh"]), (&json!(3), &json!("4.20"), &json!(7500)));
    // By a tariff that has just come.
    let night = support::PLAIN.replace("\"plain\"", "\"night\"").replace("0.40", "0.20");
    std::fs::write(site.inner.dir.path().join("tariffs/night.json"), night).unwrap();
    site.inner.forecourt(&["tariff", "reload"]).ok();
    assert_eq!(correct(&["3", "--reason", "night rate", "--tariff", "nightly"]).code, 3);
    // 10 kWh as measured, × 0.20
    correct(&["3", "--reason", "night rate", "--tariff", "night"]).ok();
    let row = session(&site);
    assert_eq!((&row["cost_excl_vat"], &row["tariff_id"], &row["energy_wh"]), (&json!("2.00"), &json!("night"), &json!(10_000)));
    let id = row["session_id"].as_str().unwrap().to_owned();
    let said = site.inner.forecourt(&["session", "explain", &id]).ok().out;
    assert!(said.contains(": charge, in the place of record 3, 2.38 EUR"), "{said}");
    let linked = "SELECT group_concat(r.seq || '>' || o.seq) FROM v_record r JOIN v_record o ON o.record_id = r.reference";
    assert_eq!(site.inner.value(linked, &[]).as_deref(), Some("2>1,3>1,4>3,5>3"));
    site.inner.forecourt(&["verify", "--all"]).ok();
    // What is wrong is said.
    for (args, code, words) in [
        (&["5", "--reason", " "][..], 2, "needs a reason"),
        (&["5", "--reason", "x", "--energy-wh", "-1"], 2, "is no energy"),
        (&["5", "--reason", "x", "--energy-wh", "1.2345"], 2, "is no energy"),
        (&["5", "--reason", "x", "--write-off", "--energy-wh", "1"], 2, "cannot be used with"),
    ] {
        let said = correct(args);
        assert!(said.code == code && said.err.contains(words), "{args:?} {said:?}");
    }
    assert_eq!(site.inner.count("SELECT count(*) FROM v_record", &[]), 5);
}

#[tokio::test]
async fn records_are_made_anew_from_the_journal_byte_by_byte() {
    let mut site = billed().await;
    site.inner.forecourt(&["correct", "1", "--reason", "meter read by hand", "--energy-wh", "7500"]).ok();
    let said = site.inner.forecourt(&["record", "recompute", "--all"]).ok();
    assert!(said.err.contains("3 records, each the same byte by byte"), "{said:?}");
    assert!(site.inner.forecourt(&["record", "recompute", "2"]).ok().err.contains("1 records"));
    assert_eq!(site.inner.forecourt(&["record", "recompute", "9"]).code, 3);
    // A journal that says something else than the record.
    site.inner.no_replay = Some("the test alters the journal");
    site.inner.stop().await;
    let store = rusqlite::Connection::open(site.inner.store()).unwrap();
    let altered =
        "UPDATE message SET text = replace(text, '\"meterStop\":10000', '\"meterStop\":9000') WHERE action = 'StopTransaction'";
    assert_eq!(store.execute(altered, []).unwrap(), 1);
    drop(store);
    let said = site.inner.forecourt(&["record", "recompute", "1", "--json"]);
    assert_eq!(said.code, 6);
    let rows = said.json();
    let members: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row["member"]).collect();
    assert!(members.contains(&&json!("lines")) && members.contains(&&json!("meter")), "{rows}");
}

/// A stated energy is no reading of the meter: what charged there next is billed, and the correction can be made after it, too.
#[tokio::test]
async fn a_stated_energy_moves_no_register_of_the_meter() {
    let site = billed().await;
    let correct = |seq: &str, energy: &str| {
        site.inner.forecourt(&["correct", seq, "--energy-wh", energy, "--reason", "the meter reads low"])
    };
    correct("1", "12000").ok();
    let mut station = site.station("CP-1", "ocpp1.6").await;
    let tx = station.start(70 * MIN, 1, "04-AAAA", 10_000).await;
    station.stop(100 * MIN, tx, "04-AAAA", 13_000).await;
    site.inner.settled().await;
    let rows = site.inner.forecourt(&["sessions", "--json"]).ok().json();
    assert_eq!(
        (&rows[0]["state"], &rows[0]["energy_wh"], &rows[1]["energy_wh"]),
        (&json!("done"), &json!(3_000), &json!(12_000))
    );
    assert_eq!(rows[0]["record_seq"], json!(4));
    // The next session stands already.
    correct("3", "12500").ok();
    correct("6", "11000").ok();
    site.inner.forecourt(&["verify", "--all"]).ok();
    site.inner.forecourt(&["record", "recompute", "--all"]).ok();
}
