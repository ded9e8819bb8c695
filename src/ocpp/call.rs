//! Messages that we send: which there are, and whether a payload fits.
//!
//! ```text
//! action, payload ─ find, check ─▶ Outgoing ─ frame ─▶ CALL text ─▶ station ─▶ CALLRESULT, CALLERROR ─ verdict.rs ─▶ yes or no
//! ```
//! What a message must look like stands in the tables of `facts.rs`, and nowhere else.

use serde_json::Value;
use serde_json::value::RawValue;

use super::facts::{Facts, Outgoing};
use super::schema::{self, Violation};
use crate::units::{Version, by_likeness};

/// Why a call is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// This version has no such message to a station.
    Action {
        version: Version,
        /// Versions that have it.
        others: Vec<Version>,
        /// Messages of this version that may have been meant, the likeliest first.
        nearest: Vec<&'static str>,
    },
    Payload {
        action: &'static str,
        violation: Violation,
    },
    NotJson(String),
}

impl std::fmt::Display for NotSent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Action { version, others, nearest } => {
                write!(f, "OCPP {} has no such message to a station", version.number())?;
                let others: Vec<&str> = others.iter().map(|version| version.number()).collect();
                if !others.is_empty() {
                    write!(f, " (OCPP {} has)", others.join(" and "))?;
                }
                write!(f, "; did you mean {}?", nearest.join(" or "))
            }
            Self::Payload { action, violation } => write!(f, "{action} was not sent: {violation}"),
            Self::NotJson(error) => write!(f, "the payload is not JSON: {error}"),
        }
    }
}

const VERSIONS: [Version; 3] = [Version::V16, Version::V201, Version::V21];
/// How many messages are suggested for one that there is not.
const SUGGESTED: usize = 3;
/// What 1.6 and 2.x call the same thing.
const COUNTERPARTS: [(&str, &str); 7] = [
    ("ChangeConfiguration", "SetVariables"),
    ("ExtendedTriggerMessage", "TriggerMessage"),
    ("GetConfiguration", "GetVariables"),
    ("GetDiagnostics", "GetLog"),
    ("RemoteStartTransaction", "RequestStartTransaction"),
    ("RemoteStopTransaction", "RequestStopTransaction"),
    ("SignedUpdateFirmware", "UpdateFirmware"),
];

/// The messages that we send in this version, in the order of their names.
pub fn actions(version: Version) -> impl Iterator<Item = &'static str> {
    Facts::of(version).calls.iter().map(|call| call.action)
}

/// The message of that name, in whatever case, if the payload (JSON text) fits it.
pub fn check(version: Version, action: &str, payload: &str) -> Result<&'static Outgoing, NotSent> {
    let facts = Facts::of(version);
    let in_any_case = || facts.calls.iter().find(|call| call.action.eq_ignore_ascii_case(action));
    let Some(call) = facts.call(action).or_else(in_any_case) else { return Err(no_such(version, action)) };
    let payload: &RawValue = serde_json::from_str(payload).map_err(|error| NotSent::NotJson(error.to_string()))?;
    schema::check(facts, &call.request, payload).map_err(|violation| NotSent::Payload { action: call.action, violation })?;
    Ok(call)
}

fn no_such(version: Version, action: &str) -> NotSent {
    let is_it = |known: &str| known.eq_ignore_ascii_case(action);
    let others = VERSIONS.into_iter().filter(|other| actions(*other).any(is_it)).collect();
    let same = COUNTERPARTS.iter().flat_map(|(v16, v2)| [(v16, v2), (v2, v16)]);
    let same = same.filter(|(name, _)| is_it(name)).filter_map(|(_, same)| Facts::of(version).call(same));
    let mut nearest: Vec<&'static str> = same.map(|call| call.action).collect();
    let alike = by_likeness(action, actions(version)).into_iter().filter(|name| !nearest.contains(name));
    let alike: Vec<_> = alike.take(SUGGESTED - nearest.len().min(SUGGESTED)).collect();
    nearest.extend(alike);
    NotSent::Action { version, others, nearest }
}

/// The frame of a call (OCPP-J 1.6 §4.2.1, 2.0.1 Part 4 §4.2.1). `payload` is JSON text.
pub fn frame(id: &str, action: &str, payload: &str) -> String {
    let [id, action] = [id, action].map(|text| Value::from(text).to_string());
    format!("[2,{id},{action},{payload}]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Version::{V16, V21, V201};

    #[test]
    fn what_is_wrong_is_named() {
        for (version, action, payload, wanted) in [
            (V16, "Reset", r#"{"type":"Soft"}"#, "Reset"),
            (V16, "reset", r#"{"type":"Soft"}"#, "Reset"),
            (V16, "Reset", r#"{"type":"soft"}"#, "Reset was not sent: $.type must be one of: Hard, Soft"),
            (V16, "Reset", "{}", "Reset was not sent: $.type is required"),
            (V16, "Reset", "[]", "Reset was not sent: $ must be an object"),
            (V16, "Reset", r#"{"type":"Soft","type":"Hard"}"#, "Reset was not sent: $.type is there twice"),
            (V16, "Reset", r#"{"type":"Soft","now":1}"#, "Reset was not sent: $.now is not a member here"),
            (
                V16,
                "Reset",
                r#"{"type":"Soft","customData":{"vendorId":"x"}}"#,
                "Reset was not sent: $.customData is not a member here",
            ),
            (
                V16,
                "GetConfiguration",
                r#"{"keys":["a"]}"#,
                "GetConfiguration was not sent: $.keys is not a member here; there are: key",
            ),
            (V16, "GetConfiguration", r#"{"key":[]}"#, "GetConfiguration"),
            (
                V16,
                "RemoteStopTransaction",
                r#"{"transactionId":1.0}"#,
                "RemoteStopTransaction was not sent: $.transactionId must be an integer",
            ),
            (
                V16,
                "ChangeConfiguration",
                r#"{"key":"a","value":3}"#,
                "ChangeConfiguration was not sent: $.value must be a text of at most 500 characters",
            ),
            (
                V16,
                "GetDiagnostics",
                r#"{"location":"host/a"}"#,
                "GetDiagnostics was not sent: $.location must be a URL, such as ftp://host/folder",
            ),
            (
                V16,
                "UpdateFirmware",
                r#"{"location":"ftp://h/f","retrieveDate":"today"}"#,
                "UpdateFirmware was not sent: $.retrieveDate must be a time (RFC 3339), such as 2026-11-28T12:00:00Z",
            ),
            (
                V16,
                "SetChargingProfile",
                r#"{"connectorId":0,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative",
                    "chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.05}]}}}"#,
                "SetChargingProfile was not sent: $.csChargingProfiles.chargingSchedule.chargingSchedulePeriod[0].limit must be a number with at most one decimal",
            ),
            (V201, "Reset", r#"{"type":"OnIdle","customData":{"vendorId":"x","more":[1]}}"#, "Reset"),
            (V201, "Reset", r#"{"type":"OnIdle","customData":{}}"#, "Reset was not sent: $.customData.vendorId is required"),
            (V201, "Reset", r#"{"type":"ImmediateAndResume"}"#, "Reset was not sent: $.type must be one of: Immediate, OnIdle"),
            (V21, "Reset", r#"{"type":"ImmediateAndResume"}"#, "Reset"),
            (
                V21,
                "ChangeAvailability",
                r#"{"operationalStatus":"Operative","evse":{"id":-1}}"#,
                "ChangeAvailability was not sent: $.evse.id must be an integer of at least 0",
            ),
            (
                V201,
                "GetVariables",
                r#"{"getVariableData":[]}"#,
                "GetVariables was not sent: $.getVariableData must be a list of at least one",
            ),
            (V201, "ClearCache", "{", "the payload is not JSON: EOF while parsing an object at line 1 column 1"),
            (
                V16,
                "GetVariables",
                "{}",
                "OCPP 1.6 has no such message to a station (OCPP 2.0.1 and 2.1 has); did you mean GetConfiguration or GetLog or GetDiagnostics?",
            ),
            (
                V201,
                "remotestarttransaction",
                "{}",
                "OCPP 2.0.1 has no such message to a station (OCPP 1.6 has); did you mean RequestStartTransaction or RequestStopTransaction or ReserveNow?",
            ),
            (V201, "Resett", "{}", "OCPP 2.0.1 has no such message to a station; did you mean Reset or ReserveNow or GetLog?"),
        ] {
            let said = match check(version, action, payload) {
                Ok(call) => call.action.to_owned(),
                Err(not_sent) => not_sent.to_string(),
            };
            assert_eq!(said, wanted, "{version:?} {action} {payload}");
        }
    }

    #[test]
    fn a_frame_is_json_whatever_the_texts() {
        assert_eq!(frame("1-2", "Reset", r#"{"type":"Soft"}"#), r#"[2,"1-2","Reset",{"type":"Soft"}]"#);
        assert_eq!(frame("\"", "a\\", "{}"), r#"[2,"\"","a\\",{}]"#);
    }
}
