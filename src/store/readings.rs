//! The sampled values of one message as one JSON text: small enough to write with every message, plain enough for `json_each`.
//!
//! `[[measured_at_ms, [measurand, "value", phase, context, location], ...], ...]`. Names with a code (see the `name` table) are
//! numbers, others text; trailing zeros (the OCPP defaults) are left out. Signed data is `[measurand, null, phase, context,
//! location, "text"]`.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::session::{Context, LinePhase, Location, Measurand, Reading, Sample, Value};
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

/// The readings of a stored text. A text that is not ours yields nothing: the raw frame in the journal stays the evidence.
pub fn from_text(text: &str) -> Vec<Reading> {
    let Ok(Json::Array(readings)) = serde_json::from_str(text) else { return Vec::new() };
    readings.iter().filter_map(Json::as_array).map(|reading| read(reading)).collect()
}

fn read(reading: &[Json]) -> Reading {
    Reading {
        measured_at: reading.first().and_then(Json::as_i64).map(time::from_millis),
        samples: reading.iter().skip(1).filter_map(Json::as_array).filter_map(|sample| read_sample(sample)).collect(),
    }
}

fn read_sample(sample: &[Json]) -> Option<Sample> {
    let value = match (sample.get(1)?, sample.get(5)) {
        (Json::String(number), _) => Value::Number(number.parse().ok()?),
        (_, Some(Json::String(data))) => Value::Signed(data.as_str().into()),
        _ => return None,
    };
    Some(Sample {
        measurand: read_name(sample.first(), Measurand::from_code, Measurand::from_wire),
        phase: read_name(sample.get(2), LinePhase::from_code, LinePhase::from_wire),
        context: read_name(sample.get(3), Context::from_code, Context::from_wire),
        location: read_name(sample.get(4), Location::from_code, Location::from_wire),
        value,
    })
}

fn read_name<T: Default>(json: Option<&Json>, from_code: fn(u8) -> Option<T>, from_text: fn(&str) -> T) -> T {
    match json {
        Some(Json::String(text)) => from_text(text),
        Some(Json::Number(code)) => code.as_u64().and_then(|code| from_code(u8::try_from(code).ok()?)).unwrap_or_default(),
        _ => T::default(),
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
