//! IdTokenType and IdTokenInfoType (OCPP 2.0.1 C01, C02), which several messages carry.

use std::borrow::Cow;

use serde::Serialize;

use crate::fact::TokenInfo;
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::units::time::rfc3339_seconds;
use crate::units::{Token, TokenKind};

/// IdTokenType (2.0.1 C01, C02). A bare text, as 1.6 has it, is a token of unstated kind. A token without text is one only if
/// its kind is NoAuthorization (C02.FR.01).
pub(super) fn id_token(r: &mut PayloadReader<'_>) -> Field<Token> {
    let (mut text, mut kind) = (Field::Absent, None);
    if r.at_object() {
        r.object("idToken", |r, key| match key {
            "idToken" => text = r.text(key),
            "type" => kind = r.text(key).filled(),
            _ => r.skip(),
        });
    } else {
        text = match r.text("idToken") {
            Field::Absent => return Field::Absent,
            Field::Unreadable => return Field::Unreadable,
            bare => bare,
        };
    }
    let kind = match kind {
        Some(name) if name.eq_ignore_ascii_case("NoAuthorization") => TokenKind::NoAuthorization,
        Some(name) => TokenKind::Named(name.into()),
        None => {
            r.note("token-kind-missing", "idToken.type");
            TokenKind::Unstated
        }
    };
    let text = match text {
        Field::Read(text) => text,
        Field::Absent => Cow::Borrowed(""),
        Field::Unreadable => return Field::Unreadable,
    };
    if text.trim().is_empty() && kind != TokenKind::NoAuthorization {
        r.note("token-empty", "idToken.idToken");
        return Field::Unreadable;
    }
    Field::Read(Token::new(kind, &text))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdTokenInfo<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_expiry_date_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id_token: Option<GroupIdToken<'a>>,
}

/// A group is named by us.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupIdToken<'a> {
    id_token: &'a str,
    r#type: &'static str,
}

impl<'a> IdTokenInfo<'a> {
    pub(super) fn new(info: &'a TokenInfo) -> Self {
        let group = |id_token| GroupIdToken { id_token, r#type: "Central" };
        Self {
            status: info.status.as_str(),
            cache_expiry_date_time: info.expires_at.map(rfc3339_seconds),
            group_id_token: info.group.as_deref().map(group),
        }
    }
}
