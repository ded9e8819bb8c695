//! DataTransfer (OCPP 2.0.1 P01).

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const DATA_TRANSFER: Outgoing = Outgoing {
    action: "DataTransfer",
    request: &[required("vendorId", Rule::Text(255)), optional("messageId", Rule::Text(50)), optional("data", Rule::Any)],
    harmless: false,
    examples: &[(r#"{"vendorId":"org.example","data":{"a":1}}"#, None), ("[]", Some("$ must be an object"))],
};
