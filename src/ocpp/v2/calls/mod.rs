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
mod types;
mod unlock_connector;

use crate::ocpp::outgoing::Outgoing;

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
