//! What becomes of registers, states and signed values.

use super::*;
use crate::rating::{Activity, LoadSample};
use crate::units::{MicroA, MilliW};

/// A 1.6 session of 20 minutes with these samples (seconds, Wh).
fn sampled(first: &str, last: &str, samples: &[(i64, &str)]) -> Result<Metering, &'static str> {
    let mut site = Site::new(Version::V16);
    site.tx(0, start(1, "TAG", 0, first));
    for (at, register) in samples {
        site.tx(*at, values(1, Some("1001"), *at, register));
    }
    site.tx(1200, stop(Some("1001"), 1200, last));
    site.meter(1)
}

/// A 2.x session of 20 minutes that began and ended with these readings.
fn transaction(first: TxFact, last: TxFact) -> Result<Metering, &'static str> {
    let mut site = Site::new(Version::V201);
    for fact in [first, last] {
        site.tx(1200, fact);
    }
    site.meter(1)
}

fn begin() -> TxFact {
    event(Phase::Start, "abc", 0, 0)
}

fn end() -> TxFact {
    event(Phase::Stop, "abc", 1, 1200)
}

fn told(curve: &Metering) -> String {
    let points: Vec<String> = registers(curve).into_iter().map(|(at, register)| format!("{at}:{register}")).collect();
    format!("{} {} {}", curve.source, points.join(" "), codes(&curve.findings).join(" ")).trim().to_owned()
}

#[test]
fn samples_shape_the_curve_and_never_the_bill() {
    for (first, last, samples, expected) in [
        ("1000", "3000", &[][..], "start-stop 0:1000 1200:3000"),
        ("1000", "1000", &[(600, "1000")], "start-stop 0:1000 600:1000 1200:1000"),
        ("1000", "3000", &[(300, "1500"), (600, "2000.123")], "start-stop 0:1000 300:1500 600:2000.123 1200:3000"),
        // Out of order, repeated, at and beyond the ends.
        (
            "1000",
            "3000",
            &[(600, "2000"), (300, "1500"), (600, "2000"), (0, "900"), (1200, "3100"), (1300, "3200")],
            "start-stop 0:1000 300:1500 600:2000 1200:3000",
        ),
        // Rounding of the whole watt-hours at the ends.
        ("1001", "3000", &[(1, "1000.4"), (1199, "3000.7")], "start-stop 0:1001 1:1001 1199:3000 1200:3000"),
        // Drop-outs to 0, and one sample that is far too high.
        ("1000", "3000", &[(300, "0"), (600, "2000"), (900, "0")], "start-stop 0:1000 600:2000 1200:3000 register-outliers"),
        (
            "1000",
            "3000",
            &[(300, "1500"), (600, "99000"), (900, "2500")],
            "start-stop 0:1000 300:1500 900:2500 1200:3000 register-outliers",
        ),
        (
            "1000",
            "3000",
            &[(300, "2900"), (600, "2000"), (900, "2500")],
            "start-stop 0:1000 600:2000 900:2500 1200:3000 register-outliers",
        ),
        ("1000", "3000", &[(300, "0"), (600, "0")], "start-stop 0:1000 1200:3000 register-outliers"),
        // Samples a thousand times too large are no reason to doubt the stop.
        ("100000", "102000", &[(300, "100500000"), (600, "101000000")], "start-stop 0:100000 1200:102000 register-outliers"),
        // Samples that count from 0 in each session, also with a drop-out.
        (
            "500000",
            "502000",
            &[(300, "500"), (600, "0"), (900, "1500")],
            "start-stop 0:500000 300:500500 900:501500 1200:502000 session-relative-samples register-outliers",
        ),
        // A session register at both ends is as good as any.
        ("0", "2000", &[(300, "500"), (600, "1000")], "start-stop 0:0 300:500 600:1000 1200:2000"),
    ] {
        assert_eq!(told(&sampled(first, last, samples).unwrap()), expected, "{first} {last} {samples:?}");
    }
}

#[test]
fn a_wrong_end_holds() {
    for (first, last, samples, expected) in [
        ("1000", "900", &[][..], hold::REGISTER_DECREASED),
        ("-5", "900", &[], hold::REGISTER_NEGATIVE),
        ("-9223372036854775", "9223372036854775", &[], hold::REGISTER_NEGATIVE),
        ("5", "-900", &[], hold::REGISTER_NEGATIVE),
        // 22 kW for 20 minutes are 7.3 kWh.
        ("0", "7401", &[], hold::IMPLAUSIBLE_POWER),
        ("0", "9223372036854775", &[], hold::IMPLAUSIBLE_POWER),
        // The meter was reset on the way, or the stop repeats the start.
        ("0", "200", &[(300, "1000"), (600, "2000"), (900, "100")], hold::REGISTER_DECREASED),
        ("1000", "1000", &[(300, "1500"), (600, "2000"), (900, "2500")], hold::REGISTER_DECREASED),
    ] {
        assert_eq!(sampled(first, last, samples), Err(expected), "{first} {last} {samples:?}");
    }
    assert!(sampled("0", "7300", &[]).is_ok());
}

#[test]
fn little_energy_in_no_time_is_a_coarse_clock() {
    for (register, expected) in [("1199", Ok(MilliWh(199_000))), ("1201", Err(hold::IMPLAUSIBLE_POWER))] {
        let mut site = Site::new(Version::V16);
        site.tx(0, start(1, "TAG", 0, "1000"));
        site.tx(0, stop(Some("1001"), 0, register));
        assert_eq!(site.meter(1).map(|curve| energy(&curve)), expected);
    }
    let mut site = Site::new(Version::V16);
    site.tx(0, start(1, "TAG", 0, "1000"));
    site.tx(0, stop(Some("1001"), -1, "1000"));
    assert_eq!(site.meter(1), Err(hold::TIME_REVERSED));
}

#[test]
fn ends_come_from_fields_then_from_samples() {
    use Context::{SamplePeriodic, TransactionBegin, TransactionEnd};
    let without = |fact: TxFact| fact.with(|fact| fact.register_wh = None);
    let plain = start(1, "TAG", 0, "1000");
    for (first, last, expected) in [
        // 2.x: marked samples, else what start and end carried.
        (begin().register(TransactionBegin, "10"), end().register(TransactionEnd, "60"), Ok("transaction-samples 0:10 1200:60")),
        (begin().register(SamplePeriodic, "10"), end().register(SamplePeriodic, "60"), Ok("samples 0:10 1200:60")),
        (begin(), end().register(TransactionBegin, "10").register(TransactionEnd, "60"), Ok("transaction-samples 0:10 1200:60")),
        (begin().register(TransactionBegin, "10"), end(), Err(hold::REGISTER_MISSING)),
        (begin().register(TransactionBegin, "10"), end().register(TransactionBegin, "10"), Err(hold::REGISTER_MISSING)),
        (begin(), end().register(TransactionEnd, "60"), Err(hold::REGISTER_MISSING)),
        (begin().register(TransactionBegin, "60"), end().register(TransactionEnd, "10"), Err(hold::REGISTER_DECREASED)),
        // 1.6 with transactionData.
        (
            plain.clone(),
            stop(Some("1001"), 1200, "3000").register(TransactionBegin, "1000.4").register(TransactionEnd, "2500"),
            Ok("start-stop 0:1000 1200:3000 end-sample-differs"),
        ),
        (
            plain.clone(),
            without(stop(Some("1001"), 1200, "0")).register(TransactionEnd, "2500"),
            Ok("samples 0:1000 1200:2500 register-sources-mixed"),
        ),
        (plain.clone(), without(stop(Some("1001"), 1200, "0")), Err(hold::REGISTER_MISSING)),
        (without(plain.clone()).register(TransactionBegin, "0"), stop(Some("1001"), 1200, "3000"), Err(hold::REGISTER_MISSING)),
        (without(plain.clone()), stop(Some("1001"), 1200, "3000"), Err(hold::REGISTER_MISSING)),
        (
            start(1, "TAG", 0, "0").register(TransactionBegin, "1000"),
            stop(Some("1001"), 1200, "0").register(TransactionEnd, "3000"),
            Ok("transaction-samples 0:1000 1200:3000 register-fields-zero"),
        ),
    ] {
        let mut site = Site::new(if first.tx.is_some() { Version::V201 } else { Version::V16 });
        let case = format!("{first:?} {last:?}");
        site.tx(0, first);
        site.tx(1200, last);
        assert_eq!(site.meter(1).as_ref().map(told).map_err(|code| *code), expected.map(str::to_owned), "{case}");
    }
}

#[test]
fn a_stop_that_does_not_stand_moves_no_register() {
    let mut site = Site::new(Version::V201);
    site.tx(0, begin().register(Context::TransactionBegin, "0"));
    site.tx(1200, end().register(Context::TransactionEnd, "500"));
    site.tx(1300, event(Phase::Stop, "abc", 2, 1300).register(Context::TransactionEnd, "900"));
    site.tx(1310, event(Phase::Update, "abc", 3, 1310).register(Context::SamplePeriodic, "950"));
    assert_eq!(told(&site.meter(1).unwrap()), "transaction-samples 0:0 1200:500");
}

#[test]
fn phases_locations_and_signed_values() {
    let part = |phase, location, register: &str| Sample { phase, location, ..sample(register) };
    let reading = |at, samples| Reading { measured_at: Some(t(at)), samples };
    let both = |first: Vec<Sample>, last: Vec<Sample>| {
        transaction(
            begin().with(|fact| fact.readings = vec![reading(0, first)]),
            end().with(|fact| fact.readings = vec![reading(1200, last)]),
        )
    };
    let three = |l1: &str, l2: &str, l3: &str| {
        [(LinePhase::L1, l1), (LinePhase::L2, l2), (LinePhase::L3, l3)]
            .map(|(phase, wh)| part(phase, Location::Outlet, wh))
            .to_vec()
    };
    // Three phases are summed; a total counts alone; one phase is taken, and said so.
    assert_eq!(told(&both(three("1", "2", "3"), three("11", "22", "33.5")).unwrap()), "samples 0:6 1200:66.5");
    let with_total = |total: &str| [three("1", "2", "3"), vec![sample(total)]].concat();
    assert_eq!(told(&both(with_total("7"), with_total("9")).unwrap()), "samples 0:7 1200:9");
    let l1 = |register| vec![part(LinePhase::L1, Location::Outlet, register)];
    assert_eq!(told(&both(l1("1"), l1("9")).unwrap()), "samples 0:1 1200:9 register-only-l1");
    assert_eq!(both(three("1", "2", "3"), l1("9")), Err(hold::REGISTER_MISSING));
    // The outlet counts; the meter in the body is taken where there is none; never one against the other.
    let body = |register| part(LinePhase::Total, Location::Body, register);
    assert_eq!(told(&both(vec![body("5"), sample("1")], vec![body("20"), sample("9")]).unwrap()), "samples 0:1 1200:9");
    assert_eq!(told(&both(vec![body("5")], vec![body("20")]).unwrap()), "samples 0:5 1200:20");
    assert_eq!(both(vec![sample("5")], vec![body("20")]), Err(hold::REGISTER_MISSING));
    let inlet = |register| part(LinePhase::Total, Location::Inlet, register);
    assert_eq!(both(vec![inlet("5")], vec![inlet("20")]), Err(hold::REGISTER_MISSING));
    // Sums that no decimal holds, and registers that no meter has.
    let max = "79228162514264337593543950335";
    assert_eq!(both(three(max, max, max), three(max, max, max)), Err(hold::REGISTER_MISSING));
    assert_eq!(both(vec![sample(max)], vec![sample(max)]), Err(hold::REGISTER_MISSING));
    assert_eq!(register_of_three(max), None);
    // Signed values are kept as they came, and hide no number beside them.
    let signed = |text: &str| Sample { value: Value::Signed(text.into()), ..sample("0") };
    let curve = both(vec![signed("OCMF|{\"x\":1 }|a"), sample("1")], vec![sample("9"), signed("é\\u0000")]).unwrap();
    assert_eq!(told(&curve), "samples 0:1 1200:9");
    let kept: Vec<_> = curve.signed.iter().map(|signed| (signed.at, signed.data.as_str())).collect();
    assert_eq!(kept, [(t(0), "OCMF|{\"x\":1 }|a"), (t(1200), "é\\u0000")]);
}

fn register_of_three(register: &str) -> Option<MilliWh> {
    let phases = [LinePhase::L1, LinePhase::L2, LinePhase::L3];
    let samples = phases.map(|phase| Sample { phase, ..sample(register) }).to_vec();
    crate::fact::register::register_of(&Reading { measured_at: None, samples })
}

#[test]
fn a_doubtful_unit_holds_only_where_it_would_make_the_bill() {
    let mismatch =
        |fact: TxFact, what: &str| fact.with(|fact| fact.findings.push(Finding::new("unit-mismatch", format!("{what} in kW"))));
    let register = "Energy.Active.Import.Register";
    let ends = || (begin().register(Context::TransactionBegin, "0"), end().register(Context::TransactionEnd, "900"));
    let (first, last) = ends();
    let last = mismatch(mismatch(last, "Power.Active.Import"), register);
    assert_eq!(transaction(first, last), Err(hold::UNIT_DOUBTFUL));
    let (first, last) = ends();
    assert!(transaction(first, mismatch(last, "Energy.Reactive.Import.Register")).is_ok());
    let mut site = Site::new(Version::V16);
    site.tx(0, start(1, "TAG", 0, "1000"));
    site.tx(600, mismatch(values(1, Some("1001"), 600, "1500"), register));
    site.tx(1200, stop(Some("1001"), 1200, "3000"));
    assert_eq!(told(&site.meter(1).unwrap()), "start-stop 0:1000 600:1500 1200:3000");
}

/// States told by 1.6 statuses (first) and by 2.x events (second) mean the same. Registers are (seconds, Wh).
fn activity(states: &[(i64, ChargingState)], samples: &[(i64, &str)], last: &str) -> Vec<(i64, Activity)> {
    let mut old = Site::new(Version::V16);
    let mut new = Site::new(Version::V201);
    old.tx(0, start(1, "TAG", 0, "0"));
    new.tx(0, begin().register(Context::TransactionBegin, "0"));
    let states = states.iter().map(|(at, state)| (*at, Some(*state), None));
    let mut updates: Vec<_> = states.chain(samples.iter().map(|(at, register)| (*at, None, Some(*register)))).collect();
    updates.sort_by_key(|(at, ..)| *at);
    let mut seq = 1;
    for (at, state, register) in updates {
        if let Some(state) = state {
            old.say(at, Fact::Status(status(1, state.as_str(), Some(state), at)));
            if at > -60 {
                new.tx(at, event(Phase::Update, "abc", seq, at).in_state(state));
            }
        }
        if let Some(register) = register {
            old.tx(at, values(1, Some("1001"), at, register));
            new.tx(at, event(Phase::Update, "abc", seq, at).register(Context::SamplePeriodic, register));
        }
        seq += 1;
    }
    old.tx(7200, stop(Some("1001"), 7200, last));
    new.tx(7200, event(Phase::Stop, "abc", seq, 7200).register(Context::TransactionEnd, last));
    let (old, new) = (old.meter(1).unwrap(), new.meter(1).unwrap());
    assert_eq!(old.metered.activity(), new.metered.activity());
    old.metered.activity().iter().map(|(at, activity)| ((*at - t(0)).num_seconds(), *activity)).collect()
}

#[test]
fn states_tell_charging_idle_and_pause() {
    use Activity::{Charging, Idle, Paused};
    use ChargingState as S;
    for (states, samples, last, expected) in [
        (&[][..], &[][..], "9000", &[(0, Charging)][..]),
        (&[(5, S::Charging), (3600, S::SuspendedEv), (7000, S::EvConnected)], &[], "9000", &[(0, Charging), (3600, Idle)]),
        (
            &[(5, S::Charging), (600, S::SuspendedEvse), (900, S::Charging), (3600, S::SuspendedEv), (5000, S::Charging)],
            &[],
            "9000",
            &[(0, Charging), (600, Paused), (900, Charging), (3600, Idle), (5000, Charging)],
        ),
        // Warm-up is free until energy flows, whatever the vehicle says.
        (&[(0, S::EvConnected), (30, S::SuspendedEv), (600, S::Charging)], &[], "9000", &[(0, Paused), (600, Charging)]),
        (&[(300, S::Charging)], &[], "9000", &[(0, Paused), (300, Charging)]),
        // Energy before the first word about it: states were lost.
        (&[(3600, S::Charging)], &[(900, "2000")], "9000", &[(0, Charging)]),
        (&[(3600, S::SuspendedEv)], &[], "9000", &[(0, Charging), (3600, Idle)]),
        // A full battery that never charged.
        (&[(5, S::SuspendedEv)], &[], "0", &[(0, Paused)]),
        // Replayed statuses of yesterday; one of a moment ago.
        (&[(-80_000, S::Charging), (-70_000, S::EvConnected)], &[], "9000", &[(0, Charging)]),
        (&[(-2, S::Charging), (3600, S::SuspendedEv)], &[], "9000", &[(0, Charging), (3600, Idle)]),
        // The last word of one instant counts.
        (&[(5, S::SuspendedEv), (5, S::Charging)], &[], "9000", &[(0, Charging)]),
    ] {
        assert_eq!(activity(states, samples, last), expected, "{states:?} {samples:?} {last}");
    }
}

#[test]
fn power_and_current_come_in_kilowatts_and_as_sums() {
    let load = |measurand: Measurand, phase, value: &str| Sample { measurand, phase, ..sample(value) };
    let reading = |at, samples| Reading { measured_at: Some(t(at)), samples };
    let current = |phase, amperes| load(Measurand::CurrentImport, phase, amperes);
    let three = vec![
        current(LinePhase::L1, "16.1"),
        current(LinePhase::L2, "16"),
        current(LinePhase::N, "2"),
        current(LinePhase::L3, "15.9"),
    ];
    let mut site = Site::new(Version::V16);
    site.tx(0, start(1, "TAG", 0, "0"));
    let at = |at, samples| values(1, Some("1001"), at, "0").with(|fact| fact.readings = vec![reading(at, samples)]);
    site.tx(60, at(60, three));
    site.tx(61, at(60, vec![load(Measurand::PowerActiveImport, LinePhase::Total, "11040")]));
    site.tx(62, at(70, vec![current(LinePhase::L1, "79228162514264337593543950335"), current(LinePhase::L2, "1")]));
    site.tx(1200, stop(Some("1001"), 1200, "0"));
    site.tx(5000, at(5000, vec![current(LinePhase::Total, "1")]));
    let load = LoadSample { at: t(60), power: Some(MilliW(11_040_000)), current: Some(MicroA(48_000_000)) };
    assert_eq!(site.meter(1).unwrap().metered.loads(), [load]);
}
