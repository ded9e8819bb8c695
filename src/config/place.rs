//! Where a value was written, and how.
//!
//! The `config` crate carries one string with each value through its layers. Ours is the number of an entry in [`Ledger`],
//! which knows the file and line (or the variable) and the TOML shape, so that an error found after layering still points at
//! the line that caused it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ::config::Value;

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
