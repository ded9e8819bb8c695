//! What a station said and what it is told, independent of the OCPP version. OCPP 1.6, 2.0.1 and 2.1 meet here. Pure.
//!
//! `ocpp` turns wire messages into facts and answers into wire messages; nothing behind this point knows a wire type. Whatever a
//! station left out is `None` and whatever was odd is a [`Finding`]: a fact can always be built from a transaction message,
//! however damaged. `station` and `session` decide what a fact means.

mod answer;
pub mod plausible_time;
mod reading;
pub mod register;
mod request;

pub use answer::{Answer, AuthStatus, Refusal, RefusalKind, Registration, TokenInfo};
pub use reading::{Context, LinePhase, Location, Measurand, Reading, Sample, Value};
pub use request::{Request, Setting, SettingName, SettingState};

use crate::units::time::to_millis;
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
    /// Journaled, and nothing follows from it yet: reports, firmware and log statuses, and the like (docs/messages.md). `ocpp` knows what
    /// each is answered with.
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
    /// What a station answered to [`Request::ReadSettings`].
    Settings(Vec<SettingState>),
    /// It did not say: a CALLERROR, no answer in time, or one that cannot be read.
    SettingsUnknown {
        why: String,
    },
    /// What it answered to [`Request::ChangeSettings`], setting by setting: `Accepted`, `Rejected`, ...
    SettingsChanged(Vec<(Setting, String)>),
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

impl Phase {
    /// A stable number for the store and for comparison.
    pub const fn code(self) -> u8 {
        match self {
            Self::Start => 0,
            Self::Update => 1,
            Self::Stop => 2,
        }
    }
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
    /// What identifies a message that names no transaction: EVSE, token, time and register, as sent.
    pub fn start_key(&self) -> Option<String> {
        let token = self.token.as_ref().map(Token::folded).unwrap_or_default();
        let at = self.reported_at.map(to_millis).unwrap_or_default();
        let register = self.register_wh.map(|wh| wh.normalize().to_string()).unwrap_or_default();
        match self.phase {
            Phase::Start => Some(format!("start {} {token} {at} {register}", self.evse.unwrap_or(0))),
            Phase::Stop => Some(format!("stop {token} {at} {register}")),
            Phase::Update => None,
        }
    }

    /// When the station says that this happened: MeterValues have no time but that of their samples.
    pub fn said_at(&self) -> Option<Time> {
        self.reported_at.or_else(|| self.readings.iter().filter_map(|reading| reading.measured_at).max())
    }

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
