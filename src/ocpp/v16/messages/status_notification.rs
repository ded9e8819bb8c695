//! StatusNotification (OCPP 1.6 §6.47). Connector 0 is the station; every other connector is an EVSE of its own.

use crate::fact::{ChargingState, Fact, Refusal, Status};
use crate::ocpp::incoming::{Incoming, Kind, acknowledge};
use crate::ocpp::lenient::{Field, PayloadReader, filled};

pub(super) const STATUS_NOTIFICATION: Incoming = Incoming {
    action: "StatusNotification",
    kind: Kind::Message { decode, encode: acknowledge },
    examples: &[
        (
            r#"{"connectorId":2,"errorCode":"NoError","status":"SuspendedEVSE","timestamp":"2026-11-21T13:07:00+01:00","info":"x"}"#,
            "2/1 SuspendedEVSE SuspendedEVSE - 2026-11-21T12:07:00Z",
        ),
        (
            r#"{"connectorId":"0","errorCode":"Error","status":"Faultd","timestamp":"2026-11-21T13:07"}"#,
            "0/0 Faultd - Error 2026-11-21T13:07:00Z !time-without-zone",
        ),
        (r#"{"connectorId":1,"status":" charging ","timestamp":""}"#, "1/1 charging Charging - - !field-missing"),
        (r#"{"connectorId":1,"errorCode":"NoError"}"#, "refused Missing: status is required"),
        (r#"{"connectorId":[],"errorCode":"NoError","status":"Available"}"#, "refused WrongType: connectorId cannot be read"),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let (mut connector, mut state, mut error) = (Field::Absent, Field::Absent, Field::Absent);
    let mut reported_at = None;
    r.object("StatusNotification", |r, key| match key {
        "connectorId" => connector = r.evse_or_connector(key),
        "status" => state = r.text(key),
        "errorCode" => error = r.text(key),
        "timestamp" => reported_at = r.time(key).ok(),
        _ => r.skip(),
    });
    let evse = connector.required("connectorId")?;
    let state = state.required("status")?.trim().to_owned();
    let error = error.expected(r, "errorCode").and_then(filled).filter(|code| !code.eq_ignore_ascii_case("NoError"));
    Ok(Fact::Status(Status {
        evse,
        connector: evse.min(1),
        charging: charging(&state),
        state,
        error,
        reported_at,
        findings: std::mem::take(&mut r.findings),
    }))
}

/// What a status says about a running charge.
fn charging(state: &str) -> Option<ChargingState> {
    const STATES: [(&str, ChargingState); 6] = [
        ("Available", ChargingState::Idle),
        ("Preparing", ChargingState::EvConnected),
        ("Charging", ChargingState::Charging),
        ("SuspendedEV", ChargingState::SuspendedEv),
        ("SuspendedEVSE", ChargingState::SuspendedEvse),
        ("Finishing", ChargingState::EvConnected),
    ];
    let known = STATES.iter().find(|(name, _)| name.eq_ignore_ascii_case(state)).map(|(_, charging)| *charging);
    known.or_else(|| ChargingState::out_of_service(state))
}
