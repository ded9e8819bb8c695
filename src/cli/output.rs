//! Results as tables for people, as JSON and CSV for programs. One vocabulary: the column names of the views.
//!
//! Everything leaves through here, and here text from outside is made harmless, once for each output: [`Output::line`] and the
//! cells of tables for terminals, [`csv_cell`] for CSV, [`Output::json`] for JSON that a terminal shows. JSON for a program is
//! what it is: `serde_json` has escaped it. Rows for programs are written as they come, none is kept.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{BufWriter, IsTerminal, Write};

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value as Json};

use super::args::{Color, Show};
use super::exit::{Exit, Failure};
use super::table::{self, Column};
use crate::store::{Rows, TakeRows};
use crate::units::{indent, is_unprintable, printable};

/// The columns of a table on the terminal; JSON and CSV always have all.
pub type Columns = &'static [&'static str];

/// When nobody says how wide the screen is.
const WIDTH: usize = 80;
/// Begin and end of emphasis on the way to [`Output::line`]: characters that no text has (Unicode noncharacters).
const STRONG: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];

pub struct Output {
    show: Show,
    zone: Cell<Tz>,
}

impl Output {
    pub fn new(show: &Show) -> Self {
        Self { show: show.clone(), zone: Cell::new(Tz::UTC) }
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

    pub fn form(&self) -> &Show {
        &self.show
    }

    /// A remark on stderr, for people only.
    pub fn remark(&self, text: &str) {
        if !self.machine() {
            self.note(text);
        }
    }

    /// A remark on stderr that whoever asked must not miss.
    pub fn note(&self, text: &str) {
        if !self.show.quiet {
            let text = printable(text);
            let lines = if std::io::stderr().is_terminal() { broken(&text) } else { text.into_owned() };
            eprintln!("{lines}");
        }
    }

    /// Whether somebody sees on a terminal how far the work is.
    pub fn is_talking_to_a_person(&self) -> bool {
        !self.show.quiet && std::io::stderr().is_terminal()
    }

    /// A line of text, for people only. On a terminal it breaks between words.
    pub fn line(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        let text = printable(text.as_ref());
        let lines = if std::io::stdout().is_terminal() { broken(&text) } else { text.into_owned() };
        self.print(&self.with_emphasis(lines))
    }

    /// The same, broken wherever it goes: like a table.
    pub fn paragraph(&self, text: &str) -> Result<(), Failure> {
        let text = broken(&printable(text));
        self.print(&self.with_emphasis(text))
    }

    /// What is safe already.
    fn print(&self, text: &str) -> Result<(), Failure> {
        writeln!(std::io::stdout(), "{text}").or_else(closed_pipe)
    }

    /// JSON text. A terminal gets nothing that moves its cursor or turns its text round; `\u....` is the same to a program.
    pub fn json(&self, text: &str) -> Result<(), Failure> {
        self.print(&if !self.machine() || std::io::stdout().is_terminal() { harmless_json(text) } else { text.into() })
    }

    /// One object for programs: JSON, or CSV with one row; people are told in words.
    pub fn object(&self, value: &Json) -> Result<(), Failure> {
        let mut value = value.clone();
        if self.show.local {
            localise("", &mut value, self.zone.get());
        }
        let value = &value;
        if self.show.csv {
            let Json::Object(members) = value else { return self.print(&csv_cell("", value)) };
            self.print(&members.keys().map(|name| csv_text(name)).collect::<Vec<_>>().join(","))?;
            return self.print(&csv_row(members.iter()));
        }
        let text = if self.show.json { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.json(&text.map_err(unexpected)?)
    }

    /// The same of members whose JSON text is shown as it stands: numbers of others keep their digits.
    pub fn verbatim(&self, members: &[(&str, &str)]) -> Result<(), Failure> {
        if self.show.csv {
            let cell = |text: &str| {
                csv_cell(
                    "",
                    &serde_json::from_str(text)
                        .ok()
                        .filter(|value| !matches!(value, Json::Object(_) | Json::Array(_)))
                        .unwrap_or_else(|| text.into()),
                )
            };
            self.print(&members.iter().map(|(name, _)| csv_text(name)).collect::<Vec<_>>().join(","))?;
            return self.print(&members.iter().map(|(_, text)| cell(text)).collect::<Vec<_>>().join(","));
        }
        let parts: Vec<_> = members.iter().map(|(name, text)| format!("\"{name}\":{text}")).collect();
        let text = format!("{{{}}}", parts.join(","));
        self.json(&if self.show.json { indent(&text) } else { text })
    }

    pub fn rows(&self, rows: &Rows, columns: Columns) -> Result<Exit, Failure> {
        if !self.machine() {
            self.table(rows, columns)?;
            return Ok(Exit::Ok);
        }
        let mut stream = self.stream();
        stream.columns(rows.columns.clone())?;
        rows.rows.iter().try_for_each(|row| stream.row(row.clone()))?;
        stream.finish()?;
        Ok(Exit::Ok)
    }

    /// Rows for a program, each written as it comes.
    pub fn stream(&self) -> Stream<'_> {
        let terminal = std::io::stdout().is_terminal();
        let zone = self.show.local.then(|| self.zone.get());
        Stream { show: &self.show, zone, terminal, out: BufWriter::new(std::io::stdout().lock()), columns: Vec::new(), count: 0 }
    }

    fn table(&self, rows: &Rows, wanted: Columns) -> Result<(), Failure> {
        if rows.rows.is_empty() {
            self.remark("nothing");
            return Ok(());
        }
        let all = self.show.verbose;
        let places: Vec<usize> = if all {
            (0..rows.columns.len()).collect()
        } else {
            // Where no station has a label, nobody misses it.
            let is_said = |place: &usize| rows.rows.iter().any(|row| !row[*place].is_null());
            let is_shown = |place: &usize| !rows.columns[*place].ends_with("label") || is_said(place);
            wanted.iter().filter_map(|name| rows.columns.iter().position(|column| column == name)).filter(is_shown).collect()
        };
        let columns = places.iter().map(|place| self.column(rows, *place)).collect();
        let laid = table::lay(columns, width(), all);
        self.print(&laid.text)?;
        if !laid.left_out.is_empty() {
            self.remark(&format!("no room for {}; -v or --csv shows everything", laid.left_out.join(", ")));
        }
        Ok(())
    }

    fn column(&self, rows: &Rows, place: usize) -> Column {
        let name = &rows.columns[place];
        let values = || rows.rows.iter().map(|row| &row[place]);
        let short = is_time(name)
            .then(|| values().map(|value| value.as_str().map_or("-".to_owned(), |text| self.short_time(text))).collect());
        Column {
            name: name.clone(),
            heading: heading(name),
            cells: values().map(|value| printable(&self.cell(name, value)).into_owned()).collect(),
            short,
            right: values().all(|value| value.is_number() || value.is_null()),
            empty: values().all(Json::is_null),
        }
    }

    /// A value as people read it: local times, plain text, nothing for nothing.
    pub fn cell(&self, column: &str, value: &Json) -> String {
        match value {
            Json::Null => "-".to_owned(),
            Json::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            Json::String(text) if is_time(column) => self.local(text),
            Json::String(text) if column == "findings" => codes(text),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// An RFC 3339 time in the site's zone, to the second.
    pub fn local(&self, text: &str) -> String {
        self.time(text, "%Y-%m-%d %H:%M:%S %Z")
    }

    /// To the minute; without the year when it is this one.
    fn short_time(&self, text: &str) -> String {
        let this_year = crate::clock::system_now().with_timezone(&self.zone.get()).year();
        let year = text.parse::<DateTime<Utc>>().map(|time| time.with_timezone(&self.zone.get()).year());
        self.time(text, if year == Ok(this_year) { "%m-%d %H:%M" } else { "%Y-%m-%d %H:%M" })
    }

    fn time(&self, text: &str, format: &str) -> String {
        match text.parse::<DateTime<Utc>>() {
            Ok(time) => time.with_timezone(&self.zone.get()).format(format).to_string(),
            Err(_) => text.to_owned(),
        }
    }

    /// Emphasis for what a person must not miss, in a text for [`Output::line`].
    pub fn strong(&self, text: &str) -> String {
        format!("{}{text}{}", STRONG[0], STRONG[1])
    }

    fn with_emphasis(&self, text: String) -> String {
        if !text.contains(STRONG) {
            return text;
        }
        let wanted = match self.show.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        let [on, off] = if wanted { ["\u{1b}[1m", "\u{1b}[0m"] } else { ["", ""] };
        // Whatever the text holds, emphasis ends with its line.
        let end = if text.matches(STRONG[0]).count() == text.matches(STRONG[1]).count() { "" } else { off };
        text.replace(STRONG[0], on).replace(STRONG[1], off) + end
    }
}

/// Rows on their way to a program.
pub struct Stream<'a> {
    show: &'a Show,
    /// Of times; `None`: UTC, as they come.
    zone: Option<Tz>,
    terminal: bool,
    out: BufWriter<std::io::StdoutLock<'a>>,
    columns: Vec<String>,
    pub count: u64,
}

impl Stream<'_> {
    fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(ended)
    }

    fn write_json(&mut self, text: &str) -> Result<(), Failure> {
        if self.terminal { self.write(&harmless_json(text)) } else { self.write(text) }
    }

    pub fn finish(mut self) -> Result<u64, Failure> {
        if self.show.json {
            self.write(if self.count == 0 { "[]\n" } else { "\n]\n" })?;
        }
        self.out.flush().map_err(ended)?;
        Ok(self.count)
    }
}

impl TakeRows for Stream<'_> {
    type Error = Failure;

    fn columns(&mut self, columns: Vec<String>) -> Result<(), Failure> {
        if self.show.csv {
            self.write(&(columns.join(",") + "\n"))?;
        }
        self.columns = columns;
        Ok(())
    }

    fn row(&mut self, mut row: Vec<Json>) -> Result<(), Failure> {
        self.count += 1;
        if let Some(zone) = self.zone {
            self.columns.iter().zip(&mut row).for_each(|(column, value)| localise(column, value, zone));
        }
        if self.show.csv {
            let text = csv_row(self.columns.iter().zip(&row));
            return self.write(&(text + "\n"));
        }
        let object = object(&self.columns, &row);
        if self.show.jsonl {
            return self.write_json(&(object.to_string() + "\n"));
        }
        // As serde_json would print the whole array.
        let text = serde_json::to_string_pretty(&object).map_err(unexpected)?.replace('\n', "\n  ");
        self.write(if self.count == 1 { "[\n  " } else { ",\n  " })?;
        self.write_json(&text)
    }
}

/// Columns of the terminal: `COLUMNS` where it is set, else what the terminal says.
fn width() -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok()).filter(|columns| *columns > 0);
    set.or_else(|| comfy_table::Table::new().width().map(usize::from).filter(|columns| *columns > 0)).unwrap_or(WIDTH)
}

/// A line in pieces that fit the screen.
fn broken(text: &str) -> String {
    table::break_words(text, width().saturating_sub(2)).join("\n  ")
}

fn is_time(column: &str) -> bool {
    column.ends_with("_at") || column == "at" || column.starts_with("period_") || column == "since" || column.ends_with("_since")
}

/// A time in a zone, with its offset; in objects and lists those whose names are names of times.
fn localise(column: &str, value: &mut Json, zone: Tz) {
    match value {
        Json::String(text) if is_time(column) => {
            if let Ok(time) = text.parse::<DateTime<Utc>>() {
                *text = time.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::AutoSi, false);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| localise(column, item, zone)),
        Json::Object(members) => members.iter_mut().for_each(|(name, member)| localise(name, member, zone)),
        _ => {}
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

/// Findings as their codes.
fn codes(findings: &str) -> String {
    let codes = serde_json::from_str::<Vec<Json>>(findings).unwrap_or_default();
    codes.iter().filter_map(|finding| finding["code"].as_str()).collect::<Vec<_>>().join(", ")
}

pub fn object(columns: &[String], row: &[Json]) -> Json {
    let value = |column: &String, value: &Json| match value {
        // Findings are JSON in the store; a program should not have to parse twice.
        Json::String(text) if column == "findings" => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        other => other.clone(),
    };
    Json::Object(columns.iter().zip(row).map(|(column, cell)| (column.clone(), value(column, cell))).collect::<Map<_, _>>())
}

fn csv_row<'a>(cells: impl Iterator<Item = (&'a String, &'a Json)>) -> String {
    cells.map(|(column, value)| csv_cell(column, value)).collect::<Vec<_>>().join(",")
}

fn csv_cell(column: &str, value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        // Ours, of letters, digits, `-` and `_` only: harmless, and compared byte for byte.
        Json::String(text) if matches!(column, "hash" | "prev") => text.clone(),
        Json::String(text) => csv_text(text),
        other => csv_text(&other.to_string()),
    }
}

/// RFC 4180: quoted when it must be. Spreadsheets run what begins with `=`, `+`, `-` or `@`: an apostrophe makes it text;
/// numbers stay numbers.
fn csv_text(text: &str) -> String {
    let runs = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let shown = printable(text);
    let shown = if runs && !is_number(text) { Cow::Owned(format!("'{shown}")) } else { shown };
    if shown.contains([',', '"']) { format!("\"{}\"", shown.replace('"', "\"\"")) } else { shown.into_owned() }
}

/// A plain decimal, negative or not.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    digits(whole) && digits(part)
}

/// The same JSON, without any character that a terminal or a reader could be misled by. They occur in strings only.
fn harmless_json(text: &str) -> Cow<'_, str> {
    let bad = |c: char| is_unprintable(c) && c != '\n';
    if !text.contains(bad) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if bad(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out.into()
}

fn unexpected(error: serde_json::Error) -> Failure {
    Failure::new(Exit::Unexpected, error.to_string())
}

/// `forecourt sessions | head` is not an error.
fn closed_pipe(error: std::io::Error) -> Result<(), Failure> {
    if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error.into()) }
}

/// The same in the middle of many rows: nobody reads on, so nothing more is made.
fn ended(error: std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::BrokenPipe { Failure::new(Exit::Ok, "") } else { error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_cells_are_quoted_when_they_must_be_and_never_run() {
        for (text, wanted) in [
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("plain", "plain"),
            ("-1.20", "-1.20"),
            ("-7", "-7"),
            ("--7", "'--7"),
            ("-1.-2", "'-1.-2"),
            ("-", "'-"),
            ("+49 30", "'+49 30"),
            ("=HYPERLINK(\"http://x\",1)", "\"'=HYPERLINK(\"\"http://x\"\",1)\""),
            ("@SUM(1)", "'@SUM(1)"),
            ("\t=1", "'\\t=1"),
            ("a\r\nb\u{1b}[2J\u{9b}\u{202e}", "a\\r\\nb\\x1b[2J\\u{9b}\\u{202e}"),
        ] {
            assert_eq!(csv_cell("station", &Json::from(text)), wanted);
        }
        assert_eq!(csv_cell("energy_wh", &Json::from(-5)), "-5");
        assert_eq!(csv_cell("hash", &Json::from("-x_Y")), "-x_Y");
        assert_eq!(csv_cell("", &Json::Null), "");
    }

    #[test]
    fn json_for_a_terminal_says_the_same_in_harmless_characters() {
        let value = Json::from("\u{1b}[2J \u{9b}x\u{202e}\u{7f} \u{e0041} é 充");
        let text = value.to_string();
        let shown = harmless_json(&text);
        assert!(!shown.contains(is_unprintable), "{shown}");
        assert_eq!(serde_json::from_str::<Json>(&shown).ok(), Some(value));
        assert_eq!(harmless_json("{\n  \"a\": 1.10\n}"), "{\n  \"a\": 1.10\n}");
    }

    #[test]
    fn headings_show_units() {
        assert_eq!(heading("energy_wh"), "ENERGY Wh");
        assert_eq!(heading("started_at"), "STARTED");
    }
}
