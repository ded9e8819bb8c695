//! TriggerMessage (OCPP 2.0.1 F06).

use super::types::EVSE;
use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const TRIGGER_MESSAGE: Outgoing = Outgoing {
    action: "TriggerMessage",
    request: &[
        required(
            "requestedMessage",
            Rule::OneOf(&[
                "BootNotification",
                "LogStatusNotification",
                "FirmwareStatusNotification",
                "Heartbeat",
                "MeterValues",
                "SignChargingStationCertificate",
                "SignV2GCertificate",
                "SignCombinedCertificate",
                "StatusNotification",
                "TransactionEvent",
                "PublishFirmwareStatusNotification",
            ]),
        ),
        optional("evse", EVSE),
    ],
    harmless: true,
    examples: &[
        (r#"{"requestedMessage":"StatusNotification","evse":{"id":1,"connectorId":1}}"#, None),
        (r#"{"requestedMessage":"StatusNotification","evse":1}"#, Some("$.evse must be an object")),
    ],
};
