//! SetVariables (OCPP 2.0.1 B05).

use crate::ocpp::call::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const SET_VARIABLES: Outgoing = Outgoing {
    action: "SetVariables",
    request: &[required(
        "setVariableData",
        Rule::List(&Rule::Object(&[
            required("component", super::COMPONENT),
            required("variable", super::VARIABLE),
            optional("attributeType", super::ATTRIBUTE),
            required("attributeValue", Rule::Text(2500)),
        ])),
    )],
    harmless: false,
    examples: &[
        (
            r#"{"setVariableData":[{"component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"},"attributeValue":"300"}]}"#,
            None,
        ),
        (r#"{"setVariableData":[]}"#, Some("$.setVariableData must be a list of at least one")),
    ],
};
