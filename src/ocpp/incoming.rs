//! A message that stations send: how its payload is read, and how its answer is spelled.
//!
//! One file per message in `v16/messages`, `v2/messages` and `shared`, each with one [`Incoming`]; `messages.rs` finds them.

use super::answer::{self, Empty};
use super::lenient::PayloadReader;
use super::message_id::MessageId;
use crate::fact::{Answer, Fact, Refusal, TxFact};

pub(super) struct Incoming {
    pub action: &'static str,
    pub decode: Decode,
    /// The CALLRESULT; `None` when the answer is not one to this message, which is a bug of ours.
    pub encode: fn(&MessageId<'_>, &Answer) -> Option<String>,
    /// Payloads, and what they are read as in one line (`tests.rs` writes it); a test goes through them.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test of all messages"))]
    pub examples: &'static [(&'static str, &'static str)],
}

/// How a payload becomes a fact; the reader stands before the payload object.
#[derive(Clone, Copy)]
pub(super) enum Decode {
    /// A transaction message: always becomes a fact.
    Transaction(fn(&mut PayloadReader<'_>) -> TxFact),
    Message(fn(&mut PayloadReader<'_>) -> Result<Fact, Refusal>),
    /// Nothing follows from it; the journal has it.
    Noted,
}

impl Incoming {
    pub(super) fn is_transaction(&self) -> bool {
        matches!(self.decode, Decode::Transaction(_))
    }
}

/// The answer that says no more than that the message came.
pub(super) fn acknowledge(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    match answer {
        Answer::Empty => answer::result(id, &Empty {}),
        _ => None,
    }
}

/// The answer to MeterValues: it never carries a token status, whatever the session thought of the transaction.
pub(super) fn acknowledge_transaction(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    match answer {
        Answer::Tx { .. } | Answer::Empty => answer::result(id, &Empty {}),
        _ => None,
    }
}

#[cfg(test)]
impl Incoming {
    /// The payload of the CALLRESULT, "none" where the message has no such answer.
    pub(super) fn answer(&self, answer: &Answer) -> String {
        let text = (self.encode)(&MessageId::from_text("7"), answer);
        let payload = text.as_deref().and_then(|text| text.strip_prefix(r#"[3,"7","#)?.strip_suffix(']'));
        payload.unwrap_or("none").to_owned()
    }
}
