//! What we say to stations: CALLRESULT and CALLERROR as each version spells them (OCPP-J 1.6 §4.2, 2.0.1 Part 4 §4.2 and §4.3).
//!
//! Strict, unlike the reading side: optional fields that are empty are left out, a CALLERROR has all five elements, times are
//! whole seconds with `Z` (stations reboot over anything else, docs/quirks.md Q35). A SEND has no answer; that nobody asks for one
//! is the caller's part.
//! Limit: a CALLERROR description has at most 255 characters.

use super::frame::MessageId;
use crate::fact::{Answer, AuthStatus, Refusal, RefusalKind};
use crate::units::Version;
use crate::units::time::rfc3339_seconds;

const MAX_DESCRIPTION: usize = 255;

/// The CALLRESULT to the CALL `id` of `action`.
pub fn answer(version: Version, action: &str, id: &MessageId<'_>, answer: &Answer) -> String {
    match payload(version, action, answer) {
        Some(payload) => format!("[3,{},{payload}]", id.as_json()),
        None => refuse(version, id, &Refusal { kind: RefusalKind::Internal, text: "no valid transaction id".to_owned() }),
    }
}

/// `None` when the answer cannot be spelled in this version: a 1.6 transaction id of ours that is no number. That is our bug, and
/// a station must not be told a made-up id.
fn payload(version: Version, action: &str, answer: &Answer) -> Option<String> {
    Some(match answer {
        Answer::Boot { registration, now, interval_s } => format!(
            r#"{{"status":"{}","currentTime":"{}","interval":{interval_s}}}"#,
            registration.as_str(),
            rfc3339_seconds(*now)
        ),
        Answer::Heartbeat { now } => format!(r#"{{"currentTime":"{}"}}"#, rfc3339_seconds(*now)),
        Answer::Authorize { status } => format!("{{{}}}", token_info(version, *status)),
        Answer::Started { tx, status } => {
            let number: i64 = tx.as_str().parse().ok()?;
            format!(r#"{{"transactionId":{number},{}}}"#, token_info(version, *status))
        }
        // MeterValues never carries a token status, whatever the session thought of the transaction.
        Answer::Tx { status: Some(status) } if action != "MeterValues" => format!("{{{}}}", token_info(version, *status)),
        Answer::Tx { .. } | Answer::Empty => "{}".to_owned(),
        Answer::UnknownVendor => r#"{"status":"UnknownVendorId"}"#.to_owned(),
    })
}

/// `idTagInfo` of 1.6 or `idTokenInfo` of 2.x.
fn token_info(version: Version, status: AuthStatus) -> String {
    match (version, status) {
        (Version::V16, AuthStatus::Unknown) => token_info(version, AuthStatus::Invalid),
        (Version::V16, _) => format!(r#""idTagInfo":{{"status":"{}"}}"#, status.as_str()),
        (Version::V201 | Version::V21, _) => format!(r#""idTokenInfo":{{"status":"{}"}}"#, status.as_str()),
    }
}

/// The CALLERROR to the CALL `id`.
pub fn refuse(version: Version, id: &MessageId<'_>, refusal: &Refusal) -> String {
    let description: String = refusal.text.chars().take(MAX_DESCRIPTION).collect();
    format!(r#"[4,{},"{}",{},{{}}]"#, id.as_json(), code(version, refusal.kind), quoted(&description))
}

/// The code as the version spells it; `Occurence` in 1.6 is the standard's own mistake and part of the wire format.
pub fn code(version: Version, kind: RefusalKind) -> &'static str {
    let is_v16 = version == Version::V16;
    match kind {
        RefusalKind::Framing if is_v16 => "FormationViolation",
        RefusalKind::Framing => "RpcFrameworkError",
        RefusalKind::NotImplemented => "NotImplemented",
        RefusalKind::NotSupported => "NotSupported",
        RefusalKind::Format if is_v16 => "FormationViolation",
        RefusalKind::Format => "FormatViolation",
        RefusalKind::Missing if is_v16 => "OccurenceConstraintViolation",
        RefusalKind::Missing => "OccurrenceConstraintViolation",
        RefusalKind::WrongType => "TypeConstraintViolation",
        RefusalKind::OutOfRange => "PropertyConstraintViolation",
        RefusalKind::MessageType if is_v16 => "GenericError",
        RefusalKind::MessageType => "MessageTypeNotSupported",
        RefusalKind::Security => "SecurityError",
        RefusalKind::Internal => "InternalError",
    }
}

/// A text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Registration;
    use crate::units::TxRef;
    use crate::units::time::from_millis;
    use Version::{V16, V21, V201};

    fn reply(version: Version, action: &str, what: &Answer) -> String {
        answer(version, action, &MessageId::from_text("7"), what)
    }

    #[test]
    fn results_are_exact() {
        let now = from_millis(1_795_266_420_750);
        let boot = Answer::Boot { registration: Registration::Accepted, now, interval_s: 300 };
        let tx = |status| Answer::Tx { status };
        let started = Answer::Started { tx: TxRef::new("1000042"), status: AuthStatus::Unknown };
        for (version, action, what, expected) in [
            (
                V16,
                "BootNotification",
                boot.clone(),
                r#"{"status":"Accepted","currentTime":"2026-11-21T13:07:00Z","interval":300}"#,
            ),
            (V21, "BootNotification", boot, r#"{"status":"Accepted","currentTime":"2026-11-21T13:07:00Z","interval":300}"#),
            (V201, "Heartbeat", Answer::Heartbeat { now }, r#"{"currentTime":"2026-11-21T13:07:00Z"}"#),
            (V16, "Authorize", Answer::Authorize { status: AuthStatus::Unknown }, r#"{"idTagInfo":{"status":"Invalid"}}"#),
            (V201, "Authorize", Answer::Authorize { status: AuthStatus::Unknown }, r#"{"idTokenInfo":{"status":"Unknown"}}"#),
            (V16, "StartTransaction", started, r#"{"transactionId":1000042,"idTagInfo":{"status":"Invalid"}}"#),
            (V16, "StopTransaction", tx(None), "{}"),
            (V16, "StopTransaction", tx(Some(AuthStatus::Expired)), r#"{"idTagInfo":{"status":"Expired"}}"#),
            (V16, "MeterValues", tx(Some(AuthStatus::Accepted)), "{}"),
            (V201, "TransactionEvent", tx(None), "{}"),
            (V21, "TransactionEvent", tx(Some(AuthStatus::Blocked)), r#"{"idTokenInfo":{"status":"Blocked"}}"#),
            (V16, "StatusNotification", Answer::Empty, "{}"),
            (V201, "DataTransfer", Answer::UnknownVendor, r#"{"status":"UnknownVendorId"}"#),
        ] {
            assert_eq!(reply(version, action, &what), format!(r#"[3,"7",{expected}]"#), "{action}");
        }
        let bug = Answer::Started { tx: TxRef::new("abc"), status: AuthStatus::Accepted };
        assert_eq!(reply(V16, "StartTransaction", &bug), r#"[4,"7","InternalError","no valid transaction id",{}]"#);
    }

    #[test]
    fn every_error_code_is_spelled_as_its_version_wants() {
        for (kind, v16, v2) in [
            (RefusalKind::Framing, "FormationViolation", "RpcFrameworkError"),
            (RefusalKind::NotImplemented, "NotImplemented", "NotImplemented"),
            (RefusalKind::NotSupported, "NotSupported", "NotSupported"),
            (RefusalKind::Format, "FormationViolation", "FormatViolation"),
            (RefusalKind::Missing, "OccurenceConstraintViolation", "OccurrenceConstraintViolation"),
            (RefusalKind::WrongType, "TypeConstraintViolation", "TypeConstraintViolation"),
            (RefusalKind::OutOfRange, "PropertyConstraintViolation", "PropertyConstraintViolation"),
            (RefusalKind::MessageType, "GenericError", "MessageTypeNotSupported"),
            (RefusalKind::Security, "SecurityError", "SecurityError"),
            (RefusalKind::Internal, "InternalError", "InternalError"),
        ] {
            assert_eq!(code(V16, kind), v16);
            assert_eq!(code(V201, kind), v2);
            assert_eq!(code(V21, kind), v2);
        }
    }

    #[test]
    fn a_refusal_is_short_and_escaped() {
        let refusal = Refusal { kind: RefusalKind::Format, text: format!("say \"no\"\n{}", "ü".repeat(400)) };
        let text = refuse(V201, &MessageId::from_text("a\"b"), &refusal);
        assert_eq!(text, format!(r#"[4,"a\"b","FormatViolation","say \"no\"\n{}",{{}}]"#, "ü".repeat(246)));
    }
}
