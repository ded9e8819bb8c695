//! ChangeAvailability (OCPP 1.6 §5.2); connector 0 is the whole station.

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, required};

pub(super) const CHANGE_AVAILABILITY: Outgoing = Outgoing {
    action: "ChangeAvailability",
    request: &[required("connectorId", Rule::Integer(0)), required("type", Rule::OneOf(&["Inoperative", "Operative"]))],
    harmless: false,
    examples: &[
        (r#"{"connectorId":0,"type":"Operative"}"#, None),
        (r#"{"connectorId":0,"type":"Off"}"#, Some("$.type must be one of: Inoperative, Operative")),
    ],
};
