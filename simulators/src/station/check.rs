//! Is an answer what the standard asks for? Required members, their types, times in UTC, no nulls, no foreign members.
//! Message definitions: OCPP 1.6 edition 2, chapter 6; OCPP 2.0.1 and 2.1, Part 2, chapter Messages.

use chrono::DateTime;
use serde_json::Value;

use super::Version;

enum Kind {
    Text,
    Integer,
    Time,
    Object,
}

/// An answer's members: the required with their kinds, then the optional ones. `None` = an action not in the table.
type Shape = (&'static [(&'static str, Kind)], &'static [&'static str]);

fn shape(version: Version, action: &str) -> Option<Shape> {
    use Kind::{Integer, Object, Text, Time};
    const BOOT: &[(&str, Kind)] = &[("status", Text), ("currentTime", Time), ("interval", Integer)];
    Some(match (action, version.is_2x()) {
        ("BootNotification", false) => (BOOT, &[]),
        ("BootNotification", true) => (BOOT, &["statusInfo"]),
        ("Heartbeat", _) => (&[("currentTime", Time)], &[]),
        ("StatusNotification" | "MeterValues", _) => (&[], &[]),
        ("Authorize", false) => (&[("idTagInfo", Object)], &[]),
        ("Authorize", true) => (&[("idTokenInfo", Object)], &["certificateStatus", "allowedEnergyTransfer", "tariff"]),
        ("StartTransaction", false) => (&[("transactionId", Integer), ("idTagInfo", Object)], &[]),
        ("StopTransaction", false) => (&[], &["idTagInfo"]),
        ("TransactionEvent", true) => (
            &[],
            &[
                "totalCost",
                "chargingPriority",
                "idTokenInfo",
                "updatedPersonalMessage",
                "transactionLimit",
                "updatedPersonalMessageExtra",
            ],
        ),
        ("DataTransfer", _) => (&[("status", Text)], &["data", "statusInfo"]),
        _ => return None,
    })
}

/// What is wrong with this answer to this request; empty when nothing is.
pub fn complaints(version: Version, action: &str, request: &Value, answer: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if holds_null(answer) {
        wrong.push("holds null".to_owned());
    }
    let Some((required, optional)) = shape(version, action) else { return wrong };
    for (member, kind) in required {
        match answer.get(member) {
            None => wrong.push(format!("{member} is missing")),
            Some(value) if !fits(kind, value) => wrong.push(format!("{member} is {value}")),
            Some(_) => {}
        }
    }
    let known =
        |member: &str| member == "customData" || required.iter().any(|(name, _)| *name == member) || optional.contains(&member);
    for member in answer.as_object().into_iter().flat_map(|members| members.keys()).filter(|member| !known(member)) {
        wrong.push(format!("{member} does not belong here"));
    }
    // E01.FR.11/12: idTokenInfo if and only if the request had an idToken.
    if action == "TransactionEvent" && request.get("idToken").is_some() != answer.get("idTokenInfo").is_some() {
        wrong.push("idTokenInfo must be there exactly when the request has an idToken".to_owned());
    }
    for info in ["idTagInfo", "idTokenInfo"] {
        if answer.get(info).is_some_and(|info| !info["status"].is_string()) {
            wrong.push(format!("{info} has no status"));
        }
    }
    wrong
}

fn fits(kind: &Kind, value: &Value) -> bool {
    match kind {
        Kind::Text => value.is_string(),
        Kind::Integer => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        Kind::Object => value.is_object(),
        Kind::Time => value.as_str().is_some_and(|text| text.ends_with('Z') && DateTime::parse_from_rfc3339(text).is_ok()),
    }
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(holds_null),
        Value::Object(members) => members.values().any(holds_null),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn good_answers_pass_and_bad_ones_do_not() {
        let boot = json!({"status": "Accepted", "currentTime": "2026-07-22T12:00:00Z", "interval": 300});
        assert_eq!(complaints(Version::V16, "BootNotification", &json!({}), &boot), Vec::<String>::new());
        let bad = json!({"status": "Accepted", "currentTime": "2026-07-22T12:00:00+02:00", "interval": null, "more": 1});
        assert_eq!(complaints(Version::V16, "BootNotification", &json!({}), &bad).len(), 4);
    }

    #[test]
    fn a_token_asks_for_its_status() {
        let with = json!({"idToken": {"idToken": "A", "type": "ISO14443"}});
        let status = json!({"idTokenInfo": {"status": "Accepted"}});
        let wrong = |request: &Value, answer: &Value| complaints(Version::V201, "TransactionEvent", request, answer).len();
        assert_eq!((wrong(&with, &status), wrong(&json!({}), &json!({}))), (0, 0));
        assert_eq!((wrong(&with, &json!({})), wrong(&json!({}), &status)), (1, 1));
        assert_eq!(wrong(&with, &json!({"idTokenInfo": {}})), 1);
    }
}
