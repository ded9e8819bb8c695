//! Payloads as people may see them who did not send them.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::units::{Members, Token, TokenKind};

/// Arrays and objects within each other that are shown; no message of OCPP has ten.
const MAX_DEPTH: usize = 24;

/// A payload, of a call or its answer, as people may see it: tokens masked, passwords and what logs in to a URL left out, all else as it was
/// written. Text that is not JSON, or nested deeper than `MAX_DEPTH`, is not shown.
pub fn masked(payload: &str) -> String {
    mask(payload, MAX_DEPTH).unwrap_or_else(|| "null".to_owned())
}

fn mask(payload: &str, depth: usize) -> Option<String> {
    let raw: &RawValue = serde_json::from_str(payload).ok()?;
    let within = depth.checked_sub(1)?;
    if raw.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
        let items: Option<Vec<String>> = items.iter().map(|item| mask(item.get(), within)).collect();
        return Some(format!("[{}]", items?.join(",")));
    }
    if !raw.get().starts_with('{') {
        let url = text_of(raw).and_then(|text| without_login(&text));
        return Some(url.map_or_else(|| raw.get().to_owned(), |url| Value::from(url).to_string()));
    }
    let Members(members) = serde_json::from_str(raw.get()).ok()?;
    let texts =
        |name: &'static str| members.iter().filter(move |(known, _)| known == name).filter_map(|(_, value)| text_of(value));
    let variables = members.iter().filter(|(name, _)| name == "variable").filter_map(|(_, variable)| {
        let Members(parts) = serde_json::from_str(variable.get()).ok()?;
        parts.iter().find(|(name, _)| name == "name").and_then(|(_, name)| text_of(name))
    });
    let is_password = texts("key").chain(variables).any(|name| names_a_password(&name));
    let is_pin = texts("type").any(|kind| kind.to_ascii_uppercase().contains("PIN"));
    let kind = if is_pin { "KeyCode".to_owned() } else { texts("type").next().unwrap_or_default() };
    // The key of a VPN has a server beside it; that of a setting is its name.
    let is_vpn = members.iter().any(|(name, _)| name == "server");
    let shown = |(name, value): &(String, &RawValue)| {
        let shown = match (name.as_str(), text_of(value)) {
            ("value" | "attributeValue", _) if is_password => hidden(),
            ("key", _) if is_vpn => hidden(),
            (name, _) if is_secret(name, value) => hidden(),
            ("idTag" | "parentIdTag" | "idToken" | "additionalIdToken", Some(token)) => {
                Value::from(Token::new(TokenKind::Named(kind.as_str().into()), &token).masked()).to_string()
            }
            _ => mask(value.get(), within)?,
        };
        Some(format!("{}:{shown}", Value::from(name.as_str())))
    };
    let members: Option<Vec<String>> = members.iter().map(shown).collect();
    Some(format!("{{{}}}", members?.join(",")))
}

fn hidden() -> String {
    Value::from("…").to_string()
}

fn text_of(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// Members that hold a password themselves (2.x SetNetworkProfile).
fn is_secret(name: &str, value: &RawValue) -> bool {
    let is_scalar = !value.get().starts_with(['{', '[']);
    is_scalar && (name == "simPin" || names_a_password(name))
}

/// Keys and variables whose value is a password (OCPP 1.6 security whitepaper A01, 2.0.1 A01); stations have more of their own.
fn names_a_password(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorizationkey", "password", "secret"].iter().any(|part| name.contains(part))
}

/// A URL without the user, password and query with which one may log in; `None`: there is nothing to leave out.
fn without_login(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map(|(_, host)| host);
    let bare = path.split(['?', '#']).next().unwrap_or_default();
    if host.is_none() && bare.len() == path.len() {
        return None;
    }
    let login = if host.is_some() { "…@" } else { "" };
    let query = if bare.len() < path.len() { "?…" } else { "" };
    Some(format!("{scheme}://{login}{}{bare}{query}", host.unwrap_or(authority)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_passwords_are_not_shown() {
        for (payload, shown) in [
            (r#"{"idTag":"04A1B2C3","connectorId":1}"#, r#"{"connectorId":1,"idTag":"…B2C3"}"#),
            (r#"{"idToken":{"idToken":"1234","type":"KeyCode"}}"#, r#"{"idToken":{"idToken":"…","type":"KeyCode"}}"#),
            (r#"{"idToken":{"idToken":"123456","type":"keycode"}}"#, r#"{"idToken":{"idToken":"…","type":"keycode"}}"#),
            (r#"{"key":"AuthorizationKey","value":"secret"}"#, r#"{"key":"AuthorizationKey","value":"…"}"#),
            (r#"{"key":" authorizationkey","value":"secret"}"#, r#"{"key":" authorizationkey","value":"…"}"#),
            (r#"{"additionalIdToken":"123456","type":"PIN"}"#, r#"{"additionalIdToken":"…","type":"PIN"}"#),
            ("{", "null"),
            (r#"{"key":"HeartbeatInterval","value":"300"}"#, r#"{"key":"HeartbeatInterval","value":"300"}"#),
            (
                r#"{"setVariableData":[{"variable":{"name":"BasicAuthPassword"},"attributeValue":"secret"}]}"#,
                r#"{"setVariableData":[{"attributeValue":"…","variable":{"name":"BasicAuthPassword"}}]}"#,
            ),
        ] {
            let masked: Value = serde_json::from_str(&masked(payload)).expect(payload);
            assert_eq!(masked, serde_json::from_str::<Value>(shown).expect(shown));
        }
    }

    #[test]
    fn what_is_shown_keeps_every_digit_and_ends_at_a_depth() {
        for (payload, shown) in [
            (r#" {"a" : 1.50, "b":[1e400, 12345678901234567890.10 ]} "#, r#"{"a":1.50,"b":[1e400,12345678901234567890.10]}"#),
            (r#"{"key":"x","key":"Password","value":"s","value":1}"#, r#"{"key":"x","key":"Password","value":"…","value":"…"}"#),
        ] {
            assert_eq!(masked(payload), shown);
        }
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(masked(&nested(23)), nested(23));
        assert_eq!(masked(&nested(200_000)), "null");
    }

    #[test]
    fn what_logs_in_to_a_url_is_not_shown() {
        for (payload, shown) in [
            (r#"{"location":"ftp://user:pa%40ss@host:21/a/b.bin"}"#, r#"{"location":"ftp://…@host:21/a/b.bin"}"#),
            (r#"{"log":{"remoteLocation":"https://host/put?sig=abc#x"}}"#, r#"{"log":{"remoteLocation":"https://host/put?…"}}"#),
            (r#"["sftp://u@h","https://u:p@h?t=1"]"#, r#"["sftp://…@h","https://…@h?…"]"#),
            (r#"{"location":"https://host/a@b"}"#, r#"{"location":"https://host/a@b"}"#),
            (r#"{"vendorId":"a://b"}"#, r#"{"vendorId":"a://b"}"#),
            (
                r#"{"basicAuthPassword":"p","apn":{"apnPassword":"p","simPin":1234,"apn":"a"},"vpn":{"server":"s","user":"u","key":"k","password":"p"}}"#,
                r#"{"basicAuthPassword":"…","apn":{"apnPassword":"…","simPin":"…","apn":"a"},"vpn":{"server":"s","user":"u","key":"…","password":"…"}}"#,
            ),
        ] {
            assert_eq!(masked(payload), shown);
        }
    }
}
