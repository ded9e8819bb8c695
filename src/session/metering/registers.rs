//! The import register: which two values make the bill, and the curve between them.

use std::collections::BTreeMap;

use super::{Held, Limit, Proof, Session, hold};
use crate::session::{Context, LinePhase, Location, Measurand, Phase, Reading, Sample, Value};
use crate::units::{Decimal, Finding, MilliWh, Time};

/// meterStart and meterStop are whole watt-hours: a sample may differ from them by the rounding.
pub(super) const ROUNDING: MilliWh = MilliWh(1_000);

/// The source that needs no samples; see [`super::Curve::source`].
pub(super) const START_STOP: &str = "start-stop";

/// One register value among the samples.
pub(super) struct Point {
    at: Time,
    register: MilliWh,
    context: Context,
    /// Came with the message that started (or ended) the transaction.
    phase: Phase,
    quality: Quality,
}

/// Where and how a register was measured; a session uses the best it has and never mixes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Quality {
    Outlet,
    Body,
    /// Only phase L1: true for a station with one phase, a third of the truth for others.
    OnlyL1,
}

/// The registers that make the bill.
pub(super) struct Ends {
    pub first: MilliWh,
    pub last: MilliWh,
    pub source: &'static str,
}

/// The import registers in time order, each once. What came with a stop that does not stand is an ordinary sample.
pub(super) fn points(proofs: &[&Proof], start: Time, end: Time, findings: &mut Vec<Finding>) -> Vec<Point> {
    let mut points = Vec::new();
    for proof in proofs {
        let evidence = &proof.evidence;
        let phase = match evidence.phase {
            Phase::Start if evidence.reported_at != start => Phase::Update,
            Phase::Stop if evidence.reported_at != end => Phase::Update,
            phase => phase,
        };
        for reading in &evidence.readings {
            let at = reading.measured_at.unwrap_or(evidence.reported_at);
            let mut by_context: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
            for sample in reading.samples.iter().filter(|sample| is_register(sample)) {
                by_context.entry(sample.context.as_str()).or_default().push(sample);
            }
            for (context, samples) in by_context {
                let context = match Context::from_wire(context) {
                    Context::TransactionEnd if evidence.phase == Phase::Stop && phase != Phase::Stop => Context::SamplePeriodic,
                    context => context,
                };
                if let Some((register, quality)) = total(&samples) {
                    points.push(Point { at, register, context, phase, quality });
                }
            }
        }
    }
    if let Some(best) = points.iter().map(|point| point.quality).min() {
        points.retain(|point| point.quality == best);
        if best == Quality::OnlyL1 {
            findings.push(Finding::new("register-only-l1", "the register came for phase L1 only; taken as the total"));
        }
    }
    points.sort_by_key(|point| (point.at, point.register));
    points
}

/// 1.6 meterStart and meterStop, else two samples, else meterStart and a sample at the end. Never a sample at the start and
/// meterStop: where samples count from 0 and meterStop does not, that would bill the life of the meter. Samples at the ends are
/// those marked Transaction.Begin and .End, else what the first and the last event themselves carried; never one from the middle.
pub(super) fn ends(session: &Session, points: &[Point], findings: &mut Vec<Finding>) -> Result<Ends, Held> {
    let register = |point: &Point| point.register;
    let begin = points.iter().find(|point| point.context == Context::TransactionBegin).map(register);
    let finish = points.iter().rev().find(|point| point.context == Context::TransactionEnd).map(register);
    let opens = |point: &&Point| point.phase == Phase::Start && point.context != Context::TransactionEnd;
    let closes = |point: &&Point| point.phase == Phase::Stop && point.context != Context::TransactionBegin;
    let sampled_first = begin.or_else(|| points.iter().find(opens).map(register));
    let sampled_last = finish.or_else(|| points.iter().rev().find(closes).map(register));
    let samples = if begin.is_some() && finish.is_some() { "transaction-samples" } else { "samples" };
    let mut fields = (session.start_register, session.stop_register);
    if fields == (Some(MilliWh(0)), Some(MilliWh(0))) && sampled_first.is_some() && sampled_first < sampled_last {
        findings
            .push(Finding::new("register-fields-zero", "meterStart and meterStop are 0, the samples are not; the samples count"));
        fields = (None, None);
    }
    match (fields.0, fields.1, sampled_first, sampled_last) {
        (Some(first), Some(last), ..) => {
            differ("begin-sample-differs", "meterStart", first, begin.filter(|sampled| sampled.0 != 0), findings);
            differ("end-sample-differs", "meterStop", last, finish.filter(|sampled| *sampled >= first), findings);
            Ok(Ends { first, last, source: START_STOP })
        }
        (.., Some(first), Some(last)) => Ok(Ends { first, last, source: samples }),
        (Some(first), None, _, Some(last)) => {
            findings.push(Finding::new("register-sources-mixed", "meterStart, and a sample at the end"));
            Ok(Ends { first, last, source: "samples" })
        }
        (None, _, None, _) => Err((hold::REGISTER_MISSING, "no register at the start".to_owned())),
        (None, Some(_), Some(_), None) => {
            Err((hold::REGISTER_MISSING, "no meterStart, and no sample at the end that fits the one at the start".to_owned()))
        }
        _ => Err((hold::REGISTER_MISSING, "no register at the end".to_owned())),
    }
}

fn differ(code: &'static str, name: &str, stated: MilliWh, sampled: Option<MilliWh>, findings: &mut Vec<Finding>) {
    if let Some(sampled) = sampled.filter(|sampled| stated.0.abs_diff(sampled.0) > ROUNDING.0.unsigned_abs()) {
        findings.push(Finding::new(code, format!("{name} {} Wh, sample {} Wh", stated.wh(), sampled.wh())));
    }
}

/// The longest run of samples that never falls, between the two ends; the rest are outliers and are left out.
pub(super) fn curve(
    mut points: Vec<Point>,
    ends: &Ends,
    start: Time,
    end: Time,
    limit: &Limit,
    findings: &mut Vec<Finding>,
) -> Result<Vec<(Time, MilliWh)>, Held> {
    let Ends { first, last, .. } = *ends;
    let is_inside = |at: &Time| *at > start && *at < end;
    let zeros = drop_zeros(&mut points).iter().filter(|point| is_inside(&point.at)).count();
    if ends.source == START_STOP {
        offset_relative(&mut points, first, last, findings);
    }
    let mut inside: Vec<(Time, MilliWh)> =
        points.iter().map(|point| (point.at, point.register)).filter(|(at, _)| is_inside(at)).collect();
    inside.dedup();
    contradiction(&inside, last, limit)?;
    let total = inside.len() + zeros;
    let near = |register: MilliWh, end: MilliWh| register.0.abs_diff(end.0) <= ROUNDING.0.unsigned_abs();
    let fitting: Vec<(Time, MilliWh)> = inside
        .into_iter()
        .filter(|(_, register)| (first..=last).contains(register) || near(*register, first) || near(*register, last))
        .map(|(at, register)| (at, register.clamp(first, last)))
        .collect();
    let run = longest_run(&fitting);
    if run.len() < total {
        let dropped = total - run.len();
        findings.push(Finding::new(
            "register-outliers",
            format!("{dropped} of {total} samples between start and stop do not fit and were left out"),
        ));
    }
    Ok(std::iter::once((start, first)).chain(run).chain(std::iter::once((end, last))).collect())
}

/// A register that was above 0 and says 0 says nothing (quirk 80).
fn drop_zeros(points: &mut Vec<Point>) -> Vec<Point> {
    let mut risen = false;
    let is_zero = |point: &mut Point| {
        risen |= point.register.0 > 0;
        risen && point.register.0 == 0
    };
    points.extract_if(.., is_zero).collect()
}

/// One sample above the last register is an outlier. Two in a row that the station can have delivered are the truth, and the end
/// is not: the meter was reset, or meterStop was never filled in.
fn contradiction(inside: &[(Time, MilliWh)], last: MilliWh, limit: &Limit) -> Result<(), Held> {
    let above = |(at, register): &(Time, MilliWh)| {
        *register > last && register.0.abs_diff(last.0) > ROUNDING.0.unsigned_abs() && limit.allows(*at, *register)
    };
    match inside.windows(2).find(|pair| pair.iter().all(above)) {
        Some(pair) => Err((hold::REGISTER_DECREASED, format!("samples reach {} Wh, stop {} Wh", pair[1].1.wh(), last.wh()))),
        None => Ok(()),
    }
}

/// Stations whose samples count from 0 in each session while start and stop give the lifetime register (quirk 79).
fn offset_relative(points: &mut [Point], first: MilliWh, last: MilliWh, findings: &mut Vec<Finding>) {
    let energy = last - first;
    let relative = |point: &Point| point.register < first && point.register <= energy;
    let middle = || points.iter().filter(|point| !matches!(point.context, Context::TransactionBegin | Context::TransactionEnd));
    if middle().all(relative) && middle().any(|point| point.register.0 > 0) {
        for point in points.iter_mut().filter(|point| relative(point)) {
            point.register = point.register + first;
        }
        findings.push(Finding::new(
            "session-relative-samples",
            "samples count from the start of the session; the start register was added",
        ));
    }
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

/// The import register of one reading, for showing a running session; `None` when it carries none.
pub fn register_of(reading: &Reading) -> Option<MilliWh> {
    let samples: Vec<&Sample> = reading.samples.iter().filter(|sample| is_register(sample)).collect();
    total(&samples).map(|(register, _)| register)
}

fn is_register(sample: &Sample) -> bool {
    sample.measurand == Measurand::EnergyActiveImportRegister && matches!(sample.location, Location::Outlet | Location::Body)
}

/// The total if there is one, else the sum of three phases, else L1 alone; at the outlet if it is measured there.
fn total(samples: &[&Sample]) -> Option<(MilliWh, Quality)> {
    for (location, quality) in [(Location::Outlet, Quality::Outlet), (Location::Body, Quality::Body)] {
        let of = |phase: LinePhase| {
            samples.iter().filter(|sample| sample.location == location && sample.phase == phase).find_map(|sample| number(sample))
        };
        let (l1, l2, l3) = (of(LinePhase::L1), of(LinePhase::L2), of(LinePhase::L3));
        let sum = || l1?.checked_add(l2?)?.checked_add(l3?);
        if let Some(register) = of(LinePhase::Total).or_else(sum) {
            return Some((MilliWh::from_wh(register)?, quality));
        }
        if let (Some(register), None, None) = (l1, l2, l3) {
            return Some((MilliWh::from_wh(register)?, Quality::OnlyL1));
        }
    }
    None
}

pub(super) fn number(sample: &Sample) -> Option<Decimal> {
    match &sample.value {
        Value::Number(number) => Some(*number),
        Value::Signed(_) => None,
    }
}
