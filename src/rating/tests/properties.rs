//! Random tariffs and sessions: what must always hold.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::moment::{Lookup, Moment};
use super::*;

fn restriction() -> impl Strategy<Value = String> {
    let clock = prop::sample::select(vec!["00:00", "02:30", "06:00", "10:00", "17:15", "22:00"]);
    let days = prop::sample::subsequence(vec![r#""MONDAY""#, r#""FRIDAY""#, r#""SATURDAY""#, r#""SUNDAY""#], 0..=4);
    prop_oneof![
        3 => clock.clone().prop_map(|start| format!(r#""start_time":"{start}""#)),
        3 => clock.prop_map(|end| format!(r#""end_time":"{end}""#)),
        1 => days.prop_map(|days| format!(r#""day_of_week":[{}]"#, days.join(","))),
        1 => (0..30_000_000_u32).prop_map(|mwh| format!(r#""min_kwh":{mwh}e-6"#)),
        1 => (0..30_000_000_u32).prop_map(|mwh| format!(r#""max_kwh":{mwh}e-6"#)),
        1 => (0..20_000_u32).prop_map(|seconds| format!(r#""min_duration":{seconds}"#)),
        1 => (0..20_000_u32).prop_map(|seconds| format!(r#""max_duration":{seconds}"#)),
        1 => (0..60_u32).prop_map(|kw| format!(r#""min_power":{kw}"#)),
        1 => (0..60_u32).prop_map(|kw| format!(r#""max_power":{kw}"#)),
        1 => Just(r#""end_date":"2026-06-01""#.to_owned()),
    ]
}

fn any_element() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec!["FLAT", "ENERGY", "ENERGY", "TIME", "PARKING_TIME"]);
    let vat = prop::sample::select(vec!["", r#""vat":0,"#, r#""vat":7,"#, r#""vat":19,"#, r#""vat":5.5,"#]);
    let component = (kind, -5_000..50_000_i32, vat, prop::sample::select(vec![0_u32, 1, 60, 300, 1000]))
        .prop_map(|(kind, price, vat, step)| format!(r#"{{"type":"{kind}","price":{price}e-4,{vat}"step_size":{step}}}"#));
    (prop::collection::vec(component, 1..4), prop::collection::vec(restriction(), 0..5)).prop_map(
        |(components, mut restrictions)| {
            // A doubled member is refused: keep one of each name.
            restrictions.sort();
            restrictions.dedup_by_key(|text| text.split(':').next().map(str::to_owned));
            format!(r#"{{"price_components":[{}],"restrictions":{{{}}}}}"#, components.join(","), restrictions.join(","))
        },
    )
}

fn any_tariff() -> impl Strategy<Value = Tariff> {
    let bound = |name: &'static str, range: std::ops::Range<u32>| {
        let incl = prop::option::of(0..300_u32);
        prop::option::of((range, incl)).prop_map(move |bound| match bound {
            None => String::new(),
            Some((excl, None)) => format!(r#""{name}":{{"excl_vat":{excl}e-2}},"#),
            Some((excl, Some(more))) => format!(r#""{name}":{{"excl_vat":{excl}e-2,"incl_vat":{}e-2}},"#, excl + more),
        })
    };
    (bound("min_price", 0..300), bound("max_price", 600..2000), prop::collection::vec(any_element(), 1..6))
        .prop_map(|(min, max, elements)| tariff_with(&format!("{min}{max}"), &elements.join(",")))
}

/// A stretch of constant power, in whole mWh per ms, so that points inside lie on the line exactly.
#[derive(Clone, Debug)]
struct Stretch {
    activity: Activity,
    ms: i64,
    mwh_per_ms: i64,
    /// Further readings inside, as parts of 1000.
    inside: Vec<i64>,
}

fn any_stretch() -> impl Strategy<Value = Stretch> {
    let activity = prop::sample::select(vec![Activity::Charging, Activity::Charging, Activity::Idle, Activity::Paused]);
    (activity, 0..8_000_000_i64, 0..20_i64, prop::collection::btree_set(1..1000_i64, 0..4)).prop_map(
        |(activity, ms, rate, inside)| Stretch {
            activity,
            ms,
            mwh_per_ms: if activity == Activity::Charging { rate } else { 0 },
            inside: inside.into_iter().collect(),
        },
    )
}

/// Around both changes of the clocks in Berlin and on ordinary days.
fn any_start() -> impl Strategy<Value = Time> {
    (prop::sample::select(vec!["2026-03-28T18:00:00Z", "2026-05-31T18:00:00Z", "2026-10-24T18:00:00Z"]), 0..40_000_000_i64)
        .prop_map(|(day, ms)| at(day) + Duration::milliseconds(ms))
}

/// The session with its plain readings, or with the further ones too.
fn session(start: Time, stretches: &[Stretch], refined: bool) -> Metered {
    let mut now = start;
    let mut register = MilliWh(7_000_000_000);
    let (mut registers, mut activity) = (vec![(start, register)], Vec::new());
    for stretch in stretches {
        activity.push((now, stretch.activity));
        let inside = if refined { &stretch.inside[..] } else { &[] };
        for part in inside {
            let ms = stretch.ms * part / 1000;
            registers.push((now + Duration::milliseconds(ms), register + MilliWh(ms * stretch.mwh_per_ms)));
            activity.push((now + Duration::milliseconds(ms), stretch.activity));
        }
        now += Duration::milliseconds(stretch.ms);
        register = register + MilliWh(stretch.ms * stretch.mwh_per_ms);
        registers.push((now, register));
    }
    Metered::new(start, now, registers, activity, Vec::new()).expect("readings in order")
}

/// The priced milliseconds and mWh of every component, found without any splitting: each minute is asked by itself. Exact when
/// readings, thresholds and clock edges lie on whole minutes.
fn minute_by_minute(tariff: &Tariff, start: Time, stretches: &[Stretch]) -> BTreeMap<(Dimension, usize, usize), i64> {
    let mut volumes = BTreeMap::new();
    let (mut now, mut energy) = (start, 0);
    let lookup = Lookup::new(tariff);
    for stretch in stretches {
        for _ in 0..stretch.ms / 60_000 {
            let moment = Moment {
                local: now.with_timezone(&ZONE).naive_local(),
                energy: MilliWh(energy),
                elapsed_ms: (now - start).num_milliseconds(),
                power: Some(MilliW(stretch.mwh_per_ms * 3_600_000)),
                current: None,
            };
            let mut add = |dimension: Dimension, volume: i64| {
                if let (Some((element, component)), true) = (lookup.find(dimension, &moment), volume > 0) {
                    *volumes.entry((dimension, element, component)).or_insert(0) += volume;
                }
            };
            add(Dimension::Energy, stretch.mwh_per_ms * 60_000);
            match stretch.activity {
                Activity::Charging => add(Dimension::Time, 60_000),
                Activity::Idle => add(Dimension::ParkingTime, 60_000),
                Activity::Paused => {}
            }
            energy += stretch.mwh_per_ms * 60_000;
            now += Duration::minutes(1);
        }
    }
    volumes
}

/// The same from the bill; hours in a line are rounded to six decimals, so it is read back to whole minutes.
fn volumes_of(rated: &Rated) -> BTreeMap<(Dimension, usize, usize), i64> {
    use rust_decimal::prelude::ToPrimitive;
    let volume = |line: &Line| match line.source {
        LineSource::Component { dimension: Dimension::Energy, element, component } => {
            let mwh = (line.measured * Decimal::from(1_000_000)).to_i64().expect("mWh");
            Some(((Dimension::Energy, element, component), mwh))
        }
        LineSource::Component { dimension: dimension @ (Dimension::Time | Dimension::ParkingTime), element, component } => {
            let minutes = (line.measured * Decimal::from(60)).round().to_i64().expect("minutes");
            Some(((dimension, element, component), minutes * 60_000))
        }
        _ => None,
    };
    rated.lines.iter().filter_map(volume).collect()
}

/// The session on whole minutes.
fn whole_minutes(start: Time, stretches: &[Stretch]) -> (Time, Vec<Stretch>) {
    let start = start - Duration::milliseconds(start.timestamp_millis() % 60_000);
    let stretches = stretches.iter().map(|stretch| Stretch { ms: stretch.ms / 60_000 * 60_000, ..stretch.clone() });
    (start, stretches.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn books_balance(tariff in any_tariff(), start in any_start(), stretches in prop::collection::vec(any_stretch(), 1..6)) {
        let metered = session(start, &stretches, false);
        let rated = price(&tariff, &metered, ZONE, 2).expect("priced");
        check(&rated);
        prop_assert_eq!(rated.totals.energy_delivered, metered.energy());
        prop_assert_eq!((rated.periods[0].start, rated.periods[rated.periods.len() - 1].end), (metered.start(), metered.end()));
        let by_dimension = [rated.totals.fixed, rated.totals.energy, rated.totals.time, rated.totals.parking];
        let limits = rated.lines.iter().filter(|line| line.source == LineSource::PriceLimit).map(|line| line.amount_excl_vat);
        let parts: Decimal = by_dimension.into_iter().flatten().map(|price| price.excl_vat).chain(limits).sum();
        prop_assert_eq!(parts, rated.totals.cost.excl_vat);
        if let Some(max) = tariff.max_price {
            prop_assert!(rated.totals.cost.excl_vat <= max.excl_vat);
            prop_assert!(max.incl_vat.is_none_or(|incl| rated.totals.cost.incl_vat <= incl));
        }
        if let Some(min) = tariff.min_price.filter(|_| metered.duration_ms() > 0) {
            prop_assert!(rated.totals.cost.excl_vat >= min.excl_vat);
            prop_assert!(min.incl_vat.is_none_or(|incl| rated.totals.cost.incl_vat >= incl));
        }
        prop_assert!(rated.lines.iter().all(|line| line.billed >= line.measured || line.source == LineSource::PriceLimit));
        prop_assert_eq!(price(&tariff, &metered, ZONE, 2).expect("priced"), rated);
    }

    #[test]
    fn finer_readings_change_nothing(tariff in any_tariff(), start in any_start(), stretches in prop::collection::vec(any_stretch(), 1..6)) {
        let coarse = price(&tariff, &session(start, &stretches, false), ZONE, 2).expect("priced");
        let fine = price(&tariff, &session(start, &stretches, true), ZONE, 2).expect("priced");
        prop_assert_eq!(&coarse.lines, &fine.lines);
        prop_assert_eq!(&coarse.totals, &fine.totals);
        prop_assert_eq!(coarse.periods.len(), fine.periods.len());
    }

    /// Registers are whole mWh, so readings at odd milliseconds lie beside the line of constant power by less than one: an
    /// average that is at a threshold exactly stays there.
    #[test]
    fn readings_at_odd_milliseconds_move_no_average_across_a_threshold(
        stretches in prop::collection::vec((0..60_i64, 60_000..3_600_000_i64, prop::collection::btree_set(5_000..3_600_000_i64, 0..6)), 1..5),
        threshold in 1..60_i64,
    ) {
        let tariff = tariff(&[
            element("ENERGY", "0.60", 0, &format!(r#""min_power":{threshold}"#)),
            element("ENERGY", "0.30", 0, ""),
        ].join(","));
        let start = at("2026-06-01T10:00:00Z");
        let session = |refined: bool| {
            let (mut now, mut register) = (start, 7_000_000_000);
            let mut registers = vec![(start, MilliWh(register))];
            for (kw, ms, inside) in &stretches {
                let mut before = 0;
                for at in inside.iter().filter(|at| refined && **at <= ms - 5_000) {
                    if at - before >= 5_000 {
                        registers.push((now + Duration::milliseconds(*at), MilliWh(register + at * kw * 10 / 36)));
                        before = *at;
                    }
                }
                now += Duration::milliseconds(*ms);
                register += ms * kw * 10 / 36;
                registers.push((now, MilliWh(register)));
            }
            let metered = Metered::new(start, now, registers, vec![(start, Activity::Charging)], Vec::new()).expect("in order");
            price(&tariff, &metered, ZONE, 2).expect("priced").lines
        };
        prop_assert_eq!(session(false), session(true));
    }

    #[test]
    fn splitting_misses_no_edge(mut tariff in any_tariff(), start in any_start(), stretches in prop::collection::vec(any_stretch(), 1..6)) {
        let (start, stretches) = whole_minutes(start, &stretches);
        for element in &mut tariff.elements {
            let restrictions = &mut element.restrictions;
            (restrictions.min_kwh, restrictions.max_kwh) = (None, None);
            for seconds in [&mut restrictions.min_duration, &mut restrictions.max_duration].into_iter().flatten() {
                *seconds = *seconds / 60 * 60;
            }
        }
        let rated = price(&tariff, &session(start, &stretches, false), ZONE, 2).expect("priced");
        prop_assert_eq!(volumes_of(&rated), minute_by_minute(&tariff, start, &stretches));
    }

    #[test]
    fn arbitrary_text_never_panics(text in r#"[\[\]{}":,0-9a-z_.eE+ -]{0,60}"#) {
        let _ = Tariff::parse(&text);
        let _ = Tariff::parse(&format!(r#"{{"id":"T","currency":"EUR","elements":[{{"price_components":[{{"type":"FLAT","price":{text}}}]}}]}}"#));
    }
}
