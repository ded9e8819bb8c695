//! UnlockConnector (OCPP 1.6 §5.18).

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, required};

pub(super) const UNLOCK_CONNECTOR: Outgoing = Outgoing {
    action: "UnlockConnector",
    request: &[required("connectorId", Rule::Integer(1))],
    harmless: false,
    examples: &[
        (r#"{"connectorId":2}"#, None),
        (r#"{"connectorId":"2"}"#, Some("$.connectorId must be an integer of at least 1")),
    ],
};
