//! The arguments of a verb, as what they are to be.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::units::{Decimal, Time, Version, time};

/// What was asked, of a station of which version, and when.
#[derive(Debug)]
pub struct Asked<'a> {
    pub version: Version,
    pub args: &'a BTreeMap<String, Vec<String>>,
    pub now: Time,
}

impl<'a> Asked<'a> {
    pub(super) fn is_16(&self) -> bool {
        self.version == Version::V16
    }

    pub(super) fn all(&self, name: &str) -> &'a [String] {
        self.args.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn maybe(&self, name: &str) -> Option<&'a str> {
        self.all(name).first().map(String::as_str)
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, String> {
        self.maybe(name).ok_or_else(|| format!("{name} is missing"))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.args.contains_key(name)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, String> {
        let read = |text: &str| text.parse().map_err(|_| format!("{name} {text:?} is not a whole number"));
        self.maybe(name).map(read).transpose()
    }

    pub(super) fn needed_number(&self, name: &str) -> Result<i64, String> {
        self.number(name)?.ok_or_else(|| format!("{name} is missing"))
    }

    /// A decimal as a JSON number with its digits.
    pub(super) fn decimal(&self, name: &str) -> Result<Value, String> {
        let text = self.text(name)?;
        decimal(text).ok_or_else(|| format!("{name} {text:?} is not a number"))
    }

    /// RFC 3339, or so long from now: `30m`, `2h`, `7d`.
    pub(super) fn time(&self, name: &str) -> Result<Option<String>, String> {
        let Some(text) = self.maybe(name) else { return Ok(None) };
        let wrong = || format!("{name} {text:?} is no time; write 30m, 2h, 7d, or 2026-11-28T12:00:00Z");
        let after = |minutes_each: i64, count: &str| {
            let minutes = count.parse::<i64>().ok()?.checked_mul(minutes_each)?;
            self.now.checked_add_signed(TimeDelta::try_minutes(minutes)?)
        };
        let at = match text.split_at_checked(text.len().saturating_sub(1)) {
            Some((count, "m")) => after(1, count),
            Some((count, "h")) => after(60, count),
            Some((count, "d")) => after(24 * 60, count),
            _ => text.parse::<Time>().ok(),
        };
        at.map(|at| Some(time::rfc3339(at))).ok_or_else(wrong)
    }

    pub(super) fn now(&self) -> String {
        time::rfc3339(self.now)
    }

    /// A number for what stations refer to later; not the same within a month.
    pub(super) fn id(&self, name: &str) -> Result<i64, String> {
        Ok(self.number(name)?.unwrap_or_else(|| time::to_millis(self.now).rem_euclid(1 << 31)))
    }

    /// EVSE and connector as 2.x has them together.
    pub(super) fn evse(&self) -> Result<Value, String> {
        match (self.number("evse")?, self.number("connector")?) {
            (None, Some(_)) => Err("a connector is one of an EVSE: --evse N is missing".to_owned()),
            (None, None) => Ok(Value::Null),
            (evse, connector) => Ok(json!({"id": evse, "connectorId": connector})),
        }
    }

    /// What 1.6 calls the connector.
    pub(super) fn connector(&self) -> Result<Option<i64>, String> {
        Ok(self.number("evse")?.or(self.number("connector")?))
    }

    /// An IdToken of 2.x.
    pub(super) fn token(&self) -> Result<Value, String> {
        Ok(json!({"idToken": self.text("token")?, "type": self.maybe("type").unwrap_or("Central")}))
    }

    pub(super) fn group(&self) -> Value {
        self.maybe("group").map_or(Value::Null, |group| json!({"idToken": group, "type": "Central"}))
    }
}

pub(super) fn decimal(text: &str) -> Option<Value> {
    let exact: Decimal = text.parse().ok()?;
    serde_json::from_str(&exact.normalize().to_string()).ok()
}
