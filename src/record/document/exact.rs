//! Decimals and instants as a record writes them: [`Number`] bare, as OCPI asks; [`Quoted`] in a string; [`Stamp`] RFC 3339 UTC.
//!
//! All three keep the digits: `0.30` stays `0.30`. A reader that keeps numbers as doubles loses digits of a bare number,
//! which is why only `cdr` has them.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use rust_decimal::RoundingStrategy;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::units::{Decimal, Finding, Time, time};

/// A JSON number with its exact digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(pub Decimal);

/// A decimal in a JSON string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quoted(pub Decimal);

/// An instant in a JSON string, always with `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub Time);

/// Hours of a number of milliseconds, to a millionth (3.6 ms): OCPI counts time in decimal hours, most of which do not end.
pub fn hours(millis: i64) -> Decimal {
    let exact = Decimal::from(millis) / Decimal::from(3_600_000);
    exact.round_dp_with_strategy(6, RoundingStrategy::MidpointAwayFromZero).normalize()
}

/// The decimal's own digits; there is no negative zero.
fn digits(value: Decimal) -> String {
    if value.is_zero() { value.abs().to_string() } else { value.to_string() }
}

/// Plain decimal notation only, every digit kept: no exponent, no digit grouping, no leading `+`.
fn parse(text: &str) -> Option<Decimal> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'.');
    if plain { Decimal::from_str_exact(text).ok() } else { None }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&digits(self.0))
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&digits(self.0))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(digits(self.0)).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let short = || raw.get().chars().take(40).collect::<String>();
        parse(raw.get()).map(Self).ok_or_else(|| D::Error::custom(format!("{} is not a plain decimal number", short())))
    }
}

impl Serialize for Quoted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digits(self.0))
    }
}

impl<'de> Deserialize<'de> for Quoted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let short = || text.chars().take(40).collect::<String>();
        parse(&text).map(Self).ok_or_else(|| D::Error::custom(format!("\"{}\" is not a plain decimal", short())))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time::rfc3339(self.0))
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let utc = text.ends_with('Z').then(|| DateTime::parse_from_rfc3339(&text).ok()).flatten();
        let refusal = || D::Error::custom(format!("\"{text}\" is not an RFC 3339 time in UTC"));
        utc.map(|instant| Self(instant.with_timezone(&Utc))).ok_or_else(refusal)
    }
}

/// Findings read back have their codes as text.
pub(super) fn findings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Finding>, D::Error> {
    #[derive(Deserialize)]
    struct Entry {
        code: String,
        detail: String,
    }
    let entries = Vec::<Entry>::deserialize(deserializer)?;
    Ok(entries.into_iter().map(|entry| Finding { code: Cow::Owned(entry.code), detail: entry.detail }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_survive_both_ways() {
        for text in ["0.30", "-12.500", "0", "123456789012345678.123456789", "0.1"] {
            let number: Number = serde_json::from_str(text).expect("number");
            assert_eq!(serde_json::to_string(&number).expect("json"), text);
            let quoted: Quoted = serde_json::from_str(&format!("\"{text}\"")).expect("quoted");
            assert_eq!(serde_json::to_string(&quoted).expect("json"), format!("\"{text}\""));
        }
        assert_eq!(serde_json::to_string(&Number(-Decimal::new(0, 2))).expect("json"), "0.00");
    }

    #[test]
    fn other_notations_are_refused() {
        for text in ["1e3", "\"1\"", "true", "0.00000000000000000000000000000000001"] {
            assert!(serde_json::from_str::<Number>(text).is_err(), "{text}");
        }
        for text in ["\"1_0\"", "\"+1\"", "\"1e3\"", "\"\"", "1"] {
            assert!(serde_json::from_str::<Quoted>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Stamp>("\"2026-11-21T10:00:00+01:00\"").is_err());
    }

    #[test]
    fn hours_to_a_millionth() {
        assert_eq!(hours(2_400_000).to_string(), "0.666667");
        assert_eq!(hours(3_600_000).to_string(), "1");
        assert_eq!(hours(0).to_string(), "0");
    }
}
