//! Types of OCPP 2.0.1 and 2.1 that several messages of ours share.

use crate::ocpp::schema::{Rule, optional, required};

/// EVSEType.
pub(super) const EVSE: Rule = Rule::Object(&[required("id", Rule::Integer(0)), optional("connectorId", Rule::Integer(0))]);
/// ComponentType.
pub(super) const COMPONENT: Rule =
    Rule::Object(&[required("name", Rule::Text(50)), optional("instance", Rule::Text(50)), optional("evse", EVSE)]);
/// VariableType.
pub(super) const VARIABLE: Rule = Rule::Object(&[required("name", Rule::Text(50)), optional("instance", Rule::Text(50))]);
/// AttributeEnumType.
pub(super) const ATTRIBUTE: Rule = Rule::OneOf(&["Actual", "Target", "MinSet", "MaxSet"]);
/// IdTokenType; 2.1 has more types than 2.0.1, as free text.
pub(super) const ID_TOKEN: Rule = Rule::Object(&[
    required("idToken", Rule::Text(255)),
    required("type", Rule::Text(20)),
    optional(
        "additionalInfo",
        Rule::List(&Rule::Object(&[required("additionalIdToken", Rule::Text(255)), required("type", Rule::Text(50))])),
    ),
]);
