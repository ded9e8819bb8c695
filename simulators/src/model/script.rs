//! What a station says, message by message, in terms that 1.6 and 2.x share; no wire format and nothing of the daemon's.
//!
//! Each message knows the truth behind it (when it happened, which session and EVSE it is about) beside what it claims.

use super::{MilliWh, Millis};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V16,
    V201,
    V21,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// When it happened.
    pub at: Millis,
    /// When it arrives.
    pub sent: Millis,
    /// The same number again is the same message again, with the same text.
    pub id: u64,
    /// The session it is about: an index into the sessions of the world.
    pub of: Option<usize>,
    /// The EVSE it is about, whatever it claims.
    pub evse: u32,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Boot,
    Status(Status),
    Tx(Tx),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub evse: u32,
    /// As on the wire.
    pub state: &'static str,
    pub at: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Start,
    Update,
    Stop,
}

/// How a message names its transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Name {
    /// Not at all; 1.6: 0 or -1.
    Nothing,
    /// The id that the central system answered to the start of this session (1.6); as long as there was none: nothing.
    Given(usize),
    Text(String),
}

/// 2.x chargingState.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Charging,
    Connected,
    SuspendedEv,
    SuspendedEvse,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Tx {
    pub phase: Phase,
    pub name: Name,
    pub seq: Option<i64>,
    pub offline: bool,
    /// The connector (1.6) or EVSE (2.x) it claims.
    pub evse: Option<u32>,
    /// The station's clock. 1.6 MeterValues have times in their readings only.
    pub at: Option<Millis>,
    pub tag: Option<u32>,
    /// 1.6 meterStart or meterStop.
    pub register: Option<MilliWh>,
    pub readings: Vec<Reading>,
    pub state: Option<State>,
    pub reason: Option<&'static str>,
    pub trigger: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Periodic,
    Begin,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub at: Option<Millis>,
    pub context: Context,
    pub values: Vec<Measured>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Lifetime or session register in mWh: the total, or one of three phases.
    Register,
    RegisterOfPhase(u8),
    /// Energy since the sample before, in mWh.
    Interval,
    /// W.
    Power,
    /// mA, sum of phases.
    Current,
    /// Percent.
    StateOfCharge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    pub quantity: Quantity,
    pub value: i64,
}

impl Message {
    pub fn tx(&self) -> Option<&Tx> {
        match &self.body {
            Body::Tx(tx) => Some(tx),
            _ => None,
        }
    }

    pub fn tx_mut(&mut self) -> Option<&mut Tx> {
        match &mut self.body {
            Body::Tx(tx) => Some(tx),
            _ => None,
        }
    }

    pub fn is_status(&self) -> bool {
        matches!(self.body, Body::Status(_))
    }

    pub fn is(&self, session: usize, phase: Phase) -> bool {
        self.of == Some(session) && self.tx().is_some_and(|tx| tx.phase == phase)
    }
}

impl Tx {
    pub fn new(phase: Phase) -> Self {
        Self {
            phase,
            name: Name::Nothing,
            seq: None,
            offline: false,
            evse: None,
            at: None,
            tag: None,
            register: None,
            readings: Vec::new(),
            state: None,
            reason: None,
            trigger: None,
        }
    }

    /// Every register in it, changed; also those in readings.
    pub fn change_registers(&mut self, change: impl Fn(MilliWh) -> MilliWh) {
        self.register = self.register.map(&change);
        for value in self.readings.iter_mut().flat_map(|reading| &mut reading.values) {
            if matches!(value.quantity, Quantity::Register | Quantity::RegisterOfPhase(_)) {
                value.value = change(value.value);
            }
        }
    }

    pub fn has_register(&self) -> bool {
        let of = |value: &Measured| matches!(value.quantity, Quantity::Register | Quantity::RegisterOfPhase(_));
        self.register.is_some() || self.readings.iter().any(|reading| reading.values.iter().any(of))
    }
}
