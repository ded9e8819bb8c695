//! A pull reader over JSON text: one pass, nothing built, nothing copied unless a string has escapes.
//!
//! It trusts its text to be JSON (the frame reader let `serde_json` check all of it) and is still total: on any other text it
//! ends without panic and without an endless loop, which also lets it salvage the head of a broken frame.
//! It is not recursive, so nesting depth costs nothing.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// One JSON value as it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    /// Its digits, untouched.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// An object or array, untouched.
    Nested(&'a str),
}

impl<'a> Token<'a> {
    /// Reads the one value that `raw` holds.
    pub(super) fn of(raw: &'a str) -> Self {
        match raw.as_bytes().first() {
            Some(b'"') => Self::Text(unquote(raw)),
            Some(b'{' | b'[') => Self::Nested(raw),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number(raw),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is not white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Steps into an object or array; `false` (and no step) when something else stands here.
    pub(super) fn open(&mut self, bracket: u8) -> bool {
        let here = self.peek() == Some(bracket);
        self.at += usize::from(here);
        here
    }

    /// The next key of the object we are in; its value must be taken before the next call. `None` steps out of the object.
    pub(super) fn key(&mut self) -> Option<Cow<'a, str>> {
        while self.peek()? == b',' {
            self.at += 1;
        }
        if self.peek()? != b'"' {
            self.at += 1;
            return None;
        }
        let key = self.string();
        if self.peek() == Some(b':') {
            self.at += 1;
        }
        Some(key)
    }

    /// Whether the array we are in has another element, which must be taken before the next call. `false` steps out of the array.
    pub(super) fn item(&mut self) -> bool {
        match self.peek() {
            None => false,
            Some(b']') => {
                self.at += 1;
                false
            }
            Some(b',') => {
                self.at += 1;
                true
            }
            Some(_) => true,
        }
    }

    pub(super) fn token(&mut self) -> Token<'a> {
        if self.peek() == Some(b'"') { Token::Text(self.string()) } else { Token::of(self.raw()) }
    }

    /// Takes the string that stands here.
    fn string(&mut self) -> Cow<'a, str> {
        let start = self.at;
        let plain = self.pass_string();
        let raw = self.text.get(start..self.at).unwrap_or("");
        if plain { Cow::Borrowed(between_quotes(raw)) } else { unquote(raw) }
    }

    /// Takes the value that stands here, whatever it is, and gives its text.
    pub(super) fn raw(&mut self) -> &'a str {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => {
                self.pass_string();
            }
            Some(b'{' | b'[') => self.pass_nested(),
            _ => self.pass_atom(),
        }
        self.text.get(start..self.at).unwrap_or("")
    }

    /// Passes the string that starts here and says whether it is free of escapes.
    fn pass_string(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let (mut at, mut plain) = (self.at + 1, true);
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    plain = false;
                    at += 1;
                }
                _ => {}
            }
        }
        self.at = at.min(bytes.len());
        plain
    }

    fn pass_nested(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'"' => {
                    self.pass_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    fn pass_atom(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or(&[]);
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b':' | b' ' | b'\t' | b'\n' | b'\r');
        self.at += match rest.iter().position(ends) {
            // Only in text that is not JSON: give up rather than stand still.
            None | Some(0) => rest.len(),
            Some(length) => length,
        };
    }
}

/// The content of a JSON string. A string that Unicode cannot hold (half a surrogate pair) is kept in its escaped spelling.
fn unquote(raw: &str) -> Cow<'_, str> {
    let inner = between_quotes(raw);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(inner), Cow::Owned)
}

fn between_quotes(raw: &str) -> &str {
    raw.get(1..raw.len().saturating_sub(1)).unwrap_or("")
}

/// Whether the text is exactly one JSON value.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_objects_and_arrays_in_one_pass() {
        let mut json = Cursor::new(r#" { "a" : [ 1 , {"x":"]"} , [] ] ,"b":null,"\u0063":-1.50e3 } "#);
        assert!(json.open(b'{'));
        assert_eq!(json.key().as_deref(), Some("a"));
        assert!(json.open(b'['));
        let mut items = Vec::new();
        while json.item() {
            items.push(json.token());
        }
        assert_eq!(items, [Token::Number("1"), Token::Nested(r#"{"x":"]"}"#), Token::Nested("[]")]);
        assert_eq!(json.key().as_deref(), Some("b"));
        assert_eq!(json.token(), Token::Null);
        assert_eq!(json.key().as_deref(), Some("c"));
        assert_eq!(json.token(), Token::Number("-1.50e3"));
        assert_eq!(json.key(), None);
    }

    #[test]
    fn strings_keep_their_content() {
        assert_eq!(Token::of(r#""a\"b\\""#), Token::Text("a\"b\\".into()));
        assert_eq!(Token::of(r#""\ud83d\ude00 ü""#), Token::Text("😀 ü".into()));
        assert_eq!(Token::of(r#""\ud83d""#), Token::Text(r"\ud83d".into()));
    }

    #[test]
    fn text_that_is_not_json_ends() {
        for text in ["", "{", "[", "[1", "{\"a", "{\"a\\", "{\"a\":", "}", "{:,}", "[,,,", "{\"a\" 1}", "\u{fffd}"] {
            let mut json = Cursor::new(text);
            json.open(b'{');
            let mut steps = 0;
            while json.key().is_some() {
                json.raw();
                steps += 1;
            }
            let mut json = Cursor::new(text);
            json.open(b'[');
            while json.item() && steps < 100 {
                json.raw();
                steps += 1;
            }
            assert!(steps < 100, "{text}");
        }
    }
}
