//! JSON as text: in another layout, or taken apart member by member. No number in it is read, so each keeps its digits: `1.10` stays `1.10`.
//!
//! What is no JSON comes out of `compact` and `indent` as some other text.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Members of an object in their order, doubled ones too: each is seen by whoever reads the text.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// JSON text without the space between its parts.
pub fn compact(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let keep = |c: &char| {
        let space = !quoted && c.is_ascii_whitespace();
        quoted ^= *c == '"' && !escaped;
        escaped = quoted && *c == '\\' && !escaped;
        !space
    };
    json.chars().filter(keep).collect()
}

/// Pretty-prints JSON text without reading its numbers, so that `1.10` stays `1.10`.
pub fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth * 2));
    };
    let mut characters = json.chars().peekable();
    while let Some(c) = characters.next() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => {
                quoted = true;
                out.push(c);
            }
            '{' | '[' if characters.peek().is_some_and(|next| matches!(next, '}' | ']')) => out.push(c),
            '{' | '[' => {
                depth += 1;
                out.push(c);
                line(&mut out, depth);
            }
            '}' | ']' => {
                if !out.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    line(&mut out, depth);
                }
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indenting_keeps_every_digit_and_every_text() {
        let json = r#"{"a":1.10,"b":["x,{\"y\":[]}",{}],"c":[]}"#;
        let shown = indent(json);
        assert!(shown.contains("\"a\": 1.10,\n"), "{shown}");
        assert!(shown.contains(r#""x,{\"y\":[]}""#), "{shown}");
        let lines = "{ \"a\" : 1.10,\n\t\"b c\\\\\": \"\\\" x\" }";
        assert_eq!(compact(lines), r#"{"a":1.10,"b c\\":"\" x"}"#);
        let reread = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        assert_eq!(reread(&shown), reread(json));
    }
}
