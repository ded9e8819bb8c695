//! StatusNotification (OCPP 2.0.1 G01).

use crate::fact::{ChargingState, Fact, Refusal, Status};
use crate::ocpp::incoming::{Incoming, Kind, acknowledge};
use crate::ocpp::lenient::{Field, PayloadReader};

pub(super) const STATUS_NOTIFICATION: Incoming = Incoming {
    action: "StatusNotification",
    kind: Kind::Message { decode, encode: acknowledge },
    examples: &[
        (
            r#"{"evseId":2,"connectorId":1,"connectorStatus":"Occupied","timestamp":"2026-11-21T13:07:00Z"}"#,
            "2/1 Occupied - - 2026-11-21T13:07:00Z",
        ),
        (r#"{"evseId":2,"connectorStatus":"Occupied"}"#, "2/1 Occupied - - - !field-missing !field-missing"),
        (
            r#"{"evseId":0,"connectorId":0,"connectorStatus":"Available","timestamp":"2026-11-21T13:07:00Z"}"#,
            "0/0 Available Idle - 2026-11-21T13:07:00Z",
        ),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let (mut evse, mut connector) = (Field::Absent, Field::Absent);
    let (mut state, mut reported_at) = (Field::Absent, Field::Absent);
    r.object("StatusNotification", |r, key| match key {
        "evseId" => evse = r.evse_or_connector(key),
        "connectorId" => connector = r.evse_or_connector(key),
        "connectorStatus" => state = r.text(key),
        "timestamp" => reported_at = r.time(key),
        _ => r.skip(),
    });
    let evse = evse.required("evseId")?;
    let state = state.required("connectorStatus")?.trim().to_owned();
    // Stations with one connector per EVSE leave it out (docs/quirks.md Q61).
    let connector = connector.expected(r, "connectorId").unwrap_or(evse.min(1));
    let reported_at = reported_at.expected(r, "timestamp");
    let findings = std::mem::take(&mut r.findings);
    let charging = ChargingState::of_connector(&state);
    Ok(Fact::Status(Status { evse, connector, state, charging, error: None, reported_at, findings }))
}
