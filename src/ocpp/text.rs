//! The text of a data frame. OCPP-J is UTF-8; some stations send names and places in the encoding of their firmware.
//!
//! Bytes that are not UTF-8 are read as Windows-1252, the superset of Latin-1 that such firmware means: each byte becomes one
//! character and different bytes stay different, so that two tags or transactions are never mistaken for one. Inside a JSON
//! string that mends the message; elsewhere the frame stays broken, as it is. Valid UTF-8 around them is kept as it is.
//! Limits: [`MAX_TOLD`] bytes are listed in the finding; the journal keeps the original bytes.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::units::Finding;

const MAX_TOLD: usize = 16;

/// 0x80 to 0x9f as the WHATWG encoding standard has them; the five without a meaning stay control characters.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’', '“', '”',
    '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The text of these bytes; with a finding when they are not UTF-8.
pub fn text(bytes: &[u8]) -> (Cow<'_, str>, Option<Finding>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), None),
        Err(_) => {
            let (text, finding) = mended(bytes);
            (Cow::Owned(text), Some(finding))
        }
    }
}

fn mended(bytes: &[u8]) -> (String, Finding) {
    let mut text = String::with_capacity(bytes.len() + 16);
    let (mut place, mut count, mut told) = (0, 0, String::new());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        place += chunk.valid().len();
        for byte in chunk.invalid() {
            if count < MAX_TOLD {
                // Writing to a String cannot fail.
                let _ = write!(told, "{}{byte:02x} at byte {place}", if count == 0 { "" } else { ", " });
            }
            text.push(character(*byte));
            (place, count) = (place + 1, count + 1);
        }
    }
    if count > MAX_TOLD {
        let _ = write!(told, " and {} more", count - MAX_TOLD);
    }
    (text, Finding::new("invalid-utf8", format!("not UTF-8, read as Windows-1252: {told}")))
}

fn character(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        byte => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_becomes_a_character_of_its_own() {
        let (read, finding) = text(b"[\"M\xfcnchen \x80 \xc3\xbc\xc3\"]");
        assert_eq!(read, "[\"München € üÃ\"]");
        assert_eq!(
            finding.map(|finding| finding.detail).as_deref(),
            Some("not UTF-8, read as Windows-1252: fc at byte 3, 80 at byte 10, c3 at byte 14")
        );
        assert_eq!(text("Zürich".as_bytes()), (Cow::Borrowed("Zürich"), None));
        let all: Vec<u8> = (0x80..=0xff).collect();
        let mut seen: Vec<char> = all.iter().map(|byte| character(*byte)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 128);
        assert!(text(&all).1.is_some_and(|finding| finding.detail.ends_with("and 112 more")));
    }
}
