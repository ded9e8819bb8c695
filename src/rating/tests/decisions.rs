//! What was decided where OCPI is silent or engines differ: a test per row of docs/rating.md that has none elsewhere.

use super::*;

const START: &str = "2026-06-01T10:00:00Z"; // a Monday, 12:00 in Berlin

/// Cost of an hour of 10 kWh at one euro per minute while these restrictions hold.
fn euros(restrictions: &str, start: &str) -> String {
    let rated = ride(start).charge(60, 10_000).priced(&tariff(&element("TIME", "60", 0, restrictions)));
    rated.totals.cost.excl_vat.normalize().to_string()
}

fn whole(elements: &str, more: &str) -> Tariff {
    tariff_with(more, elements)
}

#[test]
fn a_last_period_without_volume_takes_no_surplus() {
    // 1.5 kWh at 0.50 in steps of 1 kWh; another price counts from minute 20 on, when nothing flows any more.
    let elements = [element("ENERGY", "0.50", 1000, r#""max_duration":1200"#), element("ENERGY", "0.70", 1000, "")].join(",");
    assert_eq!(cost(&ride(START).charge(20, 1500).idle(30).priced(&tariff(&elements))), "1.00/1.00");
}

#[test]
fn start_equals_end_never_holds() {
    assert_eq!(euros(r#""start_time":"12:00","end_time":"12:00""#, START), "0");
    let odd = tariff(&element("TIME", "60", 0, r#""start_time":"12:00","end_time":"12:00""#));
    assert_eq!(odd.lint()[0].code, "tariff-window-zero");
}

#[test]
fn midnight_to_midnight_is_the_whole_day() {
    assert_eq!(euros(r#""start_time":"00:00","end_time":"00:00""#, START), "60");
    assert_eq!(euros(r#""end_time":"00:00""#, START), "60");
}

#[test]
fn the_weekday_is_that_of_the_moment() {
    // Friday 22:00 to 06:00: an hour from Friday midnight on is Saturday's, and one from Thursday midnight on is Friday's.
    let night = r#""day_of_week":["FRIDAY"],"start_time":"22:00","end_time":"06:00""#;
    assert_eq!((euros(night, "2026-06-05T22:00:00Z"), euros(night, "2026-06-04T22:00:00Z")), ("0".to_owned(), "60".to_owned()));
    assert_eq!(tariff(&element("TIME", "60", 0, night)).lint()[0].code, "tariff-wrap-weekday");
}

#[test]
fn power_without_a_measurement_matches_nothing() {
    for restriction in [r#""max_current":32"#, r#""min_current":0"#] {
        let rated = ride(START).charge(60, 10_000).priced(&tariff(&element("TIME", "60", 0, restriction)));
        assert_eq!((cost(&rated).as_str(), rated.findings[0].code.as_ref()), ("0.00/0.00", "current-unmeasured"));
    }
    // Energy in no time has no power.
    let rated = ride(START).charge(0, 10_000).priced(&tariff(&element("ENERGY", "1", 0, r#""max_power":16"#)));
    assert_eq!((cost(&rated).as_str(), rated.findings[0].code.as_ref()), ("0.00/0.00", "power-unmeasured"));
}

#[test]
fn only_one_bound_of_power() {
    assert_eq!((euros(r#""min_power":10"#, START), euros(r#""max_power":10"#, START)), ("60".to_owned(), "0".to_owned()));
}

#[test]
fn an_empty_list_of_days_restricts_nothing() {
    assert_eq!(euros(r#""day_of_week":[]"#, START), "60");
    assert_eq!(tariff(&element("TIME", "60", 0, r#""day_of_week":[]"#)).lint()[0].code, "tariff-weekdays-empty");
}

#[test]
fn both_hours_of_a_clock_set_back_match() {
    let night = ride("2026-10-24T22:00:00Z").charge(360, 36_000);
    let tariff = tariff(&element("TIME", "60", 0, r#""start_time":"02:00","end_time":"03:00""#));
    assert_eq!(cost(&night.priced(&tariff)), "120.00/120.00");
}

#[test]
fn the_tariff_is_that_of_the_start() {
    // It ends while the session runs, and prices it to its end.
    let tariff = whole(&element("TIME", "60", 0, ""), r#""end_date_time":"2026-06-01T10:01:00Z","#);
    assert_eq!(cost(&ride(START).charge(60, 1000).priced(&tariff)), "60.00/60.00");
    let late = ride("2026-06-01T10:01:00Z").charge(60, 1000).metered();
    assert!(matches!(price(&tariff, &late, ZONE, 2), Err(RatingError::TariffNotValid { .. })));
}

#[test]
fn durations_count_from_the_start_of_the_session() {
    assert_eq!(euros(r#""min_duration":1200"#, START), "40");
    // Of the session, not of the activity: parking begins in minute 30.
    let parking = tariff(&element("PARKING_TIME", "60", 0, r#""min_duration":2400"#));
    assert_eq!(cost(&ride(START).charge(30, 1000).idle(30).priced(&parking)), "20.00/20.00");
}

#[test]
fn a_falling_register_is_not_priced() {
    let (start, end) = (at(START), at("2026-06-01T11:00:00Z"));
    let registers = vec![(start, MilliWh(10_000)), (end, MilliWh(9_000))];
    let metered = Metered::new(start, end, registers, vec![(start, Activity::Charging)], Vec::new());
    assert_eq!(metered.err(), Some(MeteredError::RegisterFalls(end)));
}

#[test]
fn periods_are_in_order_and_span_no_boundary() {
    let elements = [element("TIME", "60", 0, r#""end_time":"12:30""#), element("TIME", "30", 0, "")].join(",");
    let rated = ride(START).charge(60, 10_000).priced(&tariff(&elements));
    let starts: Vec<String> = rated.periods.iter().map(|period| period.start.format("%H:%M").to_string()).collect();
    assert_eq!((starts.join(" "), cost(&rated)), ("10:00 10:30".to_owned(), "45.00/45.00".to_owned()));
}

#[test]
fn a_negative_price_pays_the_driver() {
    let tariff = tariff(&element("ENERGY", "-0.10", 1000, ""));
    assert_eq!(tariff.lint().iter().map(|remark| remark.code).collect::<Vec<_>>(), ["tariff-step-size", "tariff-price-negative"]);
    assert_eq!(cost(&ride(START).charge(60, 1500).priced(&tariff)), "-0.20/-0.20");
}

#[test]
fn prices_that_include_tax() {
    let taxed = |included: &str, components: &str| {
        let more = format!(r#""tax_included":"{included}","#);
        tariff_with(&more, &format!(r#"{{"price_components":[{components}]}}"#))
    };
    let lines = |rated: &Rated| -> Vec<String> {
        rated.lines.iter().map(|line| format!("{}+{}={}", line.amount_excl_vat, line.vat, line.amount_incl_vat)).collect()
    };
    let ride = || ride(START).charge(60, 10_000);
    // 1.00 and 5.90 at 19 %: 6.90 / 1.19 = 5.798, so 5.80 and 1.10; of the first line 0.84 and 0.16.
    let both = r#"{"type":"FLAT","price":1.00,"vat":19},{"type":"ENERGY","price":0.59,"vat":19,"step_size":1}"#;
    let rated = ride().priced(&taxed("YES", both));
    assert_eq!(
        (lines(&rated), cost(&rated)),
        (vec!["0.84+0.16=1.00".to_owned(), "4.96+0.94=5.90".to_owned()], "5.80/6.90".to_owned())
    );
    assert_eq!((rated.lines[1].unit_price, rated.lines[1].exact), (dec("0.495798"), dec("4.957983193277")));
    assert!(rated.lines[1].reason.contains("at 0.59 EUR/kWh incl. tax"), "{}", rated.lines[1].reason);
    assert_eq!(rated.findings, []);
    // The rate is not known: North America.
    let rated = ride().priced(&taxed("YES", r#"{"type":"TIME","price":2.10,"step_size":1}"#));
    assert_eq!((cost(&rated).as_str(), rated.findings[0].code.as_ref()), ("2.10/2.10", "tax-rate-unknown"));
    let rated = ride().priced(&taxed("NO", both));
    assert_eq!(cost(&rated), "6.90/8.21");
    let rated = ride().priced(&taxed("N/A", r#"{"type":"ENERGY","price":0.59,"step_size":1}"#));
    assert_eq!(cost(&rated), "5.90/5.90");
    // Limits, by their names of 2.3.
    let limits = r#""tax_included":"YES","min_price":{"before_taxes":8,"after_taxes":9.52},"#;
    let rated = ride().priced(&tariff_with(limits, &format!(r#"{{"price_components":[{both}]}}"#)));
    assert_eq!(cost(&rated), "8.00/9.52");
    let limits = r#""tax_included":"YES","max_price":{"before_taxes":10,"after_taxes":6.50},"#;
    assert!(
        Tariff::parse(&format!(r#"{{"id":"T","currency":"EUR",{limits}"elements":[{{"price_components":[{both}]}}]}}"#)).is_err()
    );
    let limits = r#""tax_included":"YES","max_price":{"before_taxes":5,"after_taxes":6},"#;
    assert_eq!(cost(&ride().priced(&tariff_with(limits, &format!(r#"{{"price_components":[{both}]}}"#)))), "5.00/5.95");
}
