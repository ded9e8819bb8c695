//! Messages that we send: what a call must look like, and what its answer says.
//!
//! ```text
//! action, payload ─ find, check ─▶ Outgoing ─ frame ─▶ CALL text ─▶ station ─▶ CALLRESULT, CALLERROR ─ read ─▶ verdict
//! ```
//! One file per action in `v16/calls` and `v2/calls`, each with its schema and examples; the table of a version lists them.
//! A new message is one file and its line in that table.

use serde_json::Value;
use serde_json::value::RawValue;

use super::outgoing::Outgoing;
use super::schema::{self, Violation};
use super::{v2, v16};
use crate::units::{Members, Token, TokenKind, Version};

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

/// Arrays and objects within each other that are shown; no message of OCPP has ten.
const MAX_DEPTH: usize = 24;

/// A payload, of a call or its answer, as people may see it: tokens masked, passwords left out, all else as it was written. Text that is
/// not JSON, or nested deeper than `MAX_DEPTH`, is not shown.
pub fn masked(payload: &str) -> String {
    mask(payload, MAX_DEPTH).unwrap_or_else(|| "null".to_owned())
}

fn mask(payload: &str, depth: usize) -> Option<String> {
    let raw: &RawValue = serde_json::from_str(payload).ok()?;
    let within = depth.checked_sub(1)?;
    if raw.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
        let items: Option<Vec<String>> = items.iter().map(|item| mask(item.get(), within)).collect();
        return Some(format!("[{}]", items?.join(",")));
    }
    if !raw.get().starts_with('{') {
        return Some(raw.get().to_owned());
    }
    let Members(members) = serde_json::from_str(raw.get()).ok()?;
    let texts =
        |name: &'static str| members.iter().filter(move |(known, _)| known == name).filter_map(|(_, value)| text_of(value));
    let variables = members.iter().filter(|(name, _)| name == "variable").filter_map(|(_, variable)| {
        let Members(parts) = serde_json::from_str(variable.get()).ok()?;
        parts.iter().find(|(name, _)| name == "name").and_then(|(_, name)| text_of(name))
    });
    let is_password = texts("key").chain(variables).any(|name| names_a_password(&name));
    let is_pin = texts("type").any(|kind| kind.to_ascii_uppercase().contains("PIN"));
    let kind = if is_pin { "KeyCode".to_owned() } else { texts("type").next().unwrap_or_default() };
    let shown = |(name, value): &(String, &RawValue)| {
        let shown = match (name.as_str(), text_of(value)) {
            ("value" | "attributeValue", _) if is_password => Value::from("…").to_string(),
            ("idTag" | "parentIdTag" | "idToken" | "additionalIdToken", Some(token)) => {
                Value::from(Token::new(TokenKind::Named(kind.as_str().into()), &token).masked()).to_string()
            }
            _ => mask(value.get(), within)?,
        };
        Some(format!("{}:{shown}", Value::from(name.as_str())))
    };
    let members: Option<Vec<String>> = members.iter().map(shown).collect();
    Some(format!("{{{}}}", members?.join(",")))
}

fn text_of(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
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
    fn what_is_shown_keeps_every_digit_and_ends_at_a_depth() {
        for (payload, shown) in [
            (r#" {"a" : 1.50, "b":[1e400, 12345678901234567890.10 ]} "#, r#"{"a":1.50,"b":[1e400,12345678901234567890.10]}"#),
            (r#"{"key":"x","key":"Password","value":"s","value":1}"#, r#"{"key":"x","key":"Password","value":"…","value":"…"}"#),
        ] {
            assert_eq!(masked(payload), shown);
        }
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(masked(&nested(23)), nested(23));
        assert_eq!(masked(&nested(200_000)), "null");
    }

    #[test]
    fn a_frame_is_json_whatever_the_texts() {
        assert_eq!(frame("1-2", "Reset", r#"{"type":"Soft"}"#), r#"[2,"1-2","Reset",{"type":"Soft"}]"#);
        assert_eq!(frame("\"", "a\\", "{}"), r#"[2,"\"","a\\",{}]"#);
    }
}
