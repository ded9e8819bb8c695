//! From the evidence of an ended session to a register curve that can be priced, or to a reason not to. Pure.
//!
//! The registers at start and stop make the bill; samples between only say when the energy flowed. So a wrong sample is left
//! out and noted, while a wrong end holds the session. Nothing is smoothed and no value is invented (see `rating.md` §2 for the
//! cases; the codes are findings and [`super::hold`] reasons).

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::session::Session;
use super::{AuthStatus, ChargingState, Context, Evidence, LinePhase, Location, Measurand, Phase, Reading, Sample, Value, hold};
use crate::rating::Activity;
use crate::units::{Decimal, Finding, MilliWh, Time};

/// More power than any station has: a session above it is held when the station's own limit is not configured.
pub const MAX_POWER_KW: u32 = 1_000;
/// Energy below this is never called implausible, however short the session: coarse clocks and coarse meters.
const TOLERATED: MilliWh = MilliWh(200_000);
/// A Transaction.Begin sample may differ from meterStart by the rounding of meterStart.
const ROUNDING: i64 = 1_000;

/// What the store knows of one contribution when a session is metered.
#[derive(Clone, Debug)]
pub struct Proof {
    pub evidence: Evidence,
    pub received_at: Time,
}

/// A session that can be priced.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    pub start: Time,
    pub end: Time,
    /// Monotone; the first is at `start`, the last at `end`.
    pub registers: Vec<(Time, MilliWh)>,
    /// Changes of what the vehicle does; the first is at `start`.
    pub activity: Vec<(Time, Activity)>,
    /// Measured power in kW and current in A (sum of phases), where the station sent them.
    pub power: Vec<(Time, Option<Decimal>, Option<Decimal>)>,
    /// `start-stop` (1.6 meterStart/meterStop), `transaction-samples` (Transaction.Begin/End), `samples`.
    pub source: &'static str,
    /// Signed meter data, byte for byte, in the order of arrival.
    pub signed: Vec<Signed>,
    pub findings: Vec<Finding>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    pub at: Time,
    pub context: Context,
    pub data: String,
}

/// One register value among the samples.
struct Point {
    at: Time,
    register: MilliWh,
    context: Context,
    /// Came with the message that started (or ended) the transaction.
    phase: Phase,
}

/// Judges an ended session. `Err` holds a reason code of [`super::hold`] and a detail.
pub fn meter(session: &Session, proofs: &[Proof], max_power_kw: Option<Decimal>) -> Result<Curve, (&'static str, String)> {
    let (Some(start), Some(end)) = (session.started_at, session.stopped_at) else {
        let code = if session.started_at.is_none() { hold::START_MISSING } else { hold::STOP_MISSING };
        return Err((code, hold::meaning(code).to_owned()));
    };
    if !matches!(session.token_status, None | Some(AuthStatus::Accepted)) {
        let status = session.token_status.map_or("", AuthStatus::as_str);
        return Err((hold::NOT_AUTHORIZED, format!("the token was answered {status}")));
    }
    if end < start {
        return Err((hold::TIME_REVERSED, format!("start {start}, end {end}")));
    }
    let mut findings = Vec::new();
    let mut points = register_points(proofs);
    let (first, last, source) = ends(session, &points, &mut findings)?;
    offset_relative(&mut points, first, last, &mut findings);
    check(first, last, start, end, max_power_kw)?;
    let registers = monotone(points, (start, first), (end, last), &mut findings);
    Ok(Curve {
        start,
        end,
        registers,
        activity: activity(proofs, start, end),
        power: power(proofs, start, end),
        source,
        signed: signed(proofs),
        findings,
    })
}

/// The registers that make the bill: 1.6 meterStart and meterStop, else Transaction.Begin and .End, else what the first and
/// last event themselves carried. A sample from the middle never stands in for an end.
fn ends(
    session: &Session,
    points: &[Point],
    findings: &mut Vec<Finding>,
) -> Result<(MilliWh, MilliWh, &'static str), (&'static str, String)> {
    let begin = points.iter().find(|point| point.context == Context::TransactionBegin).map(|point| point.register);
    let finish = points.iter().rev().find(|point| point.context == Context::TransactionEnd).map(|point| point.register);
    let opening = points.iter().find(|point| point.phase == Phase::Start).map(|point| point.register);
    let closing = points.iter().rev().find(|point| point.phase == Phase::Stop).map(|point| point.register);
    let first = session.start_register.or(begin).or(opening);
    let last = session.stop_register.or(finish).or(closing);
    if let (Some(stated), Some(sampled)) = (session.start_register, begin)
        && (stated.0 - sampled.0).abs() > ROUNDING
        && sampled.0 != 0
    {
        findings.push(Finding::new("begin-sample-differs", format!("meterStart {} Wh, sample {} Wh", stated.wh(), sampled.wh())));
    }
    let source = match (session.start_register.is_some() && session.stop_register.is_some(), begin.is_some() && finish.is_some())
    {
        (true, _) => "start-stop",
        (false, true) => "transaction-samples",
        (false, false) => "samples",
    };
    match (first, last) {
        (Some(first), Some(last)) => Ok((first, last, source)),
        (None, _) => Err((hold::REGISTER_MISSING, "no register at the start".to_owned())),
        (_, None) => Err((hold::REGISTER_MISSING, "no register at the end".to_owned())),
    }
}

fn check(
    first: MilliWh,
    last: MilliWh,
    start: Time,
    end: Time,
    max_power_kw: Option<Decimal>,
) -> Result<(), (&'static str, String)> {
    if first.0 < 0 || last.0 < 0 {
        return Err((hold::REGISTER_NEGATIVE, format!("start {} Wh, stop {} Wh", first.wh(), last.wh())));
    }
    if last < first {
        return Err((hold::REGISTER_DECREASED, format!("start {} Wh, stop {} Wh", first.wh(), last.wh())));
    }
    let energy = last - first;
    let limit = max_power_kw.unwrap_or(Decimal::from(MAX_POWER_KW));
    // kWh · 3 600 000 ms/h ≤ kW · ms, without dividing
    let needed = energy.kwh() * Decimal::from(3_600_000);
    let possible = limit * Decimal::from((end - start).num_milliseconds());
    if energy > TOLERATED && needed > possible {
        let minutes = (end - start).num_seconds() / 60;
        return Err((hold::IMPLAUSIBLE_POWER, format!("{} kWh in {minutes} min, at most {limit} kW", energy.kwh())));
    }
    Ok(())
}

/// The import register at the outlet, in time order: the total if there is one, else the sum of three phases.
fn register_points(proofs: &[Proof]) -> Vec<Point> {
    let mut points = Vec::new();
    for proof in proofs {
        for reading in &proof.evidence.readings {
            let at = reading.measured_at.unwrap_or(proof.evidence.reported_at);
            let mut by_context: BTreeMap<u8, (Context, Vec<&Sample>)> = BTreeMap::new();
            for sample in reading.samples.iter().filter(|sample| is_register(sample)) {
                let key = sample.context.code().unwrap_or(u8::MAX);
                by_context.entry(key).or_insert_with(|| (sample.context.clone(), Vec::new())).1.push(sample);
            }
            for (context, samples) in by_context.into_values() {
                if let Some(register) = total(&samples) {
                    points.push(Point { at, register, context, phase: proof.evidence.phase });
                }
            }
        }
    }
    points.sort_by_key(|point| point.at);
    points
}

/// The import register of one reading, for showing a running session; `None` when it carries none.
pub fn register_of(reading: &Reading) -> Option<MilliWh> {
    let samples: Vec<&Sample> = reading.samples.iter().filter(|sample| is_register(sample)).collect();
    total(&samples)
}

fn is_register(sample: &Sample) -> bool {
    sample.measurand == Measurand::EnergyActiveImportRegister && matches!(sample.location, Location::Outlet | Location::Body)
}

fn number(sample: &Sample) -> Option<Decimal> {
    match &sample.value {
        Value::Number(number) => Some(*number),
        Value::Signed(_) => None,
    }
}

fn total(samples: &[&Sample]) -> Option<MilliWh> {
    let of = |phase: LinePhase| samples.iter().find(|sample| sample.phase == phase).and_then(|sample| number(sample));
    let sum = || Some(of(LinePhase::L1)? + of(LinePhase::L2)? + of(LinePhase::L3)?);
    of(LinePhase::Total).or_else(sum).and_then(MilliWh::from_wh)
}

/// Stations whose samples count from 0 in each session while start and stop give the lifetime register.
fn offset_relative(points: &mut [Point], first: MilliWh, last: MilliWh, findings: &mut Vec<Finding>) {
    let energy = last - first;
    let relative = |point: &Point| point.register < first && point.register <= energy;
    let middle = || points.iter().filter(|point| point.phase == Phase::Update);
    if first.0 > 0 && middle().next().is_some() && middle().all(relative) {
        for point in points.iter_mut().filter(|point| point.phase == Phase::Update) {
            point.register = point.register + first;
        }
        findings.push(Finding::new(
            "session-relative-samples",
            "samples count from the start of the session; the start register was added",
        ));
    }
}

/// The longest run of samples that never falls, between the two ends; the rest are outliers and are left out.
fn monotone(
    points: Vec<Point>,
    first: (Time, MilliWh),
    last: (Time, MilliWh),
    findings: &mut Vec<Finding>,
) -> Vec<(Time, MilliWh)> {
    let inside: Vec<(Time, MilliWh)> =
        points.into_iter().map(|point| (point.at, point.register)).filter(|(at, _)| *at > first.0 && *at < last.0).collect();
    let total = inside.len();
    let mut fitting: Vec<(Time, MilliWh)> =
        inside.into_iter().filter(|(_, register)| (first.1..=last.1).contains(register)).collect();
    fitting.dedup_by_key(|(at, _)| *at);
    let run = longest_run(&fitting);
    let dropped = total - run.len();
    if run.len() < fitting.len() || fitting.len() + 1 < total {
        findings.push(Finding::new(
            "register-outliers",
            format!("{dropped} of {total} samples between start and stop do not fit and were left out"),
        ));
    }
    std::iter::once(first).chain(run).chain(std::iter::once(last)).collect()
}

/// Longest non-decreasing subsequence of the registers (patience sorting, O(n log n)).
fn longest_run(points: &[(Time, MilliWh)]) -> Vec<(Time, MilliWh)> {
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; points.len()];
    for (place, (_, register)) in points.iter().enumerate() {
        let length = tails.partition_point(|tail| points[*tail].1 <= *register);
        before[place] = length.checked_sub(1).map(|shorter| tails[shorter]);
        if length == tails.len() {
            tails.push(place);
        } else {
            tails[length] = place;
        }
    }
    let mut run = Vec::with_capacity(tails.len());
    let mut next = tails.last().copied();
    while let Some(place) = next {
        run.push(points[place]);
        next = before[place];
    }
    run.reverse();
    run
}

/// What the vehicle did, from the charging states. Before the first `Charging` it is warming up, which is free; a station
/// that says nothing about states is taken as charging throughout.
fn activity(proofs: &[Proof], start: Time, end: Time) -> Vec<(Time, Activity)> {
    let mut states: Vec<(Time, ChargingState)> = proofs
        .iter()
        .filter_map(|proof| proof.evidence.charging.map(|state| (proof.evidence.reported_at, state)))
        .filter(|(at, _)| *at <= end)
        .collect();
    states.sort_by_key(|(at, _)| *at);
    let mut charged = false;
    let mut changes: Vec<(Time, Activity)> = Vec::new();
    let says_charging = states.iter().any(|(_, state)| *state == ChargingState::Charging);
    let opening = if says_charging { Activity::Paused } else { Activity::Charging };
    for (at, state) in states {
        charged |= state == ChargingState::Charging;
        let activity = match state {
            ChargingState::Charging => Activity::Charging,
            ChargingState::SuspendedEvse => Activity::Paused,
            ChargingState::SuspendedEv => Activity::Idle,
            ChargingState::EvConnected | ChargingState::Idle if charged => Activity::Idle,
            ChargingState::EvConnected | ChargingState::Idle => opening,
        };
        let at = at.max(start);
        match changes.last_mut() {
            Some(last) if last.0 == at => last.1 = activity,
            Some(last) if last.1 == activity => {}
            _ => changes.push((at, activity)),
        }
    }
    // 1.6 sends the status Charging within seconds of the start; that gap is charging, not warm-up.
    let soon = |at: &Time| *at - start <= TimeDelta::minutes(1);
    match changes.first() {
        None => changes.push((start, Activity::Charging)),
        Some((at, first)) if *at > start => {
            let before = if soon(at) { *first } else { opening };
            if before == *first {
                changes[0].0 = start;
            } else {
                changes.insert(0, (start, before));
            }
        }
        Some(_) => {}
    }
    changes.dedup_by_key(|(_, activity)| *activity);
    changes
}

/// Measured power and current at the outlet.
fn power(proofs: &[Proof], start: Time, end: Time) -> Vec<(Time, Option<Decimal>, Option<Decimal>)> {
    let mut found: BTreeMap<Time, (Option<Decimal>, Option<Decimal>)> = BTreeMap::new();
    for proof in proofs {
        for reading in &proof.evidence.readings {
            let at = reading.measured_at.unwrap_or(proof.evidence.reported_at);
            if !(start..=end).contains(&at) {
                continue;
            }
            let power = phase_sum(reading, &Measurand::PowerActiveImport).map(|watts| watts / Decimal::ONE_THOUSAND);
            let current = phase_sum(reading, &Measurand::CurrentImport);
            if power.is_some() || current.is_some() {
                found.insert(at, (power, current));
            }
        }
    }
    found.into_iter().map(|(at, (power, current))| (at, power, current)).collect()
}

/// The total if sent, else the sum of the phases.
fn phase_sum(reading: &Reading, measurand: &Measurand) -> Option<Decimal> {
    let samples =
        || reading.samples.iter().filter(|sample| &sample.measurand == measurand && sample.location == Location::Outlet);
    let total = samples().find(|sample| sample.phase == LinePhase::Total).and_then(number);
    let lines = |sample: &&Sample| matches!(sample.phase, LinePhase::L1 | LinePhase::L2 | LinePhase::L3);
    total.or_else(|| samples().filter(lines).filter_map(number).reduce(|sum, value| sum + value))
}

fn signed(proofs: &[Proof]) -> Vec<Signed> {
    let mut found = Vec::new();
    for proof in proofs {
        for reading in &proof.evidence.readings {
            let at = reading.measured_at.unwrap_or(proof.evidence.reported_at);
            for sample in &reading.samples {
                if let Value::Signed(data) = &sample.value {
                    found.push(Signed { at, context: sample.context.clone(), data: data.to_string() });
                }
            }
        }
    }
    found
}
