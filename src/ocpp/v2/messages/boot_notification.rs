//! BootNotification (OCPP 2.0.1 B01). Vendor and model are required, but may be empty: a refusal would keep the station out for ever.

use crate::fact::{Boot, Fact, Refusal};
use crate::ocpp::incoming::{Incoming, Kind};
use crate::ocpp::lenient::{Field, PayloadReader, filled};
use crate::ocpp::shared::boot_answer::encode;

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
