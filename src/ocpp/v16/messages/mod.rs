//! Messages that stations send in OCPP 1.6 and its security whitepaper. The file of a message is named after it; those without a file
//! are only kept and answered.

mod authorize;
mod boot_notification;
mod id_tag;
mod meter_values;
mod start_transaction;
mod status_notification;
mod stop_transaction;
mod transaction_id;

use crate::ocpp::incoming::{Incoming, empty, noted, rejected};
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
    &noted("DiagnosticsStatusNotification", empty),
    &noted("FirmwareStatusNotification", empty),
    &noted("LogStatusNotification", empty),
    &noted("SignedFirmwareStatusNotification", empty),
    // There is no authority that would sign.
    &noted("SignCertificate", rejected),
];
