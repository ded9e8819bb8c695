//! RemoteStopTransaction (OCPP 1.6 §5.12).

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, required};

pub(super) const REMOTE_STOP_TRANSACTION: Outgoing = Outgoing {
    action: "RemoteStopTransaction",
    request: &[required("transactionId", Rule::Integer(i64::MIN))],
    harmless: false,
    examples: &[
        (r#"{"transactionId":1001}"#, None),
        (r#"{"transactionId":"1001"}"#, Some("$.transactionId must be an integer of at least -9223372036854775808")),
    ],
};
