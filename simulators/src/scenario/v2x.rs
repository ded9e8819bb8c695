//! Scenario steps in OCPP 2.0.1 and 2.1: TransactionEvent and StatusNotification, alike in both versions.
//! A fact appears once: the EVSE in the first event, the token where it is shown, the charging state when it changes.

use serde_json::{Value, json};

use super::state::{Call, Moment, Status, iso};

pub fn authorize(token: &str) -> Call {
    Call::ordinary("Authorize", json!({"idToken": id_token(token)}))
}

pub fn status(moment: &Moment, status: Status) -> Call {
    let name = if status == Status::Available { "Available" } else { "Occupied" };
    Call::ordinary(
        "StatusNotification",
        json!({"timestamp": iso(moment.at), "connectorStatus": name, "evseId": moment.connector, "connectorId": 1}),
    )
}

/// A transaction's first event.
pub fn started(moment: &Moment, trigger: &str, state: &str, token: Option<&str>) -> Call {
    let mut payload = event(moment, "Started", trigger, "Transaction.Begin");
    payload["evse"] = json!({"id": moment.connector, "connectorId": 1});
    payload["transactionInfo"]["chargingState"] = json!(state);
    with_token(payload, token)
}

pub fn metered(moment: &Moment) -> Call {
    Call::transaction("TransactionEvent", event(moment, "Updated", "MeterValuePeriodic", "Sample.Periodic"))
}

/// Something changed in the middle: the state, or the token that pays.
pub fn updated(moment: &Moment, trigger: &str, state: Option<&str>, token: Option<&str>) -> Call {
    let mut payload = event(moment, "Updated", trigger, "Other");
    if let Some(state) = state {
        payload["transactionInfo"]["chargingState"] = json!(state);
    }
    with_token(payload, token)
}

pub fn ended(moment: &Moment, trigger: &str, state: &str, token: Option<&str>, reason: Option<&str>) -> Call {
    let mut payload = event(moment, "Ended", trigger, "Transaction.End");
    payload["transactionInfo"]["chargingState"] = json!(state);
    payload["transactionInfo"]["stoppedReason"] = json!(reason.unwrap_or("Local"));
    with_token(payload, token)
}

fn event(moment: &Moment, kind: &str, trigger: &str, context: &str) -> Value {
    let sample = |measurand: &str, unit: &str, value: i64| json!({"value": value, "context": context, "measurand": measurand, "location": "Outlet", "unitOfMeasure": {"unit": unit}});
    let mut samples = vec![sample("Energy.Active.Import.Register", "Wh", moment.register_wh)];
    if kind == "Updated" {
        samples.push(sample("Power.Active.Import", "W", moment.watts));
    }
    let mut payload = json!({
        "eventType": kind, "timestamp": iso(moment.at), "triggerReason": trigger, "seqNo": moment.seq,
        "transactionInfo": {"transactionId": moment.tx},
        "meterValue": [{"timestamp": iso(moment.at), "sampledValue": samples}],
    });
    if moment.offline {
        payload["offline"] = json!(true);
    }
    payload
}

fn with_token(mut payload: Value, token: Option<&str>) -> Call {
    if let Some(token) = token {
        payload["idToken"] = id_token(token);
    }
    Call::transaction("TransactionEvent", payload)
}

fn id_token(token: &str) -> Value {
    json!({"idToken": token, "type": "ISO14443"})
}
