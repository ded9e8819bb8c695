//! Whatever a network does to the messages of valid sessions, the books stay sound.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A valid 2.x session: events of growing number, register and (several may share a second) time, with signed values.
fn session2() -> impl Strategy<Value = Vec<TxFact>> {
    (prop::collection::vec((0..900_i64, 0..5_000_i64, 0..5_usize), 0..8), 0..3_i64, any::<bool>()).prop_map(
        |(steps, seq, late_evse)| {
            let (mut at, mut register) = (0, 1_000_000);
            let mut facts = vec![event(Phase::Start, "abc", seq, 0).by("TAG").register(Context::TransactionBegin, "1000000")];
            for (step, grown, state) in steps {
                (at, register) = (at + step, register + grown.min(step * 5));
                let number = seq + i64::try_from(facts.len()).unwrap();
                let fact = event(Phase::Update, "abc", number, at).register(Context::SamplePeriodic, &register.to_string());
                let signed = Sample { value: Value::Signed(number.to_string().into()), ..sample("0") };
                facts.push(fact.in_state(ChargingState::ALL[state]).with(|fact| fact.readings[0].samples.push(signed)));
            }
            let number = seq + i64::try_from(facts.len()).unwrap();
            let end =
                event(Phase::Stop, "abc", number, at + 60).by("GROUP").register(Context::TransactionEnd, &register.to_string());
            facts.push(end);
            if late_evse {
                facts[0].evse = None;
            }
            facts
        },
    )
}

/// A valid 1.6 session; the transaction id is filled in when it is known.
fn session16() -> impl Strategy<Value = Vec<TxFact>> {
    prop::collection::vec((1..900_i64, 0..5_000_i64), 0..6).prop_map(|steps| {
        let (mut at, mut register) = (0, 1_000_000);
        let mut facts = vec![start(1, "TAG", 0, "1000000")];
        for (step, grown) in steps {
            (at, register) = (at + step, register + grown.min(step * 5));
            facts.push(values(1, Some("?"), at, &register.to_string()));
        }
        facts.push(stop(Some("?"), at + 60, &register.to_string()));
        facts
    })
}

/// What happens to a message on its way: how often it arrives, and how late.
fn fate() -> impl Strategy<Value = (usize, i64)> {
    (prop_oneof![1 => Just(0_usize), 6 => Just(1), 2 => Just(2), 1 => Just(3)], 0..5_000_i64)
}

/// Every fact left evidence or is a known repeat.
fn is_recorded(lines: &[String]) -> bool {
    let repeat = ["! duplicate-event", "! duplicate-start", "! duplicate-samples"];
    lines.iter().any(|line| line.starts_with("evidence ") || repeat.contains(&line.as_str()))
}

/// No negative energy, no falling curve; how many sessions of each transaction would get a record.
fn settle_all(site: &mut Site) -> BTreeMap<String, usize> {
    let mut billed = BTreeMap::new();
    for number in site.sessions.iter().map(|session| session.number).collect::<Vec<_>>() {
        if !matches!(site.session(number).state, State::Ended { .. }) {
            continue;
        }
        if let Ok(curve) = site.meter(number) {
            assert!(energy(&curve) >= MilliWh(0));
            let metered = &curve.metered;
            assert!(metered.registers().windows(2).all(|pair| pair[0] <= pair[1] && pair[0].1 <= pair[1].1));
            assert!(metered.activity().windows(2).all(|pair| pair[0].0 < pair[1].0));
            *billed.entry(site.session(number).tx.as_str().to_lowercase()).or_insert(0) += 1;
        }
    }
    billed
}

/// What a bill is made of: all but the time of receipt and the findings of the way there.
fn essence(site: &mut Site) -> impl PartialEq + std::fmt::Debug + use<> {
    let session = site.session(1).clone();
    let places = (session.evse, session.connector, session.token, session.token_status, session.tariff, session.stop_reason);
    let state = std::mem::discriminant(&session.state);
    (places, state, session.started_at, session.stopped_at, site.meter(1))
}

fn tell_in_order(facts: &[TxFact]) -> Site {
    let mut site = Site::new(Version::V201);
    for fact in facts {
        site.tx(9_000, fact.clone());
    }
    site
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// 2.x: the set of events decides, not their order, not repeats, not restarts.
    #[test]
    fn any_order_gives_the_same_session(
        (facts, order) in session2().prop_flat_map(|facts| {
            let places: Vec<usize> = (0..facts.len()).chain(0..facts.len() / 2).collect();
            (Just(facts), Just(places).prop_shuffle())
        }),
        restart_at in 0..20_usize,
    ) {
        let mut site = Site::new(Version::V201);
        for (step, place) in order.into_iter().enumerate() {
            if step == restart_at {
                site.restart();
            }
            let lines = site.tx(9_000, facts[place].clone());
            prop_assert!(is_recorded(&lines), "{lines:?}");
        }
        let mut straight = tell_in_order(&facts);
        prop_assert_eq!(site.sessions.len(), 1);
        prop_assert_eq!(site.entries.len(), straight.entries.len());
        prop_assert_eq!(state(&site.session(1).state, 9_000), "ended");
        prop_assert_eq!(essence(&mut site), essence(&mut straight));
        prop_assert!(site.meter(1).is_ok());
    }

    /// 2.x: events get lost, late, repeated under the same and under new numbers.
    #[test]
    fn damage_never_bills_twice((facts, fates) in session2().prop_flat_map(|facts| {
        let fates = prop::collection::vec((fate(), any::<bool>()), facts.len());
        (Just(facts), fates)
    })) {
        let mut site = Site::new(Version::V201);
        let mut arrivals = Vec::new();
        for (place, (fact, ((times, late), renumbered))) in facts.iter().zip(fates).enumerate() {
            for copy in 0..times {
                let mut fact = fact.clone();
                if copy > 0 && renumbered {
                    fact.seq_no = Some(100 + i64::try_from(place).unwrap());
                }
                let happened = (fact.reported_at.unwrap() - t(0)).num_seconds();
                arrivals.push((happened + late + i64::try_from(copy).unwrap(), fact));
            }
        }
        arrivals.sort_by_key(|(at, _)| *at);
        for (at, fact) in arrivals {
            let lines = site.tx(at, fact);
            prop_assert!(is_recorded(&lines), "{lines:?}");
        }
        prop_assert!(site.sessions.len() <= 1);
        prop_assert!(settle_all(&mut site).values().all(|count| *count <= 1));
    }

    /// 1.6: sent in order, but lost and repeated, with ids that are ours, unknown or useless.
    #[test]
    fn repeats_of_1_6_open_no_second_session((facts, fates) in session16().prop_flat_map(|facts| {
        let fates = prop::collection::vec((fate(), 0..4_usize), facts.len());
        (Just(facts), fates)
    }), restart_at in 0..20_usize) {
        let mut site = Site::new(Version::V16);
        let started = fates[0].0.0 > 0;
        for (place, (fact, ((times, _), id))) in facts.into_iter().zip(fates).enumerate() {
            for _ in 0..times {
                if place == restart_at {
                    site.restart();
                }
                let id = [Some("1001"), Some("1001"), Some("88"), None][id];
                let fact = fact.clone().with(|fact| fact.tx = fact.tx.take().and(id).map(TxRef::new));
                let lines = site.tx(9_000, fact);
                prop_assert!(is_recorded(&lines), "{lines:?}");
            }
        }
        let starts = site.sessions.iter().filter(|session| session.started_at.is_some()).count();
        prop_assert_eq!(starts, usize::from(started));
        let billed = settle_all(&mut site);
        prop_assert!(billed.values().sum::<usize>() <= starts);
    }

    /// Nonsense of every kind panics nowhere and is recorded.
    #[test]
    fn nonsense_is_survived(is_old in any::<bool>(), facts in prop::collection::vec(nonsense(), 1..20)) {
        let mut site = Site::new(if is_old { Version::V16 } else { Version::V201 });
        for fact in facts {
            let lines = site.tx(0, fact);
            prop_assert!(is_recorded(&lines), "{lines:?}");
        }
        settle_all(&mut site);
    }
}

fn nonsense() -> impl Strategy<Value = TxFact> {
    let times = prop_oneof![
        Just(None),
        (-90_000..90_000_i64).prop_map(|at| Some(t(at))),
        Just(Some(Time::MIN_UTC)),
        Just(Some(Time::MAX_UTC))
    ];
    let numbers = prop_oneof![any::<i64>().prop_map(Decimal::from), Just(Decimal::MAX), Just(Decimal::MIN), Just(wh("0.0001"))];
    let phases = prop_oneof![Just(Phase::Start), Just(Phase::Update), Just(Phase::Stop)];
    let ids = prop::option::of(prop_oneof![Just("a"), Just("A"), Just("1001"), Just("")]);
    let seqs = prop::option::of(prop_oneof![0..4_i64, Just(i64::MIN), Just(i64::MAX)]);
    let samples = prop::collection::vec((0..11_usize, 0..8_usize, 0..3_usize, numbers.clone()), 0..6);
    let place = (prop::option::of(0..3_u32), any::<bool>(), prop::option::of(0..5_usize));
    (phases, ids, seqs, times.clone(), times, prop::option::of(numbers), samples, place).prop_map(
        |(phase, id, seq, at, measured_at, register, samples, (evse, offline, charging))| {
            let samples = samples.into_iter().map(|(phase, context, location, number)| Sample {
                phase: LinePhase::from_code(u8::try_from(phase).unwrap()).unwrap(),
                context: Context::from_code(u8::try_from(context).unwrap()).unwrap(),
                location: Location::from_code(u8::try_from(location).unwrap()).unwrap(),
                value: Value::Number(number),
                measurand: Measurand::default(),
            });
            let reading = Reading { measured_at, samples: samples.collect() };
            TxFact::new(phase).with(|fact| {
                (fact.tx, fact.seq_no, fact.reported_at, fact.register_wh) = (id.map(TxRef::new), seq, at, register);
                (fact.evse, fact.offline, fact.readings) = (evse, offline, vec![reading]);
                fact.charging = charging.map(|state| ChargingState::ALL[state]);
            })
        },
    )
}
