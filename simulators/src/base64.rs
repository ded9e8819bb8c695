//! Base64 (RFC 4648) in the two alphabets needed here: url-safe without padding for JWS, standard with padding for HTTP
//! Basic. Decoding is strict: no padding, no white space, no stray bits in the last symbol, so that one byte string has
//! exactly one text.

const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// base64url without padding (RFC 7515, appendix C).
pub fn encode_url(bytes: &[u8]) -> String {
    encode(bytes, URL)
}

/// Standard base64 with padding (RFC 7617, HTTP Basic).
pub fn encode_standard(bytes: &[u8]) -> String {
    let mut text = encode(bytes, STANDARD);
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// `None` when the text is not the one base64url text of some bytes.
pub fn decode_url(text: &str) -> Option<Vec<u8>> {
    if text.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0u32);
    for symbol in text.bytes() {
        let value = URL.iter().position(|&s| s == symbol)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    (bits & ((1 << held) - 1) == 0).then_some(bytes)
}

fn encode(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0usize, |word, i| word << 8 | usize::from(chunk.get(i).copied().unwrap_or(0)));
        for symbol in 0..=chunk.len() {
            text.push(char::from(alphabet[word >> (18 - 6 * symbol) & 63]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(encode_standard(plain.as_bytes()), text);
            assert_eq!(decode_url(text.trim_end_matches('=')).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(encode_url(&[0xfb, 0xff, 0xfe]), "-__-");
        assert_eq!(decode_url("-__-"), Some(vec![0xfb, 0xff, 0xfe]));
    }

    #[test]
    fn only_the_one_text_decodes() {
        for wrong in ["Z", "Zg==", "Zh", "Zm9=", "Zm 9", "+/+/"] {
            assert_eq!(decode_url(wrong), None, "{wrong}");
        }
    }
}
