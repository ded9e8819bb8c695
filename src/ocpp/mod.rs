//! The protocol: OCPP 1.6-J, 2.0.1 and 2.1 to `Fact`, and `Answer`/`Refusal` to OCPP. No other module knows OCPP JSON.
//!
//! ```text
//! text ─ read ─▶ Frame ─ to_fact ─▶ Decoded { Fact, findings, Reply }    Answer ─ Reply ─▶ CALLRESULT text
//!          └───▶ Broken ─ answer ─▶ CALLERROR text or nothing            Refusal ─ refuse ─▶ CALLERROR text
//! ```
//!
//! Invariants:
//! - Lenient in: a field of the wrong type, an unknown field, an over-long text, an unknown enum value never fails one. What
//!   was odd is a `Finding`, what was unreadable is absent with a finding, unknown fields are passed over.
//! - A transaction message whose payload is a JSON object (or `null`, which stands for `{}`) always becomes a fact. The types see
//!   to it: its decoder (`Kind::Transaction`) has no way to refuse.
//! - Other messages are refused only for want of a field that names what they are about (BootNotification: its required fields).
//! - Numbers come from their digits, exactly; there is no binary float on the way.
//! - Strict out: see `answer.rs`.
//! - Nothing here panics, whatever the text.
//!
//! Messages that stations send are in `messages`: one file per action, one table per version. Those that we send are in `call`, which goes by
//! the tables of `facts`.
//! 2.0.1 and 2.1 share one tree: what 2.1 adds is read wherever it occurs, and made obligatory nowhere.
//!
//! Deliberately not here: matching of results to our own calls (`csms`), duplicates, authorization, plausibility of times and meters,
//! lengths, 1.6 payloads on a 2.x socket (refused, docs/quirks.md Q115), JWS-signed frames (Q123).
//!
//! Finding codes: `field-unreadable` `field-missing` `list-of-one` `time-odd` `time-without-zone` `number-comma` `number-rounded`
//! `sample-skipped` `unit-unknown` `unit-mismatch` `measurand-assumed` `tx-id-missing` `tx-id-not-positive` `token-empty`
//! `token-kind-missing` `event-type-unknown` `frame-repaired` `frame-elements` `findings-cut` `invalid-utf8`.
//!
//! Limits: 32 findings per message, 16 repairs per frame, 255 characters of error description; the caller bounds the text.

mod answer;
pub mod call;
mod facts;
mod frame;
mod incoming;
mod json;
mod lenient;
mod masked;
mod message_id;
mod messages;
mod number;
mod quantity;
mod sample;
mod schema;
mod shared;
pub mod station_settings;
mod text;
mod timestamp;
mod v16;
mod v2;
pub mod verb;
mod verdict;

pub use answer::refuse;
pub use facts::Outgoing;
pub use frame::{Broken, Flaw, Frame, read};
pub use masked::masked;
pub use message_id::MessageId;
pub use messages::{Decoded, Reply, is_transaction, to_fact, unread};
pub use schema::Violation;
pub use text::text;
pub use verdict::{Verdict, verdict};

#[cfg(test)]
mod tests;
