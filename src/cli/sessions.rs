//! `forecourt sessions`, `session show`, `session explain`.

use chrono::{NaiveDate, TimeDelta, Utc};
use serde_json::{Value as Json, json};

use super::args::{MessageFilter, SessionFilter};
use super::exit::{Exit, Failure};
use super::list::{List, rows};
use super::output::{Columns, Output, object};
use crate::clock;
use crate::session::hold;
use crate::store::{Key, MESSAGES as MESSAGES_QUERY, Reader, Rows, Values, sessions_query};
use crate::units::Time;
use crate::units::time::rfc3339_seconds;

const LIST: Columns = &[
    "session_id",
    "station",
    "evse",
    "state",
    "started_at",
    "duration_s",
    "energy_wh",
    "cost_incl_vat",
    "currency",
    "token",
    "record_seq",
    "hold_reason",
    "station_label",
];
const LINES: Columns =
    &["line", "dimension", "quantity", "unit", "unit_price", "amount_excl_vat", "vat", "amount_incl_vat", "currency", "reason"];
const MESSAGES: Columns =
    &["message_id", "received_at", "direction", "station", "action", "outcome", "status", "session_id", "repeats", "findings"];

pub fn list(store: &Reader, filter: &SessionFilter, output: &Output) -> Result<Exit, Failure> {
    let (since, until) = span(store, filter.since.as_deref(), filter.until.as_deref())?;
    let [since, until] = [since, until].map(|at| at.map(|at| at.timestamp() * 1_000));
    let token = filter
        .token
        .as_deref()
        .map(|token| token.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect::<String>());
    let (since, until) = (since.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX));
    let list = List {
        what: "sessions",
        select: &sessions_query(filter.state.map(|state| state.as_str())),
        order: "_began DESC, session_id DESC",
        end_first: None,
        key: Some(Key { columns: ["_began", "session_id"], descending: true }),
        values: &[&since, &until, &filter.station, &token],
        limit: filter.limit.limit,
        columns: LIST,
    };
    list.print(store, output)
}

/// The journal, each message with its answer. A cut table shows its end.
pub fn messages(store: &Reader, filter: &MessageFilter, output: &Output) -> Result<Exit, Failure> {
    let (order, end_first) = ("message_id, call_number", Some("message_id DESC, call_number DESC"));
    let (key, limit) = (Some(Key { columns: ["message_id", "call_number"], descending: false }), filter.limit.limit);
    let print = |select: &str, values: Values<'_>| {
        List { what: "messages", select, order, end_first, key, values, limit, columns: MESSAGES }.print(store, output)
    };
    if let Some(name) = &filter.session {
        return print("SELECT * FROM v_message WHERE session_id = ?1", &[&id_of(store, name)?]);
    }
    let (since, until) = span(store, filter.since.as_deref(), filter.until.as_deref())?;
    let wanted = rows(limit, output);
    let (stretch, looked_back_to) = match (&filter.station, wanted) {
        (Some(station), Some(wanted)) if since.is_none() && until.is_none() => store.stretch_back(station, wanted)?,
        _ => (store.stretch(since, until)?, None),
    };
    // To the second: text compares like time up to there.
    let [since, until] = [since, until].map(|at| at.map(|at| at.format("%Y-%m-%dT%H:%M:%S").to_string()));
    let exit = print(MESSAGES_QUERY, &[&stretch.first, &stretch.last, &filter.station, &since, &until])?;
    if let Some(at) = looked_back_to {
        let at = output.local(&rfc3339_seconds(at));
        output.note(&format!("looked at what came since {at}; --since 2026-11-21, or any other time, looks further back"));
    }
    Ok(exit)
}

/// From when until when, as asked for.
fn span(store: &Reader, since: Option<&str>, until: Option<&str>) -> Result<(Option<Time>, Option<Time>), Failure> {
    let zone = store.time_zone()?;
    let now = store.clock()?.now(clock::system_now());
    let at = |text: Option<&str>| text.map(|text| moment(text, &zone, now)).transpose();
    Ok((at(since)?, at(until)?))
}

/// `90m`, `2h`, `7d` ago; a local date; or an RFC 3339 instant.
pub(super) fn moment(text: &str, zone: &str, now: Time) -> Result<Time, Failure> {
    let wrong =
        || Failure::new(Exit::Usage, format!("{text}: not a time; write 90m, 2h, 7d, 2026-11-21 or 2026-11-21T13:00:00Z"));
    if let Ok(at) = text.parse::<Time>() {
        return Ok(at);
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        let zone: chrono_tz::Tz = zone.parse().unwrap_or(chrono_tz::Tz::UTC);
        let midnight = date.and_hms_opt(0, 0, 0).ok_or_else(wrong)?;
        return midnight.and_local_timezone(zone).earliest().map(|at| at.with_timezone(&Utc)).ok_or_else(wrong);
    }
    let unit = text.chars().last().ok_or_else(wrong)?;
    let count: i64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let delta = match unit {
        'm' => TimeDelta::try_minutes(count),
        'h' => TimeDelta::try_hours(count),
        'd' => TimeDelta::try_days(count),
        _ => None,
    };
    delta.and_then(|delta| now.checked_sub_signed(delta)).ok_or_else(wrong)
}

struct Found {
    session: Json,
    lines: Rows,
    /// All records of the session, when there is more than its charge.
    records: Vec<Json>,
}

/// Charges and credits of a session, and which charge each answers.
const RECORDS: &str = "SELECT r.epoch, r.seq, r.kind, r.created_at, r.cost_incl_vat, r.currency, r.acknowledged, o.seq AS answers_seq, \
     o.epoch AS answers_epoch, r.record_id, r.reference FROM v_record r LEFT JOIN v_record o ON o.record_id = r.reference \
     WHERE r.session_id = ?1 ORDER BY r.epoch, r.seq";

fn missing(name: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("no session {name}; forecourt sessions lists them"))
}

fn id_of(store: &Reader, name: &str) -> Result<String, Failure> {
    let number = store.find_session(name)?.ok_or_else(|| missing(name))?;
    Ok(store.session(number)?.ok_or_else(|| missing(name))?.id.as_str().to_owned())
}

fn find(store: &Reader, name: &str) -> Result<Found, Failure> {
    let id = id_of(store, name)?;
    let rows = store.query("SELECT * FROM v_session WHERE session_id = ?1", &[&id])?;
    let session = rows.rows.first().map(|row| object(&rows.columns, row)).ok_or_else(|| missing(name))?;
    // Of the charge that stands: an earlier one may have been taken back.
    let (epoch, seq) = (session["record_epoch"].as_i64(), session["record_seq"].as_i64());
    let lines = store.query("SELECT * FROM v_price_line WHERE epoch = ?1 AND seq = ?2 ORDER BY line", &[&epoch, &seq])?;
    let records = store.query(RECORDS, &[&id])?;
    let records = match records.rows.len() {
        0 | 1 => Vec::new(),
        _ => records.rows.iter().map(|row| object(&records.columns, row)).collect(),
    };
    Ok(Found { session, lines, records })
}

pub fn show(store: &Reader, name: &str, output: &Output) -> Result<Exit, Failure> {
    let found = find(store, name)?;
    let messages = store.query(
        "SELECT message_id, received_at, direction, action, outcome, status, repeats, findings, text, answer FROM v_message WHERE session_id = ?1 ORDER BY message_id",
        &[&found.session["session_id"].as_str()],
    )?;
    if output.machine() {
        let rows = |rows: &Rows| rows.rows.iter().map(|row| object(&rows.columns, row)).collect::<Vec<_>>();
        let records = &found.records;
        output.object(
            &json!({ "session": found.session, "lines": rows(&found.lines), "messages": rows(&messages), "records": records }),
        )?;
        return Ok(Exit::Ok);
    }
    if let Json::Object(facts) = &found.session {
        for (name, value) in facts.iter().filter(|(name, value)| !value.is_null() && *name != "findings") {
            output.line(format!("{name:<20} {}", output.cell(name, value)))?;
        }
    }
    notes(&found, output)?;
    if !found.lines.rows.is_empty() {
        output.line("")?;
        output.rows(&found.lines, LINES)?;
    }
    output.line("")?;
    output.rows(&messages, MESSAGES)
}

/// What was odd.
fn notes(found: &Found, output: &Output) -> Result<(), Failure> {
    for finding in found.session["findings"].as_array().into_iter().flatten() {
        let text = |key: &str| finding[key].as_str().unwrap_or_default();
        output.line(format!("note {}: {}", text("code"), text("detail")))?;
    }
    Ok(())
}

pub fn explain(store: &Reader, name: &str, output: &Output) -> Result<Exit, Failure> {
    let found = find(store, name)?;
    let text = |key: &str| found.session[key].as_str().map(str::to_owned).unwrap_or_default();
    if output.machine() {
        let lines: Vec<Json> = found.lines.rows.iter().map(|row| object(&found.lines.columns, row)).collect();
        let reason = found.session["hold_reason"].as_str();
        let (why, next) = (reason.map(hold::meaning), reason.map(hold::next_step));
        output.object(&json!({ "session": found.session, "lines": lines, "hold_meaning": why, "hold_next_step": next,
            "records": found.records }))?;
        return Ok(Exit::Ok);
    }
    let place = format!("{} EVSE {}", text("station"), found.session["evse"]);
    let energy = match &found.session["energy_wh"] {
        Json::Null => "no energy that could be billed".to_owned(),
        energy => format!("{energy} Wh"),
    };
    let register = |key: &str| output.cell(key, &found.session[key]);
    output.line(format!("session {} at {place}, transaction {}", output.strong(&text("session_id")), text("transaction_id")))?;
    let times = |key: &str| output.cell(key, &found.session[key]);
    output.line(format!(
        "from {} to {}, {energy} (register {} to {})",
        times("started_at"),
        times("stopped_at"),
        register("start_register_wh"),
        register("stop_register_wh")
    ))?;
    match text("state").as_str() {
        "held" => {
            let reason = text("hold_reason");
            output.line(format!("{} {reason}: {}", output.strong("held, not billed:"), hold::meaning(&reason)))?;
            if !text("hold_detail").is_empty() {
                output.line(format!("  {}", text("hold_detail")))?;
            }
            output.line(format!("  what to do: {}", hold::next_step(&reason)))?;
            output.line(format!("  the messages it is judged by: forecourt session show {}", text("session_id")))?;
        }
        "open" => {
            output.line(format!("running; tariff {} is locked for it; the price is made when it ends", text("tariff_id")))?
        }
        "waiting" => output.line(
            "ended; its bill is made by the running daemon: at once, or after ten minutes when events are missing that the station numbered",
        )?,
        _ => bill(&found, output)?,
    }
    corrections(&found, output)?;
    notes(&found, output)?;
    Ok(Exit::Ok)
}

/// Which record takes back which, and what is charged in its place.
fn corrections(found: &Found, output: &Output) -> Result<(), Failure> {
    for record in &found.records {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let what = match (text("kind").as_str(), &record["answers_seq"]) {
            ("credit", answers) => format!("credit, takes back record {answers}"),
            (kind, Json::Null) => kind.to_owned(),
            (kind, answers) => format!("{kind}, in the place of record {answers}"),
        };
        let amount = format!("{} {} incl. VAT", text("cost_incl_vat"), text("currency"));
        output.line(format!(
            "record {} of {}: {what}, {amount}",
            record["seq"],
            output.cell("created_at", &record["created_at"])
        ))?;
    }
    Ok(())
}

fn bill(found: &Found, output: &Output) -> Result<(), Failure> {
    if !found.session["credit_seq"].is_null() {
        return output.line("the bill was taken back, and the session is not charged anew");
    }
    let session = &found.session;
    let text = |value: &Json| value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
    for row in &found.lines.rows {
        let line = object(&found.lines.columns, row);
        output.line(format!(
            "{:>10} {}  {} x {} per {}: {}",
            text(&line["amount_excl_vat"]),
            text(&line["currency"]),
            text(&line["quantity"]),
            text(&line["unit_price"]),
            text(&line["unit"]),
            text(&line["reason"])
        ))?;
    }
    output.line(format!(
        "{} {} excl. VAT, {} {} incl. VAT; tariff {}; record {}{}",
        text(&session["cost_excl_vat"]),
        text(&session["currency"]),
        output.strong(&text(&session["cost_incl_vat"])),
        text(&session["currency"]),
        text(&session["tariff_id"]),
        session["record_seq"],
        match session["rejected"].as_str() {
            Some(code) => output.strong(&format!(", rejected by head office: {code}")),
            None if session["acknowledged"] == json!(true) => ", confirmed by head office".to_owned(),
            None => ", not yet confirmed by head office".to_owned(),
        }
    ))
}
