//! A strict reader of Prometheus' text format 0.0.4: what is not exactly as it has to be fails the test.

use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<String, String>;

/// Samples by name and labels; values as written.
#[derive(Debug, Default)]
pub struct Exposition {
    samples: BTreeMap<(String, Labels), String>,
    types: BTreeMap<String, String>,
}

impl Exposition {
    pub fn parse(text: &str) -> Self {
        let mut parsed = Self::default();
        let (mut help, mut family) = (None, String::new());
        assert!(text.ends_with('\n'), "the last line does not end");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, words) = rest.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                assert!(is_name(name) && name.starts_with("forecourt_") && !words.is_empty(), "{line}");
                help = Some(name.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(help.take().as_deref(), Some(name), "HELP comes right before TYPE: {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(parsed.types.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
                name.clone_into(&mut family);
            } else {
                let (name, labels, value) = sample(line);
                let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("not below its TYPE: {line}"));
                let fits = match parsed.types[&family].as_str() {
                    "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
                    _ => suffix.is_empty(),
                };
                assert!(fits && (labels.contains_key("le") == (suffix == "_bucket")), "{line}");
                assert!(value == "+Inf" || value.parse::<f64>().is_ok_and(|value| value >= 0.0 && value.is_finite()), "{line}");
                assert!(parsed.samples.insert((name, labels), value).is_none(), "the same series twice: {line}");
            }
        }
        assert_eq!(help, None, "HELP without TYPE");
        parsed.histograms();
        parsed
    }

    /// Buckets grow, and the last one is the count.
    fn histograms(&self) {
        for (name, _) in self.types.iter().filter(|(_, kind)| *kind == "histogram") {
            let mut buckets: Vec<(f64, u64)> = Vec::new();
            for ((series, labels), value) in &self.samples {
                if *series == format!("{name}_bucket") {
                    let bound = if labels["le"] == "+Inf" { f64::INFINITY } else { labels["le"].parse().unwrap() };
                    buckets.push((bound, value.parse().unwrap()));
                }
            }
            buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}: {buckets:?}");
            let (last, all) = buckets.last().unwrap();
            assert_eq!((last.is_infinite(), *all), (true, self.number(&format!("{name}_count"), &[])), "{name}");
            assert!(self.samples.contains_key(&(format!("{name}_sum"), Labels::new())), "{name}");
        }
    }

    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<&str> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).map(String::as_str)
    }

    #[track_caller]
    pub fn number(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let value = self.get(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}: {self:#?}"));
        value.parse().unwrap_or_else(|_| panic!("{name}: {value}"))
    }

    /// Every value that a label has.
    pub fn values(&self, label: &str) -> BTreeSet<&str> {
        self.samples.keys().filter_map(|(_, labels)| labels.get(label)).map(String::as_str).collect()
    }

    /// Every series: what a Prometheus has to keep.
    pub fn series(&self) -> BTreeSet<&(String, Labels)> {
        self.samples.keys().collect()
    }
}

fn sample(line: &str) -> (String, Labels, String) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
            assert!(is_name(label) && !label.contains(':'), "{line}");
            let (value, after) = quoted(after, line);
            assert!(labels.insert(label.to_owned(), value).is_none(), "a label twice: {line}");
            match after.split_at_checked(1) {
                Some((",", after)) => rest = after,
                Some(("}", after)) => {
                    rest = after;
                    break;
                }
                _ => panic!("after a label: {line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').filter(|value| !value.is_empty() && !value.contains(' '));
    (name.to_owned(), labels, value.unwrap_or_else(|| panic!("no value: {line}")).to_owned())
}

/// Up to the closing quote, with what was escaped.
fn quoted<'a>(text: &'a str, line: &str) -> (String, &'a str) {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return (value, &text[place + 1..]),
            '\\' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('\\' | '"'))) => escaped,
                _ => panic!("no such escape: {line}"),
            }),
            other => value.push(other),
        }
    }
    panic!("a quote is open: {line}")
}

fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.starts_with(|c: char| letters(c) && !c.is_ascii_digit()) && name.chars().all(letters)
}
