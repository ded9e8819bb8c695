//! Commands on the list of tokens, checked and passed on to the store.

use std::collections::HashMap;

use super::tariffs::Reloader;
use crate::control::{Outcome, Reply, TokenEntry};
use crate::fact::AuthStatus;
use crate::station::{ListedToken, Place};
use crate::store::{TokenChanges, TokenCounts, WriterHandle};
use crate::units::{Clock, Time, Token, TokenKind};

/// 1.6 IdToken, and so parentIdTag (§7.28).
const MAX_GROUP: usize = 20;
/// 2.1 IdTokenType.idToken; 2.0.1 has 36, 1.6 has 20.
const MAX_TOKEN: usize = 255;
const MAX_KIND: usize = 20;
const MAX_STATION: usize = 100;
const MAX_STATIONS: usize = 1_000;

/// What commands on tokens work on.
#[derive(Clone)]
pub struct Tokens {
    pub store: WriterHandle,
    pub clock: Clock,
}

impl Tokens {
    /// Puts tokens on the list, all or none.
    pub async fn set(&self, entries: Vec<TokenEntry>, tariffs: &Reloader, reason: String, actor: String) -> Reply {
        let mut set = Vec::with_capacity(entries.len());
        let mut places = HashMap::new();
        for (place, entry) in entries.into_iter().enumerate() {
            let named =
                |why: String| Reply::refused(Outcome::Usage, format!("token {}: {why}; none of these was taken", place + 1));
            match listed(entry) {
                Ok(one) => {
                    if let Some(id) = one.tariff.as_deref()
                        && !tariffs.knows(id).await
                    {
                        return named(format!("no tariff {id} is loaded"));
                    }
                    if let Some(first) = places.insert(one.token.folded(), place + 1) {
                        return named(format!("the same as token {first}"));
                    }
                    set.push(one);
                }
                Err(why) => return named(why),
            }
        }
        self.submit(TokenChanges { set, ..self.changes(reason, actor) }).await
    }

    pub async fn block(&self, token: String, reason: String, actor: String) -> Reply {
        match listed(TokenEntry { token, ..TokenEntry::default() }) {
            Ok(one) => self.submit(TokenChanges { block: vec![one.token], ..self.changes(reason, actor) }).await,
            Err(why) => Reply::refused(Outcome::Usage, why),
        }
    }

    pub async fn remove(&self, tokens: Vec<String>, reason: String, actor: String) -> Reply {
        let remove = tokens.iter().map(|text| Token::new(TokenKind::Unstated, text)).collect();
        self.submit(TokenChanges { remove, ..self.changes(reason, actor) }).await
    }

    fn changes(&self, reason: String, actor: String) -> TokenChanges {
        TokenChanges { set: Vec::new(), block: Vec::new(), remove: Vec::new(), actor, reason, at: (self.clock)().at }
    }

    async fn submit(&self, changes: TokenChanges) -> Reply {
        match self.store.change_tokens(changes).await {
            Ok(TokenCounts { added: 0, changed: 0, unchanged: 0, removed: 0, absent: 1.. }) => {
                Reply::refused(Outcome::NotFound, "no such token is on the list; `forecourt tokens` shows it".to_owned())
            }
            Ok(TokenCounts { added, changed, unchanged, removed, absent }) => {
                let counts = serde_json::json!({"added": added, "changed": changed, "unchanged": unchanged, "removed": removed,
                    "absent": absent});
                Reply::new(Outcome::Done, String::new(), &counts)
            }
            Err(_) => Reply::refused(Outcome::Refused, "the store cannot commit; the list of tokens stays as it is".to_owned()),
        }
    }
}

/// The entry as it will stand on the list, or what is wrong with it.
fn listed(entry: TokenEntry) -> Result<ListedToken, String> {
    let TokenEntry { token, r#type, status, group, expires, stations, tariff } = entry;
    let length = token.trim().chars().count();
    if !(1..=MAX_TOKEN).contains(&length) || token.chars().any(char::is_control) {
        return Err(format!("a token has 1 to {MAX_TOKEN} characters, none of them a control character"));
    }
    let kind = match r#type.as_deref().map(str::trim).unwrap_or_default() {
        "" | "unstated" => TokenKind::Unstated,
        kind if kind.eq_ignore_ascii_case("NoAuthorization") => {
            return Err("NoAuthorization is no token: it is always accepted".to_owned());
        }
        kind if kind.chars().count() <= MAX_KIND && !kind.chars().any(char::is_control) => TokenKind::Named(kind.into()),
        _ => return Err(format!("a type has at most {MAX_KIND} characters")),
    };
    let status = status.as_deref().map(str::trim).filter(|text| !text.is_empty()).unwrap_or("Accepted");
    let names = [AuthStatus::Accepted, AuthStatus::Blocked, AuthStatus::Expired, AuthStatus::Invalid];
    let Some(status) = names.into_iter().find(|name| name.as_str().eq_ignore_ascii_case(status)) else {
        return Err(format!("status {status:?} is none of accepted, blocked, expired, invalid"));
    };
    let group = group.map(|group| group.trim().to_owned()).filter(|group| !group.is_empty());
    if group.as_ref().is_some_and(|group| group.chars().count() > MAX_GROUP || group.chars().any(char::is_control)) {
        return Err(format!("a group has at most {MAX_GROUP} characters, none of them a control character"));
    }
    let expires_at = match expires.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => {
            let parsed: Result<Time, _> = text.parse();
            Some(parsed.map_err(|_| format!("expires {text:?} is no time such as 2027-01-31T23:00:00Z"))?)
        }
        None => None,
    };
    if stations.len() > MAX_STATIONS {
        return Err(format!("at most {MAX_STATIONS} stations can be named; without any a token may charge everywhere"));
    }
    let place = |text: &String| {
        let is_identity =
            |place: &Place| place.station().as_str().chars().count() <= MAX_STATION && !text.chars().any(char::is_control);
        Place::parse(text)
            .filter(is_identity)
            .ok_or_else(|| format!("{text:?} is neither STATION nor STATION/EVSE, such as CP-1 or CP-1/2"))
    };
    Ok(ListedToken {
        token: Token::new(kind, &token),
        status,
        group: group.map(Into::into),
        expires_at,
        places: stations.iter().map(place).collect::<Result<_, _>>()?,
        tariff: tariff.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()),
    })
}
