//! Messages that we send: what a call must look like, and what its answer says.
//!
//! ```text
//! action, payload ─ find, check ─▶ Outgoing ─ frame ─▶ CALL text ─▶ station ─▶ CALLRESULT, CALLERROR ─ read ─▶ status_of
//! ```
//! One file per action in `v16/calls` and `v2/calls`, each with its schema and examples; the table of a version lists them.
//! A new message is one file and its line in that table.

use serde_json::Value;

use super::schema::{self, Member, Violation};
use super::{v2, v16};
use crate::units::{Token, TokenKind, Version};

/// A message that a CSMS sends.
#[derive(Debug)]
pub struct Outgoing {
    pub action: &'static str,
    pub(super) request: &'static [Member],
    /// It only reads: a station that gets it twice does nothing twice.
    pub harmless: bool,
    /// Payloads, and for wrong ones the place and the rule that they break; a test goes through them.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test of all actions"))]
    pub(super) examples: &'static [(&'static str, Option<&'static str>)],
}

/// Why a call is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// This version has no such action of ours, or this program does not send it yet.
    Action {
        known: Vec<&'static str>,
    },
    Payload(Violation),
}

/// The messages that we send in this version.
fn table(version: Version) -> &'static [&'static Outgoing] {
    match version {
        Version::V16 => v16::CALLS,
        Version::V201 | Version::V21 => v2::CALLS,
    }
}

/// The message of that name, if the payload fits its schema.
pub fn check(version: Version, action: &str, payload: &Value) -> Result<&'static Outgoing, NotSent> {
    let Some(outgoing) = table(version).iter().find(|outgoing| outgoing.action == action) else {
        return Err(NotSent::Action { known: table(version).iter().map(|outgoing| outgoing.action).collect() });
    };
    schema::check(outgoing.request, payload).map_err(NotSent::Payload)?;
    Ok(outgoing)
}

/// The frame of a call (OCPP-J 1.6 §4.2.1, 2.0.1 Part 4 §4.2.1). `payload` is JSON text.
pub fn frame(id: &str, action: &str, payload: &str) -> String {
    let [id, action] = [id, action].map(super::answer::quoted);
    format!("[2,{id},{action},{payload}]")
}

/// The payload as people may see it: tokens masked, passwords left out.
pub fn masked(payload: &Value) -> Value {
    /// Keys and variables whose value is a password (OCPP 1.6 security whitepaper A01, 2.0.1 A01).
    const PASSWORDS: [&str; 2] = ["AuthorizationKey", "BasicAuthPassword"];
    match payload {
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            let variable = || members.get("variable").and_then(|variable| variable.get("name")).and_then(Value::as_str);
            let is_password = text("key").or_else(variable).is_some_and(|name| PASSWORDS.contains(&name));
            let kind = text("type").map_or(TokenKind::Unstated, |kind| TokenKind::Named(kind.into()));
            let shown = |(name, value): (&String, &Value)| {
                let shown = match (name.as_str(), value) {
                    ("value" | "attributeValue", _) if is_password => Value::from("…"),
                    ("idTag" | "parentIdTag" | "idToken" | "additionalIdToken", Value::String(token)) => {
                        Value::from(Token::new(kind.clone(), token).masked())
                    }
                    _ => masked(value),
                };
                (name.clone(), shown)
            };
            members.iter().map(shown).collect()
        }
        other => other.clone(),
    }
}

/// Statuses with which a station says that it did not do it; all others are some kind of yes.
const REFUSALS: [&str; 24] = [
    "Rejected",
    "NotSupported",
    "NotImplemented",
    "NotSupportedAttributeType",
    "UnlockFailed",
    "UnknownConnector",
    "UnknownComponent",
    "UnknownVariable",
    "UnknownMessageId",
    "UnknownVendor",
    "UnknownVendorId",
    "UnknownTransaction",
    "OngoingAuthorizedTransaction",
    "Failed",
    "VersionMismatch",
    "EmptyResultSet",
    "CertChainError",
    "InvalidCertificate",
    "InvalidSchedule",
    "InvalidURL",
    "DownloadFailed",
    "NotFound",
    "Occupied",
    "Faulted",
];

/// What the payload of a CALLRESULT says: its `status`, or the worst of the statuses in its results (2.x GetVariables,
/// SetVariables).
pub fn status_of(payload: &Value) -> Option<&str> {
    if let Some(status) = payload.get("status").and_then(Value::as_str) {
        return Some(status);
    }
    let results = ["setVariableResult", "getVariableResult"].into_iter().find_map(|name| payload.get(name)?.as_array())?;
    let statuses = || results.iter().filter_map(|result| result.get("attributeStatus")?.as_str());
    statuses().find(|status| is_refusal(status)).or_else(|| statuses().next())
}

/// Whether a status means that the station did not do it.
pub fn is_refusal(status: &str) -> bool {
    REFUSALS.contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_ours_takes_its_examples_and_names_what_is_wrong() {
        for version in [Version::V16, Version::V201] {
            for outgoing in table(version) {
                assert!(outgoing.examples.iter().any(|(_, wrong)| wrong.is_none()), "{}", outgoing.action);
                assert!(outgoing.examples.iter().any(|(_, wrong)| wrong.is_some()), "{}", outgoing.action);
                for (text, wrong) in outgoing.examples {
                    let payload = serde_json::from_str(text).expect(text);
                    let checked = check(version, outgoing.action, &payload).map(|found| found.action);
                    let wanted = match wrong {
                        None => Ok(outgoing.action.to_owned()),
                        Some(wrong) => Err((*wrong).to_owned()),
                    };
                    let checked = checked.map(str::to_owned).map_err(|not_sent| match not_sent {
                        NotSent::Payload(violation) => violation.to_string(),
                        NotSent::Action { .. } => "no such action".to_owned(),
                    });
                    assert_eq!(checked, wanted, "{} {text}", outgoing.action);
                }
            }
        }
    }

    #[test]
    fn statuses_are_yes_or_no() {
        for (payload, status, refused) in [
            (r#"{"status":"Accepted"}"#, Some("Accepted"), false),
            (r#"{"status":"Rejected"}"#, Some("Rejected"), true),
            (r#"{"configurationKey":[]}"#, None, false),
            (r#"{"status":7}"#, None, false),
            (
                r#"{"setVariableResult":[{"attributeStatus":"Accepted"},{"attributeStatus":"UnknownVariable"}]}"#,
                Some("UnknownVariable"),
                true,
            ),
            (r#"{"getVariableResult":[{"attributeStatus":"Accepted"}]}"#, Some("Accepted"), false),
        ] {
            let payload = serde_json::from_str(payload).expect(payload);
            let found = status_of(&payload);
            assert_eq!((found, found.is_some_and(is_refusal)), (status, refused), "{payload}");
        }
    }

    #[test]
    fn tokens_and_passwords_are_not_shown() {
        for (payload, shown) in [
            (r#"{"idTag":"04A1B2C3","connectorId":1}"#, r#"{"connectorId":1,"idTag":"…B2C3"}"#),
            (r#"{"idToken":{"idToken":"1234","type":"KeyCode"}}"#, r#"{"idToken":{"idToken":"…","type":"KeyCode"}}"#),
            (r#"{"idToken":{"idToken":"123456","type":"keycode"}}"#, r#"{"idToken":{"idToken":"…","type":"keycode"}}"#),
            (r#"{"key":"AuthorizationKey","value":"secret"}"#, r#"{"key":"AuthorizationKey","value":"…"}"#),
            (r#"{"key":"HeartbeatInterval","value":"300"}"#, r#"{"key":"HeartbeatInterval","value":"300"}"#),
            (
                r#"{"setVariableData":[{"variable":{"name":"BasicAuthPassword"},"attributeValue":"secret"}]}"#,
                r#"{"setVariableData":[{"attributeValue":"…","variable":{"name":"BasicAuthPassword"}}]}"#,
            ),
        ] {
            let masked = masked(&serde_json::from_str(payload).expect(payload));
            assert_eq!(masked, serde_json::from_str::<Value>(shown).expect(shown));
        }
    }

    #[test]
    fn a_frame_is_json_whatever_the_texts() {
        assert_eq!(frame("1-2", "Reset", r#"{"type":"Soft"}"#), r#"[2,"1-2","Reset",{"type":"Soft"}]"#);
        assert_eq!(frame("\"", "a\\", "{}"), r#"[2,"\"","a\\",{}]"#);
    }
}
