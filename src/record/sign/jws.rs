//! JWS compact serialisation (RFC 7515 §3.1, §7.1): `BASE64URL(header) . BASE64URL(payload) . BASE64URL(signature)`.
//!
//! Base64url is read strictly (no padding, no white space, no spare bits), so that one record has one text and one hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::algorithm::{Algorithm, SignError, Signer};
use super::jwk::JwkSet;

/// Longest JWS text made or read. The record of a week with minute samples that all start a period stays below 3 MiB.
pub const MAX_JWS_BYTES: usize = 8 * 1024 * 1024;

#[derive(Serialize)]
struct Header<'a> {
    alg: Algorithm,
    kid: &'a str,
    typ: &'a str,
}

/// The protected header as found. `crit` is looked at only to refuse it: we know no extension (RFC 7515 §4.1.11).
#[derive(Deserialize)]
struct ReadHeader {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default)]
    crit: Option<Box<RawValue>>,
}

/// A JWS taken apart; nothing in it is to be believed before the signature is checked.
struct Parts<'a> {
    header: ReadHeader,
    payload: Vec<u8>,
    /// `header.payload`, the bytes under the signature.
    signed: &'a str,
    signature: Vec<u8>,
}

/// Why a JWS is refused. `Display` is a sentence for a person, [`JwsError::code`] is for programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    #[error("longer than {MAX_JWS_BYTES} bytes")]
    TooLarge,
    #[error("not a JWS in compact form: three parts with dots between them are expected")]
    Shape,
    /// The named part is not strict base64url.
    #[error("the {0} is not base64url without padding")]
    Base64(&'static str),
    /// Not a JSON object with `alg`, or a member twice.
    #[error("the protected header cannot be read: {0}")]
    Header(String),
    #[error("algorithm \"{0}\" is not allowed, only ES256 is")]
    AlgorithmRefused(String),
    #[error("the header demands extensions (crit) that we do not know")]
    Critical,
    #[error("type \"{found}\" is not {wanted}")]
    Type { found: String, wanted: &'static str },
    #[error("the header names no key")]
    KidMissing,
    #[error("key {0} is not in the key set")]
    KidUnknown(String),
    #[error("the signature does not match: the record was altered after signing, or signed by another key under the same name")]
    Signature,
}

impl JwsError {
    /// Stable.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "record-too-large",
            Self::Shape => "jws-shape",
            Self::Base64(_) => "jws-base64",
            Self::Header(_) => "header-unreadable",
            Self::AlgorithmRefused(_) => "alg-refused",
            Self::Critical => "crit-refused",
            Self::Type { .. } => "typ-refused",
            Self::KidMissing => "kid-missing",
            Self::KidUnknown(_) => "kid-unknown",
            Self::Signature => "signature-invalid",
        }
    }
}

/// `typ` is the media type of what is signed.
pub fn compact(payload: &str, typ: &str, signer: &dyn Signer) -> Result<String, SignError> {
    let header = Header { alg: signer.alg(), kid: signer.kid(), typ };
    let header = serde_json::to_string(&header).map_err(|error| SignError(error.to_string()))?;
    let mut jws = URL_SAFE_NO_PAD.encode(header);
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut jws);
    let signature = signer.sign(jws.as_bytes())?;
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
    Ok(jws)
}

/// Name of the key and payload, once the signature holds. The algorithm is never chosen by the text: it must be on our list and
/// be that of the key its `kid` names (RFC 8725 §3.1). Keys inside the header (`jwk`, `x5c`) are ignored.
pub fn open(jws: &str, typ: &'static str, keys: &JwkSet) -> Result<(String, Vec<u8>), JwsError> {
    let Parts { header, payload, signed, signature } = split(jws)?;
    let Some(algorithm) = Algorithm::from_name(&header.alg) else {
        return Err(JwsError::AlgorithmRefused(header.alg.chars().take(40).collect()));
    };
    if header.crit.is_some() {
        return Err(JwsError::Critical);
    }
    if header.typ.as_deref() != Some(typ) {
        let found = header.typ.iter().flat_map(|typ| typ.chars()).take(40).collect();
        return Err(JwsError::Type { found, wanted: typ });
    }
    let kid = header.kid.ok_or(JwsError::KidMissing)?;
    let key = keys.find(&kid).filter(|key| key.alg() == algorithm);
    let key = key.ok_or_else(|| JwsError::KidUnknown(kid.chars().take(80).collect()))?;
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(JwsError::Signature);
    }
    Ok((kid, payload))
}

/// What stands in a JWS that nobody has verified.
pub fn unverified_payload(jws: &str) -> Option<Vec<u8>> {
    split(jws).ok().map(|parts| parts.payload)
}

fn split(jws: &str) -> Result<Parts<'_>, JwsError> {
    if jws.len() > MAX_JWS_BYTES {
        return Err(JwsError::TooLarge);
    }
    let (signed, signature) = jws.rsplit_once('.').ok_or(JwsError::Shape)?;
    let (header, payload) = signed.split_once('.').filter(|(_, payload)| !payload.contains('.')).ok_or(JwsError::Shape)?;
    let decode = |part: &str, name| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Base64(name));
    let header = serde_json::from_slice(&decode(header, "header")?).map_err(|error| JwsError::Header(error.to_string()))?;
    Ok(Parts { header, payload: decode(payload, "payload")?, signed, signature: decode(signature, "signature")? })
}
