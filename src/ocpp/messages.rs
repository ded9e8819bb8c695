//! Messages that stations send: from the action and payload of a CALL or SEND to a fact, from what was decided to a CALLRESULT.
//!
//! ```text
//! action, payload ─ decode ─▶ Decoded { Fact, findings, Reply } ─▶ … ─▶ Answer ─ Reply ─▶ CALLRESULT text
//! ```
//! One file per action in `v16/messages` and `v2/messages`, or in `shared` where the versions do not differ; the tables of a version
//! list them. A new message is one file and its line in that table. docs/messages.md says what becomes of each.

use serde_json::value::RawValue;

use super::answer::{refuse, result};
use super::facts::Facts;
use super::incoming::{Incoming, Kind};
use super::lenient::PayloadReader;
use super::message_id::MessageId;
use super::{v2, v16};
use crate::fact::{Answer, Fact, Refusal, RefusalKind};
use crate::units::{Finding, Time, Version};

/// Characters of an unknown action that are repeated to the station.
const MAX_ACTION: usize = 60;

/// A message as a fact.
#[derive(Debug)]
pub struct Decoded {
    pub fact: Fact,
    /// The oddities of facts that have no `findings` of their own; those of a `Fact::Tx` or `Fact::Status` are in it, once.
    pub findings: Vec<Finding>,
    pub reply: Reply,
}

/// How a message is answered once it is stored.
#[derive(Debug)]
pub struct Reply {
    version: Version,
    message: &'static Incoming,
    /// The payload for a message from which nothing follows.
    noted: Option<Box<RawValue>>,
}

impl Reply {
    /// The CALLRESULT to the CALL `id`. An answer that this message does not have, or that cannot be spelled in this version
    /// (a 1.6 transaction id of ours that is no number), is our bug: the station gets a CALLERROR, and nothing made up.
    pub fn text(&self, id: &MessageId<'_>, answer: &Answer) -> String {
        let text = match (&self.message.kind, &self.noted) {
            (Kind::Transaction { encode, .. } | Kind::Message { encode, .. }, _) => encode(id, answer),
            (Kind::Noted(_), Some(payload)) if *answer == Answer::Empty => result(id, payload),
            (Kind::Noted(_), _) => None,
        };
        text.unwrap_or_else(|| {
            let text = format!("no valid answer to {} could be made", self.message.action);
            refuse(self.version, id, &Refusal { kind: RefusalKind::Internal, text })
        })
    }
}

/// The messages that stations send in this version.
pub(super) fn messages(version: Version) -> impl Iterator<Item = &'static Incoming> {
    let [all, more]: [&[&Incoming]; 2] = match version {
        Version::V16 => [v16::MESSAGES, &[]],
        Version::V201 => [v2::MESSAGES, &[]],
        Version::V21 => [v2::MESSAGES, v2::MESSAGES_SINCE_21],
    };
    all.iter().chain(more).copied()
}

fn find(version: Version, action: &str) -> Option<&'static Incoming> {
    messages(version).find(|message| message.action == action)
}

/// Decodes the payload of a CALL or SEND that came at this time.
pub fn to_fact(version: Version, action: &str, payload: &RawValue, now: Time) -> Result<Decoded, Refusal> {
    let Some(message) = find(version, action) else { return Err(not_ours(version, action)) };
    let text = match payload.get() {
        "null" => "{}",
        object if object.starts_with('{') => object,
        _ => return Err(Refusal { kind: RefusalKind::Format, text: "the payload is not an object".to_owned() }),
    };
    let mut reader = PayloadReader::new(text);
    let mut reply = Reply { version, message, noted: None };
    let fact = match message.kind {
        Kind::Transaction { decode, .. } => {
            let mut tx = decode(&mut reader);
            tx.findings = std::mem::take(&mut reader.findings);
            Fact::Tx(Box::new(tx))
        }
        Kind::Message { decode, .. } => decode(&mut reader)?,
        Kind::Noted(payload) => {
            reply.noted = Some(payload(&mut reader, now)?);
            Fact::Noted
        }
    };
    Ok(Decoded { fact, findings: reader.findings, reply })
}

/// Whether the action may belong to a transaction: journaled before anything else, never refused, never dropped.
pub fn is_transaction(version: Version, action: &str) -> bool {
    find(version, action).is_some_and(Incoming::is_transaction)
}

/// The CALLRESULT to a transaction message whose payload cannot be read; `None` where it would need what is not there
/// (StartTransaction), and for other messages.
pub fn unread(version: Version, action: &str, id: &MessageId<'_>) -> Option<String> {
    match find(version, action)?.kind {
        Kind::Transaction { encode, .. } => encode(id, &Answer::Empty),
        Kind::Message { .. } | Kind::Noted(_) => None,
    }
}

/// NotSupported for what only we may send, NotImplemented for all else (OCPP-J 1.6 §4.2.3, 2.0.1 Part 4 §4.3).
fn not_ours(version: Version, action: &str) -> Refusal {
    let number = version.number();
    if Facts::of(version).call(action).is_some() {
        Refusal { kind: RefusalKind::NotSupported, text: format!("in OCPP {number} only the CSMS sends {action}") }
    } else {
        let action: String = action.chars().take(MAX_ACTION).collect();
        Refusal { kind: RefusalKind::NotImplemented, text: format!("OCPP {number} has no action \"{action}\"") }
    }
}
