//! What the configuration says about stations, resolved.

use std::collections::HashSet;
use std::time::Duration;

use crate::units::{StationId, Version};

/// What the configuration says about stations, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Prefix of the connection URL's path, e.g. `/ocpp`.
    pub path: String,
    /// Versions we speak. Their order decides nothing: the station's first offer counts.
    pub versions: Vec<Version>,
    pub max_message_bytes: usize,
    pub max_connections: usize,
    pub handshake_timeout: Duration,
    /// A station that says nothing for this long is pinged, and dropped if it stays silent as long again.
    pub quiet_after: Duration,
    /// An unknown station that has said nothing valid by then is dropped.
    pub unknown_silence: Duration,
    /// Turn away stations that are not in `stations`.
    pub only_known: bool,
    pub stations: Vec<StationId>,
    /// Stations whose firmware offers no subprotocol (`quirks = ["assume-ocpp1.6"]`, docs/quirks.md Q1).
    pub assume_v16: HashSet<StationId>,
}
