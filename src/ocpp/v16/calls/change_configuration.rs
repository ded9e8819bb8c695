//! ChangeConfiguration (OCPP 1.6 §5.3).

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, required};

pub(super) const CHANGE_CONFIGURATION: Outgoing = Outgoing {
    action: "ChangeConfiguration",
    request: &[required("key", Rule::Text(50)), required("value", Rule::Text(500))],
    harmless: false,
    examples: &[
        (r#"{"key":"HeartbeatInterval","value":"300"}"#, None),
        (r#"{"key":"HeartbeatInterval","value":300}"#, Some("$.value must be a text of at most 500 characters")),
    ],
};
