//! idTag and idTagInfo (OCPP 1.6 §7.28, §7.27), which several messages carry.

use serde::Serialize;

use crate::fact::AuthStatus;
use crate::ocpp::lenient::{Field, PayloadReader};
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

#[derive(Serialize)]
pub(super) struct IdTagInfo {
    status: &'static str,
}

impl IdTagInfo {
    /// 1.6 has no status Unknown.
    pub(super) fn new(status: AuthStatus) -> Self {
        let status = if status == AuthStatus::Unknown { AuthStatus::Invalid } else { status };
        Self { status: status.as_str() }
    }
}
