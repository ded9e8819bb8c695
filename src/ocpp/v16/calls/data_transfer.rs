//! DataTransfer (OCPP 1.6 §5.6).

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const DATA_TRANSFER: Outgoing = Outgoing {
    action: "DataTransfer",
    request: &[
        required("vendorId", Rule::Text(255)),
        optional("messageId", Rule::Text(50)),
        optional("data", Rule::Text(usize::MAX)),
    ],
    harmless: false,
    examples: &[
        (r#"{"vendorId":"org.example","messageId":"hello","data":"x"}"#, None),
        (r#"{"messageId":"hello"}"#, Some("$.vendorId is required")),
    ],
};
