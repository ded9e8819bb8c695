//! ClearCache (OCPP 1.6 §5.4).

use crate::ocpp::outgoing::Outgoing;

pub(super) const CLEAR_CACHE: Outgoing = Outgoing {
    action: "ClearCache",
    request: &[],
    harmless: false,
    examples: &[("{}", None), (r#"{"all":true}"#, Some("$.all is not a member here"))],
};
