//! ClearCache (OCPP 2.0.1 C11).

use crate::ocpp::outgoing::Outgoing;

pub(super) const CLEAR_CACHE: Outgoing = Outgoing {
    action: "ClearCache",
    request: &[],
    harmless: false,
    examples: &[("{}", None), (r#"{"all":true}"#, Some("$.all is not a member here"))],
};
