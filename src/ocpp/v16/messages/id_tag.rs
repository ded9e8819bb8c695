//! idTag and idTagInfo (OCPP 1.6 §7.28, §7.27), which several messages carry.

use serde::Serialize;

use crate::fact::{AuthStatus, TokenInfo};
use crate::ocpp::lenient::{Field, PayloadReader};
use crate::units::time::rfc3339_seconds;
use crate::units::{Token, TokenKind};

/// An idTag; an empty one names nobody.
pub(super) fn id_tag(r: &mut PayloadReader<'_>) -> Field<Token> {
    match r.text("idTag") {
        Field::Read(text) if text.trim().is_empty() => {
            r.note("token-empty", "idTag");
            Field::Unreadable
        }
        Field::Read(text) => Field::Read(Token::new(TokenKind::Unstated, &text)),
        Field::Absent => Field::Absent,
        Field::Unreadable => Field::Unreadable,
    }
}

/// 1.6 has no status Unknown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdTagInfo<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id_tag: Option<&'a str>,
}

impl<'a> IdTagInfo<'a> {
    pub(super) fn new(info: &'a TokenInfo) -> Self {
        let status = if info.status == AuthStatus::Unknown { AuthStatus::Invalid } else { info.status };
        let (expiry_date, parent_id_tag) = (info.expires_at.map(rfc3339_seconds), info.group.as_deref());
        Self { status: status.as_str(), expiry_date, parent_id_tag }
    }
}
