//! `forecourt station call`, `forecourt calls`, `forecourt audit list`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::args::Limit;
use super::ask;
use super::exit::{Exit, Failure};
use super::list::List;
use super::output::{Columns, Output};
use crate::control::{Command, Reply, StationCall};
use crate::store::{Key, Reader, Values};

const CALLS: Columns =
    &["call_number", "station", "action", "state", "status", "requested_at", "ended_at", "actor", "reason", "payload", "answer"];
const COLUMNS: [&str; 6] = ["station", "action", "outcome", "status", "payload", "error"];
const AUDIT: Columns = &["audit_id", "at", "actor", "action", "object", "before", "after", "reason"];
/// The reply comes after the station's answer, or after its time-out, and is on disk by then.
const SLACK: Duration = Duration::from_secs(30);

/// Sends a message to a station, verbatim, and waits for its answer.
pub fn call(
    socket: &Path,
    station: &str,
    action: &str,
    payload: Option<&str>,
    timeout_s: u64,
    reason: &str,
    output: &Output,
) -> Result<Exit, Failure> {
    let payload = read_payload(payload)?;
    let (station, action, reason) = (station.to_owned(), action.to_owned(), reason.to_owned());
    let command = Command::StationCall(StationCall { station, action, payload, timeout_s, reason });
    let patience = Duration::from_secs(timeout_s.min(3_600)) + SLACK;
    let reply = ask::ask(socket, &command, patience)?;
    show(&reply, output)
}

/// Decides whether a station is served.
pub fn register(socket: &Path, id: &str, registration: &str, reason: &str, output: &Output) -> Result<Exit, Failure> {
    let (station, registration, reason) = (id.to_owned(), registration.to_owned(), reason.to_owned());
    let reply = ask::ask(socket, &Command::StationRegister { station, registration, reason }, SLACK)?;
    let result = reply.value();
    if result.is_null() {
        return ask::ended(&reply);
    }
    if output.machine() {
        output.object(&result)?;
    } else {
        let text = |name: &str| result.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        output.line(format!("{} is {} (was {})", text("station"), text("registration"), text("before")))?;
    }
    Ok(Exit::Ok)
}

/// `-` reads it from standard input; none is an empty object.
fn read_payload(payload: Option<&str>) -> Result<String, Failure> {
    let mut text = payload.unwrap_or("{}").to_owned();
    if text == "-" {
        text.clear();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|error| Failure::new(Exit::Usage, format!("the payload on standard input: {error}")))?;
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    let value: Result<Json, _> = serde_json::from_str(text);
    value.map_err(|error| Failure::new(Exit::Usage, format!("the payload is not JSON: {error}")))?;
    // On one line, as it stands: white space between the elements of JSON means nothing.
    Ok(text.replace(['\n', '\r'], " "))
}

/// What the station said is shown as it said it.
fn show(reply: &Reply, output: &Output) -> Result<Exit, Failure> {
    let result = reply.result.get();
    if result == "null" {
        return ask::ended(reply);
    }
    let parts: BTreeMap<&str, &RawValue> = serde_json::from_str(result).unwrap_or_default();
    if output.machine() {
        output.verbatim(&COLUMNS.map(|name| (name, parts.get(name).map_or("null", |part| part.get()))))?;
    } else {
        let text =
            |name: &str| parts.get(name).and_then(|part| serde_json::from_str::<String>(part.get()).ok()).unwrap_or_default();
        output.line(format!("{} {}: {}", text("station"), text("action"), text("outcome")))?;
        if let Some(payload) = parts.get("payload").filter(|payload| payload.get() != "null") {
            output.line(payload.get())?;
        }
    }
    ask::ended(reply)
}

/// What was asked of stations. A cut table shows its end.
pub fn calls(
    store: &Reader,
    station: Option<&str>,
    state: Option<&str>,
    Limit { limit }: Limit,
    output: &Output,
) -> Result<Exit, Failure> {
    let values: Values<'_> = &[&station, &state];
    let select = "SELECT * FROM v_call WHERE (?1 IS NULL OR station = ?1 COLLATE NOCASE) AND (?2 IS NULL OR state = ?2)";
    let (order, end_first) = ("call_number", Some("call_number DESC"));
    let key = Some(Key { columns: ["call_number", "call_number"], descending: false });
    List { what: "calls", select, order, end_first, key, values, limit, columns: CALLS }.print(store, output)
}

/// Who changed what. A cut table shows its end.
pub fn audit(store: &Reader, Limit { limit }: Limit, output: &Output) -> Result<Exit, Failure> {
    let (order, end_first) = ("audit_id", Some("audit_id DESC"));
    let select = "SELECT * FROM v_audit";
    let key = Some(Key { columns: ["audit_id", "audit_id"], descending: false });
    List { what: "changes", select, order, end_first, key, values: &[], limit, columns: AUDIT }.print(store, output)
}
