//! Scenario steps in OCPP 1.6 (edition 2 with errata): StartTransaction, MeterValues, StopTransaction, StatusNotification.
//! The transaction number is put in by the station when it sends.

use serde_json::{Value, json};

use super::state::{Call, Moment, Status, iso};

pub fn authorize(token: &str) -> Call {
    Call::ordinary("Authorize", json!({"idTag": token}))
}

pub fn status(moment: &Moment, status: Status) -> Call {
    let name = match status {
        Status::Available => "Available",
        Status::Plugged => "Preparing",
        Status::Charging => "Charging",
        Status::SuspendedEv => "SuspendedEV",
        Status::SuspendedEvse => "SuspendedEVSE",
        Status::Finishing => "Finishing",
    };
    Call::ordinary(
        "StatusNotification",
        json!({"connectorId": moment.connector, "errorCode": "NoError", "status": name, "timestamp": iso(moment.at)}),
    )
}

pub fn started(moment: &Moment) -> Call {
    Call::transaction(
        "StartTransaction",
        json!({"connectorId": moment.connector, "idTag": moment.token, "meterStart": moment.register_wh, "timestamp": iso(moment.at)}),
    )
}

pub fn metered(moment: &Moment) -> Call {
    let values = [
        sample("Energy.Active.Import.Register", "Wh", moment.register_wh, "Sample.Periodic"),
        sample("Power.Active.Import", "W", moment.watts, "Sample.Periodic"),
    ];
    Call::transaction(
        "MeterValues",
        json!({"connectorId": moment.connector, "meterValue": [{"timestamp": iso(moment.at), "sampledValue": values}]}),
    )
}

pub fn stopped(moment: &Moment, token: Option<&str>, reason: Option<&str>) -> Call {
    let mut payload = json!({"meterStop": moment.register_wh, "timestamp": iso(moment.at)});
    if let Some(token) = token {
        payload["idTag"] = json!(token);
    }
    if let Some(reason) = reason {
        payload["reason"] = json!(reason);
    }
    let end = sample("Energy.Active.Import.Register", "Wh", moment.register_wh, "Transaction.End");
    payload["transactionData"] = json!([{"timestamp": iso(moment.at), "sampledValue": [end]}]);
    Call::transaction("StopTransaction", payload)
}

/// Values are strings in 1.6.
fn sample(measurand: &str, unit: &str, value: i64, context: &str) -> Value {
    json!({"value": value.to_string(), "context": context, "measurand": measurand, "location": "Outlet", "unit": unit})
}
