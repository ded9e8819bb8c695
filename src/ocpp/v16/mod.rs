//! OCPP 1.6 edition 2 with errata and the security whitepaper: what stations send.

mod calls;
mod message;
mod transaction;

pub(super) use calls::CALLS;

use super::Decoder::{self, Message, Transaction};
/// The same in 2.x.
pub(super) use message::{data_transfer, heartbeat, security_event};

/// Every action we decode.
pub(super) const ACTIONS: &[(&str, Decoder)] = &[
    ("MeterValues", Transaction(transaction::meter_values)),
    ("StartTransaction", Transaction(transaction::start)),
    ("StopTransaction", Transaction(transaction::stop)),
    ("Heartbeat", Message(message::heartbeat)),
    ("StatusNotification", Message(message::status_notification)),
    ("Authorize", Message(message::authorize)),
    ("BootNotification", Message(message::boot_notification)),
    ("DataTransfer", Message(message::data_transfer)),
    ("SecurityEventNotification", Message(message::security_event)),
];

/// Actions that only a CSMS sends (DataTransfer goes both ways).
pub(super) const SENT_BY_US: &[&str] = &[
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ChangeConfiguration",
    "ClearCache",
    "ClearChargingProfile",
    "DeleteCertificate",
    "ExtendedTriggerMessage",
    "GetCompositeSchedule",
    "GetConfiguration",
    "GetDiagnostics",
    "GetInstalledCertificateIds",
    "GetLocalListVersion",
    "GetLog",
    "InstallCertificate",
    "RemoteStartTransaction",
    "RemoteStopTransaction",
    "ReserveNow",
    "Reset",
    "SendLocalList",
    "SetChargingProfile",
    "SignedUpdateFirmware",
    "TriggerMessage",
    "UnlockConnector",
    "UpdateFirmware",
];
