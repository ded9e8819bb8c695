//! The WebSocket side: stations dial in, frames go through `ocpp` and `store`, answers go back.
//!
//! Invariants: one task per connection, so a panic or a slow peer ends at its own socket; frames of one station are handled
//! in the order of arrival, one at a time; an answer to a frame that says something is sent only after the store has it on
//! disk; when the store cannot, nothing is answered and the socket is closed. The newest connection of a station wins; a
//! generation number keeps the end of an old connection from touching the new one.
//!
//! Limits: connections and message size by configuration, [`connection::OUT_BUFFER`] bytes outgoing, the handshake
//! by `ocpp.handshake_s`, [`listener::SPARE_SOCKETS`] sockets that are still shaking hands. Deliberately absent for now: TLS and
//! security profiles, calls to stations, permessage-deflate (RFC 7692), the Pending state.

mod connection;
mod handshake;
mod listener;
mod registry;

use std::collections::HashSet;
use std::time::Duration;

pub use listener::{Csms, bind};

use crate::units::{StationId, Version};

/// What the configuration says about stations, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Prefix of the connection URL's path, e.g. `/ocpp`.
    pub path: String,
    /// Versions we speak, the one we like best first.
    pub versions: Vec<Version>,
    pub max_message_bytes: usize,
    pub max_connections: usize,
    pub handshake_timeout: Duration,
    /// A station that says nothing for this long is pinged, and dropped if it stays silent as long again.
    pub quiet_after: Duration,
    /// Turn away stations that are not in `stations`.
    pub only_known: bool,
    pub stations: Vec<StationId>,
    /// Stations whose firmware offers no subprotocol (quirk `assume-ocpp1.6`).
    pub assume_v16: HashSet<StationId>,
}

/// Completes when the daemon stops (or is gone).
async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
