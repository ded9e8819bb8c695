//! Messages that stations send: from the action and payload of a CALL or SEND to a fact, from what was decided to a CALLRESULT.
//!
//! ```text
//! action, payload ─ find, decode ─▶ Decoded { Fact, findings } ─▶ … ─▶ Answer ─ encode ─▶ CALLRESULT text
//! ```
//! One file per action in `v16/messages` and `v2/messages`, or in `shared` where the versions do not differ; the table of a version
//! lists them. A new message is one file and its line in that table.

use serde_json::value::RawValue;

use super::answer::refuse;
use super::incoming::{Decode, Incoming};
use super::lenient::PayloadReader;
use super::message_id::MessageId;
use super::{v2, v16};
use crate::fact::{Answer, Fact, Refusal, RefusalKind};
use crate::units::{Finding, Version};

/// A message as a fact.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    pub fact: Fact,
    /// The oddities of facts that have no `findings` of their own; those of a `Fact::Tx` or `Fact::Status` are in it, once.
    pub findings: Vec<Finding>,
}

/// The messages that stations send in this version.
pub(super) fn table(version: Version) -> &'static [&'static Incoming] {
    match version {
        Version::V16 => v16::MESSAGES,
        Version::V201 | Version::V21 => v2::MESSAGES,
    }
}

fn find(version: Version, action: &str) -> Option<&'static Incoming> {
    table(version).iter().copied().find(|message| message.action == action)
}

/// Decodes the payload of a CALL or SEND.
pub fn to_fact(version: Version, action: &str, payload: &RawValue) -> Result<Decoded, Refusal> {
    let Some(message) = find(version, action) else { return Err(not_ours(version, action)) };
    let text = match payload.get() {
        "null" => "{}",
        object if object.starts_with('{') => object,
        _ => return Err(Refusal { kind: RefusalKind::Format, text: "the payload is not an object".to_owned() }),
    };
    let mut reader = PayloadReader::new(text);
    let fact = match message.decode {
        Decode::Transaction(decode) => {
            let mut tx = decode(&mut reader);
            tx.findings = std::mem::take(&mut reader.findings);
            Fact::Tx(Box::new(tx))
        }
        Decode::Message(decode) => decode(&mut reader)?,
        Decode::Noted => Fact::Noted,
    };
    Ok(Decoded { fact, findings: reader.findings })
}

/// Whether the action may belong to a transaction: journaled before anything else, never refused, never dropped.
pub fn is_transaction(version: Version, action: &str) -> bool {
    find(version, action).is_some_and(Incoming::is_transaction)
}

/// The CALLRESULT to the CALL `id` of `action`. An answer that this message does not have, or that cannot be spelled in this version
/// (a 1.6 transaction id of ours that is no number), is our bug: the station gets a CALLERROR, and nothing made up.
pub fn answer(version: Version, action: &str, id: &MessageId<'_>, answer: &Answer) -> String {
    let text = find(version, action).and_then(|message| (message.encode)(id, answer));
    text.unwrap_or_else(|| {
        let text = format!("no valid answer to {action} could be made");
        refuse(version, id, &Refusal { kind: RefusalKind::Internal, text })
    })
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
