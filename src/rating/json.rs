//! Reading JSON with exact numbers, and with a path in every complaint.
//!
//! A number is taken from its text, so no binary float ever sees it. Lenient: numbers inside strings, exponents, `null` for
//! absent. Strict: doubled members, because one of two prices would be lost without a word.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::tariff::TariffError;
use crate::units::{self, Decimal, MicroA, MilliW, MilliWh, nearest};

/// Largest magnitude of a number. With [`MAX_DECIMALS`] it keeps price × volume within the 28 digits of a decimal, so that
/// products are exact.
const MAX_NUMBER: Decimal = Decimal::from_parts(10_000_000, 0, 0, false, 0);

/// OCPI 2.2.1 numbers have four decimals; two more are tolerated.
const MAX_DECIMALS: u32 = 6;

const NUMBER: &str = "a number up to 10000000 with at most 6 decimals";

/// One JSON value and where it stands.
pub(super) struct Node<'a> {
    path: String,
    raw: &'a RawValue,
}

/// The members of a JSON object, `null` ones left out.
pub(super) struct Members<'a> {
    path: String,
    members: Vec<(String, &'a RawValue)>,
}

impl<'a> Node<'a> {
    pub(super) fn root(raw: &'a RawValue) -> Self {
        Self { path: String::new(), raw }
    }

    pub(super) fn refuse(&self, problem: impl Into<String>, allowed: impl Into<String>) -> TariffError {
        let path = if self.path.is_empty() { "tariff".to_owned() } else { self.path.clone() };
        TariffError::Member { path, problem: problem.into(), allowed: allowed.into() }
    }

    /// The value as written, shortened, for complaints.
    pub(super) fn shown(&self) -> String {
        let text = self.raw.get();
        match text.char_indices().nth(40) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        }
    }

    pub(super) fn members(&self) -> Result<Members<'a>, TariffError> {
        let units::Members(all) = serde_json::from_str(self.raw.get())
            .map_err(|_| self.refuse(format!("{} is not an object", self.shown()), "an object"))?;
        let mut seen = HashSet::with_capacity(all.len());
        if let Some((name, raw)) = all.iter().find(|(name, _)| !seen.insert(name.as_str())) {
            return Err(Node { path: join(&self.path, name), raw }.refuse("appears twice", "each member once"));
        }
        let members = all.into_iter().filter(|(_, raw)| raw.get() != "null").collect();
        Ok(Members { path: self.path.clone(), members })
    }

    pub(super) fn items(&self) -> Result<Vec<Node<'a>>, TariffError> {
        let items: Vec<&'a RawValue> =
            serde_json::from_str(self.raw.get()).map_err(|_| self.refuse(format!("{} is not a list", self.shown()), "a list"))?;
        Ok(items.into_iter().enumerate().map(|(at, raw)| Node { path: format!("{}[{at}]", self.path), raw }).collect())
    }

    pub(super) fn text(&self) -> Result<String, TariffError> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.refuse(format!("{} is not a string", self.shown()), "a string"))
    }

    /// An exact decimal, at most 10 000 000 in magnitude and with at most six decimals.
    pub(super) fn decimal(&self) -> Result<Decimal, TariffError> {
        let number = self.number()?;
        if number.abs() > MAX_NUMBER {
            return Err(self.refuse(format!("{} is too large", self.shown()), NUMBER));
        }
        // Digits are kept as written (0.50 stays 0.50) unless they are a long tail of zeros.
        let number = if number.scale() > MAX_DECIMALS { number.normalize() } else { number };
        if number.scale() > MAX_DECIMALS {
            return Err(self.refuse(format!("{} has {} decimals", self.shown(), number.scale()), NUMBER));
        }
        Ok(number)
    }

    fn number(&self) -> Result<Decimal, TariffError> {
        let raw = self.raw.get();
        let text = if raw.starts_with('"') { self.text()? } else { raw.to_owned() };
        exact(text.trim()).ok_or_else(|| self.refuse(format!("{} is not an exact number", self.shown()), NUMBER))
    }

    /// A decimal that is not negative.
    pub(super) fn amount(&self) -> Result<Decimal, TariffError> {
        let number = self.decimal()?;
        if number.is_sign_negative() && !number.is_zero() {
            return Err(self.refuse(format!("{number} is negative"), "0 or more"));
        }
        Ok(number)
    }

    pub(super) fn energy(&self) -> Result<MilliWh, TariffError> {
        self.fitting(MilliWh::from_wh(self.amount()? * Decimal::ONE_THOUSAND))
    }

    pub(super) fn power(&self) -> Result<MilliW, TariffError> {
        self.fitting(MilliW::from_kw(self.amount()?))
    }

    pub(super) fn current(&self) -> Result<MicroA, TariffError> {
        self.fitting(MicroA::from_amperes(self.amount()?))
    }

    fn fitting<T>(&self, value: Option<T>) -> Result<T, TariffError> {
        value.ok_or_else(|| self.refuse(format!("{} is too large", self.shown()), NUMBER))
    }

    /// A whole number that is not negative; `300.0` counts as whole.
    pub(super) fn whole(&self) -> Result<u32, TariffError> {
        use rust_decimal::prelude::ToPrimitive;
        let number = self.number()?;
        let whole = if number.fract().is_zero() { number.to_u32() } else { None };
        whole.ok_or_else(|| {
            self.refuse(format!("{} does not fit", self.shown()), format!("a whole number from 0 to {}", u32::MAX))
        })
    }
}

impl<'a> Members<'a> {
    pub(super) fn optional(&self, name: &str) -> Option<Node<'a>> {
        let (_, raw) = self.members.iter().find(|(known, _)| known == name)?;
        Some(Node { path: join(&self.path, name), raw })
    }

    pub(super) fn required(&self, name: &str) -> Result<Node<'a>, TariffError> {
        self.optional(name).ok_or_else(|| TariffError::Member {
            path: join(&self.path, name),
            problem: "is missing".to_owned(),
            allowed: "this member is required".to_owned(),
        })
    }

    /// Refuses members outside `known`: what is not understood might change the price.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), TariffError> {
        let Some((name, _)) = self.members.iter().find(|(name, _)| !known.contains(&name.as_str())) else { return Ok(()) };
        Err(TariffError::Member {
            path: join(&self.path, name),
            problem: format!("is not known and cannot be ignored safely{}", did_you_mean(name, known)),
            allowed: known.join(", "),
        })
    }
}

/// ` (did you mean end_time?)`, or nothing.
pub(super) fn did_you_mean(name: &str, known: &[&str]) -> String {
    nearest(name, known.iter().copied()).map_or_else(String::new, |near| format!(" (did you mean {near}?)"))
}

/// The tariff in a file: the object itself, or the only one in a list or in the response of an OCPI tariffs module.
pub(super) fn unwrapped(raw: &RawValue) -> Result<&RawValue, TariffError> {
    let refuse = |problem: String| {
        let allowed = "one Tariff object a file".to_owned();
        Err(TariffError::Member { path: "tariff".to_owned(), problem, allowed })
    };
    if raw.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
        return match items[..] {
            [only] if only.get().starts_with('{') => Ok(only),
            [_, _, ..] => refuse(format!("the file has a list of {} tariffs", items.len())),
            _ => Ok(raw),
        };
    }
    let Ok(units::Members(members)) = serde_json::from_str(raw.get()) else { return Ok(raw) };
    let has = |name: &str| members.iter().any(|(member, _)| member == name);
    if has("elements") {
        return Ok(raw);
    }
    if let Some((_, data)) = members.iter().find(|(name, _)| name == "data") {
        return if data.get().starts_with(['{', '[']) {
            unwrapped(data)
        } else {
            refuse("the response has no tariff".to_owned())
        };
    }
    let what = [("charging_periods", "a CDR or Session"), ("evses", "a Location"), ("status_code", "a response without data")];
    match what.iter().find(|(member, _)| has(member)) {
        Some((_, what)) => refuse(format!("this is {what}, not a Tariff")),
        None => Ok(raw),
    }
}

/// The line, from 1, at which a path such as `elements[1].price_components[0].price` stands in the text of a file; of what is
/// missing, the line of the object that lacks it.
pub(super) fn line_of(text: &str, path: &str) -> Option<usize> {
    let root: &RawValue = serde_json::from_str(text).ok()?;
    let mut at = unwrapped(root).unwrap_or(root);
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        let next = match part.strip_suffix(']') {
            Some(index) => {
                let items: Vec<&RawValue> = serde_json::from_str(at.get()).ok()?;
                index.parse().ok().and_then(|index: usize| items.get(index).copied())
            }
            None => {
                let units::Members(members) = serde_json::from_str(at.get()).ok()?;
                members.into_iter().rev().find(|(name, _)| name == part).map(|(_, raw)| raw)
            }
        };
        let Some(next) = next else { break };
        at = next;
    }
    let offset = (at.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some(text.get(..offset)?.matches('\n').count() + 1)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A decimal without loss of a digit, or nothing.
fn exact(text: &str) -> Option<Decimal> {
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        return None;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let mut number = Decimal::from_str_exact(mantissa).ok()?;
    if exponent > 0 {
        let power = 10_i128.checked_pow(u32::try_from(exponent).ok()?)?;
        number = number.checked_mul(Decimal::try_from_i128_with_scale(power, 0).ok()?)?;
    } else if exponent < 0 {
        number = number.normalize();
        number.set_scale(number.scale().checked_add(exponent.unsigned_abs())?).ok()?;
    }
    Some(number)
}
