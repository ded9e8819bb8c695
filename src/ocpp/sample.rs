//! MeterValue and SampledValue of all versions → [`Reading`] and [`Sample`] (1.6 §7.33 and §7.43, 2.0.1 J01 and J02).
//!
//! One reader serves 1.6 (`value` a text, `unit`, `format`) and 2.x (`value` a number, `unitOfMeasure`, `signedMeterValue`):
//! the fields differ, so nothing is ambiguous, and stations that mix the two are read too (docs/quirks.md Q94).
//! A sample that cannot be read is left out with a finding: missing is not zero, and it never takes its message along
//! (docs/quirks.md Q93).
//! Not done: no plausibility, no sums over phases, no guess at a wrong kWh label (docs/quirks.md Q101,
//! Q110, Q128); that needs the session.

use std::borrow::Cow;

use super::json::Token;
use super::lenient::{Field, PayloadReader};
use super::number::times_ten_to;
use super::quantity::{Quantity, Unit};
use crate::fact::{Context, LinePhase, Location, Measurand, Reading, Sample, Value};
use crate::units::Decimal;

/// A SampledValue as sent.
#[derive(Default)]
struct Wire<'a> {
    value: Option<Token<'a>>,
    measurand: Option<Cow<'a, str>>,
    context: Option<Cow<'a, str>>,
    location: Option<Cow<'a, str>>,
    phase: Option<Cow<'a, str>>,
    unit: Option<Cow<'a, str>>,
    multiplier: Field<i64>,
    /// 1.6 `format` is SignedData.
    signed_format: bool,
    /// 2.x `signedMeterValue`, raw.
    signed: Option<&'a str>,
}

/// Room made for samples at once: what most stations send per MeterValue.
const USUAL_SAMPLES: usize = 8;
/// MeterValues in a message for which there is room to spare; a message of a million bytes can hold 30,000.
const USUAL_READINGS: usize = 64;

/// Reads a list of MeterValue; adds to `readings`, so that a field sent twice loses nothing.
pub(super) fn readings(r: &mut PayloadReader<'_>, path: &str, readings: &mut Vec<Reading>) {
    r.list(path, |r| {
        let mut measured_at = Field::Absent;
        let mut samples = Vec::with_capacity(USUAL_SAMPLES);
        let is_object = r.object(path, |r, key| match key {
            "timestamp" => measured_at = r.time("meterValue.timestamp"),
            "sampledValue" => r.list("sampledValue", |r| sample(r, &mut samples)),
            _ => r.skip(),
        });
        if !is_object {
            return;
        }
        if readings.len() >= USUAL_READINGS {
            samples.shrink_to_fit();
        }
        readings.push(Reading { measured_at: measured_at.expected(r, "meterValue.timestamp"), samples });
    });
}

fn sample(r: &mut PayloadReader<'_>, samples: &mut Vec<Sample>) {
    let mut wire = Wire::default();
    let is_object = r.object("sampledValue", |r, key| match key {
        "value" => wire.value = Some(r.token()),
        "measurand" => wire.measurand = r.text(key).ok(),
        "context" => wire.context = r.text(key).ok(),
        "location" => wire.location = r.text(key).ok(),
        "phase" => wire.phase = r.text(key).ok(),
        "unit" => wire.unit = r.text(key).ok(),
        "format" => wire.signed_format = r.text(key).ok().is_some_and(|format| format.trim().eq_ignore_ascii_case("SignedData")),
        "unitOfMeasure" if r.at_object() => {
            r.object(key, |r, key| match key {
                "unit" => wire.unit = r.text(key).ok(),
                "multiplier" => wire.multiplier = r.integer(key),
                _ => r.skip(),
            });
        }
        "unitOfMeasure" => wire.unit = r.text(key).ok(),
        "signedMeterValue" => wire.signed = r.raw().filter(|raw| !matches!(*raw, "{}" | "\"\"")),
        _ => r.skip(),
    });
    if is_object {
        normalise(r, &wire, samples);
    }
}

fn normalise(r: &mut PayloadReader<'_>, wire: &Wire<'_>, samples: &mut Vec<Sample>) {
    let unit_name = name(&wire.unit);
    let unit = unit_name.and_then(Unit::named);
    let (measurand, phase) = measurand_and_phase(r, wire, unit_name, unit);
    let context = name(&wire.context).map(Context::from_wire).unwrap_or_default();
    let location = name(&wire.location).map(Location::from_wire).unwrap_or_default();
    let value = if wire.signed_format {
        signed_text(wire.value.as_ref())
    } else {
        number(r, wire.value.as_ref(), &measurand).and_then(|value| in_base_unit(r, value, wire, unit_name, unit, &measurand))
    };
    let signed = wire.signed.map(|raw| Value::Signed(raw.into()));
    if value.is_none() && signed.is_none() {
        r.note("sample-skipped", format!("{}: no usable value", measurand.as_str()));
    }
    for value in value.into_iter().chain(signed) {
        samples.push(Sample {
            measurand: measurand.clone(),
            context: context.clone(),
            location: location.clone(),
            phase: phase.clone(),
            value,
        });
    }
}

/// A name without surrounding white space; an empty one is none.
fn name<'a>(text: &'a Option<Cow<'_, str>>) -> Option<&'a str> {
    text.as_deref().map(str::trim).filter(|name| !name.is_empty())
}

/// 1.6 SignedData: the content of the text, or the raw JSON of what stands in its place; `None` when empty.
fn signed_text(value: Option<&Token<'_>>) -> Option<Value> {
    match value? {
        Token::Text(text) if !text.is_empty() => Some(Value::Signed(text.as_ref().into())),
        Token::Nested(raw) | Token::Number(raw) => Some(Value::Signed((*raw).into())),
        _ => None,
    }
}

fn number(r: &mut PayloadReader<'_>, value: Option<&Token<'_>>, measurand: &Measurand) -> Option<Decimal> {
    r.decimal_of(measurand.as_str(), value?).ok()
}

/// The measurand, with a phase suffix taken off (`Voltage.L1`, docs/quirks.md Q92), and the phase. Without a measurand, energy is
/// meant only if the unit is one of energy or absent (Q91).
fn measurand_and_phase(
    r: &mut PayloadReader<'_>,
    wire: &Wire<'_>,
    unit_name: Option<&str>,
    unit: Option<Unit>,
) -> (Measurand, LinePhase) {
    let phase = name(&wire.phase).map(LinePhase::from_wire).unwrap_or_default();
    let Some(measurand_name) = name(&wire.measurand) else {
        let measurand = match (unit, unit_name) {
            (None, None) => Measurand::default(),
            (Some(unit), _) => unit.quantity.likely_measurand(),
            (None, Some(_)) => Measurand::Other("".into()),
        };
        if measurand != Measurand::default() {
            r.note("measurand-assumed", format!("no measurand, unit {}", unit_name.unwrap_or_default()));
        }
        return (measurand, phase);
    };
    let measurand = Measurand::from_wire(measurand_name);
    if let (Measurand::Other(_), Some((stem, suffix))) = (&measurand, measurand_name.rsplit_once('.')) {
        let (stem, suffix) = (Measurand::from_wire(stem), LinePhase::from_wire(suffix));
        if !matches!(stem, Measurand::Other(_)) && !matches!(suffix, LinePhase::Other(_) | LinePhase::Total) {
            return (stem, if phase == LinePhase::Total { suffix } else { phase });
        }
    }
    (measurand, phase)
}

fn in_base_unit(
    r: &mut PayloadReader<'_>,
    value: Decimal,
    wire: &Wire<'_>,
    unit_name: Option<&str>,
    unit: Option<Unit>,
    measurand: &Measurand,
) -> Option<Value> {
    let multiplier = match wire.multiplier {
        Field::Absent => 0,
        Field::Read(power) => power,
        // Without its power of ten a number says nothing.
        Field::Unreadable => return None,
    };
    let quantity = Quantity::of(measurand);
    let base = match (unit, quantity) {
        (Some(unit), Some(quantity)) => {
            if unit.quantity != quantity {
                r.note("unit-mismatch", format!("{} in {}", measurand.as_str(), unit_name.unwrap_or_default()));
            }
            if unit.scales(quantity) { unit.to_base(value, multiplier) } else { times_ten_to(value, multiplier) }
        }
        (Some(unit), None) => unit.to_base(value, multiplier),
        (None, quantity) => {
            if let (Some(name), Some(_)) = (unit_name, quantity) {
                r.note("unit-unknown", format!("{} in {}", measurand.as_str(), name.chars().take(20).collect::<String>()));
            }
            times_ten_to(value, multiplier)
        }
    };
    base.map(Value::Number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// One sampled value as a line: measurand, phase, context, location, value; then the finding codes.
    fn line(json: &str) -> String {
        let text = format!(r#"[{{"timestamp":"2026-11-21T13:07:00Z","sampledValue":[{json}]}}]"#);
        let mut reader = PayloadReader::new(&text);
        let mut list = Vec::new();
        readings(&mut reader, "meterValue", &mut list);
        let show = |sample: &Sample| {
            let value = match &sample.value {
                Value::Number(number) => number.to_string(),
                Value::Signed(text) => format!("signed {text}"),
            };
            let names = [sample.measurand.as_str(), sample.phase.as_str(), sample.context.as_str(), sample.location.as_str()];
            format!("{} = {value}", names.join(" "))
        };
        let mut parts: Vec<String> = list[0].samples.iter().map(show).collect();
        parts.extend(reader.findings.iter().map(|finding| format!("!{}", finding.code)));
        parts.join("; ")
    }

    #[test]
    fn every_quirk_of_a_sample() {
        const REGISTER: &str = "Energy.Active.Import.Register  Sample.Periodic Outlet";
        for (json, expected) in [
            // Defaults; texts and numbers; units.
            (r#"{"value":"4120"}"#, format!("{REGISTER} = 4120")),
            (r#"{"value":604.213,"unit":"Wh"}"#, format!("{REGISTER} = 604.213")),
            (r#"{"value":" 12.50 ","unit":"kWh "}"#, format!("{REGISTER} = 12500")),
            (r#"{"value":12.5,"unitOfMeasure":{"unit":"Wh","multiplier":3}}"#, format!("{REGISTER} = 12500")),
            (r#"{"value":12.5,"unitOfMeasure":{"multiplier":-1}}"#, format!("{REGISTER} = 1.25")),
            (r#"{"value":1.5,"unitOfMeasure":"kWh"}"#, format!("{REGISTER} = 1500")),
            (r#"{"value":"1,5","unit":"kWh"}"#, format!("{REGISTER} = 1500; !number-comma")),
            (
                r#"{"value":"7.4","unit":"kW","measurand":"Power.Active.Import","context":"Trigger","location":"Body"}"#,
                "Power.Active.Import  Trigger Body = 7400".into(),
            ),
            (r#"{"value":"50","unit":"Hertz","measurand":"Frequency"}"#, "Frequency  Sample.Periodic Outlet = 50".into()),
            (r#"{"value":"0.98","measurand":"Power.Factor"}"#, "Power.Factor  Sample.Periodic Outlet = 0.98".into()),
            (r#"{"value":3,"unit":"kWh","measurand":"CableLoss"}"#, "CableLoss  Sample.Periodic Outlet = 3000".into()),
            // Names.
            (r#"{"value":"231","measurand":"Voltage.L1","unit":"V"}"#, "Voltage L1 Sample.Periodic Outlet = 231".into()),
            (r#"{"value":"231","measurand":"Voltage\n","phase":"l1-n"}"#, "Voltage L1-N Sample.Periodic Outlet = 231".into()),
            (r#"{"value":"231","measurand":"Voltage.Peak"}"#, "Voltage.Peak  Sample.Periodic Outlet = 231".into()),
            (
                r#"{"value":"1","phase":"L4","context":"","unit":null}"#,
                "Energy.Active.Import.Register L4 Sample.Periodic Outlet = 1".into(),
            ),
            // No measurand, no energy.
            (r#"{"value":"16","unit":"A"}"#, "Current.Import  Sample.Periodic Outlet = 16; !measurand-assumed".into()),
            (r#"{"value":"16","unit":"lx"}"#, "  Sample.Periodic Outlet = 16; !measurand-assumed".into()),
            // Units that do not fit.
            (
                r#"{"value":"3500","unit":"Wh","measurand":"Power.Active.Import"}"#,
                "Power.Active.Import  Sample.Periodic Outlet = 3500; !unit-mismatch".into(),
            ),
            (
                r#"{"value":"3","unit":"kW","measurand":"Energy.Active.Import.Register"}"#,
                format!("{REGISTER} = 3000; !unit-mismatch"),
            ),
            (
                r#"{"value":"3","unit":"mA","measurand":"Energy.Active.Import.Register"}"#,
                format!("{REGISTER} = 3; !unit-mismatch"),
            ),
            (
                r#"{"value":"3","unit":"pulses","measurand":"Energy.Active.Import.Register"}"#,
                format!("{REGISTER} = 3; !unit-unknown"),
            ),
            // Values that are none.
            (r#"{"value":""}"#, "!sample-skipped".into()),
            (r#"{"value":null}"#, "!sample-skipped".into()),
            ("{}", "!sample-skipped".into()),
            (r#"{"value":"NaN"}"#, "!field-unreadable; !sample-skipped".into()),
            (r#"{"value":true}"#, "!field-unreadable; !sample-skipped".into()),
            (r#"{"value":5,"unitOfMeasure":{"multiplier":"big"}}"#, "!field-unreadable; !sample-skipped".into()),
            (r#"{"value":5,"unitOfMeasure":{"multiplier":9000}}"#, "!sample-skipped".into()),
            ("17", "!field-unreadable".into()),
            // Signed.
            (
                r#"{"value":"OCMF|{\"a\":1}|{}","format":"SignedData"}"#,
                r#"Energy.Active.Import.Register  Sample.Periodic Outlet = signed OCMF|{"a":1}|{}"#.into(),
            ),
            (r#"{"value":"","format":"SignedData"}"#, "!sample-skipped".into()),
            (
                r#"{"value":7,"signedMeterValue":{ "signedMeterData":"YQ==", "n":1.50 }}"#,
                format!(r#"{REGISTER} = 7; {REGISTER} = signed {{ "signedMeterData":"YQ==", "n":1.50 }}"#),
            ),
        ] {
            assert_eq!(line(json), expected, "{json}");
        }
    }

    #[test]
    fn a_meter_value_may_be_an_object_or_empty() {
        for (json, count, codes) in [
            (r#"{"timestamp":"2026-11-21T13:07:00Z","sampledValue":{"value":1}}"#, 1, vec!["list-of-one", "list-of-one"]),
            (r#"[{"timestamp":"2026-11-21T13:07:00Z"}]"#, 0, vec![]),
            (r#"[{"sampledValue":[]}]"#, 0, vec!["field-missing"]),
        ] {
            let mut reader = PayloadReader::new(json);
            let mut list = Vec::new();
            readings(&mut reader, "meterValue", &mut list);
            assert_eq!(list.len(), 1, "{json}");
            assert_eq!(list[0].samples.len(), count, "{json}");
            assert_eq!(reader.findings.iter().map(|finding| finding.code.as_ref()).collect::<Vec<_>>(), codes, "{json}");
        }
    }
}
