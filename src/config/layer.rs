//! The layers: files, environment and flags, each as a source for the `config` crate.
//!
//! A layer holds known keys only. What is unknown, reserved or not TOML is reported here, with the line that only this module
//! knows. Values are judged after layering, in `mod.rs`. Stations travel as a table by folded identity, so that a later
//! file adds a station, or a key to a station, instead of replacing the whole list.
//!
//! Limits: a file of 1 MiB, 100 files in `conf.d`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::config::{ConfigError, Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::found::{Found, Ledger, Place, Problem, Shape, Source};
use super::{keys, reserved};

const MAX_FILE_BYTES: u64 = 1 << 20;
const MAX_FILES: usize = 100;
/// One slip can upset the rest of a file, so only the first few syntax errors are worth reading.
const MAX_SYNTAX_ERRORS: usize = 3;

/// One layer's values: `section.key` → value, and `station` → a table of stations.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer(Map<String, Value>);

impl ::config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn ::config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// Reads the layers in order and collects what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) ledger: Ledger,
    pub(super) problems: Vec<Problem>,
    /// A file could not be read or parsed, so a missing key may only seem missing.
    pub(super) incomplete: bool,
    layers: Vec<Layer>,
    stations: BTreeSet<String>,
}

impl Layers {
    /// The layers read so far, lowest first, below them the built-in defaults.
    pub(super) fn into_sources(mut self) -> (Vec<Layer>, Self) {
        let place = || Place { layer: 0, line: 0, source: Source::BuiltIn };
        let mut default = |key: &keys::Key| match key.unset {
            keys::Unset::Default(text) => Some(self.ledger.enter(place(), Shape::Untyped, text)),
            keys::Unset::Required(_) => None,
        };
        let mut built_in = Layer::default();
        for key in keys::all().filter(|key| !key.path.starts_with("station.")) {
            built_in.0.extend(default(key).map(|value| (key.path.to_owned(), value)));
        }
        let mut stations = Map::new();
        for id in std::mem::take(&mut self.stations) {
            let leaf = |key: &'static keys::Key| key.path.rsplit_once('.').map_or(key.path, |(_, leaf)| leaf);
            let station = keys::of("station").iter().filter_map(|key| Some((leaf(key).to_owned(), default(key)?)));
            stations.insert(id, Value::from(station.collect::<Map<_, _>>()));
        }
        built_in.0.insert("station".to_owned(), Value::from(stations));
        let mut sources = vec![built_in];
        sources.append(&mut self.layers);
        (sources, self)
    }

    /// A TOML file. `false` when there is none.
    pub(super) fn file(&mut self, path: &Path) -> bool {
        let source = Source::File(Arc::from(path));
        let layer = self.layers.len() + 1;
        let text = match read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            Err(error) => {
                self.unreadable(path, format!("cannot be read: {error}"));
                return true;
            }
        };
        let breaks: Vec<usize> = text.match_indices('\n').map(|(offset, _)| offset).collect();
        let place = |offset: usize| {
            let line = breaks.partition_point(|end| *end < offset) + 1;
            Place { layer, line, source: source.clone() }
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors.iter().take(MAX_SYNTAX_ERRORS) {
            self.incomplete = true;
            let place = place(error.span().unwrap_or(Range { start: 0, end: 0 }).start);
            self.problems.push(Problem { place, message: format!("is not TOML: {}", error.message()) });
        }
        let mut values = Map::new();
        if errors.is_empty() {
            FileReader { layers: self, place: &place }.table("", &table.into_inner(), &mut values);
        }
        self.layers.push(Layer(values));
        true
    }

    /// `*.toml` of a folder that need not exist, by name. Hidden files (editors' copies) are passed over.
    pub(super) fn folder(&mut self, folder: &Path) {
        let entries = match std::fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.unreadable(folder, format!("cannot be read: {error}")),
        };
        let named = |path: &PathBuf| {
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            !hidden && path.extension().is_some_and(|extension| extension == "toml")
        };
        let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).filter(named).collect();
        files.sort();
        if files.len() > MAX_FILES {
            self.unreadable(folder, format!("holds {} configuration files; at most {MAX_FILES} are read", files.len()));
        }
        for file in files.iter().take(MAX_FILES) {
            if !self.file(file) {
                self.unreadable(file, "vanished while it was being read".to_owned());
            }
        }
    }

    pub(super) fn unreadable(&mut self, path: &Path, message: String) {
        self.incomplete = true;
        let place = Place { layer: self.layers.len() + 1, line: 0, source: Source::File(Arc::from(path)) };
        self.problems.push(Problem { place, message });
        self.layers.push(Layer::default());
    }

    /// A layer of untyped texts by key: credentials, environment or flags.
    pub(super) fn texts(&mut self, texts: impl IntoIterator<Item = (Source, String, String)>) {
        let layer = self.layers.len() + 1;
        let mut values = Map::new();
        for (source, path, text) in texts {
            let place = Place { layer, line: 0, source };
            if path.split('.').next() == Some("station") {
                let message = format!("`{path}` cannot be set here; stations stand in files, one [[station]] each");
                self.problems.push(Problem { place, message });
            } else if !self.reserved_key(&path, &place) {
                let value = self.ledger.enter(place.clone(), Shape::Untyped, text);
                self.known(path, value, &place, &mut values);
            }
        }
        self.layers.push(Layer(values));
    }

    /// Reports a key that no value makes acceptable.
    fn reserved_key(&mut self, path: &str, place: &Place) -> bool {
        let Some(row) = reserved::whole(path) else { return false };
        let message = format!("`{path}` is reserved: {}; {}", row.why, place.undo());
        self.problems.push(Problem { place: place.clone(), message });
        true
    }

    /// Takes a value in if its key is known and the value not reserved.
    fn known(&mut self, path: String, value: Value, place: &Place, values: &mut Map<String, Value>) {
        if !keys::is_key(&path) {
            return self.problems.push(Problem { place: place.clone(), message: reserved::unknown_key(&path, &place.source) });
        }
        let found = Found::new(&value, &self.ledger);
        let items = found.list().unwrap_or_else(|| vec![Found::new(&value, &self.ledger)]);
        for item in &items {
            if let Some(row) = reserved::value(&path, item.spelling()) {
                let message = format!("`{path}` = {} is reserved: {}; {}", item.show(), row.why, place.undo());
                self.problems.push(Problem { place: item.place.clone(), message });
                return;
            }
        }
        let leaf = path.strip_prefix("station.").map(str::to_owned);
        values.insert(leaf.unwrap_or(path), value);
    }
}

/// Walks the tables of one file.
struct FileReader<'a, P> {
    layers: &'a mut Layers,
    /// The place of a byte offset.
    place: &'a P,
}

impl<P: Fn(usize) -> Place> FileReader<'_, P> {
    /// Everything in one table; `within` is its name and a dot.
    fn table(&mut self, within: &str, table: &DeTable<'_>, values: &mut Map<String, Value>) {
        for (key, value) in table {
            let path = format!("{within}{}", key.get_ref());
            let place = (self.place)(key.span().start);
            match value.get_ref() {
                _ if key.get_ref().contains('.') => {
                    self.report(&place, format!("`{path}` is in quotes; write sections and keys without"))
                }
                DeValue::Table(inner) if reserved::whole(&path).is_some() => self.reserved_section(&path, inner, &place),
                _ if self.layers.reserved_key(&path, &place) => {}
                DeValue::Array(items) if path == "station" => self.stations(items, values),
                _ if path == "station" => {
                    self.report(&place, "a station is written `[[station]]`, in two brackets, once for each")
                }
                DeValue::Table(inner) if keys::is_section(&path) => self.table(&format!("{path}."), inner, values),
                _ if keys::is_section(&path) => {
                    self.report(&place, format!("`{path}` is a section; write `[{path}]` and its keys below"))
                }
                DeValue::Table(_) if !keys::is_key(&path) => self.report(&place, reserved::unknown_section(&path, false)),
                DeValue::Array(items) if !keys::is_key(&path) && items.iter().any(|item| item.get_ref().is_table()) => {
                    self.report(&place, reserved::unknown_section(&path, true));
                }
                inner => {
                    let value = self.leaf(inner, place.clone());
                    self.layers.known(path, value, &place, values);
                }
            }
        }
    }

    /// A reserved section: a line for each key in it, so that each can be found and removed.
    fn reserved_section(&mut self, path: &str, table: &DeTable<'_>, place: &Place) {
        if table.is_empty() {
            self.layers.reserved_key(path, place);
        }
        for (key, value) in table {
            let path = format!("{path}.{}", key.get_ref());
            let place = (self.place)(key.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => self.reserved_section(&path, inner, &place),
                _ => {
                    self.layers.reserved_key(&path, &place);
                }
            }
        }
    }

    fn stations(&mut self, items: &[Spanned<DeValue<'_>>], values: &mut Map<String, Value>) {
        let mut stations: Map<String, Value> = Map::new();
        let mut lines: Map<String, usize> = Map::new();
        for item in items {
            let place = (self.place)(item.span().start);
            let DeValue::Table(table) = item.get_ref() else {
                self.report(&place, "a station is written `[[station]]`, in two brackets, once for each");
                continue;
            };
            let mut station = Map::new();
            self.table("station.", table, &mut station);
            let Some(written) = station.get("id").map(|id| Found::new(id, &self.layers.ledger).spelling().to_owned()) else {
                self.report(&place, "this station has no `id`; write e.g. id = \"CP-1\"");
                continue;
            };
            let id = written.to_lowercase();
            if let Some(line) = lines.insert(id.clone(), place.line) {
                self.report(
                    &place,
                    format!("station {written:?} is already in line {line}; upper and lower case count as the same"),
                );
                continue;
            }
            self.layers.stations.insert(id.clone());
            stations.insert(id, Value::from(station));
        }
        values.insert("station".to_owned(), Value::from(stations));
    }

    /// A value as the `config` crate carries it.
    fn leaf(&mut self, value: &DeValue<'_>, place: Place) -> Value {
        let (shape, text) = match value {
            DeValue::String(text) => (Shape::Text, text.to_string()),
            DeValue::Integer(integer) => {
                let decimal = i64::from_str_radix(integer.as_str(), integer.radix()).map(|integer| integer.to_string());
                (Shape::Number, decimal.unwrap_or_else(|_| integer.to_string()))
            }
            DeValue::Float(float) => (Shape::Number, float.as_str().to_owned()),
            DeValue::Boolean(truth) => (Shape::Truth, truth.to_string()),
            DeValue::Datetime(date) => (Shape::Date, date.to_string()),
            DeValue::Table(_) => (Shape::Table, String::new()),
            DeValue::Array(items) => {
                let item = |item: &Spanned<DeValue<'_>>| self.leaf(item.get_ref(), (self.place)(item.span().start));
                let items: Vec<_> = items.iter().map(item).collect();
                return self.layers.ledger.enter(place, Shape::List, items);
            }
        };
        self.layers.ledger.enter(place, shape, text)
    }

    fn report(&mut self, place: &Place, message: impl Into<String>) {
        self.layers.problems.push(Problem { place: place.clone(), message: message.into() });
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    Ok(text)
}
