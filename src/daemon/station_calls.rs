//! Calls to stations that people ask for: what came of one, in a sentence and as a value.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::control::{Outcome, Reply, StationCall};
use crate::csms::{CallOutcome, CallRequest, Csms, Ended};
use crate::ocpp::call::NotSent;
use crate::ocpp::{Verdict, verdict};
use crate::store::CallEnd;
use crate::units::{compact, printable};

/// No station takes longer for anything it answers at all.
const MAX_TIMEOUT_S: u64 = 600;

/// What came of a call; what the station said is as it said it.
#[derive(Debug, Default, Serialize)]
pub struct Called {
    pub station: String,
    pub action: String,
    pub outcome: &'static str,
    pub status: Option<String>,
    pub payload: Option<Box<RawValue>>,
    pub error: Option<Box<RawValue>>,
    /// What a verb adds: what the answer means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
}

/// A call that was carried out as far as it went.
#[derive(Debug)]
pub struct Answered {
    pub outcome: Outcome,
    /// Why it is not `Done`; empty when it is.
    pub reason: String,
    /// `None`: nothing was sent, and nothing is to be told but the reason.
    pub called: Option<Box<Called>>,
}

impl Answered {
    pub fn refused(outcome: Outcome, reason: String) -> Self {
        Self { outcome, reason, called: None }
    }
}

impl From<Answered> for Reply {
    fn from(answered: Answered) -> Self {
        match answered.called {
            Some(called) => Self::new(answered.outcome, answered.reason, &called),
            None => Self::refused(answered.outcome, answered.reason),
        }
    }
}

#[derive(Serialize)]
struct ErrorText<'a> {
    code: &'a str,
    description: &'a str,
}

/// `forecourt station call`
pub async fn call(csms: &Csms, call: StationCall, actor: String) -> Reply {
    ask(csms, call, actor).await.into()
}

/// Sends a message, and says what the station said.
pub async fn ask(csms: &Csms, call: StationCall, actor: String) -> Answered {
    let StationCall { station, action, payload, timeout_s, reason } = call;
    let name = station.clone();
    if !(1..=MAX_TIMEOUT_S).contains(&timeout_s) {
        return Answered::refused(Outcome::Usage, format!("the time-out must be 1 to {MAX_TIMEOUT_S} seconds"));
    }
    let timeout = Duration::from_secs(timeout_s);
    let request = CallRequest { station, action: action.clone(), payload, timeout, actor, reason };
    told(csms.call(request).await, name, &action, timeout_s)
}

/// What came of a call, in words.
pub fn told(outcome: CallOutcome, name: String, action: &str, timeout_s: u64) -> Answered {
    let refused = Answered::refused;
    match outcome {
        CallOutcome::UnknownStation => refused(Outcome::NotFound, format!("no station {name}; forecourt stations lists them")),
        CallOutcome::NotSent(why @ NotSent::Action { .. }) => refused(Outcome::Usage, format!("{}: {why}", printable(action))),
        CallOutcome::NotSent(why) => refused(Outcome::Usage, why.to_string()),
        CallOutcome::TooMany(why) => refused(Outcome::Refused, why),
        CallOutcome::Unavailable => refused(Outcome::Refused, "the store cannot commit, so nothing is sent".to_owned()),
        CallOutcome::NotConnected => {
            let why = format!("{name} is not connected, or has said nothing valid yet; nothing was sent");
            unanswered(name, action, "not-connected", why)
        }
        CallOutcome::Unrecorded => refused(
            Outcome::Refused,
            format!("the call has ended, but the store cannot commit; `forecourt calls --station {name}` shows it once it can"),
        ),
        CallOutcome::Ended(ended) => answered(name, timeout_s, ended),
    }
}

/// There is no answer of the station.
fn unanswered(station: String, action: &str, outcome: &'static str, why: String) -> Answered {
    let error = to_raw_value(&ErrorText { code: outcome, description: &why }).ok();
    let called = Called { station, action: action.to_owned(), outcome, error, ..Called::default() };
    Answered { outcome: Outcome::Unreachable, reason: why, called: Some(Box::new(called)) }
}

/// JSON text for a reply, which is a line.
fn in_one_line(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(compact(text)).ok()
}

fn answered(name: String, timeout_s: u64, ended: Ended) -> Answered {
    let Ended { end, action, version } = ended;
    match end {
        CallEnd::NotConnected => {
            let why = format!("{name} went, or the store could not note the call, before it was sent; nothing was sent");
            unanswered(name, action, "not-connected", why)
        }
        CallEnd::Withdrawn => {
            let why = format!("{name} was busy with other calls for {timeout_s} s; this one was withdrawn, and not sent");
            unanswered(name, action, "timeout", why)
        }
        CallEnd::Timeout => {
            let why = format!("{name} did not answer within {timeout_s} s");
            unanswered(name, action, "timeout", why)
        }
        CallEnd::Unknown => {
            let why = format!("the connection of {name} ended before its answer; it may have done it");
            unanswered(name, action, "unknown", why)
        }
        CallEnd::CallError { error, .. } => {
            let read: Value = serde_json::from_str(&error).unwrap_or_default();
            let part = |name: &str| read.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let text = format!("{} {}", part("code"), part("description"));
            let reason = format!("{name} answered with an error: {}", printable(&text));
            let (action, error) = (action.to_owned(), in_one_line(&error));
            let called = Called { station: name, action, outcome: "call-error", error, ..Called::default() };
            Answered { outcome: Outcome::Rejected, reason, called: Some(Box::new(called)) }
        }
        CallEnd::Answered { payload, .. } => {
            let Verdict { status, yes } = verdict(version, action, &payload);
            let (outcome, reason) = match (&status, yes) {
                (_, true) => (Outcome::Done, String::new()),
                (Some(status), _) => (Outcome::Rejected, format!("{name} answered {}", printable(status))),
                (None, _) => (Outcome::Rejected, format!("{name} answered without saying that it did it")),
            };
            let (action, payload) = (action.to_owned(), in_one_line(&payload));
            let called = Called { station: name, action, outcome: "answered", status, payload, ..Called::default() };
            Answered { outcome, reason, called: Some(Box::new(called)) }
        }
    }
}
