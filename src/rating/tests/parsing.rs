//! What a tariff file may say, what it may not, and what is remarked.

use super::*;

#[test]
fn refusals_name_the_place() {
    let whole = |members: &str| format!(r#"{{"id":"T","currency":"EUR",{members}}}"#);
    let part = |component: &str, restrictions: &str| {
        whole(&format!(
            r#""elements":[{{"price_components":[{{"type":"FLAT","price":1}}]}},{{"price_components":[{component}],"restrictions":{{{restrictions}}}}}]"#
        ))
    };
    let component = |component: &str| part(component, "");
    let restriction = |restriction: &str| part(r#"{"type":"TIME","price":1,"step_size":1}"#, restriction);
    let elements = r#""elements":[{"price_components":[{"type":"FLAT","price":1}]}]"#;
    let cases = [
        ("[]".to_owned(), "tariff: [] is not an object; allowed: an object"),
        (whole(r#""elements":[]"#), "elements: is empty; allowed: at least one item"),
        (whole(r#""elements":[{"price_components":[]}]"#), "elements[0].price_components: is empty"),
        (whole(r#""elements":[{}]"#), "elements[0].price_components: is missing"),
        (
            whole(&format!(r#""type":"regular",{elements}"#)),
            r#"type: "regular" is not known (did you mean REGULAR?); allowed: AD_HOC_PAYMENT, PROFILE_CHEAP"#,
        ),
        (whole(&format!(r#""tax_included":"MAYBE",{elements}"#)), "tax_included: \"MAYBE\" is not known; allowed: YES, NO, N/A"),
        (
            whole(&format!(r#""max_prise":{{"excl_vat":2}},{elements}"#)),
            "max_prise: is not known and cannot be ignored safely (did you mean max_price?); allowed: country_code, ",
        ),
        (whole(r#""elments":[]"#), "elments: is not known and cannot be ignored safely (did you mean elements?)"),
        (format!("[{0},{0}]", whole(elements)), "tariff: the file has a list of 2 tariffs; allowed: one Tariff object a file"),
        (r#"{"data":null,"status_code":2001}"#.to_owned(), "tariff: the response has no tariff"),
        (whole(r#""charging_periods":[]"#), "tariff: this is a CDR or Session, not a Tariff"),
        (whole(r#""evses":[]"#), "tariff: this is a Location, not a Tariff"),
        (whole(&format!(r#""start_date_time":"2026-06-31T00:00:00Z",{elements}"#)), "start_date_time: "),
        (
            whole(&format!(r#""start_date_time":"2026-06-01T00:00:00Z","end_date_time":"2026-06-01T00:00:00Z",{elements}"#)),
            "end_date_time: is not after",
        ),
        (
            whole(&format!(r#""min_price":{{"excl_vat":2}},"max_price":{{"excl_vat":1}},{elements}"#)),
            "min_price: is above max_price",
        ),
        (
            whole(&format!(r#""min_price":{{"excl_vat":1,"incl_vat":3}},"max_price":{{"excl_vat":1,"incl_vat":2}},{elements}"#)),
            "min_price: is above max_price",
        ),
        (whole(&format!(r#""max_price":{{"excl_vat":2,"incl_vat":1}},{elements}"#)), "max_price.incl_vat: 1 is below excl_vat"),
        (whole(&format!(r#""max_price":{{"before_taxes":2}},{elements}"#)), "max_price.before_taxes: is not known"),
        (
            whole(&format!(r#""max_price":{{"excl_vat":-2}},{elements}"#)),
            "max_price.excl_vat: -2 is negative; allowed: 0 or more",
        ),
        (component(r#"{"type":"RESERVATION","price":1,"step_size":1}"#), "elements[1].price_components[0].type: "),
        (
            component(r#"{"type":"TIME","price":"cheap","step_size":1}"#),
            r#"elements[1].price_components[0].price: "cheap" is not an exact number"#,
        ),
        (
            component(r#"{"type":"TIME","price":0.12345678,"step_size":1}"#),
            "elements[1].price_components[0].price: 0.12345678 has 8 decimals",
        ),
        (
            component(r#"{"type":"TIME","price":1,"price":2,"step_size":1}"#),
            "elements[1].price_components[0].price: appears twice",
        ),
        (component(r#"{"type":"TIME","step_size":1}"#), "elements[1].price_components[0].price: is missing"),
        (
            component(r#"{"type":"TIME","price":1,"step_size":-1}"#),
            "elements[1].price_components[0].step_size: -1 does not fit; allowed: a whole number",
        ),
        (component(r#"{"type":"TIME","price":1,"step_size":1.5}"#), "elements[1].price_components[0].step_size: 1.5"),
        (component(r#"{"type":"TIME","price":1}"#), "elements[1].price_components[0].step_size: is missing"),
        (
            component(r#"{"type":"TIME","price":1,"step_size":1,"vat":101}"#),
            "elements[1].price_components[0].vat: 101 is too much",
        ),
        (
            component(r#"{"type":"TIME","price":1,"step_size":1,"price_round":{}}"#),
            "elements[1].price_components[0].price_round: is not known",
        ),
        (restriction(r#""min_kwh":true"#), "elements[1].restrictions.min_kwh: true is not an exact number"),
        (
            restriction(r#""min_soc":20"#),
            "elements[1].restrictions.min_soc: is not known and cannot be ignored safely; allowed: start_time",
        ),
        (restriction(r#""start_time":"24:00""#), r#"elements[1].restrictions.start_time: "24:00" is no time of day"#),
        (restriction(r#""start_time":"8:00""#), "elements[1].restrictions.start_time: "),
        (restriction(r#""end_date":"2026-02-30""#), "elements[1].restrictions.end_date: "),
        (restriction(r#""min_duration":-1"#), "elements[1].restrictions.min_duration: "),
        (
            restriction(r#""day_of_week":["MONDAY","FREITAG"]"#),
            r#"elements[1].restrictions.day_of_week[1]: "FREITAG" is not known; allowed: MONDAY"#,
        ),
        (restriction(r#""reservation":"MAYBE""#), "elements[1].restrictions.reservation: "),
    ];
    for (json, expected) in cases {
        let error = Tariff::parse(&json).expect_err(&json).to_string();
        assert!(error.starts_with(expected), "{json}\n{error}\n{expected}");
    }
    assert!(matches!(Tariff::parse("{"), Err(TariffError::Json(_))));
    assert!(matches!(Tariff::parse(&" ".repeat(2 << 20)), Err(TariffError::TooLong(_))));
    for (id, currency) in [("", "EUR"), (&"x".repeat(37)[..], "EUR"), ("T", "eur"), ("T", "€")] {
        assert!(Tariff::parse(&format!(r#"{{"id":"{id}","currency":"{currency}",{elements}}}"#)).is_err(), "{id} {currency}");
    }
}

#[test]
fn a_tariff_is_read_whole() {
    let json = r#" {"id":"T-1","currency":"NOK","type":"AD_HOC_PAYMENT","tariff_alt_text":[{"language":"en","text":"x"}],
        "start_date_time":"2026-01-01T00:00:00","end_date_time":"2026-12-31T23:00:00.5+01:00",
        "min_price":{"excl_vat":"1.0","incl_vat":null},
        "elements":[{"price_components":[{"type":"ENERGY","price":2.5e-1,"vat":0,"step_size":1.0}],
                     "restrictions":{"end_time":"06:30","day_of_week":["SUNDAY"],"max_power":22,"reservation":"RESERVATION_EXPIRES"}}]} "#;
    let tariff = Tariff::parse(json).expect("tariff");
    assert_eq!(tariff.source(), json.trim());
    assert_eq!((tariff.id.as_str(), tariff.currency.as_str(), tariff.kind), ("T-1", "NOK", Some(TariffType::AdHocPayment)));
    assert_eq!((tariff.valid_from, tariff.valid_until), (Some(at("2026-01-01T00:00:00Z")), Some(at("2026-12-31T22:00:00.5Z"))));
    assert_eq!(tariff.min_price, Some(PriceBound { excl_vat: dec("1"), incl_vat: None }));
    let component = tariff.component(0, 0).expect("component");
    assert_eq!((component.price, component.vat, component.step_size), (dec("0.25"), Some(dec("0")), 1));
    assert_eq!(tariff.elements[0].restrictions.words(), "Sun 00:00-06:30, below 22 kW, only RESERVATION_EXPIRES");
}

#[test]
fn a_tariff_is_taken_out_of_what_is_around_it() {
    let json = r#"{"id":"T","currency":"EUR","elements":[{"price_components":[{"type":"FLAT","price":1.10}]}]}"#;
    for file in [format!("[ {json} ]"), format!(r#"{{"status_code":1000,"data":[{json}]}}"#), format!(r#"{{"data": {json} }}"#)] {
        assert_eq!(Tariff::parse(&file).expect(&file).source(), json);
    }
}

#[test]
fn complaints_have_lines() {
    let file = "{\"data\": [\n{\"id\":\"T\",\"currency\":\"EUR\",\n \"elements\":[\n  {\"price_components\":[\n    {\"type\":\"FLAT\",\"price\":\"x\"}]}]}]}";
    assert_eq!(Tariff::parse(file).expect_err("price").line(file), Some(5));
    assert_eq!(Tariff::line_of(file, "elements[0].restrictions"), Some(4), "where it is missing");
    assert_eq!(Tariff::line_of(file, ""), Some(2));
    assert_eq!(Tariff::line_of("{", ""), None);
}

#[test]
fn a_stored_tariff_is_read_as_it_was() {
    let json = r#"{"id":"T","currency":"EUR","note":"x","elements":[{"price_components":[{"type":"FLAT","price":1}]}]}"#;
    assert!(Tariff::parse(json).is_err());
    assert_eq!(Tariff::parse_stored(json).expect("stored").source(), json);
}

#[test]
fn five_thousand_elements_are_read_and_priced() {
    let element = |at: usize| element("ENERGY", "0.30", 1, &format!(r#""min_kwh":{at}e-3,"max_kwh":{}e-3"#, at + 1));
    let elements: Vec<String> = (0..5000).map(element).collect();
    let json = elements.join(",");
    let tariff = tariff(&json);
    assert_eq!(tariff.lint(), []);
    let rated = ride("2026-06-01T10:00:00Z").charge(60, 5_500).priced(&tariff);
    assert_eq!((rated.lines.len(), cost(&rated)), (5000, "0.00/0.00".to_owned()));
}

#[test]
fn words_for_restrictions() {
    let words = |restrictions: &str| tariff(&element("TIME", "1", 1, restrictions)).elements[0].restrictions.words();
    assert_eq!(words(""), "always");
    assert_eq!(words(r#""day_of_week":["SUNDAY","SATURDAY","WEDNESDAY"]"#), "Wed, Sat-Sun");
    assert_eq!(words(r#""start_time":"22:00","end_time":"06:00""#), "22:00-06:00");
    assert_eq!(words(r#""start_time":"22:00""#), "22:00-24:00");
    assert_eq!(words(r#""end_time":"00:00""#), "00:00-24:00");
    assert_eq!(words(r#""start_date":"2026-01-01","end_date":"2027-01-01""#), "from 2026-01-01, before 2027-01-01");
    assert_eq!(
        words(r#""min_kwh":1,"max_kwh":2.50,"min_power":3,"max_current":32"#),
        "from 1 kWh, below 2.5 kWh, from 3 kW, below 32 A"
    );
    assert_eq!(words(r#""min_duration":3600"#), "after 1 h");
    assert_eq!(words(r#""max_duration":5400"#), "in the first 1 h 30 min");
    assert_eq!(words(r#""min_duration":60,"max_duration":90"#), "between 1 min and 1 min 30 s of the session");
}

#[test]
fn remarks() {
    let codes = |elements: &[String]| -> Vec<String> {
        tariff(&elements.join(",")).lint().into_iter().map(|remark| remark.code.to_owned()).collect()
    };
    let one = |restrictions: &str| codes(&[element("ENERGY", "1", 1, restrictions)]).join(" ");
    assert_eq!(one(""), "");
    assert_eq!(one(r#""min_kwh":5,"max_kwh":5"#), "tariff-window-empty");
    assert_eq!(one(r#""max_power":0"#), "tariff-window-empty");
    assert_eq!(one(r#""start_date":"2026-06-02","end_date":"2026-06-01""#), "tariff-window-empty");
    assert_eq!(one(r#""start_time":"10:00","end_time":"10:00""#), "tariff-window-zero");
    assert_eq!(one(r#""start_time":"00:00","end_time":"00:00""#), "");
    assert_eq!(one(r#""start_time":"22:00","end_time":"06:00""#), "");
    assert_eq!(one(r#""start_time":"22:00","end_time":"06:00","day_of_week":["FRIDAY"]"#), "tariff-wrap-weekday");
    assert_eq!(one(r#""start_time":"22:00","end_time":"00:00","day_of_week":["FRIDAY"]"#), "");
    assert_eq!(one(r#""start_time":"06:00","end_time":"23:59""#), "tariff-last-minute");
    assert_eq!(one(r#""day_of_week":[]"#), "tariff-weekdays-empty");
    assert_eq!(one(r#""reservation":"RESERVATION""#), "tariff-reservation-unpriced");
    assert_eq!(codes(&[element("ENERGY", "-1", 100, "")]), ["tariff-step-size", "tariff-price-negative"]);
    let (any, late) = (element("ENERGY", "1", 1, ""), element("ENERGY", "2", 1, r#""start_time":"20:00""#));
    assert_eq!(codes(&[late.clone(), any.clone()]), [""; 0]);
    assert_eq!(codes(&[any.clone(), late.clone()]), ["tariff-element-unreachable"]);
    assert_eq!(codes(&[late.clone(), late, any]), ["tariff-element-unreachable"]);
    let time =
        r#"{"price_components":[{"type":"TIME","price":1,"step_size":60},{"type":"PARKING_TIME","price":1,"step_size":1}]}"#;
    assert_eq!(codes(&[time.to_owned()]), ["tariff-step-size", "tariff-time-step-unused"]);
    let double = r#"{"price_components":[{"type":"FLAT","price":1},{"type":"FLAT","price":2}]}"#;
    assert_eq!(codes(&[double.to_owned()]), ["tariff-component-unreachable"]);
    let bare = Tariff::parse(r#"{"id":"T","currency":"EUR","elements":[{"price_components":[{"type":"FLAT","price":1}]}]}"#)
        .expect("tariff");
    assert_eq!(bare.lint()[0].code, "tariff-incomplete");
    let own = tariff(&element("ENERGY", "1", 1, ""));
    assert_eq!(own.lint_owner("de", "abc"), None);
    assert_eq!(own.lint_owner("SE", "ABC").map(|remark| remark.path), Some("country_code".to_owned()));
    assert_eq!(own.lint_owner("DE", "XYZ").map(|remark| remark.path), Some("party_id".to_owned()));
    let hourly = tariff(&[element("ENERGY", "1", 1, ""), element("TIME", "1", 1, "")].join(","));
    assert_eq!(hourly.lint_power(MilliW(49_999_999)), None);
    let remark = hourly.lint_power(PER_KWH_FROM).expect("remark");
    assert_eq!((remark.code, remark.path.as_str()), ("tariff-ad-hoc-per-kwh", "elements[1].price_components[0]"));
}
