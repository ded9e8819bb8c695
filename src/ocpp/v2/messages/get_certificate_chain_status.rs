//! GetCertificateChainStatus (OCPP 2.1 M07). Neither OCSP nor revocation lists are asked, so nothing is known of any certificate; the
//! answer repeats which ones were asked about, and the station may ask again in a day.
//!
//! Limit: the first four certificates are answered, more the standard does not allow.

use chrono::TimeDelta;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::fact::{Refusal, RefusalKind};
use crate::ocpp::incoming::{Incoming, Kind, payload};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::units::Time;
use crate::units::time::rfc3339_seconds;

const MAX_CERTIFICATES: usize = 4;
const ASK_AGAIN: TimeDelta = TimeDelta::days(1);

pub(super) const GET_CERTIFICATE_CHAIN_STATUS: Incoming = Incoming {
    action: "GetCertificateChainStatus",
    kind: Kind::Noted(reply),
    examples: &[
        (
            r#"{"certificateStatusRequests":[{"source":"OCSP","urls":["http://ocsp"],"certificateHashData":{"hashAlgorithm":"SHA256","issuerNameHash":"a","issuerKeyHash":"b","serialNumber":"1","customData":{"vendorId":"x"}}}]}"#,
            r#"Noted {"certificateStatus":[{"certificateHashData":{"hashAlgorithm":"SHA256","issuerNameHash":"a","issuerKeyHash":"b","serialNumber":"1"},"source":"OCSP","status":"Failed","nextUpdate":"2026-11-22T13:07:00Z"}]}"#,
        ),
        (r#"{"certificateStatusRequests":[{"source":"OCSP"}]}"#, "refused Missing: certificateHashData is required"),
        ("{}", "refused Missing: certificateStatusRequests is required"),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    certificate_status: Vec<CertificateStatus>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateStatus {
    certificate_hash_data: HashData,
    source: String,
    status: &'static str,
    next_update: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HashData {
    hash_algorithm: String,
    issuer_name_hash: String,
    issuer_key_hash: String,
    serial_number: String,
}

fn reply(r: &mut PayloadReader<'_>, now: Time) -> Result<Box<RawValue>, Refusal> {
    let next_update = rfc3339_seconds(now + ASK_AGAIN);
    let mut asked = Vec::new();
    r.object("GetCertificateChainStatus", |r, key| match key {
        "certificateStatusRequests" => r.list(key, |r| {
            let certificate = certificate(r, &next_update);
            if asked.len() < MAX_CERTIFICATES {
                asked.push(certificate);
            }
        }),
        _ => r.skip(),
    });
    if asked.is_empty() {
        let text = "certificateStatusRequests is required".to_owned();
        return Err(Refusal { kind: RefusalKind::Missing, text });
    }
    payload(&Response { certificate_status: asked.into_iter().collect::<Result<_, _>>()? })
}

fn certificate(r: &mut PayloadReader<'_>, next_update: &str) -> Result<CertificateStatus, Refusal> {
    let (mut hash_data, mut source) = (Field::Absent, Field::Absent);
    r.object("certificateStatusRequests", |r, key| match key {
        "source" => source = r.text(key),
        "certificateHashData" => hash_data = Field::Read(certificate_hash_data(r)),
        _ => r.skip(),
    });
    Ok(CertificateStatus {
        certificate_hash_data: hash_data.required("certificateHashData")??,
        source: source.required("source")?.into_owned(),
        status: "Failed",
        next_update: next_update.to_owned(),
    })
}

fn certificate_hash_data(r: &mut PayloadReader<'_>) -> Result<HashData, Refusal> {
    let (mut algorithm, mut name, mut key_hash, mut number) = (Field::Absent, Field::Absent, Field::Absent, Field::Absent);
    r.object("certificateHashData", |r, key| match key {
        "hashAlgorithm" => algorithm = r.text(key),
        "issuerNameHash" => name = r.text(key),
        "issuerKeyHash" => key_hash = r.text(key),
        "serialNumber" => number = r.text(key),
        _ => r.skip(),
    });
    Ok(HashData {
        hash_algorithm: algorithm.required("hashAlgorithm")?.into_owned(),
        issuer_name_hash: name.required("issuerNameHash")?.into_owned(),
        issuer_key_hash: key_hash.required("issuerKeyHash")?.into_owned(),
        serial_number: number.required("serialNumber")?.into_owned(),
    })
}
