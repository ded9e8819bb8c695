//! OCPP 2.0.1 edition 3 and 2.1 edition 1, each with errata: what stations send.
//!
//! One tree for both: 2.1 is read with the same fields, and its additions to a message are known by name so that they do not
//! count as unknown. An action that only 2.1 has would be gated in [`super::decoder`]; there is none yet.

mod calls;
mod message;
mod status;
mod transaction;

pub(super) use calls::CALLS;

use super::Decoder::{self, Message, Transaction};
use super::v16;

/// Every action we decode.
pub(super) const ACTIONS: &[(&str, Decoder)] = &[
    ("TransactionEvent", Transaction(transaction::transaction_event)),
    ("MeterValues", Transaction(transaction::meter_values)),
    ("Heartbeat", Message(v16::heartbeat)),
    ("StatusNotification", Message(status::status_notification)),
    ("NotifyEvent", Message(status::notify_event)),
    ("Authorize", Message(message::authorize)),
    ("BootNotification", Message(message::boot_notification)),
    ("NotifyReport", Message(message::noted)),
    ("SecurityEventNotification", Message(v16::security_event)),
    ("DataTransfer", Message(v16::data_transfer)),
];

/// Actions that only a CSMS sends (DataTransfer goes both ways).
pub(super) const SENT_BY_US: &[&str] = &[
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ClearCache",
    "ClearChargingProfile",
    "ClearDisplayMessage",
    "ClearVariableMonitoring",
    "CostUpdated",
    "CustomerInformation",
    "DeleteCertificate",
    "GetBaseReport",
    "GetChargingProfiles",
    "GetCompositeSchedule",
    "GetDisplayMessages",
    "GetInstalledCertificateIds",
    "GetLocalListVersion",
    "GetLog",
    "GetMonitoringReport",
    "GetReport",
    "GetTransactionStatus",
    "GetVariables",
    "InstallCertificate",
    "PublishFirmware",
    "RequestStartTransaction",
    "RequestStopTransaction",
    "ReserveNow",
    "Reset",
    "SendLocalList",
    "SetChargingProfile",
    "SetDisplayMessage",
    "SetMonitoringBase",
    "SetMonitoringLevel",
    "SetNetworkProfile",
    "SetVariableMonitoring",
    "SetVariables",
    "TriggerMessage",
    "UnlockConnector",
    "UnpublishFirmware",
    "UpdateFirmware",
];

/// What 2.1 adds to [`SENT_BY_US`].
pub(super) const SENT_BY_US_SINCE_21: &[&str] = &[
    "AFRRSignal",
    "AdjustPeriodicEventStream",
    "ChangeTransactionTariff",
    "ClearDERControl",
    "ClearTariffs",
    "GetDERControl",
    "GetPeriodicEventStream",
    "GetTariffs",
    "NotifyAllowedEnergyTransfer",
    "NotifyWebPaymentStarted",
    "RequestBatterySwap",
    "SetDERControl",
    "SetDefaultTariff",
    "UpdateDynamicSchedule",
    "UsePriorityCharging",
];
