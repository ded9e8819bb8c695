//! GetVariables (OCPP 2.0.1 B06).

use crate::ocpp::call::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const GET_VARIABLES: Outgoing = Outgoing {
    action: "GetVariables",
    request: &[required(
        "getVariableData",
        Rule::List(&Rule::Object(&[
            required("component", super::COMPONENT),
            required("variable", super::VARIABLE),
            optional("attributeType", super::ATTRIBUTE),
        ])),
    )],
    harmless: true,
    examples: &[
        (r#"{"getVariableData":[{"component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"}}]}"#, None),
        (r#"{"getVariableData":[{"component":{"name":"OCPPCommCtrlr"}}]}"#, Some("$.getVariableData[0].variable is required")),
    ],
};
