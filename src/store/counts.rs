//! Numbers for those who watch the daemon, each from an index or from what is bounded, within a time that all of them share.

use std::time::{Duration, Instant};

use rusqlite::{Row, ToSql};

use super::reader::Reader;
use crate::units::{Time, time};

const PROBLEMS: &str = "SELECT kind, severity, count(*) FROM v_problem GROUP BY 1, 2 ORDER BY 1, 2";
pub(super) const OPEN: &str = "SELECT count(*) FROM session WHERE state = 'open'";
pub(super) const WAITING: &str = "SELECT count(*) FROM session WHERE state = 'ended' AND settled IS NULL";
pub(super) const HELD: &str = "SELECT count(*) FROM session WHERE state = 'held'";
/// When the oldest record without a receipt was made; of the epoch in use.
pub(super) const OLDEST_OUTBOX: &str = "SELECT created_at FROM record WHERE epoch = (SELECT epoch FROM site) AND seq > \
     coalesce((SELECT through FROM receipt WHERE epoch = (SELECT epoch FROM site)), 0) ORDER BY seq LIMIT 1";
/// Of the stations that are asked for.
const HEARD: &str = "SELECT j.value, s.last_message_at FROM json_each(?1) j JOIN station s ON s.name = j.value \
     WHERE s.last_message_at IS NOT NULL";

/// `None`: not in time, or unreadable.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub open: Option<u64>,
    pub waiting: Option<u64>,
    pub held: Option<u64>,
    /// When the oldest record without a receipt was made, if there is one; of the epoch in use.
    pub oldest_outbox_at: Option<Option<Time>>,
    pub problems: Option<Vec<Problems>>,
    /// Stations of those asked for that have said something, and when last.
    pub heard: Option<Vec<(String, Time)>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    pub kind: String,
    pub severity: String,
    pub count: u64,
}

impl Reader {
    /// What can be read by then.
    pub fn counts(&self, stations: &[String], until: Instant) -> Counts {
        let count = |sql| self.number(sql, until);
        let stations = serde_json::to_string(stations).unwrap_or_default();
        Counts {
            open: count(OPEN),
            waiting: count(WAITING),
            held: count(HELD),
            oldest_outbox_at: self.oldest(until),
            problems: self
                .all(PROBLEMS, &[], until, |row| Ok(Problems { kind: row.get(0)?, severity: row.get(1)?, count: row.get(2)? })),
            heard: self.all(HEARD, &[&stations], until, |row| Ok((row.get(0)?, time::from_millis(row.get(1)?)))),
        }
    }

    fn number(&self, sql: &str, until: Instant) -> Option<u64> {
        self.all(sql, &[], until, |row| row.get(0))?.pop()
    }

    fn oldest(&self, until: Instant) -> Option<Option<Time>> {
        Some(self.all(OLDEST_OUTBOX, &[], until, |row| row.get(0).map(time::from_millis))?.pop())
    }

    fn all<T>(
        &self,
        sql: &str,
        values: &[&dyn ToSql],
        until: Instant,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Option<Vec<T>> {
        let left = until.checked_duration_since(Instant::now()).filter(|left| *left > Duration::ZERO)?;
        let mut statement = self.reading.connection_for(left).prepare_cached(sql).ok()?;
        let rows = statement.query_map(values, read).ok()?;
        rows.collect::<Result<Vec<_>, _>>().ok()
    }
}
