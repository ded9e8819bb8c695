//! Public keys as JSON: one JWK, a JWK set (RFC 7517), the thumbprint that names a key (RFC 7638).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::hash::Hash;

/// Most keys read from one set; a site's history of rotations stays far below.
const MAX_KEYS: usize = 256;

/// One ES256 public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwk {
    kid: String,
    /// SEC1 uncompressed point: 0x04, x, y.
    point: [u8; 65],
}

/// JWK members in the order we write them; those a reader needs are optional so that foreign keys can be passed over.
#[derive(Serialize, Deserialize)]
struct Members {
    #[serde(skip_serializing_if = "Option::is_none")]
    kty: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
}

impl Jwk {
    /// `None` unless the bytes are an uncompressed P-256 point. Whether it lies on the curve, `ring` checks when it verifies.
    pub(super) fn from_point(point: &[u8]) -> Option<Self> {
        let point: [u8; 65] = point.try_into().ok().filter(|point: &[u8; 65]| point[0] == 4)?;
        Some(Self { kid: thumbprint(&point), point })
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub const fn alg(&self) -> Algorithm {
        Algorithm::Es256
    }

    /// RFC 7638; our own keys have it as their `kid`.
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.point)
    }

    pub(super) fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point).verify(bytes, signature).is_ok()
    }

    /// The public key as a JSON object (RFC 7517 §4), as it stands in a JWKS.
    pub fn to_json(&self) -> String {
        // Strings only: serialisation has nothing to fail on.
        serde_json::to_string(&self.members()).unwrap_or_default()
    }

    fn members(&self) -> Members {
        let (x, y) = coordinates(&self.point);
        Members {
            kty: Some("EC".to_owned()),
            crv: Some("P-256".to_owned()),
            x: Some(x),
            y: Some(y),
            kid: Some(self.kid.clone()),
            usage: Some("sig".to_owned()),
            alg: Some(self.alg().as_str().to_owned()),
        }
    }

    /// `None`: a key of another kind or for another use, which a set may well contain (RFC 7517 §5).
    fn from_members(members: Members) -> Result<Option<Self>, JwkError> {
        let ours = |value: &Option<String>, wanted: &str| value.as_deref().is_none_or(|value| value == wanted);
        let p256 = members.kty.as_deref() == Some("EC") && members.crv.as_deref() == Some("P-256");
        if !p256 || !ours(&members.usage, "sig") || !ours(&members.alg, Algorithm::Es256.as_str()) {
            return Ok(None);
        }
        let name = members.kid.clone().unwrap_or_else(|| "without kid".to_owned());
        let damaged = || JwkError::Damaged { kid: name.clone() };
        let mut point = [4; 65];
        for (value, place) in [(&members.x, 1..33), (&members.y, 33..65)] {
            let bytes = value.as_deref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(damaged)?;
            let bytes: [u8; 32] = bytes.try_into().map_err(|_| damaged())?;
            point[place].copy_from_slice(&bytes);
        }
        let kid = members.kid.unwrap_or_else(|| thumbprint(&point));
        Ok(Some(Self { kid, point }))
    }
}

fn coordinates(point: &[u8; 65]) -> (String, String) {
    (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]))
}

/// SHA-256 of the required members in alphabetical order, without white space (RFC 7638 §3.2).
fn thumbprint(point: &[u8; 65]) -> String {
    let (x, y) = coordinates(point);
    Hash::of(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes()).to_string()
}

/// The keys a verifier trusts, whoever gave them to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwkSet {
    keys: Vec<Jwk>,
}

#[derive(Debug, thiserror::Error)]
pub enum JwkError {
    #[error("not a JWK set: {0}")]
    NotJson(#[source] serde_json::Error),
    #[error("not a JWK set: neither \"keys\" nor a single key's \"kty\" is there")]
    NoKeys,
    #[error("not a JWK set: more than {MAX_KEYS} keys")]
    TooMany,
    #[error("key {kid}: x and y of a P-256 key are 32 bytes each in base64url")]
    Damaged { kid: String },
    #[error("key {kid} occurs twice with different values")]
    Ambiguous { kid: String },
}

impl JwkSet {
    /// A JWK set, or a single JWK. Keys that cannot sign a record are passed over; an empty set is legal and verifies nothing.
    pub fn parse(json: &str) -> Result<Self, JwkError> {
        #[derive(Deserialize)]
        struct Text {
            keys: Option<Vec<Members>>,
            #[serde(flatten)]
            single: Members,
        }
        let text: Text = serde_json::from_str(json).map_err(JwkError::NotJson)?;
        let members = match text.keys {
            Some(keys) => keys,
            None if text.single.kty.is_some() => vec![text.single],
            None => return Err(JwkError::NoKeys),
        };
        if members.len() > MAX_KEYS {
            return Err(JwkError::TooMany);
        }
        let mut set = Self::default();
        for members in members {
            if let Some(key) = Jwk::from_members(members)? {
                set.add(key)?;
            }
        }
        Ok(set)
    }

    /// A key that is in the set already changes nothing.
    pub fn add(&mut self, key: Jwk) -> Result<(), JwkError> {
        match self.find(&key.kid) {
            Some(known) if *known != key => Err(JwkError::Ambiguous { kid: key.kid }),
            Some(_) => Ok(()),
            None if self.keys.len() == MAX_KEYS => Err(JwkError::TooMany),
            None => {
                self.keys.push(key);
                Ok(())
            }
        }
    }

    pub fn find(&self, kid: &str) -> Option<&Jwk> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// The JWKS text that is published under `keys`.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Set {
            keys: Vec<Members>,
        }
        let set = Set { keys: self.keys.iter().map(Jwk::members).collect() };
        // Strings only: serialisation has nothing to fail on.
        serde_json::to_string(&set).unwrap_or_default()
    }
}

impl From<Jwk> for JwkSet {
    fn from(key: Jwk) -> Self {
        Self { keys: vec![key] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 7515 A.3.
    const RFC7515_A3: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

    #[test]
    fn thumbprint_is_the_one_jose_computes() {
        let set = JwkSet::parse(RFC7515_A3).expect("one key");
        // jose jwk thp -i -
        assert_eq!(set.keys()[0].kid(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
        assert_eq!(set.keys()[0].thumbprint(), set.keys()[0].kid());
    }

    #[test]
    fn the_signature_of_rfc_7515_a3_verifies() {
        let set = JwkSet::parse(RFC7515_A3).expect("one key");
        let signed =
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        assert!(set.keys()[0].verifies(signed.as_bytes(), &signature));
        assert!(!set.keys()[0].verifies(&signed.as_bytes()[1..], &signature));
    }

    #[test]
    fn a_set_survives_its_own_text_and_foreign_keys_are_passed_over() {
        let foreign = r#"{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"a"},{"kty":"RSA","n":"AQ","e":"AQAB"},{}"#;
        let set = JwkSet::parse(&format!(r#"{{"keys":[{foreign},{RFC7515_A3},{RFC7515_A3}]}}"#)).expect("set");
        assert_eq!(set.keys().len(), 1);
        assert_eq!(JwkSet::parse(&set.to_json()).expect("again"), set);
        assert_eq!(JwkSet::parse(r#"{"keys":[]}"#).expect("empty").keys().len(), 0);
    }

    #[test]
    fn broken_sets_are_refused() {
        assert!(matches!(JwkSet::parse("{"), Err(JwkError::NotJson(_))));
        assert!(matches!(JwkSet::parse("[]"), Err(JwkError::NotJson(_))));
        assert!(matches!(JwkSet::parse("{}"), Err(JwkError::NoKeys)));
        let short = RFC7515_A3.replace("f83O", "f8");
        assert!(matches!(JwkSet::parse(&short), Err(JwkError::Damaged { .. })));
        let named = RFC7515_A3.replace("\"kty\"", "\"kid\":\"k\",\"kty\"");
        let other = named.replace("f83OJ3D2", "f83OJ3D3");
        assert!(matches!(JwkSet::parse(&format!(r#"{{"keys":[{named},{other}]}}"#)), Err(JwkError::Ambiguous { .. })));
    }
}
