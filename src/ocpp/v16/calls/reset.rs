//! Reset (OCPP 1.6 §5.14).

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, required};

pub(super) const RESET: Outgoing = Outgoing {
    action: "Reset",
    request: &[required("type", Rule::OneOf(&["Hard", "Soft"]))],
    harmless: false,
    examples: &[
        (r#"{"type":"Soft"}"#, None),
        (r#"{"type":"soft"}"#, Some("$.type must be one of: Hard, Soft")),
        ("{}", Some("$.type is required")),
    ],
};
