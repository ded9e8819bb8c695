//! JWS compact serialization (RFC 7515) with ES256 (RFC 7518, 3.4), JWK (RFC 7517) and its thumbprint (RFC 7638).
//! A second implementation on purpose: the crate, the base64url and the header checks differ from the daemon's.
//!
//! Only what a record may be is accepted: alg ES256, typ `forecourt-record+json`, a kid that is the thumbprint of the key,
//! and nothing the verifier would have to understand (`crit`). Limits: 256 KiB a record, 32 keys a site.

use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier};
use sha2::{Digest, Sha256};

use super::json;
use crate::base64::{decode_url, encode_url};

/// Longest JWS that is looked at.
pub const MAX_JWS: usize = 256 * 1024;
/// Keys of one site; rotation adds one each.
pub const MAX_KEYS: usize = 32;
/// What the header calls a record.
pub const TYP: &str = "forecourt-record+json";

/// base64url SHA-256: how a record names the one before it, and a receipt the last one held.
pub fn digest(text: &str) -> String {
    encode_url(&Sha256::digest(text.as_bytes()))
}

/// Public keys of one site by kid.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<(String, VerifyingKey)>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a JWK set must be a JSON object with an array `keys`")]
    NotASet,
    #[error("more than {MAX_KEYS} keys")]
    TooMany,
    #[error("key {0}: only kty EC, crv P-256 with x and y of 32 bytes on the curve")]
    NotP256(usize),
    #[error("key {0}: holds the private member d")]
    Private(usize),
    #[error("key {0}: kid is not the RFC 7638 thumbprint")]
    Kid(usize),
}

impl Keys {
    /// From a JWK set. All keys or none.
    pub fn parse(jwks: &str) -> Result<Self, KeyError> {
        if json::at(jwks, "/keys").is_none_or(|keys| !keys.starts_with('[')) {
            return Err(KeyError::NotASet);
        }
        let items = json::items(jwks, "/keys");
        if items.len() > MAX_KEYS {
            return Err(KeyError::TooMany);
        }
        items.into_iter().enumerate().map(|(index, jwk)| parse_jwk(index, jwk)).collect::<Result<_, _>>().map(Self)
    }

    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(kid, _)| kid.as_str())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the keys not held yet. A kid is a hash of its key, so equal kids are equal keys.
    pub fn join(&mut self, other: &Self) {
        for (kid, key) in &other.0 {
            if self.find(kid).is_none() {
                self.0.push((kid.clone(), *key));
            }
        }
    }

    fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|(known, _)| known == kid).map(|(_, key)| key)
    }
}

fn parse_jwk(index: usize, jwk: &str) -> Result<(String, VerifyingKey), KeyError> {
    let member = |name: &str| json::string(jwk, &format!("/{name}")).unwrap_or_default();
    if json::at(jwk, "/d").is_some() {
        return Err(KeyError::Private(index));
    }
    let (x, y) = (member("x"), member("y"));
    if member("kty") != "EC" || member("crv") != "P-256" {
        return Err(KeyError::NotP256(index));
    }
    let key = point(&x, &y).ok_or(KeyError::NotP256(index))?;
    // RFC 7638, 3.2: the required members in lexicographic order, no white space.
    let thumbprint = digest(&format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
    if member("kid") != thumbprint {
        return Err(KeyError::Kid(index));
    }
    Ok((thumbprint, key))
}

fn point(x: &str, y: &str) -> Option<VerifyingKey> {
    let (x, y) = (decode_url(x)?, decode_url(y)?);
    if x.len() != 32 || y.len() != 32 {
        return None;
    }
    // SEC 1, 2.3.3: 04 || x || y; the crate checks that the point lies on the curve.
    VerifyingKey::from_sec1_bytes(&[&[4], x.as_slice(), y.as_slice()].concat()).ok()
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    #[error("not a JWS compact serialization")]
    Form,
    #[error("longer than {MAX_JWS} bytes")]
    TooLong,
    #[error("alg is {0}, not ES256")]
    Alg(String),
    #[error("typ is {0}, not {TYP}")]
    Typ(String),
    #[error("header says crit")]
    Crit,
    #[error("no key {0}")]
    UnknownKey(String),
    #[error("signature does not fit")]
    Signature,
}

/// Checks header and signature, and returns the payload text. The payload is not looked at before the signature fits.
pub fn verify(jws: &str, keys: &Keys) -> Result<String, JwsError> {
    if jws.len() > MAX_JWS {
        return Err(JwsError::TooLong);
    }
    let mut parts = jws.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(JwsError::Form);
    };
    let header_text = text(header)?;
    let member = |name: &str| json::string(&header_text, &format!("/{name}")).unwrap_or_default();
    if member("alg") != "ES256" {
        return Err(JwsError::Alg(member("alg")));
    }
    if member("typ") != TYP {
        return Err(JwsError::Typ(member("typ")));
    }
    if json::at(&header_text, "/crit").is_some() {
        return Err(JwsError::Crit);
    }
    let key = keys.find(&member("kid")).ok_or_else(|| JwsError::UnknownKey(member("kid")))?;
    // RFC 7518, 3.4: r || s, 64 bytes, not DER.
    let signature = decode_url(signature).ok_or(JwsError::Form)?;
    let signature = Signature::from_slice(&signature).map_err(|_| JwsError::Signature)?;
    let signed = &jws[..header.len() + 1 + payload.len()];
    key.verify(signed.as_bytes(), &signature).map_err(|_| JwsError::Signature)?;
    text(payload)
}

fn text(part: &str) -> Result<String, JwsError> {
    decode_url(part).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(JwsError::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, A.3 (JWS using ECDSA P-256 SHA-256), whose header has no kid and no typ: the parts of it that bear on
    /// the curve and the encoding.
    #[test]
    fn the_signature_of_rfc_7515_a_3() {
        let key = point("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").unwrap();
        let signed =
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let signature = Signature::from_slice(&decode_url(signature).unwrap()).unwrap();
        assert!(key.verify(signed.as_bytes(), &signature).is_ok());
        assert!(key.verify(&signed.as_bytes()[1..], &signature).is_err());
    }

    #[test]
    fn a_key_must_carry_its_own_thumbprint() {
        let jwk = |kid: &str, more: &str| {
            format!(
                r#"{{"keys":[{{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"{kid}"{more}}}]}}"#
            )
        };
        let thumbprint = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U";
        let keys = Keys::parse(&jwk(thumbprint, "")).unwrap();
        assert_eq!(keys.kids().collect::<Vec<_>>(), [thumbprint]);
        assert_eq!(Keys::parse(&jwk("mine", "")).unwrap_err(), KeyError::Kid(0));
        assert_eq!(Keys::parse(&jwk(thumbprint, r#","d":"x""#)).unwrap_err(), KeyError::Private(0));
        assert_eq!(Keys::parse("[]").unwrap_err(), KeyError::NotASet);
    }
}
