//! What to say about a key or section nobody knows.

use super::keys;
use super::nearest::nearest;
use super::place::Source;

/// The environment's name for a key: `ocpp.listen` is `FORECOURT__OCPP__LISTEN`.
pub(super) const PREFIX: &str = "FORECOURT__";

/// `[ocpp]`, but `[[station]]`.
pub(super) fn heading(section: &str) -> String {
    if section == "station" { "[[station]]".to_owned() } else { format!("[{section}]") }
}

/// An unknown section, as written: `[ocp]` or `[[stations]]`.
pub(super) fn section(name: &str, repeated: bool) -> String {
    let written = if repeated { format!("[[{name}]]") } else { format!("[{name}]") };
    match nearest(name, keys::sections()) {
        Some(near) => format!("unknown section `{written}`; did you mean `{}`?", heading(near)),
        None => format!("unknown section `{written}`; there are {}", headings()),
    }
}

/// An unknown key: the nearest by spelling, else the same name in another section, else all of its section.
pub(super) fn key(path: &str, source: &Source) -> String {
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
