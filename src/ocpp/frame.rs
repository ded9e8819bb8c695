//! The OCPP-J message frame (OCPP-J 1.6 §4, 2.0.1 Part 4 §4, 2.1 Part 4 §4): one JSON array, taken apart without building a tree.
//!
//! Reading is strict first. Text that is not JSON is given one more chance with the damage undone that real stations have
//! been seen to do (`repair`): a comma before the first element, and a name without a value. Each repair is a finding.
//! Nothing else is fixed up; a frame cut short stays broken (docs/quirks.md Q15 to Q21, and Q122 for what is not mended).
//! Tolerated with a finding: a payload left out, elements too many. Without one: white space, BOM, NUL and line ends around
//! the frame, ids of any length or numeric.
//! Limits: the caller bounds the text; 16 repairs.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::answer::refuse;
use super::json::{Cursor, Token, is_json};
use super::message_id::MessageId;
use crate::fact::{Refusal, RefusalKind};
use crate::units::{Finding, Version};

/// A frame with more damage than this is not the known one (docs/quirks.md Q17) but something else.
const MAX_REPAIRS: u32 = 16;

/// One message. Everything is borrowed from the text unless it had to be repaired or unescaped.
#[derive(Clone, Debug)]
pub enum Frame<'a> {
    Call {
        id: MessageId<'a>,
        action: Cow<'a, str>,
        /// Any JSON value; `null` when the element is missing.
        payload: Cow<'a, RawValue>,
        findings: Vec<Finding>,
    },
    CallResult {
        id: MessageId<'a>,
        payload: Cow<'a, RawValue>,
        findings: Vec<Finding>,
    },
    CallError {
        id: MessageId<'a>,
        code: Cow<'a, str>,
        description: Cow<'a, str>,
        details: Cow<'a, RawValue>,
        findings: Vec<Finding>,
    },
    /// 2.1: the other side could not use our CALLRESULT.
    CallResultError {
        id: MessageId<'a>,
        code: Cow<'a, str>,
        description: Cow<'a, str>,
        details: Cow<'a, RawValue>,
        findings: Vec<Finding>,
    },
    /// 2.1: a message that is never answered.
    Send {
        id: MessageId<'a>,
        action: Cow<'a, str>,
        payload: Cow<'a, RawValue>,
        findings: Vec<Finding>,
    },
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing but white space; to be ignored (docs/quirks.md Q15).
    Empty,
    NotJson,
    /// JSON, but not an array of the right elements.
    NotAFrame,
    /// A message type number that OCPP does not have.
    MessageType,
}

/// A frame that cannot be read, and what could be salvaged of its head.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    pub flaw: Flaw,
    /// A sentence for a person.
    pub what: String,
    /// Byte of the trimmed text at which reading failed; 0 when the frame as a whole is wrong.
    pub at: usize,
    pub message_type: Option<i64>,
    pub id: Option<MessageId<'static>>,
    /// The action, so that a broken transaction message can be told from a broken heartbeat.
    pub action: Option<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.what, self.at)
    }
}

impl Broken {
    /// The CALLERROR that answers this frame, if one does. Answers are never answered, nor is an empty frame; 1.6 knows no answer
    /// to a frame whose id cannot be read, 2.x answers it with the id "-1" (2.0.1 Part 4 §4.2.3). An unknown message type is
    /// refused in 2.0.1 and ignored in 1.6 and 2.1.
    pub fn answer(&self, version: Version) -> Option<String> {
        let kind = match self.flaw {
            Flaw::Empty => return None,
            Flaw::MessageType if version != Version::V201 => return None,
            Flaw::MessageType => RefusalKind::MessageType,
            Flaw::NotJson | Flaw::NotAFrame if matches!(self.message_type, None | Some(CALL)) => RefusalKind::Framing,
            Flaw::NotJson | Flaw::NotAFrame => return None,
        };
        let id = match (&self.id, version) {
            (Some(id), _) => id.clone(),
            (None, Version::V16) => return None,
            (None, Version::V201 | Version::V21) => MessageId::from_text("-1"),
        };
        Some(refuse(version, &id, &Refusal { kind, text: self.what.clone() }))
    }
}

const CALL: i64 = 2;

/// Reads one frame.
pub fn read(text: &str) -> Result<Frame<'_>, Broken> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\0');
    match serde_json::from_str::<Parts<'_>>(text) {
        Ok(parts) => frame(&parts, Vec::new()).map_err(|(flaw, what)| broken(text, flaw, what, 0)),
        Err(_) if text.is_empty() => Err(broken(text, Flaw::Empty, "empty frame".to_owned(), 0)),
        Err(error) if error.classify() == Category::Data => Err(broken(text, Flaw::NotAFrame, "not a JSON array".to_owned(), 0)),
        Err(error) => repaired(text).ok_or_else(|| {
            let at = offset(text, error.line(), error.column());
            broken(text, Flaw::NotJson, format!("not JSON: {error}"), at)
        }),
    }
}

fn repaired(text: &str) -> Option<Frame<'static>> {
    let (text, findings) = repair(text)?;
    let parts = serde_json::from_str::<Parts<'_>>(&text).ok()?;
    frame(&parts, findings).ok().map(Frame::into_owned)
}

/// Undoes the damage of docs/quirks.md Q17: `[,` → `[` and `"name":,` or `"name":}` → `"name":null`. `None` when there is none
/// of it, or too much.
fn repair(text: &str) -> Option<(String, Vec<Finding>)> {
    let mut fixed = String::with_capacity(text.len() + 8);
    let (mut commas, mut values) = (0_u32, 0_u32);
    let (mut in_string, mut escaped) = (false, false);
    let mut last = ' ';
    for c in text.chars() {
        if in_string {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
        } else {
            match c {
                '"' => in_string = true,
                ',' if last == '[' => {
                    commas += 1;
                    continue;
                }
                ',' | '}' if last == ':' => {
                    values += 1;
                    fixed.push_str("null");
                }
                _ => {}
            }
        }
        if !c.is_whitespace() {
            last = c;
        }
        fixed.push(c);
    }
    let found = |count: u32, what: &str| (count > 0).then(|| Finding::new("frame-repaired", format!("{count} × {what}")));
    let findings: Vec<Finding> =
        found(commas, "comma before the first element").into_iter().chain(found(values, "name without a value")).collect();
    (!findings.is_empty() && commas + values <= MAX_REPAIRS).then_some((fixed, findings))
}

/// The elements of the array, each checked to be JSON and left as text.
struct Parts<'a> {
    part: [Option<&'a RawValue>; 5],
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Parts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;

        impl<'de> Visitor<'de> for Elements {
            type Value = Parts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let mut parts = Parts { part: [None; 5], count: 0 };
                while let Some(raw) = elements.next_element()? {
                    if let Some(place) = parts.part.get_mut(parts.count) {
                        *place = Some(raw);
                    }
                    parts.count += 1;
                }
                Ok(parts)
            }
        }

        deserializer.deserialize_seq(Elements)
    }
}

impl<'a> Parts<'a> {
    fn token(&self, at: usize) -> Option<Token<'a>> {
        self.part.get(at).copied().flatten().map(|raw| Token::of(raw.get()))
    }

    /// A text element; other scalars as written, nothing as "".
    fn text(&self, at: usize) -> Cow<'a, str> {
        match self.token(at) {
            Some(Token::Text(text)) => text,
            Some(Token::Number(digits)) => Cow::Borrowed(digits),
            _ => Cow::Borrowed(""),
        }
    }

    fn payload(&self, at: usize) -> Cow<'a, RawValue> {
        Cow::Borrowed(self.part.get(at).copied().flatten().unwrap_or(RawValue::NULL))
    }
}

/// Builds the message from its elements, or says what they lack.
fn frame<'a>(parts: &Parts<'a>, mut findings: Vec<Finding>) -> Result<Frame<'a>, (Flaw, String)> {
    let not_a_frame = |what: &str| Err((Flaw::NotAFrame, what.to_owned()));
    let Some(message_type) = parts.token(0).as_ref().and_then(message_type) else { return not_a_frame("no message type") };
    // Elements by type: the fewest that make sense, and how many there should be.
    let (fewest, proper) = match message_type {
        2 | 6 => (3, 4),
        3 => (2, 3),
        4 | 5 => (3, 5),
        other => return Err((Flaw::MessageType, format!("unknown message type {other}"))),
    };
    let Some(id) = parts.part[1].and_then(|raw| MessageId::from_token(raw.get())) else { return not_a_frame("no message id") };
    if parts.count < fewest {
        return not_a_frame("too few elements");
    }
    if parts.count > proper || (parts.count < proper && proper != 5) {
        findings.push(Finding::new("frame-elements", format!("{} elements instead of {proper}", parts.count)));
    }
    Ok(match message_type {
        2 | 6 => {
            let Some(Token::Text(action)) = parts.token(2) else { return not_a_frame("no action") };
            let payload = parts.payload(3);
            if message_type == CALL {
                Frame::Call { id, action, payload, findings }
            } else {
                Frame::Send { id, action, payload, findings }
            }
        }
        3 => Frame::CallResult { id, payload: parts.payload(2), findings },
        _ => {
            let (code, description, details) = (parts.text(2), parts.text(3), parts.payload(4));
            if message_type == 4 {
                Frame::CallError { id, code, description, details, findings }
            } else {
                Frame::CallResultError { id, code, description, details, findings }
            }
        }
    })
}

fn message_type(token: &Token<'_>) -> Option<i64> {
    match token {
        Token::Number(digits) => digits.parse().ok(),
        Token::Text(digits) => digits.trim().parse().ok(),
        _ => None,
    }
}

/// Saves what can be read of the head of a frame that is none.
fn broken(text: &str, flaw: Flaw, what: String, at: usize) -> Broken {
    let mut json = Cursor::new(text);
    let mut head = [None; 3];
    if json.open(b'[') {
        for place in &mut head {
            if !json.item() {
                break;
            }
            let raw = json.raw();
            if !is_json(raw) {
                break;
            }
            *place = Some(raw);
        }
    }
    let [kind, id, action] = head;
    Broken {
        flaw,
        what,
        at,
        message_type: kind.and_then(|raw| message_type(&Token::of(raw))),
        id: id.and_then(MessageId::from_token).map(MessageId::into_owned),
        action: action.and_then(|raw| match Token::of(raw) {
            Token::Text(action) => Some(action.into_owned()),
            _ => None,
        }),
    }
}

/// The byte that `serde_json` names by line and column, both from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column.saturating_sub(1)
}

impl Frame<'_> {
    /// A copy that borrows nothing.
    pub fn into_owned(self) -> Frame<'static> {
        fn own<T: ToOwned + ?Sized + 'static>(part: Cow<'_, T>) -> Cow<'static, T> {
            Cow::Owned(part.into_owned())
        }
        match self {
            Self::Call { id, action, payload, findings } => {
                Frame::Call { id: id.into_owned(), action: own(action), payload: own(payload), findings }
            }
            Self::Send { id, action, payload, findings } => {
                Frame::Send { id: id.into_owned(), action: own(action), payload: own(payload), findings }
            }
            Self::CallResult { id, payload, findings } => {
                Frame::CallResult { id: id.into_owned(), payload: own(payload), findings }
            }
            Self::CallError { id, code, description, details, findings } => {
                let (code, description, details) = (own(code), own(description), own(details));
                Frame::CallError { id: id.into_owned(), code, description, details, findings }
            }
            Self::CallResultError { id, code, description, details, findings } => {
                let (code, description, details) = (own(code), own(description), own(details));
                Frame::CallResultError { id: id.into_owned(), code, description, details, findings }
            }
        }
    }
}

#[cfg(test)]
mod tests;
