//! step_size: once per session, on priced volume, at the last price.

use super::*;

/// Exact amounts of all lines, before rounding.
fn exacts(rated: &Rated) -> Vec<String> {
    rated.lines.iter().map(|line| line.exact.to_string()).collect()
}

const START: &str = "2026-06-01T10:00:00Z";

#[test]
fn energy_in_steps() {
    let billed = |step_size: u32, mwh: i64| {
        let rated = ride(START).step(Activity::Charging, 10, mwh).priced(&tariff(&element("ENERGY", "0.25", step_size, "")));
        exacts(&rated).concat()
    };
    assert_eq!(billed(1, 115_200), "0.029"); // 116 Wh × 0.25
    assert_eq!(billed(0, 115_200), "0.0288"); // as measured
    assert_eq!(billed(25, 101_000), "0.03125"); // 125 Wh
    assert_eq!(billed(25, 125_000), "0.03125");
    assert_eq!(billed(500, 1), "0.125"); // 500 Wh
    assert_eq!(billed(500, 500_000), "0.125");
    assert_eq!(billed(500, 500_001), "0.25");
    assert_eq!(billed(500, 0), ""); // nothing used, no line
}

/// 1.20/h in half hours before 17:00, 2.40/h in quarters after; parking 1.00/h in quarters until 20:00, then free (Berlin).
fn evening_tariff() -> Tariff {
    let component = |kind: &str, price: &str, step: u32| format!(r#"{{"type":"{kind}","price":{price},"step_size":{step}}}"#);
    let element = |components: &[String], restrictions: &str| {
        format!(r#"{{"price_components":[{}],"restrictions":{{{restrictions}}}}}"#, components.join(","))
    };
    let parking = component("PARKING_TIME", "1.00", 900);
    tariff(
        &[
            element(&[component("TIME", "1.20", 1800), parking.clone()], r#""end_time":"17:00""#),
            element(&[component("TIME", "2.40", 900), parking], r#""start_time":"17:00","end_time":"20:00""#),
            element(&[component("TIME", "2.40", 900)], r#""start_time":"20:00""#),
        ]
        .join(","),
    )
}

#[test]
fn time_in_steps() {
    let tariff = evening_tariff();
    // 16:35 to 17:10: 25 min at 1.20 = 0.50; 35 min round up to 45, so 20 min at 2.40 = 0.80
    let rated = ride("2026-06-01T14:35:00Z").charge(35, 5000).priced(&tariff);
    assert_eq!((exacts(&rated), cost(&rated)), (vec!["0.5".to_owned(), "0.8".to_owned()], "1.30/1.30".to_owned()));
    // 16:55 to 17:05, then 2 min parked: time is exact (0.10 + 0.20) because parking is priced (15 min = 0.25)
    let rated = ride("2026-06-01T14:55:00Z").charge(10, 5000).idle(2).priced(&tariff);
    assert_eq!(cost(&rated), "0.55/0.55");
}

#[test]
fn only_priced_volume_is_rounded() {
    let tariff = evening_tariff();
    // 19:40 to 19:52 charging: 12 min at 2.40 = 0.48. Parked 8 min until 20:00 and 12 free ones: 8 round up to 15 = 0.25.
    let rated = ride("2026-06-01T17:40:00Z").charge(12, 3000).idle(20).priced(&tariff);
    assert_eq!(cost(&rated), "0.73/0.73");
    // the same for energy: 600 Wh priced, 600 free, step 1000: 1 kWh at 0.50
    let tariff = tariff_with("", &element("ENERGY", "0.50", 1000, r#""max_duration":600"#));
    assert_eq!(cost(&ride(START).charge(20, 1200).priced(&tariff)), "0.50/0.50");
}

#[test]
fn the_surplus_goes_to_the_last_price_that_was_used() {
    // Two prices share one rounding: 1.0 kWh at 0.40 and 1.2 kWh at 0.60; 2.2 round up to 2.5, so 1.5 kWh at 0.60.
    let tiers = [element("ENERGY", "0.40", 1000, r#""max_kwh":1"#), element("ENERGY", "0.60", 500, "")].join(",");
    let rated = ride(START).charge(22, 2200).priced(&tariff(&tiers));
    assert_eq!(exacts(&rated), ["0.4", "0.9"]);
    // After 20 minutes another price would count, but no energy flows: 1.5 kWh round up to 2 at 0.50.
    let late = [element("ENERGY", "0.50", 1000, r#""max_duration":1200"#), element("ENERGY", "0.70", 1, "")].join(",");
    assert_eq!(cost(&ride(START).charge(20, 1500).idle(30).priced(&tariff(&late))), "1.00/1.00");
}

#[test]
fn charging_parking_and_charging_again() {
    // TIME 3.00/h step 600, PARKING_TIME 6.00/h step 300: 11 + 9 min charging = 1.00 exactly; 7 + 4 min parked → 15 min = 1.50
    let components =
        r#"{"price_components":[{"type":"TIME","price":3,"step_size":600},{"type":"PARKING_TIME","price":6,"step_size":300}]}"#;
    let tariff = tariff(components);
    assert_eq!(cost(&ride(START).charge(11, 1).idle(7).charge(9, 1).idle(4).priced(&tariff)), "2.50/2.50");
    // not parked: 21 min → 30 min = 1.50
    assert_eq!(cost(&ride(START).charge(21, 1).priced(&tariff)), "1.50/1.50");
    // pauses of the station are free, and the steps count charging only: 11 + 9 min = 20 min = 1.00
    assert_eq!(cost(&ride(START).charge(11, 1).pause(60).charge(9, 1).priced(&tariff)), "1.00/1.00");
}
