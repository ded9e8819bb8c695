//! BootNotification (OCPP 2.0.1 B01). Vendor and model are required, but may be empty: a refusal would keep the station out for ever.

use serde::Serialize;

use crate::fact::{Answer, Boot, Fact, Refusal};
use crate::ocpp::answer::result;
use crate::ocpp::incoming::{Incoming, Kind};
use crate::ocpp::lenient::{Field, PayloadReader, filled};
use crate::ocpp::message_id::MessageId;
use crate::units::time::rfc3339_seconds;

pub(super) const BOOT_NOTIFICATION: Incoming = Incoming {
    action: "BootNotification",
    kind: Kind::Message { decode, encode },
    examples: &[
        (
            r#"{"reason":"PowerUp","chargingStation":{"vendorName":"Voltwerk","model":"V7","serialNumber":"S1","modem":{"iccid":"1"},"customData":{"vendorId":"x"}},"extra":1}"#,
            "Voltwerk V7 S1 - - - PowerUp",
        ),
        (r#"{"reason":"PowerUp","chargingStation":{"model":"V7"}}"#, "refused Missing: chargingStation.vendorName is required"),
        (r#"{"chargePointVendor":"Voltwerk","chargePointModel":"V7"}"#, "refused Missing: chargingStation is required"),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let (mut vendor, mut model, mut reason) = (Field::Absent, Field::Absent, Field::Absent);
    let mut boot = Boot::default();
    let mut station = Field::Absent;
    r.object("BootNotification", |r, key| match key {
        "reason" => reason = r.text(key),
        "chargingStation" => {
            station = Field::Read(r.object(key, |r, key| match key {
                "vendorName" => vendor = r.text(key),
                "model" => model = r.text(key),
                "serialNumber" => boot.serial = r.text(key).filled(),
                "firmwareVersion" => boot.firmware = r.text(key).filled(),
                _ => r.skip(),
            }));
        }
        _ => r.skip(),
    });
    station.required("chargingStation")?;
    boot.vendor = vendor.stated("chargingStation.vendorName")?.and_then(filled);
    boot.model = model.stated("chargingStation.model")?.and_then(filled);
    boot.reason = reason.stated("reason")?.and_then(filled);
    Ok(Fact::Boot(boot))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status: &'static str,
    current_time: String,
    interval: u32,
}

fn encode(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    let Answer::Boot { registration, now, interval_s } = answer else { return None };
    result(id, &Response { status: registration.as_str(), current_time: rfc3339_seconds(*now), interval: *interval_s })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Registration;
    use crate::units::time::from_millis;

    #[test]
    fn a_station_gets_time_and_interval() {
        let answer = Answer::Boot { registration: Registration::Pending, now: from_millis(1_795_266_420_750), interval_s: 300 };
        let payload = r#"{"status":"Pending","currentTime":"2026-11-21T13:07:00Z","interval":300}"#;
        assert_eq!(BOOT_NOTIFICATION.answer(&answer), payload);
    }
}
