//! Verifying one record as an outsider would: only its text and a set of public keys.
//!
//! ```text
//! text ─ size, three parts ─ base64url ─ header (alg, crit, typ, kid) ─ signature ─ schema, structure ─ arithmetic
//!        └─────────────────────────────── open ──────────────────────────────────────────────────┘
//!        └─────────────────────────────── verify_one ────────────────────────────────────────────────────────┘
//! ```
//! The algorithm is never chosen by the record: it must be on our list and be that of the key its `kid` names
//! (RFC 8725 §3.1). Keys inside a header (`jwk`, `x5c`) are ignored.

use std::fmt;

use serde::Deserialize;
use uuid::Uuid;

use super::check;
use super::hash::Hash;
use super::jwk::JwkSet;
use super::jws::{self, MAX_RECORD_BYTES, Malformed, Parts, TYP};
use super::key::Algorithm;
use super::payload::{Payload, SCHEMA};
use crate::units::Finding;

/// A record whose signature holds and whose payload has the right shape.
#[derive(Clone)]
pub struct Verified {
    pub kid: String,
    /// Of the JWS text.
    pub hash: Hash,
    /// The signed text, to be shown or searched; never to be serialised again from `payload`.
    pub text: String,
    pub payload: Payload,
}

/// The text names the driver's token, so it is not shown.
impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verified({} {}/{} {})", self.payload.kind, self.payload.epoch, self.payload.seq, self.hash)
    }
}

/// Why a record is refused. `Display` is a sentence for a person, [`VerifyError::code`] is for programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("longer than {MAX_RECORD_BYTES} bytes")]
    TooLarge,
    #[error("not a JWS in compact form: three parts with dots between them are expected")]
    NotJws,
    #[error("the {0} is not base64url without padding")]
    Base64(&'static str),
    #[error("the protected header cannot be read: {0}")]
    Header(String),
    #[error("algorithm \"{0}\" is not allowed, only ES256 is")]
    AlgorithmRefused(String),
    #[error("the header demands extensions (crit) that we do not know")]
    Critical,
    #[error("type \"{0}\" is not {TYP}")]
    Type(String),
    #[error("the header names no key")]
    KidMissing,
    #[error("key {0} is not in the key set")]
    KidUnknown(String),
    #[error("the signature does not match: the record was altered after signing, or signed by another key under the same name")]
    Signature,
    #[error("schema \"{0}\" is not {SCHEMA}: a newer program may read it")]
    Schema(String),
    #[error("the payload cannot be read: {0}")]
    Payload(String),
    #[error("signed, but it contradicts itself: {}", details(.0))]
    Arithmetic(Vec<Finding>),
}

fn details(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.detail.as_str()).collect::<Vec<_>>().join("; ")
}

impl VerifyError {
    /// Stable. A contradiction goes by the code of its first finding (see the table in `check.rs`).
    pub fn code(&self) -> &str {
        match self {
            Self::TooLarge => "record-too-large",
            Self::NotJws => "jws-shape",
            Self::Base64(_) => "jws-base64",
            Self::Header(_) => "header-unreadable",
            Self::AlgorithmRefused(_) => "alg-refused",
            Self::Critical => "crit-refused",
            Self::Type(_) => "typ-refused",
            Self::KidMissing => "kid-missing",
            Self::KidUnknown(_) => "kid-unknown",
            Self::Signature => "signature-invalid",
            Self::Schema(_) => "schema-unknown",
            Self::Payload(_) => "payload-unreadable",
            Self::Arithmetic(findings) => findings.first().map_or("arithmetic", |finding| finding.code.as_ref()),
        }
    }
}

impl From<Malformed> for VerifyError {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::TooLarge => Self::TooLarge,
            Malformed::Shape => Self::NotJws,
            Malformed::Base64(part) => Self::Base64(part),
            Malformed::Header(reason) => Self::Header(reason),
        }
    }
}

/// Signature, structure and arithmetic.
pub fn verify_one(jws: &str, keys: &JwkSet) -> Result<Verified, VerifyError> {
    let verified = open(jws, keys)?;
    let contradictions = check::payload(&verified.payload);
    if contradictions.is_empty() { Ok(verified) } else { Err(VerifyError::Arithmetic(contradictions)) }
}

/// Signature and structure only: for showing a record, and for those who judge its arithmetic themselves.
pub fn open(jws: &str, keys: &JwkSet) -> Result<Verified, VerifyError> {
    let parts = jws::split(jws)?;
    let kid = authenticate(&parts, keys)?;
    let text = String::from_utf8(parts.payload).map_err(|_| VerifyError::Payload("not UTF-8".to_owned()))?;
    let payload = read(&text)?;
    Ok(Verified { kid, hash: Hash::of(jws.as_bytes()), text, payload })
}

fn authenticate(parts: &Parts<'_>, keys: &JwkSet) -> Result<String, VerifyError> {
    let header = &parts.header;
    let Some(algorithm) = Algorithm::from_name(&header.alg) else {
        return Err(VerifyError::AlgorithmRefused(header.alg.chars().take(40).collect()));
    };
    if header.crit.is_some() {
        return Err(VerifyError::Critical);
    }
    if header.typ.as_deref() != Some(TYP) {
        return Err(VerifyError::Type(header.typ.iter().flat_map(|typ| typ.chars()).take(40).collect()));
    }
    let kid = header.kid.as_deref().ok_or(VerifyError::KidMissing)?;
    let key = keys.find(kid).filter(|key| key.alg() == algorithm);
    let key = key.ok_or_else(|| VerifyError::KidUnknown(kid.chars().take(80).collect()))?;
    if !key.verifies(parts.signed.as_bytes(), &parts.signature) {
        return Err(VerifyError::Signature);
    }
    Ok(kid.to_owned())
}

pub(super) fn read(text: &str) -> Result<Payload, VerifyError> {
    #[derive(Deserialize)]
    struct Schema {
        schema: String,
    }
    let unreadable = |error: serde_json::Error| VerifyError::Payload(error.to_string());
    let Schema { schema } = serde_json::from_str(text).map_err(unreadable)?;
    if schema != SCHEMA {
        return Err(VerifyError::Schema(schema.chars().take(40).collect()));
    }
    let payload: Payload = serde_json::from_str(text).map_err(unreadable)?;
    if Uuid::try_parse(&payload.record_id).is_err() {
        return Err(VerifyError::Payload(format!("record_id {} is not a UUID", payload.record_id)));
    }
    if payload.seq == 0 || payload.site.is_empty() {
        return Err(VerifyError::Payload("seq starts at 1 and site is not empty".to_owned()));
    }
    Ok(payload)
}

/// What an unauthenticated record says about its own place: enough to go on looking for what else is wrong with a chain.
pub(super) fn claimed_place(jws: &str) -> Option<(u64, u64, Option<Hash>)> {
    #[derive(Deserialize)]
    struct Claim {
        epoch: u64,
        seq: u64,
        prev: Option<Hash>,
    }
    let parts = jws::split(jws).ok()?;
    let Claim { epoch, seq, prev } = serde_json::from_slice(&parts.payload).ok()?;
    Some((epoch, seq, prev))
}
