//! A value as it was found: where it was written and how, before anyone parsed it; and what to say when it does not fit.
//!
//! The `config` crate carries one string with each value through its layers. Ours is the number of an entry in [`Ledger`],
//! which knows the file and line (or the variable) and the TOML shape, so that an error found after layering still points at
//! the line that caused it. All problems are told at once, each with its place, in reading order.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ::config::{Value, ValueKind};

/// Longest piece of a value that an error repeats.
const MAX_QUOTED: usize = 60;

/// Where something was written. Orders as the layers do, then by line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// 0 = built-in defaults; later layers win.
    pub(super) layer: usize,
    /// From 1; 0 = the source as a whole.
    pub(super) line: usize,
    pub source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    BuiltIn,
    /// A file that systemd put into `$CREDENTIALS_DIRECTORY`.
    Credential(&'static str),
    File(Arc<Path>),
    /// The full name of an environment variable.
    Variable(String),
    CommandLine,
}

impl Place {
    /// What to do with something that must not be there.
    pub(super) fn undo(&self) -> &'static str {
        match self.source {
            Source::Variable(_) => "unset the variable",
            Source::CommandLine => "leave the flag out",
            Source::BuiltIn | Source::Credential(_) | Source::File(_) => "remove the line",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::BuiltIn => f.write_str("built-in default"),
            Source::Credential(name) => write!(f, "systemd credential {name}"),
            Source::File(path) if self.line == 0 => write!(f, "{}", path.display()),
            Source::File(path) => write!(f, "{}:{}", path.display(), self.line),
            Source::Variable(name) => f.write_str(name),
            Source::CommandLine => f.write_str("command line"),
        }
    }
}

/// What a value looked like before anyone judged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Number,
    Truth,
    Date,
    List,
    Table,
    /// From the environment, a flag or a default: text that may stand for a number, a truth or a comma-separated list.
    Untyped,
}

const NOWHERE: (Place, Shape) = (Place { layer: 0, line: 0, source: Source::BuiltIn }, Shape::Table);

/// Place and shape of every value of every layer.
#[derive(Debug, Default)]
pub(super) struct Ledger(Vec<(Place, Shape)>);

impl Ledger {
    /// A value for the `config` crate. Scalars travel as the text they were written with, so no number passes through `f64`.
    pub(super) fn enter<V: Into<::config::ValueKind>>(&mut self, place: Place, shape: Shape, kind: V) -> Value {
        let number = self.0.len().to_string();
        self.0.push((place, shape));
        Value::new(Some(&number), kind)
    }

    /// Only the tables that the `config` crate makes itself have no entry of their own.
    pub(super) fn entry(&self, value: &Value) -> &(Place, Shape) {
        let number = value.origin().and_then(|origin| origin.parse::<usize>().ok());
        number.and_then(|number| self.0.get(number)).unwrap_or(&NOWHERE)
    }
}

/// One key as it was found.
#[derive(Clone, Debug)]
pub struct Setting {
    /// `section.key`, or `station.{id in lower case}.key`.
    pub key: String,
    /// As one would write it in TOML.
    pub value: String,
    pub place: Place,
}

/// One thing to put right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub place: Place,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All that is wrong, one problem a line. Never empty.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self(problems)
    }

    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

/// A value with its place and shape.Untyped text (environment, flags, defaults) passes as a number, truth or list too.
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

/// `; did you mean …?`, or nothing.
pub(super) fn did_you_mean(near: Option<String>) -> String {
    near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}
