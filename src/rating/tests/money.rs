//! Amounts, VAT, limits. Cents are worked out in the comments.

use super::*;

const START: &str = "2026-06-01T10:00:00Z";

fn component(kind: &str, price: &str, vat: &str, step_size: u32) -> String {
    let vat = if vat.is_empty() { String::new() } else { format!(r#""vat":{vat},"#) };
    format!(r#"{{"type":"{kind}","price":{price},{vat}"step_size":{step_size}}}"#)
}

fn one_element(more: &str, components: &[String]) -> Tariff {
    tariff_with(more, &format!(r#"{{"price_components":[{}]}}"#, components.join(",")))
}

#[test]
fn each_line_is_rounded_once_half_away_from_zero() {
    let price_of = |rate: &str, wh: i64, digits: u32| {
        let tariff = one_element("", &[component("ENERGY", rate, "", 0)]);
        price(&tariff, &ride(START).charge(10, wh).metered(), ZONE, digits).expect("priced").totals.cost.excl_vat.to_string()
    };
    assert_eq!(price_of("0.25", 20, 2), "0.01"); // 0.005
    assert_eq!(price_of("0.2499", 20, 2), "0.00"); // 0.004998
    assert_eq!(price_of("-0.25", 20, 2), "-0.01");
    assert_eq!(price_of("31.5", 1000, 0), "32");
    assert_eq!(price_of("0.1255", 1000, 3), "0.126");
    // ten periods of 0.004 each are one line of 0.04, not ten of nothing
    let tariff = tariff(&element("ENERGY", "0.004", 0, ""));
    let ride = (0..10).fold(ride(START), |ride, _| ride.charge(5, 1000).idle(1));
    let rated = ride.priced(&tariff);
    assert_eq!((rated.periods.len(), cost(&rated)), (20, "0.04/0.04".to_owned()));
}

#[test]
fn vat_is_computed_once_per_rate() {
    // Three lines of 0.05 at 10 %: 0.015 → 0.02 in all, where one by one would give 0.03. 0 % and no VAT stay apart.
    let tariff = one_element(
        "",
        &[component("FLAT", "0.05", "10", 1), component("ENERGY", "0.05", "10.0", 1), component("TIME", "0.05", "10.00", 1)],
    );
    let rated = ride(START).charge(60, 1000).priced(&tariff);
    let vat: Vec<String> = rated.lines.iter().map(|line| line.vat.to_string()).collect();
    assert_eq!((vat.join(" "), cost(&rated)), ("0.01 0.00 0.01".to_owned(), "0.15/0.17".to_owned()));
    let mixed =
        one_element("", &[component("FLAT", "1", "", 1), component("ENERGY", "1", "0", 1), component("TIME", "1", "19", 1)]);
    let rated = ride(START).charge(60, 1000).idle(5).priced(&mixed);
    assert_eq!(rated.lines.iter().map(|line| line.vat_percent).collect::<Vec<_>>(), [None, Some(dec("0")), Some(dec("19"))]);
    assert_eq!(cost(&rated), "3.00/3.19");
    let totals = &rated.totals;
    assert_eq!(totals.time.map(|price| price.incl_vat), Some(dec("1.19")));
    assert_eq!(totals.fixed.map(|price| price.incl_vat), Some(dec("1")));
    assert_eq!(totals.parking, None);
    assert_eq!((totals.duration_ms, totals.idle_ms), (65 * 60_000, 5 * 60_000));
}

#[test]
fn the_session_fee_is_charged_once() {
    let elements = [element("FLAT", "3", 1, r#""min_kwh":5"#), element("FLAT", "2", 1, r#""min_duration":600"#)].join(",");
    let tariff = tariff(&elements);
    // from minute 10 the second, although the first counts from minute 30
    assert_eq!(cost(&ride(START).charge(60, 10_000).priced(&tariff)), "2.00/2.00");
    assert_eq!(cost(&ride(START).charge(5, 6_000).priced(&tariff)), "3.00/3.00");
    assert_eq!(cost(&ride(START).charge(5, 1_000).priced(&tariff)), "0.00/0.00");
}

#[test]
fn limits_are_lines() {
    let components = [component("FLAT", "1", "7", 1), component("ENERGY", "0.50", "19", 1)];
    // 1.00 + 5.00 = 6.00 limited to 4.00: −2.00 by net 1 : 5 = −0.33 and −1.67. VAT 7 % of 0.67 = 0.05, 19 % of 3.33 = 0.63.
    let rated = ride(START).charge(60, 10_000).priced(&one_element(r#""max_price":{"excl_vat":4},"#, &components));
    let limits: Vec<String> =
        rated.lines[2..].iter().map(|line| format!("{} {} {}", line.amount_excl_vat, line.vat, line.amount_incl_vat)).collect();
    // VAT was 0.07 and 0.95
    assert_eq!(limits, ["-0.33 -0.02 -0.35", "-1.67 -0.32 -1.99"]);
    assert_eq!(cost(&rated), "4.00/4.68");
    assert_eq!(rated.totals.energy.map(|price| price.excl_vat), Some(dec("5.00")), "dimensions are before the limit");
    assert!(rated.lines[2..].iter().all(|line| line.source == LineSource::PriceLimit));
    // A limit incl. VAT that the rates do not give: VAT takes the difference, and a finding says so.
    let rated =
        ride(START).charge(60, 10_000).priced(&one_element(r#""max_price":{"excl_vat":4,"incl_vat":4.50},"#, &components));
    assert_eq!((cost(&rated).as_str(), rated.findings[0].code.as_ref()), ("4.00/4.50", "price-limit-vat"));
    // Limits that are no whole cents are rounded inwards.
    let odd = one_element(r#""max_price":{"excl_vat":0.999},"#, &[component("ENERGY", "0.30", "", 1)]);
    assert_eq!(cost(&ride(START).charge(60, 10_000).priced(&odd)), "0.99/0.99");
}

/// The standard is silent on how a limit is shared between VAT rates: docs/rating.md, price limits.
#[test]
fn a_maximum_scales_every_vat_rate_alike() {
    // 30.00 untaxed and 20 kWh × −0.50 at 21 %: 20.00/17.90. A maximum of 10 halves both: 15.00 and −5.00 − 1.05.
    let components = [component("FLAT", "30", "", 1), component("ENERGY", "-0.5", "21", 1)];
    let rated = ride(START).charge(120, 20_000).priced(&one_element(r#""max_price":{"excl_vat":10},"#, &components));
    let limits: Vec<String> = rated.lines[2..].iter().map(|line| format!("{} {}", line.amount_excl_vat, line.vat)).collect();
    assert_eq!((limits.join(", "), cost(&rated)), ("-15.00 0.00, 5.00 1.05".to_owned(), "10.00/8.95".to_owned()));
    // A minimum raises the positive ones only: 10.01 − 10.00 = 0.01 becomes 5.00 without VAT on fifty times as much.
    let components = [component("FLAT", "10.01", "", 1), component("ENERGY", "-0.5", "21", 1)];
    let rated = ride(START).charge(120, 20_000).priced(&one_element(r#""min_price":{"excl_vat":5},"#, &components));
    assert_eq!(cost(&rated), "5.00/2.90");
}

/// OCPI 2.2.1 tariffs, min_price: the bounds excl. and incl. VAT are two rules.
#[test]
fn a_minimum_incl_vat_holds_beside_its_net_amount_and_beside_a_maximum() {
    let min = r#""min_price":{"excl_vat":5.00,"incl_vat":6.05},"#;
    let max = r#""max_price":{"excl_vat":5.50},"#;
    for vat in ["", "0"] {
        let components = [component("ENERGY", "0.25", vat, 1)];
        for more in [min.to_owned(), format!("{min}{max}")] {
            let rated = ride(START).charge(60, 2000).priced(&one_element(&more, &components));
            assert_eq!(cost(&rated), "5.00/6.05", "{vat} {more}");
            assert_eq!(rated.findings[0].code, "price-limit-vat");
        }
    }
    // 5.00 at 21 % is 6.05 by itself: nothing to remark.
    let rated = ride(START).charge(60, 2000).priced(&one_element(min, &[component("ENERGY", "0.25", "21", 1)]));
    assert_eq!((cost(&rated), rated.findings.len()), ("5.00/6.05".to_owned(), 0));
}

#[test]
fn an_aborted_session_owes_no_minimum() {
    let more = r#""min_price":{"excl_vat":1},"#;
    let energy = one_element(more, &[component("ENERGY", "0.30", "19", 1)]);
    let rated = ride(START).charge(0, 0).priced(&energy);
    assert_eq!((cost(&rated), rated.lines.len(), rated.periods.len()), ("0.00/0.00".to_owned(), 0, 1));
    // connected for a minute without energy: the minimum, taxed like the tariff's first component
    assert_eq!(cost(&ride(START).idle(1).priced(&energy)), "1.00/1.19");
    // a session fee belongs to every session
    let fee = one_element("", &[component("FLAT", "0.35", "", 1)]);
    assert_eq!(cost(&ride(START).charge(0, 0).priced(&fee)), "0.35/0.35");
}

#[test]
fn a_tariff_counts_only_while_it_is_valid() {
    let tariff = tariff_with(
        r#""start_date_time":"2026-06-01T10:00:00Z","end_date_time":"2026-07-01T00:00:00","#,
        &element("FLAT", "1", 1, ""),
    );
    let priced = |start: &str| price(&tariff, &ride(start).charge(60, 1).metered(), ZONE, 2).map(|rated| cost(&rated));
    assert!(matches!(priced("2026-06-01T09:59:59.999Z"), Err(RatingError::TariffNotValid { .. })));
    assert_eq!(priced("2026-06-01T10:00:00Z"), Ok("1.00/1.00".to_owned()));
    // valid at the start is enough
    assert_eq!(priced("2026-06-30T23:59:00Z"), Ok("1.00/1.00".to_owned()));
    assert!(priced("2026-07-01T00:00:00Z").is_err());
    assert_eq!(price(&tariff, &ride(START).charge(1, 1).metered(), ZONE, 5), Err(RatingError::MinorDigits(5)));
}

#[test]
fn every_line_says_why() {
    let tariff = tariff_with(
        r#""min_price":{"excl_vat":20},"#,
        r#"{"price_components":[{"type":"FLAT","price":0.50}],"restrictions":{"min_kwh":99}},
           {"price_components":[{"type":"ENERGY","price":0.59,"vat":19,"step_size":10},{"type":"PARKING_TIME","price":6.00,"vat":19,"step_size":60}],
            "restrictions":{"start_time":"08:00","end_time":"20:00","min_kwh":10,"day_of_week":["FRIDAY","MONDAY","TUESDAY","WEDNESDAY","THURSDAY"]}},
           {"price_components":[{"type":"ENERGY","price":0.40,"vat":19,"step_size":1}]}"#,
    );
    let rated = ride(START).charge(60, 22_345).idle(5).priced(&tariff);
    let reasons: Vec<&str> = rated.lines.iter().map(|line| line.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "element 2: Mon-Fri 08:00-20:00, from 10 kWh; 12.345 kWh at 0.59 EUR/kWh, billed as 12.35 kWh (steps of 10 Wh over the session)",
            "element 3: always; 10 kWh at 0.40 EUR/kWh",
            "element 2: Mon-Fri 08:00-20:00, from 10 kWh; 5 min connected without charging at 6.00 EUR/h",
            "minimum price per session of 20 EUR excl. VAT; adjustment of the prices at 19 % VAT",
        ]
    );
    assert_eq!(rated.rounding, ROUNDING);
    assert_eq!((rated.lines[0].measured, rated.lines[0].billed), (dec("12.345"), dec("12.35")));
}
