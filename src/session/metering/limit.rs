//! How much energy can flow in a time: what no measurement may exceed.
//!
//! The limit of a station is configured, or learned from what it measured, or [`DEFAULT_KW`], which no AC station reaches and a DC
//! station passes as soon as it has measured its power once.

use chrono::TimeDelta;

use super::clock::Timed;
use super::registers::ROUNDING;
use crate::session::{Measurand, Reading};
use crate::units::{Decimal, MilliWh, Time};

/// For a station of which nothing is known.
const DEFAULT_KW: u32 = 50;
/// More power than any station has: a measurement above it has the wrong unit.
const MAX_KW: u32 = 1_000;
/// A station may deliver this much more than it measured at its best so far, in percent.
const HEADROOM_PERCENT: u32 = 125;
/// Energy below this is never called implausible, however short the time: coarse clocks and coarse meters.
const TOLERATED: MilliWh = MilliWh(200_000);
/// Sample-to-sample slopes that must agree before they tell a station's power.
const MIN_SLOPES: usize = 3;

/// What is known of a station's power beside the session.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StationPower {
    pub configured_kw: Option<Decimal>,
    /// The highest power that the station measured in sessions that were billed.
    pub learned_kw: Option<Decimal>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    pub kw: Decimal,
}

impl Limit {
    /// For a station whose sessions are not looked at.
    pub fn of_station(configured_kw: Option<Decimal>) -> Self {
        Self { kw: configured_kw.unwrap_or_else(|| DEFAULT_KW.into()) }
    }

    /// For a session: what is configured, else the most that the station measured, now or earlier, with some headroom.
    pub(super) fn of_session(power: &StationPower, highest_kw: Option<Decimal>, slopes: Option<Decimal>) -> Self {
        if let Some(kw) = power.configured_kw {
            return Self { kw };
        }
        let measured = [highest_kw, power.learned_kw, slopes].into_iter().flatten().max();
        let with_headroom = measured.map(|kw| kw * Decimal::from(HEADROOM_PERCENT) / Decimal::ONE_HUNDRED);
        Self { kw: with_headroom.unwrap_or_default().clamp(DEFAULT_KW.into(), MAX_KW.into()) }
    }

    /// Whether this energy can flow in this time; a little always can.
    pub fn allows(&self, time: TimeDelta, energy: MilliWh) -> bool {
        self.allows_with(time, energy, TOLERATED)
    }

    /// The same over a whole session, whose meter counts in steps of `resolution`.
    pub(super) fn allows_whole(&self, time: TimeDelta, energy: MilliWh, resolution: MilliWh) -> bool {
        let slack = if resolution > ROUNDING { resolution } else { MilliWh(0) };
        energy <= TOLERATED || self.allows_with(time, energy - slack, MilliWh(0))
    }

    /// The same between two readings of a meter that counts in steps of `resolution`.
    pub(super) fn allows_step(&self, time: TimeDelta, energy: MilliWh, resolution: MilliWh) -> bool {
        let slack = TOLERATED.max(resolution);
        energy <= slack || self.allows_with(time, energy - slack, MilliWh(0))
    }

    fn allows_with(&self, time: TimeDelta, energy: MilliWh, tolerated: MilliWh) -> bool {
        // kWh · 3 600 000 ms/h ≤ kW · ms, without dividing
        let needed = energy.kwh() * Decimal::from(3_600_000);
        let possible = self.kw.checked_mul(Decimal::from(time.num_milliseconds().max(0)));
        energy <= tolerated || possible.is_none_or(|possible| needed <= possible)
    }
}

/// The highest power measured or offered at the outlet, in kW; values that no station has are left out.
pub(super) fn highest_kw(timed: &[Timed<'_>]) -> Option<Decimal> {
    let readings = timed.iter().flat_map(|one| &one.evidence.readings);
    let measured =
        readings.flat_map(|reading| [Measurand::PowerActiveImport, Measurand::PowerOffered].map(|which| kw_of(reading, &which)));
    measured.flatten().filter(|kw| *kw > Decimal::ZERO && *kw <= MAX_KW.into()).max()
}

fn kw_of(reading: &Reading, which: &Measurand) -> Option<Decimal> {
    super::activity::phase_sum(reading, which).map(|watts| watts / Decimal::ONE_THOUSAND)
}

/// The power that the registers of a session themselves show, in kW: the median from sample to sample, which one wrong value does
/// not move. `None` when there are too few.
pub(super) fn slope_kw(points: &[(Time, MilliWh)]) -> Option<Decimal> {
    let slope = |pair: &[(Time, MilliWh)]| {
        let (time, energy) = ((pair[1].0 - pair[0].0).num_milliseconds(), pair[1].1.0.checked_sub(pair[0].1.0)?);
        (time > 0 && energy >= 0).then(|| Decimal::new(energy, 6) * Decimal::from(3_600_000) / Decimal::from(time))
    };
    let mut slopes: Vec<Decimal> = points.windows(2).filter_map(slope).filter(|kw| *kw <= MAX_KW.into()).collect();
    if slopes.len() < MIN_SLOPES {
        return None;
    }
    slopes.sort_unstable();
    Some(slopes[slopes.len() / 2])
}
