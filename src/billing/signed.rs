//! From a signed meter value as the station sent it to OCPI's `signed_data` (OCPI 2.2.1 cdrs, SignedData, SignedValue).
//!
//! Stations send either the meter's own text (1.6) or an object around it in base64 (2.x `signedMeterValue`; some 1.6 stations
//! put the same object into the string, a few with the key `signedMeterValue`). OCPI wants the meter's text, once plain
//! and once in base64, and one encoding for all. What does not fit stays in the record's `meter.signed`, whole, with a finding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::fact::Context;
use crate::record::{SignedData, SignedValue};
use crate::session::metering::Signed;
use crate::units::Finding;

/// OCPI 2.2.1: SignedValue.signed_data is a string(5000). The plain text is shorter by a quarter.
const MAX_SIGNED_DATA: usize = 5000;
const MAX_PUBLIC_KEY: usize = 512;

/// One value taken out of its wrapping.
struct Unwrapped {
    encoding: String,
    plain: String,
    base64: String,
    public_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wrapping {
    #[serde(alias = "signedMeterValue")]
    signed_meter_data: String,
    encoding_method: Option<String>,
    public_key: Option<String>,
}

/// When in the session a signed value was taken (OCPI 2.2.1 cdrs, SignedValue.nature).
pub(super) const fn nature(context: &Context) -> &'static str {
    match context {
        Context::TransactionBegin => "Start",
        Context::TransactionEnd => "End",
        _ => "Intermediate",
    }
}

/// The encoding that signed data goes by: what the wrapping says, else what the data looks like.
pub(super) fn encoding(data: &str) -> String {
    unwrap(data).encoding
}

fn unwrap(data: &str) -> Unwrapped {
    let wrapping = match data.trim_start().starts_with('{') {
        true => serde_json::from_str::<Wrapping>(data).ok(),
        false => None,
    };
    let Some(wrapping) = wrapping else {
        return Unwrapped {
            encoding: look(data).to_owned(),
            plain: data.to_owned(),
            base64: STANDARD.encode(data),
            public_key: None,
        };
    };
    // Some stations put the meter's text into the field as it is, without base64.
    let decoded = STANDARD.decode(&wrapping.signed_meter_data).ok();
    let (plain, base64) = match decoded {
        Some(bytes) => (String::from_utf8(bytes).ok(), wrapping.signed_meter_data),
        None => (Some(wrapping.signed_meter_data.clone()), STANDARD.encode(&wrapping.signed_meter_data)),
    };
    // A binary format (SML) has no plain text but its base64.
    let plain = plain.unwrap_or_else(|| base64.clone());
    let stated = wrapping.encoding_method.filter(|name| !name.is_empty());
    let encoding = stated.unwrap_or_else(|| look(&plain).to_owned());
    let public_key = wrapping.public_key.filter(|key| !key.is_empty());
    Unwrapped { encoding, plain, base64, public_key }
}

fn look(text: &str) -> &'static str {
    let text = text.trim_start();
    if text.starts_with("OCMF|") {
        "OCMF"
    } else if text.starts_with("AP;") {
        "Alfen Eichrecht"
    } else {
        "unknown"
    }
}

/// `None` when no reading fits into a CDR.
pub(super) fn to_ocpi(readings: &[Signed], findings: &mut Vec<Finding>) -> Option<SignedData> {
    let mut data: Option<SignedData> = None;
    for reading in readings {
        let Unwrapped { encoding, plain, base64, public_key } = unwrap(&reading.data);
        let nature = nature(&reading.context);
        if base64.len() > MAX_SIGNED_DATA {
            let detail = format!("{nature} value: {} characters in base64, OCPI allows {MAX_SIGNED_DATA}", base64.len());
            findings.push(Finding::new("signed-value-too-long", detail));
            continue;
        }
        let data = data.get_or_insert_with(|| SignedData {
            encoding_method: encoding.clone(),
            public_key: None,
            signed_values: Vec::new(),
        });
        if data.encoding_method != encoding {
            let detail = format!("{nature} value: {encoding} beside {}, OCPI allows one encoding", data.encoding_method);
            findings.push(Finding::new("signed-encoding-mixed", detail));
            continue;
        }
        if data.public_key.is_none() {
            data.public_key = public_key.filter(|key| key.len() <= MAX_PUBLIC_KEY);
        }
        data.signed_values.push(SignedValue { nature: nature.to_owned(), plain_data: plain, signed_data: base64 });
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(context: Context, data: &str) -> Signed {
        Signed { at: crate::units::time::from_millis(0), context, data: data.to_owned() }
    }

    #[test]
    fn bare_and_wrapped_values_come_out_alike() {
        let bare = reading(Context::TransactionBegin, "OCMF|{}|{}");
        let wrapped = reading(
            Context::TransactionEnd,
            r#"{"signedMeterData":"T0NNRnx7fXx7fQ==","signingMethod":"","encodingMethod":"OCMF","publicKey":"a2V5"}"#,
        );
        let mut findings = Vec::new();
        let data = to_ocpi(&[bare, wrapped], &mut findings).expect("signed data");
        assert_eq!(findings, []);
        assert_eq!((data.encoding_method.as_str(), data.public_key.as_deref()), ("OCMF", Some("a2V5")));
        for value in &data.signed_values {
            assert_eq!((value.plain_data.as_str(), value.signed_data.as_str()), ("OCMF|{}|{}", "T0NNRnx7fXx7fQ=="));
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let long = reading(Context::TransactionBegin, &format!("OCMF|{}", "x".repeat(5000)));
        let other = reading(Context::TransactionEnd, "AP;0;3;");
        let first = reading(Context::TransactionBegin, "OCMF|a");
        let mut findings = Vec::new();
        let data = to_ocpi(&[long, first, other], &mut findings).expect("signed data");
        assert_eq!(data.signed_values.len(), 1);
        let codes: Vec<&str> = findings.iter().map(|finding| finding.code.as_ref()).collect();
        assert_eq!(codes, ["signed-value-too-long", "signed-encoding-mixed"]);
        assert!(to_ocpi(&[], &mut findings).is_none());
    }
}
