//! Whether a token may charge (1.6 idTag, 2.x idToken).

use std::collections::HashMap;

use super::place::Place;
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
    pub places: Vec<Place>,
    /// The id of the tariff by which its sessions are billed; `None`: the station's.
    pub tariff: Option<String>,
}

/// The site's tokens, by their text without regard to case: stations differ in the kind they name.
#[derive(Clone, Debug, Default)]
pub struct Authorizer {
    tokens: HashMap<String, ListedToken>,
}

impl Authorizer {
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

    /// What a token gets that is presented at a station, or at an EVSE of it where that is known: 1.6 and 2.x Authorize do not say at
    /// which, so there it counts that the token may charge at one of them. Free vend (`NoAuthorization`) is always accepted (OCPP 2.0.1 C02.FR.02).
    pub fn authorize(
        &self,
        station: &StationId,
        evse: Option<u32>,
        token: &Token,
        unknown: UnknownTokens,
        at: Time,
    ) -> TokenInfo {
        if token.kind == TokenKind::NoAuthorization {
            return AuthStatus::Accepted.into();
        }
        let Some(listed) = self.listed(token) else {
            return match unknown {
                UnknownTokens::Accept => AuthStatus::Accepted,
                UnknownTokens::Reject => AuthStatus::Unknown,
            }
            .into();
        };
        TokenInfo { status: listed.status_at(station, evse, at), group: listed.group.clone(), expires_at: listed.expires_at }
    }
}

impl ListedToken {
    fn status_at(&self, station: &StationId, evse: Option<u32>, at: Time) -> AuthStatus {
        let is_here = |place: &Place| place.covers(station, evse);
        match self.status {
            AuthStatus::Accepted if self.expires_at.is_some_and(|end| end <= at) => AuthStatus::Expired,
            AuthStatus::Accepted if !self.places.is_empty() && !self.places.iter().any(is_here) => AuthStatus::Invalid,
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
            places: Vec::new(),
            tariff: None,
        };
        let mut authorizer = Authorizer::default();
        authorizer.set(listed("AA", AuthStatus::Accepted));
        authorizer.set(listed("BB", AuthStatus::Blocked));
        authorizer.set(ListedToken { expires_at: Some(now), ..listed("CC", AuthStatus::Accepted) });
        authorizer.set(ListedToken {
            places: Place::parse("cp-1").into_iter().collect(),
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
            assert_eq!(
                authorizer.authorize(&StationId::new(station), None, &token(text), UnknownTokens::Reject, now).status,
                expected,
                "{text} at {station}"
            );
        }
        assert_eq!(
            authorizer.authorize(&StationId::new("CP-2"), None, &token("DD"), UnknownTokens::Reject, now).group.as_deref(),
            Some("G1")
        );
        let before = now - TimeDelta::milliseconds(1);
        assert_eq!(
            authorizer.authorize(&StationId::new("CP-1"), None, &token("CC"), UnknownTokens::Reject, before).status,
            AuthStatus::Accepted
        );
        let free = Token::new(TokenKind::NoAuthorization, "");
        assert_eq!(
            authorizer.authorize(&StationId::new("CP-1"), None, &free, UnknownTokens::Reject, now).status,
            AuthStatus::Accepted
        );
        let places = ["CP-1/2", "CP-3"].iter().filter_map(|text| Place::parse(text)).collect();
        authorizer.set(ListedToken { places, ..listed("GG", AuthStatus::Accepted) });
        for (station, evse, expected) in [
            ("CP-1", None, AuthStatus::Accepted),
            ("CP-1", Some(1), AuthStatus::Invalid),
            ("CP-1", Some(2), AuthStatus::Accepted),
            ("CP-2", None, AuthStatus::Invalid),
            ("CP-3", Some(7), AuthStatus::Accepted),
        ] {
            let status = authorizer.authorize(&StationId::new(station), evse, &token("GG"), UnknownTokens::Reject, now).status;
            assert_eq!(status, expected, "{station} {evse:?}");
        }
        authorizer.remove(&token("aA"));
        assert_eq!(
            authorizer.authorize(&StationId::new("CP-1"), None, &token("AA"), UnknownTokens::Reject, now).status,
            AuthStatus::Unknown
        );
        assert_eq!(
            authorizer.authorize(&StationId::new("CP-1"), None, &token("AA"), UnknownTokens::Accept, now).status,
            AuthStatus::Accepted
        );
    }
}
