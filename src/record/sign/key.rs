//! Signing keys. Text in, text out: reading and writing the file is the caller's.
//!
//! ES256 (RFC 7518 §3.4): ECDSA on P-256 with SHA-256, signature as r and s of 32 bytes each. The private key is PKCS#8
//! (RFC 5208) in PEM, as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` writes it. The `kid` is the
//! RFC 7638 thumbprint of the public key, so that a key has one name everywhere.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::algorithm::{Algorithm, SignError, Signer};
use super::jwk::Jwk;

/// Why a PEM text is not a usable signing key. Each text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "no PEM key found: expected a line \"-----BEGIN PRIVATE KEY-----\" \
             (make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out KEY.pem)"
    )]
    NotPem,
    #[error(
        "the key is in the old SEC1 form (\"BEGIN EC PRIVATE KEY\"); convert it to PKCS#8: \
             openssl pkcs8 -topk8 -nocrypt -in KEY.pem -out KEY.pk8.pem"
    )]
    Sec1,
    #[error(
        "the key is encrypted; decrypt it and protect the file by its mode 0600 instead: \
             openssl pkey -in KEY.pem -out KEY.plain.pem"
    )]
    Encrypted,
    #[error("this is \"{0}\", not a private key (expected \"BEGIN PRIVATE KEY\")")]
    NotPrivate(String),
    #[error("the PEM text is damaged: no END line, or not base64 between BEGIN and END")]
    Damaged,
    #[error(
        "the key is not an EC key on curve P-256, which ES256 needs \
             (make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out KEY.pem)"
    )]
    WrongCurve,
    #[error(
        "the key is not usable: {0} \
             (PKCS#8 version 1 with the public key inside is expected; rewrite it: openssl pkey -in KEY.pem -out KEY.new.pem)"
    )]
    Rejected(String),
    #[error("no random numbers to make a key from")]
    Random,
}

/// An ES256 key in memory. `Debug` shows the `kid` and nothing else.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    jwk: Jwk,
    random: SystemRandom,
}

impl SigningKey {
    /// A new key, and the PEM text to keep.
    pub fn generate() -> Result<(Self, String), KeyError> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| KeyError::Random)?;
        let key = Self::from_der(document.as_ref())?;
        Ok((key, pem(document.as_ref())))
    }

    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        Self::from_der(&private_key_der(text)?)
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        // ring's own refusals do not tell a wrong curve from a damaged key.
        if !der.windows(P256_OID.len()).any(|window| window == P256_OID) {
            return Err(KeyError::WrongCurve);
        }
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
            .map_err(|rejected| KeyError::Rejected(rejected.to_string()))?;
        let jwk = Jwk::from_point(pair.public_key().as_ref())
            .ok_or_else(|| KeyError::Rejected("its public key is not an uncompressed point".to_owned()))?;
        Ok(Self { pair, jwk, random })
    }

    /// The public half.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }
}

impl Signer for SigningKey {
    fn kid(&self) -> &str {
        self.jwk.kid()
    }

    fn alg(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.pair.sign(&self.random, bytes).map_err(|_| SignError("the random source failed".to_owned()))?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.jwk.kid())
    }
}

/// DER of the object identifier prime256v1, 1.2.840.10045.3.1.7 (RFC 5480 §2.1.1.1).
const P256_OID: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// The first PEM block that could be a private key (RFC 7468); `EC PARAMETERS`, which openssl writes before one, is passed over.
fn private_key_der(text: &str) -> Result<Vec<u8>, KeyError> {
    let mut rest = text;
    let mut other = None;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").ok_or(KeyError::Damaged)?;
        match label {
            "PRIVATE KEY" => {
                let (body, _) = after.split_once("-----END PRIVATE KEY-----").ok_or(KeyError::Damaged)?;
                let packed: String = body.split_ascii_whitespace().collect();
                return STANDARD.decode(packed).map_err(|_| KeyError::Damaged);
            }
            "EC PRIVATE KEY" => return Err(KeyError::Sec1),
            "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
            "RSA PRIVATE KEY" => return Err(KeyError::WrongCurve),
            "EC PARAMETERS" => {}
            label => other = Some(label.chars().take(40).collect()),
        }
        rest = after;
    }
    Err(other.map_or(KeyError::NotPem, KeyError::NotPrivate))
}

fn pem(der: &[u8]) -> String {
    let packed = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = packed.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII: any byte index is a character boundary.
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 ; thumbprint by: jose jwk thp
    const OPENSSL: &str = include_str!("../golden/test-only-p256.pem");
    const OPENSSL_KID: &str = "n1QJbDB7-SMe9eBEGoIWVbuLFUKBde5YL9YkxZiKlSk";

    #[test]
    fn an_openssl_key_is_read_and_named_as_jose_names_it() {
        let key = SigningKey::from_pem(OPENSSL).expect("openssl key");
        assert_eq!(key.kid(), OPENSSL_KID);
        assert_eq!(format!("{key:?}"), format!("SigningKey({OPENSSL_KID})"));
    }

    #[test]
    fn a_new_key_survives_its_own_text() {
        let (key, text) = SigningKey::generate().expect("key");
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(SigningKey::from_pem(&text).expect("read").jwk(), key.jwk());
    }

    #[test]
    fn other_texts_are_refused_with_what_to_do() {
        let sec1 = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\nMHc=\n";
        let error = SigningKey::from_pem(sec1).expect_err("SEC1");
        assert!(error.to_string().contains("openssl pkcs8 -topk8 -nocrypt"), "{error}");
        let cases = [
            ("", KeyError::NotPem),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", KeyError::Encrypted),
            ("-----BEGIN RSA PRIVATE KEY-----\n", KeyError::WrongCurve),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", KeyError::NotPrivate("PUBLIC KEY".to_owned())),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n", KeyError::Damaged),
            ("-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n", KeyError::Damaged),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", KeyError::WrongCurve),
        ];
        for (text, expected) in cases {
            assert_eq!(SigningKey::from_pem(text).expect_err(text), expected, "{text}");
        }
        let damaged = OPENSSL.replacen("MIGH", "MIGG", 1);
        assert!(matches!(SigningKey::from_pem(&damaged), Err(KeyError::Rejected(_))));
    }
}
