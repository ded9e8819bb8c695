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
//! Limits: places by `ocpp.max_connections`, shared out in `registry.rs`; handshakes in `handshake_limits.rs`; message size by
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
//! Deliberately absent for now: TLS and security profiles, permessage-deflate (RFC 7692).

mod calls;
mod connection;
mod handshake;
mod handshake_limits;
mod in_hand;
mod inbound;
mod listener;
pub mod reading;
mod registry;
mod request;
mod settings;
mod shared;
mod socket;
#[cfg(test)]
mod tests;

pub use listener::bind;
pub use registry::MAX_PROVEN;
pub use request::{CallOutcome, CallRequest, Ended};
pub use settings::Settings;
pub use shared::Csms;
