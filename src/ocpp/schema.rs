//! Whether a payload is what the table of facts says: strict, for what we send; what stations answer is only compared with it.
//!
//! A member that the message does not have, or has twice, a wrong type, a text that is too long, a value outside its list or bounds is a
//! [`Violation`] that names the place and the rule. Numbers are judged by their digits: a whole number is written without a fraction.
//! Limit: [`MAX_DEPTH`] levels, which no OCPP message reaches.

use std::fmt;

use chrono::DateTime;
use serde_json::value::RawValue;

use super::facts::{Facts, Member, Rule};
use super::number;
use crate::units::{Decimal, Members};

const MAX_DEPTH: usize = 12;
/// Of `customData`, which is the vendor's otherwise (OCPP 2.0.1 Part 2 §2.1.2).
const VENDOR_ID: usize = 255;

/// Where a payload breaks the schema, and which rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `$.chargingProfile.stackLevel`; `$` is the payload itself.
    pub path: String,
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.rule)
    }
}

/// Checks a payload against the members of its message.
pub(super) fn check(facts: &Facts, members: &[Member], payload: &RawValue) -> Result<(), Violation> {
    object(facts, members, payload, "$", 0)
}

fn object(facts: &Facts, members: &[Member], value: &RawValue, path: &str, depth: usize) -> Result<(), Violation> {
    let Ok(Members(object)) = serde_json::from_str(value.get()) else { return broken(path, "must be an object") };
    if depth > MAX_DEPTH {
        return broken(path, "is nested too deep");
    }
    let has = |name: &str| object.iter().any(|(known, _)| known == name);
    if let Some(missing) = members.iter().find(|member| member.required && !has(member.name)) {
        return broken(&format!("{path}.{}", missing.name), "is required");
    }
    for (at, (name, value)) in object.iter().enumerate() {
        let path = format!("{path}.{name}");
        if object[..at].iter().any(|(before, _)| before == name) {
            return broken(&path, "is there twice");
        }
        match members.iter().find(|member| member.name == name) {
            Some(member) => check_value(facts, &member.rule, value, &path, depth)?,
            None if facts.custom_data && name == "customData" => custom_data(value, &path)?,
            None => {
                let free = members.iter().map(|member| member.name).filter(|name| !has(name));
                return broken(&path, &unknown(&free.collect::<Vec<_>>()));
            }
        }
    }
    Ok(())
}

fn unknown(free: &[&str]) -> String {
    if free.is_empty() {
        "is not a member here".to_owned()
    } else {
        format!("is not a member here; there are: {}", free.join(", "))
    }
}

fn custom_data(value: &RawValue, path: &str) -> Result<(), Violation> {
    let Ok(Members(object)) = serde_json::from_str(value.get()) else { return broken(path, "must be an object") };
    let path = format!("{path}.vendorId");
    match object.iter().find(|(name, _)| name == "vendorId") {
        Some((_, vendor)) => text(vendor, VENDOR_ID, &path).map(drop),
        None => broken(&path, "is required"),
    }
}

fn check_value(facts: &Facts, rule: &Rule, value: &RawValue, path: &str, depth: usize) -> Result<(), Violation> {
    match facts.resolved(rule) {
        Rule::Any => Ok(()),
        Rule::Text(most) => text(value, *most, path).map(drop),
        Rule::Uri(most) => match text(value, *most, path)? {
            uri if is_uri(&uri) => Ok(()),
            _ => broken(path, "must be a URL, such as ftp://host/folder"),
        },
        Rule::Time => match text(value, usize::MAX, path) {
            Ok(time) if is_time(&time) => Ok(()),
            _ => broken(path, "must be a time (RFC 3339), such as 2026-11-28T12:00:00Z"),
        },
        Rule::Boolean if matches!(value.get(), "true" | "false") => Ok(()),
        Rule::Boolean => broken(path, "must be true or false"),
        Rule::OneOf(values) => match text(value, usize::MAX, path) {
            Ok(text) if values.contains(&text.as_str()) => Ok(()),
            _ => broken(path, &format!("must be one of: {}", values.join(", "))),
        },
        Rule::Number { whole, least, most, tenths } => check_number(value, *whole, [*least, *most], *tenths, path),
        Rule::Object(members) => object(facts, members, value, path, depth + 1),
        Rule::List { least, most, of } => match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
            Ok(items) if (*least..=*most).contains(&items.len()) => {
                let check = |(at, item): (usize, &&RawValue)| check_value(facts, of, item, &format!("{path}[{at}]"), depth + 1);
                items.iter().enumerate().try_for_each(check)
            }
            _ => broken(path, &list_rule(*least, *most)),
        },
        Rule::Named(name) => broken(path, &format!("is of a type that is not in the table ({name})")),
    }
}

/// The text, if it is one and not too long.
fn text(value: &RawValue, most: usize, path: &str) -> Result<String, Violation> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) if text.chars().count() <= most => Ok(text),
        _ if most == usize::MAX => Err(violation(path, "must be a text")),
        _ => Err(violation(path, &format!("must be a text of at most {most} characters"))),
    }
}

/// A scheme, and something behind it (RFC 3986 §3).
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_fits = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    scheme_fits && !rest.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn is_time(text: &str) -> bool {
    text.as_bytes().get(10) == Some(&b'T') && DateTime::parse_from_rfc3339(text).is_ok()
}

fn check_number(value: &RawValue, whole: bool, bounds: [Option<Decimal>; 2], tenths: bool, path: &str) -> Result<(), Violation> {
    let text = value.get();
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let number = number::parse(text).filter(|number| is_number && !number.rounded).map(|number| number.value);
    let [least, most] = bounds;
    let fits = |number: Decimal| {
        (!whole || text.parse::<i64>().is_ok())
            && (!tenths || number.normalize().scale() <= 1)
            && least.is_none_or(|least| number >= least)
            && most.is_none_or(|most| number <= most)
    };
    if number.is_some_and(fits) {
        return Ok(());
    }
    let kind = match (whole, tenths) {
        (true, _) => "an integer",
        (_, true) => "a number with at most one decimal",
        _ => "a number",
    };
    let bounds = match (least, most) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (None, None) => String::new(),
    };
    broken(path, &format!("must be {kind}{bounds}"))
}

fn list_rule(least: usize, most: usize) -> String {
    match (least, most) {
        (0, usize::MAX) => "must be a list".to_owned(),
        (1, usize::MAX) => "must be a list of at least one".to_owned(),
        (least, usize::MAX) => format!("must be a list of at least {least}"),
        (least, most) => format!("must be a list of {least} to {most}"),
    }
}

fn broken(path: &str, rule: &str) -> Result<(), Violation> {
    Err(violation(path, rule))
}

fn violation(path: &str, rule: &str) -> Violation {
    Violation { path: path.to_owned(), rule: rule.to_owned() }
}
