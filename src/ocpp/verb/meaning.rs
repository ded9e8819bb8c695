//! What an answer means, in a sentence.

use serde_json::Value;

/// What follows from a yes, by message; for all others the status says enough.
const DONE: [(&str, &str); 19] = [
    (
        "RemoteStartTransaction",
        "it will begin when the vehicle is plugged in and the token is accepted; `forecourt sessions` shows it",
    ),
    (
        "RequestStartTransaction",
        "it will begin when the vehicle is plugged in and the token is accepted; `forecourt sessions` shows it",
    ),
    ("RemoteStopTransaction", "its end comes as a message of the station; `forecourt sessions` shows it"),
    ("RequestStopTransaction", "its end comes as a message of the station; `forecourt sessions` shows it"),
    ("Reset", "it restarts; `forecourt stations` shows when it is back"),
    ("TriggerMessage", "the message follows; `forecourt messages` shows it"),
    ("ExtendedTriggerMessage", "the message follows; `forecourt messages` shows it"),
    ("GetBaseReport", "NotifyReport messages follow; `forecourt messages` shows them"),
    ("GetMonitoringReport", "NotifyMonitoringReport messages follow; `forecourt messages` shows them"),
    ("GetChargingProfiles", "ReportChargingProfiles messages follow; `forecourt messages` shows them"),
    ("GetDisplayMessages", "NotifyDisplayMessages messages follow; `forecourt messages` shows them"),
    ("CustomerInformation", "NotifyCustomerInformation messages follow; `forecourt messages` shows them"),
    ("UpdateFirmware", "FirmwareStatusNotification messages say how it goes; `forecourt messages` shows them"),
    ("SignedUpdateFirmware", "SignedFirmwareStatusNotification messages say how it goes; `forecourt messages` shows them"),
    ("GetDiagnostics", "DiagnosticsStatusNotification messages say how it goes; `forecourt messages` shows them"),
    ("GetLog", "LogStatusNotification messages say how it goes; `forecourt messages` shows them"),
    ("ReserveNow", "`forecourt calls` shows the number of the reservation"),
    ("UnlockConnector", "the plug is released"),
    ("CancelReservation", "the reservation is gone"),
];

/// Statuses that need a word, in whatever message.
const STATUSES: [(&str, &str); 25] = [
    ("AcceptedCanceled", "what ran before is given up for it"),
    ("Scheduled", "it will when running transactions have ended"),
    ("RebootRequired", "it counts after a restart: `forecourt station reset`"),
    ("NotSupported", "the station does not know this"),
    ("NotImplemented", "the station does not send this"),
    ("UnlockFailed", "the lock did not open; look at the plug"),
    ("OngoingAuthorizedTransaction", "a transaction runs there: stop it first"),
    ("UnknownConnector", "the station has no such connector"),
    ("NoProfiles", "there are no such profiles"),
    ("Unknown", "the station has no such thing"),
    ("NotFound", "the station has no such thing"),
    ("EmptyResultSet", "there is nothing to report"),
    ("VersionMismatch", "the list that the station has is not the one that this one builds on: send it whole"),
    ("Faulted", "the connector has a fault; `forecourt problems` shows it"),
    ("Occupied", "the connector is in use"),
    ("Unavailable", "the connector is out of service"),
    ("InvalidCertificate", "the station does not trust the signing certificate"),
    ("RevokedCertificate", "the signing certificate is revoked"),
    ("Invalid", "the station knows no such customer"),
    ("UnknownVendorId", "the station does not know this vendor"),
    ("UnknownMessageId", "the station knows the vendor, but not this message"),
    ("UnknownComponent", "the station has no such component"),
    ("UnknownVariable", "that component has no such variable"),
    ("UnknownTransaction", "the station knows no such transaction"),
    ("NotSupportedAttributeType", "that variable has no such value"),
];

/// What an answer with this status means, and what the station adds to it (2.x statusInfo); empty when there is nothing to say.
pub fn meaning(action: &str, status: Option<&str>, yes: bool, payload: &str) -> String {
    let find = |table: &[(&str, &'static str)], name: &str| table.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    let of_status = status.and_then(|status| find(&STATUSES, status));
    let of_action = if yes { find(&DONE, action) } else { None };
    let value: Value = serde_json::from_str(payload).unwrap_or_default();
    let info = |name: &str| value.get("statusInfo").and_then(|info| info.get(name)).and_then(Value::as_str).unwrap_or_default();
    let added = [info("reasonCode"), info("additionalInfo")].iter().filter(|text| !text.is_empty()).copied().collect::<Vec<_>>();
    let mut parts: Vec<String> = of_status.or(of_action).map(str::to_owned).into_iter().collect();
    if !added.is_empty() {
        parts.push(format!("it says: {}", added.join(", ")));
    }
    parts.join("; ")
}
