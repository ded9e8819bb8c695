//! Reading fields as stations write them (OCPP-J 1.6 §4, 2.0.1 Part 2 §2.1; docs/quirks.md Q24 to Q30).
//!
//! A [`PayloadReader`] walks a payload and gives numbers, texts, times in whatever spelling has been seen. What cannot be read is
//! [`Field::Unreadable`] and leaves a finding; it never fails the message. Fields that nobody reads, `customData` and unknown ones
//! among them, are passed over (the journal keeps them). Of a field that occurs twice the last one counts.
//! Limit: [`MAX_FINDINGS`] findings per message, the last of which says that there were more.

use std::borrow::Cow;

use super::json::{Cursor, Token};
use super::{number, timestamp};
use crate::fact::{Refusal, RefusalKind};
use crate::units::{Code, Decimal, Finding, Time};

/// A station that damages each of a thousand samples must not fill the store with a thousand sentences.
pub(super) const MAX_FINDINGS: usize = 32;
/// Characters of an unreadable value shown in its finding.
const SHOWN: usize = 40;

/// What a field held.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Field<T> {
    /// Not there, `null`, or (but for texts) an empty string.
    #[default]
    Absent,
    /// There, but not what it should be; a finding says so.
    Unreadable,
    Read(T),
}

impl<T> Field<T> {
    pub(super) fn ok(self) -> Option<T> {
        match self {
            Self::Read(value) => Some(value),
            Self::Absent | Self::Unreadable => None,
        }
    }

    /// For a field that should be there but can be done without.
    pub(super) fn expected(self, r: &mut PayloadReader<'_>, name: &str) -> Option<T> {
        if matches!(self, Self::Absent) {
            r.note("field-missing", name);
        }
        self.ok()
    }

    /// For a field that must be there; what it holds matters less.
    pub(super) fn stated(self, name: &str) -> Result<Option<T>, Refusal> {
        match self {
            Self::Unreadable => Ok(None),
            stated => stated.required(name).map(Some),
        }
    }

    /// For a field without which a message (never one of a transaction) says nothing.
    pub(super) fn required(self, name: &str) -> Result<T, Refusal> {
        match self {
            Self::Read(value) => Ok(value),
            Self::Absent => Err(Refusal { kind: RefusalKind::Missing, text: format!("{name} is required") }),
            Self::Unreadable => Err(Refusal { kind: RefusalKind::WrongType, text: format!("{name} cannot be read") }),
        }
    }
}

impl Field<Cow<'_, str>> {
    /// See [`filled`].
    pub(super) fn filled(self) -> Option<String> {
        self.ok().and_then(filled)
    }
}

/// The text without surrounding white space, `None` when nothing is left.
pub(super) fn filled(text: Cow<'_, str>) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) struct PayloadReader<'a> {
    json: Cursor<'a>,
    pub(super) findings: Vec<Finding>,
}

impl<'a> PayloadReader<'a> {
    /// `text` is one JSON value.
    pub(super) fn new(text: &'a str) -> Self {
        Self { json: Cursor::new(text), findings: Vec::new() }
    }

    pub(super) fn note(&mut self, code: Code, detail: impl Into<String>) {
        match self.findings.len() {
            count if count < MAX_FINDINGS - 1 => self.findings.push(Finding::new(code, detail)),
            count if count < MAX_FINDINGS => self.findings.push(Finding::new("findings-cut", "more findings were left out")),
            _ => {}
        }
    }

    /// Notes that `path` should hold `wanted`. `shown` is quoted; pass "" for what may be a driver's token.
    fn unreadable(&mut self, path: &str, wanted: &str, shown: &str) {
        let cut: String = shown.chars().take(SHOWN).collect();
        self.note(
            "field-unreadable",
            if cut.is_empty() { format!("{path}: not {wanted}") } else { format!("{path}: not {wanted}: {cut}") },
        );
    }

    /// Passes over a field that we do not use.
    pub(super) fn skip(&mut self) {
        self.json.raw();
    }

    /// Calls `field` for each field of an object; it must take the value by one call of this reader. Anything but an object is
    /// passed over with a finding, `null` without one; both give `false`.
    pub(super) fn object(&mut self, path: &str, mut field: impl FnMut(&mut Self, &str)) -> bool {
        if !self.json.open(b'{') {
            if self.json.token() != Token::Null {
                self.unreadable(path, "an object", "");
            }
            return false;
        }
        while let Some(key) = self.json.key() {
            field(self, &key);
        }
        true
    }

    /// Calls `each` for each element of an array; a lone object counts as a list of one (docs/quirks.md Q26).
    pub(super) fn list(&mut self, path: &str, mut each: impl FnMut(&mut Self)) {
        match self.json.peek() {
            Some(b'[') => {
                self.json.open(b'[');
                while self.json.item() {
                    each(self);
                }
            }
            Some(b'{') => {
                self.note("list-of-one", format!("{path}: an object where a list belongs"));
                each(self);
            }
            _ => {
                if self.json.token() != Token::Null {
                    self.unreadable(path, "a list", "");
                }
            }
        }
    }

    pub(super) fn token(&mut self) -> Token<'a> {
        self.json.token()
    }

    /// The raw JSON text of a field, `None` for `null`.
    pub(super) fn raw(&mut self) -> Option<&'a str> {
        Some(self.json.raw()).filter(|raw| *raw != "null")
    }

    pub(super) fn at_object(&mut self) -> bool {
        self.json.peek() == Some(b'{')
    }

    /// A text; numbers and booleans are taken as written. An empty text is a text here.
    pub(super) fn text(&mut self, path: &str) -> Field<Cow<'a, str>> {
        match self.json.token() {
            Token::Null => Field::Absent,
            Token::Text(text) => Field::Read(text),
            Token::Number(digits) => Field::Read(Cow::Borrowed(digits)),
            Token::Bool(flag) => Field::Read(Cow::Borrowed(if flag { "true" } else { "false" })),
            Token::Nested(_) => {
                self.unreadable(path, "a text", "");
                Field::Unreadable
            }
        }
    }

    pub(super) fn decimal(&mut self, path: &str) -> Field<Decimal> {
        let token = self.json.token();
        self.decimal_of(path, &token)
    }

    pub(super) fn decimal_of(&mut self, path: &str, token: &Token<'_>) -> Field<Decimal> {
        let text = match token {
            Token::Null => return Field::Absent,
            Token::Number(digits) => digits,
            Token::Text(text) if text.trim().is_empty() => return Field::Absent,
            Token::Text(text) => text.trim(),
            Token::Bool(_) | Token::Nested(_) => "",
        };
        let Some(number) = number::parse(text) else {
            self.unreadable(path, "a number", text);
            return Field::Unreadable;
        };
        if number.comma {
            self.note("number-comma", format!("{path}: decimal comma in {text}"));
        }
        if number.rounded {
            self.note("number-rounded", format!("{path}: more digits than can be kept: {}", text.get(..SHOWN).unwrap_or(text)));
        }
        Field::Read(number.value)
    }

    /// A whole number; `100.0` and `"100"` are whole (docs/quirks.md Q25).
    pub(super) fn integer(&mut self, path: &str) -> Field<i64> {
        let token = self.json.token();
        if let Token::Number(digits) = token
            && let Ok(whole) = digits.parse()
        {
            return Field::Read(whole);
        }
        match self.decimal_of(path, &token) {
            Field::Read(value) => {
                let Some(whole) = number::whole(value) else {
                    self.unreadable(path, "a whole number", &value.to_string());
                    return Field::Unreadable;
                };
                Field::Read(whole)
            }
            Field::Absent => Field::Absent,
            Field::Unreadable => Field::Unreadable,
        }
    }

    /// The number of an EVSE or connector: not negative.
    pub(super) fn evse_or_connector(&mut self, path: &str) -> Field<u32> {
        match self.integer(path) {
            Field::Read(whole) => u32::try_from(whole).map_or_else(
                |_| {
                    self.unreadable(path, "the number of an EVSE or connector", &whole.to_string());
                    Field::Unreadable
                },
                Field::Read,
            ),
            Field::Absent => Field::Absent,
            Field::Unreadable => Field::Unreadable,
        }
    }

    /// A truth value; texts and 0/1 are accepted. Absent and unreadable are false.
    pub(super) fn flag(&mut self, path: &str) -> bool {
        let token = self.json.token();
        let text = match &token {
            Token::Bool(flag) => return *flag,
            Token::Null => return false,
            Token::Number(digits) => digits,
            Token::Text(text) => text.trim(),
            Token::Nested(_) => "",
        };
        if text == "1" || text.eq_ignore_ascii_case("true") {
            return true;
        }
        if !(text == "0" || text.eq_ignore_ascii_case("false") || matches!(&token, Token::Text(text) if text.is_empty())) {
            self.unreadable(path, "true or false", text);
        }
        false
    }

    /// A time in any spelling of [`timestamp::parse`].
    pub(super) fn time(&mut self, path: &str) -> Field<Time> {
        let token = self.json.token();
        let text = match &token {
            Token::Null => return Field::Absent,
            Token::Text(text) if text.trim().is_empty() => return Field::Absent,
            Token::Text(text) => text.trim(),
            Token::Number(digits) => digits,
            Token::Bool(_) | Token::Nested(_) => "",
        };
        let Some(stamp) = timestamp::parse(text) else {
            self.unreadable(path, "a time", text);
            return Field::Unreadable;
        };
        match stamp.spelling {
            timestamp::Spelling::Rfc3339 => {}
            timestamp::Spelling::Odd => self.note("time-odd", format!("{path}: {text}")),
            timestamp::Spelling::NoZone => self.note("time-without-zone", format!("{path}: {text}, taken as UTC")),
        }
        Field::Read(stamp.time)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read<T>(text: &str, take: impl FnOnce(&mut PayloadReader<'_>) -> T) -> (T, Vec<String>) {
        let mut reader = PayloadReader::new(text);
        let value = take(&mut reader);
        (value, reader.findings.into_iter().map(|finding| finding.code.into_owned()).collect())
    }

    #[test]
    fn scalars_change_their_type_when_they_must() {
        assert_eq!(read("\"7\"", |r| r.integer("n").ok()), (Some(7), vec![]));
        assert_eq!(read("100.0", |r| r.integer("n").ok()), (Some(100), vec![]));
        assert_eq!(read("9223372036854775807", |r| r.integer("n").ok()), (Some(i64::MAX), vec![]));
        assert_eq!(read("1.5", |r| r.integer("n").ok()), (None, vec!["field-unreadable".to_owned()]));
        assert_eq!(read("99999999999999999999", |r| r.integer("n").ok()), (None, vec!["field-unreadable".to_owned()]));
        assert_eq!(read("\"\"", |r| r.integer("n")), (Field::Absent, vec![]));
        assert_eq!(read("-3", |r| r.evse_or_connector("n").ok()), (None, vec!["field-unreadable".to_owned()]));
        assert_eq!(read("\"True\"", |r| r.flag("f")), (true, vec![]));
        assert_eq!(read("0", |r| r.flag("f")), (false, vec![]));
        assert_eq!(read("{}", |r| r.flag("f")), (false, vec!["field-unreadable".to_owned()]));
        assert_eq!(read("17", |r| r.text("t").filled()), (Some("17".to_owned()), vec![]));
        assert_eq!(read("[1]", |r| r.text("t").filled()), (None, vec!["field-unreadable".to_owned()]));
        assert_eq!(read("null", |r| r.text("t").filled()), (None, vec![]));
        assert_eq!(read("\" \"", |r| r.decimal("d")), (Field::Absent, vec![]));
        assert_eq!(read("\"1,5\"", |r| r.decimal("d").ok()), (Some("1.5".parse().unwrap()), vec!["number-comma".to_owned()]));
        assert_eq!(read("\"\"", |r| r.time("t")), (Field::Absent, vec![]));
        assert_eq!(read("1699999999", |r| r.time("t")), (Field::Unreadable, vec!["field-unreadable".to_owned()]));
    }

    #[test]
    fn a_finding_never_shows_what_may_be_a_token() {
        let mut reader = PayloadReader::new(r#"{"idTag":{"id":"04A1B2C3"}}"#);
        reader.object("", |r, key| drop(r.text(key)));
        assert_eq!(reader.findings[0].detail, "idTag: not a text");
    }

    #[test]
    fn findings_are_bounded() {
        let mut reader = PayloadReader::new("0");
        for _ in 0..1000 {
            reader.note("time-odd", "");
        }
        assert_eq!(reader.findings.len(), MAX_FINDINGS);
        assert_eq!(reader.findings[MAX_FINDINGS - 1].code, "findings-cut");
    }
}
