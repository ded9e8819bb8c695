//! The id of a message, as its sender wrote it (OCPP-J 1.6 §4.1.4, 2.0.1 Part 4 §4.1.4).

use std::borrow::Cow;

use serde::ser::{Error, Serialize, Serializer};
use serde_json::value::RawValue;

use super::json::Token;

/// A message id as its raw JSON token, string or number, so that it is echoed exactly as it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageId<'a>(Cow<'a, str>);

impl<'a> MessageId<'a> {
    /// An id of ours, or one known as plain text.
    pub fn from_text(text: &str) -> MessageId<'static> {
        MessageId(Cow::Owned(serde_json::Value::from(text).to_string()))
    }

    pub(super) fn from_token(raw: &'a str) -> Option<Self> {
        matches!(Token::of(raw), Token::Text(_) | Token::Number(_)).then_some(Self(Cow::Borrowed(raw)))
    }

    /// The JSON token.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The id as text: the content of a string, the digits of a number.
    pub fn text(&self) -> Cow<'_, str> {
        match Token::of(&self.0) {
            Token::Text(text) => text,
            _ => Cow::Borrowed(&self.0),
        }
    }

    pub fn into_owned(self) -> MessageId<'static> {
        MessageId(Cow::Owned(self.0.into_owned()))
    }
}

impl Serialize for MessageId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}
