//! Splitting a session at every instant at which the tariff might change its mind.
//!
//! ```text
//! register │            ╱■ sample            ■ sample: meter reading      ● cut in time: register interpolated
//!          │      ●────╱                     ◆ cut in energy: time interpolated
//!          │   ╱◆
//!          │ ■╱                              between two neighbours nothing that a restriction looks at changes
//!          └──────────────── time
//! ```
//! A session is a path of breakpoints (time, register) that rises in both. Knots are the meter readings, and between them the points
//! where a time of day, a date, a duration, a kWh threshold, an activity, a power or a current begins. Each stretch between two
//! breakpoints gets its components from the moment at which it begins; neighbours with the same components and activity are joined
//! again. Energy lies on the straight line between two readings, in whole mWh rounded down, so that the last slice of a gap
//! takes the remainder and slices add up to the register difference.
//!
//! Civil time: local dates are walked one by one and each edge is converted with the zone's rules; an edge that occurs twice
//! (clocks set back) cuts twice. The instants at which clocks are set are cuts themselves, which also covers edges that do not
//! occur. Never are 24 hours added.
//!
//! Which power and current a moment has is said in `load`. While the station pauses, time is free; energy that flows nevertheless is energy.
//!
//! Limits: one session of [`super::MAX_SESSION_DAYS`] days, so at most 366 × (2 × elements + 1) civil cuts.

use std::collections::BTreeSet;

use chrono::{Duration, FixedOffset, NaiveDate, NaiveTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::load::{Gap, Loads};
use super::metered::Metered;
use super::moment::{Lookup, Moment, Source};
use super::rated::{Activity, Dimension, Period};
use super::tariff::Tariff;
use super::text::duration_words;
use super::volume::Volume;
use crate::units::{Finding, MilliWh, Time, time};

/// Above this, an average between two readings is worth a remark when the tariff looks at power.
const COARSE_GAP_MS: i64 = 15 * 60_000;

/// A period and the components that price it.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub period: Period,
    /// Only in the one period that starts with the session fee.
    pub flat: Option<Source>,
    pub energy: Option<Source>,
    /// TIME while charging, PARKING_TIME while idle, never while the station pauses.
    pub time: Option<Source>,
    /// The register at the period's start was interpolated.
    from_interpolated: bool,
}

impl Slice {
    pub(super) fn length_ms(&self) -> i64 {
        (self.period.end - self.period.start).num_milliseconds()
    }

    /// Priced volumes; none is zero.
    pub(super) fn volumes(&self) -> impl Iterator<Item = (Dimension, Source, Volume)> + use<> {
        let length = Volume::Time(self.period.end - self.period.start);
        let time = time_dimension(self.period.activity).and_then(|dimension| self.time.map(|source| (dimension, source, length)));
        let energy = self.energy.map(|source| (Dimension::Energy, source, Volume::Energy(self.period.energy)));
        let flat = self.flat.map(|source| (Dimension::Flat, source, Volume::Sessions(1)));
        [flat, energy, time].into_iter().flatten().filter(|(_, _, volume)| volume.is_positive())
    }
}

/// Why a breakpoint is there. In order of precedence when several reasons fall together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Boundary {
    Start,
    State,
    Date,
    Midnight,
    TimeOfDay,
    Duration,
    Energy,
    Power,
    Current,
    Sample,
}

impl Boundary {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::State => "state",
            Self::Date => "date",
            Self::Midnight => "midnight",
            Self::TimeOfDay => "time-of-day",
            Self::Duration => "duration",
            Self::Energy => "energy",
            Self::Power => "power",
            Self::Current => "current",
            Self::Sample => "sample",
        }
    }
}

/// A point of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Breakpoint {
    at: Time,
    register: MilliWh,
    boundary: Boundary,
    interpolated: bool,
}

/// The session in periods: at least one, gap-free, in order. Findings tell where a measurement was missing.
pub(super) fn slices(tariff: &Tariff, metered: &Metered, zone: Tz) -> (Vec<Slice>, Vec<Finding>) {
    let mut breakpoints = breakpoints(tariff, metered, zone);
    if let [only] = breakpoints[..] {
        // A session without length and energy still is one period: a session fee applies to it.
        breakpoints.push(only);
    }
    let (lookup, loads) = (Lookup::new(tariff), Loads::new(tariff, metered));
    let mut slices: Vec<Slice> = Vec::new();
    let mut flat_due = true;
    let mut unmeasured = Unmeasured::default();
    for pair in breakpoints.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let gap = Gap::at(metered, from.at, from.register);
        let activity = metered.activity_at(from.at);
        let moment = Moment {
            local: from.at.with_timezone(&zone).naive_local(),
            energy: from.register - metered.first_register(),
            elapsed_ms: (from.at - metered.start()).num_milliseconds(),
            power: loads.power(&gap, from.at),
            current: loads.current(from.at),
        };
        unmeasured.note(&moment, &gap, &from, &to);
        let flat = if flat_due { lookup.find(Dimension::Flat, &moment) } else { None };
        flat_due = flat_due && flat.is_none();
        let energy = lookup.find(Dimension::Energy, &moment);
        let time = time_dimension(activity).and_then(|dimension| lookup.find(dimension, &moment));
        match slices.last_mut() {
            // The tariff sees no difference to the slice before: one period.
            Some(last) if flat.is_none() && last.period.activity == activity && (last.energy, last.time) == (energy, time) => {
                last.period.end = to.at;
                last.period.energy = last.period.energy + (to.register - from.register);
                last.period.interpolated = last.from_interpolated || to.interpolated;
            }
            _ => slices.push(Slice {
                period: Period {
                    start: from.at,
                    end: to.at,
                    energy: to.register - from.register,
                    activity,
                    boundary: from.boundary.as_str(),
                    interpolated: from.interpolated || to.interpolated,
                },
                flat,
                energy,
                time,
                from_interpolated: from.interpolated,
            }),
        }
    }
    (slices, unmeasured.findings(&loads))
}

const fn time_dimension(activity: Activity) -> Option<Dimension> {
    match activity {
        Activity::Charging => Some(Dimension::Time),
        Activity::Idle => Some(Dimension::ParkingTime),
        Activity::Paused => None,
    }
}

/// All breakpoints, in order, one per point.
fn breakpoints(tariff: &Tariff, metered: &Metered, zone: Tz) -> Vec<Breakpoint> {
    let sample =
        if tariff.restrictions().any(|restrictions| restrictions.looks_at_power()) { Boundary::Power } else { Boundary::Sample };
    let mut breakpoints: Vec<Breakpoint> = Vec::new();
    for (index, (at, register)) in metered.registers().iter().enumerate() {
        let boundary = if index == 0 { Boundary::Start } else { sample };
        breakpoints.push(Breakpoint { at: *at, register: *register, boundary, interpolated: false });
    }
    let inside = |(at, _): &(Time, Boundary)| metered.start() < *at && *at < metered.end();
    let mut cuts = plain_cuts(tariff, metered);
    cuts.extend(civil_cuts(tariff, metered, zone));
    breakpoints.extend(cuts.into_iter().filter(inside).map(|(at, boundary)| breakpoint_at(metered, at, boundary)));
    let limits = tariff.restrictions().flat_map(|restrictions| [restrictions.min_kwh, restrictions.max_kwh]).flatten();
    breakpoints.extend(limits.filter_map(|limit| breakpoint_when(metered, metered.first_register() + limit)));
    breakpoints.sort();
    breakpoints.dedup_by(|later, kept| {
        let same = (later.at, later.register) == (kept.at, kept.register);
        kept.interpolated &= later.interpolated || !same;
        same
    });
    breakpoints
}

/// Cuts in time that need no calendar: activity, durations, samples of power and current.
fn plain_cuts(tariff: &Tariff, metered: &Metered) -> Vec<(Time, Boundary)> {
    let mut cuts: Vec<_> = metered.activity().iter().map(|(at, _)| (*at, Boundary::State)).collect();
    for restrictions in tariff.restrictions() {
        let durations = [restrictions.min_duration, restrictions.max_duration].into_iter().flatten();
        cuts.extend(durations.map(|seconds| (metered.start() + Duration::seconds(i64::from(seconds)), Boundary::Duration)));
    }
    if tariff.restrictions().any(|restrictions| restrictions.looks_at_power()) {
        cuts.extend(metered.loads().iter().filter(|load| load.power.is_some()).map(|load| (load.at, Boundary::Power)));
    }
    if tariff.restrictions().any(|restrictions| restrictions.looks_at_current()) {
        cuts.extend(metered.loads().iter().filter(|load| load.current.is_some()).map(|load| (load.at, Boundary::Current)));
    }
    cuts
}

/// Every occurrence of the tariff's times of day and dates, midnight if it looks at either or at weekdays, and the instants at
/// which clocks are set. Some lie outside the session.
fn civil_cuts(tariff: &Tariff, metered: &Metered, zone: Tz) -> Vec<(Time, Boundary)> {
    let mut times: BTreeSet<NaiveTime> =
        tariff.restrictions().flat_map(|restrictions| [restrictions.start_time, restrictions.end_time]).flatten().collect();
    let dates: BTreeSet<NaiveDate> =
        tariff.restrictions().flat_map(|restrictions| [restrictions.start_date, restrictions.end_date]).flatten().collect();
    let weekdays = tariff.restrictions().any(|restrictions| restrictions.weekdays().is_some());
    if times.is_empty() && dates.is_empty() && !weekdays {
        return Vec::new();
    }
    if !times.is_empty() {
        // A window with one side open ends or begins at midnight.
        times.insert(NaiveTime::MIN);
    }
    let local_date = |at: Time| at.with_timezone(&zone).date_naive();
    let last_day = local_date(metered.end());
    let mut cuts: Vec<_> = clock_changes(metered, zone).into_iter().map(|at| (at, Boundary::TimeOfDay)).collect();
    for day in local_date(metered.start()).iter_days().take_while(|day| *day <= last_day) {
        let mut edge = |time: NaiveTime, boundary: Boundary| {
            let civil = zone.from_local_datetime(&day.and_time(time));
            cuts.extend([civil.earliest(), civil.latest()].into_iter().flatten().map(|at| (at.to_utc(), boundary)));
        };
        times.iter().for_each(|time| edge(*time, Boundary::TimeOfDay));
        if dates.contains(&day) {
            edge(NaiveTime::MIN, Boundary::Date);
        } else if weekdays {
            edge(NaiveTime::MIN, Boundary::Midnight);
        }
    }
    cuts
}

/// The instants inside the session at which the zone's offset to UTC changes. Probed hourly: no zone changes twice in an hour.
fn clock_changes(metered: &Metered, zone: Tz) -> Vec<Time> {
    let offset = |at: Time| -> FixedOffset { zone.offset_from_utc_datetime(&at.naive_utc()).fix() };
    let mut changes = Vec::new();
    let mut from = metered.start();
    while from < metered.end() {
        let to = metered.end().min(from + Duration::hours(1));
        if offset(from) != offset(to) {
            let (mut before, mut after) = (time::to_millis(from), time::to_millis(to));
            while after - before > 1 {
                let middle = before + (after - before) / 2;
                if offset(time::from_millis(middle)) == offset(from) { before = middle } else { after = middle }
            }
            changes.push(time::from_millis(after));
        }
        from = to;
    }
    changes
}

/// The point of the path at an instant inside the session.
fn breakpoint_at(metered: &Metered, at: Time, boundary: Boundary) -> Breakpoint {
    let registers = metered.registers();
    let after = registers.partition_point(|(sampled, _)| *sampled <= at);
    let (t0, e0) = registers[after - 1];
    let (register, interpolated) = match registers.get(after) {
        Some((t1, e1)) if t0 < at => {
            let share = scale(e1.0 - e0.0, (at - t0).num_milliseconds(), (*t1 - t0).num_milliseconds());
            (MilliWh(e0.0 + share), true)
        }
        _ => (e0, false),
    };
    Breakpoint { at, register, boundary, interpolated }
}

/// The point at which the path reaches a register value, if it lies inside the session.
fn breakpoint_when(metered: &Metered, register: MilliWh) -> Option<Breakpoint> {
    let registers = metered.registers();
    let reached = registers.partition_point(|(_, sampled)| *sampled < register);
    let (t1, e1) = *registers.get(reached)?;
    let (t0, e0) = *registers.get(reached.checked_sub(1)?)?;
    let share = scale((t1 - t0).num_milliseconds(), register.0 - e0.0, e1.0 - e0.0);
    Some(Breakpoint {
        at: t0 + Duration::milliseconds(share),
        register,
        boundary: Boundary::Energy,
        interpolated: e1 != register,
    })
}

/// whole × part / all, rounded down; `all` is positive and `part` at most `all`, so the result fits.
fn scale(whole: i64, part: i64, all: i64) -> i64 {
    i64::try_from(i128::from(whole) * i128::from(part) / i128::from(all)).unwrap_or(whole)
}

/// What the tariff may have looked for in vain.
#[derive(Default)]
struct Unmeasured {
    current_ms: i64,
    power: bool,
    coarsest_ms: i64,
}

impl Unmeasured {
    fn note(&mut self, moment: &Moment, gap: &Gap, from: &Breakpoint, to: &Breakpoint) {
        if moment.current.is_none() {
            self.current_ms += (to.at - from.at).num_milliseconds();
        }
        self.power |= moment.power.is_none() && to.register > from.register;
        if gap.energy > MilliWh(0) {
            self.coarsest_ms = self.coarsest_ms.max(gap.length_ms);
        }
    }

    fn findings(&self, loads: &Loads<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if loads.looks_at_current && self.current_ms > 0 {
            let detail = format!(
                "no current was measured for {}; prices that depend on it did not apply then",
                duration_words(self.current_ms)
            );
            findings.push(Finding::new("current-unmeasured", detail));
        }
        if loads.looks_at_power {
            if self.power {
                let detail =
                    "some energy came without a duration, so without a power; prices that depend on power did not apply to it";
                findings.push(Finding::new("power-unmeasured", detail));
            }
            if self.coarsest_ms > COARSE_GAP_MS {
                let detail =
                    format!("power is an average over up to {} between two meter readings", duration_words(self.coarsest_ms));
                findings.push(Finding::new("power-averaged", detail));
            }
        }
        findings
    }
}
