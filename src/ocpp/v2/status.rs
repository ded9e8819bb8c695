//! StatusNotification, and NotifyEvent, which may stand in its place (2.0.1 G01, N07, errata 2025-09).

use crate::fact::{ChargingState, Fact, Refusal, Status};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::units::Time;

/// StatusNotification (2.0.1 G01).
pub(super) fn status_notification(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let (mut evse, mut connector) = (Field::Absent, Field::Absent);
    let (mut state, mut reported_at) = (Field::Absent, Field::Absent);
    r.object("StatusNotification", |r, key| match key {
        "evseId" => evse = r.evse_or_connector(key),
        "connectorId" => connector = r.evse_or_connector(key),
        "connectorStatus" => state = r.text(key),
        "timestamp" => reported_at = r.time(key),
        _ => r.unknown(),
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

/// One element of `eventData`, as far as we look at it.
#[derive(Default)]
struct Event {
    component: String,
    variable: String,
    value: Option<String>,
    evse: Option<u32>,
    connector: Option<u32>,
    reported_at: Option<Time>,
}

/// NotifyEvent (2.0.1 N07): every AvailabilityState in it is a status; the rest stays in the journal.
pub(super) fn notify_event(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let mut statuses = Vec::new();
    r.object("NotifyEvent", |r, key| match key {
        "eventData" => r.list(key, |r| statuses.extend(event(r).status())),
        "generatedAt" | "seqNo" | "tbc" => r.skip(),
        _ => r.unknown(),
    });
    Ok(Fact::Events { statuses })
}

fn event(r: &mut PayloadReader<'_>) -> Event {
    let mut event = Event::default();
    r.object("eventData", |r, key| match key {
        "timestamp" => event.reported_at = r.time(key).ok(),
        "actualValue" => event.value = r.text(key).filled(),
        "variable" => drop(r.object(key, |r, key| match key {
            "name" => event.variable = r.text(key).filled().unwrap_or_default(),
            _ => r.skip(),
        })),
        "component" => drop(r.object(key, |r, key| match key {
            "name" => event.component = r.text(key).filled().unwrap_or_default(),
            "evse" => drop(r.object(key, |r, key| match key {
                "id" => event.evse = r.evse_or_connector(key).ok(),
                "connectorId" => event.connector = r.evse_or_connector(key).ok(),
                _ => r.unknown(),
            })),
            _ => r.skip(),
        })),
        _ => r.skip(),
    });
    event
}

impl Event {
    /// The status that an AvailabilityState of a connector, an EVSE or the station reports. Names compare without regard to case
    /// in the device model.
    fn status(self) -> Option<Status> {
        if !self.variable.eq_ignore_ascii_case("AvailabilityState") {
            return None;
        }
        let (evse, connector) = if self.component.eq_ignore_ascii_case("Connector") {
            (self.evse?, self.connector.unwrap_or(1))
        } else if self.component.eq_ignore_ascii_case("EVSE") {
            (self.evse?, 0)
        } else if self.component.eq_ignore_ascii_case("ChargingStation") {
            (0, 0)
        } else {
            return None;
        };
        let (state, reported_at) = (self.value?, self.reported_at);
        let charging = ChargingState::of_connector(&state);
        Some(Status { evse, connector, state, charging, error: None, reported_at, findings: Vec::new() })
    }
}
