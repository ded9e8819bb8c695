//! A message that stations send: how its payload is read, and how its answer is spelled.
//!
//! One file per message in `v16/messages`, `v2/messages` and `shared`, each with one [`Incoming`], or one line where nothing follows
//! from a message yet; `messages.rs` finds them.

use serde_json::value::{RawValue, to_raw_value};

use super::answer::{Empty, result};
use super::lenient::PayloadReader;
use super::message_id::MessageId;
use crate::fact::{Answer, Fact, Refusal, RefusalKind, TxFact};
use crate::units::Time;

#[derive(Debug)]
pub(super) struct Incoming {
    pub action: &'static str,
    pub kind: Kind,
    /// Payloads, and what they are read as in one line (`tests.rs` writes it); a test goes through them.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test of all messages"))]
    pub examples: &'static [(&'static str, &'static str)],
}

/// What is made of a message. A reader stands before the payload object; `None` for a CALLRESULT says that the answer is not one to
/// this message, which is a bug of ours.
#[derive(Debug)]
pub(super) enum Kind {
    /// A transaction message: always becomes a fact.
    Transaction { decode: fn(&mut PayloadReader<'_>) -> TxFact, encode: Encode },
    /// Something follows from it, and its answer says what.
    Message { decode: fn(&mut PayloadReader<'_>) -> Result<Fact, Refusal>, encode: Encode },
    /// Nothing follows from it yet: it is kept, and answered with what the standard has for that.
    Noted(Noted),
}

/// The CALLRESULT to the CALL of that id.
pub(super) type Encode = fn(&MessageId<'_>, &Answer) -> Option<String>;
/// The payload of the CALLRESULT to a message that came at this time; it may repeat what the message asks about.
pub(super) type Noted = fn(&mut PayloadReader<'_>, Time) -> Result<Box<RawValue>, Refusal>;

impl Incoming {
    pub(super) fn is_transaction(&self) -> bool {
        matches!(self.kind, Kind::Transaction { .. })
    }
}

/// The answer that says no more than that the message came.
pub(super) fn acknowledge(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    match answer {
        Answer::Empty => result(id, &Empty {}),
        _ => None,
    }
}

/// The answer to MeterValues: it never carries a token status, whatever the session thought of the transaction.
pub(super) fn acknowledge_transaction(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    match answer {
        Answer::Tx { .. } | Answer::Empty => result(id, &Empty {}),
        _ => None,
    }
}

/// A message from which nothing follows, and the payload that answers it.
pub(super) const fn noted(action: &'static str, reply: Noted) -> Incoming {
    Incoming { action, kind: Kind::Noted(reply), examples: &[] }
}

/// The payload of an answer to what is noted.
pub(super) fn payload(members: &impl serde::Serialize) -> Result<Box<RawValue>, Refusal> {
    to_raw_value(members)
        .map_err(|error| Refusal { kind: RefusalKind::Internal, text: format!("the answer could not be written: {error}") })
}

/// `{}`
pub(super) fn empty(_: &mut PayloadReader<'_>, _: Time) -> Result<Box<RawValue>, Refusal> {
    payload(&Empty {})
}

/// What is asked for is not done.
pub(super) fn rejected(_: &mut PayloadReader<'_>, _: Time) -> Result<Box<RawValue>, Refusal> {
    payload(&Status { status: "Rejected" })
}

/// What is asked for could not be found out.
pub(super) fn failed(_: &mut PayloadReader<'_>, _: Time) -> Result<Box<RawValue>, Refusal> {
    payload(&Status { status: "Failed" })
}

/// There is nothing against it.
pub(super) fn accepted(_: &mut PayloadReader<'_>, _: Time) -> Result<Box<RawValue>, Refusal> {
    payload(&Status { status: "Accepted" })
}

#[derive(serde::Serialize)]
struct Status {
    status: &'static str,
}

#[cfg(test)]
impl Incoming {
    /// The payload of the CALLRESULT, "none" where the message has no such answer.
    pub(super) fn answer(&self, answer: &Answer) -> String {
        let text = match self.kind {
            Kind::Transaction { encode, .. } | Kind::Message { encode, .. } => encode(&MessageId::from_text("7"), answer),
            Kind::Noted(_) => None,
        };
        let payload = text.as_deref().and_then(|text| text.strip_prefix(r#"[3,"7","#)?.strip_suffix(']'));
        payload.unwrap_or("none").to_owned()
    }
}
