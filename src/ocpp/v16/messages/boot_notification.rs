//! BootNotification (OCPP 1.6 §6.3). Vendor and model are required, but may be empty: a refusal would keep the station out for ever.

use crate::fact::{Boot, Fact, Refusal};
use crate::ocpp::incoming::{Incoming, Kind};
use crate::ocpp::lenient::{Field, PayloadReader, filled};
use crate::ocpp::shared::boot_answer::encode;

pub(super) const BOOT_NOTIFICATION: Incoming = Incoming {
    action: "BootNotification",
    kind: Kind::Message { decode, encode },
    examples: &[
        (
            r#"{"chargePointVendor":"Voltwerk","chargePointModel":"V7","chargeBoxSerialNumber":"B1","firmwareVersion":"1.2","meterType":"M","iccid":"","imsi":1}"#,
            "Voltwerk V7 B1 1.2 - M -",
        ),
        (
            r#"{"chargePointVendor":"","chargePointModel":["V7"],"chargePointSerialNumber":4711,"chargeBoxSerialNumber":"B1"}"#,
            "- - 4711 - - - - !field-unreadable",
        ),
        (r#"{"chargePointModel":"V7"}"#, "refused Missing: chargePointVendor is required"),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let (mut vendor, mut model) = (Field::Absent, Field::Absent);
    let mut box_serial = None;
    let mut boot = Boot::default();
    r.object("BootNotification", |r, key| match key {
        "chargePointVendor" => vendor = r.text(key),
        "chargePointModel" => model = r.text(key),
        "chargePointSerialNumber" => boot.serial = r.text(key).filled(),
        "chargeBoxSerialNumber" => box_serial = r.text(key).filled(),
        "firmwareVersion" => boot.firmware = r.text(key).filled(),
        "meterSerialNumber" => boot.meter_serial = r.text(key).filled(),
        "meterType" => boot.meter_type = r.text(key).filled(),
        _ => r.skip(),
    });
    boot.vendor = vendor.stated("chargePointVendor")?.and_then(filled);
    boot.model = model.stated("chargePointModel")?.and_then(filled);
    boot.serial = boot.serial.or(box_serial);
    Ok(Fact::Boot(boot))
}
