//! What is to be done with the text of a frame, and what of it goes to the store. Pure: the same text from the same station, of the
//! same version, at the same time, is the same message; a replay of the journal reads its rows this way, too.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::fact::{Answer, Fact};
use crate::ocpp::{self, MessageId};
use crate::store::{Content, Keep, Message};
use crate::units::{Finding, Received, StationId, Version};

/// Finding of a frame that cannot be read.
pub const BROKEN: &str = "broken-frame";

pub enum Read<'t> {
    /// To be stored. `fault`: why it is no valid message.
    Message {
        message: Box<Message>,
        fault: Option<Fault>,
    },
    /// Answered at once; it is not stored.
    Heartbeat {
        answer: Option<String>,
    },
    /// What the station says to calls of ours.
    Result {
        id: MessageId<'t>,
        payload: Cow<'t, RawValue>,
    },
    Error {
        id: MessageId<'t>,
        code: Cow<'t, str>,
        description: Cow<'t, str>,
        details: Cow<'t, RawValue>,
    },
    /// What it says to an answer of ours.
    ResultError {
        code: Cow<'t, str>,
    },
    Nothing,
}

pub enum Fault {
    Broken(ocpp::Broken),
    /// It does not say what it is about.
    Refused(String),
}

/// From whom, when, and in which words.
struct Origin<'a> {
    station: &'a StationId,
    version: Version,
    text: &'a str,
    received: Received,
}

/// `mended`: what was made of bytes that are no text.
pub fn read<'t>(station: &StationId, version: Version, text: &'t str, mended: Option<&Finding>, received: Received) -> Read<'t> {
    let origin = Origin { station, version, text, received };
    let with = |findings: Vec<Finding>| mended.cloned().into_iter().chain(findings).collect::<Vec<_>>();
    match ocpp::read(text) {
        Ok(ocpp::Frame::Call { id, action, payload, findings }) => origin.call(&id, &action, &payload, with(findings), true),
        Ok(ocpp::Frame::Send { id, action, payload, findings }) => origin.call(&id, &action, &payload, with(findings), false),
        Ok(ocpp::Frame::CallResult { id, payload, .. }) => Read::Result { id, payload },
        Ok(ocpp::Frame::CallError { id, code, description, details, .. }) => Read::Error { id, code, description, details },
        Ok(ocpp::Frame::CallResultError { code, .. }) => Read::ResultError { code },
        Err(broken) if broken.flaw == ocpp::Flaw::Empty => Read::Nothing,
        Err(broken) => {
            let findings = with(vec![Finding::new(BROKEN, broken.to_string())]);
            let action = broken.action.as_deref();
            let transaction = action.is_some_and(|action| ocpp::is_transaction(version, action));
            let keep = if transaction { Keep::Always } else { Keep::Sparingly };
            let content = Content::Fixed { answer: answer_broken(version, &broken), keep };
            let message = Box::new(origin.message(action.map(Box::from), None, content, findings));
            Read::Message { message, fault: Some(Fault::Broken(broken)) }
        }
    }
}

/// A transaction message that cannot be read is in the journal now; a CALLERROR would make the station forget it or block its
/// queue with it. StartTransaction is the exception: its answer needs a transaction we could not open.
fn answer_broken(version: Version, broken: &ocpp::Broken) -> Option<String> {
    let head = broken.id.as_ref().zip(broken.action.as_deref());
    let unread = head.and_then(|(id, action)| ocpp::unread(version, action, id));
    unread.or_else(|| broken.answer(version))
}

impl Origin<'_> {
    /// A CALL, or (not `answered`) a SEND.
    fn call(
        &self,
        id: &MessageId<'_>,
        action: &str,
        payload: &RawValue,
        mut findings: Vec<Finding>,
        answered: bool,
    ) -> Read<'static> {
        let (version, received) = (self.version, self.received);
        let repeatable = ocpp::is_transaction(version, action).then(|| Box::from(id.as_json()));
        let (content, fault) = match ocpp::to_fact(version, action, payload, received.at) {
            Ok(decoded) if decoded.fact == Fact::Heartbeat => {
                let answer = answered.then(|| decoded.reply.text(id, &Answer::Heartbeat { now: received.at }));
                return Read::Heartbeat { answer };
            }
            Ok(ocpp::Decoded { fact, findings: more, reply }) => {
                findings.extend(more);
                let id = id.clone().into_owned();
                let encode = move |answer: &Answer| answered.then(|| reply.text(&id, answer));
                (Content::Fact { fact, encode: Box::new(encode) }, None)
            }
            Err(refusal) => {
                findings.push(Finding::new("refused", refusal.text.clone()));
                let answer = answered.then(|| ocpp::refuse(version, id, &refusal));
                (Content::Fixed { answer, keep: Keep::Sparingly }, Some(Fault::Refused(refusal.text)))
            }
        };
        let message = Box::new(self.message(Some(action.into()), repeatable, content, findings));
        Read::Message { message, fault }
    }

    fn message(
        &self,
        action: Option<Box<str>>,
        repeatable: Option<Box<str>>,
        content: Content,
        findings: Vec<Finding>,
    ) -> Message {
        Message {
            station: self.station.clone(),
            version: self.version,
            received: self.received,
            action,
            repeatable,
            text: self.text.to_owned(),
            bytes: None,
            content,
            findings,
        }
    }
}
