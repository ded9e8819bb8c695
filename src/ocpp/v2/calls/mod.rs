//! Messages that we send in OCPP 2.0.1 and 2.1.

mod change_availability;
mod clear_cache;
mod data_transfer;
mod get_variables;
mod request_start_transaction;
mod request_stop_transaction;
mod reset;
mod set_variables;
mod trigger_message;
mod unlock_connector;

use crate::ocpp::call::Outgoing;
use crate::ocpp::schema::{Rule, optional, required};

pub(in crate::ocpp) const CALLS: &[&Outgoing] = &[
    &change_availability::CHANGE_AVAILABILITY,
    &clear_cache::CLEAR_CACHE,
    &data_transfer::DATA_TRANSFER,
    &get_variables::GET_VARIABLES,
    &request_start_transaction::REQUEST_START_TRANSACTION,
    &request_stop_transaction::REQUEST_STOP_TRANSACTION,
    &reset::RESET,
    &set_variables::SET_VARIABLES,
    &trigger_message::TRIGGER_MESSAGE,
    &unlock_connector::UNLOCK_CONNECTOR,
];

/// EVSEType.
const EVSE: Rule = Rule::Object(&[required("id", Rule::Integer(0)), optional("connectorId", Rule::Integer(0))]);
/// ComponentType.
const COMPONENT: Rule =
    Rule::Object(&[required("name", Rule::Text(50)), optional("instance", Rule::Text(50)), optional("evse", EVSE)]);
/// VariableType.
const VARIABLE: Rule = Rule::Object(&[required("name", Rule::Text(50)), optional("instance", Rule::Text(50))]);
/// AttributeEnumType.
const ATTRIBUTE: Rule = Rule::OneOf(&["Actual", "Target", "MinSet", "MaxSet"]);
/// IdTokenType; 2.1 has more types than 2.0.1, as free text.
const ID_TOKEN: Rule = Rule::Object(&[
    required("idToken", Rule::Text(255)),
    required("type", Rule::Text(20)),
    optional(
        "additionalInfo",
        Rule::List(&Rule::Object(&[required("additionalIdToken", Rule::Text(255)), required("type", Rule::Text(50))])),
    ),
]);
