//! The snapshot: what edges see of the running daemon. Times are RFC 3339 UTC; members are added, never renamed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The daemon at one moment.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Snapshot {
    pub at: String,
    pub site: String,
    pub epoch: i64,
    pub version: String,
    pub started_at: String,
    pub uptime_s: u64,
    pub stations: Stations,
    pub messages: Vec<MessageCounts>,
    pub repeats: u64,
    pub left_out: u64,
    pub findings: BTreeMap<String, u64>,
    pub sessions_opened: u64,
    /// Ended calls by state.
    pub calls: BTreeMap<String, u64>,
    pub store: StoreState,
    /// Numbers of the epoch in use: the last record that is signed, the last that may leave, the last that head office confirmed.
    pub sealed_seq: u64,
    pub last_seq: u64,
    pub acknowledged_seq: u64,
    /// `null`: no broker is configured, or it was not tried yet.
    pub uplink: Option<UplinkState>,
    pub receipts: u64,
    pub receipts_refused: u64,
    pub undelivered: u64,
    pub clock: ClockState,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Stations {
    /// Those that have said something valid.
    pub connected: Vec<Connected>,
    /// Connections that have said nothing valid so far.
    pub unproven: u64,
    pub by_version: BTreeMap<String, u64>,
    pub connections: u64,
    /// By HTTP status.
    pub turned_away: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Connected {
    pub station: String,
    pub ocpp_version: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct MessageCounts {
    pub ocpp_version: String,
    pub action: String,
    pub answered: u64,
    pub refused: u64,
    pub broken: u64,
    pub not_stored: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct StoreState {
    /// False: nothing is answered until a commit works again.
    pub commits_work: bool,
    /// Jobs that wait for their commit.
    pub queue: u64,
    pub commits: u64,
    pub jobs: u64,
    pub commits_failed: u64,
    pub commit_times: CommitTimes,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CommitTimes {
    /// Milliseconds, and how many commits took at most so long; those beyond the last bound are in `commits` alone.
    pub at_most_ms: Vec<(u64, u64)>,
    pub sum_us: u64,
    pub longest_us: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct UplinkState {
    pub up: bool,
    pub since: String,
    pub error: Option<String>,
    /// Highest record number of the epoch in use that the broker has taken; not delivery.
    pub sent_seq: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ClockState {
    /// False: the system clock is wrong, and bills wait.
    pub proven: bool,
    pub system_at: String,
}
