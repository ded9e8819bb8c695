//! Messages that stations send in OCPP 1.6. The file of a message is named after it.

mod authorize;
mod boot_notification;
mod id_tag;
mod meter_values;
mod start_transaction;
mod status_notification;
mod stop_transaction;
mod transaction_id;

use crate::ocpp::incoming::Incoming;
use crate::ocpp::shared::{data_transfer, heartbeat, security_event_notification};

/// The frequent ones first.
pub(in crate::ocpp) const MESSAGES: &[&Incoming] = &[
    &meter_values::METER_VALUES,
    &heartbeat::HEARTBEAT,
    &status_notification::STATUS_NOTIFICATION,
    &start_transaction::START_TRANSACTION,
    &stop_transaction::STOP_TRANSACTION,
    &authorize::AUTHORIZE,
    &boot_notification::BOOT_NOTIFICATION,
    &data_transfer::DATA_TRANSFER,
    &security_event_notification::SECURITY_EVENT_NOTIFICATION,
];
