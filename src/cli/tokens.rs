//! `forecourt tokens`, `token add|block|remove|import|why`.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use chrono::SecondsFormat;
use serde_json::{Value as Json, json};

use super::args::{Limit, TokenVerb};
use super::ask;
use super::exit::{Exit, Failure};
use super::list::List;
use super::output::{Columns, Output};
use super::sessions::moment;
use crate::clock;
use crate::config::{Config, Site};
use crate::control::{Command, TokenEntry};
use crate::fact::AuthStatus;
use crate::station::{Authorizer, ListedToken, Place, UnknownTokens};
use crate::store::Reader;
use crate::units::{StationId, Time, Token, TokenKind, time};

const LIST: Columns = &[
    "token",
    "token_kind",
    "status",
    "sessions",
    "last_used_at",
    "refused",
    "expires_at",
    "stations",
    "tariff_id",
    "token_group",
    "first_used_at",
];
/// The daemon commits before it replies.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tokens and stations named in a command: it is all or nothing, and has a limit in bytes.
const CHUNK: usize = 2_000;
const MAX_FILE: u64 = 256 << 20;

pub fn list(store: &Reader, listed: bool, Limit { limit }: Limit, output: &Output) -> Result<Exit, Failure> {
    let select = "SELECT * FROM v_token WHERE listed OR NOT ?1";
    let order = "listed DESC, last_used_at DESC, token, token_kind";
    List { what: "tokens", select, order, end_first: None, values: &[&listed], limit, key: None, columns: LIST }
        .print(store, output)
}

/// The verbs that change the list.
pub fn change(site: &Site, verb: &TokenVerb, output: &Output) -> Result<Exit, Failure> {
    let set = |tokens, reason: &String| Command::TokenSet { tokens, reason: reason.clone() };
    let command = match verb {
        TokenVerb::Add { token, kind, status, group, expires, stations, tariff, reason } => {
            let entry = TokenEntry {
                token: given(token)?,
                r#type: kind.clone(),
                status: Some(status.as_str().to_owned()),
                group: group.clone(),
                expires: expires.as_deref().map(|text| instant(text, site)).transpose()?,
                stations: stations.clone(),
                tariff: tariff.clone(),
            };
            set(vec![entry], reason)
        }
        TokenVerb::Block { token, reason } => Command::TokenBlock { token: given(token)?, reason: reason.clone() },
        TokenVerb::Remove { token, reason } => Command::TokenRemove { tokens: vec![given(token)?], reason: reason.clone() },
        TokenVerb::Import { file, reason } => return import(site, file, reason, output),
        // Read, not changed: see `why`.
        TokenVerb::Why { .. } => return Err(Failure::new(Exit::Unexpected, "token why changes nothing")),
    };
    let reply = ask::ask(&site.control_socket, &command, PATIENCE)?;
    let counts = reply.value();
    if !counts.is_null() {
        show(&counts, output)?;
    }
    ask::ended(&reply)
}

/// A token from the command line; `-`: from standard input, so that it stands in no list of processes.
pub fn given(token: &str) -> Result<String, Failure> {
    if token != "-" {
        return Ok(token.to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(4_096).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Exit::Usage, format!("the token on standard input: {error}")))?;
    Ok(text.trim().to_owned())
}

fn instant(text: &str, site: &Site) -> Result<String, Failure> {
    let wrong = || Failure::new(Exit::Usage, format!("{text}: not a time; write 2027-01-31 or 2027-01-31T23:00:00Z"));
    // A span of time ends in the past; that is for filters.
    if text.ends_with(['m', 'h', 'd']) {
        return Err(wrong());
    }
    let at = moment(text, site.time_zone.name(), Time::default()).map_err(|_| wrong())?;
    Ok(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn show(counts: &Json, output: &Output) -> Result<(), Failure> {
    if output.machine() {
        return output.object(counts);
    }
    let count = |name: &str| counts.get(name).and_then(Json::as_u64).unwrap_or_default();
    let names = ["added", "changed", "unchanged", "removed", "absent"];
    let parts: Vec<String> = names.iter().filter(|name| count(name) > 0).map(|name| format!("{} {name}", count(name))).collect();
    output.line(if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") })
}

/// In commands of [`CHUNK`] tokens, each all or nothing. A file that failed half-way may be imported again.
fn import(site: &Site, file: &Path, reason: &str, output: &Output) -> Result<Exit, Failure> {
    let wrong = |why: String| Failure::new(Exit::Usage, format!("{}: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if size > MAX_FILE {
        return Err(wrong(format!("{size} bytes; at most {MAX_FILE} are read")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let text = text.trim_start_matches('\u{feff}');
    let entries = if text.trim_start().starts_with('[') {
        serde_json::from_str::<Vec<TokenEntry>>(text).map_err(|error| wrong(error.to_string()))?
    } else {
        from_csv(text, site).map_err(wrong)?
    };
    let mut places = HashMap::new();
    for (place, entry) in entries.iter().enumerate() {
        if let Some(first) = places.insert(Token::new(TokenKind::Unstated, &entry.token).folded(), place + 1) {
            return Err(wrong(format!("token {}: the same as token {first}; nothing was changed", place + 1)));
        }
    }
    let mut total = json!({"added": 0, "changed": 0, "unchanged": 0});
    let mut done = 0;
    let mut entries = entries.into_iter().peekable();
    while entries.peek().is_some() {
        let mut named = 0;
        let mut fits = |entry: &TokenEntry| {
            let is_first = named == 0;
            named += 1 + entry.stations.len();
            is_first || named <= CHUNK
        };
        let tokens: Vec<TokenEntry> = std::iter::from_fn(|| entries.next_if(&mut fits)).collect();
        let count = tokens.len();
        let failed = |failure: Failure| match done {
            0 => failure,
            _ => Failure::new(
                failure.exit,
                format!(
                    "the first {done} tokens of the file are on the list; of those after them, counted anew: {}",
                    failure.text
                ),
            ),
        };
        let command = Command::TokenSet { tokens, reason: reason.to_owned() };
        let reply = ask::ask(&site.control_socket, &command, PATIENCE).map_err(failed)?;
        ask::ended(&reply).map_err(failed)?;
        let counts = reply.value();
        for name in ["added", "changed", "unchanged"] {
            total[name] = json!(total[name].as_u64().unwrap_or_default() + counts[name].as_u64().unwrap_or_default());
        }
        done += count;
    }
    show(&total, output)?;
    Ok(Exit::Ok)
}

/// Lists of stations within a cell are parted by spaces.
fn from_csv(text: &str, site: &Site) -> Result<Vec<TokenEntry>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let names = reader.headers().map_err(|error| error.to_string())?.clone();
    if !names.iter().any(|name| name.eq_ignore_ascii_case("token")) {
        return Err("the first line names no column \"token\"".to_owned());
    }
    let mut entries = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| error.to_string())?;
        let line = row.position().map_or(0, csv::Position::line);
        let mut entry = TokenEntry::default();
        for (name, cell) in names.iter().zip(row.iter()).filter(|(_, cell)| !cell.is_empty()) {
            let text = || Some(cell.to_owned());
            match name.to_ascii_lowercase().as_str() {
                "token" => cell.clone_into(&mut entry.token),
                "type" => entry.r#type = text(),
                "status" => entry.status = text(),
                "group" => entry.group = text(),
                "expires" => {
                    entry.expires = Some(instant(cell, site).map_err(|failure| format!("line {line}: {}", failure.text))?)
                }
                "stations" => entry.stations = cell.split_whitespace().map(str::to_owned).collect(),
                "tariff" => entry.tariff = text(),
                other => {
                    return Err(format!("column {other:?} is none of token, type, status, group, expires, stations, tariff"));
                }
            }
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// By the store and the configuration as they are now; the daemon need not run.
pub fn why(store: &Reader, config: &Config, token: &str, station: Option<&str>, output: &Output) -> Result<Exit, Failure> {
    let token = Token::new(TokenKind::Unstated, &given(token)?);
    let now = store.clock()?.now(clock::system_now());
    let listed = store.token(&token)?;
    let unknown = UnknownTokens::from(config.ocpp.unknown_tokens);
    let mut authorizer = Authorizer::default();
    if let Some(listed) = &listed {
        authorizer.set(listed.clone());
    }
    let anywhere = || listed.as_ref().and_then(|listed| listed.places.first().cloned());
    let place = |text| {
        Place::parse(text).ok_or_else(|| Failure::new(Exit::Usage, format!("{text:?} is neither STATION nor STATION/EVSE")))
    };
    let at = station.map(place).transpose()?.or_else(anywhere);
    let (at, evse) = at.map_or_else(|| (StationId::new(""), None), |place| (place.station().clone(), place.evse()));
    let status = authorizer.authorize(&at, evse, &token, unknown, now).status;
    let why = reason(listed.as_ref(), status, unknown);
    // A PIN is shown as one, though whoever asks does not say that it is.
    let shown = listed.as_ref().map_or(&token, |listed| &listed.token).masked();
    if output.machine() {
        let listed = listed.map(|listed| {
            json!({"type": listed.token.kind.as_str(), "status": listed.status.as_str(), "group": listed.group,
                "expires_at": listed.expires_at.map(time::rfc3339), "tariff_id": listed.tariff,
                "stations": listed.places.iter().map(Place::to_string).collect::<Vec<_>>()})
        });
        let said = json!({"token": shown, "station": station, "status": status.as_str(), "why": why, "listed": listed});
        output.object(&said)?;
        return Ok(Exit::Ok);
    }
    let place = station.map(|id| format!(" at {id}")).unwrap_or_default();
    output.line(format!("{shown}{place}: {}", output.strong(status.as_str())))?;
    output.line(why)?;
    if let Some(listed) = listed {
        describe(&listed, output)?;
    }
    Ok(Exit::Ok)
}

fn reason(listed: Option<&ListedToken>, status: AuthStatus, unknown: UnknownTokens) -> String {
    match (listed, status) {
        (None, _) => {
            let word = if unknown == UnknownTokens::Accept { "accept" } else { "reject" };
            format!("it is not on the list, and ocpp.unknown_tokens = \"{word}\"")
        }
        (Some(listed), _) if listed.status == status => format!("the list says {}", status.as_str()),
        (Some(_), AuthStatus::Expired) => "it is on the list, and its time has ended".to_owned(),
        (Some(_), _) => "it is on the list, and not for this station".to_owned(),
    }
}

fn describe(listed: &ListedToken, output: &Output) -> Result<(), Failure> {
    output.line(format!("type      {}", listed.token.kind.as_str()))?;
    if let Some(end) = listed.expires_at {
        output.line(format!("expires   {}", output.local(&time::rfc3339(end))))?;
    }
    if !listed.places.is_empty() {
        output.line(format!("stations  {}", listed.places.iter().map(Place::to_string).collect::<Vec<_>>().join(", ")))?;
    }
    if let Some(group) = &listed.group {
        output.line(format!("group     {group}"))?;
    }
    if let Some(tariff) = &listed.tariff {
        output.line(format!("tariff    {tariff}"))?;
    }
    Ok(())
}
