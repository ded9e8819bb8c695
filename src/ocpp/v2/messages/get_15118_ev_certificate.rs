//! Get15118EVCertificate (OCPP 2.0.1 M01, M02). There is no provider of contract certificates to ask; the EXI answer for the vehicle
//! is a required text, and there is none.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::fact::Refusal;
use crate::ocpp::incoming::{Incoming, noted, payload};
use crate::ocpp::lenient::PayloadReader;
use crate::units::Time;

pub(super) const GET_15118_EV_CERTIFICATE: Incoming = noted("Get15118EVCertificate", reply);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status: &'static str,
    exi_response: &'static str,
}

fn reply(_: &mut PayloadReader<'_>, _: Time) -> Result<Box<RawValue>, Refusal> {
    payload(&Response { status: "Failed", exi_response: "" })
}
