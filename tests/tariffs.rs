//! Tariffs that change while the daemon runs: the real binary, real files, real bills.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use serde_json::json;
use support::charging::{MIN, ScriptedSite};

fn plain(price: &str) -> String {
    json!({"country_code": "DE", "party_id": "TST", "id": "plain", "currency": "EUR", "last_updated": "2020-01-01T00:00:00Z",
        "elements": [{"price_components": [{"type": "ENERGY", "price": 7.5, "vat": 19, "step_size": 1}]}]})
    .to_string()
    .replace("7.5", price)
}

/// What the records cost, in the order of their sessions.
fn costs(site: &ScriptedSite) -> Vec<String> {
    let rows = site.inner.query("SELECT cost_excl_vat FROM v_session ORDER BY session_id", &[]);
    rows.into_iter().map(|row| row[0].clone().unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_price_edited_under_the_same_id_is_a_new_version_for_sessions_that_begin_then() {
    let site = ScriptedSite::open().await;
    let file = site.inner.dir.path().join("tariffs/plain.json");
    std::fs::write(&file, plain("0.50")).unwrap();
    site.at(200 * MIN);
    let mut station = site.station("CP-1", "ocpp1.6").await;
    let running = station.start(0, 1, "04-AAAA", 0).await;
    let said = site.inner.forecourt(&["tariff", "reload", "--reason", "new prices", "--json"]).ok().json();
    assert_eq!((&said[0]["tariff_id"], &said[0]["change"]), (&json!("plain"), &json!("changed")));
    station.stop(60 * MIN, running, "04-AAAA", 10_000).await;
    let later = station.start(100 * MIN, 1, "04-BBBB", 10_000).await;
    station.stop(160 * MIN, later, "04-BBBB", 20_000).await;
    site.inner.settled().await;
    // 10 kWh and an hour by the tariff before; 10 kWh at 0.50.
    assert_eq!(costs(&site), ["5.20", "5.00"]);
    let audit = site.inner.forecourt(&["audit", "list", "--json"]).ok().json();
    assert_eq!((&audit[0]["action"], &audit[0]["reason"]), (&json!("tariff reload"), &json!("new prices")));
    let (before, after) = (audit[0]["before"].as_str().unwrap(), audit[0]["after"].as_str().unwrap());
    assert!(before.starts_with("plain ") && after.starts_with("plain ") && before != after, "{audit}");
    let said = site.inner.forecourt(&["tariff", "reload"]).ok();
    assert!(said.err.contains("no tariff has changed"), "{said:?}");
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_and_is_named_and_sighup_reads_the_tariffs_again() {
    let site = ScriptedSite::open().await;
    let file = site.inner.dir.path().join("tariffs/plain.json");
    std::fs::write(&file, plain("\"a lot\"")).unwrap();
    let said = site.inner.forecourt(&["tariff", "reload"]);
    assert_eq!(said.code, 8);
    assert!(said.err.contains("the tariffs stay as they are: tariff file") && said.err.contains("plain.json"), "{said:?}");
    let hang_up = || std::process::Command::new("kill").args(["-HUP", &site.inner.pid().to_string()]).status().unwrap();
    assert!(hang_up().success());
    site.inner.logged(&["the tariffs stay as they are", "plain.json"]).await;
    // Priced by what was there before.
    site.at(200 * MIN);
    let mut station = site.station("CP-1", "ocpp1.6").await;
    let tx = station.start(0, 1, "04-AAAA", 0).await;
    station.stop(60 * MIN, tx, "04-AAAA", 10_000).await;
    std::fs::write(&file, plain("0.50")).unwrap();
    assert!(hang_up().success());
    site.inner.logged(&["tariffs changed", "SIGHUP"]).await;
    let tx = station.start(100 * MIN, 1, "04-BBBB", 10_000).await;
    station.stop(160 * MIN, tx, "04-BBBB", 20_000).await;
    site.inner.settled().await;
    assert_eq!(costs(&site), ["5.20", "5.00"]);
}

/// Its tokens' sessions would be held, one after the other.
#[tokio::test]
async fn a_tariff_that_tokens_have_is_not_removed() {
    let site = ScriptedSite::open().await;
    let file = site.inner.dir.path().join("tariffs/fleet.json");
    std::fs::write(&file, plain("0.50").replace("plain", "fleet")).unwrap();
    site.inner.forecourt(&["tariff", "reload"]).ok();
    site.inner.forecourt(&["token", "add", "04AA", "--tariff", "Fleet"]).ok();
    std::fs::remove_file(&file).unwrap();
    let said = site.inner.forecourt(&["tariff", "reload"]);
    assert_eq!(said.code, 8, "{said:?}");
    assert!(said.err.contains("1 tokens on the list have tariff Fleet") && said.err.contains("forecourt token add"), "{said:?}");
    site.inner.forecourt(&["token", "remove", "04AA"]).ok();
    let said = site.inner.forecourt(&["tariff", "reload", "--json"]).ok().json();
    assert_eq!((&said[0]["tariff_id"], &said[0]["change"]), (&json!("fleet"), &json!("removed")));
}

/// Head office can ask for the version that a record names.
#[tokio::test]
async fn a_tariff_version_goes_by_one_hash_in_records_and_in_the_store() {
    let site = ScriptedSite::open().await;
    // As an editor writes it.
    std::fs::write(site.inner.dir.path().join("tariffs/plain.json"), format!("{}\n", plain("0.50"))).unwrap();
    site.inner.forecourt(&["tariff", "reload"]).ok();
    site.at(200 * MIN);
    let mut station = site.station("CP-1", "ocpp1.6").await;
    let tx = station.start(0, 1, "04-AAAA", 0).await;
    station.stop(60 * MIN, tx, "04-AAAA", 10_000).await;
    site.inner.settled().await;
    let record = site.inner.forecourt(&["record", "show", "1", "--json"]).ok().json();
    let kept = site.inner.value("SELECT t.hash FROM session s JOIN tariff t ON t.hash = s.tariff", &[]);
    assert_eq!(record["rating"]["tariff_sha256"].as_str(), kept.as_deref());
    assert!(site.inner.forecourt(&["verify", "--all"]).ok().out.contains("chain intact"));
}
