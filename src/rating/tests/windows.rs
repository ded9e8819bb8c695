//! Every restriction, alone: one euro per minute while it holds, nothing otherwise.

use super::*;

/// Minutes of charging that an element with these restrictions prices.
fn minutes(restrictions: &str, ride: Ride) -> String {
    let rated = ride.priced(&tariff(&element("TIME", "60", 0, restrictions)));
    rated.totals.cost.excl_vat.normalize().to_string()
}

fn table(cases: &[(&str, &str, i64, i64)]) {
    for (restrictions, start, length, expected) in cases {
        // 20 kWh per hour
        let ride = ride(start).charge(*length, length * 1000 / 3);
        assert_eq!(minutes(restrictions, ride), expected.to_string(), "{restrictions} {start} {length}");
    }
}

#[test]
fn times_of_day() {
    // Berlin in June is UTC+2; 2026-06-01 is a Monday.
    table(&[
        ("", "2026-06-01T05:30:00Z", 60, 60),
        // 07:30-08:30 and 19:30-20:30
        (r#""start_time":"08:00","end_time":"20:00""#, "2026-06-01T05:30:00Z", 60, 30),
        (r#""start_time":"08:00","end_time":"20:00""#, "2026-06-01T17:30:00Z", 60, 30),
        // 21:30-07:30 and three days: 6 h, 8 h, 8 h, 2 h of 72
        (r#""start_time":"22:00","end_time":"06:00""#, "2026-06-01T19:30:00Z", 600, 480),
        (r#""start_time":"22:00","end_time":"06:00""#, "2026-05-31T22:00:00Z", 72 * 60, 24 * 60),
        // whole days
        (r#""start_time":"00:00","end_time":"00:00""#, "2026-06-01T05:30:00Z", 1440, 1440),
        (r#""end_time":"00:00""#, "2026-06-01T21:00:00Z", 120, 120),
        // until or from midnight, 21:00-01:00 and 05:00-07:00
        (r#""start_time":"22:00","end_time":"00:00""#, "2026-06-01T19:00:00Z", 240, 120),
        (r#""start_time":"22:00""#, "2026-06-01T19:00:00Z", 240, 120),
        (r#""end_time":"06:00""#, "2026-06-01T03:00:00Z", 120, 60),
        (r#""start_time":"00:00","end_time":"06:00""#, "2026-06-01T03:00:00Z", 120, 60),
        // start = end never holds
        (r#""start_time":"10:00","end_time":"10:00""#, "2026-06-01T05:30:00Z", 1440, 0),
    ]);
}

#[test]
fn weekdays_and_dates() {
    table(&[
        // Friday 22:00 to Saturday 02:00
        (r#""day_of_week":["FRIDAY"]"#, "2026-06-05T20:00:00Z", 240, 120),
        (r#""day_of_week":["SATURDAY","SUNDAY"]"#, "2026-06-05T20:00:00Z", 240, 120),
        (r#""day_of_week":[]"#, "2026-06-05T20:00:00Z", 240, 240),
        // the weekday is that of the moment: Friday 22-24 h, and Friday 0-6 h
        (r#""day_of_week":["FRIDAY"],"start_time":"22:00","end_time":"06:00""#, "2026-06-05T20:00:00Z", 480, 120),
        (r#""day_of_week":["FRIDAY"],"start_time":"22:00","end_time":"06:00""#, "2026-06-04T22:00:00Z", 480, 360),
        // 1 June 23:00 to 2 June 01:00; dates from (incl.) until (excl.)
        (r#""start_date":"2026-06-02""#, "2026-06-01T21:00:00Z", 120, 60),
        (r#""end_date":"2026-06-02""#, "2026-06-01T21:00:00Z", 120, 60),
        (r#""start_date":"2026-06-01","end_date":"2026-06-02""#, "2026-06-01T21:00:00Z", 1440, 60),
        (r#""start_date":"2026-06-02","end_date":"2026-06-02""#, "2026-06-01T21:00:00Z", 1440, 0),
    ]);
}

#[test]
fn clocks_set_back_and_forward() {
    let night = r#""start_time":"22:00","end_time":"08:00""#;
    table(&[
        // 24 October 22:00 CEST = 20:00Z to 25 October 08:00 CET = 07:00Z: 11 hours
        (night, "2026-10-24T19:00:00Z", 13 * 60, 11 * 60),
        // 28 March 22:00 CET = 21:00Z to 29 March 08:00 CEST = 06:00Z: 9 hours
        (night, "2026-03-28T20:00:00Z", 13 * 60, 9 * 60),
        // a Sunday has 25 or 23 hours
        (r#""day_of_week":["SUNDAY"]"#, "2026-10-24T12:00:00Z", 48 * 60, 25 * 60),
        (r#""day_of_week":["SUNDAY"]"#, "2026-03-28T12:00:00Z", 48 * 60, 23 * 60),
        // the hour from 2 to 3 occurs twice, or never
        (r#""start_time":"02:00","end_time":"03:00""#, "2026-10-24T22:00:00Z", 360, 120),
        (r#""start_time":"02:00","end_time":"03:00""#, "2026-03-28T22:00:00Z", 360, 0),
        // 02:30-03:00 CEST, not 02:00-02:30 CET, then 02:30-04:00 CET
        (r#""start_time":"02:30","end_time":"04:00""#, "2026-10-24T22:00:00Z", 360, 120),
        // 02:00-02:30 of both hours, and 01:00-02:00
        (r#""start_time":"01:00","end_time":"02:30""#, "2026-10-24T22:00:00Z", 360, 120),
        // 02:30 does not occur: from 03:00 CEST = 01:00Z to 04:00; and from 01:00 CET to 02:00 CET
        (r#""start_time":"02:30","end_time":"04:00""#, "2026-03-28T22:00:00Z", 360, 60),
        (r#""start_time":"01:00","end_time":"02:30""#, "2026-03-28T22:00:00Z", 360, 60),
    ]);
}

#[test]
fn energy_and_duration() {
    // 20 kWh in 60 minutes: 10 kWh after 30 minutes
    table(&[
        (r#""min_kwh":10"#, "2026-06-01T10:00:00Z", 60, 30),
        (r#""max_kwh":10"#, "2026-06-01T10:00:00Z", 60, 30),
        (r#""min_kwh":5,"max_kwh":"10.0""#, "2026-06-01T10:00:00Z", 60, 15),
        (r#""min_kwh":20"#, "2026-06-01T10:00:00Z", 60, 0),
        (r#""max_kwh":0"#, "2026-06-01T10:00:00Z", 60, 0),
        (r#""min_duration":1200"#, "2026-06-01T10:00:00Z", 60, 40),
        (r#""max_duration":1200"#, "2026-06-01T10:00:00Z", 60, 20),
        (r#""min_duration":1200,"max_duration":1800"#, "2026-06-01T10:00:00Z", 60, 10),
        // all must hold: after 20 minutes and below 10 kWh
        (r#""min_duration":1200,"max_kwh":10"#, "2026-06-01T10:00:00Z", 60, 10),
        // reservations are never charged
        (r#""reservation":"RESERVATION""#, "2026-06-01T10:00:00Z", 60, 0),
        (r#""reservation":"RESERVATION_EXPIRES""#, "2026-06-01T10:00:00Z", 60, 0),
    ]);
    // the threshold stays reached while the car idles at exactly 10 kWh: bounds are inclusive below and exclusive above
    let parked = |restrictions: &str| {
        let tariff = tariff(&element("PARKING_TIME", "60", 0, restrictions));
        cost(&ride("2026-06-01T10:00:00Z").charge(30, 10_000).idle(7).priced(&tariff))
    };
    assert_eq!(parked(r#""min_kwh":10"#), "7.00/7.00");
    assert_eq!(parked(r#""max_kwh":10"#), "0.00/0.00");
}

#[test]
fn power_and_current() {
    let start = "2026-06-01T10:00:00Z";
    // 11 kWh in an hour is 11 kW: inclusive below, exclusive above
    assert_eq!(minutes(r#""min_power":11"#, ride(start).charge(60, 11_000)), "60");
    assert_eq!(minutes(r#""max_power":11"#, ride(start).charge(60, 11_000)), "0");
    assert_eq!(minutes(r#""min_power":11"#, ride(start).charge(60, 10_999)), "0");
    // it changes at meter readings: 5 min of 12 kW, 10 min of 6 kW, 5 min of 12 kW
    let waves = ride(start).charge(5, 1000).charge(10, 1000).charge(5, 1000);
    assert_eq!(minutes(r#""min_power":11"#, waves.clone()), "10");
    assert_eq!(minutes(r#""max_power":11"#, waves), "10");
    // samples inside the gap win: 22 kW from minute 10, 3 kW from minute 30
    assert_eq!(minutes(r#""min_power":20"#, ride(start).charge(60, 11_000).kw(10, 22).kw(30, 3)), "20");
    // a sample at a reading counts for the gap that begins there: 22.0 kW over a register in Wh, which rises by 366 or 367
    let mut over_wh = ride(start).kw(0, 22);
    for minute in 1..=60 {
        over_wh = over_wh.charge(1, minute * 22_000 / 60 - (minute - 1) * 22_000 / 60).kw(minute, 22);
    }
    assert_eq!(minutes(r#""min_power":22"#, over_wh.clone()), "60");
    assert_eq!(minutes(r#""max_power":22"#, over_wh.clone()), "0");
    // unless the registers contradict it, which say that power flows, or that none does
    assert_eq!(minutes(r#""min_power":11"#, ride(start).kw(0, 0).charge(60, 11_000)), "60");
    assert_eq!(minutes(r#""min_power":11"#, ride(start).charge(30, 11_000).kw(30, 22).charge(30, 0)), "30");
    // without samples an average is known to a step of the register: 366 and 367 Wh in a minute both are 22 kW, 365 are not
    over_wh.loads.clear();
    assert_eq!(minutes(r#""min_power":22"#, over_wh.clone()), "60");
    assert_eq!(minutes(r#""max_power":22"#, over_wh), "0");
    assert_eq!(minutes(r#""min_power":22"#, ride(start).charge(1, 365)), "0");
    assert_eq!(minutes(r#""max_power":22"#, ride(start).charge(1, 368)), "0");
    // current is known from samples only, and holds until the next
    assert_eq!(minutes(r#""min_current":32"#, ride(start).charge(60, 11_000).amperes(10, 32).amperes(30, 31)), "20");
    assert_eq!(minutes(r#""max_current":32"#, ride(start).charge(60, 11_000).amperes(10, 32).amperes(30, 31)), "30");
    assert_eq!(minutes(r#""max_current":32"#, ride(start).charge(60, 11_000)), "0");
}

#[test]
fn missing_measurements_are_told() {
    let codes = |restrictions: &str, ride: Ride| {
        let rated = ride.priced(&tariff(&element("ENERGY", "1", 1, restrictions)));
        rated.findings.into_iter().map(|finding| finding.code.into_owned()).collect::<Vec<_>>()
    };
    let start = "2026-06-01T10:00:00Z";
    assert_eq!(codes(r#""min_current":6"#, ride(start).charge(60, 11_000)), ["current-unmeasured"]);
    assert_eq!(codes(r#""min_power":6"#, ride(start).charge(60, 11_000)), ["power-averaged"]);
    assert_eq!(codes(r#""min_power":6"#, ride(start).charge(0, 11_000)), ["power-unmeasured"]);
    assert_eq!(codes(r#""min_power":6"#, ride(start).charge(15, 11_000).idle(60)), [""; 0]);
    assert_eq!(codes("", ride(start).charge(60, 11_000)), [""; 0]);
}
