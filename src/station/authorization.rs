//! Whether a token may charge (1.6 idTag, 2.x idToken).

use std::collections::HashMap;

use crate::fact::AuthStatus;
use crate::units::{StationId, Time, Token, TokenKind};

/// What a token gets that is not on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownTokens {
    Accept,
    Reject,
}

/// What the list says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    pub status: AuthStatus,
    /// Not accepted from then on.
    pub expires_at: Option<Time>,
    /// Where it may charge; empty: everywhere.
    pub stations: Vec<StationId>,
}

/// The site's tokens, by their text without regard to case: stations differ in the kind they name.
#[derive(Clone, Debug)]
pub struct Authorizer {
    unknown: UnknownTokens,
    tokens: HashMap<String, Authorization>,
}

impl Authorizer {
    pub fn new(unknown: UnknownTokens) -> Self {
        Self { unknown, tokens: HashMap::new() }
    }

    pub fn set(&mut self, token: &Token, authorization: Authorization) {
        self.tokens.insert(token.folded(), authorization);
    }

    /// What a token gets that is presented at a station. Free vend (`NoAuthorization`) is always accepted (OCPP 2.0.1 C02.FR.02).
    pub fn authorize(&self, station: &StationId, token: &Token, at: Time) -> AuthStatus {
        if token.kind == TokenKind::NoAuthorization {
            return AuthStatus::Accepted;
        }
        let listed = (!self.tokens.is_empty()).then(|| self.tokens.get(&token.folded())).flatten();
        let Some(listed) = listed else {
            return match self.unknown {
                UnknownTokens::Accept => AuthStatus::Accepted,
                UnknownTokens::Reject => AuthStatus::Unknown,
            };
        };
        let is_here = |one: &StationId| one.as_str().eq_ignore_ascii_case(station.as_str());
        match listed.status {
            AuthStatus::Accepted if listed.expires_at.is_some_and(|end| end <= at) => AuthStatus::Expired,
            AuthStatus::Accepted if !listed.stations.is_empty() && !listed.stations.iter().any(is_here) => AuthStatus::Invalid,
            status => status,
        }
    }
}
