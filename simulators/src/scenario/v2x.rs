//! Scenario words in OCPP 2.0.1 and 2.1: TransactionEvent and StatusNotification, alike in both versions.
//! A fact appears once: the EVSE in the first event, the token where it is shown, the charging state when it changes.

use serde_json::{Value, json};

use super::cast::{Scene, Status, Words, iso};

pub fn authorize(token: &str) -> Words {
    Words::ordinary("Authorize", json!({"idToken": id_token(token)}))
}

pub fn status(scene: &Scene, status: Status) -> Words {
    let name = if status == Status::Available { "Available" } else { "Occupied" };
    Words::ordinary(
        "StatusNotification",
        json!({"timestamp": iso(scene.at), "connectorStatus": name, "evseId": scene.connector, "connectorId": 1}),
    )
}

/// A transaction's first event.
pub fn started(scene: &Scene, trigger: &str, state: &str, token: Option<&str>) -> Words {
    let mut payload = event(scene, "Started", trigger, "Transaction.Begin");
    payload["evse"] = json!({"id": scene.connector, "connectorId": 1});
    payload["transactionInfo"]["chargingState"] = json!(state);
    with_token(payload, token)
}

pub fn metered(scene: &Scene) -> Words {
    Words::transaction("TransactionEvent", event(scene, "Updated", "MeterValuePeriodic", "Sample.Periodic"))
}

/// Something changed in the middle: the state, or the token that pays.
pub fn updated(scene: &Scene, trigger: &str, state: Option<&str>, token: Option<&str>) -> Words {
    let mut payload = event(scene, "Updated", trigger, "Other");
    if let Some(state) = state {
        payload["transactionInfo"]["chargingState"] = json!(state);
    }
    with_token(payload, token)
}

pub fn ended(scene: &Scene, trigger: &str, state: &str, token: Option<&str>, reason: Option<&str>) -> Words {
    let mut payload = event(scene, "Ended", trigger, "Transaction.End");
    payload["transactionInfo"]["chargingState"] = json!(state);
    payload["transactionInfo"]["stoppedReason"] = json!(reason.unwrap_or("Local"));
    with_token(payload, token)
}

fn event(scene: &Scene, kind: &str, trigger: &str, context: &str) -> Value {
    let sample = |measurand: &str, unit: &str, value: i64| json!({"value": value, "context": context, "measurand": measurand, "location": "Outlet", "unitOfMeasure": {"unit": unit}});
    let mut samples = vec![sample("Energy.Active.Import.Register", "Wh", scene.register_wh)];
    if kind == "Updated" {
        samples.push(sample("Power.Active.Import", "W", scene.watts));
    }
    let mut payload = json!({
        "eventType": kind, "timestamp": iso(scene.at), "triggerReason": trigger, "seqNo": scene.seq,
        "transactionInfo": {"transactionId": scene.tx},
        "meterValue": [{"timestamp": iso(scene.at), "sampledValue": samples}],
    });
    if scene.offline {
        payload["offline"] = json!(true);
    }
    payload
}

fn with_token(mut payload: Value, token: Option<&str>) -> Words {
    if let Some(token) = token {
        payload["idToken"] = id_token(token);
    }
    Words::transaction("TransactionEvent", payload)
}

fn id_token(token: &str) -> Value {
    json!({"idToken": token, "type": "ISO14443"})
}
