//! Commands and replies, as they stand on the socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// What somebody wants the daemon to do.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    StationCall(StationCall),
    /// Whether a station is served: `accepted`, `pending` or `rejected`.
    StationRegister {
        station: String,
        registration: String,
        reason: String,
    },
    StationVerb(StationVerb),
    /// The tariff files are read again.
    TariffReload {
        reason: String,
    },
    /// Tokens are put on the list, in place of what it says of them; all or none.
    TokenSet {
        tokens: Vec<TokenEntry>,
        reason: String,
    },
    /// Its status becomes Blocked; the rest of its entry stays.
    TokenBlock {
        token: String,
        reason: String,
    },
    /// Tokens are taken off the list.
    TokenRemove {
        tokens: Vec<String>,
        reason: String,
    },
    /// A bill is taken back, and perhaps made anew.
    Correct(Correct),
    /// The live state of the daemon; changes nothing.
    Observe,
}

impl Command {
    /// For the log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StationCall(_) => "station call",
            Self::StationRegister { .. } => "station register",
            Self::StationVerb(_) => "station verb",
            Self::TariffReload { .. } => "tariff reload",
            Self::TokenSet { .. } => "token set",
            Self::TokenBlock { .. } => "token block",
            Self::TokenRemove { .. } => "token remove",
            Self::Correct(_) => "correct",
            Self::Observe => "observe",
        }
    }

    /// Whether it only looks.
    pub const fn only_reads(&self) -> bool {
        matches!(self, Self::Observe | Self::Correct(Correct { dry_run: true, .. }))
    }
}

/// A message to a station, verbatim.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StationCall {
    pub station: String,
    pub action: String,
    /// JSON text, sent as it is.
    pub payload: String,
    /// From now until the answer, in seconds.
    pub timeout_s: u64,
    /// Why; kept with the call and in the audit.
    pub reason: String,
}

/// A charge is taken back by a credit. Unless it is written off, the session is charged anew from all that is known of it now.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Correct {
    pub seq: u64,
    /// None: the present one.
    pub epoch: Option<u64>,
    pub reason: String,
    pub write_off: bool,
    /// Tariff id for the new charge; none: that of the old one.
    pub tariff: Option<String>,
    /// Energy in Wh that a person states; none: what was measured.
    pub energy_wh: Option<String>,
    /// Only say what would come of it.
    pub dry_run: bool,
}

/// What is asked of a station in words of our own; the message for it is made by the daemon, which knows the station's version.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StationVerb {
    pub station: String,
    /// `reset`, `profile set`
    pub verb: String,
    /// Values by the names of the verb's arguments; a flag is there without any.
    pub args: BTreeMap<String, Vec<String>>,
    /// For each message that it takes, until its answer, in seconds.
    pub timeout_s: u64,
    /// Why; kept with the calls and in the audit.
    pub reason: String,
}

/// A token as it should stand on the list. Empty texts and lists mean the same as none.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenEntry {
    pub token: String,
    /// OCPP token type, such as `ISO14443`.
    pub r#type: Option<String>,
    /// `accepted` (default), `blocked`, `expired`, `invalid`.
    pub status: Option<String>,
    pub group: Option<String>,
    /// RFC 3339.
    pub expires: Option<String>,
    /// Where it may charge, `STATION` or `STATION/EVSE`; none: everywhere.
    pub stations: Vec<String>,
    /// Tariff id for its sessions; none: the station's.
    pub tariff: Option<String>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Done,
    /// It was understood and cannot be meant.
    Usage,
    NotFound,
    /// The daemon cannot do it now.
    Refused,
    /// Whom it concerns cannot be reached.
    Unreachable,
    /// The station said no.
    Rejected,
}

/// The one reply to a command.
#[derive(Debug, Deserialize, Serialize)]
pub struct Reply {
    pub outcome: Outcome,
    /// Why, for a person; empty when there is nothing to say.
    pub reason: String,
    /// What came of it, as the command documents it, on one line; `null` when nothing did. As text: what a station said keeps its digits.
    pub result: Box<RawValue>,
}

impl Reply {
    /// What of `result` is JSON text stands on one line.
    pub fn new(outcome: Outcome, reason: String, result: &impl Serialize) -> Self {
        let result = to_raw_value(result).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { outcome, reason, result }
    }

    pub fn refused(outcome: Outcome, reason: String) -> Self {
        Self { outcome, reason, result: RawValue::NULL.to_owned() }
    }

    /// The result of a command whose numbers are ours.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.result.get()).unwrap_or_default()
    }
}
