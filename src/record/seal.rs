//! Sealing: a body gets its place in the chain, is checked, serialised once, and signed.

use std::fmt;

use uuid::Uuid;

use super::document::{Body, Header, Payload, PayloadError, SCHEMA, Stamp, TYP, check};
use super::sign::{self, Hash, MAX_JWS_BYTES, SignError, Signer};
use crate::units::{Finding, Time};

/// Where a record stands. The store's single writer hands these out, inside the transaction that keeps the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub site: String,
    pub epoch: u64,
    /// From 1.
    pub seq: u64,
    /// Hash of record `seq` - 1; `None` exactly for `seq` 1.
    pub prev: Option<Hash>,
    /// UUIDv7; also the CDR's id.
    pub record_id: Uuid,
    pub created_at: Time,
}

/// A finished record. `jws` is what is stored and published.
#[derive(Clone)]
pub struct Record {
    pub jws: String,
    /// Of the JWS text: `prev` of the next record, `root` of a receipt.
    pub hash: Hash,
    /// The signed text.
    pub text: String,
    /// The same, as it was read back before it was signed.
    pub payload: Payload,
}

/// The texts name the driver's token, so they are not shown.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header { kind, epoch, seq, record_id, .. } = &self.payload.header;
        write!(f, "Record({kind} {epoch}/{seq} {record_id} {})", self.hash)
    }
}

/// Why no record was made. All but `Sign` are our own mistakes: the session is to be held.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("record {seq} cannot stand there: {reason}")]
    Place { seq: u64, reason: &'static str },
    #[error("the record contradicts itself: {}", summary(.0))]
    Inconsistent(Vec<Finding>),
    #[error("the record would have {bytes} bytes, more than {MAX_JWS_BYTES}")]
    TooLarge { bytes: usize },
    #[error("the record cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    #[error("the record cannot be read back")]
    ReadBack(#[from] PayloadError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

fn summary(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{} ({})", finding.detail, finding.code)).collect::<Vec<_>>().join("; ")
}

impl Body {
    /// Serialises and signs. Nothing is signed that [`verify_one`](super::verify_one) would refuse.
    pub fn seal(mut self, place: &Place, signer: &dyn Signer) -> Result<Record, SealError> {
        if let Some(reason) = misplaced(place) {
            return Err(SealError::Place { seq: place.seq, reason });
        }
        let header = Header {
            schema: SCHEMA.to_owned(),
            kind: self.kind().to_owned(),
            site: place.site.clone(),
            epoch: place.epoch,
            seq: place.seq,
            prev: place.prev,
            record_id: place.record_id.to_string(),
            created_at: Stamp(place.created_at),
        };
        self.place(&header.record_id, place.created_at);
        let text = serde_json::to_string(&Payload { header, body: Some(self) }).map_err(SealError::Encode)?;
        // Judged as read back, not as built: what the text does not keep (microseconds, say) must not hide a contradiction.
        let payload = Payload::parse(&text)?;
        let contradictions = check::payload(&payload);
        if !contradictions.is_empty() {
            return Err(SealError::Inconsistent(contradictions));
        }
        let jws = sign::compact(&text, TYP, signer)?;
        if jws.len() > MAX_JWS_BYTES {
            return Err(SealError::TooLarge { bytes: jws.len() });
        }
        Ok(Record { hash: Hash::of(jws.as_bytes()), jws, text, payload })
    }
}

fn misplaced(place: &Place) -> Option<&'static str> {
    if place.site.is_empty() {
        return Some("no site id");
    }
    match (place.seq, place.prev) {
        (0, _) => Some("numbers start at 1"),
        (1, Some(_)) => Some("the first record of an epoch has no previous one"),
        (2.., None) => Some("the hash of the previous record is missing"),
        _ => None,
    }
}
