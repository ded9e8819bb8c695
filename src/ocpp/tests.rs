//! Scripts: this payload in, exactly that fact out. Every fixture is ours, written after what stations were seen to send.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::value::{RawValue, to_raw_value};

use super::*;
use crate::fact::{ChargingState, Phase, Status};
use Version::{V16, V21, V201};

fn decode(version: Version, action: &str, payload: &str) -> Result<Decoded, Refusal> {
    to_fact(version, action, serde_json::from_str(payload).unwrap())
}

/// A fact as a line: what is absent is left out. Finding codes follow after `!`, unknown fields after `?`.
fn line(version: Version, action: &str, payload: &str) -> String {
    let decoded = match decode(version, action, payload) {
        Ok(decoded) => decoded,
        Err(refusal) => return format!("refused {:?}: {}", refusal.kind, refusal.text),
    };
    let mut words = Vec::new();
    let mut findings = decoded.findings.clone();
    match &decoded.fact {
        Fact::Tx(tx) => {
            words = tx_words(tx);
            findings.extend(tx.findings.clone());
        }
        Fact::Status(status) => {
            words.push(status_words(status));
            findings.extend(status.findings.clone());
        }
        Fact::Events { statuses } => words.extend(statuses.iter().map(status_words)),
        Fact::Boot(boot) => {
            let parts =
                [&boot.vendor, &boot.model, &boot.serial, &boot.firmware, &boot.meter_serial, &boot.meter_type, &boot.reason];
            words.extend(parts.map(|part| part.clone().unwrap_or_else(|| "-".to_owned())));
        }
        Fact::Authorize { token } => words.push(format!("{}:{}", token.kind.as_str(), token.reveal())),
        other => words.push(format!("{other:?}")),
    }
    words.extend(findings.iter().map(|finding| format!("!{}", finding.code)));
    if decoded.unknown_fields > 0 {
        words.push(format!("?{}", decoded.unknown_fields));
    }
    words.join(" ")
}

fn status_words(status: &Status) -> String {
    let charging = status.charging.map_or("-", ChargingState::as_str);
    let at = status.reported_at.map_or_else(|| "-".to_owned(), crate::units::time::rfc3339);
    format!("{}/{} {} {charging} {} {at}", status.evse, status.connector, status.state, status.error.as_deref().unwrap_or("-"))
}

fn tx_words(tx: &TxFact) -> Vec<String> {
    let mut words = vec![format!("{:?}", tx.phase)];
    let mut say = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name}={value}")));
    say("tx", tx.tx.as_ref().map(ToString::to_string));
    say("seq", tx.seq_no.map(|number| number.to_string()));
    say("offline", tx.offline.then(|| "yes".to_owned()));
    say("evse", tx.evse.map(|number| number.to_string()));
    say("connector", tx.connector.map(|number| number.to_string()));
    say("at", tx.reported_at.map(crate::units::time::rfc3339));
    say("token", tx.token.as_ref().map(|token| format!("{}:{}", token.kind.as_str(), token.reveal())));
    say("register", tx.register_wh.map(|register| register.to_string()));
    say("charging", tx.charging.map(|state| state.as_str().to_owned()));
    say("reason", tx.stop_reason.clone());
    say("trigger", tx.trigger.clone());
    say("remote", tx.remote_start_id.map(|id| id.to_string()));
    say("reservation", tx.reservation_id.map(|id| id.to_string()));
    for reading in &tx.readings {
        let values = reading.samples.iter().map(|sample| match &sample.value {
            crate::fact::Value::Number(number) => number.to_string(),
            crate::fact::Value::Signed(text) => format!("<{text}>"),
        });
        let at = reading.measured_at.map_or_else(|| "-".to_owned(), crate::units::time::rfc3339);
        words.push(format!("{at}[{}]", values.collect::<Vec<_>>().join(",")));
    }
    words
}

#[test]
fn messages_of_1_6() {
    for (action, payload, expected) in [
        (
            "BootNotification",
            r#"{"chargePointVendor":"Voltwerk","chargePointModel":"V7","chargeBoxSerialNumber":"B1","firmwareVersion":"1.2","meterType":"M","iccid":"","imsi":1}"#,
            "Voltwerk V7 B1 1.2 - M -",
        ),
        (
            "BootNotification",
            r#"{"chargePointVendor":"","chargePointModel":["V7"],"chargePointSerialNumber":4711,"chargeBoxSerialNumber":"B1"}"#,
            "- - 4711 - - - - !field-unreadable",
        ),
        ("BootNotification", r#"{"chargePointModel":"V7"}"#, "refused Missing: chargePointVendor is required"),
        ("Heartbeat", "{}", "Heartbeat"),
        ("Heartbeat", "null", "Heartbeat"),
        ("Heartbeat", "[]", "refused Format: the payload is not an object"),
        (
            "StatusNotification",
            r#"{"connectorId":2,"errorCode":"NoError","status":"SuspendedEVSE","timestamp":"2026-11-21T13:07:00+01:00","info":"x"}"#,
            "2/1 SuspendedEVSE SuspendedEVSE - 2026-11-21T12:07:00Z",
        ),
        (
            "StatusNotification",
            r#"{"connectorId":"0","errorCode":"Error","status":"Faultd","timestamp":"2026-11-21T13:07"}"#,
            "0/0 Faultd - Error 2026-11-21T13:07:00Z !time-without-zone",
        ),
        (
            "StatusNotification",
            r#"{"connectorId":1,"status":" charging ","timestamp":""}"#,
            "1/1 charging Charging - - !field-missing",
        ),
        ("StatusNotification", r#"{"connectorId":1,"errorCode":"NoError"}"#, "refused Missing: status is required"),
        (
            "StatusNotification",
            r#"{"connectorId":[],"errorCode":"NoError","status":"Available"}"#,
            "refused WrongType: connectorId cannot be read",
        ),
        ("Authorize", r#"{"idTag":" 04A1B2C3 ","connectorId":2}"#, "unstated:04A1B2C3 ?1"),
        ("Authorize", r#"{"idTag":1234567890123456789012345}"#, "unstated:1234567890123456789012345"),
        ("Authorize", r#"{"idTag":""}"#, "unstated: !token-empty"),
        ("Authorize", r#"{"idTag":null}"#, "refused Missing: idTag is required"),
        (
            "DataTransfer",
            r#"{"vendorId":"de.voltwerk","messageId":"m","data":{"x":1}}"#,
            r#"DataTransfer { vendor: "de.voltwerk" }"#,
        ),
        ("DataTransfer", "{}", "refused Missing: vendorId is required"),
        (
            "SecurityEventNotification",
            r#"{"type":"StartupOfTheDevice","timestamp":"2026-11-21T13:07:00.123456Z","techInfo":""}"#,
            r#"SecurityEvent { kind: "StartupOfTheDevice", detail: None, reported_at: Some(2026-11-21T13:07:00.123Z) }"#,
        ),
        ("Reset", "{}", "refused NotSupported: only a CSMS sends this"),
        ("TransactionEvent", "{}", "refused NotImplemented: no such action here"),
        ("heartbeat", "{}", "refused NotImplemented: no such action here"),
    ] {
        assert_eq!(line(V16, action, payload), expected, "{action} {payload}");
    }
}

#[test]
fn transactions_of_1_6() {
    for (action, payload, expected) in [
        (
            "StartTransaction",
            r#"{"connectorId":1,"idTag":"04A1","meterStart":4120,"timestamp":"2026-11-21T13:07:00Z","reservationId":0}"#,
            "Start evse=1 at=2026-11-21T13:07:00Z token=unstated:04A1 register=4120",
        ),
        (
            "StartTransaction",
            r#"{"connectorId":"1","idTag":"","meterStart":"-12.75","timestamp":"0000-00-00","reservationId":"7"}"#,
            "Start evse=1 register=-12.75 reservation=7 !token-empty !field-unreadable",
        ),
        ("StartTransaction", "{}", "Start !field-missing !field-missing !field-missing !field-missing"),
        (
            "StartTransaction",
            r#"{"connectorId":-1,"idTag":{},"meterStart":"x","timestamp":true}"#,
            "Start !field-unreadable !field-unreadable !field-unreadable !field-unreadable",
        ),
        (
            "MeterValues",
            r#"{"meterValue":[{"timestamp":"2026-11-21T13:07:00Z","sampledValue":[{"value":"1.5","unit":"kWh"},{"value":""}]}],"transactionId":9,"connectorId":1}"#,
            "Update tx=9 evse=1 2026-11-21T13:07:00Z[1500] !sample-skipped",
        ),
        (
            "MeterValues",
            r#"{"connectorId":0,"transactionId":null,"meterValue":{"timestamp":"2026-11-21T13:07:00Z","sampledValue":[]}}"#,
            "Update evse=0 2026-11-21T13:07:00Z[] !list-of-one",
        ),
        ("MeterValues", r#"{"connectorId":1,"transactionId":0}"#, "Update evse=1 !tx-id-not-positive"),
        ("MeterValues", r#"{"connectorId":1,"meterValue":"none"}"#, "Update evse=1 !field-unreadable"),
        ("MeterValues", "null", "Update"),
        (
            "StopTransaction",
            r#"{"transactionId":9223372036854775807,"meterStop":5000.0,"timestamp":"2026-11-21T14:07:00","idTag":"04A1","reason":"EVDisconnected",
               "transactionData":[{"timestamp":"2026-11-21T14:07:00Z","sampledValue":[{"value":"OCMF|{}|{}","format":"SignedData","context":"Transaction.End"}]}]}"#,
            "Stop tx=9223372036854775807 at=2026-11-21T14:07:00Z token=unstated:04A1 register=5000.0 reason=EVDisconnected \
             2026-11-21T14:07:00Z[<OCMF|{}|{}>] !time-without-zone",
        ),
        (
            "StopTransaction",
            r#"{"transactionId":-1,"connectorId":2,"disconnectReason":"x","meterStop":4,"timestamp":"2026-11-21T14:07:00Z","transactionData":[]}"#,
            "Stop evse=2 at=2026-11-21T14:07:00Z register=4 !tx-id-not-positive ?1",
        ),
        (
            "StopTransaction",
            r#"{"transactionId":"042","meterStop":4,"timestamp":"2026-11-21T14:07:00Z"}"#,
            "Stop tx=42 at=2026-11-21T14:07:00Z register=4",
        ),
        ("StopTransaction", r#"{"transactionId":null}"#, "Stop !tx-id-missing !field-missing !field-missing"),
        (
            "StopTransaction",
            r#"{"transactionId":99999999999999999999,"meterStop":1,"timestamp":"2026-11-21T14:07:00Z"}"#,
            "Stop at=2026-11-21T14:07:00Z register=1 !field-unreadable",
        ),
    ] {
        assert_eq!(line(V16, action, payload), expected, "{action} {payload}");
    }
}

#[test]
fn messages_of_2() {
    for (action, payload, expected) in [
        (
            "BootNotification",
            r#"{"reason":"PowerUp","chargingStation":{"vendorName":"Voltwerk","model":"V7","serialNumber":"S1","modem":{"iccid":"1"},"customData":{"vendorId":"x"}},"extra":1}"#,
            "Voltwerk V7 S1 - - - PowerUp ?1",
        ),
        (
            "BootNotification",
            r#"{"reason":"PowerUp","chargingStation":{"model":"V7"}}"#,
            "refused Missing: chargingStation.vendorName is required",
        ),
        (
            "BootNotification",
            r#"{"chargePointVendor":"Voltwerk","chargePointModel":"V7"}"#,
            "refused Missing: chargingStation is required",
        ),
        (
            "StatusNotification",
            r#"{"evseId":2,"connectorId":1,"connectorStatus":"Occupied","timestamp":"2026-11-21T13:07:00Z"}"#,
            "2/1 Occupied - - 2026-11-21T13:07:00Z",
        ),
        (
            "StatusNotification",
            r#"{"evseId":2,"connectorStatus":"Occupied"}"#,
            "2/1 Occupied - - - !field-missing !field-missing",
        ),
        (
            "StatusNotification",
            r#"{"evseId":0,"connectorId":0,"connectorStatus":"Available","timestamp":"2026-11-21T13:07:00Z"}"#,
            "0/0 Available Idle - 2026-11-21T13:07:00Z",
        ),
        (
            "NotifyEvent",
            r#"{"generatedAt":"2026-11-21T13:07:00Z","seqNo":0,"eventData":[
               {"eventId":1,"timestamp":"2026-11-21T13:07:00Z","trigger":"Delta","actualValue":"Available","component":{"name":"Connector","evse":{"id":1,"connectorId":2}},"variable":{"name":"AvailabilityState"}},
               {"actualValue":"Faulted","component":{"name":"EVSE","evse":{"id":3}},"variable":{"name":"availabilityState"}},
               {"actualValue":"Unavailable","component":{"name":"ChargingStation"},"variable":{"name":"AvailabilityState"}},
               {"actualValue":"true","component":{"name":"ConnectorPlugRetentionLock"},"variable":{"name":"Problem"}},
               {"actualValue":"Available","component":{"name":"Connector"},"variable":{"name":"AvailabilityState"}}]}"#,
            "1/2 Available Idle - 2026-11-21T13:07:00Z 3/0 Faulted OutOfService - - 0/0 Unavailable OutOfService - -",
        ),
        ("NotifyEvent", "{}", ""),
        ("NotifyReport", r#"{"requestId":1,"seqNo":0,"reportData":[]}"#, "Noted"),
        ("Authorize", r#"{"idToken":{"idToken":"04A1","type":"ISO14443"}}"#, "ISO14443:04A1"),
        ("Authorize", r#"{"idToken":{"idToken":"","type":"NoAuthorization"}}"#, "NoAuthorization:"),
        ("Authorize", r#"{"idToken":{"idToken":"","type":"ISO14443"}}"#, "refused WrongType: idToken cannot be read"),
        ("Authorize", r#"{"idToken":"04A1"}"#, "unstated:04A1 !token-kind-missing"),
        ("Authorize", "{}", "refused Missing: idToken is required"),
        ("RequestStartTransaction", "{}", "refused NotSupported: only a CSMS sends this"),
        ("StartTransaction", "{}", "refused NotImplemented: no such action here"),
    ] {
        assert_eq!(line(V201, action, payload), expected, "{action} {payload}");
        assert_eq!(line(V21, action, payload), expected, "{action} {payload}");
    }
    assert_eq!(line(V201, "GetTariffs", "{}"), "refused NotImplemented: no such action here");
    assert_eq!(line(V21, "GetTariffs", "{}"), "refused NotSupported: only a CSMS sends this");
}

#[test]
fn transactions_of_2() {
    for (action, payload, expected) in [
        (
            "TransactionEvent",
            r#"{"eventType":"Started","timestamp":"2026-11-21T13:07:00Z","triggerReason":"Authorized","seqNo":0,"offline":true,
               "transactionInfo":{"transactionId":"b9f6","chargingState":"EVConnected","remoteStartId":17},
               "idToken":{"idToken":"04A1","type":"ISO14443"},"evse":{"id":1,"connectorId":2},"reservationId":5}"#,
            "Start tx=b9f6 seq=0 offline=yes evse=1 connector=2 at=2026-11-21T13:07:00Z token=ISO14443:04A1 charging=EVConnected trigger=Authorized remote=17 reservation=5",
        ),
        (
            "TransactionEvent",
            r#"{"eventType":"Updated","timestamp":"2026-11-21T13:08:00Z","triggerReason":"MeterValuePeriodic","seqNo":"1","transactionInfo":{"transactionId":77,"stoppedReason":"Local"},"evse":3,
               "meterValue":[{"timestamp":"2026-11-21T13:08:00Z","sampledValue":[{"value":"12.5","unitOfMeasure":{"unit":"kWh"},"signedMeterValue":{"signedMeterData":"YQ=="}}]}],"surprise":1}"#,
            r#"Update tx=77 seq=1 evse=3 at=2026-11-21T13:08:00Z trigger=MeterValuePeriodic 2026-11-21T13:08:00Z[12500,<{"signedMeterData":"YQ=="}>] ?1"#,
        ),
        (
            "TransactionEvent",
            r#"{"eventType":"ended","timestamp":"2026-11-21T13:09:00Z","triggerReason":"StopAuthorized","seqNo":2,"transactionInfo":{"transactionId":"b9f6","stoppedReason":"VendorMood","chargingState":"Sleeping"},
               "idToken":{"idToken":"","type":"NoAuthorization"},"costDetails":{}}"#,
            "Stop tx=b9f6 seq=2 at=2026-11-21T13:09:00Z token=NoAuthorization: reason=VendorMood trigger=StopAuthorized !field-unreadable",
        ),
        ("TransactionEvent", "{}", "Update !event-type-unknown !tx-id-missing !field-missing !field-missing"),
        (
            "TransactionEvent",
            r#"{"eventType":7,"timestamp":[],"seqNo":{},"transactionInfo":"b9f6","evse":"two","idToken":[],"meterValue":17,"offline":"maybe"}"#,
            "Update !field-unreadable !field-unreadable !field-unreadable !field-unreadable !field-unreadable \
             !field-unreadable !field-unreadable !event-type-unknown !tx-id-missing",
        ),
        (
            "MeterValues",
            r#"{"evseId":0,"meterValue":[{"timestamp":"2026-11-21T13:08:00Z","sampledValue":[{"value":1.10}]}]}"#,
            "Update evse=0 2026-11-21T13:08:00Z[1.10]",
        ),
    ] {
        assert_eq!(line(V201, action, payload), expected, "{action} {payload}");
    }
}

#[test]
fn transaction_messages_are_known_by_version() {
    for (version, action, expected) in [
        (V16, "StartTransaction", true),
        (V16, "StopTransaction", true),
        (V16, "MeterValues", true),
        (V16, "TransactionEvent", false),
        (V16, "Heartbeat", false),
        (V201, "TransactionEvent", true),
        (V21, "MeterValues", true),
        (V21, "StartTransaction", false),
    ] {
        assert_eq!(is_transaction(version, action), expected, "{action}");
    }
}

#[test]
fn a_start_from_text_to_answer() {
    let text = r#"[2,17,"StartTransaction",{"connectorId":1,"idTag":"04A1","meterStart":0,"timestamp":"2026-11-21T13:07:00Z"}]"#;
    let Ok(Frame::Call { id, action, payload, .. }) = read(text) else { panic!("a frame") };
    let Ok(Decoded { fact: Fact::Tx(tx), .. }) = to_fact(V16, &action, &payload) else { panic!("a transaction") };
    assert_eq!((tx.phase, tx.tx), (Phase::Start, None));
    let started = crate::fact::Answer::Started { tx: crate::units::TxRef::new("5"), status: crate::fact::AuthStatus::Accepted };
    assert_eq!(answer(V16, &action, &id, &started), r#"[3,17,{"transactionId":5,"idTagInfo":{"status":"Accepted"}}]"#);
}

const FIELDS: &str = "connectorId transactionId idTag meterStart meterStop timestamp reservationId reason meterValue \
    sampledValue transactionData value unit unitOfMeasure multiplier measurand phase context format \
    signedMeterValue eventType seqNo offline transactionInfo idToken type evse id evseId stoppedReason";

const ODD_TEXTS: [&str; 8] = ["", " ", "NaN", "kWh", "Voltage.L1", "SignedData", "Ended", "2026-11-21T13:07:00+01"];

fn field() -> impl Strategy<Value = String> {
    prop::sample::select(FIELDS.split_whitespace().collect::<Vec<_>>()).prop_map(str::to_owned)
}

/// JSON of the fields we know with values of all kinds in the wrong places.
fn payloads() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "-?[0-9]{1,30}([.,][0-9]{0,30})?(e[-+]?[0-9]{1,3})?".prop_map(Json::from),
        prop::sample::select(ODD_TEXTS.to_vec()).prop_map(Json::from),
        ".*".prop_map(Json::from),
    ];
    let nested = leaf.prop_recursive(5, 64, 6, |inner| {
        let fields = prop::collection::hash_map(field(), inner.clone(), 0..8);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Json::from),
            fields.prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    });
    prop::collection::hash_map(field(), nested, 0..10).prop_map(|fields| Json::Object(fields.into_iter().collect()))
}

proptest! {
    #[test]
    fn an_object_is_never_refused_as_a_transaction_message(payload in payloads()) {
        let raw = to_raw_value(&payload).unwrap();
        for (version, actions) in [(V16, v16::ACTIONS), (V201, v2::ACTIONS), (V21, v2::ACTIONS)] {
            for (action, _) in actions {
                let decoded = to_fact(version, action, &raw);
                prop_assert!(decoded.is_ok() || !is_transaction(version, action), "{action}");
            }
        }
    }

    #[test]
    fn mutated_frames_never_panic(at in any::<prop::sample::Index>(), cut in 0_usize..6, insert in "[\\[\\]{},:\"\\\\0-9a-z ]{0,4}") {
        let text = r#"[2,"17","StopTransaction",{"transactionId":9,"meterStop":5000,"timestamp":"2026-11-21T14:07:00Z","transactionData":[{"timestamp":"2026-11-21T14:07:00Z","sampledValue":[{"value":"1.5","unit":"kWh","measurand":"Voltage.L1"}]}]}]"#;
        let at = at.index(text.len());
        let mutated = format!("{}{insert}{}", &text[..at], &text[(at + cut).min(text.len())..]);
        match read(&mutated) {
            Ok(Frame::Call { action, payload, .. } | Frame::Send { action, payload, .. }) => {
                let decoded = to_fact(V16, &action, &payload);
                let must_be_read = action == "StopTransaction" && payload.get().starts_with('{');
                prop_assert!(decoded.is_ok() || !must_be_read);
            }
            Ok(_) => {}
            Err(broken) => prop_assert!(broken.answer(V16).is_none_or(|answer| serde_json::from_str::<&RawValue>(&answer).is_ok())),
        }
    }

    #[test]
    fn decimals_arrive_with_every_digit(mantissa in any::<i64>(), scale in 0_u32..=15, as_text in any::<bool>()) {
        let number = rust_decimal::Decimal::new(mantissa, scale);
        let value = if as_text { format!("\"{number}\"") } else { number.to_string() };
        let payload = format!(r#"{{"connectorId":1,"meterStart":{value},"meterValue":[{{"sampledValue":[{{"value":{value}}}]}}]}}"#);
        let Ok(Decoded { fact: Fact::Tx(start), .. }) = decode(V16, "StartTransaction", &payload) else { panic!("a transaction") };
        prop_assert_eq!(start.register_wh.map(|register| register.to_string()), Some(number.to_string()));
        let Ok(Decoded { fact: Fact::Tx(values), .. }) = decode(V201, "MeterValues", &payload) else { panic!("a transaction") };
        prop_assert_eq!(&values.readings[0].samples[0].value, &crate::fact::Value::Number(number));
    }
}
