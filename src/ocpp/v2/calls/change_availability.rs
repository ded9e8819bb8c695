//! ChangeAvailability (OCPP 2.0.1 G03, G04).

use super::types::EVSE;
use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const CHANGE_AVAILABILITY: Outgoing = Outgoing {
    action: "ChangeAvailability",
    request: &[required("operationalStatus", Rule::OneOf(&["Inoperative", "Operative"])), optional("evse", EVSE)],
    harmless: false,
    examples: &[
        (r#"{"operationalStatus":"Operative"}"#, None),
        (r#"{"operationalStatus":"Operative","evse":{"id":-1}}"#, Some("$.evse.id must be an integer of at least 0")),
    ],
};
