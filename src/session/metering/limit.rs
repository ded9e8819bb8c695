//! How much energy can flow in a time: what no measurement may exceed.
//!
//! The limit of a station is configured, or learned from what it measured. Where neither is known, [`DEFAULT_KW`] holds, which no AC
//! station reaches, unless the samples of the session themselves show that it is a DC station.

use chrono::TimeDelta;

use super::timing::Timed;
use crate::fact::register::ROUNDING;
use crate::fact::{Measurand, Reading};
use crate::units::{Decimal, MilliWh, Time};

/// For a station of which nothing is known.
const DEFAULT_KW: u32 = 50;
/// More power than any station has: a measurement above it has the wrong unit.
const MAX_KW: u32 = 1_000;
/// Energy below this is never called implausible, however short the time: coarse clocks and coarse meters.
const TOLERATED: MilliWh = MilliWh(200_000);
/// The most that any station delivers: for stations whose samples show that they are DC stations.
const DC_KW: u32 = 400;
/// More than AC stations deliver (63 A, three phases).
const AC_KW: u32 = 44;

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

    /// What cannot be ruled out: a limit that nobody configured rules out no session that may be meant.
    pub fn widest(configured_kw: Option<Decimal>) -> Self {
        Self { kw: configured_kw.unwrap_or_else(|| DC_KW.into()) }
    }

    /// For a session: what is configured, else what its measurements, those of earlier sessions or its samples show it to be: the best
    /// that was measured so far is no limit, but tells an AC station from a DC station.
    pub(super) fn of_session(power: &StationPower, highest_kw: Option<Decimal>, samples: &Slopes) -> Self {
        if let Some(kw) = power.configured_kw {
            return Self { kw };
        }
        let is_dc = match highest_kw.max(power.learned_kw).max(samples.highest_kw) {
            Some(kw) => kw > AC_KW.into(),
            None => samples.count > 0,
        };
        Self { kw: if is_dc { DC_KW } else { DEFAULT_KW }.into() }
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
    reading.phase_sum(which).map(|watts| watts / Decimal::ONE_THOUSAND)
}

/// The power that the samples of a session show.
pub(super) struct Slopes {
    pub count: usize,
    /// Between two of them, in kW; `None` when there are fewer.
    pub highest_kw: Option<Decimal>,
}

/// What samples show between each other, in time order; values that no station has are left out.
pub(super) fn slopes(samples: &[(Time, MilliWh)]) -> Slopes {
    let slope = |pair: &[(Time, MilliWh)]| {
        let (time, energy) = ((pair[1].0 - pair[0].0).num_milliseconds(), pair[1].1.0.checked_sub(pair[0].1.0)?);
        // Two readings of one moment tell nothing.
        (time >= 10_000 && energy >= 0).then(|| Decimal::new(energy, 6) * Decimal::from(3_600_000) / Decimal::from(time))
    };
    let highest_kw = samples.windows(2).filter_map(slope).filter(|kw| *kw <= DC_KW.into()).max();
    Slopes { count: samples.len(), highest_kw }
}
