//! What the vehicle did, and the power it took.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::registers::{ROUNDING, number};
use super::{Activity, Proof};
use crate::session::{ChargingState, LinePhase, Location, Measurand, Reading, Sample};
use crate::units::{Decimal, MilliWh, Time};

/// States come within seconds of what they describe: so long after the start, the first one holds from the start, and one from
/// longer before it describes another session.
const SOON: TimeDelta = TimeDelta::minutes(1);

/// What the vehicle did, from the charging states.
///
/// ```text
/// start ── warm-up (Paused, free) ── first Charging ── SuspendedEV, EVConnected: Idle ── SuspendedEVSE: Paused ── end
/// ```
/// Warm-up ends with the first state `Charging`, or never began if a sample shows that energy flowed earlier: states get lost
/// (1.6 StatusNotification is not queued offline). A station that says nothing about states is taken as charging throughout.
pub(super) fn activity(proofs: &[&Proof], registers: &[(Time, MilliWh)], start: Time, end: Time) -> Vec<(Time, Activity)> {
    let mut states: Vec<(Time, ChargingState)> = proofs
        .iter()
        .filter_map(|proof| proof.evidence.charging.map(|state| (proof.evidence.reported_at, state)))
        .filter(|(at, _)| *at >= start - SOON && *at <= end)
        .collect();
    states.sort_by_key(|(at, _)| *at);
    let flowed = flowed_before(states.iter().find(|(_, state)| *state == ChargingState::Charging).map(|(at, _)| *at), registers);
    let opening = if flowed || states.is_empty() { Activity::Charging } else { Activity::Paused };
    let mut charged = false;
    let mut changes: Vec<(Time, Activity)> = Vec::new();
    for (at, state) in states {
        charged |= state == ChargingState::Charging;
        let activity = match state {
            ChargingState::Charging => Activity::Charging,
            ChargingState::SuspendedEvse => Activity::Paused,
            ChargingState::SuspendedEv if charged || flowed => Activity::Idle,
            ChargingState::EvConnected | ChargingState::Idle if charged => Activity::Idle,
            ChargingState::SuspendedEv | ChargingState::EvConnected | ChargingState::Idle => opening,
        };
        let at = at.max(start);
        match changes.last_mut() {
            Some(last) if last.0 == at => last.1 = activity,
            _ => changes.push((at, activity)),
        }
    }
    match changes.first_mut() {
        Some(first) if first.0 - start <= SOON => first.0 = start,
        _ => changes.insert(0, (start, opening)),
    }
    changes.dedup_by_key(|(_, activity)| *activity);
    changes
}

/// Energy flowed before the first state `Charging`, as far as registers show: a sample before it has risen; or there is no such
/// state, but energy.
fn flowed_before(first_charging: Option<Time>, registers: &[(Time, MilliWh)]) -> bool {
    let Some((_, first)) = registers.first() else { return false };
    let risen = |register: &MilliWh| *register - *first > ROUNDING;
    registers.iter().any(|(at, register)| risen(register) && first_charging.is_none_or(|charging| *at < charging))
}

/// Measured power and current at the outlet; of two values for one instant the later event's counts.
pub(super) fn power(proofs: &[&Proof], start: Time, end: Time) -> Vec<(Time, Option<Decimal>, Option<Decimal>)> {
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
                let load = found.entry(at).or_default();
                *load = (power.or(load.0), current.or(load.1));
            }
        }
    }
    found.into_iter().map(|(at, (power, current))| (at, power, current)).collect()
}

/// The total if sent, else the sum of the phases.
fn phase_sum(reading: &Reading, measurand: &Measurand) -> Option<Decimal> {
    let samples =
        || reading.samples.iter().filter(|sample| &sample.measurand == measurand && sample.location == Location::Outlet);
    let total = samples().filter(|sample| sample.phase == LinePhase::Total).find_map(number);
    let lines = |sample: &&Sample| matches!(sample.phase, LinePhase::L1 | LinePhase::L2 | LinePhase::L3);
    let sum =
        || samples().filter(lines).map(number).filter(Option::is_some).reduce(|sum, value| sum?.checked_add(value?)).flatten();
    total.or_else(sum)
}
