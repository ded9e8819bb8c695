//! Keys and values that are refused: those that nobody knows, and those that are promised and not built, which the documentation
//! names and this version cannot honour.
//!
//! Accepting the latter in silence would let an operator believe that, say, TLS is on. Each is an error that says why.
//! **Whoever builds one of these capabilities deletes its row here** and adds its key to `keys.rs` (if it is not there yet).

use super::found::Source;
use super::keys::{self, heading};
use crate::units::nearest;

/// A promised key, or a promised value of a key.
pub(super) struct Reserved {
    /// A key, or a section with everything below it.
    pub(super) key: &'static str,
    pub(super) values: Values,
    pub(super) why: &'static str,
}

/// Which values of the key are reserved. In a list, each item counts.
pub(super) enum Values {
    All,
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

use Values::{All, AllBut, Only};

#[rustfmt::skip]
pub(super) const RESERVED: &[Reserved] = &[
    Reserved { key: "store.raw_message_days", values: All, why: "this version never deletes raw messages" },
    Reserved { key: "store.meter_value_days", values: All, why: "this version never deletes meter values" },
    Reserved { key: "store.min_free_mb", values: All, why: "this version does not watch the free space" },
    Reserved { key: "ocpp.tls", values: All, why: "this version speaks plain ws:// only" },
    Reserved { key: "ocpp.security_profile", values: Only(&["1", "2", "3"]), why: "this version has neither station passwords nor TLS, so the minimum must be 0" },
    Reserved { key: "station.security_profile", values: All, why: "this version has neither station passwords nor TLS" },
    Reserved { key: "station.password_file", values: All, why: "this version has no station passwords" },
    Reserved { key: "station.quirks", values: AllBut(&["assume-ocpp1.6"]), why: "this version knows only the quirk \"assume-ocpp1.6\"" },
    Reserved { key: "tariff.rounding", values: AllBut(&["line-half-away"]), why: "this version rounds by \"line-half-away\" only" },
    Reserved { key: "mqtt.password", values: All, why: "secrets do not stand in the configuration; put it alone into a file, and name that with `mqtt.password_file`" },
    Reserved { key: "mqtt.office_keys_file", values: All, why: "this version does not check signatures of the head office" },
    Reserved { key: "signing.algorithm", values: Only(&["Ed25519"]), why: "this version signs with \"ES256\" only" },
    Reserved { key: "web.users_file", values: All, why: "this version has no web console yet, so nobody logs in" },
    Reserved { key: "web.tls", values: All, why: "this version speaks plain http:// only" },
    Reserved { key: "log.format", values: Only(&["journald"]), why: "this version writes \"text\" or \"json\"" },
];

/// The row that forbids a key whatever its value, if any.
pub(super) fn whole(key: &str) -> Option<&'static Reserved> {
    RESERVED.iter().find(|row| matches!(row.values, All) && is_or_below(key, row.key))
}

/// The row that forbids this value of a key, if any. Ask for every item of a list.
pub(super) fn value(key: &str, value: &str) -> Option<&'static Reserved> {
    RESERVED.iter().find(|row| {
        row.key == key
            && match row.values {
                All => true,
                Only(values) => values.contains(&value),
                AllBut(values) => !values.contains(&value),
            }
    })
}

fn is_or_below(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The environment's name for a key: `ocpp.listen` is `FORECOURT__OCPP__LISTEN`.
pub(super) const PREFIX: &str = "FORECOURT__";

/// An unknown section, as written: `[ocp]` or `[[stations]]`.
pub(super) fn unknown_section(name: &str, repeated: bool) -> String {
    let written = if repeated { format!("[[{name}]]") } else { format!("[{name}]") };
    match nearest(name, keys::sections()) {
        Some(near) => format!("unknown section `{written}`; did you mean `{}`?", heading(near)),
        None => format!("unknown section `{written}`; there are {}", headings()),
    }
}

/// An unknown key: the nearest by spelling, else the same name in another section, else all of its section.
pub(super) fn unknown_key(path: &str, source: &Source) -> String {
    let (section, leaf) = path.rsplit_once('.').unwrap_or(("", path));
    let known = || keys::all().map(|key| key.path).filter(|path| can_name(source, path));
    let mut near: Vec<&str> = nearest(path, known()).into_iter().collect();
    if near.is_empty() {
        near = known().filter(|path| path.rsplit_once('.').is_some_and(|(_, name)| name == leaf)).collect();
    }
    if near.is_empty() {
        return match keys::of(section) {
            [] => format!("unknown key `{path}`; keys stand in {}", headings()),
            keys => format!("unknown key `{path}`; {} has {}", heading(section), leaves(keys)),
        };
    }
    let near: Vec<_> = near.into_iter().map(|path| spelled(path, source)).collect();
    format!("unknown key `{path}`; did you mean {}?", near.join(" or "))
}

/// Only files can name a station.
fn can_name(source: &Source, path: &str) -> bool {
    matches!(source, Source::File(_)) || !path.starts_with("station.")
}

fn spelled(path: &str, source: &Source) -> String {
    match source {
        Source::Variable(_) => format!("`{PREFIX}{}`", path.to_ascii_uppercase().replace('.', "__")),
        _ => format!("`{path}`"),
    }
}

fn headings() -> String {
    keys::sections().map(heading).collect::<Vec<_>>().join(", ")
}

fn leaves(keys: &[keys::Key]) -> String {
    keys.iter().filter_map(|key| key.path.rsplit_once('.')).map(|(_, leaf)| leaf).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_cover_sections_keys_and_values() {
        for (key, expected) in [
            ("web", false),
            ("web.tls.cert_file", true),
            ("web.tlsx", false),
            ("ocpp.tls.key_file", true),
            ("ocpp.listen", false),
        ] {
            assert_eq!(whole(key).is_some(), expected, "{key}");
        }
        for (key, word, expected) in [
            ("ocpp.security_profile", "2", true),
            ("ocpp.security_profile", "0", false),
            ("station.quirks", "assume-ocpp1.6", false),
            ("station.quirks", "no-ping", true),
            ("ocpp.listen", "inbox", false),
        ] {
            assert_eq!(value(key, word).is_some(), expected, "{key} {word}");
        }
    }

    #[test]
    fn a_partly_reserved_key_is_a_known_key_and_a_wholly_reserved_one_is_not() {
        for row in RESERVED {
            let whole = matches!(row.values, All);
            assert_ne!(super::super::keys::is_key(row.key), whole, "{}", row.key);
        }
    }
}
