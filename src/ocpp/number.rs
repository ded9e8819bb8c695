//! Numbers as exact decimals, straight from their digits (docs/quirks.md Q31).
//!
//! Accepted: a sign, leading zeros, a point or a single comma, an exponent. Not accepted: NaN, infinities, separators, units.
//! Limits are those of [`Decimal`]: 28 decimal places, 96 bits of digits. Fraction digits beyond that are cut and said so; a
//! number too large is not read.

use crate::units::Decimal;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) value: Decimal,
    /// A comma stood for the decimal point.
    pub(super) comma: bool,
    /// Digits other than zero were cut.
    pub(super) rounded: bool,
}

/// The largest mantissa of a [`Decimal`].
const MAX_MANTISSA: u128 = (1 << 96) - 1;
const MAX_SCALE: i64 = 28;

pub(super) fn parse(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (mut mantissa, mut scale) = (0_u128, 0_i64);
    let (mut seen_digit, mut in_fraction, mut full) = (false, false, false);
    let (mut comma, mut rounded) = (false, false);
    let mut exponent = 0_i64;
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                seen_digit = true;
                let digit = u128::from(byte - b'0');
                let next = mantissa * 10 + digit;
                if !full && next <= MAX_MANTISSA && scale < MAX_SCALE {
                    mantissa = next;
                    scale += i64::from(in_fraction);
                } else if in_fraction {
                    full = true;
                    rounded |= digit != 0;
                } else {
                    return None;
                }
            }
            b'.' | b',' if !in_fraction => {
                in_fraction = true;
                comma = *byte == b',';
            }
            b'e' | b'E' if seen_digit => {
                exponent = parse_exponent(digits.get(at + 1..)?)?;
                break;
            }
            _ => return None,
        }
    }
    if !seen_digit {
        return None;
    }
    let signed = i128::try_from(mantissa).ok()?;
    let value = scaled(if negative { -signed } else { signed }, scale - exponent)?;
    Some(Number { value, comma, rounded })
}

fn parse_exponent(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse::<i16>().ok().map(i64::from)
}

/// `mantissa` · 10^-`scale`, exactly, or `None`.
fn scaled(mut mantissa: i128, mut scale: i64) -> Option<Decimal> {
    if mantissa == 0 {
        let zeros = u32::try_from(scale.clamp(0, MAX_SCALE)).ok()?;
        return Some(Decimal::new(0, zeros));
    }
    while scale < 0 {
        mantissa = mantissa.checked_mul(10).filter(|grown| grown.unsigned_abs() <= MAX_MANTISSA)?;
        scale += 1;
    }
    while scale > MAX_SCALE && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    Decimal::try_from_i128_with_scale(mantissa, u32::try_from(scale).ok()?).ok()
}

/// `value` · 10^`power`, exactly, or `None`.
pub(super) fn times_ten_to(value: Decimal, power: i64) -> Option<Decimal> {
    if power == 0 {
        return Some(value);
    }
    scaled(value.mantissa(), i64::from(value.scale()) - power)
}

/// The integer that `value` is, if it is one.
pub(super) fn whole(value: Decimal) -> Option<i64> {
    use rust_decimal::prelude::ToPrimitive;
    value.fract().is_zero().then(|| value.to_i64()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> Option<String> {
        parse(text).map(|number| number.value.to_string())
    }

    #[test]
    fn every_spelling_keeps_its_digits() {
        let zeros = format!("12.5{}", "0".repeat(60));
        let tail = format!("0.{}", "3".repeat(40));
        for (text, expected) in [
            ("0", Some("0")),
            ("-0.00", Some("0.00")),
            ("+7", Some("7")),
            ("007", Some("7")),
            (".5", Some("0.5")),
            ("1.6250000000000002", Some("1.6250000000000002")),
            ("755295.010", Some("755295.010")),
            ("4296944685", Some("4296944685")),
            ("1.5e3", Some("1500")),
            ("12E-4", Some("0.0012")),
            ("0e999", Some("0")),
            ("1e40", None),
            ("1e-40", None),
            ("1e99999999999", None),
            ("1,25", Some("1.25")),
            ("1.234,5", None),
            ("1_000", None),
            ("0x10", None),
            ("NaN", None),
            ("Infinity", None),
            ("-", None),
            ("", None),
            ("1 2", None),
            ("e5", None),
            ("79228162514264337593543950335", Some("79228162514264337593543950335")),
            ("79228162514264337593543950336", None),
        ] {
            assert_eq!(value(text).as_deref(), expected, "{text}");
        }
        assert_eq!(
            parse(&zeros).map(|number| (number.value.normalize().to_string(), number.rounded)),
            Some(("12.5".to_owned(), false))
        );
        assert!(parse(&tail).unwrap().rounded);
        assert!(parse("1,5").unwrap().comma);
    }

    #[test]
    fn powers_of_ten_are_exact_or_refused() {
        let kwh: Decimal = "1234.5678901".parse().unwrap();
        assert_eq!(times_ten_to(kwh, 3).unwrap().to_string(), "1234567.8901");
        assert_eq!(times_ten_to(kwh, -3).unwrap().to_string(), "1.2345678901");
        assert_eq!(times_ten_to(Decimal::ONE, 29), None);
        assert_eq!(times_ten_to(Decimal::ONE, -29), None);
        assert_eq!(times_ten_to(Decimal::ZERO, 99), Some(Decimal::ZERO));
    }

    proptest! {
        #[test]
        fn decimals_survive(mantissa in any::<i64>(), scale in 0_u32..=20) {
            let number = Decimal::new(mantissa, scale);
            prop_assert_eq!(parse(&number.to_string()).map(|read| read.value.to_string()), Some(number.to_string()));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn numbers_like_text_are_read_or_refused(text in "[-+]?[0-9.,eE]{0,60}[-+]?[0-9]{0,6}") {
            let _ = parse(&text);
        }
    }
}
