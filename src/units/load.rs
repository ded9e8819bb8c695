//! Electric power and current as whole numbers, fine enough for every number that a tariff may have.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// Power in milliwatts: kilowatts with six decimals are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MilliW(pub i64);

/// Current in microamperes: amperes with six decimals are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroA(pub i64);

impl MilliW {
    /// Digits below a milliwatt are rounded half away from zero. `None` when out of range.
    pub fn from_watts(watts: Decimal) -> Option<Self> {
        scaled(watts, 1_000).map(Self)
    }

    pub fn from_kw(kw: Decimal) -> Option<Self> {
        scaled(kw, 1_000_000).map(Self)
    }

    /// Kilowatts, exact.
    pub fn kw(self) -> Decimal {
        Decimal::new(self.0, 6).normalize()
    }
}

impl MicroA {
    /// Digits below a microampere are rounded half away from zero. `None` when out of range.
    pub fn from_amperes(amperes: Decimal) -> Option<Self> {
        scaled(amperes, 1_000_000).map(Self)
    }

    /// Amperes, exact.
    pub fn amperes(self) -> Decimal {
        Decimal::new(self.0, 6).normalize()
    }
}

fn scaled(value: Decimal, by: i64) -> Option<i64> {
    let scaled = value.checked_mul(Decimal::from(by))?;
    scaled.round_dp_with_strategy(0, rust_decimal::RoundingStrategy::MidpointAwayFromZero).to_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_tariffs_and_stations_are_exact() {
        let dec = |text: &str| -> Decimal { text.parse().expect("decimal") };
        assert_eq!(MilliW::from_kw(dec("22.000001")), Some(MilliW(22_000_001)));
        assert_eq!(MilliW::from_watts(dec("11040.5")), Some(MilliW(11_040_500)));
        assert_eq!(MilliW(11_040_500).kw().to_string(), "11.0405");
        assert_eq!(MicroA::from_amperes(dec("32.00")).map(MicroA::amperes), Some(dec("32")));
        assert_eq!((MilliW::from_kw(Decimal::MAX), MicroA::from_amperes(Decimal::MAX)), (None, None));
    }
}
