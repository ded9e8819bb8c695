//! What a station said, independent of the OCPP version. OCPP 1.6, 2.0.1 and 2.1 meet here.
//!
//! `ocpp` turns wire messages into facts; nothing behind this point knows a wire type. Whatever a station left out is `None`
//! and whatever was odd is a [`Finding`]: a fact can always be built from a transaction message, however damaged.

use crate::units::{Decimal, Finding, Time, Token, TxRef};

#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Boot(Boot),
    Heartbeat,
    /// State of one connector (or, with `evse` 0, of the whole station).
    Status(Status),
    Authorize {
        token: Token,
    },
    /// Anything that may belong to a transaction: 1.6 StartTransaction, MeterValues, StopTransaction; 2.x TransactionEvent, MeterValues.
    Tx(Box<TxFact>),
    /// Journaled and acknowledged with an empty answer: 2.x NotifyReport. Other messages without a fact are refused as
    /// NotImplemented, firmware and diagnostics statuses among them (docs/quirks.md Q124).
    Noted,
    /// 2.x NotifyEvent: acknowledged empty. `statuses` holds every AvailabilityState event in it (2.0.1 errata: it may replace
    /// StatusNotification).
    Events {
        statuses: Vec<Status>,
    },
    /// SecurityEventNotification: acknowledged empty, shown as a problem.
    SecurityEvent {
        kind: String,
        detail: Option<String>,
        reported_at: Option<Time>,
    },
    DataTransfer {
        vendor: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Boot {
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub serial: Option<String>,
    pub firmware: Option<String>,
    pub meter_serial: Option<String>,
    pub meter_type: Option<String>,
    /// 2.x boot reason; `None` in 1.6.
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// 1.6: the connector number; 2.x: the EVSE number. 0 = the station itself.
    pub evse: u32,
    /// 1.6: always 1 (each 1.6 connector is an EVSE of its own) or 0 for the station; 2.x: connector within the EVSE.
    pub connector: u32,
    /// As sent, known or not: `Available`, `Occupied`, `SuspendedEV`, ...
    pub state: String,
    /// What the status says about a running charge. 2.x tells it in transaction events, except that a connector is free or cannot
    /// deliver.
    pub charging: Option<ChargingState>,
    pub error: Option<String>,
    pub reported_at: Option<Time>,
    pub findings: Vec<Finding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Start,
    Update,
    Stop,
}

/// OCPP 2.0.1 ChargingStateEnumType; 1.6 statuses map onto it (Charging, SuspendedEV, SuspendedEVSE, Preparing → EvConnected,
/// Finishing → EvConnected, Available → Idle).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargingState {
    Charging,
    EvConnected,
    SuspendedEv,
    SuspendedEvse,
    Idle,
    /// Not in OCPP: the connector is Faulted, Unavailable or Reserved, so the station cannot deliver.
    OutOfService,
}

impl ChargingState {
    pub const ALL: [Self; 6] =
        [Self::Charging, Self::EvConnected, Self::SuspendedEv, Self::SuspendedEvse, Self::Idle, Self::OutOfService];

    /// Whether a connector status (1.6 ChargePointStatus, 2.x ConnectorStatus) says that the connector cannot deliver.
    pub fn out_of_service(status: &str) -> Option<Self> {
        let names = ["Faulted", "Unavailable", "Reserved"];
        names.iter().any(|name| name.eq_ignore_ascii_case(status)).then_some(Self::OutOfService)
    }

    /// What a 2.x connector's status says: that it cannot deliver, or that no vehicle is there. All else is in transaction events.
    pub fn of_connector(status: &str) -> Option<Self> {
        Self::out_of_service(status).or_else(|| status.eq_ignore_ascii_case("Available").then_some(Self::Idle))
    }

    /// Whether a vehicle is connected and has been let charge: so a transaction runs.
    pub const fn is_in_use(self) -> bool {
        matches!(self, Self::Charging | Self::SuspendedEv | Self::SuspendedEvse)
    }

    /// The 2.0.1 spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charging => "Charging",
            Self::EvConnected => "EVConnected",
            Self::SuspendedEv => "SuspendedEV",
            Self::SuspendedEvse => "SuspendedEVSE",
            Self::Idle => "Idle",
            Self::OutOfService => "OutOfService",
        }
    }

    pub fn from_name(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(text))
    }
}

/// One message's contribution to a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct TxFact {
    pub phase: Phase,
    /// `None`: a 1.6 StartTransaction (we assign the id), or a message without a usable id (absent, 0, negative in 1.6).
    pub tx: Option<TxRef>,
    /// 2.x `seqNo`.
    pub seq_no: Option<i64>,
    /// 2.x: the station says that it was offline when this happened.
    pub offline: bool,
    /// 1.6: the connector number; 2.x: the EVSE id. `None` when not said; `Some(0)` = main meter or unstated EVSE.
    pub evse: Option<u32>,
    /// 2.x connector within the EVSE; 1.6: `None`.
    pub connector: Option<u32>,
    pub reported_at: Option<Time>,
    pub token: Option<Token>,
    /// 1.6 `meterStart` (phase Start) or `meterStop` (phase Stop), in Wh as sent; may be negative or fractional in the field.
    pub register_wh: Option<Decimal>,
    pub readings: Vec<Reading>,
    pub charging: Option<ChargingState>,
    /// 1.6 `reason` / 2.x `stoppedReason`, only with phase Stop; absent = Local.
    pub stop_reason: Option<String>,
    /// 2.x `triggerReason`.
    pub trigger: Option<String>,
    pub remote_start_id: Option<i64>,
    /// `None` also for 0, which some stations send in every start.
    pub reservation_id: Option<i64>,
    pub findings: Vec<Finding>,
}

impl TxFact {
    /// A fact that says nothing yet.
    pub fn new(phase: Phase) -> Self {
        Self {
            phase,
            tx: None,
            seq_no: None,
            offline: false,
            evse: None,
            connector: None,
            reported_at: None,
            token: None,
            register_wh: None,
            readings: Vec::new(),
            charging: None,
            stop_reason: None,
            trigger: None,
            remote_start_id: None,
            reservation_id: None,
            findings: Vec::new(),
        }
    }
}

/// The sampled values that share one timestamp (OCPP MeterValue).
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Reading {
    /// The station's time stamp of the samples; `None` when missing or unreadable.
    pub measured_at: Option<Time>,
    pub samples: Vec<Sample>,
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
