//! What the answer to a call says.

use serde_json::Value;

use super::facts::{Facts, Rule};
use crate::units::Version;

/// Statuses with which a station says that it did it, or will.
const YES: [&str; 6] = ["Accepted", "AcceptedCanceled", "RebootRequired", "Scheduled", "Unlocked", "Unpublished"];
/// Lists of results in an answer, each with its own status (2.x).
const RESULTS: [(&str, &str); 5] = [
    ("setVariableResult", "attributeStatus"),
    ("getVariableResult", "attributeStatus"),
    ("setMonitoringResult", "status"),
    ("clearMonitoringResult", "status"),
    ("clearTariffsResult", "status"),
];
/// Characters of a status that are kept; none of OCPP has more.
const MAX_STATUS: usize = 60;

/// What the payload of a CALLRESULT says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its `status`, or the worst of those in its results; cut after 60 characters.
    pub status: Option<String>,
    /// Whether the station did it, or will. An answer that cannot be read, or has not what it must have, is no yes.
    pub yes: bool,
}

/// Reads the answer to an action.
pub fn verdict(version: Version, action: &str, payload: &str) -> Verdict {
    let value: Value = serde_json::from_str(payload).unwrap_or_default();
    let facts = Facts::of(version);
    let answer = facts.call(action).map(|call| call.answer.as_slice()).unwrap_or_default();
    // Stations say Accepted to anything; another yes to another question is none to this.
    let is_listed = |status: &str| {
        let listed = answer.iter().find(|member| member.name == "status").map(|member| facts.resolved(&member.rule));
        !matches!(listed, Some(Rule::OneOf(values)) if !values.contains(&status))
    };
    let is_yes = |status: &str| status == "Accepted" || YES.contains(&status) && is_listed(status);
    let results = || RESULTS.iter().find_map(|(name, status)| Some((value.get(name)?.as_array()?, *status)));
    let (status, yes) = if let Some(status) = value.get("status").and_then(Value::as_str) {
        (Some(status), is_yes(status))
    } else if let Some((results, status)) = results() {
        let statuses = || results.iter().map(|result| result.get(status).and_then(Value::as_str).unwrap_or_default());
        let worst = statuses().find(|status| !is_yes(status)).or_else(|| statuses().next());
        (worst.filter(|status| !status.is_empty()), worst.is_some_and(is_yes))
    } else {
        // Where none belongs, it did it when all is there that must be.
        let is_there = |name: &str| name != "status" && value.get(name).is_some();
        let is_whole = answer.iter().all(|member| !member.required || is_there(member.name));
        (None, facts.call(action).is_some() && value.is_object() && is_whole)
    };
    Verdict { status: status.map(|status| status.chars().take(MAX_STATUS).collect()), yes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Version::{V16, V21, V201};

    #[test]
    fn statuses_are_yes_or_no() {
        for (version, action, payload, status, yes) in [
            (V16, "Reset", r#"{"status":"Accepted"}"#, Some("Accepted"), true),
            (V16, "UnlockConnector", r#"{"status":"Unlocked"}"#, Some("Unlocked"), true),
            (V16, "Reset", r#"{"status":"Rejected"}"#, Some("Rejected"), false),
            (V16, "Reset", r#"{"status":"accepted"}"#, Some("accepted"), false),
            (V16, "Reset", r#"{"status":"EVSEOccupied"}"#, Some("EVSEOccupied"), false),
            (V16, "Reset", r#"{"status":7}"#, None, false),
            (V16, "Reset", "{}", None, false),
            (V16, "Reset", "null", None, false),
            // Not to be read at all.
            (V16, "Reset", r#"{"status":"Rejected","x":1e999}"#, None, false),
            (V16, "GetConfiguration", r#"{"configurationKey":[]}"#, None, true),
            (V16, "GetConfiguration", "[]", None, false),
            (
                V201,
                "SetVariables",
                r#"{"setVariableResult":[{"attributeStatus":"Accepted"},{"attributeStatus":"UnknownVariable"}]}"#,
                Some("UnknownVariable"),
                false,
            ),
            (V201, "SetVariables", r#"{"setVariableResult":[{"attributeStatus":"Accepted"},{}]}"#, None, false),
            (V201, "SetVariables", r#"{"setVariableResult":[]}"#, None, false),
            (V201, "GetVariables", r#"{"getVariableResult":[{"attributeStatus":"Accepted"}]}"#, Some("Accepted"), true),
            (V16, "ClearCache", r#"{"status":"Scheduled"}"#, Some("Scheduled"), false),
            (V16, "ChangeAvailability", r#"{"status":"Scheduled"}"#, Some("Scheduled"), true),
            (V16, "ChangeConfiguration", r#"{"status":"RebootRequired"}"#, Some("RebootRequired"), true),
            (V16, "Reset", r#"{"status":"Scheduled"}"#, Some("Scheduled"), false),
            (V201, "Reset", r#"{"status":"Scheduled"}"#, Some("Scheduled"), true),
            (V201, "GetLog", r#"{"status":"AcceptedCanceled"}"#, Some("AcceptedCanceled"), true),
            (V16, "SignedUpdateFirmware", r#"{"status":"AcceptedCanceled"}"#, Some("AcceptedCanceled"), true),
            (V201, "UnpublishFirmware", r#"{"status":"Unpublished"}"#, Some("Unpublished"), true),
            (V201, "UnpublishFirmware", r#"{"status":"NoFirmware"}"#, Some("NoFirmware"), false),
            (V201, "GetBaseReport", r#"{"status":"EmptyResultSet"}"#, Some("EmptyResultSet"), false),
            (V201, "SendLocalList", r#"{"status":"VersionMismatch"}"#, Some("VersionMismatch"), false),
            // Messages whose answers have no status.
            (V16, "UpdateFirmware", "{}", None, true),
            (V16, "GetDiagnostics", r#"{"fileName":"x"}"#, None, true),
            (V16, "GetLocalListVersion", r#"{"listVersion":-1}"#, None, true),
            (V16, "GetLocalListVersion", "{}", None, false),
            (V201, "CostUpdated", "{}", None, true),
            (V201, "GetTransactionStatus", r#"{"messagesInQueue":true}"#, None, true),
            (V21, "NotifyWebPaymentStarted", "{}", None, true),
            (
                V201,
                "SetVariableMonitoring",
                r#"{"setMonitoringResult":[{"status":"Accepted"},{"status":"Rejected"}]}"#,
                Some("Rejected"),
                false,
            ),
            (V201, "ClearVariableMonitoring", r#"{"clearMonitoringResult":[{"status":"Accepted"}]}"#, Some("Accepted"), true),
            (V21, "ClearTariffs", r#"{"clearTariffsResult":[{"status":"NoTariff"}]}"#, Some("NoTariff"), false),
            (V201, "NoSuchAction", "{}", None, false),
        ] {
            let wanted = Verdict { status: status.map(str::to_owned), yes };
            assert_eq!(verdict(version, action, payload), wanted, "{version:?} {action} {payload}");
        }
    }

    #[test]
    fn a_status_is_short() {
        let verdict = verdict(V16, "Reset", &format!(r#"{{"status":"{}"}}"#, "ü".repeat(1000)));
        assert_eq!((verdict.status, verdict.yes), (Some("ü".repeat(60)), false));
    }

    /// Every answer says yes or no by a status, by the statuses of its results, or by being there.
    #[test]
    fn every_answer_can_be_judged() {
        for version in [V16, V201, V21] {
            for call in &Facts::of(version).calls {
                let has = |name: &str| call.answer.iter().any(|member| member.name == name && member.required);
                let facts = Facts::of(version);
                let status = call.answer.iter().find(|member| member.name == "status").map(|member| facts.resolved(&member.rule));
                match status {
                    Some(Rule::OneOf(values)) => {
                        assert!(values.iter().any(|value| YES.contains(value)), "{version:?} {}", call.action)
                    }
                    Some(other) => panic!("{version:?} {}: {other:?}", call.action),
                    None => {
                        let results = RESULTS.iter().any(|(name, _)| has(name));
                        let lists = call.answer.iter().any(|member| matches!(member.rule, Rule::List { .. }) && member.required);
                        assert_eq!(results, lists, "{version:?} {}", call.action);
                    }
                }
            }
        }
    }
}
