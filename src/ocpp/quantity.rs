//! Units of measure: what they measure and how to come to the base unit (OCPP 1.6 §7.45; 2.0.1 Part 2 appendices;
//! docs/quirks.md Q89 to Q92).

use super::number::times_ten_to;
use crate::fact::Measurand;
use crate::units::Decimal;

/// A physical quantity; each has one base unit, in which the store keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Wh
    ActiveEnergy,
    /// varh
    ReactiveEnergy,
    /// VAh
    ApparentEnergy,
    /// W
    ActivePower,
    /// var
    ReactivePower,
    /// VA
    ApparentPower,
    /// A
    Current,
    /// V
    Voltage,
    /// Hz
    Frequency,
    /// Degrees Celsius
    Temperature,
    /// Percent
    Share,
    /// Revolutions per minute
    Revolutions,
}

use Quantity::{
    ActiveEnergy, ActivePower, ApparentEnergy, ApparentPower, Current, Frequency, ReactiveEnergy, ReactivePower, Revolutions,
    Share, Temperature, Voltage,
};

impl Quantity {
    pub(super) fn of(measurand: &Measurand) -> Option<Self> {
        use Measurand as M;
        Some(match measurand {
            M::EnergyActiveImportRegister
            | M::EnergyActiveExportRegister
            | M::EnergyActiveImportInterval
            | M::EnergyActiveExportInterval
            | M::EnergyActiveNet => ActiveEnergy,
            M::EnergyReactiveImportRegister
            | M::EnergyReactiveExportRegister
            | M::EnergyReactiveImportInterval
            | M::EnergyReactiveExportInterval
            | M::EnergyReactiveNet => ReactiveEnergy,
            M::EnergyApparentNet | M::EnergyApparentImport | M::EnergyApparentExport => ApparentEnergy,
            M::PowerActiveImport | M::PowerActiveExport | M::PowerOffered => ActivePower,
            M::PowerReactiveImport | M::PowerReactiveExport => ReactivePower,
            M::CurrentImport | M::CurrentExport | M::CurrentOffered => Current,
            M::Voltage => Voltage,
            M::Frequency => Frequency,
            M::Temperature => Temperature,
            M::SoC => Share,
            M::Rpm => Revolutions,
            M::PowerFactor | M::Other(_) => return None,
        })
    }

    /// What a sample in a unit of this quantity most likely measures when it does not say. Only `ActiveEnergy` is the standard's
    /// default; the others are guesses for the eye.
    pub(super) fn likely_measurand(self) -> Measurand {
        match self {
            ActiveEnergy => Measurand::EnergyActiveImportRegister,
            ReactiveEnergy => Measurand::EnergyReactiveImportRegister,
            ApparentEnergy => Measurand::EnergyApparentImport,
            ActivePower | ApparentPower => Measurand::PowerActiveImport,
            ReactivePower => Measurand::PowerReactiveImport,
            Current => Measurand::CurrentImport,
            Voltage => Measurand::Voltage,
            Frequency => Measurand::Frequency,
            Temperature => Measurand::Temperature,
            Share => Measurand::SoC,
            Revolutions => Measurand::Rpm,
        }
    }

    /// Power and energy, active, reactive and apparent: stations mix up their unit names, but mean the prefix
    /// (docs/quirks.md Q90).
    const fn is_power_or_energy(self) -> bool {
        matches!(self, ActiveEnergy | ReactiveEnergy | ApparentEnergy | ActivePower | ReactivePower | ApparentPower)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// The base unit times ten to this power.
    Ten(i64),
    Kelvin,
    Fahrenheit,
}

use Scale::{Fahrenheit, Kelvin, Ten};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) quantity: Quantity,
    scale: Scale,
}

/// Every spelling accepted, frequent ones first. Letter case matters only between `mW`/`MW` and `mWh`/`MWh`.
const UNITS: &[(&str, Quantity, Scale)] = &[
    ("Wh", ActiveEnergy, Ten(0)),
    ("W", ActivePower, Ten(0)),
    ("A", Current, Ten(0)),
    ("V", Voltage, Ten(0)),
    ("kWh", ActiveEnergy, Ten(3)),
    ("kW", ActivePower, Ten(3)),
    ("Percent", Share, Ten(0)),
    ("Celsius", Temperature, Ten(0)),
    ("Hz", Frequency, Ten(0)),
    ("MWh", ActiveEnergy, Ten(6)),
    ("mWh", ActiveEnergy, Ten(-3)),
    ("MW", ActivePower, Ten(6)),
    ("mW", ActivePower, Ten(-3)),
    ("varh", ReactiveEnergy, Ten(0)),
    ("kvarh", ReactiveEnergy, Ten(3)),
    ("VAh", ApparentEnergy, Ten(0)),
    ("kVAh", ApparentEnergy, Ten(3)),
    ("var", ReactivePower, Ten(0)),
    ("kvar", ReactivePower, Ten(3)),
    ("VA", ApparentPower, Ten(0)),
    ("kVA", ApparentPower, Ten(3)),
    ("Watt", ActivePower, Ten(0)),
    ("Watts", ActivePower, Ten(0)),
    ("Amp", Current, Ten(0)),
    ("Amps", Current, Ten(0)),
    ("Ampere", Current, Ten(0)),
    ("Amperes", Current, Ten(0)),
    ("mA", Current, Ten(-3)),
    ("Volt", Voltage, Ten(0)),
    ("Volts", Voltage, Ten(0)),
    ("mV", Voltage, Ten(-3)),
    ("kV", Voltage, Ten(3)),
    ("Hertz", Frequency, Ten(0)),
    ("mHz", Frequency, Ten(-3)),
    ("Celcius", Temperature, Ten(0)),
    ("C", Temperature, Ten(0)),
    ("°C", Temperature, Ten(0)),
    ("K", Temperature, Kelvin),
    ("Kelvin", Temperature, Kelvin),
    ("F", Temperature, Fahrenheit),
    ("Fahrenheit", Temperature, Fahrenheit),
    ("%", Share, Ten(0)),
    ("RPM", Revolutions, Ten(0)),
];

impl Unit {
    /// `name` without surrounding white space.
    pub(super) fn named(name: &str) -> Option<Self> {
        let exact = UNITS.iter().find(|(text, ..)| *text == name);
        let (_, quantity, scale) = exact.or_else(|| UNITS.iter().find(|(text, ..)| text.eq_ignore_ascii_case(name)))?;
        Some(Self { quantity: *quantity, scale: *scale })
    }

    /// Whether a sample of `quantity` may be scaled by this unit.
    pub(super) fn scales(self, quantity: Quantity) -> bool {
        self.quantity == quantity || (self.quantity.is_power_or_energy() && quantity.is_power_or_energy())
    }

    /// `value` · 10^`multiplier` of this unit in its base unit; `None` when that has too many digits.
    pub(super) fn to_base(self, value: Decimal, multiplier: i64) -> Option<Decimal> {
        match self.scale {
            Ten(power) => times_ten_to(value, multiplier.checked_add(power)?),
            Kelvin => times_ten_to(value, multiplier)?.checked_sub(Decimal::new(27315, 2)),
            Fahrenheit => {
                let above_freezing = times_ten_to(value, multiplier)?.checked_sub(Decimal::new(32, 0))?;
                above_freezing.checked_mul(Decimal::new(5, 0))?.checked_div(Decimal::new(9, 0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn units_come_to_their_base() {
        for (unit, value, multiplier, expected) in [
            ("kWh", "1.234", 0, "1234"),
            ("KWH", "1.5", 0, "1500"),
            ("Wh", "12", 3, "12000"),
            ("MWh", "0.0012", 0, "1200.0"),
            ("mWh", "1200", 0, "1.2"),
            ("kW", "7.4", 0, "7400"),
            ("Amp", "16.0", 0, "16.0"),
            ("mA", "16000", 0, "16"),
            ("K", "300", 0, "26.85"),
            ("Fahrenheit", "212", 0, "100"),
            ("°C", "21", 0, "21"),
        ] {
            let base = Unit::named(unit).unwrap().to_base(value.parse().unwrap(), multiplier).unwrap();
            assert_eq!(base, expected.parse().unwrap(), "{value} {unit}");
        }
        assert_eq!(Unit::named("furlong"), None);
        assert_eq!(Unit::named("Wh").unwrap().to_base(Decimal::ONE, i64::MAX), None);
        assert_eq!(Unit::named("kWh").unwrap().to_base(Decimal::ONE, i64::MAX), None);
    }

    #[test]
    fn prefixes_carry_between_power_and_energy_only() {
        assert!(Unit::named("kWh").unwrap().scales(ActivePower));
        assert!(!Unit::named("mA").unwrap().scales(ActiveEnergy));
    }
}
