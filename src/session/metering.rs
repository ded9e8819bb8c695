//! From the evidence of an ended session to what can be priced, or to a reason not to. Pure.
//!
//! The registers at start and stop make the bill; samples between say when the energy flowed, and whether the ends can be true.
//! A wrong sample is left out and noted; a wrong end is replaced by a sample close by, or holds the session. Nothing is smoothed
//! and no value is invented: a bill is never above what the measurements prove. Codes are findings and [`super::hold`] reasons. The
//! order in which 2.x events arrived makes no difference.
//!
//! `timing` says when things happened, `registers` finds the values, `limit` what can flow, `curve` makes ends and samples fit,
//! `interruption` where a reboot ended the session, `vehicle` whether it was one vehicle's, `activity` what the vehicle did and how much power flowed.

mod activity;
mod curve;
mod interruption;
mod limit;
mod registers;
mod timing;
mod vehicle;

use self::activity::Course;
use self::registers::Ends;
use self::timing::Timed;
use super::hold::{self, Held};
use super::overlap::Span;
use super::session::Session;
use super::{JournalEntry, NOT_SERVED, OFFLINE_TIME};
use crate::fact::{AuthStatus, ChargingState, Context, Measurand, Phase, Value};
use crate::rating::Metered;
use crate::units::{Decimal, Finding, MilliWh, Time, Version};

pub use self::limit::{Limit, StationPower};
pub use self::registers::START_STOP;

/// A session that can be priced.
#[derive(Clone, Debug, PartialEq)]
pub struct Metering {
    /// Register curve, activity, and the measured power in kW and current in A (sum of phases), where the station sent them.
    pub metered: Metered,
    /// The most power that the station measured at the outlet, in kW: what it can deliver is learned from it.
    pub highest_kw: Option<Decimal>,
    /// `start-stop` (1.6 meterStart/meterStop), `transaction-samples` (Transaction.Begin/End), `samples`, `intervals`.
    pub source: &'static str,
    /// Signed meter data, byte for byte, each once, in the order of the events.
    pub signed: Vec<Signed>,
    pub findings: Vec<Finding>,
}

impl Metering {
    /// What the bill covers, for the comparison with the connector's other sessions.
    pub fn span(&self) -> Span {
        let metered = &self.metered;
        Span { start: metered.start(), end: metered.end(), first: metered.first_register(), last: metered.last_register() }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    pub at: Time,
    pub context: Context,
    pub data: String,
}

/// Judges an ended session. `entries` is all its evidence, in the order of the journal. `Err` holds a reason code of
/// [`super::hold`] and a detail.
pub fn meter(session: &Session, entries: &[JournalEntry], power: &StationPower) -> Result<Metering, Held> {
    check_session(session)?;
    let mut findings = Vec::new();
    let timed = timing::correct(entries, session.clock_lag, &mut findings)?;
    let (start, stop) = span(&timed)?;
    let timed = in_order(timed);
    check_events(session, &timed, &mut findings)?;
    vehicle::check(session, &timed, (start, stop))?;
    let timed: Vec<Timed<'_>> = timed.into_iter().filter(|one| !one.is_untimed && !is_free(session, one)).collect();
    let dark = interruption::dark(session, &timed, (start, stop));
    let flowed_until = dark.flowed_until(&timed, stop);
    let (measured, ends, limit, highest_kw) = measure(session, &timed, (start, flowed_until, stop), power, &mut findings)?;
    let end = dark.ended_at.unwrap_or(stop);
    if end < stop {
        let detail = format!(
            "the station rebooted; the session is billed until its last sign of life, {} s before it was stopped",
            (stop - end).num_seconds()
        );
        findings.push(Finding::new("ended-by-reboot", detail));
    }
    let loads = activity::power(&timed, start, end);
    let course = Course {
        session: session.number,
        timed: &timed,
        registers: &measured,
        power: &loads,
        limit: &limit,
        widest: Limit::widest(power.configured_kw),
        start,
        end,
        dark: &dark.stretches,
    };
    let activity = course.activity(&mut findings);
    // What was measured after the end flowed before it.
    let registers = measured.into_iter().map(|(at, register)| (at.min(end), register)).collect();
    let metered = Metered::new(start, end, registers, activity, loads);
    let metered = metered.map_err(|error| (hold::RATING_FAILED, error.to_string()))?;
    Ok(Metering { metered, highest_kw, source: ends.source, signed: signed(&timed), findings })
}

/// A session that somebody may be billed for.
fn check_session(session: &Session) -> Result<(), Held> {
    if session.started_at.is_none() || session.stopped_at.is_none() {
        let code = if session.started_at.is_none() { hold::START_MISSING } else { hold::STOP_MISSING };
        return Err((code, hold::meaning(code).to_owned()));
    }
    if session.has_finding(NOT_SERVED) {
        return Err((hold::NOT_AUTHORIZED, "it began while the station was in the inbox or blocked".to_owned()));
    }
    if let Some(status) = session.token_status.filter(|status| *status != AuthStatus::Accepted) {
        return Err((hold::NOT_AUTHORIZED, format!("the token was answered {}", status.as_str())));
    }
    if session.has_finding(OFFLINE_TIME) {
        return Err((hold::TIME_DOUBTFUL, hold::meaning(hold::TIME_DOUBTFUL).to_owned()));
    }
    Ok(())
}

/// When the session began and was stopped: its first start and its first stop count.
fn span(timed: &[Timed<'_>]) -> Result<(Time, Time), Held> {
    let first = |phase| timed.iter().find(|one| one.evidence.phase == phase).map(|one| one.at);
    let (Some(start), Some(stop)) = (first(Phase::Start), first(Phase::Stop)) else {
        return Err((hold::EVIDENCE_MISSING, hold::meaning(hold::EVIDENCE_MISSING).to_owned()));
    };
    if stop < start {
        return Err((hold::TIME_REVERSED, format!("start {start}, end {stop}")));
    }
    Ok((start, stop))
}

/// 2.x events by their own time and number, all else by arrival: 1.6 stations send in order, and only that order is common to
/// messages with and without a time of their own.
fn in_order(mut timed: Vec<Timed<'_>>) -> Vec<Timed<'_>> {
    timed.sort_by_key(|one| match one.evidence.seq_no {
        Some(seq) => (Some(one.at), seq, one.row),
        None => (None, i64::MIN, one.row),
    });
    timed
}

/// Whether the events that came are those of one transaction, and all of them.
fn check_events(session: &Session, timed: &[Timed<'_>], findings: &mut Vec<Finding>) -> Result<(), Held> {
    if session.version == Version::V16 {
        return Ok(());
    }
    let mut numbers: Vec<i64> = timed.iter().filter_map(|one| one.evidence.seq_no).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let gap = match (numbers.first(), numbers.last()) {
        (Some(first), Some(last)) => last.saturating_sub(*first) != i64::try_from(numbers.len()).unwrap_or(i64::MAX) - 1,
        _ => true,
    };
    if gap {
        findings.push(Finding::new("events-missing", "not every event between the first and the last came"));
    }
    interruption::check_numbering(timed)
}

/// A 2.x connector without a vehicle: whose time that is, the transaction's own events say.
fn is_free(session: &Session, one: &Timed<'_>) -> bool {
    let evidence = one.evidence;
    session.version != Version::V16 && evidence.seq_no.is_none() && evidence.charging == Some(ChargingState::Idle)
}

type Points = Vec<(Time, MilliWh)>;

/// The register curve over the whole session, as measured, with the ends that make the bill.
fn measure(
    session: &Session,
    timed: &[Timed<'_>],
    (start, flowed_until, stop): (Time, Time, Time),
    power: &StationPower,
    findings: &mut Vec<Finding>,
) -> Result<(Points, Ends, Limit, Option<Decimal>), Held> {
    let mut points = registers::points(timed, start, stop, findings);
    let mut by_intervals = None;
    if points.is_empty() {
        points = registers::from_intervals(timed, start, stop, session.start_register);
        // A station without a register fills the fields with 0.
        let zeros = session.start_register == Some(MilliWh(0)) && session.stop_register == Some(MilliWh(0));
        if zeros || session.start_register.is_none() || session.stop_register.is_none() {
            by_intervals = registers::ends_of_intervals(&points, findings);
        }
    }
    let ends = match by_intervals {
        Some(ends) => ends,
        None => registers::ends(session, &points, findings)?,
    };
    check_ends(session, &ends)?;
    points.retain(|point| point.register.is_register());
    let highest_kw = limit::highest_kw(timed);
    let inside: Points =
        points.iter().filter(|point| start < point.at && point.at < stop).map(|point| (point.at, point.register)).collect();
    let slopes = limit::slopes(&inside);
    let limit = Limit::of_session(power, highest_kw, &slopes);
    let fitted = curve::fit(points, ends, (start, flowed_until), &limit, findings)?;
    let Ends { first, last, .. } = fitted.ends;
    if !limit.allows_whole(flowed_until - start, last - first, fitted.step) {
        let minutes = (flowed_until - start).num_seconds() / 60;
        let detail = format!(
            "{} kWh in {minutes} min, at most {} kW (max_power_kw of the station)",
            (last - first).kwh(),
            limit.kw.normalize()
        );
        return Err((hold::IMPLAUSIBLE_POWER, detail));
    }
    let registers = std::iter::once((start, first)).chain(fitted.inside).chain(std::iter::once((stop, last))).collect();
    Ok((registers, fitted.ends, limit, highest_kw.max(slopes.highest_kw)))
}

/// Ends that no meter shows, or whose unit nobody knows.
fn check_ends(session: &Session, ends: &Ends) -> Result<(), Held> {
    let Ends { first, last, source } = *ends;
    let both = || format!("start {} Wh, stop {} Wh", first.wh(), last.wh());
    if first.0 < 0 || last.0 < 0 {
        return Err((hold::REGISTER_NEGATIVE, both()));
    }
    if first > MilliWh::MAX_REGISTER || last > MilliWh::MAX_REGISTER {
        return Err((hold::IMPLAUSIBLE_POWER, both()));
    }
    // meterStart and meterStop have no unit that could be wrong.
    let register = Measurand::EnergyActiveImportRegister;
    let doubtful = |finding: &&Finding| {
        matches!(&*finding.code, "unit-mismatch" | "unit-unknown") && finding.detail.starts_with(register.as_str())
    };
    match session.findings.iter().find(doubtful).filter(|_| source != registers::START_STOP) {
        Some(finding) => Err((hold::UNIT_DOUBTFUL, finding.detail.clone())),
        None => Ok(()),
    }
}

/// Signed meter data; the same text of the same kind comes in several messages (OCPP 1.6 stations repeat both ends in the stop).
fn signed(timed: &[Timed<'_>]) -> Vec<Signed> {
    let mut found: Vec<Signed> = Vec::new();
    for one in timed {
        for reading in &one.evidence.readings {
            let at = one.measured_at(reading.measured_at);
            for sample in &reading.samples {
                let Value::Signed(data) = &sample.value else { continue };
                if found.iter().all(|known| known.context != sample.context || known.data.as_str() != &**data) {
                    found.push(Signed { at, context: sample.context.clone(), data: data.to_string() });
                }
            }
        }
    }
    found
}
