//! Messages that we send: what a call must look like, and what its answer says.
//!
//! ```text
//! action, payload ─ find, check ─▶ Outgoing ─ frame ─▶ CALL text ─▶ station ─▶ CALLRESULT, CALLERROR ─ read ─▶ verdict
//! ```
//! One file per action in `v16/calls` and `v2/calls`, each with its schema and examples; the table of a version lists them.
//! A new message is one file and its line in that table.

use serde_json::Value;

use super::outgoing::Outgoing;
use super::schema::{self, Violation};
use super::{v2, v16};
use crate::units::{Token, TokenKind, Version};

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
    let [id, action] = [id, action].map(|text| Value::from(text).to_string());
    format!("[2,{id},{action},{payload}]")
}

/// A payload, of a call or its answer, as people may see it: tokens masked, passwords left out. Text that is not JSON is not shown.
pub fn masked(payload: &str) -> String {
    serde_json::from_str::<Value>(payload).map_or_else(|_| "null".to_owned(), |payload| mask(&payload).to_string())
}

fn mask(payload: &Value) -> Value {
    match payload {
        Value::Array(items) => items.iter().map(mask).collect(),
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            let variable = || members.get("variable").and_then(|variable| variable.get("name")).and_then(Value::as_str);
            let is_password = text("key").or_else(variable).is_some_and(names_a_password);
            let is_pin = text("type").is_some_and(|kind| kind.to_ascii_uppercase().contains("PIN"));
            let kind = if is_pin { "KeyCode" } else { text("type").unwrap_or_default() };
            let shown = |(name, value): (&String, &Value)| {
                let shown = match (name.as_str(), value) {
                    ("value" | "attributeValue", _) if is_password => Value::from("…"),
                    ("idTag" | "parentIdTag" | "idToken" | "additionalIdToken", Value::String(token)) => {
                        Value::from(Token::new(TokenKind::Named(kind.into()), token).masked())
                    }
                    _ => mask(value),
                };
                (name.clone(), shown)
            };
            members.iter().map(shown).collect()
        }
        other => other.clone(),
    }
}

/// Keys and variables whose value is a password (OCPP 1.6 security whitepaper A01, 2.0.1 A01); stations have more of their own.
fn names_a_password(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorizationkey", "password", "secret"].iter().any(|part| name.contains(part))
}

/// Statuses with which a station says that it did it, or will.
const YES: [&str; 4] = ["Accepted", "RebootRequired", "Scheduled", "Unlocked"];
/// The one answer of ours that has neither a status nor results with one (1.6 GetConfiguration).
const WITHOUT_STATUS: &str = "GetConfiguration";

/// What the payload of a CALLRESULT says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its `status`, or the worst of those in its results (2.x GetVariables, SetVariables).
    pub status: Option<String>,
    /// Whether the station did it. An answer that cannot be read, or has not the status that it must have, is no yes.
    pub yes: bool,
}

/// Reads the answer to an action.
pub fn verdict(action: &str, payload: &str) -> Verdict {
    let value: Value = serde_json::from_str(payload).unwrap_or_default();
    let is_yes = |status: &&str| YES.contains(status);
    let results = || ["setVariableResult", "getVariableResult"].into_iter().find_map(|name| value.get(name)?.as_array());
    let (status, yes) = if let Some(status) = value.get("status").and_then(Value::as_str) {
        (Some(status), is_yes(&status))
    } else if let Some(results) = results() {
        let statuses = || results.iter().map(|result| result.get("attributeStatus").and_then(Value::as_str).unwrap_or_default());
        let worst = statuses().find(|status| !is_yes(status)).or_else(|| statuses().next());
        (worst.filter(|status| !status.is_empty()), worst.is_some_and(|worst| is_yes(&worst)))
    } else {
        (None, action == WITHOUT_STATUS && value.is_object())
    };
    Verdict { status: status.map(str::to_owned), yes }
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
        for (action, payload, status, yes) in [
            ("Reset", r#"{"status":"Accepted"}"#, Some("Accepted"), true),
            ("UnlockConnector", r#"{"status":"Unlocked"}"#, Some("Unlocked"), true),
            ("Reset", r#"{"status":"Rejected"}"#, Some("Rejected"), false),
            ("Reset", r#"{"status":"accepted"}"#, Some("accepted"), false),
            ("Reset", r#"{"status":"EVSEOccupied"}"#, Some("EVSEOccupied"), false),
            ("Reset", r#"{"status":7}"#, None, false),
            ("Reset", "{}", None, false),
            ("Reset", "null", None, false),
            // Not to be read at all.
            ("Reset", r#"{"status":"Rejected","x":1e999}"#, None, false),
            ("GetConfiguration", r#"{"configurationKey":[]}"#, None, true),
            ("GetConfiguration", "[]", None, false),
            (
                "SetVariables",
                r#"{"setVariableResult":[{"attributeStatus":"Accepted"},{"attributeStatus":"UnknownVariable"}]}"#,
                Some("UnknownVariable"),
                false,
            ),
            ("SetVariables", r#"{"setVariableResult":[{"attributeStatus":"Accepted"},{}]}"#, None, false),
            ("SetVariables", r#"{"setVariableResult":[]}"#, None, false),
            ("GetVariables", r#"{"getVariableResult":[{"attributeStatus":"Accepted"}]}"#, Some("Accepted"), true),
        ] {
            assert_eq!(verdict(action, payload), Verdict { status: status.map(str::to_owned), yes }, "{action} {payload}");
        }
    }

    #[test]
    fn tokens_and_passwords_are_not_shown() {
        for (payload, shown) in [
            (r#"{"idTag":"04A1B2C3","connectorId":1}"#, r#"{"connectorId":1,"idTag":"…B2C3"}"#),
            (r#"{"idToken":{"idToken":"1234","type":"KeyCode"}}"#, r#"{"idToken":{"idToken":"…","type":"KeyCode"}}"#),
            (r#"{"idToken":{"idToken":"123456","type":"keycode"}}"#, r#"{"idToken":{"idToken":"…","type":"keycode"}}"#),
            (r#"{"key":"AuthorizationKey","value":"secret"}"#, r#"{"key":"AuthorizationKey","value":"…"}"#),
            (r#"{"key":" authorizationkey","value":"secret"}"#, r#"{"key":" authorizationkey","value":"…"}"#),
            (r#"{"additionalIdToken":"123456","type":"PIN"}"#, r#"{"additionalIdToken":"…","type":"PIN"}"#),
            ("{", "null"),
            (r#"{"key":"HeartbeatInterval","value":"300"}"#, r#"{"key":"HeartbeatInterval","value":"300"}"#),
            (
                r#"{"setVariableData":[{"variable":{"name":"BasicAuthPassword"},"attributeValue":"secret"}]}"#,
                r#"{"setVariableData":[{"attributeValue":"…","variable":{"name":"BasicAuthPassword"}}]}"#,
            ),
        ] {
            let masked: Value = serde_json::from_str(&masked(payload)).expect(payload);
            assert_eq!(masked, serde_json::from_str::<Value>(shown).expect(shown));
        }
    }

    #[test]
    fn a_frame_is_json_whatever_the_texts() {
        assert_eq!(frame("1-2", "Reset", r#"{"type":"Soft"}"#), r#"[2,"1-2","Reset",{"type":"Soft"}]"#);
        assert_eq!(frame("\"", "a\\", "{}"), r#"[2,"\"","a\\",{}]"#);
    }
}
