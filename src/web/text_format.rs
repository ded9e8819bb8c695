//! The text format of Prometheus, version 0.0.4: families of samples under one HELP and TYPE each.

use std::fmt::{Display, Write as _};

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Before every name.
const PREFIX: &str = "forecourt_";

#[derive(Default)]
pub struct Text(String);

/// Samples of one name; each needs labels of its own.
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Text {
    /// Only grows, until the daemon starts anew. The name ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    pub fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a String does not fail; neither does it below.
        let _ = writeln!(self.0, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}");
        Family { text: &mut self.0, name }
    }

    pub fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    pub fn is(&mut self, value: impl Display) {
        self.sample("", &[], value);
    }

    pub fn with(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.sample("", labels, value);
    }

    /// A sample of a histogram: `_bucket`, `_sum` or `_count`.
    pub fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{PREFIX}{}{suffix}", self.name);
        for (place, (name, value)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{name}=\"{}\"", if place == 0 { '{' } else { ',' }, escaped(value));
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Microseconds as seconds, exactly.
pub fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_labels_and_escapes() {
        let mut text = Text::default();
        text.gauge("a", "What\nit \\ is").is(seconds(1_000_250));
        let mut family = text.counter("b_total", "Two.");
        family.with(&[("x", "q\"\\\n"), ("y", "")], 1);
        family.with(&[("x", "ü"), ("y", "")], 2);
        let expected = "# HELP forecourt_a What\\nit \\\\ is\n# TYPE forecourt_a gauge\nforecourt_a 1.000250\n\
             # HELP forecourt_b_total Two.\n# TYPE forecourt_b_total counter\n\
             forecourt_b_total{x=\"q\\\"\\\\\\n\",y=\"\"} 1\nforecourt_b_total{x=\"ü\",y=\"\"} 2\n";
        assert_eq!(text.finish(), expected);
    }
}
