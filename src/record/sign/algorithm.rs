//! What signs, whatever holds the private key, and by which algorithms.

use serde::{Serialize, Serializer};

/// Signature algorithms that are made and believed: the allow-list. A new one is one entry here, one in `key.rs`, one in `jwk.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Es256,
}

impl Algorithm {
    pub const ALL: [Self; 1] = [Self::Es256];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Whatever holds the private key: a file, a TPM, a test.
pub trait Signer {
    fn kid(&self) -> &str;
    fn alg(&self) -> Algorithm;
    /// The signature in its JWS form (ES256: 64 bytes).
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SignError>;
}

#[derive(Debug, thiserror::Error)]
#[error("cannot sign: {0}")]
pub struct SignError(pub String);
