//! The messages of a local list (OCPP 1.6 §5.15, 2.0.1 D01): all of it, in as many messages as the station's limit wants.

use serde_json::{Value, json};

use super::spelled::without_null;
use super::table::Message;
use crate::units::{Time, Token, TokenKind, Version, time};

/// 1.6 IdToken; longer tokens cannot be known to a 1.6 station.
const MAX_16: usize = 20;

/// What a station is to know of a token.
#[derive(Debug)]
pub struct Entry {
    pub token: Token,
    /// As OCPP calls it.
    pub status: &'static str,
    pub group: Option<String>,
    pub expires_at: Option<Time>,
    /// Where it may charge (2.x); empty: at each EVSE. 1.6 cannot say it.
    pub evses: Vec<u32>,
}

/// The setting that says how many tokens a message may hold: component (2.x) and name.
pub const fn limit(version: Version) -> (&'static str, &'static str) {
    match version {
        Version::V16 => ("", "SendLocalListMaxLength"),
        Version::V201 | Version::V21 => ("LocalAuthListCtrlr", "ItemsPerMessage"),
    }
}

/// The version that the answer to GetLocalListVersion names.
pub fn version_in(answer: &Value) -> Option<i64> {
    ["listVersion", "versionNumber"].into_iter().find_map(|name| answer.get(name)?.as_i64())
}

/// The messages, the first of which replaces what the station has; each counts the version up from `version`, that of the station. How many
/// tokens are in them.
pub fn messages(version: Version, entries: &[Entry], chunk: usize, known: i64) -> (Vec<Message>, usize) {
    let fits = |entry: &&Entry| version != Version::V16 || entry.token.reveal().chars().count() <= MAX_16;
    let list: Vec<Value> = entries.iter().filter(fits).map(|entry| item(version, entry)).collect();
    let member = if version == Version::V16 { "listVersion" } else { "versionNumber" };
    let message = |(at, items): (i64, &[Value])| {
        let kind = if at == 0 { "Full" } else { "Differential" };
        let mut payload = json!({"updateType": kind});
        payload[member] = known.saturating_add(1).saturating_add(at).into();
        if !items.is_empty() {
            payload["localAuthorizationList"] = items.into();
        }
        ("SendLocalList", payload)
    };
    let chunks: Vec<&[Value]> = if list.is_empty() { vec![&[]] } else { list.chunks(chunk.max(1)).collect() };
    ((0..).zip(chunks).map(message).collect(), list.len())
}

fn item(version: Version, entry: &Entry) -> Value {
    let expires = entry.expires_at.map(time::rfc3339);
    let mut item = if version == Version::V16 {
        json!({"idTag": entry.token.reveal(), "idTagInfo": {"status": entry.status, "expiryDate": expires, "parentIdTag": entry.group}})
    } else {
        let kind = match &entry.token.kind {
            TokenKind::Named(name) => name,
            // The list does not say, and most are cards.
            TokenKind::Unstated | TokenKind::NoAuthorization => "ISO14443",
        };
        let group = entry.group.as_ref().map(|group| json!({"idToken": group, "type": "Central"}));
        json!({"idToken": {"idToken": entry.token.reveal(), "type": kind},
            "idTokenInfo": {"status": entry.status, "cacheExpiryDateTime": expires, "groupIdToken": group,
                "evseId": Some(&entry.evses).filter(|evses| !evses.is_empty())}})
    };
    without_null(&mut item);
    item
}
