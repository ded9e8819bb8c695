//! Values of lists as the version spells them: `hard` is `Hard`, `boot` is `BootNotification`, `tx-default-profile` is `TxDefaultProfile`.

use serde_json::Value;

use crate::ocpp::facts::{Facts, Member, Rule};
use crate::units::Version;

/// Puts every text right that is to be one of a list and can only mean one of them.
pub(super) fn spell(version: Version, action: &str, payload: &mut Value) {
    let facts = Facts::of(version);
    if let Some(call) = facts.call(action) {
        members(facts, &call.request, payload);
    }
}

/// The value of a list that a text can only mean.
pub(super) fn meant(version: Version, action: &str, member: &str, text: &str) -> Option<&'static str> {
    let facts = Facts::of(version);
    let member = facts.call(action)?.request.iter().find(|known| known.name == member)?;
    match facts.resolved(&member.rule) {
        Rule::OneOf(values) => one_of(values, text),
        _ => None,
    }
}

/// What was not given is not sent.
pub(super) fn without_null(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

fn members(facts: &Facts, members: &[Member], value: &mut Value) {
    let Value::Object(object) = value else { return };
    for member in members {
        if let Some(value) = object.get_mut(member.name) {
            each(facts, &member.rule, value);
        }
    }
}

fn each(facts: &Facts, rule: &Rule, value: &mut Value) {
    match (facts.resolved(rule), value) {
        (Rule::OneOf(values), Value::String(text)) => {
            if let Some(meant) = one_of(values, text) {
                meant.clone_into(text);
            }
        }
        (Rule::Object(parts), value) => members(facts, parts, value),
        (Rule::List { of, .. }, Value::Array(items)) => items.iter_mut().for_each(|item| each(facts, of, item)),
        _ => {}
    }
}

fn one_of(values: &[&'static str], text: &str) -> Option<&'static str> {
    let folded = |text: &str| text.chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_ascii_lowercase();
    let wanted = folded(text);
    let same = values.iter().find(|value| folded(value) == wanted);
    let mut begun = values.iter().filter(|value| folded(value).starts_with(&wanted));
    let only = match (begun.next(), begun.next()) {
        (Some(value), None) if !wanted.is_empty() => Some(value),
        _ => None,
    };
    same.or(only).copied()
}
