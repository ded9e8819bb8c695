//! Reset (OCPP 2.0.1 B11, B12).

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const RESET: Outgoing = Outgoing {
    action: "Reset",
    request: &[
        required("type", Rule::OneOf(&["Immediate", "OnIdle", "ImmediateAndResume"])),
        optional("evseId", Rule::Integer(0)),
    ],
    harmless: false,
    examples: &[
        (r#"{"type":"OnIdle"}"#, None),
        (r#"{"type":"Hard"}"#, Some("$.type must be one of: Immediate, OnIdle, ImmediateAndResume")),
    ],
};
