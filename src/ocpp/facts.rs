//! Facts about the messages that we send: names, members, types, bounds. One table per version, `facts/*.txt`, read once when it is first
//! needed; `tests/python/facts.py` writes the same from the published schemas, and a test compares both.
//!
//! ```text
//! call Reset reads             a message, its members below; `reads`: it only reads, so that a station that gets it twice does nothing twice
//!   type ResetEnum             a member that must be there, of a type of this file
//!   evseId? integer >=0        one that may be absent
//! answer Reset                 the members of its answer
//! type ResetEnum one of A B    a list of values
//! type EVSE                    an object, its members below
//! ```
//! What a member may be: `text` (any), `text 20` (at most so many characters), `uri`, `time` (RFC 3339), `boolean`, `integer`, `number`, each of
//! these two with bounds, `tenths` (no more than one decimal), `list 1..4 of …`, `one of …`, `any`, or the name of a type. An object of 2.x may
//! hold `customData` besides, which the tables do not repeat.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::units::{Decimal, Version};

/// A message that a CSMS sends.
#[derive(Debug, PartialEq)]
pub struct Outgoing {
    pub action: &'static str,
    /// It only reads: a station that gets it twice does nothing twice.
    pub harmless: bool,
    pub(super) request: Vec<Member>,
    pub(super) answer: Vec<Member>,
}

/// A member of an object.
#[derive(Debug, PartialEq)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) rule: Rule,
}

/// What a value must be.
#[derive(Debug, PartialEq)]
pub(super) enum Rule {
    /// At most so many characters.
    Text(usize),
    Uri(usize),
    Time,
    Boolean,
    Number {
        whole: bool,
        least: Option<Decimal>,
        most: Option<Decimal>,
        tenths: bool,
    },
    /// Any JSON value.
    Any,
    OneOf(Vec<&'static str>),
    List {
        least: usize,
        most: usize,
        of: Box<Rule>,
    },
    /// A type of the table.
    Named(&'static str),
    Object(Vec<Member>),
}

/// The table of a version.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// In the order of their names.
    pub(super) calls: Vec<Outgoing>,
    types: BTreeMap<&'static str, Rule>,
    pub(super) custom_data: bool,
    /// Lines that cannot be read; a test sees to it that there are none.
    unread: Vec<&'static str>,
}

impl Facts {
    pub(super) fn of(version: Version) -> &'static Self {
        static TABLES: [LazyLock<Facts>; 3] = [
            LazyLock::new(|| Facts::read(include_str!("facts/1.6.txt"), false)),
            LazyLock::new(|| Facts::read(include_str!("facts/2.0.1.txt"), true)),
            LazyLock::new(|| Facts::read(include_str!("facts/2.1.txt"), true)),
        ];
        let [v16, v201, v21] = &TABLES;
        match version {
            Version::V16 => v16,
            Version::V201 => v201,
            Version::V21 => v21,
        }
    }

    pub(super) fn call(&self, action: &str) -> Option<&Outgoing> {
        self.calls.iter().find(|call| call.action == action)
    }

    /// The rule itself, where it names a type.
    pub(super) fn resolved<'a>(&'a self, rule: &'a Rule) -> &'a Rule {
        match rule {
            Rule::Named(name) => self.types.get(name).unwrap_or(rule),
            rule => rule,
        }
    }

    fn read(text: &'static str, custom_data: bool) -> Self {
        let mut facts = Self { custom_data, ..Self::default() };
        let mut lines = text.lines().filter(|line| !line.is_empty()).peekable();
        while let Some(line) = lines.next() {
            let mut members = Vec::new();
            while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
                match member(line) {
                    Some(member) => members.push(member),
                    None => facts.unread.push(line),
                }
            }
            let words: Vec<&'static str> = line.split(' ').collect();
            match words.as_slice() {
                ["call", action] => facts.calls.push(Outgoing { action, harmless: false, request: members, answer: Vec::new() }),
                ["call", action, "reads"] => {
                    facts.calls.push(Outgoing { action, harmless: true, request: members, answer: Vec::new() });
                }
                ["answer", action] => match facts.calls.last_mut().filter(|call| call.action == *action) {
                    Some(call) => call.answer = members,
                    None => facts.unread.push(line),
                },
                ["type", name] => drop(facts.types.insert(name, Rule::Object(members))),
                ["type", name, "one", "of", values @ ..] => drop(facts.types.insert(name, Rule::OneOf(values.to_vec()))),
                _ => facts.unread.push(line),
            }
        }
        facts
    }
}

fn member(line: &'static str) -> Option<Member> {
    let (name, rule) = line.trim_start().split_once(' ')?;
    let (name, required) = name.strip_suffix('?').map_or((name, true), |name| (name, false));
    Some(Member { name, required, rule: rule_of(rule)? })
}

fn rule_of(text: &'static str) -> Option<Rule> {
    let words: Vec<&'static str> = text.split(' ').collect();
    Some(match words.as_slice() {
        ["text"] => Rule::Text(usize::MAX),
        ["text", most] => Rule::Text(most.parse().ok()?),
        ["uri"] => Rule::Uri(usize::MAX),
        ["uri", most] => Rule::Uri(most.parse().ok()?),
        ["time"] => Rule::Time,
        ["boolean"] => Rule::Boolean,
        ["any"] => Rule::Any,
        ["one", "of", values @ ..] => Rule::OneOf(values.to_vec()),
        ["integer", bounds @ ..] => number(true, bounds)?,
        ["number", bounds @ ..] => number(false, bounds)?,
        ["list", ..] => list(text)?,
        [name] => Rule::Named(name),
        _ => return None,
    })
}

fn number(whole: bool, bounds: &[&str]) -> Option<Rule> {
    let (mut least, mut most, mut tenths) = (None, None, false);
    for bound in bounds {
        match bound.split_at_checked(2)? {
            (">=", bound) => least = Some(bound.parse().ok()?),
            ("<=", bound) => most = Some(bound.parse().ok()?),
            _ if *bound == "tenths" => tenths = true,
            _ => return None,
        }
    }
    Some(Rule::Number { whole, least, most, tenths })
}

/// `list 1..4 of …`
fn list(text: &'static str) -> Option<Rule> {
    let (range, of) = text.strip_prefix("list ")?.split_once(" of ")?;
    let (least, most) = range.split_once("..")?;
    let most = if most.is_empty() { usize::MAX } else { most.parse().ok()? };
    Some(Rule::List { least: least.parse().ok()?, most, of: Box::new(rule_of(of)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named<'a>(rule: &'a Rule, names: &mut Vec<&'a str>) {
        match rule {
            Rule::Named(name) => names.push(name),
            Rule::List { of, .. } => named(of, names),
            Rule::Object(members) => members.iter().for_each(|member| named(&member.rule, names)),
            _ => {}
        }
    }

    #[test]
    fn every_line_of_the_tables_is_read_and_every_name_in_them_known() {
        for (version, calls) in [(Version::V16, 26), (Version::V201, 40), (Version::V21, 55)] {
            let facts = Facts::of(version);
            assert_eq!(facts.unread, [""; 0], "{version:?}");
            assert_eq!(facts.calls.len(), calls, "{version:?}");
            assert!(facts.calls.is_sorted_by_key(|call| call.action), "{version:?}");
            let mut names = Vec::new();
            let members = facts.calls.iter().flat_map(|call| call.request.iter().chain(&call.answer));
            members.map(|member| &member.rule).chain(facts.types.values()).for_each(|rule| named(rule, &mut names));
            for name in names {
                assert!(facts.types.contains_key(name), "{version:?} {name}");
            }
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_kept() {
        let facts = Facts::read("call A\n  b text x\nanswer B\n", false);
        assert_eq!(facts.unread, ["  b text x", "answer B"]);
    }
}
