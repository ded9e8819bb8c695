//! Billing records: check, sign, verify, and walk the chain they form. Pure.
//!
//! ```text
//! Body ──seal(Place, Signer)──▶ Record { jws, hash, text, payload }
//!                                 │ stored, published and read back as these very bytes
//!  JwkSet ──▶ verify_one(jws) ◀───┘         Chain::feed(jws), in order
//! ```
//! `document` is what stands in a record (one type per kind), `sign` the cryptography; `seal`, `verify` and `chain` join them.
//!
//! Invariants:
//! - The payload is serialised once; what is signed is what is stored is what is published. Nothing here re-serialises a record
//!   in order to check it.
//! - [`Body::seal`] runs the arithmetic of [`verify_one`] before it signs: a record that would be refused is never made.
//! - `prev` of record n+1 is the SHA-256 of the JWS text of record n; `seq` starts at 1 in every epoch and has no gaps.
//! - Decimals are exact: JSON numbers with their own digits inside `cdr`, strings everywhere else; never a binary float.
//! - A driver's token is in `cdr.cdr_token.uid`, because head office bills by it, and nowhere else; a PIN is nowhere; `Debug` never shows it.
//!
//! Not here: files, clocks, sequence numbers and record ids (the caller brings them), delivery, and whether the price is
//! the right one: arithmetic is checked against the record itself, not against a second rating.
//!
//! The only randomness is the nonce of an ECDSA signature, drawn inside `ring`. Sealing one body twice therefore gives two
//! different records; the store's commit decides which one exists.
//!
//! Limits: a JWS of 8 MiB ([`MAX_JWS_BYTES`]), 256 keys in a set, 1,024 recent records remembered by a [`Chain`].

mod chain;
mod document;
mod seal;
mod sign;
mod verify;

#[cfg(test)]
pub(crate) mod examples;
#[cfg(test)]
mod tests;

pub use chain::{Chain, Examined, Head, Problem, Severity, Step, Summary, examine};
pub use document::{
    BillLine, Body, Cdr, CdrLocation, CdrPrice, CdrToken, ChargeBody, ChargingPeriod, Corrects, GatewayChange, Header,
    LinePeriod, Meter, NOT_AVAILABLE, Number, PRICE_LIMIT, Payload, PayloadError, PeriodDimension, Quoted, Rating, SCHEMA,
    SessionFacts, SignedData, SignedEntry, SignedValue, Stamp, hours, tariff_hash,
};
pub use seal::{Place, Record, SealError};
pub use sign::{
    Algorithm, Hash, HashError, Jwk, JwkError, JwkSet, JwsError, KeyError, MAX_JWS_BYTES, SignError, Signer, SigningKey,
};
pub use verify::{Verified, VerifyError, open, verify_one};
