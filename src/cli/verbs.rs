//! `forecourt station reset CP-1` and its like: asked of the daemon, which makes the messages, and shown.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::value::RawValue;

use super::ask;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::tokens::given;
use super::verb_grammar::Given;
use crate::control::{Command, Reply, StationVerb};
use crate::ocpp::verb::{Kind, Verb};

/// What a verb may take beside its messages' time-outs.
const SLACK: Duration = Duration::from_secs(30);
/// Messages of a verb at most that are waited for one after the other.
const MESSAGES: u64 = 8;
const MAX_FILE: u64 = 64 << 10;

/// Has the daemon carry it out, and says what came of it.
pub fn carry_out(socket: &Path, given_verb: &Given, output: &Output) -> Result<Exit, Failure> {
    let Given { verb, station, args, timeout_s, reason } = given_verb.clone();
    let mut args = args;
    for arg in verb.args {
        let Some(value) = args.get_mut(arg.name).and_then(|values| values.first_mut()) else { continue };
        match arg.kind {
            Kind::Token => *value = given(value)?,
            Kind::File => *value = certificates_in(Path::new(value.as_str()))?,
            _ => {}
        }
    }
    let settings = args.get("setting").map_or(0, Vec::len) as u64;
    let patience = Duration::from_secs(timeout_s.min(600).saturating_mul(MESSAGES.saturating_add(settings * 2))) + SLACK;
    let asked = StationVerb { station, verb: verb.name.to_owned(), args, timeout_s, reason };
    let reply = ask::ask(socket, &Command::StationVerb(asked), patience)?;
    show(verb, &reply, output)
}

/// Certificates in PEM. Whatever else lies in the file, a private key above all, does not leave this computer.
fn certificates_in(file: &Path) -> Result<String, Failure> {
    let wrong = |why: String| Failure::new(Exit::Usage, format!("{}: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if size > MAX_FILE {
        return Err(wrong(format!("{size} bytes; at most {MAX_FILE} are read")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let mut blocks = text.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")).peekable();
    if blocks.peek().is_none() {
        return Err(wrong("no certificate in PEM: a line `-----BEGIN CERTIFICATE-----` is missing".to_owned()));
    }
    match blocks.find(|kind| *kind != "CERTIFICATE") {
        Some(kind) => Err(wrong(format!("it holds a {kind}; only certificates are sent"))),
        None => Ok(text),
    }
}

fn show(verb: &Verb, reply: &Reply, output: &Output) -> Result<Exit, Failure> {
    let result = reply.result.get();
    let parts: BTreeMap<String, &RawValue> = serde_json::from_str(result).unwrap_or_default();
    let text = |name: &str| parts.get(name).and_then(|part| serde_json::from_str::<String>(part.get()).ok());
    if output.machine() && result != "null" {
        let members: Vec<(&str, &str)> = parts.iter().map(|(name, part)| (name.as_str(), part.get())).collect();
        output.verbatim(&members)?;
        return ask::ended(reply);
    }
    let station = text("station").unwrap_or_default();
    if let Some(settings) = parts.get("settings") {
        show_settings(settings, output)?;
    } else if let Some(version) = parts.get("version") {
        let part = |name: &str| parts.get(name).map_or("?", |part| part.get());
        output.line(format!(
            "{station} has local list {}: {} tokens, in {} messages",
            version.get(),
            part("tokens"),
            part("messages")
        ))?;
    } else if let Some(outcome) = text("outcome") {
        let said = text("status").unwrap_or(outcome);
        let meaning = text("meaning").filter(|meaning| !meaning.is_empty() && reply.reason.is_empty());
        let meaning = meaning.map(|meaning| format!("; {meaning}")).unwrap_or_default();
        output.line(format!("{station} {}: {said}{meaning}", verb.name))?;
        if let Some(payload) = parts.get("payload").filter(|payload| verb.shows && payload.get() != "null") {
            output.json(&crate::units::indent(payload.get()))?;
        }
    }
    ask::ended(reply)
}

fn show_settings(settings: &RawValue, output: &Output) -> Result<(), Failure> {
    let rows: Vec<BTreeMap<String, Option<String>>> = serde_json::from_str(settings.get()).unwrap_or_default();
    for row in rows {
        let part = |name: &str| row.get(name).cloned().flatten();
        let (setting, now) = (part("setting").unwrap_or_default(), part("now").unwrap_or_else(|| "not told".to_owned()));
        let line = match (part("wanted"), part("status")) {
            (None, _) => format!("{setting} = {now}"),
            (Some(_), None) => format!("{setting} = {now} already"),
            (Some(wanted), Some(status)) => {
                let before = part("before").map(|before| format!("{before} ")).unwrap_or_default();
                let now = match part("now") {
                    Some(now) if now == wanted => String::new(),
                    Some(now) => format!("; it is {now}"),
                    None => "; the station does not tell it".to_owned(),
                };
                format!("{setting}: {before}to {wanted}: {status}{now}")
            }
        };
        output.line(line)?;
    }
    Ok(())
}
