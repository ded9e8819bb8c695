//! What is true: registers, times and the price that a session may cost at most. Arithmetic of its own, not the daemon's.

use super::world::{Meter, Session, Tariff, What, World};
use super::{DAY, HOUR, MilliWh, Millis};

/// Millionths of a cent, excluding VAT: an integer for every milliwatt-hour at whole cents.
pub type Micro = i64;
pub const CENT: Micro = 1_000_000;

impl Session {
    /// Energy delivered until an instant, in mWh.
    pub fn energy_until(&self, at: Millis) -> MilliWh {
        let until =
            |end: Millis| -> i64 { self.parts.iter().map(|part| part.watts * (part.until.min(end) - part.from).max(0)).sum() };
        if self.absent { 0 } else { until(at) / 3_600 }
    }

    pub fn energy(&self) -> MilliWh {
        self.energy_until(Millis::MAX)
    }

    /// Time spent so within a stretch.
    pub fn spent(&self, what: What, from: Millis, until: Millis) -> Millis {
        let parts = self.parts.iter().filter(|part| part.what == what);
        parts.map(|part| (part.until.min(until) - part.from.max(from)).max(0)).sum()
    }
}

impl World {
    /// The true sum of all energy that ever went through an EVSE's meter.
    pub fn delivered(&self, evse: u32, at: Millis) -> MilliWh {
        let here = self.sessions.iter().filter(|session| session.evse == evse && session.start <= at);
        self.meter(evse).base + here.map(|session| session.energy_until(at)).sum::<MilliWh>()
    }

    pub fn meter(&self, evse: u32) -> &Meter {
        &self.meters[usize::try_from(evse).unwrap_or(1) - 1]
    }

    /// What the meter of an EVSE shows during a session.
    pub fn shown(&self, session: &Session, at: Millis) -> MilliWh {
        let meter = self.meter(session.evse);
        let mut value = self.delivered(session.evse, at);
        if let Some(reset) = meter.reset_at.filter(|reset| *reset <= at) {
            value -= self.delivered(session.evse, reset);
        } else if let Some(modulus) = meter.rolls_at {
            value %= modulus;
        }
        if !self.lifetime {
            value = self.delivered(session.evse, at) - self.delivered(session.evse, session.start);
            if let Some(reset) = meter.reset_at.filter(|reset| *reset <= at && *reset > session.start) {
                value = self.delivered(session.evse, at) - self.delivered(session.evse, reset);
            }
        }
        value - value % self.resolution
    }
}

impl Tariff {
    /// Cents per kWh at an instant. The site is one hour ahead of UTC.
    pub fn per_kwh(self, at: Millis) -> i64 {
        match self {
            Self::Plain => 40,
            Self::TimeOfUse if (6 * HOUR..22 * HOUR).contains(&((at + HOUR).rem_euclid(DAY))) => 50,
            Self::TimeOfUse => 30,
        }
    }

    pub fn highest_per_kwh(self) -> i64 {
        match self {
            Self::Plain => 40,
            Self::TimeOfUse => 50,
        }
    }

    pub fn per_hour_charging(self) -> i64 {
        match self {
            Self::Plain => 0,
            Self::TimeOfUse => 150,
        }
    }

    pub fn per_hour_parking(self) -> i64 {
        match self {
            Self::Plain => 600,
            Self::TimeOfUse => 300,
        }
    }

    /// Instants within a stretch at which the price of energy changes.
    pub fn changes(self, from: Millis, until: Millis) -> Vec<Millis> {
        let mut found = Vec::new();
        if self == Self::TimeOfUse {
            let mut midnight = (from + HOUR).div_euclid(DAY) * DAY - HOUR;
            while midnight < until {
                found.extend([6, 22].map(|hour| midnight + hour * HOUR).into_iter().filter(|at| *at > from && *at < until));
                midnight += DAY;
            }
        }
        found
    }
}

/// The price of a time at so many cents an hour.
pub fn hours(time: Millis, cents: i64) -> Micro {
    time * cents * 10 / 36
}

/// The true price of a session's energy.
pub fn energy_price(tariff: Tariff, session: &Session) -> Micro {
    let mut edges = vec![session.start];
    edges.extend(tariff.changes(session.start, session.stop));
    edges.push(session.stop);
    let piece = |pair: &[Millis]| (session.energy_until(pair[1]) - session.energy_until(pair[0])) * tariff.per_kwh(pair[0]);
    edges.windows(2).map(piece).sum()
}
