//! RemoteStartTransaction (OCPP 1.6 §5.11). Charging profiles are not sent yet.

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const REMOTE_START_TRANSACTION: Outgoing = Outgoing {
    action: "RemoteStartTransaction",
    request: &[required("idTag", Rule::Text(20)), optional("connectorId", Rule::Integer(1))],
    harmless: false,
    examples: &[
        (r#"{"idTag":"04A1B2C3","connectorId":1}"#, None),
        (r#"{"idTag":"123456789012345678901"}"#, Some("$.idTag must be a text of at most 20 characters")),
    ],
};
