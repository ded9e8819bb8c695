//! The scenarios of the simulated stations against the real daemon, in all three versions: what the station knows to have happened
//! is what is billed, to the watt-hour, the second and the cent, or held for the right reason.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use chrono::{SecondsFormat, TimeDelta, Utc};
use simulators::scenario::{ExpectedSession, Player};
use simulators::station::{Options, Station, Version};
use simulators::{Clock, Scenario};
use support::{PATIENCE, Plan, Site};

/// 0.40 EUR/kWh; 0.10 EUR for each begun minute in which the car is connected and does not charge.
const TARIFF: &str = r#"{"country_code":"DE","party_id":"TST","id":"plain","currency":"EUR","last_updated":"2020-01-01T00:00:00Z",
"elements":[{"price_components":[{"type":"ENERGY","price":0.40,"vat":19,"step_size":1},
{"type":"PARKING_TIME","price":6.00,"vat":19,"step_size":60}]}]}"#;

/// What becomes of a session.
enum Fate {
    /// Energy in Wh, parking line in hours, cost incl. VAT.
    Billed(&'static str, Option<&'static str>, &'static str),
    Held(&'static str),
}
use Fate::{Billed, Held};

/// Plays a scenario in each version and compares its sessions, in the order of their start.
async fn plays(name: &str, fates: impl Fn(Version) -> Vec<Fate>) {
    let mut site = Site::new(&Plan { tariffs: vec![("plain.json".into(), TARIFF.into())], ..Plan::default() });
    site.start().await;
    let scenario = Scenario::find(name).unwrap();
    let mut billed = 0;
    for version in Version::ALL {
        let mut options = Options::new(site.url(), format!("CP-{version}"), version);
        options.clock = Clock::instant(Utc::now() - TimeDelta::days(2));
        let station = Station::start(options);
        station.connected(PATIENCE).await.unwrap();
        let outcome = Player::new(&station, &scenario).play(&scenario).await.unwrap();
        assert_eq!(outcome.complaints, Vec::<String>::new(), "{name} in {version}");
        site.settled().await;
        let fates = fates(version);
        assert_eq!(outcome.sessions.len(), fates.len(), "{name} in {version}");
        for (session, fate) in outcome.sessions.iter().zip(&fates) {
            compare(&site, session, fate);
            billed += usize::from(matches!(fate, Billed(..)));
        }
        let known = site.count("SELECT count(*) FROM v_session WHERE station = ?1", &[&station.id()]);
        assert_eq!(known, fates.len(), "{name} in {version}: no session more");
    }
    let verdict = site.forecourt(&["verify", "--all", "--json"]).ok().json();
    assert_eq!(verdict["records"], serde_json::json!(billed), "{name}");
    site.stop().await;
}

fn compare(site: &Site, session: &ExpectedSession, fate: &Fate) {
    let tx = session.tx.clone().expect("a transaction id");
    let row = site.query(
        "SELECT state, hold_reason, energy_wh, cost_incl_vat, started_at, stopped_at, session_id FROM v_session \
         WHERE station = ?1 AND transaction_id = ?2",
        &[&session.station, &tx],
    );
    assert_eq!(row.len(), 1, "{session:?}");
    let some = |text: &str| Some(text.to_owned());
    match fate {
        Held(reason) => assert_eq!(row[0][..2], [some("held"), some(reason)], "{session:?}"),
        Billed(energy, parking, cost) => {
            assert_eq!(row[0][..4], [some("done"), None, some(energy), some(cost)], "{session:?}");
            assert_eq!(session.energy_wh().map(|wh| wh.to_string()).as_deref(), Some(*energy), "the table above is wrong");
            let iso = |at: chrono::DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let times = [Some(iso(session.started_at)), session.stopped_at.map(iso)];
            assert_eq!(row[0][4..6], times, "{session:?}");
            let lines = "SELECT quantity FROM v_price_line WHERE dimension = 'PARKING_TIME' AND session_id = ?1";
            assert_eq!(site.value(lines, &[&row[0][6]]).as_deref(), *parking, "{session:?}");
        }
    }
}

/// 20 min at 11 kW: 3,666 Wh, 1.47 + 0.28.
#[tokio::test]
async fn a_plain_charge() {
    plays("charge", |_| vec![Billed("3666", None, "1.75")]).await;
}

/// 10 min at 22 kW, 20 min at 7.4 kW, an hour full, 5 min at 3.68 kW: 6,440 Wh. 2.58 + 6.00 = 8.58; VAT 1.63.
#[tokio::test]
async fn a_car_that_is_full_pays_for_its_place() {
    plays("suspend", |_| vec![Billed("6440", Some("1"), "10.21")]).await;
}

/// 12 min at 11 kW: 2,200 Wh. 0.88 + 0.17.
#[tokio::test]
async fn repeated_messages_bill_nothing_twice() {
    plays("duplicate", |_| vec![Billed("2200", None, "1.05")]).await;
}

#[tokio::test]
async fn a_session_without_an_end_is_held_and_the_next_one_billed() {
    plays("lost-stop", |_| vec![Held("stop-missing"), Billed("2200", None, "1.05")]).await;
}

#[tokio::test]
async fn a_meter_that_was_reset_is_held() {
    plays("register-reset", |_| vec![Held("register-decreased")]).await;
}

/// 30 min at 11 kW: 5,500 Wh, 2.20 + 0.42. 30 min at 7.4 kW: 3,700 Wh, 1.48 + 0.28.
#[tokio::test]
async fn what_happened_offline_is_billed_with_its_own_times() {
    plays("offline-queue", |_| vec![Billed("5500", None, "2.62"), Billed("3700", None, "1.76")]).await;
}

/// 15 min at 11 kW: 2,750 Wh, 1.10. In 2.x the transaction goes on for ten minutes after the charge: 1.00 more. What is before
/// the charge is free.
#[tokio::test]
async fn a_transaction_from_cable_to_cable() {
    plays("parked", |version| match version {
        Version::V16 => vec![Billed("2750", None, "1.31")],
        Version::V201 | Version::V21 => vec![Billed("2750", Some("0.166667"), "2.50")],
    })
    .await;
}
