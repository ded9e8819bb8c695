//! Scripts: this payload in, exactly that fact out. Every fixture is ours, written after what stations were seen to send.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::value::{RawValue, to_raw_value};

use super::messages::table;
use super::*;
use crate::fact::{Answer, ChargingState, Fact, Phase, Refusal, Status, TxFact};
use crate::units::Version;
use Version::{V16, V21, V201};

fn decode(version: Version, action: &str, payload: &str) -> Result<Decoded, Refusal> {
    to_fact(version, action, serde_json::from_str(payload).unwrap())
}

/// A fact as a line: what is absent is left out. Finding codes follow after `!`.
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
fn every_message_is_read_as_its_examples_say() {
    for version in [V16, V201, V21] {
        for message in table(version) {
            assert!(!message.examples.is_empty(), "{}", message.action);
            for (payload, expected) in message.examples {
                assert_eq!(line(version, message.action, payload), *expected, "{} {payload}", message.action);
            }
        }
    }
}

#[test]
fn what_stations_do_not_send_is_refused() {
    for (version, action, expected) in [
        (V16, "Reset", "refused NotSupported: only a CSMS sends this"),
        (V16, "TransactionEvent", "refused NotImplemented: no such action here"),
        (V16, "heartbeat", "refused NotImplemented: no such action here"),
        (V201, "RequestStartTransaction", "refused NotSupported: only a CSMS sends this"),
        (V201, "StartTransaction", "refused NotImplemented: no such action here"),
        (V201, "GetTariffs", "refused NotImplemented: no such action here"),
        (V21, "GetTariffs", "refused NotSupported: only a CSMS sends this"),
    ] {
        assert_eq!(line(version, action, "{}"), expected, "{action}");
    }
}

#[test]
fn an_answer_to_another_message_is_a_bug_of_ours() {
    let id = MessageId::from_text("7");
    let authorized = Answer::Authorize { status: crate::fact::AuthStatus::Accepted };
    for version in [V16, V201, V21] {
        for message in table(version).iter().filter(|message| message.action != "Authorize") {
            let text = answer(version, message.action, &id, &authorized);
            let expected = format!(r#"[4,"7","InternalError","no valid answer to {} could be made",{{}}]"#, message.action);
            assert_eq!(text, expected);
        }
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
    let started = Answer::Started { tx: crate::units::TxRef::new("5"), status: crate::fact::AuthStatus::Accepted };
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
        for version in [V16, V201, V21] {
            for message in table(version) {
                let decoded = to_fact(version, message.action, &raw);
                prop_assert!(decoded.is_ok() || !message.is_transaction(), "{}", message.action);
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
