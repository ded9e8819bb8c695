//! The scenarios of the simulated stations against the real daemon, in all three versions: what the station knows to have happened
//! is what is billed, to the watt-hour, the second and the cent, or held for the right reason.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![allow(clippy::disallowed_methods, reason = "the stations of a test live in real time")]

mod support;

use chrono::{TimeDelta, Utc};
use simulators::scenario::Player;
use simulators::station::{Options, Station, Version};
use simulators::{Clock, Scenario};
use support::reconciliation::{self, StoredSession};
use support::{PATIENCE, Plan, Site};

/// 0.40 EUR/kWh; 0.10 EUR for each begun minute in which the car is connected and does not charge.
const TARIFF: &str = r#"{"country_code":"DE","party_id":"TST","id":"plain","currency":"EUR","last_updated":"2020-01-01T00:00:00Z",
"elements":[{"price_components":[{"type":"ENERGY","price":0.40,"vat":19,"step_size":1},
{"type":"PARKING_TIME","price":6.00,"vat":19,"step_size":60}]}]}"#;

/// What is expected of a session.
enum Expected {
    /// Energy in Wh, parking line in hours, cost incl. VAT.
    Billed(&'static str, Option<&'static str>, &'static str),
    Held(&'static str),
}
use Expected::{Billed, Held};

/// Runs a scenario in each version and compares its sessions, in the order of their start.
async fn runs(name: &str, expected: impl Fn(Version) -> Vec<Expected>) {
    let mut site = Site::new(&Plan { tariffs: vec![("plain.json".into(), TARIFF.into())], ..Plan::default() });
    site.start().await;
    let scenario = Scenario::find(name).unwrap();
    let (mut sessions, mut wanted) = (Vec::new(), Vec::new());
    for version in Version::ALL {
        let mut options = Options::new(site.url(), format!("CP-{version}"), version);
        options.clock = Clock::instant(Utc::now() - TimeDelta::days(2));
        let station = Station::start(options);
        station.connected(PATIENCE).await.unwrap();
        let outcome = Player::new(&station, &scenario).play(&scenario).await.unwrap();
        assert_eq!(outcome.complaints, Vec::<String>::new(), "{name} in {version}");
        let expected = expected(version);
        assert_eq!(outcome.sessions.len(), expected.len(), "{name} in {version}");
        sessions.extend(outcome.sessions);
        wanted.extend(expected);
    }
    site.settled().await;
    let stored = reconciliation::sessions(&site, &sessions);
    for (stored, expected) in stored.iter().zip(&wanted) {
        compare(&site, stored, expected);
    }
    let billed = wanted.iter().filter(|expected| matches!(expected, Billed(..))).count();
    reconciliation::chain(&site, billed);
    site.stop().await;
}

fn compare(site: &Site, stored: &StoredSession, expected: &Expected) {
    match expected {
        Held(reason) => assert_eq!((&*stored.state, stored.hold_reason.as_deref()), ("held", Some(*reason)), "{stored:?}"),
        Billed(energy, parking, cost) => {
            let billed = (&*stored.state, stored.energy_wh.as_deref(), stored.cost_incl_vat.as_deref());
            assert_eq!(billed, ("done", Some(*energy), Some(*cost)), "{stored:?}");
            let lines = "SELECT quantity FROM v_price_line WHERE dimension = 'PARKING_TIME' AND session_id = ?1";
            assert_eq!(site.value(lines, &[&stored.session_id]).as_deref(), *parking, "{stored:?}");
        }
    }
}

/// 20 min at 11 kW: 3,666 Wh, 1.47 + 0.28.
#[tokio::test]
async fn a_plain_charge() {
    runs("charge", |_| vec![Billed("3666", None, "1.75")]).await;
}

/// 10 min at 22 kW, 20 min at 7.4 kW, an hour full, 5 min at 3.68 kW: 6,440 Wh. 2.58 + 6.00 = 8.58; VAT 1.63.
#[tokio::test]
async fn a_car_that_is_full_pays_for_its_place() {
    runs("suspend", |_| vec![Billed("6440", Some("1"), "10.21")]).await;
}

/// 12 min at 11 kW: 2,200 Wh. 0.88 + 0.17.
#[tokio::test]
async fn repeated_messages_bill_nothing_twice() {
    runs("duplicate", |_| vec![Billed("2200", None, "1.05")]).await;
}

#[tokio::test]
async fn a_session_without_an_end_is_held_and_the_next_one_billed() {
    runs("lost-stop", |_| vec![Held("stop-missing"), Billed("2200", None, "1.05")]).await;
}

#[tokio::test]
async fn a_meter_that_was_reset_is_held() {
    runs("register-reset", |_| vec![Held("register-decreased")]).await;
}

/// 30 min at 11 kW: 5,500 Wh, 2.20 + 0.42. 30 min at 7.4 kW: 3,700 Wh, 1.48 + 0.28.
#[tokio::test]
async fn what_happened_offline_is_billed_with_its_own_times() {
    runs("offline-queue", |_| vec![Billed("5500", None, "2.62"), Billed("3700", None, "1.76")]).await;
}

/// 15 min at 11 kW: 2,750 Wh, 1.10. In 2.x the transaction goes on for ten minutes after the charge: 1.00 more. What is before
/// the charge is free.
#[tokio::test]
async fn a_transaction_from_cable_to_cable() {
    runs("parked", |version| match version {
        Version::V16 => vec![Billed("2750", None, "1.31")],
        Version::V201 | Version::V21 => vec![Billed("2750", Some("0.166667"), "2.50")],
    })
    .await;
}
