//! Sampled values (OCPP MeterValue, SampledValue), and the closed lists of names in them.

use crate::units::{Decimal, Time};

/// The sampled values that share one timestamp (OCPP MeterValue).
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Reading {
    /// The station's time stamp of the samples; `None` when missing or unreadable.
    pub measured_at: Option<Time>,
    pub samples: Vec<Sample>,
}

impl Reading {
    /// What was measured at the outlet: the total if sent, else the sum of the phases.
    pub fn phase_sum(&self, measurand: &Measurand) -> Option<Decimal> {
        let samples =
            || self.samples.iter().filter(|sample| &sample.measurand == measurand && sample.location == Location::Outlet);
        let total = samples().filter(|sample| sample.phase == LinePhase::Total).find_map(|sample| sample.value.number());
        let lines = |sample: &&Sample| matches!(sample.phase, LinePhase::L1 | LinePhase::L2 | LinePhase::L3);
        let values = || samples().filter(lines).map(|sample| sample.value.number()).filter(Option::is_some);
        total.or_else(|| values().reduce(|sum, value| sum?.checked_add(value?)).flatten())
    }
}

/// One sampled value, its unit normalised to the base unit of its measurand (Wh, W, A, V, Hz, %, varh, VA ...).
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Sample {
    pub measurand: Measurand,
    pub context: Context,
    pub location: Location,
    pub phase: LinePhase,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Value {
    /// In the base unit of the measurand.
    Number(Decimal),
    /// Signed meter data, byte for byte as sent (1.6 `format: SignedData`: the value; 2.x: the raw JSON text of `signedMeterValue`,
    /// beside the Number sample it belongs to).
    Signed(Box<str>),
}

impl Value {
    pub const fn number(&self) -> Option<Decimal> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Signed(_) => None,
        }
    }
}

/// Gives a closed list of wire names with stable small codes (the store writes the code) and room for anything else.
macro_rules! wire_names {
    ($(#[$meta:meta])* $name:ident, default $default:ident { $($variant:ident = $code:literal $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($variant,)+ Other(Box<str>) }

        impl $name {
            pub fn from_wire(text: &str) -> Self {
                match text { $($text => Self::$variant,)+ other => Self::from_wire_leniently(other) }
            }

            /// Spelling mistakes seen in the field: letter case and white space.
            fn from_wire_leniently(text: &str) -> Self {
                let trimmed = text.trim();
                $(if trimmed.eq_ignore_ascii_case($text) { return Self::$variant; })+
                Self::Other(trimmed.into())
            }

            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $text,)+ Self::Other(text) => text }
            }

            /// The number under which the store keeps this name; `None` for names outside the list. Numbers are never reused.
            pub const fn code(&self) -> Option<u8> {
                match self { $(Self::$variant => Some($code),)+ Self::Other(_) => None }
            }

            pub const NAMES: &'static [(u8, &'static str)] = &[$(($code, $text)),+];

            pub fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }

        impl Default for $name { fn default() -> Self { Self::$default } }
    };
}

wire_names! {
    /// OCPP measurands of 1.6 and 2.0.1; those that 2.1 adds are kept by name.
    Measurand, default EnergyActiveImportRegister {
        EnergyActiveImportRegister = 0 "Energy.Active.Import.Register",
        EnergyActiveExportRegister = 1 "Energy.Active.Export.Register",
        EnergyActiveImportInterval = 2 "Energy.Active.Import.Interval",
        EnergyActiveExportInterval = 3 "Energy.Active.Export.Interval",
        EnergyReactiveImportRegister = 4 "Energy.Reactive.Import.Register",
        EnergyReactiveExportRegister = 5 "Energy.Reactive.Export.Register",
        EnergyReactiveImportInterval = 6 "Energy.Reactive.Import.Interval",
        EnergyReactiveExportInterval = 7 "Energy.Reactive.Export.Interval",
        PowerActiveImport = 8 "Power.Active.Import",
        PowerActiveExport = 9 "Power.Active.Export",
        PowerReactiveImport = 10 "Power.Reactive.Import",
        PowerReactiveExport = 11 "Power.Reactive.Export",
        PowerOffered = 12 "Power.Offered",
        PowerFactor = 13 "Power.Factor",
        CurrentImport = 14 "Current.Import",
        CurrentExport = 15 "Current.Export",
        CurrentOffered = 16 "Current.Offered",
        Voltage = 17 "Voltage",
        Frequency = 18 "Frequency",
        Temperature = 19 "Temperature",
        SoC = 20 "SoC",
        Rpm = 21 "RPM",
        EnergyActiveNet = 22 "Energy.Active.Net",
        EnergyReactiveNet = 23 "Energy.Reactive.Net",
        EnergyApparentNet = 24 "Energy.Apparent.Net",
        EnergyApparentImport = 25 "Energy.Apparent.Import",
        EnergyApparentExport = 26 "Energy.Apparent.Export",
    }
}

wire_names! {
    /// OCPP ReadingContext.
    Context, default SamplePeriodic {
        SamplePeriodic = 0 "Sample.Periodic",
        SampleClock = 1 "Sample.Clock",
        TransactionBegin = 2 "Transaction.Begin",
        TransactionEnd = 3 "Transaction.End",
        InterruptionBegin = 4 "Interruption.Begin",
        InterruptionEnd = 5 "Interruption.End",
        Trigger = 6 "Trigger",
        NotSpecified = 7 "Other",
    }
}

wire_names! {
    /// OCPP Location: where along the cable the value was measured.
    Location, default Outlet {
        Outlet = 0 "Outlet",
        Inlet = 1 "Inlet",
        Body = 2 "Body",
        Cable = 3 "Cable",
        Ev = 4 "EV",
        Upstream = 5 "Upstream",
    }
}

wire_names! {
    /// OCPP Phase; `Total` stands for an absent phase.
    LinePhase, default Total {
        Total = 0 "",
        L1 = 1 "L1",
        L2 = 2 "L2",
        L3 = 3 "L3",
        N = 4 "N",
        L1N = 5 "L1-N",
        L2N = 6 "L2-N",
        L3N = 7 "L3-N",
        L1L2 = 8 "L1-L2",
        L2L3 = 9 "L2-L3",
        L3L1 = 10 "L3-L1",
    }
}
