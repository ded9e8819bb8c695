//! Messages that stations send in OCPP 2.0.1 and 2.1. The file of a message is named after it.

mod authorize;
mod boot_notification;
mod id_token;
mod meter_values;
mod notify_event;
mod notify_report;
mod status_notification;
mod transaction_event;

use crate::ocpp::incoming::Incoming;
use crate::ocpp::shared::{data_transfer, heartbeat, security_event_notification};

/// The frequent ones first.
pub(in crate::ocpp) const MESSAGES: &[&Incoming] = &[
    &transaction_event::TRANSACTION_EVENT,
    &meter_values::METER_VALUES,
    &heartbeat::HEARTBEAT,
    &status_notification::STATUS_NOTIFICATION,
    &notify_event::NOTIFY_EVENT,
    &authorize::AUTHORIZE,
    &boot_notification::BOOT_NOTIFICATION,
    &notify_report::NOTIFY_REPORT,
    &security_event_notification::SECURITY_EVENT_NOTIFICATION,
    &data_transfer::DATA_TRANSFER,
];
