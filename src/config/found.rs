//! One value as it was found, after layering and before parsing; and what to say when it does not fit.

use ::config::{Value, ValueKind};

use super::place::{Ledger, Place, Shape};

/// Longest piece of a value that an error repeats.
const MAX_QUOTED: usize = 60;

/// A value with its place and shape. Untyped text (environment, flags, defaults) passes as a number, truth or list too.
pub(super) struct Found<'a> {
    value: &'a Value,
    ledger: &'a Ledger,
    pub(super) place: &'a Place,
    shape: Shape,
    /// Set for an item of a list: errors then say "contains", not "is".
    item: Option<&'a str>,
}

/// A value that does not fit: `is "soon"`, and what would fit.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) place: Place,
    pub(super) found: String,
    pub(super) expected: String,
}

impl<'a> Found<'a> {
    pub(super) fn new(value: &'a Value, ledger: &'a Ledger) -> Self {
        let (place, shape) = ledger.entry(value);
        Self { value, ledger, place, shape: *shape, item: None }
    }

    pub(super) fn wrong(&self, expected: impl Into<String>) -> Wrong {
        self.wrong_as(format!("{} {}", if self.item.is_some() { "contains" } else { "is" }, self.show()), expected)
    }

    /// For a value that must not be repeated, or that needs its own verb.
    pub(super) fn wrong_as(&self, found: impl Into<String>, expected: impl Into<String>) -> Wrong {
        Wrong { place: self.place.clone(), found: found.into(), expected: expected.into() }
    }

    /// Text only: `name = 5` is a mistake, not the name "5".
    pub(super) fn text(&self) -> Option<&str> {
        matches!(self.shape, Shape::Text | Shape::Untyped).then(|| self.spelling())
    }

    /// The digits of a number, as written.
    pub(super) fn number(&self) -> Option<&str> {
        matches!(self.shape, Shape::Number | Shape::Untyped).then(|| self.spelling())
    }

    pub(super) fn truth(&self) -> Option<bool> {
        match (self.shape, self.spelling()) {
            (Shape::Truth | Shape::Untyped, "true") => Some(true),
            (Shape::Truth | Shape::Untyped, "false") => Some(false),
            _ => None,
        }
    }

    /// The items of a list; untyped text is split at commas.
    pub(super) fn list(&self) -> Option<Vec<Found<'_>>> {
        if let ValueKind::Array(items) = &self.value.kind {
            return Some(
                items.iter().map(|value| Found { item: Some(scalar(value)), ..Found::new(value, self.ledger) }).collect(),
            );
        }
        let part = |part: &'a str| Found { item: Some(part.trim()), ..Found::new(self.value, self.ledger) };
        match scalar(self.value) {
            "" => (self.shape == Shape::Untyped).then(Vec::new),
            text => (self.shape == Shape::Untyped).then(|| text.split(',').map(part).collect()),
        }
    }

    /// A scalar as written, without quotes; empty for lists and tables.
    pub(super) fn spelling(&self) -> &str {
        self.item.unwrap_or_else(|| scalar(self.value))
    }

    /// The value as one would write it in TOML, cut when long.
    pub(super) fn show(&self) -> String {
        match self.shape {
            Shape::Text | Shape::Untyped => quoted(self.spelling()),
            Shape::Number | Shape::Truth | Shape::Date => self.spelling().to_owned(),
            Shape::Table => "a table".to_owned(),
            Shape::List => {
                let items: Vec<_> = self.list().unwrap_or_default().iter().map(Found::show).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }
}

fn scalar(value: &Value) -> &str {
    match &value.kind {
        ValueKind::String(text) => text,
        _ => "",
    }
}

/// In quotes, control characters escaped, cut when long.
pub(super) fn quoted(text: &str) -> String {
    if text.chars().count() <= MAX_QUOTED {
        return format!("{text:?}");
    }
    format!("{:?}", text.chars().take(MAX_QUOTED).chain(['…']).collect::<String>())
}
