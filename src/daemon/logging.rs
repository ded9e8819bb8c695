//! Where log lines go, and what may stand in them.
//!
//! A line is one line, whatever stations, brokers and clients say: all field values pass `units::printable` here, in both
//! formats. In JSON what is escaped comes back when the line is parsed.

use std::fmt::{Debug, Result, Write as _};
use std::io::{self, IsTerminal, Write};

use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};
use crate::units::{is_unprintable, printable};

/// Sends the program's log to stderr as configured; `RUST_LOG` (`level` or `target=level,…`) narrows or widens it. A second call
/// changes nothing.
pub fn start(log: &Log) {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse().ok());
    let targets: Targets = wanted.or_else(|| log.level.as_str().parse().ok()).unwrap_or_default();
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_target(false).with_ansi(colour);
    let registry = tracing_subscriber::registry().with(targets);
    let _ = match log.format {
        LogFormat::Json => registry.with(lines.with_writer(|| PlainJson(io::stderr())).json().flatten_event(true)).try_init(),
        LogFormat::Text => {
            registry.with(lines.with_writer(io::stderr).fmt_fields(format::debug_fn(field).delimited(" "))).try_init()
        }
    };
}

/// `name=value`, the message without its name.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> Result {
    let text = format!("{value:?}");
    let text = printable(&text);
    match field.name() {
        "message" => writer.write_str(&text),
        name if writer.has_ansi_escapes() => write!(writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{text}"),
        name => write!(writer, "{name}={text}"),
    }
}

/// JSON escapes the first 32 characters itself; this escapes the rest of what must not reach a terminal. Such characters can
/// only stand inside JSON strings. One call is one line (or several).
struct PlainJson<W>(W);

impl<W: Write> Write for PlainJson<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let needs_it = |c: char| is_unprintable(c) && c != '\n';
        if !text.contains(needs_it) {
            self.0.write_all(line)?;
            return Ok(line.len());
        }
        let mut out = String::with_capacity(text.len() + 32);
        for c in text.chars() {
            if needs_it(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            } else {
                out.push(c);
            }
        }
        self.0.write_all(out.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_stays_json_and_harmless() {
        let mut out = PlainJson(Vec::new());
        let line = "{\"station\":\"\u{202e}1-PC \u{9b}2J\u{7f}\u{e0041} Z\u{fc}rich\"}\n";
        out.write_all(line.as_bytes()).expect("memory");
        let text = String::from_utf8(out.0).expect("UTF-8");
        assert!(!text.trim_end().contains(is_unprintable) && text.ends_with("\"}\n"), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["station"], "\u{202e}1-PC \u{9b}2J\u{7f}\u{e0041} Z\u{fc}rich");
    }
}
