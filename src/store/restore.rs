//! What a start (or a failed commit) takes from the store.

use chrono::NaiveDate;
use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;
use super::checksum::{self, Text};
use crate::fact::ChargingState;
use crate::record::Hash;
use crate::session::Origin;
use crate::units::{StationId, Time, time};

/// How far back the journal is read for message ids that a station may repeat: its queue of unanswered messages at the crash.
const TAIL: i64 = 5_000;

pub(super) fn origin(connection: &Connection, tx_offset: i64) -> Result<Origin, StoreError> {
    let last: Option<i64> =
        connection.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'session'", [], |row| row.get(0)).optional()?;
    let newest: Option<String> =
        connection.query_row("SELECT id FROM session ORDER BY number DESC LIMIT 1", [], |row| row.get(0)).optional()?;
    let day = newest.and_then(|id| day_of(&id)).max(named_after_a_loss(connection)?);
    Ok(Origin { next_number: last.unwrap_or(0) + 1, tx_offset, day })
}

/// The day on which an epoch began whose forerunner gave names that this store does not know, and the number to go on from.
fn named_after_a_loss(connection: &Connection) -> Result<Option<(NaiveDate, u32)>, StoreError> {
    let sql = "SELECT name_day, name_from FROM epoch WHERE name_day IS NOT NULL ORDER BY epoch DESC LIMIT 1";
    let named: Option<(String, u32)> = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(named.and_then(|(day, from)| Some((NaiveDate::parse_from_str(&day, "%Y%m%d").ok()?, from))))
}

/// `S-20261121-0042` → (2026-11-21, 42).
fn day_of(id: &str) -> Option<(NaiveDate, u32)> {
    let (day, count) = id.strip_prefix("S-")?.split_once('-')?;
    Some((NaiveDate::parse_from_str(day, "%Y%m%d").ok()?, count.parse().ok()?))
}

/// The connectors of 1.6 stations (all, or one), and whether each is in use by its last status: of 2.x such a status says nothing.
pub(super) fn connectors(connection: &Connection, of: Option<&StationId>) -> Result<Vec<(StationId, u32, bool)>, StoreError> {
    let sql = "SELECT st.name, c.evse, coalesce(c.last_state, c.state) FROM connector c JOIN station st ON st.number = c.station \
               WHERE c.evse > 0 AND st.version = '1.6' AND (?1 IS NULL OR st.name = ?1)";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([of.map(StationId::as_str)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (Text(name), Text(state)) = (row.get(0)?, row.get(2)?);
        let in_use = ChargingState::from_name(&state).is_some_and(ChargingState::is_in_use);
        found.push((StationId::new(&name), row.get(1)?, in_use));
    }
    Ok(found)
}

/// A time that has passed for certain, if nothing was written by a clock that was ahead.
pub(super) fn known_time(connection: &Connection) -> rusqlite::Result<Option<Time>> {
    // The last of each by its number, not the latest by its time: earlier rows may have been written by a wrong clock.
    let sql = "SELECT max(coalesce(s.alive_at, 0), \
         coalesce((SELECT received_at FROM message WHERE id = (SELECT max(id) FROM message) AND id > c.after_message), 0), \
         coalesce((SELECT created_at FROM record WHERE epoch = s.epoch AND seq = (SELECT max(seq) FROM record WHERE epoch = s.epoch) \
                    AND (epoch != c.after_epoch OR seq > c.after_seq)), 0)) FROM site s, clock c";
    Ok(connection.query_row(sql, [], |row| row.get(0)).optional()?.map(time::from_millis))
}

/// A message near the end of the journal.
pub(super) struct Recent {
    pub(super) station: StationId,
    pub(super) number: i64,
    pub(super) row: i64,
    /// As in the frame; `None`: a BootNotification, after which ids may begin anew.
    pub(super) message_id: Option<String>,
}

/// The transaction messages at the end of the journal, and the boots between them, in order. `damaged`: rows that are not as they
/// were written; they are read as far as they can be.
pub(super) fn recent_messages(connection: &Connection, damaged: &mut Vec<i64>) -> Result<Vec<Recent>, StoreError> {
    let columns = checksum::MESSAGE.split(", ").map(|column| format!("m.{column}")).collect::<Vec<_>>().join(", ");
    let mut statement = connection.prepare(&format!(
        "SELECT st.name, st.number, m.id, m.action, m.text, m.checksum, {columns} FROM message m JOIN station st ON st.number = m.station \
         WHERE m.id > (SELECT coalesce(max(id), 0) FROM message) - ?1 AND (m.action = 'BootNotification' OR (m.answer IS NOT NULL AND \
         m.action IN ('StartTransaction', 'MeterValues', 'StopTransaction', 'TransactionEvent'))) ORDER BY m.id",
    ))?;
    let mut rows = statement.query([TAIL])?;
    let mut recent = Vec::new();
    while let Some(row) = rows.next()? {
        if !checksum::holds(row, 5, 6)? {
            damaged.push(row.get(2)?);
        }
        let Text(action) = row.get(3)?;
        let boot = action == "BootNotification";
        let message_id = if boot { None } else { message_id(&row.get::<_, Text>(4)?.0) };
        if boot || message_id.is_some() {
            recent.push(Recent {
                station: StationId::new(&row.get::<_, Text>(0)?.0),
                number: row.get(1)?,
                row: row.get(2)?,
                message_id,
            });
        }
    }
    Ok(recent)
}

/// The second element of a frame, as its JSON text: the form in which `csms` hands message ids over.
fn message_id(text: &str) -> Option<String> {
    let parts: Vec<&serde_json::value::RawValue> = serde_json::from_str(text).ok()?;
    Some(parts.get(1)?.get().to_owned())
}

/// Number and hash of the last record of an epoch; (0, None) when there is none.
pub(super) fn chain_tail(connection: &Connection, epoch: i64) -> Result<(u64, Option<Hash>), StoreError> {
    let last: Option<(u64, Text)> = connection
        .prepare_cached("SELECT seq, hash FROM record WHERE epoch = ?1 ORDER BY seq DESC LIMIT 1")?
        .query_row(params![epoch], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, Text(hash))) = last else { return Ok((0, None)) };
    if let Ok(hash) = hash.parse() {
        return Ok((seq, Some(hash)));
    }
    // The column is a copy; the record says it itself.
    let sql = "SELECT jws FROM record WHERE epoch = ?1 AND seq = ?2";
    let Text(jws) = connection.query_row(sql, params![epoch, seq], |row| row.get(0))?;
    Ok((seq, Some(Hash::of(jws.as_bytes()))))
}
