//! GetVariables (OCPP 2.0.1 B06).

use super::types::{ATTRIBUTE, COMPONENT, VARIABLE};
use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const GET_VARIABLES: Outgoing = Outgoing {
    action: "GetVariables",
    request: &[required(
        "getVariableData",
        Rule::List(&Rule::Object(&[
            required("component", COMPONENT),
            required("variable", VARIABLE),
            optional("attributeType", ATTRIBUTE),
        ])),
    )],
    harmless: true,
    examples: &[
        (r#"{"getVariableData":[{"component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"}}]}"#, None),
        (r#"{"getVariableData":[{"component":{"name":"OCPPCommCtrlr"}}]}"#, Some("$.getVariableData[0].variable is required")),
    ],
};
