//! Who and what: stations, tokens, transactions, sessions, protocol versions.

use std::fmt;
use std::sync::Arc;

/// A charging station's identity, as the last segment of its connection URL, percent-decoded (OCPP-J 1.6 §3.1.1, 2.0.1 Part 4 §3.2).
/// The canonical casing is that of the configuration, else that of the first connection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StationId(Arc<str>);

impl StationId {
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For comparison: firmware changes the case of its letters between reboots. As SQLite folds them (`NOCASE`).
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for StationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The OCPP version a connection negotiated. 2.0.1 and 2.1 share one type tree; the version gates the differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V16,
    V201,
    V21,
}

impl Version {
    /// The WebSocket subprotocol name registered with IANA.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::V16 => "ocpp1.6",
            Self::V201 => "ocpp2.0.1",
            Self::V21 => "ocpp2.1",
        }
    }

    /// Reads what [`Version::number`] wrote.
    pub fn from_number(number: &str) -> Option<Self> {
        [Self::V16, Self::V201, Self::V21].into_iter().find(|version| version.number() == number)
    }

    pub fn from_subprotocol(name: &str) -> Option<Self> {
        [Self::V16, Self::V201, Self::V21].into_iter().find(|version| version.subprotocol() == name)
    }

    /// "1.6", "2.0.1", "2.1".
    pub fn number(self) -> &'static str {
        &self.subprotocol()["ocpp".len()..]
    }
}

/// What kind of token a driver presented. 1.6 does not say; 2.x names are free text in 2.1, so unknown ones are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// OCPP 1.6 `idTag`: kind unknown.
    Unstated,
    /// `NoAuthorization`: free vend, the token text is empty.
    NoAuthorization,
    Named(Box<str>),
}

impl TokenKind {
    /// Reads what [`TokenKind::as_str`] wrote.
    pub fn from_name(name: &str) -> Self {
        match name {
            "unstated" => Self::Unstated,
            "NoAuthorization" => Self::NoAuthorization,
            named => Self::Named(named.into()),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Unstated => "unstated",
            Self::NoAuthorization => "NoAuthorization",
            Self::Named(name) => name,
        }
    }
}

/// A driver's token. `Display` and `Debug` mask it, so that no log line can leak it; [`Token::reveal`] gives the text to
/// the store and to the record's CDR, and to nobody else. Tokens compare without regard to case (OCPP 1.6 CiString20Type, 2.0.1 C01).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token {
    pub kind: TokenKind,
    text: Box<str>,
}

impl Token {
    pub fn new(kind: TokenKind, text: &str) -> Self {
        Self { kind, text: text.trim().into() }
    }

    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// For comparison: without regard to the case of ASCII letters, of which OCPP makes tokens. SQLite folds the same ones, no others.
    pub fn folded(&self) -> String {
        self.text.to_ascii_lowercase()
    }

    /// The same token: its text, without regard to case; stations differ in the kind they name.
    pub fn is_same(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }

    /// A PIN that a driver types in (OCPP IdTokenEnumType KeyCode): a secret as such, and short enough to be guessed from its end.
    pub fn is_pin(&self) -> bool {
        self.kind.as_str().eq_ignore_ascii_case("KeyCode")
    }

    /// Everything but the last four characters replaced: `…A1F3`; shorter tokens and PINs show nothing.
    pub fn masked(&self) -> String {
        let count = self.text.chars().count();
        if count <= 4 || self.is_pin() {
            return "…".to_owned();
        }
        format!("…{}", self.text.chars().skip(count - 4).collect::<String>())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} {})", self.kind.as_str(), self.masked())
    }
}

/// The station's name for a transaction: OCPP 1.6 `transactionId` in decimal (assigned by us), 2.x `transactionId` (assigned by
/// the station, compared without regard to case). Only meaningful together with its station.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxRef(Box<str>);

impl TxRef {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TxRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Our name for a billable session, readable over the telephone: `S-20261121-0042`, numbered within the site's local day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Box<str>);

impl SessionId {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_shows_itself() {
        let token = Token::new(TokenKind::Unstated, " 04A1B2C3D4A1F3 ");
        assert_eq!(token.to_string(), "…A1F3");
        assert_eq!(format!("{token:?}"), "Token(unstated …A1F3)");
        assert_eq!(token.reveal(), "04A1B2C3D4A1F3");
        assert_eq!(Token::new(TokenKind::Unstated, "1234").to_string(), "…");
        assert_eq!(Token::new(TokenKind::Named("keyCode".into()), "73194682").to_string(), "…");
    }

    #[test]
    fn subprotocols_are_exact() {
        assert_eq!(Version::from_subprotocol("ocpp2.0.1"), Some(Version::V201));
        assert_eq!(Version::from_subprotocol("ocpp2.0"), None);
        assert_eq!(Version::V21.number(), "2.1");
    }
}
