//! The sampled values of one message as one JSON text: small enough to write with every message, plain enough for `json_each`.
//!
//! `[[measured_at_ms, [measurand, "value", phase, context, location], ...], ...]`. Names with a code (see the `name` table) are
//! numbers, others text; trailing zeros (the OCPP defaults) are left out. Signed data is `[measurand, null, phase, context,
//! location, "text"]`.

use std::borrow::Cow;
use std::fmt::{self, Write};

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::fact::{Context, LinePhase, Location, Measurand, Reading, Sample, Value};
use crate::units::time;

/// `None` when there is nothing to keep.
pub fn to_text(readings: &[Reading]) -> Option<String> {
    if readings.iter().all(|reading| reading.samples.is_empty()) {
        return None;
    }
    let mut text = String::with_capacity(32 + 24 * readings.iter().map(|reading| reading.samples.len()).sum::<usize>());
    text.push('[');
    for (place, reading) in readings.iter().enumerate() {
        text.push_str(if place == 0 { "[" } else { ",[" });
        match reading.measured_at {
            Some(at) => drop(write!(text, "{}", time::to_millis(at))),
            None => text.push_str("null"),
        }
        for sample in &reading.samples {
            write_sample(&mut text, sample);
        }
        text.push(']');
    }
    text.push(']');
    Some(text)
}

fn write_sample(text: &mut String, sample: &Sample) {
    text.push_str(",[");
    write_name(text, sample.measurand.code(), sample.measurand.as_str());
    let signed = match &sample.value {
        Value::Number(number) => {
            let _ = write!(text, ",\"{number}\"");
            None
        }
        Value::Signed(data) => {
            text.push_str(",null");
            Some(data)
        }
    };
    let tail = [
        (sample.phase.code(), sample.phase.as_str()),
        (sample.context.code(), sample.context.as_str()),
        (sample.location.code(), sample.location.as_str()),
    ];
    let kept = if signed.is_some() { 3 } else { tail.iter().rposition(|(code, _)| *code != Some(0)).map_or(0, |last| last + 1) };
    for (code, name) in &tail[..kept] {
        text.push(',');
        write_name(text, *code, name);
    }
    if let Some(data) = signed {
        text.push(',');
        write_string(text, data);
    }
    text.push(']');
}

fn write_name(text: &mut String, code: Option<u8>, name: &str) {
    match code {
        Some(code) => drop(write!(text, "{code}")),
        None => write_string(text, name),
    }
}

fn write_string(text: &mut String, value: &str) {
    text.push_str(&Json::from(value).to_string());
}

/// The readings of a stored text. A text that is not ours yields nothing: the raw frame beside it stays the evidence.
pub fn from_text(text: &str) -> Vec<Reading> {
    serde_json::from_str::<Vec<Stored>>(text)
        .map(|stored| stored.into_iter().map(|stored| stored.0).collect())
        .unwrap_or_default()
}

/// `[measured_at, sample, ...]`, read without a JSON tree: a long session has thousands of samples.
struct Stored(Reading);

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Stored;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[time, sample, ...]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Stored, A::Error> {
                let measured_at: Option<i64> = parts.next_element()?.flatten();
                let mut samples = Vec::new();
                while let Some(StoredSample(sample)) = parts.next_element()? {
                    samples.extend(sample);
                }
                Ok(Stored(Reading { measured_at: measured_at.map(time::from_millis), samples }))
            }
        }
        deserializer.deserialize_seq(Parts)
    }
}

/// `None`: a value that does not parse; the others still count.
struct StoredSample(Option<Sample>);

impl<'de> Deserialize<'de> for StoredSample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = StoredSample;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[measurand, value, phase, context, location, signed]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<StoredSample, A::Error> {
                let measurand = parts.next_element::<Name<'_>>()?;
                let number = parts.next_element::<Option<Cow<'_, str>>>()?.flatten();
                let phase = parts.next_element::<Name<'_>>()?;
                let context = parts.next_element::<Name<'_>>()?;
                let location = parts.next_element::<Name<'_>>()?;
                let signed = parts.next_element::<Cow<'_, str>>()?;
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                let value = match (number, signed) {
                    (Some(number), _) => number.parse().ok().map(Value::Number),
                    (None, Some(data)) => Some(Value::Signed(data.as_ref().into())),
                    (None, None) => None,
                };
                Ok(StoredSample(value.map(|value| Sample {
                    measurand: named(measurand, Measurand::from_code, Measurand::from_wire),
                    phase: named(phase, LinePhase::from_code, LinePhase::from_wire),
                    context: named(context, Context::from_code, Context::from_wire),
                    location: named(location, Location::from_code, Location::from_wire),
                    value,
                })))
            }
        }
        deserializer.deserialize_seq(Parts)
    }
}

/// A code or, for names outside our lists, a text.
enum Name<'a> {
    Code(u8),
    Text(Cow<'a, str>),
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a code or a name")
            }
            fn visit_u64<E>(self, code: u64) -> Result<Name<'de>, E> {
                Ok(Name::Code(u8::try_from(code).unwrap_or(u8::MAX)))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name::Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

fn named<T: Default>(name: Option<Name<'_>>, from_code: fn(u8) -> Option<T>, from_text: fn(&str) -> T) -> T {
    match name {
        Some(Name::Code(code)) => from_code(code).unwrap_or_default(),
        Some(Name::Text(text)) => from_text(&text),
        None => T::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_sample_comes_back() {
        let sample = |measurand: &str, value: Value| Sample {
            measurand: Measurand::from_wire(measurand),
            phase: LinePhase::L2,
            context: Context::from_wire("Trigger"),
            location: Location::from_wire("Socket"),
            value,
        };
        let readings = vec![
            Reading {
                measured_at: Some(time::from_millis(1_700_000_000_123)),
                samples: vec![
                    Sample {
                        measurand: Measurand::default(),
                        phase: LinePhase::default(),
                        context: Context::default(),
                        location: Location::default(),
                        value: Value::Number("1234.500".parse().expect("decimal")),
                    },
                    sample("Voltage", Value::Number("-230".parse().expect("decimal"))),
                    sample("Display.\"PresentSOC\"", Value::Signed("OCMF|{\"a\":1}|x".into())),
                ],
            },
            Reading { measured_at: None, samples: vec![sample("SoC", Value::Number("1E-3".parse().unwrap_or_default()))] },
        ];
        let text = to_text(&readings).expect("not empty");
        assert!(text.starts_with("[[1700000000123,[0,\"1234.500\"],[17,\"-230\",2,6,\"Socket\"]"), "{text}");
        assert_eq!(from_text(&text), readings);
        assert_eq!(to_text(&[]), None);
        assert_eq!(from_text("{}"), Vec::new());
    }
}
