//! RequestStartTransaction (OCPP 2.0.1 F01, F02). Charging profiles are not sent yet.

use super::types::ID_TOKEN;
use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const REQUEST_START_TRANSACTION: Outgoing = Outgoing {
    action: "RequestStartTransaction",
    request: &[
        required("remoteStartId", Rule::Integer(0)),
        required("idToken", ID_TOKEN),
        optional("evseId", Rule::Integer(1)),
        optional("groupIdToken", ID_TOKEN),
    ],
    harmless: false,
    examples: &[
        (r#"{"remoteStartId":7,"idToken":{"idToken":"04A1","type":"ISO14443"}}"#, None),
        (r#"{"remoteStartId":7,"idToken":{"idToken":"04A1"}}"#, Some("$.idToken.type is required")),
    ],
};
