//! From a found value to a typed one. Each parser says what it would have taken, in words that fit behind "expected".

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use chrono_tz::Tz;

use super::found::{Found, Source, Wrong, did_you_mean};
use super::types::{Currency, Word};
use crate::units::{Decimal, nearest};

type Parsed<T> = Result<T, Wrong>;

/// Free text of 1 to `max` characters, none of them a control character.
pub(super) fn text(max: usize) -> impl Fn(&Found<'_>) -> Parsed<String> {
    move |found| {
        let fits = |text: &&str| (1..=max).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        found.text().filter(fits).map(str::to_owned).ok_or_else(|| found.wrong(format!("expected text of 1 to {max} characters")))
    }
}

/// A name for machines: 1 to `max` letters, digits, or characters of `extra`.
pub(super) fn name(max: usize, extra: &'static str) -> impl Fn(&Found<'_>) -> Parsed<String> {
    move |found| {
        let fits = |text: &&str| {
            (1..=max).contains(&text.len()) && text.chars().all(|char| char.is_ascii_alphanumeric() || extra.contains(char))
        };
        let expected = || {
            let extra: Vec<_> = extra.chars().map(|char| format!("`{char}`")).collect();
            format!("expected 1 to {max} letters, digits, {}", extra.join(", "))
        };
        found.text().filter(fits).map(str::to_owned).ok_or_else(|| found.wrong(expected()))
    }
}

/// Exactly `count` capital letters (or digits, where `digits`), such as an OCPI party.
pub(super) fn capitals(count: usize, digits: bool, expected: &'static str) -> impl Fn(&Found<'_>) -> Parsed<String> {
    move |found| {
        let fits = |text: &&str| {
            text.len() == count && text.bytes().all(|byte| byte.is_ascii_uppercase() || (digits && byte.is_ascii_digit()))
        };
        found.text().filter(fits).map(str::to_owned).ok_or_else(|| found.wrong(format!("expected {expected}")))
    }
}

/// Empty text takes back what an earlier layer said.
pub(super) fn optional<T>(parse: impl Fn(&Found<'_>) -> Parsed<T>) -> impl Fn(&Found<'_>) -> Parsed<Option<T>> {
    move |found| if found.text() == Some("") { Ok(None) } else { parse(found).map(Some) }
}

/// For a text key whose built-in default depends on another key: empty until `resolve` fills it in.
pub(super) fn or_empty(parse: impl Fn(&Found<'_>) -> Parsed<String>) -> impl Fn(&Found<'_>) -> Parsed<String> {
    move |found| if found.text() == Some("") { Ok(String::new()) } else { parse(found) }
}

/// A whole number of `unit` from `min` to `max`.
pub(super) fn number(min: u32, max: u32, unit: &'static str) -> impl Fn(&Found<'_>) -> Parsed<u32> {
    move |found| {
        let number = found.number().and_then(|digits| digits.parse::<u32>().ok()).filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| found.wrong(format!("expected a whole number of {unit} from {min} to {max}")))
    }
}

/// A small whole number without a unit.
pub(super) fn level(max: u32) -> impl Fn(&Found<'_>) -> Parsed<u32> {
    move |found| {
        let number = found.number().and_then(|digits| digits.parse::<u32>().ok()).filter(|number| *number <= max);
        number.ok_or_else(|| found.wrong(format!("expected a whole number from 0 to {max}")))
    }
}

/// Kilowatts, exact, more than 0.
pub(super) fn kilowatts(found: &Found<'_>) -> Parsed<Decimal> {
    let max = Decimal::from(10_000);
    let power = found.number().and_then(|digits| Decimal::from_str_exact(digits).ok());
    power
        .filter(|power| *power > Decimal::ZERO && *power <= max)
        .ok_or_else(|| found.wrong("expected a number of kilowatts above 0, at most 10000, such as 22 or 7.4"))
}

pub(super) fn truth(found: &Found<'_>) -> Parsed<bool> {
    found.truth().ok_or_else(|| found.wrong("expected true or false"))
}

/// One of a few words.
pub(super) fn word<T: Word>(found: &Found<'_>) -> Parsed<T> {
    let text = found.text();
    if let Some((_, value)) = T::WORDS.iter().find(|(word, _)| Some(*word) == text) {
        return Ok(*value);
    }
    let words: Vec<_> = T::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
    let choice = match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    };
    let near = text.and_then(|text| nearest(text, T::WORDS.iter().map(|(word, _)| *word)));
    Err(found.wrong(format!("expected {choice}{}", did_you_mean(near.map(|near| format!("{near:?}"))))))
}

/// A list of at most `max` items, none twice.
pub(super) fn list<T: PartialEq>(
    max: usize,
    what: &'static str,
    parse: impl Fn(&Found<'_>) -> Parsed<T>,
) -> impl Fn(&Found<'_>) -> Parsed<Vec<T>> {
    move |found| {
        let items = found.list().filter(|items| items.len() <= max);
        let items = items.ok_or_else(|| found.wrong(format!("expected a list of at most {max} {what}")))?;
        let mut parsed = Vec::with_capacity(items.len());
        for item in &items {
            let value = parse(item)?;
            if parsed.contains(&value) {
                return Err(item.wrong_as(format!("names {} twice", item.show()), "expected each once"));
            }
            parsed.push(value);
        }
        Ok(parsed)
    }
}

/// As [`list`], but an empty one makes no sense.
pub(super) fn some<T: PartialEq>(
    what: &'static str,
    parse: impl Fn(&Found<'_>) -> Parsed<T>,
) -> impl Fn(&Found<'_>) -> Parsed<Vec<T>> {
    let list = list(16, what, parse);
    move |found| match list(found) {
        Ok(items) if items.is_empty() => Err(found.wrong_as("is empty", format!("expected {what}, at least one"))),
        other => other,
    }
}

const LISTEN: &str = "expected an IP address and port such as \"0.0.0.0:9000\" or \"[::]:9000\", or a list of them";

/// One address to listen on, or a list of them.
pub(super) fn listeners(found: &Found<'_>) -> Parsed<Vec<SocketAddr>> {
    let address = |found: &Found<'_>| found.text().and_then(|text| text.parse().ok()).ok_or_else(|| found.wrong(LISTEN));
    if found.text().is_some_and(|text| !text.contains(',')) {
        return address(found).map(|address| vec![address]);
    }
    found.list().ok_or_else(|| found.wrong(LISTEN))?;
    some("addresses", address)(found)
}

/// One address to listen on.
pub(super) fn listener(found: &Found<'_>) -> Parsed<SocketAddr> {
    let expected = "expected an IP address and port such as \"127.0.0.1:8080\"";
    found.text().and_then(|text| text.parse().ok()).ok_or_else(|| found.wrong(expected))
}

/// A URL path: `/ocpp`, `/a/b`; `/` when stations connect to `ws://host:9000/{id}`.
pub(super) fn url_path(found: &Found<'_>) -> Parsed<String> {
    let fits = |text: &&str| {
        let segment = |segment: &str| {
            !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        *text == "/" || text.strip_prefix('/').is_some_and(|path| path.split('/').all(segment))
    };
    let expected = "expected a path that starts with `/` and does not end with one, such as \"/ocpp\"";
    found.text().filter(fits).map(str::to_owned).ok_or_else(|| found.wrong(expected))
}

/// A station's identity as the last segment of its URL, percent-decoded. Lenient: real stations use spaces and umlauts.
pub(super) fn station_id(found: &Found<'_>) -> Parsed<String> {
    let fits = |text: &&str| {
        let length = text.chars().count();
        (1..=100).contains(&length) && text.trim() == *text && !text.contains(|char: char| char.is_control() || char == '/')
    };
    let expected = "expected the station's identity, 1 to 100 characters, no `/`, no spaces around it";
    found.text().filter(fits).map(str::to_owned).ok_or_else(|| found.wrong(expected))
}

/// IANA time zone.
pub(super) fn time_zone(found: &Found<'_>) -> Parsed<Tz> {
    let text = found.text().unwrap_or_default();
    text.parse().map_err(|_| {
        let near = nearest(text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let hint = did_you_mean(near.map(|near| format!("{near:?}")));
        found.wrong(format!("expected an IANA time zone such as \"Europe/Berlin\"{hint}"))
    })
}

pub(super) fn currency(found: &Found<'_>) -> Parsed<Currency> {
    let text = found.text().unwrap_or_default();
    Currency::from_code(text)
        .ok_or_else(|| found.wrong("expected a currency code of ISO 4217, three capital letters such as \"EUR\""))
}

/// MQTT topic prefix: not empty at any level, no wildcards (MQTT 5.0 §4.7.1).
pub(super) fn topic(found: &Found<'_>) -> Parsed<String> {
    let fits = |text: &&str| {
        let level =
            |level: &str| !level.is_empty() && !level.contains(|char: char| matches!(char, '+' | '#') || char.is_control());
        text.len() <= 200 && !text.starts_with('$') && text.split('/').all(level)
    };
    let expected = "expected a topic without `+`, `#`, or a `/` at either end, such as \"forecourt/v1\"";
    found.text().filter(fits).map(str::to_owned).ok_or_else(|| found.wrong(expected))
}

/// A path; a relative one starts at the folder of the file that names it, or where the command was given.
pub(super) fn path(found: &Found<'_>) -> Parsed<PathBuf> {
    let Some(text) = found.text().filter(|text| !text.is_empty() && !text.contains('\0')) else {
        return Err(found.wrong("expected a path"));
    };
    if text == "~" || text.starts_with("~/") {
        return Err(found.wrong("expected a path without `~`, which only a shell understands"));
    }
    match &found.place.source {
        Source::File(file) => Ok(beside(file, Path::new(text))),
        Source::BuiltIn | Source::Credential(_) | Source::Variable(_) | Source::CommandLine => Ok(PathBuf::from(text)),
    }
}

/// The key that signs records, PKCS#8 PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyFile {
    pub path: PathBuf,
    /// Whether a missing file is made on first start; a systemd credential is not ours to make.
    pub made_when_absent: bool,
}

pub(super) fn signing_key_file(found: &Found<'_>) -> Parsed<SigningKeyFile> {
    let made_when_absent = !matches!(found.place.source, Source::Credential(_));
    path(found).map(|path| SigningKeyFile { path, made_when_absent })
}

/// `path` as seen from the folder of `file`. Leading `..` are taken off the folder's real path, so that messages show
/// `/srv/site/var/x`, not `/srv/site/config/../var/x`.
fn beside(file: &Path, path: &Path) -> PathBuf {
    if path.is_absolute() {
        return path.to_owned();
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(mut result) = folder.canonicalize() else {
        return folder.join(path);
    };
    let mut leading = true;
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if leading => {
                result.pop();
            }
            part => {
                leading = false;
                result.push(part);
            }
        }
    }
    result
}
