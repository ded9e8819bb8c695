//! Energy as whole milliwatt-hours.

use std::ops::{Add, Sub};

use rust_decimal::Decimal;

/// Energy or a meter register in milliwatt-hours. 64 bits hold 9.2 PWh, so sums of real registers cannot overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MilliWh(pub i64);

impl MilliWh {
    /// From watt-hours; digits below a milliwatt-hour are rounded half away from zero. `None` when out of range.
    pub fn from_wh(wh: Decimal) -> Option<Self> {
        use rust_decimal::prelude::ToPrimitive;
        let milli = wh.checked_mul(Decimal::ONE_THOUSAND)?;
        let whole = milli.round_dp_with_strategy(0, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
        whole.to_i64().map(Self)
    }

    /// Largest register that is taken for one (1 TWh), so that no difference or product can overflow.
    pub const MAX_REGISTER: Self = Self(1_000_000_000_000_000);

    /// A value that an import register can have.
    pub fn is_register(&self) -> bool {
        (0..=Self::MAX_REGISTER.0).contains(&self.0)
    }

    /// Watt-hours, exact.
    pub fn wh(self) -> Decimal {
        Decimal::new(self.0, 3).normalize()
    }

    /// Kilowatt-hours, exact.
    pub fn kwh(self) -> Decimal {
        Decimal::new(self.0, 6).normalize()
    }
}

impl Add for MilliWh {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for MilliWh {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watt_hours_keep_their_digits() {
        let wh: Decimal = "1234.567".parse().expect("decimal");
        assert_eq!(MilliWh::from_wh(wh), Some(MilliWh(1_234_567)));
        assert_eq!(MilliWh(1_234_567).wh().to_string(), "1234.567");
        assert_eq!(MilliWh(1_234_567).kwh().to_string(), "1.234567");
        assert_eq!(MilliWh::from_wh("0.0005".parse().expect("decimal")), Some(MilliWh(1)));
        assert_eq!(MilliWh::from_wh(Decimal::MAX), None);
    }
}
