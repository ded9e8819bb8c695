//! HTTP for those who watch the daemon: `/healthz`, `/readyz`, `/metrics`; the console comes on the same server. Off unless `[web] listen`
//! names an address.
//!
//! ```text
//! daemon ─ Source: snapshot, counts of the store, what stands still ─▶ pages.rs (axum) ─▶ server.rs (hyper, HTTP/1.1) ─▶ one connection
//! ```
//! Invariants: only GET and HEAD, nothing is changed from here; no label has a value that a station, a token or a visitor chose: stations
//! are named by the configuration, actions by OCPP, kinds of problems by us. Nothing here waits for the disk: what the source cannot say
//! in time is left out, and a metric says so.
//!
//! Limits: [`server::MAX_CONNECTIONS`] connections, beyond which the oldest one is closed for the new one, so that those who are slow
//! keep nobody out; [`server::CONNECTION_LIFE`] for each of them with all that it says and hears; [`server::MAX_HEAD`] bytes of request
//! line and headers. One request a connection. Bodies are not read.
//!
//! Deliberately absent: login and TLS. What is shown has no token and no money, so another address than loopback is allowed and warned
//! of ([`without_login`]): a Prometheus elsewhere in the site's network needs it. Pages that show more will need a login first.

mod metrics;
mod pages;
mod server;
mod text_format;

use std::net::SocketAddr;

pub use server::{bind, serve};

use crate::observe::Snapshot;

/// What the daemon says when it is asked. Answers at once, but for [`Source::counts`].
pub trait Source: Send + Sync + 'static {
    fn snapshot(&self) -> Snapshot;
    /// What only the store knows; completes in about a second, whatever the disk does.
    fn counts(&self) -> impl Future<Output = Counts> + Send;
    /// Identities of the configured stations.
    fn stations(&self) -> &[String];
    /// Loops that no longer turn, in words for a technician.
    fn stalled(&self) -> Vec<String>;
    /// Why stations cannot be served, in words for a technician.
    fn unready(&self) -> Vec<String>;
}

/// Read from the store. `None`: not in time, or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    pub sessions_open: Option<u64>,
    pub sessions_waiting: Option<u64>,
    pub sessions_held: Option<u64>,
    /// 0: the outbox is empty.
    pub oldest_outbox_age_s: Option<u64>,
    pub problems: Option<Vec<Problems>>,
    /// Configured stations, and when they were last heard of, in seconds since 1970.
    pub heard: Option<Vec<(String, i64)>>,
    pub store_bytes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    pub kind: String,
    pub severity: String,
    pub count: u64,
}

/// What to say of an address that others can reach.
pub fn without_login(address: SocketAddr) -> Option<String> {
    (!address.ip().is_loopback()).then(|| {
        format!(
            "web.listen {address} can be reached from other computers, and there is neither login nor TLS: whoever reaches it can read \
             health, metrics and the names of the configured stations; let only your Prometheus through, or listen on 127.0.0.1"
        )
    })
}
