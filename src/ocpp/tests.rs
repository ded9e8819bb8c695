//! Scripts: this payload in, exactly that fact out. Every fixture is ours, written after what stations were seen to send.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::value::{RawValue, to_raw_value};

use super::incoming::Kind;
use super::messages::messages;
use super::*;
use crate::fact::{Answer, ChargingState, Fact, Phase, Refusal, Status, TxFact};
use crate::units::Version;
use Version::{V16, V21, V201};

fn decode(version: Version, action: &str, payload: &str) -> Result<Decoded, Refusal> {
    to_fact(version, action, serde_json::from_str(payload).unwrap(), now())
}

fn now() -> crate::units::Time {
    crate::units::time::from_millis(1_795_266_420_750)
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
        Fact::Noted => {
            words.push("Noted".to_owned());
            words.push(payload_of(&decoded.reply.text(&MessageId::from_text("7"), &Answer::Empty)));
        }
        other => words.push(format!("{other:?}")),
    }
    words.extend(findings.iter().map(|finding| format!("!{}", finding.code)));
    words.join(" ")
}

/// The payload of a CALLRESULT.
fn payload_of(text: &str) -> String {
    text.strip_prefix(r#"[3,"7","#).unwrap().strip_suffix(']').unwrap().to_owned()
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
        for message in messages(version) {
            assert!(!message.examples.is_empty() || matches!(message.kind, Kind::Noted(_)), "{}", message.action);
            for (payload, expected) in message.examples {
                assert_eq!(line(version, message.action, payload), *expected, "{} {payload}", message.action);
            }
        }
    }
}

#[test]
fn what_stations_do_not_send_is_refused() {
    for (version, action, expected) in [
        (V16, "Reset", "refused NotSupported: in OCPP 1.6 only the CSMS sends Reset"),
        (V16, "TransactionEvent", "refused NotImplemented: OCPP 1.6 has no action \"TransactionEvent\""),
        (V16, "heartbeat", "refused NotImplemented: OCPP 1.6 has no action \"heartbeat\""),
        (V201, "RequestStartTransaction", "refused NotSupported: in OCPP 2.0.1 only the CSMS sends RequestStartTransaction"),
        (V201, "StartTransaction", "refused NotImplemented: OCPP 2.0.1 has no action \"StartTransaction\""),
        (V201, "GetTariffs", "refused NotImplemented: OCPP 2.0.1 has no action \"GetTariffs\""),
        (V201, "BatterySwap", "refused NotImplemented: OCPP 2.0.1 has no action \"BatterySwap\""),
        (V21, "GetTariffs", "refused NotSupported: in OCPP 2.1 only the CSMS sends GetTariffs"),
    ] {
        assert_eq!(line(version, action, "{}"), expected, "{action}");
    }
    let long = line(V16, &"x".repeat(1000), "{}");
    assert_eq!(long, format!("refused NotImplemented: OCPP 1.6 has no action \"{}\"", "x".repeat(60)));
}

#[test]
fn an_answer_to_another_message_is_a_bug_of_ours() {
    let authorized = Answer::Authorize { info: crate::fact::AuthStatus::Accepted.into() };
    for version in [V16, V201, V21] {
        for message in messages(version).filter(|message| message.action != "Authorize") {
            let Ok(decoded) = message
                .examples
                .first()
                .map_or_else(|| decode(version, message.action, "{}"), |(payload, _)| decode(version, message.action, payload))
            else {
                panic!("{} is refused", message.action)
            };
            let text = decoded.reply.text(&MessageId::from_text("7"), &authorized);
            let expected = format!(r#"[4,"7","InternalError","no valid answer to {} could be made",{{}}]"#, message.action);
            assert_eq!(text, expected);
        }
    }
}

#[test]
fn what_cannot_be_read_of_a_transaction_is_answered_where_that_needs_nothing() {
    for (version, action, expected) in [
        (V16, "StopTransaction", Some("{}")),
        (V16, "MeterValues", Some("{}")),
        (V16, "StartTransaction", None),
        (V16, "Heartbeat", None),
        (V201, "TransactionEvent", Some("{}")),
        (V21, "MeterValues", Some("{}")),
        (V21, "NotifyReport", None),
    ] {
        let text = unread(version, action, &MessageId::from_text("7")).map(|text| payload_of(&text));
        assert_eq!(text.as_deref(), expected, "{action}");
    }
}

/// The rows of the tables in docs/messages.md by heading and by the first word of the table's head: cells without the outer bars.
fn documented(heading: &str, from: &str) -> Vec<Vec<&'static str>> {
    let document = include_str!("../../docs/messages.md");
    let (_, section) = document.split_once(&format!("## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().skip_while(|row| !row.starts_with(&format!("| {from} a station |"))).skip(2);
    rows.take_while(|row| row.starts_with('|'))
        .map(|row| row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect()
}

#[test]
fn the_document_lists_every_message_and_what_becomes_of_it() {
    let sections = [(V16, vec!["OCPP 1.6"]), (V201, vec!["OCPP 2.0.1"]), (V21, vec!["OCPP 2.0.1", "What OCPP 2.1 adds"])];
    for (version, headings) in sections {
        let rows = |from| headings.iter().flat_map(|heading| documented(heading, from)).collect::<Vec<_>>();
        let sorted = |mut names: Vec<&'static str>| {
            names.sort_unstable();
            names
        };
        let listed = rows("from");
        let names = listed.iter().map(|row| row[0]).collect();
        assert_eq!(sorted(names), sorted(messages(version).map(|message| message.action).collect()), "{version:?}");
        for message in messages(version).filter(|message| matches!(message.kind, Kind::Noted(_))) {
            let row = listed.iter().find(|row| row[0] == message.action).unwrap();
            assert!(row[1].starts_with("kept"), "{row:?}");
            let answer = line(version, message.action, "{}");
            if message.examples.is_empty() && message.action != "NotifyPeriodicEventStream" {
                assert_eq!(format!("Noted {}", row[2].trim_matches('`')), answer, "{row:?}");
            }
        }
        let listed = rows("to");
        let names = listed.iter().map(|row| row[0]).collect();
        assert_eq!(sorted(names), call::actions(version).collect::<Vec<_>>(), "{version:?}");
        for row in &listed {
            let verbs = verb::verbs().filter(|verb| verb.actions(version).contains(&row[0]));
            let verbs: Vec<String> = verbs.map(|verb| format!("`station {}`", verb.name)).collect();
            let wanted = if verbs.is_empty() { "`station call`".to_owned() } else { verbs.join(", ") };
            assert_eq!(row[1], wanted, "{version:?} {}", row[0]);
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
    let Ok(Decoded { fact: Fact::Tx(tx), reply, .. }) = to_fact(V16, &action, &payload, now()) else { panic!("a transaction") };
    assert_eq!((tx.phase, tx.tx), (Phase::Start, None));
    let started = Answer::Started { tx: crate::units::TxRef::new("5"), info: crate::fact::AuthStatus::Accepted.into() };
    assert_eq!(reply.text(&id, &started), r#"[3,17,{"transactionId":5,"idTagInfo":{"status":"Accepted"}}]"#);
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
            for message in messages(version) {
                let decoded = to_fact(version, message.action, &raw, now());
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
                let decoded = to_fact(V16, &action, &payload, now());
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
