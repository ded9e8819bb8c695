//! UnlockConnector (OCPP 2.0.1 F05).

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, required};

pub(super) const UNLOCK_CONNECTOR: Outgoing = Outgoing {
    action: "UnlockConnector",
    request: &[required("evseId", Rule::Integer(0)), required("connectorId", Rule::Integer(0))],
    harmless: false,
    examples: &[(r#"{"evseId":1,"connectorId":1}"#, None), (r#"{"evseId":1}"#, Some("$.connectorId is required"))],
};
