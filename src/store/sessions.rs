//! Sessions and their evidence as rows.

use std::sync::LazyLock;

use chrono::TimeDelta;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tracing::error;

use super::checksum::{self, MESSAGE, Text};
use super::{StoreError, samples_json};
use crate::billing::Due;
use crate::fact::{AuthStatus, ChargingState, Phase};
use crate::record::tariff_hash;
use crate::session::overlap::Neighbour;
use crate::session::{Evidence, JournalEntry, Lookup, Memory, Reboot, Session, State, TariffRef};
use crate::units::{Finding, MilliWh, Received, SessionId, StationId, Time, Token, TokenKind, TxRef, Version, time};

const COLUMNS: &str = "s.number, s.id, st.name, s.version, s.tx, s.start_key, s.evse, s.connector, s.token, s.token_kind, s.token_status, \
     s.opened_at, s.started_at, s.stopped_at, s.start_register, s.stop_register, s.stop_reason, s.state, s.hold_reason, \
     s.settle_after, s.tariff, s.findings, s.id_used, s.reboots, s.clock_lag, s.checksum";
const CHECKSUM: usize = 25;

/// Finding on a session whose registers a person's correction has moved.
pub(super) const ENERGY_STATED: &str = "energy-stated";
/// Finding on a session whose row was altered: it stays with it, however often the row is written again.
const ROW_DAMAGED: &str = "row-damaged";

/// Sessions of that name, or of that EVSE, looked at: more than a station gives one id, or than lie in a session's time.
const MAX_NAMED: usize = 8;
const MAX_NEIGHBOURS: usize = 64;

pub(super) fn insert(connection: &Connection, station: i64, session: &Session) -> rusqlite::Result<()> {
    let row = StateRow::of(session);
    connection
        .prepare_cached(
            "INSERT INTO session (number, id, station, version, tx, start_key, evse, connector, token, token_kind, token_status, opened_at, \
             started_at, stopped_at, start_register, stop_register, stop_reason, state, hold_reason, settle_after, tariff, findings, id_used, clock_lag, \
             checksum) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)",
        )?
        .execute(params![
            session.number,
            session.id.as_str(),
            station,
            session.version.number(),
            session.tx.as_str(),
            session.start_key,
            session.evse,
            session.connector,
            session.token.as_ref().map(Token::reveal),
            session.token.as_ref().map(|token| token.kind.as_str()),
            session.token_status.map(AuthStatus::as_str),
            time::to_millis(session.opened_at),
            session.started_at.map(time::to_millis),
            session.stopped_at.map(time::to_millis),
            session.start_register.map(|register| register.0),
            session.stop_register.map(|register| register.0),
            session.stop_reason,
            row.state,
            row.hold_reason,
            row.settle_after,
            session.tariff.as_ref().map(|tariff| &*tariff.0),
            findings_text(&session.findings),
            session.id_used,
            lag(session),
            checksum::of_session(session),
        ])
        .map(drop)
}

/// Who charges where, and since when: columns of three indexes, which are left alone where nothing of it has changed.
const BEGINNING: &str = "evse = ?2, token = ?4, token_kind = ?5, token_status = ?6, started_at = CASE WHEN settled IS NULL THEN ?7 ELSE started_at END, ";
const REST: &str = "connector = ?3, stopped_at = CASE WHEN settled IS NULL THEN ?8 ELSE stopped_at END, \
     start_register = CASE WHEN settled IS NULL THEN coalesce(?9, start_register) ELSE start_register END, \
     stop_register = CASE WHEN settled IS NULL THEN coalesce(?10, stop_register) ELSE stop_register END, stop_reason = ?11, state = ?12, \
     hold_reason = ?13, hold_detail = NULL, settle_after = ?14, tariff = CASE WHEN settled IS NULL THEN ?15 ELSE tariff END, \
     findings = ?16, id_used = ?17, reboots = ?18, clock_lag = ?19, checksum = ?20";
static UPDATE: LazyLock<String> = LazyLock::new(|| format!("UPDATE session SET {BEGINNING}{REST} WHERE number = ?1"));
static UPDATE_REST: LazyLock<String> = LazyLock::new(|| format!("UPDATE session SET {REST} WHERE number = ?1"));

/// Writes what the machine knows of a session. Times, registers and tariff of a billed one stay those of its bill.
pub(super) fn update(connection: &Connection, session: &Session) -> rusqlite::Result<()> {
    let row = StateRow::of(session);
    let token = session.token.as_ref().map(Token::reveal);
    let token_kind = session.token.as_ref().map(|token| token.kind.as_str());
    let token_status = session.token_status.map(AuthStatus::as_str);
    let started_at = session.started_at.map(time::to_millis);
    let stored: Option<(bool, Option<Option<Text>>)> = connection
        .prepare_cached(
            "SELECT (evse, token, token_kind, token_status) IS (?2, ?3, ?4, ?5) AND (settled IS NOT NULL OR started_at IS ?6), \
             settled IS NOT NULL, tariff FROM session WHERE number = ?1",
        )?
        .query_row(params![session.number, session.evse, token, token_kind, token_status, started_at], |row| {
            let billed = row.get(1)?;
            Ok((row.get(0)?, if billed { Some(row.get(2)?) } else { None }))
        })
        .optional()?;
    let Some((is_same_beginning, billed)) = stored else { return Ok(()) };
    // The checksum is of what the row will hold: the tariff of the bill, if there is one.
    let checksum = match billed {
        Some(tariff) => {
            let tariff = tariff.map(|Text(hash)| TariffRef(hash.into()));
            checksum::of_session(&Session { tariff, ..session.clone() })
        }
        None => checksum::of_session(session),
    };
    connection
        .prepare_cached(if is_same_beginning { &UPDATE_REST } else { &UPDATE })?
        .execute(params![
            session.number,
            session.evse,
            session.connector,
            token,
            token_kind,
            token_status,
            started_at,
            session.stopped_at.map(time::to_millis),
            session.start_register.map(|register| register.0),
            session.stop_register.map(|register| register.0),
            session.stop_reason,
            row.state,
            row.hold_reason,
            row.settle_after,
            session.tariff.as_ref().map(|tariff| &*tariff.0),
            findings_text(&session.findings),
            session.id_used,
            reboots_text(&session.reboots),
            lag(session),
            checksum,
        ])
        .map(drop)
}

/// The tariff by which a session is charged anew.
pub(super) fn set_tariff(connection: &Connection, number: i64, hash: &str) -> Result<(), StoreError> {
    let Some(mut session) = by_number(connection, number)? else { return Ok(()) };
    session.tariff = Some(TariffRef(hash.into()));
    let sql = "UPDATE session SET tariff = ?2, checksum = ?3 WHERE number = ?1";
    connection.prepare_cached(sql)?.execute(params![number, hash, checksum::of_session(&session)])?;
    Ok(())
}

struct StateRow<'a> {
    state: &'static str,
    hold_reason: Option<&'a str>,
    settle_after: Option<i64>,
}

impl<'a> StateRow<'a> {
    fn of(session: &'a Session) -> Self {
        match &session.state {
            State::Open => Self { state: "open", hold_reason: None, settle_after: None },
            State::Ended { settle_after } => {
                Self { state: "ended", hold_reason: None, settle_after: Some(time::to_millis(*settle_after)) }
            }
            State::Held { reason } => Self { state: "held", hold_reason: Some(reason), settle_after: None },
        }
    }
}

/// The sessions still open, for the machine at start.
pub(super) fn open_sessions(connection: &Connection) -> Result<Vec<Session>, StoreError> {
    select(connection, "s.state = 'open' ORDER BY +s.number", &[])
}

pub(super) fn open_sessions_of(connection: &Connection, station: &StationId) -> Result<Vec<Session>, StoreError> {
    select(connection, "s.state = 'open' AND st.name = ?1 ORDER BY +s.number", &[&station.as_str()])
}

pub(super) fn by_number(connection: &Connection, number: i64) -> Result<Option<Session>, StoreError> {
    Ok(select(connection, "s.number = ?1", &[&number])?.pop())
}

/// The latest sessions of a station that a message may mean, the oldest first.
pub(super) fn find(connection: &Connection, station: &StationId, lookup: &Lookup) -> Result<Vec<Session>, StoreError> {
    let (condition, value) = match lookup {
        Lookup::Transaction(tx) => ("s.tx = ?2", tx.as_str()),
        Lookup::Start(key) => ("s.start_key = ?2", key.as_str()),
    };
    let condition = format!(
        "s.station = (SELECT number FROM station WHERE name = ?1) AND {condition} ORDER BY s.number DESC LIMIT {MAX_NAMED}"
    );
    let mut found = select(connection, &condition, &[&station.as_str(), &value])?;
    found.reverse();
    Ok(found)
}

fn select(connection: &Connection, condition: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Session>, StoreError> {
    rows(connection, condition, values)?.into_iter().map(|session| with_memory(connection, session)).collect()
}

/// Sessions without what their evidence says, which only the machine needs.
fn rows(connection: &Connection, condition: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Session>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM session s JOIN station st ON st.number = s.station WHERE {condition}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(values)?;
    let mut sessions = Vec::new();
    while let Some(row) = found.next()? {
        match read(row) {
            Ok(mut session) => {
                if !holds(row, &session)? && !session.has_finding(ROW_DAMAGED) {
                    error!(session = %session.id, "the session's row was altered on the disk");
                    session.findings.push(Finding::new(ROW_DAMAGED, "its row was altered on the disk"));
                }
                sessions.push(session);
            }
            Err(failure @ rusqlite::Error::SqliteFailure(..)) => return Err(failure.into()),
            // One row that cannot be read must not stop the others.
            Err(failure) => error!(session = row.get::<_, i64>(0).ok(), error = %failure, "a session's row is damaged"),
        }
    }
    Ok(sessions)
}

fn holds(row: &Row<'_>, session: &Session) -> rusqlite::Result<bool> {
    Ok(row.get::<_, Option<i64>>(CHECKSUM)?.is_none_or(|written| written == checksum::of_session(session)))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Session> {
    let at = |index| row.get::<_, Option<i64>>(index).map(|millis| millis.map(time::from_millis));
    let text = |index| row.get::<_, Option<Text>>(index).map(|text| text.map(|text| text.0));
    let Text(state) = row.get(17)?;
    let state = match state.as_str() {
        "open" => State::Open,
        "ended" => State::Ended { settle_after: at(19)?.unwrap_or_default() },
        _ => State::Held { reason: text(18)?.unwrap_or_default() },
    };
    let kind = text(9)?.map_or(TokenKind::Unstated, |name| TokenKind::from_name(&name));
    let Text(version) = row.get(3)?;
    Ok(Session {
        number: row.get(0)?,
        id: SessionId::new(&row.get::<_, Text>(1)?.0),
        station: StationId::new(&row.get::<_, Text>(2)?.0),
        version: Version::from_number(&version).unwrap_or(Version::V16),
        tx: TxRef::new(&row.get::<_, Text>(4)?.0),
        start_key: text(5)?,
        evse: row.get(6)?,
        connector: row.get(7)?,
        token: text(8)?.map(|token| Token::new(kind, &token)),
        token_status: text(10)?.and_then(|status| AuthStatus::from_name(&status)),
        opened_at: at(11)?.unwrap_or_default(),
        started_at: at(12)?,
        stopped_at: at(13)?,
        start_register: row.get::<_, Option<i64>>(14)?.map(MilliWh),
        stop_register: row.get::<_, Option<i64>>(15)?.map(MilliWh),
        stop_reason: text(16)?,
        state,
        tariff: text(20)?.map(|hash| TariffRef(hash.into())),
        findings: text(21)?.map(|json| findings(&json)).unwrap_or_default(),
        id_used: row.get(22)?,
        clock_lag: row.get::<_, Option<i64>>(24)?.map(TimeDelta::milliseconds),
        reboots: text(23)?.map(|json| reboots(&json)).unwrap_or_default(),
        memory: Memory::default(),
    })
}

fn with_memory(connection: &Connection, mut session: Session) -> Result<Session, StoreError> {
    let mut damaged = Vec::new();
    for entry in entries(connection, session.number, &mut damaged)? {
        let at = entry.evidence.said_at().unwrap_or(entry.received.at);
        session.memory.add(&entry.evidence, at);
    }
    if !damaged.is_empty() {
        error!(session = %session.id, rows = damaged.join(", "), "the session rests on rows that are damaged");
    }
    Ok(session)
}

pub(super) fn due(connection: &Connection, now: Time, limit: usize) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT number FROM session WHERE state = 'ended' AND settled IS NULL AND settle_after <= ?1 ORDER BY settle_after LIMIT ?2",
    )?;
    let numbers = statement.query_map(params![time::to_millis(now), limit], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(numbers)
}

/// When the next ended session becomes due, if one waits for missing events.
pub(super) fn next_due(connection: &Connection) -> Result<Option<Time>, StoreError> {
    let sql = "SELECT min(settle_after) FROM session WHERE state = 'ended' AND settled IS NULL";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0))?.map(time::from_millis))
}

/// What a bill rests on, as of one instant: the caller reads in a transaction.
pub(super) fn load_due(connection: &Connection, number: i64) -> Result<Option<Due>, StoreError> {
    let Some(session) = rows(connection, "s.number = ?1", &[&number])?.pop() else {
        return Err(StoreError::Content("the session's row cannot be read".to_owned()));
    };
    let mut damaged = Vec::new();
    if session.has_finding(ROW_DAMAGED) {
        damaged.push("the session's own row".to_owned());
    }
    let last_message = last_message(connection, number)?;
    let mut entries = entries(connection, number, &mut damaged)?;
    entries.extend(whole_station(connection, number, &entries, &mut damaged)?);
    entries.sort_by_key(|entry| entry.row);
    let (meter_serial, learned_kw) =
        connection
            .prepare_cached("SELECT meter_serial, learned_kw FROM station WHERE name = ?1")?
            .query_row([session.station.as_str()], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)))?;
    let learned_kw = learned_kw.and_then(|kw| kw.parse().ok());
    Ok(Some(Due { session, entries, last_message, damaged, meter_serial, learned_kw }))
}

/// The other sessions of a session's connector that lie about its time.
pub(super) fn neighbours(connection: &Connection, number: i64, end: Time) -> Result<Vec<Neighbour>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT o.id, o.started_at, o.stopped_at, \
         CASE WHEN instr(coalesce(o.findings, ''), ?4) = 0 THEN o.start_register END, \
         CASE WHEN instr(coalesce(o.findings, ''), ?4) = 0 THEN o.stop_register END, o.settled IS NOT NULL \
         FROM session s JOIN session o ON o.station = s.station AND o.evse = s.evse \
         WHERE s.number = ?1 AND o.number <> ?1 AND o.started_at IS NOT NULL AND o.started_at <= ?2 \
         ORDER BY o.started_at DESC LIMIT ?3",
    )?;
    // A bill made late has neighbours after it.
    let end = time::to_millis(end) + 7 * 86_400_000;
    let rows = statement.query_map(params![number, end, MAX_NEIGHBOURS, format!("\"{ENERGY_STATED}\"")], |row| {
        Ok(Neighbour {
            id: row.get::<_, Text>(0)?.0,
            started_at: time::from_millis(row.get(1)?),
            stopped_at: row.get::<_, Option<i64>>(2)?.map(time::from_millis),
            first: row.get::<_, Option<i64>>(3)?.map(MilliWh),
            last: row.get::<_, Option<i64>>(4)?.map(MilliWh),
            billed: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

/// Journal row of the last message that contributed to a session.
pub(super) fn last_message(connection: &Connection, session: i64) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT max(id) FROM message WHERE session = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([session], |row| row.get(0))?)
}

const ENTRY: &str = "phase, seq_no, reported_at, evse, charging, readings, received_at, clock_unproven, id";
const ENTRY_WIDTH: usize = 9;

/// A session's evidence, in the order of the journal, without the rows that are damaged.
pub(super) fn entries(connection: &Connection, session: i64, damaged: &mut Vec<String>) -> Result<Vec<JournalEntry>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {ENTRY}, checksum, {MESSAGE} FROM message WHERE session = ?1 ORDER BY id"))?;
    collect(statement.query([session])?, Some(session), damaged)
}

/// States of the whole station between a session's first and last message.
fn whole_station(
    connection: &Connection,
    session: i64,
    entries: &[JournalEntry],
    damaged: &mut Vec<String>,
) -> Result<Vec<JournalEntry>, StoreError> {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ENTRY}, checksum, {MESSAGE} FROM message WHERE station = (SELECT station FROM session WHERE number = ?1) \
         AND session IS NULL AND charging IS NOT NULL AND id BETWEEN ?2 AND ?3"
    ))?;
    collect(statement.query(params![session, first.row, last.row])?, None, damaged)
}

fn collect(
    mut rows: rusqlite::Rows<'_>,
    session: Option<i64>,
    damaged: &mut Vec<String>,
) -> Result<Vec<JournalEntry>, StoreError> {
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        match entry(row, session) {
            Ok(entry) if checksum::holds(row, ENTRY_WIDTH, ENTRY_WIDTH + 1)? => entries.push(entry),
            Err(failure @ rusqlite::Error::SqliteFailure(..)) => return Err(failure.into()),
            _ => damaged.push(format!("message {}", row.get::<_, i64>(ENTRY_WIDTH - 1)?)),
        }
    }
    Ok(entries)
}

fn entry(row: &Row<'_>, session: Option<i64>) -> rusqlite::Result<JournalEntry> {
    let phase = match row.get::<_, u8>(0)? {
        0 => Phase::Start,
        2 => Phase::Stop,
        _ => Phase::Update,
    };
    let evidence = Evidence {
        session,
        phase,
        seq_no: row.get(1)?,
        reported_at: row.get::<_, Option<i64>>(2)?.map(time::from_millis),
        evse: row.get(3)?,
        charging: row.get::<_, Option<Text>>(4)?.and_then(|name| ChargingState::from_name(&name.0)),
        readings: row.get::<_, Option<Text>>(5)?.map(|text| samples_json::from_text(&text.0)).unwrap_or_default(),
    };
    let received = Received { at: time::from_millis(row.get(6)?), proven: row.get::<_, Option<bool>>(7)? != Some(true) };
    Ok(JournalEntry { row: row.get(8)?, evidence, received })
}

/// Sessions and tariffs that are not as they were written.
pub(super) fn damaged(connection: &Connection, tell: &mut dyn FnMut(String)) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare(&format!("SELECT {COLUMNS} FROM session s JOIN station st ON st.number = s.station ORDER BY s.number"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(session) if holds(row, &session)? => {}
            Ok(session) => tell(format!("session {}: its row was altered on the disk", session.id)),
            Err(failure) => tell(format!("session number {:?}: its row cannot be read: {failure}", row.get::<_, i64>(0).ok())),
        }
    }
    let mut statement = connection.prepare("SELECT id, hash, json FROM tariff")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (Text(id), Text(hash), Text(json)) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if !is_tariff(&hash, &json) {
            tell(format!("tariff {id}: its text is not the one that sessions were locked to"));
        }
    }
    Ok(())
}

/// A tariff version goes by the hash of its text. Rows of before schema 4 go by the SHA-256 of the whole file, in hex.
pub(super) fn is_tariff(name: &str, json: &str) -> bool {
    let hash = tariff_hash(json);
    hash.to_string() == name || hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>() == name
}

fn lag(session: &Session) -> Option<i64> {
    session.clock_lag.map(|lag| lag.num_milliseconds())
}

fn reboots_text(reboots: &[Reboot]) -> Option<String> {
    let pairs: Vec<(i64, i64)> =
        reboots.iter().map(|reboot| (time::to_millis(reboot.heard_at), time::to_millis(reboot.at))).collect();
    if pairs.is_empty() { None } else { serde_json::to_string(&pairs).ok() }
}

fn reboots(json: &str) -> Vec<Reboot> {
    let pairs: Vec<(i64, i64)> = serde_json::from_str(json).unwrap_or_default();
    let reboot = |(heard_at, at)| Reboot { heard_at: time::from_millis(heard_at), at: time::from_millis(at) };
    pairs.into_iter().map(reboot).collect()
}

/// JSON for a findings column; `None` when nothing was odd.
pub(super) fn findings_text(findings: &[Finding]) -> Option<String> {
    if findings.is_empty() { None } else { serde_json::to_string(findings).ok() }
}

pub(super) fn findings(json: &str) -> Vec<Finding> {
    serde_json::from_str::<Vec<StoredFinding>>(json)
        .map(|stored| stored.into_iter().map(|finding| Finding { code: finding.code.into(), detail: finding.detail }).collect())
        .unwrap_or_default()
}

#[derive(serde::Deserialize)]
struct StoredFinding {
    code: String,
    detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tariff_goes_by_its_hash_or_by_the_older_one_of_its_file() {
        // printf ' {} \n' | sha256sum
        let older = "6b65faf6d4d8b853f947ba8dd448e1ff04d64d5a1779232763babd488ee15e21";
        assert!(is_tariff(older, " {} \n") && is_tariff(&tariff_hash("{}").to_string(), "{}"));
        assert!(!is_tariff(older, "{}") && !is_tariff(&tariff_hash("{}").to_string(), "[]"));
    }
}
