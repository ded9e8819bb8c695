//! Findings: coded oddities that are kept with a session, a record or a frame, and never stop it.

use std::borrow::Cow;

/// A stable name for one kind of oddity, kebab-case. Codes are part of the record (`findings`) and never change meaning.
pub type Code = &'static str;

/// One oddity: a stable code and a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    pub code: Cow<'static, str>,
    pub detail: String,
}

impl Finding {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), detail: detail.into() }
    }
}
