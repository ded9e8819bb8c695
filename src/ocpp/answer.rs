//! The frames of our answers: CALLRESULT and CALLERROR (OCPP-J 1.6 §4.2, 2.0.1 Part 4 §4.2 and §4.3). What stands in a CALLRESULT is
//! the matter of each message, in `v16/messages`, `v2/messages` and `shared`.
//!
//! Strict, unlike the reading side: optional fields that are empty are left out, a CALLERROR has all five elements, times are
//! whole seconds with `Z` (stations reboot over anything else, docs/quirks.md Q35). A SEND has no answer; that nobody asks for one
//! is the caller's part. Every answer is written into its text in one pass; no tree is built.
//! Limit: a CALLERROR description has at most 255 characters.

use serde::Serialize;

use super::message_id::MessageId;
use crate::fact::{Refusal, RefusalKind};
use crate::units::Version;

const MAX_DESCRIPTION: usize = 255;

/// A payload without a member.
#[derive(Serialize)]
pub(super) struct Empty {}

/// The CALLRESULT to the CALL `id`.
pub(super) fn result(id: &MessageId<'_>, payload: &impl Serialize) -> Option<String> {
    serde_json::to_string(&(3, id, payload)).ok()
}

/// The CALLERROR to the CALL `id`.
pub fn refuse(version: Version, id: &MessageId<'_>, refusal: &Refusal) -> String {
    let description: String = refusal.text.chars().take(MAX_DESCRIPTION).collect();
    // Texts always become JSON; there is nothing that could fail.
    serde_json::to_string(&(4, id, code(version, refusal.kind), description, Empty {})).unwrap_or_default()
}

/// The code as the version spells it; `Occurence` in 1.6 is the standard's own mistake and part of the wire format.
fn code(version: Version, kind: RefusalKind) -> &'static str {
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
        RefusalKind::MessageType if is_v16 => "GenericError",
        RefusalKind::MessageType => "MessageTypeNotSupported",
        RefusalKind::Internal => "InternalError",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Version::{V16, V21, V201};

    #[test]
    fn every_error_code_is_spelled_as_its_version_wants() {
        for (kind, v16, v2) in [
            (RefusalKind::Framing, "FormationViolation", "RpcFrameworkError"),
            (RefusalKind::NotImplemented, "NotImplemented", "NotImplemented"),
            (RefusalKind::NotSupported, "NotSupported", "NotSupported"),
            (RefusalKind::Format, "FormationViolation", "FormatViolation"),
            (RefusalKind::Missing, "OccurenceConstraintViolation", "OccurrenceConstraintViolation"),
            (RefusalKind::WrongType, "TypeConstraintViolation", "TypeConstraintViolation"),
            (RefusalKind::MessageType, "GenericError", "MessageTypeNotSupported"),
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

    #[test]
    fn an_id_is_echoed_as_it_came() {
        for id in ["17", "-1.50e3", "\"a b\"", "\"\\u00e9\\/\""] {
            let echoed = MessageId::from_token(id).and_then(|id| result(&id, &Empty {}));
            assert_eq!(echoed, Some(format!("[3,{id},{{}}]")));
        }
    }
}
