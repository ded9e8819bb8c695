//! What was metered in one session: the input of rating, beside the tariff.
//!
//! ```text
//! start ├──register──────register───────────register──┤ end      (time, mWh), both never fall
//!       ├──Charging───────────┼──Idle─────────────────┤          (from, Activity)
//! ```
//! Cleaning (resets, wrong units, missing ends) is done by `session::metering`, which makes it; this type only refuses what it could not bill.
//! Registers of the same instant are accepted: the energy between them counts as delivered at that instant.
//! All instants are cut to whole milliseconds. Limits: [`MAX_SESSION_DAYS`], [`MilliWh::MAX_REGISTER`].

use super::rated::Activity;
use crate::units::{MicroA, MilliW, MilliWh, Time, time};

/// Longest session that is rated; a longer one has a broken clock behind it.
pub const MAX_SESSION_DAYS: i64 = 366;

/// Readings of one session, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Metered {
    start: Time,
    end: Time,
    registers: Vec<(Time, MilliWh)>,
    activity: Vec<(Time, Activity)>,
    loads: Vec<LoadSample>,
}

/// Momentary power and current, valid until the next sample that has the same quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadSample {
    pub at: Time,
    pub power: Option<MilliW>,
    /// Sum of the phases.
    pub current: Option<MicroA>,
}

/// Why readings cannot be billed as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeteredError {
    #[error("the session ends before it starts")]
    EndBeforeStart,
    #[error("the session is longer than {MAX_SESSION_DAYS} days")]
    TooLong,
    #[error("the first register reading is not at the start of the session or the last one not at its end")]
    RegistersOpen,
    #[error("register readings are out of order at {0}")]
    RegisterOrder(Time),
    #[error("the register falls at {0}")]
    RegisterFalls(Time),
    #[error("the register at {0} is beyond 1 TWh")]
    RegisterRange(Time),
    #[error("the first activity is not at the start of the session")]
    ActivityOpen,
    #[error("activity changes are out of order or after the end at {0}")]
    ActivityOrder(Time),
    #[error("power or current samples are out of order at {0}")]
    LoadOrder(Time),
}

impl Metered {
    /// Checks and keeps readings. `registers`: first at `start`, last at `end`, neither time nor value falling. `activity`:
    /// first at `start`, in order, none after `end`; repetitions are dropped. `loads`: in order; may be empty.
    pub fn new(
        start: Time,
        end: Time,
        registers: Vec<(Time, MilliWh)>,
        activity: Vec<(Time, Activity)>,
        loads: Vec<LoadSample>,
    ) -> Result<Self, MeteredError> {
        let mut metered = Self {
            start: whole(start),
            end: whole(end),
            registers: registers.into_iter().map(|(at, register)| (whole(at), register)).collect(),
            activity: activity.into_iter().map(|(at, activity)| (whole(at), activity)).collect(),
            loads: loads.into_iter().map(|load| LoadSample { at: whole(load.at), ..load }).collect(),
        };
        metered.check_span()?;
        metered.check_registers()?;
        metered.check_activity()?;
        metered.activity.dedup_by_key(|(_, activity)| *activity);
        match metered.loads.windows(2).find(|pair| pair[1].at < pair[0].at) {
            Some(pair) => Err(MeteredError::LoadOrder(pair[1].at)),
            None => Ok(metered),
        }
    }

    fn check_span(&self) -> Result<(), MeteredError> {
        if self.end < self.start {
            return Err(MeteredError::EndBeforeStart);
        }
        if self.end - self.start > chrono::Duration::days(MAX_SESSION_DAYS) {
            return Err(MeteredError::TooLong);
        }
        Ok(())
    }

    fn check_registers(&self) -> Result<(), MeteredError> {
        let first = self.registers.first().map(|(at, _)| *at);
        let last = self.registers.last().map(|(at, _)| *at);
        if first != Some(self.start) || last != Some(self.end) {
            return Err(MeteredError::RegistersOpen);
        }
        if let Some((at, _)) =
            self.registers.iter().find(|(_, register)| *register > MilliWh::MAX_REGISTER || register.0 < -MilliWh::MAX_REGISTER.0)
        {
            return Err(MeteredError::RegisterRange(*at));
        }
        for pair in self.registers.windows(2) {
            let ((before, low), (after, high)) = (pair[0], pair[1]);
            if after < before {
                return Err(MeteredError::RegisterOrder(after));
            }
            if high < low {
                return Err(MeteredError::RegisterFalls(after));
            }
        }
        Ok(())
    }

    fn check_activity(&self) -> Result<(), MeteredError> {
        if self.activity.first().map(|(at, _)| *at) != Some(self.start) {
            return Err(MeteredError::ActivityOpen);
        }
        if let Some(pair) = self.activity.windows(2).find(|pair| pair[1].0 < pair[0].0) {
            return Err(MeteredError::ActivityOrder(pair[1].0));
        }
        match self.activity.last() {
            Some((at, _)) if *at > self.end => Err(MeteredError::ActivityOrder(*at)),
            _ => Ok(()),
        }
    }

    pub fn start(&self) -> Time {
        self.start
    }

    pub fn end(&self) -> Time {
        self.end
    }

    /// In order; the first at the start, the last at the end.
    pub fn registers(&self) -> &[(Time, MilliWh)] {
        &self.registers
    }

    /// Changes, in order; the first at the start.
    pub fn activity(&self) -> &[(Time, Activity)] {
        &self.activity
    }

    pub fn loads(&self) -> &[LoadSample] {
        &self.loads
    }

    /// Energy of the whole session.
    pub fn energy(&self) -> MilliWh {
        self.last_register() - self.first_register()
    }

    pub fn duration_ms(&self) -> i64 {
        (self.end - self.start).num_milliseconds()
    }

    // The constructor refuses empty lists, so the fall-backs below are never used.

    pub fn first_register(&self) -> MilliWh {
        self.registers.first().map_or(MilliWh(0), |(_, register)| *register)
    }

    pub fn last_register(&self) -> MilliWh {
        self.registers.last().map_or(MilliWh(0), |(_, register)| *register)
    }

    pub(super) fn activity_at(&self, at: Time) -> Activity {
        let after = self.activity.partition_point(|(from, _)| *from <= at);
        self.activity.get(after.saturating_sub(1)).map_or(Activity::Charging, |(_, activity)| *activity)
    }
}

fn whole(at: Time) -> Time {
    time::from_millis(time::to_millis(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (&'static [(i64, i64)], &'static [i64], Option<MeteredError>);

    #[test]
    fn what_cannot_be_billed_is_refused() {
        let at = time::from_millis;
        let cases: [Case; 10] = [
            (&[(0, 5), (10, 9)], &[0, 4, 10], None),
            (&[(0, 5), (4, 6), (4, 7), (10, 9)], &[0], None),
            (&[(0, -5), (10, 9)], &[0], None),
            (&[], &[0], Some(MeteredError::RegistersOpen)),
            (&[(1, 5), (10, 9)], &[0], Some(MeteredError::RegistersOpen)),
            (&[(0, 5), (9, 9)], &[0], Some(MeteredError::RegistersOpen)),
            (&[(0, 5), (7, 6), (6, 7), (10, 9)], &[0], Some(MeteredError::RegisterOrder(at(6)))),
            (&[(0, 5), (6, 4), (10, 9)], &[0], Some(MeteredError::RegisterFalls(at(6)))),
            (&[(0, 5), (10, i64::MAX)], &[0], Some(MeteredError::RegisterRange(at(10)))),
            (&[(0, 5), (10, 9)], &[0, 11], Some(MeteredError::ActivityOrder(at(11)))),
        ];
        for (registers, activity, expected) in cases {
            let result = Metered::new(
                at(0),
                at(10),
                registers.iter().map(|(ms, mwh)| (at(*ms), MilliWh(*mwh))).collect(),
                activity.iter().map(|ms| (at(*ms), Activity::Charging)).collect(),
                Vec::new(),
            );
            assert_eq!(result.err(), expected, "{registers:?} {activity:?}");
        }
        let span = |start, end| {
            Metered::new(start, end, vec![(start, MilliWh(0)), (end, MilliWh(0))], vec![(start, Activity::Idle)], vec![])
        };
        assert_eq!(span(at(1), at(0)).err(), Some(MeteredError::EndBeforeStart));
        assert_eq!(span(at(0), at(0) + chrono::Duration::days(367)).err(), Some(MeteredError::TooLong));
        assert_eq!(span(at(0), at(0)).err(), None);
    }
}
