//! Where periods begin and why.

use super::*;

/// `boundary@minutes:Wh` of each period, `~` when interpolated.
fn shape(rated: &Rated) -> Vec<String> {
    let start = rated.periods[0].start;
    let words = rated.periods.iter().map(|period| {
        let minutes = (period.start - start).num_minutes();
        format!("{}@{minutes}:{}{}", period.boundary, period.energy.wh(), if period.interpolated { "~" } else { "" })
    });
    words.collect()
}

fn shape_of(restrictions: &str, ride: Ride) -> Vec<String> {
    shape(&ride.priced(&tariff(&[element("ENERGY", "0.60", 1, restrictions), element("ENERGY", "0.40", 1, "")].join(","))))
}

#[test]
fn one_price_is_one_period() {
    let ride = ride("2026-06-01T10:00:00Z").charge(20, 3000).charge(20, 9000).charge(20, 100);
    assert_eq!(shape(&ride.priced(&tariff(&element("ENERGY", "0.59", 1, "")))), ["start@0:12100"]);
}

#[test]
fn every_boundary_has_its_reason() {
    let start = "2026-06-01T10:00:00Z"; // 12:00 in Berlin
    let hour = || ride(start).charge(60, 12_000);
    assert_eq!(shape_of(r#""start_time":"12:15""#, hour()), ["start@0:3000~", "time-of-day@15:9000~"]);
    assert_eq!(shape_of(r#""min_kwh":4"#, hour()), ["start@0:4000~", "energy@20:8000~"]);
    assert_eq!(shape_of(r#""min_duration":600"#, hour()), ["start@0:2000~", "duration@10:10000~"]);
    assert_eq!(shape_of(r#""min_current":10"#, hour().amperes(30, 16)), ["start@0:6000~", "current@30:6000~"]);
    assert_eq!(shape_of(r#""min_power":10"#, ride(start).charge(30, 1000).charge(30, 9000)), ["start@0:1000", "power@30:9000"]);
    assert_eq!(shape_of("", ride(start).charge(30, 9000).pause(5).idle(9)), ["start@0:9000", "state@30:0", "state@35:0"]);
    let evening = || ride("2026-06-01T21:00:00Z").charge(120, 12_000);
    assert_eq!(shape_of(r#""start_date":"2026-06-02""#, evening()), ["start@0:6000~", "date@60:6000~"]);
    assert_eq!(shape_of(r#""day_of_week":["TUESDAY"]"#, evening()), ["start@0:6000~", "midnight@60:6000~"]);
    // a threshold reached exactly at a reading is not interpolated
    assert_eq!(shape_of(r#""min_kwh":4"#, ride(start).charge(9, 4000).charge(9, 4000)), ["start@0:4000", "energy@9:4000"]);
}

#[test]
fn interpolated_slices_add_up_to_the_register() {
    // 1 Wh over 7 minutes, cut at minutes 1 and 2: floor(1000/7) = 142 mWh, floor(2000/7) - 142 = 143, remainder 715
    let elements = [
        element("ENERGY", "1", 0, r#""max_duration":60"#),
        element("ENERGY", "2", 0, r#""max_duration":120"#),
        element("ENERGY", "3", 0, ""),
    ];
    let rated = ride("2026-06-01T10:00:00Z").charge(7, 1).priced(&tariff(&elements.join(",")));
    let energies: Vec<i64> = rated.periods.iter().map(|period| period.energy.0).collect();
    assert_eq!(energies, [142, 143, 715]);
}

#[test]
fn energy_at_one_instant_is_kept() {
    let rated = ride("2026-06-01T10:00:00Z").charge(0, 5000).priced(&tariff(&element("ENERGY", "0.5", 1, "")));
    assert_eq!(cost(&rated), "2.50/2.50");
    assert_eq!(shape(&rated), ["start@0:5000"]);
}

#[test]
fn weekday_prices_need_no_times() {
    // 10 kW from Friday 22:00 to Saturday 02:00: 20 kWh at 2.00 and 20 kWh at 1.00
    let elements = [element("ENERGY", "1.00", 1, r#""day_of_week":["SATURDAY"]"#), element("ENERGY", "2.00", 1, "")].join(",");
    assert_eq!(cost(&ride("2026-06-05T20:00:00Z").charge(240, 40_000).priced(&tariff(&elements))), "60.00/60.00");
}
