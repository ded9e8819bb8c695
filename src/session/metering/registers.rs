//! The import register: its values among the samples, and which two of them make the bill.

use std::collections::BTreeMap;

use super::timing::Timed;
use crate::fact::register::{self, Quality, ROUNDING};
use crate::fact::{Context, LinePhase, Location, Measurand, Phase, Sample};
use crate::session::Session;
use crate::session::hold::{self, Held};
use crate::units::{Finding, MilliWh, Time};

/// The source that needs no samples; see [`super::Metering::source`].
pub const START_STOP: &str = "start-stop";
/// The source made of energies per interval.
const INTERVALS: &str = "intervals";

/// One register value among the samples.
#[derive(Clone)]
pub(super) struct Point {
    pub at: Time,
    pub register: MilliWh,
    pub context: Context,
    /// Came with the message that started (or ended) the transaction.
    phase: Phase,
    quality: Quality,
}

/// The registers that make the bill.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub first: MilliWh,
    pub last: MilliWh,
    pub source: &'static str,
}

/// The import registers in time order, each once. What came with a stop that does not stand is an ordinary sample.
pub(super) fn points(timed: &[Timed<'_>], start: Time, end: Time, findings: &mut Vec<Finding>) -> Vec<Point> {
    let mut points = Vec::new();
    for one in timed {
        let phase = match one.evidence.phase {
            Phase::Start if one.at != start => Phase::Update,
            Phase::Stop if one.at != end => Phase::Update,
            phase => phase,
        };
        for reading in &one.evidence.readings {
            let at = one.measured_at(reading.measured_at);
            let mut by_context: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
            for sample in reading.samples.iter().filter(|sample| register::is_register(sample)) {
                by_context.entry(sample.context.as_str()).or_default().push(sample);
            }
            for (context, samples) in by_context {
                let context = match Context::from_wire(context) {
                    Context::TransactionEnd if one.evidence.phase == Phase::Stop && phase != Phase::Stop => {
                        Context::SamplePeriodic
                    }
                    context => context,
                };
                if let Some((register, quality)) = register::total(&samples) {
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

/// A register made of energies per interval (`Energy.Active.Import.Interval`), for stations that send nothing else: it counts from
/// the start of the session. Clock-aligned and periodic samples measure the same energy twice; the kind that came more often counts.
pub(super) fn from_intervals(timed: &[Timed<'_>], start: Time, end: Time, base: Option<MilliWh>) -> Vec<Point> {
    let mut kinds: BTreeMap<&str, BTreeMap<Time, MilliWh>> = BTreeMap::new();
    for one in timed {
        for reading in &one.evidence.readings {
            let at = one.measured_at(reading.measured_at);
            for sample in &reading.samples {
                let is_total = sample.phase == LinePhase::Total && matches!(sample.location, Location::Outlet | Location::Body);
                let Some(wh) =
                    sample.value.number().filter(|_| is_total && sample.measurand == Measurand::EnergyActiveImportInterval)
                else {
                    continue;
                };
                if let Some(energy) = MilliWh::from_wh(wh).filter(|energy| energy.0 >= 0 && at > start && at <= end) {
                    kinds.entry(sample.context.as_str()).or_default().insert(at, energy);
                }
            }
        }
    }
    let Some(intervals) = kinds.into_values().max_by_key(BTreeMap::len) else { return Vec::new() };
    let mut register = base.unwrap_or_default();
    let mut points =
        vec![Point { at: start, register, context: Context::TransactionBegin, phase: Phase::Update, quality: Quality::Outlet }];
    for (at, energy) in intervals {
        register = MilliWh(register.0.saturating_add(energy.0));
        points.push(Point { at, register, context: Context::SamplePeriodic, phase: Phase::Update, quality: Quality::Outlet });
    }
    points
}

/// The ends of a register made of intervals, where the station gave no other.
pub(super) fn ends_of_intervals(points: &[Point], findings: &mut Vec<Finding>) -> Option<Ends> {
    let (first, last) = (points.first()?.register, points.last()?.register);
    findings.push(Finding::new(
        "register-from-intervals",
        "the station sent no register; the energies of its intervals were added up",
    ));
    Some(Ends { first, last, source: INTERVALS })
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

/// A register that was above 0 and says 0 says nothing (a drop-out); returns when.
pub(super) fn drop_zeros(points: &mut Vec<Point>, has_risen: bool) -> Vec<Time> {
    let mut risen = has_risen;
    let is_zero = |point: &mut Point| {
        risen |= point.register.0 > 0;
        risen && point.register.0 == 0
    };
    points.extract_if(.., is_zero).map(|point| point.at).collect()
}

/// Stations whose samples count from 0 in each session while start and stop give the lifetime register.
pub(super) fn offset_relative(points: &mut [Point], ends: &Ends, findings: &mut Vec<Finding>) {
    let Ends { first, last, source } = *ends;
    if source != START_STOP || last < first {
        return;
    }
    let energy = last - first;
    let relative = |point: &Point| point.register < first && point.register <= energy + ROUNDING;
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

/// The step in which a meter counts: the greatest of 1, 10, 100 and 1000 Wh of which all registers are multiples.
pub(super) fn resolution(registers: impl Iterator<Item = MilliWh>) -> MilliWh {
    const COARSEST: i64 = 1_000_000;
    let mut step = COARSEST;
    for register in registers {
        while step > ROUNDING.0 && register.0 % step != 0 {
            step /= 10;
        }
    }
    MilliWh(step)
}
