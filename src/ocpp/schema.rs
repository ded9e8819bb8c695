//! What the payload of a message of ours must look like: the rules of the OCPP schemas, as far as our messages need them.
//!
//! Strict: a member that the schema does not have, a wrong type, a text that is too long, a value outside its list is a
//! [`Violation`] that names the place and the rule. Limit: [`MAX_DEPTH`] levels, which no OCPP message reaches.

use std::fmt;

use serde_json::{Map, Value};

const MAX_DEPTH: usize = 8;

/// A member of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub name: &'static str,
    pub required: bool,
    pub rule: Rule,
}

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// At most so many characters.
    Text(usize),
    OneOf(&'static [&'static str]),
    /// At least so much.
    Integer(i64),
    /// Any JSON value.
    Any,
    Object(&'static [Member]),
    /// At least one item.
    List(&'static Rule),
}

pub(super) const fn required(name: &'static str, rule: Rule) -> Member {
    Member { name, required: true, rule }
}

pub(super) const fn optional(name: &'static str, rule: Rule) -> Member {
    Member { name, required: false, rule }
}

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

/// Checks a payload against the members of its schema.
pub(super) fn check(members: &[Member], payload: &Value) -> Result<(), Violation> {
    object(members, payload, "$", 0)
}

fn object(members: &[Member], value: &Value, path: &str, depth: usize) -> Result<(), Violation> {
    let Value::Object(object) = value else { return broken(path, "must be an object") };
    if depth > MAX_DEPTH {
        return broken(path, "is nested too deep");
    }
    if let Some(missing) = members.iter().find(|member| member.required && !object.contains_key(member.name)) {
        return broken(&format!("{path}.{}", missing.name), "is required");
    }
    for (name, value) in object {
        let path = format!("{path}.{name}");
        match members.iter().find(|member| member.name == name) {
            Some(member) => check_value(&member.rule, value, &path, depth)?,
            None => return broken(&path, &unknown(members, object)),
        }
    }
    Ok(())
}

fn unknown(members: &[Member], object: &Map<String, Value>) -> String {
    let free: Vec<&str> = members.iter().map(|member| member.name).filter(|name| !object.contains_key(*name)).collect();
    if free.is_empty() {
        "is not a member here".to_owned()
    } else {
        format!("is not a member here; there are: {}", free.join(", "))
    }
}

fn check_value(rule: &Rule, value: &Value, path: &str, depth: usize) -> Result<(), Violation> {
    match (rule, value) {
        (Rule::Any, _) => Ok(()),
        (Rule::Text(max), Value::String(text)) if text.chars().count() <= *max => Ok(()),
        (Rule::Text(max), _) => broken(path, &format!("must be a text of at most {max} characters")),
        (Rule::OneOf(values), Value::String(text)) if values.contains(&text.as_str()) => Ok(()),
        (Rule::OneOf(values), _) => broken(path, &format!("must be one of: {}", values.join(", "))),
        (Rule::Integer(least), Value::Number(number)) if number.as_i64().is_some_and(|number| number >= *least) => Ok(()),
        (Rule::Integer(least), _) => broken(path, &format!("must be an integer of at least {least}")),
        (Rule::Object(members), value) => object(members, value, path, depth + 1),
        (Rule::List(rule), Value::Array(items)) if !items.is_empty() => {
            items.iter().enumerate().try_for_each(|(at, item)| check_value(rule, item, &format!("{path}[{at}]"), depth + 1))
        }
        (Rule::List(_), _) => broken(path, "must be a list of at least one"),
    }
}

fn broken(path: &str, rule: &str) -> Result<(), Violation> {
    Err(Violation { path: path.to_owned(), rule: rule.to_owned() })
}
