//! Exact reading of JSON: a number keeps the digits it was written with, a member is found by its JSON pointer.
//! `serde_json::Value` would pass `12.30` through a float; money must not.

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde_json::value::RawValue;

/// The raw text at `pointer` (RFC 6901 without escapes: no member of ours holds `/` or `~`).
pub fn at<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
    pointer.split('/').skip(1).try_fold(text, |text, step| {
        if text.trim_start().starts_with('[') {
            let items: Vec<&'a RawValue> = serde_json::from_str(text).ok()?;
            items.get(step.parse::<usize>().ok()?).map(|raw| raw.get())
        } else {
            members(text)?.get(step).map(|raw| raw.get())
        }
    })
}

/// The string at `pointer`; `None` when it is absent or not a string.
pub fn string(text: &str, pointer: &str) -> Option<String> {
    serde_json::from_str(at(text, pointer)?).ok()
}

/// The integer at `pointer`.
pub fn integer(text: &str, pointer: &str) -> Option<i64> {
    at(text, pointer)?.parse().ok()
}

/// The decimal at `pointer`, a JSON number or a decimal string, to its last digit.
pub fn decimal(text: &str, pointer: &str) -> Option<Decimal> {
    let raw = at(text, pointer)?;
    let digits = raw.trim_matches('"');
    if digits.contains(['e', 'E']) { Decimal::from_scientific(digits).ok() } else { Decimal::from_str_exact(digits).ok() }
}

/// True when the member is missing or `null`.
pub fn absent(text: &str, pointer: &str) -> bool {
    at(text, pointer).is_none_or(|raw| raw == "null")
}

/// The items of the array at `pointer`, each as raw text; empty when there is none.
pub fn items<'a>(text: &'a str, pointer: &str) -> Vec<&'a str> {
    let array = at(text, pointer).and_then(|raw| serde_json::from_str::<Vec<&'a RawValue>>(raw).ok());
    array.unwrap_or_default().into_iter().map(RawValue::get).collect()
}

fn members(text: &str) -> Option<HashMap<String, &RawValue>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[test]
    fn digits_survive() {
        let text = r#"{"cdr": {"total_cost": {"excl_vat": 12.30, "incl_vat": "14.637"}}, "lines": [{"n": 1}, {"n": 1e-2}]}"#;
        assert_eq!(at(text, "/cdr/total_cost/excl_vat"), Some("12.30"));
        assert_eq!(decimal(text, "/cdr/total_cost/incl_vat"), Some(Decimal::from_str("14.637").unwrap()));
        assert_eq!(decimal(text, "/lines/1/n"), Some(Decimal::from_str("0.01").unwrap()));
        assert_eq!(items(text, "/lines").len(), 2);
        assert_eq!(at(text, "/lines/2/n"), None);
        assert!(absent(text, "/cdr/none"));
    }
}
