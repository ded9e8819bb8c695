//! From the evidence of an ended session to a register curve that can be priced, or to a reason not to. Pure.
//!
//! The registers at start and stop make the bill; samples between only say when the energy flowed. So a wrong sample is left
//! out and noted, while a wrong end holds the session. Nothing is smoothed and no value is invented (see `rating.md` §2 for the
//! cases; the codes are findings and [`super::hold`] reasons). The order in which 2.x events arrived makes no difference.
//!
//! `registers` chooses the ends and cleans the curve, `activity` says what the vehicle did and how much power flowed.

mod activity;
mod registers;

use self::registers::Ends;
use super::session::Session;
use super::transaction::OFFLINE_TIME;
use super::{AuthStatus, Context, Evidence, Measurand, Value, hold};
use crate::rating::Activity;
use crate::units::{Decimal, Finding, MilliWh, Time};

pub use self::registers::register_of;

/// More power than any station has: a session above it is held when the station's own limit is not configured.
pub const MAX_POWER_KW: u32 = 1_000;
/// Energy below this is never called implausible, however short the session: coarse clocks and coarse meters.
const TOLERATED: MilliWh = MilliWh(200_000);

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
    /// Signed meter data, byte for byte, in the order of the events.
    pub signed: Vec<Signed>,
    pub findings: Vec<Finding>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    pub at: Time,
    pub context: Context,
    pub data: String,
}

/// Why a session is held: a reason code of [`super::hold`] and a detail.
type Held = (&'static str, String);

/// Judges an ended session. `Err` holds a reason code of [`super::hold`] and a detail.
pub fn meter(session: &Session, proofs: &[Proof], max_power_kw: Option<Decimal>) -> Result<Curve, Held> {
    let (start, end) = span(session)?;
    let proofs = in_order(proofs);
    let mut findings = Vec::new();
    if !session.events.gap_free() {
        findings.push(Finding::new("events-missing", "not every event between the first and the last came"));
    }
    let points = registers::points(&proofs, start, end, &mut findings);
    let ends = registers::ends(session, &points, &mut findings)?;
    let limit = Limit { start, first: ends.first, kw: max_power_kw.unwrap_or(Decimal::from(MAX_POWER_KW)) };
    check(session, &ends, end, &limit)?;
    let registers = registers::curve(points, &ends, start, end, &limit, &mut findings)?;
    Ok(Curve {
        start,
        end,
        activity: activity::activity(&proofs, &registers, start, end),
        power: activity::power(&proofs, start, end),
        registers,
        source: ends.source,
        signed: signed(&proofs),
        findings,
    })
}

/// Start and end, of a session that somebody may be billed for.
fn span(session: &Session) -> Result<(Time, Time), Held> {
    let (Some(start), Some(end)) = (session.started_at, session.stopped_at) else {
        let code = if session.started_at.is_none() { hold::START_MISSING } else { hold::STOP_MISSING };
        return Err((code, hold::meaning(code).to_owned()));
    };
    if let Some(status) = session.token_status.filter(|status| *status != AuthStatus::Accepted) {
        return Err((hold::NOT_AUTHORIZED, format!("the token was answered {}", status.as_str())));
    }
    if session.has_finding(OFFLINE_TIME) {
        return Err((hold::TIME_DOUBTFUL, hold::meaning(hold::TIME_DOUBTFUL).to_owned()));
    }
    if end < start {
        return Err((hold::TIME_REVERSED, format!("start {start}, end {end}")));
    }
    Ok((start, end))
}

/// 2.x events by their own time and number, all else by arrival: 1.6 stations send in order, and only that order is common to
/// messages with and without a time of their own.
fn in_order(proofs: &[Proof]) -> Vec<&Proof> {
    let mut sorted: Vec<&Proof> = proofs.iter().collect();
    sorted.sort_by_key(|proof| match proof.evidence.seq_no {
        Some(seq) => (proof.evidence.reported_at, seq),
        None => (proof.received_at, i64::MIN),
    });
    sorted
}

/// How much energy the station can have delivered by an instant.
struct Limit {
    start: Time,
    first: MilliWh,
    kw: Decimal,
}

impl Limit {
    fn allows(&self, at: Time, register: MilliWh) -> bool {
        let energy = register - self.first;
        // kWh · 3 600 000 ms/h ≤ kW · ms, without dividing
        let needed = energy.kwh() * Decimal::from(3_600_000);
        let possible = self.kw.checked_mul(Decimal::from((at - self.start).num_milliseconds()));
        energy <= TOLERATED || possible.is_none_or(|possible| needed <= possible)
    }
}

fn check(session: &Session, ends: &Ends, end: Time, limit: &Limit) -> Result<(), Held> {
    let Ends { first, last, source } = *ends;
    let both = || format!("start {} Wh, stop {} Wh", first.wh(), last.wh());
    if first.0 < 0 || last.0 < 0 {
        return Err((hold::REGISTER_NEGATIVE, both()));
    }
    if last < first {
        return Err((hold::REGISTER_DECREASED, both()));
    }
    // meterStart and meterStop have no unit that could be wrong.
    let register = Measurand::EnergyActiveImportRegister;
    let doubtful = |finding: &&Finding| {
        matches!(&*finding.code, "unit-mismatch" | "unit-unknown") && finding.detail.starts_with(register.as_str())
    };
    if let Some(finding) = session.findings.iter().find(doubtful).filter(|_| source != registers::START_STOP) {
        return Err((hold::UNIT_DOUBTFUL, finding.detail.clone()));
    }
    if !limit.allows(end, last) {
        let minutes = (end - limit.start).num_seconds() / 60;
        return Err((hold::IMPLAUSIBLE_POWER, format!("{} kWh in {minutes} min, at most {} kW", (last - first).kwh(), limit.kw)));
    }
    Ok(())
}

fn signed(proofs: &[&Proof]) -> Vec<Signed> {
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
