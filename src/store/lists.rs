//! Queries of the command line whose lists may be long: views, led by the tables' indices where a view alone would be read as a whole.

use std::time::{Duration, Instant};

use rusqlite::OptionalExtension;

use super::errors::StoreError;
use super::reader::Reader;
use crate::units::{Time, time};

/// Messages and calls from message ?1 to ?2, of station ?3, received or sent from ?4 and before ?5 (RFC 3339 to the second, without its Z).
pub const MESSAGES: &str = "SELECT * FROM v_message WHERE message_id >= ?1 AND message_id <= ?2 AND (?3 IS NULL OR station = ?3 COLLATE NOCASE) \
     AND (?4 IS NULL OR received_at >= ?4) AND (?5 IS NULL OR received_at < ?5)";

/// Messages looked through at a time for those of one station, and how long in all.
const WINDOW: i64 = 5_000;
const LOOKING: Duration = Duration::from_millis(100);
/// By how much `station.last_message_at` may lag.
const LAG_MS: i64 = 300_000;

/// Sessions that began from ?1 and before ?2 (milliseconds), of station ?3, of a token that ends in ?4; `_began` orders them.
const SESSIONS: &str = "SELECT v.*, coalesce(b.started_at, b.opened_at) AS _began FROM session b JOIN v_session v ON v.session_id = b.id \
     WHERE coalesce(b.started_at, b.opened_at) >= ?1 AND coalesce(b.started_at, b.opened_at) < ?2 \
     AND (?3 IS NULL OR v.station = ?3 COLLATE NOCASE) AND (?4 IS NULL OR v.token LIKE '%' || ?4)";

/// Stations, each with its open sessions.
pub const STATIONS_AND_OPEN_SESSIONS: &str = "SELECT st.station, st.state, st.connected, st.connectors, st.last_message_at, s.session_id, s.energy_wh, \
     s.started_at, s.tariff_id FROM v_station st \
     LEFT JOIN (SELECT v.* FROM session b JOIN v_session v ON v.session_id = b.id WHERE b.state = 'open') s ON s.station = st.station \
     WHERE st.configured OR st.first_seen_at IS NOT NULL ORDER BY st.station, s.started_at";

/// Sessions, of one state where it is named.
pub fn sessions(state: Option<&str>) -> String {
    let state = match state {
        Some("open") => " AND b.state = 'open'",
        Some("held") => " AND b.state = 'held'",
        Some("waiting") => " AND b.state = 'ended' AND b.settled IS NULL",
        Some("done") => " AND b.state = 'ended' AND b.settled IS NOT NULL",
        _ => "",
    };
    format!("{SESSIONS}{state}")
}

/// A part of the journal, by the numbers of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub first: i64,
    pub last: i64,
}

impl Stretch {
    pub const ALL: Self = Self { first: i64::MIN, last: i64::MAX };
}

/// The journal is in the order of receipt and has no index by station or time, which would cost with every message: a time is found by
/// halving. Around an instant at which the gateway's clock was set, the order is that of the journal.
impl Reader {
    /// Transaction, session id and EVSE of each session that runs at a station.
    pub fn running(&self, station: &str) -> Result<Vec<[Option<String>; 3]>, StoreError> {
        let sql = "SELECT CAST(s.tx AS TEXT), s.id, CAST(s.evse AS TEXT) FROM session s JOIN station st ON st.number = s.station \
                   WHERE s.state = 'open' AND st.name = ?1 COLLATE NOCASE ORDER BY s.number";
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let row = |row: &Vec<serde_json::Value>| [0, 1, 2].map(|column| row.get(column).and_then(text));
        Ok(self.query(sql, &[&station])?.rows.iter().map(row).collect())
    }

    /// What was received from `since` and before `until`, and the message before, after which a call may have been sent.
    pub fn stretch(&self, since: Option<Time>, until: Option<Time>) -> Result<Stretch, StoreError> {
        let mut stretch = Stretch::ALL;
        if let Some(since) = since {
            let first = self.first_message_at(time::to_millis(since))?;
            let before = "SELECT max(id) FROM message WHERE id < ?1";
            let before: Option<i64> = self.reading.connection().prepare_cached(before)?.query_row([first], |row| row.get(0))?;
            stretch.first = before.unwrap_or(i64::MIN);
        }
        if let Some(until) = until {
            stretch.last = self.first_message_at(time::to_millis(until))?;
        }
        Ok(stretch)
    }

    /// From the end of the journal back to where a station has so many messages, and from when on; `None`: all of the journal. It ends
    /// earlier when that takes too long.
    pub fn stretch_back(&self, station: &str, wanted: u64) -> Result<(Stretch, Option<Time>), StoreError> {
        let began = Instant::now();
        let connection = self.reading.connection();
        let number = "SELECT number, last_message_at FROM station WHERE name = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?));
        let Some((number, heard_at)) = connection.prepare_cached(number)?.query_row([station], read).optional()? else {
            return Ok((Stretch::ALL, None));
        };
        let Some((oldest, newest)) = self.ends()? else { return Ok((Stretch::ALL, None)) };
        let mut first = heard_at.map_or(Ok(newest), |at| self.first_message_at(at.saturating_add(LAG_MS)))?.min(newest) + 1;
        let mut count = connection.prepare_cached("SELECT count(*) FROM message WHERE station = ?1 AND id >= ?2 AND id < ?3")?;
        let mut found = 0;
        while found < wanted && first > oldest {
            if began.elapsed() > LOOKING {
                let at = "SELECT received_at FROM message WHERE id >= ?1 ORDER BY id LIMIT 1";
                let at = connection.prepare_cached(at)?.query_row([first], |row| row.get(0)).optional()?;
                return Ok((Stretch { first, ..Stretch::ALL }, at.map(time::from_millis)));
            }
            let from = first - WINDOW;
            found += count.query_row([number, from, first], |row| row.get::<_, u64>(0))?;
            first = from;
        }
        Ok((Stretch { first, ..Stretch::ALL }, None))
    }

    /// Tariffs that the list of tokens names, and how many tokens each.
    pub fn tariffs_of_tokens(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT tariff, count(*) FROM token WHERE tariff IS NOT NULL GROUP BY 1 ORDER BY 1";
        let mut statement = self.reading.connection().prepare_cached(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn ends(&self) -> Result<Option<(i64, i64)>, StoreError> {
        let end = |sql: &str| self.reading.connection().prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0));
        Ok(end("SELECT min(id) FROM message")?.zip(end("SELECT max(id) FROM message")?))
    }

    /// The first message received at that time or later; one beyond the last where there is none.
    fn first_message_at(&self, millis: i64) -> Result<i64, StoreError> {
        let Some((mut low, high)) = self.ends()? else { return Ok(i64::MAX) };
        let mut high = high + 1;
        let sql = "SELECT id, received_at FROM message WHERE id >= ?1 ORDER BY id LIMIT 1";
        let mut statement = self.reading.connection().prepare_cached(sql)?;
        while low < high {
            let middle = low + (high - low) / 2;
            let found = statement.query_row([middle], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
            match found {
                Some((id, at)) if at < millis => low = id + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }
}
