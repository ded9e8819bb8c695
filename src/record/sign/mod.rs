//! Signatures, keys and hashes: JWS, JWK and SHA-256, for texts of any meaning. Knows nothing of records.
//!
//! `hash` and `algorithm` stand alone; `jwk` builds on them, `key` on `jwk`, `jws` on all.

mod algorithm;
mod hash;
mod jwk;
mod jws;
mod key;

pub use algorithm::{Algorithm, SignError, Signer};
pub use hash::{Hash, HashError};
pub use jwk::{Jwk, JwkError, JwkSet};
pub use jws::{JwsError, MAX_JWS_BYTES};
pub use key::{KeyError, SigningKey};

pub(super) use jws::{compact, open, unverified_payload};
