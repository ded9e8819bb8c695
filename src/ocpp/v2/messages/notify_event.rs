//! NotifyEvent (OCPP 2.0.1 N07): every AvailabilityState in it is a status, which may stand in place of a StatusNotification (errata
//! 2025-09); the rest stays in the journal.

use crate::fact::{ChargingState, Fact, Refusal, Status};
use crate::ocpp::incoming::{Incoming, Kind, acknowledge};
use crate::ocpp::lenient::PayloadReader;
use crate::units::Time;

pub(super) const NOTIFY_EVENT: Incoming = Incoming {
    action: "NotifyEvent",
    kind: Kind::Message { decode, encode: acknowledge },
    examples: &[
        (
            r#"{"generatedAt":"2026-11-21T13:07:00Z","seqNo":0,"eventData":[
               {"eventId":1,"timestamp":"2026-11-21T13:07:00Z","trigger":"Delta","actualValue":"Available","component":{"name":"Connector","evse":{"id":1,"connectorId":2}},"variable":{"name":"AvailabilityState"}},
               {"actualValue":"Faulted","component":{"name":"EVSE","evse":{"id":3}},"variable":{"name":"availabilityState"}},
               {"actualValue":"Unavailable","component":{"name":"ChargingStation"},"variable":{"name":"AvailabilityState"}},
               {"actualValue":"true","component":{"name":"ConnectorPlugRetentionLock"},"variable":{"name":"Problem"}},
               {"actualValue":"Available","component":{"name":"Connector"},"variable":{"name":"AvailabilityState"}}]}"#,
            "1/2 Available Idle - 2026-11-21T13:07:00Z 3/0 Faulted OutOfService - - 0/0 Unavailable OutOfService - -",
        ),
        ("{}", ""),
    ],
};

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

fn decode(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let mut statuses = Vec::new();
    r.object("NotifyEvent", |r, key| match key {
        "eventData" => r.list(key, |r| statuses.extend(event(r).status())),
        _ => r.skip(),
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
                _ => r.skip(),
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
