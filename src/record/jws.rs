//! JWS compact serialisation (RFC 7515 §3.1, §7.1): `BASE64URL(header) . BASE64URL(payload) . BASE64URL(signature)`.
//!
//! Base64url is read strictly (no padding, no white space, no spare bits), so that one record has one text and one hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::key::{Algorithm, SignError, Signer};

/// Longest JWS text made or read. A session of a week with minute samples that all start a period stays below 3 MiB.
pub const MAX_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// Media type of a record's JWS, in its protected header.
pub const TYP: &str = "forecourt-record+json";

#[derive(Serialize)]
struct Header<'a> {
    alg: Algorithm,
    kid: &'a str,
    typ: &'a str,
}

/// The protected header as found. `crit` is looked at only to refuse it: we know no extension (RFC 7515 §4.1.11).
#[derive(Deserialize)]
pub(super) struct ReadHeader {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
    #[serde(default)]
    pub(super) crit: Option<Box<RawValue>>,
}

/// A JWS taken apart; nothing in it is to be believed before the signature is checked.
pub(super) struct Parts<'a> {
    pub(super) header: ReadHeader,
    pub(super) payload: Vec<u8>,
    /// `header.payload`, the bytes under the signature.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    TooLarge,
    /// Not three parts.
    Shape,
    /// The named part is not strict base64url.
    Base64(&'static str),
    /// Not a JSON object with `alg`, or a member twice.
    Header(String),
}

pub(super) fn compact(payload: &str, signer: &dyn Signer) -> Result<String, SignError> {
    let header = Header { alg: signer.alg(), kid: signer.kid(), typ: TYP };
    let header = serde_json::to_string(&header).map_err(|error| SignError(error.to_string()))?;
    let mut jws = URL_SAFE_NO_PAD.encode(header);
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut jws);
    let signature = signer.sign(jws.as_bytes())?;
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
    Ok(jws)
}

pub(super) fn split(jws: &str) -> Result<Parts<'_>, Malformed> {
    if jws.len() > MAX_RECORD_BYTES {
        return Err(Malformed::TooLarge);
    }
    let (signed, signature) = jws.rsplit_once('.').ok_or(Malformed::Shape)?;
    let (header, payload) = signed.split_once('.').filter(|(_, payload)| !payload.contains('.')).ok_or(Malformed::Shape)?;
    let decode = |part: &str, name| URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::Base64(name));
    let header = serde_json::from_slice(&decode(header, "header")?).map_err(|error| Malformed::Header(error.to_string()))?;
    Ok(Parts { header, payload: decode(payload, "payload")?, signed, signature: decode(signature, "signature")? })
}
