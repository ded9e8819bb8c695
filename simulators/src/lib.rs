//! Independent implementations of all that forecourt talks to: charging stations, head office, MQTT broker, simulated time.
//!
//! Everything here is written from the published protocols alone (OCPP 1.6, 2.0.1 and 2.1; records and topics as docs/head-office.md
//! describes them under "For head office") and shares no code with the daemon: JSON is written by hand, signatures are checked
//! with another crate, MQTT is spoken by another client. A fault in the daemon can therefore not hide behind the same fault here.
//!
//! | module | is |
//! |---|---|
//! | [`station`] | a charging station: socket, offline queue, retries, checks of every answer |
//! | [`scenario`] | what happens at a station (plug, start, meter, stop …), and the sessions that must come of it |
//! | [`office`] | head office: subscribes, verifies, keeps, answers with receipts |
//! | [`reconciliation`] | what stations know they delivered, compared with what head office holds |
//! | [`broker`] | an MQTT 5 broker inside this program |
//! | [`clock`] | simulated time |
//! | [`logging`] | where their log lines go |
//! | [`load`] | many small stations at once, for measuring |
//! | [`growth`] | what is asked daily of a store that has grown, and how long it takes |
//! | [`history`] | a site's past of months or years, spoken into a store |
//! | [`model`] | sessions with a known truth through faulty stations, and what the daemon's pure library bills for them |
//!
//! Deliberately absent: any import of the package `forecourt` (but for `model::machine`, which holds its library to the truth, and
//! `model::serve` and the demo, which start the daemon, and [`history`], which walks through it in its own thread), TLS, signed meter values, tariffs and prices.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod base64;
pub mod broker;
pub mod clock;
#[cfg(test)]
mod csms;
pub mod growth;
pub mod history;
pub mod load;
pub mod logging;
pub mod model;
pub mod office;
pub mod reconciliation;
pub mod scenario;
pub mod station;

pub use broker::Broker;
pub use clock::Clock;
pub use office::Office;
pub use scenario::Scenario;
pub use station::{Station, Version};
