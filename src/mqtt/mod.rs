//! The uplink: signed records go from the outbox to head office over MQTT 5, nothing lost, nothing twice.
//!
//! ```text
//!  outbox ─after(seq)─▶ pacing (pure) ─▶ link (one connection) ─publish─▶ broker ─▶ head office
//!     ▲                                    │ PUBACK: frees the window, no more                │ its own commit
//!     └────────── receipt: retires rows ◀──┴──────────────── receipt (retained) ◀─────────────┘
//! ```
//!
//! - A PUBACK is flow control. Only a receipt that head office sent after its own commit, and that the [`Outbox`] accepted,
//!   retires a record; so no broker, however configured or killed, can lose one.
//! - Delivery is at least once. Head office keeps one copy per (site, epoch, seq); twice sent is not twice billed.
//! - A record that the broker refuses is quarantined, shown, and offered again for ever; the others go on.
//! - The outbox is the only queue. Weeks offline cost no memory: in flight are at most `window` records, read a batch at a time.
//! - Every connection is new: clean start, new client, new event loop, certificates read again. Nothing the library remembers
//!   outlives its connection.
//! - QoS 1 only, MQTT 5 only (3.1.1 has no reason codes: a refused record would look accepted).
//!
//! Files: [`outbox`] what we ask of the store · [`settings`] · `pacing` decisions · `answer`, `quarantine`, `backoff` · `wire` topics and
//! payloads · `dial` TCP and TLS ·
//! `driver` and `link` one connection, alone know rumqttc · `complaints` what is wrong although it is up · `outbox_calls` calls to the outbox · `uplink` connection after connection.
//!
//! Limits: incoming packets 256 KiB · window 1–1000 · connection attempt 20 s · goodbye 3 s · waits in [`Timing`].
//!
//! Commands of head office come on `cmd/call` (`commands`); alone the uplink of the present epoch takes them.
//!
//! Deliberately absent: other commands, alerts, live states and metrics (other topics, other guarantees);
//! signatures (the outbox unseals receipts); QoS 2, persistent sessions, topic aliases, message expiry.

mod backoff;
mod commands;
mod complaints;
mod dial;
mod driver;
mod link;
pub mod outbox;
mod outbox_calls;
mod pacing;
mod puback;
mod quarantine;
pub mod settings;
mod uplink;
mod wire;

pub use commands::{Command, Commands};
pub use outbox::{Identity, LinkState, Outbox, OutboxError, Outgoing, Receipt, ReceiptOutcome, Rejected, StatusFacts};
pub use settings::{Settings, SettingsError, Target, Timing};
pub use uplink::run;
