//! Verifying one record as an outsider would: only its text and a set of public keys.
//!
//! ```text
//! text ─ size, three parts ─ base64url ─ header (alg, crit, typ, kid) ─ signature ─ schema, structure ─ arithmetic
//!        └─────────────────────────────── open ──────────────────────────────────────────────────┘
//!        └─────────────────────────────── verify_one ────────────────────────────────────────────────────────┘
//! ```
//! The first half is `sign::open`.

use std::fmt;

use serde::Deserialize;

use super::document::{Header, Payload, PayloadError, TYP, check};
use super::sign::{self, Hash, JwkSet, JwsError};
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
        let Header { kind, epoch, seq, .. } = &self.payload.header;
        write!(f, "Verified({kind} {epoch}/{seq} {})", self.hash)
    }
}

/// Why a record is refused. `Display` is a sentence for a person, [`VerifyError::code`] is for programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Jws(#[from] JwsError),
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error("signed, but it contradicts itself: {}", details(.0))]
    Arithmetic(Vec<Finding>),
}

fn details(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.detail.as_str()).collect::<Vec<_>>().join("; ")
}

impl VerifyError {
    /// Stable. A contradiction goes by the code of its first finding (see the table in `document/check.rs`).
    pub fn code(&self) -> &str {
        match self {
            Self::Jws(error) => error.code(),
            Self::Payload(error) => error.code(),
            Self::Arithmetic(findings) => findings.first().map_or("arithmetic", |finding| finding.code.as_ref()),
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
    let (kid, payload) = sign::open(jws, TYP, keys)?;
    let text = String::from_utf8(payload).map_err(|_| PayloadError::Unreadable("not UTF-8".to_owned()))?;
    let payload = Payload::parse(&text)?;
    Ok(Verified { kid, hash: Hash::of(jws.as_bytes()), text, payload })
}

/// What an unauthenticated record says about its own place: enough to go on looking for what else is wrong with a chain.
pub(super) fn claimed_place(jws: &str) -> Option<(u64, u64, Option<Hash>)> {
    #[derive(Deserialize)]
    struct Claim {
        epoch: u64,
        seq: u64,
        prev: Option<Hash>,
    }
    let Claim { epoch, seq, prev } = serde_json::from_slice(&sign::unverified_payload(jws)?).ok()?;
    Some((epoch, seq, prev))
}
