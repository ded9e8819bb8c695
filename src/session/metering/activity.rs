//! What the vehicle did, and the power it took.
//!
//! States tell it, and measurements overrule them: states get lost (1.6 StatusNotification is not queued offline, 2.x Updated
//! events are dropped first). Time is sold only as far as it is proven: not while the station could not deliver, not as charging
//! while nothing flowed, not as parking while something did, or while an event that could say so is missing.
//!
//! ```text
//! start ── warm-up (Paused, free) ── first Charging ── SuspendedEV, EVConnected: Idle ── SuspendedEVSE: Paused ── end
//! energy flows: Charging · reported Charging, but nothing flows: Paused · reported Idle, but events are missing: Paused · out of service: Paused
//! ```

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::limit::Limit;
use super::registers::resolution;
use super::timing::Timed;
use crate::fact::register::ROUNDING;
use crate::fact::{ChargingState, Measurand};
use crate::rating::{Activity, LoadSample};
use crate::units::{Finding, MicroA, MilliW, MilliWh, Time};

/// States come within seconds of what they describe: so long after the start, the first one holds from the start, and one from
/// longer before it describes another session.
const SOON: TimeDelta = TimeDelta::minutes(1);
/// A vehicle that charges takes more than this (IEC 61851: 6 A); one that does not, less.
const LEAST_CHARGING_W: i64 = 1_000;
const ABOUT_ZERO_W: i64 = 100;
/// Stretches shorter than this are not worth a finding.
const NOTEWORTHY: TimeDelta = TimeDelta::minutes(1);

/// What is known of the session when its activity is asked for.
pub(super) struct Course<'a> {
    pub session: i64,
    pub timed: &'a [Timed<'a>],
    /// As measured: first at the start, last at the stop.
    pub registers: &'a [(Time, MilliWh)],
    pub power: &'a [LoadSample],
    pub limit: &'a Limit,
    /// What the station can deliver at most, where nobody configured it.
    pub widest: Limit,
    pub start: Time,
    pub end: Time,
    /// Stretches between the last sign of life and a reboot.
    pub dark: &'a [(Time, Time)],
}

impl Course<'_> {
    /// Changes of activity; the first is at the start.
    pub(super) fn activity(&self, findings: &mut Vec<Finding>) -> Vec<(Time, Activity)> {
        let states = self.states(Some(self.session));
        let reported = self.as_reported(&states);
        let mut activity = Timeline { end: self.end, changes: reported.clone() };
        let is_out = |state: &ChargingState| *state == ChargingState::OutOfService;
        let mut out_of_service = stretches(&states, self.end, is_out);
        out_of_service.extend(stretches(&self.states(None), self.end, is_out));
        for (from, until) in &out_of_service {
            activity.paint(*from, *until, Activity::Paused);
        }
        let step = resolution(self.registers.iter().map(|(_, register)| *register));
        let patience = patience(self.registers, step);
        let rises = rises(self.registers, patience);
        for (from, until) in self.unreported(&rises) {
            activity.repaint(from, until, Activity::Idle, Activity::Paused);
        }
        let mut flowed = TimeDelta::zero();
        for (from, until) in stretches(&activity.changes.clone(), self.end, |activity| *activity != Activity::Charging) {
            for (from, until) in self.doubtful(step, from, until) {
                activity.paint(from, until, Activity::Paused);
            }
            for (from, until) in self.flowing(&rises, step, from, until) {
                activity.paint(from, until, Activity::Charging);
                flowed += until - from;
            }
        }
        let mut stood = TimeDelta::zero();
        for (from, until) in self.standing(&rises, patience) {
            stood += activity.repaint(from, until, Activity::Charging, Activity::Paused);
        }
        for (from, until) in self.dark {
            activity.paint(*from, *until, Activity::Paused);
        }
        if flowed >= NOTEWORTHY && reported.len() > 1 {
            let detail = format!("energy flowed for {} min in which the station's last state was another", flowed.num_minutes());
            findings.push(Finding::new("charging-unreported", detail));
        }
        if stood >= NOTEWORTHY {
            let detail =
                format!("no energy flowed in {} min of charging that no state ends; they are not billed", stood.num_minutes());
            findings.push(Finding::new("charging-without-energy", detail));
        }
        let lost: TimeDelta = out_of_service.iter().chain(self.dark).map(|(from, until)| *until - *from).sum();
        if lost >= NOTEWORTHY {
            let detail = format!("{} min in which the station could not deliver are not billed", lost.num_minutes());
            findings.push(Finding::new("out-of-service", detail));
        }
        activity.changes.dedup_by_key(|(_, activity)| *activity);
        activity.changes
    }

    /// The states of the session (`None`: of the whole station), in time order; the last of one instant counts.
    fn states(&self, of: Option<i64>) -> Vec<(Time, ChargingState)> {
        let mut states: Vec<(Time, ChargingState)> = self
            .timed
            .iter()
            .filter(|one| one.evidence.session == of)
            .filter_map(|one| one.evidence.charging.map(|state| (one.at, state)))
            .filter(|(at, _)| *at >= self.start - SOON && *at <= self.end)
            .collect();
        states.sort_by_key(|(at, _)| *at);
        let mut changes: Vec<(Time, ChargingState)> = Vec::with_capacity(states.len());
        for (at, state) in states {
            let at = at.max(self.start);
            match changes.last_mut() {
                Some(last) if last.0 == at => last.1 = state,
                _ => changes.push((at, state)),
            }
        }
        changes
    }

    /// What the states say. Warm-up ends with the first state `Charging`, or never began if a sample shows that energy flowed
    /// earlier. A station that says nothing about states is taken as charging throughout.
    fn as_reported(&self, states: &[(Time, ChargingState)]) -> Vec<(Time, Activity)> {
        let charging_at = states.iter().find(|(_, state)| *state == ChargingState::Charging).map(|(at, _)| *at);
        let flowed = flowed_before(charging_at, self.registers);
        let reported = states.iter().any(|(_, state)| *state != ChargingState::OutOfService);
        let opening = if flowed || !reported { Activity::Charging } else { Activity::Paused };
        let mut charged = false;
        let mut changes: Vec<(Time, Activity)> = Vec::new();
        for (at, state) in states {
            charged |= *state == ChargingState::Charging;
            let activity = match state {
                ChargingState::Charging => Activity::Charging,
                ChargingState::SuspendedEvse | ChargingState::OutOfService => Activity::Paused,
                ChargingState::SuspendedEv if charged || flowed => Activity::Idle,
                ChargingState::EvConnected | ChargingState::Idle if charged => Activity::Idle,
                ChargingState::SuspendedEv | ChargingState::EvConnected | ChargingState::Idle => opening,
            };
            changes.push((*at, activity));
        }
        match changes.first_mut() {
            Some(first) if first.0 - self.start <= SOON => first.0 = self.start,
            _ => changes.insert(0, (self.start, opening)),
        }
        changes
    }

    /// Where in a stretch energy flowed for certain: between registers that rise by more than the meter's step, and up to samples of
    /// power. A rise between a reading before the stretch and one in it may have come before the stretch, and one at its end after
    /// it, as far as the station can have delivered it there: then the state stands.
    fn flowing(&self, rises: &[(Point, Point)], step: MilliWh, from: Time, until: Time) -> Vec<(Time, Time)> {
        let mut flows = Vec::new();
        for (left, right) in rises.iter().filter(|(left, right)| right.1 - left.1 > step && left.0 < until && right.0 > from) {
            let points: Vec<Point> = self.registers.iter().copied().filter(|(at, _)| left.0 <= *at && *at <= right.0).collect();
            let inside: Vec<Point> = points.iter().copied().filter(|(at, _)| from <= *at && *at <= until).collect();
            if let (Some(first), Some(last)) = (inside.first(), inside.last())
                && last.1 - first.1 > step
            {
                flows.push((first.0, last.0));
            }
            let straddles = |pair: &&[Point]| (pair[0].0 < from && pair[1].0 > from) || (pair[0].0 < until && pair[1].0 > until);
            for pair in points.windows(2).filter(straddles) {
                flows.extend(self.straddling(pair[0], pair[1], step, from, until));
            }
        }
        flows
    }

    /// Where in a stretch neither the state nor a flow of energy is proven: what flowed over its edge would have to flow in it if the
    /// station is as weak as most; or a vehicle charged in it, so what was reported before is not true any more, and nothing else was reported.
    fn doubtful(&self, step: MilliWh, from: Time, until: Time) -> Vec<(Time, Time)> {
        let mut doubtful = Vec::new();
        for pair in self.registers.windows(2).filter(|pair| pair[0].0 < until && pair[1].0 > from && pair[1].1 - pair[0].1 > step)
        {
            let outside = (from - pair[0].0).max(TimeDelta::zero()) + (pair[1].0 - until).max(TimeDelta::zero());
            if outside.is_zero() && slope_w(pair).is_some_and(|watts| watts >= LEAST_CHARGING_W) {
                doubtful.push((pair[0].0, until));
            } else if !outside.is_zero() && !self.limit.allows_step(outside, pair[1].1 - pair[0].1, step) {
                doubtful.push((pair[0].0.max(from), pair[1].0.min(until)));
            }
        }
        doubtful
    }

    /// What of a rise that begins before a stretch, or ends after it, flowed in it for certain.
    fn straddling(&self, left: Point, right: Point, step: MilliWh, from: Time, until: Time) -> Vec<(Time, Time)> {
        let (inner_left, inner_right) = (left.0.max(from), right.0.min(until));
        let outside = (from - left.0).max(TimeDelta::zero()) + (right.0 - until).max(TimeDelta::zero());
        if !self.widest.allows_step(outside, right.1 - left.1, step) {
            return vec![(inner_left, inner_right)];
        }
        let mut flows = Vec::new();
        let mut before = inner_left;
        for load in self.power.iter().filter(|load| inner_left < load.at && load.at <= inner_right) {
            if is_flow(load.power) {
                flows.push((before, load.at));
            }
            before = load.at;
        }
        flows
    }

    /// Where no energy flowed for certain: the register stands longer than a charging vehicle would let it, and no sample shows power;
    /// or two samples in a row show none, and the register does not rise between them.
    fn standing(&self, rises: &[(Point, Point)], patience: TimeDelta) -> Vec<(Time, Time)> {
        let mut still = Vec::new();
        let mut before = self.start;
        for (left, right) in rises.iter().map(|(left, right)| (left.0, right.0)).chain([(self.end, self.end)]) {
            if left - before > patience {
                still.push((before, left));
            }
            before = right;
        }
        let mut standing = Vec::new();
        for (from, until) in still {
            let inside = self.power.iter().filter(|load| from <= load.at && load.at <= until);
            let mut edge = (from, false);
            for (at, power) in inside.map(|load| (load.at, load.power)).chain([(until, None)]) {
                if !edge.1 && !is_flow(power) {
                    standing.push((edge.0, at));
                }
                edge = (at, is_flow(power));
            }
        }
        let zeros = self.power.windows(2).filter(|pair| pair.iter().all(|load| load.power.is_some() && !is_flow(load.power)));
        let rises_in = |from: Time, until: Time| rises.iter().any(|(left, right)| from <= left.0 && right.0 <= until);
        standing.extend(zeros.map(|pair| (pair[0].at, pair[1].at)).filter(|(from, until)| !rises_in(*from, *until)));
        standing
    }

    /// Where a 2.x state may have changed in an event that is missing: from the event before the gap to the next one that tells a
    /// state. A register that stands still proves that nothing changed.
    fn unreported(&self, rises: &[(Point, Point)]) -> Vec<(Time, Time)> {
        let mut events: Vec<(Time, i64, bool)> =
            self.timed.iter().filter_map(|one| Some((one.at, one.evidence.seq_no?, one.evidence.charging.is_some()))).collect();
        events.sort_unstable();
        let gaps = events.windows(2).filter(|pair| pair[1].1 > pair[0].1.saturating_add(1));
        let next_reported =
            |after: Time| events.iter().find(|(at, _, reported)| *reported && *at > after).map_or(self.end, |(at, ..)| *at);
        gaps.map(|pair| (pair[0].0, next_reported(pair[0].0)))
            .filter(|(from, until)| rises.iter().any(|(left, right)| left.0 < *until && right.0 > *from))
            .collect()
    }
}

/// More power than a vehicle that does not charge takes.
fn is_flow(power: Option<MilliW>) -> bool {
    power.is_some_and(|power| power.0 > ABOUT_ZERO_W * 1000)
}

type Point = (Time, MilliWh);

/// The power between two readings, in W.
fn slope_w(pair: &[Point]) -> Option<i64> {
    let (time, energy) = ((pair[1].0 - pair[0].0).num_milliseconds(), (pair[1].1 - pair[0].1).0);
    // mWh / ms = 3600 W
    (time > 0).then(|| energy.saturating_mul(3_600) / time)
}

/// How long a meter may stand while a vehicle charges: the time that the least charging power takes for one of its steps. A vehicle
/// at a strong station slows down, but hardly below a tenth of what it took.
fn patience(registers: &[Point], step: MilliWh) -> TimeDelta {
    let strongest = registers.windows(2).filter(|pair| pair[1].1 - pair[0].1 > step).filter_map(slope_w).max();
    let least = LEAST_CHARGING_W.max(strongest.unwrap_or(0) / 10);
    TimeDelta::milliseconds(step.0.saturating_mul(3_600) / least).max(NOTEWORTHY)
}

/// Stretches in which the register rises: between two readings, or over several of a meter that counts in coarse steps, as long as
/// the next step comes as soon as the least charging power lets it.
fn rises(registers: &[Point], patience: TimeDelta) -> Vec<(Point, Point)> {
    let mut rises: Vec<(Point, Point)> = Vec::new();
    for pair in registers.windows(2) {
        if pair[1].1 <= pair[0].1 {
            continue;
        }
        match rises.last_mut() {
            Some(last) if pair[0].0 - last.1.0 <= patience => last.1 = pair[1],
            _ => rises.push((pair[0], pair[1])),
        }
    }
    rises
}

/// Energy flowed before the first state `Charging`, as far as registers show: a sample before it has risen; or there is no such
/// state, but energy.
fn flowed_before(first_charging: Option<Time>, registers: &[Point]) -> bool {
    let Some((_, first)) = registers.first() else { return false };
    let risen = |register: &MilliWh| *register - *first > ROUNDING;
    registers.iter().any(|(at, register)| risen(register) && first_charging.is_none_or(|charging| *at < charging))
}

/// The stretches of a list of changes that a test picks.
fn stretches<T>(changes: &[(Time, T)], end: Time, pick: impl Fn(&T) -> bool) -> Vec<(Time, Time)> {
    let until = |place: usize| changes.get(place + 1).map_or(end, |(at, _)| *at);
    let picked = changes.iter().enumerate().filter(|(_, (_, what))| pick(what));
    picked.map(|(place, (from, _))| (*from, until(place))).filter(|(from, until)| from < until).collect()
}

/// Changes of activity that can be painted over.
struct Timeline {
    end: Time,
    changes: Vec<(Time, Activity)>,
}

impl Timeline {
    fn paint(&mut self, from: Time, until: Time, activity: Activity) {
        let (from, until) = (from.max(self.changes[0].0), until.min(self.end));
        if from >= until {
            return;
        }
        let after = self.changes.iter().rev().find(|(at, _)| *at <= until).map_or(activity, |(_, activity)| *activity);
        self.changes.retain(|(at, _)| *at < from || *at > until);
        let place = self.changes.partition_point(|(at, _)| *at < from);
        self.changes.insert(place, (from, activity));
        if until < self.end {
            self.changes.insert(place + 1, (until, after));
        }
    }
}

impl Timeline {
    /// Paints over one activity only; returns for how long.
    fn repaint(&mut self, from: Time, until: Time, old: Activity, new: Activity) -> TimeDelta {
        let mut painted = TimeDelta::zero();
        for (left, right) in stretches(&self.changes.clone(), self.end, |activity| *activity == old) {
            let (left, right) = (left.max(from), right.min(until));
            if left < right {
                self.paint(left, right, new);
                painted += right - left;
            }
        }
        painted
    }
}

/// Measured power and current at the outlet; of two values for one instant the later event's counts.
pub(super) fn power(timed: &[Timed<'_>], start: Time, end: Time) -> Vec<LoadSample> {
    let mut found: BTreeMap<Time, (Option<MilliW>, Option<MicroA>)> = BTreeMap::new();
    for one in timed {
        for reading in &one.evidence.readings {
            let at = one.measured_at(reading.measured_at);
            if !(start..=end).contains(&at) {
                continue;
            }
            let power = reading.phase_sum(&Measurand::PowerActiveImport).and_then(MilliW::from_watts);
            let current = reading.phase_sum(&Measurand::CurrentImport).and_then(MicroA::from_amperes);
            if power.is_some() || current.is_some() {
                let load = found.entry(at).or_default();
                *load = (power.or(load.0), current.or(load.1));
            }
        }
    }
    found.into_iter().map(|(at, (power, current))| LoadSample { at, power, current }).collect()
}
