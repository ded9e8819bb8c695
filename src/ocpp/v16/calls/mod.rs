//! Messages that we send in OCPP 1.6.

mod change_availability;
mod change_configuration;
mod clear_cache;
mod data_transfer;
mod get_configuration;
mod remote_start_transaction;
mod remote_stop_transaction;
mod reset;
mod trigger_message;
mod unlock_connector;

use crate::ocpp::outgoing::Outgoing;

pub(in crate::ocpp) const CALLS: &[&Outgoing] = &[
    &change_availability::CHANGE_AVAILABILITY,
    &change_configuration::CHANGE_CONFIGURATION,
    &clear_cache::CLEAR_CACHE,
    &data_transfer::DATA_TRANSFER,
    &get_configuration::GET_CONFIGURATION,
    &remote_start_transaction::REMOTE_START_TRANSACTION,
    &remote_stop_transaction::REMOTE_STOP_TRANSACTION,
    &reset::RESET,
    &trigger_message::TRIGGER_MESSAGE,
    &unlock_connector::UNLOCK_CONNECTOR,
];
