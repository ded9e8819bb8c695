//! RequestStopTransaction (OCPP 2.0.1 F03).

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, required};

pub(super) const REQUEST_STOP_TRANSACTION: Outgoing = Outgoing {
    action: "RequestStopTransaction",
    request: &[required("transactionId", Rule::Text(36))],
    harmless: false,
    examples: &[
        (r#"{"transactionId":"tx-1"}"#, None),
        (r#"{"transactionId":1}"#, Some("$.transactionId must be a text of at most 36 characters")),
    ],
};
