//! The import register among the samples of a reading.

use super::{LinePhase, Location, Measurand, Reading, Sample};
use crate::units::MilliWh;

/// meterStart and meterStop are whole watt-hours: a sample may differ from them by the rounding.
pub const ROUNDING: MilliWh = MilliWh(1_000);

/// Where and how a register was measured; a session uses the best it has and never mixes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    Outlet,
    Body,
    /// Only phase L1: true for a station with one phase, a third of the truth for others.
    OnlyL1,
}

/// The import register of one reading; `None` when it carries none.
pub fn register_of(reading: &Reading) -> Option<MilliWh> {
    let samples: Vec<&Sample> = reading.samples.iter().filter(|sample| is_register(sample)).collect();
    total(&samples).map(|(register, _)| register)
}

pub fn is_register(sample: &Sample) -> bool {
    sample.measurand == Measurand::EnergyActiveImportRegister && matches!(sample.location, Location::Outlet | Location::Body)
}

/// The total if there is one, else the sum of three phases, else L1 alone; at the outlet if it is measured there.
pub fn total(samples: &[&Sample]) -> Option<(MilliWh, Quality)> {
    for (location, quality) in [(Location::Outlet, Quality::Outlet), (Location::Body, Quality::Body)] {
        let of = |phase: LinePhase| {
            samples
                .iter()
                .filter(|sample| sample.location == location && sample.phase == phase)
                .find_map(|sample| sample.value.number())
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
