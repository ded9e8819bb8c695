//! VatNumberValidation (OCPP 2.1 C26). There is no register to ask, so no number is validated; the answer repeats which one was asked
//! about.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::fact::Refusal;
use crate::ocpp::incoming::{Incoming, Kind, payload};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::units::Time;

/// The most characters that the standard allows.
const MAX_NUMBER: usize = 20;

pub(super) const VAT_NUMBER_VALIDATION: Incoming = Incoming {
    action: "VatNumberValidation",
    kind: Kind::Noted(reply),
    examples: &[
        (r#"{"vatNumber":"DE1234\"56789","evseId":1}"#, r#"Noted {"vatNumber":"DE1234\"56789","status":"Rejected"}"#),
        (r#"{"vatNumber":"1234567890123456789012345"}"#, r#"Noted {"vatNumber":"12345678901234567890","status":"Rejected"}"#),
        ("{}", "refused Missing: vatNumber is required"),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    vat_number: String,
    status: &'static str,
}

fn reply(r: &mut PayloadReader<'_>, _: Time) -> Result<Box<RawValue>, Refusal> {
    let mut number = Field::Absent;
    r.object("VatNumberValidation", |r, key| match key {
        "vatNumber" => number = r.text(key),
        _ => r.skip(),
    });
    let vat_number = number.required("vatNumber")?.chars().take(MAX_NUMBER).collect();
    payload(&Response { vat_number, status: "Rejected" })
}
