//! Results as tables for people, as JSON and CSV for programs. One vocabulary: the column names of the views.

use std::io::{IsTerminal, Write};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value as Json};

use super::args::{Color, Show};
use super::exit::{Exit, Failure};
use crate::store::Rows;

/// The columns of a table on the terminal; JSON and CSV always have all.
pub type Columns = &'static [&'static str];
pub const ALL: Columns = &[];
pub const STATIONS: Columns =
    &["station", "connected", "ocpp_version", "vendor", "model", "connectors", "open_sessions", "last_message_at", "firmware"];

pub struct Output {
    show: Show,
    zone: std::cell::Cell<Tz>,
}

impl Output {
    pub fn new(show: &Show) -> Self {
        Self { show: show.clone(), zone: std::cell::Cell::new(Tz::UTC) }
    }

    /// Times on the terminal are the site's from now on.
    pub fn at_site(&self, time_zone: &str) {
        if !self.show.utc {
            self.zone.set(time_zone.parse().unwrap_or(Tz::UTC));
        }
    }

    /// Whether a program reads the result.
    pub fn machine(&self) -> bool {
        self.show.json || self.show.jsonl || self.show.csv
    }

    /// A remark on stderr, for people only.
    pub fn remark(&self, text: &str) {
        if !self.show.quiet && !self.machine() {
            eprintln!("{text}");
        }
    }

    /// A line of text, for people only.
    pub fn line(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        writeln!(std::io::stdout(), "{}", text.as_ref()).or_else(closed_pipe)
    }

    /// One object for programs: JSON, or CSV with one row; people are told in words.
    pub fn object(&self, value: &Json) -> Result<(), Failure> {
        if self.show.csv {
            let Json::Object(members) = value else { return self.line(csv_cell(value)) };
            self.line(members.keys().cloned().collect::<Vec<_>>().join(","))?;
            return self.line(members.values().map(csv_cell).collect::<Vec<_>>().join(","));
        }
        let text = if self.show.json { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.line(text.map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?)
    }

    pub fn rows(&self, rows: &Rows, columns: Columns) -> Result<Exit, Failure> {
        if self.show.json {
            let all: Vec<Json> = rows.rows.iter().map(|row| object(&rows.columns, row)).collect();
            self.object(&Json::Array(all))?;
        } else if self.show.jsonl {
            for row in &rows.rows {
                self.line(object(&rows.columns, row).to_string())?;
            }
        } else if self.show.csv {
            self.line(rows.columns.join(","))?;
            for row in &rows.rows {
                self.line(row.iter().map(csv_cell).collect::<Vec<_>>().join(","))?;
            }
        } else {
            self.table(rows, if self.show.verbose { ALL } else { columns })?;
        }
        Ok(Exit::Ok)
    }

    fn table(&self, rows: &Rows, wanted: Columns) -> Result<(), Failure> {
        if rows.rows.is_empty() {
            self.remark("nothing");
            return Ok(());
        }
        let places: Vec<usize> = if wanted.is_empty() {
            (0..rows.columns.len()).collect()
        } else {
            wanted.iter().filter_map(|name| rows.columns.iter().position(|column| column == name)).collect()
        };
        let mut table = Table::new();
        // Piped tables keep every character; on a terminal they fit its width.
        let arrangement =
            if std::io::stdout().is_terminal() { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
        table.load_style(presets::NOTHING).set_content_arrangement(arrangement);
        table.set_header(places.iter().map(|place| heading(&rows.columns[*place])));
        for row in &rows.rows {
            table.add_row(places.iter().map(|place| self.cell(&rows.columns[*place], &row[*place])));
        }
        for (position, place) in places.iter().enumerate() {
            if rows.rows.iter().all(|row| row[*place].is_number() || row[*place].is_null())
                && let Some(column) = table.column_mut(position)
            {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.line(table.trim_fmt())
    }

    /// A value as people read it: local times, plain text, nothing for nothing.
    pub fn cell(&self, column: &str, value: &Json) -> String {
        match value {
            Json::Null => "-".to_owned(),
            Json::Number(number) if column == "connected" || column == "acknowledged" => {
                if number.as_i64() == Some(0) { "no" } else { "yes" }.to_owned()
            }
            Json::String(text) if column.ends_with("_at") || column.starts_with("period_") => self.local(text),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// An RFC 3339 time in the site's zone, to the second.
    pub fn local(&self, text: &str) -> String {
        match text.parse::<DateTime<Utc>>() {
            Ok(time) => time.with_timezone(&self.zone.get()).format("%Y-%m-%d %H:%M:%S %Z").to_string(),
            Err(_) => text.to_owned(),
        }
    }

    /// Emphasis for what a person must not miss.
    pub fn strong(&self, text: &str) -> String {
        let wanted = match self.show.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        if wanted { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// `started_at` → `STARTED`, `energy_wh` → `ENERGY Wh`.
fn heading(column: &str) -> String {
    let column = column.strip_suffix("_at").unwrap_or(column);
    let units = [("_wh", " Wh"), ("_s", " s")];
    let unit = units.iter().find_map(|(suffix, unit)| Some((column.strip_suffix(suffix)?, *unit)));
    let (name, unit) = unit.unwrap_or((column, ""));
    name.to_uppercase().replace('_', " ") + unit
}

pub fn object(columns: &[String], row: &[Json]) -> Json {
    let value = |column: &String, value: &Json| match value {
        // Findings are JSON in the store; a program should not have to parse twice.
        Json::String(text) if column == "findings" => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        other => other.clone(),
    };
    Json::Object(columns.iter().zip(row).map(|(column, cell)| (column.clone(), value(column, cell))).collect::<Map<_, _>>())
}

/// RFC 4180: quoted when it must be.
fn csv_cell(value: &Json) -> String {
    let text = match value {
        Json::Null => return String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// `forecourt sessions | head` is not an error.
fn closed_pipe(error: std::io::Error) -> Result<(), Failure> {
    if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_cells_are_quoted_when_they_must_be() {
        assert_eq!(csv_cell(&Json::from("a,\"b\"")), "\"a,\"\"b\"\"\"");
        assert_eq!(csv_cell(&Json::from("plain")), "plain");
        assert_eq!(csv_cell(&Json::Null), "");
    }

    #[test]
    fn headings_show_units() {
        assert_eq!(heading("energy_wh"), "ENERGY Wh");
        assert_eq!(heading("started_at"), "STARTED");
    }
}
