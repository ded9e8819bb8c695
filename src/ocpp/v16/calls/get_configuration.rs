//! GetConfiguration (OCPP 1.6 §5.8).

use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, optional};

pub(super) const GET_CONFIGURATION: Outgoing = Outgoing {
    action: "GetConfiguration",
    request: &[optional("key", Rule::List(&Rule::Text(50)))],
    harmless: true,
    examples: &[
        ("{}", None),
        (r#"{"key":["HeartbeatInterval"]}"#, None),
        (r#"{"key":[]}"#, Some("$.key must be a list of at least one")),
        (r#"{"keys":["a"]}"#, Some("$.keys is not a member here; there are: key")),
    ],
};
