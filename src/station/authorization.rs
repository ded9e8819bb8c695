//! Whether a token may charge (1.6 idTag, 2.x idToken).

use std::collections::HashMap;

use crate::fact::{AuthStatus, TokenInfo};
use crate::units::{StationId, Time, Token, TokenKind};

/// What a token gets that is not on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownTokens {
    Accept,
    Reject,
}

/// What the list says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedToken {
    pub token: Token,
    pub status: AuthStatus,
    /// Tokens of a group may end each other's transactions.
    pub group: Option<Box<str>>,
    /// Not accepted from then on.
    pub expires_at: Option<Time>,
    /// Where it may charge; empty: everywhere.
    pub stations: Vec<StationId>,
    /// The id of the tariff by which its sessions are billed; `None`: the station's.
    pub tariff: Option<String>,
}

/// The site's tokens, by their text without regard to case: stations differ in the kind they name.
#[derive(Clone, Debug)]
pub struct Authorizer {
    pub unknown: UnknownTokens,
    tokens: HashMap<String, ListedToken>,
}

impl Authorizer {
    pub fn new(unknown: UnknownTokens) -> Self {
        Self { unknown, tokens: HashMap::new() }
    }

    /// Puts a token on the list, in place of what stood there.
    pub fn set(&mut self, listed: ListedToken) {
        self.tokens.insert(listed.token.folded(), listed);
    }

    pub fn remove(&mut self, token: &Token) {
        self.tokens.remove(&token.folded());
    }

    pub fn clear(&mut self) {
        self.tokens.clear();
    }

    pub fn listed(&self, token: &Token) -> Option<&ListedToken> {
        // Most sites have no list; then nothing is folded.
        (!self.tokens.is_empty()).then(|| self.tokens.get(&token.folded())).flatten()
    }

    /// What a token gets that is presented at a station. Free vend (`NoAuthorization`) is always accepted (OCPP 2.0.1 C02.FR.02).
    pub fn authorize(&self, station: &StationId, token: &Token, at: Time) -> TokenInfo {
        if token.kind == TokenKind::NoAuthorization {
            return AuthStatus::Accepted.into();
        }
        let Some(listed) = self.listed(token) else {
            return match self.unknown {
                UnknownTokens::Accept => AuthStatus::Accepted,
                UnknownTokens::Reject => AuthStatus::Unknown,
            }
            .into();
        };
        TokenInfo { status: listed.status_at(station, at), group: listed.group.clone(), expires_at: listed.expires_at }
    }
}

impl ListedToken {
    fn status_at(&self, station: &StationId, at: Time) -> AuthStatus {
        let is_here = |one: &StationId| one.as_str().eq_ignore_ascii_case(station.as_str());
        match self.status {
            AuthStatus::Accepted if self.expires_at.is_some_and(|end| end <= at) => AuthStatus::Expired,
            AuthStatus::Accepted if !self.stations.is_empty() && !self.stations.iter().any(is_here) => AuthStatus::Invalid,
            status => status,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_token_gets_what_the_list_says_of_it() {
        let now = Time::default() + TimeDelta::days(20_000);
        let token = |text: &str| Token::new(TokenKind::Unstated, text);
        let listed = |text: &str, status| ListedToken {
            token: token(text),
            status,
            group: None,
            expires_at: None,
            stations: Vec::new(),
            tariff: None,
        };
        let mut authorizer = Authorizer::new(UnknownTokens::Reject);
        authorizer.set(listed("AA", AuthStatus::Accepted));
        authorizer.set(listed("BB", AuthStatus::Blocked));
        authorizer.set(ListedToken { expires_at: Some(now), ..listed("CC", AuthStatus::Accepted) });
        authorizer.set(ListedToken {
            stations: vec![StationId::new("cp-1")],
            group: Some("G1".into()),
            ..listed("DD", AuthStatus::Accepted)
        });
        authorizer.set(ListedToken { expires_at: Some(now), ..listed("EE", AuthStatus::Blocked) });
        for (text, station, expected) in [
            ("aa", "CP-1", AuthStatus::Accepted),
            ("BB", "CP-1", AuthStatus::Blocked),
            ("CC", "CP-1", AuthStatus::Expired),
            ("DD", "CP-1", AuthStatus::Accepted),
            ("DD", "CP-2", AuthStatus::Invalid),
            ("EE", "CP-1", AuthStatus::Blocked),
            ("FF", "CP-1", AuthStatus::Unknown),
            ("", "CP-1", AuthStatus::Unknown),
        ] {
            assert_eq!(authorizer.authorize(&StationId::new(station), &token(text), now).status, expected, "{text} at {station}");
        }
        assert_eq!(authorizer.authorize(&StationId::new("CP-2"), &token("DD"), now).group.as_deref(), Some("G1"));
        let before = now - TimeDelta::milliseconds(1);
        assert_eq!(authorizer.authorize(&StationId::new("CP-1"), &token("CC"), before).status, AuthStatus::Accepted);
        let free = Token::new(TokenKind::NoAuthorization, "");
        assert_eq!(authorizer.authorize(&StationId::new("CP-1"), &free, now).status, AuthStatus::Accepted);
        authorizer.remove(&token("aA"));
        assert_eq!(authorizer.authorize(&StationId::new("CP-1"), &token("AA"), now).status, AuthStatus::Unknown);
        authorizer.unknown = UnknownTokens::Accept;
        assert_eq!(authorizer.authorize(&StationId::new("CP-1"), &token("AA"), now).status, AuthStatus::Accepted);
    }
}
