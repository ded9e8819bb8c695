//! Lines for people: aligned, colours only on a terminal that wants them.

use std::{
    fmt::Display,
    io::{IsTerminal, Write, stdout},
};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

pub struct Screen {
    colour: bool,
    /// The reader has gone.
    pub closed: bool,
}

#[derive(Clone, Copy)]
pub enum Style {
    Plain,
    Strong,
    Faint,
    Good,
    Bad,
}

impl Screen {
    pub fn new() -> Self {
        Self { colour: is_coloured(&stdout()), closed: false }
    }

    pub fn line(&mut self, text: impl Display) {
        self.closed |= writeln!(stdout(), "{text}").is_err();
    }

    /// Something happened, at a simulated time, somewhere.
    pub fn event(&mut self, at: DateTime<Utc>, place: &str, what: &str, style: Style, text: impl Display) {
        let time = self.styled(Style::Faint, &at.format("%a %H:%M:%S").to_string());
        let what = self.styled(style, &format!("{what:8}"));
        self.line(format!("{time}  {place:11}  {what}  {text}"));
    }

    pub fn styled(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Strong => "1",
            Style::Faint => "2",
            Style::Good => "32",
            Style::Bad => "31",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A terminal without NO_COLOR (no-color.org).
pub fn is_coloured(stream: &impl IsTerminal) -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    wanted && stream.is_terminal()
}

/// `3.600 kWh`
pub fn kwh(wh: i64) -> String {
    format!("{} kWh", Decimal::new(wh, 3))
}

/// `1 h 35 min`, `20 min`, `12 s`
pub fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
