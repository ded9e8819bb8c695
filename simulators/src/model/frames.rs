//! A script's messages as OCPP-J calls, written by hand: 1.6 and 2.x.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat};

use super::Millis;
use super::machine::tag_text;
use super::script::{Body, Context, Measured, Message, Phase, Quantity, Reading, State, Status, Tx, Version};

/// A call as text. `tx` is the transaction's id in this version; `shift` is added to all times.
pub fn call(version: Version, message: &Message, tx: Option<&str>, shift: Millis) -> String {
    let (action, payload) = match (&message.body, version) {
        (Body::Boot, Version::V16) => ("BootNotification", r#"{"chargePointVendor":"Model","chargePointModel":"M"}"#.to_owned()),
        (Body::Boot, _) => {
            let station = r#"{"reason":"PowerUp","chargingStation":{"vendorName":"Model","model":"M"}}"#;
            ("BootNotification", station.to_owned())
        }
        (Body::Status(status), _) => ("StatusNotification", status_payload(version, status, shift)),
        (Body::Tx(sent), Version::V16) => match sent.phase {
            Phase::Start => ("StartTransaction", start_16(sent, shift)),
            Phase::Update => ("MeterValues", values_16(sent, tx, shift)),
            Phase::Stop => ("StopTransaction", stop_16(sent, tx, shift)),
        },
        (Body::Tx(sent), _) => ("TransactionEvent", event(sent, tx.unwrap_or_default(), shift)),
    };
    format!(r#"[2,"{}","{action}",{payload}]"#, message.id)
}

/// An object of the members that are there.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn raw(mut self, name: &str, value: Option<String>) -> Self {
        if let Some(value) = value {
            let comma = if self.0.len() > 1 { "," } else { "" };
            let _ = write!(self.0, r#"{comma}"{name}":{value}"#);
        }
        self
    }

    fn text(self, name: &str, value: Option<String>) -> Self {
        self.raw(name, value.map(|value| format!(r#""{value}""#)))
    }

    fn end(self) -> String {
        self.0 + "}"
    }
}

fn time(at: Option<Millis>, shift: Millis) -> Option<String> {
    DateTime::from_timestamp_millis(at? + shift).map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn list(items: impl Iterator<Item = String>) -> Option<String> {
    let items: Vec<String> = items.collect();
    (!items.is_empty()).then(|| format!("[{}]", items.join(",")))
}

fn status_payload(version: Version, status: &Status, shift: Millis) -> String {
    let at = time(status.at, shift);
    let state = Some(status.state.to_owned());
    if version == Version::V16 {
        let code = Some("NoError".to_owned());
        let object = Object::new().raw("connectorId", Some(status.evse.to_string())).text("errorCode", code);
        return object.text("status", state).text("timestamp", at).end();
    }
    let object = Object::new().text("timestamp", at).text("connectorStatus", state);
    object.raw("evseId", Some(status.evse.to_string())).raw("connectorId", Some("1".to_owned())).end()
}

fn start_16(tx: &Tx, shift: Millis) -> String {
    Object::new()
        .raw("connectorId", tx.evse.map(|evse| evse.to_string()))
        .text("idTag", tx.tag.map(tag_text))
        .raw("meterStart", tx.register.map(thousandths))
        .text("timestamp", time(tx.at, shift))
        .end()
}

fn values_16(tx: &Tx, id: Option<&str>, shift: Millis) -> String {
    Object::new()
        .raw("connectorId", tx.evse.map(|evse| evse.to_string()))
        .raw("transactionId", id.map(str::to_owned))
        .raw("meterValue", list(tx.readings.iter().map(|reading| meter_value(Version::V16, reading, shift))))
        .end()
}

fn stop_16(tx: &Tx, id: Option<&str>, shift: Millis) -> String {
    Object::new()
        .raw("transactionId", Some(id.unwrap_or("-1").to_owned()))
        .text("idTag", tx.tag.map(tag_text))
        .raw("meterStop", tx.register.map(thousandths))
        .text("timestamp", time(tx.at, shift))
        .text("reason", tx.reason.map(str::to_owned))
        .raw("transactionData", list(tx.readings.iter().map(|reading| meter_value(Version::V16, reading, shift))))
        .end()
}

fn event(tx: &Tx, id: &str, shift: Millis) -> String {
    let kind = match tx.phase {
        Phase::Start => "Started",
        Phase::Update => "Updated",
        Phase::Stop => "Ended",
    };
    let state = tx.state.map(|state| match state {
        State::Charging => "Charging",
        State::Connected => "EVConnected",
        State::SuspendedEv => "SuspendedEV",
        State::SuspendedEvse => "SuspendedEVSE",
    });
    let transaction = Object::new()
        .text("transactionId", Some(id.to_owned()))
        .text("chargingState", state.map(str::to_owned))
        .text("stoppedReason", tx.reason.map(str::to_owned))
        .end();
    let token = tx.tag.map(|tag| format!(r#"{{"idToken":"{}","type":"ISO14443"}}"#, tag_text(tag)));
    Object::new()
        .text("eventType", Some(kind.to_owned()))
        .text("timestamp", time(tx.at, shift))
        .text("triggerReason", tx.trigger.map(str::to_owned))
        .raw("seqNo", tx.seq.map(|seq| seq.to_string()))
        .raw("offline", tx.offline.then(|| "true".to_owned()))
        .raw("transactionInfo", Some(transaction))
        .raw("evse", tx.evse.map(|evse| format!(r#"{{"id":{evse},"connectorId":1}}"#)))
        .raw("idToken", token)
        .raw("meterValue", list(tx.readings.iter().map(|reading| meter_value(Version::V201, reading, shift))))
        .end()
}

fn meter_value(version: Version, reading: &Reading, shift: Millis) -> String {
    let context = match reading.context {
        Context::Periodic => None,
        Context::Begin => Some("Transaction.Begin"),
        Context::End => Some("Transaction.End"),
    };
    let samples = list(reading.values.iter().map(|value| sample(version, value, context)));
    Object::new().text("timestamp", time(reading.at, shift)).raw("sampledValue", samples.or(Some("[]".to_owned()))).end()
}

fn sample(version: Version, value: &Measured, context: Option<&str>) -> String {
    let (measurand, unit, text, phase) = match value.quantity {
        Quantity::Register => ("Energy.Active.Import.Register", "Wh", thousandths(value.value), None),
        Quantity::RegisterOfPhase(phase) => {
            ("Energy.Active.Import.Register", "Wh", thousandths(value.value), Some(format!("L{phase}")))
        }
        Quantity::Interval => ("Energy.Active.Import.Interval", "Wh", thousandths(value.value), None),
        Quantity::Power => ("Power.Active.Import", "W", value.value.to_string(), None),
        Quantity::Current => ("Current.Import", "A", thousandths(value.value), None),
        Quantity::StateOfCharge => ("SoC", "Percent", value.value.to_string(), None),
    };
    let v16 = version == Version::V16;
    let number = if v16 { format!(r#""{text}""#) } else { text };
    let object = Object::new().raw("value", Some(number)).text("context", context.map(str::to_owned));
    let object = object.text("measurand", Some(measurand.to_owned())).text("phase", phase);
    if v16 {
        object.text("unit", Some(unit.to_owned())).end()
    } else {
        object.raw("unitOfMeasure", Some(format!(r#"{{"unit":"{unit}"}}"#))).end()
    }
}

/// A number of thousandths as a decimal number.
fn thousandths(value: i64) -> String {
    let (whole, rest) = (value / 1_000, (value % 1_000).abs());
    let sign = if value < 0 && whole == 0 { "-" } else { "" };
    if rest == 0 { whole.to_string() } else { format!("{sign}{whole}.{rest:03}") }
}
