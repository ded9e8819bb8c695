//! How much of a dimension was used: energy, time or sessions, each in its own unit, all as whole numbers.

use chrono::TimeDelta;

use crate::units::{Decimal, MilliWh};

const MS_PER_HOUR: i64 = 3_600_000;
const MWH_PER_KWH: i64 = 1_000_000;
/// One step unit, 1 Wh or 1 s, is so many mWh or ms.
const PER_STEP_UNIT: i64 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volume {
    Sessions(i64),
    Energy(MilliWh),
    Time(TimeDelta),
}

impl Volume {
    /// In sessions, mWh or ms.
    fn count(self) -> i64 {
        match self {
            Self::Sessions(count) => count,
            Self::Energy(energy) => energy.0,
            Self::Time(time) => time.num_milliseconds(),
        }
    }

    fn with(self, count: i64) -> Self {
        match self {
            Self::Sessions(_) => Self::Sessions(count),
            Self::Energy(_) => Self::Energy(MilliWh(count)),
            Self::Time(_) => Self::Time(TimeDelta::milliseconds(count)),
        }
    }

    pub(super) fn is_positive(self) -> bool {
        self.count() > 0
    }

    /// Both are of one dimension.
    pub(super) fn plus(self, other: Self) -> Self {
        debug_assert_eq!(std::mem::discriminant(&self), std::mem::discriminant(&other));
        self.with(self.count() + other.count())
    }

    /// What is missing to a whole number of steps; a step of 0 asks for none.
    pub(super) fn missing_to_step(self, step_size: u32) -> Self {
        let step = i64::from(step_size) * PER_STEP_UNIT;
        let over = if step == 0 { 0 } else { self.count() % step };
        self.with(if over == 0 { 0 } else { step - over })
    }

    /// How many of these make one unit of the price: a kWh, an hour, a session.
    fn per_unit(self) -> Decimal {
        Decimal::from(match self {
            Self::Sessions(_) => 1,
            Self::Energy(_) => MWH_PER_KWH,
            Self::Time(_) => MS_PER_HOUR,
        })
    }

    /// In the unit of the price, to six decimals, for show.
    pub(super) fn quantity(self) -> Decimal {
        (Decimal::from(self.count()) / self.per_unit()).round_dp(6).normalize()
    }

    /// At this price per unit, exact but for the one division: price and volume are bounded (tariff numbers to 13 digits, registers
    /// to 15), so the product is exact.
    pub(super) fn at(self, price: Decimal) -> Decimal {
        price * Decimal::from(self.count()) / self.per_unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_of_each_unit() {
        let energy = Volume::Energy(MilliWh(115_200));
        assert_eq!(energy.missing_to_step(1), Volume::Energy(MilliWh(800)));
        assert_eq!((energy.missing_to_step(0), energy.quantity()), (Volume::Energy(MilliWh(0)), Decimal::new(1152, 4)));
        let time = Volume::Time(TimeDelta::minutes(42));
        assert_eq!(time.missing_to_step(300), Volume::Time(TimeDelta::minutes(3)));
        assert_eq!(time.plus(time.missing_to_step(300)).at(Decimal::from(5)), Decimal::new(375, 2));
        assert_eq!(Volume::Sessions(1).at(Decimal::new(50, 2)), Decimal::new(50, 2));
    }
}
