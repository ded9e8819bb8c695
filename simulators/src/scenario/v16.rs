//! Scenario words in OCPP 1.6 (edition 2 with errata): StartTransaction, MeterValues, StopTransaction, StatusNotification.
//! The transaction number is put in by the station when it sends.

use serde_json::{Value, json};

use super::cast::{Scene, Status, Words, iso};

pub fn authorize(token: &str) -> Words {
    Words::ordinary("Authorize", json!({"idTag": token}))
}

pub fn status(scene: &Scene, status: Status) -> Words {
    let name = match status {
        Status::Available => "Available",
        Status::Plugged => "Preparing",
        Status::Charging => "Charging",
        Status::SuspendedEv => "SuspendedEV",
        Status::SuspendedEvse => "SuspendedEVSE",
        Status::Finishing => "Finishing",
    };
    Words::ordinary(
        "StatusNotification",
        json!({"connectorId": scene.connector, "errorCode": "NoError", "status": name, "timestamp": iso(scene.at)}),
    )
}

pub fn started(scene: &Scene) -> Words {
    Words::transaction(
        "StartTransaction",
        json!({"connectorId": scene.connector, "idTag": scene.token, "meterStart": scene.register_wh, "timestamp": iso(scene.at)}),
    )
}

pub fn metered(scene: &Scene) -> Words {
    let values = [
        sample("Energy.Active.Import.Register", "Wh", scene.register_wh, "Sample.Periodic"),
        sample("Power.Active.Import", "W", scene.watts, "Sample.Periodic"),
    ];
    Words::transaction(
        "MeterValues",
        json!({"connectorId": scene.connector, "meterValue": [{"timestamp": iso(scene.at), "sampledValue": values}]}),
    )
}

pub fn stopped(scene: &Scene, token: Option<&str>, reason: Option<&str>) -> Words {
    let mut payload = json!({"meterStop": scene.register_wh, "timestamp": iso(scene.at)});
    if let Some(token) = token {
        payload["idTag"] = json!(token);
    }
    if let Some(reason) = reason {
        payload["reason"] = json!(reason);
    }
    let end = sample("Energy.Active.Import.Register", "Wh", scene.register_wh, "Transaction.End");
    payload["transactionData"] = json!([{"timestamp": iso(scene.at), "sampledValue": [end]}]);
    Words::transaction("StopTransaction", payload)
}

/// Values are strings in 1.6.
fn sample(measurand: &str, unit: &str, value: i64, context: &str) -> Value {
    json!({"value": value.to_string(), "context": context, "measurand": measurand, "location": "Outlet", "unit": unit})
}
