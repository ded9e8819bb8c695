//! The WebSocket side: stations dial in, frames go through `ocpp` and `store`, answers go back.
//!
//! Calls to stations take the same way: on disk first (`calls.rs`), one at a time per station; their results are read while a message
//! of the station waits for its commit.
//!
//! Invariants: one task per connection, so a panic or a slow peer ends at its own socket; messages of one station are handled
//! in the order of arrival, one at a time; an answer to a frame that says something is sent only after the store has it on
//! disk; when the store cannot, nothing is answered and the socket is closed. The newest connection of a station wins; a
//! generation number keeps the end of an old connection from touching the new one.
//!
//! Limits: places by `ocpp.max_connections`, shared out in `registry.rs`; handshakes in `handshakes.rs`; message size by
//! `ocpp.max_message_kb`, and for unknown stations [`connection::UNKNOWN_MESSAGE`]; [`connection::OUT_BUFFER`] bytes outgoing; memory for
//! messages as follows. What unknown stations can fill is separate from what known stations need.
//!
//! ```text
//! memory for messages, with the built-in limits (500 places, messages of 1 MiB):
//!   small messages    500 × 16 KiB (inbound::FREE)                      8 MiB
//!   large ones        2 MiB of unknown stations + 8 MiB of proven
//!                     + 8 MiB of configured stations (Budgets)         18 MiB
//!   × 8: frame, text, what it says, its row, its answer; 7.4 was
//!   the most that was measured (MeterValues, 70,000 samples in 1 MiB)           208 MiB
//!   unfinished handshakes  256 × 64 KiB (tungstenite's limit)          16 MiB
//!   buffers and tasks      756 sockets × 24 KiB                        18 MiB
//!   the daemon itself, SQLite's cache, threads                         50 MiB
//!                                                                    292 MiB, below MemoryMax=512M of the unit;
//!   with the largest max_message_kb (16 MiB, Budgets 34 MiB)         420 MiB
//! ```
//! Deliberately absent for now: TLS and security profiles, permessage-deflate (RFC 7692), the Pending state.

mod calls;
mod connection;
mod handshake;
mod handshakes;
mod inbound;
mod listener;
mod registry;
mod socket;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

pub use calls::{CallOutcome, CallRequest};
pub use listener::{Csms, bind};
pub use registry::MAX_PROVEN;

use inbound::Budget;
use registry::Standing;

use crate::units::{StationId, Version};

const UNKNOWN_BUDGET: usize = 2 << 20;
const KNOWN_BUDGET: usize = 8 << 20;

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

/// What large messages of each kind of station may occupy together.
struct Budgets {
    unknown: Arc<Budget>,
    proven: Arc<Budget>,
    configured: Arc<Budget>,
}

impl Budgets {
    fn new(settings: &Settings) -> Self {
        // One message of the largest size always fits.
        let known = KNOWN_BUDGET.max(settings.max_message_bytes);
        Self { unknown: Budget::new(UNKNOWN_BUDGET), proven: Budget::new(known), configured: Budget::new(known) }
    }

    fn of(&self, standing: Standing) -> &Arc<Budget> {
        match standing {
            Standing::Configured => &self.configured,
            Standing::Proven => &self.proven,
            Standing::Unknown => &self.unknown,
        }
    }
}

/// Completes when the daemon stops (or is gone).
async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
