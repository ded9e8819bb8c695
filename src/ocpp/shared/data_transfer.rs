//! DataTransfer from a station (OCPP 1.6 §6.15, 2.0.1 P02). No vendor is known yet.

use serde::Serialize;

use crate::fact::{Answer, Fact, Refusal};
use crate::ocpp::answer::result;
use crate::ocpp::incoming::{Incoming, Kind};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::ocpp::message_id::MessageId;

pub(in crate::ocpp) const DATA_TRANSFER: Incoming = Incoming {
    action: "DataTransfer",
    kind: Kind::Message { decode, encode },
    examples: &[
        (r#"{"vendorId":"de.voltwerk","messageId":"m","data":{"x":1}}"#, r#"DataTransfer { vendor: "de.voltwerk" }"#),
        ("{}", "refused Missing: vendorId is required"),
    ],
};

fn decode(r: &mut PayloadReader<'_>) -> Result<Fact, Refusal> {
    let mut vendor = Field::Absent;
    r.object("DataTransfer", |r, key| match key {
        "vendorId" => vendor = r.text(key),
        _ => r.skip(),
    });
    Ok(Fact::DataTransfer { vendor: vendor.required("vendorId")?.into_owned() })
}

#[derive(Serialize)]
struct Response {
    status: &'static str,
}

fn encode(id: &MessageId<'_>, answer: &Answer) -> Option<String> {
    let Answer::UnknownVendor = answer else { return None };
    result(id, &Response { status: "UnknownVendorId" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_vendor_is_told_so() {
        assert_eq!(DATA_TRANSFER.answer(&Answer::UnknownVendor), r#"{"status":"UnknownVendorId"}"#);
    }
}
