//! Text from outside, made safe to print: one place for terminal, log and CSV.
//!
//! What is escaped could move the cursor, start a line, hide itself or change the order in which a person reads: control
//! characters (C0, DEL, C1), line and paragraph separators, the bidirectional controls of Unicode (UAX #9), and characters
//! without width. Everything else stays as it is, other scripts and emoji included. Deliberately not undone: two texts may
//! print alike when one of them contains the escape itself as plain text; what a program reads back is JSON.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with every character that is not harmless written out: `\n`, `\x1b`, `\u{202e}`. Borrowed when there is none.
pub fn printable(text: &str) -> Cow<'_, str> {
    // Nearly every text is plain ASCII: one pass over bytes, without decoding.
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.find(is_unprintable) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a String cannot fail.
            c if is_unprintable(c) && c.is_ascii() => drop(write!(out, "\\x{:02x}", u32::from(c))),
            c if is_unprintable(c) => drop(write!(out, "\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Characters that must not reach a terminal, a log or a name as they are.
pub fn is_unprintable(c: char) -> bool {
    // C0, DEL and C1.
    c.is_control()
        || matches!(c,
            // Bidirectional marks, embeddings, overrides, isolates.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separator.
            | '\u{2028}' | '\u{2029}'
            // Without width, or deprecated format controls. (U+200C and U+200D join letters and emoji, and still hide.)
            | '\u{00ad}' | '\u{034f}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_printed_moves_hides_or_turns_round() {
        for (text, wanted) in [
            ("CP-1 Zürich 充电 🔌", "CP-1 Zürich 充电 🔌"),
            ("a\nb\r\tc\0", "a\\nb\\r\\tc\\x00"),
            ("\u{1b}[2J\u{7}\u{7f}", "\\x1b[2J\\x07\\x7f"),
            ("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}"),
            ("\u{202e}1-PC\u{2066}\u{200f}\u{61c}", "\\u{202e}1-PC\\u{2066}\\u{200f}\\u{61c}"),
            ("é\u{2028}\u{2029}\u{200b}\u{feff}\u{e0041}", "é\\u{2028}\\u{2029}\\u{200b}\\u{feff}\\u{e0041}"),
        ] {
            assert_eq!(printable(text), wanted);
            assert!(!printable(text).chars().any(is_unprintable));
        }
        assert!(matches!(printable("plain"), Cow::Borrowed(_)) && matches!(printable("Zürich"), Cow::Borrowed(_)));
    }
}
