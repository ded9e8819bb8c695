//! TriggerMessage (OCPP 1.6 §5.17).

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const TRIGGER_MESSAGE: Outgoing = Outgoing {
    action: "TriggerMessage",
    request: &[
        required(
            "requestedMessage",
            Rule::OneOf(&[
                "BootNotification",
                "DiagnosticsStatusNotification",
                "FirmwareStatusNotification",
                "Heartbeat",
                "MeterValues",
                "StatusNotification",
            ]),
        ),
        optional("connectorId", Rule::Integer(1)),
    ],
    harmless: true,
    examples: &[
        (r#"{"requestedMessage":"StatusNotification","connectorId":1}"#, None),
        (r#"{"requestedMessage":"Heartbeat","connectorId":0}"#, Some("$.connectorId must be an integer of at least 1")),
    ],
};
