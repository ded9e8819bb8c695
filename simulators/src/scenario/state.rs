//! What a run of a scenario remembers: the moment to be rendered, the transaction under way, the expected sessions so far.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::{Border, ExpectedSession, Scenario};
use crate::station::TransactionMessage;

/// One CALL, rendered.
pub struct Call {
    pub action: &'static str,
    pub payload: Value,
    pub transaction: bool,
}

impl Call {
    pub fn ordinary(action: &'static str, payload: Value) -> Self {
        Self { action, payload, transaction: false }
    }

    pub fn transaction(action: &'static str, payload: Value) -> Self {
        Self { action, payload, transaction: true }
    }
}

/// What a message is rendered from.
pub struct Moment {
    pub at: DateTime<Utc>,
    pub connector: u32,
    pub token: String,
    pub tx: String,
    pub seq: u32,
    pub register_wh: i64,
    pub watts: i64,
    pub offline: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Available,
    Plugged,
    Charging,
    SuspendedEv,
    SuspendedEvse,
    Finishing,
}

/// OCPP time in UTC to the second.
pub fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The transaction under way.
pub struct Running {
    pub expected: ExpectedSession,
    /// The station's own name of it; the transaction id in 2.x.
    pub tx: String,
    pub seq: u32,
    pub delivered_before_wh: i64,
    pub idle_since: Option<DateTime<Utc>>,
    pub parked_since: Option<DateTime<Utc>>,
    pub stopped: bool,
}

/// The state of one run.
pub struct RunState {
    pub connector: u32,
    pub token: String,
    pub tx_start: Border,
    pub tx_stop: Border,
    pub running: Option<Running>,
    pub sessions: Vec<(String, ExpectedSession)>,
    pub sent: Vec<(String, String)>,
    pub last: Option<TransactionMessage>,
    pub start: Option<TransactionMessage>,
    pub stop: Option<TransactionMessage>,
    /// A status that could not be sent.
    pub unsent_status: Option<Call>,
    pub cut: bool,
    pub messages: usize,
    pub complaints: Vec<String>,
}

impl RunState {
    pub fn of(scenario: &Scenario) -> Self {
        Self {
            connector: scenario.connector,
            token: scenario.token.clone(),
            tx_start: scenario.tx_start,
            tx_stop: scenario.tx_stop,
            running: None,
            sessions: Vec::new(),
            sent: Vec::new(),
            last: None,
            start: None,
            stop: None,
            unsent_status: None,
            cut: false,
            messages: 0,
            complaints: Vec::new(),
        }
    }
}

impl Running {
    pub fn unsuspend(&mut self, at: DateTime<Utc>) {
        if let Some(since) = self.idle_since.take() {
            self.expected.idle_s += (at - since).num_seconds();
        }
    }

    pub fn unpark(&mut self, at: DateTime<Utc>) {
        if let Some(since) = self.parked_since.take() {
            self.expected.parked_s += (at - since).num_seconds();
        }
    }
}
