//! What the uplink asks of whoever keeps the records. Calls may block on a disk; the uplink makes them off its own thread.

use super::commands::Commands;
use std::time::Duration;

use serde::Deserialize;

use crate::units::Time;

/// Whose records these are. Fixed while the uplink runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub site: String,
    pub epoch: u64,
}

/// One committed record, ready to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub epoch: u64,
    pub seq: u64,
    /// `charge`, `credit`, ...: a topic level, so letters, digits and `-` only.
    pub kind: String,
    pub record_id: String,
    /// The stored bytes, which are the signed bytes.
    pub jws: String,
}

/// Head office's word that it has committed every record up to `through`. Cumulative.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Receipt {
    pub site: String,
    pub epoch: u64,
    pub through: u64,
    /// base64url SHA-256 of the JWS of record `through`.
    pub root: String,
    #[serde(default)]
    pub rejected: Vec<Rejected>,
}

/// A record head office has, but cannot use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Rejected {
    pub seq: u64,
    pub code: String,
}

/// What the store made of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// Rows are retired; the highest receipted number now.
    Retired(u64),
    /// An old receipt, for what is retired already.
    Known,
    /// Another site or epoch, a number we never gave, or a root that is not ours: nothing was changed. The reason, for a person.
    Refused(String),
}

/// The numbers of the `status` topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusFacts {
    pub last_seq: u64,
    /// Records without a receipt.
    pub outbox: u64,
    /// The key that signs now.
    pub kid: String,
    /// Start of this daemon.
    pub since: Time,
    pub version: String,
}

/// The uplink's own state, for `forecourt status` and `outbox status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    pub up: bool,
    /// Why it is down, or what is wrong although it is up.
    pub error: Option<String>,
    /// Highest record number that a broker has taken, as of some seconds ago. Not delivery: see [`Receipt`].
    pub sent: u64,
}

/// The store could not do it. The uplink logs this, drops its connection and comes back after a wait.
#[derive(Debug, thiserror::Error)]
#[error("outbox: {attempted}")]
pub struct OutboxError {
    pub attempted: &'static str,
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

pub trait Outbox: Send + Sync + 'static {
    fn identity(&self) -> Identity;

    /// At most `limit` committed records with a number above `seq`, ascending.
    fn after(&self, seq: u64, limit: usize) -> Result<Vec<Outgoing>, OutboxError>;

    /// The highest receipted number; 0 before the first receipt.
    fn receipted(&self) -> Result<u64, OutboxError>;

    /// Checks a receipt against the chain and, if it holds, retires the rows, in one transaction.
    fn receipt(&self, receipt: Receipt) -> Result<ReceiptOutcome, OutboxError>;

    /// The JSON inside a receipt's payload. Override it to demand a signature of head office; `Err` says what is wrong with it.
    fn unseal(&self, payload: &[u8]) -> Result<Vec<u8>, String> {
        Ok(payload.to_vec())
    }

    /// The broker does not take this record: count it and show a person why, and when it is offered again.
    fn quarantine(&self, seq: u64, reason: &str, wait: Duration) -> Result<(), OutboxError>;

    /// The broker has taken a record that was quarantined.
    fn taken_after_all(&self, seq: u64) -> Result<(), OutboxError>;

    /// Records quarantined and not taken since, and how often each was refused: also those of earlier runs.
    fn quarantined(&self) -> Result<Vec<(u64, u32)>, OutboxError>;

    /// Nothing is left to send before `wait` has passed but what the broker refused. Called often; it must not block.
    fn rests(&self, _wait: Duration) {}

    /// Where commands of head office are carried out; `None`: not by this uplink.
    fn commands(&self) -> Option<Commands> {
        None
    }

    fn status(&self) -> Result<StatusFacts, OutboxError>;

    /// The public keys, as a JWKS document.
    fn jwks(&self) -> Result<String, OutboxError>;

    /// Called when the state or its error changes, and some seconds after records were sent; not for each retry.
    fn link_changed(&self, state: LinkState);
}
