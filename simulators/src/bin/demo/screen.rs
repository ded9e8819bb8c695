//! Lines for people: aligned, colours only on a terminal that wants them.

use std::{
    fmt::Display,
    io::{IsTerminal, Write, stdout},
};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

pub struct Screen {
    colour: bool,
    /// Nobody reads on.
    pub closed: bool,
}

#[derive(Clone, Copy)]
pub enum Ink {
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
    pub fn event(&mut self, at: DateTime<Utc>, place: &str, what: &str, ink: Ink, text: impl Display) {
        let time = self.ink(Ink::Faint, &at.format("%a %H:%M:%S").to_string());
        let what = self.ink(ink, &format!("{what:8}"));
        self.line(format!("{time}  {place:11}  {what}  {text}"));
    }

    pub fn ink(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Strong => "1",
            Ink::Faint => "2",
            Ink::Good => "32",
            Ink::Bad => "31",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A terminal whose owner did not say no (no-color.org).
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
