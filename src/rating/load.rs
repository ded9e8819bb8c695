//! Which power and current a moment is taken to have, for the restrictions that look at them.
//!
//! Power: a sample inside the gap between two register readings counts from its instant to the next one. A sample at the gap's
//! first reading counts for the gap, unless the registers contradict it: one of them says that power flows and the other that
//! none does. Otherwise the gap's average counts. An average is known to the step in which the register counts, so one that is
//! within that step of a threshold is taken to be at the threshold (22.0 kW over a register in Wh is 21.96 or 22.02 in one
//! minute). The step is believed up to [`MAX_STEP`], and only where the gap has ten of them.
//! Current is known only from samples.

use super::metered::{LoadSample, Metered};
use super::tariff::Tariff;
use crate::units::{MicroA, MilliW, MilliWh, Time};

/// 1 Wh. Coarser registers say too little about power for a tolerance of their step.
const MAX_STEP: i64 = 1000;
/// Steps that a gap must have before its average is moved to a threshold: by a tenth at most.
const MIN_STEPS: i64 = 10;
/// 1 mWh in 1 ms is 3.6 kW.
const MW_PER_MWH_AND_MS: i64 = 3_600_000;

/// The stretch between two meter readings that a breakpoint begins or lies in.
pub(super) struct Gap {
    pub start: Time,
    pub length_ms: i64,
    pub energy: MilliWh,
}

impl Gap {
    pub(super) fn at(metered: &Metered, at: Time, register: MilliWh) -> Self {
        let registers = metered.registers();
        let after = registers.partition_point(|reading| *reading <= (at, register));
        let (start, low) = registers[after.saturating_sub(1)];
        let (end, high) = registers.get(after).copied().unwrap_or((start, low));
        Self { start, length_ms: (end - start).num_milliseconds(), energy: high - low }
    }
}

/// What was measured of one session's power and current, as far as its tariff looks at them.
pub(super) struct Loads<'a> {
    metered: &'a Metered,
    pub looks_at_power: bool,
    pub looks_at_current: bool,
    /// Power at which the tariff changes, in order.
    thresholds: Vec<MilliW>,
    /// In mWh.
    step: i64,
}

impl<'a> Loads<'a> {
    pub(super) fn new(tariff: &Tariff, metered: &'a Metered) -> Self {
        let looks_at_power = tariff.restrictions().any(|restrictions| restrictions.looks_at_power());
        let mut loads = Self {
            metered,
            looks_at_power,
            looks_at_current: tariff.restrictions().any(|restrictions| restrictions.looks_at_current()),
            thresholds: Vec::new(),
            step: 1,
        };
        if looks_at_power {
            let limits = tariff.restrictions().flat_map(|restrictions| [restrictions.min_power, restrictions.max_power]);
            loads.thresholds = limits.flatten().collect();
            loads.thresholds.sort_unstable();
            loads.step = step(metered);
        }
        loads
    }

    /// Momentary power; `None` also when the tariff does not look at it.
    pub(super) fn power(&self, gap: &Gap, at: Time) -> Option<MilliW> {
        if !self.looks_at_power {
            return None;
        }
        let believed = |load: &LoadSample| {
            let flows = |power: &MilliW| (power.0 != 0) == (gap.energy.0 != 0);
            load.power.filter(|power| load.at > gap.start || flows(power))
        };
        let sampled = self.latest(at).rev().take_while(|load| load.at >= gap.start).find_map(believed);
        sampled.or_else(|| self.average(gap))
    }

    /// Momentary current; `None` also when the tariff does not look at it.
    pub(super) fn current(&self, at: Time) -> Option<MicroA> {
        if !self.looks_at_current {
            return None;
        }
        self.latest(at).rev().find_map(|load| load.current)
    }

    /// The samples up to an instant.
    fn latest(&self, at: Time) -> std::slice::Iter<'_, LoadSample> {
        let loads = self.metered.loads();
        loads[..loads.partition_point(|load| load.at <= at)].iter()
    }

    fn average(&self, gap: &Gap) -> Option<MilliW> {
        if gap.length_ms <= 0 {
            return None;
        }
        // In mWh × mW per (mWh/ms): dividing it by the length gives mW.
        let (scale, length) = (i128::from(MW_PER_MWH_AND_MS), i128::from(gap.length_ms));
        let energy = i128::from(gap.energy.0) * scale;
        let average = MilliW(i64::try_from(energy / length).unwrap_or(i64::MAX));
        if gap.energy.0 < self.step * MIN_STEPS {
            return Some(average);
        }
        let above = self.thresholds.partition_point(|threshold| *threshold <= average);
        let off = |threshold: &MilliW| (i128::from(threshold.0) * length - energy).abs();
        let neighbours = [above.checked_sub(1), Some(above)].into_iter().flatten().filter_map(|at| self.thresholds.get(at));
        let nearest = neighbours.min_by_key(|threshold| off(threshold));
        Some(nearest.copied().filter(|threshold| off(threshold) < i128::from(self.step) * scale).unwrap_or(average))
    }
}

/// The step in which the register counts: the largest power of ten that divides all readings.
fn step(metered: &Metered) -> i64 {
    let mut step = MAX_STEP;
    for (_, register) in metered.registers() {
        while register.0 % step != 0 {
            step /= 10;
        }
    }
    step
}
