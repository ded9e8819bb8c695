//! Transaction messages of the three versions, as small as the standard allows.

use serde_json::{Value, json};

pub const VERSIONS: [&str; 3] = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"];

/// The message that starts a transaction on EVSE 1. `tx`: the name of a 2.x transaction.
pub fn start(version: &str, tx: &str, register: impl Into<Value>, at: &str) -> (&'static str, Value) {
    let register = register.into();
    if version == "ocpp1.6" {
        let payload = json!({"connectorId": 1, "idTag": "04AABBCC", "meterStart": register, "timestamp": at});
        return ("StartTransaction", payload);
    }
    let mut payload = event("Started", "Authorized", tx, 0, &register, "Transaction.Begin", at);
    payload["transactionInfo"]["chargingState"] = json!("Charging");
    payload["evse"] = json!({"id": 1, "connectorId": 1});
    payload["idToken"] = json!({"idToken": "04AABBCC", "type": "ISO14443"});
    ("TransactionEvent", payload)
}

/// The message that ends it. `answer`: to the start, which in 1.6 names the transaction.
pub fn stop(version: &str, tx: &str, answer: &Value, register: impl Into<Value>, at: &str) -> (&'static str, Value) {
    let register = register.into();
    if version == "ocpp1.6" {
        let payload = json!({"transactionId": answer["transactionId"], "meterStop": register, "timestamp": at});
        return ("StopTransaction", payload);
    }
    let mut payload = event("Ended", "StopAuthorized", tx, 1, &register, "Transaction.End", at);
    payload["transactionInfo"]["stoppedReason"] = json!("Local");
    ("TransactionEvent", payload)
}

fn event(kind: &str, trigger: &str, tx: &str, seq: u32, register: &Value, context: &str, at: &str) -> Value {
    let sample = json!({"value": register, "context": context, "measurand": "Energy.Active.Import.Register"});
    json!({
        "eventType": kind, "timestamp": at, "triggerReason": trigger, "seqNo": seq, "transactionInfo": {"transactionId": tx},
        "meterValue": [{"timestamp": at, "sampledValue": [sample]}],
    })
}
