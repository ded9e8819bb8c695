//! OCPP-J frames by hand: what is written, and a strict reading of what comes back.

use serde_json::{Value, json};

/// What a station says to a CALL of the CSMS.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Result(Value),
    Error {
        code: &'static str,
        description: String,
    },
    /// Not answered at all.
    Silence,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    Call { id: String, action: String, payload: Value },
    Result { id: String, payload: Value },
    Error { id: String, code: String, description: String },
}

pub fn call(id: &str, action: &str, payload: &Value) -> String {
    json!([2, id, action, payload]).to_string()
}

pub fn reply(id: &str, reply: Reply) -> Option<String> {
    match reply {
        Reply::Result(payload) => Some(json!([3, id, payload]).to_string()),
        Reply::Error { code, description } => Some(json!([4, id, code, description, {}]).to_string()),
        Reply::Silence => None,
    }
}

/// Strict, as the CSMS is the one under test. The error says what is wrong.
pub fn parse(text: &str) -> Result<Frame, String> {
    let Ok(Value::Array(mut items)) = serde_json::from_str(text) else { return Err("not a JSON array".into()) };
    let id = items.get(1).and_then(Value::as_str).unwrap_or_default().to_owned();
    if id.is_empty() || id.chars().count() > 36 {
        return Err("message id must be a string of 1 to 36 characters".into());
    }
    let word =
        |at: usize| items.get(at).and_then(Value::as_str).map(str::to_owned).ok_or(format!("element {at} must be a string"));
    let object = |at: usize| {
        if items.get(at).is_some_and(Value::is_object) { Ok(()) } else { Err(format!("element {at} must be an object")) }
    };
    let (kind, length) = (items.first().and_then(Value::as_u64), items.len());
    let payload_at = |at: usize| object(at).map(|()| at);
    match (kind, length) {
        (Some(2), 4) => {
            let action = word(2)?;
            let at = payload_at(3)?;
            Ok(Frame::Call { id, action, payload: items.swap_remove(at) })
        }
        (Some(3), 3) => {
            let at = payload_at(2)?;
            Ok(Frame::Result { id, payload: items.swap_remove(at) })
        }
        (Some(4), 5) => {
            object(4)?;
            Ok(Frame::Error { id, code: word(2)?, description: word(3)? })
        }
        (Some(2..=4), _) => Err(format!("{length} elements")),
        _ => Err("unknown message type".into()),
    }
}

/// Actions a CSMS may send in any version. One that is not here gets NotImplemented, the others NotSupported.
const KNOWN: &[&str] = &[
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ChangeConfiguration",
    "ClearCache",
    "ClearChargingProfile",
    "ClearDisplayMessage",
    "ClearVariableMonitoring",
    "CostUpdated",
    "CustomerInformation",
    "DataTransfer",
    "DeleteCertificate",
    "ExtendedTriggerMessage",
    "GetBaseReport",
    "GetChargingProfiles",
    "GetCompositeSchedule",
    "GetConfiguration",
    "GetDiagnostics",
    "GetDisplayMessages",
    "GetInstalledCertificateIds",
    "GetLocalListVersion",
    "GetLog",
    "GetMonitoringReport",
    "GetReport",
    "GetTransactionStatus",
    "GetVariables",
    "InstallCertificate",
    "PublishFirmware",
    "RemoteStartTransaction",
    "RemoteStopTransaction",
    "RequestStartTransaction",
    "RequestStopTransaction",
    "ReserveNow",
    "Reset",
    "SendLocalList",
    "SetChargingProfile",
    "SetDisplayMessage",
    "SetMonitoringBase",
    "SetMonitoringLevel",
    "SetNetworkProfile",
    "SetVariableMonitoring",
    "SetVariables",
    "SignedUpdateFirmware",
    "TriggerMessage",
    "UnlockConnector",
    "UnpublishFirmware",
    "UpdateFirmware",
];

/// The polite refusal of a station that only charges.
pub fn refuse(action: &str) -> Reply {
    let code = if KNOWN.contains(&action) { "NotSupported" } else { "NotImplemented" };
    Reply::Error { code, description: format!("this simulated station does not do {action}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_strictly() {
        assert_eq!(parse(r#"[3,"a",{}]"#), Ok(Frame::Result { id: "a".into(), payload: json!({}) }));
        assert!(matches!(parse(r#"[4,"a","GenericError","",{}]"#), Ok(Frame::Error { code, .. }) if code == "GenericError"));
        assert!(matches!(parse(r#"[2,"a","Reset",{}]"#), Ok(Frame::Call { action, .. }) if action == "Reset"));
        for wrong in
            [r#"[3,"a",null]"#, r#"[3,"a"]"#, r#"[4,"a","X","",null]"#, r#"[4,"a","X",""]"#, r#"[3,7,{}]"#, "{}", r#"[9,"a",{}]"#]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(&format!(r#"[3,"{}",{{}}]"#, "x".repeat(37))).is_err());
    }
}
