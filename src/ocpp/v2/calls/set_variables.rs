//! SetVariables (OCPP 2.0.1 B05).

use super::types::{ATTRIBUTE, COMPONENT, VARIABLE};
use crate::ocpp::outgoing::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(super) const SET_VARIABLES: Outgoing = Outgoing {
    action: "SetVariables",
    request: &[required(
        "setVariableData",
        Rule::List(&Rule::Object(&[
            required("component", COMPONENT),
            required("variable", VARIABLE),
            optional("attributeType", ATTRIBUTE),
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
