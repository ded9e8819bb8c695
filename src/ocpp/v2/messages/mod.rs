//! Messages that stations send in OCPP 2.0.1 and 2.1. The file of a message is named after it; those without a file are only kept and
//! answered.

mod authorize;
mod boot_notification;
mod get_15118_ev_certificate;
mod get_certificate_chain_status;
mod id_token;
mod meter_values;
mod notify_event;
mod status_notification;
mod transaction_event;
mod vat_number_validation;

use crate::ocpp::incoming::{Incoming, accepted, empty, failed, noted, rejected};
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
    &security_event_notification::SECURITY_EVENT_NOTIFICATION,
    &data_transfer::DATA_TRANSFER,
    &noted("ClearedChargingLimit", empty),
    &noted("FirmwareStatusNotification", empty),
    &get_15118_ev_certificate::GET_15118_EV_CERTIFICATE,
    // Nobody is asked for the status of certificates.
    &noted("GetCertificateStatus", failed),
    &noted("LogStatusNotification", empty),
    &noted("NotifyChargingLimit", empty),
    &noted("NotifyCustomerInformation", empty),
    &noted("NotifyDisplayMessages", empty),
    // No charging profile follows (K15).
    &noted("NotifyEVChargingNeeds", rejected),
    // No limit of ours could be exceeded (K16).
    &noted("NotifyEVChargingSchedule", accepted),
    &noted("NotifyMonitoringReport", empty),
    &noted("NotifyReport", empty),
    &noted("PublishFirmwareStatusNotification", empty),
    &noted("ReportChargingProfiles", empty),
    &noted("ReservationStatusUpdate", empty),
    // There is no authority that would sign.
    &noted("SignCertificate", rejected),
];

/// What 2.1 adds to [`MESSAGES`].
pub(in crate::ocpp) const MESSAGES_SINCE_21: &[&Incoming] = &[
    &noted("BatterySwap", empty),
    &noted("ClosePeriodicEventStream", empty),
    &get_certificate_chain_status::GET_CERTIFICATE_CHAIN_STATUS,
    &noted("NotifyDERAlarm", empty),
    &noted("NotifyDERStartStop", empty),
    // A SEND, which nobody answers.
    &noted("NotifyPeriodicEventStream", empty),
    &noted("NotifyPriorityCharging", empty),
    &noted("NotifySettlement", empty),
    // Nobody would read the stream.
    &noted("OpenPeriodicEventStream", rejected),
    // No profile of ours is a dynamic one.
    &noted("PullDynamicScheduleUpdate", rejected),
    &noted("ReportDERControl", empty),
    &vat_number_validation::VAT_NUMBER_VALIDATION,
];
