//! Scripts: these words, exactly this message.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::ocpp::call;
use crate::units::time::from_millis;
use Version::{V16, V21, V201};

/// `name=value` for each argument, in this order; a flag is its name alone.
fn args(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut args: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let values = args.entry(name.to_owned()).or_default();
        if !value.is_empty() {
            values.push(value.to_owned());
        }
    }
    args
}

fn line(version: Version, name: &str, words: &str) -> String {
    let verb = find(name).unwrap();
    let Make::One(make) = verb.make else { panic!("{name} takes several messages") };
    if let Err(why) = verb.fits(version) {
        return why;
    }
    match message(make, version, &args(words), from_millis(1_795_266_420_000)) {
        Ok((action, payload)) => match call::check(version, action, &payload.to_string()) {
            Ok(_) => format!("{action} {payload}"),
            Err(why) => why.to_string(),
        },
        Err(why) => why,
    }
}

#[test]
fn words_become_the_message_of_the_version() {
    for (version, name, words, wanted) in [
        (V16, "start", "token=04A1 evse=2", r#"RemoteStartTransaction {"idTag":"04A1","connectorId":2}"#),
        (
            V201,
            "start",
            "token=04A1 evse=2 type=iso14443",
            r#"RequestStartTransaction {"remoteStartId":2117573920,"idToken":{"idToken":"04A1","type":"ISO14443"},"evseId":2}"#,
        ),
        (V16, "stop", "session=77", r#"RemoteStopTransaction {"transactionId":77}"#),
        (V16, "stop", "session=tx", r#"session "tx" is not a whole number"#),
        (V21, "stop", "session=tx-1", r#"RequestStopTransaction {"transactionId":"tx-1"}"#),
        (V16, "reset", "hard", r#"Reset {"type":"Hard"}"#),
        (V16, "reset", "", r#"Reset {"type":"Soft"}"#),
        (V16, "reset", "evse=1", "OCPP 1.6 can only reset a whole station, without --evse"),
        (V201, "reset", "evse=1", r#"Reset {"type":"OnIdle","evseId":1}"#),
        (V16, "unlock", "evse=2", r#"UnlockConnector {"connectorId":2}"#),
        (V21, "unlock", "evse=2", r#"UnlockConnector {"evseId":2,"connectorId":1}"#),
        (V16, "availability", "state=inoperative", r#"ChangeAvailability {"connectorId":0,"type":"Inoperative"}"#),
        (
            V201,
            "availability",
            "state=operative evse=1",
            r#"ChangeAvailability {"operationalStatus":"Operative","evse":{"id":1}}"#,
        ),
        (
            V201,
            "availability",
            "state=off",
            "ChangeAvailability was not sent: $.operationalStatus must be one of: Inoperative, Operative",
        ),
        (V16, "trigger", "message=boot", r#"TriggerMessage {"requestedMessage":"BootNotification"}"#),
        (
            V16,
            "trigger",
            "message=log evse=1",
            r#"ExtendedTriggerMessage {"requestedMessage":"LogStatusNotification","connectorId":1}"#,
        ),
        (
            V201,
            "trigger",
            "message=transaction-event evse=1",
            r#"TriggerMessage {"requestedMessage":"TransactionEvent","evse":{"id":1}}"#,
        ),
        (
            V16,
            "data-transfer",
            "vendor=org.x message=m data=[1]",
            r#"DataTransfer {"vendorId":"org.x","messageId":"m","data":"[1]"}"#,
        ),
        (V21, "data-transfer", "vendor=org.x data=[1]", r#"DataTransfer {"vendorId":"org.x","data":[1]}"#),
        (V16, "report", "", "GetConfiguration {}"),
        (V201, "report", "request=7 base=summary", r#"GetBaseReport {"requestId":7,"reportBase":"SummaryInventory"}"#),
        (V16, "monitor level", "severity=3", "OCPP 1.6 has no message for `monitor level`"),
        (V201, "monitor level", "severity=3", r#"SetMonitoringLevel {"severity":3}"#),
        (V201, "monitor base", "base=hard", r#"SetMonitoringBase {"monitoringBase":"HardWiredOnly"}"#),
        (V201, "monitor clear", "id=1 id=2", r#"ClearVariableMonitoring {"id":[1,2]}"#),
        (V201, "monitor report", "request=1", r#"GetMonitoringReport {"requestId":1}"#),
        (
            V21,
            "monitor set",
            "variable=EVSE.Power kind=upper value=22.5 transaction",
            r#"SetVariableMonitoring {"setMonitoringData":[{"component":{"name":"EVSE"},"variable":{"name":"Power"},"type":"UpperThreshold","value":22.5,"severity":5,"transaction":true}]}"#,
        ),
        (
            V201,
            "customer-information",
            "token=04A1 request=1 clear",
            r#"CustomerInformation {"requestId":1,"report":true,"clear":true,"idToken":{"idToken":"04A1","type":"Central"}}"#,
        ),
        (
            V16,
            "profile set",
            "limit=16A evse=1 phases=3",
            r#"SetChargingProfile {"connectorId":1,"csChargingProfiles":{"chargingProfileId":101,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16,"numberPhases":3}]}}}"#,
        ),
        (
            V201,
            "profile set",
            "limit=11.5kW purpose=station-max until=2h",
            r#"SetChargingProfile {"evseId":0,"chargingProfile":{"id":3,"stackLevel":0,"chargingProfilePurpose":"ChargingStationMaxProfile","chargingProfileKind":"Absolute","validTo":"2026-11-21T15:07:00Z","chargingSchedule":[{"chargingRateUnit":"W","chargingSchedulePeriod":[{"startPeriod":0,"limit":11500}],"startSchedule":"2026-11-21T13:07:00Z","id":3}]}}"#,
        ),
        (V16, "profile set", "limit=fast", r#"limit "fast" is no limit such as 16A, 11000W or 11kW"#),
        (
            V16,
            "profile set",
            "limit=16.25A",
            "SetChargingProfile was not sent: $.csChargingProfiles.chargingSchedule.chargingSchedulePeriod[0].limit must be a number with at most one decimal",
        ),
        (V16, "profile get", "", "OCPP 1.6 has no message for `profile get`"),
        (V201, "profile get", "request=1 evse=1", r#"GetChargingProfiles {"requestId":1,"evseId":1,"chargingProfile":{}}"#),
        (V16, "profile clear", "purpose=tx", r#"ClearChargingProfile {"chargingProfilePurpose":"TxProfile"}"#),
        (V16, "profile clear", "", "ClearChargingProfile {}"),
        (V201, "profile clear", "id=3", r#"ClearChargingProfile {"chargingProfileId":3}"#),
        (V201, "profile clear", "evse=1", r#"ClearChargingProfile {"chargingProfileCriteria":{"evseId":1}}"#),
        (
            V16,
            "profile composite",
            "evse=1 unit=a",
            r#"GetCompositeSchedule {"duration":3600,"chargingRateUnit":"A","connectorId":1}"#,
        ),
        (V201, "local-list version", "", "GetLocalListVersion {}"),
        (
            V16,
            "reserve",
            "token=04A1 evse=1 until=30m id=5 group=G",
            r#"ReserveNow {"reservationId":5,"connectorId":1,"expiryDate":"2026-11-21T13:37:00Z","idTag":"04A1","parentIdTag":"G"}"#,
        ),
        (
            V201,
            "reserve",
            "token=04A1 until=2026-11-21T14:00:00Z id=5",
            r#"ReserveNow {"id":5,"expiryDateTime":"2026-11-21T14:00:00Z","idToken":{"idToken":"04A1","type":"Central"}}"#,
        ),
        (V16, "reserve", "token=1 until=soon", r#"until "soon" is no time; write 30m, 2h, 7d, or 2026-11-28T12:00:00Z"#),
        (V21, "cancel-reservation", "id=5", r#"CancelReservation {"reservationId":5}"#),
        (V16, "firmware", "url=ftp://h/f", r#"UpdateFirmware {"location":"ftp://h/f","retrieveDate":"2026-11-21T13:07:00Z"}"#),
        (
            V16,
            "firmware",
            "url=ftp://h/f certificate=C signature=S request=1",
            r#"SignedUpdateFirmware {"requestId":1,"firmware":{"location":"ftp://h/f","retrieveDateTime":"2026-11-21T13:07:00Z","signingCertificate":"C","signature":"S"}}"#,
        ),
        (
            V201,
            "firmware",
            "url=ftp://h/f request=1 retries=2",
            r#"UpdateFirmware {"requestId":1,"firmware":{"location":"ftp://h/f","retrieveDateTime":"2026-11-21T13:07:00Z"},"retries":2}"#,
        ),
        (V201, "firmware", "url=f certificate=C", "signed firmware takes both, --certificate and --signature"),
        (V16, "log", "url=ftp://h/f", r#"GetDiagnostics {"location":"ftp://h/f"}"#),
        (
            V16,
            "log",
            "url=ftp://h/f security request=1",
            r#"GetLog {"logType":"SecurityLog","requestId":1,"log":{"remoteLocation":"ftp://h/f"}}"#,
        ),
        (
            V16,
            "certificate install",
            "use=central file=PEM",
            r#"InstallCertificate {"certificateType":"CentralSystemRootCertificate","certificate":"PEM"}"#,
        ),
        (
            V201,
            "certificate install",
            "use=csms file=PEM",
            r#"InstallCertificate {"certificateType":"CSMSRootCertificate","certificate":"PEM"}"#,
        ),
        (V201, "certificate list", "", "GetInstalledCertificateIds {}"),
        (V201, "certificate list", "use=mo", r#"GetInstalledCertificateIds {"certificateType":["MORootCertificate"]}"#),
        (V16, "certificate list", "", "OCPP 1.6 lists one kind at a time: --use central-system or --use manufacturer"),
        (
            V21,
            "network-profile",
            "slot=1 url=wss://h/ocpp security-profile=2",
            r#"SetNetworkProfile {"configurationSlot":1,"connectionData":{"ocppVersion":"OCPP20","ocppTransport":"JSON","ocppCsmsUrl":"wss://h/ocpp","messageTimeout":30,"securityProfile":2,"ocppInterface":"Wired0"}}"#,
        ),
        (
            V201,
            "message set",
            "text=Hello id=1 priority=always",
            r#"SetDisplayMessage {"message":{"id":1,"priority":"AlwaysFront","message":{"format":"UTF8","content":"Hello"}}}"#,
        ),
        (V201, "message get", "request=1", r#"GetDisplayMessages {"requestId":1}"#),
        (V201, "message clear", "id=1", r#"ClearDisplayMessage {"id":1}"#),
        (V201, "cost", "session=tx total=4.20", r#"CostUpdated {"transactionId":"tx","totalCost":4.2}"#),
        (V16, "clear-cache", "", "ClearCache {}"),
    ] {
        assert_eq!(line(version, name, words), wanted, "{version:?} {name} {words}");
    }
}

/// The messages that a verb names are those of the version; its arguments are told apart.
#[test]
fn the_table_of_verbs_holds() {
    let mut names: Vec<&str> = verbs().map(|verb| verb.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for verb in verbs() {
        for version in [V16, V201, V21] {
            for action in verb.actions(version) {
                assert!(call::actions(version).any(|known| known == *action), "{} {action}", verb.name);
            }
        }
        for (at, arg) in verb.args.iter().enumerate() {
            assert!(verb.args[..at].iter().all(|other| other.name != arg.name), "{} {}", verb.name, arg.name);
            // What every verb has.
            assert!(!["station", "timeout", "reason"].contains(&arg.name), "{} {}", verb.name, arg.name);
            assert_eq!(arg.value.is_empty(), arg.kind == Kind::Flag, "{} {}", verb.name, arg.name);
        }
    }
}

#[test]
fn a_local_list_is_cut_into_versions_and_leaves_out_what_1_6_cannot_know() {
    let entry = |text: &str| local_list::Entry {
        token: crate::units::Token::new(crate::units::TokenKind::Unstated, text),
        status: "Accepted",
        group: Some("G".to_owned()),
        expires_at: Some(from_millis(1_795_266_420_000)),
        evses: vec![2],
    };
    let entries = [entry("A"), entry("B"), entry("C"), entry("123456789012345678901")];
    for (version, tokens, sent) in [(V16, 3, 2), (V201, 4, 2)] {
        let (messages, count) = local_list::messages(version, &entries, 2, 7);
        assert_eq!((count, messages.len()), (tokens, sent));
        for (at, (action, payload)) in messages.iter().enumerate() {
            call::check(version, action, &payload.to_string()).unwrap();
            let kind = if at == 0 { "Full" } else { "Differential" };
            assert_eq!(payload["updateType"], kind);
            let numbers = [payload.get("listVersion"), payload.get("versionNumber")];
            assert_eq!(numbers.into_iter().flatten().next().unwrap(), &Value::from(8 + at));
        }
        let (none, _) = local_list::messages(version, &[], 2, 0);
        call::check(version, none[0].0, &none[0].1.to_string()).unwrap();
    }
}

#[test]
fn a_certificate_is_found_by_its_serial_number() {
    let hash = |serial: &str| serde_json::json!({"hashAlgorithm": "SHA256", "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": serial});
    let v16 = serde_json::json!({"status": "Accepted", "certificateHashData": [hash("1"), hash("aB")]});
    let v2 = serde_json::json!({"certificateHashDataChain": [
        {"certificateType": "V2GRootCertificate", "certificateHashData": hash("1"), "childCertificateHashData": [hash("AB")]}]});
    assert_eq!(certificate_of(&v16, "AB"), Some(hash("aB")));
    assert_eq!(certificate_of(&v2, "ab"), Some(hash("AB")));
    assert_eq!(certificate_of(&v2, "2"), None);
    assert_eq!(certificate_of(&Value::Null, "2"), None);
}
