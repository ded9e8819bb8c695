//! The protocol: OCPP 1.6-J, 2.0.1 and 2.1 to [`Fact`], and `Answer`/[`Refusal`] to OCPP. No other module knows OCPP JSON.
//!
//! ```text
//! text ─ read ─▶ Frame ─ to_fact ─▶ Decoded { Fact, findings }        Answer ─ answer ─▶ CALLRESULT text
//!          └───▶ Broken ─ answer ─▶ CALLERROR text or nothing         Refusal ─ refuse ─▶ CALLERROR text
//! ```
//!
//! Invariants:
//! - Lenient in: a field of the wrong type, an unknown field, an over-long text, an unknown enum value never fails one. What
//!   was odd is a [`Finding`], what was unreadable is absent with a finding, unknown fields are passed over and counted.
//! - A transaction message whose payload is a JSON object (or `null`, which stands for `{}`) always becomes a fact. The types see
//!   to it: its decoder (`Decoder::Transaction`) has no way to refuse.
//! - Other messages are refused only for want of a field that names what they are about (BootNotification: its required fields).
//! - Numbers come from their digits, exactly; there is no binary float on the way.
//! - Strict out: see [`answer`](mod@answer).
//! - Nothing here panics, whatever the text.
//!
//! One registry per version, `v16::ACTIONS` and `v2::ACTIONS`, maps actions to decoders; a new message is one entry there and
//! one function. 2.0.1 and 2.1 share one tree: what 2.1 adds is read wherever it occurs, and made obligatory nowhere.
//!
//! Messages that we send are in `call`.
//! Deliberately not here: matching of results to our own calls (`csms`), duplicates, authorization, plausibility of times and meters,
//! lengths, 1.6 payloads on a 2.x socket (refused, docs/quirks.md Q115), JWS-signed frames (Q123).
//!
//! Finding codes: `field-unreadable` `field-missing` `list-of-one` `time-odd` `time-without-zone` `number-comma` `number-rounded`
//! `sample-skipped` `unit-unknown` `unit-mismatch` `measurand-assumed` `tx-id-missing` `tx-id-not-positive` `token-empty`
//! `token-kind-missing` `event-type-unknown` `frame-repaired` `frame-elements` `findings-cut` `invalid-utf8`.
//!
//! Limits: 32 findings per message, 16 repairs per frame, 255 characters of error description; the caller bounds the text.

pub mod answer;
pub mod call;
pub mod frame;
mod json;
mod lenient;
mod number;
mod quantity;
mod sample;
mod schema;
pub mod settings;
mod text;
mod timestamp;
mod v16;
mod v2;

use serde_json::value::RawValue;

pub use answer::{answer, refuse};
pub use frame::{Broken, Flaw, Frame, MessageId, read};
pub use schema::Violation;
pub use text::text;

use crate::fact::{Fact, Refusal, RefusalKind, TxFact};
use crate::units::{Finding, Version};
use lenient::PayloadReader;

/// A message as a fact.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    pub fact: Fact,
    /// The oddities of facts that have no `findings` of their own; those of a `Fact::Tx` or `Fact::Status` are in it, once.
    pub findings: Vec<Finding>,
    /// Fields that this version does not have, or that we never heard of.
    pub unknown_fields: u32,
}

/// How one action is decoded; the reader stands before the payload object.
#[derive(Clone, Copy)]
enum Decoder {
    /// A transaction message: always becomes a fact.
    Transaction(fn(&mut PayloadReader<'_>) -> TxFact),
    Message(fn(&mut PayloadReader<'_>) -> Result<Fact, Refusal>),
}

/// Decodes the payload of a CALL or SEND.
pub fn to_fact(version: Version, action: &str, payload: &RawValue) -> Result<Decoded, Refusal> {
    let Some(decoder) = decoder(version, action) else { return Err(not_ours(version, action)) };
    let text = match payload.get() {
        "null" => "{}",
        object if object.starts_with('{') => object,
        _ => return Err(Refusal { kind: RefusalKind::Format, text: "the payload is not an object".to_owned() }),
    };
    let mut reader = PayloadReader::new(text);
    let fact = match decoder {
        Decoder::Transaction(decode) => {
            let mut tx = decode(&mut reader);
            tx.findings = std::mem::take(&mut reader.findings);
            Fact::Tx(Box::new(tx))
        }
        Decoder::Message(decode) => decode(&mut reader)?,
    };
    Ok(Decoded { fact, findings: reader.findings, unknown_fields: reader.unknown_fields })
}

/// Whether the action may belong to a transaction: journaled before anything else, never refused, never dropped.
pub fn is_transaction(version: Version, action: &str) -> bool {
    matches!(decoder(version, action), Some(Decoder::Transaction(_)))
}

fn decoder(version: Version, action: &str) -> Option<Decoder> {
    let actions = match version {
        Version::V16 => v16::ACTIONS,
        Version::V201 | Version::V21 => v2::ACTIONS,
    };
    actions.iter().find(|(name, _)| *name == action).map(|(_, decoder)| *decoder)
}

/// NotSupported for what only we may send, NotImplemented for all else (OCPP-J 1.6 §4.2.3, 2.0.1 Part 4 §4.3).
fn not_ours(version: Version, action: &str) -> Refusal {
    let sent_by_us = match version {
        Version::V16 => v16::SENT_BY_US.contains(&action),
        Version::V201 => v2::SENT_BY_US.contains(&action),
        Version::V21 => v2::SENT_BY_US.contains(&action) || v2::SENT_BY_US_SINCE_21.contains(&action),
    };
    if sent_by_us {
        Refusal { kind: RefusalKind::NotSupported, text: "only a CSMS sends this".to_owned() }
    } else {
        Refusal { kind: RefusalKind::NotImplemented, text: "no such action here".to_owned() }
    }
}

#[cfg(test)]
mod tests;
